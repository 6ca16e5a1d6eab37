//! How often each value occurred.

use serde::Serialize;

use super::plot::{Heading, Plot, stretched};
use super::scale::{Scale, show, spans_decades};
use super::{Figures, Limit, Sample, Sorted, Unit, runs};
use crate::report::chart::Chart;
use crate::report::chart::axis::decimal_step;
use crate::report::chart::canvas::Canvas;
use crate::report::chart::frame::{Flag, flags};
use crate::report::chart::theme::{BLUE, GREEN, INK, ORANGE};

/// One sample in bins. Counts get bins of whole numbers; other values bins by the rule of Freedman and Diaconis, at
/// round edges; positive values that span more than two decades bins of equal ratio on a logarithmic axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// The chart's file name without an ending.
    pub name: String,
    /// The question that it answers.
    pub title: String,
    /// Which runs these are; how many have no value is added.
    pub subtitle: String,
    /// What the values are: a metric's name.
    pub axis: String,
    /// What they count in.
    pub unit: Unit,
    /// The values.
    pub sample: Sample,
    /// Limits that expectations set, as upright lines.
    pub limits: Vec<Limit>,
}

/// What a [`Histogram`] shows, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bins {
    /// The sample's figures.
    pub figures: Figures,
    /// The bins from left to right, without gaps; empty when there are no values.
    pub bins: Vec<Bin>,
    /// Whether the bins have equal ratios instead of equal widths.
    pub log: bool,
}

/// A bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// The least value that it takes.
    pub from: f64,
    /// The value at which the next one begins.
    pub to: f64,
    /// How many values are in it.
    pub count: u64,
}

/// Most and fewest bins of values that aren't counts.
const BINS_MAX: f64 = 80.0;
const BINS_MIN: f64 = 8.0;
/// Bins for each power of ten on a logarithmic axis.
const BINS_PER_DECADE: f64 = 8.0;

impl Histogram {
    /// The numbers that it shows.
    #[must_use]
    pub fn bins(&self) -> Bins {
        let sorted = self.sample.sorted();
        let figures = sorted.figures();
        let (Some(low), Some(high)) = (figures.min, figures.max) else {
            return Bins { figures, bins: Vec::new(), log: false };
        };
        let log = spans_decades(low, high, self.unit);
        let edges = if log { log_edges(low, high) } else { self.edges(&sorted, (low, high)) };
        Bins { figures, bins: fill(&edges, &sorted.values), log }
    }

    #[allow(clippy::cast_precision_loss, reason = "numbers of runs")]
    fn edges(&self, sorted: &Sorted, (low, high): (f64, f64)) -> Vec<f64> {
        let whole = sorted.values.iter().all(|(value, _)| libm::trunc(*value) == *value);
        if (self.unit == Unit::Count || self.unit == Unit::Bool) && whole {
            let step = decimal_step(((high - low + 1.0) / BINS_MAX).max(1.0));
            let start = libm::floor(low / step) * step;
            // Every whole number stands in the middle of its own bin.
            let shift = if step == 1.0 { 0.5 } else { 0.0 };
            return steps(start - shift, step, high);
        }
        let range = high - low;
        if range <= 0.0 {
            let half = (low.abs() * 0.005).max(1e-9);
            return if low == 0.0 { vec![0.0, 1.0] } else { vec![low - half, low + half] };
        }
        let quarter = |p: f64| sorted.quantile(p).expect("there are values");
        let width = 2.0 * (quarter(0.75) - quarter(0.25)) / libm::cbrt(sorted.n as f64);
        let step = decimal_step(width.clamp(range / BINS_MAX, range / BINS_MIN));
        steps(libm::floor(low / step + 1e-9) * step, step, high)
    }

