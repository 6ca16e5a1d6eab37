//! Clocks, disks, power, pauses, restarts, operators, and the end of a run.

use std::sync::Arc;

use bytes::Bytes;
use splitbrain::fault::Fault;
use splitbrain::id::{Fd, MachineId, NodeId};
use splitbrain::node::{DiskImage, DiskOp, Input, Outbox, Signal};
use splitbrain::rng::{Dist, Seed};
use splitbrain::run;
use splitbrain::time::{Instant, Now, Span, Unix};
use splitbrain::world::{EPOCH, beginning};

use super::rig::{PORT, Rig, Script, Talker, scenario, timed};

/// Wakes every 100 ms of its own monotonic clock; starts, SIGTERM and replies as a small server would.
#[derive(Clone, Debug, Default)]
struct Ticker {
    next: Instant,
}

impl Script for Ticker {
    fn start(&mut self, now: Now, _disk: &DiskImage, out: &mut Outbox) {
        out.listen(PORT);
        self.next = now.mono + Span::from_ms(100);
    }

    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox) {
        if now.mono >= self.next {
            self.next = now.mono + Span::from_ms(100);
        }
        if let Input::Bytes { fd, data } = input {
            match &data[..] {
                b"*1\r\n$4\r\nPING\r\n" => out.send(*fd, Bytes::from_static(b"+PONG\r\n")),
                _ => out.close(*fd),
            }
        }
        if *input == Input::Signal(Signal::Term) {
            out.exit(0);
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.next)
    }
}

fn wakes(rig: &Rig, node: u16) -> Vec<Now> {
    rig.seen(node).iter().filter(|seen| seen.input == Input::Wake).map(|seen| seen.now).collect()
}

fn ms(now: &Now) -> (u64, i64) {
    // The rig's worlds have seed 1.
    let start = beginning(Seed(1));
    assert_eq!(start.secs(), EPOCH.secs());
    let wall = i64::try_from(now.unix.0).expect("this century") - i64::try_from(start.0).expect("this century");
    (now.mono.0 / 1_000_000, wall / 1_000_000)
}

#[test]
fn every_machine_has_its_own_clocks() {
    let mut scenario = scenario(2, vec![]);
    scenario.machines[0].clock_offset_ns = -50_000_000;
    scenario.machines[1].clock_drift_ppm = 100_000;
    let mut rig = Rig::new(scenario, |_| Ticker::default());
    rig.until_ms(1_000);
    assert_eq!(wakes(&rig, 0).len(), 10);
    assert_eq!(ms(&wakes(&rig, 0)[9]), (1_000, 950));
    // Ten per cent fast: eleven of its tenths of a second pass, to the last nanosecond.
    assert_eq!(wakes(&rig, 1).len(), 10);
    assert_eq!(ms(&wakes(&rig, 1)[9]), (1_000, 1_000));
    rig.until_ms(1_001);
    assert_eq!(wakes(&rig, 1).len(), 11);
    assert_eq!(EPOCH, Unix(1_767_225_600_000_000_000));
}

#[test]
fn a_clock_that_steps_wakes_its_processes_and_steps_back() {
    let jump = Fault::Clock { machines: vec![MachineId(0)], jump_ns: 10_000_000_000, drift_ppm: None };
    let mut rig = Rig::new(scenario(2, vec![timed(150, Some(100), jump)]), |_| Ticker::default());
    rig.until_ms(401);
    let seen: Vec<_> = wakes(&rig, 0).iter().map(ms).collect();
    assert_eq!(seen, [(100, 100), (150, 10_150), (200, 10_200), (250, 250), (300, 300), (400, 400)]);
    assert_eq!(wakes(&rig, 1).len(), 4);
}

#[test]
fn a_paused_process_is_called_late_and_once() {
    let pause = Fault::Pause { nodes: vec![NodeId(0)] };
    let faults = vec![timed(150, Some(1_000), pause.clone()), timed(200, Some(500), pause)];
    let mut rig = Rig::new(scenario(1, faults), |_| Ticker::default());
    rig.until_ms(1_300);
    let seen: Vec<_> = wakes(&rig, 0).iter().map(|now| ms(now).0).collect();
    assert_eq!(seen, [100, 1_150, 1_250]);
    assert_eq!(rig.trace(Some(0))[2..], ["paused", "resumed"], "overlapping pauses are one");
}

