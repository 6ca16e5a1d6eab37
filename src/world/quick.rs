//! The short way of what most events are: bytes reach an idle process, and nothing else happens at this instant. The
//! long way through inboxes and outputs, next door in `process`, comes to the same.

use super::World;
use super::cpu::STALL;
use super::net::Wire;
use super::process::{Rest, Stage};
use super::queue::Due;
use crate::id::{EventId, Fd, NodeId};
use crate::node::{Outbox, Preview, Short, bring_near};
use crate::time::Instant;
use crate::trace::Via;

/// What nodes have read of the bytes of the delivery that is next, and of the one behind it: by turns, one for each event.
/// It holds as long as the delivery is the one that is meant, since what is first in flight stays what it is until then.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead([Seen; 2]);

/// What a node has read of the bytes of a delivery that comes soon.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// When it was read: the number of the event before.
    step: u64,
    /// Which delivery: the pipe, and what it is known by.
    pipe: u32,
    delivery: u32,
    preview: Option<Preview>,
}

impl Ahead {
    /// What was read of the bytes of this delivery, which is the event of that number.
    #[inline(always)]
    fn of(&self, step: u64, pipe: u32, delivery: u32) -> Option<&Preview> {
        let before = step.wrapping_sub(1);
        let seen = &self.0[usize::from(before & 1 != 0)];
        seen.preview.as_ref().filter(|_| (seen.step, seen.pipe, seen.delivery) == (before, pipe, delivery))
    }

    /// Remembers what was read.
    #[inline(always)]
    fn see(&mut self, seen: Seen) {
        self.0[usize::from(seen.step & 1 != 0)] = seen;
    }
}

impl World {
    /// Takes the next event of the queue, which is due now and alone, if it goes the short way.
    #[inline(always)]
    pub(super) fn deliver_alone(&mut self, now: Instant) -> bool {
        let Due::Deliver { pipe, delivery } = self.queue.top() else { return false };
        // Whose turn it is shows late, whether a client's or a server's mostly here already. With the code twice a
        // processor that has guessed wrong knows soon, and guesses all that follows right.
        if pipe & 1 == 0 {
            self.deliver_from(0, pipe, delivery, now)
        } else {
            self.deliver_from(1, pipe, delivery, now)
        }
    }

    /// The same for a delivery by an end of a connection.
    #[inline(always)]
    fn deliver_from(&mut self, side: u8, pipe: u32, delivery: u32, now: Instant) -> bool {
        let World { net, queue, processes, inboxes, clocks, faults, out, foreseen, ahead, steps, .. } = self;
        if !inboxes.none_ready() {
            return false;
        }
        let Some(mut arrival) = net.arrival(side, pipe, delivery, now) else { return false };
        let (owner, fd) = arrival.to();
        let Some((data, cause)) = arrival.bytes() else { return false };
        let Some(process) = processes.get_mut(usize::from(owner)).filter(|process| process.idle(now)) else {
            return false;
        };
        let len = data.len();
        out.begin(NodeId(owner), cause, Via::Message);
        let quick = process.takes_at_once(now) && len <= Short::MAX && {
            let clock = clocks[process.machine.index()].now(now);
            let preview = if side == 0 { ahead.of(*steps, pipe, delivery) } else { None };
            process.node().quick_turn(clock, fd, data, preview, out)
        };
        arrival.arrive(len, now, queue);
        if !quick {
            let alone = arrival.into_alone();
            self.turn_for(alone);
            return true;
        }
        arrival.done();
        // What the node wanted done takes effect.
        if out.newest() != EventId::NONE {
            process.newest = out.newest();
        }
        let sent = now + out.quick.busy;
        if sent > now {
            // While the main thread is occupied nothing reaches the node, and its message travels as it would have
            // travelled, unless a fault comes in between: it can be given to the network at once.
            *foreseen = sent.max(*foreseen);
            if faults.waiting > 0 || queue.draws_ties() || sent >= queue.upheaval() {
                self.interrupted(NodeId(owner));
                return true;
            }
        }
        if let Some(to) = out.quick.fd
            && !(to == fd && arrival.answer(&out.quick.message, out.cause(), sent, queue))
        {
            if sent > now {
                self.interrupted(NodeId(owner));
            } else {
                self.send_short(NodeId(owner), to);
                self.end_quick_turn(NodeId(owner));
            }
            return true;
        }
        // That it is occupied once more is nothing to anybody before something else happens to it.
        process.busy_until = sent + out.quick.busy_after;
        let wake = out.quick.wake;
        if !process.keeps_wake(wake, sent) && !process.moves_wake(wake, &clocks[process.machine.index()], sent) {
            self.set_wake(NodeId(owner), wake);
        }
        true
    }

