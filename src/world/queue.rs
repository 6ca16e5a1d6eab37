//! The engine's queue: what happens next, ordered by time and then by sequence (or by a seeded draw).

use std::hint::select_unpredictable;

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
    /// The next segment of a pipe reaches its other end; `delivery` says whether this entry is still meant.
    Deliver { pipe: u32, delivery: u32 },
    /// Something else on the network.
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

impl Due {
    /// Whether it may change how bytes travel, or that they do.
    fn upsets(self) -> bool {
        matches!(self, Due::Fault { .. } | Due::Heal { .. } | Due::Flap { .. })
    }
}

/// Ties below this belong to the faults of the timeline, by their numbers: at one instant the timeline comes first, and
/// when its faults were queued makes no difference.
const TIMELINE_TIES: u64 = 1 << 16;

const PLACE_BITS: u32 = 24;
const TIE_BITS: u32 = 40;
const TIE_MASK: u64 = (1 << TIE_BITS) - 1;
/// Stands in a key's place for a delivery: the rest of the place is its pipe, and there is nothing more to know.
const DELIVERY: u32 = 1 << (PLACE_BITS - 1);

/// What is due at no time.
const NOTHING: u128 = u128::MAX;

/// Events of the next millisecond by their time, a bucket for each 16 microseconds. Most events are messages, which arrive
/// soon: here they cost the same however many there are, as long as the buckets have room. How full a bucket is can't be
/// foreseen, so nothing here branches on it. Where the order of simultaneous events is drawn, nothing is here.
#[derive(Clone, Debug)]
struct Near {
    buckets: Box<[Bucket; BUCKETS]>,
    /// The buckets that have any.
    filled: u64,
    /// The number of the bucket that time has reached, counted from the beginning of time.
    reached: u64,
    /// The bits of a tie that [`NearKey`] has no room for: the same for all keys here. [`NO_ERA`]: none is taken in.
    era: u64,
}

const BUCKETS: usize = 64;
const BUCKET_BITS: u32 = 14;
/// As many as fill half a cache line. What finds no room goes to the heap.
const ROOM: usize = 4;

/// The keys of one stretch of time in their order, [`NearKey::NONE`] behind them.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Bucket([NearKey; ROOM]);

/// A key in 64 bits: when in its bucket's stretch of time (14), the low bits of its tie (26), and its place (24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NearKey(u64);

/// No tie is of this era.
const NO_ERA: u64 = u64::MAX;

/// The bits of a tie that a [`NearKey`] keeps.
const NEAR_TIE_BITS: u32 = u64::BITS - BUCKET_BITS - PLACE_BITS;

impl NearKey {
    const NONE: NearKey = NearKey(u64::MAX);
    const TIME_AT: u32 = u64::BITS - BUCKET_BITS;

    #[inline(always)]
    fn new(at: Instant, tie: u64, place: u32) -> NearKey {
        NearKey(at.0 << Self::TIME_AT | (tie << (u64::BITS - NEAR_TIE_BITS)) >> BUCKET_BITS | u64::from(place))
    }

    /// Whether both are due at the same time of a stretch, if there are both.
    #[inline(always)]
    fn meets(self, other: NearKey) -> bool {
        (self.0 ^ other.0) >> Self::TIME_AT == 0 && other != NearKey::NONE
    }
}

impl Near {
    fn new(era: u64) -> Near {
        Near { buckets: Box::new([Bucket([NearKey::NONE; ROOM]); BUCKETS]), filled: 0, reached: 0, era }
    }

    /// The bucket of a time.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "below 64")]
    fn bucket(at: Instant) -> usize {
        (at.0 >> BUCKET_BITS) as usize % BUCKETS
    }

    /// Takes a key in, unless its time is too far away, there is no room, or its tie is of another era.
    #[inline(always)]
    fn add(&mut self, at: Instant, tie: u64, place: u32) -> bool {
        let bucket = Self::bucket(at);
        let keys = &mut self.buckets[bucket].0;
        let ahead = (at.0 >> BUCKET_BITS).wrapping_sub(self.reached);
        if ahead >= BUCKETS as u64 || keys[ROOM - 1] != NearKey::NONE || tie >> NEAR_TIE_BITS != self.era {
            return false;
        }
        let mut later = NearKey::new(at, tie, place);
        for place in keys {
            (*place, later) = ((*place).min(later), (*place).max(later));
        }
        self.filled |= 1 << bucket;
        true
    }

