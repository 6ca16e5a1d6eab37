//! Graphs for Graphviz: the deployment, and who voted for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeRef as _, IntoNodeReferences as _};

use super::stage::{Stage, population};
use crate::id::{Addr, MachineId, NodeId};
use crate::trace::event::{ClientEvent, Detail, NodeRole, SentinelEvent, SentinelEventName, ServerEvent};
use crate::trace::{Event, Kind};

/// A node of the deployment's graph.
struct Place {
    label: String,
    shape: &'static str,
    /// The machine, unless it stands for clients on several.
    machine: Option<MachineId>,
}

/// An edge of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Relation {
    /// A master feeds a replica, from the start.
    Replication,
    /// The same, at the end only.
    ReplicationAtEnd,
    /// The same, at the start only.
    ReplicationAtStart,
    /// A sentinel watches a master under this name.
    Monitors(String),
    /// Clients ask a sentinel for the master.
    Asks,
    /// Clients talk to a server.
    Uses,
}

/// The deployment: machines as boxes around their nodes, replication, monitoring, and where clients went.
#[must_use]
pub fn topology(stage: &Stage, events: &[Event]) -> String {
    let mut graph: DiGraph<Place, Relation> = DiGraph::new();
    let index = add_places(stage, &mut graph);
    let mut edges: BTreeSet<(NodeIndex, NodeIndex, Relation)> = BTreeSet::new();
    let at = |addr: Addr| stage.at(addr).and_then(|actor| index.get(&actor.id)).copied();
    let (start, end) = masters(stage, events);
    for (replica, master) in start.union(&end) {
        let key = (*replica, *master);
        let relation = match (start.contains(&key), end.contains(&key)) {
            (true, true) => Relation::Replication,
            (true, false) => Relation::ReplicationAtStart,
            (false, _) => Relation::ReplicationAtEnd,
        };
        if let (Some(replica), Some(master)) = (index.get(replica), at(*master)) {
            edges.insert((master, *replica, relation));
        }
    }
    let mut watched: BTreeSet<(NodeId, String)> = BTreeSet::new();
    for event in events {
        let Some((node, &own)) = event.node.and_then(|id| Some((id, index.get(&id)?))) else { continue };
        if let Kind::Sentinel(SentinelEvent::Said { instance: Some(instance), .. }) = &event.kind {
            if watched.insert((node, instance.master.to_string()))
                && let Some(master) = at(instance.master_addr)
            {
                edges.insert((own, master, Relation::Monitors(instance.master.to_string())));
            }
        } else if let Kind::Client(ClientEvent::Discovered { by, .. }) = &event.kind {
            edges.extend(at(*by).map(|sentinel| (own, sentinel, Relation::Asks)));
        } else if let Kind::Client(ClientEvent::Connected { to } | ClientEvent::Ok { server: to, .. }) = &event.kind {
            edges.extend(at(*to).map(|server| (own, server, Relation::Uses)));
        }
    }
    for (from, to, relation) in edges {
        graph.add_edge(from, to, relation);
    }
    write_topology(stage, &graph)
}

/// Adds every node; clients of one population on machines of their own become one.
fn add_places(stage: &Stage, graph: &mut DiGraph<Place, Relation>) -> BTreeMap<NodeId, NodeIndex> {
    let mut index = BTreeMap::new();
    let mut populations: BTreeMap<&str, (NodeIndex, usize)> = BTreeMap::new();
    for actor in &stage.actors {
        let named = || format!("{}\n{}", actor.name, actor.addr);
        let (label, shape) = match actor.role {
            NodeRole::Server => (named(), "cylinder"),
            NodeRole::Sentinel => (named(), "hexagon"),
            NodeRole::Client => (actor.name.to_string(), "box"),
            NodeRole::Resource => (named(), "folder"),
        };
        let alone = stage.actors.iter().filter(|other| other.machine == actor.machine).count() == 1;
        if actor.role != NodeRole::Client || !alone {
            index.insert(actor.id, graph.add_node(Place { label, shape, machine: Some(actor.machine) }));
            continue;
        }
        let name = population(&actor.name);
        let (place, count) = populations
            .entry(name)
            .or_insert_with(|| (graph.add_node(Place { label: label.clone(), shape, machine: None }), 0));
        *count += 1;
        if *count > 1 {
            graph[*place].label = format!("{name} × {count}");
        }
        index.insert(actor.id, *place);
    }
    index
}

