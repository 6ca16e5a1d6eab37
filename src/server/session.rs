//! One connection as the server sees it: identity, protocol state, output buffer. And the table of all of them.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::acl::UserId;
use super::footprint::Buffers;
use super::multi::{MultiState, WatchedKey};
use super::pubsub::Subscriptions;
use super::tally::{Counted, Tally};
use super::tracking::Mode;
use crate::id::{Addr, Fd};
use crate::node::{Outbox, SOCKET_ROOM};
use crate::resp::CommandReader;
use crate::time::{Instant, Unix};

/// What a session is and what is to become of it, as bits (`client.flags`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    /// The link to our master: its commands are obeyed and not answered.
    pub(crate) const MASTER: Flags = Flags(1);
    /// A replica (or MONITOR's reader) of ours.
    pub(crate) const REPLICA: Flags = Flags(1 << 1);
    /// Reads MONITOR's feed.
    pub(crate) const MONITOR: Flags = Flags(1 << 2);
    /// Waits (WAIT, CLIENT PAUSE): no input of it is read.
    pub(crate) const BLOCKED: Flags = Flags(1 << 3);
    /// Closes once its replies have left.
    pub(crate) const CLOSE_AFTER_REPLY: Flags = Flags(1 << 4);
    /// Closes at the end of this turn, replies or not.
    pub(crate) const CLOSE_ASAP: Flags = Flags(1 << 5);
    /// Between MULTI and EXEC.
    pub(crate) const MULTI: Flags = Flags(1 << 6);
    /// A watched key has changed: EXEC fails.
    pub(crate) const DIRTY_CAS: Flags = Flags(1 << 7);
    /// A command was refused while queueing: EXEC aborts.
    pub(crate) const DIRTY_EXEC: Flags = Flags(1 << 8);
    /// CLIENT REPLY OFF.
    pub(crate) const REPLY_OFF: Flags = Flags(1 << 9);
    /// CLIENT REPLY SKIP was the last command: the next one is muted.
    pub(crate) const REPLY_SKIP_NEXT: Flags = Flags(1 << 10);
    /// This command is muted by CLIENT REPLY SKIP.
    pub(crate) const REPLY_SKIP: Flags = Flags(1 << 11);
    /// CLIENT NO-EVICT ON.
    pub(crate) const NO_EVICT: Flags = Flags(1 << 12);
    /// Blocked by CLIENT PAUSE (or FAILOVER): the command runs when the pause ends.
    pub(crate) const POSTPONED: Flags = Flags(1 << 13);
    /// Has replies to flush: is in the list of pending writes.
    pub(crate) const PENDING_WRITE: Flags = Flags(1 << 14);
    /// Has parsed input that waits for the next turn.
    pub(crate) const PENDING_INPUT: Flags = Flags(1 << 15);
    /// Subscribed to at least one channel or pattern.
    pub(crate) const PUBSUB: Flags = Flags(1 << 16);
    /// Replies although it is the master (REPLCONF GETACK).
    pub(crate) const FORCE_REPLY: Flags = Flags(1 << 17);
    /// Waits for [`crate::node::Input::Writable`].
    pub(crate) const AWAITS_ROOM: Flags = Flags(1 << 18);
    /// Closes after the command that is running.
    pub(crate) const CLOSE_AFTER_COMMAND: Flags = Flags(1 << 19);
    /// A replica that is to be resynchronised without PSYNC (SYNC).
    pub(crate) const PRE_PSYNC: Flags = Flags(1 << 20);
    /// Its scripts are debugged (`CLIENT_LUA_DEBUG`).
    pub(crate) const DEBUG: Flags = Flags(1 << 21);
    /// In this process (`CLIENT_LUA_DEBUG_SYNC`).
    pub(crate) const DEBUG_SYNC: Flags = Flags(1 << 22);

    /// Not a client: the session of scripts, which never waits (`CLIENT_SCRIPT`, `CLIENT_DENY_BLOCKING`).
    pub(crate) const SCRIPT: Flags = Flags(1 << 30);
    /// Its user may not do everything: requests are looked at.
    pub(crate) const LIMITED: Flags = Flags(1 << 31);

    /// Its script takes long: nothing of it is read, nothing said to it.
    pub(crate) const BUSY_SCRIPT: Flags = Flags(1 << 29);

    /// Closes soon: nothing more is said to it.
    pub(crate) const GOING: Flags = Flags(Self::CLOSE_AFTER_REPLY.0 | Self::CLOSE_ASAP.0);

    /// True when any bit of `other` is set.
    #[must_use]
    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// True for a client like any other, whether or not it has replies to flush.
    #[must_use]
    pub(crate) const fn is_ordinary(self) -> bool {
        self.0 & !Flags::PENDING_WRITE.0 == 0
    }

    /// Both sets together.
    #[must_use]
    pub(crate) const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Sets the bits of `other`.
    pub(crate) fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// Clears the bits of `other`.
    pub(crate) fn clear(&mut self, other: Flags) {
        self.0 &= !other.0;
    }
}

