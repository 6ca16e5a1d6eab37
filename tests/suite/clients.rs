//! Clients against scripted servers and sentinels: what they ask, what they make of the answers, what they record.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use splitbrain::client::Client;
use splitbrain::client::config::{ClientConfig, KeyChoice, Pace, Policy, Via, WaitAfter, Workload};
use splitbrain::id::{Addr, EventId, Fd, Ip, NodeId};
use splitbrain::node::{CloseWhy, DiskImage, Init, Input, Node, Outbox, Output, RefusedWhy};
use splitbrain::resp::{Args, CommandReader, Limits, encode};
use splitbrain::rng::{Ratio, Seed};
use splitbrain::time::{Instant, Now, Span, Unix};
use splitbrain::trace::Kind;
use splitbrain::trace::event::ClientEvent;

const M1: Addr = Addr::new(Ip::new(10, 0, 0, 1), 6379);
const M2: Addr = Addr::new(Ip::new(10, 0, 0, 2), 6379);
const M3: Addr = Addr::new(Ip::new(10, 0, 0, 3), 6379);
const S1: Addr = Addr::new(Ip::new(10, 0, 0, 11), 26379);
const S2: Addr = Addr::new(Ip::new(10, 0, 0, 12), 26379);

/// A peer that answers as told.
#[derive(Clone, Debug, Default)]
struct Peer {
    /// Nothing listens.
    down: bool,
    /// Connections are accepted, nothing is answered.
    silent: bool,
    /// What ROLE says.
    role: &'static str,
    /// Errors to the next operations, oldest first; `""` lets one through.
    refuse: VecDeque<&'static str>,
    data: BTreeMap<Vec<u8>, Vec<u8>>,
    /// A sentinel's opinion.
    master: Option<Addr>,
    replicas: Vec<(Addr, &'static str)>,
    /// What WAIT answers.
    acks: i64,
    /// Requests seen, on one line each.
    log: Vec<String>,
}

#[derive(Debug)]
enum Delivery {
    ToPeer(Fd, u64, Bytes),
    ToClient(Input),
}

/// One client, some peers, a fixed latency of 1 ms.
struct Rig {
    client: Box<dyn Node>,
    out: Outbox,
    now: Instant,
    queue: BTreeMap<(Instant, u64), Delivery>,
    sequence: u64,
    peers: BTreeMap<Addr, Peer>,
    /// Open descriptors: peer, its reader, and a number that tells reused descriptors apart.
    open: BTreeMap<Fd, (Addr, CommandReader, u64)>,
    generation: u64,
    events: Vec<(Instant, ClientEvent)>,
    sends: u64,
}

const LATENCY: Span = Span::from_ms(1);

fn init() -> Init {
    Init {
        node: NodeId(0),
        name: "app".into(),
        addr: Addr::new(Ip::new(10, 0, 0, 99), 0),
        seed: Seed(5),
        incarnation: 1,
        hosts: Arc::default(),
        cpu_milli: 0,
    }
}

fn config(via: Via, workload: Workload) -> ClientConfig {
    ClientConfig { via, workload, policy: Policy::default(), auth: None, db: 0, resp: 2, number: 1, clients: 1 }
}

/// One write after the other, 10 ms apart, from the start.
fn writes() -> Workload {
    Workload {
        pace: Pace::Closed { think: Span::from_ms(10) },
        keys: 4,
        key_size: 16,
        choice: KeyChoice::Sequential,
        write_ratio: Ratio::ONE,
        value_size: 20,
        pipeline: 1,
        ttl: None,
        wait: None,
        start: Span::ZERO,
        stop: None,
    }
}

fn sentinels() -> Via {
    Via::Sentinel { master: "mymaster".into(), sentinels: vec![S1, S2] }
}

fn master() -> Peer {
    Peer { role: "master", ..Peer::default() }
}

fn sentinel(master: Addr) -> Peer {
    Peer { role: "sentinel", master: Some(master), ..Peer::default() }
}

impl Rig {
    fn new(config: ClientConfig, peers: &[(Addr, Peer)]) -> Rig {
        let mut rig = Rig {
            client: Box::new(Client::new(init(), config)),
            out: Outbox::default(),
            now: Instant::ZERO,
            queue: BTreeMap::new(),
            sequence: 0,
            peers: peers.iter().cloned().collect(),
            open: BTreeMap::new(),
            generation: 0,
            events: Vec::new(),
            sends: 0,
        };
        rig.call(|client, now, out| client.start(now, &DiskImage::new(), out));
        rig
    }

