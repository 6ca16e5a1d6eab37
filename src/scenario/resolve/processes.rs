//! Addresses and settings of every process.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::NodeKind;
use super::super::field::At;
use super::super::raw;
use super::super::source::Place;
use super::directives::{Placed, numbered, report_errors, report_warnings, to_table};
use super::{Resolver, Role};
use crate::id::{Addr, MachineId, NodeId};
use crate::{sentinel, server};

/// The directives of every entry of the file, before anything is added for single nodes.
struct Entries {
    servers: Vec<Vec<Placed>>,
    sentinels: Vec<Vec<Placed>>,
}

impl Resolver<'_> {
    /// Gives every node its address, then builds its settings. `None` for a node whose settings are wrong.
    pub(super) fn build_processes(&mut self) -> Vec<Option<NodeKind>> {
        let entries = self.entry_directives();
        self.assign_addresses(&entries);
        self.check_replication();
        let masters = self.watch(&entries);
        let mut kinds = Vec::new();
        for index in 0..self.drafts.len() {
            kinds.push(match self.drafts[index].role {
                Role::Server(entry) => self.server(index, entry, &entries.servers[entry]),
                Role::Sentinel(entry) => self.sentinel(index, entry, &entries.sentinels[entry]),
                Role::Client(entry) => self.client(index, entry),
                Role::Resource(entry) => self.resource(entry),
            });
        }
        self.check_quorums(&masters);
        kinds
    }

    /// Reads each entry's directives once, and makes them the entry's own in the effective file.
    fn entry_directives(&mut self) -> Entries {
        let defaults = self.file.defaults.clone().unwrap_or_default();
        let mut entries = Entries { servers: Vec::new(), sentinels: Vec::new() };
        for index in 0..self.file.redis.len() {
            let raw = self.file.redis[index].clone();
            let mut all = self.directives(defaults.redis.as_ref(), raw.config_file.as_ref(), raw.config.as_ref());
            if raw.replicaof.is_some() {
                all.retain(|placed| placed.name != "replicaof" && placed.name != "slaveof");
            }
            self.file.redis[index].config = to_table(&all);
            self.file.redis[index].config_file = None;
            entries.servers.push(all);
        }
        for index in 0..self.file.sentinel.len() {
            let raw = self.file.sentinel[index].clone();
            let all = self.directives(defaults.sentinel.as_ref(), raw.config_file.as_ref(), raw.config.as_ref());
            self.file.sentinel[index].config = to_table(&all);
            self.file.sentinel[index].config_file = None;
            entries.sentinels.push(all);
        }
        if let Some(defaults) = &mut self.file.defaults {
            defaults.redis = None;
            defaults.sentinel = None;
        }
        entries
    }

    /// Machines' addresses, and ports: a `port` directive's, else the first that is free on the machine.
    fn assign_addresses(&mut self, entries: &Entries) {
        let mut taken: BTreeMap<(MachineId, u16), usize> = BTreeMap::new();
        let wanted = |role: Role| match role {
            Role::Server(entry) => Some((port_of(&entries.servers[entry]), 6379)),
            Role::Sentinel(entry) => Some((port_of(&entries.sentinels[entry]), 26379)),
            Role::Client(_) => None,
            Role::Resource(_) => Some((None, 5432)),
        };
        for index in 0..self.drafts.len() {
            let draft = &self.drafts[index];
            let Some((Some((port, place)), _)) = wanted(draft.role) else { continue };
            if let Some(&other) = taken.get(&(draft.machine, port)) {
                let message = format!(
                    "`{}` and `{}` listen on port {port} of the same machine",
                    self.drafts[other].name, draft.name
                );
                self.problems
                    .error(place, message)
                    .label("taken")
                    .help("leave `port` out and each gets a port of its own");
            }
            taken.insert((draft.machine, port), index);
        }
        for index in 0..self.drafts.len() {
            let draft = &self.drafts[index];
            let port = match wanted(draft.role) {
                None => 0,
                Some((Some((port, _)), _)) => port,
                Some((None, first)) => {
                    let free = (first..u16::MAX).find(|&port| !taken.contains_key(&(draft.machine, port))).unwrap_or(0);
                    taken.insert((draft.machine, free), index);
                    free
                }
            };
            let ip = self.machines.get(draft.machine.index()).map_or(crate::id::Ip::LOOPBACK, |machine| machine.ip);
            self.drafts[index].addr = Addr::new(ip, port);
        }
        self.lay_out();
    }

    /// Names in `replicaof`, and loops of them.
    fn check_replication(&mut self) {
        let mut master_of: BTreeMap<NodeId, (NodeId, Place)> = BTreeMap::new();
        for index in 0..self.drafts.len() {
            let (Role::Server(entry), Ok(node)) = (self.drafts[index].role, u16::try_from(index)) else { continue };
            let Some(name) = self.file.redis[entry].replicaof.clone() else { continue };
            if let Some(master) = self.directory.server(&name, self.problems) {
                master_of.insert(NodeId(node), (master, name.place));
            }
        }
        for (&start, &(first, place)) in &master_of {
            let mut chain = vec![start];
            let mut here = first;
            while !chain.contains(&here) {
                chain.push(here);
                let Some(&(next, _)) = master_of.get(&here) else { break };
                here = next;
            }
            if here != start {
                continue;
            }
            let name = |node: NodeId| self.drafts[node.index()].name.to_string();
            if chain.len() == 1 {
                self.problems.error(place, format!("`{}` replicates itself", name(start)));
            } else if chain.iter().min() == Some(&start) {
                let path: Vec<String> = chain.iter().chain([&start]).map(|&node| name(node)).collect();
                self.problems
                    .error(place, format!("the replicas follow each other in a loop: {}", path.join(" → ")))
                    .help("one of them must be a master: leave its `replicaof` out");
            }
        }
    }

    fn server(&mut self, index: usize, entry: usize, directives: &[Placed]) -> Option<NodeKind> {
        let draft = self.drafts[index].clone();
        let mut all = directives.to_vec();
        if port_of(directives).is_none() {
            all.push(Placed::new("port", &[&draft.addr.port.to_string()], draft.place));
        }
        if let Some(master) = &self.file.redis[entry].replicaof {
            let place = master.place;
            let master = self.directory.get(master)?.nodes.first()?.index();
            let addr = self.drafts[master].addr;
            all.push(Placed::new("replicaof", &[&addr.ip.to_string(), &addr.port.to_string()], place));
        }
        self.warn_of_strangers(&all);
        self.translate_directives(index, &mut all);
        match server::config::Config::from_directives(&numbered(&all)) {
            Ok((mut config, warnings)) => {
                report_warnings(&all, draft.place, warnings, self.problems);
                if !config.aclfile.is_empty() {
                    let file = all.iter().find(|placed| placed.name == "aclfile");
                    config.acl_text = self.user_file(&config.aclfile, file.map_or(draft.place, |placed| placed.place));
                }
                config.process_id = self.process_id();
                Some(NodeKind::Server(Box::new(config)))
            }
            Err(errors) => {
                report_errors(&all, draft.place, errors, self.problems);
                None
            }
        }
    }

    /// The file that `aclfile` names: what the node's disk has of it at first.
    fn user_file(&mut self, name: &str, place: Place) -> Option<bytes::Bytes> {
        match (self.read_file)(name) {
            Ok(text) => Some(text.into()),
            Err(message) => {
                self.problems.error(place, format!("can't read \"{name}\": {message}"));
                None
            }
        }
    }

    fn sentinel(&mut self, index: usize, entry: usize, directives: &[Placed]) -> Option<NodeKind> {
        let draft = self.drafts[index].clone();
        let mut all = directives.to_vec();
        if port_of(directives).is_none() {
            all.push(Placed::new("port", &[&draft.addr.port.to_string()], draft.place));
        }
        for monitor in &self.file.sentinel[entry].monitor {
            let (Some(name), Some(master), Some(quorum)) = (&monitor.name, &monitor.master, &monitor.quorum) else {
                continue;
            };
            let Some(node) = self.directory.get(master).and_then(|entry| entry.nodes.first()) else { continue };
            let addr = self.drafts[node.index()].addr;
            let (ip, port, quorum_text) = (addr.ip.to_string(), addr.port.to_string(), quorum.value.to_string());
            all.push(Placed::new("sentinel", &["monitor", name, &ip, &port, &quorum_text], quorum.place));
            for (option, value, place) in options(monitor) {
                all.push(Placed::new("sentinel", &[option, name, &value], place));
            }
        }
        self.warn_of_strangers(&all);
        self.translate_directives(index, &mut all);
        match sentinel::config::Config::from_directives(&numbered(&all)) {
            Ok((config, warnings)) => {
                report_warnings(&all, draft.place, warnings, self.problems);
                Some(NodeKind::Sentinel(Box::new(config)))
            }
            Err(errors) => {
                report_errors(&all, draft.place, errors, self.problems);
                None
            }
        }
    }

    /// Says which addresses of masters are nobody's: files that were made for a real deployment have its addresses. What is
    /// served can follow and watch what is outside.
    fn warn_of_strangers(&mut self, all: &[Placed]) {
        if self.layout.is_some() {
            return;
        }
        let replicates = |placed: &&Placed| matches!(placed.name.as_str(), "replicaof" | "slaveof");
        let masters = all.iter().rfind(replicates).map(|placed| (placed, placed.args.as_slice()));
        let watched = all.iter().filter_map(|placed| match placed.args.as_slice() {
            [monitor, _, addr @ ..] if placed.name == "sentinel" && monitor.eq_ignore_ascii_case(b"monitor") => {
                Some((placed, addr))
            }
            _ => None,
        });
        for (placed, addr) in masters.into_iter().chain(watched) {
            let [host, port, ..] = addr else { continue };
            let [host, port] = [host, port].map(|part| String::from_utf8_lossy(part));
            let (Some(ip), Ok(port)) = (crate::id::Ip::parse(&host), port.parse()) else { continue };
            let addr = Addr::new(ip, port);
            if !self.drafts.iter().any(|draft| draft.addr == addr) {
                self.problems.warning(placed.place, format!("nothing listens at {addr}")).help(
                    "`[machines] m = { nodes = [\"r1\"], ip = \"…\" }` gives a machine the address that it really has",
                );
            }
        }
    }

    /// Which sentinels watch what, from `monitor` and from `sentinel monitor` lines; checks the names in `monitor`.
    fn watch(&mut self, entries: &Entries) -> BTreeMap<String, Watched> {
        let mut masters: BTreeMap<String, Watched> = BTreeMap::new();
        for entry in 0..self.file.sentinel.len() {
            let raw = self.file.sentinel[entry].clone();
            let sentinels = self.nodes_of(Role::Sentinel(entry));
            for monitor in &raw.monitor {
                if let (Some(name), true) = (&monitor.name, monitor.origin.damaged) {
                    self.watched.entry(name.value.clone()).or_default().extend(&sentinels);
                }
                let server = monitor.master.as_ref().and_then(|master| self.directory.server(master, self.problems));
                let (Some(name), Some(quorum)) = (&monitor.name, &monitor.quorum) else { continue };
                if let Some(server) = server {
                    self.check_watched(server, monitor);
                }
                self.watched.entry(name.value.clone()).or_default().extend(&sentinels);
                let watched = masters.entry(name.value.clone()).or_default();
                watched.quorums.push(quorum.clone());
                if let (Some(server), Some(master)) = (server, &monitor.master) {
                    watched.servers.push((server, master.place));
                }
            }
            for placed in &entries.sentinels[entry] {
                if let ("sentinel", Some("monitor"), Some(name)) =
                    (placed.name.as_str(), placed.first(), placed.args.get(1))
                {
                    let name = String::from_utf8_lossy(name).into_owned();
                    self.watched.entry(name).or_default().extend(&sentinels);
                }
            }
            if self.file.sentinel[entry].monitor.is_empty()
                && !sentinels.is_empty()
                && !entries.sentinels[entry].iter().any(is_monitor)
            {
                self.problems
                    .warning(self.drafts[sentinels[0].index()].place, "this sentinel watches nothing")
                    .help("monitor = [{ name = \"mymaster\", master = \"r1\", quorum = 2 }]");
            }
        }
        for nodes in self.watched.values_mut() {
            nodes.sort();
            nodes.dedup();
        }
        masters
    }

    fn check_watched(&mut self, server: NodeId, monitor: &raw::Monitor) {
        let (Role::Server(entry), Some(place)) = (self.drafts[server.index()].role, &monitor.master) else { return };
        if let Some(master) = &self.file.redis[entry].replicaof {
            let message = format!("`{}` is a replica at the start (of `{}`), not a master", place.value, master.value);
            self.problems.warning(place.place, message).label("watched as a master").also(master.place, "replicates");
        }
    }

    fn check_quorums(&mut self, masters: &BTreeMap<String, Watched>) {
        for (name, watched) in masters {
            let count = self.watched.get(name).map_or(0, Vec::len);
            for quorum in &watched.quorums {
                if usize::try_from(quorum.value).unwrap_or(usize::MAX) > count {
                    let message =
                        format!("a quorum of {} can't be reached: `{name}` has {count} sentinels", quorum.value);
                    self.problems.warning(quorum.place, message).label("there will never be a failover");
                }
            }
            if let Some((first, place)) = watched.servers.first()
                && let Some((other, there)) = watched.servers.iter().find(|(server, _)| server != first)
            {
                let names = (&self.drafts[first.index()].name, &self.drafts[other.index()].name);
                self.problems
                    .warning(*there, format!("sentinels disagree about `{name}`: `{}` or `{}`", names.0, names.1))
                    .also(*place, "the other one");
            }
        }
    }

    /// The nodes that one entry of the file made.
    fn nodes_of(&self, role: Role) -> Vec<NodeId> {
        let ids = self.drafts.iter().enumerate().filter(|(_, draft)| draft.role == role);
        ids.filter_map(|(index, _)| u16::try_from(index).ok().map(NodeId)).collect()
    }

    /// The sentinels that a client asks about a master: its own list, or all that watch it.
    pub(super) fn sentinels_for(
        &mut self,
        master: &At<String>,
        chosen: Option<&raw::Names>,
    ) -> Option<(Arc<str>, Vec<Addr>)> {
        let Some(watching) = self.watched.get(&master.value).cloned() else {
            let known: Vec<String> = self.watched.keys().cloned().collect();
            self.problems
                .error(master.place, format!("no sentinel watches a master called `{}`", master.value))
                .label("unknown master")
                .suggest(&master.value, "masters", known.iter().map(String::as_str));
            return None;
        };
        let Some(chosen) = chosen else {
            return Some((
                Arc::from(master.value.as_str()),
                watching.iter().map(|node| self.drafts[node.index()].addr).collect(),
            ));
        };
        let nodes = self.directory.nodes(chosen, self.problems);
        for node in &nodes {
            if !watching.contains(node) {
                let message =
                    format!("`{}` is not a sentinel that watches `{}`", self.drafts[node.index()].name, master.value);
                self.problems.error(chosen.origin.place, message);
                return None;
            }
        }
        Some((Arc::from(master.value.as_str()), nodes.iter().map(|node| self.drafts[node.index()].addr).collect()))
    }
}

