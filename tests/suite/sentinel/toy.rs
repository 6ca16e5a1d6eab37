//! A server that knows just enough for a sentinel: PING, INFO, PUBLISH and SUBSCRIBE, SLAVEOF, AUTH, replication as
//! one connection from each replica to its master.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use splitbrain::id::{Addr, Fd, HexId, Ip};
use splitbrain::node::{DiskImage, Init, Input, Node, Outbox};
use splitbrain::resp::{Args, CommandReader, Limits, encode};
use splitbrain::scenario::{NodeKind, Scenario};
use splitbrain::sentinel::Sentinel;
use splitbrain::time::{Instant, Now, Span};
use splitbrain::world::Factory;

/// How toy servers differ from plain ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traits {
    /// Password of every server.
    pub(crate) password: Option<&'static str>,
    /// Replica priorities by node name; 100 otherwise.
    pub(crate) priorities: BTreeMap<&'static str, i32>,
    /// Replication offsets by node name; 1000 otherwise.
    pub(crate) offsets: BTreeMap<&'static str, u64>,
    /// Servers that answer `-BUSY` from this second on, until SCRIPT KILL.
    pub(crate) busy_from: BTreeMap<&'static str, u64>,
    /// Whom servers follow at first, by node name; `None`: nobody. Otherwise the first server.
    pub(crate) follows: BTreeMap<&'static str, Option<&'static str>>,
    /// Run every tick of sentinels' timers.
    pub(crate) every_tick: bool,
}

/// Toy servers and real sentinels; clients are left out.
pub(crate) fn programs(traits: Traits) -> Factory {
    Arc::new(move |scenario: &Scenario, init: Init| match &scenario.nodes[init.node.index()].kind {
        NodeKind::Sentinel(config) => {
            let sentinel = Sentinel::new(init, (**config).clone());
            Box::new(if traits.every_tick { sentinel.running_every_tick() } else { sentinel })
        }
        NodeKind::Server(_) | NodeKind::Client(_) | NodeKind::Locker(_) | NodeKind::Resource(_) => {
            let first = scenario.nodes.iter().find(|node| matches!(node.kind, NodeKind::Server(_)));
            let first = first.expect("there is a server").addr;
            let named = |name: &str| scenario.nodes[scenario.node(name).expect("a node").index()].addr;
            let master = match traits.follows.get(&*init.name) {
                Some(other) => other.map(named),
                None => (init.addr != first).then_some(first),
            };
            Box::new(Toy::new(init, master, &traits))
        }
    })
}

#[derive(Clone, Debug, Default)]
struct Peer {
    reader: CommandReader,
    out: BytesMut,
    authenticated: bool,
    subscribed: bool,
    /// A replica's listening address.
    replica: Option<Addr>,
    queued: Option<Vec<Vec<Vec<u8>>>>,
}

#[derive(Clone, Debug)]
struct Toy {
    init: Init,
    run_id: HexId,
    password: Option<&'static str>,
    priority: i32,
    offset: u64,
    busy_from: Option<Instant>,
    master: Option<Addr>,
    link: Option<(Fd, bool)>,
    retry_at: Option<Instant>,
    peers: BTreeMap<Fd, Peer>,
}

impl Toy {
    fn new(init: Init, master: Option<Addr>, traits: &Traits) -> Toy {
        let run_id = HexId::random(&mut init.seed.stream(&init.name, "run id"));
        let name = &*init.name;
        Toy {
            run_id,
            password: traits.password,
            priority: traits.priorities.get(name).copied().unwrap_or(100),
            offset: traits.offsets.get(name).copied().unwrap_or(1000),
            busy_from: traits.busy_from.get(name).map(|&second| Instant::ZERO + Span::from_secs(second)),
            master,
            link: None,
            retry_at: None,
            peers: BTreeMap::new(),
            init,
        }
    }

    fn connect_master(&mut self, now: Now, out: &mut Outbox) {
        self.retry_at = Some(now.mono + Span::from_secs(1));
        if let (Some(master), None) = (self.master, self.link) {
            self.link = Some((out.connect(master), false));
        }
    }

    fn follow(&mut self, now: Now, master: Option<Addr>, out: &mut Outbox) {
        if let Some((fd, _)) = self.link.take() {
            out.close(fd);
        }
        self.master = master;
        if self.master.is_some() {
            self.connect_master(now, out);
        }
    }

    fn info(&self) -> String {
        let mut text = format!("# Server\r\nredis_version:7.0.15\r\nrun_id:{}\r\n# Replication\r\n", self.run_id);
        match self.master {
            None => text.push_str("role:master\r\n"),
            Some(master) => {
                let up = self.link.is_some_and(|(_, up)| up);
                text.push_str(&format!(
                    "role:slave\r\nmaster_host:{}\r\nmaster_port:{}\r\nmaster_link_status:{}\r\nslave_repl_offset:{}\r\n",
                    master.ip,
                    master.port,
                    if up { "up" } else { "down" },
                    self.offset
                ));
                if !up {
                    text.push_str("master_link_down_since_seconds:1\r\n");
                }
                text.push_str(&format!("slave_priority:{}\r\nreplica_announced:1\r\n", self.priority));
            }
        }
        for (index, replica) in self.peers.values().filter_map(|peer| peer.replica).enumerate() {
            let (ip, port) = (replica.ip, replica.port);
            text.push_str(&format!("slave{index}:ip={ip},port={port},state=online,offset=1,lag=0\r\n"));
        }
        text
    }

