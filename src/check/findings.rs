//! What the checkers found, as plain data for summaries, charts and pages. Times are world time.

use std::sync::Arc;

use serde::Serialize;

use super::linearizable::Contradiction;
use crate::fault::FaultKind;
use crate::id::{Addr, EventId, HexId, MachineId, NodeId};
use crate::time::{Instant, Span};
use crate::trace::event::{HistoryWhy, NodeRole, SentinelEventName};

/// Everything the checkers found in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// Who took part, by node number.
    pub nodes: Vec<NodeInfo>,
    /// The faults, by their place in the scenario.
    pub faults: Vec<FaultSpan>,
    /// When the watched duration ended and the settle period began.
    pub settled: Option<Instant>,
    /// When the last event happened.
    pub end: Instant,
    /// What mattered, in order of time, capped at [`TIMELINE_MAX`] entries.
    pub timeline: Vec<Moment>,
    /// How many entries the cap dropped.
    pub timeline_dropped: u64,
    /// Each failover that got as far as +try-failover.
    pub failovers: Vec<Failover>,
    /// Acknowledged writes in no surviving dataset, grouped by who took them and what destroyed them.
    pub lost: Vec<LostGroup>,
    /// Windows in which two masters of one group executed writes.
    pub splits: Vec<SplitWindow>,
    /// Windows in which a client population had no success.
    pub unavailable: Vec<UnavailableWindow>,
    /// The first stale reads.
    pub stale: Vec<StaleRead>,
    /// Times in which two clients believed that they hold the same lock.
    pub lock_overlaps: Vec<LockOverlap>,
    /// Writes that a resource took from somebody who had got the lock before the one who wrote last.
    pub stale_writes: Vec<StaleWrite>,
    /// Fencing tokens that are not larger than one before.
    pub token_breaks: Vec<TokenBreak>,
    /// A part of what clients saw that no order explains.
    pub contradiction: Option<Contradiction>,
    /// How calm came back after the last fault.
    pub recovery: Recovery,
}

/// Two clients believed at the same time that they hold a lock.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LockOverlap {
    /// Which lock.
    pub lock: Arc<str>,
    /// Who: the earlier one first.
    pub holders: [NodeId; 2],
    /// In which rounds of theirs.
    pub rounds: [u32; 2],
    /// Since when: the later one's acquisition.
    pub from: Mark,
    /// Until when: the end of whichever belief ended first.
    pub to: Mark,
}

/// A write under a lock that came after one of a later holder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StaleWrite {
    /// Under which lock.
    pub lock: Arc<str>,
    /// Who wrote.
    pub writer: NodeId,
    /// Who had written before, and had got the lock later.
    pub after: NodeId,
    /// When.
    pub at: Mark,
}

/// Somebody got a fencing token that is not larger than one that was given before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenBreak {
    /// For which lock.
    pub lock: Arc<str>,
    /// Who got the larger one, and who got this one.
    pub holders: [NodeId; 2],
    /// In which rounds of theirs.
    pub rounds: [u32; 2],
    /// The tokens.
    pub tokens: [u64; 2],
    /// When this one's holder believed to have the lock.
    pub at: Mark,
}

/// How calm came back.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Recovery {
    /// The last fault: its end, if it had one.
    pub fault: Option<Mark>,
    /// The last change that shows unrest, and what it was.
    pub last: Option<(Mark, String)>,
}

/// The most moments that are kept.
pub const TIMELINE_MAX: usize = 4_000;

/// The most writes of a lost group that are kept from its beginning, and as many from its end.
pub const LOST_DETAIL: usize = 20;

/// A node of the deployment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeInfo {
    /// Its number.
    pub node: NodeId,
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub role: NodeRole,
    /// Where it listens.
    pub addr: Addr,
    /// The machine it runs on.
    pub machine: MachineId,
}

/// A fault and how long it lasted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultSpan {
    /// Its place in the scenario.
    pub fault: u16,
    /// Its kind.
    pub kind: FaultKind,
    /// As a sentence.
    pub what: Arc<str>,
    /// The nodes it touched.
    pub nodes: Arc<[NodeId]>,
    /// The event.
    pub event: EventId,
    /// When it began.
    pub began: Instant,
    /// When it was healed.
    pub ended: Option<Instant>,
}

