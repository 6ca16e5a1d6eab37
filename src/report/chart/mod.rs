//! Charts: each answers one question about a run, drawn once and written as SVG and as PNG.

mod axis;
mod canvas;
mod clients;
mod election;
mod frame;
pub mod kit;
mod linearizable;
mod locks;
mod png;
mod replication;
mod svg;
mod text;
mod theme;

use super::Run;
use super::stage::Stage;
use crate::check::linearizable::Contradiction;
use crate::trace::Event;
use canvas::Canvas;

/// A finished chart.
#[derive(Debug)]
pub struct Chart {
    /// Its file name without an ending.
    pub name: String,
    /// The question that it answers.
    pub title: String,
    /// What it shows, in a sentence, for those who can't see it.
    pub alt: String,
    canvas: Canvas,
}

impl Chart {
    /// As an SVG file that brings its font along.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::file(&self.canvas, &self.title)
    }

    /// As an SVG element for a page that contains [`font_style`].
    #[must_use]
    pub fn inline_svg(&self) -> String {
        svg::inline(&self.canvas, &self.title)
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
    let charts =
        [election::chart, locks::chart, replication::chart, clients::chart].map(|chart| chart(run, stage, events));
    let contradiction = run.findings.contradiction.as_ref();
    let contradiction = contradiction.map(|found| linearizable::chart(&frame::which_run(run, stage), found));
    charts.into_iter().chain([contradiction]).flatten().collect()
}

/// The chart of a contradiction in a history from elsewhere.
#[must_use]
pub fn contradiction(subtitle: &str, found: &Contradiction) -> Chart {
    linearizable::chart(subtitle, found)
}

/// A coordinate as a whole number.
#[allow(clippy::cast_possible_truncation, reason = "coordinates of a drawing are small; anything else is clamped")]
fn px(n: f64) -> i32 {
    libm::round(n.clamp(-1e6, 1e6)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn charts(events: &[Event]) -> Vec<Chart> {
        all(&sample::run("sample", events), &Stage::of(events), events)
    }

    /// What is written in a chart, in order, and how much is drawn: a change of either is a change that people see.
    fn outline(chart: &Chart) -> String {
        let svg = chart.inline_svg();
        let body = svg.split_once("</title>").expect("every chart has a title").1;
        let words = body.split("<text").skip(1).filter_map(|part| part.split_once('>')?.1.split_once("</text>"));
        let words: Vec<&str> = words.map(|(word, _)| word.trim()).collect();
        let count = |tag: &str| body.matches(&format!("<{tag} ")).count();
        let drawn =
            ["rect", "line", "path", "polyline", "polygon", "circle"].map(|tag| format!("{tag} {}", count(tag)));
        let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(svg.as_bytes());
        format!("{}\n{}\n{:?}\n{}\n{sum:08x}", chart.title, chart.alt, chart.size(), drawn.join(", "))
            + "\n\n"
            + &words.join("\n")
    }

    fn is_inside(chart: &Chart) {
        for shape in &chart.canvas.shapes {
            for (x, y) in shape.corners(&chart.canvas.fonts) {
                let inside =
                    (-1.0..=theme::WIDTH + 1.0).contains(&x) && (-1.0..=chart.canvas.height + 1.0).contains(&y);
                assert!(inside, "{}: {shape:?} reaches {x},{y}", chart.name);
            }
        }
    }

    #[test]
    fn what_the_samples_show() {
        for (name, events) in
            [("crash", sample::crash()), ("isolated", sample::isolated()), ("chaos", sample::chaos(20_000))]
        {
            for chart in charts(&events) {
                insta::assert_snapshot!(format!("{name}_{}", chart.name), outline(&chart));
                keep(&format!("{name}_{}", chart.name), "png", &chart.png());
            }
        }
    }

    #[test]
    fn the_same_trace_makes_the_same_bytes_and_whole_pictures() {
        let events = sample::crash();
        let run = sample::run("sample", &events);
        let (first, second) = (sample::files(&run, &events), sample::files(&run, &events));
        assert_eq!(first, second);
        for chart in charts(&events) {
            let image = sample::decode_png(&chart.png());
            assert_eq!((image.0, image.1), chart.size(), "{}", chart.name);
            let svg = chart.svg();
            assert_eq!(svg.matches("<svg").count(), 1, "{}", chart.name);
            assert!(svg.ends_with("</svg>\n") && svg.contains("@font-face"), "{}", chart.name);
        }
    }

    #[test]
    fn nothing_is_drawn_outside_and_names_are_escaped() {
        for chart in charts(&sample::chaos(20_000)) {
            is_inside(&chart);
            assert!(!chart.svg().contains("cache<&>"), "{}", chart.name);
        }
    }

    #[test]
    fn charts_without_data_are_left_out() {
        let events: Vec<Event> = sample::crash()
            .into_iter()
            .filter(|event| matches!(event.kind, crate::trace::Kind::World(_) | crate::trace::Kind::Server(_)))
            .collect();
        let names: Vec<String> = charts(&events).into_iter().map(|chart| chart.name).collect();
        assert_eq!(names, ["replication"]);
        let run = sample::run("sample", &events);
        assert!(all(&run, &Stage::of(&[]), &[]).is_empty());
        assert!(sample::files(&run, &[]).iter().any(|(name, _)| name == "index.html"));
    }

    #[test]
    fn a_large_trace_makes_a_small_chart() {
        for chart in charts(&sample::chaos(100_000)) {
            let size = chart.inline_svg().len();
            assert!(size < 600_000, "{}: {size} bytes", chart.name);
        }
    }

    #[test]
    fn what_the_kit_shows() {
        for chart in kit::samples() {
            let snapshot = outline(&chart);
            insta::assert_snapshot!(chart.name.clone(), snapshot);
            assert!(!chart.svg().contains("<&>"), "{}", chart.name);
            is_inside(&chart);
            keep(&chart.name, "png", &chart.png());
        }
    }

    /// With `UPDATE=1` what the tests draw is kept where people can look at it.
    #[allow(clippy::disallowed_methods, reason = "asks for files to look at, nothing else depends on it")]
    fn keep(name: &str, ending: &str, bytes: &[u8]) {
        if std::env::var("UPDATE").is_err() {
            return;
        }
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/charts");
        std::fs::create_dir_all(&folder).expect("target is writable");
        std::fs::write(folder.join(format!("{name}.{ending}")), bytes).expect("target is writable");
    }
}
