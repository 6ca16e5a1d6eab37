//! Which history of data this server holds: replication ids, offsets, and the only ways to change role.

use super::link::{self, Link};
use super::{CachedMaster, LinkDownWhy, MasterAddress, backlog::Backlog, master};
use crate::id::{Addr, HexId, Ip};
use crate::node::Outbox;
use crate::server::Server;
use crate::server::persistence::{self, rdb::StreamPosition};
use crate::trace::Kind;
use crate::trace::event::{HistoryWhy, ServerEvent};

/// Tells the trace which history the dataset now belongs to.
pub(super) fn note(s: &mut Server, why: HistoryWhy, parent: Option<(HexId, u64)>, out: &mut Outbox) {
    let (replid, offset, keys) = (s.repl.replid, s.repl.offset, s.keyspace.len() as u64);
    out.note(Kind::Server(ServerEvent::History { replid, offset, parent, why, keys }));
}

/// `replicaof` of the configuration: the role that the process begins in, before it loads its data.
pub(crate) fn configure(s: &mut Server) {
    if let Some((host, port)) = &s.config.replicaof {
        s.repl.follows = Some(MasterAddress { host: host.as_str().into(), port: *port });
        s.repl.link = Link::Connect;
    }
}

/// The dataset was loaded at the start. `position` is what the file says of its stream; `deleted` are the bytes of
/// DELs for keys that had expired, each with its database, which a master puts into its stream; `why` holds unless the
/// file says of its stream.
pub(crate) fn restore(
    s: &mut Server,
    position: Option<StreamPosition>,
    deleted: &[(u32, bytes::Bytes)],
    mut why: HistoryWhy,
    out: &mut Outbox,
) {
    let mut parent = None;
    if s.repl.follows.is_some() {
        if let Some(position) = position {
            (s.repl.replid, s.repl.offset) = (position.replid, position.offset);
            let StreamPosition { db, replid, offset } = position;
            s.repl.cached = Some(CachedMaster { replid, offset, db, client: s.sessions.next_id() });
            why = HistoryWhy::Rdb;
        }
    } else if position.is_some() || !deleted.is_empty() {
        s.repl.backlog = Some(Backlog::new(s.config.repl_backlog_size, s.repl.offset));
        for (db, bytes) in deleted {
            master::feed(s, *db, bytes);
        }
        if let Some(position) = position {
            s.repl.replid2 = position.replid;
            s.repl.second_offset = Some(position.offset + 1);
            s.repl.offset += position.offset;
            s.repl.backlog.as_mut().expect("just created").rebase(position.offset);
            s.repl.no_replicas_since = s.now.unix.secs();
            why = HistoryWhy::Rdb;
            parent = Some((position.replid, position.offset));
        } else {
            s.repl.backlog = None;
        }
    }
    note(s, why, parent, out);
}

/// Called by `start` after the dataset is loaded: says which role the process begins in.
pub(crate) fn start(s: &mut Server, out: &mut Outbox) {
    s.repl.no_replicas_since = s.now.unix.secs();
    s.repl.noted_offset = s.repl.offset;
    master::refresh_good_replicas(s, out);
    match &s.repl.follows {
        Some(_) => note_replica(s, out),
        None => {
            out.note(Kind::Server(ServerEvent::BecameMaster { offset: s.repl.offset }));
        }
    }
}

fn note_replica(s: &Server, out: &mut Outbox) {
    let follows = s.repl.follows.as_ref().expect("the caller has made it a replica");
    let of = resolve(s, &follows.host).map_or(Addr::new(Ip::default(), follows.port), |ip| Addr::new(ip, follows.port));
    out.note(Kind::Server(ServerEvent::BecameReplica { of }));
}

/// The address of a host's name.
pub(crate) fn resolve(s: &Server, host: &str) -> Option<Ip> {
    if host == "localhost" {
        return Some(Ip::LOOPBACK);
    }
    Ip::parse(host).or_else(|| s.init.hosts.get(host).copied())
}

