//! A TCP connection: two ends and the two byte pipes between them. Data only; what happens to it is next door.

use std::collections::VecDeque;

use bytes::Bytes;

use super::flight::Flight;
use crate::id::{Addr, EventId, MachineId};
use crate::node::Short;
use crate::time::Instant;

/// Names one end of one connection. `serial` tells a connection from a later one in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) struct Sock {
    pub(super) slot: u32,
    pub(super) serial: u32,
    /// 0: the end that connected; 1: the end that accepted.
    pub(super) side: u8,
}

impl Sock {
    #[inline]
    pub(super) fn index(self) -> usize {
        self.slot as usize
    }

    /// The number of the pipe from this end, which tells it from all other pipes there are at one time.
    #[inline]
    pub(super) fn pipe(self) -> u32 {
        self.slot << 1 | u32::from(self.side & 1)
    }

    /// 0 or 1, in a form that shows it.
    #[inline]
    pub(super) fn side(self) -> usize {
        usize::from(self.side & 1)
    }

    /// The side of the other end.
    #[inline]
    pub(super) fn far(self) -> usize {
        self.side() ^ 1
    }

    /// The other end.
    pub(super) fn peer(self) -> Sock {
        Sock { side: self.side ^ 1, ..self }
    }
}

/// Where an end of a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The SYN is out; a process waits for the outcome.
    Connecting,
    /// A SYN arrived and the kernel answered; no process has been told.
    Embryo,
    /// A process has it and it works.
    Open,
    /// A process still has it, and will find that it has ended. `kernel`: whether the kernel still sends for it.
    Doomed { kernel: bool },
    /// No process has it; the kernel still delivers what was sent and the end of the stream.
    Orphan,
    /// The kernel knows nothing of it and resets whoever asks. Also a side that never came to be.
    Gone,
}

/// The owner of an end that never came to be.
pub(super) const NOBODY: u16 = u16::MAX;
/// The number of an end that its process has not accepted yet.
pub(super) const UNACCEPTED: u32 = u32::MAX;

/// One end. What every message asks of it comes first.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct End {
    /// When something last arrived from the peer.
    pub(super) heard: Instant,
    /// The process's own number for it, once it has one: a descriptor, or what an outside party chose.
    pub(super) number: u32,
    /// Whose: an index into the inboxes.
    pub(super) owner: u16,
    pub(super) state: State,
    /// Which life of that process.
    pub(super) incarnation: u32,
    pub(super) addr: Addr,
    pub(super) machine: MachineId,
    pub(super) keepalive_armed: bool,
}

impl End {
    /// Whether a process has a descriptor for it.
    pub(super) fn attached(&self) -> bool {
        matches!(self.state, State::Connecting | State::Open | State::Doomed { .. })
    }

    /// Whether its kernel would still send and acknowledge.
    pub(super) fn kernel(&self) -> bool {
        match self.state {
            State::Connecting | State::Embryo | State::Open | State::Orphan | State::Doomed { kernel: true } => true,
            State::Doomed { kernel: false } | State::Gone => false,
        }
    }
}

/// The bytes of a segment: in place, as they came by the short way, or shared.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Data {
    /// [`Short::ELSEWHERE`]: they are shared.
    short: Short,
    shared: Bytes,
}

impl From<Bytes> for Data {
    fn from(shared: Bytes) -> Data {
        Data { short: Short::ELSEWHERE, shared }
    }
}

impl Data {
    /// No bytes.
    pub(super) const EMPTY: Data = Data { short: Short::EMPTY, shared: Bytes::new() };

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        self.short.here().unwrap_or(&self.shared)
    }

    /// Holds a copy of a short message from now on.
    #[inline(always)]
    pub(super) fn copy_from(&mut self, message: &Short) {
        self.short.copy_from(message);
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self.short.here() {
            Some(bytes) => Bytes::copy_from_slice(bytes),
            None => self.shared,
        }
    }

    /// Forgets the bytes, if they are shared.
    #[inline(always)]
    pub(super) fn let_go(&mut self) {
        if self.short.here().is_none() {
            *self = Data::EMPTY;
        }
    }

    /// Takes the first `len` bytes off.
    pub(super) fn split_to(&mut self, len: usize) -> Data {
        let mut rest = std::mem::replace(self, Data::EMPTY).into_bytes();
        let first = rest.split_to(len);
        *self = rest.into();
        first.into()
    }
}

/// A piece of the stream, or its end.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Segment {
    /// When it reaches the receiver's kernel; [`Instant::NEVER`] if it was lost to a cut.
    pub(super) at: Instant,
    pub(super) cause: EventId,
    /// Empty: the end of the stream (FIN).
    pub(super) data: Data,
    /// It was lost and waits for its retransmission, which later segments hasten.
    pub(super) hole: bool,
}

impl Segment {
    pub(super) fn len(&self) -> u64 {
        self.data.len() as u64
    }
}

