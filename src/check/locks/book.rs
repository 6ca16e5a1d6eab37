//! Who wanted a lock, who believed to hold it from when to when, and what the protected resource took: from the trace.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::check::findings::Mark;
use crate::id::NodeId;
use crate::time::{Instant, Span};
use crate::trace::event::{LockEvent, LockStep, WorldEvent};
use crate::trace::{Event, Kind};

/// A time in which a client wanted a lock.
#[derive(Clone, Debug)]
pub struct Want {
    /// Which.
    pub lock: Arc<str>,
    /// Who.
    pub client: NodeId,
    /// Its round.
    pub round: u32,
    /// Since when.
    pub from: Mark,
    /// For how long it asks the servers to keep it.
    pub ttl: Option<Span>,
    /// When it got it.
    pub acquired: Option<Mark>,
    /// When it gave up, or its process ended.
    pub ended: Option<Mark>,
    /// When it asked for its fencing token.
    pub fence_asked: Option<Instant>,
}

/// A time in which a client believed that it held a lock.
#[derive(Clone, Debug)]
pub struct Belief {
    /// Which.
    pub lock: Arc<str>,
    /// Who.
    pub client: NodeId,
    /// Its round.
    pub round: u32,
    /// What the servers store for it.
    pub token: Arc<str>,
    /// Its fencing token.
    pub fencing: Option<u64>,
    /// When it asked for that.
    pub fence_asked: Option<Instant>,
    /// Since when.
    pub from: Mark,
    /// Until when; `None`: to the end.
    pub to: Option<Mark>,
    /// When the validity that it knows of is over, in world time.
    pub valid_until: Option<Instant>,
    /// It does not act on the lock without looking at its clock first: while its process is stopped it believes nothing.
    pub minds: bool,
    /// When its process was stopped meanwhile; the last may be open.
    pub stopped: Vec<(Mark, Option<Instant>)>,
}

/// A write that reached a resource.
#[derive(Clone, Debug)]
pub struct Wrote {
    /// The resource.
    pub resource: NodeId,
    /// Under which lock.
    pub lock: Arc<str>,
    /// The client's name.
    pub client: Arc<str>,
    /// Its round.
    pub round: u32,
    /// Its fencing token.
    pub fencing: Option<u64>,
    /// When.
    pub at: Mark,
    /// Whether the resource took it.
    pub accepted: bool,
}

/// Everything about locks in one run.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// In order of their beginning.
    pub wants: Vec<Want>,
    /// In order of their beginning.
    pub beliefs: Vec<Belief>,
    /// In order of their arrival.
    pub writes: Vec<Wrote>,
    /// Where each client's want and belief are.
    open: FxHashMap<NodeId, (Option<usize>, Option<usize>)>,
}

impl Belief {
    /// When it really could act on it, up to `end`: all the time, or only when it wasn't stopped.
    #[must_use]
    pub fn spans(&self, end: Instant) -> Vec<(Instant, Instant)> {
        let to = self.to.map_or(end, |to| to.at).min(end);
        let mut out = Vec::new();
        let mut from = self.from.at;
        for &(stopped, resumed) in self.stopped.iter().filter(|_| self.minds) {
            out.push((from, stopped.at.min(to)));
            from = resumed.unwrap_or(to);
        }
        out.push((from, to));
        out.retain(|(from, to)| from < to);
        out
    }

    /// How long it believed beyond the validity that it knew of.
    #[must_use]
    pub fn overstay(&self, end: Instant) -> Span {
        let Some(valid) = self.valid_until else { return Span::ZERO };
        let beyond = |(from, to): (Instant, Instant)| to.since(from.max(valid));
        self.spans(end).into_iter().map(beyond).fold(Span::ZERO, |sum, span| sum + span)
    }
}

