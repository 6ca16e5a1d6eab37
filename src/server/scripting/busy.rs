//! Commands that go on later: a script that works for longer than `busy-reply-threshold`, and a script or a transaction that
//! has called MIGRATE.
//!
//! A long script keeps the server busy until the threshold; others are told -BUSY from then on until it ends or is killed
//! (`scriptInterrupt`, `scriptKill`). The interpreter can't be stopped and cloned in its midst: the script is run up to the
//! threshold, and when that has passed it is run again from its start, twice as far, and so on. It is told again what it was
//! answered, so that nothing is done twice. It may be ahead of the time that has passed, but never with its first write.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::debugger::Line;
use super::debugger::session::Went;
use super::host::{ENDLESS, Progress, Request};
use super::{Answer, Ending, Journal, Run, host};
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::{Args, encode};
use crate::server::Server;
use crate::server::call::{ALL_TARGETS, Cx, Pending};
use crate::server::commands::Command;
use crate::server::session::{Flags, Session};
use crate::time::{Instant, Span};

/// Stands for a caller that has left.
const GONE: Fd = Fd(u32::MAX - 1);

/// The answer while EVAL runs.
const EVAL: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
/// The answer while FCALL runs.
const FUNCTION: &str = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

/// A command that was begun and goes on later.
#[derive(Clone, Debug)]
pub(crate) struct Busy {
    /// Who called it: its descriptor, and its number, for another may have the descriptor by now.
    fd: Fd,
    id: u64,
    /// What was called.
    command: &'static Command,
    words: Args,
    /// A master sent it.
    obeyed: bool,
    began: Instant,
    stage: Stage,
    /// SCRIPT KILL was called.
    killed: bool,
    /// The script; `None`: a transaction waits.
    script: Option<Box<Script>>,
    /// What it will propagate, and note in the trace.
    pending: Pending,
    /// Commands of the transaction that are still to be executed.
    rest: Vec<(&'static Command, Args)>,
    /// It is part of a transaction.
    in_exec: bool,
}

#[derive(Clone, Debug)]
struct Script {
    request: Request,
    progress: Progress,
    /// The session that calls its commands.
    session: Option<Box<Session>>,
}

/// What comes next.
#[derive(Clone, Debug)]
enum Stage {
    /// It goes on when it has worked for so many nanoseconds.
    GoesOn(u64),
    /// It never ends.
    Endless,
    /// MIGRATE waits for its target.
    Migrates,
    /// It goes on when who debugs it says so.
    Debugged,
    /// It has ended, which others see when it has worked for so many nanoseconds.
    Over(u64, Outcome),
}

/// What the caller will be told.
#[derive(Clone, Debug)]
struct Outcome {
    reply: BytesMut,
    errors: Vec<String>,
    failed: Option<(String, bool)>,
    /// What the library's variables are then.
    state: Option<Journal>,
}

impl Outcome {
    fn of(run: Run, name: &str) -> Outcome {
        let failed = match run.ending {
            Ending::Returned | Ending::Stopped => None,
            Ending::Failed(text, at, counted) => Some((host::placed(&text, at, name), counted)),
        };
        Outcome { reply: run.reply, errors: run.errors, failed, state: run.state }
    }
}

impl Script {
    fn stage_after(&self, run: Run, has_threshold: bool) -> Stage {
        let p = &self.progress;
        match run.ending {
            Ending::Stopped if p.debug.is_some() => Stage::Debugged,
            Ending::Stopped if p.migrates.is_some() => Stage::Migrates,
            Ending::Stopped if p.early => Stage::GoesOn(p.elapsed),
            Ending::Stopped if p.is_endless() || !has_threshold => Stage::Endless,
            Ending::Stopped => Stage::GoesOn(p.elapsed.max(p.limit)),
            Ending::Returned | Ending::Failed(..) => Stage::Over(p.elapsed, Outcome::of(run, &self.request.name)),
        }
    }

