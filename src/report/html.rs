//! The page: one file that opens from disk, needs no network and no script, and prints.

use std::fmt::Write as _;

use super::Run;
use super::chart::{self, Chart};
use super::summary::lost::sentence;
use super::summary::timeline;
use crate::check::metrics::{self, thousands};
use crate::check::{METRICS, Value, Verdict};

/// Lines of the timeline that are shown.
const TIMELINE: usize = 400;

/// The page of a run, with its charts inside.
#[must_use]
pub fn page(run: &Run, charts: &[Chart], files: &[String], command: Option<&str>) -> String {
    let mut out = String::with_capacity(1 << 17);
    let title = escape(&run.scenario);
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    push(&mut out, &format!("<title>{title} · splitbrain</title>\n"));
    push(&mut out, &format!("<style>\n{}</style>\n", include_str!("page.css")));
    if !charts.is_empty() {
        out.push_str(&chart::font_style());
    }
    out.push_str("</head>\n<body>\n<main>\n");
    head(&mut out, run, command);
    expectations(&mut out, run);
    verdicts(&mut out, run);
    lost(&mut out, run);
    for chart in charts {
        let title = escape(&chart.title);
        push(&mut out, &format!("<figure id=\"{}\" aria-label=\"{title}\">\n", chart.name));
        out.push_str(&chart.inline_svg());
        push(&mut out, &format!("<figcaption>{}</figcaption>\n</figure>\n", escape(&chart.alt)));
    }
    events(&mut out, run);
    values(&mut out, run);
    list(&mut out, files);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// Text for HTML or XML, in element content or a quoted attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn push(out: &mut String, text: &str) {
    out.push_str(text);
}

/// Title, description, receipt, and the command that repeats the run.
fn head(out: &mut String, run: &Run, command: Option<&str>) {
    push(out, &format!("<header>\n<h1>{}</h1>\n", escape(&run.scenario)));
    if !run.description.is_empty() {
        push(out, &format!("<p class=\"about\">{}</p>\n", escape(&run.description)));
    }
    let settle = run.simulated.saturating_sub(run.duration);
    let rows = [
        ("seed", run.seed.0.to_string()),
        ("digest", run.digest.to_string()),
        ("events", thousands(run.events.0)),
        ("simulated", format!("{} + {} settling", metrics::span(run.duration), metrics::span(settle))),
        ("took", metrics::span(run.wall)),
    ];
    out.push_str("<dl class=\"receipt\">\n");
    for (name, value) in rows {
        push(out, &format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(&value)));
    }
    out.push_str("</dl>\n");
    let command = command.map_or_else(|| format!("splitbrain run FILE --seed {}", run.seed.0), str::to_owned);
    push(out, &format!("<p>Repeat it: <code>{}</code></p>\n</header>\n", escape(&command)));
}

