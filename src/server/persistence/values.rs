//! Values inside RDB files: each type in the form that a real server of this version writes, and every form that one reads.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes};

use super::pack;
use super::rdb::{ListNode, RdbError, RdbValue, Reader, Writer};
use crate::server::keyspace::list::List;
use crate::server::keyspace::zset::ZSet;
use crate::server::keyspace::{Value, double, listpack};

/// Type bytes (`RDB_TYPE_*`).
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    pub(super) const ZSET: u8 = 3;
    pub(super) const HASH: u8 = 4;
    pub(super) const ZSET_2: u8 = 5;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const ZSET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    pub(super) const LIST_QUICKLIST: u8 = 14;
    pub(super) const STREAM_LISTPACKS: u8 = 15;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const ZSET_LISTPACK: u8 = 17;
    pub(super) const LIST_QUICKLIST_2: u8 = 18;
    pub(super) const STREAM_LISTPACKS_2: u8 = 19;
}

/// A list's node that holds many elements (`QUICKLIST_NODE_CONTAINER_PACKED`), and one that is a single long one.
const PACKED: u64 = 2;
const PLAIN: u64 = 1;

/// True for a byte that begins a value.
pub(super) fn is_value(byte: u8) -> bool {
    matches!(byte, 0..=5 | 9..=19)
}

impl Writer {
    /// The byte that says which form a value is written in (`rdbSaveObjectType`).
    pub(super) fn value_type(&mut self, value: &Value) {
        let byte = match value {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => kind::STRING,
            Value::List(_) => kind::LIST_QUICKLIST_2,
            Value::Set(set) if set.is_ints() => kind::SET_INTSET,
            Value::Set(_) => kind::SET,
            Value::ZSet(set) if set.is_packed() => kind::ZSET_LISTPACK,
            Value::ZSet(_) => kind::ZSET_2,
            Value::Hash(hash) if hash.is_packed() => kind::HASH_LISTPACK,
            Value::Hash(_) => kind::HASH,
            Value::Stream(_) => kind::STREAM_LISTPACKS_2,
        };
        self.out.put_u8(byte);
    }

    /// A value without its type (`rdbSaveObject`).
    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => value.with_text(|text| self.string(text)),
            Value::List(list) => self.list(list),
            Value::Set(set) => match set.ints() {
                Some(ints) => self.string(&pack::intset(ints)),
                None => {
                    self.length(set.len() as u64);
                    set.iter().for_each(|member| self.string(member.as_slice()));
                }
            },
            Value::ZSet(set) => self.zset(set),
            Value::Hash(hash) if hash.is_packed() => {
                let texts = hash.iter().flat_map(|pair| [pair.field.as_slice(), pair.value.as_slice()]);
                self.string(&listpack::pack(texts));
            }
            Value::Stream(stream) => self.stream(stream),
            Value::Hash(hash) => {
                self.length(hash.len() as u64);
                for pair in hash.iter() {
                    self.string(pair.field.as_slice());
                    self.string(pair.value.as_slice());
                }
            }
        }
    }

    /// A list in its nodes.
    fn list(&mut self, list: &List) {
        self.length(list.nodes() as u64);
        for node in list.written() {
            self.length(if node.plain { PLAIN } else { PACKED });
            if node.compressed {
                self.compressed(&node.bytes);
            } else {
                self.string(&node.bytes);
            }
        }
    }

    fn zset(&mut self, set: &ZSet) {
        if set.is_packed() {
            let scores: Vec<(String, &[u8])> =
                set.iter().map(|(score, member)| (double::print(score), member.as_slice())).collect();
            let texts = scores.iter().flat_map(|(score, member)| [*member, score.as_bytes()]);
            return self.string(&listpack::pack(texts));
        }
        self.length(set.len() as u64);
        // From the greatest on: a server that loads it then inserts each at the beginning.
        for (score, member) in set.range(set.len().saturating_sub(1), set.len(), true) {
            self.string(member.as_slice());
            self.out.put_f64_le(score);
        }
    }
}

fn broken(what: &str) -> RdbError {
    RdbError::Corrupt(format!("{what} integrity check failed."))
}

