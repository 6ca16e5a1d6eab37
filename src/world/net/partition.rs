//! The fabric as a graph: which machine can't reach which, directed, and how many faults say so.

use petgraph::graph::{DiGraph, NodeIndex};

use crate::id::{EventId, MachineId};

/// An edge of the graph: the path that it stands for is severed.
#[derive(Clone, Copy, Debug)]
struct Severed {
    /// By how many faults; each must heal.
    faults: u32,
    /// The newest of them.
    cause: EventId,
}

/// The graph of severed paths: an edge from a to b means that no packet passes from a to b. It is empty in good
/// times, so it costs nothing however many machines there are. What a connection asks for each packet is not the
/// graph but its path's cached answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Fabric {
    severed: DiGraph<MachineId, Severed>,
}

impl Fabric {
    pub(super) fn new(machines: usize) -> Fabric {
        let mut severed = DiGraph::with_capacity(machines, 0);
        for machine in 0..machines {
            severed.add_node(MachineId(u16::try_from(machine).expect("machine ids are 16 bits")));
        }
        Fabric { severed }
    }

    /// One more fault cuts this path.
    pub(super) fn sever(&mut self, from: MachineId, to: MachineId, cause: EventId) {
        let (a, b) = (NodeIndex::new(from.index()), NodeIndex::new(to.index()));
        match self.severed.find_edge(a, b) {
            Some(edge) => {
                let severed = &mut self.severed[edge];
                severed.faults += 1;
                severed.cause = cause;
            }
            None => {
                self.severed.add_edge(a, b, Severed { faults: 1, cause });
            }
        }
    }

    /// One of the faults that cut this path is healed.
    pub(super) fn heal(&mut self, from: MachineId, to: MachineId) {
        let edge = self
            .severed
            .find_edge(NodeIndex::new(from.index()), NodeIndex::new(to.index()))
            .expect("only what was severed is healed");
        self.severed[edge].faults -= 1;
        if self.severed[edge].faults == 0 {
            self.severed.remove_edge(edge);
        }
    }

    /// The fault that cuts this path, if one does.
    pub(super) fn severed(&self, from: MachineId, to: MachineId) -> Option<EventId> {
        let edge = self.severed.find_edge(NodeIndex::new(from.index()), NodeIndex::new(to.index()))?;
        Some(self.severed[edge].cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_cuts_are_counted_and_directed() {
        let (a, b) = (MachineId(0), MachineId(1));
        let mut fabric = Fabric::new(2);
        fabric.sever(a, b, EventId(1));
        fabric.sever(a, b, EventId(2));
        assert_eq!(fabric.severed(a, b), Some(EventId(2)));
        assert_eq!(fabric.severed(b, a), None);
        fabric.heal(a, b);
        assert!(fabric.severed(a, b).is_some(), "one fault is still there");
        fabric.heal(a, b);
        assert_eq!(fabric.severed(a, b), None);
    }
}
