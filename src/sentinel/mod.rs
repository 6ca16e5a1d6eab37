//! redis-sentinel as a state machine: `sentinel.c` of Redis 7.0, split by what it decides.

mod address;
mod clients;
mod commands;
pub mod config;
mod connection;
mod digest;
mod down;
mod election;
mod events;
mod failover;
mod glob;
mod hello;
mod info;
mod instances;
mod link;
mod outbuf;
mod publish;
mod reply;
mod rewrite;
mod schedule;
mod scripts;
mod settings;
mod tick;
mod ticks;

use std::sync::Arc;

use bytes::Bytes;
use slab::Slab;

use config::Config;
use instances::{Id, Instance};
use link::Link;

use crate::id::{EventId, Fd, HexId};
use crate::node::{DiskImage, Init, Input, Node, Outbox};
use crate::resp::Args;
use crate::rng::Rng;
use crate::time::{Instant, Now, Span};
use crate::trace::Kind;
use crate::trace::event::{Detail, SentinelEvent, SentinelEventName};

/// Wall-clock milliseconds (`mstime_t`).
pub(crate) type Ms = i64;

/// The wall clock in milliseconds (`mstime()`).
pub(crate) fn ms(now: Now) -> Ms {
    Ms::try_from(now.unix.ms()).expect("a date within 300 million years")
}

/// The time of a call and where its effects go.
struct Cx<'a> {
    now: Now,
    /// `now` as Sentinel reads it.
    ms: Ms,
    out: &'a mut Outbox,
    /// What the call is caused by.
    root: EventId,
}

/// Periods and time-outs in milliseconds, with the values of Redis 7.0; SENTINEL DEBUG changes them.
#[derive(Clone, Debug)]
struct Timing {
    info_period: Ms,
    ping_period: Ms,
    ask_period: Ms,
    publish_period: Ms,
    default_down_after: Ms,
    default_failover_timeout: Ms,
    tilt_trigger: Ms,
    tilt_period: Ms,
    slave_reconf_timeout: Ms,
    min_link_reconnect_period: Ms,
    election_timeout: Ms,
    script_max_runtime: Ms,
    script_retry_delay: Ms,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            info_period: 10_000,
            ping_period: 1000,
            ask_period: 1000,
            publish_period: 2000,
            default_down_after: config::DEFAULT_DOWN_AFTER,
            default_failover_timeout: config::DEFAULT_FAILOVER_TIMEOUT,
            tilt_trigger: 2000,
            tilt_period: 30_000,
            slave_reconf_timeout: 10_000,
            min_link_reconnect_period: 15_000,
            election_timeout: 10_000,
            script_max_runtime: 60_000,
            script_retry_delay: 30_000,
        }
    }
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FdUse {
    Free,
    Command(link::LinkId),
    PubSub(link::LinkId),
    Client(clients::Key),
}

/// A redis-sentinel process.
#[derive(Clone, Debug)]
pub struct Sentinel {
    init: Init,
    /// Settings; what the file says of masters is in the tables from the start on.
    config: Config,
    my_id: HexId,
    run_id: HexId,
    /// The current epoch.
    epoch: u64,
    instances: Slab<Instance>,
    links: Slab<Link>,
    /// In the order in which they came; tables of masters likewise.
    masters: Vec<Id>,
    fds: Vec<FdUse>,
    /// Descriptors with output, in the order in which it came.
    pending: Vec<Fd>,
    clients: clients::Clients,
    args: Args,
    /// Hello messages that changed nothing, and who sent them; none once the tables change.
    heard: Vec<(Bytes, Option<Id>)>,
    /// Since when TILT mode lasts.
    tilt: Option<Ms>,
    scripts: scripts::Scripts,
    simulated_failures: u8,
    timing: Timing,
    ticks: ticks::Ticks,
    desync_rng: Rng,
    started: Now,
    /// When everything is due must be worked out again.
    all_stale: bool,
    every_tick: bool,
    dead: bool,
}

