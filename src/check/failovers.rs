//! How each failover went: from the fault to the first write at the new master, step by step.
//!
//! An attempt begins with a sentinel's +try-failover. Later events of that sentinel about the same master belong to it;
//! +switch-master of anyone belongs to the latest attempt that chose that replica. An attempt that nobody switched for
//! is kept too: it is how a lost election looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Context;
use super::findings::{Failover, FaultSpan, Mark};
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::fault::FaultKind;
use crate::id::{Addr, NodeId};
use crate::time::{Instant, Span};
use crate::trace::event::{
    ClientEvent, Detail, Instance, InstanceKind, LinkState, NodeRole, OpKind, SentinelEvent, SentinelEventName as Name,
    ServerEvent, WorldEvent,
};
use crate::trace::{Event, Kind};

/// The most reports of a master being down that are kept until somebody acts on them.
const REPORTS_MAX: usize = 256;

/// Follows failovers.
#[derive(Clone, Debug, Default)]
pub struct Failovers {
    faults: Vec<FaultSpan>,
    masters: BTreeMap<Arc<str>, Master>,
    done: Vec<Failover>,
    epochs: BTreeMap<NodeId, u64>,
    /// Indices into `done` whose new master hasn't acknowledged a write.
    unserved: Vec<usize>,
}

/// What is going on about one master.
#[derive(Clone, Debug, Default)]
struct Master {
    /// Sentinels that hold it for subjectively and objectively down.
    sdown: Vec<NodeId>,
    odown: Vec<NodeId>,
    /// When they began to, since it was last held for up by all: (objectively, when).
    reports: Vec<(bool, Mark)>,
    /// The first attempt since then.
    first_tried: Option<Mark>,
}

impl Master {
    fn forget(&mut self, sentinel: NodeId) {
        self.up(sentinel, false);
    }

    /// A sentinel holds it for up again, or only no longer for objectively down.
    fn up(&mut self, sentinel: NodeId, only_objectively: bool) {
        self.odown.retain(|node| *node != sentinel);
        if !only_objectively {
            self.sdown.retain(|node| *node != sentinel);
        }
        if self.sdown.is_empty() && self.odown.is_empty() {
            self.reports.clear();
            self.first_tried = None;
        }
    }
}

impl Failovers {
    fn sentinel(&mut self, event: &Event, node: NodeId, said: &SentinelEvent, context: &Context) {
        let SentinelEvent::Said { name, instance, detail } = said else { return };
        let mark = Mark { at: event.at, event: event.id };
        match (name, instance.as_deref(), detail) {
            (Name::NewEpoch, _, Detail::Epoch(epoch)) => {
                self.epochs.insert(node, *epoch);
            }
            (Name::SwitchMaster, _, Detail::Switch { master, new, .. }) => self.switched(node, mark, master, *new),
            (name, Some(about), _) => self.about(*name, node, mark, about, context),
            _ => {}
        }
    }

    fn about(&mut self, name: Name, node: NodeId, mark: Mark, about: &Instance, context: &Context) {
        if about.kind == InstanceKind::Master && matches!(name, Name::SdownEnter | Name::OdownEnter) {
            self.down(node, mark, about, name == Name::OdownEnter);
        } else if about.kind == InstanceKind::Master && matches!(name, Name::SdownExit | Name::OdownExit) {
            let master = self.masters.entry(about.master.clone()).or_default();
            master.up(node, name == Name::OdownExit);
        } else if name == Name::TryFailover {
            self.tried(node, mark, about, context);
        } else if name == Name::ConvertToSlave {
            let mut rest = self.done.iter_mut().rev();
            if let Some(failover) = rest.find(|failover| failover.old == about.addr && failover.complete()) {
                failover.converted.get_or_insert(mark);
            }
        } else {
            self.step(name, node, mark, about);
        }
    }

    /// A step of the attempt that this sentinel leads.
    fn step(&mut self, name: Name, node: NodeId, mark: Mark, about: &Instance) {
        let mine = |failover: &&mut Failover| failover.leader == node && failover.master == about.master;
        let Some(failover) = self.done.iter_mut().rev().find(mine) else { return };
        if name == Name::ElectedLeader {
            failover.elected = Some(mark);
        } else if name == Name::SelectedSlave {
            failover.selected = Some(mark);
            failover.new = Some(about.addr);
        } else if name == Name::PromotedSlave {
            failover.promotion_seen = Some(mark);
        } else if matches!(name, Name::FailoverEnd | Name::FailoverEndForTimeout) {
            failover.ended = Some(mark);
        } else if matches!(name, Name::AbortNotElected | Name::AbortNoGoodSlave | Name::AbortSlaveTimeout) {
            failover.aborted = Some((name, mark));
        }
    }

