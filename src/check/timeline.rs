//! Picks what mattered out of the trace, and counts what sentinels said. Judges nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::Context;
use super::findings::{Moment, MomentKind, TIMELINE_MAX};
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::NodeId;
use crate::trace::event::{
    Detail, HistoryWhy, Instance, InstanceKind, SentinelEvent, SentinelEventName as Name, ServerEvent, WorldEvent,
};
use crate::trace::{Event, Kind};

/// Collects moments.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    moments: Vec<Moment>,
    dropped: u64,
    fault_texts: Vec<(u16, Arc<str>)>,
    restarted: BTreeSet<NodeId>,
    odowns: u64,
    tilts: u64,
    sdown_masters: u64,
    sdown_replicas: u64,
    sdown_sentinels: u64,
}

impl Timeline {
    fn push(&mut self, event: &Event, what: MomentKind) {
        if self.moments.len() == TIMELINE_MAX {
            self.dropped += 1;
            return;
        }
        self.moments.push(Moment { at: event.at, event: event.id, node: event.node, what });
    }

    fn world(&mut self, event: &Event, said: &WorldEvent) {
        let what = match said {
            WorldEvent::FaultBegan { fault, kind, what, .. } => {
                self.fault_texts.push((*fault, what.clone()));
                MomentKind::Fault { kind: *kind, what: what.clone() }
            }
            WorldEvent::FaultEnded { fault } => {
                let known = self.fault_texts.iter().rev().find(|(number, _)| number == fault);
                let what = known.map_or_else(|| format!("fault {fault}").into(), |(_, text)| text.clone());
                MomentKind::Healed { what }
            }
            WorldEvent::Died { how } => MomentKind::Died { how: how.clone() },
            WorldEvent::Started { incarnation } if *incarnation > 1 => {
                self.restarted.extend(event.node);
                MomentKind::Restarted
            }
            WorldEvent::ExecReply { command, reply } => {
                MomentKind::Exec { command: command.clone(), reply: reply.clone() }
            }
            WorldEvent::SettleBegan => MomentKind::Settle,
            WorldEvent::Declared { .. }
            | WorldEvent::Started { .. }
            | WorldEvent::Paused
            | WorldEvent::Resumed
            | WorldEvent::End => return,
        };
        self.push(event, what);
    }

    fn server(&mut self, event: &Event, said: &ServerEvent) {
        let what = if let ServerEvent::History { why, keys, offset, .. } = said {
            // A deployment begins with these; they say nothing.
            let first = !event.node.is_some_and(|node| self.restarted.contains(&node));
            if *why == HistoryWhy::Renewed || *why == HistoryWhy::Start && first {
                return;
            }
            MomentKind::History { why: *why, keys: *keys, offset: *offset }
        } else if let ServerEvent::WritesRefused { refused, .. } = said {
            MomentKind::WritesRefused { refused: *refused }
        } else if let ServerEvent::AofError { error } = said {
            MomentKind::Unwritten { error: error.clone() }
        } else if let ServerEvent::Fatal { message } = said {
            MomentKind::Fatal { message: message.clone() }
        } else {
            return;
        };
        self.push(event, what);
    }

    fn sentinel(&mut self, event: &Event, said: &SentinelEvent, context: &Context) {
        if let SentinelEvent::Fatal { message } = said {
            self.push(event, MomentKind::Fatal { message: message.clone() });
        }
        let SentinelEvent::Said { name, instance, detail } = said else { return };
        let (name, instance) = (*name, instance.as_deref());
        if context.settled.is_none() {
            self.count(name, instance);
        }
        if !matters(name) {
            return;
        }
        let about: Arc<str> = match (instance, detail) {
            (Some(instance), _) => about(instance, context),
            (None, Detail::Switch { master, .. }) => master.clone(),
            (None, Detail::Vote { leader, .. }) => context.sentinel_name(*leader).into(),
            (None, _) => "".into(),
        };
        let detail: Arc<str> = match detail {
            Detail::Switch { new, .. } => context.name_at(*new).into(),
            Detail::Vote { epoch, .. } => format!("epoch {epoch}").into(),
            Detail::Quorum { votes, quorum } => format!("{votes}/{quorum}").into(),
            Detail::None | Detail::Epoch(_) | Detail::Role { .. } | Detail::Text(_) => detail.to_string().into(),
        };
        self.push(event, MomentKind::Sentinel { name, about, detail });
    }

    fn count(&mut self, name: Name, instance: Option<&Instance>) {
        match (name, instance.map(|instance| instance.kind)) {
            (Name::SdownEnter, Some(InstanceKind::Master)) => self.sdown_masters += 1,
            (Name::SdownEnter, Some(InstanceKind::Slave)) => self.sdown_replicas += 1,
            (Name::SdownEnter, Some(InstanceKind::Sentinel)) => self.sdown_sentinels += 1,
            (Name::OdownEnter, _) => self.odowns += 1,
            (Name::TiltEnter, _) => self.tilts += 1,
            _ => {}
        }
    }
}

/// The scenario's name for the instance; Sentinel's where it has none.
fn about(instance: &Instance, context: &Context) -> Arc<str> {
    match context.node_at(instance.addr) {
        Some(node) => context.name(node).into(),
        None => instance.name.clone(),
    }
}

/// Discoveries, votes' bookkeeping and links are for the charts.
fn matters(name: Name) -> bool {
    matches!(
        name,
        Name::SdownEnter
            | Name::SdownExit
            | Name::OdownEnter
            | Name::OdownExit
            | Name::TryFailover
            | Name::VoteForLeader
            | Name::ElectedLeader
            | Name::SelectedSlave
            | Name::PromotedSlave
            | Name::SwitchMaster
            | Name::FailoverEnd
            | Name::FailoverEndForTimeout
            | Name::AbortNotElected
            | Name::AbortNoGoodSlave
            | Name::AbortSlaveTimeout
            | Name::ConvertToSlave
            | Name::FixSlaveConfig
            | Name::TiltEnter
            | Name::TiltExit
            | Name::Reboot
            | Name::ResetMaster
            | Name::MonitorRemoved
            | Name::ScriptError
            | Name::ScriptTimeout
    )
}

impl Checker for Timeline {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "timeline"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::World | Family::Server | Family::Sentinel)
    }

    fn see(&mut self, event: &Event, context: &Context) {
        match &event.kind {
            Kind::World(said) => self.world(event, said),
            Kind::Server(said) => self.server(event, said),
            Kind::Sentinel(said) => self.sentinel(event, said, context),
            Kind::Client(_) | Kind::Net(_) | Kind::Disk(_) | Kind::Lock(_) => {}
        }
    }

    fn finish(&mut self, _context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        for (name, count) in [
            ("odown.count", self.odowns),
            ("sdown.masters", self.sdown_masters),
            ("sdown.replicas", self.sdown_replicas),
            ("sdown.sentinels", self.sdown_sentinels),
            ("tilt.count", self.tilts),
        ] {
            metrics.insert(name, Value::Count(count));
        }
        findings.timeline = std::mem::take(&mut self.moments);
        findings.timeline_dropped = self.dropped;
        Verdict::Pass
    }
}
