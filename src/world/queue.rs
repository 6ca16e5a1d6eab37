//! The engine's queue: what happens next, ordered by time and then by sequence (or by a seeded draw).

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
    /// A process executes its own program anew.
    Return { node: u16, incarnation: u32 },
    /// A fault of the timeline strikes.
    Fault { fault: u16 },
    /// It heals.
    Heal { fault: u16 },
    /// A flapping fault toggles.
    Flap { fault: u16 },
}

/// Ties below this belong to the faults of the timeline, by their numbers: at one instant the timeline comes first, and
/// when its faults were queued makes no difference.
const TIMELINE_TIES: u64 = 1 << 16;

const SLOT_BITS: u32 = 24;
const TIE_BITS: u32 = 40;
const TIE_MASK: u64 = (1 << TIE_BITS) - 1;

/// A heap of small keys over a slab of events, so that sifting moves 16 bytes.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    /// Time (64 bits), tie (40), slot (24).
    heap: Vec<u128>,
    /// The top of the heap has been taken and waits to be replaced: most events schedule another one, and replacing
    /// the top costs half of a pop and a push.
    taken: bool,
    slots: Vec<Due>,
    /// Those of `slots` that hold nothing. That of a taken top isn't among them: what replaces it goes there.
    free: Vec<u32>,
    sequence: u64,
    /// Draws the order of simultaneous events; `None`: as they were scheduled.
    ties: Option<Box<Rng>>,
}

impl Queue {
    pub(super) fn new(ties: Option<Rng>) -> Queue {
        let ties = ties.map(Box::new);
        Queue { heap: Vec::new(), taken: false, slots: Vec::new(), free: Vec::new(), sequence: TIMELINE_TIES, ties }
    }

    /// Whether simultaneous events come in a drawn order.
    pub(super) fn draws_ties(&self) -> bool {
        self.ties.is_some()
    }

    #[inline(always)]
    pub(super) fn push(&mut self, at: Instant, due: Due) {
        // The usual case: no draw, and what was taken last is replaced.
        match (self.ties.is_none() && self.taken, self.heap.first()) {
            (true, Some(&top)) => {
                self.taken = false;
                self.sequence = self.sequence.wrapping_add(1);
                let slot = Self::slot(top);
                self.slots[slot as usize] = due;
                sink(&mut self.heap, Self::above(at, self.sequence & TIE_MASK) | u128::from(slot));
            }
            _ => self.push_more(at, due),
        }
    }

    #[inline(never)]
    fn push_more(&mut self, at: Instant, due: Due) {
        let tie = match &mut self.ties {
            None => {
                self.sequence += 1;
                self.sequence & TIE_MASK
            }
            Some(rng) => (rng.next_u64() & TIE_MASK).max(TIMELINE_TIES),
        };
        self.insert(at, tie, due);
    }

    /// The part of a key that orders.
    #[inline(always)]
    fn above(at: Instant, tie: u64) -> u128 {
        u128::from(at.0) << 64 | u128::from(tie) << SLOT_BITS
    }

    /// A fault of the timeline, whose time is known from the start. It draws nothing: a fault more or less leaves the
    /// order of everything else as it is.
    pub(super) fn push_fault(&mut self, at: Instant, fault: u16) {
        self.insert(at, u64::from(fault), Due::Fault { fault });
    }

    /// Takes out every fault that [`Queue::push_fault`] put in and that has not come yet.
    pub(super) fn drop_faults(&mut self) {
        self.settle();
        let (slots, free) = (&self.slots, &mut self.free);
        self.heap.retain(|&key| {
            let slot = Self::slot(key);
            let theirs = Self::tie(key) < TIMELINE_TIES && matches!(slots[slot as usize], Due::Fault { .. });
            if theirs {
                free.push(slot);
            }
            !theirs
        });
        // What is sorted is a heap.
        self.heap.sort_unstable();
    }

    fn insert(&mut self, at: Instant, tie: u64, due: Due) {
        let above = Self::above(at, tie);
        if self.taken {
            self.taken = false;
            let slot = Self::slot(self.heap[0]);
            self.slots[slot as usize] = due;
            sink(&mut self.heap, above | u128::from(slot));
        } else {
            self.insert_more(above, due);
        }
    }

    #[inline(never)]
    fn insert_more(&mut self, above: u128, due: Due) {
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = due;
            slot
        } else {
            self.slots.push(due);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        assert!(slot < 1 << SLOT_BITS, "more than 16 million engine events at once");
        rise(&mut self.heap, above | u128::from(slot));
    }

    /// The smallest key that was not taken.
    #[inline]
    fn first(&self) -> Option<u128> {
        match (self.heap.as_slice(), self.taken) {
            ([], _) | ([_], true) => None,
            ([first, ..], false) => Some(*first),
            // The next smallest of a heap is a child of the smallest.
            ([_, only], true) => Some(*only),
            ([_, left, right, ..], true) => Some(*left.min(right)),
        }
    }

