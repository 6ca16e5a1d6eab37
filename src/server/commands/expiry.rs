//! EXPIRE and its relatives, TTL and its relatives, PERSIST (`expire.c`).

use super::flag::{FAST, READONLY, WRITE};
use super::{Spec, row};
use crate::resp::lossless;
use crate::server::call::Cx;
use crate::server::keyspace::NO_EXPIRY;
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("expire", -3, WRITE | FAST, (1, 1, 1), "@keyspace @write @fast", expire),
    row("pexpire", -3, WRITE | FAST, (1, 1, 1), "@keyspace @write @fast", pexpire),
    row("expireat", -3, WRITE | FAST, (1, 1, 1), "@keyspace @write @fast", expireat),
    row("pexpireat", -3, WRITE | FAST, (1, 1, 1), "@keyspace @write @fast", pexpireat),
    row("ttl", 2, READONLY | FAST, (1, 1, 1), "@keyspace @read @fast", ttl),
    row("pttl", 2, READONLY | FAST, (1, 1, 1), "@keyspace @read @fast", pttl),
    row("expiretime", 2, READONLY | FAST, (1, 1, 1), "@keyspace @read @fast", expiretime),
    row("pexpiretime", 2, READONLY | FAST, (1, 1, 1), "@keyspace @read @fast", pexpiretime),
    row("persist", 2, WRITE | FAST, (1, 1, 1), "@keyspace @write @fast", persist),
];

fn expire(cx: &mut Cx<'_>) {
    expire_generic(cx, true, 1_000);
}

fn pexpire(cx: &mut Cx<'_>) {
    expire_generic(cx, true, 1);
}

fn expireat(cx: &mut Cx<'_>) {
    expire_generic(cx, false, 1_000);
}

fn pexpireat(cx: &mut Cx<'_>) {
    expire_generic(cx, false, 1);
}

#[derive(Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "the four words of the command")]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    /// True when they let a key with this expiry have that one.
    fn allow(self, old: i64, new: i64) -> bool {
        let none = old == NO_EXPIRY;
        !(self.nx && !none || self.xx && none || self.gt && (none || new <= old) || self.lt && !none && new >= old)
    }
}

fn conditions(cx: &mut Cx<'_>) -> Option<Conditions> {
    let mut wanted = Conditions::default();
    for i in 3..cx.args.len() {
        match cx.args.get(i).to_ascii_lowercase().as_slice() {
            b"nx" => wanted.nx = true,
            b"xx" => wanted.xx = true,
            b"gt" => wanted.gt = true,
            b"lt" => wanted.lt = true,
            _ => {
                let word = lossless(cx.args.get(i));
                cx.add_error(&format!("ERR Unsupported option {word}"));
                return None;
            }
        }
    }
    if wanted.nx && (wanted.xx || wanted.gt || wanted.lt) {
        cx.add_error("ERR NX and XX, GT or LT options at the same time are not compatible");
        return None;
    }
    if wanted.gt && wanted.lt {
        cx.add_error("ERR GT and LT options at the same time are not compatible");
        return None;
    }
    Some(wanted)
}

fn expire_generic(cx: &mut Cx<'_>, relative: bool, scale: i64) {
    let args = cx.args;
    let Some(wanted) = conditions(cx) else { return };
    let Some(value) = cx.int_arg(2) else { return };
    let base = if relative { cx.s.ms() } else { 0 };
    let Some(when) = value.checked_mul(scale).and_then(|ms| ms.checked_add(base)) else {
        return cx.add_error_expire_time();
    };
    let Some(at) = cx.find_write(1) else { return cx.add_integer(0) };
    if !wanted.allow(cx.expiry(at), when) {
        return cx.add_integer(0);
    }
    let key = args.get(1);
    cx.dirty(1);
    if cx.already_expired(when) {
        let verb: &[u8] = if cx.s.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
        cx.rewrite(&[verb, key]);
        cx.delete_and_notify(1);
        cx.add_integer(1);
    } else {
        let db = cx.db();
        cx.s.set_expire(db, at, when);
        cx.add_integer(1);
        cx.signal(1);
        cx.notify(Classes::GENERIC, "expire", 1);
        if cx.s.should_propagate() {
            let time = when.to_string();
            let is_pexpireat = cx.command.spec.name == "pexpireat";
            let name = if is_pexpireat { args.get(0) } else { b"PEXPIREAT" };
            let time = if is_pexpireat { args.get(2) } else { time.as_bytes() };
            let parts: Vec<&[u8]> = [name, key, time].into_iter().chain(args.iter().skip(3)).collect();
            cx.rewrite(&parts);
        }
    }
}

fn ttl(cx: &mut Cx<'_>) {
    ttl_generic(cx, false, false);
}

fn pttl(cx: &mut Cx<'_>) {
    ttl_generic(cx, true, false);
}

fn expiretime(cx: &mut Cx<'_>) {
    ttl_generic(cx, false, true);
}

fn pexpiretime(cx: &mut Cx<'_>) {
    ttl_generic(cx, true, true);
}

fn ttl_generic(cx: &mut Cx<'_>, in_ms: bool, absolute: bool) {
    let Some(at) = cx.find_untouched(1) else { return cx.add_integer(-2) };
    let expire = cx.expiry(at);
    if expire == NO_EXPIRY {
        return cx.add_integer(-1);
    }
    let ms = if absolute { expire } else { expire - cx.s.ms() }.max(0);
    cx.add_integer(if in_ms { ms } else { (ms.saturating_add(500)) / 1_000 });
}

fn persist(cx: &mut Cx<'_>) {
    let db = cx.db();
    let removed = cx.find_write(1).is_some_and(|at| cx.s.keyspace.db_mut(db).persist(at));
    if removed {
        cx.signal(1);
        cx.notify(Classes::GENERIC, "persist", 1);
        cx.dirty(1);
    }
    cx.add_integer(i64::from(removed));
}
