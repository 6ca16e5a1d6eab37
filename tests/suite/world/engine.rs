//! Time, turns of the event loop, order, and that a run depends on nothing but its scenario and seed.

use std::sync::Arc;

use bytes::Bytes;
use splitbrain::fault::Fault;
use splitbrain::id::{Addr, Fd, Ip, MachineId, NodeId};
use splitbrain::node::{DiskImage, Input, Outbox};
use splitbrain::rng::{Dist, Ratio, Seed};
use splitbrain::scenario::{Scenario, TieBreak};
use splitbrain::time::{Instant, Now, Span};
use splitbrain::trace::Kind;
use splitbrain::trace::event::WorldEvent;
use splitbrain::world::{Injection, Outside, World};

use super::rig::{PORT, Rig, Script, Seen, Talker, addr, cut, scenario, timed, us};

/// Everybody calls everybody and chats: echoes what it gets after being busy for a while, with a note of it.
#[derive(Clone, Debug)]
struct Chatter {
    me: u16,
    count: u16,
    busy: Span,
    peers: Vec<Fd>,
    beat: Instant,
}

impl Chatter {
    fn new(me: u16, count: u16, busy: Span) -> Chatter {
        Chatter { me, count, busy, peers: Vec::new(), beat: Instant::ZERO }
    }
}

impl Script for Chatter {
    fn start(&mut self, now: Now, _disk: &DiskImage, out: &mut Outbox) {
        out.listen(PORT);
        self.peers = (0..self.count).filter(|n| *n != self.me).map(|n| out.connect(addr(n))).collect();
        self.beat = now.mono + Span::from_ms(10);
    }

    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox) {
        match input {
            Input::Bytes { fd, data } => {
                out.busy(self.busy);
                let text = format!("{} got {} of {fd:?}", self.me, data.len());
                out.note(Kind::World(WorldEvent::ExecReply { command: "chat".into(), reply: text.into() }));
                if data.len() < 40 {
                    out.send(*fd, Bytes::from([&data[..], b"+"].concat()));
                }
            }
            Input::Closed { fd, .. } | Input::Refused { fd, .. } => {
                if self.peers.contains(fd) {
                    self.peers.retain(|peer| peer != fd);
                    let other = (0..self.count).find(|n| *n != self.me).expect("not alone");
                    self.peers.push(out.connect(addr(other)));
                }
            }
            Input::Wake if now.mono >= self.beat => {
                self.beat = now.mono + Span::from_ms(10);
                for &fd in &self.peers {
                    out.send(fd, Bytes::from_static(b"hi"));
                }
            }
            Input::Wake
            | Input::Accepted { .. }
            | Input::Connected { .. }
            | Input::Writable { .. }
            | Input::DiskDone { .. }
            | Input::JobDone { .. }
            | Input::Files(_)
            | Input::Signal(_)
            | Input::LoopEnd => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.beat)
    }
}

/// Four chatters, everything random, some faults.
fn noisy(seed: u64, tie_break: TieBreak) -> Rig {
    let faults = vec![
        timed(300, Some(400), cut(0, 1)),
        timed(350, Some(700), Fault::Pause { nodes: vec![NodeId(2)] }),
        timed(600, Some(500), Fault::Crash { nodes: vec![NodeId(3)] }),
        timed(700, Some(500), Fault::PowerOff { machines: vec![MachineId(1)] }),
        timed(
            100,
            Some(1_000),
            Fault::Clock { machines: vec![MachineId(0)], jump_ns: 5_000_000, drift_ppm: Some(900) },
        ),
        timed(100, Some(1_000), Fault::Cpu { nodes: vec![NodeId(0)], slow_down_milli: 20_000 }),
    ];
    let mut scenario = scenario(4, faults);
    scenario.seed = Seed(seed);
    scenario.tie_break = tie_break;
    scenario.network.latency = Dist::Uniform(Span::from_us(200), Span::from_us(900));
    scenario.network.loss = Ratio::from_f64(0.02).expect("a probability");
    scenario.machines[2].clock_drift_ppm = -300;
    Rig::new(scenario, |n| Chatter::new(n, 4, Span::from_us(150)))
}

