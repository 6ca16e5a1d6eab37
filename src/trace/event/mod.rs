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
use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use serde::{Deserialize, Serialize};

/// Everything that can be in a trace, grouped by who says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// As derived, except that where an event is made its hash is made of what is known of it there.
impl Hash for Kind {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        discriminant(self).hash(state);
        match self {
            Kind::World(event) => event.hash(state),
            Kind::Net(event) => event.hash(state),
            Kind::Disk(event) => event.hash(state),
            Kind::Server(event @ ServerEvent::Write { op, offset }) => {
                discriminant(event).hash(state);
                (op, offset).hash(state);
            }
            Kind::Server(event) => event.hash(state),
            Kind::Sentinel(event) => event.hash(state),
            Kind::Client(event) => event.hash(state),
            Kind::Lock(event) => event.hash(state),
        }
    }
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
