//! What is sent without being asked: PING, INFO, and the hello message that announces this sentinel and its view of a
//! master (`sentinelSendPeriodicCommands`, `sentinelSendHello`).

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::instances::{Flags, Id, Instance};
use super::link::{Callback, HELLO_CHANNEL};
use super::{Cx, Ms, Sentinel};
use crate::id::Ip;
use crate::resp::encode;

/// A hello message as it was last sent, and what it says: the same one goes to every instance of a master.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    from: Ip,
    epoch: u64,
    config_epoch: u64,
    host: Arc<str>,
    port: u16,
    request: Bytes,
}

impl Sentinel {
    /// How often INFO is asked of this instance: more often when its master is in trouble or it lost its master.
    pub(super) fn info_period(&self, instance: &Instance) -> Ms {
        let urgent = instance.is_slave()
            && (self.at(instance.master).flags.any(Flags::O_DOWN | Flags::FAILOVER)
                || instance.replica.master_link_down_time != 0);
        if urgent { 1000 } else { self.timing.info_period }
    }

    /// How often it is pinged.
    pub(super) fn ping_period(&self, instance: &Instance) -> Ms {
        instance.down_after.min(self.timing.ping_period)
    }

    /// INFO, PING and PUBLISH, each when its time has come (`sentinelSendPeriodicCommands`).
    pub(super) fn send_periodic(&mut self, cx: &mut Cx<'_>, id: Id) {
        if self.link_of(id).disconnected || self.link_of(id).is_choked() {
            return;
        }
        let now = cx.ms;
        let instance = self.at(id);
        let (info_period, ping_period) = (self.info_period(instance), self.ping_period(instance));
        if !instance.is_sentinel() && (instance.info_refresh == 0 || now - instance.info_refresh > info_period) {
            let info = self.command_name(id, "INFO").to_owned();
            self.request(cx, id, Callback::Info, &[info.as_bytes()]);
        }
        let link = self.link_of(id);
        if now - link.last_pong_time > ping_period && now - link.last_ping_time > ping_period / 2 {
            self.send_ping(cx, id);
        }
        if now - self.at(id).last_pub_time > self.timing.publish_period {
            self.send_hello(cx, id);
        }
    }

    /// PUBLISHes the hello message of the instance's master (`sentinelSendHello`).
    fn send_hello(&mut self, cx: &Cx<'_>, id: Id) {
        let master = self.at(id).master;
        let Some(conn) = &self.link_of(id).cc else { return };
        let from = conn.local;
        let addr = self.current_address(master);
        let (host, port) = (self.announced(addr), addr.port);
        let group = self.group(master);
        let known = group.hello.as_ref().filter(|known| {
            known.from == from
                && known.epoch == self.epoch
                && known.config_epoch == group.config_epoch
                && known.host == *host
                && known.port == port
        });
        let request = match known {
            Some(known) => known.request.clone(),
            None => {
                let request = self.encode_hello(id, from);
                let encoded = Encoded {
                    from,
                    epoch: self.epoch,
                    config_epoch: group.config_epoch,
                    host: Arc::clone(host),
                    port,
                    request: request.clone(),
                };
                let group = self.instances[master].group.as_deref_mut().expect("masters have a group");
                group.hello = Some(encoded);
                request
            }
        };
        self.request_encoded(cx, id, Callback::Publish, request);
    }

    fn encode_hello(&self, id: Id, from: Ip) -> Bytes {
        let master = self.at(id).master;
        let addr = self.current_address(master);
        let mut payload = String::with_capacity(160);
        let written = match &self.config.announce_ip {
            Some(ip) => write!(payload, "{ip}"),
            None => write!(payload, "{from}"),
        }
        .and_then(|()| {
            let port = if self.config.announce_port != 0 { self.config.announce_port } else { self.port() };
            let name = &self.at(master).name;
            let (host, config_epoch) = (self.announced(addr), self.group(master).config_epoch);
            write!(payload, ",{port},{},{},{name},{host},{},{config_epoch}", self.my_id, self.epoch, addr.port)
        });
        written.expect("writing to a string can't fail");
        let mut request = BytesMut::with_capacity(payload.len() + 64);
        let publish = self.command_name(id, "PUBLISH");
        encode::command(&mut request, &[publish.as_bytes(), HELLO_CHANNEL, payload.as_bytes()]);
        request.freeze()
    }

    /// Forgets encoded hello messages: something that they are made of was changed by a command.
    pub(super) fn forget_hellos(&mut self) {
        for (_, instance) in &mut self.instances {
            if let Some(group) = instance.group.as_deref_mut() {
                group.hello = None;
            }
        }
    }

    /// Makes the next tick send a hello to all instances of a master (`sentinelForceHelloUpdateForMaster`).
    pub(super) fn force_hello(&mut self, master: Id) {
        let group = self.group(master);
        let mut all = vec![master];
        all.extend(group.sentinels.iter().chain(&group.slaves));
        let back = self.timing.publish_period + 1;
        for id in all {
            let instance = self.at_mut(id);
            if instance.last_pub_time >= back {
                instance.last_pub_time -= back;
            }
        }
    }
}