#[test]
fn how_time_is_cut_up_and_clones_change_nothing() {
    for tie_break in [TieBreak::Sequence, TieBreak::Random] {
        let mut whole = noisy(7, tie_break);
        whole.until_ms(2_000);
        assert!(whole.events.len() > 2_000, "{} events", whole.events.len());

        let mut steps = noisy(7, tie_break);
        for ms in 0..200 {
            // Odd steps, so that many end in the middle of a busy span.
            steps.world.advance(Instant(ms * 10_000_000 + ms * 37_111 % 10_000_000 / 2));
        }
        steps.until_ms(2_000);
        assert_eq!(steps.world.fingerprint(), whole.world.fingerprint(), "in steps");
        assert!(steps.events == whole.events);

        let mut original = noisy(7, tie_break);
        original.until_ms(777);
        let mut clone = original.world.clone();
        clone.advance(Instant::ZERO + Span::from_ms(2_000));
        original.until_ms(2_000);
        assert_eq!(clone.fingerprint(), whole.world.fingerprint(), "the clone");
        assert_eq!(original.world.fingerprint(), whole.world.fingerprint(), "the original");

        let mut other = noisy(8, tie_break);
        other.until_ms(2_000);
        assert_ne!(other.world.fingerprint(), whole.world.fingerprint(), "another seed");
    }
}

#[test]
fn events_are_numbered_without_gaps_and_in_order_of_time() {
    let mut rig = noisy(3, TieBreak::Sequence);
    rig.until_ms(2_000);
    let mut at = Instant::ZERO;
    for (event, number) in rig.events.iter().zip(1..) {
        assert_eq!(event.id.0, number);
        assert!(event.at >= at);
        assert!(event.cause < event.id, "{event:?}");
        at = event.at;
    }
    assert_eq!(rig.world.events().0, rig.events.len() as u64);
}

/// The order in which node 0 takes what three others send so that it arrives at the same instant.
fn arrivals(seed: u64, tie_break: TieBreak) -> Vec<Addr> {
    let mut scenario = scenario(4, vec![]);
    (scenario.seed, scenario.tie_break) = (Seed(seed), tie_break);
    let mut rig = Rig::new(scenario, |n| if n == 0 { Talker::listener() } else { Talker::caller(0, vec![]) });
    rig.until_ms(100);
    let from = |seen: &Seen| if let Input::Accepted { from, .. } = &seen.input { Some(*from) } else { None };
    rig.seen(0).iter().filter_map(from).collect()
}

#[test]
fn ties_are_in_sequence_or_drawn() {
    let ports = |n: u8| Addr::new(Ip::new(10, 0, 0, n), 32_768);
    assert_eq!(arrivals(1, TieBreak::Sequence), [ports(2), ports(3), ports(4)]);
    assert_eq!(arrivals(2, TieBreak::Sequence), arrivals(1, TieBreak::Sequence));
    let drawn: std::collections::BTreeSet<_> = (0..30).map(|seed| arrivals(seed, TieBreak::Random)).collect();
    assert_eq!(drawn.len(), 6, "every order happens");
}

/// Is busy for 10 ms with everything it gets, and answers at the end of the turn.
#[derive(Clone, Debug, Default)]
struct Slow {
    answers: Vec<Fd>,
    turns: Vec<usize>,
}

impl Script for Slow {
    fn start(&mut self, _now: Now, _disk: &DiskImage, out: &mut Outbox) {
        out.listen(PORT);
    }

