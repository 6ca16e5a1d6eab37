//! Executing a command and what follows from it: statistics, propagation, the trace (`call`, `afterCommand`).

use bytes::Bytes;
use smallvec::SmallVec;

use super::commands::{Command, Treatment, flag, transactions};
use super::reply::encode_command;
use super::scripting::SCRIPT;
use super::session::Flags;
use super::{Server, cost, replication};
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::Args;
use crate::time::{NS_PER_MS, Now, Span};
use crate::trace::Kind;
use crate::trace::digest::hash_operation;
use crate::trace::event::ServerEvent;

/// What is propagated goes into the append-only file (`PROPAGATE_AOF`).
const TO_AOF: u8 = 1;
/// It goes to the replicas (`PROPAGATE_REPL`).
pub(crate) const TO_REPLICAS: u8 = 2;
/// To both.
pub(crate) const ALL_TARGETS: u8 = TO_AOF | TO_REPLICAS;

/// What a handler works with.
#[derive(Debug)]
pub(crate) struct Cx<'a> {
    /// The server.
    pub s: &'a mut Server,
    /// Effects.
    pub out: &'a mut Outbox,
    /// The calling session.
    pub fd: Fd,
    /// The command.
    pub command: &'static Command,
    /// Its arguments, the name first.
    pub args: &'a Args,
}

/// State of the command that runs, and of the transaction around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exec {
    /// Changes to the dataset since the last save (`server.dirty`).
    pub dirty: u64,
    /// Commands to propagate when the outermost call ends (`also_propagate`).
    also: SmallVec<[(u32, Bytes, u8); 2]>,
    /// Operations to note in the trace once they have an offset.
    pub(super) writes: SmallVec<[u64; 2]>,
    /// What is propagated instead of the command's own arguments.
    rewrite: Option<Bytes>,
    /// Whom to propagate to although nothing changed (PUBLISH, FLUSHALL).
    force: u8,
    /// Propagate nothing although something changed (SPOP with a count).
    prevent: bool,
    /// Arguments that nobody else may see.
    pub redacted: SmallVec<[usize; 2]>,
    /// The command answered an error.
    pub failed: bool,
    /// Calls inside calls.
    depth: u32,
    /// Whom a script's commands are propagated to: [`ALL_TARGETS`] or fewer (`redis.set_repl`).
    pub(crate) targets: u8,
    /// EXEC runs its queue.
    pub in_exec: bool,
    /// The running command came from our master.
    pub from_master: bool,
    /// Whose request is being processed (`server.current_client`).
    pub client: Option<Fd>,
    /// How much of the session's reply it hears in any case: what a session that doesn't want replies loses lies behind.
    pub heard: usize,
    /// Nanoseconds of DEBUG SLEEP since the outermost call began: afterwards it is that much later.
    pub slept: u64,
}

/// What calls have left to be propagated and noted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    also: SmallVec<[(u32, Bytes, u8); 2]>,
    writes: SmallVec<[u64; 2]>,
}

impl Pending {
    /// Adds what came later.
    pub(crate) fn append(&mut self, later: Pending) {
        self.also.extend(later.also);
        self.writes.extend(later.writes);
    }
}

impl Exec {
    /// The command that runs was called by another one: EXEC, or a script.
    #[must_use]
    pub(crate) fn is_nested(&self) -> bool {
        self.depth > 1
    }

    /// Takes what waits to be propagated.
    pub(crate) fn take_pending(&mut self) -> Pending {
        Pending { also: std::mem::take(&mut self.also), writes: std::mem::take(&mut self.writes) }
    }

    /// Has it wait again.
    pub(crate) fn put_pending(&mut self, pending: Pending) {
        (self.also, self.writes) = (pending.also, pending.writes);
    }

    /// A command begins: what the one before asked for is over.
    #[inline]
    pub(crate) fn begin(&mut self) {
        (self.force, self.prevent, self.failed) = (0, false, false);
        self.redacted.clear();
    }

    /// Whether nothing would change by [`Exec::begin`].
    #[must_use]
    pub(crate) fn has_begun(&self) -> bool {
        self.force == 0 && !self.prevent && !self.failed && self.redacted.is_empty()
    }

    /// What a client waited for is being done.
    pub(crate) fn enter(&mut self) {
        self.depth += 1;
    }

    /// It is done.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// True while a command is being executed.
    #[must_use]
    pub(crate) fn runs(&self) -> bool {
        self.depth > 0
    }
}

