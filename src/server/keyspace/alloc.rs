//! What a real server's allocator sets aside for what is stored: size classes, strings with their headers, list packs.
//! Collections keep sums of these as they change, so that the memory of a database is known at any time.

use crate::resp::parse_i64;

/// The header of every value (`robj`).
pub const OBJECT: usize = 16;
/// An entry of a hash table, as it is asked for; its class is [`ENTRY_CLASS`].
pub const ENTRY: usize = 24;
/// What an entry of a hash table takes.
pub const ENTRY_CLASS: usize = 32;
/// The head of a hash table, as it is asked for.
pub const TABLE: usize = 56;
/// What it takes.
pub const TABLE_CLASS: usize = 64;
/// The first and the last bytes of a list pack.
pub const PACK: usize = 7;
/// The quicklist of a list, as it is asked for; it takes 48 bytes.
pub const QUICKLIST: usize = 40;
/// One of its nodes, as it is asked for; it takes 48 bytes.
pub const QUICKNODE: usize = 40;
/// Head, tail and towers of a skip list: the set, the list, and the first node with all its levels.
pub const SKIPLIST: usize = 16 + 32 + 640;
/// A node of a skip list: 48 bytes with one level, 16 more for each further one, which a quarter has.
pub const SKIPNODE_THIRDS: usize = 160;

/// What the allocator sets aside for so many bytes: the classes of jemalloc.
#[inline]
#[must_use]
pub const fn allocated(bytes: usize) -> usize {
    if bytes <= 8 {
        return 8;
    }
    if bytes <= 128 {
        return (bytes + 15) & !15;
    }
    // Four classes between one power of two and the next.
    let class = 1 << (usize::BITS - (bytes - 1).leading_zeros() - 3);
    (bytes + class - 1) & !(class - 1)
}

/// A string with its header and the zero at its end (`sdsnewlen`).
#[inline]
#[must_use]
pub const fn string(len: usize) -> usize {
    allocated(if len < 32 {
        len + 2
    } else if len < 1 << 8 {
        len + 4
    } else if len < 1 << 16 {
        len + 6
    } else {
        len + 10
    })
}

/// A string beside the header of its value, up to 44 bytes.
#[inline]
#[must_use]
pub const fn embedded(len: usize) -> usize {
    allocated(OBJECT + len + 4)
}

/// Bytes of an entry of a list pack, with the length at its end.
#[must_use]
pub fn packed(text: &[u8]) -> usize {
    if text.len() <= 20
        && let Some(n) = parse_i64(text)
    {
        return packed_int(n);
    }
    let len = text.len();
    let size = len
        + if len < 64 {
            1
        } else if len < 4_096 {
            2
        } else {
            5
        };
    size + back_length(size)
}

/// The same for an integer.
#[must_use]
pub fn packed_int(n: i64) -> usize {
    let size = match n {
        0..=127 => 1,
        -4_096..=4_095 => 2,
        -0x8000..=0x7fff => 3,
        -0x80_0000..=0x7f_ffff => 4,
        -0x8000_0000..=0x7fff_ffff => 5,
        _ => 9,
    };
    size + 1
}

/// The same for a score, which is kept as its text.
#[must_use]
pub fn packed_score(score: f64) -> usize {
    if score.is_finite() && libm::floor(score) == score && score.abs() < 1e15 {
        #[allow(clippy::cast_possible_truncation, reason = "it is a small whole number")]
        return packed_int(score as i64);
    }
    packed(super::double::print(score).as_bytes())
}

const fn back_length(size: usize) -> usize {
    if size < 128 {
        1
    } else if size < 16_383 {
        2
    } else if size < 2_097_151 {
        3
    } else {
        4
    }
}

/// The array of so many buckets.
#[must_use]
pub const fn buckets(count: usize) -> usize {
    if count == 0 { 0 } else { allocated(count * 8) }
}

/// A fixed part and the average of some elements times their number, as MEMORY USAGE adds them up.
#[must_use]
pub fn estimate(fixed: usize, sum: usize, samples: usize, len: usize) -> usize {
    if samples == 0 {
        return fixed;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are positive")]
    let estimate = (fixed as f64 + sum as f64 / samples as f64 * len as f64) as usize;
    estimate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_the_allocator() {
        for (bytes, class) in [
            (0, 8),
            (6, 8),
            (9, 16),
            (25, 32),
            (37, 48),
            (60, 64),
            (104, 112),
            (128, 128),
            (129, 160),
            (256, 256),
            (257, 320),
            (1_025, 1_280),
            (8_192, 8_192),
            (16_389, 20_480),
        ] {
            assert_eq!(allocated(bytes), class, "{bytes}");
        }
    }

    #[test]
    fn entries_of_list_packs() {
        for (text, size) in [
            ("", 2),
            ("a", 3),
            ("127", 2),
            ("128", 3),
            ("-1", 3),
            ("5000", 4),
            ("40000", 5),
            ("10000000", 6),
            ("01", 4),
        ] {
            assert_eq!(packed(text.as_bytes()), size, "{text}");
        }
        assert_eq!(packed(&[b'x'; 64]), 67);
        assert_eq!(packed(&[b'x'; 200]), 204);
        assert_eq!((packed_score(3.0), packed_score(1.5)), (2, 5));
    }
}
