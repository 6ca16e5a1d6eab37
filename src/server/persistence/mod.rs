//! Snapshots and the append-only file: when to save, what to load at the start. The contract with the rest of the server:
//!
//! - [`load`] is called once by `start`, before the server listens; it fills `s.keyspace` and, when the file carries a
//!   replication id and offset, `s.repl`.
//! - [`cron`] is called at a tick of serverCron that [`cron_need`] asked for (ticks come every 100 ms; the server rounds up).
//! - [`job_done`] and [`disk_done`] get every `JobDone` and `DiskDone` of the process: numbers are given out here.
//! - `s.exec.dirty` counts changes; a finished save subtracts what it covered.
//! - [`save`], [`bgsave`] serve SAVE, BGSAVE and SHUTDOWN.

pub(crate) mod aof;
mod child;
mod forked;
pub(crate) mod loading;
mod pack;
pub mod rdb;
pub(crate) mod report;
mod snapshot;
mod streams;
mod values;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::Server;
use super::keyspace::Value;
use super::replication::link::Link;
use super::replication::sync::Pipe;
use crate::id::Fd;
use crate::node::{DiskError, DiskImage, DiskOp, Input, Node as _, Outbox};
use crate::time::{Instant, Span};
use crate::trace::event::HistoryWhy;

use child::Child;
use loading::Loading;
use rdb::StreamPosition;

pub(crate) use child::{
    ChildKind, begin_disk_child, begin_socket_child, check_children, child_killed, child_kind, disk_done, fork,
    job_done, kill_child, pipe_drained,
};
pub(crate) use report::info;

/// A value as DUMP answers it.
pub(crate) fn dump(s: &Server, value: &Value) -> Bytes {
    rdb::payload(value, s.config.rdbcompression)
}

/// The value that an answer of DUMP stands for.
///
/// # Errors
/// In the words of RESTORE.
pub(crate) fn restore(s: &Server, payload: &Bytes) -> Result<Value, &'static str> {
    rdb::from_payload(payload, !s.persistence.skip_checksum)
        .map(|value| snapshot::Limits::of(&s.config, s.large_element).build(value))
}

/// The libraries of functions as FUNCTION DUMP answers them.
pub(crate) fn dump_libraries(s: &Server) -> Bytes {
    let codes = s.scripting.libraries.iter().map(|library| library.code.as_ref());
    rdb::libraries_payload(codes, s.config.rdbcompression)
}

pub(crate) use rdb::libraries_of_payload;

/// Bytes of a value in a file (`rdbSavedObjectLen`).
pub(crate) fn serialized_len(s: &Server, value: &Value) -> usize {
    rdb::bare(value, s.config.rdbcompression).len()
}

/// After a failed save the next automatic one waits this many seconds (`CONFIG_BGSAVE_RETRY_DELAY`).
const RETRY_DELAY: u64 = 5;

/// What DEBUG RELOAD does around loading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reload {
    /// Keys that are there already are replaced.
    pub merge: bool,
    /// What is there goes first.
    pub flush: bool,
    /// The dataset is saved first.
    pub save: bool,
}

/// Why a file was not loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unloaded {
    /// The dataset could not be saved first.
    Unsaved,
    /// There is none, or it is wrong.
    Broken,
    /// It has a key that is there: a real server doesn't survive that.
    Duplicate,
}

/// State of snapshots and the append-only file.
#[derive(Clone, Debug, Default)]
pub struct Persistence {
    child: Option<Child>,
    /// Memory that children have had copied.
    copied: forked::Copied,
    /// The RDB that goes to replicas' sockets, from its beginning until its child is reaped.
    pub(crate) pipe: Option<Pipe>,
    loading: Option<Loading>,
    /// Jobs and disk operations are numbered through.
    next_number: u64,
    /// When the dataset was last saved, in wall-clock seconds.
    last_save: u64,
    /// When a background save was last begun, in wall-clock seconds.
    last_try: u64,
    /// The last background save failed.
    failed: bool,
    /// BGSAVE SCHEDULE: to be begun when no child runs.
    scheduled: bool,
    /// Changes that the running save covers.
    dirty_before: u64,
    /// Saves begun (`rdb_saves`).
    saves: u64,
    /// Seconds that the last background save took.
    last_took: Option<u64>,
    /// Keys that the last load found, and how many of them had expired.
    last_load: (u64, u64),
    /// Checksums are not looked at (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub(crate) skip_checksum: bool,
    /// The append-only file.
    pub(crate) aof: aof::Aof,
    /// The files are being read for DEBUG LOADAOF: what arrives meanwhile waits.
    pub(crate) reading: Option<Box<Reading>>,
    /// Who is answered when the append-only file has been loaded again: its descriptor, and its number.
    asked_to_load: Option<(Fd, u64)>,
    /// The file on the disk is there only because a replica was synchronised with it.
    made_for_sync: bool,
    /// The newest snapshot that was written or found.
    file: Option<Bytes>,
}