fn expectations(out: &mut String, run: &Run) {
    if run.expectations.is_empty() {
        return;
    }
    let held = run.expectations.iter().filter(|outcome| outcome.passed).count();
    let all = run.expectations.len();
    push(out, &format!("<section>\n<h2>Expectations <small>{held} of {all} held</small></h2>\n"));
    out.push_str(
        "<table>\n<thead><tr><th></th><th>metric</th><th>expected</th><th>actual</th></tr></thead>\n<tbody>\n",
    );
    for outcome in &run.expectations {
        let name = outcome.expectation.key();
        let (class, sign) = if outcome.passed { ("good", "✔") } else { ("bad", "✘") };
        let row = format!(
            "<tr class=\"{class}\"><td class=\"sign\">{sign}</td><td><code>{}</code></td><td>{}</td><td>{}</td></tr>\n",
            escape(&name),
            escape(&outcome.expectation.expected()),
            escape(&shown(&outcome.expectation.metric, outcome.actual))
        );
        out.push_str(&row);
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
}

fn shown(name: &str, value: Value) -> String {
    value.show(metrics::find(name).map_or(metrics::Unit::Count, |metric| metric.unit))
}

fn verdicts(out: &mut String, run: &Run) {
    if run.verdicts.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Verdicts</h2>\n<table>\n<tbody>\n");
    let mut passed = Vec::new();
    for (name, verdict) in &run.verdicts {
        match verdict {
            Verdict::Pass => passed.push(escape(name)),
            Verdict::Unknown { why } => {
                let row = format!(
                    "<tr><td class=\"sign\">?</td><td><code>{}</code></td><td>{}</td></tr>\n",
                    escape(name),
                    escape(why)
                );
                out.push_str(&row);
            }
            Verdict::Fail { why, witness } => {
                let ids: Vec<String> = witness.iter().take(6).map(|id| format!("#{}", id.0)).collect();
                let more = if witness.len() > 6 { " …" } else { "" };
                let seen = if ids.is_empty() { String::new() } else { format!("events {}{more}", ids.join(" ")) };
                let row = format!(
                    "<tr class=\"bad\"><td class=\"sign\">✘</td><td><code>{}</code></td><td>{}<br><small>{seen}</small></td></tr>\n",
                    escape(name),
                    escape(why)
                );
                out.push_str(&row);
            }
        }
    }
    if !passed.is_empty() {
        let row = format!(
            "<tr class=\"good\"><td class=\"sign\">✔</td><td colspan=\"2\">nothing wrong: {}</td></tr>\n",
            passed.join(", ")
        );
        out.push_str(&row);
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
}

/// The lost writes: how many, whose, why, and the first and last of each group by name.
fn lost(out: &mut String, run: &Run) {
    if run.findings.lost.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Lost writes</h2>\n");
    for group in &run.findings.lost {
        push(out, &format!("<p>{}</p>\n", escape(&sentence(&run.findings, group))));
        let all = group.writes.len() as u64 == group.count;
        let what = if all { "all of them" } else { "the first and the last of them" };
        push(out, &format!("<details>\n<summary>{what}</summary>\n<table>\n<thead><tr>"));
        for head in ["invoked (s)", "acknowledged (s)", "client", "key", "value", "offset", "event"] {
            push(out, &format!("<th>{head}</th>"));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for write in &group.writes {
            let client = escape(run.findings.name(Some(write.client)));
            let row = format!(
                "<tr><td>{}</td><td>{}</td><td>{client}</td><td>{}</td><td>{}</td><td>{}</td><td>#{}</td></tr>\n",
                write.invoked, write.acked, write.key, write.value, write.offset, write.event.0
            );
            out.push_str(&row);
        }
        out.push_str("</tbody>\n</table>\n</details>\n");
    }
    out.push_str("</section>\n");
}

/// What mattered, each row by whom; faults stand out.
fn events(out: &mut String, run: &Run) {
    let rows = timeline::rows(&run.findings);
    if rows.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Timeline</h2>\n<table class=\"timeline\">\n");
    out.push_str("<thead><tr><th>time (s)</th><th>who</th><th>what</th></tr></thead>\n<tbody>\n");
    let all = rows.len();
    for row in rows.iter().take(TIMELINE) {
        let class = if row.who == "fault" { " class=\"fault\"" } else { "" };
        let line = format!(
            "<tr{class}><td>{:.3}</td><td>{}</td><td>{}</td></tr>\n",
            row.at.as_secs_f64(),
            escape(&row.who),
            escape(&row.text)
        );
        out.push_str(&line);
    }
    out.push_str("</tbody>\n</table>\n");
    let hidden = all.saturating_sub(TIMELINE) as u64 + run.findings.timeline_dropped;
    if hidden > 0 {
        push(out, &format!("<p>{} more in <code>trace.jsonl</code>.</p>\n", thousands(hidden)));
    }
    out.push_str("</section>\n");
}

/// Every metric that this run has; the others by name.
fn values(out: &mut String, run: &Run) {
    let mut absent = Vec::new();
    out.push_str("<section>\n<h2>Metrics</h2>\n<table class=\"metrics\">\n<tbody>\n");
    for metric in METRICS {
        let Some(value) = run.metrics.get(metric.name) else { continue };
        if *value == Value::Absent {
            absent.push(format!("<code>{}</code>", metric.name));
            continue;
        }
        let row = format!(
            "<tr><td><code>{}</code></td><td class=\"number\">{}</td><td class=\"doc\">{}</td></tr>\n",
            metric.name,
            escape(&value.show(metric.unit)),
            escape(metric.doc)
        );
        out.push_str(&row);
    }
    out.push_str("</tbody>\n</table>\n");
    if !absent.is_empty() {
        push(out, &format!("<p class=\"absent\">Did not happen in this run: {}.</p>\n", absent.join(", ")));
    }
    out.push_str("</section>\n");
}

fn list(out: &mut String, files: &[String]) {
    if files.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Files</h2>\n<p>");
    for (n, file) in files.iter().enumerate() {
        let name = escape(file);
        let comma = if n > 0 { ", " } else { "" };
        write!(out, "{comma}<a href=\"{name}\">{name}</a>").expect("writing to a string cannot fail");
    }
    out.push_str("</p>\n</section>\n");
}
