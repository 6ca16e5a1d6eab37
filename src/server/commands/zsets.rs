//! The sorted set commands on single members, and the pops (`t_zset.c`).

use std::sync::Arc;

use super::flag::{DENYOOM, FAST, MOVABLE_KEYS, READONLY, WRITE};
use super::{Spec, random, row, scans};
use crate::rng::Rng;
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::double;
use crate::server::keyspace::packing::Packing;
use crate::server::keyspace::zset::ZSet;
use crate::server::keyspace::{Element, Type, Value};
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("zadd", -4, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @sortedset @fast", zadd),
    row("zincrby", 4, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @sortedset @fast", zincrby),
    row("zrem", -3, WRITE | FAST, (1, 1, 1), "@write @sortedset @fast", zrem),
    row("zcard", 2, READONLY | FAST, (1, 1, 1), "@read @sortedset @fast", zcard),
    row("zscore", 3, READONLY | FAST, (1, 1, 1), "@read @sortedset @fast", zscore),
    row("zmscore", -3, READONLY | FAST, (1, 1, 1), "@read @sortedset @fast", zmscore),
    row("zrank", 3, READONLY | FAST, (1, 1, 1), "@read @sortedset @fast", zrank),
    row("zrevrank", 3, READONLY | FAST, (1, 1, 1), "@read @sortedset @fast", zrevrank),
    row("zpopmin", -2, WRITE | FAST, (1, 1, 1), "@write @sortedset @fast", zpopmin),
    row("zpopmax", -2, WRITE | FAST, (1, 1, 1), "@write @sortedset @fast", zpopmax),
    row("zmpop", -4, WRITE | MOVABLE_KEYS, (0, 0, 0), "@write @sortedset @slow", zmpop),
    row("zrandmember", -2, READONLY, (1, 1, 1), "@read @sortedset @slow", zrandmember),
    row("zscan", -3, READONLY, (1, 1, 1), "@read @sortedset @slow", zscan),
];

const NAN: &str = "ERR resulting score is not a number (NaN)";

impl Cx<'_> {
    pub(super) fn zset_packing(&self) -> Packing {
        let config = &self.s.config;
        Packing { entries: config.zset_max_listpack_entries, value: config.zset_max_listpack_value }
    }

    pub(super) fn zset_at(&self, at: u32) -> &ZSet {
        let Value::ZSet(set) = &self.entry(at).value else { unreachable!("the type was checked") };
        set
    }

    /// The sorted set at argument `i`, shared with the keyspace.
    pub(super) fn read_zset(&mut self, i: usize) -> Result<Option<Arc<ZSet>>, Answered> {
        let found = self.read_as(i, Type::ZSet)?;
        Ok(found.and_then(|at| if let Value::ZSet(set) = &self.entry(at).value { Some(set.clone()) } else { None }))
    }

    /// Changes the sorted set at an index.
    pub(super) fn change_zset<R>(&mut self, at: u32, change: impl FnOnce(&mut ZSet) -> R) -> R {
        let db = self.db();
        let held = self.s.keyspace.db(db).held;
        self.s.keyspace.db_mut(db).update(at, |value| {
            let Value::ZSet(set) = value else { unreachable!("the type was checked") };
            let set = Arc::make_mut(set);
            set.hold(held);
            change(set)
        })
    }

    /// Argument `i` as a double, or the error (`getDoubleFromObjectOrReply`).
    pub(super) fn double_arg(&mut self, i: usize, error: &str) -> Option<f64> {
        let value = double::parse(self.args.get(i)).filter(|value| !value.is_nan());
        if value.is_none() {
            self.add_error(error);
        }
        value
    }
}

/// ZADD's options.
#[derive(Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) nx: bool,
    pub(super) xx: bool,
    gt: bool,
    lt: bool,
    pub(super) ch: bool,
    incr: bool,
}

/// What became of one member.
enum Added {
    /// It is new.
    New(f64),
    /// It has another score.
    Updated(f64),
    /// It has the score that it had.
    Same(f64),
    /// The options kept it from being touched.
    Skipped,
    /// Its score would not be a number.
    NotANumber,
}

