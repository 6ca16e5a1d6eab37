//! Commands on keys of any type: deleting, renaming, copying, moving, listing (`db.c`).

use std::sync::Arc;

use super::flag::{DENYOOM, FAST, LOADING, READONLY, STALE, TOUCHES_ARBITRARY_KEYS, WRITE};
use super::strings::Moved;
use super::{Spec, container, row};
use crate::server::call::{ALL_TARGETS, Cx};
use crate::server::keyspace::Value;
use crate::server::notify::Classes;
use crate::server::{cost, glob, persistence};

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("del", -2, WRITE, (1, -1, 1), "@keyspace @write @slow", del),
    row("unlink", -2, WRITE | FAST, (1, -1, 1), "@keyspace @write @fast", unlink),
    row("exists", -2, READONLY | FAST, (1, -1, 1), "@keyspace @read @fast", exists),
    row("type", 2, READONLY | FAST, (1, 1, 1), "@keyspace @read @fast", type_of),
    row("rename", 3, WRITE, (1, 2, 1), "@keyspace @write @slow", rename),
    row("renamenx", 3, WRITE | FAST, (1, 2, 1), "@keyspace @write @fast", renamenx),
    row("copy", -3, WRITE | DENYOOM, (1, 2, 1), "@keyspace @write @slow", copy),
    row("move", 3, WRITE | FAST, (1, 1, 1), "@keyspace @write @fast", move_key),
    row("touch", -2, READONLY | FAST, (1, -1, 1), "@keyspace @read @fast", touch),
    row("randomkey", 1, READONLY | TOUCHES_ARBITRARY_KEYS, (0, 0, 0), "@keyspace @read @slow", randomkey),
    row("keys", 2, READONLY, (0, 0, 0), "@keyspace @read @slow @dangerous", keys),
    row("scan", -2, READONLY | TOUCHES_ARBITRARY_KEYS, (0, 0, 0), "@keyspace @read @slow", scan),
    row("dbsize", 1, READONLY | FAST, (0, 0, 0), "@keyspace @read @fast", dbsize),
    row("flushdb", -1, WRITE, (0, 0, 0), "@keyspace @write @slow @dangerous", flushdb),
    row("flushall", -1, WRITE, (0, 0, 0), "@keyspace @write @slow @dangerous", flushall),
    row("swapdb", 3, WRITE | FAST, (0, 0, 0), "@keyspace @write @fast @dangerous", swapdb),
    container(row("object", -2, 0, (0, 0, 0), "@slow", super::no_handler), OBJECT_SUBS),
];

#[rustfmt::skip]
const OBJECT_SUBS: &[Spec] = &[
    row("object|encoding", 3, READONLY, (2, 2, 1), "@keyspace @read @slow", object_encoding),
    row("object|freq", 3, READONLY, (2, 2, 1), "@keyspace @read @slow", object_freq),
    row("object|help", 2, LOADING | STALE, (0, 0, 0), "@keyspace @slow", object_help),
    row("object|idletime", 3, READONLY, (2, 2, 1), "@keyspace @read @slow", object_idletime),
    row("object|refcount", 3, READONLY, (2, 2, 1), "@keyspace @read @slow", object_refcount),
];

fn del(cx: &mut Cx<'_>) {
    delete_keys(cx, cx.s.config.lazyfree_lazy_user_del);
}

fn unlink(cx: &mut Cx<'_>) {
    delete_keys(cx, true);
}

fn delete_keys(cx: &mut Cx<'_>, lazy: bool) {
    let (db, args) = (cx.db(), cx.args);
    let mut deleted = 0;
    for i in 1..args.len() {
        let key = args.get(i);
        cx.s.lookup(db, key, false);
        if let Some(entry) = cx.s.delete(db, key) {
            cx.notify(Classes::GENERIC, "del", i);
            cx.s.freed(&entry.value, lazy);
            deleted += 1;
        }
    }
    cx.dirty(deleted);
    cx.add_integer(i64::try_from(deleted).expect("as many as arguments"));
}

fn exists(cx: &mut Cx<'_>) {
    let count = (1..cx.args.len()).filter(|&i| cx.find_untouched(i).is_some()).count();
    cx.add_count(count);
}

