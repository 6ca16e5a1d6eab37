//! Lock clients: take a lock as a library does, work under it, give it back.
//!
//! `mod` is the round of a client and its clocks, `poll` a question to all servers, `hold` the work under the lock,
//! `requests` what the libraries say, `peer` a connection.

mod hold;
mod peer;
mod poll;
mod requests;
mod scripts;

use std::sync::Arc;

use bytes::Bytes;

use hold::Hold;
use peer::{Heard, Peer};
use poll::Poll;
use scripts::Sent;

use super::config::Via;
use super::config::lock::{Algorithm, ClockKind, LockConfig};
use super::sentinel::{Finder, Found};
use crate::id::{Addr, Fd};
use crate::node::{DiskImage, Init, Input, Node, Outbox};
use crate::rng::Rng;
use crate::time::{Instant, Now, Span};
use crate::trace::Kind;
use crate::trace::event::{ClientEvent, LockEvent, LockLoss, LockStep};

/// One application process that locks.
#[derive(Clone, Debug)]
pub struct Locker {
    config: Arc<LockConfig>,
    name: Arc<str>,
    /// The servers; with sentinels one, whose address they say.
    servers: Vec<Peer>,
    /// Redisson's second connection, for messages.
    ear: Peer,
    resource: Option<Peer>,
    finder: Option<Finder>,
    /// What waits for the sentinels' answer.
    after_finding: Vec<LockStep>,
    /// They have just said where the master is.
    found: bool,
    phase: Phase,
    /// What follows the release under way.
    then: Then,
    /// The question under way that the phase waits for.
    poll: Option<Poll>,
    /// A question whose asker was interrupted (Redisson).
    orphan: Option<Poll>,
    /// The renewal under way.
    renewal: Option<Poll>,
    /// Redisson: the script's call that failed and will be sent again as it was, and the same of the renewal.
    resend: Option<Sent>,
    renewal_resend: Option<Sent>,
    renew_at: Instant,
    /// Tries of it that have failed in a row, and when the first was, by the clock that the library looks at.
    renewal_tries: u32,
    renewal_began: i64,
    /// Tries to give the lock back that have failed.
    release_tries: u32,
    /// Redisson: what this unlocking is called, and for how long the server is to remember what came of it.
    latch: String,
    latch_life: Span,
    /// Until when the lock is valid, by the clock that the library looks at.
    valid_until: Option<i64>,
    hold: Option<Hold>,
    round: u32,
    /// Rounds before those of this process.
    base: u32,
    tries: u32,
    /// Commands of Redisson's that failed in a row.
    failures: u32,
    /// How many times the lock is held (Redisson).
    held: u32,
    /// How many servers said yes.
    granted: u16,
    token: Arc<str>,
    /// Redisson: who this client is, in all rounds.
    own: Arc<str>,
    subscribed: bool,
    /// A message came while nobody waited for one.
    told: bool,
    wanted_at: Instant,
    /// The same by the clock that the library looks at.
    wanted_reading: i64,
    questions: u64,
    wake: Instant,
    tokens: Rng,
    delays: Rng,
    work: Rng,
}

/// Where a client is in its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It wants nothing until then.
    Resting(Instant),
    /// It waits for the answers to a question (or first for those of the sentinels).
    Asking,
    /// It asks again then.
    Pausing(Instant, LockStep),
    /// It waits for a message, or until then (Redisson).
    Listening(Instant),
    /// It works.
    Holding,
    /// It will want nothing any more.
    Done,
}

/// What follows a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The round is over.
    Rest,
    /// The same, and nobody cares whether anything was released.
    Leave,
    /// The try has failed.
    Miss,
}

/// Whose connection something came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Server(usize),
    Ear,
    Resource,
    Finder,
}

/// Rounds of a process that is started again are told apart from those before.
const ROUNDS_OF_A_LIFE: u32 = 1_000_000;

fn note(event: LockEvent, out: &mut Outbox) {
    out.note(Kind::Lock(event));
}

