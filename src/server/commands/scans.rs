//! What HSCAN, SSCAN and ZSCAN share (`scanGenericCommand`).

use bytes::Bytes;
use smallvec::SmallVec;

use super::keys::{parse_cursor, scan_options};
use crate::server::call::Cx;
use crate::server::{cost, glob};

/// An element: a member, or a key with its value.
pub(super) type Element = SmallVec<[Bytes; 2]>;

/// The cursor at argument 2. `None`: an error was answered.
pub(super) fn cursor(cx: &mut Cx<'_>) -> Option<u64> {
    let cursor = parse_cursor(cx.args.get(2));
    if cursor.is_none() {
        cx.add_error("ERR invalid cursor");
    }
    cursor
}

/// The answer for a key that isn't there.
pub(super) fn add_empty(cx: &mut Cx<'_>) {
    cx.add_constant(b"*2\r\n$1\r\n0\r\n*0\r\n");
}

/// One step of an iteration: `step` moves the cursor of a table and collects what it passes; what isn't a table is
/// answered at once, by `all`.
pub(super) fn answer(
    cx: &mut Cx<'_>,
    cursor: u64,
    mut step: impl FnMut(u64, &mut Vec<Element>) -> Option<u64>,
    all: impl FnOnce() -> Vec<Element>,
) {
    let Some(options) = scan_options(cx, 3) else { return };
    let mut found = Vec::new();
    let mut steps = options.count.saturating_mul(10);
    let mut next = cursor;
    loop {
        let Some(moved) = step(next, &mut found) else {
            (next, found) = (0, all());
            break;
        };
        next = moved;
        if next == 0 || steps == 0 || found.len() >= options.count {
            break;
        }
        steps -= 1;
    }
    cx.s.meter.add(found.len() as u64 * cost::ELEMENT);
    if let Some(pattern) = options.pattern {
        found.retain(|element| glob::matches(pattern, &element[0], false));
    }
    cx.add_array(2);
    cx.add_bulk(next.to_string().as_bytes());
    cx.add_array(found.iter().map(|element| element.len()).sum());
    for text in found.into_iter().flatten() {
        cx.add_bulk(&text);
    }
}
