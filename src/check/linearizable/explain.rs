//! From a history without an order to the shortest part of it that still has none, and why.

use std::sync::Arc;

use serde::Serialize;

use super::history::{Entry, Place};
use super::model::{Look, Model, Numbered, Timed, Unit};
use super::schedule::NEVER;
use super::search::{Bottleneck, Found, bottleneck, replay, search};

/// What a search of the explanation may visit: so much more than the search that found no order did.
const ATTEMPT: u64 = 1_000;
/// All attempts to leave something out together may visit so many times as much, or this much if it is less.
const ATTEMPTS: u64 = 30;
const ATTEMPTS_MAX: u64 = 2_000_000;

/// A part that needs no words about what came before it may be so many operations longer than one that does.
pub(super) const ALONE: usize = 4;

/// A part of a history for which no order exists.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contradiction {
    /// Which object, if there are several.
    pub key: Option<String>,
    /// What the object holds at the beginning of this part, where that isn't the beginning of all: everything before
    /// it leads there.
    pub start: Option<String>,
    /// The operations, in the order of their calls.
    pub operations: Vec<Shown>,
    /// Whether elements that play no part are left out of what was read.
    pub thinned: bool,
    /// How many operations on this object had begun when the contradiction was complete.
    pub of: usize,
}

/// An operation of a contradiction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// Who asked.
    pub process: Arc<str>,
    /// What, and what came back.
    pub what: String,
    /// When it was called.
    pub call: Place,
    /// When it returned; `None`: never, or after this part.
    pub ret: Option<Place>,
    /// Its place in the longest order that can be found, from 1.
    pub order: Option<usize>,
    /// What the object holds then.
    pub after: Option<String>,
    /// Whether it is the one that has no place.
    pub blocked: bool,
}

impl Contradiction {
    /// The operation that has no place.
    #[must_use]
    pub fn blocked(&self) -> Option<&Shown> {
        self.operations.iter().find(|shown| shown.blocked)
    }

    /// What the object holds after the longest order; `None` if nothing can come before the one without a place.
    #[must_use]
    pub fn held(&self) -> Option<&str> {
        let last = self.operations.iter().max_by_key(|shown| shown.order)?;
        last.after.as_deref().or(self.start.as_deref())
    }
}

impl Contradiction {
    /// How many operations contradict one another, in words.
    #[must_use]
    pub fn size(&self) -> String {
        match self.operations.len() {
            1 => format!("1 of the {} operations begun so far has no place", self.of),
            many => format!("{many} of the {} operations begun so far contradict one another", self.of),
        }
    }

    /// In a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Some(blocked) = self.blocked() else { return "no order exists".to_owned() };
        let held = match self.held() {
            Some(held) => format!("; the longest order ends with {held}"),
            None => "; nothing can come before it".to_owned(),
        };
        format!("\"{}\" of {} has no place{held}", blocked.what, blocked.process)
    }
}

/// What is left of a history: where it starts, and its operations.
struct Part<M: Model> {
    /// What a search may visit.
    attempt: u64,
    start: M::State,
    cut: bool,
    thinned: bool,
    ops: Vec<Timed<M::Op>>,
}

impl<M: Model> Clone for Part<M> {
    fn clone(&self) -> Self {
        Part { start: self.start.clone(), ops: self.ops.clone(), ..*self }
    }
}

impl<M: Model> Part<M> {
    /// The step that nothing gets past; `None` if an order exists or it can't be told.
    fn fails(&self, model: &M) -> Option<usize> {
        let (mut machine, task) = Numbered::new(model, self.start.clone(), &self.ops, Look::Blurred);
        match search(&task, &mut machine, &mut { self.attempt }) {
            Some(Found::Illegal { step, .. }) => Some(step),
            Some(Found::Legal(_)) | None => None,
        }
    }

    /// Whether there is certainly no order. Cheaper than [`Part::fails`] where the model looks ahead.
    fn is_illegal(&self, model: &M) -> bool {
        self.costs(model, self.attempt).is_some()
    }