    fn call(&mut self, act: impl FnOnce(&mut dyn Node, Now, &mut Outbox)) {
        let now = Now { mono: self.now, unix: Unix(self.now.0) };
        self.out.tracer.at = self.now;
        self.out.begin(NodeId(0), EventId::NONE, splitbrain::trace::Via::World);
        act(&mut *self.client, now, &mut self.out);
        for output in std::mem::take(&mut self.out.outputs) {
            self.effect(output);
        }
        for event in std::mem::take(self.out.tracer.pending()) {
            let Kind::Client(kind) = event.kind else { panic!("a client says nothing but client events") };
            self.events.push((event.at, kind));
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "a client has no other outputs")]
    fn effect(&mut self, output: Output) {
        match output {
            Output::Connect { fd, to } => {
                let reachable = self.peers.get(&to).is_some_and(|peer| !peer.down);
                self.generation += 1;
                self.open.insert(fd, (to, CommandReader::default(), self.generation));
                let local = Addr::new(Ip::new(10, 0, 0, 99), 40_000);
                let answer = if reachable {
                    Input::Connected { fd, local }
                } else {
                    Input::Refused { fd, why: RefusedWhy::Refused }
                };
                self.later(LATENCY.times(2), Delivery::ToClient(answer));
            }
            Output::Send { fd, data } => {
                self.sends += 1;
                let generation = self.open[&fd].2;
                self.later(LATENCY, Delivery::ToPeer(fd, generation, data));
            }
            Output::Close { fd } => {
                self.open.remove(&fd).expect("only open descriptors are closed");
                self.queue
                    .retain(|_, delivery| !matches!(delivery, Delivery::ToClient(input) if of(input) == Some(fd)));
            }
            Output::AwaitWritable { fd } => {
                self.later(LATENCY, Delivery::ToClient(Input::Writable { fd, room: 1_000_000 }));
            }
            Output::Exit { .. } => {}
            other => panic!("not a client's output: {other:?}"),
        }
    }

    fn later(&mut self, span: Span, delivery: Delivery) {
        self.sequence += 1;
        self.queue.insert((self.now + span, self.sequence), delivery);
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::ToPeer(fd, generation, data) => self.peer_reads(fd, generation, data),
            Delivery::ToClient(input) => {
                if let Input::Refused { fd, .. } | Input::Closed { fd, .. } = input {
                    self.open.remove(&fd);
                    self.out.fds.close(fd);
                }
                self.call(|client, now, out| {
                    client.handle(now, input, out);
                    client.handle(now, Input::LoopEnd, out);
                });
            }
        }
    }

    fn peer_reads(&mut self, fd: Fd, generation: u64, data: Bytes) {
        let Some((addr, reader, _)) = self.open.get_mut(&fd).filter(|open| open.2 == generation) else { return };
        let peer = self.peers.get_mut(addr).expect("connected to a peer");
        let mut args = Args::default();
        let mut reply = BytesMut::new();
        reader.feed(data);
        while reader.read(&mut args, Limits::default()).expect("clients speak RESP") {
            peer.answer(&args, &mut reply);
        }
        if !reply.is_empty() && !peer.silent {
            self.later(LATENCY, Delivery::ToClient(Input::Bytes { fd, data: reply.freeze() }));
        }
    }

    fn run_to(&mut self, ms: u64) {
        let until = Instant(0) + Span::from_ms(ms);
        loop {
            let delivery = self.queue.first_key_value().map(|(&(at, _), _)| at).unwrap_or(Instant::NEVER);
            let wake = self.client.wake_at().unwrap_or(Instant::NEVER);
            assert!(wake >= self.now, "a wake in the past is never asked for: {wake} at {}", self.now);
            let next = delivery.min(wake);
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
            if delivery <= wake {
                let (_, delivery) = self.queue.pop_first().expect("it has a first");
                self.deliver(delivery);
            } else {
                self.call(|client, now, out| {
                    client.handle(now, Input::Wake, out);
                    client.handle(now, Input::LoopEnd, out);
                });
            }
        }
    }

