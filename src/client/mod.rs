//! Simulated applications: nodes that talk to Redis as real client libraries do and record every operation.
//!
//! A client has one connection for its operations, and with sentinels one for questions and one for each subscription.
//! `mod` finds and keeps the connection, `lane` runs operations over it.

pub mod config;
mod connection;
mod direct;
mod lane;
mod listener;
pub mod lock;
mod operations;
mod policy;
mod quick;
mod replies;
mod sentinel;
mod streak;
mod workload;

use std::sync::Arc;

use bytes::Bytes;

use config::{ClientConfig, Listen, Via};
use connection::{Connection, Greeted, Stage, Wanted};
use listener::Listeners;
use operations::{Operations, Request};
use sentinel::{Finder, Found};
use workload::Pacer;
use workload::kv::{Kv, wait_request};

use crate::id::{Addr, Fd};
use crate::node::{DiskImage, Init, Input, Node, Outbox, Preview};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::trace::Kind;
use crate::trace::event::{ClientEvent, Refusal, Unanswered};

/// One application process. What most turns look at comes first.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Client {
    streak: streak::Streak,
    kv: Kv,
    config: Arc<ClientConfig>,
    pacer: Pacer,
    operations: Operations,
    connection: Connection,
    /// With sentinels: how a server is found.
    finder: Option<Finder>,
    listeners: Option<Listeners>,
    /// When the next attempt to get a connection begins.
    attempt_at: Instant,
    /// Attempts in a row that failed.
    failures: u32,
    /// The encoded WAIT, if the workload has one.
    wait: Option<Bytes>,
    retry: Rng,
    choice: Rng,
    /// Never later than the earliest deadline; a deadline that moves later leaves it where it is, so that a busy
    /// client doesn't move a timer with each operation.
    alarm: Instant,
    /// The earliest deadline of anything but operations; kept because it changes rarely.
    control_at: Instant,
}

impl Client {
    /// A client that does what `config` says, once started.
    ///
    /// # Panics
    /// When `config.number` has more than 24 bits.
    #[must_use]
    pub fn new(init: Init, config: ClientConfig) -> Client {
        let (seed, name) = (init.seed, &*init.name);
        let (finder, listeners) = match &config.via {
            Via::Direct(_) | Via::Servers(_) => (None, None),
            Via::Sentinel { master, sentinels } | Via::Replicas { master, sentinels } => {
                let replica = matches!(config.via, Via::Replicas { .. });
                let rng = seed.stream(name, "discovery");
                let finder = Finder::new(master, sentinels, replica, config.policy.sentinel_order, rng);
                let listens = config.policy.listen != Listen::No;
                (Some(finder), listens.then(|| Listeners::new(master, seed.stream(name, "subscriptions"))))
            }
        };
        Client {
            streak: streak::Streak::default(),
            pacer: Pacer::new(&config.workload, seed, name),
            kv: Kv::new(&config, seed, name, init.incarnation),
            operations: Operations::default(),
            connection: Connection::new(),
            finder,
            listeners,
            attempt_at: Instant::NEVER,
            failures: 0,
            wait: config.workload.wait.map(wait_request),
            retry: seed.stream(name, "retry"),
            choice: seed.stream(name, "server choice"),
            alarm: Instant::NEVER,
            control_at: Instant::NEVER,
            config: Arc::new(config),
        }
    }

    /// Begins to get a connection: chooses an address, or asks for one.
    fn find_server(&mut self, now: Now, out: &mut Outbox) {
        assert!(self.connection.stage == Stage::Down, "one connection at a time");
        self.attempt_at = Instant::NEVER;
        let config = Arc::clone(&self.config);
        match &config.via {
            Via::Direct(addr) => self.open(*addr, Wanted::Anyone, now, out),
            Via::Servers(servers) => match direct::choose(servers, &mut self.choice) {
                Some(addr) => {
                    note(ClientEvent::Discovered { by: addr, master: addr }, out);
                    self.open(addr, Wanted::Anyone, now, out);
                }
                None => self.try_later(now),
            },
            Via::Sentinel { .. } | Via::Replicas { .. } => {
                let finder = self.finder.as_mut().expect("a client of sentinels has a finder");
                let found = finder.begin(now, &config.policy, out);
                self.on_found(found, now, out);
            }
        }
    }