impl Book {
    /// Nobody in this run locks anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wants.is_empty()
    }

    /// The belief of a client in a round.
    #[must_use]
    pub fn belief(&self, client: NodeId, round: u32) -> Option<&Belief> {
        self.beliefs.iter().find(|belief| belief.client == client && belief.round == round)
    }

    /// Takes the next event of the trace.
    pub fn see(&mut self, event: &Event) {
        let Some(node) = event.node else { return };
        let mark = Mark { at: event.at, event: event.id };
        match &event.kind {
            Kind::Lock(said) => self.lock(node, mark, said),
            Kind::World(WorldEvent::Died { .. }) => {
                let (want, belief) = self.open.remove(&node).unwrap_or_default();
                if let Some(want) = want {
                    self.wants[want].ended = Some(mark);
                }
                if let Some(belief) = belief {
                    self.beliefs[belief].to = Some(mark);
                }
            }
            Kind::World(WorldEvent::Paused) => {
                if let Some(belief) = self.believing(node) {
                    belief.stopped.push((mark, None));
                }
            }
            Kind::World(WorldEvent::Resumed) => {
                if let Some((_, resumed)) = self.believing(node).and_then(|belief| belief.stopped.last_mut()) {
                    *resumed = Some(mark.at);
                }
            }
            Kind::World(_) | Kind::Net(_) | Kind::Disk(_) | Kind::Server(_) | Kind::Sentinel(_) | Kind::Client(_) => {}
        }
    }

    fn believing(&mut self, node: NodeId) -> Option<&mut Belief> {
        let index = self.open.get(&node)?.1?;
        self.beliefs.get_mut(index)
    }

    fn wanting(&mut self, node: NodeId) -> Option<&mut Want> {
        let index = self.open.get(&node)?.0?;
        self.wants.get_mut(index)
    }

    fn lock(&mut self, node: NodeId, mark: Mark, said: &LockEvent) {
        match said {
            LockEvent::Wanted { lock, round, ttl, .. } => {
                self.open.entry(node).or_default().0 = Some(self.wants.len());
                self.wants.push(Want {
                    lock: Arc::clone(lock),
                    client: node,
                    round: *round,
                    from: mark,
                    ttl: *ttl,
                    acquired: None,
                    ended: None,
                    fence_asked: None,
                });
            }
            LockEvent::Asked { step: LockStep::Fence, .. } => {
                if let Some(want) = self.wanting(node) {
                    want.fence_asked = Some(mark.at);
                }
            }
            LockEvent::Acquired { .. } => self.acquired(node, mark, said),
            LockEvent::Extended { valid, .. } => {
                if let Some(belief) = self.believing(node) {
                    belief.valid_until = valid.map(|span| mark.at + span);
                }
            }
            LockEvent::Released { .. } | LockEvent::Lost { .. } => {
                if let Some(belief) = self.open.get_mut(&node).and_then(|open| open.1.take()) {
                    self.beliefs[belief].to = Some(mark);
                }
            }
            LockEvent::GivenUp { .. } => {
                if let Some(want) = self.open.get_mut(&node).and_then(|open| open.0.take()) {
                    self.wants[want].ended = Some(mark);
                }
            }
            LockEvent::Written { lock, client, round, fencing } => {
                self.wrote(node, mark, lock, client, (*round, *fencing), true);
            }
            LockEvent::Rejected { lock, client, round, fencing, .. } => {
                self.wrote(node, mark, lock, client, (*round, *fencing), false);
            }
            LockEvent::Asked { .. }
            | LockEvent::Answered { .. }
            | LockEvent::Missed { .. }
            | LockEvent::ResourceAsked { .. }
            | LockEvent::ResourceAnswered { .. }
            | LockEvent::KeyHeld { .. }
            | LockEvent::KeyFreed { .. } => {}
        }
    }

    fn acquired(&mut self, node: NodeId, mark: Mark, said: &LockEvent) {
        let LockEvent::Acquired { lock, round, token, valid, minds, fencing, .. } = said else { return };
        let open = self.open.entry(node).or_default();
        let want = open.0.take();
        open.1 = Some(self.beliefs.len());
        let mut fence_asked = None;
        if let Some(want) = want.map(|index| &mut self.wants[index]) {
            want.acquired = Some(mark);
            fence_asked = want.fence_asked;
        }
        self.beliefs.push(Belief {
            lock: Arc::clone(lock),
            client: node,
            round: *round,
            token: Arc::clone(token),
            fencing: *fencing,
            fence_asked,
            from: mark,
            to: None,
            valid_until: valid.map(|span| mark.at + span),
            minds: *minds,
            stopped: Vec::new(),
        });
    }

    fn wrote(
        &mut self,
        resource: NodeId,
        at: Mark,
        lock: &Arc<str>,
        client: &Arc<str>,
        (round, fencing): (u32, Option<u64>),
        accepted: bool,
    ) {
        let (lock, client) = (Arc::clone(lock), Arc::clone(client));
        self.writes.push(Wrote { resource, lock, client, round, fencing, at, accepted });
    }
}
