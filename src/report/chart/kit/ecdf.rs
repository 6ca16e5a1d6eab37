//! Empirical distributions over each other: which share of the runs stayed at or below a value.

use serde::Serialize;

use super::plot::{Heading, Plot, range, share_line, stretched};
use super::scale::{Scale, show};
use super::{Figures, Limit, Sample, Sorted, Unit, runs, style};
use crate::report::chart::Chart;
use crate::report::chart::canvas::{Canvas, Point, Type};
use crate::report::chart::frame::{Entry, Key, Mark, mark};
use crate::report::chart::theme::{BLUE, BODY, Color, MUTED, ORANGE, PALE_ORANGE, RIGHT, RULE, SMALL};

/// One to six samples of one quantity as distribution lines, with their medians and 99th percentiles marked. The level
/// axis is logarithmic when all values are positive and span more than two decades.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ecdf {
    /// The chart's file name without an ending.
    pub name: String,
    /// The question that it answers.
    pub title: String,
    /// Which runs these are.
    pub subtitle: String,
    /// What the values are: a metric's name.
    pub axis: String,
    /// What they count in.
    pub unit: Unit,
    /// The samples.
    pub samples: Vec<Sample>,
    /// Limits that expectations set, as upright lines.
    pub limits: Vec<Limit>,
}

/// What an [`Ecdf`] shows, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EcdfNumbers {
    /// The sample's label.
    pub label: String,
    /// Its figures.
    pub figures: Figures,
    /// Its distribution: at each of its different values, the share of values that are not larger.
    pub steps: Vec<Step>,
}

/// A step of an empirical distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The value.
    pub at: f64,
    /// The share of values that are at most this one.
    pub share: f64,
}

/// Many small distributions of two samples each, for showing how like they are: the first sample as a thin line on the broad
/// pale one of the second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EcdfGrid {
    /// The chart's file name without an ending.
    pub name: String,
    /// The question that it answers.
    pub title: String,
    /// Which runs these are.
    pub subtitle: String,
    /// What the two samples of every panel are.
    pub labels: [String; 2],
    /// The rows; one with many panels takes several lines.
    pub rows: Vec<EcdfRow>,
}

/// A row of an [`EcdfGrid`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EcdfRow {
    /// What its panels have in common.
    pub heading: String,
    /// The panels.
    pub panels: Vec<EcdfPanel>,
}

/// A panel of an [`EcdfGrid`], with an axis of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EcdfPanel {
    /// What the values are.
    pub title: String,
    /// What they count in.
    pub unit: Unit,
    /// The two samples.
    pub samples: [Sample; 2],
}

impl Ecdf {
    /// The numbers that it shows.
    #[must_use]
    pub fn numbers(&self) -> Vec<EcdfNumbers> {
        self.samples.iter().map(numbers).collect()
    }

    /// Draws it.
    #[must_use]
    pub fn chart(&self) -> Chart {
        let heading = Heading { name: &self.name, title: &self.title, subtitle: &self.subtitle };
        let numbers = self.numbers();
        let legend: Vec<Entry> = numbers.iter().enumerate().map(|(n, numbers)| self.entry(n, numbers)).collect();
        let (mut canvas, top) = heading.begin(&legend);
        let plot = Plot { right: RIGHT - 30.0, ..Plot::below(top) };
        let x = self.draw(&mut canvas, plot, 78.0);
        let y = Scale::share(plot.upright()).ticks();
        let share =
            if numbers.iter().any(|n| n.figures.absent > 0) { "share of runs with a value" } else { "share of runs" };
        plot.upright_texts(&mut canvas, &y, share);
        let log = if x.log { " (log scale)" } else { "" };
        let height = plot.level_texts(&mut canvas, &x.ticks(), &format!("{}{log}", self.axis));
        let alt = numbers.iter().map(|n| self.sentence(n)).collect::<Vec<_>>().join(" ");
        heading.finish(canvas, height, alt)
    }