    /// The key of a bucket as it is elsewhere.
    #[inline(always)]
    fn whole(&self, bucket: usize, key: NearKey) -> u128 {
        let ahead = (bucket as u64).wrapping_sub(self.reached) % BUCKETS as u64;
        let at = self.reached.wrapping_add(ahead) << BUCKET_BITS | key.0 >> NearKey::TIME_AT;
        u128::from(at) << 64 | u128::from(self.rest(key))
    }

    /// The lower half of a key as it is elsewhere: all but its time.
    #[inline(always)]
    fn rest(&self, key: NearKey) -> u64 {
        self.era << NearKey::TIME_AT | key.0 << BUCKET_BITS >> BUCKET_BITS
    }

    /// All keys.
    fn iter(&self) -> impl Iterator<Item = u128> {
        let filled = self.buckets.iter().enumerate().flat_map(|(at, bucket)| bucket.0.map(|key| (at, key)));
        filled.filter(|&(_, key)| key != NearKey::NONE).map(|(at, key)| self.whole(at, key))
    }

    /// The first key; [`NOTHING`]: there is none.
    #[inline(always)]
    fn first(&self) -> u128 {
        self.first_two().map_or(NOTHING, |first| first.key)
    }

    /// The first key, if there is any, and what is known of the one behind it.
    #[inline(always)]
    fn first_two(&self) -> Option<First> {
        if self.filled == 0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "below 64")]
        let from = (self.reached % BUCKETS as u64) as u32;
        let filled = self.filled.rotate_right(from);
        let bucket = from.wrapping_add(filled.trailing_zeros()) as usize % BUCKETS;
        let [first, after, ..] = self.buckets[bucket].0;
        // Without another bucket this is any.
        let behind = (filled & filled.wrapping_sub(1)).trailing_zeros();
        let [next, ..] = self.buckets[from.wrapping_add(behind) as usize % BUCKETS].0;
        let following = self.rest(select_unpredictable(after == NearKey::NONE, next, after));
        Some(First { key: self.whole(bucket, first), alone: !first.meets(after), following })
    }

    /// Takes the first key out, whose time this is.
    #[inline(always)]
    fn drop_first(&mut self, at: Instant) {
        let bucket = Self::bucket(at);
        let keys = &mut self.buckets[bucket].0;
        keys.copy_within(1.., 0);
        keys[ROOM - 1] = NearKey::NONE;
        self.filled &= !(u64::from(keys[0] == NearKey::NONE) << bucket);
        self.reached = at.0 >> BUCKET_BITS;
    }
}

/// The first key of those that are near.
#[derive(Clone, Copy, Debug)]
struct First {
    key: u128,
    /// No other one has its time.
    alone: bool,
    /// The lower half of the one behind it, or of anything if there is none.
    following: u64,
}

/// Keys that say when and what, sorted; what takes more than a few bits to say lies beside them.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    near: Near,
    /// A heap of what isn't in `near`. A key has time (64 bits), tie (40), and a place in `slots` or a pipe (24).
    heap: Vec<u128>,
    /// The smallest key of the heap, unless it has been taken.
    far: u128,
    /// The top of the heap has been taken and waits to be replaced: most timers set another one, and replacing the top
    /// costs half of a pop and a push.
    taken: bool,
    /// The first of all keys, if [`Queue::next`] has just found it, and whether it is in `near`.
    top: u128,
    top_is_near: bool,
    /// The lower half of the key behind it, as far as it is known: it may be another one's, or none.
    following: u64,
    slots: Vec<Due>,
    /// Those of `slots` that hold nothing.
    free: Vec<u32>,
    /// Not later than the next fault, and the next healing of one; [`Instant::NEVER`]: there is none.
    upheaval: Instant,
    sequence: u64,
    /// Draws the order of simultaneous events; `None`: as they were scheduled.
    ties: Option<Box<Rng>>,
}

