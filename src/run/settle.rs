//! The settle period: everything is healed, and the deployment gets its time to converge.

use super::advance;
use crate::trace::Event;
use crate::world::World;

/// Heals, restarts what is down, and lets the whole period pass. It isn't cut short when the deployment looks
/// converged: a sentinel that notices a wrong role does so after many seconds of calm.
pub(super) fn settle(world: &mut World, batch: &mut Vec<Event>, see: &mut dyn FnMut(&Event)) {
    world.settle();
    let end = world.now() + world.scenario().settle;
    advance(world, end, batch, see);
}
