//! Faults that wait for an event of the trace: they strike right after it, at the same place in every run.

use std::path::Path;
use std::sync::Arc;

use splitbrain::rng::Seed;
use splitbrain::run;
use splitbrain::scenario::Scenario;
use splitbrain::time::Span;
use splitbrain::trace::Event;

use super::scenario_files::load;

const BASE: &str = "duration = '20s'\n[[redis]]\nname = 'r1'\n[[redis]]\nname = 'r2'\nreplicaof = 'r1'\n\
    [[sentinel]]\nnames = ['s1', 's2', 's3']\n\
    monitor = [{ name = 'm', master = 'r1', quorum = 2, down-after-milliseconds = 1000, failover-timeout = 5000 }]\n\
    [[client]]\nname = 'c'\ncount = 2\nvia = 'sentinel:m'\nworkload = { kind = 'kv', rate = '20/s', write-ratio = 1.0 }\n";

fn scenario(faults: &str) -> Arc<Scenario> {
    let text = format!("{BASE}{faults}");
    Arc::new(load(Path::new("f.toml"), &text, &[]).unwrap_or_else(|report| panic!("{report}")).scenario)
}

fn events(scenario: &Arc<Scenario>) -> Vec<Event> {
    run::run_and_keep(scenario, Seed(7)).1
}

fn of<'a>(events: &'a [Event], name: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.kind.name() == name).collect()
}

#[test]
fn a_fault_strikes_right_after_its_event() {
    let faults = "[[fault]]\nat = '5s'\ncrash = 'r1'\n\
        [[fault]]\nname = 'odd'\nwhen = '+odown'\nfor = '2s'\npause = 's1'\n\
        [[fault]]\nafter = 'odd'\nat = '1s'\nrestart = 'r1'\n";
    let events = events(&scenario(faults));
    let odown = of(&events, "+odown")[0];
    let pause = of(&events, "fault-began")[1];
    assert_eq!((pause.at, pause.cause), (odown.at, odown.id), "{pause:?}");
    assert!(pause.kind.to_string().ends_with("pause s1 when +odown"), "{}", pause.kind);
    let between = &events[usize::try_from(odown.id.0).expect("small")..usize::try_from(pause.id.0).expect("small") - 1];
    assert!(between.iter().all(|event| event.node == odown.node), "{between:?}");
    let restart = of(&events, "fault-began")[2];
    assert_eq!((restart.at, restart.cause), (odown.at + Span::from_secs(1), pause.id));
}

#[test]
fn a_trigger_counts_at_its_nodes_and_may_wait() {
    let faults = "[[fault]]\nwhen = { event = 'invoke', node = 'c-2', nth = 5, after = '10ms' }\nfor = '1s'\npause = 'c-2'\n\
        [[fault]]\npause = { client = 'c-1', when = 'connected' }\nfor = '500ms'\n\
        [[fault]]\nwhen = { event = 'invoke', nth = 100000 }\ncrash = 'r2'\n";
    let scenario = scenario(faults);
    let events = events(&scenario);
    let clients = |name: &str| scenario.node(name);
    let fifth = of(&events, "invoke").into_iter().filter(|event| event.node == clients("c-2")).nth(4).expect("it asks");
    let began = of(&events, "fault-began");
    assert_eq!(began.len(), 2, "the third waits for ever");
    let connected =
        of(&events, "connected").into_iter().find(|event| event.node == clients("c-1")).expect("it connects");
    let (first, second) = (began[0], began[1]);
    assert_eq!((first.at, first.cause), (connected.at, connected.id));
    assert_eq!((second.at, second.cause), (fifth.at + Span::from_ms(10), fifth.id));
}

/// However a host divides time, whether it drains or not, and from a clone: always the same.
#[test]
fn triggers_do_not_depend_on_the_host() {
    let faults = "[[fault]]\nwhen = { event = 'ok', nth = 33 }\nfor = '3s'\npartition = [['r1', 's1'], ['r2', 's2', 's3', 'c']]\n";
    let scenario = scenario(faults);
    let whole = run::run(&scenario, Seed(3), &mut |_| {});
    let mut world = splitbrain::world::World::new(scenario.clone(), Seed(3));
    let mut drained = Vec::new();
    for ms in (0..2_500).step_by(7) {
        world.advance(splitbrain::time::Instant::ZERO + Span::from_ms(ms));
        if ms % 2 == 0 {
            world.drain(&mut drained);
        }
    }
    let mut fork = world.clone();
    for world in [&mut world, &mut fork] {
        let _ = run::play(world, &mut |_| {});
        assert_eq!(world.fingerprint(), whole.digest);
    }
}

#[test]
fn what_can_not_be_waited_for_is_explained() {
    for (fault, message) in [
        ("when = 'lock-aquired'\npause = 'c'", "did you mean `lock-acquired`?"),
        ("when = 'final'\npause = 'c'", "no event of the trace is called `final`"),
        ("when = '+odown'\nat = '3s'\npause = 'c'", "`at` and `when` exclude each other"),
        ("pause = 'c'", "lacks the field `at`"),
        ("when = 'ok'\npause = { client = 'c', when = 'ok' }", "waits for two events"),
        ("when = { event = 'ok', nth = 0 }\npause = 'c'", "counted from 1"),
        ("pause = { when = 'ok' }", "nobody is paused"),
        ("when = { event = 'ok', node = 'zz' }\npause = 'c'", "nothing is called `zz`"),
    ] {
        let text = format!("{BASE}[[fault]]\n{fault}\n");
        let report = load(Path::new("f.toml"), &text, &[]).expect_err(fault);
        assert!(report.contains(message), "{fault}\n{report}");
    }
}

#[test]
fn triggers_are_printed_as_they_were_written() {
    let faults = "[[fault]]\npause = { client = \"c\", when = { event = \"ok\", nth = 2 } }\nfor = \"1s\"\n\
        [[fault]]\nwhen = \"+odown\"\ncrash = \"r2\"\n";
    let text = format!("{BASE}{faults}");
    let loaded = load(Path::new("f.toml"), &text, &[]).unwrap_or_else(|report| panic!("{report}"));
    let printed = loaded.print();
    assert!(printed.contains("pause = { client = \"c\", when = { event = \"ok\", nth = 2 } }"), "{printed}");
    assert!(printed.contains("when = \"+odown\""), "{printed}");
    let again = load(Path::new("f.toml"), &printed, &[]).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(again.scenario.faults, loaded.scenario.faults);
}

/// Shrinking leaves the trigger in place, and takes the rest away.
#[test]
fn scenarios_with_triggers_shrink() {
    let faults = "[[fault]]\nat = '3s'\nfor = '1s'\npause = 'r2'\n\
        [[fault]]\nwhen = { event = 'ok', node = 'c-1', nth = 20 }\ncrash = 'r1'\n\
        [[fault]]\nat = '8s'\nfor = '1s'\ncpu = { nodes = 's1', slow-down = 2 }\n[expect]\n\"failover.count\" = 0\n";
    let text = format!("{BASE}{faults}");
    let loaded = load(Path::new("f.toml"), &text, &[]).unwrap_or_else(|report| panic!("{report}"));
    let options = super::shrink::options(5);
    let shrunk = run::shrink::shrink(&loaded, &options, &mut |_| {}).expect("it fails");
    assert!(shrunk.text.contains("when = {"), "{}", shrunk.text);
    assert_eq!(shrunk.text.matches("[[fault]]").count(), 1, "{}", shrunk.text);
}
