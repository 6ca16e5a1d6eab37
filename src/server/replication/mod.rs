//! Replication: this server as master of others and as a replica. The contract with the rest of the server:
//!
//! **The stream.** [`feed`] gets the bytes of each propagated command, already encoded as an array of bulk strings, in the order
//! they enter the stream, with the database they act on; MULTI and EXEC around several of them are fed as commands of
//! their own. SELECT is this module's business. It is called only while [`Replication::wants_stream`] holds.
//!
//! **The link to our master.** Descriptors without a session belong to this module: [`on_connected`], [`on_refused`], [`on_bytes`],
//! [`on_closed`], [`on_writable`] get their inputs. After the handshake it makes the link a session with `s.sessions.insert` and
//! [`Flags::MASTER`](super::session::Flags::MASTER), feeds the rest of what was read to its reader and calls `s.process_input`.
//! From then on requests are executed like any client's (answers are thrown away unless a handler sets `FORCE_REPLY`), and after
//! each one [`command_processed`] gets it with the bytes it came in: applied offset, proxying to sub-replicas, not inside MULTI.
//!
//! **Replicas** are sessions with [`Flags::REPLICA`](super::session::Flags::REPLICA). Their own replies (`+CONTINUE`) leave through the session's reply
//! buffer; then [`flush`] sends what is theirs of the stream, within `session.room` (count what is sent; when something stays, set
//! `AWAITS_ROOM` and call `out.await_writable`). To have a replica flushed at the end of the turn call `s.sessions.want_write(fd)`.
//!
//! **The gate** reads [`Replication::is_master`], [`Replication::stale`], [`Replication::enough_good_replicas`]; loading a full sync
//! sets `s.loading` / `s.async_loading`.
//!
//! **Time.** [`fn@cron`] is `replicationCron`: called at a whole second's tick (every 100 ms when [`Replication::cron_is_fast`]) if
//! [`cron_need`] asked for one at or before it. An idle master without replicas must need none. Precise time-outs (WAIT) go through
//! [`next_timer`] and [`on_timer`]. [`before_sleep`] runs at the end of each turn before replies leave, as in `beforeSleep`: WAIT, GETACK, failover.
//!
//! **Sessions.** [`session_gone`] gets each removed session that was a master, a replica, or blocked.

pub mod backlog;

mod cron;
pub(crate) mod failover;
mod history;
pub(crate) mod link;
pub(crate) mod master;
mod report;
pub(crate) mod sync;
mod transfer;
pub(crate) mod wait;

use std::sync::Arc;

use super::Server;
use super::config::Config;
use super::session::{Flags, Session};
use crate::id::HexId;
use crate::node::Outbox;
use crate::rng::Rng;
use crate::time::{Instant, Span};
use crate::trace::Kind;
use crate::trace::event::{LinkDownWhy, ServerEvent};

use backlog::{Backlog, TRIM_BLOCKS};
use failover::Failover;
use link::Link;
use master::Replica;
use wait::Waiter;

pub(crate) use cron::{cron, cron_need};
pub(crate) use history::{become_master, become_replica_of, configure, resolve, restore, start};
pub(crate) use link::{command_processed, on_bytes, on_closed, on_connected, on_refused, on_writable};
pub(crate) use master::{
    Announced, announcement_changed, feed, feed_bare, flush, log_lagging, log_wrong_offset, newline_from_replica,
    synchronise,
};
pub(crate) use report::{info, role_state};
pub(crate) use transfer::{empty_data, full_sync_loaded, send_newline};
pub(crate) use wait::{next_timer, on_timer};

/// How often the trace is told where the stream stands.
const OFFSET_NOTE_EVERY: Span = Span::from_ms(100);

/// Asks replicas to acknowledge at once; part of the stream.
const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

/// Whom a replica follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterAddress {
    /// As it was configured: a name or an address.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
}

/// A place in a stream that this server has applied, to ask for its continuation (`cached_master`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedMaster {
    /// The stream's replication id.
    pub replid: HexId,
    /// The last offset that was applied.
    pub offset: u64,
    /// The database that the stream had selected.
    pub db: u32,
    /// The id that the master had as a client, and will have again.
    pub client: u64,
}

/// Everything that a server knows of its replication.
#[derive(Clone, Debug)]
pub struct Replication {
    /// `master_replid`
    pub replid: HexId,
    /// `master_replid2`: the history before the newest change of id.
    pub replid2: HexId,
    /// `second_repl_offset`: from where `replid2` is not ours any more.
    pub second_offset: Option<u64>,
    /// `master_repl_offset`
    pub offset: u64,
    rng: Rng,
    /// `masterhost` and `masterport`; `None` for a master.
    pub(crate) follows: Option<MasterAddress>,
    pub(crate) backlog: Option<Backlog>,
    /// The database that the stream has selected (`slaveseldb`); `None` makes the next command begin with SELECT.
    stream_db: Option<u32>,
    /// In the order in which they asked to synchronise.
    pub(crate) replicas: Vec<Replica>,
    good_replicas: u64,
    writes_refused: bool,
    /// Since when there has been no replica, in wall-clock seconds.
    no_replicas_since: u64,
    /// GETACK goes out at the end of the turn.
    get_ack: bool,
    waiting: Vec<Waiter>,
    pub(crate) link: Link,
    /// When the link to the master last said something, in wall-clock seconds (`repl_transfer_lastio`).
    last_io: u64,
    cached: Option<CachedMaster>,
    /// Since when the link has been down, in wall-clock seconds; 0 when it is not.
    down_since: u64,
    pub(crate) failover: Failover,
    /// Runs of [`fn@cron`] beside those of whole seconds.
    extra_crons: u64,
    noted_offset: u64,
    noted_at: Instant,
    /// Why the session that is being closed is closed, when it is this module that does.
    closing_why: Option<LinkDownWhy>,
}

