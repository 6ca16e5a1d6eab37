//! How many instructions a SET and its reply cost through client node, world and server node. Run it under callgrind:
//!
//!     cargo build --profile bench --bench one_set
//!     valgrind --tool=callgrind --toggle-collect='*one_set*measured*' target/release/deps/one_set-*
//!
//! and divide the instructions collected by the operations it says it made. `callgrind_annotate` shows where they go.

#![allow(clippy::print_stdout, reason = "its output is the count")]

mod deploy;

use splitbrain::rng::Seed;
use splitbrain::world::World;

/// As in the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[inline(never)]
fn measured(world: &mut World, to_ms: u64) -> u64 {
    deploy::advance(world, to_ms)
}

fn main() {
    let mut world = World::new(deploy::exchange(2), Seed(1));
    // Every key exists and every buffer has its size before anything is counted.
    deploy::advance(&mut world, 20_000);
    let operations = measured(&mut world, 35_000);
    println!("{operations} operations");
}
