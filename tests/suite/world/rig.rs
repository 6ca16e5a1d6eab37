//! A deployment of small scripted programs that record what happens to them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use splitbrain::fault::{Fault, Timed};
use splitbrain::id::{Addr, Fd, Ip, MachineId, NodeId};
use splitbrain::node::{DiskImage, Init, Input, Node, Outbox};
use splitbrain::rng::{Dist, Ratio, Seed};
use splitbrain::scenario::{Machine, Network, NodeKind, NodeSpec, Scenario, TestPlan, TieBreak};
use splitbrain::time::{Instant, Now, Span};
use splitbrain::trace::Event;
use splitbrain::world::{Factory, World};

/// The port that every program may listen on.
pub(crate) const PORT: u16 = 7000;

/// What a program saw: the world's time is not known to it, so its own clocks are recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) now: Now,
    pub(crate) input: Input,
}

/// What programs saw, by node and life: shared with the test, so a world with it is not for cloning.
pub(crate) type Log = Arc<Mutex<BTreeMap<(u16, u32), Vec<Seen>>>>;

/// What a program does. `self` is cloned with the world.
pub(crate) trait Script: Clone + Send + fmt::Debug + 'static {
    /// The process starts.
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox);
    /// Something arrives.
    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox);
    /// Its next timer.
    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

/// A script as a node, recording what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Scripted<S> {
    script: S,
    who: (u16, u32),
    log: Log,
}

impl<S: Script> Node for Scripted<S> {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        self.script.start(now, disk, out);
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.script.handle(now, &input, out);
        if input != Input::LoopEnd {
            self.log.lock().expect("no test panics inside").entry(self.who).or_default().push(Seen { now, input });
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.script.wake_at()
    }

    fn probe(&self, _now: Now, _out: &mut Outbox) {}

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}

/// A world of scripted programs, one on each machine, all of the same kind.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) log: Log,
    pub(crate) events: Vec<Event>,
}

/// The address that node `n` may listen on.
pub(crate) fn addr(n: u16) -> Addr {
    Addr::new(Ip::new(10, 0, 0, u8::try_from(n + 1).expect("few nodes")), PORT)
}

/// A fault that strikes at a given time and lasts a given time.
pub(crate) fn timed(at_ms: u64, lasts_ms: Option<u64>, fault: Fault) -> Timed {
    let text = fault.describe(&|n| format!("n{}", n.0), &|m| format!("m{}", m.0)).into();
    let at = Dist::Constant(Span::from_ms(at_ms));
    let lasts = lasts_ms.map(|ms| Dist::Constant(Span::from_ms(ms)));
    Timed { at, lasts, restart_after: None, after: None, when: None, fault, text }
}

/// A cut of everything between two machines.
pub(crate) fn cut(a: u16, b: u16) -> Fault {
    Fault::Partition { groups: vec![vec![MachineId(a)], vec![MachineId(b)]], flap: None }
}

/// A scenario of `count` machines with one node each, 1 ms apart, without loss.
pub(crate) fn scenario(count: u16, faults: Vec<Timed>) -> Scenario {
    let machine = |n: u16| Machine {
        name: format!("m{n}").into(),
        ip: addr(n).ip,
        zone: None,
        clock_offset_ns: 0,
        clock_drift_ppm: 0,
        cpu_milli: 1000,
        fsync: Dist::Constant(Span::from_ms(1)),
        disk: n,
    };
    let node = |n: u16| NodeSpec {
        name: format!("n{n}").into(),
        machine: MachineId(n),
        addr: addr(n),
        start: Dist::Constant(Span::ZERO),
        kind: replaced(),
    };
    Scenario {
        name: "rig".into(),
        description: "".into(),
        seed: Seed(1),
        duration: Span::from_secs(60),
        settle: Span::from_secs(30),
        tie_break: TieBreak::Sequence,
        network: Network {
            latency: Dist::Constant(Span::from_ms(1)),
            loopback: Dist::Constant(Span::from_us(20)),
            loss: Ratio::ZERO,
            bandwidth: None,
            links: Vec::new(),
            send_buffer: 4 * 1024 * 1024,
            receive_buffer: 6 * 1024 * 1024,
        },
        machines: (0..count).map(machine).collect(),
        nodes: (0..count).map(node).collect(),
        faults,
        chaos: None,
        expect: Vec::new(),
        locks: Vec::new(),
        cpu_scale_milli: 1000,
        test: TestPlan::default(),
        served: None,
    }
}

