//! Connections behave as TCP.

use bytes::Bytes;
use proptest::prelude::*;
use splitbrain::fault::{Fault, LinkEffect, Timed};
use splitbrain::id::{Fd, MachineId, NodeId};
use splitbrain::node::{DiskImage, Input, Outbox, SOCKET_ROOM};
use splitbrain::rng::{Dist, Ratio, Seed};
use splitbrain::scenario::{Scenario, TieBreak};
use splitbrain::time::{Instant, Now, Span};

use super::rig::{PORT, Rig, Script, Seen, Talker, addr, cut, scenario, timed, us};

fn at(ms: u64, text: &'static str) -> (Span, Bytes) {
    (Span::from_ms(ms), Bytes::from_static(text.as_bytes()))
}

/// Node 0 connects to node 1 at the start and says things.
fn pair(scenario: Scenario, sends: Vec<(Span, Bytes)>) -> Rig {
    Rig::new(scenario, move |n| if n == 0 { Talker::caller(1, sends.clone()) } else { Talker::listener() })
}

/// One line for each input, with the time in milliseconds.
fn story(seen: &[Seen]) -> Vec<String> {
    let what = |seen: &Seen| match &seen.input {
        Input::Accepted { .. } => Some("accepted".to_owned()),
        Input::Connected { .. } => Some("connected".to_owned()),
        Input::Refused { why, .. } => Some(format!("refused: {why}")),
        Input::Bytes { data, .. } => Some(String::from_utf8_lossy(data).into_owned()),
        Input::Closed { why, .. } => Some(why.to_string()),
        Input::Writable { room, .. } => Some(format!("room {room}")),
        Input::Wake
        | Input::DiskDone { .. }
        | Input::JobDone { .. }
        | Input::Files(_)
        | Input::Signal(_)
        | Input::LoopEnd => None,
    };
    seen.iter().filter_map(|seen| Some(format!("{}.{:03} {}", us(seen) / 1000, us(seen) % 1000, what(seen)?))).collect()
}

#[test]
fn a_handshake_takes_a_round_trip_and_bytes_one_way() {
    let mut rig = pair(scenario(2, vec![]), vec![at(0, "early"), at(10, "later")]);
    rig.until_ms(100);
    assert_eq!(story(&rig.seen(0)), ["2.000 connected"]);
    assert_eq!(story(&rig.seen(1)), ["3.000 accepted", "3.000 early", "11.000 later"]);
}

#[test]
fn nothing_listens_or_no_such_host() {
    let mut rig = Rig::new(scenario(2, vec![]), |n| {
        if n == 0 { Talker::caller(1, vec![]) } else { Talker { to: Some(addr(77)), ..Talker::default() } }
    });
    rig.until_ms(10_000);
    assert_eq!(story(&rig.seen(0)), ["2.000 refused: refused"]);
    assert_eq!(story(&rig.seen(1)), ["3000.000 refused: unreachable"]);
    assert_eq!(rig.trace(Some(0))[2], "connect 10.0.0.2:7000 refused");
}

#[test]
fn syns_into_silence_give_up_after_131_seconds() {
    let mut rig = pair(scenario(2, vec![timed(0, None, cut(0, 1))]), vec![]);
    rig.until_ms(200_000);
    assert_eq!(story(&rig.seen(0)), ["131000.000 refused: timed out"]);
    // Healed in time, the next retry gets through: 1, 2, 3, 4, 5, 7 seconds after the first.
    let mut rig = pair(scenario(2, vec![timed(0, Some(4_100), cut(0, 1))]), vec![]);
    rig.until_ms(200_000);
    assert_eq!(story(&rig.seen(0)), ["5002.000 connected"]);
}

