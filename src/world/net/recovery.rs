//! When packets don't arrive: cuts, the retransmission timer with its back-off, probes, keepalive.

use super::connection::{Sock, State};
use super::flow::{arm, schedule};
use super::{Net, NetWhat, What, Wire, link};
use crate::node::CloseWhy;
use crate::time::{Instant, Span};
use crate::trace::event::NetEvent;

/// Expiries of the retransmission timer before a connection is given up (`tcp_retries2`).
const RETRIES: u8 = 15;
/// The same for a connection that no process has any more (`tcp_orphan_retries`).
const ORPHAN_RETRIES: u8 = 8;
/// Redis's `tcp-keepalive`: silence before the first probe, then a third of it between probes, three of them.
const KEEPALIVE_IDLE: Span = Span::from_secs(300);
const KEEPALIVE_INTERVAL: Span = Span::from_secs(100);
const KEEPALIVE_PROBES: u8 = 3;

impl Net {
    /// The path of the pipe from this side has just closed: what is on it is lost, and so are the acknowledgements
    /// that travel on it for the other pipe.
    pub(super) fn on_cut(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let (forward, back) = self.both_paths(sock);
        let rto = link::rto(forward, back);
        let Some(conn) = self.conns.get_mut(sock) else { return };
        let pipe = &mut conn.pipes[sock.side()];
        for segment in pipe.flight.iter_mut().filter(|segment| segment.at > wire.now && segment.at != Instant::NEVER) {
            segment.at = Instant::NEVER;
            pipe.holes += u32::from(!segment.hole);
            segment.hole = true;
        }
        schedule(pipe, sock, wire);
        if pipe.outstanding() {
            arm(pipe, sock, rto, wire);
        }
        let other = &mut conn.pipes[1 - sock.side()];
        if !other.flight.is_empty() {
            arm(other, sock.peer(), rto, wire);
        }
        self.watch(sock, wire);
        self.watch(sock.peer(), wire);
    }

    /// Starts keepalive on an end whose peer may have become silent. In good times it would change nothing.
    pub(super) fn watch(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let Some(conn) = self.live_mut(sock) else { return };
        let end = &mut conn.ends[sock.side()];
        if end.state == State::Open && !end.keepalive_armed {
            end.keepalive_armed = true;
            let at = (end.heard + KEEPALIVE_IDLE).max(wire.now);
            wire.due(at, sock, NetWhat::Keepalive(0));
        }
    }

    pub(super) fn on_keepalive(&mut self, sock: Sock, unanswered: u8, wire: &mut Wire<'_>) {
        let (forward, back) = self.both_paths(sock);
        let reachable = forward.open && back.open;
        let round_trip = forward.median() + back.median();
        let conn = &mut self.conns[sock.index()];
        let knows = conn.ends[1 - sock.side()].kernel();
        let sending = conn.pipes[sock.side()].outstanding() || !conn.pipes[sock.side()].unsent.is_empty();
        let end = &mut conn.ends[sock.side()];
        if end.state != State::Open || reachable && knows {
            end.keepalive_armed = false;
            return;
        }
        let quiet_at = end.heard + KEEPALIVE_IDLE;
        let (at, unanswered) = if sending || quiet_at > wire.now {
            // Data that waits for its acknowledgement has a timer of its own.
            (quiet_at.max(wire.now + KEEPALIVE_INTERVAL), 0)
        } else if reachable {
            end.keepalive_armed = false;
            wire.due(wire.now + round_trip, sock, NetWhat::Reset);
            return;
        } else if unanswered == KEEPALIVE_PROBES {
            self.time_out(sock, wire);
            return;
        } else {
            (wire.now + KEEPALIVE_INTERVAL, unanswered + 1)
        };
        wire.due(at, sock, NetWhat::Keepalive(unanswered));
    }

