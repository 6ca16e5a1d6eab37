//! Locks: what clients ask for and believe, what servers hold for whom, what the protected resource lets through.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Addr;
use crate::time::Span;

/// What a lock client asks a server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockStep {
    /// The lock.
    Acquire,
    /// A time to live for a lock that was taken without one.
    Expire,
    /// That replicas have it (WAIT).
    Wait,
    /// A fencing token (INCR).
    Fence,
    /// A longer time to live.
    Extend,
    /// To be told when it is free (SUBSCRIBE).
    Subscribe,
    /// To learn a script that it doesn't know (SCRIPT LOAD).
    Load,
    /// To give it up.
    Release,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockAnswer {
    /// Done.
    Yes,
    /// Refused: somebody else has it.
    No,
    /// The server doesn't know the script by its SHA1: nothing was done, and it is asked in another way.
    #[serde(rename = "noscript")]
    NoScript,
    /// The server answered with an error.
    Error,
    /// No answer in the client's time: it may have been done, or may yet.
    Timeout,
    /// No connection, or it ended.
    Unreachable,
}

/// Why a client's belief to hold the lock ended other than by its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockLoss {
    /// Its validity was over, by its own clock.
    Expired,
    /// The servers did not extend it.
    NotExtended,
    /// The protected resource refused its token.
    Fenced,
}

/// Why a key that servers are watched for is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freed {
    /// Its time to live was over, by the server's wall clock.
    Expired,
    /// It was deleted, or the dataset replaced by one without it.
    Deleted,
}

/// Events about locks. Rounds are numbered from 1 within a client; a round is everything from wanting the lock to giving it up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum LockEvent {
    /// A client begins to try.
    #[serde(rename = "lock-wanted")]
    Wanted {
        /// Which lock.
        lock: Arc<str>,
        /// Its round.
        round: u32,
        /// What servers will store for it.
        token: Arc<str>,
        /// For how long it is asked; `None`: for ever.
        ttl: Option<Span>,
    },
    /// A client asks a server.
    #[serde(rename = "lock-asked")]
    Asked {
        /// Its round.
        round: u32,
        /// For what.
        step: LockStep,
        /// Whom.
        to: Addr,
    },
    /// A client learns what came of it.
    #[serde(rename = "lock-answered")]
    Answered {
        /// Its round.
        round: u32,
        /// What it had asked for.
        step: LockStep,
        /// Whom.
        by: Addr,
        /// What came of it.
        answer: LockAnswer,
    },
    /// A try has failed.
    #[serde(rename = "lock-missed")]
    Missed {
        /// Its round.
        round: u32,
        /// So many servers had said yes.
        granted: u16,
        /// Of so many.
        of: u16,
    },
    /// From now on the client believes that it holds the lock.
    #[serde(rename = "lock-acquired")]
    Acquired {
        /// Which lock.
        lock: Arc<str>,
        /// Its round.
        round: u32,
        /// What servers store for it.
        token: Arc<str>,
        /// So many servers said yes.
        granted: u16,
        /// For how long, by its own clock; `None`: as long as it likes.
        valid: Option<Span>,
        /// It will not act on the lock after that.
        minds: bool,
        /// Its fencing token, if it has one.
        fencing: Option<u64>,
    },
    /// The lock's time was renewed.
    #[serde(rename = "lock-extended")]
    Extended {
        /// Its round.
        round: u32,
        /// For how long from now, by its own clock.
        valid: Option<Span>,
    },
    /// The client learns that it no longer holds the lock.
    #[serde(rename = "lock-lost")]
    Lost {
        /// Its round.
        round: u32,
        /// How it learnt.
        why: LockLoss,
    },
    /// The client is done with the lock: it asks the servers to forget it.
    #[serde(rename = "lock-released")]
    Released {
        /// Its round.
        round: u32,
    },
    /// The client stopped trying.
    #[serde(rename = "lock-given-up")]
    GivenUp {
        /// Its round.
        round: u32,
    },
    /// A client that holds the lock sends a write to the protected resource.
    #[serde(rename = "resource-asked")]
    ResourceAsked {
        /// Its round.
        round: u32,
        /// With this fencing token.
        fencing: Option<u64>,
    },
    /// And learns whether it was accepted.
    #[serde(rename = "resource-answered")]
    ResourceAnswered {
        /// Its round.
        round: u32,
        /// What came of it.
        answer: LockAnswer,
    },
    /// A server holds a lock's key.
    #[serde(rename = "key-held")]
    KeyHeld {
        /// The key.
        lock: Arc<str>,
        /// Whose token it has.
        token: Arc<str>,
        /// How long it still lives by the server's wall clock; `None`: for ever.
        left: Option<Span>,
    },
    /// A server no longer holds it.
    #[serde(rename = "key-freed")]
    KeyFreed {
        /// The key.
        lock: Arc<str>,
        /// Why.
        why: Freed,
    },
    /// The resource was written to.
    #[serde(rename = "resource-written")]
    Written {
        /// Under which lock.
        lock: Arc<str>,
        /// By whom: the client's name.
        client: Arc<str>,
        /// In its round.
        round: u32,
        /// With this fencing token.
        fencing: Option<u64>,
    },
    /// The resource refused a write: it has seen a newer fencing token, or there was none.
    #[serde(rename = "resource-rejected")]
    Rejected {
        /// Under which lock.
        lock: Arc<str>,
        /// Whose: the client's name.
        client: Arc<str>,
        /// In its round.
        round: u32,
        /// Its fencing token.
        fencing: Option<u64>,
        /// The newest that the resource has seen.
        newest: u64,
    },
}

