//! The locks of a run: what lock clients believe, as the history of a lock that knows its owner.
//!
//! `acquire` lasts from wanting the lock to believing to have it and answers with the fencing token, if there is one; `release` is the
//! moment at which the belief ends. Whoever gave up, or died before it believed, never had it. A client that looks at its
//! clock before it acts and learns after having been stopped that the lock is not its own any more has stopped acting on it
//! when it was stopped: its release takes effect between the two.

use rustc_hash::FxHashMap;

use super::history::{Came, Datum, Entry, History, Place};
use super::{Answer, Contradiction, Effort, ModelName, check};
use crate::check::Verdict;
use crate::check::context::Context;
use crate::check::findings::Mark;
use crate::check::locks::Belief;
use crate::id::{EventId, NodeId};
use crate::time::Instant;

/// Configurations: a run's locks are asked for some hundreds of times, by a handful at once.
const BUDGET: u64 = 1_000_000;

/// Each event has a place, and room after it for what ends at once.
fn place(mark: Mark, later: u64) -> Place {
    Place { order: mark.event.0 * 2 + later, at: Some(mark.at.0), line: 0 }
}

/// When a belief ended: between the moment from which the client can't have acted on it any more, and the one at which it
/// knew; `None`: never.
fn end(belief: &Belief) -> Option<(Mark, Option<Mark>)> {
    let last = belief.stopped.last().filter(|_| belief.minds);
    let until_the_end =
        |&&(_, resumed): &&(Mark, Option<Instant>)| resumed.is_none_or(|at| belief.to.is_some_and(|to| to.at <= at));
    match (last.filter(until_the_end), belief.to) {
        (Some(&(stopped, _)), to) => Some((stopped, to)),
        (None, Some(to)) => Some((to, Some(to))),
        (None, None) => None,
    }
}

/// The history of all locks.
fn history(context: &Context) -> History {
    let book = &context.locks;
    let beliefs: FxHashMap<(NodeId, u32), &Belief> =
        book.beliefs.iter().map(|belief| ((belief.client, belief.round), belief)).collect();
    let watched = |mark: &Mark| context.settled.is_none_or(|settled| mark.at < settled);
    let mut entries = Vec::new();
    for want in book.wants.iter().filter(|want| watched(&want.from)) {
        let Some(belief) = beliefs.get(&(want.client, want.round)).filter(|belief| watched(&belief.from)) else {
            continue;
        };
        let acquire = Entry {
            process: context.name(want.client).into(),
            f: "acquire".into(),
            key: Some(Datum::Word(want.lock.clone())),
            input: Datum::Nil,
            output: belief.fencing.map_or(Datum::Nil, |token| Datum::Int(i64::try_from(token).unwrap_or(i64::MAX))),
            came: Came::Ok,
            call: place(want.from, 0),
            ret: Some(place(belief.from, 1)),
        };
        let release = end(belief).map(|(call, ret)| {
            let ret = ret.filter(watched).map(|ret| place(ret, 1));
            let came = if ret.is_some() { Came::Ok } else { Came::Unknown };
            Entry { f: "release".into(), output: Datum::Nil, came, call: place(call, 0), ret, ..acquire.clone() }
        });
        entries.push(acquire);
        entries.extend(release);
    }
    entries.sort_by_key(|entry| entry.call.order);
    History { entries }
}

/// Whether what lock clients believed can be explained by locks, and what can't.
pub(super) fn judge(context: &Context) -> (Verdict, Option<Contradiction>) {
    let effort = Effort { budget: BUDGET, explain: true };
    let Ok(report) = check(&history(context), ModelName::Lock, effort) else {
        unreachable!("there are acquisitions and releases only");
    };
    let verdict = match report.answer {
        Answer::Linearizable => Verdict::Pass,
        Answer::Unknown => {
            Verdict::Unknown { why: "the search for an order of the locks' holders took too long".into() }
        }
        Answer::Illegal => {
            let found = report.contradiction.as_ref();
            let story = found.map_or(String::new(), |found| format!(": {}", found.sentence()));
            let key = found.and_then(|found| found.key.as_deref()).unwrap_or("a lock");
            let shown = found.into_iter().flat_map(|found| &found.operations).filter(|shown| shown.counts);
            let places = shown.flat_map(|shown| std::iter::once(shown.call).chain(shown.ret));
            let mut witness: Vec<EventId> = places.map(|place| EventId(place.order / 2)).collect();
            witness.sort_unstable();
            witness.dedup();
            Verdict::Fail {
                why: format!("what clients believed of {key} can't be explained by any order{story}"),
                witness,
            }
        }
    };
    (verdict, report.contradiction)
}
