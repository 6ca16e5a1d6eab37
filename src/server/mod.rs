//! redis-server as a state machine: connections, data, commands, replication. This file only routes.

pub mod config;

pub(crate) mod acl;
#[cfg(test)]
mod behaviour;
mod blocking;
mod call;
mod clients;
mod commands;
mod cost;
mod cron;
mod db;
mod digest;
pub mod eviction;
mod expire;
mod express;
mod footprint;
mod gate;
mod glob;
#[cfg(test)]
mod golden;
mod held;
mod info;
pub mod keyspace;
mod latency;
pub(crate) mod log;
#[cfg(test)]
mod manners;
mod memory;
mod migrate;
mod multi;
pub mod notify;
mod partial_sort;
mod pause;
pub mod persistence;
mod pubsub;
pub mod replication;
mod reply;
#[cfg(test)]
mod rig;
#[cfg_attr(not(feature = "lua"), allow(dead_code, reason = "only an interpreter uses it"))]
mod scripting;
#[cfg(test)]
mod scripts;
mod session;
mod shutdown;
mod slowlog;
mod stats;
mod streak;
mod tally;
mod threads;
mod tracking;

use std::sync::Arc;

use config::Config;
use keyspace::Keyspace;

use crate::id::{Fd, HexId};
use crate::node::{DiskImage, DiskOp, Init, Input, Node, Outbox, Preview};
use crate::rng::Rng;
use crate::time::{Instant, Now, Span, Unix};
use crate::trace::Kind;
use crate::trace::event::ServerEvent;

/// A redis-server process. What most turns look at comes first.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Server {
    streak: streak::Streak,
    pub(crate) keyspace: Keyspace,
    pub(crate) init: Init,
    pub(crate) config: Arc<Config>,
    /// Both clocks, as of the newest input.
    pub(crate) now: Now,
    pub(crate) started: Now,
    pub(crate) run_id: HexId,
    /// Random draws of commands and cycles.
    pub(crate) rng: Rng,
    pub(crate) sessions: session::Sessions,
    pub(crate) watchers: multi::Watchers,
    pub(crate) blocking: blocking::Blocking,
    pub(crate) pubsub: pubsub::PubSub,
    pub(crate) tracking: tracking::Tracking,
    pub(crate) eviction: eviction::Eviction,
    pub(crate) acl: acl::Acl,
    pub(crate) exec: call::Exec,
    pub(crate) repl: replication::Replication,
    pub(crate) persistence: persistence::Persistence,
    pub(crate) scripting: scripting::Scripting,
    pub(crate) pause: pause::Pause,
    pub(crate) expire_cycle: expire::Cycle,
    pub(crate) shutdown: shutdown::Shutdown,
    pub(crate) stats: stats::Stats,
    pub(crate) slowlog: slowlog::Slowlog,
    pub(crate) latency: latency::Latency,
    pub(crate) migrate: migrate::Migrations,
    pub(crate) meter: cost::Meter,
    pub(crate) cron: cron::Cron,
    /// The dataset is being loaded: most commands are refused.
    pub(crate) loading: bool,
    /// It is loaded beside the old one, which stays readable.
    pub(crate) async_loading: bool,
    /// The active expire cycle runs (DEBUG SET-ACTIVE-EXPIRE).
    pub(crate) active_expire: bool,
    pub(crate) monitors: Vec<Fd>,
    /// How buffers of replies adapt.
    pub(crate) adapting: footprint::Adapting,
    /// Threads that read and write sockets.
    pub(crate) threads: threads::IoThreads,
    /// Elements of lists from this size on have a node to themselves (DEBUG QUICKLIST-PACKED-THRESHOLD).
    pub(crate) large_element: usize,
    /// Sessions whose input waits for the next turn.
    pub(crate) pending_input: Vec<Fd>,
    /// Sessions that were unblocked and have yet to go on.
    pub(crate) unblocked: Vec<Fd>,
    /// Sessions to close at the end of this turn.
    pub(crate) closing: Vec<Fd>,
    /// Sessions whose output buffer is above its soft limit.
    pub(crate) soft_limited: Vec<Fd>,
    /// Limits of output buffers were changed: the next tick looks at everybody's.
    pub(crate) limits_changed: bool,
    /// Requests may take the short way.
    pub(crate) express: bool,
    /// They can, until something else happens.
    pub(crate) plain: bool,
    /// When the log last spoke of an attack, in seconds since 1970.
    warned_of_attack: u64,
    /// A request can be done with its whole turn, until something else happens.
    pub(crate) swift: bool,
    /// Keys expired since the trace was last told.
    pub(crate) expired_noted: u32,
    /// Keys that the trace follows.
    pub(crate) followed: Vec<held::Followed>,
    /// What is propagated, for tests that compare it.
    #[cfg(test)]
    pub(crate) tap: Option<Vec<(u32, bytes::Bytes)>>,
    /// Earliest timer, as of the end of the last turn.
    wake: Option<Instant>,
}