    /// The instant at which it has worked for so many nanoseconds.
    fn at(&self, ns: u64) -> Instant {
        self.progress.began + Span::from_ns(self.progress.waited.saturating_add(ns))
    }
}

/// A script goes on for longer than its one turn.
pub(super) fn begin(cx: &mut Cx<'_>, request: Request, progress: Progress, run: Run) {
    let began = progress.began;
    if progress.debug.is_none() && (!matches!(run.ending, Ending::Stopped) || progress.migrates.is_none()) {
        log_slow(cx.s, &request, cx.out);
    }
    let mut script = Box::new(Script { request, progress, session: cx.s.sessions.script.take() });
    let stage = script.stage_after(run, host::threshold(cx.s).is_some());
    script.progress.answers = script.progress.answers.copy();
    hold(cx, began, stage, Some(script));
}

/// The log's line on a script that takes longer than it should.
pub(super) fn log_slow(s: &Server, request: &Request, out: &mut Outbox) {
    let Some(threshold) = host::threshold(s) else { return };
    s.warn(out, || {
        format!(
            "Slow script detected: still in execution after {} milliseconds. You can try killing the script using the {} \
             command. Script name is: {}.",
            threshold / 1_000_000,
            if request.function.is_none() { "SCRIPT KILL" } else { "FUNCTION KILL" },
            request.name
        )
    });
}

/// A transaction waits for MIGRATE, which is one of its commands.
pub(crate) fn wait(cx: &mut Cx<'_>) {
    let began = cx.s.now.mono;
    hold(cx, began, Stage::Migrates, None);
}

fn hold(cx: &mut Cx<'_>, began: Instant, stage: Stage, script: Option<Box<Script>>) {
    let session = cx.session_mut();
    session.flags.set(Flags::BUSY_SCRIPT);
    let (id, obeyed) = (session.id, session.flags.has(Flags::MASTER));
    cx.s.scripting.busy = Some(Box::new(Busy {
        fd: cx.fd,
        id,
        command: cx.command,
        words: cx.args.clone(),
        obeyed,
        began,
        stage,
        killed: false,
        script,
        pending: Pending::default(),
        rest: Vec::new(),
        in_exec: cx.s.exec.in_exec,
    }));
}

impl Busy {
    fn is_eval(&self) -> bool {
        self.script.as_ref().is_none_or(|script| script.request.function.is_none())
    }

    /// Whom the effects of MIGRATE go to.
    #[must_use]
    pub(crate) fn targets(&self) -> u8 {
        self.script.as_ref().and_then(|script| script.progress.migrates).unwrap_or(ALL_TARGETS)
    }
}

impl Server {
    /// A script runs, and others are answered; or everything waits in the midst of a command.
    #[inline]
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        self.scripting.is_busy()
    }

