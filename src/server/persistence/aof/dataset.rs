//! The dataset as the base of an append-only file: an RDB, or the commands that make it (`rewriteAppendOnlyFileRio`).

use bytes::{Bytes, BytesMut};

use crate::resp::encode;
use crate::server::keyspace::stream::{Id, Stream};
use crate::server::keyspace::{Entry, NO_EXPIRY, Value, double};
use crate::server::persistence::snapshot;
use crate::server::{Server, cost};

/// Elements of one command at most (`AOF_REWRITE_ITEMS_PER_CMD`).
const ITEMS: usize = 64;

/// The base, and the nanoseconds of the cost table that making it takes.
pub(super) fn encode(s: &Server) -> (Bytes, u64) {
    if s.config.aof_use_rdb_preamble {
        return snapshot::encode_base(s);
    }
    let mut out = BytesMut::new();
    if s.config.aof_timestamp_enabled {
        let now = s.now.unix.secs();
        out.extend_from_slice(format!("#TS:{now}\r\n").as_bytes());
    }
    s.scripting.libraries.iter().for_each(|library| put(&mut out, &[b"FUNCTION", b"LOAD", &library.code]));
    let mut keys = 0;
    for (number, db) in s.keyspace.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        put(&mut out, &[b"SELECT", number.to_string().as_bytes()]);
        keys += db.len() as u64;
        db.iter().for_each(|(entry, expire)| key(&mut out, entry, expire));
    }
    let data = out.freeze();
    let ns = keys * cost::SAVE_KEY + data.len() as u64 / 16 * cost::COPY_16;
    (data, ns)
}

fn put(out: &mut BytesMut, words: &[&[u8]]) {
    encode::command(out, words);
}

fn key(out: &mut BytesMut, entry: &Entry, expire: i64) {
    let name = entry.key.as_slice();
    match &entry.value {
        text @ (Value::Int(_) | Value::Str(_) | Value::Raw(_)) => {
            text.with_text(|text| put(out, &[b"SET", name, text]))
        }
        Value::List(list) => {
            let items: Vec<&[u8]> = list.iter().map(|item| item.as_slice()).collect();
            in_parts(out, (b"RPUSH", name), &items, ITEMS);
        }
        Value::Set(set) => {
            let members: Vec<_> = set.iter().collect();
            let members: Vec<&[u8]> = members.iter().map(|member| member.as_slice()).collect();
            in_parts(out, (b"SADD", name), &members, ITEMS);
        }
        Value::ZSet(set) => {
            let scores: Vec<(String, &[u8])> =
                set.iter().map(|(score, member)| (double::print(score), member.as_slice())).collect();
            let words: Vec<&[u8]> = scores.iter().flat_map(|(score, member)| [score.as_bytes(), *member]).collect();
            in_parts(out, (b"ZADD", name), &words, 2 * ITEMS);
        }
        Value::Hash(hash) => {
            let words: Vec<&[u8]> =
                hash.iter().flat_map(|pair| [pair.field.as_slice(), pair.value.as_slice()]).collect();
            in_parts(out, (b"HMSET", name), &words, 2 * ITEMS);
        }
        Value::Stream(of) => stream(out, name, of),
    }
    if expire != NO_EXPIRY {
        put(out, &[b"PEXPIREAT", name, expire.to_string().as_bytes()]);
    }
}

fn in_parts(out: &mut BytesMut, (verb, name): (&[u8], &[u8]), words: &[&[u8]], at_once: usize) {
    for part in words.chunks(at_once) {
        put(out, &[&[verb, name], part].concat());
    }
}

fn stream(out: &mut BytesMut, name: &[u8], stream: &Stream) {
    if stream.length == 0 {
        put(out, &[b"XADD", name, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
    }
    stream.visit(Id::ZERO, Id::MAX, false, |entry| {
        let mut pairs: Vec<Vec<u8>> = Vec::with_capacity(2 * entry.fields());
        entry.pairs(|field, value| pairs.extend([field.to_vec(), value.to_vec()]));
        let id = entry.id.to_string();
        let head: [&[u8]; 3] = [b"XADD", name, id.as_bytes()];
        let words: Vec<&[u8]> = head.into_iter().chain(pairs.iter().map(Vec::as_slice)).collect();
        put(out, &words);
        true
    });
    let [last, deleted] = [stream.last_id, stream.max_deleted].map(|id| id.to_string());
    let added = stream.entries_added.to_string();
    let counters: [&[u8]; 7] =
        [b"XSETID", name, last.as_bytes(), b"ENTRIESADDED", added.as_bytes(), b"MAXDELETEDID", deleted.as_bytes()];
    put(out, &counters);
    for (group_name, group) in &stream.groups {
        let (last, read) = (group.last_id.to_string(), group.entries_read.to_string());
        let words: [&[u8]; 7] =
            [b"XGROUP", b"CREATE", name, group_name, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()];
        put(out, &words);
        for (consumer_name, consumer) in &group.consumers {
            if consumer.pending.is_empty() {
                put(out, &[b"XGROUP", b"CREATECONSUMER", name, group_name, consumer_name]);
            }
            for id in &consumer.pending {
                let Some(pending) = group.pending.get(id) else { continue };
                let (id, time, count) = (id.to_string(), pending.time.to_string(), pending.count.to_string());
                let words: [&[u8]; 12] = [
                    b"XCLAIM",
                    name,
                    group_name,
                    consumer_name,
                    b"0",
                    id.as_bytes(),
                    b"TIME",
                    time.as_bytes(),
                    b"RETRYCOUNT",
                    count.as_bytes(),
                    b"JUSTID",
                    b"FORCE",
                ];
                put(out, &words);
            }
        }
    }
}