impl Server {
    /// A process that has not started yet.
    #[must_use]
    pub fn new(init: Init, mut config: Config) -> Server {
        config.port = u64::from(init.addr.port);
        let zero = Now { mono: Instant::ZERO, unix: Unix(0) };
        let databases = usize::try_from(config.databases).unwrap_or(16);
        Server {
            streak: streak::Streak::default(),
            run_id: HexId::random(&mut init.seed.stream(&init.name, "run id")),
            rng: init.seed.stream(&init.name, "server"),
            repl: replication::Replication::new(&init),
            meter: cost::Meter::new(init.cpu_milli),
            acl: acl::Acl::new(&config.requirepass),
            config: Arc::new(config),
            now: zero,
            started: zero,
            sessions: session::Sessions::default(),
            keyspace: Keyspace::new(databases),
            watchers: multi::Watchers::default(),
            blocking: blocking::Blocking::default(),
            pubsub: pubsub::PubSub::default(),
            tracking: tracking::Tracking::default(),
            eviction: eviction::Eviction::default(),
            exec: call::Exec::default(),
            persistence: persistence::Persistence::default(),
            scripting: scripting::Scripting::default(),
            pause: pause::Pause::default(),
            expire_cycle: expire::Cycle::default(),
            shutdown: shutdown::Shutdown::default(),
            stats: stats::Stats::new(commands::count()),
            slowlog: slowlog::Slowlog::default(),
            latency: latency::Latency::default(),
            migrate: migrate::Migrations::default(),
            cron: cron::Cron::new(Instant::ZERO),
            loading: false,
            async_loading: false,
            active_expire: true,
            monitors: Vec::new(),
            adapting: footprint::Adapting::default(),
            threads: threads::IoThreads::default(),
            large_element: keyspace::list::LARGE,
            pending_input: Vec::new(),
            unblocked: Vec::new(),
            closing: Vec::new(),
            soft_limited: Vec::new(),
            limits_changed: false,
            express: true,
            plain: false,
            warned_of_attack: 0,
            swift: false,
            expired_noted: 0,
            followed: Vec::new(),
            #[cfg(test)]
            tap: None,
            wake: None,
            init,
        }
    }

    /// The end of a turn: what waited for it, then the replies (`beforeSleep`).
    fn before_sleep(&mut self, out: &mut Outbox) {
        if self.is_busy() {
            return self.before_sleep_busy(out);
        }
        if !self.blocking.is_empty() {
            self.end_waits();
        }
        if self.has_pending_reads() {
            self.handle_pending_reads(out);
        }
        if self.eviction.running {
            self.perform_evictions(out);
        }
        if self.active_expire && self.repl.is_master() {
            // The fast cycle of expiry begins with asking.
            self.is_paused();
        }
        if !self.unblocked.is_empty() {
            self.process_unblocked(out);
        }
        expire::fast_cycle(self, out);
        replication::before_sleep(self, out);
        if !self.unblocked.is_empty() {
            self.process_unblocked(out);
        }
        if self.tracking.clients > 0 {
            self.broadcast_invalidations();
        }
        if self.blocking.has_ready() {
            self.serve_ready(out);
        }
        if self.expired_noted > 0 {
            let keys = std::mem::take(&mut self.expired_noted);
            out.note(Kind::Server(ServerEvent::Expired { keys }));
        }
        if !self.followed.is_empty() {
            self.note_followed(out);
        }
        out.busy(self.meter.take());
        if self.persistence.wants_stream() {
            persistence::aof::flush(self, false, out);
        }
        if self.shutdown.exited {
            return;
        }
        if !self.sessions.pending_writes.is_empty() {
            self.flush_sessions(out);
        }
        if !self.closing.is_empty() {
            self.close_marked(out);
        }
        self.evict_clients(out);
        out.busy(self.meter.take());
        self.meter.begin_turn();
        self.plan_cron();
        self.wake = if self.pending_input.is_empty() && !self.eviction.running {
            match (self.cron.due(), replication::next_timer(self)) {
                (Some(tick), Some(timer)) => Some(tick.min(timer)),
                (tick, timer) => tick.or(timer),
            }
        } else {
            Some(self.now.mono)
        };
        if !self.plain {
            self.plain = self.is_plain();
        }
        self.swift = self.is_swift();
    }

