//! Elements of list packs: texts and integers one after the other, each with its length behind it (`listpack.c`).

use crate::resp::{format_i64, parse_i64};

/// Bytes before the first element: the length in bytes, the number of elements.
pub const HEADER: usize = 6;
/// What ends a list pack.
pub const END: u8 = 0xff;
/// More elements than this are not counted in the header.
pub const COUNT_MAX: usize = u16::MAX as usize;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// A text that is no integer.
    Text(&'a [u8]),
    /// An integer, or a text that looks like one.
    Int(i64),
}

impl<'a> Element<'a> {
    /// As a text; an integer is written into the buffer.
    #[must_use]
    pub fn text<'b>(self, buffer: &'b mut [u8; 20]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Element::Text(text) => text,
            Element::Int(n) => format_i64(n, buffer),
        }
    }

    /// The integer, if it is one.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        match self {
            Element::Int(n) => Some(n),
            Element::Text(_) => None,
        }
    }
}

/// A list pack of these texts.
#[must_use]
pub fn pack<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut out, mut count) = (vec![0; HEADER], 0_usize);
    for text in texts {
        push_text(&mut out, text);
        count += 1;
    }
    out.push(END);
    let total = u32::try_from(out.len()).expect("small collections only are packed");
    out[..4].copy_from_slice(&total.to_le_bytes());
    out[4..HEADER].copy_from_slice(&u16::try_from(count.min(COUNT_MAX)).expect("limited").to_le_bytes());
    out
}

/// Appends a text, as an integer when it reads like one (`lpAppend`).
pub fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    if let Some(n) = (text.len() < 21).then(|| parse_i64(text)).flatten() {
        return push_int(out, n);
    }
    let start = out.len();
    let len = u32::try_from(text.len()).expect("small collections only are packed");
    let [_, _, high, low] = len.to_be_bytes();
    match len {
        0..64 => out.push(0x80 | low),
        64..4096 => out.extend([0xe0 | high, low]),
        _ => {
            out.push(0xf0);
            out.extend(len.to_le_bytes());
        }
    }
    out.extend_from_slice(text);
    push_length(out, start);
}

/// Appends an integer (`lpAppendInteger`).
pub fn push_int(out: &mut Vec<u8>, n: i64) {
    let start = out.len();
    let bytes = n.to_le_bytes();
    match n {
        0..=127 => out.push(bytes[0]),
        -4096..=4095 => out.extend([0xc0 | bytes[1] & 0x1f, bytes[0]]),
        -32_768..=32_767 => {
            out.push(0xf1);
            out.extend(&bytes[..2]);
        }
        -8_388_608..=8_388_607 => {
            out.push(0xf2);
            out.extend(&bytes[..3]);
        }
        -2_147_483_648..=2_147_483_647 => {
            out.push(0xf3);
            out.extend(&bytes[..4]);
        }
        _ => {
            out.push(0xf4);
            out.extend(bytes);
        }
    }
    push_length(out, start);
}

/// The length of what was appended since `start` again, to be read from behind: seven bits a byte, the highest first.
fn push_length(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    let bytes = length_bytes(len);
    for place in (0..bytes).rev() {
        let seven = u8::try_from(len >> (7 * place) & 0x7f).expect("seven bits");
        out.push(if place + 1 == bytes { seven } else { seven | 0x80 });
    }
}

/// How many bytes an element's length takes behind it.
fn length_bytes(len: usize) -> usize {
    1 + [127, 16_383, 2_097_151, 268_435_455].iter().take_while(|&&most| len > most).count()
}

/// How many bytes an integer takes as an element.
#[must_use]
pub fn int_len(n: i64) -> usize {
    1 + match n {
        0..=127 => 1,
        -4096..=4095 => 2,
        -32_768..=32_767 => 3,
        -8_388_608..=8_388_607 => 4,
        -2_147_483_648..=2_147_483_647 => 5,
        _ => 9,
    }
}

/// A little-endian integer of up to eight bytes, with its sign.
#[must_use]
pub fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(wide)
}

/// The element at a place, and the place behind it. `None` when there is none that is whole.
#[must_use]
pub fn read(data: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let first = *data.get(at)?;
    let low = usize::from(first);
    let take = |from: usize, len: usize| data.get(from..from.checked_add(len)?);
    let (element, end) = match first {
        0..=0x7f => (Element::Int(i64::from(first)), at + 1),
        0x80..=0xbf => (Element::Text(take(at + 1, low & 0x3f)?), at + 1 + (low & 0x3f)),
        0xc0..=0xdf => {
            let thirteen = (i64::from(first) & 0x1f) << 8 | i64::from(*data.get(at + 1)?);
            (Element::Int(if thirteen >= 1 << 12 { thirteen - (1 << 13) } else { thirteen }), at + 2)
        }
        0xe0..=0xef => {
            let len = (low & 0x0f) << 8 | usize::from(*data.get(at + 1)?);
            (Element::Text(take(at + 2, len)?), at + 2 + len)
        }
        0xf0 => {
            let len = usize::try_from(u32::from_le_bytes(take(at + 1, 4)?.try_into().ok()?)).ok()?;
            (Element::Text(take(at + 5, len)?), at + 5 + len)
        }
        0xf1..=0xf4 => {
            let len = if first == 0xf4 { 8 } else { low - 0xf1 + 2 };
            (Element::Int(signed(take(at + 1, len)?)), at + 1 + len)
        }
        0xf5..=0xff => return None,
    };
    let next = end + length_bytes(end - at);
    (next <= data.len()).then_some((element, next))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_appended_is_read(texts in prop::collection::vec(prop_oneof![
            any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..200),
            (4_090_usize..4_100).prop_map(|len| vec![b'x'; len]),
        ], 0..10)) {
            let mut data = Vec::new();
            texts.iter().for_each(|text| push_text(&mut data, text));
            let mut at = 0;
            for text in &texts {
                let (element, next) = read(&data, at).expect("an element");
                let mut buffer = [0; 20];
                prop_assert_eq!(element.text(&mut buffer), &text[..]);
                if let Element::Int(n) = element {
                    prop_assert_eq!(int_len(n), next - at);
                }
                at = next;
            }
            prop_assert_eq!(at, data.len());
        }

        #[test]
        fn nonsense_is_no_panic(data in prop::collection::vec(any::<u8>(), 0..40), at in 0_usize..50) {
            let _ = read(&data, at);
        }
    }
}
