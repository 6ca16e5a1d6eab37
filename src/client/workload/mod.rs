//! What a client asks, and when.

mod keys;
pub(crate) mod kv;

use super::config::{Pace, Workload};
use super::policy::PAUSE_MIN;
use crate::rng::{Dist, Rng, Seed};
use crate::time::{Instant, Span};

/// When the next batch of operations begins.
///
/// An open loop keeps its rate whatever the replies do: a pipeline of p operations begins every p periods, the first
/// at a random phase, so that clients started together don't beat together. A closed loop begins its next pipeline
/// when every operation of the last one has its outcome and the think time has passed.
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    pace: Pace,
    pipeline: u32,
    next: Instant,
    stop: Instant,
    /// A closed loop's next batch doesn't begin before this.
    not_before: Instant,
    gaps: Rng,
}

impl Pacer {
    pub(crate) fn new(load: &Workload, seed: Seed, name: &str) -> Pacer {
        let mut gaps = seed.stream(name, "gaps");
        let start = Instant::ZERO + load.start;
        let phase = match load.pace {
            Pace::Open { period, poisson: true } => Dist::Exponential(period).draw(&mut gaps),
            Pace::Open { period, poisson: false } => Span(gaps.below(period.0)),
            Pace::Closed { .. } => Span::ZERO,
        };
        let stop = load.stop.map_or(Instant::NEVER, |stop| Instant::ZERO + stop);
        Pacer {
            pace: load.pace,
            pipeline: load.pipeline.max(1),
            next: start + phase,
            stop,
            not_before: Instant::ZERO,
            gaps,
        }
    }

    /// When the next batch begins; [`Instant::NEVER`]: not before something else happens, or never again.
    #[inline]
    pub(crate) fn next(&self) -> Instant {
        if self.next < self.stop { self.next } else { Instant::NEVER }
    }

    /// Nothing will ever be invoked again.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.stop
    }

    /// How many operations begin together.
    #[inline]
    pub(crate) fn pipeline(&self) -> u32 {
        self.pipeline
    }

    /// When nothing is invoked any more.
    pub(crate) fn stop(&self) -> Instant {
        self.stop
    }

    /// Whether each operation begins as soon as the one before it is over, and the newest one has begun.
    pub(crate) fn follows_at_once(&self) -> bool {
        self.pace == Pace::Closed { think: Span::ZERO } && self.pipeline == 1 && self.next == Instant::NEVER
    }

    /// True for an open loop.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.pace, Pace::Open { .. })
    }

    /// A process that starts late begins its open loop now, not with everything it has missed.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.next >= now {
            return;
        }
        self.next = match self.pace {
            Pace::Open { period, .. } => now + Span(self.gaps.below(period.0)),
            Pace::Closed { .. } => now,
        };
    }

    /// Takes the batch that is due: how many operations.
    #[inline]
    pub(crate) fn begin(&mut self) -> u32 {
        match self.pace {
            Pace::Open { period, poisson } => self.begin_open(period, poisson),
            Pace::Closed { .. } => self.next = Instant::NEVER,
        }
        self.pipeline
    }

    #[inline(never)]
    fn begin_open(&mut self, period: Span, poisson: bool) {
        let mean = Span(period.0.max(1)).times(u64::from(self.pipeline));
        self.next += if poisson { Dist::Exponential(mean).draw(&mut self.gaps) } else { mean };
    }

    /// No operation is open: a closed loop's next batch begins after the think time.
    #[inline]
    pub(crate) fn finished(&mut self, now: Instant) {
        if let Pace::Closed { think } = self.pace
            && self.next == Instant::NEVER
        {
            self.next = (now + think).max(self.not_before);
        }
    }

    /// An operation failed for want of a server: an application that fails at once must not spin within one instant.
    pub(crate) fn stranded(&mut self, now: Instant) {
        self.not_before = now + PAUSE_MIN;
    }
}
