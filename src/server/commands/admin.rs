//! DEBUG, MONITOR, SHUTDOWN, saving, time, and the empty logs of slow commands and latencies.

use super::flag::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, PROTECTED, STALE};
use super::{Spec, command, config, container, row};
use crate::server::call::Cx;
use crate::server::config::ShutdownFlags;
use crate::server::session::Flags;
use crate::server::shutdown::Outcome;
use crate::server::{info, persistence, replication};

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("info", -1, LOADING | STALE, (0, 0, 0), "@slow @dangerous", info::info),
    container(row("config", -2, 0, (0, 0, 0), "@slow", super::no_handler), config::CONFIG_SUBS),
    container(row("command", -1, LOADING | STALE, (0, 0, 0), "@slow @connection", command::all), command::COMMAND_SUBS),
    row("debug", -2, ADMIN | NOSCRIPT | LOADING | STALE | PROTECTED, (0, 0, 0), "@admin @slow @dangerous", debug),
    row("shutdown", -1, ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY, (0, 0, 0), "@admin @slow @dangerous", shutdown),
    row("time", 1, LOADING | STALE | FAST, (0, 0, 0), "@fast", time),
    row("lastsave", 1, LOADING | STALE | FAST, (0, 0, 0), "@admin @fast @dangerous", lastsave),
    row("save", 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, (0, 0, 0), "@admin @slow @dangerous", save),
    row("bgsave", -1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING, (0, 0, 0), "@admin @slow @dangerous", bgsave),
    row("monitor", 1, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", monitor),
    container(row("slowlog", -2, 0, (0, 0, 0), "@slow", super::no_handler), SLOWLOG_SUBS),
    container(row("latency", -2, 0, (0, 0, 0), "@slow", super::no_handler), LATENCY_SUBS),
];

#[rustfmt::skip]
const SLOWLOG_SUBS: &[Spec] = &[
    row("slowlog|get", -2, ADMIN | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", slowlog_get),
    row("slowlog|help", 2, LOADING | STALE, (0, 0, 0), "@slow", slowlog_help),
    row("slowlog|len", 2, ADMIN | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", slowlog_len),
    row("slowlog|reset", 2, ADMIN | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", slowlog_reset),
];

#[rustfmt::skip]
const LATENCY_SUBS: &[Spec] = &[
    row("latency|help", 2, LOADING | STALE, (0, 0, 0), "@slow", latency_help),
    row("latency|history", 3, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", latency_history),
    row("latency|latest", 2, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", latency_latest),
    row("latency|reset", -2, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", latency_reset),
];

fn time(cx: &mut Cx<'_>) {
    let now = cx.s.now.unix;
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

fn monitor(cx: &mut Cx<'_>) {
    let fd = cx.fd;
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
        return if cx.s.abort_shutdown() { cx.add_ok() } else { cx.add_error("ERR No shutdown in progress.") };
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

fn slowlog_get(cx: &mut Cx<'_>) {
    cx.add_array(0);
}

fn slowlog_len(cx: &mut Cx<'_>) {
    cx.add_integer(0);
}

fn slowlog_reset(cx: &mut Cx<'_>) {
    cx.add_ok();
}

fn slowlog_help(cx: &mut Cx<'_>) {
    cx.add_help(
        "slowlog",
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
        ],
    );
}

fn latency_history(cx: &mut Cx<'_>) {
    cx.add_array(0);
}

fn latency_latest(cx: &mut Cx<'_>) {
    cx.add_array(0);
}

fn latency_reset(cx: &mut Cx<'_>) {
    cx.add_integer(0);
}

fn latency_help(cx: &mut Cx<'_>) {
    cx.add_help(
        "latency",
        &[
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
        ],
    );
}

fn debug(cx: &mut Cx<'_>) {
    let args = cx.args;
    match args.get(1).to_ascii_lowercase().as_slice() {
        b"sleep" if args.len() == 3 => {
            cx.s.meter.add_exactly(seconds_as_ns(args.get(2)));
            cx.add_ok();
        }
        b"set-active-expire" if args.len() == 3 => {
            cx.s.active_expire = crate::resp::parse_i64(args.get(2)).unwrap_or(0) != 0;
            cx.add_ok();
        }
        b"object" if args.len() >= 3 => debug_object(cx),
        b"change-repl-id" if args.len() == 2 => {
            replication::change_replid(cx.s, cx.out);
            cx.add_ok();
        }
        b"digest" if args.len() == 2 => {
            let digest = cx.s.keyspace.digest();
            cx.add_simple(format!("{digest:040x}").as_bytes());
        }
        _ => cx.add_subcommand_error(),
    }
}

fn debug_object(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let Some(at) = cx.s.keyspace.db(db).find(args.get(2)) else { return cx.add_error("ERR no such key") };
    let entry = cx.entry(at);
    let idle = cx.s.seconds().saturating_sub(entry.touched);
    let text = format!(
        "Value at:0x7f0000000000 refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{idle}",
        entry.value.encoding(),
        persistence::serialized_len(cx.s, &entry.value),
        entry.touched & 0x00ff_ffff,
    );
    cx.add_simple(text.as_bytes());
}

/// Decimal seconds in nanoseconds; what isn't a number is zero, as `strtod` has it.
fn seconds_as_ns(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text);
    crate::time::Span::parse(&format!("{text}s")).map_or(0, crate::time::Span::ns)
}
