//! `schema`, `metrics`, `completions`: what splitbrain knows, printed.

use clap::CommandFactory as _;
use serde_json::json;

use super::args::{Cli, CompletionsArgs, MetricsArgs};
use super::{Outcome, Status, terminal};
use crate::check::{METRICS, Unit};

pub(super) fn schema() -> Outcome {
    terminal::print(&format!("{:#}\n", crate::scenario::raw::schema()))?;
    Ok(Status::Held)
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "count",
        Unit::Ratio => "ratio",
        Unit::Time => "time",
        Unit::Bytes => "bytes",
        Unit::Bool => "bool",
    }
}

pub(super) fn metrics(args: &MetricsArgs) -> Outcome {
    if args.json {
        let row = |metric: &crate::check::Metric| json!({ "name": metric.name, "unit": unit_name(metric.unit), "doc": metric.doc });
        let rows: serde_json::Value = METRICS.iter().map(row).collect();
        terminal::print(&format!("{rows:#}\n"))?;
        return Ok(Status::Held);
    }
    let name_width = METRICS.iter().map(|metric| metric.name.len()).max().unwrap_or(0);
    let indent = name_width + 2 + 7;
    let room = terminal::stdout().width.saturating_sub(indent).max(30);
    let mut out = String::new();
    for metric in METRICS {
        let mut lines = wrap(metric.doc, room).into_iter();
        let first = lines.next().unwrap_or_default();
        out.push_str(&format!("{:<name_width$}  {:<5}  {first}\n", metric.name, unit_name(metric.unit)));
        for line in lines {
            out.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }
    terminal::print(&out)?;
    Ok(Status::Held)
}

/// Words in lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

pub(super) fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "splitbrain", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))?;
    Ok(Status::Held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped() {
        assert_eq!(wrap("a bb ccc dddd", 6), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrap("toolongforit x", 4), ["toolongforit", "x"]);
        assert!(wrap("", 10).is_empty());
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
