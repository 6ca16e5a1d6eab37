//! When a timer tick may have something to do: for every condition that a tick looks at, the earliest time at which
//! it can hold if nothing else happens. Too early is slow, too late is wrong.

use smallvec::SmallVec;

use super::down::NEVER;
use super::instances::{Flags, Id, Instance};
use super::link::Link;
use super::{Ms, Sentinel};
use crate::trace::event::FailoverState;

/// Mark of an instance whose time must be worked out again.
pub(super) const STALE: Ms = Ms::MIN;
/// At the next tick.
const AT_ONCE: Ms = 0;
/// A tick never comes later than this after the one before: HZ is at least 10.
const LONGEST_TICK: Ms = 100;

impl Sentinel {
    /// Plans the next tick that is worth running.
    pub(super) fn schedule(&mut self, now: Ms) {
        let mut due = self.scripts.due(&self.timing);
        if self.every_tick || self.timing.tilt_trigger <= LONGEST_TICK {
            due = AT_ONCE;
        }
        if let Some(since) = self.tilt {
            due = due.min(since + self.timing.tilt_period);
        }
        let all_stale = std::mem::take(&mut self.all_stale);
        // The arena holds what the tables hold, and nothing else.
        let mut stale: SmallVec<[Id; 8]> = SmallVec::new();
        for (id, instance) in &self.instances {
            if all_stale || instance.due == STALE {
                stale.push(id);
            } else {
                due = due.min(instance.due);
            }
        }
        for id in stale {
            let fresh = self.due_of(now, id);
            self.instances[id].due = fresh;
            due = due.min(fresh);
        }
        self.ticks.plan((due != NEVER).then_some(due));
    }

    fn due_of(&self, now: Ms, id: Id) -> Ms {
        let (instance, link) = (self.at(id), self.link_of(id));
        let mut due = self.link_due(instance, link);
        if self.tilt.is_some() {
            return due;
        }
        due = due.min(self.command_is_stuck_from(instance, link)).min(self.pubsub_is_stuck_from(link));
        let down_from = self.is_down_from(instance, link);
        due = due.min(match instance.flags.any(Flags::S_DOWN) {
            false => down_from,
            true if down_from > now => AT_ONCE,
            true => NEVER,
        });
        if instance.is_master() {
            due = due.min(self.failover_due(id));
        } else if instance.is_sentinel() {
            due = due.min(self.question_due(id));
        }
        due
    }

    /// Reconnection, INFO, PING, hello.
    fn link_due(&self, instance: &Instance, link: &Link) -> Ms {
        if link.disconnected {
            return if instance.addr.port == 0 { NEVER } else { link.last_reconn_time + self.timing.ping_period };
        }
        if link.is_choked() {
            return NEVER;
        }
        let ping_period = self.ping_period(instance);
        let ping = (link.last_pong_time + ping_period).max(link.last_ping_time + ping_period / 2) + 1;
        let hello = instance.last_pub_time + self.timing.publish_period + 1;
        let info = match instance.info_refresh {
            _ if instance.is_sentinel() => NEVER,
            0 => AT_ONCE,
            refresh => refresh + self.info_period(instance) + 1,
        };
        ping.min(hello).min(info)
    }

    /// Asking another sentinel about the master, and forgetting its old answer.
    fn question_due(&self, id: Id) -> Ms {
        let instance = self.at(id);
        let answered = instance.last_master_down_reply_time;
        let forget = if instance.flags.any(Flags::MASTER_DOWN) || instance.leader.is_some() {
            answered + self.timing.ask_period * 5 + 1
        } else {
            NEVER
        };
        let asks = self.at(instance.master).flags.any(Flags::S_DOWN) && !self.link_of(id).disconnected;
        if asks { forget.min(answered + self.timing.ask_period) } else { forget }
    }

    /// The objective state and the failover of a master.
    fn failover_due(&self, id: Id) -> Ms {
        let (flags, group) = (self.at(id).flags, self.group(id));
        if self.quorum_agrees(id) != flags.any(Flags::O_DOWN) {
            return AT_ONCE;
        }
        if flags.any(Flags::FAILOVER) {
            return match group.failover_state {
                FailoverState::WaitPromotion => group.failover_state_change_time + group.failover_timeout + 1,
                FailoverState::None
                | FailoverState::WaitStart
                | FailoverState::SelectSlave
                | FailoverState::SendSlaveofNoone
                | FailoverState::ReconfSlaves
                | FailoverState::UpdateConfig => AT_ONCE,
            };
        }
        if !flags.any(Flags::O_DOWN) {
            return NEVER;
        }
        if group.failover_delay_logged == group.failover_start_time {
            group.failover_start_time + group.failover_timeout * 2
        } else {
            AT_ONCE
        }
    }
}
