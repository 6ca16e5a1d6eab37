//! The command line: the only room that reads and writes files and knows a terminal.

mod amount;
mod args;
mod bisect;
mod check_history;
mod compare;
#[cfg(all(feature = "tcp", unix))]
mod ctl;
mod list;
mod load;
mod many;
mod new;
mod run;
#[cfg(all(feature = "tcp", unix))]
mod serve;
mod shell;
mod shrink;
mod sweep;
mod terminal;
mod test;
mod validate;

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// How a command ended, as an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All held.
    Held = 0,
    /// An expectation failed.
    Failed = 1,
    /// The scenario or the arguments are wrong.
    Wrong = 2,
    /// A bug in splitbrain.
    Bug = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(match status {
            Status::Held => 0,
            Status::Failed => 1,
            Status::Wrong => 2,
            Status::Bug => 3,
        })
    }
}

/// Why a command could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    /// A file can't be read or written, an argument doesn't fit.
    Message(String),
    /// Already said on stderr.
    Said,
}

type Outcome = Result<Status, Failure>;

/// The scenario and seed that are being run, for the message of a panic.
static RUNNING: Mutex<Option<String>> = Mutex::new(None);

/// Remembers what to name if splitbrain breaks from here on.
fn running(what: Option<String>) {
    *RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = what;
}

/// Set while a panic is only one run's: it becomes a row, and is said once.
static QUIET: AtomicU8 = AtomicU8::new(0);

/// From here on (or no longer) only the first panic is said: others are counted by whoever catches them.
fn quiet_panics(on: bool) {
    QUIET.store(u8::from(on), Ordering::Relaxed);
}

/// Whether a panic is to be said now.
fn speaks() -> bool {
    QUIET.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| (level == 1).then_some(2)) != Err(2)
}

/// Runs one command line and returns the exit status.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return refuse(error),
    };
    panic::set_hook(Box::new(|info| {
        if speaks() {
            terminal::complain(&bug_report(&info.to_string()));
        }
    }));
    let outcome = panic::catch_unwind(|| dispatch(cli.command));
    match outcome {
        Ok(Ok(status)) => status.into(),
        Ok(Err(Failure::Said)) => Status::Wrong.into(),
        Ok(Err(Failure::Message(message))) => {
            terminal::complain(&format!("error: {message}\n"));
            Status::Wrong.into()
        }
        Err(_) => Status::Bug.into(),
    }
}

fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Bisect(args) => bisect::bisect(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Shrink(args) => shrink::shrink(&args),
        Command::Test(args) => test::test(&args),
        Command::Sweep(args) => sweep::sweep(&args),
        Command::Merge(args) => sweep::merge(&args),
        #[cfg(all(feature = "tcp", unix))]
        Command::Serve(args) => serve::serve(&args),
        #[cfg(all(feature = "tcp", unix))]
        Command::Ctl(args) => ctl::ctl(&args),
        Command::CheckHistory(args) => check_history::check_history(&args),
        Command::Validate(args) => validate::validate(&args),
        Command::Schema => list::schema(),
        Command::Metrics(args) => list::metrics(&args),
        Command::New(args) => new::new(&args),
        Command::Completions(args) => list::completions(&args),
    }
}

/// What a panic says: the broken invariant, and what to send along.
fn bug_report(panic: &str) -> String {
    let running = RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let during = running.as_ref().map_or(String::new(), |what| format!("while running {what}\n"));
    format!(
        "splitbrain is broken: {panic}\n{during}\
         This is a bug in splitbrain, not in the scenario. Please report it, with the text above and the scenario file.\n"
    )
}

/// clap's own message, and the list of commands where one is misspelt.
fn refuse(mut error: clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::InvalidSubcommand {
        let names: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        let said = vec![format!("the commands are {}", names.join(", ")).into()];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(said));
    }
    // Help and the version are results; a reader that has gone doesn't matter.
    let _ = error.print();
    if error.use_stderr() { Status::Wrong.into() } else { Status::Held.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_names_what_was_running() {
        running(Some("f.toml with seed 7".to_owned()));
        let text = bug_report("offset went backwards");
        running(None);
        assert!(text.contains("offset went backwards") && text.contains("while running f.toml with seed 7"), "{text}");
        assert!(text.contains("report it"), "{text}");
    }
}