#[test]
fn restarts_are_new_lives() {
    let mut crash = timed(100, None, Fault::Crash { nodes: vec![NodeId(0)] });
    crash.restart_after = Some(Dist::Constant(Span::from_ms(50)));
    let term = timed(300, Some(100), Fault::Shutdown { nodes: vec![NodeId(0)] });
    let mut again = timed(25, None, Fault::Restart { nodes: vec![NodeId(0)] });
    again.after = Some(1);
    let mut rig = Rig::new(scenario(1, vec![crash, term, again]), |_| Ticker::default());
    rig.until_ms(1_000);
    let lives = ["started #1", "died crash", "started #2", "died exit 0", "started #3"].map(str::to_owned);
    assert_eq!(rig.trace(Some(0))[1..], lives);
    let at = |text: &str| {
        let event = rig.events.iter().find(|event| event.kind.to_string() == text).expect(text);
        (event.at.ms(), rig.events[usize::try_from(event.cause.0).expect("small") - 1].kind.to_string())
    };
    assert_eq!(at("started #2"), (150, "healed 0".into()));
    assert_eq!(at("died exit 0"), (300, "fault 1 shutdown n0".into()));
    assert_eq!(at("started #3"), (325, "fault 2 restart n0".into()));
    assert_eq!(at("fault 2 restart n0").1, "fault 1 shutdown n0");
}

#[test]
fn operators_get_replies() {
    let exec = |node, text: &str| Fault::Exec { node: NodeId(node), argv: text.split(' ').map(Arc::from).collect() };
    let faults = vec![
        timed(100, None, exec(0, "PING")),
        timed(200, None, exec(0, "QUIT now")),
        timed(300, None, exec(1, "PING")),
    ];
    let mut rig = Rig::new(scenario(2, faults), |n| Part::new(n == 0));
    rig.until_ms(1_000);
    let replies: Vec<_> = rig.trace(Some(0)).into_iter().chain(rig.trace(Some(1))).collect();
    assert_eq!(
        replies.iter().filter(|line| line.starts_with("exec")).collect::<Vec<_>>(),
        [
            "exec PING -> PONG",
            "exec QUIT now -> Error: Server closed the connection",
            "exec PING -> Could not connect to Redis at 10.0.0.2:7000: Connection refused"
        ]
    );
}

/// A server, or somebody who listens nowhere.
#[derive(Clone, Debug)]
enum Part {
    Ticker(Ticker),
    Silent,
}

impl Part {
    fn new(server: bool) -> Part {
        if server { Part::Ticker(Ticker::default()) } else { Part::Silent }
    }
}

impl Script for Part {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        if let Part::Ticker(ticker) = self {
            ticker.start(now, disk, out);
        }
    }

    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox) {
        if let Part::Ticker(ticker) = self {
            ticker.handle(now, input, out);
        }
    }
}

/// Writes "a" and waits for the disk, writes "b" and syncs in the background, writes "c", and tells what it found.
#[derive(Clone, Debug, Default)]
struct Writer {
    found: Bytes,
}

impl Script for Writer {
    fn start(&mut self, _now: Now, disk: &DiskImage, out: &mut Outbox) {
        self.found = disk.get("log").cloned().unwrap_or_default();
        let append = |text: &'static [u8]| DiskOp::Append { file: "log".into(), data: Bytes::from_static(text) };
        out.disk_wait(append(b"a")).expect("the disk is well");
        out.disk_wait(DiskOp::Fsync { file: "log".into() }).expect("the disk is well");
        out.disk_wait(append(b"b")).expect("the disk is well");
        out.disk(DiskOp::Fsync { file: "log".into() }, 5);
        out.disk_wait(append(b"c")).expect("the disk is well");
        out.job(9, Span::from_ms(30));
        out.job(10, Span::from_ms(30));
        out.kill_job(10);
    }

    fn handle(&mut self, _now: Now, _input: &Input, _out: &mut Outbox) {}
}

