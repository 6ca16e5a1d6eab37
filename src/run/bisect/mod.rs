//! Over one number: where does the verdict change, and how likely is a failure on either side?
//!
//! With one seed the verdict is a step, and each step that a coarse grid finds is halved down to the tolerance. With many
//! seeds it is a share, and the boundary is where the share passes one half.

mod axis;

pub use axis::Axis;

use std::ops::ControlFlow;
use std::sync::Arc;

use super::batch::{Job, Row, batch};
use super::limits::Limits;
use crate::check::{Unit, metrics};
use crate::rng::{Seed, Seeds};
use crate::scenario::Scenario;
use crate::stats::{Interval, Proportion, Sums};

/// What to look at.
#[derive(Clone, Debug)]
pub struct Question {
    /// The number that varies.
    pub axis: Axis,
    /// With which seeds.
    pub seeds: Seeds,
    /// How many stretches the coarse grid has.
    pub steps: u32,
    /// How near a boundary is wanted.
    pub tolerance: i128,
    /// The expectations that count, by their metrics; none: all.
    pub only: Vec<String>,
    /// What each run may cost.
    pub limits: Limits,
    /// How many runs at the same time.
    pub threads: usize,
}

/// What came of one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The value.
    pub value: i128,
    /// How many runs failed.
    pub failures: Proportion,
    /// The first seeds that failed.
    pub failed: Vec<Seed>,
    /// The metrics that the scenario expects something of, in its order.
    pub metrics: Vec<Tracked>,
}

/// A metric over the runs of one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked {
    /// Its name.
    pub name: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// Its values, in [`crate::run::integer()`]'s units.
    pub values: Sums,
    /// Runs that have none.
    pub absent: u64,
    /// Runs that failed what is expected of it.
    pub failed: u64,
}

/// Where the verdict changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Boundary {
    /// The last value on one side.
    pub from: i128,
    /// The first on the other.
    pub to: i128,
    /// Whether runs fail on the upper side (or, with many seeds, mostly do).
    pub fails_above: bool,
    /// Where, as near as it can be told: with many seeds, where the share of failures passes one half.
    pub estimate: f64,
    /// With many seeds: the values within which that lies, as far as the sample tells. An open end is the range's.
    pub interval: Option<Interval>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// All values that were tried, ascending.
    pub points: Vec<Point>,
    /// Where the verdict changes, ascending; of several, each.
    pub boundaries: Vec<Boundary>,
    /// How many values the coarse grid had.
    pub grid: usize,
    /// Runs in all.
    pub runs: u64,
}

/// So many failing seeds are remembered at each value.
const FAILED_MAX: usize = 5;

/// Makes a scenario with the field at a value; the error has been explained.
pub type Variant<'a, E> = &'a dyn Fn(i128) -> Result<Arc<Scenario>, E>;

/// Finds out. `progress` hears how many runs there have been, and of how many, as far as is known.
///
/// # Errors
/// Those of `variant`.
pub fn bisect<E>(
    question: &Question,
    variant: Variant<'_, E>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Answer, E> {
    let grid = question.axis.grid(question.steps, question.tolerance);
    let mut answer = Answer { points: Vec::new(), boundaries: Vec::new(), grid: grid.len(), runs: 0 };
    let mut next = grid;
    while !next.is_empty() {
        measure(question, &next, variant, &mut answer, progress)?;
        answer.boundaries = boundaries(question, &answer.points);
        next = answer
            .boundaries
            .iter()
            .filter_map(|boundary| question.axis.between(boundary.from, boundary.to, question.tolerance))
            .collect();
    }
    Ok(answer)
}

