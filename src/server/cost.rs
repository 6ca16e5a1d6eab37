//! What work costs on the CPU: a small table of nanoseconds, scaled by the scenario.
//!
//! The figures are those of a current server core: some 100,000 unpipelined and a million pipelined commands a second.

use super::keyspace::{Type, Value};
use crate::time::Span;

/// Reading a socket that has data (epoll, read).
pub(crate) const READ: u64 = 2_000;
/// Writing replies to a socket.
pub(crate) const WRITE: u64 = 2_500;
/// Accepting or closing a connection.
pub(crate) const ACCEPT: u64 = 8_000;
/// Parsing and executing any command.
pub(crate) const COMMAND: u64 = 700;
/// Visiting one element (KEYS, SCAN, DBSIZE of nothing else).
pub(crate) const ELEMENT: u64 = 60;
/// Freeing one key.
pub(crate) const FREE: u64 = 120;
/// Sixteen bytes copied, in or out.
pub(crate) const COPY_16: u64 = 2;
/// Forking, whatever the size of the process; each gigabyte takes [`FORK_GB`] more.
pub(crate) const FORK: u64 = 250_000;
/// Copying the page tables of a gigabyte.
pub(crate) const FORK_GB: u64 = 10_000_000;
/// A child that was forked begins to work, and one that has worked ends: at least and at most.
pub(crate) const CHILD: (u64, u64) = (300_000, 1_500_000);
/// Saving one key.
pub(crate) const SAVE_KEY: u64 = 300;
/// Saving sixteen bytes of an RDB file: compression, checksum, copying.
pub(crate) const SAVE_16: u64 = 60;
/// Loading one key.
pub(crate) const LOAD_KEY: u64 = 700;
/// Loading sixteen bytes of an RDB file.
pub(crate) const LOAD_16: u64 = 20;
/// Entering and leaving the interpreter of scripts.
pub(crate) const SCRIPT: u64 = 1_500;
/// One instruction of Lua's machine, library functions and garbage included, on average.
pub(crate) const INSTRUCTION: u64 = 20;
/// One line of CLIENT LIST.
pub(crate) const CLIENT: u64 = 2_000;
/// INFO with the default sections.
pub(crate) const INFO: u64 = 40_000;

/// Freeing a value in the main thread.
pub(crate) fn free(value: &Value) -> u64 {
    match value.kind() {
        Type::String => FREE + value.len() as u64 / 64,
        Type::List | Type::Set | Type::ZSet | Type::Hash | Type::Stream => FREE + value.elements() as u64 * ELEMENT / 2,
    }
}

/// Accumulates what a turn of the event loop costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    milli: u64,
    /// Not yet told to the world.
    pending: u64,
    /// Since the turn began.
    turn: u64,
    /// Since the process began.
    total: u64,
}

impl Meter {
    /// A meter whose costs are scaled by `milli` thousandths; 0: nothing costs anything.
    #[must_use]
    pub(crate) fn new(milli: u32) -> Meter {
        Meter { milli: u64::from(milli), pending: 0, turn: 0, total: 0 }
    }

    /// Whether costs are those of the table.
    #[must_use]
    pub(crate) fn is_unscaled(&self) -> bool {
        self.milli == 1_000
    }

    /// Adds nanoseconds of the table.
    pub(crate) fn add(&mut self, ns: u64) {
        let scaled = if self.milli == 1_000 { ns } else { ns.saturating_mul(self.milli) / 1_000 };
        self.add_exactly(scaled);
    }

    /// As [`Meter::add`] in a turn whose costs are told to the world by the caller, to whom it says how much each is.
    #[inline]
    pub(crate) fn spend<const N: usize>(&mut self, costs: [u64; N]) -> [u64; N] {
        let scaled = if self.milli == 1_000 { costs } else { costs.map(|ns| ns.saturating_mul(self.milli) / 1_000) };
        self.total += scaled.iter().sum::<u64>();
        scaled
    }

    /// What work of that many nanoseconds of the table takes elsewhere than on the main thread.
    #[must_use]
    pub(crate) fn scaled(&self, ns: u64) -> Span {
        Span::from_ns(ns.saturating_mul(self.milli) / 1_000)
    }

    /// Adds a time that no scale changes (DEBUG SLEEP).
    pub(crate) fn add_exactly(&mut self, ns: u64) {
        self.pending += ns;
        self.turn += ns;
        self.total += ns;
    }

    /// What was taken for `counted` nanoseconds takes `actual` ones.
    pub(crate) fn correct(&mut self, counted: u64, actual: u64) {
        for sum in [&mut self.pending, &mut self.turn, &mut self.total] {
            *sum = sum.saturating_sub(counted).saturating_add(actual);
        }
    }

    /// What this turn has cost so far, in nanoseconds.
    #[must_use]
    pub(crate) fn turn(&self) -> u64 {
        self.turn
    }

    /// All costs since the process began, in nanoseconds.
    #[must_use]
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Takes what is to be told to the world.
    pub(crate) fn take(&mut self) -> Span {
        Span::from_ns(std::mem::take(&mut self.pending))
    }

    /// A new turn begins.
    pub(crate) fn begin_turn(&mut self) {
        self.turn = 0;
    }
}
