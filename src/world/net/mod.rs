//! The network: connections that behave as TCP, over paths that have latency, loss, bandwidth, and can be cut.
//!
//! It knows machines, addresses and byte streams; what the bytes mean is not its business. In good times a segment
//! costs one queued event, its delivery: acknowledgements, windows and retransmission timers come to life only when
//! a path is cut, a window shuts, or somebody waits for room.

mod connection;
mod conns;
mod ending;
mod flight;
mod flow;
mod handshake;
mod link;
mod partition;
mod quick;
mod recovery;
mod shared;

pub(super) use connection::Sock;
pub(super) use handshake::Caller;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use connection::{Connection, State};
use conns::Conns;
use link::Paths;
use partition::Fabric;
use shared::Shared;

use super::queue::{Due, Queue};
use crate::id::{Addr, EventId, Fd, Ip, MachineId, NodeId};
use crate::node::{CloseWhy, RefusedWhy};
use crate::rng::Seed;
use crate::scenario::{LinkRule, Scenario};
use crate::time::Instant;
use crate::trace::event::NetEvent;
use crate::trace::{Kind, Tracer, Via};

/// What can be due on the network.
#[derive(Clone, Copy, Debug)]
pub(super) enum NetWhat {
    /// A SYN reaches the accepting side.
    Syn,
    /// The answer to a SYN reaches the connecting side.
    SynAck,
    /// The answer to a SYN is a reset.
    Refuse,
    /// Nothing answered the SYN in time.
    SynRetry,
    /// No such machine: the attempt fails.
    Unreachable,
    /// The handshake's last packet reaches the accepting side.
    Ack,
    /// A reset reaches this side.
    Reset,
    /// The retransmission timer of the pipe from this side.
    Rto,
    /// A retransmission of the pipe from this side reaches the other.
    Probe,
    /// Its acknowledgement is back.
    ProbeAck,
    /// News about the receiver's window is back at this side.
    Window,
    /// Room in the socket of this side.
    Room,
    /// The path of limited bandwidth takes the next chunk of this side.
    Pump,
    /// Keepalive of this side; the number of probes that stayed unanswered.
    Keepalive(u8),
}

/// A network event in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct NetDue {
    sock: Sock,
    epoch: u32,
    what: NetWhat,
}

/// Something that has arrived and waits until its process takes it.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    /// The connection that it is about, if it is about one.
    pub(super) sock: Option<Sock>,
    pub(super) what: What,
    pub(super) cause: EventId,
    pub(super) via: Via,
}

/// What has arrived: [`crate::node::Input`] before descriptors are known.
#[derive(Clone, Debug)]
pub(super) enum What {
    Accepted,
    Connected,
    Refused(RefusedWhy),
    Bytes(Bytes),
    Closed(CloseWhy),
    Writable,
    DiskDone { op: u64, ok: bool },
    JobDone { job: u64 },
    Files(crate::node::DiskImage),
    Signal(crate::node::Signal),
}

/// Bytes that an idle process takes at once.
#[derive(Debug)]
pub(super) struct Alone {
    pub(super) owner: u16,
    pub(super) fd: Fd,
    pub(super) data: Bytes,
    pub(super) cause: EventId,
}

/// What waits for each process, and which processes have something new.
#[derive(Clone, Debug, Default)]
pub(super) struct Inboxes {
    pub(super) boxes: Vec<VecDeque<Arrived>>,
    ready: VecDeque<u16>,
    marked: Vec<bool>,
}

impl Inboxes {
    pub(super) fn new(owners: usize) -> Inboxes {
        Inboxes { boxes: vec![VecDeque::new(); owners], ready: VecDeque::new(), marked: vec![false; owners] }
    }

    pub(super) fn push(&mut self, owner: u16, arrived: Arrived) {
        self.boxes[usize::from(owner)].push_back(arrived);
        self.mark(owner);
    }

    /// Has the owner looked at, once everything that happens at this instant has happened.
    pub(super) fn mark(&mut self, owner: u16) {
        let marked = &mut self.marked[usize::from(owner)];
        if !*marked {
            *marked = true;
            self.ready.push_back(owner);
        }
    }

    pub(super) fn next_ready(&mut self) -> Option<u16> {
        let owner = self.ready.pop_front()?;
        self.marked[usize::from(owner)] = false;
        Some(owner)
    }

    pub(super) fn none_ready(&self) -> bool {
        self.ready.is_empty()
    }
}

/// What the network needs from the world in every call.
#[derive(Debug)]
pub(super) struct Wire<'a> {
    pub(super) now: Instant,
    pub(super) queue: &'a mut Queue,
    pub(super) inboxes: &'a mut Inboxes,
    pub(super) tracer: &'a mut Tracer,
}

