//! Rewriting the append-only file in the background (`rewriteAppendOnlyFileBackground`, `backgroundRewriteDoneHandler`).

use std::sync::Arc;

use super::{Aof, State, dataset, flush, flush_need, path, persist, remove_history};
use crate::node::{DiskError, DiskOp, Outbox};
use crate::server::Server;
use crate::server::info::Text;
use crate::server::persistence::child::{begin_aof_child, child_pid, drop_child};
use crate::server::persistence::{ChildKind, child_kind};
use crate::time::{Instant, Span};
use crate::trace::Kind;
use crate::trace::event::ServerEvent;

/// After so many failures the next attempts wait, each twice as long as the one before.
const FAILURES: u64 = 3;
/// Minutes that one waits at most.
const DELAY_MAX: u64 = 60;

/// Rewrites, under way and past.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewrites {
    /// One is to be begun when no child runs.
    pub(super) scheduled: bool,
    /// When the running one began, in wall-clock seconds.
    began: Option<u64>,
    /// Seconds that the last one took.
    took: Option<u64>,
    /// The last one failed.
    failed: bool,
    /// How many there were (`aof_rewrites`).
    count: u64,
    /// How many have failed since one succeeded.
    failures: u64,
    /// How many minutes were last waited, and until when that is, in wall-clock seconds.
    delay: u64,
    next: Option<u64>,
    /// The error that the trace knows of.
    pub(super) noted_error: Option<Arc<str>>,
}

impl Rewrites {
    /// CONFIG RESETSTAT.
    pub(super) fn reset(&mut self) {
        (self.count, self.failures) = (0, 0);
    }
}

/// The name of the file that a child leaves its work in.
#[must_use]
pub(crate) fn child_file(s: &Server) -> Arc<str> {
    format!("temp-rewriteaof-bg-{}.aof", child_pid(s)).into()
}

/// The name under which it makes it.
#[must_use]
pub(crate) fn child_temporary(s: &Server) -> Arc<str> {
    format!("temp-rewriteaof-{}.aof", child_pid(s)).into()
}

/// BGREWRITEAOF: what it answers, an error with its code first.
pub(crate) fn rewrite_or_schedule(s: &mut Server, out: &mut Outbox) -> Result<&'static str, &'static str> {
    let child = child_kind(s);
    if child == Some(ChildKind::Aof) {
        return Err("ERR Background append only file rewriting already in progress");
    }
    if child.is_some() || s.exec.in_exec {
        let rewrites = &mut s.persistence.aof.rewrites;
        rewrites.scheduled = true;
        rewrites.failures = 0;
        return Ok("Background append only file rewriting scheduled");
    }
    match rewrite(s, out) {
        Ok(()) => Ok("Background append only file rewriting started"),
        Err(()) => {
            Err("ERR Can't execute an AOF background rewriting. Please check the server logs for more information.")
        }
    }
}

/// Begins a rewrite (`rewriteAppendOnlyFileBackground`).
///
/// # Errors
/// A child runs, or the disk fails.
pub(crate) fn rewrite(s: &mut Server, out: &mut Outbox) -> Result<(), ()> {
    if child_kind(s).is_some() {
        return Err(());
    }
    s.persistence.aof.db = None;
    flush(s, true, out);
    if s.shutdown.exited {
        return Err(());
    }
    if open_next(s, out).is_err() {
        s.persistence.aof.rewrites.failed = true;
        return Err(());
    }
    let rewrites = &mut s.persistence.aof.rewrites;
    rewrites.count += 1;
    rewrites.scheduled = false;
    rewrites.began = Some(s.now.unix.secs());
    let seq = s.persistence.aof.seq();
    if s.persistence.aof.is_on() {
        out.note(Kind::Server(ServerEvent::AofRewriteBegan { seq }));
    }
    let (data, ns) = dataset::encode(s);
    begin_aof_child(s, data, ns, out);
    Ok(())
}

