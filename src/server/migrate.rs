//! MIGRATE: keys go to another server while everything else waits (`migrateCommand`).
//!
//! A real server's main thread blocks on the other's socket. Here what arrives meanwhile is kept and handled when the
//! migration is over, and ticks that would have come are missed as after any stall.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::call::Cx;
use super::commands::Command;
use super::notify::Classes;
use super::reply::encode_command;
use super::session::Flags;
use super::{Server, call, persistence, replication};
use crate::id::{Addr, Fd};
use crate::node::{Input, Node as _, Outbox, RefusedWhy, SOCKET_ROOM};
use crate::resp::{Args, ReplyReader, Value, encode, lossless};
use crate::time::{Instant, NS_PER_MS, Span};

/// Connections that are kept for the next migration, and for how many idle seconds (`MIGRATE_SOCKET_CACHE_*`).
const CACHED_MAX: usize = 64;
const CACHED_SECS: u64 = 10;

/// What MIGRATE asks for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub host: String,
    pub port: String,
    /// The target's database.
    pub db: i64,
    pub timeout: Span,
    pub copy: bool,
    pub replace: bool,
    /// What follows AUTH; empty: nobody logs in.
    pub login: Vec<Bytes>,
    pub keys: Vec<Bytes>,
}

/// A connection to a target that is used again.
#[derive(Clone, Debug)]
struct Cached {
    fd: Fd,
    /// The database that was selected; `None`: nobody knows.
    db: Option<i64>,
    /// When it was last used, in wall-clock seconds.
    used: u64,
    /// What the socket takes.
    room: usize,
}

/// Why a migration ends before all is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Connect,
    /// Nobody listens. A real server notices when it writes.
    Refused,
    Lost,
    Timeout,
}

/// The migration that everything waits for.
#[derive(Clone, Debug)]
struct Running {
    order: Order,
    /// Whose command it is, and the database that it is about.
    session: Fd,
    source: u32,
    command: &'static Command,
    args: Args,
    name: String,
    began: Instant,
    /// An attempt to connect is under way.
    connecting: Option<Fd>,
    unsent: Bytes,
    reader: ReplyReader,
    /// Keys of the request: those that had not expired.
    keys: Vec<Bytes>,
    select: bool,
    answers: Vec<Value>,
    deadline: Instant,
    may_retry: bool,
    /// A transaction or a script has called it.
    nested: bool,
    deferred: Vec<Input>,
}

impl Running {
    /// Answers before those for keys: to AUTH and SELECT.
    fn prelude(&self) -> usize {
        usize::from(!self.order.login.is_empty()) + usize::from(self.select)
    }
}

/// Migrations of this server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Migrations {
    running: Option<Box<Running>>,
    cached: BTreeMap<String, Cached>,
    /// Descriptors that are closed, though what came over them is yet to be handled.
    gone: Vec<Fd>,
}

impl Migrations {
    /// Everything waits.
    #[must_use]
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Until when the target is waited for.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.deadline)
    }

    /// `migrate_cached_sockets`
    #[must_use]
    pub(crate) fn cached(&self) -> usize {
        self.cached.len()
    }

    /// The descriptor is closed already: nothing can be sent over it.
    #[must_use]
    pub(crate) fn is_gone(&self, fd: Fd) -> bool {
        self.gone.contains(&fd)
    }

    /// The next idle connection is closed in this wall-clock second.
    #[must_use]
    pub(crate) fn cron_second(&self) -> Option<u64> {
        self.cached.values().map(|cached| cached.used + CACHED_SECS + 1).min()
    }
}

/// Begins: the session is answered when it is over.
pub(crate) fn begin(cx: &mut Cx<'_>, order: Order) {
    let running = Running {
        name: format!("{}:{}", order.host, order.port),
        order,
        session: cx.fd,
        source: cx.db(),
        command: cx.command,
        args: cx.args.clone(),
        began: cx.s.now.mono,
        connecting: None,
        unsent: Bytes::new(),
        reader: ReplyReader::default(),
        keys: Vec::new(),
        select: false,
        answers: Vec::new(),
        deadline: cx.s.now.mono,
        may_retry: true,
        nested: cx.s.exec.is_nested(),
        deferred: Vec::new(),
    };
    let mut later = Span::ZERO;
    if running.nested {
        // What came before it in the transaction or the script has taken its time.
        cx.out.busy(cx.s.meter.take());
        later = Span::from_ns(cx.s.meter.turn());
    } else {
        cx.session_mut().flags.set(Flags::BLOCKED);
    }
    attempt(cx.s, running, later, cx.out);
}