/// What is said about one watched master in all `monitor` lists.
#[derive(Default)]
struct Watched {
    quorums: Vec<At<u32>>,
    servers: Vec<(NodeId, Place)>,
}

fn is_monitor(placed: &Placed) -> bool {
    placed.name == "sentinel" && placed.first().is_some_and(|word| word.eq_ignore_ascii_case("monitor"))
}

/// The last `port` directive that is a port.
fn port_of(directives: &[Placed]) -> Option<(u16, Place)> {
    let placed = directives.iter().rfind(|placed| placed.name == "port")?;
    Some((placed.first()?.parse().ok()?, placed.place))
}

/// The fields of a `monitor` that are directives of their own.
fn options(monitor: &raw::Monitor) -> Vec<(&'static str, String, Place)> {
    fn text<T: ToString>(name: &'static str, field: &Option<At<T>>) -> Option<(&'static str, String, Place)> {
        field.as_ref().map(|value| (name, value.value.to_string(), value.place))
    }
    [
        text("down-after-milliseconds", &monitor.down_after),
        text("failover-timeout", &monitor.failover_timeout),
        text("parallel-syncs", &monitor.parallel_syncs),
        text("auth-pass", &monitor.auth_pass),
        text("auth-user", &monitor.auth_user),
        text("notification-script", &monitor.notification_script),
        text("client-reconfig-script", &monitor.client_reconfig_script),
        text("master-reboot-down-after-period", &monitor.master_reboot_down_after_period),
    ]
    .into_iter()
    .flatten()
    .collect()
}
