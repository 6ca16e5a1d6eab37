//! Streams: entries in the order of their ids, in nodes as a real server keeps them, and groups of consumers
//! (`t_stream.c`).

mod group;
mod node;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use group::{Consumer, Group, Pending, UNKNOWN_READ};
pub use node::Node;

use super::{alloc, radix};
use crate::trace::Digest;
use std::hash::Hasher as _;

/// No node is larger than this, whatever the configuration says (`STREAM_LISTPACK_MAX_SIZE`).
const NODE_MAX: usize = 1 << 30;
/// Nodes begin with no more than this (`STREAM_LISTPACK_MAX_PRE_ALLOCATE`).
const PREALLOCATED: usize = 4_096;

/// An entry's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Milliseconds since 1970, by rule.
    pub ms: u64,
    /// Tells those of one millisecond apart.
    pub seq: u64,
}

impl Id {
    /// `0-0`: less than any entry's.
    pub const ZERO: Id = Id { ms: 0, seq: 0 };
    /// The greatest.
    pub const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    /// The next id; `None` after the greatest (`streamIncrID`).
    #[must_use]
    pub fn next(self) -> Option<Id> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Id { seq, ..self }),
            None => self.ms.checked_add(1).map(|ms| Id { ms, seq: 0 }),
        }
    }

    /// The id before; `None` before the least (`streamDecrID`).
    #[must_use]
    pub fn previous(self) -> Option<Id> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Id { seq, ..self }),
            None => self.ms.checked_sub(1).map(|ms| Id { ms, seq: u64::MAX }),
        }
    }

    /// As the key of a radix tree.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The reverse of [`Id::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Id {
        let [ms, seq] = [0, 8].map(|at| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes")));
        Id { ms, seq }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Up to what a node grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// So many bytes; 0: the largest (`stream-node-max-bytes`).
    pub bytes: u64,
    /// So many entries; 0: any number (`stream-node-max-entries`).
    pub entries: u64,
}

/// Why an entry can't be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its id isn't greater than all that were there.
    Id,
    /// It is too large, or there is no further id in its millisecond.
    Size,
}

/// The id of an entry to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// By the clock, in milliseconds.
    Now(u64),
    /// In this millisecond.
    Ms(u64),
    /// This one.
    Given(Id),
}

/// What XADD and XTRIM leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many entries (MAXLEN).
    Newest(u64),
    /// Entries from this one on (MINID).
    From(Id),
}

/// An entry that is being looked at.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: Id,
    node: &'a Node,
    index: usize,
}

impl Entry<'_> {
    /// How many fields it has.
    #[must_use]
    pub fn fields(&self) -> usize {
        self.node.fields_of(self.index)
    }

    /// Calls `visit` with each field and its value.
    pub fn pairs(&self, visit: impl FnMut(&[u8], &[u8])) {
        self.node.pairs(self.index, visit);
    }
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// By the id that their entries' ids are counted from.
    nodes: BTreeMap<Id, Arc<Node>>,
    /// Bytes of all nodes.
    bytes: usize,
    /// Entries.
    pub length: u64,
    /// The last id that was given out.
    pub last_id: Id,
    /// The first entry's id; zero: there is none.
    pub first_id: Id,
    /// The greatest id of an entry that XDEL removed.
    pub max_deleted: Id,
    /// Entries that were ever added.
    pub entries_added: u64,
    /// Groups of consumers by name.
    pub groups: BTreeMap<Bytes, Group>,
}

