//! The work of each second (`replicationCron`), and when there is any.

use super::link::{self, Link};
use super::master::{self, State};
use super::{failover, sync};
use crate::id::Fd;
use crate::node::Outbox;
use crate::server::Server;
use crate::server::persistence::{self, ChildKind};
use crate::time::{Instant, Span};
use crate::trace::event::LinkDownWhy;

/// `replicationCron`
pub(crate) fn cron(s: &mut Server, out: &mut Outbox) {
    let whole_second = s.cron.loops.is_multiple_of(s.ticks_per_second());
    if !whole_second {
        s.repl.extra_crons += 1;
    }
    if s.loading && !s.async_loading {
        // A real server is inside the load and runs no cron.
        return;
    }
    failover::update(s, out);
    watch_master(s, out);
    if matches!(s.repl.link, Link::Connect) {
        link::connect(s, out);
    }
    link::send_ack(s);
    if s.repl.replicas.is_empty() {
        sync::free_idle_backlog(s, out);
    } else {
        ping_replicas(s);
        sync::send_newlines(s, out);
        drop_silent_replicas(s, out);
        sync::start_pending(s, out);
    }
    persistence::remove_sync_file(s, out);
    master::refresh_good_replicas(s, out);
}

/// Time-outs of the link to the master.
fn watch_master(s: &mut Server, out: &mut Outbox) {
    let now = s.now.unix.secs();
    let timeout = s.config.repl_timeout;
    match &s.repl.link {
        Link::None | Link::Connect => {}
        Link::Connecting(..) | Link::Handshake(_) | Link::Transfer(_) => {
            if now.saturating_sub(s.repl.last_io) > timeout {
                let transfers = matches!(s.repl.link, Link::Transfer(_));
                s.warn(out, || {
                    let text = if transfers {
                        "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' \
                         parameter in redis.conf to a larger value."
                    } else {
                        "Timeout connecting to the MASTER..."
                    };
                    text.to_owned()
                });
                link::restart_handshake(s, LinkDownWhy::Timeout, out);
            }
        }
        Link::Connected(master) => {
            let fd = master.fd;
            let heard = s.sessions.get(fd).map_or(now, |session| session.last_interaction.secs());
            if now.saturating_sub(heard) > timeout {
                s.warn(out, || "MASTER timeout: no data nor PING received...".to_owned());
                link::lose(s, fd, LinkDownWhy::Timeout, out);
            }
        }
    }
}

/// How many runs there have been (`replication_cron_loops`).
fn runs(s: &Server) -> u64 {
    s.cron.loops / s.ticks_per_second() + s.repl.extra_crons
}

/// PING goes into the stream of a master each `repl-ping-replica-period`.
fn ping_replicas(s: &mut Server) {
    let due = runs(s).is_multiple_of(s.config.repl_ping_replica_period.max(1));
    let failing_over = s.repl.failover.has_deadline() && s.is_paused();
    if due && !failing_over {
        master::feed_control(s, b"*1\r\n$4\r\nPING\r\n");
    }
}

/// Replicas that have not acknowledged anything, or taken any of their RDB, for `repl-timeout`.
fn drop_silent_replicas(s: &mut Server, out: &mut Outbox) {
    let now = s.now.unix.secs();
    let timeout = s.config.repl_timeout;
    let to_sockets = persistence::child_kind(s) == Some(ChildKind::Socket);
    let silent = |replica: &&master::Replica| match replica.state {
        State::Online => !replica.pre_psync && now.saturating_sub(replica.ack_time) > timeout,
        State::WaitBgsaveEnd => {
            let stuck = replica.last_partial_write;
            to_sockets && stuck != 0 && now.saturating_sub(stuck) > timeout
        }
        State::WaitBgsaveStart | State::SendBulk(..) | State::RdbTransmitted => false,
    };
    let fds: Vec<Fd> = s.repl.replicas.iter().filter(silent).map(|replica| replica.fd).collect();
    for fd in fds {
        s.warn(out, || {
            let replica = s.repl.replicas.iter().find(|replica| replica.fd == fd);
            let what = if replica.is_some_and(master::Replica::is_online) { "streaming sync" } else { "full sync" };
            let name = replica.map(|replica| master::shown(s, replica)).unwrap_or_default();
            format!("Disconnecting timedout replica ({what}): {name}")
        });
        master::close_replica(s, fd, LinkDownWhy::Timeout, out);
    }
}

/// When [`cron`] has work next; the server rounds up to a tick.
pub(crate) fn cron_need(s: &Server) -> Option<Instant> {
    let now = s.now.mono;
    if s.repl.failover.is_under_way() || s.repl.follows.is_some() {
        // A replica acknowledges, or tries to connect, each second.
        return Some(now);
    }
    if persistence::sync_file_waits(s) {
        return Some(now);
    }
    if s.repl.replicas.is_empty() {
        return idle_backlog_need(s);
    }
    if s.config.min_replicas_to_write > 0 && s.config.min_replicas_max_lag > 0 {
        return Some(now);
    }
    [sync::cron_need(s), silence_need(s), Some(ping_need(s))].into_iter().flatten().min()
}

/// When the backlog will have been without a reader for too long.
fn idle_backlog_need(s: &Server) -> Option<Instant> {
    let ttl = s.config.repl_backlog_ttl;
    (s.repl.backlog.is_some() && ttl > 0).then(|| at_second(s, s.repl.no_replicas_since + ttl + 1))
}

/// When the most silent replica will have been silent for too long.
fn silence_need(s: &Server) -> Option<Instant> {
    let heard = s.repl.replicas.iter().filter(|replica| replica.is_online()).map(|replica| replica.ack_time).min()?;
    Some(at_second(s, heard + s.config.repl_timeout + 1))
}

/// The tick of the next PING.
fn ping_need(s: &Server) -> Instant {
    let per_second = s.ticks_per_second();
    let first = s.cron.loops.next_multiple_of(per_second);
    let period = s.config.repl_ping_replica_period.max(1);
    let run = first / per_second + s.repl.extra_crons;
    let ahead = (first - s.cron.loops) + (run.next_multiple_of(period) - run) * per_second;
    s.cron.next + s.cron_period().times(ahead)
}

/// The own clock's reading when the wall clock will show this second.
fn at_second(s: &Server, second: u64) -> Instant {
    s.now.mono + Span::from_secs(second).saturating_sub(Span::from_ns(s.now.unix.0))
}
