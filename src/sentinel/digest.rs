//! Digestion of INFO: what it tells of a server, and what follows (`sentinelRefreshInstanceInfo`).

use std::sync::Arc;

use bytes::Bytes;

use super::config::{atoi, strtoull};
use super::instances::{Flags, Id, Role};
use super::{Cx, Sentinel};
use crate::id::HexId;
use crate::trace::event::{Detail, FailoverState, InstanceKind, SentinelEventName};

/// `SENTINEL_SIMFAILURE_CRASH_AFTER_PROMOTION`.
pub(super) const CRASH_AFTER_PROMOTION: u8 = 2;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Host and port in the value of a `slaveN` line, new style (`ip=…,port=…`) or old (`ip,port,…`).
fn slave_line(line: &[u8]) -> Option<(&str, i64)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let fields = || line[colon + 1..].split(|&byte| byte == b',');
    let (ip, port) = match fields().find_map(|field| field.strip_prefix(b"ip=")) {
        Some(ip) => (ip, fields().find_map(|field| field.strip_prefix(b"port="))?),
        None => {
            let mut fields = fields();
            let pair = (fields.next()?, fields.next()?);
            fields.next()?;
            pair
        }
    };
    Some((std::str::from_utf8(ip).ok()?, i64::from(atoi(text(port)))))
}

/// The lines that may be of interest, without their ends: those that begin as whatever is looked for begins. Most aren't,
/// so their ends are found eight bytes at a time.
fn each_telling_line(info: &[u8], mut each: impl FnMut(&[u8])) {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    const FEEDS: u64 = u64::from_ne_bytes([b'\n'; 8]);
    let mut begins = |rest: &[u8]| {
        if let [b'r', b'u' | b'o' | b'e', ..] | [b'm', b'a', ..] | [b's', b'l', ..] = rest {
            let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
            each(line.strip_suffix(b"\r").unwrap_or(line));
        }
    };
    begins(info);
    let (words, tail) = info.as_chunks();
    let mut rest = info;
    for &word in words {
        let other = u64::from_le_bytes(word) ^ FEEDS;
        // Zero unless a byte is a line feed; of such bytes, the first one's highest bit is the first one set.
        let feeds = other.wrapping_sub(ONES) & !other & HIGH;
        if feeds != 0 {
            let first = (feeds.trailing_zeros() / 8) as usize;
            for at in first..8 {
                if word[at] == b'\n' {
                    begins(&rest[at + 1..]);
                }
            }
        }
        rest = &rest[8..];
    }
    for (at, _) in tail.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        begins(&tail[at + 1..]);
    }
}

impl Sentinel {
    /// Takes an INFO reply of a master or replica.
    pub(super) fn refresh_info(&mut self, cx: &mut Cx<'_>, id: Id, info: Bytes) {
        let instance = self.at_mut(id);
        instance.info = info.clone();
        instance.replica.master_link_down_time = 0;
        let mut role = Role::None;
        each_telling_line(&info, |line| self.info_line(cx, id, line, &mut role));
        let now = cx.ms;
        let instance = self.at_mut(id);
        instance.info_refresh = now;
        if role != instance.role_reported {
            instance.role_reported_time = now;
            instance.role_reported = role;
            if role == Role::Slave {
                instance.slave_conf_change_time = now;
            }
            let name = if instance.expected_role() == role {
                SentinelEventName::RoleChangePlus
            } else {
                SentinelEventName::RoleChangeMinus
            };
            self.notice(cx, name, id, Detail::Role { master: role == Role::Master });
        }
        if self.tilt.is_some() || !self.at(id).is_slave() {
            return;
        }
        match role {
            Role::Master => self.slave_reports_master(cx, id),
            Role::Slave => {
                self.slave_of_another(cx, id);
                self.slave_reconfigured(cx, id);
            }
            Role::None => {}
        }
    }

    fn info_line(&mut self, cx: &mut Cx<'_>, id: Id, line: &[u8], role: &mut Role) {
        if let Some(run_id) = line.strip_prefix(b"run_id:") {
            return self.run_id_line(cx, id, run_id);
        }
        if self.instances[id].is_master() && line.starts_with(b"slave") && line.get(5).is_some_and(u8::is_ascii_digit) {
            return self.slave_found(cx, id, line);
        }
        if let Some(seconds) = line.strip_prefix(b"master_link_down_since_seconds:") {
            self.instances[id].replica.master_link_down_time = down_for(seconds);
            return;
        }
        if line.starts_with(b"role:master") {
            *role = Role::Master;
        } else if line.starts_with(b"role:slave") {
            *role = Role::Slave;
        }
        if *role == Role::Slave {
            self.replica_line(cx, id, line);
        }
    }

