//! The data: databases of keys with values and expiry times. No protocol, no clock.

pub mod alloc;
pub mod dict;
pub mod double;
pub mod float;
pub mod geohash;
pub mod hash;
pub mod hll;
mod key_hash;
pub mod list;
pub mod listpack;
pub mod lzf;
pub mod name;
pub mod packing;
pub(super) mod radix;
pub mod set;
mod skiplist;
pub mod stream;
pub mod text;
mod trigonometry;
pub mod value;
pub mod zset;

use std::ops::{Index, IndexMut};

use bytes::Bytes;
use triomphe::Arc;

pub use dict::Dict;
pub use key_hash::hash_key;
pub use name::Name;
pub use text::Element;
pub use value::{Type, Value};

use crate::trace::Digest;
use std::hash::Hasher as _;

/// No expiry.
pub const NO_EXPIRY: i64 = -1;

/// Of an entry without an expiry: nowhere in the index of expiring keys.
const NOWHERE: u32 = u32::MAX;

/// A key with what belongs to it. With a usual name and value it is one line of the cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Entry {
    /// Its name.
    pub key: Name,
    /// Its value.
    pub value: Value,
    /// When it was last used, or how often: 24 bits whose meaning the eviction policy gives (`lru`).
    pub touched: u32,
    /// Its place in the index of expiring keys, or [`NOWHERE`].
    expiring: u32,
}

/// An entry that has an expiry.
#[derive(Clone, Copy, Debug)]
pub struct Expiring {
    /// Its place in the table of keys.
    pub at: u32,
    /// When, in milliseconds since 1970.
    when: i64,
}

impl Entry {
    /// Whether it has an expiry.
    #[inline]
    #[must_use]
    pub fn expires(&self) -> bool {
        self.expiring != NOWHERE
    }

    /// Bytes that it takes in memory, about as a real server's allocator counts them.
    #[must_use]
    pub fn memory(&self) -> u64 {
        (alloc::ENTRY_CLASS + alloc::string(self.key.len()) + self.value.memory()) as u64
    }
}

/// The tables of one database. What finding a key looks at comes first: behind the count of those who share them it ends
/// within a line of the cache. An allocator that gives powers of two places that are multiples of them begins with one.
#[derive(Clone, Debug, Default)]
#[repr(C)]
struct Tables {
    keys: Dict<Entry>,
    /// Those that have an expiry.
    expires: Dict<Expiring>,
    /// Bytes of all entries.
    memory: u64,
}

impl Tables {
    /// A key is changed: where there are two tables of keys, a bucket is moved.
    #[inline]
    fn step(&mut self, held: bool) {
        if self.keys.is_rehashing() {
            self.keys.hold(held);
            self.keys.step();
        }
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Tables>() > 128 && size_of::<Tables>() + size_of::<usize>() <= 256);

/// One database. A clone shares the tables until either side changes.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Db {
    tables: Arc<Tables>,
    /// No key expires before this, in milliseconds since 1970: the active cycle has nothing to do until then.
    pub earliest: i64,
    /// Where the active expire cycle goes on.
    pub expires_cursor: u64,
    /// Average time to live in milliseconds, as the active cycle last estimated it.
    pub avg_ttl: i64,
    /// A child process shares the tables (see [`Dict::hold`]).
    pub held: bool,
    /// What the database may take with tables that grow (`maxmemory`); `None`: any.
    pub ceiling: Option<u64>,
}

impl Db {
    /// An empty database.
    #[must_use]
    pub fn new() -> Db {
        Db { earliest: i64::MAX, ..Db::default() }
    }

    #[inline]
    fn tables_mut(&mut self) -> &mut Tables {
        if !self.tables.is_unique() {
            self.unshare();
        }
        Arc::get_mut(&mut self.tables).expect("nobody else has them now")
    }

    #[cold]
    #[inline(never)]
    fn unshare(&mut self) {
        self.tables = Arc::new(Tables::clone(&self.tables));
    }