    /// How many configurations it takes to see that there is no order; `None` if there is one or it takes more.
    fn costs(&self, model: &M, budget: u64) -> Option<u64> {
        let (mut machine, task) = Numbered::new(model, self.start.clone(), &self.ops, Look::Ahead);
        let mut left = budget;
        let found = search(&task, &mut machine, &mut left);
        matches!(found, Some(Found::Illegal { .. })).then_some(budget - left)
    }

    /// The shortest beginning without an order.
    fn shortest(self, model: &M) -> Option<Self> {
        if let Some(step) = self.fails(model) {
            let place = self.place(step);
            return Some(self.until(place));
        }
        // The search needs to look ahead: beginnings are tried until the shortest is found.
        let (mut legal, mut illegal) = (0, self.ops.iter().filter(|timed| timed.returned()).count());
        if !self.is_illegal(model) {
            return None;
        }
        while legal + 1 < illegal {
            let middle = usize::midpoint(legal, illegal);
            let beginning = self.clone().until(self.place(middle - 1));
            if beginning.is_illegal(model) { illegal = middle } else { legal = middle }
        }
        let place = self.place(illegal - 1);
        Some(self.until(place))
    }

    /// Only what had begun when a return comes.
    fn until(mut self, ret: u64) -> Self {
        self.ops = until::<M>(self.ops, ret);
        self
    }

    /// The place of the return of a step.
    fn place(&self, step: usize) -> u64 {
        let mut returns: Vec<u64> =
            self.ops.iter().map(|timed| timed.interval.ret).filter(|&ret| ret != NEVER).collect();
        returns.sort_unstable();
        returns[step]
    }

    fn without(&self, model: &mut M, units: &[Unit]) -> Self {
        let (ops, thinned) = leave_out(model, &self.ops, units);
        let stripped = units.iter().filter_map(|unit| unit.strip);
        let start = stripped.fold(self.start.clone(), |start, element| model.strip_state(&start, element));
        Part { start, ops, thinned: self.thinned || thinned, ..*self }
    }

