//! A question to the servers: asked of all at once or in turn, answered one by one, and what follows from the answers.

use std::sync::Arc;

use super::requests::Request;
use super::scripts::Sent;
use super::{LockStep, Locker, Phase, Then, note};
use crate::client::config::lock::{Algorithm, GO_REDIS_TIMEOUT, REDISSON_ATTEMPTS, REDISSON_SUBSCRIPTION};
use crate::node::Outbox;
use crate::resp::Value;
use crate::time::{Instant, Now, Span};
use crate::trace::event::{LockAnswer, LockEvent, LockLoss};

/// The question under way.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    id: u64,
    step: LockStep,
    /// When it was asked, by the clock that the library looks at.
    began: i64,
    /// The next server to ask.
    next: usize,
    answers: Vec<Option<LockAnswer>>,
    /// The largest number in an answer.
    number: Option<i64>,
    /// The last call of a script that failed.
    failed: Option<Sent>,
}

/// A request's tag holds the question's number, what it is about and which server was asked.
const STEPS: [LockStep; 7] = [
    LockStep::Acquire,
    LockStep::Expire,
    LockStep::Wait,
    LockStep::Fence,
    LockStep::Extend,
    LockStep::Subscribe,
    LockStep::Release,
];

/// The server that a tag names.
fn server_of(tag: u64) -> usize {
    usize::try_from(tag & 0xfff).unwrap_or(0)
}

impl Poll {
    pub(super) fn is(&self, step: LockStep) -> bool {
        self.step == step
    }

    fn count(&self, answer: LockAnswer) -> usize {
        self.answers.iter().filter(|&&given| given == Some(answer)).count()
    }

    /// Answers that are not a yes.
    fn against(&self) -> usize {
        self.answers.iter().flatten().filter(|&&answer| answer != LockAnswer::Yes).count()
    }

    fn tag(&self, server: usize) -> u64 {
        let step = STEPS.iter().position(|&step| step == self.step).unwrap_or(0);
        self.id << 16 | (step as u64) << 12 | server as u64
    }
}

impl Locker {
    /// Asks the servers, or the sentinels for the server first.
    pub(super) fn ask(&mut self, step: LockStep, now: Now, out: &mut Outbox) {
        self.phase = Phase::Asking;
        self.poll = None;
        if step == LockStep::Subscribe {
            self.ear.addr = self.servers[0].addr;
        } else if self.must_find(step, now, out) {
            return;
        }
        let mut poll = self.question(step, now);
        let again = self.resend.take();
        self.put(&mut poll, again, now, out);
        self.poll = Some(poll);
    }

    /// Renews the lock, beside whatever else goes on.
    pub(super) fn renew(&mut self, now: Now, out: &mut Outbox) {
        if self.must_find(LockStep::Extend, now, out) {
            return;
        }
        if self.renewal_tries == 0 {
            self.renewal_began = self.reading(now);
            if self.config.algorithm == Algorithm::NodeRedlock && self.valid(now) == Some(Span::ZERO) {
                // It does not even ask for what is over.
                self.lose(LockLoss::Expired, now, out);
                return;
            }
        }
        let mut poll = self.question(LockStep::Extend, now);
        let again = self.renewal_resend.take();
        self.put(&mut poll, again, now, out);
        self.renewal = Some(poll);
    }

    fn question(&mut self, step: LockStep, now: Now) -> Poll {
        self.questions += 1;
        let servers = if step == LockStep::Subscribe { 1 } else { self.servers.len() };
        let (id, began, answers) = (self.questions, self.reading(now), vec![None; servers]);
        Poll { id, step, began, next: 0, answers, number: None, failed: None }
    }

