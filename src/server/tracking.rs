//! Client side caching: which keys clients may remember, and telling them when they mustn't any longer (`tracking.c`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::Server;
use super::commands::keyspecs;
use super::commands::{Command, flag};
use super::keyspace::{Dict, hash_key};
use super::session::{Flags, Session};
use crate::id::Fd;
use crate::resp::{Args, encode};
use crate::time::Instant;

/// Keys that are forgotten in one go when there are too many.
const EFFORT: u64 = 100;

/// How one session has its keys tracked.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "the options of CLIENT TRACKING")]
pub(crate) struct Mode {
    /// The session that is told instead; 0: none.
    pub redirect: u64,
    /// That one is gone.
    pub broken: bool,
    /// Told of all keys with its prefixes, whether it read them or not.
    pub bcast: bool,
    /// Only what it reads after CLIENT CACHING YES.
    pub optin: bool,
    /// All but what it reads after CLIENT CACHING NO.
    pub optout: bool,
    /// Not told of its own changes.
    pub noloop: bool,
    /// CLIENT CACHING was called for the next command.
    pub caching: bool,
    /// With `bcast`.
    pub prefixes: BTreeSet<Bytes>,
}

/// A key that sessions may remember.
#[derive(Clone, Debug)]
struct Remembered {
    key: Bytes,
    /// Their ids, as they sort when their lowest byte comes first.
    ids: BTreeSet<u64>,
}

/// A prefix that sessions listen to.
#[derive(Clone, Debug, Default)]
struct Prefix {
    /// Keys that changed in this turn, and who changed them last.
    keys: BTreeMap<Bytes, Option<Fd>>,
    listeners: Vec<Fd>,
}

/// All that is tracked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracking {
    table: Dict<Remembered>,
    items: u64,
    prefixes: BTreeMap<Bytes, Prefix>,
    /// Sessions that have it on.
    pub clients: u64,
    /// What the running session is told once it has its reply; `None`: everything is invalid.
    pending: Vec<Option<Bytes>>,
    /// What the running session itself has called last, which may be a script.
    caller: Option<(&'static Command, Args)>,
    /// How often in a row there were too many keys even after some were forgotten.
    overruns: u64,
}

impl Tracking {
    /// True when nobody can be told of anything.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.clients == 0 && self.table.is_empty()
    }

    /// How many keys, how many sessions that remember them in all, how many prefixes.
    #[must_use]
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        (self.table.len() as u64, self.items, self.prefixes.len() as u64)
    }

    /// Takes what the running session is yet to be told.
    pub(crate) fn take_pending(&mut self) -> Vec<Option<Bytes>> {
        std::mem::take(&mut self.pending)
    }

    /// Puts it back.
    pub(crate) fn put_pending(&mut self, pending: Vec<Option<Bytes>>) {
        self.pending = pending;
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        self.table.find(hash_key(key), |remembered| remembered.key == key)
    }
}

fn array_of(keys: &[&Bytes]) -> Bytes {
    let mut out = BytesMut::new();
    encode::array_header(&mut out, keys.len());
    for key in keys {
        encode::bulk(&mut out, key);
    }
    out.freeze()
}

/// The absent value, which stands for all keys.
fn everything(session: &Session) -> &'static [u8] {
    if session.resp > 2 { b"_\r\n" } else { b"$-1\r\n" }
}

impl Server {
    /// Tracking begins, or goes on in another way (`enableTracking`).
    pub(crate) fn enable_tracking(&mut self, fd: Fd, mut mode: Mode) {
        let session = self.sessions.at_mut(fd);
        let old = session.tracking.take();
        if let Some(old) = &old {
            mode.caching = old.caching;
            if old.bcast {
                mode.prefixes.extend(old.prefixes.iter().cloned());
            }
        } else {
            self.tracking.clients += 1;
        }
        for prefix in &mode.prefixes {
            let listeners = &mut self.tracking.prefixes.entry(prefix.clone()).or_default().listeners;
            if !listeners.contains(&fd) {
                listeners.push(fd);
            }
        }
        self.sessions.at_mut(fd).tracking = Some(Box::new(mode));
    }

