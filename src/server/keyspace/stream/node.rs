//! One node of a stream: a list pack of entries whose ids are near each other. The bytes are those of a real server.
//!
//! ```text
//! live | deleted | fields | field … | 0          the fields that most entries have
//! flags | ms | seq | value … | pieces            an entry with the same fields; ids as differences to the node's own
//! flags | ms | seq | fields | field | value … | pieces
//! ```

use super::Id;
use crate::server::keyspace::listpack::{self, Element};

/// The entry is gone.
const DELETED: i64 = 1;
/// Its fields are those of the node.
const SAME_FIELDS: i64 = 2;

/// An entry's place in its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    id: Id,
    at: u32,
    deleted: bool,
    same: bool,
}

/// Entries in the order of their ids, those that were deleted among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What ids are counted from: the first entry's.
    base: Id,
    field_count: usize,
    fields: Vec<u8>,
    items: Vec<Item>,
    live: usize,
    body: Vec<u8>,
    /// Elements in the body.
    elements: usize,
    /// Bytes that were asked of the allocator.
    reserved: usize,
}

fn count(n: usize) -> i64 {
    i64::try_from(n).expect("counts fit 63 bits")
}

impl Node {
    /// A node that begins with an entry's id and fields; the entry itself is yet to be added.
    #[must_use]
    pub(super) fn new(base: Id, pairs: &[&[u8]], reserved: usize) -> Node {
        let mut fields = Vec::new();
        pairs.iter().step_by(2).for_each(|field| listpack::push_text(&mut fields, field));
        Node {
            base,
            field_count: pairs.len() / 2,
            fields,
            items: Vec::new(),
            live: 0,
            body: Vec::new(),
            elements: 0,
            reserved,
        }
    }

