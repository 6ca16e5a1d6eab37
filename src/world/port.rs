//! Where hosts attach: connections and faults from outside the simulation, and what comes back to them.

use bytes::Bytes;

use super::World;
use super::net::{Caller, What};
use crate::fault::Fault;
use crate::id::{Addr, EventId};
use crate::node::{CloseWhy, RefusedWhy};
use crate::time::Span;

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
    /// A fault strikes now.
    Fault {
        /// Which.
        fault: Fault,
        /// How long; `None`: until the run settles.
        lasts: Option<Span>,
    },
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
    /// Takes something from outside, now. Bytes for a connection that has ended are dropped, as by a socket.
    pub fn inject(&mut self, injection: Injection) {
        match injection {
            Injection::Connect { id, to } => {
                let place = self.scenario.machines.iter().position(|machine| machine.ip == to.ip).unwrap_or(0);
                let machine = crate::id::MachineId(u16::try_from(place).expect("machine ids are 16 bits"));
                let caller = Caller { owner: self.outside(), incarnation: 0, number: id, machine };
                let (net, mut wire) = self.wire();
                let sock = net.connect(caller, to, EventId::NONE, &mut wire);
                self.outsiders.insert(id, sock);
            }
            Injection::Bytes { id, data } => {
                if let Some(&sock) = self.outsiders.get(&id)
                    && !data.is_empty()
                {
                    let (net, mut wire) = self.wire();
                    net.send(sock, data, EventId::NONE, &mut wire);
                }
            }
            Injection::Close { id } => {
                if let Some(sock) = self.outsiders.remove(&id) {
                    let (net, mut wire) = self.wire();
                    net.close(sock, EventId::NONE, &mut wire);
                }
            }
            Injection::Fault { fault, lasts } => self.inject_fault(fault, lasts),
        }
        self.serve_ready();
    }

    /// Takes what has come out of the simulation since the last call, in order.
    pub fn take_outside(&mut self) -> Vec<Outside> {
        std::mem::take(&mut self.outbound)
    }

    /// The inbox of all that is outside.
    pub(super) fn outside(&self) -> u16 {
        self.operator() + 1
    }

    /// Passes on what has arrived for the outside.
    pub(super) fn serve_outside(&mut self) {
        let owner = usize::from(self.outside());
        while let Some(arrived) = self.inboxes.boxes[owner].pop_front() {
            let Some(sock) = arrived.sock else { continue };
            let Some(about) = self.net.taking(sock) else { continue };
            let id = about.fd.0;
            let passed = match arrived.what {
                What::Connected => Outside::Connected { id },
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
                What::Accepted | What::Writable | What::DiskDone { .. } | What::JobDone { .. } | What::Signal(_) => {
                    continue;
                }
            };
            self.outbound.push(passed);
        }
    }

    fn end_outside(&mut self, id: u32, cause: EventId) {
        if let Some(sock) = self.outsiders.remove(&id) {
            let (net, mut wire) = self.wire();
            net.close(sock, cause, &mut wire);
        }
    }
}
