//! Simulated applications: nodes that talk to Redis as real client libraries do and record every operation.

pub mod config;

use config::ClientConfig;

use crate::node::{DiskImage, Init, Input, Node, Outbox};
use crate::time::{Instant, Now};

/// One application process.
#[derive(Clone, Debug)]
pub struct Client {
    init: Init,
    config: ClientConfig,
}

impl Client {
    /// A client that does what `config` says, once started.
    #[must_use]
    pub fn new(init: Init, config: ClientConfig) -> Client {
        Client { init, config }
    }
}

impl Node for Client {
    fn start(&mut self, _now: Now, _disk: &DiskImage, _out: &mut Outbox) {
        let _ = (&self.init, &self.config);
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
