//! Faults drawn from the seed: what the plan promises, that they can be written out, and what they find.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use splitbrain::check::Verdict;
use splitbrain::check::recovery::LIVENESS;
use splitbrain::fault::{Fault, FaultKind, Timed};
use splitbrain::id::{MachineId, NodeId};
use splitbrain::report::summary;
use splitbrain::rng::{Dist, Seed};
use splitbrain::run;
use splitbrain::scenario::{self, Loaded, chaos};
use splitbrain::time::Span;

use crate::scenario_files;

/// A small deployment without writes to disk, with a line of chaos.
fn deployment(chaos: &str) -> Loaded {
    let text = format!(
        "duration = '60s'\nsettle = '40s'\n\
         [machines]\nm1 = {{ nodes = ['r1', 's1'] }}\n\
         [[redis]]\nname = 'r1'\n[[redis]]\nnames = ['r2', 'r3']\nreplicaof = 'r1'\n\
         [[sentinel]]\nnames = ['s1', 's2', 's3']\nstart = 'uniform(0s, 1s)'\n\
         monitor = [{{ name = 'mymaster', master = 'r1', quorum = 2, down-after-milliseconds = 3000, failover-timeout = 10000 }}]\n\
         [[client]]\nname = 'writer'\ncount = 2\nvia = 'sentinel:mymaster'\nworkload = {{ kind = 'kv', rate = '5/s', start = '2s' }}\n\
         [[fault]]\nname = 'first'\nat = 'uniform(5s, 6s)'\nfor = 'uniform(1s, 2s)'\npause = 'r2'\n\
         [[fault]]\nat = '1s'\nafter = 'first'\nfor = '1s'\npause = 'r3'\n\
         [chaos]\n{chaos}\n"
    );
    let loaded = scenario_files::load(Path::new("f.toml"), &text, &[]);
    loaded.unwrap_or_else(|report| panic!("{report}"))
}

const USUAL: &str = "from = '10s'\nto = '45s'\nrate = '20/m'\nat-most = 2";

fn constant(dist: &Dist) -> Span {
    let Dist::Constant(span) = dist else { panic!("a drawn fault has constant times: {dist}") };
    *span
}

/// When it begins and when it is over.
fn interval(timed: &Timed) -> (Span, Span) {
    let at = constant(&timed.at);
    let lasts = timed.lasts.as_ref().or(timed.restart_after.as_ref()).map_or(Span::ZERO, constant);
    (at, at + lasts)
}

/// The machines among the targets that a fault was aimed at.
fn aimed_at(loaded: &Loaded, fault: &Fault) -> Vec<MachineId> {
    let on = |nodes: &[NodeId]| nodes.iter().map(|node| loaded.scenario.nodes[node.index()].machine).collect();
    match fault {
        Fault::Crash { nodes } | Fault::Shutdown { nodes } | Fault::Restart { nodes } | Fault::Pause { nodes } => {
            on(nodes)
        }
        Fault::Cpu { nodes, .. } => on(nodes),
        Fault::PowerOff { machines } | Fault::Clock { machines, .. } | Fault::Disk { machines, .. } => machines.clone(),
        Fault::Partition { groups, .. } => {
            let bystander = |machine: &MachineId| machine.index() > 4;
            groups[0].iter().copied().filter(|machine| !bystander(machine)).collect()
        }
        Fault::PartitionOneWay { from, to, .. } => if from.len() < to.len() { from } else { to }.clone(),
        Fault::Link { from, .. } => from.clone(),
        Fault::Exec { .. } => panic!("commands aren't drawn"),
    }
}

