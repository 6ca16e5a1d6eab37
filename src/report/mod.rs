//! From a finished run to what people read: text, charts, pages, other tools' formats. Formats map values to bytes;
//! only `cli` writes files.

pub mod chart;
pub mod contradiction;
pub mod dot;
pub mod exam;
pub mod html;
pub mod json;
pub mod pages;
pub mod pins;
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
pub mod sweep;
pub mod table;

use std::io::{self, Write};
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
    /// Bytes of a key.
    pub key_size: u32,
}

/// Where a report's files go: opens one by its name.
pub type Open<'a> = &'a mut dyn FnMut(&str) -> io::Result<Box<dyn Write>>;

/// Writes a report folder: page, summary, charts, trace, history, graphs. Says nothing that isn't in the run, its trace
/// and the receipt. One chart is held at a time, and trace and history are written as they are made: they can be
/// larger than everything else together.
///
/// # Errors
/// The first one of opening or writing.
pub fn write(run: &Run, events: &[Event], receipt: &summary::Receipt<'_>, open: Open<'_>) -> io::Result<()> {
    let stage = stage::Stage::of(events);
    let charts = chart::all(run, &stage, events);
    let mut names = vec!["summary.json".to_owned()];
    put(open, "summary.json", &summary_json(run, receipt))?;
    for chart in &charts {
        let (svg, png) = (format!("{}.svg", chart.name), format!("{}.png", chart.name));
        put(open, &svg, chart.svg().as_bytes())?;
        put(open, &png, &chart.png())?;
        names.extend([svg, png]);
    }
    let mut out = open("trace.jsonl")?;
    trace(&mut out, events)?;
    out.flush()?;
    let mut out = open("history.jsonl")?;
    history(&mut out, events)?;
    out.flush()?;
    put(open, "topology.dot", dot::topology(&stage, events).as_bytes())?;
    names.extend(["trace.jsonl", "history.jsonl", "topology.dot"].map(str::to_owned));
    if let Some(votes) = dot::votes(&stage, events) {
        put(open, "votes.dot", votes.as_bytes())?;
        names.push("votes.dot".to_owned());
    }
    let page = html::page(run, &charts, &names, receipt.command);
    put(open, "index.html", page.as_bytes())
}

fn put(open: Open<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut out = open(name)?;
    out.write_all(bytes)?;
    out.flush()
}

fn summary_json(run: &Run, receipt: &summary::Receipt<'_>) -> Vec<u8> {
    let mut object = json::object(run, receipt.report);
    object["command"] = receipt.command.into();
    let mut out = serde_json::to_vec_pretty(&object).expect("plain data is JSON");
    out.push(b'\n');
    out
}

/// The whole trace, a line for each event.
fn trace(out: &mut impl Write, events: &[Event]) -> io::Result<()> {
    events.iter().try_for_each(|event| lines::write_event(out, event))
}

/// The clients' operations, as Jepsen's checkers read them.
fn history(out: &mut impl Write, events: &[Event]) -> io::Result<()> {
    let mut writer = HistoryWriter::new(out);
    events.iter().try_for_each(|event| writer.see(event))
}
