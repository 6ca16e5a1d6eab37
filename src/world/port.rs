//! Where hosts attach: connections and faults from outside the simulation, and what comes back to them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::World;
use super::net::{Arrived, Caller, Sock, What};
use super::process::State;
use crate::fault::Fault;
use crate::id::{Addr, EventId, MachineId, NodeId};
use crate::node::{CloseWhy, DiskImage, DiskOp, RefusedWhy, Signal};
use crate::scenario::NodeKind;
use crate::time::Span;
use crate::trace::Via;

/// Something from outside.
#[derive(Clone, Debug)]
pub enum Injection {
    /// A party outside opens a connection to a simulated address, from the machine that has it.
    Connect {
        /// The party's own number for the connection, not in use.
        id: u32,
        /// Where to.
        to: Addr,
    },
    /// It sends bytes.
    Bytes {
        /// Its number for the connection.
        id: u32,
        /// What.
        data: Bytes,
    },
    /// It closes.
    Close {
        /// Its number for the connection.
        id: u32,
    },
    /// A party outside opens a connection to a deployment that a host serves, from the machine that stands for the
    /// outside.
    Call {
        /// The party's own number for the connection, not in use and below [`DIALLED`].
        id: u32,
        /// Where to.
        to: Addr,
        /// The party's own address.
        from: Addr,
    },
    /// Somebody took the connection that [`Outside::Dial`] asked for.
    PickUp {
        /// Its number.
        id: u32,
    },
    /// Nobody took it.
    TurnDown {
        /// Its number.
        id: u32,
    },
    /// The party takes no bytes for the time being: they stay in its socket.
    Hold {
        /// Its number for the connection.
        id: u32,
    },
    /// It takes bytes again.
    Release {
        /// Its number for the connection.
        id: u32,
    },
    /// It wants to know when its socket has room ([`World::outside_room`]): [`Outside::Writable`].
    AwaitWritable {
        /// Its number for the connection.
        id: u32,
    },
    /// Somebody puts a file onto a node's disk, safely, or removes it.
    File {
        /// Whose disk.
        node: NodeId,
        /// Which file.
        name: Arc<str>,
        /// What it holds then; `None`: it is no more.
        content: Option<Bytes>,
    },
    /// Somebody makes a folder in a node's working directory, where a file may be meant to go.
    Folder {
        /// Whose disk.
        node: NodeId,
        /// Its name.
        name: Arc<str>,
    },
    /// Somebody kills the child process that works in the background for a server, if there is one.
    KillChild {
        /// Whose.
        node: NodeId,
    },
    /// A fault strikes now.
    Fault {
        /// Which.
        fault: Fault,
        /// How long; `None`: until the run settles.
        lasts: Option<Span>,
    },
    /// A fault's time is over.
    Heal {
        /// Its number.
        fault: u16,
    },
}

/// Connections that begin inside have numbers from here on.
pub const DIALLED: u32 = 1 << 31;

/// A connection of the outside.
#[derive(Clone, Debug)]
pub(super) struct Outsider {
    sock: Sock,
    /// The party takes nothing at the moment.
    held: bool,
    /// What has arrived meanwhile.
    kept: VecDeque<Arrived>,
}

impl Outsider {
    fn new(sock: Sock) -> Outsider {
        Outsider { sock, held: false, kept: VecDeque::new() }
    }
}

/// What a connection attempt meets at a node's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A listening socket.
    Listens,
    /// A machine that refuses.
    Refuses,
    /// Nothing: the machine has no power.
    Silent,
}

/// What a node's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It has not been started yet, or has ended.
    Down,
    /// It runs.
    Up,
    /// It is stopped.
    Paused,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq)]
pub enum Outside {
    /// The connection is open.
    Connected {
        /// The party's number.
        id: u32,
    },
    /// The connection could not be opened.
    Refused {
        /// The party's number.
        id: u32,
        /// Why.
        why: RefusedWhy,
    },
    /// A node wants to connect to somebody outside: to be answered with [`Injection::PickUp`] or
    /// [`Injection::TurnDown`].
    Dial {
        /// The connection's number, [`DIALLED`] or more.
        id: u32,
        /// Where to.
        to: Addr,
    },
    /// The socket has room again.
    Writable {
        /// The party's number.
        id: u32,
    },
    /// Bytes for the party.
    Bytes {
        /// The party's number.
        id: u32,
        /// What.
        data: Bytes,
    },
    /// The connection ended.
    Closed {
        /// The party's number.
        id: u32,
        /// How.
        why: CloseWhy,
    },
}

impl World {
    /// A node's files as a process that starts finds them.
    #[must_use]
    pub fn files(&self, node: NodeId) -> DiskImage {
        self.disks[node.index()].image()
    }

