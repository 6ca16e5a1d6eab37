//! DEBUG, MONITOR, SHUTDOWN, saving, time, and the empty log of latencies.

use super::flag::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, PROTECTED, STALE};
use super::{Spec, command, config, container, row, standalone};
use crate::server::call::Cx;
use crate::server::config::ShutdownFlags;
use crate::server::session::Flags;
use crate::server::shutdown::Outcome;
use crate::server::{cost, digest, info, persistence, replication, slowlog};

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
    container(row("slowlog", -2, 0, (0, 0, 0), "@slow", super::no_handler), slowlog::SUBS),
    container(row("latency", -2, 0, (0, 0, 0), "@slow", super::no_handler), LATENCY_SUBS),
];

#[rustfmt::skip]
const LATENCY_SUBS: &[Spec] = &[
    row("latency|doctor", 2, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", standalone::not_modelled),
    row("latency|graph", 3, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", latency_graph),
    row("latency|histogram", -2, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", standalone::not_modelled),
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

fn latency_history(cx: &mut Cx<'_>) {
    cx.add_array(0);
}

fn latency_latest(cx: &mut Cx<'_>) {
    cx.add_array(0);
}

/// Nothing is ever sampled.
fn latency_graph(cx: &mut Cx<'_>) {
    let event = String::from_utf8_lossy(cx.args.get(2)).into_owned();
    cx.add_error(&format!("ERR No samples available for event '{event}'"));
}

fn latency_reset(cx: &mut Cx<'_>) {
    cx.add_integer(0);
}

fn latency_help(cx: &mut Cx<'_>) {
    cx.add_help(
        "latency",
        &[
            "DOCTOR",
            "    Return a human readable latency analysis report.",
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
            "HISTOGRAM [COMMAND ...]",
            "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
            "    If no commands are specified then all histograms are replied.",
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
        b"object" if args.len() == 3 => debug_object(cx),
        b"change-repl-id" if args.len() == 2 => {
            replication::change_replid(cx.s, cx.out);
            cx.add_ok();
        }
        b"digest" if args.len() == 2 => {
            let sum = digest::dataset(&cx.s.keyspace);
            cx.add_simple(digest::hex(&sum).as_bytes());
        }
        b"digest-value" if args.len() >= 2 => debug_digest_value(cx),
        b"populate" if (3..=5).contains(&args.len()) => debug_populate(cx),
        b"error" if args.len() == 3 => {
            let text = String::from_utf8_lossy(args.get(2)).into_owned();
            cx.add_error(&text);
        }
        b"log" if args.len() == 3 => cx.add_ok(),
        sub if DEBUG_ABSENT.iter().any(|name| name.as_bytes() == sub) => {
            let sub = String::from_utf8_lossy(sub).to_ascii_uppercase();
            cx.add_error(&format!("ERR DEBUG {sub} is not modelled"));
        }
        _ => cx.add_subcommand_error(),
    }
}

/// Subcommands that a real server has besides.
const DEBUG_ABSENT: &[&str] = &[
    "aof-flush-sleep",
    "assert",
    "config-rewrite-force-all",
    "crash-and-recover",
    "drop-cluster-packet-filter",
    "help",
    "htstats",
    "htstats-key",
    "jmap",
    "leak",
    "listpack",
    "loadaof",
    "mallctl",
    "mallctl-str",
    "oom",
    "panic",
    "pause-cron",
    "protocol",
    "quicklist",
    "quicklist-packed-threshold",
    "reload",
    "replicate",
    "replybuffer",
    "restart",
    "segfault",
    "set-disable-deny-scripts",
    "sdslen",
    "stringmatch-len",
    "structsize",
    "ziplist",
];

fn debug_digest_value(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    cx.add_array(args.len() - 2);
    for i in 2..args.len() {
        let mut sum = digest::Sum::default();
        if let Some(at) = cx.s.keyspace.db(db).find(args.get(i)) {
            digest::value(&mut sum, cx.entry(at));
        }
        cx.add_simple(digest::hex(&sum).as_bytes());
    }
}

/// `DEBUG POPULATE <count> [<prefix>] [<size>]`: keys that are not there yet.
fn debug_populate(cx: &mut Cx<'_>) {
    use crate::server::keyspace::{Key, Value};
    let (db, access, args) = (cx.db(), cx.s.access(), cx.args);
    let error = "ERR value is out of range, must be positive";
    let mut numbers = [0, 0];
    for (number, i) in numbers.iter_mut().zip([2, 4]).filter(|(_, i)| *i < args.len()) {
        let Some(value) = cx.int_arg(i) else { return };
        let Ok(value) = usize::try_from(value) else { return cx.add_error(error) };
        *number = value;
    }
    let [count, size] = numbers;
    let prefix = if args.len() > 3 { String::from_utf8_lossy(args.get(3)).into_owned() } else { "key".to_owned() };
    for n in 0..count {
        let key = format!("{prefix}:{n}");
        if cx.s.keyspace.db(db).find(key.as_bytes()).is_some() {
            continue;
        }
        let mut value = format!("value:{n}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        cx.s.keyspace.db_mut(db).add(Key::copy(key.as_bytes()), Value::string(value.into()), access);
        cx.s.signal_modified(db, key.as_bytes());
    }
    cx.s.meter.add(count as u64 * cost::LOAD_KEY);
    cx.add_ok();
}

fn debug_object(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let Some(at) = cx.s.keyspace.db(db).find(args.get(2)) else { return cx.add_error("ERR no such key") };
    let entry = cx.entry(at);
    let idle = cx.s.idle_seconds(entry.touched);
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
