//! Deployments that a host puts on real sockets: one address for all, a port for each, and what was written about the
//! addresses that the nodes would otherwise have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::field::At;
use super::super::source::Place;
use super::super::{Layout, OUTSIDE, Served};
use super::directives::Placed;
use super::names::{Entry, What};
use super::{Resolver, Role};
use crate::id::{Addr, Ip, MachineId};
use crate::rng::Dist;
use crate::time::Span;

/// A process that starts so late never does.
const NEVER: Span = Span::from_secs(200 * 365 * 86_400);

/// Where the nodes go.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    layout: Layout,
    /// From where a node would be to where it is.
    moved: BTreeMap<Addr, Addr>,
    /// What names resolve to, before anything moves.
    hosts: BTreeMap<Arc<str>, Ip>,
}

impl Plan {
    pub(super) fn new(layout: Layout) -> Plan {
        Plan { layout, moved: BTreeMap::new(), hosts: BTreeMap::new() }
    }

    pub(super) fn served(&self, outside: MachineId) -> Served {
        Served { ip: self.layout.ip, outside, clients: self.layout.clients }
    }

    /// Where the node that a host and a port name is now; as text.
    fn translated(&self, host: &str, port: &str) -> Option<(String, String)> {
        let ip = Ip::parse(host).or_else(|| self.hosts.get(host).copied())?;
        let to = self.moved.get(&Addr::new(ip, port.parse().ok()?))?;
        Some((to.ip.to_string(), to.port.to_string()))
    }
}

impl Resolver<'_> {
    /// The machine that stands for everything outside: the file's own of that name, or one more.
    pub(super) fn declare_outside(&mut self) -> Option<MachineId> {
        let plan = self.layout.as_ref()?;
        if let Some(place) = self.machines.iter().position(|machine| &*machine.name == OUTSIDE) {
            return u16::try_from(place).ok().map(MachineId);
        }
        let id = MachineId(u16::try_from(self.machines.len()).ok()?);
        let machine = self.machine(OUTSIDE, plan.layout.ip, None);
        self.machines.push(machine);
        let place = Place::default();
        let entry = Entry { what: What::Machine, place, nodes: Vec::new(), machines: vec![id] };
        self.directory.add(&At { place, value: OUTSIDE.to_owned() }, entry, self.problems);
        Some(id)
    }

    /// Whether the scenario's own clients stand still, and what it expects of them doesn't count.
    pub(super) fn idles_clients(&self) -> bool {
        self.layout.as_ref().is_some_and(|plan| !plan.layout.clients)
    }

    /// The number of the process that serves them, which stands for theirs.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.layout.as_ref().and_then(|plan| plan.layout.process_id)
    }

    /// Gives every node its place on the shared address.
    pub(super) fn lay_out(&mut self) {
        let idle = self.idles_clients();
        let Some(plan) = &mut self.layout else { return };
        let machines = self.machines.iter().map(|machine| (machine.name.clone(), machine.ip));
        let nodes = self.drafts.iter().map(|draft| (draft.name.clone(), draft.addr.ip));
        plan.hosts = machines.chain(nodes).collect();
        let Layout { ip, base_port, .. } = plan.layout;
        let mut next = u32::from(base_port);
        for draft in &mut self.drafts {
            if let Role::Client(_) = draft.role {
                draft.addr = Addr::new(ip, 0);
                if idle {
                    draft.start = Dist::Constant(NEVER);
                }
                continue;
            }
            let Ok(port) = u16::try_from(next) else {
                let message = format!("there is no port for `{}`: they are counted from {base_port} on", draft.name);
                self.problems.error(draft.place, message).help("choose a lower --base-port");
                return;
            };
            let to = Addr::new(ip, port);
            plan.moved.insert(draft.addr, to);
            draft.addr = to;
            next += 1;
        }
        for machine in &mut self.machines {
            machine.ip = ip;
        }
    }

    /// Makes the directives of a node say where things are when they are served.
    pub(super) fn translate_directives(&mut self, index: usize, all: &mut Vec<Placed>) {
        let Some(plan) = &self.layout else { return };
        let announces = |placed: &Placed| {
            let announced =
                ["replica-announce-ip", "replica-announce-port", "slave-announce-ip", "slave-announce-port"];
            announced.contains(&placed.name.as_str())
                || placed.name == "sentinel" && matches!(placed.first(), Some("announce-ip" | "announce-port"))
        };
        for placed in all.iter().filter(|placed| announces(placed)) {
            let message = format!("`{}` is left out: nodes announce where they are served", placed.name);
            self.problems.warning(placed.place, message);
        }
        all.retain(|placed| !announces(placed) && placed.name != "port");
        let draft = &self.drafts[index];
        all.push(Placed::new("port", &[&draft.addr.port.to_string()], draft.place));
        for placed in all.iter_mut() {
            for at in 1..placed.args.len() {
                let text = |at: usize| String::from_utf8_lossy(&placed.args[at]).into_owned();
                if let Some((host, port)) = plan.translated(&text(at - 1), &text(at)) {
                    placed.args[at - 1] = host.into_bytes();
                    placed.args[at] = port.into_bytes();
                }
            }
        }
    }

    /// The same for the words of a command.
    pub(super) fn translate_words(&self, mut words: Vec<Arc<str>>) -> Vec<Arc<str>> {
        let Some(plan) = &self.layout else { return words };
        for at in 1..words.len() {
            if let Some((host, port)) = plan.translated(&words[at - 1], &words[at]) {
                (words[at - 1], words[at]) = (host.into(), port.into());
            }
        }
        words
    }
}