/// Who followed whom: what servers were first told, and what they followed at the end.
type Following = BTreeSet<(NodeId, Addr)>;

fn masters(stage: &Stage, events: &[Event]) -> (Following, Following) {
    let mut first: BTreeMap<NodeId, Option<Addr>> = BTreeMap::new();
    let mut last: BTreeMap<NodeId, Option<Addr>> = BTreeMap::new();
    let fault = stage.faults.first().map(|fault| fault.from);
    for event in events {
        let (Kind::Server(said), Some(node)) = (&event.kind, event.node) else { continue };
        let of = if let ServerEvent::BecameReplica { of } = said {
            Some(*of)
        } else if let ServerEvent::BecameMaster { .. } = said {
            None
        } else {
            continue;
        };
        if fault.is_none_or(|fault| event.at < fault) {
            first.insert(node, of);
        }
        last.insert(node, of);
    }
    let edges =
        |map: BTreeMap<NodeId, Option<Addr>>| map.into_iter().filter_map(|(node, of)| Some((node, of?))).collect();
    (edges(first), edges(last))
}

fn write_topology(stage: &Stage, graph: &DiGraph<Place, Relation>) -> String {
    let mut out = String::from("digraph topology {\n");
    out.push_str("  graph [rankdir=LR, fontname=\"Helvetica\", nodesep=0.35, ranksep=1.1];\n");
    out.push_str("  node [fontname=\"Helvetica\", fontsize=11];\n  edge [fontname=\"Helvetica\", fontsize=9];\n");
    let machines: BTreeMap<MachineId, &str> =
        stage.actors.iter().map(|actor| (actor.machine, &*actor.machine_name)).collect();
    for (machine, name) in machines {
        let nodes: Vec<_> = graph.node_references().filter(|(_, place)| place.machine == Some(machine)).collect();
        if nodes.is_empty() {
            continue;
        }
        line(&mut out, &format!("  subgraph cluster_m{} {{", machine.0));
        line(&mut out, &format!("    label={}; style=rounded; color=\"#999fa6\";", quote(name)));
        for (node, place) in nodes {
            line(&mut out, &format!("    n{} [label={}, shape={}];", node.index(), quote(&place.label), place.shape));
        }
        out.push_str("  }\n");
    }
    for (node, place) in graph.node_references().filter(|(_, place)| place.machine.is_none()) {
        let (label, shape) = (quote(&place.label), place.shape);
        line(&mut out, &format!("  n{} [label={label}, shape={shape}, style=rounded];", node.index()));
    }
    for edge in graph.edge_references() {
        let style = match edge.weight() {
            Relation::Replication => "color=\"#0072b2\", penwidth=2, label=\"replicates\"".to_owned(),
            Relation::ReplicationAtEnd => {
                "color=\"#009e73\", penwidth=2, constraint=false, label=\"replicates at the end\"".to_owned()
            }
            Relation::ReplicationAtStart => {
                "color=\"#0072b2\", penwidth=2, style=dashed, label=\"replicated at first\"".to_owned()
            }
            Relation::Monitors(name) => {
                format!(
                    "color=\"#999fa6\", style=dashed, constraint=false, label={}",
                    quote(&format!("monitors {name}"))
                )
            }
            Relation::Asks => "color=\"#cc79a7\", style=dotted, constraint=false, label=\"asks\"".to_owned(),
            Relation::Uses => "color=\"#e69f00\", label=\"uses\"".to_owned(),
        };
        line(&mut out, &format!("  n{} -> n{} [{style}];", edge.source().index(), edge.target().index()));
    }
    out.push_str("}\n");
    out
}

/// One epoch's votes.
#[derive(Default)]
struct Election {
    /// Voter and candidate.
    votes: Vec<(NodeId, Option<NodeId>, String)>,
    winners: BTreeSet<NodeId>,
    refused: Vec<(NodeId, String)>,
}

