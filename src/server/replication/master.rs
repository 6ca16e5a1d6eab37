//! This server as a master: its replicas, what they get of the stream, and the decision between a partial and a full
//! resynchronisation (`masterTryPartialResynchronization`, `replicationFeedSlaves`).

use bytes::{Bytes, BytesMut};

use super::backlog::{Backlog, Cursor};
use super::{history, sync};
use crate::id::{Addr, Fd, HexId, Ip};
use crate::node::Outbox;
use crate::resp::encode;
use crate::server::Server;
use crate::server::info::Text;
use crate::server::session::{Flags, Session};
use crate::trace::Kind;
use crate::trace::event::{LinkDownWhy, RefusePsync, ServerEvent, SyncKind};

/// Longer pieces of a command decide the size of the block that they start, so they are fed one by one.
const PIECE: usize = 16 * 1024;

/// How far a replica's synchronisation is (`SLAVE_STATE_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for an RDB to be begun.
    WaitBgsaveStart,
    /// Its RDB is being made; the stream accumulates.
    WaitBgsaveEnd,
    /// Its RDB is being sent from the disk: the file with its first line, and how much of it has been sent.
    SendBulk(Bytes, usize),
    /// Gets the stream.
    Online,
    /// Wanted the RDB only and has it.
    RdbTransmitted,
}

/// What a connection has said of itself with REPLCONF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    /// `listening-port`
    pub(crate) port: u64,
    /// `ip-address`
    pub(crate) address: Option<Bytes>,
    /// `capa eof`
    pub(crate) eof: bool,
    /// `capa psync2`
    pub(crate) psync2: bool,
    /// `rdb-only`
    pub(crate) rdb_only: bool,
    /// `rdb-filter-only`: what it wants.
    pub(crate) filter: sync::Filter,
}

/// A replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// Its session.
    pub(crate) fd: Fd,
    pub(crate) state: State,
    pub(crate) announced: Announced,
    /// Where it reads in the replication buffer; `None` until something was fed since it joined.
    pub(super) cursor: Option<Cursor>,
    /// The offset that its FULLRESYNC named (`psync_initial_offset`).
    pub(super) initial_offset: u64,
    /// What it has acknowledged (`repl_ack_off`).
    pub(crate) acked: u64,
    /// When it last did, in wall-clock seconds.
    pub(crate) ack_time: u64,
    /// The stream begins with its next acknowledgement (`repl_start_cmd_stream_on_ack`).
    pub(super) start_on_ack: bool,
    /// Since when its buffer has been over the soft limit, in wall-clock seconds; 0: it isn't.
    soft_limit_since: u64,
    /// How much of the current pipe's file it has been sent.
    pub(super) piped: usize,
    /// When its socket last took less than there was, in wall-clock seconds; 0: it never did.
    pub(super) last_partial_write: u64,
    /// It used SYNC.
    pub(super) pre_psync: bool,
    /// As the trace names it.
    pub(super) name: Addr,
    /// Why this server closes it, once it does.
    closing: Option<LinkDownWhy>,
}

impl Replica {
    /// Gets (or soon gets) the stream.
    pub(crate) fn is_online(&self) -> bool {
        self.state == State::Online
    }

    /// Its part of the replication buffer was over the soft limit when that was last looked at.
    pub(super) fn is_over_soft_limit(&self) -> bool {
        self.soft_limit_since != 0
    }

    /// Waits for an RDB, or for the end of one.
    pub(super) fn waits(&self) -> bool {
        matches!(self.state, State::WaitBgsaveStart | State::WaitBgsaveEnd)
    }

    /// Its synchronisation may need the file on the disk.
    pub(crate) fn needs_file(&self) -> bool {
        self.waits() || matches!(self.state, State::SendBulk(..))
    }

    /// `canFeedReplicaReplBuffer`
    fn is_fed(&self) -> bool {
        !self.announced.rdb_only && self.state != State::WaitBgsaveStart
    }

    /// As INFO and ROLE show its address.
    pub(crate) fn address(&self, session: &Session) -> String {
        self.announced.address(session)
    }
}