    fn figures_text(&self, numbers: &EcdfNumbers) -> String {
        let f = &numbers.figures;
        let absent = if f.absent > 0 { format!(", {} without a value", runs(f.absent)) } else { String::new() };
        let (Some(p50), Some(p99)) = (f.p50, f.p99) else {
            return format!("no values{absent}");
        };
        format!("n = {}{absent}: p50 {}, p99 {}", f.n, show(p50, self.unit), show(p99, self.unit))
    }

    fn entry(&self, n: usize, numbers: &EcdfNumbers) -> Entry {
        let look = style(n);
        let text = self.figures_text(numbers);
        let text = if numbers.label.is_empty() { text } else { format!("{} · {text}", numbers.label) };
        (Key::Marked(look.color, look.dash, look.mark), text)
    }

    fn sentence(&self, numbers: &EcdfNumbers) -> String {
        let name = if numbers.label.is_empty() { &self.axis } else { &numbers.label };
        let text = format!("{name}: {}", self.figures_text(numbers));
        match (numbers.figures.min, numbers.figures.max) {
            (Some(min), Some(max)) => format!("{text}, from {} to {}.", show(min, self.unit), show(max, self.unit)),
            (_, _) => format!("{text}."),
        }
    }

    /// Draws axes' rules, lines, marks and limits into a rectangle; returns the level axis.
    fn draw(&self, canvas: &mut Canvas, plot: Plot, spacing: f64) -> Scale {
        let samples: Vec<Sorted> = self.samples.iter().map(Sample::sorted).collect();
        let shown = range(samples.iter().flat_map(|sample| &sample.values).map(|(value, _)| *value));
        let (low, high) = shown.map_or((0.0, 1.0), |range| stretched(range, &self.limits));
        let x = Scale::fitting(low, high, self.unit, plot.level(), spacing);
        let y = Scale::share(plot.upright());
        plot.rules(canvas, &x.ticks(), &y.ticks(), &x.minor(), &[]);
        if shown.is_none() {
            plot.empty(canvas, "no values");
        } else {
            for (p, text) in [(0.5, "p50"), (0.99, "p99")] {
                share_line(canvas, plot, y.at(p), text);
            }
        }
        for (n, sorted) in samples.iter().enumerate() {
            canvas.dashed(&staircase(sorted, &x, &y, plot.right), style(n).color, 2.2, style(n).dash);
        }
        plot.limits(canvas, &x, &self.limits, (plot.bottom - 10.0, -15.0));
        for (n, sorted) in samples.iter().enumerate() {
            for p in [0.5, 0.99] {
                if let Some(value) = sorted.quantile(p) {
                    mark(canvas, (x.at(value), y.at(p)), style(n).mark, style(n).color);
                }
            }
        }
        x
    }
}

