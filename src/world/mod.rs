//! Everything around the nodes: virtual time, machines, network, disks, faults. Sans-IO.
//!
//! A host drives a world with [`World::next_at`], [`World::advance`], [`World::inject`] and takes what comes out with
//! [`World::drain`] and [`World::take_outside`]. A clone goes on exactly as the original would.

mod clock;
mod cpu;
mod deploy;
mod disk;
mod faults;
mod net;
mod operator;
mod port;
mod probe;
mod process;
mod queue;
mod quick;
mod timer;

pub use clock::{EPOCH, beginning};
pub use deploy::{Factory, programs};
pub use port::{DIALLED, Injection, Life, Outside, Presence};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use clock::Clock;
use disk::{Disk, Storage};
use faults::Faults;
use net::{Inboxes, Net, Wire};
use process::Process;
use queue::{Due, Queue};

use crate::id::{EventId, Ip, NodeId};
use crate::node::{Init, Outbox};
use crate::rng::Seed;
use crate::scenario::{Scenario, TieBreak};
use crate::time::Instant;
use crate::trace::event::WorldEvent;
use crate::trace::{Event, Fingerprint, Kind, Via};

/// A simulated deployment at one instant of its virtual time.
#[derive(Clone)]
pub struct World {
    scenario: Arc<Scenario>,
    seed: Seed,
    factory: Factory,
    now: Instant,
    /// How far the host lets time go.
    horizon: Instant,
    /// Engine events so far.
    steps: u64,
    /// Engine events until time last moved.
    moved: u64,
    queue: Queue,
    inboxes: Inboxes,
    net: Net,
    /// Indexed by node.
    processes: Vec<Process>,
    /// Indexed by node.
    disks: Vec<Disk>,
    /// Indexed by machine.
    clocks: Vec<Clock>,
    /// Indexed by machine.
    storage: Storage,
    faults: Faults,
    /// Up to here it was looked whether a fault comes, and messages may have been sent ahead of their time.
    foreseen: Instant,
    hosts: Arc<BTreeMap<Arc<str>, Ip>>,
    sessions: Vec<operator::Session>,
    outsiders: BTreeMap<u32, port::Outsider>,
    /// The number of the next connection to the outside.
    dials: u32,
    outbound: Vec<Outside>,
    /// Lent to each call of a node; holds the trace.
    out: Outbox,
    /// What nodes have read of deliveries that come next. It can be forgotten at any time.
    ahead: quick::Ahead,
}

/// What stops [`World::advance_within`] early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// So many trace events wait to be drained.
    pub pending: usize,
    /// The world has come to so many engine events since its beginning.
    pub steps: u64,
    /// So many engine events have happened at one instant.
    pub steps_at_once: u64,
}

impl Bounds {
    /// Nothing stops it.
    pub const NONE: Bounds = Bounds { pending: usize::MAX, steps: u64::MAX, steps_at_once: u64::MAX };
}

/// How far [`World::advance_within`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The instant it was told.
    There,
    /// [`Bounds::pending`].
    Pending,
    /// [`Bounds::steps`].
    Steps,
    /// [`Bounds::steps_at_once`]: time stands still.
    Standstill,
}

