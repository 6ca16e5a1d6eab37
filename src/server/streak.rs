//! A streak: one session does nothing but SET, and nothing else happens to the server. What these turns look at and count
//! lies together; when anything else happens it goes to where everybody else looks for it.

use super::cron::Plan;
use super::express::{OK, SET, WRITE_OK};
use super::keyspace::value::EMBSTR_MAX;
use super::{Server, cost};
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::short_set;
use crate::time::{Instant, Now, Span, Unix};
use crate::trace::Often;
use crate::trace::digest::hash_pair;

/// No session has this descriptor.
const NOBODY: Fd = Fd(u32::MAX);

/// Where a streak stands.
#[derive(Clone, Debug)]
pub(crate) struct Streak {
    /// Whose it is.
    fd: Fd,
    /// The database.
    db: u32,
    /// How many more requests it can have before somebody has to look at more than it knows.
    left: u32,
    /// Requests that are not yet accounted for, and their bytes.
    count: u32,
    bytes: u64,
    /// What copying them cost, once for each time.
    copied: u64,
    now: Now,
    plan: Plan,
    offset: u64,
    /// Whose request was the newest that went the short way.
    newest: Fd,
}

impl Default for Streak {
    fn default() -> Self {
        let now = Now { mono: Instant::ZERO, unix: Unix(0) };
        Streak {
            fd: NOBODY,
            db: 0,
            left: 0,
            count: 0,
            bytes: 0,
            copied: 0,
            now,
            plan: Plan::NONE,
            offset: 0,
            newest: NOBODY,
        }
    }
}

impl Streak {
    /// When the server must wake; `None`: there is no streak, which knows.
    #[inline]
    pub(crate) fn wake(&self) -> Option<Instant> {
        (self.fd != NOBODY).then_some(self.plan.due)
    }
}

impl Server {
    /// The whole turn of one SET ([`crate::node::Node::quick_turn`]).
    #[inline]
    pub(crate) fn quick_set(&mut self, now: Now, fd: Fd, data: &[u8], out: &mut Outbox) -> bool {
        let Server { streak, keyspace, .. } = self;
        if streak.fd != fd || streak.left == 0 || now.mono >= streak.plan.next {
            return self.first_set(now, fd, data, out);
        }
        let Some((key, text)) = short_set(data) else { return false };
        if text.len() > EMBSTR_MAX || !keyspace.db_mut(streak.db).set_text(key, text, super::eviction::uncounted(now)) {
            return false;
        }
        let copied = data.len() as u64 / 16 * cost::COPY_16;
        streak.left -= 1;
        // Both are limited by `left`.
        streak.count = streak.count.wrapping_add(1);
        streak.bytes = streak.bytes.wrapping_add(data.len() as u64);
        streak.copied = streak.copied.wrapping_add(copied);
        streak.now = now;
        streak.plan.go_on(now.mono);
        out.note_often(Often::Write { op: hash_pair(key, text), offset: streak.offset });
        let quick = &mut out.quick;
        quick.busy = Span::from_ns(cost::READ + cost::COMMAND + 2 * copied);
        quick.busy_after = Span::from_ns(WRITE_OK);
        quick.fd = Some(fd);
        assert!(quick.message.set(OK), "it is short");
        quick.wake = streak.plan.due;
        true
    }

    /// The same for one that may begin a streak.
    #[inline(never)]
    fn first_set(&mut self, now: Now, fd: Fd, data: &[u8], out: &mut Outbox) -> bool {
        self.end_streak();
        let done = self.swift_set(now, fd, data, out);
        if done {
            if self.streak.newest == fd {
                self.begin_streak(fd);
            }
            self.streak.newest = fd;
        }
        done
    }

    fn begin_streak(&mut self, fd: Fd) {
        let (Some(session), Some((plan, changes))) = (self.sessions.get(fd), self.cron.plan(self.exec.dirty)) else {
            return;
        };
        let left = changes.min((session.room / OK.len()) as u64);
        if self.meter.is_unscaled() {
            let streak = &mut self.streak;
            (streak.fd, streak.db, streak.plan) = (fd, session.db, plan);
            streak.left = u32::try_from(left).unwrap_or(u32::MAX);
            (streak.now, streak.offset) = (self.now, self.repl.offset());
        }
    }

    /// Something else happens: what the streak knows is accounted for.
    #[inline]
    pub(crate) fn end_streak(&mut self) {
        if self.streak.fd != NOBODY {
            self.account_for_streak();
        }
    }

    #[inline(never)]
    fn account_for_streak(&mut self) {
        let newest = self.streak.newest;
        let streak = std::mem::replace(&mut self.streak, Streak { newest, ..Streak::default() });
        let Streak { fd, bytes, copied, now, plan, offset, .. } = streak;
        let count = u64::from(streak.count);
        if count == 0 {
            return;
        }
        self.now = now;
        self.meter.spend([count * cost::READ + copied, count * cost::COMMAND + copied, count * WRITE_OK]);
        let stat = &mut self.stats.commands[SET.id];
        stat.calls += count;
        stat.ns += count * cost::COMMAND + copied;
        let sent = count * OK.len() as u64;
        self.stats.num_commands += count;
        self.stats.net_in += bytes;
        self.stats.reads += count;
        self.stats.net_out += sent;
        self.stats.writes += count;
        self.exec.dirty += count;
        self.cron.resume(&plan);
        self.wake = self.cron.due();
        let session = self.sessions.at_mut(fd);
        let lengths = [bytes, sent].map(|bytes| usize::try_from(bytes).expect("less than a socket has room for"));
        session.answer_swiftly(SET.spec.name, now.unix, (lengths[0], lengths[1]), offset);
    }
}
