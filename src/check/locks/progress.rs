//! Whether everybody who wants a lock gets it, how long that takes, and who is passed over.

use std::collections::BTreeMap;

use super::{Belief, Case, Want};
use crate::check::latency::Histogram;
use crate::check::metrics::span;
use crate::check::{Findings, Value, Values, Verdict};
use crate::id::NodeId;
use crate::time::{Instant, Span};

/// Whoever is overtaken so often while it waits is starved.
const STARVED: u64 = 10;

/// A lock that somebody wants and nobody has.
#[derive(Clone, Copy, Debug, Default)]
struct Stuck {
    longest: Span,
    /// Since when, at the end.
    open: Option<Instant>,
}

/// Locks are got in the end, by everybody.
pub(super) fn judge(case: &Case<'_>, metrics: &mut Values, _findings: &mut Findings) -> Verdict {
    let Case { context, book, end } = *case;
    let wants: Vec<&Want> = book.wants.iter().filter(|want| want.from.at < end).collect();
    times(&wants, end, metrics);
    let overtaken = overtaken(&wants, &book.beliefs, end);
    let starved: Vec<&(u64, &Want)> = overtaken.iter().filter(|(times, _)| *times >= STARVED).collect();
    metrics.insert("lock.overtaken-max", Value::Count(overtaken.iter().map(|(times, _)| *times).max().unwrap_or(0)));
    metrics.insert("lock.starved", Value::Count(starved.len() as u64));
    metrics.insert("lock.fairness", fairness(&wants));
    let stuck = stuck(&wants, &book.beliefs, end);
    let patience = wants.iter().filter_map(|want| want.ttl).max().unwrap_or(Span::ZERO).times(2);
    let dead = stuck.open.filter(|&since| end.since(since) > patience);
    metrics.insert("lock.stuck-max", Value::time(stuck.longest));
    metrics.insert("lock.deadlock", Value::Bool(dead.is_some()));
    if let Some(since) = dead {
        let waiting = wants.iter().filter(|want| want.acquired.is_none() && want.ended.is_none());
        return Verdict::Fail {
            why: format!(
                "nobody has had the lock since {:.3}s and somebody wants it, for {}: it will never be free",
                since.as_secs_f64(),
                span(end.since(since))
            ),
            witness: waiting.map(|want| want.from.event).collect(),
        };
    }
    match starved.first() {
        None => Verdict::Pass,
        Some((times, want)) => Verdict::Fail {
            why: format!(
                "{} wanted {} from {:.3}s on, and others got it {times} times before it did",
                context.name(want.client),
                want.lock,
                want.from.at.as_secs_f64()
            ),
            witness: starved.iter().map(|(_, want)| want.from.event).collect(),
        },
    }
}

/// How long it took, and how often it came to nothing.
fn times(wants: &[&Want], end: Instant, metrics: &mut Values) {
    let mut histogram = Histogram::default();
    let (mut got, mut missed, mut longest) = (0, 0, Span::ZERO);
    for want in wants {
        let until = want.acquired.or(want.ended).map_or(end, |mark| mark.at).min(end);
        let waited = until.since(want.from.at);
        longest = longest.max(waited);
        if want.acquired.is_some_and(|mark| mark.at <= end) {
            got += 1;
            histogram.add(waited);
        } else if want.ended.is_some_and(|mark| mark.at <= end) {
            missed += 1;
        }
    }
    metrics.insert("lock.acquired", Value::Count(got));
    metrics.insert("lock.given-up", Value::Count(missed));
    metrics.insert("lock.success-rate", Value::ratio(got, got + missed));
    metrics.insert("lock.acquire-time", Value::time_or_absent(histogram.quantile(500)));
    metrics.insert("lock.acquire-time-p99", Value::time_or_absent(histogram.quantile(990)));
    metrics.insert("lock.acquire-time-max", Value::time_or_absent(histogram.max()));
    metrics.insert("lock.wait-max", Value::time(longest));
}

/// For each want how often others got the lock meanwhile.
fn overtaken<'a>(wants: &[&'a Want], beliefs: &[Belief], end: Instant) -> Vec<(u64, &'a Want)> {
    let mut got: BTreeMap<&str, Vec<(Instant, NodeId)>> = BTreeMap::new();
    for belief in beliefs {
        got.entry(&belief.lock).or_default().push((belief.from.at, belief.client));
    }
    let count = |want: &&'a Want| {
        let until = want.acquired.or(want.ended).map_or(end, |mark| mark.at).min(end);
        let all = got.get(&*want.lock).map_or(&[][..], Vec::as_slice);
        let (from, to) = (all.partition_point(|got| got.0 < want.from.at), all.partition_point(|got| got.0 < until));
        let others = all[from..to.max(from)].iter().filter(|got| got.1 != want.client).count();
        (others as u64, *want)
    };
    wants.iter().map(count).collect()
}

/// Jain's index of how evenly clients got locks: 1 when all got as many, 1/n when one got all.
#[allow(clippy::cast_precision_loss, reason = "a result for people; counts stay far below 2^53")]
fn fairness(wants: &[&Want]) -> Value {
    let mut got: BTreeMap<NodeId, u64> = BTreeMap::new();
    for want in wants {
        *got.entry(want.client).or_default() += u64::from(want.acquired.is_some());
    }
    let (sum, squares) = got.values().fold((0, 0), |(sum, squares), n| (sum + n, squares + n * n));
    if squares == 0 {
        return Value::Absent;
    }
    Value::Number((sum * sum) as f64 / (got.len() as u64 * squares) as f64)
}

/// The longest time in which a lock was wanted by somebody and held by nobody.
fn stuck(wants: &[&Want], beliefs: &[Belief], end: Instant) -> Stuck {
    // Steps of two counters over time, for each lock.
    let mut steps: BTreeMap<&str, Vec<(Instant, i32, i32)>> = BTreeMap::new();
    for want in wants {
        let list = steps.entry(&want.lock).or_default();
        list.push((want.from.at, 1, 0));
        list.extend(want.acquired.or(want.ended).map(|mark| (mark.at, -1, 0)));
    }
    for belief in beliefs {
        let list = steps.entry(&belief.lock).or_default();
        list.push((belief.from.at, 0, 1));
        list.extend(belief.to.map(|mark| (mark.at, 0, -1)));
    }
    let mut all = Stuck::default();
    for list in steps.values_mut() {
        list.sort_by_key(|step| step.0);
        let (mut wanting, mut holding, mut since) = (0, 0, None);
        for (index, &(at, want, hold)) in list.iter().enumerate().take_while(|(_, step)| step.0 <= end) {
            (wanting, holding) = (wanting + want, holding + hold);
            if list.get(index + 1).is_some_and(|next| next.0 == at) {
                continue;
            }
            let stuck = wanting > 0 && holding == 0;
            match since {
                None if stuck => since = Some(at),
                Some(from) if !stuck => {
                    all.longest = all.longest.max(at.since(from));
                    since = None;
                }
                Some(_) | None => {}
            }
        }
        if let Some(from) = since {
            all.longest = all.longest.max(end.since(from));
            all.open = Some(all.open.map_or(from, |open| open.min(from)));
        }
    }
    all
}