/// One thing that mattered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// When.
    pub at: Instant,
    /// The event.
    pub event: EventId,
    /// To whom; `None` for the world.
    pub node: Option<NodeId>,
    /// What.
    pub what: MomentKind,
}

/// The kinds of things that matter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "moment", rename_all = "kebab-case")]
pub enum MomentKind {
    /// A fault began.
    Fault {
        /// Its kind.
        kind: FaultKind,
        /// As a sentence.
        what: Arc<str>,
    },
    /// A fault was healed.
    Healed {
        /// As a sentence.
        what: Arc<str>,
    },
    /// A process ended.
    Died {
        /// How.
        how: Arc<str>,
    },
    /// A process was started again.
    Restarted,
    /// A sentinel said something about an instance.
    Sentinel {
        /// Under this name.
        name: SentinelEventName,
        /// About whom: the scenario's name of the node, or Sentinel's name of the instance.
        about: Arc<str>,
        /// The rest: quorum, epoch, vote, new address.
        detail: Arc<str>,
    },
    /// A server's dataset was replaced or began a new history.
    History {
        /// Why.
        why: HistoryWhy,
        /// Keys it has now.
        keys: u64,
        /// The offset it stands at.
        offset: u64,
    },
    /// A master began (or ceased) to refuse writes for want of good replicas.
    WritesRefused {
        /// Whether it refuses them now.
        refused: bool,
    },
    /// The disk began (or ceased) to refuse what a process must write down.
    Unwritten {
        /// Why it refuses; none: it takes it again.
        error: Option<Arc<str>>,
    },
    /// An operator's command was answered.
    Exec {
        /// The command.
        command: Arc<str>,
        /// The reply.
        reply: Arc<str>,
    },
    /// A server or sentinel gave up.
    Fatal {
        /// Its last log line.
        message: Arc<str>,
    },
    /// The watched duration is over.
    Settle,
}

/// A point in time with the event that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// When.
    pub at: Instant,
    /// The event.
    pub event: EventId,
}

/// One attempt at a failover, from the fault to the last link.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failover {
    /// The master's name in Sentinel.
    pub master: Arc<str>,
    /// The epoch in which it was attempted.
    pub epoch: u64,
    /// The sentinel that attempted it.
    pub leader: NodeId,
    /// The master's address before.
    pub old: Addr,
    /// The chosen replica's address.
    pub new: Option<Addr>,
    /// The fault that is taken as its reason: the last one before the first +odown that touched the old master, else
    /// the last one of all.
    pub fault: Option<u16>,
    /// When that fault began.
    pub fault_at: Option<Mark>,
    /// The first +sdown of the master by any sentinel, after the fault.
    pub sdown: Option<Mark>,
    /// The first +odown of the master by any sentinel, after the fault.
    pub odown: Option<Mark>,
    /// +try-failover.
    pub tried: Mark,
    /// The first +try-failover of the master since it was last in order: differs from `tried` after lost elections.
    pub first_tried: Mark,
    /// +elected-leader.
    pub elected: Option<Mark>,
    /// +selected-slave.
    pub selected: Option<Mark>,
    /// The chosen replica executed REPLICAOF NO ONE.
    pub promoted: Option<Mark>,
    /// +promoted-slave: the leader has seen it.
    pub promotion_seen: Option<Mark>,
    /// +switch-master at each sentinel, in order of time.
    pub switches: Vec<(NodeId, Mark)>,
    /// +failover-end.
    pub ended: Option<Mark>,
    /// -failover-abort-*, with its name.
    pub aborted: Option<(SentinelEventName, Mark)>,
    /// The first write that the new master acknowledged.
    pub first_write: Option<Mark>,
    /// When each server's link to the new master came up.
    pub links_up: Vec<(NodeId, Mark)>,
    /// The first +convert-to-slave of the old master.
    pub converted: Option<Mark>,
}

impl Failover {
    /// Whether any sentinel switched.
    #[must_use]
    pub fn complete(&self) -> bool {
        !self.switches.is_empty()
    }

    /// Time from the fault to a mark, if both exist.
    #[must_use]
    pub fn after_fault(&self, mark: Option<Mark>) -> Option<Span> {
        Some(mark?.at.since(self.fault_at?.at))
    }
}

