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
    lean(body.trim_end().trim_end_matches("</svg>"))
}

/// The same drawing in fewer bytes: lines of one look that follow each other (a hatching, a dashed line) become one path, and
/// what is said anyway when nothing is said is left out.
fn lean(body: &str) -> String {
    let mut out = String::with_capacity(body.len() / 2);
    let mut lines: Vec<[i32; 4]> = Vec::new();
    let mut look = "";
    for row in body.lines() {
        let line = row.strip_prefix("<line ").and_then(|rest| rest.split_once(" x1="));
        let ends = line.and_then(|(head, ends)| Some((head, coordinates(ends)?)));
        if ends.is_none_or(|(head, _)| head != look) {
            stroke(&mut out, look, &lines);
            lines.clear();
        }
        match ends {
            Some((head, ends)) => {
                look = head;
                lines.push(ends);
            }
            None => plain(&mut out, row),
        }
    }
    stroke(&mut out, look, &lines);
    out
}

/// The four numbers of `"1" y1="2" x2="3" y2="4"/>`.
fn coordinates(ends: &str) -> Option<[i32; 4]> {
    let numbers: Vec<i32> = ends.split('"').skip(1).step_by(2).map_while(|number| number.parse().ok()).collect();
    numbers.try_into().ok()
}

fn stroke(out: &mut String, look: &str, lines: &[[i32; 4]]) {
    let [x1, y1, x2, y2] = match lines {
        [] => return,
        &[line] | &[line, ..] => line,
    };
    if lines.len() == 1 {
        return plain(out, &format!("<line {look} x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"));
    }
    let mut path = format!("M{x1} {y1}");
    let mut pen = (x1, y1);
    for &[x1, y1, x2, y2] in lines {
        let mut step = |letter: char, x: i32, y: i32| {
            let (dx, dy) = (x - pen.0, y - pen.1);
            pen = (x, y);
            if letter == 'l' || (dx, dy) != (0, 0) {
                path.push_str(&format!("{letter}{dx}{}{dy}", if dy < 0 { "" } else { " " }));
            }
        };
        step('m', x1, y1);
        step('l', x2, y2);
    }
    plain(out, &format!("<path {look} d=\"{path}\" fill=\"none\"/>"));
}

/// A row without what holds by itself.
fn plain(out: &mut String, row: &str) {
    let mut row = row.to_owned();
    for said in
        [" opacity=\"1\"", " text-anchor=\"start\"", " stroke=\"none\" stroke-width=\"0\"", " font-weight=\"normal\""]
    {
        row = row.replacen(said, "", 1);
    }
    out.push_str(&row);
    out.push('\n');
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
    fn lines_of_one_look_are_one_path() {
        let line = |x: i32| format!("<line opacity=\"1\" stroke=\"#000000\" x1=\"{x}\" y1=\"9\" x2=\"5\" y2=\"7\"/>\n");
        let lean = super::lean(&(line(1) + &line(2) + "<rect opacity=\"1\"/>\n" + &line(3)));
        let path = "<path stroke=\"#000000\" d=\"M1 9l4-2m-3 2l3-2\" fill=\"none\"/>\n<rect/>\n";
        assert_eq!(lean, format!("{path}{}", line(3).replace(" opacity=\"1\"", "")));
    }

    #[test]
    fn base64_is_the_standard_one() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            let mut out = String::new();
            super::base64(plain.as_bytes(), &mut out);
            assert_eq!(out, coded);
        }
    }
}