    /// The same while a script runs: replies only.
    fn before_sleep_busy(&mut self, out: &mut Outbox) {
        out.busy(self.meter.take());
        if self.persistence.wants_stream() {
            persistence::aof::flush(self, false, out);
        }
        self.flush_sessions(out);
        self.close_marked(out);
        out.busy(self.meter.take());
        self.meter.begin_turn();
        let later = (!self.pending_input.is_empty()).then_some(self.now.mono);
        self.wake = self.busy_until().into_iter().chain(later).min();
    }

    /// What CONFIG REWRITE left on the disk replaces the settings given. False when it can't be read: the process exits.
    fn read_config_file(&mut self, disk: &DiskImage, out: &mut Outbox) -> bool {
        let Some(text) = disk.get(commands::config::CONFIG_FILE) else { return true };
        let parsed = crate::conf::parse(text).map_err(|error| vec![error]);
        match parsed.and_then(|directives| Config::from_directives(&directives)) {
            Ok((config, _)) => {
                let mut config = config;
                config.port = self.config.port;
                config.process_id = self.config.process_id;
                self.config = Arc::new(config);
                true
            }
            Err(errors) => {
                let error = &errors[0];
                self.die(&format!("*** FATAL CONFIG FILE ERROR *** line {}: {}", error.line, error.message), 1, out)
            }
        }
    }

    /// The users of the settings or of their file. False when they can't be had: the process exits.
    fn read_users(&mut self, disk: &DiskImage, out: &mut Outbox) -> bool {
        let given = self.config.acl_text.clone();
        let file = disk.get(self.config.aclfile.as_str()).map(|text| bytes::Bytes::copy_from_slice(text)).or(given);
        match self.start_acl(file) {
            Ok(()) => true,
            Err(message) => self.die(&message, 1, out),
        }
    }

    /// Somebody has put other files onto the disk.
    fn files_changed(&mut self, files: &DiskImage) {
        self.acl.file_changed(files.get(self.config.aclfile.as_str()).cloned());
        persistence::file_changed(self, files);
    }

    /// The process ends with this status and leaves a message. False, so that a start ends with it.
    pub(crate) fn die(&mut self, message: &str, code: u8, out: &mut Outbox) -> bool {
        out.note(Kind::Server(ServerEvent::Fatal { message: message.into() }));
        self.warn(out, || message.to_owned());
        self.shutdown.exited = true;
        out.exit(code);
        false
    }

    fn handle_rarer(&mut self, input: Input, out: &mut Outbox) {
        self.plain = false;
        match input {
            Input::Bytes { .. } | Input::LoopEnd => unreachable!("these are common"),
            Input::Accepted { fd, from, local } => self.accept(fd, from, local, out),
            Input::Connected { fd, local } => replication::on_connected(self, fd, local, out),
            Input::Refused { fd, why } => replication::on_refused(self, fd, why, out),
            Input::Closed { fd, why } => self.closed(fd, why, out),
            Input::Writable { fd, room } => self.writable(fd, room, out),
            Input::Wake => self.on_wake(out),
            Input::DiskDone { op, ok } => persistence::disk_done(self, op, ok, out),
            Input::JobDone { job } => persistence::job_done(self, job, out),
            Input::Files(files) => self.files_changed(&files),
            Input::Signal(signal) => self.on_signal(signal, out),
        }
    }

    fn on_wake(&mut self, out: &mut Outbox) {
        self.end_busy_if_due(out);
        if !self.pending_input.is_empty() {
            self.continue_input(out);
        }
        if !self.is_busy() {
            replication::on_timer(self, out);
        }
    }
}

