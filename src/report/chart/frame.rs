//! What charts have in common: heading, legend, axes, panels, fault bands, and labels that don't run into each other.

use super::axis::{Tick, TimeScale, Unit, ValueScale};
use super::canvas::{Anchor, Canvas, Point, Type, middle_baseline};
use super::theme::{
    self, BODY, Color, FAINT, GREY, INK, LEFT, MUTED, RIGHT, RULE, SMALL, TINY, TITLE, VERMILLION, WHITE,
};
use crate::report::stage::{FaultBand, Stage};

/// How a thing looks in the legend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    /// A line: colour, width, dash.
    Line(Color, f64, &'static [f64]),
    /// A filled stretch.
    Block(Color),
    /// A mark.
    Mark(Mark, Color),
    /// The edge of a stretch, with its dash.
    Outline(Color, &'static [f64]),
    /// A sign as it is written.
    Glyph(&'static str, Color),
    /// A line with its mark.
    Marked(Color, &'static [f64], Mark),
}

/// The forms of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A ring.
    Ring,
    /// A filled diamond.
    Diamond,
    /// A cross.
    Cross,
    /// A disc.
    Dot,
    /// A filled square.
    Square,
    /// A filled triangle.
    Triangle,
}

/// An entry of the legend.
pub(crate) type Entry = (Key, String);

/// A panel: a rectangle with a vertical axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// Writes title, subtitle and legend; returns the height at which the rest begins.
pub(crate) fn heading(canvas: &mut Canvas, title: &str, subtitle: &str, legend: &[Entry]) -> f64 {
    let left = 24.0;
    let (first, second) = two_lines(canvas, title, RIGHT - left);
    canvas.text((left, 32.0), first, Type::new(TITLE).bold());
    let down = if second.is_empty() { 0.0 } else { TITLE + 4.0 };
    canvas.text((left, 32.0 + down), second, Type::new(TITLE).bold());
    let shown = canvas.fonts.fit(subtitle, BODY, false, RIGHT - left);
    canvas.text((left, 52.0 + down), shown, Type::new(BODY).color(MUTED));
    let (mut x, mut y) = (left, 76.0 + down);
    for (key, label) in legend {
        let look = Type::new(SMALL);
        let width = 28.0 + canvas.width_of(label, look) + 18.0;
        if x + width - 18.0 > RIGHT && x > left {
            (x, y) = (left, y + 18.0);
        }
        draw_key(canvas, (x, y - 4.0), *key);
        canvas.text((x + 28.0, y), label.clone(), look);
        x += width;
    }
    if legend.is_empty() { 62.0 + down } else { y + 12.0 }
}

/// A title that is too long for one line goes on in a second.
fn two_lines(canvas: &Canvas, title: &str, room: f64) -> (String, String) {
    let fits = |text: &str| canvas.fonts.width(text, TITLE, true) <= room;
    let spaces = title.match_indices(' ').map(|(at, _)| at);
    match spaces.take_while(|&at| fits(&title[..at])).last().filter(|_| !fits(title)) {
        Some(at) => (title[..at].to_owned(), canvas.fonts.fit(&title[at + 1..], TITLE, true, room)),
        None => (canvas.fonts.fit(title, TITLE, true, room), String::new()),
    }
}

fn draw_key(canvas: &mut Canvas, (x, y): Point, key: Key) {
    match key {
        Key::Line(color, width, dash) => canvas.dashed(&[(x, y), (x + 22.0, y)], color, width, dash),
        Key::Block(color) => {
            canvas.rect((x, y - 6.0), (x + 22.0, y + 6.0), color);
            if color.alpha < 0.5 || color == WHITE {
                canvas.frame((x, y - 6.0), (x + 22.0, y + 6.0), RULE);
            }
        }
        Key::Mark(form, color) => mark(canvas, (x + 11.0, y), form, color),
        Key::Outline(color, dash) => {
            let edge = [(x, y - 6.0), (x + 22.0, y - 6.0), (x + 22.0, y + 6.0), (x, y + 6.0), (x, y - 6.0)];
            canvas.dashed(&edge, color, 1.2, dash);
        }
        Key::Glyph(sign, color) => {
            canvas.text((x + 11.0, y + 4.0), sign, Type::new(BODY).bold().color(color).anchor(Anchor::Middle));
        }
        Key::Marked(color, dash, form) => {
            canvas.dashed(&[(x - 4.0, y), (x + 23.0, y)], color, 2.2, dash);
            mark(canvas, (x + 10.0, y), form, color);
        }
    }
}

/// Draws a mark.
pub(crate) fn mark(canvas: &mut Canvas, (x, y): Point, form: Mark, color: Color) {
    let around = |r: f64| vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
    match form {
        Mark::Ring => {
            canvas.dot((x, y), 5.5, color);
            canvas.dot((x, y), 3.0, WHITE);
        }
        Mark::Diamond => {
            canvas.area(around(7.5), WHITE);
            canvas.area(around(6.0), color);
        }
        Mark::Dot => {
            canvas.dot((x, y), 6.0, WHITE);
            canvas.dot((x, y), 4.5, color);
        }
        Mark::Square => {
            canvas.rect((x - 5.5, y - 5.5), (x + 5.5, y + 5.5), WHITE);
            canvas.rect((x - 4.0, y - 4.0), (x + 4.0, y + 4.0), color);
        }
        Mark::Triangle => {
            let corners = |r: f64| vec![(x, y - r), (x + r, y + r * 0.75), (x - r, y + r * 0.75)];
            canvas.area(corners(7.5), WHITE);
            canvas.area(corners(5.5), color);
        }
        Mark::Cross => {
            for slope in [-1.0, 1.0] {
                let ends = |r: f64| vec![(x - r, y - r * slope), (x + r, y + r * slope)];
                canvas.line(ends(5.5), WHITE, 4.5);
                canvas.line(ends(5.0), color, 2.5);
            }
        }
    }
}

/// The subtitle that every chart shares: which run this is.
pub(crate) fn which_run(run: &crate::report::Run, stage: &Stage) -> String {
    let mut text =
        format!("{} · seed {} · run of {} s", run.scenario, run.seed.0, trimmed(stage.watched_until().as_secs_f64()));
    if let Some(settle) = stage.settle.filter(|&settle| settle < stage.end) {
        text.push_str(&format!(" + settle {} s", trimmed(stage.end.since(settle).as_secs_f64())));
    }
    text
}

/// Seconds with at most one decimal.
pub(crate) fn trimmed(seconds: f64) -> String {
    let text = format!("{seconds:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

const STRIP_ROW: f64 = 19.0;
const STRIP_ROWS: usize = 4;

/// A fault's bar in the strip.
struct Bar<'a> {
    fault: &'a FaultBand,
    /// What is shown of it, in pixels, from left to right.
    spans: Vec<(f64, f64)>,
    row: usize,
    /// Where its text begins and how much room it has; `None`: no text.
    text: Option<(f64, f64)>,
}

/// The bars that name the faults, above the panels; returns the height below them.
pub(crate) fn fault_strip(canvas: &mut Canvas, stage: &Stage, time: &TimeScale, top: f64) -> f64 {
    let mut bars: Vec<Bar<'_>> = Vec::new();
    for fault in &stage.faults {
        let spans: Vec<(f64, f64)> = if fault.instant {
            time.x(fault.from).map(|x| (x, x + 2.0)).into_iter().collect()
        } else {
            time.clip(fault.from, fault.to).collect()
        };
        if !spans.is_empty() {
            bars.push(Bar { fault, spans, row: 0, text: None });
        }
    }
    if bars.is_empty() {
        return top;
    }
    if !place_with_text(canvas, &mut bars) {
        place_without_text(canvas, &mut bars);
    }
    let look = Type::new(SMALL).color(MUTED).anchor(Anchor::Right);
    canvas.text((LEFT - 8.0, middle_baseline(top, top + STRIP_ROW - 3.0, SMALL)), "faults", look);
    let rows = bars.iter().map(|bar| bar.row + 1).max().unwrap_or(0);
    for bar in &bars {
        let y = top + row_offset(bar.row, STRIP_ROW);
        draw_bar(canvas, bar, (y, y + STRIP_ROW - 3.0));
    }
    top + row_offset(rows, STRIP_ROW) + 3.0
}

/// Gives every bar a row in which its text has room, inside or beside it; whether there are rows enough.
fn place_with_text(canvas: &Canvas, bars: &mut [Bar<'_>]) -> bool {
    let mut free = [LEFT; STRIP_ROWS];
    for bar in bars {
        let width = canvas.width_of(&bar_text(bar.fault), Type::new(SMALL)) + 8.0;
        let (first, last) = (bar.spans[0], bar.spans[bar.spans.len() - 1]);
        let (start, room, end) = if let Some(span) = bar.spans.iter().find(|span| span.1 - span.0 >= width) {
            (span.0 + 6.0, width, last.1)
        } else if last.1 + width <= RIGHT {
            (last.1 + 5.0, width, last.1 + width)
        } else if last.1 - last.0 >= 120.0 {
            (last.0 + 6.0, last.1 - last.0 - 10.0, last.1)
        } else {
            (first.0 - width - 2.0, width, last.1)
        };
        let Some(row) = free.iter().position(|&free| free <= first.0.min(start)) else { return false };
        (bar.row, bar.text) = (row, Some((start, room)));
        free[row] = end + 4.0;
    }
    true
}

/// Packs the bars as closely as they go, with text only where it fits inside.
fn place_without_text(canvas: &Canvas, bars: &mut [Bar<'_>]) {
    let mut free = [LEFT; STRIP_ROWS];
    for bar in bars {
        let (first, last) = (bar.spans[0], bar.spans[bar.spans.len() - 1]);
        let soonest = (0..STRIP_ROWS).fold(0, |best, row| if free[row] < free[best] { row } else { best });
        let row = free.iter().position(|&free| free <= first.0).unwrap_or(soonest);
        let width = canvas.width_of(&bar_text(bar.fault), Type::new(SMALL)) + 8.0;
        let inside = bar.spans.iter().find(|span| span.1 - span.0 >= width.min(60.0));
        (bar.row, bar.text) = (row, inside.map(|span| (span.0 + 6.0, span.1 - span.0 - 8.0)));
        free[row] = last.1 + 2.0;
    }
}

fn bar_text(fault: &FaultBand) -> String {
    if fault.instant || fault.to <= fault.from {
        return fault.what.to_string();
    }
    format!("{} ({})", fault.what, super::axis::span_text(fault.from, fault.to))
}

fn draw_bar(canvas: &mut Canvas, bar: &Bar<'_>, (top, bottom): (f64, f64)) {
    let color = theme::fault(bar.fault.kind);
    for &(left, right) in &bar.spans {
        canvas.rect((left, top), (right.max(left + 2.0), bottom), color.fade(0.30));
    }
    canvas.rect((bar.spans[0].0, top), (bar.spans[0].0 + 2.0, bottom), color);
    if let Some((start, room)) = bar.text {
        let text = canvas.fonts.fit(&bar_text(bar.fault), SMALL, false, room);
        canvas.text((start, middle_baseline(top, bottom, SMALL)), text, Type::new(SMALL));
    }
}

fn row_offset(row: usize, height: f64) -> f64 {
    row as f64 * height
}

/// The faults as pale bands behind a panel, and the settle period in grey.
pub(crate) fn bands(canvas: &mut Canvas, stage: &Stage, time: &TimeScale, panel: Panel) {
    let Panel { top, bottom } = panel;
    if let Some(settle) = stage.settle {
        for (left, right) in time.clip(settle, stage.end) {
            canvas.rect((left, top), (right, bottom), FAINT);
        }
    }
    // Bands of one look are joined first, so that many of them don't add up to a wall of colour.
    let mut joined: Vec<(Color, f64, f64)> = Vec::new();
    for fault in stage.faults.iter().filter(|fault| !fault.instant) {
        let color = theme::fault(fault.kind);
        for (left, right) in time.clip(fault.from, fault.to) {
            match joined.iter_mut().find(|band| band.0 == color && band.1 <= right && left <= band.2) {
                Some(band) => (band.1, band.2) = (band.1.min(left), band.2.max(right)),
                None => joined.push((color, left, right)),
            }
        }
    }
    for (color, left, right) in joined {
        canvas.rect((left, top), (right, bottom), color.fade(0.09));
    }
    for fault in &stage.faults {
        let color = theme::fault(fault.kind).fade(if stage.faults.len() > 12 { 0.25 } else { 0.5 });
        let ends = [fault.from, fault.to];
        let ends = if fault.instant || fault.to >= stage.end { &ends[..1] } else { &ends[..] };
        for x in ends.iter().filter_map(|&at| time.x(at)) {
            canvas.line(vec![(x, top), (x, bottom)], color, 1.0);
        }
    }
}

/// White background, horizontal rules with their values, vertical rules, and the axis' title.
pub(crate) fn panel(canvas: &mut Canvas, time: &TimeScale, panel: Panel, values: &ValueScale, unit: Unit, title: &str) {
    let Panel { top, bottom } = panel;
    for (left, right) in time.spans() {
        for y in values.minor() {
            canvas.line(vec![(left, y), (right, y)], FAINT, 1.0);
        }
        for (y, _) in values.ticks(unit) {
            canvas.line(vec![(left, y), (right, y)], RULE, 1.0);
        }
        canvas.line(vec![(left, top), (left, bottom)], GREY, 1.0);
    }
    for (y, text) in values.ticks(unit) {
        let look = Type::new(SMALL).color(MUTED).anchor(Anchor::Right);
        canvas.text((LEFT - 8.0, y + SMALL * 0.365), text, look);
    }
    canvas.upright((36.0, f64::midpoint(top, bottom)), title, Type::new(SMALL).color(MUTED));
}

/// Vertical rules at the ticks.
pub(crate) fn time_rules(canvas: &mut Canvas, time: &TimeScale, panel: Panel) {
    for (x, _) in time.ticks() {
        canvas.line(vec![(x, panel.top), (x, panel.bottom)], FAINT, 1.0);
    }
}

/// The time axis below the last panel; returns the height of the drawing.
pub(crate) fn time_axis(canvas: &mut Canvas, stage: &Stage, time: &TimeScale, top: f64) -> f64 {
    let ticks: Vec<Tick> = time.ticks();
    let spans: Vec<(f64, f64)> = time.spans().collect();
    for &(left, right) in &spans {
        canvas.line(vec![(left, top), (right, top)], GREY, 1.0);
    }
    let look = Type::new(SMALL).color(MUTED).anchor(Anchor::Middle);
    let mut free = f64::MIN;
    for (x, text) in ticks {
        canvas.line(vec![(x, top), (x, top + 4.0)], GREY, 1.0);
        let half = canvas.width_of(&text, look) / 2.0;
        if x - half > free {
            canvas.text((x, top + 17.0), text, look);
            free = x + half + 6.0;
        }
    }
    for pair in spans.windows(2) {
        axis_break(canvas, f64::midpoint(pair[0].1, pair[1].0), top);
    }
    let center = f64::midpoint(LEFT, RIGHT);
    canvas.text((center, top + 36.0), "time since the start of the run (s)", look);
    if let Some((left, right)) = stage.settle.and_then(|settle| time.clip(settle, stage.end).last()) {
        let look = Type::new(TINY).color(MUTED);
        let text = "settle: everything healed";
        let width = canvas.width_of(text, look);
        let shown = if right - left > width { text } else { "settle" };
        let x = f64::midpoint(left, right).min(RIGHT - canvas.width_of(shown, look) / 2.0);
        canvas.text((x, top + 36.0), shown, look.anchor(Anchor::Middle));
    }
    top + 48.0
}

/// Two strokes that say that time is left out here.
fn axis_break(canvas: &mut Canvas, x: f64, y: f64) {
    for shift in [-3.0, 3.0] {
        canvas.line(vec![(x + shift - 3.0, y + 6.0), (x + shift + 3.0, y - 6.0)], MUTED, 1.5);
    }
}

/// A label in a coloured box that belongs to a moment.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// Its moment, in pixels.
    pub(crate) x: f64,
    /// Its place among rows above each other.
    pub(crate) row: usize,
    /// What it says.
    pub(crate) text: String,
    /// What it says in a crowd.
    pub(crate) short: String,
    /// Says nothing in a crowd.
    pub(crate) minor: bool,
    /// The box's colour.
    pub(crate) color: Color,
}

/// Height of a row of flags and of a flag.
pub(crate) const FLAG_ROW: f64 = 17.0;
const FLAG: f64 = 14.0;

/// How far a flag may stand from its moment.
const FARTHEST: f64 = 48.0;

/// Draws flags, each with a stem from its moment down to `foot`. One that would cover another is moved to the right;
/// where that would be too far, the minor ones of its row fall silent, then all say less, then only its stem remains.
pub(crate) fn flags(canvas: &mut Canvas, flags: &[Flag], top: f64, foot: f64) {
    let rows = flags.iter().map(|flag| flag.row + 1).max().unwrap_or(0);
    let mut boxes = Vec::new();
    for row in 0..rows {
        let these: Vec<&Flag> = flags.iter().filter(|flag| flag.row == row).collect();
        let attempts: [fn(&Flag) -> &str; 3] = [
            |flag| &flag.text,
            |flag| if flag.minor { "" } else { &flag.text },
            |flag| if flag.minor { "" } else { &flag.short },
        ];
        let all_say = |say: fn(&Flag) -> &str, places: &[Option<(f64, f64)>]| {
            these.iter().zip(places).all(|(flag, place)| place.is_some() || say(flag).is_empty())
        };
        let mut text = attempts[0];
        let mut places = place_flags(canvas, &these, text);
        for say in &attempts[1..] {
            if !all_say(text, &places) {
                (text, places) = (*say, place_flags(canvas, &these, *say));
            }
        }
        let upper = top + row_offset(row, FLAG_ROW);
        let (lower, middle) = (upper + FLAG, upper + FLAG / 2.0);
        for (flag, place) in these.into_iter().zip(places) {
            canvas.line(vec![(flag.x, middle), (flag.x, foot)], flag.color, 1.5);
            let Some((left, right)) = place else {
                canvas.rect((flag.x - 2.0, lower - 5.0), (flag.x + 2.0, lower), flag.color);
                continue;
            };
            if left > flag.x {
                canvas.line(vec![(flag.x, middle), (left, middle)], flag.color, 1.5);
            }
            boxes.push(((left, upper), (right, lower), flag.color, text(flag)));
        }
    }
    for (from, to, color, text) in boxes {
        let look = Type::new(TINY).bold().color(color.ink());
        canvas.rect(from, to, color);
        canvas.text((from.0 + 4.0, middle_baseline(from.1, to.1, TINY)), text, look);
    }
}

/// Where the flags of one row stand, from the left to the right edge; `None` for those that have no room.
fn place_flags<'a>(canvas: &Canvas, flags: &[&'a Flag], text: fn(&'a Flag) -> &'a str) -> Vec<Option<(f64, f64)>> {
    let mut free = f64::MIN;
    let mut places = Vec::new();
    for flag in flags {
        if text(flag).is_empty() {
            places.push(None);
            continue;
        }
        let width = canvas.width_of(text(flag), Type::new(TINY).bold()) + 8.0;
        // At the right edge a flag hangs to the left of its stem.
        let hangs = flag.x + width > RIGHT + 12.0 && flag.x - width >= free;
        let left = if hangs { flag.x - width } else { flag.x.max(free) };
        if left + width > RIGHT + 12.0 || left - flag.x > FARTHEST {
            places.push(None);
            continue;
        }
        free = flag.x.max(left + width) + 3.0;
        places.push(Some((left, left + width)));
    }
    places
}

/// A lane's name with the colour of its node.
pub(crate) fn lane_name(canvas: &mut Canvas, (top, bottom): (f64, f64), name: &str, own: Color) {
    let name = canvas.fonts.fit_middle(name, BODY, false, LEFT - 34.0);
    let look = Type::new(BODY).color(INK).anchor(Anchor::Right);
    canvas.text((LEFT - 18.0, middle_baseline(top, bottom, BODY)), name, look);
    canvas.rect((LEFT - 13.0, top), (LEFT - 7.0, bottom), own);
}

/// A stretch of a lane with its name inside when there is room.
pub(crate) fn segment(canvas: &mut Canvas, from: Point, to: Point, fill: Color, text: &str) {
    let to = (to.0.max(from.0 + 1.0), to.1);
    canvas.rect(from, to, fill);
    canvas.label_in(from, to, text, Type::new(TINY).color(if fill.alpha < 0.7 { INK } else { fill.ink() }));
}

/// Strokes over a stretch in which a process did not exist.
pub(crate) fn hatch(canvas: &mut Canvas, from: Point, to: Point) {
    canvas.rect(from, to, GREY.fade(0.25));
    let height = to.1 - from.1;
    let mut x = from.0 - height;
    while x < to.0 {
        let (mut a, mut b) = ((x, to.1), (x + height, from.1));
        if a.0 < from.0 {
            a = (from.0, to.1 - (from.0 - x));
        }
        if b.0 > to.0 {
            b = (to.0, to.1 - (to.0 - x));
        }
        if a.0 < b.0 {
            canvas.line(vec![a, b], GREY.fade(0.7), 1.0);
        }
        x += 7.0;
    }
}

/// A cross where a process ended.
pub(crate) fn death(canvas: &mut Canvas, at: Point) {
    mark(canvas, at, Mark::Cross, VERMILLION);
}
