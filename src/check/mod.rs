//! Checkers and metrics: they see the trace and nothing else.
//!
//! A [`Suite`] takes every event once, as it happens, and ends in a [`Judgement`]. Each checker is one file here
//! and one line in [`all`]; what several need ([`context::Context`]) is computed once for all of them.

pub mod availability;
pub mod context;
pub mod convergence;
pub mod expect;
pub mod failovers;
pub mod findings;
pub mod histories;
pub mod latency;
pub mod lineage;
pub mod linearizable;
pub mod locks;
mod logged;
pub mod lost_writes;
pub mod metrics;
pub mod one_leader;
pub mod operations;
pub mod recovery;
pub mod replication;
pub mod split_brain;
pub mod stale_reads;
pub mod timeline;

pub use expect::{Comparison, Complaint, Expectation, Given, Outcome as ExpectationOutcome, evaluate};
pub use findings::Findings;
pub use metrics::{METRICS, Metric, Unit, Value, Values};

use std::panic::{AssertUnwindSafe, catch_unwind};

use context::Context;

use crate::id::EventId;
use crate::trace::{Event, Kind, Sink};

/// A checker: sees every event as it happens, then judges.
pub trait Checker: Send {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// Whether it wants to see events of a family at all; asked once, before the first event.
    fn wants(&self, _family: Family) -> bool {
        true
    }
    /// Sees the next event. The context has already taken it in.
    fn see(&mut self, event: &Event, context: &Context);
    /// The end: adds its metrics and findings, and judges. Called once, after the last event.
    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict;
    /// A copy that has seen the same: for runs that go on in two ways.
    fn box_clone(&self) -> Box<dyn Checker>;
}

impl Clone for Box<dyn Checker> {
    fn clone(&self) -> Self {
        (**self).box_clone()
    }
}

/// The families of [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// [`Kind::World`]
    World,
    /// [`Kind::Net`]
    Net,
    /// [`Kind::Disk`]
    Disk,
    /// [`Kind::Server`]
    Server,
    /// [`Kind::Sentinel`]
    Sentinel,
    /// [`Kind::Client`]
    Client,
    /// [`Kind::Lock`]
    Lock,
}

impl Family {
    const ALL: [Family; 7] =
        [Family::World, Family::Net, Family::Disk, Family::Server, Family::Sentinel, Family::Client, Family::Lock];

    fn of(kind: &Kind) -> Family {
        match kind {
            Kind::World(_) => Family::World,
            Kind::Net(_) => Family::Net,
            Kind::Disk(_) => Family::Disk,
            Kind::Server(_) => Family::Server,
            Kind::Sentinel(_) => Family::Sentinel,
            Kind::Client(_) => Family::Client,
            Kind::Lock(_) => Family::Lock,
        }
    }
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

impl Verdict {
    /// 0 for a pass, 1 for unknown, 2 for a failure.
    #[must_use]
    pub fn severity(&self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::Unknown { .. } => 1,
            Verdict::Fail { .. } => 2,
        }
    }

    /// `pass`, `unknown`, `fail`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Unknown { .. } => "unknown",
            Verdict::Fail { .. } => "fail",
        }
    }
}

/// Every checker, in the order of reports.
#[must_use]
pub fn all() -> Vec<Box<dyn Checker>> {
    let mut all: Vec<Box<dyn Checker>> = vec![
        Box::new(operations::Operations::default()),
        Box::new(timeline::Timeline::default()),
        Box::new(failovers::Failovers::default()),
        Box::new(availability::Availability::default()),
        Box::new(replication::Replication::default()),
        Box::new(lost_writes::LostWrites),
        Box::new(split_brain::SplitBrain::default()),
        Box::new(one_leader::OneLeader::default()),
        Box::new(stale_reads::StaleReads::default()),
        Box::new(linearizable::Linearizable::default()),
        Box::new(convergence::Convergence::default()),
    ];
    all.extend(locks::CHECKERS.map(|checker| Box::new(checker) as Box<dyn Checker>));
    // After convergence, whose metric it reads.
    all.push(Box::new(recovery::Recovery::default()));
    all
}

