//! An ordered list of scored members that knows ranks: the order behind large sorted sets (`zskiplist`).
//!
//! Nodes live in an arena and keep their index from insertion to removal. How high a node is follows from its member,
//! so that equal sets built in equal ways are equal everywhere.

use std::cmp::Ordering;

use smallvec::{SmallVec, smallvec};

use super::key_hash::hash_key;
use super::text::Element;

const NIL: u32 = u32::MAX;
/// Highest node (`ZSKIPLIST_MAXLEVEL`).
const HEIGHT_MAX: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Hop {
    next: u32,
    /// Nodes that it passes, its target included; to the end for one without a target.
    span: u32,
}

#[derive(Clone, Debug)]
struct Node {
    score: f64,
    member: Element,
    before: u32,
    hops: SmallVec<[Hop; 2]>,
}

/// Scored members, ascending by score, then by member.
#[derive(Clone, Debug)]
pub(super) struct SkipList {
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// Hops from the beginning.
    head: SmallVec<[Hop; 8]>,
    len: u32,
}

/// The order of sorted sets: by score, then bytewise. Scores are never NaN.
pub(super) fn order(one: (f64, &[u8]), other: (f64, &[u8])) -> Ordering {
    let by_score = one.0.partial_cmp(&other.0).expect("scores are numbers");
    by_score.then_with(|| one.1.cmp(other.1))
}

/// One level more for each two zero bits: a quarter of the nodes reach each next level.
fn height(member: &[u8]) -> usize {
    let zeros = hash_key(member).rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15).leading_zeros();
    (1 + zeros as usize / 2).min(HEIGHT_MAX)
}

impl Default for SkipList {
    fn default() -> Self {
        SkipList { nodes: Vec::new(), free: Vec::new(), head: smallvec![Hop { next: NIL, span: 0 }], len: 0 }
    }
}

/// The way to a place: on each level the last node before it (`NIL`: the beginning) and that node's rank from 1.
type Way = SmallVec<[(u32, u32); 16]>;

impl SkipList {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The member and score at an index.
    pub(super) fn at(&self, index: u32) -> (f64, &Element) {
        let node = &self.nodes[index as usize];
        (node.score, &node.member)
    }

    fn hops(&self, index: u32) -> &[Hop] {
        if index == NIL { &self.head } else { &self.nodes[index as usize].hops }
    }

    fn hop_mut(&mut self, index: u32, level: usize) -> &mut Hop {
        if index == NIL { &mut self.head[level] } else { &mut self.nodes[index as usize].hops[level] }
    }

    /// Goes forward as long as `before` holds of the next node.
    fn way(&self, before: impl Fn(f64, &[u8]) -> bool) -> Way {
        let mut way: Way = smallvec![(NIL, 0); self.head.len()];
        let (mut at, mut rank) = (NIL, 0);
        for level in (0..self.head.len()).rev() {
            loop {
                let hop = self.hops(at)[level];
                if hop.next == NIL {
                    break;
                }
                let node = &self.nodes[hop.next as usize];
                if !before(node.score, node.member.as_slice()) {
                    break;
                }
                rank += hop.span;
                at = hop.next;
            }
            way[level] = (at, rank);
        }
        way
    }

    /// How many nodes from the beginning `before` holds of; it must hold of a beginning part only.
    pub(super) fn count_before(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        self.way(before)[0].1 as usize
    }

    /// The index of the node at a rank from 0.
    pub(super) fn index_of_rank(&self, rank: usize) -> Option<u32> {
        let wanted = u32::try_from(rank).ok().filter(|&rank| rank < self.len)? + 1;
        let (mut at, mut passed) = (NIL, 0);
        for level in (0..self.head.len()).rev() {
            loop {
                let hop = self.hops(at)[level];
                if hop.next == NIL || passed + hop.span > wanted {
                    break;
                }
                passed += hop.span;
                at = hop.next;
            }
        }
        Some(at)
    }

    /// The index after another.
    pub(super) fn next(&self, index: u32) -> Option<u32> {
        Some(self.hops(index)[0].next).filter(|&next| next != NIL)
    }

    /// The index before another.
    pub(super) fn previous(&self, index: u32) -> Option<u32> {
        Some(self.nodes[index as usize].before).filter(|&before| before != NIL)
    }

