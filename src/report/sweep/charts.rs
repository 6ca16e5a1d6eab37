//! The charts of a sweep: distributions of what varies; with a matrix, how it depends on the fields.

use serde_json::{Value as Json, json};

use super::judge::Figures;
use super::plan::text;
use super::record::plain;
use super::{Part, Sweep};
use crate::check::metrics::thousands;
use crate::check::{METRICS, Metric, Unit, Value};
use crate::report::chart::Chart;
use crate::report::chart::kit::{Cell, Ecdf, HeatMap, Histogram, Limit, Line, LinePoint, Lines, Rate, Sample, Step};

/// So many steps of a distribution function are in the JSON.
const STEPS_MAX: usize = 250;
/// So many lines fit a chart.
const LINES_MAX: usize = 6;
/// So many metrics are drawn against the fields of a matrix.
const METRICS_MAX: usize = 8;

/// Metrics that people ask about first, in that order.
pub const HEADLINES: &[&str] = &[
    "failover.duration",
    "failover.switch",
    "failover.detection",
    "unavailable.longest",
    "unavailable.total",
    "writes.lost",
    "writes.lost-ratio",
    "split-brain.duration",
    "reads.stale",
    "lock.violated",
    "lock.violation-time",
    "lock.writes-stale",
    "election.duration",
    "election.rounds",
    "failover.count",
    "writes.latency-p99",
    "replication.full-syncs-after-fault",
];

/// A chart and its numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Drawing {
    /// How often each value occurred.
    Histogram(Histogram),
    /// Distributions over each other.
    Ecdf(Ecdf),
    /// Against one field.
    Lines(Lines),
    /// Against two fields.
    HeatMap(HeatMap),
}

impl Drawing {
    /// Draws it.
    #[must_use]
    pub fn chart(&self) -> Chart {
        match self {
            Drawing::Histogram(histogram) => histogram.chart(),
            Drawing::Ecdf(ecdf) => ecdf.chart(),
            Drawing::Lines(lines) => lines.chart(),
            Drawing::HeatMap(map) => map.chart(),
        }
    }

    /// What it shows, in numbers.
    #[must_use]
    pub fn json(&self) -> Json {
        match self {
            Drawing::Histogram(h) => json!({
                "chart": h.name, "kind": "histogram", "title": h.title, "axis": h.axis, "limits": h.limits,
                "shows": h.bins(),
            }),
            Drawing::Ecdf(e) => {
                let mut numbers = e.numbers();
                numbers.iter_mut().for_each(|sample| thin(&mut sample.steps));
                json!({ "chart": e.name, "kind": "ecdf", "title": e.title, "axis": e.axis, "limits": e.limits, "shows": numbers })
            }
            Drawing::Lines(lines) => json!({ "chart": lines.name, "kind": "lines", "shows": lines }),
            Drawing::HeatMap(map) => json!({ "chart": map.name, "kind": "heat-map", "shows": map }),
        }
    }
}

/// Few enough steps for a file that people open; the first and the last stay.
fn thin(steps: &mut Vec<Step>) {
    let every = steps.len().div_ceil(STEPS_MAX).max(1);
    let last = steps.len().saturating_sub(1);
    let mut at = 0;
    steps.retain(|_| {
        at += 1;
        (at - 1) % every == 0 || at - 1 == last
    });
}

/// Every chart that has something to show.
#[must_use]
pub fn all(sweep: &Sweep) -> Vec<Drawing> {
    match sweep.plan.axes.len() {
        0 => distributions(sweep),
        1 => against_one(sweep),
        2 => against_two(sweep),
        _ => Vec::new(),
    }
}

/// The metrics that vary, those with expectations and the headlines first.
#[must_use]
pub fn varying(sweep: &Sweep) -> Vec<(usize, &'static Metric)> {
    let expected = |metric: &Metric| {
        sweep.parts.iter().any(|part| part.expect.iter().any(|judged| *judged.expectation.metric == *metric.name))
    };
    let rank = |metric: &Metric| {
        let headline = HEADLINES.iter().position(|name| *name == metric.name).unwrap_or(HEADLINES.len());
        (!expected(metric) && headline == HEADLINES.len(), headline)
    };
    let mut found: Vec<(usize, &Metric)> = METRICS.iter().enumerate().filter(|(at, _)| varies(sweep, *at)).collect();
    found.sort_by_key(|(_, metric)| rank(metric));
    found
}

