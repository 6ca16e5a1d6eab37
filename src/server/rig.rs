//! A server on a bench: tests open connections, send commands and read what comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Server;
use super::config::Config;
use crate::id::{Addr, Fd, Ip, NodeId};
use crate::node::{DiskImage, Init, Input, Node, Outbox, Output};
use crate::resp::{ReplyReader, encode};
use crate::rng::Seed;
use crate::time::{Instant, NS_PER_MS, Now, Unix};

/// Text of recordings is latin-1: one character for each byte.
pub(super) fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("latin-1")).collect()
}

/// One server with its connections.
#[derive(Clone)]
pub(super) struct Rig {
    pub(super) server: Server,
    pub(super) out: Outbox,
    pub(super) now: Now,
    pub(super) fds: BTreeMap<String, Fd>,
    pub(super) received: BTreeMap<Fd, BytesMut>,
    pub(super) closed: BTreeSet<Fd>,
    /// The database that the stream has selected.
    pub(super) stream_db: Option<u32>,
    /// Outputs that aren't bytes.
    pub(super) others: Vec<Output>,
}

impl Rig {
    /// A server for recordings: what it propagates is kept.
    pub(super) fn new(start_ms: u64) -> Rig {
        let mut rig = Rig::with("", start_ms, 0);
        rig.server.tap = Some(Vec::new());
        rig
    }

    /// A started server with these directives.
    pub(super) fn with(conf: &str, start_ms: u64, cpu_milli: u32) -> Rig {
        let addr = Addr::new(Ip::new(127, 0, 0, 1), 6379);
        let init = Init {
            node: NodeId(0),
            name: "r1".into(),
            addr,
            seed: Seed(1),
            incarnation: 1,
            hosts: Arc::default(),
            cpu_milli,
        };
        let text = format!("save \"\"\nenable-debug-command yes\n{conf}");
        let directives = crate::conf::parse(text.as_bytes()).expect("valid");
        let (config, _) = Config::from_directives(&directives).expect("valid");
        let mut rig = Rig {
            server: Server::new(init, config),
            out: Outbox::default(),
            now: Now { mono: Instant(1_000), unix: Unix(start_ms * NS_PER_MS) },
            fds: BTreeMap::new(),
            received: BTreeMap::new(),
            closed: BTreeSet::new(),
            stream_db: None,
            others: Vec::new(),
        };
        rig.server.start(rig.now, &DiskImage::new(), &mut rig.out);
        rig.collect();
        rig
    }

    pub(super) fn collect(&mut self) {
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
                | Output::ReadDisk
                | Output::Busy(_)
                | Output::Job { .. }
                | Output::KillJob { .. }
                | Output::Exit { .. }
                | Output::Restart { .. } => self.others.push(output),
            }
        }
    }

    pub(super) fn turn(&mut self, input: Input) {
        self.server.handle(self.now, input, &mut self.out);
        self.server.handle(self.now, Input::LoopEnd, &mut self.out);
        self.collect();
    }

    pub(super) fn fd(&mut self, name: &str) -> Fd {
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

    pub(super) fn send(&mut self, name: &str, args: &[String]) {
        let parts: Vec<Vec<u8>> = args.iter().map(|arg| bytes_of(arg)).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mut data = BytesMut::new();
        encode::command(&mut data, &parts);
        let fd = self.fd(name);
        self.turn(Input::Bytes { fd, data: data.freeze() });
    }

    /// Takes one whole reply off what a connection has received.
    pub(super) fn take_reply(&mut self, name: &str) -> Vec<u8> {
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

    /// What was propagated since the last call, with SELECT where the stream needs it.
    pub(super) fn take_stream(&mut self) -> Vec<u8> {
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

    /// Sends a command given as words and takes its reply.
    pub(super) fn ask(&mut self, name: &str, words: &str) -> String {
        let args: Vec<String> = words.split(' ').map(str::to_owned).collect();
        self.send(name, &args);
        String::from_utf8_lossy(&self.take_reply(name)).into_owned()
    }

    /// Lets time pass, waking the server when it wants to be.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.mono.0 + ms * NS_PER_MS;
        while let Some(at) = self.server.wake_at().filter(|at| at.0 <= end) {
            self.advance_to(at.0.max(self.now.mono.0));
            self.turn(Input::Wake);
        }
        self.advance_to(end);
    }

    fn advance_to(&mut self, mono: u64) {
        self.now.unix.0 += mono - self.now.mono.0;
        self.now.mono.0 = mono;
    }
}
