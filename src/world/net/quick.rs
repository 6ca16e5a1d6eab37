//! The short ways of what happens by the million: bytes leave, and reach an idle process, while nothing is wrong and
//! nothing else happens. Everything else takes the long way of `flow`, to the same effect.

use bytes::Bytes;

use super::connection::{Connection, Pipe, Segment, Sock, State};
use super::link::Paths;
use super::{Alone, Net, Queue, Wire};
use crate::id::{EventId, Fd};
use crate::node::{Short, bring_near};
use crate::time::Instant;

/// Bytes that are about to reach an end of a connection with which nothing is wrong.
#[derive(Debug)]
pub(in crate::world) struct Arrival<'a> {
    conn: &'a mut Connection,
    paths: &'a mut Paths,
    /// The end that sent them.
    sock: Sock,
    /// When what was sent behind them arrives; [`Instant::NEVER`]: nothing was.
    next: Instant,
    window: u64,
}

impl Net {
    /// Gives bytes to the socket.
    #[inline]
    pub(in crate::world) fn send(&mut self, sock: Sock, data: Bytes, cause: EventId, wire: &mut Wire<'_>) {
        match self.departure(sock, data.len() as u64, wire.now) {
            Some((pipe, at)) => {
                queue_delivery(pipe, sock, at, wire.queue);
                pipe.flight.push_back(Segment { at, cause, data: data.into(), hole: false });
            }
            None => self.send_held(sock, data, cause, wire),
        }
    }

    /// The same for a short message.
    #[inline(never)]
    pub(in crate::world) fn send_short(&mut self, sock: Sock, data: &Short, cause: EventId, wire: &mut Wire<'_>) {
        match self.departure(sock, data.len() as u64, wire.now) {
            Some((pipe, at)) => {
                queue_delivery(pipe, sock, at, wire.queue);
                pipe.flight.push_short(data, cause, at);
            }
            None => self.send_held(sock, data.to_bytes(), cause, wire),
        }
    }

    /// Where bytes go and when they arrive, in the usual case.
    #[inline]
    fn departure(&mut self, sock: Sock, len: u64, now: Instant) -> Option<(&mut Pipe, Instant)> {
        let conn = self.conns.get_quickly(sock)?;
        depart(conn, &mut self.paths, sock.side(), len, (now, self.receive_buffer))
    }

    /// Whom bytes reach over a pipe, and which, if there are any. Has brought near what their delivery and an answer will
    /// need. `side`: which end's pipe it is.
    #[inline(always)]
    pub(in crate::world) fn look_ahead(&self, side: usize, pipe: u32) -> Option<(u16, &[u8])> {
        let conn = self.conns.look_ahead(pipe)?;
        let far = side ^ 1;
        conn.pipes.iter().for_each(bring_near);
        self.paths.look_ahead(conn.paths[far]);
        let bytes = conn.pipes[side].flight.front().map_or(&[][..], |head| head.data.as_slice());
        Some((conn.ends[far].owner, bytes))
    }

    /// A delivery that is due, if nothing is wrong with its connection. Nothing has happened yet. `side`: which end's pipe
    /// it is.
    #[inline(always)]
    pub(in crate::world) fn arrival(
        &mut self,
        side: u8,
        pipe: u32,
        delivery: u32,
        now: Instant,
    ) -> Option<Arrival<'_>> {
        let (sock, conn) = self.conns.by_pipe(pipe, side)?;
        let usual = conn.quiet || conn.look() || {
            let pipe = &conn.pipes[sock.side()];
            let waits = pipe.wants_room || pipe.shut || pipe.holes != 0;
            !waits && conn.ends[sock.far()].state == State::Open && conn.ways[sock.far()].open
        };
        let pipe = &conn.pipes[sock.side()];
        let next = pipe.flight.then();
        if !usual || pipe.delivery != now || pipe.known_by != delivery || next <= now {
            return None;
        }
        Some(Arrival { conn, paths: &mut self.paths, sock, next, window: self.receive_buffer })
    }
}