impl Persistence {
    /// True when propagated commands go to an append-only file too.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        self.aof.is_on()
    }

    /// Why writes are refused for the sake of the disk (`writeCommandsDeniedByDiskError`): the error, code first.
    #[must_use]
    pub fn write_error(&self, s: &Server) -> Option<Cow<'static, str>> {
        if self.failed && s.config.stop_writes_on_bgsave_error && !s.config.save.is_empty() {
            return Some(Cow::Borrowed(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 Commands that may modify the data set are disabled, because this instance is configured to report \
                 errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the \
                 Redis logs for details about the RDB error.",
            ));
        }
        let error = self.aof.error()?;
        Some(Cow::Owned(format!("MISCONF Errors writing to the AOF file: {error}")))
    }

    /// The same for a script that may write.
    #[must_use]
    pub(crate) fn script_error(&self, s: &Server) -> Option<Cow<'static, str>> {
        self.write_error(s)?;
        let blocked = "Writable scripts are blocked. Use 'no-writes' flag for read only scripts.";
        Some(match self.aof.error().filter(|_| !self.failed) {
            None => Cow::Borrowed(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 Writable scripts are blocked. Use 'no-writes' flag for read only scripts.",
            ),
            Some(error) => Cow::Owned(format!(
                "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. \
                 {blocked} AOF error: {error}"
            )),
        })
    }

    /// `rdb_last_save_time` in seconds since 1970.
    #[must_use]
    pub fn last_save(&self) -> u64 {
        self.last_save
    }

    /// A file is being loaded, part by part.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

/// The process's number: as real ones, not the same after a restart.
pub(crate) fn pid(s: &Server) -> u64 {
    let made_up = 1_000 + u64::from(s.init.node.0) * 100 + u64::from(s.init.incarnation);
    s.config.process_id.map_or(made_up, u64::from)
}

fn file_name(s: &Server) -> Arc<str> {
    s.config.dbfilename.as_str().into()
}

/// Where in the stream a snapshot made now stands (`rdbPopulateSaveInfo`); `None`: this server is in no replication chain.
pub(crate) fn stream_position(s: &Server) -> Option<StreamPosition> {
    let repl = &s.repl;
    let db = if repl.is_master() {
        repl.backlog.as_ref()?;
        repl.stream_db().unwrap_or(0)
    } else if let Link::Connected(master) = &repl.link {
        s.sessions.get(master.fd)?.db
    } else {
        repl.cached()?.db
    };
    Some(StreamPosition { db, replid: repl.replid, offset: repl.offset })
}

/// Loads what the disk holds (`loadDataFromDisk`).
pub(crate) fn load(s: &mut Server, disk: &DiskImage, out: &mut Outbox) {
    super::replication::configure(s);
    s.persistence.last_save = s.now.unix.secs();
    if let Err(problem) = aof::read_manifest(s, disk) {
        s.die(&problem, 1, out);
        return;
    }
    if s.config.appendonly {
        return load_aof(s, disk.clone(), out);
    }
    match disk.get(s.config.dbfilename.as_str()) {
        None => {
            super::replication::restore(s, None, &[], HistoryWhy::Start, out);
            aof::open_at_start(s, None, out);
        }
        Some(file) => {
            s.persistence.file = Some(file.clone());
            if let Some(outcome) = loading::begin(s, file, loading::Purpose::Start, out) {
                loading::started(s, outcome, out);
            }
        }
    }
}

