//! A canvas as PNG, through plotters' bitmap backend: drawn at twice the size and averaged, which smooths every edge.

use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::ShapeStyle;

use super::canvas::{Anchor, Canvas, Point, Shape};
use super::px;
use super::text::Fonts;
use super::theme::{Color, WIDTH};

/// How many pixels are drawn, each way, for one of the picture.
const FINE: u32 = 2;

/// The drawing as a PNG file.
pub(crate) fn file(canvas: &Canvas) -> Vec<u8> {
    let (width, height) = (px(WIDTH).unsigned_abs(), px(canvas.height).unsigned_abs());
    let size = (width * FINE, height * FINE);
    let mut fine = vec![255u8; (size.0 * size.1 * 3) as usize];
    {
        let mut backend = BitMapBackend::with_buffer(&mut fine, size);
        for shape in &canvas.shapes {
            draw(&mut backend, &canvas.fonts, shape);
        }
        backend.present().expect("memory takes everything");
    }
    encode(&average(&fine, width, height), width, height)
}

fn draw(backend: &mut BitMapBackend<'_>, fonts: &Fonts, shape: &Shape) {
    match shape {
        Shape::Rect { from, to, fill } => {
            let (from, to) = (pixels(*from), pixels(*to));
            if from.0 < to.0 && from.1 < to.1 {
                let result = backend.draw_rect(from, to, &paint(*fill, 0.0), true);
                result.expect("memory takes everything");
            }
        }
        Shape::Line { points, color, width } => line(backend, points, *color, *width),
        Shape::Area { points, fill } => {
            let result = backend.fill_polygon(points.iter().map(|&point| pixels(point)), &paint(*fill, 0.0));
            result.expect("memory takes everything");
        }
        Shape::Dot { at, radius, fill } => {
            let radius = px(radius * f64::from(FINE)).unsigned_abs();
            let result = backend.draw_circle(pixels(*at), radius, &paint(*fill, 0.0), true);
            result.expect("memory takes everything");
        }
        Shape::Text { at, text, size, bold, upright, color, anchor } => {
            let (at, size) = ((at.0 * f64::from(FINE), at.1 * f64::from(FINE)), size * f64::from(FINE));
            let back = match anchor {
                Anchor::Left => 0.0,
                Anchor::Middle => fonts.width(text, size, *bold) / 2.0,
                Anchor::Right => fonts.width(text, size, *bold),
            };
            let start = if *upright { (-back, 0.0) } else { (at.0 - back, at.1) };
            let origin = (px(at.0), px(at.1));
            let [r, g, b] = [color.rgb.0, color.rgb.1, color.rgb.2];
            fonts.draw(text, size, *bold, start, |x, y, coverage| {
                let point = if *upright { (origin.0 + y, origin.1 - x) } else { (x, y) };
                let ink = plotters::style::RGBAColor(r, g, b, coverage * color.alpha);
                let result = backend.draw_pixel(point, plotters::style::Color::to_backend_color(&ink));
                result.expect("memory takes everything");
            });
        }
    }
}

/// Level and plumb pieces are rectangles, which are exact; plotters' own lines are for the others.
fn line(backend: &mut BitMapBackend<'_>, points: &[Point], color: Color, width: f64) {
    let half = width / 2.0;
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if x0 == x1 || y0 == y1 {
            let from = pixels((x0.min(x1) - half, y0.min(y1) - half));
            let to = pixels((x0.max(x1) + half, y0.max(y1) + half));
            let to = (to.0.max(from.0 + 1), to.1.max(from.1 + 1));
            backend.draw_rect(from, to, &paint(color, 0.0), true).expect("memory takes everything");
        } else {
            let result = backend.draw_line(pixels(pair[0]), pixels(pair[1]), &paint(color, width));
            result.expect("memory takes everything");
        }
    }
}

fn pixels((x, y): Point) -> (i32, i32) {
    (px(x * f64::from(FINE)), px(y * f64::from(FINE)))
}

fn paint(color: Color, width: f64) -> ShapeStyle {
    let stroke_width = px(width * f64::from(FINE)).unsigned_abs().max(1);
    ShapeStyle { color: color.plotters(), filled: true, stroke_width }
}

/// Each pixel is the mean of the finer ones that it covers.
fn average(fine: &[u8], width: u32, height: u32) -> Vec<u8> {
    let row = (width * FINE * 3) as usize;
    let mut out = Vec::with_capacity((width * height * 3) as usize);
    for rows in fine.chunks_exact(row * 2) {
        let (upper, lower) = rows.split_at(row);
        for (a, b) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            for channel in 0..3 {
                let sum = [a[channel], a[channel + 3], b[channel], b[channel + 3]].map(u16::from).iter().sum::<u16>();
                out.push(u8::try_from((sum + 2) / 4).expect("a mean of bytes is a byte"));
            }
        }
    }
    out
}

fn encode(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Default);
    encoder.set_filter(png::FilterType::NoFilter);
    let mut writer = encoder.write_header().expect("memory takes everything");
    writer.write_image_data(rgb).expect("the picture has its declared size");
    writer.finish().expect("memory takes everything");
    out
}

#[cfg(test)]
mod tests {
    use crate::report::sample::decode_png;

    #[test]
    fn a_picture_reads_back() {
        let mut canvas = super::Canvas::new(10.0);
        canvas.rect((0.0, 0.0), (600.0, 10.0), super::super::theme::BLUE);
        let (width, height, pixels) = decode_png(&super::file(&canvas));
        assert_eq!((width, height), (1200, 10));
        assert_eq!((&pixels[..3], &pixels[1199 * 3..1200 * 3]), (&[0, 0x72, 0xb2][..], &[255, 255, 255][..]));
    }
}
