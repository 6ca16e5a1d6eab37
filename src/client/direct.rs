//! Servers known by address: one, or any of a list.

use crate::id::Addr;
use crate::rng::Rng;

/// One of `servers`, all alike; `None` of an empty list.
pub(crate) fn choose(servers: &[Addr], rng: &mut Rng) -> Option<Addr> {
    match servers {
        [only] => Some(*only),
        _ => usize::try_from(rng.below(servers.len() as u64)).ok().and_then(|index| servers.get(index).copied()),
    }
}