/// Runs every seed with every one of some values.
fn measure<E>(
    question: &Question,
    values: &[i128],
    variant: Variant<'_, E>,
    answer: &mut Answer,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), E> {
    let scenarios = values.iter().map(|&value| variant(value)).collect::<Result<Vec<_>, E>>()?;
    let mut points: Vec<Point> =
        values.iter().zip(&scenarios).map(|(&value, scenario)| empty(value, scenario)).collect();
    let count = u32::try_from(values.len()).expect("a grid has few values");
    let mut jobs = (0..count).flat_map(|variant| question.seeds.iter().map(move |seed| Job { variant, seed }));
    let total = answer.runs + u64::from(count).saturating_mul(question.seeds.len());
    batch(&scenarios, &mut jobs, question.threads, &question.limits, &mut |row| {
        let index = row.variant as usize;
        take(&mut points[index], &row, &scenarios[index], &question.only);
        answer.runs += 1;
        progress(answer.runs, total);
        ControlFlow::Continue(())
    });
    answer.points.append(&mut points);
    answer.points.sort_by_key(|point| point.value);
    Ok(())
}

fn empty(value: i128, scenario: &Scenario) -> Point {
    let mut tracked: Vec<Tracked> = Vec::new();
    for metric in scenario.expect.iter().filter_map(|expectation| metrics::find(&expectation.metric)) {
        if !tracked.iter().any(|other| other.name == metric.name) {
            let (name, unit) = (metric.name, metric.unit);
            tracked.push(Tracked { name, unit, values: Sums::default(), absent: 0, failed: 0 });
        }
    }
    Point { value, failures: Proportion::default(), failed: Vec::new(), metrics: tracked }
}

fn take(point: &mut Point, row: &Row, scenario: &Scenario, only: &[String]) {
    let fails = fails(row, scenario, only);
    point.failures.add(fails);
    if fails && point.failed.len() < FAILED_MAX {
        point.failed.push(row.seed);
    }
    let missed = |name: &str| {
        let metric = |index: &u16| scenario.expect.get(usize::from(*index)).map(|expectation| &*expectation.metric);
        row.failed.iter().any(|index| metric(index) == Some(name))
    };
    for tracked in &mut point.metrics {
        tracked.failed += u64::from(missed(tracked.name));
        match row.metrics.get(tracked.name).and_then(|value| super::integer(*value, tracked.unit)) {
            Some(value) => tracked.values.add(value),
            None => tracked.absent += 1,
        }
    }
}

/// Whether a run fails in what counts.
pub(super) fn fails(row: &Row, scenario: &Scenario, only: &[String]) -> bool {
    let counts = |index: &u16| {
        only.is_empty()
            || scenario.expect.get(usize::from(*index)).is_some_and(|expected| only.contains(&expected.key()))
    };
    !row.ended.finished() || row.failed.iter().any(counts)
}

/// Between which neighbours more than half of the runs begin to fail, or cease to.
fn boundaries(question: &Question, points: &[Point]) -> Vec<Boundary> {
    let share = |point: &Point| point.failures.share().unwrap_or(0.0);
    let mut out = Vec::new();
    for (index, pair) in points.windows(2).enumerate() {
        let (low, high) = (share(&pair[0]), share(&pair[1]));
        if (low >= 0.5) == (high >= 0.5) {
            continue;
        }
        let many = question.seeds.len() > 1;
        out.push(Boundary {
            from: pair[0].value,
            to: pair[1].value,
            fails_above: high >= 0.5,
            estimate: between(pair, (0.5 - low) / (high - low)),
            interval: many.then(|| interval(points, index)),
        });
    }
    out
}

#[allow(clippy::cast_precision_loss, reason = "an estimate for people")]
fn between(pair: &[Point], part: f64) -> f64 {
    let (low, high) = (pair[0].value as f64, pair[1].value as f64);
    low + (high - low) * part
}

/// The nearest values on both sides at which the share of failures is surely not one half.
#[allow(clippy::cast_precision_loss, reason = "an estimate for people")]
fn interval(points: &[Point], from: usize) -> Interval {
    let sure = |point: &&Point| {
        point.failures.interval().is_some_and(|interval| {
            interval.low.is_some_and(|low| low > 0.5) || interval.high.is_some_and(|high| high < 0.5)
        })
    };
    let value = |point: &Point| point.value as f64;
    Interval {
        low: points[..=from].iter().rev().find(sure).map(value),
        high: points[from + 1..].iter().find(sure).map(value),
    }
}
