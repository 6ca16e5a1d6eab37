//! Locks: is there ever more than one holder, does the resource see it, are tokens in order, and does everybody get on?

pub mod book;
mod progress;

pub use book::{Belief, Book, Want, Wrote};
pub use progress::LockProgress;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Context;
use super::findings::{LockOverlap, Mark, StaleWrite};
use super::metrics::span;
use super::{Checker, Family, Findings, Value, Values, Verdict};
use crate::id::NodeId;
use crate::time::{Instant, Span};
use crate::trace::Event;

/// Until when locks are judged: the watched duration.
fn end_of(context: &Context) -> Instant {
    context.settled.unwrap_or(context.last.1)
}

/// Two clients never believe at the same time that they hold the same lock.
#[derive(Clone, Debug, Default)]
pub struct MutualExclusion;

impl Checker for MutualExclusion {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "mutual-exclusion"
    }

    fn wants(&self, _family: Family) -> bool {
        false
    }

    fn see(&mut self, _event: &Event, _context: &Context) {}

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        let book = &context.locks;
        if book.is_empty() {
            return Verdict::Pass;
        }
        let end = end_of(context);
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
                    more(overlaps.len(), "time")
                ),
                witness: overlaps.iter().flat_map(|overlap| [overlap.from.event, overlap.to.event]).collect(),
            },
        };
        findings.lock_overlaps = overlaps;
        verdict
    }
}

/// `, and 3 more times`, or nothing.
fn more(count: usize, what: &str) -> String {
    match count.saturating_sub(1) {
        0 => String::new(),
        1 => format!(", and 1 more {what}"),
        n => format!(", and {n} more {what}s"),
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
#[derive(Clone, Debug, Default)]
pub struct ProtectedWrites;

impl Checker for ProtectedWrites {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "protected-writes"
    }

    fn wants(&self, _family: Family) -> bool {
        false
    }

    fn see(&mut self, _event: &Event, _context: &Context) {}

    fn finish(&mut self, context: &Context, metrics: &mut Values, findings: &mut Findings) -> Verdict {
        let book = &context.locks;
        if book.is_empty() {
            return Verdict::Pass;
        }
        let end = end_of(context);
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
                    more(findings.stale_writes.len(), "time")
                ),
                witness: findings.stale_writes.iter().map(|write| write.at.event).collect(),
            },
        }
    }
}

/// Fencing tokens grow: who asks for one after somebody else got the lock gets a larger one.
#[derive(Clone, Debug, Default)]
pub struct Fencing;

impl Checker for Fencing {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }

    fn name(&self) -> &'static str {
        "fencing"
    }

    fn wants(&self, _family: Family) -> bool {
        false
    }

    fn see(&mut self, _event: &Event, _context: &Context) {}

    fn finish(&mut self, context: &Context, metrics: &mut Values, _findings: &mut Findings) -> Verdict {
        let book = &context.locks;
        if book.is_empty() {
            return Verdict::Pass;
        }
        let end = end_of(context);
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
        match wrong.first() {
            None => Verdict::Pass,
            Some((first, second)) => Verdict::Fail {
                why: format!(
                    "{} got the fencing token {} after {} had got {}{}",
                    context.name(second.client),
                    second.fencing.unwrap_or(0),
                    context.name(first.client),
                    first.fencing.unwrap_or(0),
                    more(wrong.len(), "time")
                ),
                witness: wrong.iter().flat_map(|(first, second)| [first.from.event, second.from.event]).collect(),
            },
        }
    }
}