impl Stream {
    /// Its nodes in order.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<Id, Arc<Node>> {
        &self.nodes
    }

    /// Nodes of the radix tree that a real server keeps them in.
    #[must_use]
    pub fn tree_nodes(&self) -> u64 {
        let keys: Vec<[u8; 16]> = self.nodes.keys().map(|id| id.to_bytes()).collect();
        radix::nodes(&keys)
    }

    /// Bytes it takes in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let groups: usize = self.groups.values().map(Group::memory).sum();
        128 + self.bytes + self.nodes.len() * 60 + groups
    }

    /// What MEMORY USAGE says of it, looking at so many nodes (`objectComputeSize`).
    #[must_use]
    pub fn usage(&self, samples: usize) -> usize {
        const STREAM: usize = 96;
        let size = |node: &Arc<Node>| alloc::allocated(node.reserved());
        let looked_at = samples.min(self.nodes.len());
        let mut nodes: usize = self.nodes.values().take(looked_at).map(size).sum();
        if self.nodes.len() > looked_at {
            nodes = nodes.checked_div(looked_at).unwrap_or(0) * (self.nodes.len() - 1);
            nodes += self.nodes.values().next_back().map_or(0, size);
        }
        let groups: usize = self.groups.values().map(Group::usage).sum();
        STREAM + group::tree_memory(self.nodes.len(), self.tree_nodes()) + nodes + groups
    }

    /// A copy reserves nothing for what may come (`streamDup`).
    pub fn give_back(&mut self) {
        for node in self.nodes.values_mut() {
            if node.reserved() > node.bytes() {
                Arc::make_mut(node).shrink();
            }
        }
    }

    /// Adds an entry of fields and values (`streamAppendItem`).
    ///
    /// # Errors
    /// When its id or its size doesn't allow it.
    pub fn append(&mut self, id: NewId, pairs: &[&[u8]], limits: NodeLimits) -> Result<Id, Refused> {
        let id = match id {
            NewId::Given(id) => id,
            NewId::Ms(ms) if ms == self.last_id.ms => {
                Id { ms, seq: self.last_id.seq.checked_add(1).ok_or(Refused::Size)? }
            }
            NewId::Ms(ms) => Id { ms, seq: 0 },
            NewId::Now(ms) if ms > self.last_id.ms => Id { ms, seq: 0 },
            NewId::Now(_) => self.last_id.next().ok_or(Refused::Id)?,
        };
        if id <= self.last_id {
            return Err(Refused::Id);
        }
        let size: usize = pairs.iter().map(|text| text.len()).sum();
        if size > NODE_MAX {
            return Err(Refused::Size);
        }
        let most =
            usize::try_from(limits.bytes).ok().filter(|&most| most > 0).map_or(NODE_MAX, |most| most.min(NODE_MAX));
        let (bytes, entries) = (&mut self.bytes, limits.entries);
        match self.nodes.last_entry() {
            Some(mut last)
                if last.get().bytes() + size < most && (entries == 0 || (last.get().len() as u64) < entries) =>
            {
                let node = Arc::make_mut(last.get_mut());
                let before = node.bytes();
                node.push(id, pairs);
                *bytes += node.bytes() - before;
            }
            last => {
                if let Some(mut full) = last {
                    Arc::make_mut(full.get_mut()).shrink();
                }
                let mut node = Node::new(id, pairs, most.min(PREALLOCATED));
                node.push(id, pairs);
                self.bytes += node.bytes();
                self.nodes.insert(id, Arc::new(node));
            }
        }
        self.length += 1;
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.length == 1 {
            self.first_id = id;
        }
        Ok(id)
    }

    /// Calls `visit` with the entries from..=to, from the first on or from the last on, until it returns false.
    pub fn visit<'a>(&'a self, from: Id, to: Id, reverse: bool, mut visit: impl FnMut(Entry<'a>) -> bool) {
        if from > to {
            return;
        }
        // The node before may reach into the range.
        let start = self.nodes.range(..=from).next_back().map_or(from, |(&base, _)| base);
        let mut look_at = |node: &'a Node| {
            let (low, high) = (node.position(from), to.next().map_or(node.len(), |beyond| node.position(beyond)));
            let mut entry = |index: usize| {
                let (id, deleted) = node.entry(index);
                deleted || visit(Entry { id, node, index })
            };
            if reverse { (low..high).rev().all(&mut entry) } else { (low..high).all(&mut entry) }
        };
        let mut nodes = self.nodes.range(start..=to).map(|(_, node)| &**node);
        if reverse {
            nodes.rev().all(&mut look_at);
        } else {
            nodes.all(&mut look_at);
        }
    }

    /// The first or the last entry's id.
    #[must_use]
    pub fn edge(&self, last: bool) -> Option<Id> {
        let mut found = None;
        self.visit(Id::ZERO, Id::MAX, last, |entry| {
            found = Some(entry.id);
            false
        });
        found
    }

    /// The id of the first entry, even if it was deleted but stays in its node.
    #[must_use]
    pub fn first_stored(&self) -> Option<Id> {
        self.nodes.values().next().and_then(|node| node.first())
    }

    /// The entry of that id.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<Entry<'_>> {
        let (_, node) = self.nodes.range(..=id).next_back()?;
        let index = node.position(id);
        if index == node.len() {
            return None;
        }
        let (own, deleted) = node.entry(index);
        (own == id && !deleted).then_some(Entry { id, node, index })
    }

    /// Removes an entry; false when it isn't there (`streamDeleteItem`).
    fn delete(&mut self, id: Id) -> bool {
        let Some((&base, node)) = self.nodes.range(..=id).next_back() else { return false };
        let index = node.position(id);
        if index == node.len() || node.entry(index) != (id, false) {
            return false;
        }
        if node.live() == 1 {
            self.bytes -= node.bytes();
            self.nodes.remove(&base);
        } else {
            self.change_node(base, |node| {
                node.delete(index);
            });
        }
        self.length -= 1;
        true
    }

    fn change_node(&mut self, base: Id, change: impl FnOnce(&mut Node)) {
        let node = Arc::make_mut(self.nodes.get_mut(&base).expect("the node was found"));
        self.bytes -= node.bytes();
        change(node);
        self.bytes += node.bytes();
    }

    /// Removes entries; returns how many were there (XDEL).
    pub fn delete_all(&mut self, ids: &[Id]) -> u64 {
        let (mut deleted, mut first) = (0, false);
        for &id in ids {
            if self.delete(id) {
                first |= id == self.first_id;
                self.max_deleted = self.max_deleted.max(id);
                deleted += 1;
            }
        }
        if self.length == 0 && deleted > 0 {
            self.first_id = Id::ZERO;
        } else if first {
            self.first_id = self.edge(false).unwrap_or(Id::MAX);
        }
        deleted
    }

    /// Removes the oldest entries: whole nodes only if `approximate`, and not more than `limit`, unless that is 0. Returns
    /// how many (`streamTrim`).
    pub fn trim(&mut self, keep: Keep, approximate: bool, limit: u64) -> u64 {
        let mut deleted = 0;
        while let Some((&base, node)) = self.nodes.iter().next() {
            let entries = node.live() as u64;
            if matches!(keep, Keep::Newest(most) if self.length <= most) || limit > 0 && deleted + entries > limit {
                break;
            }
            let whole = match keep {
                Keep::Newest(most) => self.length - entries >= most,
                Keep::From(id) => node.last().is_none_or(|last| last < id),
            };
            if whole {
                self.bytes -= node.bytes();
                self.nodes.remove(&base);
                self.length -= entries;
                deleted += entries;
                continue;
            }
            if !approximate {
                let surplus = match keep {
                    Keep::Newest(most) => usize::try_from(self.length - most).unwrap_or(usize::MAX),
                    Keep::From(_) => usize::MAX,
                };
                let mut removed = 0;
                self.change_node(base, |node| removed = trim_node(node, keep, surplus));
                self.length -= removed;
                deleted += removed;
            }
            break;
        }
        if self.length == 0 {
            self.first_id = Id::ZERO;
        } else if deleted > 0 {
            self.first_id = self.edge(false).unwrap_or(Id::MAX);
        }
        deleted
    }

    /// True when an entry between `from` and `to` was removed by XDEL, as far as is known (`streamRangeHasTombstones`).
    #[must_use]
    pub fn has_gaps(&self, from: Id) -> bool {
        self.length > 0 && self.max_deleted != Id::ZERO && self.first_id <= self.max_deleted && from <= self.max_deleted
    }

    /// How many entries were added up to an id, if that can be said (`streamEstimateDistanceFromFirstEverEntry`).
    #[must_use]
    pub fn added_up_to(&self, id: Id) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id || id == self.last_id {
            return Some(self.entries_added);
        }
        if id > self.last_id {
            return None;
        }
        let gone = self.entries_added.wrapping_sub(self.length);
        if self.max_deleted == Id::ZERO || self.max_deleted < self.first_id {
            if id < self.first_id {
                return Some(gone);
            }
            if id == self.first_id {
                return Some(gone.wrapping_add(1));
            }
        }
        None
    }

    /// How many entries a group has yet to be given, if that can be said (`streamReplyWithCGLag`).
    #[must_use]
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let read = if self.entries_added == 0 {
            return Some(0);
        } else if group.entries_read != UNKNOWN_READ && !self.has_gaps(group.last_id) {
            group.entries_read
        } else {
            self.added_up_to(group.last_id)?.cast_signed()
        };
        Some(self.entries_added.cast_signed().wrapping_sub(read))
    }

    /// An entry was given to a group, whose place in the stream moves on if that is further.
    pub fn advance(&mut self, group: &[u8], id: Id) -> bool {
        let (gaps, estimate) = (self.has_gaps(id), self.added_up_to(id));
        let (any, group) = (self.entries_added > 0, self.groups.get_mut(group).expect("the group was found"));
        if id <= group.last_id {
            return false;
        }
        if group.entries_read != UNKNOWN_READ && !gaps {
            group.entries_read += 1;
        } else if any {
            group.entries_read = estimate.map_or(UNKNOWN_READ, u64::cast_signed);
        }
        group.last_id = id;
        true
    }

    /// Entries in all nodes.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.nodes.values().map(|node| node.live() as u64).sum()
    }

    /// Puts a node of an RDB file behind the others; false when there is one of that id.
    pub fn load_node(&mut self, base: Id, node: Node) -> bool {
        self.bytes += node.bytes();
        self.nodes.insert(base, Arc::new(node)).is_none()
    }

    /// Puts the contents into a digest, but for what Redis doesn't tell its replicas: how often what was pending was
    /// given out again, who was only heard of, how much a group has read.
    pub(super) fn feed(&self, digest: &mut Digest) {
        let text = |digest: &mut Digest, text: &[u8]| {
            digest.write_usize(text.len());
            digest.write(text);
        };
        let id = |digest: &mut Digest, id: Id| {
            digest.write_u64(id.ms);
            digest.write_u64(id.seq);
        };
        [self.last_id, self.first_id, self.max_deleted].into_iter().for_each(|own| id(digest, own));
        digest.write_u64(self.entries_added);
        self.visit(Id::ZERO, Id::MAX, false, |entry| {
            id(digest, entry.id);
            entry.pairs(|field, value| {
                text(digest, field);
                text(digest, value);
            });
            true
        });
        for (name, group) in &self.groups {
            text(digest, name);
            group.feed(digest);
        }
    }
}

