//! A metric's figures over many runs, and the expectations held against them.

use serde::Serialize;

use super::record::plain;
use super::tally::{Spread, Tally};
use crate::check::{Expectation, METRICS, Unit, Value, metrics};
use crate::stats::{Interval, Proportion};

/// What a metric comes to over many runs: times in milliseconds, shares, counts. `None` where there is no value, or too few.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Runs with a value.
    pub n: u64,
    /// Runs without: it didn't happen.
    pub absent: u64,
    /// The smallest.
    pub min: Option<f64>,
    /// The mean, of exact sums. Of true and false: the share of true.
    pub mean: Option<f64>,
    /// The mean's confidence interval (Student's t; Wilson's for true and false).
    pub mean_ci: Option<Interval>,
    /// The standard deviation.
    pub deviation: Option<f64>,
    /// The median: half of the values are at most that.
    pub p50: Option<f64>,
    /// Its confidence interval, by order statistics; an end is open when the sample is too small to have one.
    pub p50_ci: Option<Interval>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// Its confidence interval.
    pub p90_ci: Option<Interval>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// Its confidence interval.
    pub p99_ci: Option<Interval>,
    /// The largest.
    pub max: Option<f64>,
    /// Whether percentiles are exact; else they are to three digits, as there are very many different values.
    pub exact: bool,
}

/// An expectation and how it came out over all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The expectation.
    pub expectation: Expectation,
    /// For one on a distribution: the statistic's value.
    pub actual: Value,
    /// The statistic's confidence interval, where it has one.
    pub interval: Option<Interval>,
    /// For one on single runs: in how many it held.
    pub held: Proportion,
    /// Runs that have no value: none of them meets an expectation, and none is in a distribution.
    pub absent: u64,
    /// Whether it held.
    pub passed: bool,
}

/// The figures of every metric, in order.
#[must_use]
pub fn figures(tally: &Tally) -> Vec<Figures> {
    let empty = Spread::default();
    METRICS.iter().enumerate().map(|(at, metric)| of(metric.unit, tally.metrics.get(at).unwrap_or(&empty))).collect()
}

fn of(unit: Unit, spread: &Spread) -> Figures {
    let values = &spread.values;
    let one = |value: Option<i64>| value.map(|value| plain(unit, value));
    let by = plain(unit, 1);
    let some = values.count() > 0;
    let interval = |milli: u32| some.then(|| values.quantile_interval(milli).scaled(by));
    let mean_ci = match unit {
        Unit::Bool => {
            let hits = u64::try_from(values.sums().sum()).unwrap_or(0);
            Proportion { hits, of: values.count() }.interval()
        }
        Unit::Count | Unit::Bytes | Unit::Time | Unit::Ratio => {
            values.sums().mean_interval().map(|interval| interval.scaled(by))
        }
    };
    Figures {
        n: values.count(),
        absent: spread.absent,
        min: one(values.min()),
        mean: values.sums().mean().map(|mean| mean * by),
        mean_ci,
        deviation: values.sums().deviation().map(|deviation| deviation * by),
        p50: one(values.quantile(500)),
        p50_ci: interval(500),
        p90: one(values.quantile(900)),
        p90_ci: interval(900),
        p99: one(values.quantile(990)),
        p99_ci: interval(990),
        max: one(values.max()),
        exact: values.exact(),
    }
}

impl Figures {
    /// A statistic by its name, and its confidence interval.
    #[must_use]
    pub fn statistic(&self, name: &str) -> (Option<f64>, Option<Interval>) {
        match name {
            "min" => (self.min, None),
            "max" => (self.max, None),
            "mean" => (self.mean, self.mean_ci),
            "p50" => (self.p50, self.p50_ci),
            "p90" => (self.p90, self.p90_ci),
            "p99" => (self.p99, self.p99_ci),
            _ => (None, None),
        }
    }

    /// Whether any two runs differ, one without a value from one with included.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.min != self.max || self.n > 0 && self.absent > 0
    }
}

/// Judges a variant's expectations.
#[must_use]
pub fn judge(expect: &[Expectation], tally: &Tally) -> Vec<Judged> {
    let figures = figures(tally);
    let runs = tally.passed.of;
    let one = |(at, expectation): (usize, &Expectation)| {
        let place = METRICS.iter().position(|metric| *metric.name == *expectation.metric);
        let figures = place.and_then(|place| figures.get(place));
        let absent = figures.map_or(runs, |figures| figures.absent);
        let at = u16::try_from(at).unwrap_or(u16::MAX);
        let failures = tally.failed.get(&at).copied().unwrap_or(0);
        let held = Proportion { hits: runs - failures, of: runs };
        let (actual, interval, passed) = match &expectation.statistic {
            // A shard may have no run of a variant; nothing has failed there.
            _ if runs == 0 => (Value::Absent, None, true),
            None => (Value::Absent, None, failures == 0),
            Some(statistic) => {
                let (value, interval) = figures.map_or((None, None), |figures| figures.statistic(statistic));
                let actual = value.map_or(Value::Absent, Value::Number);
                (actual, interval, expectation.holds(actual))
            }
        };
        Judged { expectation: expectation.clone(), actual, interval, held, absent, passed }
    };
    expect.iter().enumerate().map(one).collect()
}

/// The unit of a metric.
#[must_use]
pub fn unit(name: &str) -> Unit {
    metrics::find(name).map_or(Unit::Count, |metric| metric.unit)
}

/// A figure for people: as the metric's values are shown, but for a mean of counts.
#[must_use]
pub fn show(unit: Unit, value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match unit {
        Unit::Time | Unit::Ratio => Value::Number(value).show(unit),
        Unit::Bool => format!("{:.1}%", value * 100.0),
        Unit::Count | Unit::Bytes if libm::trunc(value) == value && value >= 0.0 => whole(unit, value),
        Unit::Bytes => whole(unit, libm::round(value)),
        Unit::Count => Value::Number(value).show(unit),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and not negative")]
fn whole(unit: Unit, value: f64) -> String {
    Value::Count(value as u64).show(unit)
}
