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

    fn looks_ahead(&self) -> bool {
        true
    }

    /// For each element when it is taken out: the places of the call and the return of its dequeue, among all of them;
    /// the greatest number where there is none. Empty, if an element is put in twice or it isn't known what somebody took.
    fn sight(&self, ops: &[Timed<Op>]) -> Vec<u32> {
        // Where there are many queues, most elements aren't of this one.
        if self.names.len() > ops.len().max(1_000) * 64 {
            return Vec::new();
        }
        let mut sight = vec![u32::MAX; self.names.len() * 2];
        let (mut put, mut places) = (FxHashSet::default(), Vec::new());
        for timed in ops {
            match timed.op {
                Op::Enqueue(element) if !put.insert(element) => return Vec::new(),
                Op::Unknown => return Vec::new(),
                Op::Dequeue(element) => {
                    places.push((timed.interval.call, element * 2));
                    if timed.returned() {
                        places.push((timed.interval.ret, element * 2 + 1));
                    }
                }
                Op::Enqueue(_) | Op::Empty => {}
            }
        }
        places.sort_unstable();
        for (place, (_, at)) in (0..).zip(places) {
            sight[at as usize] = place;
        }
        sight
    }

    /// The last one in the queue can't be taken out before another that was there before it.
    fn hopeless(&self, sight: &[u32], state: &Vec<u32>) -> bool {
        let Some((&last, before)) = state.split_last().filter(|_| !sight.is_empty()) else { return false };
        let out = sight[last as usize * 2 + 1];
        out != u32::MAX && before.iter().any(|&element| out < sight[element as usize * 2])
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        match &*entry.f {
            "enqueue" | "push" | "rpush" => Ok(Some(Op::Enqueue(self.names.number(&entry.input)))),
            "dequeue" | "pop" | "lpop" if entry.came == Came::Unknown => Ok(Some(Op::Unknown)),
            "dequeue" | "pop" | "lpop" if entry.output == Datum::Nil => Ok(Some(Op::Empty)),
            "dequeue" | "pop" | "lpop" => Ok(Some(Op::Dequeue(self.names.number(&entry.output)))),
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
                units.push(Unit { drop, strip: Some(element) });
            }
        }
        units
    }

    fn strip_state(&self, state: &Vec<u32>, element: u32) -> Vec<u32> {
        state.iter().copied().filter(|&other| other != element).collect()
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
