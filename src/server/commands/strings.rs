//! The string commands (`t_string.c`).

use super::flag::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, row, string_options};
use crate::resp::parse_i64;
use crate::server::call::Cx;
use crate::server::db::Answered;
use crate::server::keyspace::value::{EMBSTR_MAX, RawText, ValueText};
use crate::server::keyspace::{NO_EXPIRY, Type, Value};
use crate::server::notify::Classes;
use string_options::{Options, Unit};

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("get", 2, READONLY | FAST, (1, 1, 1), "@read @string @fast", get),
    row("set", -3, WRITE | DENYOOM, (1, 1, 1), "@write @string @slow", set),
    row("setnx", 3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @string @fast", setnx),
    row("setex", 4, WRITE | DENYOOM, (1, 1, 1), "@write @string @slow", setex),
    row("psetex", 4, WRITE | DENYOOM, (1, 1, 1), "@write @string @slow", psetex),
    row("getset", 3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @string @fast", getset),
    row("getdel", 2, WRITE | FAST, (1, 1, 1), "@write @string @fast", getdel),
    row("getex", -2, WRITE | FAST, (1, 1, 1), "@write @string @fast", getex),
    row("mget", -2, READONLY | FAST, (1, -1, 1), "@read @string @fast", mget),
    row("mset", -3, WRITE | DENYOOM, (1, -1, 2), "@write @string @slow", mset),
    row("msetnx", -3, WRITE | DENYOOM, (1, -1, 2), "@write @string @slow", msetnx),
    row("incr", 2, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @string @fast", incr),
    row("decr", 2, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @string @fast", decr),
    row("incrby", 3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @string @fast", incrby),
    row("decrby", 3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @string @fast", decrby),
    row("incrbyfloat", 3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @string @fast", incrbyfloat),
    row("append", 3, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @string @fast", append),
    row("strlen", 2, READONLY | FAST, (1, 1, 1), "@read @string @fast", strlen),
    row("setrange", 4, WRITE | DENYOOM, (1, 1, 1), "@write @string @slow", setrange),
    row("getrange", 4, READONLY, (1, 1, 1), "@read @string @slow", getrange),
    row("substr", 4, READONLY, (1, 1, 1), "@read @string @slow", getrange),
    row("lcs", -3, READONLY, (1, 2, 1), "@read @string @slow", super::lcs::lcs),
];

const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

/// Answers the value of the key at argument 1; false when there is none (`getGenericCommand`).
fn add_value(cx: &mut Cx<'_>) -> Result<bool, Answered> {
    let found = cx.read_as(1, Type::String)?;
    match found {
        Some(at) => cx.add_value_at(at),
        None => cx.add_null(),
    }
    Ok(found.is_some())
}

fn get(cx: &mut Cx<'_>) {
    // Either way it is answered.
    let _ = add_value(cx);
}

fn set(cx: &mut Cx<'_>) {
    if cx.args.len() == 3 {
        return set_plain(cx);
    }
    if let Some(options) = string_options::parse(cx, true) {
        set_generic(cx, 2, &options, b"+OK\r\n", None);
    }
}

/// SET without options: the old value needn't be looked at unless it is expired.
fn set_plain(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let key = args.get(1);
    let found = cx.find_write(1);
    let access = cx.s.access_of(db, found);
    let value = cx.string_arg(2);
    cx.s.overwritten(db, key);
    if cx.s.keyspace.db_mut(db).set_found(found, key, value, false, access) {
        cx.s.key_added(db, key);
    }
    cx.s.signal_modified(db, key);
    cx.dirty(1);
    cx.notify(Classes::STRING, "set", 1);
    cx.add_ok();
}

fn setnx(cx: &mut Cx<'_>) {
    let options = Options { nx: true, ..Options::default() };
    set_generic(cx, 2, &options, b":1\r\n", Some(b":0\r\n"));
}

fn setex(cx: &mut Cx<'_>) {
    let options = Options { expire: Some((2, Unit::Seconds, true)), ..Options::default() };
    set_generic(cx, 3, &options, b"+OK\r\n", None);
}

fn psetex(cx: &mut Cx<'_>) {
    let options = Options { expire: Some((2, Unit::Milliseconds, true)), ..Options::default() };
    set_generic(cx, 3, &options, b"+OK\r\n", None);
}

/// SET, SETNX, SETEX, PSETEX (`setGenericCommand`); `value` is the argument with the value.
fn set_generic(cx: &mut Cx<'_>, value: usize, options: &Options, ok: &'static [u8], refused: Option<&'static [u8]>) {
    let mut expire = None;
    if options.expire.is_some() {
        expire = string_options::expire_ms(cx, options);
        if expire.is_none() {
            return;
        }
    }
    if options.get && add_value(cx).is_err() {
        return;
    }
    let found = cx.find_write(1);
    if options.nx && found.is_some() || options.xx && found.is_none() {
        if !options.get {
            match refused {
                Some(reply) => cx.add_constant(reply),
                None => cx.add_null(),
            }
        }
        return;
    }
    let args = cx.args;
    cx.set_key(1, cx.string_arg(value), options.keep_ttl);
    cx.dirty(1);
    cx.notify(Classes::STRING, "set", 1);
    if let Some(when) = expire {
        cx.set_expire(1, when);
        if cx.s.should_propagate() {
            cx.rewrite(&[b"SET", args.get(1), args.get(value), b"PXAT", when.to_string().as_bytes()]);
        }
        cx.notify(Classes::GENERIC, "expire", 1);
    }
    if !options.get {
        cx.add_constant(ok);
    } else if expire.is_none() && cx.s.should_propagate() {
        let kept: Vec<&[u8]> = args
            .iter()
            .enumerate()
            .filter(|&(i, arg)| i < 3 || !arg.eq_ignore_ascii_case(b"get"))
            .map(|(_, arg)| arg)
            .collect();
        cx.rewrite(&kept);
    }
}

fn getset(cx: &mut Cx<'_>) {
    if add_value(cx).is_err() {
        return;
    }
    let args = cx.args;
    cx.s.lookup(cx.db(), args.get(1), true);
    cx.set_key(1, Value::string(args.bytes(2)), false);
    cx.notify(Classes::STRING, "set", 1);
    cx.dirty(1);
    if cx.s.should_propagate() {
        cx.rewrite(&[b"SET", args.get(1), args.get(2)]);
    }
}

fn getdel(cx: &mut Cx<'_>) {
    if !matches!(add_value(cx), Ok(true)) {
        return;
    }
    let args = cx.args;
    if cx.delete_and_notify(1) {
        let verb: &[u8] = if cx.s.config.lazyfree_lazy_user_del { b"UNLINK" } else { b"DEL" };
        cx.rewrite(&[verb, args.get(1)]);
        cx.dirty(1);
    }
}

fn getex(cx: &mut Cx<'_>) {
    let Some(options) = string_options::parse(cx, false) else { return };
    let Ok(found) = cx.read_as(1, Type::String) else { return };
    let Some(at) = found else { return cx.add_null() };
    let mut expire = None;
    if options.expire.is_some() {
        expire = string_options::expire_ms(cx, &options);
        if expire.is_none() {
            return;
        }
    }
    cx.add_value_at(at);
    let args = cx.args;
    let key = args.get(1);
    let absolute = options.expire.is_some_and(|(_, _, relative)| !relative);
    if let Some(when) = expire {
        if absolute && cx.already_expired(when) {
            let verb: &[u8] = if cx.s.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
            cx.rewrite(&[verb, key]);
            cx.delete_and_notify(1);
        } else {
            cx.set_expire(1, when);
            cx.rewrite(&[b"PEXPIREAT", key, when.to_string().as_bytes()]);
            cx.signal(1);
            cx.notify(Classes::GENERIC, "expire", 1);
        }
        cx.dirty(1);
    } else if options.persist && cx.s.keyspace.db_mut(cx.session().db).persist(at) {
        cx.signal(1);
        cx.rewrite(&[b"PERSIST", key]);
        cx.notify(Classes::GENERIC, "persist", 1);
        cx.dirty(1);
    }
}

fn mget(cx: &mut Cx<'_>) {
    let count = cx.args.len() - 1;
    cx.add_array(count);
    for i in 1..=count {
        match cx.find_read(i) {
            Some(at) if cx.entry(at).value.kind() == Type::String => cx.add_value_at(at),
            _ => cx.add_null(),
        }
    }
}

fn mset(cx: &mut Cx<'_>) {
    mset_generic(cx, false);
}

fn msetnx(cx: &mut Cx<'_>) {
    mset_generic(cx, true);
}

fn mset_generic(cx: &mut Cx<'_>, nx: bool) {
    let args = cx.args;
    if args.len().is_multiple_of(2) {
        return cx.add_error_arity();
    }
    if nx {
        for i in (1..args.len()).step_by(2) {
            if cx.find_write(i).is_some() {
                return cx.add_integer(0);
            }
        }
    }
    for i in (1..args.len()).step_by(2) {
        cx.find_write(i);
        cx.set_key(i, Value::string(args.bytes(i + 1)), false);
        cx.notify(Classes::STRING, "set", i);
    }
    cx.dirty((args.len() as u64 - 1) / 2);
    if nx { cx.add_integer(1) } else { cx.add_ok() }
}

fn incr(cx: &mut Cx<'_>) {
    incr_by(cx, 1);
}

fn decr(cx: &mut Cx<'_>) {
    incr_by(cx, -1);
}

fn incrby(cx: &mut Cx<'_>) {
    if let Some(by) = cx.int_arg(2) {
        incr_by(cx, by);
    }
}

fn decrby(cx: &mut Cx<'_>) {
    let Some(by) = cx.int_arg(2) else { return };
    match by.checked_neg() {
        Some(by) => incr_by(cx, by),
        None => cx.add_error("ERR decrement would overflow"),
    }
}

fn incr_by(cx: &mut Cx<'_>, by: i64) {
    let Ok(found) = cx.write_as(1, Type::String) else { return };
    let old = found.map_or(Some(0), |at| {
        let value = &cx.entry(at).value;
        if let Value::Int(n) = value { Some(*n) } else { value.with_text(parse_i64) }
    });
    let Some(old) = old else { return cx.add_error("ERR value is not an integer or out of range") };
    let Some(new) = old.checked_add(by) else { return cx.add_error("ERR increment or decrement would overflow") };
    cx.set_key(1, Value::Int(new), true);
    cx.notify(Classes::STRING, "incrby", 1);
    cx.dirty(1);
    cx.add_integer(new);
}

fn incrbyfloat(cx: &mut Cx<'_>) {
    use crate::server::keyspace::float::Extended;
    let Ok(found) = cx.write_as(1, Type::String) else { return };
    let old = found.map_or(Some(Extended::ZERO), |at| cx.entry(at).value.with_text(Extended::parse));
    let args = cx.args;
    if old.is_some() && Extended::is_infinite(args.get(2)) {
        return cx.add_error("ERR increment would produce NaN or Infinity");
    }
    let (Some(old), Some(by)) = (old, Extended::parse(args.get(2))) else {
        return cx.add_error("ERR value is not a valid float");
    };
    let Some(text) = old.plus(by).and_then(|sum| sum.print()) else {
        return cx.add_error("ERR increment would produce NaN or Infinity");
    };
    cx.set_key(1, Value::Str(ValueText::copy(text.as_bytes())), true);
    cx.notify(Classes::STRING, "incrbyfloat", 1);
    cx.dirty(1);
    cx.add_bulk(text.as_bytes());
    cx.rewrite(&[b"SET", args.get(1), text.as_bytes(), b"KEEPTTL"]);
}

fn append(cx: &mut Cx<'_>) {
    let args = cx.args;
    let more = args.get(2);
    let Ok(found) = cx.write_as(1, Type::String) else { return };
    let total = match found {
        None => {
            cx.set_key(1, Value::string(args.bytes(2)), false);
            more.len()
        }
        Some(at) => {
            let old = cx.entry(at).value.len();
            if !cx.length_allowed(old as u64, more.len()) {
                return cx.add_error(TOO_LONG);
            }
            cx.change_text(at, |text| text.extend_from_slice(more));
            cx.signal(1);
            old + more.len()
        }
    };
    cx.notify(Classes::STRING, "append", 1);
    cx.dirty(1);
    cx.add_count(total);
}

fn strlen(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_as(1, Type::String) else { return };
    let len = found.map_or(0, |at| cx.entry(at).value.len());
    cx.add_count(len);
}

fn setrange(cx: &mut Cx<'_>) {
    let Some(offset) = cx.int_arg(2) else { return };
    let Ok(offset) = u64::try_from(offset) else { return cx.add_error("ERR offset is out of range") };
    let args = cx.args;
    let patch = args.get(3);
    let Ok(found) = cx.write_as(1, Type::String) else { return };
    if patch.is_empty() {
        let len = found.map_or(0, |at| cx.entry(at).value.len());
        return cx.add_count(len);
    }
    if !cx.length_allowed(offset, patch.len()) {
        return cx.add_error(TOO_LONG);
    }
    let from = usize::try_from(offset).expect("bounded by proto-max-bulk-len");
    let write = |text: &mut bytes::BytesMut| {
        if text.len() < from + patch.len() {
            text.resize(from + patch.len(), 0);
        }
        text[from..from + patch.len()].copy_from_slice(patch);
        text.len()
    };
    let len = match found {
        Some(at) => cx.change_text(at, write),
        None => {
            let mut text = bytes::BytesMut::new();
            let len = write(&mut text);
            cx.set_key(1, Value::Raw(RawText::share(text.freeze())), false);
            len
        }
    };
    cx.signal(1);
    cx.notify(Classes::STRING, "setrange", 1);
    cx.dirty(1);
    cx.add_count(len);
}

fn getrange(cx: &mut Cx<'_>) {
    let (Some(start), Some(end)) = (cx.int_arg(2), cx.args_ok_then_int(3)) else { return };
    let Ok(found) = cx.read_as(1, Type::String) else { return };
    let Some(at) = found else { return cx.add_constant(b"$0\r\n\r\n") };
    let text = cx.entry(at).value.text();
    match range(start, end, text.len()) {
        Some((from, to)) => cx.add_bulk(&text[from..=to]),
        None => cx.add_constant(b"$0\r\n\r\n"),
    }
}

/// The slice that two possibly negative indices mean.
pub(super) fn range(start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
    if start < 0 && end < 0 && start > end || len == 0 {
        return None;
    }
    let signed = i64::try_from(len).ok()?;
    let place = |at: i64| if at < 0 { at.saturating_add(signed).max(0) } else { at };
    let (start, end) = (place(start), place(end).min(signed - 1));
    if start > end {
        return None;
    }
    Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?))
}

impl Cx<'_> {
    /// Argument `i` as a value: short ones are copied, long ones share the request's memory.
    fn string_arg(&self, i: usize) -> Value {
        let text = self.args.get(i);
        if text.len() <= EMBSTR_MAX { Value::string_copy(text) } else { Value::string(self.args.bytes(i)) }
    }

    /// Answers the string at an index of the session's database.
    pub(crate) fn add_value_at(&mut self, at: u32) {
        let session = self.s.sessions.at_mut(self.fd);
        let entry = self.s.keyspace.db(session.db).entry(at);
        entry.value.with_text(|text| crate::resp::encode::bulk(session.reply.tail(), text));
    }

    /// Argument `i` as an integer, unless an error was answered already.
    pub(super) fn args_ok_then_int(&mut self, i: usize) -> Option<i64> {
        if self.s.exec.failed { None } else { self.int_arg(i) }
    }

    /// False when a string would become longer than allowed (`checkStringLength`).
    fn length_allowed(&self, old: u64, more: usize) -> bool {
        self.s.exec.from_master || old.saturating_add(more as u64) <= self.s.config.proto_max_bulk_len
    }

    /// Changes a string in place: it is `raw` from then on.
    pub(super) fn change_text<R>(&mut self, at: u32, change: impl FnOnce(&mut bytes::BytesMut) -> R) -> R {
        let db = self.db();
        let mut result = None;
        self.s.keyspace.db_mut(db).change(at, |value| {
            let mut text = if let Value::Str(text) = value {
                text.into_mut()
            } else if let Value::Raw(text) = value {
                text.into_mut()
            } else {
                bytes::BytesMut::from(&value.text()[..])
            };
            result = Some(change(&mut text));
            Value::Raw(RawText::share(text.freeze()))
        });
        result.expect("the change was made")
    }

    /// Sets when the key at argument `i` expires; the key exists.
    pub(crate) fn set_expire(&mut self, i: usize, when: i64) {
        let (db, args) = (self.db(), self.args);
        let at = self.s.keyspace.db(db).find(args.get(i)).expect("the caller has looked or set it");
        self.s.set_expire(db, at, when);
    }

    /// True when a time is over and a key that gets it is to be deleted at once: not on a replica's link or while
    /// loading (`checkAlreadyExpired`).
    #[must_use]
    pub(crate) fn already_expired(&self, when: i64) -> bool {
        when <= self.s.ms() && !self.s.loading && self.s.repl.is_master()
    }
}

/// A value of an entry and its expiry, for commands that move keys.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    /// The value.
    pub(super) value: Value,
    /// Its expiry or [`NO_EXPIRY`].
    pub(super) expire: i64,
    /// Its last access, when the value itself is moved.
    pub(super) touched: Option<u32>,
}

impl Moved {
    /// Puts it under a key that is not there.
    pub(super) fn put(self, cx: &mut Cx<'_>, db: u32, key: &[u8]) {
        let access = self.touched.unwrap_or_else(|| cx.s.access());
        let at = cx.s.add_key_with(db, key, self.value, access);
        if self.expire != NO_EXPIRY {
            cx.s.set_expire(db, at, self.expire);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_redis_ranges() {
        for (start, end, len, slice) in [
            (0, -1, 5, Some((0, 4))),
            (-3, -1, 5, Some((2, 4))),
            (-1, -3, 5, None),
            (0, 100, 5, Some((0, 4))),
            (5, 10, 5, None),
            (-100, -50, 5, Some((0, 0))),
            (0, 0, 0, None),
            (i64::MIN, i64::MAX, 3, Some((0, 2))),
        ] {
            assert_eq!(range(start, end, len), slice, "{start} {end} {len}");
        }
    }
}