    fn run_id_line(&mut self, cx: &mut Cx<'_>, id: Id, value: &[u8]) {
        let Some(run_id) = value.get(..40).and_then(HexId::parse) else { return };
        let instance = &mut self.instances[id];
        match instance.run_id.replace(run_id) {
            Some(old) if old != run_id => {
                let reboot = instance.group.as_deref().is_some_and(|group| group.reboot_down_after != 0);
                if reboot {
                    instance.flags.set(Flags::REBOOT);
                    instance.reboot_since = cx.ms;
                }
                self.notice(cx, SentinelEventName::Reboot, id, Detail::None);
            }
            Some(_) | None => {}
        }
    }

    /// A replica in the master's INFO: a new one is watched from now on.
    fn slave_found(&mut self, cx: &mut Cx<'_>, master: Id, line: &[u8]) {
        let Some((ip, port)) = slave_line(line) else { return };
        if self.slave_by_addr(master, ip, port).is_some() {
            return;
        }
        if let Ok(slave) = self.create(cx.ms, InstanceKind::Slave, "", (ip, port), Some(master)) {
            self.notice(cx, SentinelEventName::Slave, slave, Detail::None);
            self.flush_config(cx);
        }
    }

    fn replica_line(&mut self, cx: &mut Cx<'_>, id: Id, line: &[u8]) {
        let now = cx.ms;
        let instance = &mut self.instances[id];
        let replica = &mut instance.replica;
        if let Some(host) = line.strip_prefix(b"master_host:") {
            let same = replica.master_host.as_deref().is_some_and(|known| known.as_bytes().eq_ignore_ascii_case(host));
            if !same {
                replica.master_host = Some(Arc::from(text(host)));
                instance.slave_conf_change_time = now;
            }
        } else if let Some(port) = line.strip_prefix(b"master_port:") {
            let port = atoi(text(port));
            if replica.master_port != port {
                replica.master_port = port;
                instance.slave_conf_change_time = now;
            }
        } else if let Some(status) = line.strip_prefix(b"master_link_status:") {
            replica.master_link_up = status.eq_ignore_ascii_case(b"up");
        } else if let Some(priority) = line.strip_prefix(b"slave_priority:") {
            replica.priority = atoi(text(priority));
        } else if let Some(offset) = line.strip_prefix(b"slave_repl_offset:") {
            replica.repl_offset = strtoull(offset);
        } else if let Some(announced) = line.strip_prefix(b"replica_announced:") {
            replica.announced = atoi(text(announced)) != 0;
        }
    }

    /// A replica says that it is a master: the one being promoted, or one that must be led back.
    fn slave_reports_master(&mut self, cx: &mut Cx<'_>, id: Id) {
        let now = cx.ms;
        let master = self.at(id).master;
        let promoted = self.at(id).flags.any(Flags::PROMOTED);
        if promoted
            && self.at(master).flags.any(Flags::FAILOVER)
            && self.group(master).failover_state == FailoverState::WaitPromotion
        {
            let group = self.group_mut(master);
            group.config_epoch = group.failover_epoch;
            group.failover_state_change_time = now;
            self.failover_state(cx, master, FailoverState::ReconfSlaves);
            self.flush_config(cx);
            self.warn(cx, SentinelEventName::PromotedSlave, id, Detail::None);
            if self.simulated_failures & CRASH_AFTER_PROMOTION != 0 {
                return self.crash(cx);
            }
            self.step(cx, SentinelEventName::StateReconfSlaves, master, master);
            let (old, new) = (self.at(master).addr.clone(), self.at(id).addr.clone());
            self.reconfig_script(master, "leader", &old, &new);
            self.force_hello(master);
            self.all_stale = true;
            return;
        }
        let wait = self.timing.publish_period * 4;
        let instance = self.at(id);
        if !promoted
            && self.looks_sane(now, master)
            && instance.no_down_for(now, wait)
            && now - instance.role_reported_time > wait
        {
            let addr = self.at(master).addr.clone();
            if self.send_slaveof(cx, id, Some(&addr)) {
                self.notice(cx, SentinelEventName::ConvertToSlave, id, Detail::None);
            }
        }
    }