fn numbers(sample: &Sample) -> EcdfNumbers {
    let sorted = sample.sorted();
    EcdfNumbers { label: sample.label.clone(), figures: sorted.figures(), steps: steps(&sorted) }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of runs")]
fn steps(sorted: &Sorted) -> Vec<Step> {
    let mut seen = 0;
    let step = |&(at, count): &(f64, u64)| {
        seen += count;
        Step { at, share: seen as f64 / sorted.n as f64 }
    };
    sorted.values.iter().map(step).collect()
}

/// The line of a distribution, from its first value up and on to the right edge. Steps closer than half a pixel are
/// joined.
fn staircase(sorted: &Sorted, x: &Scale, y: &Scale, right: f64) -> Vec<Point> {
    let steps = steps(sorted);
    let Some(first) = steps.first() else { return Vec::new() };
    let mut at = x.at(first.at);
    let mut share = 0.0;
    let mut points = vec![(at, y.at(0.0))];
    for step in &steps {
        let here = x.at(step.at);
        if here - at > 0.5 {
            points.extend([(at, y.at(share)), (here, y.at(share))]);
            at = here;
        }
        share = step.share;
    }
    points.extend([(at, y.at(1.0)), (right, y.at(1.0))]);
    points
}

/// Panels side by side, and the height of a row's heading.
const COLUMNS: usize = 4;
const ROW: f64 = 26.0;
/// The room above, below and beside a panel's plot, and the plot's height.
const HEAD: f64 = 34.0;
const FOOT: f64 = 28.0;
const SIDE: f64 = 40.0;
const PLOT: f64 = 110.0;

/// The colours of a panel's two samples, and their widths.
const THIN: (Color, f64) = (BLUE, 2.0);
const BROAD: (Color, f64) = (ORANGE, 6.0);

impl EcdfGrid {
    /// Draws it.
    #[must_use]
    pub fn chart(&self) -> Chart {
        let heading = Heading { name: &self.name, title: &self.title, subtitle: &self.subtitle };
        let [thin, broad] = &self.labels;
        let (mut canvas, mut top) = heading.begin(&[
            (Key::Line(THIN.0, THIN.1, &[]), format!("{thin} (● median)")),
            (Key::Line(PALE_ORANGE, BROAD.1, &[]), format!("{broad} (◆ median)")),
        ]);
        let width = (RIGHT - 24.0) / COLUMNS as f64;
        for row in &self.rows {
            canvas.line(vec![(24.0, top), (RIGHT, top)], RULE, 1.0);
            canvas.text((24.0, top + 18.0), row.heading.clone(), Type::new(BODY).bold());
            top += ROW;
            for line in row.panels.chunks(COLUMNS) {
                for (n, panel) in line.iter().enumerate() {
                    panel.draw(&mut canvas, (24.0 + width * n as f64, top), width, n == 0);
                }
                top += HEAD + PLOT + FOOT;
            }
        }
        let sentence = |panel: &EcdfPanel| format!("{}: {}.", panel.title, panel.medians(&self.labels));
        let row = |row: &EcdfRow| {
            let panels: Vec<String> = row.panels.iter().map(sentence).collect();
            format!("{}. {}", row.heading, panels.join(" "))
        };
        let alt = self.rows.iter().map(row).collect::<Vec<_>>().join(" ");
        heading.finish(canvas, top + 4.0, alt)
    }
}

impl EcdfPanel {
    /// Both medians and how many values each is of.
    fn medians(&self, labels: &[String; 2]) -> String {
        let text = |(sample, label): (&Sample, &String)| {
            let figures = sample.figures();
            let median = figures.p50.map_or_else(|| "–".to_owned(), |median| show(median, self.unit));
            format!("{label} {median} (n {})", figures.n)
        };
        let both: Vec<String> = self.samples.iter().zip(labels).map(text).collect();
        both.join(", ").replace(" ,", ",")
    }

    fn draw(&self, canvas: &mut Canvas, (left, top): Point, width: f64, first: bool) {
        let plot = Plot { left: left + SIDE, right: left + width - 14.0, top: top + HEAD, bottom: top + HEAD + PLOT };
        let title = canvas.fonts.fit(&self.title, SMALL, true, width - 16.0);
        canvas.text((left, top + 12.0), title, Type::new(SMALL).bold());
        let medians = self.medians(&["●".to_owned(), "◆".to_owned()]);
        let medians = canvas.fonts.fit(&medians, SMALL, false, width - 10.0);
        canvas.text((left, top + 27.0), medians, Type::new(SMALL).color(MUTED));
        let [thin, broad] = self.samples.each_ref().map(Sample::sorted);
        let values = thin.values.iter().chain(&broad.values).map(|(value, _)| *value);
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let x = Scale::fitting(low, high, self.unit, plot.level(), 62.0);
        let y = Scale::share(plot.upright());
        plot.rules(canvas, &x.ticks(), &y.ticks(), &[], &[]);
        canvas.line(staircase(&broad, &x, &y, plot.right), PALE_ORANGE, BROAD.1);
        canvas.line(staircase(&thin, &x, &y, plot.right), THIN.0, THIN.1);
        for (sample, form, color) in [(&broad, Mark::Diamond, BROAD.0), (&thin, Mark::Dot, THIN.0)] {
            if let Some(median) = sample.quantile(0.5) {
                mark(canvas, (x.at(median), y.at(0.5)), form, color);
            }
        }
        let texts = if first { y.ticks() } else { Vec::new() };
        plot.upright_texts(canvas, &texts, "");
        plot.level_texts(canvas, &x.ticks(), "");
    }
}
