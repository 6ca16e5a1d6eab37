//! The search for an order in which every operation takes effect between its call and its return.
//!
//! Wing and Gong's search (1993) with Lowe's memory of configurations (2017), just in time: it walks along the returns,
//! and only when an operation returns that has not taken effect are operations under way made to take effect, the
//! returning one last. A configuration is the place in the history, the state, and which of the operations under way
//! have taken effect; none is visited twice.
//!
//! Three rules cut branches without losing an answer:
//! - An operation that never changes the state takes effect as soon as it is legal: later can't be better.
//! - Of operations under way that are alike, the first to return goes first: any order with another first can be
//!   rearranged to this one.
//! - A state from which a later read can no longer become legal leads nowhere ([`Machine::reaches`]).

use rustc_hash::{FxHashMap, FxHashSet};

use super::mask::{Mask, Wide};
use super::schedule::Schedule;

/// A model with numbered states and numbered classes of operations. State 0 is where it starts.
pub(super) trait Machine {
    /// The state after an operation of a class, if it is legal in this one.
    fn step(&mut self, state: u32, class: u32) -> Option<u32>;
    /// Whether an operation of a class may still be legal after others; `true` if it can't be told.
    fn reaches(&mut self, _state: u32, _class: u32) -> bool {
        true
    }
}

/// A history laid out for the search.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// The order of calls and returns.
    pub(super) schedule: Schedule,
    /// Each operation's class: operations of one class are alike.
    pub(super) class: Vec<u32>,
    /// Whether operations of a class never change any state.
    pub(super) reads: Vec<bool>,
    /// For each step a read that is yet to become legal, with nothing to come that resets. Empty: no looking ahead.
    pub(super) goals: Vec<Option<u32>>,
}

/// An operation that took effect, and at which step.
pub(super) type Choice = (u32, u32);

/// What a search comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An order exists. The choices are its operations except those that never change the state.
    Legal(Vec<Choice>),
    /// No order exists.
    Illegal {
        /// The step that none gets past: the operation whose return can't be explained.
        step: usize,
        /// The choices of one that gets as far.
        choices: Vec<Choice>,
    },
}

/// Searches; visits at most `budget` configurations and takes what it visits off it. `None`: they don't suffice.
pub(super) fn search(task: &Task, machine: &mut impl Machine, budget: &mut u64) -> Option<Found> {
    Search::new(task).run(task, machine, budget)
}

/// A search that can be left and taken up again.
pub(super) enum Search {
    /// With few operations under way at once.
    Narrow(Walk<u64>),
    /// With many.
    Wide(Walk<Wide>),
}

impl Search {
    pub(super) fn new(task: &Task) -> Search {
        if task.schedule.slots <= 64 { Search::Narrow(Walk::new(task)) } else { Search::Wide(Walk::new(task)) }
    }

    /// Goes on with the task that it was made for, as [`search`] does.
    pub(super) fn run(&mut self, task: &Task, machine: &mut impl Machine, budget: &mut u64) -> Option<Found> {
        match self {
            Search::Narrow(walk) => walk.run(task, machine, budget),
            Search::Wide(walk) => walk.run(task, machine, budget),
        }
    }
}

const NO_LINK: u32 = u32::MAX;

struct Node<M> {
    step: u32,
    state: u32,
    mask: M,
    /// How it was reached: an index of [`Walk::links`].
    link: u32,
}

/// Where a search is.
pub(super) struct Walk<M> {
    seen: FxHashSet<(u32, u32, M)>,
    stack: Vec<Node<M>>,
    /// A choice and the link before it.
    links: Vec<(Choice, u32)>,
    furthest: (u32, u32),
    /// When a class was last tried: the number of the branching.
    tried: Vec<u64>,
    branchings: u64,
    next: Vec<(Node<M>, u32)>,
}

impl<M: Mask> Walk<M> {
    fn new(task: &Task) -> Self {
        let mask = M::empty(task.schedule.slots);
        Walk {
            seen: FxHashSet::default(),
            stack: vec![Node { step: 0, state: 0, mask, link: NO_LINK }],
            links: Vec::new(),
            furthest: (0, NO_LINK),
            tried: vec![0; task.reads.len()],
            branchings: 0,
            next: Vec::new(),
        }
    }

