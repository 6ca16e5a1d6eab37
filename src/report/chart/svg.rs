//! A canvas as SVG, through plotters' backend, with the font inside so that it looks the same everywhere.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, FontTransform, IntoFont as _, RGBAColor, ShapeStyle, TextStyle};

use super::canvas::{Anchor, Canvas, Point, Shape};
use super::theme::{Color, WIDTH};
use super::{px, text};

/// plotters draws in whole units: tenths of a pixel are fine enough for any zoom.
const UNITS: f64 = 10.0;
/// plotters writes text in em = size / 1.24.
const SIZE_PER_EM: f64 = 1.24;
/// plotters puts the baseline of top-anchored text this many ems below its point.
const TOP_TO_BASELINE: f64 = 0.76;

/// The drawing as a file of its own.
pub(crate) fn file(canvas: &Canvas, title: &str) -> String {
    let mut out = head(canvas, title);
    out.push_str(&style());
    out.push_str(&shapes(canvas));
    out.push_str("</svg>\n");
    out
}

/// The drawing for a page that has [`style`] once for all.
pub(crate) fn inline(canvas: &Canvas, title: &str) -> String {
    let mut out = head(canvas, title);
    out.push_str(&shapes(canvas));
    out.push_str("</svg>\n");
    out
}

/// The element that brings the font.
pub(crate) fn style() -> String {
    let mut out = String::from("<style>\n");
    for (bytes, weight) in [(text::REGULAR, "normal"), (text::BOLD, "bold")] {
        let family = text::FAMILY;
        out.push_str(&format!("@font-face{{font-family:'{family}';font-weight:{weight};src:url(data:font/ttf;base64,"));
        base64(bytes, &mut out);
        out.push_str(") format('truetype')}\n");
    }
    out.push_str("svg text{font-kerning:none}\n</style>\n");
    out
}

fn head(canvas: &Canvas, title: &str) -> String {
    let (width, height) = (px(WIDTH), px(canvas.height));
    let (w, h) = (px(WIDTH * UNITS), px(canvas.height * UNITS));
    let title = crate::report::html::escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {w} {h}\" \
         role=\"img\">\n<title>{title}</title>\n<rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n"
    )
}

/// What stands between the outer tags.
fn shapes(canvas: &Canvas) -> String {
    let mut out = String::new();
    let size = (px(WIDTH * UNITS).unsigned_abs(), px(canvas.height * UNITS).unsigned_abs());
    let mut backend = SVGBackend::with_string(&mut out, size);
    for shape in &canvas.shapes {
        draw(&mut backend, shape);
    }
    backend.present().expect("a string takes everything");
    drop(backend);
    let body = out.split_once('\n').map_or("", |(_, rest)| rest);
    body.trim_end().trim_end_matches("</svg>").to_owned()
}

fn draw(backend: &mut SVGBackend<'_>, shape: &Shape) {
    let result = match shape {
        Shape::Rect { from, to, fill } => backend.draw_rect(units(*from), units(*to), &paint(*fill, 0.0), true),
        Shape::Line { points, color, width } if points.len() == 2 => {
            backend.draw_line(units(points[0]), units(points[1]), &paint(*color, *width))
        }
        Shape::Line { points, color, width } => {
            backend.draw_path(points.iter().map(|&point| units(point)), &paint(*color, *width))
        }
        Shape::Area { points, fill } => {
            backend.fill_polygon(points.iter().map(|&point| units(point)), &paint(*fill, 0.0))
        }
        Shape::Dot { at, radius, fill } => {
            backend.draw_circle(units(*at), px(radius * UNITS).unsigned_abs(), &paint(*fill, 0.0), true)
        }
        Shape::Text { at, text, size, bold, upright, color, anchor } => {
            let h = match anchor {
                Anchor::Left => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::Right => HPos::Right,
            };
            let face = if *bold { FontStyle::Bold } else { FontStyle::Normal };
            let turn = if *upright { FontTransform::Rotate270 } else { FontTransform::None };
            let font = (text::FAMILY, size * UNITS * SIZE_PER_EM, face).into_font().transform(turn);
            let ink = color.plotters();
            let style = TextStyle::from(font).color(&ink).pos(Pos::new(h, VPos::Top));
            let drop = size * TOP_TO_BASELINE;
            let corner = if *upright { (at.0 - drop, at.1) } else { (at.0, at.1 - drop) };
            backend.draw_text(text, &style, units(corner))
        }
    };
    result.expect("a string takes everything");
}

fn units((x, y): Point) -> (i32, i32) {
    (px(x * UNITS), px(y * UNITS))
}

fn paint(color: Color, width: f64) -> ShapeStyle {
    ShapeStyle { color: color.plotters(), filled: false, stroke_width: px(width * UNITS).unsigned_abs() }
}

impl Color {
    /// As plotters has it.
    pub(crate) fn plotters(self) -> RGBAColor {
        let (r, g, b) = self.rgb;
        plotters::style::RGBColor(r, g, b).mix(self.alpha)
    }
}

/// Appends bytes as base64 with padding.
fn base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (word >> (18 - 6 * place) & 63) as usize;
            out.push(if place <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_the_standard_one() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            let mut out = String::new();
            super::base64(plain.as_bytes(), &mut out);
            assert_eq!(out, coded);
        }
    }
}
