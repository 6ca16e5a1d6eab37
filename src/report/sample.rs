//! Traces for the tests of charts and pages: recorded sentinel events of real deployments, with the servers' and
//! clients' side told along the same times.

use std::sync::Arc;

use super::{Ended, Run};
use crate::check::Suite;
use crate::fault::FaultKind;
use crate::id::{Addr, EventId, HexId, Ip, MachineId, NodeId};
use crate::rng::Seed;
use crate::time::{Instant, NS_PER_MS, Span};
use crate::trace::event::{
    ClientEvent, Detail, FailoverState, HistoryWhy, Instance, InstanceKind, LinkDownWhy, LinkState, NodeRole, OpKind,
    Refusal, RefusePsync, SentinelEvent, SentinelEventName, ServerEvent, SyncKind, Unanswered, WorldEvent,
};
use crate::trace::{Event, Kind, Tracer, Via};

/// The recorded fault struck here.
const FAULT_MS: f64 = 10_000.0;
const NAMES: [&str; 9] = ["r1", "r2", "r3", "s1", "s2", "s3", "writer-1", "writer-2", "reader"];

/// Events in any order, sorted at the end.
#[derive(Default)]
pub(crate) struct Script {
    rows: Vec<(u64, Option<NodeId>, Kind)>,
}

impl Script {
    pub(crate) fn at(&mut self, ms: f64, node: Option<u16>, kind: Kind) {
        let ns = (ms * 1_000.0).round() as u64 * 1_000;
        self.rows.push((ns, node.map(NodeId), kind));
    }

    fn server(&mut self, ms: f64, node: u16, event: ServerEvent) {
        self.at(ms, Some(node), Kind::Server(event));
    }

    fn client(&mut self, ms: f64, node: u16, event: ClientEvent) {
        self.at(ms, Some(node), Kind::Client(event));
    }

    pub(crate) fn world(&mut self, ms: f64, node: Option<u16>, event: WorldEvent) {
        self.at(ms, node, Kind::World(event));
    }

    pub(crate) fn trace(mut self) -> Vec<Event> {
        self.rows.sort_by_key(|row| row.0);
        let mut tracer = Tracer::default();
        for (ns, node, kind) in self.rows {
            tracer.at = Instant(ns);
            tracer.record(node, EventId::NONE, Via::Timer, kind);
        }
        std::mem::take(tracer.pending())
    }
}

/// Where a node of the samples listens: the recordings' addresses.
pub(crate) fn addr(node: u16) -> Addr {
    match node {
        0..3 => Addr::new(Ip::new(10, 77, 0, 11 + node as u8), 6379),
        3..6 => Addr::new(Ip::new(10, 77, 0, 18 + node as u8), 26379),
        _ => Addr::new(Ip::new(10, 77, 1, node as u8), 0),
    }
}

fn hex(n: u8) -> HexId {
    HexId([n; 20])
}

fn declare(script: &mut Script, clients: usize) {
    for (n, name) in NAMES.iter().enumerate().take(6 + clients) {
        let role = match n {
            0..3 => NodeRole::Server,
            3..6 => NodeRole::Sentinel,
            _ => NodeRole::Client,
        };
        let machine_name: Arc<str> = match n {
            0 | 3 => "m1".into(),
            1 | 4 => "m2".into(),
            2 | 5 => "m3".into(),
            _ => (*name).into(),
        };
        let machine = MachineId(if n < 6 { n as u16 % 3 } else { n as u16 });
        let node = Some(n as u16);
        let name = Arc::from(*name);
        script.world(0.0, node, WorldEvent::Declared { name, role, addr: addr(n as u16), machine, machine_name });
        script.world(1.0 + n as f64, node, WorldEvent::Started { incarnation: 1 });
    }
}

fn servers(script: &mut Script) {
    for node in 0..3u16 {
        let t = 5.0 + f64::from(node);
        script.server(t, node, history(hex(1 + node as u8), 0, None, HistoryWhy::Start));
        if node == 0 {
            script.server(t, 0, ServerEvent::BecameMaster { offset: 0 });
            continue;
        }
        script.server(t, node, ServerEvent::BecameReplica { of: addr(0) });
        script.server(t + 900.0, node, link(LinkState::Handshake));
        script.server(t + 901.0, 0, granted(node, SyncKind::Full, Some(RefusePsync::Fresh), 0));
        script.server(t + 902.0, node, link(LinkState::Transfer));
        script.server(t + 930.0, node, history(hex(1), 0, None, HistoryWhy::FullSync));
        script.server(t + 930.0, node, ServerEvent::Synced { kind: SyncKind::Full, offset: 0 });
        script.server(t + 930.0, node, link(LinkState::Connected));
    }
}

