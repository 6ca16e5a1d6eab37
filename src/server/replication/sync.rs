//! A full synchronisation as the master sees it: who shares which RDB, and how it reaches them (`startBgsaveForReplication`,
//! `updateSlavesWaitingBgsave`, `rdbPipeReadHandler`, `sendBulkToSlave`).

use bytes::Bytes;

use super::history;
use super::master::{self, State};
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::encode;
use crate::server::Server;
use crate::server::persistence::{self, ChildKind};
use crate::server::session::Flags;
use crate::time::Instant;
use crate::trace::event::LinkDownWhy;

/// What is read from the pipe at once (`PROTO_IOBUF_LEN`): nobody gets the next part before everybody has this one.
const PIPE_READ: usize = 16 * 1024;

/// What an RDB for replicas leaves out (`rdb-filter-only`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "both exclude")]
pub(crate) struct Filter {
    /// The keys.
    pub(crate) exclude_data: bool,
    /// The function libraries.
    pub(crate) exclude_functions: bool,
}

impl Filter {
    /// Something is left out.
    pub(crate) fn is_set(self) -> bool {
        self.exclude_data || self.exclude_functions
    }
}

/// The RDB that goes to the replicas' sockets while it is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipe {
    /// The whole of it, with the line before it and the mark behind it.
    data: Bytes,
    /// How much of it the child has made.
    made: usize,
    /// How much of it has been handed to the replicas; some may not have all of this yet.
    handed: usize,
    /// Who gets it.
    pub(crate) replicas: Vec<Fd>,
}

/// What becomes of a replica that was just attached (`syncCommand`, cases 1 to 3).
pub(super) fn join_or_start(s: &mut Server, fd: Fd, out: &mut Outbox) {
    match persistence::child_kind(s) {
        Some(ChildKind::Disk) => {
            let joins = join_running(s, fd, out);
            s.notice(out, || match joins {
                true => "Waiting for end of BGSAVE for SYNC".to_owned(),
                false => "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC".to_owned(),
            });
        }
        // It waits until the child that runs is done.
        Some(ChildKind::Socket) => {
            s.notice(out, || "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC".to_owned());
        }
        busy @ (Some(ChildKind::Aof) | None) => {
            let Some(replica) = s.repl.replicas.iter().find(|replica| replica.fd == fd) else { return };
            let (eof, filter) = (replica.announced.eof, replica.announced.filter);
            if s.config.repl_diskless_sync && eof && s.config.repl_diskless_sync_delay > 0 {
                s.notice(out, || "Delay next BGSAVE for diskless SYNC".to_owned());
            } else if busy.is_some() {
                s.notice(out, || {
                    "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed"
                        .to_owned()
                });
            } else {
                start_bgsave(s, eof, filter, out);
            }
        }
    }
}

/// A save to disk is under way: it serves this replica too if another one is accumulating the stream since its start.
fn join_running(s: &mut Server, fd: Fd, out: &mut Outbox) -> bool {
    let index = s.repl.replicas.iter().position(|replica| replica.fd == fd).expect("it was just attached");
    let own = s.repl.replicas[index].announced.clone();
    let other = s
        .repl
        .replicas
        .iter()
        .find(|replica| replica.state == State::WaitBgsaveEnd && (!replica.announced.rdb_only || own.rdb_only));
    let Some(other) = other else { return false };
    let capable = (own.eof || !other.announced.eof) && (own.psync2 || !other.announced.psync2);
    if !capable || own.filter != other.announced.filter {
        return false;
    }
    let (cursor, offset) = (other.cursor, other.initial_offset);
    if !own.rdb_only {
        let backlog = s.repl.backlog.as_mut().expect("there are replicas");
        s.repl.replicas[index].cursor = cursor.map(|cursor| backlog.share(cursor));
    }
    setup(s, fd, offset, out);
    true
}

