//! How connections end: close, the death of a process or a machine, resets.

use super::connection::{Data, Segment, Sock, State, UNACCEPTED};
use super::flow::schedule;
use super::{Net, NetWhat, Wire};
use crate::id::{EventId, MachineId};
use crate::node::CloseWhy;
use crate::time::{Instant, Span};

/// What a kernel takes to close one descriptor of a dead process, about. A peer with two connections to it can look
/// between their ends: Sentinel, which then waits a second with reopening the second.
const CLOSING: Span = Span::from_us(20);

impl Net {
    /// The process closed its descriptor: what it sent is still delivered, then the end. Unread input makes it a reset.
    pub(in crate::world) fn close(&mut self, sock: Sock, cause: EventId, wire: &mut Wire<'_>) {
        let Some(conn) = self.live_mut(sock) else { return };
        let unread = conn.pipes[1 - sock.side()].unread;
        conn.pipes[1 - sock.side()].unread = 0;
        let end = &mut conn.ends[sock.side()];
        match end.state {
            State::Open | State::Doomed { kernel: true } if unread > 0 => {
                end.state = State::Gone;
                self.send_reset(sock, cause, wire);
            }
            State::Open | State::Doomed { kernel: true } => {
                end.state = State::Orphan;
                self.send_end(sock, cause, wire);
            }
            State::Connecting | State::Embryo | State::Doomed { kernel: false } => {
                end.state = State::Gone;
                if !conn.established {
                    conn.ends[1 - sock.side()].state = State::Gone;
                }
                self.free_if_over(sock);
            }
            State::Orphan | State::Gone => unreachable!("a process closes what it has"),
        }
    }

    fn send_end(&mut self, sock: Sock, cause: EventId, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        if matches!(conn.ends[1 - sock.side()].state, State::Orphan | State::Gone) && conn.established {
            // Nobody is left who could notice.
            self.free_if_over(sock);
            return;
        }
        let pipe = &mut conn.pipes[sock.side()];
        pipe.ended = true;
        pipe.wants_room = false;
        pipe.unsent.push_back(Segment { at: Instant::NEVER, cause, data: Data::EMPTY, hole: false });
        self.pump(sock, wire);
    }

    /// A process died: its kernel closes what it had, also what it had not yet accepted.
    pub(in crate::world) fn close_all(&mut self, owner: u16, machine: MachineId, cause: EventId, wire: &mut Wire<'_>) {
        self.listeners[machine.index()].retain(|_, listener| listener.owner != owner);
        self.listening += 1;
        let began = wire.now;
        for sock in self.socks(|end| end.owner == owner) {
            let Some(conn) = self.live_mut(sock) else { continue };
            wire.now += CLOSING;
            let end = &mut conn.ends[sock.side()];
            let accepted = end.number != UNACCEPTED;
            match end.state {
                State::Open | State::Doomed { .. } if !accepted => {
                    end.state = State::Gone;
                    self.send_reset(sock, cause, wire);
                }
                State::Connecting | State::Open | State::Doomed { .. } => self.close(sock, cause, wire),
                State::Embryo => {
                    end.state = State::Gone;
                    self.send_reset(sock, cause, wire);
                }
                State::Orphan | State::Gone => {}
            }
        }
        wire.now = began;
    }

    /// A machine lost its power: its kernel's memory is gone and nobody is told.
    pub(super) fn forget_machine(&mut self, machine: MachineId) {
        for sock in self.socks(|end| end.machine == machine) {
            let Some(conn) = self.live_mut(sock) else { continue };
            conn.ends[sock.side()].state = State::Gone;
            let pipe = &mut conn.pipes[sock.side()];
            pipe.abandon();
            pipe.flight.clear();
            (pipe.flight_bytes, pipe.holes, pipe.delivery) = (0, 0, Instant::NEVER);
            conn.pipes[1 - sock.side()].unread = 0;
            self.free_if_over(sock);
        }
    }

    fn socks(&self, wanted: impl Fn(&super::connection::End) -> bool) -> Vec<Sock> {
        let mut found = Vec::new();
        for (slot, conn) in self.conns.iter() {
            let slot = u32::try_from(slot).expect("fewer than 2^32 connections");
            for side in [0, 1] {
                if wanted(&conn.ends[usize::from(side)]) {
                    found.push(Sock { slot, serial: conn.serial, side });
                }
            }
        }
        found
    }

    /// The kernel of this end tells the peer that it knows nothing of the connection (any more). What it had sent
    /// before arrives before.
    pub(super) fn send_reset(&mut self, sock: Sock, cause: EventId, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        let pipe = &mut conn.pipes[sock.side()];
        if !conn.ends[sock.side()].kernel() {
            pipe.abandon();
            schedule(pipe, sock, wire);
        }
        let after = pipe.flight.iter().map(|segment| segment.at).max().unwrap_or(wire.now);
        let place = conn.paths[sock.side()];
        conn.reset_causes[1 - sock.side()] = cause;
        if let Some(at) = self.packet(place, wire.now) {
            wire.due(at.max(after), sock.peer(), NetWhat::Reset);
        } else {
            self.watch(sock.peer(), wire);
        }
        self.free_if_over(sock);
    }

    /// A reset arrives at this end.
    pub(super) fn on_reset(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let (_, back) = self.both_paths(sock);
        if !back.open {
            self.watch(sock, wire);
            return;
        }
        let conn = &mut self.conns[sock.index()];
        let cause = conn.reset_causes[sock.side()].some().unwrap_or(conn.cause);
        if conn.ends[sock.side()].state == State::Connecting {
            return;
        }
        conn.pipes[sock.side()].abandon();
        schedule(&mut conn.pipes[sock.side()], sock, wire);
        self.broken(sock, CloseWhy::Reset, cause, wire);
    }
}
