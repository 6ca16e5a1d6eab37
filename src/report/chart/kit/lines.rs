//! A value against one varied field.

use serde::Serialize;

use super::plot::{Heading, Plot, label, range};
use super::scale::{Scale, show};
use super::{Unit, style};
use crate::report::chart::Chart;
use crate::report::chart::axis::Tick;
use crate::report::chart::canvas::{Anchor, Canvas, Point, Type};
use crate::report::chart::frame::{Entry, Key, mark};
use crate::report::chart::theme::{SMALL, VERMILLION};
use crate::stats::{Proportion, wilson};
use crate::time::Span;

/// One to six lines over the values of a field. The field's values are texts as the scenario has them; when all are
/// numbers, times or sizes they stand at their place on an axis (logarithmic when the largest is thirty times the
/// smallest), otherwise side by side in their order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lines {
    /// The chart's file name without an ending.
    pub name: String,
    /// The question that it answers.
    pub title: String,
    /// Which runs these are.
    pub subtitle: String,
    /// The field that varies.
    pub field: String,
    /// What the values are: a metric's name and which of its figures, or `share of runs that fail`.
    pub value: String,
    /// What they count in.
    pub unit: Unit,
    /// What the error bars or bands are (`95% confidence interval of the mean`); empty when there are none.
    pub interval: String,
    /// The lines.
    pub lines: Vec<Line>,
    /// Where the verdict changes.
    pub boundary: Option<Boundary>,
}

/// A line of [`Lines`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Line {
    /// What it is of; may be empty when there is only one.
    pub label: String,
    /// Its points.
    pub points: Vec<LinePoint>,
}

/// A point of a [`Line`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LinePoint {
    /// The field's value, as the scenario has it.
    pub x: String,
    /// The value there; `None` when no run has one.
    pub value: Option<f64>,
    /// Lower end of its confidence interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// How many runs it stands for.
    pub runs: u64,
}

/// How often something happened at a value of the field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// The field's value.
    pub x: String,
    /// Runs in which it happened.
    pub hits: u64,
    /// All runs.
    pub runs: u64,
}

/// Between which values of the field something changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boundary {
    /// The last value on one side.
    pub from: String,
    /// The first value on the other.
    pub to: String,
    /// What changes: `fails from 9.98s on`.
    pub text: String,
}

impl From<&Rate> for LinePoint {
    /// The rate with Wilson's 95% interval.
    fn from(rate: &Rate) -> LinePoint {
        let interval = wilson(rate.hits, rate.runs);
        let value = Proportion { hits: rate.hits, of: rate.runs }.share();
        let (low, high) = (interval.and_then(|i| i.low), interval.and_then(|i| i.high));
        LinePoint { x: rate.x.clone(), value, low, high, runs: rate.runs }
    }
}

/// How the field's texts are read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reading {
    Time,
    Bytes,
    Number,
    Names,
}

/// The level axis.
enum Level {
    Numbers(Reading, Scale),
    Names(Vec<String>, Plot),
}

/// So many values of the field are all named on the axis.
const NAMED: usize = 14;
/// The largest value over the smallest from which the axis is logarithmic.
const RATIO: f64 = 30.0;

impl Reading {
    fn of(texts: &[&str]) -> Reading {
        let all = |reading: Reading| !texts.is_empty() && texts.iter().all(|text| reading.number(text).is_some());
        [Reading::Number, Reading::Time, Reading::Bytes].into_iter().find(|&r| all(r)).unwrap_or(Reading::Names)
    }

    #[allow(clippy::cast_precision_loss, reason = "display only")]
    fn number(self, text: &str) -> Option<f64> {
        let text = text.trim();
        let plain = || text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite());
        match self {
            Reading::Number => plain(),
            Reading::Time => Span::parse(text).ok().map(Span::as_ms_f64).or_else(|| plain().filter(|&n| n == 0.0)),
            Reading::Bytes => bytes(text).or_else(plain),
            Reading::Names => None,
        }
    }

    fn unit(self) -> Unit {
        match self {
            Reading::Time => Unit::Time,
            Reading::Bytes => Unit::Bytes,
            Reading::Number | Reading::Names => Unit::Count,
        }
    }
}

