//! A full synchronisation as the replica sees it: the file arrives, is kept, and replaces the dataset (`readSyncBulkPayload`).

use bytes::{Bytes, BytesMut};

use super::link::{self, Link, take_line};
use super::{CachedMaster, history, master};
use crate::id::{Addr, Fd, HexId};
use crate::node::{DiskError, DiskOp, Outbox};
use crate::server::config::DisklessLoad;
use crate::server::persistence::{self, loading::Staged, rdb::RdbError};
use crate::server::{Server, cost};
use crate::trace::Kind;
use crate::trace::event::{HistoryWhy, LinkDownWhy, ServerEvent, SyncKind};

/// Length of the mark that ends a file of unknown size.
const MARK: usize = 40;
/// Most that is set aside before any of a file has arrived.
const RESERVE_MAX: usize = 64 << 20;

/// How the end of the file is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its first line has not arrived.
    Unknown,
    /// That many bytes.
    Size(usize),
    /// This mark, and nothing behind it.
    Mark([u8; MARK]),
}

/// A file that is being received or loaded.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    /// The connection; `None` when it broke while the file was being loaded.
    pub(super) fd: Option<Fd>,
    local: Addr,
    peer: Addr,
    /// The history that the dataset will belong to; `None` after SYNC, which doesn't say.
    position: Option<(HexId, u64)>,
    end: End,
    /// Loaded as it comes, without a file on the disk.
    diskless: bool,
    /// The file, without its first line.
    data: BytesMut,
    /// It is complete and being loaded.
    pub(super) loading: bool,
    /// What came behind it.
    rest: BytesMut,
}

impl Transfer {
    /// Size as INFO shows it: -1 before the first line, 0 where a mark ends it.
    pub(super) fn size(&self) -> i64 {
        match self.end {
            End::Unknown => -1,
            End::Size(size) => i64::try_from(size).unwrap_or(i64::MAX),
            End::Mark(_) => 0,
        }
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.data.len() as u64
    }
}

/// `useDisklessLoad`
fn diskless_load(s: &Server) -> bool {
    match s.config.repl_diskless_load {
        DisklessLoad::Disabled => false,
        DisklessLoad::OnEmptyDb => s.keyspace.is_empty(),
        DisklessLoad::Swapdb => true,
    }
}

fn swaps(s: &Server, transfer: &Transfer) -> bool {
    transfer.diskless && s.config.repl_diskless_load == DisklessLoad::Swapdb
}

/// The master is going to send a file.
pub(super) fn begin(s: &mut Server, position: Option<(HexId, u64)>, out: &mut Outbox) {
    let diskless = diskless_load(s);
    let Link::Handshake(handshake) = &mut s.repl.link else { return };
    let unread = std::mem::take(&mut handshake.unread).freeze();
    let transfer = Transfer {
        fd: Some(handshake.fd),
        local: handshake.local,
        peer: handshake.peer,
        position,
        end: End::Unknown,
        diskless,
        data: BytesMut::new(),
        loading: false,
        rest: BytesMut::new(),
    };
    s.repl.last_io = s.now.unix.secs();
    link::set_state(s, Link::Transfer(Box::new(transfer)), None, out);
    receive(s, unread, out);
}

/// Bytes of the file, or of the lines before it.
pub(super) fn receive(s: &mut Server, data: Bytes, out: &mut Outbox) {
    if data.is_empty() {
        return;
    }
    let now = s.now.unix.secs();
    let Link::Transfer(transfer) = &mut s.repl.link else { return };
    let mut transfer = &mut **transfer;
    if transfer.loading {
        transfer.rest.extend_from_slice(&data);
        return;
    }
    transfer.data.extend_from_slice(&data);
    while transfer.end == End::Unknown {
        let Some(line) = take_line(&mut transfer.data) else { return };
        if line.is_empty() {
            s.repl.last_io = now;
            continue;
        }
        match parse_header(&line) {
            Ok(end) => transfer.end = end,
            Err(why) => {
                let line = String::from_utf8_lossy(&line).into_owned();
                s.warn(out, || match line.strip_prefix('-') {
                    Some(error) => format!("MASTER aborted replication with an error: {error}"),
                    None => format!(
                        "Bad protocol from MASTER, the first byte is not '$' (we received '{line}'), are you sure the host \
                         and port are right?"
                    ),
                });
                return link::restart_handshake(s, why, out);
            }
        }
        if let End::Size(size) = transfer.end {
            transfer.data.reserve(size.min(RESERVE_MAX).saturating_sub(transfer.data.len()));
        }
        let (end, to) = (transfer.end, if transfer.diskless { "to parser" } else { "to disk" });
        s.notice(out, || match end {
            End::Size(size) => format!("MASTER <-> REPLICA sync: receiving {size} bytes from master {to}"),
            End::Mark(_) | End::Unknown => {
                format!("MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF {to}")
            }
        });
        let Link::Transfer(again) = &mut s.repl.link else { return };
        transfer = &mut **again;
    }
    if !transfer.data.is_empty() {
        s.repl.last_io = now;
    }
    let complete = match transfer.end {
        End::Unknown => false,
        // It wants to read nothing of what comes, and takes that for the end of the stream.
        End::Size(0) if transfer.data.is_empty() => false,
        End::Size(0) => return link::restart_handshake(s, LinkDownWhy::SyncFailed, out),
        End::Size(size) => transfer.data.len() >= size,
        End::Mark(mark) => transfer.data.ends_with(&mark),
    };
    if complete {
        load(s, out);
    }
}

