//! WAIT: clients that wait until enough replicas have acknowledged their writes.

use super::master;
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::encode;
use crate::server::session::Flags;
use crate::server::{Server, persistence};
use crate::time::{Instant, NS_PER_MS, Span};

/// Times beyond this, in wall-clock milliseconds, don't come.
const NEVER_MS: u64 = u64::MAX / NS_PER_MS - 1;

/// A client that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(super) fd: Fd,
    /// The offset that must be acknowledged.
    offset: u64,
    /// By how many replicas.
    replicas: i64,
    /// Until when, in wall-clock milliseconds; `None`: for ever.
    until_ms: Option<u64>,
}

impl Waiter {
    fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until| until < now_ms)
    }
}

/// `WAIT <replicas> <milliseconds>` of a client whose last write reached `offset`: `Some` is the answer, `None` means that it
/// is blocked from now on.
pub(crate) fn wait(s: &mut Server, fd: Fd, replicas: i64, timeout_ms: u64) -> Option<u64> {
    let session = s.sessions.at(fd);
    let (offset, in_multi) = (session.woff, s.exec.in_exec);
    let acked = acknowledged(s, offset);
    if in_multi || suffices(acked, replicas) {
        return Some(acked);
    }
    let until_ms = (timeout_ms > 0).then(|| s.now.unix.ms().saturating_add(timeout_ms));
    s.sessions.at_mut(fd).flags.set(Flags::BLOCKED);
    s.repl.waiting.insert(0, Waiter { fd, offset, replicas, until_ms });
    s.repl.get_ack = true;
    None
}

/// How many replicas have acknowledged an offset (`replicationCountAcksByOffset`).
fn acknowledged(s: &Server, offset: u64) -> u64 {
    s.repl.replicas.iter().filter(|replica| replica.is_online() && replica.acked >= offset).count() as u64
}

/// Answers those whose time is over, then those who have what they waited for (`handleBlockedClientsTimeout`,
/// `processClientsWaitingReplicas`).
pub(super) fn process(s: &mut Server, _out: &mut Outbox) {
    let now = s.now.unix.ms();
    let mut over: Vec<Waiter> = s.repl.waiting.iter().copied().filter(|waiter| waiter.is_over(now)).collect();
    over.sort_by_key(|waiter| waiter.until_ms);
    for waiter in over {
        let acked = acknowledged(s, waiter.offset);
        answer(s, waiter.fd, acked);
    }
    // Who wants no more than the last one who was satisfied is told what that one was, though it may be too little.
    let mut last: Option<Satisfied> = None;
    for waiter in s.repl.waiting.clone() {
        let known = last.filter(|last| last.offset >= waiter.offset && suffices(last.acked, waiter.replicas));
        if let Some(last) = known {
            answer(s, waiter.fd, last.acked);
            continue;
        }
        let acked = acknowledged(s, waiter.offset);
        if suffices(acked, waiter.replicas) {
            last = (waiter.offset > 0).then_some(Satisfied { offset: waiter.offset, acked });
            answer(s, waiter.fd, acked);
        }
    }
}

/// The last client of a sweep that had what it waited for.
#[derive(Clone, Copy)]
struct Satisfied {
    offset: u64,
    acked: u64,
}

fn suffices(acked: u64, replicas: i64) -> bool {
    i64::try_from(acked).is_ok_and(|acked| acked >= replicas)
}

/// The end of a client's WAIT.
fn answer(s: &mut Server, fd: Fd, acked: u64) {
    forget(s, fd);
    if let Some(session) = s.sessions.get_mut(fd) {
        let len = session.reply.len();
        encode::integer(session.reply.tail(), i64::try_from(acked).unwrap_or(i64::MAX));
        s.mute(fd, len);
    }
    s.unblock(fd);
}

/// How many replicas have acknowledged what a client in WAIT waits for; `None`: it isn't in WAIT.
pub(crate) fn acknowledged_for(s: &Server, fd: Fd) -> Option<u64> {
    let waiter = s.repl.waiting.iter().find(|waiter| waiter.fd == fd)?;
    Some(acknowledged(s, waiter.offset))
}

/// A client doesn't wait for acknowledgements any more.
pub(crate) fn forget(s: &mut Server, fd: Fd) {
    s.repl.waiting.retain(|waiter| waiter.fd != fd);
}

/// How many clients in WAIT have a time-out.
pub(crate) fn timed(s: &Server) -> usize {
    s.repl.waiting.iter().filter(|waiter| waiter.until_ms.is_some()).count()
}

/// The earliest timer: time-outs of those who wait, which are looked at whenever the event loop turns, at the latest at a tick; and
/// a load that goes on.
pub(crate) fn next_timer(s: &Server) -> Option<Instant> {
    if s.persistence.is_loading() {
        return Some(s.now.mono);
    }
    let waiting = s.repl.waiting.iter().filter_map(|waiter| waiter.until_ms);
    let until = waiting.chain(s.blocking.first_deadline()).min().filter(|&until| until < NEVER_MS)?;
    // One past it: only then is it over.
    let left = Span::from_ms(until + 1).saturating_sub(Span::from_ns(s.now.unix.0));
    Some(s.cron.tick_after(s.now.mono + left, s.cron_period(), 1))
}

/// Timers of [`next_timer`] that are due: a load goes on; WAIT is looked at by the end of the turn.
pub(crate) fn on_timer(s: &mut Server, out: &mut Outbox) {
    if s.persistence.is_loading() {
        persistence::loading::go_on(s, out);
    }
}

/// A replica acknowledged something.
pub(crate) fn acknowledge(s: &mut Server, fd: Fd, offset: i64, out: &mut Outbox) {
    let now = s.now.unix.secs();
    let Some(replica) = s.repl.replicas.iter_mut().find(|replica| replica.fd == fd) else { return };
    if let Ok(offset) = u64::try_from(offset) {
        replica.acked = replica.acked.max(offset);
    }
    replica.ack_time = now;
    master::on_ack(s, fd, out);
}
