//! A sentinel that skips the ticks in which nothing is due does the same, at the same times, as one that runs them all.

use std::sync::{Arc, Mutex};

use splitbrain::node::{DiskImage, Init, Input, Node, Outbox, Output};
use splitbrain::rng::Seed;
use splitbrain::run;
use splitbrain::scenario::{NodeKind, Scenario};
use splitbrain::time::{Instant, Now};
use splitbrain::trace::Via;
use splitbrain::world::World;

use super::{deployment, sentinels, toy, two_masters};
use crate::scenario_files::{library, load};

/// What every node gave out: its number, its clock, and the output.
type Log = Arc<Mutex<Vec<(u16, Instant, Output)>>>;

/// A node whose outputs are recorded.
#[derive(Clone, Debug)]
struct Recorded {
    node: Box<dyn Node>,
    number: u16,
    log: Log,
}

impl Recorded {
    fn record(&self, now: Now, from: usize, out: &Outbox) {
        let mut log = self.log.lock().expect("nothing panics while it is held");
        log.extend(out.outputs[from..].iter().map(|output| (self.number, now.mono, output.clone())));
    }
}

impl Node for Recorded {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        let from = out.outputs.len();
        self.node.start(now, disk, out);
        self.record(now, from, out);
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let from = out.outputs.len();
        self.node.handle(now, input, out);
        self.record(now, from, out);
    }

    fn stalled(&mut self, since: Instant, until: Option<Instant>) {
        self.node.stalled(since, until);
    }

    fn wake_at(&self) -> Option<Instant> {
        self.node.wake_at()
    }

    fn probe(&self, now: Now, out: &mut Outbox) {
        self.node.probe(now, out);
    }

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}

/// Events and outputs of a run, and how often sentinels were called.
fn outcome(scenario: &Arc<Scenario>, seed: u64, traits: toy::Traits) -> (Vec<String>, Vec<(u16, Instant, Output)>) {
    let log = Log::default();
    let programs = toy::programs(traits);
    let recording = log.clone();
    let factory = move |scenario: &Scenario, init: Init| -> Box<dyn Node> {
        let number = init.node.0;
        let node = programs(scenario, init);
        Box::new(Recorded { node, number, log: recording.clone() })
    };
    let mut world = World::with_programs(scenario.clone(), Seed(seed), Arc::new(factory));
    let mut events = Vec::new();
    let mut see = |event: &splitbrain::trace::Event| {
        // A tick that fell due while its process waited for the disk runs in the turn of a message that came meanwhile,
        // unless a wake was planned.
        let via = if event.via == Via::Timer { Via::Message } else { event.via };
        events.push(format!("{} {:?} {} {:?} {via:?}", event.at.0, event.node, event.kind, event.cause));
    };
    run::play(&mut world, &mut see);
    let mut outputs = log.lock().expect("the run is over").clone();
    // Ticks of two sentinels at the very same instant are in the order in which they were planned: of no meaning.
    outputs.sort_by_key(|(node, ..)| *node);
    (events, outputs)
}

fn assert_same(what: &str, scenario: &Arc<Scenario>, seed: u64, traits: &toy::Traits) {
    let (lazy, lazy_outputs) = outcome(scenario, seed, traits.clone());
    let (eager, eager_outputs) = outcome(scenario, seed, toy::Traits { every_tick: true, ..traits.clone() });
    for (index, (lazy, eager)) in lazy.iter().zip(&eager).enumerate() {
        assert_eq!(lazy, eager, "{what} seed {seed}: event {index}");
    }
    assert_eq!(lazy.len(), eager.len(), "{what} seed {seed}");
    for (index, (lazy, eager)) in lazy_outputs.iter().zip(&eager_outputs).enumerate() {
        assert_eq!(lazy, eager, "{what} seed {seed}: output {index}");
    }
    assert_eq!(lazy_outputs.len(), eager_outputs.len(), "{what} seed {seed}");
    assert!(!lazy.is_empty() && !lazy_outputs.is_empty());
}

#[test]
fn in_every_scenario_with_sentinels() {
    for path in library() {
        let text = std::fs::read_to_string(&path).expect("readable");
        let scenario = Arc::new(load(&path, &text, &[]).expect("the library loads").scenario);
        let watched = scenario.nodes.iter().any(|node| matches!(node.kind, NodeKind::Sentinel(_)));
        if watched {
            for seed in 1..=3 {
                assert_same(&path.display().to_string(), &scenario, seed, &toy::Traits::default());
            }
        }
    }
}

