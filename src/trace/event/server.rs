//! What a redis-server does that a person could ask about: its history of data, its links, its syncs, its writes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Addr, HexId};

/// Why a server's replication history (replid) began or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryWhy {
    /// A fresh process with a random replid.
    Start,
    /// Loaded from an RDB file that carries a replication id and offset.
    Rdb,
    /// Promotion: `replicationUnsetMaster` and its `shiftReplicationId`.
    Promotion,
    /// A full resynchronisation replaced the dataset by the master's.
    FullSync,
    /// A partial resynchronisation with a master that has changed its replid (PSYNC2).
    PartialSync,
    /// `changeReplicationId`: a backlog created or freed, or a new history begun in place.
    Renewed,
    /// Loaded from an append-only file, which names no history.
    Aof,
}

/// The state of a replica's link to its master (`repl_state`, grouped as `INFO` and people see it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// No master configured.
    None,
    /// Must connect.
    Connect,
    /// TCP connection under way.
    Connecting,
    /// PING, AUTH, REPLCONF, PSYNC.
    Handshake,
    /// Receiving or loading the RDB.
    Transfer,
    /// Streaming.
    Connected,
}

/// Why a replica's link to its master, or a master's to its replica, was dropped by this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkDownWhy {
    /// The connection broke or the peer closed it.
    Lost,
    /// Nothing heard for `repl-timeout`.
    Timeout,
    /// The output buffer passed its hard limit, or its soft limit for too long.
    OutputBuffer,
    /// Told to follow another master, or none.
    Reconfigured,
    /// CLIENT KILL or the like.
    Killed,
    /// The peer sent something that isn't the protocol.
    Protocol,
    /// The sync could not be made or loaded.
    SyncFailed,
}

/// Which kind of resynchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncKind {
    /// A whole RDB.
    Full,
    /// The missing part of the stream.
    Partial,
}

/// Why a PSYNC was answered by a full resynchronisation (`masterTryPartialResync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusePsync {
    /// `PSYNC ? -1` or `SYNC`: the replica has nothing to continue from.
    Fresh,
    /// The replication id is neither of ours.
    OtherHistory,
    /// The second id matches but the offset is past where the histories part.
    Diverged,
    /// There is no backlog.
    NoBacklog,
    /// The offset has left the backlog.
    BacklogTooShort,
    /// The offset is ahead of ours.
    Ahead,
}

