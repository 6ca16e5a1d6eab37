//! Servers in a world, driven command by command.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use splitbrain::fault::Fault;
use splitbrain::id::Addr;
use splitbrain::resp::{ReplyReader, Value, encode};
use splitbrain::rng::Seed;
use splitbrain::time::{Instant, Span};
use splitbrain::trace::event::{ServerEvent, SyncKind};
use splitbrain::trace::{Event, Kind};
use splitbrain::world::{Injection, Outside, World};

use crate::scenario_files::load;

/// An open connection from outside.
#[derive(Default)]
struct Conn {
    id: u32,
    reader: ReplyReader,
}

/// A deployment of servers with connections to them. A connection is named by its node's number and a letter.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) events: Vec<Event>,
    conns: BTreeMap<(usize, char), Conn>,
    next_conn: u32,
    /// What came back on connections that are not the rig's own.
    pub(crate) strays: Vec<Outside>,
}

impl Rig {
    /// Servers n1, n2, …: the first a master, the others its replicas, with these directives for all.
    pub(crate) fn new(servers: usize, config: &str) -> Rig {
        let mut text = format!("name = \"rig\"\nduration = \"1h\"\n[defaults.redis]\n{config}\n");
        text.push_str("[network]\nlatency = \"0.05ms\"\n");
        for n in 1..=servers {
            let follows = if n > 1 { "replicaof = \"n1\"\n" } else { "" };
            text.push_str(&format!("[[redis]]\nname = \"n{n}\"\n{follows}"));
        }
        Rig::from_text(&text)
    }

    pub(crate) fn from_text(text: &str) -> Rig {
        let loaded = match load(Path::new("rig.toml"), text, &[]) {
            Ok(loaded) => loaded,
            Err(report) => panic!("{report}\n{text}"),
        };
        let world = World::new(Arc::new(loaded.scenario), Seed(7));
        Rig { world, events: Vec::new(), conns: BTreeMap::new(), next_conn: 0, strays: Vec::new() }
    }

    pub(crate) fn addr(&self, n: usize) -> Addr {
        self.world.scenario().nodes[n - 1].addr
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, span: Span) {
        let to = self.world.now() + span;
        self.world.advance(to);
        self.world.drain(&mut self.events);
        for outside in self.world.take_outside() {
            let id = match outside {
                Outside::Connected { id }
                | Outside::Bytes { id, .. }
                | Outside::Refused { id, .. }
                | Outside::Closed { id, .. }
                | Outside::Writable { id }
                | Outside::Dial { id, .. } => id,
            };
            let Some(conn) = self.conns.values_mut().find(|conn| conn.id == id) else {
                self.strays.push(outside);
                continue;
            };
            match outside {
                Outside::Connected { .. } | Outside::Writable { .. } | Outside::Dial { .. } => {}
                Outside::Bytes { data, .. } => conn.reader.feed(data),
                Outside::Refused { .. } | Outside::Closed { .. } => self.conns.retain(|_, conn| conn.id != id),
            }
        }
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.run(Span::from_ms(ms));
    }

    /// Sends bytes to a server over one of its connections, which is opened if need be.
    pub(crate) fn send(&mut self, n: usize, c: char, data: Bytes) {
        let to = self.addr(n);
        let id = match self.conns.get(&(n, c)) {
            Some(conn) => conn.id,
            None => {
                self.next_conn += 1;
                self.world.inject(Injection::Connect { id: self.next_conn, to });
                self.conns.insert((n, c), Conn { id: self.next_conn, ..Conn::default() });
                self.next_conn
            }
        };
        self.world.inject(Injection::Bytes { id, data });
    }

    /// The connection is there still.
    pub(crate) fn is_connected(&self, n: usize, c: char) -> bool {
        self.conns.contains_key(&(n, c))
    }

    /// Sends a command and waits for the answer, for a second at most.
    pub(crate) fn try_cmd_on(&mut self, n: usize, c: char, parts: &[&str]) -> Option<Value> {
        let words: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        self.try_words_on(n, c, &words)
    }

