//! Deployments on real sockets: what clients see of faults, what is recorded and replayed, real servers and sentinels that
//! join.

#![allow(clippy::disallowed_methods, reason = "served deployments live in real time")]
#![allow(clippy::print_stderr, reason = "says what was not compared")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use splitbrain::host::{Entry, Header, Session};
use splitbrain::id::{Addr, Ip};
use splitbrain::scenario::Layout;
use splitbrain::time::Unix;
use tempfile::TempDir;

/// What a reply may take on a busy machine before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long silence is watched.
const SILENCE: Duration = Duration::from_millis(400);

/// A master, a replica and a sentinel.
const THREE: &str = r#"
name = "three"
description = "A master, a replica, a sentinel."
seed = 5
duration = "10s"
settle = "2s"

[defaults.redis]
enable-debug-command = "yes"

[[redis]]
name = "r1"

[[redis]]
name = "r2"
replicaof = "r1"

[[sentinel]]
name = "s1"
monitor = [{ name = "mymaster", master = "r1", quorum = 1, down-after-milliseconds = 60000 }]

[[client]]
name = "c"
via = "redis:r1"
workload = { kind = "kv", rate = "20/s" }

[expect]
"writes.acked" = ">= 1"
"#;

/// So many consecutive ports are asked for.
const PORTS: u16 = 6;

/// The first of a few ports that nobody uses. Each process of tests looks in a stretch of its own.
fn free_ports() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 200).expect("small") * 100;
    for _ in 0..100 {
        let base = 10_000 + (own + NEXT.fetch_add(PORTS, Ordering::Relaxed)) % 20_000;
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (base..base + PORTS).all(free) {
            return base;
        }
    }
    panic!("no free ports");
}

