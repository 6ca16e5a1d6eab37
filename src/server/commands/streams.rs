//! The stream commands without groups (`t_stream.c`).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::flag::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, row};
use crate::resp::{encode, parse_i64};
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::stream::{Entry, Id, Keep, NewId, NodeLimits, Refused, Stream};
use crate::server::keyspace::{Type, Value};
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("xadd", -5, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @stream @fast", xadd),
    row("xtrim", -4, WRITE, (1, 1, 1), "@write @stream @slow", xtrim),
    row("xdel", -3, WRITE | FAST, (1, 1, 1), "@write @stream @fast", xdel),
    row("xlen", 2, READONLY | FAST, (1, 1, 1), "@read @stream @fast", xlen),
    row("xrange", -4, READONLY, (1, 1, 1), "@read @stream @slow", xrange),
    row("xrevrange", -4, READONLY, (1, 1, 1), "@read @stream @slow", xrevrange),
    row("xsetid", -3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @stream @fast", xsetid),
];

const INVALID_ID: &str = "ERR Invalid stream ID specified as stream command argument";

/// An unsigned number as `string2ull` takes it: what isn't written as Redis writes numbers is left to `strtoull`.
fn unsigned(text: &[u8]) -> Option<u64> {
    if let Some(n) = parse_i64(text) {
        return u64::try_from(n).ok();
    }
    let rest = &text[text.iter().take_while(|byte| matches!(byte, b' ' | 9..=13)).count()..];
    let (negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut n: u64 = 0;
    for digit in digits {
        n = n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(if negative { n.wrapping_neg() } else { n })
}

/// An id as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ParsedId {
    /// Its milliseconds, and its sequence or what stands for it.
    pub(super) id: Id,
    /// The sequence is `*`.
    auto: bool,
}

/// Reads `<ms>-<seq>` or `<ms>`, whose sequence is then `missing`; `-` and `+` unless `strict`, `<ms>-*` if `star`
/// (`streamGenericParseIDOrReply`).
fn parse_id(text: &[u8], missing: u64, strict: bool, star: bool) -> Option<ParsedId> {
    if text.len() > 127 {
        return None;
    }
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let given = |id| Some(ParsedId { id, auto: false });
    match text {
        b"-" | b"+" if strict => return None,
        b"-" => return given(Id::ZERO),
        b"+" => return given(Id::MAX),
        _ => {}
    }
    let Some(dash) = text.iter().position(|&byte| byte == b'-') else {
        return given(Id { ms: unsigned(text)?, seq: missing });
    };
    let ms = unsigned(&text[..dash])?;
    if star && &text[dash + 1..] == b"*" {
        return Some(ParsedId { id: Id { ms, seq: 0 }, auto: true });
    }
    given(Id { ms, seq: unsigned(&text[dash + 1..])? })
}

impl Cx<'_> {
    /// The stream at an index.
    pub(super) fn stream_at(&self, at: u32) -> &Stream {
        let Value::Stream(stream) = &self.entry(at).value else { unreachable!("the type was checked") };
        stream
    }

    /// Changes the stream at an index.
    pub(super) fn change_stream<R>(&mut self, at: u32, change: impl FnOnce(&mut Stream) -> R) -> R {
        let db = self.db();
        self.s.keyspace.db_mut(db).update(at, |value| {
            let Value::Stream(stream) = value else { unreachable!("the type was checked") };
            change(Arc::make_mut(stream))
        })
    }

    fn node_limits(&self) -> NodeLimits {
        NodeLimits { bytes: self.s.config.stream_node_max_bytes, entries: self.s.config.stream_node_max_entries }
    }

    fn answered_id(&mut self, parsed: Option<ParsedId>) -> Result<ParsedId, Answered> {
        parsed.ok_or_else(|| {
            self.add_error(INVALID_ID);
            Answered
        })
    }

    /// Argument `i` as an id, neither `-` nor `+` (`streamParseStrictIDOrReply`).
    pub(super) fn strict_id(&mut self, i: usize) -> Result<Id, Answered> {
        self.answered_id(parse_id(self.args.get(i), 0, true, false)).map(|parsed| parsed.id)
    }

    /// Argument `i` as an id, if it is one.
    pub(super) fn try_strict_id(&self, i: usize) -> Option<Id> {
        parse_id(self.args.get(i), 0, true, false).map(|parsed| parsed.id)
    }

    /// Argument `i` as an id, `-` and `+` included.
    pub(super) fn any_id(&mut self, i: usize) -> Result<Id, Answered> {
        self.answered_id(parse_id(self.args.get(i), 0, false, false)).map(|parsed| parsed.id)
    }

    /// All arguments from `first` on as ids.
    pub(super) fn strict_ids(&mut self, first: usize) -> Result<Vec<Id>, Answered> {
        (first..self.args.len()).map(|i| self.strict_id(i)).collect()
    }

    /// Argument `i` as the start of an interval, which `(` leaves out (`streamParseIntervalIDOrReply`).
    pub(super) fn interval_start(&mut self, i: usize) -> Result<Id, Answered> {
        let (id, open) = self.interval_id(i, 0)?;
        if !open {
            return Ok(id);
        }
        id.next().ok_or_else(|| {
            self.add_error("ERR invalid start ID for the interval");
            Answered
        })
    }

    /// Argument `i` as the end of an interval.
    pub(super) fn interval_end(&mut self, i: usize) -> Result<Id, Answered> {
        let (id, open) = self.interval_id(i, u64::MAX)?;
        if !open {
            return Ok(id);
        }
        id.previous().ok_or_else(|| {
            self.add_error("ERR invalid end ID for the interval");
            Answered
        })
    }

    fn interval_id(&mut self, i: usize, missing: u64) -> Result<(Id, bool), Answered> {
        let text = self.args.get(i);
        let (text, open) = match text {
            [b'(', rest @ ..] if !rest.is_empty() => (rest, true),
            _ => (text, false),
        };
        Ok((self.answered_id(parse_id(text, missing, open, false))?.id, open))
    }

    /// An id as a bulk string.
    pub(super) fn add_id(&mut self, id: Id) {
        add_id(self.reply(), id);
    }
}

/// An id as a bulk string.
pub(super) fn add_id(out: &mut BytesMut, id: Id) {
    encode::bulk(out, id.to_string().as_bytes());
}

/// An entry: its id, its fields and values.
pub(super) fn add_entry(out: &mut BytesMut, entry: Entry<'_>) {
    encode::array_header(out, 2);
    add_id(out, entry.id);
    encode::array_header(out, entry.fields() * 2);
    entry.pairs(|field, value| {
        encode::bulk(out, field);
        encode::bulk(out, value);
    });
}

/// The entries of a range, up to `count` of them if that isn't 0: how many, and their encoding one after the other.
pub(super) fn encode_range(stream: &Stream, from: Id, to: Id, reverse: bool, count: u64) -> (usize, BytesMut) {
    let (mut found, mut out) = (0_u64, BytesMut::new());
    stream.visit(from, to, reverse, |entry| {
        add_entry(&mut out, entry);
        found += 1;
        found != count
    });
    (usize::try_from(found).expect("entries are in memory"), out)
}

/// How a stream is to be trimmed.
#[derive(Clone, Copy, Debug)]
struct Trim {
    keep: Keep,
    /// The argument of the number or id.
    at: usize,
    approximate: bool,
    limit: u64,
}

/// What XADD and XTRIM were told.
#[derive(Clone, Copy, Debug)]
struct Told {
    trim: Option<Trim>,
    no_stream: bool,
    id: Option<ParsedId>,
    /// The argument of the id.
    id_at: usize,
}

const BOTH: &str = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";

/// Reads the options of XADD, up to its id, or those of XTRIM (`streamParseAddOrTrimArgsOrReply`).
fn options(cx: &mut Cx<'_>, adds: bool) -> Result<Told, Answered> {
    let args = cx.args;
    let mut told = Told { trim: None, no_stream: false, id: None, id_at: args.len() };
    let mut limit = None;
    let mut i = 2;
    while i < args.len() {
        let more = i + 1 < args.len();
        if adds && args.get(i) == b"*" {
            told.id_at = i;
            break;
        } else if (cx.arg_is(i, "maxlen") || cx.arg_is(i, "minid")) && more {
            if told.trim.is_some() {
                cx.add_error(BOTH);
                return Err(Answered);
            }
            let trim = strategy(cx, i)?;
            i = trim.at;
            told.trim = Some(trim);
        } else if cx.arg_is(i, "limit") && more {
            let given = cx.int_arg(i + 1).ok_or(Answered)?;
            limit = Some(u64::try_from(given).map_err(|_| {
                cx.add_error("ERR The LIMIT argument must be >= 0.");
                Answered
            })?);
            i += 1;
        } else if adds && cx.arg_is(i, "nomkstream") {
            told.no_stream = true;
        } else if adds {
            told.id = Some(cx.answered_id(parse_id(args.get(i), 0, true, true))?);
            told.id_at = i;
            break;
        } else {
            cx.add_syntax_error();
            return Err(Answered);
        }
        i += 1;
    }
    limit_trimming(cx, &mut told, limit, adds)?;
    Ok(told)
}

/// `MAXLEN` or `MINID` at argument `i`, with `~` or `=` or neither, and the number or id.
fn strategy(cx: &mut Cx<'_>, i: usize) -> Result<Trim, Answered> {
    let args = cx.args;
    let sign = if i + 2 < args.len() { args.get(i + 1) } else { b"" };
    let at = i + if sign == b"~" || sign == b"=" { 2 } else { 1 };
    let keep = if cx.arg_is(i, "maxlen") {
        let given = cx.int_arg(at).ok_or(Answered)?;
        Keep::Newest(u64::try_from(given).map_err(|_| {
            cx.add_error("ERR The MAXLEN argument must be >= 0.");
            Answered
        })?)
    } else {
        Keep::From(cx.strict_id(at)?)
    };
    Ok(Trim { keep, at, approximate: sign == b"~", limit: 0 })
}

/// How much trimming may cost: what comes from our master was limited there.
fn limit_trimming(cx: &mut Cx<'_>, told: &mut Told, limit: Option<u64>, adds: bool) -> Result<(), Answered> {
    let error = match &mut told.trim {
        None if limit.is_some_and(|limit| limit > 0) => {
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
        }
        None if !adds => "ERR syntax error, XTRIM must be called with a trimming strategy",
        _ if cx.s.exec.from_master => return Ok(()),
        Some(trim) if !trim.approximate && limit.is_some() => {
            "ERR syntax error, LIMIT cannot be used without the special ~ option"
        }
        None if limit.is_some() => "ERR syntax error, LIMIT cannot be used without the special ~ option",
        Some(trim) if trim.approximate => {
            trim.limit = limit.unwrap_or(match cx.s.config.stream_node_max_entries {
                0 => 10_000,
                entries => entries.saturating_mul(100).min(1_000_000),
            });
            return Ok(());
        }
        _ => return Ok(()),
    };
    cx.add_error(error);
    Err(Answered)
}

/// The request with trimming that leaves just as much on every server, and with the id that was given out.
fn rewrite(cx: &mut Cx<'_>, told: &Told, at: u32, id: Option<Id>) {
    let approximate = told.trim.filter(|trim| trim.approximate);
    let id = id.filter(|_| told.id.is_none_or(|given| given.auto)).map(|id| id.to_string());
    if approximate.is_none() && id.is_none() {
        return;
    }
    let kept = approximate.map(|trim| match trim.keep {
        Keep::Newest(_) => cx.stream_at(at).length.to_string(),
        Keep::From(_) => cx.stream_at(at).first_stored().unwrap_or(Id::MAX).to_string(),
    });
    let mut parts: Vec<&[u8]> = cx.args.iter().collect();
    if let (Some(trim), Some(kept)) = (approximate, &kept) {
        parts[trim.at - 1] = b"=";
        parts[trim.at] = kept.as_bytes();
    }
    if let Some(id) = &id {
        parts[told.id_at] = id.as_bytes();
    }
    cx.rewrite(&parts);
}

fn xadd(cx: &mut Cx<'_>) {
    let Ok(told) = options(cx, true) else { return };
    let args = cx.args;
    let first = told.id_at + 1;
    if args.len() < first + 2 || (args.len() - first) % 2 == 1 {
        return cx.add_error_arity();
    }
    if told.id.is_some_and(|given| !given.auto && given.id == Id::ZERO) {
        return cx.add_error("ERR The ID specified in XADD must be greater than 0-0");
    }
    let Ok(found) = cx.write_as(1, Type::Stream) else { return };
    let at = match found {
        Some(at) => at,
        None if told.no_stream => return cx.add_null(),
        None => cx.add_key(1, Value::Stream(Arc::default())),
    };
    if cx.stream_at(at).last_id == Id::MAX {
        return cx.add_error("ERR The stream has exhausted the last possible ID, unable to add more items");
    }
    let id = match told.id {
        None => NewId::Now(cx.s.now.unix.ms()),
        Some(given) if given.auto => NewId::Ms(given.id.ms),
        Some(given) => NewId::Given(given.id),
    };
    let (pairs, limits): (Vec<&[u8]>, _) = (args.iter().skip(first).collect(), cx.node_limits());
    let id = match cx.change_stream(at, |stream| stream.append(id, &pairs, limits)) {
        Ok(id) => id,
        Err(Refused::Id) => {
            return cx.add_error("ERR The ID specified in XADD is equal or smaller than the target stream top item");
        }
        Err(Refused::Size) => return cx.add_error("ERR Elements are too large to be stored"),
    };
    cx.add_id(id);
    cx.signal(1);
    cx.notify(Classes::STREAM, "xadd", 1);
    cx.dirty(1);
    if let Some(trim) = told.trim {
        trim_at(cx, at, &trim);
    }
    rewrite(cx, &told, at, Some(id));
    let db = cx.db();
    cx.s.signal_stream(db, args.get(1));
}

/// Trims the stream at an index, which is that of argument 1; returns how many entries went.
fn trim_at(cx: &mut Cx<'_>, at: u32, trim: &Trim) -> u64 {
    let removed = cx.change_stream(at, |stream| stream.trim(trim.keep, trim.approximate, trim.limit));
    cx.s.meter.add(removed * cost::ELEMENT / 4);
    if removed > 0 {
        cx.notify(Classes::STREAM, "xtrim", 1);
    }
    removed
}

fn xtrim(cx: &mut Cx<'_>) {
    let Ok(told) = options(cx, false) else { return };
    let Ok(found) = cx.write_as(1, Type::Stream) else { return };
    let (Some(at), Some(trim)) = (found, told.trim) else { return cx.add_integer(0) };
    let removed = trim_at(cx, at, &trim);
    if removed > 0 {
        rewrite(cx, &told, at, None);
        cx.signal(1);
        cx.dirty(removed);
    }
    cx.add_integer(removed.cast_signed());
}

fn xdel(cx: &mut Cx<'_>) {
    let Ok(found) = cx.write_as(1, Type::Stream) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let Ok(ids) = cx.strict_ids(2) else { return };
    let removed = cx.change_stream(at, |stream| stream.delete_all(&ids));
    if removed > 0 {
        cx.signal(1);
        cx.notify(Classes::STREAM, "xdel", 1);
        cx.dirty(removed);
    }
    cx.add_integer(removed.cast_signed());
}

fn xlen(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_as(1, Type::Stream) else { return };
    let length = found.map_or(0, |at| cx.stream_at(at).length);
    cx.add_integer(length.cast_signed());
}

fn xrange(cx: &mut Cx<'_>) {
    range(cx, 2, 3, false);
}

fn xrevrange(cx: &mut Cx<'_>) {
    range(cx, 3, 2, true);
}

fn range(cx: &mut Cx<'_>, from: usize, to: usize, reverse: bool) {
    let Ok(from) = cx.interval_start(from) else { return };
    let Ok(to) = cx.interval_end(to) else { return };
    let mut count = None;
    let mut i = 4;
    while i < cx.args.len() {
        if !cx.arg_is(i, "count") || i + 1 == cx.args.len() {
            return cx.add_syntax_error();
        }
        let Some(given) = cx.int_arg(i + 1) else { return };
        count = Some(u64::try_from(given).unwrap_or(0));
        i += 2;
    }
    let Ok(found) = cx.read_as(1, Type::Stream) else { return };
    let Some(at) = found else { return cx.add_array(0) };
    if count == Some(0) {
        return cx.add_null_array();
    }
    let (found, entries) = encode_range(cx.stream_at(at), from, to, reverse, count.unwrap_or(0));
    cx.s.meter.add(found as u64 * cost::ELEMENT);
    cx.add_array(found);
    cx.reply().extend_from_slice(&entries);
}

fn xsetid(cx: &mut Cx<'_>) {
    let Ok(id) = cx.strict_id(2) else { return };
    let (mut added, mut deleted) = (None, Id::ZERO);
    let mut i = 3;
    while i < cx.args.len() {
        let more = i + 1 < cx.args.len();
        if cx.arg_is(i, "entriesadded") && more {
            let Some(given) = cx.int_arg(i + 1) else { return };
            let Ok(given) = u64::try_from(given) else { return cx.add_error("ERR entries_added must be positive") };
            added = Some(given);
        } else if cx.arg_is(i, "maxdeletedid") && more {
            let Ok(given) = cx.strict_id(i + 1) else { return };
            if id < given {
                return cx
                    .add_error("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
            }
            deleted = given;
        } else {
            return cx.add_syntax_error();
        }
        i += 2;
    }
    let found = cx.find_write(1);
    if found.is_none() {
        return cx.add_error("ERR no such key");
    }
    let Ok(Some(at)) = cx.of_type(found, Type::Stream) else { return };
    let stream = cx.stream_at(at);
    if stream.length > 0 {
        if stream.edge(true).is_some_and(|last| id < last) {
            return cx.add_error("ERR The ID specified in XSETID is smaller than the target stream top item");
        }
        if added.is_some_and(|added| stream.length > added) {
            return cx.add_error("ERR The entries_added specified in XSETID is smaller than the target stream length");
        }
    }
    cx.change_stream(at, |stream| {
        stream.last_id = id;
        stream.entries_added = added.unwrap_or(stream.entries_added);
        if deleted != Id::ZERO {
            stream.max_deleted = deleted;
        }
    });
    cx.add_ok();
    cx.dirty(1);
    cx.notify(Classes::STREAM, "xsetid", 1);
}

/// The name of a group or a consumer, as it is kept.
pub(super) fn name(text: &[u8]) -> Bytes {
    Bytes::copy_from_slice(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_a_real_server_reads_them() {
        let id = |ms, seq| Some(Id { ms, seq });
        for (text, expected) in [
            ("1-2", id(1, 2)),
            ("5", id(5, 7)),
            ("007-08", id(7, 8)),
            (" 1-+2", id(1, 2)),
            ("18446744073709551615-18446744073709551615", Some(Id::MAX)),
            ("1--01", id(1, u64::MAX)),
            ("-", Some(Id::ZERO)),
            ("+", Some(Id::MAX)),
            ("1--1", None),
            ("-5", None),
            ("1-*", None),
            ("", None),
            ("1-", None),
            ("1-2-3", None),
            ("18446744073709551616", None),
            ("a", None),
        ] {
            assert_eq!(parse_id(text.as_bytes(), 7, false, false).map(|parsed| parsed.id), expected, "{text}");
        }
        assert_eq!(parse_id(b"3-*", 0, true, true), Some(ParsedId { id: Id { ms: 3, seq: 0 }, auto: true }));
        assert_eq!(parse_id(b"+", 0, true, false), None);
        assert_eq!(parse_id(&[b'1'; 128], 0, true, false), None);
    }
}
