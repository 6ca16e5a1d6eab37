//! The flags of `run`.

use std::path::PathBuf;

use clap::Args;

use super::{LimitArgs, SetArgs};

/// `run`
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(in crate::cli) struct RunArgs {
    /// The scenario, in TOML or JSON; `-` reads it from stdin
    #[arg(value_name = "FILE", required_unless_present = "replay")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// Repeat what `serve --record` wrote, instead of a scenario: the same trace and digest
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["file", "seed", "set", "check_determinism", "print_scenario"])]
    pub(in crate::cli) replay: Option<PathBuf>,
    /// The seed, instead of the scenario's
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = super::seed)]
    pub(in crate::cli) seed: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) set: SetArgs,
    #[command(flatten)]
    pub(in crate::cli) limits: LimitArgs,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with_all = ["json", "trace"])]
    pub(in crate::cli) quiet: bool,
    /// The report's folder [default: `reports/NAME`]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Write no report
    #[arg(long, conflicts_with = "out")]
    pub(in crate::cli) no_report: bool,
    /// Print every event, a line each, before the summary
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) trace: bool,
    /// Run twice and compare every event; the first that differs is a bug in splitbrain
    #[arg(long, conflicts_with = "trace")]
    pub(in crate::cli) check_determinism: bool,
    /// Print the scenario with its defaults filled in and the changes applied, and run nothing
    #[arg(long, conflicts_with_all = ["json", "quiet", "trace", "check_determinism"])]
    pub(in crate::cli) print_scenario: bool,
}
