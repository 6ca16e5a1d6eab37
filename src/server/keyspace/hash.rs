//! Hashes: a list of pairs while it is small, a table beyond (`t_hash.c`).

use super::alloc;
use super::dict::Dict;
use super::key_hash::hash_key;
use super::packing::Packing;
use super::text::Element;
use super::value::ValueText;
use crate::rng::Rng;

/// A field and its value.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The field.
    pub field: Element,
    /// Its value.
    pub value: ValueText,
}

impl Pair {
    fn bytes(&self, packed: bool) -> usize {
        size(self.field.as_slice(), packed) + size(self.value.as_slice(), packed)
    }
}

/// What a text takes in a list pack or in a table.
fn size(text: &[u8], packed: bool) -> usize {
    if packed { alloc::packed(text) } else { alloc::string(text.len()) }
}

#[derive(Clone, Debug)]
enum Form {
    /// In the order of insertion (`listpack`).
    Packed(Vec<Pair>),
    /// `hashtable`
    Table(Dict<Pair>),
}

/// Fields with values.
#[derive(Clone, Debug)]
pub struct Hash {
    form: Form,
    /// Memory of all fields and values.
    bytes: usize,
}

impl Default for Hash {
    fn default() -> Self {
        Hash { form: Form::Packed(Vec::new()), bytes: 0 }
    }
}

impl Hash {
    /// How many fields.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Packed(pairs) => pairs.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True while it is a list of pairs.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        matches!(self.form, Form::Packed(_))
    }

    /// Bytes it takes in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.form {
            Form::Packed(_) => alloc::OBJECT + alloc::allocated(alloc::PACK + self.bytes),
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
            Form::Packed(_) => self.memory(),
            Form::Table(table) => {
                let sizes = table.iter().take(samples).map(|pair| alloc::ENTRY + pair.bytes(false));
                let fixed = alloc::OBJECT + alloc::TABLE + table.buckets() * 8;
                alloc::estimate(fixed, sizes.sum(), samples.min(table.len()), table.len())
            }
        }
    }

    /// The pair of a field.
    #[must_use]
    pub fn find(&self, field: &[u8]) -> Option<&Pair> {
        match &self.form {
            Form::Packed(pairs) => pairs.iter().find(|pair| pair.field.as_slice() == field),
            Form::Table(table) => {
                table.find(hash_key(field), |pair| pair.field.as_slice() == field).map(|at| table.get(at))
            }
        }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.find(field).map(|pair| pair.value.as_slice())
    }

    /// Becomes a table when any of these texts is too long for a list (`hashTypeTryConversion`).
    pub fn make_room<'a>(&mut self, texts: impl IntoIterator<Item = &'a [u8]>, packing: Packing) {
        if self.is_packed() && texts.into_iter().any(|text| packing.too_long(text)) {
            self.become_table();
        }
    }

    /// Sets a field; true when it is new (`hashTypeSet`).
    pub fn set(&mut self, field: &[u8], value: ValueText, packing: Packing) -> bool {
        if self.is_packed() && (packing.too_long(field) || packing.too_long(value.as_slice())) {
            self.become_table();
        }
        let packed = self.is_packed();
        self.bytes += size(value.as_slice(), packed);
        let old = match &mut self.form {
            Form::Packed(pairs) => match pairs.iter_mut().find(|pair| pair.field.as_slice() == field) {
                Some(pair) => Some(std::mem::replace(&mut pair.value, value)),
                None => {
                    pairs.push(Pair { field: Element::copy(field), value });
                    None
                }
            },
            Form::Table(table) => {
                let hash = hash_key(field);
                match table.find(hash, |pair| pair.field.as_slice() == field) {
                    Some(at) => Some(std::mem::replace(&mut table.get_mut(at).value, value)),
                    None => {
                        // The search for it was a step too.
                        table.step();
                        table.insert(hash, Pair { field: Element::copy(field), value });
                        None
                    }
                }
            }
        };
        match &old {
            Some(old) => self.bytes -= size(old.as_slice(), packed),
            None => {
                self.bytes += size(field, packed);
                if self.is_packed() && packing.too_many(self.len()) {
                    self.become_table();
                }
            }
        }
        old.is_none()
    }

    /// Removes a field; false when it wasn't there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let packed = self.is_packed();
        let removed = match &mut self.form {
            Form::Packed(pairs) => {
                let found = pairs.iter().position(|pair| pair.field.as_slice() == field);
                found.map(|index| pairs.remove(index))
            }
            Form::Table(table) => {
                let found = table.find(hash_key(field), |pair| pair.field.as_slice() == field);
                found.map(|at| table.remove(at))
            }
        };
        if let Some(pair) = &removed {
            self.bytes -= pair.bytes(packed);
        }
        removed.is_some()
    }

    fn become_table(&mut self) {
        let Form::Packed(pairs) = &mut self.form else { return };
        let mut table = Dict::with_room(pairs.len());
        self.bytes = 0;
        for pair in pairs.drain(..) {
            self.bytes += pair.bytes(false);
            table.insert(hash_key(pair.field.as_slice()), pair);
        }
        self.form = Form::Table(table);
    }

    /// All pairs, in a fixed order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = &Pair> + '_> {
        match &self.form {
            Form::Packed(pairs) => Box::new(pairs.iter()),
            Form::Table(table) => Box::new(table.iter()),
        }
    }

    /// The table behind it, if it is one.
    #[must_use]
    pub fn table(&self) -> Option<&Dict<Pair>> {
        match &self.form {
            Form::Packed(_) => None,
            Form::Table(table) => Some(table),
        }
    }

    /// Whether a table behind it is held (see [`Dict::hold`]).
    pub fn hold(&mut self, held: bool) {
        if let Form::Table(table) = &mut self.form {
            table.hold(held);
        }
    }

    /// A random pair; `None` of none.
    pub fn random(&self, rng: &mut Rng) -> Option<&Pair> {
        match &self.form {
            Form::Packed(pairs) if pairs.is_empty() => None,
            Form::Packed(pairs) => pairs.get(super::packing::pick(rng, pairs.len())),
            Form::Table(table) => table.fair(rng).map(|at| table.get(at)),
        }
    }
}

impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().all(|pair| other.get(pair.field.as_slice()) == Some(pair.value.as_slice()))
    }
}
