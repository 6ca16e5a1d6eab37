//! One run from start to verdict.

pub mod batch;
pub mod bisect;
pub mod compare;
mod integer;
mod limits;
mod live;
mod parallel;
mod settle;
pub mod shrink;
mod signature;
mod snapshot;
mod twice;

pub use crate::report::Ended;
pub use batch::{Job, Row, batch};
pub use integer::{integer, scale};
pub use limits::{Limits, STANDSTILL};
pub use live::{Live, See};
pub use signature::Signature;
pub use snapshot::Snapshot;
pub use twice::{Difference, Side, differ};

use std::sync::Arc;

use limits::Course;

use crate::check::{Suite, evaluate, recovery};
use crate::report::Run;
use crate::rng::Seed;
use crate::scenario::Scenario;
use crate::time::{Instant, Span};
use crate::trace::Event;
use crate::world::World;

/// Runs a scenario with a seed to its end and judges it. `see` gets every event, in order, as it happens; a run
/// whose events nobody keeps holds none of them. The wall time is left at zero: the caller has the clock.
#[must_use]
pub fn run(scenario: &Arc<Scenario>, seed: Seed, see: &mut dyn FnMut(&Event)) -> Run {
    run_limited(scenario, seed, &Limits::NONE, see)
}

/// As [`run`], but no further than the limits. A run that comes to one ends there, without a settle period and
/// without the nodes' last words: [`Run::ended`] says so, and it has failed whatever its metrics are.
#[must_use]
pub fn run_limited(scenario: &Arc<Scenario>, seed: Seed, limits: &Limits, see: &mut dyn FnMut(&Event)) -> Run {
    let mut world = World::new(scenario.clone(), seed);
    run_on(&mut world, limits, see)
}

/// The same for a world that has been made already; it must not have been advanced.
#[must_use]
pub fn run_on(world: &mut World, limits: &Limits, see: &mut dyn FnMut(&Event)) -> Run {
    let mut suite = Suite::new();
    let ended = play_limited(world, limits, &mut |event| {
        suite.see(event);
        see(event);
    });
    judge(world, suite, ended)
}

/// What the checkers say of a world that has come to its end.
fn judge(world: &World, suite: Suite, ended: Ended) -> Run {
    let mut judgement = suite.finish();
    let scenario = world.scenario();
    recovery::liveness(&scenario.expect, &mut judgement);
    Run {
        scenario: scenario.name.clone(),
        description: scenario.description.clone(),
        seed: world.seed(),
        digest: world.fingerprint(),
        events: world.events(),
        ended,
        duration: scenario.duration,
        simulated: world.now().since(Instant::ZERO),
        wall: Span::ZERO,
        expectations: evaluate(&scenario.expect, &judgement.metrics),
        metrics: judgement.metrics,
        verdicts: judgement.verdicts,
        findings: judgement.findings,
        key_size: scenario.key_size().unwrap_or(0),
    }
}

/// Runs and keeps every event.
#[must_use]
pub fn run_and_keep(scenario: &Arc<Scenario>, seed: Seed) -> (Run, Vec<Event>) {
    let mut events = Vec::new();
    let run = run(scenario, seed, &mut |event| events.push(event.clone()));
    (run, events)
}

/// Takes a world to the end of its run: the duration, the settle period, the probes.
pub fn play(world: &mut World, see: &mut dyn FnMut(&Event)) -> Ended {
    play_limited(world, &Limits::NONE, see)
}

/// As [`play`], but no further than the limits.
pub fn play_limited(world: &mut World, limits: &Limits, see: &mut dyn FnMut(&Event)) -> Ended {
    let duration = world.scenario().duration;
    let mut course = Course::new(limits, see);
    let mut ended = course.advance(world, Instant::ZERO + duration);
    if ended.finished() {
        ended = settle::settle(world, &mut course);
    }
    if ended.finished() {
        world.finish();
    }
    course.pass_on(world);
    ended
}
