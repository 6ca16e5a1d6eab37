//! DUMP and RESTORE: a value as it stands in an RDB file (`cluster.c`).

use super::flag::{ASKING, DENYOOM, READONLY, WRITE};
use super::{Spec, row};
use crate::server::call::Cx;
use crate::server::keyspace::Name;
use crate::server::notify::Classes;
use crate::server::persistence;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("dump", 2, READONLY, (1, 1, 1), "@keyspace @read @slow", dump),
    row("restore", -4, WRITE | DENYOOM, (1, 1, 1), "@keyspace @write @slow @dangerous", restore),
    row("restore-asking", -4, WRITE | DENYOOM | ASKING, (1, 1, 1), "@keyspace @write @slow @dangerous", restore),
];

fn dump(cx: &mut Cx<'_>) {
    let Some(at) = cx.find_read(1) else { return cx.add_null() };
    let payload = persistence::dump(cx.s, &cx.entry(at).value);
    cx.add_bulk(&payload);
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle: Option<u64>,
    frequency: Option<u8>,
}

fn options(cx: &mut Cx<'_>) -> Option<Options> {
    let mut options = Options::default();
    let mut i = 4;
    while i < cx.args.len() {
        let more = i + 1 < cx.args.len();
        if cx.arg_is(i, "replace") {
            options.replace = true;
        } else if cx.arg_is(i, "absttl") {
            options.absolute = true;
        } else if cx.arg_is(i, "idletime") && more && options.frequency.is_none() {
            let idle = cx.int_arg(i + 1)?;
            let Ok(idle) = u64::try_from(idle) else {
                cx.add_error("ERR Invalid IDLETIME value, must be >= 0");
                return None;
            };
            options.idle = Some(idle);
            i += 1;
        } else if cx.arg_is(i, "freq") && more && options.idle.is_none() {
            let given = cx.int_arg(i + 1)?;
            let Ok(given) = u8::try_from(given) else {
                cx.add_error("ERR Invalid FREQ value, must be >= 0 and <= 255");
                return None;
            };
            options.frequency = Some(given);
            i += 1;
        } else {
            cx.add_syntax_error();
            return None;
        }
        i += 1;
    }
    Some(options)
}

fn restore(cx: &mut Cx<'_>) {
    let Some(options) = options(cx) else { return };
    let args = cx.args;
    if !options.replace && cx.find_write(1).is_some() {
        return cx.add_error("BUSYKEY Target key name already exists.");
    }
    let Some(ttl) = cx.int_arg(2) else { return };
    if ttl < 0 {
        return cx.add_error("ERR Invalid TTL value, must be >= 0");
    }
    let value = match persistence::restore(cx.s, &args.bytes(3)) {
        Ok(value) => value,
        Err(complaint) => return cx.add_error(complaint),
    };
    let deleted = options.replace && cx.delete(1);
    // A time that is beyond all numbers lies in the past.
    let when = if ttl > 0 && !options.absolute { ttl.wrapping_add(cx.s.ms()) } else { ttl };
    if ttl > 0 && cx.already_expired(when) {
        if deleted {
            cx.rewrite(&[b"DEL", args.get(1)]);
            cx.notify(Classes::GENERIC, "del", 1);
            cx.dirty(1);
        }
        return cx.add_ok();
    }
    let access = cx.s.access_now().given(options.idle, options.frequency);
    let db = cx.db();
    let at = cx.s.keyspace.db_mut(db).add(Name::copy(args.get(1)), value, access);
    cx.s.key_added(db, args.get(1));
    if ttl > 0 {
        cx.s.set_expire(db, at, when);
        if !options.absolute {
            // In the stream the time is absolute.
            let when = when.to_string();
            let mut parts: Vec<&[u8]> = args.iter().collect();
            parts[2] = when.as_bytes();
            parts.push(b"ABSTTL");
            cx.rewrite(&parts);
        }
    }
    cx.signal(1);
    cx.notify(Classes::GENERIC, "restore", 1);
    cx.add_ok();
    cx.dirty(1);
}
