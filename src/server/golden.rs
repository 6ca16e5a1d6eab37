//! Replays what a real 7.0.15 server was asked and compares every reply and every byte of the stream.
//!
//! A step whose command isn't in the table yet is left out, with what depends on its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use super::config::Config;
use super::{Server, commands};
use crate::id::{Addr, Fd, Ip, NodeId};
use crate::node::{DiskImage, Init, Input, Node, Outbox, Output};
use crate::resp::{ReplyReader, encode};
use crate::rng::Seed;
use crate::time::{Instant, NS_PER_MS, Now, Unix};

#[derive(Deserialize)]
struct Session {
    #[serde(alias = "topic")]
    session: String,
    steps: Vec<Step>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Step {
    c: String,
    args: Option<Vec<String>>,
    reply: Option<String>,
    stream: Option<String>,
    recv: Option<String>,
    varies: Option<String>,
    sleep_ms: u64,
    ms_before: u64,
    ms_after: u64,
}

/// Text of the recordings is latin-1: one character for each byte.
fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("latin-1")).collect()
}

#[derive(Clone)]
struct Rig {
    server: Server,
    out: Outbox,
    now: Now,
    fds: BTreeMap<String, Fd>,
    received: BTreeMap<Fd, BytesMut>,
    closed: BTreeSet<Fd>,
    /// The database that the stream has selected.
    stream_db: Option<u32>,
}

impl Rig {
    fn new(start_ms: u64) -> Rig {
        let addr = Addr::new(Ip::new(127, 0, 0, 1), 6379);
        let init = Init {
            node: NodeId(0),
            name: "r1".into(),
            addr,
            seed: Seed(1),
            incarnation: 1,
            hosts: Arc::default(),
            cpu_milli: 0,
        };
        let directives = crate::conf::parse(b"save \"\"\nenable-debug-command yes\n").expect("valid");
        let (config, _) = Config::from_directives(&directives).expect("valid");
        let mut rig = Rig {
            server: Server::new(init, config),
            out: Outbox::default(),
            now: Now { mono: Instant(1_000), unix: Unix(start_ms * NS_PER_MS) },
            fds: BTreeMap::new(),
            received: BTreeMap::new(),
            closed: BTreeSet::new(),
            stream_db: None,
        };
        rig.server.tap = Some(Vec::new());
        rig.server.start(rig.now, &DiskImage::new(), &mut rig.out);
        rig.collect();
        rig
    }

    fn collect(&mut self) {
        for output in self.out.outputs.drain(..) {
            match output {
                Output::Send { fd, data } => self.received.entry(fd).or_default().extend_from_slice(&data),
                Output::Close { fd } => {
                    self.closed.insert(fd);
                }
                Output::AwaitWritable { .. }
                | Output::Listen { .. }
                | Output::Connect { .. }
                | Output::Disk(_)
                | Output::Busy(_)
                | Output::Job { .. }
                | Output::KillJob { .. }
                | Output::Exit { .. } => {}
            }
        }
    }

    fn turn(&mut self, input: Input) {
        self.server.handle(self.now, input, &mut self.out);
        self.server.handle(self.now, Input::LoopEnd, &mut self.out);
        self.collect();
    }

    fn fd(&mut self, name: &str) -> Fd {
        if let Some(fd) = self.fds.get(name).filter(|fd| !self.closed.contains(fd)) {
            return *fd;
        }
        let fd = self.out.fds.open();
        self.closed.remove(&fd);
        self.received.remove(&fd);
        let port = 40_000 + u16::try_from(fd.0).expect("few");
        let local = self.server.init.addr;
        self.turn(Input::Accepted { fd, from: Addr::new(Ip::LOOPBACK, port), local });
        self.fds.insert(name.to_owned(), fd);
        fd
    }

    fn send(&mut self, name: &str, args: &[String]) {
        let parts: Vec<Vec<u8>> = args.iter().map(|arg| bytes_of(arg)).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mut data = BytesMut::new();
        encode::command(&mut data, &parts);
        let fd = self.fd(name);
        self.turn(Input::Bytes { fd, data: data.freeze() });
    }

