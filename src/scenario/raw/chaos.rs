//! `[chaos]`: faults drawn from the seed, in the exact form of the file.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::super::field::{At, Field, Origin, Scalar, tables};
use super::super::source::Problems;
use super::super::tree::{Data, Tree};
use super::super::units::{Bandwidth, Delay, Factor, Rate, Share, Time};
use super::{Names, choices};
use crate::scenario::chaos::{DiskTrouble, Shape, Trouble};

tables! {
    /// Faults drawn from the seed, besides those of the timeline.
    pub struct Chaos in "[chaos]" requires ["rate"] {
        /// When the window begins in which they strike. Default: "0s".
        "from" from: Option<At<Time>>,
        /// When it ends: all of them are healed by then, and what they killed runs again. Default: the end of the duration.
        "to" to: Option<At<Time>>,
        /// How many strike, on average; their times are random (Poisson).
        "rate" rate: Option<At<Rate>>,
        /// How long each lasts, or how long what it killed stays down. Default: "uniform(1s, 10s)".
        "for" lasts: Option<At<Delay>>,
        /// What may be hit: nodes, machines or zones. Default: every server and sentinel, and their machines.
        "targets" targets: Option<Names>,
        /// At most so many machines are hit at the same time. Default: a minority of the targets' machines, but at least one.
        "at-most" at_most: Option<At<u32>>,
        /// Each seed draws which of the kinds it uses at all. Default: true.
        "swarm" swarm: Option<At<bool>>,
        /// Everything must have converged so long after the last fault is healed (the expectation "recovery.duration"). Default: the settle period.
        "converge-within" converge_within: Option<At<Time>>,
        /// The kinds of fault, each with a weight or a table. Default: all, with a weight of 1.
        "kinds" kinds: Option<Kinds>,
    }

    /// The kinds of fault that are drawn. A kind that is left out is not.
    pub struct Kinds in "[chaos.kinds]" requires [] {
        /// kill -9 of a process.
        "crash" crash: Option<Weighted<Kill>>,
        /// SIGTERM to a process.
        "shutdown" shutdown: Option<Weighted<Kill>>,
        /// A machine loses power.
        "power-off" power_off: Option<Weighted<Kill>>,
        /// A process is killed and started again at once.
        "restart" restart: Option<Weighted<Sudden>>,
        /// SIGSTOP of a process.
        "pause" pause: Option<Weighted<Lasting>>,
        /// Machines are cut off from others.
        "partition" partition: Option<Weighted<Cut>>,
        /// A path gets worse.
        "link" link: Option<Weighted<Path>>,
        /// A machine's clocks go wrong.
        "clock" clock: Option<Weighted<WrongClock>>,
        /// A process gets slow.
        "cpu" cpu: Option<Weighted<SlowCpu>>,
        /// A machine's disk goes bad.
        "disk" disk: Option<Weighted<BadDisk>>,
    }

    /// A kind of fault that kills.
    pub struct Kill in "a kind of chaos that kills" requires [] {
        /// How often it is drawn, relative to the others. Default: 1.
        "weight" weight: Option<At<Factor>>,
        /// What may be hit, instead of the targets of `[chaos]`.
        "targets" targets: Option<Names>,
        /// How long it stays down, instead of `for` of `[chaos]`.
        "restart-after" restart_after: Option<At<Delay>>,
    }

    /// A kind of fault without a duration.
    pub struct Sudden in "a kind of chaos without a duration" requires [] {
        /// How often it is drawn, relative to the others. Default: 1.
        "weight" weight: Option<At<Factor>>,
        /// What may be hit, instead of the targets of `[chaos]`.
        "targets" targets: Option<Names>,
    }

    /// A kind of fault that lasts.
    pub struct Lasting in "a kind of chaos that lasts" requires [] {
        /// How often it is drawn, relative to the others. Default: 1.
        "weight" weight: Option<At<Factor>>,
        /// What may be hit, instead of the targets of `[chaos]`.
        "targets" targets: Option<Names>,
        /// How long it lasts, instead of `for` of `[chaos]`.
        "for" lasts: Option<At<Delay>>,
    }

    /// Partitions.
    pub struct Cut in "chaos of partitions" requires [] {
        /// How often it is drawn, relative to the others. Default: 1.
        "weight" weight: Option<At<Factor>>,
        /// What may be cut off, instead of the targets of `[chaos]`.
        "targets" targets: Option<Names>,
        /// How long it lasts, instead of `for` of `[chaos]`.
        "for" lasts: Option<At<Delay>>,
        /// The shapes that are drawn: "isolate" (one machine alone), "halves" (some targets and some bystanders against the rest), "one-way" (nothing reaches one machine, or nothing leaves it). Default: all.
        "shapes" shapes: Vec<At<Shape>>,
        /// The share of them that flap. Default: 0.2.
        "flapping" flapping: Option<At<Share>>,
        /// With what period they do. Default: "uniform(200ms, 3s)".
        "flap" flap: Option<At<Delay>>,
    }

    /// Worse paths between a machine and one other, or all others.
    pub struct Path in "chaos of links" requires [] {
        /// How often it is drawn, relative to the others. Default: 1.
        "weight" weight: Option<At<Factor>>,
        /// At which machines the paths begin, instead of the targets of `[chaos]`.
        "targets" targets: Option<Names>,
        /// How long it lasts, instead of `for` of `[chaos]`.
        "for" lasts: Option<At<Delay>>,
        /// What goes wrong: "latency", "loss", "bandwidth", "down". Default: all.
        "troubles" troubles: Vec<At<Trouble>>,
        /// The latency that a path gets, drawn for each fault. Default: "uniform(10ms, 500ms)".
        "latency" latency: Option<At<Delay>>,
        /// The most loss that a path gets. Default: 0.3.
        "loss" loss: Option<At<Share>>,
        /// The bandwidth that a path gets. Default: "64kb/s".
        "bandwidth" bandwidth: Option<At<Bandwidth>>,
    }

    /// Wrong clocks.
    pub struct WrongClock in "chaos of clocks" requires [] {
        /// How often it is drawn, relative to the others. Default: 1.
        "weight" weight: Option<At<Factor>>,
        /// Whose, instead of the targets of `[chaos]`.
        "targets" targets: Option<Names>,
        /// How long it lasts, instead of `for` of `[chaos]`.
        "for" lasts: Option<At<Delay>>,
        /// How far the wall clock jumps, either way, drawn for each fault; "0s": never. Default: "uniform(100ms, 10s)".
        "jump" jump: Option<At<Delay>>,
        /// The most that clocks drift, either way, in parts per million; 0: never. Default: 500.
        "drift" drift: Option<At<u32>>,
    }

    /// Slow CPUs.
    pub struct SlowCpu in "chaos of CPUs" requires [] {
        /// How often it is drawn, relative to the others. Default: 1.
        "weight" weight: Option<At<Factor>>,
        /// Whose, instead of the targets of `[chaos]`.
        "targets" targets: Option<Names>,
        /// How long it lasts, instead of `for` of `[chaos]`.
        "for" lasts: Option<At<Delay>>,
        /// How many times slower at most. Default: 100.
        "slow-down" slow_down: Option<At<Factor>>,
    }

    /// Bad disks.
    pub struct BadDisk in "chaos of disks" requires [] {
        /// How often it is drawn, relative to the others. Default: 1.
        "weight" weight: Option<At<Factor>>,
        /// Whose, instead of the targets of `[chaos]`.
        "targets" targets: Option<Names>,
        /// How long it lasts, instead of `for` of `[chaos]`.
        "for" lasts: Option<At<Delay>>,
        /// What goes wrong: "slow", "full", "fails" (every operation does), "loses-syncs" (what it says is synced is lost when the power goes), "corrupts" (a byte of a file becomes another one). Default: only "slow".
        "troubles" troubles: Vec<At<DiskTrouble>>,
        /// How much longer every operation takes, drawn for each fault. Default: "uniform(10ms, 1s)".
        "slow" slow: Option<At<Delay>>,
        /// The file that is corrupted, with or without its folder. Default: "dump.rdb".
        "file" file: Option<At<String>>,
    }
}

