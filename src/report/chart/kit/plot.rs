//! A rectangle with a level and an upright axis, and what all charts of the kit draw around and into it.

use super::Limit;
use super::scale::Scale;
use crate::report::chart::Chart;
use crate::report::chart::axis::Tick;
use crate::report::chart::canvas::{Anchor, Canvas, Point, Type};
use crate::report::chart::frame::{self, Entry};
use crate::report::chart::theme::{self, BODY, FAINT, GREY, INK, LEFT, MUTED, RIGHT, RULE, SMALL, VERMILLION};

/// Where a plot is, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plot {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// Height of a chart's plot.
const HEIGHT: f64 = 330.0;

impl Plot {
    /// The plot of a chart that has only one, below the heading.
    pub(crate) fn below(top: f64) -> Plot {
        Plot { left: LEFT, right: RIGHT - 12.0, top, bottom: top + HEIGHT }
    }

    /// Where a level axis begins and ends: a little inside, so that lines at its ends can be seen.
    pub(crate) fn level(&self) -> (f64, f64) {
        (self.left + 6.0, self.right - 6.0)
    }

    pub(crate) fn upright(&self) -> (f64, f64) {
        (self.bottom, self.top)
    }

    /// The rules of both axes.
    pub(crate) fn rules(&self, canvas: &mut Canvas, x: &[Tick], y: &[Tick], x_minor: &[f64], y_minor: &[f64]) {
        for &at in x_minor {
            canvas.line(vec![(at, self.top), (at, self.bottom)], FAINT, 1.0);
        }
        for &at in y_minor {
            canvas.line(vec![(self.left, at), (self.right, at)], FAINT, 1.0);
        }
        for (at, _) in x {
            canvas.line(vec![(*at, self.top), (*at, self.bottom)], FAINT, 1.0);
        }
        for (at, _) in y {
            canvas.line(vec![(self.left, *at), (self.right, *at)], RULE, 1.0);
        }
        canvas.line(vec![(self.left, self.top), (self.left, self.bottom)], GREY, 1.0);
        canvas.line(vec![(self.left, self.bottom), (self.right, self.bottom)], GREY, 1.0);
    }

    /// The texts of the upright axis and its title.
    pub(crate) fn upright_texts(&self, canvas: &mut Canvas, ticks: &[Tick], title: &str) {
        let look = Type::new(SMALL).color(MUTED).anchor(Anchor::Right);
        let mut widest: f64 = 0.0;
        for (y, text) in ticks {
            canvas.text((self.left - 8.0, y + SMALL * 0.365), text.clone(), look);
            widest = widest.max(canvas.width_of(text, look));
        }
        if !title.is_empty() {
            let room = self.bottom - self.top + 40.0;
            let title = canvas.fonts.fit(title, SMALL, false, room);
            let x = (self.left - 8.0 - widest - 12.0).max(14.0).min(36.0_f64.max(self.left - 72.0));
            canvas.upright((x, f64::midpoint(self.top, self.bottom)), title, Type::new(SMALL).color(MUTED));
        }
    }

    /// The texts of the level axis, those that have room, and its title; returns the height below them.
    pub(crate) fn level_texts(&self, canvas: &mut Canvas, ticks: &[Tick], title: &str) -> f64 {
        let look = Type::new(SMALL).color(MUTED).anchor(Anchor::Middle);
        let mut free = f64::MIN;
        for (x, text) in ticks {
            canvas.line(vec![(*x, self.bottom), (*x, self.bottom + 4.0)], GREY, 1.0);
            let half = canvas.width_of(text, look) / 2.0;
            if x - half > free && x + half < theme::WIDTH {
                canvas.text((*x, self.bottom + 17.0), text.clone(), look);
                free = x + half + 6.0;
            }
        }
        if title.is_empty() {
            return self.bottom + 24.0;
        }
        let title = canvas.fonts.fit(title, SMALL, false, self.right - self.left + 60.0);
        canvas.text((f64::midpoint(self.left, self.right), self.bottom + 36.0), title, look);
        self.bottom + 48.0
    }

