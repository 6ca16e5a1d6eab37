//! The election chart: what each sentinel believed and did around the failovers, above it the servers' roles.

mod fold;

use super::Chart;
use super::axis::{TimeScale, span_text};
use super::canvas::{Canvas, Type};
use super::frame::{self, Entry, FLAG_ROW, Flag, Key, Panel, trimmed};
use super::replication::{self, fold::Fold as Servers};
use super::theme::{
    self, BODY, Color, FAINT, GREEN, GREY, INK, LEFT, MUTED, ORANGE, PURPLE, RIGHT, STATES, VERMILLION,
};
use crate::check::findings::Failover;
use crate::report::Run;
use crate::report::stage::{Life, Stage, Stretch};
use crate::time::{Instant, Span};
use crate::trace::Event;
use crate::trace::event::{FailoverState, NodeRole};
use fold::{Act, Deed, Down, Fold, Lane, Peers};

/// Height of a bar in a sentinel's lane and of the row that it stands in.
const BAR: f64 = 14.0;
const ROW: f64 = 17.0;
/// Two rows of flags, two of bars, and room between lanes.
const LANE: f64 = 2.0 * FLAG_ROW + 2.0 * ROW + 10.0;

/// The chart; `None` when no sentinel ever suspected a master.
pub(crate) fn chart(run: &Run, stage: &Stage, events: &[Event]) -> Option<Chart> {
    let fold = Fold::of(stage, events);
    let windows = with_margins(fold.windows(stage)?, stage.end);
    let time = TimeScale::new(&windows, LEFT, RIGHT);
    let servers = Servers::of(stage, events, time.ns_per_pixel());
    let title = "Who noticed, who was elected, when did the master change?";
    let mut canvas = Canvas::new(0.0);
    let span =
        |(from, to): &(Instant, Instant)| format!("{}–{} s", trimmed(from.as_secs_f64()), trimmed(to.as_secs_f64()));
    let shown: Vec<String> = windows.iter().map(span).collect();
    let subtitle = format!("{} · shown: {}", frame::which_run(run, stage), shown.join(" and "));
    let legend = legend(stage, &fold);
    let mut top = frame::heading(&mut canvas, title, &subtitle, &legend);
    for failover in run.findings.failovers.iter().take(2) {
        canvas.text((24.0, top + 12.0), story(stage, failover), Type::new(BODY).color(INK));
        top += 18.0;
    }
    let top = frame::fault_strip(&mut canvas, stage, &time, top + 6.0) + 4.0;
    let lanes = replication::draw_lanes(&mut canvas, stage, &servers, &time, top);
    let bottom = draw_sentinels(&mut canvas, stage, &fold, &time, lanes + 8.0);
    canvas.height = frame::time_axis(&mut canvas, stage, &time, bottom);
    Some(Chart { name: "election".into(), title: title.into(), alt: alt(&fold), canvas })
}

/// Some time before and after what is worth showing, and a least width for each stretch.
fn with_margins(windows: Vec<(Instant, Instant)>, end: Instant) -> Vec<(Instant, Instant)> {
    let total: u64 = windows.iter().map(|(from, to)| to.since(*from).ns()).sum();
    let margin = Span::from_ns((total / 40).clamp(100_000_000, 5_000_000_000));
    let mut wider: Vec<(Instant, Instant)> = Vec::new();
    for (from, to) in windows {
        let short = Span::from_ns(total / 8).saturating_sub(to.since(from));
        let (from, to) = (from - margin, (to + margin.times(2) + short).min(end));
        match wider.last_mut() {
            Some(last) if from <= last.1 => last.1 = to,
            Some(_) | None => wider.push((from, to)),
        }
    }
    wider
}

fn alt(fold: &Fold) -> String {
    let acts = || fold.lanes.iter().flat_map(|lane| &lane.acts);
    let votes = acts().filter(|act| matches!(act.deed, Deed::Vote { .. })).count();
    let leaders = acts().filter(|act| matches!(act.deed, Deed::Leader)).count();
    format!("{votes} votes, {leaders} elected leaders.")
}

