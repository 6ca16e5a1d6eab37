//! DEBUG subcommands that show how a real process lays out its memory: hash tables, strings, buckets of clients, the
//! allocator.

use crate::resp::lossless;
use crate::server::call::Cx;
use crate::server::clients::is_replica;
use crate::server::keyspace::{Value, alloc};
use crate::server::session::{Flags, Session};

/// `DEBUG HTSTATS <dbid>`
pub(super) fn table(cx: &mut Cx<'_>) {
    let Some(number) = cx.int_arg(2) else { return };
    let Some(db) = cx.s.database(number) else { return cx.add_error("ERR Out of range database") };
    let db = cx.s.keyspace.db(db);
    let (keys, expires) = (db.keys().statistics(), db.expires().statistics());
    cx.add_verbatim(format!("[Dictionary HT]\n{keys}[Expires HT]\n{expires}").as_bytes(), *b"txt");
}

/// `DEBUG HTSTATS-KEY <key>`
pub(super) fn table_of_key(cx: &mut Cx<'_>) {
    let Some(at) = cx.find_untouched(2) else { return cx.add_error("ERR no such key") };
    let statistics = match &cx.entry(at).value {
        Value::Set(set) => set.table().map(|table| table.statistics()),
        Value::Hash(hash) => hash.table().map(|table| table.statistics()),
        Value::ZSet(zset) => zset.table_statistics(),
        Value::Int(_) | Value::Str(_) | Value::Raw(_) | Value::List(_) | Value::Stream(_) => None,
    };
    match statistics {
        Some(text) => cx.add_verbatim(text.as_bytes(), *b"txt"),
        None => cx.add_error("ERR The value stored at the specified key is not represented using an hash table"),
    }
}

/// A string of its own as the allocator keeps it: room behind it, and bytes with its header.
fn string_room(len: usize) -> (usize, usize) {
    let taken = alloc::string(len);
    let (header, most) = match len {
        0..32 => return (0, taken),
        32..256 => (3, 255),
        256..65_536 => (5, 65_535),
        _ => (9, usize::MAX),
    };
    ((taken - header - 1).min(most) - len, taken)
}

/// `DEBUG SDSLEN <key>`: as if SET had made the value.
pub(super) fn strings(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let key = args.get(2);
    let Some(at) = cx.s.keyspace.db(db).find(key) else { return cx.add_error("ERR no such key") };
    let value = &cx.entry(at).value;
    let (len, embedded) = match value.encoding() {
        "embstr" => (value.len(), true),
        "raw" => (value.len(), false),
        _ => return cx.add_error("ERR Not an sds encoded string."),
    };
    let (room, taken) = match string_room(len) {
        _ if embedded => (0, alloc::embedded(len) - alloc::OBJECT),
        // Much room is given back.
        (room, taken) if room > len / 10 => (0, taken),
        kept => kept,
    };
    let (key_room, key_taken) = if key.is_empty() { (0, alloc::allocated(4)) } else { string_room(key.len()) };
    let text = format!(
        "key_sds_len:{}, key_sds_avail:{key_room}, key_zmalloc: {key_taken}, val_sds_len:{len}, val_sds_avail:{room}, \
         val_zmalloc: {taken}",
        key.len(),
    );
    cx.add_simple(text.as_bytes());
}

/// Sessions by the memory that they take, in powers of two from 2^15 to 2^33 (`CLIENT_MEM_USAGE_BUCKET_MIN_LOG`).
const SMALLEST: u32 = 15;
const BUCKETS: usize = 19;

/// `DEBUG CLIENT-EVICTION`
pub(super) fn clients(cx: &mut Cx<'_>) {
    let mut buckets = [(0_u64, 0_u64); BUCKETS];
    let counts = |session: &&Session| !session.flags.has(Flags::MASTER.with(Flags::NO_EVICT)) && !is_replica(session);
    for session in cx.s.sessions.iter().filter(counts) {
        let bytes = cx.s.session_memory(session);
        let log = bytes.max(1).ilog2().saturating_sub(SMALLEST - 1) as usize;
        let bucket = &mut buckets[log.min(BUCKETS - 1)];
        *bucket = (bucket.0 + bytes, bucket.1 + 1);
    }
    let mut text = String::new();
    let edge = |number: usize| (1_u64 << SMALLEST) << number;
    for (number, (bytes, sessions)) in buckets.into_iter().enumerate() {
        let from = if number == 0 { 0 } else { edge(number - 1) };
        let to =
            if number == BUCKETS - 1 { "+            : ".to_owned() } else { format!(" - {:10}: ", edge(number) - 1) };
        text.push_str(&format!("bucket {from:10}{to}tot-mem: {bytes:10}, clients: {sessions}\n"));
    }
    cx.add_verbatim(text.as_bytes(), *b"txt");
}

/// `DEBUG MALLCTL`: the figures of the allocator that this server knows; others of a real one are refused.
pub(super) fn allocator_number(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.len() > 3 && cx.int_arg(3).is_none() {
        return;
    }
    let used = cx.s.used_memory();
    match args.get(2) {
        b"arenas.page" => cx.add_integer(4_096),
        b"arenas.quantum" => cx.add_integer(16),
        b"stats.allocated" | b"stats.active" => cx.add_integer(i64::try_from(used).unwrap_or(i64::MAX)),
        b"stats.resident" | b"stats.mapped" => {
            let resident = cx.s.memory_overview().resident;
            cx.add_integer(i64::try_from(resident).unwrap_or(i64::MAX));
        }
        _ => unknown(cx),
    }
}

/// `DEBUG MALLCTL-STR`
pub(super) fn allocator_text(cx: &mut Cx<'_>) {
    let args = cx.args;
    match args.get(2) {
        b"version" => cx.add_bulk(b"5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c"),
        b"opt.dss" => cx.add_bulk(b"secondary"),
        // What gives memory back has nothing to do here.
        b"thread.tcache.flush" | b"arena.4096.purge" | b"arena.4096.decay" if args.len() > 3 => cx.add_ok(),
        _ => unknown(cx),
    }
}

fn unknown(cx: &mut Cx<'_>) {
    let name = lossless(cx.args.get(2));
    cx.add_error(&format!("ERR '{name}' of the allocator is not modelled"));
}
