//! The commands and their flags, a file for each command. The help texts are here and nowhere else.

mod bisect;
mod check_history;
mod compare;
#[cfg(all(feature = "tcp", unix))]
mod ctl;
mod list;
mod new;
mod run;
#[cfg(all(feature = "tcp", unix))]
mod serve;
mod shrink;
mod sweep;
mod test;
mod validate;

use std::num::NonZeroUsize;

use clap::{Args, Parser, Subcommand};

use crate::run::Limits;
use crate::time::Span;

pub(super) use bisect::BisectArgs;
pub(super) use check_history::CheckHistoryArgs;
pub(super) use compare::CompareArgs;
#[cfg(all(feature = "tcp", unix))]
pub(super) use ctl::{CtlArgs, For, OrderArgs, RestartAfter};
pub(super) use list::{CompletionsArgs, MetricsArgs};
pub(super) use new::NewArgs;
pub(super) use run::RunArgs;
#[cfg(all(feature = "tcp", unix))]
pub(super) use serve::ServeArgs;
pub(super) use shrink::ShrinkArgs;
pub(super) use sweep::{MergeArgs, SweepArgs};
pub(super) use test::TestArgs;
pub(super) use validate::ValidateArgs;

/// More threads than this are a mistake.
const THREADS_MAX: usize = 1_024;

/// How many threads.
fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|&number| number <= THREADS_MAX).and_then(NonZeroUsize::new);
    number.ok_or_else(|| format!("expected how many threads, from 1 to {THREADS_MAX}"))
}

/// A seed.
fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a seed: a whole number from 0 to {}", u64::MAX))
}

/// What `--help` says at its end.
const AFTER_HELP: &str = "\
Exit status: 0 all held; 1 an expectation failed; 2 the scenario or the arguments are wrong; 3 a bug in splitbrain.

Begin with:
  splitbrain new my.toml
  splitbrain run my.toml";

/// Breaks Redis deployments on schedule, the same way every time, and says what was lost and why.
#[derive(Debug, Parser)]
#[command(name = "splitbrain", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(subcommand_required = true, disable_help_subcommand = true)]
pub(super) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario once: a summary on the terminal and a report folder
    Run(RunArgs),
    /// Run two scenarios, or two variants of one, with the same seeds and say what differs
    Compare(CompareArgs),
    /// Find the value of a number at which a scenario begins to fail
    Bisect(BisectArgs),
    /// Run a scenario with many seeds on all cores: distributions, charts, the failing seeds
    Sweep(SweepArgs),
    /// Join the shards of a sweep into the whole
    Merge(MergeArgs),
    /// Find the smallest scenario that fails as a given one does, and write it as a file
    Shrink(ShrinkArgs),
    /// Run scenarios over their seeds and say which don't hold: for CI
    Test(TestArgs),
    /// Put a scenario's servers and sentinels on real sockets, for real clients
    #[cfg(all(feature = "tcp", unix))]
    Serve(ServeArgs),
    /// Break what is served, heal it, look at it
    #[cfg(all(feature = "tcp", unix))]
    Ctl(CtlArgs),
    /// Check a history from elsewhere for linearizability
    CheckHistory(CheckHistoryArgs),
    /// Check scenario files without running them
    Validate(ValidateArgs),
    /// Print the JSON schema of scenario files
    Schema,
    /// List the metrics that scenarios can expect
    Metrics(MetricsArgs),
    /// Write a commented scenario to start from
    New(NewArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
}

/// `--set`, wherever a scenario is read.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Change a field before the scenario is read, as in `network.latency=5ms` or `sentinel[0].monitor[0].quorum=3`
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub(super) set: Vec<String>,
}

/// What each run may cost, wherever something is run.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct LimitArgs {
    /// Give a run up, as failed, after so many events (those that leave no trace count too)
    #[arg(long, value_name = "N")]
    pub(super) max_events: Option<u64>,
    /// Give a run up, as failed, after so much simulated time, as in `10m`
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    pub(super) max_simulated: Option<Span>,
}

impl LimitArgs {
    /// The same for a run.
    pub(super) fn limits(&self) -> Limits {
        Limits { events: self.max_events, simulated: self.max_simulated }
    }

    /// The flags again, for a command that repeats the run.
    pub(super) fn words(&self) -> Vec<String> {
        let events = self.max_events.map(|events| ["--max-events".to_owned(), events.to_string()]);
        let simulated = self.max_simulated.map(|span| ["--max-simulated".to_owned(), span.to_string()]);
        events.into_iter().chain(simulated).flatten().collect()
    }
}
