//! The clients' operations: names shared by those who make them and those who judge them, operations with their
//! intervals, and the history as lines that Jepsen's checkers and their kin read.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::event::{ClientEvent, LockEvent, LockLoss, OpKind, Refusal, Unanswered, WorldEvent};
use super::{Event, Kind};
use crate::id::{Addr, EventId, NodeId};
use crate::time::Instant;

/// The key of so many bytes that stands for a number in the KV workloads: `key:000000000012` with the size that
/// redis-benchmark uses.
#[must_use]
pub fn key_name(key: u32, size: u32) -> String {
    let digits = size.saturating_sub(4) as usize;
    format!("key:{key:0digits$}")
}

/// Parses the number at the start of a value back out of it: the tag of [`value_tag`].
#[must_use]
pub fn value_number(value: &[u8]) -> Option<u64> {
    let digits = value.get(..20)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The first 20 bytes of a written value: its number, unique in the run. Padding follows up to the value's size.
#[must_use]
pub fn value_tag(value: u64) -> [u8; 20] {
    let mut tag = [b'0'; 20];
    let mut rest = value;
    for digit in tag.iter_mut().rev() {
        *digit = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
    }
    tag
}

/// One operation of a client, with the interval in which it took effect if it did.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Who.
    pub client: NodeId,
    /// Its number, unique within the client.
    pub op: u64,
    /// Read or write.
    pub f: OpKind,
    /// The key's number.
    pub key: u32,
    /// What it wrote, or what it read (`None`: the key had no value, or the read has no answer).
    pub value: Option<u64>,
    /// A write's tag in the servers' Write events; 0 for a read.
    pub hash: u64,
    /// When it began.
    pub invoked: Instant,
    /// The event that says so.
    pub invoke: EventId,
    /// When the client learned its outcome, or gave up on it; `None`: never.
    pub returned: Option<Instant>,
    /// How it came out.
    pub outcome: Outcome,
}

/// How an operation came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered without an error.
    Ok {
        /// By whom.
        server: Addr,
        /// How many replicas WAIT counted, if it was asked.
        replicas: Option<u16>,
    },
    /// It certainly did not happen.
    Fail {
        /// Why.
        why: Refusal,
        /// Who refused; `None` if it was never sent.
        server: Option<Addr>,
    },
    /// Nobody knows; it may take effect at any time after it began.
    Unknown {
        /// Why.
        why: Unanswered,
        /// Who was asked, if the client lived to say.
        server: Option<Addr>,
    },
}

impl Operation {
    /// Until when it can take effect: its return, or any time at all when the outcome isn't known.
    #[must_use]
    pub fn until(&self) -> Instant {
        match self.outcome {
            Outcome::Ok { .. } | Outcome::Fail { .. } => self.returned.unwrap_or(Instant::NEVER),
            Outcome::Unknown { .. } => Instant::NEVER,
        }
    }
}

/// Builds operations from client events, one event at a time.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    /// Where the operations without an outcome are.
    open: FxHashMap<(NodeId, u64), usize>,
}

impl History {
    /// Takes the next event of a trace; only clients' operations matter.
    pub fn see(&mut self, event: &Event) {
        let (Kind::Client(kind), Some(client)) = (&event.kind, event.node) else { return };
        let (op, outcome, read) = match *kind {
            ClientEvent::Invoke { op, f, key, value, hash } => {
                self.open.insert((client, op), self.operations.len());
                self.operations.push(Operation {
                    client,
                    op,
                    f,
                    key,
                    value: (f == OpKind::Write).then_some(value),
                    hash,
                    invoked: event.at,
                    invoke: event.id,
                    returned: None,
                    outcome: Outcome::Unknown { why: Unanswered::RunEnded, server: None },
                });
                return;
            }
            ClientEvent::Ok { op, value, server, replicas } => (op, Outcome::Ok { server, replicas }, value),
            ClientEvent::Fail { op, why, server } => (op, Outcome::Fail { why, server }, None),
            ClientEvent::Unknown { op, why, server } => (op, Outcome::Unknown { why, server: Some(server) }, None),
            ClientEvent::Connected { .. }
            | ClientEvent::Disconnected { .. }
            | ClientEvent::Discovered { .. }
            | ClientEvent::DiscoveryFailed { .. }
            | ClientEvent::SwitchSeen { .. }
            | ClientEvent::NotMaster { .. } => return,
        };
        let Some(index) = self.open.remove(&(client, op)) else { return };
        let operation = &mut self.operations[index];
        (operation.outcome, operation.returned) = (outcome, Some(event.at));
        if operation.f == OpKind::Read {
            operation.value = read;
        }
    }