    fn publish(&mut self, channel: &[u8], message: &[u8]) -> i64 {
        let mut delivered = 0;
        for peer in self.peers.values_mut() {
            if peer.subscribed {
                encode::command(&mut peer.out, &[b"message", channel, message]);
                delivered += 1;
            } else if peer.replica.is_some() {
                encode::command(&mut peer.out, &[b"PUBLISH", channel, message]);
            }
        }
        delivered
    }

    fn execute(&mut self, now: Now, fd: Fd, parts: &[Vec<u8>], out: &mut Outbox) {
        let word = |i: usize| parts.get(i).map(|part| String::from_utf8_lossy(part).to_ascii_uppercase());
        let name = word(0).unwrap_or_default();
        let busy = self.busy_from.is_some_and(|from| from <= now.mono);
        let mut reply = BytesMut::new();
        let peer = self.peers.get_mut(&fd).expect("it is connected");
        match name.as_str() {
            "AUTH" => {
                peer.authenticated = parts.last().map(Vec::as_slice) == self.password.map(str::as_bytes);
                encode::simple(&mut reply, b"OK");
            }
            _ if self.password.is_some() && !peer.authenticated => {
                encode::error(&mut reply, "NOAUTH Authentication required.");
            }
            "EXEC" => {
                let queued = peer.queued.take().unwrap_or_default();
                encode::array_header(&mut reply, queued.len());
                peer.out.extend_from_slice(&reply);
                for parts in queued {
                    self.execute(now, fd, &parts, out);
                }
                return;
            }
            "MULTI" => {
                peer.queued = Some(Vec::new());
                encode::simple(&mut reply, b"OK");
            }
            _ if peer.queued.is_some() => {
                peer.queued.as_mut().expect("just seen").push(parts.to_vec());
                encode::simple(&mut reply, b"QUEUED");
            }
            "SCRIPT" if busy => {
                self.busy_from = None;
                encode::simple(&mut reply, b"OK");
            }
            _ if busy => encode::error(&mut reply, "BUSY Redis is busy running a script."),
            "PING" => encode::simple(&mut reply, b"PONG"),
            "INFO" => {
                // As long as a real one takes: the other sentinels' answers to what was sent with it come earlier.
                out.busy(Span::from_us(100));
                encode::bulk(&mut reply, self.info().as_bytes());
            }
            "SUBSCRIBE" => {
                peer.subscribed = true;
                encode::array_header(&mut reply, 3);
                encode::bulk(&mut reply, b"subscribe");
                encode::bulk(&mut reply, &parts[1]);
                encode::integer(&mut reply, 1);
            }
            "PUBLISH" => {
                let delivered = self.publish(&parts[1], &parts[2]);
                encode::integer(&mut reply, delivered);
            }
            "TOYREPLICA" => {
                peer.replica = Addr::parse(&String::from_utf8_lossy(&parts[1]));
            }
            "SLAVEOF" => {
                let host = String::from_utf8_lossy(&parts[1]).into_owned();
                let port = String::from_utf8_lossy(&parts[2]).parse().unwrap_or(0);
                let master = Ip::parse(&host).map(|ip| Addr::new(ip, port));
                encode::simple(&mut reply, b"OK");
                self.follow(now, master, out);
            }
            "CLIENT" if word(1).as_deref() == Some("KILL") => encode::integer(&mut reply, 0),
            _ => encode::simple(&mut reply, b"OK"),
        }
        if let Some(peer) = self.peers.get_mut(&fd) {
            peer.out.extend_from_slice(&reply);
        }
    }

    fn requests(&mut self, now: Now, fd: Fd, data: Bytes, out: &mut Outbox) {
        let mut args = Args::default();
        let Some(peer) = self.peers.get_mut(&fd) else { return };
        peer.reader.feed(data);
        loop {
            let Some(peer) = self.peers.get_mut(&fd) else { return };
            match peer.reader.read(&mut args, Limits::default()) {
                Ok(true) => {
                    let parts: Vec<Vec<u8>> = args.iter().map(<[u8]>::to_vec).collect();
                    self.execute(now, fd, &parts, out);
                }
                Ok(false) | Err(_) => return,
            }
        }
    }
}

impl Node for Toy {
    fn start(&mut self, now: Now, _disk: &DiskImage, out: &mut Outbox) {
        out.listen(self.init.addr.port);
        self.connect_master(now, out);
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let link = self.link.map(|(fd, _)| fd);
        match input {
            Input::Accepted { fd, .. } => {
                self.peers.insert(fd, Peer::default());
            }
            Input::Connected { fd, .. } => {
                self.link = Some((fd, true));
                let mut hello = BytesMut::new();
                if let Some(password) = self.password {
                    encode::command(&mut hello, &[b"AUTH", password.as_bytes()]);
                }
                let own = self.init.addr.to_string();
                encode::command(&mut hello, &[b"TOYREPLICA", own.as_bytes()]);
                out.send(fd, hello.freeze());
            }
            Input::Refused { fd, .. } | Input::Closed { fd, .. } => {
                if link == Some(fd) {
                    self.link = None;
                }
                self.peers.remove(&fd);
            }
            Input::Bytes { fd, data } if link != Some(fd) => self.requests(now, fd, data, out),
            Input::Wake => {
                if self.retry_at.is_some_and(|at| at <= now.mono) {
                    self.connect_master(now, out);
                }
            }
            Input::LoopEnd => {
                for (&fd, peer) in &mut self.peers {
                    out.send(fd, peer.out.split().freeze());
                }
            }
            Input::Bytes { .. }
            | Input::Writable { .. }
            | Input::DiskDone { .. }
            | Input::JobDone { .. }
            | Input::Files(_)
            | Input::Signal(_) => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.retry_at
    }

    fn probe(&self, _now: Now, _out: &mut Outbox) {}

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}
