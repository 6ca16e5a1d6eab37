//! Acknowledged writes that are in no surviving dataset, and what destroyed them.
//!
//! A write is where a master executed it: a history and an offset. It survives if a server that is alive at the very
//! end stands at a position that holds that place (see [`super::lineage`]). Values overwritten, expired or deleted by
//! commands are not lost: the dataset that executed the write is still the one that people read.

use std::collections::BTreeMap;

use super::context::{Context, Executed, WriteOutcome, WriteRecord};
use super::findings::{Destroyed, DestroyedHow, Fork, LOST_DETAIL, LostGroup, LostWrite, Mark};
use super::lineage::{Holds, Lineage, NO_HISTORY, Position, Step, StepKind};
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::{EventId, NodeId};
use crate::time::Instant;
use crate::trace::Event;
use crate::trace::event::HistoryWhy;

/// Looks for lost writes at the end; everything that it needs is in the context.
#[derive(Clone, Debug, Default)]
pub struct LostWrites;

/// What tells one group from another: the server, its history, and the event that destroyed it there.
type Key = (NodeId, u32, DestroyedHow, EventId);

struct Ack {
    at: Instant,
    event: EventId,
    replicas: Option<u16>,
}

impl Checker for LostWrites {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "lost-writes"
    }

    fn wants(&self, _family: Family) -> bool {
        false
    }

    fn see(&mut self, _event: &Event, _context: &Context) {}

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        let lineage = &context.lineage;
        let ends: Vec<Position> = lineage.finals().map(|(_, last)| last.position).collect();
        let survivors: Vec<Holds> = ends.iter().map(|&position| lineage.holds(position)).collect();
        let acked = |write: &WriteRecord| matches!(write.outcome, WriteOutcome::Acked { .. });
        let total = context.writes.records.iter().filter(|write| acked(write)).count() as u64;
        if survivors.is_empty() && lineage.servers().any(|node| context.is_alive(node)) {
            return Verdict::Unknown {
                why: "no server said what it holds at the end: the trace is not whole".to_owned(),
            };
        }
        let (mut lost, mut recovered, mut untraced) = (0_u64, 0_u64, 0_u64);
        let mut groups: BTreeMap<Key, LostGroup> = BTreeMap::new();
        for write in &context.writes.records {
            let survives =
                write.executed.iter().any(|at| survivors.iter().any(|held| held.has(at.history, at.offset, at.event)));
            match write.outcome {
                WriteOutcome::Acked { at, event, server, replicas } if !survives => {
                    if write.executed.is_empty() {
                        untraced += 1;
                        continue;
                    }
                    lost += 1;
                    let by_acker = write.executed.iter().rev().find(|executed| Some(executed.node) == server);
                    let executed = by_acker.or(write.executed.last()).expect("just seen not to be empty");
                    note(&mut groups, lineage, &ends, write, executed, &Ack { at, event, replicas });
                }
                WriteOutcome::Unknown | WriteOutcome::Pending => recovered += u64::from(survives),
                WriteOutcome::Acked { .. } | WriteOutcome::Failed => {}
            }
        }
        metrics.insert("writes.lost", Value::Count(lost));
        metrics.insert("writes.lost-ratio", Value::ratio(lost, total));
        metrics.insert("writes.recovered", Value::Count(recovered));
        let mut groups: Vec<LostGroup> = groups.into_values().collect();
        groups.sort_by_key(|group| group.acked);
        for group in &mut groups {
            group.writes.sort_by_key(|write| (write.acked, write.event));
        }
        let verdict = judge(context, lost, total, untraced, &groups);
        findings.lost = groups;
        verdict
    }
}

fn note(
    groups: &mut BTreeMap<Key, LostGroup>,
    lineage: &Lineage,
    ends: &[Position],
    write: &WriteRecord,
    executed: &Executed,
    ack: &Ack,
) {
    let step = destroyer(lineage, executed);
    let destroyed = describe(lineage, executed, step);
    let key = (executed.node, executed.history, destroyed.how, destroyed.at.map_or(EventId::NONE, |mark| mark.event));
    let group = groups.entry(key).or_insert_with(|| LostGroup {
        server: executed.node,
        replid: lineage.replid(executed.history),
        count: 0,
        offsets: (executed.offset, executed.offset),
        acked: (ack.at, ack.at),
        writes: Vec::new(),
        destroyed,
        fork: fork(lineage, ends, executed),
    });
    group.count += 1;
    group.offsets = (group.offsets.0.min(executed.offset), group.offsets.1.max(executed.offset));
    group.acked = (group.acked.0.min(ack.at), group.acked.1.max(ack.at));
    // The records come in the order of invocation: the first ones stay, the last ones push each other out.
    if group.writes.len() == 2 * LOST_DETAIL {
        group.writes.remove(LOST_DETAIL);
    }
    group.writes.push(LostWrite {
        client: write.client,
        op: write.op,
        key: write.key,
        value: write.value,
        offset: executed.offset,
        invoked: write.invoked,
        acked: ack.at,
        replicas: ack.replicas,
        executed: executed.event,
        event: ack.event,
    });
}