/// `changeReplicationId` and `clearReplicationId2`: the data gets a new name, and no other server can continue from it.
pub(super) fn renew(s: &mut Server, out: &mut Outbox) {
    let old = s.repl.replid;
    s.repl.replid = HexId::random(&mut s.repl.rng);
    forget_second_id(s);
    let offset = s.repl.offset;
    note(s, HistoryWhy::Renewed, Some((old, offset)), out);
}

/// `clearReplicationId2`
pub(super) fn forget_second_id(s: &mut Server) {
    s.repl.replid2 = HexId::ZERO;
    s.repl.second_offset = None;
}

/// `createReplicationBacklog`, unless there is one.
pub(super) fn ensure_backlog(s: &mut Server) {
    if s.repl.backlog.is_none() {
        s.repl.backlog = Some(Backlog::new(s.config.repl_backlog_size, s.repl.offset));
    }
}

/// `replicationDiscardCachedMaster`
pub(super) fn discard_cached(s: &mut Server, out: &mut Outbox) {
    if s.repl.cached.take().is_some() {
        s.notice(out, || "Discarding previously cached master state.".to_owned());
    }
}

/// The stream's id is now `replid`; the one so far becomes the second id (`shiftReplicationId`, and the same in
/// `slaveTryPartialResynchronization`).
pub(super) fn shift(s: &mut Server, replid: HexId, why: HistoryWhy, out: &mut Outbox) {
    let old = s.repl.replid;
    s.repl.replid2 = old;
    s.repl.second_offset = Some(s.repl.offset + 1);
    s.repl.replid = replid;
    let offset = s.repl.offset;
    note(s, why, Some((old, offset)), out);
}

/// A replica becomes a master (`replicationUnsetMaster`): its history goes on under a new id. False: it is one.
pub(crate) fn become_master(s: &mut Server, out: &mut Outbox) -> bool {
    if s.repl.follows.take().is_none() {
        return false;
    }
    link::drop_master(s, LinkDownWhy::Reconfigured, out);
    discard_cached(s, out);
    link::cancel_handshake(s, LinkDownWhy::Reconfigured, out);
    let replid = HexId::random(&mut s.repl.rng);
    shift(s, replid, HistoryWhy::Promotion, out);
    s.warn(out, || {
        let (old, upto) = (s.repl.replid2, s.repl.offset + 1);
        format!("Setting secondary replication ID to {old}, valid up to offset: {upto}. New replication ID is {replid}")
    });
    master::disconnect_replicas(s, LinkDownWhy::Reconfigured, out);
    link::set_state(s, Link::None, None, out);
    s.repl.stream_db = None;
    s.repl.no_replicas_since = s.now.unix.secs();
    s.repl.down_since = 0;
    out.note(Kind::Server(ServerEvent::BecameMaster { offset: s.repl.offset }));
    master::refresh_good_replicas(s, out);
    persistence::aof::restart(s, out);
    true
}

/// Follows `host`:`port` from now on (`replicationSetMaster`). What it knows of its own history serves to ask the new
/// master for a continuation.
pub(crate) fn become_replica_of(s: &mut Server, host: &str, port: u16, out: &mut Outbox) {
    let was_master = s.repl.follows.take().is_none();
    link::drop_master(s, LinkDownWhy::Reconfigured, out);
    s.disconnect_blocked();
    s.repl.follows = Some(MasterAddress { host: host.into(), port });
    link::cancel_handshake(s, LinkDownWhy::Reconfigured, out);
    if was_master {
        s.notice(out, || {
            "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be able to \
             synchronize with the new master with just a partial transfer."
                .to_owned()
        });
        // The new master begins its stream with SELECT, so the database doesn't matter.
        let client = s.sessions.next_id();
        s.repl.cached = Some(CachedMaster { replid: s.repl.replid, offset: s.repl.offset, db: 0, client });
    }
    note_replica(s, out);
    link::set_state(s, Link::Connect, None, out);
    master::refresh_good_replicas(s, out);
    s.notice(out, || format!("Connecting to MASTER {host}:{port}"));
    link::connect(s, out);
}
