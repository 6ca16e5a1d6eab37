//! A simulated replica follows a real redis-server over a real socket, and takes its role over with FAILOVER.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant as RealInstant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use splitbrain::id::{Addr, Fd, Ip, NodeId};
use splitbrain::node::{CloseWhy, DiskImage, DiskOp, Init, Input, Node, Outbox, Output, RefusedWhy, SOCKET_ROOM};
use splitbrain::resp::{ReplyReader, Value, encode};
use splitbrain::rng::Seed;
use splitbrain::server::{Server, config::Config};
use splitbrain::time::{Instant, Now, Unix};

/// A real server, stopped when it goes out of scope.
pub(crate) struct Master {
    process: Child,
    pub(crate) port: u16,
    socket: TcpStream,
    pub(crate) folder: tempfile::TempDir,
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Master {
    /// `None` when there is no redis-server here.
    pub(crate) fn start(options: &[&str]) -> Option<Master> {
        Master::start_in(tempfile::tempdir().ok()?, options)
    }

    /// The same in a folder that may have files already.
    pub(crate) fn start_in(folder: tempfile::TempDir, options: &[&str]) -> Option<Master> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--enable-debug-command", "yes"])
            .args(options)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        for _ in 0..500 {
            if let Ok(socket) = TcpStream::connect(("127.0.0.1", port)) {
                socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
                return Some(Master { process, port, socket, folder });
            }
            pause(10);
        }
        None
    }

    fn ask(&mut self, line: &str) -> Value {
        let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.ask_parts(&parts)
    }

    pub(crate) fn ask_parts(&mut self, parts: &[&[u8]]) -> Value {
        let mut request = BytesMut::new();
        encode::command(&mut request, parts);
        self.socket.write_all(&request).expect("it takes requests");
        let (mut reader, mut buffer) = (ReplyReader::default(), [0; 65_536]);
        loop {
            if let Some(value) = reader.read().expect("a reply") {
                return value;
            }
            let count = self.socket.read(&mut buffer).expect("it answers");
            assert!(count > 0, "it closed the connection");
            reader.feed(Bytes::copy_from_slice(&buffer[..count]));
        }
    }

    /// A field of INFO.
    pub(crate) fn info(&mut self, name: &str) -> String {
        field(&self.ask("INFO all"), name)
    }
}

