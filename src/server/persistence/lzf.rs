//! LZF compression, the format of compressed strings in RDB files. Decompression is the `lzf` crate's.
//!
//! The crate's compressor clears half a megabyte for each string, which is most of the cost of saving small values;
//! this one keeps its table between strings.

use bytes::Bytes;

/// Table slots: enough that strings of a few kilobytes rarely collide.
const SLOTS_LOG2: u32 = 13;
/// Longest distance of a reference.
const DISTANCE_MAX: usize = 1 << 13;
/// Longest match of a reference.
const MATCH_MAX: usize = 264;
/// Longest run of literals.
const LITERALS_MAX: usize = 32;

/// A compressor with its table of recent three-byte sequences.
#[derive(Clone, Debug, Default)]
pub struct Compressor {
    /// Positions plus `base`; anything smaller than `base` is from an earlier string.
    slots: Vec<u32>,
    base: u32,
}

impl Compressor {
    /// Appends the compressed form of `input` to `out` if it is at most `len_max` bytes long; else appends nothing.
    pub fn compress(&mut self, input: &[u8], len_max: usize, out: &mut Vec<u8>) -> bool {
        let Ok(len) = u32::try_from(input.len()) else { return false };
        if self.slots.is_empty() || self.base.checked_add(len).is_none() {
            self.slots = vec![0; 1 << SLOTS_LOG2];
            self.base = 1;
        }
        let began = out.len();
        let fits = self.encode(input, began + len_max, out);
        self.base = self.base.saturating_add(len);
        if !fits {
            out.truncate(began);
        }
        fits
    }

    fn encode(&mut self, input: &[u8], end_max: usize, out: &mut Vec<u8>) -> bool {
        let (mut at, mut literals_from) = (0, 0);
        while at + 2 < input.len() && out.len() <= end_max {
            let Some(reference) = self.previous(input, at).filter(|&from| input[from..from + 3] == input[at..at + 3])
            else {
                at += 1;
                continue;
            };
            // As Redis's compressor, whose matches leave the last two bytes alone.
            let longest = (input.len() - at - 2).clamp(3, MATCH_MAX);
            let matched = (3..longest).find(|&n| input[reference + n] != input[at + n]).unwrap_or(longest);
            literals(&input[literals_from..at], out);
            back_reference(at - reference - 1, matched - 2, out);
            // The last two positions of a match are remembered too, so that a repetition goes on.
            for position in [at + matched - 2, at + matched - 1] {
                if position + 2 < input.len() {
                    self.previous(input, position);
                }
            }
            at += matched;
            literals_from = at;
        }
        literals(&input[literals_from..], out);
        out.len() <= end_max
    }

    /// Where the three bytes at `at` were last seen (perhaps others with the same hash), and remembers them here.
    fn previous(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let word = u32::from_be_bytes([0, input[at], input[at + 1], input[at + 2]]);
        let slot = (word.wrapping_mul(0x9e37_79b1) >> (32 - SLOTS_LOG2)) as usize;
        let seen = self.slots[slot];
        self.slots[slot] = self.base + u32::try_from(at).expect("the input's length fits 32 bits");
        let seen = seen.checked_sub(self.base)? as usize;
        // As Redis's compressor, which takes no reference to the very beginning.
        (seen > 0 && seen < at && at - seen <= DISTANCE_MAX).then_some(seen)
    }
}

fn literals(bytes: &[u8], out: &mut Vec<u8>) {
    for run in bytes.chunks(LITERALS_MAX) {
        out.push(u8::try_from(run.len() - 1).expect("a run is at most 32 bytes"));
        out.extend_from_slice(run);
    }
}

/// `length` is the match's length less two.
fn back_reference(distance: usize, length: usize, out: &mut Vec<u8>) {
    let byte = |n: usize| u8::try_from(n).expect("the format's limits were kept");
    let high = distance >> 8;
    if length < 7 {
        out.push(byte(high + (length << 5)));
    } else {
        out.push(byte(high + (7 << 5)));
        out.push(byte(length - 7));
    }
    out.push(byte(distance & 0xff));
}

/// Decompresses to exactly `len` bytes; `None` when the data is corrupt.
#[must_use]
pub fn decompress(data: &[u8], len: usize) -> Option<Bytes> {
    // A reference of three bytes makes at most 264: more than that can't be, and would only waste memory.
    if len > data.len().saturating_mul(MATCH_MAX) {
        return None;
    }
    lzf::decompress(data, len).ok().filter(|bytes| bytes.len() == len).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repetition_shrinks_and_noise_does_not() {
        let mut compressor = Compressor::default();
        let mut out = Vec::new();
        assert!(compressor.compress(&[b'x'; 1000], 100, &mut out));
        assert!(out.len() < 20);
        assert_eq!(decompress(&out, 1000).as_deref(), Some(&[b'x'; 1000][..]));
        let noise: Vec<u8> = (0..=255).collect();
        let before = out.clone();
        assert!(!compressor.compress(&noise, noise.len() - 4, &mut out));
        assert_eq!(out, before);
        assert_eq!(decompress(&[0xff; 9], 20), None);
        assert_eq!(decompress(&[0, b'a'], usize::MAX), None);
    }

    proptest! {
        /// What was compressed comes back, with one compressor for many strings.
        #[test]
        fn round_trip(inputs in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..3000), 1..8)) {
            let mut compressor = Compressor::default();
            for input in inputs {
                let mut out = Vec::new();
                let len_max = input.len() * 2 + 8;
                prop_assert!(compressor.compress(&input, len_max, &mut out));
                if !input.is_empty() {
                    prop_assert_eq!(decompress(&out, input.len()), Some(Bytes::from(input)));
                }
            }
        }
    }
}
