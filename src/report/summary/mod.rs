//! The terminal summary of a run: what mattered, the numbers, the expectations, the receipt, on one screen.

pub mod lost;
pub mod timeline;

use super::Run;
use super::table::{Align, Table, shorten, wrap};
use crate::check::findings::{Failover, Mark};
use crate::check::metrics::{self, Unit, Value, span, thousands};
use crate::check::{Findings, Verdict};
use crate::time::Span;

/// How to write for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With terminal colours.
    pub colour: bool,
    /// Columns.
    pub width: usize,
    /// Rows: the timeline gives way.
    pub height: usize,
}

impl Default for Style {
    fn default() -> Self {
        Style { colour: false, width: 80, height: 40 }
    }
}

/// What the summary says about things outside the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// The exact command that repeats the run; shown when it failed.
    pub command: Option<&'a str>,
    /// The report folder, if one was written.
    pub report: Option<&'a str>,
}

/// The fewest rows that a timeline gets, however tall the rest is.
const TIMELINE_MIN: usize = 8;

/// Lost-write groups and failovers beyond these are only counted.
const GROUPS_MAX: usize = 3;

impl Style {
    pub(super) fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn heading(self, text: &str) -> String {
        self.paint("1", text)
    }
}

/// The whole summary, with a newline at its end.
#[must_use]
pub fn summary(run: &Run, style: &Style, receipt: &Receipt<'_>) -> String {
    let head = head(run, *style);
    let mut tail = numbers(run, *style);
    tail.extend(losses(run, *style));
    tail.extend(expectations(run, *style));
    tail.push(String::new());
    tail.extend(signature(run, *style, receipt));
    let room = style.height.saturating_sub(head.len() + tail.len() + 3).max(TIMELINE_MIN);
    let mut lines = head;
    lines.extend(story(&run.findings, *style, room));
    lines.extend(tail);
    lines.push(String::new());
    lines.join("\n")
}

fn head(run: &Run, style: Style) -> Vec<String> {
    let mut lines = vec![style.heading(&run.scenario)];
    if !run.description.is_empty() {
        let one_line = run.description.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.extend(wrap(&one_line, style.width, 0));
    }
    lines.push(String::new());
    lines
}

fn story(findings: &Findings, style: Style, room: usize) -> Vec<String> {
    let (rows, dropped) = timeline::fit(timeline::rows(findings), room);
    if rows.is_empty() {
        return vec!["nothing happened that mattered".to_owned(), String::new()];
    }
    let who_width = rows.iter().map(|row| row.who.chars().count()).max().unwrap_or(0).min(14);
    let mut lines: Vec<String> = Vec::with_capacity(rows.len() + 2);
    for row in &rows {
        let time = format!("{:>9.3}s", row.at.as_secs_f64());
        let who = shorten(&row.who, who_width);
        let text = shorten(&row.text, style.width.saturating_sub(time.len() + who_width + 4));
        let code = match row.weight {
            10 => Some("31"),
            9 => Some("33"),
            _ => None,
        };
        let text = code.map_or(text.clone(), |code| style.paint(code, &text));
        lines.push(format!("{}  {who:<who_width$}  {text}", style.paint("2", &time)).trim_end().to_owned());
    }
    if dropped > 0 || findings.timeline_dropped > 0 {
        lines.push(format!("{:>10}  and {} smaller things", "…", dropped as u64 + findings.timeline_dropped));
    }
    lines.push(String::new());
    lines
}

/// Labelled paragraphs.
struct Facts {
    style: Style,
    lines: Vec<String>,
}

impl Facts {
    fn add(&mut self, label: &str, parts: &[String]) {
        let text = format!("{label:<12}{}", parts.join(", "));
        let wrapped = wrap(&text, self.style.width, 12);
        for (index, line) in wrapped.into_iter().enumerate() {
            let line = if index == 0 { line.replacen(label, &self.style.heading(label), 1) } else { line };
            let lost = LOST_WORD.iter().find(|(word, _)| line.contains(word));
            self.lines
                .push(lost.map_or(line.clone(), |(word, code)| line.replacen(word, &self.style.paint(code, word), 1)));
        }
    }
}

/// The words that say whether writes were lost, and their colours.
const LOST_WORD: [(&str, &str); 2] = [(" 0 lost", "32"), (" lost (", "31")];

