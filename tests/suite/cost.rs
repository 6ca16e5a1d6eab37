//! What a world costs: engine events, which are what time is spent on, and never seconds, which depend on the machine.

use std::path::Path;
use std::sync::Arc;

use splitbrain::rng::Seed;
use splitbrain::time::Instant;
use splitbrain::world::World;

use crate::scenario_files;

/// A client that writes these keys one after the other to one server, beside servers that nobody talks to and rules for links that
/// nobody uses.
fn beside(idle: usize, links: usize, keys: u32) -> World {
    let mut text = format!(
        "duration = \"1h\"\n[network]\nlatency = \"1ms\"\n[[redis]]\nname = \"r\"\nconfig = {{ save = \"\" }}\n\
         [[client]]\nname = \"c\"\nvia = \"redis:r\"\nworkload = {{ kind = \"kv\", rate = \"100/s\", stop = \"5s\", \
         keys = {keys}, key-choice = \"sequential\", write-ratio = 1.0, value-size = \"32b\" }}\n"
    );
    for n in 0..idle {
        text.push_str(&format!("[[redis]]\nname = \"idle{n}\"\nconfig = {{ save = \"\" }}\n"));
    }
    for n in 0..links {
        text.push_str(&format!("[[link]]\nfrom = \"idle{n}\"\nto = \"r\"\nlatency = \"7ms\"\n"));
    }
    match scenario_files::load(Path::new("cost.toml"), &text, &[]) {
        Ok(loaded) => World::new(Arc::new(loaded.scenario), Seed(1)),
        Err(report) => panic!("{report}"),
    }
}

/// Engine events between two times.
fn steps(world: &mut World, from_s: u64, to_s: u64) -> u64 {
    world.advance(Instant(from_s * 1_000_000_000));
    let before = world.steps();
    world.advance(Instant(to_s * 1_000_000_000));
    world.steps() - before
}

#[test]
fn what_is_idle_costs_nothing() {
    let mut alone = beside(0, 0, 1);
    let working = steps(&mut alone, 1, 5);
    assert!(working > 4 * 200, "{working} for 400 requests and replies");
    for (idle, links, keys) in [(1, 0, 1), (60, 0, 1), (60, 60, 1), (0, 0, 500)] {
        let mut world = beside(idle, links, keys);
        assert_eq!(steps(&mut world, 1, 5), working, "{idle} idle servers, {links} links, {keys} keys");
        assert_eq!(steps(&mut world, 10, 3_000), steps(&mut alone, 10, 3_000), "{idle}, {links}, {keys}: nobody works");
        alone = beside(0, 0, 1);
    }
}

/// Twice the time is twice the events.
#[test]
fn events_grow_with_what_happens() {
    let mut world = beside(0, 0, 1);
    let (first, second) = (steps(&mut world, 1, 2), steps(&mut world, 2, 4));
    assert!(second.abs_diff(2 * first) <= first / 10, "{first}, then {second} in twice the time");
}

/// An idle server sleeps: it is woken neither by its ticks nor by anything else.
#[test]
fn an_idle_server_is_never_woken() {
    let mut world = beside(20, 0, 1);
    assert_eq!(steps(&mut world, 10, 3_600), 0);
}
