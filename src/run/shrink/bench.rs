//! The workbench: the smallest scenario so far, and trials of smaller ones.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::failure::Failure;
use super::{Options, Tally};
use crate::fault::Timed;
use crate::rng::Dist;
use crate::run::{Snapshot, parallel, run_limited};
use crate::scenario::tree::Tree;
use crate::scenario::{Input, Loaded, Scenario, print, raw};
use crate::time::{Instant, Span};
use crate::trace::Fingerprint;

/// The most snapshots that are held at a time.
const SNAPSHOTS: usize = 16;

/// A scenario as it stands in the file that is being made.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// The file.
    pub(super) tree: Tree,
    /// With defaults filled in.
    pub(super) effective: raw::File,
    pub(super) scenario: Arc<Scenario>,
    /// Of its run; `None` before it ran.
    pub(super) digest: Option<Fingerprint>,
}

impl Case {
    /// `None` when the file isn't a valid scenario.
    pub(super) fn load(tree: Tree) -> Option<Case> {
        let Loaded { scenario, effective, .. } = load(&print::text(&tree, &|_| None))?;
        Some(Case { tree, effective, scenario: Arc::new(scenario), digest: None })
    }

    /// What the run's past can't differ in.
    fn deployment(&self) -> raw::File {
        raw::File {
            name: None,
            description: None,
            duration: None,
            settle: None,
            fault: Vec::new(),
            expect: raw::Expects::default(),
            test: None,
            ..self.effective.clone()
        }
    }
}

/// Loads a file that needs no others.
pub(super) fn load(text: &str) -> Option<Loaded> {
    let read_file = |_: &str| Err("everything is inline".to_owned());
    crate::scenario::load(Input { name: "shrunk.toml", text, sets: &[], read_file: &read_file }).ok()
}

/// Where a trial begins.
enum Start {
    /// At the beginning.
    Fresh(Arc<Scenario>),
    /// At a snapshot.
    From(Box<Snapshot>),
}

/// What one trial came to.
struct Trial {
    fails: bool,
    digest: Fingerprint,
    /// Simulated, and not simulated thanks to a snapshot.
    simulated: Span,
    saved: Span,
}