/// With an append-only file the snapshot isn't looked at, whether or not there is such a file yet.
fn load_aof(s: &mut Server, mut files: DiskImage, out: &mut Outbox) {
    if let Err(error) = aof::upgrade(s, &mut files, out) {
        s.die(&format!("Error trying to move the old AOF file: {error}"), 1, out);
        return;
    }
    match aof::read(s, &files, out) {
        Ok(replayed) => loading::begin_replayed(s, replayed, loading::Purpose::Start, out),
        Err(problem) => {
            s.die(&problem, 1, out);
        }
    }
}

/// What the main thread is doing while it waits for its files.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Who is answered.
    client: Fd,
    deferred: Vec<Input>,
}

/// DEBUG LOADAOF: what waits is written, and the dataset is read back.
pub(crate) fn load_aof_again(s: &mut Server, client: Fd, out: &mut Outbox) {
    if s.persistence.aof.is_on() {
        aof::flush(s, true, out);
    }
    out.busy(s.meter.take());
    out.read_disk();
    s.persistence.reading = Some(Box::new(Reading { client, deferred: Vec::new() }));
}

/// An input that arrives while the files are being read.
pub(crate) fn while_reading(s: &mut Server, input: Input, out: &mut Outbox) {
    let Some(mut reading) = s.persistence.reading.take() else { return };
    let Input::Files(files) = input else {
        reading.deferred.push(input);
        s.persistence.reading = Some(reading);
        return;
    };
    let replayed = match aof::reload_files(s, &files, out) {
        Ok(replayed) => replayed,
        Err(problem) => {
            s.die(&problem, 1, out);
            return;
        }
    };
    s.persistence.asked_to_load = s.sessions.get(reading.client).map(|session| (session.fd, session.id));
    loading::begin_replayed(s, replayed, loading::Purpose::Again, out);
    for input in reading.deferred {
        s.handle(s.now, input, out);
    }
}

/// DEBUG LOADAOF has loaded the files: its caller is answered.
fn loaded_again(s: &mut Server, replayed: &aof::Replayed, out: &mut Outbox) {
    aof::note_loaded(s, replayed, out);
    s.exec.dirty = 0;
    s.warn(out, || "Append Only File loaded by DEBUG LOADAOF".to_owned());
    let Some((fd, id)) = s.persistence.asked_to_load.take() else { return };
    if let Some(session) = s.sessions.get_mut(fd).filter(|session| session.id == id) {
        session.reply.constant(b"+OK\r\n");
        s.sessions.want_write(fd);
        s.unblock(fd);
    }
}

/// Somebody has put other files onto the disk.
pub(crate) fn file_changed(s: &mut Server, files: &DiskImage) {
    s.persistence.file = files.get(s.config.dbfilename.as_str()).cloned();
}

/// SAVE in the foreground. `Err` has the error to answer, code first: a background save runs, or the disk fails.
pub(crate) fn save(s: &mut Server, out: &mut Outbox) -> Result<(), &'static str> {
    if child_kind(s).is_some_and(ChildKind::makes_rdb) {
        return Err("ERR Background save already in progress");
    }
    s.persistence.saves += 1;
    write_now(s, out).map(drop).map_err(|_| "ERR")
}

/// DEBUG RELOAD: what a save writes is read back in place of the dataset.
pub(crate) fn reload(s: &mut Server, how: Reload, out: &mut Outbox) -> Result<(), Unloaded> {
    let data =
        if how.save { Some(write_now(s, out).map_err(|_| Unloaded::Unsaved)?) } else { s.persistence.file.clone() };
    if how.flush {
        s.empty_all(false);
    }
    let data = data.ok_or(Unloaded::Broken)?;
    report::log_head(s, &data, out);
    let staged = loading::at_once(s, &data).map_err(|_| Unloaded::Broken)?;
    report::log_loaded(s, out);
    if how.flush {
        s.keyspace = staged.keyspace;
        s.scripting.libraries = staged.libraries;
        return Ok(());
    }
    s.scripting.libraries.join(&staged.libraries, how.merge).map_err(|_| Unloaded::Broken)?;
    for (number, loaded) in (0..).zip(staged.keyspace.dbs.iter()) {
        for (entry, expire) in loaded.iter() {
            let db = s.keyspace.db_mut(number);
            match db.find(entry.key.as_slice()) {
                Some(_) if !how.merge => return Err(Unloaded::Duplicate),
                Some(at) => drop(db.remove(at)),
                None => {}
            }
            let at = db.add(entry.key.clone(), entry.value.clone(), entry.touched);
            if expire >= 0 {
                db.set_expire(at, expire);
            }
        }
    }
    Ok(())
}

