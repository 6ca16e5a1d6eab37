//! The short way of whole turns comes to the same as the long one, in real deployments that things happen to.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use splitbrain::id::Fd;
use splitbrain::node::{DiskImage, DiskOp, Input, Node, Outbox};
use splitbrain::rng::Seed;
use splitbrain::time::{Instant, Now, Span};
use splitbrain::trace::event::{ClientEvent, ServerEvent};
use splitbrain::trace::{Event, Kind};
use splitbrain::world::{World, programs};

use crate::scenario_files;

/// What is watched of a deployment: a few hundred to some ten thousand operations.
const LENGTH_US: u64 = 200_000;

/// A node that knows no short way.
#[derive(Clone, Debug)]
struct LongWay(Box<dyn Node>);

impl Node for LongWay {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        self.0.start(now, disk, out);
    }
    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.0.handle(now, input, out);
    }
    fn turn(&mut self, now: Now, fd: Fd, data: Bytes, out: &mut Outbox) -> bool {
        self.0.turn(now, fd, data, out)
    }
    fn stalled(&mut self, since: Instant, until: Option<Instant>) {
        self.0.stalled(since, until);
    }
    fn waits_for_disk(&mut self, op: &DiskOp, takes: Span) {
        self.0.waits_for_disk(op, takes);
    }
    fn wake_at(&self) -> Option<Instant> {
        self.0.wake_at()
    }
    fn probe(&self, now: Now, out: &mut Outbox) {
        self.0.probe(now, out);
    }
    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}

/// Everything that can be seen of a deployment that runs for a while, cut up in time.
fn watch(text: &str, seed: u64, quick: bool, step_us: u64) -> Vec<Event> {
    let loaded = scenario_files::load(Path::new("f.toml"), text, &[]).unwrap_or_else(|report| panic!("{report}"));
    let scenario = Arc::new(loaded.scenario);
    let mut world = if quick {
        World::new(scenario, Seed(seed))
    } else {
        let real = programs();
        World::with_programs(
            scenario,
            Seed(seed),
            Arc::new(move |scenario, init| Box::new(LongWay(real(scenario, init)))),
        )
    };
    let mut events = Vec::new();
    let mut at = 0;
    while at < LENGTH_US {
        at += step_us;
        world.advance(Instant(at * 1_000));
        if at % 7 == 3 {
            world = world.clone();
        }
        world.drain(&mut events);
    }
    events
}

fn deployment(
    latency: &str,
    workloads: &[&str],
    server: &str,
    faults: &[&str],
    (replica, rest): (bool, &str),
) -> String {
    let replicated = if replica { "replicaof = \"r1\"\n" } else { "" };
    let clients: String = workloads
        .iter()
        .enumerate()
        .map(|(n, workload)| {
            format!("[[client]]\nname = \"c{n}\"\nvia = \"redis:r1\"\nworkload = {{ kind = \"kv\", {workload} }}\n")
        })
        .collect();
    let faults: String = faults.iter().map(|fault| format!("[[fault]]\n{fault}\n")).collect();
    format!(
        "duration = \"2s\"\n{rest}\n[network]\nlatency = \"{latency}\"\n[[redis]]\nname = \"r1\"\n{server}\n\
         [[redis]]\nname = \"r2\"\n{replicated}{clients}{faults}"
    )
}

