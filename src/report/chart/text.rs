//! The bundled font: how wide a text is, and its pixels. Never the system's fonts.

use ab_glyph::{Font as _, FontRef, Glyph, PxScale, point};

/// DejaVu Sans, a subset: Latin, arrows, a few symbols.
pub(crate) const REGULAR: &[u8] = include_bytes!("font/DejaVuSans.ttf");
/// Its bold face.
pub(crate) const BOLD: &[u8] = include_bytes!("font/DejaVuSans-Bold.ttf");
/// Its name in SVG.
pub(crate) const FAMILY: &str = "DejaVu Sans";

/// Both faces, ready to measure and draw.
#[derive(Debug)]
pub(crate) struct Fonts {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

impl Fonts {
    /// The bundled ones.
    pub(crate) fn bundled() -> Fonts {
        let face = |bytes| FontRef::try_from_slice(bytes).expect("the bundled font is a font");
        Fonts { regular: face(REGULAR), bold: face(BOLD) }
    }

    fn face(&self, bold: bool) -> &FontRef<'static> {
        if bold { &self.bold } else { &self.regular }
    }

    /// The width of a text in pixels, at `size` pixels to the em.
    pub(crate) fn width(&self, text: &str, size: f64, bold: bool) -> f64 {
        let face = self.face(bold);
        let units: f32 = text.chars().map(|c| face.h_advance_unscaled(face.glyph_id(c))).sum();
        f64::from(units) * size / Self::em(face)
    }

    /// The text, shortened with an ellipsis so that it is at most `room` pixels wide; empty when nothing fits.
    pub(crate) fn fit(&self, text: &str, size: f64, bold: bool, room: f64) -> String {
        if self.width(text, size, bold) <= room {
            return text.to_owned();
        }
        let mut short: Vec<char> = text.chars().collect();
        while short.pop().is_some() {
            let candidate: String = short.iter().collect::<String>().trim_end().to_owned() + "…";
            if short.len() > 1 && self.width(&candidate, size, bold) <= room {
                return candidate;
            }
        }
        String::new()
    }

    /// The same, but the end of the text is kept, where the numbers of numbered names are.
    pub(crate) fn fit_middle(&self, text: &str, size: f64, bold: bool, room: f64) -> String {
        if self.width(text, size, bold) <= room {
            return text.to_owned();
        }
        let chars: Vec<char> = text.chars().collect();
        let tail: String = chars[chars.len().saturating_sub(3)..].iter().collect();
        let head: String = chars[..chars.len().saturating_sub(3)].iter().collect();
        self.fit(&head, size, bold, room - self.width(&tail, size, bold)) + &tail
    }

    /// Calls `pixel` with the place and coverage of every pixel of a text whose baseline begins at `at`.
    pub(crate) fn draw(&self, text: &str, size: f64, bold: bool, at: (f64, f64), mut pixel: impl FnMut(i32, i32, f64)) {
        let face = self.face(bold);
        let per_unit = size / Self::em(face);
        let height = per_unit * f64::from(face.height_unscaled());
        let scale = PxScale::from(single(height));
        let mut x = at.0;
        for c in text.chars() {
            let id = face.glyph_id(c);
            let glyph = Glyph { id, scale, position: point(single(x), single(at.1)) };
            x += f64::from(face.h_advance_unscaled(id)) * per_unit;
            let Some(outline) = face.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            let (left, top) = (super::px(f64::from(corner.x)), super::px(f64::from(corner.y)));
            outline.draw(|dx, dy, coverage| {
                let near = |n: u32| i32::try_from(n).expect("a glyph is small");
                pixel(left + near(dx), top + near(dy), f64::from(coverage.clamp(0.0, 1.0)));
            });
        }
    }

    fn em(face: &FontRef<'static>) -> f64 {
        f64::from(face.units_per_em().expect("the bundled font has an em"))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "pixels: small numbers, for display only")]
fn single(n: f64) -> f32 {
    n as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_that_charts_use_is_in_the_font() {
        let fonts = Fonts::bundled();
        for c in "abcXYZ019 äé→←↑↓–—·…×±µ≤≥▲▼●◆◇○★✔✘■□ [](){}<>|_%#@:;,.!?\"'/\\+-=*&$^~".chars()
        {
            for bold in [false, true] {
                assert_ne!(fonts.face(bold).glyph_id(c).0, 0, "{c} bold {bold}");
            }
        }
    }

    #[test]
    fn long_text_is_shortened_to_its_room() {
        let fonts = Fonts::bundled();
        let text = "partition {m1 | r2 r3 s2 s3}";
        let short = fonts.fit(text, 12.0, false, 80.0);
        assert!(short.ends_with('…') && fonts.width(&short, 12.0, false) <= 80.0, "{short}");
        assert_eq!(fonts.fit(text, 12.0, false, 1000.0), text);
        assert_eq!(fonts.fit(text, 12.0, false, 3.0), "");
    }
}
