//! The link to our master: connecting, the handshake, the stream, losing it (`syncWithMaster`, `replicationCacheMaster`).

use bytes::{Bytes, BytesMut};

use super::transfer::{self, Transfer};
use super::{CachedMaster, failover, history, master};
use crate::id::{Addr, Fd, HexId};
use crate::node::{CloseWhy, Outbox, RefusedWhy};
use crate::resp::{Args, bytes_of, encode};
use crate::server::Server;
use crate::server::acl::UserId;
use crate::server::session::{Flags, Session};
use crate::trace::Kind;
use crate::trace::event::{HistoryWhy, LinkDownWhy, LinkState, ServerEvent, SyncKind};

/// Longest line of a handshake that is waited for.
const LINE_MAX: usize = 64 * 1024;

/// Which answer of the handshake comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To PING.
    Ping,
    /// To AUTH.
    Auth,
    /// To REPLCONF listening-port.
    Port,
    /// To REPLCONF ip-address.
    Address,
    /// To REPLCONF capa.
    Capabilities,
    /// To PSYNC.
    Psync,
}

/// A connection to the master that is not a session yet.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(super) fd: Fd,
    pub(super) local: Addr,
    pub(super) peer: Addr,
    /// The answer that is awaited.
    step: Step,
    pub(super) unread: BytesMut,
}

/// The connected master.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    /// Its session.
    pub(crate) fd: Fd,
    /// The stream's replication id, as a later PSYNC will ask for it.
    replid: HexId,
    /// What the stream's offset was before the session's first byte.
    base: u64,
    /// The offset that has been applied (`reploff`); inside a transaction that of its beginning.
    pub(crate) applied: u64,
    /// What a transaction that is being received consists of so far.
    transaction: BytesMut,
}

impl Master {
    /// The offset up to which the stream has arrived (`read_reploff`).
    pub(super) fn read(&self, session: &Session) -> u64 {
        self.base + session.reader.consumed() + session.reader.unread() as u64
    }
}

/// The link to the master (`repl_state`).
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// A master has none.
    None,
    /// To be opened at the next run of the cron.
    Connect,
    /// A connection is being opened.
    Connecting(Fd, Addr),
    /// Requests and answers before the synchronisation.
    Handshake(Handshake),
    /// A full synchronisation.
    Transfer(Box<Transfer>),
    /// Streaming.
    Connected(Master),
}

impl Link {
    pub(super) fn state(&self) -> LinkState {
        match self {
            Link::None => LinkState::None,
            Link::Connect => LinkState::Connect,
            Link::Connecting(..) => LinkState::Connecting,
            Link::Handshake(_) => LinkState::Handshake,
            Link::Transfer(_) => LinkState::Transfer,
            Link::Connected(_) => LinkState::Connected,
        }
    }

    /// The descriptor, unless the link is a session or closed.
    fn fd(&self) -> Option<Fd> {
        match self {
            Link::None | Link::Connect | Link::Connected(_) => None,
            Link::Connecting(fd, _) => Some(*fd),
            Link::Handshake(handshake) => Some(handshake.fd),
            Link::Transfer(transfer) => transfer.fd,
        }
    }
}

/// The only way to change the link's state: the trace is told.
pub(super) fn set_state(s: &mut Server, link: Link, why: Option<LinkDownWhy>, out: &mut Outbox) {
    let before = s.repl.link.state();
    s.repl.link = link;
    let state = s.repl.link.state();
    if state != before || why.is_some() {
        out.note(Kind::Server(ServerEvent::Link { state, why }));
    }
}

/// `connectWithMaster`. Stays in the state "connect" when the name can't be resolved.
pub(super) fn connect(s: &mut Server, out: &mut Outbox) {
    let Some(follows) = &s.repl.follows else { return };
    let Some(ip) = history::resolve(s, &follows.host) else { return };
    let to = Addr::new(ip, follows.port);
    let fd = out.connect(to);
    s.notice(out, || "MASTER <-> REPLICA sync started".to_owned());
    s.repl.last_io = s.now.unix.secs();
    set_state(s, Link::Connecting(fd, to), None, out);
}