    /// Adds a member that isn't there; returns its index.
    pub(super) fn insert(&mut self, score: f64, member: Element) -> u32 {
        let height = height(member.as_slice());
        while self.head.len() < height {
            self.head.push(Hop { next: NIL, span: self.len });
        }
        let way = self.way(|s, m| order((s, m), (score, member.as_slice())) == Ordering::Less);
        let (before, rank) = way[0];
        let mut hops: SmallVec<[Hop; 2]> = SmallVec::new();
        for &(from, passed) in &way[..height] {
            let hop = self.hops(from)[hops.len()];
            hops.push(Hop { next: hop.next, span: hop.span - (rank - passed) });
        }
        let next = hops[0].next;
        let node = Node { score, member, before, hops };
        let index = match self.free.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).expect("a sorted set has fewer than 2^32 members")
            }
        };
        for (level, &(from, passed)) in way.iter().enumerate() {
            let hop = self.hop_mut(from, level);
            if level < height {
                *hop = Hop { next: index, span: rank - passed + 1 };
            } else {
                hop.span += 1;
            }
        }
        if next != NIL {
            self.nodes[next as usize].before = index;
        }
        self.len += 1;
        index
    }

    /// Removes a member that is there with that score; returns the index it had.
    ///
    /// # Panics
    /// When it isn't there.
    pub(super) fn remove(&mut self, score: f64, member: &[u8]) -> u32 {
        let way = self.way(|s, m| order((s, m), (score, member)) == Ordering::Less);
        let index = self.hops(way[0].0)[0].next;
        assert!(index != NIL, "the member is in the list");
        let hops = std::mem::take(&mut self.nodes[index as usize].hops);
        for (level, &(from, _)) in way.iter().enumerate() {
            let own = hops.get(level).copied();
            let hop = self.hop_mut(from, level);
            match own {
                Some(own) => *hop = Hop { next: own.next, span: hop.span + own.span - 1 },
                None => hop.span -= 1,
            }
        }
        let before = self.nodes[index as usize].before;
        if let Some(next) = self.nodes.get_mut(hops[0].next as usize) {
            next.before = before;
        }
        while self.head.len() > 1 && self.head.last().is_some_and(|hop| hop.next == NIL) {
            self.head.pop();
        }
        self.nodes[index as usize].member = Element::copy(b"");
        self.free.push(index);
        self.len -= 1;
        index
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents(list: &SkipList) -> Vec<(i64, Vec<u8>)> {
        let mut at = list.next(NIL);
        let mut out = Vec::new();
        while let Some(index) = at {
            let (score, member) = list.at(index);
            #[allow(clippy::cast_possible_truncation, reason = "small whole scores")]
            out.push((score as i64, member.as_slice().to_vec()));
            at = list.next(index);
        }
        out
    }

    proptest! {
        /// A sorted vector says what order and ranks must be.
        #[test]
        fn is_a_sorted_vector(steps in prop::collection::vec((any::<bool>(), 0_u16..60, -3_i64..4), 0..300)) {
            let (mut list, mut model) = (SkipList::default(), Vec::<(i64, Vec<u8>)>::new());
            for (add, name, score) in steps {
                let member = format!("m{name}").into_bytes();
                let found = model.iter().position(|(_, other)| *other == member);
                match (add, found) {
                    (true, None) => {
                        list.insert(score as f64, Element::copy(&member));
                        model.push((score, member));
                        model.sort();
                    }
                    (false, Some(place)) => {
                        let (score, member) = model.remove(place);
                        list.remove(score as f64, &member);
                    }
                    _ => {}
                }
                prop_assert_eq!(list.len(), model.len());
            }
            prop_assert_eq!(contents(&list), model.clone());
            for (rank, (score, member)) in model.iter().enumerate() {
                let index = list.index_of_rank(rank).expect("as long as the model");
                prop_assert_eq!(list.at(index).1.as_slice(), &member[..]);
                let before = list.count_before(|s, m| order((s, m), (*score as f64, member)) == Ordering::Less);
                prop_assert_eq!(before, rank);
                let previous = list.previous(index).map(|at| list.at(at).1.as_slice().to_vec());
                prop_assert_eq!(previous, rank.checked_sub(1).map(|rank| model[rank].1.clone()));
            }
            prop_assert_eq!(list.index_of_rank(model.len()), None);
        }
    }
}
