//! The settle period: everything is healed, and the deployment gets its time to converge.

use super::Ended;
use super::limits::Course;
use crate::world::World;

/// Heals, restarts what is down, and lets the whole period pass. It isn't cut short when the deployment looks
/// converged: a sentinel that notices a wrong role does so after many seconds of calm.
pub(super) fn settle(world: &mut World, course: &mut Course<'_>) -> Ended {
    world.settle();
    let end = world.now() + world.scenario().settle;
    course.advance(world, end)
}
