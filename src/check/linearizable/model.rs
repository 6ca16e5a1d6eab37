//! What a model is, and how its states and operations become the numbers that the search works with.

use std::fmt::Debug;
use std::hash::Hash;

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::history::{Datum, Entry};
use super::schedule::{Interval, NEVER, Schedule};
use super::search::{Machine, Task};

/// How one object behaves when operations come one after the other.
pub(super) trait Model {
    /// What the object holds.
    type State: Clone + Eq + Hash;
    /// An operation with its result.
    type Op: Clone + Eq + Hash + Debug;

    /// What it holds at the beginning.
    fn start(&self) -> Self::State;
    /// What it holds after an operation, if the operation can have that result.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;
    /// Whether an operation never changes any state in which it is legal.
    fn reads(op: &Self::Op) -> bool;
    /// Whether [`Model::reaches`] ever says no, or [`Model::hopeless`] yes.
    fn looks_ahead(&self) -> bool {
        false
    }
    /// Whether a read may be legal now or after other operations; `true` if it can't be told.
    fn reaches(&self, _state: &Self::State, _op: &Self::Op) -> bool {
        true
    }
    /// Whether an operation can make legal again what was out of reach.
    fn resets(_op: &Self::Op) -> bool {
        false
    }
    /// What [`Model::blur`] and [`Model::hopeless`] need to know of the results to come.
    fn sight(&self, _ops: &[Timed<Self::Op>]) -> Vec<u32> {
        Vec::new()
    }
    /// A state that no result can tell from this one, the same for as many as can be: the fewer states there are, the
    /// shorter is the search.
    fn blur(&self, _sight: &[u32], state: Self::State) -> Self::State {
        state
    }
    /// Whether nothing that is yet to come can be explained from a state; `false` if it can't be told.
    fn hopeless(&self, _sight: &[u32], _state: &Self::State) -> bool {
        false
    }
    /// Understands a recorded operation that may have taken effect; `None`: it can be left out.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse(&mut self, entry: &Entry) -> Result<Option<Self::Op>, String>;
    /// Leaves out operations without an outcome that no result can depend on.
    fn prune(&self, _ops: &mut Vec<Timed<Self::Op>>) {}
    /// An answer without a search, where there is one: an order exists, or these operations contradict one another.
    fn quick(&self, _ops: &[Timed<Self::Op>]) -> Option<Result<(), Vec<usize>>> {
        None
    }
    /// The parts that can be left out of a history without making a legal one illegal.
    fn units(&self, ops: &[Timed<Self::Op>]) -> Vec<Unit> {
        reads_alone::<Self>(ops)
    }
    /// Prepares for [`Model::units`] of these operations or a part of them.
    fn study(&mut self, _ops: &[Timed<Self::Op>]) {}
    /// An operation's result without an element that is left out.
    fn strip(&mut self, op: &Self::Op, _element: u32) -> Self::Op {
        op.clone()
    }
    /// A state without it.
    fn strip_state(&self, state: &Self::State, _element: u32) -> Self::State {
        state.clone()
    }
    /// An operation in words.
    fn show(&self, op: &Self::Op) -> String;
    /// A state in words.
    fn show_state(&self, state: &Self::State) -> String;
}

/// An operation of a model in time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Timed<O> {
    /// What.
    pub(super) op: O,
    /// When.
    pub(super) interval: Interval,
    /// Its index in the history.
    pub(super) entry: usize,
}

impl<O> Timed<O> {
    /// Whether it returned.
    pub(super) fn returned(&self) -> bool {
        self.interval.ret != NEVER
    }
}

/// What can be left out together: operations, and an element of the results of those that stay and of the state that
/// they begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// Indices of operations.
    pub(super) drop: Vec<usize>,
    /// An element.
    pub(super) strip: Option<u32>,
}

/// Each operation that never changes the state, alone.
pub(super) fn reads_alone<M: Model + ?Sized>(ops: &[Timed<M::Op>]) -> Vec<Unit> {
    let reads = ops.iter().enumerate().filter(|(_, timed)| M::reads(&timed.op));
    reads.map(|(index, _)| Unit { drop: vec![index], strip: None }).collect()
}

/// Values by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(IndexSet<Datum, FxBuildHasher>);

impl Names {
    /// The number of a value.
    pub(super) fn number(&mut self, datum: &Datum) -> u32 {
        let index = match self.0.get_index_of(datum) {
            Some(index) => index,
            None => self.0.insert_full(datum.clone()).0,
        };
        u32::try_from(index).expect("fewer than 2^32 values in a history")
    }

    /// The value of a number.
    pub(super) fn datum(&self, number: u32) -> &Datum {
        &self.0[number as usize]
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

const ILLEGAL: u32 = u32::MAX;

/// How a search looks at states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As they are.
    Exact,
    /// Those as one that no result can tell apart.
    Blurred,
    /// That, and it gives up as soon as a later read is out of reach: sooner than at the step that nothing gets past.
    Ahead,
}

/// A model with its states numbered as they are found.
pub(super) struct Numbered<'a, M: Model> {
    model: &'a M,
    look: Look,
    sight: Vec<u32>,
    states: IndexSet<M::State, FxBuildHasher>,
    classes: IndexSet<M::Op, FxBuildHasher>,
    edges: FxHashMap<(u32, u32), u32>,
    reachable: FxHashMap<(u32, u32), bool>,
}

