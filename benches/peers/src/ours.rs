//! The exchange on splitbrain: its own client nodes, world and servers.

use splitbrain::rng::Seed;
use splitbrain::world::World;

use crate::{deploy, tally};

pub fn run(nodes: usize, _messages: u64) {
    let mut world = World::new(deploy::exchange(nodes), Seed(1));
    let mut at = 0;
    while !tally::is_over() {
        at += 100;
        tally::count(2 * deploy::advance(&mut world, at));
    }
}
