//! What a run may cost. A livelock ends as a failed run with a trace, never as a hang.

use super::Ended;
use crate::time::{Instant, Span};
use crate::trace::Event;
use crate::world::{Bounds, Reached, World};

/// So many events are let pile up in a world before the checkers see them.
const BATCH: usize = 24;

/// So many engine events at one instant are a livelock: time stands still. A deployment of ten thousand nodes that
/// all start at once needs a twentieth of it.
pub const STANDSTILL: u64 = 1_000_000;

/// What a run may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most events: entries of the trace, or engine events (arrivals, timers) that leave none, whichever come to
    /// so many first. A run may pass it by what happens at its last instant.
    pub events: Option<u64>,
    /// The most simulated time, the settle period included.
    pub simulated: Option<Span>,
}

impl Limits {
    /// Nothing but a time that stands still ends a run early.
    pub const NONE: Limits = Limits { events: None, simulated: None };
}

/// A run on its way: what it may cost, and who sees its events.
pub(super) struct Course<'a> {
    limits: &'a Limits,
    see: &'a mut dyn FnMut(&Event),
}

impl<'a> Course<'a> {
    pub(super) fn new(limits: &'a Limits, see: &'a mut dyn FnMut(&Event)) -> Course<'a> {
        Course { limits, see }
    }

    /// Lets time pass, passing events on as they pile up. [`Ended::Finished`] when it came to `to`.
    pub(super) fn advance(&mut self, world: &mut World, to: Instant) -> Ended {
        let last = self.limits.simulated.map_or(Instant::NEVER, |span| Instant::ZERO + span);
        let events_max = self.limits.events.unwrap_or(u64::MAX);
        loop {
            let left = events_max.saturating_sub(world.events().0);
            let pending = BATCH.min(usize::try_from(left).unwrap_or(usize::MAX));
            let bounds = Bounds { pending, steps: events_max, steps_at_once: STANDSTILL };
            let reached = world.advance_within(to.min(last), &bounds);
            self.pass_on(world);
            match reached {
                Reached::There if to > last => return Ended::TimeLimit(last.since(Instant::ZERO)),
                Reached::There => return Ended::Finished,
                Reached::Pending if world.events().0 < events_max => {}
                Reached::Pending | Reached::Steps => return Ended::EventLimit(events_max),
                Reached::Standstill => return Ended::Standstill(STANDSTILL),
            }
        }
    }

    pub(super) fn pass_on(&mut self, world: &mut World) {
        world.show(&mut *self.see);
    }
}
