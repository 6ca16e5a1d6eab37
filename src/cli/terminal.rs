//! Where text goes: stdout for results, stderr for the rest; a reader that went away is no error.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Failure;

/// Columns where the terminal doesn't say.
const WIDTH: usize = 100;
/// Rows where the terminal doesn't say.
const HEIGHT: usize = 50;

/// One of the two streams, with what is known of its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    /// Whether it likes colours.
    pub(super) colour: bool,
    /// Its columns.
    pub(super) width: usize,
    /// Its rows.
    pub(super) height: usize,
}

#[allow(clippy::disallowed_methods, reason = "only how text looks depends on it, never a run")]
fn colours_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// A terminal has colours (unless told not to) and a size; anything else has neither.
fn reader(stream: &impl IsTerminal) -> Reader {
    if !stream.is_terminal() {
        return Reader { colour: false, width: WIDTH, height: usize::MAX };
    }
    let size = terminal_size::terminal_size();
    let (width, height) = size.map_or((WIDTH, HEIGHT), |(width, height)| (usize::from(width.0), usize::from(height.0)));
    Reader { colour: !colours_refused(), width: width.clamp(40, 160), height: height.max(10) }
}

/// Who reads stdout.
pub(super) fn stdout() -> Reader {
    reader(&io::stdout())
}

/// Who reads stderr.
pub(super) fn stderr() -> Reader {
    reader(&io::stderr())
}

/// Nobody reads stdout any more.
static READER_GONE: AtomicBool = AtomicBool::new(false);

/// Whether whoever read stdout has gone (`| head`). What they would have been told goes nowhere; the exit status stays.
pub(super) fn reader_is_gone() -> bool {
    READER_GONE.load(Ordering::Relaxed)
}

/// Writes a result.
///
/// # Errors
/// The stream is broken, other than by its reader's having gone.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    if reader_is_gone() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What came of writing to stdout.
///
/// # Errors
/// As [`print()`].
pub(super) fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            READER_GONE.store(true, Ordering::Relaxed);
            Ok(())
        }
        outcome => outcome.map_err(|error| Failure::Message(format!("can't write to stdout: {error}"))),
    }
}

/// Writes a diagnostic; when even that fails there is nobody to tell.
pub(super) fn complain(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