    fn open(&mut self, addr: Addr, wanted: Wanted, now: Now, out: &mut Outbox) {
        self.connection.open(addr, wanted, now.mono + self.config.policy.connect_timeout, out);
    }

    fn try_later(&mut self, now: Now) {
        self.attempt_at = now.mono + policy::delay(&self.config.policy, self.failures, &mut self.retry);
        self.failures = self.failures.saturating_add(1);
    }

    fn on_found(&mut self, found: Found, now: Now, out: &mut Outbox) {
        match found {
            Found::NotYet => {}
            Found::Server { by, server, wanted } => {
                note(ClientEvent::Discovered { by, master: server }, out);
                let config = Arc::clone(&self.config);
                if let (Listen::Answering, Some(listeners)) = (config.policy.listen, &mut self.listeners) {
                    listeners.listen_to(&[by], now, &config.policy, out);
                }
                self.open(server, wanted, now, out);
            }
            Found::Nothing(why) => {
                note(ClientEvent::DiscoveryFailed { why: why.into() }, out);
                self.try_later(now);
            }
        }
    }

    /// A sentinel said that the master is another now.
    fn on_switch(&mut self, switch: listener::Switch, now: Now, out: &mut Outbox) {
        note(ClientEvent::SwitchSeen { by: switch.by, master: switch.master }, out);
        let connected = self.connection.stage != Stage::Down;
        match &self.config.via {
            Via::Sentinel { .. } => {
                if connected && self.connection.peer == switch.master {
                    return;
                }
                if connected {
                    self.disconnect("another master now", Unanswered::Closed, now, out);
                } else if let Some(finder) = &mut self.finder {
                    finder.abort(out);
                }
                // The message's own address is used, without another question, as Jedis and go-redis do.
                (self.attempt_at, self.failures) = (Instant::NEVER, 0);
                self.open(switch.master, Wanted::Master, now, out);
            }
            Via::Replicas { .. } => {
                if connected && self.connection.peer == switch.master {
                    self.disconnect("promoted", Unanswered::Closed, now, out);
                    self.try_later(now);
                }
            }
            Via::Direct(_) | Via::Servers(_) => {}
        }
    }

    /// The connection is gone or given up: what was in flight has no certain outcome. The first in line gets `first`
    /// as its reason, the others that the connection ended.
    fn disconnect(&mut self, why: &str, first: Unanswered, now: Now, out: &mut Outbox) {
        let server = self.connection.peer;
        self.connection.drop_it(out);
        note(ClientEvent::Disconnected { to: server, why: why.into() }, out);
        let cause = out.cause();
        let mut reason = first;
        for op in std::mem::take(&mut self.operations.confirming) {
            self.unanswered(op, reason, server, now, out);
            out.because(cause);
            reason = Unanswered::Closed;
        }
        for sent in std::mem::take(&mut self.operations.sent) {
            if let Request::Op(op) = sent.request {
                self.unanswered(op, reason, server, now, out);
                out.because(cause);
                reason = Unanswered::Closed;
            }
        }
        self.batch_may_be_done(now);
    }

    fn on_connected(&mut self, fd: Fd, now: Now, out: &mut Outbox) {
        if self.connection.fd == Some(fd) {
            let config = Arc::clone(&self.config);
            if self.connection.greet(&config, out) {
                self.on_ready(Bytes::new(), now, out);
            }
        } else if let Some(finder) = self.finder.as_mut().filter(|finder| finder.owns(fd)) {
            finder.on_connected(out);
        } else if let Some(listeners) = self.listeners.as_mut().filter(|listeners| listeners.owns(fd)) {
            listeners.on_connected(fd, out);
        }
    }

    fn on_ready(&mut self, rest: Bytes, now: Now, out: &mut Outbox) {
        self.failures = 0;
        self.connection.deadline = Instant::NEVER;
        note(ClientEvent::Connected { to: self.connection.peer }, out);
        self.send_queued(now);
        if !rest.is_empty() {
            self.on_replies(rest, now, out);
        }
    }