fn field(info: &Value, name: &str) -> String {
    let text = String::from_utf8_lossy(info.text().expect("INFO is text")).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// One simulated server whose connections are real sockets and whose clock is the real one.
pub(crate) struct Host {
    server: Server,
    out: Outbox,
    began: RealInstant,
    listener: TcpListener,
    sockets: BTreeMap<Fd, TcpStream>,
    /// Inputs for the next turn.
    inputs: VecDeque<Input>,
    jobs: Vec<(u64, Instant)>,
    disk: DiskImage,
    /// The connection that the test asks over, and what it got.
    asking: Option<Fd>,
    answers: ReplyReader,
    exited: bool,
}

impl Host {
    pub(crate) fn start(conf: &str, master: Option<u16>) -> Host {
        let mut host = Host::made(conf, master);
        host.begin();
        host
    }

    /// One whose log is kept.
    pub(crate) fn start_logged(conf: &str, master: Option<u16>) -> Host {
        let mut host = Host::made(conf, master);
        host.out.log = Some(Vec::new());
        host.begin();
        host
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.out.log.iter().flatten().map(|(_, line)| format!("{line}\n")).collect()
    }

    fn begin(&mut self) {
        let now = self.now();
        self.server.start(now, &DiskImage::new(), &mut self.out);
        self.apply(now.mono);
    }

    #[allow(clippy::disallowed_methods, reason = "a real master runs in real time")]
    fn made(conf: &str, master: Option<u16>) -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("bound").port();
        let init = Init {
            node: NodeId(0),
            name: "r1".into(),
            addr: Addr::new(Ip::LOOPBACK, port),
            seed: Seed(1),
            incarnation: 1,
            hosts: Arc::default(),
            cpu_milli: 0,
        };
        let follows = master.map(|master| format!("replicaof 127.0.0.1 {master}\n")).unwrap_or_default();
        let text = format!("save \"\"\nport {port}\nenable-debug-command yes\n{follows}{conf}\n");
        let directives = splitbrain::conf::parse(text.as_bytes()).expect("valid");
        let (config, _) = Config::from_directives(&directives).expect("valid");
        Host {
            server: Server::new(init, config),
            out: Outbox::default(),
            began: RealInstant::now(),
            listener,
            sockets: BTreeMap::new(),
            inputs: VecDeque::new(),
            jobs: Vec::new(),
            disk: DiskImage::new(),
            asking: None,
            answers: ReplyReader::default(),
            exited: false,
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a real master runs in real time")]
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let ns = |span: Duration| u64::try_from(span.as_nanos()).expect("this century");
        Now { mono: Instant(1_000 + ns(self.began.elapsed())), unix: Unix(ns(unix)) }
    }

    fn apply(&mut self, now: Instant) {
        for output in std::mem::take(&mut self.out.outputs) {
            match output {
                Output::Listen { .. } | Output::Busy(_) => {}
                Output::ReadDisk => self.inputs.push_back(Input::Files(self.disk.clone())),
                Output::Connect { fd, to } => match TcpStream::connect(("127.0.0.1", to.port)) {
                    Ok(socket) => {
                        socket.set_nonblocking(true).expect("a socket");
                        socket.set_nodelay(true).expect("a socket");
                        let port = socket.local_addr().expect("connected").port();
                        self.sockets.insert(fd, socket);
                        self.inputs.push_back(Input::Connected { fd, local: Addr::new(Ip::LOOPBACK, port) });
                    }
                    Err(_) => self.inputs.push_back(Input::Refused { fd, why: RefusedWhy::Refused }),
                },
                Output::Send { fd, data } => {
                    if self.asking == Some(fd) {
                        self.answers.feed(data);
                    } else if let Some(socket) = self.sockets.get_mut(&fd) {
                        socket.set_nonblocking(false).expect("a socket");
                        let _ = socket.write_all(&data);
                        socket.set_nonblocking(true).expect("a socket");
                    }
                }
                Output::AwaitWritable { fd } => {
                    self.inputs.push_back(Input::Writable { fd, room: SOCKET_ROOM });
                }
                Output::Close { fd } => {
                    self.sockets.remove(&fd);
                    self.inputs.retain(|input| !concerns(input, fd));
                }
                Output::Disk(request) => {
                    write_disk(&mut self.disk, request.op);
                    if let Some(op) = request.done {
                        self.inputs.push_back(Input::DiskDone { op, ok: true });
                    }
                }
                Output::Job { job, takes } => self.jobs.push((job, now + takes)),
                Output::KillJob { job } => self.jobs.retain(|(other, _)| *other != job),
                Output::Exit { .. } | Output::Restart { .. } => self.exited = true,
            }
        }
    }

    /// One turn of the event loop.
    fn turn(&mut self) {
        assert!(!self.exited, "the simulated server exited");
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true).expect("a socket");
            let port = socket.peer_addr().expect("connected").port();
            let fd = self.out.fds.open();
            self.sockets.insert(fd, socket);
            let local = Addr::new(Ip::LOOPBACK, self.listener.local_addr().expect("bound").port());
            self.inputs.push_back(Input::Accepted { fd, from: Addr::new(Ip::LOOPBACK, port), local });
        }
        let mut buffer = [0; 65_536];
        for (&fd, socket) in &mut self.sockets {
            match socket.read(&mut buffer) {
                Ok(0) => self.inputs.push_back(Input::Closed { fd, why: CloseWhy::Eof }),
                Ok(count) => {
                    self.inputs.push_back(Input::Bytes { fd, data: Bytes::copy_from_slice(&buffer[..count]) });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.inputs.push_back(Input::Closed { fd, why: CloseWhy::Reset }),
            }
        }
        let now = self.now();
        for (job, at) in std::mem::take(&mut self.jobs) {
            if at <= now.mono {
                self.inputs.push_back(Input::JobDone { job });
            } else {
                self.jobs.push((job, at));
            }
        }
        while let Some(input) = self.inputs.pop_front() {
            if let Input::Closed { fd, .. } | Input::Refused { fd, .. } = input {
                self.sockets.remove(&fd);
                self.out.fds.close(fd);
            }
            self.server.handle(now, input, &mut self.out);
            self.apply(now.mono);
        }
        if self.server.wake_at().is_some_and(|at| at <= now.mono) {
            self.server.handle(now, Input::Wake, &mut self.out);
        }
        self.server.handle(now, Input::LoopEnd, &mut self.out);
        self.apply(now.mono);
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.turn();
            pause(1);
        }
    }

    fn ask(&mut self, line: &str) -> Value {
        let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.ask_parts(&parts)
    }

    pub(crate) fn ask_parts(&mut self, parts: &[&[u8]]) -> Value {
        let fd = match self.asking {
            Some(fd) => fd,
            None => {
                let fd = self.out.fds.open();
                self.asking = Some(fd);
                let from = Addr::new(Ip::LOOPBACK, 1);
                self.inputs.push_back(Input::Accepted { fd, from, local: from });
                fd
            }
        };
        let mut request = BytesMut::new();
        encode::command(&mut request, parts);
        self.inputs.push_back(Input::Bytes { fd, data: request.freeze() });
        for _ in 0..2_000 {
            self.turn();
            if let Some(value) = self.answers.read().expect("a reply") {
                return value;
            }
            pause(1);
        }
        panic!("no answer to {:?}", String::from_utf8_lossy(parts[0]));
    }

    pub(crate) fn info(&mut self, name: &str) -> String {
        field(&self.ask("INFO all"), name)
    }

    /// Closes the connection to the master as a network that drops it does.
    fn cut(&mut self) {
        for (fd, socket) in std::mem::take(&mut self.sockets) {
            let _ = socket.shutdown(std::net::Shutdown::Both);
            self.inputs.push_back(Input::Closed { fd, why: CloseWhy::Reset });
        }
    }

    /// Runs until both stand at the same offset with the link up.
    pub(crate) fn settle(&mut self, master: &mut Master) {
        for _ in 0..400 {
            self.run_ms(20);
            let up = self.info("master_link_status") == "up";
            let online = master.info("slave0").contains("state=online");
            if up && online && self.info("slave_repl_offset") == master.info("master_repl_offset") {
                return;
            }
        }
        panic!("does not catch up: {:?} {:?}", self.ask("INFO replication"), master.ask("INFO replication"));
    }
}

