//! What the election chart shows: each sentinel's beliefs about a master, its failover states, its votes and deeds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::NodeId;
use crate::report::stage::{Phases, Stage, Stretch};
use crate::time::{Instant, Span};
use crate::trace::event::{
    Detail, FailoverState, Instance, InstanceKind, NodeRole, SentinelEvent, SentinelEventName, WorldEvent,
};
use crate::trace::{Event, Kind};

/// Stretches of time without anything to show are left out when they are longer than this, and than this part of
/// what there is to show.
const DULL: Span = Span::from_ms(4_000);
const DULL_PART: u64 = 8;
/// At most so many separate stretches are shown.
const WINDOWS: usize = 4;
/// A fault is shown with what it led to if that came within this time.
const CONSEQUENCE: Span = Span::from_secs(60);

/// What a sentinel believes of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// +sdown.
    Subjective,
    /// +odown, with votes and quorum.
    Objective { quorum: Option<(u32, u32)> },
    /// +tilt: it acts on nothing.
    Tilt,
}

/// How many others a sentinel believes to be down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Peers {
    pub(crate) sentinels: u16,
    pub(crate) replicas: u16,
}

/// Something that a sentinel did at a moment.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Voted.
    Vote { leader: Option<NodeId>, name: String, epoch: u64 },
    /// Didn't vote, though asked.
    Refused { name: String, epoch: u64 },
    /// Was elected.
    Leader,
    /// Chose the replica to promote.
    Selected(String),
    /// Took the new configuration.
    Switch(String),
    /// Gave up.
    Abort(&'static str),
    /// Told an old master to follow.
    Convert(String),
}

/// The deed and its time.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) at: Instant,
    pub(crate) deed: Deed,
}

/// A sentinel and a master that it watches.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) node: NodeId,
    /// Which sentinel, counted from 0.
    pub(crate) sentinel: usize,
    pub(crate) name: String,
    pub(crate) down: Vec<Stretch<Down>>,
    pub(crate) states: Vec<Stretch<FailoverState>>,
    pub(crate) acts: Vec<Act>,
    pub(crate) peers: Vec<Stretch<Peers>>,
    others: Phases<Peers>,
    down_peers: BTreeSet<(bool, Arc<str>)>,
    beliefs: Phases<Down>,
    subjective: bool,
    machine: Phases<FailoverState>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) lanes: Vec<Lane>,
    index: BTreeMap<(NodeId, Arc<str>), usize>,
    /// The master that a sentinel spoke of last: what it says of epochs and votes names none.
    current: BTreeMap<NodeId, Arc<str>>,
    points: Vec<Instant>,
}

impl Fold {
    /// Gathers.
    pub(crate) fn of(stage: &Stage, events: &[Event]) -> Fold {
        let mut fold = Fold { lanes: Vec::new(), index: BTreeMap::new(), current: BTreeMap::new(), points: Vec::new() };
        for event in events {
            let Some(node) = event.node else { continue };
            if let Kind::Sentinel(said) = &event.kind {
                fold.see(stage, node, event.at, said);
            } else if let Kind::World(WorldEvent::Died { .. }) = &event.kind {
                for lane in fold.lanes.iter_mut().filter(|lane| lane.node == node) {
                    lane.beliefs.stop(event.at);
                    lane.machine.stop(event.at);
                    lane.others.stop(event.at);
                    lane.down_peers.clear();
                    lane.subjective = false;
                }
            }
        }
        for lane in &mut fold.lanes {
            lane.down = std::mem::take(&mut lane.beliefs).finish(stage.end);
            lane.peers = std::mem::take(&mut lane.others).finish(stage.end);
            lane.states = std::mem::take(&mut lane.machine).finish(stage.end);
        }
        fold.order(stage);
        fold
    }

