//! The validated scenario: plain data with defaults filled and names resolved, the only thing a world is built from.
//!
//! [`load`] makes one from the text of a file. Nothing here reads files: configuration files that a scenario names come through
//! a function of the caller.

pub mod chaos;
mod field;
mod json;
pub mod matrix;
pub mod print;
pub mod raw;
mod resolve;
mod set;
pub mod source;
pub mod tree;
mod units;

use std::sync::Arc;

pub use matrix::{Axis, Variant, Variants, load_variants};
pub use resolve::ReadFile;
pub use source::Report;
pub use tree::Format;

use crate::check::Expectation;
use crate::client::config::ClientConfig;
use crate::client::config::lock::LockConfig;
use crate::fault::{LinkEffect, Timed};
use crate::id::{Addr, Ip, MachineId, NodeId};
use crate::resource::config::ResourceConfig;
use crate::rng::{Dist, Ratio, Seed, Seeds};
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
    /// Faults that each seed draws for itself, after those of the timeline.
    pub chaos: Option<chaos::Plan>,
    /// What must hold at the end.
    pub expect: Vec<Expectation>,
    /// The keys of all locks, which the servers' trace follows.
    pub locks: Vec<Arc<str>>,
    /// What commands cost on the CPU, relative to the table: in thousandths; 0 switches costs off.
    pub cpu_scale_milli: u32,
    /// How it is tested over many seeds.
    pub test: TestPlan,
    /// Its nodes listen where a host puts them, all at one address; `None`: machines have addresses of their own.
    pub served: Option<Served>,
}

/// A deployment whose servers and sentinels share one address and have a port each, so that a host can put them on real
/// sockets and what they announce is where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The address.
    pub ip: Ip,
    /// The machine that everything outside is on: partitions and links that name it are between clients and the
    /// deployment. It has no node.
    pub outside: MachineId,
    /// Whether the scenario's own clients run.
    pub clients: bool,
}

/// How [`load_served`] lays a deployment out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Every node's address.
    pub ip: Ip,
    /// The first server's port; the others follow, then the sentinels.
    pub base_port: u16,
    /// Whether the scenario's own clients run, and its expectations count.
    pub clients: bool,
    /// The number of the real process that serves them, if it is to be known.
    pub process_id: Option<u32>,
}

/// The name of [`Served::outside`].
pub const OUTSIDE: &str = "outside";

/// How a scenario is tested over many seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestPlan {
    /// The seeds; `None`: the scenario's own only.
    pub seeds: Option<Seeds>,
    /// The most events of a run.
    pub max_events: Option<u64>,
    /// The most simulated time of a run.
    pub max_simulated: Option<Span>,
    /// Digests that must not change, as hexadecimal digits.
    pub digests: Vec<(Seed, Arc<str>)>,
}

/// What [`load`] is given.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The file's name: for messages, for the language, and for a scenario without a name of its own.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Changes to it: `network.latency=5ms`.
    pub sets: &'a [String],
    /// Reads a configuration file that it names.
    pub read_file: ReadFile<'a>,
}

/// What [`load`] returns.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The scenario.
    pub scenario: Scenario,
    /// The file with defaults filled in, changes applied and configuration files inlined.
    pub effective: raw::File,
    /// Warnings.
    pub report: Report,
}

/// Makes a scenario of a file.
///
/// # Errors
/// All mistakes that can be found at once, and the warnings. A file with a `[matrix]` is many scenarios: [`load_variants`].
pub fn load(input: Input<'_>) -> Result<Loaded, Box<Report>> {
    matrix::load(input, None)
}

/// The same for a deployment that a host puts on real sockets. Addresses in its configuration files and commands are
/// translated to where their nodes are then; announced ones are left out.
///
/// # Errors
/// As [`load`]; that the ports are too few.
pub fn load_served(input: Input<'_>, layout: Layout) -> Result<Loaded, Box<Report>> {
    matrix::load(input, Some(layout))
}

/// The file's name without folders and extension, with what can't stand in a scenario's name replaced.
fn stem(path: &str) -> String {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let fine = |c: char| if c.is_ascii_alphanumeric() || "-_.+".contains(c) { c } else { '-' };
    let stem: String = stem.chars().map(fine).collect();
    if stem.is_empty() || stem.starts_with('.') { "scenario".to_owned() } else { stem }
}

/// Fields of the format that this version doesn't have yet: said, not ignored.
fn refuse_later(tree: &mut tree::Tree, problems: &mut source::Problems) {
    let tree::Data::Table(entries) = &mut tree.data else { return };
    entries.retain(|(key, _)| {
        let what = match key.name.as_str() {
            "cluster" => "cluster nodes are",
            _ => return true,
        };
        problems
            .error(key.place, format!("`{}`: {what} not yet supported by this version", key.name))
            .label("not yet supported");
        false
    });
}

impl Loaded {
    /// The effective scenario as TOML that loads to the same scenario.
    #[must_use]
    pub fn print(&self) -> String {
        print(&self.effective)
    }
}

/// Any file as TOML that reads back as the same file.
#[must_use]
pub fn print(file: &raw::File) -> String {
    print::toml(file)
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).field("sets", &self.sets).finish_non_exhaustive()
    }
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
    /// The disk it is on, which other machines may share.
    pub disk: u16,
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

/// The kinds of process.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// redis-server
    Server(Box<server::config::Config>),
    /// redis-sentinel
    Sentinel(Box<sentinel::config::Config>),
    /// an application
    Client(Box<ClientConfig>),
    /// an application that locks
    Locker(Box<LockConfig>),
    /// what a lock protects
    Resource(ResourceConfig),
}

impl Scenario {
    /// Bytes of the keys of clients: the same for all of them.
    #[must_use]
    pub fn key_size(&self) -> Option<u32> {
        self.nodes.iter().find_map(|node| match &node.kind {
            NodeKind::Client(config) => Some(config.workload.key_size),
            NodeKind::Server(_) | NodeKind::Sentinel(_) | NodeKind::Locker(_) | NodeKind::Resource(_) => None,
        })
    }

    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        let index = self.nodes.iter().position(|node| &*node.name == name)?;
        u16::try_from(index).ok().map(NodeId)
    }
}
