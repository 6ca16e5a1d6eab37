//! Who is called what: nodes, machines, zones, and the clients that share a name.

use indexmap::IndexMap;

use super::super::field::At;
use super::super::raw::Names;
use super::super::source::{Place, Problems};
use crate::id::{MachineId, NodeId};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A redis-server.
    Server,
    /// A redis-sentinel.
    Sentinel,
    /// An application.
    Client,
    /// All copies of an application.
    Clients,
    /// What a lock protects.
    Resource,
    /// A machine.
    Machine,
    /// A zone.
    Zone,
}

impl What {
    fn words(self) -> &'static str {
        match self {
            What::Server => "a server",
            What::Sentinel => "a sentinel",
            What::Client => "a client",
            What::Clients => "a group of clients",
            What::Resource => "a resource",
            What::Machine => "a machine",
            What::Zone => "a zone",
        }
    }
}

/// One name.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What it stands for.
    pub(crate) what: What,
    /// Where it was given.
    pub(crate) place: Place,
    /// The nodes that it means.
    pub(crate) nodes: Vec<NodeId>,
    /// The machines that it means.
    pub(crate) machines: Vec<MachineId>,
}

/// All names of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    entries: IndexMap<String, Entry>,
}

impl Directory {
    /// Adds a name. One that is taken is an error, except that a machine may be called as the only node on it.
    pub(crate) fn add(&mut self, name: &At<String>, entry: Entry, problems: &mut Problems) {
        if !is_name(name) {
            problems
                .error(name.place, format!("\"{}\" can't be a name", name.value))
                .label("not a name")
                .help("a name begins with a letter and has letters, digits, `-` and `_`");
            return;
        }
        match self.entries.get_mut(&name.value) {
            None => {
                self.entries.insert(name.value.clone(), entry);
            }
            Some(taken) if entry.what == What::Machine && taken.nodes == entry.nodes => {
                taken.machines = entry.machines;
            }
            Some(taken) => {
                problems
                    .error(name.place, format!("the name `{}` is taken by {}", name.value, taken.what.words()))
                    .label("given again here")
                    .also(taken.place, "given first here");
            }
        }
    }

    /// The entry of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The names of one kind.
    pub(crate) fn names_of(&self, what: What) -> Vec<String> {
        self.entries.iter().filter(|(_, entry)| entry.what == what).map(|(name, _)| name.clone()).collect()
    }

    /// Tells every name of a node which machine the node is on.
    pub(crate) fn settle(&mut self, machine_of: &dyn Fn(NodeId) -> MachineId) {
        for entry in self.entries.values_mut() {
            if !matches!(entry.what, What::Machine | What::Zone) {
                entry.machines = Vec::new();
                for &node in &entry.nodes {
                    let machine = machine_of(node);
                    if !entry.machines.contains(&machine) {
                        entry.machines.push(machine);
                    }
                }
            }
        }
    }

    /// The entry of that name, or an error that suggests another.
    pub(crate) fn find(&self, name: &At<String>, problems: &mut Problems) -> Option<&Entry> {
        let found = self.entries.get(&name.value);
        if found.is_none() {
            problems.error(name.place, format!("nothing is called `{}`", name.value)).label("unknown name").suggest(
                name,
                "names",
                self.entries.keys().map(String::as_str),
            );
        }
        found
    }

    /// The single server of that name, or an error.
    pub(crate) fn server(&self, name: &At<String>, problems: &mut Problems) -> Option<NodeId> {
        let servers =
            || self.entries.iter().filter(|(_, entry)| entry.what == What::Server).map(|(name, _)| name.as_str());
        match self.entries.get(&name.value) {
            Some(Entry { what: What::Server, nodes, .. }) => nodes.first().copied(),
            Some(other) => {
                problems
                    .error(name.place, format!("`{}` is {}, a server is needed here", name.value, other.what.words()))
                    .label("not a server")
                    .also(other.place, format!("{} is declared here", other.what.words()))
                    .suggest("", "servers", servers());
                None
            }
            None => {
                problems
                    .error(name.place, format!("there is no server called `{}`", name.value))
                    .label("unknown server")
                    .suggest(name, "servers", servers());
                None
            }
        }
    }

    /// All nodes that the names mean, each once.
    pub(crate) fn nodes(&self, names: &Names, problems: &mut Problems) -> Vec<NodeId> {
        let mut out = Vec::new();
        for name in &names.list {
            for &node in self.find(name, problems).map_or(&[][..], |entry| &entry.nodes) {
                if !out.contains(&node) {
                    out.push(node);
                }
            }
        }
        out
    }

    /// All machines that the names mean, each once.
    pub(crate) fn machines(&self, names: &Names, problems: &mut Problems) -> Vec<MachineId> {
        let mut out = Vec::new();
        for name in &names.list {
            for &machine in self.find(name, problems).map_or(&[][..], |entry| &entry.machines) {
                if !out.contains(&machine) {
                    out.push(machine);
                }
            }
        }
        out
    }
}

/// Names appear in paths (`--set client.writer.count=2`), in file names and in lists: no blanks, no dots.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
