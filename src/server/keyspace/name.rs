//! Names of keys: so small that an entry with a usual name and a usual value is one line of the cache.

use std::fmt;

use bytes::Bytes;
use triomphe::ThinArc;

/// How many bytes lie in place.
const ROOM: usize = 14;

/// A key's name: in place while it is short, in shared memory beyond.
#[derive(Clone)]
pub struct Name(Form);

#[derive(Clone)]
enum Form {
    /// Length and bytes; the rest is zero.
    Inline(u8, [u8; ROOM]),
    Shared(ThinArc<(), u8>),
}

impl Name {
    /// Copies the bytes.
    #[must_use]
    pub fn copy(text: &[u8]) -> Name {
        let mut data = [0; ROOM];
        match (u8::try_from(text.len()), data.get_mut(..text.len())) {
            (Ok(len), Some(place)) => {
                place.copy_from_slice(text);
                Name(Form::Inline(len, data))
            }
            _ => Name(Form::Shared(ThinArc::from_header_and_slice((), text))),
        }
    }

    /// The bytes.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Form::Inline(len, data) => &data[..usize::from(*len)],
            Form::Shared(shared) => &shared.slice,
        }
    }

    /// Whether it is these bytes. Most names have 8 to 14, which two words hold.
    #[inline]
    #[must_use]
    pub fn is(&self, other: &[u8]) -> bool {
        match (&self.0, other.first_chunk::<8>(), other.last_chunk::<8>()) {
            (Form::Inline(len, data), Some(first), Some(last)) => {
                let end = usize::from(*len);
                let own = data.first_chunk::<8>().zip(data.get(..end).and_then(|text| text.last_chunk::<8>()));
                end == other.len() && own.is_some_and(|own| own == (first, last))
            }
            _ => self.as_slice() == other,
        }
    }

    /// A copy of the bytes with memory of its own.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_slice())
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// True for the empty name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::resp::quote(self.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn a_name_is_small() {
        assert_eq!(std::mem::size_of::<Option<Name>>(), 16);
    }

    proptest! {
        /// A name is what it was made of, and nothing else.
        #[test]
        fn a_name_is_its_bytes(text in prop::collection::vec(0u8..3, 0..40), other in prop::collection::vec(0u8..3, 0..40), at in any::<prop::sample::Index>()) {
            let name = Name::copy(&text);
            prop_assert_eq!(name.as_slice(), &text[..]);
            prop_assert!(name.clone().is(&text));
            prop_assert_eq!(name.is(&other), text == other);
            if !text.is_empty() {
                let mut changed = text.clone();
                changed[at.index(text.len())] += 1;
                prop_assert!(!name.is(&changed));
                prop_assert!(!name.is(&text[1..]) && !name.is(&text[..text.len() - 1]));
            }
        }
    }
}
