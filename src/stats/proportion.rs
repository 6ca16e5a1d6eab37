//! Shares: how many of so many, and how sure that is.

use serde::Serialize;

use super::{Interval, quantile::normal_quantile};

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proportion {
    /// Those with the property.
    pub hits: u64,
    /// All.
    pub of: u64,
}

impl Proportion {
    /// Takes one observation.
    pub fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.of += 1;
    }

    /// Their share; none of nothing.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a result for people")]
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }

    /// Wilson's confidence interval of the share.
    #[must_use]
    pub fn interval(self) -> Option<Interval> {
        wilson(self.hits, self.of)
    }
}

/// Wilson's score interval for `hits` of `of`: sound for shares near 0 and 1 too, which is where failures live.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a result for people")]
pub fn wilson(hits: u64, of: u64) -> Option<Interval> {
    if of == 0 {
        return None;
    }
    let (n, z) = (of as f64, normal_quantile());
    let share = hits.min(of) as f64 / n;
    let z2 = z * z;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * libm::sqrt(share * (1.0 - share) / n + z2 / (4.0 * n * n));
    // At the ends the formula gives 0 and 1 up to rounding.
    let low = if hits == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if hits >= of { 1.0 } else { (centre + half).min(1.0) };
    Some(Interval::new(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        for (hits, of, low, high) in
            [(0, 10, 0.0, 0.277_5), (10, 10, 0.722_5, 1.0), (81, 263, 0.255_3, 0.366_2), (1, 10_000, 1.77e-5, 5.66e-4)]
        {
            let interval = wilson(hits, of).expect("some");
            let (Some(got_low), Some(got_high)) = (interval.low, interval.high) else { panic!("both ends") };
            assert!(
                (got_low - low).abs() < 1e-4 && (got_high - high).abs() < 1e-4,
                "{hits}/{of}: {got_low} {got_high}"
            );
        }
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn a_share_counts() {
        let mut share = Proportion::default();
        assert_eq!(share.share(), None);
        [true, false, false, true].into_iter().for_each(|hit| share.add(hit));
        assert_eq!((share, share.share()), (Proportion { hits: 2, of: 4 }, Some(0.5)));
    }
}
