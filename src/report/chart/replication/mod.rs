//! The replication chart: the offset of each server, how far replicas lag, the backlog's window, roles and links.

pub(crate) mod fold;

use super::Chart;
use super::axis::{TimeScale, Unit, ValueScale};
use super::canvas::{Canvas, Type};
use super::frame::{self, Entry, Key, Mark, Panel};
use super::theme::{self, Color, GREY, INK, LEFT, MUTED, RIGHT, SKY, TINY, VERMILLION, YELLOW};
use crate::report::Run;
use crate::report::stage::{Life, Stage};
use crate::time::Instant;
use crate::trace::Event;
use crate::trace::event::{LinkState, RefusePsync, SyncKind};
use fold::{Fold, Part, Server, Sync};

/// Height of the offset panel and of the lag panel, in pixels.
const OFFSETS: f64 = 300.0;
const LAGS: f64 = 84.0;
/// Height of a server's lane.
const LANE: f64 = 22.0;
/// Names are written beside at most this many synchronisations.
const NAMED_SYNCS: usize = 12;

/// The chart; `None` without servers.
pub(crate) fn chart(run: &Run, stage: &Stage, events: &[Event]) -> Option<Chart> {
    let windows = [(Instant::ZERO, stage.end.max(Instant(1)))];
    let time = TimeScale::new(&windows, LEFT, RIGHT);
    let fold = Fold::of(stage, events, time.ns_per_pixel());
    if fold.servers.is_empty() || fold.highest == 0 {
        return None;
    }
    let title = "Where does each server stand in the replication stream?";
    let mut canvas = Canvas::new(0.0);
    let legend = legend(&fold);
    let mut subtitle = frame::which_run(run, stage);
    if fold.highest_lag > 0 {
        subtitle.push_str(" · lag is behind the live master of the same history");
    }
    let top = frame::heading(&mut canvas, title, &subtitle, &legend);
    let top = frame::fault_strip(&mut canvas, stage, &time, top + 4.0) + 6.0;

    let offsets = Panel { top, bottom: top + OFFSETS };
    draw_offsets(&mut canvas, stage, &fold, &time, offsets);
    let mut bottom = offsets.bottom;
    if fold.highest_lag > 0 {
        let lags = Panel { top: bottom + 22.0, bottom: bottom + 22.0 + LAGS };
        draw_lags(&mut canvas, stage, &fold, &time, lags);
        bottom = lags.bottom;
    }
    let lanes = bottom + 16.0;
    let bottom = draw_lanes(&mut canvas, stage, &fold, &time, lanes);
    canvas.height = frame::time_axis(&mut canvas, stage, &time, bottom);
    Some(Chart { name: "replication".into(), title: title.into(), alt: alt(&fold), canvas })
}

fn alt(fold: &Fold) -> String {
    let count = |kind| fold.servers.iter().flat_map(|server| &server.syncs).filter(|sync| sync.kind == kind).count();
    format!("{} full and {} partial resynchronisations.", count(SyncKind::Full), count(SyncKind::Partial))
}

fn legend(fold: &Fold) -> Vec<Entry> {
    let mut legend: Vec<Entry> = Vec::new();
    for (n, server) in fold.servers.iter().enumerate().take(12) {
        legend.push((Key::Line(theme::series(n), 2.0, theme::dash(n)), server.name.to_string()));
    }
    legend.push((Key::Line(INK, 4.0, &[]), "as master".into()));
    legend.push((Key::Line(INK, 1.5, &[]), "as replica".into()));
    if fold.servers.iter().any(|server| !server.backlog.is_empty()) {
        legend.push((Key::Block(GREY.fade(0.22)), "backlog window of the master".into()));
    }
    let any = |kind| fold.servers.iter().flat_map(|server| &server.syncs).any(|sync| sync.kind == kind);
    if any(SyncKind::Full) {
        legend.push((Key::Mark(Mark::Diamond, INK), "full sync".into()));
    }
    if any(SyncKind::Partial) {
        legend.push((Key::Mark(Mark::Ring, INK), "partial sync".into()));
    }
    let link = |wanted: fn(LinkState) -> bool| {
        let mut parts = fold.servers.iter().flat_map(|server| &server.parts);
        parts.any(|stretch| matches!(stretch.what, Part::Replica { link, .. } if wanted(link)))
    };
    if link(is_down) {
        legend.push((Key::Block(link_color(LinkState::Connect, INK)), "link down".into()));
    }
    if link(|state| state == LinkState::Handshake) {
        legend.push((Key::Block(YELLOW), "handshake".into()));
    }
    if link(|state| state == LinkState::Transfer) {
        legend.push((Key::Block(SKY), "transfer".into()));
    }
    legend
}

fn is_down(link: LinkState) -> bool {
    matches!(link, LinkState::None | LinkState::Connect | LinkState::Connecting)
}

fn link_color(link: LinkState, own: Color) -> Color {
    match link {
        LinkState::None | LinkState::Connect | LinkState::Connecting => VERMILLION,
        LinkState::Handshake => YELLOW,
        LinkState::Transfer => SKY,
        LinkState::Connected => own.fade(0.28),
    }
}

