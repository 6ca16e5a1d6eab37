//! What a lock client does: which library's way, with which settings. Plain data, made by the scenario.

use std::sync::Arc;

use super::{Policy, Via, WaitAfter};
use crate::id::Addr;
use crate::rng::Dist;
use crate::time::Span;

/// A client that takes a lock, works under it and gives it back, again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct LockConfig {
    /// Whose way of locking.
    pub algorithm: Algorithm,
    /// Where the lock is: one server, the master that sentinels name, or several independent servers.
    pub via: Via,
    /// The lock's key.
    pub lock: Arc<str>,
    /// How long servers keep it unless it is extended or released.
    pub ttl: Span,
    /// How long the work under the lock takes.
    pub hold: Dist,
    /// How long after giving it back the client wants it again.
    pub think: Dist,
    /// Writes to the protected resource during the work, evenly spread.
    pub writes: u32,
    /// The protected resource.
    pub resource: Option<Addr>,
    /// How often it wants the lock; `None`: to the end of the run.
    pub rounds: Option<u32>,
    /// Wants it first this long after the start of the run.
    pub start: Span,
    /// Wants it no more from here on; `None`: from the end of the run on.
    pub stop: Option<Span>,
    /// Tries before it gives up; `None`: it goes on for ever.
    pub tries: Option<u32>,
    /// Between two tries.
    pub retry_delay: Dist,
    /// It gives up when it has waited this long. Redisson's waiting thread is interrupted.
    pub patience: Option<Span>,
    /// How long a server may take to answer.
    pub timeout: Span,
    /// Allowance for clock drift: so many thousandths of the time to live.
    pub drift_milli: u32,
    /// The time to live is renewed this often while the client works.
    pub extend: Option<Span>,
    /// It looks at its clock before it acts, and stops when the lock's validity is over.
    pub minds: bool,
    /// Which clock it looks at.
    pub clock: ClockKind,
    /// It takes a fencing token with the lock and shows it to the resource.
    pub fencing: bool,
    /// How many times it locks what it holds already (Redisson's locks are reentrant).
    pub depth: u32,
    /// The lock counts when so many replicas have it.
    pub wait: Option<WaitAfter>,
    /// `AUTH` before anything else: user (None: the default user) and password.
    pub auth: Option<(Option<Arc<str>>, Arc<str>)>,
    /// How it finds a master through sentinels.
    pub policy: Policy,
}

/// Whose way of locking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// redis-py's `Lock`: SET with NX and PX, released and extended by scripts that compare the token.
    Single,
    /// What not to do: SETNX, then EXPIRE, and DEL whoever holds it.
    UnsafeSetnx,
    /// What not to do: SET with NX and PX, but DEL whoever holds it.
    UnsafeDel,
    /// The Redis documentation's algorithm over several independent servers, as redlock-rb has it.
    Redlock,
    /// redsync's: all servers at once, Go's monotonic clock.
    Redsync,
    /// node-redlock's: all servers at once, decided by the first quorum of answers, no release between tries.
    NodeRedlock,
    /// Redisson's `RLock`: a hash, a watchdog, and a channel that says when it is free.
    Redisson,
    /// Redisson's fair lock: the same with a queue.
    RedissonFair,
}

/// A clock of the client's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind {
    /// It can jump.
    Wall,
    /// It only drifts.
    Monotonic,
}

/// The settings that a library has when its user says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// The time to live.
    pub ttl: Span,
    /// For an answer; `None`: a twentieth of the time to live.
    pub timeout: Option<Span>,
    /// Between two tries.
    pub retry_delay: Dist,
    /// Tries.
    pub tries: Option<u32>,
    /// Allowance for drift, in thousandths.
    pub drift_milli: u32,
    /// Renews the lock by itself.
    pub watchdog: bool,
    /// The clock it looks at.
    pub clock: ClockKind,
}

/// How long Redisson's fair lock lets a waiting thread stand in the queue.
pub const FAIR_WAIT: Span = Span::from_secs(300);

