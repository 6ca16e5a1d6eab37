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
//! **Time.** [`cron`] is `replicationCron`: called at a whole second's tick (every 100 ms when [`Replication::cron_is_fast`]) if
//! [`cron_need`] asked for one at or before it. An idle master without replicas must need none. Precise time-outs (WAIT) go through
//! [`next_timer`] and [`on_timer`]. [`before_sleep`] runs at the end of each turn before replies leave, as in `beforeSleep`: WAIT, GETACK, failover.
//!
//! **Sessions.** [`session_gone`] gets each removed session that was a master, a replica, or blocked.

pub mod backlog;

use bytes::Bytes;

use super::Server;
use super::config::Config;
use super::session::Session;
use crate::id::{Addr, Fd, HexId};
use crate::node::{CloseWhy, Outbox, RefusedWhy};
use crate::resp::Args;
use crate::time::Instant;

/// Everything that a server knows of its replication.
#[derive(Clone, Debug, Default)]
pub struct Replication {
    /// `master_replid`
    pub replid: HexId,
    /// `master_repl_offset`
    pub offset: u64,
}

impl Replication {
    /// A fresh process: a random replid, offset 0.
    #[must_use]
    pub fn new(init: &crate::node::Init) -> Replication {
        let mut rng = init.seed.stream(&init.name, "replid");
        Replication { replid: HexId::random(&mut rng), offset: 0 }
    }

    /// True unless it follows a master (`server.masterhost == NULL`).
    #[must_use]
    pub fn is_master(&self) -> bool {
        true
    }

    /// True when propagated commands must be fed: a master with a backlog or replicas.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        false
    }

    /// `master_repl_offset`
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// A replica whose link is not connected (`repl_state != REPL_STATE_CONNECTED`).
    #[must_use]
    pub fn stale(&self) -> bool {
        false
    }

    /// False when `min-replicas-to-write` refuses writes (`checkGoodReplicasStatus`).
    #[must_use]
    pub fn enough_good_replicas(&self, _config: &Config) -> bool {
        true
    }

    /// True while a failover is under way: [`cron`] runs every 100 ms.
    #[must_use]
    pub fn cron_is_fast(&self) -> bool {
        false
    }

    /// True when the link to the master is up.
    #[must_use]
    pub fn link_up(&self) -> bool {
        false
    }
}

/// Called by `start` after the dataset is loaded: `replicaof` of the configuration takes effect.
pub(crate) fn start(_s: &mut Server, _out: &mut Outbox) {}

/// A command enters the stream.
pub(crate) fn feed(s: &mut Server, _db: u32, bytes: &[u8]) {
    s.repl.offset += bytes.len() as u64;
}

/// A request of our master was executed (or queued inside MULTI); empty for an empty line.
pub(crate) fn command_processed(_s: &mut Server, _fd: Fd, _args: &Args, _out: &mut Outbox) {}

/// A connection of this module is established.
pub(crate) fn on_connected(_s: &mut Server, _fd: Fd, _local: Addr, _out: &mut Outbox) {}

/// A connection of this module failed.
pub(crate) fn on_refused(_s: &mut Server, _fd: Fd, _why: RefusedWhy, _out: &mut Outbox) {}

/// Bytes for a connection of this module.
pub(crate) fn on_bytes(_s: &mut Server, _fd: Fd, _data: Bytes, _out: &mut Outbox) {}

/// A connection of this module is gone.
pub(crate) fn on_closed(_s: &mut Server, _fd: Fd, _why: CloseWhy, _out: &mut Outbox) {}

/// A connection of this module takes bytes again.
pub(crate) fn on_writable(_s: &mut Server, _fd: Fd, _room: usize, _out: &mut Outbox) {}

/// Sends a replica what fits of the stream.
pub(crate) fn flush(_s: &mut Server, _fd: Fd, _out: &mut Outbox) {}

/// A session that was a master, a replica or blocked has been removed; its connection is closed or about to be.
pub(crate) fn session_gone(_s: &mut Server, _session: Box<Session>, _out: &mut Outbox) {}

/// CLIENT UNBLOCK of a session in WAIT: answers it as at its time-out, or with an error, and lets it go on with `s.unblock`.
pub(crate) fn unblock_client(_s: &mut Server, _fd: Fd, _error: bool, _out: &mut Outbox) {}

/// `replicationCron`
pub(crate) fn cron(_s: &mut Server, _out: &mut Outbox) {}

/// When [`cron`] has work next; the server rounds up to a tick.
pub(crate) fn cron_need(_s: &Server) -> Option<Instant> {
    None
}

/// The earliest precise timer (WAIT).
pub(crate) fn next_timer(_s: &Server) -> Option<Instant> {
    None
}

/// Timers of [`next_timer`] that are due.
pub(crate) fn on_timer(_s: &mut Server, _out: &mut Outbox) {}

/// The end of a turn, before replies leave.
pub(crate) fn before_sleep(_s: &mut Server, _out: &mut Outbox) {}

/// A setting of replication was changed by CONFIG SET.
pub(crate) fn config_changed(_s: &mut Server, _name: &str, _out: &mut Outbox) {}

/// The lines of INFO's replication section after its header, each ended by CRLF.
pub(crate) fn info(_s: &Server, _text: &mut String) {}

/// True while a replica has not acknowledged everything: SHUTDOWN waits for it (`isReadyToShutdown`).
pub(crate) fn replicas_lag(_s: &Server) -> bool {
    false
}

/// Asks all replicas for an acknowledgement at the end of the turn (`sendGetackToReplicas`).
pub(crate) fn request_acks(_s: &mut Server) {}

/// Whom this server follows now, as CONFIG GET and REWRITE show it.
pub(crate) fn master_address(s: &Server) -> Option<(String, u16)> {
    s.config.replicaof.clone()
}

/// DEBUG CHANGE-REPL-ID (`changeReplicationId`, `clearReplicationId2`).
pub(crate) fn change_replid(_s: &mut Server, _out: &mut Outbox) {}

/// Bytes of the replication buffer's blocks, for INFO.
pub(crate) fn backlog_memory(_s: &Server) -> u64 {
    0
}
