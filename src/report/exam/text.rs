//! The terminal's lines: one for each scenario, more where something is wrong.

use super::{Exam, Examined, Pinned, Ran};
use crate::check::metrics::{span, thousands};
use crate::report::summary::Style;

/// What is said of one scenario, with a newline at its end.
#[must_use]
pub fn lines(exam: &Exam, style: Style) -> String {
    let mark = match (&exam.result, exam.passed()) {
        (Examined::Skipped, _) => style.paint("2", "–"),
        (Examined::Ran(_) | Examined::Invalid(_), true) => style.paint("32", "✔"),
        (Examined::Ran(_) | Examined::Invalid(_), false) => style.paint("31", "✘"),
    };
    let mut out = format!("{mark} {}", exam.file);
    match &exam.result {
        Examined::Skipped => out.push_str("  passed before\n"),
        Examined::Invalid(problems) => {
            out.push_str("  is not a scenario that can be run\n");
            out.push_str(problems);
        }
        Examined::Ran(ran) => {
            out.push_str(&head(ran));
            for line in details(ran) {
                out.push_str(&format!("    {line}\n"));
            }
        }
    }
    out
}

fn head(ran: &Ran) -> String {
    let mut parts = Vec::new();
    let seeds = if ran.runs == 1 { format!("seed {}", ran.seeds) } else { format!("seeds {}", ran.seeds) };
    parts.push(seeds);
    if ran.negative {
        parts.push(if ran.passed() { "fails, as it must".to_owned() } else { "must fail".to_owned() });
    } else if ran.failed > 0 && ran.runs > 1 {
        parts.push(format!("{} of {} runs failed", thousands(ran.failed), thousands(ran.runs)));
    }
    format!("  {}\n", parts.join(", "))
}

/// What is wrong, a line each, without the commands.
#[must_use]
pub fn complaints(ran: &Ran) -> Vec<String> {
    let mut out = Vec::new();
    if !ran.negative || ran.broke() {
        for run in &ran.unfinished {
            out.push(format!("seed {}: after {} {}", run.seed.0, span(run.at), run.ended));
        }
    }
    if !ran.negative {
        let missed = ran.expectations.iter().filter(|judged| !judged.passed);
        out.extend(missed.map(|judged| judged.complaint(ran.runs)));
    } else if !ran.missed() && ran.unfinished.is_empty() {
        out.push("everything that it expects holds, but it is a negative scenario and must fail".to_owned());
    }
    let pins = ran.pins.iter().filter(|pin| !pin.held());
    out.extend(pins.map(|pin| format!("digest of seed {}: pinned {}, now {}", pin.seed.0, pin.pinned, pin.found)));
    out
}

/// The same with what to do about it.
fn details(ran: &Ran) -> Vec<String> {
    let mut out = Vec::new();
    for pin in ran.pins.iter().filter(|pin| pin.blessed) {
        let was = if pin.pinned.is_empty() { String::new() } else { format!(", was {}", pin.pinned) };
        out.push(format!("digest of seed {} pinned: {}{was}", pin.seed.0, pin.found));
    }
    if ran.passed() {
        return out;
    }
    if !ran.negative || ran.broke() {
        for run in &ran.unfinished {
            out.push(format!("seed {}: after {} {}", run.seed.0, span(run.at), run.ended));
            out.push(format!("  reproduce: {}", run.command));
        }
    }
    if ran.negative {
        out.extend(complaints(ran).into_iter().filter(|text| text.starts_with("everything")));
    } else {
        for judged in ran.expectations.iter().filter(|judged| !judged.passed) {
            out.push(judged.complaint(ran.runs));
            out.extend(judged.command.iter().map(|command| format!("  reproduce: {command}")));
        }
    }
    for pin in ran.pins.iter().filter(|pin| !pin.held()) {
        out.extend(changed(pin));
    }
    out
}

/// A pin that doesn't hold: what it was, where the run differs, which metrics do.
#[must_use]
pub fn changed(pin: &Pinned) -> Vec<String> {
    let mut out = vec![format!("digest of seed {}: pinned {}, now {}", pin.seed.0, pin.pinned, pin.found)];
    match &pin.change {
        None => {
            out.push("  nothing was kept to compare with (the .pins file is missing or of another digest)".to_owned())
        }
        Some(change) => {
            let what = if change.exact() {
                format!("the first event that differs is {}", thousands(change.from))
            } else {
                format!("the first event that differs is one of {} to {}", thousands(change.from), thousands(change.to))
            };
            let (before, now) = change.counts;
            let count = if before == now {
                String::new()
            } else {
                format!("; {} events, were {}", thousands(now), thousands(before))
            };
            out.push(format!("  {what}{count}; now:"));
            if change.events.is_empty() {
                out.push("    (the run has ended)".to_owned());
            }
            out.extend(change.events.iter().map(|line| format!("    {line}")));
            if change.metrics.is_empty() {
                out.push("  no metric changed".to_owned());
            }
            for (name, before, now) in change.metrics.iter().take(8) {
                out.push(format!("  {name}: was {before}, now {now}"));
            }
            if change.metrics.len() > 8 {
                out.push(format!("  and {} more metrics changed", change.metrics.len() - 8));
            }
        }
    }
    out.push(format!("  if it is meant: {}", pin.bless));
    out
}