#[test]
fn a_short_cut_costs_a_retransmission_and_a_long_one_the_back_off() {
    // Sent at 1000 into a cut: the timer is 202 ms and doubles: probes at 1202, 1606, 2414, 4030, 7262 …
    let mut rig = pair(scenario(2, vec![timed(900, Some(200), cut(0, 1))]), vec![at(1_000, "a")]);
    rig.until_ms(20_000);
    assert_eq!(story(&rig.seen(1))[1..], ["1203.000 a"]);
    let mut rig = pair(scenario(2, vec![timed(900, Some(4_000), cut(0, 1))]), vec![at(1_000, "a"), at(2_000, "b")]);
    rig.until_ms(20_000);
    // The first segment comes with the retransmission; what was held follows its acknowledgement.
    assert_eq!(story(&rig.seen(1))[1..], ["7263.000 a", "7265.000 b"]);
    assert_eq!(rig.trace(Some(0))[2..], ["stalled 10.0.0.2:7000 1 bytes"]);
}

#[test]
fn packets_in_flight_when_a_cut_begins_are_lost_and_sent_again() {
    // In flight from 1000 to 1001; the path is gone from 1000.5 (a link fault) for 10 ms.
    let down = Fault::Link {
        from: vec![MachineId(0)],
        to: vec![MachineId(1)],
        both: false,
        effect: LinkEffect { down: true, ..LinkEffect::default() },
    };
    let mut fault = timed(0, Some(10), down);
    fault.at = Dist::Constant(Span::from_us(1_000_500));
    let mut rig = pair(scenario(2, vec![fault]), vec![at(1_000, "a")]);
    rig.until_ms(20_000);
    assert_eq!(story(&rig.seen(1))[1..], ["1203.500 a"]);
}

#[test]
fn one_way_cuts_pass_data_but_not_acknowledgements() {
    let one_way = Fault::PartitionOneWay { from: vec![MachineId(1)], to: vec![MachineId(0)], flap: None };
    let sends = vec![at(1_000, "a"), at(1_100, "b"), at(2_000, "held")];
    let mut rig = pair(scenario(2, vec![timed(900, Some(3_000), one_way)]), sends);
    rig.until_ms(20_000);
    // "held" is sent when the retransmission timer has run out, so it waits for an acknowledgement: the duplicate
    // of 4030 is the first whose acknowledgement comes back.
    assert_eq!(story(&rig.seen(1))[1..], ["1001.000 a", "1101.000 b", "4033.000 held"]);
    assert_eq!(rig.seen(1).iter().filter(|s| matches!(s.input, Input::Bytes { .. })).count(), 3, "no duplicates");
}

#[test]
fn overlapping_cuts_need_both_healed() {
    let faults = vec![timed(900, Some(1_000), cut(0, 1)), timed(1_000, Some(3_000), cut(0, 1))];
    let mut rig = pair(scenario(2, faults), vec![at(1_500, "a")]);
    rig.until_ms(20_000);
    assert_eq!(story(&rig.seen(1))[1..], ["4531.000 a"]);
}

#[test]
fn a_sender_gives_up_after_fifteen_retransmissions_and_the_other_side_by_keepalive() {
    let mut rig = pair(scenario(2, vec![timed(900, None, cut(0, 1))]), vec![at(1_000, "a")]);
    rig.until_ms(2_000_000);
    // 202 ms doubling up to two minutes: 0.202 × (2^10 − 1) + 6 × 120 s.
    assert_eq!(story(&rig.seen(0))[1..], ["927646.000 timed out"]);
    // 300 s after what was last heard (the handshake) and three probes that went unanswered.
    assert_eq!(story(&rig.seen(1))[1..], ["600003.000 timed out"]);
    let causes: Vec<_> = rig.events.iter().filter(|e| e.kind.to_string().contains("timed out")).collect();
    assert!(causes.iter().all(|event| event.cause.some().is_some()));
}