impl Cx<'_> {
    /// Counts changes to the dataset: a command that made some is propagated.
    pub(crate) fn dirty(&mut self, changes: u64) {
        self.s.exec.dirty += changes;
    }

    /// Propagates these words instead of the command as it came (`rewriteClientCommandVector`).
    pub(crate) fn rewrite(&mut self, parts: &[&[u8]]) {
        self.s.exec.rewrite = Some(encode_command(parts));
    }

    /// The command has changed something though nothing says so any more.
    pub(crate) fn note_operation(&mut self) {
        let (fd, args) = (self.fd, self.args);
        self.s.note_operation(fd, args);
    }

    /// Doesn't propagate the command itself although it changes something (`preventCommandPropagation`).
    pub(crate) fn prevent_propagation(&mut self) {
        self.s.exec.prevent = true;
    }

    /// Keeps argument `i` from those who watch commands (`redactClientCommandArgument`).
    pub(crate) fn redact(&mut self, i: usize) {
        self.s.exec.redacted.push(i);
    }

    /// Propagates the command to these whether or not it changed something (`forceCommandPropagation`).
    pub(crate) fn force_propagation(&mut self, targets: u8) {
        self.s.exec.force |= targets;
    }
}

impl Server {
    /// True when commands must be put into the stream or the append-only file (`shouldPropagate`).
    #[must_use]
    pub(crate) fn should_propagate(&self) -> bool {
        #[cfg(test)]
        if self.tap.is_some() {
            return true;
        }
        !self.loading && (self.repl.wants_stream() || self.persistence.wants_stream())
    }

    /// Propagates a further command when the outermost call ends (`alsoPropagate`). The bytes are a request as
    /// [`encode_command`] makes it.
    pub(crate) fn propagate(&mut self, db: u32, bytes: Bytes) {
        self.propagate_also(db, bytes, ALL_TARGETS);
    }

    /// The same for these only.
    pub(crate) fn propagate_also(&mut self, db: u32, bytes: Bytes, targets: u8) {
        if targets != 0 && self.should_propagate() {
            self.exec.also.push((db, bytes, targets));
        }
    }

    /// Executes a command that has passed the gate.
    pub(crate) fn call(&mut self, fd: Fd, command: &'static Command, args: &Args, out: &mut Outbox) {
        let dirty = self.exec.dirty;
        // Only a command inside EXEC finds the state of another one.
        let outer = (self.exec.depth > 0).then(|| (self.exec.rewrite.take(), self.exec.force));
        self.exec.begin();
        let before = self.meter.turn();
        self.meter.add(cost::COMMAND + (args.raw().map_or(0, Bytes::len) as u64) / 16 * cost::COPY_16);
        if self.tracking.clients > 0 {
            self.note_caller(fd, command, args);
        }
        self.exec.depth += 1;
        (command.spec.handler)(&mut Cx { s: self, out, fd, command, args });
        self.exec.depth -= 1;
        let took = self.meter.turn() - before;
        let stat = &mut self.stats.commands[command.id];
        stat.calls += 1;
        stat.ns += took;
        stat.failed += u64::from(self.exec.failed);
        self.stats.num_commands += 1;
        let blocked = command.is(flag::BLOCKING) && self.sessions.get(fd).is_some_and(|s| s.flags.has(Flags::BLOCKED));
        if blocked {
            // The slow log hears of it when it has its answer.
            self.note_blocked(fd, took);
        }
        note_if_slow(command, took, out);
        if took >= 1_000 && !blocked {
            self.stats.histograms.add(command.id, took);
            let event = if command.is(flag::FAST) { "fast-command" } else { "command" };
            self.latency_sample(event, took / NS_PER_MS);
        }
        if command.spec.flags & flag::SKIP_SLOWLOG == 0 && !blocked {
            self.log_if_slow(fd, args, took / 1_000);
        }
        if !self.monitors.is_empty() && !command.is(flag::SKIP_MONITOR | flag::ADMIN) {
            self.feed_monitors(fd, args);
        }
        let (db, session_alive) = self.sessions.get(fd).map_or((0, false), |session| (session.db, true));
        let changed = self.exec.dirty > dirty;
        let wanted = if changed { ALL_TARGETS } else { self.exec.force };
        let targets = wanted & if fd == SCRIPT { self.exec.targets } else { ALL_TARGETS };
        if !self.exec.prevent && targets != 0 && !command.is_exec() && self.should_propagate() {
            let bytes = match self.exec.rewrite.take() {
                Some(bytes) => bytes,
                None => own_bytes(args),
            };
            self.exec.also.push((db, bytes, targets));
        }
        if changed && !command.is_exec() && session_alive {
            self.note_operation(fd, args);
        }
        // Read-only scripts are reads only as far as they read something.
        if self.tracking.clients > 0 && command.is(flag::READONLY) && command.treatment != Treatment::Script {
            self.remember_keys();
        }
        if let Some(outer) = outer {
            (self.exec.rewrite, self.exec.force) = outer;
        } else if self.exec.rewrite.is_some() {
            self.exec.rewrite = None;
        }
        self.after_command(command, out);
    }