    /// Has what the event behind the next one will look at brought near: while the next one happens it comes out of memory
    /// that is further away. Changes nothing else.
    #[inline(always)]
    pub(super) fn look_ahead(&mut self) {
        let Some((pipe, delivery)) = self.queue.following() else { return };
        let World { net, processes, ahead, steps, .. } = self;
        // Which of both can't be foreseen here, but then it can where the event happens.
        if pipe & 1 == 0 {
            // Who connects asks.
            if let Some((owner, data)) = net.look_ahead(0, pipe)
                && let Some(process) = processes.get(usize::from(owner))
                && let Some(node) = &process.node
                && data.len() <= Short::MAX
            {
                ahead.see(Seen { step: *steps, pipe, delivery, preview: node.look_ahead(data) });
            }
        } else if let Some((owner, _)) = net.look_ahead(1, pipe)
            && let Some(process) = processes.get(usize::from(owner))
        {
            bring_near(process);
        }
    }

    /// The message of a quick turn leaves.
    #[cold]
    fn send_short(&mut self, id: NodeId, to: Fd) {
        let sock = self.processes[id.index()].sock(to);
        let World { net, queue, inboxes, out, now, .. } = self;
        let cause = out.cause();
        let mut wire = Wire { now: *now, queue, inboxes, tracer: &mut out.tracer };
        net.send_short(sock, &out.quick.message, cause, &mut wire);
    }

    /// What comes after the message of a quick turn.
    #[cold]
    fn end_quick_turn(&mut self, id: NodeId) {
        self.processes[id.index()].busy_until = self.now + self.out.quick.busy_after;
        self.set_wake(id, self.out.quick.wake);
    }

    /// The main thread is occupied before the message of a turn that went the short way can leave, and what happens until
    /// then may change how it travels.
    fn put_off_reply(&mut self, id: NodeId) {
        let Outbox { quick, .. } = &self.out;
        let Some(fd) = quick.fd else { unreachable!("only what sends is put off") };
        let (until, cause) = (self.now + quick.busy, self.out.cause());
        let rest = Rest { fd, message: quick.message, cause, busy_after: quick.busy_after };
        let process = &mut self.processes[id.index()];
        match &mut process.rest {
            Some(place) => **place = rest,
            None => process.rest = Some(Box::new(rest)),
        }
        (process.busy_until, process.stage) = (until, Stage::Reply);
        self.occupied(id, until);
    }

    /// The message of a turn that went the short way leaves: the turn is over.
    pub(super) fn reply(&mut self, id: NodeId) {
        let process = &mut self.processes[id.index()];
        process.stage = Stage::Over;
        let rest = process.rest.as_deref().expect("it was put off");
        let (sock, span) = (process.sock(rest.fd), rest.busy_after);
        let World { net, queue, inboxes, out, now, .. } = self;
        let mut wire = Wire { now: *now, queue, inboxes, tracer: &mut out.tracer };
        net.send_short(sock, &rest.message, rest.cause, &mut wire);
        self.occupy(id, span);
        self.run_rest(id, Stage::Over);
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

    /// Something may happen before the main thread is free to send.
    #[inline(never)]
    fn interrupted(&mut self, id: NodeId) {
        let quick = &self.out.quick;
        if quick.fd.is_some() && quick.busy.max(quick.busy_after) < STALL {
            return self.put_off_reply(id);
        }
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
