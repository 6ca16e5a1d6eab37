//! Locks: is there ever more than one holder, does the resource see it, are tokens in order, and does everybody get on?

pub mod book;
mod progress;

pub use book::{Belief, Book, Want, Wrote};

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Context;
use super::findings::{LockOverlap, Mark, StaleWrite, TokenBreak};
use super::metrics::span;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::NodeId;
use crate::time::{Instant, Span};
use crate::trace::Event;

/// A checker of locks: it judges what the book has at the end.
#[derive(Clone, Copy, Debug)]
pub struct LockChecker {
    name: &'static str,
    judge: fn(&Case<'_>, &mut Values, &mut Findings) -> Verdict,
}

/// What there is to judge.
struct Case<'a> {
    context: &'a Context,
    book: &'a Book,
    /// The end of the watched duration.
    end: Instant,
}

/// Each asks one question about locks.
pub const CHECKERS: [LockChecker; 4] = [
    LockChecker { name: "mutual-exclusion", judge: mutual_exclusion },
    LockChecker { name: "protected-writes", judge: protected_writes },
    LockChecker { name: "fencing", judge: fencing },
    LockChecker { name: "lock-progress", judge: progress::judge },
];

impl Checker for LockChecker {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(*self)
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn wants(&self, _family: Family) -> bool {
        false
    }

    fn see(&mut self, _event: &Event, _context: &Context) {}

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        let end = context.settled.unwrap_or(context.last.1);
        let case = Case { context, book: &context.locks, end };
        if case.book.is_empty() { Verdict::Pass } else { (self.judge)(&case, metrics, findings) }
    }
}

/// Two clients never believe at the same time that they hold the same lock.
fn mutual_exclusion(case: &Case<'_>, metrics: &mut Values, findings: &mut Findings) -> Verdict {
    let Case { context, book, end } = *case;
    let overlaps = overlaps(&book.beliefs, end);
    let stays: Vec<Span> = book.beliefs.iter().map(|belief| belief.overstay(end)).collect();
    let over = stays.iter().filter(|stay| **stay > Span::ZERO).count();
    metrics.insert("lock.violations", Value::Count(overlaps.len() as u64));
    metrics.insert("lock.violated", Value::Bool(!overlaps.is_empty()));
    metrics.insert("lock.violation-time", Value::time(covered(&overlaps)));
    metrics.insert("lock.overstayed", Value::Count(over as u64));
    metrics.insert("lock.overstay-max", Value::time(stays.into_iter().max().unwrap_or(Span::ZERO)));
    let verdict = match overlaps.first() {
        None => Verdict::Pass,
        Some(first) => Verdict::Fail {
            why: format!(
                "{} and {} both believed for {} from {:.3}s that they hold {}{}",
                context.name(first.holders[0]),
                context.name(first.holders[1]),
                span(first.to.at.since(first.from.at)),
                first.from.at.as_secs_f64(),
                first.lock,
                more(overlaps.len())
            ),
            witness: overlaps.iter().flat_map(|overlap| [overlap.from.event, overlap.to.event]).collect(),
        },
    };
    findings.lock_overlaps = overlaps;
    verdict
}

/// `, and 3 more times`, or nothing.
fn more(count: usize) -> String {
    match count.saturating_sub(1) {
        0 => String::new(),
        1 => ", and 1 more time".to_owned(),
        n => format!(", and {n} more times"),
    }
}

/// The times in which beliefs of different clients in one lock overlap, each pair once.
fn overlaps(beliefs: &[Belief], end: Instant) -> Vec<LockOverlap> {
    let mut out: Vec<LockOverlap> = Vec::new();
    // Beliefs come in order of their beginning, so only those that are not over matter.
    let mut current: Vec<usize> = Vec::new();
    for (index, late) in beliefs.iter().enumerate() {
        current.retain(|&early| beliefs[early].to.is_none_or(|to| to.at > late.from.at));
        for &early in &current {
            let early = &beliefs[early];
            if early.lock == late.lock && early.client != late.client {
                out.extend(overlap(early, late, end));
            }
        }
        current.push(index);
    }
    out.sort_by_key(|overlap| (overlap.from.at, overlap.from.event));
    out
}

fn overlap(early: &Belief, late: &Belief, end: Instant) -> Option<LockOverlap> {
    let (early_spans, late_spans) = (early.spans(end), late.spans(end));
    let pairs = early_spans.iter().flat_map(|one| late_spans.iter().map(move |other| (one, other)));
    let common = pairs.map(|(one, other)| (one.0.max(other.0), one.1.min(other.1))).filter(|(from, to)| from < to);
    let (from, to) = common.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))?;
    // The events that stand for the two ends: the later acquisition, and whichever belief ended first.
    let last = [early.to, late.to].into_iter().flatten().filter(|mark| mark.at >= to).min_by_key(|mark| mark.event);
    Some(LockOverlap {
        lock: Arc::clone(&late.lock),
        holders: [early.client, late.client],
        rounds: [early.round, late.round],
        from: Mark { at: from, event: late.from.event },
        to: Mark { at: to, event: last.map_or(late.from.event, |mark| mark.event) },
    })
}

