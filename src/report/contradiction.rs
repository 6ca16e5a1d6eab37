//! A contradiction in words: the operations as a table, and what has no place.

use super::table::{Align, Table};
use crate::check::linearizable::{Contradiction, Place};

/// Operations that the table has at most: the last ones.
const ROWS: usize = 40;

/// A text of at most `room` characters: what is left out is in its middle.
#[must_use]
pub fn shorten(text: &str, room: usize) -> String {
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    let tail = room / 2;
    let head: String = text.chars().take(room - tail - 1).collect();
    let tail: String = text.chars().skip(count - tail).collect();
    format!("{head}…{tail}")
}

/// What has no place, and what is there instead.
#[must_use]
pub fn held(found: &Contradiction) -> String {
    let Some(blocked) = found.blocked() else { return "no order exists".to_owned() };
    let what = format!("{} of {} has no place", shorten(&blocked.what, 60), blocked.process);
    match found.held() {
        Some(held) => format!("{what}: the longest order without it ends with {}", shorten(held, 60)),
        None => format!("{what}: nothing can come before it"),
    }
}

/// Where a call or return is: its time, its line, or its place in the order.
fn place(place: Place) -> String {
    match place.at {
        Some(ns) => format!("{}.{:06}s", ns / 1_000_000_000, ns / 1_000 % 1_000_000),
        None if place.line > 0 => format!("line {}", place.line),
        None => format!("#{}", place.order),
    }
}

/// The lines for a terminal.
#[must_use]
pub fn lines(found: &Contradiction) -> Vec<String> {
    let mut out = Vec::new();
    let key = found.key.as_ref().map_or(String::new(), |key| format!("key {key}: "));
    let many = found.operations.len();
    out.push(format!("{key}{}", found.size()));
    if let Some(start) = &found.start {
        out.push(format!("everything before leads to {}", shorten(start, 70)));
    }
    if found.operations.iter().any(|shown| !shown.counts) {
        out.push("those with a \"?\" may have happened then or not: it makes no difference".to_owned());
    }
    if found.others > 0 {
        out.push(format!("nor do {} others that are not shown", found.others));
    }
    if found.thinned {
        out.push("what plays no part is left out of what was read".to_owned());
    }
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Left]);
    table.row(["process", "operation", "called", "returned", "order", "then"]);
    let skipped = many.saturating_sub(ROWS);
    for shown in &found.operations[skipped..] {
        let order = match shown.order {
            Some(order) if !shown.counts => format!("{order}?"),
            Some(order) => order.to_string(),
            None if shown.blocked => "✘".to_owned(),
            None if !shown.counts => "?".to_owned(),
            None => String::new(),
        };
        table.row([
            &shown.process,
            &shorten(&shown.what, 48),
            &place(shown.call),
            &shown.ret.map_or_else(|| "…".to_owned(), place),
            &order,
            &shown.after.as_ref().map_or_else(String::new, |after| shorten(after, 32)),
        ]);
    }
    if skipped > 0 {
        out.push(format!("the last {ROWS} of them:"));
    }
    out.push(String::new());
    out.extend(table.lines().into_iter().map(|line| format!("  {line}")));
    out.push(String::new());
    out.push(held(found));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_keep_both_ends() {
        assert_eq!(shorten("abcdefghij", 10), "abcdefghij");
        assert_eq!(shorten("abcdefghijk", 7), "abc…ijk");
    }
}