fn link(state: LinkState) -> ServerEvent {
    ServerEvent::Link { state, why: (state == LinkState::Connect).then_some(LinkDownWhy::Lost) }
}

fn history(replid: HexId, offset: u64, parent: Option<(HexId, u64)>, why: HistoryWhy) -> ServerEvent {
    ServerEvent::History { replid, offset, parent, why, keys: offset / 90 }
}

fn granted(replica: u16, kind: SyncKind, refused: Option<RefusePsync>, offset: u64) -> ServerEvent {
    ServerEvent::SyncGranted { replica: addr(replica), kind, refused, offset, bytes: 0 }
}

/// The recorded lines as sentinel events.
fn sentinels(script: &mut Script, recorded: &str) {
    for line in recorded.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "id" {
            let id = HexId::parse(words[2].as_bytes()).expect("an id");
            let node = sentinel(words[1]);
            script.at(12.0, Some(node), Kind::Sentinel(SentinelEvent::Ready { id, epoch: 0 }));
            let name = SentinelEventName::Monitor;
            let instance = Some(Box::new(instance(&["master", "mymaster", "10.77.0.11", "6379"])));
            let detail = Detail::Text("quorum 2".into());
            script.at(13.0, Some(node), Kind::Sentinel(SentinelEvent::Said { name, instance, detail }));
            continue;
        }
        let ms = words[0].parse::<f64>().expect("a time") + FAULT_MS;
        let node = sentinel(words[1]);
        for event in said(words[2], &words[3..]) {
            script.at(ms, Some(node), Kind::Sentinel(event));
        }
    }
}

fn sentinel(name: &str) -> u16 {
    NAMES.iter().position(|n| *n == name).expect("a sentinel") as u16
}

fn instance(words: &[&str]) -> Instance {
    let kind = match words[0] {
        "master" => InstanceKind::Master,
        "slave" => InstanceKind::Slave,
        _ => InstanceKind::Sentinel,
    };
    let address = |at: usize| Addr::parse(&format!("{}:{}", words[at], words[at + 1])).expect("an address");
    let own = address(2);
    let (master, master_addr) = if kind == InstanceKind::Master { (words[1], own) } else { (words[5], address(6)) };
    Instance { kind, name: words[1].into(), addr: own, master: master.into(), master_addr }
}

fn said(name: &str, words: &[&str]) -> Vec<SentinelEvent> {
    let name = *SentinelEventName::ALL.iter().find(|known| known.as_str() == name).expect("a known name");
    let address = |at: usize| Addr::parse(&format!("{}:{}", words[at], words[at + 1])).expect("an address");
    let (about, detail) = match name {
        SentinelEventName::NewEpoch => (None, Detail::Epoch(words[0].parse().expect("an epoch"))),
        SentinelEventName::VoteForLeader => {
            let leader = HexId::parse(words[0].as_bytes()).expect("an id");
            (None, Detail::Vote { leader, epoch: words[1].parse().expect("an epoch") })
        }
        SentinelEventName::SwitchMaster => {
            (None, Detail::Switch { master: words[0].into(), old: address(1), new: address(3) })
        }
        _ => (Some(Box::new(instance(words))), rest(words)),
    };
    let mut events = vec![SentinelEvent::Said { name, instance: about, detail }];
    events.extend(state(name).map(|state| SentinelEvent::Failover { master: "mymaster".into(), state }));
    events
}

fn rest(words: &[&str]) -> Detail {
    match words.iter().position(|word| *word == "#quorum") {
        Some(at) => {
            let (votes, quorum) = words[at + 1].split_once('/').expect("votes/quorum");
            Detail::Quorum { votes: votes.parse().expect("votes"), quorum: quorum.parse().expect("quorum") }
        }
        None if words.contains(&"new") => Detail::Role { master: words.last() == Some(&"master") },
        None => Detail::None,
    }
}

