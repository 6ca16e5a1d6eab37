//! Charts: each answers one question about a run, drawn once and written as SVG and as PNG.

mod axis;
mod canvas;
mod clients;
mod election;
mod frame;
mod png;
mod replication;
mod svg;
mod text;
mod theme;

use super::Run;
use super::stage::Stage;
use crate::trace::Event;
use canvas::Canvas;

/// A finished chart.
#[derive(Debug)]
pub struct Chart {
    /// Its file name without an ending.
    pub name: &'static str,
    /// The question that it answers.
    pub title: &'static str,
    /// What it shows, in a sentence, for those who can't see it.
    pub alt: String,
    canvas: Canvas,
}

impl Chart {
    /// As an SVG file that brings its font along.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::file(&self.canvas, self.title)
    }

    /// As an SVG element for a page that contains [`font_style`].
    #[must_use]
    pub fn inline_svg(&self) -> String {
        svg::inline(&self.canvas, self.title)
    }

    /// As a PNG file.
    #[must_use]
    pub fn png(&self) -> Vec<u8> {
        png::file(&self.canvas)
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (px(theme::WIDTH).unsigned_abs(), px(self.canvas.height).unsigned_abs())
    }
}

/// The `<style>` element with the charts' font, for pages that show them inline.
#[must_use]
pub fn font_style() -> String {
    svg::style()
}

/// Every chart that has something to show.
#[must_use]
pub fn all(run: &Run, stage: &Stage, events: &[Event]) -> Vec<Chart> {
    let charts = [election::chart, replication::chart, clients::chart].map(|chart| chart(run, stage, events));
    charts.into_iter().flatten().collect()
}

/// A coordinate as a whole number.
#[allow(clippy::cast_possible_truncation, reason = "coordinates of a drawing are small; anything else is clamped")]
fn px(n: f64) -> i32 {
    libm::round(n.clamp(-1e6, 1e6)) as i32
}

#[cfg(test)]
mod tests {
    use crate::report::sample;

    /// Writes the charts of the samples where people can look at them.
    #[test]
    #[ignore = "for looking at charts"]
    fn show() {
        for (name, events) in [("crash", sample::crash()), ("isolated", sample::isolated())] {
            let run = sample::run(name, &events);
            let folder = std::env::temp_dir().join(format!("report-{name}"));
            std::fs::create_dir_all(&folder).unwrap();
            for (file, bytes) in crate::report::files(&run, &events) {
                std::fs::write(folder.join(file), bytes).unwrap();
            }
        }
    }
}
