//! Checkers and metrics: they see the trace and nothing else.

pub mod expect;
pub mod metrics;

pub use expect::{Comparison, Expectation, Outcome as ExpectationOutcome};
pub use metrics::{METRICS, Metric, Unit, Value};

use crate::id::EventId;
use crate::trace::Event;

/// A checker: sees every event as it happens, then judges.
pub trait Checker: Send {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// Sees the next event.
    fn see(&mut self, event: &Event);
    /// The end: adds its metrics and judges. Called once, after the last event.
    fn finish(&mut self, metrics: &mut metrics::Values) -> Verdict;
}

/// A checker's answer. Worse is greater.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing wrong.
    Pass,
    /// It can't be told.
    Unknown {
        /// Why not.
        why: String,
    },
    /// Something is wrong.
    Fail {
        /// What, in a sentence or a few.
        why: String,
        /// The events that show it.
        witness: Vec<EventId>,
    },
}
