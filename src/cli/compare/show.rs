//! What `compare` says: text, JSON, charts, a page.

use serde_json::{Map, Value as Json, json};

use super::super::{amount, many};
use super::{Done, place};
use crate::check::metrics::thousands;
use crate::check::{Unit, Value};
use crate::report::chart::Chart;
use crate::report::chart::kit::{Ecdf, Sample};
use crate::report::pages::{Cell, Page};
use crate::report::table::{Align, Table, wrap};
use crate::rng::Seed;
use crate::run::compare::Metrics;
use crate::run::scale;
use crate::stats::{Distribution, Interval};

/// So many metrics are shown on a terminal, and so many have a chart.
const SHOWN: usize = 24;
const CHARTS: usize = 6;
/// So many seeds that changed verdict are listed, and so many commands.
const SEEDS: usize = 20;
const COMMANDS: usize = 3;

/// What `*` means.
const STAR: &str = "* the 95% interval of the mean difference excludes zero. Of metrics that don't differ about one in twenty \
                    gets a star by chance.";

impl Done<'_> {
    /// The report on a terminal.
    pub(super) fn text(&self, page: Option<&str>) -> String {
        let compared = &self.compared;
        let mut out = String::new();
        for (side, letter) in ["A", "B"].iter().enumerate() {
            out.push_str(&format!("{letter}  {}\n", place(self.args, side)));
        }
        out.push_str(&format!("\n{}\n\n", self.pairs()));
        for line in self.verdicts() {
            out.push_str(&format!("{line}\n"));
        }
        out.push('\n');
        let ranked = compared.ranked();
        if ranked.is_empty() {
            out.push_str("No metric differs with any seed.\n");
        } else {
            for line in self.table(&ranked) {
                out.push_str(&format!("{line}\n"));
            }
            let hidden = ranked.len().saturating_sub(SHOWN);
            if hidden > 0 {
                out.push_str(&format!("and {hidden} more that differ less clearly (--json has all)\n"));
            }
            for line in wrap(STAR, 100, 2) {
                out.push_str(&format!("{line}\n"));
            }
        }
        for (what, commands) in self.commands() {
            out.push_str(&format!("\n{what}\n"));
            commands.iter().for_each(|command| out.push_str(&format!("  {command}\n")));
        }
        if let Some(page) = page {
            out.push_str(&format!("\nreport: {page}\n"));
        }
        out
    }

    fn pairs(&self) -> String {
        let (pairs, same) = (self.compared.pairs, self.compared.same_digest);
        let same = match same {
            0 => "no two runs are the same to the last event".to_owned(),
            _ if same == pairs => "all of them the same to the last event".to_owned(),
            _ => format!("{} of them the same to the last event", thousands(same)),
        };
        format!("seeds {}: {} pairs of runs, {same}", self.pair.seeds, thousands(pairs))
    }

    /// How many fail, and whose verdict changed.
    fn verdicts(&self) -> Vec<String> {
        let compared = &self.compared;
        let mut table = Table::new(&[Align::Left, Align::Left]);
        table.row(["A fails", &amount::share(compared.failures[0])]);
        table.row(["B fails", &amount::share(compared.failures[1])]);
        let both = thousands(compared.both_fail);
        let (only_a, only_b) = (thousands(compared.only_a_fails), thousands(compared.only_b_fails));
        table.row(["changed", &format!("{only_a} fail with A only, {only_b} with B only ({both} with both)")]);
        if let Some(mean) = compared.failure_difference.sums().mean() {
            let interval = compared.failure_difference.sums().mean_interval();
            table.row(["B − A", &difference(mean, interval, 1.0, Unit::Ratio)]);
        }
        table.lines()
    }

    fn table(&self, ranked: &[&Metrics]) -> Vec<String> {
        let right = Align::Right;
        let mut table =
            Table::new(&[Align::Left, Align::Left, right, right, right, Align::Left, right, right, right, right]);
        table.row(["metric", "", "mean A", "mean B", "mean B − A", "95% interval", "median", "less", "same", "more"]);
        for metrics in ranked.iter().take(SHOWN) {
            let row = Row::of(metrics);
            let star = if metrics.significant() { "*" } else { "" };
            let name = metrics.metric.name;
            table.row([
                name,
                star,
                &row.a,
                &row.b,
                &row.mean,
                &row.interval,
                &row.median,
                &row.less,
                &row.same,
                &row.more,
            ]);
        }
        table.lines()
    }

    /// Seeds whose verdict changed, with commands that show it.
    fn commands(&self) -> Vec<(String, Vec<String>)> {
        let sides = [(0, "A only", self.compared.only_a_fails), (1, "B only", self.compared.only_b_fails)];
        let mut out = Vec::new();
        for (side, name, count) in sides.into_iter().filter(|(_, _, count)| *count > 0) {
            let seeds = &self.compared.changed[side];
            let listed: Vec<String> = seeds.iter().take(SEEDS).map(|seed| seed.0.to_string()).collect();
            let more = if count > SEEDS as u64 { ", …" } else { "" };
            let what = format!("fail with {name}: seeds {}{more}", listed.join(", "));
            let commands = seeds.iter().take(COMMANDS).map(|&seed| self.command(side, seed)).collect();
            out.push((what, commands));
        }
        out
    }

    /// All numbers.
    pub(super) fn object(&self, report: Option<&str>) -> Json {
        let compared = &self.compared;
        let side = |side: usize| {
            let failures = compared.failures[side];
            json!({
                "scenario": self.pair.scenarios[side].name,
                "place": place(self.args, side),
                "failures": failures.hits,
                "runs": failures.of,
                "share": failures.share(),
                "share_interval": failures.interval(),
            })
        };
        let sums = compared.failure_difference.sums();
        let changed = |side: usize, count: u64| {
            let commands =
                |seed: &Seed| json!({ "seed": seed, "a": self.command(0, *seed), "b": self.command(1, *seed) });
            json!({
                "count": count,
                "seeds": compared.changed[side],
                "reproduce": compared.changed[side].iter().take(SEEDS).map(commands).collect::<Vec<_>>(),
            })
        };
        let metrics: Map<String, Json> =
            compared.metrics.iter().map(|metrics| (metrics.metric.name.to_owned(), object(metrics))).collect();
        json!({
            "a": side(0),
            "b": side(1),
            "seeds": self.pair.seeds.to_string(),
            "pairs": compared.pairs,
            "identical": compared.same_digest,
            "share_difference": sums.mean(),
            "share_difference_interval": sums.mean_interval(),
            "both_fail": compared.both_fail,
            "only_a_fails": changed(0, compared.only_a_fails),
            "only_b_fails": changed(1, compared.only_b_fails),
            "metrics": metrics,
            "report": report,
        })
    }

    /// The report folder.
    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let charts = self.charts();
        let mut files = vec![("compare.json".to_owned(), format!("{:#}\n", self.object(None)).into_bytes())];
        files.extend(many::charts(&charts));
        let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        files.insert(0, ("index.html".to_owned(), self.page(&charts, &names).into_bytes()));
        files
    }

    fn page(&self, charts: &[Chart], files: &[String]) -> String {
        let name = |side: usize| self.pair.scenarios[side].name.to_string();
        let title =
            if name(0) == name(1) { format!("{}: A and B", name(0)) } else { format!("{} and {}", name(0), name(1)) };
        let mut page = Page::new(&title, &self.pair.scenarios[0].description);
        let share = |side: usize| amount::share(self.compared.failures[side]);
        page.facts(&[
            ("seeds", self.pair.seeds.to_string()),
            ("pairs", thousands(self.compared.pairs)),
            ("A fails", share(0)),
            ("B fails", share(1)),
        ]);
        page.command("A", &place(self.args, 0));
        page.command("B", &place(self.args, 1));
        page.say(&format!("{}.", self.pairs()));
        for (what, commands) in self.commands() {
            commands.iter().for_each(|command| page.command(&what, command));
        }
        let ranked = self.compared.ranked();
        let columns =
            ["metric", "", "mean A", "mean B", "mean B − A", "95% interval", "median", "less", "same", "more"];
        let rows = ranked.iter().map(|metrics| {
            let row = Row::of(metrics);
            let star = if metrics.significant() { "*" } else { "" };
            let mut cells = vec![Cell::Code(metrics.metric.name.to_owned()), Cell::Text(star.to_owned())];
            let numbers = [row.a, row.b, row.mean, row.interval, row.median, row.less, row.same, row.more];
            cells.extend(numbers.into_iter().map(Cell::Number));
            (false, cells)
        });
        page.table("What differs", &columns, &rows.collect::<Vec<_>>());
        page.say(STAR);
        charts.iter().for_each(|chart| page.chart(chart));
        page.finish(files)
    }

    /// The distributions of what differs most clearly, and of what the scenarios expect.
    fn charts(&self) -> Vec<Chart> {
        let expected = |metrics: &&Metrics| {
            let name = metrics.metric.name;
            self.pair.scenarios.iter().any(|scenario| scenario.expect.iter().any(|e| &*e.metric == name))
        };
        let mut chosen: Vec<&Metrics> = self.compared.ranked().into_iter().filter(expected).collect();
        for metrics in self.compared.ranked().into_iter().filter(|metrics| metrics.significant()) {
            if !chosen.iter().any(|other| other.metric.name == metrics.metric.name) {
                chosen.push(metrics);
            }
        }
        chosen.retain(|metrics| metrics.metric.unit != Unit::Bool && metrics.values.iter().any(Distribution::varies));
        chosen.into_iter().take(CHARTS).map(|metrics| self.chart(metrics)).collect()
    }

    fn chart(&self, metrics: &Metrics) -> Chart {
        let sample = |side: usize, label: &str| {
            Sample::distribution(label, &metrics.values[side], scale(metrics.metric.unit), metrics.absent[side])
        };
        Ecdf {
            name: metrics.metric.name.to_owned(),
            title: format!("How is {} distributed under A and B?", metrics.metric.name),
            subtitle: format!("{} · seeds {}", self.pair.scenarios[0].name, self.pair.seeds),
            axis: metrics.metric.name.to_owned(),
            unit: metrics.metric.unit,
            samples: vec![sample(0, "A"), sample(1, "B")],
            limits: Vec::new(),
        }
        .chart()
    }
}

