//! The nodes of a list: when one is full, where an element goes that doesn't fit, which are merged, which are compressed.

use super::{List, alloc, listpack};
use crate::server::keyspace::lzf::Compressor;
use crate::server::keyspace::text::Element;

/// Bytes that a node may have, by the negative values of `list-max-listpack-size`.
const LEVELS: [usize; 5] = [4_096, 8_192, 16_384, 32_768, 65_536];
/// Bytes that one may have whose elements are counted.
const COUNTED_MAX: usize = 8_192;
/// What an element is taken to need besides its text.
const OVERHEAD: usize = 8;
/// What two nodes are taken to need less once they are one.
const MERGED: usize = 11;
/// Nodes below this aren't compressed, and none that doesn't get smaller by more than this.
const COMPRESSED_LEAST: usize = 48;
const COMPRESSED_GAIN: usize = 8;
/// Header of a compressed node.
const COMPRESSED_HEAD: usize = 8;

/// One node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    /// Bytes of it, as a list pack or as the one element that it is.
    pub(super) size: usize,
    /// How many elements.
    pub(super) count: usize,
    /// Bytes of the compressed form; 0: it isn't compressed.
    compressed: usize,
    /// One large element.
    pub(super) plain: bool,
    /// It was unpacked for a moment.
    again: bool,
    /// It stays unpacked for now.
    pub(super) held: bool,
}

/// Bytes of a list pack of these.
pub(super) fn pack_of(items: &[bytes::Bytes]) -> usize {
    alloc::PACK + items.iter().map(|item| alloc::packed(item)).sum::<usize>()
}

impl Node {
    pub(super) fn new(count: usize, size: usize, plain: bool) -> Node {
        Node { size, count, plain, ..Node::default() }
    }

    /// One with a single element.
    pub(super) fn of(text: &[u8], large: usize) -> Node {
        match text.len() >= large {
            true => Node::new(1, text.len(), true),
            false => Node::new(1, alloc::PACK + alloc::packed(text), false),
        }
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compressed > 0
    }

    /// What its bytes take.
    pub(super) fn takes(&self) -> usize {
        alloc::allocated(if self.compressed > 0 { COMPRESSED_HEAD + self.compressed } else { self.size })
    }

    pub(super) fn memory(&self) -> usize {
        alloc::allocated(alloc::QUICKNODE) + self.takes()
    }

    /// Its bytes, made of its elements.
    pub(super) fn encode<'a>(&self, mut items: impl Iterator<Item = &'a Element>) -> Vec<u8> {
        match self.plain {
            true => items.next().map_or_else(Vec::new, |item| item.as_slice().to_vec()),
            false => listpack::pack(items.map(Element::as_slice)),
        }
    }

    fn change(&mut self, memory: &mut usize, change: impl FnOnce(&mut Node)) {
        *memory -= self.takes();
        change(self);
        *memory += self.takes();
    }

    pub(super) fn resize(&mut self, size: usize, memory: &mut usize) {
        self.change(memory, |node| node.size = size);
    }

    /// So many elements come in.
    #[inline]
    pub(super) fn grow(&mut self, count: usize, bytes: usize, memory: &mut usize) {
        self.count += count;
        self.resize(self.size + bytes, memory);
    }

    /// So many elements leave a list pack.
    #[inline]
    pub(super) fn shrink(&mut self, count: usize, bytes: usize, memory: &mut usize) {
        self.count -= count;
        // A plain one is its element, and goes with it.
        if !self.plain {
            self.resize(self.size - bytes, memory);
        }
    }
}

impl List {
    /// The node of the element at a place, and the element's place in it.
    pub(super) fn locate(&self, place: usize) -> (usize, usize) {
        let len = self.items.len();
        assert!(place < len, "place {place} of {len}");
        if place <= len / 2 {
            let mut before = 0;
            for (at, node) in self.nodes.iter().enumerate() {
                if place < before + node.count {
                    return (at, place - before);
                }
                before += node.count;
            }
        }
        let mut end = len;
        for (at, node) in self.nodes.iter().enumerate().rev() {
            end -= node.count;
            if place >= end {
                return (at, place - end);
            }
        }
        unreachable!("nodes have all elements")
    }

    /// The place of the first element of a node.
    fn begin(&self, at: usize) -> usize {
        if at < self.missing.unwrap_or(self.nodes.len() / 2 + 1) {
            self.nodes.iter().take(at).map(|node| node.count).sum()
        } else {
            self.items.len() - self.nodes.iter().skip(at).map(|node| node.count).sum::<usize>()
        }
    }

    fn fits(&self, size: usize, count: usize) -> bool {
        match usize::try_from(self.cut.fill) {
            Ok(most) => size <= COUNTED_MAX && count <= most,
            Err(_) => size <= LEVELS[usize::from(self.cut.fill.unsigned_abs()) - 1],
        }
    }

