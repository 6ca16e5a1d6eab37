//! Unions, intersections and differences of sorted sets and sets (`zunionInterDiffGenericCommand`).

use std::sync::Arc;

use super::flag::{DENYOOM, MOVABLE_KEYS, READONLY, WRITE};
use super::zset_ranges::{add_members, store};
use super::{Spec, row};
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::keyspace::packing::Packing;
use crate::server::keyspace::set::Set;
use crate::server::keyspace::zset::ZSet;
use crate::server::keyspace::{Element, Value};

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("zunion", -3, READONLY | MOVABLE_KEYS, (0, 0, 0), "@read @sortedset @slow", zunion),
    row("zunionstore", -4, WRITE | DENYOOM | MOVABLE_KEYS, (1, 1, 1), "@write @sortedset @slow", zunionstore),
    row("zinter", -3, READONLY | MOVABLE_KEYS, (0, 0, 0), "@read @sortedset @slow", zinter),
    row("zinterstore", -4, WRITE | DENYOOM | MOVABLE_KEYS, (1, 1, 1), "@write @sortedset @slow", zinterstore),
    row("zintercard", -3, READONLY | MOVABLE_KEYS, (0, 0, 0), "@read @sortedset @slow", zintercard),
    row("zdiff", -3, READONLY | MOVABLE_KEYS, (0, 0, 0), "@read @sortedset @slow", zdiff),
    row("zdiffstore", -4, WRITE | DENYOOM | MOVABLE_KEYS, (1, 1, 1), "@write @sortedset @slow", zdiffstore),
];

/// Which members the result has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Union,
    Inter,
    Diff,
}

/// What becomes of the members.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Answer,
    Store,
    Count,
}

/// A key's value, or nothing.
#[derive(Clone)]
enum Source {
    Absent,
    Set(Arc<Set>),
    ZSet(Arc<ZSet>),
}

impl Source {
    fn len(&self) -> usize {
        match self {
            Source::Absent => 0,
            Source::Set(set) => set.len(),
            Source::ZSet(set) => set.len(),
        }
    }

    /// A member's score; members of plain sets have 1.
    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Absent => None,
            Source::Set(set) => set.contains(member).then_some(1.0),
            Source::ZSet(set) => set.score(member),
        }
    }

    fn members(&self) -> Box<dyn Iterator<Item = (f64, Element)> + '_> {
        match self {
            Source::Absent => Box::new(std::iter::empty()),
            Source::Set(set) => Box::new(set.iter().map(|member| (1.0, member))),
            Source::ZSet(set) => Box::new(set.iter().map(|(score, member)| (score, member.clone()))),
        }
    }
}

/// How the scores of one member in several sets become one.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn join(self, one: f64, other: f64) -> f64 {
        match self {
            // The sum of both infinities is held to be zero.
            Aggregate::Sum => zero_if_nan(one + other),
            Aggregate::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Aggregate::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }
}

fn zero_if_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

