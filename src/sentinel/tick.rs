//! One tick of the timer (`sentinelTimer`), and TILT: the mode in which a sentinel that can't trust its clock watches
//! and does nothing.

use super::instances::Id;
use super::schedule::STALE;
use super::{Cx, Ms, Sentinel};
use crate::trace::event::{Detail, FailoverState, SentinelEventName};

impl Sentinel {
    /// Everything that is done by time.
    pub(super) fn tick(&mut self, cx: &mut Cx<'_>) {
        self.check_tilt(cx);
        self.handle_masters(cx);
        if self.dead {
            return;
        }
        self.scripts_tick(cx);
        self.ticks.ran(cx.now.mono, cx.ms);
    }

    /// Enters TILT mode when the time since the last tick is negative or too long (`sentinelCheckTiltCondition`).
    fn check_tilt(&mut self, cx: &mut Cx<'_>) {
        let delta = cx.ms - self.ticks.previous();
        if delta < 0 || delta > self.timing.tilt_trigger {
            self.tilt = Some(cx.ms);
            self.all_stale = true;
            self.say_bare(cx, SentinelEventName::TiltEnter, None, Detail::Text("#tilt mode entered".into()));
        }
    }

    /// Masters with their replicas and sentinels (`sentinelHandleDictOfRedisInstances`).
    fn handle_masters(&mut self, cx: &mut Cx<'_>) {
        let mut switch = None;
        for index in 0..self.masters.len() {
            let master = self.masters[index];
            self.handle_instance(cx, master);
            for child in 0..self.group(master).slaves.len() {
                let id = self.group(master).slaves[child];
                self.handle_instance(cx, id);
            }
            for child in 0..self.group(master).sentinels.len() {
                let id = self.group(master).sentinels[child];
                self.handle_instance(cx, id);
            }
            if self.dead {
                return;
            }
            if self.group(master).failover_state == FailoverState::UpdateConfig {
                switch = Some(master);
            }
        }
        if let Some(master) = switch {
            self.switch_to_promoted(cx, master);
        }
    }

    /// Whether there is nothing to do for an instance: it was found when there will be, and nothing has changed since.
    fn rests(&self, now: Ms, id: Id) -> bool {
        let is_due = |id: Id| {
            let due = self.instances[id].due;
            due == STALE || due <= now
        };
        // It is its master's turn in which a sentinel is asked.
        let asks =
            || self.instances[id].group.as_ref().is_some_and(|group| group.sentinels.iter().any(|&id| is_due(id)));
        !self.all_stale && !self.every_tick && self.tilt.is_none() && !is_due(id) && !asks()
    }

    /// The monitoring half, and the acting half unless in TILT mode (`sentinelHandleRedisInstance`).
    fn handle_instance(&mut self, cx: &mut Cx<'_>, id: Id) {
        if self.dead {
            return;
        }
        cx.out.because(cx.root);
        if self.rests(cx.ms, id) {
            return;
        }
        self.reconnect(cx, id);
        self.send_periodic(cx, id);
        if let Some(since) = self.tilt {
            if cx.ms - since < self.timing.tilt_period {
                return;
            }
            self.tilt = None;
            self.all_stale = true;
            self.say_bare(cx, SentinelEventName::TiltExit, None, Detail::Text("#tilt mode exited".into()));
        }
        self.check_subjectively_down(cx, id);
        if self.at(id).is_master() {
            cx.out.because(cx.root);
            self.check_objectively_down(cx, id);
            if self.start_failover_if_needed(cx, id) {
                self.ask_others(cx, id, true);
            }
            self.failover_step(cx, id);
            if !self.dead {
                self.ask_others(cx, id, false);
            }
        }
    }
}
