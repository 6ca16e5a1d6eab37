//! The rows of one scenario against what it expects.

use super::{Case, Ran, Row, TestArgs, unfinished};
use crate::check::{Expectation, Value};
use crate::report::exam::{Judged, Unfinished};
use crate::scenario::Loaded;
use crate::stats::Distribution;

/// What the runs of a scenario come to; its pins are left out.
pub(super) fn judge(args: &TestArgs, case: &Case, rows: &[Row]) -> Ran {
    let sets = &args.set.set;
    let given_up = rows.iter().filter(|row| unfinished(row)).map(|row| Unfinished {
        seed: row.seed,
        ended: row.ended.clone(),
        at: row.simulated,
        command: case.command(sets, row.seed),
    });
    let expect = case.scenario.expect.iter().zip(0_u16..);
    let judged = expect.map(|(expectation, place)| {
        let line = line_of(&case.loaded, expectation);
        if expectation.statistic.is_some() {
            let actual = statistic(expectation, rows);
            let passed = expectation.holds(actual);
            return Judged {
                expectation: expectation.clone(),
                line,
                failures: 0,
                actual,
                seed: None,
                passed,
                command: None,
            };
        }
        let missed = rows.iter().filter(|row| row.failed.contains(&place));
        // A run that was given up may have missed it only for that; others show more.
        let shown = missed.clone().find(|row| !unfinished(row)).or_else(|| missed.clone().next());
        let failures = missed.count() as u64;
        let value = |row: &Row| row.metrics.get(&*expectation.metric).copied().unwrap_or(Value::Absent);
        Judged {
            expectation: expectation.clone(),
            line,
            failures,
            actual: shown.or_else(|| rows.first()).map_or(Value::Absent, value),
            seed: shown.map(|row| row.seed),
            passed: failures == 0,
            command: shown.map(|row| case.command(sets, row.seed)),
        }
    });
    Ran {
        name: case.scenario.name.clone(),
        negative: case.negative(),
        seeds: case.seeds.to_string(),
        runs: rows.len() as u64,
        failed: rows.iter().filter(|row| !row.passed()).count() as u64,
        expectations: judged.collect(),
        unfinished: given_up.collect(),
        pins: Vec::new(),
    }
}

/// The line of an expectation in the scenario file.
fn line_of(loaded: &Loaded, expectation: &Expectation) -> Option<usize> {
    let key = expectation.key();
    let (name, _) = loaded.effective.expect.0.iter().find(|(name, _)| name.value == key)?;
    let (line, _) = loaded.report.sources.line_column(name.place);
    (name.place.end > 0 && name.place.source == 0).then_some(line)
}

/// A statistic over the runs in which the metric has a value; percentiles by nearest rank.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "results for people, in millionths")]
fn statistic(expectation: &Expectation, rows: &[Row]) -> Value {
    const SCALE: f64 = 1e6;
    let mut distribution = Distribution::default();
    let values = rows.iter().filter_map(|row| row.metrics.get(&*expectation.metric)?.number());
    values.for_each(|value| distribution.add((value * SCALE).round() as i64));
    let found = match expectation.statistic.as_deref().unwrap_or_default() {
        "min" => distribution.min().map(|value| value as f64),
        "max" => distribution.max().map(|value| value as f64),
        "mean" => distribution.sums().mean(),
        "p50" => distribution.quantile(500).map(|value| value as f64),
        "p90" => distribution.quantile(900).map(|value| value as f64),
        "p99" => distribution.quantile(990).map(|value| value as f64),
        _ => None,
    };
    found.map_or(Value::Absent, |value| Value::Number(value / SCALE))
}
