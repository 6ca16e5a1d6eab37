//! What is wrong with a run, precisely enough to tell the same failure from another one.

use std::fmt;

use crate::check::{Comparison, ExpectationOutcome, Unit, Verdict, metrics};
use crate::report::Run;
use crate::run::Signature;

/// How a value misses what was expected of it. A failover that never came and one that took too long break the same
/// expectation in two different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// There is no value: what it measures didn't happen.
    Absent,
    /// It is smaller than it should be.
    Low,
    /// It is greater.
    High,
}

/// One expectation that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// The metric.
    pub metric: String,
    /// What was expected: `<= 10`.
    pub expected: String,
    /// How it was missed.
    pub miss: Miss,
    /// Its value, for people.
    pub actual: String,
}

/// How a run failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    /// How the run ended, if not as it should: `event-limit`, `standstill`, `broken`. Nothing else counts then.
    pub ended: Option<&'static str>,
    /// The expectations that failed.
    pub broken: Vec<Broken>,
    /// The checkers that found something wrong; only of a scenario that expects nothing.
    pub verdicts: Vec<&'static str>,
    /// Metrics that must not be zero. What never happened would not happen in an empty world either: so what led up to
    /// it must be there.
    pub circumstances: Vec<&'static str>,
    /// The order of the key events, if it must be the same.
    pub story: Option<Signature>,
}

/// What may lead up to something that then doesn't happen.
const CIRCUMSTANCES: [&str; 5] =
    ["failover.attempts", "odown.count", "sdown.masters", "writes.invoked", "reads.invoked"];

impl Failure {
    /// What is wrong with a run; `only` names the expectations that count (none: all); `story`: the order of
    /// the key events counts too. `None`: nothing is wrong.
    #[must_use]
    pub fn of(run: &Run, only: &[String], story: bool) -> Option<Failure> {
        if !run.ended.finished() {
            return Some(Failure { ended: Some(run.ended.word()), ..Failure::default() });
        }
        let failed = run.expectations.iter().filter(|outcome| !outcome.passed);
        let wanted = failed.filter(|outcome| only.is_empty() || only.contains(&outcome.expectation.key()));
        let broken: Vec<Broken> = wanted.map(Broken::of).collect();
        let mut verdicts = Vec::new();
        if run.expectations.is_empty() {
            let bad = run.verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Fail { .. }));
            verdicts = bad.map(|(name, _)| *name).collect();
            verdicts.sort_unstable();
        }
        if broken.is_empty() && verdicts.is_empty() {
            return None;
        }
        let absent = broken.iter().any(|broken| broken.miss == Miss::Absent);
        let circumstances = CIRCUMSTANCES.into_iter().filter(|name| absent && happened(run, name)).collect();
        let story = story.then(|| Signature::of(&run.findings));
        Some(Failure { ended: None, broken, verdicts, circumstances, story })
    }

    /// Whether another run fails in this way too, whatever else is wrong with it.
    #[must_use]
    pub fn shown_by(&self, run: &Run) -> bool {
        if self.ended.is_some() || !run.ended.finished() {
            return self.ended == Some(run.ended.word());
        }
        let same = |broken: &Broken| {
            run.expectations.iter().filter(|outcome| !outcome.passed).any(|outcome| {
                let other = Broken::of(outcome);
                (&other.metric, &other.expected, other.miss) == (&broken.metric, &broken.expected, broken.miss)
            })
        };
        let found = |name: &&str| {
            run.verdicts.iter().any(|(other, verdict)| other == name && matches!(verdict, Verdict::Fail { .. }))
        };
        self.broken.iter().all(same)
            && self.verdicts.iter().all(found)
            && self.circumstances.iter().all(|name| happened(run, name))
            && self.story.as_ref().is_none_or(|story| *story == Signature::of(&run.findings))
    }

    /// Whether it is about what has become of things when they had time to settle: with no time at all everybody fails.
    #[must_use]
    pub fn is_about_settling(&self) -> bool {
        let about = |name: &str| name == "converged" || name.starts_with("recovery.") || name.starts_with("final.");
        self.broken.iter().any(|broken| about(&broken.metric))
            || self.verdicts.iter().any(|name| matches!(*name, "convergence" | "liveness"))
    }

    /// The same failure with the values that another run has.
    #[must_use]
    pub fn as_in(&self, run: &Run) -> Failure {
        let mut out = self.clone();
        for broken in &mut out.broken {
            let same = |outcome: &&ExpectationOutcome| {
                outcome.expectation.key() == broken.metric && outcome.expectation.expected() == broken.expected
            };
            if let Some(outcome) = run.expectations.iter().find(same) {
                *broken = Broken::of(outcome);
            }
        }
        out
    }
}

fn happened(run: &Run, metric: &str) -> bool {
    run.metrics.get(metric).and_then(|value| value.number()).is_some_and(|number| number > 0.0)
}

impl Broken {
    fn of(outcome: &ExpectationOutcome) -> Broken {
        let unit = metrics::find(&outcome.expectation.metric).map_or(Unit::Count, |metric| metric.unit);
        let miss = match (outcome.actual.number(), outcome.expectation.value.number()) {
            (Some(actual), Some(wanted)) if actual < wanted => Miss::Low,
            (Some(actual), Some(wanted)) if actual > wanted => Miss::High,
            (Some(_), Some(_)) => match outcome.expectation.comparison {
                Comparison::Less | Comparison::NotEqual | Comparison::Equal | Comparison::AtMost => Miss::High,
                Comparison::Greater | Comparison::AtLeast => Miss::Low,
            },
            _ => Miss::Absent,
        };
        Broken {
            metric: outcome.expectation.key(),
            expected: outcome.expectation.expected(),
            miss,
            actual: outcome.actual.show(unit),
        }
    }
}

/// As sentences: `writes.lost is 12, expected <= 10`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.ended.iter().map(|word| format!("the run ends with {word}")).collect();
        parts.extend(
            self.broken.iter().map(|one| format!("{} is {}, expected {}", one.metric, one.actual, one.expected)),
        );
        parts.extend(self.verdicts.iter().map(|name| format!("the checker {name} fails")));
        f.write_str(&parts.join("; "))
    }
}