/// `$<size>` or `$EOF:<mark>`.
fn parse_header(line: &[u8]) -> Result<End, LinkDownWhy> {
    match line {
        [b'-', ..] => Err(LinkDownWhy::SyncFailed),
        [b'$', b'E', b'O', b'F', b':', mark @ ..] if mark.len() >= MARK => {
            Ok(End::Mark(mark[..MARK].try_into().expect("its length was looked at")))
        }
        [b'$', digits @ ..] => {
            // As `strtol` reads it: what is no number is none.
            let digits = digits.iter().map_while(|byte| char::from(*byte).to_digit(10));
            Ok(End::Size(digits.fold(0, |size: usize, digit| size.saturating_mul(10).saturating_add(digit as usize))))
        }
        _ => Err(LinkDownWhy::Protocol),
    }
}

/// The file is complete: the old data goes, the file becomes the own snapshot, and is loaded.
fn load(s: &mut Server, out: &mut Outbox) {
    persistence::kill_child(s, out);
    let Link::Transfer(transfer) = &mut s.repl.link else { return };
    transfer.loading = true;
    let mut data = std::mem::take(&mut transfer.data);
    let file = match transfer.end {
        End::Size(size) => {
            let file = data.split_to(size);
            transfer.rest = data;
            file
        }
        End::Mark(_) | End::Unknown => data.split_to(data.len() - MARK),
    };
    let file = file.freeze();
    let transfer = transfer.clone();
    if !transfer.diskless && !fits_on_disk(&file, out) {
        // A real server finds out while it writes what arrives, and keeps its data.
        return link::restart_handshake(s, LinkDownWhy::SyncFailed, out);
    }
    let swaps = swaps(s, &transfer);
    persistence::aof::stop(s, out);
    if s.shutdown.exited {
        return;
    }
    if !swaps {
        attach_to_new_master(s, out);
        s.notice(out, || "MASTER <-> REPLICA sync: Flushing old data".to_owned());
        empty_data(s);
    }
    if !transfer.diskless {
        if keep_file(s, &file, out).is_err() {
            return link::restart_handshake(s, LinkDownWhy::SyncFailed, out);
        }
        persistence::file_received(s, &file);
    }
    s.notice(out, || "MASTER <-> REPLICA sync: Loading DB in memory".to_owned());
    s.async_loading = swaps && transfer.position.is_some_and(|(replid, _)| replid == s.repl.replid);
    let loaded = persistence::loading::begin(s, &file, persistence::loading::Purpose::FullSync, out);
    if let Some(outcome) = loaded {
        full_sync_loaded(s, outcome, out);
    }
}

fn fits_on_disk(data: &Bytes, out: &Outbox) -> bool {
    out.trouble().refuses(&DiskOp::Write { file: "".into(), data: data.clone() }).is_ok()
}

/// The file is written beside the snapshot and takes its place: a restart finds it.
fn keep_file(s: &Server, data: &Bytes, out: &mut Outbox) -> Result<(), DiskError> {
    let temp: std::sync::Arc<str> = format!("temp-{}.{}.rdb", s.now.unix.secs(), persistence::pid(s)).into();
    let name: std::sync::Arc<str> = s.config.dbfilename.as_str().into();
    out.disk_replace(&temp, data.clone(), name)
}

/// `replicationAttachToNewMaster`: from here on nobody can continue from what this server had.
fn attach_to_new_master(s: &mut Server, out: &mut Outbox) {
    history::discard_cached(s, out);
    master::disconnect_replicas(s, LinkDownWhy::Reconfigured, out);
    s.repl.backlog = None;
}