    /// A replica follows somebody else than its master.
    fn slave_of_another(&mut self, cx: &mut Cx<'_>, id: Id) {
        let now = cx.ms;
        let instance = self.at(id);
        let master = instance.master;
        let addr = &self.at(master).addr;
        let follows = instance.replica.master_port == i32::from(addr.port)
            && instance.replica.master_host.as_deref().is_some_and(|host| self.names(addr, host));
        if follows {
            return;
        }
        let wait = self.group(master).failover_timeout;
        if self.looks_sane(now, master)
            && instance.no_down_for(now, wait)
            && now - instance.slave_conf_change_time > wait
        {
            let addr = addr.clone();
            if self.send_slaveof(cx, id, Some(&addr)) {
                self.notice(cx, SentinelEventName::FixSlaveConfig, id, Detail::None);
            }
        }
    }

    /// Progress of a replica that was told to follow the promoted one.
    fn slave_reconfigured(&mut self, cx: &mut Cx<'_>, id: Id) {
        let instance = self.at(id);
        let promoted = self.group(instance.master).promoted;
        if instance.flags.any(Flags::RECONF_SENT)
            && let Some(promoted) = promoted
            && let Some(host) = &instance.replica.master_host
            && self.names(&self.at(promoted).addr, host)
            && instance.replica.master_port == i32::from(self.at(promoted).addr.port)
        {
            let instance = self.at_mut(id);
            instance.flags.clear(Flags::RECONF_SENT);
            instance.flags.set(Flags::RECONF_INPROG);
            self.notice(cx, SentinelEventName::SlaveReconfInprog, id, Detail::None);
        }
        let instance = self.at_mut(id);
        if instance.flags.any(Flags::RECONF_INPROG) && instance.replica.master_link_up {
            instance.flags.clear(Flags::RECONF_INPROG);
            instance.flags.set(Flags::RECONF_DONE);
            let step = self.notice(cx, SentinelEventName::SlaveReconfDone, id, Detail::None);
            let master = self.at(id).master;
            self.group_mut(master).last_step = step;
        }
    }

    /// Whether a master seems in order (`sentinelMasterLooksSane`).
    fn looks_sane(&self, now: i64, master: Id) -> bool {
        let instance = self.at(master);
        instance.is_master()
            && instance.role_reported == Role::Master
            && !instance.flags.any(Flags::S_DOWN | Flags::O_DOWN)
            && now - instance.info_refresh < self.timing.info_period * 2
    }
}

/// Milliseconds for which a replica's link has been down; -1 second: it was never up.
fn down_for(seconds: &[u8]) -> i64 {
    let (sign, digits) = seconds.strip_prefix(b"-").map_or((1, seconds), |digits| (-1, digits));
    let seconds = i64::try_from(strtoull(digits)).unwrap_or(i64::MAX);
    (sign * seconds).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{down_for, each_telling_line, slave_line};

    proptest! {
        /// The same as taking all lines apart.
        #[test]
        fn telling_lines(info in "([a-z]{0,9}|ro|re|ru|ma|sl|role:|\r|\n|\r\n|\u{8a}|\u{10a}){0,40}") {
            let telling = |line: &&[u8]| {
                ["ru", "ro", "re", "ma", "sl"].iter().any(|head| line.starts_with(head.as_bytes()))
            };
            let lines = info.as_bytes().split(|&byte| byte == b'\n').filter(telling);
            let expected: Vec<&[u8]> = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
            let mut found: Vec<Vec<u8>> = Vec::new();
            each_telling_line(info.as_bytes(), |line| found.push(line.to_vec()));
            prop_assert_eq!(found, expected);
        }
    }

    /// A link that was never up is down too: INFO is asked for each second.
    #[test]
    fn links_that_were_never_up_are_down() {
        assert_eq!([b"-1".as_slice(), b"0", b"7"].map(down_for), [-1_000, 0, 7_000]);
        assert_eq!(down_for(b"99999999999999999999"), i64::MAX);
    }

    #[test]
    fn both_kinds_of_slave_lines() {
        let new = b"slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=0";
        assert_eq!(slave_line(new), Some(("10.0.0.2", 6379)));
        assert_eq!(slave_line(b"slave1:10.0.0.3,6380,online"), Some(("10.0.0.3", 6380)));
        assert_eq!(slave_line(b"slave1:10.0.0.3"), None);
        assert_eq!(slave_line(b"slave1"), None);
    }
}
