//! Bisecting: boundaries that are known from elsewhere are found, all of them, whatever the number of threads.

use std::path::Path;
use std::sync::Arc;

use splitbrain::rng::{Seed, Seeds};
use splitbrain::run::bisect::{Answer, Axis, Question, bisect};
use splitbrain::run::{self, Limits};
use splitbrain::scenario::Scenario;
use splitbrain::trace::Kind;
use splitbrain::trace::event::ServerEvent;

use crate::scenario_files::load;

/// A master, a replica and three sentinels that wait a second.
const DEPLOYMENT: &str = r#"
seed = 5
duration = "25s"
settle = "20s"
[[redis]]
name = "r1"
[[redis]]
name = "r2"
replicaof = "r1"
[[sentinel]]
names = ["s1", "s2", "s3"]
start = "uniform(0s, 1s)"
monitor = [{ name = "mymaster", master = "r1", quorum = 2, down-after-milliseconds = 5000 }]
"#;

const PAUSE: &str = "[[fault]]\nat = '8s'\nfor = '1s'\npause = 'r1'\n[expect]\nfailover.count = 0\n";

fn scenario(text: &str, sets: &[String]) -> Arc<Scenario> {
    Arc::new(load(Path::new("f.toml"), text, sets).unwrap_or_else(|report| panic!("{report}")).scenario)
}

fn question(vary: &str, seeds: &str) -> Question {
    let axis = Axis::parse(vary).unwrap_or_else(|error| panic!("{error}"));
    Question {
        tolerance: axis.part(1_000),
        axis,
        seeds: Seeds::parse(seeds).expect("seeds"),
        steps: 8,
        only: Vec::new(),
        limits: Limits::NONE,
        threads: 2,
    }
}

fn answer(text: &str, question: &Question) -> Answer {
    let variant = |value| Ok::<_, ()>(scenario(text, &[question.axis.set(value)]));
    bisect(question, &variant, &mut |_, _| {}).expect("every variant is valid")
}

/// A pause shorter than down-after goes unnoticed; beyond that it takes the time of a check or two.
#[test]
fn a_pause_makes_a_failover_from_about_down_after_on() {
    let text = format!("{DEPLOYMENT}{PAUSE}");
    let question = question("fault[0].for=1s..11s", "5");
    let found = answer(&text, &question);
    let [boundary] = found.boundaries.as_slice() else { panic!("{:?}", found.boundaries) };
    assert!(boundary.fails_above && boundary.to - boundary.from <= question.tolerance, "{boundary:?}");
    assert!((4_000_000_000..7_000_000_000).contains(&boundary.from), "{boundary:?}");
    // Both sides are as a run of their own says.
    for (value, failovers) in [(boundary.from, 0.0), (boundary.to, 1.0)] {
        let scenario = scenario(&text, &[question.axis.set(value)]);
        let run = run::run(&scenario, Seed(5), &mut |_| {});
        assert_eq!(run.metrics["failover.count"].number(), Some(failovers), "{value}");
    }
}

/// What a master acknowledges after it is cut off is lost; the last write decides until when a cut does harm.
#[test]
fn a_cut_loses_a_write_until_the_last_one_has_been_replicated() {
    let client = "[[client]]\nname = 'w'\nvia = 'redis:r1'\nworkload = { kind = 'kv', rate = '2/s', write-ratio = 1.0, start = '2s', stop = '6s' }\n\
                  [[fault]]\nat = '9s'\nfor = '12s'\npartition = [['r1', 'w'], ['r2', 's1', 's2', 's3']]\n[expect]\nwrites.lost = 0\n";
    let text = format!("{DEPLOYMENT}{client}");
    let question = question("fault[0].at=3s..9s", "5");
    let found = answer(&text, &question);
    let [boundary] = found.boundaries.as_slice() else { panic!("{:?}", found.boundaries) };
    assert!(!boundary.fails_above, "{boundary:?}");
    let (_, events) = run::run_and_keep(&scenario(&text, &[]), Seed(5));
    let writes = events.iter().filter(|event| matches!(event.kind, Kind::Server(ServerEvent::Write { .. })));
    let last = writes.map(|event| i128::from(event.at.0)).max().expect("writes");
    assert!(
        boundary.from <= last + question.tolerance && last <= boundary.to + question.tolerance,
        "{last} {boundary:?}"
    );
}

/// A verdict that changes back is found out, each change to the tolerance, and said not to be monotone.
#[test]
fn every_boundary_is_found() {
    let question = Question { tolerance: 1, ..question("x=0..1000", "1") };
    let variant = |value: i128| {
        let wanted = if (300..420).contains(&value) || value >= 871 { 2 } else { 1 };
        let text =
            format!("duration = '1s'\nsettle = '0s'\n[[redis]]\nname = 'r1'\n[expect]\nfinal.servers = {wanted}\n");
        Ok::<_, ()>(scenario(&text, &[]))
    };
    let found = bisect(&question, &variant, &mut |_, _| {}).expect("valid");
    let ends: Vec<_> = found.boundaries.iter().map(|b| (b.from, b.to, b.fails_above)).collect();
    assert_eq!(ends, [(299, 300, true), (419, 420, false), (870, 871, true)]);
    assert_eq!(found.runs, found.points.len() as u64);
    let never = Question { axis: Axis::parse("x=500..800").expect("valid"), ..question };
    assert!(bisect(&never, &variant, &mut |_, _| {}).expect("valid").boundaries.is_empty());
}

/// With many seeds the boundary is where half of them fail.
#[test]
fn many_seeds_make_shares() {
    let text = format!("{DEPLOYMENT}{PAUSE}");
    let mut question = Question { steps: 5, ..question("fault[0].for=4s..7s", "0..10") };
    question.tolerance = question.axis.part(20);
    let found = answer(&text, &question);
    assert!(found.points.iter().all(|point| point.failures.of == 10), "{:?}", found.points);
    let shares: Vec<f64> = found.points.iter().filter_map(|point| point.failures.share()).collect();
    assert!(shares[0] == 0.0 && shares[shares.len() - 1] == 1.0, "{shares:?}");
    let boundary = &found.boundaries[0];
    let interval = boundary.interval.expect("many seeds have one");
    let (low, high) = (interval.low.expect("known"), interval.high.expect("known"));
    assert!(low < boundary.estimate && boundary.estimate < high, "{boundary:?}");
    // A point's count is that of its runs.
    let point = found.points.iter().find(|point| point.value == boundary.to).expect("it was tried");
    let scenario = scenario(&text, &[question.axis.set(point.value)]);
    let failed = (0..10).filter(|&seed| {
        let run = run::run(&scenario, Seed(seed), &mut |_| {});
        run.expectations.iter().any(|outcome| !outcome.passed)
    });
    assert_eq!(failed.count() as u64, point.failures.hits);
    for threads in [1, 3] {
        let again = answer(&text, &Question { threads, ..question.clone() });
        assert_eq!(again, found, "{threads} threads");
    }
}
