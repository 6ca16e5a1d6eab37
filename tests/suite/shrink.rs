//! Shrinking: what is left, that it fails as the original does, and that it is the same however it was computed.

use std::path::Path;
use std::sync::Arc;

use splitbrain::rng::Seed;
use splitbrain::run::shrink::{Failure, Options, Shrunk, Unshrunk, shrink};
use splitbrain::run::{self, Limits};
use splitbrain::scenario::Loaded;

use crate::scenario_files::load;

/// A partition that loses writes, among ten faults that have nothing to do with it.
const TEN_AND_ONE: &str = r#"
name = "ten-and-one"
seed = 3
duration = "60s"
[network]
latency = "uniform(0.3ms, 0.7ms)"
[[redis]]
name = "r1"
[[redis]]
names = ["r2", "r3"]
replicaof = "r1"
[[sentinel]]
names = ["s1", "s2", "s3"]
start = "uniform(0s, 1s)"
monitor = [{ name = "mymaster", master = "r1", quorum = 2, down-after-milliseconds = 5000, failover-timeout = 60000 }]
[[client]]
name = "writer"
count = 3
via = "sentinel:mymaster"
workload = { kind = "kv", rate = "20/s", keys = 1000, write-ratio = 1.0, start = "2s" }
[[client]]
name = "stubborn"
via = "redis:r1"
workload = { kind = "kv", rate = "20/s", keys = 100 }
[machines]
rack = { nodes = ["r1", "stubborn"] }
[[fault]]
at = "uniform(3s, 5s)"
for = "500ms"
pause = "r3"
[[fault]]
at = "6s"
for = "1s"
pause = "s1"
[[fault]]
at = "7s"
crash = "s3"
restart-after = "2s"
[[fault]]
at = "8s"
for = "3s"
link = { from = "r2", to = "r3", latency = "5ms" }
[[fault]]
at = "12s"
for = "4s"
cpu = { nodes = "r2", slow-down = 3 }
[[fault]]
name = "cut"
at = "uniform(14s, 16s)"
for = "20s"
partition = [["rack"], ["r2", "r3", "s1", "s2", "s3", "writer"]]
[[fault]]
after = "cut"
at = "2s"
for = "1s"
disk = { machines = "r3", slow = "2ms" }
[[fault]]
at = "30s"
for = "1s"
clock = { machines = "r3", jump = "+10ms" }
[[fault]]
at = "40s"
for = "1s"
pause = "s2"
[[fault]]
at = "45s"
exec = { node = "r2", command = "CONFIG SET maxmemory 0" }
[[fault]]
at = "50s"
restart = "s1"
[expect]
"writes.lost" = "<= 5"
converged = true
"failover.count" = 1
"#;

fn loaded(text: &str) -> Loaded {
    load(Path::new("f.toml"), text, &[]).unwrap_or_else(|report| panic!("{report}"))
}

pub(super) fn options(seed: u64) -> Options {
    Options {
        seed: Seed(seed),
        limits: Limits::NONE,
        max_runs: 5_000,
        threads: 1,
        only: Vec::new(),
        same_story: false,
        source: "f.toml".to_owned(),
    }
}

fn shrunk(text: &str, options: &Options) -> Shrunk {
    shrink(&loaded(text), options, &mut |_| {}).unwrap_or_else(|unshrunk| panic!("{unshrunk:?}"))
}

/// The file that came out, read and run as any other.
fn failure_of(text: &str, before: &Failure) -> bool {
    let again = loaded(text);
    let scenario = Arc::new(again.scenario);
    before.shown_by(&run::run(&scenario, scenario.seed, &mut |_| {}))
}

