//! The timeline: each `[[fault]]` becomes one [`Timed`] fault.

use std::sync::Arc;

use super::super::field::At;
use super::super::raw;
use super::super::raw::{Command, Names, Partition, Paused, When};
use super::super::source::Place;
use super::Resolver;
use super::machines::check_drift;
use crate::conf::split_args;
use crate::fault::{DiskEffect, Fault, Timed, Trigger};
use crate::id::MachineId;
use crate::rng::Dist;
use crate::time::Span;
use crate::trace::event::names;

/// A fault, where it was written, and the earliest and latest it can begin.
#[derive(Clone, Debug)]
pub(super) struct PlacedFault {
    pub(super) timed: Timed,
    pub(super) place: Place,
    pub(super) earliest: Span,
    pub(super) latest: Span,
    /// It waits for an event, or follows a fault that does: nobody knows when it comes.
    pub(super) open: bool,
}

const KINDS: &str = "crash, shutdown, restart, pause, power-off, partition, link, clock, cpu, disk or exec";

impl Resolver<'_> {
    /// All faults in the order of the file.
    pub(super) fn build_faults(&mut self) -> Vec<PlacedFault> {
        let mut out: Vec<PlacedFault> = Vec::new();
        let mut named: Vec<(String, usize)> = Vec::new();
        for raw in &self.file.fault.clone() {
            let after = raw.after.as_ref().and_then(|after| self.earlier_fault(after, &named));
            if let Some(name) = &raw.name {
                if named.iter().any(|(other, _)| *other == name.value) {
                    self.problems.error(name.place, format!("a fault is called `{}` already", name.value));
                }
                named.push((name.value.clone(), out.len()));
            }
            let Some((when, at, place)) = self.begin_of(raw) else { continue };
            let Some((fault, kind)) = self.fault(raw) else { continue };
            self.check_duration_fields(raw, &fault, kind);
            let node = |id: crate::id::NodeId| self.drafts[id.index()].name.to_string();
            let machine = |id: MachineId| self.machines[id.index()].name.to_string();
            let mut text = fault.describe(&node, &machine);
            if let Some(when) = &when {
                text.push_str(&format!(" {}", when.describe(&node)));
            }
            let open = when.is_some() || after.and_then(|index| out.get(index)).is_some_and(|first| first.open);
            let timed = Timed {
                at,
                lasts: raw.lasts.as_ref().map(|time| time.0),
                restart_after: raw.restart_after.as_ref().map(|time| time.0),
                after: after.and_then(|index| u16::try_from(index).ok()),
                when,
                fault,
                text: text.into(),
            };
            let base = after
                .and_then(|index| out.get(index))
                .map_or((Span::ZERO, Span::ZERO), |fault| (fault.earliest, fault.latest));
            let (low, high) = at.bounds();
            out.push(PlacedFault { timed, place, earliest: base.0 + low, latest: base.1 + high, open });
        }
        out
    }

    /// When a fault begins: at a time, or at an event.
    fn begin_of(&mut self, raw: &raw::Fault) -> Option<(Option<Trigger>, Dist, Place)> {
        let paused = match &raw.pause {
            Some(Paused::When(paused)) => Some(paused),
            Some(Paused::Names(_)) | None => None,
        };
        if let (Some(outer), Some(inner)) = (&raw.when, paused) {
            self.problems
                .error(when_place(outer), "the fault waits for two events")
                .also(inner.origin.place, "here too");
            return None;
        }
        let Some(when) = raw.when.as_ref().or_else(|| paused.and_then(|paused| paused.when.as_ref())) else {
            let Some(at) = &raw.at else {
                if !raw.origin.damaged {
                    self.problems
                        .error(raw.origin.place, "[[fault]] lacks the field `at`")
                        .help("at = \"10s\", or when = \"lock-acquired\": an event of the trace");
                }
                return None;
            };
            return Some((None, at.0, at.place));
        };
        for (place, field) in
            [(raw.at.as_ref().map(|at| at.place), "at"), (raw.after.as_ref().map(|a| a.place), "after")]
        {
            if let Some(place) = place {
                self.problems
                    .error(place, format!("`{field}` and `when` exclude each other"))
                    .help("to wait longer write when = { event = \"…\", after = \"10ms\" }");
                return None;
            }
        }
        let own = paused.and_then(|paused| paused.client.as_ref().or(paused.node.as_ref()));
        let (trigger, after) = self.trigger(when, own)?;
        Some((Some(trigger), after, when_place(when)))
    }

    /// An event by its name, and how long after it.
    fn trigger(&mut self, when: &When, own: Option<&Names>) -> Option<(Trigger, Dist)> {
        let (event, node, nth, after) = match when {
            When::Event(name) => (name, None, None, None),
            When::Trigger(table) => {
                (table.event.as_ref()?, table.node.as_ref(), table.nth.as_ref(), table.after.as_ref())
            }
        };
        if !names::can_trigger(&event.value) {
            self.problems
                .error(event.place, format!("no event of the trace is called `{}`", event.value))
                .label("unknown event")
                .suggest(event, "events", names::triggers());
            return None;
        }
        let nodes = match node.or(own) {
            Some(nodes) => self.processes(nodes)?,
            None => Vec::new(),
        };
        if let Some(nth) = nth
            && nth.value == 0
        {
            self.problems.error(nth.place, "events are counted from 1");
            return None;
        }
        let trigger = Trigger { event: event.value.as_str().into(), nodes, nth: nth.map_or(1, |nth| nth.value) };
        Some((trigger, after.map_or(Dist::Constant(Span::ZERO), |after| after.0)))
    }

    /// Who is paused.
    fn paused(&mut self, raw: &Paused) -> Option<Vec<crate::id::NodeId>> {
        let table = match raw {
            Paused::Names(names) => return self.processes(names),
            Paused::When(table) => table,
        };
        match (&table.node, &table.client) {
            (Some(names), None) | (None, Some(names)) => self.processes(names),
            (None, None) if table.origin.damaged => None,
            (None, None) => {
                self.problems.error(table.origin.place, "nobody is paused").help("write { client = \"c1\", when = … }");
                None
            }
            (Some(_), Some(names)) => {
                self.problems.error(names.origin.place, "`node` and `client` exclude each other");
                None
            }
        }
    }

    /// The fault that an `after` names: one that stands before it, so that there are no loops.
    fn earlier_fault(&mut self, after: &At<String>, named: &[(String, usize)]) -> Option<usize> {
        let found = named.iter().find(|(name, _)| *name == after.value).map(|(_, index)| *index);
        if found.is_none() {
            let known: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
            let problem = self.problems.error(after.place, format!("no earlier fault is called `{}`", after.value));
            problem.label("unknown fault").suggest(after, "names of earlier faults", known);
            if self.file.fault.iter().any(|fault| fault.name.as_ref() == Some(after)) {
                problem.help("it comes later in the file; `after` names a fault that stands before");
            }
        }
        found
    }

    /// Exactly one kind, resolved.
    fn fault(&mut self, raw: &raw::Fault) -> Option<(Fault, &'static str)> {
        let given = [
            ("crash", raw.crash.is_some()),
            ("shutdown", raw.shutdown.is_some()),
            ("restart", raw.restart.is_some()),
            ("pause", raw.pause.is_some()),
            ("power-off", raw.power_off.is_some()),
            ("partition", raw.partition.is_some()),
            ("link", raw.link.is_some()),
            ("clock", raw.clock.is_some()),
            ("cpu", raw.cpu.is_some()),
            ("disk", raw.disk.is_some()),
            ("exec", raw.exec.is_some()),
        ];
        let given: Vec<&'static str> = given.into_iter().filter(|(_, there)| *there).map(|(kind, _)| kind).collect();
        let kind = match given.as_slice() {
            [one] => *one,
            [] if raw.origin.damaged => return None,
            [] => {
                self.problems.error(raw.origin.place, "the fault has no kind").help(format!("give one of {KINDS}"));
                return None;
            }
            many => {
                self.problems
                    .error(raw.origin.place, format!("one fault has the kinds {}", many.join(" and ")))
                    .help("write a [[fault]] for each; they may have the same time");
                return None;
            }
        };
        if let Some(flap) = &raw.flap {
            if kind != "partition" {
                self.problems.error(flap.place, format!("`flap` belongs to a partition, not to {kind}"));
            } else if flap.0 < Span::from_ms(1) {
                self.problems
                    .error(flap.place, format!("a partition can't flap every {}", flap.0))
                    .help("at least \"1ms\"");
            }
        }
        Some((self.fault_of(raw, kind)?, kind))
    }

    fn fault_of(&mut self, raw: &raw::Fault, kind: &str) -> Option<Fault> {
        match kind {
            "crash" => Some(Fault::Crash { nodes: self.processes(raw.crash.as_ref()?)? }),
            "shutdown" => Some(Fault::Shutdown { nodes: self.processes(raw.shutdown.as_ref()?)? }),
            "restart" => Some(Fault::Restart { nodes: self.processes(raw.restart.as_ref()?)? }),
            "pause" => Some(Fault::Pause { nodes: self.paused(raw.pause.as_ref()?)? }),
            "power-off" => Some(Fault::PowerOff { machines: self.machines_of(raw.power_off.as_ref()?)? }),
            "partition" => self.partition(raw.partition.as_ref()?, raw.flap.as_ref().map(|flap| flap.0)),
            "link" => {
                let (from, to, both, effect) = self.link(raw.link.as_ref()?)?;
                Some(Fault::Link { from, to, both, effect })
            }
            "clock" => self.clock(raw.clock.as_ref()?),
            "cpu" => {
                let cpu = raw.cpu.as_ref()?;
                let (nodes, factor) = (self.processes(cpu.nodes.as_ref()?)?, cpu.slow_down.as_ref()?);
                if factor.0 == 0 {
                    self.problems
                        .error(factor.place, "slow-down = 0 would make every command free")
                        .help("10 is ten times slower");
                    return None;
                }
                Some(Fault::Cpu { nodes, slow_down_milli: factor.0 })
            }
            "disk" => self.disk_fault(raw.disk.as_ref()?),
            _ => self.exec(raw.exec.as_ref()?),
        }
    }

    fn disk_fault(&mut self, raw: &raw::Disk) -> Option<Fault> {
        let machines = self.machines_of(raw.machines.as_ref()?)?;
        let is = |flag: &Option<At<bool>>| flag.as_ref().is_some_and(|flag| flag.value);
        if let (Some(full), Some(room)) = (&raw.full, &raw.room)
            && full.value
        {
            self.problems
                .error(room.place, "a full disk has no room")
                .also(full.place, "it is full")
                .help("write one of the two");
            return None;
        }
        let effect = DiskEffect {
            slow: raw.slow.as_ref().map(|slow| slow.0),
            room: raw.room.as_ref().map(|room| room.0).or(is(&raw.full).then_some(0)),
            fails: is(&raw.fails),
            loses_syncs: is(&raw.loses_syncs),
            corrupts: raw.corrupts.as_ref().map(|file| file.value.as_str().into()),
        };
        if effect == DiskEffect::default() {
            if !raw.origin.damaged {
                self.problems
                    .error(raw.origin.place, "nothing is wrong with the disk")
                    .help("give one of slow, full, room, fails, loses-syncs or corrupts");
            }
            return None;
        }
        Some(Fault::Disk { machines, effect })
    }

    fn processes(&mut self, names: &Names) -> Option<Vec<crate::id::NodeId>> {
        let nodes = self.directory.nodes(names, self.problems);
        (!nodes.is_empty()).then_some(nodes)
    }

    fn machines_of(&mut self, names: &Names) -> Option<Vec<MachineId>> {
        let machines = self.directory.machines(names, self.problems);
        (!machines.is_empty()).then_some(machines)
    }

    fn partition(&mut self, raw: &Partition, flap: Option<Span>) -> Option<Fault> {
        let groups = match raw {
            Partition::OneWay(one_way) => {
                let (from, to) = (self.side(one_way.from.as_ref()?), self.side(one_way.to.as_ref()?));
                self.check_disjoint(one_way.origin.place, &[from.clone(), to.clone()]);
                return Some(Fault::PartitionOneWay { from, to, flap });
            }
            Partition::Groups(place, groups) => {
                if groups.len() < 2 {
                    self.problems
                        .error(*place, "a partition needs at least two groups")
                        .help("machines in no group reach everyone, so the other side must be listed too");
                    return None;
                }
                let sides: Vec<Vec<MachineId>> = groups.iter().map(|group| self.side(group)).collect();
                self.check_disjoint(*place, &sides);
                sides
            }
        };
        Some(Fault::Partition { groups, flap })
    }

    /// The machines of one side. A node stands for its machine, so a neighbour that isn't named comes along.
    fn side(&mut self, names: &Names) -> Vec<MachineId> {
        let machines = self.directory.machines(names, self.problems);
        let named: Vec<_> = names
            .list
            .iter()
            .filter_map(|name| self.directory.get(name))
            .flat_map(|entry| entry.nodes.clone())
            .collect();
        for name in &names.list {
            let Some(entry) = self.directory.get(name) else { continue };
            if !matches!(
                entry.what,
                super::names::What::Server | super::names::What::Sentinel | super::names::What::Client
            ) {
                continue;
            }
            for (index, draft) in self.drafts.iter().enumerate() {
                // An application beside a server is cut off with it as a matter of course.
                let known =
                    matches!(draft.role, super::Role::Client(_)) || named.iter().any(|node| node.index() == index);
                if entry.machines.contains(&draft.machine) && !known {
                    let machine = &self.machines[draft.machine.index()].name;
                    let message =
                        format!("cutting `{}` cuts its whole machine `{machine}`, also `{}`", name.value, draft.name);
                    self.problems.warning(name.place, message).help(format!("write \"{machine}\" to say so"));
                    break;
                }
            }
        }
        machines
    }

    fn check_disjoint(&mut self, place: Place, sides: &[Vec<MachineId>]) {
        for (index, side) in sides.iter().enumerate() {
            for machine in side {
                if sides[..index].iter().any(|other| other.contains(machine)) {
                    let name = &self.machines[machine.index()].name;
                    self.problems.error(place, format!("the machine `{name}` is on two sides of the partition"));
                    return;
                }
            }
        }
    }

    fn clock(&mut self, raw: &raw::Clock) -> Option<Fault> {
        let machines = self.machines_of(raw.machines.as_ref()?)?;
        if raw.jump.is_none() && raw.drift.is_none() {
            if raw.origin.damaged {
                return None;
            }
            self.problems
                .error(raw.origin.place, "the clocks are given nothing to do")
                .help("jump = \"+1h\", or drift = 200");
            return None;
        }
        check_drift(raw.drift.as_ref(), self.problems);
        Some(Fault::Clock {
            machines,
            jump_ns: raw.jump.as_ref().map_or(0, |step| step.0),
            drift_ppm: raw.drift.as_ref().map(|drift| drift.value),
        })
    }

    fn exec(&mut self, raw: &raw::Exec) -> Option<Fault> {
        let name = raw.node.as_ref()?;
        let nodes = self.directory.find(name, self.problems)?.nodes.clone();
        let [node] = nodes.as_slice() else {
            self.problems.error(name.place, format!("`{}` is not a single node", name.value));
            return None;
        };
        let role = self.drafts[node.index()].role;
        if matches!(role, super::Role::Client(_) | super::Role::Resource(_)) {
            let what = if matches!(role, super::Role::Client(_)) { "a client" } else { "a resource" };
            self.problems.error(name.place, format!("`{}` is {what}: it takes no commands", name.value));
            return None;
        }
        let (place, words) = match raw.command.as_ref()? {
            Command::Line(line) => {
                let words = split_args(line.as_bytes());
                let text = |word: Vec<u8>| Arc::from(String::from_utf8_lossy(&word));
                (line.place, words.map(|words| words.into_iter().map(text).collect::<Vec<Arc<str>>>()))
            }
            Command::Words(place, words) => (*place, Some(words.iter().map(|word| Arc::from(word.as_str())).collect())),
        };
        match words {
            Some(argv) if !argv.is_empty() => Some(Fault::Exec { node: *node, argv: self.translate_words(argv) }),
            Some(_) => {
                self.problems.error(place, "an empty command");
                None
            }
            None => {
                self.problems.error(place, "unbalanced quotes in the command");
                None
            }
        }
    }

    /// `for` and `restart-after` belong to some kinds only.
    fn check_duration_fields(&mut self, raw: &raw::Fault, fault: &Fault, kind: &str) {
        let lasting = match fault {
            Fault::Crash { .. } | Fault::Shutdown { .. } | Fault::PowerOff { .. } => false,
            Fault::Restart { .. } | Fault::Exec { .. } => false,
            Fault::Pause { .. } | Fault::Partition { .. } | Fault::PartitionOneWay { .. } | Fault::Link { .. } => true,
            Fault::Clock { .. } | Fault::Cpu { .. } | Fault::Disk { .. } => true,
        };
        let killing = matches!(fault, Fault::Crash { .. } | Fault::Shutdown { .. } | Fault::PowerOff { .. });
        if let Some(lasts) = &raw.lasts {
            if !lasting {
                let problem = self.problems.error(lasts.place, format!("`for` has no meaning with {kind}"));
                if killing {
                    problem.help(format!("to start the process again write restart-after = \"{}\"", lasts.0));
                }
            } else if lasts.0.bounds().1 == Span::ZERO {
                self.problems.error(lasts.place, format!("a {kind} that lasts no time"));
            }
        }
        if let Some(after) = &raw.restart_after
            && !killing
        {
            let problem = self.problems.error(after.place, format!("`restart-after` has no meaning with {kind}"));
            if lasting {
                problem.help(format!("to end it write for = \"{}\"", after.0));
            }
        }
    }
}

/// Where it is said what a fault waits for.
fn when_place(when: &When) -> Place {
    match when {
        When::Event(name) => name.place,
        When::Trigger(table) => table.origin.place,
    }
}