    fn down(&mut self, node: NodeId, mark: Mark, about: &Instance, objectively: bool) {
        let master = self.masters.entry(about.master.clone()).or_default();
        let holders = if objectively { &mut master.odown } else { &mut master.sdown };
        if !holders.contains(&node) {
            holders.push(node);
        }
        if master.reports.len() < REPORTS_MAX {
            master.reports.push((objectively, mark));
        }
    }

    fn tried(&mut self, node: NodeId, mark: Mark, about: &Instance, context: &Context) {
        let master = self.masters.entry(about.master.clone()).or_default();
        let first_tried = *master.first_tried.get_or_insert(mark);
        let mut odowns = master.reports.iter().filter(|(objectively, _)| *objectively);
        let odown = odowns.next().map_or(first_tried.at, |(_, odown)| odown.at);
        let fault = blame(&self.faults, context.node_at(about.master_addr), odown, mark.at);
        let since = fault.map_or(Instant::ZERO, |fault| fault.began);
        let first = |wanted: bool| {
            let mut reports =
                master.reports.iter().filter(|(objectively, at)| *objectively == wanted && at.at >= since);
            reports.next().map(|(_, at)| *at)
        };
        self.done.push(Failover {
            master: about.master.clone(),
            epoch: self.epochs.get(&node).copied().unwrap_or(0),
            leader: node,
            old: about.master_addr,
            new: None,
            fault: fault.map(|fault| fault.fault),
            fault_at: fault.map(|fault| Mark { at: fault.began, event: fault.event }),
            sdown: first(false),
            odown: first(true),
            tried: mark,
            first_tried,
            elected: None,
            selected: None,
            promoted: None,
            promotion_seen: None,
            switches: Vec::new(),
            ended: None,
            aborted: None,
            first_write: None,
            links_up: Vec::new(),
            converted: None,
        });
    }

    fn switched(&mut self, node: NodeId, mark: Mark, master: &Arc<str>, new: Addr) {
        self.masters.entry(master.clone()).or_default().forget(node);
        let chose = |failover: &&mut Failover| failover.master == *master && failover.new == Some(new);
        let Some(failover) = self.done.iter_mut().rev().find(chose) else { return };
        if !failover.switches.iter().any(|(sentinel, _)| *sentinel == node) {
            failover.switches.push((node, mark));
        }
    }

    fn server(&mut self, event: &Event, node: NodeId, said: &ServerEvent, context: &Context) {
        let mark = Mark { at: event.at, event: event.id };
        if let ServerEvent::BecameMaster { .. } = said {
            let addr = context.nodes.get(node.index()).map(|info| info.addr);
            let chosen =
                |failover: &Failover| failover.new == addr && failover.promoted.is_none() && failover.ended.is_none();
            if let Some(index) = self.done.iter().rposition(chosen).filter(|_| addr.is_some()) {
                self.done[index].promoted = Some(mark);
                self.unserved.push(index);
            }
        } else if let ServerEvent::Link { state: LinkState::Connected, .. } | ServerEvent::Synced { .. } = said {
            self.linked(node, mark);
        } else if let ServerEvent::BecameReplica { of } = said {
            let led = |failover: &&mut Failover| failover.promoted.is_some() && failover.new == Some(*of);
            if let Some(failover) = self.done.iter_mut().rev().find(led) {
                failover.links_up.retain(|(replica, _)| *replica != node);
                failover.links_up.push((node, Mark { at: Instant::NEVER, event: event.id }));
            }
        }
    }

    /// A replica that was pointed at a new master has its link.
    fn linked(&mut self, node: NodeId, mark: Mark) {
        for failover in self.done.iter_mut().rev() {
            let waiting = |(replica, at): &&mut (NodeId, Mark)| *replica == node && at.at == Instant::NEVER;
            if let Some((_, at)) = failover.links_up.iter_mut().find(waiting) {
                *at = mark;
            }
        }
    }

    fn acknowledged(&mut self, server: Addr, mark: Mark) {
        let done = &mut self.done;
        self.unserved.retain(|&index| {
            let served = done[index].new == Some(server);
            if served {
                done[index].first_write = Some(mark);
            }
            !served
        });
    }

