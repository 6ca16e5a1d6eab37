//! Replication histories as a graph: which writes a dataset at (replid, offset) holds, and where each server stood when.
//!
//! A position (history, offset) holds every write of that history up to the offset and, through the history's parent,
//! every write of the parent up to where they part. Histories are known by small numbers.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::logged::{Cut, Log};
use crate::id::{EventId, HexId, NodeId};
use crate::time::Instant;
use crate::trace::Event;
use crate::trace::event::{HistoryWhy, ServerEvent};

/// The number of the history of a server that has not said any: no write of it is held by anyone.
pub const NO_HISTORY: u32 = u32::MAX;

/// All histories and all servers' ways through them.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    histories: Vec<History>,
    numbers: FxHashMap<HexId, u32>,
    servers: Vec<Server>,
    group: Vec<u16>,
}

/// One replication history.
#[derive(Clone, Debug)]
struct History {
    replid: HexId,
    /// Parents. More than one only if servers disagree; all are believed.
    parents: SmallVec<[Parent; 1]>,
    /// The first event that named a parent: a promotion, as a rule.
    forked: Option<(NodeId, EventId, Instant)>,
    /// Some server that has had it.
    owner: NodeId,
}

/// A history that another one continues.
#[derive(Clone, Copy, Debug)]
struct Parent {
    history: u32,
    /// The last offset that both have.
    shared: u64,
    /// The last event of it that a file has brought over. An offset doesn't tell where nothing is replicated.
    last: EventId,
}

/// The end of time.
const NEVER: EventId = EventId(u64::MAX);

/// Where a server stands, and stood.
#[derive(Clone, Debug, Default)]
struct Server {
    now: Option<Position>,
    steps: Vec<Step>,
    last: Option<Final>,
    /// What it has said of its append-only file, if it has one.
    log: Option<Box<Log>>,
    /// What it has just loaded of it.
    loaded: Option<Cut>,
}

/// A dataset's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The history's number.
    pub history: u32,
    /// The offset in it.
    pub offset: u64,
}

/// A change of a server's history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The event.
    pub event: EventId,
    /// When.
    pub at: Instant,
    /// What happened.
    pub what: StepKind,
    /// Where the server stands after it; `None` for a dead one.
    pub after: Option<Position>,
    /// Keys it holds after it.
    pub keys: u64,
}

/// What changed a server's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Its process ended.
    Died,
    /// A History event.
    History(HistoryWhy),
}

/// What a server said at the very end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Final {
    /// A master?
    pub master: bool,
    /// A replica with its link up?
    pub link_up: bool,
    /// Its place.
    pub position: Position,
    /// Its keys.
    pub keys: u64,
    /// The dataset's hash.
    pub dataset: u64,
}

