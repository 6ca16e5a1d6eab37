//! How long commands took: the cells of an HDR histogram with two significant digits, as INFO latencystats and LATENCY
//! HISTOGRAM show them.
//!
//! A call of less than a microsecond is not written down: it is what the number of calls has more than the cells. So the
//! commonest commands cost nothing here.

use std::collections::BTreeMap;

/// Values below this have a cell each; above, cells double their width with each power of two.
const EXACT: u64 = 256;
const HALF_BITS: u32 = 7;
/// The longest time that is told apart, in nanoseconds.
const MOST: u64 = 1_000_000_000;
/// The end of the last cell.
const END: u64 = 1 << 30;

/// The first and the last value of the cell that a value belongs to.
fn cell(value: u64) -> (u64, u64) {
    let shift = (64 - (value | (EXACT - 1)).leading_zeros()) - HALF_BITS - 1;
    let low = value >> shift << shift;
    (low, low + (1 << shift) - 1)
}

/// What was counted of one command.
#[derive(Clone, Debug, Default)]
struct Times {
    /// Calls by the first nanosecond of their cell; those of less than a microsecond are left out.
    cells: BTreeMap<u64, u64>,
    /// Calls while nothing was counted.
    skipped: u64,
}

/// Times of all commands, by their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histograms {
    times: BTreeMap<usize, Times>,
    /// Calls of each command when counting was switched off; `None`: it is on.
    off_since: Option<Vec<u64>>,
}

/// One command's calls: how many by the last nanosecond of their cell, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Histogram {
    cells: Vec<(u64, u64)>,
    /// All of them.
    pub total: u64,
}

impl Histograms {
    /// A call took this long; one of less than a microsecond needn't be told.
    #[cold]
    pub(crate) fn add(&mut self, command: usize, ns: u64) {
        if self.off_since.is_none() && ns >= 1_000 {
            let (low, _) = cell((ns / 1_000 * 1_000).min(MOST));
            *self.times.entry(command).or_default().cells.entry(low).or_default() += 1;
        }
    }

    /// Counting is switched on or off (`latency-tracking`), with the calls of each command so far.
    pub(crate) fn switch(&mut self, on: bool, calls: Vec<u64>) {
        match (&self.off_since, on) {
            (Some(since), true) => {
                for (command, (now, then)) in calls.iter().zip(since).enumerate().filter(|(_, (now, then))| now > then)
                {
                    self.times.entry(command).or_default().skipped += now - then;
                }
                self.off_since = None;
            }
            (None, false) => self.off_since = Some(calls),
            (Some(_), false) | (None, true) => {}
        }
    }

    /// Forgets all (CONFIG RESETSTAT).
    pub(crate) fn reset(&mut self) {
        self.times.clear();
        if let Some(since) = &mut self.off_since {
            since.fill(0);
        }
    }

    /// A command's calls, if any were counted.
    #[must_use]
    pub(crate) fn of(&self, command: usize, calls: u64) -> Option<Histogram> {
        let none = Times::default();
        let times = self.times.get(&command).unwrap_or(&none);
        let calls = self.off_since.as_ref().map_or(calls, |since| since[command]);
        let total = calls.saturating_sub(times.skipped);
        let long: u64 = times.cells.values().sum();
        // The shortest time that is told apart is a nanosecond.
        let short = (1, total.saturating_sub(long));
        let cells = times.cells.iter().map(|(&low, &count)| (cell(low).1, count));
        let cells = std::iter::once(short).chain(cells).filter(|(_, count)| *count > 0).collect();
        (total > 0).then_some(Histogram { cells, total })
    }
}

impl Histogram {
    /// The longest time, in nanoseconds, of this share of the shortest calls (`hdr_value_at_percentile`).
    #[must_use]
    pub(crate) fn at_percentile(&self, percent: f64) -> u64 {
        #[allow(clippy::cast_precision_loss, reason = "the real one computes with doubles")]
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the total")]
        let wanted = ((percent.min(100.0) / 100.0 * self.total as f64 + 0.5) as u64).max(1);
        let mut seen = 0;
        let found = self.cells.iter().find(|(_, count)| {
            seen += count;
            seen >= wanted
        });
        let high = found.or(self.cells.last()).map_or(0, |(high, _)| *high);
        if percent == 0.0 { cell(high).0 } else { high }
    }

    /// Calls up to 1, 2, 4, 8, 16, 33, 66 … microseconds, where their number has grown (`fillCommandCDF`).
    #[must_use]
    pub(crate) fn cumulative(&self) -> Vec<(u64, u64)> {
        let mut rows = Vec::new();
        let mut last = 0;
        let mut level = 1_024;
        while last < self.total {
            let high = if level < END { cell(level).1 } else { END - 1 };
            let count = self.cells.iter().filter(|(own, _)| *own <= high).map(|(_, count)| count).sum();
            if count > last {
                rows.push((high / 1_000, count));
            }
            last = count;
            level *= 2;
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_those_of_the_real_one() {
        assert_eq!(cell(1), (1, 1));
        assert_eq!(cell(255), (255, 255));
        assert_eq!(cell(1_000), (1_000, 1_003));
        assert_eq!(cell(1_024), (1_024, 1_031));
        assert_eq!(cell(MOST), (998_244_352, 1_002_438_655));
    }

    #[test]
    fn calls_are_counted_and_told() {
        let mut all = Histograms::default();
        for ns in [10, 1_000, 1_900, 33_000, 5_000_000_000] {
            all.add(3, ns);
        }
        let one = all.of(3, 5).expect("counted");
        assert_eq!(one.total, 5);
        assert_eq!(one.cumulative(), [(1, 3), (33, 4), (1_073_741, 5)]);
        assert_eq!(
            (one.at_percentile(50.0), one.at_percentile(0.0), one.at_percentile(100.0)),
            (1_003, 1, 1_002_438_655)
        );
        assert_eq!(all.of(4, 0), None);
        all.switch(false, vec![0, 0, 0, 5]);
        all.switch(true, vec![0, 0, 0, 9]);
        assert_eq!(all.of(3, 10).map(|one| one.total), Some(6));
    }
}
