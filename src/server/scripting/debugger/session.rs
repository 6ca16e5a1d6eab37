//! Sessions of the debugger in a server (`ldbStartSession`, `ldbEndSession`). One without SYNC belongs to a forked child: a copy of
//! the server as it was, which has the client's connection and of which nothing remains. One with SYNC keeps the server from
//! everything else, and its changes stay.

use bytes::{Bytes, BytesMut};

use super::{Debugger, Line, Unread};
use crate::id::Fd;
use crate::node::{Input, Outbox};
use crate::server::call::Cx;
use crate::server::session::Flags;
use crate::server::{Server, migrate, persistence};

/// What is kept of a session from command to command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk {
    /// The script has begun.
    pub begun: bool,
    /// What the client has typed.
    pub typed: Vec<Line>,
    /// How many messages it has been sent.
    pub known: usize,
    /// Nanoseconds after which a script that doesn't stop is stopped.
    pub patience: u64,
    /// What it is to be sent.
    pub out: BytesMut,
    /// The process has crashed.
    pub crashed: bool,
    /// It never comes back.
    pub hung: bool,
}

impl Talk {
    /// A run of the script is over; the flag: the script isn't.
    pub(crate) fn learn(&mut self, debugger: &mut Debugger, goes_on: bool) {
        if !goes_on {
            debugger.log("<endsession>");
            debugger.send();
        }
        self.begun = true;
        (self.out, self.known) = debugger.take();
        (self.crashed, self.hung) = (debugger.crashed, debugger.hung);
    }
}

/// Sessions of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Debugging {
    /// That of the script that is about to begin, or has just ended.
    pub talk: Option<Box<Talk>>,
    children: Vec<Child>,
    waiting: Option<Box<Waiting>>,
    /// Children so far.
    forked: u64,
}

/// A forked session.
#[derive(Clone, Debug)]
struct Child {
    fd: Fd,
    server: Box<Server>,
    /// Its number among all children.
    number: u64,
    unread: Unread,
    /// What the socket still takes.
    room: usize,
    unsent: BytesMut,
    over: bool,
}

/// The session that the whole server waits for.
#[derive(Clone, Debug)]
struct Waiting {
    fd: Fd,
    unread: Unread,
    unsent: BytesMut,
    deferred: Vec<Input>,
}

/// How a debugged script has gone on.
pub(crate) struct Went {
    /// What its client is to be told.
    pub said: BytesMut,
    /// It crashed the process.
    pub crashed: bool,
    /// It is over.
    pub ended: Option<Box<crate::server::scripting::busy::Busy>>,
}

const NOTHING_LEFT: &[u8] = b"*1\r\n+<endsession>\r\n";

impl Debugging {
    /// A child has this connection.
    fn child(&self, fd: Fd) -> Option<usize> {
        self.children.iter().position(|child| child.fd == fd)
    }
}

impl Server {
    /// The connection was handed over to a child.
    #[must_use]
    pub(crate) fn is_handed_over(&self, fd: Fd) -> bool {
        self.scripting.debugging.as_ref().is_some_and(|debugging| debugging.child(fd).is_some())
    }

    /// Children that debug scripts are there (`ldbPendingChildren`).
    #[must_use]
    pub(crate) fn has_debugging_children(&self) -> bool {
        self.scripting.debugging.as_ref().is_some_and(|debugging| !debugging.children.is_empty())
    }

    /// They are killed (`ldbKillForkedSessions`).
    pub(crate) fn kill_debugging_children(&mut self, out: &mut Outbox) {
        let children = self.scripting.debugging.as_mut().map(|debugging| std::mem::take(&mut debugging.children));
        for child in children.into_iter().flatten() {
            let pid = persistence::pid(self) + child.number;
            self.warn(out, || format!("Killing debugging session {pid}"));
        }
    }

    fn debugging(&mut self) -> &mut Debugging {
        self.scripting.debugging.get_or_insert_default()
    }
}

/// EVAL of a client that debugs; `generic` is what EVAL does else.
pub(crate) fn eval(cx: &mut Cx<'_>, generic: impl FnOnce(&mut Cx<'_>)) {
    if cx.session().flags.has(Flags::DEBUG_SYNC) {
        eval_here(cx, generic);
    } else {
        fork(cx, generic);
    }
}

