//! The Redis wire protocol, RESP2 and RESP3: bytes to values and back. No state beyond a buffer.

mod command;
pub mod encode;
mod reply;
mod split;
mod text;

pub use command::{Args, CommandReader, Limits, Part, Partial, ProtocolError, short_request, short_set};
pub use reply::{ReplyReader, Value};
pub use split::{quote, split_args};
pub use text::{bytes_of, lossless};

/// Reads a decimal integer exactly as Redis's `string2ll`: no sign but a leading minus, no leading zeros, no blanks.
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Decimal digits of `n` in a buffer.
pub fn format_i64(n: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = write_digits(buffer, 20, n.unsigned_abs());
    if n < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

/// Writes a number's digits so that they end before `end`, and says where they begin.
#[inline]
pub(crate) fn write_digits(place: &mut [u8], end: usize, n: u64) -> usize {
    let (mut at, mut rest) = (end, n);
    loop {
        at -= 1;
        place[at] = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_i64;

    #[test]
    fn integers_are_string2ll() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("", None),
            ("-", None),
            ("1a", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), value, "{text}");
        }
    }
}
