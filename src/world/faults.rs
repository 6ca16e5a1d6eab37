//! Faults: when they strike, what they do, how they heal.

use std::sync::Arc;

use super::World;
use super::net::{Arrived, What};
use super::process::State;
use super::queue::Due;
use crate::fault::{DiskEffect, Fault, Trigger};
use crate::id::{EventId, MachineId, NodeId};
use crate::node::Signal;
use crate::rng::Seed;
use crate::scenario::{LinkRule, NodeKind, NodeSpec, Scenario, chaos};
use crate::time::{Instant, Span};
use crate::trace::event::{DiskEvent, WorldEvent};
use crate::trace::{Event, Kind, Via};

/// A fault of the timeline with its times drawn.
#[derive(Clone, Debug)]
struct Entry {
    fault: Arc<Fault>,
    text: Arc<str>,
    /// After the start, or after the fault that it follows.
    at: Span,
    after: Option<u16>,
    /// It waits for this, and has seen so many of the events.
    when: Option<Arc<Trigger>>,
    seen: u32,
    /// The event that it waited for.
    sprung: EventId,
    /// When it heals after it began.
    lasts: Option<Span>,
    /// The event of its beginning.
    began: EventId,
    /// In force.
    on: bool,
    /// A flapping fault's paths are cut at the moment.
    cut: bool,
}

/// The timeline.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    entries: Vec<Entry>,
    /// The run settles: nothing strikes any more.
    closed: bool,
    /// How many still wait for an event.
    pub(super) waiting: usize,
    /// Events of the trace, since it was last drained, that those have seen.
    pub(super) looked_at: usize,
}

impl Faults {
    /// Draws the times, and the faults of the chaos after those of the timeline.
    pub(super) fn new(scenario: &Scenario, seed: Seed) -> Faults {
        let entry = |(index, timed): (usize, &crate::fault::Timed)| {
            let times = timed.times(index, seed);
            Entry {
                fault: Arc::new(timed.fault.clone()),
                text: timed.text.clone(),
                at: times.at,
                after: timed.after,
                when: timed.when.clone().map(Arc::new),
                seen: 0,
                sprung: EventId::NONE,
                lasts: times.restart_after.or(times.lasts),
                began: EventId::NONE,
                on: false,
                cut: false,
            }
        };
        let drawn = chaos::draw(scenario, seed);
        let all = scenario.faults.iter().chain(&drawn).enumerate();
        let entries: Vec<Entry> = all.map(entry).collect();
        let waiting = entries.iter().filter(|entry| entry.when.is_some()).count();
        Faults { entries, closed: false, waiting, looked_at: 0 }
    }

    /// The faults whose events are among these.
    fn sprung_by(&mut self, events: &[Event]) -> Vec<u16> {
        let mut sprung = Vec::new();
        for event in events {
            let name = event.kind.name();
            for (index, entry) in (0u16..).zip(&mut self.entries) {
                let Some(when) = entry.when.as_ref().filter(|_| entry.sprung == EventId::NONE) else { continue };
                let here = when.nodes.is_empty() || event.node.is_some_and(|node| when.nodes.contains(&node));
                if !here || *when.event != *name {
                    continue;
                }
                entry.seen += 1;
                if entry.seen == when.nth {
                    entry.sprung = event.id;
                    self.waiting -= 1;
                    sprung.push(index);
                }
            }
        }
        sprung
    }
}

/// Every directed pair that a partition cuts.
fn cut_pairs(fault: &Fault) -> Vec<(MachineId, MachineId)> {
    let mut pairs = Vec::new();
    let mut cut = |from: &[MachineId], to: &[MachineId]| {
        for &a in from {
            pairs.extend(to.iter().filter(|&&b| a != b).map(|&b| (a, b)));
        }
    };
    #[allow(clippy::wildcard_enum_match_arm, reason = "all others cut nothing")]
    match fault {
        Fault::Partition { groups, .. } => {
            for (i, from) in groups.iter().enumerate() {
                for (_, to) in groups.iter().enumerate().filter(|(j, _)| *j != i) {
                    cut(from, to);
                }
            }
        }
        Fault::PartitionOneWay { from, to, .. } => cut(from, to),
        _ => {}
    }
    pairs
}