/// What is written from here on goes into a new file (`openNewIncrAofForAppend`).
fn open_next(s: &mut Server, out: &mut Outbox) -> Result<(), DiskError> {
    let state = s.persistence.aof.state;
    if state == State::Off {
        return Ok(());
    }
    let mut manifest = s.persistence.aof.manifest.clone();
    let name = if state == State::WaitRewrite {
        temporary_incr(s)
    } else {
        let name = manifest.new_incr(&s.config.appendfilename);
        path(s, &name)
    };
    out.disk_wait(DiskOp::Write { file: name.clone(), data: bytes::Bytes::new() })?;
    if state == State::On {
        persist(s, &mut manifest, out)?;
    }
    if let Some(old) = s.persistence.aof.file.take() {
        let number = s.persistence.number();
        out.disk(DiskOp::Fsync { file: old }, number);
        s.persistence.aof.last_fsync = s.now.unix.secs();
    }
    let aof = &mut s.persistence.aof;
    aof.file = Some(name);
    (aof.size, aof.synced) = (0, 0);
    aof.manifest = manifest;
    Ok(())
}

fn temporary_incr(s: &Server) -> Arc<str> {
    path(s, &format!("temp-{}.incr", s.config.appendfilename))
}

/// The child has been reaped; it has made so many bytes, or it failed (`backgroundRewriteDoneHandler`).
pub(crate) fn rewrite_done(s: &mut Server, made: Option<u64>, out: &mut Outbox) {
    let ok = match made {
        Some(bytes) => install(s, bytes, out).is_ok(),
        None => {
            remove_temporaries(s, out);
            false
        }
    };
    let rewrites = &mut s.persistence.aof.rewrites;
    rewrites.failed = !ok;
    rewrites.failures = if ok { 0 } else { rewrites.failures + 1 };
    out.note(Kind::Server(ServerEvent::AofRewriteDone { bytes: made.unwrap_or(0), ok }));
    clean_up(s, out);
}

/// What follows a rewrite, however it ended.
fn clean_up(s: &mut Server, out: &mut Outbox) {
    let now = s.now.unix.secs();
    let waits = s.persistence.aof.state == State::WaitRewrite;
    if waits {
        s.persistence.aof.clear();
        let number = s.persistence.number();
        let file = temporary_incr(s);
        s.notice(out, || format!("Removing the temp incr aof file {} in the background", base_name(&file)));
        out.disk(DiskOp::Remove { file }, number);
    }
    let rewrites = &mut s.persistence.aof.rewrites;
    rewrites.took = rewrites.began.take().map(|began| now.saturating_sub(began));
    rewrites.scheduled |= waits;
}

/// The new base takes its place, and what it replaces goes.
fn install(s: &mut Server, bytes: u64, out: &mut Outbox) -> Result<(), DiskError> {
    let mut manifest = s.persistence.aof.manifest.clone();
    let base = manifest.new_base(&s.config.appendfilename, s.config.aof_use_rdb_preamble);
    let base = path(s, &base);
    out.disk_wait(DiskOp::Rename { from: child_file(s), to: base.clone() })?;
    let mut opened = None;
    if s.persistence.aof.state == State::WaitRewrite {
        let name = path(s, &manifest.new_incr(&s.config.appendfilename));
        out.disk_wait(DiskOp::Rename { from: temporary_incr(s), to: name.clone() })?;
        opened = Some(name);
    }
    manifest.retire(s.persistence.aof.file.is_some());
    if let Err(error) = persist(s, &mut manifest, out) {
        for file in [Some(base), opened].into_iter().flatten() {
            let number = s.persistence.number();
            out.disk(DiskOp::Remove { file }, number);
        }
        return Err(error);
    }
    let aof = &mut s.persistence.aof;
    aof.manifest = manifest;
    if let Some(name) = opened {
        aof.file = Some(name);
        aof.state = State::On;
    }
    if aof.is_on() {
        aof.current_size = bytes + aof.size;
        aof.base_size = aof.current_size;
    }
    remove_history(s, out);
    s.notice(out, || "Background AOF rewrite finished successfully".to_owned());
    Ok(())
}

/// A file's name without its folder.
fn base_name(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(_, base)| base)
}

/// What a child that failed or was killed has left (`aofRemoveTempFile`).
fn remove_temporaries(s: &mut Server, out: &mut Outbox) {
    for file in [child_file(s), child_temporary(s)] {
        let number = s.persistence.number();
        out.disk(DiskOp::Remove { file }, number);
    }
}

