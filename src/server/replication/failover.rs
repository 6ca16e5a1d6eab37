//! FAILOVER: a master hands its role to one of its replicas (`failoverCommand`, `updateFailoverStatus`).

use super::{history, master};
use crate::node::Outbox;
use crate::server::Server;
use crate::server::pause::{Held, Purpose};

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// None is under way.
    #[default]
    None,
    /// Writes are paused until a replica has everything.
    WaitForSync,
    /// This server follows the target and asks it to take over.
    InProgress,
}

/// A coordinated failover.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failover {
    phase: Phase,
    /// When the wait ends, in wall-clock milliseconds; 0: never.
    end_ms: u64,
    /// At the end of the wait go on, whether or not the target has everything.
    force: bool,
    /// Whom; `None`: whoever has everything first.
    target: Option<(String, u64)>,
}

impl Failover {
    /// True from FAILOVER until its end.
    pub(crate) fn is_under_way(&self) -> bool {
        self.phase != Phase::None
    }

    /// True once the target has been chosen and is being asked.
    pub(super) fn in_progress(&self) -> bool {
        self.phase == Phase::InProgress
    }

    /// It has a time-out: PINGs would keep the replica from ever having everything.
    pub(super) fn has_deadline(&self) -> bool {
        self.end_ms > 0
    }

    /// As INFO names it.
    pub(super) fn state_name(&self) -> &'static str {
        match self.phase {
            Phase::None => "no-failover",
            Phase::WaitForSync => "waiting-for-sync",
            Phase::InProgress => "failover-in-progress",
        }
    }
}

/// Begins one; the caller has checked that there is none and that this is a master with replicas.
///
/// # Errors
/// The error to answer when the target is not a replica, or not online.
pub(crate) fn begin(
    s: &mut Server,
    target: Option<(String, u64)>,
    timeout_ms: u64,
    force: bool,
    out: &mut Outbox,
) -> Result<(), &'static str> {
    if let Some((host, port)) = &target {
        match find(s, host, *port) {
            None => return Err("ERR FAILOVER target HOST and PORT is not a replica."),
            Some(replica) if !replica.is_online() => return Err("ERR FAILOVER target replica is not online."),
            Some(_) => {}
        }
    }
    let end_ms = if timeout_ms > 0 { s.now.unix.ms().saturating_add(timeout_ms) } else { 0 };
    s.repl.failover = Failover { phase: Phase::WaitForSync, end_ms, force, target };
    s.notice(out, || match &s.repl.failover.target {
        Some((host, port)) => format!("FAILOVER requested to {host}:{port}."),
        None => "FAILOVER requested to any replica.".to_owned(),
    });
    s.pause(Purpose::Failover, Held::Writes, u64::MAX);
    Ok(())
}

/// `findReplica`
fn find<'a>(s: &'a Server, host: &str, port: u64) -> Option<&'a master::Replica> {
    s.repl.replicas.iter().find(|replica| {
        let address = s.sessions.get(replica.fd).map(|session| replica.address(session));
        replica.announced.port == port && address.is_some_and(|address| address.eq_ignore_ascii_case(host))
    })
}

/// `clearFailoverState`: it is over, and writes go on.
pub(super) fn clear(s: &mut Server) {
    s.repl.failover = Failover::default();
    s.unpause(Purpose::Failover);
}

/// `abortFailover`: if the target was already being asked, this server takes its role back.
pub(crate) fn abort(s: &mut Server, why: &str, out: &mut Outbox) {
    if s.repl.failover.is_under_way() {
        s.notice(out, || match &s.repl.failover.target {
            Some((host, port)) => format!("FAILOVER to {host}:{port} aborted: {why}"),
            None => format!("FAILOVER to any replica aborted: {why}"),
        });
    }
    if s.repl.failover.in_progress() {
        history::become_master(s, out);
    }
    if s.repl.failover.is_under_way() {
        clear(s);
    }
}

/// `updateFailoverStatus`
pub(super) fn update(s: &mut Server, out: &mut Outbox) {
    if s.repl.failover.phase != Phase::WaitForSync {
        return;
    }
    let failover = &s.repl.failover;
    if failover.end_ms > 0 && failover.end_ms <= s.now.unix.ms() {
        match failover.target.clone().filter(|_| failover.force) {
            Some(target) => {
                s.notice(out, || format!("FAILOVER to {}:{} time out exceeded, failing over.", target.0, target.1));
                hand_over(s, target, out);
            }
            None => abort(s, "Replica never caught up before timeout", out),
        }
        return;
    }
    let caught_up = |replica: &&master::Replica| replica.acked == s.repl.offset;
    let ready = match &failover.target {
        Some((host, port)) => find(s, host, *port).filter(caught_up),
        None => s.repl.replicas.iter().find(caught_up),
    };
    let target = ready.and_then(|replica| {
        let session = s.sessions.get(replica.fd)?;
        Some((replica.address(session), replica.announced.port))
    });
    if let Some(target) = target {
        s.notice(out, || format!("Failover target {}:{} is synced, failing over.", target.0, target.1));
        hand_over(s, target, out);
    }
}

fn hand_over(s: &mut Server, target: (String, u64), out: &mut Outbox) {
    let port = u16::try_from(target.1).unwrap_or(0);
    s.repl.failover.phase = Phase::InProgress;
    s.repl.failover.target = Some(target.clone());
    history::become_replica_of(s, &target.0, port, out);
}
