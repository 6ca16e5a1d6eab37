//! The set commands (`t_set.c`).

use std::cell::Cell;
use std::sync::Arc;

use super::flag::{DENYOOM, FAST, MOVABLE_KEYS, READONLY, WRITE};
use super::{Spec, random, row, scans};
use crate::rng::Rng;
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::set::Set;
use crate::server::keyspace::{Element, Type, Value};
use crate::server::notify::Classes;
use crate::server::reply::encode_command;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("sadd", -3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @set @fast", sadd),
    row("srem", -3, WRITE | FAST, (1, 1, 1), "@write @set @fast", srem),
    row("smove", 4, WRITE | FAST, (1, 2, 1), "@write @set @fast", smove),
    row("sismember", 3, READONLY | FAST, (1, 1, 1), "@read @set @fast", sismember),
    row("smismember", -3, READONLY | FAST, (1, 1, 1), "@read @set @fast", smismember),
    row("scard", 2, READONLY | FAST, (1, 1, 1), "@read @set @fast", scard),
    row("spop", -2, WRITE | FAST, (1, 1, 1), "@write @set @fast", spop),
    row("srandmember", -2, READONLY, (1, 1, 1), "@read @set @slow", srandmember),
    row("smembers", 2, READONLY, (1, 1, 1), "@read @set @slow", smembers),
    row("sinter", -2, READONLY, (1, -1, 1), "@read @set @slow", sinter),
    row("sinterstore", -3, WRITE | DENYOOM, (1, -1, 1), "@write @set @slow", sinterstore),
    row("sintercard", -3, READONLY | MOVABLE_KEYS, (0, 0, 0), "@read @set @slow", sintercard),
    row("sunion", -2, READONLY, (1, -1, 1), "@read @set @slow", sunion),
    row("sunionstore", -3, WRITE | DENYOOM, (1, -1, 1), "@write @set @slow", sunionstore),
    row("sdiff", -2, READONLY, (1, -1, 1), "@read @set @slow", sdiff),
    row("sdiffstore", -3, WRITE | DENYOOM, (1, -1, 1), "@write @set @slow", sdiffstore),
    row("sscan", -3, READONLY, (1, 1, 1), "@read @set @slow", sscan),
];

impl Cx<'_> {
    /// The set at argument `i`, shared with the keyspace.
    fn read_set(&mut self, i: usize) -> Result<Option<Arc<Set>>, Answered> {
        let found = self.read_as(i, Type::Set)?;
        Ok(found.and_then(|at| self.set_at(at)))
    }

    fn set_at(&self, at: u32) -> Option<Arc<Set>> {
        if let Value::Set(set) = &self.entry(at).value { Some(set.clone()) } else { None }
    }

    /// Changes the set at an index.
    fn change_set<R>(&mut self, at: u32, change: impl FnOnce(&mut Set) -> R) -> R {
        let db = self.db();
        let held = self.s.keyspace.db(db).held;
        self.s.keyspace.db_mut(db).update(at, |value| {
            let Value::Set(set) = value else { unreachable!("the type was checked") };
            let set = Arc::make_mut(set);
            set.hold(held);
            change(set)
        })
    }

    /// Who draws members moves the buckets of a table that is on its way into another one.
    fn rehash_set(&mut self, draws: usize) {
        if let Ok(Some(at)) = self.write_as(1, Type::Set)
            && self.set_at(at).is_some_and(|set| set.is_rehashing())
        {
            self.change_set(at, |set| set.rehash(draws.saturating_mul(DRAWN)));
        }
    }
}

/// Buckets that one draw of a member moves (`GETFAIR_NUM_ENTRIES`).
const DRAWN: usize = 15;

fn sadd(cx: &mut Cx<'_>) {
    let Ok(found) = cx.write_as(1, Type::Set) else { return };
    let (args, ints_max) = (cx.args, cx.s.config.set_max_intset_entries);
    let at = found.unwrap_or_else(|| cx.add_key(1, Value::Set(Arc::new(Set::for_member(args.get(2))))));
    let added = cx.change_set(at, |set| args.iter().skip(2).filter(|member| set.add(member, ints_max)).count());
    if added > 0 {
        cx.signal(1);
        cx.notify(Classes::SET, "sadd", 1);
        cx.dirty(added as u64);
    }
    cx.add_count(added);
}

