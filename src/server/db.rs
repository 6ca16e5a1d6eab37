//! Keys as commands see them: lookups with lazy expiry, changes that are signalled (`db.c`).

use super::Server;
use super::call::Cx;
use super::keyspace::{Entry, Name, Type, Value};
use super::notify::Classes;
use super::reply::encode_command;
use crate::time::NS_PER_MS;

/// Values that take more steps than this to free are freed in the background, if that is wanted (`LAZYFREE_THRESHOLD`).
const LAZY_EFFORT: usize = 64;

impl Server {
    /// Seconds since 1970 on this machine's wall clock.
    #[must_use]
    pub(crate) fn seconds(&self) -> u32 {
        u32::try_from(self.now.unix.secs()).unwrap_or(u32::MAX)
    }

    /// Milliseconds since 1970 on this machine's wall clock: what expiry compares with.
    #[must_use]
    pub(crate) fn ms(&self) -> i64 {
        i64::try_from(self.now.unix.ms()).expect("times fit 63 bits of milliseconds")
    }

    /// True when the time of an entry with this expiry is over (`keyIsExpired`).
    #[must_use]
    pub(crate) fn is_over(&self, expire: i64) -> bool {
        expire >= 0 && !self.loading && self.ms() > expire
    }

    /// Deals with an expired key (`expireIfNeeded`): true when it is to be treated as absent. A master deletes it
    /// and tells its replicas; a replica only hides it, unless it is about to be written, and obeys its master.
    pub(crate) fn expire_if_needed(&mut self, db: u32, at: u32, force: bool) -> bool {
        if !self.is_over(self.keyspace.db(db).expiry(at)) {
            return false;
        }
        if !self.repl.is_master() {
            if self.exec.from_master {
                return false;
            }
            if !force || self.config.replica_read_only {
                return true;
            }
        }
        if self.is_paused() {
            return true;
        }
        self.delete_expired(db, at);
        true
    }

    /// A value is gone: freed at once, or in the background if that is worth it (`freeObjAsync`).
    pub(crate) fn freed(&mut self, value: &Value, lazy: bool) {
        if !lazy {
            self.meter.add(super::cost::free(value));
        } else if value.effort() > LAZY_EFFORT {
            self.stats.lazily_freed += 1;
        }
    }

    /// Sets when the key at an index expires (`setExpire`).
    pub(crate) fn set_expire(&mut self, db: u32, at: u32, when: i64) {
        self.keyspace.db_mut(db).set_expire(at, when);
        if !self.config.replica_read_only && !self.repl.is_master() && !self.exec.from_master {
            let key = self.keyspace.db(db).entry(at).key.to_bytes();
            self.expire_cycle.remember_own(db, key);
        }
    }

    /// Deletes an expired key and propagates the deletion (`deleteExpiredKeyAndPropagate`).
    pub(crate) fn delete_expired(&mut self, db: u32, at: u32) {
        let entry = self.keyspace.db_mut(db).remove(at);
        let before = self.meter.total();
        self.freed(&entry.value, self.config.lazyfree_lazy_expire);
        self.latency_sample("expire-del", (self.meter.total() - before) / NS_PER_MS);
        self.value_gone(db, entry.key.as_slice(), &entry.value);
        self.notify(Classes::EXPIRED, "expired", db, entry.key.as_slice());
        self.signal_modified_by(None, db, entry.key.as_slice());
        let verb: &[u8] = if self.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
        if self.should_propagate() {
            self.propagate(db, encode_command(&[verb, entry.key.as_slice()]));
        }
        self.stats.expired_keys += 1;
        self.expired_noted += 1;
    }

    /// Looks a key up without any effect but lazy expiry: its index.
    pub(crate) fn lookup(&mut self, db: u32, key: &[u8], force_expire: bool) -> Option<u32> {
        let at = self.keyspace.db(db).find(key)?;
        if self.keyspace.db(db).entry(at).expires() && self.expire_if_needed(db, at, force_expire) {
            return None;
        }
        Some(at)
    }

    /// A key was looked for to be read, and isn't there.
    fn missed(&mut self, db: u32, key: &[u8]) {
        self.notify(Classes::KEY_MISS, "keymiss", db, key);
        self.stats.misses += 1;
    }