fn state(name: SentinelEventName) -> Option<FailoverState> {
    match name {
        SentinelEventName::TryFailover => Some(FailoverState::WaitStart),
        SentinelEventName::StateSelectSlave => Some(FailoverState::SelectSlave),
        SentinelEventName::StateSendSlaveofNoone => Some(FailoverState::SendSlaveofNoone),
        SentinelEventName::StateWaitPromotion => Some(FailoverState::WaitPromotion),
        SentinelEventName::StateReconfSlaves => Some(FailoverState::ReconfSlaves),
        SentinelEventName::FailoverEnd => Some(FailoverState::UpdateConfig),
        SentinelEventName::SwitchMaster => Some(FailoverState::None),
        _ => None,
    }
}

/// A stream of writes: who takes them, from when to when, how many a second, and who follows.
struct Stream<'a> {
    from: f64,
    to: f64,
    clients: &'a [u16],
    master: u16,
    replicas: &'a [u16],
    backlog: u64,
}

/// State of the writes told so far.
struct Told {
    op: u64,
    offset: u64,
    noise: u64,
}

impl Told {
    /// Something between 0 and 1.
    fn noise(&mut self) -> f64 {
        self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 40) as f64 / f64::from(1u32 << 24)
    }
}

fn write(script: &mut Script, told: &mut Told, t: f64, client: u16, master: u16, late: f64) {
    told.op += 1;
    told.offset += 90;
    let (op, hash) = (told.op, told.op * 7_919);
    let latency = 0.6 + told.noise() * told.noise() * 2.5 + if op.is_multiple_of(97) { 8.0 } else { 0.0 };
    let key = (op % 1000) as u32;
    script.client(t - late, client, ClientEvent::Invoke { op, f: OpKind::Write, key, value: op, hash });
    script.server(t + latency / 2.0, master, ServerEvent::Write { op: hash, offset: told.offset });
    let server = addr(master);
    script.client(t + latency, client, ClientEvent::Ok { op, value: None, server, replicas: None });
}

fn stream(script: &mut Script, told: &mut Told, stream: &Stream<'_>) {
    let mut t = stream.from;
    let mut next_said = stream.from;
    while t < stream.to {
        for (n, &client) in stream.clients.iter().enumerate() {
            write(script, told, t + n as f64 * 3.1, client, stream.master, 0.0);
        }
        if t >= next_said {
            next_said += 100.0;
            say_offset(script, t + 9.0, stream.master, told.offset, stream.backlog);
            for &replica in stream.replicas {
                say_offset(script, t + 9.3 + f64::from(replica), replica, told.offset, 0);
            }
        }
        t += 20.0;
    }
}

fn say_offset(script: &mut Script, t: f64, node: u16, offset: u64, backlog: u64) {
    let backlog_len = offset.min(backlog);
    let backlog_first = if backlog == 0 { 0 } else { offset - backlog_len + 1 };
    script.server(t, node, ServerEvent::Offset { offset, backlog_first, backlog_len });
}

/// Two clients that find nobody for a while: what they began first fails, what they began later waits.
fn outage(script: &mut Script, told: &mut Told, from: f64, to: f64, clients: &[u16], next: u16) {
    let mut t = from;
    while t < to {
        for &client in clients {
            if to - t < 1_000.0 {
                write(script, told, to + 4.0 + (t - from) / 100.0, client, next, to + 4.0 + (t - from) / 100.0 - t);
                continue;
            }
            told.op += 1;
            let op = told.op;
            let invoke = ClientEvent::Invoke { op, f: OpKind::Write, key: 1, value: op, hash: op * 7_919 };
            script.client(t, client, invoke);
            if t < from + 25.0 {
                let server = addr(0);
                script.client(t + 1.0, client, ClientEvent::Unknown { op, why: Unanswered::Closed, server });
            } else {
                script.client(t + 1_000.0, client, ClientEvent::Fail { op, why: Refusal::NotSent, server: None });
            }
        }
        t += 20.0;
    }
}

fn ends(script: &mut Script, at: f64, master: u16, finals: &[(u16, HexId, u64)]) {
    script.world(at, None, WorldEvent::SettleBegan);
    for &(node, replid, offset) in finals {
        say_offset(script, at + 20.0, node, offset, if node == master { 1 << 20 } else { 0 });
        let event = ServerEvent::Final {
            master: node == master,
            link_up: node != master,
            replid,
            offset,
            keys: 1_000,
            dataset: offset,
            sync_full: 2,
            sync_partial_ok: 1,
            sync_partial_err: 0,
        };
        script.server(at + 5_000.0, node, event);
    }
    script.world(at + 5_001.0, None, WorldEvent::End);
}