#[test]
fn faults_keep_to_the_plan() {
    let loaded = deployment(USUAL);
    let mut kinds: BTreeMap<FaultKind, usize> = BTreeMap::new();
    let mut count = 0;
    for seed in 0..300 {
        let drawn = chaos::draw(&loaded.scenario, Seed(seed));
        assert_eq!(drawn, chaos::draw(&loaded.scenario, Seed(seed)));
        count += drawn.len();
        let mut seen = BTreeSet::new();
        let mut before = Span::ZERO;
        for (index, timed) in drawn.iter().enumerate() {
            let (at, end) = interval(timed);
            assert!(at >= Span::from_secs(10) && at >= before, "seed {seed}: {timed:?}");
            assert!(end <= Span::from_secs(45), "seed {seed}: {timed:?}");
            assert_eq!(timed.after, None);
            before = at;
            seen.insert(timed.fault.kind());
            let at_once = drawn[..=index].iter().filter(|other| {
                let (began, ended) = interval(other);
                ended > at || began == at
            });
            let mut hit: Vec<MachineId> = at_once.flat_map(|other| aimed_at(&loaded, &other.fault)).collect();
            hit.sort_unstable();
            hit.dedup();
            assert!(hit.len() <= 2, "seed {seed}: {hit:?} at {at}");
        }
        seen.into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
    }
    // 20 a minute for 35 s, some of which find nothing that may be hit.
    assert!((300 * 6..300 * 13).contains(&count), "{count} faults");
    assert_eq!(kinds.len(), 10, "every kind is drawn by some seed: {kinds:?}");
    assert!(kinds.values().all(|seeds| (60..200).contains(seeds)), "each by a good share of them: {kinds:?}");
}

#[test]
fn targets_are_the_only_ones() {
    let extra =
        "\ntargets = ['s2', 's3']\nkinds = { crash = 1, partition = 1, pause = { targets = 'r3' } }\nswarm = false";
    let loaded = deployment(&format!("{USUAL}{extra}"));
    let node = |name: &str| loaded.scenario.node(name).expect("there");
    let (mut crashes, mut pauses) = (0, 0);
    for seed in 0..50 {
        for timed in chaos::draw(&loaded.scenario, Seed(seed)) {
            if let Fault::Crash { nodes } = &timed.fault {
                assert!(nodes == &[node("s2")] || nodes == &[node("s3")], "{}", timed.text);
                crashes += 1;
            } else if let Fault::Pause { nodes } = &timed.fault {
                assert_eq!(nodes, &[node("r3")]);
                pauses += 1;
            } else {
                assert_eq!(timed.fault.kind(), FaultKind::Partition);
            }
        }
    }
    assert!(crashes > 50 && pauses > 50, "{crashes} crashes, {pauses} pauses");
}

/// Switching one kind off leaves what the others draw as it was, as long as nothing else keeps them apart.
#[test]
fn one_kind_does_not_shift_another() {
    let plan = "from = '10s'\nrate = '20/m'\nat-most = 6\nswarm = false\nfor = '2s'\n";
    let with = deployment(&format!("{plan}kinds = {{ clock = 1, cpu = 1, disk = 1, link = 2 }}"));
    let without = deployment(&format!("{plan}kinds = {{ clock = 1, disk = 1, link = 2 }}"));
    let mut removed = 0;
    for seed in 0..50 {
        let more = chaos::draw(&with.scenario, Seed(seed));
        let fewer = chaos::draw(&without.scenario, Seed(seed));
        assert_eq!(more.len(), fewer.len());
        for (one, other) in more.iter().zip(&fewer) {
            assert_eq!((&one.at, &one.lasts), (&other.at, &other.lasts), "seed {seed}");
            if one.fault.kind() == FaultKind::Cpu {
                removed += 1;
            } else {
                assert_eq!(one, other, "seed {seed}");
            }
        }
    }
    assert!(removed > 100, "{removed}");
}