    /// Says that there is nothing to draw.
    pub(crate) fn empty(&self, canvas: &mut Canvas, text: &str) {
        let at = (f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom));
        canvas.text(at, text, Type::new(BODY).color(MUTED).anchor(Anchor::Middle));
    }

    /// The limits of expectations as upright lines; one that lies far outside is named at the edge. Their names stand
    /// from `first` on, `step` apart.
    pub(crate) fn limits(&self, canvas: &mut Canvas, x: &Scale, limits: &[Limit], (first, step): (f64, f64)) {
        for (row, limit) in limits.iter().enumerate() {
            let down = first + step * row as f64;
            let look = Type::new(SMALL).bold().color(VERMILLION);
            if !x.shows(limit.at) {
                let below = x.at(limit.at) <= self.left;
                let (text, at, anchor) = if below {
                    (format!("← {}", limit.text), self.left + 6.0, Anchor::Left)
                } else {
                    (format!("{} →", limit.text), self.right - 6.0, Anchor::Right)
                };
                label(canvas, (at, down), &text, look.anchor(anchor));
                continue;
            }
            let at = x.at(limit.at);
            canvas.dashed(&[(at, self.top), (at, self.bottom)], VERMILLION, 2.0, &[4.0, 3.0]);
            let width = canvas.width_of(&limit.text, look);
            let hangs = at + 8.0 + width > self.right;
            let (at, anchor) = if hangs { (at - 6.0, Anchor::Right) } else { (at + 6.0, Anchor::Left) };
            label(canvas, (at, down), &limit.text, look.anchor(anchor));
        }
    }
}

/// A text with a pale ground, so that lines under it don't spoil it.
pub(crate) fn label(canvas: &mut Canvas, at: Point, text: &str, look: Type) {
    let width = canvas.width_of(text, look);
    let left = match look.anchor {
        Anchor::Left => at.0,
        Anchor::Middle => at.0 - width / 2.0,
        Anchor::Right => at.0 - width,
    };
    let ground = theme::WHITE.fade(0.85);
    canvas.rect((left - 2.0, at.1 - look.size), (left + width + 2.0, at.1 + look.size * 0.3), ground);
    canvas.text(at, text, look);
}

/// The limits that the level axis should reach: those that don't squeeze the values into a corner.
pub(crate) fn stretched((low, high): (f64, f64), limits: &[Limit]) -> (f64, f64) {
    let range = (high - low).max(high.abs() * 0.25);
    let near = |at: f64| at.is_finite() && at >= low - 2.0 * range && at <= high + 2.0 * range;
    limits
        .iter()
        .map(|limit| limit.at)
        .filter(|&at| near(at))
        .fold((low, high), |(low, high), at| (low.min(at), high.max(at)))
}

/// The least and the greatest of some values.
pub(crate) fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |range, value| match range {
        Some((low, high)) => Some((value.min(low), value.max(high))),
        None => Some((value, value)),
    })
}

/// What every chart of the kit says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading<'a> {
    pub(crate) name: &'a str,
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
}

impl Heading<'_> {
    /// A canvas with the heading, and where the rest begins.
    pub(crate) fn begin(&self, legend: &[Entry]) -> (Canvas, f64) {
        let mut canvas = Canvas::new(0.0);
        let top = frame::heading(&mut canvas, self.title, self.subtitle, legend);
        (canvas, top + 10.0)
    }

    pub(crate) fn finish(&self, mut canvas: Canvas, height: f64, alt: String) -> Chart {
        canvas.height = height;
        Chart { name: self.name.to_owned(), title: self.title.to_owned(), alt, canvas }
    }
}

/// A dashed level line at a share, with its name at the right edge.
pub(crate) fn share_line(canvas: &mut Canvas, plot: Plot, y: f64, text: &str) {
    canvas.dashed(&[(plot.left, y), (plot.right, y)], GREY, 1.0, &[2.0, 3.0]);
    let look = Type::new(theme::TINY).color(INK).anchor(Anchor::Left);
    canvas.text((plot.right + 4.0, y + theme::TINY * 0.365), text, look);
}