    /// Bytes of the greeting's replies.
    fn on_greeting(&mut self, data: Bytes, now: Now, out: &mut Outbox) {
        match self.connection.greeted(data) {
            Greeted::NotYet => {}
            Greeted::Ready(rest) => self.on_ready(rest, now, out),
            Greeted::WrongRole => {
                note(ClientEvent::NotMaster { server: self.connection.peer }, out);
                self.disconnect("wrong role", Unanswered::Closed, now, out);
                self.try_later(now);
            }
            Greeted::Failed(why) => {
                self.disconnect(&why, Unanswered::Closed, now, out);
                self.try_later(now);
            }
        }
    }

    /// Bytes of a connection to a sentinel.
    fn on_sentinel_bytes(&mut self, fd: Fd, data: Bytes, now: Now, out: &mut Outbox) {
        let config = Arc::clone(&self.config);
        if let Some(finder) = self.finder.as_mut().filter(|finder| finder.owns(fd)) {
            let found = finder.on_bytes(now, &config.policy, data, out);
            self.on_found(found, now, out);
        } else if let Some(listeners) = self.listeners.as_mut().filter(|listeners| listeners.owns(fd)) {
            for switch in listeners.on_bytes(fd, data, now, &config.policy, out) {
                self.on_switch(switch, now, out);
            }
        }
    }

    /// A connection was refused or ended; it is closed already.
    fn on_gone(&mut self, fd: Fd, why: &str, now: Now, out: &mut Outbox) {
        let config = Arc::clone(&self.config);
        if self.connection.fd == Some(fd) {
            self.connection.fd = None;
            self.disconnect(why, Unanswered::Closed, now, out);
            self.try_later(now);
        } else if let Some(finder) = self.finder.as_mut().filter(|finder| finder.owns(fd)) {
            let found = finder.on_failed(now, &config.policy, why, false, out);
            self.on_found(found, now, out);
        } else if let Some(listeners) = self.listeners.as_mut().filter(|listeners| listeners.owns(fd)) {
            listeners.on_gone(fd, now, &config.policy);
        }
    }

    /// Attempts and time-outs of everything but operations.
    fn control(&mut self, now: Now, out: &mut Outbox) {
        let config = Arc::clone(&self.config);
        if self.connection.deadline <= now.mono {
            self.disconnect("timed out", Unanswered::Closed, now, out);
            self.try_later(now);
        }
        if let Some(finder) = self.finder.as_mut().filter(|finder| finder.deadline() <= now.mono) {
            let found = finder.on_failed(now, &config.policy, "timed out", true, out);
            self.on_found(found, now, out);
        }
        if let Some(listeners) = &mut self.listeners {
            listeners.tick(now, &config.policy, out);
        }
        if self.attempt_at <= now.mono {
            // A client that has nothing left to ask needs no connection.
            if self.pacer.is_over(now.mono) && self.operations.open() == 0 {
                self.attempt_at = Instant::NEVER;
            } else {
                self.find_server(now, out);
            }
        }
    }

    fn control_wake(&self) -> Instant {
        let finder = self.finder.as_ref().map_or(Instant::NEVER, Finder::deadline);
        let listeners = self.listeners.as_ref().map_or(Instant::NEVER, Listeners::wake_at);
        self.attempt_at.min(self.connection.deadline).min(finder).min(listeners)
    }

    /// The end of every call: does what is due, sends what was written, sets the alarm.
    fn finish(&mut self, control: bool, now: Now, out: &mut Outbox) {
        let mut control = control;
        let late = self.alarm <= now.mono;
        if late {
            if self.control_at <= now.mono {
                self.control(now, out);
                control = true;
            }
            if self.operations.wake_at() <= now.mono {
                control |= self.expire(now, out);
            }
        }
        while self.pacer.next() <= now.mono {
            self.invoke_batch(now, out);
        }
        if control {
            self.control_at = self.control_wake();
        }
        self.connection.flush(out);
        let earliest = self.pacer.next().min(self.operations.wake_at()).min(self.control_at);
        if late || earliest < self.alarm {
            self.alarm = earliest;
        }
    }
}

