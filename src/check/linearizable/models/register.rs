//! A register: read, write, compare-and-set. It begins with nothing.

use rustc_hash::FxHashSet;

use super::{misfit, strange, unanswered};
use crate::check::linearizable::history::{Came, Datum, Entry};
use crate::check::linearizable::model::{Model, Names, Timed, Unit, reads_alone};
use crate::check::linearizable::registers::{self, Access};

/// The number of nothing.
pub(in crate::check::linearizable) const NIL: u32 = 0;

/// An operation; values are numbers of [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    /// Read a value.
    Read(u32),
    /// Wrote a value.
    Write(u32),
    /// Found the first value and wrote the second.
    Cas(u32, u32),
    /// Found another value.
    CasFailed(u32),
    /// If it found the first value it wrote the second; nobody knows.
    CasUnknown(u32, u32),
}

#[derive(Clone, Debug)]
pub(in crate::check::linearizable) struct Register {
    pub(in crate::check::linearizable) names: Names,
}

impl Default for Register {
    fn default() -> Register {
        let mut names = Names::default();
        names.number(&Datum::Nil);
        Register { names }
    }
}

impl Op {
    /// The values that it mentions, and the one that it leaves behind.
    fn mentions(self) -> ([Option<u32>; 2], Option<u32>) {
        match self {
            Op::Read(value) => ([Some(value), None], None),
            Op::Write(value) => ([Some(value), None], Some(value)),
            Op::Cas(from, to) | Op::CasUnknown(from, to) => ([Some(from), Some(to)], Some(to)),
            Op::CasFailed(from) => ([Some(from), None], None),
        }
    }
}

impl Model for Register {
    type State = u32;
    type Op = Op;

    fn start(&self) -> u32 {
        NIL
    }

    fn step(&self, &state: &u32, op: &Op) -> Option<u32> {
        match *op {
            Op::Read(value) => (state == value).then_some(state),
            Op::Write(value) => Some(value),
            // One of unknown outcome that finds another value might as well never happen.
            Op::Cas(from, to) | Op::CasUnknown(from, to) => (state == from).then_some(to),
            Op::CasFailed(from) => (state != from).then_some(state),
        }
    }

    fn reads(op: &Op) -> bool {
        match *op {
            Op::Read(_) | Op::CasFailed(_) => true,
            Op::Write(_) => false,
            Op::Cas(from, to) | Op::CasUnknown(from, to) => from == to,
        }
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        match &*entry.f {
            "read" | "get" if unanswered(entry) => Ok(None),
            "read" | "get" => Ok(Some(Op::Read(self.names.number(&entry.output)))),
            "write" | "put" | "set" => Ok(Some(Op::Write(self.names.number(&entry.input)))),
            "cas" => {
                let Some((from, to)) = entry.input.pair() else {
                    return Err(misfit(entry, "two values, [from to]", &entry.input));
                };
                let (from, to) = (self.names.number(from), self.names.number(to));
                Ok(Some(match (entry.came, &entry.output) {
                    (Came::Unknown, _) => Op::CasUnknown(from, to),
                    (_, Datum::Bool(false)) => Op::CasFailed(from),
                    _ => Op::Cas(from, to),
                }))
            }
            _ => Err(strange(entry, "read, write and cas")),
        }
    }

    /// A write of unknown outcome whose value nobody saw.
    fn prune(&self, ops: &mut Vec<Timed<Op>>) {
        if ops.iter().any(|timed| matches!(timed.op, Op::CasFailed(_))) {
            return;
        }
        let seen: FxHashSet<u32> = ops
            .iter()
            .filter_map(|timed| match timed.op {
                Op::Read(value) | Op::Cas(value, _) | Op::CasUnknown(value, _) => Some(value),
                Op::Write(_) | Op::CasFailed(_) => None,
            })
            .collect();
        let seen = |op: Op| op.mentions().1.is_none_or(|value| seen.contains(&value));
        ops.retain(|timed| timed.returned() || seen(timed.op));
    }

    fn quick(&self, ops: &[Timed<Op>]) -> Option<Result<(), Vec<usize>>> {
        let access = |timed: &Timed<Op>| {
            let (value, write) = match timed.op {
                Op::Read(value) => (value, false),
                Op::Write(value) => (value, true),
                Op::Cas(..) | Op::CasFailed(_) | Op::CasUnknown(..) => return None,
            };
            let value = (value != NIL).then_some(u64::from(value));
            Some(Access { value, write, interval: timed.interval })
        };
        let accesses: Option<Vec<Access>> = ops.iter().map(access).collect();
        registers::judge(&accesses?)
    }

    /// A read; or everything about a value, and about those that were made of it. A compare-and-set that failed may
    /// have failed because of that value: those go along.
    fn units(&self, ops: &[Timed<Op>]) -> Vec<Unit> {
        let mut units = reads_alone::<Self>(ops);
        let mut done: FxHashSet<u32> = FxHashSet::default();
        for timed in ops {
            let Some(value) = timed.op.mentions().1 else { continue };
            if value == NIL || !done.insert(value) {
                continue;
            }
            let mut gone: FxHashSet<u32> = FxHashSet::default();
            let mut more = vec![value];
            while let Some(value) = more.pop() {
                if gone.insert(value) {
                    let made = ops.iter().filter(|timed| timed.op.mentions().0.contains(&Some(value)));
                    more.extend(made.filter_map(|timed| timed.op.mentions().1));
                }
            }
            let goes = |op: Op| {
                matches!(op, Op::CasFailed(_)) || op.mentions().0.iter().flatten().any(|value| gone.contains(value))
            };
            let drop = (0..ops.len()).filter(|&index| goes(ops[index].op)).collect();
            units.push(Unit { drop, strip: None });
        }
        units
    }

    fn show(&self, op: &Op) -> String {
        let name = |value: u32| self.names.datum(value);
        match *op {
            Op::Read(value) => format!("read → {}", name(value)),
            Op::Write(value) => format!("write {}", name(value)),
            Op::Cas(from, to) | Op::CasUnknown(from, to) => format!("cas {} → {}", name(from), name(to)),
            Op::CasFailed(from) => format!("cas {} → … fails", name(from)),
        }
    }

    fn show_state(&self, state: &u32) -> String {
        self.names.datum(*state).to_string()
    }
}
