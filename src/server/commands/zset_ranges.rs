//! The sorted set commands on ranges: by rank, by score, by the order of bytes (`t_zset.c`).

use std::sync::Arc;

use super::flag::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, row};
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::keyspace::double;
use crate::server::keyspace::zset::ZSet;
use crate::server::keyspace::{Element, Type, Value};
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("zrange", -4, READONLY, (1, 1, 1), "@read @sortedset @slow", zrange),
    row("zrangestore", -5, WRITE | DENYOOM, (1, 2, 1), "@write @sortedset @slow", zrangestore),
    row("zrevrange", -4, READONLY, (1, 1, 1), "@read @sortedset @slow", zrevrange),
    row("zrangebyscore", -4, READONLY, (1, 1, 1), "@read @sortedset @slow", zrangebyscore),
    row("zrevrangebyscore", -4, READONLY, (1, 1, 1), "@read @sortedset @slow", zrevrangebyscore),
    row("zrangebylex", -4, READONLY, (1, 1, 1), "@read @sortedset @slow", zrangebylex),
    row("zrevrangebylex", -4, READONLY, (1, 1, 1), "@read @sortedset @slow", zrevrangebylex),
    row("zcount", 4, READONLY | FAST, (1, 1, 1), "@read @sortedset @fast", zcount),
    row("zlexcount", 4, READONLY | FAST, (1, 1, 1), "@read @sortedset @fast", zlexcount),
    row("zremrangebyrank", 4, WRITE, (1, 1, 1), "@write @sortedset @slow", zremrangebyrank),
    row("zremrangebyscore", 4, WRITE, (1, 1, 1), "@write @sortedset @slow", zremrangebyscore),
    row("zremrangebylex", 4, WRITE, (1, 1, 1), "@write @sortedset @slow", zremrangebylex),
];

/// By what a range is bounded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// An end of a range of texts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Lex {
    Lowest,
    Text(Vec<u8>),
    Highest,
}

/// Which members: an end is `(where, whether it is left out)`.
enum Bounds {
    Ranks(i64, i64),
    Scores((f64, bool), (f64, bool)),
    Texts((Lex, bool), (Lex, bool)),
}

impl Bounds {
    /// Reads the lower bound from argument `low` and the upper one from `high`. `None`: an error was answered.
    fn read(cx: &mut Cx<'_>, by: By, low: usize, high: usize) -> Option<Bounds> {
        let args = cx.args;
        match by {
            By::Rank => Some(Bounds::Ranks(cx.int_arg(low)?, cx.int_arg(high)?)),
            By::Score => match (score(args.get(low)), score(args.get(high))) {
                (Some(low), Some(high)) => Some(Bounds::Scores(low, high)),
                _ => {
                    cx.add_error("ERR min or max is not a float");
                    None
                }
            },
            By::Lex => match (lex(args.get(low)), lex(args.get(high))) {
                (Some(low), Some(high)) => Some(Bounds::Texts(low, high)),
                _ => {
                    cx.add_error("ERR min or max not valid string range item");
                    None
                }
            },
        }
    }

    /// The ranks `from..to` of the members, counted from the greatest when `reverse` and the bounds are ranks.
    fn ranks(&self, set: &ZSet, reverse: bool) -> (usize, usize) {
        let (from, to) = match self {
            Bounds::Ranks(start, end) => {
                let len = i64::try_from(set.len()).expect("a set fits memory");
                let start = if *start < 0 { start.saturating_add(len).max(0) } else { *start };
                let end = if *end < 0 { end.saturating_add(len) } else { (*end).min(len - 1) };
                if start > end || start >= len {
                    return (0, 0);
                }
                let (from, to) = if reverse { (len - 1 - end, len - start) } else { (start, end + 1) };
                (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0))
            }
            Bounds::Scores((low, without_low), (high, without_high)) => (
                set.count_before(|score, _| score < *low || *without_low && score == *low),
                set.count_before(|score, _| score < *high || !*without_high && score == *high),
            ),
            Bounds::Texts(low, high) if set.is_packed() => {
                packed_texts(set, (low, high), Part { reverse, offset: 0, limit: usize::MAX })
            }
            Bounds::Texts(low, high) => {
                (set.count_before(|_, member| !above(member, low)), set.count_before(|_, member| below(member, high)))
            }
        };
        (from, to.max(from))
    }
}

/// Which part of what lies between two texts.
#[derive(Clone, Copy)]
struct Part {
    reverse: bool,
    offset: usize,
    limit: usize,
}