impl Queue {
    pub(super) fn new(ties: Option<Rng>) -> Queue {
        Queue {
            near: Near::new(if ties.is_none() { 0 } else { NO_ERA }),
            heap: Vec::new(),
            far: NOTHING,
            taken: false,
            top: NOTHING,
            top_is_near: false,
            following: 0,
            slots: Vec::new(),
            free: Vec::new(),
            upheaval: Instant::NEVER,
            sequence: TIMELINE_TIES,
            ties: ties.map(Box::new),
        }
    }

    /// Whether simultaneous events come in a drawn order.
    pub(super) fn draws_ties(&self) -> bool {
        self.ties.is_some()
    }

    /// No fault strikes and none is healed before this; [`Instant::NEVER`]: none ever, as far as is known.
    #[inline(always)]
    pub(super) fn upheaval(&self) -> Instant {
        self.upheaval
    }

    /// Looks for the next fault or healing anew.
    #[cold]
    fn renew_upheaval(&mut self) {
        self.settle();
        let upsets = |&key: &u128| {
            let place = Self::place_of(key);
            place & DELIVERY == 0 && self.slots[place as usize].upsets()
        };
        let next = self.near.iter().chain(self.heap.iter().copied()).filter(upsets).min();
        self.upheaval = next.map_or(Instant::NEVER, Self::time);
    }

    /// Queues an event.
    #[inline]
    pub(super) fn push(&mut self, at: Instant, due: Due) {
        if due.upsets() {
            self.upheaval = self.upheaval.min(at);
        }
        let tie = self.tie();
        let slot = self.slot_for(due);
        self.place(at, tie, slot);
    }

    /// Queues that something reaches the other end of this pipe. What the event will be known by: [`Due::Deliver`].
    #[inline(always)]
    pub(super) fn push_delivery(&mut self, at: Instant, pipe: u32) -> u32 {
        // The last one would look like no key at all.
        assert!(pipe < DELIVERY - 1, "more than four million connections at once");
        let tie = self.tie();
        self.place(at, tie, DELIVERY | pipe);
        Self::known_by(tie)
    }

    /// What orders an event among others at its time.
    #[inline(always)]
    fn tie(&mut self) -> u64 {
        if self.ties.is_some() {
            return self.drawn_tie();
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence & TIE_MASK
    }

    #[inline(never)]
    fn drawn_tie(&mut self) -> u64 {
        let word = self.ties.as_mut().map_or(0, |rng| rng.next_u64());
        (word & TIE_MASK).max(TIMELINE_TIES)
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "the low half: no two of four billion in a row are alike")]
    fn known_by(tie: u64) -> u32 {
        tie as u32
    }

    fn slot_for(&mut self, due: Due) -> u32 {
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = due;
            slot
        } else {
            self.slots.push(due);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        assert!(slot < DELIVERY, "more than eight million engine events at once");
        slot
    }

    #[inline(always)]
    fn place(&mut self, at: Instant, tie: u64, place: u32) {
        if !self.near.add(at, tie, place) {
            self.place_elsewhere(at, tie, place);
        }
    }

    /// The same where it isn't near, or a new era begins for those that are.
    #[inline(never)]
    fn place_elsewhere(&mut self, at: Instant, tie: u64, place: u32) {
        if tie >> NEAR_TIE_BITS != self.near.era && self.ties.is_none() {
            self.begin_era(tie >> NEAR_TIE_BITS);
            return self.place(at, tie, place);
        }
        self.place_far(Self::above(at, tie) | u128::from(place));
    }

    #[cold]
    fn begin_era(&mut self, era: u64) {
        let older: Vec<u128> = self.near.iter().collect();
        self.near = Near { reached: self.near.reached, ..Near::new(era) };
        older.into_iter().for_each(|key| self.place_far(key));
    }

    fn place_far(&mut self, key: u128) {
        if self.taken {
            self.taken = false;
            sink(&mut self.heap, key);
        } else {
            rise(&mut self.heap, key);
        }
        self.far = self.top_of_heap();
    }

    fn top_of_heap(&self) -> u128 {
        self.heap.first().copied().unwrap_or(NOTHING)
    }