    /// Sends what may be sent of it: for the first time, or a call that failed again.
    fn put(&mut self, poll: &mut Poll, again: Option<Sent>, now: Now, out: &mut Outbox) {
        let until = if self.config.algorithm.in_turn() { poll.next + 1 } else { poll.answers.len() };
        let patience = self.patience(poll.step);
        let request = if again.is_some() { None } else { Some(self.request(poll.step, now)) };
        // redsync's context spans all that one attempt asks of a server.
        let limit = (self.is_in_context(poll.step)).then_some(now.mono + patience);
        let cause = out.cause();
        while poll.next < until.min(poll.answers.len()) {
            let tag = poll.tag(poll.next);
            match (&request, &again) {
                (Some(Request::Words(words)), _) => {
                    let parts: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                    let ear = poll.step == LockStep::Subscribe;
                    let peer = if ear { &mut self.ear } else { &mut self.servers[poll.next] };
                    let (round, to) = (self.base.saturating_add(self.round), peer.addr);
                    note(LockEvent::Asked { round, step: poll.step, to }, out);
                    peer.ask(tag, &parts, now.mono + patience, out);
                }
                (Some(Request::Call(call)), _) => {
                    let sent = Sent::new(Arc::clone(call), patience, limit);
                    self.call_script(poll.step, tag, sent, now, out);
                }
                (None, Some(sent)) => self.call_script(poll.step, tag, sent.clone(), now, out),
                (None, None) => {}
            }
            out.because(cause);
            poll.next += 1;
        }
    }

    /// Calls a script for a step, or tells a server the script.
    fn call_script(&mut self, step: LockStep, tag: u64, sent: Sent, now: Now, out: &mut Outbox) {
        let round = self.number();
        let peer = &mut self.servers[server_of(tag)];
        let step = if sent.loads() { LockStep::Load } else { step };
        note(LockEvent::Asked { round, step, to: peer.addr }, out);
        peer.call(tag, sent, now.mono, out);
    }

    /// Whether one deadline holds for all that a step takes.
    fn is_in_context(&self, step: LockStep) -> bool {
        self.config.algorithm == Algorithm::Redsync && step == LockStep::Release && self.then == Then::Miss
    }

    /// How long an answer may take.
    fn patience(&self, step: LockStep) -> Span {
        let timeout = self.config.timeout;
        match (step, self.config.algorithm) {
            (LockStep::Wait, _) => timeout + self.config.wait.map_or(Span::ZERO, |wait| wait.timeout),
            (LockStep::Subscribe, _) => timeout.max(REDISSON_SUBSCRIPTION),
            // Only the locking has a deadline of redsync's own.
            (LockStep::Extend, Algorithm::Redsync) => GO_REDIS_TIMEOUT,
            (LockStep::Release, Algorithm::Redsync) if !self.is_in_context(step) => GO_REDIS_TIMEOUT,
            _ => timeout,
        }
    }

    /// A server answered, or didn't.
    pub(super) fn on_answer(
        &mut self,
        tag: u64,
        answer: Result<Value, LockAnswer>,
        call: Option<Sent>,
        now: Now,
        out: &mut Outbox,
    ) {
        let (id, server) = (tag >> 16, server_of(tag));
        let step = usize::try_from(tag >> 12 & 0xf).ok().and_then(|step| STEPS.get(step)).copied();
        let Some(step) = step else { return };
        if let (Ok(value), Some(sent)) = (&answer, &call)
            && let Some(next) = sent.after(value)
        {
            self.on_unknown_script(step, tag, sent, next, now, out);
            return;
        }
        let (answer, number) = match &answer {
            Ok(value) => self.read(step, value),
            Err(answer) => (*answer, None),
        };
        let by = if step == LockStep::Subscribe { self.ear.addr } else { self.servers[server].addr };
        let loaded = call.as_ref().is_some_and(Sent::loads);
        let shown = if loaded { LockStep::Load } else { step };
        note(LockEvent::Answered { round: self.number(), step: shown, by, answer }, out);
        if answer == LockAnswer::Error && self.finder.is_some() {
            // A replica, most likely: it must be looked for again.
            let _gone = self.servers[0].close(LockAnswer::Unreachable, out);
        }
        for which in [Which::Main, Which::Renewal, Which::Orphan] {
            let Some(mut poll) = self.slot(which).take() else { continue };
            if poll.id != id {
                *self.slot(which) = Some(poll);
                continue;
            }
            poll.answers[server] = Some(answer);
            poll.failed.clone_from(&call);
            poll.number = poll.number.max(number);
            if self.is_decided(&poll) {
                self.conclude(which, &poll, now, out);
            } else {
                if poll.next <= server + 1 {
                    self.put(&mut poll, None, now, out);
                }
                *self.slot(which) = Some(poll);
            }
            return;
        }
    }