/// A master crash: three servers, three sentinels, two writers; r2 takes over.
pub(crate) fn crash() -> Vec<Event> {
    let mut script = Script::default();
    declare(&mut script, 2);
    servers(&mut script);
    sentinels(&mut script, include_str!("samples/crash.txt"));
    let mut told = Told { op: 0, offset: 0, noise: 42 };
    let writers = [6, 7];
    let before =
        Stream { from: 1_500.0, to: 9_990.0, clients: &writers, master: 0, replicas: &[1, 2], backlog: 40_000 };
    stream(&mut script, &mut told, &before);
    let what: Arc<str> = "crash r1".into();
    let nodes: Arc<[NodeId]> = [NodeId(0)].into();
    script.world(FAULT_MS, None, WorldEvent::FaultBegan { fault: 0, kind: FaultKind::Crash, what, nodes });
    script.world(FAULT_MS, Some(0), WorldEvent::Died { how: "crash".into() });
    for replica in 1..3 {
        script.server(FAULT_MS + 0.4, replica, link(LinkState::Connect));
    }
    let fork = told.offset;
    say_offset(&mut script, FAULT_MS + 0.1, 1, fork, 0);
    say_offset(&mut script, FAULT_MS + 0.1, 2, fork, 0);
    script.server(11_436.4, 1, history(hex(9), fork, Some((hex(1), fork)), HistoryWhy::Promotion));
    script.server(11_436.4, 1, ServerEvent::BecameMaster { offset: fork });
    script.server(12_278.5, 2, ServerEvent::BecameReplica { of: addr(1) });
    script.server(12_279.0, 2, link(LinkState::Handshake));
    script.server(12_280.0, 1, granted(2, SyncKind::Partial, None, fork));
    script.server(12_280.5, 2, history(hex(9), fork, Some((hex(1), fork)), HistoryWhy::PartialSync));
    script.server(12_280.5, 2, ServerEvent::Synced { kind: SyncKind::Partial, offset: fork });
    script.server(12_280.5, 2, link(LinkState::Connected));
    outage(&mut script, &mut told, FAULT_MS, 12_290.0, &writers, 1);
    let after = Stream { from: 12_330.0, to: 30_000.0, clients: &writers, master: 1, replicas: &[2], backlog: 40_000 };
    stream(&mut script, &mut told, &after);
    ends(&mut script, 30_000.0, 1, &[(1, hex(9), told.offset), (2, hex(9), told.offset)]);
    script.trace()
}

/// A master cut off with one sentinel and one writer: it goes on acknowledging what will be lost.
pub(crate) fn isolated() -> Vec<Event> {
    let mut script = Script::default();
    declare(&mut script, 2);
    servers(&mut script);
    sentinels(&mut script, include_str!("samples/isolated.txt"));
    let mut told = Told { op: 0, offset: 0, noise: 42 };
    let before =
        Stream { from: 1_500.0, to: 9_990.0, clients: &[6, 7], master: 0, replicas: &[1, 2], backlog: 1 << 20 };
    stream(&mut script, &mut told, &before);
    let fork = told.offset;
    let what: Arc<str> = "partition {m1 writer-1 | m2 m3 writer-2}".into();
    let nodes: Arc<[NodeId]> = [0, 1, 2, 3, 4, 5, 6, 7].map(NodeId).into();
    script.world(FAULT_MS, None, WorldEvent::FaultBegan { fault: 0, kind: FaultKind::Partition, what, nodes });
    script.world(20_007.5, None, WorldEvent::FaultEnded { fault: 0 });
    let alone = Stream { from: FAULT_MS, to: 30_990.0, clients: &[6], master: 0, replicas: &[], backlog: 1 << 20 };
    stream(&mut script, &mut told, &alone);
    told.offset = fork;
    script.server(11_832.4, 2, history(hex(9), fork, Some((hex(1), fork)), HistoryWhy::Promotion));
    script.server(11_832.4, 2, ServerEvent::BecameMaster { offset: fork });
    script.server(12_726.5, 1, ServerEvent::BecameReplica { of: addr(2) });
    script.server(12_728.0, 2, granted(1, SyncKind::Partial, None, fork));
    script.server(12_728.5, 1, history(hex(9), fork, Some((hex(1), fork)), HistoryWhy::PartialSync));
    script.server(12_728.5, 1, ServerEvent::Synced { kind: SyncKind::Partial, offset: fork });
    script.server(12_728.5, 1, link(LinkState::Connected));
    outage(&mut script, &mut told, FAULT_MS, 12_740.0, &[7], 2);
    let mut after = Stream { from: 12_760.0, to: 31_700.0, clients: &[7], master: 2, replicas: &[1], backlog: 1 << 20 };
    stream(&mut script, &mut told, &after);
    let joined = told.offset;
    script.server(30_992.5, 0, ServerEvent::BecameReplica { of: addr(2) });
    script.server(30_993.5, 0, link(LinkState::Handshake));
    script.server(30_994.5, 2, granted(0, SyncKind::Full, Some(RefusePsync::Diverged), 0));
    script.server(30_995.5, 0, link(LinkState::Transfer));
    script.server(31_500.0, 0, history(hex(9), joined, None, HistoryWhy::FullSync));
    script.server(31_500.0, 0, ServerEvent::Synced { kind: SyncKind::Full, offset: joined });
    script.server(31_500.0, 0, link(LinkState::Connected));
    (after.from, after.to, after.replicas, after.clients) = (31_700.0, 40_000.0, &[0, 1], &[6, 7]);
    stream(&mut script, &mut told, &after);
    let offset = told.offset;
    ends(&mut script, 40_000.0, 2, &[(0, hex(9), offset), (1, hex(9), offset), (2, hex(9), offset)]);
    script.trace()
}

