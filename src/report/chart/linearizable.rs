//! The contradiction chart: a lane for each process, the operations as bars from call to return, the longest order that
//! can be found as numbered dots, and the operation that has no place in it.

use super::Chart;
use super::canvas::{Anchor, Canvas, Point, Type, middle_baseline};
use super::frame::{self, Entry, Key, Mark};
use super::theme::{BLUE, BODY, Color, FAINT, GREY, INK, LEFT, MUTED, RIGHT, RULE, SKY, SMALL, VERMILLION, WHITE};
use crate::check::linearizable::{Contradiction, Place, Shown};
use crate::report::contradiction::{held, shorten};

/// Operations that are shown beside those that contradict one another.
const OTHER: Color = RULE;
/// Height of a bar, and of the row that it stands in.
const BAR: f64 = 36.0;
const ROW: f64 = 44.0;
/// Operations that are drawn at most: the last ones.
const SHOWN: usize = 60;

/// An operation and where it stands.
struct Bar<'a> {
    shown: &'a Shown,
    left: f64,
    /// The right edge, and whether the operation returns there.
    right: f64,
    returns: bool,
    row: usize,
}

/// The chart of a contradiction; `subtitle` says where it was found.
pub(crate) fn chart(subtitle: &str, found: &Contradiction) -> Chart {
    let title = "Which operations contradict one another?";
    let mut canvas = Canvas::new(0.0);
    let mut legend: Vec<Entry> = vec![(Key::Block(SKY), "an operation, from call to return".to_owned())];
    if found.operations.iter().any(|shown| !shown.counts) {
        legend.push((Key::Block(OTHER), "may have happened then, or not: it doesn't help".to_owned()));
    }
    if found.operations.iter().any(|shown| shown.ret.is_none()) {
        legend.push((Key::Block(SKY.fade(0.45)), "no answer: it may take effect later, or never".to_owned()));
    }
    legend.push((Key::Mark(Mark::Dot, BLUE), "the longest order, and what is there then".to_owned()));
    legend.push((Key::Block(VERMILLION), "has no place in it".to_owned()));
    let top = frame::heading(&mut canvas, title, subtitle, &legend) + 8.0;
    let top = story(&mut canvas, found, top);
    let skipped = found.operations.len().saturating_sub(SHOWN);
    let operations = &found.operations[skipped..];
    let axis = Axis::new(operations);
    let (lanes, bars) = lay_out(operations, &axis);
    let rows = bars.iter().map(|bar| bar.row + 1).max().unwrap_or(0);
    let bottom = top + ROW * rows as f64 + 8.0;
    draw_lanes(&mut canvas, &lanes, top, bottom);
    axis.draw(&mut canvas, (top, bottom));
    let order = places(&bars, top);
    canvas.line(order.iter().map(|(point, _)| *point).collect(), BLUE.fade(0.5), 1.5);
    for bar in &bars {
        draw_bar(&mut canvas, bar, top);
    }
    draw_order(&mut canvas, &order);
    for bar in bars.iter().filter(|bar| bar.shown.blocked) {
        let y = top + ROW * bar.row as f64 + ROW / 2.0;
        frame::mark(&mut canvas, (bar.right.min(RIGHT - 8.0) - 8.0, y), Mark::Cross, INK);
    }
    canvas.height = bottom + 52.0;
    let what = found.blocked().map_or("", |blocked| &blocked.what);
    let counted = found.operations.iter().filter(|shown| shown.counts).count();
    let alt = format!("{counted} operations for which no order exists; {what} has no place.");
    Chart { name: "linearizable".into(), title: title.into(), alt, canvas }
}

/// What is wrong, in two lines.
fn story(canvas: &mut Canvas, found: &Contradiction, top: f64) -> f64 {
    let key = found.key.as_ref().map_or(String::new(), |key| format!("key {key}: "));
    let mut first = format!("{key}{}", found.size());
    if let Some(start) = &found.start {
        first += &format!("; everything before leads to {}", shorten(start, 60));
    }
    if found.others > 0 {
        first += &format!("; {} others that don't help are not shown", found.others);
    }
    if found.thinned {
        first += "; what plays no part is left out of what was read";
    }
    let mut y = top + 12.0;
    for line in [first, held(found)] {
        let line = canvas.fonts.fit(&line, BODY, false, RIGHT - 24.0);
        canvas.text((24.0, y), line, Type::new(BODY).color(INK));
        y += 19.0;
    }
    y
}

/// Calls and returns at even distances, in their order.
struct Axis {
    places: Vec<Place>,
}

impl Axis {
    fn new(operations: &[Shown]) -> Axis {
        let mut places: Vec<Place> =
            operations.iter().flat_map(|shown| std::iter::once(shown.call).chain(shown.ret)).collect();
        places.sort_by_key(|place| place.order);
        Axis { places }
    }

    fn at(&self, index: usize) -> f64 {
        LEFT + 14.0 + (RIGHT - LEFT - 28.0) * (index as f64 + 0.5) / self.places.len().max(1) as f64
    }

    fn x(&self, place: Place) -> f64 {
        self.at(self.places.partition_point(|other| other.order < place.order))
    }

