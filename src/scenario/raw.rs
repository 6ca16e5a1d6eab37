//! The exact form of a scenario file, field by field. Nothing is checked here beyond types and units; `resolve` does that.
//!
//! The doc comment of a field is its description in the JSON schema.

pub mod chaos;
mod faults;
mod locks;

pub use faults::{Clock, Command, Cpu, Disk, Exec, Fault, OneWay, Partition, Paused, PausedWhen, Trigger, When};
pub use locks::{Load, LockWorkload, Resource};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::TieBreak;
use super::field::{At, Field, Map, Origin, Scalar, tables};
use super::matrix::Matrix;
use super::source::{Place, Problems};
use super::tree::{Data, Tree};
use super::units::{Bandwidth, Delay, Factor, Rate, Share, Size, Step, Time};
use crate::client::config::{Listen, SentinelOrder};

tables! {
    /// A scenario: a deployment of Redis, what goes wrong and when, and what must hold at the end.
    pub struct File in "the scenario" requires ["duration"] {
        /// The scenario's name, used for its report folder. Default: the file's name without its extension.
        "name" name: Option<At<String>>,
        /// What it shows, in one or two sentences.
        "description" description: Option<At<String>>,
        /// The seed of every random draw. Default: 1. `--seed` replaces it.
        "seed" seed: Option<At<u64>>,
        /// How long the deployment is watched.
        "duration" duration: Option<At<Time>>,
        /// How long it may take to converge afterwards, with every fault healed. Default: "30s".
        "settle" settle: Option<At<Time>>,
        /// The order of events at the same instant: "sequence" (the default: as they were scheduled) or "random" (drawn from the seed).
        "tie-break" tie_break: Option<At<TieBreak>>,
        /// What commands cost on the CPU, relative to the built-in table. Default: 1; 0 switches the costs off.
        "cpu-costs" cpu_costs: Option<At<Factor>>,
        /// The fabric that connects the machines.
        "network" network: Option<Network>,
        /// Settings that every server, sentinel or machine starts from.
        "defaults" defaults: Option<Defaults>,
        /// The servers.
        "redis" redis: Vec<Redis>,
        /// The sentinels.
        "sentinel" sentinel: Vec<Sentinel>,
        /// The machines, by name. A node that none of them names has a machine of its own, of the same name.
        "machines" machines: Map<Machine>,
        /// Sets of machines by name (nodes stand for their machines): data centres, racks.
        "zones" zones: Map<Names>,
        /// Permanent properties of single paths; later ones lie on top.
        "link" link: Vec<Link>,
        /// The applications.
        "client" client: Vec<Client>,
        /// What locks protect.
        "resource" resource: Vec<Resource>,
        /// What goes wrong and when.
        "fault" fault: Vec<Fault>,
        /// Faults drawn from the seed, besides those of the timeline.
        "chaos" chaos: Option<chaos::Chaos>,
        /// What must hold at the end: a metric's name and a comparison.
        "expect" expect: Expects,
        /// How the scenario is tested over many seeds.
        "test" test: Option<Test>,
        /// Fields and lists of values: a sweep runs every combination of them.
        "matrix" matrix: Option<Matrix>,
    }

    /// The fabric between machines.
    pub struct Network in "[network]" requires [] {
        /// One-way latency between two machines. Default: "0.5ms".
        "latency" latency: Option<At<Delay>>,
        /// One-way latency within a machine. Default: "20us".
        "loopback" loopback: Option<At<Delay>>,
        /// Probability that a segment is lost (and sent again later: TCP). Default: 0.
        "loss" loss: Option<At<Share>>,
        /// The most that passes a directed path. Default: unlimited.
        "bandwidth" bandwidth: Option<At<Bandwidth>>,
        /// What a sender's kernel buffers for one connection (tcp_wmem's maximum). Default: "4mb".
        "send-buffer" send_buffer: Option<At<Size>>,
        /// What a receiver's kernel buffers for one connection while the process doesn't read (tcp_rmem's maximum). Default: "6mb".
        "receive-buffer" receive_buffer: Option<At<Size>>,
    }

    /// What nodes and machines start from; their own settings win.
    pub struct Defaults in "[defaults]" requires [] {
        /// redis.conf directives for every server.
        "redis" redis: Option<Directives>,
        /// sentinel.conf directives for every sentinel.
        "sentinel" sentinel: Option<Directives>,
        /// Properties of every machine.
        "machine" machine: Option<MachineDefaults>,
    }

    /// Properties of every machine.
    pub struct MachineDefaults in "[defaults.machine]" requires [] {
        /// How long an fsync takes. Default: "lognormal(1.5ms, 0.4)".
        "fsync" fsync: Option<At<Delay>>,
        /// The disk that all machines share, for a deployment on one host. Default: each has its own.
        "disk" disk: Option<At<String>>,
        /// How far its clocks run fast (negative: slow), in parts per million. Default: 0.
        "clock-drift" clock_drift: Option<At<i32>>,
        /// How many times slower its CPU is. Default: 1.
        "slow-down" slow_down: Option<At<Factor>>,
    }

    /// One redis-server, or several alike.
    pub struct Redis in "[[redis]]" requires [] {
        /// Its name.
        "name" name: Option<At<String>>,
        /// Several names: several servers with the same settings.
        "names" names: Option<Names>,
        /// The server it replicates.
        "replicaof" replicaof: Option<At<String>>,
        /// redis.conf directives.
        "config" config: Option<Directives>,
        /// A redis.conf, relative to the scenario file; `config` wins over it.
        "config-file" config_file: Option<At<String>>,
        /// When its process starts. A distribution is drawn from the seed, for each node. Default: "0s".
        "start" start: Option<At<Delay>>,
    }

    /// One redis-sentinel, or several alike.
    pub struct Sentinel in "[[sentinel]]" requires [] {
        /// Its name.
        "name" name: Option<At<String>>,
        /// Several names: several sentinels with the same settings.
        "names" names: Option<Names>,
        /// The masters it watches.
        "monitor" monitor: Vec<Monitor>,
        /// sentinel.conf directives beyond `monitor`.
        "config" config: Option<Directives>,
        /// A sentinel.conf, relative to the scenario file; `config` wins over it.
        "config-file" config_file: Option<At<String>>,
        /// When its process starts. A distribution is drawn from the seed, for each node. Default: "0s".
        "start" start: Option<At<Delay>>,
    }

    /// A master that a sentinel watches. The fields beyond the first three are sentinel.conf's, with its defaults.
    pub struct Monitor in "monitor" requires ["name", "master", "quorum"] {
        /// What the sentinels call it.
        "name" name: Option<At<String>>,
        /// The server that is the master at the start.
        "master" master: Option<At<String>>,
        /// How many sentinels must see it down.
        "quorum" quorum: Option<At<u32>>,
        /// Without a valid reply for this long (in milliseconds) it is subjectively down. Redis's default: 30000.
        "down-after-milliseconds" down_after: Option<At<u64>>,
        /// Redis's failover-timeout, in milliseconds. Redis's default: 180000.
        "failover-timeout" failover_timeout: Option<At<u64>>,
        /// How many replicas are reconfigured at the same time. Redis's default: 1.
        "parallel-syncs" parallel_syncs: Option<At<u32>>,
        /// The password of the servers.
        "auth-pass" auth_pass: Option<At<String>>,
        /// The user of the servers.
        "auth-user" auth_user: Option<At<String>>,
        /// Recorded in the trace whenever Sentinel would run it.
        "notification-script" notification_script: Option<At<String>>,
        /// Recorded in the trace whenever Sentinel would run it.
        "client-reconfig-script" client_reconfig_script: Option<At<String>>,
        /// After a reboot of the master, wait this long (in milliseconds) for it to load. Redis's default: 0.
        "master-reboot-down-after-period" master_reboot_down_after_period: Option<At<u64>>,
    }

    /// A box with a clock, a disk and an address, which its nodes share.
    pub struct Machine in "[machines]" requires ["nodes"] {
        /// The nodes on it. A client's name stands for all of its copies.
        "nodes" nodes: Option<Names>,
        /// Its address. Default: the next of 10.0.0.1, 10.0.0.2 and so on.
        "ip" ip: Option<At<String>>,
        /// How far its wall clock is ahead at the start. Default: "0s".
        "clock-offset" clock_offset: Option<At<Step>>,
        /// How far its clocks run fast (negative: slow), in parts per million. Default: 0.
        "clock-drift" clock_drift: Option<At<i32>>,
        /// How many times slower its CPU is. Default: 1.
        "slow-down" slow_down: Option<At<Factor>>,
        /// How long an fsync takes. Default: that of [defaults.machine].
        "fsync" fsync: Option<At<Delay>>,
        /// The disk it is on. Machines that name the same one wait for each other's fsyncs. Default: that of
        /// [defaults.machine], or its own.
        "disk" disk: Option<At<String>>,
    }

    /// Properties of the paths between two sets of machines.
    pub struct Link in "link" requires ["from", "to"] {
        /// One end: machines, nodes or zones.
        "from" from: Option<Names>,
        /// The other end.
        "to" to: Option<Names>,
        /// The way back too. Default: true.
        "both" both: Option<At<bool>>,
        /// One-way latency instead of the fabric's.
        "latency" latency: Option<At<Delay>>,
        /// Loss instead of the fabric's.
        "loss" loss: Option<At<Share>>,
        /// Bandwidth instead of the fabric's.
        "bandwidth" bandwidth: Option<At<Bandwidth>>,
        /// Nothing passes at all.
        "down" down: Option<At<bool>>,
    }

    /// An application, or several alike, each on a machine of its own unless a machine names it.
    pub struct Client in "[[client]]" requires ["name", "via", "workload"] {
        /// Its name.
        "name" name: Option<At<String>>,
        /// How many: they are called name-1, name-2 and so on. Without it there is one, called by the name itself.
        "count" count: Option<At<u32>>,
        /// How it finds its server: "redis:r1", "servers:[r1, r2]", "sentinel:mymaster" (the master) or "replicas:mymaster" (a replica).
        "via" via: Option<At<String>>,
        /// The sentinels it asks, in this order. Default: all that watch the master.
        "sentinels" sentinels: Option<Names>,
        /// What it does.
        "workload" workload: Option<Load>,
        /// Its time-outs and retries.
        "policy" policy: Option<Policy>,
        /// The password it gives, or { user, password }.
        "auth" auth: Option<Auth>,
        /// The database it selects. Default: 0.
        "db" db: Option<At<u32>>,
        /// The protocol it speaks: 2 or 3. Default: 2.
        "resp" resp: Option<At<u16>>,
    }

    /// What a client does.
    pub struct Workload in "workload" requires ["kind"] {
        /// The kind: "kv" (SET and GET of single keys).
        "kind" kind: Option<At<WorkloadKind>>,
        /// Open loop: so many operations begin, whether or not replies come. Either this or `think`.
        "rate" rate: Option<At<Rate>>,
        /// With `rate`: random arrivals (Poisson) instead of a steady beat. Default: false.
        "poisson" poisson: Option<At<bool>>,
        /// Closed loop: the next operation begins this long after the reply. Either this or `rate`.
        "think" think: Option<At<Time>>,
        /// How many keys there are. Default: 1000.
        "keys" keys: Option<At<u32>>,
        /// How long a key is: "key:" and its number. The same for all clients. Default: "16b".
        "key-size" key_size: Option<At<Size>>,
        /// Which key is next: "uniform" (the default), "zipf(0.99)", "sequential", "hot(0.1, 0.9)" (a tenth of the keys gets nine tenths of the operations).
        "key-choice" key_choice: Option<At<String>>,
        /// The share of writes; the rest are reads. Default: 0.5.
        "write-ratio" write_ratio: Option<At<Share>>,
        /// How large a value is, at least 20 bytes. Default: "64b".
        "value-size" value_size: Option<At<Size>>,
        /// How many operations are sent together. Default: 1.
        "pipeline" pipeline: Option<At<u32>>,
        /// WAIT after each write (each pipeline with writes).
        "wait" wait: Option<Wait>,
        /// Every key expires after this long (SET with PX). Default: never.
        "ttl" ttl: Option<At<Time>>,
        /// When it begins. Default: "0s".
        "start" start: Option<At<Time>>,
        /// When it stops. Default: at the end of the run.
        "stop" stop: Option<At<Time>>,
    }

    /// WAIT after a write.
    pub struct Wait in "wait" requires ["replicas"] {
        /// For how many replicas.
        "replicas" replicas: Option<At<u16>>,
        /// For how long; "0s" is for ever. Default: "1s".
        "timeout" timeout: Option<At<Time>>,
    }

    /// How patient a client is, as client libraries offer it.
    pub struct Policy in "policy" requires [] {
        /// For a TCP connection and the handshake on it. Default: "1s".
        "connect-timeout" connect_timeout: Option<At<Time>>,
        /// Without a reply for this long an operation is unknown and the connection is closed. Default: "1s".
        "timeout" timeout: Option<At<Time>>,
        /// The same for a sentinel. Default: "500ms".
        "sentinel-timeout" sentinel_timeout: Option<At<Time>>,
        /// Before the first reconnection. Default: "50ms".
        "retry-delay" retry_delay: Option<At<Time>>,
        /// Each further failure doubles the delay up to this. Default: "1s".
        "retry-delay-max" retry_delay_max: Option<At<Time>>,
        /// The share of the delay that is random. Default: 0.
        "retry-jitter" retry_jitter: Option<At<Share>>,
        /// Retries of an operation that certainly didn't happen (refused, or never sent). Default: 0.
        "retries" retries: Option<At<u32>>,
        /// Retry also what may have happened, at the risk of doing it twice. Default: false.
        "retry-unknown" retry_unknown: Option<At<bool>>,
        /// Ask ROLE of what the sentinels call the master. Default: true.
        "check-role" check_role: Option<At<bool>>,
        /// Where it subscribes to +switch-master: "all" sentinels (Jedis, ioredis; the default), the one "answering" (go-redis), "no" (redis-py).
        "listen" listen: Option<At<Listen>>,
        /// Which sentinel it asks first next time: "answering-first" (the one that answered last: redis-py; the default), "fixed" (always the first of the list: Jedis, ioredis) or "shuffled" (as answering-first, after shuffling the list: go-redis).
        "sentinel-order" sentinel_order: Option<At<SentinelOrder>>,
        /// On -READONLY drop the connection and look for the master again. Default: true.
        "reconnect-on-readonly" reconnect_on_readonly: Option<At<bool>>,
        /// How many operations may wait for a connection; more fail at once. Default: 10000.
        "queue" queue: Option<At<u32>>,
        /// How long one may wait for a connection before it fails. Default: "1s".
        "queue-timeout" queue_timeout: Option<At<Time>>,
    }

    /// How the scenario is tested over many seeds.
    pub struct Test in "[test]" requires [] {
        /// The seeds: a range such as "0..100" (without 100) or "1..=100" (with it), single ones, or several of these with commas. Default: the scenario's own.
        "seeds" seeds: Option<At<String>>,
        /// A run that comes to so many events is given up, as failed. Default: no limit.
        "max-events" max_events: Option<At<u64>>,
        /// A run that comes to so much simulated time is given up, as failed. Default: no limit.
        "max-simulated" max_simulated: Option<At<Time>>,
        /// Digests that must not change: a seed and its digest.
        "digests" digests: Map<At<String>>,
    }
}

