//! Machine clocks: world time to a node's [`Now`] (offset, drift, jumps) and back.

use crate::rng::Seed;
use crate::scenario::Machine;
use crate::time::{Instant, NS_PER_S, Now, Span, Unix};

/// The second in which every world begins: 2026-01-01T00:00:00Z.
pub const EPOCH: Unix = Unix(1_767_225_600 * NS_PER_S);

/// The true wall clock when a world begins: somewhere in the second of [`EPOCH`]. Redis compares whole seconds of the
/// wall clock in many places, so where its timers lie within the second matters and must not be the same in every run.
#[must_use]
pub fn beginning(seed: Seed) -> Unix {
    EPOCH + Span::from_ns(seed.stream("world", "wall clock").below(NS_PER_S))
}

const MILLION: i128 = 1_000_000;

/// One machine's two clocks, as straight lines since the last time that they were touched.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    since: Instant,
    mono: u64,
    unix: u64,
    /// Nanoseconds gained in a millisecond of true time (parts per million).
    drift_ppm: i64,
}

impl Clock {
    /// `start` is the true wall clock when the world begins.
    pub(super) fn new(machine: &Machine, start: Unix) -> Clock {
        let unix = start.0.saturating_add_signed(machine.clock_offset_ns);
        Clock { since: Instant::ZERO, mono: 0, unix, drift_ppm: i64::from(machine.clock_drift_ppm) }
    }

    #[inline]
    pub(super) fn now(&self, world: Instant) -> Now {
        let passed = self.passed(world);
        Now { mono: Instant(self.mono + passed), unix: Unix(self.unix.saturating_add(passed)) }
    }

    /// The first world time at which the monotonic clock shows at least this.
    #[inline]
    pub(super) fn when(&self, mono: Instant) -> Instant {
        let wanted = mono.0.saturating_sub(self.mono);
        if self.drift_ppm == 0 {
            return Instant(self.since.0.saturating_add(wanted));
        }
        Instant(self.since.0.saturating_add(self.undrifted(wanted)))
    }

    /// How much true time it takes to gain so much.
    #[cold]
    #[inline(never)]
    fn undrifted(&self, wanted: u64) -> u64 {
        let rate = MILLION + i128::from(self.drift_ppm);
        let passed = (i128::from(wanted) * MILLION + rate - 1) / rate;
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    /// Steps the wall clock.
    pub(super) fn jump(&mut self, world: Instant, ns: i64) {
        self.touch(world);
        self.unix = self.unix.saturating_add_signed(ns);
    }

    /// Makes both clocks run fast or slow from now on, on top of what they do already.
    pub(super) fn add_drift(&mut self, world: Instant, ppm: i64) {
        self.touch(world);
        self.drift_ppm += ppm;
        assert!(self.drift_ppm > -1_000_000, "a clock never runs backwards");
    }

    fn touch(&mut self, world: Instant) {
        let now = self.now(world);
        (self.since, self.mono, self.unix) = (world, now.mono.0, now.unix.0);
    }

    #[inline]
    fn passed(&self, world: Instant) -> u64 {
        let true_ns = world.since(self.since).0;
        if self.drift_ppm == 0 { true_ns } else { self.drifted(true_ns) }
    }

    #[cold]
    #[inline(never)]
    fn drifted(&self, true_ns: u64) -> u64 {
        let drifted = i128::from(true_ns) * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        u64::try_from(drifted).expect("a clock runs at most twice as fast as time, within 292 years")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock(offset: i64, ppm: i64) -> Clock {
        Clock { since: Instant::ZERO, mono: 0, unix: EPOCH.0.saturating_add_signed(offset), drift_ppm: ppm }
    }

    #[test]
    fn offset_drift_and_jump() {
        let mut c = clock(-5_000, 100);
        assert_eq!(c.now(Instant(1_000_000_000)).mono, Instant(1_000_100_000));
        assert_eq!(c.now(Instant(1_000_000_000)).unix, Unix(EPOCH.0 + 1_000_100_000 - 5_000));
        c.jump(Instant(1_000_000_000), 7_000);
        assert_eq!(c.now(Instant(1_000_000_000)).unix, Unix(EPOCH.0 + 1_000_100_000 + 2_000));
        assert_eq!(c.now(Instant(1_000_000_000)).mono, Instant(1_000_100_000), "a step leaves the monotonic clock");
        c.add_drift(Instant(2_000_000_000), -100);
        assert_eq!(c.now(Instant(3_000_000_000)).mono, Instant(3_000_200_000));
    }

    proptest! {
        #[test]
        fn when_is_the_first_instant_that_shows_it(ppm in -500_000i64..500_000, wanted in 0u64..1 << 50) {
            let c = clock(0, ppm);
            let at = c.when(Instant(wanted));
            prop_assert!(c.now(at).mono >= Instant(wanted));
            prop_assert!(at == Instant::ZERO || c.now(Instant(at.0 - 1)).mono < Instant(wanted));
        }
    }
}
