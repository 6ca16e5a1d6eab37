//! A script that works for longer than `busy-reply-threshold`: the server is busy until then, and answers -BUSY from
//! then on until the script ends or is killed (`scriptInterrupt`, `scriptKill`).
//!
//! The interpreter can't be stopped and cloned in its midst, so it has run the script to its end already, or as far as
//! it ever will. What came of it is kept here until the time has passed that it takes: nobody can see the dataset
//! meanwhile. What it wrote after the threshold can still be taken back if it is killed before it did.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::{Ending, Run, host};
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::{Args, encode};
use crate::server::Server;
use crate::server::call::{Cx, Pending};
use crate::server::commands::Command;
use crate::server::keyspace::Keyspace;
use crate::server::session::Flags;
use crate::time::{Instant, Span};

/// Stands for a caller that has left.
const GONE: Fd = Fd(u32::MAX - 1);

/// The answer while EVAL runs.
const EVAL: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
/// The answer while FCALL runs.
const FUNCTION: &str = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

/// The data as it was before the first write, when that came after the threshold.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    keyspace: Keyspace,
    /// How many commands were waiting to be propagated.
    pending: (usize, usize),
}

/// What is known of a script at its end.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// When it began.
    pub began: Instant,
    /// How long it took; `None`: it never ends.
    pub took: Option<Span>,
    /// How far it had come when it called the first command that writes.
    pub dirty_after: Option<Span>,
    /// The data before that, if it came late.
    pub before: Option<Before>,
    /// The line at which it was seen last.
    pub line: u64,
}

/// A script that runs in simulated time.
#[derive(Clone, Debug)]
pub(crate) struct Busy {
    /// Who called it: its descriptor, and its number, for another may have the descriptor by now.
    fd: Fd,
    id: u64,
    /// How errors call it.
    name: String,
    /// It is no function.
    is_eval: bool,
    /// What was called.
    words: Args,
    /// A master sent it.
    obeyed: bool,
    facts: Facts,
    /// SCRIPT KILL was called.
    killed: bool,
    outcome: Outcome,
    /// What it will propagate, and note in the trace.
    pending: Pending,
    /// Commands of the transaction that are still to be executed.
    rest: Vec<(&'static Command, Args)>,
    /// It is part of a transaction.
    in_exec: bool,
}

/// What the caller will be told.
#[derive(Clone, Debug)]
struct Outcome {
    reply: BytesMut,
    errors: Vec<String>,
    failed: Option<(String, bool)>,
}

impl Before {
    /// The data of now.
    #[must_use]
    pub(crate) fn of(s: &Server) -> Before {
        Before { keyspace: s.keyspace.clone(), pending: s.exec.count_pending() }
    }
}

/// A script goes on for longer than its one turn.
pub(crate) fn begin(cx: &mut Cx<'_>, request: &host::Request<'_>, run: Run, facts: Facts) {
    let failed = match run.ending {
        Ending::Returned | Ending::Overran => None,
        Ending::Failed(text, at, counted) => Some((host::placed(&text, at, &request.name), counted)),
    };
    let session = cx.session_mut();
    session.flags.set(Flags::BUSY_SCRIPT);
    let (id, obeyed) = (session.id, session.flags.has(Flags::MASTER));
    cx.s.scripting.busy = Some(Box::new(Busy {
        fd: cx.fd,
        id,
        name: request.name.clone(),
        is_eval: request.function.is_none(),
        words: cx.args.clone(),
        obeyed,
        facts,
        killed: false,
        outcome: Outcome { reply: run.reply, errors: run.errors, failed },
        pending: Pending::default(),
        rest: Vec::new(),
        in_exec: cx.s.exec.in_exec,
    }));
}

impl Server {
    /// A script runs, and others are answered.
    #[inline]
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        self.scripting.is_busy()
    }

    /// What those are told.
    #[must_use]
    pub(crate) fn busy_error(&self) -> Option<&'static str> {
        self.scripting.busy.as_ref().map(|busy| if busy.is_eval { EVAL } else { FUNCTION })
    }

    /// Keeps for its end what the script has to propagate, and what is left of its transaction.
    pub(crate) fn set_busy_aside(&mut self, rest: Vec<(&'static Command, Args)>) {
        let pending = self.exec.take_pending();
        let busy = self.scripting.busy.as_mut().expect("the caller has looked");
        busy.pending.append(pending);
        busy.rest.extend(rest);
    }

    /// When the running script ends.
    #[must_use]
    pub(crate) fn busy_until(&self) -> Option<Instant> {
        let busy = self.scripting.busy.as_ref()?;
        if busy.killed { Some(self.now.mono) } else { busy.facts.took.map(|took| busy.facts.began + took) }
    }

    /// Ends the running script if it is time.
    pub(crate) fn end_busy_if_due(&mut self, out: &mut Outbox) {
        if self.busy_until().is_some_and(|until| until <= self.now.mono)
            && let Some(busy) = self.scripting.busy.take()
        {
            self.end_busy(*busy, out);
        }
    }

    fn end_busy(&mut self, mut busy: Busy, out: &mut Outbox) {
        if busy.killed {
            if let Some(before) = busy.facts.before.take() {
                self.keyspace = before.keyspace;
                busy.pending.truncate(before.pending);
            }
            let chunk = if busy.is_eval { "@user_script" } else { "@user_function" };
            let text = format!(
                "ERR Script killed by user with SCRIPT KILL... script: {}, on {chunk}:{}.",
                busy.name, busy.facts.line
            );
            busy.outcome = Outcome { reply: BytesMut::new(), errors: Vec::new(), failed: Some((text, false)) };
        }
        let is_here = self.sessions.get(busy.fd).is_some_and(|session| session.id == busy.id);
        let fd = if is_here { busy.fd } else { GONE };
        self.exec.put_pending(std::mem::take(&mut busy.pending));
        self.answer_busy(fd, busy.outcome);
        if busy.in_exec && !self.go_on_with_exec(fd, busy.rest, out) {
            return;
        }
        self.cron.stall(busy.facts.began);
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

    fn answer_busy(&mut self, fd: Fd, outcome: Outcome) {
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

    /// Executes what the transaction had behind the script. False if another script in it goes on for long.
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
    let now = cx.s.now.mono;
    let Some(busy) = cx.s.scripting.busy.as_mut() else {
        return cx.add_error("NOTBUSY No scripts in execution right now.");
    };
    let refusal = if busy.obeyed {
        Some(
            "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.",
        )
    } else if busy.facts.dirty_after.is_some_and(|after| busy.facts.began + after <= now) {
        Some(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        )
    } else {
        match (is_eval, busy.is_eval) {
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
    if busy.is_eval {
        return Err(EVAL);
    }
    let words = (0..busy.words.len()).map(|i| busy.words.bytes(i)).collect();
    let ms = i64::try_from(cx.s.now.mono.since(busy.facts.began).ms()).unwrap_or(i64::MAX);
    Ok(Some((busy.name.clone(), words, ms)))
}
