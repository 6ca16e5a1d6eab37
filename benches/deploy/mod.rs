//! The deployments that benchmarks run.

use std::fmt::Write as _;
use std::sync::Arc;

use splitbrain::rng::Seed;
use splitbrain::scenario::{Input, Scenario, load};
use splitbrain::time::Instant;
use splitbrain::trace::Kind;
use splitbrain::trace::event::ClientEvent;
use splitbrain::world::World;

fn scenario(text: &str) -> Arc<Scenario> {
    let input = Input { name: "bench.toml", text, sets: &[], read_file: &|path| Err(format!("no file {path}")) };
    match load(input) {
        Ok(loaded) => Arc::new(loaded.scenario),
        Err(report) => panic!("{}", report.render(100, false)),
    }
}

/// Half of the nodes are clients, each with a server of its own: SET of one of 1,000 keys, wait for the reply, again.
#[allow(dead_code, reason = "not every benchmark needs every deployment")]
pub(crate) fn exchange(nodes: usize) -> Arc<Scenario> {
    let mut text = "duration = \"1h\"\n[network]\nlatency = \"uniform(0.5ms, 1ms)\"\n".to_owned();
    for pair in 0..nodes / 2 {
        write!(
            text,
            "[[redis]]\nname = \"r{pair}\"\n[[client]]\nname = \"c{pair}\"\nvia = \"redis:r{pair}\"\n\
             workload = {{ kind = \"kv\", think = \"0s\", keys = 1000, key-size = \"12b\", \
             write-ratio = 1.0, value-size = \"32b\" }}\n"
        )
        .expect("a string takes everything");
    }
    scenario(&text)
}

/// One master, two replicas, three sentinels; nothing to do but heartbeats, or a killed master at 10 s.
#[allow(dead_code, reason = "not every benchmark needs every deployment")]
pub(crate) fn sentinels(crash: bool) -> Arc<Scenario> {
    let fault = if crash { "[[fault]]\nat = \"10s\"\ncrash = \"r1\"\nrestart-after = \"30s\"\n" } else { "" };
    scenario(&format!(
        r#"
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
        monitor = [{{ name = "mymaster", master = "r1", quorum = 2, down-after-milliseconds = 5000, failover-timeout = 60000, parallel-syncs = 1 }}]
        {fault}"#
    ))
}

/// Ten servers of 1,000 keys each, filled by ten clients in a simulated second.
#[allow(dead_code, reason = "not every benchmark needs every deployment")]
pub(crate) fn filled() -> World {
    let mut text = "duration = \"1s\"\n".to_owned();
    for server in 0..10 {
        write!(
            text,
            "[[redis]]\nname = \"r{server}\"\n[[client]]\nname = \"c{server}\"\nvia = \"redis:r{server}\"\nworkload = \
             {{ kind = \"kv\", rate = \"20000/s\", keys = 10000, key-choice = \"sequential\", write-ratio = 1.0, value-size = \"32b\" }}\n"
        )
        .expect("a string takes everything");
    }
    let mut world = World::new(scenario(&text), Seed(1));
    advance(&mut world, 2_000);
    world
}

/// Lets time pass up to so many milliseconds, and throws the events away as a sweep does. Counts acknowledged operations.
pub(crate) fn advance(world: &mut World, to_ms: u64) -> u64 {
    let mut acknowledged = 0;
    loop {
        let there = world.advance_some(Instant(to_ms * 1_000_000), 24);
        world.show(|event| acknowledged += u64::from(matches!(event.kind, Kind::Client(ClientEvent::Ok { .. }))));
        if there {
            return acknowledged;
        }
    }
}