    /// The retransmission timer of a pipe ran out.
    pub(super) fn on_rto(&mut self, sock: Sock, epoch: u32, wire: &mut Wire<'_>) {
        let (forward, back) = self.both_paths(sock);
        let (open, cause, rto) =
            (forward.open, if forward.open { back.cause } else { forward.cause }, link::rto(forward, back));
        let conn = &mut self.conns[sock.index()];
        let orphan = conn.ends[sock.side()].state == State::Orphan;
        let pipe = &mut conn.pipes[sock.side()];
        if pipe.rto_epoch != epoch || !pipe.rto_armed {
            return;
        }
        pipe.rto_armed = false;
        if !pipe.outstanding() {
            self.acknowledged(sock, wire);
            return;
        }
        if !pipe.unacked && pipe.flight.front().is_some_and(|head| head.at != Instant::NEVER) {
            // Under way by now.
            arm(pipe, sock, rto, wire);
            return;
        }
        if pipe.backoff >= if orphan { ORPHAN_RETRIES } else { RETRIES } {
            self.time_out(sock, wire);
            return;
        }
        pipe.backoff += 1;
        arm(pipe, sock, rto, wire);
        let bytes = pipe.held();
        if !pipe.stalled {
            pipe.stalled = true;
            if bytes > 0 {
                let peer = conn.ends[1 - sock.side()].addr;
                let event = self.note(sock, cause, NetEvent::Stalled { peer, bytes }, wire);
                self.conns[sock.index()].pipes[sock.side()].stall = event;
            }
        }
        if open {
            let place = self.conns[sock.index()].paths[sock.side()];
            if let Some(at) = self.packet(place, wire.now) {
                wire.due(at, sock, NetWhat::Probe);
            }
        }
    }

    /// A retransmission arrives: new data for the receiver, or a duplicate that it acknowledges again.
    pub(super) fn on_probe(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let (forward, _) = self.both_paths(sock);
        let conn = &self.conns[sock.index()];
        let pipe = &conn.pipes[sock.side()];
        if !forward.open || !conn.ends[sock.side()].kernel() {
            return;
        }
        if !conn.ends[1 - sock.side()].kernel() {
            let cause = pipe.flight.front().map_or(conn.cause, |head| head.cause);
            self.send_reset(sock.peer(), cause, wire);
            return;
        }
        if pipe.flight.front().is_some_and(|head| head.at == Instant::NEVER) {
            self.hand_head(sock, wire);
        }
        let Some(conn) = self.live(sock) else { return };
        let place = conn.paths[1 - sock.side()];
        match self.packet(place, wire.now) {
            Some(at) => wire.due(at, sock, NetWhat::ProbeAck),
            None => self.conns[sock.index()].pipes[sock.side()].unacked = true,
        }
    }

    pub(super) fn on_probe_ack(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let (_, back) = self.both_paths(sock);
        if back.open {
            self.conns[sock.index()].ends[sock.side()].heard = wire.now;
            self.acknowledged(sock, wire);
        } else {
            self.conns[sock.index()].pipes[sock.side()].unacked = true;
        }
    }

    /// The peer is heard again: what was lost is sent again at once, and what was held follows.
    fn acknowledged(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        let pipe = &mut conn.pipes[sock.side()];
        (pipe.stalled, pipe.unacked, pipe.backoff, pipe.rto_armed) = (false, false, 0, false);
        for mut segment in pipe.flight.take_back_from(|segment| segment.at == Instant::NEVER) {
            pipe.flight_bytes -= segment.len();
            pipe.unsent_bytes += segment.len();
            pipe.holes -= u32::from(segment.hole);
            segment.hole = false;
            pipe.unsent.push_front(segment);
        }
        self.on_room(sock, wire);
        self.pump(sock, wire);
    }

    /// The kernel gives the connection up.
    fn time_out(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let (forward, back) = self.both_paths(sock);
        let fault = if forward.open { back.cause } else { forward.cause };
        let conn = &mut self.conns[sock.index()];
        let stall = conn.pipes[sock.side()].stall;
        conn.pipes[sock.side()].abandon();
        let cause = stall.some().or(fault.some()).unwrap_or(conn.cause);
        self.broken(sock, CloseWhy::TimedOut, cause, wire);
    }

    /// An end finds its connection broken.
    pub(super) fn broken(&mut self, sock: Sock, why: CloseWhy, cause: crate::id::EventId, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        let peer = conn.ends[1 - sock.side()].addr;
        let end = &mut conn.ends[sock.side()];
        match end.state {
            State::Open => {
                end.state = State::Doomed { kernel: false };
                let cause = self.note(sock, cause, NetEvent::Broken { peer, why }, wire);
                self.tell(sock, What::Closed(why), cause, wire);
            }
            State::Doomed { .. } => end.state = State::Doomed { kernel: false },
            State::Embryo | State::Orphan | State::Gone => {
                end.state = State::Gone;
                self.watch(sock.peer(), wire);
                self.free_if_over(sock);
            }
            State::Connecting => unreachable!("an attempt ends in a refusal"),
        }
    }
}