/// Who listens on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) owner: u16,
    pub(super) incarnation: u32,
}

/// The fabric and everything that goes over it.
#[derive(Clone, Debug)]
pub(super) struct Net {
    conns: Conns,
    serial: u32,
    paths: Paths,
    fabric: Fabric,
    /// Which machines have power.
    power: Vec<bool>,
    listeners: Vec<BTreeMap<u16, Listener>>,
    by_ip: BTreeMap<Ip, MachineId>,
    /// Nodes that share one address, when a host serves them.
    shared: Option<Shared>,
    /// How often somebody began or ceased to listen.
    listening: u64,
    ips: Vec<Ip>,
    next_port: Vec<u16>,
    /// Owners from here on are not nodes: nothing is noted in the trace about them.
    nodes: u16,
    send_buffer: u64,
    receive_buffer: u64,
}

/// The first ephemeral port (`ip_local_port_range`).
const EPHEMERAL: u16 = 32_768;
const EPHEMERAL_LAST: u16 = 60_999;

impl Net {
    pub(super) fn new(scenario: &Arc<Scenario>, seed: Seed) -> Net {
        let machines = scenario.machines.len();
        let id = |index: usize| MachineId(u16::try_from(index).expect("machine ids are 16 bits"));
        Net {
            conns: Conns::default(),
            serial: 0,
            paths: Paths::new(scenario.clone(), seed),
            fabric: Fabric::new(machines),
            power: vec![true; machines],
            listeners: vec![BTreeMap::new(); machines],
            by_ip: scenario.machines.iter().enumerate().map(|(i, machine)| (machine.ip, id(i))).collect(),
            shared: Shared::of(scenario),
            listening: 0,
            ips: scenario.machines.iter().map(|machine| machine.ip).collect(),
            next_port: vec![EPHEMERAL; machines],
            nodes: u16::try_from(scenario.nodes.len()).expect("node ids are 16 bits"),
            send_buffer: scenario.network.send_buffer,
            receive_buffer: scenario.network.receive_buffer,
        }
    }

    /// Whether the machine runs.
    pub(super) fn has_power(&self, machine: MachineId) -> bool {
        self.power[machine.index()]
    }

    /// Accept connections to this port of the machine from now on.
    pub(super) fn listen(&mut self, machine: MachineId, port: u16, listener: Listener) {
        self.listeners[machine.index()].insert(port, listener);
        self.listening += 1;
    }

    /// Takes one queued event. One that is about a connection that is no more, or that was put off, is nothing.
    pub(super) fn handle(&mut self, due: NetDue, wire: &mut Wire<'_>) {
        let sock = due.sock;
        if self.live(sock).is_none() {
            return;
        }
        match due.what {
            NetWhat::Syn => self.on_syn(sock, wire),
            NetWhat::SynAck => self.on_syn_ack(sock, wire),
            NetWhat::Refuse => self.refuse(sock, RefusedWhy::Refused, wire),
            NetWhat::Unreachable => self.refuse(sock, RefusedWhy::Unreachable, wire),
            NetWhat::SynRetry => self.on_syn_retry(sock, wire),
            NetWhat::Ack => self.on_ack(sock, wire),
            NetWhat::Reset => self.on_reset(sock, wire),
            NetWhat::Rto => self.on_rto(sock, due.epoch, wire),
            NetWhat::Probe => self.on_probe(sock, wire),
            NetWhat::ProbeAck => self.on_probe_ack(sock, wire),
            NetWhat::Window => self.on_window(sock, wire),
            NetWhat::Room => self.on_room(sock, wire),
            NetWhat::Pump => {
                self.conns[sock.index()].pipes[sock.side()].pump_queued = false;
                self.pump(sock, wire);
            }
            NetWhat::Keepalive(unanswered) => self.on_keepalive(sock, unanswered, wire),
        }
    }

    /// The connection, if it still is the same one.
    fn live(&self, sock: Sock) -> Option<&Connection> {
        self.conns.get(sock)
    }

    fn live_mut(&mut self, sock: Sock) -> Option<&mut Connection> {
        self.conns.get_mut(sock)
    }

    /// What an arrival means to the process that takes it: `None` if the process closed the connection meanwhile.
    pub(super) fn taking(&self, sock: Sock) -> Option<Taking> {
        let conn = self.live(sock)?;
        let end = &conn.ends[sock.side()];
        end.attached().then(|| Taking { fd: Fd(end.number), local: end.addr, peer: conn.ends[1 - sock.side()].addr })
    }

    /// Gives an accepted end its process's number.
    pub(super) fn attach(&mut self, sock: Sock, number: u32) {
        let conn = self.live_mut(sock).expect("an end is attached when its acceptance is taken");
        conn.ends[sock.side()].number = number;
    }

