//! The running fingerprint of a trace: equal for equal traces on every platform, in debug and release.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Event;

/// 64 bits that stand for a whole trace. Prints as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(pub u64);

/// A running hash. Every integer is widened to 64 bits before it is mixed in, so that 32- and 64-bit platforms agree.
#[derive(Clone, Debug)]
pub struct Digest {
    state: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Digest::new()
    }
}

impl Digest {
    /// The digest of nothing.
    #[must_use]
    pub fn new() -> Digest {
        Digest { state: 0x5350_4c49_5442_5241 }
    }

    /// Adds one event.
    pub fn add(&mut self, event: &Event) {
        super::often::feed(event, self);
    }

    /// The fingerprint so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Fingerprint(z ^ (z >> 31))
    }

    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.state = fold(self.state ^ word, MULTIPLIER).wrapping_add(word.rotate_left(32));
    }

    /// Mixes in two words for the price of one.
    #[inline(always)]
    pub(super) fn pair(&mut self, first: u64, second: u64) {
        let mixed = self.state ^ first;
        self.state = fold(mixed, second ^ MULTIPLIER).wrapping_add(mixed.rotate_left(32)).wrapping_add(second);
    }

    /// A text of that length follows.
    #[inline(always)]
    fn length(&mut self, len: usize) {
        self.state = self.state.wrapping_add((len as u64).wrapping_add(1).wrapping_mul(MULTIPLIER));
    }

    /// Mixes in a text and where it ends.
    #[inline]
    fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        let (pairs, rest) = text.as_chunks::<16>();
        for pair in pairs {
            let (words, _) = pair.as_chunks::<8>();
            self.pair(u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]));
        }
        match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
            // What both have in common doesn't matter: the length is known.
            (Some(first), Some(last)) => self.pair(u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ if rest.is_empty() => {}
            _ => self.pair(rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
        }
    }
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of a product, in one: every bit of either factor counts for every bit of it, unless the other one is zero.
#[inline(always)]
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "folding both halves is the point")]
pub fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// Hash of bytes: the same on every platform.
#[must_use]
pub fn hash_bytes(parts: &[&[u8]]) -> u64 {
    let mut digest = Digest::new();
    for part in parts {
        digest.write_u64(part.len() as u64);
        digest.write(part);
    }
    digest.fingerprint().0
}

/// What stands for an operation in the trace: a hash of its arguments, without the command's name.
#[inline]
#[must_use]
pub fn hash_operation<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut digest = Digest::new();
    for argument in arguments {
        digest.text(argument);
    }
    digest.state
}

