//! Comparing: nothing differs from itself, a known effect is found with its size, and threads change nothing.

use std::path::Path;
use std::sync::Arc;

use splitbrain::check::Unit;
use splitbrain::rng::{Seed, Seeds};
use splitbrain::run::Limits;
use splitbrain::run::compare::{Compared, Metrics, Pair, compare};
use splitbrain::scenario::Scenario;

use crate::scenario_files::load;

const DEPLOYMENT: &str = r#"
duration = "12s"
settle = "5s"
[network]
latency = "uniform(0.3ms, 0.7ms)"
[[redis]]
name = "r1"
[[redis]]
name = "r2"
replicaof = "r1"
[[sentinel]]
names = ["s1", "s2", "s3"]
start = "uniform(0s, 1s)"
monitor = [{ name = "mymaster", master = "r1", quorum = 2, down-after-milliseconds = 5000 }]
[[client]]
name = "w"
via = "redis:r1"
workload = { kind = "kv", rate = "20/s", write-ratio = 1.0 }
[[fault]]
at = "5s"
for = "3s"
pause = "r1"
[expect]
"failover.count" = 0
"#;

fn scenario(sets: &[&str]) -> Arc<Scenario> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Arc::new(load(Path::new("f.toml"), DEPLOYMENT, &sets).unwrap_or_else(|report| panic!("{report}")).scenario)
}

fn compared(a: &[&str], b: &[&str], threads: usize) -> Compared {
    let pair = Pair {
        scenarios: [scenario(a), scenario(b)],
        seeds: Seeds::parse("0..12").expect("seeds"),
        limits: Limits::NONE,
        threads,
    };
    compare(&pair, &mut |_| {})
}

fn metric<'a>(compared: &'a Compared, name: &str) -> &'a Metrics {
    compared.metrics.iter().find(|metrics| metrics.metric.name == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn nothing_differs_from_itself() {
    let out = compared(&[], &[], 2);
    assert_eq!((out.pairs, out.same_digest), (12, 12));
    assert!(out.ranked().is_empty() && !out.metrics.is_empty());
    assert!(out.metrics.iter().all(|metrics| metrics.equal == 12 && !metrics.significant()));
    assert_eq!(out.failures[0], out.failures[1]);
    assert_eq!(out.changed, [Vec::<Seed>::new(), Vec::new()]);
}

/// Four milliseconds more on each way are eight more for each write, and nothing that faults do changes.
#[test]
fn latency_costs_what_it_costs() {
    let out = compared(&[], &["network.latency=uniform(4.3ms, 4.7ms)"], 2);
    let latency = metric(&out, "writes.latency-p50");
    assert_eq!(latency.metric.unit, Unit::Time);
    let (mean, interval) = latency.mean().expect("every run has one");
    assert!((7_700.0..8_300.0).contains(&mean), "{mean} µs");
    assert!(interval.is_some_and(|interval| interval.excludes_zero()) && latency.significant());
    assert_eq!((latency.less, latency.equal, latency.more), (0, 0, 12));
    assert_eq!(out.ranked().iter().filter(|metrics| metrics.metric.name == "failover.count").count(), 0);
    let ranked = out.ranked();
    let firm = ranked.iter().take_while(|metrics| metrics.significant()).count();
    assert!(firm > 0 && ranked[firm..].iter().all(|metrics| !metrics.significant()), "those that differ come first");
}

/// A pause of three seconds is a failover for sentinels that wait one, and none for those that wait five.
#[test]
fn changed_verdicts_are_named_and_threads_change_nothing() {
    let patience = "sentinel[0].monitor[0].down-after-milliseconds=1000";
    let out = compared(&[], &[patience], 1);
    assert_eq!((out.only_a_fails, out.only_b_fails, out.both_fail), (0, 12, 0));
    assert_eq!(out.changed[1], (0..12).map(Seed).collect::<Vec<_>>());
    assert_eq!(out.failure_difference.sums().mean(), Some(1.0));
    let duration = metric(&out, "failover.switch");
    assert_eq!((duration.absent, duration.only_b, duration.differs()), ([12, 0], 12, true));
    for threads in [2, 4] {
        assert_eq!(format!("{:?}", compared(&[], &[patience], threads)), format!("{out:?}"), "{threads} threads");
    }
    let back = compared(&[patience], &[], 2);
    assert_eq!((back.only_a_fails, back.only_b_fails), (12, 0));
}