impl Announced {
    fn address(&self, session: &Session) -> String {
        match &self.address {
            Some(text) => String::from_utf8_lossy(text).into_owned(),
            None => session.addr.ip.to_string(),
        }
    }

    /// The same into a text that goes on.
    pub(super) fn write_address(&self, session: &Session, t: &mut Text) {
        match &self.address {
            Some(text) => t.lit(&String::from_utf8_lossy(text)),
            None => t.ip(session.addr.ip),
        };
    }

    /// Whose it is, as the log names it (`replicationGetSlaveName`).
    fn shown(&self, session: Option<&Session>) -> String {
        let address = session.map(|session| self.address(session)).unwrap_or_default();
        match self.port {
            0 => format!("{address}:<unknown-replica-port>"),
            port => format!("{address}:{port}"),
        }
    }
}

/// A replica as the log names it.
pub(super) fn shown(s: &Server, replica: &Replica) -> String {
    replica.announced.shown(s.sessions.get(replica.fd))
}

/// The log's lines on replicas that a shutdown doesn't wait for any longer.
pub(crate) fn log_lagging(s: &Server, out: &mut Outbox) {
    let (mut in_sync, all) = (0, s.repl.replicas.len());
    for replica in &s.repl.replicas {
        if replica.acked == s.repl.offset {
            in_sync += 1;
            continue;
        }
        s.notice(out, || {
            let (who, behind) = (shown(s, replica), s.repl.offset.saturating_sub(replica.acked));
            let lag = s.now.unix.secs().saturating_sub(replica.ack_time);
            let state = if replica.is_online() { "online" } else { "wait_bgsave" };
            format!("Lagging replica {who} reported offset {behind} behind master, lag={lag}, state={state}.")
        });
    }
    if all > 0 {
        s.notice(out, || format!("{in_sync} of {all} replicas are in sync when shutting down."));
    }
}

/// Words enter the stream as they are (DEBUG REPLICATE), if anybody reads it.
pub(crate) fn feed_bare(s: &mut Server, bytes: &[u8]) {
    if s.repl.wants_stream() {
        let db = s.repl.stream_db.unwrap_or(0);
        feed(s, db, bytes);
    }
}

/// A command enters the stream (`replicationFeedSlaves`).
pub(crate) fn feed(s: &mut Server, db: u32, bytes: &[u8]) {
    if s.repl.stream_db != Some(db) {
        let mut select = BytesMut::new();
        encode::command(&mut select, &[b"SELECT", db.to_string().as_bytes()]);
        feed_raw(s, &select);
        s.repl.stream_db = Some(db);
    }
    if bytes.len() <= PIECE {
        return feed_raw(s, bytes);
    }
    // The array's header, then each argument's header, text and line end: as Redis feeds them.
    let mut at = line_end(bytes, 0);
    feed_raw(s, &bytes[..at]);
    while at < bytes.len() {
        let text = line_end(bytes, at);
        let len = crate::resp::parse_i64(&bytes[at + 1..text - 2]).and_then(|len| usize::try_from(len).ok());
        let end = text + len.expect("commands in the stream are well formed");
        feed_raw(s, &bytes[at..text]);
        feed_raw(s, &bytes[text..end]);
        feed_raw(s, &bytes[end..end + 2]);
        at = end + 2;
    }
}

/// Where the line that begins at `at` ends, behind its line feed.
fn line_end(bytes: &[u8], at: usize) -> usize {
    let len = bytes[at..].iter().position(|&byte| byte == b'\n').expect("commands in the stream are well formed");
    at + len + 1
}

/// A command that touches no database: PING, REPLCONF GETACK.
pub(super) fn feed_control(s: &mut Server, bytes: &[u8]) {
    if s.repl.wants_stream() {
        feed_raw(s, bytes);
    }
}

/// Bytes enter the stream as they are (`feedReplicationBuffer`).
pub(super) fn feed_raw(s: &mut Server, bytes: &[u8]) {
    let repl = &mut s.repl;
    let Some(backlog) = &mut repl.backlog else { return };
    let mut joining = 0;
    for replica in &repl.replicas {
        joining += u32::from(replica.cursor.is_none() && replica.is_fed());
    }
    let Some(fed) = backlog.feed(bytes, joining) else { return };
    repl.offset = backlog.end();
    let mut over_limit = false;
    for replica in repl.replicas.iter_mut().filter(|replica| replica.is_fed()) {
        replica.cursor.get_or_insert(fed.start);
        if replica.state == State::Online && !replica.start_on_ack {
            s.sessions.want_write(replica.fd);
        }
        over_limit |= fed.new_block;
    }
    if over_limit {
        check_output_limits(s);
    }
}

