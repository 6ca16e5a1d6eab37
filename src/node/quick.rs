//! The short way of a turn of the event loop: a few bytes in, at most a few bytes out, everything in place.

use std::fmt;

use bytes::Bytes;

use crate::id::Fd;
use crate::resp::Part;
use crate::time::{Instant, Span};

/// A short message where it lies: no allocation, and nobody counts its owners. Its length comes first, then its bytes, and
/// both are copied together, from the length on: a processor has at hand what it has just written only for who reads no more
/// of it at once than was written at once.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Short([u8; Short::SIZE]);

impl Short {
    /// The most bytes it holds: enough for a SET with a usual key and a value of 32 bytes.
    pub const MAX: usize = Short::SIZE - Short::TEXT;

    /// What it takes with its length.
    pub const SIZE: usize = 96;

    /// Where the bytes begin, behind their length.
    pub const TEXT: usize = 1;

    /// No message: the bytes are somewhere else, as [`Short::here`] tells.
    pub(crate) const ELSEWHERE: Short = Short([u8::MAX; Short::SIZE]);

    /// No bytes.
    pub const EMPTY: Short = Short([0; Short::SIZE]);

    /// These bytes.
    ///
    /// # Panics
    /// When they are too many.
    #[must_use]
    pub const fn constant(text: &[u8]) -> Short {
        assert!(text.len() <= Short::MAX, "a short message is short");
        let mut raw = [0; Short::SIZE];
        #[allow(clippy::cast_possible_truncation, reason = "looked at above")]
        let len = text.len() as u8;
        raw[0] = len;
        let mut at = 0;
        while at < text.len() {
            raw[Short::TEXT + at] = text[at];
            at += 1;
        }
        Short(raw)
    }

    /// Holds what comes behind its length here from now on. A copy of known size is a few instructions.
    ///
    /// # Panics
    /// When that is no length of a short message.
    #[inline]
    pub fn fill(&mut self, raw: &[u8; Short::SIZE]) {
        assert!(usize::from(raw[0]) <= Short::MAX, "a short message is short");
        self.0 = *raw;
    }

    /// Holds the same bytes as another one from now on. Very short ones are one step, and usual ones touch no more memory
    /// than they must.
    #[inline]
    pub fn copy_from(&mut self, other: &Short) {
        const FEW: usize = 8;
        const USUAL: usize = 72;
        let size = Short::TEXT + other.len();
        if size <= FEW {
            self.copy_first::<FEW>(other);
        } else if size <= USUAL {
            self.copy_first::<USUAL>(other);
        } else {
            *self = *other;
        }
    }

    /// Copies as many bytes, whether they are meant or not: a copy of known size is a few instructions.
    #[inline]
    fn copy_first<const N: usize>(&mut self, other: &Short) {
        let (to, from) = self.0.first_chunk_mut::<N>().zip(other.0.first_chunk()).expect("it has room for more");
        *to = *from;
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0[Short::TEXT..][..self.len()]
    }

    /// The bytes, unless it is [`Short::ELSEWHERE`].
    #[inline]
    pub(crate) fn here(&self) -> Option<&[u8]> {
        self.0.get(Short::TEXT..Short::TEXT + self.len())
    }

    /// How many.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.0[0])
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

/// What a node has read of bytes that are about to reach it ([`super::Node::look_ahead`]): a SET. What it means is the
/// business of that node, a server.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever was there before, a copy of any length is what was copied, and nothing else.
    #[test]
    fn short_messages_of_all_lengths_are_copied() {
        let text: Vec<u8> = (0..=u8::MAX).collect();
        for len in 0..=Short::MAX {
            let short = Short::constant(&text[..len]);
            assert_eq!((short.as_slice(), short.len(), short.is_empty()), (&text[..len], len, len == 0));
            let mut other = Short::constant(&[b'x'; Short::MAX]);
            other.copy_from(&short);
            assert_eq!(other, short, "{len}");
            let mut filled = Short::constant(&[b'x'; Short::MAX]);
            filled.fill(&short.0);
            assert_eq!(filled.here(), Some(&text[..len]));
        }
        assert!(Short::ELSEWHERE.here().is_none());
        assert_ne!(Short::constant(b"+OK\r\n"), Short::constant(b"+OK\r"));
    }
}
