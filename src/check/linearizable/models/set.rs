//! A set: add, remove, read the whole. It begins empty.

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use super::{misfit, strange, unanswered};
use crate::check::linearizable::history::{Datum, Entry};
use crate::check::linearizable::model::{Model, Names, Timed, Unit, reads_alone};

/// A bit for each element, without zeroes at the end.
type Bits = SmallVec<[u64; 2]>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    Read(Bits),
    Add(u32),
    Remove(u32),
}

#[derive(Clone, Debug, Default)]
pub(in crate::check::linearizable) struct Set {
    names: Names,
}

fn put(bits: &mut Bits, element: u32) {
    let word = element as usize / 64;
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    bits[word] |= 1 << (element % 64);
}

fn with(bits: &Bits, element: u32) -> Bits {
    let mut bits = bits.clone();
    put(&mut bits, element);
    bits
}

fn without(bits: &Bits, element: u32) -> Bits {
    let (word, mut bits) = (element as usize / 64, bits.clone());
    if let Some(word) = bits.get_mut(word) {
        *word &= !(1 << (element % 64));
    }
    while bits.last() == Some(&0) {
        bits.pop();
    }
    bits
}

fn has(bits: &Bits, element: u32) -> bool {
    bits.get(element as usize / 64).is_some_and(|word| word & (1 << (element % 64)) != 0)
}

impl Set {
    fn show_bits(&self, bits: &Bits) -> String {
        let count = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let elements =
            (0..count).filter(|&element| has(bits, element)).map(|element| self.names.datum(element).clone());
        Datum::Set(elements.collect()).to_string()
    }
}

impl Model for Set {
    type State = Bits;
    type Op = Op;

    fn start(&self) -> Bits {
        Bits::new()
    }

    fn step(&self, state: &Bits, op: &Op) -> Option<Bits> {
        match op {
            Op::Read(bits) => (state == bits).then(|| state.clone()),
            Op::Add(element) => Some(with(state, *element)),
            Op::Remove(element) => Some(without(state, *element)),
        }
    }

    fn reads(op: &Op) -> bool {
        matches!(op, Op::Read(_))
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn resets(op: &Op) -> bool {
        matches!(op, Op::Remove(_))
    }

    /// Nothing goes away again unless it is removed, so what is there must be in what was read.
    fn reaches(&self, state: &Bits, op: &Op) -> bool {
        let Op::Read(bits) = op else { return true };
        state.iter().enumerate().all(|(index, word)| word & !bits.get(index).copied().unwrap_or(0) == 0)
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        match &*entry.f {
            "read" if unanswered(entry) => Ok(None),
            "read" => {
                let read = &entry.output;
                let nothing = Some(&[][..]).filter(|_| *read == Datum::Nil);
                let elements = read.elements().or(nothing).ok_or_else(|| misfit(entry, "a set or a list", read))?;
                let mut bits = Bits::new();
                elements.iter().for_each(|datum| put(&mut bits, self.names.number(datum)));
                Ok(Some(Op::Read(bits)))
            }
            "add" => Ok(Some(Op::Add(self.names.number(&entry.input)))),
            "remove" => Ok(Some(Op::Remove(self.names.number(&entry.input)))),
            _ => Err(strange(entry, "add, remove and read")),
        }
    }

    /// Additions of unknown outcome of what nobody saw.
    fn prune(&self, ops: &mut Vec<Timed<Op>>) {
        let mut seen = Bits::new();
        for timed in ops.iter() {
            if let Op::Read(bits) = &timed.op {
                for (index, word) in bits.iter().enumerate() {
                    if seen.len() <= index {
                        seen.push(0);
                    }
                    seen[index] |= word;
                }
            }
        }
        ops.retain(|timed| match timed.op {
            Op::Add(element) => timed.returned() || has(&seen, element),
            Op::Read(_) | Op::Remove(_) => true,
        });
    }

    /// A read; or an element, wherever it appears: elements don't depend on each other.
    fn units(&self, ops: &[Timed<Op>]) -> Vec<Unit> {
        let mut units = reads_alone::<Self>(ops);
        let mut done: FxHashSet<u32> = FxHashSet::default();
        for timed in ops {
            let (Op::Add(element) | Op::Remove(element)) = timed.op else { continue };
            if done.insert(element) {
                let is = |op: &Op| matches!(op, Op::Add(other) | Op::Remove(other) if *other == element);
                let drop = (0..ops.len()).filter(|&index| is(&ops[index].op)).collect();
                units.push(Unit { drop, strip: Some(element) });
            }
        }
        units
    }

    fn strip(&mut self, op: &Op, element: u32) -> Op {
        match op {
            Op::Read(bits) => Op::Read(without(bits, element)),
            Op::Add(_) | Op::Remove(_) => op.clone(),
        }
    }

    fn strip_state(&self, state: &Bits, element: u32) -> Bits {
        without(state, element)
    }

    fn show(&self, op: &Op) -> String {
        match op {
            Op::Read(bits) => format!("read → {}", self.show_bits(bits)),
            Op::Add(element) => format!("add {}", self.names.datum(*element)),
            Op::Remove(element) => format!("remove {}", self.names.datum(*element)),
        }
    }

    fn show_state(&self, state: &Bits) -> String {
        self.show_bits(state)
    }
}
