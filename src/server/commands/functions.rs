//! FUNCTION and FCALL (`functions.c`).

use bytes::Bytes;

use super::flag::{
    ALLOW_BUSY, DENYOOM, LOADING, MAY_REPLICATE, MOVABLE_KEYS, NO_MANDATORY_KEYS, NOSCRIPT, READONLY, SKIP_MONITOR,
    STALE, WRITE,
};
use super::{Spec, container, row};
use crate::resp::{lossless, parse_i64};
use crate::server::call::Cx;
use crate::server::persistence;
use crate::server::scripting::{FLAGS, Libraries, Library, busy, host};
use crate::server::session::Flags;

const RUN: u64 = NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | STALE | MOVABLE_KEYS;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("fcall", -3, RUN | MAY_REPLICATE, (0, 0, 0), "@slow @scripting", fcall),
    row("fcall_ro", -3, RUN | READONLY, (0, 0, 0), "@slow @scripting", fcall_ro),
    container(row("function", -2, 0, (0, 0, 0), "@slow", super::no_handler), SUBS),
];

#[rustfmt::skip]
const SUBS: &[Spec] = &[
    row("function|delete", 3, WRITE | NOSCRIPT, (0, 0, 0), "@write @slow @scripting", delete),
    row("function|dump", 2, NOSCRIPT, (0, 0, 0), "@slow @scripting", dump),
    row("function|flush", -2, WRITE | NOSCRIPT, (0, 0, 0), "@write @slow @scripting", flush),
    row("function|help", 2, LOADING | STALE, (0, 0, 0), "@slow @scripting", help),
    row("function|kill", 2, NOSCRIPT | ALLOW_BUSY, (0, 0, 0), "@slow @scripting", kill),
    row("function|list", -2, NOSCRIPT, (0, 0, 0), "@slow @scripting", list),
    row("function|load", -3, WRITE | DENYOOM | NOSCRIPT, (0, 0, 0), "@write @slow @scripting", load),
    row("function|restore", -3, WRITE | DENYOOM | NOSCRIPT, (0, 0, 0), "@write @slow @scripting", restore),
    row("function|stats", 2, NOSCRIPT | ALLOW_BUSY, (0, 0, 0), "@slow @scripting", stats),
];

/// A library that takes longer to load is refused, but for a master's (`LOAD_TIMEOUT_MS`).
const LOAD_MS: u64 = 500;

fn fcall(cx: &mut Cx<'_>) {
    call(cx, false);
}

fn fcall_ro(cx: &mut Cx<'_>) {
    call(cx, true);
}

fn call(cx: &mut Cx<'_>, read_only: bool) {
    let (fd, args) = (cx.fd, cx.args);
    // Before what the function calls.
    cx.s.feed_monitors(fd, args);
    let Some((library, function)) = cx.s.scripting.libraries.find(args.get(1)) else {
        return cx.add_error("ERR Function not found");
    };
    let (library, name, flags) = (library.clone(), function.name.clone(), function.flags);
    let most = i64::try_from(args.len() - 3).unwrap_or(i64::MAX);
    let keys = match parse_i64(args.get(2)) {
        None => return cx.add_error("ERR Bad number of keys provided"),
        Some(count) if count > most => return cx.add_error("ERR Number of keys can't be greater than number of args"),
        Some(count) => match usize::try_from(count) {
            Ok(count) => count,
            Err(_) => return cx.add_error("ERR Number of keys can't be negative"),
        },
    };
    let request = host::Request {
        sha: library.sha,
        name: lossless(&name),
        body: library.code.clone(),
        function: Some((library.name.clone(), name)),
        flags,
        read_only,
        keys: (3, keys),
    };
    host::run(cx, request);
}

fn load(cx: &mut Cx<'_>) {
    let last = cx.args.len() - 1;
    let mut replace = false;
    for i in 2..last {
        if !cx.arg_is(i, "replace") {
            let option = lossless(cx.args.get(i));
            return cx.add_error(&format!("ERR Unknown option given: {option}"));
        }
        replace = true;
    }
    let obeyed = cx.session().flags.has(Flags::MASTER);
    let code = cx.args.bytes(last);
    let budget = if obeyed { u64::MAX } else { host::instructions(LOAD_MS) };
    let (made, work) = cx.s.scripting.libraries.create(&code, replace, budget);
    cx.s.meter.add(host::nanoseconds(work));
    match made {
        Ok(name) => {
            cx.dirty(1);
            cx.add_bulk(&name);
        }
        Err(text) => cx.add_error(&text),
    }
}

fn delete(cx: &mut Cx<'_>) {
    let args = cx.args;
    if !cx.s.scripting.libraries.delete(args.get(2)) {
        return cx.add_error("ERR Library not found");
    }
    cx.dirty(1);
    cx.add_ok();
}

fn flush(cx: &mut Cx<'_>) {
    match cx.args.len() {
        2 => {}
        3 if cx.arg_is(2, "sync") || cx.arg_is(2, "async") => {}
        3 => return cx.add_error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
        _ => return cx.add_subcommand_error(),
    }
    cx.s.scripting.libraries = Libraries::default();
    cx.dirty(1);
    cx.add_ok();
}

fn kill(cx: &mut Cx<'_>) {
    busy::kill(cx, false);
}

