//! Every metric: name, unit, meaning. `splitbrain metrics` prints this table, scenarios are checked against it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::time::Span;

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A number of things.
    Count,
    /// A share between 0 and 1.
    Ratio,
    /// A length of time; expectations write `"15s"`, JSON has milliseconds.
    #[serde(rename = "ms")]
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

const fn row(name: &'static str, unit: Unit, doc: &'static str) -> Metric {
    Metric { name, unit, doc }
}

/// All of them, sorted by name.
pub const METRICS: &[Metric] = &[
    row("client.connects", Unit::Count, "Connections that became ready for operations, over all clients."),
    row("client.disconnects", Unit::Count, "Connections that ended or could not be made, over all clients."),
    row("client.discoveries", Unit::Count, "Times that a sentinel named a server to a client."),
    row("client.discoveries-failed", Unit::Count, "Discoveries that led nowhere."),
    row(
        "client.not-master",
        Unit::Count,
        "Times that a client found its server not to be a master (ROLE or READONLY).",
    ),
    row("client.switches-seen", Unit::Count, "+switch-master messages that clients heard."),
    row(
        "converged",
        Unit::Bool,
        "At the very end, with everything healed: one master in each replication group, every live replica linked to it with the same dataset, and all sentinels naming that master.",
    ),
    row("election.candidates-max", Unit::Count, "The most sentinels that stood for election in one epoch."),
    row(
        "election.duration",
        Unit::Time,
        "From the first +try-failover to +elected-leader, split votes and waiting included; the longest of the run.",
    ),
    row(
        "election.leaders-per-epoch-max",
        Unit::Count,
        "The most sentinels elected in one epoch for one master; more than 1 is a bug.",
    ),
    row("election.rounds", Unit::Count, "Epochs in which a sentinel stood for election, won or not."),
    row("election.votes", Unit::Count, "Votes that sentinels gave, those for themselves included."),
    row(
        "failover.aborted",
        Unit::Count,
        "Attempts that ended in -failover-abort-not-elected, -no-good-slave or -slave-timeout.",
    ),
    row("failover.attempts", Unit::Count, "+try-failover events: sentinels that began an attempt."),
    row("failover.count", Unit::Count, "Failovers that reached +switch-master at any sentinel."),
    row(
        "failover.detection",
        Unit::Time,
        "From the fault to the first +odown of its master; the longest of the run. Without a failover that came to its end, of the attempts.",
    ),
    row(
        "failover.duration",
        Unit::Time,
        "From the fault to the first write that the new master acknowledged; the longest of the run. Needs clients that write.",
    ),
    row(
        "failover.promotion",
        Unit::Time,
        "From the fault to the chosen replica turning master; the longest of the run.",
    ),
    row("failover.sdown", Unit::Time, "From the fault to the first +sdown of its master; the longest of the run."),
    row("failover.switch", Unit::Time, "From the fault to the first +switch-master; the longest of the run."),
    row("failover.switch-all", Unit::Time, "From the fault to the last +switch-master; the longest of the run."),
    row("final.keys", Unit::Count, "Keys at the very end, over all masters."),
    row("final.masters", Unit::Count, "Servers that are masters at the very end."),
    row("final.servers", Unit::Count, "Servers that are alive at the very end."),
    row(
        "linearizable",
        Unit::Bool,
        "Whether what clients read from each key, and what they believed of each lock, can be explained by operations that take effect one after the other, each between its call and its return; absent when nothing was read and nobody locked.",
    ),
    row("lock.acquire-time", Unit::Time, "Median time from wanting a lock to having it, over all clients."),
    row("lock.acquire-time-max", Unit::Time, "The longest time from wanting a lock to having it."),
    row("lock.acquire-time-p99", Unit::Time, "99th percentile of the time from wanting a lock to having it."),
    row("lock.acquired", Unit::Count, "Times that a client came to believe that it holds a lock."),
    row(
        "lock.deadlock",
        Unit::Bool,
        "Whether at the end of the watched run somebody wanted a lock that nobody had had for longer than twice its time to live.",
    ),
    row(
        "lock.fairness",
        Unit::Ratio,
        "Jain's index of how evenly clients got locks: 1 when all got as many, 1/n when one of n got all.",
    ),
    row(
        "lock.fencing-violations",
        Unit::Count,
        "Fencing tokens that were not larger than one that somebody had got before they were asked for.",
    ),
    row("lock.given-up", Unit::Count, "Times that a client stopped trying to get a lock."),
    row(
        "lock.overstay-max",
        Unit::Time,
        "The longest that a client believed to hold a lock beyond the validity that it knew of.",
    ),
    row(
        "lock.overstayed",
        Unit::Count,
        "Times that a client believed to hold a lock beyond the validity that it knew of.",
    ),
    row("lock.overtaken-max", Unit::Count, "The most times that others got a lock while one client waited for it."),
    row("lock.starved", Unit::Count, "Waits for a lock during which others got it ten times or more."),
    row("lock.stuck-max", Unit::Time, "The longest time in which somebody wanted a lock and nobody had it."),
    row(
        "lock.success-rate",
        Unit::Ratio,
        "Share of the times that a client wanted a lock and got it, of those that it got or gave up.",
    ),
    row(
        "lock.violated",
        Unit::Bool,
        "Whether two clients ever believed at the same time to hold the same lock; its mean over many runs is the probability.",
    ),
    row("lock.violation-time", Unit::Time, "Time in which two clients or more believed to hold the same lock."),
    row(
        "lock.violations",
        Unit::Count,
        "Times that two clients believed at the same time to hold the same lock: pairs of their beliefs.",
    ),
    row("lock.wait-max", Unit::Time, "The longest that a client wanted a lock, whether or not it got it."),
    row("lock.writes", Unit::Count, "Writes under a lock that protected resources took."),
    row("lock.writes-rejected", Unit::Count, "Writes that protected resources refused for their fencing token."),
    row(
        "lock.writes-stale",
        Unit::Count,
        "Writes that a protected resource took after one of somebody who had got the lock later.",
    ),
    row("odown.count", Unit::Count, "+odown events, over all sentinels."),
    row("reads.acked", Unit::Count, "Reads that were answered."),
    row("reads.failed", Unit::Count, "Reads that certainly did not happen: refused, or never sent."),
    row("reads.invoked", Unit::Count, "Reads that clients began."),
    row("reads.latency-max", Unit::Time, "The longest time from invoking a read to its answer."),
    row("reads.latency-p50", Unit::Time, "Median time from invoking a read to its answer."),
    row("reads.latency-p99", Unit::Time, "99th percentile of the time from invoking a read to its answer."),
    row(
        "reads.stale",
        Unit::Count,
        "Reads that returned a value older than one whose write was acknowledged before the read began.",
    ),
    row("reads.unknown", Unit::Count, "Reads that were never answered."),
    row(
        "recovery.duration",
        Unit::Time,
        "From the last fault (its end, if it had one) to the last change of a role, a replication link, a process or a sentinel's opinion; absent when the deployment has not converged at the end.",
    ),
    row(
        "replication.full-syncs",
        Unit::Count,
        "Full resynchronisations that masters granted, the first ones of a deployment included.",
    ),
    row("replication.full-syncs-after-fault", Unit::Count, "Full resynchronisations granted after the first fault."),
    row(
        "replication.lag-max",
        Unit::Bytes,
        "The most bytes by which a live replica was seen behind a live master of the same history (offsets are sampled every 100 ms).",
    ),
    row(
        "replication.link-downs",
        Unit::Count,
        "Replication links that replicas lost, other than by being reconfigured.",
    ),
    row(
        "replication.output-buffer-drops",
        Unit::Count,
        "Replicas dropped because their output buffer passed its limit.",
    ),
    row(
        "replication.partial-refused",
        Unit::Count,
        "PSYNC requests with a history that got a full resynchronisation instead.",
    ),
    row("replication.partial-syncs", Unit::Count, "Partial resynchronisations that masters granted."),
    row("sdown.masters", Unit::Count, "+sdown events about masters, over all sentinels."),
    row("sdown.replicas", Unit::Count, "+sdown events about replicas, over all sentinels."),
    row("sdown.sentinels", Unit::Count, "+sdown events about other sentinels, over all sentinels."),
    row(
        "split-brain.count",
        Unit::Count,
        "Windows in which two masters of one replication group executed clients' writes.",
    ),
    row(
        "split-brain.duration",
        Unit::Time,
        "Time in which two masters of one replication group executed clients' writes.",
    ),
    row("tilt.count", Unit::Count, "+tilt events, over all sentinels."),
    row(
        "unavailable.count",
        Unit::Count,
        "Windows of at least 100 ms in which a client population asked and nothing succeeded.",
    ),
    row("unavailable.longest", Unit::Time, "The longest such window; 0 if there was none."),
    row("unavailable.total", Unit::Time, "All such windows of the worst client population together."),
    row("writes.acked", Unit::Count, "Writes that a server acknowledged."),
    row("writes.failed", Unit::Count, "Writes that certainly did not happen: refused, or never sent."),
    row("writes.failed-noreplicas", Unit::Count, "Writes refused by min-replicas-to-write."),
    row("writes.failed-not-sent", Unit::Count, "Writes that found no connection in time."),
    row("writes.failed-readonly", Unit::Count, "Writes refused by a replica."),
    row("writes.invoked", Unit::Count, "Writes that clients began."),
    row("writes.latency-max", Unit::Time, "The longest time from invoking a write to its acknowledgement."),
    row("writes.latency-p50", Unit::Time, "Median time from invoking a write to its acknowledgement."),
    row("writes.latency-p99", Unit::Time, "99th percentile of the time from invoking a write to its acknowledgement."),
    row("writes.lost", Unit::Count, "Writes that were acknowledged and are in no surviving dataset at the end."),
    row("writes.lost-ratio", Unit::Ratio, "Lost writes as a share of the acknowledged ones."),
    row("writes.recovered", Unit::Count, "Writes of unknown outcome that are in a surviving dataset at the end."),
    row("writes.unknown", Unit::Count, "Writes that were never answered: they may have happened or not."),
];

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

