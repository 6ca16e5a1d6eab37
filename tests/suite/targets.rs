//! Whoever answers requests: our server in a world of its own, or a real redis-server where one is installed.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use splitbrain::time::Span;
use splitbrain::world::{Injection, Outside};

use crate::rig::Rig;

/// Connections of scripts are numbered from here, those of the rig from 1.
const FIRST_ID: u32 = 1_000;
/// The connection that waits for the others.
const CONTROL: &str = "control";

/// What a connection got in one step; the flag: it was closed.
pub(crate) type Got = BTreeMap<String, (Vec<u8>, bool)>;

/// Whoever answers requests.
pub(crate) trait Target {
    /// Sends bytes over a connection, which is opened if need be, and waits until all have what they get.
    fn exchange(&mut self, conn: &str, data: &[u8]) -> Got;
    /// Lets time pass.
    fn sleep(&mut self, ms: u64) -> Got;
}

/// Our server in a world of its own.
pub(crate) struct Ours {
    rig: Rig,
    ids: BTreeMap<String, u32>,
    next: u32,
}

impl Ours {
    pub(crate) fn start(config: &[(String, String)]) -> Ours {
        let mut text = "save = \"\"\nenable-debug-command = \"yes\"\n".to_owned();
        for (name, value) in config {
            text.push_str(&format!("{name} = {value:?}\n"));
        }
        let mut ours = Ours { rig: Rig::new(1, &text), ids: BTreeMap::new(), next: FIRST_ID };
        // The real one is tried by a connection that takes a number.
        let to = ours.rig.addr(1);
        ours.rig.run_ms(10);
        ours.rig.world.inject(Injection::Connect { id: FIRST_ID, to });
        ours.rig.run_ms(10);
        ours.rig.world.inject(Injection::Close { id: FIRST_ID });
        ours.rig.run_ms(10);
        ours.exchange(CONTROL, b"PING\r\n");
        ours
    }

    /// Waits until the control connection is answered.
    fn barrier(&mut self) {
        let control = self.ids[CONTROL];
        for _ in 0..10_000 {
            self.rig.run(Span::from_us(200));
            let answered = |outside: &Outside| matches!(outside, Outside::Bytes { id, .. } if *id == control);
            if self.rig.strays.iter().any(answered) {
                self.rig.strays.retain(|outside| !answered(outside));
                return;
            }
        }
    }

    fn collect(&mut self) -> Got {
        let mut got = Got::new();
        for outside in std::mem::take(&mut self.rig.strays) {
            let name = |id: u32| self.ids.iter().find(|(_, other)| **other == id).map(|(name, _)| name.clone());
            match outside {
                Outside::Connected { .. } | Outside::Writable { .. } | Outside::Dial { .. } => {}
                Outside::Bytes { id, data } => {
                    if let Some(name) = name(id) {
                        got.entry(name).or_default().0.extend_from_slice(&data);
                    }
                }
                Outside::Refused { id, .. } | Outside::Closed { id, .. } => {
                    if let Some(name) = name(id) {
                        self.ids.remove(&name);
                        if name != CONTROL {
                            got.entry(name).or_default().1 = true;
                        }
                    }
                }
            }
        }
        got
    }

    /// Sends bytes and waits for a moment: others may not be answered.
    pub(crate) fn exchange_alone(&mut self, conn: &str, data: &[u8]) -> Got {
        self.send(conn, data);
        self.rig.run_ms(50);
        self.collect()
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, conn: &str) -> Got {
        if let Some(id) = self.ids.remove(conn) {
            self.rig.world.inject(Injection::Close { id });
        }
        self.rig.run_ms(50);
        self.collect()
    }

    fn connect(&mut self, conn: &str) {
        let to = self.rig.addr(1);
        self.next += 1;
        self.rig.world.inject(Injection::Connect { id: self.next, to });
        self.ids.insert(conn.to_owned(), self.next);
    }