impl Sentinel {
    /// A process that has not begun yet.
    #[must_use]
    pub fn new(init: Init, config: Config) -> Sentinel {
        let stream = |purpose: &str| init.seed.stream(&init.name, purpose);
        let ticks = ticks::Ticks::new(Now::default(), stream("timer hz"), Span::ZERO);
        Sentinel {
            my_id: config.my_id.unwrap_or_default(),
            run_id: HexId::random(&mut stream("run id")),
            epoch: config.current_epoch,
            instances: Slab::new(),
            links: Slab::new(),
            masters: Vec::new(),
            fds: Vec::new(),
            pending: Vec::new(),
            clients: clients::Clients::default(),
            args: Args::default(),
            heard: Vec::new(),
            tilt: None,
            scripts: scripts::Scripts::default(),
            simulated_failures: 0,
            timing: Timing::default(),
            ticks,
            desync_rng: stream("failover desync"),
            started: Now::default(),
            all_stale: true,
            every_tick: false,
            dead: false,
            init,
            config,
        }
    }

    /// The same process, but one that runs every tick of its timer whether or not anything is due. It does the same
    /// at the same times, only slower: that is what it is for.
    #[must_use]
    pub fn running_every_tick(mut self) -> Sentinel {
        self.every_tick = true;
        self
    }

    fn port(&self) -> u16 {
        if self.init.addr.port != 0 { self.init.addr.port } else { self.config.port }
    }

    fn use_fd(&mut self, fd: Fd, what: FdUse) {
        if self.fds.len() <= fd.index() {
            self.fds.resize(fd.index() + 1, FdUse::Free);
        }
        self.fds[fd.index()] = what;
    }

    fn fd_use(&self, fd: Fd) -> FdUse {
        self.fds.get(fd.index()).copied().unwrap_or(FdUse::Free)
    }

    /// The real process would log this and exit.
    fn fatal(&mut self, cx: &mut Cx<'_>, message: String, code: u8) {
        cx.out.note(Kind::Sentinel(SentinelEvent::Fatal { message: message.into() }));
        cx.out.exit(code);
        self.dead = true;
    }

    /// SENTINEL SIMULATE-FAILURE strikes (`sentinelSimFailureCrash`).
    fn crash(&mut self, cx: &mut Cx<'_>) {
        self.fatal(cx, "Sentinel CRASH because of SENTINEL simulate-failure".to_owned(), 99);
    }

    /// Settings from the file that an earlier incarnation saved.
    fn load(&mut self, cx: &mut Cx<'_>, disk: &DiskImage) -> bool {
        let Some(text) = disk.get(rewrite::FILE) else { return true };
        match Config::from_text(text) {
            Ok((config, _)) => {
                self.config = config;
                true
            }
            Err(errors) => {
                let first = errors.first().map(|error| format!("line {}: {}", error.line, error.message));
                let what = first.unwrap_or_default();
                self.fatal(cx, format!("FATAL CONFIG FILE ERROR (Redis 7.0.15) {what}"), 1);
                false
            }
        }
    }

    /// `main()` up to the event loop, with `sentinelIsRunning`.
    fn begin(&mut self, cx: &mut Cx<'_>, disk: &DiskImage) {
        if !self.load(cx, disk) {
            return;
        }
        self.epoch = self.config.current_epoch;
        let masters = std::mem::take(&mut self.config.masters);
        for conf in &masters {
            if let Err(error) = self.create_configured(cx.ms, conf) {
                return self.fatal(cx, format!("{}: {}", conf.name, error.of_master()), 1);
            }
        }
        cx.out.listen(self.port());
        match self.config.my_id {
            Some(id) => self.my_id = id,
            None => {
                self.my_id = HexId::random(&mut self.init.seed.stream(&self.init.name, "myid"));
                self.flush_config(cx);
            }
        }
        cx.out.note(Kind::Sentinel(SentinelEvent::Ready { id: self.my_id, epoch: self.epoch }));
        for master in self.masters.clone() {
            let text: Arc<str> = format!("quorum {}", self.group(master).quorum).into();
            self.warn(cx, SentinelEventName::Monitor, master, Detail::Text(text));
        }
    }

