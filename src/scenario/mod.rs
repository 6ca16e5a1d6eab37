//! The validated scenario: plain data with defaults filled and names resolved, the only thing a world is built from.

use std::sync::Arc;

use crate::check::Expectation;
use crate::client::config::ClientConfig;
use crate::fault::{LinkEffect, Timed};
use crate::id::{Addr, Ip, MachineId, NodeId};
use crate::rng::{Dist, Ratio, Seed};
use crate::time::Span;
use crate::{sentinel, server};

/// Everything about a run except the seed's choice (which `--seed` may replace).
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name: file stem of reports.
    pub name: Arc<str>,
    /// One or two sentences.
    pub description: Arc<str>,
    /// The seed unless another is given.
    pub seed: Seed,
    /// How long the deployment is watched.
    pub duration: Span,
    /// How long it may take to converge afterwards, with everything healed.
    pub settle: Span,
    /// How simultaneous engine events are ordered.
    pub tie_break: TieBreak,
    /// The fabric.
    pub network: Network,
    /// Machines, indexed by [`MachineId`].
    pub machines: Vec<Machine>,
    /// Nodes, indexed by [`NodeId`], in the order they are started.
    pub nodes: Vec<NodeSpec>,
    /// The timeline, in the file's order.
    pub faults: Vec<Timed>,
    /// What must hold at the end.
    pub expect: Vec<Expectation>,
    /// What commands cost on the CPU, relative to the table: in thousandths; 0 switches costs off.
    pub cpu_scale_milli: u32,
}

/// How events at the same instant are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieBreak {
    /// In the order they were scheduled.
    Sequence,
    /// By a seeded draw.
    Random,
}

/// The fabric between machines.
#[derive(Clone, Debug)]
pub struct Network {
    /// One-way latency between two machines.
    pub latency: Dist,
    /// One-way latency within a machine.
    pub loopback: Dist,
    /// Probability that a segment is lost.
    pub loss: Ratio,
    /// Bytes a second on each directed path; `None`: unlimited.
    pub bandwidth: Option<u64>,
    /// Permanent properties of certain paths (zones, single links), later ones on top.
    pub links: Vec<LinkRule>,
    /// Bytes a sender's kernel buffers (`tcp_wmem` maximum).
    pub send_buffer: u64,
    /// Bytes a receiver's kernel buffers while the process doesn't read (`tcp_rmem` maximum).
    pub receive_buffer: u64,
}

/// A permanent property of the directed paths between two sets of machines.
#[derive(Clone, Debug)]
pub struct LinkRule {
    /// One end.
    pub from: Vec<MachineId>,
    /// The other end.
    pub to: Vec<MachineId>,
    /// The way back too.
    pub both: bool,
    /// What differs from the fabric.
    pub effect: LinkEffect,
}

/// A box with a clock, a disk, an address.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name.
    pub name: Arc<str>,
    /// Its address.
    pub ip: Ip,
    /// Its zone, if it has one.
    pub zone: Option<Arc<str>>,
    /// Wall clock ahead (or behind) of true time at the start, in nanoseconds.
    pub clock_offset_ns: i64,
    /// Both clocks run this many parts per million fast.
    pub clock_drift_ppm: i32,
    /// CPU slow-down in thousandths: 1000 is normal.
    pub cpu_milli: u32,
    /// How long an fsync takes.
    pub fsync: Dist,
}

/// A node to be made.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Where it runs.
    pub machine: MachineId,
    /// Its address: the machine's ip and its port (0 for clients).
    pub addr: Addr,
    /// When its process starts, after the start of the world: drawn once from the stream (name, `start`).
    pub start: Dist,
    /// What it is.
    pub kind: NodeKind,
}

/// The three kinds of process.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// redis-server
    Server(Box<server::config::Config>),
    /// redis-sentinel
    Sentinel(Box<sentinel::config::Config>),
    /// an application
    Client(Box<ClientConfig>),
}

impl Scenario {
    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        let index = self.nodes.iter().position(|node| &*node.name == name)?;
        u16::try_from(index).ok().map(NodeId)
    }
}
