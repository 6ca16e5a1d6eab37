//! redis-sentinel as a state machine.

pub mod config;

use crate::id::EventId;
use crate::node::{DiskImage, Init, Input, Node, Outbox};
use crate::time::{Instant, Now};

/// A redis-sentinel process.
#[derive(Clone, Debug)]
pub struct Sentinel {
    init: Init,
    config: config::Config,
    cause: EventId,
}

impl Sentinel {
    /// A process that has not begun yet.
    #[must_use]
    pub fn new(init: Init, config: config::Config) -> Sentinel {
        Sentinel { init, config, cause: EventId::NONE }
    }
}

impl Node for Sentinel {
    fn start(&mut self, _now: Now, _disk: &DiskImage, out: &mut Outbox) {
        self.cause = out.cause();
        out.listen(self.config.port.min(self.init.addr.port));
    }

    fn handle(&mut self, _now: Now, _input: Input, _out: &mut Outbox) {}

    fn wake_at(&self) -> Option<Instant> {
        None
    }

    fn probe(&self, _now: Now, _out: &mut Outbox) {}

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}
