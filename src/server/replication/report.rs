//! What INFO says about replication.

use super::MasterAddress;
use super::link::Link;
use super::master::{Replica, State};
use crate::server::Server;
use crate::server::info::Text;
use crate::trace::event::LinkState;

/// `replstateToString`; `None`: not listed.
fn state_name(replica: &Replica) -> &'static str {
    match replica.state {
        State::WaitBgsaveStart | State::WaitBgsaveEnd => "wait_bgsave",
        State::SendBulk(..) => "send_bulk",
        State::Online => "online",
        State::RdbTransmitted => "rdb_transmitted",
    }
}

/// The lines of INFO's replication section after its header, each ended by CRLF.
pub(crate) fn info(s: &Server, t: &mut Text) {
    let repl = &s.repl;
    t.word("role:", if repl.is_master() { "master" } else { "slave" });
    if let Some(follows) = &repl.follows {
        write_link(s, follows, t);
    }
    t.field("connected_slaves:", repl.replicas.len() as u64);
    if s.config.min_replicas_to_write > 0 && s.config.min_replicas_max_lag > 0 {
        t.field("min_slaves_good_slaves:", repl.good_replicas);
    }
    for (number, replica) in repl.replicas.iter().enumerate() {
        let Some(session) = s.sessions.get(replica.fd) else { continue };
        let lag = if replica.is_online() { s.now.unix.secs().saturating_sub(replica.ack_time) } else { 0 };
        t.lit("slave").num(number as u64).lit(":ip=");
        replica.announced.write_address(session, t);
        t.lit(",port=").num(replica.announced.port).lit(",state=").lit(state_name(replica));
        t.lit(",offset=").num(replica.acked).field(",lag=", lag);
    }
    t.word("master_failover_state:", repl.failover.state_name());
    t.lit("master_replid:").id(repl.replid).lit("\r\nmaster_replid2:").id(repl.replid2);
    t.field("\r\nmaster_repl_offset:", repl.offset).known("second_repl_offset:", repl.second_offset);
    let (first, len) = repl.backlog.as_ref().map_or((0, 0), |backlog| (backlog.first_byte(), backlog.len()));
    t.flag("repl_backlog_active:", repl.backlog.is_some()).field("repl_backlog_size:", s.config.repl_backlog_size);
    t.field("repl_backlog_first_byte_offset:", first).field("repl_backlog_histlen:", len);
}

/// The lines of a replica about its master.
fn write_link(s: &Server, follows: &MasterAddress, t: &mut Text) {
    let repl = &s.repl;
    let now = s.now.unix.secs();
    let (mut silent, mut read, mut applied) = (None, 1, 1);
    if let Link::Connected(master) = &repl.link {
        applied = master.applied;
        read = applied;
        if let Some(session) = s.sessions.get(master.fd) {
            read = master.read(session);
            silent = Some(now.saturating_sub(session.last_interaction.secs()));
        }
    } else if let Some(cached) = &repl.cached {
        (read, applied) = (cached.offset, cached.offset);
    }
    t.word("master_host:", &follows.host).field("master_port:", u64::from(follows.port));
    t.word("master_link_status:", if repl.link_up() { "up" } else { "down" });
    t.known("master_last_io_seconds_ago:", silent);
    let transfer = if let Link::Transfer(transfer) = &repl.link { Some(transfer) } else { None };
    t.flag("master_sync_in_progress:", transfer.is_some());
    t.field("slave_read_repl_offset:", read).field("slave_repl_offset:", applied);
    if let Some(transfer) = transfer {
        let (size, received) = (transfer.size(), i64::try_from(transfer.received()).unwrap_or(i64::MAX));
        // Hundredths of a percent, so that no float is needed.
        let share = if size > 0 { received.saturating_mul(10_000) / size } else { 0 };
        t.signed("master_sync_total_bytes:", size).signed("master_sync_read_bytes:", received);
        t.signed("master_sync_left_bytes:", size - received);
        t.lit("master_sync_perc:").lit(if size < 0 { "-" } else { "" }).hundredths(share.unsigned_abs()).end();
        t.field("master_sync_last_io_seconds_ago:", now.saturating_sub(repl.last_io));
    }
    if !repl.link_up() {
        let since = Some(repl.down_since).filter(|&since| since != 0);
        t.known("master_link_down_since_seconds:", since.map(|since| now.saturating_sub(since)));
    }
    t.field("slave_priority:", s.config.replica_priority);
    t.flag("slave_read_only:", s.config.replica_read_only).flag("replica_announced:", s.config.replica_announced);
}

/// The link's state as ROLE names it.
pub(crate) fn role_state(link: &Link) -> &'static str {
    match link.state() {
        LinkState::None => "none",
        LinkState::Connect => "connect",
        LinkState::Connecting => "connecting",
        LinkState::Handshake => "handshake",
        LinkState::Transfer => "sync",
        LinkState::Connected => "connected",
    }
}
