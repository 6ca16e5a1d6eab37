//! The connection that carries a client's operations: opening, greeting, sending within the socket's room.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::config::ClientConfig;
use crate::id::{Addr, Fd};
use crate::node::{Outbox, SOCKET_ROOM, Short};
use crate::resp::{ReplyReader, Value, encode};
use crate::time::Instant;

/// What the server at the other end must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Whatever answers.
    Anyone,
    /// A master by its own account.
    Master,
    /// A replica by its own account.
    Replica,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is none.
    Down,
    /// The TCP handshake is under way.
    Connecting,
    /// HELLO, AUTH, SELECT, ROLE are sent; some replies are missing.
    Greeting,
    /// Operations may be sent.
    Ready,
}

/// One request of the greeting, in the order they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hello,
    Auth,
    Select,
    Role,
}

/// How a greeting went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeted {
    /// Replies are missing.
    NotYet,
    /// All is well; these bytes came behind the last reply.
    Ready(Bytes),
    /// The server isn't what it should be.
    WrongRole,
    /// The server refused a step or spoke nonsense.
    Failed(String),
}

/// The connection to the server, whichever that is at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) fd: Option<Fd>,
    /// The server; meaningful unless `stage` is down.
    pub(crate) peer: Addr,
    pub(crate) stage: Stage,
    wanted: Wanted,
    /// When connecting and greeting must be done.
    pub(crate) deadline: Instant,
    greeting: SmallVec<[Step; 4]>,
    reader: ReplyReader,
    /// The start of a reply whose end hasn't arrived.
    pub(crate) partial: BytesMut,
    /// Requests of this turn, sent together; and what a full socket didn't take.
    wire: BytesMut,
    /// What the socket still takes.
    room: usize,
    /// The socket is full and has been asked to say when it isn't.
    blocked: bool,
}

/// Requests of a turn together up to this size are copied out, so that the buffer's memory is used again at once and
/// nothing is counted by whom it is shared; longer ones take the memory with them.
const COPIED: usize = 1_024;

impl Connection {
    pub(crate) fn new() -> Connection {
        Connection {
            fd: None,
            peer: Addr::default(),
            stage: Stage::Down,
            wanted: Wanted::Anyone,
            deadline: Instant::NEVER,
            greeting: SmallVec::new(),
            reader: ReplyReader::default(),
            partial: BytesMut::new(),
            wire: BytesMut::new(),
            room: 0,
            blocked: false,
        }
    }

    /// Opens a connection to `peer`.
    pub(crate) fn open(&mut self, peer: Addr, wanted: Wanted, deadline: Instant, out: &mut Outbox) {
        assert!(self.stage == Stage::Down, "the old connection is closed first");
        self.fd = Some(out.connect(peer));
        (self.peer, self.wanted, self.stage, self.deadline) = (peer, wanted, Stage::Connecting, deadline);
        (self.room, self.blocked) = (SOCKET_ROOM, false);
    }

    /// TCP is up: sends the greeting in one packet. True when there is nothing to greet with.
    pub(crate) fn greet(&mut self, config: &ClientConfig, out: &mut Outbox) -> bool {
        assert!(self.stage == Stage::Connecting, "a connection opens once");
        self.greeting.clear();
        let auth = config.auth.as_ref().map(|(user, password)| (user.as_deref(), password.as_bytes()));
        if config.resp == 3 {
            let mut parts: SmallVec<[&[u8]; 5]> = SmallVec::from_slice(&[&b"HELLO"[..], b"3"]);
            if let Some((user, password)) = auth {
                parts.extend([&b"AUTH"[..], user.unwrap_or("default").as_bytes(), password]);
            }
            encode::command(&mut self.wire, &parts);
            self.greeting.push(Step::Hello);
        } else if let Some((user, password)) = auth {
            match user {
                Some(user) => encode::command(&mut self.wire, &[b"AUTH", user.as_bytes(), password]),
                None => encode::command(&mut self.wire, &[b"AUTH", password]),
            }
            self.greeting.push(Step::Auth);
        }
        if config.db != 0 {
            encode::command(&mut self.wire, &[b"SELECT", config.db.to_string().as_bytes()]);
            self.greeting.push(Step::Select);
        }
        if self.wanted != Wanted::Anyone && config.policy.check_role {
            encode::command(&mut self.wire, &[b"ROLE"]);
            self.greeting.push(Step::Role);
        }
        self.flush(out);
        self.stage = if self.greeting.is_empty() { Stage::Ready } else { Stage::Greeting };
        self.greeting.is_empty()
    }

