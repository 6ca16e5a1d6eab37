//! Clients that wait for a key to have something for them: who waits for what, in which order they are served, how long
//! (`blocked.c`, `timeout.c`). What serving means is said by the commands.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use smallvec::SmallVec;

use super::Server;
use super::call::Cx;
use super::commands::{Command, blocking_pops, stream_reads};
use super::db::Answered;
use super::keyspace::float::Extended;
use super::keyspace::list::End;
use super::keyspace::stream::Id;
use super::keyspace::{Db, DbKey, Type};
use super::replication::wait;
use super::session::Flags;
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::{Args, encode, parse_i64};
use crate::time::NS_PER_MS;
use crate::trace::digest::hash_operation;

const NO_TIMEOUT: &str = "ERR timeout is negative";

/// What a client takes when it is its turn.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// An element of a list; with a count up to so many (BLMPOP).
    Pop { end: End, count: Option<usize> },
    /// An element of a list, to be put into another (BLMOVE, BRPOPLPUSH).
    Move { from: End, to: End },
    /// A member of a sorted set; with a count up to so many (BZMPOP).
    PopScored { max: bool, count: Option<usize> },
    /// Up to so many entries of a stream: the first key is argument `first`, and each has the id behind which to read.
    Read { first: usize, after: Vec<Id>, count: u64, group: Option<ReadGroup> },
}

/// For whom XREADGROUP reads.
#[derive(Clone, Debug)]
pub(crate) struct ReadGroup {
    /// The group's name.
    pub name: Bytes,
    /// The consumer's name.
    pub consumer: Bytes,
    /// What is given needs no acknowledgement.
    pub no_ack: bool,
}

impl Want {
    /// The type of the keys that serve it.
    fn kind(&self) -> Type {
        match self {
            Want::Pop { .. } | Want::Move { .. } => Type::List,
            Want::PopScored { .. } => Type::ZSet,
            Want::Read { .. } => Type::Stream,
        }
    }

    /// It reads for a group, which goes with its stream.
    fn is_grouped(&self) -> bool {
        matches!(self, Want::Read { group: Some(_), .. })
    }
}

/// A client that waits.
#[derive(Clone, Debug)]
struct Waiter {
    command: &'static Command,
    args: Args,
    want: Want,
    /// Which arguments are the keys, each key once.
    keys: SmallVec<[(DbKey, usize); 2]>,
    /// Until when, in wall-clock milliseconds; `None`: for ever.
    until_ms: Option<u64>,
    /// What calling the command took, in nanoseconds.
    took: u64,
}

/// What became of one whose turn it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// There is nothing for it: it goes on waiting.
    Not,
    /// It has its answer; the key is still there.
    Yes,
    /// It has its answer and took the last that the key had.
    Emptied,
    /// It has an error instead and took nothing.
    Refused,
}

/// Who waits for which keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocking {
    waiters: BTreeMap<Fd, Waiter>,
    /// By key, those who came first before the others.
    by_key: BTreeMap<DbKey, Vec<Fd>>,
    deadlines: BTreeSet<(u64, Fd)>,
    /// Keys that may have something for somebody, in the order in which they got it (`server.ready_keys`).
    ready: Vec<DbKey>,
    /// The same that have not been looked at yet: none is queued twice.
    queued: BTreeSet<DbKey>,
}

impl Blocking {
    /// True when nobody waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many have a time-out.
    #[must_use]
    pub(crate) fn timed(&self) -> usize {
        self.deadlines.len()
    }