    /// Tracking ends; what the session remembers is forgotten when it next changes (`disableTracking`).
    pub(crate) fn disable_tracking(&mut self, fd: Fd) {
        let Some(mode) = self.sessions.at_mut(fd).tracking.take() else { return };
        self.tracking.clients -= 1;
        for name in &mode.prefixes {
            let prefix = self.tracking.prefixes.get_mut(name).expect("a prefix is known on both sides");
            prefix.listeners.retain(|&other| other != fd);
            if prefix.listeners.is_empty() {
                self.tracking.prefixes.remove(name);
            }
        }
    }

    /// A command begins: if the running session itself has called it, its keys are those that count for what a script
    /// reads.
    pub(crate) fn note_caller(&mut self, fd: Fd, command: &'static Command, args: &Args) {
        if self.exec.client == Some(fd) {
            self.tracking.caller = Some((command, args.clone()));
        }
    }

    /// A command that only reads has run, of the running session or in its script: the keys of what that session has
    /// called may be remembered by it (`trackingRememberKeys`).
    pub(crate) fn remember_keys(&mut self) {
        let Some((command, args)) = self.tracking.caller.clone() else { return };
        let Some(session) = self.exec.client.and_then(|fd| self.sessions.get(fd)) else { return };
        let Some(mode) = &session.tracking else { return };
        if mode.bcast || mode.optin && !mode.caching || mode.optout && mode.caching || command.is(flag::PUBSUB) {
            return;
        }
        let id = session.id.swap_bytes();
        let parts: SmallVec<[&[u8]; 8]> = args.iter().collect();
        for key in keyspecs::keys_called(command, &parts) {
            let key = args.get(key.at);
            let at = self.tracking.find(key).unwrap_or_else(|| {
                let new = Remembered { key: Bytes::copy_from_slice(key), ids: BTreeSet::new() };
                self.tracking.table.insert(hash_key(key), new)
            });
            if self.tracking.table.get_mut(at).ids.insert(id) {
                self.tracking.items += 1;
            }
        }
    }

    /// A key has changed, by `author` if a session did it: who may remember it is told (`trackingInvalidateKey`).
    pub(crate) fn invalidate(&mut self, author: Option<Fd>, key: &[u8]) {
        if self.tracking.clients > 0 {
            for (name, prefix) in &mut self.tracking.prefixes {
                if key.starts_with(name) {
                    prefix.keys.insert(Bytes::copy_from_slice(key), author);
                }
            }
        }
        if let Some(at) = self.tracking.find(key) {
            self.forget(at);
        }
    }

    /// Tells all who may remember the key at an index, and forgets it.
    fn forget(&mut self, at: u32) {
        let Remembered { key, ids } = self.tracking.table.remove(at);
        self.tracking.items -= ids.len() as u64;
        let payload = array_of(&[&key]);
        for id in ids {
            let Some(fd) = self.sessions.by_id(id.swap_bytes()) else { continue };
            let current = self.exec.client == Some(fd);
            match &self.sessions.at(fd).tracking {
                Some(mode) if !(mode.bcast || mode.noloop && current) => {}
                _ => continue,
            }
            // A message for the running session must not come amid its reply.
            if current && self.exec.runs() {
                self.tracking.pending.push(Some(key.clone()));
            } else {
                self.send_invalidation(fd, &payload);
            }
        }
    }

    /// Databases were emptied: everything that anybody remembers is invalid (`trackingInvalidateKeysOnFlush`).
    pub(crate) fn invalidate_all(&mut self) {
        if self.tracking.clients > 0 {
            let fds: Vec<Fd> = self.sessions.iter().filter(|s| s.tracking.is_some()).map(|s| s.fd).collect();
            for fd in fds {
                if self.exec.client == Some(fd) {
                    self.tracking.pending.push(None);
                } else {
                    let payload = everything(self.sessions.at(fd));
                    self.send_invalidation(fd, payload);
                }
            }
        }
        if !self.tracking.table.is_empty() {
            self.tracking.table = Dict::default();
        }
        self.tracking.items = 0;
    }