fn concerns(input: &Input, of: Fd) -> bool {
    match input {
        Input::Accepted { fd, .. }
        | Input::Connected { fd, .. }
        | Input::Refused { fd, .. }
        | Input::Bytes { fd, .. }
        | Input::Closed { fd, .. }
        | Input::Writable { fd, .. } => *fd == of,
        Input::Wake
        | Input::DiskDone { .. }
        | Input::JobDone { .. }
        | Input::Files(_)
        | Input::Signal(_)
        | Input::LoopEnd => false,
    }
}

fn write_disk(disk: &mut DiskImage, op: DiskOp) {
    match op {
        DiskOp::Write { file, data } => {
            disk.insert(file, data);
        }
        DiskOp::Rename { from, to } => {
            let data = disk.remove(&from).expect("it was written");
            disk.insert(to, data);
        }
        DiskOp::Remove { file } => {
            disk.remove(&file);
        }
        DiskOp::Create { file } => {
            disk.insert(file, Bytes::new());
        }
        DiskOp::Append { .. } | DiskOp::Fsync { .. } | DiskOp::Truncate { .. } => {}
    }
}

/// Commands of all the kinds that change the stream, several of them rewritten in it.
fn write_some(master: &mut Master, round: usize) {
    for n in 0..60 {
        let value = match n % 4 {
            0 => format!("{}", i64::try_from(n).expect("small") * 37_000 - 1_000_000),
            1 => "abc".repeat(n * 40),
            2 => format!("value {n} of round {round}"),
            _ => (0..n * 300).map(|i| char::from(b'a' + u8::try_from((i * i + n) % 26).expect("below 26"))).collect(),
        };
        master.ask_parts(&[b"SET", format!("key:{round}:{n}").as_bytes(), value.as_bytes()]);
    }
    for line in [
        "SET expiring v EX 1000000",
        "SET soon v PX 1",
        "GET soon",
        "SET a 1 PXAT 1",
        "GETEX expiring PX 90000000",
        "SET f 1.5",
        "INCRBYFLOAT f 0.25",
        "EXPIRE f 100000",
        "EXPIRE nothing 1",
        "PEXPIREAT a 1",
        "SELECT 3",
        "MULTI",
        "INCRBY counter 7",
        "APPEND text more",
        "SELECT 4",
        "SET inside 4",
        "EXEC",
        "SELECT 0",
        "SET moved x",
        "MOVE moved 5",
        "SET copied x EX 100000",
        "COPY copied copy DB 6 REPLACE",
        "SWAPDB 5 6",
        "RENAME copied renamed",
        "GETDEL renamed",
        "PUBLISH channel message",
        "SETRANGE range 5 hello",
        "GETEX expiring PERSIST",
        "SET keep 1 EX 500",
        "SET keep 2 KEEPTTL",
        "SELECT 9",
        "SET gone 1",
        "FLUSHDB",
        "SELECT 0",
    ] {
        master.ask(line);
    }
    master.ask_parts(&[b"SET", b"long", "0123456789".repeat(9_000).as_bytes()]);
}

