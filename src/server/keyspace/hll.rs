//! HyperLogLog: the bytes of the string that estimates how many different elements were added (`hyperloglog.c`).
//!
//! A header of 16 bytes, then 16,384 registers of 6 bits: all of them (dense), or runs of equal ones (sparse) as long as
//! these are few.

use bytes::BytesMut;

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
/// Registers of one string.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash whose leading zeroes are counted.
const COUNTED_BITS: u32 = 64 - INDEX_BITS;
const HEADER: usize = 16;
const DENSE_LEN: usize = HEADER + REGISTERS * 6 / 8;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Greatest register of the sparse form.
const VALUE_MAX: u8 = 32;
/// Longest run of equal registers that aren't zero.
const VALUE_RUN: usize = 4;
/// Longest run of zeroes in one byte.
const ZERO_RUN: usize = 64;
const SEED: u64 = 0xadc8_3b19;

/// The sparse form makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// MurmurHash2 in 64 bits, as Redis has it.
#[must_use]
pub fn murmur64(text: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = seed ^ (text.len() as u64).wrapping_mul(M);
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ k >> 47).wrapping_mul(M);
        hash = (hash ^ k).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail: u64, &byte| tail << 8 | u64::from(byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

/// The register of an element and the length of the run `00…1` in its hash.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur64(element, SEED);
    let index = usize::try_from(hash & (REGISTERS as u64 - 1)).expect("fourteen bits");
    let rest = hash >> INDEX_BITS | 1 << COUNTED_BITS;
    (index, u8::try_from(rest.trailing_zeros() + 1).expect("at most 51"))
}

/// An empty one: sparse.
#[must_use]
pub fn empty() -> BytesMut {
    let mut text = BytesMut::zeroed(HEADER);
    text[..4].copy_from_slice(b"HYLL");
    text[4] = SPARSE;
    Run::zeroes(REGISTERS).write(&mut text);
    text
}

/// True when a string may be one: its head and its length are right.
#[must_use]
pub fn is_valid(text: &[u8]) -> bool {
    text.len() >= HEADER
        && text.starts_with(b"HYLL")
        && text[4] <= SPARSE
        && (!is_dense(text) || text.len() == DENSE_LEN)
}

/// True for the form with all registers.
#[must_use]
pub fn is_dense(text: &[u8]) -> bool {
    text[4] == DENSE
}

/// The estimate that was kept, if it still holds.
#[must_use]
pub fn cached(text: &[u8]) -> Option<u64> {
    let bytes: [u8; 8] = text[8..HEADER].try_into().expect("eight bytes");
    (bytes[7] & 0x80 == 0).then(|| u64::from_le_bytes(bytes))
}

/// Keeps an estimate.
pub fn cache(text: &mut [u8], count: u64) {
    text[8..HEADER].copy_from_slice(&count.to_le_bytes());
}

/// The estimate that was kept holds no longer.
pub fn invalidate(text: &mut [u8]) {
    text[HEADER - 1] |= 0x80;
}

fn register(text: &[u8], index: usize) -> u8 {
    let (at, shift) = (HEADER + index * 6 / 8, index * 6 % 8);
    let low = u16::from(text[at]);
    let high = u16::from(text.get(at + 1).copied().unwrap_or(0));
    ((low | high << 8) >> shift & 63).to_le_bytes()[0]
}

fn set_register(text: &mut [u8], index: usize, value: u8) {
    let (at, shift) = (HEADER + index * 6 / 8, index * 6 % 8);
    let [low_mask, high_mask] = (63_u16 << shift).to_le_bytes();
    let [low, high] = (u16::from(value) << shift).to_le_bytes();
    text[at] = text[at] & !low_mask | low;
    if high_mask != 0 {
        text[at + 1] = text[at + 1] & !high_mask | high;
    }
}

/// Raises a register of the dense form; false when it was as high already.
fn raise_dense(text: &mut [u8], index: usize, value: u8) -> bool {
    let raised = value > register(text, index);
    if raised {
        set_register(text, index, value);
    }
    raised
}

/// A run of equal registers in the sparse form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Their value.
    pub value: u8,
    /// How many.
    pub len: usize,
    /// A run of zeroes in two bytes.
    pub wide: bool,
}

impl Run {
    fn zeroes(len: usize) -> Run {
        Run { value: 0, len, wide: len > ZERO_RUN }
    }

    fn value(value: u8, len: usize) -> Run {
        Run { value, len, wide: false }
    }