    /// Draws it.
    #[must_use]
    pub fn chart(&self) -> Chart {
        let numbers = self.bins();
        let absent = match numbers.figures.absent {
            0 => String::new(),
            n => format!(" · another {} without", runs(n)),
        };
        let begin = if self.subtitle.is_empty() { String::new() } else { format!("{} · ", self.subtitle) };
        let subtitle = format!("{begin}{} with a value{absent}", runs(numbers.figures.n));
        let heading = Heading { name: &self.name, title: &self.title, subtitle: &subtitle };
        let (mut canvas, top) = heading.begin(&[]);
        let plot = Plot::below(top + 34.0);
        let x = self.level(&numbers, plot);
        let most = numbers.bins.iter().map(|bin| bin.count).max().unwrap_or(1);
        let y = Scale::linear(0.0, most as f64, Unit::Count, plot.upright(), 40.0);
        plot.rules(&mut canvas, &x.ticks(), &y.ticks(), &x.minor(), &[]);
        if numbers.bins.is_empty() {
            plot.empty(&mut canvas, "no values");
        }
        bars(&mut canvas, &numbers.bins, &x, &y);
        plot.limits(&mut canvas, &x, &self.limits, (plot.top + 14.0, 15.0));
        self.marks(&mut canvas, plot, &x, &numbers.figures);
        plot.upright_texts(&mut canvas, &y.ticks(), "runs");
        let height = plot.level_texts(&mut canvas, &x.ticks(), &self.axis_text(&numbers));
        heading.finish(canvas, height, self.alt(&numbers))
    }

    fn level(&self, numbers: &Bins, plot: Plot) -> Scale {
        let (first, last) = match &numbers.bins[..] {
            [] => return Scale::linear(0.0, 1.0, self.unit, plot.level(), 78.0),
            [bin] => {
                let around = 4.0 * (bin.to - bin.from);
                (if bin.from < 0.0 { bin.from - around } else { (bin.from - around).max(0.0) }, bin.to + around)
            }
            [first, .., last] => (first.from, last.to),
        };
        let (low, high) = stretched((first, last), &self.limits);
        Scale::tight(low, high, self.unit, numbers.log, plot.level())
    }

    fn axis_text(&self, numbers: &Bins) -> String {
        let width = match numbers.bins.first() {
            _ if numbers.log => " (log scale, bars of equal ratio)".to_owned(),
            Some(bin) if numbers.bins.len() > 1 && self.unit != Unit::Bool && bin.to - bin.from != 1.0 => {
                format!(" (bars are {} wide)", show(bin.to - bin.from, self.unit))
            }
            _ => String::new(),
        };
        format!("{}{width}", self.axis)
    }

    fn marks(&self, canvas: &mut Canvas, plot: Plot, x: &Scale, figures: &Figures) {
        let Some((p50, mean, p99)) = marks_of(figures) else { return };
        let mark = |value: f64, name: &str, color| Flag {
            x: x.at(value),
            row: usize::from(name == "mean"),
            text: format!("{name} {}", show(value, self.unit)),
            short: name.to_owned(),
            minor: false,
            color,
        };
        let mut all = vec![mark(p50, "p50", INK), mark(mean, "mean", GREEN), mark(p99, "p99", ORANGE)];
        if p50 == p99 {
            all = vec![mark(p50, if mean == p50 { "all" } else { "p50 = p99" }, INK)];
            if mean != p50 {
                all.push(mark(mean, "mean", GREEN));
            }
        }
        all.sort_by(|a, b| a.x.total_cmp(&b.x));
        flags(canvas, &all, plot.top - 36.0, plot.bottom);
    }

    fn alt(&self, numbers: &Bins) -> String {
        let f = &numbers.figures;
        let Some((p50, mean, p99)) = marks_of(f) else {
            return format!("{}: no values in {}.", self.axis, runs(f.absent));
        };
        let show = |value: f64| show(value, self.unit);
        format!(
            "{}: {} with a value, {} without; median {}, mean {}, 99th percentile {}.",
            self.axis,
            runs(f.n),
            f.absent,
            show(p50),
            show(mean),
            show(p99)
        )
    }
}

fn marks_of(figures: &Figures) -> Option<(f64, f64, f64)> {
    Some((figures.p50?, figures.mean?, figures.p99?))
}