    /// Lanes in the order of the scenario; the master's name is added where there are several.
    fn order(&mut self, stage: &Stage) {
        let masters: BTreeSet<&Arc<str>> = self.index.keys().map(|(_, master)| master).collect();
        if masters.len() > 1 {
            for ((_, master), &lane) in &self.index {
                self.lanes[lane].name.push_str(&format!(" {master}"));
            }
        }
        for (n, actor) in stage.of_role(NodeRole::Sentinel).enumerate() {
            for lane in self.lanes.iter_mut().filter(|lane| lane.node == actor.id) {
                lane.sentinel = n;
            }
        }
        self.lanes.sort_by(|a, b| (a.sentinel, &a.name).cmp(&(b.sentinel, &b.name)));
    }

    fn lane(&mut self, stage: &Stage, node: NodeId, master: &Arc<str>) -> &mut Lane {
        let next = self.lanes.len();
        let index = *self.index.entry((node, master.clone())).or_insert(next);
        if index == next {
            self.lanes.push(Lane {
                node,
                sentinel: 0,
                name: stage.name(Some(node)).to_owned(),
                down: Vec::new(),
                states: Vec::new(),
                acts: Vec::new(),
                peers: Vec::new(),
                others: Phases::default(),
                down_peers: BTreeSet::new(),
                beliefs: Phases::default(),
                subjective: false,
                machine: Phases::default(),
            });
        }
        self.current.insert(node, master.clone());
        &mut self.lanes[index]
    }

    fn see(&mut self, stage: &Stage, node: NodeId, at: Instant, said: &SentinelEvent) {
        if let SentinelEvent::Said { name, instance, detail } = said {
            self.said(stage, node, at, *name, (instance.as_deref(), detail));
        } else if let SentinelEvent::Failover { master, state } = said {
            let lane = self.lane(stage, node, master);
            if *state == FailoverState::None {
                lane.machine.stop(at);
            } else {
                lane.machine.begin(at, *state);
            }
            self.points.push(at);
        } else if let SentinelEvent::VoteIgnored { candidate, epoch, .. } = said
            && let Some(master) = self.current.get(&node).cloned()
        {
            let deed = Deed::Refused { name: stage.sentinel_name(*candidate), epoch: *epoch };
            self.lane(stage, node, &master).acts.push(Act { at, deed });
        }
    }

    fn said(
        &mut self,
        stage: &Stage,
        node: NodeId,
        at: Instant,
        name: SentinelEventName,
        (instance, detail): (Option<&Instance>, &Detail),
    ) {
        let master = match (instance, detail) {
            (Some(instance), _) => Some(instance.master.clone()),
            (None, Detail::Switch { master, .. }) => Some(master.clone()),
            (None, _) => self.current.get(&node).cloned(),
        };
        let Some(master) = master else { return };
        let about_master = instance.is_some_and(|instance| instance.kind == InstanceKind::Master);
        let about = instance.map_or_else(String::new, |instance| stage.name_at(instance.addr));
        let lane = self.lane(stage, node, &master);
        if let Some(instance) = instance.filter(|instance| instance.kind != InstanceKind::Master) {
            lane.peer(at, name, instance);
        } else if name == SentinelEventName::SwitchMaster {
            lane.down_peers.retain(|(sentinel, _)| *sentinel);
            lane.count_peers(at);
        }
        let changed = lane.believe(at, name, about_master, detail);
        let deed = deed(stage, name, about, detail);
        if changed || deed.is_some() {
            lane.acts.extend(deed.map(|deed| Act { at, deed }));
            self.points.push(at);
        }
    }