impl Lineage {
    pub(super) fn see(&mut self, event: &Event, node: NodeId, said: &ServerEvent) {
        match said {
            ServerEvent::History { replid, offset, parent, why, keys } => {
                self.begin(event, node, *replid, *offset, *parent, *why, *keys);
            }
            ServerEvent::Write { offset, .. } => {
                let server = self.server(node);
                if let Some(log) = &mut server.log {
                    log.executed(event.id);
                }
                server.advance(*offset);
            }
            ServerEvent::Offset { offset, .. } | ServerEvent::Synced { offset, .. } => {
                self.server(node).advance(*offset);
            }
            ServerEvent::Logged { seq, to, ends, offset } => {
                let server = self.server(node);
                server.advance(*offset);
                if let Some(position) = server.now {
                    server.log.get_or_insert_default().wrote(*seq, *to, ends, position, event.id);
                }
            }
            ServerEvent::AofRewriteBegan { seq } => {
                let server = self.server(node);
                if let Some(position) = server.now {
                    server.log.get_or_insert_default().rewrites(*seq, position, event.id);
                }
            }
            ServerEvent::AofLoaded { seq, bytes, .. } => {
                let server = self.server(node);
                let log = server.log.get_or_insert_default();
                server.loaded = log.up_to((*seq, *bytes));
            }
            ServerEvent::Final { master, link_up, replid, offset, keys, dataset, .. } => {
                let position = Position { history: self.number(*replid, node), offset: *offset };
                let (master, link_up, keys, dataset) = (*master, *link_up, *keys, *dataset);
                self.server(node).last = Some(Final { master, link_up, position, keys, dataset });
            }
            ServerEvent::Ready { .. }
            | ServerEvent::BecameMaster { .. }
            | ServerEvent::BecameReplica { .. }
            | ServerEvent::Link { .. }
            | ServerEvent::SyncGranted { .. }
            | ServerEvent::RdbBegan { .. }
            | ServerEvent::RdbDone { .. }
            | ServerEvent::ReplicaOnline { .. }
            | ServerEvent::ReplicaGone { .. }
            | ServerEvent::WritesRefused { .. }
            | ServerEvent::Slow { .. }
            | ServerEvent::Expired { .. }
            | ServerEvent::Evicted { .. }
            | ServerEvent::ConfigSet { .. }
            | ServerEvent::AofRewriteDone { .. }
            | ServerEvent::AofError { .. }
            | ServerEvent::Fatal { .. } => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one event")]
    fn begin(
        &mut self,
        event: &Event,
        node: NodeId,
        replid: HexId,
        offset: u64,
        parent: Option<(HexId, u64)>,
        why: HistoryWhy,
        keys: u64,
    ) {
        let history = self.number(replid, node);
        let before = self.server(node).now;
        // A replid that is renewed in place is a new name for the same data, whether or not Redis remembers the old one.
        let renewed = match (why, before) {
            (HistoryWhy::Renewed, Some(before)) if before.history != history => Some((before.history, offset)),
            _ => None,
        };
        let loaded = self.server(node).loaded.take().filter(|_| why == HistoryWhy::Aof);
        let parent = parent.map(|(id, at)| (self.number(id, node), at)).or(renewed);
        let parent = parent.map(|(history, shared)| Parent { history, shared, last: NEVER });
        let parent = parent.or(loaded.map(|cut| Parent {
            history: cut.position.history,
            shared: cut.position.offset,
            last: cut.last,
        }));
        if let Some(parent) = parent.filter(|parent| parent.history != history) {
            let known = &mut self.histories[history as usize];
            match known.parents.iter_mut().find(|known| known.history == parent.history) {
                Some(known) => {
                    (known.shared, known.last) = (parent.shared.max(known.shared), parent.last.max(known.last))
                }
                None => known.parents.push(parent),
            }
            known.forked.get_or_insert((node, event.id, event.at));
        }
        let after = Some(Position { history, offset });
        let server = self.server(node);
        server.now = after;
        server.steps.push(Step { event: event.id, at: event.at, what: StepKind::History(why), after, keys });
    }

    pub(super) fn died(&mut self, event: &Event, node: NodeId) {
        let server = self.server(node);
        if server.now.take().is_some() {
            let (event, at) = (event.id, event.at);
            server.steps.push(Step { event, at, what: StepKind::Died, after: None, keys: 0 });
        }
    }

    /// Puts two servers into one group.
    pub(super) fn join(&mut self, a: NodeId, b: NodeId) {
        let (a, b) = (self.group(a), self.group(b));
        let (low, high) = (a.min(b), a.max(b));
        self.group[usize::from(high)] = low;
    }

    /// The replication group that a server belongs to: the smallest node number in it.
    pub fn group(&mut self, node: NodeId) -> u16 {
        for number in self.group.len()..=node.index() {
            self.group.push(u16::try_from(number).expect("node numbers are 16 bits"));
        }
        let mut root = node.0;
        while self.group[usize::from(root)] != root {
            root = self.group[usize::from(root)];
        }
        self.group[node.index()] = root;
        root
    }

    /// The replication group as far as it is known, without shortening the way to it.
    #[must_use]
    pub fn group_of(&self, node: NodeId) -> u16 {
        let mut root = node.0;
        while let Some(&next) = self.group.get(usize::from(root)).filter(|&&next| next != root) {
            root = next;
        }
        root
    }

    fn number(&mut self, replid: HexId, node: NodeId) -> u32 {
        let next = u32::try_from(self.histories.len()).expect("fewer than 2^32 histories in a run");
        let number = *self.numbers.entry(replid).or_insert(next);
        if number == next {
            self.histories.push(History { replid, parents: SmallVec::new(), forked: None, owner: node });
        } else {
            self.join(self.histories[number as usize].owner, node);
        }
        number
    }

    fn server(&mut self, node: NodeId) -> &mut Server {
        if self.servers.len() <= node.index() {
            self.servers.resize_with(node.index() + 1, Server::default);
        }
        &mut self.servers[node.index()]
    }

    /// The history that a server is in now, or [`NO_HISTORY`].
    #[must_use]
    pub fn history_of(&self, node: NodeId) -> u32 {
        self.position(node).map_or(NO_HISTORY, |now| now.history)
    }

    /// Where a live server stands, as far as it has said.
    #[must_use]
    pub fn position(&self, node: NodeId) -> Option<Position> {
        self.servers.get(node.index())?.now
    }

    /// The changes of a server's history, in order.
    #[must_use]
    pub fn steps(&self, node: NodeId) -> &[Step] {
        self.servers.get(node.index()).map_or(&[], |server| &server.steps)
    }

    /// What each server said at the very end, by node number.
    pub fn finals(&self) -> impl Iterator<Item = (NodeId, Final)> + '_ {
        self.servers.iter().enumerate().filter_map(|(index, server)| {
            let node = NodeId(u16::try_from(index).expect("node numbers are 16 bits"));
            server.last.map(|last| (node, last))
        })
    }

    /// Every server that has ever had a history.
    pub fn servers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.servers
            .iter()
            .enumerate()
            .filter(|(_, server)| !server.steps.is_empty())
            .map(|(index, _)| NodeId(u16::try_from(index).expect("node numbers are 16 bits")))
    }