impl Options {
    /// Sets or increments one member's score (`zsetAdd`).
    fn add(self, set: &mut ZSet, member: &[u8], score: f64, packing: Packing) -> Added {
        let Some(old) = set.score(member) else {
            if self.xx {
                return Added::Skipped;
            }
            set.set(member, score, packing);
            return Added::New(score);
        };
        if self.nx {
            return Added::Skipped;
        }
        let score = if self.incr { old + score } else { score };
        if score.is_nan() {
            return Added::NotANumber;
        }
        if self.lt && score >= old || self.gt && score <= old {
            return Added::Skipped;
        }
        if score == old {
            return Added::Same(score);
        }
        set.set(member, score, packing);
        Added::Updated(score)
    }
}

fn zadd(cx: &mut Cx<'_>) {
    let (mut options, mut i) = (Options::default(), 2);
    while i < cx.args.len() {
        match cx.args.get(i).to_ascii_lowercase().as_slice() {
            b"nx" => options.nx = true,
            b"xx" => options.xx = true,
            b"gt" => options.gt = true,
            b"lt" => options.lt = true,
            b"ch" => options.ch = true,
            b"incr" => options.incr = true,
            _ => break,
        }
        i += 1;
    }
    add_generic(cx, options, i);
}

fn zincrby(cx: &mut Cx<'_>) {
    add_generic(cx, Options { incr: true, ..Options::default() }, 2);
}

/// ZADD and ZINCRBY, whose scores and members begin at an argument (`zaddGenericCommand`).
fn add_generic(cx: &mut Cx<'_>, options: Options, first: usize) {
    let args = cx.args;
    let rest = args.len() - first;
    if rest % 2 == 1 || rest == 0 {
        return cx.add_syntax_error();
    }
    if options.nx && options.xx {
        return cx.add_error("ERR XX and NX options at the same time are not compatible");
    }
    if options.nx && (options.gt || options.lt) || options.gt && options.lt {
        return cx.add_error("ERR GT, LT, and/or NX options at the same time are not compatible");
    }
    if options.incr && rest > 2 {
        return cx.add_error("ERR INCR option supports a single increment-element pair");
    }
    let mut members = Vec::with_capacity(rest / 2);
    for i in (first..args.len()).step_by(2) {
        let Some(score) = cx.double_arg(i, "ERR value is not a valid float") else { return };
        members.push((score, i + 1));
    }
    add_members(cx, options, &members);
}

/// Adds scores with the members at arguments, or increments them.
pub(super) fn add_members(cx: &mut Cx<'_>, options: Options, members: &[(f64, usize)]) {
    let args = cx.args;
    let Some(&(_, first)) = members.first() else { return cx.add_syntax_error() };
    let Ok(found) = cx.write_as(1, Type::ZSet) else { return };
    let packing = cx.zset_packing();
    let (mut added, mut updated, mut last) = (0_u64, 0_u64, None);
    if found.is_some() || !options.xx {
        let make = |cx: &mut Cx<'_>| cx.add_key(1, Value::ZSet(Arc::new(ZSet::for_member(args.get(first), packing))));
        let at = found.unwrap_or_else(|| make(cx));
        let done = cx.change_zset(at, |set| {
            for &(score, i) in members {
                match options.add(set, args.get(i), score, packing) {
                    Added::New(score) => (added, last) = (added + 1, Some(score)),
                    Added::Updated(score) => (updated, last) = (updated + 1, Some(score)),
                    Added::Same(score) => last = Some(score),
                    Added::Skipped => {}
                    Added::NotANumber => return false,
                }
            }
            true
        });
        if done {
            cx.dirty(added + updated);
        } else {
            cx.add_error(NAN);
            return changed(cx, options, added + updated);
        }
    }
    match last {
        Some(score) if options.incr => cx.add_double(score),
        None if options.incr => cx.add_null(),
        _ => {
            let count = if options.ch { added + updated } else { added };
            cx.add_integer(i64::try_from(count).expect("as many as arguments"));
        }
    }
    changed(cx, options, added + updated);
}