/// A time that may vary, and its place.
pub type DelayAt = At<Delay>;

/// The kinds of workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// SET and GET of single keys.
    Kv,
    /// Taking a lock and giving it back.
    Lock,
}

/// Enums that a file spells as words.
macro_rules! choices {
    ($($type:ty, $name:literal, $expected:literal, $($text:literal => $value:path),+;)+) => {$(
        impl Scalar for $type {
            const EXPECTED: &'static str = $expected;
            fn read(data: &Data) -> Result<Self, Option<String>> {
                let Data::Text(text) = data else { return Err(None) };
                match text.as_str() {
                    $($text => Ok($value),)+
                    other => Err(Some(match crate::conf::nearest(other, [$($text),+]) {
                        Some(near) => format!("\"{other}\" is not a choice here; did you mean \"{near}\"?"),
                        None => format!("\"{other}\" is not a choice here"),
                    })),
                }
            }
            fn write(&self) -> Data {
                Data::Text(match self { $($value => $text,)+ }.to_owned())
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": [$($text),+] })
            }
        }
    )+};
}

use choices;

choices! {
    TieBreak, "TieBreak", "\"sequence\" or \"random\"",
        "sequence" => TieBreak::Sequence, "random" => TieBreak::Random;
    Listen, "Listen", "\"all\", \"answering\" or \"no\"",
        "all" => Listen::All, "answering" => Listen::Answering, "no" => Listen::No;
    SentinelOrder, "SentinelOrder", "\"answering-first\", \"fixed\" or \"shuffled\"",
        "answering-first" => SentinelOrder::AnsweringFirst, "fixed" => SentinelOrder::Fixed,
        "shuffled" => SentinelOrder::Shuffled;
    WorkloadKind, "WorkloadKind", "\"kv\" or \"lock\"",
        "kv" => WorkloadKind::Kv, "lock" => WorkloadKind::Lock;
}

