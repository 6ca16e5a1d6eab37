//! SIGTERM and SHUTDOWN: waiting for replicas, saving, leaving (`prepareForShutdown`, `finishShutdown`).

use super::Server;
use crate::node::{Outbox, Signal};
use crate::time::Instant;

impl Server {
    pub(crate) fn on_signal(&mut self, _signal: Signal, _out: &mut Outbox) {}

    pub(crate) fn shutdown_cron(&mut self, _out: &mut Outbox) {}

    pub(crate) fn shutdown_need(&self) -> Option<Instant> {
        None
    }
}