/// Writes the snapshot while everything waits (`rdbSave`).
fn write_now(s: &mut Server, out: &mut Outbox) -> Result<Bytes, DiskError> {
    let position = stream_position(s);
    let (data, ns) = snapshot::encode(s, position, super::replication::sync::Filter::default());
    s.meter.add(ns);
    s.meter.add_exactly(s.config.save_delay(s.keyspace.len()));
    let temp: Arc<str> = format!("temp-{}.rdb", pid(s)).into();
    out.disk_aside(DiskOp::Create { file: temp.clone() });
    out.busy(s.meter.take());
    if let Err(error) = out.disk_replace(&temp, data.clone(), file_name(s)) {
        if error != DiskError::Folder {
            out.disk_aside(DiskOp::Remove { file: temp });
        }
        return Err(error);
    }
    s.exec.dirty = 0;
    s.persistence.last_save = s.now.unix.secs();
    s.persistence.failed = false;
    s.persistence.file = Some(data.clone());
    s.notice(out, || "DB saved on disk".to_owned());
    Ok(data)
}

/// BGSAVE. `Err` has the error to answer, code first.
pub(crate) fn bgsave(s: &mut Server, schedule: bool, out: &mut Outbox) -> Result<&'static str, &'static str> {
    let child = child_kind(s);
    if child.is_some_and(ChildKind::makes_rdb) {
        return Err("ERR Background save already in progress");
    }
    if schedule && child.is_some() || s.exec.in_exec {
        s.persistence.scheduled = true;
        return Ok("Background saving scheduled");
    }
    if child.is_some() {
        return Err(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
                    schedule a BGSAVE whenever possible.",
        );
    }
    let position = stream_position(s);
    begin_disk_child(s, position, false, out);
    Ok("Background saving started")
}

/// FLUSHALL was executed: a running save is pointless, and with save points an empty file is written (`flushAllDataAndResetRDB`).
pub(crate) fn after_flushall(s: &mut Server, out: &mut Outbox) {
    if child_kind(s).is_some_and(ChildKind::makes_rdb) {
        kill_child(s, out);
    }
    if !s.config.save.is_empty() {
        s.persistence.saves += 1;
        // What comes of it is only logged.
        let _ = write_now(s, out);
    }
}

/// The work of a tick: save points, the end of children.
pub(crate) fn cron(s: &mut Server, out: &mut Outbox) {
    aof::begin_scheduled(s, out);
    if child_kind(s).is_some() {
        check_children(s, out);
    } else if !s.has_debugging_children() {
        save_if_due(s, out);
    }
    if !s.shutdown.exited {
        aof::cron(s, out);
    }
}

fn save_if_due(s: &mut Server, out: &mut Outbox) {
    let now = s.now.unix.secs();
    let p = &s.persistence;
    let may = !p.failed || now.saturating_sub(p.last_try) > RETRY_DELAY;
    let (dirty, since) = (s.exec.dirty, now.saturating_sub(p.last_save));
    let due = s.config.save.iter().find(|point| dirty >= point.changes && since > point.seconds);
    let Some(point) = due.filter(|_| !s.loading && may) else { return };
    s.notice(out, || format!("{} changes in {} seconds. Saving...", point.changes, point.seconds));
    let position = stream_position(s);
    begin_disk_child(s, position, false, out);
}

/// BGSAVE SCHEDULE, at the end of a tick: those that replicas wait for go first.
pub(crate) fn begin_scheduled(s: &mut Server, out: &mut Outbox) {
    let p = &s.persistence;
    let may = !p.failed || s.now.unix.secs().saturating_sub(p.last_try) > RETRY_DELAY;
    if p.scheduled && may && !s.loading && child_kind(s).is_none() {
        s.persistence.scheduled = false;
        let position = stream_position(s);
        begin_disk_child(s, position, false, out);
    }
}

