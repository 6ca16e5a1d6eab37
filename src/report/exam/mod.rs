//! What a scenario came to when it was tested over its seeds, and the ways to say so: text, Markdown, annotations, JSON.

pub mod github;
pub mod json;
pub mod markdown;
pub mod text;

use std::sync::Arc;

use super::Ended;
use super::pins::Change;
use crate::check::{Expectation, Unit, Value, metrics};
use crate::rng::Seed;
use crate::time::Span;

/// One scenario file and what was found.
#[derive(Clone, Debug)]
pub struct Exam {
    /// Its path, as it was given or found.
    pub file: String,
    /// What was found.
    pub result: Examined,
}

/// What was found of a file.
#[derive(Clone, Debug)]
pub enum Examined {
    /// It was run.
    Ran(Box<Ran>),
    /// It passed before, and nothing that could change that has changed.
    Skipped,
    /// It is no scenario: its problems, for people.
    Invalid(String),
}

/// A scenario that was run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The scenario's name.
    pub name: Arc<str>,
    /// It must fail.
    pub negative: bool,
    /// The seeds, as text.
    pub seeds: String,
    /// How many runs its expectations are about.
    pub runs: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Each expectation.
    pub expectations: Vec<Judged>,
    /// Runs that didn't come to their end.
    pub unfinished: Vec<Unfinished>,
    /// Each pinned digest.
    pub pins: Vec<Pinned>,
}

/// An expectation over all runs.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Which.
    pub expectation: Expectation,
    /// Its line in the file, if it stands there.
    pub line: Option<usize>,
    /// How many runs missed it; for one about a distribution 0.
    pub failures: u64,
    /// A value: the distribution's, or that of the first run that missed it, or of the first run.
    pub actual: Value,
    /// That run's seed.
    pub seed: Option<Seed>,
    /// Whether it held.
    pub passed: bool,
    /// Repeats a run that missed it.
    pub command: Option<String>,
}

/// A run that was given up.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// With which seed.
    pub seed: Seed,
    /// How it ended, and when.
    pub ended: Ended,
    /// Simulated time until then.
    pub at: Span,
    /// Repeats it.
    pub command: String,
}

/// A pinned digest.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// Of which seed.
    pub seed: Seed,
    /// Its line in the file.
    pub line: Option<usize>,
    /// What it must be.
    pub pinned: String,
    /// What it is.
    pub found: String,
    /// Where the run differs, if that can be told.
    pub change: Option<Change>,
    /// It was pinned anew.
    pub blessed: bool,
    /// The command that pins it anew.
    pub bless: String,
}

impl Pinned {
    /// Whether the digest is what it must be.
    #[must_use]
    pub fn held(&self) -> bool {
        self.blessed || self.pinned == self.found
    }
}

impl Judged {
    /// The metric's unit.
    #[must_use]
    pub fn unit(&self) -> Unit {
        metrics::find(&self.expectation.metric).map_or(Unit::Count, |metric| metric.unit)
    }

    /// What is wrong, over so many runs: `writes.lost <= 10: not with 3 of 50 seeds; with seed 7 it is 15`.
    #[must_use]
    pub fn complaint(&self, runs: u64) -> String {
        let what = format!("{} {}", self.expectation.key(), self.expectation.expected());
        let actual = self.actual.show(self.unit());
        match (self.seed, runs) {
            (None, _) => format!("{what}: is {actual} over {runs} seeds"),
            (Some(seed), 1) => format!("{what}: is {actual} with seed {}", seed.0),
            (Some(seed), _) => {
                format!("{what}: not with {} of {runs} seeds; with seed {} it is {actual}", self.failures, seed.0)
            }
        }
    }
}

impl Ran {
    /// Whether anything that it expects of its runs failed.
    #[must_use]
    pub fn missed(&self) -> bool {
        self.expectations.iter().any(|judged| !judged.passed)
    }

    /// Whether splitbrain itself broke.
    #[must_use]
    pub fn broke(&self) -> bool {
        self.unfinished.iter().any(|run| matches!(run.ended, Ended::Broken(_)))
    }

    /// Whether all is as it should be.
    #[must_use]
    pub fn passed(&self) -> bool {
        let pinned = self.pins.iter().all(Pinned::held);
        let ended = self.unfinished.is_empty();
        pinned && if self.negative { !self.broke() && (self.missed() || !ended) } else { ended && !self.missed() }
    }
}

impl Exam {
    /// Whether all is as it should be.
    #[must_use]
    pub fn passed(&self) -> bool {
        match &self.result {
            Examined::Ran(ran) => ran.passed(),
            Examined::Skipped => true,
            Examined::Invalid(_) => false,
        }
    }
}

/// How many of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scenarios.
    pub scenarios: u64,
    /// Of these, the ones that failed or are invalid.
    pub failed: u64,
    /// Of these, the ones that weren't run.
    pub skipped: u64,
    /// Runs.
    pub runs: u64,
}

impl Counts {
    /// Counts.
    #[must_use]
    pub fn of(exams: &[Exam]) -> Counts {
        let mut counts = Counts { scenarios: exams.len() as u64, ..Counts::default() };
        for exam in exams {
            counts.failed += u64::from(!exam.passed());
            match &exam.result {
                Examined::Ran(ran) => counts.runs += ran.runs,
                Examined::Skipped => counts.skipped += 1,
                Examined::Invalid(_) => {}
            }
        }
        counts
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let many = |count: u64, what: &str| {
            format!("{} {what}{}", metrics::thousands(count), if count == 1 { "" } else { "s" })
        };
        write!(f, "{}, ", many(self.scenarios, "scenario"))?;
        match self.failed {
            0 => f.write_str("none failed")?,
            failed => write!(f, "{failed} failed")?,
        }
        if self.skipped > 0 {
            write!(f, ", {} skipped as before", self.skipped)?;
        }
        write!(f, "; {}", many(self.runs, "run"))
    }
}
