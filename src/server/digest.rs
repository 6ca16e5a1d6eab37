//! DEBUG DIGEST: a fingerprint of the dataset that equal data has on every server (`computeDatasetDigest`).

use super::keyspace::stream::Id;
use super::keyspace::value::Type;
use super::keyspace::{Entry, Keyspace, Value, double};

/// Twenty bytes of SHA-1, or several of them mixed.
pub(crate) type Sum = [u8; 20];

/// The fingerprint of all databases.
#[must_use]
pub(crate) fn dataset(keyspace: &Keyspace) -> Sum {
    let mut total = Sum::default();
    for (number, db) in keyspace.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        let number = u32::try_from(number).expect("the number of databases is a setting");
        mix(&mut total, &number.to_be_bytes());
        for (entry, _) in db.iter() {
            let mut own = Sum::default();
            mix(&mut own, entry.key.as_slice());
            value(&mut own, entry);
            xor(&mut total, &own);
        }
    }
    total
}

/// Adds an entry's type, value and whether it expires (`xorObjectDigest`).
pub(crate) fn value(sum: &mut Sum, entry: &Entry) {
    let kind: u32 = match entry.value.kind() {
        Type::String => 0,
        Type::List => 1,
        Type::Set => 2,
        Type::ZSet => 3,
        Type::Hash => 4,
        Type::Stream => 6,
    };
    mix(sum, &kind.to_be_bytes());
    // Members of what has no order are added in any order.
    let pair = |sum: &mut Sum, first: &[u8], second: &[u8]| {
        let mut own = Sum::default();
        mix(&mut own, first);
        mix(&mut own, second);
        xor(sum, &own);
    };
    match &entry.value {
        Value::Int(_) | Value::Str(_) | Value::Raw(_) => entry.value.with_text(|text| mix(sum, text)),
        Value::List(list) => list.iter().for_each(|item| mix(sum, item.as_slice())),
        Value::Set(set) => set.iter().for_each(|member| xor(sum, member.as_slice())),
        Value::ZSet(zset) => {
            for (score, member) in zset.iter() {
                pair(sum, member.as_slice(), double::print(score).as_bytes());
            }
        }
        Value::Hash(hash) => {
            for item in hash.iter() {
                pair(sum, item.field.as_slice(), item.value.as_slice());
            }
        }
        Value::Stream(stream) => stream.visit(Id::ZERO, Id::MAX, false, |next| {
            mix(sum, format!("{}.{}", next.id.ms, next.id.seq).as_bytes());
            next.pairs(|field, value| {
                mix(sum, field);
                mix(sum, value);
            });
            true
        }),
    }
    if entry.expires() {
        xor(sum, b"!!expire!!");
    }
}

/// As hexadecimal digits.
#[must_use]
pub(crate) fn hex(sum: &Sum) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `xorDigest`: the order of what is added doesn't matter.
fn xor(sum: &mut Sum, data: &[u8]) {
    for (byte, other) in sum.iter_mut().zip(sha1(data)) {
        *byte ^= other;
    }
}

/// `mixDigest`: the order matters.
fn mix(sum: &mut Sum, data: &[u8]) {
    xor(sum, data);
    *sum = sha1(sum);
}

/// FIPS 180-4.
fn sha1(data: &[u8]) -> Sum {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize((data.len() + 9).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(data.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        round(&mut state, block);
    }
    let mut sum = Sum::default();
    for (bytes, word) in sum.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    sum
}

fn round(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().expect("chunks of four"));
    }
    for t in 16..80 {
        words[t] = (words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (t, word) in words.iter().enumerate() {
        let (f, k) = match t {
            0..20 => (b & c | !b & d, 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6u32),
        };
        let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d, e]) {
        *word = word.wrapping_add(add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_the_standard() {
        for (text, sum) in [
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        ] {
            assert_eq!(hex(&sha1(text.as_bytes())), sum, "{text}");
        }
    }
}
