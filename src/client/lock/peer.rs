//! A connection that is opened when something is asked over it: requests in order, an answer or a failure for each.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::scripts::Sent;
use crate::id::{Addr, Fd};
use crate::node::Outbox;
use crate::resp::{ReplyReader, Value, encode};
use crate::time::Instant;
use crate::trace::event::LockAnswer;

/// What came over it.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// The answer to a request, and the script's call that it was.
    Reply(u64, Value, Option<Sent>),
    /// There will be none.
    Failed(u64, LockAnswer, Option<Sent>),
    /// A message of a subscription.
    Message,
}

#[derive(Clone, Debug)]
struct Asked {
    tag: u64,
    deadline: Instant,
    call: Option<Sent>,
}

/// Stands for a request whose answer nobody waits for.
const NOBODY: u64 = u64::MAX;

/// One end of a connection to a server or to the resource.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) addr: Addr,
    fd: Option<Fd>,
    up: bool,
    auth: Option<(Option<Arc<str>>, Arc<str>)>,
    reader: ReplyReader,
    /// Requests that wait for the connection.
    wire: BytesMut,
    asked: VecDeque<Asked>,
}

impl Peer {
    pub(super) fn new(addr: Addr, auth: Option<(Option<Arc<str>>, Arc<str>)>) -> Peer {
        Peer {
            addr,
            fd: None,
            up: false,
            auth,
            reader: ReplyReader::default(),
            wire: BytesMut::new(),
            asked: VecDeque::new(),
        }
    }

    pub(super) fn owns(&self, fd: Fd) -> bool {
        self.fd == Some(fd)
    }

    /// There is a connection, or one is being made.
    pub(super) fn is_open(&self) -> bool {
        self.fd.is_some()
    }

    /// Makes the connection before there is anything to ask.
    pub(super) fn open(&mut self, out: &mut Outbox) {
        if self.fd.is_none() {
            self.fd = Some(out.connect(self.addr));
        }
    }

    /// Asks; the answer or the failure will carry the tag.
    pub(super) fn ask(&mut self, tag: u64, request: &[&[u8]], deadline: Instant, out: &mut Outbox) {
        if self.fd.is_none() {
            self.fd = Some(out.connect(self.addr));
            if let Some((user, password)) = self.auth.clone() {
                match &user {
                    Some(user) => {
                        encode::command(&mut self.wire, &[b"AUTH", user.as_bytes(), password.as_bytes()]);
                    }
                    None => encode::command(&mut self.wire, &[b"AUTH", password.as_bytes()]),
                }
                self.asked.push_back(Asked { tag: NOBODY, deadline: Instant::NEVER, call: None });
            }
        }
        encode::command(&mut self.wire, request);
        self.asked.push_back(Asked { tag, deadline, call: None });
        self.flush(out);
    }

    /// Calls a script; the answer or the failure will carry the tag and the call.
    pub(super) fn call(&mut self, tag: u64, sent: Sent, now: Instant, out: &mut Outbox) {
        let deadline = sent.until.unwrap_or(now + sent.patience);
        self.ask(tag, &sent.words(), deadline, out);
        if let Some(asked) = self.asked.back_mut() {
            asked.call = Some(sent);
        }
    }

    /// Asks and does not care for the answer; nothing if there is no connection.
    pub(super) fn tell(&mut self, request: &[&[u8]], out: &mut Outbox) {
        if self.fd.is_some() {
            self.ask(NOBODY, request, Instant::NEVER, out);
        }
    }

    fn flush(&mut self, out: &mut Outbox) {
        if let (true, Some(fd)) = (self.up, self.fd) {
            out.send(fd, self.wire.split().freeze());
        }
    }

    pub(super) fn on_connected(&mut self, out: &mut Outbox) {
        self.up = true;
        self.flush(out);
    }

    pub(super) fn on_bytes(&mut self, data: Bytes, out: &mut Outbox) -> Vec<Heard> {
        let mut heard = Vec::new();
        self.reader.feed(data);
        loop {
            match self.reader.read() {
                Ok(Some(value)) if is_message(&value) => heard.push(Heard::Message),
                Ok(Some(value)) => match self.asked.pop_front() {
                    Some(Asked { tag: NOBODY, .. }) => {}
                    Some(Asked { tag, call, .. }) => heard.push(Heard::Reply(tag, value, call)),
                    None => break,
                },
                Ok(None) => return heard,
                Err(_) => break,
            }
        }
        // Not the protocol: the connection can't be used any more.
        heard.extend(self.close(LockAnswer::Unreachable, out));
        heard
    }

    /// It was refused or ended; the descriptor is closed already.
    pub(super) fn on_gone(&mut self) -> Vec<Heard> {
        self.fd = None;
        self.forget(LockAnswer::Unreachable)
    }

    /// Closes it; what was asked fails.
    pub(super) fn close(&mut self, answer: LockAnswer, out: &mut Outbox) -> Vec<Heard> {
        if let Some(fd) = self.fd.take() {
            out.close(fd);
        }
        self.forget(answer)
    }

    fn forget(&mut self, answer: LockAnswer) -> Vec<Heard> {
        self.up = false;
        self.reader = ReplyReader::default();
        self.wire.clear();
        let asked = std::mem::take(&mut self.asked);
        let cared_for = asked.into_iter().filter(|asked| asked.tag != NOBODY);
        cared_for.map(|asked| Heard::Failed(asked.tag, answer, asked.call)).collect()
    }

    /// When somebody's patience ends.
    pub(super) fn wake_at(&self) -> Instant {
        self.asked.iter().map(|asked| asked.deadline).min().unwrap_or(Instant::NEVER)
    }

    /// Gives up the connection when an answer is late: replies can't be matched to requests after that.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Outbox) -> Vec<Heard> {
        if self.wake_at() > now { Vec::new() } else { self.close(LockAnswer::Timeout, out) }
    }
}

fn is_message(value: &Value) -> bool {
    value.items().and_then(|items| items.first()).and_then(Value::text) == Some(b"message")
}
