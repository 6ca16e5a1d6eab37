//! Hello messages of other sentinels: discovery, changes of address, newer epochs and configurations
//! (`sentinelProcessHelloMessage`).

use std::sync::Arc;

use bytes::Bytes;

use super::config::{atoi, strtoull};
use super::instances::Id;
use super::{Cx, Sentinel};
use crate::id::HexId;
use crate::trace::event::{Detail, InstanceKind, SentinelEventName};

/// How many messages are remembered: a few for each sentinel.
const HEARD_MAX: usize = 32;

/// The eight fields of a hello.
struct Hello<'a> {
    ip: &'a str,
    port: i64,
    id: HexId,
    epoch: u64,
    master_name: &'a [u8],
    master_ip: &'a str,
    master_port: i64,
    master_config_epoch: u64,
}

impl<'a> Hello<'a> {
    /// `None` for anything that is not a hello of eight fields with an id that is one.
    fn parse(message: &'a [u8]) -> Option<Hello<'a>> {
        let mut fields = message.split(|&byte| byte == b',');
        let mut next = || fields.next();
        let (ip, port, id, epoch) = (next()?, next()?, next()?, next()?);
        let (name, master_ip, master_port, config_epoch) = (next()?, next()?, next()?, next()?);
        if next().is_some() {
            return None;
        }
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok();
        Some(Hello {
            ip: text(ip)?,
            port: i64::from(atoi(text(port)?)),
            id: HexId::parse(id)?,
            epoch: strtoull(epoch),
            master_name: name,
            master_ip: text(master_ip)?,
            master_port: i64::from(atoi(text(master_port)?)),
            master_config_epoch: strtoull(config_epoch),
        })
    }
}

impl Sentinel {
    /// Whether this very message has come before and has nothing new to say: epochs only grow, and what it was
    /// compared with is as it was.
    pub(super) fn heard_before(&mut self, cx: &Cx<'_>, message: &[u8]) -> bool {
        let Some((_, from)) = self.heard.iter().find(|(known, _)| known == message) else { return false };
        if let Some(from) = *from {
            self.instances[from].last_hello_time = cx.ms;
        }
        true
    }

    /// Keeps a message that changed nothing, with the instance of its sender.
    pub(super) fn remember_hello(&mut self, message: &[u8], from: Option<Id>) {
        if self.heard.len() >= HEARD_MAX {
            self.heard.clear();
        }
        self.heard.push((Bytes::copy_from_slice(message), from));
    }

    /// Acts on a hello message that came by Pub/Sub or by PUBLISH.
    pub(super) fn process_hello(&mut self, cx: &mut Cx<'_>, message: &[u8]) {
        if self.heard_before(cx, message) {
            return;
        }
        let Some(hello) = Hello::parse(message) else { return };
        let Some(master) = self.master_by_name(hello.master_name) else { return };
        let known = self.sentinel_by_id(master, hello.id).filter(|&id| {
            let addr = &self.at(id).addr;
            i64::from(addr.port) == hello.port
                && (*addr.host == *hello.ip
                    || self.address(hello.ip, hello.port, true).is_ok_and(|heard| addr.same(&heard)))
        });
        if let Some(known) = known
            && hello.epoch <= self.epoch
            && hello.master_config_epoch <= self.group(master).config_epoch
        {
            self.instances[known].last_hello_time = cx.ms;
            return self.remember_hello(message, Some(known));
        }
        let from = known.or_else(|| self.meet(cx, master, &hello));
        if hello.epoch > self.epoch {
            self.epoch = hello.epoch;
            self.flush_config(cx);
            self.new_epoch(cx, master);
        }
        let Some(from) = from else { return };
        if self.group(master).config_epoch < hello.master_config_epoch {
            self.group_mut(master).config_epoch = hello.master_config_epoch;
            self.adopt(cx, master, from, &hello);
        }
        // It may have been removed and created again while the configuration changed; not by this message, though.
        self.instances[from].last_hello_time = cx.ms;
    }

