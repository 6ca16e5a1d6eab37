//! Lists: fast at both ends (`t_list.c`), and cut into nodes as a real server's are (`quicklist.c`).
//!
//! The elements lie in one sequence; of a node it is only known how many of them are its, and how large it would be. That
//! is what DUMP, snapshots and memory show. [`nodes`] has the rules by which nodes are filled, split, merged and compressed.

mod nodes;

use std::collections::VecDeque;

use self::nodes::Node;
use super::alloc;
use super::listpack;
use super::text::Element;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// LEFT
    Head,
    /// RIGHT
    Tail,
}

/// Elements of at least so many bytes have a node to themselves (`packed_threshold`).
pub const LARGE: usize = 1 << 30;

/// How a list is cut into nodes. It keeps what was configured when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// `list-max-listpack-size`: so many elements in a node, or one of five sizes.
    pub fill: i16,
    /// `list-compress-depth`: so many nodes at both ends aren't compressed; 0: none is.
    pub depth: u16,
}

impl Cut {
    /// What these two directives mean (`quicklistSetOptions`).
    #[must_use]
    pub fn of(fill: i64, depth: u64) -> Cut {
        Cut {
            fill: i16::try_from(fill.clamp(-5, i64::from(i16::MAX))).expect("within the limits"),
            depth: u16::try_from(depth).unwrap_or(u16::MAX),
        }
    }
}

impl Default for Cut {
    /// That of a list to which nobody has said how.
    fn default() -> Self {
        Cut { fill: -2, depth: 0 }
    }
}

/// Texts in an order.
#[derive(Clone, Debug, Default)]
pub struct List {
    items: VecDeque<Element>,
    /// Each has some of the items; together they have all, in order.
    nodes: VecDeque<Node>,
    /// What the nodes take.
    memory: usize,
    cut: Cut,
    /// A node has changed that may have to be compressed when somebody passes it.
    stale: bool,
    /// Where a node is missing that comes as soon as the one beside it is there: elements are counted from the nearer side.
    missing: Option<usize>,
}

/// The same elements; how they are cut doesn't matter.
impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.items == other.items
    }
}

/// A node as it is written.
#[derive(Debug)]
pub struct Written {
    /// It is one large element, not a list pack.
    pub plain: bool,
    /// It is kept compressed.
    pub compressed: bool,
    /// The element, or the list pack.
    pub bytes: Vec<u8>,
}