/// A size as redis.conf writes it.
fn bytes(text: &str) -> Option<f64> {
    let text = text.to_ascii_lowercase();
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let factor = match &text[split..] {
        "b" => 1.0,
        "k" => 1e3,
        "kb" => 1_024.0,
        "m" => 1e6,
        "mb" => 1_048_576.0,
        "g" => 1e9,
        "gb" => 1_073_741_824.0,
        _ => return None,
    };
    text[..split].trim().parse::<f64>().ok().map(|number| number * factor)
}

impl Lines {
    /// Draws it.
    #[must_use]
    pub fn chart(&self) -> Chart {
        let heading = Heading { name: &self.name, title: &self.title, subtitle: &self.subtitle };
        let (mut canvas, top) = heading.begin(&self.legend());
        let plot = Plot::below(top);
        let level = self.level(plot);
        let y = self.upright(plot);
        let x_ticks = self.x_ticks(&level);
        let x_minor = match &level {
            Level::Numbers(_, scale) => scale.minor(),
            Level::Names(..) => Vec::new(),
        };
        plot.rules(&mut canvas, &x_ticks, &y.ticks(), &x_minor, &y.minor());
        self.draw_boundary(&mut canvas, plot, &level);
        if self.points().all(|point| point.value.is_none()) {
            plot.empty(&mut canvas, "no values");
        }
        for (n, line) in self.lines.iter().enumerate() {
            self.draw_interval(&mut canvas, n, line, &level, &y);
        }
        for (n, line) in self.lines.iter().enumerate() {
            self.draw_line(&mut canvas, n, line, &level, &y, plot.top);
        }
        self.name_boundary(&mut canvas, plot, &level);
        let log = if y.log { " (log scale)" } else { "" };
        plot.upright_texts(&mut canvas, &y.ticks(), &format!("{}{log}", self.value));
        let log = match &level {
            Level::Numbers(_, scale) if scale.log => " (log scale)",
            Level::Numbers(..) | Level::Names(..) => "",
        };
        let height = plot.level_texts(&mut canvas, &x_ticks, &format!("{}{log}", self.field));
        heading.finish(canvas, height, self.alt())
    }

    fn points(&self) -> impl Iterator<Item = &LinePoint> {
        self.lines.iter().flat_map(|line| &line.points)
    }

    fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        for point in self.points() {
            if !texts.contains(&point.x.as_str()) {
                texts.push(&point.x);
            }
        }
        texts
    }

    fn legend(&self) -> Vec<Entry> {
        let mut legend: Vec<Entry> = Vec::new();
        for (n, line) in self.lines.iter().enumerate() {
            let look = style(n);
            let name = if line.label.is_empty() { &self.value } else { &line.label };
            legend.push((Key::Marked(look.color, look.dash, look.mark), name.clone()));
        }
        if !self.interval.is_empty() && self.points().any(|point| point.low.is_some()) {
            let key = if self.bands(self.lines.first()) {
                Key::Block(style(0).color.fade(0.18))
            } else {
                Key::Line(style(0).color, 1.5, &[])
            };
            legend.push((key, self.interval.clone()));
        }
        if self.boundary.is_some() {
            legend.push((Key::Block(VERMILLION.fade(0.2)), "boundary".into()));
        }
        legend
    }

    fn alt(&self) -> String {
        let ends = |line: &Line| {
            let mut known = line.points.iter().filter_map(|point| Some((point.x.clone(), point.value?)));
            let name = if line.label.is_empty() { &self.value } else { &line.label };
            let Some(first) = known.next() else { return format!("{name}: no values.") };
            let text = |(x, value): (String, f64)| format!("{} at {x}", show(value, self.unit));
            match known.next_back() {
                Some(last) => format!("{name}: from {} to {}.", text(first), text(last)),
                None => format!("{name}: {}.", text(first)),
            }
        };
        let mut sentences: Vec<String> = self.lines.iter().map(ends).collect();
        if let Some(b) = &self.boundary {
            sentences.push(format!("{} (between {} and {}).", b.text, b.from, b.to));
        }
        sentences.join(" ")
    }

    fn level(&self, plot: Plot) -> Level {
        let texts = self.texts();
        let reading = Reading::of(&texts);
        let boundary = self.boundary.iter().flat_map(|b| [b.from.as_str(), b.to.as_str()]);
        let Some((low, high)) = range(texts.iter().copied().chain(boundary).filter_map(|text| reading.number(text)))
        else {
            return Level::Names(texts.into_iter().map(str::to_owned).collect(), plot);
        };
        let inset = (plot.left + 24.0, plot.right - 24.0);
        Level::Numbers(reading, Scale::tight(low, high, reading.unit(), low > 0.0 && high >= low * RATIO, inset))
    }

    fn upright(&self, plot: Plot) -> Scale {
        let ends = self.points().flat_map(|point| [point.value, point.low, point.high]).flatten();
        let (low, high) = range(ends).unwrap_or((0.0, 1.0));
        match self.unit {
            Unit::Bool => Scale::share(plot.upright()),
            Unit::Ratio if high > 0.4 && low >= 0.0 && high <= 1.0 => Scale::share(plot.upright()),
            Unit::Count | Unit::Time | Unit::Bytes | Unit::Ratio => {
                Scale::fitting(low, high, self.unit, plot.upright(), 40.0)
            }
        }
    }

    fn x_ticks(&self, level: &Level) -> Vec<Tick> {
        let texts = self.texts();
        match level {
            Level::Names(..) => texts.iter().filter_map(|&text| Some((level.at(text)?, text.to_owned()))).collect(),
            Level::Numbers(..) if texts.len() <= NAMED => {
                let mut ticks: Vec<Tick> =
                    texts.iter().filter_map(|&text| Some((level.at(text)?, text.to_owned()))).collect();
                ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
                ticks
            }
            Level::Numbers(_, scale) => scale.ticks(),
        }
    }

    /// Whether a line's intervals are drawn as a band.
    fn bands(&self, line: Option<&Line>) -> bool {
        Reading::of(&self.texts()) != Reading::Names
            && line.is_some_and(|line| line.points.iter().filter(|point| point.low.is_some()).count() >= 4)
    }

    /// A line's points from left to right: where, and what.
    fn placed<'a>(&self, n: usize, line: &'a Line, level: &Level) -> Vec<(f64, &'a LinePoint)> {
        // Lines over names stand beside each other.
        let shift = match level {
            Level::Names(..) => (n as f64 - (self.lines.len() as f64 - 1.0) / 2.0) * 12.0,
            Level::Numbers(..) => 0.0,
        };
        let mut placed: Vec<(f64, &LinePoint)> =
            line.points.iter().filter_map(|point| Some((level.at(&point.x)? + shift, point))).collect();
        placed.sort_by(|a, b| a.0.total_cmp(&b.0));
        placed
    }

    fn draw_interval(&self, canvas: &mut Canvas, n: usize, line: &Line, level: &Level, y: &Scale) {
        let color = style(n).color;
        let placed = self.placed(n, line, level);
        for stretch in placed.split(|(_, point)| point.low.is_none() || point.high.is_none()) {
            let ends = stretch.iter().filter_map(|(x, point)| Some((*x, y.at(point.low?), y.at(point.high?))));
            let ends: Vec<(f64, f64, f64)> = ends.collect();
            if self.bands(Some(line)) && ends.len() > 1 {
                let mut around: Vec<Point> = ends.iter().map(|&(x, low, _)| (x, low)).collect();
                around.extend(ends.iter().rev().map(|&(x, _, high)| (x, high)));
                canvas.area(around, color.fade(0.16));
                continue;
            }
            for (x, low, high) in ends {
                canvas.line(vec![(x, low), (x, high)], color, 1.5);
                for end in [low, high] {
                    canvas.line(vec![(x - 5.0, end), (x + 5.0, end)], color, 1.5);
                }
            }
        }
    }

    fn draw_line(&self, canvas: &mut Canvas, n: usize, line: &Line, level: &Level, y: &Scale, top: f64) {
        let look = style(n);
        let placed = self.placed(n, line, level);
        // A line breaks where there is no value.
        for stretch in placed.split(|(_, point)| point.value.is_none()) {
            let points: Vec<Point> = stretch.iter().filter_map(|(x, point)| Some((*x, y.at(point.value?)))).collect();
            canvas.dashed(&points, look.color, 2.2, look.dash);
        }
        let crowded = placed.len() > 80;
        for (x, point) in &placed {
            if let Some(value) = point.value {
                if crowded {
                    canvas.dot((*x, y.at(value)), 2.5, look.color);
                } else {
                    mark(canvas, (*x, y.at(value)), look.mark, look.color);
                }
            }
        }
        if self.lines.len() == 1 && placed.len() <= NAMED {
            self.print_values(canvas, &placed, y, top);
        }
    }

    /// The values beside a single line's points, and how many runs each stands for.
    fn print_values(&self, canvas: &mut Canvas, placed: &[(f64, &LinePoint)], y: &Scale, top: f64) {
        let look = Type::new(SMALL);
        let mut free = f64::MIN;
        for (x, point) in placed {
            let Some(value) = point.value else { continue };
            let text = show(value, self.unit);
            let half = canvas.width_of(&text, look) / 2.0;
            if x - half < free {
                continue;
            }
            free = x + half + 4.0;
            let high = y.at(value);
            let at = (*x, if high - 26.0 < top { high + 20.0 } else { high - 12.0 });
            label(canvas, at, &text, look.anchor(Anchor::Middle));
        }
    }

    fn draw_boundary(&self, canvas: &mut Canvas, plot: Plot, level: &Level) {
        let Some(boundary) = &self.boundary else { return };
        let (Some(from), Some(to)) = (level.at(&boundary.from), level.at(&boundary.to)) else { return };
        let (from, to) = (from.min(to), from.max(to));
        let middle = f64::midpoint(from, to);
        let (left, right) = (from.min(middle - 1.0), to.max(middle + 1.0));
        canvas.rect((left, plot.top), (right, plot.bottom), VERMILLION.fade(0.2));
        canvas.dashed(&[(middle, plot.top), (middle, plot.bottom)], VERMILLION, 1.5, &[4.0, 3.0]);
    }

    fn name_boundary(&self, canvas: &mut Canvas, plot: Plot, level: &Level) {
        let Some(boundary) = &self.boundary else { return };
        let (Some(from), Some(to)) = (level.at(&boundary.from), level.at(&boundary.to)) else { return };
        let look = Type::new(SMALL).bold().color(VERMILLION);
        let hangs = from.min(to) > plot.left + canvas.width_of(&boundary.text, look) + 12.0;
        let (at, anchor) = if hangs { (from.min(to) - 7.0, Anchor::Right) } else { (from.max(to) + 7.0, Anchor::Left) };
        label(canvas, (at, plot.top + 18.0), &boundary.text, look.anchor(anchor));
    }
}