    /// Length of the list pack in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let counts = [self.live, self.items.len() - self.live, self.field_count].map(|n| listpack::int_len(count(n)));
        listpack::HEADER + counts.iter().sum::<usize>() + self.fields.len() + 2 + self.body.len() + 1
    }

    /// Bytes that were asked of the allocator.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.reserved.max(self.bytes())
    }

    /// What was reserved and isn't needed is given back.
    pub(super) fn shrink(&mut self) {
        self.reserved = 0;
    }

    /// Entries, those that were deleted included.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Entries that were not deleted.
    #[must_use]
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// The first entry's id, whether or not it was deleted.
    #[must_use]
    pub(super) fn first(&self) -> Option<Id> {
        self.items.first().map(|item| item.id)
    }

    /// The last entry's id, whether or not it was deleted.
    #[must_use]
    pub(super) fn last(&self) -> Option<Id> {
        self.items.last().map(|item| item.id)
    }

    /// True when the entry's fields are those of the node, in the same order.
    fn has_same_fields(&self, pairs: &[&[u8]]) -> bool {
        if pairs.len() != self.field_count * 2 {
            return false;
        }
        let mut at = 0;
        pairs.iter().step_by(2).all(|field| {
            let (own, next) = listpack::read(&self.fields, at).expect("as many fields as counted");
            at = next;
            own.text(&mut [0; 20]) == *field
        })
    }

    /// Adds an entry, whose id is the greatest.
    pub(super) fn push(&mut self, id: Id, pairs: &[&[u8]]) {
        let same = self.has_same_fields(pairs);
        let at = u32::try_from(self.body.len()).expect("nodes are at most a gigabyte");
        let body = &mut self.body;
        listpack::push_int(body, if same { SAME_FIELDS } else { 0 });
        listpack::push_int(body, id.ms.wrapping_sub(self.base.ms).cast_signed());
        listpack::push_int(body, id.seq.wrapping_sub(self.base.seq).cast_signed());
        let count_of = pairs.len() / 2;
        let pieces = if same {
            pairs.iter().skip(1).step_by(2).for_each(|value| listpack::push_text(body, value));
            count_of + 3
        } else {
            listpack::push_int(body, count(count_of));
            pairs.iter().for_each(|text| listpack::push_text(body, text));
            count_of * 2 + 4
        };
        listpack::push_int(body, count(pieces));
        self.elements += pieces + 1;
        self.live += 1;
        self.items.push(Item { id, at, deleted: false, same });
        let bytes = self.bytes();
        if bytes > self.reserved {
            self.reserved = bytes;
        }
    }

    /// Marks an entry as deleted. False when it was already.
    pub(super) fn delete(&mut self, index: usize) -> bool {
        let item = &mut self.items[index];
        if item.deleted {
            return false;
        }
        item.deleted = true;
        let flags = DELETED | if item.same { SAME_FIELDS } else { 0 };
        self.body[item.at as usize] = u8::try_from(flags).expect("two bits");
        self.live -= 1;
        true
    }

    /// Where the first entry with this id or a greater one is.
    #[must_use]
    pub(super) fn position(&self, id: Id) -> usize {
        self.items.partition_point(|item| item.id < id)
    }

    /// The id of an entry, and whether it was deleted.
    #[must_use]
    pub(super) fn entry(&self, index: usize) -> (Id, bool) {
        let item = &self.items[index];
        (item.id, item.deleted)
    }

    /// How many fields an entry has.
    #[must_use]
    pub(super) fn fields_of(&self, index: usize) -> usize {
        let item = &self.items[index];
        if item.same { self.field_count } else { self.own_fields(item).0 }
    }

    /// How many fields of its own an entry has, and where they begin.
    fn own_fields(&self, item: &Item) -> (usize, usize) {
        let mut at = self.values_at(item);
        let (number, next) = self.element(at);
        at = next;
        (usize::try_from(number.int().expect("a count")).expect("a count"), at)
    }

    fn element(&self, at: usize) -> (Element<'_>, usize) {
        listpack::read(&self.body, at).expect("entries were checked when they came")
    }

    /// Where an entry's contents begin, behind its flags and its id.
    fn values_at(&self, item: &Item) -> usize {
        (0..3).fold(item.at as usize, |at, _| self.element(at).1)
    }

    /// Calls `visit` with each field of an entry and its value.
    pub(super) fn pairs(&self, index: usize, mut visit: impl FnMut(&[u8], &[u8])) {
        let item = &self.items[index];
        let (mut first, mut second) = ([0; 20], [0; 20]);
        if item.same {
            let (mut field_at, mut at) = (0, self.values_at(item));
            for _ in 0..self.field_count {
                let (field, next_field) = listpack::read(&self.fields, field_at).expect("as many fields as counted");
                let (value, next) = self.element(at);
                visit(field.text(&mut first), value.text(&mut second));
                (field_at, at) = (next_field, next);
            }
        } else {
            let (fields, mut at) = self.own_fields(item);
            for _ in 0..fields {
                let (field, next) = self.element(at);
                let (value, next) = self.element(next);
                visit(field.text(&mut first), value.text(&mut second));
                at = next;
            }
        }
    }

    /// The list pack as it stands in an RDB file.
    #[must_use]
    pub fn packed(&self) -> Vec<u8> {
        let mut out = vec![0; listpack::HEADER];
        listpack::push_int(&mut out, count(self.live));
        listpack::push_int(&mut out, count(self.items.len() - self.live));
        listpack::push_int(&mut out, count(self.field_count));
        out.extend_from_slice(&self.fields);
        listpack::push_int(&mut out, 0);
        out.extend_from_slice(&self.body);
        out.push(listpack::END);
        let total = u32::try_from(out.len()).expect("nodes are at most a gigabyte");
        let elements = (4 + self.field_count + self.elements).min(listpack::COUNT_MAX);
        out[..4].copy_from_slice(&total.to_le_bytes());
        out[4..6].copy_from_slice(&u16::try_from(elements).expect("limited").to_le_bytes());
        out
    }

    /// The node of a list pack from an RDB file (`streamValidateListpackIntegrity`). `None` when it is broken.
    #[must_use]
    pub fn from_packed(base: Id, data: &[u8]) -> Option<Node> {
        let total = u32::from_le_bytes(data.get(..4)?.try_into().ok()?);
        if usize::try_from(total).ok()? != data.len() || data.last() != Some(&listpack::END) {
            return None;
        }
        let announced = usize::from(u16::from_le_bytes(data.get(4..6)?.try_into().ok()?));
        let data = &data[..data.len() - 1];
        let mut reading = Reading { data, at: listpack::HEADER };
        let (live, deleted, field_count) = (reading.count()?, reading.count()?, reading.count()?);
        let fields_from = reading.at;
        for _ in 0..field_count {
            reading.element()?;
        }
        let fields = data[fields_from..reading.at].to_vec();
        if reading.element()?.int()? != 0 {
            return None;
        }
        let body_from = reading.at;
        let mut node = Node {
            base,
            field_count,
            fields,
            items: Vec::new(),
            live: 0,
            body: data[body_from..].to_vec(),
            elements: 0,
            reserved: 0,
        };
        for _ in 0..live.checked_add(deleted)? {
            node.take_item(&mut reading, body_from)?;
        }
        let elements = 4 + field_count + node.elements;
        let counted = announced == listpack::COUNT_MAX || announced == elements;
        (reading.at == data.len() && counted && node.live == live && !node.items.is_empty()).then_some(node)
    }

    fn take_item(&mut self, reading: &mut Reading<'_>, body_from: usize) -> Option<()> {
        let at = u32::try_from(reading.at - body_from).ok()?;
        let flags = reading.element()?.int().filter(|flags| (0..=DELETED | SAME_FIELDS).contains(flags))?;
        let (ms, seq) = (reading.element()?.int()?, reading.element()?.int()?);
        let id = Id {
            ms: self.base.ms.wrapping_add(ms.cast_unsigned()),
            seq: self.base.seq.wrapping_add(seq.cast_unsigned()),
        };
        let same = flags & SAME_FIELDS != 0;
        let (fields, texts, fixed) = if same {
            (self.field_count, self.field_count, 3)
        } else {
            let fields = reading.count()?;
            (fields, fields.checked_mul(2)?, 4)
        };
        for _ in 0..texts {
            reading.element()?;
        }
        let pieces = reading.count()?;
        let wanted = if same { fields + fixed } else { fields * 2 + fixed };
        // Ids go up, or nothing could be found.
        if pieces != wanted || self.items.last().is_some_and(|last| last.id >= id) {
            return None;
        }
        self.elements += pieces + 1;
        let deleted = flags & DELETED != 0;
        self.live += usize::from(!deleted);
        self.items.push(Item { id, at, deleted, same });
        Some(())
    }
}

/// Elements read one after the other.
struct Reading<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reading<'a> {
    fn element(&mut self) -> Option<Element<'a>> {
        let (element, next) = listpack::read(self.data, self.at)?;
        self.at = next;
        Some(element)
    }

    /// A number that isn't negative.
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.element()?.int()?).ok()
    }
}