    /// The same with words that need not be text.
    pub(crate) fn try_words_on(&mut self, n: usize, c: char, words: &[&[u8]]) -> Option<Value> {
        let mut request = BytesMut::new();
        encode::command(&mut request, words);
        self.send(n, c, request.freeze());
        for _ in 0..10_000 {
            let Some(value) = self.conns.get_mut(&(n, c))?.reader.read().expect("a reply") else {
                self.run(Span::from_us(100));
                continue;
            };
            return Some(value);
        }
        // A late answer must not be taken for that of the next command.
        if let Some(conn) = self.conns.remove(&(n, c)) {
            self.world.inject(Injection::Close { id: conn.id });
        }
        None
    }

    pub(crate) fn try_cmd(&mut self, n: usize, parts: &[&str]) -> Option<Value> {
        self.try_cmd_on(n, 'a', parts)
    }

    pub(crate) fn cmd(&mut self, n: usize, parts: &[&str]) -> Value {
        match self.try_cmd(n, parts) {
            Some(value) => value,
            None => panic!("n{n} did not answer {parts:?}\n{}", self.log()),
        }
    }

    pub(crate) fn text(&mut self, n: usize, line: &str) -> String {
        let parts: Vec<&str> = line.split(' ').collect();
        self.cmd(n, &parts).to_string()
    }

    pub(crate) fn set(&mut self, n: usize, key: &str, value: &str) {
        let value = self.cmd(n, &["SET", key, value]);
        assert_eq!(value, Value::Simple(Bytes::from("OK")));
    }

    /// Writes that many bytes into the stream, in commands of 100.
    pub(crate) fn write_bytes(&mut self, n: usize, bytes: usize) {
        for i in 0..bytes / 100 {
            let value = "v".repeat(100 - 35);
            self.set(n, &format!("k{:03}", i % 1000), &value);
        }
    }

    pub(crate) fn role(&mut self, n: usize) -> Value {
        self.cmd(n, &["ROLE"])
    }

    /// A replica's link is up, and it stands where its master stands.
    pub(crate) fn is_synced(&mut self, n: usize) -> bool {
        let role = self.role(n);
        let items = role.items().expect("ROLE answers an array").to_vec();
        items[0].text() == Some(b"slave") && items[3].text() == Some(b"connected")
    }

    pub(crate) fn offset(&mut self, n: usize) -> i64 {
        let role = self.role(n);
        let items = role.items().expect("ROLE answers an array");
        items[if items[0].text() == Some(b"master") { 1 } else { 4 }].integer().expect("an offset")
    }

    pub(crate) fn wait_synced(&mut self, replicas: &[usize]) {
        for _ in 0..200 {
            if replicas.iter().all(|&n| self.is_synced(n)) {
                return;
            }
            self.run_ms(100);
        }
        panic!("not synced\n{}", self.log());
    }

    pub(crate) fn fault(&mut self, fault: Fault, lasts: Option<Span>) {
        self.world.inject(Injection::Fault { fault, lasts });
    }

    pub(crate) fn log(&self) -> String {
        self.events
            .iter()
            .filter(|event| matches!(event.kind, Kind::Server(_) | Kind::World(_)))
            .map(|event| format!("{} {:?} {}\n", event.at, event.node, event.kind))
            .collect()
    }

    pub(crate) fn said(&self, n: usize, since: Instant) -> impl Iterator<Item = &ServerEvent> {
        let node = u16::try_from(n - 1).expect("few nodes");
        self.events
            .iter()
            .filter(move |event| event.at >= since && event.node.is_some_and(|id| id.0 == node))
            .filter_map(|event| if let Kind::Server(said) = &event.kind { Some(said) } else { None })
    }

    pub(crate) fn syncs(&self, n: usize, since: Instant) -> Vec<SyncKind> {
        self.said(n, since)
            .filter_map(|e| if let ServerEvent::Synced { kind, .. } = e { Some(*kind) } else { None })
            .collect()
    }

    /// Both ends have the same data, by what a replica with the same offset must answer.
    pub(crate) fn same_values(&mut self, a: usize, b: usize, keys: &[&str]) {
        for key in keys {
            let (one, other) = (self.cmd(a, &["GET", key]), self.cmd(b, &["GET", key]));
            assert_eq!(one, other, "{key} on n{a} and n{b}");
        }
    }
}