/// Replies up to this size are copied out, so that the buffer's memory is used again; longer ones take it with them.
const COPIED: usize = 1_024;

/// Replies that have not left yet. A single constant reply (`+OK`) costs no memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplyBuf {
    first: &'static [u8],
    pub(crate) buf: BytesMut,
}

impl ReplyBuf {
    /// Bytes that wait.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.buf.len()
    }

    /// True when nothing waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.buf.is_empty()
    }

    /// The buffer to append to.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            self.buf.extend_from_slice(first);
        }
        &mut self.buf
    }

    /// The buffer after the head of an invalidation message; `None`: the session can't be told.
    pub(crate) fn invalidation(&mut self, resp: u8, subscribed: bool) -> Option<&mut BytesMut> {
        if resp > 2 {
            self.tail().extend_from_slice(b">2\r\n$10\r\ninvalidate\r\n");
        } else if subscribed {
            self.tail().extend_from_slice(b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n");
        } else {
            return None;
        }
        Some(&mut self.buf)
    }

    /// Appends a constant.
    #[inline]
    pub(crate) fn constant(&mut self, text: &'static [u8]) {
        if self.is_empty() {
            self.first = text;
        } else {
            self.tail().extend_from_slice(text);
        }
    }

    /// Forgets what was appended since the buffer had `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len == 0 {
            self.first = &[];
            self.buf.clear();
        } else if len < self.len() {
            self.tail().truncate(len);
        }
    }

    /// Takes the single constant that waits, if one does and fits.
    fn take_constant(&mut self, room: usize) -> Option<&'static [u8]> {
        let alone = !self.first.is_empty() && self.buf.is_empty() && self.first.len() <= room;
        alone.then(|| std::mem::take(&mut self.first))
    }

    /// Takes up to `room` bytes off the front.
    pub(crate) fn take(&mut self, room: usize) -> Bytes {
        if let Some(constant) = self.take_constant(room) {
            return Bytes::from_static(constant);
        }
        // A constant only ever stands alone.
        self.tail();
        if self.buf.len() <= room.min(COPIED) {
            let copy = Bytes::copy_from_slice(&self.buf);
            self.buf.clear();
            return copy;
        }
        if self.buf.len() <= room { self.buf.split().freeze() } else { self.buf.split_to(room).freeze() }
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Its descriptor.
    pub fd: Fd,
    /// `client.id`, counted from 1 for each process.
    pub id: u64,
    /// The peer.
    pub addr: Addr,
    /// The own end.
    pub laddr: Addr,
    /// CLIENT SETNAME.
    pub name: Option<Bytes>,
    /// What it is.
    pub flags: Flags,
    /// The selected database.
    pub db: u32,
    /// 2 or 3.
    pub resp: u8,
    /// Who it is.
    pub user: UserId,
    /// False until AUTH when a password is needed.
    pub authenticated: bool,
    /// Input.
    pub reader: CommandReader,
    /// Output.
    pub reply: ReplyBuf,
    /// What the socket still takes, as far as is known.
    pub room: usize,
    /// When it was made.
    pub created: Unix,
    /// When something last arrived (or, for a master link, left).
    pub last_interaction: Unix,
    /// The last command's full name, for CLIENT LIST.
    pub last_cmd: Option<&'static str>,
    /// The transaction being queued.
    pub multi: Option<Box<MultiState>>,
    /// Watched keys.
    pub watched: SmallVec<[WatchedKey; 1]>,
    /// Channels and patterns.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// How its keys are tracked; `None`: they aren't.
    pub tracking: Option<Box<Mode>>,
    /// Offset of the stream after its last write: what WAIT waits for.
    pub woff: u64,
    /// When its output buffer passed the soft limit.
    pub soft_limit_since: Option<Instant>,
    /// The command that CLIENT PAUSE holds back.
    pub postponed: Option<Box<crate::resp::Args>>,
    /// What it has said of itself with REPLCONF.
    pub(crate) announced: Option<Box<super::replication::Announced>>,
    /// How large its buffers are.
    pub buffers: Buffers,
    /// Bytes received and sent.
    pub net_in: u64,
    /// Bytes sent.
    pub net_out: u64,
    /// What of it is in the sum of all.
    pub(super) counted: Counted,
}

