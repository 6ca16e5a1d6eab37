//! Writing RESP into a buffer.

use bytes::BytesMut;

/// Bytes of a header with this number: the type, the digits, the line end.
fn header_len(n: usize) -> usize {
    match n {
        0..10 => 4,
        10..100 => 5,
        100..1_000 => 6,
        _ => 22,
    }
}

/// Bytes of a bulk string, or a few more: whoever has them in reserve grows once.
fn bulk_len(data: &[u8]) -> usize {
    header_len(data.len()) + data.len() + 2
}

/// Appends a decimal number and CRLF.
fn number_line(out: &mut BytesMut, prefix: u8, number: i64) {
    let mut digits = [0u8; 24];
    let end = digits.len() - 2;
    digits[end..].copy_from_slice(b"\r\n");
    let mut at = super::write_digits(&mut digits, end, number.unsigned_abs());
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    at -= 1;
    digits[at] = prefix;
    out.extend_from_slice(&digits[at..]);
}

/// A length as a signed number; lengths in memory always fit.
fn length(len: usize) -> i64 {
    i64::try_from(len).expect("no buffer is longer than i64::MAX")
}

/// `:<n>`
pub fn integer(out: &mut BytesMut, n: i64) {
    number_line(out, b':', n);
}

/// `*<n>`
pub fn array_header(out: &mut BytesMut, n: usize) {
    number_line(out, b'*', length(n));
}

/// An aggregate's header with any type byte: `%` map, `~` set, `>` push, `|` attribute, `*` array.
pub fn header(out: &mut BytesMut, kind: u8, n: usize) {
    number_line(out, kind, length(n));
}

/// `$<len>` and the bytes
pub fn bulk(out: &mut BytesMut, data: &[u8]) {
    out.reserve(bulk_len(data));
    number_line(out, b'$', length(data.len()));
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// `+<text>`; the text must not contain line ends.
pub fn simple(out: &mut BytesMut, text: &[u8]) {
    out.extend_from_slice(b"+");
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// `-<text>`; line ends become blanks, as `afterErrorReply`'s callers do. Bytes that [`super::lossless`] made text of are
/// written as they were.
pub fn error(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(b"-");
    if text.bytes().any(|byte| byte == b'\r' || byte == b'\n') {
        super::text::write(out, &text.replace(['\r', '\n'], " "));
    } else {
        super::text::write(out, text);
    }
    out.extend_from_slice(b"\r\n");
}

/// A request as clients, replicas and sentinels send it: an array of bulk strings.
pub fn command(out: &mut BytesMut, parts: &[&[u8]]) {
    out.reserve(header_len(parts.len()) + parts.iter().map(|part| bulk_len(part)).sum::<usize>());
    array_header(out, parts.len());
    for part in parts {
        bulk(out, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_the_edges() {
        let mut out = BytesMut::new();
        integer(&mut out, i64::MIN);
        integer(&mut out, i64::MAX);
        integer(&mut out, 0);
        assert_eq!(&out[..], b":-9223372036854775808\r\n:9223372036854775807\r\n:0\r\n");
    }
}