fn numbers(run: &Run, style: Style) -> Vec<String> {
    let mut facts = Facts { style, lines: Vec::new() };
    let count = |name: &str| match run.metrics.get(name) {
        Some(Value::Count(n)) => *n,
        Some(Value::Number(_) | Value::Bool(_) | Value::Absent) | None => 0,
    };
    let shown = |name: &str| show(run, name);
    for (label, kind) in [("writes", "writes"), ("reads", "reads")] {
        let get = |field: &str| format!("{kind}.{field}");
        if count(&get("invoked")) == 0 {
            continue;
        }
        let mut parts = vec![format!("{} asked", shown(&get("invoked")))];
        for (field, word) in [("acked", "acknowledged"), ("failed", "failed"), ("unknown", "unanswered")] {
            if field == "acked" || count(&get(field)) > 0 {
                parts.push(format!("{} {word}", shown(&get(field))));
            }
        }
        match kind {
            "writes" if count("writes.lost") > 0 => {
                parts.push(format!("{} lost ({})", shown("writes.lost"), shown("writes.lost-ratio")));
            }
            "writes" => parts.push("0 lost".to_owned()),
            _ => parts.push(format!("{} stale", shown("reads.stale"))),
        }
        if count(&get("acked")) > 0 {
            parts.push(format!("p50 {} p99 {}", shown(&get("latency-p50")), shown(&get("latency-p99"))));
        }
        facts.add(label, &parts);
    }
    if run.metrics.get("lock.acquired").is_some_and(|value| *value != Value::Absent) {
        facts.add("locks", &locks(run));
    }
    failovers(run, &mut facts);
    if count("unavailable.count") > 0 {
        let windows = match count("unavailable.count") {
            1 => "1 window".to_owned(),
            n => format!("{n} windows, longest"),
        };
        facts.add(
            "unavailable",
            &[format!("{windows} {}", shown("unavailable.longest")), format!("{} in all", shown("unavailable.total"))],
        );
    }
    if count("split-brain.count") > 0 {
        facts.add("split brain", &[format!("{} in all", shown("split-brain.duration"))]);
    }
    let mut sync = vec![
        format!("{} full", shown("replication.full-syncs")),
        format!("{} partial resynchronisations", shown("replication.partial-syncs")),
    ];
    for (name, word) in [
        ("replication.partial-refused", "partial refused"),
        ("replication.output-buffer-drops", "output buffer drops"),
        ("tilt.count", "tilts"),
    ] {
        if count(name) > 0 {
            sync.push(format!("{} {word}", shown(name)));
        }
    }
    sync.push(format!("lag at most {}", shown("replication.lag-max")));
    facts.add("replication", &sync);
    verdicts(run, &mut facts);
    facts.lines
}

/// What became of locks.
fn locks(run: &Run) -> Vec<String> {
    let count = |name: &str| run.metrics.get(name).and_then(|value| value.number()).unwrap_or(0.0) > 0.0;
    let mut parts = vec![format!("{} acquired", show(run, "lock.acquired"))];
    if count("lock.given-up") {
        parts.push(format!("{} given up", show(run, "lock.given-up")));
    }
    if count("lock.acquired") {
        parts.push(format!("p50 {} p99 {}", show(run, "lock.acquire-time"), show(run, "lock.acquire-time-p99")));
    }
    parts.push(match show(run, "lock.violations").as_str() {
        "0" => "never two holders".to_owned(),
        "1" => format!("two holders once, for {}", show(run, "lock.violation-time")),
        times => format!("two holders {times} times, for {}", show(run, "lock.violation-time")),
    });
    for (name, word) in [("writes", "writes"), ("writes-stale", "of them stale"), ("writes-rejected", "rejected")] {
        let name = format!("lock.{name}");
        if count(&name) {
            parts.push(format!("{} {word}", show(run, &name)));
        }
    }
    parts
}

fn verdicts(run: &Run, facts: &mut Facts) {
    for (name, verdict) in &run.verdicts {
        // Lost writes have a paragraph of their own, splits a row in the timeline.
        if let (false, Verdict::Fail { why, .. } | Verdict::Unknown { why }) =
            (matches!(*name, "lost-writes" | "split-brain" | "mutual-exclusion" | "protected-writes"), verdict)
        {
            facts.add(verdict_label(verdict), &[format!("{name}: {why}")]);
        } else if let ("lost-writes", Verdict::Unknown { why }) = (*name, verdict) {
            facts.add("unknown", &[format!("{name}: {why}")]);
        }
    }
}

fn verdict_label(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passed",
        Verdict::Unknown { .. } => "unknown",
        Verdict::Fail { .. } => "failed",
    }
}

fn failovers(run: &Run, facts: &mut Facts) {
    let findings = &run.findings;
    let complete: Vec<&Failover> = findings.failovers.iter().filter(|failover| failover.complete()).collect();
    for failover in complete.iter().take(GROUPS_MAX) {
        facts.add("failover", &[steps(findings, failover)]);
    }
    if complete.len() > GROUPS_MAX {
        facts.add("", &[format!("and {} more failovers", complete.len() - GROUPS_MAX)]);
    }
    let tried = findings.failovers.len() - complete.len();
    if tried > 0 {
        let (attempts, rounds) = (thousands(tried as u64), show(run, "election.rounds"));
        facts.add("attempts", &[format!("{attempts} without result; epochs with an election: {rounds}")]);
    }
}

