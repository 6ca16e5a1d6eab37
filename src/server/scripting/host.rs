//! A script's run: whether it may begin, and the commands that it calls (`scriptPrepareForRun`, `scriptCall`).

use std::borrow::Cow;

use bytes::Bytes;

use super::{Answer, Code, Ending, Host, Job, Run, SCRIPT, busy, flag, lua, shebang};
use crate::resp::Args;
use crate::server::acl::{Context, Denied};
use crate::server::call::{ALL_TARGETS, Cx};
use crate::server::commands::{Command, flag as command_flag};
use crate::server::session::{Flags, Session};
use crate::server::{Server, cost};
use crate::time::Span;

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The SHA1 of the script's text, or of the library's.
    pub sha: [u8; 20],
    /// How errors call it: its SHA1, or the function's name.
    pub name: String,
    /// The text.
    pub body: Bytes,
    /// The function of the library.
    pub function: Option<&'a [u8]>,
    /// Its flags.
    pub flags: u8,
    /// A command that ends in `_RO` runs it.
    pub read_only: bool,
    /// The first argument that is a key, and how many are.
    pub keys: (usize, usize),
}

/// The server as the script sees it.
struct Caller<'a, 'b> {
    cx: &'a mut Cx<'b>,
    /// The script must not write.
    read_only: bool,
    /// When it first called a command that writes, in nanoseconds since it began.
    dirty: Option<u64>,
    /// The data before that, if it came after the threshold.
    before: Option<busy::Before>,
    /// Nanoseconds after which the server answers others (`busy-reply-threshold`); none: it never does.
    threshold: Option<u64>,
    /// Nanoseconds after which the script is taken for an endless one.
    longest: u64,
    /// Instructions accounted for.
    work: u64,
    /// Nanoseconds since it began.
    began: u64,
    /// It may go on when memory is short.
    allow_oom: bool,
}

/// A script that takes longer than this, and than twice the threshold, is taken for an endless one: nanoseconds.
const LONGEST: u64 = 10_000_000_000;
/// However high the threshold is, a script that takes longer than this is an endless one.
const ENDLESS: u64 = 100_000_000_000;
/// What a server with an endless script and no threshold is busy for: a year.
const FOREVER: u64 = 365 * 86_400 * 1_000_000_000;

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

/// Why a script can't begin (`scriptPrepareForRun`).
fn refusal(cx: &Cx<'_>, request: &Request<'_>) -> Option<Cow<'static, str>> {
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
pub(crate) fn run(cx: &mut Cx<'_>, request: &Request<'_>) {
    cx.prevent_propagation();
    if let Some(text) = refusal(cx, request) {
        return cx.add_error(&text);
    }
    let (caller, now) = (cx.session(), cx.s.now.unix);
    let client_resp = caller.resp;
    let mut session = Session::new(SCRIPT, 0, caller.addr, caller.laddr, now);
    session.db = caller.db;
    session.authenticated = true;
    session.flags.set(Flags::SCRIPT);
    cx.s.sessions.script = Some(Box::new(session));
    let ms = cx.s.config.busy_reply_threshold;
    let threshold = (ms > 0).then(|| ms.saturating_mul(1_000_000).min(ENDLESS));
    let longest = LONGEST.max(threshold.unwrap_or(0) * 2).min(ENDLESS);
    let args = cx.args;
    let words: smallvec::SmallVec<[&[u8]; 8]> = args.iter().skip(request.keys.0).collect();
    let (keys, rest) = words.split_at(request.keys.1);
    let job = Job {
        sha: request.sha,
        code: Code::new(&request.body),
        function: request.function,
        keys,
        args: rest,
        client_resp,
        random: cx.s.scripting.random,
        json: cx.s.scripting.json[usize::from(request.function.is_some())],
        budget: longest / cost::INSTRUCTION,
    };
    let read_only = request.read_only || request.flags & flag::COMPAT == 0 && request.flags & flag::NO_WRITES != 0;
    let (began, began_at) = (cx.s.meter.total(), cx.s.now.mono + Span::from_ns(cx.s.meter.turn()));
    cx.s.meter.add(cost::SCRIPT);
    let allow_oom = request.flags & flag::COMPAT == 0 && request.flags & flag::ALLOW_OOM != 0;
    let mut host = Caller { cx, read_only, allow_oom, dirty: None, before: None, threshold, longest, work: 0, began };
    let run = lua::run(&job, &mut host);
    host.account(run.work);
    let (dirty, before) = (host.dirty, host.before.take());
    cx.s.scripting.random = run.random;
    cx.s.scripting.json[usize::from(request.function.is_some())] = run.json;
    cx.s.sessions.script = None;
    cx.s.exec.failed = false;
    let took = cx.s.meter.total() - began;
    let endless = matches!(run.ending, Ending::Overran);
    if endless || threshold.is_some_and(|threshold| took > threshold) {
        let facts = busy::Facts {
            began: began_at,
            took: (!endless).then_some(Span::from_ns(took)),
            dirty_after: dirty.map(Span::from_ns),
            before,
            line: run.line,
        };
        cx.s.meter.correct(took, threshold.unwrap_or(FOREVER));
        busy::begin(cx, request, run, facts);
    } else {
        finish(cx, request, run);
    }
    cx.prevent_propagation();
}

