//! From a finished run to what people read: text, charts, pages, other tools' formats. Formats map values to bytes;
//! only `cli` writes files.

pub mod chart;
pub mod html;
pub mod json;
#[cfg(test)]
mod sample;
pub mod stage;
pub mod summary;
pub mod table;

use std::sync::Arc;

use crate::check::{ExpectationOutcome, Findings, Verdict, metrics};
use crate::id::EventId;
use crate::rng::Seed;
use crate::time::Span;
use crate::trace::Fingerprint;

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
