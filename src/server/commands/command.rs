//! COMMAND: the table about itself.

use super::flag::{self, LOADING, STALE};
use super::{Command, Spec, row};
use crate::server::call::Cx;
use crate::server::glob;

/// The rows of the subcommands.
#[rustfmt::skip]
pub(super) const COMMAND_SUBS: &[Spec] = &[
    row("command|count", 2, LOADING | STALE, (0, 0, 0), "@slow @connection", count),
    row("command|docs", -2, LOADING | STALE, (0, 0, 0), "@slow @connection", docs),
    row("command|getkeys", -4, LOADING | STALE, (0, 0, 0), "@slow @connection", getkeys),
    row("command|help", 2, LOADING | STALE, (0, 0, 0), "@slow @connection", help),
    row("command|info", -2, LOADING | STALE, (0, 0, 0), "@slow @connection", info),
    row("command|list", -2, LOADING | STALE, (0, 0, 0), "@slow @connection", list),
];

const FLAG_NAMES: &[(u64, &str)] = &[
    (flag::WRITE, "write"),
    (flag::READONLY, "readonly"),
    (flag::DENYOOM, "denyoom"),
    (flag::ADMIN, "admin"),
    (flag::PUBSUB, "pubsub"),
    (flag::NOSCRIPT, "noscript"),
    (flag::BLOCKING, "blocking"),
    (flag::LOADING, "loading"),
    (flag::STALE, "stale"),
    (flag::SKIP_MONITOR, "skip_monitor"),
    (flag::SKIP_SLOWLOG, "skip_slowlog"),
    (flag::ASKING, "asking"),
    (flag::FAST, "fast"),
    (flag::NO_AUTH, "no_auth"),
    (flag::MAY_REPLICATE, "may_replicate"),
    (flag::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (flag::NO_ASYNC_LOADING, "no_async_loading"),
    (flag::NO_MULTI, "no_multi"),
    (flag::MOVABLE_KEYS, "movablekeys"),
    (flag::ALLOW_BUSY, "allow_busy"),
];

/// One command as COMMAND INFO shows it; tips and key specifications are left empty.
fn describe(cx: &mut Cx<'_>, command: &'static Command) {
    let spec = &command.spec;
    cx.add_array(10);
    cx.add_bulk(spec.name.as_bytes());
    cx.add_integer(i64::from(spec.arity));
    let flags: Vec<&str> = FLAG_NAMES.iter().filter(|(bit, _)| spec.flags & bit != 0).map(|(_, name)| *name).collect();
    cx.add_set(flags.len());
    for name in flags {
        cx.add_simple(name.as_bytes());
    }
    for place in [spec.keys.0, spec.keys.1, spec.keys.2] {
        cx.add_integer(i64::from(place));
    }
    let categories: Vec<&str> = spec.categories.split(' ').collect();
    cx.add_set(categories.len());
    for name in categories {
        cx.add_simple(name.as_bytes());
    }
    cx.add_array(0);
    cx.add_array(0);
    cx.add_array(command.subs.len());
    for sub in &command.subs {
        describe(cx, sub);
    }
}

pub(super) fn all(cx: &mut Cx<'_>) {
    cx.add_array(super::all().len());
    for command in super::all() {
        describe(cx, command);
    }
}

/// A command by its name, or `container|name`.
fn find(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|&byte| byte == b'|') {
        Some(at) => super::lookup_sub(super::lookup(&name[..at])?, &name[at + 1..]),
        None => super::lookup(name),
    }
}

fn info(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.len() == 2 {
        return all(cx);
    }
    cx.add_array(args.len() - 2);
    for i in 2..args.len() {
        match find(args.get(i)) {
            Some(command) => describe(cx, command),
            None => cx.add_null(),
        }
    }
}

fn count(cx: &mut Cx<'_>) {
    cx.add_count(super::all().len());
}

fn list(cx: &mut Cx<'_>) {
    let args = cx.args;
    let chosen: Box<dyn Fn(&Command) -> bool> = match args.len() {
        2 => Box::new(|_| true),
        5 if cx.arg_is(2, "filterby") && cx.arg_is(3, "module") => Box::new(|_| false),
        5 if cx.arg_is(2, "filterby") && cx.arg_is(3, "pattern") => {
            Box::new(|command| glob::matches(args.get(4), command.spec.name.as_bytes(), true))
        }
        5 if cx.arg_is(2, "filterby") && cx.arg_is(3, "aclcat") => Box::new(|command| {
            command.spec.categories.split(' ').any(|name| name.as_bytes()[1..].eq_ignore_ascii_case(args.get(4)))
        }),
        _ => return cx.add_syntax_error(),
    };
    let names: Vec<&str> =
        super::all().iter().filter(|command| chosen(command)).map(|command| command.spec.name).collect();
    cx.add_array(names.len());
    for name in names {
        cx.add_bulk(name.as_bytes());
    }
}

/// Documentation is not carried: every known command has an empty map.
fn docs(cx: &mut Cx<'_>) {
    let args = cx.args;
    let found: Vec<&'static Command> = (2..args.len()).filter_map(|i| find(args.get(i))).collect();
    cx.add_map(found.len());
    for command in found {
        cx.add_bulk(command.spec.name.as_bytes());
        cx.add_map(0);
    }
}

fn getkeys(cx: &mut Cx<'_>) {
    let args = cx.args;
    let Some(command) = super::lookup(args.get(2)) else {
        return cx.add_error("ERR Invalid command specified");
    };
    let (first, last, step) = command.spec.keys;
    if first == 0 && !command.is(flag::MOVABLE_KEYS) {
        return cx.add_error("ERR The command has no key arguments");
    }
    let len = i32::try_from(args.len() - 2).unwrap_or(i32::MAX);
    if (command.spec.arity > 0 && command.spec.arity != len) || len < -command.spec.arity {
        return cx.add_error("ERR Invalid number of arguments specified for command");
    }
    if command.is(flag::MOVABLE_KEYS) {
        return numbered_keys(cx, first == 1);
    }
    let last = if last < 0 { len + last } else { last };
    let places: Vec<usize> = (first..=last)
        .step_by(usize::try_from(step).unwrap_or(1).max(1))
        .filter_map(|at| usize::try_from(at).ok())
        .collect();
    cx.add_array(places.len());
    for at in places {
        cx.add_bulk_arg(at + 2);
    }
}

/// The keys of a command that says how many follow, with a target before that number or not.
fn numbered_keys(cx: &mut Cx<'_>, target: bool) {
    let number = 3 + usize::from(target);
    let count = crate::resp::parse_i64(cx.args.get(number)).and_then(|count| usize::try_from(count).ok());
    let Some(count) = count.filter(|&count| count > 0 && count < cx.args.len() - number) else {
        return cx.add_error("ERR Invalid arguments specified for command");
    };
    cx.add_array(count + usize::from(target));
    if target {
        cx.add_bulk_arg(3);
    }
    (number + 1..=number + count).for_each(|i| cx.add_bulk_arg(i));
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "command",
        &[
            "(no subcommand)",
            "    Return details about all Redis commands.",
            "COUNT",
            "    Return the total number of commands in this Redis server.",
            "LIST",
            "    Return a list of all commands in this Redis server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full Redis command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full Redis command.",
        ],
    );
}