    fn run(&mut self, task: &Task, machine: &mut impl Machine, budget: &mut u64) -> Option<Found> {
        while *budget > 0 {
            let Some(mut node) = self.stack.pop() else {
                let (step, link) = self.furthest;
                return Some(Found::Illegal { step: step as usize, choices: self.choices(link) });
            };
            advance(task, machine, &mut node.step, node.state, &mut node.mask);
            if node.step as usize == task.schedule.steps.len() {
                return Some(Found::Legal(self.choices(node.link)));
            }
            if !self.seen.insert((node.step, node.state, node.mask.clone())) {
                continue;
            }
            *budget -= 1;
            if node.step > self.furthest.0 {
                self.furthest = (node.step, node.link);
            }
            self.branch(task, machine, &node);
        }
        None
    }

    /// Puts what can follow on the stack, the most promising on top.
    fn branch<X: Machine>(&mut self, task: &Task, machine: &mut X, node: &Node<M>) {
        let step = node.step as usize;
        let returning = task.class[task.schedule.steps[step].op as usize];
        let waiting = task.reads[returning as usize];
        let goal = task.goals.get(step).copied().flatten();
        self.branchings += 1;
        for op in task.schedule.under_way(step) {
            let (class, slot) = (task.class[op as usize], task.schedule.slot[op as usize]);
            if node.mask.has(slot) || task.reads[class as usize] || self.tried[class as usize] == self.branchings {
                continue;
            }
            self.tried[class as usize] = self.branchings;
            let Some(state) = machine.step(node.state, class) else { continue };
            if goal.is_some_and(|goal| !machine.reaches(state, goal)) {
                continue;
            }
            let mut mask = node.mask.clone();
            mask.put(slot);
            self.next.push((Node { step: node.step, state, mask, link: node.link }, op));
        }
        // The last one pushed is tried first: whoever lets the returning operation return, else the earliest return.
        self.next.reverse();
        let frees = |node: &Node<M>, machine: &mut X| waiting && machine.step(node.state, returning).is_some();
        for wanted in [false, true] {
            for index in 0..self.next.len() {
                if frees(&self.next[index].0, machine) != wanted {
                    continue;
                }
                let (next, op) = &self.next[index];
                self.links.push(((next.step, *op), next.link));
                let link = u32::try_from(self.links.len() - 1).expect("fewer than 2^32 configurations");
                self.stack.push(Node { step: next.step, state: next.state, mask: next.mask.clone(), link });
            }
            if !waiting {
                break;
            }
        }
        self.next.clear();
    }

    fn choices(&self, mut link: u32) -> Vec<Choice> {
        let mut choices = Vec::new();
        while link != NO_LINK {
            let (choice, before) = self.links[link as usize];
            choices.push(choice);
            link = before;
        }
        choices.reverse();
        choices
    }
}

/// Walks past every return whose operation has taken effect; reads take effect where they are legal.
pub(super) fn advance<M: Mask>(task: &Task, machine: &mut impl Machine, step: &mut u32, state: u32, mask: &mut M) {
    let schedule = &task.schedule;
    while let Some(next) = schedule.steps.get(*step as usize) {
        for &op in schedule.returning(*step as usize) {
            let (class, slot) = (task.class[op as usize], schedule.slot[op as usize]);
            if task.reads[class as usize] && !mask.has(slot) && machine.step(state, class).is_some() {
                mask.put(slot);
            }
        }
        let slot = schedule.slot[next.op as usize];
        if !mask.has(slot) {
            return;
        }
        mask.take(slot);
        *step += 1;
    }
}

/// A moment at which there is only one configuration that the history can be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bottleneck {
    /// Before this step's return, and after the calls that come before it.
    pub(super) step: usize,
    /// The state then.
    pub(super) state: u32,
    /// The operations under way that have not taken effect.
    pub(super) waiting: Vec<u32>,
}

