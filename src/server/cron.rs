//! Periodic work (`serverCron`). Its ticks are counted, not simulated: the server wakes only for a tick that has work.

use std::hint::select_unpredictable;

use super::{Server, expire, persistence, replication};
use crate::node::Outbox;
use crate::time::{Instant, Span};

/// Turns that follow each other faster than this don't each work out when the next tick has work.
const PLAN_EVERY: Span = Span::from_ms(2);

/// When the first tick comes after the start.
const FIRST: Span = Span::from_ms(1);

/// When ticks have work.
#[derive(Clone, Copy, Debug)]
struct Needs {
    /// Work that any tick does.
    any: Option<Instant>,
    /// Work that only some ticks do: replication.
    rare: Option<Instant>,
    /// With so many changes to the dataset there may be more to do.
    dirty: u64,
}

/// The ticks while nothing but short requests comes: [`Server::plan_cron`] for those who don't look at anything else.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Plan {
    /// The next tick.
    pub next: Instant,
    /// The tick that has work; [`Instant::NEVER`]: none.
    pub due: Instant,
    planned: Instant,
    found: Instant,
}

impl Plan {
    /// No ticks.
    pub(crate) const NONE: Plan =
        Plan { next: Instant::ZERO, due: Instant::NEVER, planned: Instant::ZERO, found: Instant::NEVER };

    /// After another request.
    #[inline(always)]
    pub(crate) fn go_on(&mut self, now: Instant) {
        // Nobody can foresee which.
        let holds = now < self.planned + PLAN_EVERY;
        self.due = select_unpredictable(holds, self.due.min(self.next), self.found);
        self.planned = select_unpredictable(holds, self.planned, now);
    }
}

/// Where the ticks stand.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    /// The next tick.
    pub next: Instant,
    /// Ticks so far (`server.cronloops`).
    pub loops: u64,
    /// The tick that has work, as known at the end of the last turn.
    due: Option<Instant>,
    /// When that was last worked out.
    planned: Instant,
    /// What was found then, if it holds as long as nothing but short requests changes it.
    lasting: Option<Needs>,
    /// What that comes to: the tick that has work, as long as the next tick is this one.
    found: (Option<Instant>, Instant),
    /// Ticks do nothing (DEBUG PAUSE-CRON).
    pub paused: bool,
    /// The process stopped running here and has not had a tick since.
    stalled: Option<Instant>,
}