/// Why a failover was aborted whose target doesn't take over.
const REJECTED: &str = "Failover target rejected psync request";

/// `cancelReplicationHandshake` without a new attempt: true when there was something to cancel.
pub(super) fn cancel_handshake(s: &mut Server, why: LinkDownWhy, out: &mut Outbox) -> bool {
    let Some(fd) = s.repl.link.fd() else { return false };
    out.close(fd);
    set_state(s, Link::Connect, Some(why), out);
    true
}

/// `cancelReplicationHandshake` with a new attempt at once.
pub(super) fn restart_handshake(s: &mut Server, why: LinkDownWhy, out: &mut Outbox) {
    if cancel_handshake(s, why, out) {
        connect(s, out);
    }
}

/// The error path of `syncWithMaster`: the next run of the cron tries again.
fn give_up(s: &mut Server, why: LinkDownWhy, out: &mut Outbox) {
    cancel_handshake(s, why, out);
}

/// A connection of this module is established: PING.
pub(crate) fn on_connected(s: &mut Server, fd: Fd, local: Addr, out: &mut Outbox) {
    let Link::Connecting(own, peer) = s.repl.link else { return };
    if own != fd {
        return;
    }
    let handshake = Handshake { fd, local, peer, step: Step::Ping, unread: BytesMut::new() };
    set_state(s, Link::Handshake(handshake), None, out);
    s.notice(out, || "Non blocking connect for SYNC fired the event.".to_owned());
    out.send(fd, Bytes::from_static(b"*1\r\n$4\r\nPING\r\n"));
}

/// A connection of this module failed.
pub(crate) fn on_refused(s: &mut Server, fd: Fd, _why: RefusedWhy, out: &mut Outbox) {
    if s.repl.link.fd() == Some(fd) {
        s.warn(out, || "Error condition on socket for SYNC: Connection refused".to_owned());
        set_state(s, Link::Connect, Some(LinkDownWhy::Lost), out);
    }
}

/// A connection of this module is gone.
pub(crate) fn on_closed(s: &mut Server, fd: Fd, _why: CloseWhy, out: &mut Outbox) {
    if s.repl.link.fd() != Some(fd) {
        return;
    }
    let asked = matches!(s.repl.link, Link::Handshake(Handshake { step: Step::Psync, .. }));
    if let Link::Transfer(transfer) = &mut s.repl.link {
        if transfer.loading {
            // The file is complete and is loaded to its end; only then is the loss noticed.
            transfer.fd = None;
            return;
        }
        s.warn(out, || "I/O error trying to sync with MASTER: connection lost".to_owned());
        set_state(s, Link::Connect, Some(LinkDownWhy::Lost), out);
        return connect(s, out);
    }
    set_state(s, Link::Connect, Some(LinkDownWhy::Lost), out);
    if asked && s.repl.failover.in_progress() {
        s.notice(out, || "Master did not reply to PSYNC, will try later".to_owned());
        failover::abort(s, REJECTED, out);
    }
}

/// A connection of this module takes bytes again: what it sends is short and never waits.
pub(crate) fn on_writable(_s: &mut Server, _fd: Fd, _room: usize, _out: &mut Outbox) {}

/// Bytes for a connection of this module.
pub(crate) fn on_bytes(s: &mut Server, fd: Fd, data: Bytes, out: &mut Outbox) {
    if s.repl.link.fd() != Some(fd) {
        return;
    }
    s.stats.net_repl_in += data.len() as u64;
    match &mut s.repl.link {
        Link::None | Link::Connect | Link::Connecting(..) | Link::Connected(_) => {}
        Link::Handshake(handshake) => {
            handshake.unread.extend_from_slice(&data);
            read_answers(s, out);
        }
        Link::Transfer(_) => transfer::receive(s, data, out),
    }
}