/// Begins; what remains of the talk comes back if it is over at once.
fn begin(cx: &mut Cx<'_>, generic: impl FnOnce(&mut Cx<'_>)) -> (Bytes, bool) {
    let ms = match cx.s.config.busy_reply_threshold {
        0 => 5_000,
        ms => ms,
    };
    let patience = ms.saturating_mul(1_000_000);
    cx.s.debugging().talk = Some(Box::new(Talk { patience, ..Talk::default() }));
    generic(cx);
    match cx.s.debugging().talk.take() {
        Some(talk) if !talk.begun => (Bytes::from_static(NOTHING_LEFT), true),
        Some(talk) => (talk.out.freeze(), true),
        None => (cx.s.said_by_debugged(), false),
    }
}

fn eval_here(cx: &mut Cx<'_>, generic: impl FnOnce(&mut Cx<'_>)) {
    cx.s.warn(cx.out, || "Redis synchronous debugging eval session started".to_owned());
    let (said, over) = begin(cx, generic);
    let fd = cx.fd;
    if over {
        return close_after(cx.s, fd, &said, cx.out);
    }
    (cx.s.plain, cx.s.swift) = (false, false);
    let mut waiting =
        Waiting { fd, unread: Unread::default(), unsent: BytesMut::from(&said[..]), deferred: Vec::new() };
    waiting.send(cx.s, cx.out);
    cx.s.debugging().waiting = Some(Box::new(waiting));
}

/// The last messages go before what the client is answered, and then the link is closed.
fn close_after(s: &mut Server, fd: Fd, said: &[u8], out: &mut Outbox) {
    s.warn(out, || "Redis synchronous debugging eval session ended".to_owned());
    let Some(session) = s.sessions.get_mut(fd) else { return };
    let answers = session.reply.take(usize::MAX);
    session.reply.tail().extend_from_slice(said);
    session.reply.tail().extend_from_slice(&answers);
    session.flags.clear(Flags::DEBUG.with(Flags::DEBUG_SYNC));
    session.flags.set(Flags::CLOSE_AFTER_REPLY);
    s.sessions.want_write(fd);
}

impl Waiting {
    fn send(&mut self, s: &mut Server, out: &mut Outbox) {
        if let Some(session) = s.sessions.get_mut(self.fd) {
            send(self.fd, &mut session.room, &mut self.unsent, out);
        }
    }
}

/// Sends what fits.
fn send(fd: Fd, room: &mut usize, unsent: &mut BytesMut, out: &mut Outbox) {
    let len = unsent.len().min(*room);
    *room -= len;
    out.send(fd, unsent.split_to(len).freeze());
    if !unsent.is_empty() {
        out.await_writable(fd);
    }
}

fn fork(cx: &mut Cx<'_>, generic: impl FnOnce(&mut Cx<'_>)) {
    persistence::fork(cx.s, cx.out);
    let fd = cx.fd;
    let mut server = Box::new(cx.s.clone());
    server.scripting.debugging = None;
    let number = cx.s.debugging().forked + 1;
    let room = cx.session().room;
    let mut child = Child { fd, server, number, unread: Unread::default(), room, unsent: BytesMut::new(), over: false };
    let (command, args) = (cx.command, cx.args);
    child.work(cx.out, |server, out| {
        server.warn(out, || "Redis forked for debugging eval".to_owned());
        let (said, over) = begin(&mut Cx { s: server, out, fd, command, args }, generic);
        (said, over, false)
    });
    let session = cx.session_mut();
    session.flags.clear(Flags::DEBUG.with(Flags::DEBUG_SYNC));
    session.flags.set(Flags::CLOSE_ASAP);
    session.reply.truncate(0);
    cx.s.closing.push(fd);
    let debugging = cx.s.debugging();
    debugging.forked = number;
    debugging.children.push(child);
    settle(cx.s, fd, cx.out);
}

/// Sends what a child has said; one that has said all is gone.
fn settle(s: &mut Server, fd: Fd, out: &mut Outbox) {
    let debugging = s.debugging();
    let Some(at) = debugging.child(fd) else { return };
    let child = &mut debugging.children[at];
    send(fd, &mut child.room, &mut child.unsent, out);
    // While the connection is still the parent's too it stays open.
    if child.over && child.unsent.is_empty() && s.sessions.get(fd).is_none() {
        s.debugging().children.remove(at);
        out.close(fd);
    }
}

