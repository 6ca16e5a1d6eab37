//! Operations counted into equal stretches of time, for each population of clients.

use std::collections::BTreeMap;

use super::super::axis::round_step;
use crate::id::NodeId;
use crate::report::stage::{Stage, population};
use crate::time::{Instant, NS_PER_MS};
use crate::trace::Event;
use crate::trace::event::NodeRole;
use crate::trace::history::{History, Operation, Outcome};

/// About so many stretches are shown, and each should hold so many operations on average.
const BUCKETS: u64 = 180;
const OPERATIONS: u64 = 5;

/// Latencies of the operations begun in one stretch of time and acknowledged later, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) median: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

/// One stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    /// Acknowledged in it.
    pub(crate) acked: u64,
    /// Failed in it.
    pub(crate) failed: u64,
    /// Given up in it.
    pub(crate) unknown: u64,
    /// How long those begun in it took.
    pub(crate) waits: Option<Waits>,
}

/// Clients of one name.
#[derive(Debug)]
pub(crate) struct Population {
    pub(crate) name: String,
    pub(crate) clients: usize,
    pub(crate) total: Bucket,
    pub(crate) buckets: Vec<Bucket>,
    latencies: Vec<Vec<u64>>,
}

/// All of them, the busiest first.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) populations: Vec<Population>,
    /// The length of a stretch in nanoseconds.
    pub(crate) step: u64,
}

impl Fold {
    /// Counts what happened before `end`.
    pub(crate) fn of(stage: &Stage, events: &[Event], end: Instant) -> Fold {
        let mut history = History::default();
        for event in events {
            history.see(event);
        }
        let operations = history.into_operations();
        let mut populations: Vec<Population> = Vec::new();
        let mut index: BTreeMap<NodeId, usize> = BTreeMap::new();
        for actor in stage.of_role(NodeRole::Client) {
            let name = population(&actor.name);
            let at = populations.iter().position(|known| known.name == name).unwrap_or_else(|| {
                populations.push(Population::new(name));
                populations.len() - 1
            });
            populations[at].clients += 1;
            index.insert(actor.id, at);
        }
        let step = step(operations.len() as u64 / (populations.len() as u64).max(1), end);
        let count = usize::try_from(end.0.div_ceil(step)).expect("a few hundred");
        for population in &mut populations {
            population.buckets = vec![Bucket::default(); count];
            population.latencies = vec![Vec::new(); count];
        }
        for operation in &operations {
            if let Some(&at) = index.get(&operation.client) {
                populations[at].count(operation, step);
            }
        }
        populations.retain_mut(|population| population.finish());
        populations.sort_by_key(|population| std::cmp::Reverse(population.total.acked + population.total.failed));
        Fold { populations, step }
    }
}

/// A round length of time that holds enough operations.
fn step(operations: u64, end: Instant) -> u64 {
    let least = end.0 / BUCKETS;
    let enough = (u128::from(end.0) * u128::from(OPERATIONS)).div_ceil(u128::from(operations.max(1)));
    let enough = u64::try_from(enough).unwrap_or(u64::MAX).min(end.0 / 20);
    round_step(least.max(enough).max(10 * NS_PER_MS))
}

impl Population {
    fn new(name: &str) -> Population {
        Population {
            name: name.to_owned(),
            clients: 0,
            total: Bucket::default(),
            buckets: Vec::new(),
            latencies: Vec::new(),
        }
    }

    fn count(&mut self, operation: &Operation, step: u64) {
        let place = |at: Instant| usize::try_from(at.0 / step).unwrap_or(usize::MAX);
        let returned = operation.returned.and_then(|at| self.buckets.get_mut(place(at)));
        let mut none = Bucket::default();
        let bucket = returned.unwrap_or(&mut none);
        match operation.outcome {
            Outcome::Ok { .. } => {
                bucket.acked += 1;
                self.total.acked += 1;
                if let (Some(at), Some(waits)) = (operation.returned, self.latencies.get_mut(place(operation.invoked)))
                {
                    waits.push(at.since(operation.invoked).ns());
                }
            }
            Outcome::Fail { .. } => {
                bucket.failed += 1;
                self.total.failed += 1;
            }
            Outcome::Unknown { .. } => {
                bucket.unknown += 1;
                self.total.unknown += 1;
            }
        }
    }

    /// Sorts latencies; whether there was anything at all.
    fn finish(&mut self) -> bool {
        for (bucket, mut waits) in self.buckets.iter_mut().zip(std::mem::take(&mut self.latencies)) {
            waits.sort_unstable();
            if let Some(&max) = waits.last() {
                let rank = |percent: usize| waits[(waits.len() * percent).div_ceil(100).max(1) - 1];
                bucket.waits = Some(Waits { median: rank(50), p99: rank(99), max });
            }
        }
        self.total.acked + self.total.failed + self.total.unknown > 0
    }
}