#[test]
fn disks_keep_what_they_promise() {
    let run = |at: u64, fault: Fault, seed: u64| {
        let mut fault = timed(0, None, fault);
        fault.at = Dist::Constant(Span::from_us(at));
        fault.lasts = Some(Dist::Constant(Span::from_ms(100)));
        let mut scenario = scenario(1, vec![fault]);
        scenario.seed = Seed(seed);
        let log = Arc::new(std::sync::Mutex::new(Vec::new()));
        let found = log.clone();
        let mut rig = Rig::new(scenario, move |_| Spy { writer: Writer::default(), found: found.clone() });
        rig.until_ms(1_000);
        let found = log.lock().expect("no test panics inside")[1].clone();
        (String::from_utf8_lossy(&found).into_owned(), rig)
    };
    let crash = || Fault::Crash { nodes: vec![NodeId(0)] };
    let off = || Fault::PowerOff { machines: vec![MachineId(0)] };
    // Each call costs 10 us, the sync 1 ms: "a" is written at 10, durable at 1020, "b" at 1030, "c" at 1040; that call
    // returns only when the background sync of the same file, which began before it, is over.
    assert_eq!(run(500, crash(), 1).0, "a", "a kill keeps what was written");
    assert_eq!(run(1_500, crash(), 1).0, "abc");
    let torn: std::collections::BTreeSet<_> = (0..40).map(|seed| run(500, off(), seed).0).collect();
    assert_eq!(torn.into_iter().collect::<Vec<_>>(), ["", "a"], "unsynced: perhaps");
    let torn: std::collections::BTreeSet<_> = (0..40).map(|seed| run(1_500, off(), seed).0).collect();
    assert_eq!(torn.into_iter().collect::<Vec<_>>(), ["a", "ab", "abc"]);
    let torn: std::collections::BTreeSet<_> = (0..40).map(|seed| run(3_000, off(), seed).0).collect();
    assert_eq!(torn.into_iter().collect::<Vec<_>>(), ["ab", "abc"], "the background sync is over");

    let (_, rig) = run(50_000, crash(), 1);
    let inputs: Vec<_> = rig.seen(0).into_iter().map(|seen| (seen.now.mono.0 / 1_000, seen.input)).collect();
    assert_eq!(
        inputs,
        [(2_050, Input::DiskDone { op: 5, ok: true }), (32_050, Input::JobDone { job: 9 })],
        "a killed job reports nothing"
    );
}

#[derive(Clone, Debug)]
struct Spy {
    writer: Writer,
    found: Arc<std::sync::Mutex<Vec<Bytes>>>,
}

impl Script for Spy {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        self.writer.start(now, disk, out);
        self.found.lock().expect("no test panics inside").push(self.writer.found.clone());
    }

    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox) {
        self.writer.handle(now, input, out);
    }
}

#[test]
fn a_run_settles_with_everything_healed_and_alive() {
    let faults = vec![
        timed(1_000, None, Fault::Crash { nodes: vec![NodeId(0)] }),
        timed(1_000, None, Fault::PowerOff { machines: vec![MachineId(1)] }),
        timed(1_000, None, Fault::Pause { nodes: vec![NodeId(2)] }),
        timed(1_000, None, super::rig::cut(2, 3)),
        timed(59_000, Some(5_000), Fault::Shutdown { nodes: vec![NodeId(3)] }),
        timed(61_000, None, Fault::Crash { nodes: vec![NodeId(3)] }),
    ];
    let mut rig = Rig::new(scenario(4, faults), |_| Ticker::default());
    let mut events = Vec::new();
    run::play(&mut rig.world, &mut |event| events.push(event.clone()));
    rig.events = events;
    assert_eq!(rig.trace(Some(0))[1..], ["started #1", "died crash", "started #2"]);
    assert_eq!(rig.trace(Some(1))[1..], ["started #1", "died power-off", "started #2"]);
    assert_eq!(rig.trace(Some(2))[1..], ["started #1", "paused", "resumed"]);
    assert_eq!(rig.trace(Some(3))[1..], ["started #1", "died exit 0", "started #2"]);
    let world = rig.trace(None);
    assert_eq!(world[5..], ["settle", "healed 0", "healed 1", "healed 2", "healed 3", "healed 4", "end"]);
    assert_eq!(rig.events.last().map(|event| event.at), Some(Instant::ZERO + Span::from_secs(90)));
}

#[test]
fn descriptors_are_reused_smallest_first() {
    let mut rig = Rig::new(scenario(2, vec![]), |n| {
        if n == 0 { Talker::listener() } else { Talker { to: Some(super::rig::addr(0)), ..Talker::default() } }
    });
    rig.until_ms(10);
    let accepted = rig.seen(0).into_iter().find_map(|seen| {
        let Input::Accepted { fd, .. } = seen.input else { return None };
        Some(fd)
    });
    assert_eq!(accepted, Some(Fd(8)));
}
