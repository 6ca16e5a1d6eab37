//! Runs that are held and go on with another timeline: to the last event as a run that never paused.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use splitbrain::rng::Seed;
use splitbrain::run::{self, Limits, Snapshot};
use splitbrain::scenario::Scenario;
use splitbrain::time::{Instant, Span};

use crate::scenario_files::load;

const DEPLOYMENT: &str = r#"
duration = "12s"
settle = "3s"
[network]
latency = "uniform(0.2ms, 1ms)"
loss = 0.001
[[redis]]
name = "r1"
[[redis]]
names = ["r2", "r3"]
replicaof = "r1"
[[sentinel]]
names = ["s1", "s2", "s3"]
start = "uniform(0s, 1s)"
monitor = [{ name = "mymaster", master = "r1", quorum = 2, down-after-milliseconds = 1000, failover-timeout = 5000 }]
[[client]]
name = "w"
count = 2
via = "sentinel:mymaster"
workload = { kind = "kv", rate = "40/s", write-ratio = 0.8, keys = 50 }
"#;

/// One fault of each kind, by number; `node` chooses whom.
fn fault(at: u64, kind: usize, node: usize, lasts: u64) -> String {
    let nodes = ["r1", "r2", "r3", "s1", "s2", "w-1"];
    let name = nodes[node % nodes.len()];
    let what = match kind % 10 {
        0 => format!("crash = '{name}'\nrestart-after = '{lasts}ms'"),
        1 => format!("pause = '{name}'\nfor = 'uniform(1ms, {lasts}ms)'"),
        2 => format!("partition = [['{name}'], ['{}']]\nfor = '{lasts}ms'", nodes[(node + 1) % nodes.len()]),
        3 => format!("power-off = '{name}'\nrestart-after = '{lasts}ms'"),
        4 => format!("link = {{ from = '{name}', to = 'r1', latency = 'exponential(20ms)' }}\nfor = '{lasts}ms'")
            .replace("'r1', to = 'r1'", "'r1', to = 'r2'"),
        5 => format!("clock = {{ machines = '{name}', jump = '+3s' }}\nfor = '{lasts}ms'"),
        6 => format!("cpu = {{ nodes = '{name}', slow-down = 50 }}\nfor = '{lasts}ms'"),
        7 => format!("disk = {{ machines = '{name}', slow = 'uniform(1ms, 9ms)' }}\nfor = '{lasts}ms'"),
        8 => "exec = { node = 'r2', command = 'CONFIG SET repl-diskless-sync-delay 1' }".to_owned(),
        _ => "restart = 'r3'".to_owned(),
    };
    format!("[[fault]]\nat = '{at}ms'\n{what}\n")
}

fn scenario(head: &str, faults: &[String]) -> Arc<Scenario> {
    let text = format!("{head}{DEPLOYMENT}{}", faults.concat());
    Arc::new(load(Path::new("f.toml"), &text, &[]).unwrap_or_else(|report| panic!("{report}")).scenario)
}

fn timeline() -> impl Strategy<Value = Vec<String>> {
    let one = (0u64..12_000, 0usize..10, 0usize..6, 1u64..4_000);
    prop::collection::vec(one, 0..6).prop_map(|mut all| {
        all.sort_unstable();
        all.into_iter().map(|(at, kind, node, lasts)| fault(at, kind, node, lasts)).collect()
    })
}

/// The faults of a timeline that strike up to a time.
fn until(faults: &[String], ms: u64) -> usize {
    let at = |text: &String| text.split('\'').nth(1).and_then(|t| t.strip_suffix("ms")?.parse::<u64>().ok());
    faults.iter().filter(|text| at(text).expect("a time") <= ms).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// A run of one timeline, held at any instant, goes on with the later faults of another exactly as a run of the two
    /// halves from the start.
    #[test]
    fn a_branch_is_a_run_of_its_own(first in timeline(), other in timeline(), cut in 0u64..12_000, seed in 0u64..1000, random in any::<bool>()) {
        let head = if random { "tie-break = 'random'\n" } else { "" };
        let past = until(&first, cut);
        let mut joined = first[..past].to_vec();
        joined.extend_from_slice(&other[until(&other, cut)..]);
        let (before, after) = (scenario(head, &first), scenario(head, &joined));
        let mut snapshot = Snapshot::new(&before, Seed(seed));
        snapshot.advance(Instant::ZERO + Span::from_ms(cut / 2), &Limits::NONE);
        snapshot.advance(Instant::ZERO + Span::from_ms(cut), &Limits::NONE);
        let branch = snapshot.branch(&after).expect("the same past").finish(&Limits::NONE);
        let fresh = run::run(&after, Seed(seed), &mut |_| {});
        prop_assert_eq!(format!("{branch:?}"), format!("{fresh:?}"));
        // The original goes on as if nothing had been taken from it.
        let original = run::run(&before, Seed(seed), &mut |_| {});
        prop_assert_eq!(snapshot.finish(&Limits::NONE).digest, original.digest);
    }
}

/// What has happened can't be changed.
#[test]
fn another_past_is_refused() {
    let faults = [fault(1_000, 0, 0, 500), fault(5_000, 1, 1, 500)];
    let with = |faults: &[String]| scenario("", faults);
    let mut snapshot = Snapshot::new(&with(&faults), Seed(1));
    snapshot.advance(Instant::ZERO + Span::from_secs(3), &Limits::NONE);
    assert!(snapshot.branch(&with(&faults[..1])).is_some(), "a later fault less");
    assert!(snapshot.branch(&with(&faults[1..])).is_none(), "an earlier fault less");
    let changed = [fault(1_000, 0, 0, 501), faults[1].clone()];
    assert!(snapshot.branch(&with(&changed)).is_none(), "a fault that struck has another end");
    let missed = [faults[0].clone(), fault(2_000, 1, 1, 500)];
    assert!(snapshot.branch(&with(&missed)).is_none(), "a fault that should have struck");
    let short = with(&faults).as_ref().clone();
    let short = Arc::new(Scenario { duration: Span::from_secs(2), ..short });
    assert!(snapshot.branch(&short).is_none(), "the run would be over");
    let long = with(&faults).as_ref().clone();
    let long = Arc::new(Scenario { duration: Span::from_secs(20), ..long });
    assert!(snapshot.branch(&long).is_none(), "the clients have planned for 12 s");
}
