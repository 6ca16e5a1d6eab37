//! A script's run: whether it may begin, and the commands that it calls (`scriptPrepareForRun`, `scriptCall`).

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;

use super::answers::{Answers, Cursor};
use super::debugger::Debugger;
use super::debugger::session::Talk;
use super::journal::Journal;
use super::{Answer, Code, Ending, Host, Job, JsonSettings, Rand48, Run, SCRIPT, SoFar, busy, flag, lua, shebang};
use crate::resp::Args;
use crate::server::acl::{Context, Denied};
use crate::server::call::{ALL_TARGETS, Cx};
use crate::server::commands::{Command, flag as command_flag};
use crate::server::log::Level;
use crate::server::session::{Flags, Session};
use crate::server::{Server, cost};
use crate::time::{Instant, Now, Span};

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The SHA1 of the script's text, or of the library's.
    pub sha: [u8; 20],
    /// How errors call it: its SHA1, or the function's name.
    pub name: String,
    /// The text.
    pub body: Bytes,
    /// The library, and the function of it.
    pub function: Option<(Bytes, Bytes)>,
    /// Its flags.
    pub flags: u8,
    /// A command that ends in `_RO` runs it.
    pub read_only: bool,
    /// The first argument that is a key, and how many are.
    pub keys: (usize, usize),
}

/// A script on its way, and what is needed to go on with it.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// It must not write.
    read_only: bool,
    /// It may go on when memory is short.
    allow_oom: bool,
    client_resp: u8,
    random: Rand48,
    json: JsonSettings,
    state: Option<Journal>,
    /// What it was answered so far.
    pub answers: Answers,
    /// What the clocks showed, and when it began.
    now: Now,
    pub began: Instant,
    /// Nanoseconds that it has worked for, and those that it has waited for another server.
    pub elapsed: u64,
    pub waited: u64,
    /// It was to be stopped after so many nanoseconds of work.
    pub limit: u64,
    /// Instructions accounted for.
    pub work: u64,
    /// It has called a command that writes.
    pub dirty: bool,
    /// It was stopped because its time has not come to do what can't be taken back.
    pub early: bool,
    /// It has called MIGRATE, and these are told of what comes of it (`redis.set_repl`).
    pub migrates: Option<u8>,
    /// The line at which it was seen last.
    pub line: u64,
    /// How many lines of the log it has written.
    said: usize,
    /// It is debugged.
    pub debug: Option<Box<Talk>>,
}

/// The server as the script sees it.
struct Caller<'a, 'b> {
    cx: &'a mut Cx<'b>,
    p: &'a mut Progress,
    /// How far it has been told again what it knew before.
    cursor: Cursor,
    /// The meter, and what the script had taken, when it began or went on.
    began: u64,
    before: u64,
    /// Nanoseconds after which it is stopped.
    limit: u64,
    /// Nanoseconds of its time that have passed for others, when it is stopped.
    passed: u64,
}

/// What a script may take while nothing bounds how long others wait, and one that was answered more than can be kept:
/// nanoseconds. One that takes longer is an endless one.
pub(super) const LONGEST: u64 = 10_000_000_000;
/// A script that takes longer than this is an endless one.
pub(super) const ENDLESS: u64 = 100_000_000_000;
/// What a server with an endless script and no threshold is busy for: a year.
const FOREVER: u64 = 365 * 86_400 * 1_000_000_000;

/// What a script may take that is debugged.
pub(super) const UNLIMITED: u64 = u64::MAX / 4;

/// A long script that was answered the same so many times in a row, and nothing else since, is an endless one.
const SAME: u64 = 1_000_000;

/// Instructions executed in so many milliseconds.
#[must_use]
pub(crate) fn instructions(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000) / cost::INSTRUCTION
}

/// Nanoseconds that so many instructions take.
#[must_use]
pub(crate) fn nanoseconds(instructions: u64) -> u64 {
    instructions.saturating_mul(cost::INSTRUCTION)
}