/// Any valid process: the programs of the rig replace it.
fn replaced() -> NodeKind {
    let (config, _) = splitbrain::server::config::Config::from_directives(&[]).expect("the defaults are valid");
    NodeKind::Server(Box::new(config))
}

impl Rig {
    /// Every node runs the script that `make` gives for its number.
    pub(crate) fn new<S: Script>(scenario: Scenario, make: impl Fn(u16) -> S + Send + Sync + 'static) -> Rig {
        let log = Log::default();
        let shared = log.clone();
        let factory: Factory = Arc::new(move |_: &Scenario, init: Init| {
            let who = (init.node.0, init.incarnation);
            Box::new(Scripted { script: make(init.node.0), who, log: shared.clone() })
        });
        let seed = scenario.seed;
        let world = World::with_programs(Arc::new(scenario), seed, factory);
        Rig { world, log, events: Vec::new() }
    }

    /// Lets time pass to so many milliseconds after the start.
    pub(crate) fn until_ms(&mut self, ms: u64) -> &mut Rig {
        self.world.advance(Instant::ZERO + Span::from_ms(ms));
        self.world.drain(&mut self.events);
        self
    }

    /// What the first life of a node saw.
    pub(crate) fn seen(&self, node: u16) -> Vec<Seen> {
        self.seen_in(node, 1)
    }

    /// What one life of a node saw.
    pub(crate) fn seen_in(&self, node: u16, incarnation: u32) -> Vec<Seen> {
        self.log.lock().expect("no test panics inside").get(&(node, incarnation)).cloned().unwrap_or_default()
    }

    /// The trace as text, one line an event without its time, for the nodes given (`None`: the world).
    pub(crate) fn trace(&self, node: Option<u16>) -> Vec<String> {
        let node = node.map(NodeId);
        self.events.iter().filter(|event| event.node == node).map(|event| event.kind.to_string()).collect()
    }
}

/// Microseconds on the node's own monotonic clock.
pub(crate) fn us(seen: &Seen) -> u64 {
    seen.now.mono.0 / 1_000
}

/// A program that listens, may connect to a peer, sends what it is told at given times, and answers nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talker {
    /// Whom to connect to at the start.
    pub(crate) to: Option<Addr>,
    /// Where to listen.
    pub(crate) listen: bool,
    /// What to send when, in order of time.
    pub(crate) sends: Vec<(Span, Bytes)>,
    /// Close at this time.
    pub(crate) close_at: Option<Span>,
    pub(crate) fd: Option<Fd>,
    pub(crate) next: usize,
}

impl Talker {
    /// Listens.
    pub(crate) fn listener() -> Talker {
        Talker { listen: true, ..Talker::default() }
    }

    /// Connects and sends.
    pub(crate) fn caller(to: u16, sends: Vec<(Span, Bytes)>) -> Talker {
        Talker { to: Some(addr(to)), sends, ..Talker::default() }
    }
}

impl Script for Talker {
    fn start(&mut self, _now: Now, _disk: &DiskImage, out: &mut Outbox) {
        if self.listen {
            out.listen(PORT);
        }
        self.fd = self.to.map(|to| out.connect(to));
    }

    fn handle(&mut self, now: Now, input: &Input, out: &mut Outbox) {
        if let Input::Closed { fd, .. } | Input::Refused { fd, .. } = input
            && self.fd == Some(*fd)
        {
            self.fd = None;
        }
        let Some(fd) = self.fd else { return };
        while let Some((at, data)) = self.sends.get(self.next)
            && Instant::ZERO + *at <= now.mono
        {
            self.next += 1;
            out.send(fd, data.clone());
        }
        if self.close_at.is_some_and(|at| Instant::ZERO + at <= now.mono) {
            self.close_at = None;
            self.fd = None;
            out.close(fd);
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.fd?;
        let send = self.sends.get(self.next).map(|(at, _)| Instant::ZERO + *at);
        let close = self.close_at.map(|at| Instant::ZERO + at);
        [send, close].into_iter().flatten().min()
    }
}
