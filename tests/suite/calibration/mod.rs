//! The simulator against recordings of real redis-server and redis-sentinel 7.0.15: intervals, orders, outcomes.
//!
//! Each recorded experiment is a scenario in `scenarios/calibration/`; a test runs it over a hundred seeds.
//! `UPDATE=1` rewrites the table in `docs/calibration.md` and its charts.

#![allow(clippy::wildcard_enum_match_arm, reason = "a few kinds of event are picked out of many")]

mod derive;
mod replication;
mod stats;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde::Deserialize;
use splitbrain::trace::Event;

use derive::Facts;

/// Seeds for each experiment.
pub(crate) const SEEDS: u64 = 100;

/// How far a simulated median may lie from the recorded one, in milliseconds, when the recording is large enough to
/// say where its median is; a recording of a few runs says it only within the spread of medians of that many runs.
const MEDIAN_MS: f64 = 60.0;

/// The least probability that the recorded and the simulated values are of one distribution.
const SAME_DISTRIBUTION: f64 = 0.001;

/// What was recorded of one experiment.
#[derive(Debug, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) what: String,
    pub(crate) runs: usize,
    #[serde(default)]
    pub(crate) intervals_ms: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    pub(crate) candidates_per_run: BTreeMap<String, usize>,
    #[serde(default)]
    pub(crate) elected_per_run: BTreeMap<String, usize>,
    #[serde(default)]
    pub(crate) aborts: BTreeMap<String, usize>,
    #[serde(default)]
    pub(crate) promoted: BTreeMap<String, usize>,
    #[serde(default)]
    pub(crate) leader_event_orders: Vec<(usize, String)>,
    #[serde(default)]
    pub(crate) observer_event_orders: Vec<(usize, String)>,
    #[serde(default)]
    pub(crate) writes: Option<serde_json::Value>,
    #[serde(default)]
    pub(crate) outcomes: Vec<serde_json::Value>,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All recordings, by experiment and variant (`E1/crash`).
pub(crate) fn recorded() -> &'static BTreeMap<String, Recorded> {
    static RECORDED: OnceLock<BTreeMap<String, Recorded>> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let text = std::fs::read_to_string(root().join("tests/calibration/recorded.json")).expect("recorded.json");
        serde_json::from_str(&text).expect("recorded.json is what this file describes")
    })
}

/// One simulated run.
pub(crate) struct Simulated {
    pub(crate) seed: u64,
    pub(crate) events: Vec<Event>,
    pub(crate) run: splitbrain::report::Run,
}

/// The scenario file of an experiment.
pub(crate) fn scenario_path(slug: &str) -> PathBuf {
    root().join(format!("scenarios/calibration/{slug}.toml"))
}

/// Runs one experiment over its seeds and hands each run over.
pub(crate) fn simulate(slug: &str, seeds: u64, mut each: impl FnMut(Simulated)) {
    let scenario = crate::runs::scenario(&scenario_path(slug));
    for seed in 0..seeds {
        let (run, events) = crate::runs::run_with_events(&scenario, seed);
        each(Simulated { seed, events, run });
    }
}

/// What a hundred seeds say together.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) intervals: BTreeMap<&'static str, Vec<f64>>,
    pub(crate) leader_orders: BTreeMap<String, usize>,
    pub(crate) observer_orders: BTreeMap<String, usize>,
    pub(crate) candidates: BTreeMap<usize, usize>,
    pub(crate) elected: BTreeMap<usize, usize>,
    pub(crate) aborts: BTreeMap<String, usize>,
    pub(crate) promoted: BTreeMap<String, usize>,
    pub(crate) runs: Vec<(u64, Facts)>,
    pub(crate) lost: Vec<f64>,
}