/// Drops replicas whose part of the replication buffer is too large (`closeClientOnOutputBufferLimitReached`).
pub(super) fn check_output_limits(s: &mut Server) {
    let limit = s.config.client_output_buffer_limit.replica;
    let now = s.now.unix.secs();
    let Some(backlog) = &s.repl.backlog else { return };
    // A limit below the backlog's size would drop replicas for what they don't cost.
    let hard = if limit.hard == 0 { 0 } else { limit.hard.max(s.config.repl_backlog_size) };
    let mut drop = Vec::new();
    for replica in s.repl.replicas.iter_mut().filter(|replica| replica.closing.is_none()) {
        let used = replica.cursor.map_or(0, |cursor| backlog.pinned(cursor));
        let mut over = hard > 0 && used >= hard;
        if limit.soft > 0 && used >= limit.soft {
            if replica.soft_limit_since == 0 {
                replica.soft_limit_since = now;
                // Ticks have something to look at from now on.
                s.plain = false;
            } else if now.saturating_sub(replica.soft_limit_since) > limit.soft_seconds {
                over = true;
            }
        } else {
            replica.soft_limit_since = 0;
        }
        if over {
            replica.closing = Some(LinkDownWhy::OutputBuffer);
            drop.push(replica.fd);
        }
    }
    for fd in drop {
        s.stats.output_buffer_drops += 1;
        s.close_later(fd);
    }
}

/// Sends a replica what fits of its RDB or of the stream.
pub(crate) fn flush(s: &mut Server, fd: Fd, out: &mut Outbox) {
    let Some(index) = s.repl.replicas.iter().position(|replica| replica.fd == fd) else { return };
    if matches!(s.repl.replicas[index].state, State::SendBulk(..)) && !sync::send_bulk(s, index, out) {
        return;
    }
    match s.repl.replicas[index].state {
        State::WaitBgsaveEnd => sync::pump(s, out),
        State::Online if !s.repl.replicas[index].start_on_ack => send_stream(s, index, out),
        State::Online | State::WaitBgsaveStart | State::SendBulk(..) | State::RdbTransmitted => {}
    }
}

fn send_stream(s: &mut Server, index: usize, out: &mut Outbox) {
    let repl = &mut s.repl;
    let (replica, Some(backlog)) = (&mut repl.replicas[index], &mut repl.backlog) else { return };
    let Some(session) = s.sessions.get_mut(replica.fd) else { return };
    let Some(cursor) = &mut replica.cursor else { return };
    while backlog.has_unread(*cursor) && session.room > 0 {
        let data = backlog.peek(*cursor, session.room);
        let count = data.len();
        if count > 0 {
            session.room -= count;
            session.net_out += count as u64;
            session.last_interaction = s.now.unix;
            s.stats.net_repl_out += count as u64;
            out.send(replica.fd, data);
        }
        backlog.advance(cursor, count);
    }
    if backlog.has_unread(*cursor) && !session.flags.has(Flags::AWAITS_ROOM) {
        session.flags.set(Flags::AWAITS_ROOM);
        out.await_writable(replica.fd);
    }
}

/// Writes past the output buffer, as `connWrite` does. False when the socket doesn't take it.
pub(super) fn write_now(s: &mut Server, fd: Fd, data: Bytes, out: &mut Outbox) -> bool {
    let Some(session) = s.sessions.get_mut(fd) else { return false };
    if session.room < data.len() {
        return false;
    }
    session.room -= data.len();
    session.net_out += data.len() as u64;
    s.stats.net_repl_out += data.len() as u64;
    out.send(fd, data);
    true
}

