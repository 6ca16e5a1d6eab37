//! What goes wrong: the tables of `[[fault]]`, and the forms that some of their fields have.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Link, Names};
use crate::scenario::field::{At, Field, Origin, tables};
use crate::scenario::source::{Place, Problems};
use crate::scenario::tree::{Data, Tree};
use crate::scenario::units::{Delay, Factor, Size, Step, Time};

tables! {
    /// Something that goes wrong: a time or an event that it waits for, and exactly one kind.
    pub struct Fault in "[[fault]]" requires [] {
        /// A name, for the `after` of a later fault.
        "name" name: Option<At<String>>,
        /// When: after the start of the run, or after the beginning of the fault that `after` names. A distribution is drawn from the seed.
        "at" at: Option<At<Delay>>,
        /// Instead of `at`: the event of the trace on which it strikes, by its name, or { event, node, nth, after }.
        "when" when: Option<When>,
        /// An earlier fault of the file, by its name: `at` counts from its beginning.
        "after" after: Option<At<String>>,
        /// How long it lasts (pause, partition, link, clock, cpu, disk). Default: until the run settles.
        "for" lasts: Option<At<Delay>>,
        /// For crash, shutdown and power-off: start the processes again after this long. Default: never.
        "restart-after" restart_after: Option<At<Delay>>,
        /// kill -9: nodes (a machine's name means the nodes on it).
        "crash" crash: Option<Names>,
        /// SIGTERM: nodes.
        "shutdown" shutdown: Option<Names>,
        /// Start again, after a kill -9 if it runs: nodes.
        "restart" restart: Option<Names>,
        /// SIGSTOP, SIGCONT at the end: nodes, or { node, when } or { client, when } for a node at an event of its own.
        "pause" pause: Option<Paused>,
        /// Loss of power: machines. What wasn't synced to disk is lost.
        "power-off" power_off: Option<Names>,
        /// Groups of machines (nodes stand for theirs) that can't reach each other, or { from, to } for one way only.
        "partition" partition: Option<Partition>,
        /// With partition: on and off with this period instead of steadily.
        "flap" flap: Option<At<Time>>,
        /// A path made worse.
        "link" link: Option<Link>,
        /// Wrong clocks.
        "clock" clock: Option<Clock>,
        /// Slow CPUs.
        "cpu" cpu: Option<Cpu>,
        /// Bad disks.
        "disk" disk: Option<Disk>,
        /// A command typed at a node by an operator.
        "exec" exec: Option<Exec>,
    }

    /// Wrong clocks.
    pub struct Clock in "clock" requires ["machines"] {
        /// Whose.
        "machines" machines: Option<Names>,
        /// The wall clock steps by this much, and back at the end.
        "jump" jump: Option<At<Step>>,
        /// The clocks run this many parts per million fast (negative: slow) while it lasts.
        "drift" drift: Option<At<i32>>,
    }

    /// Slow CPUs.
    pub struct Cpu in "cpu" requires ["nodes", "slow-down"] {
        /// Whose.
        "nodes" nodes: Option<Names>,
        /// How many times slower.
        "slow-down" slow_down: Option<At<Factor>>,
    }

    /// Bad disks.
    pub struct Disk in "disk" requires ["machines"] {
        /// Whose.
        "machines" machines: Option<Names>,
        /// Every operation takes this much longer.
        "slow" slow: Option<At<Delay>>,
        /// Nothing more fits: the same as room = "0b".
        "full" full: Option<At<bool>>,
        /// Only so much more fits; what is removed makes room.
        "room" room: Option<At<Size>>,
        /// Every operation fails (EIO).
        "fails" fails: Option<At<bool>>,
        /// fsync takes its time and says yes, and nothing is safe: when the power goes, it is lost.
        "loses-syncs" loses_syncs: Option<At<bool>>,
        /// A file's name, with or without its folder: a byte of it becomes another one, once.
        "corrupts" corrupts: Option<At<String>>,
    }

    /// A command typed at a node.
    pub struct Exec in "exec" requires ["node", "command"] {
        /// At which.
        "node" node: Option<At<String>>,
        /// The command as redis-cli would take it (quotes as there), or a list of its words.
        "command" command: Option<Command>,
    }

    /// An event of the trace that a fault waits for.
    pub struct Trigger in "when" requires ["event"] {
        /// Its name as in the trace: "lock-acquired", "+odown", "became-replica".
        "event" event: Option<At<String>>,
        /// At which nodes. Default: anywhere.
        "node" node: Option<Names>,
        /// The how-many-th such event, counted from 1. Default: 1.
        "nth" nth: Option<At<u32>>,
        /// So long after it. A distribution is drawn from the seed. Default: "0s", before anything else happens.
        "after" after: Option<At<Delay>>,
    }

    /// A pause at an event of the paused node.
    pub struct PausedWhen in "pause" requires ["when"] {
        /// The nodes: each waits for an event at any of them.
        "node" node: Option<Names>,
        /// The same, for clients.
        "client" client: Option<Names>,
        /// The event, by its name, or { event, node, nth, after }.
        "when" when: Option<When>,
    }
}

