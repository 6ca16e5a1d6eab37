//! ROLE, REPLICAOF, REPLCONF, PSYNC, SYNC, WAIT, FAILOVER.

use super::flag::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, STALE};
use super::{Spec, row};
use crate::resp::{lossless, parse_i64, split_args};
use crate::server::call::Cx;
use crate::server::replication::link::Link;
use crate::server::replication::{self, failover, link, wait};
use crate::server::session::Flags;

/// The rows of this group.
pub(crate) const SPECS: &[Spec] = &[
    row("role", 1, NOSCRIPT | LOADING | STALE | FAST, (0, 0, 0), "@admin @fast @dangerous", role),
    row("replicaof", 3, ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, (0, 0, 0), "@admin @slow @dangerous", replicaof),
    row("slaveof", 3, ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, (0, 0, 0), "@admin @slow @dangerous", replicaof),
    row(
        "replconf",
        -1,
        ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY,
        (0, 0, 0),
        "@admin @slow @dangerous",
        replconf,
    ),
    row("psync", -3, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, (0, 0, 0), "@admin @slow @dangerous", psync),
    row("sync", 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, (0, 0, 0), "@admin @slow @dangerous", psync),
    row("wait", 3, NOSCRIPT, (0, 0, 0), "@slow @connection", wait_command),
    row("failover", -1, ADMIN | NOSCRIPT | STALE, (0, 0, 0), "@admin @slow @dangerous", failover_command),
];

/// Longest address that REPLCONF takes (`NET_HOST_STR_LEN`).
const ADDRESS_MAX: usize = 256;

fn role(cx: &mut Cx<'_>) {
    let repl = &cx.s.repl;
    let Some(follows) = repl.follows.clone() else { return role_of_master(cx) };
    let state = replication::role_state(&repl.link);
    let applied = if let Link::Connected(master) = &repl.link { as_i64(master.applied) } else { -1 };
    cx.add_array(5);
    cx.add_bulk(b"slave");
    cx.add_bulk(follows.host.as_bytes());
    cx.add_integer(i64::from(follows.port));
    cx.add_bulk(state.as_bytes());
    cx.add_integer(applied);
}

fn role_of_master(cx: &mut Cx<'_>) {
    let offset = as_i64(cx.s.repl.offset());
    let mut replicas = Vec::new();
    for replica in cx.s.repl.replicas.iter().filter(|replica| replica.is_online()) {
        if let Some(session) = cx.s.sessions.get(replica.fd) {
            replicas.push((replica.address(session), replica.announced.port, replica.acked));
        }
    }
    cx.add_array(3);
    cx.add_bulk(b"master");
    cx.add_integer(offset);
    cx.add_array(replicas.len());
    for (address, port, acked) in replicas {
        cx.add_array(3);
        cx.add_bulk(address.as_bytes());
        cx.add_bulk(port.to_string().as_bytes());
        cx.add_bulk(acked.to_string().as_bytes());
    }
}

fn as_i64(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

impl Cx<'_> {
    /// A line that names the client whose command it is.
    fn log_asked(&mut self, text: impl FnOnce(&str) -> String) {
        let (s, args) = (&*self.s, self.args);
        let session = s.sessions.at(self.fd);
        s.notice(self.out, || text(&s.describe_client(session, Some(args))));
    }
}

fn replicaof(cx: &mut Cx<'_>) {
    if cx.s.repl.failover.is_under_way() {
        return cx.add_error("ERR REPLICAOF not allowed while failing over.");
    }
    // A real server with a master lets a replica's own link say NO ONE, and frees that link under itself.
    let frees_itself = cx.session().flags.has(Flags::REPLICA) && !cx.s.repl.is_master();
    if cx.arg_is(1, "no") && cx.arg_is(2, "one") && !frees_itself {
        if replication::become_master(cx.s, cx.out) {
            cx.log_asked(|who| format!("MASTER MODE enabled (user request from '{who}')"));
        }
        return cx.add_ok();
    }
    if cx.session().flags.has(Flags::REPLICA) {
        return cx.add_error("ERR Command is not valid when client is a replica.");
    }
    let Some(port) = cx.int_arg_or(2, "ERR Invalid master port") else { return };
    let Ok(port) = u16::try_from(port) else { return cx.add_error("ERR Invalid master port") };
    let args = cx.args;
    let host = String::from_utf8_lossy(args.get(1)).into_owned();
    let same = cx.s.repl.follows.as_ref();
    if same.is_some_and(|follows| follows.host.eq_ignore_ascii_case(&host) && follows.port == port) {
        cx.s.notice(cx.out, || {
            "REPLICAOF would result into synchronization with the master we are already connected with. No operation \
             performed."
                .to_owned()
        });
        return cx.add_simple(b"OK Already connected to specified master");
    }
    replication::become_replica_of(cx.s, &host, port, cx.out);
    cx.log_asked(|who| format!("REPLICAOF {host}:{port} enabled (user request from '{who}')"));
    cx.add_ok();
}

