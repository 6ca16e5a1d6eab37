//! Loading an RDB file: what it costs, and that clients are answered -LOADING meanwhile (`rdbLoad`, `rdbLoadProgressCallback`).

use bytes::Bytes;

use super::rdb::{self, Loaded, RdbError};
use super::snapshot::{Limits, Loader};
use super::{Server, aof, report};
use crate::node::Outbox;
use crate::server::keyspace::Keyspace;
use crate::server::reply::encode_command;
use crate::server::scripting::Libraries;
use crate::server::{cost, replication};
use crate::trace::event::HistoryWhy;

/// Why a file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The process starts.
    Start,
    /// A full synchronisation with the master.
    FullSync,
    /// DEBUG LOADAOF.
    Again,
}

/// What was loaded, not yet in its place.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    /// The data.
    pub(crate) keyspace: Keyspace,
    /// The libraries of functions.
    pub(crate) libraries: Libraries,
    /// What the file said of itself.
    pub(crate) loaded: Loaded,
    /// Keys that had expired and were left out.
    expired: Vec<(u32, Bytes)>,
    /// It comes from an append-only file.
    replayed: Option<aof::Replayed>,
}

/// A file that takes more than one turn of the event loop.
#[derive(Clone, Debug)]
pub(super) struct Loading {
    purpose: Purpose,
    outcome: Result<Box<Staged>, RdbError>,
    /// Turns that are left, and nanoseconds of each.
    turns: u64,
    turn_ns: u64,
    /// And what it sleeps (`key-load-delay`).
    turn_delay: u64,
    /// When the master was last sent a newline, in wall-clock seconds.
    newline_at: u64,
    /// Bytes of the file, and when it began, for INFO.
    pub(super) bytes: u64,
    pub(super) began: u64,
    pub(super) turns_all: u64,
}