    /// What others are told.
    #[must_use]
    pub(crate) fn busy_error(&self) -> Option<&'static str> {
        self.scripting.busy.as_ref().map(|busy| if busy.is_eval() { EVAL } else { FUNCTION })
    }

    /// Keeps for later what the command has to propagate, and what is left of its transaction.
    pub(crate) fn set_busy_aside(&mut self, rest: Vec<(&'static Command, Args)>) {
        let pending = self.exec.take_pending();
        let busy = self.scripting.busy.as_mut().expect("the caller has looked");
        busy.pending.append(pending);
        busy.rest.extend(rest);
    }

    /// When the running script ends, or goes on.
    #[must_use]
    pub(crate) fn busy_until(&self) -> Option<Instant> {
        let busy = self.scripting.busy.as_ref()?;
        let script = busy.script.as_ref()?;
        match &busy.stage {
            _ if busy.killed => Some(self.now.mono),
            Stage::GoesOn(ns) | Stage::Over(ns, _) => Some(script.at(*ns)),
            Stage::Endless | Stage::Migrates | Stage::Debugged => None,
        }
    }

    /// Ends the running script if it is time, or goes on with it.
    pub(crate) fn end_busy_if_due(&mut self, out: &mut Outbox) {
        if self.busy_until().is_some_and(|until| until <= self.now.mono)
            && let Some(busy) = self.scripting.busy.take()
        {
            if busy.killed {
                self.end_killed(*busy, out);
            } else if let Stage::Over(..) = busy.stage {
                self.end_busy(*busy, out);
            } else {
                self.go_on(busy, out);
            }
        }
    }

    /// The command that waits for MIGRATE, if one does. What it has done so far is to be propagated again.
    pub(crate) fn take_waiting(&mut self) -> Option<Box<Busy>> {
        let mut busy = self.scripting.busy.take_if(|busy| matches!(busy.stage, Stage::Migrates))?;
        self.exec.put_pending(std::mem::take(&mut busy.pending));
        Some(busy)
    }

    /// MIGRATE has this answer: the command that called it goes on.
    pub(crate) fn go_on_after_migrate(&mut self, mut busy: Box<Busy>, error: Option<&str>, out: &mut Outbox) {
        let Some(script) = &mut busy.script else {
            // The transaction has its answer already.
            return self.end_busy(*busy, out);
        };
        let mut reply = BytesMut::new();
        match error {
            Some(text) => encode::error(&mut reply, text),
            None => encode::simple(&mut reply, b"OK"),
        }
        script.progress.answers.push(&Answer::Reply(reply));
        let since = self.now.mono.since(script.progress.began).ns();
        script.progress.waited = since.saturating_sub(script.progress.elapsed);
        busy.pending = self.exec.take_pending();
        self.go_on(busy, out);
    }

    /// Runs the script further than before.
    fn go_on(&mut self, mut held: Box<Busy>, out: &mut Outbox) {
        let busy = &mut *held;
        let script = busy.script.as_mut().expect("only a script goes on");
        let p = &mut script.progress;
        let threshold = host::threshold(self);
        let (before, least) = (p.elapsed, threshold.unwrap_or(p.limit));
        let passed = self.now.mono.since(p.began).ns().saturating_sub(p.waited).max(before).max(least);
        let reached = p.limit.max(before);
        let limit = if p.early || p.migrates.is_some() { reached } else { reached * 2 };
        let blocks = p.migrates.is_some() && before <= least;
        let run = self.resume(busy, limit.clamp(least, ENDLESS), passed, out);
        let script = busy.script.as_ref().expect("it is the same one");
        let p = &script.progress;
        let spent = p.elapsed - before;
        let long = threshold.is_some_and(|threshold| p.elapsed > threshold);
        let migrates = p.migrates.is_some() && matches!(run.ending, Ending::Stopped);
        if !blocks || !migrates && long {
            // What it works for behind the threshold passes by itself.
            self.meter.correct(spent, if blocks { least - before } else { 0 });
        }
        busy.stage = script.stage_after(run, threshold.is_some());
        let is_over = matches!(busy.stage, Stage::Over(..));
        let due = is_over && (blocks && !long || script.at(script.progress.elapsed) <= self.now.mono);
        if due {
            return self.end_busy(*held, out);
        }
        self.scripting.busy = Some(held);
        self.set_busy_aside(Vec::new());
    }

    /// Runs a held script as its caller, with what it has done so far.
    fn resume(&mut self, busy: &mut Busy, limit: u64, passed: u64, out: &mut Outbox) -> Run {
        let script = busy.script.as_mut().expect("only a script goes on");
        self.exec.put_pending(std::mem::take(&mut busy.pending));
        self.sessions.script = script.session.take();
        let fd = self.caller_of(busy.fd, busy.id);
        self.exec.client = Some(fd).filter(|&fd| fd != GONE);
        self.exec.enter();
        let mut cx = Cx { s: self, out, fd, command: busy.command, args: &busy.words };
        let run = host::step(&mut cx, &script.request, &mut script.progress, limit, passed);
        self.exec.leave();
        self.exec.client = None;
        script.session = self.sessions.script.take();
        run
    }

    /// The caller of a command that was begun earlier, or who stands for one that has left.
    fn caller_of(&self, fd: Fd, id: u64) -> Fd {
        if self.sessions.get(fd).is_some_and(|session| session.id == id) { fd } else { GONE }
    }

    /// Whose script is debugged.
    pub(super) fn debugged_client(&self) -> Fd {
        self.scripting.busy.as_ref().map_or(GONE, |busy| self.caller_of(busy.fd, busy.id))
    }

    /// What is to be said to them.
    pub(super) fn said_by_debugged(&mut self) -> Bytes {
        let script = self.scripting.busy.as_mut().and_then(|busy| busy.script.as_mut());
        let talk = script.and_then(|script| script.progress.debug.as_mut());
        talk.map_or_else(Bytes::new, |talk| std::mem::take(&mut talk.out).freeze())
    }

    /// Goes on with a script that is debugged: its client has typed this.
    pub(super) fn go_on_debugging(&mut self, line: Line, out: &mut Outbox) -> Went {
        let mut held = self.scripting.busy.take().expect("the caller has looked");
        let busy = &mut *held;
        let script = busy.script.as_mut().expect("only scripts are debugged");
        let p = &mut script.progress;
        if let Some(talk) = p.debug.as_mut().filter(|talk| !talk.hung) {
            talk.typed.push(line);
        } else {
            self.scripting.busy = Some(held);
            return Went { said: BytesMut::new(), crashed: false, ended: None };
        }
        p.let_go(self.now);
        let run = self.resume(busy, host::UNLIMITED, host::UNLIMITED, out);
        let script = busy.script.as_mut().expect("it is the same one");
        let talk = script.progress.debug.as_mut().expect("it is debugged");
        let (said, crashed) = (std::mem::take(&mut talk.out), talk.crashed);
        if matches!(run.ending, Ending::Stopped) {
            self.scripting.busy = Some(held);
            self.set_busy_aside(Vec::new());
            return Went { said, crashed, ended: None };
        }
        busy.stage = Stage::Over(0, Outcome::of(run, &script.request.name));
        let pending = self.exec.take_pending();
        busy.pending.append(pending);
        Went { said, crashed, ended: Some(held) }
    }

    /// Answers who has debugged a script, and does nothing else.
    pub(super) fn answer_debugged(&mut self, fd: Fd, busy: Busy) {
        if let (Some(script), Stage::Over(_, outcome)) = (busy.script, busy.stage) {
            self.answer_busy(fd, &script.request, outcome);
        }
    }

    fn end_killed(&mut self, mut busy: Busy, out: &mut Outbox) {
        let script = busy.script.as_ref().expect("only a script is killed");
        let (request, p) = (&script.request, &script.progress);
        let chunk = if busy.is_eval() { "@user_script" } else { "@user_function" };
        self.warn(out, || "Lua script killed by user with SCRIPT KILL.".to_owned());
        let text =
            format!("ERR Script killed by user with SCRIPT KILL... script: {}, on {chunk}:{}.", request.name, p.line);
        let passed = self.now.mono.since(p.began).ns().saturating_sub(p.waited);
        let state = p.state_after(request, &busy.words, passed);
        let outcome = Outcome { reply: BytesMut::new(), errors: Vec::new(), failed: Some((text, false)), state };
        busy.stage = Stage::Over(passed, outcome);
        self.end_busy(busy, out);
    }

    /// The command's time is over: it is answered, and what it did is propagated.
    pub(super) fn end_busy(&mut self, mut busy: Busy, out: &mut Outbox) {
        let fd = self.caller_of(busy.fd, busy.id);
        let debugged = busy.script.as_ref().is_some_and(|script| script.progress.debug.is_some());
        busy.pending.append(self.exec.take_pending());
        self.exec.put_pending(std::mem::take(&mut busy.pending));
        if let (Some(script), Stage::Over(_, outcome)) = (busy.script, busy.stage) {
            self.answer_busy(fd, &script.request, outcome);
        }
        let answered = self.sessions.get(fd).map_or(0, |session| session.reply.len());
        if busy.in_exec && !self.go_on_with_exec(fd, busy.rest, out) {
            return;
        }
        if let Some(session) = self.sessions.get_mut(fd).filter(|_| debugged) {
            // Its link is as good as closed.
            session.reply.truncate(answered);
        }
        self.cron.stall(busy.began);
        self.propagate_pending(out);
        let offset = self.repl.offset();
        if let Some(session) = self.sessions.get_mut(fd) {
            session.flags.clear(Flags::BUSY_SCRIPT);
            session.woff = offset;
            self.unblocked.push(fd);
            self.sessions.want_write(fd);
        }
        // The master's stream has waited too.
        let master = self.sessions.iter().find(|session| session.flags.has(Flags::MASTER)).map(|session| session.fd);
        self.unblocked.extend(master.filter(|&master| master != fd));
    }

    fn answer_busy(&mut self, fd: Fd, request: &Request, outcome: Outcome) {
        if let (Some((library, _)), Some(state)) = (&request.function, outcome.state) {
            self.scripting.libraries.set_state(library, state);
        }
        for error in &outcome.errors {
            self.stats.count_error(error);
        }
        if let Some((text, false)) = &outcome.failed {
            self.stats.count_error(text);
        }
        let Some(session) = self.sessions.get_mut(fd) else { return };
        let muted = Flags::MASTER.with(Flags::REPLY_OFF).with(Flags::REPLY_SKIP);
        if session.flags.has(muted) {
            return;
        }
        match outcome.failed {
            Some((text, _)) => encode::error(session.reply.tail(), &text),
            None => session.reply.tail().extend_from_slice(&outcome.reply),
        }
    }

    /// Executes what the transaction had behind the command. False if another one in it goes on later.
    fn go_on_with_exec(&mut self, fd: Fd, rest: Vec<(&'static Command, Args)>, out: &mut Outbox) -> bool {
        if self.sessions.get(fd).is_none() {
            return true;
        }
        self.call_queued(fd, rest, out);
        if self.is_busy() {
            self.set_busy_aside(Vec::new());
            return false;
        }
        let command = crate::server::commands::any();
        let args = Args::default();
        crate::server::multi::discard(&mut Cx { s: self, out, fd, command, args: &args });
        true
    }
}

/// SCRIPT KILL and FUNCTION KILL (`scriptKill`).
pub(crate) fn kill(cx: &mut Cx<'_>, is_eval: bool) {
    let Some(busy) = cx.s.scripting.busy.as_mut() else {
        return cx.add_error("NOTBUSY No scripts in execution right now.");
    };
    let dirty = busy.script.as_ref().is_some_and(|script| script.progress.dirty || script.progress.answers.is_full());
    let refusal = if busy.obeyed {
        Some(
            "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.",
        )
    } else if dirty {
        Some(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        )
    } else {
        match (is_eval, busy.is_eval()) {
            (true, false) => Some(FUNCTION),
            (false, true) => Some(EVAL),
            (true, true) | (false, false) => None,
        }
    };
    if let Some(text) = refusal {
        return cx.add_error(text);
    }
    busy.killed = true;
    cx.add_ok();
}

/// The function that runs: its name, how it was called, and for how many milliseconds it has run.
type Running = (String, SmallVec<[Bytes; 4]>, i64);

/// What FUNCTION STATS says of the running function; the error is its reply.
pub(crate) fn running_function(cx: &Cx<'_>) -> Result<Option<Running>, &'static str> {
    let Some(busy) = cx.s.scripting.busy.as_ref() else { return Ok(None) };
    let Some(script) = busy.script.as_ref().filter(|_| !busy.is_eval()) else { return Err(EVAL) };
    let words = (0..busy.words.len()).map(|i| busy.words.bytes(i)).collect();
    let ms = i64::try_from(cx.s.now.mono.since(busy.began).ms()).unwrap_or(i64::MAX);
    Ok(Some((script.request.name.clone(), words, ms)))
}
