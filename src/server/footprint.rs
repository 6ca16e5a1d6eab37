//! What a session takes in memory, as CLIENT LIST shows it and `maxmemory-clients` counts it (`getClientMemoryUsage`).
//!
//! Buffers that a real server's timer grows and shrinks are worked out when they are looked at: a session that nobody looks
//! at has no timer.

use super::Server;
use super::clients::is_replica;
use super::keyspace::alloc;
use super::session::Session;
use crate::resp::Args;
use crate::time::Unix;

/// The client itself.
const CLIENT: u64 = 768;
/// Room of a query buffer after the first read, and what it takes.
const QUERY: usize = 20_474;
const QUERY_TAKES: u64 = 20_480;
/// An argument from this size on has the query buffer to itself (`PROTO_MBULK_BIG_ARG`).
const BIG: usize = 32 << 10;
/// The buffer of replies at most and at least (`PROTO_REPLY_CHUNK_BYTES`, `PROTO_REPLY_MIN_BYTES`).
const REPLY_MOST: u64 = 16 << 10;
const REPLY_LEAST: u64 = 1 << 10;
/// A block of replies that didn't fit: its room, and what the list adds to it.
const BLOCK: u64 = 20_464;
const BLOCK_HEAD: u64 = 40;
/// Pointers and list nodes.
const POINTER: u64 = 8;
const NODE: u64 = 24;
/// What is kept of a watched key, of a queued command, and of a prefix that is tracked.
const WATCHED: u64 = NODE + 32;
const QUEUED: u64 = 24;
const PREFIX_NODE: u64 = 32;
/// Replies beyond this make the buffer grow, shorter ones let it shrink.
pub(crate) const NOTED: u64 = REPLY_LEAST;

/// How buffers of replies adapt (DEBUG REPLYBUFFER).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adapting {
    /// Whether they do.
    pub on: bool,
    /// Milliseconds after which the largest reply is forgotten; `None`: never.
    pub forgets: Option<u64>,
}

impl Default for Adapting {
    fn default() -> Self {
        Adapting { on: true, forgets: Some(5_000) }
    }
}

/// A session's buffers, as of when they were last looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    /// Room for replies.
    reply: u64,
    /// The longest reply since it was last forgotten.
    peak: u64,
    /// When that was, and when the timer last came, in milliseconds.
    forgotten: u64,
    seen: u64,
    /// How often the room grew and shrank.
    grown: u32,
    shrunk: u32,
    /// Bytes of the largest request of late, and when it was.
    query: usize,
    query_at: u64,
}

impl Buffers {
    /// Those of a new session.
    #[must_use]
    pub(crate) fn new(now: Unix) -> Buffers {
        let ms = now.ms();
        Buffers {
            reply: REPLY_MOST,
            peak: REPLY_MOST,
            // A real server takes seconds for milliseconds here: the first tick forgets at once.
            forgotten: 0,
            seen: ms,
            grown: 0,
            shrunk: 0,
            query: 0,
            query_at: 0,
        }
    }

    /// The same once the timer has come every `period` milliseconds until `now`, while `waiting` bytes of replies waited.
    fn later(mut self, now: u64, period: u64, waiting: u64, how: Adapting) -> Buffers {
        while self.seen + period <= now {
            self.seen += period;
            if self.shrinks(how) {
                let room = usize::try_from(REPLY_LEAST.max(self.peak + 1)).expect("it is small");
                self.reply = alloc::allocated(room) as u64;
                self.shrunk += 1;
            } else if self.grows(how) {
                self.reply = REPLY_MOST.min(self.reply * 2);
                self.grown += 1;
            }
            let forgets = how.forgets.is_some_and(|after| self.seen - self.forgotten >= after);
            if forgets {
                (self.peak, self.forgotten) = (waiting.min(self.reply), self.seen);
            }
            let forgotten = how.forgets.is_none() || self.peak <= waiting.min(self.reply);
            if forgotten && !self.shrinks(how) && !self.grows(how) && now - self.seen >= period {
                // Nothing changes any more: the remaining ticks only count.
                let ticks = (now - self.seen) / period;
                self.seen += ticks * period;
                if let Some(after) = how.forgets.filter(|&after| self.seen - self.forgotten >= after) {
                    self.forgotten = self.seen - (self.seen - self.forgotten) % after.max(period);
                }
            }
        }
        self
    }

    fn shrinks(&self, how: Adapting) -> bool {
        how.on && self.reply / 2 >= REPLY_LEAST && self.peak < self.reply / 2
    }

    fn grows(&self, how: Adapting) -> bool {
        how.on && self.reply < REPLY_MOST && self.peak == self.reply
    }

