//! A streak: one session does nothing but SET, and nothing else happens to the server. What these turns look at and count
//! lies together; when anything else happens it goes to where everybody else looks for it.

use super::cron::Plan;
use super::express::{OK, OK_MESSAGE, SET, WRITE_OK};
use super::keyspace::value::EMBSTR_MAX;
use super::keyspace::{Db, hash_key};
use super::{Server, cost};
use crate::id::Fd;
use crate::node::{Outbox, Preview, Short};
use crate::resp::short_set;
use crate::time::{Instant, Now, Span, Unix};
use crate::trace::Often;
use crate::trace::digest::hash_pair;

/// No session that can have a streak has this descriptor.
const NOBODY: u16 = u16::MAX;

/// Where a streak stands. What each request looks at fills a cache line.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Streak {
    /// Whose it is: a descriptor, and the database.
    fd: u16,
    db: u16,
    /// How many more requests it can have before somebody has to look at more than it knows.
    left: u32,
    /// The bytes of those that it had, and how many times 16 of them there were in one.
    bytes: u32,
    copied: u32,
    /// When the newest one came.
    mono: Instant,
    plan: Plan,
    offset: u64,
    /// What the other clock is ahead: nobody has touched it since the streak began.
    ahead: u64,
    /// How many requests it can have in all.
    longest: u32,
    /// Whose request was the newest that went the short way.
    newest: Option<Fd>,
}

/// A SET for a database, if it is one.
#[inline(always)]
fn read_set(db: &Db, data: &[u8]) -> Option<Preview> {
    let set = short_set(data)?;
    let hash = hash_key(set[0].of(data));
    Some(Preview { set, hash, hint: db.look_ahead(hash) })
}

/// A streak has at most so many requests: their bytes can be counted.
const LONGEST: u32 = u32::MAX / 128;
const _: () = assert!(Short::MAX < 128);

impl Default for Streak {
    fn default() -> Self {
        Streak {
            fd: NOBODY,
            db: 0,
            left: 0,
            bytes: 0,
            copied: 0,
            mono: Instant::ZERO,
            plan: Plan::NONE,
            offset: 0,
            ahead: 0,
            longest: 0,
            newest: None,
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
    pub(crate) fn quick_set(
        &mut self,
        now: Now,
        fd: Fd,
        data: &[u8],
        preview: Option<&Preview>,
        out: &mut Outbox,
    ) -> bool {
        let Server { streak, keyspace, .. } = self;
        if u32::from(streak.fd) != fd.0 || streak.left == 0 || now.mono >= streak.plan.next {
            return self.first_set(now, fd, data, out);
        }
        let db = keyspace.db_mut(streak.db.into());
        let Some(Preview { set, hash, hint }) = preview.copied().or_else(|| read_set(db, data)) else { return false };
        debug_assert_eq!(short_set(data), Some(set), "it was made of the same bytes");
        let [key, text] = set.map(|part| part.of(data));
        if text.len() > EMBSTR_MAX || !db.set_text((hash, hint), key, text, super::eviction::uncounted(now)) {
            return false;
        }
        let copied = data.len() as u64 / 16 * cost::COPY_16;
        streak.left -= 1;
        // All are limited by `left`.
        #[allow(clippy::cast_possible_truncation, reason = "a short message")]
        let len = data.len() as u32;
        streak.bytes = streak.bytes.wrapping_add(len);
        streak.copied = streak.copied.wrapping_add(len / 16);
        streak.mono = now.mono;
        streak.plan.go_on(now.mono);
        out.note_often(Often::Write { op: hash_pair(key, text), offset: streak.offset });
        let quick = &mut out.quick;
        quick.busy = Span::from_ns(cost::READ + cost::COMMAND + 2 * copied);
        quick.busy_after = Span::from_ns(WRITE_OK);
        quick.fd = Some(fd);
        quick.message.copy_from(&OK_MESSAGE);
        quick.wake = streak.plan.due;
        true
    }

    /// What [`Server::quick_set`] will read, and has at hand then ([`crate::node::Node::look_ahead`]).
    #[inline]
    pub(crate) fn preview_set(&self, data: &[u8]) -> Option<Preview> {
        let Server { streak, keyspace, .. } = self;
        if streak.fd == NOBODY {
            return None;
        }
        read_set(keyspace.db(streak.db.into()), data)
    }

    /// The same for one that may begin a streak.
    #[inline(never)]
    fn first_set(&mut self, now: Now, fd: Fd, data: &[u8], out: &mut Outbox) -> bool {
        self.end_streak();
        let done = self.swift_set(now, fd, data, out);
        if done {
            if self.streak.newest == Some(fd) {
                self.begin_streak(fd);
            }
            self.streak.newest = Some(fd);
        }
        done
    }

    fn begin_streak(&mut self, fd: Fd) {
        let (Some(session), Some((plan, changes))) = (self.sessions.get(fd), self.cron.plan(self.exec.dirty)) else {
            return;
        };
        let left = changes.min((session.room / OK.len()) as u64);
        let number = u16::try_from(fd.0).ok().filter(|&number| number != NOBODY);
        if let (Some(number), Ok(db), true) = (number, session.db.try_into(), self.meter.is_unscaled()) {
            let streak = &mut self.streak;
            (streak.fd, streak.db, streak.plan) = (number, db, plan);
            streak.longest = u32::try_from(left).unwrap_or(u32::MAX).min(LONGEST);
            streak.left = streak.longest;
            (streak.mono, streak.offset) = (self.now.mono, self.repl.offset());
            streak.ahead = self.now.unix.0.wrapping_sub(self.now.mono.0);
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
        let Streak { mono, plan, offset, .. } = streak;
        let (fd, count, bytes) =
            (Fd(streak.fd.into()), u64::from(streak.longest - streak.left), u64::from(streak.bytes));
        let copied = u64::from(streak.copied) * cost::COPY_16;
        let now = Now { mono, unix: Unix(mono.0.wrapping_add(streak.ahead)) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_request_looks_at_is_one_line() {
        assert!(std::mem::offset_of!(Streak, ahead) <= 64);
        assert_eq!(std::mem::offset_of!(Server, streak), 0);
    }
}