#[test]
fn a_killed_process_says_goodbye_and_a_dead_machine_does_not() {
    let crash = Fault::Crash { nodes: vec![NodeId(1)] };
    let mut rig = pair(scenario(2, vec![timed(1_000, None, crash)]), vec![at(1_500, "a")]);
    rig.until_ms(5_000);
    assert_eq!(story(&rig.seen(0)), ["2.000 connected", "1001.020 closed by peer"]);

    let off = Fault::PowerOff { machines: vec![MachineId(1)] };
    let mut rig = pair(scenario(2, vec![timed(1_000, Some(2_000), off)]), vec![at(1_500, "a")]);
    rig.until_ms(2_900);
    assert_eq!(story(&rig.seen(0)), ["2.000 connected"]);
    // Back at 3000; the retransmission of 1500 + 0.202 × 15 reaches a kernel that knows nothing.
    rig.until_ms(10_000);
    assert_eq!(story(&rig.seen(0))[1..], ["4532.000 reset by peer"]);
    assert_eq!(rig.trace(Some(1))[1..], ["started #1", "died power-off", "started #2"]);
}

#[test]
fn the_end_of_a_killed_process_crosses_a_healed_cut() {
    let crash = Fault::Crash { nodes: vec![NodeId(1)] };
    let faults = vec![timed(900, Some(600), cut(0, 1)), timed(1_000, None, crash)];
    let mut rig = pair(scenario(2, faults), vec![]);
    rig.until_ms(20_000);
    assert_eq!(story(&rig.seen(0))[1..], ["1607.020 closed by peer"]);
    let closed = rig.events.iter().position(|event| event.kind.to_string() == "died crash").expect("it died");
    assert!(rig.events[closed].cause.some().is_some(), "the fault is its cause");
}

#[test]
fn what_was_sent_before_a_close_arrives_and_what_comes_after_is_reset() {
    let mut rig = Rig::new(scenario(2, vec![]), |n| {
        if n == 0 {
            Talker { close_at: Some(Span::from_ms(10)), ..Talker::caller(1, vec![at(10, "last")]) }
        } else {
            Talker::listener()
        }
    });
    rig.until_ms(100);
    assert_eq!(story(&rig.seen(1)), ["3.000 accepted", "11.000 last", "11.000 closed by peer"]);
}

/// Closes as soon as it is connected to, though more is on its way.
#[derive(Clone, Debug)]
struct Rude;

impl Script for Rude {
    fn start(&mut self, _now: Now, _disk: &DiskImage, out: &mut Outbox) {
        out.listen(PORT);
    }

    fn handle(&mut self, _now: Now, input: &Input, out: &mut Outbox) {
        if let Input::Accepted { fd, .. } = input {
            out.close(*fd);
        }
    }
}

#[derive(Clone, Debug)]
enum Either {
    Rude(Rude),
    Talker(Talker),
}

impl Script for Either {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        match self {
            Either::Rude(script) => script.start(now, disk, out),
            Either::Talker(script) => script.start(now, disk, out),
        }
    }

    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox) {
        match self {
            Either::Rude(script) => script.handle(now, input, out),
            Either::Talker(script) => script.handle(now, input, out),
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        match self {
            Either::Rude(script) => script.wake_at(),
            Either::Talker(script) => script.wake_at(),
        }
    }
}

#[test]
fn closing_with_unread_input_is_a_reset() {
    // "early" is sent with the handshake's last packet, so it is unread when the acceptor closes.
    let mut rig = Rig::new(scenario(2, vec![]), |n| {
        if n == 0 { Either::Talker(Talker::caller(1, vec![at(0, "early")])) } else { Either::Rude(Rude) }
    });
    rig.until_ms(100);
    assert_eq!(story(&rig.seen(0)), ["2.000 connected", "4.000 reset by peer"]);
    assert_eq!(rig.trace(Some(0))[2..], ["connection 10.0.0.2:7000 reset by peer"]);
}

#[test]
fn bandwidth_is_shared_in_turns() {
    let mut shared = scenario(3, vec![]);
    shared.network.bandwidth = Some(1_000_000);
    let big = Bytes::from(vec![b'x'; 500_000]);
    // Two connections from machine 0 would need a second program there; one shows the rate, small ones their turn.
    let mut rig = pair(shared, vec![(Span::from_ms(10), big)]);
    rig.until_ms(5_000);
    let last = rig.seen(1).iter().filter(|s| matches!(s.input, Input::Bytes { .. })).map(us).max();
    assert_eq!(last, Some(511_000), "half a megabyte at a megabyte a second, and the latency");
}

