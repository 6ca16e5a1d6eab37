//! Reads that returned a value older than one whose write was acknowledged before the read began.
//!
//! For each key the checker keeps, of all acknowledged writes, the one that was invoked last: the floor. A read takes
//! the floor of the moment it begins; it is stale if the write of the value that it returns was acknowledged before
//! the floor's write was invoked. That never accuses a legal read, but it misses some stale ones: those of values whose
//! write was never acknowledged, and those that a concurrent write excuses. A missing value counts as the oldest of
//! all, unless keys expired in this run. Servers of different replication groups are not compared.

use rustc_hash::FxHashMap;

use super::context::{Context, Op, WriteOutcome};
use super::findings::StaleRead;
use super::metrics::span;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::{EventId, NodeId};
use crate::time::Instant;
use crate::trace::event::{ClientEvent, OpKind, ServerEvent};
use crate::trace::{Event, Kind};

/// The most stale reads that are kept in detail.
const DETAIL: usize = 50;

/// Compares reads with what had been acknowledged.
#[derive(Clone, Debug, Default)]
pub struct StaleReads {
    floors: FxHashMap<u32, Floor>,
    began: FxHashMap<(NodeId, u64), Floor>,
    values: Found,
    missing: Found,
    expired: bool,
}

/// The youngest acknowledged write of a key.
#[derive(Clone, Copy, Debug)]
struct Floor {
    value: u64,
    invoked: Instant,
    acked: Instant,
    server: Option<NodeId>,
}

#[derive(Clone, Debug, Default)]
struct Found {
    count: u64,
    first: Vec<StaleRead>,
}

impl Found {
    fn add(&mut self, read: StaleRead) {
        self.count += 1;
        if self.first.len() < DETAIL {
            self.first.push(read);
        }
    }
}

impl StaleReads {
    fn acked_write(&mut self, op: &Op, at: Instant, server: Option<NodeId>) {
        let floor = Floor { value: op.value, invoked: op.invoked, acked: at, server };
        let known = self.floors.entry(op.key).or_insert(floor);
        if known.invoked < floor.invoked {
            *known = floor;
        }
    }

    fn answered(&mut self, op: &Op, event: &Event, said: &ClientEvent, context: &Context) {
        let Some(floor) = self.began.remove(&(op.client, op.number)) else { return };
        let ClientEvent::Ok { value, server, .. } = said else { return };
        let group = |node: NodeId| context.lineage.group_of(node);
        if floor.server.map(group) != context.node_at(*server).map(group) || *value == Some(floor.value) {
            return;
        }
        let read = StaleRead {
            client: op.client,
            op: op.number,
            key: op.key,
            value: *value,
            newer: floor.value,
            server: *server,
            event: event.id,
            at: event.at,
            age: op.invoked.since(floor.acked),
        };
        let Some(value) = value else { return self.missing.add(read) };
        let write = context.writes.by_value(*value).map(|write| write.outcome);
        match write {
            Some(WriteOutcome::Acked { at, .. }) if at < floor.invoked => self.values.add(read),
            Some(WriteOutcome::Acked { .. } | WriteOutcome::Failed | WriteOutcome::Unknown | WriteOutcome::Pending)
            | None => {}
        }
    }
}

impl Checker for StaleReads {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "stale-reads"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::Server | Family::Client)
    }

    fn see(&mut self, event: &Event, context: &Context) {
        if let Kind::Server(ServerEvent::Expired { .. } | ServerEvent::Evicted { .. }) = event.kind {
            self.expired = true;
        }
        let (Kind::Client(said), Some(op)) = (&event.kind, &context.op) else { return };
        match (op.f, said) {
            (OpKind::Read, ClientEvent::Invoke { .. }) => {
                if let Some(floor) = self.floors.get(&op.key) {
                    self.began.insert((op.client, op.number), *floor);
                }
            }
            (OpKind::Read, said) => self.answered(op, event, said, context),
            (OpKind::Write, ClientEvent::Ok { server, .. }) => {
                self.acked_write(op, event.at, context.node_at(*server));
            }
            (OpKind::Write, _) => {}
        }
    }

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        let mut stale = std::mem::take(&mut self.values.first);
        let mut count = self.values.count;
        if !self.expired {
            count += self.missing.count;
            stale.append(&mut self.missing.first);
        }
        stale.sort_by_key(|read| read.event);
        metrics.insert("reads.stale", Value::Count(count));
        let verdict = match stale.first() {
            None => Verdict::Pass,
            Some(first) => {
                let witness: Vec<EventId> = stale.iter().map(|read| read.event).collect();
                let server = context.name_at(first.server);
                let got = first.value.map_or("nothing".to_owned(), |value| format!("value {value}"));
                let why = format!(
                    "{count} stale reads; the first: {} got {got} of key {} from {server} at {:.3}s, though value {} had been acknowledged {} before it asked",
                    context.name(first.client),
                    first.key,
                    first.at.as_secs_f64(),
                    first.newer,
                    span(first.age),
                );
                Verdict::Fail { why, witness }
            }
        };
        findings.stale = stale;
        verdict
    }
}
