//! A list: append, read the whole. It begins empty.

use rustc_hash::FxHashSet;

use super::{misfit, strange, unanswered};
use crate::check::linearizable::history::{Datum, Entry};
use crate::check::linearizable::model::{Model, Names, Timed, Unit, reads_alone};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    Read(Vec<u32>),
    Append(u32),
}

#[derive(Clone, Debug, Default)]
pub(in crate::check::linearizable) struct List {
    names: Names,
}

impl List {
    fn show_list(&self, list: &[u32]) -> String {
        Datum::List(list.iter().map(|&element| self.names.datum(element).clone()).collect()).to_string()
    }
}

impl Model for List {
    type State = Vec<u32>;
    type Op = Op;

    fn start(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, op: &Op) -> Option<Vec<u32>> {
        match op {
            Op::Read(list) => (state == list).then(|| state.clone()),
            Op::Append(element) => Some(state.iter().copied().chain([*element]).collect()),
        }
    }

    fn reads(op: &Op) -> bool {
        matches!(op, Op::Read(_))
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    /// Nothing goes away again, so what is there must be what a read begins with.
    fn reaches(&self, state: &Vec<u32>, op: &Op) -> bool {
        let Op::Read(list) = op else { return true };
        list.starts_with(state)
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        match &*entry.f {
            "read" | "r" if unanswered(entry) => Ok(None),
            "read" | "r" => {
                let read = &entry.output;
                let nothing = Some(&[][..]).filter(|_| *read == Datum::Nil);
                let elements = read.elements().or(nothing).ok_or_else(|| misfit(entry, "a list", read))?;
                Ok(Some(Op::Read(elements.iter().map(|datum| self.names.number(datum)).collect())))
            }
            "append" | "rpush" => Ok(Some(Op::Append(self.names.number(&entry.input)))),
            _ => Err(strange(entry, "append and read")),
        }
    }

    /// What was appended with unknown outcome and nobody saw.
    fn prune(&self, ops: &mut Vec<Timed<Op>>) {
        let mut seen: FxHashSet<u32> = FxHashSet::default();
        for timed in ops.iter() {
            if let Op::Read(list) = &timed.op {
                seen.extend(list);
            }
        }
        ops.retain(|timed| match &timed.op {
            Op::Append(element) => timed.returned() || seen.contains(element),
            Op::Read(_) => true,
        });
    }

    /// A read; or an element, wherever it appears.
    fn units(&self, ops: &[Timed<Op>]) -> Vec<Unit> {
        let mut units = reads_alone::<Self>(ops);
        let mut done: FxHashSet<u32> = FxHashSet::default();
        for timed in ops {
            let Op::Append(element) = timed.op else { continue };
            if done.insert(element) {
                let is = |op: &Op| matches!(op, Op::Append(other) if *other == element);
                let drop = (0..ops.len()).filter(|&index| is(&ops[index].op)).collect();
                units.push(Unit { drop, strip: Some(element) });
            }
        }
        units
    }

    fn strip(&mut self, op: &Op, element: u32) -> Op {
        match op {
            Op::Read(list) => Op::Read(self.strip_state(list, element)),
            Op::Append(_) => op.clone(),
        }
    }

    fn strip_state(&self, state: &Vec<u32>, element: u32) -> Vec<u32> {
        state.iter().copied().filter(|&other| other != element).collect()
    }

    fn show(&self, op: &Op) -> String {
        match op {
            Op::Read(list) => format!("read → {}", self.show_list(list)),
            Op::Append(element) => format!("append {}", self.names.datum(*element)),
        }
    }

    fn show_state(&self, state: &Vec<u32>) -> String {
        self.show_list(state)
    }
}