    /// A sentinel that isn't known at this address: a new one, or one that moved.
    fn meet(&mut self, cx: &mut Cx<'_>, master: Id, hello: &Hello<'_>) -> Option<Id> {
        let moved = self.remove_sentinels(cx, master, hello.id) > 0;
        if moved {
            let text = format!("ip {} port {} for {}", hello.ip, hello.port, hello.id);
            self.notice(cx, SentinelEventName::SentinelAddressSwitch, master, Detail::Text(text.into()));
        } else {
            self.evict(cx, master, hello);
        }
        let place = (hello.ip, hello.port);
        let id = self.create(cx.ms, InstanceKind::Sentinel, &hello.id.to_string(), place, Some(master)).ok()?;
        if !moved {
            self.notice(cx, SentinelEventName::Sentinel, id, Detail::None);
        }
        self.at_mut(id).run_id = Some(hello.id);
        self.share_link(id);
        if moved {
            self.update_address_everywhere(cx, id);
        }
        self.flush_config(cx);
        Some(id)
    }

    /// Another sentinel is known at the address of a new one: it can't be there any more.
    fn evict(&mut self, cx: &mut Cx<'_>, master: Id, hello: &Hello<'_>) {
        let Ok(addr) = self.address(hello.ip, hello.port, true) else { return };
        let other = self.group(master).sentinels.iter().copied().find(|&id| self.at(id).addr.same(&addr));
        let Some(other) = other else { return };
        self.notice(cx, SentinelEventName::SentinelInvalidAddr, other, Detail::None);
        let Some(obsolete) = self.at(other).run_id else { return };
        for master in self.masters.clone() {
            self.remove_sentinels(cx, master, obsolete);
        }
    }

    /// The same sentinel in other masters' tables gets the new address, and all its links are opened again
    /// (`sentinelUpdateSentinelAddressInAllMasters`).
    fn update_address_everywhere(&mut self, cx: &mut Cx<'_>, id: Id) {
        let Some(run_id) = self.at(id).run_id else { return };
        let addr = self.at(id).addr.clone();
        let mut updated = 0;
        for master in self.masters.clone() {
            let Some(twin) = self.sentinel_by_id(master, run_id) else { continue };
            let link = self.at(twin).link;
            self.close_command(cx, link);
            self.close_pubsub(cx, link);
            if twin != id {
                self.at_mut(twin).addr = addr.clone();
                self.heard.clear();
                updated += 1;
            }
        }
        if updated > 0 {
            let text = format!("{updated} additional matching instances");
            self.notice(cx, SentinelEventName::SentinelAddressUpdate, id, Detail::Text(text.into()));
        }
    }

    /// A newer configuration: if it names another address, that is the master from now on.
    fn adopt(&mut self, cx: &mut Cx<'_>, master: Id, from: Id, hello: &Hello<'_>) {
        let old = self.at(master).addr.clone();
        if hello.master_port == i64::from(old.port) && self.names(&old, hello.master_ip) {
            return;
        }
        self.warn(cx, SentinelEventName::ConfigUpdateFrom, from, Detail::None);
        let new: Arc<str> = hello.master_ip.into();
        self.say_switch(cx, master, &old, &new, hello.master_port);
        self.switch_address(cx, master, hello.master_ip, hello.master_port);
        let new = self.at(master).addr.clone();
        self.reconfig_script(master, "observer", &old, &new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_has_eight_fields() {
        let id = "bc33c9fa32e4256914b1ce1f4ed17a286fcd0e84";
        let text = format!("10.0.0.9,26379,{id},3,mymaster,10.0.0.1,6379,2");
        let hello = Hello::parse(text.as_bytes()).expect("a hello");
        assert_eq!((hello.ip, hello.port, hello.epoch), ("10.0.0.9", 26_379, 3));
        assert_eq!((hello.master_name, hello.master_ip), (&b"mymaster"[..], "10.0.0.1"));
        assert_eq!((hello.master_port, hello.master_config_epoch), (6379, 2));
        for text in ["", "a,b", &format!("{text},9"), &text.replace(id, "x")] {
            assert!(Hello::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