    /// How often the room shrank and grew.
    #[must_use]
    pub(crate) fn changed(&self) -> (u64, u64) {
        (u64::from(self.shrunk), u64::from(self.grown))
    }

    /// A request of so many bytes came.
    pub(crate) fn request(&mut self, bytes: usize, now: Unix) {
        if bytes > QUERY {
            (self.query, self.query_at) = (bytes, now.ms());
        }
    }
}

/// What a session takes, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// Unread bytes.
    pub query: usize,
    /// Room behind them.
    pub query_free: usize,
    /// Arguments that are complete, of a request that runs or isn't complete.
    pub args: u64,
    /// Arguments of queued commands.
    pub queued: u64,
    /// The buffer of replies: its room, its longest reply, what waits in it.
    pub reply: (u64, u64, u64),
    /// Blocks of replies beyond it.
    pub blocks: u64,
    /// What these take.
    pub output: u64,
    /// All together.
    pub total: u64,
}

/// The blocks of replies that have so many bytes, and what they take.
fn blocks_of(bytes: u64) -> (u64, u64) {
    let blocks = bytes.div_ceil(BLOCK);
    (blocks, blocks * (BLOCK + BLOCK_HEAD))
}

/// What pointers to so many arguments take.
pub(crate) fn pointers(args: usize) -> u64 {
    args as u64 * POINTER
}

/// The next power of two from four on: buckets of a small table that has so many entries.
fn table(entries: usize) -> u64 {
    if entries == 0 { 0 } else { entries.next_power_of_two().max(4) as u64 * POINTER + entries as u64 * NODE }
}

impl Server {
    /// Milliseconds after which a real server's timer comes to a session again (`clientsCron`).
    pub(super) fn client_period(&self) -> u64 {
        let (hz, clients) = (self.config.hz.max(1), self.sessions.len() as u64);
        1_000 / hz * clients.div_ceil((clients / hz).max(5)).max(1)
    }

    fn buffers(&self, session: &Session) -> Buffers {
        self.buffers_by(session, self.client_period())
    }

    /// A session's buffers now, by one who knows how often the timer comes.
    pub(super) fn buffers_by(&self, session: &Session, period: u64) -> Buffers {
        session.buffers.later(self.now.unix.ms(), period, session.reply.len() as u64, self.adapting)
    }

    /// What replies that don't fit into a session's buffer take (`getClientOutputBufferMemoryUsage`).
    pub(crate) fn output_memory(&self, session: &Session) -> u64 {
        let waiting = session.reply.len() as u64;
        // Most wait for nothing, and their buffer isn't worth a look.
        if waiting < REPLY_LEAST { 0 } else { blocks_of(waiting - waiting.min(self.buffers(session).reply)).1 }
    }

    /// A reply of so many bytes waits for a session.
    pub(crate) fn note_reply(&mut self, fd: crate::id::Fd, bytes: u64) {
        let Some(session) = self.sessions.get(fd) else { return };
        let mut buffers = self.buffers(session);
        buffers.peak = buffers.peak.max(bytes.min(buffers.reply));
        self.sessions.at_mut(fd).buffers = buffers;
    }

    /// What the timer has done to a session's buffer of replies until now is settled.
    pub(super) fn settle_reply_buffer(&mut self, fd: crate::id::Fd) {
        if let Some(buffers) = self.sessions.get(fd).map(|session| self.buffers(session)) {
            self.sessions.at_mut(fd).buffers = buffers;
        }
    }

    /// A session is about to go: how often its buffer of replies changed stays known.
    pub(crate) fn settle_buffers(&mut self, fd: crate::id::Fd) {
        let Some(session) = self.sessions.get(fd) else { return };
        let (shrunk, grown) = self.buffers(session).changed();
        self.stats.reply_buffers.0 += shrunk;
        self.stats.reply_buffers.1 += grown;
    }

    /// CONFIG RESETSTAT
    pub(crate) fn forget_buffer_changes(&mut self) {
        self.adapt(self.adapting);
        let all: Vec<_> = self.sessions.iter().map(|session| session.fd).collect();
        for fd in all {
            let buffers = &mut self.sessions.at_mut(fd).buffers;
            (buffers.grown, buffers.shrunk) = (0, 0);
        }
    }

    /// How buffers adapt changes: what has been is settled.
    pub(crate) fn adapt(&mut self, how: Adapting) {
        let settled: Vec<_> = self.sessions.iter().map(|session| (session.fd, self.buffers(session))).collect();
        for (fd, buffers) in settled {
            self.sessions.at_mut(fd).buffers = buffers;
        }
        self.adapting = how;
    }