/// Edges from `start` in equal steps until `high` is in a bin.
fn steps(start: f64, step: f64, high: f64) -> Vec<f64> {
    let mut edges = vec![start];
    let mut n = 1.0;
    while edges[edges.len() - 1] <= high {
        edges.push(start + n * step);
        n += 1.0;
    }
    edges
}

fn log_edges(low: f64, high: f64) -> Vec<f64> {
    let power = |n: f64| libm::pow(10.0, n / BINS_PER_DECADE);
    let mut n = libm::floor(libm::log10(low) * BINS_PER_DECADE);
    let mut edges = vec![power(n)];
    while edges[edges.len() - 1] <= high {
        n += 1.0;
        edges.push(power(n));
    }
    edges
}

/// Counts sorted values into the bins between edges.
fn fill(edges: &[f64], sorted: &[(f64, u64)]) -> Vec<Bin> {
    let mut bins: Vec<Bin> = edges.windows(2).map(|pair| Bin { from: pair[0], to: pair[1], count: 0 }).collect();
    let mut at = 0;
    for &(value, count) in sorted {
        while at + 1 < bins.len() && value >= bins[at].to {
            at += 1;
        }
        bins[at].count += count;
    }
    bins
}

fn bars(canvas: &mut Canvas, bins: &[Bin], x: &Scale, y: &Scale) {
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        let (left, right) = (x.at(bin.from), x.at(bin.to));
        let gap = match right - left {
            width if width > 12.0 => 1.0,
            width if width > 3.0 => 0.5,
            _ => 0.0,
        };
        let (upper, lower) = (y.at(bin.count as f64), y.at(0.0));
        canvas.rect((left + gap, upper.min(lower - 1.0)), ((right - gap).max(left + gap + 1.0), lower), BLUE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(unit: Unit, values: &[f64]) -> Vec<(f64, f64, u64)> {
        let sample = Sample::of("", values.iter().copied(), 0);
        let chart = Histogram {
            name: "n".into(),
            title: "t".into(),
            subtitle: String::new(),
            axis: "a".into(),
            unit,
            sample,
            limits: Vec::new(),
        };
        chart.bins().bins.into_iter().map(|bin| (bin.from, bin.to, bin.count)).collect()
    }

    #[test]
    fn bins_hold_every_value_once() {
        assert_eq!(bins(Unit::Count, &[1.0, 1.0, 3.0]), [(0.5, 1.5, 2), (1.5, 2.5, 0), (2.5, 3.5, 1)]);
        assert_eq!(bins(Unit::Bool, &[1.0, 0.0, 1.0]), [(-0.5, 0.5, 1), (0.5, 1.5, 2)]);
        assert_eq!(bins(Unit::Time, &[250.0]), [(248.75, 251.25, 1)]);
        assert_eq!(bins(Unit::Time, &[0.0, 0.0]), [(0.0, 1.0, 2)]);
        assert!(bins(Unit::Ratio, &[]).is_empty());
        for (unit, values) in [
            (Unit::Time, (0..1_000).map(|n| 6_000.0 + f64::from(n % 97) * 3.1).collect::<Vec<f64>>()),
            (Unit::Count, (0..500).map(|n| f64::from(n * n % 7_919)).collect()),
            (Unit::Bytes, (1..300).map(|n| f64::from(n) * f64::from(n) * 1e3).collect()),
            (Unit::Ratio, (0..50).map(|n| f64::from(n) / 50.0).collect()),
        ] {
            let all = bins(unit, &values);
            assert_eq!(all.iter().map(|bin| bin.2).sum::<u64>(), values.len() as u64);
            assert!(all.len() <= 81, "{unit:?} {}", all.len());
            for pair in all.windows(2) {
                assert_eq!(pair[0].1, pair[1].0);
            }
            for (from, to, count) in all {
                assert_eq!(values.iter().filter(|value| from <= **value && **value < to).count() as u64, count);
            }
        }
    }
}
