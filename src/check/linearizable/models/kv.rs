//! A text that is put, appended to and got, as in the labs of MIT's 6.824. It begins empty.

use rustc_hash::FxHashSet;

use super::{misfit, strange, unanswered};
use crate::check::linearizable::history::{Datum, Entry};
use crate::check::linearizable::model::{Model, Names, Timed, Unit, reads_alone};

/// An operation; texts are numbers of [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::check::linearizable) enum Op {
    Get(u32),
    Put(u32),
    Append(u32),
}

impl Op {
    fn writes(self) -> Option<u32> {
        match self {
            Op::Get(_) => None,
            Op::Put(text) | Op::Append(text) => Some(text),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(in crate::check::linearizable) struct Kv {
    texts: Names,
    /// The texts that are written, in their order, if every text that is got is made of them in one way only.
    code: Option<Vec<u32>>,
}

impl Kv {
    fn text(&self, number: u32) -> &str {
        self.texts.datum(number).word().expect("only texts have numbers")
    }

    /// What a text is made of; `None`: of something else.
    fn words(&self, code: &[u32], text: &str) -> Option<Vec<u32>> {
        let (mut rest, mut words) = (text, Vec::new());
        while !rest.is_empty() {
            // None begins with another, so the only one that the rest can begin with is the last up to it.
            let at = code.partition_point(|&word| self.text(word) <= rest);
            let word = *code.get(at.checked_sub(1)?)?;
            rest = rest.strip_prefix(self.text(word))?;
            words.push(word);
        }
        Some(words)
    }

    /// A text without one that it is made of; `None`: it is not.
    fn erase(&self, text: &str, word: u32) -> Option<String> {
        let words = self.words(self.code.as_ref()?, text)?;
        let rest = || words.iter().filter(|&&other| other != word).map(|&word| self.text(word)).collect();
        words.contains(&word).then(rest)
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
    /// The text; `None`: one that nobody gets any more, nor one that begins with it.
    type State = Option<String>;
    type Op = Op;

    fn start(&self) -> Self::State {
        Some(String::new())
    }

    fn step(&self, state: &Self::State, op: &Op) -> Option<Self::State> {
        match (*op, state) {
            (Op::Get(text), Some(now)) => (now == self.text(text)).then(|| state.clone()),
            (Op::Get(_), None) => None,
            (Op::Put(text), _) => Some(Some(self.text(text).to_owned())),
            (Op::Append(text), Some(now)) => {
                let more = self.text(text);
                let mut next = String::with_capacity(now.len() + more.len());
                next.push_str(now);
                next.push_str(more);
                Some(Some(next))
            }
            (Op::Append(_), None) => Some(None),
        }
    }

    fn reads(op: &Op) -> bool {
        matches!(op, Op::Get(_))
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    /// Nothing goes away again but by a put.
    fn reaches(&self, state: &Self::State, op: &Op) -> bool {
        let Op::Get(text) = op else { return true };
        state.as_ref().is_some_and(|now| self.text(*text).starts_with(now))
    }

    fn resets(op: &Op) -> bool {
        matches!(op, Op::Put(_))
    }

    /// The texts that are got, in their order.
    fn sight(&self, ops: &[Timed<Op>]) -> Vec<u32> {
        let got = |timed: &Timed<Op>| if let Op::Get(text) = timed.op { Some(text) } else { None };
        let mut sight: Vec<u32> = ops.iter().filter_map(got).collect();
        sight.sort_unstable_by_key(|&got| self.text(got));
        sight.dedup();
        sight
    }

    fn blur(&self, sight: &[u32], state: Self::State) -> Self::State {
        state.filter(|now| {
            let at = sight.partition_point(|&got| self.text(got) < now.as_str());
            sight.get(at).is_some_and(|&got| self.text(got).starts_with(now))
        })
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

    fn study(&mut self, ops: &[Timed<Op>]) {
        let mut code: Vec<u32> = ops.iter().filter_map(|timed| timed.op.writes()).collect();
        code.sort_unstable_by_key(|&word| self.text(word));
        code.dedup();
        code.retain(|&word| !self.text(word).is_empty());
        let apart = code.windows(2).all(|pair| !self.text(pair[1]).starts_with(self.text(pair[0])));
        let made = |timed: &Timed<Op>| match timed.op {
            Op::Get(text) => self.words(&code, self.text(text)).is_some(),
            Op::Put(_) | Op::Append(_) => true,
        };
        self.code = (apart && ops.iter().all(made)).then_some(code);
    }

    /// A get; or a text that is only ever appended, wherever it appears.
    fn units(&self, ops: &[Timed<Op>]) -> Vec<Unit> {
        let mut units = reads_alone::<Self>(ops);
        if self.code.is_none() {
            return units;
        }
        let put = |timed: &Timed<Op>| if let Op::Put(text) = timed.op { Some(text) } else { None };
        let mut done: FxHashSet<u32> = ops.iter().filter_map(put).collect();
        for timed in ops {
            let Op::Append(text) = timed.op else { continue };
            if done.insert(text) {
                let drop = (0..ops.len()).filter(|&index| ops[index].op == timed.op).collect();
                units.push(Unit { drop, strip: Some(text) });
            }
        }
        units
    }

    fn strip(&mut self, op: &Op, element: u32) -> Op {
        let Op::Get(text) = *op else { return *op };
        let rest = self.erase(self.text(text), element);
        rest.map_or(*op, |rest| Op::Get(self.texts.number(&Datum::Text(rest.into()))))
    }

    fn strip_state(&self, state: &Self::State, element: u32) -> Self::State {
        let rest = state.as_ref().and_then(|text| self.erase(text, element));
        rest.or_else(|| state.clone())
    }

    fn show(&self, op: &Op) -> String {
        match *op {
            Op::Get(text) => format!("get → {:?}", self.text(text)),
            Op::Put(text) => format!("put {:?}", self.text(text)),
            Op::Append(text) => format!("append {:?}", self.text(text)),
        }
    }

    fn show_state(&self, state: &Self::State) -> String {
        state.as_ref().map_or_else(|| "a text that nobody gets".to_owned(), |text| format!("{text:?}"))
    }
}
