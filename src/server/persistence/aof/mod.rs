//! The append-only file: what is appended to it and when, and when that is safe (`aof.c`). The contract with the rest of the
//! server:
//!
//! - [`feed`] gets what is propagated, in the order of the replication stream. It waits in a buffer.
//! - [`flush`] comes at the end of each turn, before replies leave: the buffer is written, and synced as `appendfsync` says.
//! - What the disk refuses stays in the buffer, and writes are refused meanwhile; under `always` the process exits.

mod dataset;
mod load;
mod manifest;
mod rewrite;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{ChildKind, Server, child_kind};
use crate::node::{DiskError, DiskOp, Outbox};
use crate::server::config::AppendFsync;
use crate::server::info::Text;
use crate::server::reply::encode_command;
use crate::time::{Instant, Span};
use crate::trace::Kind;
use crate::trace::event::ServerEvent;

use manifest::Manifest;

pub(crate) use load::{Replayed, note_loaded, open_at_start, read, read_manifest, reload_files, upgrade};
pub(crate) use rewrite::{
    begin_scheduled, child_file, child_temporary, cron, cron_need, rewrite, rewrite_done, rewrite_or_schedule,
};

/// A write waits so many seconds for an fsync that is under way.
const POSTPONED_MAX: u64 = 2;

/// Whether there is one (`aof_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Off,
    On,
    /// It was switched on, and its first base is being made.
    WaitRewrite,
}

/// State of the append-only file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aof {
    state: State,
    manifest: Manifest,
    /// What has yet to be written (`aof_buf`).
    buffer: BytesMut,
    /// The path of the file that is written (`aof_fd`).
    file: Option<Arc<str>>,
    /// The database that it has selected; `None` makes the next command begin with SELECT.
    db: Option<u32>,
    /// Seconds of its last time annotation (`aof_cur_timestamp`).
    stamp: u64,
    /// Its length, and how much of that has been synced or is being synced.
    size: u64,
    synced: u64,
    /// The length of all files, and what it was after the last rewrite.
    current_size: u64,
    base_size: u64,
    /// When it was last synced, in wall-clock seconds.
    last_fsync: u64,
    /// The fsync that the background thread is at.
    fsync: Option<u64>,
    /// Since when the buffer waits for that, in wall-clock seconds.
    postponed: Option<u64>,
    /// Writes that waited for too long (`aof_delayed_fsync`).
    delayed: u64,
    /// Why the last write failed, and the last fsync in the background.
    write_error: Option<DiskError>,
    fsync_error: Option<DiskError>,
    /// Where in the buffer the writes end that the trace knows of.
    ends: Vec<u64>,
    /// What the main thread waits for, for the latency monitor.
    waits: Waits,
    /// DEBUG AOF-FLUSH-SLEEP, in microseconds.
    pub(crate) flush_sleep: u64,
    rewrites: rewrite::Rewrites,
}

/// How a write is called in the latency monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waits {
    #[default]
    Alone,
    PendingFsync,
    ActiveChild,
}

impl Aof {
    /// What is propagated goes into it.
    #[inline]
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        self.state != State::Off
    }

    /// Why nothing can be written to it.
    #[must_use]
    pub(crate) fn error(&self) -> Option<DiskError> {
        self.write_error.or(self.fsync_error).filter(|_| self.is_on())
    }

    /// Memory that waits to be written, as it is allocated.
    #[must_use]
    pub(crate) fn buffer_memory(&self) -> u64 {
        if self.state == State::Off && self.buffer.is_empty() {
            return 0;
        }
        crate::server::keyspace::alloc::string(self.buffer.len()) as u64
    }

    /// A write that the trace knows of is in the buffer.
    pub(crate) fn note_write(&mut self) {
        self.ends.push(self.buffer.len() as u64);
    }

    /// The number of the file that is written: as it is in the manifest, or will be.
    fn seq(&self) -> u64 {
        let last = self.manifest.incr.last().map(|part| part.seq);
        let seq = if self.state == State::WaitRewrite { self.manifest.next_incr_seq() } else { last.unwrap_or(0) };
        u64::try_from(seq).unwrap_or(0)
    }

    fn clear(&mut self) {
        self.buffer = BytesMut::new();
        self.ends.clear();
    }
}

/// The path of a file in the append-only file's folder.
fn path(s: &Server, name: &str) -> Arc<str> {
    format!("{}/{name}", s.config.appenddirname).into()
}