fn replconf(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.len().is_multiple_of(2) {
        return cx.add_syntax_error();
    }
    for i in (1..args.len()).step_by(2) {
        if cx.arg_is(i, "ack") {
            if let (true, Some(offset)) = (cx.session().flags.has(Flags::REPLICA), parse_i64(args.get(i + 1))) {
                wait::acknowledge(cx.s, cx.fd, offset, cx.out);
            }
            return;
        } else if cx.arg_is(i, "getack") {
            if cx.s.repl.link_up() {
                let answers_master = cx.session().flags.has(Flags::MASTER);
                link::send_ack(cx.s);
                if answers_master {
                    cx.session_mut().flags.set(Flags::FORCE_REPLY);
                }
            }
            return;
        } else if !announce(cx, i) {
            return;
        }
    }
    replication::announcement_changed(cx.s, cx.fd);
    cx.add_ok();
}

/// One pair of REPLCONF that says something of the connection; false when it was answered by an error.
fn announce(cx: &mut Cx<'_>, i: usize) -> bool {
    let args = cx.args;
    let value = args.get(i + 1);
    if cx.arg_is(i, "listening-port") {
        let Some(port) = cx.int_arg(i + 1) else { return false };
        cx.session_mut().announced.get_or_insert_default().port = u64::try_from(port).unwrap_or(0);
    } else if cx.arg_is(i, "ip-address") {
        if value.len() >= ADDRESS_MAX {
            let text =
                format!("ERR REPLCONF ip-address provided by replica instance is too long: {} bytes", value.len());
            cx.add_error(&text);
            return false;
        }
        cx.session_mut().announced.get_or_insert_default().address = Some(args.bytes(i + 1));
    } else if cx.arg_is(i, "capa") {
        let (eof, psync2) = (cx.arg_is(i + 1, "eof"), cx.arg_is(i + 1, "psync2"));
        let announced = cx.session_mut().announced.get_or_insert_default();
        announced.eof |= eof;
        announced.psync2 |= psync2;
    } else if cx.arg_is(i, "rdb-only") {
        let Some(flag) = cx.int_arg(i + 1) else { return false };
        if !(0..=1).contains(&flag) {
            cx.add_error("ERR value is out of range, value must between 0 and 1");
            return false;
        }
        cx.session_mut().announced.get_or_insert_default().rdb_only = flag == 1;
    } else if cx.arg_is(i, "rdb-filter-only") {
        return announce_filter(cx, value);
    } else {
        cx.add_error(&format!("ERR Unrecognized REPLCONF option: {}", lossless(args.get(i))));
        return false;
    }
    true
}

fn announce_filter(cx: &mut Cx<'_>, value: &[u8]) -> bool {
    let Some(words) = split_args(value) else {
        cx.add_error("ERR Missing rdb-filter-only values");
        return false;
    };
    let filter = &mut cx.session_mut().announced.get_or_insert_default().filter;
    (filter.exclude_data, filter.exclude_functions) = (true, true);
    for word in words {
        if !word.eq_ignore_ascii_case(b"functions") {
            let text = format!("ERR Unsupported rdb-filter-only option: {}", lossless(&word));
            cx.add_error(&text);
            return false;
        }
        cx.session_mut().announced.get_or_insert_default().filter.exclude_functions = false;
    }
    true
}

