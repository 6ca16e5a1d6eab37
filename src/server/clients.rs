//! Sessions come, are read, written and go (`networking.c`).

use bytes::Bytes;

use super::session::{Flags, Session};
use super::{Server, cost, replication};
use crate::id::{Addr, Fd};
use crate::node::Outbox;
use crate::resp::{Args, Limits};
use crate::time::{Instant, NS_PER_MS, Span};

/// Input of one turn is left for the next once the turn has cost this much: later commands must see a later clock.
pub(super) const TURN_MAX_NS: u64 = NS_PER_MS;

impl Server {
    pub(crate) fn accept(&mut self, fd: Fd, from: Addr, local: Addr, out: &mut Outbox) {
        self.meter.add(cost::ACCEPT);
        if self.sessions.len() as u64 >= self.config.maxclients {
            self.stats.rejected_connections += 1;
            if !self.migrate.is_gone(fd) {
                out.send(fd, Bytes::from_static(b"-ERR max number of clients reached\r\n"));
                out.close(fd);
            }
            return;
        }
        self.stats.connections += 1;
        let now = self.now.unix;
        self.sessions.insert(fd, from, local, now);
        self.set_default_auth(fd);
    }

    #[inline]
    pub(crate) fn receive(&mut self, fd: Fd, data: Bytes, out: &mut Outbox) {
        let now = self.now.unix;
        let Some(session) = self.sessions.get_mut(fd) else {
            return replication::on_bytes(self, fd, data, out);
        };
        session.last_interaction = now;
        let len = data.len() as u64;
        session.net_in += len;
        let from_master = session.flags.has(Flags::MASTER);
        *(if from_master { &mut self.stats.net_repl_in } else { &mut self.stats.net_in }) += len;
        self.stats.reads += 1;
        let cost = cost::READ + len / 16 * cost::COPY_16;
        let postponed = self.threads.active && self.postpones_read(fd);
        if !postponed {
            self.meter.add(cost);
            if self.plain && self.take_short_way(fd, &data, out) {
                return;
            }
        }
        self.plain = false;
        let session = self.sessions.at_mut(fd);
        session.reader.feed(data);
        let unread = session.reader.unread();
        session.buffers.request(unread, now);
        self.sessions.changed(fd);
        if !from_master && unread as u64 > self.config.client_query_buffer_limit {
            return self.close_session(fd, out);
        }
        if postponed {
            return self.threads.postpone(fd, cost);
        }
        self.process_input(fd, out);
        self.before_next_client(fd, out);
    }

    /// A client that is to be closed, because it doesn't read what it asks for say, is closed as soon as its requests have
    /// been executed (`beforeNextClient`).
    fn before_next_client(&mut self, fd: Fd, out: &mut Outbox) {
        if self.sessions.get(fd).is_some_and(|session| session.flags.has(Flags::CLOSE_ASAP)) {
            self.close_session(fd, out);
        }
    }

    /// Executes what has been read of a session (`processInputBuffer`).
    pub(crate) fn process_input(&mut self, fd: Fd, out: &mut Outbox) {
        let mut args = Args::default();
        let no_auth = !self.auth_required();
        let mut stop = Flags::BLOCKED.with(Flags::CLOSE_AFTER_REPLY).with(Flags::CLOSE_ASAP).with(Flags::PENDING_INPUT);
        stop.set(Flags::BUSY_SCRIPT);
        loop {
            let bulk_len = i64::try_from(self.config.proto_max_bulk_len).unwrap_or(i64::MAX);
            let Some(session) = self.sessions.get_mut(fd) else { return };
            if self.shutdown.exited || session.flags.has(stop) || session.reader.unread() == 0 {
                return;
            }
            // A master's stream waits; others are told.
            if self.scripting.is_busy() && session.flags.has(Flags::MASTER) {
                return;
            }
            if self.meter.turn() > TURN_MAX_NS {
                session.flags.set(Flags::PENDING_INPUT);
                self.pending_input.push(fd);
                return;
            }
            let from_master = session.flags.has(Flags::MASTER);
            let limits = Limits { bulk_len, authenticated: session.authenticated || no_auth, master: from_master };
            match session.reader.read(&mut args, limits) {
                Ok(false) => return,
                Ok(true) if args.is_empty() => {
                    if from_master {
                        replication::command_processed(self, fd, &args, out);
                    } else {
                        replication::newline_from_replica(self, fd);
                    }
                }
                Ok(true) => {
                    self.execute(fd, &args, from_master, out);
                    if from_master {
                        replication::command_processed(self, fd, &args, out);
                    }
                }
                Err(error) => {
                    let text = format!("ERR {error}");
                    self.stats.count_error(&text);
                    session.flags.set(Flags::CLOSE_AFTER_REPLY);
                    let unheard = session.flags.has(Flags::REPLY_OFF.with(Flags::REPLY_SKIP));
                    if !unheard && is_replica(session) {
                        self.refuse_answer(fd, out);
                    } else if !unheard {
                        crate::resp::encode::error(session.reply.tail(), &text);
                        self.sessions.want_write(fd);
                    }
                    return;
                }
            }
        }
    }

