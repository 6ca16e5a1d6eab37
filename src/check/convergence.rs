//! At the very end, with everything healed: one master in each replication group, its replicas linked to it and equal
//! to it, and all sentinels of one mind about where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Context;
use super::lineage::Final;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::{Addr, EventId, NodeId};
use crate::trace::event::{NodeRole, SentinelEvent, ServerEvent};
use crate::trace::{Event, Kind};

/// Collects what nodes say at the end.
#[derive(Clone, Debug, Default)]
pub struct Convergence {
    /// Each sentinel's belief, by master.
    beliefs: BTreeMap<Arc<str>, Vec<(NodeId, Addr, EventId)>>,
    finals: BTreeMap<NodeId, EventId>,
}

impl Checker for Convergence {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "convergence"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::Server | Family::Sentinel)
    }

    fn see(&mut self, event: &Event, _context: &Context) {
        let Some(node) = event.node else { return };
        if let Kind::Sentinel(SentinelEvent::Final { master, addr, .. }) = &event.kind {
            self.beliefs.entry(master.clone()).or_default().push((node, *addr, event.id));
        } else if let Kind::Server(ServerEvent::Final { .. }) = &event.kind {
            self.finals.insert(node, event.id);
        }
    }

    fn finish(&mut self, context: &Context, metrics: &mut Values, _findings: &mut Findings) -> Verdict {
        let finals: Vec<(NodeId, Final)> = context.lineage.finals().collect();
        let servers = || context.nodes.iter().filter(|info| info.role == NodeRole::Server).map(|info| info.node);
        if finals.is_empty() && servers().any(|node| context.is_alive(node)) {
            return Verdict::Unknown { why: "nobody said what it is at the end: the trace is not whole".to_owned() };
        }
        let masters = finals.iter().filter(|(_, last)| last.master);
        let keys: u64 = masters.clone().map(|(_, last)| last.keys).sum();
        metrics.insert("final.keys", Value::Count(keys));
        metrics.insert("final.masters", Value::Count(masters.count() as u64));
        metrics.insert("final.servers", Value::Count(finals.len() as u64));
        let mut groups: BTreeMap<u16, Vec<(NodeId, Final)>> = BTreeMap::new();
        for node in context.lineage.servers() {
            groups.entry(context.lineage.group_of(node)).or_default();
        }
        for (node, last) in finals {
            groups.entry(context.lineage.group_of(node)).or_default().push((node, last));
        }
        let mut complaints: Vec<(String, Vec<NodeId>)> = Vec::new();
        if groups.is_empty() && servers().next().is_some() {
            complaints.push(("no server is alive".to_owned(), Vec::new()));
        }
        for (root, members) in &groups {
            group(context, NodeId(*root), members, &mut complaints);
        }
        let mut witness: Vec<EventId> = Vec::new();
        let mut said: Vec<String> = Vec::new();
        for (text, nodes) in complaints {
            witness.extend(nodes.iter().filter_map(|node| self.finals.get(node)));
            said.push(text);
        }
        for (master, beliefs) in &self.beliefs {
            if let Some(text) = disbelief(context, master, beliefs, &groups) {
                said.push(text);
                witness.extend(beliefs.iter().map(|(_, _, event)| *event));
            }
        }
        metrics.insert("converged", Value::Bool(said.is_empty()));
        if said.is_empty() { Verdict::Pass } else { Verdict::Fail { why: said.join("; "), witness } }
    }
}

fn group(context: &Context, root: NodeId, members: &[(NodeId, Final)], complaints: &mut Vec<(String, Vec<NodeId>)>) {
    let masters: Vec<&(NodeId, Final)> = members.iter().filter(|(_, last)| last.master).collect();
    let names = |nodes: &[NodeId]| nodes.iter().map(|&node| context.name(node)).collect::<Vec<_>>().join(", ");
    let nodes: Vec<NodeId> = members.iter().map(|(node, _)| *node).collect();
    let (master, top) = match masters.as_slice() {
        [] if members.is_empty() => {
            complaints.push((format!("no server of {}'s group is alive", context.name(root)), nodes));
            return;
        }
        [] => {
            let text = match nodes.as_slice() {
                [_] => format!("{} is not a master", names(&nodes)),
                _ => format!("none of {} is a master", names(&nodes)),
            };
            complaints.push((text, nodes));
            return;
        }
        [one] => **one,
        several => {
            let nodes: Vec<NodeId> = several.iter().map(|(node, _)| *node).collect();
            let text = if nodes.len() == 2 { "are both masters" } else { "are all masters" };
            complaints.push((format!("{} {text}", names(&nodes)), nodes));
            return;
        }
    };
    let replicas = members.iter().filter(|(node, _)| *node != master);
    for &(node, last) in replicas {
        let (name, master_name) = (context.name(node), context.name(master));
        let problem = if !last.link_up {
            format!("{name} has no link to its master")
        } else if last.position.history != top.position.history {
            format!("{name} is in another replication history than {master_name}")
        } else if last.dataset != top.dataset {
            format!("{name} ({} keys) holds another dataset than {master_name} ({} keys)", last.keys, top.keys)
        } else {
            continue;
        };
        complaints.push((problem, vec![node, master]));
    }
}

fn disbelief(
    context: &Context,
    master: &str,
    beliefs: &[(NodeId, Addr, EventId)],
    groups: &BTreeMap<u16, Vec<(NodeId, Final)>>,
) -> Option<String> {
    let (_, addr, _) = *beliefs.first()?;
    if beliefs.iter().any(|(_, other, _)| *other != addr) {
        let each: Vec<String> = beliefs
            .iter()
            .map(|(node, addr, _)| format!("{} says {}", context.name(*node), context.name_at(*addr)))
            .collect();
        return Some(format!("sentinels disagree about {master}: {}", each.join(", ")));
    }
    let node = context.node_at(addr);
    let is_master = groups.values().flatten().any(|(member, last)| Some(*member) == node && last.master);
    (!is_master)
        .then(|| format!("the sentinels call {} the master of {master}, which it is not", context.name_at(addr)))
}