    /// The stretches of time that are worth showing.
    pub(crate) fn windows(&self, stage: &Stage) -> Option<Vec<(Instant, Instant)>> {
        if self.points.is_empty() {
            return None;
        }
        let mut spans: Vec<(Instant, Instant)> = self.points.iter().map(|&at| (at, at)).collect();
        for fault in &stage.faults {
            let next = self.points.iter().find(|&&at| at >= fault.from && at.since(fault.from) <= CONSEQUENCE);
            spans.extend(next.map(|&at| (fault.from, at)));
        }
        spans.sort();
        let all = spans.iter().map(|span| span.1).max().map_or(Span::ZERO, |last| last.since(spans[0].0));
        let dull = DULL.max(Span::from_ns(all.ns() / DULL_PART));
        let mut windows: Vec<(Instant, Instant)> = Vec::new();
        for (from, to) in spans {
            match windows.last_mut() {
                Some(last) if from.since(last.1) <= dull => last.1 = last.1.max(to),
                Some(_) | None => windows.push((from, to)),
            }
        }
        while windows.len() > WINDOWS {
            let gap = |n: &usize| windows[n + 1].0.since(windows[*n].1);
            let smallest = (0..windows.len() - 1).min_by_key(gap).expect("there are several");
            let joined = (windows[smallest].0, windows[smallest + 1].1);
            windows.splice(smallest..smallest + 2, [joined]);
        }
        Some(windows)
    }
}

impl Lane {
    /// Takes in what changes its belief about the master; whether it did.
    fn believe(&mut self, at: Instant, name: SentinelEventName, about_master: bool, detail: &Detail) -> bool {
        let before = self.beliefs.now();
        if name == SentinelEventName::TiltEnter {
            self.beliefs.begin(at, Down::Tilt);
        } else if name == SentinelEventName::TiltExit || name == SentinelEventName::SwitchMaster {
            self.subjective &= name == SentinelEventName::TiltExit;
            self.rest(at);
        } else if !about_master {
            return false;
        } else if name == SentinelEventName::SdownEnter || name == SentinelEventName::SdownExit {
            self.subjective = name == SentinelEventName::SdownEnter;
            self.rest(at);
        } else if name == SentinelEventName::OdownEnter {
            let quorum = if let Detail::Quorum { votes, quorum } = detail { Some((*votes, *quorum)) } else { None };
            self.beliefs.begin(at, Down::Objective { quorum });
        } else if name == SentinelEventName::OdownExit {
            self.rest(at);
        }
        self.beliefs.now() != before
    }

    fn peer(&mut self, at: Instant, name: SentinelEventName, peer: &Instance) {
        let key = (peer.kind == InstanceKind::Sentinel, peer.name.clone());
        if name == SentinelEventName::SdownEnter {
            self.down_peers.insert(key);
        } else if name == SentinelEventName::SdownExit {
            self.down_peers.remove(&key);
        }
        self.count_peers(at);
    }

    fn count_peers(&mut self, at: Instant) {
        let mut peers = Peers::default();
        for (sentinel, _) in &self.down_peers {
            if *sentinel { peers.sentinels += 1 } else { peers.replicas += 1 }
        }
        if peers == Peers::default() { self.others.stop(at) } else { self.others.begin(at, peers) }
    }

    /// What it believes when nothing stronger holds.
    fn rest(&mut self, at: Instant) {
        if self.subjective { self.beliefs.begin(at, Down::Subjective) } else { self.beliefs.stop(at) }
    }
}

/// What stands as a flag above the lane.
fn deed(stage: &Stage, name: SentinelEventName, about: String, detail: &Detail) -> Option<Deed> {
    if let Detail::Vote { leader, epoch } = detail {
        let node = stage.sentinel(*leader).map(|actor| actor.id);
        return Some(Deed::Vote { leader: node, name: stage.sentinel_name(*leader), epoch: *epoch });
    }
    if let Detail::Switch { new, .. } = detail {
        return Some(Deed::Switch(stage.name_at(*new)));
    }
    if name == SentinelEventName::ElectedLeader {
        Some(Deed::Leader)
    } else if name == SentinelEventName::SelectedSlave {
        Some(Deed::Selected(about))
    } else if name == SentinelEventName::ConvertToSlave {
        Some(Deed::Convert(about))
    } else if name == SentinelEventName::FailoverEndForTimeout {
        Some(Deed::Abort("end for timeout"))
    } else {
        name.as_str().strip_prefix("-failover-abort-").map(Deed::Abort)
    }
}