    /// What the running session is to be told now that it has its reply (`trackingHandlePendingKeyInvalidations`).
    pub(crate) fn send_pending_invalidations(&mut self, fd: Fd) {
        for key in std::mem::take(&mut self.tracking.pending) {
            let Some(session) = self.sessions.get(fd).filter(|session| session.tracking.is_some()) else { return };
            match key {
                Some(key) => self.send_invalidation(fd, &array_of(&[&key])),
                None => {
                    let payload = everything(session);
                    self.send_invalidation(fd, payload);
                }
            }
        }
    }

    /// Tells a session, or the one that it has named, what is no longer valid (`sendTrackingMessage`).
    fn send_invalidation(&mut self, fd: Fd, payload: &[u8]) {
        let Some(mode) = &self.sessions.at(fd).tracking else { return };
        let redirect = mode.redirect;
        let mut target = fd;
        if redirect != 0 {
            match self.sessions.by_id(redirect) {
                Some(other) => target = other,
                None => return self.redirection_broken(fd, redirect),
            }
        }
        let session = self.sessions.at_mut(target);
        if session.flags.has(Flags::GOING) {
            return;
        }
        let subscribed = redirect != 0 && session.flags.has(Flags::PUBSUB);
        let Some(out) = session.reply.invalidation(session.resp, subscribed) else { return };
        out.extend_from_slice(payload);
        self.sessions.want_write(target);
        self.check_output_limit(target);
    }

    fn redirection_broken(&mut self, fd: Fd, redirect: u64) {
        let session = self.sessions.at_mut(fd);
        if let Some(mode) = &mut session.tracking {
            mode.broken = true;
        }
        if session.resp > 2 && !session.flags.has(Flags::GOING) {
            let out = session.reply.tail();
            encode::header(out, b'>', 2);
            encode::bulk(out, b"tracking-redir-broken");
            encode::integer(out, i64::try_from(redirect).unwrap_or(i64::MAX));
            self.sessions.want_write(fd);
        }
    }

    /// When a tick has something to forget: at once, after the limit was lowered and nobody has asked for anything since.
    pub(crate) fn tracking_need(&self) -> Option<Instant> {
        let most = self.config.tracking_table_max_keys;
        let over = self.tracking.clients > 0 && most > 0 && self.tracking.table.len() as u64 > most;
        over.then_some(self.now.mono)
    }

    /// Forgets keys when more are remembered than `tracking-table-max-keys` allows (`trackingLimitUsedSlots`).
    pub(crate) fn limit_tracking(&mut self) {
        let most = self.config.tracking_table_max_keys;
        if most == 0 {
            return;
        }
        let over = |s: &Server| s.tracking.table.len() as u64 > most;
        let mut effort = EFFORT * (self.tracking.overruns + 1);
        while over(self) && effort > 0 {
            let Some(at) = self.tracking.table.random(&mut self.rng) else { break };
            self.forget(at);
            effort -= 1;
        }
        self.tracking.overruns = if over(self) { self.tracking.overruns + 1 } else { 0 };
    }

    /// Tells those who listen to prefixes what changed in this turn (`trackingBroadcastInvalidationMessages`).
    pub(crate) fn broadcast_invalidations(&mut self) {
        let mut messages = Vec::new();
        for prefix in self.tracking.prefixes.values_mut().filter(|prefix| !prefix.keys.is_empty()) {
            let keys = std::mem::take(&mut prefix.keys);
            let all = array_of(&keys.keys().collect::<Vec<_>>());
            for &fd in &prefix.listeners {
                let noloop = self.sessions.at(fd).tracking.as_ref().is_some_and(|mode| mode.noloop);
                if !noloop {
                    messages.push((fd, all.clone()));
                    continue;
                }
                let others: Vec<&Bytes> =
                    keys.iter().filter(|(_, author)| **author != Some(fd)).map(|(key, _)| key).collect();
                if !others.is_empty() {
                    messages.push((fd, array_of(&others)));
                }
            }
        }
        for (fd, message) in messages {
            self.send_invalidation(fd, &message);
        }
    }
}