/// One name or a list of names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Where it stands.
    pub origin: Origin,
    /// The names.
    pub list: Vec<At<String>>,
}

impl Field for Names {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        let before = problems.count();
        let items = match &tree.data {
            Data::Text(_) => std::slice::from_ref(tree),
            Data::List(items) => items,
            other @ (Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Table(_)) => {
                let found = other.describe();
                problems.error(tree.place, format!("expected a name or a list of names, found {found}"));
                return None;
            }
        };
        if items.is_empty() {
            problems.error(tree.place, "an empty list of names").label("names nothing");
        }
        let list = items.iter().filter_map(|item| At::read(item, problems)).collect();
        Some(Names { origin: Origin { place: tree.place, damaged: problems.count() > before }, list })
    }

    fn write(&self) -> Option<Data> {
        match self.list.as_slice() {
            [one] => one.write(),
            many => {
                Some(Data::List(many.iter().map(|name| Data::Text(name.value.clone()).at(Place::default())).collect()))
            }
        }
    }
}

impl JsonSchema for Names {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Names".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One name or a list of names.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }]
        })
    }
}

/// A scalar or a list of scalars whose meaning depends on its key: a directive's arguments, an expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Loose(pub Vec<At<LooseItem>>);

/// One scalar of a [`Loose`].
#[derive(Clone, Debug, PartialEq)]
pub enum LooseItem {
    /// true or false
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Scalar for LooseItem {
    const EXPECTED: &'static str = "a text, a number, true or false";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        match data {
            Data::Bool(value) => Ok(LooseItem::Bool(*value)),
            Data::Int(number) => Ok(LooseItem::Int(*number)),
            Data::Float(number) => Ok(LooseItem::Float(*number)),
            Data::Text(text) => Ok(LooseItem::Text(text.clone())),
            Data::Null | Data::List(_) | Data::Table(_) => Err(None),
        }
    }
    fn write(&self) -> Data {
        match self {
            LooseItem::Bool(value) => Data::Bool(*value),
            LooseItem::Int(number) => Data::Int(*number),
            LooseItem::Float(number) => Data::Float(*number),
            LooseItem::Text(text) => Data::Text(text.clone()),
        }
    }
}