/// One direction of the byte stream, from the sender's socket to the receiver's. What every message looks at comes first:
/// with the head of what is in flight and its first bytes, it fills one cache line, and a usual SET ends with the second.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Pipe {
    /// When the queued delivery is due; [`Instant::NEVER`]: none is queued.
    pub(super) delivery: Instant,
    pub(super) flight_bytes: u64,
    /// In the receiver's kernel, not yet read by its process.
    pub(super) unread: u64,
    /// Which delivery in the queue is meant.
    pub(super) known_by: u32,
    /// It expired and nothing has been acknowledged since: new data is held.
    pub(super) stalled: bool,
    /// Data arrived whose acknowledgement did not come back.
    pub(super) unacked: bool,
    /// The receiver's window is shut.
    pub(super) shut: bool,
    /// The process waits for room in the socket.
    pub(super) wants_room: bool,
    /// Transmitted and not yet in the receiver's kernel, in order.
    pub(super) flight: Flight,
    /// In the sender's kernel, not yet transmitted.
    pub(super) unsent: VecDeque<Segment>,
    pub(super) unsent_bytes: u64,
    /// How many of `flight` are holes.
    pub(super) holes: u32,
    pub(super) rto_epoch: u32,
    /// The receiver takes nothing for the time being, and so neither does the sender's socket.
    pub(super) held_up: bool,
    /// The retransmission timer.
    pub(super) rto_armed: bool,
    /// How often it has expired in a row.
    pub(super) backoff: u8,
    /// When the last chunk that was given to a path of limited bandwidth has left.
    pub(super) departs: Instant,
    pub(super) pump_queued: bool,
    /// The process closed its end: nothing follows what is queued.
    pub(super) ended: bool,
    /// What the stall is caused by, for the trace.
    pub(super) stall: EventId,
}

impl Default for Pipe {
    fn default() -> Self {
        Pipe {
            delivery: Instant::NEVER,
            flight_bytes: 0,
            unread: 0,
            known_by: 0,
            stalled: false,
            unacked: false,
            shut: false,
            wants_room: false,
            flight: Flight::default(),
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            holes: 0,
            rto_epoch: 0,
            held_up: false,
            rto_armed: false,
            backoff: 0,
            departs: Instant::ZERO,
            pump_queued: false,
            ended: false,
            stall: EventId::NONE,
        }
    }
}

impl Pipe {
    /// Bytes that occupy the sender's socket buffer.
    pub(super) fn held(&self) -> u64 {
        self.unsent_bytes + self.flight_bytes
    }

    /// Whether something was transmitted that the sender has no acknowledgement for, as far as loss is concerned.
    pub(super) fn outstanding(&self) -> bool {
        !self.flight.is_empty() || self.unacked
    }

    /// The sender's kernel forgets: what has not left will not leave.
    pub(super) fn abandon(&mut self) {
        self.unsent.clear();
        self.unsent_bytes = 0;
        self.flight.retain(|segment| segment.at != Instant::NEVER);
        self.flight_bytes = self.flight.iter().map(Segment::len).sum();
        // What was lost on the way and is on its way again stays a hole until it arrives.
        self.holes = self.flight.iter().map(|segment| u32::from(segment.hole)).sum();
        self.rto_armed = false;
        self.rto_epoch += 1;
        self.wants_room = false;
    }
}

/// What a pipe's path is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Packets pass.
    pub(super) open: bool,
    /// Packets pass, nothing queues, nothing is lost, and acknowledgements come back.
    pub(super) clear: bool,
}

/// A connection, from the SYN until both ends are forgotten.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Connection {
    pub(super) serial: u32,
    /// Nothing is going on with it; false says nothing.
    pub(super) quiet: bool,
    /// It exists: neither end has forgotten it.
    pub(super) live: bool,
    /// The paths of the pipes, for [`super::link::Paths::get`].
    pub(super) paths: [u32; 2],
    pub(super) ends: [End; 2],
    /// What is known of the paths of the pipes, as of their last change: what each segment asks lies here.
    pub(super) ways: [Way; 2],
    /// The SYN was answered.
    pub(super) established: bool,
    /// When the first SYN left.
    pub(super) began: Instant,
    /// SYNs sent again so far.
    pub(super) syn_tries: u8,
    pub(super) syn_retry_queued: bool,
    /// Final acknowledgements of the handshake that were lost so far.
    pub(super) ack_tries: u8,
    /// What made the process connect.
    pub(super) cause: EventId,
    /// What a reset that is on its way to an end is caused by.
    pub(super) reset_causes: [EventId; 2],
    /// Indexed by the sending side.
    pub(super) pipes: [Pipe; 2],
}

#[cfg(test)]
impl Connection {
    /// How much of it holds what every message asks.
    pub(super) const HOT: usize =
        std::mem::offset_of!(Connection, ends) + size_of::<End>() + std::mem::offset_of!(End, incarnation);
}
