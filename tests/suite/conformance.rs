//! Scripts of requests whose replies were recorded from a real redis-server 7.0.15: ours must answer the same bytes.
//!
//! `tests/golden/scripts/*.txt`. A line `a> SET k v` sends a request over connection `a`, `a| "PING\r\n"` raw bytes; the lines
//! `a< "+OK\r\n"` below are what each connection then got, `a closed` that the server closed it. After `a~>` numbers
//! are compared only as numbers, after `a?>` nothing is compared. `sleep 100` waits that many milliseconds; `config name value` sets a directive at the start.
//! `UPDATE=1` records anew where redis-server 7.0.15 is installed.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use splitbrain::resp::{encode, quote, split_args};
use splitbrain::time::Span;
use splitbrain::world::{Injection, Outside};

use crate::rig::Rig;

/// Connections of scripts are numbered from here, those of the rig from 1.
const FIRST_ID: u32 = 1_000;
/// The connection that waits for the others.
const CONTROL: &str = "control";

/// What a connection got in one step; the flag: it was closed.
type Got = BTreeMap<String, (Vec<u8>, bool)>;

/// Whoever answers requests.
trait Target {
    /// Sends bytes over a connection, which is opened if need be, and waits until all have what they get.
    fn exchange(&mut self, conn: &str, data: &[u8]) -> Got;
    /// Lets time pass.
    fn sleep(&mut self, ms: u64) -> Got;
}

/// Our server in a world of its own.
struct Ours {
    rig: Rig,
    ids: BTreeMap<String, u32>,
    next: u32,
}

impl Ours {
    fn start(config: &[(String, String)]) -> Ours {
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
                Outside::Connected { .. } => {}
                Outside::Bytes { id, data } => {
                    if let Some(name) = name(id) {
                        got.entry(name).or_default().0.extend_from_slice(&data);
                    }
                }
                Outside::Refused { id, .. } | Outside::Closed { id, .. } => {
                    if let Some(name) = name(id) {
                        self.ids.remove(&name);
                        got.entry(name).or_default().1 = true;
                    }
                }
            }
        }
        got
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
struct Real {
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
    fn start(config: &[(String, String)]) -> Option<Real> {
        let folder = tempfile::tempdir().ok()?;
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--enable-debug-command", "yes"]);
        for (name, value) in config {
            command.arg(format!("--{name}")).args(value.split(' '));
        }
        let process = command.arg("--dir").arg(folder.path()).stdout(Stdio::null()).spawn().ok()?;
        let mut real = Real { process, port, sockets: BTreeMap::new(), _folder: folder };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                // That connection counts: it takes the number of the control connection of ours.
                std::thread::sleep(Duration::from_millis(20));
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
            socket.set_read_timeout(Some(Duration::from_millis(1_000))).expect("a socket");
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

/// What a script line asks for.
enum Step<'a> {
    Send {
        conn: &'a str,
        data: Vec<u8>,
        how: How,
    },
    Sleep(u64, How),
    /// A comment or a directive.
    Nothing,
}

/// How what a step brings is compared.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Exactly,
    Masked,
    NotAtAll,
}

impl How {
    fn of(head: &str) -> How {
        match (head.contains('~'), head.contains('?')) {
            (true, _) => How::Masked,
            (_, true) => How::NotAtAll,
            (false, false) => How::Exactly,
        }
    }
}

/// A line that isn't a recorded reply.
fn parse(line: &str) -> Step<'_> {
    if let Some((head, ms)) = line.split_once(' ').filter(|(head, _)| head.starts_with("sleep")) {
        return Step::Sleep(ms.parse().expect("milliseconds"), How::of(head));
    }
    if line.starts_with('#') || line.starts_with("config ") || line.trim().is_empty() {
        return Step::Nothing;
    }
    let (conn, rest) = line.split_once(' ').unwrap_or_else(|| panic!("not a step: {line}"));
    let words = split_args(rest.as_bytes()).unwrap_or_else(|| panic!("quotes: {line}"));
    let data = if conn.ends_with('|') {
        words.concat()
    } else {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut data = BytesMut::new();
        encode::command(&mut data, &words);
        data.to_vec()
    };
    let name = conn.trim_end_matches(['>', '|', '~', '?']);
    Step::Send { conn: name, data, how: How::of(conn) }
}