/// `migrateGetSocket`; `later`: how long the process will have been busy by then.
fn attempt(s: &mut Server, mut running: Running, later: Span, out: &mut Outbox) {
    running.deadline = s.now.mono + later + running.order.timeout;
    running.answers.clear();
    running.reader = ReplyReader::default();
    if s.migrate.cached.contains_key(&running.name) {
        return ask(s, running, out);
    }
    if s.migrate.cached.len() == CACHED_MAX {
        let at = usize::try_from(s.rng.next_u64() % CACHED_MAX as u64).unwrap_or(0);
        let name = s.migrate.cached.keys().nth(at).cloned().expect("so many are there");
        forget(s, &name, out);
    }
    let to = replication::resolve(s, &running.order.host).zip(running.order.port.parse().ok());
    let Some((ip, port)) = to else { return conclude(s, running, Some(Failure::Connect), out) };
    running.connecting = Some(out.connect(Addr::new(ip, port)));
    s.migrate.running = Some(Box::new(running));
}

/// Closes a cached connection.
fn forget(s: &mut Server, name: &str, out: &mut Outbox) {
    if let Some(cached) = s.migrate.cached.remove(name) {
        out.close(cached.fd);
    }
}

/// The part of a tick that closes connections that nobody used for a while (`migrateCloseTimedoutSockets`).
pub(crate) fn cron(s: &mut Server, out: &mut Outbox) {
    let now = s.now.unix.secs();
    let idle = s.migrate.cached.iter().filter(|(_, cached)| now.saturating_sub(cached.used) > CACHED_SECS);
    let idle: Vec<String> = idle.map(|(name, _)| name.clone()).collect();
    for name in idle {
        forget(s, &name, out);
    }
}

/// A connection that isn't a session's is gone.
pub(crate) fn on_closed(s: &mut Server, fd: Fd) {
    s.migrate.cached.retain(|_, cached| cached.fd != fd);
}

/// Sends AUTH, SELECT and a RESTORE for each key.
fn ask(s: &mut Server, mut running: Running, out: &mut Outbox) {
    let order = &running.order;
    let cached = s.migrate.cached.get_mut(&running.name).expect("connected before");
    cached.used = s.now.unix.secs();
    running.select = cached.db != Some(order.db);
    let mut request = BytesMut::new();
    if !order.login.is_empty() {
        let words: Vec<&[u8]> = std::iter::once(&b"AUTH"[..]).chain(order.login.iter().map(|word| &word[..])).collect();
        encode::command(&mut request, &words);
    }
    if running.select {
        encode::command(&mut request, &[b"SELECT", order.db.to_string().as_bytes()]);
    }
    running.keys.clear();
    for key in &order.keys {
        let db = s.keyspace.db(running.source);
        let Some(at) = db.find(key) else { continue };
        let (entry, expire) = (db.entry(at), db.expiry(at));
        let ttl = if expire < 0 { 0 } else { expire - s.ms() };
        if ttl < 0 {
            continue;
        }
        let ttl = if expire < 0 { 0 } else { ttl.max(1) }.to_string();
        let payload = persistence::dump(s, &entry.value);
        let mut words: Vec<&[u8]> = vec![b"RESTORE", key, ttl.as_bytes(), &payload];
        if order.replace {
            words.push(b"REPLACE");
        }
        encode::command(&mut request, &words);
        running.keys.push(key.clone());
    }
    running.unsent = request.freeze();
    send(s, &mut running, out);
    go_on(s, running, out);
}

/// Sends what the socket takes.
fn send(s: &mut Server, running: &mut Running, out: &mut Outbox) {
    let Some(cached) = s.migrate.cached.get_mut(&running.name) else { return };
    let part = running.unsent.split_to(running.unsent.len().min(cached.room));
    if !part.is_empty() {
        cached.room -= part.len();
        out.send(cached.fd, part);
    }
    if !running.unsent.is_empty() {
        out.await_writable(cached.fd);
    }
}

/// Waits on, or concludes when everything is answered.
fn go_on(s: &mut Server, running: Running, out: &mut Outbox) {
    if running.unsent.is_empty() && running.answers.len() == running.prelude() + running.keys.len() {
        conclude(s, running, None, out);
    } else {
        s.migrate.running = Some(Box::new(running));
    }
}

