//! What happened: one typed event for everything that a person could ask about, and the only observation there is.
//!
//! Nodes and the world emit events; checkers, reports, histories and digests read nothing else.

pub mod digest;
pub mod event;
pub mod history;
pub mod json;
mod often;
pub mod text;

pub use digest::{Digest, Fingerprint};
pub use event::Kind;
pub use often::Often;

use serde::{Deserialize, Serialize};

use crate::id::{EventId, NodeId};
use crate::time::Instant;
use often::{About, Batch};

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

/// How a cause became an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    #[default]
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
    pending: Vec<Event>,
    /// Those behind them.
    batch: Batch,
    digest: Digest,
    last: EventId,
    /// World time given to the next event.
    pub at: Instant,
}

impl Default for Tracer {
    fn default() -> Self {
        Tracer {
            pending: Vec::new(),
            batch: Batch::default(),
            digest: Digest::new(),
            last: EventId::NONE,
            at: Instant::ZERO,
        }
    }
}

impl Tracer {
    /// Records one event and returns its number.
    pub fn record(&mut self, node: Option<NodeId>, cause: EventId, via: Via, kind: Kind) -> EventId {
        self.settle();
        self.last = EventId(self.last.0 + 1);
        let event = Event { id: self.last, at: self.at, node, cause, via, kind };
        self.digest.add(&event);
        self.pending.push(event);
        self.last
    }

    /// [`Tracer::record`] for the few events that come by the million.
    #[inline(always)]
    pub fn record_often(&mut self, node: Option<NodeId>, cause: EventId, via: Via, event: Often) -> EventId {
        let words = event.words(About { at: self.at, node, cause, via });
        words.feed(&mut self.digest);
        if !self.batch.push(words) {
            self.settle();
            assert!(self.batch.push(words), "there is room now");
        }
        // 64 bits never overflow by counting.
        self.last = EventId(self.last.0.wrapping_add(1));
        self.last
    }

    #[inline(never)]
    fn settle(&mut self) {
        self.batch.move_to(&mut self.pending, self.last);
    }

    /// How many events there have been since the last drain.
    #[inline(always)]
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pending.len() + self.batch.len()
    }

    /// Events since the last drain, oldest first: to be looked at, or taken.
    pub fn pending(&mut self) -> &mut Vec<Event> {
        self.settle();
        &mut self.pending
    }

    /// Shows the events since the last drain, oldest first, and forgets them. What is seen is never kept, so most of
    /// them never take memory of their own.
    #[inline]
    pub fn show(&mut self, mut see: impl FnMut(&Event)) {
        self.pending.iter().for_each(&mut see);
        self.pending.clear();
        self.batch.show(self.last, see);
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
