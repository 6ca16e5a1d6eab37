//! ROLE, REPLICAOF, REPLCONF, PSYNC, SYNC, WAIT, FAILOVER.

use super::flag::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, STALE};
use super::{Spec, row};
use crate::server::call::Cx;

/// The rows of this group.
pub const SPECS: &[Spec] = &[
    row("role", 1, NOSCRIPT | LOADING | STALE | FAST, (0, 0, 0), "@admin @fast @dangerous", not_yet),
    row("replicaof", 3, ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, (0, 0, 0), "@admin @slow @dangerous", not_yet),
    row("slaveof", 3, ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, (0, 0, 0), "@admin @slow @dangerous", not_yet),
    row("replconf", -1, ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY, (0, 0, 0), "@admin @slow @dangerous", not_yet),
    row("psync", -3, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, (0, 0, 0), "@admin @slow @dangerous", not_yet),
    row("sync", 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, (0, 0, 0), "@admin @slow @dangerous", not_yet),
    row("wait", 3, NOSCRIPT, (0, 0, 0), "@slow @connection", not_yet),
    row("failover", -1, ADMIN | NOSCRIPT | STALE, (0, 0, 0), "@admin @slow @dangerous", not_yet),
];

fn not_yet(cx: &mut Cx<'_>) {
    cx.add_error("ERR replication commands are not available yet");
}