/// `replicationSetupSlaveForFullResync`: the replica is told the offset, and the stream accumulates for it.
fn setup(s: &mut Server, fd: Fd, offset: u64, out: &mut Outbox) {
    let replid = s.repl.replid;
    s.repl.stream_db = None;
    let Some(replica) = s.repl.replicas.iter_mut().find(|replica| replica.fd == fd) else { return };
    replica.initial_offset = offset;
    replica.state = State::WaitBgsaveEnd;
    if !replica.pre_psync {
        let line = format!("+FULLRESYNC {replid} {offset}\r\n");
        if !master::write_now(s, fd, line.into(), out) {
            master::close_replica_later(s, fd, LinkDownWhy::Lost);
        }
    }
}

/// `startBgsaveForReplication`: one RDB for all that wait and want the same of it.
pub(super) fn start_bgsave(s: &mut Server, eof: bool, filter: Filter, out: &mut Outbox) {
    let to_sockets = (s.config.repl_diskless_sync || filter.is_set()) && eof;
    let position = persistence::stream_position(s);
    let waiting: Vec<Fd> = s
        .repl
        .replicas
        .iter()
        .filter(|replica| replica.state == State::WaitBgsaveStart && replica.announced.filter == filter)
        .map(|replica| replica.fd)
        .collect();
    let (Some(position), None) = (position, persistence::child_kind(s)) else {
        return refuse_waiting(s, out);
    };
    s.notice(out, || {
        format!("Starting BGSAVE for SYNC with target: {}", if to_sockets { "replicas sockets" } else { "disk" })
    });
    let offset = s.repl.offset;
    for &fd in &waiting {
        setup(s, fd, offset, out);
    }
    if to_sockets {
        let data = persistence::begin_socket_child(s, position, filter, out);
        for &fd in &waiting {
            if let Some(replica) = s.repl.replicas.iter_mut().find(|replica| replica.fd == fd) {
                (replica.piped, replica.last_partial_write) = (0, 0);
            }
        }
        s.persistence.pipe = Some(Pipe { data, made: 0, handed: 0, replicas: waiting });
    } else {
        persistence::begin_disk_child(s, Some(position), true, out);
    }
}

/// An RDB can't be made now: whoever waits for one is sent away.
fn refuse_waiting(s: &mut Server, out: &mut Outbox) {
    let waiting = |replica: &master::Replica| replica.state == State::WaitBgsaveStart;
    let fds: Vec<Fd> = s.repl.replicas.iter().filter(|r| waiting(r)).map(|replica| replica.fd).collect();
    s.repl.replicas.retain(|replica| !waiting(replica));
    for fd in fds {
        if let Some(session) = s.sessions.get_mut(fd) {
            session.flags.clear(Flags::REPLICA);
            encode::error(session.reply.tail(), "ERR BGSAVE failed, replication can't continue");
            session.flags.set(Flags::CLOSE_AFTER_REPLY);
        }
        s.sessions.want_write(fd);
    }
    master::refresh_good_replicas(s, out);
}

/// `replicationStartPendingFork`: begins the RDB that replicas wait for, once the delay of a diskless one is over.
pub(crate) fn start_pending(s: &mut Server, out: &mut Outbox) {
    if persistence::child_kind(s).is_some() {
        return;
    }
    let now = s.now.unix.secs();
    let mut first: Option<(bool, Filter)> = None;
    let (mut waiting, mut idle_max) = (0, 0);
    for replica in s.repl.replicas.iter().filter(|replica| replica.state == State::WaitBgsaveStart) {
        let (eof, filter) = first.unwrap_or((replica.announced.eof, replica.announced.filter));
        if filter != replica.announced.filter {
            continue;
        }
        first = Some((eof && replica.announced.eof, filter));
        let since = s.sessions.get(replica.fd).map_or(now, |session| session.last_interaction.secs());
        idle_max = idle_max.max(now.saturating_sub(since));
        waiting += 1;
    }
    let config = &s.config;
    let enough = config.repl_diskless_sync_max_replicas > 0 && waiting >= config.repl_diskless_sync_max_replicas;
    let ready = !config.repl_diskless_sync || enough || idle_max >= config.repl_diskless_sync_delay;
    if let Some((eof, filter)) = first.filter(|_| ready) {
        start_bgsave(s, eof, filter, out);
    }
}

