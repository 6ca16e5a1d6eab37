//! Subjectively and objectively down: own failure detection, and the question to the other sentinels with its answers.

use super::instances::{Flags, Id, Instance, Role};
use super::link::{Callback, Link};
use super::{Cx, Ms, Sentinel};
use crate::id::{EventId, HexId};
use crate::resp::Value;
use crate::trace::Kind;
use crate::trace::event::{Detail, FailoverState, SentinelEvent, SentinelEventName};

/// Never, as a time in milliseconds.
pub(super) const NEVER: Ms = Ms::MAX;

impl Sentinel {
    /// From when on an instance counts as subjectively down if nothing changes; [`NEVER`] if it does not.
    pub(super) fn down_from(&self, id: Id) -> Ms {
        self.is_down_from(self.at(id), self.link_of(id))
    }

    pub(super) fn is_down_from(&self, instance: &Instance, link: &Link) -> Ms {
        let silent = if link.act_ping_time != 0 {
            link.act_ping_time + instance.down_after + 1
        } else if link.disconnected {
            link.last_avail_time + instance.down_after + 1
        } else {
            NEVER
        };
        let Some(group) = &instance.group else { return silent };
        let role = if instance.role_reported == Role::Slave {
            instance.role_reported_time + instance.down_after + self.timing.info_period * 2 + 1
        } else {
            NEVER
        };
        let reboot =
            if instance.flags.any(Flags::REBOOT) { instance.reboot_since + group.reboot_down_after + 1 } else { NEVER };
        silent.min(role).min(reboot)
    }

    /// From when on the command connection is given up: a ping waits for half the time-out, and the connection is
    /// not a new one.
    pub(super) fn command_stuck_from(&self, id: Id) -> Ms {
        self.command_is_stuck_from(self.at(id), self.link_of(id))
    }

    pub(super) fn command_is_stuck_from(&self, instance: &Instance, link: &Link) -> Ms {
        if link.cc.is_none() || link.act_ping_time == 0 {
            return NEVER;
        }
        let half = instance.down_after / 2;
        let settled = link.cc_conn_time + self.timing.min_link_reconnect_period;
        settled.max(link.act_ping_time + half).max(link.last_pong_time + half) + 1
    }

    /// From when on the pub/sub connection is given up: no message for three publish periods.
    pub(super) fn pubsub_stuck_from(&self, id: Id) -> Ms {
        self.pubsub_is_stuck_from(self.link_of(id))
    }

    pub(super) fn pubsub_is_stuck_from(&self, link: &Link) -> Ms {
        if link.pc.is_none() {
            return NEVER;
        }
        let settled = link.pc_conn_time + self.timing.min_link_reconnect_period;
        settled.max(link.pc_last_activity + self.timing.publish_period * 3) + 1
    }

    /// Closes stuck connections and updates the subjective state (`sentinelCheckSubjectivelyDown`).
    pub(super) fn check_subjectively_down(&mut self, cx: &mut Cx<'_>, id: Id) {
        // What counts is measured before a stuck connection is closed.
        let down = cx.ms >= self.down_from(id);
        let link = self.at(id).link;
        if cx.ms >= self.command_stuck_from(id) {
            self.close_command(cx, link);
        }
        if cx.ms >= self.pubsub_stuck_from(id) {
            self.close_pubsub(cx, link);
        }
        let flags = self.at(id).flags;
        if down == flags.any(Flags::S_DOWN) {
            return;
        }
        if down {
            cx.out.because(self.at(id).cause);
            let event = self.warn(cx, SentinelEventName::SdownEnter, id, Detail::None);
            let instance = self.at_mut(id);
            instance.s_down_since = cx.ms;
            instance.flags.set(Flags::S_DOWN);
            if let Some(group) = instance.group.as_deref_mut() {
                group.last_step = event;
            }
        } else {
            self.warn(cx, SentinelEventName::SdownExit, id, Detail::None);
            self.at_mut(id).flags.clear(Flags::S_DOWN | Flags::SCRIPT_KILL);
        }
        self.all_stale = true;
    }

    /// How many sentinels say that a master is down, this one included.
    pub(super) fn down_votes(&self, master: Id) -> u32 {
        let others = self.group(master).sentinels.iter().filter(|&&id| self.at(id).flags.any(Flags::MASTER_DOWN));
        1 + u32::try_from(others.count()).expect("few sentinels")
    }

    /// Whether a master ought to be objectively down.
    pub(super) fn quorum_agrees(&self, master: Id) -> bool {
        self.at(master).flags.any(Flags::S_DOWN) && self.down_votes(master) >= self.group(master).quorum
    }

    /// Updates the objective state (`sentinelCheckObjectivelyDown`).
    pub(super) fn check_objectively_down(&mut self, cx: &mut Cx<'_>, master: Id) {
        let agreed = self.quorum_agrees(master);
        if agreed == self.at(master).flags.any(Flags::O_DOWN) {
            return;
        }
        self.all_stale = true;
        if !agreed {
            self.warn(cx, SentinelEventName::OdownExit, master, Detail::None);
            self.at_mut(master).flags.clear(Flags::O_DOWN);
            return;
        }
        // The last of the answers that make the quorum, or the own opinion, whichever came later.
        let answers = self.group(master).sentinels.iter().map(|&id| self.at(id));
        let latest = answers.filter(|peer| peer.flags.any(Flags::MASTER_DOWN)).map(|peer| peer.cause).max();
        cx.out.because(self.group(master).last_step.max(latest.unwrap_or(EventId::NONE)));
        let detail = Detail::Quorum { votes: self.down_votes(master), quorum: self.group(master).quorum };
        let event = self.warn(cx, SentinelEventName::OdownEnter, master, detail);
        self.group_mut(master).last_step = event;
        let instance = self.at_mut(master);
        instance.flags.set(Flags::O_DOWN);
        instance.o_down_since = cx.ms;
    }

