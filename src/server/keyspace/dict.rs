//! A chained hash table of power-of-two size that grows and shrinks a bucket at a time and can be scanned meanwhile
//! (`dict.c`): the table behind a database and behind its index of expiring keys.

use std::hint::select_unpredictable;

use crate::node::bring_near;
use crate::rng::Rng;

/// Smallest table (`DICT_HT_INITIAL_SIZE`).
const INITIAL: usize = 4;
/// Empty buckets that one step of rehashing passes at most.
const EMPTY_VISITS: usize = 10;
/// Of so many items found near each other one is drawn (`GETFAIR_NUM_ENTRIES`).
const FAIR_SAMPLE: usize = 15;
/// While tables are held, one grows only with more than so many items for each bucket, and items are moved only to a table
/// that is so many times larger or smaller (`dict_force_resize_ratio`).
const FORCE_RATIO: usize = 5;
/// While memory is short, a table with more than so many items for each bucket grows all the same
/// (`HASHTABLE_MAX_LOAD_FACTOR`).
const LOAD_MAX: f64 = 1.618;
/// What a bucket takes in a real server.
const BUCKET_BYTES: usize = 8;
/// Lengths of chains that statistics tell apart (`DICT_STATS_VECTLEN`).
const LENGTHS: usize = 50;

/// What chains are made of. Apart from the items and small, so that walking a chain touches few cache lines; and who only
/// looks for the likeliest item needs not look at its slot, as the one before has its mark.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The low half of the item's hash: all that chooses a bucket.
    hash: u32,
    next: Mark,
}

/// An item of a chain in 32 bits: its index, and the highest bits of its hash, which choose no bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark(u32);

const INDEX_BITS: u32 = 28;
/// No item has this index.
const NO_INDEX: u32 = (1 << INDEX_BITS) - 1;
const NOBODY: Mark = Mark(u32::MAX);

impl Mark {
    #[inline]
    fn new(hash: u32, at: u32) -> Mark {
        Mark(hash & !NO_INDEX | at)
    }

    /// Whether the item may have this hash.
    #[inline]
    fn may_be(self, hash: u32) -> bool {
        (self.0 ^ hash) >> INDEX_BITS == 0
    }

    /// Its index, or one that is beyond all items.
    #[inline]
    fn index(self) -> u32 {
        self.0 & NO_INDEX
    }
}

/// The first two items of a chain, which nine finds of ten are for: the chain itself is asked by the rest alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    first: Mark,
    second: Mark,
}

const EMPTY: Head = Head { first: NOBODY, second: NOBODY };

/// So many empty buckets.
fn buckets(count: usize) -> Box<[Head]> {
    vec![EMPTY; count].into_boxed_slice()
}

/// A table that isn't there.
fn none() -> Box<[Head]> {
    Box::default()
}

/// The table. Items keep their index from insertion to removal. What finding one looks at comes first.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Dict<T> {
    /// By the same index as `slots`.
    items: Vec<Option<T>>,
    /// Heads of chains; the second is the target while rehashing and empty otherwise.
    tables: [Box<[Head]>; 2],
    slots: Vec<Slot>,
    /// Next bucket of the first table to be moved.
    rehash: Option<usize>,
    /// The first of a chain of those that hold nothing.
    free: Mark,
    /// A child process shares the memory: what would copy much of it is put off (`DICT_RESIZE_AVOID`).
    held: bool,
    /// There is no memory for a larger table (`expandAllowed`).
    capped: bool,
    len: usize,
}

impl<T> Default for Dict<T> {
    fn default() -> Self {
        Dict {
            slots: Vec::new(),
            items: Vec::new(),
            free: NOBODY,
            len: 0,
            tables: [none(), none()],
            rehash: None,
            held: false,
            capped: false,
        }
    }
}

/// Only the low bits choose a bucket; tables have at most 2^32 of them.
#[allow(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn low(hash: u64) -> u32 {
    hash as u32
}

fn bucket(hash: u32, size: usize) -> usize {
    hash as usize & (size - 1)
}

/// Where the chain of a hash begins; `None`: the table has no buckets.
#[inline]
fn head(table: &[Head], hash: u32) -> Option<&Head> {
    table.get(hash as usize & table.len().wrapping_sub(1))
}

fn index(at: usize) -> u32 {
    u32::try_from(at).ok().filter(|&at| at < NO_INDEX).expect("a table has at most 2^28 - 1 items")
}

