//! Deployments whose instructions are to be counted, or that are to be profiled without a benchmark's frame around them:
//!
//!     cargo build --profile bench --bench counted
//!     valgrind --tool=callgrind --toggle-collect='*counted*measured*' target/release/deps/counted-* idle
//!
//! The next argument says how much of it: `set` 15 s of one client, `idle N` minutes of the idle deployment, `crash N` runs
//! of the master crash, `exchange N` four million messages among N nodes.

#![allow(clippy::print_stdout, reason = "its output is the count")]

mod deploy;

use splitbrain::rng::Seed;
use splitbrain::run;
use splitbrain::world::World;

/// As in the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[inline(never)]
fn measured_set(world: &mut World, to_ms: u64) -> u64 {
    deploy::advance(world, to_ms)
}

#[inline(never)]
fn measured_idle(world: &mut World, to_ms: u64) {
    deploy::advance(world, to_ms);
}

#[inline(never)]
fn measured_crash(runs: u64) {
    let scenario = deploy::sentinels(true);
    let mut digests = 0;
    for seed in 1..=runs {
        digests ^= run::run(&scenario, Seed(seed), &mut |_| {}).digest.0;
    }
    println!("digests {digests:016x}");
}

fn main() {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let count = args.next().and_then(|n| n.parse().ok()).unwrap_or(10);
    match what.as_str() {
        "set" => {
            let mut world = World::new(deploy::exchange(2), Seed(1));
            // Every key exists and every buffer has its size before anything is counted.
            deploy::advance(&mut world, 20_000);
            let operations = measured_set(&mut world, 35_000);
            println!("{operations} operations, digest {}", world.fingerprint());
        }
        "idle" => {
            let mut world = World::new(deploy::sentinels(false), Seed(1));
            deploy::advance(&mut world, 30_000);
            let before = world.events();
            measured_idle(&mut world, 30_000 + 60_000 * count);
            println!("{count} minutes, {} events, digest {}", world.events().0 - before.0, world.fingerprint());
        }
        "exchange" => {
            let nodes = usize::try_from(count).expect("a number of nodes");
            let mut world = World::new(deploy::exchange(nodes), Seed(1));
            let (mut at, mut done) = (0, 0);
            while done < 4_000_000 {
                at += 100;
                done += 2 * deploy::advance(&mut world, at);
            }
            println!("{done} messages, digest {}", world.fingerprint());
        }
        "crash" => {
            measured_crash(count);
            println!("{count} runs");
        }
        other => println!("idle or crash, not {other}"),
    }
}