/// When [`cron`] has work next, as far as is known now.
pub(crate) fn cron_need(s: &Server) -> Option<Instant> {
    [save_need(s), aof::cron_need(s)].into_iter().flatten().min()
}

fn save_need(s: &Server) -> Option<Instant> {
    if child_kind(s).is_some() || s.persistence.scheduled {
        return Some(s.now.mono);
    }
    let dirty = s.exec.dirty;
    if dirty == 0 {
        return None;
    }
    let points = s.config.save.iter().filter(|point| dirty >= point.changes);
    let earliest = points.map(|point| s.persistence.last_save + point.seconds + 1).min()?;
    let retry = if s.persistence.failed { s.persistence.last_try + RETRY_DELAY + 1 } else { 0 };
    let left = Span::from_secs(earliest.max(retry)).saturating_sub(Span::from_ns(s.now.unix.0));
    Some(s.now.mono + left)
}

/// A server that neither saves nor logs keeps no files of synchronisations if it has been told so.
fn keeps_no_files(s: &Server) -> bool {
    s.config.rdb_del_sync_files && s.config.save.is_empty() && !s.persistence.aof.is_on()
}

/// The file that was made to feed replicas can go: it is there, and nobody needs it any more.
fn has_useless_file(s: &Server) -> bool {
    let p = &s.persistence;
    p.made_for_sync && p.file.is_some() && keeps_no_files(s) && !s.repl.replicas.iter().any(|r| r.needs_file())
}

/// `rdb-del-sync-files` of a master (`removeRDBUsedToSyncReplicas`).
pub(crate) fn remove_sync_file(s: &mut Server, out: &mut Outbox) {
    if !s.config.rdb_del_sync_files {
        s.persistence.made_for_sync = false;
    } else if has_useless_file(s) {
        s.persistence.made_for_sync = false;
        s.notice(out, || "Removing the RDB file used to feed replicas in a persistence-less instance".to_owned());
        remove_file(s, out);
    }
}

/// Whether [`remove_sync_file`] has something to do.
pub(crate) fn sync_file_waits(s: &Server) -> bool {
    s.persistence.made_for_sync && !s.config.rdb_del_sync_files || has_useless_file(s)
}

/// The file of a master is the own snapshot now.
pub(crate) fn file_received(s: &mut Server, file: &Bytes) {
    s.persistence.file = Some(file.clone());
}

/// `rdb-del-sync-files` of a replica: what it got from its master goes as soon as it has been loaded.
pub(crate) fn remove_received_file(s: &mut Server, out: &mut Outbox) {
    if keeps_no_files(s) {
        s.notice(out, || {
            "Removing the RDB file obtained from the master. This replica has persistence disabled".to_owned()
        });
        remove_file(s, out);
    }
}

fn remove_file(s: &mut Server, out: &mut Outbox) {
    s.persistence.file = None;
    let number = s.persistence.number();
    out.disk(DiskOp::Remove { file: file_name(s) }, number);
}

/// An RDB is made for replicas on the disk: if the setting says so, it won't be kept.
fn made_for_sync(s: &mut Server) {
    s.persistence.made_for_sync |= s.config.rdb_del_sync_files;
}

/// A setting of persistence was changed by CONFIG SET.
///
/// # Errors
/// Why that can't be: the setting stays as it was.
pub(crate) fn config_changed(s: &mut Server, name: &str, out: &mut Outbox) -> Result<(), &'static str> {
    match name {
        "appendonly" if !s.config.appendonly => aof::stop(s, out),
        "appendonly" if !s.persistence.aof.is_on() => {
            return aof::start(s, out).map_err(|()| "Unable to turn on AOF. Check server logs.");
        }
        "aof-disable-auto-gc" => aof::remove_history(s, out),
        _ => {}
    }
    Ok(())
}

/// CONFIG RESETSTAT.
pub(crate) fn reset_statistics(s: &mut Server) {
    s.persistence.saves = 0;
    aof::reset_statistics(s);
}

/// The process is about to exit: children go, and what waits is written.
///
/// # Errors
/// It must not exit yet.
pub(crate) fn prepare_exit(s: &mut Server, force: bool, out: &mut Outbox) -> Result<(), ()> {
    if child_kind(s).is_some_and(ChildKind::makes_rdb) {
        child::drop_child(s, out);
    }
    aof::end(s, force, out)
}
