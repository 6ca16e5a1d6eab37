//! When small collections are kept packed: the limits of the configuration.

use crate::rng::Rng;

/// Up to what a collection stays packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// So many elements (`*-max-listpack-entries`).
    pub entries: u64,
    /// So many bytes in each (`*-max-listpack-value`).
    pub value: u64,
}

impl Packing {
    /// True for a text that can't be in a list pack.
    #[must_use]
    pub fn too_long(self, text: &[u8]) -> bool {
        text.len() as u64 > self.value
    }

    /// True for a number of elements that can't be in a list pack.
    #[must_use]
    pub fn too_many(self, elements: usize) -> bool {
        elements as u64 > self.entries
    }
}

/// A random index below `len`, which isn't zero.
pub(super) fn pick(rng: &mut Rng, len: usize) -> usize {
    usize::try_from(rng.below(len as u64)).expect("below a length")
}
