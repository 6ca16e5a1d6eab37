//! The end of a run: the settle period's beginning, and what checkers need to know of the final state.

use super::World;
use super::process::State;
use crate::id::{EventId, NodeId};
use crate::trace::event::WorldEvent;
use crate::trace::{Kind, Via};

impl World {
    /// The scenario's duration is over: heals every fault, cancels those to come, and starts what doesn't run.
    pub fn settle(&mut self) {
        let event = Kind::World(WorldEvent::SettleBegan);
        let cause = self.out.tracer.record(None, EventId::NONE, Via::World, event);
        self.heal_all();
        for id in self.node_ids() {
            let process = &self.processes[id.index()];
            if process.state == State::Down && process.incarnation > 0 {
                self.power_on(process.machine, cause);
                self.boot(id, cause, Via::World);
            }
        }
        self.serve_ready();
    }

    /// The run is over: every live node says what checkers need to know, and the trace is closed. Nothing may follow.
    pub fn finish(&mut self) {
        for id in self.node_ids() {
            let process = &self.processes[id.index()];
            let Some(node) = &process.node else { continue };
            let now = self.clocks[process.machine.index()].now(self.now);
            self.out.begin(id, process.newest, Via::World);
            node.probe(now, &mut self.out);
            assert!(self.out.outputs.is_empty(), "a probe only puts notes into the trace");
        }
        self.out.tracer.record(None, EventId::NONE, Via::World, Kind::World(WorldEvent::End));
    }

    pub(super) fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.operator()).map(NodeId)
    }
}
