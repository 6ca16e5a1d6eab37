//! The packed forms of small collections inside RDB files: list packs, integer sets, and the older zip lists.
//!
//! ```text
//! listpack: bytes u32 | elements u16 | element … | 0xff     element: encoding, data, length backwards
//! intset:   width u32 | elements u32 | integer …
//! ziplist:  bytes u32 | tail u32 | elements u16 | element … | 0xff
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::server::keyspace::listpack::{COUNT_MAX, signed};

fn decimal(n: i64) -> Bytes {
    Bytes::from(n.to_string())
}

/// Bytes that are read one after the other; `None` beyond the end.
struct Cursor<'a> {
    data: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, count: usize) -> Option<Bytes> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.data.len())?;
        let bytes = self.data.slice(self.at..end);
        self.at = end;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<usize> {
        let bytes: [u8; 4] = self.take(4)?[..].try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    fn integer(&mut self, bytes: usize) -> Option<Bytes> {
        self.take(bytes).map(|bytes| decimal(signed(&bytes)))
    }
}

/// The texts of a list pack; `None` when it is broken.
pub(super) fn from_listpack(data: &Bytes) -> Option<Vec<Bytes>> {
    let mut cursor = Cursor { data, at: 0 };
    if cursor.u32()? != data.len() {
        return None;
    }
    let count = usize::from(u16::from_le_bytes(cursor.take(2)?[..].try_into().ok()?));
    let mut texts = Vec::new();
    loop {
        let start = cursor.at;
        let first = cursor.byte()?;
        let low = usize::from(first);
        let text = match first {
            0xff => break,
            0..=0x7f => decimal(i64::from(first)),
            0x80..=0xbf => cursor.take(low & 0x3f)?,
            0xc0..=0xdf => {
                let thirteen = (i64::from(first) & 0x1f) << 8 | i64::from(cursor.byte()?);
                decimal(if thirteen >= 1 << 12 { thirteen - (1 << 13) } else { thirteen })
            }
            0xe0..=0xef => {
                let len = (low & 0x0f) << 8 | usize::from(cursor.byte()?);
                cursor.take(len)?
            }
            0xf0 => {
                let len = cursor.u32()?;
                cursor.take(len)?
            }
            0xf1..=0xf3 => cursor.integer(low - 0xf1 + 2)?,
            0xf4 => cursor.integer(8)?,
            0xf5..=0xfe => return None,
        };
        let len = cursor.at - start;
        let back = 1 + [127, 16_383, 2_097_151, 268_435_455].iter().take_while(|&&most| len > most).count();
        cursor.take(back)?;
        texts.push(text);
    }
    (cursor.at == data.len() && (count == COUNT_MAX || count == texts.len())).then_some(texts)
}

/// The texts of a zip list, as Redis wrote them before 7.0; `None` when it is broken.
pub(super) fn from_ziplist(data: &Bytes) -> Option<Vec<Bytes>> {
    let mut cursor = Cursor { data, at: 0 };
    if cursor.u32()? != data.len() {
        return None;
    }
    cursor.take(6)?;
    let mut texts = Vec::new();
    while data.get(cursor.at)? != &0xff {
        // The length of the element before.
        if cursor.byte()? == 0xfe {
            cursor.take(4)?;
        }
        let first = cursor.byte()?;
        let low = usize::from(first & 0x3f);
        texts.push(match first {
            0..=0x3f => cursor.take(low)?,
            0x40..=0x7f => {
                let len = low << 8 | usize::from(cursor.byte()?);
                cursor.take(len)?
            }
            0x80 => {
                let bytes: [u8; 4] = cursor.take(4)?[..].try_into().ok()?;
                cursor.take(usize::try_from(u32::from_be_bytes(bytes)).ok()?)?
            }
            0xc0 => cursor.integer(2)?,
            0xd0 => cursor.integer(4)?,
            0xe0 => cursor.integer(8)?,
            0xf0 => cursor.integer(3)?,
            0xfe => cursor.integer(1)?,
            0xf1..=0xfd => decimal(i64::from(first & 0x0f) - 1),
            _ => return None,
        });
    }
    (cursor.at + 1 == data.len()).then_some(texts)
}

/// The texts of a zip map, as Redis wrote small hashes before 2.6; `None` when it is broken.
pub(super) fn from_zipmap(data: &Bytes) -> Option<Vec<Bytes>> {
    let mut cursor = Cursor { data, at: 0 };
    let count = usize::from(cursor.byte()?);
    let mut texts = Vec::new();
    loop {
        let len = match cursor.byte()? {
            0xff => break,
            0xfe => cursor.u32()?,
            len => usize::from(len),
        };
        // Room behind a value that has become shorter.
        let free = if texts.len() % 2 == 1 { usize::from(cursor.byte()?) } else { 0 };
        texts.push(cursor.take(len)?);
        cursor.take(free)?;
    }
    let whole = texts.len() % 2 == 0 && (count >= 0xfe || count * 2 == texts.len());
    (cursor.at == data.len() && whole).then_some(texts)
}

