//! Nodes by name, the machines they are on, addresses, zones, and the paths between machines.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::field::{At, Origin};
use super::super::raw;
use super::super::raw::Names;
use super::super::source::Place;
use super::super::{LinkRule, Machine};
use super::names::{Entry, What, is_name};
use super::{Draft, NODES_MAX, Resolver, Role};
use crate::fault::LinkEffect;
use crate::id::{Addr, Ip, MachineId, NodeId};
use crate::rng::Dist;
use crate::time::Span;

/// Stands for "no machine yet" until every node has one.
const UNPLACED: MachineId = MachineId(u16::MAX);

impl Resolver<'_> {
    /// Every node gets its number, in the order of the file: servers, sentinels, clients, resources.
    pub(super) fn declare_nodes(&mut self) {
        for index in 0..self.file.redis.len() {
            let entry = &self.file.redis[index];
            let (names, start) = (entry_names(&entry.name, &entry.names), start_time(&entry.start));
            let origin = entry.origin;
            self.declare(Role::Server(index), What::Server, names, start, origin);
        }
        for index in 0..self.file.sentinel.len() {
            let entry = &self.file.sentinel[index];
            let (names, start) = (entry_names(&entry.name, &entry.names), start_time(&entry.start));
            let origin = entry.origin;
            self.declare(Role::Sentinel(index), What::Sentinel, names, start, origin);
        }
        for index in 0..self.file.client.len() {
            self.declare_clients(index);
        }
        for index in 0..self.file.resource.len() {
            let entry = &self.file.resource[index];
            let (names, origin) = (entry_names(&entry.name, &entry.names), entry.origin);
            self.declare(Role::Resource(index), What::Resource, names, Dist::Constant(Span::ZERO), origin);
        }
        if self.file.redis.is_empty() && !self.file.origin.damaged {
            self.problems
                .error(start_of(self.file.origin.place), "the scenario has no server")
                .help("add one:\n[[redis]]\nname = \"r1\"");
        }
        if self.drafts.len() > NODES_MAX {
            let message = format!("{} nodes are too many; a scenario has at most {NODES_MAX}", self.drafts.len());
            self.problems.error(start_of(self.file.origin.place), message);
            self.drafts.truncate(NODES_MAX);
        }
    }

    fn declare(&mut self, role: Role, what: What, names: Result<Vec<At<String>>, String>, start: Dist, origin: Origin) {
        let names = match names {
            Ok(names) => names,
            Err(_) if origin.damaged => return,
            Err(message) => {
                self.problems
                    .error(origin.place, message)
                    .help("write name = \"r1\", or names = [\"r1\", \"r2\"] for several alike");
                return;
            }
        };
        for name in names {
            if let Some(node) = self.draft(&name, role, start) {
                let entry = Entry { what, place: name.place, nodes: vec![node], machines: Vec::new() };
                self.directory.add(&name, entry, self.problems);
            }
        }
    }

    fn declare_clients(&mut self, index: usize) {
        let entry = &self.file.client[index];
        let Some(name) = entry.name.clone() else { return };
        let Some(count) = entry.count.clone() else {
            if let Some(node) = self.draft(&name, Role::Client(index), Dist::Constant(Span::ZERO)) {
                let entry = Entry { what: What::Client, place: name.place, nodes: vec![node], machines: Vec::new() };
                self.directory.add(&name, entry, self.problems);
            }
            return;
        };
        if usize::try_from(count.value).unwrap_or(usize::MAX) > NODES_MAX {
            self.problems.error(count.place, format!("{} clients are too many; the most is {NODES_MAX}", count.value));
            return;
        }
        if count.value == 0 {
            self.problems.warning(count.place, format!("no client `{}` will run", name.value)).label("none");
        }
        if !is_name(&name) {
            // Said once, not for every copy.
            let nobody = Entry { what: What::Clients, place: name.place, nodes: Vec::new(), machines: Vec::new() };
            self.directory.add(&name, nobody, self.problems);
            return;
        }
        let mut group = Vec::new();
        for number in 1..=count.value {
            let one = At { place: name.place, value: format!("{}-{number}", name.value) };
            if let Some(node) = self.draft(&one, Role::Client(index), Dist::Constant(Span::ZERO)) {
                group.push(node);
                let entry = Entry { what: What::Client, place: name.place, nodes: vec![node], machines: Vec::new() };
                self.directory.add(&one, entry, self.problems);
            }
        }
        let entry = Entry { what: What::Clients, place: name.place, nodes: group, machines: Vec::new() };
        self.directory.add(&name, entry, self.problems);
    }

    fn draft(&mut self, name: &At<String>, role: Role, start: Dist) -> Option<NodeId> {
        let node = NodeId(u16::try_from(self.drafts.len()).ok()?);
        self.drafts.push(Draft {
            name: Arc::from(name.value.as_str()),
            place: name.place,
            role,
            machine: UNPLACED,
            addr: Addr::default(),
            start,
        });
        Some(node)
    }

    /// `[machines]` first, then one machine for each node that none of them names.
    pub(super) fn declare_machines(&mut self) {
        let described = self.file.machines.clone();
        let taken = described.0.iter().filter_map(|(_, raw)| Ip::parse(raw.ip.as_ref()?)).collect();
        let mut addresses = Addresses { taken, next: Ip::new(10, 0, 0, 1) };
        let mut explicit: BTreeSet<Ip> = BTreeSet::new();
        for (name, raw) in &described.0 {
            let Ok(id) = u16::try_from(self.machines.len()).map(MachineId) else { break };
            let nodes = raw.nodes.as_ref().map_or(Vec::new(), |names| self.place_nodes(names, name, id));
            let ip = match &raw.ip {
                Some(text) => match Ip::parse(text) {
                    Some(ip) if explicit.insert(ip) => ip,
                    Some(_) => {
                        self.problems.error(text.place, format!("the address {} is taken", text.value));
                        continue;
                    }
                    None => {
                        let message = format!("\"{}\" is not an IPv4 address", text.value);
                        self.problems.error(text.place, message).label("expected something such as \"10.0.0.7\"");
                        continue;
                    }
                },
                None => addresses.take(),
            };
            let machine = self.machine(&name.value, ip, Some(raw));
            self.machines.push(machine);
            let entry = Entry { what: What::Machine, place: name.place, nodes, machines: vec![id] };
            self.directory.add(name, entry, self.problems);
        }
        for index in 0..self.drafts.len() {
            if self.drafts[index].machine == UNPLACED {
                let Ok(id) = u16::try_from(self.machines.len()).map(MachineId) else { break };
                let ip = addresses.take();
                let name = self.drafts[index].name.clone();
                let machine = self.machine(&name, ip, None);
                self.machines.push(machine);
                self.drafts[index].machine = id;
            }
        }
        let drafts = &self.drafts;
        self.directory.settle(&|node| drafts[node.index()].machine);
    }

    /// Puts the named nodes on a machine.
    fn place_nodes(&mut self, names: &Names, machine: &At<String>, id: MachineId) -> Vec<NodeId> {
        let mut placed = Vec::new();
        for name in &names.list {
            let Some(entry) = self.directory.find(name, self.problems).cloned() else { continue };
            if matches!(entry.what, What::Machine | What::Zone) {
                self.problems.error(name.place, format!("`{}` is not a node", name.value));
                continue;
            }
            for node in entry.nodes {
                let draft = &mut self.drafts[node.index()];
                if draft.machine != UNPLACED {
                    let message =
                        format!("`{}` is on a machine already, it can't be on `{}` too", draft.name, machine.value);
                    self.problems.error(name.place, message).label("named twice");
                    continue;
                }
                draft.machine = id;
                placed.push(node);
            }
        }
        placed
    }

    /// The number of the disk of this name; without one, a new disk.
    fn disk(&mut self, name: Option<&At<String>>) -> u16 {
        if let Some(known) = name.and_then(|name| self.disks.iter().find(|(known, _)| *known == name.value)) {
            return known.1;
        }
        let number = u16::try_from(self.disks.len()).unwrap_or(u16::MAX);
        self.disks.push((name.map(|name| name.value.clone()).unwrap_or_default(), number));
        number
    }

    pub(super) fn machine(&mut self, name: &str, ip: Ip, raw: Option<&raw::Machine>) -> Machine {
        let defaults = self.file.defaults.clone().unwrap_or_default().machine.unwrap_or_default();
        let fsync = raw.and_then(|raw| raw.fsync.clone()).or(defaults.fsync);
        let disk = raw.and_then(|raw| raw.disk.clone()).or(defaults.disk);
        let drift = raw.and_then(|raw| raw.clock_drift.clone()).or(defaults.clock_drift);
        let slow = raw.and_then(|raw| raw.slow_down.clone()).or(defaults.slow_down);
        Machine {
            name: Arc::from(name),
            ip,
            zone: None,
            clock_offset_ns: raw.and_then(|raw| raw.clock_offset.as_ref()).map_or(0, |step| step.0),
            clock_drift_ppm: drift.map_or(0, |drift| drift.value),
            cpu_milli: slow.map_or(1000, |slow| slow.0),
            fsync: fsync.map_or(Dist::Constant(Span::ZERO), |fsync| fsync.0),
            disk: self.disk(disk.as_ref()),
        }
    }

    /// Zones are names for sets of machines; a machine remembers the first that it is in.
    pub(super) fn declare_zones(&mut self) {
        for (name, members) in &self.file.zones.clone().0 {
            let machines = self.directory.machines(members, self.problems);
            let mut nodes = Vec::new();
            for (index, draft) in self.drafts.iter().enumerate() {
                if machines.contains(&draft.machine)
                    && let Ok(node) = u16::try_from(index)
                {
                    nodes.push(NodeId(node));
                }
            }
            for &machine in &machines {
                if let Some(machine) = self.machines.get_mut(machine.index()) {
                    machine.zone.get_or_insert_with(|| Arc::from(name.value.as_str()));
                }
            }
            self.directory.add(name, Entry { what: What::Zone, place: name.place, nodes, machines }, self.problems);
        }
        for (name, raw) in &self.file.machines.0 {
            check_drift(raw.clock_drift.as_ref(), self.problems);
            if raw.slow_down.as_ref().is_some_and(|factor| factor.0 == 0) {
                self.problems
                    .error(name.place, format!("the machine `{}` has slow-down = 0", name.value))
                    .help("1 is normal");
            }
        }
    }

    /// The permanent `[[link]]` rules.
    pub(super) fn links(&mut self) -> Vec<LinkRule> {
        let mut rules = Vec::new();
        for raw in &self.file.link.clone() {
            if let Some((from, to, both, effect)) = self.link(raw) {
                rules.push(LinkRule { from, to, both, effect });
            }
        }
        rules
    }

    /// The two ends and the effect of a `link`, permanent or a fault's.
    pub(super) fn link(&mut self, raw: &raw::Link) -> Option<(Vec<MachineId>, Vec<MachineId>, bool, LinkEffect)> {
        let from = self.directory.machines(raw.from.as_ref()?, self.problems);
        let to = self.directory.machines(raw.to.as_ref()?, self.problems);
        let effect = LinkEffect {
            latency: raw.latency.as_ref().map(|delay| delay.0),
            loss: raw.loss.as_ref().map(|share| share.ratio()),
            bandwidth: raw.bandwidth.as_ref().map(|bandwidth| bandwidth.bytes_per_second),
            down: raw.down.as_ref().is_some_and(|down| down.value),
        };
        if effect == LinkEffect::default() {
            if raw.origin.damaged {
                return None;
            }
            self.problems
                .error(raw.origin.place, "the link changes nothing")
                .help("give latency, loss, bandwidth or down = true");
            return None;
        }
        if let Some(loss) = &raw.loss
            && loss.value.0 > 0.9
        {
            let message = format!("with a loss of {} hardly any segment arrives", loss.value.0);
            self.problems.error(loss.place, message).help("the most is 0.9; write down = true to cut the link");
        }
        Some((from, to, raw.both.as_ref().is_none_or(|both| both.value), effect))
    }
}