impl World {
    /// Queues the faults whose times are counted from the start.
    pub(super) fn schedule_faults(&mut self) {
        for (index, entry) in (0u16..).zip(&self.faults.entries) {
            if entry.after.is_none() && entry.when.is_none() {
                self.queue.push_fault(Instant::ZERO + entry.at, index);
            }
        }
    }

    /// Faults that wait for an event strike when it has happened, before anything else does.
    pub(super) fn spring_faults(&mut self) {
        while self.faults.waiting > 0 && self.faults.looked_at < self.out.tracer.waiting() {
            let events = self.out.tracer.pending();
            let sprung = self.faults.sprung_by(&events[self.faults.looked_at..]);
            self.faults.looked_at = events.len();
            for index in sprung {
                match self.faults.entries[usize::from(index)].at {
                    Span::ZERO => self.begin_fault(index),
                    delay => self.queue.push(self.now + delay, Due::Fault { fault: index }),
                }
            }
            self.serve_ready();
        }
    }

    /// Replaces what the timeline still has to bring by another scenario's, whose deployment must be the same: it may
    /// differ in faults that have not struck yet, in its duration, its settle period and what it expects. The world then
    /// goes on to the last event as one built from that scenario would. False, and nothing is changed, when the past would
    /// have been another: other faults struck or should have, or clients were told another end of the run.
    #[must_use]
    pub fn reschedule(&mut self, scenario: Arc<Scenario>) -> bool {
        let now = self.now.since(Instant::ZERO);
        let (old, new) = (&self.scenario.faults, &scenario.faults);
        let same_nodes = self.scenario.nodes.len() == scenario.nodes.len();
        // Clients were told when to stop: at the end of the run at the latest.
        let shorter = self.scenario.duration.min(scenario.duration);
        let told_end = |spec: &NodeSpec| match &spec.kind {
            NodeKind::Client(config) => config.workload.stop.is_none_or(|stop| stop > shorter),
            NodeKind::Locker(config) => config.stop.is_none_or(|stop| stop > shorter),
            NodeKind::Server(_) | NodeKind::Sentinel(_) | NodeKind::Resource(_) => false,
        };
        let told = self.scenario.duration != scenario.duration && scenario.nodes.iter().any(told_end);
        if self.faults.closed
            || !same_nodes
            || told
            || now >= scenario.duration
            || self.faults.entries.len() != old.len()
        {
            return false;
        }
        // What waits for events has its past in the events so far.
        let waits = |timed: &crate::fault::Timed| timed.when.is_some();
        if old != new && (old.iter().any(waits) || new.iter().any(waits)) {
            return false;
        }
        let mut next = Faults::new(&scenario, self.seed);
        let struck = |after: Option<u16>| {
            after.is_some_and(|first| {
                self.faults.entries.get(usize::from(first)).is_some_and(|entry| entry.began != EventId::NONE)
            })
        };
        for (index, entry) in self.faults.entries.iter().enumerate() {
            if (entry.began != EventId::NONE || struck(entry.after)) && new.get(index) != old.get(index) {
                return false;
            }
        }
        for (index, entry) in next.entries.iter_mut().enumerate() {
            match self.faults.entries.get(index) {
                Some(before) if before.began != EventId::NONE || before.when.is_some() => *entry = before.clone(),
                Some(before) if struck(entry.after) && !struck(before.after) => return false,
                None if struck(entry.after) => return false,
                _ if entry.after.is_none() && entry.when.is_none() && entry.at <= now => return false,
                _ => {}
            }
        }
        // Turns that are not over yet took into account what was to come until their ends.
        let foreseen = self.foreseen.since(Instant::ZERO);
        let soon = |entries: &[Entry]| entries.iter().any(|entry| entry.began == EventId::NONE && entry.at <= foreseen);
        if old != new && foreseen > now && (soon(&self.faults.entries) || soon(&next.entries)) {
            return false;
        }
        (next.waiting, next.looked_at) = (self.faults.waiting, self.faults.looked_at);
        self.faults = next;
        self.queue.drop_faults();
        for (index, entry) in (0u16..).zip(&self.faults.entries) {
            if entry.after.is_none() && entry.when.is_none() && entry.began == EventId::NONE {
                self.queue.push_fault(Instant::ZERO + entry.at, index);
            }
        }
        self.scenario = scenario;
        true
    }

