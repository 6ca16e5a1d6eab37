//! What `bisect` says: text, JSON, charts, a page.

use serde_json::{Value as Json, json};

use super::super::{amount, many};
use super::Asked;
use crate::check::metrics::thousands;
use crate::check::{Unit, Value};
use crate::report::chart::Chart;
use crate::report::chart::kit::{Boundary as Mark, Line, LinePoint, Lines, Rate};
use crate::report::pages::{Cell, Page};
use crate::report::table::{Align, Table};
use crate::rng::Seed;
use crate::run::bisect::{Boundary, Point, Tracked};
use crate::run::scale;

/// So many metrics are shown beside the verdict.
const METRICS: usize = 3;

impl Asked<'_> {
    fn many(&self) -> bool {
        self.question.seeds.len() > 1
    }

    fn at(&self, value: i128) -> String {
        self.question.axis.show(value)
    }

    /// The value nearest to an estimate.
    #[allow(clippy::cast_possible_truncation, reason = "a value of the range")]
    fn near(&self, estimate: f64) -> String {
        let value = libm::round(estimate) as i128;
        let unit = 10i128.pow((self.question.tolerance / 10).max(1).ilog10());
        self.at((value + unit / 2).div_euclid(unit) * unit)
    }

    fn seeds(&self) -> String {
        let seeds = &self.question.seeds;
        match seeds.nth(0) {
            Some(seed) if seeds.len() == 1 => format!("seed {}", seed.0),
            _ => format!("seeds {seeds}"),
        }
    }

    /// The report on a terminal.
    pub(super) fn text(&self, page: Option<&str>) -> String {
        let axis = &self.question.axis;
        let (from, to) = (self.at(axis.low), self.at(axis.high));
        let mut out = format!("{}  {}  {} from {from} to {to}\n\n", self.scenario.name, self.seeds(), axis.field);
        let lines = if self.many() { self.shares() } else { self.stretches() };
        for line in lines {
            out.push_str(&format!("{line}\n"));
        }
        out.push('\n');
        for sentence in self.sentences() {
            out.push_str(&format!("{sentence}\n"));
        }
        for (what, command) in self.commands() {
            out.push_str(&format!("  {what}: {command}\n"));
        }
        let (runs, values) = (thousands(self.answer.runs), self.answer.points.len());
        out.push_str(&format!("\n{runs} runs at {values} values, {} of them the first grid\n", self.answer.grid));
        if let Some(page) = page {
            out.push_str(&format!("report: {page}\n"));
        }
        out
    }

    /// What was found, in sentences.
    fn sentences(&self) -> Vec<String> {
        let boundaries = &self.answer.boundaries;
        let mut out = Vec::new();
        if boundaries.is_empty() {
            let fails = self.answer.points.first().and_then(|point| point.failures.share()).is_some_and(|s| s >= 0.5);
            let (all, verdict) = match (self.many(), fails) {
                (false, true) => ("It fails", "at every value"),
                (false, false) => ("It holds", "at every value"),
                (true, true) => ("At least half of the seeds fail", "at every value"),
                (true, false) => ("Fewer than half of the seeds fail", "at every value"),
            };
            out.push(format!("{all} {verdict} that was tried: there is no boundary in this range."));
            return out;
        }
        if boundaries.len() > 1 {
            let count = boundaries.len();
            out.push(format!("The verdict does not change once but {count} times; narrower stretches may hide more."));
        }
        out.extend(boundaries.iter().map(|boundary| self.sentence(boundary)));
        out
    }

    fn sentence(&self, boundary: &Boundary) -> String {
        let (from, to) = (self.at(boundary.from), self.at(boundary.to));
        let Some(interval) = boundary.interval else {
            let (below, above) = if boundary.fails_above { ("holds", "fails") } else { ("fails", "holds") };
            return format!("It {below} up to {from} and {above} from {to} on.");
        };
        let end = |end: Option<f64>, open: i128| match end {
            Some(value) => self.near(value),
            None => format!("{} or beyond", self.at(open)),
        };
        let (low, high) = (end(interval.low, self.question.axis.low), end(interval.high, self.question.axis.high));
        let which = if boundary.fails_above { "More" } else { "Fewer" };
        let estimate = self.near(boundary.estimate);
        format!(
            "{which} than half of the seeds fail from {estimate} on (between {low} and {high} with 95% confidence)."
        )
    }

    /// One seed: stretches of one verdict.
    fn stretches(&self) -> Vec<String> {
        let mut table = Table::new(&[Align::Left, Align::Right, Align::Left, Align::Right, Align::Left]);
        for stretch in self.answer.points.chunk_by(|a, b| a.failures.hits == b.failures.hits) {
            let [first, .., last] = stretch else {
                let value = self.at(stretch[0].value);
                table.row([verdict(&stretch[0]), &value, "", "", &self.metrics(stretch)]);
                continue;
            };
            let (from, to) = (self.at(first.value), self.at(last.value));
            table.row([verdict(first), &from, "to", &to, &self.metrics(stretch)]);
        }
        table.lines()
    }

    /// The metrics that are shown, by their places: those whose expectations fail most often first.
    fn shown(&self) -> Vec<usize> {
        let points = &self.answer.points;
        let fails = |index: &usize| points.iter().map(|point| point.metrics[*index].failed).sum::<u64>();
        let counts = |index: &usize| {
            let only = &self.question.only;
            only.is_empty() || only.iter().any(|name| *name == points[0].metrics[*index].name)
        };
        let mut order: Vec<usize> = (0..points.first().map_or(0, |point| point.metrics.len())).collect();
        order.sort_by_key(|index| (!counts(index), std::cmp::Reverse(fails(index))));
        order.truncate(METRICS);
        order
    }

    /// The shown metrics of a value.
    fn shown_of<'a>(&self, point: &'a Point) -> Vec<&'a Tracked> {
        self.shown().into_iter().map(|index| &point.metrics[index]).collect()
    }

    /// The metrics of a stretch: `writes.lost 1 to 7`.
    fn metrics(&self, stretch: &[Point]) -> String {
        let ranges = self.shown().into_iter().map(|index| {
            let tracked = &stretch[0].metrics[index];
            let means: Vec<f64> = stretch.iter().filter_map(|point| mean(&point.metrics[index])).collect();
            let low = means.iter().copied().fold(f64::INFINITY, f64::min);
            let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let show = |value| one(value, tracked.unit);
            match (means.is_empty(), low == high) {
                (true, _) => format!("{} none", tracked.name),
                (false, true) => format!("{} {}", tracked.name, show(low)),
                (false, false) => format!("{} {} to {}", tracked.name, show(low), show(high)),
            }
        });
        ranges.collect::<Vec<_>>().join(", ")
    }

    /// Many seeds: the share of failures at each value.
    fn shares(&self) -> Vec<String> {
        let names: Vec<String> = self.tracked().iter().map(|tracked| format!("mean {}", tracked.name)).collect();
        let name = |index: usize| names.get(index).map_or("", String::as_str);
        let right = Align::Right;
        let mut table = Table::new(&[right, Align::Left, Align::Left, right, right, right]);
        table.row([&self.question.axis.field, "failed", "", name(0), name(1), name(2)]);
        for point in &self.answer.points {
            let means: Vec<String> = self.shown_of(point).into_iter().map(shown_mean).collect();
            let cell = |index: usize| means.get(index).map_or("", String::as_str);
            let (value, share) = (self.at(point.value), amount::share(point.failures));
            table.row([&value, &share, &bar(point), cell(0), cell(1), cell(2)]);
        }
        table.lines()
    }

    fn tracked(&self) -> Vec<&Tracked> {
        self.answer.points.first().map_or(Vec::new(), |point| self.shown_of(point))
    }

    /// Runs on both sides of the boundaries, for looking at.
    fn commands(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        for boundary in self.answer.boundaries.iter().take(3) {
            for value in [boundary.from, boundary.to] {
                let Some(point) = self.answer.points.iter().find(|point| point.value == value) else { continue };
                match self.example(point) {
                    (Some(seed), true) => out.push(("fails", self.command(value, seed))),
                    (Some(seed), false) => out.push(("holds", self.command(value, seed))),
                    (None, _) => {}
                }
            }
        }
        out
    }

    /// A seed that shows what most do at a value, and whether that is to fail.
    fn example(&self, point: &Point) -> (Option<Seed>, bool) {
        let fails = point.failures.share().is_some_and(|share| share >= 0.5);
        if fails {
            return (point.failed.first().copied(), true);
        }
        // Only the first failing seeds are known by name: what lies before the first of them holds.
        let first = self.question.seeds.nth(0).filter(|seed| !point.failed.contains(seed));
        let after = self.question.seeds.iter().find(|seed| !point.failed.contains(seed) && point.failed.len() < 5);
        (first.or(after), false)
    }

    /// All numbers.
    pub(super) fn object(&self, report: Option<&str>) -> Json {
        let axis = &self.question.axis;
        let points: Vec<Json> = self.answer.points.iter().map(|point| self.point(point)).collect();
        let boundaries: Vec<Json> = self
            .answer
            .boundaries
            .iter()
            .map(|boundary| {
                let end = |end: Option<f64>| end.map(|value| self.near(value));
                json!({
                    "from": self.at(boundary.from),
                    "to": self.at(boundary.to),
                    "fails_above": boundary.fails_above,
                    "estimate": self.near(boundary.estimate),
                    "low": boundary.interval.and_then(|interval| end(interval.low)),
                    "high": boundary.interval.and_then(|interval| end(interval.high)),
                    "text": self.sentence(boundary),
                })
            })
            .collect();
        json!({
            "scenario": self.scenario.name,
            "file": self.args.file.display().to_string(),
            "field": axis.field,
            "from": self.at(axis.low),
            "to": self.at(axis.high),
            "seeds": self.question.seeds.to_string(),
            "only": self.question.only,
            "grid": self.answer.grid,
            "runs": self.answer.runs,
            "monotone": self.answer.boundaries.len() < 2,
            "boundaries": boundaries,
            "points": points,
            "reproduce": self.commands().into_iter().map(|(what, command)| json!({ "verdict": what, "command": command })).collect::<Vec<_>>(),
            "report": report,
        })
    }

    fn point(&self, point: &Point) -> Json {
        let interval = point.failures.interval();
        let metrics = point.metrics.iter().map(|tracked| {
            let interval = tracked.values.mean_interval().map(|interval| interval.scaled(scale(tracked.unit)));
            let value = json!({ "mean": mean(tracked), "mean_interval": interval, "absent": tracked.absent, "failed": tracked.failed });
            (tracked.name.to_owned(), value)
        });
        json!({
            "value": self.at(point.value),
            "runs": point.failures.of,
            "failures": point.failures.hits,
            "share": point.failures.share(),
            "low": interval.and_then(|interval| interval.low),
            "high": interval.and_then(|interval| interval.high),
            "failed_seeds": point.failed,
            "metrics": metrics.collect::<serde_json::Map<_, _>>(),
        })
    }

    /// The report folder.
    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let charts = self.charts();
        let mut files = vec![("bisect.json".to_owned(), format!("{:#}\n", self.object(None)).into_bytes())];
        files.extend(many::charts(&charts));
        let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        files.insert(0, ("index.html".to_owned(), self.page(&charts, &names).into_bytes()));
        files
    }

    fn page(&self, charts: &[Chart], files: &[String]) -> String {
        let axis = &self.question.axis;
        let mut page = Page::new(&format!("{}: {}", self.scenario.name, axis.field), &self.scenario.description);
        page.facts(&[
            ("from", self.at(axis.low)),
            ("to", self.at(axis.high)),
            ("seeds", self.question.seeds.to_string()),
            ("runs", thousands(self.answer.runs)),
        ]);
        self.sentences().iter().for_each(|sentence| page.say(sentence));
        for (what, command) in self.commands() {
            page.command(if what == "fails" { "Fails" } else { "Holds" }, &command);
        }
        charts.iter().for_each(|chart| page.chart(chart));
        let names: Vec<String> = self.tracked().iter().map(|tracked| format!("mean {}", tracked.name)).collect();
        let mut columns = vec![axis.field.as_str(), "failed"];
        columns.extend(names.iter().map(String::as_str));
        let rows: Vec<(bool, Vec<Cell>)> = self
            .answer
            .points
            .iter()
            .map(|point| {
                let mut cells = vec![Cell::Number(self.at(point.value)), Cell::Number(self.verdict_or_share(point))];
                cells.extend(self.shown_of(point).into_iter().map(|tracked| Cell::Number(shown_mean(tracked))));
                (false, cells)
            })
            .collect();
        page.table("Every value that was tried", &columns, &rows);
        page.finish(files)
    }

    fn verdict_or_share(&self, point: &Point) -> String {
        if self.many() { amount::share(point.failures) } else { verdict(point).to_owned() }
    }

    /// The verdict over the field, and the metrics that the scenario expects something of.
    fn charts(&self) -> Vec<Chart> {
        let rate = |point: &Point| {
            let rate = Rate { x: self.at(point.value), hits: point.failures.hits, runs: point.failures.of };
            let point = LinePoint::from(&rate);
            if self.many() { point } else { LinePoint { low: None, high: None, ..point } }
        };
        let title = if self.many() { "How likely is a failure?" } else { "Does it fail?" };
        let failures = self.answer.points.iter().map(rate).collect();
        let interval = if self.many() { "Wilson's 95% interval" } else { "" };
        let mut out = vec![self.lines("failures", title, "share of runs that fail", Unit::Ratio, interval, failures)];
        for index in self.shown() {
            let Tracked { name, unit, .. } = self.answer.points[0].metrics[index];
            let points: Vec<LinePoint> = self.answer.points.iter().map(|point| self.mean_point(point, index)).collect();
            if points.iter().all(|point| point.value.is_none()) {
                continue;
            }
            let value = if self.many() { format!("mean {name}") } else { name.to_owned() };
            let interval = if self.many() { "95% interval of the mean" } else { "" };
            let title = format!("How does {name} depend on it?");
            out.push(self.lines(name, &title, &value, unit, interval, points));
        }
        out
    }

    fn mean_point(&self, point: &Point, index: usize) -> LinePoint {
        let tracked = &point.metrics[index];
        let interval = tracked.values.mean_interval().map(|interval| interval.scaled(scale(tracked.unit)));
        LinePoint {
            x: self.at(point.value),
            value: mean(tracked),
            // No metric is negative, whatever Student says.
            low: interval.and_then(|interval| interval.low).map(|low| low.max(0.0)),
            high: interval.and_then(|interval| interval.high),
            runs: tracked.values.count(),
        }
    }

    fn lines(&self, name: &str, title: &str, value: &str, unit: Unit, interval: &str, points: Vec<LinePoint>) -> Chart {
        let only = match self.answer.boundaries.as_slice() {
            [boundary] => Some(Mark {
                from: self.at(boundary.from),
                to: self.at(boundary.to),
                text: match (self.many(), boundary.fails_above) {
                    (false, true) => format!("fails from {} on", self.at(boundary.to)),
                    (false, false) => format!("holds from {} on", self.at(boundary.to)),
                    (true, _) => format!("half fail at {}", self.near(boundary.estimate)),
                },
            }),
            _ => None,
        };
        Lines {
            name: name.to_owned(),
            title: title.to_owned(),
            subtitle: format!("{} · {}", self.scenario.name, self.seeds()),
            field: self.question.axis.field.clone(),
            value: value.to_owned(),
            unit,
            interval: interval.to_owned(),
            lines: vec![Line { label: String::new(), points }],
            boundary: only,
        }
        .chart()
    }
}

fn verdict(point: &Point) -> &'static str {
    if point.failures.hits > 0 { "fails" } else { "holds" }
}

/// Ten characters for the share that fails.
fn bar(point: &Point) -> String {
    let tenths = (point.failures.hits * 10 + point.failures.of / 2).checked_div(point.failures.of).unwrap_or(0);
    (0..10).map(|tenth| if tenth < tenths { '#' } else { '.' }).collect()
}

fn mean(tracked: &Tracked) -> Option<f64> {
    tracked.values.mean().map(|mean| mean * scale(tracked.unit))
}

fn shown_mean(tracked: &Tracked) -> String {
    mean(tracked).map_or("none".to_owned(), |mean| amount::show(mean, tracked.unit))
}

/// The value of one run.
fn one(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bool => (value > 0.5).to_string(),
        Unit::Time | Unit::Ratio => Value::Number(value).show(unit),
        Unit::Count | Unit::Bytes => amount::show(value, unit),
    }
}