/// A failover in one line: how long each part took.
fn story(stage: &Stage, failover: &Failover) -> String {
    let mut text = format!("{}: {}", stage.name(Some(failover.leader)), stage.name_at(failover.old));
    if let Some(new) = failover.new {
        text.push_str(&format!(" → {}", stage.name_at(new)));
    }
    text.push_str(&format!(", epoch {}:", failover.epoch));
    let mut last = failover.fault_at;
    if last.is_some() {
        text.push_str(" fault");
    }
    let steps = [
        ("+sdown", failover.sdown),
        ("+odown", failover.odown),
        ("elected", failover.elected),
        ("promoted", failover.promoted),
        ("seen", failover.promotion_seen),
        ("first switch", failover.switches.first().map(|switch| switch.1)),
        ("first write", failover.first_write),
    ];
    let aborted = failover.aborted.map(|(name, mark)| (name.as_str(), Some(mark)));
    for (name, mark) in steps.into_iter().chain(aborted) {
        let Some(mark) = mark else { continue };
        match last {
            Some(last) => text.push_str(&format!(" → {name} +{}", span_text(last.at, mark.at))),
            None => text.push_str(&format!(" {name}")),
        }
        last = Some(mark);
    }
    if failover.elected.is_none() && failover.aborted.is_none() {
        text.push_str(", was not elected");
    }
    text
}

fn legend(stage: &Stage, fold: &Fold) -> Vec<Entry> {
    let mut legend = vec![
        (Key::Block(ORANGE), "subjectively down".to_owned()),
        (Key::Block(VERMILLION), "objectively down".to_owned()),
    ];
    if fold.lanes.iter().flat_map(|lane| &lane.down).any(|stretch| stretch.what == Down::Tilt) {
        legend.push((Key::Block(PURPLE), "TILT".to_owned()));
    }
    let used = |state| fold.lanes.iter().flat_map(|lane| &lane.states).any(|stretch| stretch.what == state);
    for state in PROGRESS.into_iter().filter(|&state| used(state)) {
        legend.push((Key::Block(state_color(state)), state_name(state).to_owned()));
    }
    if fold.lanes.iter().any(|lane| !lane.peers.is_empty()) {
        legend.push((Key::Block(GREY.fade(0.35)), "others down".to_owned()));
    }
    for (n, actor) in stage.of_role(NodeRole::Sentinel).enumerate() {
        let for_it = |act: &Act| matches!(act.deed, Deed::Vote { leader, .. } if leader == Some(actor.id));
        if fold.lanes.iter().flat_map(|lane| &lane.acts).any(for_it) {
            legend.push((Key::Block(theme::sentinel(n)), format!("vote for {}", actor.name)));
        }
    }
    legend
}

/// The states in which something happens, in order.
const PROGRESS: [FailoverState; 6] = [
    FailoverState::WaitStart,
    FailoverState::SelectSlave,
    FailoverState::SendSlaveofNoone,
    FailoverState::WaitPromotion,
    FailoverState::ReconfSlaves,
    FailoverState::UpdateConfig,
];

fn state_name(state: FailoverState) -> &'static str {
    match state {
        FailoverState::None => "no failover",
        FailoverState::WaitStart => "wait for votes",
        FailoverState::SelectSlave => "select replica",
        FailoverState::SendSlaveofNoone => "send REPLICAOF NO ONE",
        FailoverState::WaitPromotion => "wait for promotion",
        FailoverState::ReconfSlaves => "reconfigure replicas",
        FailoverState::UpdateConfig => "update configuration",
    }
}

fn state_color(state: FailoverState) -> Color {
    PROGRESS.iter().position(|&other| other == state).map_or(FAINT, |n| STATES[n])
}

fn draw_sentinels(canvas: &mut Canvas, stage: &Stage, fold: &Fold, time: &TimeScale, top: f64) -> f64 {
    let bottom = top + LANE * fold.lanes.len() as f64;
    frame::bands(canvas, stage, time, Panel { top, bottom });
    frame::time_rules(canvas, time, Panel { top, bottom });
    for (n, lane) in fold.lanes.iter().enumerate() {
        let y = top + LANE * n as f64;
        for (left, right) in time.spans() {
            canvas.line(vec![(left, y), (right, y)], GREY.fade(0.6), 1.0);
        }
        let own = theme::sentinel(lane.sentinel);
        frame::lane_name(canvas, (y + LANE / 2.0 - 9.0, y + LANE / 2.0 + 9.0), &lane.name, own);
        draw_lane(canvas, stage, lane, time, y);
    }
    bottom
}

