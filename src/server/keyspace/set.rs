//! Sets: sorted integers while it has nothing else and is small, a table beyond (`t_set.c`, `intset.c`).

use bytes::Bytes;

use super::alloc;
use super::dict::Dict;
use super::key_hash::hash_key;
use super::packing::pick;
use super::text::Element;
use crate::resp::{format_i64, parse_i64};
use crate::rng::Rng;

/// No set of integers is larger, whatever the configuration says.
const INTS_MAX: u64 = 1 << 30;

#[derive(Clone, Debug)]
enum Form {
    /// Ascending (`intset`).
    Ints(Vec<i64>),
    /// `hashtable`
    Table(Dict<Element>),
}

/// Distinct texts.
#[derive(Clone, Debug)]
pub struct Set {
    form: Form,
    /// Memory of all members of a table.
    bytes: usize,
}

impl Default for Set {
    fn default() -> Self {
        Set { form: Form::Ints(Vec::new()), bytes: 0 }
    }
}

/// Integers all as wide as the widest, behind a header.
fn ints_memory(ints: &[i64]) -> usize {
    let wide = |n: &i64| if i16::try_from(*n).is_ok() { 2 } else { 4 + 4 * usize::from(i32::try_from(*n).is_err()) };
    let width = ints.first().map_or(2, wide).max(ints.last().map_or(2, wide));
    alloc::allocated(8 + ints.len() * width)
}

/// An integer as sets keep it: only the text that it prints as.
fn as_int(member: &[u8]) -> Option<i64> {
    if member.len() > 20 { None } else { parse_i64(member) }
}

impl Set {
    /// An empty set for a first member (`setTypeCreate`).
    #[must_use]
    pub fn for_member(member: &[u8]) -> Set {
        let form = if as_int(member).is_some() { Form::Ints(Vec::new()) } else { Form::Table(Dict::default()) };
        Set { form, bytes: 0 }
    }

    /// How many members.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Ints(ints) => ints.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True while it is a sorted list of integers.
    #[must_use]
    pub fn is_ints(&self) -> bool {
        matches!(self.form, Form::Ints(_))
    }

    /// Bytes it takes in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.form {
            Form::Ints(ints) => alloc::OBJECT + ints_memory(ints),
            Form::Table(table) => {
                let fixed = alloc::OBJECT + alloc::TABLE_CLASS + alloc::buckets(table.buckets());
                fixed + self.bytes + table.len() * alloc::ENTRY_CLASS
            }
        }
    }

    /// What MEMORY USAGE says of it.
    #[must_use]
    pub fn usage(&self, samples: usize) -> usize {
        match &self.form {
            Form::Ints(ints) => alloc::OBJECT + ints_memory(ints),
            Form::Table(table) => {
                let sizes = table.iter().take(samples).map(|member| alloc::ENTRY + alloc::string(member.len()));
                let fixed = alloc::OBJECT + alloc::TABLE + table.buckets() * 8;
                alloc::estimate(fixed, sizes.sum(), samples.min(table.len()), table.len())
            }
        }
    }

    /// Whether it has a member.
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.form {
            Form::Ints(ints) => as_int(member).is_some_and(|n| ints.binary_search(&n).is_ok()),
            Form::Table(table) => table.find(hash_key(member), |key| key.as_slice() == member).is_some(),
        }
    }

    /// It is a table whose items are on their way into another one.
    #[must_use]
    pub fn is_rehashing(&self) -> bool {
        matches!(&self.form, Form::Table(table) if table.is_rehashing())
    }

    /// Moves so many buckets.
    pub fn rehash(&mut self, buckets: usize) {
        let Form::Table(table) = &mut self.form else { return };
        for _ in 0..buckets {
            if !table.is_rehashing() {
                break;
            }
            table.step();
        }
    }

    /// Adds a member; false when it was there (`setTypeAdd`). `ints_max` is `set-max-intset-entries`.
    pub fn add(&mut self, member: &[u8], ints_max: u64) -> bool {
        if let Form::Ints(ints) = &mut self.form {
            if let Some(n) = as_int(member) {
                let Err(index) = ints.binary_search(&n) else { return false };
                ints.insert(index, n);
                if ints.len() as u64 > ints_max.min(INTS_MAX) {
                    self.become_table();
                }
                return true;
            }
            self.become_table();
        }
        let Form::Table(table) = &mut self.form else { unreachable!("it became a table above") };
        let hash = hash_key(member);
        if table.find(hash, |key| key.as_slice() == member).is_some() {
            return false;
        }
        table.insert(hash, Element::copy(member));
        self.bytes += alloc::string(member.len());
        true
    }

    /// Removes a member; false when it wasn't there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.form {
            Form::Ints(ints) => {
                let found = as_int(member).and_then(|n| ints.binary_search(&n).ok());
                found.map(|index| ints.remove(index)).is_some()
            }
            Form::Table(table) => {
                let Some(at) = table.find(hash_key(member), |key| key.as_slice() == member) else { return false };
                table.remove(at);
                self.bytes -= alloc::string(member.len());
                true
            }
        }
    }

    fn become_table(&mut self) {
        let Form::Ints(ints) = &self.form else { return };
        let mut table = Dict::with_room(ints.len());
        for &n in ints {
            let mut buffer = [0; 20];
            let text = format_i64(n, &mut buffer);
            self.bytes += alloc::string(text.len());
            table.insert(hash_key(text), Element::copy(text));
        }
        self.form = Form::Table(table);
    }

    /// All members, in a fixed order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Element> + '_> {
        match &self.form {
            Form::Ints(ints) => Box::new(ints.iter().map(|&n| Element::copy(format_i64(n, &mut [0; 20])))),
            Form::Table(table) => Box::new(table.iter().cloned()),
        }
    }

    /// The integers behind it, if it has nothing else.
    #[must_use]
    pub fn ints(&self) -> Option<&[i64]> {
        match &self.form {
            Form::Ints(ints) => Some(ints),
            Form::Table(_) => None,
        }
    }

    /// The table behind it, if it is one.
    #[must_use]
    pub fn table(&self) -> Option<&Dict<Element>> {
        match &self.form {
            Form::Ints(_) => None,
            Form::Table(table) => Some(table),
        }
    }

    /// Whether a table behind it is held (see [`Dict::hold`]).
    pub fn hold(&mut self, held: bool) {
        if let Form::Table(table) = &mut self.form {
            table.hold(held);
        }
    }

    /// A random member; `None` of none.
    pub fn random(&self, rng: &mut Rng) -> Option<Bytes> {
        match &self.form {
            Form::Ints(ints) if ints.is_empty() => None,
            Form::Ints(ints) => Some(Bytes::copy_from_slice(format_i64(ints[pick(rng, ints.len())], &mut [0; 20]))),
            Form::Table(table) => table.fair(rng).map(|at| table.get(at).to_bytes()),
        }
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.contains(member.as_slice()))
    }
}
