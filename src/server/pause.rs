//! CLIENT PAUSE: commands held back for a while. FAILOVER pauses writes with it.

use super::Server;
use crate::id::Fd;
use crate::node::Outbox;
use crate::time::{Instant, Span, Unix};

/// What is paused, and who waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pause {
    /// CLIENT PAUSE: until when, in milliseconds of the wall clock, and whether all commands wait or only writes.
    command: Option<(u64, bool)>,
    /// Writes wait for a coordinated failover, which ends this itself.
    pub failover: bool,
    /// Writes wait for a shutdown.
    pub shutdown: bool,
    /// Sessions whose command waits, in the order they came.
    pub postponed: Vec<Fd>,
}

impl Pause {
    /// True when a command must wait.
    #[must_use]
    pub(crate) fn holds(&self, now: Unix, may_replicate: bool) -> bool {
        let by_command = self.command.is_some_and(|(until, all)| now.ms() < until && (all || may_replicate));
        by_command || (self.failover || self.shutdown) && may_replicate
    }

    /// True while nothing is paused, nor was without anybody having noticed its end yet.
    #[must_use]
    pub(crate) fn is_off(&self) -> bool {
        self.command.is_none() && !self.failover && !self.shutdown
    }

    /// True while anything is paused: nothing may change the dataset by itself (`areClientsPaused`).
    #[must_use]
    pub(crate) fn active(&self, now: Unix) -> bool {
        (self.command.is_some() || self.failover || self.shutdown) && self.holds(now, true)
    }
}

impl Server {
    /// CLIENT PAUSE. A longer or stricter pause is not weakened by a later one (`pauseClients`).
    pub(crate) fn pause_by_command(&mut self, ms: u64, all: bool) {
        let until = self.now.unix.ms().saturating_add(ms);
        let (old_until, old_all) = self.pause.command.unwrap_or((0, false));
        self.pause.command = Some((until.max(old_until), all || old_all));
    }

    /// CLIENT UNPAUSE.
    pub(crate) fn unpause_by_command(&mut self) {
        self.pause.command = None;
        self.resume_postponed();
    }

    /// Ends the pause of a coordinated failover.
    pub(crate) fn unpause_failover(&mut self) {
        self.pause.failover = false;
        self.resume_postponed();
    }

    /// Lets go who waits, unless another pause still holds; those that it holds wait again.
    pub(crate) fn resume_postponed(&mut self) {
        if !self.pause.active(self.now.unix) {
            for fd in std::mem::take(&mut self.pause.postponed) {
                self.unblock(fd);
            }
        }
    }

    pub(crate) fn end_pause_if_over(&mut self, _out: &mut Outbox) {
        if self.pause.command.is_some_and(|(until, _)| self.now.unix.ms() >= until) {
            self.unpause_by_command();
        }
    }

    /// When a pause ends, on the monotonic clock as far as is known now.
    pub(crate) fn pause_need(&self) -> Option<Instant> {
        let (until, _) = self.pause.command?;
        Some(self.now.mono + Span::from_ms(until.saturating_sub(self.now.unix.ms())))
    }
}
