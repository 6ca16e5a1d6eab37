//! The commands that wait until a list or a sorted set has something to take (`t_list.c`, `t_zset.c`).

use super::flag::{BLOCKING, DENYOOM, FAST, MOVABLE_KEYS, NOSCRIPT, WRITE};
use super::{Spec, lists, row, zsets};
use crate::server::blocking::{Served, Want};
use crate::server::call::Cx;
use crate::server::keyspace::list::End;
use crate::server::keyspace::{Element, Type};
use crate::server::notify::Classes;
use crate::server::reply::encode_command;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("blpop", -3, WRITE | NOSCRIPT | BLOCKING, (1, -2, 1), "@write @list @slow @blocking", blpop),
    row("brpop", -3, WRITE | NOSCRIPT | BLOCKING, (1, -2, 1), "@write @list @slow @blocking", brpop),
    row("brpoplpush", 4, WRITE | DENYOOM | NOSCRIPT | BLOCKING, (1, 2, 1), "@write @list @slow @blocking", brpoplpush),
    row("blmove", 6, WRITE | DENYOOM | NOSCRIPT | BLOCKING, (1, 2, 1), "@write @list @slow @blocking", blmove),
    row("blmpop", -5, WRITE | BLOCKING | MOVABLE_KEYS, (0, 0, 0), "@write @list @slow @blocking", blmpop),
    row("bzpopmin", -3, WRITE | NOSCRIPT | BLOCKING | FAST, (1, -2, 1), "@write @sortedset @fast @blocking", bzpopmin),
    row("bzpopmax", -3, WRITE | NOSCRIPT | BLOCKING | FAST, (1, -2, 1), "@write @sortedset @fast @blocking", bzpopmax),
    row("bzmpop", -5, WRITE | BLOCKING | MOVABLE_KEYS, (0, 0, 0), "@write @sortedset @slow @blocking", bzmpop),
];

fn blpop(cx: &mut Cx<'_>) {
    pop(cx, End::Head);
}

fn brpop(cx: &mut Cx<'_>) {
    pop(cx, End::Tail);
}

fn pop(cx: &mut Cx<'_>, end: End) {
    let last = cx.args.len() - 1;
    wait_or_take(cx, Want::Pop { end, count: None }, 1..last, last);
}

fn bzpopmin(cx: &mut Cx<'_>) {
    pop_scored(cx, false);
}

fn bzpopmax(cx: &mut Cx<'_>) {
    pop_scored(cx, true);
}

fn pop_scored(cx: &mut Cx<'_>, max: bool) {
    let last = cx.args.len() - 1;
    wait_or_take(cx, Want::PopScored { max, count: None }, 1..last, last);
}

fn blmpop(cx: &mut Cx<'_>) {
    let Some((end, count, side)) = lists::mpop_arguments(cx, 2) else { return };
    wait_or_take(cx, Want::Pop { end, count: Some(count) }, 3..side, 1);
}

fn bzmpop(cx: &mut Cx<'_>) {
    let Some((max, count, side)) = zsets::mpop_arguments(cx, 2) else { return };
    wait_or_take(cx, Want::PopScored { max, count: Some(count) }, 3..side, 1);
}

/// Takes from the first of the keys that is there, or waits for one until the time at argument `timeout` is over.
fn wait_or_take(cx: &mut Cx<'_>, want: Want, keys: std::ops::Range<usize>, timeout: usize) {
    let Ok(until) = cx.seconds_arg(timeout) else { return };
    let kind = if matches!(want, Want::PopScored { .. }) { Type::ZSet } else { Type::List };
    for i in keys.clone() {
        let Ok(found) = cx.write_as(i, kind) else { return };
        let Some(at) = found else { continue };
        let (verb, taken): (&[u8], usize) = match want {
            Want::PopScored { max, count } => {
                let taken = zsets::take_with_key(cx, i, at, (max, count.unwrap_or(1)), count.is_some());
                (zsets::verb(max), taken)
            }
            Want::Pop { end, count } => (lists::verb(end), take_with_key(cx, i, at, end, count)),
            Want::Move { .. } | Want::Read { .. } => unreachable!("these have functions of their own"),
        };
        let key = cx.args.get(i);
        return match want {
            Want::Pop { count: Some(_), .. } | Want::PopScored { count: Some(_), .. } => {
                cx.rewrite(&[verb, key, taken.to_string().as_bytes()]);
            }
            Want::Pop { .. } | Want::PopScored { .. } | Want::Move { .. } | Want::Read { .. } => {
                cx.rewrite(&[verb, key])
            }
        };
    }
    if cx.must_not_block() {
        return cx.add_null_array();
    }
    cx.block_for(want, keys, until);
}

