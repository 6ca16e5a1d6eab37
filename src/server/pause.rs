//! CLIENT PAUSE: commands held back for a while. FAILOVER pauses writes with it.

use crate::id::Fd;
use crate::time::Unix;

/// What is paused, and who waits.
#[derive(Clone, Debug, Default)]
pub struct Pause {
    /// Writes wait until this time of the wall clock, in milliseconds.
    pub writes_until_ms: u64,
    /// Everything waits until this time of the wall clock, in milliseconds.
    pub all_until_ms: u64,
    /// Writes wait without an end: a coordinated failover is under way.
    pub failover: bool,
    /// Sessions whose command waits, in the order they came.
    pub postponed: Vec<Fd>,
}

impl Pause {
    /// True when a command must wait.
    #[must_use]
    pub fn holds(&self, now: Unix, may_replicate: bool) -> bool {
        if self.all_until_ms == 0 && self.writes_until_ms == 0 && !self.failover {
            return false;
        }
        now.ms() < self.all_until_ms || may_replicate && (self.failover || now.ms() < self.writes_until_ms)
    }

    /// True while anything is paused: nothing may change the dataset by itself (`areClientsPaused`).
    #[must_use]
    pub fn active(&self, now: Unix) -> bool {
        self.holds(now, true)
    }
}