    /// Takes bytes of the greeting's replies.
    pub(crate) fn greeted(&mut self, data: Bytes) -> Greeted {
        self.reader.feed(data);
        while let Some(&step) = self.greeting.first() {
            let reply = match self.reader.read() {
                Ok(Some(reply)) => reply,
                Ok(None) => return Greeted::NotYet,
                Err(error) => return Greeted::Failed(error.to_string()),
            };
            if let Some(message) = reply.error() {
                let step = match step {
                    Step::Hello => "HELLO",
                    Step::Auth => "AUTH",
                    Step::Select => "SELECT",
                    Step::Role => "ROLE",
                };
                return Greeted::Failed(format!("{step}: {}", String::from_utf8_lossy(message)));
            }
            if step == Step::Role && !self.wanted.accepts(&reply) {
                return Greeted::WrongRole;
            }
            self.greeting.remove(0);
        }
        self.stage = Stage::Ready;
        Greeted::Ready(self.reader.take_unread())
    }

    /// Forgets the connection; closes it if it isn't closed already.
    pub(crate) fn drop_it(&mut self, out: &mut Outbox) {
        if let Some(fd) = self.fd.take() {
            out.close(fd);
        }
        self.stage = Stage::Down;
        self.deadline = Instant::NEVER;
        self.reader = ReplyReader::default();
        self.partial.clear();
        self.wire.clear();
    }

    /// True when requests may be written. A full socket says no: then requests wait, and so can be given up.
    pub(crate) fn takes_requests(&self) -> bool {
        self.stage == Stage::Ready && !self.blocked
    }

    /// Whether this is its descriptor, and a short request can be sent at once: nothing was written or read in part.
    #[inline]
    pub(crate) fn is_clear(&self, fd: Fd) -> bool {
        self.fd == Some(fd)
            && self.takes_requests()
            && self.wire.is_empty()
            && self.partial.is_empty()
            && self.room >= Short::MAX
    }

    /// What the socket still takes, as far as is known.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// A request of that many bytes has been sent without being written here.
    #[inline]
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.room -= bytes;
    }

    /// Adds a request.
    pub(crate) fn write(&mut self, request: &[u8]) {
        self.wire.extend_from_slice(request);
    }

    /// The socket takes bytes again.
    pub(crate) fn on_writable(&mut self, room: usize) {
        (self.room, self.blocked) = (room, false);
    }

    /// Sends what was written in this turn, as far as the socket takes it; the rest waits here.
    #[inline]
    pub(crate) fn flush(&mut self, out: &mut Outbox) {
        if self.wire.is_empty() || self.blocked {
            return;
        }
        let Some(fd) = self.fd else { return };
        if self.wire.len() <= self.room.min(COPIED) {
            self.room -= self.wire.len();
            out.send(fd, Bytes::copy_from_slice(&self.wire));
            self.wire.clear();
        } else if self.wire.len() <= self.room {
            self.room -= self.wire.len();
            out.send(fd, self.wire.split().freeze());
        } else {
            out.send(fd, self.wire.split_to(self.room).freeze());
            out.await_writable(fd);
            (self.room, self.blocked) = (0, true);
        }
    }
}

impl Wanted {
    /// Whether a reply to ROLE is what is wanted.
    fn accepts(self, role: &Value) -> bool {
        let name = role.items().and_then(|items| items.first()).and_then(Value::text);
        match self {
            Wanted::Anyone => true,
            Wanted::Master => name == Some(b"master"),
            Wanted::Replica => name == Some(b"slave"),
        }
    }
}