impl Locker {
    /// A client that does what `config` says, once started.
    #[must_use]
    pub fn new(init: Init, config: LockConfig) -> Locker {
        let (seed, name) = (init.seed, &*init.name);
        let auth = || config.auth.clone();
        let (servers, finder) = match &config.via {
            Via::Direct(addr) => (vec![Peer::new(*addr, auth())], None),
            Via::Servers(addrs) => (addrs.iter().map(|&addr| Peer::new(addr, auth())).collect(), None),
            Via::Sentinel { master, sentinels } | Via::Replicas { master, sentinels } => {
                let rng = seed.stream(name, "discovery");
                let finder = Finder::new(master, sentinels, false, config.policy.sentinel_order, rng);
                (vec![Peer::new(Addr::default(), auth())], Some(finder))
            }
        };
        let mut tokens = seed.stream(name, "tokens");
        let own = format!("{}:1", hex(&mut tokens, 32)).into();
        Locker {
            ear: Peer::new(Addr::default(), auth()),
            resource: config.resource.map(|addr| Peer::new(addr, None)),
            servers,
            finder,
            after_finding: Vec::new(),
            found: false,
            then: Then::Rest,
            orphan: None,
            phase: Phase::Resting(Instant::ZERO + config.start),
            poll: None,
            renewal: None,
            resend: None,
            renewal_resend: None,
            renew_at: Instant::NEVER,
            renewal_tries: 0,
            renewal_began: 0,
            release_tries: 0,
            latch: String::new(),
            latch_life: Span::ZERO,
            valid_until: None,
            hold: None,
            round: 0,
            base: init.incarnation.saturating_sub(1).saturating_mul(ROUNDS_OF_A_LIFE),
            tries: 0,
            failures: 0,
            held: 0,
            granted: 0,
            token: Arc::clone(&own),
            own,
            subscribed: false,
            told: false,
            wanted_at: Instant::ZERO,
            wanted_reading: 0,
            questions: 0,
            wake: Instant::NEVER,
            tokens,
            delays: seed.stream(name, "retry"),
            work: seed.stream(name, "work"),
            name: init.name,
            config: Arc::new(config),
        }
    }

    /// The number by which events call this round.
    fn number(&self) -> u32 {
        self.base.saturating_add(self.round)
    }

    fn is_over(&self, now: Now) -> bool {
        let stop = self.config.stop.map_or(Instant::NEVER, |stop| Instant::ZERO + stop);
        now.mono >= stop || self.config.rounds.is_some_and(|rounds| self.round >= rounds)
    }

    /// The clock that the library looks at.
    fn reading(&self, now: Now) -> i64 {
        let ns = match self.config.clock {
            ClockKind::Wall => now.unix.0,
            ClockKind::Monotonic => now.mono.0,
        };
        i64::try_from(ns).unwrap_or(i64::MAX)
    }

    /// What is left of the lock's validity.
    fn valid(&self, now: Now) -> Option<Span> {
        self.valid_until.map(|until| Span(u64::try_from(until.saturating_sub(self.reading(now))).unwrap_or(0)))
    }

    /// A round begins.
    fn want(&mut self, now: Now, out: &mut Outbox) {
        if self.is_over(now) {
            self.phase = Phase::Done;
            return;
        }
        self.round += 1;
        (self.tries, self.failures, self.held) = (0, 0, 0);
        (self.wanted_at, self.wanted_reading) = (now.mono, self.reading(now));
        if self.config.algorithm.is_redisson() {
            self.token = Arc::clone(&self.own);
        } else {
            self.token = token(self.config.algorithm, &mut self.tokens).into();
        }
        let ttl = Some(self.config.ttl);
        let (lock, token) = (Arc::clone(&self.config.lock), Arc::clone(&self.token));
        note(LockEvent::Wanted { lock, round: self.number(), token, ttl }, out);
        self.ask(LockStep::Acquire, now, out);
    }

    /// A try has failed: again later, or no more.
    fn missed(&mut self, now: Now, out: &mut Outbox) {
        self.tries += 1;
        let delay = self.config.retry_delay.draw(&mut self.delays).max(SHORTEST);
        let at = now.mono + delay;
        // redlock-rb sleeps after each try, and only then sees that it was the last.
        if self.config.algorithm == Algorithm::Redlock || !self.has_enough(at, now) {
            self.phase = Phase::Pausing(at, LockStep::Acquire);
        } else if self.config.algorithm == Algorithm::NodeRedlock {
            // Only now does what partial lock there may be go.
            note(LockEvent::GivenUp { round: self.number() }, out);
            self.then = Then::Leave;
            self.ask(LockStep::Release, now, out);
        } else {
            self.give_up(now, out);
        }
    }

    /// Whether it tries no more, with the next try at `at`.
    fn has_enough(&self, at: Instant, now: Now) -> bool {
        let impatient = self.config.patience.is_some_and(|patience| at > self.wanted_at + patience);
        let tired = self.config.tries.is_some_and(|tries| self.tries >= tries);
        impatient || tired || self.is_stopped(now)
    }

