//! COMMAND: the table about itself.

use serde_json::{Map, Value};
use std::sync::LazyLock;

use super::flag::{self, LOADING, STALE};
use super::meta::{Begin, FLAG_NAMES, Find, KeySpec, access};
use super::{Command, Spec, keyspecs, row};
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

/// Names of [`access`] bits as a set (`addReplyFlagsForKeyArgs`).
fn add_access(cx: &mut Cx<'_>, bits: u16) {
    let names = access::NAMES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 != 0);
    cx.add_set(names.clone().count());
    for (_, name) in names {
        cx.add_simple(name.as_bytes());
    }
}

/// A key specification (`addReplyCommandKeySpecs`).
fn describe_keys(cx: &mut Cx<'_>, keys: &KeySpec) {
    cx.add_map(if keys.notes.is_empty() { 3 } else { 4 });
    if !keys.notes.is_empty() {
        cx.add_bulk(b"notes");
        cx.add_bulk(keys.notes.as_bytes());
    }
    cx.add_bulk(b"flags");
    add_access(cx, keys.access);
    match keys.begin {
        Begin::Index(index) => add_part(cx, "begin_search", "index", &[("index", index)]),
        Begin::Keyword(word, from) => {
            add_head(cx, "begin_search", "keyword", 2);
            cx.add_bulk(b"keyword");
            cx.add_bulk(word.as_bytes());
            cx.add_bulk(b"startfrom");
            cx.add_integer(from);
        }
        Begin::Unknown => add_part(cx, "begin_search", "unknown", &[]),
    }
    match keys.find {
        Find::Range(last, step, limit) => {
            add_part(cx, "find_keys", "range", &[("lastkey", last), ("keystep", step), ("limit", limit)]);
        }
        Find::Number(at, first, step) => {
            add_part(cx, "find_keys", "keynum", &[("keynumidx", at), ("firstkey", first), ("keystep", step)]);
        }
        Find::Unknown => add_part(cx, "find_keys", "unknown", &[]),
    }
}

/// One half of a key specification.
fn add_part(cx: &mut Cx<'_>, part: &str, kind: &str, fields: &[(&str, i64)]) {
    add_head(cx, part, kind, fields.len());
    for &(name, value) in fields {
        cx.add_bulk(name.as_bytes());
        cx.add_integer(value);
    }
}

fn add_head(cx: &mut Cx<'_>, part: &str, kind: &str, fields: usize) {
    cx.add_bulk(part.as_bytes());
    cx.add_map(2);
    cx.add_bulk(b"type");
    cx.add_bulk(kind.as_bytes());
    cx.add_bulk(b"spec");
    cx.add_map(fields);
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
    let meta = command.meta;
    cx.add_set(meta.tips.len());
    for tip in &meta.tips {
        cx.add_bulk(tip.as_bytes());
    }
    cx.add_set(meta.specs.len());
    for keys in &meta.specs {
        describe_keys(cx, keys);
    }
    // A set if there are none, an array of any.
    if command.subs.is_empty() {
        return cx.add_set(0);
    }
    cx.add_array(command.subs.len());
    for sub in &command.subs {
        describe(cx, sub);
    }
}

pub(super) fn all(cx: &mut Cx<'_>) {
    let commands: Vec<&'static Command> = cx.s.config.renamed.commands().collect();
    cx.add_array(commands.len());
    for command in commands {
        describe(cx, command);
    }
}

fn info(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.len() == 2 {
        return all(cx);
    }
    cx.add_array(args.len() - 2);
    for i in 2..args.len() {
        match cx.s.config.renamed.find(args.get(i)) {
            Some(command) => describe(cx, command),
            None => cx.add_null(),
        }
    }
}

fn count(cx: &mut Cx<'_>) {
    cx.add_count(cx.s.config.renamed.commands().count());
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
    let mut names: Vec<&str> = Vec::new();
    for command in cx.s.config.renamed.commands().flat_map(|command| std::iter::once(command).chain(&command.subs)) {
        names.extend(chosen(command).then_some(command.spec.name));
    }
    cx.add_array(names.len());
    for name in names {
        cx.add_bulk(name.as_bytes());
    }
}

/// What COMMAND DOCS says, by name; `tests/golden/commands.py` wrote it down.
static DOCS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("docs.json")).expect("a test reads it"));

fn docs(cx: &mut Cx<'_>) {
    let args = cx.args;
    let found: Vec<&'static Command> = if args.len() == 2 {
        cx.s.config.renamed.commands().collect()
    } else {
        (2..args.len()).filter_map(|i| cx.s.config.renamed.find(args.get(i))).collect()
    };
    cx.add_map(found.len());
    for command in found {
        let name = command.spec.name;
        cx.add_bulk(name.as_bytes());
        match documentation(name) {
            Some(doc) => add_doc(cx, "", doc),
            None => cx.add_map(0),
        }
    }
}

fn documentation(name: &str) -> Option<&'static Value> {
    match name.split_once('|') {
        Some((container, _)) => DOCS.get(container)?.get("subcommands")?.get(name),
        None => DOCS.get(name),
    }
}

/// A part of a command's documentation, the one of that field.
fn add_doc(cx: &mut Cx<'_>, field: &str, doc: &Value) {
    match doc {
        Value::Object(map) => {
            cx.add_map(map.len());
            for (name, value) in map {
                cx.add_bulk(name.as_bytes());
                add_doc(cx, name, value);
            }
        }
        Value::Array(list) => {
            let flags = field.ends_with("flags");
            if flags || field == "history" {
                cx.add_set(list.len())
            } else {
                cx.add_array(list.len())
            }
            for value in list {
                match value.as_str().filter(|_| flags) {
                    Some(text) => cx.add_simple(text.as_bytes()),
                    None => add_doc(cx, "", value),
                }
            }
        }
        Value::String(text) => cx.add_bulk(text.as_bytes()),
        Value::Number(number) => cx.add_integer(number.as_i64().unwrap_or_default()),
        Value::Null | Value::Bool(_) => cx.add_null(),
    }
}

fn getkeys(cx: &mut Cx<'_>) {
    let Some(found) = keys_of_request(cx) else { return };
    cx.add_array(found.len());
    for key in found {
        cx.add_bulk_arg(key.at + 2);
    }
}

fn getkeysandflags(cx: &mut Cx<'_>) {
    let Some(found) = keys_of_request(cx) else { return };
    cx.add_array(found.len());
    for key in found {
        cx.add_array(2);
        cx.add_bulk_arg(key.at + 2);
        add_access(cx, key.access);
    }
}

/// The keys of the request that begins with argument 2 (`getKeysSubcommandImpl`).
fn keys_of_request(cx: &mut Cx<'_>) -> Option<keyspecs::Keys> {
    let request: Vec<&[u8]> = cx.args.iter().skip(2).collect();
    let Some(command) = cx.s.config.renamed.lookup_request(&request) else {
        cx.add_error("ERR Invalid command specified");
        return None;
    };
    if !command.meta.has_keys() {
        cx.add_error("ERR The command has no key arguments");
        return None;
    }
    if !command.takes(request.len()) {
        cx.add_error("ERR Invalid number of arguments specified for command");
        return None;
    }
    let keys = keyspecs::keys_of(command, &request);
    if keys.is_empty() && !command.is(flag::NO_MANDATORY_KEYS) {
        cx.add_error("ERR Invalid arguments specified for command");
        return None;
    }
    Some(keys)
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