    /// Whether a node takes an element of so many bytes (`_quicklistNodeAllowInsert`).
    #[inline]
    pub(super) fn takes(&self, at: usize, len: usize, large: usize) -> bool {
        let node = &self.nodes[at];
        !node.plain && len < large && self.fits(node.size + len + OVERHEAD, node.count + 1)
    }

    /// Whether a node and the next may be one (`_quicklistNodeAllowMerge`).
    fn may_merge(&self, at: usize) -> bool {
        let (Some(a), Some(b)) = (self.nodes.get(at), self.nodes.get(at + 1)) else { return false };
        !a.plain && !b.plain && self.fits(a.size + b.size - MERGED, a.count + b.count)
    }

    /// Puts two nodes beside one, the second beside the first.
    pub(super) fn link_two(&mut self, at: usize, [first, second]: [Node; 2], after: bool) {
        self.missing = Some(if after { at + 2 } else { at });
        let place = self.link(Some(at), first, after);
        self.missing = None;
        self.link(Some(place), second, after);
    }

    /// Puts a node beside another, or as the only one; returns where it is (`__quicklistInsertNode`).
    pub(super) fn link(&mut self, beside: Option<usize>, node: Node, after: bool) -> usize {
        let at = beside.map_or(0, |beside| beside + usize::from(after));
        self.memory += node.memory();
        if self.nodes.capacity() == 0 {
            // Most lists are short.
            self.nodes.reserve_exact(1);
        }
        self.nodes.insert(at, node);
        if let Some(beside) = beside {
            self.pack(beside + usize::from(!after));
        }
        self.pack(at);
        at
    }

    /// Removes a node whose elements are gone (`__quicklistDelNode`).
    pub(super) fn unlink(&mut self, at: usize) {
        let node = self.nodes.remove(at).expect("it is there");
        self.memory -= node.memory();
        self.settle(None);
    }

    /// A node at an end has lost elements.
    #[inline]
    pub(super) fn lose(&mut self, at: usize, count: usize, bytes: usize) {
        let node = &mut self.nodes[at];
        node.shrink(count, bytes, &mut self.memory);
        if node.count == 0 {
            self.unlink(at);
        }
    }

    /// Cuts off the elements behind a place of a node, or those before it, as a node of their own that is not yet in the
    /// list (`_quicklistSplitNode`).
    pub(super) fn split(&mut self, at: usize, offset: usize, after: bool) -> Node {
        let (begin, count) = (self.begin(at), self.nodes[at].count);
        let range = if after { begin + offset + 1..begin + count } else { begin..begin + offset };
        let count = range.len();
        let bytes: usize = self.items.range(range).map(|item| alloc::packed(item.as_slice())).sum();
        self.nodes[at].shrink(count, bytes, &mut self.memory);
        Node::new(count, alloc::PACK + bytes, false)
    }

    /// Merges the nodes around one, and it with them, as far as there is room (`_quicklistMergeNodes`).
    pub(super) fn merge_around(&mut self, mut center: usize) {
        if center >= 2 && self.may_merge(center - 2) {
            self.merge(center - 2);
            center -= 1;
        }
        if self.may_merge(center + 1) {
            self.merge(center + 1);
        }
        if center >= 1 && self.may_merge(center - 1) {
            self.merge(center - 1);
            center -= 1;
        }
        if self.may_merge(center) {
            self.merge(center);
        }
    }

    /// A node takes the elements of the next.
    fn merge(&mut self, at: usize) {
        self.decompress(at);
        self.decompress(at + 1);
        let next = self.nodes[at + 1];
        self.nodes[at].grow(next.count, next.size - alloc::PACK, &mut self.memory);
        self.unlink(at + 1);
        self.pack(at);
    }

    /// `quicklistDecompressNode`
    fn decompress(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.is_compressed() {
            node.again = false;
            node.change(&mut self.memory, |node| node.compressed = 0);
        }
    }

    /// Unpacks a node for a moment (`quicklistDecompressNodeForUse`).
    pub(super) fn unpack(&mut self, at: usize) {
        if self.nodes[at].is_compressed() {
            self.decompress(at);
            self.nodes[at].again = true;
        }
    }

    /// Compresses a node if that makes it smaller (`quicklistCompressNode`).
    fn compress(&mut self, at: usize) {
        let node = self.nodes[at];
        if node.is_compressed() || node.held {
            return;
        }
        self.nodes[at].again = false;
        if node.size < COMPRESSED_LEAST {
            return;
        }
        let begin = self.begin(at);
        let bytes = node.encode(self.items.range(begin..begin + node.count));
        let mut compressed = Vec::new();
        let smaller = Compressor::default().compress(&bytes, bytes.len(), &mut compressed);
        if smaller && compressed.len() + COMPRESSED_GAIN < node.size {
            self.nodes[at].change(&mut self.memory, |node| node.compressed = compressed.len());
        }
    }

