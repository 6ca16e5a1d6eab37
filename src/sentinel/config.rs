//! sentinel.conf directives and Sentinel's timing constants.

use crate::conf::{ConfError, ConfWarning, Directive};

/// A sentinel's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {}

impl Config {
    /// The defaults of Redis 7.0 with `directives` applied in order (`sentinel monitor …` is a directive named
    /// `sentinel` whose first argument is `monitor`).
    ///
    /// # Errors
    /// Every directive that is unknown or has a bad value.
    pub fn from_directives(_directives: &[Directive]) -> Result<(Config, Vec<ConfWarning>), Vec<ConfError>> {
        Ok((Config {}, Vec::new()))
    }
}