/// How long there was any overlap at all.
fn covered(overlaps: &[LockOverlap]) -> Span {
    let (mut total, mut until) = (Span::ZERO, Instant::ZERO);
    for overlap in overlaps {
        total += overlap.to.at.since(overlap.from.at.max(until));
        until = until.max(overlap.to.at);
    }
    total
}

/// What the protected resource takes: after a write under a lock, no write of somebody who got the lock before that.
fn protected_writes(case: &Case<'_>, metrics: &mut Values, findings: &mut Findings) -> Verdict {
    let Case { context, book, end } = *case;
    let client = |name: &str| context.nodes.iter().find(|info| *info.name == *name).map(|info| info.node);
    // The newest acquisition under which something was written, for each resource and lock.
    let mut newest: BTreeMap<(NodeId, &str), (Mark, NodeId)> = BTreeMap::new();
    let (mut accepted, mut rejected) = (0, 0);
    for write in book.writes.iter().filter(|write| write.at.at <= end) {
        if !write.accepted {
            rejected += 1;
            continue;
        }
        accepted += 1;
        let Some(belief) = client(&write.client).and_then(|node| book.belief(node, write.round)) else { continue };
        let now = (belief.from, belief.client);
        let latest = newest.entry((write.resource, &write.lock)).or_insert(now);
        if latest.0.event > belief.from.event && latest.1 != belief.client {
            findings.stale_writes.push(StaleWrite {
                lock: Arc::clone(&write.lock),
                writer: belief.client,
                after: latest.1,
                at: write.at,
            });
        } else {
            *latest = now;
        }
    }
    metrics.insert("lock.writes", Value::Count(accepted));
    metrics.insert("lock.writes-rejected", Value::Count(rejected));
    metrics.insert("lock.writes-stale", Value::Count(findings.stale_writes.len() as u64));
    match findings.stale_writes.first() {
        None => Verdict::Pass,
        Some(first) => Verdict::Fail {
            why: format!(
                "{} wrote under {} at {:.3}s, after {} who had got the lock later{}",
                context.name(first.writer),
                first.lock,
                first.at.at.as_secs_f64(),
                context.name(first.after),
                more(findings.stale_writes.len())
            ),
            witness: findings.stale_writes.iter().map(|write| write.at.event).collect(),
        },
    }
}

/// Fencing tokens grow: who asks for one after somebody else got the lock gets a larger one.
fn fencing(case: &Case<'_>, metrics: &mut Values, findings: &mut Findings) -> Verdict {
    let Case { context, book, end } = *case;
    let mut wrong: Vec<(&Belief, &Belief)> = Vec::new();
    // For each lock the acquisitions so far, the largest token kept as one goes.
    let mut before: BTreeMap<&str, Vec<(Instant, &Belief)>> = BTreeMap::new();
    for belief in book.beliefs.iter().filter(|belief| belief.from.at <= end) {
        let Some(token) = belief.fencing else { continue };
        let asked = belief.fence_asked.unwrap_or(belief.from.at);
        let seen = before.entry(&belief.lock).or_default();
        let known = seen.partition_point(|(at, _)| *at < asked);
        let largest = known.checked_sub(1).map(|index| seen[index].1);
        if let Some(largest) = largest.filter(|largest| largest.fencing >= Some(token)) {
            wrong.push((largest, belief));
        }
        let largest = match seen.last() {
            Some(&(_, best)) if best.fencing >= Some(token) => best,
            Some(_) | None => belief,
        };
        seen.push((belief.from.at, largest));
    }
    metrics.insert("lock.fencing-violations", Value::Count(wrong.len() as u64));
    findings.token_breaks.extend(wrong.iter().map(|(first, second)| TokenBreak {
        lock: Arc::clone(&second.lock),
        holders: [first.client, second.client],
        rounds: [first.round, second.round],
        tokens: [first.fencing.unwrap_or(0), second.fencing.unwrap_or(0)],
        at: second.from,
    }));
    match wrong.first() {
        None => Verdict::Pass,
        Some((first, second)) => Verdict::Fail {
            why: format!(
                "{} got the fencing token {} after {} had got {}{}",
                context.name(second.client),
                second.fencing.unwrap_or(0),
                context.name(first.client),
                first.fencing.unwrap_or(0),
                more(wrong.len())
            ),
            witness: wrong.iter().flat_map(|(first, second)| [first.from.event, second.from.event]).collect(),
        },
    }
}