/// Nanoseconds after which the server answers others (`busy-reply-threshold`); none: it never does.
pub(super) fn threshold(s: &Server) -> Option<u64> {
    let ms = s.config.busy_reply_threshold;
    (ms > 0).then(|| ms.saturating_mul(1_000_000).min(ENDLESS))
}

/// Why a script can't begin (`scriptPrepareForRun`).
fn refusal(cx: &Cx<'_>, request: &Request) -> Option<Cow<'static, str>> {
    let s = &*cx.s;
    let stale = !s.config.replica_serve_stale_data && s.repl.stale();
    if request.flags & flag::COMPAT != 0 {
        let text = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
        return stale.then_some(text.into());
    }
    if stale && request.flags & flag::ALLOW_STALE == 0 {
        let text = "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag \
                    is not set on the script.";
        return Some(text.into());
    }
    if request.flags & flag::NO_WRITES != 0 {
        return None;
    }
    let obey = cx.session().flags.has(Flags::MASTER);
    if !s.repl.is_master() && s.config.replica_read_only && !obey {
        return Some("READONLY Can not run script with write flag on readonly replica".into());
    }
    if let Some(text) = s.persistence.script_error(s).filter(|_| !obey) {
        return Some(text);
    }
    if request.read_only {
        return Some("ERR Can not execute a script with write flag using *_ro command.".into());
    }
    if !s.repl.enough_good_replicas(&s.config) {
        return Some("NOREPLICAS Not enough good replicas to write.".into());
    }
    (request.flags & flag::ALLOW_OOM == 0 && s.eviction.out_of_memory && !obey)
        .then_some("OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'".into())
}

/// Runs a script and answers its caller.
pub(crate) fn run(cx: &mut Cx<'_>, request: Request) {
    cx.prevent_propagation();
    if let Some(text) = refusal(cx, &request) {
        return cx.add_error(&text);
    }
    open_session(cx);
    let mut p = Progress::new(cx, &request);
    p.debug = cx.s.scripting.debugging.as_mut().and_then(|debugging| debugging.talk.take());
    if p.debug.is_some() {
        return run_debugged(cx, request, p);
    }
    let threshold = threshold(cx.s);
    if is_loaded(cx) {
        return run_loaded(cx, &request, p);
    }
    let limit = threshold.unwrap_or(LONGEST);
    let run = step(cx, &request, &mut p, limit, limit);
    let stopped = matches!(run.ending, Ending::Stopped);
    if stopped || threshold.is_some_and(|threshold| p.elapsed > threshold) {
        if !(stopped && p.migrates.is_some()) {
            cx.s.meter.correct(p.elapsed, threshold.unwrap_or(FOREVER));
        }
        busy::begin(cx, request, p, run);
    } else {
        cx.s.sessions.script = None;
        p.answers.clear();
        cx.s.scripting.answers = p.answers;
        finish(cx, &request, run);
    }
    cx.prevent_propagation();
}

/// The script is read from an append-only file.
fn is_loaded(cx: &Cx<'_>) -> bool {
    cx.s.loading && cx.session().flags.has(Flags::SCRIPT)
}

/// A script of an append-only file ends before the next command is read. What it takes longer than `busy-reply-threshold`, the
/// server answers others in.
fn run_loaded(cx: &mut Cx<'_>, request: &Request, mut p: Progress) {
    let run = step(cx, request, &mut p, ENDLESS, ENDLESS);
    let is_endless = matches!(run.ending, Ending::Stopped);
    if let Some(threshold) = threshold(cx.s).filter(|&threshold| is_endless || p.elapsed > threshold) {
        busy::log_slow(cx.s, request, cx.out);
        let slow = if is_endless { FOREVER } else { p.elapsed - threshold };
        cx.s.meter.correct(p.elapsed, threshold);
        cx.s.scripting.slow_ns = cx.s.scripting.slow_ns.saturating_add(slow);
    } else if is_endless {
        cx.s.meter.correct(p.elapsed, FOREVER);
    }
    cx.s.sessions.script = None;
    p.answers.clear();
    cx.s.scripting.answers = p.answers;
    if !is_endless {
        finish(cx, request, run);
    }
    cx.prevent_propagation();
}

/// The same for a script that is debugged: it goes on when its client says so.
fn run_debugged(cx: &mut Cx<'_>, request: Request, mut p: Progress) {
    p.answers.clear();
    let run = step(cx, &request, &mut p, UNLIMITED, UNLIMITED);
    if matches!(run.ending, Ending::Stopped) {
        busy::begin(cx, request, p, run);
    } else {
        cx.s.sessions.script = None;
        finish(cx, &request, run);
        cx.s.scripting.debugging.get_or_insert_default().talk = p.debug;
    }
    cx.prevent_propagation();
}

/// The session that calls the script's commands. It has the caller's rights.
fn open_session(cx: &mut Cx<'_>) {
    let (caller, now) = (cx.session(), cx.s.now.unix);
    let mut session = Session::new(SCRIPT, 0, caller.addr, caller.laddr, now);
    session.db = caller.db;
    session.user = caller.user;
    session.authenticated = true;
    session.flags.set(Flags::SCRIPT);
    if caller.flags.has(Flags::LIMITED) {
        session.flags.set(Flags::LIMITED);
    }
    cx.s.sessions.script = Some(Box::new(session));
}

/// Runs a script from its start; what it was answered before it is answered again. It is stopped when it has worked for
/// `limit` nanoseconds, and before it does what can't be taken back when it has worked for more than `passed`.
pub(super) fn step(cx: &mut Cx<'_>, request: &Request, p: &mut Progress, limit: u64, passed: u64) -> Run {
    let args = cx.args;
    let words: smallvec::SmallVec<[&[u8]; 8]> = args.iter().skip(request.keys.0).collect();
    let (keys, rest) = words.split_at(request.keys.1);
    let state = p.state.as_ref().map(Journal::same);
    let debugger = p
        .debug
        .as_ref()
        .map(|talk| Rc::new(RefCell::new(Debugger::new(args.get(1), talk.typed.clone(), talk.known, talk.patience))));
    let job = Job {
        sha: request.sha,
        code: Code::new(&request.body),
        function: request.function.as_ref().map(|(_, function)| &function[..]),
        state: state.as_ref(),
        keys,
        args: rest,
        client_resp: p.client_resp,
        random: p.random,
        json: p.json,
        budget: limit / cost::INSTRUCTION,
        logs: cx.out.log.is_some(),
        debugger: debugger.as_ref(),
    };
    (p.limit, p.early, p.migrates) = (limit, false, None);
    let (began, before, cursor) = (cx.s.meter.total(), p.elapsed, Cursor::new(&p.answers));
    let mut host = Caller { cx, p, cursor, began, before, limit, passed };
    let run = lua::run(&job, &mut host);
    host.account(run.work);
    p.elapsed = host.elapsed();
    p.line = run.line;
    // It begins anew each time it goes on.
    for (level, text) in run.said.iter().skip(p.said) {
        let text = String::from_utf8_lossy(text).into_owned();
        cx.s.log(cx.out, Level::of_script(*level), || text);
    }
    p.said = p.said.max(run.said.len());
    if let (Some(talk), Some(debugger)) = (&mut p.debug, &debugger) {
        talk.learn(&mut debugger.borrow_mut(), matches!(run.ending, Ending::Stopped));
    }
    cx.s.scripting.random = run.random;
    cx.s.scripting.json[usize::from(request.function.is_some())] = run.json;
    cx.s.exec.failed = false;
    run
}

/// Answers the caller.
fn finish(cx: &mut Cx<'_>, request: &Request, run: Run) {
    if let (Some((library, _)), Some(state)) = (&request.function, run.state) {
        cx.s.scripting.libraries.set_state(library, state);
    }
    match run.ending {
        Ending::Returned => {
            cx.s.exec.failed = run.reply.first() == Some(&b'-');
            cx.reply().extend_from_slice(&run.reply);
            for error in &run.errors {
                cx.s.stats.count_error(error);
            }
        }
        Ending::Failed(text, at, counted) => {
            let text = placed(&text, at, &request.name);
            if counted {
                cx.s.exec.failed = true;
                crate::resp::encode::error(cx.reply(), &text);
            } else {
                cx.add_error(&text);
            }
        }
        Ending::Stopped => unreachable!("what was stopped is kept"),
    }
}

/// An error with the place where it happened.
#[must_use]
pub(super) fn placed(text: &str, at: Option<(String, String)>, name: &str) -> String {
    let place = at.map(|(source, line)| format!(" script: {name}, on {source}:{line}."));
    format!("{text}{}", place.unwrap_or_default())
}

impl Server {
    /// The flags of a command that runs a script: it may have said what it does (`getCommandFlags`).
    #[must_use]
    pub(crate) fn flags_of_script(&self, command: &Command, args: &Args) -> u64 {
        let script = match command.spec.name {
            "fcall" | "fcall_ro" => self.scripting.libraries.find(args.get(1)).map(|(_, function)| function.flags),
            "evalsha" | "evalsha_ro" => {
                let sha = super::parse_sha(args.get(1));
                sha.and_then(|sha| self.scripting.get(&sha)).map(|script| script.flags)
            }
            _ => shebang::eval_flags(args.get(1)).ok(),
        };
        let flags = command.spec.flags;
        let Some(script) = script.filter(|script| script & flag::COMPAT == 0) else { return flags };
        let mut flags =
            flags & !(command_flag::STALE | command_flag::DENYOOM | command_flag::WRITE | command_flag::MAY_REPLICATE);
        if script & (flag::ALLOW_OOM | flag::NO_WRITES) == 0 {
            flags |= command_flag::DENYOOM;
        }
        if script & flag::NO_WRITES == 0 {
            flags |= command_flag::WRITE;
        }
        if script & flag::ALLOW_STALE != 0 {
            flags |= command_flag::STALE;
        }
        flags
    }
}

impl Progress {
    /// The script begins.
    fn new(cx: &mut Cx<'_>, request: &Request) -> Progress {
        let client_resp = cx.session().resp;
        let s = &mut *cx.s;
        let (total, began) = (s.meter.total(), s.now.mono + Span::from_ns(s.meter.turn()));
        s.meter.add(cost::SCRIPT);
        let is_compat = request.flags & flag::COMPAT != 0;
        let library = request.function.as_ref().map(|(library, _)| library);
        Progress {
            read_only: request.read_only || !is_compat && request.flags & flag::NO_WRITES != 0,
            allow_oom: !is_compat && request.flags & flag::ALLOW_OOM != 0,
            client_resp,
            random: s.scripting.random,
            json: s.scripting.json[usize::from(request.function.is_some())],
            state: library.and_then(|library| s.scripting.libraries.state(library)).map(Journal::same),
            answers: std::mem::take(&mut s.scripting.answers),
            now: s.now,
            began,
            elapsed: s.meter.total() - total,
            waited: 0,
            limit: 0,
            work: 0,
            dirty: false,
            early: false,
            migrates: None,
            line: 0,
            said: 0,
            debug: None,
        }
    }

    /// It was let go by who debugs it: only now time has passed for it.
    pub(super) fn let_go(&mut self, now: Now) {
        (self.now, self.began, self.elapsed, self.waited) = (now, now.mono, 0, 0);
    }

    /// It was stopped, and there is no use in running it any further.
    pub(super) fn is_endless(&self) -> bool {
        self.answers.is_full() || self.limit >= ENDLESS || self.answers.in_a_row() >= SAME
    }

    /// The library's variables when the function is stopped after so many nanoseconds, which were fewer than those it worked for.
    pub(super) fn state_after(&self, request: &Request, words: &Args, ns: u64) -> Option<Journal> {
        let state = self.state.as_ref()?;
        let commands = self.elapsed.saturating_sub(nanoseconds(self.work));
        let budget = (ns.saturating_sub(commands) / cost::INSTRUCTION).min(self.work);
        let words: smallvec::SmallVec<[&[u8]; 8]> = words.iter().skip(request.keys.0).collect();
        let (keys, args) = words.split_at(request.keys.1);
        let job = Job {
            sha: request.sha,
            code: Code::new(&request.body),
            function: request.function.as_ref().map(|(_, function)| &function[..]),
            state: None,
            keys,
            args,
            client_resp: self.client_resp,
            random: self.random,
            json: self.json,
            budget,
            logs: false,
            debugger: None,
        };
        Some(state.after(super::journal::Call::of(&job, self.answers.copy(), budget)))
    }
}

impl Caller<'_, '_> {
    /// Charges the instructions executed since the last time.
    fn account(&mut self, work: u64) {
        let more = work.saturating_sub(self.p.work);
        if more > 0 {
            self.p.work = work;
            self.cx.s.meter.add(more * cost::INSTRUCTION);
        }
    }

    /// Nanoseconds that the script has worked for.
    fn elapsed(&self) -> u64 {
        self.before + (self.cx.s.meter.total() - self.began)
    }

    /// Why a command can't be called (`scriptVerify…`).
    fn refusal(&self, command: Option<&'static Command>, parts: &[&[u8]]) -> Option<String> {
        let Some(command) = command else {
            return Some("Unknown Redis command called from script".to_owned());
        };
        if !command.modelled {
            return Some(format!("'{}' is not modelled", command.spec.name.replace('|', " ")));
        }
        if !command.takes(parts.len()) {
            return Some("Wrong number of args calling Redis command from script".to_owned());
        }
        if command.is(command_flag::NOSCRIPT) && !self.cx.s.scripting.denied_allowed {
            return Some("This Redis command is not allowed from script".to_owned());
        }
        if command.spec.name == "migrate" && self.p.debug.is_some() {
            return Some("MIGRATE is not modelled for a script that is debugged".to_owned());
        }
        if self.p.debug.is_some() && self.p.answers.is_full() {
            return Some("a script that is debugged must not be answered more than 64 megabytes".to_owned());
        }
        if command.spec.name == "migrate" && self.p.answers.is_full() {
            return Some(
                "MIGRATE is not modelled for a script that was answered more than 64 megabytes before".to_owned(),
            );
        }
        let s = &*self.cx.s;
        if s.repl.stale() && !s.config.replica_serve_stale_data && !command.is(command_flag::STALE) {
            return Some("Can not execute the command on a stale replica".to_owned());
        }
        if let Some(denied) = s.may_not(SCRIPT, command, parts) {
            let why = match denied {
                Denied::Command => "can't run this command or subcommand",
                Denied::Key(_) => "can't access at least one of the keys mentioned in the command arguments",
                Denied::Channel(_) => "can't publish to the channel mentioned in the command",
            };
            return Some(format!("The user executing the script {why}"));
        }
        if self.p.read_only && command.is(command_flag::WRITE | command_flag::MAY_REPLICATE) {
            return Some("Write commands are not allowed from read-only scripts.".to_owned());
        }
        if !command.is(command_flag::WRITE) || self.p.dirty {
            return None;
        }
        if !s.repl.is_master() && s.config.replica_read_only && !s.exec.from_master {
            return Some("-READONLY You can't write against a read only replica.".to_owned());
        }
        if let Some(text) = s.persistence.write_error(s) {
            return Some(format!("-{text}"));
        }
        if !s.repl.enough_good_replicas(&s.config) {
            return Some("-NOREPLICAS Not enough good replicas to write.".to_owned());
        }
        let refused = s.eviction.out_of_memory && !self.p.allow_oom && !s.exec.from_master;
        (refused && command.is(command_flag::DENYOOM))
            .then(|| "-OOM command not allowed when used memory > 'maxmemory'.".to_owned())
    }
}

impl Caller<'_, '_> {
    /// A command that can't be called is refused: counted and logged.
    fn refuse(&mut self, text: String, command: Option<&'static Command>, parts: &[&[u8]]) -> Answer {
        let s = &mut *self.cx.s;
        if let Some(command) = command
            && text.starts_with("The user")
            && let Some(denied) = s.may_not(SCRIPT, command, parts)
        {
            let own = Args::from_parts(parts);
            let who = if s.sessions.get(self.cx.fd).is_some() { self.cx.fd } else { SCRIPT };
            s.log_refusal(who, (command, &own), self.cx.args, denied, Context::Script);
        }
        s.stats.count_error(text.strip_prefix('-').unwrap_or("ERR"));
        if let Some(command) = command {
            s.stats.commands[command.id].rejected += 1;
        }
        Answer::Refused(text)
    }

    /// Executes a command that may be called.
    fn execute(&mut self, command: &'static Command, parts: &[&[u8]], so_far: &SoFar<'_>) -> Answer {
        let (elapsed, waited) = (self.elapsed(), self.p.waited);
        let args = Args::from_parts(parts);
        let (s, out) = (&mut *self.cx.s, &mut *self.cx.out);
        s.sessions.at_mut(SCRIPT).resp = so_far.resp;
        s.exec.targets = so_far.targets;
        // Only TIME sees that time passes during a script.
        let now = std::mem::replace(&mut s.now, self.p.now);
        if command.spec.name == "time" {
            // It adds what this turn has taken.
            let began = self.p.now.unix.0 + self.p.began.since(self.p.now.mono).ns();
            s.now.unix.0 = (began + elapsed + waited).saturating_sub(s.meter.turn());
        } else if command.spec.name == "migrate" {
            s.now = now;
        }
        // As in a transaction, nothing waits.
        let in_exec = std::mem::replace(&mut s.exec.in_exec, true);
        s.call(SCRIPT, command, &args, out);
        s.exec.in_exec = in_exec;
        s.now = now;
        s.exec.targets = ALL_TARGETS;
        if s.migrate.is_running() {
            self.p.migrates = Some(so_far.targets);
            return Answer::Stop;
        }
        let session = s.sessions.at_mut(SCRIPT);
        Answer::Reply(std::mem::take(session.reply.tail()))
    }

    /// More was answered than is kept: the script can't be run again, so it is run on to its end.
    fn lift_limit(&mut self, so_far: &SoFar<'_>) {
        self.limit = self.limit.max(LONGEST);
        so_far.budget.set(self.limit / cost::INSTRUCTION);
    }
}

impl Host for Caller<'_, '_> {
    fn call(&mut self, parts: &[&[u8]], so_far: &SoFar<'_>) -> Answer {
        if let Some(answer) = self.cursor.answer(&self.p.answers) {
            return answer;
        }
        self.account(so_far.work);
        let elapsed = self.elapsed();
        if elapsed > self.limit {
            return Answer::Stop;
        }
        let command = self.cx.s.config.renamed.lookup_request(parts);
        let writes = command.is_some_and(|command| command.is(command_flag::WRITE));
        let lasts = writes && !self.p.dirty || command.is_some_and(|command| command.spec.name == "migrate");
        if lasts && elapsed > self.passed && !self.p.answers.is_full() {
            self.p.early = true;
            return Answer::Stop;
        }
        let answer = match (self.refusal(command, parts), command) {
            (Some(text), _) => self.refuse(text, command, parts),
            (None, Some(command)) => {
                self.p.dirty |= writes;
                self.execute(command, parts, so_far)
            }
            (None, None) => unreachable!("it would have been refused"),
        };
        self.p.answers.push(&answer);
        if self.p.answers.is_full() {
            self.lift_limit(so_far);
        }
        answer
    }

    fn may_run(&mut self, parts: &[&[u8]]) -> Option<bool> {
        if let Some(allowed) = self.cursor.allowed(&self.p.answers) {
            return allowed;
        }
        let command = self.cx.s.config.renamed.lookup_request(parts);
        let allowed = command.map(|command| self.cx.s.may_not(SCRIPT, command, parts).is_none());
        self.p.answers.push_allowed(allowed);
        allowed
    }

    fn answers(&self) -> Answers {
        self.p.answers.copy()
    }
}