/// The dataset goes (`emptyData`).
pub(crate) fn empty_data(s: &mut Server) {
    for db in 0..u32::try_from(s.keyspace.dbs.len()).unwrap_or(0) {
        s.signal_flushed(db, None);
    }
    s.invalidate_all();
    let keys = s.keyspace.clear() as u64;
    if !s.config.replica_lazy_flush {
        s.meter.add(keys * cost::FREE);
    }
}

/// The file was read: the dataset is the master's, and the link becomes its stream.
pub(crate) fn full_sync_loaded(s: &mut Server, outcome: Result<Staged, RdbError>, out: &mut Outbox) {
    s.async_loading = false;
    let Link::Transfer(transfer) = &mut s.repl.link else { return };
    let transfer = Transfer { data: BytesMut::new(), rest: std::mem::take(&mut transfer.rest), ..(**transfer).clone() };
    let staged = match outcome {
        Ok(staged) => staged,
        Err(error) => return load_failed(s, &transfer, &error, out),
    };
    persistence::report::log_loaded(s, out);
    if swaps(s, &transfer) {
        attach_to_new_master(s, out);
        s.notice(out, || "MASTER <-> REPLICA sync: Swapping active DB with loaded DB".to_owned());
        empty_data(s);
    }
    s.keyspace = staged.keyspace;
    s.scripting.libraries = staged.libraries;
    if swaps(s, &transfer) {
        for db in 0..u32::try_from(s.keyspace.dbs.len()).unwrap_or(0) {
            s.signal_replaced(db);
        }
        s.notice(out, || "MASTER <-> REPLICA sync: Discarding old DB in background".to_owned());
    }
    if transfer.diskless {
        s.exec.dirty += 1;
    } else {
        persistence::remove_received_file(s, out);
    }
    let (replid, offset) = transfer.position.unwrap_or((HexId::ZERO, 0));
    s.repl.replid = replid;
    s.repl.offset = offset;
    history::forget_second_id(s);
    history::note(s, HistoryWhy::FullSync, None, out);
    history::ensure_backlog(s);
    let db = staged.loaded.stream_db.and_then(|db| u32::try_from(db).ok()).unwrap_or(0);
    let db = db.min(u32::try_from(s.config.databases).unwrap_or(1) - 1);
    let cached = CachedMaster { replid, offset, db, client: s.sessions.next_id() };
    let Some(fd) = transfer.fd else {
        // The connection broke meanwhile: what was loaded is continued from at the next attempt.
        s.repl.cached = Some(cached);
        s.repl.down_since = s.now.unix.secs();
        link::set_state(s, Link::Connect, Some(LinkDownWhy::Lost), out);
        return link::connect(s, out);
    };
    link::materialise(s, fd, (transfer.peer, transfer.local), cached, out);
    out.note(Kind::Server(ServerEvent::Synced { kind: SyncKind::Full, offset }));
    s.notice(out, || "MASTER <-> REPLICA sync: Finished with success".to_owned());
    if matches!(transfer.end, End::Mark(_)) {
        link::send_ack(s);
    }
    persistence::aof::restart(s, out);
    if !s.shutdown.exited {
        link::feed_session(s, fd, transfer.rest.freeze(), out);
    }
}

/// A file from the disk that can't be loaded ends the process; one from the socket that ends too early is asked for again.
fn load_failed(s: &mut Server, transfer: &Transfer, error: &RdbError, out: &mut Outbox) {
    s.warn(out, || format!("Internal error in RDB reading -> {error}"));
    s.warn(out, || match transfer.diskless {
        true => format!("Failed trying to load the MASTER synchronization DB from socket: {error}"),
        false => format!("Failed trying to load the MASTER synchronization DB from disk: {error}"),
    });
    if !transfer.diskless || *error != RdbError::ShortRead {
        out.note(Kind::Server(ServerEvent::Fatal { message: error.to_string().into() }));
        return out.exit(1);
    }
    if !swaps(s, transfer) {
        // What was loaded of it goes again, and what was there before is gone already.
        let offset = std::mem::take(&mut s.repl.offset);
        history::note(s, HistoryWhy::FullSync, None, out);
        s.repl.offset = offset;
    }
    if transfer.fd.is_some() {
        link::restart_handshake(s, LinkDownWhy::SyncFailed, out);
    } else {
        link::set_state(s, Link::Connect, Some(LinkDownWhy::SyncFailed), out);
        link::connect(s, out);
    }
}

/// Keeps the master from timing out while this server loads (`replicationSendNewlineToMaster`).
pub(crate) fn send_newline(s: &Server, out: &mut Outbox) {
    let Link::Transfer(transfer) = &s.repl.link else { return };
    if let Some(fd) = transfer.fd {
        out.send(fd, Bytes::from_static(b"\n"));
    }
}
