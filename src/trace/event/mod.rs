//! The vocabulary of the trace: one enum for each role, each with one human rendering and one serde form.

mod client;
mod disk;
mod lock;
pub mod names;
mod net;
mod sentinel;
mod server;
mod world;

pub use client::{ClientEvent, OpKind, Refusal, Unanswered};
pub use disk::DiskEvent;
pub use lock::{Freed, LockAnswer, LockEvent, LockLoss, LockStep};
pub use net::{CloseWhy, NetEvent, RefusedWhy};
pub use sentinel::{Detail, FailoverState, Instance, InstanceKind, SentinelEvent, SentinelEventName};
pub use server::{HistoryWhy, LinkDownWhy, LinkState, RefusePsync, ServerEvent, SyncKind};
pub use world::{NodeRole, WorldEvent};

use std::fmt;

use serde::{Deserialize, Serialize};

/// Everything that can be in a trace, grouped by who says it.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The world: processes, faults, declarations, end-of-run probes.
    World(WorldEvent),
    /// The network, as a kernel would see it.
    Net(NetEvent),
    /// Disks.
    Disk(DiskEvent),
    /// A redis-server.
    Server(ServerEvent),
    /// A sentinel.
    Sentinel(SentinelEvent),
    /// A client.
    Client(ClientEvent),
    /// A client of a lock, a server that holds one, or what it protects.
    Lock(LockEvent),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::World(event) => event.fmt(f),
            Kind::Net(event) => event.fmt(f),
            Kind::Disk(event) => event.fmt(f),
            Kind::Server(event) => event.fmt(f),
            Kind::Sentinel(event) => event.fmt(f),
            Kind::Client(event) => event.fmt(f),
            Kind::Lock(event) => event.fmt(f),
        }
    }
}
