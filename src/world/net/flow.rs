//! Bytes on their way: sending, windows, bandwidth, loss, delivery.

use bytes::Bytes;

use super::connection::{Pipe, Segment, Sock, State};
use super::link::{self, Path};
use super::{Arrived, Net, NetWhat, What, Wire};
use crate::id::{EventId, Fd};
use crate::node::CloseWhy;
use crate::rng::Ratio;
use crate::time::{Instant, Span};
use crate::trace::Via;

/// Bytes of data in a packet: Ethernet's 1500 less headers and timestamps.
const MSS: u64 = 1_448;
/// What a connection hands to a path of limited bandwidth, or one that loses packets, at a time: connections that
/// share it take turns at this grain.
const CHUNK: u64 = 64 * 1024;
/// Retransmissions of one packet in a row that a lossy path can eat.
const LOSSES_MAX: u32 = 15;

impl Net {
    #[inline(never)]
    pub(super) fn send_held(&mut self, sock: Sock, data: Bytes, cause: EventId, wire: &mut Wire<'_>) {
        let Some(conn) = self.live_mut(sock) else { return };
        if conn.ends[sock.side()].kernel() {
            let pipe = &mut conn.pipes[sock.side()];
            pipe.unsent_bytes += data.len() as u64;
            pipe.unsent.push_back(Segment { at: Instant::NEVER, cause, data: data.into(), hole: false });
            self.pump(sock, wire);
        }
    }

    /// Asks to be told when the socket has room.
    pub(in crate::world) fn await_writable(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let Some(conn) = self.live_mut(sock) else { return };
        if conn.ends[sock.side()].kernel() {
            conn.pipes[sock.side()].wants_room = true;
            self.on_room(sock, wire);
        }
    }

    /// A party outside takes nothing for the time being. Real sockets are full by then, so the sender's takes nothing
    /// more either, and learns of it: what it says stays in its own output buffer, whose limits are what counts.
    pub(in crate::world) fn hold(&mut self, party: Sock, cause: EventId, wire: &mut Wire<'_>) {
        let sender = party.peer();
        let Some(conn) = self.live_mut(party) else { return };
        conn.pipes[sender.side()].held_up = true;
        if conn.ends[sender.side()].attached() {
            self.tell(sender, What::Writable, cause, wire);
        }
    }

    /// It takes bytes again.
    pub(in crate::world) fn let_go(&mut self, party: Sock, wire: &mut Wire<'_>) {
        let sender = party.peer();
        let Some(conn) = self.live_mut(party) else { return };
        conn.pipes[sender.side()].held_up = false;
        self.pump(sender, wire);
        self.on_room(sender, wire);
    }

    /// The process takes bytes out of its socket: which descriptor that is, or nothing if it closed it meanwhile.
    /// A window that was shut opens once half of it is free.
    pub(in crate::world) fn taken(&mut self, sock: Sock, bytes: usize, wire: &mut Wire<'_>) -> Option<Fd> {
        let half = self.receive_buffer / 2;
        let conn = self.live_mut(sock)?;
        let end = &conn.ends[sock.side()];
        if !end.attached() {
            return None;
        }
        let fd = Fd(end.number);
        let pipe = &mut conn.pipes[1 - sock.side()];
        pipe.unread -= bytes as u64;
        if pipe.shut && pipe.unread <= half {
            pipe.shut = false;
            let back = conn.paths[sock.side()];
            let at = wire.now + self.paths.get_mut(back).latency();
            wire.due(at, sock.peer(), NetWhat::Window);
        }
        Some(fd)
    }

    /// The sender learns of the open window; if the news is lost, its probes find out later.
    pub(super) fn on_window(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &self.conns[sock.index()];
        let (forward, back) = self.both_paths(sock);
        if forward.open && back.open {
            self.pump(sock, wire);
        } else if conn.ends[sock.side()].kernel() {
            let at = wire.now + link::rto(forward, back);
            wire.due(at, sock, NetWhat::Window);
        }
    }

    pub(super) fn both_paths(&self, sock: Sock) -> (&Path, &Path) {
        let paths = self.conns[sock.index()].paths;
        (self.paths.get(paths[sock.side()]), self.paths.get(paths[1 - sock.side()]))
    }

