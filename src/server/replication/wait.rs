//! WAIT: clients that wait until enough replicas have acknowledged their writes.

use super::master;
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::encode;
use crate::server::session::Flags;
use crate::server::{Server, persistence};
use crate::time::{Instant, Span};

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

/// `WAIT <replicas> <milliseconds>` of a client whose last write reached `offset`: `Some` is the answer, `None` means that it
/// is blocked from now on.
pub(crate) fn wait(s: &mut Server, fd: Fd, replicas: i64, timeout_ms: u64) -> Option<u64> {
    let session = s.sessions.at(fd);
    let (offset, in_multi) = (session.woff, s.exec.in_exec);
    let acked = acknowledged(s, offset);
    if in_multi || i64::try_from(acked).is_ok_and(|acked| acked >= replicas) {
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
    for waiter in s.repl.waiting.clone() {
        let acked = acknowledged(s, waiter.offset);
        let enough = i64::try_from(acked).is_ok_and(|acked| acked >= waiter.replicas);
        let over = waiter.until_ms.is_some_and(|until| until < now);
        if enough || over {
            s.repl.waiting.retain(|other| other.fd != waiter.fd);
            if let Some(session) = s.sessions.get_mut(waiter.fd) {
                encode::integer(session.reply.tail(), i64::try_from(acked).unwrap_or(i64::MAX));
            }
            s.unblock(waiter.fd);
        }
    }
}

/// CLIENT UNBLOCK of a session in WAIT: answers it as at its time-out, or with an error, and lets it go on.
pub(crate) fn unblock_client(s: &mut Server, fd: Fd, error: bool, _out: &mut Outbox) {
    let Some(index) = s.repl.waiting.iter().position(|waiter| waiter.fd == fd) else { return };
    let waiter = s.repl.waiting.remove(index);
    let acked = acknowledged(s, waiter.offset);
    if let Some(session) = s.sessions.get_mut(fd) {
        if error {
            encode::error(session.reply.tail(), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
        } else {
            encode::integer(session.reply.tail(), i64::try_from(acked).unwrap_or(i64::MAX));
        }
    }
    s.unblock(fd);
}

/// A master becomes a replica: whoever waits for acknowledgements is sent away (`disconnectAllBlockedClients`).
pub(super) fn disconnect_all(s: &mut Server) {
    for waiter in std::mem::take(&mut s.repl.waiting) {
        if let Some(session) = s.sessions.get_mut(waiter.fd) {
            encode::error(
                session.reply.tail(),
                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            );
            session.flags.set(Flags::CLOSE_AFTER_REPLY);
        }
        s.unblock(waiter.fd);
    }
}

/// The earliest timer: WAIT's time-outs, which are looked at whenever the event loop turns, at the latest at a tick; and
/// a load that goes on.
pub(crate) fn next_timer(s: &Server) -> Option<Instant> {
    if s.persistence.is_loading() {
        return Some(s.now.mono);
    }
    let until = s.repl.waiting.iter().filter_map(|waiter| waiter.until_ms).min()?;
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