/// So many members at argument 1 are new or have another score.
fn changed(cx: &mut Cx<'_>, options: Options, changes: u64) {
    if changes > 0 {
        cx.signal(1);
        cx.notify(Classes::ZSET, if options.incr { "zincr" } else { "zadd" }, 1);
    }
}

fn zrem(cx: &mut Cx<'_>) {
    let Ok(found) = cx.write_as(1, Type::ZSet) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let args = cx.args;
    let (removed, empty) = cx.change_zset(at, |set| {
        let mut removed = 0;
        for member in args.iter().skip(2) {
            removed += u64::from(set.remove(member).is_some());
            if set.is_empty() {
                break;
            }
        }
        (removed, set.is_empty())
    });
    cx.removed_elements(1, (Classes::ZSET, "zrem"), removed, empty);
    cx.add_integer(i64::try_from(removed).expect("as many as arguments"));
}

fn zcard(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_zset(1) else { return };
    cx.add_count(found.map_or(0, |set| set.len()));
}

fn zscore(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_zset(1) else { return };
    add_score(cx, found.as_deref(), 2);
}

fn zmscore(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_zset(1) else { return };
    cx.add_array(cx.args.len() - 2);
    for i in 2..cx.args.len() {
        add_score(cx, found.as_deref(), i);
    }
}

fn add_score(cx: &mut Cx<'_>, set: Option<&ZSet>, i: usize) {
    let args = cx.args;
    match set.and_then(|set| set.score(args.get(i))) {
        Some(score) => cx.add_double(score),
        None => cx.add_null(),
    }
}

fn zrank(cx: &mut Cx<'_>) {
    rank(cx, false);
}

fn zrevrank(cx: &mut Cx<'_>) {
    rank(cx, true);
}

fn rank(cx: &mut Cx<'_>, reverse: bool) {
    let Ok(found) = cx.read_zset(1) else { return };
    let args = cx.args;
    match found.and_then(|set| set.rank(args.get(2)).map(|rank| if reverse { set.len() - 1 - rank } else { rank })) {
        Some(rank) => cx.add_count(rank),
        None => cx.add_null(),
    }
}

/// Takes up to `count` members from an end of the sorted set at an index, which is that of argument `i`, and answers
/// them; `head` answers what comes before them. Returns how many.
fn take(
    cx: &mut Cx<'_>,
    i: usize,
    at: u32,
    (max, count): (bool, usize),
    nested: bool,
    head: impl FnOnce(&mut Cx<'_>, usize),
) -> usize {
    let (taken, empty) = cx.change_zset(at, |set| {
        let count = count.min(set.len());
        let from = if max { set.len() - 1 } else { 0 };
        let taken: Vec<(f64, Element)> = set.range(from, count, max).map(|(score, key)| (score, key.clone())).collect();
        for (_, member) in &taken {
            set.remove(member.as_slice());
        }
        (taken, set.is_empty())
    });
    cx.s.meter.add(taken.len() as u64 * cost::ELEMENT);
    cx.dirty(taken.len() as u64);
    head(cx, taken.len());
    cx.notify(Classes::ZSET, if max { "zpopmax" } else { "zpopmin" }, i);
    cx.signal(i);
    add_pairs(cx, &taken, nested);
    if empty {
        cx.delete_and_notify(i);
    }
    taken.len()
}

fn zpopmin(cx: &mut Cx<'_>) {
    pop(cx, false);
}

fn zpopmax(cx: &mut Cx<'_>) {
    pop(cx, true);
}

fn pop(cx: &mut Cx<'_>, max: bool) {
    let counted = cx.args.len() == 3;
    if cx.args.len() > 3 {
        return cx.add_syntax_error();
    }
    let mut count = 1;
    if counted {
        let Some(given) = cx.positive_arg(2) else { return };
        count = usize::try_from(given).unwrap_or(usize::MAX);
    }
    let Ok(found) = cx.write_as(1, Type::ZSet) else { return };
    let Some(at) = found.filter(|_| count > 0) else { return cx.add_array(0) };
    let nested = counted && cx.session().resp > 2;
    let head = |cx: &mut Cx<'_>, taken: usize| cx.add_array(if nested { taken } else { taken * 2 });
    take(cx, 1, at, (max, count), nested, head);
}

fn add_pairs(cx: &mut Cx<'_>, pairs: &[(f64, Element)], nested: bool) {
    for (score, member) in pairs {
        if nested {
            cx.add_array(2);
        }
        cx.add_bulk(member.as_slice());
        cx.add_double(*score);
    }
}

/// As a pop from an end is propagated.
pub(super) fn verb(max: bool) -> &'static [u8] {
    if max { b"ZPOPMAX" } else { b"ZPOPMIN" }
}