    /// Tells the process about room, if it waits for that and there is a useful amount (a third of the buffer, as
    /// `sk_stream_is_writeable` has it).
    pub(super) fn on_room(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let limit = self.send_buffer / 3 * 2;
        let pipe = &mut self.conns[sock.index()].pipes[sock.side()];
        if pipe.wants_room && !pipe.held_up && pipe.held() <= limit {
            pipe.wants_room = false;
            let cause = self.conns[sock.index()].cause;
            self.tell(sock, What::Writable, cause, wire);
        }
    }

    /// Transmits what may be transmitted.
    pub(super) fn pump(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        let side = sock.side();
        if !conn.established || conn.pipes[side].stalled || conn.pipes[side].held_up {
            return;
        }
        let window = self.receive_buffer;
        loop {
            let (pipe, places) = (&mut conn.pipes[side], conn.paths);
            let Some(head) = pipe.unsent.front() else { break };
            let len = head.len();
            let mut take = len;
            let path = self.paths.get(places[side]);
            if len > 0 {
                let free = window.saturating_sub(pipe.flight_bytes + pipe.unread);
                if free < len.min(MSS) {
                    pipe.shut = true;
                    break;
                }
                take = take.min(free);
                if path.bandwidth.is_some() || path.loss != Ratio::ZERO {
                    take = take.min(CHUNK);
                    if pipe.departs > wire.now {
                        if !pipe.pump_queued {
                            pipe.pump_queued = true;
                            wire.due(pipe.departs, sock, NetWhat::Pump);
                        }
                        break;
                    }
                }
            }
            let segment = if take == len {
                pipe.unsent.pop_front().expect("looked at above")
            } else {
                let head = pipe.unsent.front_mut().expect("looked at above");
                let data = head.data.split_to(usize::try_from(take).expect("a part of a length"));
                Segment { data, ..*head }
            };
            pipe.unsent_bytes -= take;
            pipe.flight_bytes += take;
            let median = self.paths.get(places[1 - side]).median();
            let back_open = self.paths.get(places[1 - side]).open;
            launch(pipe, segment, self.paths.get_mut(places[side]), (median, back_open), wire.now);
            if !self.paths.get(places[side]).open || !back_open {
                let rto = link::rto(self.paths.get(places[side]), self.paths.get(places[1 - side]));
                arm(pipe, sock, rto, wire);
            }
        }
        schedule(&mut conn.pipes[side], sock, wire);
    }

    /// Segments reach the receiver's kernel. A delivery that was put off, or whose connection is no more, is nothing.
    pub(in crate::world) fn on_deliver(&mut self, pipe: u32, delivery: u32, wire: &mut Wire<'_>) {
        let Some((sock, conn)) = self.conns.by_pipe(pipe, u8::from(pipe & 1 != 0)) else { return };
        let pipe = &mut conn.pipes[sock.side()];
        if pipe.delivery == Instant::NEVER || pipe.known_by != delivery {
            return;
        }
        pipe.delivery = Instant::NEVER;
        while let Some(conn) = self.live_mut(sock) {
            let pipe = &mut conn.pipes[sock.side()];
            match pipe.flight.front() {
                Some(head) if head.at <= wire.now => self.hand_head(sock, wire),
                _ => {
                    schedule(pipe, sock, wire);
                    break;
                }
            }
        }
    }

