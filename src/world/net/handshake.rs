//! Opening connections: SYN, its answer, the last acknowledgement, refusals and retries.

use super::connection::{Connection, End, NOBODY, Pipe, Sock, State, UNACCEPTED};
use super::{EPHEMERAL, EPHEMERAL_LAST, Listener, Net, NetWhat, What, Wire, shared};
use crate::id::{Addr, EventId, Ip, MachineId};
use crate::node::RefusedWhy;
use crate::time::{Instant, Span};
use crate::trace::event::NetEvent;

/// SYNs sent again at a steady second (`tcp_syn_linear_timeouts`, since Linux 6.5) before the wait doubles each time.
const SYN_LINEAR: u8 = 4;
/// SYNs sent again after those (`tcp_syn_retries`): all in all 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s after the first;
/// failure after 131 s.
const SYN_RETRIES: u8 = 6;

/// How long after the first SYN the next one is due when so many were sent again.
fn syn_due(tries: u8) -> Span {
    match tries.checked_sub(SYN_LINEAR) {
        None => Span::from_secs(u64::from(tries) + 1),
        Some(doubled) => Span::from_secs(u64::from(SYN_LINEAR) + (2 << doubled) - 1),
    }
}

/// Unanswered ARP requests, one a second, before a host on the same network counts as unreachable.
const ARP_FAILS: Span = Span::from_secs(3);
/// Answers to a SYN sent again (`tcp_synack_retries`).
const ACK_RETRIES: u8 = 5;

/// Who connects.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) struct Caller {
    pub(in crate::world) owner: u16,
    pub(in crate::world) incarnation: u32,
    /// The process's own number for the connection.
    pub(in crate::world) number: u32,
    pub(in crate::world) machine: MachineId,
}

impl Net {
    /// Sends a SYN. The outcome reaches the caller's inbox.
    pub(in crate::world) fn connect(&mut self, caller: Caller, to: Addr, cause: EventId, wire: &mut Wire<'_>) -> Sock {
        let machine = caller.machine;
        let local = to.ip == Ip::LOOPBACK;
        let target = match &self.shared {
            Some(shared) => Some(shared.place(to)),
            None if local => Some(machine),
            None => self.by_ip.get(&to.ip).copied(),
        };
        let peer = target.unwrap_or(machine);
        let ip = if local { Ip::LOOPBACK } else { self.ips[machine.index()] };
        let from = Addr::new(ip, self.ephemeral_port(machine));
        let paths = [
            self.paths.find(machine, peer, &self.fabric, &self.power),
            self.paths.find(peer, machine, &self.fabric, &self.power),
        ];
        let end = |owner, incarnation, number, addr, machine, state| End {
            owner,
            incarnation,
            number,
            addr,
            machine,
            state,
            heard: wire.now,
            keepalive_armed: false,
        };
        self.serial = self.serial.wrapping_add(1);
        let slot = self.conns.insert(Connection {
            live: true,
            serial: self.serial,
            ends: [
                end(caller.owner, caller.incarnation, caller.number, from, machine, State::Connecting),
                end(NOBODY, 0, UNACCEPTED, to, peer, State::Gone),
            ],
            pipes: [Pipe::default(), Pipe::default()],
            paths,
            ways: self.paths.ways(paths),
            quiet: false,
            established: false,
            began: wire.now,
            syn_tries: 0,
            syn_retry_queued: false,
            ack_tries: 0,
            cause,
            reset_causes: [EventId::NONE; 2],
        });
        let slot = u32::try_from(slot).expect("fewer than 2^32 connections");
        let sock = Sock { slot, serial: self.serial, side: 0 };
        if target.is_some() {
            self.send_syn(sock, wire);
        } else {
            wire.due(wire.now + ARP_FAILS, sock, NetWhat::Unreachable);
        }
        sock
    }

    fn ephemeral_port(&mut self, machine: MachineId) -> u16 {
        let (place, first, last) = match &self.shared {
            Some(_) => (0, shared::EPHEMERAL, u16::MAX),
            None => (machine.index(), EPHEMERAL, EPHEMERAL_LAST),
        };
        let next = &mut self.next_port[place];
        let port = (*next).max(first);
        *next = if port == last { first } else { port + 1 };
        port
    }

    /// A packet without data: when it arrives, if it does.
    pub(super) fn packet(&mut self, place: u32, now: Instant) -> Option<Instant> {
        let path = self.paths.get_mut(place);
        if !path.open || path.loses() {
            return None;
        }
        Some(now + path.latency())
    }

    fn send_syn(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let place = self.conns[sock.index()].paths[0];
        match self.packet(place, wire.now) {
            Some(at) => wire.due(at, sock.peer(), NetWhat::Syn),
            None => self.syn_lost(sock, wire),
        }
    }

    /// Nothing will answer: the next try is queued, unless it is already.
    pub(super) fn syn_lost(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        if !conn.syn_retry_queued && conn.ends[0].state == State::Connecting {
            conn.syn_retry_queued = true;
            wire.due((conn.began + syn_due(conn.syn_tries)).max(wire.now), Sock { side: 0, ..sock }, NetWhat::SynRetry);
        }
    }

