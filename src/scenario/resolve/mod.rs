//! From the raw form to a [`Scenario`]: names become ids, machines get addresses, directives become settings.
//!
//! Every step reports what it finds and goes on, so that one load shows all mistakes.

mod chaos;
mod clients;
mod defaults;
mod directives;
mod expect;
mod faults;
mod locks;
mod machines;
mod names;
mod processes;
mod served;
mod timeline;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::field::At;
use super::raw::File;
use super::source::{Place, Problems, Sources};
use super::{Layout, Machine, Network, NodeSpec, Scenario, TestPlan};
use crate::id::{Addr, MachineId, NodeId};
use crate::rng::{Dist, Ratio, Seed, Seeds};
use crate::time::Span;

pub(super) use names::Directory;

/// Reads a configuration file named in the scenario; the error says why it can't.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

/// The most nodes that a scenario may have.
const NODES_MAX: usize = 10_000;

/// Which entry of the file a node comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// `[[redis]]`
    Server(usize),
    /// `[[sentinel]]`
    Sentinel(usize),
    /// `[[client]]`
    Client(usize),
    /// `[[resource]]`
    Resource(usize),
}

/// A node while it is being put together.
#[derive(Clone, Debug)]
struct Draft {
    name: Arc<str>,
    place: Place,
    role: Role,
    machine: MachineId,
    addr: Addr,
    start: Dist,
}

/// Everything that the steps share.
struct Resolver<'a> {
    file: &'a mut File,
    problems: &'a mut Problems,
    sources: &'a mut Sources,
    read_file: ReadFile<'a>,
    directory: Directory,
    machines: Vec<Machine>,
    /// The disks that have a name, with their numbers.
    disks: Vec<(String, u16)>,
    drafts: Vec<Draft>,
    /// The masters that sentinels watch: name → the sentinels, in the file's order.
    watched: BTreeMap<String, Vec<NodeId>>,
    /// Bytes of the keys of clients, once a client has said it.
    key_size: Option<u64>,
    /// Where the nodes listen when a host serves them.
    layout: Option<served::Plan>,
}