    /// How much the socket takes now.
    pub(super) fn room(&self, sock: Sock) -> usize {
        let free = self.live(sock).map(|conn| &conn.pipes[sock.side()]).map_or(self.send_buffer, |pipe| {
            if pipe.held_up { 0 } else { self.send_buffer.saturating_sub(pipe.held()) }
        });
        usize::try_from(free).unwrap_or(usize::MAX)
    }

    /// One more fault cuts these paths.
    pub(super) fn sever(&mut self, pairs: &[(MachineId, MachineId)], cause: EventId, wire: &mut Wire<'_>) {
        for &(from, to) in pairs {
            self.fabric.sever(from, to, cause);
        }
        self.refresh_paths(cause, wire);
    }

    /// A fault that cut these paths is healed.
    pub(super) fn heal(&mut self, pairs: &[(MachineId, MachineId)], cause: EventId, wire: &mut Wire<'_>) {
        for &(from, to) in pairs {
            self.fabric.heal(from, to);
        }
        self.refresh_paths(cause, wire);
    }

    /// A fault gives paths other properties.
    pub(super) fn add_effect(&mut self, fault: u16, rule: LinkRule, cause: EventId, wire: &mut Wire<'_>) {
        self.paths.add_effect(fault, rule);
        self.refresh_paths(cause, wire);
    }

    /// It is healed.
    pub(super) fn remove_effect(&mut self, fault: u16, cause: EventId, wire: &mut Wire<'_>) {
        self.paths.remove_effect(fault);
        self.refresh_paths(cause, wire);
    }

    /// The machine lost its power or has it again.
    pub(super) fn set_power(&mut self, machine: MachineId, on: bool, cause: EventId, wire: &mut Wire<'_>) {
        self.power[machine.index()] = on;
        if !on {
            self.listeners[machine.index()].clear();
            self.listening += 1;
            self.forget_machine(machine);
        }
        self.refresh_paths(cause, wire);
    }

    /// Works the paths out again; connections over those that closed find out.
    fn refresh_paths(&mut self, cause: EventId, wire: &mut Wire<'_>) {
        let places: Vec<u32> = self.conns.iter().flat_map(|(_, conn)| conn.paths).collect();
        let before: Vec<bool> = places.iter().map(|&place| self.paths.get(place).open).collect();
        self.paths.refresh_all(&self.fabric, &self.power);
        for conn in self.conns.iter_mut() {
            conn.ways = self.paths.ways(conn.paths);
        }
        let socks: Vec<Sock> = self
            .conns
            .iter()
            .flat_map(|(slot, conn)| {
                let slot = u32::try_from(slot).expect("fewer than 2^32 connections");
                [0, 1].map(|side| Sock { slot, serial: conn.serial, side })
            })
            .collect();
        for ((place, was_open), sock) in places.into_iter().zip(before).zip(socks) {
            let path = self.paths.get_mut(place);
            if was_open && !path.open {
                path.cause = cause;
                self.on_cut(sock, wire);
            }
        }
    }

    /// Notes something about an end's node; what it becomes the cause of.
    fn note(&self, sock: Sock, cause: EventId, event: NetEvent, wire: &mut Wire<'_>) -> EventId {
        let owner = self.conns[sock.index()].ends[sock.side()].owner;
        if owner >= self.nodes {
            return cause;
        }
        wire.tracer.record(Some(NodeId(owner)), cause, Via::Message, Kind::Net(event))
    }

    /// Puts something into the inbox of an end's process.
    fn tell(&self, sock: Sock, what: What, cause: EventId, wire: &mut Wire<'_>) {
        let owner = self.conns[sock.index()].ends[sock.side()].owner;
        wire.inboxes.push(owner, Arrived { sock: Some(sock), what, cause, via: Via::Message });
    }

    /// Forgets the connection once no process has an end of it and nothing will be asked of it.
    fn free_if_over(&mut self, sock: Sock) {
        let Some(conn) = self.live(sock) else { return };
        let over = |end: &connection::End| matches!(end.state, State::Gone | State::Orphan);
        if conn.ends.iter().all(over) {
            self.conns.remove(sock.index());
        }
    }
}

/// Facts about a connection that an input carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taking {
    pub(super) fd: Fd,
    pub(super) local: Addr,
    pub(super) peer: Addr,
}

impl Wire<'_> {
    fn due(&mut self, at: Instant, sock: Sock, what: NetWhat) {
        self.queue.push(at, Due::Net(NetDue { sock, epoch: 0, what }));
    }

    fn due_epoch(&mut self, at: Instant, sock: Sock, epoch: u32, what: NetWhat) {
        self.queue.push(at, Due::Net(NetDue { sock, epoch, what }));
    }
}
