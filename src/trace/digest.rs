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
        event.hash(self);
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
        let wide = u128::from(self.state ^ word) * 0x9e37_79b9_7f4a_7c15_u128;
        #[allow(clippy::cast_possible_truncation, reason = "folding both halves is the point")]
        let folded = (wide as u64) ^ ((wide >> 64) as u64);
        self.state = folded.wrapping_add(word.rotate_left(32));
    }
}

/// Hash of bytes for tagging an operation in the trace: the same on every platform.
#[must_use]
pub fn hash_bytes(parts: &[&[u8]]) -> u64 {
    let mut digest = Digest::new();
    for part in parts {
        digest.write_u64(part.len() as u64);
        digest.write(part);
    }
    digest.fingerprint().0
}

/// [`hash_bytes`] of a key and a value, for the many that are of usual lengths.
#[inline]
#[must_use]
pub fn hash_pair(key: &[u8], value: &[u8]) -> u64 {
    match (key.as_chunks::<8>(), value.as_chunks::<8>()) {
        // Without a loop, and nothing is left over.
        ((&[k0, k1], []), (&[v0, v1, v2, v3], [])) => {
            let mut digest = Digest::new();
            digest.word(16);
            digest.word(u64::from_le_bytes(k0));
            digest.word(u64::from_le_bytes(k1));
            digest.word(32);
            for word in [v0, v1, v2, v3] {
                digest.word(u64::from_le_bytes(word));
            }
            digest.fingerprint().0
        }
        _ => hash_bytes(&[key, value]),
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

    /// Pinned: another value would change every published digest. The words are such that products fill 128 bits.
    #[test]
    fn hashes_are_pinned_and_tell_parts_apart() {
        assert_eq!(hash_bytes(&[b"key:000000000001", &[0xff; 33]]), PIN);
        for (key, value) in [(16, 32), (16, 31), (15, 32), (24, 32), (16, 40), (0, 0), (1, 9)] {
            let (key, value) = (&[b'k'; 24][..key], &[b'v'; 40][..value]);
            assert_eq!(hash_pair(key, value), hash_bytes(&[key, value]));
        }
        assert_ne!(hash_bytes(&[b"ab", b"c"]), hash_bytes(&[b"a", b"bc"]));
        assert_ne!(hash_bytes(&[b"a\0"]), hash_bytes(&[b"a"]));
    }

    const PIN: u64 = 12_536_113_438_328_751_485;
}
