//! The engine's queue: what happens next, ordered by time and then by sequence (or by a seeded draw).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use slab::Slab;

use crate::rng::Rng;
use crate::time::Instant;

use super::net::NetDue;

/// Something that happens at a known time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// A node's timer may be due.
    Wake { node: u16 },
    /// A node's main thread is free again; `epoch` says whether this entry is still meant.
    Continue { node: u16, epoch: u32 },
    /// A node's process starts for the first time.
    Start { node: u16 },
    /// Something on the network.
    Net(NetDue),
    /// The oldest background operation of a node's disk is done.
    DiskDone { node: u16, incarnation: u32 },
    /// A background job is done.
    JobDone { node: u16, incarnation: u32, job: u64 },
    /// A fault of the timeline strikes.
    Fault { fault: u16 },
    /// It heals.
    Heal { fault: u16 },
    /// A flapping fault toggles.
    Flap { fault: u16 },
}

const SLOT_BITS: u32 = 24;
const TIE_BITS: u32 = 40;
const TIE_MASK: u64 = (1 << TIE_BITS) - 1;

/// A heap of small keys over a slab of events, so that sifting moves 16 bytes.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    /// Time (64 bits), tie (40), slot (24).
    heap: BinaryHeap<Reverse<u128>>,
    slots: Slab<Due>,
    sequence: u64,
    /// Draws the order of simultaneous events; `None`: as they were scheduled.
    ties: Option<Box<Rng>>,
}

impl Queue {
    pub(super) fn new(ties: Option<Rng>) -> Queue {
        Queue { heap: BinaryHeap::new(), slots: Slab::new(), sequence: 0, ties: ties.map(Box::new) }
    }

    /// Whether simultaneous events come in a drawn order.
    pub(super) fn draws_ties(&self) -> bool {
        self.ties.is_some()
    }

    pub(super) fn push(&mut self, at: Instant, due: Due) {
        let slot = self.slots.insert(due);
        assert!(slot < 1 << SLOT_BITS, "more than 16 million engine events at once");
        let tie = match &mut self.ties {
            None => {
                self.sequence += 1;
                self.sequence
            }
            Some(rng) => rng.next_u64(),
        } & TIE_MASK;
        let key = u128::from(at.0) << 64 | u128::from(tie) << SLOT_BITS | slot as u128;
        self.heap.push(Reverse(key));
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(key)| Self::time(*key))
    }

    /// The next event, if it is the only one at this instant.
    pub(super) fn only_at(&self, at: Instant) -> Option<Due> {
        let heap = self.heap.as_slice();
        let Reverse(first) = heap.first()?;
        // The second smallest of a heap is a child of the smallest.
        let another = heap.iter().skip(1).take(2).any(|Reverse(key)| Self::time(*key) == at);
        (Self::time(*first) == at && !another).then(|| self.slots[Self::slot(*first)])
    }

    /// The next event, if it is due at exactly this instant.
    pub(super) fn pop_at(&mut self, at: Instant) -> Option<Due> {
        let top = self.heap.peek_mut()?;
        let key = top.0;
        if Self::time(key) != at {
            return None;
        }
        std::collections::binary_heap::PeekMut::pop(top);
        Some(self.slots.remove(Self::slot(key)))
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked to 24 bits")]
    fn slot(key: u128) -> usize {
        (key & ((1 << SLOT_BITS) - 1)) as usize
    }

    fn time(key: u128) -> Instant {
        #[allow(clippy::cast_possible_truncation, reason = "the high half of 128 bits")]
        Instant((key >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    fn order(ties: Option<Rng>) -> Vec<u16> {
        let mut queue = Queue::new(ties);
        for node in 0..8 {
            queue.push(Instant(5), Due::Wake { node });
        }
        queue.push(Instant(4), Due::Wake { node: 99 });
        assert_eq!(queue.next_at(), Some(Instant(4)));
        assert!(queue.pop_at(Instant(5)).is_none(), "only the exact instant");
        let mut seen = Vec::new();
        while let Some(at) = queue.next_at() {
            if let Some(Due::Wake { node }) = queue.pop_at(at) {
                seen.push(node);
            }
        }
        seen
    }

    #[test]
    fn simultaneous_events_keep_their_order_or_are_drawn() {
        assert_eq!(order(None), [99, 0, 1, 2, 3, 4, 5, 6, 7]);
        let drawn = order(Some(Seed(3).stream("world", "ties")));
        assert_eq!(drawn, order(Some(Seed(3).stream("world", "ties"))));
        assert_ne!(drawn, order(None));
        assert_ne!(drawn, order(Some(Seed(4).stream("world", "ties"))));
    }

    #[test]
    fn an_engine_event_is_small() {
        assert!(std::mem::size_of::<Due>() <= 32);
    }
}
