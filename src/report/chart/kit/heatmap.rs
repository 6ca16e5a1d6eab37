//! A value for each combination of two varied fields.

use serde::Serialize;

use super::Unit;
use super::plot::{Heading, range};
use super::scale::{show, spans_decades};
use crate::report::chart::Chart;
use crate::report::chart::canvas::{Anchor, Canvas, Point, Type, middle_baseline};
use crate::report::chart::frame;
use crate::report::chart::theme::{self, BODY, INK, LEFT, MUTED, RIGHT, RULE, SMALL, TINY, WHITE};

/// A table whose cells are coloured by their value: pale is low, dark is high. Logarithmic colours when all values are
/// positive and span more than two decades.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeatMap {
    /// The chart's file name without an ending.
    pub name: String,
    /// The question that it answers.
    pub title: String,
    /// Which runs these are.
    pub subtitle: String,
    /// What the values are: a metric's name and which of its figures (`writes.lost.mean`).
    pub value: String,
    /// What they count in.
    pub unit: Unit,
    /// The field that differs from row to row.
    pub row_field: String,
    /// Its values, from above.
    pub rows: Vec<String>,
    /// The field that differs from column to column.
    pub column_field: String,
    /// Its values, from the left.
    pub columns: Vec<String>,
    /// The cells, row by row; missing ones have no value.
    pub cells: Vec<Vec<Cell>>,
}

/// A cell of a [`HeatMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    /// Its value; `None` when no run has one.
    pub value: Option<f64>,
    /// How many runs it stands for; 0 is not printed.
    pub runs: u64,
}

/// Where the cells are.
struct Layout {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    upright: bool,
}

/// How values become colours.
struct Shades {
    low: f64,
    high: f64,
    log: bool,
}

impl HeatMap {
    /// Draws it.
    #[must_use]
    pub fn chart(&self) -> Chart {
        let heading = Heading { name: &self.name, title: &self.title, subtitle: &self.subtitle };
        let (mut canvas, top) = heading.begin(&[]);
        let values = || self.cells.iter().flatten().filter_map(|cell| cell.value);
        let shades = range(values()).map(|(low, high)| Shades { low, high, log: spans_decades(low, high, self.unit) });
        let layout = self.layout(&mut canvas, top + 44.0);
        self.scale(&mut canvas, shades.as_ref(), (layout.left, top + 4.0));
        let left_out = self.draw_cells(&mut canvas, &layout, shades.as_ref());
        let bottom = self.column_labels(&mut canvas, &layout);
        self.row_labels(&mut canvas, &layout);
        if left_out {
            let text = "values that don't fit their cell are in the JSON";
            canvas.text((layout.left, bottom + 14.0), text, Type::new(TINY).color(MUTED));
        }
        let height = bottom + if left_out { 24.0 } else { 10.0 };
        heading.finish(canvas, height, self.alt(shades.as_ref()))
    }

    fn alt(&self, shades: Option<&Shades>) -> String {
        let size = format!("{} by {}", self.row_field, self.column_field);
        match shades {
            Some(shades) => format!(
                "{} for {size}, {} × {} cells, from {} to {}.",
                self.value,
                self.rows.len(),
                self.columns.len(),
                show(shades.low, self.unit),
                show(shades.high, self.unit)
            ),
            None => format!("{} for {size}: no values.", self.value),
        }
    }

    fn layout(&self, canvas: &mut Canvas, top: f64) -> Layout {
        let look = Type::new(SMALL);
        let widest = |labels: &[String]| labels.iter().map(|label| canvas.width_of(label, look)).fold(0.0, f64::max);
        let left = (widest(&self.rows).min(240.0) + 48.0).max(LEFT);
        let width = ((RIGHT - left) / (self.columns.len().max(1)) as f64).min(150.0);
        let height: f64 = match self.rows.len() {
            0..=8 => 48.0,
            9..=16 => 36.0,
            _ => 22.0,
        };
        Layout { left, top, width, height, upright: widest(&self.columns) > width - 6.0 }
    }

    /// The bar that says which colour is which value.
    fn scale(&self, canvas: &mut Canvas, shades: Option<&Shades>, (left, top): Point) {
        let look = Type::new(SMALL);
        let Some(shades) = shades else {
            canvas.text((left, top + 12.0), format!("{}: no values", self.value), look.color(MUTED));
            return;
        };
        let (low, high) = (show(shades.low, self.unit), show(shades.high, self.unit));
        let log = if shades.log { " (log scale)" } else { "" };
        let name = format!("{}{log}", self.value);
        canvas.text((left, top + 12.0), name.clone(), look.bold());
        let mut x = left + canvas.width_of(&name, look.bold()) + 18.0;
        canvas.text((x, top + 12.0), low.clone(), look);
        x += canvas.width_of(&low, look) + 8.0;
        if shades.low < shades.high {
            const STEPS: u32 = 60;
            for n in 0..STEPS {
                let from = x + 4.0 * f64::from(n);
                canvas.rect((from, top), (from + 4.0, top + 14.0), theme::heat(f64::from(n) / f64::from(STEPS - 1)));
            }
            canvas.frame((x, top), (x + 4.0 * f64::from(STEPS), top + 14.0), RULE);
            canvas.text((x + 4.0 * f64::from(STEPS) + 8.0, top + 12.0), high, look);
        }
    }