impl Cron {
    /// Ticks of a process that starts now.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Cron {
        Cron {
            next: now + FIRST,
            loops: 0,
            due: None,
            planned: Instant::ZERO,
            lasting: None,
            found: (None, Instant::NEVER),
            paused: false,
            stalled: None,
        }
    }

    /// The tick at or after `at` whose number is a multiple of `every` (1: any tick).
    #[must_use]
    pub(crate) fn tick_after(&self, at: Instant, period: Span, every: u64) -> Instant {
        let ahead = if at <= self.next { 0 } else { at.since(self.next).ns().div_ceil(period.ns()) };
        let number = if every == 1 { self.loops + ahead } else { (self.loops + ahead).next_multiple_of(every) };
        self.next + period.times(number - self.loops)
    }

    /// The process does not run from here to its next call.
    pub(crate) fn stall(&mut self, since: Instant) {
        self.stalled.get_or_insert(since);
    }

    /// After a stall the first tick that was missed comes at once, whatever its number; the others are lost, not made
    /// up for. So work that belongs to every tenth tick may come up to nine ticks after a long sleep.
    fn catch_up(&mut self, now: Instant, period: Span) {
        let Some(since) = self.stalled else { return };
        if now < self.next {
            return;
        }
        self.stalled = None;
        if since >= self.next {
            let passed = since.since(self.next).ns() / period.ns() + 1;
            self.loops += passed;
            self.next += period.times(passed);
        }
        if self.next <= now {
            self.next = now;
            self.due = Some(now);
        }
    }

    /// What is planned, and for how many more changes to a dataset of so many it holds; `None`: it may not.
    pub(crate) fn plan(&self, dirty: u64) -> Option<(Plan, u64)> {
        let changes = self.lasting?.dirty.checked_sub(dirty + 1)?;
        let (found, next) = self.found;
        let never = |at: Option<Instant>| at.unwrap_or(Instant::NEVER);
        let plan = Plan { next, due: never(self.due), planned: self.planned, found: never(found) };
        (next == self.next && !self.paused).then_some((plan, changes))
    }

    /// Goes on from a plan that was taken from here.
    pub(crate) fn resume(&mut self, plan: &Plan) {
        self.planned = plan.planned;
        self.due = (plan.due != Instant::NEVER).then_some(plan.due);
    }

    /// When the server must wake for a tick.
    #[must_use]
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Server {
    /// Time between two ticks.
    #[must_use]
    pub(crate) fn cron_period(&self) -> Span {
        Span::from_ms(1_000 / self.config.hz.clamp(1, 500))
    }

    /// Ticks in a second: `run_with_period(1000)` runs in one of these.
    #[must_use]
    pub(crate) fn ticks_per_second(&self) -> u64 {
        self.ticks_in(1_000)
    }

    /// Ticks in that many milliseconds, at least one.
    #[must_use]
    pub(crate) fn ticks_in(&self, ms: u64) -> u64 {
        (ms / self.cron_period().ms().max(1)).max(1)
    }

    /// Counts ticks that have passed and runs the work of the newest one when it is due.
    #[inline]
    pub(crate) fn run_cron(&mut self, out: &mut Outbox) {
        if self.now.mono >= self.cron.next && !self.is_busy() {
            self.pass_ticks(out);
        }
    }

    fn pass_ticks(&mut self, out: &mut Outbox) {
        let now = self.now.mono;
        let period = self.cron_period();
        self.cron.catch_up(now, period);
        let due = self.cron.due.is_some_and(|due| due <= now) && !self.cron.paused;
        let passed = if due {
            // The tick with work was waited for: the ones before it had none. Later ones were missed, as a blocked
            // event loop misses them, and the next one counts from now.
            let at = self.cron.due.unwrap_or(now);
            let passed = at.since(self.cron.next).ns() / period.ns();
            self.cron.loops += passed;
            self.cron.next = now;
            passed + 1
        } else {
            let passed = now.since(self.cron.next).ns() / period.ns() + 1;
            self.cron.loops += passed;
            self.cron.next += period.times(passed);
            passed
        };
        self.sample_rates(passed);
        if due {
            self.cron.due = None;
            self.tick(out);
            self.cron.loops += 1;
            self.cron.next = now + period;
        }
    }

    /// One tick that has work.
    fn tick(&mut self, out: &mut Outbox) {
        self.plain = false;
        self.shutdown_cron(out);
        self.clients_cron(out);
        expire::slow_cycle(self, out);
        persistence::cron(self, out);
        self.is_paused();
        super::migrate::cron(self, out);
        let every = if self.repl.cron_is_fast() { self.ticks_in(100) } else { self.ticks_per_second() };
        if self.cron.loops.is_multiple_of(every) {
            replication::cron(self, out);
        }
        if self.tracking.clients > 0 {
            self.limit_tracking();
        }
        persistence::begin_scheduled(self, out);
    }

    /// Works out when the next tick with work is.
    ///
    /// In a busy time this is done now and then only: in between, the next tick is taken to have work, and looks.
    #[inline(always)]
    pub(crate) fn plan_cron(&mut self) {
        if self.cron.paused {
            self.cron.due = None;
            return;
        }
        if !self.plain {
            self.cron.lasting = None;
        }
        if self.now.mono < self.cron.planned + PLAN_EVERY {
            let next = self.cron.next;
            self.cron.due = Some(self.cron.due.map_or(next, |due| due.min(next)));
        } else {
            self.plan_cron_anew();
        }
    }

    #[inline(always)]
    fn plan_cron_anew(&mut self) {
        self.cron.planned = self.now.mono;
        let lasts = self.cron.lasting.as_ref().is_some_and(|needs| self.exec.dirty < needs.dirty);
        if !lasts || self.cron.found.1 != self.cron.next {
            self.find_due(lasts);
            self.cron.found = (self.cron.due, self.cron.next);
        }
        self.cron.due = self.cron.found.0;
    }

    #[inline(never)]
    fn find_due(&mut self, lasts: bool) {
        let now = self.now.mono;
        let needs = match self.cron.lasting {
            Some(needs) if lasts => needs,
            Some(_) | None => self.needs(),
        };
        let Needs { any, rare, .. } = needs;
        if any.is_none() && rare.is_none() {
            self.cron.due = None;
            return;
        }
        let period = self.cron_period();
        let mut due = any.map(|at| self.cron.tick_after(at.max(now), period, 1));
        if let Some(at) = rare {
            let every = if self.repl.cron_is_fast() { self.ticks_in(100) } else { self.ticks_per_second() };
            let tick = self.cron.tick_after(at.max(now), period, every);
            due = Some(due.map_or(tick, |other| other.min(tick)));
        }
        self.cron.due = due;
    }

    /// What ticks will have to do, as far as is known now.
    fn needs(&mut self) -> Needs {
        let (expiry, clients) = (expire::slow_need(self), self.clients_cron_need());
        let sockets = self
            .migrate
            .cron_second()
            .map(|second| self.now.mono + Span::from_secs(second.saturating_sub(self.now.unix.secs())));
        let others = [
            sockets,
            persistence::cron_need(self),
            expiry,
            clients,
            self.shutdown_need(),
            self.pause_need(),
            self.tracking_need(),
        ];
        let any = others.into_iter().fold(Instant::NEVER, |any, need| any.min(need.unwrap_or(Instant::NEVER)));
        let any = (any != Instant::NEVER).then_some(any);
        let rare = replication::cron_need(self);
        let dirty = self.exec.dirty;
        let dirty = self.config.save.iter().map(|point| point.changes).filter(|&changes| changes > dirty).min();
        let needs = Needs { any, rare, dirty: dirty.unwrap_or(u64::MAX) };
        // Needs that are counted from now in whole units are not the same a little later.
        let logs = self.persistence.wants_stream();
        let lasts = self.plain && !logs && sockets.is_none() && expiry.is_none() && clients.is_none();
        self.cron.lasting = lasts.then_some(needs);
        needs
    }

    fn sample_rates(&mut self, ticks: u64) {
        let stats = &mut self.stats;
        stats.ops.sample(stats.num_commands, ticks);
        stats.input.sample(stats.net_in + stats.net_repl_in, ticks);
        stats.output.sample(stats.net_out + stats.net_repl_out, ticks);
        stats.repl_input.sample(stats.net_repl_in, ticks);
        stats.repl_output.sample(stats.net_repl_out, ticks);
    }
}