fn srem(cx: &mut Cx<'_>) {
    let Ok(found) = cx.write_as(1, Type::Set) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let args = cx.args;
    let (removed, empty) = cx.change_set(at, |set| {
        let mut removed = 0;
        for member in args.iter().skip(2) {
            removed += u64::from(set.remove(member));
            if set.is_empty() {
                break;
            }
        }
        (removed, set.is_empty())
    });
    cx.removed_elements(1, (Classes::SET, "srem"), removed, empty);
    cx.add_integer(i64::try_from(removed).expect("as many as arguments"));
}

fn smove(cx: &mut Cx<'_>) {
    let (from, to) = (cx.find_write(1), cx.find_write(2));
    let Some(source) = from else { return cx.add_integer(0) };
    if cx.of_type(from, Type::Set).is_err() || cx.of_type(to, Type::Set).is_err() {
        return;
    }
    let (args, ints_max) = (cx.args, cx.s.config.set_max_intset_entries);
    let member = args.get(3);
    if to == from {
        let found = cx.set_at(source).is_some_and(|set| set.contains(member));
        return cx.add_integer(i64::from(found));
    }
    let (removed, empty) = cx.change_set(source, |set| (set.remove(member), set.is_empty()));
    if !removed {
        return cx.add_integer(0);
    }
    cx.removed_elements(1, (Classes::SET, "srem"), 1, empty);
    let target = to.unwrap_or_else(|| cx.add_key(2, Value::Set(Arc::new(Set::for_member(member)))));
    if cx.change_set(target, |set| set.add(member, ints_max)) {
        cx.dirty(1);
        cx.signal(2);
        cx.notify(Classes::SET, "sadd", 2);
    }
    cx.add_integer(1);
}

fn sismember(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_set(1) else { return };
    let args = cx.args;
    cx.add_integer(i64::from(found.is_some_and(|set| set.contains(args.get(2)))));
}

fn smismember(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_set(1) else { return };
    let args = cx.args;
    cx.add_array(args.len() - 2);
    for member in args.iter().skip(2) {
        cx.add_integer(i64::from(found.as_ref().is_some_and(|set| set.contains(member))));
    }
}

fn scard(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_set(1) else { return };
    cx.add_count(found.map_or(0, |set| set.len()));
}

fn spop(cx: &mut Cx<'_>) {
    match cx.args.len() {
        2 => {}
        3 => return spop_count(cx),
        _ => return cx.add_syntax_error(),
    }
    let Ok(found) = cx.write_as(1, Type::Set) else { return };
    let Some(at) = found else { return cx.add_null() };
    let member = random_member(cx, at);
    let empty = cx.change_set(at, |set| set.remove(&member) && set.is_empty());
    cx.notify(Classes::SET, "spop", 1);
    cx.rewrite(&[b"SREM", cx.args.get(1), &member]);
    cx.add_bulk(&member);
    if empty {
        cx.delete_and_notify(1);
    } else {
        cx.signal(1);
    }
    cx.dirty(1);
}

fn random_member(cx: &mut Cx<'_>, at: u32) -> bytes::Bytes {
    let set = cx.set_at(at).expect("the type was checked");
    set.random(&mut cx.s.rng).expect("a key's set is not empty")
}

/// SPOP with a count (`spopWithCountCommand`): in the stream it is as many SREMs, or a DEL.
fn spop_count(cx: &mut Cx<'_>) {
    let Some(count) = cx.positive_arg(2) else { return };
    let Ok(found) = cx.write_as(1, Type::Set) else { return };
    let Some(at) = found.filter(|_| count > 0) else { return cx.add_set(0) };
    let set = cx.set_at(at).expect("the type was checked");
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    cx.notify(Classes::SET, "spop", 1);
    if count >= set.len() {
        add_members(cx, &set);
        let len = set.len() as u64;
        drop(set);
        cx.delete_and_notify(1);
        cx.rewrite(&[b"DEL", cx.args.get(1)]);
        return cx.dirty(len);
    }
    drop(set);
    cx.add_set(count);
    let (db, key) = (cx.db(), cx.args.get(1));
    cx.s.meter.add(count as u64 * cost::ELEMENT);
    for _ in 0..count {
        let member = random_member(cx, at);
        cx.change_set(at, |set| set.remove(&member));
        cx.add_bulk(&member);
        cx.s.propagate(db, encode_command(&[b"SREM", key, &member]));
    }
    cx.prevent_propagation();
    cx.dirty(count as u64);
    cx.signal(1);
}

