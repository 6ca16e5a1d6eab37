//! Faults that each seed draws for itself: the plan, the draw, and the same faults written out as a file.
//!
//! Every decision has a random stream of its own, and choices among several things give each thing its own draw and
//! take the best: what one kind, target or fault draws never depends on what else is switched on.

mod draw;
mod written;

pub use draw::draw;
pub use written::concrete;

use std::sync::Arc;

use crate::fault::FaultKind;
use crate::id::{MachineId, NodeId};
use crate::rng::{Dist, Ratio};
use crate::time::Span;

/// What may be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Faults strike from here on.
    pub from: Span,
    /// All of them are healed by here.
    pub to: Span,
    /// The mean time between two.
    pub period: Span,
    /// Each seed draws which kinds it uses.
    pub swarm: bool,
    /// At most so many machines are hit at once.
    pub at_most: usize,
    /// The kinds, in the order of [`FaultKind`].
    pub kinds: Vec<Kind>,
}

/// A kind of fault that may be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// Which.
    pub kind: FaultKind,
    /// How often, relative to the others, in thousandths.
    pub weight_milli: u32,
    /// How long it lasts, or how long what it killed stays down.
    pub lasts: Dist,
    /// What it may hit.
    pub targets: Vec<Target>,
    /// The rest, by kind.
    pub how: How,
}

/// A node that may be hit, with its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The node.
    pub node: NodeId,
    /// Its machine.
    pub machine: MachineId,
}

/// What is drawn besides the target and the times.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    /// Nothing.
    Plain,
    /// A partition's shape.
    Partition {
        /// One of these.
        shapes: Vec<Shape>,
        /// So many flap.
        flapping: Ratio,
        /// With this period.
        flap: Dist,
    },
    /// What is wrong with a path.
    Link {
        /// One of these.
        troubles: Vec<Trouble>,
        /// Its latency.
        latency: Dist,
        /// Its loss at most, in thousandths.
        loss_milli: u32,
        /// Its bandwidth, in bytes a second.
        bandwidth: u64,
    },
    /// How wrong clocks are.
    Clock {
        /// How far they jump; zero: they don't.
        jump: Dist,
        /// How far they drift at most, in parts per million; zero: they don't.
        drift_ppm: u32,
    },
    /// How slow a CPU is, at most, in thousandths.
    Cpu {
        /// How many times slower.
        slow_down_milli: u32,
    },
    /// What is wrong with a disk.
    Disk {
        /// One of these.
        troubles: Vec<DiskTrouble>,
        /// Added to each operation, where it is slow.
        slow: Dist,
        /// What is corrupted.
        file: Arc<str>,
    },
}

/// The shape of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One machine is alone.
    Isolate,
    /// Some targets and some bystanders against the rest.
    Halves,
    /// Nothing reaches one machine, or nothing leaves it.
    OneWay,
}

/// What goes wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskTrouble {
    /// It gets slow.
    Slow,
    /// Nothing more fits on it.
    Full,
    /// Whatever is asked of it fails.
    Fails,
    /// It says that it has synced, and hasn't.
    LosesSyncs,
    /// A byte of a file becomes another one.
    Corrupts,
}

/// What goes wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It gets slow.
    Latency,
    /// It loses segments.
    Loss,
    /// It gets narrow.
    Bandwidth,
    /// Nothing passes.
    Down,
}
