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
pub use ecdf::{Ecdf, EcdfGrid, EcdfNumbers, EcdfPanel, EcdfRow, Step};
pub use heatmap::{Cell, HeatMap};
pub use histogram::{Bin, Bins, Histogram};
pub use lines::{Boundary, Line, LinePoint, Lines, Rate};

use super::frame::Mark;
use super::theme::{BLUE, Color, GREEN, ORANGE, PURPLE};
use crate::stats::Distribution;

/// The values of one thing over many runs. Times are in milliseconds, ratios between 0 and 1, true is 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// What the values are of: a variant, a setting, `recorded`.
    pub label: String,
    /// The values in any order, and how often each was seen. What isn't finite is treated as absent.
    pub values: Vec<(f64, u64)>,
    /// How many runs have no value (nothing happened that could be measured).
    pub absent: u64,
    /// The exact mean, for values that were rounded to save memory; `None`: it is computed.
    pub mean: Option<f64>,
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
    /// The median (nearest rank, as all quantiles here).
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
}

impl Sample {
    /// Each value once.
    #[must_use]
    pub fn of(label: &str, values: impl IntoIterator<Item = f64>, absent: u64) -> Sample {
        let values = values.into_iter().map(|value| (value, 1)).collect();
        Sample { label: label.to_owned(), values, absent, mean: None }
    }

    /// A distribution of integers, each of which stands for `unit` of the chart's unit (0.001 when microseconds are shown as
    /// milliseconds).
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "display only")]
    pub fn distribution(label: &str, from: &Distribution, unit: f64, absent: u64) -> Sample {
        let values = from.counts().map(|(value, count)| (value as f64 * unit, count)).collect();
        let mean = from.sums().mean().map(|mean| mean * unit);
        Sample { label: label.to_owned(), values, absent, mean }
    }

    /// The values that count, sorted.
    pub(crate) fn sorted(&self) -> Sorted {
        let mut all: Vec<(f64, u64)> = self.values.iter().copied().filter(|(_, count)| *count > 0).collect();
        let absent = self.absent + all.iter().filter(|(value, _)| !value.is_finite()).map(|(_, n)| n).sum::<u64>();
        all.retain(|(value, _)| value.is_finite());
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut values: Vec<(f64, u64)> = Vec::with_capacity(all.len());
        for (value, count) in all {
            match values.last_mut() {
                Some(last) if last.0 == value => last.1 += count,
                _ => values.push((value, count)),
            }
        }
        let n = values.iter().map(|(_, count)| count).sum();
        Sorted { values, n, absent, mean: self.mean }
    }

    /// Its figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.sorted().figures()
    }
}

/// Different values, ascending, and how often each was seen.
pub(crate) struct Sorted {
    pub(crate) values: Vec<(f64, u64)>,
    pub(crate) n: u64,
    absent: u64,
    mean: Option<f64>,
}

impl Sorted {
    fn figures(&self) -> Figures {
        Figures {
            n: self.n,
            absent: self.absent,
            min: self.values.first().map(|(value, _)| *value),
            mean: self.mean(),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            max: self.values.last().map(|(value, _)| *value),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "numbers of runs")]
    fn mean(&self) -> Option<f64> {
        let sum = || self.values.iter().map(|(value, count)| value * *count as f64).sum::<f64>();
        (self.n > 0).then(|| self.mean.unwrap_or_else(|| sum() / self.n as f64))
    }

    /// The smallest value that at least a share `p` of all do not exceed (nearest rank): always one of them, and the
    /// point where the empirical distribution reaches `p`.
    #[allow(clippy::cast_precision_loss, reason = "numbers of runs")]
    pub(crate) fn quantile(&self, p: f64) -> Option<f64> {
        let rank = libm::ceil(self.n as f64 * p - 1e-9).max(1.0);
        let mut seen = 0;
        let found = self.values.iter().find(|(_, count)| {
            seen += *count;
            seen as f64 >= rank
        });
        found.map(|(value, _)| *value)
    }
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
        let sorted = Sample::of("", (1..=100).map(f64::from), 0).sorted();
        for (p, expected) in [(0.0, 1.0), (0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0)] {
            assert_eq!(sorted.quantile(p), Some(expected), "{p}");
        }
        assert_eq!(Sample::default().sorted().quantile(0.5), None);
        assert_eq!(Sample::of("", [7.0], 0).sorted().quantile(0.99), Some(7.0));
    }

    #[test]
    fn a_distribution_has_the_same_figures_as_its_values() {
        let values = [1_500, 2_000, 2_000, 900_000, 7];
        let mut distribution = Distribution::default();
        values.iter().for_each(|&value| distribution.add(value));
        let sample = Sample::distribution("", &distribution, 0.001, 2);
        let plain = Sample::of("", values.iter().map(|&value| value as f64 * 0.001), 2);
        assert_eq!(sample.figures(), plain.figures());
        assert_eq!((sample.figures().p50, sample.figures().n), (Some(2.0), 5));
    }

    #[test]
    fn what_is_not_a_number_is_absent() {
        let sample = Sample::of("a", [2.0, f64::NAN, 1.0, f64::INFINITY], 3);
        let figures = sample.figures();
        assert_eq!((figures.n, figures.absent, figures.min, figures.max), (2, 5, Some(1.0), Some(2.0)));
        assert_eq!(Sample::default().figures(), Figures::default());
    }
}