    /// All operations so far, in the order they began. Those without an outcome are unknown.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// All operations, in the order they began.
    #[must_use]
    pub fn into_operations(self) -> Vec<Operation> {
        self.operations
    }
}

/// Writes a history as JSON lines, one for each beginning and each outcome, in the order of the trace.
///
/// A Jepsen process does one thing at a time, and none after an outcome it doesn't know. A client with several
/// operations in flight therefore appears as several processes; `client` says whose they are.
///
/// What lock clients believe is a history of its own: `acquire` lasts from wanting the lock to having it, `release` is the
/// moment from which the client doesn't believe to have it any more, whatever the servers think.
#[derive(Debug)]
pub struct HistoryWriter<W> {
    out: W,
    index: u64,
    processes: u32,
    /// Each client's processes that are free, the smallest last.
    free: BTreeMap<NodeId, Vec<u32>>,
    open: FxHashMap<(NodeId, u64), Open>,
    locks: FxHashMap<NodeId, Locking>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    process: u32,
    f: OpKind,
    key: u32,
    value: u64,
}

/// A lock that a client wants or has.
#[derive(Clone, Debug)]
struct Locking {
    process: u32,
    lock: Arc<str>,
    held: bool,
}

/// What an operation is about.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum About<'a> {
    Key(u32),
    Lock(&'a str),
}

/// What doesn't change between an operation's two lines.
#[derive(Clone, Copy)]
struct Topic<'a> {
    client: NodeId,
    process: u32,
    f: &'static str,
    key: About<'a>,
}

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    /// Nanoseconds.
    time: u64,
    process: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    f: &'static str,
    key: About<'a>,
    value: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Addr>,
    client: u16,
}

impl Open {
    fn topic(self, client: NodeId) -> Topic<'static> {
        let f = match self.f {
            OpKind::Read => "read",
            OpKind::Write => "write",
        };
        Topic { client, process: self.process, f, key: About::Key(self.key) }
    }
}

impl Locking {
    fn topic(&self, client: NodeId, f: &'static str) -> Topic<'_> {
        Topic { client, process: self.process, f, key: About::Lock(&self.lock) }
    }
}

impl<W: Write> HistoryWriter<W> {
    /// A history that goes to `out`.
    pub fn new(out: W) -> HistoryWriter<W> {
        let (open, locks) = (FxHashMap::default(), FxHashMap::default());
        HistoryWriter { out, index: 0, processes: 0, free: BTreeMap::new(), open, locks }
    }

    /// Writes the line of the next event of a trace, if it has one.
    ///
    /// # Errors
    /// What the writer returns.
    pub fn see(&mut self, event: &Event) -> io::Result<()> {
        let Some(client) = event.node else { return Ok(()) };
        match &event.kind {
            Kind::Client(said) => self.operation(event.at, client, said),
            Kind::Lock(said) => self.lock(event.at, client, said),
            Kind::World(WorldEvent::Died { .. }) => self.died(event.at, client),
            Kind::World(_) | Kind::Net(_) | Kind::Disk(_) | Kind::Server(_) | Kind::Sentinel(_) => Ok(()),
        }
    }

    fn operation(&mut self, at: Instant, client: NodeId, said: &ClientEvent) -> io::Result<()> {
        match *said {
            ClientEvent::Invoke { op, f, key, value, .. } => {
                let process = self.process(client);
                let open = Open { process, f, key, value };
                self.open.insert((client, op), open);
                let written = (f == OpKind::Write).then_some(value);
                self.line(at, open.topic(client), "invoke", written, None, None)
            }
            ClientEvent::Ok { op, value, server, .. } => {
                let Some(open) = self.release(client, op) else { return Ok(()) };
                let value = if open.f == OpKind::Write { Some(open.value) } else { value };
                self.line(at, open.topic(client), "ok", value, None, Some(server))
            }
            ClientEvent::Fail { op, why, server } => {
                let Some(open) = self.release(client, op) else { return Ok(()) };
                let value = (open.f == OpKind::Write).then_some(open.value);
                self.line(at, open.topic(client), "fail", value, Some(why.name()), server)
            }
            ClientEvent::Unknown { op, why, server } => {
                // The process is not used again.
                let Some(open) = self.open.remove(&(client, op)) else { return Ok(()) };
                let value = (open.f == OpKind::Write).then_some(open.value);
                self.line(at, open.topic(client), "info", value, Some(why.name()), Some(server))
            }
            ClientEvent::Connected { .. }
            | ClientEvent::Disconnected { .. }
            | ClientEvent::Discovered { .. }
            | ClientEvent::DiscoveryFailed { .. }
            | ClientEvent::SwitchSeen { .. }
            | ClientEvent::NotMaster { .. } => Ok(()),
        }
    }