    /// Makes the top of the heap the next event.
    #[inline]
    fn settle(&mut self) {
        if self.taken {
            self.drop_taken();
        }
    }

    #[inline(never)]
    fn drop_taken(&mut self) {
        self.taken = false;
        self.free.push(Self::slot(self.heap[0]));
        let last = self.heap.pop().expect("what was taken is still there");
        if !self.heap.is_empty() {
            sink(&mut self.heap, last);
        }
    }

    #[inline]
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.first().map(Self::time)
    }

    /// Whether nothing is due up to this instant, itself included.
    #[inline]
    pub(super) fn nothing_until(&self, at: Instant) -> bool {
        self.first().is_none_or(|first| Self::time(first) > at)
    }

    /// When the next event is due, and when the one after it is ([`Instant::NEVER`]: never).
    #[inline]
    pub(super) fn next_two(&mut self) -> Option<(Instant, Instant)> {
        self.settle();
        if let [first, left, right, ..] = self.heap.as_slice() {
            return Some((Self::time(*first), Self::time(*left).min(Self::time(*right))));
        }
        let then = self.heap.get(1).map_or(Instant::NEVER, |&only| Self::time(only));
        Some((Self::time(*self.heap.first()?), then))
    }

    /// The next event, which [`Queue::next_two`] has just found. [`Queue::drop_first`] takes it out.
    #[inline]
    pub(super) fn top(&self) -> Due {
        self.slots[Self::slot(self.heap[0]) as usize]
    }

    /// Takes the next event out, at which [`Queue::top`] has just looked.
    #[inline]
    pub(super) fn drop_first(&mut self) {
        assert!(!self.taken, "an event is taken once");
        self.taken = true;
    }

    /// The next event, if it is due at exactly this instant.
    pub(super) fn pop_at(&mut self, at: Instant) -> Option<Due> {
        self.settle();
        let &key = self.heap.first()?;
        if Self::time(key) != at {
            return None;
        }
        self.taken = true;
        Some(self.slots[Self::slot(key) as usize])
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked to 24 bits")]
    fn slot(key: u128) -> u32 {
        (key as u32) & ((1 << SLOT_BITS) - 1)
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked to 40 bits")]
    fn tie(key: u128) -> u64 {
        (key >> SLOT_BITS) as u64 & TIE_MASK
    }

    fn time(key: u128) -> Instant {
        #[allow(clippy::cast_possible_truncation, reason = "the high half of 128 bits")]
        Instant((key >> 64) as u64)
    }
}

/// Puts a key in place of the smallest.
#[inline(always)]
fn sink(heap: &mut [u128], key: u128) {
    let mut at = 0;
    loop {
        let mut child = 2 * at + 1;
        match heap.get(child..) {
            Some(&[left, right, ..]) => child += usize::from(right < left),
            Some(&[_]) => {}
            Some(&[]) | None => break,
        }
        if key <= heap[child] {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = key;
}

/// Adds a key.
fn rise(heap: &mut Vec<u128>, key: u128) {
    let mut at = heap.len();
    heap.push(key);
    while at > 0 {
        let parent = (at - 1) / 2;
        if heap[parent] <= key {
            break;
        }
        heap[at] = heap[parent];
        at = parent;
    }
    heap[at] = key;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

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

    proptest! {
        /// Whatever the mixture of pushes and pops, events come in the order of time and, at one time, of pushing.
        #[test]
        fn a_queue_is_a_stable_sort(script in prop::collection::vec((0u64..20, any::<bool>()), 1..200)) {
            let mut queue = Queue::new(None);
            let mut model: Vec<(u64, u16)> = Vec::new();
            for (number, (after, pop)) in (0u16..).zip(script) {
                let now = model.iter().map(|&(at, _)| at).min().unwrap_or(0);
                model.push((now + after, number));
                queue.push(Instant(now + after), Due::Wake { node: number });
                if pop {
                    let next = *model.iter().min().expect("just pushed");
                    model.retain(|entry| *entry != next);
                    prop_assert_eq!(queue.next_at(), Some(Instant(next.0)));
                    let alone = !model.iter().any(|&(at, _)| at == next.0);
                    let two = queue.next_two();
                    prop_assert_eq!(two.map(|(first, then)| (first.0, then.0 != first.0)), Some((next.0, alone)));
                    let due = queue.pop_at(Instant(next.0));
                    let Some(Due::Wake { node }) = due else { panic!("only wakes were pushed") };
                    prop_assert_eq!(node, next.1);
                    prop_assert_eq!(queue.next_at().map(|at| at.0), model.iter().map(|&(at, _)| at).min());
                }
            }
        }
    }

    #[test]
    fn an_engine_event_is_small() {
        assert!(std::mem::size_of::<Due>() <= 32);
    }
}