fn touch(cx: &mut Cx<'_>) {
    let count = (1..cx.args.len()).filter(|&i| cx.find_read(i).is_some()).count();
    cx.add_count(count);
}

fn type_of(cx: &mut Cx<'_>) {
    let name = cx.find_untouched(1).map_or("none", |at| cx.entry(at).value.kind().name());
    cx.add_simple(name.as_bytes());
}

fn rename(cx: &mut Cx<'_>) {
    rename_generic(cx, false);
}

fn renamenx(cx: &mut Cx<'_>) {
    rename_generic(cx, true);
}

fn rename_generic(cx: &mut Cx<'_>, nx: bool) {
    let (db, args) = (cx.db(), cx.args);
    let (from, to) = (args.get(1), args.get(2));
    let Some(at) = cx.find_write(1) else { return cx.add_error("ERR no such key") };
    if from == to {
        return if nx { cx.add_integer(0) } else { cx.add_ok() };
    }
    if cx.find_write(2).is_some() {
        if nx {
            return cx.add_integer(0);
        }
        cx.s.remove(db, to);
    }
    let expire = cx.expiry(at);
    let entry = cx.s.remove(db, from).expect("found above");
    Moved { value: entry.value, expire, touched: Some(entry.touched) }.put(cx, db, to);
    cx.signal(1);
    cx.signal(2);
    cx.notify(Classes::GENERIC, "rename_from", 1);
    cx.notify(Classes::GENERIC, "rename_to", 2);
    cx.dirty(1);
    if nx { cx.add_integer(1) } else { cx.add_ok() }
}

fn move_key(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let Some(target) = cx.small_int_arg(2, None) else { return };
    let Some(target) = cx.s.database(target) else { return cx.add_error("ERR DB index is out of range") };
    if target == db {
        return cx.add_error("ERR source and destination objects are the same");
    }
    let key = args.get(1);
    let Some(at) = cx.find_write(1) else { return cx.add_integer(0) };
    if cx.s.lookup(target, key, true).is_some() {
        return cx.add_integer(0);
    }
    let expire = cx.expiry(at);
    let entry = cx.s.delete(db, key).expect("found above");
    Moved { value: entry.value, expire, touched: Some(entry.touched) }.put(cx, target, key);
    cx.s.signal_modified(target, key);
    cx.notify(Classes::GENERIC, "move_from", 1);
    cx.s.notify(Classes::GENERIC, "move_to", target, key);
    cx.dirty(1);
    cx.add_integer(1);
}

fn copy(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let (mut target, mut replace) = (db, false);
    let mut i = 3;
    while i < args.len() {
        if cx.arg_is(i, "replace") {
            replace = true;
        } else if cx.arg_is(i, "db") && i + 1 < args.len() {
            let Some(number) = cx.small_int_arg(i + 1, None) else { return };
            let Some(number) = cx.s.database(number) else { return cx.add_error("ERR DB index is out of range") };
            target = number;
            i += 1;
        } else {
            return cx.add_syntax_error();
        }
        i += 1;
    }
    let (from, to) = (args.get(1), args.get(2));
    if target == db && from == to {
        return cx.add_error("ERR source and destination objects are the same");
    }
    let Some(at) = cx.find_read(1) else { return cx.add_integer(0) };
    let mut copied = Moved { value: cx.entry(at).value.clone(), expire: cx.expiry(at), touched: None };
    if let Value::Stream(stream) = &mut copied.value {
        Arc::make_mut(stream).give_back();
    }
    if cx.s.lookup(target, to, true).is_some() {
        if !replace {
            return cx.add_integer(0);
        }
        cx.s.delete(target, to);
    }
    copied.put(cx, target, to);
    cx.s.signal_modified(target, to);
    cx.s.notify(Classes::GENERIC, "copy_to", target, to);
    cx.dirty(1);
    cx.add_integer(1);
}

