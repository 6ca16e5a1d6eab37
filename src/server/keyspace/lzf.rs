//! LZF compression, the format of compressed strings in RDB files. Decompression is the `lzf` crate's.
//!
//! The crate's compressor clears half a megabyte for each string, which is most of the cost of saving small values;
//! this one keeps its table between strings.

use bytes::Bytes;

/// Table slots.
const SLOTS: usize = 1 << 16;
/// Longest distance of a reference.
const DISTANCE_MAX: usize = 1 << 13;
/// Longest match of a reference.
const MATCH_MAX: usize = 264;
/// Longest run of literals.
const LITERALS_MAX: usize = 32;

/// Up to this length a look at all earlier sequences costs less than a table of them.
const SHORT: usize = 64;

/// A compressor with its table of recent three-byte sequences.
#[derive(Clone, Debug, Default)]
pub struct Compressor {
    /// Positions plus `base`; anything smaller than `base` is from an earlier string.
    slots: Vec<u32>,
    base: u32,
    /// In place of the table while the string is short: slots and positions.
    few: Vec<(u16, u16)>,
}

impl Compressor {
    /// Appends the compressed form of `input` to `out` if it is at most `len_max` bytes long; else appends nothing.
    ///
    /// It is the form that Redis's own compressor gives (`lzf_compress`), so that files have the same size: the same
    /// hash of three bytes, the same greedy matches, which never begin at the first byte and seldom reach the last two.
    pub fn compress(&mut self, input: &[u8], len_max: usize, out: &mut Vec<u8>) -> bool {
        let Ok(len) = u32::try_from(input.len()) else { return false };
        self.few.clear();
        let short = input.len() <= SHORT;
        if !short && (self.slots.is_empty() || self.base.checked_add(len).is_none()) {
            self.slots = vec![0; SLOTS];
            self.base = 1;
        }
        let began = out.len();
        let fits = self.encode(input, len_max, out);
        if !short {
            self.base = self.base.saturating_add(len);
        }
        if !fits {
            out.truncate(began);
        }
        fits
    }

    fn encode(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>) -> bool {
        if input.is_empty() || room == 0 {
            return false;
        }
        let began = out.len();
        let mut run = Run::begin(out);
        let mut at = 0;
        while at + 2 < input.len() {
            let seen = self.previous(input, at).filter(|&from| input[from..from + 3] == input[at..at + 3]);
            let Some(reference) = seen else {
                if out.len() - began >= room {
                    return false;
                }
                run.push(input[at], out);
                at += 1;
                continue;
            };
            if out.len() - began - usize::from(run.0 == 0) + 4 >= room {
                return false;
            }
            run.end(out);
            let matched = match_length(&input[reference..], &input[at..]);
            back_reference(at - reference - 1, matched - 2, out);
            run = Run::begin(out);
            at += matched;
            if at + 2 >= input.len() {
                break;
            }
            // The last two positions of a match are remembered too, so that a repetition goes on.
            self.previous(input, at - 2);
            self.previous(input, at - 1);
        }
        if out.len() - began + 3 > room {
            return false;
        }
        for &byte in &input[at..] {
            run.push(byte, out);
        }
        run.end(out);
        true
    }

    /// Where the three bytes at `at` were last seen (perhaps others with the same hash), and remembers them here.
    fn previous(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let word = u32::from_be_bytes([0, input[at], input[at + 1], input[at + 2]]);
        let slot = (word >> 8).wrapping_sub(word.wrapping_mul(5)) as usize % SLOTS;
        if input.len() <= SHORT {
            return self.previous_of_few(slot, at);
        }
        let seen = self.slots[slot];
        self.slots[slot] = self.base + u32::try_from(at).expect("the input's length fits 32 bits");
        let seen = seen.checked_sub(self.base)? as usize;
        (0 < seen && seen < at && at - seen <= DISTANCE_MAX).then_some(seen)
    }

    /// The same for a short string: nothing in it is too far away.
    fn previous_of_few(&mut self, slot: usize, at: usize) -> Option<usize> {
        let small = |n: usize| u16::try_from(n).expect("slots and positions of short strings fit 16 bits");
        let (slot, at) = (small(slot), small(at));
        let seen = self.few.iter_mut().find(|(other, _)| *other == slot);
        let seen = match seen {
            Some((_, place)) => std::mem::replace(place, at),
            None => {
                self.few.push((slot, at));
                return None;
            }
        };
        (0 < seen && seen < at).then_some(usize::from(seen))
    }
}

/// How many bytes are the same in both, of which the first three are known to be. Up to 19 are compared whatever comes
/// behind; then all but the last two of what is left.
fn match_length(from: &[u8], at: &[u8]) -> usize {
    let longest = (at.len() - 2).min(MATCH_MAX);
    let mut len = 2;
    if longest > 16 {
        while len < 18 {
            len += 1;
            if from[len] != at[len] {
                return len;
            }
        }
    }
    loop {
        len += 1;
        if len >= longest || from[len] != at[len] {
            return len;
        }
    }
}

/// Literals that are being collected behind a byte that says how many they are.
struct Run(usize);

impl Run {
    fn begin(out: &mut Vec<u8>) -> Run {
        out.push(0);
        Run(0)
    }

    fn push(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.0 += 1;
        if self.0 == LITERALS_MAX {
            self.end(out);
            *self = Run::begin(out);
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        if self.0 == 0 {
            out.pop();
        } else {
            let header = out.len() - self.0 - 1;
            out[header] = u8::try_from(self.0 - 1).expect("a run is at most 32 bytes");
        }
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

    #[test]
    fn the_form_is_that_of_a_real_server() {
        let mut compressor = Compressor::default();
        let mut out = Vec::new();
        assert!(compressor.compress(&[b'a'; 102], 98, &mut out));
        assert_eq!(out, b"\x01aa\xe0Y\x00\x01aa");
    }

    proptest! {
        /// A short string gives what it gives with the table: there the bytes behind it are the same, and too few to matter.
        #[test]
        fn short_strings_as_with_the_table(input in proptest::collection::vec(0u8..3, 4..SHORT + 1)) {
            let mut with_table = Compressor { slots: vec![0; SLOTS], base: 1, few: Vec::new() };
            let mut seen = Vec::new();
            let mut few = Compressor::default();
            let mut seen_of_few = Vec::new();
            let long = [&input[..], &[9; SHORT + 1]].concat();
            for at in (0..input.len() - 2).chain([input.len() - 3, 0]) {
                seen.push(with_table.previous(&long, at));
                seen_of_few.push(few.previous(&input, at));
            }
            prop_assert_eq!(seen, seen_of_few);
        }

        /// What was compressed comes back, with one compressor for many strings.
        #[test]
        fn round_trip(inputs in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..3000), 1..8)) {
            let mut compressor = Compressor::default();
            for input in inputs {
                let mut out = Vec::new();
                let len_max = input.len() * 2 + 8;
                prop_assert_eq!(compressor.compress(&input, len_max, &mut out), !input.is_empty());
                if !input.is_empty() {
                    prop_assert_eq!(decompress(&out, input.len()), Some(Bytes::from(input)));
                }
            }
        }
    }
}
