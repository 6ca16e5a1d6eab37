//! The exchange on splitbrain: its own client nodes, world and servers.

use splitbrain::rng::Seed;
use splitbrain::world::World;

use crate::deploy;

pub fn run(nodes: usize, messages: u64) -> u64 {
    let mut world = World::new(deploy::exchange(nodes), Seed(1));
    let (mut at, mut done) = (0, 0);
    while done < messages {
        at += 100;
        done += 2 * deploy::advance(&mut world, at);
    }
    done
}