/// A connection asks to become a replica and names no offset: the log's lines.
pub(crate) fn log_wrong_offset(s: &Server, fd: Fd, out: &mut Outbox) {
    let session = s.sessions.at(fd);
    let who = session.announced.as_deref().cloned().unwrap_or_default().shown(Some(session));
    s.notice(out, || format!("Replica {who} asks for synchronization"));
    s.warn(out, || format!("Replica {who} asks for synchronization but with a wrong offset"));
}

/// A connection asks to become a replica: with PSYNC's id and offset, or with SYNC. The caller has checked that it may.
pub(crate) fn synchronise(s: &mut Server, fd: Fd, asked: Option<(&[u8], i64)>, out: &mut Outbox) {
    let session = s.sessions.at(fd);
    let who = || session.announced.as_deref().cloned().unwrap_or_default().shown(Some(session));
    s.notice(out, || format!("Replica {} asks for synchronization", who()));
    let Some((replid, offset)) = asked else { return full_resync(s, fd, RefusePsync::Fresh, true, out) };
    match try_partial(s, replid, offset) {
        Ok(offset) => continue_replica(s, fd, offset, out),
        Err(refused) => {
            log_refusal(s, (replid, offset), refused, who, out);
            s.stats.sync_partial_err += u64::from(refused != RefusePsync::Fresh);
            full_resync(s, fd, refused, false, out);
        }
    }
}

/// Why a replica can't go on from where it was.
fn log_refusal(
    s: &Server,
    (replid, offset): (&[u8], i64),
    refused: RefusePsync,
    who: impl Fn() -> String,
    out: &mut Outbox,
) {
    s.notice(out, || match refused {
        RefusePsync::Fresh => format!("Full resync requested by replica {}", who()),
        RefusePsync::OtherHistory => format!(
            "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{}', my replication IDs are \
             '{}' and '{}')",
            String::from_utf8_lossy(replid),
            s.repl.replid,
            s.repl.replid2
        ),
        RefusePsync::Diverged => format!(
            "Partial resynchronization not accepted: Requested offset for second ID was {offset}, but I can reply up to {}",
            s.repl.second_offset.and_then(|end| i64::try_from(end).ok()).unwrap_or(-1)
        ),
        RefusePsync::NoBacklog | RefusePsync::BacklogTooShort | RefusePsync::Ahead => format!(
            "Unable to partial resync with replica {} for lack of backlog (Replica request was: {offset}).",
            who()
        ),
    });
    if i64::try_from(s.repl.offset).is_ok_and(|own| offset > own)
        && matches!(refused, RefusePsync::NoBacklog | RefusePsync::BacklogTooShort | RefusePsync::Ahead)
    {
        s.warn(out, || {
            format!(
                "Warning: replica {} tried to PSYNC with an offset that is greater than the master replication offset.",
                who()
            )
        });
    }
}

/// REPLCONF of a connection that may be a replica already.
pub(crate) fn announcement_changed(s: &mut Server, fd: Fd) {
    let Some(replica) = s.repl.replicas.iter_mut().find(|replica| replica.fd == fd) else { return };
    if let Some(announced) = s.sessions.get(fd).and_then(|session| session.announced.as_deref()) {
        replica.announced = announced.clone();
    }
}

/// PSYNC's decision: from which offset the stream can be continued, or why it can't.
fn try_partial(s: &Server, replid: &[u8], offset: i64) -> Result<u64, RefusePsync> {
    let same = |own: HexId| replid.eq_ignore_ascii_case(&own.hex());
    let (first, second) = (same(s.repl.replid), same(s.repl.replid2));
    let within_second = s.repl.second_offset.is_some_and(|end| i64::try_from(end).is_ok_and(|end| offset <= end))
        || s.repl.second_offset.is_none() && offset <= -1;
    if !(first || second && within_second) {
        return Err(match (replid.first(), second) {
            (Some(b'?'), _) => RefusePsync::Fresh,
            (_, true) => RefusePsync::Diverged,
            (_, false) => RefusePsync::OtherHistory,
        });
    }
    let Some(backlog) = &s.repl.backlog else { return Err(RefusePsync::NoBacklog) };
    match u64::try_from(offset) {
        Ok(offset) if backlog.covers(offset) => Ok(offset),
        Ok(offset) if offset > backlog.end() => Err(RefusePsync::Ahead),
        Ok(_) | Err(_) => Err(RefusePsync::BacklogTooShort),
    }
}