/// Takes a propagated command into the buffer (`feedAppendOnlyFile`).
pub(crate) fn feed(s: &mut Server, db: u32, bytes: &[u8]) {
    let child = child_kind(s) == Some(ChildKind::Aof);
    let now = s.now.unix.secs();
    let stamped = s.config.aof_timestamp_enabled;
    let aof = &mut s.persistence.aof;
    let taken = aof.state == State::On || aof.state == State::WaitRewrite && child;
    if stamped && aof.stamp < now {
        aof.stamp = now;
        if taken {
            aof.buffer.extend_from_slice(format!("#TS:{now}\r\n").as_bytes());
        }
    }
    if aof.db != Some(db) {
        aof.db = Some(db);
        if taken {
            aof.buffer.extend_from_slice(&encode_command(&[b"SELECT", db.to_string().as_bytes()]));
        }
    }
    if taken {
        aof.buffer.extend_from_slice(bytes);
    }
}

/// Writes the buffer, and syncs what was written (`flushAppendOnlyFile`). `force`: even if an fsync is under way.
pub(crate) fn flush(s: &mut Server, force: bool, out: &mut Outbox) {
    let now = s.now.unix.secs();
    let policy = s.config.appendfsync;
    let aof = &mut s.persistence.aof;
    if aof.buffer.is_empty() {
        let unsynced = aof.synced != aof.size;
        let due = match policy {
            AppendFsync::EverySec => unsynced && now > aof.last_fsync && aof.fsync.is_none(),
            AppendFsync::Always => unsynced,
            AppendFsync::No => false,
        };
        if due {
            sync(s, out);
        }
        return;
    }
    let syncing = policy == AppendFsync::EverySec && aof.fsync.is_some();
    if syncing && !force {
        let since = *aof.postponed.get_or_insert(now);
        if now.saturating_sub(since) < POSTPONED_MAX {
            return;
        }
        aof.delayed += 1;
    }
    let sleep = Span::from_us(aof.flush_sleep);
    s.meter.add_exactly(sleep.ns());
    out.busy(s.meter.take());
    let child = child_kind(s).is_some();
    let aof = &mut s.persistence.aof;
    aof.waits = match (syncing, child) {
        (true, _) => Waits::PendingFsync,
        (false, true) => Waits::ActiveChild,
        (false, false) => Waits::Alone,
    };
    aof.postponed = None;
    if write(s, out) {
        sync(s, out);
    }
}

/// Writes the whole buffer. False when that is not possible.
fn write(s: &mut Server, out: &mut Outbox) -> bool {
    let aof = &mut s.persistence.aof;
    let Some(file) = aof.file.clone() else { return false };
    let data = std::mem::take(&mut aof.buffer).freeze();
    let error = match out.disk_append(file.clone(), data.clone()) {
        Ok(count) if count == data.len() => {
            wrote(s, count as u64, out);
            return true;
        }
        Ok(_) => {
            // A part of a command is of no use: it is cut off again.
            let cut = DiskOp::Truncate { file, len: aof.size };
            let _ = out.disk_wait(cut);
            DiskError::Full
        }
        Err(error) => error,
    };
    aof.buffer = BytesMut::from(&data[..]);
    if s.config.appendfsync == AppendFsync::Always {
        s.die("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...", 1, out);
    } else {
        s.persistence.aof.write_error = Some(error);
        // What takes the short way isn't asked whether it may.
        s.plain = false;
        note_error(s, out);
    }
    false
}

/// So much of the file is new.
fn wrote(s: &mut Server, count: u64, out: &mut Outbox) {
    let offset = s.repl.offset();
    let aof = &mut s.persistence.aof;
    let before = aof.size;
    aof.size += count;
    aof.current_size += count;
    let ends: Arc<[u64]> = aof.ends.drain(..).map(|end| before + end).collect();
    let (seq, to) = (aof.seq(), aof.size);
    let cause = out.cause();
    out.note(Kind::Server(ServerEvent::Logged { seq, to, ends, offset }));
    out.because(cause);
    if s.persistence.aof.write_error.take().is_some() {
        s.plain = false;
        note_error(s, out);
    }
}

/// Tells the trace whether the file can be written.
fn note_error(s: &mut Server, out: &mut Outbox) {
    let error = s.persistence.aof.error().map(|error| error.to_string().into());
    if s.persistence.aof.rewrites.noted_error != error {
        s.persistence.aof.rewrites.noted_error.clone_from(&error);
        out.note(Kind::Server(ServerEvent::AofError { error }));
    }
}

