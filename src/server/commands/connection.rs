//! PING, ECHO, AUTH, HELLO, SELECT, QUIT, RESET.

use super::client::CLIENT_SUBS;
use super::flag::{ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE};
use super::{Spec, container, row};
use crate::resp::lossless;
use crate::server::acl::User;
use crate::server::call::Cx;
use crate::server::multi;
use crate::server::session::{Flags, Session};

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("ping", -1, FAST, (0, 0, 0), "@fast @connection", ping),
    row("echo", 2, LOADING | STALE | FAST, (0, 0, 0), "@fast @connection", echo),
    row("auth", -2, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, (0, 0, 0), "@fast @connection", auth),
    row("hello", -1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, (0, 0, 0), "@fast @connection", hello),
    row("select", 2, LOADING | STALE | FAST, (0, 0, 0), "@fast @connection", select),
    row("quit", -1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, (0, 0, 0), "@fast @connection", quit),
    row("reset", 1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, (0, 0, 0), "@fast @connection", reset),
    container(row("client", -2, 0, (0, 0, 0), "@slow", super::no_handler), CLIENT_SUBS),
];

fn ping(cx: &mut Cx<'_>) {
    if cx.args.len() > 2 {
        return cx.add_error_arity();
    }
    let session = cx.session();
    if session.flags.has(Flags::PUBSUB) && session.resp == 2 {
        cx.add_array(2);
        cx.add_bulk(b"pong");
        if cx.args.len() == 2 { cx.add_bulk_arg(1) } else { cx.add_bulk(b"") }
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
    let Some(number) = cx.small_int_arg(1, None) else { return };
    match cx.s.database(number) {
        Some(db) => {
            cx.session_mut().db = db;
            cx.add_ok();
        }
        None => cx.add_error("ERR DB index is out of range"),
    }
}

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

fn auth(cx: &mut Cx<'_>) {
    let args = cx.args;
    for i in 1..args.len().min(3) {
        if args.len() <= 3 {
            cx.redact(i);
        }
    }
    let known = match args.len() {
        2 if cx.s.acl.get(b"default").is_some_and(User::needs_no_password) => {
            return cx.add_error(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            );
        }
        2 => cx.s.authenticate(cx.fd, args, b"default", args.get(1)),
        3 => cx.s.authenticate(cx.fd, args, args.get(1), args.get(2)),
        _ => return cx.add_syntax_error(),
    };
    if known { cx.add_ok() } else { cx.add_error(WRONG_PASSWORD) }
}

fn hello(cx: &mut Cx<'_>) {
    let args = cx.args;
    let mut version = None;
    if args.len() >= 2 {
        let error = "ERR Protocol version is not an integer or out of range";
        let Some(number) = cx.int_arg_or(1, error) else { return };
        version = u8::try_from(number).ok().filter(|number| (2..=3).contains(number));
        if version.is_none() {
            return cx.add_error("NOPROTO unsupported protocol version");
        }
    }
    let mut i = 2;
    while i < args.len() {
        if cx.arg_is(i, "auth") && i + 2 < args.len() {
            cx.redact(i + 1);
            cx.redact(i + 2);
            if !cx.s.authenticate(cx.fd, args, args.get(i + 1), args.get(i + 2)) {
                return cx.add_error(WRONG_PASSWORD);
            }
            i += 3;
        } else if cx.arg_is(i, "setname") && i + 1 < args.len() {
            if !cx.set_name(i + 1) {
                return;
            }
            i += 2;
        } else {
            let option = lossless(args.get(i));
            return cx.add_error(&format!("ERR Syntax error in HELLO option '{option}'"));
        }
    }
    if !cx.session().authenticated && cx.s.auth_required() {
        return cx.add_error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        );
    }
    if let Some(version) = version {
        cx.session_mut().resp = version;
    }
    let (resp, id) = (cx.session().resp, cx.session().id);
    let role: &[u8] = if cx.s.repl.is_master() { b"master" } else { b"replica" };
    cx.add_map(7);
    cx.add_bulk(b"server");
    cx.add_bulk(b"redis");
    cx.add_bulk(b"version");
    cx.add_bulk(b"7.0.15");
    cx.add_bulk(b"proto");
    cx.add_integer(i64::from(resp));
    cx.add_bulk(b"id");
    cx.add_integer(i64::try_from(id).unwrap_or(i64::MAX));
    cx.add_bulk(b"mode");
    cx.add_bulk(b"standalone");
    cx.add_bulk(b"role");
    cx.add_bulk(role);
    cx.add_bulk(b"modules");
    cx.add_array(0);
}

fn quit(cx: &mut Cx<'_>) {
    cx.add_ok();
    cx.session_mut().flags.set(Flags::CLOSE_AFTER_REPLY);
}

fn reset(cx: &mut Cx<'_>) {
    let flags = cx.session().flags;
    if flags.has(Flags::MASTER) || flags.has(Flags::REPLICA) && !flags.has(Flags::MONITOR) {
        return cx.add_error("ERR can only reset normal client connections");
    }
    let fd = cx.fd;
    cx.s.monitors.retain(|&other| other != fd);
    cx.s.disable_tracking(fd);
    cx.s.unsubscribe_all(fd);
    multi::discard(cx);
    cx.s.set_default_auth(fd);
    let session: &mut Session = cx.session_mut();
    session.flags.clear(Flags::MONITOR.with(Flags::REPLICA).with(Flags::REPLY_OFF).with(Flags::REPLY_SKIP_NEXT));
    session.name = None;
    session.db = 0;
    session.resp = 2;
    cx.add_simple(b"RESET");
}
