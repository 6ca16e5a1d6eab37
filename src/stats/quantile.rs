//! Quantiles of the distributions behind confidence intervals, and the ranks that bound a sample's quantile.

/// The two-sided 95% quantile of the normal distribution.
#[must_use]
pub fn normal_quantile() -> f64 {
    1.959_963_984_540_054
}

/// The two-sided 95% quantile of Student's t with so many degrees of freedom: from the table up to 12, then by the
/// Cornish–Fisher expansion, which is right to four digits there.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "beyond 2^53 the correction is zero anyway")]
pub fn student_quantile(freedom: u64) -> f64 {
    const TABLE: [f64; 12] =
        [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788];
    let small = freedom.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    if let Some(quantile) = small.and_then(|index| TABLE.get(index)) {
        return *quantile;
    }
    if freedom == 0 {
        return f64::INFINITY;
    }
    let (z, v) = (normal_quantile(), freedom as f64);
    let z3 = z * z * z;
    let z5 = z3 * z * z;
    z + (z3 + z) / (4.0 * v) + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v * v)
}

/// The ranks (from 1) of the two observations between which the quantile at `milli` thousandths lies with 95% confidence,
/// in a sorted sample of `n`. `None` where the sample is too small to have such a bound.
///
/// Exact by the binomial distribution for the smaller tail, by its normal approximation where that tail is long.
#[must_use]
pub fn ranks(n: u64, milli: u32) -> (Option<u64>, Option<u64>) {
    assert!(milli <= 1_000, "a quantile is a share, not {milli}/1000");
    if n == 0 {
        return (None, None);
    }
    if milli > 500 {
        // The sample read backwards.
        let (low, high) = ranks(n, 1_000 - milli);
        return (high.map(|rank| n + 1 - rank), low.map(|rank| n + 1 - rank));
    }
    let p = f64::from(milli) / 1_000.0;
    let (low, high) = lower_ranks(n, p);
    ((low >= 1).then_some(low), (high <= n).then_some(high))
}

/// The greatest `low` with P(B < low) ≤ 2.5% and the least `high` with P(B ≥ high) ≤ 2.5%, for B binomial(n, p), p ≤ ½. The true
/// quantile lies below the observation of rank r exactly when fewer than r observations lie below it.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked ranges"
)]
fn lower_ranks(n: u64, p: f64) -> (u64, u64) {
    /// So many expected in the tail are summed one by one.
    const EXACT: f64 = 1_000.0;
    let tail = (1.0 - super::CONFIDENCE) / 2.0;
    let expected = n as f64 * p;
    if p == 0.0 {
        return (0, 1);
    }
    if expected > EXACT {
        let half = normal_quantile() * libm::sqrt(expected * (1.0 - p));
        let low = libm::floor(expected - half) as u64;
        return (low, libm::ceil(expected + half) as u64 + 1);
    }
    let odds = libm::log(p / (1.0 - p));
    let mut log_chance = n as f64 * libm::log(1.0 - p);
    let (mut below, mut low) = (0.0, 0);
    for k in 0..=n {
        // `below` is P(B < k).
        if below <= tail {
            low = k;
        }
        if 1.0 - below <= tail {
            return (low, k);
        }
        below += libm::exp(log_chance);
        log_chance += odds + libm::log((n - k) as f64) - libm::log((k + 1) as f64);
    }
    (low, n + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_is_near_the_table() {
        for (freedom, quantile) in [(1, 12.706), (4, 2.776), (13, 2.160), (29, 2.045), (100, 1.984), (10_000, 1.960)] {
            assert!((student_quantile(freedom) - quantile).abs() < 1.5e-3, "{freedom}: {}", student_quantile(freedom));
        }
    }

    #[test]
    fn ranks_are_the_binomials() {
        // Conover's tables: a median of 20 lies between the 6th and the 15th observation.
        assert_eq!(ranks(20, 500), (Some(6), Some(15)));
        assert_eq!(ranks(5, 500), (None, None));
        assert_eq!(ranks(6, 500), (Some(1), Some(6)));
        // 0.99³⁶⁷ > 2.5% ≥ 0.99³⁶⁸: with fewer runs nothing bounds the 99th percentile from above.
        assert_eq!((ranks(367, 990).1, ranks(368, 990).1), (None, Some(368)));
        assert_eq!((ranks(368, 10).0, ranks(367, 10).0), (Some(1), None));
        assert_eq!(ranks(0, 500), (None, None));
        // A single observation lies below the 99th percentile in 99 of 100 cases.
        assert_eq!(ranks(1, 990), (Some(1), None));
    }

    #[test]
    fn both_ways_of_ranking_agree_where_they_meet() {
        for n in [1_990, 1_999, 2_001, 2_010] {
            let (Some(low), Some(high)) = ranks(n, 500) else { panic!("large enough") };
            let half = 1.96 * (n as f64 * 0.25).sqrt();
            assert!((low as f64 - (n as f64 / 2.0 - half)).abs() < 2.0, "{n}: {low}");
            assert!((high as f64 - (n as f64 / 2.0 + half)).abs() < 3.0, "{n}: {high}");
        }
    }
}