    /// A server doesn't know the script, or has just been told: on with what the library does then, whether or not anybody
    /// waits for it still.
    fn on_unknown_script(&mut self, step: LockStep, tag: u64, sent: &Sent, next: Sent, now: Now, out: &mut Outbox) {
        let by = self.servers[server_of(tag)].addr;
        let (step_then, answer) =
            if sent.loads() { (LockStep::Load, LockAnswer::Yes) } else { (step, LockAnswer::NoScript) };
        note(LockEvent::Answered { round: self.number(), step: step_then, by, answer }, out);
        // Redisson counts the failures of each command.
        if self.config.algorithm.is_redisson() {
            *(if step == LockStep::Extend { &mut self.renewal_tries } else { &mut self.failures }) = 0;
        }
        self.call_script(step, tag, next, now, out);
    }

    fn slot(&mut self, which: Which) -> &mut Option<Poll> {
        match which {
            Which::Main => &mut self.poll,
            Which::Renewal => &mut self.renewal,
            Which::Orphan => &mut self.orphan,
        }
    }

    /// node-redlock waits for a quorum of either kind, the others for everybody.
    fn is_decided(&self, poll: &Poll) -> bool {
        let quorum = self.config.quorum();
        let early = self.config.algorithm == Algorithm::NodeRedlock;
        poll.answers.iter().all(Option::is_some)
            || early && (poll.count(LockAnswer::Yes) >= quorum || poll.against() >= quorum)
    }

    fn conclude(&mut self, which: Which, poll: &Poll, now: Now, out: &mut Outbox) {
        match (which, poll.step) {
            (Which::Orphan, _) => {
                // The lock came when nobody waited for it any more; the watchdog keeps it alive.
                if poll.count(LockAnswer::Yes) > 0 {
                    self.renew_at = now.mono + self.config.extend.unwrap_or(self.config.ttl);
                }
            }
            (Which::Renewal, _) => self.renewed(poll, now, out),
            (Which::Main, LockStep::Acquire) if self.config.algorithm.is_redisson() => {
                self.redisson_asked(poll, now, out);
            }
            (Which::Main, LockStep::Acquire) => self.asked(poll, now, out),
            (Which::Main, LockStep::Subscribe) => {
                self.subscribed = poll.count(LockAnswer::Yes) > 0;
                if self.subscribed {
                    // The lock may have become free meanwhile.
                    self.ask(LockStep::Acquire, now, out);
                } else {
                    self.command_failed(poll, now, out);
                }
            }
            (Which::Main, LockStep::Expire | LockStep::Wait | LockStep::Fence) => self.confirmed(poll, now, out),
            (Which::Main, LockStep::Extend | LockStep::Load) => {}
            (Which::Main, LockStep::Release) => self.released(poll, now, out),
        }
    }

    /// Every server that will answer has: is the lock ours?
    fn asked(&mut self, poll: &Poll, now: Now, out: &mut Outbox) {
        let granted = poll.count(LockAnswer::Yes);
        let began = if self.config.algorithm == Algorithm::NodeRedlock { self.wanted_reading } else { poll.began };
        self.set_validity(began);
        let in_time = match self.config.algorithm {
            Algorithm::Redlock | Algorithm::Redsync => self.valid(now) > Some(Span::ZERO),
            // It never looks whether the time it took leaves any.
            Algorithm::NodeRedlock => true,
            Algorithm::Single
            | Algorithm::UnsafeSetnx
            | Algorithm::UnsafeDel
            | Algorithm::Redisson
            | Algorithm::RedissonFair => true,
        };
        self.granted = u16::try_from(granted).unwrap_or(u16::MAX);
        if granted >= self.config.quorum() && in_time {
            self.go_on(LockStep::Acquire, None, now, out);
            return;
        }
        let of = u16::try_from(poll.answers.len()).unwrap_or(u16::MAX);
        note(LockEvent::Missed { round: self.number(), granted: self.granted, of }, out);
        self.valid_until = None;
        if matches!(self.config.algorithm, Algorithm::Redlock | Algorithm::Redsync) {
            self.then = Then::Miss;
            self.ask(LockStep::Release, now, out);
        } else {
            self.missed(now, out);
        }
    }

    fn set_validity(&mut self, began: i64) {
        let span = self.config.ttl.saturating_sub(self.config.drift());
        self.valid_until = Some(began.saturating_add(i64::try_from(span.ns()).unwrap_or(i64::MAX)));
    }