    /// The pause before a step is over.
    fn again(&mut self, step: LockStep, now: Now, out: &mut Outbox) {
        let last = step == LockStep::Acquire && self.config.algorithm == Algorithm::Redlock;
        if last && self.has_enough(now.mono, now) { self.give_up(now, out) } else { self.ask(step, now, out) }
    }

    fn is_stopped(&self, now: Now) -> bool {
        now.mono >= self.config.stop.map_or(Instant::NEVER, |stop| Instant::ZERO + stop)
    }

    fn give_up(&mut self, now: Now, out: &mut Outbox) {
        note(LockEvent::GivenUp { round: self.number() }, out);
        self.after_finding.clear();
        self.rest(now, out);
    }

    /// The round is over.
    fn rest(&mut self, now: Now, out: &mut Outbox) {
        if std::mem::take(&mut self.subscribed) {
            let channel = self.channel();
            self.ear.tell(&[b"UNSUBSCRIBE", channel.as_bytes()], out);
        }
        (self.told, self.resend) = (false, None);
        let think = self.config.think.draw(&mut self.work).max(SHORTEST);
        self.phase = if self.is_over(now) { Phase::Done } else { Phase::Resting(now.mono + think) };
    }

    /// What the sentinels said.
    fn on_found(&mut self, found: Found, now: Now, out: &mut Outbox) {
        let steps = match &found {
            Found::NotYet => return,
            Found::Server { .. } | Found::Nothing(_) => std::mem::take(&mut self.after_finding),
        };
        match found {
            Found::NotYet => {}
            Found::Server { by, server, .. } => {
                out.note(Kind::Client(ClientEvent::Discovered { by, master: server }));
                self.servers[0].addr = server;
                self.found = true;
                for step in steps {
                    if step == LockStep::Extend { self.renew(now, out) } else { self.ask(step, now, out) }
                }
            }
            Found::Nothing(why) => {
                out.note(Kind::Client(ClientEvent::DiscoveryFailed { why: why.into() }));
                for step in steps {
                    match step {
                        LockStep::Extend => self.renew_at = now.mono + self.config.extend.unwrap_or(self.config.ttl),
                        LockStep::Release if self.then != Then::Miss => self.rest(now, out),
                        LockStep::Acquire
                        | LockStep::Expire
                        | LockStep::Wait
                        | LockStep::Fence
                        | LockStep::Subscribe
                        | LockStep::Load
                        | LockStep::Release => self.missed(now, out),
                    }
                }
            }
        }
    }

    /// Looks the master up first, if it must; true if the step has to wait for that.
    fn must_find(&mut self, step: LockStep, now: Now, out: &mut Outbox) -> bool {
        let Some(finder) = &mut self.finder else { return false };
        if self.servers[0].is_open() || std::mem::take(&mut self.found) {
            return false;
        }
        self.after_finding.push(step);
        if finder.deadline() == Instant::NEVER {
            let config = Arc::clone(&self.config);
            let found = finder.begin(now, &config.policy, out);
            self.on_found(found, now, out);
        }
        true
    }

    /// The library looks at its clock before it acts, if its user wants that.
    fn mind(&mut self, now: Now, out: &mut Outbox) {
        if self.config.minds && self.hold.is_some() && self.valid(now) == Some(Span::ZERO) {
            self.lose(LockLoss::Expired, now, out);
        }
    }

    /// Everything that came over a connection.
    fn hear(&mut self, place: Place, heard: Vec<Heard>, now: Now, out: &mut Outbox) {
        for heard in heard {
            match (place, heard) {
                (Place::Resource, Heard::Reply(tag, value, _)) => self.on_written(tag, hold::read(&value), now, out),
                (Place::Resource, Heard::Failed(tag, answer, _)) => self.on_written(tag, answer, now, out),
                (_, Heard::Message) => self.on_message(now, out),
                (_, Heard::Reply(tag, value, call)) => self.on_answer(tag, Ok(value), call, now, out),
                (_, Heard::Failed(tag, answer, call)) => self.on_answer(tag, Err(answer), call, now, out),
            }
        }
    }

    /// Redisson's channel says that the lock is free.
    fn on_message(&mut self, now: Now, out: &mut Outbox) {
        if matches!(self.phase, Phase::Listening(_)) {
            self.ask(LockStep::Acquire, now, out);
        } else if self.subscribed {
            self.told = true;
        }
    }

