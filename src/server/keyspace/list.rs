//! Lists: fast at both ends (`t_list.c`; Redis's quicklist).

use std::collections::VecDeque;

use super::text::Key;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// LEFT
    Head,
    /// RIGHT
    Tail,
}

/// Texts in an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    items: VecDeque<Key>,
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
        128 + self.bytes + self.items.len() * 3
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, text: &[u8]) {
        self.bytes += text.len();
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
        self.bytes -= item.len();
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
        self.bytes = self.bytes - old.len() + text.len();
    }

    /// Puts an element before the one at a place.
    ///
    /// # Panics
    /// When the place is beyond the end.
    pub fn insert(&mut self, place: usize, text: &[u8]) {
        self.bytes += text.len();
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
        self.bytes -= removed * text.len();
        removed
    }

    /// Keeps the elements at `from..to` only.
    pub fn keep(&mut self, from: usize, to: usize) {
        let behind: usize = self.items.drain(to..).map(|item| item.len()).sum();
        let before: usize = self.items.drain(..from).map(|item| item.len()).sum();
        self.bytes -= behind + before;
    }

    /// All elements from the head.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Key> + ExactSizeIterator {
        self.items.iter()
    }
}