    /// The run at a place.
    fn read(text: &[u8], at: usize) -> Run {
        let byte = text[at];
        if byte & 0x80 != 0 {
            return Run::value((byte >> 2 & 0x1f) + 1, usize::from(byte & 3) + 1);
        }
        let len = usize::from(byte & 0x3f);
        if byte & 0x40 != 0 {
            let low = usize::from(text.get(at + 1).copied().unwrap_or(0));
            Run { value: 0, len: (len << 8 | low) + 1, wide: true }
        } else {
            Run { value: 0, len: len + 1, wide: false }
        }
    }

    /// Bytes that it takes.
    fn size(self) -> usize {
        1 + usize::from(self.wide)
    }

    fn write(self, out: &mut BytesMut) {
        let len = u16::try_from(self.len - 1).expect("at most 16,384");
        let [high, low] = len.to_be_bytes();
        if self.value > 0 {
            out.extend_from_slice(&[(self.value - 1) << 2 | low | 0x80]);
        } else if self.wide {
            out.extend_from_slice(&[high | 0x40, low]);
        } else {
            out.extend_from_slice(&[low]);
        }
    }
}

/// The runs of the sparse form.
pub fn runs(text: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let run = (at < text.len()).then(|| Run::read(text, at))?;
        at += run.size();
        Some(run)
    })
}

/// Makes it dense.
///
/// # Errors
/// When the sparse form doesn't have every register once.
pub fn make_dense(text: &mut BytesMut) -> Result<(), Corrupt> {
    if is_dense(text) {
        return Ok(());
    }
    let mut dense = BytesMut::zeroed(DENSE_LEN);
    dense[..HEADER].copy_from_slice(&text[..HEADER]);
    dense[4] = DENSE;
    let mut index = 0;
    for run in runs(text) {
        if index + run.len > REGISTERS {
            return Err(Corrupt);
        }
        if run.value > 0 {
            (index..index + run.len).for_each(|at| set_register(&mut dense, at, run.value));
        }
        index += run.len;
    }
    if index != REGISTERS {
        return Err(Corrupt);
    }
    *text = dense;
    Ok(())
}

/// Adds an element; true when a register changed.
///
/// # Errors
/// When the sparse form is corrupt.
pub fn add(text: &mut BytesMut, element: &[u8], sparse_max: u64) -> Result<bool, Corrupt> {
    let (index, value) = place(element);
    raise(text, index, value, sparse_max)
}

/// Raises one register; true when it was lower. The sparse form becomes dense when it would have more than `sparse_max`
/// bytes.
///
/// # Errors
/// When the sparse form is corrupt.
pub fn raise(text: &mut BytesMut, index: usize, value: u8, sparse_max: u64) -> Result<bool, Corrupt> {
    if is_dense(text) {
        return Ok(raise_dense(text, index, value));
    }
    if value > VALUE_MAX {
        return promote(text, index, value);
    }
    // The run with the register, its first one, and the run before.
    let (mut at, mut first, mut before) = (HEADER, 0, None);
    let run = loop {
        if at >= text.len() {
            return Err(Corrupt);
        }
        let run = Run::read(text, at);
        if index < first + run.len {
            break run;
        }
        before = Some(at);
        (at, first) = (at + run.size(), first + run.len);
    };
    if run.value >= value {
        return Ok(false);
    }
    if run.len == 1 && !run.wide {
        let mut byte = BytesMut::new();
        Run::value(value, 1).write(&mut byte);
        text[at] = byte[0];
    } else {
        let part = |len| if run.value > 0 { Run::value(run.value, len) } else { Run::zeroes(len) };
        let mut split = BytesMut::with_capacity(5);
        if index > first {
            part(index - first).write(&mut split);
        }
        Run::value(value, 1).write(&mut split);
        let last = first + run.len - 1;
        if index < last {
            part(last - index).write(&mut split);
        }
        let (old, new) = (run.size(), split.len());
        if new > old && (text.len() + new - old) as u64 > sparse_max {
            return promote(text, index, value);
        }
        splice(text, at, old, &split);
    }
    merge_neighbours(text, before.unwrap_or(HEADER));
    invalidate(text);
    Ok(true)
}

fn promote(text: &mut BytesMut, index: usize, value: u8) -> Result<bool, Corrupt> {
    make_dense(text)?;
    raise_dense(text, index, value);
    Ok(true)
}