/// The first change of the executing server's history after the write that left it without the write.
fn destroyer<'a>(lineage: &'a Lineage, executed: &Executed) -> Option<&'a Step> {
    let without = |step: &Step| {
        let holds = |position| lineage.holds(position).has(executed.history, executed.offset, executed.event);
        step.event > executed.event && !step.after.is_some_and(holds)
    };
    let steps = lineage.steps(executed.node);
    // Death alone destroys nothing as long as the process comes back: what the restart brought decides.
    let decides = |index: usize| steps[index].what != StepKind::Died || index + 1 == steps.len();
    steps.iter().enumerate().find(|(index, step)| without(step) && decides(*index)).map(|(_, step)| step)
}

fn describe(lineage: &Lineage, executed: &Executed, step: Option<&Step>) -> Destroyed {
    let Some(step) = step else {
        return Destroyed { how: DestroyedHow::Unknown, at: None, died: None, by: None, into: None, keys: None };
    };
    let at = Some(Mark { at: step.at, event: step.event });
    let how = match step.what {
        StepKind::Died => DestroyedHow::NeverBack,
        StepKind::History(HistoryWhy::FullSync) => DestroyedHow::FullSync,
        StepKind::History(HistoryWhy::Start | HistoryWhy::Rdb | HistoryWhy::Aof) => DestroyedHow::Restart,
        StepKind::History(HistoryWhy::Promotion | HistoryWhy::PartialSync | HistoryWhy::Renewed) => {
            DestroyedHow::Rewound
        }
    };
    let by = match (how, step.after) {
        (DestroyedHow::FullSync, Some(after)) => lineage.holder(after.history, executed.node, step.event),
        (
            DestroyedHow::FullSync
            | DestroyedHow::Restart
            | DestroyedHow::NeverBack
            | DestroyedHow::Rewound
            | DestroyedHow::Unknown,
            _,
        ) => None,
    };
    let into = step.after.map(|after| lineage.replid(after.history));
    let deaths = lineage.steps(executed.node).iter().rev().filter(|before| before.event < step.event);
    let death = deaths.take(1).find(|before| before.what == StepKind::Died && how == DestroyedHow::Restart);
    let died = death.map(|step| Mark { at: step.at, event: step.event });
    Destroyed { how, at, died, by, into, keys: step.after.map(|_| step.keys) }
}

fn fork(lineage: &Lineage, ends: &[Position], executed: &Executed) -> Option<Fork> {
    let (node, event, at, offset) = ends.iter().find_map(|&end| lineage.fork(end, executed.history))?;
    Some(Fork { node, mark: Mark { at, event }, offset })
}

fn judge(context: &Context, lost: u64, total: u64, untraced: u64, groups: &[LostGroup]) -> Verdict {
    if lost > 0 {
        let mut why = format!("{lost} of {total} acknowledged writes are in no surviving dataset");
        for group in groups.iter().take(3) {
            why.push_str(&format!("; {} acknowledged by {} ", group.count, context.name(group.server)));
            why.push_str(destroyed_word(group.destroyed.how));
        }
        let witness = groups.iter().filter_map(|group| {
            let first = group.writes.first()?;
            Some([Some(first.executed), Some(first.event), group.destroyed.at.map(|mark| mark.event)])
        });
        return Verdict::Fail { why, witness: witness.flatten().flatten().collect() };
    }
    let nowhere = context.writes.records.iter().flat_map(|write| &write.executed);
    if nowhere.into_iter().any(|executed| executed.history == NO_HISTORY) {
        return Verdict::Unknown { why: "a server executed writes before it had named its history".to_owned() };
    }
    if untraced > 0 {
        return Verdict::Unknown { why: format!("{untraced} acknowledged writes were not seen to be executed") };
    }
    Verdict::Pass
}

fn destroyed_word(how: DestroyedHow) -> &'static str {
    match how {
        DestroyedHow::FullSync => "went when it was resynchronised from another history",
        DestroyedHow::Restart => "went when it restarted without them",
        DestroyedHow::NeverBack => "went when it died for good",
        DestroyedHow::Rewound => "went when it moved to a position before them",
        DestroyedHow::Unknown => "went in a way the trace doesn't show",
    }
}