/// The two forms of a partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Partition {
    /// Groups that can't reach each other.
    Groups(Place, Vec<Names>),
    /// One way only.
    OneWay(OneWay),
}

tables! {
    /// No packet passes from the first set to the second.
    pub struct OneWay in "partition" requires ["from", "to"] {
        /// The senders.
        "from" from: Option<Names>,
        /// The receivers.
        "to" to: Option<Names>,
    }
}

impl Field for Partition {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        match &tree.data {
            Data::List(groups) => {
                let groups = groups.iter().filter_map(|group| Names::read(group, problems)).collect();
                Some(Partition::Groups(tree.place, groups))
            }
            Data::Table(_) => OneWay::read(tree, problems).map(Partition::OneWay),
            other @ (Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_)) => {
                let found = other.describe();
                problems
                    .error(tree.place, format!("expected groups of names, found {found}"))
                    .help("write [[\"m1\"], [\"m2\", \"m3\"]], or { from = \"m1\", to = \"m2\" } for one way only");
                None
            }
        }
    }

    fn write(&self) -> Option<Data> {
        match self {
            Partition::OneWay(one_way) => one_way.write(),
            Partition::Groups(_, groups) => {
                let list = |group: &Names| {
                    let names = group.list.iter().map(|name| Data::Text(name.value.clone()).at(Place::default()));
                    Data::List(names.collect()).at(Place::default())
                };
                Some(Data::List(groups.iter().map(list).collect()))
            }
        }
    }
}

impl JsonSchema for Partition {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Partition".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (names, one_way) = (generator.subschema_for::<Names>(), generator.subschema_for::<OneWay>());
        json_schema!({
            "description": "Groups that can't reach each other, or { from, to } for one way only.",
            "anyOf": [{ "type": "array", "items": names, "minItems": 2 }, one_way]
        })
    }
}

/// An event's name, or a table with more.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// The first event of that name, anywhere.
    Event(At<String>),
    /// With more.
    Trigger(Box<Trigger>),
}

impl Field for When {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        if matches!(tree.data, Data::Table(_)) {
            Trigger::read(tree, problems).map(Box::new).map(When::Trigger)
        } else {
            At::read(tree, problems).map(When::Event)
        }
    }

    fn write(&self) -> Option<Data> {
        match self {
            When::Event(name) => name.write(),
            When::Trigger(trigger) => trigger.write(),
        }
    }
}

impl JsonSchema for When {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "When".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let trigger = generator.subschema_for::<Trigger>();
        json_schema!({
            "description": "The name of an event of the trace, or a table.",
            "anyOf": [{ "type": "string" }, trigger]
        })
    }
}

/// Who is paused, and perhaps when.
#[derive(Clone, Debug, PartialEq)]
pub enum Paused {
    /// Nodes.
    Names(Names),
    /// Nodes at an event of theirs.
    When(Box<PausedWhen>),
}

impl Field for Paused {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        if matches!(tree.data, Data::Table(_)) {
            PausedWhen::read(tree, problems).map(Box::new).map(Paused::When)
        } else {
            Names::read(tree, problems).map(Paused::Names)
        }
    }

    fn write(&self) -> Option<Data> {
        match self {
            Paused::Names(names) => names.write(),
            Paused::When(paused) => paused.write(),
        }
    }
}

impl JsonSchema for Paused {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Paused".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (names, paused) = (generator.subschema_for::<Names>(), generator.subschema_for::<PausedWhen>());
        json_schema!({ "description": "Nodes, or { node, when } for nodes at an event of theirs.", "anyOf": [names, paused] })
    }
}

/// A command: one text that is split as redis-cli splits it, or its words.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// One text.
    Line(At<String>),
    /// Its words.
    Words(Place, Vec<At<String>>),
}

impl Field for Command {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        if let Data::List(words) = &tree.data {
            Some(Command::Words(tree.place, words.iter().filter_map(|word| At::read(word, problems)).collect()))
        } else {
            At::read(tree, problems).map(Command::Line)
        }
    }

    fn write(&self) -> Option<Data> {
        match self {
            Command::Line(line) => line.write(),
            Command::Words(_, words) => {
                let word = |word: &At<String>| Data::Text(word.value.clone()).at(Place::default());
                Some(Data::List(words.iter().map(word).collect()))
            }
        }
    }
}

impl JsonSchema for Command {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Command".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A command as redis-cli would take it, or a list of its words.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }]
        })
    }
}