/// The metric of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.binary_search_by(|metric| metric.name.cmp(name)).ok().map(|index| &METRICS[index])
}

/// The metric whose name is nearest to a misspelt one, if any is near.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let score = |metric: &Metric| strsim::jaro_winkler(metric.name, name);
    let best = METRICS.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) > 0.8).then_some(best.name)
}

impl Value {
    /// A time, in milliseconds to the microsecond.
    #[must_use]
    pub fn time(span: Span) -> Value {
        Value::Number(Span::from_us(span.us()).as_ms_f64())
    }

    /// A time that may not have happened.
    #[must_use]
    pub fn time_or_absent(span: Option<Span>) -> Value {
        span.map_or(Value::Absent, Value::time)
    }

    /// A share; absent when there is nothing to share.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a result for people, and runs have far fewer than 2^53 operations")]
    pub fn ratio(part: u64, whole: u64) -> Value {
        if whole == 0 { Value::Absent } else { Value::Number(part as f64 / whole as f64) }
    }

    /// As a number, for comparisons and distributions: true is 1; `None` when absent.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "results for people; counts stay far below 2^53")]
    pub fn number(self) -> Option<f64> {
        match self {
            Value::Count(n) => Some(n as f64),
            Value::Number(x) => Some(x),
            Value::Bool(b) => Some(f64::from(u8::from(b))),
            Value::Absent => None,
        }
    }