/// A clock that is wrong by more than this is broken, not drifting.
const DRIFT_MAX: u32 = 500_000;

/// Reports a drift that no clock has.
pub(super) fn check_drift(drift: Option<&At<i32>>, problems: &mut super::Problems) {
    if let Some(drift) = drift
        && drift.value.unsigned_abs() > DRIFT_MAX
    {
        let message = format!("a drift of {} parts per million; the most is {DRIFT_MAX} either way", drift.value);
        problems.error(drift.place, message).help("a real clock drifts by less than 200");
    }
}

/// Where a table begins: marking all of it would mark the whole file.
fn start_of(place: Place) -> Place {
    Place { end: place.start, ..place }
}

fn start_time(field: &Option<At<super::super::units::Delay>>) -> Dist {
    field.as_ref().map_or(Dist::Constant(Span::ZERO), |delay| delay.0)
}

/// `name` or `names`: exactly one of them.
fn entry_names(name: &Option<At<String>>, names: &Option<Names>) -> Result<Vec<At<String>>, String> {
    match (name, names) {
        (Some(name), None) => Ok(vec![name.clone()]),
        (None, Some(names)) => Ok(names.list.clone()),
        (None, None) => Err("a node without a name".to_owned()),
        (Some(_), Some(_)) => Err("`name` and `names` exclude each other".to_owned()),
    }
}

/// Addresses from 10.0.0.1 on, without those that end in 0 or 255 and those that the file gives out itself.
struct Addresses {
    taken: BTreeSet<Ip>,
    next: Ip,
}

impl Addresses {
    fn take(&mut self) -> Ip {
        loop {
            let ip = self.next;
            self.next.0 += if ip.0 & 0xff == 254 { 3 } else { 1 };
            if !self.taken.contains(&ip) {
                return ip;
            }
        }
    }
}
