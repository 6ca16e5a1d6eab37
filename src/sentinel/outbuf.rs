//! Bytes that wait to be given to a socket: one shared piece when there is only one, a buffer when there are more.

use bytes::{Bytes, BytesMut};

use crate::id::Fd;
use crate::node::{Outbox, SOCKET_ROOM};

/// So much is copied out, so that the buffer's memory is used again; more takes it with it.
const COPIED: usize = 1_024;

/// An output buffer and what the socket is known to take.
#[derive(Clone, Debug)]
pub(super) struct OutBuf {
    first: Bytes,
    rest: BytesMut,
    room: usize,
    waiting: bool,
}

impl Default for OutBuf {
    fn default() -> Self {
        OutBuf { first: Bytes::new(), rest: BytesMut::new(), room: SOCKET_ROOM, waiting: false }
    }
}

impl OutBuf {
    /// Adds a piece without copying it, if it is the first.
    pub(super) fn push(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.first = piece;
        } else {
            self.buffer().extend_from_slice(&piece);
        }
    }

    /// The buffer, to append to.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        if !self.first.is_empty() {
            self.rest.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        &mut self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.rest.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// The socket said how much it takes.
    pub(super) fn writable(&mut self, room: usize) {
        self.room = room;
        self.waiting = false;
    }

    /// Gives the socket as much as it takes.
    pub(super) fn flush(&mut self, fd: Fd, out: &mut Outbox) {
        if self.is_empty() || self.waiting {
            return;
        }
        let mut data = if self.rest.is_empty() {
            std::mem::take(&mut self.first)
        } else if self.rest.len() <= COPIED {
            let copy = Bytes::copy_from_slice(&self.rest);
            self.rest.clear();
            copy
        } else {
            self.rest.split().freeze()
        };
        if data.len() > self.room {
            let later = data.split_off(self.room);
            self.rest.extend_from_slice(&later);
            self.waiting = true;
        }
        self.room -= data.len();
        out.send(fd, data);
        if self.waiting {
            out.await_writable(fd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Output;

    #[test]
    fn what_the_socket_does_not_take_waits() {
        let (mut buf, mut out) = (OutBuf::default(), Outbox::default());
        buf.writable(3);
        buf.push(Bytes::from_static(b"ab"));
        buf.push(Bytes::from_static(b"cde"));
        buf.flush(Fd(9), &mut out);
        buf.push(Bytes::from_static(b"f"));
        buf.flush(Fd(9), &mut out);
        assert_eq!(
            out.outputs,
            [Output::Send { fd: Fd(9), data: Bytes::from_static(b"abc") }, Output::AwaitWritable { fd: Fd(9) }]
        );
        buf.writable(10);
        buf.flush(Fd(9), &mut out);
        assert_eq!(out.outputs[2], Output::Send { fd: Fd(9), data: Bytes::from_static(b"def") });
        assert!(buf.is_empty());
    }
}