/// [`take`] for an answer that begins with the key: nested, or all in one array.
pub(super) fn take_with_key(cx: &mut Cx<'_>, i: usize, at: u32, what: (bool, usize), nested: bool) -> usize {
    take(cx, i, at, what, nested, |cx, taken| {
        cx.add_array(if nested { 2 } else { taken * 2 + 1 });
        cx.add_bulk_arg(i);
        if nested {
            cx.add_array(taken);
        }
    })
}

/// The arguments of ZMPOP and BZMPOP from the number of keys on, which is argument `number`: from which end, how many, and
/// the argument behind the keys (`zmpopGenericCommand`).
pub(super) fn mpop_arguments(cx: &mut Cx<'_>, number: usize) -> Option<(bool, usize, usize)> {
    let side = cx.keys_counted_by(number)?;
    let max = cx.arg_is(side, "max");
    if !max && !cx.arg_is(side, "min") {
        cx.add_syntax_error();
        return None;
    }
    Some((max, cx.count_option(side + 1)?, side))
}

fn zmpop(cx: &mut Cx<'_>) {
    let Some((max, count, side)) = mpop_arguments(cx, 1) else { return };
    for i in 2..side {
        let Ok(found) = cx.write_as(i, Type::ZSet) else { return };
        if let Some(at) = found {
            let taken = take_with_key(cx, i, at, (max, count), true);
            return cx.rewrite(&[verb(max), cx.args.get(i), taken.to_string().as_bytes()]);
        }
    }
    cx.add_null_array();
}

fn zrandmember(cx: &mut Cx<'_>) {
    if cx.args.len() == 2 {
        let Ok(found) = cx.read_zset(1) else { return };
        let Some(set) = found else { return cx.add_null() };
        let member = set.random(&mut cx.s.rng).expect("a key's sorted set is not empty").1.clone();
        return cx.add_bulk(member.as_slice());
    }
    let Some((count, with_scores)) = random::arguments(cx, Some("withscores")) else { return };
    let Ok(found) = cx.read_zset(1) else { return };
    let Some(set) = found.filter(|_| count != 0) else { return cx.add_array(0) };
    if random::overflows(cx, count) {
        return;
    }
    let own = |(score, member): (f64, &Element)| (score, member.clone());
    let one = |rng: &mut Rng| own(set.random(rng).expect("a key's sorted set is not empty"));
    let all = || set.iter().map(own).collect();
    let picked = random::pick(&mut cx.s.rng, count, set.len(), one, all, |pair| pair.1.as_slice());
    cx.s.meter.add(picked.len() as u64 * cost::ELEMENT);
    let nested = with_scores && cx.session().resp > 2;
    cx.add_array(if with_scores && !nested { picked.len() * 2 } else { picked.len() });
    if with_scores {
        return add_pairs(cx, &picked, nested);
    }
    for (_, member) in picked {
        cx.add_bulk(member.as_slice());
    }
}

fn zscan(cx: &mut Cx<'_>) {
    let Some(cursor) = scans::cursor(cx) else { return };
    let Ok(found) = cx.read_zset(1) else { return };
    let Some(set) = found else { return scans::add_empty(cx) };
    let element = |score: f64, member: &Element| {
        scans::Element::from([member.to_bytes(), double::print(score).into_bytes().into()])
    };
    let step = |cursor, found: &mut Vec<_>| set.scan(cursor, |score, member| found.push(element(score, member)));
    scans::answer(cx, cursor, step, || set.iter().map(|(score, member)| element(score, member)).collect());
}