/// The last bottleneck before a step that no configuration gets past; `None` if there is only the beginning, or the
/// budget doesn't suffice.
pub(super) fn bottleneck(
    task: &Task,
    machine: &mut impl Machine,
    until: usize,
    budget: &mut u64,
) -> Option<Bottleneck> {
    if task.schedule.slots <= 64 {
        narrow::<u64>(task, machine, until, budget)
    } else {
        narrow::<Wide>(task, machine, until, budget)
    }
}

fn narrow<M: Mask>(task: &Task, machine: &mut impl Machine, until: usize, budget: &mut u64) -> Option<Bottleneck> {
    // What each step begins with. A read that is legal has taken effect.
    let mut layers: FxHashMap<u32, Vec<(u32, M)>> = FxHashMap::default();
    let mut seen: FxHashSet<(u32, u32, M)> = FxHashSet::default();
    layers.insert(0, vec![(0, M::empty(task.schedule.slots))]);
    let mut found = None;
    for step in 0..=u32::try_from(until).ok()? {
        let mut layer = layers.remove(&step).unwrap_or_default();
        let settled: FxHashSet<(u32, M)> =
            layer.drain(..).map(|(state, mask)| close(task, machine, step, state, mask)).collect();
        let mut settled: Vec<(u32, M)> = settled.into_iter().collect();
        if let [(state, mask)] = settled.as_slice()
            && step > 0
        {
            let under_way = task.schedule.under_way(step as usize);
            let waiting = under_way.filter(|&op| !mask.has(task.schedule.slot[op as usize])).collect();
            found = Some(Bottleneck { step: step as usize, state: *state, waiting });
        }
        let op = task.schedule.steps[step as usize].op;
        let slot = task.schedule.slot[op as usize];
        let goal = task.goals.get(step as usize).copied().flatten();
        while let Some((state, mut mask)) = settled.pop() {
            *budget = budget.checked_sub(1)?;
            if mask.has(slot) {
                mask.take(slot);
                layers.entry(step + 1).or_default().push((state, mask));
                continue;
            }
            for op in task.schedule.under_way(step as usize) {
                let (class, other) = (task.class[op as usize], task.schedule.slot[op as usize]);
                if mask.has(other) || task.reads[class as usize] {
                    continue;
                }
                let Some(state) = machine.step(state, class) else { continue };
                if goal.is_some_and(|goal| !machine.reaches(state, goal)) {
                    continue;
                }
                let mut mask = mask.clone();
                mask.put(other);
                let (state, mask) = close(task, machine, step, state, mask);
                if seen.insert((step, state, mask.clone())) {
                    settled.push((state, mask));
                }
            }
        }
        seen.clear();
    }
    found
}

/// Lets the reads take effect that are legal.
fn close<M: Mask>(task: &Task, machine: &mut impl Machine, step: u32, state: u32, mut mask: M) -> (u32, M) {
    for &op in task.schedule.returning(step as usize) {
        let (class, slot) = (task.class[op as usize], task.schedule.slot[op as usize]);
        if task.reads[class as usize] && !mask.has(slot) && machine.step(state, class).is_some() {
            mask.put(slot);
        }
    }
    (state, mask)
}

/// What took effect in which order on the way to a step, with the state after each: the choices, and the reads where
/// they became legal.
pub(super) fn replay(task: &Task, machine: &mut impl Machine, choices: &[Choice], until: usize) -> Vec<(u32, u32)> {
    let schedule = &task.schedule;
    let mut mask = Wide::empty(schedule.slots);
    let (mut state, mut order, mut choices) = (0, Vec::new(), choices.iter().peekable());
    for step in 0..schedule.steps.len().min(until + 1) {
        loop {
            for &op in schedule.returning(step) {
                let (class, slot) = (task.class[op as usize], schedule.slot[op as usize]);
                if task.reads[class as usize] && !mask.has(slot) && machine.step(state, class).is_some() {
                    mask.put(slot);
                    order.push((op, state));
                }
            }
            let Some(&(_, op)) = choices.next_if(|(at, _)| *at as usize == step) else { break };
            state = machine.step(state, task.class[op as usize]).expect("a choice was legal when it was made");
            mask.put(schedule.slot[op as usize]);
            order.push((op, state));
        }
        mask.take(schedule.slot[schedule.steps[step].op as usize]);
    }
    order
}
