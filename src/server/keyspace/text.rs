//! Short texts without an allocation: elements of collections and small values lie where their entry lies.

use std::fmt;

use bytes::Bytes;

/// Bytes, in place up to `N`, shared beyond.
#[derive(Clone)]
pub enum Text<const N: usize> {
    /// Length and bytes; the rest is zero.
    Inline(u8, [u8; N]),
    /// Shared memory.
    Heap(Bytes),
}

/// A member, a field or an item of a collection: 23 bytes in place make it as large as the shared form.
pub type Element = Text<23>;

impl<const N: usize> Text<N> {
    /// Copies the bytes.
    #[must_use]
    pub fn copy(text: &[u8]) -> Text<N> {
        match Text::inline(text) {
            Some(inline) => inline,
            None => Text::Heap(Bytes::copy_from_slice(text)),
        }
    }

    fn inline(text: &[u8]) -> Option<Text<N>> {
        let mut data = [0u8; N];
        data.get_mut(..text.len())?.copy_from_slice(text);
        Some(Text::Inline(u8::try_from(text.len()).ok()?, data))
    }

    /// Copies short bytes and shares long ones.
    #[must_use]
    pub fn share(text: Bytes) -> Text<N> {
        match Text::inline(&text) {
            Some(inline) => inline,
            None => Text::Heap(text),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Text::Inline(len, data) => &data[..usize::from(*len)],
            Text::Heap(bytes) => bytes,
        }
    }

    /// Replaces bytes in place by as many others; false if they don't lie here or are of another number.
    #[inline(always)]
    pub fn overwrite(&mut self, text: &[u8]) -> bool {
        match self {
            Text::Inline(len, data) if usize::from(*len) == text.len() => {
                let place = &mut data[..text.len()];
                match (text.first_chunk::<16>(), text.last_chunk::<16>()) {
                    // By far the most, in two steps that may overlap.
                    (Some(first), Some(last)) if text.len() <= 32 => {
                        let end = text.len() - 16;
                        place[..16].copy_from_slice(first);
                        place[end..].copy_from_slice(last);
                    }
                    _ => place.copy_from_slice(text),
                }
                true
            }
            Text::Inline(..) | Text::Heap(_) => false,
        }
    }

    /// The bytes as a shared slice: free for long texts, a copy for short ones.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Text::Inline(..) => Bytes::copy_from_slice(self.as_slice()),
            Text::Heap(bytes) => bytes.clone(),
        }
    }

    /// Takes the bytes out for changing them.
    #[must_use]
    pub fn into_mut(self) -> bytes::BytesMut {
        match self {
            Text::Inline(len, data) => bytes::BytesMut::from(&data[..usize::from(len)]),
            Text::Heap(bytes) => bytes.try_into_mut().unwrap_or_else(|shared| bytes::BytesMut::from(&shared[..])),
        }
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Text::Inline(len, _) => usize::from(*len),
            Text::Heap(bytes) => bytes.len(),
        }
    }

    /// True for the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::resp::quote(self.as_slice()))
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<const N: usize> Eq for Text<N> {}
