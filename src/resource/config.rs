//! What a protected resource is told. Plain data, made by the scenario.

use crate::rng::Dist;

/// One resource.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceConfig {
    /// It refuses writes without a fencing token, and those with an older one than it has seen.
    pub checks_fencing: bool,
    /// How long a write takes it.
    pub takes: Dist,
}