impl<T> Dict<T> {
    /// How many items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An empty table with buckets for so many items (`dictExpand`).
    #[must_use]
    pub fn with_room(items: usize) -> Dict<T> {
        Dict { tables: [buckets(items.next_power_of_two().max(INITIAL)), none()], ..Dict::default() }
    }

    /// Buckets of both tables together (`dictSlots`).
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.tables[0].len() + self.tables[1].len()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        *self = Dict { held: self.held, ..Dict::default() };
    }

    /// Whether growing, shrinking and moving are put off (`dictSetResizeEnabled`).
    #[inline]
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether there is no memory for a larger table. It grows all the same once it is too full.
    #[inline]
    pub fn cap(&mut self, capped: bool) {
        self.capped = capped;
    }

    /// Bytes of the larger table that the next item needs; 0: it needs none.
    #[must_use]
    pub fn growth(&self) -> usize {
        if self.is_full() { (self.len + 1).next_power_of_two() * BUCKET_BYTES } else { 0 }
    }

    /// The next item makes it grow, if it may.
    fn is_full(&self) -> bool {
        let buckets = self.tables[0].len();
        let ratio = if self.held { self.len / buckets.max(1) > FORCE_RATIO } else { self.len >= buckets };
        self.rehash.is_none() && buckets > 0 && ratio
    }

    /// The item at an index that [`Dict::find`] or [`Dict::insert`] returned.
    ///
    /// # Panics
    /// When it was removed.
    #[must_use]
    #[inline]
    pub fn get(&self, at: u32) -> &T {
        self.items[at as usize].as_ref().expect("indices are used only while their item lives")
    }

    /// The item at an index, for changing it; what its hash is made of must stay.
    ///
    /// # Panics
    /// When it was removed.
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> &mut T {
        self.items[at as usize].as_mut().expect("indices are used only while their item lives")
    }

    /// The hash of the item at an index, as far as it counts.
    #[must_use]
    pub fn hash_at(&self, at: u32) -> u64 {
        u64::from(self.slots[at as usize].hash)
    }

    /// The index of the item with this hash for which `same` holds.
    #[inline]
    pub fn find(&self, hash: u64, same: impl Fn(&T) -> bool) -> Option<u32> {
        self.find_from(self.front(low(hash)).index(), hash, same)
    }

    /// [`Dict::find`] by one who knows where to look first, which [`Dict::hint`] has said at some time.
    #[inline]
    pub fn find_from(&self, hint: u32, hash: u64, same: impl Fn(&T) -> bool) -> Option<u32> {
        if let Some(Some(item)) = self.items.get(hint as usize)
            && same(item)
        {
            return Some(hint);
        }
        self.find_behind(low(hash), &same)
    }

    /// The likelier one of the first two items of a chain. Most often there is one table, and the item is one of them: nobody
    /// can foresee which.
    #[inline]
    fn front(&self, hash: u32) -> Mark {
        let Head { first, second } = head(&self.tables[0], hash).copied().unwrap_or(EMPTY);
        select_unpredictable(first.may_be(hash), first, second)
    }

    /// The index of the item with this hash, as far as marks tell, or one that no item has.
    #[inline]
    #[must_use]
    pub fn hint(&self, hash: u64) -> u32 {
        let hash = low(hash);
        let mark = self.front(hash);
        if mark.may_be(hash) { mark.index() } else { self.hint_behind(hash) }
    }

    /// The same wherever it is.
    #[inline(never)]
    fn hint_behind(&self, hash: u32) -> u32 {
        let [old, new] = &self.tables;
        self.hint_in(old, hash).or_else(|| self.hint_in(new, hash)).unwrap_or(NO_INDEX)
    }

    fn hint_in(&self, table: &[Head], hash: u32) -> Option<u32> {
        let &Head { first, second } = head(table, hash)?;
        let mut mark = if first.may_be(hash) { first } else { second };
        // Each slot says enough of the next one.
        while !mark.may_be(hash) {
            mark = self.slots.get(mark.index() as usize)?.next;
        }
        Some(mark.index()).filter(|&at| at != NO_INDEX)
    }

    /// Has the item at an index brought near, if there is one. Changes nothing.
    #[inline]
    pub fn look_ahead(&self, at: u32) {
        if let Some(item) = self.items.get(at as usize) {
            bring_near(item);
        }
    }

    /// The same wherever it is.
    #[inline(never)]
    fn find_behind(&self, hash: u32, same: &impl Fn(&T) -> bool) -> Option<u32> {
        let same = |at: u32| matches!(self.items.get(at as usize), Some(Some(item)) if same(item));
        let [old, new] = &self.tables;
        self.find_in(old, hash, &same).or_else(|| self.find_in(new, hash, &same))
    }

    /// The index of the first item of a chain with this hash for which `same` holds.
    fn find_in(&self, table: &[Head], hash: u32, same: &impl Fn(u32) -> bool) -> Option<u32> {
        let mut mark = head(table, hash)?.first;
        loop {
            // An index of nothing is beyond all items.
            let at = mark.index();
            let slot = self.slots.get(at as usize)?;
            if slot.hash == hash && same(at) {
                return Some(at);
            }
            mark = slot.next;
        }
    }

    /// Adds an item that is not there yet.
    pub fn insert(&mut self, hash: u64, item: T) -> u32 {
        self.step();
        self.grow_if_needed();
        let hash = low(hash);
        let table = usize::from(self.rehash.is_some());
        let head = bucket(hash, self.tables[table].len());
        let before = self.tables[table][head].first;
        let slot = Slot { hash, next: before };
        let at = if self.free == NOBODY {
            self.slots.push(slot);
            self.items.push(Some(item));
            index(self.slots.len() - 1)
        } else {
            let at = self.free.index();
            self.free = std::mem::replace(&mut self.slots[at as usize], slot).next;
            self.items[at as usize] = Some(item);
            at
        };
        self.tables[table][head] = Head { first: Mark::new(hash, at), second: before };
        self.len += 1;
        at
    }

    /// Removes the item at an index.
    ///
    /// # Panics
    /// When it was removed before.
    pub fn remove(&mut self, at: u32) -> T {
        self.step();
        let hash = self.slots[at as usize].hash;
        self.unlink(hash, at);
        let slot = &mut self.slots[at as usize];
        slot.next = self.free;
        self.free = Mark::new(0, at);
        self.len -= 1;
        let item = self.items[at as usize].take().expect("indices are used only while their item lives");
        self.shrink_if_sparse();
        item
    }

    /// A table that is hardly used gets smaller (`tryResizeHashTables`).
    pub fn shrink_if_sparse(&mut self) {
        let sparse = self.tables[0].len() > INITIAL && self.len * 10 < self.tables[0].len();
        if sparse && self.rehash.is_none() && !self.held {
            self.begin_rehash(self.len.next_power_of_two().max(INITIAL));
        }
    }

    fn unlink(&mut self, hash: u32, at: u32) {
        let next = self.slots[at as usize].next;
        for table in 0..2 {
            if self.tables[table].is_empty() {
                break;
            }
            let bucket = bucket(hash, self.tables[table].len());
            let mut first = self.tables[table][bucket].first;
            if first.index() == at {
                first = next;
            } else {
                let mut before = first.index();
                while let Some(slot) = self.slots.get(before as usize)
                    && slot.next.index() != at
                {
                    before = slot.next.index();
                }
                let Some(slot) = self.slots.get_mut(before as usize) else { continue };
                slot.next = next;
            }
            self.tables[table][bucket] = self.head_of(first);
            return;
        }
        unreachable!("an item is in the chain of its hash");
    }

    /// The head of a chain that begins with this item, or with none.
    fn head_of(&self, first: Mark) -> Head {
        let second = self.slots.get(first.index() as usize).map_or(NOBODY, |slot| slot.next);
        Head { first, second }
    }

    fn grow_if_needed(&mut self) {
        if self.tables[0].is_empty() {
            self.tables[0] = buckets(INITIAL);
        } else if self.is_full() && (!self.capped || self.len as f64 / self.tables[0].len() as f64 > LOAD_MAX) {
            self.begin_rehash((self.len + 1).next_power_of_two());
        }
    }

    fn begin_rehash(&mut self, size: usize) {
        if size != self.tables[0].len() {
            self.tables[1] = buckets(size);
            self.rehash = Some(0);
        }
    }

    /// It has a second table, which items move to.
    #[must_use]
    #[inline]
    pub(super) fn is_rehashing(&self) -> bool {
        !self.tables[1].is_empty()
    }

    /// Moves one bucket, as every change of the table does.
    pub(super) fn step(&mut self) {
        let Some(mut from) = self.rehash else { return };
        if self.held && self.is_near() {
            return;
        }
        let mut empty = EMPTY_VISITS;
        while from < self.tables[0].len() && self.tables[0][from].first == NOBODY {
            from += 1;
            empty -= 1;
            if empty == 0 {
                break;
            }
        }
        if from < self.tables[0].len() {
            let mut mark = std::mem::replace(&mut self.tables[0][from], EMPTY).first;
            let size = self.tables[1].len();
            while let Some(slot) = self.slots.get_mut(mark.index() as usize) {
                let head = &mut self.tables[1][bucket(slot.hash, size)];
                let next = std::mem::replace(&mut slot.next, head.first);
                *head = Head { first: mark, second: head.first };
                mark = next;
            }
            if empty > 0 {
                from += 1;
            }
        }
        if from >= self.tables[0].len() {
            self.tables[0] = std::mem::take(&mut self.tables[1]);
            self.rehash = None;
        } else {
            self.rehash = Some(from);
        }
    }

    /// The new table isn't that much larger or smaller than the old one.
    fn is_near(&self) -> bool {
        let [old, new] = [0, 1].map(|number| self.tables[number].len());
        old.max(new) / old.min(new) < FORCE_RATIO
    }

    fn chain(&self, table: usize, head: usize, visit: &mut impl FnMut(u32)) {
        let mut mark = self.tables[table][head].first;
        while let Some(slot) = self.slots.get(mark.index() as usize) {
            visit(mark.index());
            mark = slot.next;
        }
    }

    /// Visits the bucket of both tables that a counter points to; returns how many buckets that were.
    pub fn bucket_at(&self, counter: u64, mut visit: impl FnMut(&T)) -> u64 {
        let mut visited = 0;
        for (number, table) in self.tables.iter().enumerate().filter(|(_, table)| !table.is_empty()) {
            self.chain(number, bucket(low(counter), table.len()), &mut |at| visit(self.get(at)));
            visited += 1;
        }
        visited
    }

    /// One step of an iteration that survives growing and shrinking (`dictScan`): every item that is there all the
    /// time is visited at least once. Starts with 0 and is over when 0 comes back.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(u32)) -> u64 {
        if self.len == 0 {
            return 0;
        }
        let (small, large) = match self.rehash {
            None => {
                let mask = self.tables[0].len() as u64 - 1;
                self.chain(0, bucket(low(cursor), self.tables[0].len()), &mut visit);
                return advance(cursor, mask);
            }
            Some(_) if self.tables[0].len() <= self.tables[1].len() => (0, 1),
            Some(_) => (1, 0),
        };
        let small_mask = self.tables[small].len() as u64 - 1;
        let large_mask = self.tables[large].len() as u64 - 1;
        self.chain(small, bucket(low(cursor), self.tables[small].len()), &mut visit);
        let mut cursor = cursor;
        loop {
            self.chain(large, bucket(low(cursor), self.tables[large].len()), &mut visit);
            cursor = advance(cursor, large_mask);
            if cursor & (small_mask ^ large_mask) == 0 {
                return cursor;
            }
        }
    }

    /// A random item: a random bucket that isn't empty, then a random one of its chain (`dictGetRandomKey`).
    pub fn random(&self, rng: &mut Rng) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let first = self.tables[0].len();
        let begin = self.rehash.unwrap_or(0);
        let (table, head) = loop {
            let draw = begin + usize::try_from(rng.below((self.buckets() - begin) as u64)).expect("below a length");
            let (table, head) = if draw < first { (0, draw) } else { (1, draw - first) };
            if self.tables[table][head].first != NOBODY {
                break (table, head);
            }
        };
        let mut chain = smallvec::SmallVec::<[u32; 8]>::new();
        self.chain(table, head, &mut |at| chain.push(at));
        let pick = usize::try_from(rng.below(chain.len() as u64)).expect("below a length");
        Some(chain[pick])
    }

    /// A random item, every one nearly as likely: one of some that are found near each other (`dictGetFairRandomKey`).
    pub fn fair(&self, rng: &mut Rng) -> Option<u32> {
        let some = self.some(FAIR_SAMPLE, rng);
        if some.is_empty() {
            return self.random(rng);
        }
        Some(some[usize::try_from(rng.below(some.len() as u64)).expect("below a length")])
    }

    /// What DEBUG HTSTATS says of the tables (`dictGetStats`).
    #[must_use]
    pub fn statistics(&self) -> String {
        let mut text = self.table_statistics(0);
        if self.rehash.is_some() {
            text.push_str(&self.table_statistics(1));
        }
        text
    }

    fn table_statistics(&self, number: usize) -> String {
        let what = if number == 0 { "main hash table" } else { "rehashing target" };
        let mut text = format!("Hash table {number} stats ({what}):\n");
        // Chains by their length.
        let mut lengths = vec![0_u64; LENGTHS];
        let (mut items, mut longest) = (0_usize, 0);
        for head in 0..self.tables[number].len() {
            if self.tables[number][head].first == NOBODY {
                lengths[0] += 1;
                continue;
            }
            let mut length = 0;
            self.chain(number, head, &mut |_| length += 1);
            lengths[length.min(LENGTHS - 1)] += 1;
            items += length;
            longest = longest.max(length);
        }
        if items == 0 {
            text.push_str("No stats available for empty dictionaries\n");
            return text;
        }
        let size = self.tables[number].len();
        let slots = size as u64 - lengths[0];
        let mean = items as f64 / slots as f64;
        text.push_str(&format!(
            " table size: {size}\n number of elements: {items}\n different slots: {slots}\n max chain length: {longest}\n \
             avg chain length (counted): {mean:.2}\n avg chain length (computed): {mean:.2}\n \
             Chain length distribution:\n"
        ));
        for (length, &count) in lengths.iter().take(LENGTHS - 1).enumerate().filter(|(_, count)| **count > 0) {
            text.push_str(&format!("   {length}: {count} ({:.2}%)\n", count as f64 / size as f64 * 100.0));
        }
        text
    }

    /// Some items, found in buckets that follow one another from a random one on (`dictGetSomeKeys`): up to `count`,
    /// fewer when they are far apart.
    pub fn some(&self, count: usize, rng: &mut Rng) -> Vec<u32> {
        let count = count.min(self.len);
        let mut found = Vec::with_capacity(count);
        if count == 0 {
            return found;
        }
        let largest = self.tables[0].len().max(self.tables[1].len());
        let start = |rng: &mut Rng| usize::try_from(rng.below(largest as u64)).expect("below a length");
        let (mut at, mut empty) = (start(rng), 0);
        for _ in 0..count * 10 {
            for (number, table) in self.tables.iter().enumerate().filter(|(_, table)| at < table.len()) {
                if table[at].first != NOBODY {
                    empty = 0;
                    self.chain(number, at, &mut |item| found.push(item));
                } else {
                    empty += 1;
                }
            }
            if found.len() >= count {
                break;
            }
            at = (at + 1) & (largest - 1);
            if empty >= 5 && empty > count {
                (at, empty) = (start(rng), 0);
            }
        }
        // Of the last chain any may have been meant.
        while found.len() > count {
            let extra = usize::try_from(rng.below(found.len() as u64)).expect("below a length");
            found.swap_remove(extra);
        }
        found
    }

    /// All items, in the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().filter_map(Option::as_ref)
    }

    /// All indices and items, in the order of their indices.
    pub fn indexed(&self) -> impl Iterator<Item = (u32, &T)> {
        self.items.iter().enumerate().filter_map(|(at, item)| item.as_ref().map(|item| (index(at), item)))
    }
}