/// Takes one or up to so many elements of the list at an index, and answers the key at argument `i` and them.
fn take_with_key(cx: &mut Cx<'_>, i: usize, at: u32, end: End, count: Option<usize>) -> usize {
    let one: fn(&mut Cx<'_>, &[Element]) = |cx, taken| cx.add_bulk(taken[0].as_slice());
    cx.add_array(2);
    cx.add_bulk_arg(i);
    lists::take(cx, i, at, (end, count.unwrap_or(1)), if count.is_some() { lists::add_texts } else { one })
}

fn brpoplpush(cx: &mut Cx<'_>) {
    let Ok(until) = cx.seconds_arg(3) else { return };
    wait_or_move(cx, End::Tail, End::Head, until);
}

fn blmove(cx: &mut Cx<'_>) {
    let Some(from) = cx.end_arg(3) else { return };
    let Some(to) = cx.end_arg(4) else { return };
    let Ok(until) = cx.seconds_arg(5) else { return };
    wait_or_move(cx, from, to, until);
}

fn wait_or_move(cx: &mut Cx<'_>, from: End, to: End, until: Option<u64>) {
    let Ok(found) = cx.write_as(1, Type::List) else { return };
    if found.is_none() {
        if cx.must_not_block() {
            return cx.add_null();
        }
        return cx.block_for(Want::Move { from, to }, 1..2, until);
    }
    if !lists::move_between(cx, from, to) {
        return;
    }
    // BLMOVE goes on as LMOVE, and BRPOPLPUSH as RPOPLPUSH, with the words as they came.
    let args = cx.args;
    if cx.command.spec.name == "blmove" {
        cx.rewrite(&[b"LMOVE", args.get(1), args.get(2), args.get(3), args.get(4)]);
    } else {
        cx.rewrite(&[b"RPOPLPUSH", args.get(1), args.get(2)]);
    }
}

/// Serves one who waits for a list, the key at argument `i` (`serveClientBlockedOnList`). Only what is counted is a
/// change: whoever pushed has signalled the key and counted the change already.
pub(in crate::server) fn serve_pop(cx: &mut Cx<'_>, i: usize, end: End, count: Option<usize>) -> Served {
    let (db, args) = (cx.db(), cx.args);
    let Some(at) = cx.s.keyspace.db(db).find(args.get(i)) else { return Served::Refused };
    if let Some(count) = count {
        let number = count.min(cx.entry(at).value.elements()).to_string();
        cx.s.propagate(db, encode_command(&[lists::verb(end), args.get(i), number.as_bytes()]));
        take_with_key(cx, i, at, end, Some(count));
    } else {
        cx.s.propagate(db, encode_command(&[lists::verb(end), args.get(i)]));
        let text = cx.change_list(at, |list| list.pop(end)).expect("a key's list is not empty");
        cx.add_array(2);
        cx.add_bulk_arg(i);
        cx.add_bulk(text.as_slice());
        let (class, event) = lists::popped(end);
        cx.notify(class, event, i);
        remove_if_empty(cx, i, at);
    }
    served(cx, i)
}

/// Serves one who waits to move an element from the key at argument 1 to the one at argument 2.
pub(in crate::server) fn serve_move(cx: &mut Cx<'_>, from: End, to: End) -> Served {
    let (db, args) = (cx.db(), cx.args);
    let Some(source) = cx.s.keyspace.db(db).find(args.get(1)) else { return Served::Refused };
    let Ok(target) = cx.write_as(2, Type::List) else { return Served::Refused };
    lists::move_element(cx, source, target, from, to);
    let word = |end| if end == End::Head { &b"left"[..] } else { b"right" };
    let words = if cx.command.spec.name == "blmove" {
        encode_command(&[b"LMOVE", args.get(1), args.get(2), word(from), word(to)])
    } else {
        encode_command(&[b"RPOPLPUSH", args.get(1), args.get(2)])
    };
    cx.s.propagate(db, words);
    let (class, event) = lists::popped(from);
    cx.notify(class, event, 1);
    remove_if_empty(cx, 1, source);
    served(cx, 1)
}

/// Serves one who waits for a sorted set, the key at argument `i`.
pub(in crate::server) fn serve_scored(cx: &mut Cx<'_>, i: usize, max: bool, count: Option<usize>) -> Served {
    let (db, args) = (cx.db(), cx.args);
    let Some(at) = cx.find_write(i) else { return Served::Refused };
    let taken = zsets::take_with_key(cx, i, at, (max, count.unwrap_or(1)), count.is_some());
    let number = taken.to_string();
    let words: &[&[u8]] = &[zsets::verb(max), args.get(i), number.as_bytes()];
    cx.s.propagate(db, encode_command(&words[..if count.is_some() { 3 } else { 2 }]));
    served(cx, i)
}

/// A list without elements goes, which changes nothing for who watches it.
fn remove_if_empty(cx: &mut Cx<'_>, i: usize, at: u32) {
    if cx.entry(at).value.elements() == 0 {
        let db = cx.db();
        cx.s.keyspace.db_mut(db).remove(at);
        cx.notify(Classes::GENERIC, "del", i);
    }
}

fn served(cx: &Cx<'_>, i: usize) -> Served {
    if cx.s.keyspace.db(cx.db()).find(cx.args.get(i)).is_some() { Served::Yes } else { Served::Emptied }
}