    /// Asks the others about a master that is down here, once per period each, or all at once when `forced`; answers
    /// that are too old are dropped (`sentinelAskMasterStateToOtherSentinels`).
    pub(super) fn ask_others(&mut self, cx: &mut Cx<'_>, master: Id, forced: bool) {
        let now = cx.ms;
        for index in 0..self.group(master).sentinels.len() {
            let id = self.group(master).sentinels[index];
            let peer = &mut self.instances[id];
            let elapsed = now - peer.last_master_down_reply_time;
            if elapsed > self.timing.ask_period * 5 && (peer.flags.any(Flags::MASTER_DOWN) || peer.leader.is_some()) {
                peer.flags.clear(Flags::MASTER_DOWN);
                peer.leader = None;
                self.all_stale = true;
            }
            if !self.at(master).flags.any(Flags::S_DOWN)
                || self.link_of(id).disconnected
                || (!forced && elapsed < self.timing.ask_period)
            {
                continue;
            }
            self.ask(cx, master, id);
        }
    }

    fn ask(&mut self, cx: &Cx<'_>, master: Id, peer: Id) {
        let addr = &self.at(master).addr;
        let (host, port) = (self.announced(addr).clone(), addr.port.to_string());
        let epoch = self.epoch.to_string();
        let seeks_votes = self.group(master).failover_state != FailoverState::None;
        let candidate = self.my_id.hex();
        let candidate: &[u8] = if seeks_votes { &candidate } else { b"*" };
        let name = self.command_name(peer, "SENTINEL").to_owned();
        let parts: [&[u8]; 6] =
            [name.as_bytes(), b"is-master-down-by-addr", host.as_bytes(), port.as_bytes(), epoch.as_bytes(), candidate];
        self.request(cx, peer, Callback::MasterDown, &parts);
    }

    /// An answer: the other's opinion, and perhaps its vote (`sentinelReceiveIsMasterDownReply`).
    pub(super) fn master_down_reply(&mut self, cx: &mut Cx<'_>, id: Id, value: &Value) {
        let Some([Value::Integer(down), Value::Bulk(leader), Value::Integer(epoch)]) = value.items() else { return };
        let (down, epoch) = (*down == 1, u64::try_from(*epoch).unwrap_or(0));
        let cause = cx.out.cause();
        let peer = self.at_mut(id);
        peer.last_master_down_reply_time = cx.ms;
        let master = peer.master;
        if down != peer.flags.any(Flags::MASTER_DOWN) {
            if down {
                peer.flags.set(Flags::MASTER_DOWN);
                peer.cause = cause;
            } else {
                peer.flags.clear(Flags::MASTER_DOWN);
            }
        }
        self.instances[master].due = super::schedule::STALE;
        if leader.as_ref() == b"*" {
            return;
        }
        let Some(leader) = HexId::parse(leader) else { return };
        let peer = self.at_mut(id);
        let news = peer.leader_epoch != epoch;
        peer.leader = Some(leader);
        peer.leader_epoch = epoch;
        if news {
            let from = peer.run_id.unwrap_or_default();
            let master_name = self.at(master).name.clone();
            let vote = SentinelEvent::VoteReceived { master: master_name, from, leader, epoch };
            let event = cx.out.note(Kind::Sentinel(vote));
            if Some(leader) == Some(self.my_id) {
                self.group_mut(master).last_step = event;
            }
        }
    }

    /// A reply to PING that is not a plain PONG (`sentinelPingReplyCallback`).
    pub(super) fn ping_reply(&mut self, cx: &mut Cx<'_>, link_id: usize, id: Id, value: &Value) {
        let (text, error) = match value {
            Value::Simple(text) => (text, false),
            Value::Error(text) => (text, true),
            Value::Integer(_)
            | Value::Bulk(_)
            | Value::Null
            | Value::Array(_)
            | Value::Map(_)
            | Value::Set(_)
            | Value::Push(_)
            | Value::Attribute(..)
            | Value::Double(_)
            | Value::Boolean(_)
            | Value::BigNumber(_)
            | Value::Verbatim(..) => {
                self.links[link_id].last_pong_time = cx.ms;
                return;
            }
        };
        let pong = text.starts_with(b"PONG");
        if pong || text.starts_with(b"LOADING") || text.starts_with(b"MASTERDOWN") {
            let link = &mut self.links[link_id];
            link.last_avail_time = cx.ms;
            link.act_ping_time = 0;
            if pong {
                self.at_mut(id).flags.clear(Flags::REBOOT);
            }
            self.at_mut(id).cause = EventId::NONE;
        } else if error && text.starts_with(b"BUSY") {
            let flags = self.at(id).flags;
            if flags.any(Flags::S_DOWN) && !flags.any(Flags::SCRIPT_KILL) {
                let name = self.command_name(id, "SCRIPT").to_owned();
                self.request(cx, id, Callback::Discard, &[name.as_bytes(), b"KILL"]);
                self.at_mut(id).flags.set(Flags::SCRIPT_KILL);
            }
        }
        self.links[link_id].last_pong_time = cx.ms;
    }
}
