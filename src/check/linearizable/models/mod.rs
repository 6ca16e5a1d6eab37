//! The models, a file for each.

mod counter;
mod kv;
mod list;
mod lock;
mod mutex;
mod queue;
pub(super) mod register;
mod set;

pub(super) use counter::Counter;
pub(super) use kv::Kv;
pub(super) use list::List;
pub(super) use lock::Lock;
pub(super) use mutex::Mutex;
pub(super) use queue::Queue;
pub(super) use register::Register;
pub(super) use set::Set;

use super::history::{Came, Datum, Entry};

/// An operation that the model doesn't have.
fn strange(entry: &Entry, known: &str) -> String {
    format!("\"{}\" is no operation of this model, which has {known}", entry.f)
}

/// A value that doesn't fit the operation.
fn misfit(entry: &Entry, wanted: &str, found: &Datum) -> String {
    format!("\"{}\" needs {wanted}, not {found}", entry.f)
}

/// Whether it is a read without an answer, which says nothing.
fn unanswered(entry: &Entry) -> bool {
    entry.came != Came::Ok
}