/// Whether a metric differs between any two runs.
fn varies(sweep: &Sweep, at: usize) -> bool {
    let mut figures = sweep.parts.iter().filter_map(|part| part.figures.get(at)).filter(|f| f.n + f.absent > 0);
    let Some(first) = figures.next() else { return false };
    first.varies() || figures.any(|other| other.varies() || other.min != first.min || (other.n > 0) != (first.n > 0))
}

fn subtitle(sweep: &Sweep) -> String {
    format!("{}, {} seeds ({})", sweep.plan.scenario, thousands(sweep.plan.seed_count), sweep.plan.seeds)
}

fn sample(part: &Part, at: usize, metric: &Metric, label: &str) -> Sample {
    let spread = &part.tally.metrics[at];
    Sample::distribution(label, &spread.values, plain(metric.unit, 1), spread.absent)
}

/// The limits that a variant's expectations set to a metric.
fn limits(part: &Part, metric: &Metric) -> Vec<Limit> {
    let about = part.expect.iter().map(|judged| &judged.expectation).filter(|e| *e.metric == *metric.name);
    about
        .filter_map(|expectation| {
            let name = expectation.statistic.as_ref().map_or(String::new(), |statistic| format!("{statistic} "));
            let at = if expectation.value == Value::Absent { None } else { expectation.value.number() }?;
            Some(Limit { text: format!("{name}{}", expectation.expected()), at })
        })
        .collect()
}

/// Without a matrix: each metric that varies, as a histogram and as a distribution function.
fn distributions(sweep: &Sweep) -> Vec<Drawing> {
    let Some(part) = sweep.parts.first() else { return Vec::new() };
    let mut out = Vec::new();
    for (at, metric) in varying(sweep) {
        let spread = &part.tally.metrics[at];
        if metric.unit == Unit::Bool || !spread.values.varies() {
            continue;
        }
        let (sample, limits) = (sample(part, at, metric, ""), limits(part, metric));
        out.push(Drawing::Histogram(Histogram {
            name: format!("{}-histogram", metric.name),
            title: format!("How often was {} how large?", metric.name),
            subtitle: subtitle(sweep),
            axis: metric.name.to_owned(),
            unit: metric.unit,
            sample: sample.clone(),
            limits: limits.clone(),
        }));
        out.push(Drawing::Ecdf(Ecdf {
            name: format!("{}-ecdf", metric.name),
            title: format!("In which share of runs did {} stay below a value?", metric.name),
            subtitle: subtitle(sweep),
            axis: metric.name.to_owned(),
            unit: metric.unit,
            samples: vec![sample],
            limits,
        }));
    }
    out
}

/// The statistic of a metric that a matrix is drawn with: the one that an expectation asks for, else the mean.
#[must_use]
pub fn statistic(sweep: &Sweep, metric: &Metric) -> String {
    let asked = sweep.parts.iter().flat_map(|part| &part.expect).map(|judged| &judged.expectation);
    let asked = asked.filter(|expectation| *expectation.metric == *metric.name);
    let asked = asked.filter_map(|expectation| expectation.statistic.as_deref()).next();
    asked.unwrap_or("mean").to_owned()
}

/// What a matrix is drawn over, beside the share of runs that fail.
#[must_use]
pub fn drawn(sweep: &Sweep) -> Vec<(usize, &'static Metric)> {
    varying(sweep).into_iter().take(METRICS_MAX).collect()
}

fn fails(part: &Part) -> (u64, u64) {
    (part.tally.passed.of - part.tally.passed.hits, part.tally.passed.of)
}

fn value(figures: &Figures, statistic: &str) -> (Option<f64>, Option<f64>, Option<f64>) {
    let (value, interval) = figures.statistic(statistic);
    (value, interval.and_then(|i| i.low), interval.and_then(|i| i.high))
}