/// Kills a running rewrite; it is gone at once (`killAppendOnlyChild`).
pub(super) fn kill(s: &mut Server, out: &mut Outbox) {
    if child_kind(s) == Some(ChildKind::Aof) {
        s.notice(out, || format!("Killing running AOF rewrite child: {}", child_pid(s)));
        drop_child(s, out);
        remove_temporaries(s, out);
        s.persistence.aof.rewrites.began = None;
    }
}

/// A rewrite would be begun too soon after others have failed (`aofRewriteLimited`).
fn limited(s: &mut Server, out: &mut Outbox) -> bool {
    let now = s.now.unix.secs();
    let rewrites = &mut s.persistence.aof.rewrites;
    if rewrites.failures < FAILURES {
        (rewrites.delay, rewrites.next) = (0, None);
        return false;
    }
    if let Some(next) = rewrites.next {
        if now < next {
            return true;
        }
        rewrites.next = None;
        return false;
    }
    rewrites.delay = if rewrites.delay == 0 { 1 } else { (rewrites.delay * 2).min(DELAY_MAX) };
    rewrites.next = Some(now + rewrites.delay * 60);
    let delay = rewrites.delay;
    s.warn(out, || {
        format!("Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {delay} minutes")
    });
    true
}

/// The file has grown so much that a rewrite is worth its while.
fn has_grown(s: &Server) -> bool {
    let Aof { state, current_size, base_size, .. } = &s.persistence.aof;
    let percentage = s.config.auto_aof_rewrite_percentage;
    if *state != State::On || percentage == 0 || *current_size <= s.config.auto_aof_rewrite_min_size {
        return false;
    }
    let base = (*base_size).max(1);
    current_size.saturating_mul(100) / base >= percentage.saturating_add(100)
}

/// The part of a tick before children are looked after.
pub(crate) fn begin_scheduled(s: &mut Server, out: &mut Outbox) {
    if s.persistence.aof.rewrites.scheduled && child_kind(s).is_none() && !limited(s, out) {
        let _ = rewrite(s, out);
    }
}

/// The rest of it: a rewrite that is due, a write that waits for an fsync, and one that failed, each second.
pub(crate) fn cron(s: &mut Server, out: &mut Outbox) {
    if child_kind(s).is_none() && has_grown(s) && !limited(s, out) {
        let _ = rewrite(s, out);
    }
    if !s.persistence.aof.is_on() {
        return;
    }
    if s.persistence.aof.postponed.is_some() {
        flush(s, false, out);
    }
    if s.persistence.aof.write_error.is_some() && s.cron.loops.is_multiple_of(s.ticks_per_second()) {
        flush(s, false, out);
    }
}

/// When a tick has something to do for the append-only file.
pub(crate) fn cron_need(s: &Server) -> Option<Instant> {
    let rewrites = &s.persistence.aof.rewrites;
    let wanted = (rewrites.scheduled || has_grown(s)) && child_kind(s).is_none();
    let rewrite = wanted.then(|| {
        let limit = rewrites.next.filter(|_| rewrites.failures >= FAILURES);
        let wait = limit.map_or(Span::ZERO, |next| Span::from_secs(next.saturating_sub(s.now.unix.secs())));
        s.now.mono + wait
    });
    [rewrite, flush_need(s)].into_iter().flatten().min()
}

/// The lines of INFO on rewrites.
pub(super) fn info(s: &Server, t: &mut Text) {
    let aof = &s.persistence.aof;
    let rewrites = &aof.rewrites;
    let running = child_kind(s) == Some(ChildKind::Aof);
    let began = rewrites.began.filter(|_| running).map(|began| s.now.unix.secs().saturating_sub(began));
    let word = |failed: bool| if failed { "err" } else { "ok" };
    t.flag("aof_enabled:", aof.is_on()).flag("aof_rewrite_in_progress:", running);
    t.flag("aof_rewrite_scheduled:", rewrites.scheduled);
    t.known("aof_last_rewrite_time_sec:", rewrites.took).known("aof_current_rewrite_time_sec:", began);
    t.word("aof_last_bgrewrite_status:", word(rewrites.failed));
    t.field("aof_rewrites:", rewrites.count).field("aof_rewrites_consecutive_failures:", rewrites.failures);
    t.word("aof_last_write_status:", word(aof.write_error.or(aof.fsync_error).is_some()));
    t.field("aof_last_cow_size:", s.persistence.copied.aof);
    t.lit("module_fork_in_progress:0\r\nmodule_fork_last_cow_size:0\r\n");
}
