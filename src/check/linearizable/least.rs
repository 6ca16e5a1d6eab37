//! The fewest operations that contradict one another.
//!
//! A part of a history is some of its operations; each of the others may have happened while it was under way, with the
//! result that it had, or not at all. A part contradicts itself if that leaves no order. Then so does every larger one, and
//! what the whole history allows every part allows: a part without an order shows that the history has none.
//!
//! To find the smallest part is to find the smallest unsatisfiable subset, by hitting sets (Ignatiev and others 2015): a part
//! that allows an order is grown until nothing can be added, and of what stays out every contradiction has something. The
//! smallest set that hits all that is known to be hit either contradicts itself, and then nothing smaller does, or it says
//! what else there is to hit.

use rustc_hash::FxHashSet;

use super::mask::{Mask, Wide};
use super::model::{Look, Model, Numbered, Timed};
use super::schedule::NEVER;
use super::search::{Choice, Found, Machine, Task, advance};

/// A part of a history, laid out for the search.
pub(super) struct Part<'a, M: Model> {
    pub(super) machine: Numbered<'a, M>,
    pub(super) task: Task,
    /// Which of the operations of the history those of the task are.
    pub(super) ops: Vec<usize>,
    optional: Vec<bool>,
    /// Whether orders with few operations that needn't have happened are tried first: they are shown.
    pub(super) frugal: bool,
}

impl<'a, M: Model> Part<'a, M> {
    /// The part of `ops` that `counted` names, and of the others those that may matter to it.
    pub(super) fn new(model: &'a M, ops: &[Timed<M::Op>], counted: &[usize], look: Look) -> Self {
        let mut counts = vec![false; ops.len()];
        counted.iter().for_each(|&index| counts[index] = ops[index].returned());
        let end = counted.iter().map(|&index| ops[index].interval.ret).filter(|&ret| ret != NEVER).max().unwrap_or(0);
        // What isn't counted never has to happen, and what it read constrains nobody.
        let mut loose: Vec<Timed<M::Op>> = Vec::new();
        for (entry, timed) in ops.iter().enumerate().filter(|(_, timed)| timed.interval.call < end) {
            let mut timed = Timed { entry, ..timed.clone() };
            if !counts[entry] {
                if M::reads(&timed.op) {
                    continue;
                }
                timed.interval.ret = NEVER;
            }
            loose.push(timed);
        }
        model.prune(&mut loose);
        let sight = model.sight(&loose);
        let kept: Vec<usize> = loose.iter().map(|timed| timed.entry).collect();
        let timed: Vec<Timed<M::Op>> = kept.iter().map(|&index| ops[index].clone()).collect();
        let (machine, task) = Numbered::seeing(model, model.start(), &timed, look, sight);
        let optional = kept.iter().map(|&index| !counts[index]).collect();
        Part { machine, task, ops: kept, optional, frugal: false }
    }

    /// Whether it allows an order; `None`: the budget was used up before that could be told.
    pub(super) fn search(&mut self, budget: &mut u64) -> Option<Found> {
        if self.task.schedule.slots <= 64 { self.walk::<u64>(budget) } else { self.walk::<Wide>(budget) }
    }

    /// Like [`super::search::search`], but for one more way on: an operation that isn't counted may return without having
    /// happened.
    fn walk<X: Mask>(&mut self, budget: &mut u64) -> Option<Found> {
        let Part { machine, task, optional, frugal, .. } = self;
        let mut seen: FxHashSet<(u32, u32, X)> = FxHashSet::default();
        let mut links: Vec<(Choice, usize)> = Vec::new();
        let mut stack = vec![(0, 0, X::empty(task.schedule.slots), usize::MAX)];
        let mut furthest = (0, usize::MAX);
        let mut tried = vec![[0u64; 2]; task.reads.len()];
        while let Some((mut step, state, mut mask, link)) = stack.pop() {
            advance(task, machine, &mut step, state, &mut mask);
            if step as usize == task.schedule.steps.len() {
                return Some(Found::Legal(choices(&links, link)));
            }
            if !seen.insert((step, state, mask.clone())) {
                continue;
            }
            *budget = budget.checked_sub(1)?;
            let may_return = optional[task.schedule.steps[step as usize].op as usize];
            let without = (step + 1, state, mask.clone(), link);
            if may_return && !*frugal {
                stack.push(without.clone());
            } else if !may_return && step > furthest.0 {
                furthest = (step, link);
            }
            let goal = task.goals.get(step as usize).copied().flatten();
            let branching = seen.len() as u64;
            let from = stack.len();
            for op in task.schedule.under_way(step as usize) {
                let (class, slot) = (task.class[op as usize], task.schedule.slot[op as usize]);
                if mask.has(slot) || task.reads[class as usize] {
                    continue;
                }
                // Of those that are alike the first to return goes first; but one that needn't happen can't stand for one
                // that must.
                let tried = &mut tried[class as usize];
                let needless = optional[op as usize];
                if tried[1] == branching || needless && tried[0] == branching {
                    continue;
                }
                tried[usize::from(!needless)] = branching;
                let Some(next) = machine.step(state, class) else { continue };
                if goal.is_some_and(|goal| !machine.reaches(next, goal)) {
                    continue;
                }
                let mut mask = mask.clone();
                mask.put(slot);
                links.push(((step, op), link));
                stack.push((step, next, mask, links.len() - 1));
            }
            stack[from..].reverse();
            if *frugal {
                stack[from..].sort_by_key(|(.., link)| !optional[links[*link].0.1 as usize]);
                stack.extend(may_return.then_some(without));
            }
        }
        Some(Found::Illegal { step: furthest.0 as usize, choices: choices(&links, furthest.1) })
    }
}

