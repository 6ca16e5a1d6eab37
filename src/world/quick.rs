//! The short way of what most events are: bytes reach an idle process, and nothing else happens at this instant. The
//! long way through inboxes and outputs, next door in `process`, comes to the same.

use super::World;
use super::clock::Clock;
use super::net::{Delivered, Processes, Sock, Wire};
use super::process::{Process, Stage};
use super::queue::Due;
use crate::id::{EventId, Fd, NodeId};
use crate::node::{Outbox, Short};
use crate::time::{Instant, Span};
use crate::trace::Via;

/// What a node needs to take bytes at once.
struct Offer<'a> {
    at: Instant,
    processes: &'a mut [Process],
    clocks: &'a [Clock],
    out: &'a mut Outbox,
}

impl Processes for Offer<'_> {
    #[inline(always)]
    fn idle(&self, owner: u16) -> bool {
        self.processes.get(usize::from(owner)).is_some_and(Process::idle)
    }

    #[inline(always)]
    fn offer(&mut self, owner: u16, fd: Fd, data: &[u8], cause: EventId) -> bool {
        let process = &mut self.processes[usize::from(owner)];
        let late = process.wake <= self.at || process.wake_anyway;
        if late || process.cpu_milli != 1_000 || data.len() > Short::MAX {
            return false;
        }
        self.out.begin(NodeId(owner), cause, Via::Message);
        let clock = self.clocks[process.machine.index()].now(self.at);
        process.node().quick_turn(clock, fd, data, self.out)
    }
}

impl World {
    /// Takes the next event of the queue if it goes the short way.
    #[inline]
    pub(super) fn deliver_alone(&mut self, at: Instant) -> bool {
        let World { net, queue, processes, inboxes, clocks, out, .. } = self;
        if !inboxes.none_ready() {
            return false;
        }
        let Some(Due::Net(due)) = queue.only_at(at) else { return false };
        let mut offer = Offer { at, processes, clocks, out };
        match net.deliver_alone(due, at, queue, &mut offer) {
            Delivered::Not => return false,
            Delivered::Quickly(owner, sock, from) => self.end_quick_turn(NodeId(owner), sock, from),
            Delivered::Alone(alone) => self.turn_for(alone),
        }
        true
    }

    /// What the node wanted done takes effect.
    #[inline(always)]
    fn end_quick_turn(&mut self, id: NodeId, sock: Sock, from: Fd) {
        let (busy, after) = (self.out.quick.busy, self.out.quick.busy_after);
        let process = &mut self.processes[id.index()];
        let newest = self.out.newest();
        if newest != EventId::NONE {
            process.newest = newest;
        }
        if busy > Span::ZERO && !self.time_passes(self.now + busy) {
            return self.end_interrupted_turn(id);
        }
        if let Some(fd) = self.out.quick.fd {
            // An answer goes where the question came from.
            let sock = if fd == from { sock } else { self.processes[id.index()].sock(fd) };
            let World { net, queue, inboxes, out, now, .. } = self;
            let cause = out.cause();
            let mut wire = Wire { now: *now, queue, inboxes, tracer: &mut out.tracer };
            net.send_short(sock, &out.quick.message, cause, &mut wire);
        }
        if after > Span::ZERO && !self.time_passes(self.now + after) {
            let until = self.now + after;
            let process = &mut self.processes[id.index()];
            (process.busy_until, process.stage) = (until, Stage::Over);
            return self.occupied(id, until);
        }
        self.set_wake(id, self.out.quick.wake);
    }

    /// Whether the main thread can be occupied up to an instant without anything else in the world happening: then
    /// that time has passed.
    #[inline(always)]
    pub(super) fn time_passes(&mut self, until: Instant) -> bool {
        let alone = self.faults.waiting == 0
            && until <= self.horizon
            && self.inboxes.none_ready()
            && !self.queue.draws_ties()
            && self.queue.nothing_until(until);
        if alone {
            self.set_now(until);
        }
        alone
    }

    /// Something happens before the main thread is free: the rest of the turn goes the long way.
    #[inline(never)]
    fn end_interrupted_turn(&mut self, id: NodeId) {
        let quick = &self.out.quick;
        let (busy, after) = (quick.busy, quick.busy_after);
        let message = quick.fd.map(|fd| (fd, quick.message.to_bytes()));
        self.out.busy(busy);
        if let Some((fd, data)) = message {
            self.out.send(fd, data);
        }
        self.out.busy(after);
        self.end_turn(id);
    }
}
