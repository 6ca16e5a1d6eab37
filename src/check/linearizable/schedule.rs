//! The order of calls and returns of one part of a history, laid out for the search.

/// The place of a return that never comes.
pub(super) const NEVER: u64 = u64::MAX;

/// When an operation was called and when it returned: places in one total order, each taken once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    /// The call's place.
    pub(super) call: u64,
    /// The return's place; [`NEVER`] if its outcome isn't known.
    pub(super) ret: u64,
}

/// A history as a list of returns. Operations that never return stand in a list of their own: they stay under way.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// How many operations are under way at once, at most.
    pub(super) slots: usize,
    /// Each operation's slot: its own from its call to its return.
    pub(super) slot: Vec<u32>,
    /// One for each return, in their order.
    pub(super) steps: Vec<Step>,
    /// The operations under way at each return, the first to return first.
    pending: Vec<u32>,
    /// The operations that never return, in the order of their calls.
    open: Vec<u32>,
}

/// One return, and what is under way then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Who returns.
    pub(super) op: u32,
    pending: (u32, u32),
    open: u32,
}

impl Schedule {
    pub(super) fn new(intervals: &[Interval]) -> Schedule {
        let number = |index: usize| u32::try_from(index).expect("fewer than 2^32 operations in a history");
        let mut events: Vec<(u64, bool, u32)> = Vec::with_capacity(intervals.len() * 2);
        for (index, interval) in intervals.iter().enumerate() {
            assert!(interval.call < interval.ret, "a call comes before its return");
            events.push((interval.call, false, number(index)));
            if interval.ret != NEVER {
                events.push((interval.ret, true, number(index)));
            }
        }
        events.sort_unstable();
        let mut schedule = Schedule {
            slots: 0,
            slot: vec![0; intervals.len()],
            steps: Vec::with_capacity(intervals.len()),
            pending: Vec::new(),
            open: Vec::new(),
        };
        let (mut free, mut live): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for (_, returns, op) in events {
            let index = op as usize;
            if !returns {
                schedule.slot[index] = free.pop().unwrap_or_else(|| {
                    schedule.slots += 1;
                    number(schedule.slots - 1)
                });
                if intervals[index].ret == NEVER {
                    schedule.open.push(op);
                } else {
                    let at = live.partition_point(|&other| intervals[other as usize].ret < intervals[index].ret);
                    live.insert(at, op);
                }
                continue;
            }
            let from = number(schedule.pending.len());
            schedule.pending.extend_from_slice(&live);
            let pending = (from, number(schedule.pending.len()));
            schedule.steps.push(Step { op, pending, open: number(schedule.open.len()) });
            assert_eq!(live.first(), Some(&op), "the first to return is who returns now");
            live.remove(0);
            free.push(schedule.slot[index]);
        }
        schedule
    }

    /// The operations under way at a return: those that will return, the first to return first (it returns now), then
    /// those that never do.
    pub(super) fn under_way(&self, step: usize) -> impl Iterator<Item = u32> + '_ {
        let Step { pending: (from, to), open, .. } = self.steps[step];
        self.pending[from as usize..to as usize].iter().chain(&self.open[..open as usize]).copied()
    }

    /// Only those that will return.
    pub(super) fn returning(&self, step: usize) -> &[u32] {
        let (from, to) = self.steps[step].pending;
        &self.pending[from as usize..to as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_under_way_at_each_return() {
        let at = |call, ret| Interval { call, ret };
        let schedule = Schedule::new(&[at(1, 9), at(2, NEVER), at(3, 4), at(5, 7), at(8, 10)]);
        let steps: Vec<(u32, Vec<u32>)> =
            (0..schedule.steps.len()).map(|k| (schedule.steps[k].op, schedule.under_way(k).collect())).collect();
        assert_eq!(steps, [(2, vec![2, 0, 1]), (3, vec![3, 0, 1]), (0, vec![0, 4, 1]), (4, vec![4, 1])]);
        assert_eq!(schedule.slots, 3, "a slot that was returned is used again");
        assert_eq!(schedule.slot, [0, 1, 2, 2, 2]);
    }
}