    /// Executes one request and keeps what it answers, unless the session doesn't want answers.
    fn execute(&mut self, fd: Fd, args: &Args, from_master: bool, out: &mut Outbox) {
        self.exec.heard = self.sessions.at(fd).reply.len();
        self.exec.from_master = from_master;
        self.exec.client = Some(fd);
        self.process_command(fd, args, out);
        self.exec.from_master = false;
        let tracked = self.tracking.clients > 0;
        if tracked {
            self.end_caching(fd, args);
        }
        let heard = std::mem::take(&mut self.exec.heard);
        let Some(session) = self.sessions.get_mut(fd) else {
            self.exec.client = None;
            return;
        };
        let muted = Flags::MASTER.with(Flags::REPLY_OFF).with(Flags::REPLY_SKIP);
        if session.flags.has(muted) && !session.flags.has(Flags::FORCE_REPLY) {
            session.reply.truncate(heard);
        }
        if is_replica(session) && session.reply.len() > heard {
            session.reply.truncate(heard);
            self.refuse_answer(fd, out);
        }
        if tracked {
            self.send_pending_invalidations(fd);
        }
        self.exec.client = None;
        let session = self.sessions.at_mut(fd);
        if !session.flags.has(Flags::BLOCKED) {
            session.next_reply();
        }
        if session.flags.has(Flags::CLOSE_AFTER_COMMAND) {
            session.flags.set(Flags::CLOSE_AFTER_REPLY);
        }
        self.sessions.changed(fd);
        let session = self.sessions.at_mut(fd);
        // Who is to be closed once the reply is sent, and gets none, stays.
        if !session.reply.is_empty() {
            let waiting = session.reply.len() as u64;
            self.sessions.want_write(fd);
            if waiting >= super::footprint::NOTED {
                self.note_reply(fd, waiting);
                self.check_output_limit(fd);
            }
        }
    }

    /// A replica did something that would be answered: what goes to it is the stream and nothing else, so it goes
    /// (`_addReplyToBufferOrList`).
    fn refuse_answer(&mut self, fd: Fd, out: &mut Outbox) {
        let session = self.sessions.at(fd);
        if !session.flags.has(Flags::CLOSE_ASAP) {
            self.warn(out, || {
                let name = session.last_cmd.unwrap_or("<unknown>");
                let who = self.describe_client(session, None);
                format!("Replica generated a reply to command '{name}', disconnecting it: {who}")
            });
            self.close_later(fd);
        }
    }

    /// CLIENT CACHING holds for one command, or one transaction.
    fn end_caching(&mut self, fd: Fd, args: &Args) {
        if args.get(0).eq_ignore_ascii_case(b"client") {
            return;
        }
        if let Some(session) = self.sessions.get_mut(fd)
            && !session.flags.has(Flags::MULTI)
            && let Some(mode) = &mut session.tracking
        {
            mode.caching = false;
        }
    }

    /// Continues sessions whose input was left over from the last turn.
    pub(crate) fn continue_input(&mut self, out: &mut Outbox) {
        for fd in std::mem::take(&mut self.pending_input) {
            if let Some(session) = self.sessions.get_mut(fd) {
                session.flags.clear(Flags::PENDING_INPUT);
                self.process_input(fd, out);
                self.before_next_client(fd, out);
            }
        }
    }

    /// Lets a blocked session go on: its input is processed at the end of this turn (`unblockClient`).
    pub(crate) fn unblock(&mut self, fd: Fd) {
        if let Some(session) = self.sessions.get_mut(fd) {
            if !session.flags.has(Flags::POSTPONED) {
                session.next_reply();
            }
            session.flags.clear(Flags::BLOCKED.with(Flags::POSTPONED));
            self.unblocked.push(fd);
            if !session.reply.is_empty() {
                self.sessions.want_write(fd);
            }
        }
    }

    /// Runs what unblocked sessions had waiting (`processUnblockedClients`).
    pub(crate) fn process_unblocked(&mut self, out: &mut Outbox) {
        while !self.unblocked.is_empty() {
            self.plain = false;
            for fd in std::mem::take(&mut self.unblocked) {
                let Some(session) = self.sessions.get_mut(fd) else { continue };
                let from_master = session.flags.has(Flags::MASTER);
                if let Some(args) = session.postponed.take() {
                    self.execute(fd, &args, from_master, out);
                    if from_master {
                        replication::command_processed(self, fd, &args, out);
                    }
                }
                self.process_input(fd, out);
                self.before_next_client(fd, out);
            }
        }
    }

