//! How far a sweep is: a bar where stderr is a terminal, a line now and then where it was asked for.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::super::terminal;
use crate::check::metrics::thousands;

/// A line is written so often.
const EVERY: Duration = Duration::from_secs(10);

/// Watches a sweep.
pub(super) struct Progress {
    total: u64,
    done: u64,
    before: u64,
    failed: u64,
    began: Instant,
    said: Instant,
    show: Show,
}

enum Show {
    Nothing,
    Lines,
    #[cfg(feature = "sweep")]
    Bar(indicatif::ProgressBar),
}

#[allow(clippy::disallowed_methods, reason = "how fast a sweep goes is said beside its result, never part of it")]
fn now() -> Instant {
    Instant::now()
}

impl Progress {
    /// For so many runs, of which some were made `before`.
    pub(super) fn new(total: u64, before: u64, quiet: bool, lines: bool) -> Progress {
        let show = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Show::Nothing,
            (false, true) => bar(total, before),
            (false, false) if lines => Show::Lines,
            (false, false) => Show::Nothing,
        };
        Progress { total, done: before, before, failed: 0, began: now(), said: now(), show }
    }

    /// One more.
    pub(super) fn step(&mut self, passed: bool) {
        self.done += 1;
        self.failed += u64::from(!passed);
        match &self.show {
            Show::Nothing => {}
            Show::Lines => {
                if self.said.elapsed() >= EVERY {
                    self.said = now();
                    terminal::complain(&self.line());
                }
            }
            #[cfg(feature = "sweep")]
            Show::Bar(bar) => {
                if !passed {
                    bar.set_message(format!(", {} failed", thousands(self.failed)));
                }
                bar.inc(1);
            }
        }
    }

    fn line(&self) -> String {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let fresh = self.done - self.before;
        let left = (u128::from(self.total - self.done) * u128::from(passed)).checked_div(u128::from(fresh));
        format!(
            "{} of {} runs, {} runs/s, {} s left, {} failed\n",
            thousands(self.done),
            thousands(self.total),
            thousands(fresh * 1_000 / passed),
            left.map_or("?".to_owned(), |ms| ms.div_ceil(1_000).to_string()),
            thousands(self.failed)
        )
    }

    /// The end: the bar goes away.
    pub(super) fn finish(self) {
        match self.show {
            Show::Nothing | Show::Lines => {}
            #[cfg(feature = "sweep")]
            Show::Bar(bar) => bar.finish_and_clear(),
        }
    }
}

#[cfg(feature = "sweep")]
fn bar(total: u64, before: u64) -> Show {
    let style =
        indicatif::ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} runs, {per_sec}, {eta} left{msg}");
    let bar = indicatif::ProgressBar::new(total).with_position(before);
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    bar.reset_eta();
    Show::Bar(bar)
}

#[cfg(not(feature = "sweep"))]
fn bar(_total: u64, _before: u64) -> Show {
    Show::Lines
}
