//! What a key holds.

use std::hash::Hasher as _;
use std::sync::Arc;

use bytes::Bytes;

use super::alloc;
use super::hash::{Hash, Pair};
use super::list::List;
use super::set::Set;
use super::stream::Stream;
use super::text::Text;
use super::zset::ZSet;
use crate::resp::{format_i64, parse_i64};
use crate::trace::Digest;

/// Text of a string value, in place up to what makes an entry one line of the cache.
pub type ValueText = Text<38>;

/// Text of a value that was changed in place. It lies elsewhere more often, so that the many values that weren't need no
/// word more to be told from it.
pub type RawText = Text<23>;

/// Longest string that is stored beside its header (`OBJ_ENCODING_EMBSTR_SIZE_LIMIT`).
pub const EMBSTR_MAX: usize = 44;

/// The types of values, as TYPE tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `string`
    String,
    /// `list`
    List,
    /// `set`
    Set,
    /// `zset`
    ZSet,
    /// `hash`
    Hash,
    /// `stream`
    Stream,
}

impl Type {
    /// As TYPE names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::ZSet => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
        }
    }
}

/// A value. Clones of collections share their memory until one of them changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string that is a 64-bit integer.
    Int(i64),
    /// A string as SET makes it.
    Str(ValueText),
    /// A string that was changed in place: `raw` however short.
    Raw(RawText),
    /// A list.
    List(Arc<List>),
    /// A set.
    Set(Arc<Set>),
    /// A sorted set.
    ZSet(Arc<ZSet>),
    /// A hash.
    Hash(Arc<Hash>),
    /// A stream.
    Stream(Arc<Stream>),
}

/// The text of a value that isn't a string was asked for: commands check the type first.
const NOT_A_STRING: &str = "the type was checked to be string";

impl Value {
    /// A string as SET stores it: an integer when it is one (`tryObjectEncoding`).
    #[must_use]
    pub fn string(text: Bytes) -> Value {
        if text.len() <= 20
            && let Some(n) = parse_i64(&text)
        {
            return Value::Int(n);
        }
        Value::Str(ValueText::share(text))
    }