    /// Closes at the end of this turn (`freeClientAsync`).
    pub(crate) fn close_later(&mut self, fd: Fd) {
        if let Some(session) = self.sessions.get_mut(fd) {
            session.flags.set(Flags::CLOSE_ASAP);
            self.closing.push(fd);
        }
    }

    /// Closes a session and its connection now (`freeClient`).
    pub(crate) fn close_session(&mut self, fd: Fd, out: &mut Outbox) {
        if self.sessions.get(fd).is_some() {
            self.forget_session(fd, out);
            if !self.migrate.is_gone(fd) && !self.is_handed_over(fd) {
                out.close(fd);
            }
        }
    }

    /// The connection is gone already, or goes on without its session.
    pub(crate) fn forget_session(&mut self, fd: Fd, out: &mut Outbox) {
        self.unwatch_all(fd);
        self.unsubscribe_all(fd);
        self.disable_tracking(fd);
        self.monitors.retain(|&other| other != fd);
        self.soft_limited.retain(|&other| other != fd);
        self.shutdown.blocked.retain(|&other| other != fd);
        self.pause.postponed.retain(|&other| other != fd);
        self.forget_waiter(fd);
        self.unblocked.retain(|&other| other != fd);
        self.settle_buffers(fd);
        let session = self.sessions.remove(fd).expect("the caller has looked");
        if session.flags.has(Flags::MASTER.with(Flags::REPLICA).with(Flags::BLOCKED)) {
            replication::session_gone(self, session, out);
        }
    }

    /// The peer closed, or the connection broke.
    pub(crate) fn closed(&mut self, fd: Fd, why: crate::node::CloseWhy, out: &mut Outbox) {
        if self.sessions.get(fd).is_some() {
            if self.threads.has_read(fd) {
                // A real server learns of the end in the next turn.
                self.handle_pending_reads(out);
            }
            self.forget_session(fd, out);
        } else {
            super::migrate::on_closed(self, fd);
            replication::on_closed(self, fd, why, out);
        }
    }

    pub(crate) fn writable(&mut self, fd: Fd, room: usize, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(fd) else {
            return replication::on_writable(self, fd, room, out);
        };
        session.room = room;
        session.flags.clear(Flags::AWAITS_ROOM);
        self.sessions.want_write(fd);
    }

    /// Sends the replies of this turn (`handleClientsWithPendingWrites`).
    pub(crate) fn flush_sessions(&mut self, out: &mut Outbox) {
        let mut pending = std::mem::take(&mut self.sessions.pending_writes);
        let mut kept = Vec::new();
        let mut shared = self.threads_write(pending.len());
        if shared.is_some() {
            self.stats.io_writes += pending.len() as u64;
        }
        for &fd in &pending {
            let Some(session) = self.sessions.get_mut(fd) else { continue };
            if session.flags.has(Flags::PENDING_INPUT.with(Flags::BUSY_SCRIPT)) {
                // Its pipeline goes on in the next turn; a real server answers it as one.
                kept.push(fd);
                continue;
            }
            session.flags.clear(Flags::PENDING_WRITE);
            if session.flags.has(Flags::CLOSE_ASAP) {
                continue;
            }
            let is_replica = session.flags.has(Flags::REPLICA);
            if is_replica && !session.flags.has(Flags::MONITOR) && !session.reply.is_empty() {
                // A message of a channel, say, to which it had subscribed before.
                session.reply.truncate(0);
                self.refuse_answer(fd, out);
                continue;
            }
            let sent = session.flush(out) as u64;
            if sent > 0 && !session.flags.has(Flags::MASTER) {
                // A master only counts as heard from by what it says.
                session.last_interaction = self.now.unix;
            }
            let cost = cost::WRITE + sent / 16 * cost::COPY_16;
            match &mut shared {
                None => self.meter.add(cost),
                Some(deal) if is_replica => deal.add_to_main(cost),
                Some(deal) => deal.add(cost),
            }
            self.sessions.changed(fd);
            let session = self.sessions.at_mut(fd);
            let all_gone = session.reply.is_empty();
            let done = all_gone && session.flags.has(Flags::CLOSE_AFTER_REPLY);
            let unlimited = all_gone && session.soft_limit_since.is_none();
            *(if is_replica { &mut self.stats.net_repl_out } else { &mut self.stats.net_out }) += sent;
            self.stats.writes += 1;
            if is_replica {
                replication::flush(self, fd, out);
            }
            if done {
                self.close_session(fd, out);
            } else if !unlimited {
                self.check_output_limit(fd);
            }
        }
        if let Some(deal) = shared {
            self.meter.add(deal.longest());
        }
        if kept.is_empty() && self.sessions.pending_writes.is_empty() {
            // The list's memory is used again.
            pending.clear();
            self.sessions.pending_writes = pending;
        } else {
            self.sessions.pending_writes.append(&mut kept);
        }
    }

