//! The child process that makes an RDB or the base of an append-only file: forked, at work, ended, reaped (`rdbSaveBackground`, `rdbSaveToSlavesSockets`,
//! `checkChildrenDone`).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::forked::{self, Forked};
use super::{Server, aof, file_name, pid, rdb::StreamPosition, snapshot};
use crate::node::{DiskOp, Outbox};
use crate::server::cost;
use crate::server::replication::sync::{self, Filter};
use crate::time::Span;
use crate::trace::Kind;
use crate::trace::event::ServerEvent;

/// Most of a file that is handed to the sockets at once.
const SLICE: usize = 256 * 1024;

/// Where the child writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildKind {
    /// The snapshot on the disk.
    Disk,
    /// A pipe to the parent, which hands it to the replicas.
    Socket,
    /// The next base of the append-only file.
    Aof,
}

impl ChildKind {
    /// It makes an RDB (`CHILD_TYPE_RDB`).
    #[must_use]
    pub(crate) fn makes_rdb(self) -> bool {
        self != ChildKind::Aof
    }
}

/// What the child is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Making the file (of a socket child: up to so many bytes).
    Making(usize),
    /// The disk works; the numbers are those of the first and the last operation.
    Writing(u64, u64),
    /// Everything is in the pipe; it waits for the parent to have read it.
    Waiting,
    /// It exits.
    Exiting,
    /// It has exited, and how.
    Exited(bool),
}

/// A child process.
#[derive(Clone, Debug)]
pub(super) struct Child {
    kind: ChildKind,
    phase: Phase,
    data: Bytes,
    /// The job that runs.
    job: u64,
    /// How long the making of one slice takes.
    slice_takes: Span,
    /// When it was forked, in wall-clock seconds.
    pub(super) began: u64,
    /// A disk operation has failed.
    failed: bool,
    /// What the server was then.
    pub(super) forked: Forked,
}

/// What the running child, or one that has not been reaped, writes to.
pub(crate) fn child_kind(s: &Server) -> Option<ChildKind> {
    s.persistence.child.as_ref().map(|child| child.kind)
}

/// Forks: the main thread stands still while page tables are copied.
pub(crate) fn fork(s: &mut Server, out: &mut Outbox) {
    let pages = snapshot::used_memory(s) / 4096 * cost::FORK_GB / ((1 << 30) / 4096);
    let ns = cost::FORK + pages;
    s.meter.add(ns);
    s.stats.forks += 1;
    s.stats.last_fork_us = ns / 1_000;
    let copied = u128::from(snapshot::used_memory(s)) * 100 * 1_000_000_000 / u128::from(ns.max(1));
    s.stats.fork_rate_hundredths = u64::try_from(copied >> 30).unwrap_or(u64::MAX);
    s.latency_sample("fork", ns / 1_000_000);
    out.busy(s.meter.take());
}

/// What a child needs to begin or to end, drawn anew each time.
fn child_overhead(s: &mut Server) -> u64 {
    s.rng.range(cost::CHILD.0, cost::CHILD.1)
}

/// `rdbSaveBackground`
pub(crate) fn begin_disk_child(s: &mut Server, position: Option<StreamPosition>, for_sync: bool, out: &mut Outbox) {
    s.persistence.saves += 1;
    s.persistence.dirty_before = s.exec.dirty;
    s.persistence.last_try = s.now.unix.secs();
    if for_sync {
        super::made_for_sync(s);
        note_began(s, false, out);
    }
    let (data, ns) = snapshot::encode(s, position, Filter::default());
    fork(s, out);
    out.disk_aside(DiskOp::Create { file: temporary(s) });
    let overhead = child_overhead(s);
    begin(s, ChildKind::Disk, data, overhead + ns, Span::ZERO, out);
}

/// The child of a rewrite: it makes this file, which takes so much time.
pub(super) fn begin_aof_child(s: &mut Server, data: Bytes, ns: u64, out: &mut Outbox) {
    fork(s, out);
    let overhead = child_overhead(s);
    begin(s, ChildKind::Aof, data, overhead + ns, Span::ZERO, out);
}

