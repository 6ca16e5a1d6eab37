//! What all sessions take together, kept as they change, and which of them goes first (`updateClientMemUsageAndBucket`).
//!
//! Only while a limit asks for it. Whoever changes a session says so ([`super::session::Sessions::changed`]); its memory is
//! worked out when the sums are wanted next. What the timer of a real server would shrink later is looked at again for a
//! while, as often as that timer would come.

use std::collections::BTreeSet;

use super::Server;
use super::clients::is_replica;
use super::session::{Flags, Session};
use crate::id::Fd;
use crate::node::Outbox;

/// Sessions are told apart by the power of two below their memory, between these two.
const LOGS: (u32, u32) = (14, 32);

/// Milliseconds beyond the time that a long reply is remembered for, after which a session that does nothing takes what it
/// will take.
const SETTLES: u64 = 4_000;

/// What of a session is in the sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    bytes: u64,
    /// Whether `maxmemory-clients` counts it.
    limited: bool,
    /// Its place among those that may go.
    rank: Option<Rank>,
    /// It is in the list of those that changed, and of those that may shrink.
    changed: bool,
    young: bool,
    /// When it last changed, in milliseconds.
    at: u64,
}

/// How soon a session goes: the largest first, of about the same size those that have been it for longest.
type Rank = (u32, u64);

/// The sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Whether anybody wants to know.
    on: bool,
    /// Bytes of all sessions, and of those that `maxmemory-clients` limits.
    all: u64,
    limited: u64,
    ranks: BTreeSet<(Rank, Fd)>,
    arrivals: u64,
    changed: Vec<Fd>,
    young: Vec<Fd>,
    refreshed: u64,
}

impl Tally {
    /// A session has changed, or is new.
    #[inline]
    pub(super) fn note(&mut self, session: &mut Session) {
        if self.on && !session.counted.changed {
            session.counted.changed = true;
            self.changed.push(session.fd);
        }
    }

    /// A session goes.
    pub(super) fn forget(&mut self, session: &Session) {
        let counted = &session.counted;
        self.all -= counted.bytes;
        if counted.limited {
            self.limited -= counted.bytes;
        }
        if let Some(rank) = counted.rank {
            self.ranks.remove(&(rank, session.fd));
        }
        // A descriptor may come back before the lists are looked at: its session must be in none.
        if counted.changed {
            self.changed.retain(|&other| other != session.fd);
        }
        if counted.young {
            self.young.retain(|&other| other != session.fd);
        }
    }

    /// Counts a session that takes so many bytes, in place of what was counted for it.
    fn count(&mut self, session: &mut Session, bytes: u64, now: u64) {
        let flags = session.flags;
        let limited = !flags.has(Flags::MASTER) && !is_replica(session);
        let counted = &mut session.counted;
        self.all = self.all - counted.bytes + bytes;
        if counted.limited {
            self.limited -= counted.bytes;
        }
        if limited {
            self.limited += bytes;
        }
        let log = LOGS.1 - bytes.max(1).ilog2().clamp(LOGS.0, LOGS.1);
        let ranked = limited && !flags.has(Flags::NO_EVICT);
        if counted.rank.map(|(log, _)| log) != ranked.then_some(log) {
            if let Some(rank) = counted.rank.take() {
                self.ranks.remove(&(rank, session.fd));
            }
            if ranked {
                self.arrivals += 1;
                self.ranks.insert(((log, self.arrivals), session.fd));
                counted.rank = Some((log, self.arrivals));
            }
        }
        if counted.changed {
            counted.at = now;
            if !counted.young {
                counted.young = true;
                self.young.push(session.fd);
            }
        }
        (counted.bytes, counted.limited, counted.changed) = (bytes, limited, false);
    }
}

impl Server {
    /// Brings the sums up to now.
    fn settle_tally(&mut self) {
        if !self.sessions.tally.on {
            self.sessions.tally.on = true;
            self.sessions.all_changed();
        }
        let now = self.now.unix.ms();
        for fd in std::mem::take(&mut self.sessions.tally.changed) {
            self.count_session(fd, now);
        }
        if now.saturating_sub(self.sessions.tally.refreshed) < self.client_period() {
            return;
        }
        self.sessions.tally.refreshed = now;
        let settles = self.adapting.forgets.unwrap_or(0) + SETTLES;
        for fd in std::mem::take(&mut self.sessions.tally.young) {
            self.count_session(fd, now);
            let Some(session) = self.sessions.get_mut(fd) else { continue };
            session.counted.young = session.counted.at + settles > now;
            if session.counted.young {
                self.sessions.tally.young.push(fd);
            }
        }
    }

