//! The commands and their flags. The help texts are here and nowhere else.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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

/// `run`
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(super) struct RunArgs {
    /// The scenario, in TOML or JSON; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The seed, instead of the scenario's
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    #[command(flatten)]
    pub(super) set: SetArgs,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(super) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with_all = ["json", "trace"])]
    pub(super) quiet: bool,
    /// The report's folder [default: `reports/NAME`]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write no report
    #[arg(long, conflicts_with = "out")]
    pub(super) no_report: bool,
    /// Print every event, a line each, before the summary
    #[arg(long, conflicts_with = "json")]
    pub(super) trace: bool,
    /// Run twice and compare every event; the first that differs is a bug in splitbrain
    #[arg(long, conflicts_with = "trace")]
    pub(super) check_determinism: bool,
    /// Print the scenario with its defaults filled in and the changes applied, and run nothing
    #[arg(long, conflicts_with_all = ["json", "quiet", "trace", "check_determinism"])]
    pub(super) print_scenario: bool,
}

/// `--set`, wherever a scenario is read.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Change a field before the scenario is read, as in `network.latency=5ms` or `sentinel[0].monitor[0].quorum=3`
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub(super) set: Vec<String>,
}

/// `validate`
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Scenarios, in TOML or JSON; a folder stands for all in it
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) set: SetArgs,
    /// Print one JSON array instead: for each file whether it is fine, and its problems
    #[arg(long)]
    pub(super) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with = "json")]
    pub(super) quiet: bool,
}

/// `metrics`
#[derive(Debug, Args)]
pub(super) struct MetricsArgs {
    /// Print a JSON array instead
    #[arg(long)]
    pub(super) json: bool,
}

/// `new`
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Where to write it; without one it goes to stdout
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

/// `completions`
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}
