//! CLIENT PAUSE: commands held back for a while. FAILOVER and SHUTDOWN pause writes.

use super::Server;
use crate::id::Fd;
use crate::time::{Instant, Span};

/// What must wait, the strictest last (`pause_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    /// Nothing.
    #[default]
    Nothing,
    /// What may be replicated.
    Writes,
    /// All commands.
    All,
}

/// Why there is a pause (`pause_purpose`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// CLIENT PAUSE.
    Command,
    /// FAILOVER, which ends its pause itself.
    Failover,
    /// A shutdown that waits for replicas.
    Shutdown,
}

const PURPOSES: usize = 3;

/// What is paused, and who waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pause {
    /// For each purpose what is held, and until when in milliseconds of the wall clock.
    events: [Option<(Held, u64)>; PURPOSES],
    /// The strictest of them. It stays until somebody notices that its time is over.
    held: Held,
    /// The end of the strictest.
    end_ms: u64,
    /// Sessions whose command waits, in the order they came.
    pub postponed: Vec<Fd>,
}

impl Pause {
    /// True when a command must wait. Time alone ends no pause: who comes late queues behind those that wait already.
    #[must_use]
    pub(crate) fn holds(&self, may_replicate: bool) -> bool {
        match self.held {
            Held::Nothing => false,
            Held::Writes => may_replicate,
            Held::All => true,
        }
    }

    /// True while nothing is paused, nor was without anybody having noticed its end yet.
    #[must_use]
    pub(crate) fn is_off(&self) -> bool {
        self.held == Held::Nothing
    }
}

impl Server {
    /// Pauses, or prolongs a pause and makes it stricter; a later call weakens nothing (`pauseClients`).
    pub(crate) fn pause(&mut self, purpose: Purpose, held: Held, end_ms: u64) {
        let event = self.pause.events[purpose as usize].get_or_insert((held, end_ms));
        *event = (event.0.max(held), event.1.max(end_ms));
        self.update_pause();
    }

    /// Ends the pause that was made for this purpose (`unpauseClients`).
    pub(crate) fn unpause(&mut self, purpose: Purpose) {
        if self.pause.events[purpose as usize].take().is_some() {
            self.update_pause();
        }
    }

    /// Finds the strictest of all pauses. If it has become laxer, all who wait try again, and some will wait again
    /// (`updateClientPauseTypeAndEndTime`).
    fn update_pause(&mut self) {
        let now = self.now.unix.ms();
        let pause = &mut self.pause;
        for event in &mut pause.events {
            *event = event.filter(|&(_, end_ms)| end_ms >= now);
        }
        let (held, end_ms) = pause.events.iter().flatten().copied().max().unwrap_or_default();
        let laxer = held < pause.held;
        pause.held = held;
        pause.end_ms = end_ms;
        if laxer {
            for fd in std::mem::take(&mut pause.postponed) {
                self.unblock(fd);
            }
        }
    }

    /// Ends what is over. True while anything is paused: then nothing may change the dataset by itself
    /// (`checkClientPauseTimeoutAndReturnIfPaused`).
    pub(crate) fn is_paused(&mut self) -> bool {
        if self.pause.is_off() {
            return false;
        }
        if self.pause.end_ms < self.now.unix.ms() {
            self.update_pause();
        }
        !self.pause.is_off()
    }

    /// When the strictest pause is over, on the monotonic clock as far as is known now.
    pub(crate) fn pause_need(&self) -> Option<Instant> {
        if self.pause.is_off() || self.pause.end_ms == u64::MAX {
            return None;
        }
        let over = Span::from_ms(self.pause.end_ms.saturating_add(1));
        Some(self.now.mono + over.saturating_sub(Span::from_ns(self.now.unix.0)))
    }
}