/// Lost writes with one story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LostGroup {
    /// The server that executed and acknowledged them.
    pub server: NodeId,
    /// The history they were written to.
    pub replid: HexId,
    /// How many.
    pub count: u64,
    /// Smallest and largest offset.
    pub offsets: (u64, u64),
    /// First and last acknowledgement.
    pub acked: (Instant, Instant),
    /// The first and last writes, at most [`LOST_DETAIL`] of each, in order of acknowledgement.
    pub writes: Vec<LostWrite>,
    /// What took them from the server that had acknowledged them.
    pub destroyed: Destroyed,
    /// Where the surviving history left theirs, if it ever shared it.
    pub fork: Option<Fork>,
}

/// One acknowledged write that is gone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LostWrite {
    /// The client.
    pub client: NodeId,
    /// Its operation.
    pub op: u64,
    /// The key's number.
    pub key: u32,
    /// The value's number.
    pub value: u64,
    /// The offset after the write.
    pub offset: u64,
    /// When it was invoked.
    pub invoked: Instant,
    /// When it was acknowledged.
    pub acked: Instant,
    /// How many replicas WAIT had counted.
    pub replicas: Option<u16>,
    /// The server's event of executing it.
    pub executed: EventId,
    /// The client's event of the acknowledgement.
    pub event: EventId,
}

/// What took a write from the server that had acknowledged it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Destroyed {
    /// How.
    pub how: DestroyedHow,
    /// When; `None` if it can't be told.
    pub at: Option<Mark>,
    /// For a restart: when the process had died.
    pub died: Option<Mark>,
    /// For a full resynchronisation: a server that held the new history then (the master it came from).
    pub by: Option<NodeId>,
    /// The replication history that replaced the one with the writes.
    pub into: Option<HexId>,
    /// Keys that were left after it.
    pub keys: Option<u64>,
}

/// The ways to lose a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestroyedHow {
    /// A full resynchronisation into another history.
    FullSync,
    /// The process restarted with an empty or older dataset.
    Restart,
    /// The process died and did not come back.
    NeverBack,
    /// The server's position moved to one without the writes for another reason.
    Rewound,
    /// The trace doesn't show it.
    Unknown,
}

/// Where the surviving history left the one with the lost writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fork {
    /// The server whose promotion began the surviving history.
    pub node: NodeId,
    /// Its event.
    pub mark: Mark,
    /// The last offset that both histories share.
    pub offset: u64,
}

/// A time in which two masters of one group executed clients' writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitWindow {
    /// From the later one's first write.
    pub from: Mark,
    /// To the earlier one's last write.
    pub to: Mark,
    /// The masters.
    pub nodes: Vec<NodeId>,
}

impl SplitWindow {
    /// Its length.
    #[must_use]
    pub fn length(&self) -> Span {
        self.to.at.since(self.from.at)
    }
}

/// A time in which a population of clients asked and nothing succeeded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnavailableWindow {
    /// The clients' common name.
    pub population: Arc<str>,
    /// Writes (true) or reads.
    pub writes: bool,
    /// From the last success, or the first request after it.
    pub from: Instant,
    /// To the next success, or the end of the watched duration.
    pub to: Instant,
    /// Operations that failed or stayed unanswered in it.
    pub failed: u64,
    /// True if nothing succeeded any more before the watched duration ended.
    pub open: bool,
}

impl UnavailableWindow {
    /// Its length.
    #[must_use]
    pub fn length(&self) -> Span {
        self.to.since(self.from)
    }
}

/// A read that returned less than it should have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StaleRead {
    /// The client.
    pub client: NodeId,
    /// Its operation.
    pub op: u64,
    /// The key's number.
    pub key: u32,
    /// What it returned.
    pub value: Option<u64>,
    /// A newer value that had been acknowledged before the read began.
    pub newer: u64,
    /// Who answered.
    pub server: Addr,
    /// The answer's event.
    pub event: EventId,
    /// When it was answered.
    pub at: Instant,
    /// How long before the read began the newer value had been acknowledged.
    pub age: Span,
}

impl Findings {
    /// A node's name; `--` for the world or an undeclared node.
    #[must_use]
    pub fn name(&self, node: Option<NodeId>) -> &str {
        node.and_then(|node| self.nodes.get(node.index())).map_or("--", |info| &info.name)
    }

    /// The name of the server at an address, or the address.
    #[must_use]
    pub fn name_at(&self, addr: Addr) -> String {
        let found = self.nodes.iter().find(|info| info.addr == addr && info.role != NodeRole::Client);
        found.map_or_else(|| addr.to_string(), |info| info.name.to_string())
    }
}