/// One field varies: lines over it.
fn against_one(sweep: &Sweep) -> Vec<Drawing> {
    let axis = &sweep.plan.axes[0];
    let label = |at: usize| text(&axis.values[sweep.plan.variants[at].choice[0]]);
    let mut out = Vec::new();
    let rate = |(at, part): (usize, &Part)| {
        let (hits, runs) = fails(part);
        LinePoint::from(&Rate { x: label(at), hits, runs })
    };
    if sweep.parts.iter().any(|part| fails(part).0 > 0) {
        let points = sweep.parts.iter().enumerate().map(rate).collect();
        out.push(Drawing::Lines(Lines {
            name: "failing".to_owned(),
            title: format!("How many runs fail at which {}?", axis.field),
            subtitle: subtitle(sweep),
            field: axis.field.clone(),
            value: "share of runs that fail".to_owned(),
            unit: Unit::Ratio,
            interval: "95% confidence interval".to_owned(),
            lines: vec![Line { label: String::new(), points }],
            boundary: None,
        }));
    }
    for (at, metric) in drawn(sweep) {
        let statistic = statistic(sweep, metric);
        let point = |(variant, part): (usize, &Part)| {
            let (value, low, high) = value(&part.figures[at], &statistic);
            LinePoint { x: label(variant), value, low, high, runs: part.figures[at].n }
        };
        out.push(Drawing::Lines(Lines {
            name: metric.name.to_owned(),
            title: format!("How does {} depend on {}?", metric.name, axis.field),
            subtitle: subtitle(sweep),
            field: axis.field.clone(),
            value: format!("{}.{statistic}", metric.name),
            unit: metric.unit,
            interval: "95% confidence interval".to_owned(),
            lines: vec![Line { label: String::new(), points: sweep.parts.iter().enumerate().map(point).collect() }],
            boundary: None,
        }));
        if metric.unit != Unit::Bool && sweep.parts.len() <= LINES_MAX {
            let samples = sweep.parts.iter().enumerate().map(|(n, part)| sample(part, at, metric, &label(n)));
            out.push(Drawing::Ecdf(Ecdf {
                name: format!("{}-ecdf", metric.name),
                title: format!("How is {} distributed at each {}?", metric.name, axis.field),
                subtitle: subtitle(sweep),
                axis: metric.name.to_owned(),
                unit: metric.unit,
                samples: samples.collect(),
                limits: limits(&sweep.parts[0], metric),
            }));
        }
    }
    out
}

/// Two fields vary: a heat map over them.
fn against_two(sweep: &Sweep) -> Vec<Drawing> {
    let mut out = Vec::new();
    if sweep.parts.iter().any(|part| fails(part).0 > 0) {
        let title =
            format!("How many runs fail at which {} and {}?", sweep.plan.axes[0].field, sweep.plan.axes[1].field);
        let cell = |part: &Part| {
            let share = crate::stats::Proportion { hits: fails(part).0, of: fails(part).1 };
            Cell { value: share.share(), runs: share.of }
        };
        out.push(heat_map(sweep, "failing", title, "share of runs that fail", Unit::Ratio, &cell));
    }
    for (at, metric) in drawn(sweep) {
        let statistic = statistic(sweep, metric);
        let title = format!(
            "How does {} depend on {} and {}?",
            metric.name, sweep.plan.axes[0].field, sweep.plan.axes[1].field
        );
        let cell = |part: &Part| {
            let figures = &part.figures[at];
            Cell { value: figures.statistic(&statistic).0, runs: figures.n }
        };
        let value = format!("{}.{statistic}", metric.name);
        out.push(heat_map(sweep, metric.name, title, &value, metric.unit, &cell));
    }
    out
}

fn heat_map(
    sweep: &Sweep,
    name: &str,
    title: String,
    value: &str,
    unit: Unit,
    cell: &dyn Fn(&Part) -> Cell,
) -> Drawing {
    let [rows, columns] = &sweep.plan.axes[..] else { unreachable!("called with two axes") };
    let mut cells = vec![vec![Cell::default(); columns.values.len()]; rows.values.len()];
    for (variant, part) in sweep.plan.variants.iter().zip(&sweep.parts) {
        cells[variant.choice[0]][variant.choice[1]] = cell(part);
    }
    Drawing::HeatMap(HeatMap {
        name: name.to_owned(),
        title,
        subtitle: subtitle(sweep),
        value: value.to_owned(),
        unit,
        row_field: rows.field.clone(),
        rows: rows.values.iter().map(text).collect(),
        column_field: columns.field.clone(),
        columns: columns.values.iter().map(text).collect(),
        cells,
    })
}
