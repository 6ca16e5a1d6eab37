//! Scenario files from disk, and what is said about them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::terminal::{complain, stderr};
use super::{Failure, terminal};
use crate::scenario::{self, Input, Loaded, Report, Variants};

/// Files beyond this are no scenarios.
const SIZE_MAX: u64 = 16 << 20;

/// The text of a file, or of stdin when it is called `-`.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    text_of(path, "a scenario file", SIZE_MAX)
}

/// The same for a file of another kind, of at most so many bytes.
pub(super) fn text_of(path: &Path, what: &str, size_max: u64) -> Result<String, Failure> {
    let message = |error: &std::io::Error| Failure::Message(format!("can't read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(size_max + 1).read_to_end(&mut bytes).map_err(|error| message(&error))?;
    } else {
        let file = std::fs::File::open(path).map_err(|error| message(&error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(Failure::Message(format!("{} is a folder, {what} is needed", path.display())));
        }
        file.take(size_max + 1).read_to_end(&mut bytes).map_err(|error| message(&error))?;
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > size_max {
        return Err(Failure::Message(format!("{} is larger than {} MB", path.display(), size_max >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Message(format!("{} is not UTF-8 text (byte {at})", path.display()))
    })
}

/// A scenario file that has been read: it can be made a scenario several times, with different changes.
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads it.
    pub(super) fn read(path: &Path) -> Result<Source, Failure> {
        Ok(Source { path: path.to_owned(), text: text(path)? })
    }

    /// Checks it; configuration files are found beside it.
    pub(super) fn check(&self, sets: &[String]) -> Result<Loaded, Box<Report>> {
        self.with_input(sets, scenario::load)
    }

    /// Checks every variant of it.
    pub(super) fn check_variants(&self, sets: &[String]) -> Result<Variants, Box<Report>> {
        self.with_input(sets, scenario::load_variants)
    }

    fn with_input<T>(&self, sets: &[String], take: impl FnOnce(Input<'_>) -> T) -> T {
        let stdin = self.path == Path::new("-");
        let name = if stdin { "stdin".to_owned() } else { self.path.display().to_string() };
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let read_file = |name: &str| std::fs::read(folder.join(name)).map_err(|error| error.to_string());
        take(Input { name: &name, text: &self.text, sets, read_file: &read_file })
    }

    /// The same where it must be right. Warnings go to stderr unless `quiet`; errors go there and fail.
    pub(super) fn load(&self, sets: &[String], quiet: bool) -> Result<Loaded, Failure> {
        match self.check(sets) {
            Ok(loaded) => {
                if !quiet {
                    show(&loaded.report);
                }
                Ok(loaded)
            }
            Err(report) => {
                show(&report);
                Err(Failure::Said)
            }
        }
    }
}

/// Reads and checks a scenario.
pub(super) fn check(path: &Path, sets: &[String]) -> Result<Result<Loaded, Box<Report>>, Failure> {
    Ok(Source::read(path)?.check(sets))
}

/// Reads a scenario that must be right. Warnings go to stderr unless `quiet`; errors go there and fail.
pub(super) fn scenario(path: &Path, sets: &[String], quiet: bool) -> Result<Loaded, Failure> {
    Source::read(path)?.load(sets, quiet)
}

/// Reads a scenario in all its variants, which must be right. Warnings go to stderr unless `quiet`; errors go there and fail.
pub(super) fn variants(path: &Path, sets: &[String], quiet: bool) -> Result<Variants, Failure> {
    match Source::read(path)?.check_variants(sets) {
        Ok(variants) => {
            if !quiet {
                show(&variants.report);
            }
            Ok(variants)
        }
        Err(report) => {
            show(&report);
            Err(Failure::Said)
        }
    }
}

/// Renders problems to stderr.
pub(super) fn show(report: &Report) {
    let terminal::Reader { colour, width, .. } = stderr();
    complain(&report.render(width, colour));
}
