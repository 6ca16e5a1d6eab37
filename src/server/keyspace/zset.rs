//! Sorted sets: a sorted list while small, a table with an order beyond (`t_zset.c`).

use std::cmp::Ordering;

use super::alloc;
use super::dict::Dict;
use super::key_hash::hash_key;
use super::packing::{Packing, pick};
use super::skiplist::{SkipList, order};
use super::text::Element;
use crate::rng::Rng;

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a sorted set lies behind a pointer of its own already")]
enum Form {
    /// Ascending (`listpack`).
    Packed(Vec<(f64, Element)>),
    /// `skiplist`
    Ordered {
        list: SkipList,
        /// Indices into the list, by member.
        members: Dict<u32>,
    },
}

/// Members with scores.
#[derive(Clone, Debug)]
pub struct ZSet {
    form: Form,
    /// Memory of all members, and of their scores in a list pack.
    bytes: usize,
}

impl Default for ZSet {
    fn default() -> Self {
        ZSet { form: Form::Packed(Vec::new()), bytes: 0 }
    }
}

impl ZSet {
    /// An empty one for a first member (`zsetTypeCreate`-like choice of ZADD).
    #[must_use]
    pub fn for_member(member: &[u8], packing: Packing) -> ZSet {
        let mut set = ZSet::default();
        if packing.entries == 0 || packing.too_long(member) {
            set.become_ordered();
        }
        set
    }