    pub(super) fn inject_fault(&mut self, fault: Fault, lasts: Option<Span>) {
        let scenario = self.scenario.clone();
        let text = fault.describe(&|node| scenario.nodes[node.index()].name.to_string(), &|machine| {
            scenario.machines[machine.index()].name.to_string()
        });
        let index = u16::try_from(self.faults.entries.len()).expect("fewer than 65,536 faults");
        self.faults.entries.push(Entry {
            fault: Arc::new(fault),
            text: text.into(),
            at: self.now.since(Instant::ZERO),
            after: None,
            when: None,
            seen: 0,
            sprung: EventId::NONE,
            lasts,
            began: EventId::NONE,
            on: false,
            cut: false,
        });
        self.begin_fault(index);
    }

    /// A fault strikes.
    pub(super) fn begin_fault(&mut self, index: u16) {
        if self.faults.closed {
            return;
        }
        let entry = &self.faults.entries[usize::from(index)];
        let fault = entry.fault.clone();
        let cause = entry.after.map_or(entry.sprung, |first| self.faults.entries[usize::from(first)].began);
        let event = WorldEvent::FaultBegan {
            fault: index,
            kind: fault.kind(),
            what: entry.text.clone(),
            nodes: self.touched(&fault),
        };
        let began = self.out.tracer.record(None, cause, Via::Fault, Kind::World(event));
        let entry = &mut self.faults.entries[usize::from(index)];
        entry.began = began;
        entry.on = !matches!(*fault, Fault::Restart { .. } | Fault::Exec { .. });
        if let (true, Some(lasts)) = (entry.on, entry.lasts) {
            self.queue.push(self.now + lasts, Due::Heal { fault: index });
        }
        for (other, entry) in (0u16..).zip(&self.faults.entries) {
            if entry.after == Some(index) {
                self.queue.push(self.now + entry.at, Due::Fault { fault: other });
            }
        }
        self.apply(index, &fault, began);
    }

    /// A fault's time is over.
    pub(super) fn heal_fault(&mut self, index: u16) {
        let entry = &mut self.faults.entries[usize::from(index)];
        if !entry.on {
            return;
        }
        entry.on = false;
        let (fault, began) = (entry.fault.clone(), entry.began);
        let event = Kind::World(WorldEvent::FaultEnded { fault: index });
        let ended = self.out.tracer.record(None, began, Via::Fault, event);
        self.unapply(index, &fault, ended);
    }

    /// Ends a fault before its time. What has killed processes ends by starting them.
    pub(super) fn heal_early(&mut self, index: u16) {
        if usize::from(index) < self.faults.entries.len() {
            self.heal_fault(index);
        }
    }

    /// The faults in force: their numbers, what they are, and that as a sentence.
    pub fn faults_in_force(&self) -> impl Iterator<Item = (u16, &Fault, &Arc<str>)> {
        let entries = (0u16..).zip(&self.faults.entries);
        entries.filter(|(_, entry)| entry.on).map(|(index, entry)| (index, &*entry.fault, &entry.text))
    }

    /// Heals everything; nothing strikes any more.
    pub(super) fn heal_all(&mut self) {
        self.faults.closed = true;
        for (index, _) in (0u16..).zip(self.faults.entries.clone()) {
            self.heal_fault(index);
        }
    }

    /// The nodes that a fault touches directly.
    fn touched(&self, fault: &Fault) -> Arc<[NodeId]> {
        let on = |machines: &[MachineId]| -> Vec<NodeId> {
            self.node_ids().filter(|id| machines.contains(&self.processes[id.index()].machine)).collect()
        };
        match fault {
            Fault::Crash { nodes }
            | Fault::Shutdown { nodes }
            | Fault::Restart { nodes }
            | Fault::Pause { nodes }
            | Fault::Cpu { nodes, .. } => nodes.as_slice().into(),
            Fault::PowerOff { machines } | Fault::Clock { machines, .. } | Fault::Disk { machines, .. } => {
                on(machines).into()
            }
            Fault::Partition { groups, .. } => on(&groups.concat()).into(),
            Fault::PartitionOneWay { from, to, .. } | Fault::Link { from, to, .. } => {
                on(&[from.as_slice(), to.as_slice()].concat()).into()
            }
            Fault::Exec { node, .. } => [*node].into(),
        }
    }

