//! Sentinels against servers that know just enough for them, on the real network: what they say, when, and why.

mod bare;
mod commands;
mod lazy;
mod real;
mod stories;
mod toy;

use std::path::Path;
use std::sync::Arc;

use splitbrain::id::{EventId, NodeId};
use splitbrain::rng::Seed;
use splitbrain::run;
use splitbrain::scenario::Scenario;
use splitbrain::trace::event::{SentinelEvent, SentinelEventName};
use splitbrain::trace::{Event, Kind};
use splitbrain::world::World;

use crate::scenario_files::load;

/// Three servers and three sentinels with a down-after of one second; `more` is the rest of the scenario file.
fn deployment(more: &str) -> Arc<Scenario> {
    sentinels(3, 2, more)
}

fn sentinels(count: u32, quorum: u32, more: &str) -> Arc<Scenario> {
    configured(count, quorum, "", more)
}

/// With further settings of the monitored master.
fn configured(count: u32, quorum: u32, settings: &str, more: &str) -> Arc<Scenario> {
    let mut text = String::from(
        "name = \"toy\"\ndescription = \"Toy servers.\"\nduration = \"60s\"\nsettle = \"0s\"\n\
         [network]\nlatency = \"50us\"\n[[redis]]\nname = \"r1\"\n\
         [[redis]]\nnames = [\"r2\", \"r3\"]\nreplicaof = \"r1\"\n",
    );
    for n in 1..=count {
        text.push_str(&format!(
            "[[sentinel]]\nname = \"s{n}\"\nmonitor = [{{ name = \"mymaster\", master = \"r1\", quorum = {quorum}, \
             down-after-milliseconds = 1000, failover-timeout = 10000, parallel-syncs = 1{settings} }}]\n"
        ));
    }
    text.push_str(more);
    text_scenario(&text)
}

/// Two masters with a replica each, watched by the same three sentinels.
fn two_masters(more: &str) -> (Arc<Scenario>, toy::Traits) {
    let mut text = String::from(
        "name = \"two\"\ndescription = \"Two masters.\"\nduration = \"60s\"\nsettle = \"0s\"\n\
         [[redis]]\nnames = [\"r1\", \"q1\"]\n[[redis]]\nname = \"r2\"\nreplicaof = \"r1\"\n\
         [[redis]]\nname = \"q2\"\nreplicaof = \"q1\"\n[[sentinel]]\nnames = [\"s1\", \"s2\", \"s3\"]\nmonitor = [\n",
    );
    for (name, master) in [("red", "r1"), ("green", "q1")] {
        text.push_str(&format!(
            "{{ name = \"{name}\", master = \"{master}\", quorum = 2, down-after-milliseconds = 1000 }},\n"
        ));
    }
    text.push_str("]\n");
    text.push_str(more);
    let follows = [("r1", None), ("q1", None), ("r2", Some("r1")), ("q2", Some("q1"))].into_iter().collect();
    (text_scenario(&text), toy::Traits { follows, ..toy::Traits::default() })
}

fn text_scenario(text: &str) -> Arc<Scenario> {
    match load(Path::new("scenarios/toy.toml"), text, &[]) {
        Ok(loaded) => Arc::new(loaded.scenario),
        Err(report) => panic!("{text}\n{report}"),
    }
}

/// What came out of a run.
struct Played {
    scenario: Arc<Scenario>,
    events: Vec<Event>,
}

fn play(scenario: &Arc<Scenario>, seed: u64, traits: toy::Traits) -> Played {
    let mut world = World::with_programs(scenario.clone(), Seed(seed), toy::programs(traits));
    let mut events = Vec::new();
    run::play(&mut world, &mut |event| events.push(event.clone()));
    Played { scenario: scenario.clone(), events }
}

impl Played {
    fn name(&self, node: NodeId) -> &str {
        &self.scenario.nodes[node.index()].name
    }

    /// Sentinels' published events: milliseconds, node, name, payload.
    fn said(&self) -> Vec<(u64, &str, SentinelEventName, String)> {
        let said = |event: &Event| match (&event.kind, event.node) {
            (Kind::Sentinel(what @ SentinelEvent::Said { name, .. }), Some(node)) => {
                Some((event.at.ms(), node, *name, what.payload().unwrap_or_default()))
            }
            _ => None,
        };
        let said = self.events.iter().filter_map(said);
        said.map(|(at, node, name, payload)| (at, self.name(node), name, payload)).collect()
    }

    /// When each sentinel said this.
    fn times(&self, name: SentinelEventName) -> Vec<(u64, &str)> {
        let said = self.said();
        said.iter().filter(|(_, _, said, _)| *said == name).map(|(at, node, ..)| (*at, *node)).collect()
    }

    fn count(&self, name: SentinelEventName) -> usize {
        self.times(name).len()
    }

    /// The names of what one sentinel said from a time on, in order.
    fn names_of(&self, node: &str, from_ms: u64) -> Vec<&'static str> {
        let said = self.said();
        said.iter()
            .filter(|(at, who, ..)| *who == node && *at >= from_ms)
            .map(|(_, _, name, _)| name.as_str())
            .collect()
    }

    /// The payloads of one event.
    fn payloads(&self, name: SentinelEventName) -> Vec<String> {
        self.said().into_iter().filter(|(_, _, said, _)| *said == name).map(|(.., payload)| payload).collect()
    }

    fn event(&self, id: EventId) -> &Event {
        &self.events[usize::try_from(id.0).expect("few events") - 1]
    }

    /// The chain of causes from an event back to its root.
    fn causes<'a>(&'a self, mut event: &'a Event) -> Vec<String> {
        let mut chain = vec![event.kind.to_string()];
        while event.cause != EventId::NONE {
            event = self.event(event.cause);
            chain.push(event.kind.to_string());
        }
        chain
    }
}
