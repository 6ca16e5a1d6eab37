//! What HRANDFIELD, SRANDMEMBER and ZRANDMEMBER share: their arguments, and the picking.

use std::collections::BTreeSet;

use crate::rng::Rng;
use crate::server::call::Cx;

/// A reply with more elements than this is not built: a real server builds it until its memory or the client's output limit is
/// exhausted.
const PICKS_MAX: u64 = 1 << 24;
/// An element is no shorter than this.
const ELEMENT_LEAST: u64 = 6;

/// The count at argument 2, and whether the word follows it. `None`: an error was answered.
pub(super) fn arguments(cx: &mut Cx<'_>, word: Option<&str>) -> Option<(i64, bool)> {
    let count = cx.ranged_arg(2, -i64::MAX, i64::MAX, None)?;
    let len = cx.args.len();
    let with = word.is_some_and(|word| len == 4 && cx.arg_is(3, word));
    if len > 4 || len == 4 && !with {
        cx.add_syntax_error();
        return None;
    }
    if with && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        cx.add_error("ERR value is out of range");
        return None;
    }
    Some((count, with))
}

/// There would be too many repetitions: the client's output limit ends it, or it is told.
pub(super) fn overflows(cx: &mut Cx<'_>, count: i64) -> bool {
    if count >= 0 || count.unsigned_abs() <= PICKS_MAX {
        return false;
    }
    if !cx.s.overflows_output(cx.fd, PICKS_MAX * ELEMENT_LEAST) {
        cx.add_error("ERR value is out of range");
    }
    true
}

/// So many random elements of a collection that isn't empty: with repetitions when the count is negative, all when it has no more.
pub(super) fn pick<T: Clone>(
    rng: &mut Rng,
    count: i64,
    size: usize,
    one: impl Fn(&mut Rng) -> T,
    all: impl FnOnce() -> Vec<T>,
    key: impl Fn(&T) -> &[u8],
) -> Vec<T> {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 || wanted == 1 {
        return (0..wanted).map(|_| one(rng)).collect();
    }
    if wanted >= size {
        return all();
    }
    if wanted.saturating_mul(3) > size {
        // Nearly all: those that stay are drawn one after the other.
        let mut rest = all();
        for place in 0..wanted {
            let other = place + usize::try_from(rng.below((size - place) as u64)).expect("below a length");
            rest.swap(place, other);
        }
        rest.truncate(wanted);
        return rest;
    }
    let (mut picked, mut seen) = (Vec::with_capacity(wanted), BTreeSet::new());
    while picked.len() < wanted {
        let next = one(rng);
        if seen.insert(key(&next).to_vec()) {
            picked.push(next);
        }
    }
    picked
}