/// [`hash_operation`] of a key and a value, for the many that are of usual lengths.
#[inline(always)]
#[must_use]
pub fn hash_pair(key: &[u8], value: &[u8]) -> u64 {
    match (key.first_chunk::<8>(), key.last_chunk::<8>(), value.as_chunks::<8>()) {
        // Without a loop, and nothing is left over.
        (Some(first), Some(last), (&[v0, v1, v2, v3], [])) if key.len() <= 16 => {
            let mut digest = Digest::new();
            digest.length(key.len());
            // What both words have in common doesn't matter.
            digest.pair(u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            digest.length(32);
            digest.pair(u64::from_le_bytes(v0), u64::from_le_bytes(v1));
            digest.pair(u64::from_le_bytes(v2), u64::from_le_bytes(v3));
            digest.state
        }
        _ => hash_operation([key, value]),
    }
}

#[allow(clippy::cast_sign_loss, reason = "two's complement is what is hashed")]
impl Hasher for Digest {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0u8; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }
    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }
    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.word(u64::from(n));
    }
    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }
    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }
    fn write_u128(&mut self, n: u128) {
        self.write(&n.to_le_bytes());
    }
    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }
    #[inline]
    fn write_i8(&mut self, n: i8) {
        self.word(i64::from(n) as u64);
    }
    #[inline]
    fn write_i16(&mut self, n: i16) {
        self.word(i64::from(n) as u64);
    }
    #[inline]
    fn write_i32(&mut self, n: i32) {
        self.word(i64::from(n) as u64);
    }
    #[inline]
    fn write_i64(&mut self, n: i64) {
        self.word(n as u64);
    }
    #[inline]
    fn write_isize(&mut self, n: isize) {
        self.word(n as i64 as u64);
    }
    fn finish(&self) -> u64 {
        self.fingerprint().0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Fingerprint).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_word_can_follow_any_other_and_counts() {
        let mut seen = std::collections::BTreeSet::new();
        for word in [0, 1, 1 << 63, u64::MAX, 0x5350_4c49_5442_5241] {
            for times in 1..4 {
                let mut digest = Digest::new();
                (0..times).for_each(|_| digest.word(word));
                assert!(seen.insert(digest.fingerprint()), "{word} {times} times");
            }
        }
        assert_eq!(hash_bytes(&[b"ab", b""]), hash_bytes(&[b"ab", b""]));
        assert_ne!(hash_bytes(&[b"ab", b""]), hash_bytes(&[b"a", b"b"]));
    }

    /// Two words that go in together count, each by itself and in their order, whatever was there before.
    #[test]
    fn any_pair_can_follow_any_other_and_counts() {
        let words = [0, 1, 1 << 63, u64::MAX, 0x5350_4c49_5442_5241, MULTIPLIER];
        let mut seen = std::collections::BTreeSet::new();
        for first in words {
            for second in words {
                for before in [0, 7] {
                    let mut digest = Digest::new();
                    digest.word(before);
                    digest.pair(first, second);
                    assert!(seen.insert(digest.fingerprint()), "{first} {second} after {before}");
                    digest.pair(first, second);
                    assert!(seen.insert(digest.fingerprint()), "{first} {second} twice after {before}");
                }
            }
        }
    }

    /// Pinned: another value would change every published digest. The words are such that products fill 128 bits.
    #[test]
    fn hashes_are_pinned_and_tell_parts_apart() {
        assert_eq!(hash_bytes(&[b"key:000000000001", &[0xff; 33]]), PIN);
        assert_ne!(hash_bytes(&[b"ab", b"c"]), hash_bytes(&[b"a", b"bc"]));
        assert_ne!(hash_bytes(&[b"a\0"]), hash_bytes(&[b"a"]));
        assert_eq!(hash_operation([&b"key:000000000001"[..], &[0xff; 33]]), PIN_OPERATION);
        for (key, value) in [(16, 32), (16, 31), (12, 32), (8, 32), (7, 32), (24, 32), (16, 40), (0, 0), (1, 9)] {
            let (key, value) = (&b"key:0123456789abcdefghij"[..key], &[b'v'; 40][..value]);
            assert_eq!(hash_pair(key, value), hash_operation([key, value]));
        }
    }

    const PIN: u64 = 12_536_113_438_328_751_485;
    const PIN_OPERATION: u64 = 1_961_706_991_904_898_476;

    /// Operations differ when anything in them does: a byte, a length, where one argument ends.
    #[test]
    fn hashes_of_operations_tell_them_apart() {
        let text = [b'x'; 40];
        let mut seen = std::collections::BTreeSet::new();
        for (key, value) in (0..=text.len()).flat_map(|key| (0..=text.len() - key).map(move |value| (key, value))) {
            assert!(seen.insert(hash_operation([&text[..key], &text[key..key + value]])), "{key} and {value}");
        }
        for len in 1..text.len() {
            for at in 0..len {
                let mut other = text;
                other[at] = b'y';
                assert!(seen.insert(hash_operation([&other[..len]])), "byte {at} of {len}");
            }
        }
        assert!(seen.insert(hash_operation([])));
        assert!(seen.insert(hash_operation([&b""[..], b"", b""])));
        assert_ne!(hash_operation([&b"a\0"[..]]), hash_operation([&b"a"[..]]));
    }
}
