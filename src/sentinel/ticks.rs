//! The timer: when it ticks, and which ticks need not be run because nothing would happen in them.
//!
//! Redis draws its timer's frequency anew on every tick, 10 to 19 a second, so that sentinels don't stay in step. The
//! draws are made for all ticks, run or not: skipping changes no later one.

use std::collections::VecDeque;

use super::Ms;
use crate::rng::Rng;
use crate::time::{Instant, NS_PER_MS, Span};

/// `CONFIG_DEFAULT_HZ`: the lowest frequency, and how many there are to draw from.
const HZ: u64 = 10;
/// How many ticks are looked ahead before one is run in any case.
const HORIZON: usize = 64;

/// A clock that runs fast or slow shows an instant this much late at worst.
const READING: Span = Span::from_us(1);

/// The sequence of ticks.
#[derive(Clone, Debug)]
pub(super) struct Ticks {
    rng: Rng,
    /// When the last tick was, run or skipped.
    last: Instant,
    /// Drawn lengths between further ticks, at least one.
    ahead: VecDeque<Span>,
    /// When the next tick is: the first of these lengths after the last one.
    next: Instant,
    /// Wall clock minus monotonic clock, in nanoseconds, as of the newest reading.
    offset: i64,
    /// The same when it was last found to have moved.
    settled_offset: i64,
    /// Wall-clock milliseconds at the last tick (`sentinel.previous_time`).
    previous: Ms,
    /// The first tick that may have something to do.
    wake: Option<Instant>,
    /// The tick before that one, if that one was found by counting: whatever is due between them is due then.
    before: Option<Instant>,
    /// The next tick is run whatever is due: time was not what it seemed.
    forced: bool,
    /// The present call of the process ran a tick.
    in_tick: bool,
}

fn offset_of(now: crate::time::Now) -> i64 {
    let ns = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    ns(now.unix.0).saturating_sub(ns(now.mono.0))
}

impl Ticks {
    /// The first tick comes `first` after the start.
    pub(super) fn new(now: crate::time::Now, rng: Rng, first: Span) -> Ticks {
        let offset = offset_of(now);
        Ticks {
            rng,
            last: now.mono,
            ahead: VecDeque::from([first]),
            next: now.mono + first,
            offset,
            settled_offset: offset,
            previous: super::ms(now),
            wake: None,
            before: None,
            forced: false,
            in_tick: false,
        }
    }

    fn draw(&mut self) -> Span {
        Span::from_ms(1000 / (HZ + self.rng.below(HZ)))
    }

    /// The last tick was then: the next one is counted from it.
    fn count_from(&mut self, last: Instant) {
        self.last = last;
        if self.ahead.is_empty() {
            let span = self.draw();
            self.ahead.push_back(span);
        }
        self.next = last + self.ahead[0];
    }

    /// When a tick may have something to do.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Wall-clock milliseconds at the last tick.
    pub(super) fn previous(&self) -> Ms {
        self.previous
    }

    /// Skips the ticks before `limit` that have nothing to do.
    fn skip_before(&mut self, limit: Instant) {
        let limit = self.wake.map_or(limit, |wake| wake.min(limit));
        if self.next >= limit {
            return;
        }
        while self.next < limit {
            self.ahead.pop_front();
            self.count_from(self.next);
        }
        let unix = i64::try_from(self.last.0).unwrap_or(i64::MAX).saturating_add(self.offset);
        self.previous = unix.div_euclid(1_000_000);
    }

    /// Brings the sequence up to now. True when the wall clock was stepped since the last call.
    pub(super) fn sync(&mut self, now: crate::time::Now) -> bool {
        self.in_tick = false;
        self.skip_before(now.mono);
        self.offset = offset_of(now);
        let stepped = self.offset.abs_diff(self.settled_offset) >= NS_PER_MS;
        if stepped {
            self.settled_offset = self.offset;
            self.forced = true;
        }
        stepped
    }

    /// The process did not run since then: ticks after it were not run, and the next one comes late.
    /// What a tick itself waits for belongs to it: the next one is counted from its end (`processTimeEvents`).
    pub(super) fn stalled(&mut self, since: Instant, until: Option<Instant>) {
        match until {
            Some(until) if self.in_tick => self.count_from(self.last.max(until)),
            Some(_) | None => self.skip_before(since),
        }
        (self.wake, self.before) = (Some(self.next), None);
        self.forced = true;
    }

