//! A streak: every write is acknowledged and the next one follows at once, and nothing else happens to the client. What
//! these turns look at and change lies together; when anything else happens it goes to where everybody else looks for it.

use super::Client;
use super::operations::{Request, Sent};
use super::workload::kv::Op;
use crate::id::{Addr, Fd};
use crate::node::{Outbox, Short};
use crate::time::{Instant, Now, Span};
use crate::trace::Often;
use crate::trace::event::OpKind;

/// No connection has this descriptor.
const NOBODY: Fd = Fd(u32::MAX);

/// Where a streak stands. It fills a cache line.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Streak {
    /// The connection.
    fd: Fd,
    /// How many more requests the socket certainly has room for.
    left: u32,
    /// The key of the write that is in flight, the newest one.
    key: u32,
    /// Writes since the streak began, and their bytes.
    count: u32,
    bytes: u32,
    deadline: Instant,
    alarm: Instant,
    stop: Instant,
    timeout: Span,
    peer: Addr,
}

impl Default for Streak {
    fn default() -> Self {
        Streak {
            fd: NOBODY,
            left: 0,
            key: 0,
            count: 0,
            bytes: 0,
            deadline: Instant::NEVER,
            alarm: Instant::NEVER,
            stop: Instant::ZERO,
            timeout: Span::ZERO,
            peer: Addr::default(),
        }
    }
}

impl Streak {
    /// What is in flight, given the newest operation's number; `None`: there is no streak, which knows.
    pub(crate) fn in_flight(&self, newest: u64) -> Option<Op> {
        (self.fd != NOBODY).then_some(Op { number: newest, key: self.key, retries: 0, f: OpKind::Write })
    }

    /// When the client must wake; `None`: there is no streak, which knows.
    #[inline]
    pub(crate) fn alarm(&self) -> Option<Instant> {
        (self.fd != NOBODY).then_some(self.alarm)
    }
}

impl Client {
    /// The whole turn of an acknowledged write and the next one ([`crate::node::Node::quick_turn`]).
    #[inline]
    pub(super) fn next_of_streak(&mut self, now: Now, fd: Fd, data: &[u8], out: &mut Outbox) -> bool {
        let Client { streak, kv, .. } = self;
        if streak.fd != fd || streak.left == 0 || streak.alarm <= now.mono || now.mono >= streak.stop {
            return self.first_of_streak(now, fd, data, out);
        }
        if data != b"+OK\r\n" {
            return false;
        }
        out.note_often(Often::Ok { op: kv.newest(), value: None, server: streak.peer, replicas: None });
        let op = kv.draw_write();
        let value = kv.value(op);
        let request = kv.request(op);
        out.note_often(Often::Invoke { op: op.number, f: OpKind::Write, key: op.key, value, hash: request.hash() });
        let quick = &mut out.quick;
        quick.fd = Some(fd);
        let len = request.put_into(&mut quick.message);
        kv.prepare_write();
        // Both are limited by `left`.
        #[allow(clippy::cast_possible_truncation, reason = "a short message")]
        let len = len as u32;
        streak.bytes = streak.bytes.wrapping_add(len);
        streak.count = streak.count.wrapping_add(1);
        streak.left -= 1;
        streak.key = op.key;
        streak.deadline = now.mono + streak.timeout;
        streak.alarm = streak.alarm.min(streak.deadline);
        (quick.busy, quick.busy_after, quick.wake) = (Span::ZERO, Span::ZERO, streak.alarm);
        true
    }

    /// The same for a turn that may begin a streak.
    #[inline(never)]
    fn first_of_streak(&mut self, now: Now, fd: Fd, data: &[u8], out: &mut Outbox) -> bool {
        self.end_streak();
        let done = self.next_write(now, fd, data, out);
        if done && out.quick.fd == Some(fd) {
            self.begin_streak(fd);
        }
        done
    }

    fn begin_streak(&mut self, fd: Fd) {
        let [Sent { request: Request::Op(op), deadline }] = self.operations.sent.make_contiguous() else { return };
        let longest = Short::MAX;
        // In every turn there must be room for one more.
        let left = (self.connection.room() / longest).saturating_sub(1);
        if self.kv.only_writes()
            && op.f == OpKind::Write
            && op.number == self.kv.newest()
            && op.retries == 0
            && self.pacer.follows_at_once()
        {
            self.streak = Streak {
                fd,
                // So many that their bytes can be counted.
                left: u32::try_from(left).unwrap_or(u32::MAX).min(u32::MAX / 128),
                key: op.key,
                count: 0,
                bytes: 0,
                deadline: *deadline,
                alarm: self.alarm,
                stop: self.pacer.stop(),
                timeout: self.config.policy.timeout,
                peer: self.connection.peer,
            };
        }
    }

    /// Something else happens: what the streak knows goes to where it belongs.
    #[inline]
    pub(super) fn end_streak(&mut self) {
        if self.streak.fd != NOBODY {
            self.account_for_streak();
        }
    }

    #[inline(never)]
    fn account_for_streak(&mut self) {
        let Streak { key, deadline, alarm, count, bytes, .. } = std::mem::take(&mut self.streak);
        if count == 0 {
            return;
        }
        let op = Op { number: self.kv.newest(), key, retries: 0, f: OpKind::Write };
        let sent = self.operations.sent.front_mut().expect("one is in flight as long as the streak lasts");
        *sent = Sent { request: Request::Op(op), deadline };
        self.connection.wrote(bytes as usize);
        self.alarm = alarm;
    }
}
