//! The objects of a history, each judged on its own. They take turns, so that one which is hard to judge doesn't hold up
//! the verdict when another has no order.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::explain::{self, Contradiction};
use super::history::{Came, Datum, Entry, History};
use super::model::{Look, Model, Numbered, Timed};
use super::schedule::{Interval, NEVER};
use super::search::{Found, Search, Task};
use super::{Answer, Effort, Misfit};

/// Configurations of the first turn of each object; every round has twice as many as the one before.
const TURN: u64 = 512;
/// Once it is known that an object has no order, what the others may visit at least to be judged too.
const REST: u64 = 200_000;
/// Objects without an order that are explained, so that the shortest explanation is shown.
const EXPLAINED: usize = 10;

/// One object: what happened to it, and what is known of it.
pub(super) struct Object<'h, M: Model> {
    /// Its name, if the history has several.
    pub(super) key: Option<&'h Datum>,
    /// Its operations.
    pub(super) ops: Vec<Timed<M::Op>>,
    /// Whether they have an order.
    pub(super) answer: Answer,
    /// Those that contradict one another, where that is known without a search.
    suspects: Option<Vec<usize>>,
    /// How many configurations were visited.
    visited: u64,
}

/// What happened to each object.
///
/// # Errors
/// The first operation that the model can't have.
pub(super) fn divide<'h, M: Model>(history: &'h History, model: &mut M) -> Result<Vec<Object<'h, M>>, Misfit> {
    let mut objects: IndexMap<Option<&Datum>, Vec<Timed<M::Op>>, FxBuildHasher> = IndexMap::default();
    for (index, entry) in history.entries.iter().enumerate() {
        if entry.came == Came::Failed {
            continue;
        }
        let op = model.parse(entry).map_err(|message| Misfit { line: entry.call.line, message })?;
        let Some(op) = op else { continue };
        let ret = entry.ret.filter(|_| entry.came == Came::Ok).map_or(NEVER, |place| place.order);
        let interval = Interval { call: entry.call.order, ret };
        objects.entry(entry.key.as_ref()).or_default().push(Timed { op, interval, entry: index });
    }
    let object = |(key, ops)| Object { key, ops, answer: Answer::Unknown, suspects: None, visited: 0 };
    Ok(objects.into_iter().map(object).collect())
}

/// A search that is not over yet.
struct Hunt<'m, M: Model> {
    object: usize,
    machine: Numbered<'m, M>,
    task: Task,
    search: Search,
}

/// Judges each object within the budget; how many configurations were visited. Without an explanation to find, the first
/// that has no order suffices.
pub(super) fn judge<M: Model>(model: &M, objects: &mut [Object<'_, M>], effort: Effort) -> u64 {
    let mut purse = Purse { budget: effort.budget, visited: 0 };
    let mut hunts = Vec::new();
    for (index, object) in objects.iter_mut().enumerate() {
        model.prune(&mut object.ops);
        if let Some(quick) = model.quick(&object.ops) {
            object.answer = if quick.is_ok() { Answer::Linearizable } else { Answer::Illegal };
            object.suspects = quick.err();
        } else {
            let (machine, task) = Numbered::new(model, model.start(), &object.ops, Look::Ahead);
            let mut hunt = Hunt { object: index, search: Search::new(&task), machine, task };
            if !purse.turn(&mut hunt, object, TURN) {
                hunts.push(hunt);
            }
        }
        if object.answer == Answer::Illegal && purse.enough(effort) {
            return purse.visited;
        }
    }
    let mut turn = TURN;
    while !hunts.is_empty() && purse.budget > 0 {
        turn *= 2;
        let mut enough = false;
        hunts.retain_mut(|hunt| {
            let object = &mut objects[hunt.object];
            let over = enough || purse.turn(hunt, object, turn);
            enough |= object.answer == Answer::Illegal && purse.enough(effort);
            !over
        });
        if enough {
            break;
        }
    }
    purse.visited
}

/// What may be visited yet, and what was.
struct Purse {
    budget: u64,
    visited: u64,
}

impl Purse {
    /// A turn of a search; whether it is over.
    fn turn<M: Model>(&mut self, hunt: &mut Hunt<'_, M>, object: &mut Object<'_, M>, turn: u64) -> bool {
        let mut left = turn.min(self.budget);
        let before = left;
        let found = hunt.search.run(&hunt.task, &mut hunt.machine, &mut left);
        let visited = before - left;
        object.visited += visited;
        self.visited += visited;
        self.budget -= visited;
        match found {
            Some(Found::Legal(_)) => object.answer = Answer::Linearizable,
            Some(Found::Illegal { .. }) => object.answer = Answer::Illegal,
            None => return false,
        }
        true
    }

    /// Now that the verdict is known: whether that is enough. If not, the rest must not take much longer.
    fn enough(&mut self, effort: Effort) -> bool {
        self.budget = self.budget.min(self.visited.max(REST));
        !effort.explain
    }
}

/// The shortest explanation why there is an object without an order, of those that are easy to judge.
pub(super) fn explain<M: Model>(
    model: &mut M,
    objects: &[Object<'_, M>],
    entries: &[Entry],
    budget: u64,
) -> Option<Contradiction> {
    let mut illegal: Vec<_> = objects.iter().filter(|object| object.answer == Answer::Illegal).collect();
    illegal.sort_by_key(|object| object.visited);
    let mut visited = 0;
    let easy = illegal.iter().take(EXPLAINED).take_while(|object| {
        visited += object.visited;
        visited <= REST || visited == object.visited
    });
    let found = easy.filter_map(|object| {
        let found =
            explain::explain(model, &object.ops, object.suspects.as_deref(), entries, (object.visited, budget))?;
        Some(Contradiction { key: object.key.map(Datum::to_string), ..found })
    });
    let counted = |found: &Contradiction| found.operations.iter().filter(|shown| shown.counts).count();
    let length = |found: &Contradiction| counted(found) + found.start.as_ref().map_or(0, |_| explain::ALONE);
    found.min_by_key(length)
}