    /// An operator puts a file onto a node's disk, safely.
    pub fn put_file(&mut self, node: NodeId, name: &str, content: Bytes) {
        self.disks[node.index()].put(name, content);
    }

    /// What is done to nodes' files from now on is kept for whoever takes it with [`World::file_changes`].
    pub fn follow_files(&mut self) {
        self.disks.iter_mut().for_each(super::disk::Disk::tell);
    }

    /// What was done to a node's files since the last call, in order, but for what came from outside.
    pub fn file_changes(&mut self, node: NodeId) -> Vec<DiskOp> {
        self.disks[node.index()].changes()
    }

    /// Whether a server's child process is at work.
    #[must_use]
    pub fn has_child(&self, node: NodeId) -> bool {
        let server = matches!(self.scenario.nodes[node.index()].kind, NodeKind::Server(_));
        server && self.processes[node.index()].works_in_background()
    }

    /// Whether a process is at something long, and tells others so: a script that doesn't end, the loading of a file.
    #[must_use]
    pub fn anyone_is_at_length(&self) -> bool {
        self.processes.iter().any(|process| process.node.as_ref().is_some_and(|node| node.is_at_length()))
    }

    /// Lines of the nodes' logs are kept from now on for whoever takes them with [`World::take_log`].
    pub fn follow_logs(&mut self) {
        self.out.log.get_or_insert_default();
    }