/// Answers the caller.
fn finish(cx: &mut Cx<'_>, request: &Request<'_>, run: Run) {
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
        Ending::Overran => unreachable!("an endless script is busy"),
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

impl Caller<'_, '_> {
    /// Charges the instructions executed since the last time.
    fn account(&mut self, work: u64) {
        let more = work - self.work;
        if more > 0 {
            self.work = work;
            self.cx.s.meter.add(more * cost::INSTRUCTION);
        }
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
        let s = &*self.cx.s;
        if s.repl.stale() && !s.config.replica_serve_stale_data && !command.is(command_flag::STALE) {
            return Some("Can not execute the command on a stale replica".to_owned());
        }
        if let Some(denied) = s.may_not(self.cx.fd, command, parts) {
            let why = match denied {
                Denied::Command => "can't run this command or subcommand",
                Denied::Key(_) => "can't access at least one of the keys mentioned in the command arguments",
                Denied::Channel(_) => "can't publish to the channel mentioned in the command",
            };
            return Some(format!("The user executing the script {why}"));
        }
        if self.read_only && command.is(command_flag::WRITE | command_flag::MAY_REPLICATE) {
            return Some("Write commands are not allowed from read-only scripts.".to_owned());
        }
        if !command.is(command_flag::WRITE) || self.dirty.is_some() {
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
        let refused = s.eviction.out_of_memory && !self.allow_oom && !s.exec.from_master;
        (refused && command.is(command_flag::DENYOOM))
            .then(|| "-OOM command not allowed when used memory > 'maxmemory'.".to_owned())
    }
}

impl Host for Caller<'_, '_> {
    fn call(&mut self, parts: &[&[u8]], resp: u8, targets: u8, work: u64) -> Answer {
        self.account(work);
        let elapsed = self.cx.s.meter.total() - self.began;
        if elapsed > self.longest {
            return Answer::Overrun;
        }
        let command = self.cx.s.config.renamed.lookup_request(parts);
        if let Some(text) = self.refusal(command, parts) {
            let s = &mut *self.cx.s;
            if let Some(command) = command
                && text.starts_with("The user")
                && let Some(denied) = s.may_not(self.cx.fd, command, parts)
            {
                let own = Args::from_parts(parts);
                s.log_refusal(self.cx.fd, (command, &own), self.cx.args, denied, Context::Script);
            }
            s.stats.count_error(text.strip_prefix('-').unwrap_or("ERR"));
            if let Some(command) = command {
                s.stats.commands[command.id].rejected += 1;
            }
            return Answer::Refused(text);
        }
        let command = command.expect("there is one, or it would have been refused");
        if command.is(command_flag::WRITE) && self.dirty.is_none() {
            self.dirty = Some(elapsed);
            if self.threshold.is_some_and(|threshold| elapsed > threshold) {
                self.before = Some(busy::Before::of(self.cx.s));
            }
        }
        let args = Args::from_parts(parts);
        let (s, out) = (&mut *self.cx.s, &mut *self.cx.out);
        s.sessions.at_mut(SCRIPT).resp = resp;
        s.exec.targets = targets;
        // Only TIME sees that time passes during a script.
        let now = s.now;
        if command.spec.name == "time" {
            s.now.unix.0 += s.meter.total() - self.began;
        }
        // As in a transaction, nothing waits.
        let in_exec = std::mem::replace(&mut s.exec.in_exec, true);
        s.call(SCRIPT, command, &args, out);
        s.exec.in_exec = in_exec;
        s.now = now;
        s.exec.targets = ALL_TARGETS;
        let session = s.sessions.at_mut(SCRIPT);
        Answer::Reply(std::mem::take(session.reply.tail()))
    }

    fn may_run(&mut self, parts: &[&[u8]]) -> Option<bool> {
        let command = self.cx.s.config.renamed.lookup_request(parts)?;
        Some(self.cx.s.may_not(self.cx.fd, command, parts).is_none())
    }
}
