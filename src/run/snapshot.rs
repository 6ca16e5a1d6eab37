//! A run that is held at some instant, and goes on from there as often as one likes: with the rest of its timeline, or with
//! another.

use std::sync::Arc;

use super::limits::Course;
use super::{Ended, Limits, judge, play_limited};
use crate::check::Suite;
use crate::report::Run;
use crate::rng::Seed;
use crate::scenario::Scenario;
use crate::time::Instant;
use crate::trace::Event;
use crate::world::World;

/// A world, and the checkers that have seen it come so far.
#[derive(Clone, Debug)]
pub struct Snapshot {
    world: World,
    suite: Suite,
}

impl Snapshot {
    /// The beginning of a run.
    #[must_use]
    pub fn new(scenario: &Arc<Scenario>, seed: Seed) -> Snapshot {
        Snapshot { world: World::new(scenario.clone(), seed), suite: Suite::new() }
    }

    /// Where it stands.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.world.now()
    }

    /// Lets time pass, at most to the end of the scenario's duration. False when the run came to a limit on the way.
    pub fn advance(&mut self, to: Instant, limits: &Limits) -> bool {
        let end = Instant::ZERO + self.world.scenario().duration;
        let Snapshot { world, suite } = self;
        let mut see = |event: &Event| suite.see(event);
        Course::new(limits, &mut see).advance(world, to.min(end)) == Ended::Finished
    }

    /// The same present with another future: see [`World::reschedule`]. `None` when the scenario's past differs.
    #[must_use]
    pub fn branch(&self, scenario: &Arc<Scenario>) -> Option<Snapshot> {
        let mut branch = self.clone();
        branch.world.reschedule(scenario.clone()).then_some(branch)
    }

    /// Goes on to the end. What comes out is, to the digest, what [`super::run_limited`] makes of the same scenario and
    /// seed.
    #[must_use]
    pub fn finish(self, limits: &Limits) -> Run {
        let Snapshot { mut world, mut suite } = self;
        let ended = play_limited(&mut world, limits, &mut |event| suite.see(event));
        judge(&world, suite, ended)
    }
}
