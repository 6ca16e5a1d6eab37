//! Hosts divide time as real time comes; a replay divides it otherwise. Whatever the division, the trace is the same.

use std::path::Path;
use std::sync::Arc;

use splitbrain::host::{Entry, Header, Session, replay};
use splitbrain::id::{Addr, Ip};
use splitbrain::scenario::{Layout, Scenario};
use splitbrain::time::{Instant, Span, Unix};
use splitbrain::trace::Event;
use splitbrain::world::World;

use crate::hosts::Sink;
use crate::scenario_files::{library, load};

/// How a host divides time.
#[derive(Clone, Copy, Debug)]
enum Division {
    /// At once.
    Whole,
    /// To each engine event, as a host does that sleeps in between.
    Events,
    /// In spans that meet no event.
    Spans(Span),
}

fn advance(world: &mut World, to: Instant, division: Division) {
    match division {
        Division::Whole => {}
        Division::Events => {
            while let Some(next) = world.next_at().filter(|&next| next <= to) {
                world.advance(next);
            }
        }
        Division::Spans(span) => {
            while world.now() + span < to {
                world.advance(world.now() + span);
            }
        }
    }
    world.advance(to);
}

fn first_difference(scenario: &Arc<Scenario>, to: Instant, division: Division) -> String {
    let seed = scenario.seed;
    let (mut one, mut other) = (World::new(scenario.clone(), seed), World::new(scenario.clone(), seed));
    let (mut events, mut others): (Vec<Event>, Vec<Event>) = (Vec::new(), Vec::new());
    let mut at = Instant::ZERO;
    while at < to {
        at = (at + Span::from_ms(1_000)).min(to);
        advance(&mut one, at, Division::Whole);
        advance(&mut other, at, division);
        one.drain(&mut events);
        other.drain(&mut others);
        if let Some(place) = (0..events.len().max(others.len())).find(|&place| events.get(place) != others.get(place)) {
            let from = place.saturating_sub(4);
            let show = |list: &[Event]| format!("{:#?}", &list[from.min(list.len())..(place + 2).min(list.len())]);
            return format!("at once: {}\ndivided: {}", show(&events), show(&others));
        }
        events.clear();
        others.clear();
    }
    "only the digests differ".to_owned()
}

/// The library's scenarios, their first seconds, with their clients, faults and locks.
#[test]
fn the_division_of_time_changes_nothing() {
    let to = Instant::ZERO + Span::from_secs(12);
    for path in library() {
        let text = std::fs::read_to_string(&path).expect("readable");
        let scenario = Arc::new(load(&path, &text, &[]).expect("valid").scenario);
        compare(&path, &scenario, to);
    }
}

fn compare(path: &Path, scenario: &Arc<Scenario>, to: Instant) {
    let mut whole = World::new(scenario.clone(), scenario.seed);
    advance(&mut whole, to, Division::Whole);
    for division in [Division::Events, Division::Spans(Span::from_us(733))] {
        let mut divided = World::new(scenario.clone(), scenario.seed);
        advance(&mut divided, to, division);
        if divided.fingerprint() != whole.fingerprint() {
            panic!("{} in {division:?}: {}", path.display(), first_difference(scenario, to, division));
        }
    }
}

/// As many SETs as a client sends at once that has read a long pipeline from a file.
fn long_pipeline() -> String {
    let set = |number: u32| {
        let (key, value) = (format!("many:{number}"), number.to_string());
        format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
    };
    (0..10_000).map(set).collect()
}

/// A master works at a long pipeline for several turns in a row, with more of it coming in between. A replay meets
/// those turns in one call where the host had come to each of them.
#[test]
fn a_long_pipeline_is_replayed() {
    let path = library().into_iter().find(|path| path.ends_with("sentinel/master-crash.toml")).expect("is there");
    let text = std::fs::read_to_string(&path).expect("readable");
    let printed = load(&path, &text, &["fault=[]".to_owned()]).expect("valid").print();
    let layout = Layout { ip: Ip::LOOPBACK, base_port: 7000, clients: false, process_id: None };
    let header = Header::new(printed, layout, Unix(1_764_000_000_123_456_789));
    let sink = Sink::default();
    let mut session = Session::new(header, Some(Box::new(sink.clone()))).expect("valid");
    let see = &mut |_: &Event| {};
    let mut at = Instant(1_400_000_000);
    session.advance(at, see);
    session.put_in(vec![Entry::Call(1, Addr::new(Ip::LOOPBACK, 7000), Addr::new(Ip::LOOPBACK, 50_000))], see);
    let pipeline = long_pipeline();
    let mut rest = pipeline.as_bytes();
    let mut pieces = 0;
    while !rest.is_empty() {
        at += Span::from_us(20_000);
        while let Some(next) = session.world().next_at().filter(|&next| next <= at) {
            session.advance(next, see);
        }
        session.advance(at, see);
        let (piece, later) = rest.split_at(session.world().outside_room(1).min(65_536).min(rest.len()));
        rest = later;
        if !piece.is_empty() {
            pieces += 1;
            session.put_in(vec![Entry::Bytes(1, piece.to_vec().into())], see);
        }
        session.take_out(&mut Vec::new());
    }
    assert!(pieces > 3, "in {pieces} pieces");
    session.advance(Instant(3_000_000_000), see);
    let (run, broken) = session.finish(see);
    assert!(broken.is_none());
    let record = String::from_utf8(sink.0.lock().expect("no panic").clone()).expect("text");
    let (again, whole) = replay(record.lines().map(|line| Ok(line.to_owned())), see).expect("replays");
    assert!(whole);
    assert_eq!((run.digest, run.events), (again.digest, again.events));
}
