//! The failover of one master, state by state, one state per timer tick.

use std::cmp::{Ordering, Reverse};

use super::address::Address;
use super::instances::{Flags, Id};
use super::link::Callback;
use super::{Cx, Ms, Sentinel};
use crate::trace::Kind;
use crate::trace::event::{Detail, FailoverState, SentinelEvent, SentinelEventName};

/// `SENTINEL_SIMFAILURE_CRASH_AFTER_ELECTION`.
pub(super) const CRASH_AFTER_ELECTION: u8 = 1;

impl Sentinel {
    /// Moves the state machine and says so in the trace.
    pub(super) fn failover_state(&mut self, cx: &mut Cx<'_>, master: Id, state: FailoverState) {
        let group = self.group_mut(master);
        if group.failover_state == state {
            return;
        }
        group.failover_state = state;
        self.all_stale = true;
        let name = self.at(master).name.clone();
        cx.out.note(Kind::Sentinel(SentinelEvent::Failover { master: name, state }));
    }

    /// An event of a failover about `subject`, remembered as what the next step follows from.
    pub(super) fn step(&mut self, cx: &mut Cx<'_>, name: SentinelEventName, master: Id, subject: Id) {
        let event = self.warn(cx, name, subject, Detail::None);
        self.group_mut(master).last_step = event;
    }

    /// SLAVEOF in a transaction with CONFIG REWRITE and CLIENT KILL (`sentinelSendSlaveOf`); `None`: NO ONE. False
    /// when there is no connection.
    pub(super) fn send_slaveof(&mut self, cx: &Cx<'_>, id: Id, addr: Option<&Address>) -> bool {
        if self.link_of(id).cc.is_none() {
            return false;
        }
        let port = addr.map(|addr| addr.port.to_string());
        let host = addr.map(|addr| self.announced(addr).clone());
        let host: &[u8] = host.as_ref().map_or(b"NO", |host| host.as_bytes());
        let port: &[u8] = port.as_ref().map_or(b"ONE", |port| port.as_bytes());
        let commands: [(&str, &[&[u8]]); 6] = [
            ("MULTI", &[]),
            ("SLAVEOF", &[host, port]),
            ("CONFIG", &[b"REWRITE"]),
            ("CLIENT", &[b"KILL", b"TYPE", b"normal"]),
            ("CLIENT", &[b"KILL", b"TYPE", b"pubsub"]),
            ("EXEC", &[]),
        ];
        for (command, args) in commands {
            let name = self.command_name(id, command).to_owned();
            let mut parts: Vec<&[u8]> = vec![name.as_bytes()];
            parts.extend_from_slice(args);
            self.request(cx, id, Callback::Discard, &parts);
        }
        true
    }

    /// Begins an attempt in a new epoch (`sentinelStartFailover`).
    pub(super) fn start_failover(&mut self, cx: &mut Cx<'_>, master: Id) {
        self.failover_state(cx, master, FailoverState::WaitStart);
        self.at_mut(master).flags.set(Flags::FAILOVER);
        self.epoch += 1;
        let epoch = self.epoch;
        self.group_mut(master).failover_epoch = epoch;
        self.new_epoch(cx, master);
        self.step(cx, SentinelEventName::TryFailover, master, master);
        let start = cx.ms + self.desync();
        let now = cx.ms;
        let group = self.group_mut(master);
        group.failover_start_time = start;
        group.failover_state_change_time = now;
    }

    /// Begins an attempt if the master is objectively down and none was made lately
    /// (`sentinelStartFailoverIfNeeded`).
    pub(super) fn start_failover_if_needed(&mut self, cx: &mut Cx<'_>, master: Id) -> bool {
        let flags = self.at(master).flags;
        if !flags.any(Flags::O_DOWN) || flags.any(Flags::FAILOVER) {
            return false;
        }
        let group = self.group(master);
        let next = group.failover_start_time + group.failover_timeout * 2;
        if cx.ms < next {
            if group.failover_delay_logged != group.failover_start_time {
                let group = self.group_mut(master);
                group.failover_delay_logged = group.failover_start_time;
                let ms = u64::try_from(next - cx.ms).expect("it lies ahead");
                let name = self.at(master).name.clone();
                cx.out.note(Kind::Sentinel(SentinelEvent::FailoverDelayed { master: name, ms }));
            }
            return false;
        }
        cx.out.because(self.group(master).last_step);
        self.start_failover(cx, master);
        true
    }