    /// How many keys, logically expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.keys.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.keys.is_empty()
    }

    /// How many keys have an expiry.
    #[must_use]
    pub fn expires_len(&self) -> usize {
        self.tables.expires.len()
    }

    /// The index of a key, whether expired or not.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.tables.keys.find(hash_key(key), |entry| entry.key.is(key))
    }

    /// The entry at an index.
    #[must_use]
    pub fn entry(&self, at: u32) -> &Entry {
        self.tables.keys.get(at)
    }

    /// When the entry at an index expires, in milliseconds since 1970; [`NO_EXPIRY`]: never.
    #[inline]
    #[must_use]
    pub fn expiry(&self, at: u32) -> i64 {
        self.expiry_of(self.entry(at))
    }

    #[inline]
    fn expiry_of(&self, entry: &Entry) -> i64 {
        if entry.expires() { self.tables.expires.get(entry.expiring).when } else { NO_EXPIRY }
    }

    /// Replaces the value at an index.
    pub fn change(&mut self, at: u32, change: impl FnOnce(Value) -> Value) {
        let held = self.held;
        let tables = self.tables_mut();
        tables.step(held);
        let entry = tables.keys.get_mut(at);
        tables.memory -= entry.memory();
        entry.value = change(std::mem::replace(&mut entry.value, Value::Int(0)));
        tables.memory += entry.memory();
    }

    /// Changes the value at an index in place.
    pub fn update<R>(&mut self, at: u32, change: impl FnOnce(&mut Value) -> R) -> R {
        let held = self.held;
        let tables = self.tables_mut();
        tables.step(held);
        let entry = tables.keys.get_mut(at);
        tables.memory -= entry.memory();
        let result = change(&mut entry.value);
        tables.memory += entry.memory();
        result
    }

    /// Remembers that an entry was touched.
    pub fn touch(&mut self, at: u32, seconds: u32) {
        // Most touches come within the second of the last one and must not copy a shared table.
        if self.tables.keys.get(at).touched != seconds {
            self.tables_mut().keys.get_mut(at).touched = seconds;
        }
    }

    /// Adds a key that is not there (`dbAdd`).
    pub fn add(&mut self, key: Name, value: Value, seconds: u32) -> u32 {
        let hash = hash_key(key.as_slice());
        let entry = Entry { key, value, touched: seconds, expiring: NOWHERE };
        let held = self.held;
        let full = |more: usize| self.ceiling.is_some_and(|most| more > 0 && self.memory() + more as u64 > most);
        let capped = full(self.keys().growth());
        let tables = self.tables_mut();
        tables.keys.hold(held);
        tables.keys.cap(capped);
        tables.memory += entry.memory();
        tables.keys.insert(hash, entry)
    }

    /// Sets a key, whatever was there; an old expiry goes unless it is to be kept (`setKey`). True when it is new.
    pub fn set(&mut self, key: &[u8], value: Value, keep_ttl: bool, seconds: u32) -> bool {
        self.set_found(self.find(key), key, value, keep_ttl, seconds)
    }

    /// [`Db::set`] by one who has looked the key up.
    #[inline]
    pub fn set_found(&mut self, found: Option<u32>, key: &[u8], value: Value, keep_ttl: bool, seconds: u32) -> bool {
        match found {
            Some(at) => {
                let held = self.held;
                let tables = self.tables_mut();
                tables.step(held);
                let entry = tables.keys.get_mut(at);
                let (old, new) = (entry.value.memory(), value.memory());
                if old != new {
                    tables.memory = tables.memory - old as u64 + new as u64;
                }
                entry.value = value;
                entry.touched = seconds;
                if !keep_ttl && entry.expires() {
                    self.persist(at);
                }
                false
            }
            None => {
                self.add(Name::copy(key), value, seconds);
                true
            }
        }
    }

    /// Where a key with this hash most likely is, for [`Db::set_text`]; it is brought near. Changes nothing.
    #[inline]
    #[must_use]
    pub fn look_ahead(&self, hash: u64) -> u32 {
        let hint = self.tables.keys.hint(hash);
        self.tables.keys.look_ahead(hint);
        hint
    }

    /// Sets a key to a short string, whatever was there. False if it has an expiry; then nothing has changed. The key's
    /// hash is known, and what [`Db::look_ahead`] has said of it at some time.
    #[inline(always)]
    pub fn set_text(&mut self, (hash, hint): (u64, u32), key: &[u8], text: &[u8], access: u32) -> bool {
        let held = self.held;
        let tables = self.tables_mut();
        let Some(at) = tables.keys.find_from(hint, hash, |entry| entry.key.is(key)) else {
            self.add(Name::copy(key), Value::string_copy(text), access);
            return true;
        };
        let entry = tables.keys.get_mut(at);
        if entry.expires() {
            return false;
        }
        // Shorter ones can be integers.
        if text.len() > 20
            && let Value::Str(old) = &mut entry.value
            && old.overwrite(text)
        {
            entry.touched = access;
            tables.step(held);
        } else {
            self.set_found(Some(at), key, Value::string_copy(text), false, access);
        }
        true
    }

    /// Sets when an entry expires.
    pub fn set_expire(&mut self, at: u32, when: i64) {
        self.earliest = self.earliest.min(when);
        let held = self.held;
        let full = |more: usize| self.ceiling.is_some_and(|most| more > 0 && self.memory() + more as u64 > most);
        let capped = full(self.expires().growth());
        let tables = self.tables_mut();
        tables.expires.hold(held);
        tables.expires.cap(capped);
        let hash = tables.keys.hash_at(at);
        let entry = tables.keys.get_mut(at);
        if entry.expires() {
            tables.expires.get_mut(entry.expiring).when = when;
        } else {
            entry.expiring = tables.expires.insert(hash, Expiring { at, when });
        }
    }

    /// Looks at all expiring keys for the earliest one.
    pub fn renew_earliest(&mut self) {
        self.earliest = self.tables.expires.iter().map(|key| key.when).min().unwrap_or(i64::MAX);
    }

    /// Removes an entry's expiry; false when it has none.
    pub fn persist(&mut self, at: u32) -> bool {
        if !self.entry(at).expires() {
            return false;
        }
        let held = self.held;
        let tables = self.tables_mut();
        tables.expires.hold(held);
        let entry = tables.keys.get_mut(at);
        tables.expires.remove(std::mem::replace(&mut entry.expiring, NOWHERE));
        if tables.expires.is_empty() {
            self.earliest = i64::MAX;
        }
        true
    }

    /// Removes an entry. When it would have expired is forgotten with it.
    pub fn remove(&mut self, at: u32) -> Entry {
        let held = self.held;
        let tables = self.tables_mut();
        tables.keys.hold(held);
        tables.expires.hold(held);
        let entry = tables.keys.remove(at);
        tables.memory -= entry.memory();
        if entry.expires() {
            tables.expires.remove(entry.expiring);
            if tables.expires.is_empty() {
                self.earliest = i64::MAX;
            }
        }
        entry
    }

    /// Removes everything; returns how many keys there were.
    pub fn clear(&mut self) -> usize {
        let len = self.len();
        *self = Db { held: self.held, ceiling: self.ceiling, ..Db::new() };
        len
    }

    /// The keys' table, for SCAN and the like.
    #[must_use]
    pub fn keys(&self) -> &Dict<Entry> {
        &self.tables.keys
    }

    /// The index of expiring keys.
    #[must_use]
    pub fn expires(&self) -> &Dict<Expiring> {
        &self.tables.expires
    }

    /// Bytes of all entries, about as a real server's allocator counts them.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let tables = &*self.tables;
        let expiring = tables.expires.len() * alloc::ENTRY_CLASS + alloc::buckets(tables.expires.buckets());
        tables.memory + (alloc::buckets(tables.keys.buckets()) + expiring) as u64
    }

    /// All entries, in a fixed order, and when each expires ([`NO_EXPIRY`]: never).
    pub fn iter(&self) -> impl Iterator<Item = (&Entry, i64)> {
        self.tables.keys.iter().map(|entry| (entry, self.expiry_of(entry)))
    }
}