impl Arrival<'_> {
    /// Whose they will be, and its descriptor.
    #[inline(always)]
    pub(in crate::world) fn to(&self) -> (u16, Fd) {
        let end = &self.conn.ends[self.sock.far()];
        (end.owner, Fd(end.number))
    }

    /// The bytes, and what they are caused by. None: it is the end of the stream.
    #[inline(always)]
    pub(in crate::world) fn bytes(&self) -> Option<(&[u8], EventId)> {
        let head = self.conn.pipes[self.sock.side()].flight.front()?;
        let data = head.data.as_slice();
        (!data.is_empty()).then_some((data, head.cause))
    }

    /// They arrive, that many: their event, the first in the queue, is over.
    #[inline(always)]
    pub(in crate::world) fn arrive(&mut self, len: usize, now: Instant, queue: &mut Queue) {
        let (next, sock) = (self.next, self.sock);
        self.conn.ends[sock.far()].heard = now;
        let pipe = &mut self.conn.pipes[sock.side()];
        pipe.flight_bytes -= len as u64;
        pipe.unacked = false;
        queue.drop_first();
        pipe.delivery = next;
        if next != Instant::NEVER {
            pipe.known_by = queue.push_delivery(next, sock.pipe());
        }
    }

    /// They have been dealt with.
    #[inline(always)]
    pub(in crate::world) fn done(&mut self) {
        self.conn.pipes[self.sock.side()].flight.drop_front();
    }

    /// They are to be given to their process.
    #[cold]
    pub(in crate::world) fn into_alone(self) -> Alone {
        let (owner, fd) = self.to();
        let head = self.conn.pipes[self.sock.side()].flight.pop_front();
        let Segment { data, cause, .. } = head.expect("looked at when it arrived");
        Alone { owner, fd, data: data.into_bytes(), cause }
    }

    /// The process answers with a short message in the usual case. False if it isn't; then nothing has happened.
    #[inline(always)]
    pub(in crate::world) fn answer(
        &mut self,
        message: &Short,
        cause: EventId,
        now: Instant,
        queue: &mut Queue,
    ) -> bool {
        let sock = self.sock.peer();
        let about = (now, self.window);
        let Some((pipe, at)) = depart(self.conn, self.paths, sock.side(), message.len() as u64, about) else {
            return false;
        };
        queue_delivery(pipe, sock, at, queue);
        pipe.flight.push_short(message, cause, at);
        true
    }
}

/// The usual case: nothing is wrong and nothing is in the way. The pipe that bytes take from a side, and when they
/// arrive if they leave now, given the receiver's window.
#[inline(always)]
fn depart<'a>(
    conn: &'a mut Connection,
    paths: &mut Paths,
    side: usize,
    len: u64,
    (now, window): (Instant, u64),
) -> Option<(&'a mut Pipe, Instant)> {
    let pipe = &mut conn.pipes[side];
    if !conn.quiet {
        assert!(!pipe.ended, "nothing is sent after a close");
        let waits = pipe.holes != 0 || pipe.stalled || pipe.held_up || !pipe.unsent.is_empty();
        if waits || !conn.ways[side].clear || conn.ends[side].state != State::Open {
            return None;
        }
    }
    let held = pipe.flight_bytes + len;
    if held + pipe.unread > window {
        return None;
    }
    pipe.flight_bytes = held;
    Some((pipe, now + paths.get_mut(conn.paths[side]).latency()))
}

/// Queues the delivery of a segment that is about to be put behind all others, unless that of another one is queued.
#[inline(always)]
fn queue_delivery(pipe: &mut Pipe, sock: Sock, at: Instant, queue: &mut Queue) {
    if pipe.delivery != Instant::NEVER {
        return;
    }
    pipe.delivery = at;
    pipe.known_by = queue.push_delivery(at, sock.pipe());
}