/// Events of a redis-server.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ServerEvent {
    /// Ready for connections.
    Ready {
        /// This process's run id.
        run_id: HexId,
        /// Keys loaded from disk.
        keys: u64,
    },
    /// The server's replication history is now `replid` at `offset`. Emitted at start and at every change of replid or
    /// wholesale replacement of the dataset; what it held before and isn't part of the new history is gone.
    History {
        /// The replication id that the dataset now belongs to.
        replid: HexId,
        /// The offset in it that the dataset corresponds to.
        offset: u64,
        /// The history that this one continues, and up to which offset (`master_replid2`, `second_repl_offset` - 1):
        /// None when it starts from an empty or foreign dataset.
        parent: Option<(HexId, u64)>,
        /// Why.
        why: HistoryWhy,
        /// Keys in the dataset now.
        keys: u64,
    },
    /// Became a master (`REPLICAOF NO ONE`, a failover, or at start).
    BecameMaster {
        /// The replication offset at that moment.
        offset: u64,
    },
    /// Became a replica.
    BecameReplica {
        /// Of whom.
        of: Addr,
    },
    /// A write command of a client was executed by a master and entered the replication stream.
    Write {
        /// [`crate::trace::digest::hash_operation`] of the client's arguments without the command name.
        op: u64,
        /// `master_repl_offset` after it.
        offset: u64,
    },
    /// Where the stream stands; said at most every 100 ms and only when it has moved.
    Offset {
        /// `master_repl_offset` (a replica's: what it has applied).
        offset: u64,
        /// `repl_backlog_first_byte_offset`, 0 without a backlog.
        backlog_first: u64,
        /// `repl_backlog_histlen`.
        backlog_len: u64,
    },
    /// The link to the master changed state.
    Link {
        /// The state now.
        state: LinkState,
        /// Why it went down, when it did.
        why: Option<LinkDownWhy>,
    },
    /// A replica asked to synchronise and this is what it gets.
    SyncGranted {
        /// The replica.
        replica: Addr,
        /// Full or partial.
        kind: SyncKind,
        /// Why not partial.
        refused: Option<RefusePsync>,
        /// Full: the offset of the RDB (0 while it waits for one). Partial: the offset it continues from.
        offset: u64,
        /// Bytes sent from the backlog for a partial one.
        bytes: u64,
    },
    /// The RDB for replicas began to be made.
    RdbBegan {
        /// `true`: streamed to sockets; `false`: to disk.
        diskless: bool,
        /// The offset it stands for.
        offset: u64,
    },
    /// The RDB is made.
    RdbDone {
        /// Its size in bytes.
        bytes: u64,
        /// Whether it succeeded.
        ok: bool,
    },
    /// A replica is online: it has its RDB and gets the stream.
    ReplicaOnline {
        /// The replica.
        replica: Addr,
    },
    /// A replica was dropped or lost.
    ReplicaGone {
        /// The replica.
        replica: Addr,
        /// Why.
        why: LinkDownWhy,
    },
    /// This replica finished a resynchronisation with its master.
    Synced {
        /// Full or partial.
        kind: SyncKind,
        /// The offset it stands at.
        offset: u64,
    },
    /// `min-replicas-to-write` began (or ceased) to refuse writes.
    WritesRefused {
        /// Whether they are refused now.
        refused: bool,
        /// Good replicas now.
        good_replicas: u16,
    },
    /// A command kept the main thread for long.
    Slow {
        /// Its name.
        command: Arc<str>,
        /// Microseconds.
        us: u64,
    },
    /// Keys were removed because they expired.
    Expired {
        /// How many since the last such event.
        keys: u32,
    },
    /// Keys were removed for want of memory.
    Evicted {
        /// How many at once.
        keys: u32,
    },
    /// A setting was changed at run time.
    ConfigSet {
        /// The directive.
        name: Arc<str>,
        /// Its new value.
        value: Arc<str>,
    },
    /// Something the real server would write to its log and exit for (a corrupt file, a bad option).
    Fatal {
        /// The log line.
        message: Arc<str>,
    },
    /// End-of-run probe: what this server is and holds.
    Final {
        /// True for a master.
        master: bool,
        /// True for a replica whose link is up.
        link_up: bool,
        /// Its replication id.
        replid: HexId,
        /// Its offset.
        offset: u64,
        /// Keys in all databases.
        keys: u64,
        /// An order-independent hash of the dataset, expiry times included.
        dataset: u64,
        /// Full resynchronisations served.
        sync_full: u64,
        /// Partial resynchronisations served.
        sync_partial_ok: u64,
        /// Partial resynchronisations refused.
        sync_partial_err: u64,
    },
    /// What waited in the buffer of the append-only file was given to the kernel.
    Logged {
        /// The number of the file.
        seq: u64,
        /// Its length now.
        to: u64,
        /// Its length after each of the writes since the last such event.
        ends: Arc<[u64]>,
        /// `master_repl_offset`.
        offset: u64,
    },
    /// The append-only file was read at the start.
    AofLoaded {
        /// The number of the last file; 0: it was the base.
        seq: u64,
        /// Up to which byte of it.
        bytes: u64,
        /// Bytes of a torn end that were cut off.
        cut: u64,
        /// Keys in the dataset now.
        keys: u64,
    },
    /// The append-only file is being rewritten: what was executed so far goes into a new base.
    AofRewriteBegan {
        /// The number of the file that takes what is executed from now on.
        seq: u64,
    },
    /// The rewrite is over.
    AofRewriteDone {
        /// The size of the new base.
        bytes: u64,
        /// Whether it took its place.
        ok: bool,
    },
    /// The append-only file can't be written any more, or can again.
    AofError {
        /// Why it can't.
        error: Option<Arc<str>>,
    },
}

