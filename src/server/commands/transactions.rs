//! MULTI, EXEC, DISCARD, WATCH, UNWATCH (`multi.c`).

use super::flag::{ALLOW_BUSY, FAST, LOADING, NOSCRIPT, SKIP_SLOWLOG, STALE};
use super::{Spec, row};
use crate::server::acl::Denied;
use crate::server::call::Cx;
use crate::server::multi::{self, WatchedKey};
use crate::server::session::Flags;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("multi", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, (0, 0, 0), "@fast @transaction", multi_command),
    row("exec", 1, NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG, (0, 0, 0), "@slow @transaction", exec),
    row("discard", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, (0, 0, 0), "@fast @transaction", discard),
    row("watch", -2, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, (1, -1, 1), "@fast @transaction", watch),
    row("unwatch", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, (0, 0, 0), "@fast @transaction", unwatch),
];

fn multi_command(cx: &mut Cx<'_>) {
    let session = cx.session_mut();
    if session.flags.has(Flags::MULTI) {
        return cx.add_error("ERR MULTI calls can not be nested");
    }
    session.flags.set(Flags::MULTI);
    cx.add_ok();
}

fn discard(cx: &mut Cx<'_>) {
    if !cx.session().flags.has(Flags::MULTI) {
        return cx.add_error("ERR DISCARD without MULTI");
    }
    multi::discard(cx);
    cx.add_ok();
}

fn exec(cx: &mut Cx<'_>) {
    let flags = cx.session().flags;
    if !flags.has(Flags::MULTI) {
        return cx.add_error("ERR EXEC without MULTI");
    }
    if flags.has(Flags::DIRTY_EXEC) {
        cx.add_error("EXECABORT Transaction discarded because of previous errors.");
        return multi::discard(cx);
    }
    if flags.has(Flags::DIRTY_CAS) || watched_key_expired(cx) {
        cx.add_null_array();
        return multi::discard(cx);
    }
    cx.s.unwatch_all(cx.fd);
    let queue = cx.session_mut().multi.take().map_or_else(Vec::new, |multi| multi.queue);
    cx.add_array(queue.len());
    let fd = cx.fd;
    cx.s.call_queued(fd, queue, cx.out);
    if !cx.s.is_busy() {
        multi::discard(cx);
    }
}

/// Permissions may have changed since a command was queued: then it is answered here.
pub(crate) fn is_refused(cx: &mut Cx<'_>) -> bool {
    let Some(denied) = cx.s.denied(cx.fd, cx.command, cx.args) else { return false };
    let reason = match denied {
        Denied::Command => "no permission to execute the command or subcommand",
        Denied::Key(_) => "no permission to touch the specified keys",
        Denied::Channel(_) => "no permission to access one of the channels used as arguments",
    };
    cx.add_error(&format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no \
         longer allowed for the following reason: {reason}"
    ));
    true
}

/// True when a watched key has expired since WATCH (`isWatchedKeyExpired`).
fn watched_key_expired(cx: &Cx<'_>) -> bool {
    cx.session().watched.iter().any(|watched| {
        let db = cx.s.keyspace.db(watched.key.0);
        !watched.expired && db.find(&watched.key.1).is_some_and(|at| cx.s.is_over(db.expiry(at)))
    })
}

fn watch(cx: &mut Cx<'_>) {
    let flags = cx.session().flags;
    if flags.has(Flags::MULTI) {
        return cx.add_error("ERR WATCH inside MULTI is not allowed");
    }
    if flags.has(Flags::DIRTY_CAS) {
        return cx.add_ok();
    }
    let (db, args, fd) = (cx.db(), cx.args, cx.fd);
    for i in 1..args.len() {
        let key = (db, bytes::Bytes::copy_from_slice(args.get(i)));
        if cx.session().watched.iter().any(|watched| watched.key == key) {
            continue;
        }
        let found = cx.s.keyspace.db(db).find(&key.1);
        let expired = found.is_some_and(|at| cx.s.is_over(cx.expiry(at)));
        cx.s.watchers.add(key.clone(), fd);
        cx.session_mut().watched.push(WatchedKey { key, expired });
    }
    cx.add_ok();
}

fn unwatch(cx: &mut Cx<'_>) {
    cx.s.unwatch_all(cx.fd);
    cx.session_mut().flags.clear(Flags::DIRTY_CAS);
    cx.add_ok();
}
