//! When nodes are woken for their timers: one deadline for each, which moves in place, and at most one queued wake.

use super::World;
use super::clock::Clock;
use super::process::{Process, State};
use super::queue::Due;
use crate::id::{EventId, NodeId};
use crate::time::Instant;

impl Process {
    /// Whether, besides, its timer isn't due, and what its turn takes is what its node says.
    #[inline(always)]
    pub(super) fn takes_at_once(&self, now: Instant) -> bool {
        self.wake > now && !self.wake_anyway && self.is_unslowed()
    }

    /// Whether a next timer at this time of its own clock is the one that is known, and is not due yet: then the queue
    /// has a wake for it.
    #[inline(always)]
    pub(super) fn keeps_wake(&self, mono: Instant, now: Instant) -> bool {
        mono == self.wake_mono && self.wake > now
    }

    /// Puts the next timer off, or forward to where the queue has a wake early enough for it. False if it doesn't; then
    /// nothing has changed.
    #[inline(always)]
    pub(super) fn moves_wake(&mut self, mono: Instant, clock: &Clock, now: Instant) -> bool {
        let wake = if mono == Instant::NEVER { mono } else { clock.when(mono) };
        let queued = wake > now && wake >= self.wake_queued;
        if queued {
            (self.wake, self.wake_mono) = (wake, mono);
        }
        queued
    }
}

impl World {
    /// Sees to it that the queue has a wake for the node's next timer: one entry, whose deadline moves in place.
    #[inline]
    pub(super) fn refresh_wake(&mut self, id: NodeId) {
        let Some(node) = &self.processes[id.index()].node else { return };
        let mono = node.wake_at().unwrap_or(Instant::NEVER);
        self.set_wake(id, mono);
    }

    /// The node has work at that time of its own clock, and not before.
    pub(super) fn set_wake(&mut self, id: NodeId, mono: Instant) {
        let process = &mut self.processes[id.index()];
        process.wake_mono = mono;
        process.wake = match mono {
            Instant::NEVER => Instant::NEVER,
            mono => self.clocks[process.machine.index()].when(mono),
        };
        if process.wake <= self.now {
            self.inboxes.mark(id.0);
        } else if process.wake < process.wake_queued {
            process.wake_queued = process.wake;
            self.queue.push(process.wake, Due::Wake { node: id.0 });
        }
    }

    /// The queued wake of a node: its timer is due, or has moved to later.
    pub(super) fn on_wake(&mut self, id: NodeId) {
        let process = &mut self.processes[id.index()];
        if process.wake_queued != self.now {
            return;
        }
        process.wake_queued = Instant::NEVER;
        if process.state == State::Down || process.wake == Instant::NEVER {
            return;
        }
        if process.wake > self.now {
            process.wake_queued = process.wake;
            self.queue.push(process.wake, Due::Wake { node: id.0 });
        } else {
            self.inboxes.mark(id.0);
        }
    }

    /// Calls the node soon though no timer may be due: its clock was touched.
    pub(super) fn wake_anyway(&mut self, id: NodeId, cause: EventId) {
        let process = &mut self.processes[id.index()];
        if process.state == State::Down {
            return;
        }
        process.wake_anyway = true;
        process.newest = cause;
        self.refresh_wake(id);
        self.inboxes.mark(id.0);
    }
}