fn draw_lane(canvas: &mut Canvas, stage: &Stage, lane: &Lane, time: &TimeScale, y: f64) {
    let bars = y + 2.0 * FLAG_ROW + 5.0;
    for stretch in &lane.down {
        let (fill, text) = match stretch.what {
            Down::Subjective => (ORANGE, "sdown".to_owned()),
            Down::Objective { quorum: Some((votes, quorum)) } => (VERMILLION, format!("odown {votes}/{quorum}")),
            Down::Objective { quorum: None } => (VERMILLION, "odown".to_owned()),
            Down::Tilt => (PURPLE, "TILT".to_owned()),
        };
        for (left, right) in time.clip(stretch.from, stretch.to) {
            frame::segment(canvas, (left, bars), (right, bars + BAR), fill, &text);
        }
    }
    let states = bars + ROW;
    for (stretch, from, to) in uncovered(lane) {
        for (left, right) in time.clip(from, to) {
            let (from, to) = ((left, states + 3.0), (right, states + BAR));
            frame::segment(canvas, from, to, GREY.fade(0.35), &peers_text(stretch.what));
        }
    }
    for stretch in &lane.states {
        for (left, right) in time.clip(stretch.from, stretch.to) {
            let (from, to) = ((left, states), (right, states + BAR));
            frame::segment(canvas, from, to, state_color(stretch.what), state_name(stretch.what));
        }
    }
    for stretch in stage.lives.get(&lane.node).into_iter().flatten().filter(|stretch| stretch.what != Life::Up) {
        let text = if stretch.what == Life::Paused { "paused" } else { "down" };
        for (left, right) in time.clip(stretch.from, stretch.to) {
            let (from, to) = ((left, bars), (right, states + BAR));
            frame::hatch(canvas, from, to);
            canvas.label_in(from, to, text, Type::new(BODY).color(MUTED));
        }
    }
    let flags: Vec<Flag> = lane.acts.iter().filter_map(|act| flag(stage, act, time)).collect();
    frame::flags(canvas, &flags, y + 3.0, states + BAR);
}

/// What a sentinel believes of others, where its failover states leave room for it.
fn uncovered(lane: &Lane) -> Vec<(Stretch<Peers>, Instant, Instant)> {
    let mut parts = Vec::new();
    for &stretch in &lane.peers {
        let mut from = stretch.from;
        for state in lane.states.iter().filter(|state| state.from < stretch.to && stretch.from < state.to) {
            parts.push((stretch, from, state.from));
            from = from.max(state.to);
        }
        parts.push((stretch, from, stretch.to));
    }
    parts
}

/// What else it believes to be down.
fn peers_text(peers: Peers) -> String {
    let count = |n: u16, one: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {one}s")),
    };
    let counts = [count(peers.sentinels, "sentinel"), count(peers.replicas, "replica")];
    format!("sees down: {}", counts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn flag(stage: &Stage, act: &Act, time: &TimeScale) -> Option<Flag> {
    let x = time.x(act.at)?;
    let short = |text: &str| text.to_owned();
    let (row, text, short, color) = match &act.deed {
        Deed::Vote { leader, name, epoch } => {
            let n = stage.of_role(NodeRole::Sentinel).position(|actor| Some(actor.id) == *leader);
            let color = n.map_or(GREY, theme::sentinel);
            (0, format!("vote {name}, epoch {epoch}"), format!("e{epoch}"), color)
        }
        Deed::Refused { name, epoch } => (0, format!("no vote for {name}, epoch {epoch}"), short("no"), GREY),
        Deed::Leader => (1, short("leader"), short("L"), INK),
        Deed::Selected(name) => (1, format!("selects {name}"), name.clone(), INK),
        Deed::Switch(name) => (1, format!("switch to {name}"), name.clone(), GREEN),
        Deed::Abort(what) => (1, format!("abort: {what}"), short("✘"), VERMILLION),
        Deed::Convert(name) => (1, format!("{name} must follow"), name.clone(), INK),
    };
    Some(Flag { x, row, text, short, minor: matches!(act.deed, Deed::Refused { .. }), color })
}
