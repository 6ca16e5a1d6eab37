//! PING, ECHO, AUTH, HELLO, SELECT, QUIT, RESET and CLIENT.

use super::flag::{FAST, LOADING, STALE};
use super::{Spec, row};
use crate::server::call::Cx;

/// The rows of this group.
pub const SPECS: &[Spec] = &[
    row("ping", -1, FAST, (0, 0, 0), "@fast @connection", ping),
    row("echo", 2, LOADING | STALE | FAST, (0, 0, 0), "@fast @connection", echo),
    row("select", 2, LOADING | STALE | FAST, (0, 0, 0), "@fast @connection", select),
];

fn ping(cx: &mut Cx<'_>) {
    if cx.args.len() > 2 {
        return cx.add_error_arity();
    }
    if cx.session().flags.has(crate::server::session::Flags::PUBSUB) && cx.session().resp == 2 {
        cx.add_array(2);
        cx.add_bulk(b"pong");
        let text = if cx.args.len() == 2 { cx.args.bytes(1) } else { bytes::Bytes::new() };
        cx.add_bulk(&text);
    } else if cx.args.len() == 1 {
        cx.add_constant(b"+PONG\r\n");
    } else {
        cx.add_bulk_arg(1);
    }
}

fn echo(cx: &mut Cx<'_>) {
    cx.add_bulk_arg(1);
}

fn select(cx: &mut Cx<'_>) {
    let Some(db) = cx.int_arg_or(1, "ERR invalid DB index") else { return };
    match u32::try_from(db) {
        Ok(db) if (db as usize) < cx.s.keyspace.dbs.len() => {
            cx.session_mut().db = db;
            cx.add_ok();
        }
        _ => cx.add_error("ERR DB index is out of range"),
    }
}