    /// The earliest time-out, in wall-clock milliseconds.
    #[must_use]
    pub(crate) fn first_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|&(until, _)| until)
    }

    /// Some key may have something for somebody.
    #[must_use]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn add(&mut self, fd: Fd, waiter: Waiter) {
        for (key, _) in &waiter.keys {
            self.by_key.entry(key.clone()).or_default().push(fd);
        }
        if let Some(until) = waiter.until_ms {
            self.deadlines.insert((until, fd));
        }
        let before = self.waiters.insert(fd, waiter);
        debug_assert!(before.is_none(), "a client waits for one thing at a time");
    }

    /// A client waits no longer (`unblockClientWaitingData`).
    fn remove(&mut self, fd: Fd) -> Option<Waiter> {
        let waiter = self.waiters.remove(&fd)?;
        for (key, _) in &waiter.keys {
            if let Some(fds) = self.by_key.get_mut(key) {
                fds.retain(|&other| other != fd);
                if fds.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        if let Some(until) = waiter.until_ms {
            self.deadlines.remove(&(until, fd));
        }
        Some(waiter)
    }

    fn waits_for(&self, kind: Type) -> bool {
        self.waiters.values().any(|waiter| waiter.want.kind() == kind)
    }
}

impl Cx<'_> {
    /// True when the command must answer at once, as if its time were over already: inside a transaction or a script
    /// (`CLIENT_DENY_BLOCKING`). What comes from our master never waits either.
    #[must_use]
    pub(crate) fn must_not_block(&self) -> bool {
        self.s.exec.in_exec || self.session().flags.has(Flags::MASTER.with(Flags::SCRIPT))
    }

    /// Argument `i` as a number of seconds to wait: when that is over, in wall-clock milliseconds; zero: never
    /// (`getTimeoutFromObjectOrReply`).
    pub(crate) fn seconds_arg(&mut self, i: usize) -> Result<Option<u64>, Answered> {
        let text = self.args.get(i);
        let ms = if Extended::is_infinite(text) {
            // As the conversion of a number that is too large comes out.
            i64::MIN
        } else if let Some(number) = Extended::parse(text) {
            number.thousandfold_up().unwrap_or(i64::MIN)
        } else {
            self.add_error("ERR timeout is not a float or out of range");
            return Err(Answered);
        };
        self.deadline(ms)
    }

    /// Argument `i` as a number of milliseconds to wait.
    pub(crate) fn ms_arg(&mut self, i: usize) -> Result<Option<u64>, Answered> {
        let Some(ms) = parse_i64(self.args.get(i)) else {
            self.add_error("ERR timeout is not an integer or out of range");
            return Err(Answered);
        };
        self.deadline(ms)
    }

    fn deadline(&mut self, ms: i64) -> Result<Option<u64>, Answered> {
        let Ok(ms) = u64::try_from(ms) else {
            self.add_error(NO_TIMEOUT);
            return Err(Answered);
        };
        Ok((ms > 0).then(|| self.s.now.unix.ms().saturating_add(ms)))
    }

    /// The client waits until one of the keys at these arguments has what it wants (`blockForKeys`).
    pub(crate) fn block_for(&mut self, want: Want, keys: std::ops::Range<usize>, until_ms: Option<u64>) {
        let (db, args) = (self.db(), self.args);
        let mut distinct: SmallVec<[(DbKey, usize); 2]> = SmallVec::new();
        for i in keys {
            if !distinct.iter().any(|((_, key), _)| key == args.get(i)) {
                distinct.push(((db, bytes::Bytes::copy_from_slice(args.get(i))), i));
            }
        }
        let (command, args) = (self.command, args.clone());
        let waiter = Waiter { command, args, want, keys: distinct, until_ms, took: 0 };
        self.s.blocking.add(self.fd, waiter);
        self.session_mut().flags.set(Flags::BLOCKED);
    }
}

impl Server {
    /// A key has come to be: somebody may wait for it (`signalKeyAsReady` of `dbAdd`).
    pub(crate) fn signal_added(&mut self, db: u32, key: &[u8]) {
        if let Some(at) = self.keyspace.db(db).find(key) {
            let kind = self.keyspace.db(db).entry(at).value.kind();
            self.signal_ready(db, key, kind);
        }
    }

    /// A key of that type may have something for those who wait for it (`signalKeyAsReady`).
    fn signal_ready(&mut self, db: u32, key: &[u8], kind: Type) {
        if !self.blocking.waits_for(kind) {
            return;
        }
        let key = (db, bytes::Bytes::copy_from_slice(key));
        if self.blocking.by_key.contains_key(&key) && self.blocking.queued.insert(key.clone()) {
            self.blocking.ready.push(key);
        }
    }

    /// A stream has new entries, or one group less.
    pub(crate) fn signal_stream(&mut self, db: u32, key: &[u8]) {
        if !self.blocking.is_empty() {
            self.signal_ready(db, key, Type::Stream);
        }
    }

    /// Streams that somebody waits for go with a database's contents, unless the ones that come in their place are streams
    /// as well (`scanDatabaseForDeletedStreams`).
    pub(crate) fn signal_streams_gone(&mut self, db: u32, replaced_with: Option<&Db>) {
        if !self.blocking.waits_for(Type::Stream) {
            return;
        }
        let is_stream = |db: &Db, key: &[u8]| db.find(key).is_some_and(|at| db.entry(at).value.kind() == Type::Stream);
        let waited: Vec<DbKey> = self.blocking.by_key.keys().filter(|(number, _)| *number == db).cloned().collect();
        for (db, key) in waited {
            if is_stream(self.keyspace.db(db), &key) && !replaced_with.is_some_and(|other| is_stream(other, &key)) {
                self.signal_ready(db, &key, Type::Stream);
            }
        }
    }