/// Marks the first entries of a node as deleted; returns how many.
fn trim_node(node: &mut Node, keep: Keep, surplus: usize) -> u64 {
    let mut removed = 0;
    for index in 0..node.len() {
        let (id, _) = node.entry(index);
        let stop = match keep {
            Keep::Newest(_) => removed == surplus,
            Keep::From(least) => id >= least,
        };
        if stop {
            break;
        }
        removed += usize::from(node.delete(index));
    }
    removed as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: NodeLimits = NodeLimits { bytes: 4_096, entries: 3 };

    fn with(count: u64) -> Stream {
        let mut stream = Stream::default();
        for n in 1..=count {
            stream.append(NewId::Given(Id { ms: n, seq: 0 }), &[b"f", b"1"], LIMITS).expect("ids go up");
        }
        stream
    }

    fn ids(stream: &Stream, from: u64, to: u64, reverse: bool) -> Vec<u64> {
        let mut found = Vec::new();
        stream.visit(Id { ms: from, seq: 0 }, Id { ms: to, seq: 9 }, reverse, |entry| {
            found.push(entry.id.ms);
            true
        });
        found
    }

    #[test]
    fn ranges_cross_nodes_and_skip_what_is_gone() {
        let mut stream = with(8);
        assert_eq!(stream.nodes().len(), 3);
        assert_eq!(stream.delete_all(&[Id { ms: 4, seq: 0 }, Id { ms: 9, seq: 0 }]), 1);
        assert_eq!(ids(&stream, 2, 5, false), [2, 3, 5]);
        assert_eq!(ids(&stream, 0, 100, true), [8, 7, 6, 5, 3, 2, 1]);
        assert_eq!(ids(&stream, 5, 2, false), [0_u64; 0]);
        assert!(stream.get(Id { ms: 4, seq: 0 }).is_none() && stream.get(Id { ms: 5, seq: 0 }).is_some());
    }

    #[test]
    fn whole_nodes_go_first() {
        let mut stream = with(8);
        assert_eq!(stream.trim(Keep::Newest(4), true, 0), 3);
        assert_eq!(stream.trim(Keep::Newest(4), false, 0), 1);
        assert_eq!((stream.length, stream.first_id.ms), (4, 5));
        assert_eq!(stream.trim(Keep::From(Id { ms: 7, seq: 0 }), false, 0), 2);
        assert_eq!(ids(&stream, 0, 9, false), [7, 8]);
        assert_eq!(stream.trim(Keep::Newest(0), false, 0), 2);
        assert_eq!((stream.first_id, stream.nodes().len(), stream.bytes), (Id::ZERO, 0, 0));
    }

    #[test]
    fn nodes_are_read_back() {
        let mut stream = with(3);
        stream.delete_all(&[Id { ms: 2, seq: 0 }]);
        stream
            .append(NewId::Ms(3), &[b"other", b"x", b"more", b"-5"], NodeLimits { entries: 0, ..LIMITS })
            .expect("free");
        let (&base, node) = stream.nodes().iter().next().expect("one");
        let packed = node.packed();
        assert_eq!(packed.len(), node.bytes());
        let read = Node::from_packed(base, &packed).expect("a node");
        assert_eq!(read.packed(), packed);
        for len in 0..packed.len() {
            assert!(Node::from_packed(base, &packed[..len]).is_none());
        }
    }
}