    /// Takes one whole reply off what a connection has received.
    fn take_reply(&mut self, name: &str) -> Vec<u8> {
        let fd = self.fds[name];
        let buffer = self.received.entry(fd).or_default();
        let mut reader = ReplyReader::default();
        reader.feed(Bytes::copy_from_slice(buffer));
        match reader.read() {
            Ok(Some(_)) => {
                let used = buffer.len() - reader.unread();
                buffer.split_to(used).to_vec()
            }
            _ => Vec::new(),
        }
    }

    /// The stream of a step that isn't compared may select another database.
    fn follow_select(&mut self, stream: &str) {
        if let Some((_, rest)) = stream.rsplit_once("SELECT\r\n") {
            let number = rest.split("\r\n").nth(1).expect("the number follows its length");
            self.stream_db = Some(number.parse().expect("a database number"));
        }
    }

    /// What was propagated since the last call, with SELECT where the stream needs it.
    fn take_stream(&mut self) -> Vec<u8> {
        let mut stream = BytesMut::new();
        for (db, bytes) in self.server.tap.replace(Vec::new()).expect("set at the start") {
            if self.stream_db != Some(db) {
                encode::command(&mut stream, &[b"SELECT", db.to_string().as_bytes()]);
                self.stream_db = Some(db);
            }
            stream.extend_from_slice(&bytes);
        }
        stream.to_vec()
    }
}

/// Which steps depend on commands that aren't there.
#[derive(Default)]
struct Gaps {
    keys: BTreeSet<String>,
    in_multi: BTreeMap<String, bool>,
}

#[derive(PartialEq)]
enum Treatment {
    Compare,
    Run,
    Skip,
}

impl Gaps {
    /// What to do with a step.
    fn treat(&mut self, step: &Step, reply: &str) -> Treatment {
        let Some(args) = &step.args else { return Treatment::Compare };
        let name = args[0].to_ascii_lowercase();
        if reply.starts_with("-ERR unknown") {
            return Treatment::Compare;
        }
        let not_yet = commands::replication::SPECS.iter().any(|spec| spec.name == name);
        let known = !not_yet
            && commands::lookup(name.as_bytes()).is_some_and(|command| {
                command.subs.is_empty() || args.len() < 2 || commands::lookup_sub(command, args[1].as_bytes()).is_some()
            });
        let skip = !known || args.iter().skip(1).any(|arg| self.keys.contains(arg));
        if skip {
            self.keys.extend(args.iter().skip(1).take(2).filter(|arg| arg.len() < 10).cloned());
        }
        if name == "multi" {
            self.in_multi.entry(step.c.clone()).or_insert(false);
        }
        if let Some(gap) = self.in_multi.get_mut(&step.c) {
            *gap |= skip;
            if name == "exec" && self.in_multi.remove(&step.c) == Some(true) {
                return Treatment::Run;
            }
        }
        let looks_at_all = matches!(name.as_str(), "dbsize" | "randomkey" | "scan" | "keys" | "info");
        match (skip, looks_at_all && !self.keys.is_empty()) {
            (true, _) => Treatment::Skip,
            (false, true) => Treatment::Run,
            (false, false) => Treatment::Compare,
        }
    }
}

fn sorted(reply: &[u8]) -> Vec<u8> {
    let mut bytes = reply.to_vec();
    bytes.sort_unstable();
    bytes
}

fn show(bytes: &[u8]) -> String {
    crate::resp::quote(bytes)
}

fn replay(rig: &mut Rig, step: &Step) -> (Vec<u8>, Vec<u8>) {
    if let Some(args) = &step.args {
        rig.send(&step.c, args);
        (rig.take_reply(&step.c), rig.take_stream())
    } else {
        (Vec::new(), rig.take_stream())
    }
}

