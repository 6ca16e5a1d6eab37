//! Locks in a scenario file: what a client that locks does, and the resources that locks protect.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Names, Wait, Workload, WorkloadKind, choices};
use crate::client::config::lock::{Algorithm, ClockKind};
use crate::scenario::field::{At, Field, Origin, Scalar, tables};
use crate::scenario::source::Problems;
use crate::scenario::tree::{Data, Tree};
use crate::scenario::units::{Delay, Factor, Time};

tables! {
    /// What a client that locks does: it takes a lock, works, gives it back, and wants it again.
    pub struct LockWorkload in "workload" requires ["kind", "algorithm"] {
        /// The kind: "lock".
        "kind" kind: Option<At<WorkloadKind>>,
        /// Whose way of locking: "single" (redis-py: SET NX PX and compare-and-delete), "redlock" (the documentation's, as redlock-rb), "redsync", "node-redlock", "redisson", "redisson-fair", and what not to do: "unsafe-setnx" (SETNX, then EXPIRE; DEL), "unsafe-del" (SET NX PX; DEL).
        "algorithm" algorithm: Option<At<Algorithm>>,
        /// The lock's key. Default: "lock".
        "lock" lock: Option<At<String>>,
        /// How long servers keep it. Default: the library's (30s; redlock and node-redlock 10s, redsync 8s).
        "ttl" ttl: Option<At<Time>>,
        /// How long the work under the lock takes. Default: "1s".
        "hold" hold: Option<At<Delay>>,
        /// How long after giving it back (or up) the client wants it again. Default: "1s".
        "think" think: Option<At<Delay>>,
        /// Writes to the resource during the work, evenly spread. Default: 1.
        "writes" writes: Option<At<u32>>,
        /// The protected resource that it writes to. Default: none.
        "resource" resource: Option<At<String>>,
        /// How often it wants the lock. Default: to the end of the run.
        "rounds" rounds: Option<At<u32>>,
        /// How many tries it makes before it gives up; 0: no end. Default: the library's (redlock 3, redsync 32, node-redlock 11, others 0).
        "tries" tries: Option<At<u32>>,
        /// Between two tries. Default: the library's.
        "retry-delay" retry_delay: Option<At<Delay>>,
        /// It gives up after waiting this long (redis-py's blocking_timeout; Redisson's waiting thread is interrupted). Default: never.
        "patience" patience: Option<At<Time>>,
        /// How long a server may take to answer. Default: the library's (1s; redlock 50ms, redsync a twentieth of ttl, node-redlock 10s, Redisson 3s).
        "node-timeout" node_timeout: Option<At<Time>>,
        /// Allowance for clock drift, as a share of ttl. Default: 0.01 for redlock, redsync and node-redlock.
        "drift-factor" drift_factor: Option<At<Factor>>,
        /// Renews the lock this often while it works. Default: a third of ttl for Redisson (its watchdog), never for the others.
        "extend" extend: Option<At<Time>>,
        /// Looks at its clock before it acts, and stops when the lock's validity is over. Default: false.
        "checks-validity" checks_validity: Option<At<bool>>,
        /// The clock that it looks at: "wall" (Ruby's and JavaScript's; can jump) or "monotonic" (Go's). Default: the library's.
        "clock" clock: Option<At<ClockKind>>,
        /// Takes a fencing token with the lock (INCR) and shows it to the resource. Default: false.
        "fencing" fencing: Option<At<bool>>,
        /// How many times it locks what it holds (Redisson: reentrant). Default: 1.
        "depth" depth: Option<At<u32>>,
        /// The lock counts only when WAIT says that replicas have it.
        "wait" wait: Option<Wait>,
        /// When it wants the lock first. Default: "0s".
        "start" start: Option<At<Time>>,
        /// When it wants it no more. Default: at the end of the run.
        "stop" stop: Option<At<Time>>,
    }

    /// Something that a lock protects, on a machine of its own unless a machine names it: it takes writes, and knows nothing of locks.
    pub struct Resource in "[[resource]]" requires [] {
        /// Its name.
        "name" name: Option<At<String>>,
        /// Several names: several resources with the same settings.
        "names" names: Option<Names>,
        /// Refuses a write whose fencing token is older than one that it has seen, or that has none. Default: false.
        "checks-fencing" checks_fencing: Option<At<bool>>,
        /// How long a write takes it. Default: "1ms".
        "takes" takes: Option<At<Delay>>,
    }
}

choices! {
    Algorithm, "Algorithm",
        "\"single\", \"redlock\", \"redsync\", \"node-redlock\", \"redisson\", \"redisson-fair\", \"unsafe-setnx\" or \"unsafe-del\"",
        "single" => Algorithm::Single, "redlock" => Algorithm::Redlock, "redsync" => Algorithm::Redsync,
        "node-redlock" => Algorithm::NodeRedlock, "redisson" => Algorithm::Redisson,
        "redisson-fair" => Algorithm::RedissonFair, "unsafe-setnx" => Algorithm::UnsafeSetnx,
        "unsafe-del" => Algorithm::UnsafeDel;
    ClockKind, "ClockKind", "\"wall\" or \"monotonic\"",
        "wall" => ClockKind::Wall, "monotonic" => ClockKind::Monotonic;
}

/// What a client does: its `kind` says which table it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// SET and GET.
    Kv(Box<Workload>),
    /// Locking.
    Lock(Box<LockWorkload>),
}

impl Load {
    /// When it begins and stops.
    #[must_use]
    pub fn times(&self) -> (Option<&At<Time>>, Option<&At<Time>>) {
        match self {
            Load::Kv(load) => (load.start.as_ref(), load.stop.as_ref()),
            Load::Lock(load) => (load.start.as_ref(), load.stop.as_ref()),
        }
    }
}

impl Field for Load {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        let kind = tree.get("kind").map(|kind| &kind.data);
        if matches!(kind, Some(Data::Text(kind)) if kind == "lock") {
            LockWorkload::read(tree, problems).map(Box::new).map(Load::Lock)
        } else {
            Workload::read(tree, problems).map(Box::new).map(Load::Kv)
        }
    }

    fn write(&self) -> Option<Data> {
        match self {
            Load::Kv(load) => load.write(),
            Load::Lock(load) => load.write(),
        }
    }
}

impl JsonSchema for Load {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Load".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (kv, lock) = (generator.subschema_for::<Workload>(), generator.subschema_for::<LockWorkload>());
        json_schema!({ "description": "What a client does: its kind says which fields it has.", "anyOf": [kv, lock] })
    }
}