    /// What the query buffer takes, what is unread in it and free behind that, and the arguments that have been taken out.
    fn query_footprint(&self, session: &Session, running: Option<&Args>) -> (u64, usize, usize, u64, usize) {
        let now = self.now.unix;
        let part = session.reader.partial();
        if let Some(args) = running {
            let unread = args.raw().map_or(0, |raw| raw.len()) + session.reader.unread();
            let bytes = args.iter().map(<[u8]>::len).sum::<usize>() as u64;
            let takes = if unread > QUERY { alloc::string(unread) as u64 } else { QUERY_TAKES };
            return (takes, unread, QUERY.saturating_sub(unread), bytes, args.len());
        }
        let args = (part.bytes as u64, part.args);
        if part.announced >= BIG {
            let room = part.announced.max(part.rest);
            return (alloc::string(room) as u64, part.rest, room - part.rest, args.0, args.1);
        }
        let idle = now.secs().saturating_sub(session.last_interaction.secs());
        if part.rest == 0 && (idle > 2 || session.net_in == 0) {
            return (8, 0, 0, args.0, args.1);
        }
        let late = session.buffers;
        let large = late.query > QUERY && now.ms().saturating_sub(late.query_at) < self.client_period();
        let room = part.rest.max(if large { late.query } else { 0 });
        if room > QUERY {
            return (alloc::string(room) as u64, part.rest, room - part.rest, args.0, args.1);
        }
        (QUERY_TAKES, part.rest, QUERY - part.rest, args.0, args.1)
    }

    /// What a session takes; `running`: its request is being executed.
    #[must_use]
    pub(crate) fn footprint(&self, session: &Session, running: Option<&Args>) -> Footprint {
        self.footprint_with(session, running, self.buffers(session))
    }

    /// The same by one who knows its buffers.
    pub(super) fn footprint_with(&self, session: &Session, running: Option<&Args>, buffers: Buffers) -> Footprint {
        use super::pubsub::Topic::{Channel, Pattern, Shard};
        let (takes, query, query_free, args, argc) = self.query_footprint(session, running);
        let waiting = session.reply.len() as u64;
        let in_buffer = waiting.min(buffers.reply);
        let (mut blocks, mut output) = blocks_of(waiting - in_buffer);
        if is_replica(session) {
            let unsent = super::replication::unsent(self, session.fd);
            (blocks, output) = (blocks + unsent.0, unsent.1);
        }
        let (mut queued, mut commands) = (0, 0);
        if let Some(multi) = &session.multi {
            queued = multi.bytes;
            if !multi.queue.is_empty() {
                commands = multi.queue.len().next_power_of_two().max(2) as u64 * QUEUED;
            }
        }
        let topics = session.subscriptions.as_ref().map_or(0, |own| {
            own.of(Pattern).len() as u64 * NODE + table(own.of(Channel).len()) + table(own.of(Shard).len())
        });
        let prefixes = session.tracking.as_ref().map_or(0, |mode| {
            if mode.prefixes.is_empty() { 0 } else { (mode.prefixes.len() as u64 + 1) * PREFIX_NODE }
        });
        let watched = session.watched.len() as u64 * WATCHED;
        let held = args + pointers(argc) + queued + commands + watched + topics + prefixes;
        Footprint {
            query,
            query_free,
            args,
            queued,
            reply: (buffers.reply, buffers.peak, in_buffer),
            blocks,
            output,
            total: CLIENT + takes + buffers.reply + output + held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::NS_PER_MS;

    #[test]
    fn buffers_of_replies_shrink_and_grow() {
        const BEGAN: u64 = 1_000_000;
        let how = Adapting::default();
        let new = Buffers::new(Unix(BEGAN * NS_PER_MS));
        let first = new.later(BEGAN + 100, 100, 0, how);
        assert_eq!((first.reply, first.peak), (REPLY_MOST, 0));
        let idle = new.later(BEGAN + 200, 100, 0, how);
        assert_eq!((idle.reply, idle.peak, idle.shrunk), (REPLY_LEAST, 0, 1));
        assert_eq!(new.later(BEGAN + 86_400_000, 100, 0, how).reply, REPLY_LEAST);
        let busy = Buffers { peak: idle.reply, ..idle };
        assert_eq!(busy.later(BEGAN + 300, 100, 0, how).reply, 2 * REPLY_LEAST);
        // What was long once is remembered for five seconds.
        assert_eq!(busy.later(BEGAN + 5_000, 100, 0, how).reply, 2 * REPLY_LEAST);
        assert_eq!(busy.later(BEGAN + 5_300, 100, 0, how).reply, REPLY_LEAST);
    }
}