impl Reader<'_> {
    /// A value of a type that [`is_value`] (`rdbLoadObject`).
    pub(super) fn value(&mut self, byte: u8) -> Result<RdbValue, RdbError> {
        match byte {
            kind::STRING => Ok(RdbValue::String(self.string()?)),
            kind::LIST => Ok(RdbValue::List(self.strings(1)?)),
            kind::LIST_ZIPLIST => Ok(RdbValue::List(self.packed("Ziplist", pack::from_ziplist)?)),
            kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => self.quicklist(byte == kind::LIST_QUICKLIST_2),
            kind::SET => distinct(self.strings(1)?, "Duplicate set members detected").map(RdbValue::Set),
            kind::SET_INTSET => {
                distinct(self.packed("Intset", pack::from_intset)?, "Duplicate set members detected").map(RdbValue::Set)
            }
            kind::HASH => pairs(self.strings(2)?),
            kind::HASH_ZIPMAP => pairs(self.packed("Hash zipmap", pack::from_zipmap)?),
            kind::HASH_ZIPLIST => pairs(self.packed("Hash ziplist", pack::from_ziplist)?),
            kind::HASH_LISTPACK => pairs(self.packed("Hash listpack", pack::from_listpack)?),
            kind::ZSET | kind::ZSET_2 => self.scored(byte == kind::ZSET_2),
            kind::ZSET_ZIPLIST => scores(self.packed("Zset ziplist", pack::from_ziplist)?),
            kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 => self.stream(byte == kind::STREAM_LISTPACKS_2),
            kind::ZSET_LISTPACK => scores(self.packed("Zset listpack", pack::from_listpack)?),
            _ => Err(RdbError::Corrupt(format!("Unknown RDB encoding type {byte}"))),
        }
    }

    fn packed(&mut self, what: &str, unpack: impl Fn(&Bytes) -> Option<Vec<Bytes>>) -> Result<Vec<Bytes>, RdbError> {
        let data = self.string()?;
        unpack(&data).ok_or_else(|| broken(what))
    }

    /// A length and so many times `each` strings.
    fn strings(&mut self, each: u64) -> Result<Vec<Bytes>, RdbError> {
        let count = self.length()?.checked_mul(each).ok_or(RdbError::ShortRead)?;
        (0..count).map(|_| self.string()).collect()
    }

    fn quicklist(&mut self, second: bool) -> Result<RdbValue, RdbError> {
        let mut nodes = Vec::new();
        for _ in 0..self.length()? {
            let container = if second { self.length()? } else { PACKED };
            let data = self.string()?;
            if data.is_empty() {
                return Err(RdbError::ShortRead);
            }
            let items = match (container, second) {
                (PLAIN, _) => vec![data],
                (PACKED, true) => pack::from_listpack(&data).ok_or_else(|| broken("Listpack"))?,
                (PACKED, false) => pack::from_ziplist(&data).ok_or_else(|| broken("Ziplist"))?,
                _ => return Err(broken("Quicklist")),
            };
            // Those without elements are passed over.
            if !items.is_empty() {
                nodes.push(ListNode { plain: container == PLAIN, items });
            }
        }
        Ok(RdbValue::Nodes(nodes))
    }

    fn scored(&mut self, binary: bool) -> Result<RdbValue, RdbError> {
        let mut members = Vec::new();
        for _ in 0..self.length()? {
            let member = self.string()?;
            let score = if binary { f64::from_le_bytes(self.array()?) } else { self.printed_double()? };
            members.push((member, score));
        }
        checked_scores(members)
    }

    /// A double as old files have it (`rdbLoadDoubleValue`): a length and digits, or a code.
    fn printed_double(&mut self) -> Result<f64, RdbError> {
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            len => {
                let text = self.take(usize::from(len))?;
                double::strtod(&text).ok_or_else(|| RdbError::Corrupt("a score that is no number".to_owned()))
            }
        }
    }
}

fn distinct(texts: Vec<Bytes>, complaint: &str) -> Result<Vec<Bytes>, RdbError> {
    let different = texts.iter().collect::<BTreeSet<_>>().len();
    if different == texts.len() { Ok(texts) } else { Err(RdbError::Corrupt(complaint.to_owned())) }
}

fn pairs(texts: Vec<Bytes>) -> Result<RdbValue, RdbError> {
    let pairs: Vec<(Bytes, Bytes)> = texts.chunks_exact(2).map(|two| (two[0].clone(), two[1].clone())).collect();
    let fields = pairs.iter().map(|(field, _)| field).collect::<BTreeSet<_>>().len();
    if texts.len() % 2 == 1 || fields != pairs.len() {
        return Err(RdbError::Corrupt("Duplicate hash fields detected".to_owned()));
    }
    Ok(RdbValue::Hash(pairs))
}

fn scores(texts: Vec<Bytes>) -> Result<RdbValue, RdbError> {
    if texts.len() % 2 == 1 {
        return Err(broken("Zset listpack"));
    }
    let members = texts.chunks_exact(2).map(|two| {
        let score = double::strtod(&two[1]).ok_or_else(|| broken("Zset listpack"))?;
        Ok((two[0].clone(), score))
    });
    checked_scores(members.collect::<Result<_, RdbError>>()?)
}

fn checked_scores(members: Vec<(Bytes, f64)>) -> Result<RdbValue, RdbError> {
    if members.iter().any(|(_, score)| score.is_nan()) {
        return Err(RdbError::Corrupt("Zset with NAN score detected".to_owned()));
    }
    let different = members.iter().map(|(member, _)| member).collect::<BTreeSet<_>>().len();
    if different != members.len() {
        return Err(RdbError::Corrupt("Duplicate zset fields detected".to_owned()));
    }
    Ok(RdbValue::ZSet(members))
}
