//! The keyspace as an RDB file and back.

use std::sync::Arc;

use bytes::Bytes;

use super::rdb::{About, KeyInfo, Load, Options, RdbValue, StreamPosition, Writer};
use crate::server::config::Config;
use crate::server::eviction::Access;
use crate::server::keyspace::Name;
use crate::server::keyspace::hash::Hash;
use crate::server::keyspace::list::{Cut, End, List};
use crate::server::keyspace::packing::Packing;
use crate::server::keyspace::set::Set;
use crate::server::keyspace::value::ValueText;
use crate::server::keyspace::zset::ZSet;
use crate::server::keyspace::{Db, Keyspace, NO_EXPIRY, Value};
use crate::server::replication::sync::Filter;
use crate::server::scripting::Libraries;
use crate::server::{Server, cost};

fn options(s: &Server) -> Options {
    Options { compression: s.config.rdbcompression, checksum: s.config.rdbchecksum }
}

/// The file, and the nanoseconds of the cost table that making it takes.
pub(super) fn encode(s: &Server, stream: Option<StreamPosition>, filter: Filter) -> (Bytes, u64) {
    let about = About { ctime: s.now.unix.secs(), used_memory: used_memory(s), stream, aof_base: false };
    encode_as(s, &about, filter)
}

/// The same as the base of an append-only file.
pub(super) fn encode_base(s: &Server) -> (Bytes, u64) {
    let about = About { ctime: s.now.unix.secs(), used_memory: used_memory(s), stream: None, aof_base: true };
    encode_as(s, &about, Filter::default())
}

fn encode_as(s: &Server, about: &About, filter: Filter) -> (Bytes, u64) {
    let mut writer = Writer::new(options(s), about);
    if !filter.exclude_functions {
        s.scripting.libraries.iter().for_each(|library| writer.library(&library.code));
    }
    let mut keys = 0;
    if !filter.exclude_data {
        for (number, db) in s.keyspace.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            let number = u32::try_from(number).expect("databases are few");
            writer.select_db(number, db.len() as u64, db.expires_len() as u64);
            keys += db.len() as u64;
            write_db(s, &mut writer, db);
        }
    }
    let data = writer.finish();
    let ns = keys * cost::SAVE_KEY + data.len() as u64 / 16 * cost::SAVE_16;
    (data, ns)
}

fn write_db(s: &Server, writer: &mut Writer, db: &Db) {
    for (entry, expire) in db.iter() {
        let (idle_s, frequency) = s.remembered_access(entry.touched);
        let info = KeyInfo { expire_ms: (expire != NO_EXPIRY).then_some(expire), idle_s, frequency };
        writer.entry(entry.key.as_slice(), &entry.value, &info);
    }
}

/// Memory that the process takes, for forks and the file's own account.
pub(super) fn used_memory(s: &Server) -> u64 {
    const EMPTY: u64 = 900_000;
    const PER_KEY: u64 = 72;
    EMPTY + s.keyspace.len() as u64 * PER_KEY
}

/// Up to what collections are kept packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    hash: Packing,
    zset: Packing,
    ints_max: u64,
    cut: Cut,
    large: usize,
}

impl Limits {
    /// Those of a configuration; `large`: see [`crate::server::keyspace::list::LARGE`].
    #[must_use]
    pub(crate) fn of(config: &Config, large: usize) -> Limits {
        Limits {
            cut: config.list_cut(),
            large,
            hash: Packing { entries: config.hash_max_listpack_entries, value: config.hash_max_listpack_value },
            zset: Packing { entries: config.zset_max_listpack_entries, value: config.zset_max_listpack_value },
            ints_max: config.set_max_intset_entries,
        }
    }

    /// The value as the keyspace holds it.
    #[must_use]
    pub(crate) fn build(self, value: RdbValue) -> Value {
        match value {
            RdbValue::String(text) => Value::string(text),
            RdbValue::List(items) => {
                let mut list = List::new(self.cut);
                items.iter().for_each(|item| list.push(End::Tail, item, self.large));
                Value::List(Arc::new(list))
            }
            RdbValue::Nodes(nodes) => {
                let mut list = List::new(self.cut);
                nodes.iter().for_each(|node| list.push_node(&node.items, node.plain));
                Value::List(Arc::new(list))
            }
            RdbValue::Set(members) => {
                let mut set = Set::default();
                members.iter().for_each(|member| {
                    set.add(member, self.ints_max);
                });
                Value::Set(Arc::new(set))
            }
            RdbValue::ZSet(members) => {
                let mut set = ZSet::default();
                members.iter().for_each(|(member, score)| {
                    set.set(member, *score, self.zset);
                });
                Value::ZSet(Arc::new(set))
            }
            RdbValue::Hash(pairs) => {
                let mut hash = Hash::default();
                for (field, value) in pairs {
                    hash.set(&field, ValueText::share(value), self.hash);
                }
                Value::Hash(Arc::new(hash))
            }
            RdbValue::Stream(stream) => Value::Stream(Arc::from(stream)),
        }
    }
}

/// Takes a file's entries into a keyspace.
#[derive(Debug)]
pub(super) struct Loader {
    pub(super) keyspace: Keyspace,
    pub(super) libraries: Libraries,
    /// How small collections are kept.
    pub(super) limits: Limits,
    /// A master leaves out what has expired by this time, in wall-clock milliseconds.
    pub(super) expire_before: Option<i64>,
    /// What was left out: database and key.
    pub(super) expired: Vec<(u32, Bytes)>,
    /// What entries remember of their last access, of which the file may say more.
    pub(super) access: Access,
}

impl Load for Loader {
    fn library(&mut self, code: Bytes) -> Result<(), String> {
        let made = self.libraries.create(&code, false, u64::MAX).0;
        made.map(drop).map_err(|problem| problem.trim_start_matches("ERR ").to_owned())
    }

    fn entry(&mut self, db: u32, key: Bytes, value: RdbValue, info: KeyInfo) -> bool {
        if self.expire_before.is_some_and(|now| info.expire_ms.is_some_and(|at| at != -1 && at < now)) {
            self.expired.push((db, key));
            return true;
        }
        let db = self.keyspace.db_mut(db);
        if db.find(&key).is_some() {
            return false;
        }
        let at = db.add(Name::copy(&key), self.limits.build(value), self.access.given(info.idle_s, info.frequency));
        if let Some(when) = info.expire_ms.filter(|&when| when != -1) {
            db.set_expire(at, when);
        }
        true
    }
}