    fn count_session(&mut self, fd: Fd, now: u64) {
        let Some(bytes) = self.sessions.get(fd).map(|session| self.session_memory(session)) else { return };
        self.settle_reply_buffer(fd);
        let (tally, session) = self.sessions.tally_and(fd);
        tally.count(session, bytes, now);
    }

    /// What all sessions take.
    pub(crate) fn counted_memory(&mut self) -> u64 {
        self.settle_tally();
        self.sessions.tally.all
    }

    /// Closes the largest sessions while all together take more than `maxmemory-clients` (`evictClients`).
    pub(crate) fn evict_clients(&mut self, out: &mut Outbox) {
        let limit = self.config.clients_limit();
        if limit == 0 {
            if self.config.maxmemory == 0 && self.sessions.tally.on {
                self.sessions.stop_tally();
            }
            return;
        }
        self.settle_tally();
        while self.sessions.tally.limited >= limit {
            let Some(&(_, fd)) = self.sessions.tally.ranks.first() else { return };
            self.stats.evicted_clients += 1;
            self.close_session(fd, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::node::{Input, Node as _};
    use crate::server::rig::Rig;

    /// The sum as it is kept, and worked out from all sessions.
    fn sums(rig: &mut Rig) -> (u64, u64) {
        rig.server.now = rig.now;
        let all = rig.server.sessions.iter().map(|session| rig.server.session_memory(session)).sum();
        (rig.server.counted_memory(), all)
    }

    #[test]
    fn the_sum_is_that_of_all_sessions() {
        let mut rig = Rig::with("maxmemory-clients 100mb\n", 1_795_000_000_000, 1_000);
        let names: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
        rig.ask("c0", &format!("SET big {}", "v".repeat(50_000)));
        for round in 0..40 {
            for (n, name) in names.iter().enumerate() {
                match (round + n) % 9 {
                    0 => drop(rig.ask(name, "GET big")),
                    1 => drop(rig.ask(name, &format!("WATCH w{round}"))),
                    2 => drop(rig.ask(name, "MULTI")),
                    3 | 4 => drop(rig.ask(name, "SET k v")),
                    5 => drop(rig.ask(name, "EXEC")),
                    6 => drop(rig.ask(name, "HELLO 3")),
                    7 => drop(rig.ask(name, "SUBSCRIBE news")),
                    _ => drop(rig.ask("c0", &format!("PUBLISH news {}", "n".repeat(2_000)))),
                }
                let (kept, all) = sums(&mut rig);
                assert_eq!(kept, all, "round {round}, {name}");
            }
            if round % 10 == 9 {
                let fd = rig.fds["c3"];
                rig.turn(Input::Closed { fd, why: crate::node::CloseWhy::Eof });
                rig.closed.insert(fd);
            }
        }
        // What a timer shrinks is seen when it would have come.
        rig.pass(10_000);
        let (kept, all) = sums(&mut rig);
        assert_eq!(kept, all);
        rig.pass(60_000);
        let again = sums(&mut rig);
        assert_eq!(again, (all, all));
        assert!(rig.server.sessions.tally.young.is_empty());
    }

    #[test]
    fn nothing_is_counted_while_nobody_asks() {
        let mut rig = Rig::with("", 1_795_000_000_000, 1_000);
        rig.ask("a", "PING");
        assert!(!rig.server.sessions.tally.on);
        rig.ask("a", "CONFIG SET maxmemory-clients 1mb");
        rig.ask("b", "PING");
        assert!(rig.server.sessions.tally.on && rig.server.sessions.tally.limited > 0);
        rig.ask("a", "CONFIG SET maxmemory-clients 0");
        assert!(!rig.server.sessions.tally.on && rig.server.sessions.tally.changed.is_empty());
        rig.ask("a", "CONFIG SET maxmemory-clients 1mb");
        let (kept, all) = sums(&mut rig);
        assert_eq!(kept, all);
    }

    #[test]
    fn who_is_over_the_output_limit_goes_right_behind_the_request() {
        let conf = "client-output-buffer-limit normal 100000 0 0\n";
        let mut rig = Rig::with(conf, 1_795_000_000_000, 1_000);
        rig.ask("a", &format!("SET big {}", "v".repeat(70_000)));
        let fd = rig.fd("b");
        let data = "GET big\r\n".repeat(5);
        rig.server.handle(rig.now, Input::Bytes { fd, data: data.into_bytes().into() }, &mut rig.out);
        assert!(rig.server.sessions.get(fd).is_none(), "closed before the turn ends");
        assert_eq!(rig.server.stats.output_buffer_drops, 1);
        rig.turn(Input::Wake);
        assert!(rig.closed.contains(&fd));
        assert!(rig.received.get(&fd).is_none_or(|data| data.is_empty()), "nothing of the answers left");
    }
}