fn randomkey(cx: &mut Cx<'_>) {
    let db = cx.db();
    let mut tries = 100;
    loop {
        let Some(at) = cx.s.keyspace.db(db).keys().fair(&mut cx.s.rng) else { return cx.add_null() };
        // A replica can't remove expired keys; among nothing else it gives up and returns one.
        let all_volatile = cx.s.keyspace.db(db).len() == cx.s.keyspace.db(db).expires_len();
        tries -= 1;
        let give_up = all_volatile && !cx.s.repl.is_master() && tries == 0;
        if give_up || !cx.s.expire_if_needed(db, at, false) {
            let key = cx.entry(at).key.clone();
            return cx.add_bulk(key.as_slice());
        }
    }
}

fn keys(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let pattern = args.get(1);
    let all = pattern == b"*";
    let len = cx.s.keyspace.db(db).len();
    cx.s.meter.add(len as u64 * cost::ELEMENT);
    let mut body = bytes::BytesMut::new();
    let mut count = 0;
    for (entry, expire) in cx.s.keyspace.db(db).iter() {
        if (all || glob::matches(pattern, entry.key.as_slice(), false)) && !cx.s.is_over(expire) {
            crate::resp::encode::bulk(&mut body, entry.key.as_slice());
            count += 1;
        }
    }
    cx.add_array(count);
    cx.reply().extend_from_slice(&body);
}

/// The options of SCAN and its like.
pub(super) struct ScanOptions<'a> {
    pub(super) count: usize,
    pub(super) pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

fn scan(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let Some(mut cursor) = parse_cursor(args.get(1)) else { return cx.add_error("ERR invalid cursor") };
    let Some(options) = scan_options(cx, 2) else { return };
    let mut found = Vec::new();
    let mut steps = options.count.saturating_mul(10);
    loop {
        cursor = cx.s.keyspace.db(db).keys().scan(cursor, |at| found.push(at));
        if cursor == 0 || steps == 0 || found.len() >= options.count {
            break;
        }
        steps -= 1;
    }
    cx.s.meter.add(found.len() as u64 * cost::ELEMENT);
    // Expired keys that are met are deleted, in this order; their indices aren't used again.
    found.retain(|&at| {
        let entry = cx.s.keyspace.db(db).entry(at);
        let matched = options.pattern.is_none_or(|pattern| glob::matches(pattern, entry.key.as_slice(), false));
        if !matched {
            return false;
        }
        let type_name = entry.value.kind().name();
        let expired = cx.s.expire_if_needed(db, at, false);
        !expired && options.type_name.is_none_or(|wanted| wanted.eq_ignore_ascii_case(type_name.as_bytes()))
    });
    cx.add_array(2);
    cx.add_bulk(cursor.to_string().as_bytes());
    cx.add_array(found.len());
    for at in found {
        let key = cx.entry(at).key.clone();
        cx.add_bulk(key.as_slice());
    }
}

/// A cursor as `strtoul` reads it.
pub(super) fn parse_cursor(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let cursor: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { cursor.wrapping_neg() } else { cursor })
}

/// The options from an argument on; only SCAN itself, whose begin at 2, takes a type. `None`: an error was answered.
pub(super) fn scan_options<'a>(cx: &mut Cx<'a>, first: usize) -> Option<ScanOptions<'a>> {
    let args = cx.args;
    let mut options = ScanOptions { count: 10, pattern: None, type_name: None };
    let mut i = first;
    while i < args.len() {
        let more = i + 1 < args.len();
        if cx.arg_is(i, "count") && more {
            let count = cx.int_arg(i + 1)?;
            if count < 1 {
                cx.add_syntax_error();
                return None;
            }
            options.count = usize::try_from(count).unwrap_or(usize::MAX);
        } else if cx.arg_is(i, "match") && more {
            options.pattern = Some(args.get(i + 1)).filter(|pattern| *pattern != b"*");
        } else if cx.arg_is(i, "type") && first == 2 && more {
            options.type_name = Some(args.get(i + 1));
        } else {
            cx.add_syntax_error();
            return None;
        }
        i += 2;
    }
    Some(options)
}

fn dbsize(cx: &mut Cx<'_>) {
    let len = cx.s.keyspace.db(cx.db()).len();
    cx.add_count(len);
}