    /// The database of that number, if there is one.
    #[must_use]
    pub(crate) fn database(&self, number: i64) -> Option<u32> {
        u32::try_from(number).ok().filter(|&number| (number as usize) < self.keyspace.dbs.len())
    }

    /// Empties a database; returns how many keys it had (`emptyData`).
    pub(crate) fn empty_db(&mut self, db: u32, lazy: bool) -> u64 {
        self.invalidate_all();
        self.clear_db(db, lazy)
    }

    fn clear_db(&mut self, db: u32, lazy: bool) -> u64 {
        self.signal_flushed(db, None);
        let removed = self.keyspace.db_mut(db).clear() as u64;
        if lazy {
            self.stats.lazily_freed += removed;
        } else {
            self.meter.add(removed * super::cost::FREE);
        }
        removed
    }

    /// Empties all databases; returns how many keys they had.
    pub(crate) fn empty_all(&mut self, lazy: bool) -> u64 {
        let count = u32::try_from(self.keyspace.dbs.len()).expect("the number of databases is a setting");
        self.invalidate_all();
        self.expire_cycle.forget_own();
        (0..count).map(|db| self.clear_db(db, lazy)).sum()
    }

    /// Adds a key that isn't there; returns its index (`dbAdd`).
    pub(crate) fn add_key(&mut self, db: u32, key: &[u8], value: Value) -> u32 {
        let access = self.access();
        self.add_key_with(db, key, value, access)
    }

    /// [`Server::add_key`] of a key whose last access is known.
    pub(crate) fn add_key_with(&mut self, db: u32, key: &[u8], value: Value, access: u32) -> u32 {
        let at = self.keyspace.db_mut(db).add(Name::copy(key), value, access);
        self.key_added(db, key);
        at
    }

    /// A key is about to get another value, if it is there (`dbOverwrite`).
    #[inline]
    pub(crate) fn overwritten(&mut self, db: u32, key: &[u8]) {
        if (!self.blocking.is_empty() || self.config.lazyfree_lazy_server_del)
            && let Some(at) = self.keyspace.db(db).find(key)
        {
            if self.config.lazyfree_lazy_server_del {
                let effort = self.keyspace.db(db).entry(at).value.effort();
                self.stats.lazily_freed += u64::from(effort > LAZY_EFFORT);
            }
            let is_stream = matches!(self.keyspace.db(db).entry(at).value, Value::Stream(_));
            if is_stream {
                self.signal_stream(db, key);
            }
        }
    }

    /// A key was deleted: who waits for the stream that it was hears of it.
    #[inline]
    pub(crate) fn value_gone(&mut self, db: u32, key: &[u8], value: &Value) {
        if matches!(value, Value::Stream(_)) {
            self.signal_stream(db, key);
        }
    }

    /// Deletes a key and signals that. Returns the entry if it was there.
    pub(crate) fn delete(&mut self, db: u32, key: &[u8]) -> Option<Entry> {
        let entry = self.remove(db, key)?;
        self.signal_modified(db, key);
        Some(entry)
    }

    /// Deletes a key without a signal, which is the caller's. Returns the entry if it was there (`dbDelete`).
    pub(crate) fn remove(&mut self, db: u32, key: &[u8]) -> Option<Entry> {
        let at = self.keyspace.db(db).find(key)?;
        let entry = self.keyspace.db_mut(db).remove(at);
        self.value_gone(db, key, &entry.value);
        Some(entry)
    }
}

/// An error was answered: there is nothing more to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered;

