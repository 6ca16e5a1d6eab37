//! What a client does and how patient it is. Plain data, made by the scenario.

pub mod lock;

use std::sync::Arc;

use crate::id::Addr;
use crate::rng::Ratio;
use crate::time::Span;

/// One client.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientConfig {
    /// How it finds its server.
    pub via: Via,
    /// What it asks.
    pub workload: Workload,
    /// Its time-outs and retries.
    pub policy: Policy,
    /// `AUTH` before anything else: user (None: the default user) and password.
    pub auth: Option<(Option<Arc<str>>, Arc<str>)>,
    /// `SELECT` when not 0.
    pub db: u32,
    /// The protocol: 2, or 3 by `HELLO 3`.
    pub resp: u8,
    /// Distinguishes this client's values from all others': the high 24 bits of every value it writes. From 0.
    pub number: u32,
    /// How many clients there are in all; with [`KeyChoice::Sequential`] each has its own share of the keys.
    pub clients: u32,
}

/// How a client finds its server.
#[derive(Clone, Debug, PartialEq)]
pub enum Via {
    /// One fixed address: `redis:r1`.
    Direct(Addr),
    /// A list, one of which is chosen from the seed at each connection: `servers:[r1, r2]`.
    Servers(Vec<Addr>),
    /// The master that the sentinels name: `sentinel:mymaster`.
    Sentinel {
        /// The master's name.
        master: Arc<str>,
        /// Where sentinels listen, in the order they are asked.
        sentinels: Vec<Addr>,
    },
    /// A replica that the sentinels name (the master if there is none): `replicas:mymaster`.
    Replicas {
        /// The master's name.
        master: Arc<str>,
        /// Where sentinels listen, in the order they are asked.
        sentinels: Vec<Addr>,
    },
}

/// What a KV client asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// When the next operation begins.
    pub pace: Pace,
    /// How many keys; their names are [`crate::trace::history::key_name`].
    pub keys: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Which key.
    pub choice: KeyChoice,
    /// Share of writes (SET); the rest reads (GET).
    pub write_ratio: Ratio,
    /// Bytes of a value, at least 20.
    pub value_size: u32,
    /// Operations sent together.
    pub pipeline: u32,
    /// `EX`/`PX` on every SET.
    pub ttl: Option<Span>,
    /// `WAIT` after each write (after each pipeline of writes).
    pub wait: Option<WaitAfter>,
    /// Begins this long after the start of the run.
    pub start: Span,
    /// Invokes nothing from here on; `None`: until the run's duration is over.
    pub stop: Option<Span>,
}

/// When the next operation begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Open loop: at this period, whether or not replies come. Operations that can't be sent queue up.
    Open {
        /// Mean time between operations.
        period: Span,
        /// Exponentially distributed gaps (Poisson arrivals) instead of a steady beat.
        poisson: bool,
    },
    /// Closed loop: the next one this long after the reply.
    Closed {
        /// Think time.
        think: Span,
    },
}

/// Which key an operation touches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyChoice {
    /// All alike.
    Uniform,
    /// Zipf with this exponent.
    Zipf(f64),
    /// One after the other, around; no two clients share a key when `keys` allows.
    Sequential,
    /// A share of the operations goes to a share of the keys.
    Hot {
        /// Share of keys that are hot.
        keys: Ratio,
        /// Share of operations that go to them.
        operations: Ratio,
    },
}

/// `WAIT numreplicas timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitAfter {
    /// How many replicas.
    pub replicas: u16,
    /// How long (0: for ever).
    pub timeout: Span,
}

/// Which sentinel a client asks first when it looks for a server again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentinelOrder {
    /// Always in the order of the list (Jedis, ioredis, Lettuce).
    Fixed,
    /// The one that answered last time changes places with the first (redis-py, and Redis's guidelines for clients).
    AnsweringFirst,
    /// As `AnsweringFirst`, and each client shuffles the list from its seed when it starts (go-redis).
    Shuffled,
}

/// Where a client subscribes to `+switch-master`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere: a failover shows only in errors and lost connections (redis-py).
    No,
    /// At the sentinel that answered the last discovery (go-redis).
    Answering,
    /// At every sentinel (Jedis, ioredis).
    All,
}

/// Time-outs and retries, as client libraries offer them.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// TCP connect and handshake.
    pub connect_timeout: Span,
    /// No reply for this long: the operation is unknown and the connection is closed.
    pub timeout: Span,
    /// Same for a sentinel.
    pub sentinel_timeout: Span,
    /// Delay before the first reconnection.
    pub retry_delay: Span,
    /// Each further failure doubles the delay up to this.
    pub retry_delay_max: Span,
    /// Share of the delay that is random, so that clients don't come in step.
    pub retry_jitter: Ratio,
    /// Retries of an operation whose outcome is certain (refused, or never sent) before it counts as failed.
    pub retries: u32,
    /// Also retry an operation whose outcome is unknown (which may execute it twice).
    pub retry_unknown: bool,
    /// Check `ROLE` after connecting to what the sentinels call a master.
    pub check_role: bool,
    /// Which sentinel is asked first next time.
    pub sentinel_order: SentinelOrder,
    /// Subscribe to `+switch-master`, and where.
    pub listen: Listen,
    /// On -READONLY: drop the connection and discover again. `false`: go on using it.
    pub reconnect_on_readonly: bool,
    /// Operations that may wait for a connection in an open loop; more fail at once as not sent.
    pub queue: u32,
    /// How long an operation may wait for a connection before it fails as not sent.
    pub queue_timeout: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            connect_timeout: Span::from_ms(1_000),
            timeout: Span::from_ms(1_000),
            sentinel_timeout: Span::from_ms(500),
            retry_delay: Span::from_ms(50),
            retry_delay_max: Span::from_ms(1_000),
            retry_jitter: Ratio::ZERO,
            retries: 0,
            retry_unknown: false,
            check_role: true,
            sentinel_order: SentinelOrder::AnsweringFirst,
            listen: Listen::All,
            reconnect_on_readonly: true,
            queue: 10_000,
            queue_timeout: Span::from_ms(1_000),
        }
    }
}
