//! From a history without an order to the shortest part of it that still has none, and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::history::{Entry, Place};
use super::least::{self, Least, Part};
use super::model::{Look, Model, Numbered, Timed, Unit};
use super::schedule::NEVER;
use super::search::{Bottleneck, Found, bottleneck, replay, search};

/// What a search of the explanation may visit: so much more than the search that found no order did.
const ATTEMPT: u64 = 1_000;
/// All attempts to leave something out together may visit so many times as much, or this much if it is less.
const ATTEMPTS: u64 = 30;
const ATTEMPTS_MAX: u64 = 2_000_000;
/// Finding the fewest operations may visit so many times as much as the verdict did, and at least such a part of what the
/// verdict might have.
const PROOF_SHARE: u64 = 10;
/// What drawing may visit: the operations are few by then.
const DRAWING: u64 = 300_000;
/// Operations that are shown beside those that contradict one another, at most.
const BESIDE: usize = 8;

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
    /// It was shown that no fewer operations contradict one another, whether or not the others happened.
    pub least: bool,
    /// How many of the others that might have mattered are not shown.
    pub others: usize,
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
    /// Whether it is one of those that contradict one another. If not, it may have happened when it was under way or not at
    /// all: that doesn't help.
    pub counts: bool,
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
        let fewer = if self.least { ", and no fewer do" } else { "" };
        match self.operations.iter().filter(|shown| shown.counts).count() {
            1 => format!("1 of the {} operations begun so far has no place, whatever the others did", self.of),
            many => format!("{many} of the {} operations begun so far contradict one another{fewer}", self.of),
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
struct Rest<M: Model> {
    /// What a search may visit.
    attempt: u64,
    start: M::State,
    cut: bool,
    thinned: bool,
    ops: Vec<Timed<M::Op>>,
}

impl<M: Model> Clone for Rest<M> {
    fn clone(&self) -> Self {
        Rest { start: self.start.clone(), ops: self.ops.clone(), ..*self }
    }
}

impl<M: Model> Rest<M> {
    /// The step that nothing gets past; `None` if an order exists or it can't be told.
    fn fails(&self, model: &M) -> Option<usize> {
        let (mut machine, task) = Numbered::new(model, self.start.clone(), &self.ops, Look::Blurred);
        match search(&task, &mut machine, &mut { self.attempt }) {
            Some(Found::Illegal { step, .. }) => Some(step),
            Some(Found::Legal(_)) | None => None,
        }
    }

    /// Whether there is certainly no order. Cheaper than [`Rest::fails`] where the model looks ahead.
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
        Rest { start, ops, thinned: self.thinned || thinned, ..*self }
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
        Some(Rest { attempt: self.attempt, start: machine.state(state).clone(), cut: true, thinned: self.thinned, ops })
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

/// Explains why no order exists for `ops`; `suspects` are the fewest that contradict one another, if those are known already.
/// `None` if it can't be told without much more effort than the `visited` configurations that showed that there is none, of
/// the `budget` that there was for them.
pub(super) fn explain<M: Model>(
    model: &mut M,
    ops: &[Timed<M::Op>],
    suspects: Option<&[usize]>,
    entries: &[Entry],
    (visited, budget): (u64, u64),
) -> Option<Contradiction> {
    model.study(ops);
    let least = match suspects {
        Some(suspects) => Some(Least { counted: suspects.to_vec(), proven: true }),
        None => least::find(model, ops, visited.saturating_mul(ATTEMPTS).max(budget / PROOF_SHARE)),
    };
    let found = least.and_then(|least| few(model, ops, &least, entries));
    found.or_else(|| many(model, ops, entries, visited))
}

/// The explanation by the fewest operations.
fn few<M: Model>(model: &mut M, ops: &[Timed<M::Op>], least: &Least, entries: &[Entry]) -> Option<Contradiction> {
    let last = least.counted.iter().map(|&index| ops[index].interval.ret).max()?;
    let of = ops.iter().filter(|timed| timed.interval.call < last).count();
    let counted: BTreeSet<usize> = least.counted.iter().map(|&index| ops[index].entry).collect();
    let among = |ops: &[Timed<M::Op>]| -> Vec<usize> {
        (0..ops.len()).filter(|&index| counted.contains(&ops[index].entry)).collect()
    };
    let part = Part::new(model, ops, &least.counted, Look::Ahead).ops;
    let mut shown: Vec<Timed<M::Op>> = part.iter().map(|&index| ops[index].clone()).collect();
    let mut thinned = false;
    // Elements that play no part go from what was read, many at once first.
    let loose = |model: &M, ops: &[Timed<M::Op>]| -> Vec<Unit> {
        let free = |unit: &Unit| unit.strip.is_some() && !unit.drop.iter().any(|&i| counted.contains(&ops[i].entry));
        model.units(ops).into_iter().filter(free).collect()
    };
    let mut units = loose(model, &shown);
    let (mut size, mut purse) = (units.len(), DRAWING);
    while size > 0 {
        let mut at = 0;
        while at < units.len() {
            let (fewer, changed) = leave_out(model, &shown, &units[at..units.len().min(at + size)]);
            let found = Part::new(model, &fewer, &among(&fewer), Look::Ahead).search(&mut purse);
            if matches!(found, Some(Found::Illegal { .. })) {
                (shown, thinned) = (fewer, thinned || changed);
                units = loose(model, &shown);
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    shown.sort_by_key(|timed| timed.interval.call);
    let part = among(&shown);
    let (mut order, blocked) = longest(model, &shown, &part)?;
    // Those that count or are in the order, and of the others the last ones that were under way meanwhile, if there are many.
    let needed = |index: &usize| part.contains(index) || order.iter().any(|(op, _)| op == index);
    let (mut visible, others): (Vec<usize>, Vec<usize>) = (0..shown.len()).partition(needed);
    let from = part.iter().map(|&index| shown[index].interval.call).min().unwrap_or(0);
    let near = |index: &usize| others.len() <= BESIDE || shown[*index].interval.ret > from;
    let near: Vec<usize> = others.iter().copied().filter(near).collect();
    visible.extend(&near[near.len().saturating_sub(BESIDE)..]);
    visible.sort_unstable();
    let seat = |index: usize| visible.binary_search(&index).expect("what is in the order is shown");
    order.iter_mut().for_each(|(op, _)| *op = seat(*op));
    let others = shown.len() - visible.len();
    let seen: Vec<Timed<M::Op>> = visible.iter().map(|&index| shown[index].clone()).collect();
    let operations = draw(model, &seen, &order, seat(blocked), entries, &counted);
    Some(Contradiction { key: None, start: None, operations, thinned, of, least: least.proven, others })
}

/// Operations in an order, each with what the object holds after it, in words.
type Order = Vec<(usize, String)>;

/// The longest order that there is, and the operation that has no place in it.
fn longest<M: Model>(model: &M, ops: &[Timed<M::Op>], counted: &[usize]) -> Option<(Order, usize)> {
    let found = [Look::Blurred, Look::Ahead].into_iter().find_map(|look| {
        let mut part = Part::new(model, ops, counted, look);
        part.frugal = true;
        match part.search(&mut { DRAWING })? {
            Found::Illegal { step, choices } => Some((step, choices)),
            Found::Legal(_) => None,
        }
    });
    let (step, choices) = found?;
    let Part { mut machine, task, ops: kept, .. } = Part::new(model, ops, counted, Look::Exact);
    let order = replay(&task, &mut machine, &choices, step).into_iter();
    let order = order.map(|(op, state)| (kept[op as usize], model.show_state(machine.state(state)))).collect();
    Some((order, kept[task.schedule.steps[step].op as usize]))
}

/// The explanation by leaving out what can be left out, one after the other.
fn many<M: Model>(model: &mut M, ops: &[Timed<M::Op>], entries: &[Entry], visited: u64) -> Option<Contradiction> {
    let attempt = visited * 2 + ATTEMPT;
    let whole = Rest { attempt, start: model.start(), cut: false, thinned: false, ops: ops.to_vec() };
    let prefix = whole.shortest(model)?;
    let last = prefix.ops.iter().filter(|timed| timed.returned()).count() - 1;
    let cut = prefix.after_bottleneck(model, last).filter(|cut| cut.is_illegal(model));
    let thin = prefix.thin(model);
    let smallest = match cut.map(|cut| cut.thin(model)) {
        Some(cut) if cut.ops.len() + ALONE < thin.ops.len() => cut,
        Some(_) | None => thin,
    };
    let mut part = smallest.shortest(model)?;
    let last = part.ops.iter().map(|timed| timed.interval.ret).filter(|&ret| ret != NEVER).max()?;
    let of = ops.iter().filter(|timed| timed.interval.call < last).count();
    part.ops.sort_by_key(|timed| timed.interval.call);
    let tries = [Look::Blurred, Look::Ahead].into_iter().map(|look| {
        let (mut machine, task) = Numbered::new(model, part.start.clone(), &part.ops, look);
        search(&task, &mut machine, &mut { part.attempt })
    });
    let found = tries.flatten().find(|found| matches!(found, Found::Illegal { .. }))?;
    let Found::Illegal { step, choices } = found else { return None };
    let (mut machine, task) = Numbered::new(model, part.start.clone(), &part.ops, Look::Exact);
    let order = replay(&task, &mut machine, &choices, step).into_iter();
    let order: Order = order.map(|(op, state)| (op as usize, model.show_state(machine.state(state)))).collect();
    let blocked = task.schedule.steps[step].op as usize;
    let all = part.ops.iter().map(|timed| timed.entry).collect();
    let operations = draw(model, &part.ops, &order, blocked, entries, &all);
    let start = part.cut.then(|| model.show_state(&part.start));
    Some(Contradiction { key: None, start, operations, thinned: part.thinned, of, least: false, others: 0 })
}

fn draw<M: Model>(
    model: &mut M,
    ops: &[Timed<M::Op>],
    order: &Order,
    blocked: usize,
    entries: &[Entry],
    counted: &BTreeSet<usize>,
) -> Vec<Shown> {
    let shown = ops.iter().enumerate().map(|(index, timed)| {
        let entry = &entries[timed.entry];
        let whole = model.parse(entry).ok().flatten();
        let more = if whole.is_some_and(|op| op != timed.op) { " and more" } else { "" };
        let place = order.iter().position(|&(op, _)| op == index);
        Shown {
            process: entry.process.clone(),
            what: model.show(&timed.op) + more,
            call: entry.call,
            ret: entry.ret.filter(|_| timed.returned()),
            order: place.map(|place| place + 1),
            after: place.map(|place| order[place].1.clone()),
            blocked: index == blocked,
            counts: counted.contains(&timed.entry),
        }
    });
    shown.collect()
}