impl Session {
    /// A fresh session.
    #[must_use]
    pub(crate) fn new(fd: Fd, id: u64, addr: Addr, laddr: Addr, now: Unix) -> Session {
        Session {
            fd,
            id,
            addr,
            laddr,
            name: None,
            flags: Flags::default(),
            db: 0,
            resp: 2,
            user: UserId::DEFAULT,
            authenticated: false,
            reader: CommandReader::default(),
            reply: ReplyBuf::default(),
            room: SOCKET_ROOM,
            created: now,
            last_interaction: now,
            last_cmd: None,
            multi: None,
            watched: SmallVec::new(),
            subscriptions: None,
            tracking: None,
            woff: 0,
            soft_limit_since: None,
            postponed: None,
            announced: None,
            buffers: Buffers::new(now),
            net_in: 0,
            net_out: 0,
            counted: Counted::default(),
        }
    }

    /// What it knows of a key that it watches.
    pub(crate) fn watched_key(&mut self, db: u32, key: &[u8]) -> Option<&mut WatchedKey> {
        self.watched.iter_mut().find(|watched| watched.key.0 == db && watched.key.1 == key)
    }

    /// A request has its answer: what CLIENT REPLY SKIP said of it is over (`resetClient`).
    pub(crate) fn next_reply(&mut self) {
        self.flags.clear(Flags::REPLY_SKIP.with(Flags::FORCE_REPLY));
        if self.flags.has(Flags::REPLY_SKIP_NEXT) {
            self.flags.clear(Flags::REPLY_SKIP_NEXT);
            self.flags.set(Flags::REPLY_SKIP);
        }
    }

    /// Whether a request can be answered with this at once: it is a client like any other, and nothing else is to be
    /// read or written.
    #[inline]
    pub(crate) fn takes_swiftly(&self, answer: &[u8]) -> bool {
        self.flags == Flags::default()
            && self.authenticated
            && self.reader.unread() == 0
            && self.reply.is_empty()
            && self.room >= answer.len()
            && self.soft_limit_since.is_none()
    }

    /// Counts a request and its answer, of these lengths, that went by without reader and reply buffer.
    #[inline]
    pub(crate) fn answer_swiftly(
        &mut self,
        command: &'static str,
        now: Unix,
        (read, sent): (usize, usize),
        offset: u64,
    ) {
        self.last_interaction = now;
        self.last_cmd = Some(command);
        self.woff = offset;
        // Counters of 64 bits never overflow, and that there is room was asked before.
        self.net_in = self.net_in.wrapping_add(read as u64);
        self.net_out = self.net_out.wrapping_add(sent as u64);
        self.reader.passed(read);
        self.room = self.room.wrapping_sub(sent);
    }

    /// Sends what waits and fits. Asks for room when something stays. Returns bytes sent.
    #[inline]
    pub(crate) fn flush(&mut self, out: &mut Outbox) -> usize {
        if let Some(only) = self.reply.take_constant(self.room) {
            self.room -= only.len();
            self.net_out += only.len() as u64;
            out.send(self.fd, Bytes::from_static(only));
            return only.len();
        }
        self.flush_more(out)
    }

    fn flush_more(&mut self, out: &mut Outbox) -> usize {
        let mut sent = 0;
        while !self.reply.is_empty() && self.room > 0 {
            let data = self.reply.take(self.room);
            self.room -= data.len();
            sent += data.len();
            out.send(self.fd, data);
        }
        if !self.reply.is_empty() && !self.flags.has(Flags::AWAITS_ROOM) {
            self.flags.set(Flags::AWAITS_ROOM);
            out.await_writable(self.fd);
        }
        self.net_out += sent as u64;
        sent
    }
}

/// Ids that a real process has given to its own scripting clients before the first connection.
const INTERNAL_CLIENTS: u64 = 2;

/// All sessions, by descriptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    /// Descriptors in order of creation: the order of CLIENT LIST.
    order: Vec<Fd>,
    /// Sessions that have something to flush at the end of the turn, in the order they got it.
    pub pending_writes: Vec<Fd>,
    /// The session of the running script; its descriptor is [`super::scripting::SCRIPT`].
    pub(crate) script: Option<Box<Session>>,
    /// How many there have been.
    created: u64,
    /// There has been a session with an id older than those before it.
    returned: bool,
    /// What all take together.
    pub(super) tally: Tally,
}

