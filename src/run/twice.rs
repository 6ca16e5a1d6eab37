//! The same run twice: do the traces agree, and if not, where do they part?

use std::sync::Arc;

use super::play;
use crate::id::EventId;
use crate::rng::Seed;
use crate::scenario::Scenario;
use crate::trace::{Event, Fingerprint};
use crate::world::World;

/// What one of the runs has at the place where they part.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// This event.
    Event(Box<Event>),
    /// Nothing: its trace had ended.
    Ended,
}

/// Where two runs part.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The number of the first event that differs.
    pub at: EventId,
    /// The event before it, which both have.
    pub before: Option<Event>,
    /// What the first run has there.
    pub first: Side,
    /// What the second run has there.
    pub second: Side,
}

/// Runs twice, the second time from a clone taken half-way, and compares every event: neither the process that runs
/// it nor how it is driven may matter. Returns the digest if the runs agree.
///
/// # Errors
/// The first difference.
pub fn differ(scenario: &Arc<Scenario>, seed: Seed) -> Result<Fingerprint, Box<Difference>> {
    let mut first = Vec::new();
    let mut world = World::new(scenario.clone(), seed);
    play(&mut world, &mut |event| first.push(event.clone()));
    let digest = world.fingerprint();

    let mut second = Vec::new();
    let mut original = World::new(scenario.clone(), seed);
    original.advance(crate::time::Instant(scenario.duration.0 / 2));
    let mut world = original.clone();
    drop(original);
    play(&mut world, &mut |event| second.push(event.clone()));
    match compare(&first, &second) {
        None => Ok(digest),
        Some(difference) => Err(Box::new(difference)),
    }
}

/// The first place where two traces differ.
fn compare(first: &[Event], second: &[Event]) -> Option<Difference> {
    let shorter = first.len().min(second.len());
    let place = (0..shorter).find(|&i| first[i] != second[i]);
    let place = place.or_else(|| (first.len() != second.len()).then_some(shorter))?;
    let side = |events: &[Event]| events.get(place).map_or(Side::Ended, |event| Side::Event(Box::new(event.clone())));
    Some(Difference {
        at: EventId(place as u64 + 1),
        before: place.checked_sub(1).map(|before| first[before].clone()),
        first: side(first),
        second: side(second),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;
    use crate::trace::event::WorldEvent;
    use crate::trace::{Kind, Via};

    fn event(id: u64, kind: WorldEvent) -> Event {
        let cause = EventId::NONE;
        Event { id: EventId(id), at: Instant(id), node: None, cause, via: Via::World, kind: Kind::World(kind) }
    }

    #[test]
    fn the_first_difference_is_named() {
        let a = [event(1, WorldEvent::SettleBegan), event(2, WorldEvent::End)];
        let b = [event(1, WorldEvent::SettleBegan), event(2, WorldEvent::Paused)];
        assert_eq!(compare(&a, &a), None);
        let difference = compare(&a, &b).expect("they differ");
        assert_eq!((difference.at, difference.before), (EventId(2), Some(a[0].clone())));
        let shorter = compare(&a, &a[..1]).expect("one is shorter");
        assert_eq!(shorter.second, Side::Ended);
    }
}