/// The databases by number. The first one, where most of what happens happens, lies in place.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Dbs {
    first: Db,
    others: Vec<Db>,
}

impl Dbs {
    /// How many. There is at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Db> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// One after the other, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Db> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// Exchanges two (`dbSwapDatabases`).
    ///
    /// # Panics
    /// When one isn't there.
    pub fn swap(&mut self, one: usize, other: usize) {
        if one == other {
            return;
        }
        let taken = std::mem::take(&mut self[one]);
        let replaced = std::mem::replace(&mut self[other], taken);
        self[one] = replaced;
    }
}

impl Index<usize> for Dbs {
    type Output = Db;
    #[inline]
    fn index(&self, number: usize) -> &Db {
        match number.checked_sub(1) {
            None => &self.first,
            Some(other) => &self.others[other],
        }
    }
}

impl IndexMut<usize> for Dbs {
    #[inline]
    fn index_mut(&mut self, number: usize) -> &mut Db {
        match number.checked_sub(1) {
            None => &mut self.first,
            Some(other) => &mut self.others[other],
        }
    }
}

/// All databases of a server. Cloning is cheap: the clones share their tables until one changes.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Keyspace {
    /// By number.
    pub dbs: Dbs,
}

impl Keyspace {
    /// That many empty databases, at least one.
    #[must_use]
    pub fn new(databases: usize) -> Keyspace {
        Keyspace { dbs: Dbs { first: Db::new(), others: vec![Db::new(); databases.saturating_sub(1)] } }
    }

    /// The database of that number.
    ///
    /// # Panics
    /// When there is none: SELECT checks.
    #[must_use]
    pub fn db(&self, number: u32) -> &Db {
        &self.dbs[number as usize]
    }

    /// The database of that number.
    ///
    /// # Panics
    /// When there is none: SELECT checks.
    pub fn db_mut(&mut self, number: u32) -> &mut Db {
        &mut self.dbs[number as usize]
    }

    /// A child process begins or ceases to share the tables (`updateDictResizePolicy`). What was put off is made up for.
    pub fn hold_tables(&mut self, held: bool) {
        for db in self.dbs.iter_mut() {
            db.held = held;
            let sparse = |buckets: usize, len: usize| len * 10 < buckets;
            let (keys, expires) = (db.keys(), db.expires());
            if !held && (sparse(keys.buckets(), keys.len()) || sparse(expires.buckets(), expires.len())) {
                let tables = db.tables_mut();
                tables.keys.hold(false);
                tables.keys.shrink_if_sparse();
                tables.expires.hold(false);
                tables.expires.shrink_if_sparse();
            }
        }
    }

