//! Linearizability: whether every operation of a history can have taken effect at one moment between its call and its
//! return, as if they had come one after the other.
//!
//! `objects` takes the keys apart, `search` finds an order or shows that there is none, `registers` decides without a search where values are written
//! once, `least` looks for the fewest operations that contradict one another, `explain` shows them. `runs` judges the clients of a run, `locks` those of them that lock.

mod explain;
pub mod history;
mod least;
mod locks;
mod mask;
mod model;
mod models;
mod objects;
mod registers;
mod runs;
mod schedule;
mod search;
#[cfg(test)]
mod tests;

use std::fmt;

pub use explain::{Contradiction, Shown};
pub use history::{Came, Datum, Entry, History, Place};
pub use runs::Linearizable;

use model::Model;

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
            let token = |entry: &Entry| &*entry.f == "acquire" && entry.output.int().is_some();
            if history.entries.iter().any(token) { ModelName::Lock } else { ModelName::Mutex }
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
    let mut objects = objects::divide(history, &mut model)?;
    let operations = objects.iter().map(|object| object.ops.len()).sum();
    let visited = objects::judge(&model, &mut objects, effort);
    let count = |answer: Answer| objects.iter().filter(|object| object.answer == answer).count();
    let (illegal, unknown) = (count(Answer::Illegal), count(Answer::Unknown));
    let answer = match (illegal, unknown) {
        (0, 0) => Answer::Linearizable,
        (0, _) => Answer::Unknown,
        _ => Answer::Illegal,
    };
    let contradiction =
        if effort.explain { objects::explain(&mut model, &objects, &history.entries, effort.budget) } else { None };
    Ok(Report { answer, objects: objects.len(), illegal, unknown, operations, visited, contradiction })
}