#[test]
fn one_fault_of_eleven_is_left_and_the_file_fails_alike() {
    let out = shrunk(TEN_AND_ONE, &options(3));
    let file = loaded(&out.text);
    assert_eq!(file.effective.fault.len(), 1, "{}", out.text);
    assert!(file.effective.fault[0].partition.is_some(), "{}", out.text);
    assert!(file.effective.expect.0.len() == 1 && file.effective.client.len() == 1, "{}", out.text);
    assert!(out.sizes[1].servers == 2 && out.sizes[1].sentinels <= 2, "{}", out.text);
    assert!(failure_of(&out.text, &out.before), "{}", out.text);
    assert!(file.report.render(100, false).is_empty(), "{}", file.report.render(100, false));
    assert!(out.complete && out.tally.saved.ns() > 0 && out.tally.from_snapshots > 0, "{:?}", out.tally);
    // What a person wants to know stands above it.
    for said in [
        "# Shrunk by splitbrain from f.toml with seed 3.",
        "# It fails as the original does: writes.lost is ",
        "1 of 11 faults",
        &format!("# It took {} runs", out.tally.runs),
        "#   fault at 40s: pause s2 for 1s",
        "#   server r3",
        "duration = \"",
        "# was 60s",
    ] {
        assert!(out.text.contains(said), "{said}\nis not in\n{}", out.text);
    }
    // Defaults that nobody wrote are neither left nor said to be removed.
    assert!(!out.text.contains("tie-break") && !out.text.contains("queue-timeout"), "{}", out.text);
    // No part of it can go: shrinking it again changes nothing but the comments.
    let again = shrunk(&out.text, &options(3));
    let body = |text: &str| {
        text.lines()
            .filter_map(|line| line.split("  #").next())
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(body(&again.text), body(&out.text));
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let one = shrunk(TEN_AND_ONE, &options(3));
    for threads in [2, 5] {
        let many = shrunk(TEN_AND_ONE, &Options { threads, ..options(3) });
        assert_eq!(many.text, one.text, "{threads} threads");
    }
}

#[test]
fn what_holds_is_not_shrunk_and_runs_are_limited() {
    let held = TEN_AND_ONE.replace("\"<= 5\"", "\"<= 100000\"");
    let out = shrink(&loaded(&held), &options(3), &mut |_| {});
    assert!(matches!(out, Err(Unshrunk::Holds(_))));
    let only = Options { only: vec!["converged".to_owned()], ..options(3) };
    assert!(matches!(shrink(&loaded(TEN_AND_ONE), &only, &mut |_| {}), Err(Unshrunk::Holds(_))));
    let few = shrunk(TEN_AND_ONE, &Options { max_runs: 12, ..options(3) });
    assert!(!few.complete && few.tally.runs <= 13, "{:?}", few.tally);
    assert!(failure_of(&few.text, &few.before), "{}", few.text);
}

/// A failover that never came fails `failover.count = 1` as much as two of them do; the one must not become the other.
#[test]
fn a_failure_does_not_become_another_one() {
    let twice = TEN_AND_ONE.replace("restart = \"s1\"", "crash = \"r2\"").replace("\"<= 5\"", "\">= 0\"");
    let twice = twice.replace("at = \"uniform(14s, 16s)\"", "at = \"8s\"").replace("for = \"20s\"", "for = \"15s\"");
    let out = shrunk(&twice, &options(3));
    assert_eq!(out.before.broken.len(), 1, "{:?}", out.before);
    let actual = |failure: &Failure| failure.broken[0].actual.clone();
    assert_eq!((actual(&out.before).as_str(), actual(&out.after).as_str()), ("2", "2"), "{}", out.text);
    assert!(out.sizes[1].faults >= 2, "two failovers have two reasons:\n{}", out.text);
}

/// Scenarios that must fail are small to begin with; each can be shrunk, and fails alike from the text.
#[test]
fn negative_scenarios_shrink() {
    for name in ["expects-no-loss", "expects-convergence", "expects-failover", "expects-fresh-reads"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/negative/{name}.toml"));
        let text = std::fs::read_to_string(&path).expect("readable");
        let seed = loaded(&text).scenario.seed.0;
        let out = shrunk(&text, &options(seed));
        assert!(failure_of(&out.text, &out.before), "{name}\n{}", out.text);
        assert!(out.sizes[1].duration < out.sizes[0].duration, "{name}\n{}", out.text);
        let second = splitbrain::time::Span::from_secs(1);
        assert!(out.sizes[1].duration >= second, "{name}\n{}", out.text);
    }
}

/// A bug that was planted (one sentinel alone may begin a failover, so a sentinel that is cut off with the master's replica
/// makes a second master) is found by chaos, and shrinks to what shows it.
#[test]
fn a_quorum_of_one_is_found_by_chaos_and_shrinks_to_three_faults_at_most() {
    let text = "duration = '60s'\nsettle = '30s'\n\
        [[redis]]\nname = 'r1'\n[[redis]]\nnames = ['r2', 'r3']\nreplicaof = 'r1'\n\
        [[sentinel]]\nname = 's1'\nstart = '0.5s'\n\
        monitor = [{ name = 'mymaster', master = 'r1', quorum = 1, down-after-milliseconds = 3000, failover-timeout = 10000 }]\n\
        [[client]]\nname = 'writer'\nvia = 'redis:r1'\nworkload = { kind = 'kv', rate = '10/s', write-ratio = 1.0, start = '2s' }\n\
        [chaos]\nfrom = '8s'\nto = '50s'\nrate = '20/m'\nfor = 'uniform(2s, 9s)'\nkinds = { partition = 1, pause = 1, clock = 1, disk = 1 }\n\
        [expect]\n'writes.lost' = 0\n";
    let with_chaos = loaded(text);
    let scenario = Arc::new(with_chaos.scenario.clone());
    let fails = |seed: &u64| {
        let run = run::run(&scenario, Seed(*seed), &mut |_| {});
        Failure::of(&run, &[], false).is_some()
    };
    let seed = (0..1000).find(fails).expect("one of a thousand seeds finds it");
    let out = shrink(&with_chaos, &options(seed), &mut |_| {}).unwrap_or_else(|unshrunk| panic!("{unshrunk:?}"));
    assert!(out.sizes[0].faults > 3 && out.sizes[1].faults <= 3, "{}", out.text);
    assert!(!out.text.contains("[chaos]") && failure_of(&out.text, &out.before), "{}", out.text);
}