    /// For people: `1,049`, `12.35s`, `48.2%`, `1.2mb`, `true`, `none`.
    #[must_use]
    pub fn show(self, unit: Unit) -> String {
        match (self, unit) {
            (Value::Absent, _) => "none".to_owned(),
            (Value::Bool(b), _) => b.to_string(),
            (Value::Count(n), Unit::Bytes) => bytes(n),
            (Value::Count(n), _) => thousands(n),
            (Value::Number(ms), Unit::Time) => millis(ms),
            (Value::Number(share), Unit::Ratio) => format!("{:.1}%", share * 100.0),
            (Value::Number(x), Unit::Count | Unit::Bytes | Unit::Bool) => format!("{x:.2}"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Count => "count",
            Unit::Ratio => "ratio",
            Unit::Time => "time",
            Unit::Bytes => "bytes",
            Unit::Bool => "true/false",
        })
    }
}

/// A time in milliseconds as people write it, to about three digits: `0.42ms`, `812ms`, `12.35s`, `2m05s`.
#[must_use]
pub fn millis(ms: f64) -> String {
    if ms == 0.0 {
        "0s".to_owned()
    } else if ms < 10.0 {
        format!("{ms:.2}ms")
    } else if ms < 1_000.0 {
        format!("{ms:.0}ms")
    } else if ms < 120_000.0 {
        format!("{:.2}s", ms / 1_000.0)
    } else {
        format!("{:.0}m{:02.0}s", (ms / 60_000.0).floor(), (ms / 1_000.0) % 60.0)
    }
}

/// A span as people write it, to about three digits.
#[must_use]
pub fn span(span: Span) -> String {
    millis(span.as_ms_f64())
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[allow(clippy::cast_precision_loss, reason = "display only")]
fn bytes(n: u64) -> String {
    match n {
        0..1_024 => format!("{n} bytes"),
        1_024..1_048_576 => format!("{:.1}kb", n as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1}mb", n as f64 / 1_048_576.0),
        _ => format!("{:.1}gb", n as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_unique_and_explained() {
        for pair in METRICS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
        for metric in METRICS {
            assert!(metric.doc.ends_with('.'), "{}", metric.name);
            assert_eq!(find(metric.name).map(|m| m.name), Some(metric.name));
        }
    }

    #[test]
    fn values_read_well() {
        for (value, unit, text) in [
            (Value::Count(1_049), Unit::Count, "1,049"),
            (Value::Count(7), Unit::Count, "7"),
            (Value::Count(2_048), Unit::Bytes, "2.0kb"),
            (Value::Number(12_345.6), Unit::Time, "12.35s"),
            (Value::Number(0.0), Unit::Time, "0s"),
            (Value::Number(0.4231), Unit::Time, "0.42ms"),
            (Value::Number(0.482), Unit::Ratio, "48.2%"),
            (Value::Bool(true), Unit::Bool, "true"),
            (Value::Absent, Unit::Time, "none"),
        ] {
            assert_eq!(value.show(unit), text);
        }
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        assert_eq!(nearest("failover.durations"), Some("failover.duration"));
        assert_eq!(nearest("write.lost"), Some("writes.lost"));
        assert_eq!(nearest("zebra"), None);
    }
}
