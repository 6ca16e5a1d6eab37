//! Real time as simulated time: at any speed.

use std::time::{Duration, Instant as Real};

use crate::time::Instant;

/// Where simulated time should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    began: Real,
    speed_milli: u64,
}

impl Pace {
    /// When simulated time begins, and how fast it is.
    pub(super) fn new(began: Real, speed_milli: u64) -> Pace {
        Pace { began, speed_milli }
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