/// A deployment under chaos: seven servers, five sentinels, five populations of clients, `operations` of them, ten
/// minutes, a fault every twenty seconds, failovers that end well or badly.
pub(crate) fn chaos(operations: u64) -> Vec<Event> {
    let mut script = Script::default();
    let address = |n: u16| Addr::new(Ip::new(10, 0, n as u8, 1), if n < 7 { 6379 } else { 26379 });
    for n in 0..24u16 {
        let (name, role) = match n {
            0..7 => (format!("server-{}", n + 1), NodeRole::Server),
            7..12 => (format!("sentinel-{}", n - 6), NodeRole::Sentinel),
            _ => (format!("{}-{}", ["web", "batch", "cache<&>", "audit", "cron"][n as usize % 5], n), NodeRole::Client),
        };
        let (machine, machine_name) = (MachineId(n), format!("host \"{n}\"").into());
        let event = WorldEvent::Declared { name: name.into(), role, addr: address(n), machine, machine_name };
        script.world(0.0, Some(n), event);
        script.world(1.0, Some(n), WorldEvent::Started { incarnation: 1 });
    }
    let mut told = Told { op: 0, offset: 0, noise: 7 };
    for n in 7..12u16 {
        script.at(2.0, Some(n), Kind::Sentinel(SentinelEvent::Ready { id: hex(n as u8), epoch: 0 }));
    }
    for n in 0..7u16 {
        script.server(3.0, n, history(hex(1), 0, None, HistoryWhy::Start));
        let role = match n {
            0 => ServerEvent::BecameMaster { offset: 0 },
            _ => ServerEvent::BecameReplica { of: address(0) },
        };
        script.server(3.0, n, role);
        script.server(4.0, n, link(if n == 0 { LinkState::None } else { LinkState::Connected }));
    }
    for round in 0..29u16 {
        chaos_round(&mut script, &mut told, round, &address);
    }
    let step = 600_000.0 / operations as f64;
    for op in 1..=operations {
        let (t, client) = (op as f64 * step, 12 + (op % 12) as u16);
        told.offset += 77;
        let key = op as u32 % 100;
        script.client(t, client, ClientEvent::Invoke { op, f: OpKind::Write, key, value: op, hash: op });
        let server = address((op / 40_000 % 7) as u16);
        let late = t + 0.5 + 40.0 * told.noise() * told.noise() * told.noise();
        match (told.noise() * 200.0) as u32 {
            0 => script.client(late, client, ClientEvent::Unknown { op, why: Unanswered::Timeout, server }),
            1 => script.client(late, client, ClientEvent::Fail { op, why: Refusal::Readonly, server: Some(server) }),
            _ => script.client(late, client, ClientEvent::Ok { op, value: None, server, replicas: None }),
        }
        script.server(t + 0.3, (op / 40_000 % 7) as u16, ServerEvent::Write { op, offset: told.offset });
        if op.is_multiple_of(50) {
            say_offset(&mut script, t + 0.4, (op / 50 % 7) as u16, told.offset, 1 << 20);
        }
    }
    script.world(600_000.0, None, WorldEvent::SettleBegan);
    script.world(600_100.0, None, WorldEvent::End);
    script.trace()
}