impl Cx<'_> {
    /// What was found, if it is of the type; else `WRONGTYPE` is answered (`checkType`).
    pub(crate) fn of_type(&mut self, found: Option<u32>, kind: Type) -> Result<Option<u32>, Answered> {
        match found {
            Some(at) if self.entry(at).value.kind() != kind => {
                self.add_error("WRONGTYPE Operation against a key holding the wrong kind of value");
                Err(Answered)
            }
            found => Ok(found),
        }
    }

    /// [`Cx::find_read`] for a command on one type.
    pub(crate) fn read_as(&mut self, i: usize, kind: Type) -> Result<Option<u32>, Answered> {
        let found = self.find_read(i);
        self.of_type(found, kind)
    }

    /// [`Cx::find_write`] for a command on one type.
    pub(crate) fn write_as(&mut self, i: usize, kind: Type) -> Result<Option<u32>, Answered> {
        let found = self.find_write(i);
        self.of_type(found, kind)
    }

    /// Adds the key at argument `i`, which isn't there; returns its index (`dbAdd`).
    pub(crate) fn add_key(&mut self, i: usize, value: Value) -> u32 {
        let (db, args) = (self.db(), self.args);
        self.s.add_key(db, args.get(i), value)
    }

    /// So many elements of the collection at argument `i` were removed, which is an event of this class and name: a key
    /// whose last one has gone goes too.
    pub(crate) fn removed_elements(&mut self, i: usize, event: (Classes, &str), removed: u64, empty: bool) {
        if removed > 0 {
            self.notify(event.0, event.1, i);
            if empty {
                self.delete_and_notify(i);
            } else {
                self.signal(i);
            }
            self.dirty(removed);
        }
    }

    /// Deletes the key at argument `i` (`dbDelete` with its signal); false when it isn't there.
    pub(crate) fn delete(&mut self, i: usize) -> bool {
        let (db, args) = (self.db(), self.args);
        self.s.delete(db, args.get(i)).is_some()
    }

    /// The number of the session's database.
    #[must_use]
    pub(crate) fn db(&self) -> u32 {
        self.session().db
    }

    /// The key at argument `i` for reading: counts a hit or a miss and touches it (`lookupKeyRead`).
    pub(crate) fn find_read(&mut self, i: usize) -> Option<u32> {
        let args = self.args;
        self.find_read_key(args.get(i))
    }

    /// [`Cx::find_read`] of a key that isn't an argument.
    pub(crate) fn find_read_key(&mut self, key: &[u8]) -> Option<u32> {
        let db = self.db();
        let found = self.s.lookup(db, key, false);
        if let Some(at) = found {
            self.s.stats.hits += 1;
            self.s.touch(db, at);
        } else {
            self.s.missed(db, key);
        }
        found
    }

    /// The key at argument `i` for reading, without touching it (`LOOKUP_NOTOUCH`).
    pub(crate) fn find_untouched(&mut self, i: usize) -> Option<u32> {
        let (db, args) = (self.db(), self.args);
        let found = self.s.lookup(db, args.get(i), false);
        if found.is_some() {
            self.s.stats.hits += 1;
        } else {
            self.s.missed(db, args.get(i));
        }
        found
    }

    /// [`Cx::find_untouched`] by OBJECT, which publishes nothing (`LOOKUP_NONOTIFY`).
    pub(crate) fn find_quietly(&mut self, i: usize) -> Option<u32> {
        let (db, args) = (self.db(), self.args);
        let found = self.s.lookup(db, args.get(i), false);
        *(if found.is_some() { &mut self.s.stats.hits } else { &mut self.s.stats.misses }) += 1;
        found
    }

    /// The key at argument `i` for writing: deletes it if it is expired (`lookupKeyWrite`).
    pub(crate) fn find_write(&mut self, i: usize) -> Option<u32> {
        let (db, args) = (self.db(), self.args);
        let found = self.s.lookup(db, args.get(i), true);
        if let Some(at) = found {
            self.s.touch(db, at);
        }
        found
    }

    /// The entry at an index of the session's database.
    #[must_use]
    pub(crate) fn entry(&self, at: u32) -> &Entry {
        self.s.keyspace.db(self.db()).entry(at)
    }

    /// When the entry at an index of the session's database expires; [`super::keyspace::NO_EXPIRY`]: never.
    #[must_use]
    pub(crate) fn expiry(&self, at: u32) -> i64 {
        self.s.keyspace.db(self.db()).expiry(at)
    }

    /// Sets the key at argument `i`, whatever was there, and signals it (`setKey`).
    pub(crate) fn set_key(&mut self, i: usize, value: Value, keep_ttl: bool) {
        let (db, args) = (self.db(), self.args);
        let key = args.get(i);
        self.s.overwritten(db, key);
        let found = self.s.keyspace.db(db).find(key);
        let access = self.s.access_of(db, found);
        if self.s.keyspace.db_mut(db).set_found(found, key, value, keep_ttl, access) {
            self.s.key_added(db, key);
        }
        self.s.signal_modified(db, key);
    }

    /// Signals that the key at argument `i` changed.
    pub(crate) fn signal(&mut self, i: usize) {
        let (db, args) = (self.db(), self.args);
        self.s.signal_modified(db, args.get(i));
    }
}
