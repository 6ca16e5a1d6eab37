//! When small collections are kept packed: the limits of the configuration, and what elements take in memory.

use crate::rng::Rng;

/// Bytes of an element in a list pack besides its own.
pub const PACKED_ELEMENT: usize = 2;
/// Bytes of an entry of a table besides its texts': the entry, its bucket, the headers of its strings.
pub const TABLE_ELEMENT: usize = 56;

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