impl Pool {
    pub(crate) fn add(&mut self, seed: u64, facts: Facts) {
        for (name, values) in &facts.intervals {
            self.intervals.entry(name).or_default().extend(values);
        }
        if let Some(order) = &facts.leader_order {
            *self.leader_orders.entry(order.clone()).or_default() += 1;
        }
        for order in &facts.observer_orders {
            *self.observer_orders.entry(order.clone()).or_default() += 1;
        }
        *self.candidates.entry(facts.candidates).or_default() += 1;
        *self.elected.entry(facts.elected).or_default() += 1;
        for (name, count) in &facts.aborts {
            *self.aborts.entry(name.clone()).or_default() += count;
        }
        let promoted = facts.promoted.first().cloned().unwrap_or_else(|| "None".to_owned());
        *self.promoted.entry(promoted).or_default() += 1;
        self.runs.push((seed, facts));
    }
}

/// An experiment of Sentinel's: its key in the recordings, its file, which fault is time zero.
pub(crate) struct Experiment {
    pub(crate) key: &'static str,
    pub(crate) slug: &'static str,
    pub(crate) zero: u16,
    /// When the recording ends, in milliseconds after time zero.
    pub(crate) until: f64,
}

const fn experiment(key: &'static str, slug: &'static str, zero: u16, until: f64) -> Experiment {
    Experiment { key, slug, zero, until }
}

/// Every Sentinel experiment.
pub(crate) const EXPERIMENTS: &[Experiment] = &[
    experiment("E1/crash", "e1-crash", 0, 4900.0),
    experiment("E1/crash-ft3", "e1-crash-ft3", 0, 4900.0),
    experiment("E1/hostloss", "e1-hostloss", 0, 4900.0),
    experiment("E2/crash", "e2-crash", 0, 12400.0),
    experiment("E3/idle", "e3-idle", 0, 24000.0),
    experiment("E3/writes", "e3-writes", 0, 24000.0),
    experiment("E4/plain", "e4-plain", 0, 28000.0),
    experiment("E4/minreplicas", "e4-minreplicas", 0, 28000.0),
    experiment("E5/runid", "e5-runid", 0, 5500.0),
    experiment("E5/priority", "e5-priority", 0, 5500.0),
    experiment("E5/all-zero", "e5-all-zero", 0, 21600.0),
    experiment("E5/offset", "e5-offset", 1, 8200.0),
    experiment("E5/offset-one", "e5-offset-one", 1, 8200.0),
    experiment("E5/prio-beats-offset", "e5-prio-beats-offset", 1, 8200.0),
    experiment("E5/paused", "e5-paused", 1, 16000.0),
    experiment("E6/quorum2", "e6-quorum2", 1, 1200.0),
    experiment("E6/quorum1", "e6-quorum1", 1, 42000.0),
    experiment("E7/q2-crash", "e7-q2-crash", 0, 5500.0),
    experiment("E7/q5-crash", "e7-q5-crash", 0, 5500.0),
    experiment("E7/q2-crash-split", "e7-q2-crash-split", 0, 35200.0),
    experiment("E7/q2-master-majority", "e7-q2-master-majority", 0, 36500.0),
    experiment("E7/q2-master-minority", "e7-q2-master-minority", 0, 17500.0),
    experiment("E7/q5-crash-split", "e7-q5-crash-split", 0, 44200.0),
    experiment("E7/q5-master-minority", "e7-q5-master-minority", 0, 36200.0),
];

/// The pooled runs of one experiment; simulated once, whoever asks first.
pub(crate) fn pool(experiment: &Experiment) -> &'static Pool {
    static POOLS: [OnceLock<Pool>; EXPERIMENTS.len()] = [const { OnceLock::new() }; EXPERIMENTS.len()];
    let index = EXPERIMENTS.iter().position(|e| e.key == experiment.key).expect("one of the list");
    POOLS[index].get_or_init(|| simulate_pool(experiment))
}

fn simulate_pool(experiment: &Experiment) -> Pool {
    let mut pool = Pool::default();
    simulate(experiment.slug, SEEDS, |run| {
        pool.add(run.seed, derive::derive(&run.events, experiment.zero, experiment.until));
        if let Some(splitbrain::check::Value::Count(lost)) = run.run.metrics.get("writes.lost") {
            #[allow(clippy::cast_precision_loss, reason = "a count in a table")]
            pool.lost.push(*lost as f64);
        }
    });
    pool
}

