//! A sweep's summary on the terminal: what it comes to, on one screen.

use super::charts::{drawn, statistic, varying};
use super::json::{command, failures};
use super::judge::{Figures, Judged, show};
use super::{Part, Sweep};
use crate::check::metrics::{self, thousands};
use crate::check::{Metric, Unit};
use crate::report::summary::Style;
use crate::report::table::{Align, Table, shorten, wrap};
use crate::stats::{Interval, Proportion};
use crate::time::Span;

/// Rows of the table of metrics.
const METRICS_MAX: usize = 9;
/// Bars of the histogram.
const BARS: u32 = 9;
/// Groups of failed runs that are spelt out.
const GROUPS_MAX: usize = 3;
/// Columns of metrics in a matrix' table.
const COLUMNS_MAX: usize = 4;
/// Rows of a matrix' table.
const VARIANTS_MAX: usize = 40;

/// What is said about the sweep beside its results.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receipt<'a> {
    /// Real time it took; zero: not said.
    pub wall: Span,
    /// On how many threads.
    pub threads: usize,
    /// Runs of an earlier attempt that were not repeated.
    pub resumed: u64,
    /// The report's page, if one was written.
    pub report: Option<&'a str>,
}

/// The whole summary, with a newline at its end.
#[must_use]
pub fn summary(sweep: &Sweep, style: &Style, receipt: &Receipt<'_>) -> String {
    let mut lines = head(sweep, *style);
    if let ([], [part]) = (&sweep.plan.axes[..], &sweep.parts[..]) {
        lines.extend(table(sweep, part, *style));
        lines.extend(bars(sweep, part, *style));
        lines.extend(expectations(&part.expect, *style));
    } else {
        lines.extend(matrix(sweep, *style));
    }
    lines.extend(groups(sweep, *style));
    lines.extend(foot(sweep, *style, receipt));
    lines.push(String::new());
    lines.join("\n")
}

fn head(sweep: &Sweep, style: Style) -> Vec<String> {
    let plan = &sweep.plan;
    let Proportion { hits, of } = sweep.passed();
    let shard = plan.shard.map_or(String::new(), |shard| format!(", shard {shard}"));
    let variants = if plan.axes.is_empty() { String::new() } else { format!("{} variants × ", plan.variants.len()) };
    let seeds = format!("{variants}{} seeds ({}){shard}", thousands(plan.seed_count), plan.seeds);
    let verdict = match of - hits {
        0 if sweep.failed() => {
            style.paint("31", &format!("all {} runs passed, what is expected of them together failed", thousands(of)))
        }
        0 => style.paint("32", &format!("all {} runs passed", thousands(of))),
        failed => style.paint("31", &format!("{} of {} runs failed", thousands(failed), thousands(of))),
    };
    let mut lines = vec![format!("{}: {seeds}, {verdict}", style.paint("1", &plan.scenario))];
    let description = plan.description.split_whitespace().collect::<Vec<_>>().join(" ");
    if !description.is_empty() {
        lines.extend(wrap(&description, style.width, 0));
    }
    lines.push(String::new());
    lines
}

/// The metrics that vary: the ones with expectations and those that people ask about first.
fn table(sweep: &Sweep, part: &Part, style: Style) -> Vec<String> {
    let varying: Vec<(usize, &Metric)> =
        varying(sweep).into_iter().filter(|(_, metric)| metric.unit != Unit::Bool).collect();
    if varying.is_empty() {
        return vec!["no metric varies from seed to seed".to_owned(), String::new()];
    }
    let mut table = Table::new(&[
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Right,
    ]);
    table.row(["", "min", "mean", "", "p50", "p90", "p99", "max", "absent"]);
    for (at, metric) in varying.iter().take(METRICS_MAX) {
        let f = &part.figures[*at];
        let cell = |value: Option<f64>| show(metric.unit, value);
        let absent = if f.absent > 0 { thousands(f.absent) } else { String::new() };
        let margin = margin(metric.unit, f);
        table.row([
            metric.name,
            &cell(f.min),
            &cell(f.mean),
            &margin,
            &cell(f.p50),
            &cell(f.p90),
            &cell(f.p99),
            &cell(f.max),
            &absent,
        ]);
    }
    let mut lines = table.lines();
    lines[0] = style.paint("2", &lines[0]);
    if varying.len() > METRICS_MAX {
        lines.push(
            style.paint("2", &format!("{} more metrics vary: they are in the report", varying.len() - METRICS_MAX)),
        );
    }
    lines.push(String::new());
    lines
}

/// Half the width of the mean's interval: `±12ms`.
fn margin(unit: Unit, figures: &Figures) -> String {
    let half = figures.mean_ci.and_then(|ci| Some((ci.high? - ci.low?) / 2.0));
    half.map_or(String::new(), |half| {
        format!("±{}", show(unit, Some(if unit == Unit::Bytes { libm::round(half) } else { half })))
    })
}