#[inline]
fn note(event: ClientEvent, out: &mut Outbox) {
    out.note(Kind::Client(event));
}

impl Node for Client {
    fn start(&mut self, now: Now, _disk: &DiskImage, out: &mut Outbox) {
        self.pacer.start(now.mono);
        let config = Arc::clone(&self.config);
        if let (Listen::All, Some(listeners)) = (config.policy.listen, &mut self.listeners)
            && let Via::Sentinel { sentinels, .. } | Via::Replicas { sentinels, .. } = &config.via
        {
            listeners.listen_to(sentinels, now, &config.policy, out);
        }
        self.find_server(now, out);
        self.finish(true, now, out);
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.end_streak();
        let mut control = true;
        match input {
            Input::Bytes { fd, data } if self.connection.fd == Some(fd) => {
                if self.connection.stage == Stage::Ready {
                    control = self.on_replies(data, now, out);
                } else {
                    self.on_greeting(data, now, out);
                }
            }
            Input::Bytes { fd, data } => self.on_sentinel_bytes(fd, data, now, out),
            // Replies leave at once, there is nothing to gather.
            Input::LoopEnd => return,
            Input::Wake => control = false,
            Input::Connected { fd, .. } => self.on_connected(fd, now, out),
            Input::Refused { fd, why } => self.on_gone(fd, &why.to_string(), now, out),
            Input::Closed { fd, why } => self.on_gone(fd, &why.to_string(), now, out),
            Input::Writable { fd, room } => {
                if self.connection.fd == Some(fd) {
                    self.connection.on_writable(room);
                    self.send_queued(now);
                }
            }
            Input::Signal(_) => {
                self.probe(now, out);
                out.exit(0);
                return;
            }
            Input::Accepted { .. } | Input::DiskDone { .. } | Input::JobDone { .. } | Input::Files(_) => return,
        }
        self.finish(control, now, out);
    }

    fn quick_turn(&mut self, now: Now, fd: Fd, data: &[u8], _: Option<&Preview>, out: &mut Outbox) -> bool {
        self.next_of_streak(now, fd, data, out)
    }

    fn turn(&mut self, now: Now, fd: Fd, data: Bytes, out: &mut Outbox) -> bool {
        self.end_streak();
        if self.connection.fd == Some(fd) && self.connection.stage == Stage::Ready {
            let control = self.on_replies(data, now, out);
            self.finish(control, now, out);
        } else {
            self.handle(now, Input::Bytes { fd, data }, out);
        }
        // The end of a turn is nothing to a client.
        true
    }

    fn wake_at(&self) -> Option<Instant> {
        let alarm = self.streak.alarm().unwrap_or(self.alarm);
        (alarm != Instant::NEVER).then_some(alarm)
    }

    fn probe(&self, _now: Now, out: &mut Outbox) {
        let cause = out.cause();
        let server = self.connection.peer;
        let asked = self.operations.sent.iter().filter_map(|sent| match sent.request {
            Request::Op(op) => Some(op),
            Request::Wait => None,
        });
        // A streak knows better what is in flight.
        let streak = self.streak.in_flight(self.kv.newest());
        let asked = streak.into_iter().chain(asked.skip(usize::from(streak.is_some())));
        for op in self.operations.confirming.iter().copied().chain(asked) {
            note(ClientEvent::Unknown { op: op.number, why: Unanswered::RunEnded, server }, out);
            out.because(cause);
        }
        let queued = self.operations.queue.iter().map(|queued| queued.op);
        for op in queued.chain(self.operations.later.values().copied()) {
            note(
                match self.operations.doubt_about(op) {
                    Some((why, server)) => ClientEvent::Unknown { op: op.number, why, server },
                    None => ClientEvent::Fail { op: op.number, why: Refusal::NotSent, server: None },
                },
                out,
            );
            out.because(cause);
        }
    }

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}