/// Numbers are all alike, and so are ids of 40 digits.
fn mask(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let end = word.len()
            - word.chars().next_back().map_or(0, |c| if c.is_ascii_alphanumeric() { 0 } else { c.len_utf8() });
        let (text, rest) = word.split_at(end);
        if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            out.push('#');
        } else {
            for c in text.chars() {
                if !c.is_ascii_digit() {
                    out.push(c);
                } else if !out.ends_with('#') {
                    out.push('#');
                }
            }
        }
        out.push_str(rest);
    }
    out
}

fn is_reply(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(head, rest)| head.ends_with('<') || rest == "closed")
}

/// The script with the replies that this target gives.
fn play(script: &str, target: &mut dyn Target) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    for line in script.lines().filter(|line| !is_reply(line)) {
        lines.push((line.to_owned(), false));
        let (got, how) = match parse(line) {
            Step::Send { conn, data, how } => (target.exchange(conn, &data), how),
            Step::Sleep(ms, how) => (target.sleep(ms), how),
            Step::Nothing => continue,
        };
        let varies = how == How::Masked;
        for (name, (bytes, closed)) in got.into_iter().filter(|_| how != How::NotAtAll) {
            if !bytes.is_empty() {
                lines.push((format!("{name}< {}", quote(&bytes)), varies));
            }
            if closed {
                lines.push((format!("{name} closed"), false));
            }
        }
    }
    lines
}

fn directives(script: &str) -> Vec<(String, String)> {
    let words = script.lines().filter_map(|line| line.strip_prefix("config "));
    words.filter_map(|line| line.split_once(' ')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scripts");
    let folder = std::env::var_os("SCRIPTS").map_or(folder, PathBuf::from);
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "txt"));
    files.sort();
    files
}

/// Where two transcripts of the same script differ.
fn differences(wanted: &[&str], got: &[(String, bool)]) -> Vec<String> {
    let steps = |lines: &mut dyn Iterator<Item = (String, bool)>| {
        let mut steps: Vec<(String, Vec<String>)> = vec![(String::new(), Vec::new())];
        for (line, varies) in lines {
            if is_reply(&line) {
                let text = if varies { mask(&line) } else { line };
                steps.last_mut().expect("the first").1.push(text);
            } else {
                steps.push((line, Vec::new()));
            }
        }
        steps
    };
    let mut varies = false;
    let wanted = steps(&mut wanted.iter().map(|line| {
        if !is_reply(line) {
            varies = line.split(' ').next().is_some_and(|head| head.contains('~'));
        }
        ((*line).to_owned(), varies && !line.ends_with(" closed"))
    }));
    let got = steps(&mut got.iter().cloned());
    assert_eq!(wanted.len(), got.len(), "the same script");
    let mut wrong = Vec::new();
    for ((line, want), (_, got)) in wanted.iter().zip(&got).filter(|(want, got)| want.1 != got.1) {
        wrong.push(format!("{line}\n  want {}\n  got  {}", want.join("\n       "), got.join("\n       ")));
    }
    wrong
}

#[test]
fn scripts_are_answered_as_a_real_server_does() {
    let update = std::env::var_os("UPDATE").is_some();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for file in scripts() {
        let mut text = std::fs::read_to_string(&file).expect("a script");
        let config = directives(&text);
        if update && let Some(mut real) = Real::start(&config) {
            let lines = play(&text, &mut real);
            text = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
            std::fs::write(&file, &text).expect("the file can be written");
        }
        let got = play(&text, &mut Ours::start(&config));
        let lines: Vec<&str> = text.lines().collect();
        compared += lines.iter().filter(|line| is_reply(line)).count();
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        wrong.extend(differences(&lines, &got).into_iter().map(|text| format!("{name}: {text}")));
    }
    assert!(wrong.is_empty(), "{} of {compared} replies differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 0, "nothing was compared");
}
