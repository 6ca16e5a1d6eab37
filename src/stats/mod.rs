//! Statistics over many runs: pure functions, and sums that come out the same in whatever order they are fed.
//!
//! Observations are integers (microseconds, counts, billionths), so that adding and merging are exact. Floats appear only
//! at the end, made by IEEE operations and libm alone: two machines print the same digits.

mod distribution;
mod proportion;
mod quantile;
mod sums;

pub use distribution::{DISTINCT_MAX, Distribution, Point};
pub use proportion::{Proportion, wilson};
pub use quantile::{normal_quantile, ranks, student_quantile};
pub use sums::Sums;

use serde::Serialize;

/// The confidence of every interval here.
pub const CONFIDENCE: f64 = 0.95;

/// A confidence interval; an end that the sample is too small for is open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

impl Interval {
    /// Both ends known.
    #[must_use]
    pub fn new(low: f64, high: f64) -> Interval {
        Interval { low: Some(low), high: Some(high) }
    }

    /// Both ends scaled, for another unit.
    #[must_use]
    pub fn scaled(self, by: f64) -> Interval {
        Interval { low: self.low.map(|low| low * by), high: self.high.map(|high| high * by) }
    }

    /// Whether zero lies outside it: a difference that is there.
    #[must_use]
    pub fn excludes_zero(self) -> bool {
        self.low.is_some_and(|low| low > 0.0) || self.high.is_some_and(|high| high < 0.0)
    }
}
