//! Pub/sub: who listens to what (`pubsub.c`).

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Server;
use crate::id::Fd;

/// What one session listens to.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    /// Channels.
    pub channels: BTreeSet<Bytes>,
    /// Patterns.
    pub patterns: BTreeSet<Bytes>,
}

impl Server {
    pub(crate) fn unsubscribe_all(&mut self, _fd: Fd) {}
}