/// How often Redisson sends a command again that could not be sent.
pub const REDISSON_ATTEMPTS: u32 = 4;

/// How long Redisson waits for the answer to a subscription.
pub const REDISSON_SUBSCRIPTION: Span = Span::from_ms(7_500);

/// How long go-redis waits for an answer where redsync doesn't say: extending a lock and giving it back.
pub const GO_REDIS_TIMEOUT: Span = Span::from_secs(3);

impl Algorithm {
    /// It needs servers that execute scripts.
    #[must_use]
    pub fn has_scripts(self) -> bool {
        !matches!(self, Algorithm::UnsafeSetnx | Algorithm::UnsafeDel)
    }

    /// Works with several independent servers.
    #[must_use]
    pub fn many(self) -> bool {
        matches!(self, Algorithm::Redlock | Algorithm::Redsync | Algorithm::NodeRedlock)
    }

    /// Is Redisson's.
    #[must_use]
    pub fn is_redisson(self) -> bool {
        matches!(self, Algorithm::Redisson | Algorithm::RedissonFair)
    }

    /// Asks its servers one after the other.
    #[must_use]
    pub fn in_turn(self) -> bool {
        matches!(self, Algorithm::Redlock)
    }

    /// The library's settings.
    #[must_use]
    pub fn defaults(self) -> Defaults {
        let ms = Span::from_ms;
        let plain = Defaults {
            ttl: ms(30_000),
            timeout: Some(ms(1_000)),
            retry_delay: Dist::Constant(ms(100)),
            tries: None,
            drift_milli: 0,
            watchdog: false,
            clock: ClockKind::Monotonic,
        };
        match self {
            Algorithm::Single | Algorithm::UnsafeSetnx | Algorithm::UnsafeDel => plain,
            Algorithm::Redlock => Defaults {
                ttl: ms(10_000),
                timeout: Some(ms(50)),
                retry_delay: Dist::Uniform(Span::ZERO, ms(200)),
                tries: Some(3),
                drift_milli: 10,
                clock: ClockKind::Wall,
                ..plain
            },
            Algorithm::Redsync => Defaults {
                ttl: ms(8_000),
                timeout: None,
                retry_delay: Dist::Uniform(ms(50), ms(250)),
                tries: Some(32),
                drift_milli: 10,
                ..plain
            },
            Algorithm::NodeRedlock => Defaults {
                ttl: ms(10_000),
                timeout: Some(ms(10_000)),
                retry_delay: Dist::Uniform(ms(100), ms(300)),
                tries: Some(11),
                drift_milli: 10,
                clock: ClockKind::Wall,
                ..plain
            },
            Algorithm::Redisson | Algorithm::RedissonFair => {
                let retry_delay = Dist::Uniform(ms(1_000), ms(2_000));
                Defaults { timeout: Some(ms(3_000)), retry_delay, watchdog: true, ..plain }
            }
        }
    }
}

impl LockConfig {
    /// How many servers must say yes.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.servers() / 2 + 1
    }

    /// How many servers there are.
    #[must_use]
    pub fn servers(&self) -> usize {
        match &self.via {
            Via::Servers(servers) => servers.len(),
            Via::Direct(_) | Via::Sentinel { .. } | Via::Replicas { .. } => 1,
        }
    }

    /// What is taken off the time to live for clocks that run at different speeds.
    #[must_use]
    pub fn drift(&self) -> Span {
        let share = Span::from_ms(self.ttl.ms() * u64::from(self.drift_milli) / 1_000);
        match self.algorithm {
            // Two more for the precision of Redis's expiry and for short times to live.
            Algorithm::Redlock | Algorithm::NodeRedlock => share + Span::from_ms(2),
            Algorithm::Redsync
            | Algorithm::Single
            | Algorithm::UnsafeSetnx
            | Algorithm::UnsafeDel
            | Algorithm::Redisson
            | Algorithm::RedissonFair => share,
        }
    }
}