/// More of the RDB has been made for the sockets: true when that was all.
pub(crate) fn pipe_grew(s: &mut Server, made: usize, out: &mut Outbox) {
    if let Some(pipe) = &mut s.persistence.pipe {
        pipe.made = made;
        pump(s, out);
    }
}

/// Hands on what the child has made, part by part, as fast as the slowest replica takes it.
pub(super) fn pump(s: &mut Server, out: &mut Outbox) {
    let Some(mut pipe) = s.persistence.pipe.take() else { return };
    let now = s.now.unix.secs();
    loop {
        let mut blocked = false;
        for &fd in &pipe.replicas {
            let Some(replica) = s.repl.replicas.iter_mut().find(|replica| replica.fd == fd) else { continue };
            let Some(session) = s.sessions.get_mut(fd) else { continue };
            let count = (pipe.handed - replica.piped).min(session.room);
            if count > 0 {
                out.send(fd, pipe.data.slice(replica.piped..replica.piped + count));
                replica.piped += count;
                session.room -= count;
                session.net_out += count as u64;
                s.stats.net_repl_out += count as u64;
            }
            replica.last_partial_write = 0;
            if replica.piped < pipe.handed {
                blocked = true;
                replica.last_partial_write = now;
                if !session.flags.has(Flags::AWAITS_ROOM) {
                    session.flags.set(Flags::AWAITS_ROOM);
                    out.await_writable(fd);
                }
            }
        }
        if blocked || pipe.handed == pipe.made {
            break;
        }
        pipe.handed = pipe.made.min(pipe.handed + PIPE_READ);
    }
    let drained = pipe.replicas.iter().all(|&fd| {
        s.repl.replicas.iter().find(|replica| replica.fd == fd).is_none_or(|replica| replica.piped == pipe.data.len())
    });
    let done = drained && pipe.handed == pipe.data.len();
    let still_up = pipe.replicas.len();
    s.persistence.pipe = Some(pipe);
    if done {
        s.warn(out, || format!("Diskless rdb transfer, done reading from pipe, {still_up} replicas still up."));
        persistence::pipe_drained(s, out);
    }
}

/// A replica went while its RDB was being made.
pub(super) fn waiting_replica_gone(s: &mut Server, out: &mut Outbox) {
    let alive = |s: &Server, fd: Fd| s.repl.replicas.iter().any(|replica| replica.fd == fd);
    if let Some(mut pipe) = s.persistence.pipe.take() {
        pipe.replicas.retain(|&fd| alive(s, fd));
        let nobody = pipe.replicas.is_empty();
        s.persistence.pipe = Some(pipe);
        if nobody {
            s.warn(out, || "Diskless rdb transfer, last replica dropped, killing fork child.".to_owned());
            persistence::kill_child(s, out);
        } else {
            pump(s, out);
        }
    } else if s.config.save.is_empty()
        && persistence::child_kind(s) == Some(ChildKind::Disk)
        && !s.repl.replicas.iter().any(|replica| replica.state == State::WaitBgsaveEnd)
    {
        // Nobody waits for the file, and it isn't wanted for itself.
        persistence::kill_child(s, out);
    }
}

