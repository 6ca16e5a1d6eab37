//! Runs of the scenario library: each meets what it expects, the negative ones do not, and each repeats itself.

use std::path::Path;
use std::sync::Arc;

use splitbrain::report::Run;
use splitbrain::rng::Seed;
use splitbrain::run;
use splitbrain::scenario::Scenario;
use splitbrain::trace::Event;

use crate::scenario_files::{library, load};

/// The scenario of a file.
pub(crate) fn scenario(path: &Path) -> Arc<Scenario> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match load(path, &text, &[]) {
        Ok(loaded) => Arc::new(loaded.scenario),
        Err(report) => panic!("{}\n{report}", path.display()),
    }
}

/// One run with its events.
pub(crate) fn run_with_events(scenario: &Arc<Scenario>, seed: u64) -> (Run, Vec<Event>) {
    run::run_and_keep(scenario, Seed(seed))
}

/// What did not hold, a line each.
fn broken(run: &Run) -> String {
    let mut lines = String::new();
    for outcome in run.expectations.iter().filter(|outcome| !outcome.passed) {
        lines.push_str(&format!(
            "  {} {}: {:?}\n",
            outcome.expectation.metric, outcome.expectation.text, outcome.actual
        ));
    }
    lines
}

fn is_negative(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "negative")
}

#[test]
fn every_scenario_meets_what_it_expects() {
    let mut problems = String::new();
    for path in library() {
        let scenario = scenario(&path);
        let run = run::run(&scenario, scenario.seed, &mut |_| {});
        let broken = broken(&run);
        if broken.is_empty() == is_negative(&path) {
            let what = if is_negative(&path) { "holds, but must fail\n" } else { &broken };
            problems.push_str(&format!("{} seed {}:\n{what}", path.display(), scenario.seed.0));
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn every_scenario_repeats_itself() {
    for path in library() {
        let scenario = scenario(&path);
        for seed in [scenario.seed.0, 7] {
            let first = run::run(&scenario, Seed(seed), &mut |_| {});
            let again = run_with_events(&scenario, seed).0;
            assert_eq!((first.digest, first.events), (again.digest, again.events), "{} seed {seed}", path.display());
        }
    }
}