    /// A node that was unpacked for a moment is compressed again (`quicklistRecompressOnly`).
    pub(super) fn pack_again(&mut self, at: usize) {
        if self.nodes[at].again {
            self.compress(at);
        }
    }

    /// Compresses a node if it isn't near an end (`quicklistCompress`).
    #[inline]
    pub(super) fn pack(&mut self, at: usize) {
        if self.cut.depth > 0 {
            if self.nodes[at].again { self.compress(at) } else { self.settle(Some(at)) }
        }
    }

    /// The nodes at the ends are unpacked, those beside them and perhaps another compressed (`__quicklistCompress`).
    #[inline]
    fn settle(&mut self, node: Option<usize>) {
        let (depth, count) = (usize::from(self.cut.depth), self.nodes.len());
        if depth == 0 || count == 0 || count < depth * 2 {
            return;
        }
        let mut near = false;
        for head in 0..depth {
            let tail = count - 1 - head;
            self.decompress(head);
            self.decompress(tail);
            near |= node == Some(head) || node == Some(tail);
            if tail <= head + 1 {
                return;
            }
        }
        if let Some(node) = node.filter(|_| !near) {
            self.compress(node);
        }
        self.compress(depth);
        self.compress(count - 1 - depth);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Cut, End, List};
    use super::*;

    /// Something that is done to a list: what, where, with which text.
    fn change() -> impl Strategy<Value = (u8, usize, Vec<u8>)> {
        let text = prop_oneof![
            (0..400_i64).prop_map(|n| n.to_string().into_bytes()),
            (0..120_usize).prop_map(|len| vec![b'x'; len]),
            prop::collection::vec(any::<u8>(), 0..120),
        ];
        (0..12_u8, 0..1_000_usize, text)
    }

    fn apply(list: &mut List, model: &mut Vec<Vec<u8>>, (what, number, text): (u8, usize, Vec<u8>), large: usize) {
        let place = number % model.len().max(1);
        match what {
            0..=2 => {
                list.push(End::Head, &text, large);
                model.insert(0, text);
            }
            3 | 4 => {
                list.push(End::Tail, &text, large);
                model.push(text);
            }
            _ if model.is_empty() => {}
            5 | 6 => {
                list.insert(place, what == 5, &text, large);
                model.insert(place + usize::from(what == 5), text);
            }
            7 | 8 => {
                list.replace(place, &text, large);
                model[place] = text;
            }
            9 => {
                let (text, end) = (model[place].clone(), if number % 2 == 0 { End::Head } else { End::Tail });
                assert_eq!(list.remove_equal(&text, 1, end), 1);
                let equal = |item: &Vec<u8>| *item == text;
                let at = if end == End::Head { model.iter().position(equal) } else { model.iter().rposition(equal) };
                model.remove(at.expect("it was there"));
            }
            10 => {
                let (from, to) = (number % 3, model.len() - number % 2);
                let from = from.min(to);
                list.keep(from, to);
                *model = model[from..to].to_vec();
            }
            _ => {
                let end = if number % 2 == 0 { End::Head } else { End::Tail };
                let item = list.pop(end).expect("it isn't empty");
                let expected = if end == End::Head { model.remove(0) } else { model.pop().expect("it isn't empty") };
                assert_eq!(item.as_slice(), expected);
            }
        }
    }

    proptest! {
        /// Whatever is done, nodes have all elements, are as large as they say, and no one is too large.
        #[test]
        fn nodes_have_what_they_say(
            changes in prop::collection::vec(change(), 0..200),
            fill in prop_oneof![-5..=-1_i64, 0..20_i64],
            depth in 0..4_u64,
            large in prop_oneof![Just(super::super::LARGE), 1..100_usize],
        ) {
            let (mut list, mut model) = (List::new(Cut::of(fill, depth)), Vec::new());
            for change in changes {
                apply(&mut list, &mut model, change, large);
                let items: Vec<&[u8]> = list.iter().map(Element::as_slice).collect();
                prop_assert_eq!(&items, &model.iter().map(Vec::as_slice).collect::<Vec<_>>());
                let written: Vec<_> = list.written().collect();
                prop_assert_eq!(written.iter().map(|node| node.bytes.len()).sum::<usize>(), list.bytes());
                prop_assert_eq!(list.nodes.iter().map(|node| node.count).sum::<usize>(), list.len());
                prop_assert!(list.nodes.iter().all(|node| node.count > 0 && !node.held && (!node.plain || node.count == 1)));
                prop_assert_eq!(list.nodes.iter().map(Node::memory).sum::<usize>(), list.memory);
                let near = |at: usize| at < usize::try_from(depth).expect("small") || list.nodes.len() - at <= usize::try_from(depth).expect("small");
                prop_assert!((0..list.nodes.len()).all(|at| !list.nodes[at].is_compressed() || depth > 0 && !near(at)));
            }
        }
    }
}