/// All checkers over one run.
#[derive(Clone)]
pub struct Suite {
    context: Context,
    checkers: Vec<Seat>,
    /// Who wants to see which family.
    wanted: [Vec<usize>; 7],
}

#[derive(Clone)]
struct Seat {
    checker: Box<dyn Checker>,
    /// What it said when it panicked; it sees nothing more.
    broken: Option<String>,
}

/// What a run comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Every metric of [`METRICS`]; those that didn't happen are [`Value::Absent`].
    pub metrics: Values,
    /// What each checker says, worst first.
    pub verdicts: Vec<(&'static str, Verdict)>,
    /// What they found.
    pub findings: Findings,
}

impl Default for Suite {
    fn default() -> Self {
        Suite::new()
    }
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.checkers.iter().map(|seat| seat.checker.name())).finish()
    }
}

impl Suite {
    /// With every checker.
    #[must_use]
    pub fn new() -> Suite {
        Suite::with(all())
    }

    /// With chosen checkers.
    #[must_use]
    pub fn with(checkers: Vec<Box<dyn Checker>>) -> Suite {
        let checkers: Vec<Seat> = checkers.into_iter().map(|checker| Seat { checker, broken: None }).collect();
        let wanting = |family: Family| {
            let seats = checkers.iter().enumerate();
            seats.filter(|(_, seat)| seat.checker.wants(family)).map(|(index, _)| index).collect()
        };
        let wanted = Family::ALL.map(wanting);
        Suite { context: Context::default(), checkers, wanted }
    }

    /// Sees the next event. Events must come in order, each once.
    pub fn see(&mut self, event: &Event) {
        self.context.see(event);
        let wanted = &self.wanted[Family::of(&event.kind) as usize];
        let mut next = 0;
        while next < wanted.len() {
            let at = &mut next;
            let (context, checkers) = (&self.context, &mut self.checkers);
            let seen = catch_unwind(AssertUnwindSafe(|| {
                while let Some(&index) = wanted.get(*at) {
                    let seat = &mut checkers[index];
                    if seat.broken.is_none() {
                        seat.checker.see(event, context);
                    }
                    *at += 1;
                }
            }));
            if let Err(panic) = seen {
                self.checkers[wanted[next]].broken = Some(panic_text(&*panic));
                next += 1;
            }
        }
    }

    /// The end of the run.
    #[must_use]
    pub fn finish(mut self) -> Judgement {
        let mut metrics: Values = METRICS.iter().map(|metric| (metric.name, Value::Absent)).collect();
        let mut findings = Findings {
            nodes: self.context.nodes.clone(),
            settled: self.context.settled,
            end: self.context.last.1,
            ..Findings::default()
        };
        let mut verdicts = Vec::with_capacity(self.checkers.len());
        for seat in &mut self.checkers {
            let name = seat.checker.name();
            let context = &self.context;
            let verdict = match seat.broken.take() {
                Some(text) => Err(text),
                None => catch_unwind(AssertUnwindSafe(|| seat.checker.finish(context, &mut metrics, &mut findings)))
                    .map_err(|panic| panic_text(&*panic)),
            };
            let verdict =
                verdict.unwrap_or_else(|text| Verdict::Unknown { why: format!("the checker itself failed: {text}") });
            verdicts.push((name, verdict));
        }
        verdicts.sort_by_key(|(_, verdict)| std::cmp::Reverse(verdict.severity()));
        let unknown: Vec<&str> = metrics.keys().copied().filter(|name| metrics::find(name).is_none()).collect();
        assert!(unknown.is_empty(), "metrics without a row in METRICS: {unknown:?}");
        Judgement { metrics, verdicts, findings }
    }
}

impl Sink for Suite {
    fn see(&mut self, event: &Event) {
        Suite::see(self, event);
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}
