//! What a server that is no cluster node says about clusters.

use super::flag::{FAST, LOADING, STALE};
use super::{Spec, row};
use crate::server::call::Cx;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("cluster", -2, 0, (0, 0, 0), "@slow", no_cluster),
    row("readonly", 1, LOADING | STALE | FAST, (0, 0, 0), "@fast @connection", no_cluster),
    row("readwrite", 1, LOADING | STALE | FAST, (0, 0, 0), "@fast @connection", no_cluster),
    row("asking", 1, FAST, (0, 0, 0), "@fast @connection", no_cluster),
];

/// Part of Redis, but not of this server.
pub(super) fn not_modelled(cx: &mut Cx<'_>) {
    let name = cx.command.spec.name.replace('|', " ").to_ascii_uppercase();
    cx.add_error(&format!("ERR {name} is not modelled"));
}

fn no_cluster(cx: &mut Cx<'_>) {
    cx.add_error("ERR This instance has cluster support disabled");
}
