//! Lost writes in a sentence: who took them, what destroyed them, and since when they were doomed.

use crate::check::Findings;
use crate::check::findings::{DestroyedHow, Fork, LostGroup};
use crate::check::metrics::thousands;
use crate::time::Instant;

fn clock(at: Instant) -> String {
    format!("{:.3}s", at.as_secs_f64())
}

/// One group's story.
#[must_use]
pub fn sentence(findings: &Findings, group: &LostGroup) -> String {
    let server = findings.name(Some(group.server));
    let many = group.count > 1;
    let writes = if many { "writes" } else { "write" };
    let when = if many {
        format!("from {} to {}", clock(group.acked.0), clock(group.acked.1))
    } else {
        format!("at {}", clock(group.acked.0))
    };
    let fork = group.fork.as_ref();
    let mut text = format!("{} {writes} that {server} acknowledged {when}", thousands(group.count));
    text.push_str(&match group.offsets {
        // Without a backlog a master counts nothing, for nobody follows it.
        (_, 0) => " (no offset: it had no backlog)".to_owned(),
        (0, high) => format!(" (offsets up to {high}, the first before it had a backlog)"),
        (one, other) if one == other => format!(" (offset {one})"),
        (low, high) => format!(" (offsets {low} to {high})"),
    });
    text.push_str(&doom(findings, group, server));
    if let Some(fork) = fork {
        text.push_str(&forked(findings, group, fork));
    }
    text
}

fn doom(findings: &Findings, group: &LostGroup, server: &str) -> String {
    let (them, were) = if group.count > 1 { ("them", "were") } else { ("it", "was") };
    let at = group.destroyed.at.map_or("an unknown time".to_owned(), |mark| clock(mark.at));
    match (group.destroyed.how, group.destroyed.by) {
        (DestroyedHow::FullSync, Some(master)) => {
            let master = findings.name(Some(master));
            format!(" {were} destroyed at {at}, when {server} took {master}'s dataset by a full resynchronisation.")
        }
        (DestroyedHow::FullSync, None) => {
            format!(" {were} destroyed at {at}, when {server} took another dataset by a full resynchronisation.")
        }
        (DestroyedHow::Restart, _) => {
            let keys = group.destroyed.keys.map_or(String::new(), |keys| format!(" ({keys} keys)"));
            let died =
                group.destroyed.died.map_or(String::new(), |mark| format!(", which died at {},", clock(mark.at)));
            format!(" {were} gone when {server}{died} came back without {them} at {at}{keys}.")
        }
        (DestroyedHow::NeverBack, _) => format!(" went down with {server} at {at}, before a survivor had {them}."),
        (DestroyedHow::Rewound, _) => format!(" {were} dropped when {server} left its history at {at}."),
        (DestroyedHow::Unknown, _) => format!(" {were} in no dataset at the end; the trace does not show how."),
    }
}

fn forked(findings: &Findings, group: &LostGroup, fork: &Fork) -> String {
    let (node, at, offset) = (findings.name(Some(fork.node)), clock(fork.mark.at), fork.offset);
    if group.acked.0 >= fork.mark.at {
        format!(" {node} had been master since {at} (offset {offset}).")
    } else {
        format!(" {node} became master at {at} with the history up to offset {offset} only.")
    }
}
