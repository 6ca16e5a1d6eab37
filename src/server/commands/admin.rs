//! INFO, CONFIG, COMMAND, DEBUG, SHUTDOWN, saving, time.

use super::flag::{LOADING, STALE};
use super::{Spec, row};
use crate::server::call::Cx;

/// The rows of this group.
pub const SPECS: &[Spec] = &[row("info", -1, LOADING | STALE, (0, 0, 0), "@slow @dangerous", info)];

fn info(cx: &mut Cx<'_>) {
    cx.add_bulk(b"# Server\r\nredis_version:7.0.15\r\n");
}