/// `rdbSaveToSlavesSockets`: returns what the replicas get, from `$EOF:` to the mark.
pub(crate) fn begin_socket_child(s: &mut Server, position: StreamPosition, filter: Filter, out: &mut Outbox) -> Bytes {
    note_began(s, true, out);
    let (file, ns) = snapshot::encode(s, Some(position), filter);
    let mut mark = [0u8; 40];
    s.rng.fill_hex(&mut mark);
    let mut data = BytesMut::with_capacity(file.len() + 2 * mark.len() + 8);
    for part in [b"$EOF:", &mark[..], b"\r\n", &file, &mark] {
        data.extend_from_slice(part);
    }
    let data = data.freeze();
    fork(s, out);
    let slices = data.len().div_ceil(SLICE) as u64;
    let slice_takes = s.meter.scaled(ns / slices);
    let overhead = child_overhead(s);
    begin(s, ChildKind::Socket, data.clone(), overhead + ns / slices, slice_takes, out);
    data
}

/// The log's line on a child that has ended.
fn note_reaped(s: &Server, kind: ChildKind, ok: bool, out: &mut Outbox) {
    let text = match (kind, ok) {
        (ChildKind::Disk, true) => return s.notice(out, || "Background saving terminated with success".to_owned()),
        (ChildKind::Socket, true) => {
            return s.notice(out, || "Background RDB transfer terminated with success".to_owned());
        }
        (ChildKind::Aof, true) => {
            return s.notice(out, || "Background AOF rewrite terminated with success".to_owned());
        }
        (ChildKind::Disk, false) => "Background saving terminated by signal 9",
        (ChildKind::Socket, false) => "Background transfer terminated by signal 9",
        (ChildKind::Aof, false) => "Background AOF rewrite terminated by signal 9",
    };
    s.warn(out, || text.to_owned());
}

fn note_began(s: &Server, diskless: bool, out: &mut Outbox) {
    let cause = out.cause();
    out.note(Kind::Server(ServerEvent::RdbBegan { diskless, offset: s.repl.offset }));
    out.because(cause);
}

fn begin(s: &mut Server, kind: ChildKind, data: Bytes, ns: u64, slice_takes: Span, out: &mut Outbox) {
    assert!(s.persistence.child.is_none(), "one child at a time");
    let job = s.persistence.number();
    let phase = Phase::Making(data.len().min(SLICE));
    let began = s.now.unix.secs();
    let slices = if kind == ChildKind::Socket { data.len().div_ceil(SLICE) as u64 } else { 1 };
    let delay = Span::from_ns(s.config.save_delay(s.keyspace.len()) / slices.max(1));
    let slice_takes = slice_takes + delay;
    let takes = match kind {
        ChildKind::Socket => slice_takes.times(slices),
        ChildKind::Disk | ChildKind::Aof => s.meter.scaled(ns) + delay,
    };
    let forked = Forked::now(s, takes);
    s.persistence.child = Some(Child { kind, phase, data, job, slice_takes, began, failed: false, forked });
    s.keyspace.hold_tables(true);
    s.notice(out, || {
        let what = match kind {
            ChildKind::Disk => "Background saving",
            ChildKind::Socket => "Background RDB transfer",
            ChildKind::Aof => "Background append only file rewriting",
        };
        format!("{what} started by pid {}", child_pid(s))
    });
    out.job(job, s.meter.scaled(ns) + delay);
}

/// The number of the child process.
pub(super) fn child_pid(s: &Server) -> u64 {
    pid(s) + 10_000
}

/// The file that a child which saves fills.
fn temporary(s: &Server) -> Arc<str> {
    format!("temp-{}.rdb", child_pid(s)).into()
}

/// Somebody has killed it.
pub(crate) fn child_killed(s: &mut Server, out: &mut Outbox) {
    kill_child(s, out);
    if let Some(child) = &mut s.persistence.child {
        child.failed = true;
    }
    s.plain = false;
}

/// A background job ended.
pub(crate) fn job_done(s: &mut Server, job: u64, out: &mut Outbox) {
    let Some(child) = s.persistence.child.as_mut().filter(|child| child.job == job) else { return };
    match (child.phase, child.kind) {
        (Phase::Making(_), ChildKind::Disk | ChildKind::Aof) => write(s, out),
        (Phase::Making(made), ChildKind::Socket) => {
            let all = child.data.len();
            if made < all {
                let takes = child.slice_takes;
                child.phase = Phase::Making(all.min(made + SLICE));
                let next = s.persistence.number();
                s.persistence.child.as_mut().expect("it is there").job = next;
                out.job(next, takes);
            } else {
                child.phase = Phase::Waiting;
            }
            sync::pipe_grew(s, made, out);
        }
        (Phase::Exiting, _) => child.phase = Phase::Exited(!child.failed),
        (Phase::Writing(..) | Phase::Waiting | Phase::Exited(_), _) => {}
    }
}

