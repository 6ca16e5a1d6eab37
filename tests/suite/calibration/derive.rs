//! What one run says in the terms of the recordings: first times of events, intervals, orders, votes, choices.

use std::collections::BTreeMap;

use splitbrain::id::{Addr, NodeId};
use splitbrain::trace::event::{
    Detail, Instance, InstanceKind, LinkState, NodeRole, SentinelEvent, SentinelEventName as Name, ServerEvent,
    WorldEvent,
};
use splitbrain::trace::{Event, Kind};

/// One run, reduced. Times are milliseconds since the first fault.
#[derive(Debug, Default, Clone)]
pub(crate) struct Facts {
    /// Interval name to its values in this run.
    pub(crate) intervals: BTreeMap<&'static str, Vec<f64>>,
    /// Order of first events at the first elected sentinel.
    pub(crate) leader_order: Option<String>,
    /// Order of first events at each other sentinel that could still be reached.
    pub(crate) observer_orders: Vec<String>,
    /// +try-failover events.
    pub(crate) candidates: usize,
    /// +elected-leader events.
    pub(crate) elected: usize,
    /// -failover-abort-* events by name.
    pub(crate) aborts: BTreeMap<String, usize>,
    /// Names of promoted servers.
    pub(crate) promoted: Vec<String>,
    /// Times of each +try-failover of each sentinel.
    pub(crate) tries: BTreeMap<NodeId, Vec<f64>>,
    /// Times of each abort of each sentinel.
    pub(crate) abort_times: BTreeMap<NodeId, Vec<f64>>,
}

/// A sentinel's event with what matters of it.
#[derive(Debug, Clone)]
struct Said<'a> {
    t: f64,
    node: NodeId,
    name: Name,
    instance: Option<&'a Instance>,
    detail: &'a Detail,
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds in a test")]
fn ms(event: &Event, zero: u64) -> f64 {
    (event.at.0 as f64 - zero as f64) / 1e6
}

/// Derives the facts. `zero_fault`: which fault of the timeline is time 0; `until`: when the recording ended, in
/// milliseconds.
#[must_use]
pub(crate) fn derive(events: &[Event], zero_fault: u16, until: f64) -> Facts {
    let mut names: BTreeMap<NodeId, (String, NodeRole, Addr)> = BTreeMap::new();
    let (mut zero, mut healed) = (None, None);
    for event in events {
        if let (Kind::World(WorldEvent::Declared { name, role, addr, .. }), Some(node)) = (&event.kind, event.node) {
            names.insert(node, (name.to_string(), *role, *addr));
        }
        match &event.kind {
            Kind::World(WorldEvent::FaultBegan { fault, .. }) if *fault == zero_fault => zero = Some(event.at.0),
            Kind::World(WorldEvent::FaultEnded { fault }) if *fault == zero_fault => healed = Some(event.at.0),
            _ => {}
        }
    }
    let zero = zero.expect("the scenario has the fault that is time zero");
    let said: Vec<Said> = events
        .iter()
        .filter(|event| event.at.0 >= zero && ms(event, zero) <= until)
        .filter_map(|event| match &event.kind {
            Kind::Sentinel(SentinelEvent::Said { name, instance, detail }) => Some(Said {
                t: ms(event, zero),
                node: event.node.expect("a sentinel's event has a node"),
                name: *name,
                instance: instance.as_deref(),
                detail,
            }),
            _ => None,
        })
        .collect();
    let mut facts = Facts::default();
    let by_addr = |addr: Addr| names.values().find(|(_, _, a)| *a == addr).map(|(name, _, _)| name.clone());
    facts.candidates = said.iter().filter(|s| s.name == Name::TryFailover).count();
    for s in &said {
        match s.name {
            Name::ElectedLeader => facts.elected += 1,
            Name::TryFailover => facts.tries.entry(s.node).or_default().push(s.t),
            Name::AbortNotElected | Name::AbortNoGoodSlave | Name::AbortSlaveTimeout => {
                *facts.aborts.entry(s.name.as_str().to_owned()).or_default() += 1;
                facts.abort_times.entry(s.node).or_default().push(s.t);
            }
            Name::PromotedSlave => {
                facts.promoted.extend(s.instance.and_then(|i| by_addr(i.addr)));
            }
            _ => {}
        }
    }
    let votes: Vec<(NodeId, f64)> = events
        .iter()
        .filter(|event| event.at.0 >= zero && matches!(&event.kind, Kind::Sentinel(SentinelEvent::VoteReceived { .. })))
        .map(|event| (event.node.expect("a sentinel's event has a node"), ms(event, zero)))
        .collect();
    intervals(&mut facts, &said, &votes);
    old_master(&mut facts, events, &said, zero, healed);
    let dead = |node: NodeId| {
        events.iter().any(|e| e.node == Some(node) && matches!(e.kind, Kind::World(WorldEvent::Died { .. })))
    };
    orders(&mut facts, &said, &names, &dead);
    repointed(&mut facts, events, zero);
    facts
}