/// `r1 -> r2 by s2, epoch 1; after the fault: +sdown 1.02s, …`
fn steps(findings: &Findings, failover: &Failover) -> String {
    let (old, new) =
        (findings.name_at(failover.old), failover.new.map_or("nobody".to_owned(), |new| findings.name_at(new)));
    let mut text = format!("{old} -> {new} by {}, epoch {}", findings.name(Some(failover.leader)), failover.epoch);
    let switch = failover.switches.first().map(|(_, mark)| *mark);
    let marks: [(&str, Option<Mark>); 6] = [
        ("sdown", failover.sdown),
        ("odown", failover.odown),
        ("elected", failover.elected),
        ("promoted", failover.promoted),
        ("switch", switch),
        ("first write", failover.first_write),
    ];
    let start = failover.fault_at.unwrap_or(failover.first_tried);
    let steps: Vec<String> = marks
        .iter()
        .filter_map(|(name, mark)| Some(format!("{name} {}", span(mark.as_ref()?.at.since(start.at)))))
        .collect();
    let from = if failover.fault_at.is_some() { "the fault" } else { "+try-failover" };
    text.push_str(&format!("; after {from}: {}", steps.join(", ")));
    text
}

fn losses(run: &Run, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let groups = &run.findings.lost;
    for group in groups.iter().take(GROUPS_MAX) {
        lines.push(String::new());
        let text = format!("Lost: {}", lost::sentence(&run.findings, group));
        let mut wrapped = wrap(&text, style.width, 2);
        wrapped[0] = wrapped[0].replacen("Lost:", &style.paint("31", "Lost:"), 1);
        lines.extend(wrapped);
    }
    if groups.len() > GROUPS_MAX {
        let rest: u64 = groups[GROUPS_MAX..].iter().map(|group| group.count).sum();
        lines.push(format!("  … and {} more in {} other ways", thousands(rest), groups.len() - GROUPS_MAX));
    }
    lines
}

fn expectations(run: &Run, style: Style) -> Vec<String> {
    if run.expectations.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]);
    for outcome in &run.expectations {
        let mark = if outcome.passed { "✔" } else { "✘" };
        let unit = metrics::find(&outcome.expectation.metric).map_or(Unit::Count, |metric| metric.unit);
        let actual = outcome.actual.show(unit);
        let actual = if outcome.passed { actual } else { format!("was {actual}") };
        table.row([mark, &outcome.expectation.key(), &outcome.expectation.expected(), &actual]);
    }
    let paint = |line: String| {
        let line = line.replacen('✔', &style.paint("32", "✔"), 1);
        line.replacen('✘', &style.paint("31", "✘"), 1)
    };
    std::iter::once(String::new()).chain(table.lines().into_iter().map(paint)).collect()
}

fn signature(run: &Run, style: Style, receipt: &Receipt<'_>) -> Vec<String> {
    let wall = run.wall;
    let text = format!(
        "seed {}, digest {}, {} events, {} simulated in {}{}",
        run.seed.0,
        run.digest,
        thousands(run.events.0),
        span(run.simulated),
        span(wall),
        speed_up(run.simulated, wall),
    );
    let mut lines = wrap(&text, style.width, 2);
    if !run.ended.finished() {
        let text = format!("✘ the run ended at {}: {}", span(run.simulated), run.ended);
        let mut said = wrap(&text, style.width, 2);
        said[0] = said[0].replacen('✘', &style.paint("31", "✘"), 1);
        lines.splice(0..0, said);
    }
    if let Some(folder) = receipt.report {
        lines.push(format!("report: {folder}"));
    }
    if let (Some(command), true) = (receipt.command, failed(run)) {
        lines.push(format!("reproduce: {command}"));
    }
    lines
}

/// Whether an expectation failed, or the run didn't come to its end.
#[must_use]
pub fn failed(run: &Run) -> bool {
    !run.ended.finished() || run.expectations.iter().any(|outcome| !outcome.passed)
}

fn speed_up(simulated: Span, wall: Span) -> String {
    simulated.ns().checked_div(wall.ns()).map_or(String::new(), |times| format!(" ({}× real time)", thousands(times)))
}

fn show(run: &Run, name: &str) -> String {
    let unit = metrics::find(name).map_or(Unit::Count, |metric| metric.unit);
    run.metrics.get(name).copied().unwrap_or(Value::Absent).show(unit)
}