    /// Draws the cells; whether a value had no room.
    fn draw_cells(&self, canvas: &mut Canvas, layout: &Layout, shades: Option<&Shades>) -> bool {
        let mut left_out = false;
        for row in 0..self.rows.len() {
            for column in 0..self.columns.len() {
                let from = layout.corner(row, column);
                let to = (from.0 + layout.width, from.1 + layout.height);
                let cell = self.cells.get(row).and_then(|cells| cells.get(column)).copied().unwrap_or_default();
                let Some((value, shades)) = cell.value.filter(|value| value.is_finite()).zip(shades) else {
                    frame::hatch(canvas, from, to);
                    canvas.frame(from, to, WHITE);
                    continue;
                };
                let fill = theme::heat(shades.share(value));
                canvas.rect(from, to, fill);
                canvas.frame(from, to, WHITE);
                left_out |= !self.print(canvas, (from, to), value, cell.runs, fill.ink());
            }
        }
        left_out
    }

    /// Prints a cell's value, smaller where it must be; whether it had room.
    fn print(&self, canvas: &mut Canvas, (from, to): (Point, Point), value: f64, runs: u64, ink: theme::Color) -> bool {
        let text = show(value, self.unit);
        let room = to.0 - from.0 - 4.0;
        let look = |size: f64| Type::new(size).color(ink).anchor(Anchor::Middle);
        let Some(size) = [BODY, SMALL, TINY, 8.5].into_iter().find(|&size| canvas.width_of(&text, look(size)) <= room)
        else {
            return false;
        };
        let middle = f64::midpoint(from.0, to.0);
        let below = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
        if runs > 0 && layout_is_tall(from, to) && canvas.width_of(&below, look(TINY)) <= room {
            canvas.text((middle, from.1 + 21.0), text, look(size));
            canvas.text((middle, from.1 + 37.0), below, look(TINY));
        } else {
            canvas.text((middle, middle_baseline(from.1, to.1, size)), text, look(size));
        }
        true
    }

    fn row_labels(&self, canvas: &mut Canvas, layout: &Layout) {
        let look = Type::new(SMALL).color(INK).anchor(Anchor::Right);
        for (row, label) in self.rows.iter().enumerate() {
            let (left, top) = layout.corner(row, 0);
            let label = canvas.fonts.fit_middle(label, SMALL, false, layout.left - 48.0);
            canvas.text((left - 8.0, middle_baseline(top, top + layout.height, SMALL)), label, look);
        }
        if self.rows.is_empty() {
            return;
        }
        let middle = layout.top + layout.height * self.rows.len() as f64 / 2.0;
        let field = canvas.fonts.fit(&self.row_field, SMALL, false, 2.0 * (middle - 8.0));
        canvas.upright((22.0, middle), field, Type::new(SMALL).color(MUTED));
    }

    fn column_labels(&self, canvas: &mut Canvas, layout: &Layout) -> f64 {
        let bottom = layout.top + layout.height * self.rows.len() as f64;
        let mut below = bottom + 20.0;
        for (column, label) in self.columns.iter().enumerate() {
            let middle = layout.corner(0, column).0 + layout.width / 2.0;
            if layout.upright {
                let label = canvas.fonts.fit_middle(label, SMALL, false, 150.0);
                let width = canvas.width_of(&label, Type::new(SMALL));
                canvas.upright((middle + SMALL * 0.365, bottom + 6.0 + width / 2.0), label, Type::new(SMALL));
                below = below.max(bottom + 14.0 + width);
            } else {
                canvas.text((middle, bottom + 16.0), label.clone(), Type::new(SMALL).anchor(Anchor::Middle));
            }
        }
        let width = layout.width * self.columns.len() as f64;
        let look = Type::new(SMALL).color(MUTED);
        let field = canvas.fonts.fit(&self.column_field, SMALL, false, RIGHT - layout.left);
        let half = canvas.width_of(&field, look) / 2.0;
        canvas.text((layout.left + (width / 2.0 - half).max(0.0), below + 16.0), field, look);
        below + 22.0
    }
}

fn layout_is_tall(from: Point, to: Point) -> bool {
    to.1 - from.1 >= 44.0
}

impl Layout {
    fn corner(&self, row: usize, column: usize) -> Point {
        (self.left + self.width * column as f64, self.top + self.height * row as f64)
    }
}

impl Shades {
    /// Where a value is between the lowest and the highest; in the middle when they are the same.
    fn share(&self, value: f64) -> f64 {
        let place = |value: f64| if self.log { libm::log10(value) } else { value };
        let (low, high) = (place(self.low), place(self.high));
        if low < high { (place(value) - low) / (high - low) } else { 0.3 }
    }
}