/// A child is done (`updateSlavesWaitingBgsave`). `file` is the RDB when it succeeded.
pub(crate) fn child_done(s: &mut Server, kind: ChildKind, file: Option<&Bytes>, out: &mut Outbox) {
    let waiting: Vec<Fd> = s
        .repl
        .replicas
        .iter()
        .filter(|replica| replica.state == State::WaitBgsaveEnd)
        .map(|replica| replica.fd)
        .collect();
    for fd in waiting {
        let Some(index) = s.repl.replicas.iter().position(|replica| replica.fd == fd) else { continue };
        match (file, kind) {
            (None, _) => {
                s.warn(out, || "SYNC failed. BGSAVE child returned an error".to_owned());
                master::close_replica_later(s, fd, LinkDownWhy::SyncFailed);
            }
            (Some(_), ChildKind::Socket) => {
                s.notice(out, || {
                    let who = master::shown(s, &s.repl.replicas[index]);
                    format!(
                        "Streamed RDB transfer with replica {who} succeeded (socket). Waiting for REPLCONF ACK from slave to \
                         enable streaming"
                    )
                });
                if master::put_online(s, index, out) {
                    s.repl.replicas[index].start_on_ack = true;
                } else {
                    master::close_replica_later(s, fd, LinkDownWhy::Reconfigured);
                }
            }
            (Some(file), ChildKind::Disk) => {
                let mut bulk = bytes::BytesMut::with_capacity(file.len() + 16);
                bulk.extend_from_slice(format!("${}\r\n", file.len()).as_bytes());
                bulk.extend_from_slice(file);
                s.repl.replicas[index].state = State::SendBulk(bulk.freeze(), 0);
                s.sessions.want_write(fd);
            }
            (Some(_), ChildKind::Aof) => unreachable!("nobody waits for the base of an append-only file"),
        }
    }
}

/// Sends what fits of the file; true when the replica is online now.
pub(super) fn send_bulk(s: &mut Server, index: usize, out: &mut Outbox) -> bool {
    let replica = &mut s.repl.replicas[index];
    let fd = replica.fd;
    let State::SendBulk(bulk, sent) = &mut replica.state else { return true };
    let Some(session) = s.sessions.get_mut(fd) else { return false };
    let count = (bulk.len() - *sent).min(session.room);
    if count > 0 {
        out.send(fd, bulk.slice(*sent..*sent + count));
        *sent += count;
        session.room -= count;
        session.net_out += count as u64;
        s.stats.net_repl_out += count as u64;
    }
    if *sent < bulk.len() {
        if !session.flags.has(Flags::AWAITS_ROOM) {
            session.flags.set(Flags::AWAITS_ROOM);
            out.await_writable(fd);
        }
        return false;
    }
    if !master::put_online(s, index, out) {
        master::close_replica_later(s, fd, LinkDownWhy::Reconfigured);
        return false;
    }
    true
}

/// Newlines for replicas that wait: they would take silence for a dead master.
pub(super) fn send_newlines(s: &mut Server, out: &mut Outbox) {
    let to_sockets = persistence::child_kind(s) == Some(ChildKind::Socket);
    let waiting: Vec<Fd> = s
        .repl
        .replicas
        .iter()
        .filter(|replica| replica.waits() && !(replica.state == State::WaitBgsaveEnd && to_sockets))
        .map(|replica| replica.fd)
        .collect();
    for fd in waiting {
        master::write_now(s, fd, Bytes::from_static(b"\n"), out);
    }
}

/// When a replica that waits needs the cron: at each of its runs.
pub(super) fn cron_need(s: &Server) -> Option<Instant> {
    s.repl.replicas.iter().any(master::Replica::waits).then_some(s.now.mono)
}

/// The backlog has had no reader for longer than it is kept: it goes, and with it the history's name.
pub(super) fn free_idle_backlog(s: &mut Server, out: &mut Outbox) {
    let idle = s.now.unix.secs().saturating_sub(s.repl.no_replicas_since);
    let ttl = s.config.repl_backlog_ttl;
    if ttl > 0 && idle > ttl && s.repl.replicas.is_empty() && s.repl.follows.is_none() && s.repl.backlog.is_some() {
        history::renew(s, out);
        s.repl.backlog = None;
        s.notice(out, || format!("Replication backlog freed after {ttl} seconds without connected replicas."));
    }
}