    /// A database has other contents: keys that somebody waits for may be among them (`scanDatabaseForReadyKeys`).
    pub(crate) fn signal_replaced(&mut self, db: u32) {
        let waited: Vec<DbKey> = self.blocking.by_key.keys().filter(|(number, _)| *number == db).cloned().collect();
        for (db, key) in waited {
            self.signal_added(db, &key);
        }
    }

    /// Serves those who wait for keys that have become ready, until nobody can be served any more: what one is served may
    /// make another key ready (`handleClientsBlockedOnKeys`).
    pub(crate) fn serve_ready(&mut self, out: &mut Outbox) {
        while self.blocking.has_ready() {
            for key in std::mem::take(&mut self.blocking.ready) {
                self.blocking.queued.remove(&key);
                self.serve_key(&key, out);
            }
        }
    }

    fn serve_key(&mut self, key: &DbKey, out: &mut Outbox) {
        let found = self.lookup(key.0, &key.1, false);
        // Who is served isn't our master, even when its command made the key ready.
        let from_master = std::mem::take(&mut self.exec.from_master);
        if let Some(at) = found {
            self.touch(key.0, at);
            let kind = self.keyspace.db(key.0).entry(at).value.kind();
            for fd in self.blocking.by_key.get(key).cloned().unwrap_or_default() {
                let waiter = self.blocking.waiters.get(&fd).filter(|waiter| waiter.want.kind() == kind).cloned();
                let Some(waiter) = waiter else { continue };
                if self.serve(fd, &waiter, key, false, out) == Served::Emptied {
                    break;
                }
            }
            if kind != Type::Stream {
                self.refuse_groups(key, out);
            }
        } else {
            self.refuse_groups(key, out);
            // The key may have expired just now.
            self.propagate_pending(out);
        }
        self.exec.from_master = from_master;
    }

    /// Those who wait for a stream in a group hear that it is gone.
    fn refuse_groups(&mut self, key: &DbKey, out: &mut Outbox) {
        for fd in self.blocking.by_key.get(key).cloned().unwrap_or_default() {
            let waiter = self.blocking.waiters.get(&fd).filter(|waiter| waiter.want.is_grouped()).cloned();
            if let Some(waiter) = waiter {
                self.serve(fd, &waiter, key, true, out);
            }
        }
    }

    /// Serves one client with a key, or tells it that its stream is `gone`, and lets it go on.
    fn serve(&mut self, fd: Fd, waiter: &Waiter, key: &DbKey, gone: bool, out: &mut Outbox) -> Served {
        // It is the running session meanwhile: what it tracks itself it hears of after its reply.
        let (caller, told) = (self.exec.client.replace(fd), self.tracking.take_pending());
        let served = self.serve_as_running(fd, waiter, key, gone, out);
        self.send_pending_invalidations(fd);
        self.exec.client = caller;
        self.tracking.put_pending(told);
        served
    }

    fn serve_as_running(&mut self, fd: Fd, waiter: &Waiter, key: &DbKey, gone: bool, out: &mut Outbox) -> Served {
        let (_, i) = *waiter.keys.iter().find(|(own, _)| own == key).expect("it waits for this key");
        let (began, errors, waiting) = (self.meter.turn(), self.stats.error_replies, self.sessions.at(fd).reply.len());
        self.exec.begin();
        self.exec.enter();
        let mut cx = Cx { s: self, out, fd, command: waiter.command, args: &waiter.args };
        let served = match &waiter.want {
            Want::Read { .. } if gone => stream_reads::refuse_deleted(&mut cx),
            Want::Pop { end, count } => blocking_pops::serve_pop(&mut cx, i, *end, *count),
            Want::Move { from, to } => blocking_pops::serve_move(&mut cx, *from, *to),
            Want::PopScored { max, count } => blocking_pops::serve_scored(&mut cx, i, *max, *count),
            Want::Read { first, after, count, group } => {
                stream_reads::serve(&mut cx, i, after[i - first], *count, group.as_ref())
            }
        };
        self.exec.leave();
        if served == Served::Not {
            return served;
        }
        let took = waiter.took + self.meter.turn() - began;
        let failed = self.stats.error_replies != errors;
        self.mute(fd, waiting);
        self.unblocked_after(fd, waiter, took, failed);
        if served != Served::Refused && self.repl.is_master() {
            self.exec.writes.push(hash_operation(waiter.args.iter().skip(1)));
        }
        self.propagate_pending(out);
        served
    }

