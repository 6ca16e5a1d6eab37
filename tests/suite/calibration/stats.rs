//! The little statistics that comparing needs: medians, quantiles, and whether two samples can be of one distribution.

/// The median; `None` of nothing.
#[must_use]
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// A quantile by linear interpolation; `None` of nothing.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a sample"
)]
pub(crate) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = q * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (at - at.floor()))
}

/// The two-sample Kolmogorov–Smirnov distance: the greatest difference of the empirical distributions.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "sample sizes")]
pub(crate) fn ks_distance(a: &[f64], b: &[f64]) -> f64 {
    let share = |sample: &[f64], x: f64| sample.iter().filter(|v| **v <= x).count() as f64 / sample.len() as f64;
    a.iter().chain(b).map(|x| (share(a, *x) - share(b, *x)).abs()).fold(0.0, f64::max)
}

/// The probability of a distance at least this large if both samples were of one distribution
/// (the asymptotic series with Stephens' correction for small samples).
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "sample sizes")]
pub(crate) fn ks_probability(distance: f64, n: usize, m: usize) -> f64 {
    let size = ((n * m) as f64 / (n + m) as f64).sqrt();
    let lambda = (size + 0.12 + 0.11 / size) * distance;
    if lambda < 0.2 {
        return 1.0;
    }
    let mut sum = 0.0;
    for k in 1..=100 {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        sum += sign * (-2.0 * f64::from(k * k) * lambda * lambda).exp();
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// Whether the two samples can be of one distribution: the probability of a distance as large as theirs, the first
/// one having only so many independent values.
#[must_use]
pub(crate) fn same_distribution(a: &[f64], b: &[f64], independent: usize) -> f64 {
    ks_probability(ks_distance(a, b), independent, b.len())
}

/// Where the median of `n` draws from a sample lies, 999 times out of 1000 (some five hundred medians are compared).
#[must_use]
pub(crate) fn median_band(sample: &[f64], n: usize) -> (f64, f64) {
    let mut rng = splitbrain::rng::Seed(7).stream("calibration", "bootstrap");
    let medians: Vec<f64> = (0..4000)
        .filter_map(|_| {
            let draws: Vec<f64> =
                (0..n).map(|_| sample[usize::try_from(rng.below(sample.len() as u64)).expect("an index")]).collect();
            median(&draws)
        })
        .collect();
    (quantile(&medians, 0.0005).unwrap_or(0.0), quantile(&medians, 0.9995).unwrap_or(0.0))
}

/// The chance that of `runs` further runs at least so many, and at most so many, show what `seen` of `seeds` showed:
/// the tails of the beta-binomial distribution, nothing being known of the share beforehand.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn tails(count: usize, runs: usize, seen: usize, seeds: usize) -> (f64, f64) {
    let (a, b) = (seen as f64 + 1.0, (seeds - seen) as f64 + 1.0);
    let ln_beta = |a: f64, b: f64| libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let chance = |k: usize| {
        let (k, n) = (k as f64, runs as f64);
        let choose = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
        (choose + ln_beta(k + a, n - k + b) - ln_beta(a, b)).exp()
    };
    ((count..=runs).map(chance).sum(), (0..=count).map(chance).sum())
}

#[test]
fn tails_follow_the_share_that_was_seen() {
    let (least, most) = tails(0, 5, 3, 100);
    assert!((least - 1.0).abs() < 1e-9 && most > 0.8);
    // Nothing seen in a hundred: once in six runs is possible, four times is not.
    assert!(tails(1, 6, 0, 100).0 > 0.05);
    assert!(tails(4, 6, 0, 100).0 < 1e-5);
    // Seen in nearly all: never in six runs is not possible.
    assert!(tails(0, 6, 95, 100).1 < 1e-5);
}

#[test]
fn samples_of_one_kind_are_told_from_others() {
    let a: Vec<f64> = (0..20).map(f64::from).collect();
    let b: Vec<f64> = (0..200).map(|i| f64::from(i) / 10.0).collect();
    assert!(ks_probability(ks_distance(&a, &b), a.len(), b.len()) > 0.9);
    let shifted: Vec<f64> = a.iter().map(|x| x + 10.0).collect();
    assert!(ks_probability(ks_distance(&shifted, &b), 20, 200) < 0.001);
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
}