/// Intervals that the recorder took from INFO samples of its own, not from events: every 100 ms, over connections that
/// Sentinel's reconfiguration kills for up to 200 ms, so up to 300 ms late at the beginning or at the end.
const SAMPLED: &[(&str, f64)] = &[
    ("node_repointed_to_link_up_each", 300.0),
    ("return_to_old_master_is_slave", 300.0),
    ("demoted_to_link_up", 300.0),
];

/// A sampled interval must lie within the simulated range, give or take the sampling.
fn compare_sampled(name: &str, values: &[f64], pool: &Pool, late: f64, problems: &mut String) {
    let Some(simulated) = pool.intervals.get(name) else {
        writeln!(problems, "{name}: recorded {} values, simulated none", values.len()).expect("string");
        return;
    };
    let (low, high) = (stats::quantile(simulated, 0.0).unwrap_or(0.0), stats::quantile(simulated, 1.0).unwrap_or(0.0));
    for value in values.iter().filter(|value| !(low - late..=high + late).contains(*value)) {
        writeln!(problems, "{name}: sampled {value:.0} ms, simulated {low:.0}..{high:.0}").expect("string");
    }
}

/// Compares intervals; appends what doesn't fit.
fn compare_intervals(recorded: &Recorded, pool: &Pool, problems: &mut String) {
    for (name, values) in &recorded.intervals_ms {
        // Without a leader the recorder took the first request of the run, whoever answered it when.
        if name == "request_to_vote_each" && recorded.elected_per_run.keys().all(|n| n == "0") {
            continue;
        }
        if let Some((_, bias)) = SAMPLED.iter().find(|(sampled, _)| sampled == name) {
            compare_sampled(name, values, pool, *bias, problems);
            continue;
        }
        let Some(simulated) = pool.intervals.get(name.as_str()) else {
            writeln!(problems, "{name}: recorded {} values, simulated none", values.len()).expect("string");
            continue;
        };
        let (Some(real), Some(ours)) = (stats::median(values), stats::median(simulated)) else { continue };
        // The sentinels of one run are not independent: there are as many samples as runs.
        let samples = values.len().min(recorded.runs);
        let (low, high) = stats::median_band(simulated, samples);
        // Two runs don't have a median worth the name: their values must be possible.
        let (least, most) =
            (stats::quantile(simulated, 0.0).unwrap_or(0.0), stats::quantile(simulated, 1.0).unwrap_or(0.0));
        let possible = samples < 3 && values.iter().all(|value| (least - MEDIAN_MS..=most + MEDIAN_MS).contains(value));
        let near = possible || (real - ours).abs() <= MEDIAN_MS || (low..=high).contains(&real);
        if !near {
            writeln!(
                problems,
                "{name}: median recorded {real:.1} ms (n {}), simulated {ours:.1} ms; medians of as many simulated \
                 values lie in {low:.1}..{high:.1}",
                values.len()
            )
            .expect("string");
        }
        let probability = stats::same_distribution(values, simulated, samples);
        let width =
            |sample: &[f64]| stats::quantile(sample, 1.0).unwrap_or(0.0) - stats::quantile(sample, 0.0).unwrap_or(0.0);
        // A few milliseconds of a loaded machine are no difference in kind.
        let tiny = width(values) < 25.0 && width(simulated) < 25.0 && (real - ours).abs() < 25.0;
        if probability < SAME_DISTRIBUTION && !tiny && !(real - ours).abs().le(&12.0) {
            writeln!(
                problems,
                "{name}: not of one distribution (p {probability:.5}): recorded {:.0}..{:.0}, simulated {:.0}..{:.0}",
                stats::quantile(values, 0.0).unwrap_or(0.0),
                stats::quantile(values, 1.0).unwrap_or(0.0),
                stats::quantile(simulated, 0.0).unwrap_or(0.0),
                stats::quantile(simulated, 1.0).unwrap_or(0.0),
            )
            .expect("string");
        }
    }
}