impl Field for Loose {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        let items = if let Data::List(items) = &tree.data { items } else { std::slice::from_ref(tree) };
        Some(Loose(items.iter().filter_map(|item| At::read(item, problems)).collect()))
    }

    fn write(&self) -> Option<Data> {
        match self.0.as_slice() {
            [one] => one.write(),
            many => {
                Some(Data::List(many.iter().filter_map(Field::write).map(|data| data.at(Place::default())).collect()))
            }
        }
    }
}

impl JsonSchema for Loose {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text, a number, true, false, or a list of these.",
            "type": ["string", "number", "boolean", "array"],
            "items": { "type": ["string", "number", "boolean"] }
        })
    }
}

/// Directives of redis.conf or sentinel.conf: `name = arguments`. A list gives the directive several times.
pub type Directives = Map<Loose>;

/// `[expect]`: metrics, written `"failover.count" = 1` or `failover.count = 1`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expects(pub Vec<(At<String>, Loose)>);

impl Expects {
    /// Dotted keys make nested tables; this joins them again.
    fn flatten(tree: &Tree, prefix: &str, out: &mut Self, problems: &mut Problems) {
        let Data::Table(entries) = &tree.data else { return };
        for (key, value) in entries {
            let name = if prefix.is_empty() { key.name.clone() } else { format!("{prefix}.{}", key.name) };
            if matches!(value.data, Data::Table(_)) {
                Self::flatten(value, &name, out, problems);
            } else if let Some(value) = Loose::read(value, problems) {
                out.0.push((At { place: key.place, value: name }, value));
            }
        }
    }
}