fn srandmember(cx: &mut Cx<'_>) {
    if cx.args.len() == 2 {
        let Ok(found) = cx.read_set(1) else { return };
        let Some(set) = found else { return cx.add_null() };
        let member = set.random(&mut cx.s.rng).expect("a key's set is not empty");
        let is_rehashing = set.is_rehashing();
        drop(set);
        if is_rehashing {
            cx.rehash_set(1);
        }
        return cx.add_bulk(&member);
    }
    if cx.args.len() > 3 {
        return cx.add_syntax_error();
    }
    let Some((count, _)) = random::arguments(cx, None) else { return };
    let Ok(found) = cx.read_set(1) else { return };
    let Some(set) = found.filter(|_| count != 0) else { return cx.add_array(0) };
    if random::overflows(cx, count) {
        return;
    }
    let draws = Cell::new(0_usize);
    let one = |rng: &mut Rng| {
        draws.set(draws.get() + 1);
        set.random(rng).expect("a key's set is not empty")
    };
    let all = || set.iter().map(|member| member.to_bytes()).collect();
    let picked = random::pick(&mut cx.s.rng, count, set.len(), one, all, |member| &member[..]);
    let draws = if set.is_rehashing() { draws.get() } else { 0 };
    drop(set);
    if draws > 0 {
        cx.rehash_set(draws);
    }
    cx.add_array(picked.len());
    cx.s.meter.add(picked.len() as u64 * cost::ELEMENT);
    for member in picked {
        cx.add_bulk(&member);
    }
}

fn add_members(cx: &mut Cx<'_>, set: &Set) {
    cx.add_set(set.len());
    cx.s.meter.add(set.len() as u64 * cost::ELEMENT);
    for member in set.iter() {
        cx.add_bulk(member.as_slice());
    }
}

/// The sets at arguments `from..to`; `None` where there is no key.
fn sets(cx: &mut Cx<'_>, from: usize, to: usize) -> Result<Vec<Option<Arc<Set>>>, Answered> {
    (from..to).map(|i| cx.read_set(i)).collect()
}

/// Stores a result under the key at argument 1, or deletes it when the result is empty; answers its size.
fn store(cx: &mut Cx<'_>, members: &[Element]) {
    let ints_max = cx.s.config.set_max_intset_entries;
    if members.is_empty() {
        cx.add_integer(0);
        return delete_target(cx);
    }
    let mut set = Set::default();
    members.iter().for_each(|member| {
        set.add(member.as_slice(), ints_max);
    });
    let len = set.len();
    cx.set_key(1, Value::Set(Arc::new(set)), false);
    cx.add_count(len);
    // The event has the command's name.
    cx.notify(Classes::SET, cx.command.spec.name, 1);
    cx.dirty(1);
}

fn delete_target(cx: &mut Cx<'_>) {
    if cx.delete_and_notify(1) {
        cx.dirty(1);
    }
}

fn answer(cx: &mut Cx<'_>, members: &[Element]) {
    cx.add_set(members.len());
    for member in members {
        cx.add_bulk(member.as_slice());
    }
}

/// The members that all sets have, at most `limit` (`sinterGenericCommand`).
fn intersection(cx: &mut Cx<'_>, sets: Vec<Option<Arc<Set>>>, limit: usize) -> Vec<Element> {
    let Some(mut sets) = sets.into_iter().collect::<Option<Vec<_>>>() else { return Vec::new() };
    sets.sort_by_key(|set| set.len());
    let Some((first, rest)) = sets.split_first() else { return Vec::new() };
    cx.s.meter.add((first.len() * sets.len()) as u64 * cost::ELEMENT);
    let shared = |member: &Element| rest.iter().all(|set| set.contains(member.as_slice()));
    first.iter().filter(shared).take(limit).collect()
}