    fn world(&mut self, event: &Event, said: &WorldEvent, context: &Context) {
        match said {
            WorldEvent::FaultBegan { fault, kind, what, nodes } => self.faults.push(FaultSpan {
                fault: *fault,
                kind: *kind,
                what: what.clone(),
                nodes: nodes.clone(),
                event: event.id,
                began: event.at,
                ended: None,
            }),
            WorldEvent::FaultEnded { fault } => {
                let mut open = self.faults.iter_mut().rev();
                if let Some(fault) = open.find(|known| known.fault == *fault && known.ended.is_none()) {
                    fault.ended = Some(event.at);
                }
            }
            WorldEvent::Died { .. } => {
                let role = event.node.and_then(|node| context.nodes.get(node.index())).map(|info| info.role);
                if let (Some(node), Some(NodeRole::Sentinel)) = (event.node, role) {
                    self.masters.values_mut().for_each(|master| master.forget(node));
                }
            }
            WorldEvent::Declared { .. }
            | WorldEvent::Started { .. }
            | WorldEvent::Paused
            | WorldEvent::Resumed
            | WorldEvent::ExecReply { .. }
            | WorldEvent::SettleBegan
            | WorldEvent::End => {}
        }
    }
}

/// The fault that made a master look down: the last one that touched it before the first +odown, or else before the
/// attempt; if none touched it, the last one of all.
fn blame(faults: &[FaultSpan], master: Option<NodeId>, odown: Instant, tried: Instant) -> Option<&FaultSpan> {
    let before = |by: Instant| faults.iter().rev().filter(move |fault| fault.began <= by);
    let touched = |fault: &&FaultSpan| {
        fault.kind != FaultKind::Restart && master.is_some_and(|master| fault.nodes.contains(&master))
    };
    let touching = before(odown).find(touched).or_else(|| before(tried).find(touched));
    touching.or_else(|| before(odown).next()).or_else(|| before(tried).next())
}

impl Checker for Failovers {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "failovers"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::World | Family::Server | Family::Sentinel | Family::Client)
    }

    fn see(&mut self, event: &Event, context: &Context) {
        match (&event.kind, event.node) {
            (Kind::World(said), _) => self.world(event, said, context),
            (Kind::Sentinel(said), Some(node)) => self.sentinel(event, node, said, context),
            (Kind::Server(said), Some(node)) if !self.done.is_empty() => self.server(event, node, said, context),
            (Kind::Client(ClientEvent::Ok { server, .. }), _)
                if !self.unserved.is_empty() && context.op.is_some_and(|op| op.f == OpKind::Write) =>
            {
                self.acknowledged(*server, Mark { at: event.at, event: event.id });
            }
            _ => {}
        }
    }

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        for failover in &mut self.done {
            failover.links_up.retain(|(_, at)| at.at != Instant::NEVER);
        }
        let limit = context.settled.unwrap_or(Instant::NEVER);
        let in_time = |mark: Mark| (mark.at <= limit).then_some(mark);
        let switched = |failover: &&Failover| failover.switches.first().is_some_and(|(_, mark)| mark.at <= limit);
        let attempts = self.done.iter().filter(|failover| failover.tried.at <= limit).count() as u64;
        let aborts = self.done.iter().filter_map(|failover| failover.aborted);
        let aborted = aborts.filter(|(_, mark)| mark.at <= limit).count() as u64;
        let complete: Vec<&Failover> = self.done.iter().filter(switched).collect();
        // Attempts that came to nothing tell when the fault was noticed, if none came to anything.
        let attempted: Vec<&Failover> = self.done.iter().collect();
        let noticed = if complete.is_empty() { &attempted } else { &complete };
        let longest_of = |failovers: &[&Failover], mark: &dyn Fn(&Failover) -> Option<Mark>| {
            let spans = failovers.iter().filter_map(|failover| failover.after_fault(mark(failover).and_then(in_time)));
            Value::time_or_absent(spans.max())
        };
        let longest = |mark: &dyn Fn(&Failover) -> Option<Mark>| longest_of(&complete, mark);
        let last_switch = |f: &Failover| f.switches.iter().filter_map(|(_, mark)| in_time(*mark)).next_back();
        let elections = complete.iter().filter_map(|f| Some(f.elected?.at.since(f.first_tried.at)));
        let election: Option<Span> = elections.max();
        for (name, value) in [
            ("failover.aborted", Value::Count(aborted)),
            ("failover.attempts", Value::Count(attempts)),
            ("failover.count", Value::Count(complete.len() as u64)),
            ("failover.sdown", longest_of(noticed, &|f| f.sdown)),
            ("failover.detection", longest_of(noticed, &|f| f.odown)),
            ("failover.promotion", longest(&|f| f.promoted)),
            ("failover.switch", longest(&|f| f.switches.first().map(|(_, mark)| *mark))),
            ("failover.switch-all", longest(&last_switch)),
            ("failover.duration", longest(&|f| f.first_write)),
            ("election.duration", Value::time_or_absent(election)),
        ] {
            metrics.insert(name, value);
        }
        findings.failovers = std::mem::take(&mut self.done);
        findings.faults = std::mem::take(&mut self.faults);
        Verdict::Pass
    }
}