    /// The part of a key that orders.
    #[inline(always)]
    fn above(at: Instant, tie: u64) -> u128 {
        u128::from(at.0) << 64 | u128::from(tie) << PLACE_BITS
    }

    /// A fault of the timeline, whose time is known from the start. It draws nothing: a fault more or less leaves the
    /// order of everything else as it is.
    pub(super) fn push_fault(&mut self, at: Instant, fault: u16) {
        self.upheaval = self.upheaval.min(at);
        let slot = self.slot_for(Due::Fault { fault });
        self.place_far(Self::above(at, u64::from(fault)) | u128::from(slot));
    }

    /// Takes out every fault that [`Queue::push_fault`] put in and that has not come yet.
    pub(super) fn drop_faults(&mut self) {
        self.settle();
        let free = &mut self.free;
        self.heap.retain(|&key| {
            let theirs = Self::tie_of(key) < TIMELINE_TIES;
            if theirs {
                free.push(Self::place_of(key));
            }
            !theirs
        });
        // What is sorted is a heap.
        self.heap.sort_unstable();
        self.far = self.top_of_heap();
        self.renew_upheaval();
    }

    /// The smallest key of the heap that was not taken.
    #[inline]
    fn first_far(&self) -> u128 {
        match (self.heap.as_slice(), self.taken) {
            ([], _) | ([_], true) => NOTHING,
            ([first, ..], false) => *first,
            // The next smallest of a heap is a child of the smallest.
            ([_, only], true) => *only,
            ([_, left, right, ..], true) => *left.min(right),
        }
    }

    /// The smallest key.
    #[inline]
    fn first(&self) -> u128 {
        self.near.first().min(self.first_far())
    }

    /// Closes the gap at the top of the heap.
    #[inline]
    fn settle(&mut self) {
        if self.taken {
            self.drop_taken();
        }
    }

    #[inline(never)]
    fn drop_taken(&mut self) {
        self.taken = false;
        let last = self.heap.pop().expect("what was taken is still there");
        if !self.heap.is_empty() {
            sink(&mut self.heap, last);
        }
        self.far = self.top_of_heap();
    }

    /// When the next event is due; `None`: there is none.
    #[inline]
    pub(super) fn next_at(&self) -> Option<Instant> {
        Some(self.first()).filter(|&first| first != NOTHING).map(Self::time)
    }

    /// Whether nothing is due up to this instant, itself included.
    #[inline]
    pub(super) fn nothing_until(&self, at: Instant) -> bool {
        Self::time(self.first()) > at
    }