/// Makes the scenario. `None` when anything was wrong. The file comes out with its defaults filled in and its configuration
/// files inlined: the effective scenario.
pub(super) fn resolve(
    file: &mut File,
    stem: &str,
    sources: &mut Sources,
    problems: &mut Problems,
    (read_file, layout): (ReadFile<'_>, Option<Layout>),
) -> Option<Scenario> {
    defaults::fill(file, stem);
    let mut resolver = Resolver {
        file,
        problems,
        sources,
        read_file,
        directory: Directory::default(),
        machines: Vec::new(),
        disks: Vec::new(),
        drafts: Vec::new(),
        watched: BTreeMap::new(),
        key_size: None,
        layout: layout.map(served::Plan::new),
    };
    let scenario = resolver.run();
    if problems.has_errors() { None } else { scenario }
}

impl Resolver<'_> {
    fn run(&mut self) -> Option<Scenario> {
        self.check_name();
        self.declare_nodes();
        self.declare_machines();
        let outside = self.declare_outside();
        self.declare_zones();
        let kinds = self.build_processes();
        let faults = self.build_faults();
        let mut expect = self.build_expectations();
        self.check_timeline(&faults);
        let chaos = self.chaos();
        let network = self.network();
        let test = self.test_plan();
        if self.idles_clients() {
            expect.clear();
        }
        let locks = self.locks();
        let file = &*self.file;
        let nodes = std::mem::take(&mut self.drafts).into_iter().zip(kinds);
        let spec = |(draft, kind): (Draft, Option<super::NodeKind>)| {
            Some(NodeSpec {
                name: draft.name,
                machine: draft.machine,
                addr: draft.addr,
                start: draft.start,
                kind: kind?,
            })
        };
        Some(Scenario {
            name: Arc::from(file.name.as_ref()?.as_str()),
            description: Arc::from(file.description.as_ref().map_or("", |text| text.as_str())),
            seed: Seed(file.seed.as_ref()?.value),
            duration: file.duration.as_ref()?.0,
            settle: file.settle.as_ref()?.0,
            tie_break: file.tie_break.as_ref()?.value,
            network,
            machines: std::mem::take(&mut self.machines),
            nodes: nodes.map(spec).collect::<Option<Vec<_>>>()?,
            faults: faults.into_iter().map(|fault| fault.timed).collect(),
            chaos,
            expect,
            locks,
            cpu_scale_milli: file.cpu_costs.as_ref()?.0,
            test,
            served: self.layout.as_ref().zip(outside).map(|(plan, outside)| plan.served(outside)),
        })
    }

    /// The name becomes a folder's.
    fn check_name(&mut self) {
        if let Some(duration) = &self.file.duration
            && duration.0 == Span::ZERO
        {
            self.problems.error(duration.place, "a run that lasts no time");
        }
        let Some(name) = &self.file.name else { return };
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(fine) {
            self.problems
                .error(name.place, format!("\"{}\" can't be a scenario's name", name.value))
                .label("names a folder")
                .help("letters, digits, `-`, `_`, `.` and `+` are fine");
        }
    }

    fn network(&mut self) -> Network {
        let raw = self.file.network.clone().unwrap_or_default();
        let dist = |field: &Option<At<super::units::Delay>>| {
            field.as_ref().map_or(Dist::Constant(Span::ZERO), |delay| delay.0)
        };
        let size = |field: &Option<At<super::units::Size>>| field.as_ref().map_or(0, |size| size.0);
        for (field, name) in [(&raw.send_buffer, "send"), (&raw.receive_buffer, "receive")] {
            if let Some(buffer) = field
                && buffer.0 < 4096
            {
                self.problems
                    .error(buffer.place, format!("a {name} buffer of {} bytes is smaller than a page", buffer.0));
            }
        }
        if let Some(loss) = raw.loss.as_ref()
            && loss.value.0 > 0.9
        {
            self.problems
                .error(loss.place, format!("with a loss of {} hardly any segment arrives", loss.value.0))
                .help("the most is 0.9; to cut a path use a partition, or a link with down = true");
        }
        Network {
            latency: dist(&raw.latency),
            loopback: dist(&raw.loopback),
            loss: raw.loss.as_ref().map_or(Ratio::ZERO, |share| share.ratio()),
            bandwidth: raw.bandwidth.as_ref().map(|bandwidth| bandwidth.bytes_per_second),
            links: self.links(),
            send_buffer: size(&raw.send_buffer),
            receive_buffer: size(&raw.receive_buffer),
        }
    }

    fn test_plan(&mut self) -> TestPlan {
        let mut plan = TestPlan::default();
        let Some(raw) = self.file.test.clone() else { return plan };
        if let Some(seeds) = &raw.seeds {
            match Seeds::parse(seeds) {
                Ok(parsed) => plan.seeds = Some(parsed),
                Err(error) => {
                    let message = error.to_string();
                    let (what, help) = message.split_once("; ").unwrap_or((&message, ""));
                    self.problems.error(seeds.place, what).help(help);
                }
            }
        }
        if let Some(limit) = &raw.max_simulated {
            let whole = self.file.duration.as_ref().map_or(Span::ZERO, |time| time.0)
                + self.file.settle.as_ref().map_or(Span::ZERO, |time| time.0);
            if limit.0 < whole {
                self.problems
                    .error(limit.place, format!("every run takes {whole}, the settle period included"))
                    .label("gives up every run");
            }
            plan.max_simulated = Some(limit.0);
        }
        plan.max_events = raw.max_events.as_ref().map(|limit| limit.value);
        for (seed, digest) in &raw.digests.0 {
            let Ok(number) = seed.parse::<u64>() else {
                self.problems
                    .error(seed.place, format!("`{}` is not a seed", seed.value))
                    .label("expected a whole number");
                continue;
            };
            if digest.len() < 16 || !digest.chars().all(|c| c.is_ascii_hexdigit()) {
                self.problems.error(digest.place, format!("\"{}\" is not a digest", digest.value));
                continue;
            }
            plan.digests.push((Seed(number), Arc::from(digest.as_str())));
        }
        plan
    }
}