/// A metric's row of the table.
struct Row {
    a: String,
    b: String,
    mean: String,
    interval: String,
    median: String,
    less: String,
    same: String,
    more: String,
}

impl Row {
    fn of(metrics: &Metrics) -> Row {
        let unit = metrics.metric.unit;
        let by = scale(unit);
        let mean = |side: usize| {
            metrics.values[side].sums().mean().map_or("none".to_owned(), |mean| amount::show(mean * by, unit))
        };
        let pairs = metrics.less + metrics.equal + metrics.more + metrics.only_a + metrics.only_b;
        let part = |count: u64| Value::ratio(count, pairs).show(Unit::Ratio);
        let (difference, interval) = match metrics.mean() {
            None => ("–".to_owned(), String::new()),
            Some((mean, interval)) => {
                let interval = interval.map_or(String::new(), |interval| amount::interval(interval, by, unit));
                (amount::signed(mean * by, unit), interval)
            }
        };
        Row {
            a: mean(0),
            b: mean(1),
            mean: difference,
            interval,
            median: metrics.median().map_or(String::new(), |(median, _)| amount::signed(median * by, unit)),
            less: part(metrics.less),
            same: part(metrics.equal),
            more: part(metrics.more),
        }
    }
}

fn difference(mean: f64, interval: Option<Interval>, by: f64, unit: Unit) -> String {
    let interval = interval.map_or(String::new(), |interval| format!(" {}", amount::interval(interval, by, unit)));
    format!("{}{interval}", amount::signed(mean * by, unit))
}