fn draw_offsets(canvas: &mut Canvas, stage: &Stage, fold: &Fold, time: &TimeScale, panel: Panel) {
    #[allow(clippy::cast_precision_loss, reason = "display only")]
    let scale = ValueScale::linear(fold.highest as f64, panel.top, panel.bottom);
    frame::bands(canvas, stage, time, panel);
    frame::time_rules(canvas, time, panel);
    frame::panel(canvas, time, panel, &scale, Unit::Bytes, "replication offset (bytes)");
    let count = fold.servers.len();
    for (n, server) in fold.servers.iter().enumerate() {
        for band in &server.backlog {
            draw_backlog(canvas, time, &scale, band, theme::series(n));
        }
    }
    // Masters first: their wide lines would hide the replicas'.
    for master in [true, false] {
        for (n, server) in fold.servers.iter().enumerate() {
            let shift = side_by_side(n, count);
            for piece in server.pieces.iter().filter(|piece| piece.master == master) {
                let points = steps(time, &scale, &piece.points, shift);
                let width = if master { 4.0 } else { 1.8 };
                canvas.dashed(&points, theme::series(n), width, theme::dash(n));
            }
        }
    }
    for (n, server) in fold.servers.iter().enumerate() {
        draw_marks(canvas, stage, server, time, &scale, n, side_by_side(n, count));
    }
    name_syncs(canvas, fold, time, &scale, panel);
}

/// Lines of equal offset are drawn beside each other.
fn side_by_side(n: usize, count: usize) -> f64 {
    if count > 6 { 0.0 } else { (n as f64 - (count as f64 - 1.0) / 2.0) * 2.0 }
}

/// Points as steps in pixels.
fn steps(time: &TimeScale, scale: &ValueScale, points: &[(Instant, u64)], shift: f64) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::with_capacity(points.len() * 2);
    for &(at, offset) in points {
        let Some(x) = time.x(at) else { continue };
        #[allow(clippy::cast_precision_loss, reason = "display only")]
        let y = scale.y(offset as f64) + shift;
        if let Some(&(before, level)) = out.last() {
            if before == x && level == y {
                continue;
            }
            if level == y && out.len() > 1 && out[out.len() - 2].1 == y {
                out.pop();
            } else if before != x && level != y {
                out.push((x, level));
            }
        }
        out.push((x, y));
    }
    out
}

fn draw_backlog(canvas: &mut Canvas, time: &TimeScale, scale: &ValueScale, band: &[fold::Window], color: Color) {
    let mut upper: Vec<(f64, f64)> = Vec::new();
    let mut lower: Vec<(f64, f64)> = Vec::new();
    for window in band {
        let Some(x) = time.x(window.at) else { continue };
        #[allow(clippy::cast_precision_loss, reason = "display only")]
        let (low, high) = (scale.y(window.first as f64), scale.y(window.end as f64));
        for (edge, y) in [(&mut upper, high), (&mut lower, low)] {
            let before: Option<&(f64, f64)> = edge.last();
            edge.extend(before.map(|&(_, y)| (x, y)));
            edge.push((x, y));
        }
    }
    upper.extend(lower.into_iter().rev());
    canvas.area(upper, color.fade(0.12));
}

fn draw_marks(
    canvas: &mut Canvas,
    stage: &Stage,
    server: &Server,
    time: &TimeScale,
    scale: &ValueScale,
    n: usize,
    shift: f64,
) {
    #[allow(clippy::cast_precision_loss, reason = "display only")]
    let y = |offset: u64| scale.y(offset as f64) + shift;
    for jump in &server.jumps {
        if let Some(x) = time.x(jump.at) {
            canvas.dashed(&[(x, y(jump.from)), (x, y(jump.to))], theme::series(n), 1.5, &[2.0, 3.0]);
        }
    }
    for sync in &server.syncs {
        if let Some(x) = time.x(sync.at) {
            let form = if sync.kind == SyncKind::Full { Mark::Diamond } else { Mark::Ring };
            frame::mark(canvas, (x, y(sync.offset)), form, theme::series(n));
        }
    }
    for stretch in stage.lives.get(&server.id).into_iter().flatten().filter(|stretch| stretch.what == Life::Down) {
        if let (Some(x), Some(offset)) = (time.x(stretch.from), server.offset_at(stretch.from)) {
            frame::death(canvas, (x, y(offset)));
        }
    }
}

