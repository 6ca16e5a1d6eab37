//! The same as one JSON object.

use serde_json::{Value as Json, json};

use super::{Counts, Exam, Examined, Judged, Pinned, Ran, Unfinished};
use crate::time::Span;

/// What `test --json` prints.
#[must_use]
pub fn object(exams: &[Exam], wall: Span) -> Json {
    let counts = Counts::of(exams);
    json!({
        "passed": counts.failed == 0,
        "scenarios": exams.iter().map(exam).collect::<Vec<_>>(),
        "counts": {
            "scenarios": counts.scenarios, "failed": counts.failed, "skipped": counts.skipped, "runs": counts.runs,
        },
        "wall_ms": wall.as_ms_f64(),
    })
}

fn exam(exam: &Exam) -> Json {
    let file = &exam.file;
    match &exam.result {
        Examined::Ran(ran) => self::ran(exam, ran),
        Examined::Skipped => json!({ "file": file, "result": "skipped" }),
        Examined::Invalid(problems) => json!({ "file": file, "result": "invalid", "problems": problems }),
    }
}

fn ran(exam: &Exam, ran: &Ran) -> Json {
    json!({
        "file": exam.file,
        "result": if ran.passed() { "passed" } else { "failed" },
        "scenario": ran.name,
        "negative": ran.negative,
        "seeds": ran.seeds,
        "runs": ran.runs,
        "failed_runs": ran.failed,
        "expectations": ran.expectations.iter().map(judged).collect::<Vec<_>>(),
        "unfinished": ran.unfinished.iter().map(unfinished).collect::<Vec<_>>(),
        "pins": ran.pins.iter().map(pinned).collect::<Vec<_>>(),
    })
}

fn judged(judged: &Judged) -> Json {
    json!({
        "metric": judged.expectation.key(),
        "expected": judged.expectation.expected(),
        "passed": judged.passed,
        "failures": judged.failures,
        "actual": judged.actual,
        "seed": judged.seed,
        "reproduce": judged.command,
    })
}

fn unfinished(run: &Unfinished) -> Json {
    json!({
        "seed": run.seed, "ended": run.ended.word(), "why": run.ended.to_string(), "simulated_ms": run.at.as_ms_f64(),
        "reproduce": run.command,
    })
}

fn pinned(pin: &Pinned) -> Json {
    json!({
        "seed": pin.seed, "pinned": pin.pinned, "found": pin.found, "held": pin.held(), "blessed": pin.blessed,
        "change": pin.change,
    })
}