    fn lock(&mut self, at: Instant, client: NodeId, said: &LockEvent) -> io::Result<()> {
        match said {
            LockEvent::Wanted { lock, .. } => {
                let locking = Locking { process: self.process(client), lock: Arc::clone(lock), held: false };
                self.line(at, locking.topic(client, "acquire"), "invoke", None, None, None)?;
                self.locks.insert(client, locking);
                Ok(())
            }
            LockEvent::Acquired { fencing, .. } => {
                let Some(mut locking) = self.locks.remove(&client) else { return Ok(()) };
                self.line(at, locking.topic(client, "acquire"), "ok", *fencing, None, None)?;
                locking.held = true;
                self.locks.insert(client, locking);
                Ok(())
            }
            LockEvent::GivenUp { .. } => match self.locks.remove(&client) {
                Some(locking) if !locking.held => {
                    self.line(at, locking.topic(client, "acquire"), "fail", None, Some("given-up"), None)?;
                    self.free(client, locking.process);
                    Ok(())
                }
                held => {
                    self.locks.extend(held.map(|held| (client, held)));
                    Ok(())
                }
            },
            LockEvent::Released { .. } => self.unlock(at, client, None),
            LockEvent::Lost { why, .. } => {
                let why = match why {
                    LockLoss::Expired => "expired",
                    LockLoss::NotExtended => "not-extended",
                    LockLoss::Fenced => "fenced",
                };
                self.unlock(at, client, Some(why))
            }
            LockEvent::Asked { .. }
            | LockEvent::Answered { .. }
            | LockEvent::Missed { .. }
            | LockEvent::Extended { .. }
            | LockEvent::ResourceAsked { .. }
            | LockEvent::ResourceAnswered { .. }
            | LockEvent::KeyHeld { .. }
            | LockEvent::KeyFreed { .. }
            | LockEvent::Written { .. }
            | LockEvent::Rejected { .. } => Ok(()),
        }
    }

    /// From now on a client doesn't believe to hold the lock that it held.
    fn unlock(&mut self, at: Instant, client: NodeId, why: Option<&str>) -> io::Result<()> {
        let Some(locking) = self.locks.remove(&client) else { return Ok(()) };
        if !locking.held {
            self.locks.insert(client, locking);
            return Ok(());
        }
        let topic = locking.topic(client, "release");
        self.line(at, topic, "invoke", None, None, None)?;
        self.line(at, topic, "ok", None, why, None)?;
        self.free(client, locking.process);
        Ok(())
    }

    fn died(&mut self, at: Instant, client: NodeId) -> io::Result<()> {
        self.unlock(at, client, Some("died"))?;
        let Some(locking) = self.locks.remove(&client) else { return Ok(()) };
        self.line(at, locking.topic(client, "acquire"), "info", None, Some("died"), None)
    }

    /// Hands the writer back.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// A process of a client that has nothing to do.
    fn process(&mut self, client: NodeId) -> u32 {
        self.free.entry(client).or_default().pop().unwrap_or_else(|| {
            self.processes += 1;
            self.processes - 1
        })
    }

    fn free(&mut self, client: NodeId, process: u32) {
        let free = self.free.entry(client).or_default();
        let at = free.partition_point(|&other| other > process);
        free.insert(at, process);
    }

    fn release(&mut self, client: NodeId, op: u64) -> Option<Open> {
        let open = self.open.remove(&(client, op))?;
        self.free(client, open.process);
        Some(open)
    }

