//! A real redis-server follows a simulated master over a real socket, and ends with the same data at the same offset.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use splitbrain::resp::{ReplyReader, Value, encode};
use splitbrain::time::{Instant, Span};
use splitbrain::trace::event::{ServerEvent, SyncKind};
use splitbrain::world::{Injection, Outside};

use crate::rig::Rig;

/// Connections of the bridge are numbered from here, those of the rig from 1.
const FIRST_ID: u32 = 1_000;

/// A real replica, stopped when it goes out of scope.
struct Replica {
    process: Child,
    port: u16,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Replica {
    /// Follows whoever listens at `master`; `None` when there is no redis-server here.
    fn start(folder: &std::path::Path, master: u16) -> Option<Replica> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--replicaof", "127.0.0.1", &master.to_string()])
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        Some(Replica { process, port })
    }

    /// Asks it something; `None` while it doesn't answer.
    fn ask(&self, parts: &[&str]) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let mut request = BytesMut::new();
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        encode::command(&mut request, &parts);
        stream.write_all(&request).ok()?;
        let (mut reader, mut buffer) = (ReplyReader::default(), [0; 4096]);
        loop {
            if let Some(value) = reader.read().ok()? {
                return Some(value);
            }
            let count = stream.read(&mut buffer).ok().filter(|&count| count > 0)?;
            reader.feed(Bytes::copy_from_slice(&buffer[..count]));
        }
    }

    /// Its offset once its link is up.
    fn offset(&self) -> Option<i64> {
        let role = self.ask(&["ROLE"])?;
        let items = role.items()?;
        (items.get(3)?.text() == Some(b"connected")).then(|| items[4].integer())?
    }
}

/// Carries bytes between real sockets and the simulated master.
struct Bridge {
    listener: TcpListener,
    sockets: BTreeMap<u32, TcpStream>,
    next_id: u32,
}

impl Bridge {
    /// Lets a millisecond pass on both sides and moves what there is to move.
    #[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
    fn pump(&mut self, rig: &mut Rig) {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true).expect("a socket");
            rig.world.inject(Injection::Connect { id: self.next_id, to: rig.addr(1) });
            self.sockets.insert(self.next_id, socket);
            self.next_id += 1;
        }
        let mut buffer = [0; 65_536];
        let mut gone = Vec::new();
        for (&id, socket) in &mut self.sockets {
            match socket.read(&mut buffer) {
                Ok(0) => gone.push(id),
                Ok(count) => {
                    rig.world.inject(Injection::Bytes { id, data: Bytes::copy_from_slice(&buffer[..count]) });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => gone.push(id),
            }
        }
        for id in gone {
            self.sockets.remove(&id);
            rig.world.inject(Injection::Close { id });
        }
        rig.run_ms(1);
        for outside in std::mem::take(&mut rig.strays) {
            match outside {
                Outside::Connected { .. } | Outside::Writable { .. } | Outside::Dial { .. } => {}
                Outside::Bytes { id, data } => {
                    if let Some(socket) = self.sockets.get_mut(&id) {
                        socket.set_nonblocking(false).expect("a socket");
                        let _ = socket.write_all(&data);
                        socket.set_nonblocking(true).expect("a socket");
                    }
                }
                Outside::Refused { id, .. } | Outside::Closed { id, .. } => {
                    self.sockets.remove(&id);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }

    /// Pumps until the replica stands where the master stands.
    fn settle(&mut self, rig: &mut Rig, replica: &Replica) {
        for _ in 0..400 {
            for _ in 0..25 {
                self.pump(rig);
            }
            if replica.offset() == Some(rig.offset(1)) {
                return;
            }
        }
        panic!("the real replica does not catch up: {:?}\n{}", replica.ask(&["INFO", "replication"]), rig.log());
    }
}

fn write_some(rig: &mut Rig, round: usize) {
    for n in 0..60 {
        let value = match n % 4 {
            0 => format!("{}", i64::try_from(n).expect("small") * 37_000 - 1_000_000),
            1 => "abc".repeat(n * 40),
            2 => format!("value {n} of round {round}"),
            _ => (0..n * 300).map(|i| char::from(b'a' + u8::try_from((i * i + n) % 26).expect("below 26"))).collect(),
        };
        rig.set(1, &format!("key:{round}:{n}"), &value);
    }
    rig.text(1, &format!("SET expiring:{round} v EX 1000000000"));
    rig.text(1, "SELECT 3");
    rig.text(1, "MULTI");
    rig.text(1, &format!("INCRBY counter {round}"));
    rig.text(1, "APPEND text more");
    rig.text(1, "EXEC");
    rig.text(1, "SELECT 0");
    rig.set(1, "long", &"0123456789".repeat(9_000));
}

fn compare(rig: &mut Rig, replica: &Replica) {
    let keys = rig.cmd(1, &["KEYS", "*"]);
    let keys = keys.items().expect("KEYS answers an array");
    assert!(keys.len() > 60);
    assert_eq!(replica.ask(&["DBSIZE"]), Some(rig.cmd(1, &["DBSIZE"])));
    for key in keys {
        let key = std::str::from_utf8(key.text().expect("a key")).expect("text");
        assert_eq!(replica.ask(&["GET", key]), Some(rig.cmd(1, &["GET", key])), "{key}");
        assert_eq!(replica.ask(&["PEXPIRETIME", key]), Some(rig.cmd(1, &["PEXPIRETIME", key])), "{key}");
    }
}

#[test]
fn a_real_replica_follows_a_simulated_master() {
    for diskless in ["yes", "no"] {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let Some(replica) = Replica::start(folder.path(), listener.local_addr().expect("bound").port()) else {
            println!("skipped: no redis-server here");
            return;
        };
        let mut bridge = Bridge { listener, sockets: BTreeMap::new(), next_id: FIRST_ID };
        let mut rig = Rig::new(1, &format!("repl-diskless-sync = \"{diskless}\"\nrepl-diskless-sync-delay = 0"));
        rig.run(Span::from_ms(10));
        write_some(&mut rig, 1);
        bridge.settle(&mut rig, &replica);
        compare(&mut rig, &replica);
        write_some(&mut rig, 2);
        bridge.settle(&mut rig, &replica);
        compare(&mut rig, &replica);
        let since = rig.world.now();
        for id in std::mem::take(&mut bridge.sockets).into_keys() {
            rig.world.inject(Injection::Close { id });
        }
        write_some(&mut rig, 3);
        bridge.settle(&mut rig, &replica);
        compare(&mut rig, &replica);
        let granted = |since: Instant, rig: &Rig| -> Vec<SyncKind> {
            rig.said(1, since)
                .filter_map(|e| if let ServerEvent::SyncGranted { kind, .. } = e { Some(*kind) } else { None })
                .collect()
        };
        assert_eq!(granted(since, &rig), [SyncKind::Partial], "{}", rig.log());
        assert_eq!(granted(Instant::ZERO, &rig), [SyncKind::Full, SyncKind::Partial], "{}", rig.log());
    }
}
