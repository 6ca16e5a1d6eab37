//! A summary in Markdown, for a page about a build.

use super::text::{changed, complaints};
use super::{Counts, Exam, Examined};
use crate::check::metrics::{span, thousands};
use crate::time::Span;

/// The whole page.
#[must_use]
pub fn page(exams: &[Exam], wall: Span) -> String {
    let counts = Counts::of(exams);
    let mark = if counts.failed == 0 { "✅" } else { "❌" };
    let mut out = format!("## {mark} splitbrain: {counts} in {}\n\n", span(wall));
    let failed: Vec<&Exam> = exams.iter().filter(|exam| !exam.passed()).collect();
    if !failed.is_empty() {
        out.push_str("| scenario | seeds | failed | what |\n| --- | --- | ---: | --- |\n");
    }
    for exam in &failed {
        let (seeds, share, what) = match &exam.result {
            Examined::Ran(ran) => {
                let what = complaints(ran).iter().map(|text| cell(text)).collect::<Vec<_>>().join("<br>");
                (ran.seeds.clone(), format!("{} of {}", thousands(ran.failed), thousands(ran.runs)), what)
            }
            Examined::Skipped => continue,
            Examined::Invalid(_) => (String::new(), String::new(), "not a scenario that can be run".to_owned()),
        };
        out.push_str(&format!("| {} | {seeds} | {share} | {what} |\n", cell(&exam.file)));
    }
    for exam in &failed {
        let Examined::Ran(ran) = &exam.result else { continue };
        let mut lines: Vec<String> = ran.unfinished.iter().map(|run| run.command.clone()).collect();
        lines.extend(
            ran.expectations.iter().filter(|judged| !judged.passed).filter_map(|judged| judged.command.clone()),
        );
        lines.dedup();
        lines.extend(ran.pins.iter().filter(|pin| !pin.held()).flat_map(changed));
        if !lines.is_empty() {
            out.push_str(&format!("\n<details><summary>{}</summary>\n\n```text\n", cell(&exam.file)));
            lines.iter().for_each(|line| out.push_str(&format!("{line}\n")));
            out.push_str("```\n\n</details>\n");
        }
    }
    out.push_str(
        "\n<details><summary>All scenarios</summary>\n\n| | scenario | seeds | |\n| --- | --- | --- | --- |\n",
    );
    for exam in exams {
        let mark = if exam.passed() { "✔" } else { "✘" };
        let (seeds, note) = match &exam.result {
            Examined::Ran(ran) => (ran.seeds.as_str(), if ran.negative { "must fail" } else { "" }),
            Examined::Skipped => ("", "passed before"),
            Examined::Invalid(_) => ("", "invalid"),
        };
        out.push_str(&format!("| {mark} | {} | {seeds} | {note} |\n", cell(&exam.file)));
    }
    out.push_str("\n</details>\n");
    out
}

/// Text that can't end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}