    /// Keys in all databases.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dbs.iter().map(Db::len).sum()
    }

    /// Bytes of all entries, about as a real server's allocator counts them.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.dbs.iter().map(Db::memory).sum()
    }

    /// True when there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dbs.iter().all(Db::is_empty)
    }

    /// No key of any database expires before this, in milliseconds since 1970; `i64::MAX`: none expires at all.
    #[must_use]
    pub fn earliest(&self) -> i64 {
        // Without a branch for each of the many that are empty.
        self.dbs.iter().fold(i64::MAX, |earliest, db| earliest.min(db.earliest))
    }

    /// Removes everything; returns how many keys there were.
    pub fn clear(&mut self) -> usize {
        self.dbs.iter_mut().map(Db::clear).sum()
    }

    /// Order-independent hash of all keys, values and expiry times.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut total = 0u64;
        for (number, db) in self.dbs.iter().enumerate() {
            for (entry, expire) in db.iter() {
                let mut digest = Digest::new();
                digest.write_usize(number);
                digest.write_usize(entry.key.len());
                digest.write(entry.key.as_slice());
                digest.write_i64(expire);
                entry.value.feed(&mut digest);
                total = total.wrapping_add(digest.fingerprint().0);
            }
        }
        total
    }
}

/// A key and its database, as transactions watch them.
pub type DbKey = (u32, Bytes);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_change_places() {
        let mut keyspace = Keyspace::new(3);
        for number in 0..3 {
            keyspace.db_mut(number).add(Name::copy(&[b'k'; 20][..number as usize + 1]), Value::Int(0), 0);
        }
        let order = |keyspace: &Keyspace| -> Vec<usize> {
            (0..3).map(|number| keyspace.db(number).iter().map(|(entry, _)| entry.key.len()).sum()).collect()
        };
        assert_eq!((keyspace.dbs.len(), order(&keyspace)), (3, vec![1, 2, 3]));
        keyspace.dbs.swap(0, 2);
        assert_eq!(order(&keyspace), [3, 2, 1]);
        keyspace.dbs.swap(1, 2);
        keyspace.dbs.swap(0, 0);
        assert_eq!(order(&keyspace), [3, 1, 2]);
    }

    /// Whatever changes keys, a table that has grown comes to an end of it.
    #[test]
    fn changes_move_what_is_left_of_a_smaller_table() {
        let text = [b'x'; 30];
        let changes: [fn(&mut Db, &[u8]); 4] = [
            |db, key| _ = db.set(key, Value::Int(2), false, 0),
            |db, key| _ = db.set_text((hash_key(key), db.look_ahead(hash_key(key))), key, &[b'y'; 30], 0),
            |db, key| db.change(db.find(key).expect("it is there"), |value| value),
            |db, key| db.update(db.find(key).expect("it is there"), |_| ()),
        ];
        for change in changes {
            let mut db = Db::new();
            for key in 0..=64u8 {
                db.add(Name::copy(&[key]), Value::string_copy(&text), 0);
            }
            assert!(db.tables.keys.is_rehashing(), "it has just grown");
            (0..64u8).for_each(|key| change(&mut db, &[key]));
            assert!(!db.tables.keys.is_rehashing());
            assert_eq!(db.len(), 65);
        }
    }

    #[test]
    fn an_expiry_comes_and_goes_with_its_entry() {
        let mut db = Db::new();
        let at: Vec<u32> = [b"a", b"b", b"c"].map(|key| db.add(Name::copy(key), Value::Int(1), 0)).to_vec();
        assert_eq!(db.expiry(at[0]), NO_EXPIRY);
        db.set_expire(at[0], 500);
        db.set_expire(at[1], 300);
        db.set_expire(at[0], 700);
        assert_eq!((db.expiry(at[0]), db.expiry(at[1]), db.expires_len()), (700, 300, 2));
        assert!(db.persist(at[1]) && !db.persist(at[1]) && !db.entry(at[1]).expires());
        let hash = hash_key(b"a");
        assert!(!db.set_text((hash, db.look_ahead(hash)), b"a", &[b'x'; 30], 0), "its expiry would have to go");
        assert!(!db.set(b"a", Value::Int(2), true, 0) && db.expiry(at[0]) == 700);
        assert!(!db.set(b"a", Value::Int(3), false, 0) && db.expiry(at[0]) == NO_EXPIRY);
        db.set_expire(at[2], 900);
        db.remove(at[2]);
        assert_eq!((db.len(), db.expires_len(), db.earliest), (2, 0, i64::MAX));
    }
}
