//! From the scenario's nodes to processes: the only place that names servers, sentinels and clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::World;
use crate::client::Client;
use crate::client::lock::Locker;
use crate::id::{Ip, NodeId};
use crate::node::{Init, Node};
use crate::resource::Resource;
use crate::scenario::{NodeKind, Scenario};
use crate::sentinel::Sentinel;
use crate::server::Server;
use crate::time::Span;
use crate::trace::event::NodeRole;

/// Makes a node's process. A world has one of these, so that tests can put other programs on its machines.
pub type Factory = Arc<dyn Fn(&Scenario, Init) -> Box<dyn Node> + Send + Sync>;

/// The real programs.
#[must_use]
pub fn programs() -> Factory {
    Arc::new(|scenario, init| match &scenario.nodes[init.node.index()].kind {
        NodeKind::Server(config) => Box::new(Server::new(init, (**config).clone()).following(&scenario.locks)),
        NodeKind::Sentinel(config) => Box::new(Sentinel::new(init, (**config).clone())),
        NodeKind::Client(config) => {
            let mut config = (**config).clone();
            config.workload.stop =
                Some(config.workload.stop.map_or(scenario.duration, |stop| stop.min(scenario.duration)));
            Box::new(Client::new(init, config))
        }
        NodeKind::Locker(config) => {
            let mut config = (**config).clone();
            config.stop = Some(config.stop.map_or(scenario.duration, |stop| stop.min(scenario.duration)));
            Box::new(Locker::new(init, config))
        }
        NodeKind::Resource(config) => Box::new(Resource::new(init, config.clone())),
    })
}

/// What a node is, for the trace.
pub(super) fn role(kind: &NodeKind) -> NodeRole {
    match kind {
        NodeKind::Server(_) => NodeRole::Server,
        NodeKind::Sentinel(_) => NodeRole::Sentinel,
        NodeKind::Client(_) | NodeKind::Locker(_) => NodeRole::Client,
        NodeKind::Resource(_) => NodeRole::Resource,
    }
}

/// Every name that resolves: machines, then nodes.
pub(super) fn hosts(scenario: &Scenario) -> Arc<BTreeMap<Arc<str>, Ip>> {
    let machines = scenario.machines.iter().map(|machine| (machine.name.clone(), machine.ip));
    let nodes = scenario.nodes.iter().map(|node| (node.name.clone(), node.addr.ip));
    Arc::new(machines.chain(nodes).collect())
}

/// When a node's process starts.
pub(super) fn start(world: &World, id: NodeId) -> Span {
    let spec = &world.scenario.nodes[id.index()];
    spec.start.draw(&mut world.seed.stream(&spec.name, "start"))
}