    fn place(&self, fd: Fd) -> Option<Place> {
        if let Some(index) = self.servers.iter().position(|peer| peer.owns(fd)) {
            Some(Place::Server(index))
        } else if self.ear.owns(fd) {
            Some(Place::Ear)
        } else if self.resource.as_ref().is_some_and(|peer| peer.owns(fd)) {
            Some(Place::Resource)
        } else if self.finder.as_ref().is_some_and(|finder| finder.owns(fd)) {
            Some(Place::Finder)
        } else {
            None
        }
    }

    fn peer(&mut self, place: Place) -> Option<&mut Peer> {
        match place {
            Place::Server(index) => self.servers.get_mut(index),
            Place::Ear => Some(&mut self.ear),
            Place::Resource => self.resource.as_mut(),
            Place::Finder => None,
        }
    }

    fn on_bytes(&mut self, fd: Fd, data: Bytes, now: Now, out: &mut Outbox) {
        let Some(place) = self.place(fd) else { return };
        if let Some(peer) = self.peer(place) {
            let heard = peer.on_bytes(data, out);
            self.hear(place, heard, now, out);
        } else if let Some(finder) = &mut self.finder {
            let config = Arc::clone(&self.config);
            let found = finder.on_bytes(now, &config.policy, data, out);
            self.on_found(found, now, out);
        }
    }

    fn on_gone(&mut self, fd: Fd, why: &str, now: Now, out: &mut Outbox) {
        let Some(place) = self.place(fd) else { return };
        if place == Place::Ear {
            self.subscribed = false;
        }
        if let Some(peer) = self.peer(place) {
            let heard = peer.on_gone();
            self.hear(place, heard, now, out);
        } else if let Some(finder) = &mut self.finder {
            let config = Arc::clone(&self.config);
            let found = finder.on_failed(now, &config.policy, why, false, out);
            self.on_found(found, now, out);
        }
    }

    fn on_connected(&mut self, fd: Fd, out: &mut Outbox) {
        let Some(place) = self.place(fd) else { return };
        if let Some(peer) = self.peer(place) {
            peer.on_connected(out);
        } else if let Some(finder) = &mut self.finder {
            finder.on_connected(out);
        }
    }

    /// Answers that are late.
    fn expire(&mut self, now: Now, out: &mut Outbox) {
        let places = (0..self.servers.len()).map(Place::Server).chain([Place::Ear, Place::Resource]);
        for place in places.collect::<Vec<_>>() {
            let heard = self.peer(place).map(|peer| peer.tick(now.mono, out)).unwrap_or_default();
            self.hear(place, heard, now, out);
        }
        if let Some(finder) = self.finder.as_mut().filter(|finder| finder.deadline() <= now.mono) {
            let config = Arc::clone(&self.config);
            let found = finder.on_failed(now, &config.policy, "timed out", true, out);
            self.on_found(found, now, out);
        }
    }

    /// Redisson's waiting thread is interrupted. A request under way is not called back.
    fn interrupt(&mut self, now: Now, out: &mut Outbox) {
        let waiting = match self.phase {
            Phase::Asking => {
                self.poll.as_ref().is_none_or(|poll| poll.is(LockStep::Acquire) || poll.is(LockStep::Subscribe))
            }
            Phase::Pausing(_, step) => step == LockStep::Acquire,
            Phase::Listening(_) => true,
            Phase::Resting(_) | Phase::Holding | Phase::Done => false,
        };
        if waiting && self.interrupt_at() <= now.mono {
            self.orphan = self.poll.take().filter(|poll| poll.is(LockStep::Acquire));
            self.give_up(now, out);
        }
    }

    fn interrupt_at(&self) -> Instant {
        let waiting = matches!(self.phase, Phase::Asking | Phase::Pausing(..) | Phase::Listening(_));
        match self.config.patience {
            Some(patience) if self.config.algorithm.is_redisson() && waiting && self.held == 0 => {
                self.wanted_at + patience
            }
            Some(_) | None => Instant::NEVER,
        }
    }