    /// Drops a client that doesn't read what it asked for (`closeClientOnOutputBufferLimitReached`). Replicas have
    /// their own buffers and their own check.
    pub(crate) fn check_output_limit(&mut self, fd: Fd) {
        let Some(waiting) = self.sessions.get(fd).map(|session| self.output_memory(session)) else { return };
        let session = self.sessions.at_mut(fd);
        if waiting == 0 && session.soft_limit_since.is_none() || is_replica(session) {
            return;
        }
        let limits = &self.config.client_output_buffer_limit;
        let limit = if session.flags.has(Flags::PUBSUB) { limits.pubsub } else { limits.normal };
        let over_hard = limit.hard > 0 && waiting >= limit.hard;
        let over_soft = limit.soft > 0 && waiting >= limit.soft;
        let mut over_time = false;
        if over_soft {
            let since = *session.soft_limit_since.get_or_insert_with(|| {
                self.soft_limited.push(fd);
                self.now.mono
            });
            over_time = self.now.mono.since(since).secs() > limit.soft_seconds;
        } else if session.soft_limit_since.take().is_some() {
            self.soft_limited.retain(|&other| other != fd);
        }
        if (over_hard || over_time) && !session.flags.has(Flags::CLOSE_ASAP) {
            self.stats.output_buffer_drops += 1;
            self.soft_limited.retain(|&other| other != fd);
            self.close_later(fd);
        }
    }

    /// A reply of at least so many bytes would follow: true if the client's limit ends it on the way.
    pub(crate) fn overflows_output(&mut self, fd: Fd, bytes: u64) -> bool {
        let limit = self.config.client_output_buffer_limit.normal.hard;
        let others = Flags::MASTER.with(Flags::REPLICA).with(Flags::PUBSUB);
        if limit == 0 || bytes < limit || self.sessions.get(fd).is_none_or(|session| session.flags.has(others)) {
            return false;
        }
        self.stats.output_buffer_drops += 1;
        self.close_later(fd);
        true
    }

    /// Closes what was marked (`freeClientsInAsyncFreeQueue`).
    pub(crate) fn close_marked(&mut self, out: &mut Outbox) {
        for fd in std::mem::take(&mut self.closing) {
            if self.sessions.get(fd).is_some_and(|session| session.flags.has(Flags::CLOSE_ASAP)) {
                self.close_session(fd, out);
            }
        }
    }

    /// The part of a tick that looks at clients: idle ones and those that don't read (`clientsCron`).
    pub(crate) fn clients_cron(&mut self, out: &mut Outbox) {
        let all = std::mem::take(&mut self.limits_changed);
        replication::check_soft_limits(self, all);
        let looked_at: Vec<Fd> =
            if all { self.sessions.iter().map(|session| session.fd).collect() } else { self.soft_limited.clone() };
        for fd in looked_at {
            self.check_output_limit(fd);
        }
        if self.config.timeout > 0 {
            let idle: Vec<Fd> = self
                .sessions
                .iter()
                .filter(|s| self.idle_deadline(s).is_some_and(|at| self.now.unix.secs() > at))
                .map(|s| s.fd)
                .collect();
            for fd in idle {
                self.close_session(fd, out);
            }
        }
    }

    /// The second after which a session is closed for being idle (`clientsCronHandleTimeout`).
    fn idle_deadline(&self, session: &Session) -> Option<u64> {
        let exempt = Flags::REPLICA.with(Flags::MASTER).with(Flags::BLOCKED).with(Flags::PUBSUB);
        (!session.flags.has(exempt)).then(|| session.last_interaction.secs() + self.config.timeout)
    }

    /// When a tick has something to do with clients.
    pub(crate) fn clients_cron_need(&self) -> Option<Instant> {
        if self.limits_changed || !self.soft_limited.is_empty() || replication::has_soft_limited(self) {
            return Some(self.now.mono);
        }
        if self.config.timeout == 0 {
            return None;
        }
        let first = self.sessions.iter().filter_map(|session| self.idle_deadline(session)).min()?;
        Some(self.now.mono + Span::from_secs((first + 1).saturating_sub(self.now.unix.secs())))
    }
}

/// A replica, not one who reads MONITOR's feed (`CLIENT_TYPE_SLAVE`).
pub(crate) fn is_replica(session: &Session) -> bool {
    session.flags.has(Flags::REPLICA) && !session.flags.has(Flags::MONITOR)
}

/// A client with subscriptions that is nothing else (`CLIENT_TYPE_PUBSUB`).
pub(crate) fn is_listener(session: &Session) -> bool {
    session.flags.has(Flags::PUBSUB) && !session.flags.has(Flags::MASTER) && !is_replica(session)
}