    /// A client has changed something: it goes into the trace once it has an offset.
    pub(crate) fn note_operation(&mut self, fd: Fd, args: &Args) {
        if !self.exec.from_master && fd != SCRIPT && self.repl.is_master() {
            self.exec.writes.push(hash_operation(args.iter().skip(1)));
        }
    }

    /// What the outermost command has made is propagated (`afterCommand`).
    #[inline]
    fn after_command(&mut self, command: &'static Command, out: &mut Outbox) {
        if self.exec.slept > 0 && self.exec.depth == 0 {
            let slept = Span::from_ns(std::mem::take(&mut self.exec.slept));
            self.now = Now { mono: self.now.mono + slept, unix: self.now.unix + slept };
        }
        if self.exec.depth == 0 && self.is_busy() {
            self.set_busy_aside(Vec::new());
        } else if self.exec.depth == 0 && command.is(flag::TOUCHES_ARBITRARY_KEYS) {
            self.propagate_pending_bare(out);
        } else if self.exec.depth == 0 {
            self.propagate_pending(out);
        }
    }

    /// Executes a command of an append-only file: it isn't counted, propagated or noted, and its answer goes nowhere
    /// (`loadSingleAppendOnlyFile`).
    pub(crate) fn replay(&mut self, fd: Fd, command: &'static Command, args: &Args, out: &mut Outbox) {
        self.exec.begin();
        self.exec.depth += 1;
        (command.spec.handler)(&mut Cx { s: self, out, fd, command, args });
        self.exec.depth -= 1;
        self.exec.rewrite = None;
        self.exec.take_pending();
        if let Some(session) = self.sessions.get_mut(fd) {
            session.reply.truncate(0);
        }
    }

