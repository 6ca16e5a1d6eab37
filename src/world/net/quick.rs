//! The short ways of what happens by the million: bytes leave, and reach an idle process, while nothing is wrong and
//! nothing else happens. Everything else takes the long way of `flow`, to the same effect.

use bytes::Bytes;

use super::connection::{Data, Pipe, Segment, Sock, State};
use super::{Alone, Due, Net, NetDue, NetWhat, Queue, Wire};
use crate::id::{EventId, Fd};
use crate::node::Short;
use crate::time::Instant;

/// What became of a delivery.
#[derive(Debug)]
pub(in crate::world) enum Delivered {
    /// Nothing: it is not for the short way.
    Not,
    /// The process of this end has taken it at once; its descriptor.
    Quickly(u16, Sock, Fd),
    /// It is to be given to a process.
    Alone(Alone),
}

/// The processes, as far as a delivery needs them.
pub(in crate::world) trait Processes {
    /// Whether this one would take bytes at once.
    fn idle(&self, owner: u16) -> bool;
    /// Offers it short bytes; says whether it has dealt with them.
    fn offer(&mut self, owner: u16, fd: Fd, data: &[u8], cause: EventId) -> bool;
}

impl Net {
    /// Gives bytes to the socket.
    #[inline]
    pub(in crate::world) fn send(&mut self, sock: Sock, data: Bytes, cause: EventId, wire: &mut Wire<'_>) {
        match self.departure(sock, data.len() as u64, wire.now) {
            Some((pipe, at)) => leave(pipe, Segment { data: Data::Shared(data), cause, at, hole: false }, sock, wire),
            None => self.send_held(sock, data, cause, wire),
        }
    }

    /// The same for a short message.
    #[inline]
    pub(in crate::world) fn send_short(&mut self, sock: Sock, data: &Short, cause: EventId, wire: &mut Wire<'_>) {
        match self.departure(sock, data.len() as u64, wire.now) {
            Some((pipe, at)) => leave(pipe, Segment { data: Data::Short(*data), cause, at, hole: false }, sock, wire),
            None => self.send_held(sock, data.to_bytes(), cause, wire),
        }
    }

    /// The usual case: nothing is wrong and nothing is in the way. Where the bytes go, and when they arrive.
    #[inline(always)]
    fn departure(&mut self, sock: Sock, len: u64, now: Instant) -> Option<(&mut Pipe, Instant)> {
        let side = sock.side();
        let conn = self.conns.get_mut(sock.index()).filter(|conn| conn.serial == sock.serial)?;
        let pipe = &mut conn.pipes[side];
        assert!(!pipe.ended, "nothing is sent after a close");
        let back_open = self.paths.get(conn.paths[sock.far()]).open;
        let path = self.paths.get_mut(conn.paths[side]);
        let clear = path.plain
            && back_open
            && conn.ends[side].state == State::Open
            && pipe.holes == 0
            && !pipe.stalled
            && pipe.unsent.is_empty()
            && pipe.flight_bytes + pipe.unread + len <= self.receive_buffer;
        if !clear {
            return None;
        }
        pipe.flight_bytes += len;
        Some((pipe, now + path.latency()))
    }

    /// A delivery, which is the first in the queue: takes the head of the flight out if it is all that happens,
    /// nothing is wrong with the connection, and its process is idle.
    #[inline]
    pub(in crate::world) fn deliver_alone(
        &mut self,
        due: NetDue,
        now: Instant,
        queue: &mut Queue,
        processes: &mut impl Processes,
    ) -> Delivered {
        let (NetWhat::Deliver, sock) = (due.what, due.sock) else { return Delivered::Not };
        let Some(conn) = self.conns.get_mut(sock.index()).filter(|conn| conn.serial == sock.serial) else {
            return Delivered::Not;
        };
        let pipe = &mut conn.pipes[sock.side()];
        let end = &mut conn.ends[sock.far()];
        let next = pipe.flight.second().map(|next| next.at);
        let Some(head) = pipe.flight.front() else { return Delivered::Not };
        let len = head.len();
        if pipe.delivery_epoch != due.epoch
            || pipe.wants_room
            || pipe.shut
            || pipe.holes != 0
            || len == 0
            || next.is_some_and(|at| at <= now)
            || end.state != State::Open
            || !self.paths.get(conn.paths[sock.far()]).open
            || !processes.idle(end.owner)
        {
            return Delivered::Not;
        }
        pipe.flight_bytes -= len;
        pipe.unacked = false;
        pipe.delivery = next;
        end.heard = now;
        queue.drop_first();
        if let Some(at) = next {
            pipe.delivery_epoch = pipe.delivery_epoch.wrapping_add(1);
            queue.push(at, Due::Net(NetDue { sock, epoch: pipe.delivery_epoch, what: NetWhat::Deliver }));
        }
        let fd = Fd(end.number);
        if processes.offer(end.owner, fd, head.data.as_slice(), head.cause) {
            pipe.flight.drop_front();
            return Delivered::Quickly(end.owner, sock.peer(), fd);
        }
        let Segment { data, cause, .. } = pipe.flight.pop_front().expect("looked at above");
        Delivered::Alone(Alone { owner: end.owner, fd, data: data.into_bytes(), cause })
    }
}

/// Puts a segment on its way.
#[inline(always)]
fn leave(pipe: &mut Pipe, segment: Segment, sock: Sock, wire: &mut Wire<'_>) {
    if pipe.delivery.is_none() {
        pipe.delivery = Some(segment.at);
        pipe.delivery_epoch = pipe.delivery_epoch.wrapping_add(1);
        wire.due_epoch(segment.at, sock, pipe.delivery_epoch, NetWhat::Deliver);
    }
    pipe.flight.push_back(segment);
}
