//! A first-in-first-out queue: enqueue, dequeue, and dequeue that finds nothing. It begins empty.

use rustc_hash::FxHashSet;

use super::strange;
use crate::check::linearizable::history::{Came, Datum, Entry};
use crate::check::linearizable::model::{Model, Names, Timed, Unit, reads_alone};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    Enqueue(u32),
    Dequeue(u32),
    /// Found it empty.
    Empty,
    /// Took whatever was first, if it took anything; nobody knows.
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub(in crate::check::linearizable) struct Queue {
    names: Names,
}

impl Model for Queue {
    /// From the first to the last.
    type State = Vec<u32>;
    type Op = Op;

    fn start(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, op: &Op) -> Option<Vec<u32>> {
        match *op {
            Op::Enqueue(element) => Some(state.iter().copied().chain([element]).collect()),
            Op::Dequeue(element) => (state.first() == Some(&element)).then(|| state[1..].to_vec()),
            Op::Empty => state.is_empty().then(Vec::new),
            Op::Unknown => (!state.is_empty()).then(|| state[1..].to_vec()),
        }
    }

    fn reads(op: &Op) -> bool {
        matches!(op, Op::Empty)
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        match &*entry.f {
            "enqueue" | "push" | "rpush" => Ok(Some(Op::Enqueue(self.names.number(&entry.input)))),
            "dequeue" | "pop" | "lpop" if entry.came == Came::Unknown => Ok(Some(Op::Unknown)),
            "dequeue" | "pop" | "lpop" => Ok(Some(match &entry.output {
                Datum::Nil => Op::Empty,
                element => Op::Dequeue(self.names.number(element)),
            })),
            _ => Err(strange(entry, "enqueue and dequeue")),
        }
    }

    /// What was put in with unknown outcome and nobody took out.
    fn prune(&self, ops: &mut Vec<Timed<Op>>) {
        let taken = |op: &Op| if let Op::Dequeue(element) = *op { Some(element) } else { None };
        let taken: FxHashSet<u32> = ops.iter().filter_map(|timed| taken(&timed.op)).collect();
        ops.retain(|timed| match timed.op {
            Op::Enqueue(element) => timed.returned() || taken.contains(&element),
            Op::Dequeue(_) | Op::Empty | Op::Unknown => true,
        });
    }

    /// A dequeue that found nothing; or an element, with all that put it in and took it out.
    fn units(&self, ops: &[Timed<Op>]) -> Vec<Unit> {
        let mut units = reads_alone::<Self>(ops);
        let mut done: FxHashSet<u32> = FxHashSet::default();
        for timed in ops {
            let Op::Enqueue(element) = timed.op else { continue };
            if done.insert(element) {
                let is = |op: &Op| matches!(op, Op::Enqueue(other) | Op::Dequeue(other) if *other == element);
                let drop = (0..ops.len()).filter(|&index| is(&ops[index].op)).collect();
                units.push(Unit { drop, strip: None });
            }
        }
        units
    }

    fn show(&self, op: &Op) -> String {
        match *op {
            Op::Enqueue(element) => format!("enqueue {}", self.names.datum(element)),
            Op::Dequeue(element) => format!("dequeue → {}", self.names.datum(element)),
            Op::Empty => "dequeue → nothing".to_owned(),
            Op::Unknown => "dequeue".to_owned(),
        }
    }

    fn show_state(&self, state: &Vec<u32>) -> String {
        Datum::List(state.iter().map(|&element| self.names.datum(element).clone()).collect()).to_string()
    }
}