    /// The head of the flight is in the receiver's kernel, which acknowledges it.
    pub(super) fn hand_head(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let side = sock.side();
        let conn = &mut self.conns[sock.index()];
        let pipe = &mut conn.pipes[side];
        let segment = pipe.flight.pop_front().expect("the caller saw it");
        let len = segment.len();
        pipe.flight_bytes -= len;
        pipe.holes -= u32::from(segment.hole);
        let back = self.paths.get_mut(conn.paths[1 - side]);
        pipe.unacked = !back.open;
        if pipe.wants_room && !pipe.held_up && back.open && pipe.held() <= self.send_buffer / 3 * 2 {
            let at = wire.now + back.latency();
            wire.due(at, sock, NetWhat::Room);
        }
        if conn.ends[1 - side].state == State::Embryo {
            self.accept(sock.peer(), wire);
        }
        let Some(conn) = self.live_mut(sock) else { return };
        let end = &mut conn.ends[1 - side];
        end.heard = wire.now;
        match end.state {
            State::Open if len > 0 => {
                conn.pipes[side].unread += len;
                let Segment { data, cause, .. } = segment;
                let arrived =
                    Arrived { sock: Some(sock.peer()), what: What::Bytes(data.into_bytes()), cause, via: Via::Message };
                wire.inboxes.push(end.owner, arrived);
            }
            State::Open => {
                end.state = State::Doomed { kernel: true };
                self.tell(sock.peer(), What::Closed(CloseWhy::Eof), segment.cause, wire);
            }
            // The process has closed, or never was: bytes are answered with a reset, an end is not.
            State::Orphan | State::Gone | State::Doomed { .. } if len > 0 => {
                if end.state == State::Orphan {
                    // The kernel drops what it still had to say: the reset says it all (TCPAbortOnData).
                    end.state = State::Gone;
                }
                self.send_reset(sock.peer(), segment.cause, wire);
            }
            State::Orphan | State::Gone | State::Doomed { .. } => self.free_if_over(sock),
            State::Connecting | State::Embryo => unreachable!("data travels on whole connections"),
        }
    }
}

/// Transmits one segment: works out when it arrives.
fn launch(pipe: &mut Pipe, mut segment: Segment, path: &mut Path, (back, back_open): (Span, bool), now: Instant) {
    let left = path.serialise(now, segment.len());
    pipe.departs = left;
    if !path.open {
        segment.at = Instant::NEVER;
        segment.hole = true;
    } else {
        if pipe.holes > 0 && back_open {
            hasten(pipe, path.median(), back, now);
        }
        segment.at = left + path.latency();
        if path.loss != Ratio::ZERO {
            lose(&mut segment, path, back);
        }
    }
    pipe.holes += u32::from(segment.hole);
    pipe.flight.push_back(segment);
}

/// A later segment arrives and its selective acknowledgement tells the sender of the holes: they are sent again one
/// round trip later (fast retransmit) instead of waiting for the timer.
fn hasten(pipe: &mut Pipe, forward: Span, back: Span, now: Instant) {
    for segment in pipe.flight.iter_mut().filter(|segment| segment.hole) {
        segment.at = segment.at.min(now + forward + back + forward);
        segment.hole = false;
    }
    pipe.holes = 0;
}

/// Random loss: costs time, never bytes.
fn lose(segment: &mut Segment, path: &mut Path, back: Span) {
    let packets = segment.len().div_ceil(MSS).max(1);
    let mut lost = false;
    let mut last = false;
    for _ in 0..packets {
        last = path.loses();
        lost |= last;
    }
    if !lost {
        return;
    }
    let round_trip = path.median() + back;
    let rto = round_trip + link::RTO_MIN;
    // A loss before the last packet shows by what follows it; at the tail only the timer notices.
    segment.at += if last { rto } else { round_trip };
    segment.hole = last;
    let mut again = 0;
    while again < LOSSES_MAX && path.loses() {
        segment.at += rto.times(2 << again);
        again += 1;
    }
}

/// Queues the delivery of the head of the flight, if it isn't.
pub(super) fn schedule(pipe: &mut Pipe, sock: Sock, wire: &mut Wire<'_>) {
    let wanted = pipe.flight.front().map_or(Instant::NEVER, |head| head.at);
    if wanted == pipe.delivery {
        return;
    }
    pipe.delivery = wanted;
    if wanted != Instant::NEVER {
        pipe.known_by = wire.queue.push_delivery(wanted.max(wire.now), sock.pipe());
    }
}

/// Starts the retransmission timer, if it doesn't run.
pub(super) fn arm(pipe: &mut Pipe, sock: Sock, rto: Span, wire: &mut Wire<'_>) {
    if !pipe.rto_armed {
        pipe.rto_armed = true;
        pipe.rto_epoch = pipe.rto_epoch.wrapping_add(1);
        let after = rto.times(1 << pipe.backoff.min(16)).min(link::RTO_MAX);
        wire.due_epoch(wire.now + after, sock, pipe.rto_epoch, NetWhat::Rto);
    }
}