/// The first of the varying metrics as a histogram.
fn bars(sweep: &Sweep, part: &Part, style: Style) -> Vec<String> {
    let mut found = varying(sweep).into_iter().filter(|(at, metric)| {
        metric.unit != Unit::Bool && part.tally.metrics.get(*at).is_some_and(|spread| spread.values.varies())
    });
    let Some((at, metric)) = found.next() else { return Vec::new() };
    let values = &part.tally.metrics[at].values;
    let bins = values.histogram(BARS);
    let most = bins.iter().map(|bin| bin.2).max().unwrap_or(1).max(1);
    let label = |fixed: i64| show(metric.unit, Some(super::record::plain(metric.unit, fixed)));
    let labels: Vec<String> = bins.iter().map(|bin| label(bin.0)).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let count_width = thousands(most).len();
    let room = style.width.saturating_sub(width + count_width + 8).clamp(10, 60) as u64;
    let mut lines = vec![style.paint("1", metric.name)];
    for (label, (_, _, count)) in labels.iter().zip(&bins) {
        let eighths = usize::try_from((count * room * 8).div_ceil(most)).unwrap_or(0);
        let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
        let bar = format!("{}{part}", "█".repeat(eighths / 8));
        lines.push(
            format!("  {label:>width$}  {:>count_width$}  {}", thousands(*count), style.paint("36", &bar))
                .trim_end()
                .to_owned(),
        );
    }
    lines.push(String::new());
    lines
}

fn expectations(judged: &[Judged], style: Style) -> Vec<String> {
    if judged.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]);
    for one in judged {
        let expectation = &one.expectation;
        let sign = if one.passed { "✔" } else { "✘" };
        table.row([sign, &expectation.key(), &expectation.expected(), &actual(one)]);
    }
    let paint = |(line, one): (String, &Judged)| {
        let (sign, code) = if one.passed { ("✔", "32") } else { ("✘", "31") };
        line.replacen(sign, &style.paint(code, sign), 1)
    };
    let mut lines: Vec<String> = table.lines().into_iter().zip(judged).map(paint).collect();
    lines.push(String::new());
    lines
}

/// How an expectation came out: `in all 10,000 runs`, `6.9s (6.8s to 7.1s), no value in 3 runs`.
fn actual(judged: &Judged) -> String {
    let unit = super::judge::unit(&judged.expectation.metric);
    let absent = match judged.absent {
        0 => String::new(),
        n => format!(", no value in {}", runs(n)),
    };
    if judged.expectation.statistic.is_some() {
        let value = show(unit, judged.actual.number());
        return format!("is {value}{}{absent}", judged.interval.map_or(String::new(), |ci| range(unit, ci)));
    }
    let Proportion { hits, of } = judged.held;
    if hits == of {
        return format!("in all {}", runs(of));
    }
    let share = Proportion { hits: of - hits, of };
    let percent = show(Unit::Ratio, share.share());
    let ci = share.interval().map_or(String::new(), |ci| range(Unit::Ratio, ci));
    format!("fails in {} of {}: {percent}{ci}{absent}", thousands(of - hits), thousands(of))
}

fn range(unit: Unit, ci: Interval) -> String {
    match (ci.low, ci.high) {
        (Some(low), Some(high)) => format!(" ({} to {})", show(unit, Some(low)), show(unit, Some(high))),
        (Some(low), None) => format!(" ({} or more)", show(unit, Some(low))),
        (None, Some(high)) => format!(" (at most {})", show(unit, Some(high))),
        (None, None) => String::new(),
    }
}