pub(super) struct Bench<'a> {
    /// What every accepted scenario shows.
    pub(super) target: Failure,
    /// The smallest so far.
    pub(super) current: Case,
    pub(super) tally: Tally,
    options: &'a Options,
    deployment: raw::File,
    /// Of runs whose deployment is the current one's; in order of time.
    snapshots: Vec<Snapshot>,
    /// Snapshots are worth their while: the timeline is being changed.
    snapshotting: bool,
    /// Files that don't fail so.
    tried: BTreeSet<String>,
    progress: &'a mut dyn FnMut(&Tally),
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        target: Failure,
        current: Case,
        options: &'a Options,
        progress: &'a mut dyn FnMut(&Tally),
    ) -> Bench<'a> {
        Bench {
            target,
            deployment: current.deployment(),
            current,
            tally: Tally::default(),
            options,
            snapshots: Vec::new(),
            snapshotting: false,
            tried: BTreeSet::new(),
            progress,
        }
    }

    /// Whether no more runs are allowed.
    pub(super) fn exhausted(&self) -> bool {
        self.tally.runs >= self.options.max_runs
    }

    /// From now on the timeline is changed (or something else).
    pub(super) fn timeline(&mut self, changes: bool) {
        self.snapshotting = changes;
    }

    /// Tries files in their order and takes the first that fails as it should. What is taken doesn't depend on how many
    /// are run at the same time, nor does the tally.
    pub(super) fn first(&mut self, files: Vec<Tree>) -> Option<usize> {
        let mut cases: Vec<(usize, String, Case)> = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let text = print::text(&file, &|_| None);
            if self.tried.contains(&text) || cases.iter().any(|(_, other, _)| *other == text) {
                continue;
            }
            if let Some(case) = Case::load(file) {
                cases.push((index, text, case));
            }
        }
        while !cases.is_empty() && !self.exhausted() {
            self.take_snapshots();
            let width = self.options.threads.max(1).min(cases.len());
            let now: Vec<(usize, String, Case)> = cases.drain(..width).collect();
            let starts: Vec<Start> = now.iter().map(|(_, _, case)| self.start(case)).collect();
            let (options, target) = (self.options, &self.target);
            let trials = parallel::each(starts, options.threads, &|start| trial(start, options, target));
            for ((index, text, case), trial) in now.into_iter().zip(trials) {
                if self.exhausted() {
                    return None;
                }
                self.tally.runs += 1;
                self.tally.simulated += trial.as_ref().map_or(Span::ZERO, |trial| trial.simulated);
                self.tally.saved += trial.as_ref().map_or(Span::ZERO, |trial| trial.saved);
                self.tally.from_snapshots += u64::from(trial.as_ref().is_some_and(|trial| trial.saved > Span::ZERO));
                self.tally.faults = self.current.scenario.faults.len();
                (self.progress)(&self.tally);
                match trial {
                    Some(trial) if trial.fails => {
                        self.take(Case { digest: Some(trial.digest), ..case });
                        return Some(index);
                    }
                    _ => self.tried.insert(text),
                };
            }
        }
        None
    }

    /// Makes a case the current one.
    fn take(&mut self, case: Case) {
        let deployment = case.deployment();
        if deployment == self.deployment {
            let end = first_change(&self.current.scenario, &case.scenario);
            self.snapshots.retain(|snapshot| snapshot.at() < end);
        } else {
            self.snapshots.clear();
            self.deployment = deployment;
        }
        self.current = case;
    }

    /// Where a candidate's run can begin: at the latest snapshot before its timeline differs.
    fn start(&self, case: &Case) -> Start {
        let branch = || {
            if self.snapshots.is_empty() || case.deployment() != self.deployment {
                return None;
            }
            let change = first_change(&self.current.scenario, &case.scenario);
            let snapshot = self.snapshots.iter().rev().find(|snapshot| snapshot.at() < change)?;
            snapshot.branch(&case.scenario)
        };
        branch().map_or_else(|| Start::Fresh(case.scenario.clone()), |branch| Start::From(Box::new(branch)))
    }

    /// Fills in the snapshots of the current case: one just before each fault, and one just before the end.
    fn take_snapshots(&mut self) {
        if !self.snapshotting {
            return;
        }
        let faults = self.current.scenario.faults.iter();
        let mut cuts: Vec<Span> = faults.filter_map(constant).collect();
        cuts.push(self.current.scenario.duration);
        cuts.sort_unstable();
        cuts.dedup();
        let step = cuts.len().div_ceil(SNAPSHOTS);
        let thinned = cuts.iter().rev().step_by(step.max(1)).rev();
        let mut cuts: Vec<Instant> =
            thinned.map(|cut| Instant::ZERO + Span(cut.0.saturating_sub(1))).filter(|cut| cut.0 > 0).collect();
        let last = self.snapshots.last().map_or(Instant::ZERO, Snapshot::at);
        cuts.retain(|cut| *cut > last);
        if cuts.is_empty() {
            return;
        }
        let branch = self.snapshots.last().and_then(|snapshot| snapshot.branch(&self.current.scenario));
        let mut runner = branch.unwrap_or_else(|| Snapshot::new(&self.current.scenario, self.options.seed));
        for cut in cuts {
            let from = runner.at();
            let limits = &self.options.limits;
            let Some(moved) = guarded(|| {
                let mut moved = runner.clone();
                moved.advance(cut, limits).then_some(moved)
            })
            .flatten() else {
                return;
            };
            self.tally.simulated += cut.since(from);
            self.snapshots.push(moved.clone());
            runner = moved;
        }
    }
}

/// Runs one candidate. `None` when splitbrain breaks on the way.
fn trial(start: Start, options: &Options, target: &Failure) -> Option<Trial> {
    let saved = match &start {
        Start::Fresh(_) => Span::ZERO,
        Start::From(snapshot) => snapshot.at().since(Instant::ZERO),
    };
    let run = guarded(|| match start {
        Start::Fresh(scenario) => run_limited(&scenario, options.seed, &options.limits, &mut |_| {}),
        Start::From(snapshot) => snapshot.finish(&options.limits),
    })?;
    let simulated = run.simulated.saturating_sub(saved);
    Some(Trial { fails: target.shown_by(&run), digest: run.digest, simulated, saved })
}

/// When a fault begins, if that is the same for every seed.
fn constant(fault: &Timed) -> Option<Span> {
    match (&fault.at, fault.after, &fault.when) {
        (Dist::Constant(at), None, None) => Some(*at),
        _ => None,
    }
}

/// The time from which on two timelines may differ. Their faults are sorted by time.
fn first_change(old: &Scenario, new: &Scenario) -> Instant {
    let end = Instant::ZERO + old.duration.min(new.duration);
    let same = old.faults.iter().zip(&new.faults).take_while(|(old, new)| old == new).count();
    let next = |scenario: &Scenario| match scenario.faults.get(same) {
        None => end,
        Some(fault) => constant(fault).map_or(Instant::ZERO, |at| Instant::ZERO + at),
    };
    end.min(next(old)).min(next(new))
}

/// `None` when splitbrain itself breaks on the way: such a run is no witness of anything.
fn guarded<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}
