//! One line for each event: time, node, what. The same rendering everywhere.

use std::fmt::Write as _;

use super::Event;

/// The event as a line without its newline; `name` is the node's name, or `--` for the world.
#[must_use]
pub fn line(event: &Event, name: &str) -> String {
    let mut out = String::with_capacity(96);
    write!(out, "{:>12}  {name:<8}  {}", event.at, event.kind).expect("writing to a string cannot fail");
    out
}