    /// Does what is due, and sets the alarm.
    fn finish(&mut self, now: Now, out: &mut Outbox) {
        self.expire(now, out);
        self.mind(now, out);
        self.interrupt(now, out);
        if self.renew_at <= now.mono {
            self.renew_at = Instant::NEVER;
            self.renew(now, out);
        }
        match self.phase {
            Phase::Resting(at) if at <= now.mono => self.want(now, out),
            Phase::Pausing(at, step) if at <= now.mono => self.again(step, now, out),
            Phase::Listening(at) if at <= now.mono => self.ask(LockStep::Acquire, now, out),
            Phase::Holding => self.work(now, out),
            Phase::Resting(_) | Phase::Pausing(..) | Phase::Listening(_) | Phase::Asking | Phase::Done => {}
        }
        let phase = match self.phase {
            Phase::Resting(at) | Phase::Pausing(at, _) | Phase::Listening(at) => at,
            Phase::Holding => self.hold.as_ref().map_or(Instant::NEVER, Hold::next),
            Phase::Asking | Phase::Done => Instant::NEVER,
        };
        let peers = self.servers.iter().chain([&self.ear]).chain(self.resource.as_ref());
        let answers = peers.map(Peer::wake_at).min().unwrap_or(Instant::NEVER);
        let finder = self.finder.as_ref().map_or(Instant::NEVER, Finder::deadline);
        let validity = if self.config.minds && self.hold.is_some() {
            self.valid(now).map_or(Instant::NEVER, |left| now.mono + left)
        } else {
            Instant::NEVER
        };
        self.wake = phase.min(answers).min(finder).min(self.renew_at).min(validity).min(self.interrupt_at());
    }
}

/// Nothing that failed is tried again sooner: where failing takes no time, it would never leave the instant.
const SHORTEST: Span = Span::from_ms(1);

/// A token as the library makes it.
fn token(algorithm: Algorithm, rng: &mut Rng) -> String {
    match algorithm {
        // A UUID, or sixteen bytes.
        Algorithm::Single
        | Algorithm::UnsafeSetnx
        | Algorithm::UnsafeDel
        | Algorithm::NodeRedlock
        | Algorithm::Redisson
        | Algorithm::RedissonFair => hex(rng, 32),
        // Twenty bytes, each with one or two digits to the base of 32.
        Algorithm::Redlock => {
            let digit = |n: u64| char::from(b"0123456789abcdefghijklmnopqrstuv"[usize::try_from(n % 32).unwrap_or(0)]);
            let byte = |n: u64| [(n >= 32).then(|| digit(n / 32)), Some(digit(n))];
            (0..20).flat_map(|_| byte(rng.below(256))).flatten().collect()
        }
        // Sixteen bytes in base64.
        Algorithm::Redsync => {
            const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let digit = |n: u64| char::from(DIGITS[usize::try_from(n % 64).unwrap_or(0)]);
            // The last of 22 digits has four bits of nothing.
            let digits: String = (0..21).map(|_| digit(rng.below(64))).collect();
            digits + &digit(rng.below(4) * 16).to_string() + "=="
        }
    }
}

/// So many random hexadecimal digits.
fn hex(rng: &mut Rng, digits: usize) -> String {
    let mut out = vec![0; digits];
    rng.fill_hex(&mut out);
    String::from_utf8(out).expect("hexadecimal digits are ASCII")
}

impl Node for Locker {
    fn start(&mut self, now: Now, _disk: &DiskImage, out: &mut Outbox) {
        if let Phase::Resting(at) = self.phase {
            self.phase = Phase::Resting(at.max(now.mono));
        }
        if let Some(resource) = &mut self.resource {
            resource.open(out);
        }
        self.finish(now, out);
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        // What has run out while the process was stopped has run out, whatever arrives first.
        self.mind(now, out);
        match input {
            Input::LoopEnd => return,
            Input::Wake => {}
            Input::Bytes { fd, data } => self.on_bytes(fd, data, now, out),
            Input::Connected { fd, .. } => self.on_connected(fd, out),
            Input::Refused { fd, why } => self.on_gone(fd, &why.to_string(), now, out),
            Input::Closed { fd, why } => self.on_gone(fd, &why.to_string(), now, out),
            Input::Signal(_) => {
                out.exit(0);
                return;
            }
            Input::Writable { .. }
            | Input::Accepted { .. }
            | Input::DiskDone { .. }
            | Input::JobDone { .. }
            | Input::Files(_) => return,
        }
        self.finish(now, out);
    }

    fn wake_at(&self) -> Option<Instant> {
        (self.wake != Instant::NEVER).then_some(self.wake)
    }

    fn probe(&self, _now: Now, _out: &mut Outbox) {}

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}