    /// The replica to promote (`sentinelSelectSlave`).
    pub(super) fn select_slave(&self, now: Ms, master: Id) -> Option<Id> {
        let down = self.at(master).flags.any(Flags::S_DOWN);
        let mut max_link_down = self.at(master).down_after * 10;
        if down {
            max_link_down += now - self.at(master).s_down_since;
        }
        let info_validity = if down { self.timing.ping_period * 5 } else { self.timing.info_period * 3 };
        let fit = |id: &&Id| {
            let slave = self.at(**id);
            let link = self.link_of(**id);
            !slave.flags.any(Flags::S_DOWN | Flags::O_DOWN)
                && !link.disconnected
                && now - link.last_avail_time <= self.timing.ping_period * 5
                && slave.replica.priority != 0
                && now - slave.info_refresh <= info_validity
                && slave.replica.master_link_down_time <= max_link_down
        };
        self.group(master).slaves.iter().filter(fit).copied().min_by(|&a, &b| self.compare_for_promotion(a, b))
    }

    /// Lower priority, then more data, then smaller run id; one without a run id last
    /// (`compareSlavesForPromotion`).
    fn compare_for_promotion(&self, a: Id, b: Id) -> Ordering {
        let key = |id: Id| {
            let slave = self.at(id);
            (slave.replica.priority, Reverse(slave.replica.repl_offset), slave.run_id.is_none(), slave.run_id)
        };
        key(a).cmp(&key(b))
    }

    /// One step of the state machine (`sentinelFailoverStateMachine`).
    pub(super) fn failover_step(&mut self, cx: &mut Cx<'_>, master: Id) {
        if !self.at(master).flags.any(Flags::FAILOVER) {
            return;
        }
        cx.out.because(self.group(master).last_step);
        match self.group(master).failover_state {
            FailoverState::WaitStart => self.wait_start(cx, master),
            FailoverState::SelectSlave => self.select(cx, master),
            FailoverState::SendSlaveofNoone => self.send_slaveof_noone(cx, master),
            FailoverState::WaitPromotion => self.wait_promotion(cx, master),
            FailoverState::ReconfSlaves => self.reconf_next_slave(cx, master),
            FailoverState::None | FailoverState::UpdateConfig => {}
        }
    }

    /// Waits to be elected, but not for ever (`sentinelFailoverWaitStart`).
    fn wait_start(&mut self, cx: &mut Cx<'_>, master: Id) {
        let epoch = self.group(master).failover_epoch;
        let leader = self.leader(cx, master, epoch);
        if leader != Some(self.my_id) && !self.at(master).flags.any(Flags::FORCE) {
            let group = self.group(master);
            let timeout = self.timing.election_timeout.min(group.failover_timeout);
            if cx.ms - group.failover_start_time > timeout {
                self.step(cx, SentinelEventName::AbortNotElected, master, master);
                self.abort_failover(cx, master);
            }
            return;
        }
        self.step(cx, SentinelEventName::ElectedLeader, master, master);
        if self.simulated_failures & CRASH_AFTER_ELECTION != 0 {
            return self.crash(cx);
        }
        self.group_mut(master).failover_state_change_time = cx.ms;
        self.failover_state(cx, master, FailoverState::SelectSlave);
        self.step(cx, SentinelEventName::StateSelectSlave, master, master);
    }

    /// Chooses, or gives up (`sentinelFailoverSelectSlave`).
    fn select(&mut self, cx: &mut Cx<'_>, master: Id) {
        let Some(slave) = self.select_slave(cx.ms, master) else {
            self.step(cx, SentinelEventName::AbortNoGoodSlave, master, master);
            return self.abort_failover(cx, master);
        };
        self.step(cx, SentinelEventName::SelectedSlave, master, slave);
        self.at_mut(slave).flags.set(Flags::PROMOTED);
        let now = cx.ms;
        let group = self.group_mut(master);
        group.promoted = Some(slave);
        group.failover_state_change_time = now;
        self.failover_state(cx, master, FailoverState::SendSlaveofNoone);
        let event = self.notice(cx, SentinelEventName::StateSendSlaveofNoone, slave, Detail::None);
        self.group_mut(master).last_step = event;
    }

    /// Makes the chosen one a master, as soon as it is connected (`sentinelFailoverSendSlaveOfNoOne`).
    fn send_slaveof_noone(&mut self, cx: &mut Cx<'_>, master: Id) {
        let promoted = self.group(master).promoted.expect("one is chosen in this state");
        if self.link_of(promoted).disconnected {
            return self.wait_promotion(cx, master);
        }
        if !self.send_slaveof(cx, promoted, None) {
            return;
        }
        let event = self.notice(cx, SentinelEventName::StateWaitPromotion, promoted, Detail::None);
        let now = cx.ms;
        let group = self.group_mut(master);
        group.last_step = event;
        group.failover_state_change_time = now;
        self.failover_state(cx, master, FailoverState::WaitPromotion);
    }

    /// Only the time-out: success shows in INFO (`sentinelFailoverWaitPromotion`).
    fn wait_promotion(&mut self, cx: &mut Cx<'_>, master: Id) {
        let group = self.group(master);
        if cx.ms - group.failover_state_change_time > group.failover_timeout {
            self.step(cx, SentinelEventName::AbortSlaveTimeout, master, master);
            self.abort_failover(cx, master);
        }
    }