impl World {
    /// A world at time zero in which nothing has happened yet. Processes start when time first advances.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, seed: Seed) -> World {
        World::with_programs(scenario, seed, deploy::programs())
    }

    /// The same with other programs in place of Redis: for tests of the world itself.
    #[must_use]
    pub fn with_programs(scenario: Arc<Scenario>, seed: Seed, factory: Factory) -> World {
        let ties = match scenario.tie_break {
            TieBreak::Sequence => None,
            TieBreak::Random => Some(seed.stream("world", "ties")),
        };
        let owners = scenario.nodes.len() + 2;
        let process = |spec: &crate::scenario::NodeSpec| {
            Process::new(spec.machine, scenario.machines[spec.machine.index()].cpu_milli)
        };
        let mut world = World {
            now: Instant::ZERO,
            horizon: Instant::ZERO,
            steps: 0,
            moved: 0,
            queue: Queue::new(ties),
            inboxes: Inboxes::new(owners),
            net: Net::new(&scenario, seed),
            processes: scenario.nodes.iter().map(process).collect(),
            disks: vec![Disk::default(); scenario.nodes.len()],
            clocks: scenario.machines.iter().map(|machine| Clock::new(machine, beginning(seed))).collect(),
            storage: Storage::new(&scenario.machines, scenario.cpu_scale_milli, seed),
            faults: Faults::new(&scenario, seed),
            foreseen: Instant::ZERO,
            hosts: deploy::hosts(&scenario),
            sessions: Vec::new(),
            outsiders: BTreeMap::new(),
            dials: DIALLED,
            outbound: Vec::new(),
            out: Outbox::default(),
            ahead: quick::Ahead::default(),
            scenario,
            seed,
            factory,
        };
        world.declare();
        world.schedule_faults();
        for id in world.node_ids() {
            let start = deploy::start(&world, id);
            world.queue.push(Instant::ZERO + start, Due::Start { node: id.0 });
        }
        world
    }

    fn declare(&mut self) {
        for id in self.node_ids() {
            let spec = &self.scenario.nodes[id.index()];
            let event = WorldEvent::Declared {
                name: spec.name.clone(),
                role: deploy::role(&spec.kind),
                addr: spec.addr,
                machine: spec.machine,
                machine_name: self.scenario.machines[spec.machine.index()].name.clone(),
            };
            self.out.tracer.record(Some(id), EventId::NONE, Via::World, Kind::World(event));
        }
    }

    /// The scenario it was built from.
    #[must_use]
    pub fn scenario(&self) -> &Arc<Scenario> {
        &self.scenario
    }

    /// The seed it was built with.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// When something happens next; `None`: never.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.queue.next_at()
    }

    /// Lets everything happen up to `to`, that instant included, and makes it the present. Time never goes back.
    /// How a host divides a stretch of time into calls changes nothing.
    pub fn advance(&mut self, to: Instant) {
        self.advance_some(to, usize::MAX);
    }

    /// As [`World::advance`], but returns early (false) once so many events wait to be drained.
    pub fn advance_some(&mut self, to: Instant, events: usize) -> bool {
        self.advance_within(to, &Bounds { pending: events, ..Bounds::NONE }) == Reached::There
    }

    /// As [`World::advance`], but no further than the bounds allow.
    pub fn advance_within(&mut self, to: Instant, bounds: &Bounds) -> Reached {
        self.horizon = to;
        while let Some((at, alone)) = self.queue.next() {
            if at > to {
                break;
            }
            if self.out.tracer.waiting() >= bounds.pending {
                return Reached::Pending;
            }
            if self.steps >= bounds.steps {
                return Reached::Steps;
            }
            self.set_now(at);
            if self.steps - self.moved >= bounds.steps_at_once {
                return Reached::Standstill;
            }
            self.steps += 1;
            self.look_ahead();
            if !alone || !self.deliver_alone(at) {
                self.happen_all();
            }
            // Also after a turn for which nothing was in an inbox: its node may have more to do at once.
            if !self.inboxes.none_ready() {
                self.serve_ready();
            }
            if self.faults.waiting > 0 {
                self.spring_faults();
            }
        }
        self.set_now(self.now.max(to));
        Reached::There
    }

    /// How many engine events there have been: arrivals, timers, completions. They cost time even when nothing of
    /// them is in the trace.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Appends the events since the last call to `into`.
    pub fn drain(&mut self, into: &mut Vec<Event>) {
        self.faults.looked_at = 0;
        if into.is_empty() {
            std::mem::swap(into, self.out.tracer.pending());
        } else {
            into.append(self.out.tracer.pending());
        }
    }

    /// Shows the events since the last call, oldest first, without keeping them.
    #[inline]
    pub fn show(&mut self, see: impl FnMut(&Event)) {
        self.faults.looked_at = 0;
        self.out.tracer.show(see);
    }

    /// How many events there have been.
    #[must_use]
    pub fn events(&self) -> EventId {
        self.out.tracer.last()
    }

    /// The digest of all events so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.out.tracer.fingerprint()
    }

    #[inline(always)]
    fn set_now(&mut self, now: Instant) {
        assert!(now >= self.now, "time goes forwards");
        if now > self.now {
            self.moved = self.steps;
        }
        self.now = now;
        self.out.tracer.at = now;
    }

    /// Everything happens that happens at this instant.
    #[inline(never)]
    fn happen_all(&mut self) {
        while let Some(due) = self.queue.pop_at(self.now) {
            self.steps += 1;
            self.happen(due);
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Deliver { pipe, delivery } => {
                let (net, mut wire) = self.wire();
                net.on_deliver(pipe, delivery, &mut wire);
            }
            Due::Net(due) => {
                let (net, mut wire) = self.wire();
                net.handle(due, &mut wire);
            }
            Due::Wake { node } => self.on_wake(NodeId(node)),
            Due::Continue { node, epoch } => self.on_continue(NodeId(node), epoch),
            Due::Start { node } => self.on_start(NodeId(node)),
            Due::DiskDone { node, incarnation } => self.on_disk_done(NodeId(node), incarnation),
            Due::JobDone { node, incarnation, job } => self.on_job_done(NodeId(node), incarnation, job),
            Due::Return { node, incarnation } => self.on_return(NodeId(node), incarnation),
            Due::Fault { fault } => self.begin_fault(fault),
            Due::Heal { fault } => self.heal_fault(fault),
            Due::Flap { fault } => self.on_flap(fault),
        }
    }

    /// A node's process starts for the first time, unless a fault came first.
    fn on_start(&mut self, id: NodeId) {
        let process = &self.processes[id.index()];
        if process.incarnation == 0 && self.net.has_power(process.machine) {
            self.boot(id, EventId::NONE, Via::Start);
        }
    }

    /// Lets everybody for whom something has arrived take it.
    fn serve_ready(&mut self) {
        while let Some(owner) = self.inboxes.next_ready() {
            if owner < self.operator() {
                self.turn(NodeId(owner));
            } else if owner == self.operator() {
                self.serve_operators();
            } else {
                self.serve_outside();
            }
        }
    }

    fn init(&self, id: NodeId, incarnation: u32) -> Init {
        let spec = &self.scenario.nodes[id.index()];
        Init {
            node: id,
            name: spec.name.clone(),
            addr: spec.addr,
            seed: self.seed.derive(&spec.name, u64::from(incarnation)),
            incarnation,
            hosts: self.hosts.clone(),
            cpu_milli: self.scenario.cpu_scale_milli,
        }
    }

    fn wire(&mut self) -> (&mut Net, Wire<'_>) {
        let World { net, queue, inboxes, out, now, .. } = self;
        (net, Wire { now: *now, queue, inboxes, tracer: &mut out.tracer })
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("scenario", &self.scenario.name)
            .field("seed", &self.seed)
            .field("now", &self.now)
            .field("events", &self.events())
            .finish_non_exhaustive()
    }
}
