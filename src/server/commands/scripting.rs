//! EVAL and its kin, SCRIPT (`eval.c`).

use super::flag::MOVABLE_KEYS;
use super::flag::{ALLOW_BUSY, LOADING, MAY_REPLICATE, NO_MANDATORY_KEYS, NOSCRIPT, READONLY, SKIP_MONITOR, STALE};
use super::{Spec, container, row};
use crate::server::call::Cx;
use crate::server::scripting::debugger::session;
use crate::server::scripting::{self, busy, host};
use crate::server::session::Flags;

const RUN: u64 = NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | STALE | MOVABLE_KEYS;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("eval", -3, RUN | MAY_REPLICATE, (0, 0, 0), "@slow @scripting", eval),
    row("evalsha", -3, RUN | MAY_REPLICATE, (0, 0, 0), "@slow @scripting", evalsha),
    row("eval_ro", -3, RUN | READONLY, (0, 0, 0), "@slow @scripting", eval_ro),
    row("evalsha_ro", -3, RUN | READONLY, (0, 0, 0), "@slow @scripting", evalsha_ro),
    container(row("script", -2, 0, (0, 0, 0), "@slow", super::no_handler), SUBS),
];

#[rustfmt::skip]
const SUBS: &[Spec] = &[
    row("script|debug", 3, NOSCRIPT, (0, 0, 0), "@slow @scripting", debug),
    row("script|exists", -3, NOSCRIPT, (0, 0, 0), "@slow @scripting", exists),
    row("script|flush", -2, NOSCRIPT, (0, 0, 0), "@slow @scripting", flush),
    row("script|help", 2, LOADING | STALE, (0, 0, 0), "@slow @scripting", help),
    row("script|kill", 2, NOSCRIPT | ALLOW_BUSY, (0, 0, 0), "@slow @scripting", kill),
    row("script|load", 3, NOSCRIPT | STALE, (0, 0, 0), "@slow @scripting", load),
];

/// No script of that SHA1.
const NO_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";

fn eval(cx: &mut Cx<'_>) {
    by_text(cx, false);
}

fn eval_ro(cx: &mut Cx<'_>) {
    by_text(cx, true);
}

fn evalsha(cx: &mut Cx<'_>) {
    by_sha(cx, false);
}

fn evalsha_ro(cx: &mut Cx<'_>) {
    by_sha(cx, true);
}

/// How many of the arguments from the third on are keys; else an error is answered.
fn count_keys(cx: &mut Cx<'_>) -> Option<usize> {
    let count = cx.int_arg(2)?;
    let most = cx.args.len() - 3;
    match usize::try_from(count) {
        Ok(count) if count <= most => Some(count),
        Ok(_) => {
            cx.add_error("ERR Number of keys can't be greater than number of args");
            None
        }
        Err(_) => {
            cx.add_error("ERR Number of keys can't be negative");
            None
        }
    }
}

fn by_text(cx: &mut Cx<'_>, read_only: bool) {
    let (fd, args) = (cx.fd, cx.args);
    // Before what the script calls.
    cx.s.feed_monitors(fd, args);
    if cx.session().flags.has(Flags::DEBUG) {
        session::eval(cx, |cx| generic(cx, read_only));
    } else {
        generic(cx, read_only);
    }
}

fn generic(cx: &mut Cx<'_>, read_only: bool) {
    let args = cx.args;
    let Some(keys) = count_keys(cx) else { return };
    let sha = scripting::sha1(args.get(1));
    if let Err(text) = cx.s.scripting.create(sha, args.get(1)) {
        return cx.add_error(&text);
    }
    run(cx, sha, keys, read_only);
}

fn by_sha(cx: &mut Cx<'_>, read_only: bool) {
    let (fd, args) = (cx.fd, cx.args);
    cx.s.feed_monitors(fd, args);
    if args.get(1).len() != 40 {
        return cx.add_error(NO_SCRIPT);
    }
    if cx.session().flags.has(Flags::DEBUG) {
        return cx.add_error("ERR Please use EVAL instead of EVALSHA for debugging");
    }
    let Some(keys) = count_keys(cx) else { return };
    match scripting::parse_sha(args.get(1)).filter(|sha| cx.s.scripting.get(sha).is_some()) {
        Some(sha) => run(cx, sha, keys, read_only),
        None => cx.add_error(NO_SCRIPT),
    }
}

fn run(cx: &mut Cx<'_>, sha: [u8; 20], keys: usize, read_only: bool) {
    let script = cx.s.scripting.get(&sha).expect("it was found or made").clone();
    let request = host::Request {
        sha,
        name: scripting::hex(&sha),
        body: script.body,
        function: None,
        flags: script.flags,
        read_only,
        keys: (3, keys),
    };
    host::run(cx, request);
}

fn debug(cx: &mut Cx<'_>) {
    if !cx.session().reply.is_empty() {
        cx.add_error("ERR SCRIPT DEBUG must be called outside a pipeline");
    } else if cx.arg_is(2, "no") {
        cx.session_mut().flags.clear(Flags::DEBUG.with(Flags::DEBUG_SYNC));
        cx.add_ok();
    } else if cx.arg_is(2, "yes") || cx.arg_is(2, "sync") {
        let sync = cx.arg_is(2, "sync");
        let session = cx.session_mut();
        session.flags.set(Flags::DEBUG);
        if sync {
            session.flags.set(Flags::DEBUG_SYNC);
        }
        cx.add_ok();
    } else {
        cx.add_error("ERR Use SCRIPT DEBUG YES/SYNC/NO");
    }
}

fn exists(cx: &mut Cx<'_>) {
    let args = cx.args;
    cx.add_array(args.len() - 2);
    for i in 2..args.len() {
        let known = scripting::parse_sha(args.get(i)).is_some_and(|sha| cx.s.scripting.get(&sha).is_some());
        cx.add_integer(i64::from(known));
    }
}

fn flush(cx: &mut Cx<'_>) {
    if cx.args.len() > 3 || cx.args.len() == 3 && !cx.arg_is(2, "sync") && !cx.arg_is(2, "async") {
        return cx.add_error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    }
    cx.s.scripting.flush();
    cx.add_ok();
}

fn kill(cx: &mut Cx<'_>) {
    busy::kill(cx, true);
}

fn load(cx: &mut Cx<'_>) {
    let body = cx.args.get(2);
    let sha = scripting::sha1(body);
    match cx.s.scripting.create(sha, body) {
        Ok(()) => cx.add_bulk(scripting::hex(&sha).as_bytes()),
        Err(text) => cx.add_error(&text),
    }
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "script",
        &[
            "DEBUG (YES|SYNC|NO)",
            "    Set the debug mode for subsequent scripts executed.",
            "EXISTS <sha1> [<sha1> ...]",
            "    Return information about the existence of the scripts in the script cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Flush the Lua scripts cache. Very dangerous on replicas.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the scripts cache.",
            "    * SYNC: Synchronously flush the scripts cache.",
            "KILL",
            "    Kill the currently executing Lua script.",
            "LOAD <script>",
            "    Load a script into the scripts cache without executing it.",
        ],
    );
}
