//! The clients chart: what clients got, how long it took, and when they got nothing; two panels for each population.

mod fold;

use super::Chart;
use super::axis::{TimeScale, Unit, ValueScale, span_text};
use super::canvas::{Canvas, Type, middle_baseline};
use super::frame::{self, Entry, Key, Panel};
use super::theme::{BLUE, Color, GREY, INK, LEFT, MUTED, ORANGE, RIGHT, SMALL, VERMILLION, WHITE};
use crate::check::findings::UnavailableWindow;
use crate::check::metrics::thousands;
use crate::report::Run;
use crate::report::stage::Stage;
use crate::time::Instant;
use crate::trace::Event;
use fold::{Bucket, Fold, Population, Waits};

/// Populations shown, the busiest first.
const POPULATIONS: usize = 4;
/// Height of all panels together, and the least of one.
const PANELS: f64 = 440.0;
const PANEL: f64 = 84.0;
/// Height of a population's heading and room between its panels.
const HEAD: f64 = 24.0;
const BETWEEN: f64 = 12.0;

const ACKED: Color = BLUE;
const FAILED: Color = ORANGE;
const UNKNOWN: Color = VERMILLION;

/// The chart; `None` when no client ever asked anything.
pub(crate) fn chart(run: &Run, stage: &Stage, events: &[Event]) -> Option<Chart> {
    let end = stage.watched_until().max(Instant(1));
    let time = TimeScale::new(&[(Instant::ZERO, end)], LEFT, RIGHT);
    let fold = Fold::of(stage, events, end);
    if fold.populations.is_empty() {
        return None;
    }
    let title = "What did the clients get, and how long did it take?";
    let mut canvas = Canvas::new(0.0);
    let hidden = fold.populations.len().saturating_sub(POPULATIONS);
    let mut subtitle = format!("{} · each step is {}", frame::which_run(run, stage), width_text(fold.step));
    if hidden > 0 {
        let plural = if hidden == 1 { "" } else { "s" };
        subtitle.push_str(&format!(" · {hidden} smaller population{plural} not shown"));
    }
    let top = frame::heading(&mut canvas, title, &subtitle, &legend(&fold));
    let top = frame::fault_strip(&mut canvas, stage, &time, top + 4.0);
    let mut top = lost_strip(&mut canvas, run, &time, top) + 2.0;
    let shown = &fold.populations[..fold.populations.len().min(POPULATIONS)];
    let height = (PANELS / (2.0 * shown.len() as f64)).max(PANEL);
    for population in shown {
        heading(&mut canvas, population, top);
        let upper = Panel { top: top + HEAD, bottom: top + HEAD + height };
        let lower = Panel { top: upper.bottom + BETWEEN, bottom: upper.bottom + BETWEEN + height };
        let windows: Vec<&UnavailableWindow> =
            run.findings.unavailable.iter().filter(|window| *window.population == *population.name).collect();
        shade_unavailable(&mut canvas, &windows, &time, upper, lower);
        draw_throughput(&mut canvas, stage, population, &time, upper, fold.step);
        draw_latency(&mut canvas, stage, population, &time, lower, fold.step);
        name_unavailable(&mut canvas, &windows, &time, upper);
        top = lower.bottom + 10.0;
    }
    canvas.height = frame::time_axis(&mut canvas, stage, &time, top - 10.0);
    Some(Chart { name: "clients".into(), title: title.into(), alt: alt(&fold), canvas })
}