    /// A history's replication id.
    #[must_use]
    pub fn replid(&self, history: u32) -> HexId {
        self.histories.get(history as usize).map_or(HexId::ZERO, |history| history.replid)
    }

    /// What a position holds: each history with the offset up to which it does.
    #[must_use]
    pub fn holds(&self, position: Position) -> Holds {
        let mut held: SmallVec<[Parent; 2]> = SmallVec::new();
        let mut open: SmallVec<[Parent; 2]> = SmallVec::new();
        open.push(Parent { history: position.history, shared: position.offset, last: NEVER });
        while let Some(part) = open.pop() {
            match held.iter_mut().find(|known| known.history == part.history) {
                Some(known) if known.shared >= part.shared && known.last >= part.last => continue,
                Some(known) => (known.shared, known.last) = (known.shared.max(part.shared), known.last.max(part.last)),
                None => held.push(part),
            }
            if let Some(known) = self.histories.get(part.history as usize) {
                open.extend(known.parents.iter().map(|&parent| {
                    // What comes out of a file says nothing of offsets: they begin anew.
                    let shared = if parent.last == NEVER { parent.shared.min(part.shared) } else { parent.shared };
                    Parent { shared, ..parent }
                }));
            }
        }
        Holds(held)
    }

    /// Some other server that was in a history at the time of an event: before a full resynchronisation, its master.
    #[must_use]
    pub fn holder(&self, history: u32, other_than: NodeId, before: EventId) -> Option<NodeId> {
        let stood = |node: &NodeId| {
            let steps = self.steps(*node).iter().rev().find(|step| step.event < before);
            *node != other_than && steps.and_then(|step| step.after).is_some_and(|after| after.history == history)
        };
        let owner = self.histories.get(history as usize).map(|history| history.owner);
        owner.filter(stood).or_else(|| self.servers().find(stood))
    }

    /// How the dataset at `to` came to leave `history`: the youngest history on the way up from `to` that has it as
    /// its parent, who began it and up to which offset both are one.
    #[must_use]
    pub fn fork(&self, to: Position, history: u32) -> Option<(NodeId, EventId, Instant, u64)> {
        let holds = self.holds(to);
        holds.0.iter().find_map(|held| {
            let known = self.histories.get(held.history as usize)?;
            let parent = known.parents.iter().find(|parent| parent.history == history)?;
            let (node, event, when) = known.forked?;
            Some((node, event, when, parent.shared))
        })
    }
}

/// What a dataset holds.
#[derive(Clone, Debug)]
pub struct Holds(SmallVec<[Parent; 2]>);

impl Holds {
    /// Whether the write at that place, which that event said, is in it.
    #[must_use]
    pub fn has(&self, history: u32, offset: u64, event: EventId) -> bool {
        self.0.iter().any(|held| held.history == history && offset <= held.shared && event <= held.last)
    }
}

impl Server {
    /// It stands at least there.
    fn advance(&mut self, offset: u64) {
        if let Some(now) = &mut self.now {
            now.offset = now.offset.max(offset);
        }
    }
}
