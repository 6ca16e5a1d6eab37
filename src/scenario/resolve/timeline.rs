//! Times that contradict each other: after the end, before the start, at nodes that are down.

use super::super::source::Place;
use super::faults::PlacedFault;
use super::{Resolver, Role};
use crate::fault::Fault;
use crate::id::NodeId;
use crate::time::Span;

/// What is known of a node while the timeline is walked.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Its process runs.
    Up,
    /// Since when it is down, from where in the file, and until when if it comes back by itself.
    Down { since: Span, place: Place, until: Option<Span> },
}

impl Resolver<'_> {
    pub(super) fn check_timeline(&mut self, faults: &[PlacedFault]) {
        let Some(duration) = self.file.duration.clone() else { return };
        let end = duration.0;
        for fault in faults {
            if fault.timed.at >= end {
                self.problems
                    .error(fault.place, format!("the fault comes at {}, after the end of the run", fault.timed.at))
                    .label("too late")
                    .also(duration.place, "the run ends here");
            }
        }
        self.check_starts(end);
        let mut states = vec![State::Up; self.drafts.len()];
        for (index, fault) in faults.iter().enumerate() {
            self.check_fault(fault, &faults[index + 1..], &mut states);
        }
    }

    /// Processes and workloads that would begin after the end.
    fn check_starts(&mut self, end: Span) {
        let servers = self.file.redis.iter().map(|entry| &entry.start);
        for start in servers.chain(self.file.sentinel.iter().map(|entry| &entry.start)).flatten() {
            if start.0 >= end {
                self.problems.error(start.place, format!("the process starts at {}, after the end of the run", start.0));
            }
        }
        for workload in self.file.client.iter().filter_map(|client| client.workload.as_ref()) {
            let Some(start) = &workload.start else { continue };
            if start.0 >= end {
                self.problems.error(start.place, format!("the workload starts at {}, after the end of the run", start.0));
            }
            if let Some(stop) = &workload.stop
                && stop.0 <= start.0
            {
                self.problems.error(stop.place, format!("the workload stops at {} but starts at {}", stop.0, start.0));
            }
        }
    }

    fn check_fault(&mut self, fault: &PlacedFault, later: &[PlacedFault], states: &mut [State]) {
        let (at, place) = (fault.timed.at, fault.place);
        let kills = matches!(fault.timed.fault, Fault::Crash { .. } | Fault::Shutdown { .. } | Fault::PowerOff { .. });
        let restarts = matches!(fault.timed.fault, Fault::Restart { .. });
        for node in self.hit(&fault.timed.fault) {
            let name = self.drafts[node.index()].name.clone();
            if self.drafts[node.index()].start > at && !matches!(self.drafts[node.index()].role, Role::Client(_)) {
                let message = format!("`{name}` has not been started at {at}");
                self.problems.warning(place, message).label("has no effect on it");
                continue;
            }
            let state = &mut states[node.index()];
            let down = match *state {
                State::Down { since, place, until } if until.is_none_or(|until| at < until) => Some((since, place)),
                State::Down { .. } | State::Up => None,
            };
            if restarts {
                *state = State::Up;
                if down.is_none() && later.iter().any(|later| killed_for_good(self, later, node)) {
                    self.problems
                        .warning(place, format!("`{name}` is restarted at {at} while it runs, and goes down later for good"))
                        .help("a restart kills a running process first; are the two times swapped?");
                }
            } else if let Some((since, there)) = down {
                let what = if kills { "is down already" } else { "is down and doesn't notice" };
                self.problems
                    .warning(place, format!("`{name}` {what} at {at}"))
                    .label("has no effect on it")
                    .also(there, format!("down since {since}"));
            }
            if kills && down.is_none() {
                states[node.index()] =
                    State::Down { since: at, place, until: fault.timed.restart_after.map(|after| at + after) };
            }
        }
    }

    /// The processes that a fault is done to.
    fn hit(&self, fault: &Fault) -> Vec<NodeId> {
        match fault {
            Fault::Crash { nodes } | Fault::Shutdown { nodes } | Fault::Restart { nodes } | Fault::Pause { nodes } => nodes.clone(),
            Fault::Cpu { nodes, .. } => nodes.clone(),
            Fault::Exec { node, .. } => vec![*node],
            Fault::PowerOff { machines } => {
                let on = self.drafts.iter().enumerate().filter(|(_, draft)| machines.contains(&draft.machine));
                on.filter_map(|(index, _)| u16::try_from(index).ok().map(NodeId)).collect()
            }
            Fault::Partition { .. } | Fault::PartitionOneWay { .. } | Fault::Link { .. } => Vec::new(),
            Fault::Clock { .. } | Fault::Disk { .. } => Vec::new(),
        }
    }
}

/// Whether a later fault kills the node and doesn't bring it back.
fn killed_for_good(resolver: &Resolver<'_>, fault: &PlacedFault, node: NodeId) -> bool {
    matches!(fault.timed.fault, Fault::Crash { .. } | Fault::Shutdown { .. } | Fault::PowerOff { .. })
        && fault.timed.restart_after.is_none()
        && resolver.hit(&fault.timed.fault).contains(&node)
}
