//! Sets of slots: which of the operations under way have taken effect.

use std::fmt::Debug;
use std::hash::Hash;

use smallvec::SmallVec;

/// A set of small numbers.
pub(super) trait Mask: Clone + Eq + Hash + Debug {
    /// The empty set; it will hold numbers below `slots`.
    fn empty(slots: usize) -> Self;
    /// Whether a number is in it.
    fn has(&self, slot: u32) -> bool;
    /// Puts a number in.
    fn put(&mut self, slot: u32);
    /// Takes a number out.
    fn take(&mut self, slot: u32);
}

impl Mask for u64 {
    fn empty(slots: usize) -> u64 {
        assert!(slots <= 64, "wider sets have their own type");
        0
    }

    #[inline]
    fn has(&self, slot: u32) -> bool {
        self & (1 << slot) != 0
    }

    #[inline]
    fn put(&mut self, slot: u32) {
        *self |= 1 << slot;
    }

    #[inline]
    fn take(&mut self, slot: u32) {
        *self &= !(1 << slot);
    }
}

/// More than 64 slots.
pub(super) type Wide = SmallVec<[u64; 4]>;

impl Mask for Wide {
    fn empty(slots: usize) -> Wide {
        SmallVec::from_elem(0, slots.div_ceil(64))
    }

    fn has(&self, slot: u32) -> bool {
        self[slot as usize / 64] & (1 << (slot % 64)) != 0
    }

    fn put(&mut self, slot: u32) {
        self[slot as usize / 64] |= 1 << (slot % 64);
    }

    fn take(&mut self, slot: u32) {
        self[slot as usize / 64] &= !(1 << (slot % 64));
    }
}
