//! The same requests to a real redis-sentinel and to ours: replies and the rewritten file must be the same.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use splitbrain::resp::{ReplyReader, Value, encode};

use super::bare::Bare;

/// A real sentinel, stopped when it goes out of scope.
struct Real {
    process: Child,
    stream: TcpStream,
    reader: ReplyReader,
    folder: PathBuf,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

impl Real {
    /// Starts one in a folder of its own; `None` when there is no redis-sentinel here.
    fn start(port: u16, conf: &str) -> Option<Real> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sentinel-{port}"));
        std::fs::create_dir_all(&folder).expect("a folder for the sentinel");
        let file = folder.join("sentinel.conf");
        std::fs::write(&file, conf).expect("its file");
        let process =
            Command::new("redis-sentinel").arg(&file).current_dir(&folder).stdout(Stdio::null()).spawn().ok()?;
        for _ in 0..100 {
            pause();
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
                return Some(Real { process, stream, reader: ReplyReader::default(), folder });
            }
        }
        None
    }

    fn ask(&mut self, line: &str) -> Value {
        let words = splitbrain::resp::split_args(line.as_bytes()).expect("balanced");
        let parts: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut request = BytesMut::new();
        encode::command(&mut request, &parts);
        self.stream.write_all(&request).expect("it listens");
        let mut buffer = [0; 65_536];
        loop {
            if let Some(value) = self.reader.read().expect("a reply") {
                return value;
            }
            let count = self.stream.read(&mut buffer).unwrap_or_else(|error| panic!("{line}: {error}"));
            self.reader.feed(Bytes::copy_from_slice(&buffer[..count]));
        }
    }

    /// Another connection, which hears all events.
    fn listener(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.stream.peer_addr().expect("connected")).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket");
        stream.write_all(b"PSUBSCRIBE *\r\n").expect("it listens");
        let mut buffer = [0; 64];
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(buffer[..count].starts_with(b"*3"), "subscribed");
        stream
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.folder.join("sentinel.conf")).expect("its file")
    }
}

/// What came to a connection, once nothing more comes.
fn pushed(stream: &mut TcpStream) -> Vec<Value> {
    let (mut reader, mut buffer) = (ReplyReader::default(), [0; 65_536]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        reader.feed(Bytes::copy_from_slice(&buffer[..count]));
    }
    std::iter::from_fn(|| reader.read().expect("replies")).collect()
}

/// Fields whose values are times, or depend on what time it is.
const TIMES: &[&str] = &[
    "last-ping-sent",
    "last-ok-ping-reply",
    "last-ping-reply",
    "role-reported-time",
    "info-refresh",
    "last-hello-message",
    "s-down-time",
    "o-down-time",
    "link-pending-commands",
    "flags",
];

/// The reply as text, without what differs between two processes.
fn plain(value: &Value) -> String {
    let Some(items) = value.items() else { return value.to_string() };
    let mut parts = Vec::new();
    let mut skip = false;
    for item in items {
        let text = plain(item);
        if std::mem::take(&mut skip) {
            parts.push("…".to_owned());
            continue;
        }
        skip = TIMES.contains(&text.trim_matches('"'));
        parts.push(text);
    }
    format!("[{}]", parts.join(", "))
}

fn conf(port: u16) -> String {
    format!(
        "port {port}\nsentinel myid bc33c9fa32e4256914b1ce1f4ed17a286fcd0e84\n\
         sentinel monitor mymaster 127.0.0.1 27890 2\nsentinel known-replica mymaster 127.0.0.1 27892\n\
         sentinel known-sentinel mymaster 127.0.0.1 27893 83eb925401116064972bf6604beb5c5b24644f83\n"
    )
}

/// A rewritten file whose added settings, which a real process writes in the order of a randomly seeded table, are sorted.
fn settled(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    let begins = lines.iter().position(|line| line.starts_with("# Generated")).map_or(lines.len(), |at| at + 1);
    let ends = lines.iter().position(|line| line.starts_with("user ")).unwrap_or(lines.len()).max(begins);
    lines[begins..ends].sort_unstable();
    lines
}

/// Both answer each request; what differs is collected. The files are compared now and then.
#[test]
fn a_real_sentinel_answers_the_same() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let conf = conf(port);
    let Some(mut real) = Real::start(port, &conf) else {
        eprintln!("skipped: there is no redis-sentinel on this machine");
        return;
    };
    let mut ours = Bare::new(&conf);
    let mut differences = String::new();
    let mut listener = real.listener();
    let ear = ours.open();
    ours.raw(ear, "PSUBSCRIBE *");
    for line in include_str!("real.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line == "FILE" {
            let ours = String::from_utf8(ours.files["sentinel.conf"].to_vec()).expect("text");
            let real = real.file().replace(&format!("dir \"{}\"\n", real.folder.display()), "");
            if settled(&ours) != settled(&real) {
                differences.push_str(&format!("FILE\n--- real\n{real}--- ours\n{ours}\n"));
            }
            continue;
        }
        let (theirs, mine) = (plain(&real.ask(line)), plain(&ours.ask(line)));
        if theirs != mine {
            differences.push_str(&format!("{line}\n  real {theirs}\n  ours {mine}\n"));
        }
    }
    let theirs: Vec<String> = pushed(&mut listener).iter().map(plain).collect();
    let mut reader = ReplyReader::default();
    reader.feed(Bytes::from(ours.heard(ear)));
    let mine: Vec<String> = std::iter::from_fn(|| reader.read().expect("replies")).map(|value| plain(&value)).collect();
    assert!(theirs.len() > 20, "{theirs:?}");
    for (index, (real, ours)) in theirs.iter().zip(&mine).enumerate().filter(|(_, (real, ours))| real != ours) {
        differences.push_str(&format!("message {index}\n  real {real}\n  ours {ours}\n"));
    }
    assert_eq!(theirs.len(), mine.len(), "real {theirs:#?}\nours {mine:#?}");
    assert!(differences.is_empty(), "\n{differences}");
}
