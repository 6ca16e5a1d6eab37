//! COMMAND: the table about itself.

use super::flag::{self, LOADING, STALE};
use super::meta::{self, Keys};
use super::{Command, Spec, row};
use crate::server::call::Cx;
use crate::server::glob;

/// The rows of the subcommands.
#[rustfmt::skip]
pub(super) const COMMAND_SUBS: &[Spec] = &[
    row("command|count", 2, LOADING | STALE, (0, 0, 0), "@slow @connection", count),
    row("command|docs", -2, LOADING | STALE, (0, 0, 0), "@slow @connection", docs),
    row("command|getkeys", -4, LOADING | STALE, (0, 0, 0), "@slow @connection", getkeys),
    row("command|getkeysandflags", -4, LOADING | STALE, (0, 0, 0), "@slow @connection", getkeysandflags),
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
    (flag::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (flag::NO_ASYNC_LOADING, "no_async_loading"),
    (flag::NO_MULTI, "no_multi"),
    (flag::MOVABLE_KEYS, "movablekeys"),
    (flag::ALLOW_BUSY, "allow_busy"),
];

/// Names of flags, separated by blanks, as a set.
fn add_flags(cx: &mut Cx<'_>, flags: &str) {
    cx.add_set(flags.split(' ').count());
    for name in flags.split(' ') {
        cx.add_simple(name.as_bytes());
    }
}

/// A key specification (`addReplyCommandKeySpecs`).
fn describe_keys(cx: &mut Cx<'_>, keys: &Keys) {
    cx.add_map(if keys.notes.is_empty() { 3 } else { 4 });
    if !keys.notes.is_empty() {
        cx.add_bulk(b"notes");
        cx.add_bulk(keys.notes.as_bytes());
    }
    cx.add_bulk(b"flags");
    add_flags(cx, keys.flags);
    add_part(cx, "begin_search", "index", &[("index", keys.first)]);
    add_part(cx, "find_keys", "range", &[("lastkey", keys.last), ("keystep", keys.step), ("limit", 0)]);
}

/// One half of a key specification.
fn add_part(cx: &mut Cx<'_>, part: &str, kind: &str, fields: &[(&str, i32)]) {
    cx.add_bulk(part.as_bytes());
    cx.add_map(2);
    cx.add_bulk(b"type");
    cx.add_bulk(kind.as_bytes());
    cx.add_bulk(b"spec");
    cx.add_map(fields.len());
    for &(name, value) in fields {
        cx.add_bulk(name.as_bytes());
        cx.add_integer(i64::from(value));
    }
}

/// One command as COMMAND INFO shows it.
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
    let (tips, keys) = meta::of(spec.name);
    cx.add_set(tips.len());
    for tip in tips {
        cx.add_bulk(tip.as_bytes());
    }
    cx.add_set(keys.len());
    for keys in keys {
        describe_keys(cx, keys);
    }
    cx.add_set(command.subs.len());
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
    let with_subs = args.len() == 5;
    let mut names: Vec<&str> = Vec::new();
    for command in super::all() {
        names.extend(chosen(command).then_some(command.spec.name));
        if with_subs {
            names.extend(command.subs.iter().filter(|sub| chosen(sub)).map(|sub| sub.spec.name));
        }
    }
    cx.add_array(names.len());
    for name in names {
        cx.add_bulk(name.as_bytes());
    }
}

/// Documentation is not carried: every known command has an empty map.
fn docs(cx: &mut Cx<'_>) {
    let args = cx.args;
    let found: Vec<&'static Command> = if args.len() == 2 {
        super::all().iter().collect()
    } else {
        (2..args.len()).filter_map(|i| find(args.get(i))).collect()
    };
    cx.add_map(found.len());
    for command in found {
        cx.add_bulk(command.spec.name.as_bytes());
        cx.add_map(0);
    }
}

fn getkeys(cx: &mut Cx<'_>) {
    let Some(found) = keys_of_request(cx) else { return };
    cx.add_array(found.len());
    for (at, _) in found {
        cx.add_bulk_arg(at);
    }
}

fn getkeysandflags(cx: &mut Cx<'_>) {
    let Some(found) = keys_of_request(cx) else { return };
    cx.add_array(found.len());
    for (at, flags) in found {
        cx.add_array(2);
        cx.add_bulk_arg(at);
        add_flags(cx, flags);
    }
}

/// The arguments of the request from argument 2 on that are keys, with what is done to them (`getKeysSubcommandImpl`).
fn keys_of_request(cx: &mut Cx<'_>) -> Option<Vec<(usize, &'static str)>> {
    let args = cx.args;
    let command = super::lookup(args.get(2)).and_then(|command| match command.subs.is_empty() {
        true => Some(command),
        false if args.len() > 3 => super::lookup_sub(command, args.get(3)),
        false => None,
    });
    let Some(command) = command else {
        cx.add_error("ERR Invalid command specified");
        return None;
    };
    let (_, specs) = meta::of(command.spec.name);
    let specs: Vec<&Keys> = specs.iter().filter(|keys| !keys.flags.contains("not_key")).collect();
    if specs.is_empty() && !command.is(flag::MOVABLE_KEYS) {
        cx.add_error("ERR The command has no key arguments");
        return None;
    }
    let len = i32::try_from(args.len() - 2).unwrap_or(i32::MAX);
    if (command.spec.arity > 0 && command.spec.arity != len) || len < -command.spec.arity {
        cx.add_error("ERR Invalid number of arguments specified for command");
        return None;
    }
    if command.is(flag::MOVABLE_KEYS) {
        return numbered_keys(cx, command);
    }
    let mut found = Vec::new();
    for keys in specs {
        let last = if keys.last < 0 { len + keys.last } else { keys.first + keys.last };
        for at in (keys.first..=last).step_by(usize::try_from(keys.step).unwrap_or(1).max(1)) {
            if let Ok(at) = usize::try_from(at + 2) {
                found.push((at, access(command, keys, args)));
            }
        }
    }
    Some(found)
}

/// What a command does to its keys; SET with GET reads the old value as well (`setGetKeys`).
fn access(command: &Command, keys: &Keys, args: &crate::resp::Args) -> &'static str {
    if command.spec.name != "set" {
        return keys.flags;
    }
    let reads = (5..args.len()).any(|i| args.get(i).eq_ignore_ascii_case(b"get"));
    if reads { "RW access update" } else { "OW update" }
}

/// The keys of a command that says how many follow, with a target before that number or not.
fn numbered_keys(cx: &mut Cx<'_>, command: &Command) -> Option<Vec<(usize, &'static str)>> {
    let target = command.spec.keys.0 == 1;
    let number = 3 + usize::from(target);
    let count = crate::resp::parse_i64(cx.args.get(number)).and_then(|count| usize::try_from(count).ok());
    let Some(count) = count.filter(|&count| count > 0 && count < cx.args.len() - number) else {
        cx.add_error("ERR Invalid arguments specified for command");
        return None;
    };
    let flags = if command.spec.name.ends_with("mpop") { "RW access delete" } else { "RO access" };
    let first = target.then_some((3, "OW update"));
    Some(first.into_iter().chain((number + 1..=number + count).map(|i| (i, flags))).collect())
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
