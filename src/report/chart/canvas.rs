//! A drawing as a list of shapes in pixels, independent of the format it ends in.

use super::text::Fonts;
use super::theme::{Color, INK};

/// A point in pixels, from the upper left.
pub(crate) type Point = (f64, f64);

/// Which part of a text stands at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

/// One thing drawn.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A filled rectangle.
    Rect { from: Point, to: Point, fill: Color },
    /// A line through points.
    Line { points: Vec<Point>, color: Color, width: f64 },
    /// A filled area.
    Area { points: Vec<Point>, fill: Color },
    /// A filled circle.
    Dot { at: Point, radius: f64, fill: Color },
    /// One line of text, its baseline at the point.
    Text { at: Point, text: String, size: f64, bold: bool, upright: bool, color: Color, anchor: Anchor },
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) color: Color,
    pub(crate) anchor: Anchor,
}

/// The drawing.
#[derive(Debug)]
pub(crate) struct Canvas {
    /// Its height in pixels; the width is always [`super::theme::WIDTH`].
    pub(crate) height: f64,
    /// What is drawn, later shapes on top.
    pub(crate) shapes: Vec<Shape>,
    /// For measuring.
    pub(crate) fonts: Fonts,
}

impl Type {
    pub(crate) fn new(size: f64) -> Type {
        Type { size, bold: false, color: INK, anchor: Anchor::Left }
    }

    pub(crate) fn bold(self) -> Type {
        Type { bold: true, ..self }
    }

    pub(crate) fn color(self, color: Color) -> Type {
        Type { color, ..self }
    }

    pub(crate) fn anchor(self, anchor: Anchor) -> Type {
        Type { anchor, ..self }
    }
}

impl Canvas {
    pub(crate) fn new(height: f64) -> Canvas {
        Canvas { height, shapes: Vec::new(), fonts: Fonts::bundled() }
    }

    pub(crate) fn rect(&mut self, from: Point, to: Point, fill: Color) {
        self.shapes.push(Shape::Rect { from, to, fill });
    }

    /// The edge of a rectangle, inside it.
    pub(crate) fn frame(&mut self, from: Point, to: Point, color: Color) {
        let corners = vec![from, (to.0, from.1), to, (from.0, to.1), from];
        self.line(corners, color, 1.0);
    }

    pub(crate) fn line(&mut self, points: Vec<Point>, color: Color, width: f64) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, color, width });
        }
    }

    /// A line with a dash pattern (drawn, left out, … in pixels); an empty pattern is solid.
    pub(crate) fn dashed(&mut self, points: &[Point], color: Color, width: f64, dash: &[f64]) {
        if dash.is_empty() {
            return self.line(points.to_vec(), color, width);
        }
        let mut pen = Pen { index: 0, left: dash[0], piece: Vec::new() };
        for pair in points.windows(2) {
            self.dash_one(pair[0], pair[1], &mut pen, dash, (color, width));
        }
        self.line(pen.piece, color, width);
    }

    fn dash_one(&mut self, from: Point, to: Point, pen: &mut Pen, dash: &[f64], look: (Color, f64)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).sqrt();
        let mut done = 0.0;
        let on = |index: usize| index.is_multiple_of(2);
        if on(pen.index) && pen.piece.is_empty() {
            pen.piece.push(from);
        }
        while length - done > pen.left {
            done += pen.left;
            let at = (from.0 + dx * done / length, from.1 + dy * done / length);
            if on(pen.index) {
                pen.piece.push(at);
                self.line(std::mem::take(&mut pen.piece), look.0, look.1);
            } else {
                pen.piece.push(at);
            }
            pen.index = (pen.index + 1) % dash.len();
            pen.left = dash[pen.index];
        }
        pen.left -= length - done;
        if on(pen.index) {
            pen.piece.push(to);
        }
    }

    pub(crate) fn area(&mut self, points: Vec<Point>, fill: Color) {
        if points.len() > 2 {
            self.shapes.push(Shape::Area { points, fill });
        }
    }

    pub(crate) fn dot(&mut self, at: Point, radius: f64, fill: Color) {
        self.shapes.push(Shape::Dot { at, radius, fill });
    }

    pub(crate) fn text(&mut self, at: Point, text: impl Into<String>, look: Type) {
        let Type { size, bold, color, anchor } = look;
        let text = text.into();
        if !text.is_empty() {
            self.shapes.push(Shape::Text { at, text, size, bold, upright: false, color, anchor });
        }
    }

    /// Text that reads from below to above, centred on the point.
    pub(crate) fn upright(&mut self, at: Point, text: impl Into<String>, look: Type) {
        let Type { size, bold, color, .. } = look;
        let text = text.into();
        self.shapes.push(Shape::Text { at, text, size, bold, upright: true, color, anchor: Anchor::Middle });
    }

    pub(crate) fn width_of(&self, text: &str, look: Type) -> f64 {
        self.fonts.width(text, look.size, look.bold)
    }

    /// A text centred in a box, shortened to fit; left out when hardly anything of it fits.
    pub(crate) fn label_in(&mut self, from: Point, to: Point, text: &str, look: Type) {
        let short = self.fonts.fit(text, look.size, look.bold, to.0 - from.0 - 6.0);
        if short.chars().count() * 10 < text.chars().count() * 8 {
            return;
        }
        let baseline = middle_baseline(from.1, to.1, look.size);
        self.text((f64::midpoint(from.0, to.0), baseline), short, look.anchor(Anchor::Middle));
    }
}

/// The baseline at which capitals of a size stand in the middle between two heights.
pub(crate) fn middle_baseline(top: f64, bottom: f64, size: f64) -> f64 {
    f64::midpoint(top, bottom) + size * 0.365
}

struct Pen {
    index: usize,
    left: f64,
    piece: Vec<Point>,
}

#[cfg(test)]
impl Shape {
    /// Its outermost points.
    pub(crate) fn corners(&self, fonts: &Fonts) -> Vec<Point> {
        match self {
            Shape::Rect { from, to, .. } => vec![*from, *to],
            Shape::Line { points, .. } | Shape::Area { points, .. } => points.clone(),
            Shape::Dot { at, .. } => vec![*at],
            Shape::Text { at, text, size, bold, upright, anchor, .. } => {
                let width = fonts.width(text, *size, *bold);
                let left = match anchor {
                    Anchor::Left => 0.0,
                    Anchor::Middle => width / 2.0,
                    Anchor::Right => width,
                };
                if *upright {
                    return vec![(at.0 - size, at.1 + left), (at.0, at.1 + left - width)];
                }
                vec![(at.0 - left, at.1 - size), (at.0 - left + width, at.1)]
            }
        }
    }
}
