//! The work under a lock: writes to the protected resource, and the end of the belief to hold it.

use std::sync::Arc;

use super::{LockStep, Locker, Phase, Then, hex, note};
use crate::client::config::lock::REDISSON_ATTEMPTS;
use crate::node::Outbox;
use crate::resp::Value;
use crate::time::{Instant, Now, Span};
use crate::trace::event::{LockAnswer, LockEvent, LockLoss};

/// One stretch of work.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    ends: Instant,
    /// Between two writes.
    gap: Span,
    next_write: Instant,
    writes_left: u32,
    fencing: Option<u64>,
}

impl Hold {
    /// When there is something to do.
    pub(super) fn next(&self) -> Instant {
        self.ends.min(self.next_write)
    }
}

/// How long the resource may take to answer.
const RESOURCE_PATIENCE: Span = Span::from_secs(5);

impl Locker {
    /// The client believes that it has the lock.
    pub(super) fn acquired(&mut self, fencing: Option<u64>, now: Now, out: &mut Outbox) {
        let config = Arc::clone(&self.config);
        let work = config.hold.draw(&mut self.work);
        let writes = if self.resource.is_some() { config.writes } else { 0 };
        let gap = Span(work.0 / (u64::from(writes) + 1)).max(Span::from_us(1));
        let next_write = if writes > 0 { now.mono + gap } else { Instant::NEVER };
        self.hold = Some(Hold { ends: now.mono + work, gap, next_write, writes_left: writes, fencing });
        self.phase = Phase::Holding;
        if !config.algorithm.is_redisson() {
            self.renew_at = config.extend.map_or(Instant::NEVER, |every| now.mono + every);
        }
        let event = LockEvent::Acquired {
            lock: Arc::clone(&config.lock),
            round: self.number(),
            token: Arc::clone(&self.token),
            granted: self.granted,
            valid: self.valid(now),
            minds: config.minds,
            fencing,
        };
        note(event, out);
    }

    /// What is due of the work.
    pub(super) fn work(&mut self, now: Now, out: &mut Outbox) {
        let Some(hold) = &mut self.hold else { return };
        if hold.next_write <= now.mono {
            let fencing = hold.fencing;
            hold.writes_left -= 1;
            hold.next_write = if hold.writes_left > 0 { now.mono + hold.gap } else { Instant::NEVER };
            self.write(fencing, now, out);
        } else if hold.ends <= now.mono {
            self.give_back(now, out);
        }
    }

    fn write(&mut self, fencing: Option<u64>, now: Now, out: &mut Outbox) {
        let round = self.number();
        note(LockEvent::ResourceAsked { round, fencing }, out);
        let token = fencing.map_or("-".to_owned(), |token| token.to_string());
        let (number, lock, name) = (round.to_string(), Arc::clone(&self.config.lock), Arc::clone(&self.name));
        let parts = [&b"WRITE"[..], lock.as_bytes(), name.as_bytes(), number.as_bytes(), token.as_bytes()];
        if let Some(resource) = &mut self.resource {
            resource.ask(u64::from(round), &parts, now.mono + RESOURCE_PATIENCE, out);
        }
    }

    /// The resource answered a write of that round.
    pub(super) fn on_written(&mut self, tag: u64, answer: LockAnswer, now: Now, out: &mut Outbox) {
        let round = u32::try_from(tag).unwrap_or(u32::MAX);
        note(LockEvent::ResourceAnswered { round, answer }, out);
        if answer == LockAnswer::No && round == self.number() && self.hold.is_some() {
            self.lose(LockLoss::Fenced, now, out);
        }
    }

    /// The client learns that the lock isn't its own any more. It tells the servers to forget it all the same.
    pub(super) fn lose(&mut self, why: LockLoss, now: Now, out: &mut Outbox) {
        note(LockEvent::Lost { round: self.number(), why }, out);
        self.leave_off(now, out);
    }

    /// The work is done.
    fn give_back(&mut self, now: Now, out: &mut Outbox) {
        note(LockEvent::Released { round: self.number() }, out);
        self.leave_off(now, out);
    }

    /// Redisson's name for one unlocking; the server remembers what came of it for as long as all tries may take.
    pub(super) fn name_unlocking(&mut self) {
        self.latch = hex(&mut self.tokens, 32);
        let one = self.config.timeout + self.config.retry_delay.draw(&mut self.delays);
        self.latch_life = one.times(u64::from(REDISSON_ATTEMPTS));
    }

    fn leave_off(&mut self, now: Now, out: &mut Outbox) {
        self.hold = None;
        self.valid_until = None;
        self.failures = 0;
        (self.renewal_tries, self.release_tries) = (0, 0);
        if self.config.algorithm.is_redisson() {
            self.name_unlocking();
        } else {
            self.renew_at = Instant::NEVER;
        }
        self.then = Then::Rest;
        self.ask(LockStep::Release, now, out);
    }
}

/// What the resource's answer means.
pub(super) fn read(value: &Value) -> LockAnswer {
    match value.error() {
        None => LockAnswer::Yes,
        Some(message) if message.starts_with(b"FENCED") => LockAnswer::No,
        Some(_) => LockAnswer::Error,
    }
}
