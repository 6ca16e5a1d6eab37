//! The string commands (`t_string.c`).

use super::flag::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, row};
use crate::server::call::Cx;
use crate::server::keyspace::Value;

/// The rows of this group.
pub const SPECS: &[Spec] = &[
    row("get", 2, READONLY | FAST, (1, 1, 1), "@read @string @fast", get),
    row("set", -3, WRITE | DENYOOM, (1, 1, 1), "@write @string @slow", set),
];

fn get(cx: &mut Cx<'_>) {
    let value = cx.lookup_read(1).map(Value::text);
    match value {
        Some(text) => cx.add_bulk(&text),
        None => cx.add_null(),
    }
}

fn set(cx: &mut Cx<'_>) {
    let value = Value::string(cx.args.bytes(2));
    cx.set_key(1, value, false);
    cx.dirty(1);
    cx.add_ok();
}
