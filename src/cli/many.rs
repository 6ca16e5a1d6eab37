//! What commands that make many runs share: threads, how far they are, and their folders.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::{Failure, terminal};
use crate::check::metrics::thousands;
use crate::report::chart::Chart;

/// How many threads, unless told.
pub(super) fn threads(wanted: Option<std::num::NonZeroUsize>) -> usize {
    wanted
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), std::num::NonZero::get)
}

/// One line on a terminal that says how far it is.
pub(super) struct Progress {
    shown: bool,
    written: bool,
    next: Instant,
}

#[allow(clippy::disallowed_methods, reason = "how often a line is drawn again, never part of a result")]
impl Progress {
    pub(super) fn new(quiet: bool) -> Progress {
        Progress { shown: !quiet && std::io::stderr().is_terminal(), written: false, next: Instant::now() }
    }

    /// Draws the line, if it is time.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.shown && Instant::now() >= self.next {
            terminal::complain(&format!("\r\x1b[K{}", line()));
            self.written = true;
            self.next = Instant::now() + Duration::from_millis(100);
        }
    }

    /// So many runs of so many.
    pub(super) fn runs(&mut self, done: u64, of: u64) {
        self.say(|| format!("{} of {} runs", thousands(done), thousands(of)));
    }
}

/// The line goes away.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.written {
            terminal::complain("\r\x1b[K");
        }
    }
}

/// Where a command's report goes: where it is told to, or `reports/NAME-COMMAND`; `None` when none is wanted. The folder is
/// made at once, so that a path that can't be written to costs no time.
pub(super) fn folder(out: Option<&Path>, none: bool, name: &str, command: &str) -> Result<Option<PathBuf>, Failure> {
    if none {
        return Ok(None);
    }
    let folder = out.map_or_else(|| Path::new("reports").join(format!("{name}-{command}")), Path::to_owned);
    std::fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
    Ok(Some(folder))
}

/// Writes files into a folder.
pub(super) fn write(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), Failure> {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(())
}

/// The result on stdout, as `--json` and `--quiet` want it: an object with the report's folder, or a text with its page.
pub(super) fn say(
    (json, quiet): (bool, bool),
    folder: Option<&Path>,
    object: impl FnOnce(Option<&str>) -> Json,
    text: impl FnOnce(Option<&str>) -> String,
) -> Result<(), Failure> {
    if json {
        let report = folder.map(|folder| folder.display().to_string());
        return terminal::print(&format!("{:#}\n", object(report.as_deref())));
    }
    if quiet {
        return Ok(());
    }
    let page = folder.map(|folder| folder.join("index.html").display().to_string());
    terminal::print(&text(page.as_deref()))
}

/// Charts as files.
pub(super) fn charts(charts: &[Chart]) -> Vec<(String, Vec<u8>)> {
    let files = charts.iter().flat_map(|chart| {
        [(format!("{}.svg", chart.name), chart.svg().into_bytes()), (format!("{}.png", chart.name), chart.png())]
    });
    files.collect()
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Message(format!("can't write the report to {}: {error} (--no-report writes none)", path.display()))
}
