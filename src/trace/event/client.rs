//! What a client does and learns: the history of its operations, and how it finds its way.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Addr;

/// What an operation does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpKind {
    /// GET
    Read,
    /// SET
    Write,
}

/// Why a server said no: the error's first word, where it is one that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// -READONLY
    Readonly,
    /// -NOREPLICAS
    NoReplicas,
    /// -MASTERDOWN
    MasterDown,
    /// -LOADING
    Loading,
    /// -BUSY
    Busy,
    /// -OOM
    Oom,
    /// -MISCONF
    Misconf,
    /// -NOAUTH, -WRONGPASS, -NOPERM
    Denied,
    /// Any other error reply.
    Other,
    /// Never sent: no connection in time.
    NotSent,
}

/// Why the outcome of an operation is not known: it may have happened, or may yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unanswered {
    /// No reply within the client's time-out.
    Timeout,
    /// The connection ended first.
    Closed,
    /// The run ended first.
    RunEnded,
}

/// Events of a client. Operations are numbered from 1 within the world's run by (client, number).
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ClientEvent {
    /// An operation begins (for an open loop: when it was due, whether or not it could be sent).
    Invoke {
        /// Its number, unique within the client.
        op: u64,
        /// Read or write.
        f: OpKind,
        /// The key's number; its name is [`crate::trace::history::key_name`].
        key: u32,
        /// A write's value: unique in the run; its text begins with [`crate::trace::history::value_tag`]. 0 for reads.
        value: u64,
        /// [`crate::trace::digest::hash_operation`] of the arguments, as the server's Write event has it. 0 for reads.
        hash: u64,
    },
    /// It was answered without an error.
    Ok {
        /// The operation.
        op: u64,
        /// A read's value, if the key had one.
        value: Option<u64>,
        /// Who answered.
        server: Addr,
        /// How many replicas WAIT counted, if it was asked.
        replicas: Option<u16>,
    },
    /// It certainly did not happen.
    Fail {
        /// The operation.
        op: u64,
        /// Why.
        why: Refusal,
        /// Who refused; `None` if it was never sent.
        server: Option<Addr>,
    },
    /// Nobody knows whether it happened.
    Unknown {
        /// The operation.
        op: u64,
        /// Why.
        why: Unanswered,
        /// Who was asked.
        server: Addr,
    },
    /// A connection to a server is ready for operations.
    Connected {
        /// Where.
        to: Addr,
    },
    /// The connection to the server ended, or could not be made.
    Disconnected {
        /// Where.
        to: Addr,
        /// Why, in a few words.
        why: Arc<str>,
    },
    /// A sentinel named the master (or a server of the list was chosen).
    Discovered {
        /// The sentinel that answered.
        by: Addr,
        /// The master's address.
        master: Addr,
    },
    /// A discovery was fruitless.
    DiscoveryFailed {
        /// Why, in a few words.
        why: Arc<str>,
    },
    /// A +switch-master message was seen.
    SwitchSeen {
        /// The sentinel that published it.
        by: Addr,
        /// The new master.
        master: Addr,
    },
    /// The server turned out not to be a master (ROLE or -READONLY).
    NotMaster {
        /// Which.
        server: Addr,
    },
}

impl Refusal {
    /// Its name in histories, as serde writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Readonly => "readonly",
            Refusal::NoReplicas => "no-replicas",
            Refusal::MasterDown => "master-down",
            Refusal::Loading => "loading",
            Refusal::Busy => "busy",
            Refusal::Oom => "oom",
            Refusal::Misconf => "misconf",
            Refusal::Denied => "denied",
            Refusal::Other => "other",
            Refusal::NotSent => "not-sent",
        }
    }
}

impl Unanswered {
    /// Its name in histories, as serde writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unanswered::Timeout => "timeout",
            Unanswered::Closed => "closed",
            Unanswered::RunEnded => "run-ended",
        }
    }
}

impl fmt::Display for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientEvent::Invoke { op, f: kind, key, value, .. } => match kind {
                OpKind::Read => write!(f, "invoke {op} read key {key}"),
                OpKind::Write => write!(f, "invoke {op} write key {key} value {value}"),
            },
            ClientEvent::Ok { op, value, server, replicas } => {
                write!(f, "ok {op} from {server}")?;
                value.map_or(Ok(()), |value| write!(f, " value {value}"))?;
                replicas.map_or(Ok(()), |n| write!(f, " replicas {n}"))
            }
            ClientEvent::Fail { op, why, server: Some(server) } => write!(f, "fail {op} {why:?} from {server}"),
            ClientEvent::Fail { op, why, server: None } => write!(f, "fail {op} {why:?}"),
            ClientEvent::Unknown { op, why, server } => write!(f, "unknown {op} {why:?} at {server}"),
            ClientEvent::Connected { to } => write!(f, "connected {to}"),
            ClientEvent::Disconnected { to, why } => write!(f, "disconnected {to} {why}"),
            ClientEvent::Discovered { by, master } => write!(f, "discovered {master} by {by}"),
            ClientEvent::DiscoveryFailed { why } => write!(f, "discovery failed {why}"),
            ClientEvent::SwitchSeen { by, master } => write!(f, "switch seen {master} by {by}"),
            ClientEvent::NotMaster { server } => write!(f, "not a master {server}"),
        }
    }
}
