//! The simulator against recordings of real redis-server and redis-sentinel 7.0.15: intervals, orders, outcomes.
//!
//! Each recorded experiment is a scenario in `scenarios/calibration/`; a test runs it over a hundred seeds.
//! `UPDATE=1` rewrites the table in `docs/calibration.md` and its charts.

#![allow(clippy::wildcard_enum_match_arm, reason = "a few kinds of event are picked out of many")]

mod derive;
mod replication;
mod stats;
mod sweeps;
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

/// How far a value of an experiment recorded twice may lie outside of what was simulated, in milliseconds: a moment of
/// a loaded machine, or what a partition took to be in force.
fn outside_ms(experiment: &Experiment) -> f64 {
    let text = std::fs::read_to_string(scenario_path(experiment.slug)).expect("the scenario");
    if text.contains("\npartition = ") { 70.0 } else { 12.0 }
}

/// The least probability that the recorded and the simulated values are of one distribution.
const SAME_DISTRIBUTION: f64 = 0.001;

/// The least probability that something is recorded as often as it was, given the share of seeds that show it.
const SAME_SHARE: f64 = 0.001;

/// What was recorded of one experiment.
#[derive(Clone, Debug, Deserialize)]
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
fn compare_intervals(recorded: &Recorded, pool: &Pool, outside: f64, problems: &mut String) {
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
        let possible = samples < 3 && values.iter().all(|value| (least - outside..=most + outside).contains(value));
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

/// What was recorded so often must be likely enough, given how many seeds show it, and so must what was not recorded.
fn compare_shares(
    what: &str,
    recorded: &BTreeMap<String, usize>,
    ours: &BTreeMap<String, usize>,
    problems: &mut String,
) {
    let (of, total): (usize, usize) = (recorded.values().sum(), ours.values().sum());
    let values: BTreeSet<&String> = recorded.keys().chain(ours.keys()).collect();
    for value in values {
        let count = recorded.get(value).copied().unwrap_or(0);
        let simulated = ours.get(value).copied().unwrap_or(0);
        let (least, most) = stats::tails(count, of, simulated, total);
        if least.min(most) < SAME_SHARE {
            let chance = least.min(most);
            writeln!(problems, "{what} recorded {count}/{of}, simulated {simulated}/{total} (p {chance:.5}): {value}")
                .expect("string");
        }
    }
}

fn as_text(counts: &BTreeMap<usize, usize>) -> BTreeMap<String, usize> {
    counts.iter().map(|(value, count)| (value.to_string(), *count)).collect()
}

fn compare(experiment: &Experiment) -> String {
    let recorded = &recorded()[experiment.key];
    let pool = pool(experiment);
    let mut problems = String::new();
    compare_intervals(recorded, pool, outside_ms(experiment), &mut problems);
    let orders = |list: &[(usize, String)]| list.iter().map(|(count, order)| (order.clone(), *count)).collect();
    compare_shares("leader order", &orders(&recorded.leader_event_orders), &pool.leader_orders, &mut problems);
    compare_shares("observer order", &orders(&recorded.observer_event_orders), &pool.observer_orders, &mut problems);
    compare_shares("candidates per run", &recorded.candidates_per_run, &as_text(&pool.candidates), &mut problems);
    compare_shares("elected per run", &recorded.elected_per_run, &as_text(&pool.elected), &mut problems);
    compare_shares("promoted", &recorded.promoted, &pool.promoted, &mut problems);
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

/// The rare run of the recordings' notes: a sentinel's tick fell between the ends of its two connections to the dying
/// master, so its +sdown came early, went and came again. From the election on it is a run like the others.
#[test]
fn e7_rare_run_is_an_ordinary_one_from_the_election_on() {
    let ordinary = EXPERIMENTS.iter().find(|e| e.key == "E7/q5-crash").expect("one of the list");
    let mut rare = recorded()["E7/q5-crash-flicker"].clone();
    let (order, rest) = (&rare.leader_event_orders[0].1, "+sdown -sdown ");
    let ordinary_end = order.strip_prefix(rest).expect("it flickered");
    assert!(pool(ordinary).leader_orders.contains_key(ordinary_end), "{ordinary_end}");
    rare.intervals_ms.retain(|name, _| !name.contains("fault_to_") && !name.contains("sdown"));
    let mut problems = String::new();
    compare_intervals(&rare, pool(ordinary), outside_ms(ordinary), &mut problems);
    assert!(problems.is_empty(), "{problems}");
}

/// Why there are two candidates now and then: a sentinel that asks for votes first writes its own to disk, and whoever
/// ticks meanwhile stands for election too. Without the wait there is no such time; a slow disk makes it the rule.
#[test]
fn candidates_meet_while_the_first_waits_for_its_disk() {
    let shares = ["0ms", "1ms", "8ms"].map(|fsync| {
        let path = scenario_path("e2-crash");
        let text = std::fs::read_to_string(&path).expect("readable");
        let sets = [format!("defaults.machine.fsync={fsync}")];
        let loaded = crate::scenario_files::load(&path, &text, &sets);
        let scenario = std::sync::Arc::new(loaded.unwrap_or_else(|report| panic!("{report}")).scenario);
        let mut both = 0;
        for seed in 0..100 {
            let (_, events) = crate::runs::run_with_events(&scenario, seed);
            both += usize::from(derive::derive(&events, 0, 5400.0).candidates > 1);
        }
        both
    });
    assert!(shares[0] <= 1 && shares[1] > 1 && shares[2] > 2 * shares[1], "{shares:?}");
}