    fn apply(&mut self, index: u16, fault: &Fault, cause: EventId) {
        match fault {
            Fault::Crash { nodes } => nodes.iter().for_each(|&id| self.die(id, "crash", cause, Via::Fault)),
            Fault::Shutdown { nodes } => nodes.iter().for_each(|&id| self.terminate(id, cause)),
            Fault::PowerOff { machines } => machines.iter().for_each(|&machine| self.power_off(machine, cause)),
            Fault::Restart { nodes } => {
                for &id in nodes {
                    self.die(id, "crash", cause, Via::Fault);
                    self.power_on(self.processes[id.index()].machine, cause);
                    self.boot(id, cause, Via::Fault);
                }
            }
            Fault::Pause { nodes } => nodes.iter().for_each(|&id| self.pause(id, cause)),
            Fault::Partition { flap, .. } | Fault::PartitionOneWay { flap, .. } => {
                self.toggle(index, fault, cause);
                if let Some(period) = flap {
                    self.queue.push(self.now + *period, Due::Flap { fault: index });
                }
            }
            Fault::Link { from, to, both, effect } => {
                let (net, mut wire) = self.wire();
                let rule = LinkRule { from: from.clone(), to: to.clone(), both: *both, effect: effect.clone() };
                net.add_effect(index, rule, cause, &mut wire);
            }
            Fault::Clock { machines, jump_ns, drift_ppm } => {
                for &machine in machines {
                    self.touch_clock(machine, *jump_ns, drift_ppm.map_or(0, i64::from), cause);
                }
            }
            Fault::Cpu { nodes, .. } => self.refresh_cpu(nodes),
            Fault::Disk { machines, effect } => {
                machines.iter().for_each(|&machine| self.strike_disk(machine, index, effect, cause));
            }
            Fault::Exec { node, argv } => self.exec(*node, argv, cause),
        }
    }

    fn unapply(&mut self, index: u16, fault: &Fault, cause: EventId) {
        match fault {
            Fault::Crash { nodes } | Fault::Shutdown { nodes } => {
                for &id in nodes {
                    let process = &self.processes[id.index()];
                    if process.state == State::Down && self.net.has_power(process.machine) {
                        self.boot(id, cause, Via::Fault);
                    }
                }
            }
            Fault::PowerOff { machines } => {
                for &machine in machines {
                    self.power_on(machine, cause);
                    for id in self.node_ids() {
                        let process = &self.processes[id.index()];
                        if process.machine == machine && process.state == State::Down && process.incarnation > 0 {
                            self.boot(id, cause, Via::Fault);
                        }
                    }
                }
            }
            Fault::Pause { nodes } => nodes.iter().for_each(|&id| self.resume(id, cause)),
            Fault::Partition { .. } | Fault::PartitionOneWay { .. } => {
                if self.faults.entries[usize::from(index)].cut {
                    self.toggle(index, fault, cause);
                }
            }
            Fault::Link { .. } => {
                let (net, mut wire) = self.wire();
                net.remove_effect(index, cause, &mut wire);
            }
            Fault::Clock { machines, jump_ns, drift_ppm } => {
                for &machine in machines {
                    self.touch_clock(machine, -jump_ns, drift_ppm.map_or(0, |ppm| -i64::from(ppm)), cause);
                }
            }
            Fault::Cpu { nodes, .. } => self.refresh_cpu(nodes),
            Fault::Disk { machines, .. } => {
                for &machine in machines {
                    self.storage.heal(machine, index);
                    self.refresh_troubles(machine);
                }
            }
            Fault::Restart { .. } | Fault::Exec { .. } => unreachable!("these have no duration"),
        }
    }

    /// A flapping fault changes over.
    pub(super) fn on_flap(&mut self, index: u16) {
        let entry = &self.faults.entries[usize::from(index)];
        if !entry.on {
            return;
        }
        let (fault, began) = (entry.fault.clone(), entry.began);
        self.toggle(index, &fault, began);
        if let Fault::Partition { flap: Some(period), .. } | Fault::PartitionOneWay { flap: Some(period), .. } = &*fault
        {
            self.queue.push(self.now + *period, Due::Flap { fault: index });
        }
    }

