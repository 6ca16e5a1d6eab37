//! What INFO says about replication.

use std::fmt::Write as _;

use super::link::Link;
use super::master::{Replica, State};
use crate::server::Server;
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
pub(crate) fn info(s: &Server, text: &mut String) {
    let result = write_info(s, text);
    result.expect("writing to a string succeeds");
}

fn write_info(s: &Server, text: &mut String) -> std::fmt::Result {
    let repl = &s.repl;
    write!(text, "role:{}\r\n", if repl.is_master() { "master" } else { "slave" })?;
    if repl.follows.is_some() {
        write_link(s, text)?;
    }
    write!(text, "connected_slaves:{}\r\n", repl.replicas.len())?;
    if s.config.min_replicas_to_write > 0 && s.config.min_replicas_max_lag > 0 {
        write!(text, "min_slaves_good_slaves:{}\r\n", repl.good_replicas)?;
    }
    for (number, replica) in repl.replicas.iter().enumerate() {
        let Some(session) = s.sessions.get(replica.fd) else { continue };
        let lag = if replica.is_online() { s.now.unix.secs().saturating_sub(replica.ack_time) } else { 0 };
        write!(
            text,
            "slave{number}:ip={},port={},state={},offset={},lag={lag}\r\n",
            replica.address(session),
            replica.announced.port,
            state_name(replica),
            replica.acked,
        )?;
    }
    write!(text, "master_failover_state:{}\r\n", repl.failover.state_name())?;
    write!(text, "master_replid:{}\r\nmaster_replid2:{}\r\n", repl.replid, repl.replid2)?;
    write!(text, "master_repl_offset:{}\r\n", repl.offset)?;
    match repl.second_offset {
        Some(offset) => write!(text, "second_repl_offset:{offset}\r\n")?,
        None => text.push_str("second_repl_offset:-1\r\n"),
    }
    let (active, first, len) =
        repl.backlog.as_ref().map_or((0, 0, 0), |backlog| (1, backlog.first_byte(), backlog.len()));
    write!(text, "repl_backlog_active:{active}\r\nrepl_backlog_size:{}\r\n", s.config.repl_backlog_size)?;
    write!(text, "repl_backlog_first_byte_offset:{first}\r\nrepl_backlog_histlen:{len}\r\n")
}

/// The lines of a replica about its master.
fn write_link(s: &Server, text: &mut String) -> std::fmt::Result {
    let repl = &s.repl;
    let Some(follows) = &repl.follows else { return Ok(()) };
    let now = s.now.unix.secs();
    let (mut silent, mut read, mut applied) = ("-1".to_owned(), 1, 1);
    if let Link::Connected(master) = &repl.link {
        applied = master.applied;
        read = applied;
        if let Some(session) = s.sessions.get(master.fd) {
            read = master.read(session);
            silent = now.saturating_sub(session.last_interaction.secs()).to_string();
        }
    } else if let Some(cached) = &repl.cached {
        (read, applied) = (cached.offset, cached.offset);
    }
    let up = if repl.link_up() { "up" } else { "down" };
    write!(text, "master_host:{}\r\nmaster_port:{}\r\nmaster_link_status:{up}\r\n", follows.host, follows.port)?;
    write!(text, "master_last_io_seconds_ago:{silent}\r\n")?;
    let transfer = if let Link::Transfer(transfer) = &repl.link { Some(transfer) } else { None };
    write!(text, "master_sync_in_progress:{}\r\n", u8::from(transfer.is_some()))?;
    write!(text, "slave_read_repl_offset:{read}\r\nslave_repl_offset:{applied}\r\n")?;
    if let Some(transfer) = transfer {
        let (size, received) = (transfer.size(), i64::try_from(transfer.received()).unwrap_or(i64::MAX));
        // Hundredths of a percent, so that no float is needed.
        let share = if size > 0 { received.saturating_mul(10_000) / size } else { 0 };
        write!(text, "master_sync_total_bytes:{size}\r\nmaster_sync_read_bytes:{received}\r\n")?;
        write!(text, "master_sync_left_bytes:{}\r\n", size - received)?;
        let sign = if size < 0 { "-" } else { "" };
        write!(text, "master_sync_perc:{sign}{}.{:02}\r\n", share / 100, share % 100)?;
        write!(text, "master_sync_last_io_seconds_ago:{}\r\n", now.saturating_sub(repl.last_io))?;
    }
    if !repl.link_up() {
        match repl.down_since {
            0 => text.push_str("master_link_down_since_seconds:-1\r\n"),
            since => write!(text, "master_link_down_since_seconds:{}\r\n", now.saturating_sub(since))?,
        }
    }
    write!(text, "slave_priority:{}\r\n", s.config.replica_priority)?;
    write!(text, "slave_read_only:{}\r\n", u8::from(s.config.replica_read_only))?;
    write!(text, "replica_announced:{}\r\n", u8::from(s.config.replica_announced))
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
