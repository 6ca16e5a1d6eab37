//! MONITOR, SHUTDOWN, saving, time.

use super::flag::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, STALE};
use super::{Spec, command, config, container, row};
use crate::server::call::Cx;
use crate::server::config::ShutdownFlags;
use crate::server::session::Flags;
use crate::server::shutdown::Outcome;
use crate::server::{info, persistence, slowlog};
use crate::time::Unix;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("info", -1, LOADING | STALE, (0, 0, 0), "@slow @dangerous", info::info),
    container(row("config", -2, 0, (0, 0, 0), "@slow", super::no_handler), config::CONFIG_SUBS),
    container(row("command", -1, LOADING | STALE, (0, 0, 0), "@slow @connection", command::all), command::COMMAND_SUBS),
    row("shutdown", -1, ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY, (0, 0, 0), "@admin @slow @dangerous", shutdown),
    row("time", 1, LOADING | STALE | FAST, (0, 0, 0), "@fast", time),
    row("lastsave", 1, LOADING | STALE | FAST, (0, 0, 0), "@admin @fast @dangerous", lastsave),
    row("save", 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, (0, 0, 0), "@admin @slow @dangerous", save),
    row("bgsave", -1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING, (0, 0, 0), "@admin @slow @dangerous", bgsave),
    row("bgrewriteaof", 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING, (0, 0, 0), "@admin @slow @dangerous", bgrewriteaof),
    row("monitor", 1, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", monitor),
    container(row("slowlog", -2, 0, (0, 0, 0), "@slow", super::no_handler), slowlog::SUBS),
];

fn time(cx: &mut Cx<'_>) {
    // Read afresh, unlike the time of expiry: what this turn has cost so far has passed.
    let now = Unix(cx.s.now.unix.0 + cx.s.meter.turn());
    cx.add_array(2);
    cx.add_bulk(now.secs().to_string().as_bytes());
    cx.add_bulk((now.us() % 1_000_000).to_string().as_bytes());
}

fn lastsave(cx: &mut Cx<'_>) {
    let at = i64::try_from(cx.s.persistence.last_save()).unwrap_or(i64::MAX);
    cx.add_integer(at);
}

fn save(cx: &mut Cx<'_>) {
    match persistence::save(cx.s, cx.out) {
        Ok(()) => cx.add_ok(),
        Err(text) => cx.add_error(text),
    }
}

fn bgsave(cx: &mut Cx<'_>) {
    let schedule = cx.args.len() == 2 && cx.arg_is(1, "schedule");
    if cx.args.len() > 1 && !schedule {
        return cx.add_syntax_error();
    }
    match persistence::bgsave(cx.s, schedule, cx.out) {
        Ok(text) => cx.add_simple(text.as_bytes()),
        Err(text) => cx.add_error(text),
    }
}

fn bgrewriteaof(cx: &mut Cx<'_>) {
    match persistence::aof::rewrite_or_schedule(cx.s, cx.out) {
        Ok(text) => cx.add_simple(text.as_bytes()),
        Err(text) => cx.add_error(text),
    }
}

fn monitor(cx: &mut Cx<'_>) {
    let fd = cx.fd;
    if cx.s.exec.in_exec {
        return cx.add_error("ERR MONITOR isn't allowed for DENY BLOCKING client");
    }
    if cx.session().flags.has(Flags::REPLICA) {
        return;
    }
    cx.session_mut().flags.set(Flags::REPLICA.with(Flags::MONITOR));
    cx.s.monitors.push(fd);
    cx.add_ok();
}

fn shutdown(cx: &mut Cx<'_>) {
    let (mut flags, mut abort) = (ShutdownFlags::default(), false);
    for i in 1..cx.args.len() {
        match cx.args.get(i).to_ascii_lowercase().as_slice() {
            b"nosave" => flags.nosave = true,
            b"save" => flags.save = true,
            b"now" => flags.now = true,
            b"force" => flags.force = true,
            b"abort" => abort = true,
            _ => return cx.add_syntax_error(),
        }
    }
    if abort && flags != ShutdownFlags::default() || flags.save && flags.nosave {
        return cx.add_syntax_error();
    }
    if abort {
        return if cx.s.abort_shutdown(cx.out) { cx.add_ok() } else { cx.add_error("ERR No shutdown in progress.") };
    }
    if let Some(text) = cx.s.busy_error().filter(|_| !flags.nosave) {
        return cx.add_error(text);
    }
    match cx.s.begin_shutdown(flags, cx.out) {
        Outcome::Exited => {}
        Outcome::Waiting => {
            cx.session_mut().flags.set(Flags::BLOCKED);
            cx.s.shutdown.blocked.push(cx.fd);
        }
        Outcome::Failed => cx.add_error("ERR Errors trying to SHUTDOWN. Check logs."),
    }
}
