//! Runs that would not end: each stops where it is told, has failed, and has a trace.

use std::path::Path;
use std::sync::Arc;

use splitbrain::id::NodeId;
use splitbrain::node::{DiskImage, Input, Outbox};
use splitbrain::report::summary;
use splitbrain::rng::{Dist, Seed};
use splitbrain::run::{self, Ended, Limits, STANDSTILL};
use splitbrain::scenario::Scenario;
use splitbrain::time::{Instant, Now, Span};
use splitbrain::trace::Kind;
use splitbrain::trace::event::WorldEvent;

use crate::scenario_files;
use crate::world::rig::{PORT, Rig, Script, addr, scenario};

/// Two programs that send each other's bytes back for ever, and note nothing after the first.
#[derive(Clone, Debug)]
struct PingPong {
    me: u16,
}

impl Script for PingPong {
    fn start(&mut self, _now: Now, _disk: &DiskImage, out: &mut Outbox) {
        out.listen(PORT);
        if self.me == 1 {
            out.connect(addr(0));
        }
    }

    fn handle(&mut self, _now: Now, input: &Input, out: &mut Outbox) {
        if let Input::Connected { fd, .. } = input {
            out.note(Kind::World(WorldEvent::ExecReply { command: "serve".into(), reply: "".into() }));
            out.send(*fd, bytes::Bytes::from_static(b"ball"));
        } else if let Input::Bytes { fd, data } = input {
            out.send(*fd, data.clone());
        }
    }
}

fn ping_pong(latency: Span) -> Rig {
    let mut scenario = scenario(2, vec![]);
    scenario.network.latency = Dist::Constant(latency);
    Rig::new(scenario, |me| PingPong { me })
}

/// Without limits, time that stands still is noticed.
#[test]
fn a_livelock_at_one_instant_ends_with_a_trace() {
    let mut rig = ping_pong(Span::ZERO);
    let mut events = Vec::new();
    let run = run::run_on(&mut rig.world, &Limits::NONE, &mut |event| events.push(event.clone()));
    assert_eq!(run.ended, Ended::Standstill(STANDSTILL));
    assert!(summary::failed(&run), "a run without an end has failed");
    assert!(events.iter().any(|event| event.node == Some(NodeId(1))), "its trace is there");
    assert_eq!(run.events.0, events.len() as u64);
}

/// Events that leave no trace count as well: here nearly all of them.
#[test]
fn a_busy_run_ends_at_its_limit_of_events() {
    let mut rig = ping_pong(Span::from_us(10));
    let limits = Limits { events: Some(10_000), ..Limits::NONE };
    let run = run::run_on(&mut rig.world, &limits, &mut |_| {});
    assert_eq!(run.ended, Ended::EventLimit(10_000));
    assert!(run.events.0 < 100, "{} events in the trace", run.events.0);
    assert!(run.simulated > Span::from_ms(90) && run.simulated < Span::from_ms(110), "{}", run.simulated);
    assert_eq!(rig.world.steps(), 10_000);
}

fn load(text: &str) -> Arc<Scenario> {
    let loaded = scenario_files::load(Path::new("f.toml"), text, &[]).unwrap_or_else(|report| panic!("{report}"));
    Arc::new(loaded.scenario)
}

/// A real deployment can do it too: nothing costs time, and a client never thinks.
#[test]
fn a_scenario_that_livelocks_fails() {
    let text = "duration = '10s'\ncpu-costs = 0\nnetwork = { latency = '0s', loopback = '0s' }\n\
        [[redis]]\nname = 'r1'\n\
        [[client]]\nname = 'w'\nvia = 'redis:r1'\nworkload = { kind = 'kv', think = '0s' }\n";
    let limits = Limits { events: Some(30_000), simulated: Some(Span::from_secs(5)) };
    let run = run::run_limited(&load(text), Seed(1), &limits, &mut |_| {});
    assert_eq!((run.ended, run.simulated), (Ended::EventLimit(30_000), Span::ZERO));
}

/// A limit beyond the run's end changes nothing; one within it cuts the same trace off, and judges no end.
#[test]
fn a_limit_only_cuts() {
    let text = "duration = '10s'\nsettle = '5s'\n\
        [[redis]]\nname = 'r1'\n[[redis]]\nname = 'r2'\nreplicaof = 'r1'\n\
        [expect]\nconverged = true\n";
    let scenario = load(text);
    let mut whole = Vec::new();
    let free = run::run(&scenario, Seed(3), &mut |event| whole.push(event.clone()));
    assert!(free.ended.finished() && !summary::failed(&free));
    let wide = Limits { events: Some(1_000_000), simulated: Some(Span::from_secs(15)) };
    let same = run::run_limited(&scenario, Seed(3), &wide, &mut |_| {});
    assert_eq!((same.digest, same.ended), (free.digest, Ended::Finished));
    for (limits, ended) in [
        (Limits { simulated: Some(Span::from_secs(12)), ..Limits::NONE }, Ended::TimeLimit(Span::from_secs(12))),
        (Limits { simulated: Some(Span::from_secs(4)), ..Limits::NONE }, Ended::TimeLimit(Span::from_secs(4))),
        (Limits { events: Some(40), ..Limits::NONE }, Ended::EventLimit(40)),
    ] {
        let mut part = Vec::new();
        let run = run::run_limited(&scenario, Seed(3), &limits, &mut |event| part.push(event.clone()));
        assert_eq!(run.ended, ended);
        assert_eq!(part[..], whole[..part.len()]);
        assert!(!part.is_empty() && part.len() < whole.len() && summary::failed(&run));
        if let Some(last) = limits.simulated {
            let rest = &whole[part.len()];
            assert!(rest.at > Instant::ZERO + last || rest.kind.to_string() == "end", "{rest:?}");
        }
    }
}