fn list(cx: &mut Cx<'_>) {
    let args = cx.args;
    let (mut with_code, mut pattern) = (false, None);
    let mut i = 2;
    while i < args.len() {
        if !with_code && cx.arg_is(i, "withcode") {
            with_code = true;
        } else if pattern.is_none() && cx.arg_is(i, "libraryname") {
            if i + 1 >= args.len() {
                return cx.add_error("ERR library name argument was not given");
            }
            i += 1;
            pattern = Some(args.get(i));
        } else {
            let argument = lossless(args.get(i));
            return cx.add_error(&format!("ERR Unknown argument {argument}"));
        }
        i += 1;
    }
    let fits =
        |library: &&Library| pattern.is_none_or(|pattern| crate::server::glob::matches(pattern, &library.name, true));
    let libraries: Vec<Library> = cx.s.scripting.libraries.iter().filter(fits).cloned().collect();
    cx.add_array(libraries.len());
    for library in &libraries {
        add_library(cx, library, with_code);
    }
}

fn add_library(cx: &mut Cx<'_>, library: &Library, with_code: bool) {
    cx.add_map(if with_code { 4 } else { 3 });
    cx.add_bulk(b"library_name");
    cx.add_bulk(&library.name);
    cx.add_bulk(b"engine");
    cx.add_bulk(b"LUA");
    cx.add_bulk(b"functions");
    cx.add_array(library.functions.len());
    for function in &library.functions {
        cx.add_map(3);
        cx.add_bulk(b"name");
        cx.add_bulk(&function.name);
        cx.add_bulk(b"description");
        match &function.description {
            Some(text) => cx.add_bulk(text),
            None => cx.add_null(),
        }
        cx.add_bulk(b"flags");
        let flags: Vec<&str> =
            FLAGS.iter().filter(|(_, bit)| function.flags & bit != 0).map(|(name, _)| *name).collect();
        cx.add_set(flags.len());
        for flag in flags {
            cx.add_simple(flag.as_bytes());
        }
    }
    if with_code {
        cx.add_bulk(b"library_code");
        cx.add_bulk(&library.code);
    }
}

fn dump(cx: &mut Cx<'_>) {
    let payload = persistence::dump_libraries(cx.s);
    cx.add_bulk(&payload);
}

fn restore(cx: &mut Cx<'_>) {
    if cx.args.len() > 4 {
        return cx.add_subcommand_error();
    }
    let policy = if cx.args.len() == 4 { cx.args.get(3).to_ascii_lowercase() } else { b"append".to_vec() };
    if ![&b"append"[..], b"replace", b"flush"].contains(&policy.as_slice()) {
        return cx.add_error("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
    }
    let codes = match persistence::libraries_of_payload(&cx.args.bytes(2)) {
        Ok(codes) => codes,
        Err(text) => return cx.add_error(text),
    };
    match joined(cx, &codes, &policy) {
        Ok(()) => {
            cx.dirty(1);
            cx.add_ok();
        }
        Err(text) => cx.add_error(&text),
    }
}

fn joined(cx: &mut Cx<'_>, codes: &[Bytes], policy: &[u8]) -> Result<(), String> {
    let mut restored = Libraries::default();
    for code in codes {
        let (made, work) = restored.create(code, false, u64::MAX);
        cx.s.meter.add(host::nanoseconds(work));
        made?;
    }
    let libraries = &mut cx.s.scripting.libraries;
    if policy == b"flush" {
        *libraries = restored;
        return Ok(());
    }
    libraries.join(&restored, policy == b"replace")
}

fn stats(cx: &mut Cx<'_>) {
    let running = match busy::running_function(cx) {
        Ok(running) => running,
        Err(text) => return cx.add_error(text),
    };
    cx.add_map(2);
    cx.add_bulk(b"running_script");
    if let Some((name, words, ms)) = running {
        cx.add_map(3);
        cx.add_bulk(b"name");
        cx.add_bulk(name.as_bytes());
        cx.add_bulk(b"command");
        cx.add_array(words.len());
        for word in words.iter() {
            cx.add_bulk(word);
        }
        cx.add_bulk(b"duration_ms");
        cx.add_integer(ms);
    } else {
        cx.add_null();
    }
    let libraries = &cx.s.scripting.libraries;
    let (count, functions) = (libraries.len(), libraries.functions());
    cx.add_bulk(b"engines");
    cx.add_map(1);
    cx.add_bulk(b"LUA");
    cx.add_map(2);
    cx.add_bulk(b"libraries_count");
    cx.add_count(count);
    cx.add_bulk(b"functions_count");
    cx.add_count(functions);
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "function",
        &[
            "LOAD [REPLACE] <FUNCTION CODE>",
            "    Create a new library with the given library name and code.",
            "DELETE <LIBRARY NAME>",
            "    Delete the given library.",
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "    Return general information on all the libraries:",
            "    * Library name",
            "    * The engine used to run the Library",
            "    * Library description",
            "    * Functions list",
            "    * Library code (if WITHCODE is given)",
            "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
            "STATS",
            "    Return information about the current function running:",
            "    * Function name",
            "    * Command used to run the function",
            "    * Duration in MS that the function is running",
            "    If no function is running, return nil",
            "    In addition, returns a list of available engines.",
            "KILL",
            "    Kill the current running function.",
            "FLUSH [ASYNC|SYNC]",
            "    Delete all the libraries.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the libraries.",
            "    * SYNC: Synchronously flush the libraries.",
            "DUMP",
            "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE \
             command",
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
            "    control how to handle existing libraries (default APPEND):",
            "    * FLUSH: delete all existing libraries.",
            "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
            "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
            "      libraries with the new libraries (notice that even on this option there is a chance of failure",
            "      in case of functions name collision with another library).",
        ],
    );
}