    /// The step that follows, or the work.
    fn go_on(&mut self, step: LockStep, number: Option<i64>, now: Now, out: &mut Outbox) {
        let config = &self.config;
        let wanted = |next: LockStep| match next {
            LockStep::Expire => config.algorithm == Algorithm::UnsafeSetnx,
            LockStep::Wait => config.wait.is_some(),
            LockStep::Fence => config.fencing,
            LockStep::Acquire | LockStep::Extend | LockStep::Subscribe | LockStep::Load | LockStep::Release => false,
        };
        let order = [LockStep::Acquire, LockStep::Expire, LockStep::Wait, LockStep::Fence];
        let rest = order.iter().skip_while(|&&other| other != step).skip(1);
        match rest.copied().find(|&next| wanted(next)) {
            Some(next) => self.ask(next, now, out),
            None => {
                let fencing = number.filter(|_| step == LockStep::Fence).and_then(|n| u64::try_from(n).ok());
                self.acquired(fencing, now, out);
            }
        }
    }

    /// A step between taking the lock and working under it.
    fn confirmed(&mut self, poll: &Poll, now: Now, out: &mut Outbox) {
        if poll.count(LockAnswer::Yes) >= self.config.quorum() {
            self.go_on(poll.step, poll.number, now, out);
        } else if poll.step == LockStep::Expire {
            // The exception leaves the lock behind, for ever.
            self.give_up(now, out);
        } else {
            note(LockEvent::Missed { round: self.number(), granted: 0, of: 1 }, out);
            self.then = Then::Miss;
            self.ask(LockStep::Release, now, out);
        }
    }

    /// Redisson: the lock, or how long it is taken.
    fn redisson_asked(&mut self, poll: &Poll, now: Now, out: &mut Outbox) {
        match poll.answers[0] {
            Some(LockAnswer::Yes) => {
                self.failures = 0;
                self.held += 1;
                self.set_validity(poll.began);
                if self.renew_at == Instant::NEVER && self.renewal.is_none() {
                    self.renew_at = self.config.extend.map_or(Instant::NEVER, |every| now.mono + every);
                }
                if self.held < self.config.depth {
                    self.ask(LockStep::Acquire, now, out);
                } else {
                    self.granted = 1;
                    self.go_on(LockStep::Acquire, None, now, out);
                }
            }
            Some(LockAnswer::No) => {
                self.failures = 0;
                if !self.subscribed {
                    self.ask(LockStep::Subscribe, now, out);
                    return;
                }
                // A lock that never expires is waited for until the channel speaks.
                let left = poll.number.and_then(|ms| u64::try_from(ms).ok()).map(Span::from_ms);
                if std::mem::take(&mut self.told) {
                    self.ask(LockStep::Acquire, now, out);
                } else {
                    let until = left.map_or(Instant::NEVER, |left| now.mono + left.max(Span::from_ms(1)));
                    self.phase = Phase::Listening(until);
                }
            }
            Some(LockAnswer::NoScript | LockAnswer::Error | LockAnswer::Timeout | LockAnswer::Unreachable) | None => {
                self.command_failed(poll, now, out);
            }
        }
    }

    /// How long Redisson waits before it sends a command again, after so many failures.
    fn resend_delay(&mut self, failures: u32) -> Span {
        let delay = self.config.retry_delay.draw(&mut self.delays);
        Span(if failures == 1 { delay.0 / 2 } else { delay.0 }).max(Span::from_ms(1))
    }

    /// Redisson sends a command again a few times, then throws. One that may have been executed it does not send again.
    fn command_failed(&mut self, poll: &Poll, now: Now, out: &mut Outbox) {
        self.failures += 1;
        let step = poll.step;
        // To tell a server a script twice does no harm.
        let harmless = poll.failed.as_ref().is_some_and(Sent::loads);
        if self.failures <= REDISSON_ATTEMPTS && (harmless || poll.answers[0] != Some(LockAnswer::Timeout)) {
            self.resend.clone_from(&poll.failed);
            let delay = self.resend_delay(self.failures);
            self.phase = Phase::Pausing(now.mono + delay, step);
        } else if step == LockStep::Release {
            self.renew_at = Instant::NEVER;
            self.rest(now, out);
        } else {
            self.give_up(now, out);
        }
    }

