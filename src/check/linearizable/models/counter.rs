//! A counter: add, read, and increments that answer with the new value. It begins with zero.

use super::{misfit, strange, unanswered};
use crate::check::linearizable::history::{Came, Datum, Entry};
use crate::check::linearizable::model::Model;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    Read(i64),
    Add(i64),
    /// Added the first, and the counter was the second then.
    AddAndGet(i64, i64),
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::check::linearizable) struct Counter;

impl Model for Counter {
    type State = i64;
    type Op = Op;

    fn start(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, op: &Op) -> Option<i64> {
        match *op {
            Op::Read(value) => (*state == value).then_some(*state),
            Op::Add(by) => state.checked_add(by),
            Op::AddAndGet(by, value) => state.checked_add(by).filter(|&sum| sum == value),
        }
    }

    fn reads(op: &Op) -> bool {
        matches!(op, Op::Read(_))
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        let number = |datum: &Datum| datum.int().ok_or_else(|| misfit(entry, "a whole number", datum));
        let by = || if entry.input == Datum::Nil { Ok(1) } else { number(&entry.input) };
        let negative = |by: i64| by.checked_neg().ok_or_else(|| misfit(entry, "a smaller number", &entry.input));
        let answered = |by: i64| match (entry.came, entry.output.int()) {
            (Came::Ok, Some(value)) => Op::AddAndGet(by, value),
            _ => Op::Add(by),
        };
        match &*entry.f {
            "read" | "get" if unanswered(entry) => Ok(None),
            "read" | "get" => number(&entry.output).map(|value| Some(Op::Read(value))),
            "add" | "inc" | "increment" => by().map(|by| Some(Op::Add(by))),
            "dec" | "decrement" => by().and_then(negative).map(|by| Some(Op::Add(by))),
            "add-and-get" | "incr" | "incrby" => by().map(|by| Some(answered(by))),
            "decr" | "decrby" => by().and_then(negative).map(|by| Some(answered(by))),
            _ => Err(strange(entry, "read, add, inc, dec, add-and-get, incr and decr")),
        }
    }

    fn show(&self, op: &Op) -> String {
        match op {
            Op::Read(value) => format!("read → {value}"),
            Op::Add(by) => format!("add {by}"),
            Op::AddAndGet(by, value) => format!("add {by} → {value}"),
        }
    }

    fn show_state(&self, state: &i64) -> String {
        state.to_string()
    }
}
