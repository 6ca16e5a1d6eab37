//! The clients of a run: each key of the KV workloads is a register, and each lock a lock.
//!
//! A write whose outcome the client doesn't know may take effect at any time after it began, or never. Servers of
//! different replication groups are different registers. When keys expired, reads that found nothing say nothing.
//! What operators do (`exec`) is no part of the history.

use std::collections::BTreeMap;

use super::history::{Came, Datum, Entry, History, Place};
use super::registers::{self, Access};
use super::schedule::{Interval, NEVER};
use super::{Contradiction, Effort, ModelName, check, locks};
use crate::check::context::{Context, WriteOutcome};
use crate::check::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::{Addr, EventId, NodeId};
use crate::time::Instant;
use crate::trace::event::{ClientEvent, OpKind, ServerEvent};
use crate::trace::{Event, Kind};

/// Configurations for the picture of a handful of operations.
const BUDGET: u64 = 100_000;

/// Judges what clients read.
#[derive(Clone, Debug, Default)]
pub struct Linearizable {
    reads: Vec<Read>,
    expired: bool,
}

/// A read that was answered.
#[derive(Clone, Copy, Debug)]
struct Read {
    client: NodeId,
    key: u32,
    value: Option<u64>,
    server: Addr,
    call: (EventId, Instant),
    ret: (EventId, Instant),
}

/// A read or a write as the history of one register has it.
#[derive(Clone, Copy, Debug)]
struct Operation {
    client: NodeId,
    access: Access,
    call: Instant,
    ret: Instant,
}

impl Checker for Linearizable {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "linearizable"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::Server | Family::Client)
    }

    fn see(&mut self, event: &Event, context: &Context) {
        if let Kind::Server(ServerEvent::Expired { .. }) = event.kind {
            self.expired = true;
        }
        let (Kind::Client(ClientEvent::Ok { value, server, .. }), Some(op)) = (&event.kind, &context.op) else {
            return;
        };
        if op.f == OpKind::Read && !context.settling() {
            let (call, ret) = ((op.invoke, op.invoked), (event.id, event.at));
            self.reads.push(Read { client: op.client, key: op.key, value: *value, server: *server, call, ret });
        }
    }

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        let (read, locked) = (!self.reads.is_empty(), !context.locks.is_empty());
        let registers = if read { self.judge(context) } else { (Verdict::Pass, None) };
        let locks = if locked { locks::judge(context) } else { (Verdict::Pass, None) };
        findings.contradiction = registers.1.or(locks.1);
        let worse = locks.0.severity() > registers.0.severity();
        let verdict = if worse { locks.0 } else { registers.0 };
        if (read || locked) && verdict.severity() != 1 {
            metrics.insert("linearizable", Value::Bool(verdict == Verdict::Pass));
        }
        verdict
    }
}

impl Linearizable {
    /// Whether what clients read can be explained, and what can't.
    fn judge(&self, context: &Context) -> (Verdict, Option<Contradiction>) {
        let registers = self.registers(context);
        let (mut bad, mut first, mut odd) = (0u64, None, false);
        for (&(_, key), operations) in &registers {
            let accesses: Vec<Access> = operations.iter().map(|operation| operation.access).collect();
            match registers::judge(&accesses) {
                Some(Ok(())) => {}
                Some(Err(suspects)) => {
                    bad += 1;
                    let fewer = |(.., known): &(u32, &Vec<Operation>, Vec<usize>)| suspects.len() < known.len();
                    if first.as_ref().is_none_or(fewer) {
                        first = Some((key, operations, suspects));
                    }
                }
                None => odd = true,
            }
        }
        let Some((key, operations, suspects)) = first else {
            let why = "a value was written twice, so it can't be told".to_owned();
            return (if odd { Verdict::Unknown { why } } else { Verdict::Pass }, None);
        };
        let contradiction = explain(context, key, operations, &suspects);
        let story = contradiction.as_ref().map_or(String::new(), |found| format!(": {}", found.sentence()));
        let why = format!("{bad} of {} keys can't be explained by any order; key {key}{story}", registers.len());
        let places = suspects.iter().flat_map(|&index| {
            let at = operations[index].access.interval;
            [at.call, at.ret].into_iter().filter(|&place| place != NEVER).map(EventId)
        });
        let mut witness: Vec<EventId> = places.collect();
        witness.sort_unstable();
        (Verdict::Fail { why, witness }, contradiction)
    }