/// Something arrives while everything waits.
pub(crate) fn while_running(s: &mut Server, input: Input, out: &mut Outbox) {
    let mut running = *s.migrate.running.take().expect("the caller has looked");
    let own = s.migrate.cached.get(&running.name).map(|cached| cached.fd);
    match input {
        Input::Connected { fd, .. } if running.connecting == Some(fd) => {
            running.connecting = None;
            running.deadline = s.now.mono + running.order.timeout;
            let cached = Cached { fd, db: None, used: s.now.unix.secs(), room: SOCKET_ROOM };
            s.migrate.cached.insert(running.name.clone(), cached);
            ask(s, running, out);
        }
        Input::Refused { fd, why } if running.connecting == Some(fd) => {
            running.connecting = None;
            let failure = if why == RefusedWhy::TimedOut { Failure::Connect } else { Failure::Refused };
            conclude(s, running, Some(failure), out);
        }
        Input::Bytes { fd, data } if own == Some(fd) => {
            running.deadline = s.now.mono + running.order.timeout;
            running.reader.feed(data);
            loop {
                match running.reader.read() {
                    Ok(Some(answer)) => running.answers.push(answer),
                    Ok(None) => return go_on(s, running, out),
                    Err(_) => return conclude(s, running, Some(Failure::Lost), out),
                }
            }
        }
        Input::Writable { fd, room } if own == Some(fd) => {
            s.migrate.cached.get_mut(&running.name).expect("looked up before").room = room;
            send(s, &mut running, out);
            go_on(s, running, out);
        }
        Input::Closed { fd, .. } if own == Some(fd) => {
            on_closed(s, fd);
            conclude(s, running, Some(Failure::Lost), out);
        }
        Input::Wake if s.now.mono >= running.deadline => {
            let failure = if running.connecting.is_some() { Failure::Connect } else { Failure::Timeout };
            conclude(s, running, Some(failure), out);
        }
        Input::Wake | Input::LoopEnd => s.migrate.running = Some(Box::new(running)),
        other @ (Input::Accepted { .. }
        | Input::Connected { .. }
        | Input::Refused { .. }
        | Input::Bytes { .. }
        | Input::Closed { .. }
        | Input::Writable { .. }
        | Input::DiskDone { .. }
        | Input::JobDone { .. }
        | Input::Files(_)
        | Input::Signal(_)) => {
            defer(s, &mut running.deferred, other, out);
            s.migrate.running = Some(Box::new(running));
        }
    }
}

/// What an input is about, if it is a connection.
pub(crate) fn fd_of(input: &Input) -> Option<Fd> {
    match input {
        Input::Accepted { fd, .. }
        | Input::Connected { fd, .. }
        | Input::Refused { fd, .. }
        | Input::Bytes { fd, .. }
        | Input::Closed { fd, .. }
        | Input::Writable { fd, .. } => Some(*fd),
        Input::Wake
        | Input::DiskDone { .. }
        | Input::JobDone { .. }
        | Input::Files(_)
        | Input::Signal(_)
        | Input::LoopEnd => None,
    }
}

/// Keeps an input for later. A client that leaves has its last requests executed all the same, as a real server finds them
/// in its socket; other connections that are gone are so at once.
pub(crate) fn defer(s: &mut Server, deferred: &mut Vec<Input>, input: Input, out: &mut Outbox) {
    let Input::Closed { fd, .. } = input else { return deferred.push(input) };
    let special = Flags::MASTER.with(Flags::REPLICA);
    let is_client = match s.sessions.get(fd) {
        Some(session) => !session.flags.has(special),
        None => deferred.iter().any(|other| matches!(other, Input::Accepted { fd: new, .. } if *new == fd)),
    };
    let calls = s.sessions.get(fd).is_some_and(|session| session.flags.has(Flags::BUSY_SCRIPT));
    if is_client && (calls || deferred.iter().any(|other| fd_of(other) == Some(fd))) {
        s.migrate.gone.push(fd);
        deferred.push(input);
    } else {
        deferred.retain(|other| fd_of(other) != Some(fd));
        s.handle_rarer(input, out);
    }
}