impl fmt::Display for LinkDownWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkDownWhy::Lost => "connection lost",
            LinkDownWhy::Timeout => "timeout",
            LinkDownWhy::OutputBuffer => "output buffer limit",
            LinkDownWhy::Reconfigured => "reconfigured",
            LinkDownWhy::Killed => "killed",
            LinkDownWhy::Protocol => "protocol error",
            LinkDownWhy::SyncFailed => "sync failed",
        })
    }
}

impl fmt::Display for ServerEvent {
    #[allow(clippy::too_many_lines, reason = "one line for each variant")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerEvent::Ready { run_id, keys } => write!(f, "ready run_id {run_id:.8} keys {keys}"),
            ServerEvent::History { replid, offset, parent, why, keys } => {
                write!(f, "history {replid:.8} offset {offset} keys {keys} {why:?}")?;
                match parent {
                    Some((id, at)) => write!(f, " continues {id:.8} to {at}"),
                    None => Ok(()),
                }
            }
            ServerEvent::BecameMaster { offset } => write!(f, "role master offset {offset}"),
            ServerEvent::BecameReplica { of } => write!(f, "role replica of {of}"),
            ServerEvent::Write { op, offset } => write!(f, "write {op:016x} offset {offset}"),
            ServerEvent::Offset { offset, backlog_first, backlog_len } => {
                write!(f, "offset {offset} backlog {backlog_first}+{backlog_len}")
            }
            ServerEvent::Link { state, why: None } => write!(f, "link {state:?}"),
            ServerEvent::Link { state, why: Some(why) } => write!(f, "link {state:?} ({why})"),
            ServerEvent::SyncGranted { replica, kind, refused, offset, bytes } => {
                write!(f, "sync {kind:?} for {replica} offset {offset} bytes {bytes}")?;
                refused.map_or(Ok(()), |why| write!(f, " ({why:?})"))
            }
            ServerEvent::RdbBegan { diskless, offset } => {
                write!(f, "rdb began {} offset {offset}", if *diskless { "diskless" } else { "disk" })
            }
            ServerEvent::RdbDone { bytes, ok } => write!(f, "rdb done {bytes} bytes ok {ok}"),
            ServerEvent::ReplicaOnline { replica } => write!(f, "replica {replica} online"),
            ServerEvent::ReplicaGone { replica, why } => write!(f, "replica {replica} gone ({why})"),
            ServerEvent::Synced { kind, offset } => write!(f, "synced {kind:?} offset {offset}"),
            ServerEvent::WritesRefused { refused, good_replicas } => {
                write!(f, "writes refused {refused} good replicas {good_replicas}")
            }
            ServerEvent::Slow { command, us } => write!(f, "slow {command} {us} us"),
            ServerEvent::Expired { keys } => write!(f, "expired {keys} keys"),
            ServerEvent::Evicted { keys } => write!(f, "evicted {keys} keys"),
            ServerEvent::ConfigSet { name, value } => write!(f, "config set {name} {value}"),
            ServerEvent::Fatal { message } => write!(f, "fatal {message}"),
            ServerEvent::Final { master, link_up, replid, offset, keys, dataset, .. } => {
                let role = if *master { "master" } else { "replica" };
                let link = if *master || *link_up { "" } else { " link down" };
                write!(f, "final {role}{link} {replid:.8} offset {offset} keys {keys} dataset {dataset:016x}")
            }
            ServerEvent::Logged { seq, to, ends, .. } => write!(f, "aof {seq} to {to} ({} writes)", ends.len()),
            ServerEvent::AofLoaded { seq, bytes, cut, keys } => {
                write!(f, "aof loaded to {bytes} of {seq} cut {cut} keys {keys}")
            }
            ServerEvent::AofRewriteBegan { seq } => write!(f, "aof rewrite began, then {seq}"),
            ServerEvent::AofRewriteDone { bytes, ok } => write!(f, "aof rewrite done {bytes} bytes ok {ok}"),
            ServerEvent::AofError { error: Some(error) } => write!(f, "aof error: {error}"),
            ServerEvent::AofError { error: None } => f.write_str("aof error is over"),
        }
    }
}
