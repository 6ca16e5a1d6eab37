//! What happened: one typed event for everything that a person could ask about, and the only observation there is.
//!
//! Nodes and the world emit events; checkers, reports, histories and digests read nothing else.

pub mod digest;
pub mod event;
pub mod history;
pub mod json;
pub mod text;

pub use digest::{Digest, Fingerprint};
pub use event::Kind;

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::id::{EventId, NodeId};
use crate::time::Instant;

/// One entry of the trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, counted from 1 without gaps; a larger number never has an earlier time.
    pub id: EventId,
    /// World time, not the node's own clock.
    pub at: Instant,
    /// The node it happened to; `None` for the world itself.
    pub node: Option<NodeId>,
    /// The event without which this one would not have happened (then): the last event of the sender before the
    /// message that was being handled, of the node itself for a timer, the fault that struck. [`EventId::NONE`] for a root.
    pub cause: EventId,
    /// How the cause reached this node.
    pub via: Via,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The digest of a trace is taken in order, so an event's number is in it without being hashed; the small fields share
/// a word. Every message costs a hash or two.
impl Hash for Event {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let node = self.node.map_or(1 << 16, |node| u64::from(node.0));
        state.write_u64(node << 8 | u64::from(self.via as u8));
        state.write_u64(self.at.0);
        state.write_u64(self.cause.0);
        self.kind.hash(state);
    }
}

/// How a cause became an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// The process was started.
    Start,
    /// Bytes arrived, or a connection opened or closed.
    Message,
    /// One of the node's own timers expired.
    Timer,
    /// A disk operation or background job ended.
    Completion,
    /// The scenario's timeline, or an operator.
    Fault,
    /// The world's own bookkeeping (declarations, end-of-run probes).
    World,
}

/// Takes events as they happen.
pub trait Sink {
    /// Sees the next event.
    fn see(&mut self, event: &Event);
}

/// Numbers events, stamps them, feeds the running digest, and holds them until the host drains them.
#[derive(Clone, Debug)]
pub struct Tracer {
    /// Events since the last drain, oldest first.
    pub pending: Vec<Event>,
    digest: Digest,
    last: EventId,
    /// World time given to the next event.
    pub at: Instant,
}

impl Default for Tracer {
    fn default() -> Self {
        Tracer { pending: Vec::new(), digest: Digest::new(), last: EventId::NONE, at: Instant::ZERO }
    }
}

impl Tracer {
    /// Records one event and returns its number.
    pub fn record(&mut self, node: Option<NodeId>, cause: EventId, via: Via, kind: Kind) -> EventId {
        self.record_often(node, cause, via, kind)
    }

    /// [`Tracer::record`] for the few places where events come by the million: what is known there of the kind of the
    /// event needn't be found out for its hash.
    #[inline(always)]
    pub fn record_often(&mut self, node: Option<NodeId>, cause: EventId, via: Via, kind: Kind) -> EventId {
        self.last = EventId(self.last.0 + 1);
        let event = Event { id: self.last, at: self.at, node, cause, via, kind };
        event.hash(&mut self.digest);
        self.pending.push(event);
        self.last
    }

    /// The number of the newest event: how many there have been.
    #[must_use]
    pub fn last(&self) -> EventId {
        self.last
    }

    /// The fingerprint of everything recorded so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.digest.fingerprint()
    }
}
