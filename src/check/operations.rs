//! Counts and latencies of what the clients did. Judges nothing.

use super::context::Context;
use super::latency::Histogram;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::trace::event::{ClientEvent, OpKind, Refusal};
use crate::trace::{Event, Kind};

/// Counts operations and connections.
#[derive(Clone, Debug, Default)]
pub struct Operations {
    reads: Tally,
    writes: Tally,
    connects: u64,
    disconnects: u64,
    discoveries: u64,
    discoveries_failed: u64,
    not_master: u64,
    switches_seen: u64,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    invoked: u64,
    acked: u64,
    failed: u64,
    unknown: u64,
    no_replicas: u64,
    not_sent: u64,
    readonly: u64,
    latency: Histogram,
}

impl Tally {
    fn see(&mut self, said: &ClientEvent, event: &Event, context: &Context) {
        match said {
            ClientEvent::Invoke { .. } => self.invoked += 1,
            ClientEvent::Ok { .. } => {
                self.acked += 1;
                if let Some(op) = context.op {
                    self.latency.add(event.at.since(op.invoked));
                }
            }
            ClientEvent::Unknown { .. } => self.unknown += 1,
            ClientEvent::Fail { why, .. } => {
                self.failed += 1;
                match why {
                    Refusal::NoReplicas => self.no_replicas += 1,
                    Refusal::NotSent => self.not_sent += 1,
                    Refusal::Readonly => self.readonly += 1,
                    Refusal::MasterDown
                    | Refusal::Loading
                    | Refusal::Busy
                    | Refusal::Oom
                    | Refusal::Misconf
                    | Refusal::Denied
                    | Refusal::Other => {}
                }
            }
            ClientEvent::Connected { .. }
            | ClientEvent::Disconnected { .. }
            | ClientEvent::Discovered { .. }
            | ClientEvent::DiscoveryFailed { .. }
            | ClientEvent::SwitchSeen { .. }
            | ClientEvent::NotMaster { .. } => {}
        }
    }
}

impl Checker for Operations {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "operations"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::Client)
    }

    fn see(&mut self, event: &Event, context: &Context) {
        let Kind::Client(said) = &event.kind else { return };
        if let Some(op) = context.op {
            match op.f {
                OpKind::Read => self.reads.see(said, event, context),
                OpKind::Write => self.writes.see(said, event, context),
            }
            return;
        }
        match said {
            ClientEvent::Connected { .. } => self.connects += 1,
            ClientEvent::Disconnected { .. } => self.disconnects += 1,
            ClientEvent::Discovered { .. } => self.discoveries += 1,
            ClientEvent::DiscoveryFailed { .. } => self.discoveries_failed += 1,
            ClientEvent::SwitchSeen { .. } => self.switches_seen += 1,
            ClientEvent::NotMaster { .. } => self.not_master += 1,
            ClientEvent::Invoke { .. }
            | ClientEvent::Ok { .. }
            | ClientEvent::Fail { .. }
            | ClientEvent::Unknown { .. } => {}
        }
    }

    fn finish(&mut self, _context: &Context, metrics: &mut Values, _findings: &mut Findings) -> Verdict {
        let (reads, writes) = (&self.reads, &self.writes);
        // What is still open when the trace ends was never answered either.
        let unknown = |tally: &Tally| tally.invoked - tally.acked - tally.failed;
        for (name, count) in [
            ("client.connects", self.connects),
            ("client.disconnects", self.disconnects),
            ("client.discoveries", self.discoveries),
            ("client.discoveries-failed", self.discoveries_failed),
            ("client.not-master", self.not_master),
            ("client.switches-seen", self.switches_seen),
            ("reads.acked", reads.acked),
            ("reads.failed", reads.failed),
            ("reads.invoked", reads.invoked),
            ("reads.unknown", unknown(reads)),
            ("writes.acked", writes.acked),
            ("writes.failed", writes.failed),
            ("writes.failed-noreplicas", writes.no_replicas),
            ("writes.failed-not-sent", writes.not_sent),
            ("writes.failed-readonly", writes.readonly),
            ("writes.invoked", writes.invoked),
            ("writes.unknown", unknown(writes)),
        ] {
            metrics.insert(name, Value::Count(count));
        }
        for (name, span) in [
            ("reads.latency-max", reads.latency.max()),
            ("reads.latency-p50", reads.latency.quantile(500)),
            ("reads.latency-p99", reads.latency.quantile(990)),
            ("writes.latency-max", writes.latency.max()),
            ("writes.latency-p50", writes.latency.quantile(500)),
            ("writes.latency-p99", writes.latency.quantile(990)),
        ] {
            metrics.insert(name, Value::time_or_absent(span));
        }
        Verdict::Pass
    }
}