fn alt(fold: &Fold) -> String {
    let sentence = |p: &Population| {
        format!("{}: {} acknowledged, {} failed, {} unknown.", p.name, p.total.acked, p.total.failed, p.total.unknown)
    };
    fold.populations.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

fn width_text(step: u64) -> String {
    span_text(Instant(0), Instant(step))
}

fn legend(fold: &Fold) -> Vec<Entry> {
    let any = |of: fn(&Bucket) -> u64| fold.populations.iter().any(|population| of(&population.total) > 0);
    let mut legend: Vec<Entry> = vec![(Key::Block(ACKED), "acknowledged".into())];
    if any(|total| total.failed) {
        legend.push((Key::Block(FAILED), "failed".into()));
    }
    if any(|total| total.unknown) {
        legend.push((Key::Block(UNKNOWN), "outcome unknown".into()));
    }
    legend.push((Key::Line(BLUE, 2.0, &[]), "median latency".into()));
    legend.push((Key::Line(ORANGE, 2.0, &[5.0, 3.0]), "99th percentile".into()));
    legend.push((Key::Line(GREY, 1.0, &[]), "maximum".into()));
    legend.push((Key::Block(INK.fade(0.14)), "unavailable: asked, and nothing succeeded".into()));
    legend
}

/// When the acknowledged writes that were lost had been acknowledged.
fn lost_strip(canvas: &mut Canvas, run: &Run, time: &TimeScale, top: f64) -> f64 {
    const ROW: f64 = 19.0;
    let mut y = top;
    for group in run.findings.lost.iter().take(3) {
        let (from, to) = group.acked;
        let Some((left, right)) = time.clip(from, to.max(Instant(from.0 + 1))).next() else { continue };
        let name = run.findings.name(Some(group.server));
        let text = format!("{} acknowledged writes lost, taken by {name}", thousands(group.count));
        let right = right.max(left + 2.0);
        canvas.rect((left, y), (right, y + ROW - 3.0), VERMILLION);
        let look = Type::new(SMALL).bold();
        let width = canvas.width_of(&text, look);
        let baseline = middle_baseline(y, y + ROW - 3.0, SMALL);
        if right - left > width + 10.0 {
            canvas.text((left + 6.0, baseline), text, look.color(WHITE));
        } else if right + width + 6.0 < RIGHT {
            canvas.text((right + 5.0, baseline), text, look.color(VERMILLION));
        } else {
            canvas.text((left - 5.0 - width, baseline), text, look.color(VERMILLION));
        }
        if y == top {
            let look = Type::new(SMALL).color(MUTED).anchor(super::canvas::Anchor::Right);
            canvas.text((LEFT - 8.0, baseline), "lost", look);
        }
        y += ROW;
    }
    y
}

fn heading(canvas: &mut Canvas, population: &Population, top: f64) {
    let clients =
        if population.clients == 1 { "1 client".to_owned() } else { format!("{} clients", population.clients) };
    let look = Type::new(SMALL).bold();
    let name = canvas.fonts.fit(&population.name, SMALL, true, 300.0);
    let width = canvas.width_of(&name, look);
    canvas.text((LEFT, top + 17.0), name, look);
    let total = &population.total;
    let text = format!(
        "{clients} · {} acknowledged, {} failed, {} unknown",
        thousands(total.acked),
        thousands(total.failed),
        thousands(total.unknown)
    );
    canvas.text((LEFT + width + 10.0, top + 17.0), text, Type::new(SMALL).color(MUTED));
}

/// A curve of latencies: which, and its colour, width and dash.
type Curve = (fn(Waits) -> u64, Color, f64, &'static [f64]);

#[allow(clippy::cast_precision_loss, reason = "display only")]
fn draw_throughput(
    canvas: &mut Canvas,
    stage: &Stage,
    population: &Population,
    time: &TimeScale,
    panel: Panel,
    step: u64,
) {
    let per_second = |n: u64| n as f64 * 1e9 / step as f64;
    let all = |bucket: &Bucket| bucket.acked + bucket.failed + bucket.unknown;
    let highest = population.buckets.iter().map(all).max().unwrap_or(0);
    let scale = ValueScale::linear(per_second(highest), panel.top, panel.bottom);
    frame::bands(canvas, stage, time, panel);
    frame::time_rules(canvas, time, panel);
    frame::panel(canvas, time, panel, &scale, Unit::Plain, "operations/s");
    for (n, bucket) in population.buckets.iter().enumerate() {
        let Some((left, right)) = bucket_span(time, n, step) else { continue };
        let mut below = 0;
        for (count, color) in [(bucket.acked, ACKED), (bucket.failed, FAILED), (bucket.unknown, UNKNOWN)] {
            if count > 0 {
                let (upper, lower) = (scale.y(per_second(below + count)), scale.y(per_second(below)));
                canvas.rect((left, upper.min(lower - 1.0)), (right, lower), color);
                below += count;
            }
        }
    }
}

fn bucket_span(time: &TimeScale, n: usize, step: u64) -> Option<(f64, f64)> {
    let from = Instant(n as u64 * step);
    let (left, right) = time.clip(from, Instant(from.0 + step)).next()?;
    Some(if right - left > 4.0 { (left, right - 0.5) } else { (left, right) })
}

fn draw_latency(
    canvas: &mut Canvas,
    stage: &Stage,
    population: &Population,
    time: &TimeScale,
    panel: Panel,
    step: u64,
) {
    frame::bands(canvas, stage, time, panel);
    frame::time_rules(canvas, time, panel);
    let waits = || population.buckets.iter().filter_map(|bucket| bucket.waits);
    let lowest = waits().map(|waits| waits.median).min().unwrap_or(1_000_000);
    let highest = waits().map(|waits| waits.max).max().unwrap_or(1_000_000);
    let scale = ValueScale::log(seconds(lowest), seconds(highest), panel.top, panel.bottom);
    frame::panel(canvas, time, panel, &scale, Unit::Seconds, "latency");
    let dashes: [Curve; 3] = [
        (|waits| waits.max, GREY, 1.2, &[]),
        (|waits| waits.p99, ORANGE, 2.0, &[5.0, 3.0]),
        (|waits| waits.median, BLUE, 2.0, &[]),
    ];
    for (of, color, width, dash) in dashes {
        let mut line: Vec<(f64, f64)> = Vec::new();
        for (n, bucket) in population.buckets.iter().enumerate() {
            let place = bucket_span(time, n, step).map(|(left, right)| f64::midpoint(left, right));
            match (place, bucket.waits) {
                (Some(x), Some(waits)) => line.push((x, scale.y(seconds(of(waits))))),
                (_, _) => end_line(canvas, &mut line, color, width, dash),
            }
        }
        end_line(canvas, &mut line, color, width, dash);
    }
}

/// Draws what there is of a line; a lone point as a dot.
fn end_line(canvas: &mut Canvas, line: &mut Vec<(f64, f64)>, color: Color, width: f64, dash: &[f64]) {
    if let [point] = line[..] {
        canvas.dot(point, width, color);
    }
    canvas.dashed(line, color, width, dash);
    line.clear();
}

#[allow(clippy::cast_precision_loss, reason = "display only")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Shades the windows in which nothing succeeded.
fn shade_unavailable(
    canvas: &mut Canvas,
    windows: &[&UnavailableWindow],
    time: &TimeScale,
    upper: Panel,
    lower: Panel,
) {
    for window in windows {
        for (left, right) in time.clip(window.from, window.to) {
            for panel in [upper, lower] {
                canvas.rect((left, panel.top), (right.max(left + 1.0), panel.bottom), INK.fade(0.14));
            }
        }
    }
}

/// Says how long they were where there is room.
fn name_unavailable(canvas: &mut Canvas, windows: &[&UnavailableWindow], time: &TimeScale, upper: Panel) {
    let both = windows.iter().any(|window| window.writes) && windows.iter().any(|window| !window.writes);
    let mut free = f64::MIN;
    let look = Type::new(SMALL).bold();
    for window in windows {
        let Some((left, right)) = time.clip(window.from, window.to).next() else { continue };
        let what = match (both, window.writes) {
            (false, _) => "",
            (true, true) => "writes ",
            (true, false) => "reads ",
        };
        let mut text = format!("{what}unavailable {}", span_text(window.from, window.to));
        if window.open {
            text.push_str(" and on");
        }
        let width = canvas.width_of(&text, look);
        let start = if right - left > width { left + 4.0 } else { left.min(RIGHT - width - 6.0) };
        if start < free {
            continue;
        }
        let top = upper.top + 3.0;
        canvas.rect((start, top), (start + width + 6.0, top + 16.0), WHITE.fade(0.85));
        canvas.text((start + 3.0, middle_baseline(top, top + 16.0, SMALL)), text, look);
        free = start + width + 10.0;
    }
}