/// Takes a line off the front, without its end.
pub(super) fn take_line(unread: &mut BytesMut) -> Option<Bytes> {
    let end = unread.iter().position(|&byte| byte == b'\n')?;
    let line = unread.split_to(end + 1).freeze();
    let line = line.slice(..end);
    Some(if line.ends_with(b"\r") { line.slice(..end - 1) } else { line })
}

fn read_answers(s: &mut Server, out: &mut Outbox) {
    loop {
        let Link::Handshake(handshake) = &mut s.repl.link else { return };
        let step = handshake.step;
        let Some(line) = take_line(&mut handshake.unread) else {
            if handshake.unread.len() > LINE_MAX {
                give_up(s, LinkDownWhy::Protocol, out);
            }
            return;
        };
        s.repl.last_io = s.now.unix.secs();
        match step {
            Step::Ping => on_pong(s, &line, out),
            Step::Auth if line.starts_with(b"-") => {
                s.warn(out, || format!("Unable to AUTH to MASTER: {}", String::from_utf8_lossy(&line)));
                return give_up(s, LinkDownWhy::Protocol, out);
            }
            Step::Auth => next_step(s, Step::Port),
            // Errors are not critical: older masters know less of REPLCONF.
            Step::Port if s.config.replica_announce_ip.is_empty() => next_step(s, Step::Capabilities),
            Step::Port => next_step(s, Step::Address),
            Step::Address => next_step(s, Step::Capabilities),
            Step::Capabilities => send_psync(s, out),
            Step::Psync => on_psync_answer(s, &line, out),
        }
    }
}

fn next_step(s: &mut Server, step: Step) {
    if let Link::Handshake(handshake) = &mut s.repl.link {
        handshake.step = step;
    }
}