impl Child {
    /// The child does something. What comes of it: messages, whether it is over, and whether it has crashed.
    fn work(&mut self, out: &mut Outbox, work: impl FnOnce(&mut Server, &mut Outbox) -> (Bytes, bool, bool)) {
        let log = out.log.is_some().then(Vec::new);
        let mut own = Outbox::default();
        (own.fds, own.node, own.log) = (out.fds.clone(), out.node, log);
        let (said, over, crashed) = work(&mut self.server, &mut own);
        self.unsent.extend_from_slice(&said);
        self.over = over;
        if over && !crashed {
            if let Some(session) = self.server.sessions.get_mut(self.fd) {
                self.unsent.extend_from_slice(&session.reply.take(usize::MAX));
            }
            self.server.warn(&mut own, || "Lua debugging session child exiting".to_owned());
        }
        if let (Some(lines), Some(own)) = (&mut out.log, own.log) {
            let (parent, pid) = (persistence::pid(&self.server), persistence::pid(&self.server) + self.number);
            // The child's lines have its own number, and its own letter.
            lines.extend(own.into_iter().map(|(node, line)| {
                let text = line.strip_prefix(&parent.to_string()).and_then(|rest| rest.get(2..)).unwrap_or(&line);
                (node, format!("{pid}:C{text}"))
            }));
        }
    }

    fn read(&mut self, out: &mut Outbox) {
        while !self.over
            && let Some(line) = self.unread.next()
        {
            self.work(out, |server, out| {
                let fd = server.debugged_client();
                let went = server.go_on_debugging(line, out);
                if let Some(ended) = went.ended {
                    server.answer_debugged(fd, *ended);
                    return (went.said.freeze(), true, false);
                }
                (went.said.freeze(), went.crashed, went.crashed)
            });
        }
    }
}

/// An input while scripts are debugged; what isn't about these comes back.
pub(crate) fn intercept(s: &mut Server, input: Input, out: &mut Outbox) -> Option<Input> {
    if let Some(fd) = migrate::fd_of(&input)
        && let Some(at) = s.debugging().child(fd)
        && s.sessions.get(fd).is_none()
    {
        for_child(s, at, input, out);
        return None;
    }
    let Some(mut waiting) = s.debugging().waiting.take() else {
        if matches!(input, Input::LoopEnd) {
            settle_all(s, out);
        }
        return Some(input);
    };
    match input {
        Input::Bytes { fd, data } if fd == waiting.fd => {
            waiting.unread.feed(&data);
            read(s, waiting, out);
            return None;
        }
        Input::Closed { fd, .. } if fd == waiting.fd => {
            waiting.unsent.clear();
            go_on(s, waiting, Line::Gone, out);
            return Some(input).filter(|_| !s.shutdown.exited);
        }
        Input::Writable { fd, room } if fd == waiting.fd => {
            if let Some(session) = s.sessions.get_mut(fd) {
                session.room = room;
            }
            waiting.send(s, out);
        }
        Input::LoopEnd => {
            out.busy(s.meter.take());
            s.meter.begin_turn();
            s.wake = None;
        }
        Input::Wake => {}
        other @ (Input::Accepted { .. }
        | Input::Connected { .. }
        | Input::Refused { .. }
        | Input::Bytes { .. }
        | Input::Closed { .. }
        | Input::Writable { .. }
        | Input::DiskDone { .. }
        | Input::JobDone { .. }
        | Input::Files(_)
        | Input::Signal(_)) => migrate::defer(s, &mut waiting.deferred, other, out),
    }
    s.debugging().waiting = Some(waiting);
    None
}

/// Children whose parents have let go of their connections since.
fn settle_all(s: &mut Server, out: &mut Outbox) {
    let over: Vec<Fd> = s.debugging().children.iter().filter(|child| child.over).map(|child| child.fd).collect();
    for fd in over {
        settle(s, fd, out);
    }
}

fn for_child(s: &mut Server, at: usize, input: Input, out: &mut Outbox) {
    let now = s.now;
    let child = &mut s.debugging().children[at];
    let fd = child.fd;
    child.server.now = now;
    match input {
        Input::Bytes { data, .. } => {
            child.unread.feed(&data);
            child.read(out);
        }
        Input::Writable { room, .. } => child.room = room,
        // Nobody sees what becomes of it.
        Input::Closed { .. } => drop(s.debugging().children.remove(at)),
        Input::Accepted { .. }
        | Input::Connected { .. }
        | Input::Refused { .. }
        | Input::Wake
        | Input::DiskDone { .. }
        | Input::JobDone { .. }
        | Input::Files(_)
        | Input::LoopEnd
        | Input::Signal(_) => {}
    }
    settle(s, fd, out);
}

/// Reads what the client of the session has typed.
fn read(s: &mut Server, mut waiting: Box<Waiting>, out: &mut Outbox) {
    match waiting.unread.next() {
        Some(line) => go_on(s, waiting, line, out),
        None => s.debugging().waiting = Some(waiting),
    }
}

