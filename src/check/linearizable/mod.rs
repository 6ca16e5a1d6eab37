//! Linearizability: whether every operation of a history can have taken effect at one moment between its call and its
//! return, as if they had come one after the other.
//!
//! `search` finds an order or shows that there is none, `registers` decides without a search where values are written
//! once, `explain` looks for the shortest part that contradicts itself. `runs` judges the clients of a run.

mod explain;
pub mod history;
mod mask;
mod model;
mod models;
mod registers;
mod runs;
mod schedule;
mod search;
#[cfg(test)]
mod tests;

use std::fmt;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

pub use explain::{Contradiction, Shown};
pub use history::{Came, Datum, Entry, History, Place};
pub use runs::Linearizable;

use model::{Model, Numbered, Timed};
use schedule::{Interval, NEVER};
use search::{Found, search};

/// Configurations that a search visits at most, where nothing else is said.
pub const BUDGET: u64 = 20_000_000;

/// The models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelName {
    /// Read, write, compare-and-set.
    Register,
    /// Add, read, add-and-get.
    Counter,
    /// Add, remove, read the whole.
    Set,
    /// Append, read the whole.
    List,
    /// Acquire and release, by owners, with fencing tokens.
    Lock,
    /// Acquire and release.
    Mutex,
    /// Put, append, get of texts.
    Kv,
    /// Enqueue, dequeue.
    Queue,
}

impl ModelName {
    /// All of them.
    pub const ALL: [ModelName; 8] = [
        ModelName::Register,
        ModelName::Counter,
        ModelName::Set,
        ModelName::List,
        ModelName::Lock,
        ModelName::Mutex,
        ModelName::Kv,
        ModelName::Queue,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ModelName::Register => "register",
            ModelName::Counter => "counter",
            ModelName::Set => "set",
            ModelName::List => "list",
            ModelName::Lock => "lock",
            ModelName::Mutex => "mutex",
            ModelName::Kv => "kv",
            ModelName::Queue => "queue",
        }
    }
}

impl ModelName {
    /// The model that the names of a history's operations suggest.
    #[must_use]
    pub fn guess(history: &History) -> ModelName {
        let has = |names: &[&str]| history.entries.iter().any(|entry| names.contains(&&*entry.f));
        let collections = || {
            let elements = |entry: &Entry| entry.output.elements().is_some();
            history.entries.iter().any(|entry| &*entry.f == "read" && elements(entry))
        };
        if has(&["enqueue", "dequeue"]) {
            ModelName::Queue
        } else if has(&["acquire", "release"]) {
            ModelName::Mutex
        } else if has(&["append"]) {
            if has(&["get", "put"]) { ModelName::Kv } else { ModelName::List }
        } else if has(&["inc", "dec", "increment", "decrement", "incr", "decr", "add-and-get"]) {
            ModelName::Counter
        } else if has(&["add", "remove"]) {
            if has(&["remove"]) || collections() { ModelName::Set } else { ModelName::Counter }
        } else {
            ModelName::Register
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether an order exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Linearizable,
    /// No.
    Illegal,
    /// The budget was used up before it could be told.
    Unknown,
}

/// An operation that the model can't have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its line in the file; 0 if there is none.
    pub line: u32,
    /// What is wrong.
    pub message: String,
}

/// What the check of a history comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The worst over all objects.
    pub answer: Answer,
    /// How many objects (keys) the history is about.
    pub objects: usize,
    /// How many of them have no order.
    pub illegal: usize,
    /// For how many it can't be told.
    pub unknown: usize,
    /// How many operations the model looked at: those that failed and reads without an answer say nothing.
    pub operations: usize,
    /// How many configurations were visited.
    pub visited: u64,
    /// The first contradiction, if one was asked for.
    pub contradiction: Option<Contradiction>,
}

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Configurations to visit at most.
    pub budget: u64,
    /// Whether to look at every object and explain the first that has no order, or to stop at it.
    pub explain: bool,
}

/// Checks a history against a model, each key on its own.
///
/// # Errors
/// The first operation that the model can't have.
pub fn check(history: &History, model: ModelName, effort: Effort) -> Result<Report, Misfit> {
    match model {
        ModelName::Register => check_with(history, models::Register::default(), effort),
        ModelName::Counter => check_with(history, models::Counter, effort),
        ModelName::Set => check_with(history, models::Set::default(), effort),
        ModelName::List => check_with(history, models::List::default(), effort),
        ModelName::Lock => check_with(history, models::Lock::default(), effort),
        ModelName::Mutex => check_with(history, models::Mutex, effort),
        ModelName::Kv => check_with(history, models::Kv::default(), effort),
        ModelName::Queue => check_with(history, models::Queue::default(), effort),
    }
}

fn check_with<M: Model>(history: &History, mut model: M, effort: Effort) -> Result<Report, Misfit> {
    let mut parts: IndexMap<Option<&Datum>, Vec<Timed<M::Op>>, FxBuildHasher> = IndexMap::default();
    let mut operations = 0;
    for (index, entry) in history.entries.iter().enumerate() {
        if entry.came == Came::Failed {
            continue;
        }
        let op = model.parse(entry).map_err(|message| Misfit { line: entry.call.line, message })?;
        let Some(op) = op else { continue };
        operations += 1;
        let ret = entry.ret.filter(|_| entry.came == Came::Ok).map_or(NEVER, |place| place.order);
        let interval = Interval { call: entry.call.order, ret };
        parts.entry(entry.key.as_ref()).or_default().push(Timed { op, interval, entry: index });
    }
    let mut budget = effort.budget;
    let (objects, mut illegal, mut unknown, mut contradiction) = (parts.len(), 0, 0, None);
    for (key, mut ops) in parts {
        model.prune(&mut ops);
        let before = budget;
        let (answer, suspects) = judge(&model, &ops, &mut budget);
        match answer {
            Answer::Linearizable => {}
            Answer::Unknown => unknown += 1,
            Answer::Illegal => {
                illegal += 1;
                if !effort.explain {
                    break;
                }
                if contradiction.is_none() {
                    let found = explain::explain(&model, &ops, suspects.as_deref(), &history.entries, before - budget);
                    contradiction = found.map(|found| Contradiction { key: key.map(Datum::to_string), ..found });
                }
            }
        }
    }
    let answer = match (illegal, unknown) {
        (0, 0) => Answer::Linearizable,
        (0, _) => Answer::Unknown,
        _ => Answer::Illegal,
    };
    Ok(Report { answer, objects, illegal, unknown, operations, visited: effort.budget - budget, contradiction })
}

/// The answer for one object, and the operations that contradict one another, if they are known without a search.
fn judge<M: Model>(model: &M, ops: &[Timed<M::Op>], budget: &mut u64) -> (Answer, Option<Vec<usize>>) {
    if let Some(quick) = model.quick(ops) {
        return match quick {
            Ok(()) => (Answer::Linearizable, None),
            Err(suspects) => (Answer::Illegal, Some(suspects)),
        };
    }
    let (mut machine, task) = Numbered::new(model, model.start(), ops, true);
    match search(&task, &mut machine, budget) {
        Found::Legal(_) => (Answer::Linearizable, None),
        Found::Illegal { .. } => (Answer::Illegal, None),
        Found::Unknown => (Answer::Unknown, None),
    }
}