    /// Leaves out whatever it can, many at once first. Where less makes the search harder, more stays than need be.
    fn thin(mut self, model: &mut M) -> Self {
        let mut purse = (self.attempt * ATTEMPTS).min(ATTEMPTS_MAX.max(self.attempt));
        let attempt = self.attempt;
        let mut units = model.units(&self.ops);
        let mut size = units.len();
        while size > 0 {
            let mut at = 0;
            while at < units.len() && purse > 0 {
                let fewer = self.without(model, &units[at..units.len().min(at + size)]);
                let cost = if fewer.ops.len() < self.ops.len() { fewer.costs(model, attempt) } else { None };
                purse = purse.saturating_sub(cost.unwrap_or(attempt));
                if cost.is_some() {
                    self = fewer;
                    units = model.units(&self.ops);
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        self
    }

    /// Begins at the last moment at which there is only one way that things can be.
    fn after_bottleneck(&self, model: &M, step: usize) -> Option<Self> {
        let (mut machine, task) = Numbered::new(model, self.start.clone(), &self.ops, Look::Blurred);
        let mut budget = self.attempt;
        let Bottleneck { step, state, waiting } = bottleneck(&task, &mut machine, step, &mut budget)?;
        let ret = self.place(step);
        let stays = |index: usize, timed: &Timed<M::Op>| {
            timed.interval.call > ret || waiting.iter().any(|&op| op as usize == index)
        };
        let ops = self.ops.iter().enumerate().filter(|(index, timed)| stays(*index, timed));
        let ops = ops.map(|(_, timed)| timed.clone()).collect();
        Some(Part { attempt: self.attempt, start: machine.state(state).clone(), cut: true, thinned: self.thinned, ops })
    }
}

/// Only what had begun when a return comes; what returns after it has no outcome yet.
pub(super) fn until<M: Model>(mut ops: Vec<Timed<M::Op>>, ret: u64) -> Vec<Timed<M::Op>> {
    ops.retain(|timed| timed.interval.call < ret);
    ops.retain_mut(|timed| {
        if timed.interval.ret > ret {
            timed.interval.ret = NEVER;
            return !M::reads(&timed.op);
        }
        true
    });
    ops
}

/// What remains without some units, and whether results changed.
pub(super) fn leave_out<M: Model>(model: &mut M, ops: &[Timed<M::Op>], units: &[Unit]) -> (Vec<Timed<M::Op>>, bool) {
    let mut gone = vec![false; ops.len()];
    units.iter().flat_map(|unit| &unit.drop).for_each(|&index| gone[index] = true);
    let (mut rest, mut changed) = (Vec::new(), false);
    for (timed, _) in ops.iter().zip(&gone).filter(|(_, gone)| !**gone) {
        let stripped = units.iter().filter_map(|unit| unit.strip);
        let op = stripped.fold(timed.op.clone(), |op, element| model.strip(&op, element));
        changed |= op != timed.op;
        rest.push(Timed { op, ..timed.clone() });
    }
    (rest, changed)
}

/// Explains why no order exists for `ops`; `suspects` are those that suffice, if that is known already. `None` if it
/// can't be told without much more effort than the `visited` configurations that showed that there is none.
pub(super) fn explain<M: Model>(
    model: &mut M,
    ops: &[Timed<M::Op>],
    suspects: Option<&[usize]>,
    entries: &[Entry],
    visited: u64,
) -> Option<Contradiction> {
    model.study(ops);
    let attempt = visited * 2 + ATTEMPT;
    let whole = Part { attempt, start: model.start(), cut: false, thinned: false, ops: ops.to_vec() };
    let smallest: Part<M> = match suspects {
        Some(suspects) => Part { ops: suspects.iter().map(|&index| ops[index].clone()).collect(), ..whole },
        None => {
            let prefix = whole.shortest(model)?;
            let last = prefix.ops.iter().filter(|timed| timed.returned()).count() - 1;
            let cut = prefix.after_bottleneck(model, last).filter(|cut| cut.is_illegal(model));
            let thin = prefix.thin(model);
            match cut.map(|cut| cut.thin(model)) {
                Some(cut) if cut.ops.len() + ALONE < thin.ops.len() => cut,
                Some(_) | None => thin,
            }
        }
    };
    let smallest = smallest.shortest(model)?;
    let last = smallest.ops.iter().map(|timed| timed.interval.ret).filter(|&ret| ret != NEVER).max()?;
    let of = ops.iter().filter(|timed| timed.interval.call < last).count();
    picture(model, smallest, entries, of)
}

fn picture<M: Model>(model: &mut M, mut part: Part<M>, entries: &[Entry], of: usize) -> Option<Contradiction> {
    part.ops.sort_by_key(|timed| timed.interval.call);
    let tries = [Look::Blurred, Look::Ahead].into_iter().map(|look| {
        let (mut machine, task) = Numbered::new(model, part.start.clone(), &part.ops, look);
        search(&task, &mut machine, &mut { part.attempt })
    });
    let found = tries.flatten().find(|found| matches!(found, Found::Illegal { .. }))?;
    let Found::Illegal { step, choices } = found else { return None };
    let (mut machine, task) = Numbered::new(model, part.start.clone(), &part.ops, Look::Exact);
    let order = replay(&task, &mut machine, &choices, step);
    let blocked = task.schedule.steps[step].op as usize;
    let place = |index: usize| order.iter().position(|&(op, _)| op as usize == index);
    let after = |place: usize| machine.state(order[place].1).clone();
    let places: Vec<_> = (0..part.ops.len()).map(|index| (place(index), place(index).map(after))).collect();
    let shown = part.ops.iter().enumerate().zip(places).map(|((index, timed), (place, after))| {
        let entry = &entries[timed.entry];
        let whole = model.parse(entry).ok().flatten();
        let more = if whole.is_some_and(|op| op != timed.op) { " and more" } else { "" };
        Shown {
            process: entry.process.clone(),
            what: model.show(&timed.op) + more,
            call: entry.call,
            ret: entry.ret.filter(|_| timed.returned()),
            order: place.map(|place| place + 1),
            after: after.map(|state| model.show_state(&state)),
            blocked: index == blocked,
        }
    });
    let operations = shown.collect();
    let start = part.cut.then(|| model.show_state(&part.start));
    Some(Contradiction { key: None, start, operations, thinned: part.thinned, of })
}