fn chaos_round(script: &mut Script, told: &mut Told, round: u16, address: &dyn Fn(u16) -> Addr) {
    let t = 15_000.0 + f64::from(round) * 20_000.0;
    let kinds = [FaultKind::Crash, FaultKind::Partition, FaultKind::Pause, FaultKind::Exec, FaultKind::Clock];
    let kind = kinds[usize::from(round) % kinds.len()];
    let what = format!("{kind:?} of server-{} and whatever else was near it", round % 7 + 1).into();
    let began = WorldEvent::FaultBegan { fault: round, kind, what, nodes: [NodeId(round % 7)].into() };
    script.world(t, None, began);
    if kind == FaultKind::Crash {
        script.world(t, Some(round % 7), WorldEvent::Died { how: "crash".into() });
        script.world(t + 9_000.0, Some(round % 7), WorldEvent::Started { incarnation: 2 });
    }
    script.world(t + 2_000.0 + 30_000.0 * told.noise(), None, WorldEvent::FaultEnded { fault: round });
    let epoch = u64::from(round) + 1;
    for n in 7..12u16 {
        let at = t + 5_000.0 + 400.0 * told.noise();
        let about = |kind, name: &str, addr| {
            let (name, master, master_addr) = (name.into(), "main".into(), address(0));
            Some(Box::new(Instance { kind, name, addr, master, master_addr }))
        };
        let mut say = |at: f64, name, instance, detail| {
            script.at(at, Some(n), Kind::Sentinel(SentinelEvent::Said { name, instance, detail }));
        };
        say(at, SentinelEventName::SdownEnter, about(InstanceKind::Master, "main", address(0)), Detail::None);
        let quorum = Detail::Quorum { votes: 3, quorum: 3 };
        say(at + 100.0, SentinelEventName::OdownEnter, about(InstanceKind::Master, "main", address(0)), quorum);
        let vote = Detail::Vote { leader: hex(7 + ((n + round) % 2) as u8), epoch };
        say(at + 200.0, SentinelEventName::VoteForLeader, None, vote);
        if round.is_multiple_of(3) {
            let main = about(InstanceKind::Master, "main", address(0));
            say(at + 5_000.0, SentinelEventName::AbortNotElected, main, Detail::None);
        } else {
            let new = address((round + 1) % 7);
            let switch = Detail::Switch { master: "main".into(), old: address(0), new };
            say(at + 2_000.0, SentinelEventName::SwitchMaster, None, switch);
        }
    }
}

/// A run with that trace, judged by the checkers.
pub(crate) fn run(name: &str, events: &[Event]) -> Run {
    let mut suite = Suite::new();
    for event in events {
        suite.see(event);
    }
    let judgement = suite.finish();
    let end = events.last().expect("a trace").at;
    Run {
        scenario: name.into(),
        description: "A sample made for tests.".into(),
        seed: Seed(42),
        digest: crate::trace::Fingerprint(0x0123_4567_89ab_cdef),
        events: EventId(events.len() as u64),
        ended: Ended::Finished,
        duration: Span(end.0.saturating_sub(5_000 * NS_PER_MS)),
        simulated: Span(end.0),
        wall: Span::from_us(1_234),
        expectations: Vec::new(),
        metrics: judgement.metrics,
        verdicts: judgement.verdicts,
        findings: judgement.findings,
        key_size: 16,
    }
}

/// Width, height and pixels of a PNG.
pub(crate) fn decode_png(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(bytes).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut pixels).expect("a whole PNG");
    (info.width, info.height, pixels)
}

/// A report's files, in memory.
pub(crate) fn files(run: &super::Run, events: &[Event]) -> Vec<(String, Vec<u8>)> {
    use std::cell::RefCell;
    use std::rc::Rc;

    struct File(Rc<RefCell<Vec<u8>>>);
    impl std::io::Write for File {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut files: Vec<(String, Rc<RefCell<Vec<u8>>>)> = Vec::new();
    let receipt = super::summary::Receipt::default();
    super::write(run, events, &receipt, &mut |name| {
        let content = Rc::new(RefCell::new(Vec::new()));
        files.push((name.to_owned(), content.clone()));
        Ok(Box::new(File(content)))
    })
    .expect("memory takes everything");
    files.into_iter().map(|(name, content)| (name, content.take())).collect()
}