fn choices(links: &[(Choice, usize)], mut link: usize) -> Vec<Choice> {
    let mut out = Vec::new();
    while let Some(&(choice, before)) = links.get(link) {
        out.push(choice);
        link = before;
    }
    out.reverse();
    out
}

/// The smallest part that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Least {
    /// Its operations.
    pub(super) counted: Vec<usize>,
    /// Whether it was shown that there is none with fewer. If not, none of these can be left out.
    pub(super) proven: bool,
}

/// Looks for the smallest part of an illegal history that contradicts itself; `None`: that takes more than the budget.
pub(super) fn find<M: Model>(model: &M, ops: &[Timed<M::Op>], budget: u64) -> Option<Least> {
    let mut all: Vec<usize> = (0..ops.len()).filter(|&index| ops[index].returned()).collect();
    all.sort_unstable_by_key(|&index| ops[index].interval.ret);
    let mut hunt = Hunt { model, ops, all, budget };
    let mut counted = hunt.irreducible()?;
    let mut proven = true;
    let (mut to_hit, mut size) = (Vec::new(), 1);
    while size < counted.len() {
        match hunt.smaller(&mut to_hit, &mut size, counted.len()) {
            None => {
                proven = false;
                break;
            }
            Some(Some(fewer)) => {
                counted = fewer;
                break;
            }
            Some(None) => {}
        }
    }
    counted.sort_unstable();
    Some(Least { counted, proven })
}

struct Hunt<'a, M: Model> {
    model: &'a M,
    ops: &'a [Timed<M::Op>],
    /// Everything that can be counted, in the order of the returns.
    all: Vec<usize>,
    /// Configurations that may be visited yet.
    budget: u64,
}

impl<M: Model> Hunt<'_, M> {
    fn contradicts(&mut self, counted: &[usize]) -> Option<bool> {
        let mut part = Part::new(self.model, self.ops, counted, Look::Ahead);
        // To lay it out takes time too.
        self.budget = self.budget.checked_sub(part.ops.len() as u64 / 4)?;
        let found = part.search(&mut self.budget)?;
        Some(matches!(found, Found::Illegal { .. }))
    }

    /// A part of which nothing can be left out: of the shortest beginning without an order.
    fn irreducible(&mut self) -> Option<Vec<usize>> {
        if !self.contradicts(&self.all.clone())? {
            return None;
        }
        let (mut legal, mut illegal) = (0, self.all.len());
        while legal + 1 < illegal {
            let middle = usize::midpoint(legal, illegal);
            let beginning = self.all[..middle].to_vec();
            *(if self.contradicts(&beginning)? { &mut illegal } else { &mut legal }) = middle;
        }
        let mut part = self.all[..illegal].to_vec();
        let mut size = part.len();
        while size > 0 {
            let mut at = 0;
            while at < part.len() {
                let fewer = [&part[..at], &part[part.len().min(at + size)..]].concat();
                if self.contradicts(&fewer)? { part = fewer } else { at += size }
            }
            size /= 2;
        }
        Some(part)
    }

    /// The next attempt at a part of fewer than `below` operations: one, or one more set that every contradiction hits.
    /// `size` is what it takes at least so far.
    fn smaller(&mut self, to_hit: &mut Vec<Vec<usize>>, size: &mut usize, below: usize) -> Option<Option<Vec<usize>>> {
        let mut chosen = Vec::new();
        while !self.hits(to_hit, &mut chosen, *size)? {
            *size += 1;
            if *size >= below {
                return Some(None);
            }
        }
        if self.contradicts(&chosen)? {
            return Some(Some(chosen));
        }
        let rest: Vec<usize> = self.all.iter().copied().filter(|index| !chosen.contains(index)).collect();
        let mut out = Vec::new();
        self.grow(&mut chosen, &rest, &mut out)?;
        to_hit.push(out);
        to_hit.sort_by_key(Vec::len);
        Some(None)
    }

    /// Chooses `room` more at most, so that every set has one that is chosen; false if there is no such choice.
    fn hits(&mut self, to_hit: &[Vec<usize>], chosen: &mut Vec<usize>, room: usize) -> Option<bool> {
        let Some(open) = to_hit.iter().find(|set| !set.iter().any(|index| chosen.contains(index))) else {
            return Some(true);
        };
        if room == 0 {
            return Some(false);
        }
        for &index in open {
            self.budget = self.budget.checked_sub(1)?;
            chosen.push(index);
            if self.hits(to_hit, chosen, room - 1)? {
                return Some(true);
            }
            chosen.pop();
        }
        Some(false)
    }

    /// Adds whatever leaves an order; what doesn't goes out.
    fn grow(&mut self, part: &mut Vec<usize>, more: &[usize], out: &mut Vec<usize>) -> Option<()> {
        let larger = [part.as_slice(), more].concat();
        if !self.contradicts(&larger)? {
            *part = larger;
        } else if let [one] = more {
            out.push(*one);
        } else {
            let (first, second) = more.split_at(more.len() / 2);
            self.grow(part, first, out)?;
            self.grow(part, second, out)?;
        }
        Some(())
    }
}
