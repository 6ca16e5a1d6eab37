//! The operations of a client that have no outcome yet: waiting to be sent, in flight, to be tried again.

use std::collections::{BTreeMap, VecDeque};

use super::workload::kv::Op;
use crate::id::Addr;
use crate::time::Instant;
use crate::trace::event::Unanswered;

/// A request whose reply is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) request: Request,
    /// When the client's patience with it ends.
    pub(crate) deadline: Instant,
}

/// What a missing reply will answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A SET or GET.
    Op(Op),
    /// The WAIT behind the writes before it.
    Wait,
}

/// An operation that waits to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    pub(crate) op: Op,
    /// When it has waited too long.
    pub(crate) until: Instant,
}

/// Every operation without an outcome is in exactly one of the four places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operations {
    /// In the order of sending, which is the order of replies and of deadlines.
    pub(crate) sent: VecDeque<Sent>,
    /// Writes that were answered and whose WAIT wasn't.
    pub(crate) confirming: Vec<Op>,
    /// In the order of sending to come.
    pub(crate) queue: VecDeque<Queued>,
    /// Refused and to be tried again, by time and number.
    pub(crate) later: BTreeMap<(Instant, u64), Op>,
    /// Operations being tried again although an earlier attempt may have been executed: why it isn't known, and by whom.
    doubts: BTreeMap<u64, (Unanswered, Addr)>,
}

impl Operations {
    /// How many have no outcome.
    pub(crate) fn open(&self) -> usize {
        // WAITs in `sent` are counted too: they stand behind writes that are open or confirming.
        self.sent.len() + self.confirming.len() + self.queue.len() + self.later.len()
    }

    /// Whether there are others than those that are in flight for the first time.
    #[inline]
    pub(crate) fn others(&self) -> bool {
        self.confirming.len() + self.queue.len() + self.later.len() + self.doubts.len() > 0
    }

    /// The earliest time at which one of them needs attention.
    #[inline]
    pub(crate) fn wake_at(&self) -> Instant {
        let sent = self.sent.front().map_or(Instant::NEVER, |sent| sent.deadline);
        let queued = self.queue.front().map_or(Instant::NEVER, |queued| queued.until);
        let later = self.later.first_key_value().map_or(Instant::NEVER, |(&(at, _), _)| at);
        sent.min(queued).min(later)
    }

    /// Remembers that an attempt may have been executed.
    pub(crate) fn doubt(&mut self, op: Op, why: Unanswered, server: Addr) {
        self.doubts.entry(op.number).or_insert((why, server));
    }

    /// Forgets the doubt about an operation that gets its outcome, and returns it.
    #[inline]
    pub(crate) fn settle(&mut self, op: Op) -> Option<(Unanswered, Addr)> {
        if self.doubts.is_empty() { None } else { self.doubts.remove(&op.number) }
    }

    /// The doubt about an operation, if an earlier attempt may have been executed.
    pub(crate) fn doubt_about(&self, op: Op) -> Option<(Unanswered, Addr)> {
        self.doubts.get(&op.number).copied()
    }
}