/// `SYNC`, `ASYNC` or nothing: whether memory is freed in the background. `None`: an error was answered.
fn flush_is_async(cx: &mut Cx<'_>) -> Option<bool> {
    match cx.args.len() {
        1 => Some(cx.s.config.lazyfree_lazy_user_flush),
        2 if cx.arg_is(1, "sync") => Some(false),
        2 if cx.arg_is(1, "async") => Some(true),
        _ => {
            cx.add_syntax_error();
            None
        }
    }
}

fn flushdb(cx: &mut Cx<'_>) {
    let Some(lazy) = flush_is_async(cx) else { return };
    let db = cx.db();
    let removed = cx.s.empty_db(db, lazy);
    cx.dirty(removed);
    cx.force_propagation(ALL_TARGETS);
    cx.add_ok();
}

fn flushall(cx: &mut Cx<'_>) {
    let Some(lazy) = flush_is_async(cx) else { return };
    let removed = cx.s.empty_all(lazy);
    cx.dirty(removed);
    persistence::after_flushall(cx.s, cx.out);
    if removed > 0 && cx.s.exec.dirty == 0 {
        // Saved at once: nothing tells any more that something changed.
        cx.note_operation();
    }
    cx.force_propagation(ALL_TARGETS);
    cx.add_ok();
}

fn swapdb(cx: &mut Cx<'_>) {
    let Some(first) = cx.small_int_arg(1, Some("ERR invalid first DB index")) else { return };
    let Some(second) = cx.small_int_arg(2, Some("ERR invalid second DB index")) else { return };
    let (Some(first), Some(second)) = (cx.s.database(first), cx.s.database(second)) else {
        return cx.add_error("ERR DB index is out of range");
    };
    if first != second {
        cx.s.signal_flushed(first, Some(second));
        cx.s.signal_flushed(second, Some(first));
        cx.s.keyspace.dbs.swap(first as usize, second as usize);
        cx.s.signal_replaced(first);
        cx.s.signal_replaced(second);
    }
    cx.dirty(1);
    cx.add_ok();
}

/// The key at argument 2 for OBJECT, which touches nothing; answers the absent value when there is none.
fn object_key(cx: &mut Cx<'_>) -> Option<u32> {
    let found = cx.find_quietly(2);
    if found.is_none() {
        cx.add_null();
    }
    found
}

impl Cx<'_> {
    /// An LFU policy takes the place of idle times.
    fn tracks_frequency(&self) -> bool {
        self.s.config.maxmemory_policy.counts()
    }
}

fn object_encoding(cx: &mut Cx<'_>) {
    if let Some(at) = object_key(cx) {
        let encoding = cx.entry(at).value.encoding();
        cx.add_bulk(encoding.as_bytes());
    }
}

fn object_refcount(cx: &mut Cx<'_>) {
    use crate::server::keyspace::Value;
    if let Some(at) = object_key(cx) {
        // Small integers are shared objects, whose count stands still at its maximum; not where each has an access time.
        let apart = cx.s.config.maxmemory > 0 && cx.s.config.maxmemory_policy.remembers();
        let shared = !apart && matches!(cx.entry(at).value, Value::Int(0..10_000));
        cx.add_integer(if shared { i64::from(i32::MAX) } else { 1 });
    }
}

fn object_idletime(cx: &mut Cx<'_>) {
    if let Some(at) = object_key(cx) {
        if cx.tracks_frequency() {
            return cx.add_error(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
                 policies at runtime LRU and LFU data will take some time to adjust.",
            );
        }
        let idle = cx.s.idle_seconds(cx.entry(at).touched);
        cx.add_integer(i64::from(idle));
    }
}

fn object_freq(cx: &mut Cx<'_>) {
    if let Some(at) = object_key(cx) {
        if cx.tracks_frequency() {
            let frequency = cx.s.frequency(cx.entry(at).touched);
            return cx.add_integer(i64::from(frequency));
        }
        cx.add_error(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
             between policies at runtime LRU and LFU data will take some time to adjust.",
        );
    }
}

fn object_help(cx: &mut Cx<'_>) {
    cx.add_help(
        "object",
        &[
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>. The returned integer is",
            "    proportional to the logarithm of the recent access frequency of the key.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>, that is the approximated number of",
            "    seconds elapsed since the last access to the key.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
        ],
    );
}