/// Puts other bytes in place of `old` ones.
fn splice(text: &mut BytesMut, at: usize, old: usize, new: &[u8]) {
    let len = text.len();
    if new.len() > old {
        text.resize(len + new.len() - old, 0);
    }
    text.copy_within(at + old..len, at + new.len());
    text[at..at + new.len()].copy_from_slice(new);
    text.truncate(len + new.len() - old);
}

/// Joins neighbouring runs of one value, within five runs from a place.
fn merge_neighbours(text: &mut BytesMut, mut at: usize) {
    for _ in 0..5 {
        if at >= text.len() {
            return;
        }
        let run = Run::read(text, at);
        if run.value > 0 && at + 1 < text.len() {
            let next = Run::read(text, at + 1);
            if next.value == run.value && run.len + next.len <= VALUE_RUN {
                let mut byte = BytesMut::new();
                Run::value(run.value, run.len + next.len).write(&mut byte);
                splice(text, at, 2, &byte);
                continue;
            }
        }
        at += run.size();
    }
}

/// Raises each of `max` to the register of `text`.
///
/// # Errors
/// When the sparse form is corrupt.
pub fn merge(max: &mut [u8; REGISTERS], text: &[u8]) -> Result<(), Corrupt> {
    if is_dense(text) {
        for (index, own) in max.iter_mut().enumerate() {
            *own = (*own).max(register(text, index));
        }
        return Ok(());
    }
    let mut index = 0;
    for run in runs(text) {
        if index + run.len > REGISTERS {
            return Err(Corrupt);
        }
        if run.value > 0 {
            max[index..index + run.len].iter_mut().for_each(|own| *own = (*own).max(run.value));
        }
        index += run.len;
    }
    if index == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

/// All registers of the dense form.
pub fn registers(text: &[u8]) -> impl Iterator<Item = u8> {
    (0..REGISTERS).map(|index| register(text, index))
}

/// How many different elements were added, about.
///
/// # Errors
/// When the sparse form is corrupt.
pub fn count(text: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = [0_u32; 64];
    if is_dense(text) {
        registers(text).for_each(|value| histogram[usize::from(value)] += 1);
        return Ok(estimate(&histogram));
    }
    let mut total = 0;
    for run in runs(text) {
        histogram[usize::from(run.value)] += u32::try_from(run.len).expect("at most 16,384");
        total += run.len;
    }
    if total == REGISTERS { Ok(estimate(&histogram)) } else { Err(Corrupt) }
}

/// The estimate from registers that lie one in a byte.
#[must_use]
pub fn count_registers(max: &[u8; REGISTERS]) -> u64 {
    let mut histogram = [0_u32; 64];
    max.iter().for_each(|&value| histogram[usize::from(value)] += 1);
    estimate(&histogram)
}

/// Otmar Ertl's estimate from how many registers have each value (arXiv:1702.01284).
fn estimate(histogram: &[u32; 64]) -> u64 {
    const HALF_OVER_LN_2: f64 = 0.721_347_520_444_481_7;
    const M: f64 = REGISTERS as f64;
    let mut z = M * tau((M - f64::from(histogram[COUNTED_BITS as usize + 1])) / M);
    for &count in histogram[1..=COUNTED_BITS as usize].iter().rev() {
        z += f64::from(count);
        z *= 0.5;
    }
    z += M * sigma(f64::from(histogram[0]) / M);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate is a count")]
    let count = libm::round(HALF_OVER_LN_2 * M * M / z) as u64;
    count
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = libm::sqrt(x);
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_agree() {
        let (mut sparse, mut dense) = (empty(), empty());
        make_dense(&mut dense).expect("well-formed");
        for n in 0_u64..3_000 {
            let element = n.to_le_bytes();
            let changed = add(&mut sparse, &element, 12_000).expect("well-formed");
            assert_eq!(add(&mut dense, &element, 0), Ok(changed), "{n}");
            assert_eq!(count(&sparse), count(&dense), "{n}");
        }
        assert!(!is_dense(&sparse) && is_dense(&dense));
        let estimate = count(&dense).expect("well-formed");
        assert!((2_900..3_100).contains(&estimate), "{estimate}");
        make_dense(&mut sparse).expect("well-formed");
        assert!(registers(&sparse).eq(registers(&dense)));
    }

    #[test]
    fn a_short_sparse_form_is_corrupt() {
        let mut text = empty();
        text.truncate(HEADER);
        assert_eq!(add(&mut text, b"a", 3_000), Err(Corrupt));
        assert_eq!(count(&text), Err(Corrupt));
        assert_eq!(make_dense(&mut text), Err(Corrupt));
    }
}