fn go_on(s: &mut Server, mut waiting: Box<Waiting>, line: Line, out: &mut Outbox) {
    let went = s.go_on_debugging(line, out);
    waiting.unsent.extend_from_slice(&went.said);
    if went.crashed {
        waiting.send(s, out);
        s.die("Redis 7.0.15 crashed by signal: 11, si_code: 1", 139, out);
        return;
    }
    let Some(ended) = went.ended else {
        waiting.send(s, out);
        return read(s, waiting, out);
    };
    let Waiting { fd, unsent, deferred, .. } = *waiting;
    s.end_busy(*ended, out);
    close_after(s, fd, &unsent, out);
    migrate::release(s, deferred, out);
}

#[cfg(all(test, feature = "lua"))]
mod tests {
    use crate::server::rig::Rig;

    const SCRIPT: &str = "EVAL local\tn=redis.call('INCR','n')\nreturn\tn+1 0";

    /// The lines of the log since the last call, from the level's mark on.
    fn log(rig: &mut Rig) -> Vec<String> {
        let lines = rig.out.log.replace(Vec::new()).unwrap_or_default();
        lines.into_iter().map(|(_, line)| line.splitn(6, ' ').last().expect("a text").to_owned()).collect()
    }

    #[test]
    fn copies_of_a_server_go_on_with_their_sessions() {
        for (mode, after) in [("YES", "$-1\r\n"), ("SYNC", "$1\r\n1\r\n")] {
            let mut rig = Rig::with("", 1_000_000, 0);
            assert_eq!(rig.ask("a", &format!("SCRIPT DEBUG {mode}")), "+OK\r\n");
            assert!(rig.ask("a", SCRIPT).starts_with("*2\r\n+* Stopped at 1"));
            let mut other = rig.clone();
            for rig in [&mut rig, &mut other] {
                crate::server::scripting::forget_interpreters();
                let step = rig.ask("a", "s");
                assert!(step.starts_with("*4\r\n+<redis> INCR n\r\n+<reply> 1\r\n+* Stopped at 2"), "{step}");
                assert_eq!(rig.ask("a", "p"), "*1\r\n+<value> n = 1\r\n");
                assert_eq!(rig.ask("a", "c"), "*1\r\n+<endsession>\r\n");
                assert_eq!(rig.take_reply("a"), b":2\r\n");
                assert!(rig.closed.contains(&rig.fds["a"]), "{mode}");
                assert_eq!(rig.ask("b", "GET n"), after, "{mode}");
            }
        }
    }

    #[test]
    fn sessions_are_logged_and_killed() {
        let mut rig = Rig::with("", 1_000_000, 0);
        rig.out.log = Some(Vec::new());
        rig.ask("a", "SCRIPT DEBUG SYNC");
        rig.ask("a", SCRIPT);
        rig.ask("a", "c");
        assert_eq!(
            log(&mut rig),
            ["# Redis synchronous debugging eval session started", "# Redis synchronous debugging eval session ended"]
        );
        rig.ask("b", "SCRIPT DEBUG YES");
        rig.ask("b", SCRIPT);
        rig.ask("b", "c");
        rig.ask("c", "SCRIPT DEBUG YES");
        rig.ask("c", SCRIPT);
        let lines = rig.out.log.clone().unwrap_or_default();
        assert!(lines.iter().all(|(_, line)| line.contains(":C ")), "{lines:?}");
        assert_eq!(
            log(&mut rig),
            [
                "# Redis forked for debugging eval",
                "# Lua debugging session child exiting",
                "# Redis forked for debugging eval"
            ]
        );
        rig.ask("d", "SHUTDOWN NOSAVE");
        assert!(log(&mut rig).iter().any(|line| line.starts_with("# Killing debugging session ")));
    }

    #[test]
    fn a_server_crashes_as_a_real_one_does() {
        let mut rig = Rig::with("", 1_000_000, 0);
        rig.ask("a", "SCRIPT DEBUG SYNC");
        rig.ask("a", SCRIPT);
        assert!(rig.ask("a", "e error()").is_empty());
        assert!(rig.server.shutdown.exited);
    }

    #[test]
    fn code_of_the_client_may_never_end() {
        let mut rig = Rig::with("", 1_000_000, 0);
        rig.ask("a", "SCRIPT DEBUG YES");
        rig.ask("a", SCRIPT);
        assert!(rig.ask("a", "e while true do end").is_empty());
        assert!(rig.ask("a", "p").is_empty(), "it hangs");
        assert_eq!(rig.ask("b", "PING"), "+PONG\r\n");
    }
}