struct Request {
    sources: Vec<(Source, f64)>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

fn sources(cx: &mut Cx<'_>, first: usize, count: usize) -> Option<Vec<(Source, f64)>> {
    let mut sources = Vec::with_capacity(count);
    for i in first..first + count {
        let Some(at) = cx.find_read(i) else {
            sources.push((Source::Absent, 1.0));
            continue;
        };
        let source = if let Value::Set(set) = &cx.entry(at).value {
            Source::Set(set.clone())
        } else if let Value::ZSet(set) = &cx.entry(at).value {
            Source::ZSet(set.clone())
        } else {
            cx.add_error("WRONGTYPE Operation against a key holding the wrong kind of value");
            return None;
        };
        sources.push((source, 1.0));
    }
    Some(sources)
}

/// The keys from the number at an argument on, and the options behind them. `None`: an error was answered.
fn request(cx: &mut Cx<'_>, op: Op, goal: Goal, number: usize) -> Option<Request> {
    let keys = cx.int_arg(number)?;
    if keys < 1 {
        cx.add_error(&format!("ERR at least 1 input key is needed for '{}' command", cx.command.spec.name));
        return None;
    }
    let first = number + 1;
    let Some(count) = usize::try_from(keys).ok().filter(|&count| count <= cx.args.len() - first) else {
        cx.add_syntax_error();
        return None;
    };
    let sources = sources(cx, first, count)?;
    let mut request = Request { sources, aggregate: Aggregate::Sum, with_scores: false, limit: usize::MAX };
    let mut i = first + count;
    while i < cx.args.len() {
        let left = cx.args.len() - i;
        let weighed = op != Op::Diff && goal != Goal::Count;
        if weighed && left > count && cx.arg_is(i, "weights") {
            for n in 0..count {
                request.sources[n].1 = cx.double_arg(i + 1 + n, "ERR weight value is not a float")?;
            }
            i += count;
        } else if weighed && left >= 2 && cx.arg_is(i, "aggregate") {
            request.aggregate = aggregate(cx, i + 1)?;
            i += 1;
        } else if goal == Goal::Answer && cx.arg_is(i, "withscores") {
            request.with_scores = true;
        } else if goal == Goal::Count && left >= 2 && cx.arg_is(i, "limit") {
            let limit = cx.ranged_arg(i + 1, 0, i64::MAX, Some("ERR LIMIT can't be negative"))?;
            request.limit = if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
            i += 1;
        } else {
            cx.add_syntax_error();
            return None;
        }
        i += 1;
    }
    Some(request)
}

fn aggregate(cx: &mut Cx<'_>, i: usize) -> Option<Aggregate> {
    if cx.arg_is(i, "sum") {
        Some(Aggregate::Sum)
    } else if cx.arg_is(i, "min") {
        Some(Aggregate::Min)
    } else if cx.arg_is(i, "max") {
        Some(Aggregate::Max)
    } else {
        cx.add_syntax_error();
        None
    }
}

/// The result, in the order of sorted sets.
fn compute(op: Op, request: &Request) -> Vec<(f64, Element)> {
    let never = Packing { entries: 0, value: 0 };
    let mut result = ZSet::default();
    let join = |member: &Element, from: f64, others: &[(Source, f64)]| {
        others.iter().try_fold(from, |score, (source, weight)| {
            Some(request.aggregate.join(score, source.score(member.as_slice())? * weight))
        })
    };
    match op {
        Op::Union => {
            for (source, weight) in &request.sources {
                for (score, member) in source.members() {
                    let score = zero_if_nan(weight * score);
                    let old = result.score(member.as_slice());
                    let score = old.map_or(score, |old| request.aggregate.join(old, score));
                    result.set(member.as_slice(), score, never);
                }
            }
        }
        Op::Inter => {
            let mut sources = request.sources.clone();
            sources.sort_by_key(|(source, _)| source.len());
            let ((first, weight), rest) = sources.split_first().expect("at least one key");
            let all = first.members().filter_map(|(score, member)| {
                let score = join(&member, zero_if_nan(weight * score), rest)?;
                Some((score, member))
            });
            for (score, member) in all.take(request.limit) {
                result.set(member.as_slice(), score, never);
            }
        }
        Op::Diff => {
            let ((first, _), rest) = request.sources.split_first().expect("at least one key");
            for (score, member) in first.members() {
                if rest.iter().all(|(source, _)| source.score(member.as_slice()).is_none()) {
                    result.set(member.as_slice(), score, never);
                }
            }
        }
    }
    result.iter().map(|(score, member)| (score, member.clone())).collect()
}

fn run(cx: &mut Cx<'_>, op: Op, goal: Goal) {
    let number = if goal == Goal::Store { 2 } else { 1 };
    let Some(request) = request(cx, op, goal, number) else { return };
    let total: usize = request.sources.iter().map(|(source, _)| source.len()).sum();
    cx.s.meter.add(total as u64 * cost::ELEMENT * 2);
    let members = compute(op, &request);
    let with_scores = request.with_scores;
    drop(request);
    match goal {
        Goal::Answer => add_members(cx, &members, with_scores),
        Goal::Store => store(cx, &members),
        Goal::Count => cx.add_count(members.len()),
    }
}

fn zunion(cx: &mut Cx<'_>) {
    run(cx, Op::Union, Goal::Answer);
}

fn zunionstore(cx: &mut Cx<'_>) {
    run(cx, Op::Union, Goal::Store);
}

fn zinter(cx: &mut Cx<'_>) {
    run(cx, Op::Inter, Goal::Answer);
}

fn zinterstore(cx: &mut Cx<'_>) {
    run(cx, Op::Inter, Goal::Store);
}

fn zintercard(cx: &mut Cx<'_>) {
    run(cx, Op::Inter, Goal::Count);
}

fn zdiff(cx: &mut Cx<'_>) {
    run(cx, Op::Diff, Goal::Answer);
}

fn zdiffstore(cx: &mut Cx<'_>) {
    run(cx, Op::Diff, Goal::Store);
}
