//! Bytes as text that loses none of them. Errors quote what clients send, which need not be UTF-8, and are put together as
//! text all the same: a byte that is no part of a character stands there as a character of its own, from the end of the
//! last plane for private use, and becomes a byte again when the error is written.

use std::borrow::Cow;

use bytes::BytesMut;

/// The character that stands for the byte 0; those for the others follow.
const FIRST: u32 = 0x0010_ff00;

fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).expect("a character of the last plane")
}

/// Bytes as text.
#[must_use]
pub fn lossless(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        // All stand-ins begin with this byte.
        Ok(text) if memchr::memchr(0xf4, bytes).is_none() => return text.to_owned(),
        _ => {}
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if u32::from(c) < FIRST {
                text.push(c);
            } else {
                text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(stand_in));
            }
        }
        text.extend(chunk.invalid().iter().map(|&byte| stand_in(byte)));
    }
    text
}

/// The bytes that a text stands for.
#[must_use]
pub fn bytes_of(text: &str) -> Cow<'_, [u8]> {
    if memchr::memchr(0xf4, text.as_bytes()).is_none() {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = BytesMut::with_capacity(text.len());
    write(&mut out, text);
    Cow::Owned(out.to_vec())
}

/// Writes the bytes that a text stands for.
pub(super) fn write(out: &mut BytesMut, text: &str) {
    if memchr::memchr(0xf4, text.as_bytes()).is_none() {
        return out.extend_from_slice(text.as_bytes());
    }
    for c in text.chars() {
        match u32::from(c).checked_sub(FIRST).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => out.extend_from_slice(&[byte]),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(bytes: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out, &lossless(bytes));
        out.to_vec()
    }

    #[test]
    fn stand_ins_stand_for_nothing_else() {
        assert_eq!(lossless("plain, \u{e9}, \u{1f600}".as_bytes()), "plain, \u{e9}, \u{1f600}");
        for text in ["\u{10ff00}", "\u{10ffff}a", "\u{10feff}", "\u{100000}"] {
            assert_eq!(there_and_back(text.as_bytes()), text.as_bytes());
        }
        assert_eq!(there_and_back(b"\xff\xf4\x8f a\xc3"), b"\xff\xf4\x8f a\xc3");
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(&there_and_back(&bytes), &bytes);
            let text = lossless(&bytes);
            prop_assert_eq!(&*bytes_of(&text), &bytes);
        }
    }
}