impl Level {
    /// Where a value of the field is.
    fn at(&self, text: &str) -> Option<f64> {
        match self {
            Level::Numbers(reading, scale) => reading.number(text).map(|number| scale.at(number)),
            Level::Names(names, plot) => {
                let n = names.iter().position(|name| name == text)?;
                let share = (n as f64 + 0.5) / names.len() as f64;
                Some(plot.left + (plot.right - plot.left) * share)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_what_all_of_them_are() {
        for (texts, reading, last) in [
            (vec!["1", "2.5"], Reading::Number, Some(2.5)),
            (vec!["0", "500ms", "2s"], Reading::Time, Some(2_000.0)),
            (vec!["16kb", "1mb"], Reading::Bytes, Some(1_048_576.0)),
            (vec!["1s", "never"], Reading::Names, None),
            (vec!["uniform(1ms, 2ms)"], Reading::Names, None),
            (vec![], Reading::Names, None),
        ] {
            assert_eq!(Reading::of(&texts), reading, "{texts:?}");
            assert_eq!(texts.last().and_then(|text| reading.number(text)), last);
        }
    }

    #[test]
    fn a_rate_has_its_interval() {
        let point = LinePoint::from(&Rate { x: "1s".into(), hits: 0, runs: 10 });
        assert_eq!((point.value, point.low), (Some(0.0), Some(0.0)));
        assert!(point.high.is_some_and(|high| high > 0.27 && high < 0.28));
        assert_eq!(LinePoint::from(&Rate { x: "1s".into(), hits: 0, runs: 0 }).value, None);
    }
}
