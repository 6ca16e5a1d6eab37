//! At most one sentinel is elected in an epoch, and no sentinel votes for two in one epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::Context;
use super::findings::NodeInfo;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::{EventId, HexId, NodeId};
use crate::trace::event::{Detail, Instance, NodeRole, SentinelEvent, SentinelEventName as Name};
use crate::trace::{Event, Kind};

/// A sentinel that was elected, by the event.
type Won = (NodeId, EventId);

/// Watches elections.
#[derive(Clone, Debug, Default)]
pub struct OneLeader {
    /// What each sentinel last called the current epoch.
    epochs: BTreeMap<NodeId, u64>,
    /// Who stood for election, by master and epoch.
    candidates: BTreeMap<(Arc<str>, u64), BTreeSet<NodeId>>,
    /// The epoch in which a sentinel stands for election, by master.
    standing: BTreeMap<(NodeId, Arc<str>), u64>,
    /// Who won, by master and epoch.
    leaders: BTreeMap<(Arc<str>, u64), Vec<Won>>,
    /// Whom a sentinel voted for, by epoch.
    votes: BTreeMap<(NodeId, u64), Vec<(HexId, EventId)>>,
    given: u64,
}

impl OneLeader {
    fn said(&mut self, event: &Event, node: NodeId, name: Name, instance: Option<&Instance>, detail: &Detail) {
        match (name, instance, detail) {
            (Name::NewEpoch, _, Detail::Epoch(epoch)) => {
                self.epochs.insert(node, *epoch);
            }
            (Name::VoteForLeader, _, Detail::Vote { leader, epoch }) => {
                self.given += 1;
                self.votes.entry((node, *epoch)).or_default().push((*leader, event.id));
            }
            (Name::TryFailover, Some(instance), _) => {
                let epoch = self.epochs.get(&node).copied().unwrap_or(0);
                self.candidates.entry((instance.master.clone(), epoch)).or_default().insert(node);
                self.standing.insert((node, instance.master.clone()), epoch);
            }
            (Name::ElectedLeader, Some(instance), _) => {
                let standing = self.standing.get(&(node, instance.master.clone()));
                let epoch = standing.or_else(|| self.epochs.get(&node)).copied().unwrap_or(0);
                self.leaders.entry((instance.master.clone(), epoch)).or_default().push((node, event.id));
            }
            _ => {}
        }
    }

    fn two_votes(&self) -> Option<(NodeId, u64, Vec<EventId>)> {
        self.votes.iter().find_map(|((node, epoch), votes)| {
            let first = votes.first()?.0;
            let other = votes.iter().any(|(leader, _)| *leader != first);
            other.then(|| (*node, *epoch, votes.iter().map(|(_, event)| *event).collect()))
        })
    }
}

impl Checker for OneLeader {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "one-leader"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::Sentinel)
    }

    fn see(&mut self, event: &Event, _context: &Context) {
        let Kind::Sentinel(SentinelEvent::Said { name, instance, detail }) = &event.kind else { return };
        if let Some(node) = event.node {
            self.said(event, node, *name, instance.as_deref(), detail);
        }
    }

    fn finish(&mut self, context: &Context, metrics: &mut Values, _findings: &mut Findings) -> Verdict {
        let most = |lengths: &mut dyn Iterator<Item = usize>| Value::Count(lengths.max().unwrap_or(0) as u64);
        let candidates = &mut self.candidates.values().map(BTreeSet::len);
        metrics.insert("election.candidates-max", most(candidates));
        metrics.insert("election.leaders-per-epoch-max", most(&mut self.leaders.values().map(Vec::len)));
        metrics.insert("election.rounds", Value::Count(self.candidates.len() as u64));
        metrics.insert("election.votes", Value::Count(self.given));
        if let Some(((master, epoch), leaders)) = self.leaders.iter().find(|(_, leaders)| leaders.len() > 1) {
            let names: Vec<String> = leaders.iter().map(|(node, _)| context.name(*node)).collect();
            return Verdict::Fail {
                why: format!("{} were elected for {master} in epoch {epoch}", names.join(" and ")),
                witness: leaders.iter().map(|(_, event)| *event).collect(),
            };
        }
        // Votes don't name the master, and a sentinel votes once for each master: two masters, no telling.
        let masters: BTreeSet<&Arc<str>> = self.candidates.keys().map(|(master, _)| master).collect();
        let sentinel = |info: &NodeInfo| info.role == NodeRole::Sentinel;
        match self.two_votes() {
            Some((node, epoch, witness)) if masters.len() < 2 && context.nodes.iter().any(sentinel) => Verdict::Fail {
                why: format!("{} voted for two candidates in epoch {epoch}", context.name(node)),
                witness,
            },
            Some(_) | None => Verdict::Pass,
        }
    }
}