impl Node for Server {
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox) {
        self.now = now;
        self.started = now;
        self.cron = cron::Cron::new(now.mono);
        self.warn(out, || {
            let pid = persistence::pid(self);
            format!("Redis version=7.0.15, bits=64, commit=00000000, modified=0, pid={pid}, just started")
        });
        if !self.read_config_file(disk, out) || !self.read_users(disk, out) {
            return;
        }
        if !self.config.latency_tracking {
            self.stats.track_latency(false);
        }
        self.log_logo(out);
        persistence::load(self, disk, out);
        if self.shutdown.exited {
            return;
        }
        out.listen(self.init.addr.port);
        let keys = self.keyspace.len() as u64;
        out.note(Kind::Server(ServerEvent::Ready { run_id: self.run_id, keys }));
        if !self.loading {
            self.notice(out, || "Ready to accept connections".to_owned());
        }
        replication::start(self, out);
        self.before_sleep(out);
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.end_streak();
        if self.shutdown.exited {
            return;
        }
        self.now = now;
        if self.migrate.is_running() {
            return migrate::while_running(self, input, out);
        }
        if self.persistence.reading.is_some() {
            return persistence::while_reading(self, input, out);
        }
        let input = if self.scripting.debugging.is_some() {
            match scripting::debugger::session::intercept(self, input, out) {
                Some(input) if !self.shutdown.exited => input,
                _ => return,
            }
        } else {
            input
        };
        // A descriptor that is gone must be forgotten before a tick can close it.
        if !matches!(input, Input::Closed { .. } | Input::Refused { .. }) {
            self.run_cron(out);
        }
        if self.shutdown.exited {
            return;
        }
        match input {
            Input::Bytes { fd, data } => self.receive(fd, data, out),
            Input::LoopEnd => self.before_sleep(out),
            rarer @ (Input::Accepted { .. }
            | Input::Connected { .. }
            | Input::Refused { .. }
            | Input::Closed { .. }
            | Input::Writable { .. }
            | Input::Wake
            | Input::DiskDone { .. }
            | Input::JobDone { .. }
            | Input::Files(_)
            | Input::Signal(_)) => self.handle_rarer(rarer, out),
        }
    }

    fn quick_turn(&mut self, now: Now, fd: Fd, data: &[u8], preview: Option<&Preview>, out: &mut Outbox) -> bool {
        self.quick_set(now, fd, data, preview, out)
    }

    fn look_ahead(&self, data: &[u8]) -> Option<Preview> {
        self.preview_set(data)
    }

    fn turn(&mut self, now: Now, fd: Fd, data: bytes::Bytes, out: &mut Outbox) -> bool {
        self.end_streak();
        self.now = now;
        if self.migrate.is_running() || self.persistence.reading.is_some() || self.scripting.debugging.is_some() {
            self.handle(now, Input::Bytes { fd, data }, out);
            return false;
        }
        if !self.shutdown.exited {
            self.run_cron(out);
        }
        if !self.shutdown.exited {
            self.receive(fd, data, out);
        }
        if !out.outputs.is_empty() {
            return false;
        }
        out.next_call();
        if !self.shutdown.exited {
            self.before_sleep(out);
        }
        true
    }

    fn waits_for_disk(&mut self, op: &DiskOp, takes: Span) {
        self.end_streak();
        if self.config.latency_monitor_threshold > 0 {
            persistence::aof::waits(self, op, takes.ms());
        }
    }

    fn stalled(&mut self, since: Instant, _until: Option<Instant>) {
        self.end_streak();
        self.cron.stall(since);
    }

    fn is_at_length(&self) -> bool {
        self.is_busy() || self.loading
    }

    fn wake_at(&self) -> Option<Instant> {
        if let Some(wake) = self.streak.wake() {
            return (wake != Instant::NEVER).then_some(wake);
        }
        self.migrate.deadline().or(self.wake).filter(|_| !self.shutdown.exited)
    }

    fn probe(&self, _now: Now, out: &mut Outbox) {
        let keys = self.keyspace.len() as u64;
        out.note(Kind::Server(ServerEvent::Final {
            master: self.repl.is_master(),
            link_up: self.repl.link_up(),
            replid: self.repl.replid,
            offset: self.repl.offset(),
            keys,
            dataset: self.keyspace.digest(),
            sync_full: self.stats.sync_full,
            sync_partial_ok: self.stats.sync_partial_ok,
            sync_partial_err: self.stats.sync_partial_err,
        }));
    }

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}