/// An integer set of ascending integers.
pub(super) fn intset(ints: &[i64]) -> Bytes {
    let width = |n: &i64| match () {
        () if i16::try_from(*n).is_ok() => 2,
        () if i32::try_from(*n).is_ok() => 4,
        () => 8_u32,
    };
    let width = ints.iter().map(width).max().unwrap_or(2);
    let bytes = usize::try_from(width).expect("at most eight");
    let mut out = BytesMut::with_capacity(8 + ints.len() * bytes);
    out.put_u32_le(width);
    out.put_u32_le(u32::try_from(ints.len()).expect("small sets only are packed"));
    for n in ints {
        out.put_slice(&n.to_le_bytes()[..bytes]);
    }
    out.freeze()
}

/// The integers of an integer set, as texts; `None` when it is broken.
pub(super) fn from_intset(data: &Bytes) -> Option<Vec<Bytes>> {
    let mut cursor = Cursor { data, at: 0 };
    let width = cursor.u32()?;
    let count = cursor.u32()?;
    if !matches!(width, 2 | 4 | 8) || data.len() != count.checked_mul(width)?.checked_add(8)? {
        return None;
    }
    (0..count).map(|_| cursor.integer(width)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::server::keyspace::listpack;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            (-9_000_i64..9_000).prop_map(|n| n.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..200),
            (60_usize..70, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
            (4_090_usize..4_100).prop_map(|len| vec![b'x'; len]),
        ]
    }

    proptest! {
        #[test]
        fn a_list_pack_is_read_back(texts in prop::collection::vec(text(), 0..20)) {
            let packed = Bytes::from(listpack::pack(texts.iter().map(Vec::as_slice)));
            let read = from_listpack(&packed).expect("a list pack");
            prop_assert_eq!(read, texts.iter().map(|text| Bytes::copy_from_slice(text)).collect::<Vec<_>>());
        }

        #[test]
        fn an_integer_set_is_read_back(ints in prop::collection::btree_set(any::<i64>(), 0..20)) {
            let ints: Vec<i64> = ints.into_iter().collect();
            let read = from_intset(&intset(&ints)).expect("an integer set");
            prop_assert_eq!(read, ints.iter().map(|n| decimal(*n)).collect::<Vec<_>>());
        }

        #[test]
        fn nonsense_is_refused_not_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), fix in any::<bool>()) {
            let mut bytes = bytes;
            if let (true, Some(head)) = (fix, bytes.get(..4).map(<[u8]>::len)) {
                let len = u32::try_from(bytes.len()).expect("short");
                bytes[..head].copy_from_slice(&len.to_le_bytes());
            }
            let bytes = Bytes::from(bytes);
            let _ = (from_listpack(&bytes), from_ziplist(&bytes), from_intset(&bytes), from_zipmap(&bytes));
        }
    }

    #[test]
    fn zip_maps_are_read() {
        let read = |bytes: &'static [u8]| from_zipmap(&Bytes::from_static(bytes));
        let wanted = [&b"f1"[..], b"v1", b"f2", b"v2"].map(Bytes::from_static);
        assert_eq!(read(b"\x02\x02f1\x02\x00v1\x02f2\x02\x00v2\xff").expect("a zip map"), wanted);
        // A value that was longer once, and a length of four bytes.
        assert_eq!(read(b"\x02\x02f1\x02\x01v1x\xfe\x02\x00\x00\x00f2\x02\x00v2\xff").expect("a zip map"), wanted);
        for broken in
            [&b"\x01\x02f1\xff"[..], b"\x02\x02f1\x02\x00v1\xff", b"\x01\x02f1\x09\x00v1\xff", b"\x00\xff\xff"]
        {
            assert_eq!(read(broken), None);
        }
    }

    #[test]
    fn a_zip_list_of_a_real_server_is_read() {
        // ZSET {a: 1, b: 2.5} of Redis 6.2.
        let packed =
            Bytes::from_static(b"\x1a\x00\x00\x00\x14\x00\x00\x00\x04\x00\x00\x01a\x03\xf2\x02\x01b\x03\x032.5\xff");
        let wanted = [&b"a"[..], b"1", b"b", b"2.5"];
        let packed = {
            let mut bytes = packed.to_vec();
            let len = u32::try_from(bytes.len()).expect("short");
            bytes[..4].copy_from_slice(&len.to_le_bytes());
            Bytes::from(bytes)
        };
        assert_eq!(from_ziplist(&packed).expect("a zip list"), wanted.map(Bytes::from_static));
    }
}