    /// What happened to each key of each replication group that was read.
    fn registers(&self, context: &Context) -> BTreeMap<(u16, u32), Vec<Operation>> {
        let group = |node: Option<NodeId>| node.map(|node| context.lineage.group_of(node));
        let mut registers: BTreeMap<(u16, u32), Vec<Operation>> = BTreeMap::new();
        let mut groups: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        for read in &self.reads {
            let Some(group) = group(context.node_at(read.server)) else { continue };
            let groups = groups.entry(read.key).or_default();
            if !groups.contains(&group) {
                groups.push(group);
            }
            let operations = registers.entry((group, read.key)).or_default();
            if read.value.is_none() && self.expired {
                continue;
            }
            let interval = Interval { call: read.call.0.0, ret: read.ret.0.0 };
            let access = Access { value: read.value, write: false, interval };
            operations.push(Operation { client: read.client, access, call: read.call.1, ret: read.ret.1 });
        }
        for write in &context.writes.records {
            let Some(groups) = groups.get(&write.key) else { continue };
            let settled = |at: Instant| context.settled.is_some_and(|settled| at >= settled);
            let (only, ret, at) = match write.outcome {
                WriteOutcome::Failed => continue,
                WriteOutcome::Acked { at, event, server, .. } if !settled(at) => (group(server), event.0, at),
                WriteOutcome::Acked { server, .. } => (group(server), NEVER, Instant::NEVER),
                WriteOutcome::Unknown | WriteOutcome::Pending => (None, NEVER, Instant::NEVER),
            };
            let interval = Interval { call: write.invoke.0, ret };
            let access = Access { value: Some(write.value), write: true, interval };
            let operation = Operation { client: write.client, access, call: write.invoked, ret: at };
            for &group in groups.iter().filter(|&&group| only.is_none_or(|only| only == group)) {
                registers.entry((group, write.key)).or_default().push(operation);
            }
        }
        registers
    }
}

/// The picture of a few operations that contradict one another.
fn explain(context: &Context, key: u32, operations: &[Operation], suspects: &[usize]) -> Option<Contradiction> {
    let datum = |value: Option<u64>| value.map_or(Datum::Nil, |value| Datum::Word(value.to_string().into()));
    let entry = |&index: &usize| {
        let Operation { client, access, call, ret } = operations[index];
        let place = |order: u64, at: Instant| Place { order, at: Some(at.0), line: 0 };
        let known = access.interval.ret != NEVER;
        let value = datum(access.value);
        let (f, input, output) = if access.write { ("write", value, Datum::Nil) } else { ("read", Datum::Nil, value) };
        Entry {
            process: context.name(client).into(),
            f: f.into(),
            key: Some(Datum::Int(key.into())),
            input,
            output,
            came: if known { Came::Ok } else { Came::Unknown },
            call: place(access.interval.call, call),
            ret: known.then(|| place(access.interval.ret, ret)),
        }
    };
    // Where a value came from is shown too.
    let reads = suspects.iter().map(|&index| operations[index].access).filter(|access| !access.write);
    let read: Vec<Option<u64>> = reads.map(|access| access.value).collect();
    let origin = |index: &usize| operations[*index].access.write && read.contains(&operations[*index].access.value);
    let shown = |index: &usize| suspects.contains(index) || origin(index);
    let shown: Vec<usize> = (0..operations.len()).filter(shown).collect();
    let history = History { entries: shown.iter().map(entry).collect() };
    let report = check(&history, ModelName::Register, Effort { budget: BUDGET, explain: true }).ok()?;
    let last = suspects.iter().map(|&index| operations[index].access.interval.ret).max()?;
    let of = operations.iter().filter(|operation| operation.access.interval.call < last).count();
    report.contradiction.map(|found| Contradiction { of, ..found })
}