    fn barriers(&mut self) {
        for _ in 0..2 {
            self.rig.run(Span::from_us(200));
            self.send(CONTROL, b"PING\r\n");
            self.barrier();
        }
    }

    fn send(&mut self, conn: &str, data: &[u8]) {
        if !self.ids.contains_key(conn) {
            self.connect(conn);
        }
        let id = self.ids[conn];
        self.rig.world.inject(Injection::Bytes { id, data: Bytes::copy_from_slice(data) });
    }
}

impl Target for Ours {
    fn exchange(&mut self, conn: &str, data: &[u8]) -> Got {
        if conn != CONTROL && !self.ids.contains_key(conn) {
            self.connect(conn);
            self.barriers();
        }
        self.send(conn, data);
        self.barriers();
        self.collect()
    }

    fn sleep(&mut self, ms: u64) -> Got {
        self.rig.run_ms(ms);
        self.collect()
    }
}

/// A real server, stopped when it goes out of scope.
pub(crate) struct Real {
    process: Child,
    port: u16,
    sockets: BTreeMap<String, TcpStream>,
    _folder: tempfile::TempDir,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Real {
    /// `None` when it isn't installed.
    #[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
    pub(crate) fn start(config: &[(String, String)]) -> Option<Real> {
        let folder = tempfile::tempdir().ok()?;
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut text = format!("port {port}\ndir {}\nsave \"\"\nenable-debug-command yes\n", folder.path().display());
        for (name, value) in config {
            text.push_str(&format!("{name} {}\n", if value.is_empty() { "\"\"" } else { value }));
        }
        let file = folder.path().join("redis.conf");
        std::fs::write(&file, text).ok()?;
        let process = Command::new("redis-server").arg(&file).stdout(Stdio::null()).spawn().ok()?;
        let mut real = Real { process, port, sockets: BTreeMap::new(), _folder: folder };
        for _ in 0..200 {
            if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) {
                // That connection counts: it takes the number of the control connection of ours. The server has let go of
                // it when it closes its end: no list of clients has it then.
                socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
                socket.shutdown(Shutdown::Write).ok()?;
                let _ = socket.read(&mut [0]);
                real.exchange(CONTROL, b"PING\r\n");
                return Some(real);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    fn socket(&mut self, conn: &str) -> &mut TcpStream {
        self.sockets.entry(conn.to_owned()).or_insert_with(|| {
            let socket = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
            socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
            socket.set_nodelay(true).expect("a socket");
            socket
        })
    }

    fn barrier(&mut self) {
        let mut buffer = [0; 4096];
        for _ in 0..2 {
            let socket = self.socket(CONTROL);
            let _ = socket.write_all(b"PING\r\n");
            let _ = socket.read(&mut buffer);
        }
    }

    fn collect(&mut self) -> Got {
        self.barrier();
        let mut got = Got::new();
        let mut buffer = vec![0; 1 << 20];
        for (name, socket) in self.sockets.iter_mut().filter(|(name, _)| *name != CONTROL) {
            socket.set_nonblocking(true).expect("a socket");
            loop {
                match socket.read(&mut buffer) {
                    Ok(0) => {
                        got.entry(name.clone()).or_default().1 = true;
                        break;
                    }
                    Ok(count) => got.entry(name.clone()).or_default().0.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => {
                        got.entry(name.clone()).or_default().1 = true;
                        break;
                    }
                }
            }
            socket.set_nonblocking(false).expect("a socket");
        }
        self.sockets.retain(|name, _| !got.get(name).is_some_and(|(_, closed)| *closed));
        got
    }
}

impl Target for Real {
    fn exchange(&mut self, conn: &str, data: &[u8]) -> Got {
        if conn != CONTROL && !self.sockets.contains_key(conn) {
            // It must have been accepted before it is used.
            self.socket(conn);
            self.barrier();
        }
        let _ = self.socket(conn).write_all(data);
        self.collect()
    }

    #[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
    fn sleep(&mut self, ms: u64) -> Got {
        std::thread::sleep(Duration::from_millis(ms));
        self.collect()
    }
}