/// Makes a session a replica in the given state.
fn attach(s: &mut Server, fd: Fd, state: State, pre_psync: bool) -> usize {
    let now = s.now.unix.secs();
    let session = s.sessions.at_mut(fd);
    session.flags.set(Flags::REPLICA);
    if pre_psync {
        session.flags.set(Flags::PRE_PSYNC);
    }
    let announced = session.announced.as_deref().cloned().unwrap_or_default();
    let ip = announced.address.as_ref().and_then(|text| Ip::parse(std::str::from_utf8(text).ok()?));
    let port = u16::try_from(announced.port).ok().filter(|&port| port != 0);
    let name = Addr::new(ip.unwrap_or(session.addr.ip), port.unwrap_or(session.addr.port));
    s.repl.replicas.push(Replica {
        fd,
        state,
        announced,
        cursor: None,
        initial_offset: 0,
        acked: 0,
        ack_time: now,
        start_on_ack: false,
        soft_limit_since: 0,
        piped: 0,
        last_partial_write: 0,
        pre_psync,
        name,
        closing: None,
    });
    s.repl.replicas.len() - 1
}

/// The replica continues from `offset`.
fn continue_replica(s: &mut Server, fd: Fd, offset: u64, out: &mut Outbox) {
    let index = attach(s, fd, State::Online, false);
    let backlog: &mut Backlog = s.repl.backlog.as_mut().expect("a partial resynchronisation needs one");
    let (cursor, bytes) = backlog.attach(offset);
    let replica = &mut s.repl.replicas[index];
    replica.cursor = cursor;
    let (psync2, name) = (replica.announced.psync2, replica.name);
    let answer = if psync2 { format!("+CONTINUE {}\r\n", s.repl.replid) } else { "+CONTINUE\r\n".to_owned() };
    let event = ServerEvent::SyncGranted { replica: name, kind: SyncKind::Partial, refused: None, offset, bytes };
    out.note(Kind::Server(event));
    s.notice(out, || {
        let who = shown(s, &s.repl.replicas[index]);
        format!(
            "Partial resynchronization request from {who} accepted. Sending {bytes} bytes of backlog starting from offset \
             {offset}."
        )
    });
    write_now(s, fd, answer.into(), out);
    s.stats.sync_partial_ok += 1;
    out.note(Kind::Server(ServerEvent::ReplicaOnline { replica: name }));
    s.sessions.want_write(fd);
    refresh_good_replicas(s, out);
}

/// The replica needs everything: it is attached, and an RDB is begun, joined or waited for.
fn full_resync(s: &mut Server, fd: Fd, refused: RefusePsync, pre_psync: bool, out: &mut Outbox) {
    s.stats.sync_full += 1;
    if s.repl.replicas.is_empty() && s.repl.backlog.is_none() {
        history::renew(s, out);
        history::ensure_backlog(s);
        s.notice(out, || {
            let (first, second) = (s.repl.replid, s.repl.replid2);
            format!("Replication backlog created, my new replication IDs are '{first}' and '{second}'")
        });
    }
    let index = attach(s, fd, State::WaitBgsaveStart, pre_psync);
    let name = s.repl.replicas[index].name;
    sync::join_or_start(s, fd, out);
    let replica = s.repl.replicas.iter().find(|replica| replica.fd == fd);
    let offset = replica.filter(|replica| replica.state == State::WaitBgsaveEnd).map_or(0, |r| r.initial_offset);
    let event =
        ServerEvent::SyncGranted { replica: name, kind: SyncKind::Full, refused: Some(refused), offset, bytes: 0 };
    out.note(Kind::Server(event));
}

/// `replicaPutOnline`: false when it only wanted the RDB and is to be closed.
pub(super) fn put_online(s: &mut Server, index: usize, out: &mut Outbox) -> bool {
    let replica = &mut s.repl.replicas[index];
    if replica.announced.rdb_only {
        replica.state = State::RdbTransmitted;
        return false;
    }
    replica.state = State::Online;
    replica.ack_time = s.now.unix.secs();
    out.note(Kind::Server(ServerEvent::ReplicaOnline { replica: s.repl.replicas[index].name }));
    s.notice(out, || format!("Synchronization with replica {} succeeded", shown(s, &s.repl.replicas[index])));
    refresh_good_replicas(s, out);
    true
}

