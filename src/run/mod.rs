//! One run from start to verdict.

mod settle;
mod twice;

pub use twice::{Difference, Side, differ};

use std::sync::Arc;

use crate::check::{Suite, evaluate};
use crate::report::Run;
use crate::rng::Seed;
use crate::scenario::Scenario;
use crate::time::{Instant, Span};
use crate::trace::Event;
use crate::world::World;

/// So many events are let pile up in a world before the checkers see them.
const BATCH: usize = 4_096;

/// Runs a scenario with a seed to its end and judges it. `see` gets every event, in order, as it happens; a run
/// whose events nobody keeps holds none of them. The wall time is left at zero: the caller has the clock.
#[must_use]
pub fn run(scenario: &Arc<Scenario>, seed: Seed, see: &mut dyn FnMut(&Event)) -> Run {
    let mut world = World::new(scenario.clone(), seed);
    let mut suite = Suite::new();
    play(&mut world, &mut |event| {
        suite.see(event);
        see(event);
    });
    let judgement = suite.finish();
    Run {
        scenario: scenario.name.clone(),
        description: scenario.description.clone(),
        seed,
        digest: world.fingerprint(),
        events: world.events(),
        duration: scenario.duration,
        simulated: world.now().since(Instant::ZERO),
        wall: Span::ZERO,
        expectations: evaluate(&scenario.expect, &judgement.metrics),
        metrics: judgement.metrics,
        verdicts: judgement.verdicts,
        findings: judgement.findings,
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
pub fn play(world: &mut World, see: &mut dyn FnMut(&Event)) {
    let mut batch = Vec::new();
    let duration = world.scenario().duration;
    advance(world, Instant::ZERO + duration, &mut batch, see);
    settle::settle(world, &mut batch, see);
    world.finish();
    pass_on(world, &mut batch, see);
}

/// Lets time pass, passing events on as they pile up.
fn advance(world: &mut World, to: Instant, batch: &mut Vec<Event>, see: &mut dyn FnMut(&Event)) {
    loop {
        let there = world.advance_some(to, BATCH);
        pass_on(world, batch, see);
        if there {
            return;
        }
    }
}

fn pass_on(world: &mut World, batch: &mut Vec<Event>, see: &mut dyn FnMut(&Event)) {
    world.drain(batch);
    batch.iter().for_each(&mut *see);
    batch.clear();
}