fn runs(n: u64) -> String {
    format!("{} run{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// A row for each variant: its values, the share of runs that fail, the metrics that matter.
fn matrix(sweep: &Sweep, style: Style) -> Vec<String> {
    let names = sweep.plan.short_names();
    let metrics: Vec<(usize, &Metric)> = drawn(sweep).into_iter().take(COLUMNS_MAX).collect();
    let columns = names.len() + 1 + metrics.len();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut header = names;
    header.push("failed".to_owned());
    header.extend(metrics.iter().map(|(_, metric)| format!("{}.{}", metric.name, statistic(sweep, metric))));
    rows.push(header);
    for (at, part) in sweep.parts.iter().enumerate().take(VARIANTS_MAX) {
        let choice = &sweep.plan.variants[at].choice;
        let mut row: Vec<String> =
            sweep.plan.axes.iter().zip(choice).map(|(axis, c)| super::plan::text(&axis.values[*c])).collect();
        let Proportion { hits, of } = part.tally.passed;
        let sign = if part.failed() { "✘" } else { "✔" };
        row.push(format!("{} of {} {sign}", thousands(of - hits), thousands(of)));
        for (place, metric) in &metrics {
            let figures = &part.figures[*place];
            let value = figures.statistic(&statistic(sweep, metric)).0;
            row.push(show(metric.unit, value));
        }
        rows.push(row);
    }
    let widths: Vec<usize> =
        (0..columns).map(|c| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    // A metric whose column does not fit is left to the report; half a number is worse than none.
    let room = style.width.max(60);
    let needed = |columns: usize| widths[..columns].iter().sum::<usize>() + 2 * (columns - 1);
    let shown = (columns - metrics.len()..=columns).rev().find(|&columns| needed(columns) <= room);
    let shown = shown.unwrap_or(columns - metrics.len());
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).take(shown).map(|(cell, width)| format!("{cell:>width$}"));
        shorten(&cells.collect::<Vec<_>>().join("  "), room)
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines[0] = style.paint("2", &lines[0]);
    for line in &mut lines {
        *line = line.replacen('✔', &style.paint("32", "✔"), 1).replacen('✘', &style.paint("31", "✘"), 1);
    }
    if sweep.parts.len() > VARIANTS_MAX {
        lines.push(format!("{} more variants: they are in the report", sweep.parts.len() - VARIANTS_MAX));
    }
    lines.push(String::new());
    for (at, part) in sweep.parts.iter().enumerate() {
        let missed = part.expect.iter().filter(|judged| !judged.passed && judged.expectation.statistic.is_some());
        for judged in missed.take(GROUPS_MAX) {
            let (key, expected) = (judged.expectation.key(), judged.expectation.expected());
            let text = format!("✘ {}: {key} {expected}, {}", sweep.plan.label(at), actual(judged));
            lines.extend(wrap(&text, style.width, 4));
        }
    }
    lines
}

/// The kinds of failure, the most frequent first.
fn groups(sweep: &Sweep, style: Style) -> Vec<String> {
    let mut all = Vec::new();
    for (at, part) in sweep.parts.iter().enumerate() {
        all.extend(part.tally.groups.sorted().into_iter().map(|(kind, group)| (at, kind, group)));
    }
    if all.is_empty() {
        return Vec::new();
    }
    all.sort_by_key(|(_, _, group)| std::cmp::Reverse(group.count));
    let kinds = all.len();
    let mut lines = vec![style.paint("1", "failed runs, by what failed and what happened")];
    for (at, kind, group) in all.iter().take(GROUPS_MAX) {
        let label = sweep.plan.label(*at);
        let label = if label.is_empty() { label } else { format!("{label}: ") };
        let mut what = failures(sweep, *at, kind).join(", ");
        if let Some(problem) = &group.problem {
            what = if what.is_empty() { problem.clone() } else { format!("{problem} ({what})") };
        }
        let count = format!("{}×", thousands(group.count));
        let text = format!("{count:>6}  {label}{}", style.paint("31", &what));
        lines.extend(wrap(&text, style.width, 8));
        lines.extend(wrap(&format!("        {}", kind.signature), style.width, 8));
        lines.push(format!("        {}", command(sweep, *at, group)));
    }
    if kinds > GROUPS_MAX {
        let rest: u64 = all.iter().skip(GROUPS_MAX).map(|(_, _, group)| group.count).sum();
        lines.push(format!("        {} more in {} other groups", runs(rest), kinds - GROUPS_MAX));
    }
    lines.push(String::new());
    lines
}

fn foot(sweep: &Sweep, style: Style, receipt: &Receipt<'_>) -> Vec<String> {
    let all = sweep.passed().of;
    let simulated: u128 = sweep.parts.iter().map(|part| part.tally.simulated_us).sum();
    let events: u128 = sweep.parts.iter().map(|part| part.tally.events).sum();
    let to_u64 = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
    let mut text = format!(
        "digest {}, {}, {} events, {} simulated",
        style.paint("1", &sweep.digest.to_string()),
        runs(all),
        thousands(to_u64(events)),
        hours(to_u64(simulated)),
    );
    let fresh = all.saturating_sub(receipt.resumed);
    if receipt.wall > Span::ZERO {
        let rate = (u128::from(fresh) * 1_000_000_000).checked_div(u128::from(receipt.wall.ns())).unwrap_or(0);
        let threads = if receipt.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", receipt.threads) };
        text.push_str(&format!(
            " in {} on {threads} ({} runs/s)",
            metrics::span(receipt.wall),
            thousands(to_u64(rate))
        ));
    }
    if receipt.resumed > 0 {
        text.push_str(&format!(", {} of them from before", thousands(receipt.resumed)));
    }
    let mut lines = wrap(&text, style.width, 2);
    if let Some(page) = receipt.report {
        lines.push(format!("report: {page}"));
    }
    lines
}

/// `47 minutes`, `250 hours`.
fn hours(us: u64) -> String {
    let minutes = us / 60_000_000;
    match minutes {
        0..180 => format!("{} min", thousands(minutes)),
        _ => format!("{} h", thousands(minutes / 60)),
    }
}

/// What a quiet sweep says when something failed.
#[must_use]
pub fn problems(sweep: &Sweep, style: &Style) -> String {
    let mut lines = Vec::new();
    for (at, part) in sweep.parts.iter().enumerate() {
        let label = sweep.plan.label(at);
        let label = if label.is_empty() { label } else { format!(" ({label})") };
        for judged in part.expect.iter().filter(|judged| !judged.passed) {
            let (key, expected) = (judged.expectation.key(), judged.expectation.expected());
            lines.push(format!("{}{label}: {key} {expected}, {}", sweep.plan.scenario, actual(judged)));
        }
    }
    lines.extend(groups(sweep, *style));
    lines.push(String::new());
    lines.join("\n")
}