    /// When the next event is due, and whether it is the only one then.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<(Instant, bool)> {
        self.settle();
        match self.near.first_two() {
            Some(First { key, alone, following }) if Self::time(key) < Self::time(self.far) => {
                (self.top, self.top_is_near, self.following) = (key, true, following);
                Some((Self::time(key), alone))
            }
            near => self.next_is_far(near),
        }
    }

    /// The same when the next event is in the heap, or one there is due at the same time, or there is none at all.
    #[inline(never)]
    fn next_is_far(&mut self, near: Option<First>) -> Option<(Instant, bool)> {
        #[allow(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
        let (near, following) = near.map_or((NOTHING, 0), |near| (near.key, near.key as u64));
        self.top_is_near = near < self.far;
        (self.top, self.following) = (near.min(self.far), following);
        let children = self.heap.get(1..).unwrap_or_default();
        let then = children.iter().take(2).fold(near.max(self.far), |then, &child| then.min(child));
        let at = Self::time(self.top);
        (self.top != NOTHING).then_some((at, Self::time(then) != at))
    }

    /// The delivery, by its pipe and by what it is known by, that most likely comes behind the one that [`Queue::next`] has
    /// just found, if it is one.
    #[inline(always)]
    pub(super) fn following(&self) -> Option<(u32, u32)> {
        let key = u128::from(self.following);
        let place = Self::place_of(key);
        (place & DELIVERY != 0).then(|| (place & !DELIVERY, Self::known_by(Self::tie_of(key))))
    }

    /// The next event, which [`Queue::next`] has just found. [`Queue::drop_first`] takes it out.
    #[inline(always)]
    pub(super) fn top(&self) -> Due {
        let place = Self::place_of(self.top);
        if place & DELIVERY != 0 {
            let delivery = Self::known_by(Self::tie_of(self.top));
            return Due::Deliver { pipe: place & !DELIVERY, delivery };
        }
        self.slots[place as usize]
    }

    /// Takes the next event out, at which [`Queue::top`] has just looked.
    #[inline(always)]
    pub(super) fn drop_first(&mut self) {
        let (at, place) = (Self::time(self.top), Self::place_of(self.top));
        if self.top_is_near {
            debug_assert_eq!(self.near.first(), self.top, "nothing has been queued since it was looked at");
            self.near.drop_first(at);
        } else {
            assert!(!self.taken, "an event is taken once");
            self.taken = true;
            self.near.reached = at.0 >> BUCKET_BITS;
        }
        if place & DELIVERY == 0 {
            self.free.push(place);
            if at >= self.upheaval {
                self.renew_upheaval();
            }
        }
    }

    /// The next event, if it is due at exactly this instant.
    pub(super) fn pop_at(&mut self, at: Instant) -> Option<Due> {
        self.settle();
        let (near, far) = (self.near.first(), self.first_far());
        let key = near.min(far);
        if key == NOTHING || Self::time(key) != at {
            return None;
        }
        (self.top, self.top_is_near) = (key, near < far);
        let due = self.top();
        self.drop_first();
        Some(due)
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked to 24 bits")]
    fn place_of(key: u128) -> u32 {
        (key as u32) & ((1 << PLACE_BITS) - 1)
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked to 40 bits")]
    fn tie_of(key: u128) -> u64 {
        (key >> PLACE_BITS) as u64 & TIE_MASK
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
        /// Whatever the mixture of pushes and pops, near and far, events come in the order of time and, at one time, of
        /// pushing.
        #[test]
        fn a_queue_is_a_stable_sort(
            script in prop::collection::vec((0u64..20, 0u32..4, any::<bool>(), any::<bool>()), 1..300),
            before_an_era in 1u64..300,
        ) {
            let mut queue = Queue::new(None);
            queue.sequence = (1 << NEAR_TIE_BITS) - before_an_era;
            let (mut model, mut now): (Vec<(u64, u16)>, u64) = (Vec::new(), 0);
            for (number, (after, scale, deliver, pop)) in (0u16..).zip(script) {
                // Within a bucket, over several of them, and beyond all.
                let at = now + after * 250u64.pow(scale);
                model.push((at, number));
                if deliver {
                    queue.push_delivery(Instant(at), u32::from(number));
                } else {
                    queue.push(Instant(at), Due::Wake { node: number });
                }
                if pop {
                    let next = *model.iter().min().expect("just pushed");
                    now = next.0;
                    model.retain(|entry| *entry != next);
                    prop_assert_eq!(queue.next_at(), Some(Instant(now)));
                    prop_assert_eq!(queue.nothing_until(Instant(now)), false);
                    prop_assert_eq!(queue.nothing_until(Instant(now.saturating_sub(1))), now > 0);
                    let then = model.iter().map(|&(at, _)| Instant(at)).min().unwrap_or(Instant::NEVER);
                    prop_assert_eq!(queue.next(), Some((Instant(now), then != Instant(now))));
                    let due = queue.pop_at(Instant(now)).expect("it is due");
                    let pushed = match due {
                        Due::Wake { node } => Some(u32::from(node)),
                        Due::Deliver { pipe, .. } => Some(pipe),
                        Due::Continue { .. } | Due::Start { .. } | Due::Net(_) | Due::DiskDone { .. } | Due::JobDone { .. }
                        | Due::Return { .. } | Due::Fault { .. } | Due::Heal { .. } | Due::Flap { .. } => None,
                    };
                    prop_assert_eq!(pushed, Some(u32::from(next.1)));
                    prop_assert_eq!(queue.next_at().unwrap_or(Instant::NEVER), then);
                }
            }
        }
    }

    #[test]
    fn an_engine_event_is_small() {
        assert!(std::mem::size_of::<Due>() <= 32);
    }
}
