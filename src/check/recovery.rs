//! How long a deployment takes to come to rest after the last fault, and whether that is soon enough: liveness.

use super::context::Context;
use super::findings::{Mark, Recovery as Found};
use super::{Checker, Expectation, Family, Findings, Judgement, Value, Values, Verdict};
use crate::id::NodeId;
use crate::time::Span;
use crate::trace::event::{SentinelEvent, SentinelEventName as Name, ServerEvent, WorldEvent};
use crate::trace::{Event, Kind};

/// The metric that liveness is judged by.
pub const METRIC: &str = "recovery.duration";

/// What [`liveness`] is called among the verdicts.
pub const LIVENESS: &str = "liveness";

/// Watches for unrest.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    fault: Option<Mark>,
    last: Option<(Mark, Option<NodeId>, Kind)>,
}

/// What a sentinel says when something is wrong or is being put right.
fn unrest(name: Name) -> bool {
    matches!(
        name,
        Name::SdownEnter
            | Name::SdownExit
            | Name::OdownEnter
            | Name::OdownExit
            | Name::TryFailover
            | Name::ElectedLeader
            | Name::PromotedSlave
            | Name::SlaveReconfSent
            | Name::SlaveReconfDone
            | Name::FailoverEnd
            | Name::FailoverEndForTimeout
            | Name::SwitchMaster
            | Name::AbortNotElected
            | Name::AbortNoGoodSlave
            | Name::AbortSlaveTimeout
            | Name::ConfigUpdateFrom
            | Name::ConvertToSlave
            | Name::FixSlaveConfig
            | Name::TiltEnter
            | Name::TiltExit
    )
}

#[allow(clippy::wildcard_enum_match_arm, reason = "few of the events show unrest")]
fn shows(kind: &Kind) -> bool {
    match kind {
        Kind::World(said) => matches!(
            said,
            WorldEvent::Started { .. } | WorldEvent::Died { .. } | WorldEvent::Paused | WorldEvent::Resumed
        ),
        Kind::Server(said) => matches!(
            said,
            ServerEvent::BecameMaster { .. }
                | ServerEvent::BecameReplica { .. }
                | ServerEvent::Link { .. }
                | ServerEvent::Synced { .. }
                | ServerEvent::ReplicaOnline { .. }
                | ServerEvent::ReplicaGone { .. }
        ),
        Kind::Sentinel(SentinelEvent::Said { name, .. }) => unrest(*name),
        _ => false,
    }
}

impl Checker for Recovery {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "recovery"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::World | Family::Server | Family::Sentinel)
    }

    fn see(&mut self, event: &Event, _context: &Context) {
        let mark = Mark { at: event.at, event: event.id };
        if let Kind::World(WorldEvent::FaultBegan { .. } | WorldEvent::FaultEnded { .. }) = event.kind {
            self.fault = Some(mark);
        } else if shows(&event.kind) {
            self.last = Some((mark, event.node, event.kind.clone()));
        }
    }

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        let converged = metrics.get("converged") == Some(&Value::Bool(true));
        let took = match (self.fault, &self.last) {
            (Some(fault), Some((last, ..))) => last.at.since(fault.at),
            (None, _) | (_, None) => Span::ZERO,
        };
        let value = if converged { Value::time(took) } else { Value::Absent };
        metrics.insert(METRIC, value);
        let name = |node: &Option<NodeId>| node.map_or("--".to_owned(), |node| context.name(node));
        let last = self.last.as_ref().map(|(mark, node, kind)| (*mark, format!("{} {kind}", name(node))));
        findings.recovery = Found { fault: self.fault, last };
        Verdict::Pass
    }
}

/// Whether a run recovered as soon as it was told to: a verdict among the others, where there is an expectation
/// about [`METRIC`].
pub fn liveness(expectations: &[Expectation], judgement: &mut Judgement) {
    let wanted = expectations.iter().filter(|wanted| &*wanted.metric == METRIC && wanted.statistic.is_none());
    let actual = judgement.metrics.get(METRIC).copied().unwrap_or(Value::Absent);
    let mut asked = false;
    let mut broken = None;
    for expectation in wanted {
        asked = true;
        if !expectation.holds(actual) {
            broken.get_or_insert(expectation);
        }
    }
    if !asked {
        return;
    }
    let verdict = broken.map_or(Verdict::Pass, |expectation| not_live(expectation, actual, judgement));
    judgement.verdicts.push((LIVENESS, verdict));
    judgement.verdicts.sort_by_key(|(_, verdict)| std::cmp::Reverse(verdict.severity()));
}

fn not_live(expectation: &Expectation, actual: Value, judgement: &Judgement) -> Verdict {
    let found = &judgement.findings.recovery;
    let witness = [found.fault, found.last.as_ref().map(|(mark, _)| *mark)];
    let witness = witness.into_iter().flatten().map(|mark| mark.event).collect();
    let since = found
        .fault
        .map_or("the start".to_owned(), |mark| format!("the last fault was over at {:.3}s", mark.at.as_secs_f64()));
    let why = if actual == Value::Absent {
        let mut verdicts = judgement.verdicts.iter();
        let state = verdicts.find_map(|(name, verdict)| match verdict {
            Verdict::Fail { why, .. } | Verdict::Unknown { why } if *name == "convergence" => Some(why.as_str()),
            Verdict::Fail { .. } | Verdict::Unknown { .. } | Verdict::Pass => None,
        });
        format!("{since}, and at the end it has not converged: {}", state.unwrap_or("the run was cut short"))
    } else {
        let last = found.last.as_ref().map_or(String::new(), |(mark, text)| {
            format!(", the last change came at {:.3}s ({text})", mark.at.as_secs_f64())
        });
        format!("{since}{last}; expected {}", expectation.expected())
    };
    Verdict::Fail { why, witness }
}
