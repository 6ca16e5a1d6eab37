//! A mutex that knows no owner: acquired and released in turn. It begins free.

use super::strange;
use crate::check::linearizable::history::Entry;
use crate::check::linearizable::model::Model;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    Acquire,
    Release,
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::check::linearizable) struct Mutex;

impl Model for Mutex {
    /// Whether it is held.
    type State = bool;
    type Op = Op;

    fn start(&self) -> bool {
        false
    }

    fn step(&self, held: &bool, op: &Op) -> Option<bool> {
        match op {
            Op::Acquire => (!held).then_some(true),
            Op::Release => held.then_some(false),
        }
    }

    fn reads(_: &Op) -> bool {
        false
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        match &*entry.f {
            "acquire" | "lock" => Ok(Some(Op::Acquire)),
            "release" | "unlock" => Ok(Some(Op::Release)),
            _ => Err(strange(entry, "acquire and release")),
        }
    }

    fn show(&self, op: &Op) -> String {
        match op {
            Op::Acquire => "acquire".to_owned(),
            Op::Release => "release".to_owned(),
        }
    }

    fn show_state(&self, held: &bool) -> String {
        if *held { "held" } else { "free" }.to_owned()
    }
}