/// What a seed draws can be written down; the file then runs to the same digest, and prints to itself.
#[test]
fn drawn_faults_can_be_written_down() {
    let (mut kinds, mut texts) = (BTreeSet::new(), String::new());
    let disks = "rate = '40/m'\nkinds = { disk = { file = 'sentinel.conf', troubles = ['slow', 'full', 'fails', 'loses-syncs', 'corrupts'] } }";
    let bad = "rate = '40/m'\nswarm = false\nfor = 'exponential(3s)'";
    for (chaos, seeds) in [(USUAL, 0..25), (bad, 25..32), (disks, 32..34)] {
        let loaded = deployment(chaos);
        let drawing = Arc::new(loaded.scenario.clone());
        for seed in seeds {
            let seed = Seed(seed);
            let drawn = chaos::draw(&loaded.scenario, seed);
            kinds.extend(drawn.iter().map(|timed| timed.fault.kind()));
            texts.extend(drawn.iter().map(|timed| format!("{}\n", timed.text)));
            let text = scenario::print(&chaos::concrete(&loaded, seed));
            let written = scenario_files::load(Path::new("f.toml"), &text, &[]);
            let written = written.unwrap_or_else(|report| panic!("seed {}:\n{text}\n{report}", seed.0)).scenario;
            assert_eq!((written.chaos.is_none(), written.seed), (true, seed));
            assert_eq!(written.faults[..2], loaded.scenario.faults[..]);
            assert_eq!(written.faults[2..], drawn[..], "seed {}:\n{text}", seed.0);
            assert_eq!(written.expect, loaded.scenario.expect, "what must hold stays");
            let as_drawn = run::run(&drawing, seed, &mut |_| {});
            let as_written = run::run(&Arc::new(written), seed, &mut |_| {});
            assert_eq!((as_drawn.digest, as_drawn.events), (as_written.digest, as_written.events), "seed {}", seed.0);
        }
    }
    assert_eq!(kinds.len(), 10, "every kind was written: {kinds:?}");
    for trouble in ["slower by", "full", "fails", "loses syncs", "corrupts sentinel.conf"] {
        assert!(texts.contains(trouble), "no disk {trouble}: {texts}");
    }
}

fn verdict(run: &splitbrain::report::Run) -> Option<&Verdict> {
    run.verdicts.iter().find(|(name, _)| *name == LIVENESS).map(|(_, verdict)| verdict)
}

/// A deployment that recovers in time is live; the same one with less time, or one that never recovers, isn't.
#[test]
fn liveness_is_a_verdict() {
    let run = |chaos: &str| {
        let loaded = deployment(chaos);
        run::run(&Arc::new(loaded.scenario), Seed(5), &mut |_| {})
    };
    let crash = "from = '10s'\nto = '40s'\nrate = '60/m'\nswarm = false\nkinds = { crash = { targets = 'r1' } }\n";
    let live = run(crash);
    assert!(matches!(verdict(&live), Some(Verdict::Pass)), "{:?}", live.verdicts);
    assert!(!summary::failed(&live), "{:?}", live.expectations);
    let late = run(&format!("{crash}converge-within = '1ms'"));
    assert_eq!(live.digest, late.digest, "what is expected changes nothing");
    let Some(Verdict::Fail { why, witness }) = verdict(&late) else { panic!("{:?}", late.verdicts) };
    assert!(why.starts_with("the last fault was over at ") && why.ends_with("; expected <= 1ms"), "{why}");
    assert_eq!(witness.len(), 2);
    assert!(summary::failed(&late));
}

/// Without anything drawn there is nothing to recover from.
#[test]
fn calm_is_live() {
    let text = "duration = '5s'\nsettle = '5s'\n[[redis]]\nname = 'r1'\n[chaos]\nrate = '1/h'\n";
    let loaded = scenario_files::load(Path::new("f.toml"), text, &[]).unwrap_or_else(|report| panic!("{report}"));
    let run = run::run(&Arc::new(loaded.scenario), Seed(1), &mut |_| {});
    assert!(!summary::failed(&run), "{:?}", run.expectations);
    assert_eq!(run.expectations.len(), 1);
    assert!(matches!(verdict(&run), Some(Verdict::Pass)));
}