/// PSYNC and SYNC (`syncCommand`).
fn psync(cx: &mut Cx<'_>) {
    if cx.session().flags.has(Flags::REPLICA.with(Flags::MONITOR)) {
        return;
    }
    let is_psync = cx.command.spec.name == "psync";
    if is_psync && cx.args.len() > 3 && cx.arg_is(3, "failover") {
        let args = cx.args;
        cx.s.warn(cx.out, || format!("Failover request received for replid {}.", String::from_utf8_lossy(args.get(1))));
        if cx.s.repl.is_master() {
            return cx.add_error("ERR PSYNC FAILOVER can't be sent to a master.");
        }
        if !args.get(1).eq_ignore_ascii_case(&cx.s.repl.replid.hex()) {
            return cx.add_error("ERR PSYNC FAILOVER replid must match my replid.");
        }
        replication::become_master(cx.s, cx.out);
        cx.log_asked(|who| format!("MASTER MODE enabled (failover request from '{who}')"));
    }
    if cx.s.repl.failover.is_under_way() {
        return cx.add_error("NOMASTERLINK Can't SYNC while failing over");
    }
    if cx.s.repl.stale() {
        return cx.add_error("NOMASTERLINK Can't SYNC while not connected with my master");
    }
    if !cx.session().reply.is_empty() {
        return cx.add_error("ERR SYNC and PSYNC are invalid with pending output");
    }
    let announced = cx.session().announced.as_deref();
    if announced.is_some_and(|announced| announced.filter.is_set() && !announced.eof) {
        return cx.add_error("ERR Filtered replica requires EOF capability");
    }
    if is_psync {
        let Some(offset) = cx.int_arg(2) else {
            return replication::log_wrong_offset(cx.s, cx.fd, cx.out);
        };
        replication::synchronise(cx.s, cx.fd, Some((cx.args.get(1), offset)), cx.out);
    } else {
        replication::synchronise(cx.s, cx.fd, None, cx.out);
    }
}

fn wait_command(cx: &mut Cx<'_>) {
    if !cx.s.repl.is_master() {
        return cx.add_error(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
             configured to be writable (which is not the default) writes to replicas are just local and are not \
             propagated.",
        );
    }
    let Some(replicas) = cx.int_arg(1) else { return };
    let Some(timeout) = cx.int_arg_or(2, "ERR timeout is not an integer or out of range") else { return };
    let Ok(timeout) = u64::try_from(timeout) else { return cx.add_error("ERR timeout is negative") };
    if let Some(acked) = wait::wait(cx.s, cx.fd, replicas, timeout) {
        cx.add_integer(as_i64(acked));
    }
}

fn failover_command(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.len() == 2 && cx.arg_is(1, "abort") {
        if !cx.s.repl.failover.is_under_way() {
            return cx.add_error("ERR No failover in progress.");
        }
        failover::abort(cx.s, "Failover manually aborted", cx.out);
        return cx.add_ok();
    }
    let (mut timeout, mut target, mut force) = (0, None, false);
    let mut i = 1;
    while i < args.len() {
        if cx.arg_is(i, "timeout") && i + 1 < args.len() && timeout == 0 {
            let Some(ms) = cx.int_arg(i + 1) else { return };
            let Some(ms) = u64::try_from(ms).ok().filter(|&ms| ms > 0) else {
                return cx.add_error("ERR FAILOVER timeout must be greater than 0");
            };
            timeout = ms;
            i += 1;
        } else if cx.arg_is(i, "to") && i + 2 < args.len() && target.is_none() {
            let Some(port) = cx.int_arg(i + 2) else { return };
            let host = String::from_utf8_lossy(args.get(i + 1)).into_owned();
            target = Some((host, u64::try_from(port).unwrap_or(u64::MAX)));
            i += 2;
        } else if cx.arg_is(i, "force") && !force {
            force = true;
        } else {
            return cx.add_syntax_error();
        }
        i += 1;
    }
    if cx.s.repl.failover.is_under_way() {
        return cx.add_error("ERR FAILOVER already in progress.");
    }
    if !cx.s.repl.is_master() {
        return cx.add_error("ERR FAILOVER is not valid when server is a replica.");
    }
    if cx.s.repl.replicas.is_empty() {
        return cx.add_error("ERR FAILOVER requires connected replicas.");
    }
    if force && (timeout == 0 || target.is_none()) {
        return cx.add_error("ERR FAILOVER with force option requires both a timeout and target HOST and IP.");
    }
    match failover::begin(cx.s, target, timeout, force, cx.out) {
        Ok(()) => cx.add_ok(),
        Err(text) => cx.add_error(text),
    }
}