const LATENCIES: &[&str] = &["uniform(0.5ms, 1ms)", "0ms", "1us", "2us", "10us", "0.5ms", "lognormal(0.1ms, 1.0)"];
const WORKLOADS: &[&str] = &[
    "think = \"0s\", keys = 100, write-ratio = 1.0, value-size = \"32b\"",
    "think = \"0s\", keys = 100, write-ratio = 0.5, value-size = \"20b\"",
    "think = \"1ms\", keys = 10, write-ratio = 1.0, value-size = \"44b\"",
    "think = \"0s\", keys = 10, write-ratio = 1.0, value-size = \"100b\"",
    "think = \"0s\", keys = 10, write-ratio = 0.9, pipeline = 3",
    "think = \"0s\", keys = 10, write-ratio = 1.0, ttl = \"50ms\"",
    "think = \"0s\", keys = 10, write-ratio = 1.0, wait = { replicas = 1, timeout = \"10ms\" }",
    "rate = \"3000/s\", keys = 50, write-ratio = 1.0, value-size = \"32b\"",
];
const FAULTS: &[&str] = &[
    "at = \"80ms\"\nfor = \"60ms\"\npause = \"r1\"",
    "at = \"60ms\"\ncrash = \"r1\"\nrestart-after = \"40ms\"",
    "at = \"100ms\"\nfor = \"60ms\"\npartition = [[\"r1\"], [\"c0\"]]",
    "at = \"40ms\"\nfor = \"200ms\"\ncpu = { nodes = [\"r1\"], slow-down = 30.0 }",
    "at = \"120ms\"\nexec = { node = \"r1\", command = \"DEBUG SLEEP 0.01\" }",
    "at = \"120ms\"\nexec = { node = \"r1\", command = \"CLIENT PAUSE 20 WRITE\" }",
    "at = \"140ms\"\nexec = { node = \"r1\", command = \"FLUSHALL\" }",
    "at = \"100ms\"\nexec = { node = \"r2\", command = \"REPLICAOF NO ONE\" }",
];
const SERVERS: &[&str] = &[
    "",
    "config = { hz = 500 }",
    "config = { save = \"1 5\" }",
    "config = { appendonly = true }",
    "config = { appendonly = true, appendfsync = \"always\" }",
];
const RESTS: &[&str] = &["", "tie-break = \"random\"", "cpu-costs = 0", "cpu-costs = 20"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// The trace, and what caused what in it, do not show which way was taken.
    #[test]
    fn nothing_shows_which_way_turns_went(
        latency in 0..LATENCIES.len(),
        workloads in prop::collection::vec(0..WORKLOADS.len(), 1..5),
        faults in prop::collection::vec(0..FAULTS.len(), 0..3),
        server in 0..SERVERS.len(),
        replica in prop::bool::weighted(0.2),
        rest in 0..RESTS.len(),
        seed in 0u64..1_000,
        step_us in prop_oneof![Just(LENGTH_US), 300u64..40_000],
    ) {
        // Where nothing takes any time, a client that doesn't think goes on for ever at one instant; where it takes
        // next to none, for a very long time.
        prop_assume!(!["0ms", "1us", "2us"].contains(&LATENCIES[latency]) || RESTS[rest] != "cpu-costs = 0");
        let workloads: Vec<&str> = workloads.iter().map(|&n| WORKLOADS[n]).collect();
        let faults: Vec<&str> = faults.iter().map(|&n| FAULTS[n]).collect();
        let text = deployment(LATENCIES[latency], &workloads, SERVERS[server], &faults, (replica, RESTS[rest]));
        let (short, long) = (watch(&text, seed, true, step_us), watch(&text, seed, false, step_us));
        if let Some(at) = (0..short.len().max(long.len())).find(|&at| short.get(at) != long.get(at)) {
            panic!("event {at}: {:?} instead of {:?} in\n{text}", short.get(at), long.get(at));
        }
    }
}

const STEADY: &str = "think = \"0s\", keys = 100, write-ratio = 1.0, value-size = \"32b\"";

/// When the server executed the first write after 50 ms, in nanoseconds.
fn a_write(text: &str) -> u64 {
    let is_write = |event: &&Event| {
        event.at >= Instant(50_000_000) && matches!(event.kind, Kind::Server(ServerEvent::Write { .. }))
    };
    watch(text, 1, true, LENGTH_US).iter().find(is_write).expect("the client writes all the time").at.0
}

/// An answer is sent ahead of its time unless something happens before it: whatever happens whenever, it is as if it had not been.
#[test]
fn what_happens_before_an_answer_leaves_is_in_time() {
    let deployed = |faults: &[&str]| deployment("0.5ms", &[STEADY], "", faults, (false, ""));
    let written = a_write(&deployed(&[]));
    let mut counts = Vec::new();
    for after in [0, 1, 500, 1_000, 2_000, 2_600, 3_000, 5_000, 20_000] {
        let at = written + after;
        for what in ["crash = \"r1\"", "partition = [[\"r1\"], [\"c0\"]]", "for = \"5ms\"\npause = \"r1\""] {
            let text = deployed(&[&format!("at = \"{at}ns\"\n{what}")]);
            let (short, long) = (watch(&text, 1, true, LENGTH_US), watch(&text, 1, false, LENGTH_US));
            assert_eq!(short, long, "{text}");
            if what.starts_with("crash") {
                let ok = |event: &&Event| matches!(event.kind, Kind::Client(ClientEvent::Ok { .. }));
                counts.push(short.iter().filter(ok).count());
            }
        }
    }
    assert!(counts.is_sorted() && counts[0] + 1 == counts[counts.len() - 1], "{counts:?}");
}

/// A copy of a world takes other faults only if no answer would have been sent otherwise.
#[test]
fn an_answer_that_is_on_its_way_refuses_faults_before_it_leaves() {
    let scenario = |faults: &[&str]| {
        let text = deployment("0.5ms", &[STEADY], "", faults, (false, ""));
        let loaded = scenario_files::load(Path::new("f.toml"), &text, &[]).unwrap_or_else(|report| panic!("{report}"));
        Arc::new(loaded.scenario)
    };
    let written = a_write(&deployment("0.5ms", &[STEADY], "", &[], (false, "")));
    let mut world = World::new(scenario(&[]), Seed(1));
    world.advance(Instant(written + 500));
    let crash = |at: u64| scenario(&[&format!("at = \"{at}ns\"\ncrash = \"r1\"")]);
    assert!(!world.clone().reschedule(crash(written + 1_000)), "the answer has been sent already");
    let later = crash(written + 100_000);
    assert!(world.reschedule(later.clone()));
    let mut anew = World::new(later, Seed(1));
    for world in [&mut world, &mut anew] {
        world.advance(Instant(LENGTH_US * 1_000));
    }
    assert_eq!(world.fingerprint(), anew.fingerprint());
}