    /// Forgets what a session that doesn't want answers was answered since its buffer had `len` bytes.
    pub(crate) fn mute(&mut self, fd: Fd, len: usize) {
        if let Some(session) = self.sessions.get_mut(fd)
            && session.flags.has(Flags::REPLY_OFF.with(Flags::REPLY_SKIP))
        {
            session.reply.truncate(len);
        }
    }

    /// Counts what a command that waited took, and lets its client go on (`updateStatsOnUnblock`, `unblockClient`).
    fn unblocked_after(&mut self, fd: Fd, waiter: &Waiter, took: u64, failed: bool) {
        let stat = &mut self.stats.commands[waiter.command.id];
        stat.ns += took;
        stat.failed += u64::from(failed);
        if took >= 1_000 {
            self.stats.histograms.add(waiter.command.id, took);
        }
        self.blocking.remove(fd);
        self.unblock(fd);
        self.log_if_slow(fd, &waiter.args, took / 1_000);
        self.latency_sample("command-unblocking", (took - waiter.took.min(took)) / NS_PER_MS);
    }

    /// A client that waited for keys has gone.
    pub(crate) fn forget_waiter(&mut self, fd: Fd) {
        self.blocking.remove(fd);
    }

    /// A command that blocked its client has been called: what it took belongs to what it will be answered.
    pub(crate) fn note_blocked(&mut self, fd: Fd, took: u64) {
        if let Some(waiter) = self.blocking.waiters.get_mut(&fd) {
            waiter.took = took;
        }
    }

    /// Answers those whose time is over (`handleBlockedClientsTimeout`).
    pub(crate) fn end_waits(&mut self) {
        let now = self.now.unix.ms();
        while let Some(&(until, fd)) = self.blocking.deadlines.first() {
            if until >= now {
                break;
            }
            self.answer_absent(fd);
            self.blocking.remove(fd);
            self.unblock(fd);
        }
    }

    fn answer_absent(&mut self, fd: Fd) {
        let session = self.sessions.at_mut(fd);
        let len = session.reply.len();
        session.reply.constant(if session.resp > 2 { b"_\r\n" } else { b"*-1\r\n" });
        self.mute(fd, len);
    }

    fn answer_error(&mut self, fd: Fd, text: &str) {
        self.stats.count_error(text);
        let session = self.sessions.at_mut(fd);
        let len = session.reply.len();
        encode::error(session.reply.tail(), text);
        self.mute(fd, len);
    }

    /// CLIENT UNBLOCK: the client is answered as if its time were over, or with an error. False when it doesn't wait.
    pub(crate) fn unblock_by_command(&mut self, fd: Fd, error: bool) -> bool {
        let acked = wait::acknowledged_for(self, fd);
        let waits = self.blocking.waiters.contains_key(&fd);
        if acked.is_none() && !waits {
            return false;
        }
        match acked {
            _ if error => self.answer_error(fd, "UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            Some(acked) => {
                let session = self.sessions.at_mut(fd);
                let len = session.reply.len();
                encode::integer(session.reply.tail(), i64::try_from(acked).unwrap_or(i64::MAX));
                self.mute(fd, len);
            }
            None => self.answer_absent(fd),
        }
        wait::forget(self, fd);
        match self.blocking.remove(fd) {
            Some(waiter) => self.unblocked_after(fd, &waiter, waiter.took, true),
            None => self.unblock(fd),
        }
        true
    }

    /// This server becomes a replica: whoever waits for something is sent away (`disconnectAllBlockedClients`).
    pub(crate) fn disconnect_blocked(&mut self) {
        let waits = |flags: Flags| flags.has(Flags::BLOCKED) && !flags.has(Flags::POSTPONED);
        let fds: Vec<Fd> =
            self.sessions.iter().filter(|session| waits(session.flags)).map(|session| session.fd).collect();
        for fd in fds {
            self.answer_error(
                fd,
                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            );
            self.blocking.remove(fd);
            wait::forget(self, fd);
            self.shutdown.blocked.retain(|&other| other != fd);
            self.sessions.at_mut(fd).flags.set(Flags::CLOSE_AFTER_REPLY);
            self.unblock(fd);
        }
    }
}