fn compare(master: &mut Master, host: &mut Host) {
    let mut compared = 0;
    for db in 0..16 {
        master.ask(&format!("SELECT {db}"));
        host.ask(&format!("SELECT {db}"));
        assert_eq!(host.ask("DBSIZE"), master.ask("DBSIZE"), "database {db}");
        let keys = master.ask("KEYS *");
        for key in keys.items().expect("KEYS answers an array") {
            let key = key.text().expect("a key");
            for command in [b"GET".as_slice(), b"PEXPIRETIME", b"TYPE"] {
                let (theirs, ours) = (master.ask_parts(&[command, key]), host.ask_parts(&[command, key]));
                assert_eq!(ours, theirs, "{} in database {db}", String::from_utf8_lossy(key));
            }
            compared += 1;
        }
    }
    assert!(compared > 60);
    master.ask("SELECT 0");
    host.ask("SELECT 0");
}

#[test]
fn a_simulated_replica_follows_a_real_master() {
    let cases = [
        (["--repl-diskless-sync", "yes"], "repl-diskless-load disabled"),
        (["--repl-diskless-sync", "yes"], "repl-diskless-load swapdb"),
        (["--repl-diskless-sync", "no"], "repl-diskless-load disabled"),
        (["--repl-diskless-sync", "no"], "repl-diskless-load on-empty-db"),
    ];
    for (options, conf) in cases {
        let options = [options.as_slice(), &["--repl-diskless-sync-delay", "0"]].concat();
        let Some(mut master) = Master::start(&options) else {
            println!("skipped: no redis-server here");
            return;
        };
        write_some(&mut master, 1);
        let mut host = Host::start(conf, Some(master.port));
        host.settle(&mut master);
        compare(&mut master, &mut host);
        write_some(&mut master, 2);
        host.settle(&mut master);
        compare(&mut master, &mut host);
        assert_eq!((master.info("sync_full"), master.info("sync_partial_ok")), ("1".to_owned(), "0".to_owned()));
        host.cut();
        write_some(&mut master, 3);
        host.settle(&mut master);
        compare(&mut master, &mut host);
        assert_eq!((master.info("sync_full"), master.info("sync_partial_ok")), ("1".to_owned(), "1".to_owned()));
        let slave = master.info("slave0");
        assert!(slave.contains("state=online") && slave.contains(&format!("port={}", host.server_port())), "{slave}");
        assert_eq!(host.info("master_replid"), master.info("master_replid"));
    }
}

impl Host {
    pub(crate) fn server_port(&self) -> u16 {
        self.listener.local_addr().expect("bound").port()
    }
}

#[test]
fn a_real_master_hands_its_role_to_a_simulated_replica_and_back() {
    let options = ["--repl-diskless-sync-delay", "0"];
    let Some(mut master) = Master::start(&options) else {
        println!("skipped: no redis-server here");
        return;
    };
    write_some(&mut master, 1);
    let mut host = Host::start("", Some(master.port));
    host.settle(&mut master);
    let port = host.server_port();
    let ok = Value::Simple(Bytes::from_static(b"OK"));
    assert_eq!(master.ask(&format!("FAILOVER TO 127.0.0.1 {port} TIMEOUT 5000")), ok);
    for _ in 0..500 {
        host.run_ms(10);
        if master.info("role") == "slave" && master.info("master_link_status") == "up" {
            break;
        }
    }
    assert_eq!((master.info("role"), host.info("role")), ("slave".to_owned(), "master".to_owned()));
    assert_eq!((host.info("sync_full"), host.info("sync_partial_ok")), ("0".to_owned(), "1".to_owned()));
    assert_eq!(host.info("master_replid2"), master.info("master_replid2"));
    host.ask("SET after failover");
    host.run_ms(1_500);
    assert_eq!(master.ask("GET after"), host.ask("GET after"));
    assert_eq!(master.info("slave_repl_offset"), host.info("master_repl_offset"));
    compare(&mut master, &mut host);
    let port = master.port;
    assert_eq!(host.ask(&format!("FAILOVER TO 127.0.0.1 {port} TIMEOUT 5000")), ok);
    for _ in 0..500 {
        host.run_ms(10);
        if host.info("role") == "slave" && host.info("master_link_status") == "up" {
            break;
        }
    }
    assert_eq!((master.info("role"), host.info("role")), ("master".to_owned(), "slave".to_owned()));
    write_some(&mut master, 2);
    host.settle(&mut master);
    compare(&mut master, &mut host);
    assert_eq!((host.info("master_replid"), host.info("sync_full")), (master.info("master_replid"), "0".to_owned()));
}
