//! The hash by which a table finds a key. A real server's is keyed with a random seed; this one is the same everywhere.

use crate::trace::digest::fold;

/// A product that keeps what its factors say, also where one of them is zero.
#[inline(always)]
fn blend(a: u64, b: u64) -> u64 {
    fold(a, b) ^ a ^ b
}

/// Hash of a key: the same for every run and platform. Every bit of a key counts for every bit of it, so that chains are
/// as long as chance has it, also where keys differ in a few digits only.
#[inline]
#[must_use]
pub fn hash_key(key: &[u8]) -> u64 {
    const MULS: [u64; 3] = [0x9fb2_1c65_1e98_df25, 0x2545_f491_4f6c_dd1d, 0x9e37_79b9_7f4a_7c15];
    let (mut state, mut rest) = (MULS[0], key);
    while let (Some((pair, behind)), true) = (rest.split_first_chunk::<16>(), rest.len() > 16) {
        let (words, _) = pair.as_chunks::<8>();
        let both = blend(state ^ u64::from_le_bytes(words[0]), MULS[1] ^ u64::from_le_bytes(words[1]));
        // The last words may be these again, which must not take them out.
        state = MULS[0] ^ both.wrapping_mul(MULS[2]);
        rest = behind;
    }
    // What both words have in common doesn't matter: the length is known.
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>(), key.last_chunk::<16>()) {
        (Some(first), Some(last), None) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        (_, Some(last), Some(&[a, b, c, d, e, f, g, h, ..])) => {
            (u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(*last))
        }
        _ => (key.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
    };
    fold(blend(state ^ first, MULS[1] ^ last) ^ key.len() as u64, MULS[2])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Whatever keys look like, no more buckets stay empty than chance has it, within 4 standard deviations.
    #[test]
    fn keys_are_spread_evenly() {
        let (zero, other) = (0x9fb2_1c65_1e98_df25u64.to_le_bytes(), 0x2545_f491_4f6c_dd1du64.to_le_bytes());
        // The last four make one of the factors of a product zero, in a short key and in a longer one.
        let families: [&dyn Fn(u32) -> Vec<u8>; 12] = [
            &|n| format!("key:{n:08}").into_bytes(),
            &|n| format!("key:{n}").into_bytes(),
            &|n| n.to_string().into_bytes(),
            &|n| n.to_le_bytes().to_vec(),
            &|n| u64::from(n).to_be_bytes().to_vec(),
            &|n| format!("user:{n}:a-name-that-is-longer").into_bytes(),
            &|n| format!("a prefix that is longer than that:{n}").into_bytes(),
            &|n| vec![b'x'; n as usize],
            &|n| [zero, u64::from(n).to_le_bytes()].concat(),
            &|n| [u64::from(n).to_le_bytes(), other].concat(),
            &|n| [zero, u64::from(n).to_le_bytes(), [b'x'; 8]].concat(),
            &|n| [u64::from(n).to_le_bytes(), other, [b'x'; 8]].concat(),
        ];
        for (number, family) in families.iter().enumerate() {
            for bits in [8, 10, 12] {
                let count = 1 << bits;
                let hashes: Vec<u64> = (0..count).map(|n| hash_key(&family(n))).collect();
                assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), hashes.len(), "all differ");
                for shift in [0, 20, 32 - bits] {
                    let seen: BTreeSet<u64> = hashes.iter().map(|hash| hash >> shift & u64::from(count - 1)).collect();
                    let (empty, of) = (f64::from(count) - seen.len() as f64, f64::from(count));
                    // Balls in bins: a share of 1/e is empty, with a variance of (1/e - 2/e²) for each.
                    let share = (-1.0f64).exp();
                    let deviation = (of * (share - 2.0 * share * share)).sqrt();
                    assert!(empty < of * share + 4.0 * deviation, "{number}: {empty} of {of} from bit {shift}");
                }
            }
        }
    }
}