choices! {
    Shape, "Shape", "\"isolate\", \"halves\" or \"one-way\"",
        "isolate" => Shape::Isolate, "halves" => Shape::Halves, "one-way" => Shape::OneWay;
    DiskTrouble, "DiskTrouble", "\"slow\", \"full\", \"fails\", \"loses-syncs\" or \"corrupts\"",
        "slow" => DiskTrouble::Slow, "full" => DiskTrouble::Full, "fails" => DiskTrouble::Fails,
        "loses-syncs" => DiskTrouble::LosesSyncs, "corrupts" => DiskTrouble::Corrupts;
    Trouble, "Trouble", "\"latency\", \"loss\", \"bandwidth\" or \"down\"",
        "latency" => Trouble::Latency, "loss" => Trouble::Loss, "bandwidth" => Trouble::Bandwidth,
        "down" => Trouble::Down;
}

/// A kind of fault: a table, or only its weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weighted<T>(pub T);

/// What every kind has.
pub trait Kind: Default {
    /// How often it is drawn.
    fn weight(&self) -> Option<&At<Factor>>;
    /// Sets that.
    fn weigh(&mut self, weight: At<Factor>);
    /// What may be hit.
    fn targets(&self) -> Option<&Names>;
    /// How long it lasts; `None` also for kinds that can't.
    fn lasts(&self) -> Option<&At<Delay>>;
}