impl Sessions {
    /// Adds one; it gets the next id.
    pub(crate) fn insert(&mut self, fd: Fd, addr: Addr, laddr: Addr, now: Unix) -> &mut Session {
        let id = self.next_id();
        self.insert_as(id, fd, addr, laddr, now)
    }

    /// The id of a client that is made now (`next_client_id`).
    pub(crate) fn next_id(&mut self) -> u64 {
        self.created += 1;
        self.created + INTERNAL_CLIENTS
    }

    /// Adds one that has its id already.
    pub(crate) fn insert_as(&mut self, id: u64, fd: Fd, addr: Addr, laddr: Addr, now: Unix) -> &mut Session {
        self.returned |= id < self.created + INTERNAL_CLIENTS;
        if self.slots.len() <= fd.index() {
            self.slots.resize_with(fd.index() + 1, || None);
        }
        let slot = &mut self.slots[fd.index()];
        assert!(slot.is_none(), "{fd:?} already has a session");
        self.order.push(fd);
        let session = slot.insert(Box::new(Session::new(fd, id, addr, laddr, now)));
        self.tally.note(session);
        session
    }

    /// Removes one.
    pub(crate) fn remove(&mut self, fd: Fd) -> Option<Box<Session>> {
        let session = self.slots.get_mut(fd.index())?.take()?;
        self.order.retain(|&other| other != fd);
        self.tally.forget(&session);
        if session.flags.has(Flags::PENDING_WRITE) {
            self.pending_writes.retain(|&other| other != fd);
        }
        Some(session)
    }

    /// The descriptor of the session with an id (`lookupClientByID`). Ids grow with the order of creation, but for that of a
    /// master that has come back.
    #[must_use]
    pub(crate) fn by_id(&self, id: u64) -> Option<Fd> {
        let at = self.order.binary_search_by_key(&id, |&fd| self.at(fd).id);
        let found = at.ok().map(|at| self.order[at]);
        let any = || self.order.iter().copied().find(|&fd| self.at(fd).id == id);
        found.or_else(|| if self.returned { any() } else { None })
    }

    /// The session of a descriptor.
    #[must_use]
    pub(crate) fn get(&self, fd: Fd) -> Option<&Session> {
        match self.slots.get(fd.index()) {
            Some(slot) => slot.as_deref(),
            None => self.script.as_deref().filter(|script| script.fd == fd),
        }
    }

    /// The session of a descriptor.
    pub(crate) fn get_mut(&mut self, fd: Fd) -> Option<&mut Session> {
        match self.slots.get_mut(fd.index()) {
            Some(slot) => slot.as_deref_mut(),
            None => self.script.as_deref_mut().filter(|script| script.fd == fd),
        }
    }

    /// The session of a descriptor that is known to have one.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub(crate) fn at(&self, fd: Fd) -> &Session {
        self.get(fd).expect("the session exists while its command runs")
    }

    /// The session of a descriptor that is known to have one.
    ///
    /// # Panics
    /// When it has none.
    pub(crate) fn at_mut(&mut self, fd: Fd) -> &mut Session {
        self.get_mut(fd).expect("the session exists while its command runs")
    }

    /// How many.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// All in order of creation.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.order.iter().map(|&fd| self.at(fd))
    }

    /// Marks a session as having something to flush at the end of the turn.
    pub(crate) fn want_write(&mut self, fd: Fd) {
        if let Some(session) = self.slots.get_mut(fd.index()).and_then(Option::as_deref_mut) {
            self.tally.note(session);
            if !session.flags.has(Flags::PENDING_WRITE) {
                session.flags.set(Flags::PENDING_WRITE);
                self.pending_writes.push(fd);
            }
        }
    }

    /// What a session takes has changed.
    #[inline]
    pub(crate) fn changed(&mut self, fd: Fd) {
        if let Some(session) = self.slots.get_mut(fd.index()).and_then(Option::as_deref_mut) {
            self.tally.note(session);
        }
    }

    /// The same of all.
    pub(super) fn all_changed(&mut self) {
        for session in self.slots.iter_mut().filter_map(Option::as_deref_mut) {
            self.tally.note(session);
        }
    }

    /// Nobody wants to know any more what sessions take.
    pub(super) fn stop_tally(&mut self) {
        self.tally = Tally::default();
        for session in self.slots.iter_mut().filter_map(Option::as_deref_mut) {
            session.counted = Counted::default();
        }
    }

    /// The sums, and the session of a descriptor that is known to have one.
    pub(super) fn tally_and(&mut self, fd: Fd) -> (&mut Tally, &mut Session) {
        let session = self.slots[fd.index()].as_deref_mut().expect("it was looked at");
        (&mut self.tally, session)
    }
}
