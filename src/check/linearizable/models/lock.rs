//! A lock that knows its owner: only the process that holds it can release it. Where acquiring answers with a number,
//! it is a fencing token and must be greater than every earlier one. It begins free.

use std::collections::BTreeSet;

use super::strange;
use crate::check::linearizable::history::{Came, Datum, Entry};
use crate::check::linearizable::model::{Model, Names, Timed, Unit};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    /// By whom, and with which token if it has one.
    Acquire(u32, Option<i64>),
    /// By whom.
    Release(u32),
}

#[derive(Clone, Debug, Default)]
pub(in crate::check::linearizable) struct Lock {
    owners: Names,
}

impl Model for Lock {
    /// Who holds it, and the greatest token so far.
    type State = (Option<u32>, Option<i64>);
    type Op = Op;

    fn start(&self) -> Self::State {
        (None, None)
    }

    fn step(&self, &(owner, newest): &Self::State, op: &Op) -> Option<Self::State> {
        match *op {
            Op::Acquire(by, token) => {
                let fresh = token.is_none() || token > newest;
                (owner.is_none() && fresh).then_some((Some(by), token.or(newest)))
            }
            Op::Release(by) => (owner == Some(by)).then_some((None, newest)),
        }
    }

    fn reads(_: &Op) -> bool {
        false
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        let by = self.owners.number(&Datum::Word(entry.process.clone()));
        match &*entry.f {
            "acquire" | "lock" => {
                let token = if entry.came == Came::Ok { entry.output.int() } else { None };
                Ok(Some(Op::Acquire(by, token)))
            }
            "release" | "unlock" => Ok(Some(Op::Release(by))),
            _ => Err(strange(entry, "acquire and release")),
        }
    }

    /// All that one process does: while it holds the lock nothing else can happen.
    fn units(&self, ops: &[Timed<Op>]) -> Vec<Unit> {
        let by = |timed: &Timed<Op>| match timed.op {
            Op::Acquire(by, _) | Op::Release(by) => by,
        };
        let owners: BTreeSet<u32> = ops.iter().map(by).collect();
        let all = |owner: u32| (0..ops.len()).filter(|&index| by(&ops[index]) == owner).collect();
        owners.into_iter().map(|owner| Unit { drop: all(owner), strip: Some(owner) }).collect()
    }

    fn strip_state(&self, &(owner, newest): &Self::State, element: u32) -> Self::State {
        (owner.filter(|&owner| owner != element), newest)
    }

    fn show(&self, op: &Op) -> String {
        match op {
            Op::Acquire(_, None) => "acquire".to_owned(),
            Op::Acquire(_, Some(token)) => format!("acquire → token {token}"),
            Op::Release(_) => "release".to_owned(),
        }
    }

    fn show_state(&self, (owner, newest): &Self::State) -> String {
        let token = newest.map_or(String::new(), |token| format!(", token {token}"));
        match owner {
            Some(owner) => format!("held by {}{token}", self.owners.datum(*owner)),
            None => format!("free{token}"),
        }
    }
}