fn object(metrics: &Metrics) -> Json {
    let unit = metrics.metric.unit;
    let by = scale(unit);
    let side = |side: usize| {
        let values = &metrics.values[side];
        let at = |milli: u32| values.quantile(milli).map(|value| scaled(value, by));
        json!({
            "n": values.count(),
            "absent": metrics.absent[side],
            "mean": values.sums().mean().map(|mean| mean * by),
            "min": values.min().map(|value| scaled(value, by)),
            "p50": at(500),
            "p90": at(900),
            "p99": at(990),
            "max": values.max().map(|value| scaled(value, by)),
            "ecdf": values.ecdf(200).into_iter().map(|point| json!([scaled(point.value, by), point.up_to])).collect::<Vec<_>>(),
        })
    };
    json!({
        "a": side(0),
        "b": side(1),
        "pairs": metrics.difference.count(),
        "mean_difference": metrics.mean().map(|(mean, _)| mean * by),
        "mean_difference_interval": metrics.mean().and_then(|(_, interval)| interval).map(|interval| interval.scaled(by)),
        "median_difference": metrics.median().map(|(median, _)| median * by),
        "median_difference_interval": metrics.median().map(|(_, interval)| interval.scaled(by)),
        "significant": metrics.significant(),
        "less": metrics.less,
        "equal": metrics.equal,
        "more": metrics.more,
        "only_a": metrics.only_a,
        "only_b": metrics.only_b,
    })
}

#[allow(clippy::cast_precision_loss, reason = "a result for people")]
fn scaled(value: i64, by: f64) -> f64 {
    value as f64 * by
}
