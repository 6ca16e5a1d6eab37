//! What the world itself says: who exists, what was broken and healed, how processes began and ended.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fault::FaultKind;
use crate::id::{Addr, MachineId, NodeId};

/// The kind of process a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// redis-server
    Server,
    /// redis-sentinel
    Sentinel,
    /// a simulated application
    Client,
    /// what a lock protects
    Resource,
}

/// Events of the world.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum WorldEvent {
    /// A node of the deployment: emitted once for each, before anything else happens.
    Declared {
        /// The scenario's name for it.
        name: Arc<str>,
        /// What it is.
        role: NodeRole,
        /// Where it listens (port 0 for a client).
        addr: Addr,
        /// The machine it runs on.
        machine: MachineId,
        /// That machine's name.
        machine_name: Arc<str>,
    },
    /// The process began, for the n-th time (from 1).
    Started {
        /// How many times it has now been started.
        incarnation: u32,
    },
    /// The process ended.
    Died {
        /// Why: `crash` (kill -9), `power-off`, `exit N`.
        how: Arc<str>,
    },
    /// The process stopped running (SIGSTOP, a garbage collection, a frozen VM).
    Paused,
    /// The process runs again.
    Resumed,
    /// A fault of the timeline took effect.
    FaultBegan {
        /// Its place in the scenario's list of faults, from 0.
        fault: u16,
        /// Its kind, for colours and legends.
        kind: FaultKind,
        /// The fault as a sentence.
        what: Arc<str>,
        /// The nodes that it touches directly.
        nodes: Arc<[NodeId]>,
    },
    /// A fault of the timeline was healed.
    FaultEnded {
        /// Its place in the scenario's list of faults, from 0.
        fault: u16,
    },
    /// What an `exec` fault's command answered.
    ExecReply {
        /// The command line, as typed.
        command: Arc<str>,
        /// The reply as redis-cli would print it, shortened.
        reply: Arc<str>,
    },
    /// The scenario's duration is over: everything is healed and the settle period begins. Metrics that measure
    /// the run count up to here, `converged` is judged at [`WorldEvent::End`].
    SettleBegan,
    /// The run is over; end-of-run probes precede this.
    End,
}

impl fmt::Display for WorldEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorldEvent::Declared { name, role, addr, machine_name, .. } => {
                let role = match role {
                    NodeRole::Server => "server",
                    NodeRole::Sentinel => "sentinel",
                    NodeRole::Client => "client",
                    NodeRole::Resource => "resource",
                };
                write!(f, "declared {name} {role} {addr} on {machine_name}")
            }
            WorldEvent::Started { incarnation } => write!(f, "started #{incarnation}"),
            WorldEvent::Died { how } => write!(f, "died {how}"),
            WorldEvent::Paused => f.write_str("paused"),
            WorldEvent::Resumed => f.write_str("resumed"),
            WorldEvent::FaultBegan { fault, what, .. } => write!(f, "fault {fault} {what}"),
            WorldEvent::FaultEnded { fault } => write!(f, "healed {fault}"),
            WorldEvent::ExecReply { command, reply } => write!(f, "exec {command} -> {reply}"),
            WorldEvent::SettleBegan => f.write_str("settle"),
            WorldEvent::End => f.write_str("end"),
        }
    }
}