#[test]
fn under_every_kind_of_trouble() {
    let troubles = [
        ("calm", ""),
        ("crash and return", "[[fault]]\nat = \"10.3s\"\ncrash = \"r1\"\nrestart-after = \"12s\"\n"),
        ("short pause of a sentinel", "[[fault]]\nat = \"10.3s\"\nfor = \"700ms\"\npause = \"s1\"\n"),
        ("long pause of a sentinel", "[[fault]]\nat = \"10.3s\"\nfor = \"5s\"\npause = \"s1\"\n"),
        ("pause of the master", "[[fault]]\nat = \"10.3s\"\nfor = \"8s\"\npause = \"r1\"\n"),
        ("clock forward", "[[fault]]\nat = \"10.3s\"\nclock = { machines = [\"s1\"], jump = \"3s\" }\n"),
        ("clock a little forward", "[[fault]]\nat = \"10.3s\"\nclock = { machines = [\"s1\"], jump = \"900ms\" }\n"),
        ("clock back", "[[fault]]\nat = \"10.3s\"\nclock = { machines = [\"s1\"], jump = \"-3s\" }\n"),
        ("clock drifts", "[[fault]]\nat = \"3s\"\nclock = { machines = [\"s1\"], drift = 40000 }\n"),
        (
            "split",
            "[[fault]]\nat = \"10.3s\"\nfor = \"25s\"\npartition = [[\"r1\", \"s1\"], [\"r2\", \"r3\", \"s2\", \"s3\"]]\n",
        ),
        ("sentinel restarts", "[[fault]]\nat = \"10.3s\"\ncrash = \"s2\"\nrestart-after = \"4s\"\n"),
        ("by hand", "[[fault]]\nat = \"10.3s\"\nexec = { node = \"s2\", command = \"SENTINEL FAILOVER mymaster\" }\n"),
        ("reset", "[[fault]]\nat = \"10.3s\"\nexec = { node = \"s2\", command = \"SENTINEL RESET *\" }\n"),
        (
            "nobody agrees",
            "[[fault]]\nat = \"10.3s\"\ncrash = [\"s2\", \"s3\"]\n[[fault]]\nat = \"12.1s\"\ncrash = \"r1\"\n",
        ),
    ];
    for (what, faults) in troubles {
        for (count, quorum) in [(3, 2), (3, 1), (5, 3)] {
            let scenario = sentinels(count, quorum, faults);
            for seed in 1..=3 {
                assert_same(what, &scenario, seed, &toy::Traits::default());
            }
        }
    }
}

#[test]
fn with_links_shared_by_two_masters() {
    for faults in [
        "",
        "[[fault]]\nat = \"10.3s\"\ncrash = \"r1\"\n",
        "[[fault]]\nat = \"10.3s\"\ncrash = [\"q1\", \"s3\"]\nrestart-after = \"15s\"\n",
        "[[fault]]\nat = \"10.3s\"\nexec = { node = \"s1\", command = \"SENTINEL REMOVE red\" }\n\
         [[fault]]\nat = \"20s\"\nexec = { node = \"s2\", command = \"SENTINEL RESET gr*\" }\n",
    ] {
        let (scenario, traits) = two_masters(faults);
        for seed in 1..=4 {
            assert_same(faults, &scenario, seed, &traits);
        }
    }
}

#[test]
fn when_a_script_blocks_or_a_password_is_wrong() {
    let scenario = deployment("[[fault]]\nat = \"20.3s\"\ncrash = \"r3\"\n");
    let busy = toy::Traits { busy_from: [("r1", 10), ("r2", 12)].into_iter().collect(), ..toy::Traits::default() };
    let closed = toy::Traits { password: Some("secret"), ..toy::Traits::default() };
    for traits in [busy, closed] {
        for seed in 1..=4 {
            assert_same("refusing servers", &scenario, seed, &traits);
        }
    }
}

/// The comparison would notice: two seeds do differ.
#[test]
fn other_seeds_give_other_runs() {
    let scenario = deployment("");
    let outputs = |seed| outcome(&scenario, seed, toy::Traits::default()).1;
    assert_ne!(outputs(1), outputs(2));
}
