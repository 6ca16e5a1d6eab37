//! What is asked of a served deployment over its control socket: a JSON line each way.

use serde::{Deserialize, Serialize};

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// A fault, in the fields of a scenario file without `at`: `crash = ["r1"]`.
    Fault {
        /// The fields.
        fields: String,
    },
    /// A command at a node; what it answers is wanted.
    Exec {
        /// Where.
        node: String,
        /// The words.
        words: Vec<String>,
    },
    /// Nodes are started, after a kill if they run; faults that had killed them are over.
    Restart {
        /// Which.
        nodes: Vec<String>,
    },
    /// Paused nodes go on.
    Resume {
        /// Which.
        nodes: Vec<String>,
    },
    /// Faults are over: those of these numbers, or all that are in force.
    Heal {
        /// Their numbers.
        faults: Vec<u16>,
    },
    /// How things stand.
    Status,
    /// What has happened.
    Events {
        /// And what will.
        follow: bool,
    },
    /// The session ends as by Ctrl-C.
    Stop,
}

/// A line of the answer. The last one is [`Answer::Done`] or [`Answer::Refused`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A line of text.
    Said(String),
    /// How things stand.
    Status(Status),
    /// It is done.
    Done,
    /// It can't be done; why.
    Refused(String),
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The scenario's name.
    pub scenario: String,
    /// Simulated time since the beginning, in milliseconds.
    pub simulated_ms: u64,
    /// Events so far.
    pub events: u64,
    /// Connections from and to the outside.
    pub connections: u64,
    /// Servers and sentinels.
    pub nodes: Vec<NodeStatus>,
    /// The faults in force.
    pub faults: Vec<FaultStatus>,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// `server` or `sentinel`.
    pub kind: String,
    /// Its machine.
    pub machine: String,
    /// Where it listens.
    pub addr: String,
    /// `up`, `down`, `paused` or `no-power`.
    pub state: String,
    /// `master`, `replica of …`; empty for a sentinel.
    pub role: String,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its number, for `heal`.
    pub number: u16,
    /// As a sentence.
    pub what: String,
}