impl Loading {
    /// Bytes loaded so far.
    pub(super) fn loaded_bytes(&self) -> u64 {
        let left = u128::from(self.bytes) * u128::from(self.turns) / u128::from(self.turns_all.max(1));
        self.bytes.saturating_sub(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

/// Loads a file. A small one at once: the outcome is returned, and the time it takes is on the meter. A large one goes on
/// for several turns; what has to follow is called at its end.
pub(crate) fn begin(
    s: &mut Server,
    data: &Bytes,
    purpose: Purpose,
    out: &mut Outbox,
) -> Option<Result<Staged, RdbError>> {
    let expire_before = s.repl.is_master().then(|| s.ms());
    report::log_head(s, data, out);
    let outcome = stage(s, data, expire_before);
    let bytes = data.len() as u64;
    let keys = outcome.as_ref().map_or(0, |staged| staged.loaded.keys);
    let ns = keys * cost::LOAD_KEY + bytes / 16 * cost::LOAD_16;
    if let Ok(staged) = &outcome {
        s.persistence.last_load = (keys - staged.expired.len() as u64, staged.expired.len() as u64);
    }
    let delay = s.config.load_delay(keys);
    spread(s, outcome, purpose, (bytes, ns, delay, 0), out)
}

/// After so many nanoseconds of a slow script events are handled.
const SLOW_TURN: u64 = 2_000_000;

/// What was read of an append-only file is the outcome of a load.
pub(super) fn begin_replayed(s: &mut Server, replayed: aof::Replayed, purpose: Purpose, out: &mut Outbox) {
    let databases = s.keyspace.dbs.len();
    let keyspace = std::mem::replace(&mut s.keyspace, Keyspace::new(databases));
    let libraries = std::mem::take(&mut s.scripting.libraries);
    let (bytes, (ns, keys), slow) = (replayed.bytes, replayed.spent, replayed.slow_ns);
    let loaded = Loaded::default();
    let delay = s.config.load_delay(keys);
    let staged = Staged { keyspace, libraries, loaded, expired: Vec::new(), replayed: Some(replayed) };
    if let Some(outcome) = spread(s, Ok(staged), purpose, (bytes, ns, delay, slow), out) {
        end(s, purpose, outcome, out);
    }
}

/// The outcome of what takes one turn; what takes more goes on for as many as it needs.
fn spread(
    s: &mut Server,
    outcome: Result<Staged, RdbError>,
    purpose: Purpose,
    (bytes, ns, delay, slow): (u64, u64, u64, u64),
    out: &mut Outbox,
) -> Option<Result<Staged, RdbError>> {
    // After so much of a file events are handled.
    let interval = s.config.loading_process_events_interval_bytes;
    if bytes <= interval && slow == 0 {
        s.meter.add(ns);
        s.meter.add_exactly(delay);
        out.busy(s.meter.take());
        return Some(outcome);
    }
    let turns = bytes.div_ceil(interval).max(slow / SLOW_TURN).max(1);
    s.loading = true;
    s.persistence.loading = Some(Loading {
        purpose,
        outcome: outcome.map(Box::new),
        turns,
        turn_ns: ns / turns,
        turn_delay: (delay + slow) / turns,
        newline_at: 0,
        bytes,
        began: s.now.unix.secs(),
        turns_all: turns,
    });
    None
}

fn stage(s: &Server, data: &Bytes, expire_before: Option<i64>) -> Result<Staged, RdbError> {
    let databases = s.config.databases;
    let mut loader = Loader {
        keyspace: Keyspace::new(usize::try_from(databases).unwrap_or(16)),
        libraries: Libraries::default(),
        limits: Limits::of(&s.config, s.large_element),
        expire_before,
        expired: Vec::new(),
        access: s.access_now(),
    };
    let checksum = s.config.rdbchecksum && !s.persistence.skip_checksum;
    let read = rdb::read(data, checksum, u32::try_from(databases).unwrap_or(16), &mut loader);
    let (keyspace, libraries, expired) = (loader.keyspace, loader.libraries, loader.expired);
    read.map(|loaded| Staged { keyspace, libraries, loaded, expired, replayed: None })
}

/// Loads the base of an append-only file in place of an empty dataset: all of its keys, for what follows goes by them.
pub(super) fn replace(s: &mut Server, data: &Bytes) -> Result<Loaded, RdbError> {
    let staged = stage(s, data, None)?;
    s.keyspace = staged.keyspace;
    s.scripting.libraries = staged.libraries;
    s.persistence.last_load = (staged.loaded.keys, 0);
    Ok(staged.loaded)
}

/// Loads a file while everything waits.
pub(super) fn at_once(s: &mut Server, data: &Bytes) -> Result<Staged, RdbError> {
    let expire_before = s.repl.is_master().then(|| s.ms());
    let staged = stage(s, data, expire_before)?;
    let expired = staged.expired.len() as u64;
    s.persistence.last_load = (staged.loaded.keys - expired, expired);
    s.meter.add(staged.loaded.keys * cost::LOAD_KEY + data.len() as u64 / 16 * cost::LOAD_16);
    s.meter.add_exactly(s.config.load_delay(staged.loaded.keys));
    Ok(staged)
}

/// The next part of a large file.
pub(crate) fn go_on(s: &mut Server, out: &mut Outbox) {
    let now = s.now.unix.secs();
    let Some(loading) = &mut s.persistence.loading else { return };
    s.meter.add(loading.turn_ns);
    s.meter.add_exactly(loading.turn_delay);
    loading.turns = loading.turns.saturating_sub(1);
    if loading.purpose == Purpose::FullSync && loading.newline_at != now {
        loading.newline_at = now;
        replication::send_newline(s, out);
    }
    if s.persistence.loading.as_ref().is_some_and(|loading| loading.turns > 0) {
        return;
    }
    let Some(loading) = s.persistence.loading.take() else { return };
    s.loading = false;
    out.busy(s.meter.take());
    if loading.purpose == Purpose::Start {
        s.notice(out, || "Ready to accept connections".to_owned());
    }
    end(s, loading.purpose, loading.outcome.map(|staged| *staged), out);
}

fn end(s: &mut Server, purpose: Purpose, outcome: Result<Staged, RdbError>, out: &mut Outbox) {
    match (purpose, outcome) {
        (Purpose::Start, outcome) => started(s, outcome, out),
        (Purpose::FullSync, outcome) => replication::full_sync_loaded(s, outcome, out),
        (Purpose::Again, Ok(Staged { keyspace, libraries, replayed: Some(replayed), .. })) => {
            (s.keyspace, s.scripting.libraries) = (keyspace, libraries);
            super::loaded_again(s, &replayed, out);
        }
        (Purpose::Again, _) => unreachable!("only what has been read from an append-only file is loaded again"),
    }
}

/// The file that was found at the start has been read.
pub(super) fn started(s: &mut Server, outcome: Result<Staged, RdbError>, out: &mut Outbox) {
    let staged = match outcome {
        Ok(staged) => staged,
        Err(error) => {
            if matches!(error, RdbError::Checksum { .. }) {
                s.warn(out, || "Internal error in RDB reading -> RDB CRC error".to_owned());
            }
            s.die(&error.to_string(), 1, out);
            return;
        }
    };
    s.keyspace = staged.keyspace;
    s.scripting.libraries = staged.libraries;
    note_loaded(s, staged.replayed.is_some(), out);
    let deleted: Vec<(u32, Bytes)> =
        staged.expired.iter().map(|(db, key)| (*db, encode_command(&[verb(s), key]))).collect();
    let replayed = staged.replayed;
    let why = match &replayed {
        Some(replayed) if !replayed.missing => HistoryWhy::Aof,
        Some(_) | None => HistoryWhy::Start,
    };
    if let Some(replayed) = &replayed {
        aof::note_loaded(s, replayed, out);
    }
    replication::restore(s, staged.loaded.stream(), &deleted, why, out);
    aof::open_at_start(s, replayed.as_ref(), out);
}

/// The log's lines on what was found at the start.
fn note_loaded(s: &Server, from_log: bool, out: &mut Outbox) {
    if from_log {
        return s.notice(out, || "DB loaded from append only file".to_owned());
    }
    report::log_loaded(s, out);
    s.notice(out, || "DB loaded from disk".to_owned());
}

fn verb(s: &Server) -> &'static [u8] {
    if s.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" }
}