fn smembers(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_set(1) else { return };
    match found {
        Some(set) => add_members(cx, &set),
        None => cx.add_set(0),
    }
}

fn sinter(cx: &mut Cx<'_>) {
    let Ok(sets) = sets(cx, 1, cx.args.len()) else { return };
    let members = intersection(cx, sets, usize::MAX);
    answer(cx, &members);
}

fn sinterstore(cx: &mut Cx<'_>) {
    let Ok(sets) = sets(cx, 2, cx.args.len()) else { return };
    // With a key that isn't there nothing is worked out, and the target goes before the reply.
    if sets.iter().any(Option::is_none) {
        delete_target(cx);
        return cx.add_integer(0);
    }
    let members = intersection(cx, sets, usize::MAX);
    store(cx, &members);
}

fn sintercard(cx: &mut Cx<'_>) {
    let Some(count) = cx.ranged_arg(1, 1, i64::MAX, Some("ERR numkeys should be greater than 0")) else { return };
    let Some(end) = usize::try_from(count).ok().and_then(|n| n.checked_add(2)).filter(|&end| end <= cx.args.len())
    else {
        return cx.add_error("ERR Number of keys can't be greater than number of args");
    };
    let (mut i, mut limit) = (end, 0);
    while i < cx.args.len() {
        if !cx.arg_is(i, "limit") || i + 1 == cx.args.len() {
            return cx.add_syntax_error();
        }
        let Some(given) = cx.ranged_arg(i + 1, 0, i64::MAX, Some("ERR LIMIT can't be negative")) else { return };
        limit = given;
        i += 2;
    }
    let Ok(sets) = sets(cx, 2, end) else { return };
    let limit = if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    let members = intersection(cx, sets, limit);
    cx.add_count(members.len());
}

/// The members that any set has, or those of the first that no other has (`sunionDiffGenericCommand`).
fn combination(cx: &mut Cx<'_>, sets: &[Option<Arc<Set>>], union: bool) -> Vec<Element> {
    let total: usize = sets.iter().flatten().map(|set| set.len()).sum();
    cx.s.meter.add(total as u64 * cost::ELEMENT);
    if union {
        let mut all = Set::default();
        for member in sets.iter().flatten().flat_map(|set| set.iter()) {
            all.add(member.as_slice(), u64::MAX);
        }
        return all.iter().collect();
    }
    let Some((Some(first), rest)) = sets.split_first() else { return Vec::new() };
    let alone = |member: &Element| !rest.iter().flatten().any(|set| set.contains(member.as_slice()));
    first.iter().filter(alone).collect()
}

fn combine(cx: &mut Cx<'_>, union: bool, stored: bool) {
    let Ok(sets) = sets(cx, 1 + usize::from(stored), cx.args.len()) else { return };
    let members = combination(cx, &sets, union);
    drop(sets);
    if stored { store(cx, &members) } else { answer(cx, &members) }
}

fn sunion(cx: &mut Cx<'_>) {
    combine(cx, true, false);
}

fn sunionstore(cx: &mut Cx<'_>) {
    combine(cx, true, true);
}

fn sdiff(cx: &mut Cx<'_>) {
    combine(cx, false, false);
}

fn sdiffstore(cx: &mut Cx<'_>) {
    combine(cx, false, true);
}

fn sscan(cx: &mut Cx<'_>) {
    let Some(cursor) = scans::cursor(cx) else { return };
    let Ok(found) = cx.read_set(1) else { return };
    let Some(set) = found else { return scans::add_empty(cx) };
    let element = |member: &Element| scans::Element::from_iter([member.to_bytes()]);
    let step = |cursor, found: &mut Vec<_>| {
        set.table().map(|table| table.scan(cursor, |at| found.push(element(table.get(at)))))
    };
    scans::answer(cx, cursor, step, || set.iter().map(|member| element(&member)).collect());
}