/// After REPLCONF ACK: an RDB that was streamed is known to have arrived, and the stream may begin.
pub(super) fn on_ack(s: &mut Server, fd: Fd, out: &mut Outbox) {
    let find = |s: &Server| s.repl.replicas.iter().position(|replica| replica.fd == fd);
    if find(s).is_some_and(|index| s.repl.replicas[index].state == State::WaitBgsaveEnd) {
        crate::server::persistence::check_children(s, out);
    }
    let Some(index) = find(s) else { return };
    let replica = &mut s.repl.replicas[index];
    if replica.start_on_ack && replica.is_online() {
        replica.start_on_ack = false;
        s.sessions.want_write(fd);
    }
}

/// A newline of a replica that loads says that it lives.
pub(crate) fn newline_from_replica(s: &mut Server, fd: Fd) {
    let now = s.now.unix.secs();
    if let Some(replica) = s.repl.replicas.iter_mut().find(|replica| replica.fd == fd) {
        replica.ack_time = now;
    }
}

/// Closes a replica for a reason of our own.
pub(super) fn close_replica(s: &mut Server, fd: Fd, why: LinkDownWhy, out: &mut Outbox) {
    if let Some(replica) = s.repl.replicas.iter_mut().find(|replica| replica.fd == fd) {
        replica.closing = Some(why);
    }
    s.close_session(fd, out);
}

/// Like [`close_replica`], at the end of the turn.
pub(super) fn close_replica_later(s: &mut Server, fd: Fd, why: LinkDownWhy) {
    if let Some(replica) = s.repl.replicas.iter_mut().find(|replica| replica.fd == fd) {
        replica.closing = Some(why);
    }
    s.close_later(fd);
}

/// `disconnectSlaves`
pub(super) fn disconnect_replicas(s: &mut Server, why: LinkDownWhy, out: &mut Outbox) {
    let fds: Vec<Fd> = s.repl.replicas.iter().map(|replica| replica.fd).collect();
    for fd in fds {
        close_replica(s, fd, why, out);
    }
}

/// A replica's session is gone.
pub(super) fn replica_gone(s: &mut Server, session: &Session, why: LinkDownWhy, out: &mut Outbox) {
    let Some(index) = s.repl.replicas.iter().position(|replica| replica.fd == session.fd) else { return };
    let replica = s.repl.replicas.remove(index);
    if let (Some(cursor), Some(backlog)) = (replica.cursor, &mut s.repl.backlog) {
        backlog.release(cursor);
    }
    if s.repl.replicas.is_empty() {
        s.repl.no_replicas_since = s.now.unix.secs();
    }
    let why = replica.closing.unwrap_or(why);
    out.note(Kind::Server(ServerEvent::ReplicaGone { replica: replica.name, why }));
    s.warn(out, || format!("Connection with replica {} lost.", replica.announced.shown(Some(session))));
    if replica.state == State::WaitBgsaveEnd {
        sync::waiting_replica_gone(s, out);
    }
    refresh_good_replicas(s, out);
}

/// `refreshGoodSlavesCount`
pub(super) fn refresh_good_replicas(s: &mut Server, out: &mut Outbox) {
    let (count, lag_max) = (s.config.min_replicas_to_write, s.config.min_replicas_max_lag);
    if count > 0 && lag_max > 0 {
        let now = s.now.unix.secs();
        let good = |replica: &&Replica| replica.is_online() && now.saturating_sub(replica.ack_time) <= lag_max;
        s.repl.good_replicas = s.repl.replicas.iter().filter(good).count() as u64;
    }
    let refused = !s.repl.enough_good_replicas(&s.config);
    if refused != s.repl.writes_refused {
        s.repl.writes_refused = refused;
        let good_replicas = u16::try_from(s.repl.good_replicas).unwrap_or(u16::MAX);
        out.note(Kind::Server(ServerEvent::WritesRefused { refused, good_replicas }));
    }
}