/// Every recorded order must occur (a single one among many may be too rare for a hundred seeds), and the commonest
/// recorded one must not be rare.
fn compare_orders(what: &str, recorded: &[(usize, String)], ours: &BTreeMap<String, usize>, problems: &mut String) {
    let total: usize = ours.values().sum();
    for (count, order) in recorded {
        let simulated = ours.get(order).copied().unwrap_or(0);
        let of: usize = recorded.iter().map(|(n, _)| n).sum();
        let common = count * 2 >= of && of >= 6;
        let rare = of >= 8 && *count == 1;
        if (simulated == 0 && !rare) || (common && simulated * 5 < total) {
            writeln!(problems, "{what} order recorded {count}/{of}, simulated {simulated}/{total}: {order}")
                .expect("string");
        }
    }
    if !problems.is_empty() {
        let mut top: Vec<_> = ours.iter().map(|(order, n)| (*n, order)).collect();
        top.sort_unstable_by(|a, b| b.cmp(a));
        for (count, order) in top.into_iter().take(5) {
            writeln!(problems, "   ({what} simulated {count}/{total}: {order})").expect("string");
        }
    }
}

/// One of its two recorded runs is the rare one of the recordings' notes: a sentinel's tick fell between the ends of its
/// two connections to the dying master, whose +sdown then came early, went and came again. It is in no typical run.
const RARE: &str = "E7/q5-crash";

fn compare(experiment: &Experiment) -> String {
    let recorded = &recorded()[experiment.key];
    let pool = pool(experiment);
    let mut problems = String::new();
    if experiment.key == RARE {
        for order in &recorded.leader_event_orders {
            let flickers = order.1.starts_with("+sdown -sdown +sdown");
            assert!(flickers || pool.leader_orders.contains_key(&order.1), "{}: {}", experiment.key, order.1);
        }
        return problems;
    }
    compare_intervals(recorded, pool, &mut problems);
    compare_orders("leader", &recorded.leader_event_orders, &pool.leader_orders, &mut problems);
    let mut observers = String::new();
    compare_orders("observer", &recorded.observer_event_orders, &pool.observer_orders, &mut observers);
    problems.push_str(&observers);
    for (what, real, ours) in [
        ("candidates", &recorded.candidates_per_run, &pool.candidates),
        ("elected", &recorded.elected_per_run, &pool.elected),
    ] {
        let seen: BTreeSet<String> = ours.keys().map(ToString::to_string).collect();
        // What was recorded once in a handful of runs may be too rare for these seeds: two candidates need ticks that
        // fall within the few milliseconds of a vote's way.
        for value in real
            .iter()
            .filter(|(_, count)| **count > 1 || real.len() == 1)
            .map(|(value, _)| value)
            .filter(|value| !seen.contains(*value))
        {
            writeln!(problems, "{what} per run: recorded {value}, simulated only {ours:?}").expect("string");
        }
    }
    for name in recorded.promoted.keys().filter(|name| !pool.promoted.contains_key(*name)) {
        writeln!(problems, "promoted: recorded {name}, simulated only {:?}", pool.promoted).expect("string");
    }
    for name in recorded.aborts.keys().filter(|name| !pool.aborts.contains_key(*name)) {
        writeln!(problems, "aborts: recorded {name}, simulated only {:?}", pool.aborts).expect("string");
    }
    problems
}

/// Checks one group of experiments on two threads' worth of work or less.
fn check_group(prefix: &str) {
    let mut report = String::new();
    for experiment in EXPERIMENTS.iter().filter(|e| e.key.starts_with(prefix)) {
        let problems = compare(experiment);
        if !problems.is_empty() {
            writeln!(report, "\n{} ({})\n{problems}", experiment.key, experiment.slug).expect("string");
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn e1_crash_and_host_loss() {
    check_group("E1/");
}

#[test]
fn e2_crash_with_long_down_after() {
    check_group("E2/");
}

#[test]
fn e3_pause() {
    check_group("E3/");
}

#[test]
fn e4_partition_with_writes() {
    check_group("E4/");
}

#[test]
fn e5_replica_selection() {
    check_group("E5/");
}

#[test]
fn e6_too_few_sentinels() {
    check_group("E6/");
}

#[test]
fn e7_five_sentinels() {
    check_group("E7/");
}