impl Field for Expects {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        let mut out = Expects::default();
        match &tree.data {
            Data::Table(_) => Self::flatten(tree, "", &mut out, problems),
            Data::Null => {}
            other @ (Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_)) => {
                problems.error(tree.place, format!("expected a table of metrics, found {}", other.describe()));
            }
        }
        Some(out)
    }

    fn write(&self) -> Option<Data> {
        super::field::write_entries(&self.0)
    }
}

impl JsonSchema for Expects {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expectations".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<Loose>();
        let names: Vec<&str> = crate::check::METRICS.iter().map(|metric| metric.name).collect();
        json_schema!({
            "description": "Metrics and what they must be: 0, true, \"<= 15s\", or a list of such comparisons. In a sweep a name may end in .min, .max, .mean, .p50, .p90 or .p99.",
            "type": "object",
            "additionalProperties": values,
            "examples": [names]
        })
    }
}

tables! {
    /// A user and a password.
    pub struct UserPassword in "auth" requires ["user", "password"] {
        /// The user.
        "user" user: Option<At<String>>,
        /// The password.
        "password" password: Option<At<String>>,
    }
}

/// What a client authenticates with.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// The default user's password.
    Password(At<String>),
    /// A user and a password.
    User(UserPassword),
}

impl Field for Auth {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        if matches!(tree.data, Data::Table(_)) {
            UserPassword::read(tree, problems).map(Auth::User)
        } else {
            At::read(tree, problems).map(Auth::Password)
        }
    }

    fn write(&self) -> Option<Data> {
        match self {
            Auth::Password(password) => password.write(),
            Auth::User(user) => user.write(),
        }
    }
}