    /// Whether a tick is to be run now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now && (self.forced || self.wake.is_some_and(|wake| self.next >= wake))
    }

    /// A tick was run; the next one is counted from here, or from when it was due if the clock merely could not be
    /// read any finer.
    pub(super) fn ran(&mut self, now: Instant, unix: Ms) {
        let due = self.next;
        self.ahead.pop_front();
        self.count_from(if now.since(due) < READING { due } else { now });
        self.before = None;
        self.previous = unix;
        self.forced = false;
        self.in_tick = true;
    }

    /// Plans the first tick at or after `due` wall-clock milliseconds; `None`: none.
    pub(super) fn plan(&mut self, due: Option<Ms>) {
        let Some(due) = due.or(self.forced.then_some(0)) else {
            (self.wake, self.before) = (None, None);
            return;
        };
        if self.forced {
            (self.wake, self.before) = (Some(self.next), None);
            return;
        }
        let target = due.saturating_mul(1_000_000).saturating_sub(self.offset);
        let target = Instant(u64::try_from(target).unwrap_or(0));
        if let (Some(before), Some(wake)) = (self.before, self.wake)
            && before < target
            && target <= wake
        {
            return;
        }
        let (mut before, mut at) = (None, self.next);
        let mut index = 1;
        while at < target && index < HORIZON {
            if index == self.ahead.len() {
                let span = self.draw();
                self.ahead.push_back(span);
            }
            before = Some(at);
            at += self.ahead[index];
            index += 1;
        }
        (self.wake, self.before) = (Some(at), before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use crate::time::{Now, Unix};

    const EPOCH_MS: u64 = 1_700_000_000_000;

    fn at(ms: u64) -> Now {
        Now { mono: Instant(ms * NS_PER_MS), unix: Unix((EPOCH_MS + ms) * NS_PER_MS) }
    }

    fn ticks() -> Ticks {
        Ticks::new(at(0), Seed(3).stream("t", "hz"), Span::from_ms(1))
    }

    fn due(ms: u64) -> Option<Ms> {
        Some(i64::try_from(EPOCH_MS + ms).expect("small"))
    }

    #[test]
    fn skipped_ticks_change_no_later_one() {
        let (mut eager, mut lazy) = (ticks(), ticks());
        let mut all = Vec::new();
        for _ in 0..200 {
            let next = eager.next;
            assert!(next.since(eager.last) >= Span::from_ms(1) && next.since(eager.last) <= Span::from_ms(100));
            eager.plan(Some(0));
            eager.ran(next, 0);
            all.push(next);
        }
        for target in [5, 700, 900, 1900, 3000, 9000] {
            lazy.plan(due(target));
            while lazy.wake().is_some_and(|wake| wake < at(target).mono) {
                // Beyond the horizon a tick is run though nothing is due.
                let wake = lazy.wake().expect("planned");
                lazy.sync(Now { mono: wake, unix: Unix(wake.0 + EPOCH_MS * NS_PER_MS) });
                lazy.ran(wake, 0);
                lazy.plan(due(target));
            }
            let wake = lazy.wake().expect("planned");
            let expected = all.iter().copied().find(|&tick| tick >= at(target).mono);
            assert_eq!(Some(wake), expected, "{target} ms");
            lazy.sync(Now { mono: wake, unix: Unix(wake.0 + EPOCH_MS * NS_PER_MS) });
            assert!(lazy.is_due(wake));
            lazy.ran(wake, 0);
        }
    }

    #[test]
    fn an_earlier_need_finds_the_tick_between() {
        let mut ticks = ticks();
        ticks.plan(due(4000));
        ticks.sync(at(500));
        ticks.plan(due(0));
        let wake = ticks.wake().expect("planned");
        assert!(wake >= at(500).mono && wake <= at(600).mono);
    }

    #[test]
    fn a_stall_keeps_the_time_of_the_last_tick() {
        let mut ticks = ticks();
        ticks.plan(due(1500));
        ticks.stalled(at(1000).mono, None);
        assert!(!ticks.sync(at(6000)));
        assert!(ticks.is_due(at(6000).mono));
        let gap = super::super::ms(at(6000)) - ticks.previous();
        assert!((5000..=5100).contains(&gap), "{gap}");
        ticks.ran(at(6000).mono, super::super::ms(at(6000)));
        assert!(ticks.next > at(6000).mono);
    }

    #[test]
    fn what_a_tick_waits_for_delays_the_next_one() {
        let mut ticks = ticks();
        ticks.plan(due(0));
        let tick = ticks.wake().expect("planned");
        ticks.ran(tick, 0);
        let (next, wait) = (ticks.next, Span::from_ms(30));
        ticks.stalled(tick, Some(tick + wait));
        assert_eq!(ticks.next, next + wait);
        // A message's wait delays no tick that comes after it.
        ticks.sync(at(31));
        ticks.stalled(at(31).mono, Some(at(35).mono));
        assert_eq!(ticks.next, next + wait);
    }

    #[test]
    fn a_step_of_the_wall_clock_forces_a_tick() {
        let mut ticks = ticks();
        ticks.plan(due(60_000));
        let mut stepped = at(300);
        stepped.unix = Unix(stepped.unix.0 - 5_000 * NS_PER_MS);
        assert!(ticks.sync(stepped));
        ticks.plan(due(60_000));
        assert!(ticks.wake().expect("planned") <= at(400).mono);
        assert!(!ticks.sync(stepped));
    }
}
