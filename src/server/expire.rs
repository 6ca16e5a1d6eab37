//! The active expire cycle: keys that nobody reads are removed too (`expire.c`).

use super::Server;
use crate::node::Outbox;
use crate::time::Instant;

/// The slow cycle of a tick.
pub(crate) fn slow_cycle(_s: &mut Server, _out: &mut Outbox) {}

/// When the slow cycle has work.
pub(crate) fn slow_need(_s: &Server) -> Option<Instant> {
    None
}
