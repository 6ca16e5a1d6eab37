//! The hash commands (`t_hash.c`).

use std::sync::Arc;

use super::flag::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, random, row, scans};
use crate::resp::parse_i64;
use crate::rng::Rng;
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::float::Extended;
use crate::server::keyspace::hash::{Hash, Pair};
use crate::server::keyspace::packing::Packing;
use crate::server::keyspace::value::ValueText;
use crate::server::keyspace::{Type, Value};
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("hset", -4, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @hash @fast", hset),
    row("hsetnx", 4, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @hash @fast", hsetnx),
    row("hget", 3, READONLY | FAST, (1, 1, 1), "@read @hash @fast", hget),
    row("hmset", -4, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @hash @fast", hset),
    row("hmget", -3, READONLY | FAST, (1, 1, 1), "@read @hash @fast", hmget),
    row("hincrby", 4, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @hash @fast", hincrby),
    row("hincrbyfloat", 4, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @hash @fast", hincrbyfloat),
    row("hdel", -3, WRITE | FAST, (1, 1, 1), "@write @hash @fast", hdel),
    row("hlen", 2, READONLY | FAST, (1, 1, 1), "@read @hash @fast", hlen),
    row("hstrlen", 3, READONLY | FAST, (1, 1, 1), "@read @hash @fast", hstrlen),
    row("hkeys", 2, READONLY, (1, 1, 1), "@read @hash @slow", hkeys),
    row("hvals", 2, READONLY, (1, 1, 1), "@read @hash @slow", hvals),
    row("hgetall", 2, READONLY, (1, 1, 1), "@read @hash @slow", hgetall),
    row("hexists", 3, READONLY | FAST, (1, 1, 1), "@read @hash @fast", hexists),
    row("hrandfield", -2, READONLY, (1, 1, 1), "@read @hash @slow", hrandfield),
    row("hscan", -3, READONLY, (1, 1, 1), "@read @hash @slow", hscan),
];

impl Cx<'_> {
    fn hash_packing(&self) -> Packing {
        let config = &self.s.config;
        Packing { entries: config.hash_max_listpack_entries, value: config.hash_max_listpack_value }
    }

    /// The hash at argument 1, shared with the keyspace.
    fn read_hash(&mut self) -> Result<Option<Arc<Hash>>, Answered> {
        let found = self.read_as(1, Type::Hash)?;
        Ok(found.and_then(|at| if let Value::Hash(hash) = &self.entry(at).value { Some(hash.clone()) } else { None }))
    }

    /// Changes the hash at an index.
    fn change_hash<R>(&mut self, at: u32, change: impl FnOnce(&mut Hash) -> R) -> R {
        let db = self.db();
        let held = self.s.keyspace.db(db).held;
        self.s.keyspace.db_mut(db).update(at, |value| {
            let Value::Hash(hash) = value else { unreachable!("the type was checked") };
            let hash = Arc::make_mut(hash);
            hash.hold(held);
            change(hash)
        })
    }

    /// The index of the hash at argument 1, which is made if there is none (`hashTypeLookupWriteOrCreate`).
    fn write_hash(&mut self) -> Result<u32, Answered> {
        match self.write_as(1, Type::Hash)? {
            Some(at) => Ok(at),
            None => Ok(self.add_key(1, Value::Hash(Arc::default()))),
        }
    }
}

fn hset(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.len() % 2 == 1 {
        return cx.add_error_arity();
    }
    let Ok(at) = cx.write_hash() else { return };
    let packing = cx.hash_packing();
    let created = cx.change_hash(at, |hash| {
        hash.make_room(args.iter().skip(2), packing);
        let pairs = (2..args.len()).step_by(2);
        pairs.filter(|&i| hash.set(args.get(i), ValueText::share(args.bytes(i + 1)), packing)).count()
    });
    if cx.command.spec.name == "hset" {
        cx.add_count(created)
    } else {
        cx.add_ok()
    }
    cx.signal(1);
    cx.notify(Classes::HASH, "hset", 1);
    cx.dirty((args.len() as u64 - 2) / 2);
}

fn hsetnx(cx: &mut Cx<'_>) {
    let Ok(at) = cx.write_hash() else { return };
    let (packing, args) = (cx.hash_packing(), cx.args);
    let added = cx.change_hash(at, |hash| {
        hash.find(args.get(2)).is_none() && hash.set(args.get(2), ValueText::share(args.bytes(3)), packing)
    });
    if !added {
        return cx.add_integer(0);
    }
    cx.add_integer(1);
    cx.signal(1);
    cx.notify(Classes::HASH, "hset", 1);
    cx.dirty(1);
}

fn hget(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_hash() else { return };
    add_field(cx, found.as_deref(), 2);
}

fn hmget(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_hash() else { return };
    cx.add_array(cx.args.len() - 2);
    for i in 2..cx.args.len() {
        add_field(cx, found.as_deref(), i);
    }
}

fn add_field(cx: &mut Cx<'_>, hash: Option<&Hash>, i: usize) {
    let args = cx.args;
    match hash.and_then(|hash| hash.get(args.get(i))) {
        Some(value) => cx.add_bulk(value),
        None => cx.add_null(),
    }
}

fn hincrby(cx: &mut Cx<'_>) {
    let Some(by) = cx.int_arg(3) else { return };
    let Ok(at) = cx.write_hash() else { return };
    let (packing, args) = (cx.hash_packing(), cx.args);
    let result = cx.change_hash(at, |hash| {
        let old = hash.get(args.get(2)).map_or(Some(0), parse_i64);
        let new = old.ok_or("ERR hash value is not an integer")?.checked_add(by);
        let new = new.ok_or("ERR increment or decrement would overflow")?;
        hash.set(args.get(2), ValueText::copy(new.to_string().as_bytes()), packing);
        Ok(new)
    });
    match result {
        Ok(new) => cx.add_integer(new),
        Err(error) => return fail_new(cx, at, error),
    }
    cx.signal(1);
    cx.notify(Classes::HASH, "hincrby", 1);
    cx.dirty(1);
}

/// Answers an error. A hash that was made for the command stays, empty, as it does in Redis, but for one that nobody sees:
/// the command can only fail on a field that is there.
fn fail_new(cx: &mut Cx<'_>, at: u32, error: &str) {
    assert!(cx.entry(at).value.elements() > 0, "only a field that is there can't be incremented");
    cx.add_error(error);
}

fn hincrbyfloat(cx: &mut Cx<'_>) {
    let args = cx.args;
    if Extended::is_infinite(args.get(3)) {
        return cx.add_error("ERR value is NaN or Infinity");
    }
    let Some(by) = Extended::parse(args.get(3)) else { return cx.add_error("ERR value is not a valid float") };
    let Ok(at) = cx.write_hash() else { return };
    let packing = cx.hash_packing();
    let result = cx.change_hash(at, |hash| {
        let old = hash.get(args.get(2)).map_or(Some(Extended::ZERO), Extended::parse);
        let new = old.ok_or("ERR hash value is not a float")?.plus(by).and_then(Extended::print);
        let new = new.ok_or("ERR increment would produce NaN or Infinity")?;
        hash.set(args.get(2), ValueText::copy(new.as_bytes()), packing);
        Ok(new)
    });
    match result {
        Ok(new) => {
            cx.add_bulk(new.as_bytes());
            cx.signal(1);
            cx.notify(Classes::HASH, "hincrbyfloat", 1);
            cx.dirty(1);
            cx.rewrite(&[b"HSET", args.get(1), args.get(2), new.as_bytes()]);
        }
        Err(error) => fail_new(cx, at, error),
    }
}

fn hdel(cx: &mut Cx<'_>) {
    let Ok(found) = cx.write_as(1, Type::Hash) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let args = cx.args;
    let (deleted, empty) = cx.change_hash(at, |hash| {
        let mut deleted = 0;
        for i in 2..args.len() {
            deleted += u64::from(hash.remove(args.get(i)));
            if hash.is_empty() {
                break;
            }
        }
        (deleted, hash.is_empty())
    });
    cx.removed_elements(1, (Classes::HASH, "hdel"), deleted, empty);
    cx.add_integer(i64::try_from(deleted).expect("as many as arguments"));
}

fn hlen(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_hash() else { return };
    cx.add_count(found.map_or(0, |hash| hash.len()));
}

fn hstrlen(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_hash() else { return };
    let args = cx.args;
    cx.add_count(found.and_then(|hash| hash.get(args.get(2)).map(<[u8]>::len)).unwrap_or(0));
}

fn hexists(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_hash() else { return };
    let args = cx.args;
    cx.add_count(usize::from(found.is_some_and(|hash| hash.find(args.get(2)).is_some())));
}

fn hkeys(cx: &mut Cx<'_>) {
    list(cx, true, false);
}

fn hvals(cx: &mut Cx<'_>) {
    list(cx, false, true);
}

fn hgetall(cx: &mut Cx<'_>) {
    list(cx, true, true);
}

/// Answers fields, values, or both as a map (`genericHgetallCommand`).
fn list(cx: &mut Cx<'_>, fields: bool, values: bool) {
    let Ok(found) = cx.read_hash() else { return };
    let len = found.as_ref().map_or(0, |hash| hash.len());
    if fields && values {
        cx.add_map(len)
    } else {
        cx.add_array(len)
    }
    cx.s.meter.add(len as u64 * cost::ELEMENT);
    for pair in found.iter().flat_map(|hash| hash.iter()) {
        if fields {
            cx.add_bulk(pair.field.as_slice());
        }
        if values {
            cx.add_bulk(pair.value.as_slice());
        }
    }
}

fn hscan(cx: &mut Cx<'_>) {
    let Some(cursor) = scans::cursor(cx) else { return };
    let Ok(found) = cx.read_hash() else { return };
    let Some(hash) = found else { return scans::add_empty(cx) };
    let pair = |pair: &Pair| scans::Element::from([pair.field.to_bytes(), pair.value.to_bytes()]);
    let step =
        |cursor, found: &mut Vec<_>| hash.table().map(|table| table.scan(cursor, |at| found.push(pair(table.get(at)))));
    scans::answer(cx, cursor, step, || hash.iter().map(pair).collect());
}

fn hrandfield(cx: &mut Cx<'_>) {
    if cx.args.len() == 2 {
        let Ok(found) = cx.read_hash() else { return };
        let Some(hash) = found else { return cx.add_null() };
        let pair = hash.random(&mut cx.s.rng).expect("a key's hash is not empty").clone();
        return cx.add_bulk(pair.field.as_slice());
    }
    let Some((count, with_values)) = random::arguments(cx, Some("withvalues")) else { return };
    let Ok(found) = cx.read_hash() else { return };
    let Some(hash) = found.filter(|_| count != 0) else { return cx.add_array(0) };
    if random::overflows(cx, count) {
        return;
    }
    let one = |rng: &mut Rng| hash.random(rng).expect("a key's hash is not empty").clone();
    let all = || hash.iter().cloned().collect();
    let picked = random::pick(&mut cx.s.rng, count, hash.len(), one, all, |pair| pair.field.as_slice());
    let nested = with_values && cx.session().resp > 2;
    cx.add_array(if with_values && !nested { picked.len() * 2 } else { picked.len() });
    cx.s.meter.add(picked.len() as u64 * cost::ELEMENT);
    for pair in picked {
        if nested {
            cx.add_array(2);
        }
        cx.add_bulk(pair.field.as_slice());
        if with_values {
            cx.add_bulk(pair.value.as_slice());
        }
    }
}
