//! What occupies a process's main thread, and for how long.

use super::World;
use super::process::Process;
use super::queue::Due;
use crate::id::NodeId;
use crate::time::{Instant, Span};

/// A CPU that is as fast as the table of costs says, in thousandths.
pub(super) const UNSLOWED: u32 = 1_000;

/// A main thread that is occupied for so long is told; one that waits for a disk always is.
pub(super) const STALL: Span = Span::from_ms(100);

impl Process {
    /// Whether its CPU is as fast as the table of costs says.
    #[inline(always)]
    pub(super) fn is_unslowed(&self) -> bool {
        self.unslowed
    }

    /// Its CPU takes so many thousandths of what the table of costs says from now on.
    pub(super) fn slow_down(&mut self, milli: u64) {
        (self.unslowed, self.cpu_milli) = (milli == u64::from(UNSLOWED), milli);
    }

    pub(super) fn slowed(&self, span: Span) -> Span {
        if self.unslowed {
            return span;
        }
        let ns = u128::from(span.0) * u128::from(self.cpu_milli) / 1_000;
        Span(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

impl World {
    /// The main thread is occupied. If nothing else in the world happens before it is free, time passes at once;
    /// otherwise the rest of the turn is queued. Both come to the same, except to a fault that waits for an event.
    #[inline]
    pub(super) fn pass_time(&mut self, id: NodeId) -> bool {
        let until = self.processes[id.index()].busy_until;
        let alone = self.time_passes(until);
        if !alone {
            self.occupied(id, until);
        }
        alone
    }

    /// The main thread is occupied up to an instant: an engine event of its own.
    pub(super) fn occupied(&mut self, id: NodeId, until: Instant) {
        let process = &mut self.processes[id.index()];
        process.epoch += 1;
        self.queue.push(until, Due::Continue { node: id.0, epoch: process.epoch });
    }

    /// The main thread has something to do for so long. True unless that is no time at all.
    #[inline(always)]
    pub(super) fn occupy(&mut self, id: NodeId, span: Span) -> bool {
        let process = &mut self.processes[id.index()];
        let span = process.slowed(span);
        process.busy_until = self.now + span;
        if span >= STALL {
            self.stall(id, true);
        }
        span > Span::ZERO
    }

    /// Tells a process that it won't run from here to its next input; `waits`: but then it will at once.
    pub(super) fn stall(&mut self, id: NodeId, waits: bool) {
        let process = &mut self.processes[id.index()];
        let clock = &self.clocks[process.machine.index()];
        let until = waits.then(|| clock.now(process.busy_until).mono);
        if let Some(node) = &mut process.node {
            node.stalled(clock.now(self.now).mono, until);
        }
    }
}
