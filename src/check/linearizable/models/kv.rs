//! A text that is put, appended to and got, as in the labs of MIT's 6.824. It begins empty.

use rustc_hash::FxHashSet;

use super::{misfit, strange, unanswered};
use crate::check::linearizable::history::{Datum, Entry};
use crate::check::linearizable::model::{Model, Names, Timed};

/// An operation; texts are numbers of [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    Get(u32),
    Put(u32),
    Append(u32),
}

#[derive(Clone, Debug, Default)]
pub(in crate::check::linearizable) struct Kv {
    texts: Names,
}

impl Kv {
    fn text(&self, number: u32) -> &str {
        self.texts.datum(number).word().expect("only texts have numbers")
    }

    fn number(&mut self, entry: &Entry, datum: &Datum) -> Result<u32, String> {
        match datum {
            Datum::Nil => Ok(self.texts.number(&Datum::Text("".into()))),
            Datum::Text(_) => Ok(self.texts.number(datum)),
            Datum::Int(_) | Datum::Decimal(_) | Datum::Bool(_) | Datum::Word(_) => {
                Ok(self.texts.number(&Datum::Text(datum.to_string().into())))
            }
            Datum::List(_) | Datum::Set(_) | Datum::Map(_) => Err(misfit(entry, "a text", datum)),
        }
    }
}

impl Model for Kv {
    type State = String;
    type Op = Op;

    fn start(&self) -> String {
        String::new()
    }

    fn step(&self, state: &String, op: &Op) -> Option<String> {
        match *op {
            Op::Get(text) => (state == self.text(text)).then(|| state.clone()),
            Op::Put(text) => Some(self.text(text).to_owned()),
            Op::Append(text) => {
                let more = self.text(text);
                let mut next = String::with_capacity(state.len() + more.len());
                next.push_str(state);
                next.push_str(more);
                Some(next)
            }
        }
    }

    fn reads(op: &Op) -> bool {
        matches!(op, Op::Get(_))
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    /// Nothing goes away again but by a put.
    fn reaches(&self, state: &String, op: &Op) -> bool {
        let Op::Get(text) = op else { return true };
        self.text(*text).starts_with(state)
    }

    fn resets(op: &Op) -> bool {
        matches!(op, Op::Put(_))
    }

    fn parse(&mut self, entry: &Entry) -> Result<Option<Op>, String> {
        match &*entry.f {
            "get" | "read" if unanswered(entry) => Ok(None),
            "get" | "read" => self.number(entry, &entry.output).map(|text| Some(Op::Get(text))),
            "put" | "write" => self.number(entry, &entry.input).map(|text| Some(Op::Put(text))),
            "append" => self.number(entry, &entry.input).map(|text| Some(Op::Append(text))),
            _ => Err(strange(entry, "get, put and append")),
        }
    }

    /// What was written with unknown outcome and is in no answer.
    fn prune(&self, ops: &mut Vec<Timed<Op>>) {
        let open: Vec<u32> = ops
            .iter()
            .filter_map(|timed| match timed.op {
                Op::Put(text) | Op::Append(text) => (!timed.returned()).then_some(text),
                Op::Get(_) => None,
            })
            .collect();
        let got = |text: u32| {
            let text = self.text(text);
            ops.iter().any(|timed| matches!(timed.op, Op::Get(got) if self.text(got).contains(text)))
        };
        let unseen: FxHashSet<u32> = open.into_iter().filter(|&text| !got(text)).collect();
        ops.retain(|timed| match timed.op {
            Op::Put(text) | Op::Append(text) => timed.returned() || !unseen.contains(&text),
            Op::Get(_) => true,
        });
    }

    fn show(&self, op: &Op) -> String {
        match *op {
            Op::Get(text) => format!("get → {:?}", self.text(text)),
            Op::Put(text) => format!("put {:?}", self.text(text)),
            Op::Append(text) => format!("append {:?}", self.text(text)),
        }
    }

    fn show_state(&self, state: &String) -> String {
        format!("{state:?}")
    }
}
