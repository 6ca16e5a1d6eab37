//! What every checker needs and none should compute twice: who is who, operations under way, writes, groups.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::findings::NodeInfo;
use super::lineage::Lineage;
use super::locks::Book;
use crate::id::{Addr, EventId, HexId, NodeId};
use crate::time::Instant;
use crate::trace::event::{ClientEvent, NodeRole, OpKind, SentinelEvent, ServerEvent, WorldEvent};
use crate::trace::{Event, Kind};

/// Kept up to date before any checker sees the event.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Declared nodes, by node number.
    pub nodes: Vec<NodeInfo>,
    /// Replication histories and where each server stands.
    pub lineage: Lineage,
    /// Every write that was invoked.
    pub writes: Writes,
    /// Who wanted and held locks.
    pub locks: Book,
    /// The operation that the event being seen is about, if it is a client's.
    pub op: Option<Op>,
    /// When the settle period began: what happens from then on isn't measured.
    pub settled: Option<Instant>,
    /// The last event's number and time.
    pub last: (EventId, Instant),
    alive: Vec<bool>,
    sentinels: BTreeMap<HexId, NodeId>,
    pending: FxHashMap<(NodeId, u64), Op>,
    addrs: FxHashMap<Addr, NodeId>,
}

/// An operation as it was invoked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Op {
    /// The client.
    pub client: NodeId,
    /// Its number.
    pub number: u64,
    /// Read or write.
    pub f: OpKind,
    /// The key's number.
    pub key: u32,
    /// A write's value.
    pub value: u64,
    /// When it was invoked.
    pub invoked: Instant,
    /// The event that says so.
    pub invoke: EventId,
    /// A write's index in [`Writes`].
    pub write: Option<u32>,
}

/// Every write of the run.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// In the order of invocation.
    pub records: Vec<WriteRecord>,
    by_hash: FxHashMap<u64, u32>,
    by_value: FxHashMap<u64, u32>,
}

/// One write and what became of it.
#[derive(Clone, Debug)]
pub struct WriteRecord {
    /// The client.
    pub client: NodeId,
    /// Its number.
    pub op: u64,
    /// The key's number.
    pub key: u32,
    /// The value's number.
    pub value: u64,
    /// When it was invoked.
    pub invoked: Instant,
    /// The event that says so.
    pub invoke: EventId,
    /// What the client learnt.
    pub outcome: WriteOutcome,
    /// Where it was executed: once, or again after a retry.
    pub executed: SmallVec<[Executed; 1]>,
}

/// What a client learnt of its write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WriteOutcome {
    /// Nothing yet.
    Pending,
    /// It was acknowledged.
    Acked {
        /// When.
        at: Instant,
        /// By the event.
        event: EventId,
        /// By whom.
        server: Option<NodeId>,
        /// How many replicas WAIT counted.
        replicas: Option<u16>,
    },
    /// It did not happen.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// One execution of a write by a master.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Executed {
    /// The master.
    pub node: NodeId,
    /// Its history then (an index of [`Lineage`]).
    pub history: u32,
    /// The offset after it.
    pub offset: u64,
    /// The event.
    pub event: EventId,
}

impl Writes {
    /// The write of that value.
    #[must_use]
    pub fn by_value(&self, value: u64) -> Option<&WriteRecord> {
        self.by_value.get(&value).map(|&index| &self.records[index as usize])
    }

    fn invoke(&mut self, hash: u64, record: WriteRecord) -> u32 {
        let index = u32::try_from(self.records.len()).expect("fewer than 2^32 writes in a run");
        self.by_hash.insert(hash, index);
        self.by_value.insert(record.value, index);
        self.records.push(record);
        index
    }
}

impl Context {
    /// The node at an address.
    #[must_use]
    pub fn node_at(&self, addr: Addr) -> Option<NodeId> {
        self.addrs.get(&addr).copied()
    }

    /// A node's name, or its number if it was never declared.
    #[must_use]
    pub fn name(&self, node: NodeId) -> String {
        self.nodes.get(node.index()).map_or_else(|| format!("node {}", node.0), |info| info.name.to_string())
    }

    /// The scenario's name of the server at an address, or the address.
    #[must_use]
    pub fn name_at(&self, addr: Addr) -> String {
        self.node_at(addr).map_or_else(|| addr.to_string(), |node| self.name(node))
    }

    /// The name of the sentinel with an id, or the id's first digits.
    #[must_use]
    pub fn sentinel_name(&self, id: HexId) -> String {
        self.sentinels.get(&id).map_or_else(|| format!("{id:.8}"), |&node| self.name(node))
    }

    /// Whether a node's process exists.
    #[must_use]
    pub fn is_alive(&self, node: NodeId) -> bool {
        self.alive.get(node.index()).copied().unwrap_or(false)
    }