    /// Times if there are any, else lines of the file, else the order alone.
    fn draw(&self, canvas: &mut Canvas, (top, bottom): (f64, f64)) {
        let timed = self.places.iter().all(|place| place.at.is_some());
        let lines = self.places.iter().all(|place| place.line > 0);
        let look = Type::new(SMALL).color(MUTED).anchor(Anchor::Middle);
        let mut free = LEFT;
        for (index, place) in self.places.iter().enumerate() {
            let x = self.at(index);
            canvas.line(vec![(x, top), (x, bottom + 4.0)], FAINT, 1.0);
            let text = match place.at {
                Some(ns) if timed => format!("{}.{:06}", ns / 1_000_000_000, ns / 1_000 % 1_000_000),
                _ if lines => place.line.to_string(),
                _ => place.order.to_string(),
            };
            let half = canvas.width_of(&text, look) / 2.0;
            if x - half >= free && x + half <= RIGHT {
                canvas.text((x, bottom + 17.0), text, look);
                free = x + half + 8.0;
            }
        }
        let what = match (timed, lines) {
            (true, _) => "calls and returns, at their times (s), spread evenly",
            (false, true) => "calls and returns, by their lines in the file",
            (false, false) => "calls and returns, in their order",
        };
        canvas.line(vec![(LEFT, bottom), (RIGHT, bottom)], GREY, 1.0);
        canvas.text((f64::midpoint(LEFT, RIGHT), bottom + 38.0), what, look);
    }
}

/// A lane for each process, as many rows as it has operations at once.
fn lay_out<'a>(operations: &'a [Shown], axis: &Axis) -> (Vec<(&'a str, usize, usize)>, Vec<Bar<'a>>) {
    let mut processes: Vec<&str> = Vec::new();
    for shown in operations {
        if !processes.contains(&&*shown.process) {
            processes.push(&shown.process);
        }
    }
    let (mut lanes, mut bars, mut first) = (Vec::new(), Vec::new(), 0);
    for process in processes {
        let mut free: Vec<f64> = Vec::new();
        for shown in operations.iter().filter(|shown| &*shown.process == process) {
            let left = axis.x(shown.call);
            let right = shown.ret.map_or(RIGHT, |ret| axis.x(ret));
            let row = free.iter().position(|&free| free <= left).unwrap_or(free.len());
            if row == free.len() {
                free.push(0.0);
            }
            free[row] = right;
            bars.push(Bar { shown, left, right, returns: shown.ret.is_some(), row: first + row });
        }
        lanes.push((process, first, free.len()));
        first += free.len();
    }
    (lanes, bars)
}

fn draw_lanes(canvas: &mut Canvas, lanes: &[(&str, usize, usize)], top: f64, bottom: f64) {
    for (name, first, rows) in lanes {
        let from = top + ROW * *first as f64;
        let to = from + ROW * *rows as f64;
        canvas.line(vec![(LEFT, from), (RIGHT, from)], RULE, 1.0);
        let number = name.bytes().all(|byte| byte.is_ascii_digit());
        let name = if number { format!("process {name}") } else { (*name).to_owned() };
        let name = canvas.fonts.fit_middle(&name, SMALL, true, LEFT - 30.0);
        let look = Type::new(SMALL).bold().anchor(Anchor::Right);
        canvas.text((LEFT - 8.0, middle_baseline(from, to, SMALL)), name, look);
    }
    canvas.line(vec![(LEFT, top), (LEFT, bottom)], GREY, 1.0);
}

fn draw_bar(canvas: &mut Canvas, bar: &Bar<'_>, top: f64) {
    let y = top + ROW * bar.row as f64 + (ROW - BAR) / 2.0;
    let fill = match bar.shown {
        shown if shown.blocked => VERMILLION,
        shown if shown.counts => SKY,
        _ => OTHER,
    };
    let from: Point = (bar.left, y);
    let to: Point = (bar.right.max(bar.left + 3.0), y + BAR);
    canvas.rect(from, to, if bar.returns { fill } else { fill.fade(0.45) });
    for (x, drawn) in [(bar.left, true), (bar.right, bar.returns)] {
        if drawn {
            canvas.line(vec![(x, y), (x, y + BAR)], INK, 1.5);
        }
    }
    let unknown = if bar.returns { "" } else { " …" };
    let text = shorten(&format!("{}{unknown}", bar.shown.what), 40);
    let look = Type::new(SMALL).color(if bar.returns { fill.ink() } else { INK });
    let room = to.0 - from.0 - 8.0;
    if canvas.width_of(&text, look) <= room {
        canvas.text((from.0 + 5.0, y + 14.0), text, look);
    } else {
        let text = canvas.fonts.fit(&text, SMALL, false, room.max(60.0));
        canvas.text((from.0 + 5.0, y + 14.0), text, look.color(INK));
    }
}

/// Where the dots of the order are: each within its operation, from left to right.
fn places<'a>(bars: &'a [Bar<'a>], top: f64) -> Vec<(Point, &'a Bar<'a>)> {
    let mut placed: Vec<&'a Bar<'a>> = bars.iter().filter(|bar| bar.shown.order.is_some()).collect();
    placed.sort_by_key(|bar| bar.shown.order);
    let mut x = LEFT;
    let place = |bar: &'a Bar<'a>| {
        let Bar { left, right, row, .. } = *bar;
        x = (x + 14.0).max(left + 10.0).min(right.max(x));
        ((x, top + ROW * row as f64 + ROW / 2.0 + 8.0), bar)
    };
    placed.into_iter().map(place).collect()
}

fn draw_order(canvas: &mut Canvas, order: &[(Point, &Bar<'_>)]) {
    for (number, &((x, y), bar)) in (1..).zip(order) {
        canvas.dot((x, y), 8.0, WHITE);
        canvas.dot((x, y), 7.0, BLUE);
        let look = Type::new(9.0).bold().color(WHITE).anchor(Anchor::Middle);
        canvas.text((x, y + 3.2), number.to_string(), look);
        if let Some(after) = &bar.shown.after {
            let text = shorten(after, 24);
            let look = Type::new(10.0).color(if bar.shown.blocked { WHITE } else { INK });
            let room = bar.right - x - 14.0;
            if canvas.width_of(&text, look) <= room {
                canvas.text((x + 11.0, y + 3.5), text, look);
            }
        }
    }
}