fn on_pong(s: &mut Server, line: &[u8], out: &mut Outbox) {
    let accepted: [&[u8]; 4] = [b"+", b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted"];
    if !accepted.iter().any(|start| line.starts_with(start)) {
        s.warn(out, || format!("Error reply to PING from master: '{}'", String::from_utf8_lossy(line)));
        return give_up(s, LinkDownWhy::Protocol, out);
    }
    s.notice(out, || "Master replied to PING, replication can continue...".to_owned());
    let Link::Handshake(Handshake { fd, .. }) = s.repl.link else { return };
    let config = &s.config;
    let mut requests = BytesMut::new();
    let auth = !config.masterauth.is_empty();
    if auth {
        let (user, password) = (bytes_of(&config.masteruser), bytes_of(&config.masterauth));
        if user.is_empty() {
            encode::command(&mut requests, &[b"AUTH", &password]);
        } else {
            encode::command(&mut requests, &[b"AUTH", &user, &password]);
        }
    }
    let announced = config.replica_announce_port;
    let port = if announced != 0 { announced } else { u64::from(s.init.addr.port) };
    encode::command(&mut requests, &[b"REPLCONF", b"listening-port", port.to_string().as_bytes()]);
    if !config.replica_announce_ip.is_empty() {
        encode::command(&mut requests, &[b"REPLCONF", b"ip-address", &bytes_of(&config.replica_announce_ip)]);
    }
    encode::command(&mut requests, &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
    out.send(fd, requests.freeze());
    next_step(s, if auth { Step::Auth } else { Step::Port });
}

/// The writing half of `slaveTryPartialResynchronization`.
fn send_psync(s: &mut Server, out: &mut Outbox) {
    let Link::Handshake(Handshake { fd, .. }) = s.repl.link else { return };
    let (replid, offset) = match &s.repl.cached {
        Some(cached) => (cached.replid.to_string(), (cached.offset + 1).to_string()),
        None => ("?".to_owned(), "-1".to_owned()),
    };
    s.notice(out, || match &s.repl.cached {
        Some(_) => format!("Trying a partial resynchronization (request {replid}:{offset})."),
        None => "Partial resynchronization not possible (no cached master)".to_owned(),
    });
    let mut parts: Vec<&[u8]> = vec![b"PSYNC", replid.as_bytes(), offset.as_bytes()];
    if s.repl.failover.in_progress() {
        parts.push(b"FAILOVER");
    }
    let mut request = BytesMut::new();
    encode::command(&mut request, &parts);
    out.send(fd, request.freeze());
    next_step(s, Step::Psync);
}

/// The reading half of `slaveTryPartialResynchronization`, and what `syncWithMaster` makes of it.
fn on_psync_answer(s: &mut Server, line: &[u8], out: &mut Outbox) {
    if line.is_empty() {
        // The master keeps the connection alive until it can answer.
        return;
    }
    let full = line.starts_with(b"+FULLRESYNC");
    let goes_on = line.starts_with(b"+CONTINUE") && s.repl.cached.is_some();
    if s.repl.failover.in_progress() {
        if full || goes_on {
            failover::clear(s);
        } else {
            // The target refused: this server takes its role back, which drops the link.
            return failover::abort(s, REJECTED, out);
        }
    }
    if full {
        s.notice(out, || {
            let position = String::from_utf8_lossy(line.get(12..).unwrap_or_default()).replace(' ', ":");
            format!("Full resync from master: {position}")
        });
        transfer::begin(s, full_resync_position(line), out);
    } else if goes_on {
        continue_stream(s, line, out);
    } else if line.starts_with(b"-NOMASTERLINK") || line.starts_with(b"-LOADING") {
        give_up(s, LinkDownWhy::SyncFailed, out);
    } else {
        if let Link::Handshake(Handshake { fd, .. }) = s.repl.link {
            out.send(fd, Bytes::from_static(b"SYNC\r\n"));
        }
        transfer::begin(s, None, out);
    }
}

/// The id and offset of `+FULLRESYNC <replid> <offset>`.
fn full_resync_position(line: &[u8]) -> Option<(HexId, u64)> {
    let mut words = line.split(|&byte| byte == b' ').skip(1);
    let replid = HexId::parse(words.next()?)?;
    let offset = std::str::from_utf8(words.next()?).ok()?.trim_end().parse().ok()?;
    Some((replid, offset))
}

/// `+CONTINUE`: the stream goes on where the cached master left it (`replicationResurrectCachedMaster`).
fn continue_stream(s: &mut Server, line: &[u8], out: &mut Outbox) {
    s.notice(out, || "Successful partial resynchronization with master.".to_owned());
    let mut cached = s.repl.cached.take().expect("the caller has looked");
    let renamed = line.get(10..).and_then(HexId::parse).filter(|&replid| replid != cached.replid);
    if let Some(replid) = renamed {
        s.warn(out, || format!("Master replication ID changed to {replid}"));
        // The first id is the cached master's even if this server has had another one since.
        s.repl.replid = cached.replid;
        history::shift(s, replid, HistoryWhy::PartialSync, out);
        cached.replid = replid;
        master::disconnect_replicas(s, LinkDownWhy::Reconfigured, out);
    }
    let Link::Handshake(handshake) = std::mem::replace(&mut s.repl.link, Link::Connect) else {
        unreachable!("answers are read during the handshake only")
    };
    history::ensure_backlog(s);
    let Handshake { fd, local, peer, unread, .. } = handshake;
    materialise(s, fd, (peer, local), cached, out);
    s.notice(out, || "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.".to_owned());
    out.note(Kind::Server(ServerEvent::Synced { kind: SyncKind::Partial, offset: s.repl.offset }));
    feed_session(s, fd, unread.freeze(), out);
}

/// `replicationCreateMasterClient`: the link becomes a session whose requests are the stream.
pub(super) fn materialise(s: &mut Server, fd: Fd, ends: (Addr, Addr), at: CachedMaster, out: &mut Outbox) {
    let now = s.now.unix;
    let session = s.sessions.insert_as(at.client, fd, ends.0, ends.1, now);
    session.flags.set(Flags::MASTER);
    (session.user, session.authenticated) = (UserId::SUPERUSER, true);
    session.db = at.db;
    s.repl.down_since = 0;
    let master = Master { fd, replid: at.replid, base: at.offset, applied: at.offset, transaction: BytesMut::new() };
    set_state(s, Link::Connected(master), None, out);
}

/// Executes what arrived behind the handshake's last answer.
pub(super) fn feed_session(s: &mut Server, fd: Fd, data: Bytes, out: &mut Outbox) {
    if let Some(session) = s.sessions.get_mut(fd).filter(|_| !data.is_empty()) {
        session.reader.feed(data);
        s.process_input(fd, out);
    }
}

/// A request of our master was executed (or queued inside MULTI); empty for an empty line. What was applied goes on to
/// the sub-replicas and the backlog, byte for byte (`commandProcessed`).
pub(crate) fn command_processed(s: &mut Server, fd: Fd, args: &Args, _out: &mut Outbox) {
    let Some(session) = s.sessions.get(fd) else { return };
    let Link::Connected(master) = &mut s.repl.link else { return };
    if master.fd != fd || session.flags.has(Flags::BLOCKED) {
        return;
    }
    let read = master.base + session.reader.consumed();
    let raw: &[u8] = match args.raw() {
        Some(raw) if !args.is_empty() => raw,
        // An empty line keeps the connection alive.
        Some(_) | None => b"\n",
    };
    if session.flags.has(Flags::MULTI) {
        master.transaction.extend_from_slice(raw);
        return;
    }
    let count = usize::try_from(read - master.applied).expect("applied bytes were in memory");
    master.applied = read;
    if master.transaction.is_empty() && raw.len() == count {
        master::feed_raw(s, raw);
    } else {
        let mut bytes = std::mem::take(&mut master.transaction);
        bytes.extend_from_slice(raw);
        bytes.resize(count, b'\n');
        master::feed_raw(s, &bytes);
    }
}

/// `replicationSendAck`: tells the master what has been applied.
pub(crate) fn send_ack(s: &mut Server) {
    let Link::Connected(master) = &s.repl.link else { return };
    let (fd, applied) = (master.fd, master.applied);
    let Some(session) = s.sessions.get_mut(fd) else { return };
    encode::command(session.reply.tail(), &[b"REPLCONF", b"ACK", applied.to_string().as_bytes()]);
    s.sessions.want_write(fd);
}

/// Closes the connection to the master, if there is one. What was applied is remembered.
pub(super) fn drop_master(s: &mut Server, why: LinkDownWhy, out: &mut Outbox) {
    if let Link::Connected(master) = &s.repl.link {
        let fd = master.fd;
        lose(s, fd, why, out);
    }
}

/// Closes the master's session for a reason of our own.
pub(super) fn lose(s: &mut Server, fd: Fd, why: LinkDownWhy, out: &mut Outbox) {
    if s.sessions.get(fd).is_none() {
        return;
    }
    s.repl.closing_why = Some(why);
    s.close_session(fd, out);
    s.repl.closing_why = None;
}

/// The master's session is gone (`replicationCacheMaster`, `replicationHandleMasterDisconnection`).
pub(super) fn master_gone(s: &mut Server, session: &Session, why: LinkDownWhy, out: &mut Outbox) {
    let Link::Connected(master) = &s.repl.link else { return };
    if master.fd != session.fd {
        return;
    }
    // After a protocol error what was applied can't be trusted, and a command that a pause holds back is lost: there is
    // nothing to continue from.
    let broken = session.flags.has(Flags::CLOSE_AFTER_REPLY);
    let cacheable = !broken && !session.flags.has(Flags::BLOCKED);
    let cached = CachedMaster { replid: master.replid, offset: master.applied, db: session.db, client: session.id };
    s.repl.cached = cacheable.then_some(cached);
    let why = s.repl.closing_why.unwrap_or(if broken { LinkDownWhy::Protocol } else { why });
    s.repl.down_since = s.now.unix.secs();
    s.warn(out, || "Connection with master lost.".to_owned());
    if cacheable {
        s.notice(out, || "Caching the disconnected master state.".to_owned());
    }
    set_state(s, Link::Connect, Some(why), out);
    if let Some(follows) = &s.repl.follows {
        s.notice(out, || format!("Reconnecting to MASTER {}:{}", follows.host, follows.port));
        connect(s, out);
    }
}
