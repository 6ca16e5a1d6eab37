//! Where the main thread lost time: the latency monitor (`latency.c`), and how long commands took.

mod advice;
pub(crate) mod histogram;

use std::collections::BTreeMap;

pub(crate) use advice::report;

use super::Server;

/// Samples that an event keeps (`LATENCY_TS_LEN`).
const KEPT: usize = 160;
/// Columns of a graph.
const COLUMNS: usize = 80;
/// Rows of a graph, and how full a cell of it is.
const ROWS: usize = 4;
const FILL: &[u8] = b"_o#";

/// One sample: the worst of its second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Seconds since 1970.
    pub time: u64,
    /// Milliseconds.
    pub ms: u64,
}

/// Samples of one event, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    samples: std::collections::VecDeque<Sample>,
    /// The worst ever.
    pub max: u64,
}

impl Series {
    /// `latencyAddSample`
    fn add(&mut self, time: u64, ms: u64) {
        self.max = self.max.max(ms);
        if let Some(last) = self.samples.back_mut().filter(|last| last.time == time) {
            last.ms = last.ms.max(ms);
            return;
        }
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { time, ms });
    }

    /// All samples, the oldest first.
    pub(crate) fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + '_ {
        self.samples.iter().copied()
    }

    /// The newest.
    #[must_use]
    pub(crate) fn latest(&self) -> Sample {
        self.samples.back().copied().unwrap_or(Sample { time: 0, ms: 0 })
    }

    /// The samples as people see them (`latencyCommandGenSparkeline`).
    #[must_use]
    pub(crate) fn graph(&self, event: &str, now: u64) -> String {
        let (least, most) = self.bounds();
        let mut text = format!("{event} - high {most} ms, low {least} ms (all time high {} ms)\n", self.max);
        text.push_str(&"-".repeat(COLUMNS));
        text.push('\n');
        let points: Vec<(u64, String)> = self.samples().map(|sample| (sample.ms, age(now, sample.time))).collect();
        for (part, columns) in points.chunks(COLUMNS).enumerate() {
            if part > 0 {
                text.push('\n');
            }
            draw(columns, least, most, &mut text);
        }
        text
    }

    fn bounds(&self) -> (u64, u64) {
        let ms = || self.samples().map(|sample| sample.ms);
        (ms().min().unwrap_or(0), ms().max().unwrap_or(0))
    }
}

/// How long ago, in the largest unit.
fn age(now: u64, then: u64) -> String {
    match now.saturating_sub(then) {
        secs @ 0..60 => format!("{secs}s"),
        secs @ 60..3_600 => format!("{}m", secs / 60),
        secs @ 3_600..86_400 => format!("{}h", secs / 3_600),
        secs => format!("{}d", secs / 86_400),
    }
}

/// Columns of a graph, with their labels written downwards below them (`sparklineRenderRange`).
fn draw(columns: &[(u64, String)], least: u64, most: u64, text: &mut String) {
    let steps = FILL.len() * ROWS;
    let range = (most - least).max(1);
    let step = |ms: u64| {
        let step = u128::from(ms - least) * steps as u128 / u128::from(range);
        usize::try_from(step).unwrap_or(steps).min(steps - 1)
    };
    for row in (0..ROWS).rev() {
        let cell = |(ms, _): &(u64, String)| match step(*ms).checked_sub(row * FILL.len()) {
            None => ' ',
            Some(full) if full < FILL.len() => char::from(FILL[full]),
            Some(_) => '|',
        };
        text.extend(columns.iter().map(cell));
        text.push('\n');
    }
    text.push_str(&" ".repeat(columns.len()));
    text.push('\n');
    let longest = columns.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
    for at in 0..longest {
        text.extend(columns.iter().map(|(_, label)| label.as_bytes().get(at).map_or(' ', |&byte| char::from(byte))));
        text.push('\n');
    }
}

/// All events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency(BTreeMap<&'static str, Series>);

impl Latency {
    /// An event's samples.
    #[must_use]
    pub(crate) fn of(&self, event: &[u8]) -> Option<(&'static str, &Series)> {
        self.0.iter().find(|(name, _)| name.as_bytes() == event).map(|(name, series)| (*name, series))
    }

    /// All events in the order of names.
    pub(crate) fn events(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.0.iter().map(|(name, series)| (*name, series))
    }

    /// Forgets an event, whatever the name's case, or all of them; how many that were.
    pub(crate) fn reset(&mut self, event: Option<&[u8]>) -> usize {
        let before = self.0.len();
        self.0.retain(|name, _| event.is_some_and(|event| !name.as_bytes().eq_ignore_ascii_case(event)));
        before - self.0.len()
    }
}

impl Server {
    /// The main thread was kept for so many milliseconds: a sample, if that is long enough
    /// (`latencyAddSampleIfNeeded`).
    pub(crate) fn latency_sample(&mut self, event: &'static str, ms: u64) {
        let threshold = self.config.latency_monitor_threshold;
        if threshold > 0 && ms >= threshold {
            self.latency.0.entry(event).or_default().add(self.now.unix.secs(), ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_has_rows_and_labels() {
        let mut series = Series::default();
        for (time, ms) in [(100, 10), (100, 30), (101, 20), (160, 40)] {
            series.add(time, ms);
        }
        let graph = series.graph("command", 165);
        let lines: Vec<&str> = graph.lines().collect();
        assert_eq!(lines[0], "command - high 40 ms, low 20 ms (all time high 40 ms)");
        assert_eq!(&lines[2..], ["  #", "_ |", "| |", "|_|", "   ", "115", "mms"]);
    }
}
