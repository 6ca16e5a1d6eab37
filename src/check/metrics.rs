//! Every metric: name, unit, meaning. `splitbrain metrics` prints this table, scenarios are checked against it.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A share between 0 and 1.
    Ratio,
    /// A length of time; expectations write `"15s"`, JSON has milliseconds.
    Time,
    /// Bytes.
    Bytes,
    /// true or false
    Bool,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its dotted name.
    pub name: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

/// All of them, sorted by name.
pub const METRICS: &[Metric] = &[];

/// A metric's value in one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Count or bytes.
    Count(u64),
    /// Ratio, or milliseconds for [`Unit::Time`].
    Number(f64),
    /// true or false
    Bool(bool),
    /// It did not happen in this run (no failover, no write): `null` in JSON.
    Absent,
}

/// The metrics of one run, by name.
pub type Values = BTreeMap<&'static str, Value>;