/// Sends as much as the socket takes, asks for room, goes on.
#[derive(Clone, Debug)]
struct Pusher {
    left: usize,
    room: usize,
    fd: Option<Fd>,
}

impl Script for Pusher {
    fn start(&mut self, _now: Now, _disk: &DiskImage, out: &mut Outbox) {
        if self.left == 0 {
            out.listen(PORT);
        } else {
            self.fd = Some(out.connect(addr(1)));
        }
    }

    fn handle(&mut self, _now: Now, input: &Input, out: &mut Outbox) {
        if let Input::Writable { room, .. } = input {
            self.room = *room;
        }
        let Some(fd) = self.fd.filter(|_| matches!(input, Input::Connected { .. } | Input::Writable { .. })) else {
            return;
        };
        let now = self.left.min(self.room);
        out.send(fd, Bytes::from(vec![b'x'; now]));
        self.left -= now;
        self.room -= now;
        if self.left > 0 {
            out.await_writable(fd);
        }
    }
}

#[test]
fn a_receiver_that_does_not_read_stops_the_sender() {
    const TOTAL: usize = 40 * 1024 * 1024;
    let pause = Fault::Pause { nodes: vec![NodeId(1)] };
    let mut rig = Rig::new(scenario(2, vec![timed(1, Some(5_000), pause)]), |n| Pusher {
        left: if n == 0 { TOTAL } else { 0 },
        room: SOCKET_ROOM,
        fd: None,
    });
    rig.until_ms(4_000);
    let got = |rig: &Rig| -> usize {
        rig.seen(1).iter().map(|s| if let Input::Bytes { data, .. } = &s.input { data.len() } else { 0 }).sum()
    };
    assert_eq!(got(&rig), 0);
    let told = rig.seen(0).len();
    rig.until_ms(4_900);
    assert_eq!(rig.seen(0).len(), told, "the sender hears nothing while the window is shut");
    rig.until_ms(20_000);
    assert_eq!(got(&rig), TOTAL);
}

#[test]
fn flapping_cuts_toggle() {
    let flap =
        Fault::Partition { groups: vec![vec![MachineId(0)], vec![MachineId(1)]], flap: Some(Span::from_ms(100)) };
    let sends = vec![at(1_050, "cut"), at(1_360, "open")];
    let mut rig = pair(scenario(2, vec![timed(1_000, Some(1_000), flap)]), sends);
    rig.until_ms(20_000);
    // Every other 100 ms is cut: the retransmissions at 1252 and 1656 fall into cut phases; "open" is held behind.
    assert_eq!(story(&rig.seen(1))[1..], ["2465.000 cut", "2467.000 open"]);
}

/// Echo of everything that is random about the property test.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    sends: [Vec<(Span, Bytes)>; 2],
    faults: Vec<Timed>,
    loss: f64,
    jitter: bool,
    bandwidth: Option<u64>,
    window: u64,
    random_ties: bool,
}

fn sends(letter: u8) -> impl Strategy<Value = Vec<(Span, Bytes)>> {
    prop::collection::vec((0u64..20_000, prop_oneof![1usize..200, 1_000usize..200_000]), 0..25).prop_map(
        move |mut list| {
            list.sort();
            let mut number = letter;
            let content = |(ms, len): (u64, usize)| {
                number = number.wrapping_mul(31).wrapping_add(7);
                let data: Vec<u8> =
                    (0..len).map(|i| number.wrapping_add(u8::try_from(i % 251).expect("small"))).collect();
                (Span::from_ms(ms), Bytes::from(data))
            };
            list.into_iter().map(content).collect()
        },
    )
}