    /// Cuts a partition's paths, or opens them.
    fn toggle(&mut self, index: u16, fault: &Fault, cause: EventId) {
        let pairs = cut_pairs(fault);
        let entry = &mut self.faults.entries[usize::from(index)];
        entry.cut = !entry.cut;
        let cut = entry.cut;
        let (net, mut wire) = self.wire();
        if cut {
            net.sever(&pairs, cause, &mut wire);
        } else {
            net.heal(&pairs, cause, &mut wire);
        }
    }

    fn terminate(&mut self, id: NodeId, cause: EventId) {
        if self.processes[id.index()].state != State::Down {
            let what = What::Signal(Signal::Term);
            self.inboxes.push(id.0, Arrived { sock: None, what, cause, via: Via::Fault });
        }
    }

    fn power_off(&mut self, machine: MachineId, cause: EventId) {
        if !self.net.has_power(machine) {
            return;
        }
        let (net, mut wire) = self.wire();
        net.set_power(machine, false, cause, &mut wire);
        for id in self.node_ids() {
            if self.processes[id.index()].machine != machine {
                continue;
            }
            self.die(id, "power-off", cause, Via::Fault);
            let incarnation = u64::from(self.processes[id.index()].incarnation);
            let name = &self.scenario.nodes[id.index()].name;
            let mut draws = self.seed.derive(name, incarnation).stream(name, "torn write");
            for (file, bytes) in self.disks[id.index()].power_off(&mut draws) {
                let cause = self.processes[id.index()].newest;
                let event = Kind::Disk(DiskEvent::Lost { file, bytes });
                self.processes[id.index()].newest = self.out.tracer.record(Some(id), cause, Via::Fault, event);
            }
        }
    }

    /// A machine's disk goes bad.
    fn strike_disk(&mut self, machine: MachineId, index: u16, effect: &DiskEffect, cause: EventId) {
        self.storage.strike(machine, index, effect);
        self.refresh_troubles(machine);
        let Some(name) = &effect.corrupts else { return };
        for id in self.node_ids() {
            if self.processes[id.index()].machine != machine {
                continue;
            }
            let node = &self.scenario.nodes[id.index()].name;
            let mut draws = self.seed.stream(node, &format!("corruption {index}"));
            for (file, at) in self.disks[id.index()].corrupt(name, &mut draws) {
                let event = Kind::Disk(DiskEvent::Corrupted { file, at });
                self.out.tracer.record(Some(id), cause, Via::Fault, event);
            }
        }
    }

    /// Tells the nodes of a machine what is wrong with its disk, in what becomes of their operations.
    pub(super) fn refresh_troubles(&mut self, machine: MachineId) {
        let trouble = self.storage.trouble(machine);
        for id in self.node_ids() {
            if self.processes[id.index()].machine == machine {
                self.out.troubles.set(id, trouble);
            }
        }
    }

    /// Gives a machine its power back, if it has none.
    pub(super) fn power_on(&mut self, machine: MachineId, cause: EventId) {
        if !self.net.has_power(machine) {
            let (net, mut wire) = self.wire();
            net.set_power(machine, true, cause, &mut wire);
        }
    }

    fn touch_clock(&mut self, machine: MachineId, jump_ns: i64, drift_ppm: i64, cause: EventId) {
        let clock = &mut self.clocks[machine.index()];
        clock.jump(self.now, jump_ns);
        clock.add_drift(self.now, drift_ppm);
        for id in self.node_ids() {
            if self.processes[id.index()].machine == machine {
                self.wake_anyway(id, cause);
            }
        }
    }

    /// Multiplies the slow-downs in force.
    fn refresh_cpu(&mut self, nodes: &[NodeId]) {
        for &id in nodes {
            let machine = self.processes[id.index()].machine;
            let mut milli = u64::from(self.scenario.machines[machine.index()].cpu_milli);
            for entry in self.faults.entries.iter().filter(|entry| entry.on) {
                if let Fault::Cpu { nodes, slow_down_milli } = &*entry.fault
                    && nodes.contains(&id)
                {
                    milli = milli.saturating_mul(u64::from(*slow_down_milli)) / 1_000;
                }
            }
            self.processes[id.index()].slow_down(milli);
        }
    }
}
