//! Two scenarios with the same seeds: what differs, run by run. Random streams have names, so that a pair of runs differs
//! only by what the scenarios differ in, and a difference shows with far fewer runs than two separate samples would need.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::batch::{Job, Row, batch};
use super::limits::Limits;
use super::{bisect, integer};
use crate::check::{METRICS, Metric};
use crate::rng::{Seed, Seeds};
use crate::scenario::Scenario;
use crate::stats::{Distribution, Interval, Proportion};

/// What to compare.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The two.
    pub scenarios: [Arc<Scenario>; 2],
    /// With which seeds.
    pub seeds: Seeds,
    /// What each run may cost.
    pub limits: Limits,
    /// How many runs at the same time.
    pub threads: usize,
}

/// A metric in both.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Which.
    pub metric: &'static Metric,
    /// Its values under A and under B, in [`integer()`]'s units.
    pub values: [Distribution; 2],
    /// Runs without a value, under A and under B.
    pub absent: [u64; 2],
    /// B less A, of the seeds that have both.
    pub difference: Distribution,
    /// Seeds with which B has less than A, the same, more.
    pub less: u64,
    /// The same (both without a value too).
    pub equal: u64,
    /// More.
    pub more: u64,
    /// A value under A only.
    pub only_a: u64,
    /// A value under B only.
    pub only_b: u64,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Pairs of runs.
    pub pairs: u64,
    /// Pairs whose traces were the same to the last event.
    pub same_digest: u64,
    /// How many failed, under A and under B.
    pub failures: [Proportion; 2],
    /// Failures under B less those under A, of each seed.
    pub failure_difference: Distribution,
    /// Every metric that any run had.
    pub metrics: Vec<Metrics>,
    /// How many seeds fail under A only.
    pub only_a_fails: u64,
    /// How many under B only.
    pub only_b_fails: u64,
    /// How many under both.
    pub both_fail: u64,
    /// The first of those that changed verdict: under A only, and under B only.
    pub changed: [Vec<Seed>; 2],
}

/// So many seeds that changed verdict are remembered on each side.
pub const CHANGED_MAX: usize = 1_000;

impl Metrics {
    fn new(metric: &'static Metric) -> Metrics {
        Metrics {
            metric,
            values: [Distribution::default(), Distribution::default()],
            absent: [0, 0],
            difference: Distribution::default(),
            less: 0,
            equal: 0,
            more: 0,
            only_a: 0,
            only_b: 0,
        }
    }

    fn add(&mut self, rows: [&Row; 2]) {
        let value = |row: &Row| row.metrics.get(self.metric.name).and_then(|value| integer(*value, self.metric.unit));
        let values = rows.map(value);
        for (side, value) in values.iter().enumerate() {
            match value {
                Some(value) => self.values[side].add(*value),
                None => self.absent[side] += 1,
            }
        }
        match values {
            [Some(a), Some(b)] => {
                self.difference.add(b - a);
                match b.cmp(&a) {
                    std::cmp::Ordering::Less => self.less += 1,
                    std::cmp::Ordering::Equal => self.equal += 1,
                    std::cmp::Ordering::Greater => self.more += 1,
                }
            }
            [Some(_), None] => self.only_a += 1,
            [None, Some(_)] => self.only_b += 1,
            [None, None] => self.equal += 1,
        }
    }

    /// Whether any pair of runs differs in it.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.less + self.more + self.only_a + self.only_b > 0
    }

    /// The mean difference and its confidence interval.
    #[must_use]
    pub fn mean(&self) -> Option<(f64, Option<Interval>)> {
        Some((self.difference.sums().mean()?, self.difference.sums().mean_interval()))
    }

    /// The median difference and its confidence interval.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a result for people")]
    pub fn median(&self) -> Option<(f64, Interval)> {
        Some((self.difference.quantile(500)? as f64, self.difference.quantile_interval(500)))
    }

    /// How many half-widths of its interval the mean difference is away from zero: 1 and more is a difference that is
    /// there. None of a metric that never differs.
    #[must_use]
    pub fn strength(&self) -> Option<f64> {
        let (mean, interval) = self.mean()?;
        let Interval { low: Some(low), high: Some(high) } = interval? else { return None };
        if mean == 0.0 {
            return Some(0.0);
        }
        let half = (high - low) / 2.0;
        Some(if half > 0.0 { mean.abs() / half } else { f64::MAX })
    }

    /// Whether the difference is more than chance would make.
    #[must_use]
    pub fn significant(&self) -> bool {
        self.mean().and_then(|(_, interval)| interval).is_some_and(Interval::excludes_zero)
    }
}

/// Runs both with every seed. `progress` hears how many pairs are done.
///
/// # Panics
/// When the runs come back out of order, which would be a bug.
pub fn compare(pair: &Pair, progress: &mut dyn FnMut(u64)) -> Compared {
    let mut out = Compared {
        pairs: 0,
        same_digest: 0,
        failures: [Proportion::default(); 2],
        failure_difference: Distribution::default(),
        metrics: METRICS.iter().map(Metrics::new).collect(),
        only_a_fails: 0,
        only_b_fails: 0,
        both_fail: 0,
        changed: [Vec::new(), Vec::new()],
    };
    let mut jobs = pair.seeds.iter().flat_map(|seed| [0, 1].map(|variant| Job { variant, seed }));
    let mut first: Option<Row> = None;
    batch(&pair.scenarios, &mut jobs, pair.threads, &pair.limits, &mut |row| {
        match first.take() {
            None => first = Some(row),
            Some(a) => {
                assert!((a.variant, row.variant, a.seed) == (0, 1, row.seed), "rows come in the order of the jobs");
                out.add(&a, &row, &pair.scenarios);
                progress(out.pairs);
            }
        }
        ControlFlow::Continue(())
    });
    out.metrics.retain(|metrics| metrics.absent.iter().any(|&absent| absent < out.pairs));
    out
}

impl Compared {
    fn add(&mut self, a: &Row, b: &Row, scenarios: &[Arc<Scenario>; 2]) {
        self.pairs += 1;
        self.same_digest += u64::from(a.digest == b.digest && a.ended == b.ended);
        let fails = [bisect::fails(a, &scenarios[0], &[]), bisect::fails(b, &scenarios[1], &[])];
        self.failures[0].add(fails[0]);
        self.failures[1].add(fails[1]);
        self.failure_difference.add(i64::from(fails[1]) - i64::from(fails[0]));
        match fails {
            [true, true] => self.both_fail += 1,
            [true, false] => {
                self.only_a_fails += 1;
                remember(&mut self.changed[0], a.seed);
            }
            [false, true] => {
                self.only_b_fails += 1;
                remember(&mut self.changed[1], a.seed);
            }
            [false, false] => {}
        }
        // A run that was given up has no metrics that could be compared.
        if a.ended.finished() && b.ended.finished() {
            self.metrics.iter_mut().for_each(|metrics| metrics.add([a, b]));
        }
    }

    /// The metrics that differ in any pair: those that differ for certain first, the clearest first.
    #[must_use]
    pub fn ranked(&self) -> Vec<&Metrics> {
        let mut out: Vec<&Metrics> = self.metrics.iter().filter(|metrics| metrics.differs()).collect();
        out.sort_by(|a, b| {
            let key = |metrics: &Metrics| (metrics.significant(), metrics.strength().unwrap_or(-1.0));
            let (a, b) = (key(a), key(b));
            b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
        });
        out
    }
}

fn remember(seeds: &mut Vec<Seed>, seed: Seed) {
    if seeds.len() < CHANGED_MAX {
        seeds.push(seed);
    }
}
