//! The short way of a turn of the event loop: a few bytes in, at most a few bytes out, everything in place.

use std::fmt;

use bytes::Bytes;

use crate::id::Fd;
use crate::resp::Part;
use crate::time::{Instant, Span};

/// A short message where it lies: no allocation, and nobody counts its owners. Its length is where its bytes begin.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Short {
    len: u8,
    bytes: [u8; Short::MAX],
}

impl Short {
    /// The most bytes it holds: enough for a SET with a usual key and a value of 32 bytes.
    pub const MAX: usize = 94;

    /// No message: the bytes are somewhere else, as [`Short::here`] tells.
    pub(crate) const ELSEWHERE: Short = Short { len: u8::MAX, bytes: [0; Short::MAX] };

    /// Where the bytes begin, behind their length.
    pub const TEXT: usize = std::mem::offset_of!(Short, bytes);

    /// No bytes.
    pub const EMPTY: Short = Short { len: 0, bytes: [0; Short::MAX] };

    /// A copy, if it is short enough.
    #[must_use]
    pub fn copy(data: &[u8]) -> Option<Short> {
        let mut short = Short::EMPTY;
        short.set(data).then_some(short)
    }

    /// Holds a copy from now on, if it is short enough; else stays as it is and says false.
    #[inline]
    pub fn set(&mut self, data: &[u8]) -> bool {
        let (Ok(len), Some(place)) = (u8::try_from(data.len()), self.bytes.get_mut(..data.len())) else { return false };
        place.copy_from_slice(data);
        self.len = len;
        true
    }

    /// Holds the first `len` of these bytes from now on, at most all. A copy of known size is a few instructions.
    #[inline]
    pub fn fill(&mut self, bytes: &[u8; Short::MAX], len: usize) {
        self.bytes = *bytes;
        self.len = u8::try_from(len.min(Short::MAX)).expect("94 fits a byte");
    }

    /// Holds the same bytes as another one from now on. Very short ones are one step, and usual ones touch no more memory
    /// than they must.
    #[inline]
    pub fn copy_from(&mut self, other: &Short) {
        const FEW: usize = 15;
        const USUAL: usize = 71;
        let len = usize::from(other.len);
        if len <= FEW {
            self.copy_first::<FEW>(other);
        } else if len <= USUAL {
            self.copy_first::<USUAL>(other);
        } else {
            *self = *other;
        }
    }

    /// Copies as many bytes, whether they are meant or not: a copy of known size is a few instructions.
    #[inline]
    fn copy_first<const N: usize>(&mut self, other: &Short) {
        let (to, from) =
            self.bytes.first_chunk_mut::<N>().zip(other.bytes.first_chunk()).expect("it has room for more");
        *to = *from;
        self.len = other.len;
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The bytes, unless it is [`Short::ELSEWHERE`].
    #[inline]
    pub(crate) fn here(&self) -> Option<&[u8]> {
        self.bytes.get(..usize::from(self.len))
    }

    /// How many.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A copy with memory of its own.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_slice())
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_bytes(), f)
    }
}

impl PartialEq for Short {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

/// What a node has read of bytes that are about to reach it ([`super::Node::look_ahead`]): a SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Where its key and its value stand.
    pub set: [Part; 2],
    /// The hash of the key, by which a database finds it.
    pub hash: u64,
    /// Where it most likely is.
    pub hint: u32,
}

/// What a turn that went the short way ([`super::Node::quick_turn`]) wants done, in this order, and nothing else.
#[derive(Clone, Debug)]
pub struct Quick {
    /// The main thread is occupied.
    pub busy: Span,
    /// Where the message goes; `None`: there is none.
    pub fd: Option<Fd>,
    /// The message. It is caused by the node's newest note.
    pub message: Short,
    /// The main thread is occupied once more.
    pub busy_after: Span,
    /// What [`super::Node::wake_at`] is from now on; [`Instant::NEVER`]: never.
    pub wake: Instant,
}

impl Default for Quick {
    fn default() -> Self {
        Quick { busy: Span::ZERO, fd: None, message: Short::EMPTY, busy_after: Span::ZERO, wake: Instant::NEVER }
    }
}