    /// The servers were asked to forget the lock.
    fn released(&mut self, poll: &Poll, now: Now, out: &mut Outbox) {
        if self.config.algorithm.is_redisson() {
            match poll.answers[0] {
                Some(LockAnswer::NoScript | LockAnswer::Error | LockAnswer::Timeout | LockAnswer::Unreachable) => {
                    self.command_failed(poll, now, out);
                    return;
                }
                Some(LockAnswer::Yes | LockAnswer::No) | None => {
                    let latch = self.latch_key();
                    self.servers[0].tell(&[b"DEL", latch.as_bytes()], out);
                }
            }
            if self.held > 1 && poll.answers[0] == Some(LockAnswer::Yes) {
                self.held -= 1;
                self.name_unlocking();
                self.ask(LockStep::Release, now, out);
                return;
            }
            self.renew_at = Instant::NEVER;
        }
        let insists = self.insists(poll);
        match self.then {
            Then::Rest if insists => {
                // node-redlock tries as often to give back as to take.
                let delay = self.config.retry_delay.draw(&mut self.delays).max(Span::from_ms(1));
                self.phase = Phase::Pausing(now.mono + delay, LockStep::Release);
            }
            Then::Rest | Then::Leave => self.rest(now, out),
            Then::Miss => self.missed(now, out),
        }
    }

    /// Whether a release that no quorum has confirmed is tried again.
    fn insists(&mut self, poll: &Poll) -> bool {
        self.release_tries += 1;
        self.config.algorithm == Algorithm::NodeRedlock
            && poll.count(LockAnswer::Yes) < self.config.quorum()
            && self.config.tries.is_none_or(|tries| self.release_tries < tries)
    }

    /// What became of a renewal.
    fn renewed(&mut self, poll: &Poll, now: Now, out: &mut Outbox) {
        if self.config.algorithm.is_redisson() {
            self.watchdog(poll, now, out);
            return;
        }
        if self.hold.is_none() {
            return;
        }
        let config = &self.config;
        let (node, many) = (config.algorithm == Algorithm::NodeRedlock, config.algorithm.many());
        let next = config.extend.map_or(Instant::NEVER, |every| now.mono + every);
        let yes = poll.count(LockAnswer::Yes) >= config.quorum();
        let before = self.valid_until;
        self.set_validity(if node { self.renewal_began } else { poll.began });
        // node-redlock does not look whether any validity is left.
        if yes && (node || !many || self.valid(now) > Some(Span::ZERO)) {
            (self.renew_at, self.renewal_tries) = (next, 0);
            note(LockEvent::Extended { round: self.number(), valid: self.valid(now) }, out);
            return;
        }
        self.valid_until = before;
        self.renewal_tries += 1;
        if node && self.config.tries.is_none_or(|tries| self.renewal_tries < tries) {
            let delay = self.config.retry_delay.draw(&mut self.delays).max(Span::from_ms(1));
            self.renew_at = now.mono + delay;
        } else if many || poll.count(LockAnswer::No) > 0 {
            self.lose(LockLoss::NotExtended, now, out);
        } else {
            self.renew_at = next;
        }
    }

    /// What became of Redisson's renewal.
    fn watchdog(&mut self, poll: &Poll, now: Now, out: &mut Outbox) {
        let next = self.config.extend.map_or(Instant::NEVER, |every| now.mono + every);
        match poll.answers[0] {
            Some(LockAnswer::Yes) => {
                (self.renew_at, self.renewal_tries) = (next, 0);
                if self.hold.is_some() {
                    self.set_validity(poll.began);
                    note(LockEvent::Extended { round: self.number(), valid: self.valid(now) }, out);
                }
            }
            // Gone: the watchdog ends, and tells nobody.
            Some(LockAnswer::No) => (self.renew_at, self.renewal_tries) = (Instant::NEVER, 0),
            Some(LockAnswer::NoScript | LockAnswer::Error | LockAnswer::Timeout | LockAnswer::Unreachable) | None => {
                // To renew twice does no harm: it is sent again, and when that is of no use, at the next turn.
                self.renewal_tries += 1;
                if self.renewal_tries <= REDISSON_ATTEMPTS {
                    self.renewal_resend.clone_from(&poll.failed);
                    self.renew_at = now.mono + self.resend_delay(self.renewal_tries);
                } else {
                    (self.renew_at, self.renewal_tries) = (next, 0);
                }
            }
        }
    }
}

/// The questions that may be under way at the same time.
#[derive(Clone, Copy, Debug)]
enum Which {
    Main,
    Renewal,
    Orphan,
}