/// Syncs what was written, if it is time to.
fn sync(s: &mut Server, out: &mut Outbox) {
    if s.config.no_appendfsync_on_rewrite && child_kind(s).is_some() {
        return;
    }
    let now = s.now.unix.secs();
    let Some(file) = s.persistence.aof.file.clone() else { return };
    match s.config.appendfsync {
        AppendFsync::Always => {
            if let Err(error) = out.disk_wait(DiskOp::Fsync { file }) {
                let text = "Can't persist AOF for fsync error when the AOF fsync policy is 'always'";
                s.die(&format!("{text}: {error}. Exiting..."), 1, out);
                return;
            }
            let aof = &mut s.persistence.aof;
            aof.synced = aof.size;
            aof.last_fsync = now;
        }
        AppendFsync::EverySec if now > s.persistence.aof.last_fsync => {
            if s.persistence.aof.fsync.is_none() {
                let number = s.persistence.number();
                out.disk(DiskOp::Fsync { file }, number);
                let aof = &mut s.persistence.aof;
                aof.fsync = Some(number);
                aof.synced = aof.size;
            }
            s.persistence.aof.last_fsync = now;
        }
        AppendFsync::EverySec | AppendFsync::No => {}
    }
}

/// A background operation has ended: true if it was the fsync (`bioProcessBackgroundJobs`).
pub(super) fn fsync_done(s: &mut Server, op: u64, ok: bool, out: &mut Outbox) -> bool {
    if s.persistence.aof.fsync != Some(op) {
        return false;
    }
    s.persistence.aof.fsync = None;
    s.persistence.aof.fsync_error = (!ok).then_some(DiskError::Failed);
    note_error(s, out);
    true
}

/// The main thread waits for the disk (`latencyAddSampleIfNeeded`).
pub(crate) fn waits(s: &mut Server, op: &DiskOp, ms: u64) {
    let aof = &s.persistence.aof;
    let own = |file: &Arc<str>| aof.file.as_ref() == Some(file);
    match op {
        DiskOp::Append { file, .. } if own(file) => {
            let event = match aof.waits {
                Waits::Alone => "aof-write-alone",
                Waits::PendingFsync => "aof-write-pending-fsync",
                Waits::ActiveChild => "aof-write-active-child",
            };
            s.latency_sample(event, ms);
            s.latency_sample("aof-write", ms);
        }
        DiskOp::Fsync { file } if own(file) && s.config.appendfsync == AppendFsync::Always => {
            s.latency_sample("aof-fsync-always", ms);
        }
        DiskOp::Rename { to, .. } if !to.ends_with(".manifest") && to.starts_with(&*s.config.appenddirname) => {
            s.latency_sample("aof-rename", ms);
        }
        DiskOp::Append { .. }
        | DiskOp::Fsync { .. }
        | DiskOp::Rename { .. }
        | DiskOp::Write { .. }
        | DiskOp::Create { .. }
        | DiskOp::Remove { .. }
        | DiskOp::Truncate { .. } => {}
    }
}

/// Switched off, or a full synchronisation replaces everything (`stopAppendOnly`).
pub(crate) fn stop(s: &mut Server, out: &mut Outbox) {
    if !s.persistence.aof.is_on() {
        return;
    }
    flush(s, true, out);
    sync_at_end(s, out);
    rewrite::kill(s, out);
    let aof = &mut s.persistence.aof;
    aof.state = State::Off;
    (aof.file, aof.db) = (None, None);
    (aof.size, aof.synced) = (0, 0);
    aof.rewrites.scheduled = false;
    aof.clear();
}

/// The process is about to exit: what waits is written, and a child must not do anything afterwards
/// (`prepareForShutdown`).
///
/// # Errors
/// The first base is being made: without it the file is worth nothing.
pub(super) fn end(s: &mut Server, force: bool, out: &mut Outbox) -> Result<(), ()> {
    if child_kind(s) == Some(ChildKind::Aof) && s.persistence.aof.state == State::WaitRewrite && !force {
        return Err(());
    }
    rewrite::kill(s, out);
    if s.persistence.aof.is_on() {
        flush(s, true, out);
        sync_at_end(s, out);
    }
    Ok(())
}

/// CONFIG RESETSTAT.
pub(super) fn reset_statistics(s: &mut Server) {
    s.persistence.aof.delayed = 0;
    s.persistence.aof.rewrites.reset();
}

/// Nothing more is written for now: the file is synced while everything waits. That this fails is only logged.
fn sync_at_end(s: &mut Server, out: &mut Outbox) {
    if let Some(file) = s.persistence.aof.file.clone()
        && out.disk_wait(DiskOp::Fsync { file }).is_ok()
    {
        s.persistence.aof.last_fsync = s.now.unix.secs();
    }
}