    fn line(
        &mut self,
        at: Instant,
        Topic { client, process, f, key }: Topic<'_>,
        kind: &'static str,
        value: Option<u64>,
        error: Option<&str>,
        server: Option<Addr>,
    ) -> io::Result<()> {
        let line =
            Line { index: self.index, time: at.0, process, kind, f, key, value, error, server, client: client.0 };
        self.index += 1;
        serde_json::to_writer(&mut self.out, &line)?;
        self.out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_back() {
        for value in [0, 1, 42, u64::MAX] {
            let mut text = value_tag(value).to_vec();
            text.extend_from_slice(b"xxxx");
            assert_eq!(value_number(&text), Some(value));
        }
        assert_eq!(value_number(b"short"), None);
    }

    const SERVER: Addr = Addr::new(crate::id::Ip::new(10, 0, 0, 1), 6379);

    /// Two clients, two operations in flight at one of them, every kind of outcome, one operation left open.
    fn trace() -> Vec<Event> {
        let invoke = |op, f, key| {
            let value = if f == OpKind::Write { op * 100 } else { 0 };
            ClientEvent::Invoke { op, f, key, value, hash: value * 7 }
        };
        let ok = |op, value| ClientEvent::Ok { op, value, server: SERVER, replicas: None };
        let events = [
            (1, invoke(1, OpKind::Write, 5)),
            (1, invoke(2, OpKind::Read, 5)),
            (2, invoke(1, OpKind::Write, 6)),
            (1, ok(2, Some(100))),
            (1, invoke(3, OpKind::Read, 9)),
            (1, ClientEvent::Connected { to: SERVER }),
            (1, ClientEvent::Unknown { op: 1, why: Unanswered::Timeout, server: SERVER }),
            (2, ClientEvent::Fail { op: 1, why: Refusal::Readonly, server: Some(SERVER) }),
            (1, ok(3, None)),
            (1, invoke(4, OpKind::Write, 5)),
            (2, invoke(2, OpKind::Write, 6)),
            (2, ClientEvent::Fail { op: 2, why: Refusal::NotSent, server: None }),
            (2, ok(77, None)),
        ];
        let event = |(i, (node, kind)): (usize, (u16, ClientEvent))| Event {
            id: EventId(i as u64 + 1),
            at: Instant(i as u64 * 10),
            node: Some(NodeId(node)),
            cause: EventId::NONE,
            via: crate::trace::Via::World,
            kind: Kind::Client(kind),
        };
        events.into_iter().enumerate().map(event).collect()
    }

    #[test]
    fn operations_have_intervals_and_outcomes() {
        let mut history = History::default();
        trace().iter().for_each(|event| history.see(event));
        let ok = Outcome::Ok { server: SERVER, replicas: None };
        let unknown = |why, server| Outcome::Unknown { why, server };
        let fail = |why, server| Outcome::Fail { why, server };
        let seen: Vec<_> = history
            .operations()
            .iter()
            .map(|o| (o.client.0, o.op, o.value, o.invoked.0, o.returned.map(|at| at.0), o.until().0, o.outcome))
            .collect();
        let never = Instant::NEVER.0;
        assert_eq!(
            seen,
            [
                (1, 1, Some(100), 0, Some(60), never, unknown(Unanswered::Timeout, Some(SERVER))),
                (1, 2, Some(100), 10, Some(30), 30, ok),
                (2, 1, Some(100), 20, Some(70), 70, fail(Refusal::Readonly, Some(SERVER))),
                (1, 3, None, 40, Some(80), 80, ok),
                (1, 4, Some(400), 90, None, never, unknown(Unanswered::RunEnded, None)),
                (2, 2, Some(200), 100, Some(110), 110, fail(Refusal::NotSent, None)),
            ]
        );
    }

    #[test]
    fn lines_are_a_jepsen_history() {
        let mut writer = HistoryWriter::new(Vec::new());
        for event in trace() {
            writer.see(&event).expect("a vector takes everything");
        }
        let text = String::from_utf8(writer.into_inner()).expect("JSON is UTF-8");
        insta::assert_snapshot!(text, @r#"
        {"index":0,"time":0,"process":0,"type":"invoke","f":"write","key":5,"value":100,"client":1}
        {"index":1,"time":10,"process":1,"type":"invoke","f":"read","key":5,"value":null,"client":1}
        {"index":2,"time":20,"process":2,"type":"invoke","f":"write","key":6,"value":100,"client":2}
        {"index":3,"time":30,"process":1,"type":"ok","f":"read","key":5,"value":100,"server":"10.0.0.1:6379","client":1}
        {"index":4,"time":40,"process":1,"type":"invoke","f":"read","key":9,"value":null,"client":1}
        {"index":5,"time":60,"process":0,"type":"info","f":"write","key":5,"value":100,"error":"timeout","server":"10.0.0.1:6379","client":1}
        {"index":6,"time":70,"process":2,"type":"fail","f":"write","key":6,"value":100,"error":"readonly","server":"10.0.0.1:6379","client":2}
        {"index":7,"time":80,"process":1,"type":"ok","f":"read","key":9,"value":null,"server":"10.0.0.1:6379","client":1}
        {"index":8,"time":90,"process":1,"type":"invoke","f":"write","key":5,"value":400,"client":1}
        {"index":9,"time":100,"process":2,"type":"invoke","f":"write","key":6,"value":200,"client":2}
        {"index":10,"time":110,"process":2,"type":"fail","f":"write","key":6,"value":200,"error":"not-sent","client":2}
        "#);
    }

    #[test]
    fn what_lock_clients_believe_is_a_history_too() {
        let wanted = |round| Kind::Lock(LockEvent::Wanted { lock: "l".into(), round, token: "t".into(), ttl: None });
        let acquired = |round, fencing| {
            let (lock, token) = ("l".into(), "t".into());
            Kind::Lock(LockEvent::Acquired { lock, round, token, granted: 1, valid: None, minds: false, fencing })
        };
        let died = || Kind::World(WorldEvent::Died { how: "crash".into() });
        let events = [
            (1, wanted(1)),
            (2, wanted(1)),
            (1, acquired(1, Some(7))),
            (1, Kind::Lock(LockEvent::Released { round: 1 })),
            (2, acquired(1, None)),
            (2, Kind::Lock(LockEvent::Lost { round: 1, why: LockLoss::Expired })),
            (2, wanted(2)),
            (2, Kind::Lock(LockEvent::GivenUp { round: 2 })),
            (1, wanted(2)),
            (1, acquired(2, Some(9))),
            (1, died()),
            (2, wanted(3)),
            (2, died()),
        ];
        let mut writer = HistoryWriter::new(Vec::new());
        for (i, (node, kind)) in events.into_iter().enumerate() {
            let (id, at, node) = (EventId(i as u64 + 1), Instant(i as u64 * 10), Some(NodeId(node)));
            let event = Event { id, at, node, cause: EventId::NONE, via: crate::trace::Via::World, kind };
            writer.see(&event).expect("a vector takes everything");
        }
        let text = String::from_utf8(writer.into_inner()).expect("JSON is UTF-8");
        insta::assert_snapshot!(text, @r#"
        {"index":0,"time":0,"process":0,"type":"invoke","f":"acquire","key":"l","value":null,"client":1}
        {"index":1,"time":10,"process":1,"type":"invoke","f":"acquire","key":"l","value":null,"client":2}
        {"index":2,"time":20,"process":0,"type":"ok","f":"acquire","key":"l","value":7,"client":1}
        {"index":3,"time":30,"process":0,"type":"invoke","f":"release","key":"l","value":null,"client":1}
        {"index":4,"time":30,"process":0,"type":"ok","f":"release","key":"l","value":null,"client":1}
        {"index":5,"time":40,"process":1,"type":"ok","f":"acquire","key":"l","value":null,"client":2}
        {"index":6,"time":50,"process":1,"type":"invoke","f":"release","key":"l","value":null,"client":2}
        {"index":7,"time":50,"process":1,"type":"ok","f":"release","key":"l","value":null,"error":"expired","client":2}
        {"index":8,"time":60,"process":1,"type":"invoke","f":"acquire","key":"l","value":null,"client":2}
        {"index":9,"time":70,"process":1,"type":"fail","f":"acquire","key":"l","value":null,"error":"given-up","client":2}
        {"index":10,"time":80,"process":0,"type":"invoke","f":"acquire","key":"l","value":null,"client":1}
        {"index":11,"time":90,"process":0,"type":"ok","f":"acquire","key":"l","value":9,"client":1}
        {"index":12,"time":100,"process":0,"type":"invoke","f":"release","key":"l","value":null,"client":1}
        {"index":13,"time":100,"process":0,"type":"ok","f":"release","key":"l","value":null,"error":"died","client":1}
        {"index":14,"time":110,"process":1,"type":"invoke","f":"acquire","key":"l","value":null,"client":2}
        {"index":15,"time":120,"process":1,"type":"info","f":"acquire","key":"l","value":null,"error":"died","client":2}
        "#);
    }
}
