//! A sample's distribution in bounded memory: exact as long as it has few different values, then to three digits.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Interval, Sums, quantile};

/// So many different values are kept as they are; beyond, each keeps its eleven leading bits (steps of at most 0.1%), which bounds the
/// memory whatever comes. Whether that happens depends on the sample alone, not on its order or its parts.
pub const DISTINCT_MAX: usize = 1 << 14;

/// Bits that a value keeps.
const KEPT_BITS: u32 = 11;

/// How often each value was seen, with the exact sums. Equal for equal samples, whatever the order they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    sums: Sums,
    counts: BTreeMap<i64, u64>,
    coarse: bool,
    /// Exact, whatever the counts keep.
    range: Option<(i64, i64)>,
}

/// A step of an empirical distribution function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// A value.
    pub value: i64,
    /// How many observations are at most that.
    pub up_to: u64,
}

impl Distribution {
    /// Takes one observation.
    pub fn add(&mut self, value: i64) {
        self.sums.add(value);
        self.range = Some(self.range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
        let kept = if self.coarse { coarse(value) } else { value };
        *self.counts.entry(kept).or_default() += 1;
        self.bound();
    }

    /// Takes all observations of another.
    pub fn merge(&mut self, other: &Distribution) {
        self.sums.merge(&other.sums);
        self.range = match (self.range, other.range) {
            (Some((low, high)), Some((l, h))) => Some((low.min(l), high.max(h))),
            (one, none) => one.or(none),
        };
        if other.coarse && !self.coarse {
            self.coarsen();
        }
        for (&value, &count) in &other.counts {
            let kept = if self.coarse { coarse(value) } else { value };
            *self.counts.entry(kept).or_default() += count;
        }
        self.bound();
    }

    fn bound(&mut self) {
        if !self.coarse && self.counts.len() > DISTINCT_MAX {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.coarse = true;
        for (value, count) in std::mem::take(&mut self.counts) {
            *self.counts.entry(coarse(value)).or_default() += count;
        }
    }

    /// How many observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sums.count()
    }

    /// The exact sums.
    #[must_use]
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// The smallest observation.
    #[must_use]
    pub fn min(&self) -> Option<i64> {
        self.range.map(|(min, _)| min)
    }

    /// The largest observation.
    #[must_use]
    pub fn max(&self) -> Option<i64> {
        self.range.map(|(_, max)| max)
    }

    /// Whether any two observations differ.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.range.is_some_and(|(min, max)| min != max)
    }

    /// Whether values are kept as they are (else to three digits).
    #[must_use]
    pub fn exact(&self) -> bool {
        !self.coarse
    }

    /// The smallest observation that at least `milli` thousandths are not above (nearest rank).
    #[must_use]
    pub fn quantile(&self, milli: u32) -> Option<i64> {
        let rank = (u128::from(self.count()) * u128::from(milli)).div_ceil(1_000).max(1);
        self.ranked(u64::try_from(rank).ok()?)
    }

    /// The observation of a rank, from 1.
    fn ranked(&self, rank: u64) -> Option<i64> {
        let mut seen = 0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        let (min, max) = self.range?;
        found.map(|(value, _)| (*value).clamp(min, max))
    }

    /// The confidence interval of a quantile, by order statistics: no assumption about the distribution.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a result for people")]
    pub fn quantile_interval(&self, milli: u32) -> Interval {
        let (low, high) = quantile::ranks(self.count(), milli);
        let end = |rank: Option<u64>| rank.and_then(|rank| self.ranked(rank)).map(|value| value as f64);
        Interval { low: end(low), high: end(high) }
    }

    /// Each value that was seen, ascending, and how often.
    pub fn counts(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.counts.iter().map(|(value, count)| (*value, *count))
    }

    /// The empirical distribution function in at most about `points` steps: the first, the last, and evenly many
    /// observations between two.
    #[must_use]
    pub fn ecdf(&self, points: u64) -> Vec<Point> {
        let (mut out, mut up_to, mut next) = (Vec::new(), 0, 1);
        let step = self.count().div_ceil(points.max(2)).max(1);
        let last = self.counts.len().saturating_sub(1);
        for (index, (value, count)) in self.counts().enumerate() {
            up_to += count;
            if up_to >= next || index == last {
                out.push(Point { value, up_to });
                next = up_to + step;
            }
        }
        out
    }