/// Increments the reversed bits of the cursor under the mask.
fn advance(cursor: u64, mask: u64) -> u64 {
    let cursor = cursor | !mask;
    cursor.reverse_bits().wrapping_add(1).reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::super::key_hash::hash_key;
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn find(dict: &Dict<u32>, item: u32) -> Option<u32> {
        dict.find(hash_key(&item.to_le_bytes()), |&other| other == item)
    }

    /// Heads say what their chains say.
    fn heads_are_true(dict: &Dict<u32>) -> bool {
        let marked = |mark: &Mark| match dict.slots.get(mark.index() as usize) {
            Some(slot) => *mark == Mark::new(slot.hash, mark.index()),
            None => *mark == NOBODY,
        };
        let chained = |at: u32| marked(&dict.slots[at as usize].next);
        let heads = dict.tables.iter().flatten().all(|head| *head == dict.head_of(head.first) && marked(&head.first));
        heads && dict.indexed().all(|(at, _)| chained(at))
    }

    proptest! {
        /// The table is a set, whatever is inserted and removed.
        #[test]
        fn is_a_set(steps in prop::collection::vec((any::<bool>(), 0u32..300), 0..1500)) {
            let (mut dict, mut model) = (Dict::default(), BTreeMap::new());
            for (add, item) in steps {
                prop_assert_eq!(find(&dict, item), model.get(&item).copied());
                match (add, model.get(&item).copied()) {
                    (true, None) => { model.insert(item, dict.insert(hash_key(&item.to_le_bytes()), item)); }
                    (false, Some(at)) => { prop_assert_eq!(dict.remove(at), item); model.remove(&item); }
                    _ => {}
                }
                prop_assert_eq!(dict.len(), model.len());
                prop_assert!(heads_are_true(&dict));
            }
            prop_assert_eq!(dict.iter().copied().collect::<BTreeSet<_>>(), model.keys().copied().collect::<BTreeSet<_>>());
        }

        /// A table that is held is a set too, and a scan misses nothing though it is held and let go in between.
        #[test]
        fn is_a_set_while_it_is_held(steps in prop::collection::vec((0u8..4, 0u32..300), 0..1500)) {
            let (mut dict, mut model) = (Dict::default(), BTreeMap::new());
            for (what, item) in steps {
                match (what, model.get(&item).copied()) {
                    (0, _) => dict.hold(item % 2 == 0),
                    (1 | 2, None) => { model.insert(item, dict.insert(hash_key(&item.to_le_bytes()), item)); }
                    (3, Some(at)) => { prop_assert_eq!(dict.remove(at), item); model.remove(&item); }
                    _ => {}
                }
                prop_assert_eq!(find(&dict, item), model.get(&item).copied());
                // Wherever one looks first.
                let hash = hash_key(&item.to_le_bytes());
                let found = [0, item, NO_INDEX].map(|hint| dict.find_from(hint, hash, |&other| other == item));
                prop_assert_eq!(found, [model.get(&item).copied(); 3]);
                prop_assert_eq!(dict.len(), model.len());
                prop_assert!(heads_are_true(&dict));
            }
            let (mut cursor, mut seen) = (0, BTreeSet::new());
            loop {
                cursor = dict.scan(cursor, |at| { seen.insert(*dict.get(at)); });
                if cursor == 0 { break; }
            }
            prop_assert_eq!(seen, model.keys().copied().collect::<BTreeSet<_>>());
        }

        /// A scan sees everything that was there throughout, though the table grows and shrinks between its steps.
        #[test]
        fn scan_misses_nothing(stay in 1u32..200, changes in prop::collection::vec((any::<bool>(), 1u32..60), 0..60)) {
            let (mut dict, mut others) = (Dict::default(), Vec::new());
            for item in 0..stay {
                dict.insert(hash_key(&item.to_le_bytes()), item);
            }
            let (mut cursor, mut seen, mut next) = (0, BTreeSet::new(), 1_000_000u32);
            let mut changes = changes.into_iter();
            loop {
                cursor = dict.scan(cursor, |at| { seen.insert(*dict.get(at)); });
                if cursor == 0 { break; }
                if let Some((add, count)) = changes.next() {
                    for _ in 0..count * 4 {
                        if add {
                            next += 1;
                            others.push(dict.insert(hash_key(&next.to_le_bytes()), next));
                        } else if let Some(at) = others.pop() {
                            dict.remove(at);
                        }
                    }
                }
            }
            for item in 0..stay {
                prop_assert!(seen.contains(&item), "{item} was not seen");
            }
        }
    }

    /// What a child process shares is left where it is, unless it would be far too crowded or sparse.
    #[test]
    fn a_held_table_neither_grows_nor_shrinks_before_it_must() {
        let fill = |dict: &mut Dict<u32>, items: std::ops::Range<u32>| -> Vec<u32> {
            items.map(|item| dict.insert(hash_key(&item.to_le_bytes()), item)).collect()
        };
        let mut dict = Dict::default();
        let first = fill(&mut dict, 0..16);
        while dict.rehash.is_some() {
            dict.step();
        }
        dict.hold(true);
        let mut more = fill(&mut dict, 16..96);
        assert_eq!(dict.buckets(), 16, "up to six for each bucket");
        more.extend(fill(&mut dict, 96..97));
        assert_eq!(dict.buckets(), 16 + 128, "more are too many, and eight times as large is far");
        while dict.rehash.is_some() {
            dict.step();
        }
        for at in first.into_iter().chain(more) {
            dict.remove(at);
        }
        assert_eq!(dict.buckets(), 128, "an empty table keeps its buckets");
        dict.hold(false);
        dict.shrink_if_sparse();
        assert_eq!(dict.buckets(), 128 + 4);
    }
}