    pub(super) fn on_syn_retry(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        conn.syn_retry_queued = false;
        if conn.ends[0].state != State::Connecting {
            return;
        }
        if conn.syn_tries == SYN_LINEAR + SYN_RETRIES {
            self.refuse(sock, RefusedWhy::TimedOut, wire);
            return;
        }
        conn.syn_tries += 1;
        self.send_syn(sock, wire);
    }

    /// At the accepting side.
    pub(super) fn on_syn(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        let [forward, back] = conn.paths;
        if conn.established {
            return;
        }
        if !self.paths.get(forward).open {
            self.syn_lost(sock, wire);
            return;
        }
        let to = conn.ends[1].machine;
        if self.is_outside(to) {
            self.dial(sock, wire);
            return;
        }
        let conn = &mut self.conns[sock.index()];
        let end = &mut conn.ends[1];
        let answer = match self.listeners[end.machine.index()].get(&end.addr.port) {
            Some(&Listener { owner, incarnation }) => {
                (end.owner, end.incarnation, end.state) = (owner, incarnation, State::Embryo);
                NetWhat::SynAck
            }
            None => {
                end.state = State::Gone;
                NetWhat::Refuse
            }
        };
        match self.packet(back, wire.now) {
            Some(at) => wire.due(at, sock.peer(), answer),
            None => self.syn_lost(sock, wire),
        }
    }

    /// At the connecting side.
    pub(super) fn on_syn_ack(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        let [forward, back] = conn.paths;
        if !self.paths.get(back).open {
            self.syn_lost(sock, wire);
            return;
        }
        if conn.ends[0].state != State::Connecting {
            return;
        }
        conn.ends[0].state = State::Open;
        conn.ends[0].heard = wire.now;
        conn.established = true;
        let cause = conn.cause;
        self.tell(sock, What::Connected, cause, wire);
        match self.packet(forward, wire.now) {
            Some(at) => wire.due(at, sock.peer(), NetWhat::Ack),
            None => self.ack_lost(sock.peer(), wire),
        }
        self.pump(sock, wire);
    }

    /// The accepting side asks again for the last acknowledgement, with back-off.
    fn ack_lost(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        conn.ack_tries += 1;
        wire.due(wire.now + Span::from_secs(1 << (conn.ack_tries - 1)), sock, NetWhat::Ack);
    }

    /// The handshake is over at the accepting side.
    pub(super) fn on_ack(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        if conn.ends[1].state != State::Embryo {
            return;
        }
        let [forward, back] = conn.paths;
        let passes = self.paths.get(forward).open && (conn.ack_tries == 0 || self.paths.get(back).open);
        if passes && conn.ends[0].kernel() {
            self.accept(sock, wire);
        } else if conn.ack_tries == ACK_RETRIES {
            conn.ends[1].state = State::Gone;
            self.free_if_over(sock);
        } else {
            self.ack_lost(sock, wire);
        }
    }

    /// The kernel has a whole connection for the listening process.
    pub(super) fn accept(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let conn = &mut self.conns[sock.index()];
        let end = &mut conn.ends[1];
        let listener = Listener { owner: end.owner, incarnation: end.incarnation };
        let outside = end.owner >= self.nodes;
        if !outside && self.listeners[end.machine.index()].get(&end.addr.port) != Some(&listener) {
            end.state = State::Gone;
            let cause = conn.cause;
            self.send_reset(sock, cause, wire);
            return;
        }
        end.state = State::Open;
        end.heard = wire.now;
        let cause = conn.cause;
        self.tell(sock, What::Accepted, cause, wire);
    }

    /// The attempt failed.
    pub(super) fn refuse(&mut self, sock: Sock, why: RefusedWhy, wire: &mut Wire<'_>) {
        let conn = &self.conns[sock.index()];
        let [forward, back] = conn.paths.map(|place| self.paths.get(place));
        if conn.ends[0].state != State::Connecting || conn.established {
            return;
        }
        if why == RefusedWhy::Refused && !back.open {
            self.syn_lost(sock, wire);
            return;
        }
        let cause = match why {
            RefusedWhy::TimedOut if !forward.open => forward.cause,
            RefusedWhy::TimedOut if !back.open => back.cause,
            RefusedWhy::TimedOut | RefusedWhy::Refused | RefusedWhy::Unreachable => conn.cause,
        };
        let cause = cause.some().unwrap_or(conn.cause);
        let to = conn.ends[1].addr;
        let cause = self.note(sock, cause, NetEvent::ConnectFailed { to, why }, wire);
        self.conns[sock.index()].ends[0].state = State::Doomed { kernel: false };
        self.tell(sock, What::Refused(why), cause, wire);
    }
}

#[test]
fn connection_attempts_follow_linux() {
    let due: Vec<u64> = (0..=SYN_LINEAR + SYN_RETRIES).map(|tries| syn_due(tries).secs()).collect();
    assert_eq!(due, [1, 2, 3, 4, 5, 7, 11, 19, 35, 67, 131]);
}
