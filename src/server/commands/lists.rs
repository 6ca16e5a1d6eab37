//! The list commands that never wait (`t_list.c`).

use std::sync::Arc;

use super::flag::{DENYOOM, FAST, MOVABLE_KEYS, READONLY, WRITE};
use super::{Spec, row};
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::list::{End, List};
use crate::server::keyspace::{Element, Type, Value};
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("rpush", -3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @list @fast", rpush),
    row("lpush", -3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @list @fast", lpush),
    row("rpushx", -3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @list @fast", rpushx),
    row("lpushx", -3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @list @fast", lpushx),
    row("linsert", 5, WRITE | DENYOOM, (1, 1, 1), "@write @list @slow", linsert),
    row("rpop", -2, WRITE | FAST, (1, 1, 1), "@write @list @fast", rpop),
    row("lpop", -2, WRITE | FAST, (1, 1, 1), "@write @list @fast", lpop),
    row("lmpop", -4, WRITE | MOVABLE_KEYS, (0, 0, 0), "@write @list @slow", lmpop),
    row("llen", 2, READONLY | FAST, (1, 1, 1), "@read @list @fast", llen),
    row("lindex", 3, READONLY, (1, 1, 1), "@read @list @slow", lindex),
    row("lset", 4, WRITE | DENYOOM, (1, 1, 1), "@write @list @slow", lset),
    row("lrange", 4, READONLY, (1, 1, 1), "@read @list @slow", lrange),
    row("ltrim", 4, WRITE, (1, 1, 1), "@write @list @slow", ltrim),
    row("lpos", -3, READONLY, (1, 1, 1), "@read @list @slow", lpos),
    row("lrem", 4, WRITE, (1, 1, 1), "@write @list @slow", lrem),
    row("rpoplpush", 3, WRITE | DENYOOM, (1, 2, 1), "@write @list @slow", rpoplpush),
    row("lmove", 5, WRITE | DENYOOM, (1, 2, 1), "@write @list @slow", lmove),
];

impl Cx<'_> {
    fn list_at(&self, at: u32) -> &List {
        let Value::List(list) = &self.entry(at).value else { unreachable!("the type was checked") };
        list
    }

    /// The list at argument 1, shared with the keyspace.
    fn read_list(&mut self) -> Result<Option<Arc<List>>, Answered> {
        let found = self.read_as(1, Type::List)?;
        Ok(found.and_then(|at| if let Value::List(list) = &self.entry(at).value { Some(list.clone()) } else { None }))
    }

    /// Changes the list at an index.
    pub(super) fn change_list<R>(&mut self, at: u32, change: impl FnOnce(&mut List) -> R) -> R {
        let db = self.db();
        self.s.keyspace.db_mut(db).update(at, |value| {
            let Value::List(list) = value else { unreachable!("the type was checked") };
            change(Arc::make_mut(list))
        })
    }

    /// A list that is made now.
    pub(super) fn new_list(&self) -> Value {
        Value::List(Arc::new(List::new(self.s.config.list_cut())))
    }

    /// The elements at `from..to` of the list at argument 1 are read, which packs nodes if there is anything to pack.
    pub(super) fn pass(&mut self, from: usize, to: usize, back: bool) {
        let found = self.s.keyspace.db(self.db()).find(self.args.get(1));
        if let Some(at) = found.filter(|&at| self.list_at(at).is_stale()) {
            self.change_list(at, |list| list.pass(from, to, back));
        }
    }

    /// The argument behind the keys whose number is argument `number`; there must be one.
    pub(super) fn keys_counted_by(&mut self, number: usize) -> Option<usize> {
        let keys = self.ranged_arg(number, 1, i64::MAX, Some("ERR numkeys should be greater than 0"))?;
        let behind = usize::try_from(keys).ok().and_then(|keys| keys.checked_add(number + 1));
        let behind = behind.filter(|&behind| behind < self.args.len());
        if behind.is_none() {
            self.add_syntax_error();
        }
        behind
    }

    /// `COUNT <count>` or nothing, from argument `first` on; one if nothing is said.
    pub(super) fn count_option(&mut self, first: usize) -> Option<usize> {
        let mut count = None;
        let mut i = first;
        while i < self.args.len() {
            if count.is_some() || !self.arg_is(i, "count") || i + 1 == self.args.len() {
                self.add_syntax_error();
                return None;
            }
            let given = self.ranged_arg(i + 1, 1, i64::MAX, Some("ERR count should be greater than 0"))?;
            count = Some(usize::try_from(given).unwrap_or(usize::MAX));
            i += 2;
        }
        Some(count.unwrap_or(1))
    }

    /// `LEFT` or `RIGHT` at argument `i` (`getListPositionFromObjectOrReply`).
    pub(super) fn end_arg(&mut self, i: usize) -> Option<End> {
        if self.arg_is(i, "left") {
            Some(End::Head)
        } else if self.arg_is(i, "right") {
            Some(End::Tail)
        } else {
            self.add_syntax_error();
            None
        }
    }
}

fn push(cx: &mut Cx<'_>, end: End, only_existing: bool) {
    let Ok(found) = cx.write_as(1, Type::List) else { return };
    let at = match found {
        Some(at) => at,
        None if only_existing => return cx.add_integer(0),
        None => {
            let list = cx.new_list();
            cx.add_key(1, list)
        }
    };
    let (args, large) = (cx.args, cx.s.large_element);
    let len = cx.change_list(at, |list| {
        args.iter().skip(2).for_each(|text| list.push(end, text, large));
        list.len()
    });
    cx.dirty(args.len() as u64 - 2);
    cx.add_count(len);
    cx.signal(1);
    cx.notify(Classes::LIST, pushed(end), 1);
}

/// The event of elements that come in at an end.
fn pushed(end: End) -> &'static str {
    if end == End::Head { "lpush" } else { "rpush" }
}

/// The event of elements that leave from an end.
pub(super) fn popped(end: End) -> (Classes, &'static str) {
    (Classes::LIST, if end == End::Head { "lpop" } else { "rpop" })
}

fn lpush(cx: &mut Cx<'_>) {
    push(cx, End::Head, false);
}

fn rpush(cx: &mut Cx<'_>) {
    push(cx, End::Tail, false);
}

fn lpushx(cx: &mut Cx<'_>) {
    push(cx, End::Head, true);
}

fn rpushx(cx: &mut Cx<'_>) {
    push(cx, End::Tail, true);
}

fn linsert(cx: &mut Cx<'_>) {
    let after = cx.arg_is(2, "after");
    if !after && !cx.arg_is(2, "before") {
        return cx.add_syntax_error();
    }
    let Ok(found) = cx.write_as(1, Type::List) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let (args, large) = (cx.args, cx.s.large_element);
    let place = cx.list_at(at).iter().position(|item| item.as_slice() == args.get(3));
    let passed = place.unwrap_or_else(|| cx.list_at(at).len());
    cx.s.meter.add(passed as u64 * cost::ELEMENT / 4);
    let Some(place) = place else {
        cx.pass(0, passed, false);
        return cx.add_integer(-1);
    };
    let len = cx.change_list(at, |list| {
        list.pass(0, place + 1, false);
        list.insert(place, after, args.get(4), large);
        list.len()
    });
    cx.signal(1);
    cx.notify(Classes::LIST, "linsert", 1);
    cx.dirty(1);
    cx.add_count(len);
}

fn llen(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_list() else { return };
    cx.add_count(found.map_or(0, |list| list.len()));
}

fn lindex(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_list() else { return };
    let Some(list) = found else { return cx.add_null() };
    let Some(index) = cx.int_arg(2) else { return };
    let Some(place) = list.place(index) else { return cx.add_null() };
    cx.add_bulk(list.get(place).expect("within the list"));
    if list.is_stale() {
        cx.pass(place, place + 1, false);
    }
}

fn lset(cx: &mut Cx<'_>) {
    let Ok(found) = cx.write_as(1, Type::List) else { return };
    let Some(at) = found else { return cx.add_error("ERR no such key") };
    let Some(index) = cx.int_arg(2) else { return };
    let Some(place) = cx.list_at(at).place(index) else { return cx.add_error("ERR index out of range") };
    let (args, large) = (cx.args, cx.s.large_element);
    cx.change_list(at, |list| list.replace(place, args.get(3), large));
    cx.add_ok();
    cx.signal(1);
    cx.notify(Classes::LIST, "lset", 1);
    cx.dirty(1);
}

pub(super) fn add_texts(cx: &mut Cx<'_>, texts: &[Element]) {
    cx.add_array(texts.len());
    cx.s.meter.add(texts.len() as u64 * cost::ELEMENT);
    for text in texts {
        cx.add_bulk(text.as_slice());
    }
}

/// Takes up to `count` elements from an end of the list at an index, which is that of argument `i`, and answers them.
/// Returns how many.
pub(super) fn take(
    cx: &mut Cx<'_>,
    i: usize,
    at: u32,
    (end, count): (End, usize),
    answer: fn(&mut Cx<'_>, &[Element]),
) -> usize {
    let (taken, empty) = cx.change_list(at, |list| {
        let len = list.len();
        match end {
            End::Head => list.pass(0, count.min(len), false),
            End::Tail => list.pass(len.saturating_sub(count), len, true),
        }
        (list.take(end, count), list.is_empty())
    });
    answer(cx, &taken);
    cx.removed_elements(i, popped(end), taken.len() as u64, empty);
    taken.len()
}

fn pop(cx: &mut Cx<'_>, end: End) {
    let counted = cx.args.len() == 3;
    if cx.args.len() > 3 {
        return cx.add_error_arity();
    }
    let mut count = 1;
    if counted {
        let Some(given) = cx.positive_arg(2) else { return };
        count = usize::try_from(given).unwrap_or(usize::MAX);
    }
    let Ok(found) = cx.write_as(1, Type::List) else { return };
    match found {
        None if counted => cx.add_null_array(),
        None => cx.add_null(),
        Some(_) if count == 0 => cx.add_array(0),
        Some(at) => {
            let one: fn(&mut Cx<'_>, &[Element]) = |cx, taken| cx.add_bulk(taken[0].as_slice());
            take(cx, 1, at, (end, count), if counted { add_texts } else { one });
        }
    }
}

fn lpop(cx: &mut Cx<'_>) {
    pop(cx, End::Head);
}

fn rpop(cx: &mut Cx<'_>) {
    pop(cx, End::Tail);
}

/// As a pop from an end is propagated.
pub(super) fn verb(end: End) -> &'static [u8] {
    if end == End::Head { b"LPOP" } else { b"RPOP" }
}

/// The arguments of LMPOP and BLMPOP from the number of keys on, which is argument `number`: from which end, how many, and
/// the argument behind the keys (`lmpopGenericCommand`).
pub(super) fn mpop_arguments(cx: &mut Cx<'_>, number: usize) -> Option<(End, usize, usize)> {
    let side = cx.keys_counted_by(number)?;
    let end = cx.end_arg(side)?;
    Some((end, cx.count_option(side + 1)?, side))
}

fn lmpop(cx: &mut Cx<'_>) {
    let Some((end, count, side)) = mpop_arguments(cx, 1) else { return };
    for i in 2..side {
        let Ok(found) = cx.write_as(i, Type::List) else { return };
        if let Some(at) = found {
            cx.add_array(2);
            cx.add_bulk_arg(i);
            let taken = take(cx, i, at, (end, count), add_texts);
            return cx.rewrite(&[verb(end), cx.args.get(i), taken.to_string().as_bytes()]);
        }
    }
    cx.add_null_array();
}

/// The places `from..to` that two possibly negative indices mean.
fn places(start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(len).expect("a list fits memory");
    let start = if start < 0 { start.saturating_add(len).max(0) } else { start };
    let end = if end < 0 { end.saturating_add(len) } else { end.min(len - 1) };
    if start > end || start >= len {
        return None;
    }
    Some((usize::try_from(start).ok()?, usize::try_from(end).ok()? + 1))
}

fn lrange(cx: &mut Cx<'_>) {
    let Some(start) = cx.int_arg(2) else { return };
    let Some(end) = cx.int_arg(3) else { return };
    let Ok(found) = cx.read_list() else { return };
    let list = found.unwrap_or_default();
    let Some((from, to)) = places(start, end, list.len()) else { return cx.add_array(0) };
    cx.add_array(to - from);
    cx.s.meter.add((to - from) as u64 * cost::ELEMENT);
    for place in from..to {
        cx.add_bulk(list.get(place).expect("within the list"));
    }
    if list.is_stale() {
        cx.pass(from, to, false);
    }
}

fn ltrim(cx: &mut Cx<'_>) {
    let Some(start) = cx.int_arg(2) else { return };
    let Some(end) = cx.int_arg(3) else { return };
    let Ok(found) = cx.write_as(1, Type::List) else { return };
    let Some(at) = found else { return cx.add_ok() };
    let len = cx.list_at(at).len();
    let (from, to) = places(start, end, len).unwrap_or((len, len));
    cx.s.meter.add((len - (to - from)) as u64 * cost::ELEMENT / 4);
    cx.change_list(at, |list| list.keep(from, to));
    // Signalled even when it removes nothing.
    cx.notify(Classes::LIST, "ltrim", 1);
    if from == to {
        cx.delete_and_notify(1);
    } else {
        cx.signal(1);
    }
    cx.dirty((len - (to - from)) as u64);
    cx.add_ok();
}

/// LPOS's options.
struct Wanted {
    rank: u64,
    from: End,
    count: Option<u64>,
    max_len: u64,
}

fn wanted(cx: &mut Cx<'_>) -> Option<Wanted> {
    let mut wanted = Wanted { rank: 1, from: End::Head, count: None, max_len: 0 };
    let mut i = 3;
    while i < cx.args.len() {
        let more = i + 1 < cx.args.len();
        if cx.arg_is(i, "rank") && more {
            let rank = cx.int_arg(i + 1)?;
            if rank == 0 {
                cx.add_error(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                     or use negative to start from the end of the list",
                );
                return None;
            }
            wanted.from = if rank < 0 { End::Tail } else { End::Head };
            // The smallest number has no positive counterpart: every match is beyond it.
            wanted.rank = rank.checked_abs().map_or(1, i64::unsigned_abs);
        } else if cx.arg_is(i, "count") && more {
            let count = cx.ranged_arg(i + 1, 0, i64::MAX, Some("ERR COUNT can't be negative"))?;
            wanted.count = Some(count.unsigned_abs());
        } else if cx.arg_is(i, "maxlen") && more {
            wanted.max_len = cx.ranged_arg(i + 1, 0, i64::MAX, Some("ERR MAXLEN can't be negative"))?.unsigned_abs();
        } else {
            cx.add_syntax_error();
            return None;
        }
        i += 2;
    }
    Some(wanted)
}

fn lpos(cx: &mut Cx<'_>) {
    let Some(wanted) = wanted(cx) else { return };
    let Ok(found) = cx.read_list() else { return };
    let (list, args) = (found.unwrap_or_default(), cx.args);
    let limit = if wanted.max_len == 0 { usize::MAX } else { usize::try_from(wanted.max_len).unwrap_or(usize::MAX) };
    let most = match wanted.count {
        None => 1,
        Some(0) => usize::MAX,
        Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
    };
    let skip = usize::try_from(wanted.rank - 1).unwrap_or(usize::MAX);
    let len = list.len();
    let place = |passed: usize| if wanted.from == End::Head { passed } else { len - 1 - passed };
    let matches = (0..len.min(limit)).map(place).filter(|&at| list.get(at) == Some(args.get(2)));
    let found: Vec<usize> = matches.skip(skip).take(most).collect();
    cx.s.meter.add(len.min(limit) as u64 * cost::ELEMENT / 4);
    let passed =
        found.get(most - 1).map_or(len.min(limit), |&at| if wanted.from == End::Head { at + 1 } else { len - at });
    match wanted.from {
        End::Head if list.is_stale() => cx.pass(0, passed, false),
        End::Tail if list.is_stale() => cx.pass(len - passed, len, true),
        End::Head | End::Tail => {}
    }
    if wanted.count.is_some() {
        cx.add_array(found.len());
        found.iter().for_each(|&place| cx.add_count(place));
    } else if let Some(&place) = found.first() {
        cx.add_count(place);
    } else {
        cx.add_null();
    }
}

fn lrem(cx: &mut Cx<'_>) {
    let Some(count) = cx.int_arg(2) else { return };
    let Ok(found) = cx.write_as(1, Type::List) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let args = cx.args;
    let (from, most) = match count {
        0 => (End::Head, usize::MAX),
        _ => {
            let end = if count < 0 { End::Tail } else { End::Head };
            (end, usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX))
        }
    };
    let len = cx.list_at(at).len();
    cx.s.meter.add(len as u64 * cost::ELEMENT / 4);
    let (removed, empty) = cx.change_list(at, |list| (list.remove_equal(args.get(3), most, from), list.is_empty()));
    cx.removed_elements(1, (Classes::LIST, "lrem"), removed as u64, empty);
    cx.add_count(removed);
}

fn rpoplpush(cx: &mut Cx<'_>) {
    let _ = move_between(cx, End::Tail, End::Head);
}

fn lmove(cx: &mut Cx<'_>) {
    let Some(from) = cx.end_arg(3) else { return };
    let Some(to) = cx.end_arg(4) else { return };
    let _ = move_between(cx, from, to);
}

/// Takes an element from the list at argument 1 and puts it into the one at argument 2, which may be the same. True when
/// it did.
pub(super) fn move_between(cx: &mut Cx<'_>, from: End, to: End) -> bool {
    let Ok(found) = cx.write_as(1, Type::List) else { return false };
    let Some(source) = found else {
        cx.add_null();
        return false;
    };
    let Ok(target) = cx.write_as(2, Type::List) else { return false };
    move_element(cx, source, target, from, to);
    let empty = cx.list_at(source).is_empty();
    cx.removed_elements(1, popped(from), 1, empty);
    true
}

/// Takes an element from the list at an index and puts it into the one at argument 2, which is at the other index if it
/// is there; answers it.
pub(super) fn move_element(cx: &mut Cx<'_>, source: u32, target: Option<u32>, from: End, to: End) {
    let text = cx.change_list(source, |list| list.pop(from).expect("a key's list is not empty"));
    let target = target.unwrap_or_else(|| {
        let list = cx.new_list();
        cx.add_key(2, list)
    });
    cx.signal(2);
    let large = cx.s.large_element;
    cx.change_list(target, |list| list.push(to, text.as_slice(), large));
    cx.notify(Classes::LIST, pushed(to), 2);
    cx.add_bulk(text.as_slice());
}
