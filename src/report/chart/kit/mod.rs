//! Charts of many runs: how a value is distributed, and how it depends on what was varied. Plain values in, chart out;
//! whatever a chart prints is also in what [`Ecdf::numbers`], [`Histogram::bins`] and the inputs themselves serialise.

mod ecdf;
mod heatmap;
mod histogram;
mod lines;
mod plot;
mod scale;
#[cfg(test)]
mod show;

#[cfg(test)]
pub(crate) use show::samples;

use serde::Serialize;

pub use crate::check::metrics::Unit;
pub use ecdf::{Ecdf, EcdfGrid, EcdfNumbers, Step};
pub use heatmap::{Cell, HeatMap};
pub use histogram::{Bin, Bins, Histogram};
pub use lines::{Boundary, Line, LinePoint, Lines, Rate};

use super::frame::Mark;
use super::theme::{BLUE, Color, GREEN, ORANGE, PURPLE};

/// The values of one thing over many runs. Times are in milliseconds, ratios between 0 and 1, true is 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// What the values are of: a variant, a setting, `recorded`.
    pub label: String,
    /// The values in any order. What isn't finite is treated as absent.
    pub values: Vec<f64>,
    /// How many runs have no value (nothing happened that could be measured).
    pub absent: u64,
}

/// A limit that an expectation sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// As the scenario writes it: `p99 <= 15s`.
    pub text: String,
    /// Where it is, in the chart's unit.
    pub at: f64,
}

/// What a sample comes to. `None` where there are no values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Values.
    pub n: u64,
    /// Runs without one.
    pub absent: u64,
    /// The smallest.
    pub min: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The median: see [`quantile`].
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
}

impl Sample {
    /// The values that count, sorted, and how many runs have none.
    pub(crate) fn sorted(&self) -> (Vec<f64>, u64) {
        let mut values: Vec<f64> = self.values.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let absent = self.absent + (self.values.len() - values.len()) as u64;
        (values, absent)
    }

    /// Its figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let (sorted, absent) = self.sorted();
        figures(&sorted, absent)
    }
}

fn figures(sorted: &[f64], absent: u64) -> Figures {
    Figures {
        n: sorted.len() as u64,
        absent,
        min: sorted.first().copied(),
        mean: mean(sorted),
        p50: quantile(sorted, 0.5),
        p90: quantile(sorted, 0.9),
        p99: quantile(sorted, 0.99),
        max: sorted.last().copied(),
    }
}

/// The smallest value that at least a share `p` of the sorted values do not exceed (nearest rank): always one of them,
/// and the point where the empirical distribution reaches `p`.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank lies between 1 and the number of values"
)]
pub fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let rank = libm::ceil(sorted.len() as f64 * p.clamp(0.0, 1.0) - 1e-9).max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

/// The mean.
#[allow(clippy::cast_precision_loss, reason = "a number of runs")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// How often something happens whose true rate is unknown: Wilson's 95% score interval of `hits` in `runs`.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "numbers of runs")]
pub fn wilson(hits: u64, runs: u64) -> (f64, f64) {
    if runs == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_963_984_540_054;
    let n = runs as f64;
    let p = hits as f64 / n;
    let below = 1.0 + Z * Z / n;
    let center = (p + Z * Z / (2.0 * n)) / below;
    let half = Z * libm::sqrt(p * (1.0 - p) / n + Z * Z / (4.0 * n * n)) / below;
    ((center - half).max(0.0), (center + half).min(1.0))
}

/// How the n-th of a few series looks: they differ in colour, in lightness, in dash and in mark.
pub(crate) struct Style {
    pub(crate) color: Color,
    pub(crate) dash: &'static [f64],
    pub(crate) mark: Mark,
}

const STYLES: [Style; 6] = [
    Style { color: BLUE, dash: &[], mark: Mark::Dot },
    Style { color: ORANGE, dash: &[9.0, 4.0], mark: Mark::Square },
    Style { color: GREEN, dash: &[2.5, 3.0], mark: Mark::Triangle },
    Style { color: PURPLE, dash: &[11.0, 3.0, 2.5, 3.0], mark: Mark::Diamond },
    Style { color: super::theme::INK, dash: &[5.0, 2.0], mark: Mark::Cross },
    Style { color: super::theme::SKY, dash: &[14.0, 5.0], mark: Mark::Ring },
];

pub(crate) fn style(n: usize) -> &'static Style {
    &STYLES[n % STYLES.len()]
}

/// `1 run`, `200 runs`.
pub(crate) fn runs(n: u64) -> String {
    format!("{} run{}", crate::check::metrics::thousands(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_sample() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        for (p, expected) in [(0.0, 1.0), (0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0)] {
            assert_eq!(quantile(&values, p), Some(expected), "{p}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
    }

    #[test]
    fn wilson_matches_published_values() {
        for (hits, runs, low, high) in
            [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)]
        {
            let (a, b) = wilson(hits, runs);
            assert!((a - low).abs() < 2e-4 && (b - high).abs() < 2e-4, "{hits}/{runs}: {a}..{b}");
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn what_is_not_a_number_is_absent() {
        let sample = Sample { label: "a".into(), values: vec![2.0, f64::NAN, 1.0, f64::INFINITY], absent: 3 };
        let figures = sample.figures();
        assert_eq!((figures.n, figures.absent, figures.min, figures.max), (2, 5, Some(1.0), Some(2.0)));
        assert_eq!(Sample::default().figures(), Figures::default());
    }
}