    fn input(&mut self, cx: &mut Cx<'_>, input: Input) {
        match input {
            Input::Accepted { fd, from, local } => self.client_accepted(cx, fd, from, local),
            Input::Connected { fd, local } => match self.fd_use(fd) {
                FdUse::Command(link) => self.link_connected(link, false, local),
                FdUse::PubSub(link) => self.link_connected(link, true, local),
                FdUse::Client(_) | FdUse::Free => {}
            },
            Input::Bytes { fd, data } => self.bytes(cx, fd, data),
            Input::Refused { fd, .. } | Input::Closed { fd, .. } => match self.fd_use(fd) {
                FdUse::Command(link) => self.link_lost(cx.out.cause(), link, false),
                FdUse::PubSub(link) => self.link_lost(cx.out.cause(), link, true),
                FdUse::Client(key) => self.client_gone(key),
                FdUse::Free => {}
            },
            Input::Writable { fd, room } => match self.fd_use(fd) {
                FdUse::Command(link) => self.link_writable(link, false, room),
                FdUse::PubSub(link) => self.link_writable(link, true, room),
                FdUse::Client(key) => self.client_writable(key, room),
                FdUse::Free => {}
            },
            Input::Wake => {
                if self.ticks.is_due(cx.now.mono) {
                    self.tick(cx);
                }
            }
            Input::JobDone { job } => self.scripts.ended(job),
            Input::DiskDone { .. } | Input::Files(_) => {}
            Input::Signal(_) => {
                cx.out.exit(0);
                self.dead = true;
            }
            Input::LoopEnd => self.turn_end(cx),
        }
    }

    fn bytes(&mut self, cx: &mut Cx<'_>, fd: Fd, data: Bytes) {
        match self.fd_use(fd) {
            FdUse::Client(key) => self.client_bytes(cx, key, data),
            FdUse::Command(_) | FdUse::PubSub(_) => self.link_bytes(cx, fd, data),
            FdUse::Free => {}
        }
    }

    fn turn_end(&mut self, cx: &mut Cx<'_>) {
        // What arrived in this turn may have given work to a tick that had none when the turn was planned.
        if self.ticks.is_due(cx.now.mono) {
            self.tick(cx);
        }
        self.loop_end(cx);
    }

    /// Replies to clients leave first, then requests: hiredis writes when the loop comes round.
    fn loop_end(&mut self, cx: &mut Cx<'_>) {
        let pending = std::mem::take(&mut self.pending);
        for &fd in &pending {
            if let FdUse::Client(key) = self.fd_use(fd) {
                self.flush_client(cx, key);
            }
        }
        for &fd in &pending {
            match self.fd_use(fd) {
                FdUse::Command(link) => self.flush_link(cx, link, false),
                FdUse::PubSub(link) => self.flush_link(cx, link, true),
                FdUse::Client(_) | FdUse::Free => {}
            }
        }
        // The list's memory is used again.
        if self.pending.is_empty() {
            self.pending = pending;
            self.pending.clear();
        }
        self.schedule(cx.ms);
    }
}

impl Node for Sentinel {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        let stream = |purpose: &str| self.init.seed.stream(&self.init.name, purpose);
        // The timer's first tick comes a millisecond after main() is done, which takes a while itself.
        let first = Span::from_ms(1) + Span(stream("timer phase").below(Span::from_ms(100).ns()));
        self.ticks = ticks::Ticks::new(now, stream("timer hz"), first);
        self.started = now;
        let root = out.cause();
        let mut cx = Cx { now, ms: ms(now), out, root };
        self.begin(&mut cx, disk);
        if !self.dead {
            self.loop_end(&mut cx);
        }
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        if self.dead {
            return;
        }
        if self.ticks.sync(now) {
            self.all_stale = true;
        }
        let root = out.cause();
        let mut cx = Cx { now, ms: ms(now), out, root };
        self.input(&mut cx, input);
    }

    fn turn(&mut self, now: Now, fd: Fd, data: Bytes, out: &mut Outbox) -> bool {
        if self.dead {
            out.next_call();
            return true;
        }
        if self.ticks.sync(now) {
            self.all_stale = true;
        }
        let (ms, root) = (ms(now), out.cause());
        self.bytes(&mut Cx { now, ms, out, root }, fd, data);
        if !out.outputs.is_empty() {
            return false;
        }
        out.next_call();
        if !self.dead {
            // At the same instant the ticks are up to date.
            let root = out.cause();
            self.turn_end(&mut Cx { now, ms, out, root });
        }
        true
    }

    fn wake_at(&self) -> Option<Instant> {
        if self.dead { None } else { self.ticks.wake() }
    }

    fn stalled(&mut self, since: Instant, until: Option<Instant>) {
        self.ticks.stalled(since, until);
    }

    fn probe(&self, _now: Now, out: &mut Outbox) {
        for &id in &self.masters {
            let master = self.at(id);
            let belief = SentinelEvent::Final {
                master: master.name.clone(),
                addr: self.current_address(id).addr(),
                config_epoch: self.group(id).config_epoch,
                current_epoch: self.epoch,
            };
            out.note(Kind::Sentinel(belief));
        }
    }

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}
