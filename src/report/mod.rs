//! From a finished run to what people read: text, charts, pages, other tools' formats. Formats map values to bytes;
//! only `cli` writes files.

pub mod chart;
pub mod dot;
pub mod html;
pub mod json;
pub mod pages;
#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    reason = "made-up numbers are small, and few of the events are made up"
)]
mod sample;
pub mod stage;
pub mod summary;
pub mod table;

use std::sync::Arc;

use crate::check::{ExpectationOutcome, Findings, Verdict, metrics};
use crate::id::EventId;
use crate::rng::Seed;
use crate::time::Span;
use crate::trace::history::HistoryWriter;
use crate::trace::{Event, Fingerprint, json as lines};

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// It came to the end of its time.
    #[default]
    Finished,
    /// It came to its limit of events; so many had happened.
    EventLimit(u64),
    /// It came to its limit of simulated time.
    TimeLimit(Span),
    /// Time stood still: so many engine events happened at the last instant.
    Standstill(u64),
    /// splitbrain itself broke: what the panic said.
    Broken(String),
}

impl Ended {
    /// Whether the run came to the end of its time; any other is a failed run, whatever its metrics say.
    #[must_use]
    pub fn finished(&self) -> bool {
        *self == Ended::Finished
    }

    /// `finished`, `event-limit`, `time-limit`, `standstill`, `broken`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Ended::Finished => "finished",
            Ended::EventLimit(_) => "event-limit",
            Ended::TimeLimit(_) => "time-limit",
            Ended::Standstill(_) => "standstill",
            Ended::Broken(_) => "broken",
        }
    }
}

/// As a sentence, for a run that ended at `at`.
impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let many = metrics::thousands;
        match self {
            Ended::Finished => f.write_str("came to the end of its time"),
            Ended::EventLimit(events) => write!(f, "stopped at the limit of {} events", many(*events)),
            Ended::TimeLimit(span) => write!(f, "stopped at the limit of {span} of simulated time"),
            Ended::Standstill(steps) => {
                write!(f, "time stood still: {} events at one instant, and no end of them", many(*steps))
            }
            Ended::Broken(text) => write!(f, "splitbrain broke: {text}"),
        }
    }
}

/// A finished run: everything that is said about it except its events.
#[derive(Clone, Debug)]
pub struct Run {
    /// The scenario's name.
    pub scenario: Arc<str>,
    /// The scenario's description.
    pub description: Arc<str>,
    /// The seed it ran with.
    pub seed: Seed,
    /// The fingerprint of its trace.
    pub digest: Fingerprint,
    /// How many events.
    pub events: EventId,
    /// How it ended.
    pub ended: Ended,
    /// The watched duration (without the settle period).
    pub duration: Span,
    /// All simulated time.
    pub simulated: Span,
    /// Real time it took; not part of any comparison.
    pub wall: Span,
    /// The expectations, in the file's order.
    pub expectations: Vec<ExpectationOutcome>,
    /// The metrics.
    pub metrics: metrics::Values,
    /// What the checkers say, worst first.
    pub verdicts: Vec<(&'static str, Verdict)>,
    /// What they found: timeline, failovers, lost writes.
    pub findings: Findings,
}

/// The files of a report folder: names and contents. Says nothing that isn't in the run and its trace.
#[must_use]
pub fn files(run: &Run, events: &[Event]) -> Vec<(String, Vec<u8>)> {
    folder(run, events, &summary::Receipt::default())
}

/// The same for a folder of which more is known: where it is, and the command that repeats the run.
#[must_use]
pub fn folder(run: &Run, events: &[Event], receipt: &summary::Receipt<'_>) -> Vec<(String, Vec<u8>)> {
    let stage = stage::Stage::of(events);
    let charts = chart::all(run, &stage, events);
    let mut files: Vec<(String, Vec<u8>)> = vec![("summary.json".into(), summary_json(run, receipt))];
    for chart in &charts {
        files.push((format!("{}.svg", chart.name), chart.svg().into_bytes()));
        files.push((format!("{}.png", chart.name), chart.png()));
    }
    files.push(("trace.jsonl".into(), trace(events)));
    files.push(("history.jsonl".into(), history(events)));
    files.push(("topology.dot".into(), dot::topology(&stage, events).into_bytes()));
    files.extend(dot::votes(&stage, events).map(|votes| ("votes.dot".into(), votes.into_bytes())));
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    let page = html::page(run, &charts, &names, receipt.command);
    files.insert(0, ("index.html".into(), page.into_bytes()));
    files
}

fn summary_json(run: &Run, receipt: &summary::Receipt<'_>) -> Vec<u8> {
    let object = json::object(run, receipt.report);
    let mut out = serde_json::to_vec_pretty(&object).expect("plain data is JSON");
    out.push(b'\n');
    out
}

/// The whole trace, a line for each event.
#[must_use]
pub fn trace(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::with_capacity(events.len() * 160);
    for event in events {
        lines::write_event(&mut out, event).expect("memory takes everything");
    }
    out
}

/// The clients' operations, as Jepsen's checkers read them.
#[must_use]
pub fn history(events: &[Event]) -> Vec<u8> {
    let mut writer = HistoryWriter::new(Vec::new());
    for event in events {
        writer.see(event).expect("memory takes everything");
    }
    writer.into_inner()
}
