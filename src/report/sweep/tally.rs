//! The rows of one variant as they come in: sums and distributions, never the rows.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use super::record::Record;
use crate::check::METRICS;
use crate::rng::Seed;
use crate::stats::{Distribution, Proportion};
use crate::trace::Digest;

/// So many kinds of failure are told apart.
const GROUPS_MAX: usize = 500;

/// So many seeds of a group are named.
const SEEDS_MAX: usize = 10;

/// What a variant's runs come to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Runs that came to their end with every expectation held, of all.
    pub passed: Proportion,
    /// Events of all runs.
    pub events: u128,
    /// Simulated microseconds of all runs.
    pub simulated_us: u128,
    /// How often each expectation failed, by its place.
    pub failed: BTreeMap<u16, u64>,
    /// How the runs ended, other than at the end of their time.
    pub cut_short: BTreeMap<String, u64>,
    /// How often the worst verdict was which.
    pub verdicts: BTreeMap<String, u64>,
    /// The metrics, in the order of [`METRICS`].
    pub metrics: Vec<Spread>,
    /// The failed runs.
    pub groups: Groups,
}

/// One metric over the runs.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// Its values.
    pub values: Distribution,
    /// Runs in which it didn't happen.
    pub absent: u64,
}

/// Failed runs, by which expectations failed and what happened.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    map: BTreeMap<Kind, Group>,
    /// Failed runs of kinds beyond those that are told apart.
    pub others: u64,
}

/// What the runs of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The expectations that failed.
    pub failed: Vec<u16>,
    /// How the runs ended.
    pub ended: String,
    /// The order of key events.
    pub signature: String,
}

/// Runs that failed alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// The first of their seeds.
    pub seeds: Vec<Seed>,
    /// What stopped the first of them, if it didn't come to its end.
    pub problem: Option<String>,
}

impl Tally {
    /// Takes one row.
    pub fn add(&mut self, record: &Record) {
        self.passed.add(record.passed());
        self.events += u128::from(record.events);
        self.simulated_us += u128::from(record.simulated_us);
        for failed in &record.failed {
            *self.failed.entry(*failed).or_default() += 1;
        }
        if record.ended != "finished" {
            *self.cut_short.entry(record.ended.clone()).or_default() += 1;
        }
        match self.verdicts.get_mut(&record.verdict) {
            Some(count) => *count += 1,
            None => drop(self.verdicts.insert(record.verdict.clone(), 1)),
        }
        self.metrics.resize_with(METRICS.len(), Spread::default);
        for (spread, value) in self.metrics.iter_mut().zip(&record.metrics) {
            match value {
                Some(value) => spread.values.add(*value),
                None => spread.absent += 1,
            }
        }
        if !record.passed() {
            self.groups.add(record);
        }
    }

    /// The metric of that name.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Spread> {
        let place = METRICS.iter().position(|metric| metric.name == name)?;
        self.metrics.get(place)
    }
}

impl Groups {
    fn add(&mut self, record: &Record) {
        let kind =
            Kind { failed: record.failed.clone(), ended: record.ended.clone(), signature: record.signature.clone() };
        if self.map.len() >= GROUPS_MAX && !self.map.contains_key(&kind) {
            self.others += 1;
            return;
        }
        let empty = || Group { count: 0, seeds: Vec::new(), problem: record.problem.clone() };
        let group = self.map.entry(kind).or_insert_with(empty);
        group.count += 1;
        if group.seeds.len() < SEEDS_MAX {
            group.seeds.push(record.seed);
        }
    }

    /// Largest first.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&Kind, &Group)> {
        let mut all: Vec<(&Kind, &Group)> = self.map.iter().collect();
        all.sort_by_key(|(_, group)| (std::cmp::Reverse(group.count), group.seeds.first().copied()));
        all
    }

    /// No run failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

/// The fingerprint of all rows in order: two sweeps whose traces are all the same have the same.
#[derive(Clone, Debug, Default)]
pub struct RowsDigest(Digest);

impl RowsDigest {
    /// Adds the next row.
    pub fn add(&mut self, record: &Record) {
        self.0.write_u64(record.variant as u64);
        self.0.write_u64(record.seed.0);
        self.0.write_u64(record.digest.0);
    }

    /// So far.
    #[must_use]
    pub fn fingerprint(&self) -> crate::trace::Fingerprint {
        self.0.fingerprint()
    }
}
