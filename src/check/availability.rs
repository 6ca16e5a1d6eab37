//! Windows in which clients of one population asked and nothing succeeded.
//!
//! A population is the clients of one name (`writer-1` … `writer-5`), its writes and reads apart. A window begins at
//! the last success if something was under way then, else at the next request, and ends at the next success. Windows
//! shorter than [`SHORTEST`] are ordinary latency.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::{Context, Op};
use super::findings::UnavailableWindow;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::NodeId;
use crate::time::{Instant, Span};
use crate::trace::event::{ClientEvent, OpKind, WorldEvent};
use crate::trace::{Event, Kind};

/// What is shorter is not counted.
pub const SHORTEST: Span = Span::from_ms(100);

/// Watches successes.
#[derive(Clone, Debug, Default)]
pub struct Availability {
    lanes: Vec<Lane>,
    /// Index of a client's write lane by node number; its read lane is the next one.
    lane_of: Vec<Option<usize>>,
    by_name: BTreeMap<Arc<str>, usize>,
    windows: Vec<UnavailableWindow>,
}

/// The writes, or the reads, of one population.
#[derive(Clone, Debug)]
struct Lane {
    population: Arc<str>,
    writes: bool,
    under_way: u64,
    waiting: Option<Instant>,
    failed: u64,
}

impl Lane {
    fn window(&mut self, to: Instant, open: bool) -> Option<UnavailableWindow> {
        let from = self.waiting.take()?;
        let failed = std::mem::take(&mut self.failed);
        let (population, writes) = (self.population.clone(), self.writes);
        (to.since(from) >= SHORTEST).then_some(UnavailableWindow { population, writes, from, to, failed, open })
    }
}

impl Availability {
    fn lane(&mut self, op: &Op, context: &Context) -> usize {
        let client = op.client;
        if self.lane_of.len() <= client.index() {
            self.lane_of.resize(client.index() + 1, None);
        }
        let writes = self.lane_of[client.index()].unwrap_or_else(|| self.new_lane(client, context));
        match op.f {
            OpKind::Write => writes,
            OpKind::Read => writes + 1,
        }
    }

    fn new_lane(&mut self, client: NodeId, context: &Context) -> usize {
        let population: Arc<str> = population(&context.name(client)).into();
        let lanes = &mut self.lanes;
        let index = *self.by_name.entry(population.clone()).or_insert_with(|| {
            for writes in [true, false] {
                let population = population.clone();
                lanes.push(Lane { population, writes, under_way: 0, waiting: None, failed: 0 });
            }
            lanes.len() - 2
        });
        self.lane_of[client.index()] = Some(index);
        index
    }
}

/// `writer-3` belongs to `writer`.
fn population(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((base, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => base,
        Some(_) | None => name,
    }
}

impl Checker for Availability {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "availability"
    }

    fn wants(&self, family: Family) -> bool {
        matches!(family, Family::World | Family::Client)
    }

    fn see(&mut self, event: &Event, context: &Context) {
        if let Kind::World(WorldEvent::SettleBegan) = event.kind {
            for lane in &mut self.lanes {
                self.windows.extend(lane.window(event.at, true));
            }
        }
        let (Kind::Client(said), Some(op)) = (&event.kind, &context.op) else { return };
        if context.settling() {
            return;
        }
        let index = self.lane(op, context);
        let lane = &mut self.lanes[index];
        match said {
            ClientEvent::Invoke { .. } => {
                lane.under_way += 1;
                lane.waiting.get_or_insert(event.at);
            }
            ClientEvent::Ok { .. } => {
                let window = lane.window(event.at, false);
                lane.under_way = lane.under_way.saturating_sub(1);
                lane.waiting = (lane.under_way > 0).then_some(event.at);
                self.windows.extend(window);
            }
            ClientEvent::Fail { .. } | ClientEvent::Unknown { .. } => {
                lane.under_way = lane.under_way.saturating_sub(1);
                lane.failed += 1;
            }
            ClientEvent::Connected { .. }
            | ClientEvent::Disconnected { .. }
            | ClientEvent::Discovered { .. }
            | ClientEvent::DiscoveryFailed { .. }
            | ClientEvent::SwitchSeen { .. }
            | ClientEvent::NotMaster { .. } => {}
        }
    }

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        for lane in &mut self.lanes {
            self.windows.extend(lane.window(context.settled.unwrap_or(context.last.1), true));
        }
        let mut totals: BTreeMap<(&str, bool), Span> = BTreeMap::new();
        for window in &self.windows {
            *totals.entry((&window.population, window.writes)).or_default() += window.length();
        }
        let longest = self.windows.iter().map(UnavailableWindow::length).max();
        let total = totals.values().copied().max();
        let used = !self.lanes.is_empty();
        let time = |span: Option<Span>| if used { Value::time(span.unwrap_or_default()) } else { Value::Absent };
        metrics.insert("unavailable.count", Value::Count(self.windows.len() as u64));
        metrics.insert("unavailable.longest", time(longest));
        metrics.insert("unavailable.total", time(total));
        self.windows.sort_by(|a, b| (a.from, a.to, &a.population).cmp(&(b.from, b.to, &b.population)));
        findings.unavailable = std::mem::take(&mut self.windows);
        // How long is too long is for the scenario's expectations to say.
        Verdict::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::population;

    #[test]
    fn numbers_are_not_part_of_a_population() {
        for (name, base) in [("writer-3", "writer"), ("writer", "writer"), ("east-a", "east-a"), ("x-", "x-")] {
            assert_eq!(population(name), base);
        }
    }
}
