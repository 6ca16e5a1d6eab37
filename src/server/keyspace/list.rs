//! Lists: fast at both ends (`t_list.c`; Redis's quicklist).

use std::collections::VecDeque;

use super::alloc;
use super::text::Key;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// LEFT
    Head,
    /// RIGHT
    Tail,
}

/// Most bytes of a node unless `list-max-listpack-size` says otherwise.
pub const NODE: usize = 8_192;

/// Texts in an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    items: VecDeque<Key>,
    /// Bytes of all elements as list packs have them.
    bytes: usize,
}

impl List {
    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes it takes in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let (full, rest) = (self.bytes / NODE, self.bytes % NODE);
        let node = alloc::allocated(alloc::QUICKNODE);
        let nodes = full * (node + NODE) + node + alloc::allocated(alloc::PACK + rest);
        alloc::OBJECT + alloc::allocated(alloc::QUICKLIST) + nodes
    }

    /// Nodes, of up to `node` bytes and filled from the head, and bytes of all of them (DEBUG OBJECT).
    #[must_use]
    pub fn layout(&self, node: usize) -> (usize, usize) {
        let (mut nodes, mut sum, mut size) = (1_usize, alloc::PACK, alloc::PACK);
        for item in &self.items {
            if size > alloc::PACK && size + item.len() + 8 > node {
                (nodes, sum, size) = (nodes + 1, sum + alloc::PACK, alloc::PACK);
            }
            let bytes = alloc::packed(item.as_slice());
            (sum, size) = (sum + bytes, size + bytes);
        }
        (nodes, sum)
    }

    /// What MEMORY USAGE says of it, as if its nodes, of up to `node` bytes, had been filled from the head.
    #[must_use]
    pub fn usage(&self, samples: usize, node: usize) -> usize {
        let (mut nodes, mut sum, mut size) = (0_usize, 0, 0);
        let close = |nodes: &mut usize, sum: &mut usize, size: usize| {
            if *nodes < samples {
                *sum += alloc::QUICKNODE + alloc::allocated(size);
            }
            *nodes += 1;
        };
        for item in &self.items {
            if size > 0 && size + item.len() + 8 > node {
                close(&mut nodes, &mut sum, size);
                size = 0;
            }
            size = size.max(alloc::PACK) + alloc::packed(item.as_slice());
        }
        close(&mut nodes, &mut sum, size.max(alloc::PACK));
        alloc::estimate(alloc::OBJECT + alloc::QUICKLIST, sum, samples.min(nodes), nodes)
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, text: &[u8]) {
        self.bytes += alloc::packed(text);
        match end {
            End::Head => self.items.push_front(Key::copy(text)),
            End::Tail => self.items.push_back(Key::copy(text)),
        }
    }

    /// Takes an element from an end.
    pub fn pop(&mut self, end: End) -> Option<Key> {
        let item = match end {
            End::Head => self.items.pop_front(),
            End::Tail => self.items.pop_back(),
        }?;
        self.bytes -= alloc::packed(item.as_slice());
        Some(item)
    }

    /// The place that an index means: from the tail when it is negative.
    #[must_use]
    pub fn place(&self, index: i64) -> Option<usize> {
        let len = i64::try_from(self.items.len()).expect("a list fits memory");
        let index = if index < 0 { index.checked_add(len)? } else { index };
        usize::try_from(index).ok().filter(|&at| at < self.items.len())
    }

    /// The element at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&[u8]> {
        self.items.get(place).map(Key::as_slice)
    }

    /// Replaces the element at a place.
    ///
    /// # Panics
    /// When there is none.
    pub fn replace(&mut self, place: usize, text: &[u8]) {
        let old = std::mem::replace(&mut self.items[place], Key::copy(text));
        self.bytes = self.bytes - alloc::packed(old.as_slice()) + alloc::packed(text);
    }

    /// Puts an element before the one at a place.
    ///
    /// # Panics
    /// When the place is beyond the end.
    pub fn insert(&mut self, place: usize, text: &[u8]) {
        self.bytes += alloc::packed(text);
        self.items.insert(place, Key::copy(text));
    }

    /// Removes up to `count` elements equal to a text, counted from an end; returns how many.
    pub fn remove_equal(&mut self, text: &[u8], count: usize, from: End) -> usize {
        let equal = self.items.iter().filter(|item| item.as_slice() == text).count();
        let removed = equal.min(count);
        // Those nearest the chosen end go.
        let (mut seen, first) = (0, if from == End::Head { 0 } else { equal - removed });
        self.items.retain(|item| {
            if item.as_slice() != text {
                return true;
            }
            seen += 1;
            !(first < seen && seen <= first + removed)
        });
        self.bytes -= removed * alloc::packed(text);
        removed
    }

    /// Keeps the elements at `from..to` only.
    pub fn keep(&mut self, from: usize, to: usize) {
        let behind: usize = self.items.drain(to..).map(|item| alloc::packed(item.as_slice())).sum();
        let before: usize = self.items.drain(..from).map(|item| alloc::packed(item.as_slice())).sum();
        self.bytes -= behind + before;
    }

    /// All elements from the head.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Key> + ExactSizeIterator {
        self.items.iter()
    }
}