    fn peer(&mut self, addr: Addr) -> &mut Peer {
        self.peers.get_mut(&addr).expect("a peer of the rig")
    }

    /// The peer's process dies: its connections are reset, nothing listens any more.
    fn kill(&mut self, addr: Addr) {
        self.peer(addr).down = true;
        let fds: Vec<Fd> = self.open.iter().filter(|(_, open)| open.0 == addr).map(|(&fd, _)| fd).collect();
        for fd in fds {
            self.queue.retain(|_, delivery| !matches!(delivery, Delivery::ToClient(input) if of(input) == Some(fd)));
            self.later(LATENCY, Delivery::ToClient(Input::Closed { fd, why: CloseWhy::Reset }));
        }
    }

    /// A sentinel publishes a switch to whoever has subscribed.
    fn publish_switch(&mut self, sentinel: Addr, from: Addr, to: Addr) {
        let payload = format!("mymaster {} {} {} {}", from.ip, from.port, to.ip, to.port);
        let mut message = BytesMut::new();
        encode::command(&mut message, &[b"message", b"+switch-master", payload.as_bytes()]);
        let fds: Vec<Fd> = self.open.iter().filter(|(_, open)| open.0 == sentinel).map(|(&fd, _)| fd).collect();
        for fd in fds {
            self.later(LATENCY, Delivery::ToClient(Input::Bytes { fd, data: message.clone().freeze() }));
        }
    }

    /// The events so far, with the time in milliseconds; forgets them.
    fn story(&mut self) -> String {
        let mut text = String::new();
        for (at, event) in std::mem::take(&mut self.events) {
            writeln!(text, "{:>5} {event}", at.ms()).expect("a string takes everything");
        }
        text
    }

    fn counts(&self) -> (usize, usize, usize, usize) {
        let count = |which: fn(&ClientEvent) -> bool| self.events.iter().filter(|(_, event)| which(event)).count();
        (
            count(|event| matches!(event, ClientEvent::Invoke { .. })),
            count(|event| matches!(event, ClientEvent::Ok { .. })),
            count(|event| matches!(event, ClientEvent::Fail { .. })),
            count(|event| matches!(event, ClientEvent::Unknown { .. })),
        )
    }

    fn probe(&mut self) {
        self.call(|client, now, out| client.probe(now, out));
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the others have no descriptor")]
fn of(input: &Input) -> Option<Fd> {
    match input {
        Input::Connected { fd, .. }
        | Input::Refused { fd, .. }
        | Input::Bytes { fd, .. }
        | Input::Closed { fd, .. }
        | Input::Writable { fd, .. } => Some(*fd),
        _ => None,
    }
}

impl Peer {
    fn answer(&mut self, args: &Args, out: &mut BytesMut) {
        let words: Vec<String> = args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        self.log.push(words.join(" "));
        if matches!(&*words[0], "SET" | "GET") {
            match self.refuse.pop_front() {
                None | Some("") => {}
                Some(error) => return encode::error(out, error),
            }
        }
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["SET", ..] => {
                self.data.insert(args.get(1).to_vec(), args.get(2).to_vec());
                encode::simple(out, b"OK");
            }
            ["GET", key] => match self.data.get(key.as_bytes()) {
                Some(value) => encode::bulk(out, value),
                None => out.extend_from_slice(b"$-1\r\n"),
            },
            ["WAIT", ..] => encode::integer(out, self.acks),
            ["ROLE"] => encode::command(out, &[self.role.as_bytes()]),
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", _] => match self.master {
                Some(addr) => {
                    encode::command(out, &[addr.ip.to_string().as_bytes(), addr.port.to_string().as_bytes()]);
                }
                None => out.extend_from_slice(b"*-1\r\n"),
            },
            ["SENTINEL", "REPLICAS", _] => {
                encode::array_header(out, self.replicas.len());
                for (addr, flags) in &self.replicas {
                    let (ip, port) = (addr.ip.to_string(), addr.port.to_string());
                    let fields = ["name", "x", "ip", &ip, "port", &port, "flags", flags].map(str::as_bytes);
                    encode::command(out, &fields);
                }
            }
            ["SUBSCRIBE", channel] => encode::command(out, &[b"subscribe", channel.as_bytes(), b"1"]),
            ["HELLO", ..] => out.extend_from_slice(b"%1\r\n$5\r\nproto\r\n:3\r\n"),
            ["AUTH", .., "secret"] | ["SELECT", _] => encode::simple(out, b"OK"),
            ["AUTH", ..] => encode::error(out, "WRONGPASS invalid username-password pair or user is disabled."),
            other => panic!("unexpected request {other:?}"),
        }
    }
}

