//! Deployments at one shared address: who is meant by a port, and connections out of the simulation.

use std::collections::BTreeMap;

use super::connection::{Sock, State, UNACCEPTED};
use super::{Net, NetWhat, What, Wire};
use crate::id::{Addr, Ip, MachineId};
use crate::scenario::Scenario;

/// The first ephemeral port of an address that everybody shares, beyond those that a real kernel gives out.
pub(super) const EPHEMERAL: u16 = 61_000;

/// Which machine is meant by a port of the shared address.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    ip: Ip,
    ports: BTreeMap<u16, MachineId>,
    outside: MachineId,
}

impl Shared {
    pub(super) fn of(scenario: &Scenario) -> Option<Shared> {
        let served = scenario.served?;
        let listening = scenario.nodes.iter().filter(|node| node.addr.port != 0);
        let ports = listening.map(|node| (node.addr.port, node.machine)).collect();
        Some(Shared { ip: served.ip, ports, outside: served.outside })
    }

    /// Where an address is: what no node has is outside.
    pub(super) fn place(&self, to: Addr) -> MachineId {
        let here = to.ip == self.ip || to.ip == Ip::LOOPBACK;
        self.ports.get(&to.port).filter(|_| here).copied().unwrap_or(self.outside)
    }
}

impl Net {
    /// Whether the machine stands for everything outside.
    pub(super) fn is_outside(&self, machine: MachineId) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.outside == machine)
    }

    /// How often somebody has begun or ceased to listen.
    pub(in crate::world) fn listening_changes(&self) -> u64 {
        self.listening
    }

    /// Whether a process listens there.
    pub(in crate::world) fn listens(&self, machine: MachineId, port: u16) -> bool {
        self.listeners[machine.index()].contains_key(&port)
    }

    /// Gives the connecting end the address that its party has outside.
    pub(in crate::world) fn rename(&mut self, sock: Sock, addr: Addr) {
        if let Some(conn) = self.live_mut(sock) {
            conn.ends[sock.side()].addr = addr;
        }
    }

    /// A SYN has come to the outside, which must find out whether somebody is there. A SYN that is sent again finds that it
    /// is being found out, or repeats the answer.
    pub(super) fn dial(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        let outside = self.nodes + 1;
        let conn = &mut self.conns[sock.index()];
        let cause = conn.cause;
        let end = &mut conn.ends[1];
        if end.state != State::Embryo {
            (end.owner, end.incarnation, end.state) = (outside, 0, State::Embryo);
            self.tell(Sock { side: 1, ..sock }, What::Accepted, cause, wire);
        } else if end.number != UNACCEPTED {
            self.answer(Sock { side: 1, ..sock }, NetWhat::SynAck, wire);
        }
    }

    /// Where the outside is asked to connect to: `None` once that is settled.
    pub(in crate::world) fn dialled(&self, sock: Sock) -> Option<Addr> {
        let end = &self.live(sock)?.ends[sock.side()];
        (end.state == State::Embryo && end.number == UNACCEPTED).then_some(end.addr)
    }

    /// The outside has found somebody: the end gets its number. False if nobody waits for it any more.
    pub(in crate::world) fn pick_up(&mut self, sock: Sock, number: u32, wire: &mut Wire<'_>) -> bool {
        let waiting = self.dialled(sock).is_some();
        if waiting {
            self.attach(sock, number);
            self.answer(sock, NetWhat::SynAck, wire);
        }
        waiting
    }

    /// The outside has found nobody.
    pub(in crate::world) fn turn_down(&mut self, sock: Sock, wire: &mut Wire<'_>) {
        if self.dialled(sock).is_some() {
            self.conns[sock.index()].ends[sock.side()].state = State::Gone;
            self.answer(sock, NetWhat::Refuse, wire);
        }
    }

    fn answer(&mut self, sock: Sock, answer: NetWhat, wire: &mut Wire<'_>) {
        let place = self.conns[sock.index()].paths[sock.side()];
        match self.packet(place, wire.now) {
            Some(at) => wire.due(at, sock.peer(), answer),
            None => self.syn_lost(sock, wire),
        }
    }
}