    /// Counts in equal bins, as `(from, to, count)`, each without its `to` but for the last: at most `bins`, and no finer than whole numbers.
    #[must_use]
    pub fn histogram(&self, bins: u32) -> Vec<(i64, i64, u64)> {
        let Some((min, max)) = self.range else { return Vec::new() };
        let span = u64::try_from(i128::from(max) - i128::from(min)).unwrap_or(u64::MAX);
        let width = i64::try_from((span / u64::from(bins.max(1)) + 1).max(1)).unwrap_or(i64::MAX);
        let mut out: Vec<(i64, i64, u64)> = Vec::new();
        let mut from = min;
        loop {
            let to = from.saturating_add(width);
            out.push((from, to, 0));
            if to > max || to == i64::MAX {
                break;
            }
            from = to;
        }
        for (value, count) in self.counts() {
            let index = out.partition_point(|(_, to, _)| *to <= value.clamp(min, max)).min(out.len() - 1);
            out[index].2 += count;
        }
        out
    }
}

/// The middle of the values that share the eleven leading bits. Its own coarse form is itself.
fn coarse(value: i64) -> i64 {
    let magnitude = value.unsigned_abs();
    let bits = u64::BITS - magnitude.leading_zeros();
    if bits <= KEPT_BITS {
        return value;
    }
    let dropped = bits - KEPT_BITS;
    let kept = (magnitude >> dropped << dropped) | 1 << (dropped - 1);
    let kept = i64::try_from(kept).unwrap_or(i64::MAX);
    if value < 0 { -kept } else { kept }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[i64]) -> Distribution {
        let mut out = Distribution::default();
        values.iter().for_each(|value| out.add(*value));
        out
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let hundred = of(&(1..=100).collect::<Vec<_>>());
        for (milli, value) in [(0, 1), (10, 1), (11, 2), (500, 50), (501, 51), (990, 99), (1_000, 100)] {
            assert_eq!(hundred.quantile(milli), Some(value), "{milli}");
        }
        assert_eq!(of(&[]).quantile(500), None);
        assert_eq!(of(&[7]).quantile(990), Some(7));
        assert!(!of(&[7, 7]).varies() && of(&[7, 8]).varies());
        assert_eq!(of(&(1..=20).collect::<Vec<_>>()).quantile_interval(500), Interval::new(6.0, 15.0));
        assert_eq!(hundred.quantile_interval(990).high, None);
    }

    #[test]
    fn too_many_values_become_coarse() {
        let many: Vec<i64> = (0..20_000).map(|i| i * 1_000 + 3).collect();
        let fine = of(&many[..DISTINCT_MAX]);
        let all = of(&many);
        assert!(fine.exact() && !all.exact());
        assert_eq!((all.min(), all.max(), all.count()), (Some(3), Some(19_999_003), 20_000));
        let median = all.quantile(500).expect("some");
        assert!((median - 9_999_003).abs() < 9_999_003 / 1_000, "{median}");
        assert!(all.counts().count() < 15_000);
        let mut backwards = of(&many.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(backwards, all);
        backwards.merge(&of(&many));
        assert_eq!(backwards.count(), 40_000);
    }

    #[test]
    fn bins_and_steps_hold_everything() {
        let some = of(&[1, 1, 2, 5, 9, 9, 9, 10]);
        let bins = some.histogram(3);
        assert_eq!(bins, [(1, 5, 3), (5, 9, 1), (9, 13, 4)]);
        assert_eq!(of(&[4, 4]).histogram(10), [(4, 5, 2)]);
        let steps = some.ecdf(100);
        assert_eq!(steps.first(), Some(&Point { value: 1, up_to: 2 }));
        assert_eq!(steps.last(), Some(&Point { value: 10, up_to: 8 }));
        let thousand = of(&(0..1_000).collect::<Vec<_>>()).ecdf(10);
        assert!((9..=12).contains(&thousand.len()), "{}", thousand.len());
        assert_eq!(thousand.last().map(|point| point.up_to), Some(1_000));
    }

    proptest! {
        /// Order and parts don't matter.
        #[test]
        fn parts_merge_to_the_whole(values in proptest::collection::vec(-5_000_i64..5_000_000_000, 0..300), at in 0_usize..300) {
            let whole = of(&values);
            let (left, right) = values.split_at(at.min(values.len()));
            let (mut one, other) = (of(left), of(right));
            one.merge(&other);
            prop_assert_eq!(&one, &whole);
            let total: u64 = whole.histogram(20).iter().map(|bin| bin.2).sum();
            prop_assert_eq!(total, whole.count());
            prop_assert!(whole.histogram(20).len() <= 21);
        }

        #[test]
        fn coarse_is_near_and_final(value in proptest::num::i64::ANY) {
            let kept = coarse(value);
            prop_assert_eq!(coarse(kept), kept);
            prop_assert!((i128::from(kept) - i128::from(value)).abs() <= i128::from(value.unsigned_abs()) / 1_024);
        }
    }
}