macro_rules! kinds {
    ($($type:ty: $($lasts:ident)?),+ $(,)?) => {$(
        impl Kind for $type {
            fn weight(&self) -> Option<&At<Factor>> {
                self.weight.as_ref()
            }
            fn weigh(&mut self, weight: At<Factor>) {
                self.weight = Some(weight);
            }
            fn targets(&self) -> Option<&Names> {
                self.targets.as_ref()
            }
            fn lasts(&self) -> Option<&At<Delay>> {
                None$(.or(self.$lasts.as_ref()))?
            }
        }
    )+};
}

kinds! {
    Kill: restart_after, Sudden: , Lasting: lasts, Cut: lasts, Path: lasts, WrongClock: lasts, SlowCpu: lasts,
    BadDisk: lasts,
}

impl<T: Kind + Field> Field for Weighted<T> {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        match &tree.data {
            Data::Int(_) | Data::Float(_) => {
                let mut kind = T::default();
                kind.weigh(At::read(tree, problems)?);
                Some(Weighted(kind))
            }
            Data::Table(_) => T::read(tree, problems).map(Weighted),
            other @ (Data::Null | Data::Bool(_) | Data::Text(_) | Data::List(_)) => {
                let found = other.describe();
                problems
                    .error(tree.place, format!("expected a weight or a table, found {found}"))
                    .help("write 1, or { weight = 1, targets = \"r1\" }");
                None
            }
        }
    }

    fn write(&self) -> Option<Data> {
        let written = self.0.write();
        match &written {
            Some(Data::Table(fields)) if fields.len() == 1 && fields[0].0.name == "weight" => {
                Some(fields[0].1.data.clone())
            }
            _ => written,
        }
    }
}

impl<T: JsonSchema> JsonSchema for Weighted<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Weighted{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (weight, table) = (generator.subschema_for::<Factor>(), generator.subschema_for::<T>());
        json_schema!({ "description": "A weight, or a table.", "anyOf": [weight, table] })
    }
}

/// The chaos of a file whose author named no kinds.
impl Kinds {
    /// Whether no kind is named.
    #[must_use]
    pub fn none_named(&self) -> bool {
        *self == Kinds::default()
    }
}
