//! redis.conf directives as rows, shared by the parser and CONFIG.

use crate::conf::{ConfError, ConfWarning, Directive};

/// A server's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {}

impl Config {
    /// The defaults of Redis 7.0 with `directives` applied in order.
    ///
    /// # Errors
    /// Every directive that is unknown or has a bad value.
    pub fn from_directives(_directives: &[Directive]) -> Result<(Config, Vec<ConfWarning>), Vec<ConfError>> {
        Ok((Config {}, Vec::new()))
    }
}