    /// Whether the watched duration is over.
    #[must_use]
    pub fn settling(&self) -> bool {
        self.settled.is_some()
    }

    pub(super) fn see(&mut self, event: &Event) {
        self.last = (event.id, event.at);
        self.op = None;
        if matches!(event.kind, Kind::Lock(_) | Kind::World(_)) {
            self.locks.see(event);
        }
        match (&event.kind, event.node) {
            (Kind::Client(said), Some(node)) => self.client(event, node, said),
            (Kind::Server(said), Some(node)) => self.server(event, node, said),
            (Kind::World(said), node) => self.world(event, node, said),
            (Kind::Sentinel(SentinelEvent::Ready { id, .. }), Some(node)) => {
                self.sentinels.insert(*id, node);
            }
            (Kind::Net(_) | Kind::Disk(_) | Kind::Sentinel(_) | Kind::Lock(_), _)
            | (Kind::Client(_) | Kind::Server(_), None) => {}
        }
    }

    fn client(&mut self, event: &Event, node: NodeId, said: &ClientEvent) {
        match said {
            &ClientEvent::Invoke { op: number, f, key, value, hash } => {
                let (client, invoked, invoke) = (node, event.at, event.id);
                let mut op = Op { client, number, f, key, value, invoked, invoke, write: None };
                if f == OpKind::Write {
                    let (outcome, executed) = (WriteOutcome::Pending, SmallVec::new());
                    let record = WriteRecord { client, op: number, key, value, invoked, invoke, outcome, executed };
                    op.write = Some(self.writes.invoke(hash, record));
                }
                self.pending.insert((node, number), op);
                self.op = Some(op);
            }
            ClientEvent::Ok { op, server, replicas, .. } => {
                let server = self.node_at(*server);
                let outcome = WriteOutcome::Acked { at: event.at, event: event.id, server, replicas: *replicas };
                self.finish(node, *op, outcome);
            }
            ClientEvent::Fail { op, .. } => self.finish(node, *op, WriteOutcome::Failed),
            ClientEvent::Unknown { op, .. } => self.finish(node, *op, WriteOutcome::Unknown),
            ClientEvent::Connected { .. }
            | ClientEvent::Disconnected { .. }
            | ClientEvent::Discovered { .. }
            | ClientEvent::DiscoveryFailed { .. }
            | ClientEvent::SwitchSeen { .. }
            | ClientEvent::NotMaster { .. } => {}
        }
    }

    fn finish(&mut self, client: NodeId, number: u64, outcome: WriteOutcome) {
        self.op = self.pending.remove(&(client, number));
        if let Some(write) = self.op.and_then(|op| op.write) {
            self.writes.records[write as usize].outcome = outcome;
        }
    }

    fn server(&mut self, event: &Event, node: NodeId, said: &ServerEvent) {
        self.lineage.see(event, node, said);
        if let ServerEvent::Write { op, offset } = said
            && let Some(&index) = self.writes.by_hash.get(op)
        {
            let executed = Executed { node, history: self.lineage.history_of(node), offset: *offset, event: event.id };
            self.writes.records[index as usize].executed.push(executed);
        } else if let ServerEvent::SyncGranted { replica, .. } = said
            && let Some(replica) = self.node_at(*replica)
        {
            self.lineage.join(node, replica);
        }
    }

    fn world(&mut self, event: &Event, node: Option<NodeId>, said: &WorldEvent) {
        match (said, node) {
            (WorldEvent::Declared { name, role, addr, machine, .. }, Some(node)) => {
                let info = NodeInfo { node, name: name.clone(), role: *role, addr: *addr, machine: *machine };
                assert_eq!(self.nodes.len(), node.index(), "nodes are declared in their order");
                if *role != NodeRole::Client {
                    self.addrs.insert(*addr, node);
                }
                self.nodes.push(info);
            }
            (WorldEvent::Started { .. }, Some(node)) => self.set_alive(node, true),
            (WorldEvent::Died { .. }, Some(node)) => {
                self.set_alive(node, false);
                self.lineage.died(event, node);
            }
            (WorldEvent::SettleBegan, _) => self.settled = Some(event.at),
            (
                WorldEvent::Declared { .. }
                | WorldEvent::Started { .. }
                | WorldEvent::Died { .. }
                | WorldEvent::Paused
                | WorldEvent::Resumed
                | WorldEvent::FaultBegan { .. }
                | WorldEvent::FaultEnded { .. }
                | WorldEvent::ExecReply { .. }
                | WorldEvent::End,
                _,
            ) => {}
        }
    }

    fn set_alive(&mut self, node: NodeId, alive: bool) {
        if self.alive.len() <= node.index() {
            self.alive.resize(node.index() + 1, false);
        }
        self.alive[node.index()] = alive;
    }
}