impl Replication {
    /// A fresh process: a random replid, offset 0.
    #[must_use]
    pub fn new(init: &crate::node::Init) -> Replication {
        let mut rng = init.seed.stream(&init.name, "replid");
        Replication {
            replid: HexId::random(&mut rng),
            replid2: HexId::ZERO,
            second_offset: None,
            offset: 0,
            rng,
            follows: None,
            backlog: None,
            stream_db: None,
            replicas: Vec::new(),
            good_replicas: 0,
            writes_refused: false,
            no_replicas_since: 0,
            get_ack: false,
            waiting: Vec::new(),
            link: Link::None,
            last_io: 0,
            cached: None,
            down_since: 0,
            failover: Failover::default(),
            extra_crons: 0,
            noted_offset: 0,
            noted_at: Instant::ZERO,
            closing_why: None,
        }
    }

    /// True unless it follows a master (`server.masterhost == NULL`).
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.follows.is_none()
    }

    /// True when propagated commands must be fed: a master with a backlog (there are no replicas without one).
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        self.backlog.is_some() && self.follows.is_none()
    }

    /// `master_repl_offset`
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// A replica whose link is not connected (`repl_state != REPL_STATE_CONNECTED`).
    #[must_use]
    pub fn stale(&self) -> bool {
        self.follows.is_some() && !self.link_up()
    }

    /// False when `min-replicas-to-write` refuses writes (`checkGoodReplicasStatus`).
    #[must_use]
    pub fn enough_good_replicas(&self, config: &Config) -> bool {
        config.min_replicas_to_write == 0
            || config.min_replicas_max_lag == 0
            || self.follows.is_some()
            || self.good_replicas >= config.min_replicas_to_write
    }

    /// True while a failover is under way: [`fn@cron`] runs every 100 ms.
    #[must_use]
    pub fn cron_is_fast(&self) -> bool {
        self.failover.is_under_way()
    }

    /// FAILOVER is under way.
    #[must_use]
    pub(crate) fn failover_under_way(&self) -> bool {
        self.failover.is_under_way()
    }

    /// True when the link to the master is up.
    #[must_use]
    pub fn link_up(&self) -> bool {
        matches!(self.link, Link::Connected(_))
    }

    /// What a replica has applied of its master's stream (`replicationGetSlaveOffset`); 0 for a master.
    #[must_use]
    pub fn applied(&self) -> u64 {
        match (&self.follows, &self.link, &self.cached) {
            (Some(_), Link::Connected(master), _) => master.applied,
            (Some(_), _, Some(cached)) => cached.offset,
            _ => 0,
        }
    }

    /// The database that the stream has selected (`slaveseldb`).
    pub(crate) fn stream_db(&self) -> Option<u32> {
        self.stream_db
    }

    /// The place to continue from, while the link is down (`cached_master`).
    pub(crate) fn cached(&self) -> Option<CachedMaster> {
        self.cached
    }

    fn invariants(&self) {
        if let Some(backlog) = &self.backlog {
            assert!(backlog.end() == self.offset, "the backlog ends where the stream does");
        } else {
            assert!(self.replicas.is_empty(), "replicas need a backlog");
        }
        assert!(self.follows.is_some() || matches!(self.link, Link::None), "a master has no link to a master");
        assert!(!(self.link_up() && self.cached.is_some()), "a cached master is one that is not connected");
    }
}

/// Whether the end of a turn finds nothing to do here until a replica, a command of replication or a tick comes.
pub(crate) fn is_at_rest(s: &Server) -> bool {
    s.repl.waiting.is_empty()
        && !s.repl.get_ack
        && !s.repl.failover.is_under_way()
        && s.repl.backlog.is_none()
        && s.repl.offset == s.repl.noted_offset
}

/// The end of a turn, before replies leave.
pub(crate) fn before_sleep(s: &mut Server, out: &mut Outbox) {
    if !s.repl.waiting.is_empty() {
        wait::process(s, out);
        // A WAIT behind the one that was just answered must not miss the request for acknowledgements.
        if !s.unblocked.is_empty() {
            s.process_unblocked(out);
        }
    }
    if s.repl.get_ack && !s.is_paused() {
        s.repl.get_ack = false;
        master::feed_control(s, GETACK);
    }
    if s.repl.failover.is_under_way() {
        failover::update(s, out);
    }
    if let Some(backlog) = &mut s.repl.backlog {
        backlog.trim(10 * TRIM_BLOCKS);
    }
    if s.repl.offset != s.repl.noted_offset && s.now.mono.since(s.repl.noted_at) >= OFFSET_NOTE_EVERY {
        note_offset(s, out);
    }
    s.repl.invariants();
}