/// The ranks between two texts in a list pack: it is gone through one by one, which shows when scores differ
/// (`zzlFirstInLexRange`, `genericZrangebylexCommand`).
fn packed_texts(set: &ZSet, (low, high): (&(Lex, bool), &(Lex, bool)), part: Part) -> (usize, usize) {
    let fits: Vec<(bool, bool)> =
        set.iter().map(|(_, member)| (above(member.as_slice(), low), below(member.as_slice(), high))).collect();
    let outside = fits.last().is_none_or(|last| !last.0) || fits.first().is_none_or(|first| !first.1);
    let ends = low.0.cmp(&high.0);
    if outside || ends.is_gt() || ends.is_eq() && (low.1 || high.1) {
        return (0, 0);
    }
    if part.reverse {
        let Some(last) = fits.iter().rposition(|fit| fit.1).filter(|&last| fits[last].0) else { return (0, 0) };
        let Some(to) = last.checked_sub(part.offset).map(|last| last + 1) else { return (0, 0) };
        let count = fits[..to].iter().rev().take(part.limit).take_while(|fit| fit.0).count();
        return (to - count, to);
    }
    let Some(first) = fits.iter().position(|fit| fit.0).filter(|&first| fits[first].1) else { return (0, 0) };
    let from = first.saturating_add(part.offset).min(fits.len());
    (from, from + fits[from..].iter().take(part.limit).take_while(|fit| fit.1).count())
}

/// `1.5` or `(1.5` (`zslParseRange`).
fn score(text: &[u8]) -> Option<(f64, bool)> {
    let (text, without) = match text.strip_prefix(b"(") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    double::strtod(text).filter(|value| !value.is_nan()).map(|value| (value, without))
}

/// `[text`, `(text`, `-` or `+` (`zslParseLexRangeItem`).
fn lex(text: &[u8]) -> Option<(Lex, bool)> {
    match text {
        b"-" => Some((Lex::Lowest, true)),
        b"+" => Some((Lex::Highest, true)),
        [b'(', rest @ ..] => Some((Lex::Text(rest.to_vec()), true)),
        [b'[', rest @ ..] => Some((Lex::Text(rest.to_vec()), false)),
        _ => None,
    }
}

fn above(member: &[u8], (low, without): &(Lex, bool)) -> bool {
    match low {
        Lex::Lowest => true,
        Lex::Highest => false,
        Lex::Text(text) => member > text.as_slice() || !without && member == text.as_slice(),
    }
}

fn below(member: &[u8], (high, without): &(Lex, bool)) -> bool {
    match high {
        Lex::Lowest => false,
        Lex::Highest => true,
        Lex::Text(text) => member < text.as_slice() || !without && member == text.as_slice(),
    }
}

/// What a range command does.
#[derive(Clone, Copy)]
struct Request {
    /// The argument with the key.
    key: usize,
    /// Stored under argument 1.
    store: bool,
    /// Given by the command's name.
    by: Option<By>,
    /// Given by the command's name.
    reverse: Option<bool>,
}

#[derive(Default)]
struct Options {
    with_scores: bool,
    offset: i64,
    limit: Option<i64>,
    by: Option<By>,
    reverse: bool,
}

fn options(cx: &mut Cx<'_>, request: Request) -> Option<Options> {
    let mut options = Options { by: request.by, reverse: request.reverse.unwrap_or(false), ..Options::default() };
    let mut i = request.key + 3;
    while i < cx.args.len() {
        if !request.store && cx.arg_is(i, "withscores") {
            options.with_scores = true;
        } else if cx.arg_is(i, "limit") && i + 2 < cx.args.len() {
            options.offset = cx.int_arg(i + 1)?;
            options.limit = Some(cx.int_arg(i + 2)?);
            i += 2;
        } else if request.reverse.is_none() && !options.reverse && cx.arg_is(i, "rev") {
            options.reverse = true;
        } else if request.by.is_none() && options.by.is_none() && cx.arg_is(i, "bylex") {
            options.by = Some(By::Lex);
        } else if request.by.is_none() && options.by.is_none() && cx.arg_is(i, "byscore") {
            options.by = Some(By::Score);
        } else {
            cx.add_syntax_error();
            return None;
        }
        i += 1;
    }
    Some(options)
}