    /// A string made of a copy.
    #[must_use]
    pub fn string_copy(text: &[u8]) -> Value {
        if text.len() <= 20
            && let Some(n) = parse_i64(text)
        {
            return Value::Int(n);
        }
        Value::Str(ValueText::copy(text))
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Type {
        match self {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => Type::String,
            Value::List(_) => Type::List,
            Value::Set(_) => Type::Set,
            Value::ZSet(_) => Type::ZSet,
            Value::Hash(_) => Type::Hash,
            Value::Stream(_) => Type::Stream,
        }
    }

    /// The string as bytes.
    ///
    /// # Panics
    /// When it isn't a string; the same for the next three.
    #[must_use]
    pub fn text(&self) -> Bytes {
        match self {
            Value::Int(n) => Bytes::from(n.to_string()),
            Value::Str(text) => text.to_bytes(),
            Value::Raw(text) => text.to_bytes(),
            Value::List(_) | Value::Set(_) | Value::ZSet(_) | Value::Hash(_) | Value::Stream(_) => {
                panic!("{NOT_A_STRING}")
            }
        }
    }

    /// Calls `f` with the string's bytes, without an allocation.
    pub fn with_text<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Value::Int(n) => f(format_i64(*n, &mut [0; 20])),
            Value::Str(text) => f(text.as_slice()),
            Value::Raw(text) => f(text.as_slice()),
            Value::List(_) | Value::Set(_) | Value::ZSet(_) | Value::Hash(_) | Value::Stream(_) => {
                panic!("{NOT_A_STRING}")
            }
        }
    }

    /// Length of the string in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Value::Int(n) => format_i64(*n, &mut [0; 20]).len(),
            Value::Str(text) => text.len(),
            Value::Raw(text) => text.len(),
            Value::List(_) | Value::Set(_) | Value::ZSet(_) | Value::Hash(_) | Value::Stream(_) => {
                panic!("{NOT_A_STRING}")
            }
        }
    }

    /// True for the empty string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements it has; one for a string.
    #[must_use]
    pub fn elements(&self) -> usize {
        match self {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => 1,
            Value::List(list) => list.len(),
            Value::Set(set) => set.len(),
            Value::ZSet(set) => set.len(),
            Value::Hash(hash) => hash.len(),
            Value::Stream(stream) => usize::try_from(stream.length).unwrap_or(usize::MAX),
        }
    }

    /// How many steps it takes to free it, about (`lazyfreeGetFreeEffort`).
    #[must_use]
    pub fn effort(&self) -> usize {
        match self {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => 1,
            Value::List(list) => list.nodes(),
            Value::Set(set) => set.table().map_or(1, |_| set.len()),
            Value::ZSet(set) if set.is_packed() => 1,
            Value::ZSet(set) => set.len(),
            Value::Hash(hash) => hash.table().map_or(1, |_| hash.len()),
            Value::Stream(stream) => usize::try_from(stream.tree_nodes()).unwrap_or(usize::MAX),
        }
    }

    /// As OBJECT ENCODING names it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::Int(_) => "int",
            Value::Str(text) if text.len() <= EMBSTR_MAX => "embstr",
            Value::Str(_) | Value::Raw(_) => "raw",
            Value::List(_) => "quicklist",
            Value::Set(set) if set.is_ints() => "intset",
            Value::Set(_) => "hashtable",
            Value::ZSet(set) if set.is_packed() => "listpack",
            Value::ZSet(_) => "skiplist",
            Value::Hash(hash) if hash.is_packed() => "listpack",
            Value::Hash(_) => "hashtable",
            Value::Stream(_) => "stream",
        }
    }

    /// Puts the contents into a digest; the order of a set or a hash doesn't matter.
    pub(super) fn feed(&self, digest: &mut Digest) {
        let text = |digest: &mut Digest, text: &[u8]| {
            digest.write_usize(text.len());
            digest.write(text);
        };
        let alone = |texts: [&[u8]; 2]| {
            let mut digest = Digest::new();
            texts.iter().for_each(|part| text(&mut digest, part));
            digest.fingerprint().0
        };
        match self {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => self.with_text(|own| text(digest, own)),
            Value::List(list) => list.iter().for_each(|item| text(digest, item.as_slice())),
            Value::Set(set) => {
                let sum = set.iter().fold(0_u64, |sum, member| sum.wrapping_add(alone([b"s", member.as_slice()])));
                digest.write_u64(sum);
            }
            Value::ZSet(set) => set.iter().for_each(|(score, member)| {
                digest.write_u64(score.to_bits());
                text(digest, member.as_slice());
            }),
            Value::Hash(hash) => {
                let pair = |pair: &Pair| alone([pair.field.as_slice(), pair.value.as_slice()]);
                digest.write_u64(hash.iter().fold(0_u64, |sum, next| sum.wrapping_add(pair(next))));
            }
            Value::Stream(stream) => stream.feed(digest),
        }
    }

    /// Bytes it takes in memory, about as a real server's allocator counts them.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            // Small integers are shared.
            Value::Int(0..10_000) => 0,
            Value::Int(_) => alloc::OBJECT,
            Value::Str(text) if text.len() <= EMBSTR_MAX => alloc::embedded(text.len()),
            Value::Str(text) => alloc::OBJECT + alloc::string(text.len()),
            Value::Raw(text) => alloc::OBJECT + alloc::string(text.len()),
            Value::List(list) => list.memory(),
            Value::Set(set) => set.memory(),
            Value::ZSet(set) => set.memory(),
            Value::Hash(hash) => hash.memory(),
            Value::Stream(stream) => stream.memory(),
        }
    }
}

impl Value {
    /// What MEMORY USAGE says of it, looking at so many elements of a collection (`objectComputeSize`).
    #[must_use]
    pub fn usage(&self, samples: usize) -> usize {
        match self {
            Value::Int(_) => alloc::OBJECT,
            Value::Str(text) if text.len() <= EMBSTR_MAX => alloc::embedded(text.len()),
            Value::Str(text) => alloc::OBJECT + alloc::string(text.len()),
            Value::Raw(text) => alloc::OBJECT + alloc::string(text.len()),
            Value::List(list) => list.usage(samples),
            Value::Set(set) => set.usage(samples),
            Value::ZSet(set) => set.usage(samples),
            Value::Hash(hash) => hash.usage(samples),
            Value::Stream(stream) => stream.usage(samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nearly_all_keys_are_is_small() {
        assert_eq!(std::mem::size_of::<Value>(), 40);
        assert_eq!(std::mem::size_of::<Option<crate::server::keyspace::Entry>>(), 64);
    }

    #[test]
    fn integers_and_encodings() {
        for (text, encoding) in [("12", "int"), ("-0", "embstr"), ("007", "embstr"), ("", "embstr")] {
            let value = Value::string_copy(text.as_bytes());
            assert_eq!((value.encoding(), &value.text()[..]), (encoding, text.as_bytes()));
        }
        assert_eq!(Value::string_copy(&[b'x'; 44]).encoding(), "embstr");
        assert_eq!(Value::string_copy(&[b'x'; 45]).encoding(), "raw");
        assert_eq!(Value::Int(i64::MIN).len(), 20);
    }
}