    /// Executes the commands of a transaction, until a script among them takes long or MIGRATE waits for its target.
    pub(crate) fn call_queued(&mut self, fd: Fd, queue: Vec<(&'static Command, Args)>, out: &mut Outbox) {
        self.exec.in_exec = true;
        self.exec.depth += 1;
        let mut queue = queue.into_iter();
        while let Some((command, args)) = queue.next() {
            let refused = transactions::is_refused(&mut Cx { s: self, out, fd, command, args: &args });
            if !refused {
                self.call(fd, command, &args, out);
            }
            if self.migrate.is_running() && !self.is_busy() {
                super::scripting::busy::wait(&mut Cx { s: self, out, fd, command, args: &args });
            }
            if self.shutdown.exited {
                break;
            }
            if self.is_busy() {
                self.set_busy_aside(queue.by_ref().collect());
            }
        }
        self.exec.depth -= 1;
        self.exec.in_exec = false;
        self.exec.failed = false;
    }

    /// Sends what has accumulated into the stream, as a transaction when it is more than one command
    /// (`propagatePendingCommands`).
    pub(crate) fn propagate_pending(&mut self, out: &mut Outbox) {
        self.propagate_ops();
        self.note_writes(out);
    }

    /// The same without MULTI and EXEC: deletions of the active expire cycle.
    pub(crate) fn propagate_pending_bare(&mut self, out: &mut Outbox) {
        for (db, bytes, targets) in std::mem::take(&mut self.exec.also) {
            self.propagate_to(db, &bytes, targets);
        }
        self.note_writes(out);
    }

    fn propagate_ops(&mut self) {
        match self.exec.also.len() {
            0 => {}
            1 => {
                let (db, bytes, targets) = self.exec.also.pop().expect("one is there");
                self.propagate_to(db, &bytes, targets);
            }
            _ => {
                let ops = std::mem::take(&mut self.exec.also);
                let first = ops[0].0;
                self.propagate_now(first, b"*1\r\n$5\r\nMULTI\r\n");
                let mut last = first;
                for (db, bytes, targets) in &ops {
                    self.propagate_to(*db, bytes, *targets);
                    last = *db;
                }
                self.propagate_now(last, b"*1\r\n$4\r\nEXEC\r\n");
            }
        }
    }

    fn note_writes(&mut self, out: &mut Outbox) {
        if !self.exec.writes.is_empty() {
            let offset = self.repl.offset();
            for op in self.exec.writes.drain(..) {
                if self.persistence.wants_stream() {
                    self.persistence.aof.note_write();
                }
                out.note(Kind::Server(ServerEvent::Write { op, offset }));
            }
        }
    }

    pub(crate) fn propagate_now(&mut self, db: u32, bytes: &[u8]) {
        self.propagate_to(db, bytes, ALL_TARGETS);
    }

    fn propagate_to(&mut self, db: u32, bytes: &[u8], targets: u8) {
        #[cfg(test)]
        if let Some(tap) = self.tap.as_mut().filter(|_| targets & TO_REPLICAS != 0) {
            tap.push((db, Bytes::copy_from_slice(bytes)));
        }
        if targets & TO_AOF != 0 && self.persistence.wants_stream() {
            super::persistence::aof::feed(self, db, bytes);
        }
        if targets & TO_REPLICAS != 0 && self.repl.wants_stream() {
            replication::feed(self, db, bytes);
        }
    }

    /// Refuses a command: the transaction being queued is lost, EXEC is answered by EXECABORT (`rejectCommand`).
    pub(crate) fn reject(
        &mut self,
        fd: Fd,
        command: Option<&'static Command>,
        args: &Args,
        text: &str,
        out: &mut Outbox,
    ) {
        if let Some(command) = command {
            self.stats.commands[command.id].rejected += 1;
        }
        let session = self.sessions.at_mut(fd);
        if session.flags.has(Flags::MULTI) {
            session.flags.set(Flags::DIRTY_EXEC);
        }
        let fallback = super::commands::any();
        let is_exec = command.is_some_and(Command::is_exec);
        let mut cx = Cx { s: self, out, fd, command: command.unwrap_or(fallback), args };
        if is_exec {
            super::multi::discard(&mut cx);
            let text = text.strip_prefix("ERR ").unwrap_or(text);
            cx.add_error(&format!("EXECABORT Transaction discarded because of: {text}"));
        } else {
            cx.add_error(text);
        }
    }

    /// Shows a command to those who called MONITOR (`replicationFeedMonitors`).
    pub(crate) fn feed_monitors(&mut self, fd: Fd, args: &Args) {
        if self.monitors.is_empty() {
            return;
        }
        let Some(session) = self.sessions.get(fd).filter(|_| !self.loading) else { return };
        let us = self.now.unix.us();
        let by = if fd == SCRIPT { "lua".to_owned() } else { session.addr.to_string() };
        let mut line = format!("+{}.{:06} [{} {by}]", us / 1_000_000, us % 1_000_000, session.db);
        for (i, arg) in args.iter().enumerate() {
            let arg = if self.exec.redacted.contains(&i) { super::slowlog::REDACTED } else { arg };
            line.push(' ');
            line.push_str(&crate::resp::quote(arg));
        }
        line.push_str("\r\n");
        for monitor in self.monitors.clone() {
            let session = self.sessions.at_mut(monitor);
            if !session.flags.has(Flags::GOING.with(Flags::REPLY_OFF).with(Flags::REPLY_SKIP)) {
                session.reply.tail().extend_from_slice(line.as_bytes());
                let waiting = session.reply.len() as u64;
                self.sessions.want_write(monitor);
                if waiting >= super::footprint::NOTED {
                    self.check_output_limit(monitor);
                }
            }
        }
    }
}

/// A command that kept the main thread for long is in the trace.
pub(super) fn note_if_slow(command: &'static Command, took: u64, out: &mut Outbox) {
    if took > 10 * NS_PER_MS && !command.is(flag::BLOCKING) {
        out.note(Kind::Server(ServerEvent::Slow { command: command.spec.name.into(), us: took / 1_000 }));
    }
}

/// The request as it arrived, or encoded again when it was inline.
fn own_bytes(args: &Args) -> Bytes {
    args.raw().cloned().unwrap_or_else(|| {
        let parts: SmallVec<[&[u8]; 8]> = args.iter().collect();
        encode_command(&parts)
    })
}