/// The file is made: it goes to the disk under another name, and then takes the snapshot's place, or waits for the
/// parent to install it.
fn write(s: &mut Server, out: &mut Outbox) {
    let is_rdb = child_kind(s) == Some(ChildKind::Disk);
    let (temp, name): (Arc<str>, Arc<str>) =
        if is_rdb { (temporary(s), file_name(s)) } else { (aof::child_temporary(s), aof::child_file(s)) };
    let [first, second, third, last] = std::array::from_fn(|_| s.persistence.number());
    let Some(child) = &mut s.persistence.child else { return };
    child.phase = Phase::Writing(first, if is_rdb { last } else { third });
    out.disk(DiskOp::Write { file: temp.clone(), data: child.data.clone() }, first);
    out.disk(DiskOp::Fsync { file: temp.clone() }, second);
    out.disk(DiskOp::Rename { from: temp, to: name }, third);
    if is_rdb {
        out.disk(DiskOp::fsync_directory(), last);
    }
}

/// A disk operation ended.
pub(crate) fn disk_done(s: &mut Server, op: u64, ok: bool, out: &mut Outbox) {
    if aof::fsync_done(s, op, ok, out) {
        return;
    }
    let Some(child) = &mut s.persistence.child else { return };
    let Phase::Writing(first, last) = child.phase else { return };
    if !(first..=last).contains(&op) {
        return;
    }
    child.failed |= !ok;
    if op == last {
        exit(s, out);
    }
}

fn exit(s: &mut Server, out: &mut Outbox) {
    let overhead = child_overhead(s);
    let job = s.persistence.number();
    let Some(child) = &mut s.persistence.child else { return };
    child.phase = Phase::Exiting;
    child.job = job;
    out.job(job, s.meter.scaled(overhead));
}

/// The parent has read everything out of the pipe: the child may go.
pub(crate) fn pipe_drained(s: &mut Server, out: &mut Outbox) {
    if s.persistence.child.as_ref().is_some_and(|child| child.phase == Phase::Waiting) {
        exit(s, out);
    }
}

/// `killRDBChild`: it is gone at once, and noticed at the next tick.
pub(crate) fn kill_child(s: &mut Server, out: &mut Outbox) {
    let Some(child) = &mut s.persistence.child else { return };
    let unfinished = child.kind == ChildKind::Disk && matches!(child.phase, Phase::Making(_));
    match child.phase {
        Phase::Making(_) | Phase::Exiting => out.kill_job(child.job),
        Phase::Writing(..) | Phase::Waiting => {}
        Phase::Exited(_) => return,
    }
    child.phase = Phase::Exited(false);
    child.failed = false;
    child.data = Bytes::new();
    if unfinished {
        out.disk_aside(DiskOp::Remove { file: temporary(s) });
    }
}

/// It is gone, and nobody waits for it.
pub(super) fn drop_child(s: &mut Server, out: &mut Outbox) {
    kill_child(s, out);
    s.persistence.child = None;
    s.keyspace.hold_tables(false);
}

/// `checkChildrenDone`: a child that has exited is noticed, and replicas that waited for its end get theirs at once.
pub(crate) fn check_children(s: &mut Server, out: &mut Outbox) {
    if let Some(Phase::Exited(ok)) = s.persistence.child.as_ref().map(|child| child.phase) {
        reap(s, ok, out);
        if !s.shutdown.exited {
            sync::start_pending(s, out);
        }
    }
}

/// Whoever waits for the child's file learns of it.
fn reap(s: &mut Server, ok: bool, out: &mut Outbox) {
    let child = s.persistence.child.take().expect("the caller has seen it");
    if ok {
        forked::note_copied(s, child.forked);
    }
    note_reaped(s, child.kind, ok, out);
    s.keyspace.hold_tables(false);
    if child.kind == ChildKind::Aof {
        return aof::rewrite_done(s, ok.then_some(child.data.len() as u64), out);
    }
    let now = s.now.unix.secs();
    s.persistence.pipe = None;
    s.persistence.last_took = Some(now.saturating_sub(child.began));
    if child.kind == ChildKind::Disk {
        if ok {
            s.exec.dirty -= s.persistence.dirty_before.min(s.exec.dirty);
            s.persistence.last_save = now;
            s.persistence.failed = false;
            s.persistence.file = Some(child.data.clone());
        } else {
            // A child that was killed on purpose doesn't count as failed.
            s.persistence.failed |= child.failed;
        }
    }
    let cause = out.cause();
    out.note(Kind::Server(ServerEvent::RdbDone { bytes: child.data.len() as u64, ok }));
    sync::child_done(s, child.kind, ok.then_some(&child.data), out);
    out.because(cause);
}
