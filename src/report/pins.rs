//! Pinned runs: what is kept of a run so that a later one that differs can be told where, and in which metrics.
//!
//! A pin has the running digest, shortened to 16 bits, after every 2^k-th event, at most [`CHECKPOINTS_MAX`] of them: a run with few
//! events is compared event by event, a long one window by window.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::check::Values;
use crate::trace::event::WorldEvent;
use crate::trace::{Digest, Event, Fingerprint, Kind, text};

/// The most checkpoints of a pin.
pub const CHECKPOINTS_MAX: usize = 2_048;

/// So many events of a window are shown.
const SHOWN_MAX: usize = 6;

/// The pins of a scenario: the content of the file beside it. Seeds are texts, as JSON's keys are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pins {
    /// The version that made them.
    pub splitbrain: String,
    /// By seed.
    pub pins: BTreeMap<String, Pin>,
}

/// One pinned run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    /// The digest of its trace.
    pub digest: Fingerprint,
    /// How many events it has.
    pub events: u64,
    /// Events from one checkpoint to the next.
    pub spacing: u64,
    /// Four hexadecimal digits each.
    pub checkpoints: String,
    /// Its metrics, without those that are absent.
    pub metrics: BTreeMap<String, Json>,
}

/// Where a run differs from its pin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The first event that differs is this one or a later one,
    pub from: u64,
    /// but none after this.
    pub to: u64,
    /// The new run's events there, some of them.
    pub events: Vec<String>,
    /// How many events there were, and are.
    pub counts: (u64, u64),
    /// The metrics that changed: name, before, now (`null`: absent).
    pub metrics: Vec<(String, Json, Json)>,
}

/// Takes a run's events and makes a pin.
#[derive(Debug)]
pub struct Pinner {
    digest: Digest,
    events: u64,
    spacing: u64,
    checkpoints: Vec<u16>,
}

fn short(digest: &Digest) -> u16 {
    u16::try_from(digest.fingerprint().0 >> 48).expect("16 bits are left")
}

impl Default for Pinner {
    fn default() -> Self {
        Pinner { digest: Digest::new(), events: 0, spacing: 1, checkpoints: Vec::new() }
    }
}

impl Pinner {
    /// Takes the next event.
    pub fn see(&mut self, event: &Event) {
        self.digest.add(event);
        self.events += 1;
        if !self.events.is_multiple_of(self.spacing) {
            return;
        }
        self.checkpoints.push(short(&self.digest));
        if self.checkpoints.len() > CHECKPOINTS_MAX {
            self.spacing *= 2;
            let every_other = self.checkpoints.iter().skip(1).step_by(2).copied();
            self.checkpoints = every_other.collect();
        }
    }

    /// The pin of the whole run.
    #[must_use]
    pub fn finish(self, metrics: &Values) -> Pin {
        let checkpoints = self.checkpoints.iter().map(|word| format!("{word:04x}")).collect();
        Pin {
            digest: self.digest.fingerprint(),
            events: self.events,
            spacing: self.spacing,
            checkpoints,
            metrics: present(metrics),
        }
    }
}

fn present(metrics: &Values) -> BTreeMap<String, Json> {
    let json = metrics.iter().map(|(name, value)| ((*name).to_owned(), serde_json::json!(value)));
    json.filter(|(_, value)| !value.is_null()).collect()
}

/// Takes a run's events and finds where it leaves a pinned one.
#[derive(Debug)]
pub struct Comparer<'a> {
    pin: &'a Pin,
    digest: Digest,
    names: Vec<Arc<str>>,
    events: u64,
    window: Vec<Event>,
    /// The window in which they part.
    parted: Option<(u64, u64)>,
}