/// Writes beside the first synchronisations why they were full.
fn name_syncs(canvas: &mut Canvas, fold: &Fold, time: &TimeScale, scale: &ValueScale, panel: Panel) {
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    let mut named: Vec<(f64, f64, &Sync, usize)> = Vec::new();
    for (n, server) in fold.servers.iter().enumerate() {
        for sync in server.syncs.iter().filter(|sync| sync.kind == SyncKind::Full && sync.refused.is_some()) {
            #[allow(clippy::cast_precision_loss, reason = "display only")]
            let y = scale.y(sync.offset as f64) + side_by_side(n, fold.servers.len());
            named.extend(time.x(sync.at).map(|x| (x, y, sync, n)));
        }
    }
    for (x, y, sync, n) in named.into_iter().take(NAMED_SYNCS) {
        let Some(why) = sync.refused.filter(|&why| why != RefusePsync::Fresh) else { continue };
        let text = format!("{}: full sync, {}", fold.servers[n].name, refusal(why));
        let look = Type::new(TINY).color(INK);
        let width = canvas.width_of(&text, look);
        let left = if x + 12.0 + width < RIGHT { x + 12.0 } else { x - 12.0 - width };
        let mut baseline = y - 10.0;
        let hits = |baseline: f64, taken: &[(f64, f64, f64)]| {
            taken.iter().any(|&(from, to, at)| left < to && from < left + width && (baseline - at).abs() < 13.0)
        };
        while hits(baseline, &taken) && baseline > panel.top + 12.0 {
            baseline -= 13.0;
        }
        canvas.rect((left - 2.0, baseline - 10.0), (left + width + 2.0, baseline + 3.0), theme::WHITE.fade(0.85));
        canvas.text((left, baseline), text, look);
        taken.push((left, left + width, baseline));
    }
}

/// Why a PSYNC was refused, in words.
pub(crate) fn refusal(why: RefusePsync) -> &'static str {
    match why {
        RefusePsync::Fresh => "nothing to continue from",
        RefusePsync::OtherHistory => "other history",
        RefusePsync::Diverged => "diverged history",
        RefusePsync::NoBacklog => "no backlog",
        RefusePsync::BacklogTooShort => "backlog too short",
        RefusePsync::Ahead => "offset ahead of the master's",
    }
}

fn draw_lags(canvas: &mut Canvas, stage: &Stage, fold: &Fold, time: &TimeScale, panel: Panel) {
    #[allow(clippy::cast_precision_loss, reason = "display only")]
    let scale = ValueScale::linear(fold.highest_lag as f64, panel.top, panel.bottom);
    frame::bands(canvas, stage, time, panel);
    frame::time_rules(canvas, time, panel);
    frame::panel(canvas, time, panel, &scale, Unit::Bytes, "lag (bytes)");
    for (n, server) in fold.servers.iter().enumerate() {
        for piece in &server.lag {
            let points = steps(time, &scale, piece, 0.0);
            canvas.dashed(&points, theme::series(n), 1.8, theme::dash(n));
        }
    }
}

/// A lane for each server: its role, its link, when it was down; returns the height below them.
pub(crate) fn draw_lanes(canvas: &mut Canvas, stage: &Stage, fold: &Fold, time: &TimeScale, top: f64) -> f64 {
    let bottom = top + LANE * fold.servers.len() as f64;
    frame::bands(canvas, stage, time, Panel { top, bottom });
    for (n, server) in fold.servers.iter().enumerate() {
        let y = top + LANE * n as f64;
        lane(canvas, stage, server, time, (y + 2.0, y + LANE - 3.0), theme::series(n));
    }
    bottom + 2.0
}

/// One server's lane, also for the election chart.
pub(crate) fn lane(
    canvas: &mut Canvas,
    stage: &Stage,
    server: &Server,
    time: &TimeScale,
    (top, bottom): (f64, f64),
    own: Color,
) {
    frame::lane_name(canvas, (top, bottom), &server.name, own);
    for stretch in &server.parts {
        for (left, right) in time.clip(stretch.from, stretch.to) {
            let (fill, text) = match stretch.what {
                Part::Master => (own, "master".to_owned()),
                Part::Replica { of, link } => (link_color(link, own), link_text(stage, of, link)),
            };
            frame::segment(canvas, (left, top), (right, bottom), fill, &text);
        }
    }
    for stretch in stage.lives.get(&server.id).into_iter().flatten() {
        let text = match stretch.what {
            Life::Up => continue,
            Life::Paused => "paused",
            Life::Down => "down",
        };
        for (left, right) in time.clip(stretch.from, stretch.to) {
            canvas.rect((left, top), (right, bottom), theme::WHITE);
            frame::hatch(canvas, (left, top), (right, bottom));
            if right - left > 44.0 {
                let width = canvas.width_of(text, Type::new(TINY)) / 2.0 + 4.0;
                let center = f64::midpoint(left, right);
                canvas.rect((center - width, top), (center + width, bottom), theme::FAINT);
                canvas.label_in((left, top), (right, bottom), text, Type::new(TINY).color(MUTED));
            }
        }
    }
}

fn link_text(stage: &Stage, of: Option<crate::id::Addr>, link: LinkState) -> String {
    match link {
        LinkState::None | LinkState::Connect | LinkState::Connecting => "link down".into(),
        LinkState::Handshake => "handshake".into(),
        LinkState::Transfer => "transfer".into(),
        LinkState::Connected => of.map_or_else(|| "replica".into(), |of| format!("replica of {}", stage.name_at(of))),
    }
}