fn fault() -> impl Strategy<Value = Timed> {
    let kind = prop_oneof![
        Just(cut(0, 1)),
        Just(Fault::PartitionOneWay { from: vec![MachineId(0)], to: vec![MachineId(1)], flap: None }),
        Just(Fault::PartitionOneWay { from: vec![MachineId(1)], to: vec![MachineId(0)], flap: None }),
        Just(Fault::Partition { groups: vec![vec![MachineId(0)], vec![MachineId(1)]], flap: Some(Span::from_ms(150)) }),
        Just(Fault::Pause { nodes: vec![NodeId(0)] }),
        Just(Fault::Pause { nodes: vec![NodeId(1)] }),
        Just(Fault::Link {
            from: vec![MachineId(0)],
            to: vec![MachineId(1)],
            both: true,
            effect: LinkEffect { latency: Some(Dist::Constant(Span::from_ms(80))), ..LinkEffect::default() },
        }),
        Just(Fault::Link {
            from: vec![MachineId(0)],
            to: vec![MachineId(1)],
            both: true,
            effect: LinkEffect { loss: Ratio::from_f64(0.3), ..LinkEffect::default() },
        }),
    ];
    (0u64..20_000, 1u64..8_000, kind).prop_map(|(at, lasts, fault)| timed(at, Some(lasts), fault))
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        any::<u64>(),
        (sends(1), sends(99)),
        prop::collection::vec(fault(), 0..6),
        prop_oneof![Just(0.0), Just(0.01), Just(0.1)],
        any::<bool>(),
        prop_oneof![Just(None), Just(Some(300_000))],
        prop_oneof![Just(6u64 << 20), Just(5_000), Just(100_000)],
        any::<bool>(),
    )
        .prop_map(|(seed, (a, b), faults, loss, jitter, bandwidth, window, random_ties)| Plan {
            seed,
            sends: [a, b],
            faults,
            loss,
            jitter,
            bandwidth,
            window,
            random_ties,
        })
}

/// Talks both ways over one connection: the acceptor speaks too.
#[derive(Clone, Debug)]
struct Both(Talker);

impl Script for Both {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        self.0.start(now, disk, out);
    }

    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox) {
        if let Input::Accepted { fd, .. } = input {
            self.0.fd = Some(*fd);
        }
        self.0.handle(now, input, out);
    }

    fn wake_at(&self) -> Option<Instant> {
        self.0.wake_at()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Exactly the bytes sent, in order, once, whatever happens on the way, as long as it ends.
    #[test]
    fn the_stream_arrives_whole(plan in plan()) {
        let mut scenario = scenario(2, plan.faults.clone());
        scenario.seed = Seed(plan.seed);
        scenario.network.loss = Ratio::from_f64(plan.loss).expect("a probability");
        if plan.jitter {
            scenario.network.latency = Dist::LogNormal(Span::from_ms(2), 1.0);
        }
        scenario.network.bandwidth = plan.bandwidth;
        scenario.network.receive_buffer = plan.window;
        scenario.tie_break = if plan.random_ties { TieBreak::Random } else { TieBreak::Sequence };
        let [a, b] = plan.sends.clone();
        let mut rig = Rig::new(scenario, move |n| {
            Both(if n == 0 { Talker::caller(1, a.clone()) } else { Talker { sends: b.clone(), ..Talker::listener() } })
        });
        rig.until_ms(900_000);
        for node in [0u16, 1] {
            let mut got = Vec::new();
            let mut last = Instant::ZERO;
            for Seen { now, input } in rig.seen(node) {
                prop_assert!(now.mono >= last);
                last = now.mono;
                prop_assert!(!matches!(input, Input::Closed { .. } | Input::Refused { .. }), "{input:?}");
                if let Input::Bytes { data, .. } = input {
                    prop_assert!(!data.is_empty());
                    got.extend_from_slice(&data);
                }
            }
            let sent: Vec<u8> = plan.sends[usize::from(1 - node)].iter().flat_map(|(_, data)| data.to_vec()).collect();
            prop_assert!(got == sent, "node {node} got {} of {} bytes", got.len(), sent.len());
        }
    }
}
