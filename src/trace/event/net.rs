//! What the network did, as a kernel would see it. Ordinary deliveries are not events; their causes travel with them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::Addr;

/// Why an established connection ended, as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseWhy {
    /// The peer closed it: `read` returns 0.
    Eof,
    /// A reset arrived: the peer's process or machine no longer knows the connection.
    Reset,
    /// Retransmission gave up, or keepalive probes stayed unanswered: ETIMEDOUT.
    TimedOut,
}

/// Why a connection attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedWhy {
    /// Nothing listens there: ECONNREFUSED.
    Refused,
    /// No SYN was answered: ETIMEDOUT.
    TimedOut,
    /// No such address: EHOSTUNREACH / ENETUNREACH.
    Unreachable,
}

/// Events of connections, said by the world about a node.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum NetEvent {
    /// An attempt of this node failed.
    ConnectFailed {
        /// Where it wanted to go.
        to: Addr,
        /// Why.
        why: RefusedWhy,
    },
    /// An established connection of this node broke, other than by an orderly close.
    Broken {
        /// The other end.
        peer: Addr,
        /// How.
        why: CloseWhy,
    },
    /// The first retransmission timer of a connection's direction ran out: data is being held.
    Stalled {
        /// The other end.
        peer: Addr,
        /// Bytes that wait.
        bytes: u64,
    },
}

impl fmt::Display for CloseWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseWhy::Eof => "closed by peer",
            CloseWhy::Reset => "reset by peer",
            CloseWhy::TimedOut => "timed out",
        })
    }
}

impl fmt::Display for RefusedWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusedWhy::Refused => "refused",
            RefusedWhy::TimedOut => "timed out",
            RefusedWhy::Unreachable => "unreachable",
        })
    }
}

impl fmt::Display for NetEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetEvent::ConnectFailed { to, why } => write!(f, "connect {to} {why}"),
            NetEvent::Broken { peer, why } => write!(f, "connection {peer} {why}"),
            NetEvent::Stalled { peer, bytes } => write!(f, "stalled {peer} {bytes} bytes"),
        }
    }
}