/// Switched on while the server runs: it begins with a rewrite (`startAppendOnly`).
///
/// # Errors
/// When that can't be begun.
pub(crate) fn start(s: &mut Server, out: &mut Outbox) -> Result<(), ()> {
    s.persistence.aof.state = State::WaitRewrite;
    let child = child_kind(s);
    if child.is_some_and(|kind| kind != ChildKind::Aof) || s.exec.in_exec {
        s.persistence.aof.rewrites.scheduled = true;
        s.warn(out, || {
            let why = if child.is_some_and(|kind| kind != ChildKind::Aof) {
                "but there is already another background operation"
            } else {
                "during a transaction"
            };
            format!("AOF was enabled {why}. An AOF background was scheduled to start when possible.")
        });
    } else {
        // The one that runs doesn't go together with a buffer that begins now.
        rewrite::kill(s, out);
        if rewrite(s, out).is_err() {
            s.persistence.aof.state = State::Off;
            return Err(());
        }
    }
    let aof = &mut s.persistence.aof;
    aof.last_fsync = s.now.unix.secs();
    (aof.write_error, aof.fsync_error) = (None, None);
    note_error(s, out);
    s.plain = false;
    Ok(())
}

/// After a full synchronisation or a promotion it is switched on again (`restartAOFAfterSYNC`).
pub(crate) fn restart(s: &mut Server, out: &mut Outbox) {
    const TRIES: u64 = 10;
    if !s.config.appendonly || s.persistence.aof.is_on() || start(s, out).is_ok() {
        return;
    }
    // It tries again each second; a disk that fails now is taken to fail then.
    s.meter.add_exactly(TRIES * Span::from_secs(1).ns());
    out.busy(s.meter.take());
    let text = "FATAL: this replica instance finished the synchronization with its master, but the AOF can't be turned on. \
                Exiting now.";
    s.die(text, 1, out);
}

/// When a tick has to look after the buffer or an fsync.
fn flush_need(s: &Server) -> Option<Instant> {
    let aof = &s.persistence.aof;
    if !aof.is_on() {
        return None;
    }
    if aof.postponed.is_some() || aof.write_error.is_some() {
        return Some(s.now.mono);
    }
    let unsynced = aof.synced != aof.size && aof.fsync.is_none();
    let held = s.config.no_appendfsync_on_rewrite && child_kind(s).is_some();
    let waits = s.config.appendfsync == AppendFsync::EverySec && unsynced && !held;
    waits.then(|| {
        let due = Span::from_secs(aof.last_fsync + 1);
        s.now.mono + due.saturating_sub(Span::from_ns(s.now.unix.0))
    })
}

/// Replaces the manifest on the disk, if it has changed (`persistAofManifest`).
fn persist(s: &Server, manifest: &mut Manifest, out: &mut Outbox) -> Result<(), DiskError> {
    if !manifest.dirty {
        return Ok(());
    }
    let name = format!("{}.manifest", s.config.appendfilename);
    let temporary = path(s, &format!("temp-{name}"));
    out.disk_replace(&temporary, Bytes::from(manifest.print()), path(s, &name))?;
    manifest.dirty = false;
    Ok(())
}

/// Removes what a rewrite has made useless (`aofDelHistoryFiles`).
pub(crate) fn remove_history(s: &mut Server, out: &mut Outbox) {
    if s.config.aof_disable_auto_gc || s.persistence.aof.manifest.history.is_empty() {
        return;
    }
    let mut manifest = std::mem::take(&mut s.persistence.aof.manifest);
    for old in manifest.history.drain(..) {
        let _ = out.disk_wait(DiskOp::Remove { file: path(s, &old.name) });
    }
    manifest.dirty = true;
    // What is removed but still listed is removed again later.
    let _ = persist(s, &mut manifest, out);
    s.persistence.aof.manifest = manifest;
}

/// The file's lines of INFO, besides those on rewriting.
pub(super) fn info(s: &Server, t: &mut Text) {
    let aof = &s.persistence.aof;
    rewrite::info(s, t);
    if s.config.appendonly {
        t.field("aof_current_size:", aof.current_size).field("aof_base_size:", aof.base_size);
        t.flag("aof_pending_rewrite:", aof.rewrites.scheduled);
        t.field("aof_buffer_length:", aof.buffer.len() as u64);
        t.flag("aof_pending_bio_fsync:", aof.fsync.is_some()).field("aof_delayed_fsync:", aof.delayed);
    }
}