fn is_master(s: &Said) -> bool {
    s.instance.is_some_and(|i| i.kind == InstanceKind::Master)
}

fn first(said: &[Said], name: Name) -> Option<f64> {
    said.iter().find(|s| s.name == name).map(|s| s.t)
}

/// First time of an event about the master at each sentinel.
fn each(said: &[Said], name: Name) -> Vec<(NodeId, f64)> {
    let mut seen: Vec<(NodeId, f64)> = Vec::new();
    for s in said.iter().filter(|s| s.name == name && (is_master(s) || s.instance.is_none())) {
        if !seen.iter().any(|(node, _)| *node == s.node) {
            seen.push((s.node, s.t));
        }
    }
    seen
}

fn intervals(facts: &mut Facts, said: &[Said], votes: &[(NodeId, f64)]) {
    let map = &mut facts.intervals;
    let mut add = |name: &'static str, value: Option<f64>| {
        if let Some(value) = value {
            map.entry(name).or_default().push(value);
        }
    };
    let sdown = each(said, Name::SdownEnter);
    let odown = each(said, Name::OdownEnter);
    for (_, t) in &sdown {
        add("fault_to_sdown_each", Some(*t));
    }
    for (_, t) in &odown {
        add("fault_to_odown_each", Some(*t));
    }
    let first_sdown = sdown.first().map(|(_, t)| *t);
    add("fault_to_sdown_first", first_sdown);
    add("sdown_spread_first_to_last", first_sdown.zip(sdown.last()).map(|(a, (_, b))| b - a));
    let first_odown = odown.first().map(|(_, t)| *t);
    add("fault_to_odown_first", first_odown);
    add("second_sdown_to_first_odown", sdown.get(1).zip(first_odown).map(|((_, a), b)| b - a));
    let tried = first(said, Name::TryFailover);
    add("fault_to_try_failover", tried);
    add("odown_to_try_failover", first_odown.zip(tried).map(|(a, b)| b - a));
    let elected = said.iter().find(|s| s.name == Name::ElectedLeader);
    add("fault_to_elected", elected.map(|s| s.t));
    let Some(elected) = elected else { return };
    let leader: Vec<Said> = said.iter().filter(|s| s.node == elected.node).cloned().collect();
    let before = |name: Name, t: f64| leader.iter().rev().find(|s| s.name == name && s.t <= t).map(|s| s.t);
    let after = |name: Name| leader.iter().find(|s| s.name == name && s.t >= elected.t).map(|s| s.t);
    let try_at = before(Name::TryFailover, elected.t);
    add("try_to_elected", try_at.map(|t| elected.t - t));
    if let Some(try_at) = try_at {
        for s in said.iter().filter(|s| s.name == Name::VoteForLeader && s.node != elected.node && s.t >= try_at) {
            if s.t <= elected.t {
                add("request_to_vote_each", Some(s.t - try_at));
            }
        }
    }
    for t in votes.iter().filter(|(node, t)| *node == elected.node && *t <= elected.t).map(|(_, t)| *t) {
        add("try_to_vote_received_each", try_at.filter(|at| *at <= t).map(|at| t - at));
    }
    let selected = after(Name::SelectedSlave);
    let sent = after(Name::StateWaitPromotion);
    let promoted = after(Name::PromotedSlave);
    let reconf = after(Name::SlaveReconfSent);
    let inprog = after(Name::SlaveReconfInprog);
    let done = after(Name::SlaveReconfDone);
    let end = after(Name::FailoverEnd);
    let switch = after(Name::SwitchMaster);
    let gap = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| b - a);
    add("elected_to_selected", selected.map(|t| t - elected.t));
    add("selected_to_slaveof_noone_sent", gap(selected, sent));
    add("slaveof_noone_sent_to_promoted", gap(sent, promoted));
    add("promoted_to_first_reconf_sent", gap(promoted, reconf));
    add("reconf_sent_to_inprog", gap(reconf, inprog));
    add("reconf_inprog_to_done", gap(inprog, done));
    add("first_reconf_done_to_failover_end", gap(done, end));
    add("fault_to_promoted", promoted);
    add("fault_to_failover_end", end);
    add("fault_to_switch_master_leader", switch);
    let mut seen = vec![elected.node];
    for s in said.iter().filter(|s| s.name == Name::SwitchMaster) {
        if !seen.contains(&s.node) {
            seen.push(s.node);
            add("fault_to_switch_master_observers_each", Some(s.t));
            add("promoted_to_switch_observers_each", promoted.map(|p| s.t - p));
        }
    }
}

