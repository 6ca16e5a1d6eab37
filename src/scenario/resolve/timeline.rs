//! Times that contradict each other: after the end, before the start, at nodes that are down.

use super::super::source::Place;
use super::Resolver;
use super::faults::PlacedFault;
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
        for fault in faults.iter().filter(|fault| !fault.open) {
            if fault.earliest >= end {
                self.problems
                    .error(fault.place, format!("the fault comes at {}, after the end of the run", fault.earliest))
                    .label("too late")
                    .also(duration.place, "the run ends here");
            } else if fault.latest >= end {
                self.problems
                    .warning(fault.place, "with some seeds the fault comes after the end of the run")
                    .label("may be too late")
                    .also(duration.place, "the run ends here");
            }
        }
        self.check_starts(end);
        let mut order: Vec<&PlacedFault> = faults.iter().filter(|fault| !fault.open).collect();
        order.sort_by_key(|fault| fault.earliest);
        let mut states = vec![State::Up; self.drafts.len()];
        for (index, fault) in order.iter().enumerate() {
            self.check_fault(fault, &order[index + 1..], &mut states);
        }
    }

    /// Processes and workloads that would begin after the end.
    fn check_starts(&mut self, end: Span) {
        let servers = self.file.redis.iter().map(|entry| &entry.start);
        for start in servers.chain(self.file.sentinel.iter().map(|entry| &entry.start)).flatten() {
            if start.0.bounds().0 >= end {
                self.problems
                    .error(start.place, format!("the process starts at {}, after the end of the run", start.0));
            }
        }
        for workload in self.file.client.iter().filter_map(|client| client.workload.as_ref()) {
            let (Some(start), stop) = workload.times() else { continue };
            if start.0 >= end {
                self.problems
                    .error(start.place, format!("the workload starts at {}, after the end of the run", start.0));
            }
            if let Some(stop) = stop
                && stop.0 <= start.0
            {
                self.problems.error(stop.place, format!("the workload stops at {} but starts at {}", stop.0, start.0));
            }
        }
    }

    /// Walks one fault. Only what is certain for every seed is said: a node counts as down from the latest time of a kill to
    /// the earliest time of its return.
    fn check_fault(&mut self, fault: &PlacedFault, later: &[&PlacedFault], states: &mut [State]) {
        let (at, place) = (fault.earliest, fault.place);
        let kills = matches!(fault.timed.fault, Fault::Crash { .. } | Fault::Shutdown { .. } | Fault::PowerOff { .. });
        let restarts = matches!(fault.timed.fault, Fault::Restart { .. });
        for node in self.hit(&fault.timed.fault) {
            let draft = &self.drafts[node.index()];
            let name = draft.name.clone();
            if draft.start.bounds().0 > fault.latest {
                let message = format!("`{name}` has not been started at {at}");
                self.problems.warning(place, message).label("has no effect on it");
                continue;
            }
            let down = match states[node.index()] {
                State::Down { since, place, until }
                    if since <= at && until.is_none_or(|until| fault.latest < until) =>
                {
                    Some((since, place))
                }
                State::Down { .. } | State::Up => None,
            };
            if restarts {
                if down.is_none() && later.iter().any(|later| killed_for_good(self, later, node)) {
                    self.problems
                        .warning(
                            place,
                            format!("`{name}` is restarted at {at} while it runs, and goes down later for good"),
                        )
                        .help("a restart kills a running process first; are the two times swapped?");
                }
                states[node.index()] = State::Up;
            } else if let Some((since, there)) = down {
                let what = if kills { "is down already" } else { "is down and doesn't notice" };
                self.problems
                    .warning(place, format!("`{name}` {what} at {at}"))
                    .label("has no effect on it")
                    .also(there, format!("down since {since}"));
            } else if kills {
                let until = fault.timed.restart_after.map(|after| at + after.bounds().0);
                states[node.index()] = State::Down { since: fault.latest, place, until };
            }
        }
    }

    /// The processes that a fault is done to.
    fn hit(&self, fault: &Fault) -> Vec<NodeId> {
        match fault {
            Fault::Crash { nodes } | Fault::Shutdown { nodes } | Fault::Restart { nodes } | Fault::Pause { nodes } => {
                nodes.clone()
            }
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
