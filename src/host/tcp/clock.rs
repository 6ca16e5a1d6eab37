//! Real time as simulated time: at any speed.

use std::time::{Duration, Instant as Real};

use crate::time::Instant;

/// Where simulated time should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    began: Real,
    /// How long it has stood still.
    held: Duration,
    speed_milli: u64,
}

impl Pace {
    /// When simulated time begins, and how fast it is.
    pub(super) fn new(began: Real, speed_milli: u64) -> Pace {
        Pace { began, held: Duration::ZERO, speed_milli }
    }

    /// It has stood still for so long.
    pub(super) fn hold(&mut self, span: Duration) {
        self.began += span;
        self.held += span;
    }

    /// It is again where it would be if it had never stood still.
    pub(super) fn make_up(&mut self) {
        self.began -= std::mem::take(&mut self.held);
    }

    /// The simulated present.
    #[allow(clippy::disallowed_methods, reason = "the host's clock; each instant that it puts in is recorded")]
    pub(super) fn now(&self) -> Instant {
        let passed = Real::now().duration_since(self.began).as_nanos();
        Instant(u64::try_from(passed * u128::from(self.speed_milli) / 1_000).unwrap_or(u64::MAX))
    }

    /// The real time at which it is simulated time `at`; the far future for what is too far away to wait for.
    pub(super) fn when(&self, at: Instant) -> Real {
        const FAR: u128 = 86_400_000_000_000;
        let passed = u128::from(at.0) * 1_000 / u128::from(self.speed_milli);
        let since = u128::from(self.now().0) * 1_000 / u128::from(self.speed_milli);
        let passed = passed.min(since + FAR);
        self.began + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Simulated time that passes in so much real time.
    pub(super) fn scaled(&self, real_ns: u64) -> crate::time::Span {
        crate::time::Span::from_ns(real_ns.saturating_mul(self.speed_milli) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "it is the host's clock that is tested")]
    fn it_stands_still_and_makes_up_for_that() {
        let mut pace = Pace::new(Real::now(), 2_000);
        let before = pace.now();
        pace.hold(Duration::from_secs(3_600));
        assert_eq!(pace.now(), Instant::ZERO, "it has not gone on for an hour yet");
        pace.make_up();
        assert!(pace.now() >= before && pace.when(pace.now()) <= Real::now());
    }
}
