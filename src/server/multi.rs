//! MULTI, EXEC, DISCARD, WATCH: the state they keep (`multi.c`).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Server;
use super::call::Cx;
use super::commands::Command;
use super::keyspace::DbKey;
use super::session::Flags;
use crate::id::Fd;
use crate::resp::Args;

/// A transaction being queued.
#[derive(Clone, Debug, Default)]
pub(crate) struct MultiState {
    /// Commands with their arguments.
    pub queue: Vec<(&'static Command, Args)>,
    /// All flags of the queued commands together.
    pub flags: u64,
    /// Flags that at least one queued command lacks.
    pub inv_flags: u64,
    /// What the arguments of the queued commands take (`argv_len_sums`).
    pub bytes: u64,
}

/// A key that a session watches.
#[derive(Clone, Debug)]
pub(crate) struct WatchedKey {
    /// Where and which.
    pub key: DbKey,
    /// It was already expired when WATCH was called.
    pub expired: bool,
}

/// Who watches which key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchers(BTreeMap<DbKey, Vec<Fd>>);

impl Watchers {
    /// True when nobody watches anything.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a watcher.
    pub(crate) fn add(&mut self, key: DbKey, fd: Fd) {
        self.0.entry(key).or_default().push(fd);
    }

    /// Removes a watcher.
    pub(crate) fn remove(&mut self, key: &DbKey, fd: Fd) {
        if let Some(fds) = self.0.get_mut(key) {
            fds.retain(|&other| other != fd);
            if fds.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Who watches a key.
    #[must_use]
    pub(crate) fn of(&self, db: u32, key: &[u8]) -> Vec<Fd> {
        self.0.get(&(db, Bytes::copy_from_slice(key))).cloned().unwrap_or_default()
    }

    /// Watched keys of a database with their watchers.
    pub(crate) fn in_db(&self, db: u32) -> impl Iterator<Item = (&DbKey, &Vec<Fd>)> {
        self.0.range((db, Bytes::new())..).take_while(move |((number, _), _)| *number == db)
    }
}

impl Server {
    /// The running session changes a key: transactions that watch it are doomed, and who remembers it is told
    /// (`signalModifiedKey`).
    #[inline]
    pub(crate) fn signal_modified(&mut self, db: u32, key: &[u8]) {
        self.signal_modified_by(self.exec.client, db, key);
    }

    /// The same when it is not the running session that changes it: expiry, eviction.
    #[inline]
    pub(crate) fn signal_modified_by(&mut self, author: Option<Fd>, db: u32, key: &[u8]) {
        if !self.watchers.is_empty() {
            self.doom_watchers(db, key);
        }
        if !self.tracking.is_idle() {
            self.invalidate(author, key);
        }
    }

    /// `touchWatchedKey`, with its quirk: once a watcher is met whose key was over when it began to watch, and has a new value
    /// now, neither it nor those behind it are doomed.
    fn doom_watchers(&mut self, db: u32, key: &[u8]) {
        let gone = self.keyspace.db(db).find(key).is_none();
        for fd in self.watchers.of(db, key) {
            let session = self.sessions.at_mut(fd);
            if let Some(watched) = session.watched_key(db, key)
                && watched.expired
            {
                if !gone {
                    return;
                }
                // An expired key is deleted: nothing has changed.
                watched.expired = false;
                continue;
            }
            session.flags.set(Flags::DIRTY_CAS);
            self.unwatch_all(fd);
        }
    }

    /// A whole database is replaced or emptied: watchers of keys that exist before or after are doomed
    /// (`touchAllWatchedKeysInDb`).
    pub(crate) fn signal_flushed(&mut self, db: u32, replaced_with: Option<u32>) {
        if !self.blocking.is_empty() {
            let other = replaced_with.map(|other| self.keyspace.db(other).clone());
            self.signal_streams_gone(db, other.as_ref());
        }
        if self.watchers.is_empty() {
            return;
        }
        let mut met = Vec::new();
        for ((_, key), fds) in self.watchers.in_db(db) {
            let here = self.keyspace.db(db).find(key).is_some();
            let there = replaced_with.and_then(|other| {
                let other = self.keyspace.db(other);
                other.find(key).map(|at| self.is_over(other.expiry(at)))
            });
            if here || there.is_some() {
                met.extend(fds.iter().map(|&fd| (fd, key.clone(), here, there)));
            }
        }
        for (fd, key, here, there) in met {
            let session = self.sessions.at_mut(fd);
            let Some(watched) = session.watched_key(db, &key) else { continue };
            match (watched.expired, there) {
                // What was over is gone, or over still; what wasn't there is there, but over.
                (true, None) => watched.expired = false,
                (true, Some(true)) => {}
                (false, Some(true)) if !here => watched.expired = true,
                (true, Some(false)) | (false, _) => session.flags.set(Flags::DIRTY_CAS),
            }
        }
    }

    /// Forgets everything that a session watches.
    pub(crate) fn unwatch_all(&mut self, fd: Fd) {
        let session = self.sessions.at_mut(fd);
        for watched in std::mem::take(&mut session.watched) {
            self.watchers.remove(&watched.key, fd);
        }
    }
}

/// Ends the calling session's transaction without running it (`discardTransaction`).
pub(crate) fn discard(cx: &mut Cx<'_>) {
    let session = cx.session_mut();
    session.multi = None;
    session.flags.clear(Flags::MULTI.with(Flags::DIRTY_CAS).with(Flags::DIRTY_EXEC));
    cx.s.unwatch_all(cx.fd);
}