    /// How many members.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Packed(items) => items.len(),
            Form::Ordered { list, .. } => list.len(),
        }
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True while it is a list.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        matches!(self.form, Form::Packed(_))
    }

    /// Bytes it takes in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.form {
            Form::Packed(_) => alloc::OBJECT + alloc::allocated(alloc::PACK + self.bytes),
            Form::Ordered { members, .. } => {
                let fixed = alloc::OBJECT + alloc::SKIPLIST + alloc::TABLE_CLASS + alloc::buckets(members.buckets());
                let nodes = members.len() * alloc::SKIPNODE_THIRDS / 3;
                fixed + self.bytes + members.len() * alloc::ENTRY_CLASS + nodes
            }
        }
    }

    /// What MEMORY USAGE says of it; the levels of a skip list's nodes are drawn, here their average counts.
    #[must_use]
    pub fn usage(&self, samples: usize) -> usize {
        match &self.form {
            Form::Packed(_) => self.memory(),
            Form::Ordered { members, .. } => {
                let samples = samples.min(members.len());
                let texts: usize = self.iter().take(samples).map(|(_, member)| alloc::string(member.len())).sum();
                let sum = texts + samples * alloc::ENTRY + samples * alloc::SKIPNODE_THIRDS / 3;
                let fixed = alloc::OBJECT + alloc::SKIPLIST + alloc::TABLE + members.buckets() * 8;
                alloc::estimate(fixed, sum, samples, members.len())
            }
        }
    }

    /// What a member takes.
    fn size(&self, member: &[u8], score: f64) -> usize {
        if self.is_packed() { alloc::packed(member) + alloc::packed_score(score) } else { alloc::string(member.len()) }
    }

    /// A member's score.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.form {
            Form::Packed(items) => items.iter().find(|(_, key)| key.as_slice() == member).map(|(score, _)| *score),
            Form::Ordered { list, members } => {
                let at = find(list, members, member)?;
                Some(list.at(*members.get(at)).0)
            }
        }
    }

    /// Sets a member's score; returns the one it had.
    pub fn set(&mut self, member: &[u8], score: f64, packing: Packing) -> Option<f64> {
        let old = self.score(member);
        if old == Some(score) {
            return old;
        }
        if let Some(old) = old {
            self.take_out(member, old);
        } else if self.is_packed() && (packing.too_long(member) || packing.too_many(self.len() + 1)) {
            self.become_ordered();
        }
        self.put(Element::copy(member), score);
        old
    }

    fn put(&mut self, member: Element, score: f64) {
        self.bytes += self.size(member.as_slice(), score);
        match &mut self.form {
            Form::Packed(items) => {
                // A list pack holds it as an integer, which has no negative zero.
                let score = if score == 0.0 { 0.0 } else { score };
                let place = items
                    .partition_point(|(s, m)| order((*s, m.as_slice()), (score, member.as_slice())) == Ordering::Less);
                items.insert(place, (score, member));
            }
            Form::Ordered { list, members } => {
                let hash = hash_key(member.as_slice());
                let index = list.insert(score, member);
                // The search for it was a step too.
                members.step();
                members.insert(hash, index);
            }
        }
    }

    /// Removes a member; returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.score(member)?;
        self.take_out(member, score);
        Some(score)
    }

    fn take_out(&mut self, member: &[u8], score: f64) {
        self.bytes -= self.size(member, score);
        match &mut self.form {
            Form::Packed(items) => items.retain(|(_, key)| key.as_slice() != member),
            Form::Ordered { list, members } => {
                let at = find(list, members, member).expect("it has a score");
                members.remove(at);
                list.remove(score, member);
            }
        }
    }

    /// Removes the members at ranks `from..to`; returns how many.
    pub fn remove_ranks(&mut self, from: usize, to: usize) -> usize {
        let gone: Vec<(f64, Element)> =
            self.range(from, to.saturating_sub(from), false).map(|(s, m)| (s, m.clone())).collect();
        for (score, member) in &gone {
            self.take_out(member.as_slice(), *score);
        }
        gone.len()
    }

    /// Becomes a table with an order, however small.
    pub fn become_ordered(&mut self) {
        let Form::Packed(items) = &mut self.form else { return };
        let items = std::mem::take(items);
        self.form = Form::Ordered { list: SkipList::default(), members: Dict::default() };
        self.bytes = 0;
        for (score, member) in items {
            self.put(member, score);
        }
    }

    /// Becomes a list if it is small enough (`zsetConvertToListpackIfNeeded`).
    pub fn pack(&mut self, packing: Packing) {
        if self.is_packed() || packing.too_many(self.len()) {
            return;
        }
        let items: Vec<(f64, Element)> = self.iter().map(|(score, member)| (score, member.clone())).collect();
        if items.iter().all(|(_, member)| !packing.too_long(member.as_slice())) {
            let sizes = items.iter().map(|(score, key)| alloc::packed(key.as_slice()) + alloc::packed_score(*score));
            self.bytes = sizes.sum();
            self.form = Form::Packed(items);
        }
    }

    /// How many members from the lowest on `before` holds of; it must hold of a beginning part only.
    pub fn count_before(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        match &self.form {
            Form::Packed(items) => items.partition_point(|(score, key)| before(*score, key.as_slice())),
            Form::Ordered { list, .. } => list.count_before(before),
        }
    }

    /// A member's rank from the lowest, from 0.
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.count_before(|s, m| order((s, m), (score, member)) == Ordering::Less))
    }

    /// Up to `count` members from a rank on, towards lower ones in reverse.
    pub fn range(&self, from: usize, count: usize, reverse: bool) -> Range<'_> {
        let at = match &self.form {
            Form::Packed(_) => u32::try_from(from).ok(),
            Form::Ordered { list, .. } => list.index_of_rank(from),
        };
        Range { set: self, at: at.filter(|_| from < self.len()), left: count, reverse }
    }

    /// All members, ascending.
    pub fn iter(&self) -> Range<'_> {
        self.range(0, self.len(), false)
    }

    /// A random member with its score; `None` of none.
    pub fn random(&self, rng: &mut Rng) -> Option<(f64, &Element)> {
        match &self.form {
            Form::Packed(items) if items.is_empty() => None,
            Form::Packed(items) => items.get(pick(rng, items.len())).map(|(score, key)| (*score, key)),
            Form::Ordered { list, members } => members.fair(rng).map(|at| list.at(*members.get(at))),
        }
    }

    /// Whether a table behind it is held (see [`Dict::hold`]).
    pub fn hold(&mut self, held: bool) {
        if let Form::Ordered { members, .. } = &mut self.form {
            members.hold(held);
        }
    }

    /// What DEBUG HTSTATS-KEY says of the table behind it; `None` when it isn't one.
    #[must_use]
    pub fn table_statistics(&self) -> Option<String> {
        match &self.form {
            Form::Packed(_) => None,
            Form::Ordered { members, .. } => Some(members.statistics()),
        }
    }

    /// One step of an iteration over the table behind it (see [`Dict::scan`]); `None` when it isn't one.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(f64, &Element)) -> Option<u64> {
        let Form::Ordered { list, members } = &self.form else { return None };
        Some(members.scan(cursor, |at| {
            let (score, member) = list.at(*members.get(at));
            visit(score, member);
        }))
    }
}

fn find(list: &SkipList, members: &Dict<u32>, member: &[u8]) -> Option<u32> {
    members.find(hash_key(member), |&index| list.at(index).1.as_slice() == member)
}

impl PartialEq for ZSet {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other.iter()).all(|(one, two)| one == two)
    }
}

/// Members of a sorted set, one after the other.
#[derive(Debug)]
pub struct Range<'a> {
    set: &'a ZSet,
    /// A rank, or an index into the skip list.
    at: Option<u32>,
    left: usize,
    reverse: bool,
}

impl<'a> Iterator for Range<'a> {
    type Item = (f64, &'a Element);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at?;
        self.left = self.left.checked_sub(1)?;
        match &self.set.form {
            Form::Packed(items) => {
                let (score, key) = items.get(at as usize)?;
                self.at = if self.reverse { at.checked_sub(1) } else { at.checked_add(1) };
                Some((*score, key))
            }
            Form::Ordered { list, .. } => {
                self.at = if self.reverse { list.previous(at) } else { list.next(at) };
                Some(list.at(at))
            }
        }
    }
}
