//! Windows in which two masters of one replication group execute clients' writes.
//!
//! A master is busy from one write to its next as long as they are at most [`PATIENCE`] apart and it isn't paused,
//! demoted or dead in between. Where the busy times of two masters overlap, brains are split.

use super::context::Context;
use super::findings::{Mark, SplitWindow};
use super::metrics::span;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::{EventId, NodeId};
use crate::time::{Instant, Span};
use crate::trace::event::{ServerEvent, WorldEvent};
use crate::trace::{Event, Kind};

/// A master that executes no write for longer is not busy in between.
const PATIENCE: Span = Span::from_secs(2);

/// Watches which masters execute writes.
#[derive(Clone, Debug, Default)]
pub struct SplitBrain {
    open: Vec<Option<Stint>>,
    closed: Vec<Stint>,
}

/// A time in which one master executed writes.
#[derive(Clone, Copy, Debug)]
struct Stint {
    node: NodeId,
    from: Mark,
    to: Mark,
}

impl SplitBrain {
    fn write(&mut self, node: NodeId, at: Instant, event: EventId) {
        if self.open.len() <= node.index() {
            self.open.resize(node.index() + 1, None);
        }
        let now = Mark { at, event };
        match &mut self.open[node.index()] {
            Some(stint) if at.since(stint.to.at) <= PATIENCE => stint.to = now,
            slot => self.closed.extend(slot.replace(Stint { node, from: now, to: now })),
        }
    }

    fn stop(&mut self, node: NodeId) {
        let slot = self.open.get_mut(node.index()).and_then(Option::take);
        self.closed.extend(slot);
    }
}

impl Checker for SplitBrain {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "split-brain"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::World | Family::Server)
    }

    fn see(&mut self, event: &Event, context: &Context) {
        let Some(node) = event.node else { return };
        match &event.kind {
            Kind::Server(ServerEvent::Write { .. }) if !context.settling() => self.write(node, event.at, event.id),
            Kind::Server(ServerEvent::BecameReplica { .. })
            | Kind::World(WorldEvent::Died { .. } | WorldEvent::Paused) => self.stop(node),
            Kind::Server(_)
            | Kind::World(_)
            | Kind::Net(_)
            | Kind::Disk(_)
            | Kind::Sentinel(_)
            | Kind::Client(_)
            | Kind::Lock(_) => {}
        }
    }

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        let mut stints = std::mem::take(&mut self.closed);
        stints.extend(self.open.drain(..).flatten());
        let windows = overlaps(stints, |node| context.lineage.group_of(node));
        let total = windows.iter().fold(Span::ZERO, |sum, window| sum + window.length());
        metrics.insert("split-brain.count", Value::Count(windows.len() as u64));
        metrics.insert("split-brain.duration", Value::time(total));
        let verdict = match windows.first() {
            None => Verdict::Pass,
            Some(first) => {
                let names: Vec<String> = first.nodes.iter().map(|&node| context.name(node)).collect();
                let (names, from, more) = (names.join(" and "), first.from.at, windows.len() - 1);
                let more = if more > 0 { format!(" and in {more} more windows") } else { String::new() };
                Verdict::Fail {
                    why: format!(
                        "{names} both executed writes for {} from {:.3}s{more}",
                        span(first.length()),
                        from.as_secs_f64()
                    ),
                    witness: windows.iter().flat_map(|window| [window.from.event, window.to.event]).collect(),
                }
            }
        };
        findings.splits = windows;
        verdict
    }
}

/// The times in which stints of different nodes of one group overlap; those of the same nodes that touch are one.
fn overlaps(mut stints: Vec<Stint>, group: impl Fn(NodeId) -> u16) -> Vec<SplitWindow> {
    stints.sort_by_key(|stint| (stint.from.at, stint.from.event));
    let mut windows: Vec<SplitWindow> = Vec::new();
    for (index, late) in stints.iter().enumerate() {
        for early in &stints[..index] {
            let to = if early.to.at < late.to.at { early.to } else { late.to };
            if early.node == late.node || to.at <= late.from.at || group(early.node) != group(late.node) {
                continue;
            }
            let mut nodes = vec![early.node, late.node];
            nodes.sort_unstable();
            match windows.iter_mut().find(|window| late.from.at <= window.to.at && to.at >= window.from.at) {
                Some(window) => {
                    window.to = if to.at > window.to.at { to } else { window.to };
                    window.nodes.extend(nodes);
                    window.nodes.sort_unstable();
                    window.nodes.dedup();
                }
                None => windows.push(SplitWindow { from: late.from, to, nodes }),
            }
        }
    }
    windows.sort_by_key(|window| (window.from.at, window.from.event));
    windows
}