impl List {
    /// An empty list that will be cut like this.
    #[must_use]
    pub fn new(cut: Cut) -> List {
        List { cut, ..List::default() }
    }

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
        alloc::OBJECT + alloc::allocated(alloc::QUICKLIST) + self.memory
    }

    /// How many nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How it is cut.
    #[must_use]
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// Bytes of all nodes, as if none was compressed.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.nodes.iter().map(|node| node.size).sum()
    }

    /// What MEMORY USAGE says of it, looking at so many nodes (`objectComputeSize`).
    #[must_use]
    pub fn usage(&self, samples: usize) -> usize {
        let sampled = self.nodes.iter().take(samples.max(1));
        let (count, sum) =
            sampled.fold((0, 0), |(count, sum), node| (count + 1, sum + alloc::QUICKNODE + node.takes()));
        alloc::estimate(alloc::OBJECT + alloc::QUICKLIST, sum, count, self.nodes.len())
    }

    /// The nodes as they are written.
    pub fn written(&self) -> impl Iterator<Item = Written> {
        let mut items = self.items.iter();
        self.nodes.iter().map(move |node| {
            let own = items.by_ref().take(node.count);
            Written { plain: node.plain, compressed: node.is_compressed(), bytes: node.encode(own) }
        })
    }

    /// Adds an element at an end; `large`: see [`LARGE`].
    pub fn push(&mut self, end: End, text: &[u8], large: usize) {
        let last = self.nodes.len().checked_sub(1);
        let at = if end == End::Head { last.map(|_| 0) } else { last };
        match end {
            End::Head => self.items.push_front(Element::copy(text)),
            End::Tail => self.items.push_back(Element::copy(text)),
        }
        match at.filter(|&at| self.takes(at, text.len(), large)) {
            Some(at) => self.nodes[at].grow(1, alloc::packed(text), &mut self.memory),
            None => {
                self.link(at, Node::of(text, large), end == End::Tail);
            }
        }
    }

    /// Adds a node with these elements at the tail (`quicklistAppendListpack`).
    pub fn push_node(&mut self, items: &[bytes::Bytes], plain: bool) {
        let size = if plain { items.iter().map(bytes::Bytes::len).sum() } else { nodes::pack_of(items) };
        self.items.extend(items.iter().map(|item| Element::share(item.clone())));
        let last = self.nodes.len().checked_sub(1);
        self.link(last, Node::new(items.len(), size, plain), true);
    }

    /// Takes an element from an end.
    pub fn pop(&mut self, end: End) -> Option<Element> {
        let (item, at) = match end {
            End::Head => (self.items.pop_front()?, 0),
            End::Tail => (self.items.pop_back()?, self.nodes.len() - 1),
        };
        self.lose(at, 1, alloc::packed(item.as_slice()));
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
        self.items.get(place).map(Element::as_slice)
    }

    /// Replaces the element at a place (`quicklistReplaceEntry`).
    ///
    /// # Panics
    /// When there is none.
    pub fn replace(&mut self, place: usize, text: &[u8], large: usize) {
        let (at, _) = self.locate(place);
        self.unpack(at);
        match (self.nodes[at].plain, text.len() >= large) {
            (plain @ true, true) | (plain @ false, false) => {
                let old = std::mem::replace(&mut self.items[place], Element::copy(text));
                let size = match plain {
                    true => text.len(),
                    false => self.nodes[at].size - alloc::packed(old.as_slice()) + alloc::packed(text),
                };
                self.nodes[at].resize(size, &mut self.memory);
                self.pack(at);
            }
            (true, false) => {
                self.insert(place, true, text, large);
                self.items.remove(place);
                self.unlink(at);
            }
            (false, true) => {
                self.nodes[at].held = true;
                self.insert(place, true, text, large);
                let old = self.items.remove(place).expect("it is there");
                // What is replaced is the last of its node now.
                if self.nodes[at].count == 1 {
                    return self.unlink(at);
                }
                self.nodes[at].shrink(1, alloc::packed(old.as_slice()), &mut self.memory);
                self.nodes[at].held = false;
                self.pack(at);
                self.pack(at + 1);
            }
        }
    }

    /// Puts an element before or after the one at a place (`_quicklistInsert`).
    ///
    /// # Panics
    /// When there is none.
    pub fn insert(&mut self, pivot: usize, after: bool, text: &[u8], large: usize) {
        let (at, offset) = self.locate(pivot);
        self.unpack(at);
        let node = &self.nodes[at];
        let edge = if after { offset + 1 == node.count } else { offset == 0 };
        let room = self.takes(at, text.len(), large);
        let next = if after { Some(at + 1) } else { at.checked_sub(1) };
        let next = next.filter(|&next| edge && next < self.nodes.len() && self.takes(next, text.len(), large));
        // What is behind the place, or before it, is cut off when the element fits neither here nor there.
        let cut = (!edge && !room && !self.nodes[at].plain).then(|| self.split(at, offset, after));
        let (place, bytes) = (pivot + usize::from(after), alloc::packed(text));
        self.items.insert(place, Element::copy(text));
        if text.len() >= large {
            match cut {
                Some(cut) => self.link_two(at, [Node::of(text, large), cut], after),
                None => drop(self.link(Some(at), Node::of(text, large), after)),
            }
        } else if room {
            self.nodes[at].grow(1, bytes, &mut self.memory);
            self.stale |= self.cut.depth > 0;
            self.pack_again(at);
        } else if let Some(next) = next {
            self.unpack(next);
            self.nodes[next].grow(1, bytes, &mut self.memory);
            self.stale |= self.cut.depth > 0;
            self.pack_again(next);
            self.pack_again(at);
        } else if let Some(mut cut) = cut {
            (cut.count, cut.size) = (cut.count + 1, cut.size + bytes);
            self.link(Some(at), cut, after);
            self.merge_around(at + usize::from(!after));
        } else {
            self.link(Some(at), Node::of(text, large), after);
        }
    }

    /// Removes up to `count` elements equal to a text, counted from an end; returns how many.
    pub fn remove_equal(&mut self, text: &[u8], count: usize, from: End) -> usize {
        let equal = self.items.iter().filter(|item| item.as_slice() == text).count();
        let removed = equal.min(count);
        self.pass_matches(text, count, from);
        if removed == 0 {
            return 0;
        }
        // Those nearest the chosen end go.
        let (mut seen, first) = (0, if from == End::Head { 0 } else { equal - removed });
        let mut hits = vec![0; self.nodes.len()];
        let (mut at, mut left) = (0, self.nodes[0].count);
        let nodes = &self.nodes;
        self.items.retain(|item| {
            while left == 0 {
                at += 1;
                left = nodes[at].count;
            }
            left -= 1;
            let goes = item.as_slice() == text && {
                seen += 1;
                first < seen && seen <= first + removed
            };
            hits[at] += usize::from(goes);
            !goes
        });
        let bytes = alloc::packed(text);
        for (at, &hits) in hits.iter().enumerate().filter(|(_, hits)| **hits > 0) {
            self.unpack(at);
            self.nodes[at].shrink(hits, hits * bytes, &mut self.memory);
        }
        self.leave(&hits, from);
        removed
    }

    /// The nodes that have lost elements are dealt with as somebody comes to them who begins at an end.
    fn leave(&mut self, hits: &[usize], from: End) {
        if self.cut.depth == 0 {
            let memory = &mut self.memory;
            return self.nodes.retain(|node| {
                if node.count == 0 {
                    *memory -= node.memory();
                }
                node.count > 0
            });
        }
        let mut gone = 0;
        for step in 0..hits.len() {
            let (hit, at) = match from {
                End::Head => (hits[step], step - gone),
                End::Tail => (hits[hits.len() - 1 - step], hits.len() - 1 - step),
            };
            if hit == 0 {
                continue;
            }
            if self.nodes[at].count == 0 {
                self.unlink(at);
                gone += 1;
            } else {
                self.pack(at);
            }
        }
    }

    /// Somebody looks for up to `count` elements equal to a text, from an end on.
    fn pass_matches(&mut self, text: &[u8], count: usize, from: End) {
        if !self.stale {
            return;
        }
        let len = self.len();
        let equal = |place: &usize| self.items[*place].as_slice() == text;
        match from {
            End::Head => {
                let last = (0..len).filter(equal).nth(count.saturating_sub(1));
                self.pass(0, last.map_or(len, |last| last + 1), false);
            }
            End::Tail => {
                let last = (0..len).rev().filter(equal).nth(count.saturating_sub(1));
                self.pass(last.unwrap_or(0), len, true);
            }
        }
    }

    /// Keeps the elements at `from..to` only.
    pub fn keep(&mut self, from: usize, to: usize) {
        if self.stale && from > 0 && from < self.len() {
            self.pack(0);
        }
        let mut behind = self.items.len() - to;
        let mut before = from;
        while before > 0 {
            let count = before.min(self.nodes[0].count);
            let bytes = self.items.drain(..count).map(|item| alloc::packed(item.as_slice())).sum();
            self.lose(0, count, bytes);
            before -= count;
        }
        if self.stale && behind > 0 {
            self.pack(self.locate(self.items.len() - behind).0);
        }
        while behind > 0 {
            let last = self.nodes.len() - 1;
            let count = behind.min(self.nodes[last].count);
            let start = self.items.len() - count;
            let bytes = self.items.drain(start..).map(|item| alloc::packed(item.as_slice())).sum();
            self.lose(last, count, bytes);
            behind -= count;
        }
    }

    /// Takes up to `count` elements from an end, in the order in which they leave.
    pub fn take(&mut self, end: End, count: usize) -> Vec<Element> {
        (0..count.min(self.len())).filter_map(|_| self.pop(end)).collect()
    }

    /// All elements from the head.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Element> + ExactSizeIterator {
        self.items.iter()
    }

    /// Whether somebody who reads it may change how it is packed.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Somebody reads the elements at `from..to`, from the tail on if `back`: a node that wasn't worth compressing may be so
    /// now (`quicklistNext`, `quicklistReleaseIterator`).
    pub fn pass(&mut self, from: usize, to: usize, back: bool) {
        if !self.stale || from >= to {
            return;
        }
        let (first, last) = (self.locate(from).0, self.locate(to - 1).0);
        for step in 0..=last - first {
            let at = if back { last - step } else { first + step };
            self.unpack(at);
            self.pack(at);
        }
        self.stale = (first, last + 1) != (0, self.nodes.len());
    }
}