#[test]
fn a_closed_loop_asks_the_next_when_the_last_is_answered() {
    let mut workload = writes();
    workload.stop = Some(Span::from_ms(30));
    let mut rig = Rig::new(config(Via::Direct(M1), workload), &[(M1, master())]);
    rig.run_to(2_000);
    insta::assert_snapshot!(rig.story(), @r"
     0 invoke 1 write key 0 value 1099511627777
     2 connected 10.0.0.1:6379
     4 ok 1 from 10.0.0.1:6379
    14 invoke 2 write key 1 value 1099511627778
    16 ok 2 from 10.0.0.1:6379
    26 invoke 3 write key 2 value 1099511627779
    28 ok 3 from 10.0.0.1:6379
    ");
    assert_eq!(rig.peer(M1).log[0], "SET key:000000000000 00000001099511627777");
    assert_eq!(rig.client.wake_at(), None, "a client that has nothing left to do sleeps");
}

#[test]
fn an_open_loop_keeps_its_rate_while_the_server_is_silent() {
    let mut workload = writes();
    workload.pace = Pace::Open { period: Span::from_ms(10), poisson: false };
    let mut rig = Rig::new(config(Via::Direct(M1), workload), &[(M1, master())]);
    rig.run_to(995);
    let (invoked, ok, ..) = rig.counts();
    assert_eq!((invoked, ok), (100, 100), "with replies");
    rig.peer(M1).silent = true;
    rig.run_to(1_900);
    let (invoked, ok, ..) = rig.counts();
    assert_eq!((invoked, ok), (190, 100), "without replies");
    // The first one without a reply runs out of time; all behind it are lost with the connection.
    rig.run_to(2_020);
    let unanswered: Vec<String> = rig
        .events
        .iter()
        .filter(|(_, event)| matches!(event, ClientEvent::Unknown { .. }))
        .map(|(_, event)| event.to_string())
        .collect();
    assert_eq!(unanswered[0], "unknown 101 Timeout at 10.0.0.1:6379");
    assert_eq!(unanswered[1], "unknown 102 Closed at 10.0.0.1:6379");
    assert!(unanswered.len() >= 100, "{}", unanswered.len());
}

#[test]
fn operations_wait_for_a_connection_in_a_queue_of_limited_length_and_patience() {
    let mut workload = writes();
    workload.pace = Pace::Open { period: Span::from_ms(100), poisson: false };
    workload.stop = Some(Span::from_ms(1_000));
    let mut config = config(Via::Direct(M1), workload);
    (config.policy.queue, config.policy.queue_timeout) = (2, Span::from_ms(250));
    config.policy.retry_delay_max = Span::from_ms(400);
    let mut rig = Rig::new(config, &[(M1, Peer { down: true, ..master() })]);
    rig.run_to(700);
    rig.peer(M1).down = false;
    rig.run_to(2_000);
    insta::assert_snapshot!(rig.story(), @r"
      2 disconnected 10.0.0.1:6379 refused
     14 invoke 1 write key 0 value 1099511627777
     54 disconnected 10.0.0.1:6379 refused
    114 invoke 2 write key 1 value 1099511627778
    156 disconnected 10.0.0.1:6379 refused
    214 invoke 3 write key 2 value 1099511627779
    214 fail 3 NotSent
    264 fail 1 NotSent
    314 invoke 4 write key 3 value 1099511627780
    358 disconnected 10.0.0.1:6379 refused
    364 fail 2 NotSent
    414 invoke 5 write key 0 value 1099511627781
    514 invoke 6 write key 1 value 1099511627782
    514 fail 6 NotSent
    564 fail 4 NotSent
    614 invoke 7 write key 2 value 1099511627783
    664 fail 5 NotSent
    714 invoke 8 write key 3 value 1099511627784
    760 connected 10.0.0.1:6379
    762 ok 7 from 10.0.0.1:6379
    762 ok 8 from 10.0.0.1:6379
    814 invoke 9 write key 0 value 1099511627785
    816 ok 9 from 10.0.0.1:6379
    914 invoke 10 write key 1 value 1099511627786
    916 ok 10 from 10.0.0.1:6379
    ");
}

#[test]
fn a_client_finds_the_master_through_sentinels_and_follows_a_failover() {
    let mut workload = writes();
    workload.pace = Pace::Open { period: Span::from_ms(100), poisson: false };
    workload.stop = Some(Span::from_ms(700));
    let peers = [
        (M1, master()),
        (M2, Peer { role: "slave", ..Peer::default() }),
        (S1, Peer { down: true, ..sentinel(M1) }),
        (S2, sentinel(M1)),
    ];
    let mut rig = Rig::new(config(sentinels(), workload), &peers);
    rig.run_to(250);
    rig.kill(M1);
    rig.run_to(320);
    rig.peer(M2).role = "master";
    rig.peer(S2).master = Some(M2);
    rig.publish_switch(S2, M1, M2);
    rig.run_to(2_000);
    insta::assert_snapshot!(rig.story(), @r"
      6 discovered 10.0.0.1:6379 by 10.0.0.12:26379
     10 connected 10.0.0.1:6379
     14 invoke 1 write key 0 value 1099511627777
     16 ok 1 from 10.0.0.1:6379
    114 invoke 2 write key 1 value 1099511627778
    116 ok 2 from 10.0.0.1:6379
    214 invoke 3 write key 2 value 1099511627779
    216 ok 3 from 10.0.0.1:6379
    251 disconnected 10.0.0.1:6379 reset by peer
    305 discovered 10.0.0.1:6379 by 10.0.0.12:26379
    307 disconnected 10.0.0.1:6379 refused
    314 invoke 4 write key 3 value 1099511627780
    321 switch seen 10.0.0.2:6379 by 10.0.0.12:26379
    325 connected 10.0.0.2:6379
    327 ok 4 from 10.0.0.2:6379
    414 invoke 5 write key 0 value 1099511627781
    416 ok 5 from 10.0.0.2:6379
    514 invoke 6 write key 1 value 1099511627782
    516 ok 6 from 10.0.0.2:6379
    614 invoke 7 write key 2 value 1099511627783
    616 ok 7 from 10.0.0.2:6379
    ");
    let asked: Vec<&str> = rig.peers[&S2].log.iter().map(String::as_str).collect();
    insta::assert_snapshot!(asked.join("\n"), @r"
    SUBSCRIBE +switch-master
    SENTINEL GET-MASTER-ADDR-BY-NAME mymaster
    SENTINEL GET-MASTER-ADDR-BY-NAME mymaster
    ");
    assert_eq!(rig.peers[&M2].log[0], "ROLE");
}

#[test]
fn readonly_makes_a_client_look_again() {
    let readonly = "READONLY You can't write against a read only replica.";
    let mut rig = Rig::new(
        ClientConfig { policy: Policy { retries: 1, ..Policy::default() }, ..config(sentinels(), writes()) },
        &[(M1, Peer { refuse: VecDeque::from(["", readonly]), ..master() }), (M2, master()), (S1, sentinel(M1))],
    );
    rig.run_to(30);
    rig.peer(S1).master = Some(M2);
    rig.run_to(110);
    insta::assert_snapshot!(rig.story(), @r"
      0 invoke 1 write key 0 value 1099511627777
      4 discovered 10.0.0.1:6379 by 10.0.0.11:26379
      8 connected 10.0.0.1:6379
     10 ok 1 from 10.0.0.1:6379
     20 invoke 2 write key 1 value 1099511627778
     22 not a master 10.0.0.1:6379
     22 disconnected 10.0.0.1:6379 not the right server
     76 discovered 10.0.0.2:6379 by 10.0.0.11:26379
     80 connected 10.0.0.2:6379
     82 ok 2 from 10.0.0.2:6379
     92 invoke 3 write key 2 value 1099511627779
     94 ok 3 from 10.0.0.2:6379
    104 invoke 4 write key 3 value 1099511627780
    106 ok 4 from 10.0.0.2:6379
    ");
}

#[test]
fn a_server_that_says_it_is_a_replica_is_not_used_as_a_master() {
    let mut rig =
        Rig::new(config(sentinels(), writes()), &[(M1, Peer { role: "slave", ..master() }), (S1, sentinel(M1))]);
    rig.run_to(200);
    let story = rig.story();
    assert!(story.contains("not a master 10.0.0.1:6379"), "{story}");
    assert!(!rig.peer(M1).log.iter().any(|line| line.starts_with("SET")));
    rig.peer(M1).role = "master";
    rig.run_to(2_000);
    assert!(rig.counts().1 > 10, "it comes back when the role is right");
}

#[test]
fn replicas_are_chosen_among_those_that_are_up() {
    let via = Via::Replicas { master: "mymaster".into(), sentinels: vec![S1] };
    let mut workload = writes();
    workload.write_ratio = Ratio::ZERO;
    let replicas = vec![(M2, "slave"), (M3, "s_down,slave,disconnected")];
    let slave = Peer { role: "slave", ..Peer::default() };
    let peers = [(M1, master()), (M2, slave.clone()), (M3, slave), (S1, Peer { replicas, ..sentinel(M1) })];
    let mut rig = Rig::new(config(via, workload), &peers);
    rig.run_to(100);
    assert!(rig.counts().1 > 3);
    assert!(rig.peer(M2).log.len() > 3);
    // None is left: the master serves.
    rig.peer(S1).replicas.clear();
    rig.kill(M2);
    rig.run_to(400);
    assert!(rig.peer(M1).log.iter().any(|line| line.starts_with("GET")), "{}", rig.story());
    assert!(rig.peer(M3).log.is_empty());
}

#[test]
fn refusals_are_retried_as_often_as_the_policy_says() {
    let loading = "LOADING Redis is loading the dataset in memory";
    for (retries, refused, expected) in [(0, 1, (0, 1)), (2, 2, (1, 0)), (2, 3, (0, 1))] {
        let mut workload = writes();
        workload.stop = Some(Span::from_ms(1));
        let policy = Policy { retries, ..Policy::default() };
        let peer = Peer { refuse: vec![loading; refused].into(), ..master() };
        let mut rig = Rig::new(ClientConfig { policy, ..config(Via::Direct(M1), workload) }, &[(M1, peer)]);
        rig.run_to(1_000);
        let (_, ok, failed, _) = rig.counts();
        assert_eq!((ok, failed), expected, "{retries} retries, refused {refused} times: {}", rig.story());
    }
}

#[test]
fn an_unknown_outcome_is_retried_only_if_asked_and_stays_unknown_if_that_fails() {
    for (retry_unknown, expected) in [(false, "unknown 1 Closed"), (true, "ok 1 from")] {
        let policy = Policy { retries: 3, retry_unknown, ..Policy::default() };
        let mut workload = writes();
        workload.stop = Some(Span::from_ms(1));
        let config = ClientConfig { policy, ..config(Via::Direct(M1), workload) };
        let mut rig = Rig::new(config.clone(), &[(M1, master())]);
        rig.run_to(2);
        rig.kill(M1);
        rig.run_to(20);
        rig.peer(M1).down = false;
        rig.run_to(3_000);
        let story = rig.story();
        assert!(story.contains(expected), "{story}");

        let mut rig = Rig::new(config, &[(M1, master())]);
        rig.run_to(2);
        rig.kill(M1);
        rig.run_to(9_000);
        let story = rig.story();
        assert!(story.contains("unknown 1 Closed at 10.0.0.1:6379"), "{story}");
        assert!(!story.contains("fail"), "{story}");
    }
}

#[test]
fn wait_confirms_the_writes_of_a_pipeline() {
    let mut workload = writes();
    workload.pipeline = 3;
    workload.wait = Some(WaitAfter { replicas: 2, timeout: Span::from_ms(100) });
    workload.stop = Some(Span::from_ms(15));
    let peer = Peer { acks: 1, refuse: ["", "", "", "", "OOM command not allowed"].into(), ..master() };
    let mut rig = Rig::new(config(Via::Direct(M1), workload), &[(M1, peer)]);
    rig.run_to(100);
    insta::assert_snapshot!(rig.story(), @r"
     0 invoke 1 write key 0 value 1099511627777
     0 invoke 2 write key 1 value 1099511627778
     0 invoke 3 write key 2 value 1099511627779
     2 connected 10.0.0.1:6379
     4 ok 1 from 10.0.0.1:6379 replicas 1
     4 ok 2 from 10.0.0.1:6379 replicas 1
     4 ok 3 from 10.0.0.1:6379 replicas 1
    14 invoke 4 write key 3 value 1099511627780
    14 invoke 5 write key 0 value 1099511627781
    14 invoke 6 write key 1 value 1099511627782
    16 fail 5 Oom from 10.0.0.1:6379
    16 ok 4 from 10.0.0.1:6379 replicas 1
    16 ok 6 from 10.0.0.1:6379 replicas 1
    ");
    let log = &rig.peer(M1).log;
    assert_eq!(log[3], "WAIT 2 100");
    assert_eq!(rig.sends, 2, "a pipeline is one packet");
}

#[test]
fn the_greeting_authenticates_selects_and_speaks_the_protocol_asked_for() {
    let auth = |user: Option<&str>, password: &str| Some((user.map(Arc::from), Arc::from(password)));
    for (resp, auth, db, expected) in [
        (2, auth(None, "secret"), 3, vec!["AUTH secret", "SELECT 3"]),
        (2, auth(Some("u"), "secret"), 0, vec!["AUTH u secret"]),
        (3, auth(None, "secret"), 0, vec!["HELLO 3 AUTH default secret"]),
        (3, None, 1, vec!["HELLO 3", "SELECT 1"]),
        (2, None, 0, vec![]),
    ] {
        let config = ClientConfig { resp, auth, db, ..config(Via::Direct(M1), writes()) };
        let mut rig = Rig::new(config, &[(M1, master())]);
        rig.run_to(30);
        assert_eq!(rig.peer(M1).log[..expected.len()], expected);
        assert!(rig.counts().1 > 0, "{}", rig.story());
    }
    let config = ClientConfig { auth: auth(None, "wrong"), ..config(Via::Direct(M1), writes()) };
    let mut rig = Rig::new(config, &[(M1, master())]);
    rig.run_to(100);
    assert!(rig.story().contains("disconnected 10.0.0.1:6379 AUTH: WRONGPASS"));
}

#[test]
fn ten_thousand_operations_can_be_in_flight() {
    let mut workload = writes();
    workload.pace = Pace::Open { period: Span::from_us(10), poisson: true };
    workload.value_size = 1_000;
    let mut config = config(Via::Direct(M1), workload);
    (config.policy.queue, config.policy.timeout) = (100_000, Span::from_secs(10));
    let mut rig = Rig::new(config, &[(M1, Peer { silent: true, ..master() })]);
    rig.run_to(110);
    assert!(rig.counts().0 > 10_000);
    rig.probe();
    let (invoked, ok, failed, unknown) = rig.counts();
    assert_eq!((ok, failed), (0, 0));
    assert_eq!(invoked, unknown, "every operation has an outcome at the end");
}

#[test]
fn the_end_of_a_run_leaves_no_operation_without_an_outcome() {
    let mut workload = writes();
    workload.pace = Pace::Open { period: Span::from_ms(3), poisson: true };
    for (at, peer) in
        [(1, master()), (50, master()), (500, Peer { down: true, ..master() }), (50, Peer { silent: true, ..master() })]
    {
        let mut rig = Rig::new(config(Via::Direct(M1), workload.clone()), &[(M1, peer)]);
        rig.run_to(at);
        rig.probe();
        let (invoked, ok, failed, unknown) = rig.counts();
        assert_eq!(invoked, ok + failed + unknown, "at {at} ms");
    }
}

#[test]
fn a_clone_goes_on_as_the_original_would() {
    let mut workload = writes();
    workload.choice = KeyChoice::Zipf(0.9);
    workload.pace = Pace::Open { period: Span::from_ms(3), poisson: true };
    let run = |fork: bool| {
        let mut rig = Rig::new(config(Via::Direct(M1), workload.clone()), &[(M1, master())]);
        rig.run_to(100);
        if fork {
            rig.client = rig.client.box_clone();
        }
        rig.run_to(300);
        rig.story()
    };
    assert_eq!(run(false), run(true));
}