    /// The lines of logs since the last call, in order.
    pub fn take_log(&mut self) -> Vec<(NodeId, String)> {
        self.out.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Something for a process that runs, about none of its connections.
    fn tell_node(&mut self, node: NodeId, what: impl FnOnce(&World) -> What) {
        if self.processes[node.index()].state == State::Down {
            return;
        }
        let what = what(self);
        let arrived = Arrived { sock: None, what, cause: EventId::NONE, via: Via::Message };
        self.inboxes.push(node.0, arrived);
    }

    /// Takes something from outside, now. Bytes for a connection that has ended are dropped, as by a socket.
    pub fn inject(&mut self, injection: Injection) {
        match injection {
            Injection::Connect { id, to } => {
                let place = self.scenario.machines.iter().position(|machine| machine.ip == to.ip).unwrap_or(0);
                let machine = MachineId(u16::try_from(place).expect("machine ids are 16 bits"));
                self.call_from(machine, id, to);
            }
            Injection::Call { id, to, from } => {
                let served = self.scenario.served.expect("somebody outside calls a deployment that is served");
                let sock = self.call_from(served.outside, id, to);
                self.net.rename(sock, from);
            }
            Injection::Bytes { id, data } => {
                if let Some(outsider) = self.outsiders.get(&id)
                    && !data.is_empty()
                {
                    let sock = outsider.sock;
                    let (net, mut wire) = self.wire();
                    net.send(sock, data, EventId::NONE, &mut wire);
                }
            }
            Injection::Close { id } => self.end_outside(id, EventId::NONE),
            Injection::PickUp { id } => self.pick_up(id),
            Injection::TurnDown { id } => {
                if let Some(outsider) = self.outsiders.remove(&id) {
                    let (net, mut wire) = self.wire();
                    net.turn_down(outsider.sock, &mut wire);
                }
            }
            Injection::Hold { id } => {
                if let Some(outsider) = self.outsiders.get_mut(&id) {
                    outsider.held = true;
                    let sock = outsider.sock;
                    let (net, mut wire) = self.wire();
                    net.hold(sock, EventId::NONE, &mut wire);
                }
            }
            Injection::Release { id } => self.release(id),
            Injection::AwaitWritable { id } => {
                if let Some(outsider) = self.outsiders.get(&id) {
                    let sock = outsider.sock;
                    let (net, mut wire) = self.wire();
                    net.await_writable(sock, &mut wire);
                }
            }
            Injection::File { node, name, content } => {
                match content {
                    Some(content) => self.put_file(node, &name, content),
                    None => self.disks[node.index()].take_away(&name),
                }
                self.out.troubles.set_folder(node, name, false);
                self.tell_node(node, |world| What::Files(world.files(node)));
            }
            Injection::Folder { node, name } => {
                self.disks[node.index()].make_folder(name.clone());
                self.out.troubles.set_folder(node, name, true);
                self.tell_node(node, |world| What::Files(world.files(node)));
            }
            Injection::KillChild { node } if self.has_child(node) => {
                self.tell_node(node, |_| What::Signal(Signal::ChildKilled));
            }
            Injection::KillChild { .. } => {}
            Injection::Fault { fault, lasts } => self.inject_fault(fault, lasts),
            Injection::Heal { fault } => self.heal_early(fault),
        }
        self.serve_ready();
    }

    /// Takes what has come out of the simulation since the last call, in order.
    pub fn take_outside(&mut self) -> Vec<Outside> {
        std::mem::take(&mut self.outbound)
    }

    /// The same into a list of the caller's, which is emptied first.
    pub fn swap_outside(&mut self, into: &mut Vec<Outside>) {
        into.clear();
        std::mem::swap(into, &mut self.outbound);
    }

    /// How many bytes the socket of a connection from outside takes now.
    #[must_use]
    pub fn outside_room(&self, id: u32) -> usize {
        self.outsiders.get(&id).map_or(0, |outsider| self.net.room(outsider.sock))
    }

    /// How many connections there are from and to the outside.
    #[must_use]
    pub fn outside_connections(&self) -> u64 {
        self.outsiders.len() as u64
    }

    /// Changes whenever [`World::presence`] may have.
    #[must_use]
    pub fn presence_changes(&self) -> u64 {
        self.net.listening_changes()
    }

    /// What a connection attempt from outside meets at a node's address, leaving the network aside.
    #[must_use]
    pub fn presence(&self, id: NodeId) -> Presence {
        let spec = &self.scenario.nodes[id.index()];
        if !self.net.has_power(spec.machine) {
            Presence::Silent
        } else if self.net.listens(spec.machine, spec.addr.port) {
            Presence::Listens
        } else {
            Presence::Refuses
        }
    }

    /// What a node's process does.
    #[must_use]
    pub fn life(&self, id: NodeId) -> Life {
        match self.processes[id.index()].state {
            State::Down => Life::Down,
            State::Up => Life::Up,
            State::Paused => Life::Paused,
        }
    }

    /// The inbox of all that is outside.
    pub(super) fn outside(&self) -> u16 {
        self.operator() + 1
    }

    fn call_from(&mut self, machine: MachineId, id: u32, to: Addr) -> Sock {
        let caller = Caller { owner: self.outside(), incarnation: 0, number: id, machine };
        let (net, mut wire) = self.wire();
        let sock = net.connect(caller, to, EventId::NONE, &mut wire);
        self.outsiders.insert(id, Outsider::new(sock));
        sock
    }

    /// Passes on what has arrived for the outside.
    pub(super) fn serve_outside(&mut self) {
        let owner = usize::from(self.outside());
        while let Some(arrived) = self.inboxes.boxes[owner].pop_front() {
            let Some(sock) = arrived.sock else { continue };
            if let Some(to) = self.net.dialled(sock) {
                self.dial_outside(sock, to);
                continue;
            }
            let Some(about) = self.net.taking(sock) else { continue };
            let id = about.fd.0;
            match self.outsiders.get_mut(&id) {
                Some(outsider) if outsider.held => outsider.kept.push_back(arrived),
                _ => self.pass_on(id, sock, arrived),
            }
        }
    }

    fn pass_on(&mut self, id: u32, sock: Sock, arrived: Arrived) {
        let passed = match arrived.what {
            What::Connected => Outside::Connected { id },
            What::Writable => Outside::Writable { id },
            What::Bytes(data) => {
                let (net, mut wire) = self.wire();
                net.taken(sock, data.len(), &mut wire);
                Outside::Bytes { id, data }
            }
            What::Refused(why) => {
                self.end_outside(id, arrived.cause);
                Outside::Refused { id, why }
            }
            What::Closed(why) => {
                self.end_outside(id, arrived.cause);
                Outside::Closed { id, why }
            }
            What::Accepted | What::DiskDone { .. } | What::JobDone { .. } | What::Files(_) | What::Signal(_) => return,
        };
        self.outbound.push(passed);
    }

    /// A node connects to somebody outside.
    fn dial_outside(&mut self, sock: Sock, to: Addr) {
        let id = self.dials;
        self.dials = if id == u32::MAX { DIALLED } else { id + 1 };
        self.outsiders.insert(id, Outsider::new(sock));
        self.outbound.push(Outside::Dial { id, to });
    }

    fn pick_up(&mut self, id: u32) {
        let Some(outsider) = self.outsiders.get(&id) else { return };
        let sock = outsider.sock;
        let (net, mut wire) = self.wire();
        if !net.pick_up(sock, id, &mut wire) {
            self.outsiders.remove(&id);
            self.outbound.push(Outside::Closed { id, why: CloseWhy::Reset });
        }
    }

    fn release(&mut self, id: u32) {
        let Some(outsider) = self.outsiders.get_mut(&id) else { return };
        outsider.held = false;
        let sock = outsider.sock;
        for arrived in std::mem::take(&mut outsider.kept) {
            self.pass_on(id, sock, arrived);
        }
        let (net, mut wire) = self.wire();
        net.let_go(sock, &mut wire);
    }

    fn end_outside(&mut self, id: u32, cause: EventId) {
        if let Some(outsider) = self.outsiders.remove(&id) {
            let (net, mut wire) = self.wire();
            net.close(outsider.sock, cause, &mut wire);
        }
    }
}