impl<'a, M: Model> Numbered<'a, M> {
    /// A model that starts in `start`, and the task of finding an order for `ops`.
    pub(super) fn new(model: &'a M, start: M::State, ops: &[Timed<M::Op>], look: Look) -> (Self, Task) {
        let sight = if look == Look::Exact { Vec::new() } else { model.sight(ops) };
        Numbered::seeing(model, start, ops, look, sight)
    }

    /// The same where the results to come are known already.
    pub(super) fn seeing(
        model: &'a M,
        start: M::State,
        ops: &[Timed<M::Op>],
        look: Look,
        sight: Vec<u32>,
    ) -> (Self, Task) {
        let mut classes: IndexSet<M::Op, FxBuildHasher> = IndexSet::default();
        let mut class = Vec::with_capacity(ops.len());
        for timed in ops {
            let index = match classes.get_index_of(&timed.op) {
                Some(index) => index,
                None => classes.insert_full(timed.op.clone()).0,
            };
            class.push(u32::try_from(index).expect("fewer than 2^32 operations in a history"));
        }
        let reads: Vec<bool> = classes.iter().map(M::reads).collect();
        let intervals: Vec<Interval> = ops.iter().map(|timed| timed.interval).collect();
        let schedule = Schedule::new(&intervals);
        let look = if look == Look::Ahead && !model.looks_ahead() { Look::Blurred } else { look };
        let goals = if look == Look::Ahead {
            let resets = ops.iter().filter(|timed| M::resets(&timed.op)).map(|timed| timed.interval);
            goals(&schedule, &intervals, &class, &reads, &Resets::new(resets.collect()))
        } else {
            Vec::new()
        };
        let (mut states, edges, reachable) = (IndexSet::default(), FxHashMap::default(), FxHashMap::default());
        states.insert(start);
        (Numbered { model, look, sight, states, classes, edges, reachable }, Task { schedule, class, reads, goals })
    }

    /// The state of a number.
    pub(super) fn state(&self, state: u32) -> &M::State {
        &self.states[state as usize]
    }
}

/// When something resets.
struct Resets {
    /// By their calls, each with the last return of those up to it.
    last: Vec<(u64, u64)>,
}

impl Resets {
    fn new(mut intervals: Vec<Interval>) -> Resets {
        intervals.sort_unstable_by_key(|reset| reset.call);
        let mut last = 0;
        let row = |reset: Interval| {
            last = reset.ret.max(last);
            (reset.call, last)
        };
        Resets { last: intervals.into_iter().map(row).collect() }
    }

    /// Whether one that isn't over by `from` can come before `until`.
    fn any(&self, from: u64, until: u64) -> bool {
        let before = self.last.partition_point(|(call, _)| *call < until);
        before > 0 && self.last[before - 1].1 >= from
    }
}

/// For each return a read that is yet to become legal, if nothing can come before it that makes good what is out of its
/// reach: the one that returns now, or else the first to return of those that begin later.
fn goals(
    schedule: &Schedule,
    intervals: &[Interval],
    class: &[u32],
    reads: &[bool],
    resets: &Resets,
) -> Vec<Option<u32>> {
    let known = |op: &usize| intervals[*op].ret != NEVER && reads[class[*op] as usize];
    let mut later: Vec<usize> = (0..intervals.len()).filter(known).collect();
    later.sort_by_key(|&op| intervals[op].call);
    let mut goals = vec![None; schedule.steps.len()];
    let mut best: Option<usize> = None;
    for (step, goal) in schedule.steps.iter().zip(&mut goals).rev() {
        while let Some(&read) = later.last()
            && intervals[read].call > intervals[step.op as usize].ret
        {
            if best.is_none_or(|best| intervals[read].ret < intervals[best].ret) {
                best = Some(read);
            }
            later.pop();
        }
        let now = intervals[step.op as usize].ret;
        let certain = |read: &usize| !resets.any(now, intervals[*read].ret);
        let returning = Some(step.op as usize).filter(|&op| reads[class[op] as usize]);
        *goal = returning.or(best).filter(certain).map(|read| class[read]);
    }
    goals
}

impl<M: Model> Machine for Numbered<'_, M> {
    fn step(&mut self, state: u32, class: u32) -> Option<u32> {
        if let Some(&next) = self.edges.get(&(state, class)) {
            return (next != ILLEGAL).then_some(next);
        }
        let next = self.model.step(&self.states[state as usize], &self.classes[class as usize]);
        let next = match next.filter(|next| self.look != Look::Ahead || !self.model.hopeless(&self.sight, next)) {
            Some(next) => {
                let next = if self.look == Look::Exact { next } else { self.model.blur(&self.sight, next) };
                u32::try_from(self.states.insert_full(next).0).expect("fewer than 2^32 states")
            }
            None => ILLEGAL,
        };
        self.edges.insert((state, class), next);
        (next != ILLEGAL).then_some(next)
    }

    fn reaches(&mut self, state: u32, class: u32) -> bool {
        if self.look != Look::Ahead {
            return true;
        }
        let (model, states, classes) = (self.model, &self.states, &self.classes);
        *self
            .reachable
            .entry((state, class))
            .or_insert_with(|| model.reaches(&states[state as usize], &classes[class as usize]))
    }
}