    /// Tells further replicas to follow the new master, as many at once as allowed
    /// (`sentinelFailoverReconfNextSlave`).
    fn reconf_next_slave(&mut self, cx: &mut Cx<'_>, master: Id) {
        let slaves = self.group(master).slaves.clone();
        let busy = Flags::RECONF_SENT | Flags::RECONF_INPROG;
        let in_progress = slaves.iter().filter(|&&id| self.at(id).flags.any(busy)).count();
        let mut in_progress = i64::try_from(in_progress).expect("few replicas");
        for id in slaves {
            if in_progress >= self.group(master).parallel_syncs {
                break;
            }
            if self.at(id).flags.any(Flags::PROMOTED | Flags::RECONF_DONE) {
                continue;
            }
            if self.at(id).flags.any(Flags::RECONF_SENT)
                && cx.ms - self.at(id).replica.reconf_sent_time > self.timing.slave_reconf_timeout
            {
                self.notice(cx, SentinelEventName::SlaveReconfSentTimeout, id, Detail::None);
                let slave = self.at_mut(id);
                slave.flags.clear(Flags::RECONF_SENT);
                slave.flags.set(Flags::RECONF_DONE);
            }
            if self.at(id).flags.any(busy) || self.link_of(id).disconnected {
                continue;
            }
            if self.follow_promoted(cx, master, id) {
                let slave = self.at_mut(id);
                slave.flags.set(Flags::RECONF_SENT);
                slave.replica.reconf_sent_time = cx.ms;
                self.notice(cx, SentinelEventName::SlaveReconfSent, id, Detail::None);
                in_progress += 1;
            }
        }
        self.detect_end(cx, master);
    }

    fn follow_promoted(&mut self, cx: &Cx<'_>, master: Id, slave: Id) -> bool {
        let Some(promoted) = self.group(master).promoted else { return false };
        let addr = self.at(promoted).addr.clone();
        self.send_slaveof(cx, slave, Some(&addr))
    }

    /// All reachable replicas follow, or it took too long (`sentinelFailoverDetectEnd`).
    fn detect_end(&mut self, cx: &mut Cx<'_>, master: Id) {
        let group = self.group(master);
        let Some(promoted) = group.promoted else { return };
        if self.at(promoted).flags.any(Flags::S_DOWN) {
            return;
        }
        let done = Flags::PROMOTED | Flags::RECONF_DONE | Flags::S_DOWN;
        let complete = group.slaves.iter().all(|&id| self.at(id).flags.any(done));
        let timeout = cx.ms - group.failover_state_change_time > group.failover_timeout;
        if timeout {
            self.step(cx, SentinelEventName::FailoverEndForTimeout, master, master);
        }
        if complete || timeout {
            self.step(cx, SentinelEventName::FailoverEnd, master, master);
            self.group_mut(master).failover_state_change_time = cx.ms;
            self.failover_state(cx, master, FailoverState::UpdateConfig);
        }
        if timeout {
            for id in self.group(master).slaves.clone() {
                let told = Flags::PROMOTED | Flags::RECONF_DONE | Flags::RECONF_SENT;
                if self.at(id).flags.any(told) || self.link_of(id).disconnected {
                    continue;
                }
                if self.follow_promoted(cx, master, id) {
                    self.notice(cx, SentinelEventName::SlaveReconfSentBe, id, Detail::None);
                    self.at_mut(id).flags.set(Flags::RECONF_SENT);
                }
            }
        }
    }

    /// The promoted replica is the master from now on (`sentinelFailoverSwitchToPromotedSlave`).
    pub(super) fn switch_to_promoted(&mut self, cx: &mut Cx<'_>, master: Id) {
        let old = self.at(master).addr.clone();
        let new = match self.group(master).promoted {
            Some(promoted) => self.at(promoted).addr.clone(),
            None => old.clone(),
        };
        cx.out.because(self.group(master).last_step);
        let announced = self.announced(&new).clone();
        self.say_switch(cx, master, &old, &announced, i64::from(new.port));
        self.switch_address(cx, master, &new.host, i64::from(new.port));
    }

    /// Gives an attempt up, before the chosen replica is a master (`sentinelAbortFailover`).
    fn abort_failover(&mut self, cx: &mut Cx<'_>, master: Id) {
        let state = self.group(master).failover_state;
        assert!(state <= FailoverState::WaitPromotion, "a failover in {state:?} can't be undone");
        self.at_mut(master).flags.clear(Flags::FAILOVER | Flags::FORCE);
        self.group_mut(master).failover_state_change_time = cx.ms;
        self.failover_state(cx, master, FailoverState::None);
        if let Some(promoted) = self.group_mut(master).promoted.take() {
            self.at_mut(promoted).flags.clear(Flags::PROMOTED);
        }
    }
}