/// What becomes of an old master that returns when the fault heals.
fn old_master(facts: &mut Facts, events: &[Event], said: &[Said], zero: u64, healed: Option<u64>) {
    let Some(healed) = healed else { return };
    #[allow(clippy::cast_precision_loss, reason = "milliseconds in a test")]
    let back = (healed - zero) as f64 / 1e6;
    let map = &mut facts.intervals;
    if let Some(s) = said.iter().find(|s| s.name == Name::ConvertToSlave && s.t >= back) {
        map.entry("return_to_convert_to_slave").or_default().push(s.t - back);
    }
    let reported = said
        .iter()
        .find(|s| s.name == Name::RoleChangeMinus && s.t >= back && matches!(s.detail, Detail::Role { master: true }));
    if let Some(s) = reported {
        map.entry("return_to_reported_as_master").or_default().push(s.t - back);
    }
    let demoted =
        events.iter().find(|e| e.at.0 >= healed && matches!(&e.kind, Kind::Server(ServerEvent::BecameReplica { .. })));
    if let Some(demoted) = demoted {
        map.entry("return_to_old_master_is_slave").or_default().push(ms(demoted, healed));
        let up = events.iter().find(|e| {
            e.id > demoted.id
                && e.node == demoted.node
                && matches!(&e.kind, Kind::Server(ServerEvent::Link { state: LinkState::Connected, .. }))
        });
        if let Some(up) = up {
            map.entry("demoted_to_link_up").or_default().push(ms(up, demoted.at.0));
        }
    }
}

/// Names that the recordings' orders are made of: the first of each at each sentinel, about the master, its promotion
/// and its replicas' reconfiguration. Down states count for the master only.
const ORDERED: &[Name] = &[
    Name::SdownEnter,
    Name::OdownEnter,
    Name::OdownExit,
    Name::SdownExit,
    Name::NewEpoch,
    Name::TryFailover,
    Name::VoteForLeader,
    Name::ElectedLeader,
    Name::StateSelectSlave,
    Name::SelectedSlave,
    Name::StateSendSlaveofNoone,
    Name::StateWaitPromotion,
    Name::RoleChangeMinus,
    Name::PromotedSlave,
    Name::StateReconfSlaves,
    Name::SlaveReconfSent,
    Name::SlaveReconfInprog,
    Name::SlaveReconfDone,
    Name::SlaveReconfSentBe,
    Name::FailoverEnd,
    Name::FailoverEndForTimeout,
    Name::SwitchMaster,
    Name::ConfigUpdateFrom,
    Name::AbortNotElected,
    Name::AbortNoGoodSlave,
    Name::AbortSlaveTimeout,
];

/// One sentinel's order of events up to its +switch-master.
fn order(said: &[Said], node: NodeId) -> String {
    let mut words: Vec<&str> = Vec::new();
    for s in said.iter().filter(|s| s.node == node && ORDERED.contains(&s.name)) {
        let about_master_only =
            matches!(s.name, Name::SdownEnter | Name::SdownExit | Name::OdownEnter | Name::OdownExit);
        if about_master_only && !is_master(s) {
            continue;
        }
        words.push(s.name.as_str());
        if s.name == Name::SwitchMaster {
            break;
        }
    }
    words.join(" ")
}

fn orders(
    facts: &mut Facts,
    said: &[Said],
    names: &BTreeMap<NodeId, (String, NodeRole, Addr)>,
    dead: &dyn Fn(NodeId) -> bool,
) {
    let leader = said.iter().find(|s| s.name == Name::ElectedLeader).map(|s| s.node);
    for (node, (_, role, _)) in names {
        let text = order(said, *node);
        if *role != NodeRole::Sentinel || dead(*node) {
            continue;
        }
        if Some(*node) == leader {
            facts.leader_order = Some(text);
        } else {
            facts.observer_orders.push(text);
        }
    }
}

/// How long each replica that was pointed at the new master takes until its link is up.
fn repointed(facts: &mut Facts, events: &[Event], zero: u64) {
    for event in events.iter().filter(|event| event.at.0 >= zero) {
        if !matches!(&event.kind, Kind::Server(ServerEvent::BecameReplica { .. })) {
            continue;
        }
        let up = events.iter().find(|e| {
            e.id > event.id
                && e.node == event.node
                && matches!(&e.kind, Kind::Server(ServerEvent::Link { state: LinkState::Connected, .. }))
        });
        if let Some(up) = up {
            facts.intervals.entry("node_repointed_to_link_up_each").or_default().push(ms(up, event.at.0));
        }
    }
}