/// It is over: keys that the target has are deleted, the session is answered, and what has waited goes on.
fn conclude(s: &mut Server, mut running: Running, failure: Option<Failure>, out: &mut Outbox) {
    let answered = running.answers.len().saturating_sub(running.prelude());
    let refusals = running.answers.iter().filter_map(Value::error);
    let refusal = refusals.map(lossless).next().filter(|_| answered > 0);
    if failure.is_some() {
        if let Some(fd) = running.connecting.take() {
            out.close(fd);
        }
        let name = running.name.clone();
        forget(s, &name, out);
        let again = matches!(failure, Some(Failure::Lost | Failure::Refused));
        if again && answered == 0 && running.may_retry {
            running.may_retry = false;
            return attempt(s, running, Span::ZERO, out);
        }
    } else if let Some(cached) = s.migrate.cached.get_mut(&running.name) {
        cached.db = refusal.is_none().then_some(running.order.db);
    }
    let unwritten = failure == Some(Failure::Refused) || !running.unsent.is_empty();
    let text = match (refusal, failure) {
        (Some(refusal), _) => Some(format!("ERR Target instance replied with error: {refusal}")),
        (None, Some(Failure::Connect)) => Some("IOERR error or timeout connecting to the client".to_owned()),
        (None, Some(_)) if unwritten => Some("IOERR error or timeout writing to target instance".to_owned()),
        (None, Some(_)) => Some("IOERR error or timeout reading to target instance".to_owned()),
        (None, None) => None,
    };
    let waiting = s.take_waiting();
    if running.nested && waiting.is_none() {
        // It has failed before anything had to wait: the transaction or the script goes on at once.
        return answer(s, &running, text.as_deref());
    }
    delete_migrated(s, &running, waiting.as_ref().map_or(call::ALL_TARGETS, |busy| busy.targets()));
    s.cron.stall(running.began);
    answer(s, &running, text.as_deref());
    s.long_command_over(running.session, running.command, &running.args, s.now.mono.since(running.began), out);
    if let Some(waiting) = waiting {
        s.go_on_after_migrate(waiting, text.as_deref(), out);
    } else {
        s.propagate_pending(out);
        s.process_input(running.session, out);
    }
    release(s, running.deferred, out);
}

/// What has waited goes on.
pub(crate) fn release(s: &mut Server, deferred: Vec<Input>, out: &mut Outbox) {
    for input in deferred {
        if let Input::Closed { fd, .. } = &input {
            s.migrate.gone.retain(|other| other != fd);
        }
        s.handle(s.now, input, out);
    }
}

/// Keys that the target has taken are no longer here, unless they were copied.
fn delete_migrated(s: &mut Server, running: &Running, targets: u8) {
    let (prelude, answers) = running.answers.split_at(running.answers.len().min(running.prelude()));
    if running.order.copy || prelude.iter().any(|answer| answer.error().is_some()) {
        return;
    }
    let mut words: Vec<&[u8]> = vec![b"DEL"];
    for (key, _) in running.keys.iter().zip(answers).filter(|(_, answer)| answer.error().is_none()) {
        s.delete(running.source, key);
        s.notify(Classes::GENERIC, "del", running.source, key);
        s.exec.dirty += 1;
        words.push(key);
    }
    if words.len() > 1 {
        s.propagate_also(running.source, encode_command(&words), targets);
    }
}

fn answer(s: &mut Server, running: &Running, error: Option<&str>) {
    if let Some(text) = error {
        s.stats.count_error(text);
        s.stats.commands[running.command.id].failed += 1;
    }
    let Some(session) = s.sessions.get_mut(running.session) else { return };
    session.flags.clear(Flags::BLOCKED);
    if !session.flags.has(Flags::REPLY_OFF) {
        match error {
            Some(text) => encode::error(session.reply.tail(), text),
            None => session.reply.constant(b"+OK\r\n"),
        }
        s.sessions.want_write(running.session);
    }
}

impl Server {
    /// A command that began earlier is over: what it took is accounted for.
    fn long_command_over(&mut self, fd: Fd, command: &'static Command, args: &Args, took: Span, out: &mut Outbox) {
        let us = took.ns() / 1_000;
        self.stats.commands[command.id].ns += took.ns();
        if us > 0 {
            self.stats.histograms.add(command.id, took.ns());
            self.latency_sample("command", took.ns() / NS_PER_MS);
        }
        call::note_if_slow(command, took.ns(), out);
        self.log_if_slow(fd, args, us);
    }
}
