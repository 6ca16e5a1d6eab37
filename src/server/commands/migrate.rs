//! MIGRATE: its arguments (`migrateCommand`).

use bytes::Bytes;

use super::flag::{MOVABLE_KEYS, WRITE};
use super::{Spec, row};
use crate::server::call::Cx;
use crate::server::migrate::{Order, begin};
use crate::time::Span;

/// The row of this group.
pub(crate) const SPECS: &[Spec] =
    &[row("migrate", -6, WRITE | MOVABLE_KEYS, (3, 3, 1), "@keyspace @write @slow @dangerous", migrate)];

/// `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password] [AUTH2 user password] [KEYS key ...]`
fn migrate(cx: &mut Cx<'_>) {
    let args = cx.args;
    let (mut copy, mut replace, mut login, mut keys) = (false, false, Vec::new(), 3..4);
    let mut i = 6;
    while i < args.len() {
        let more = args.len() - 1 - i;
        let words = if cx.arg_is(i, "auth") { 1 } else { 2 * usize::from(cx.arg_is(i, "auth2")) };
        if cx.arg_is(i, "copy") {
            copy = true;
        } else if cx.arg_is(i, "replace") {
            replace = true;
        } else if words > 0 && more >= words {
            login = (i + 1..=i + words).map(|at| Bytes::copy_from_slice(args.get(at))).collect();
            (i + 1..=i + words).for_each(|at| cx.redact(at));
            i += words;
        } else if cx.arg_is(i, "keys") {
            if !args.get(3).is_empty() {
                return cx
                    .add_error("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
            }
            keys = i + 1..args.len();
            break;
        } else {
            return cx.add_syntax_error();
        }
        i += 1;
    }
    let Some(timeout) = cx.int_arg(5) else { return };
    let Some(db) = cx.int_arg(4) else { return };
    let timeout = u64::try_from(timeout).ok().filter(|&ms| ms > 0).unwrap_or(1_000);
    let keys: Vec<Bytes> =
        keys.filter(|&at| cx.find_read(at).is_some()).map(|at| Bytes::copy_from_slice(args.get(at))).collect();
    if keys.is_empty() {
        return cx.add_simple(b"NOKEY");
    }
    if cx.s.exec.from_master {
        return cx.add_error("ERR MIGRATE is not modelled in the stream of a master");
    }
    let text = |i: usize| String::from_utf8_lossy(args.get(i)).into_owned();
    let (host, port) = (text(1), text(2));
    begin(cx, Order { host, port, db, timeout: Span::from_ms(timeout), copy, replace, login, keys });
}