#[test]
fn stream_is_byte_for_byte() {
    let text = include_str!("../../tests/golden/stream.json");
    let topics: Vec<Session> = serde_json::from_str(text).expect("a recording");
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for topic in topics {
        let mut rig = Rig::new(topic.steps[0].ms_before);
        rig.server.active_expire = false;
        let mut gaps = Gaps::default();
        for (number, step) in topic.steps.iter().enumerate() {
            match gaps.treat(step, step.reply.as_deref().unwrap_or_default()) {
                Treatment::Compare => {}
                Treatment::Run => {
                    replay(&mut rig, step);
                    rig.follow_select(step.stream.as_deref().unwrap_or_default());
                    continue;
                }
                Treatment::Skip => {
                    rig.follow_select(step.stream.as_deref().unwrap_or_default());
                    continue;
                }
            }
            let reply = bytes_of(step.reply.as_deref().unwrap_or_default());
            let stream = bytes_of(step.stream.as_deref().unwrap_or_default());
            // The server read its clock somewhere between the two; any millisecond that explains the bytes will do.
            let mut results = Vec::new();
            let fits = (step.ms_before..=step.ms_after.min(step.ms_before + 200)).find_map(|ms| {
                let mut fork = rig.clone();
                fork.now = Now { mono: Instant(rig.now.mono.0 + 1_000_000), unix: Unix(ms * NS_PER_MS) };
                let (got, fed) = replay(&mut fork, step);
                let same = (got == reply || step.varies.is_some()) && fed == stream;
                results.push((got, fed));
                same.then_some(fork)
            });
            compared += 1;
            match fits {
                Some(fork) => rig = fork,
                None => {
                    let (got, fed) = results.pop().expect("at least one was tried");
                    wrong.push(format!(
                        "{} step {number} {:?}\n  reply {}\n    got {}\n  stream {}\n     got {}",
                        topic.session,
                        step.args,
                        show(&reply),
                        show(&got),
                        show(&stream),
                        show(&fed)
                    ));
                    replay(&mut rig, step);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} steps differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 150, "only {compared} steps were compared");
}

/// Steps of the transcripts that show what isn't modelled: the slow log, client side caching, key specifications and the size of
/// the whole command table.
fn is_left_out(step: &Step) -> bool {
    let args: Vec<&str> = step.args.iter().flatten().map(String::as_str).collect();
    match args.as_slice() {
        ["SLOWLOG", "LEN"] | ["COMMAND", "COUNT"] | ["CLIENT", "UNBLOCK", ..] => true,
        ["COMMAND", "LIST", ..] => true,
        ["COMMAND", "INFO", name, ..] => *name != "nosuch",
        _ => step.recv.as_deref().is_some_and(|push| push.contains("invalidate") || push == "*-1\r\n"),
    }
}

#[test]
fn replies_are_byte_for_byte() {
    let text = include_str!("../../tests/golden/transcripts.json");
    let sessions: Vec<Session> = serde_json::from_str(text).expect("a recording");
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for session in sessions {
        let mut rig = Rig::new(1_795_000_000_000);
        let mut gaps = Gaps::default();
        for (number, step) in session.steps.iter().enumerate() {
            rig.now.mono.0 += (step.sleep_ms + 1) * NS_PER_MS;
            rig.now.unix.0 += (step.sleep_ms + 1) * NS_PER_MS;
            let expected = step.reply.as_ref().or(step.recv.as_ref()).map(|text| bytes_of(text)).unwrap_or_default();
            let treatment = gaps.treat(step, step.reply.as_deref().unwrap_or_default());
            if treatment == Treatment::Skip {
                continue;
            }
            let got = if step.recv.is_some() { rig.take_reply(&step.c) } else { replay(&mut rig, step).0 };
            let same = match step.varies.as_deref() {
                Some("order") => sorted(&got) == sorted(&expected),
                Some(_) => got.len() > 2,
                None => got == expected,
            };
            if treatment == Treatment::Run || is_left_out(step) {
                continue;
            }
            compared += 1;
            if !same {
                let label = step.args.as_ref().map_or("(recv)".to_owned(), |args| format!("{args:?}"));
                wrong.push(format!(
                    "{} step {number} {label}\n  want {}\n  got  {}",
                    session.session,
                    show(&expected),
                    show(&got)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} steps differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 400, "only {compared} steps were compared");
}