impl JsonSchema for Auth {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Auth".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let user = generator.subschema_for::<UserPassword>();
        json_schema!({ "description": "A password, or a user and a password.", "anyOf": [{ "type": "string" }, user] })
    }
}

/// The JSON schema of scenario files.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(File).to_value();
    without_null(&mut schema);
    let mut out = serde_json::Map::new();
    out.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    out.insert("title".to_owned(), "splitbrain scenario".into());
    if let serde_json::Value::Object(fields) = schema {
        out.extend(fields.into_iter().filter(|(name, _)| name != "title" && name != "$schema"));
    }
    out.into()
}

/// An optional field may be absent; that it may also be null is nothing that an editor should offer.
fn without_null(schema: &mut serde_json::Value) {
    use serde_json::Value as Json;
    match schema {
        Json::Array(items) => items.iter_mut().for_each(without_null),
        Json::Object(fields) => {
            if let Some(Json::Array(types)) = fields.get_mut("type") {
                types.retain(|name| name != "null");
                if let [single] = types.as_slice() {
                    let single = single.clone();
                    fields.insert("type".to_owned(), single);
                }
            }
            if let Some(Json::Array(choices)) = fields.get_mut("anyOf") {
                choices.retain(|choice| choice != &serde_json::json!({ "type": "null" }));
                if let [Json::Object(single)] = choices.as_slice() {
                    let single = single.clone();
                    fields.remove("anyOf");
                    fields.extend(single);
                }
            }
            fields.values_mut().for_each(without_null);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