fn note_offset(s: &mut Server, out: &mut Outbox) {
    let offset = s.repl.offset;
    s.repl.noted_offset = offset;
    s.repl.noted_at = s.now.mono;
    let (backlog_first, backlog_len) =
        s.repl.backlog.as_ref().map_or((0, 0), |backlog| (backlog.first_byte(), backlog.len()));
    // It is a reading, not a deed: what follows in this turn is not caused by it.
    let cause = out.cause();
    out.note(Kind::Server(ServerEvent::Offset { offset, backlog_first, backlog_len }));
    out.because(cause);
}

/// A session that was a master, a replica or blocked has been removed; its connection is closed or about to be.
pub(crate) fn session_gone(s: &mut Server, session: Box<Session>, out: &mut Outbox) {
    let told = session.flags.has(Flags::CLOSE_ASAP.with(Flags::CLOSE_AFTER_REPLY));
    let why = if told { LinkDownWhy::Killed } else { LinkDownWhy::Lost };
    if session.flags.has(Flags::BLOCKED) {
        s.repl.waiting.retain(|waiter| waiter.fd != session.fd);
    }
    if session.flags.has(Flags::MASTER) {
        link::master_gone(s, &session, why, out);
    } else if session.flags.has(Flags::REPLICA) && !session.flags.has(Flags::MONITOR) {
        master::replica_gone(s, &session, why, out);
    }
}

/// A setting of replication was changed by CONFIG SET.
pub(crate) fn config_changed(s: &mut Server, name: &str, out: &mut Outbox) {
    match name {
        "repl-backlog-size" => {
            let size = s.config.repl_backlog_size;
            if let Some(backlog) = &mut s.repl.backlog {
                backlog.resize(size);
            }
        }
        "min-replicas-to-write" | "min-replicas-max-lag" => master::refresh_good_replicas(s, out),
        _ => {}
    }
}

/// A replica's part of the replication buffer is over the soft limit: each tick looks at it.
pub(crate) fn has_soft_limited(s: &Server) -> bool {
    s.repl.replicas.iter().any(master::Replica::is_over_soft_limit)
}

/// The look of a tick at replicas' output buffers (`clientsCron`).
pub(crate) fn check_soft_limits(s: &mut Server, all: bool) {
    if all || has_soft_limited(s) {
        master::check_output_limits(s);
    }
}

/// True while a replica has not acknowledged everything: SHUTDOWN waits for it (`isReadyToShutdown`).
pub(crate) fn replicas_lag(s: &Server) -> bool {
    s.repl.replicas.iter().any(|replica| replica.acked != s.repl.offset)
}

/// SHUTDOWN asks all replicas for an acknowledgement before it waits for them (`sendGetackToReplicas`).
pub(crate) fn request_acks(s: &mut Server) {
    master::feed_control(s, GETACK);
}

/// Whom this server follows now, as CONFIG GET and REWRITE show it.
pub(crate) fn master_address(s: &Server) -> Option<(String, u16)> {
    s.repl.follows.as_ref().map(|follows| (follows.host.to_string(), follows.port))
}

/// DEBUG CHANGE-REPL-ID (`changeReplicationId`, `clearReplicationId2`).
pub(crate) fn change_replid(s: &mut Server, out: &mut Outbox) {
    history::renew(s, out);
}

/// Memory of the stream that replicas hold on to beyond the backlog's size: what is evicted must not count it
/// (`freeMemoryGetNotCountedMemory`).
pub(crate) fn uncounted_memory(s: &Server) -> u64 {
    let size = s.config.repl_backlog_size;
    // Each block has a header.
    backlog_memory(s).saturating_sub(size + (size / (16 << 10) + 1) * 64)
}

/// What the replication buffer takes in INFO's account: for the backlog, and for replicas that need more than that
/// (`getMemoryOverheadData`).
pub(crate) fn buffer_memory(s: &Server) -> (u64, u64) {
    let Some(backlog) = &s.repl.backlog else { return (0, 0) };
    let size = if s.repl.replicas.is_empty() { u64::MAX } else { s.config.repl_backlog_size };
    let own = backlog.memory().min(size);
    (own + backlog.index_memory(), backlog.memory() - own)
}

/// The blocks of the replication buffer that a replica has yet to be sent, and what they take.
pub(crate) fn unsent(s: &Server, fd: crate::id::Fd) -> (u64, u64) {
    let cursor = s.repl.replicas.iter().find(|replica| replica.fd == fd).and_then(|replica| replica.cursor);
    match (&s.repl.backlog, cursor) {
        (Some(backlog), Some(cursor)) => (backlog.blocks_from(cursor), backlog.pinned(cursor)),
        _ => (0, 0),
    }
}

/// Bytes of the replication buffer's blocks, for INFO.
pub(crate) fn backlog_memory(s: &Server) -> u64 {
    s.repl.backlog.as_ref().map_or(0, Backlog::memory)
}
