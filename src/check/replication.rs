//! Counts of resynchronisations and lost links, and how far replicas fell behind. Judges nothing.

use super::context::Context;
use super::lineage::NO_HISTORY;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::NodeId;
use crate::time::{Instant, Span};
use crate::trace::event::{LinkDownWhy, RefusePsync, ServerEvent, SyncKind, WorldEvent};
use crate::trace::{Event, Kind};

/// A replica's offset is repeated every 100 ms while it moves: one that is older than this stands still.
const STANDS_STILL: Span = Span::from_ms(150);

/// Counts what servers say about replication.
#[derive(Clone, Debug, Default)]
pub struct Replication {
    full: u64,
    full_after_fault: u64,
    partial: u64,
    refused: u64,
    output_buffer: u64,
    link_downs: u64,
    lag_max: u64,
    fault_began: bool,
    servers: Vec<Seen>,
}

/// What was last heard of a server.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    known: bool,
    master: bool,
    history: u32,
    offset: u64,
    at: Instant,
}

impl Replication {
    fn seen(&mut self, node: NodeId) -> &mut Seen {
        if self.servers.len() <= node.index() {
            self.servers.resize(node.index() + 1, Seen::default());
        }
        &mut self.servers[node.index()]
    }

    /// A server's offset, from which lags follow: its own behind its master, or those of replicas that stand still.
    fn offset(&mut self, node: NodeId, offset: u64, at: Instant, context: &Context) {
        let history = context.lineage.history_of(node);
        let seen = self.seen(node);
        (seen.known, seen.history, seen.offset, seen.at) = (history != NO_HISTORY, history, offset, at);
        let this = *seen;
        if !this.known {
            return;
        }
        for (index, other) in self.servers.iter().enumerate() {
            if !other.known || other.history != history || index == node.index() || this.master == other.master {
                continue;
            }
            let lag = if this.master {
                let still = at.since(other.at) > STANDS_STILL;
                if still { offset.saturating_sub(other.offset) } else { 0 }
            } else {
                other.offset.saturating_sub(offset)
            };
            self.lag_max = self.lag_max.max(lag);
        }
    }

    fn server(&mut self, event: &Event, node: NodeId, said: &ServerEvent, context: &Context) {
        if let ServerEvent::Write { offset, .. } | ServerEvent::History { offset, .. } = said {
            // Frequent: no lags from here, the sampled offsets are enough.
            let history = context.lineage.history_of(node);
            let seen = self.seen(node);
            (seen.known, seen.history, seen.offset, seen.at) = (true, history, *offset, event.at);
        } else if let ServerEvent::Offset { offset, .. } = said {
            self.offset(node, *offset, event.at, context);
        } else if let ServerEvent::BecameMaster { .. } = said {
            self.seen(node).master = true;
        } else if let ServerEvent::BecameReplica { .. } = said {
            self.seen(node).master = false;
        } else if let ServerEvent::SyncGranted { kind, refused, .. } = said {
            match kind {
                SyncKind::Full => {
                    self.full += 1;
                    self.full_after_fault += u64::from(self.fault_began);
                }
                SyncKind::Partial => self.partial += 1,
            }
            self.refused += u64::from(refused.is_some_and(|why| why != RefusePsync::Fresh));
        } else if let ServerEvent::ReplicaGone { why: LinkDownWhy::OutputBuffer, .. } = said {
            self.output_buffer += 1;
        } else if let ServerEvent::Link { why: Some(why), .. } = said {
            self.link_downs += u64::from(*why != LinkDownWhy::Reconfigured);
        }
    }
}

impl Checker for Replication {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "replication"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::World | Family::Server)
    }

    fn see(&mut self, event: &Event, context: &Context) {
        match (&event.kind, event.node) {
            (Kind::Server(said), Some(node)) if !context.settling() => self.server(event, node, said, context),
            (Kind::World(WorldEvent::Died { .. }), Some(node)) => *self.seen(node) = Seen::default(),
            (Kind::World(WorldEvent::FaultBegan { .. }), _) => self.fault_began = true,
            _ => {}
        }
    }

    fn finish(&mut self, _context: &Context, metrics: &mut Values, _findings: &mut Findings) -> Verdict {
        for (name, count) in [
            ("replication.full-syncs", self.full),
            ("replication.full-syncs-after-fault", self.full_after_fault),
            ("replication.lag-max", self.lag_max),
            ("replication.link-downs", self.link_downs),
            ("replication.output-buffer-drops", self.output_buffer),
            ("replication.partial-refused", self.refused),
            ("replication.partial-syncs", self.partial),
        ] {
            metrics.insert(name, Value::Count(count));
        }
        Verdict::Pass
    }
}