impl LockStep {
    /// In a word or two.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            LockStep::Acquire => "acquire",
            LockStep::Expire => "expire",
            LockStep::Wait => "wait",
            LockStep::Fence => "fence",
            LockStep::Extend => "extend",
            LockStep::Subscribe => "subscribe",
            LockStep::Load => "load",
            LockStep::Release => "release",
        }
    }
}

impl LockAnswer {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            LockAnswer::Yes => "yes",
            LockAnswer::No => "no",
            LockAnswer::NoScript => "noscript",
            LockAnswer::Error => "error",
            LockAnswer::Timeout => "timeout",
            LockAnswer::Unreachable => "unreachable",
        }
    }
}

/// ` fencing 33`, or nothing.
struct Fencing(Option<u64>);

impl fmt::Display for Fencing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |token| write!(f, " fencing {token}"))
    }
}

/// ` for 10s`, or ` for ever`.
struct For(Option<Span>);

impl fmt::Display for For {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => write!(f, " for {span}"),
            None => f.write_str(" for ever"),
        }
    }
}

impl fmt::Display for LockEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockEvent::Wanted { lock, round, ttl, .. } => write!(f, "lock wanted {lock} round {round}{}", For(*ttl)),
            LockEvent::Asked { round, step, to } => write!(f, "lock asked {} {to} round {round}", step.word()),
            LockEvent::Answered { round, step, by, answer } => {
                write!(f, "lock answered {} {by} {} round {round}", step.word(), answer.word())
            }
            LockEvent::Missed { round, granted, of } => write!(f, "lock missed {granted}/{of} round {round}"),
            LockEvent::Acquired { lock, round, token, granted, valid, fencing, .. } => {
                write!(
                    f,
                    "lock acquired {lock} round {round} token {token} by {granted}{}{}",
                    For(*valid),
                    Fencing(*fencing)
                )
            }
            LockEvent::Extended { round, valid } => write!(f, "lock extended round {round}{}", For(*valid)),
            LockEvent::Lost { round, why } => {
                let why = match why {
                    LockLoss::Expired => "its time is over",
                    LockLoss::NotExtended => "not extended",
                    LockLoss::Fenced => "fenced off",
                };
                write!(f, "lock lost round {round} {why}")
            }
            LockEvent::Released { round } => write!(f, "lock released round {round}"),
            LockEvent::GivenUp { round } => write!(f, "lock given up round {round}"),
            LockEvent::ResourceAsked { round, fencing } => {
                write!(f, "resource asked round {round}{}", Fencing(*fencing))
            }
            LockEvent::ResourceAnswered { round, answer } => {
                write!(f, "resource answered {} round {round}", answer.word())
            }
            LockEvent::KeyHeld { lock, token, left } => write!(f, "key {lock} held by {token}{}", For(*left)),
            LockEvent::KeyFreed { lock, why } => {
                write!(f, "key {lock} {}", if *why == Freed::Expired { "expired" } else { "deleted" })
            }
            LockEvent::Written { lock, client, round, fencing } => {
                write!(f, "resource written {lock} by {client} round {round}{}", Fencing(*fencing))
            }
            LockEvent::Rejected { lock, client, round, fencing, newest } => {
                write!(f, "resource rejected {lock} by {client} round {round}{}, newest {newest}", Fencing(*fencing))
            }
        }
    }
}