/// A deployment that is served.
pub(crate) struct Served {
    child: Child,
    folder: TempDir,
    base: u16,
    out: BufReader<std::process::ChildStdout>,
    first: Json,
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splitbrain"));
    command.env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

impl Served {
    pub(crate) fn new(scenario: &str, more: &[&str]) -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("scenario.toml"), scenario).expect("written");
        let base = free_ports();
        let mut child = program()
            .current_dir(folder.path())
            .args(["serve", "scenario.toml", "--json", "--socket", "control", "--record", "record.jsonl"])
            .args(["--stop-after", "120s", "--base-port", &base.to_string()])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("readable");
        if line.is_empty() {
            let mut said = String::new();
            child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
            panic!("it is not served: {said}");
        }
        let first = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Served { child, folder, base, out, first }
    }

    fn port(&self, node: u16) -> u16 {
        self.base + node
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self, node: u16) -> Client {
        Client::new(self.port(node)).expect("it listens")
    }

    fn ctl_output(&self, order: &[&str]) -> Output {
        let command =
            program().current_dir(self.folder.path()).args(["ctl", "--socket", "control"]).args(order).output();
        command.expect("the program starts")
    }

    fn ctl(&self, order: &[&str]) -> String {
        let output = self.ctl_output(order);
        assert!(output.status.success(), "{order:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn status(&self) -> Json {
        let text = self.ctl(&["--json", "status"]);
        let answer: Json = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        answer["status"].clone()
    }

    /// Ends it; the last object that it printed.
    fn stop(self) -> (Json, TempDir) {
        self.ctl(&["stop"]);
        self.ended()
    }

    pub(crate) fn ended(mut self) -> (Json, TempDir) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("text");
        let status = self.child.wait().expect("it ends");
        let mut said = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        assert_eq!(status.code(), Some(0), "{said}");
        let object = serde_json::from_str(&rest).unwrap_or_else(|error| panic!("{error}: {rest} {said}"));
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"));
        (object, folder)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A raw client.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn new(port: u16) -> std::io::Result<Client> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream, buffer: Vec::new() })
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).expect("takes it");
    }

    /// The next line of a reply; what went wrong otherwise.
    pub(crate) fn line(&mut self) -> std::io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut chunk = [0; 16_384];
            match self.stream.read(&mut chunk)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(line);
        let reply = self.line().unwrap_or_else(|error| panic!("{line}: {error}"));
        match reply.strip_prefix('$').map(|length| length.parse::<i64>().expect("a length")) {
            Some(length) if length >= 0 => self.text(usize::try_from(length).expect("positive")),
            _ => reply,
        }
    }

    fn text(&mut self, length: usize) -> String {
        while self.buffer.len() < length + 2 {
            let mut chunk = [0; 65_536];
            let count = self.stream.read(&mut chunk).expect("bytes");
            assert!(count > 0, "closed in the middle");
            self.buffer.extend_from_slice(&chunk[..count]);
        }
        let text = self.buffer.drain(..length + 2).take(length).collect();
        String::from_utf8(text).expect("text")
    }

    /// Nothing comes for a while.
    fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(SILENCE)).expect("settable");
        let silent = matches!(self.line(), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("settable");
        silent
    }

    /// The connection ends.
    fn ends(&mut self) -> bool {
        self.line().is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    }
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn replayed(folder: &Path) -> Json {
    let output = program()
        .current_dir(folder)
        .args(["run", "--replay", "record.jsonl", "--json", "--no-report"])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn assert_same(served: &Json, replayed: &Json) {
    for field in ["scenario", "seed", "digest", "events", "simulated_ms", "metrics"] {
        assert_eq!(served[field], replayed[field], "{field}");
    }
}

#[test]
fn clients_see_addresses_data_and_faults_and_the_record_repeats_it_all() {
    let served = Served::new(THREE, &[]);
    assert_eq!(served.first["masters"], serde_json::json!(["mymaster"]));
    assert_eq!(served.first["nodes"][2]["port"], served.port(2));
    let mut client = served.connect(0);
    assert_eq!(client.ask("SET greeting hello"), "+OK");
    let own = client.stream.local_addr().expect("connected").to_string();
    assert!(client.ask("CLIENT LIST").contains(&format!("addr={own} laddr=127.0.0.1:{}", served.base)));
    eventually("the replica follows", || client.ask("WAIT 1 100") == ":1");
    assert!(client.ask("INFO replication").contains(&format!("slave0:ip=127.0.0.1,port={}", served.port(1))));
    assert_eq!(served.connect(1).ask("GET greeting"), "hello");
    let mut sentinel = served.connect(2);
    assert_eq!(sentinel.ask("SENTINEL get-master-addr-by-name mymaster"), "*2");
    assert_eq!([sentinel.line().expect("a line"), sentinel.line().expect("a line")], ["$9", "127.0.0.1"]);

    // Its machine shows the real time.
    client.send("TIME");
    let lines: Vec<String> = (0..5).map(|_| client.line().expect("a line")).collect();
    let real = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let shown: u64 = lines[2].parse().expect("seconds");
    assert!(real.abs_diff(shown) <= 20, "{shown}, it is {real}");

    assert_eq!(served.ctl(&["crash", "r1"]).trim_end(), "fault 0: crash r1");
    assert!(client.ends(), "killed with its process");
    eventually("nobody listens", || Client::new(served.port(0)).is_err());
    assert_eq!(served.status()["nodes"][0]["state"], "down");
    served.ctl(&["restart", "r1"]);
    eventually("it listens again", || Client::new(served.port(0)).is_ok());
    assert_eq!(served.status()["faults"], serde_json::json!([]), "the crash is over");
    let mut client = served.connect(0);
    assert_eq!(client.ask("PING"), "+PONG");

    served.ctl(&["pause", "r1"]);
    client.send("PING");
    assert!(client.is_silent(), "it is stopped");
    served.ctl(&["resume", "r1"]);
    assert_eq!(client.line().expect("answered"), "+PONG");

    served.ctl(&["partition", "outside", "r1"]);
    client.send("PING");
    assert!(client.is_silent(), "cut off");
    assert_eq!(served.connect(1).ask("PING"), "+PONG");
    served.ctl(&["heal"]);
    assert_eq!(client.line().expect("sent again"), "+PONG");

    assert_eq!(served.ctl(&["exec", "r1", "SET", "a key", "1"]).trim_end(), "OK");
    assert_eq!(client.ask("EXISTS \"a key\""), ":1");
    let refused = served.ctl_output(&["crash", "r7"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing is called `r7`"));
    assert!(served.ctl(&["events"]).contains("fault 0 crash r1"));

    let (run, folder) = served.stop();
    assert!(folder.path().join("reports/three/index.html").exists());
    assert_same(&run, &replayed(folder.path()));
}

#[test]
fn what_does_not_fit_waits_on_either_side() {
    let served = Served::new(THREE, &[]);
    let mut client = served.connect(0);
    let big = "x".repeat(30 << 20);
    client.send(&format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${}\r\n{big}", big.len()));
    assert_eq!(client.line().expect("a reply"), "+OK");
    // The reply is larger than all buffers on the way, and nobody reads it for a while.
    client.send("GET big");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(served.connect(0).ask("PING"), "+PONG", "others are served meanwhile");
    assert_eq!(client.line().expect("a length"), format!("${}", big.len()));
    assert!(client.text(big.len()) == big, "the bytes came back");
    // A process that doesn't read: what is sent to it piles up in sockets, not in memory.
    served.ctl(&["pause", "r1"]);
    let mut writer = client.stream.try_clone().expect("a second handle");
    let sent = std::thread::spawn(move || {
        writer.write_all(format!("*2\r\n$4\r\nECHO\r\n${}\r\n{big}\r\n", big.len()).as_bytes()).is_ok()
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(!sent.is_finished(), "the sockets are full");
    served.ctl(&["resume", "r1"]);
    assert_eq!(client.line().expect("a length"), format!("${}", 30 << 20));
    client.text(30 << 20);
    assert!(sent.join().expect("no panic"));
    // What has been said before the end of the stream is still answered.
    client.send("PING");
    client.stream.shutdown(Shutdown::Write).expect("half closed");
    assert_eq!(client.line().expect("a reply"), "+PONG");
    assert!(client.ends());
    let (run, folder) = served.stop();
    assert_same(&run, &replayed(folder.path()));
}

#[test]
fn limits_and_passwords_hold() {
    let scenario = r#"
description = "A server that is careful."
duration = "10s"
settle = "2s"
[[redis]]
name = "r1"
config = { requirepass = "secret", maxclients = 10, client-output-buffer-limit = "pubsub 1mb 0 0" }
"#;
    let served = Served::new(scenario, &[]);
    let mut client = served.connect(0);
    assert_eq!(client.ask("PING"), "-NOAUTH Authentication required.");
    assert_eq!(client.ask("AUTH secret"), "+OK");
    let mut others: Vec<Client> = (0..9).map(|_| served.connect(0)).collect();
    assert!(others.iter_mut().all(|other| other.ask("AUTH secret") == "+OK"));
    let mut refused = served.connect(0);
    assert_eq!(refused.line().expect("said"), "-ERR max number of clients reached");
    assert!(refused.ends());
    // One that subscribes and doesn't read is dropped once its buffer is full.
    others[0].send("SUBSCRIBE news");
    let message = "x".repeat(1 << 20);
    let mut dropped = false;
    for _ in 0..60 {
        client.send(&format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n${}\r\n{message}", message.len()));
        dropped = client.line().expect("a reply") == ":0" || dropped;
    }
    assert!(dropped, "60 MB are more than all buffers");
    let (run, folder) = served.stop();
    assert_same(&run, &replayed(folder.path()));
}

#[test]
fn a_port_in_use_is_said_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("scenario.toml"), THREE).expect("written");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let output = program()
        .current_dir(folder.path())
        .args(["serve", "scenario.toml", "--no-control", "--no-report", "--base-port", &port])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("r1 can't listen on 127.0.0.1:{port}: the port is in use")), "{said}");
}

#[test]
fn signals_end_it_cleanly_and_time_can_be_faster() {
    let served = Served::new(THREE, &["--speed", "20", "--with-clients", "--bind", "127.0.0.2"]);
    assert_eq!(served.first["nodes"][0]["host"], "127.0.0.2");
    eventually("ten seconds pass in half a one", || {
        served.status()["simulated_ms"].as_u64().is_some_and(|passed| passed > 11_000)
    });
    let killed = Command::new("kill").args(["-TERM", &served.child.id().to_string()]).status();
    assert!(killed.expect("kill").success());
    let (run, folder) = served.ended();
    assert!(run["metrics"]["writes.acked"].as_u64().is_some_and(|acked| acked > 50), "{run}");
    assert_eq!(run["expectations"][0]["passed"], true);
    assert_same(&run, &replayed(folder.path()));
}

/// A record in memory.
#[derive(Clone, Default)]
pub(crate) struct Sink(pub(crate) Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Orders and bytes can come at one instant; the replay has them in the same order, with the same effects between them.
#[test]
fn what_comes_at_one_instant_is_replayed_in_its_order() {
    let ip = Ip::LOOPBACK;
    let layout = Layout { ip, base_port: 7000, clients: false, process_id: Some(4_711) };
    let header = Header::new(THREE.to_owned(), layout, Unix(1 << 60));
    let sink = Sink::default();
    let mut session = Session::new(header, Some(Box::new(sink.clone()))).expect("valid");
    let see = &mut |_: &_| {};
    session.advance(splitbrain::time::Instant(2_000_000_000), see);
    session.put_in(vec![Entry::Call(1, Addr::new(ip, 7000), Addr::new(ip, 50_000))], see);
    session.put_in(vec![Entry::Bytes(1, "SET key value\r\nDEBUG SLEEP 0.01\r\n".into())], see);
    session.put_in(vec![Entry::Fault("crash = 'r1', restart-after = 'uniform(1s, 2s)'".to_owned())], see);
    session.put_in(vec![Entry::Fault("exec = { node = 'r2', command = 'SET k v' }".to_owned())], see);
    session.advance(splitbrain::time::Instant(5_000_000_000), see);
    let (run, broken) = session.finish(see);
    assert!(broken.is_none());
    let record = String::from_utf8(sink.0.lock().expect("no panic").clone()).expect("text");
    let lines = record.lines().map(|line| Ok(line.to_owned()));
    let (again, whole) = splitbrain::host::replay(lines, see).expect("replays");
    assert!(whole);
    assert_eq!((run.digest, run.events), (again.digest, again.events));
}

/// A real process, in a folder of its own.
struct Real {
    child: Child,
    _folder: TempDir,
}

impl Real {
    fn new(name: &str, conf: &str) -> Option<Real> {
        let folder = tempfile::tempdir().expect("a folder");
        let path: PathBuf = folder.path().join("real.conf");
        std::fs::write(&path, conf).expect("written");
        let child = Command::new(name).arg(&path).current_dir(folder.path()).stdout(Stdio::null()).spawn();
        match child {
            Ok(child) => Some(Real { child, _folder: folder }),
            Err(_) => {
                eprintln!("note: {name} is not installed, nothing is compared with it");
                None
            }
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_replica_and_a_real_sentinel_join() {
    let served = Served::new(THREE, &[]);
    let (replica, watcher) = (served.port(4), served.port(5));
    let conf = format!("port {replica}\nsave \"\"\nreplicaof 127.0.0.1 {}\n", served.base);
    let Some(_replica) = Real::new("redis-server", &conf) else { return };
    let conf = format!("port {watcher}\nsentinel monitor mymaster 127.0.0.1 {} 1\n", served.base);
    let Some(_watcher) = Real::new("redis-sentinel", &conf) else { return };
    let mut client = served.connect(0);
    assert_eq!(client.ask("SET greeting hello"), "+OK");
    eventually("the real replica has it", || {
        Client::new(replica).is_ok_and(|mut real| real.ask("GET greeting") == "hello")
    });
    // The simulated sentinel reads of the real replica in INFO and connects to it; the real one finds both sentinels' worlds.
    let knows = |port: u16, what: &str| {
        Client::new(port).is_ok_and(|mut sentinel| {
            sentinel.send("SENTINEL master mymaster");
            let mut lines = Vec::new();
            while lines.last().is_none_or(|line| line != "parallel-syncs") {
                match sentinel.line() {
                    Ok(line) => lines.push(line),
                    Err(_) => return false,
                }
            }
            lines.join(" ").contains(what)
        })
    };
    for port in [served.port(2), watcher] {
        eventually("both replicas are known", || knows(port, "num-slaves $1 2"));
        eventually("the other sentinel is known", || knows(port, "num-other-sentinels $1 1"));
    }
    let mut simulated = served.connect(2);
    simulated.send("SENTINEL replicas mymaster");
    let real = format!("127.0.0.1:{replica}");
    eventually("the real one is among them", || simulated.line().is_ok_and(|line| line == real));
    // A real replica is promoted over the simulated one, which then follows it.
    assert_eq!(client.ask("SET before failover"), "+OK");
    let mut real = Client::new(replica).expect("it listens");
    assert_eq!(real.ask("REPLICAOF NO ONE"), "+OK");
    assert_eq!(served.connect(1).ask(&format!("REPLICAOF 127.0.0.1 {replica}")), "+OK");
    assert_eq!(real.ask("SET after failover"), "+OK");
    eventually("the simulated replica follows a real master", || served.connect(1).ask("GET after") == "failover");
    let (run, folder) = served.stop();
    assert_same(&run, &replayed(folder.path()));
}
