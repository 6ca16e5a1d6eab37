//! Histories as they are recorded: who asked what, when, and what came back. No model yet.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A value in a history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Datum {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction, as it is written.
    Decimal(Arc<str>),
    /// A text.
    Text(Arc<str>),
    /// A word of the format: Clojure's keywords and symbols.
    Word(Arc<str>),
    /// Several, in order.
    List(Vec<Datum>),
    /// Several, in no order.
    Set(Vec<Datum>),
    /// Pairs.
    Map(Vec<(Datum, Datum)>),
}

impl Datum {
    /// The value of a key of a map, whether the key is a word or a text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Datum> {
        let Datum::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| key.word() == Some(name)).map(|(_, value)| value)
    }

    /// A word or a text.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match self {
            Datum::Text(text) | Datum::Word(text) => Some(text),
            Datum::Nil
            | Datum::Bool(_)
            | Datum::Int(_)
            | Datum::Decimal(_)
            | Datum::List(_)
            | Datum::Set(_)
            | Datum::Map(_) => None,
        }
    }

    /// A whole number.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        if let Datum::Int(n) = self { Some(*n) } else { None }
    }

    /// The elements of a list or a set.
    #[must_use]
    pub fn elements(&self) -> Option<&[Datum]> {
        match self {
            Datum::List(list) | Datum::Set(list) => Some(list),
            Datum::Nil
            | Datum::Bool(_)
            | Datum::Int(_)
            | Datum::Decimal(_)
            | Datum::Text(_)
            | Datum::Word(_)
            | Datum::Map(_) => None,
        }
    }

    /// The two elements of a list of two.
    #[must_use]
    pub fn pair(&self) -> Option<(&Datum, &Datum)> {
        if let Datum::List(list) = self
            && let [first, second] = list.as_slice()
        {
            return Some((first, second));
        }
        None
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, open: &str, items: &[Datum], close: &str| {
            f.write_str(open)?;
            for (index, item) in items.iter().enumerate() {
                write!(f, "{}{item}", if index == 0 { "" } else { " " })?;
            }
            f.write_str(close)
        };
        match self {
            Datum::Nil => f.write_str("nil"),
            Datum::Bool(truth) => write!(f, "{truth}"),
            Datum::Int(n) => write!(f, "{n}"),
            Datum::Text(text) => write!(f, "{text:?}"),
            Datum::Decimal(text) | Datum::Word(text) => f.write_str(text),
            Datum::List(items) => list(f, "[", items, "]"),
            Datum::Set(items) => list(f, "{", items, "}"),
            Datum::Map(pairs) => {
                f.write_str("{")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key} {value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A call or a return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its place among all calls and returns of the history, each its own.
    pub order: u64,
    /// Its time in nanoseconds, where the history has times.
    pub at: Option<u64>,
    /// Its line in the file; 0 if there is none.
    pub line: u32,
}

/// How an operation came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was answered.
    Ok,
    /// It certainly did nothing.
    Failed,
    /// Nobody knows: it may take effect at any time after its call, or never.
    Unknown,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Who asked.
    pub process: Arc<str>,
    /// What for: `read`, `cas`, `enqueue`.
    pub f: Arc<str>,
    /// Of which key; histories without keys are about one object.
    pub key: Option<Datum>,
    /// What was given.
    pub input: Datum,
    /// What came back.
    pub output: Datum,
    /// How it came out.
    pub came: Came,
    /// The call.
    pub call: Place,
    /// The return; `None`: never, or nobody knows what it means.
    pub ret: Option<Place>,
}

/// A whole history, in the order of the calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The operations.
    pub entries: Vec<Entry>,
}

impl History {
    /// How many processes take part.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.entries.iter().map(|entry| &entry.process).collect::<std::collections::BTreeSet<_>>().len()
    }
}