    fn handle(&mut self, _now: Now, input: &Input, out: &mut Outbox) {
        if let Input::Bytes { fd, .. } = input {
            out.busy(Span::from_ms(10));
            self.answers.push(*fd);
        }
        if *input == Input::LoopEnd {
            self.turns.push(self.answers.len());
            for fd in self.answers.drain(..) {
                out.send(fd, Bytes::from_static(b"done"));
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Part {
    Slow(Slow),
    Talker(Talker),
}

impl Script for Part {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        match self {
            Part::Slow(script) => script.start(now, disk, out),
            Part::Talker(script) => script.start(now, disk, out),
        }
    }

    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox) {
        match self {
            Part::Slow(script) => script.handle(now, input, out),
            Part::Talker(script) => script.handle(now, input, out),
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        match self {
            Part::Slow(_) => None,
            Part::Talker(script) => script.wake_at(),
        }
    }
}

fn slow_server(scenario: Scenario, sends: &'static [u64]) -> Rig {
    Rig::new(scenario, move |n| {
        if n == 0 {
            Part::Slow(Slow::default())
        } else {
            let sends = sends.iter().map(|&ms| (Span::from_ms(ms), Bytes::from_static(b"x"))).collect();
            Part::Talker(Talker::caller(0, sends))
        }
    })
}

fn times(seen: &[Seen]) -> Vec<u64> {
    seen.iter().filter(|seen| matches!(seen.input, Input::Bytes { .. })).map(us).collect()
}

#[test]
fn what_arrives_while_a_process_is_busy_waits_and_comes_all_at_once() {
    // Both callers' first arrive at 101: one turn, busy twice. What they send at 105 waits until 121.
    let mut rig = slow_server(scenario(3, vec![]), &[100, 105]);
    rig.until_ms(1_000);
    assert_eq!(times(&rig.seen(0)), [101_000, 111_000, 121_000, 131_000]);
    assert_eq!(times(&rig.seen(1)), [122_000, 142_000], "answers leave at the end of the turn");
    assert_eq!(times(&rig.seen(2)), [122_000, 142_000]);
}

#[test]
fn a_slow_cpu_multiplies() {
    let cpu = Fault::Cpu { nodes: vec![NodeId(0)], slow_down_milli: 3_000 };
    let mut rig = slow_server(scenario(2, vec![timed(0, Some(500), cpu)]), &[100, 600]);
    rig.until_ms(1_000);
    assert_eq!(times(&rig.seen(1)), [132_000, 612_000]);
}

#[test]
fn a_pause_in_the_middle_of_work_prolongs_it() {
    let pause = Fault::Pause { nodes: vec![NodeId(0)] };
    let mut rig = slow_server(scenario(2, vec![timed(105, Some(100), pause)]), &[100, 150]);
    rig.until_ms(1_000);
    // 4 ms of work before the pause, 6 ms after 205; the second request waited in the kernel.
    assert_eq!(times(&rig.seen(1)), [212_000, 222_000]);
}

#[test]
fn a_process_killed_at_work_never_answers() {
    let crash = Fault::Crash { nodes: vec![NodeId(0)] };
    let mut rig = slow_server(scenario(2, vec![timed(105, Some(1), crash)]), &[100]);
    rig.until_ms(1_000);
    assert_eq!(times(&rig.seen(1)), Vec::<u64>::new());
}

#[test]
fn the_outside_talks_to_the_inside() {
    let mut rig = slow_server(scenario(1, vec![]), &[]);
    rig.until_ms(50);
    rig.world.inject(Injection::Connect { id: 7, to: addr(0) });
    rig.world.inject(Injection::Connect { id: 8, to: Addr::new(addr(0).ip, 1) });
    rig.until_ms(60);
    rig.world.inject(Injection::Bytes { id: 7, data: Bytes::from_static(b"x") });
    rig.until_ms(80);
    rig.world.inject(Injection::Fault { fault: Fault::Crash { nodes: vec![NodeId(0)] }, lasts: None });
    rig.until_ms(90);
    let why = splitbrain::node::RefusedWhy::Refused;
    let eof = splitbrain::node::CloseWhy::Eof;
    assert_eq!(
        rig.world.take_outside(),
        [
            Outside::Connected { id: 7 },
            Outside::Refused { id: 8, why },
            Outside::Bytes { id: 7, data: Bytes::from_static(b"done") },
            Outside::Closed { id: 7, why: eof },
        ]
    );
    assert_eq!(rig.trace(None), ["fault 0 crash n0"]);
}

#[test]
fn a_deployment_without_work_is_idle() {
    let mut rig = Rig::new(scenario(3, vec![]), |_| Talker::listener());
    rig.until_ms(10);
    assert_eq!(rig.world.next_at(), None);
}

#[test]
fn worlds_can_move_to_other_threads() {
    fn movable<T: Send>() {}
    movable::<World>();
    movable::<Arc<Scenario>>();
}