/// All of ZRANGE's kin (`zrangeGenericCommand`).
fn range(cx: &mut Cx<'_>, request: Request) {
    let Some(options) = options(cx, request) else { return };
    let by = options.by.unwrap_or(By::Rank);
    if options.limit.is_some_and(|limit| limit != -1) && by == By::Rank {
        return cx.add_error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    }
    if options.with_scores && by == By::Lex {
        return cx.add_error("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    }
    // By score or text, a reversed range is given from its upper end.
    let turned = options.reverse && by != By::Rank;
    let (low, high) = (request.key + 1 + usize::from(turned), request.key + 2 - usize::from(turned));
    let Some(bounds) = Bounds::read(cx, by, low, high) else { return };
    let Ok(found) = cx.read_zset(request.key) else { return };
    let members: Vec<(f64, Element)> = found.map_or_else(Vec::new, |set| {
        let (mut from, mut to) = bounds.ranks(&set, options.reverse);
        if let Bounds::Texts(low, high) = &bounds
            && set.is_packed()
        {
            let limit = options.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
            let offset = usize::try_from(options.offset).unwrap_or(usize::MAX);
            (from, to) = packed_texts(&set, (low, high), Part { reverse: options.reverse, offset, limit });
        } else if by != By::Rank {
            let offset = usize::try_from(options.offset).unwrap_or(usize::MAX);
            let limit = options.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
            if options.reverse {
                to = to.saturating_sub(offset).max(from);
                from = from.max(to.saturating_sub(limit));
            } else {
                from = from.saturating_add(offset).min(to);
                to = to.min(from.saturating_add(limit));
            }
        }
        let start = if options.reverse { to.wrapping_sub(1) } else { from };
        set.range(start, to - from, options.reverse).map(|(score, member)| (score, member.clone())).collect()
    });
    cx.s.meter.add(members.len() as u64 * cost::ELEMENT);
    if request.store { store(cx, &members) } else { add_members(cx, &members, options.with_scores) }
}

/// Answers members, with their scores if these are wanted: in RESP3 as pairs.
pub(super) fn add_members(cx: &mut Cx<'_>, members: &[(f64, Element)], with_scores: bool) {
    let nested = with_scores && cx.session().resp > 2;
    cx.add_array(if with_scores && !nested { members.len() * 2 } else { members.len() });
    for (score, member) in members {
        if nested {
            cx.add_array(2);
        }
        cx.add_bulk(member.as_slice());
        if with_scores {
            cx.add_double(*score);
        }
    }
}

/// Stores members under argument 1, or deletes that key when there are none; answers how many.
pub(super) fn store(cx: &mut Cx<'_>, members: &[(f64, Element)]) {
    if members.is_empty() {
        cx.add_integer(0);
        if cx.delete_and_notify(1) {
            cx.dirty(1);
        }
        return;
    }
    let packing = cx.zset_packing();
    let mut set = ZSet::default();
    for (score, member) in members {
        set.set(member.as_slice(), *score, packing);
    }
    let len = set.len();
    cx.set_key(1, Value::ZSet(Arc::new(set)), false);
    cx.add_count(len);
    // The event has the command's name.
    cx.notify(Classes::ZSET, cx.command.spec.name, 1);
    cx.dirty(1);
}

fn zrange(cx: &mut Cx<'_>) {
    range(cx, Request { key: 1, store: false, by: None, reverse: None });
}

fn zrangestore(cx: &mut Cx<'_>) {
    range(cx, Request { key: 2, store: true, by: None, reverse: None });
}

fn zrevrange(cx: &mut Cx<'_>) {
    range(cx, Request { key: 1, store: false, by: Some(By::Rank), reverse: Some(true) });
}

fn zrangebyscore(cx: &mut Cx<'_>) {
    range(cx, Request { key: 1, store: false, by: Some(By::Score), reverse: Some(false) });
}

fn zrevrangebyscore(cx: &mut Cx<'_>) {
    range(cx, Request { key: 1, store: false, by: Some(By::Score), reverse: Some(true) });
}

fn zrangebylex(cx: &mut Cx<'_>) {
    range(cx, Request { key: 1, store: false, by: Some(By::Lex), reverse: Some(false) });
}

fn zrevrangebylex(cx: &mut Cx<'_>) {
    range(cx, Request { key: 1, store: false, by: Some(By::Lex), reverse: Some(true) });
}

fn count(cx: &mut Cx<'_>, by: By) {
    let Some(bounds) = Bounds::read(cx, by, 2, 3) else { return };
    let Ok(found) = cx.read_zset(1) else { return };
    let (from, to) = found.map_or((0, 0), |set| bounds.ranks(&set, false));
    cx.add_count(to - from);
}

fn zcount(cx: &mut Cx<'_>) {
    count(cx, By::Score);
}

fn zlexcount(cx: &mut Cx<'_>) {
    count(cx, By::Lex);
}

/// `zremrangeGenericCommand`
fn remove(cx: &mut Cx<'_>, by: By) {
    let Some(bounds) = Bounds::read(cx, by, 2, 3) else { return };
    let Ok(found) = cx.write_as(1, Type::ZSet) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let (from, to) = bounds.ranks(cx.zset_at(at), false);
    cx.s.meter.add((to - from) as u64 * cost::ELEMENT);
    let (removed, empty) = cx.change_zset(at, |set| (set.remove_ranks(from, to), set.is_empty()));
    cx.removed_elements(1, (Classes::ZSET, cx.command.spec.name), removed as u64, empty);
    cx.add_count(removed);
}

fn zremrangebyrank(cx: &mut Cx<'_>) {
    remove(cx, By::Rank);
}

fn zremrangebyscore(cx: &mut Cx<'_>) {
    remove(cx, By::Score);
}

fn zremrangebylex(cx: &mut Cx<'_>) {
    remove(cx, By::Lex);
}