/// For each epoch: who voted for whom, how many votes were needed, who won. Empty without any vote.
#[must_use]
pub fn votes(stage: &Stage, events: &[Event]) -> Option<String> {
    let mut elections: BTreeMap<u64, Election> = BTreeMap::new();
    let mut epochs: BTreeMap<NodeId, u64> = BTreeMap::new();
    let mut quorum = 0;
    for event in events {
        let (Kind::Sentinel(said), Some(node)) = (&event.kind, event.node) else { continue };
        if let SentinelEvent::Said { detail: Detail::Vote { leader, epoch }, .. } = said {
            let candidate = stage.sentinel(*leader).map(|actor| actor.id);
            let vote = (node, candidate, stage.sentinel_name(*leader));
            elections.entry(*epoch).or_default().votes.push(vote);
            epochs.insert(node, *epoch);
        } else if let SentinelEvent::Said { detail: Detail::Quorum { quorum: needed, .. }, .. } = said {
            quorum = quorum.max(usize::try_from(*needed).unwrap_or(usize::MAX));
        } else if let SentinelEvent::Said { name: SentinelEventName::ElectedLeader, .. } = said {
            let epoch = epochs.get(&node).copied().unwrap_or_default();
            elections.entry(epoch).or_default().winners.insert(node);
        } else if let SentinelEvent::VoteIgnored { candidate, epoch, .. } = said {
            elections.entry(*epoch).or_default().refused.push((node, stage.sentinel_name(*candidate)));
        }
    }
    if elections.is_empty() {
        return None;
    }
    let sentinels = stage.of_role(NodeRole::Sentinel).count();
    let needed = quorum.max(sentinels / 2 + 1);
    let mut out = String::from("digraph votes {\n  graph [fontname=\"Helvetica\", rankdir=LR];\n");
    out.push_str(
        "  node [fontname=\"Helvetica\", fontsize=11, shape=ellipse];\n  edge [fontname=\"Helvetica\", fontsize=9];\n",
    );
    for (epoch, election) in &elections {
        write_election(&mut out, stage, *epoch, election, needed);
    }
    out.push_str("}\n");
    Some(out)
}

fn write_election(out: &mut String, stage: &Stage, epoch: u64, election: &Election, needed: usize) {
    let won: Vec<&str> = election.winners.iter().map(|&node| stage.name(Some(node))).collect();
    let result =
        if won.is_empty() { "nobody was elected".to_owned() } else { format!("{} was elected", won.join(", ")) };
    line(out, &format!("  subgraph cluster_e{epoch} {{"));
    let label = format!("epoch {epoch}: {needed} votes needed, {result}");
    line(out, &format!("    label={}; style=rounded; color=\"#999fa6\";", quote(&label)));
    for actor in stage.of_role(NodeRole::Sentinel) {
        let got = election.votes.iter().filter(|vote| vote.1 == Some(actor.id)).count();
        let voted = election.votes.iter().any(|vote| vote.0 == actor.id);
        let mut label = actor.name.to_string();
        if got > 0 {
            label.push_str(&format!("\n{got} vote{}", if got == 1 { "" } else { "s" }));
        } else if !voted {
            label.push_str("\ndid not vote");
        }
        let style = if election.winners.contains(&actor.id) {
            ", style=filled, fillcolor=\"#b2e2d4\", penwidth=2"
        } else if voted {
            ""
        } else {
            ", color=\"#999fa6\", fontcolor=\"#5f6368\""
        };
        line(out, &format!("    e{epoch}_n{} [label={}{style}];", actor.id.0, quote(&label)));
    }
    for (voter, candidate, name) in &election.votes {
        match candidate {
            Some(candidate) => line(out, &format!("    e{epoch}_n{} -> e{epoch}_n{};", voter.0, candidate.0)),
            None => {
                let unknown = quote(&format!("e{epoch}_{name}"));
                line(out, &format!("    {unknown} [label={}];", quote(name)));
                line(out, &format!("    e{epoch}_n{} -> {unknown};", voter.0));
            }
        }
    }
    let refused: BTreeSet<&(NodeId, String)> = election.refused.iter().collect();
    for (voter, name) in refused {
        let candidate = stage.of_role(NodeRole::Sentinel).find(|actor| *actor.name == **name);
        if let Some(candidate) = candidate {
            let style = "style=dotted, color=\"#d55e00\", label=\"asked, no vote\"";
            line(out, &format!("    e{epoch}_n{} -> e{epoch}_n{} [{style}];", candidate.id.0, voter.0));
        }
    }
    out.push_str("  }\n");
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}

/// A string of the DOT language.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => {}
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quote("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
    }

    #[test]
    fn the_samples_graphs() {
        let events = sample::crash();
        let stage = Stage::of(&events);
        insta::assert_snapshot!("topology", topology(&stage, &events));
        insta::assert_snapshot!("votes", votes(&stage, &events).expect("there were votes"));
    }
}