impl<'a> Comparer<'a> {
    /// Compares with a pin.
    #[must_use]
    pub fn new(pin: &'a Pin) -> Comparer<'a> {
        Comparer { pin, digest: Digest::new(), names: Vec::new(), events: 0, window: Vec::new(), parted: None }
    }

    /// Takes the next event.
    pub fn see(&mut self, event: &Event) {
        if let Kind::World(WorldEvent::Declared { name, .. }) = &event.kind {
            self.names.push(name.clone());
        }
        self.events += 1;
        if self.parted.is_some() {
            return;
        }
        self.digest.add(event);
        self.window.push(event.clone());
        let spacing = self.pin.spacing.max(1);
        if !self.events.is_multiple_of(spacing) {
            return;
        }
        let place = usize::try_from(self.events / spacing - 1).unwrap_or(usize::MAX);
        let pinned = place.checked_mul(4).and_then(|at| self.pin.checkpoints.get(at..at + 4));
        let pinned = pinned.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        if pinned == Some(short(&self.digest)) {
            self.window.clear();
        } else {
            self.parted = Some((self.events - spacing + 1, self.events));
        }
    }

    /// What differs.
    #[must_use]
    pub fn finish(self, metrics: &Values) -> Change {
        let last = self.events.max(self.pin.events);
        let (from, to) = self.parted.unwrap_or((self.events + 1 - self.window.len() as u64, last));
        let line = |event: &Event| {
            let name = event.node.and_then(|node| self.names.get(node.index())).map_or("--", |name| name);
            text::line(event, name)
        };
        let events = self.window.iter().take(SHOWN_MAX).map(line).collect();
        let now = present(metrics);
        let names = self.pin.metrics.keys().chain(now.keys().filter(|name| !self.pin.metrics.contains_key(*name)));
        let value = |map: &BTreeMap<String, Json>, name: &str| map.get(name).cloned().unwrap_or(Json::Null);
        let metrics = names
            .map(|name| (name.clone(), value(&self.pin.metrics, name), value(&now, name)))
            .filter(|(_, before, now)| before != now)
            .collect();
        Change { from, to, events, counts: (self.pin.events, self.events), metrics }
    }
}

impl Change {
    /// Whether the first event that differs is known exactly.
    #[must_use]
    pub fn exact(&self) -> bool {
        self.from == self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EventId;
    use crate::time::Instant;
    use crate::trace::Via;
    use proptest::prelude::{prop_assert, proptest};

    fn trace(len: u64, odd: Option<u64>) -> Vec<Event> {
        let event = |id: u64| {
            let kind = if Some(id) == odd { WorldEvent::Paused } else { WorldEvent::Resumed };
            let cause = EventId::NONE;
            Event { id: EventId(id), at: Instant(id), node: None, cause, via: Via::World, kind: Kind::World(kind) }
        };
        (1..=len).map(event).collect()
    }

    fn pin(events: &[Event]) -> Pin {
        let mut pinner = Pinner::default();
        events.iter().for_each(|event| pinner.see(event));
        pinner.finish(&Values::new())
    }

    fn change(pin: &Pin, events: &[Event]) -> Change {
        let mut comparer = Comparer::new(pin);
        events.iter().for_each(|event| comparer.see(event));
        comparer.finish(&Values::new())
    }

    proptest! {
        /// The window holds the first event that differs, and short runs are compared event by event.
        #[test]
        fn the_first_difference_is_found(len in 1_u64..9_000, odd in 1_u64..9_000) {
            let odd = odd.min(len);
            let pin = pin(&trace(len, None));
            prop_assert!(pin.checkpoints.len() <= 4 * CHECKPOINTS_MAX);
            let change = change(&pin, &trace(len, Some(odd)));
            prop_assert!((change.from..=change.to).contains(&odd), "{odd} of {len}: {change:?}");
            prop_assert!(change.to - change.from < pin.spacing);
            prop_assert!(len > CHECKPOINTS_MAX as u64 || change.exact());
        }
    }

    #[test]
    fn a_longer_or_shorter_run_differs_where_the_other_ends() {
        let change_of = |before, now| change(&pin(&trace(before, None)), &trace(now, None));
        assert_eq!((change_of(10, 12).from, change_of(10, 12).to), (11, 11));
        assert_eq!((change_of(12, 10).from, change_of(12, 10).to), (11, 12));
    }
}
