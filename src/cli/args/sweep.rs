//! The flags of `sweep` and `merge`.

use std::path::PathBuf;

use clap::Args;

use super::{LimitArgs, SetArgs};
use crate::cli::sweep::shard::parse as parse_shard;
use crate::report::sweep::Shard;
use crate::rng::Seeds;

/// What `sweep --help` says at its end.
const AFTER_SWEEP: &str = "\
A scenario's [matrix] is run in every combination. Without --shard, the variables that Kubernetes (indexed jobs), Slurm, AWS \
Batch (array jobs), GitLab and Buildkite (parallel jobs) set say which part to run; docs/scale.md has examples of each.";

/// `sweep`
#[derive(Debug, Args)]
#[command(after_help = AFTER_SWEEP)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(in crate::cli) struct SweepArgs {
    /// The scenario, in TOML or JSON; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// The seeds: `0..1000` (without 1000), `0..=999`, `7`, or several of these with commas
    #[arg(long, value_name = "SEEDS", default_value = "0..100")]
    pub(in crate::cli) seeds: Seeds,
    #[command(flatten)]
    pub(in crate::cli) set: SetArgs,
    #[command(flatten)]
    pub(in crate::cli) limits: LimitArgs,
    /// How many threads [default: one for each core]
    #[arg(long, short = 'j', value_name = "N", value_parser = super::threads)]
    pub(in crate::cli) threads: Option<std::num::NonZeroUsize>,
    /// Run only every N-th run, beginning with the K-th
    #[arg(long, value_name = "K/N", value_parser = parse_shard)]
    pub(in crate::cli) shard: Option<Shard>,
    /// The number of shards where the environment only says which one this is (Kubernetes)
    #[arg(long, value_name = "N", conflicts_with = "shard")]
    pub(in crate::cli) shards: Option<std::num::NonZeroU64>,
    /// Go on where an earlier sweep into the same folder was stopped; begin if there was none
    #[arg(long, conflicts_with_all = ["no_report", "overwrite"])]
    pub(in crate::cli) resume: bool,
    /// Begin again even if the folder holds an unfinished sweep
    #[arg(long)]
    pub(in crate::cli) overwrite: bool,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with = "json")]
    pub(in crate::cli) quiet: bool,
    /// Say how far it is every ten seconds, where stderr is no terminal
    #[arg(long, conflicts_with = "quiet")]
    pub(in crate::cli) progress: bool,
    /// The results' folder [default: `reports/NAME-sweep`; a shard's is one in it]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Write no results
    #[arg(long, conflicts_with = "out")]
    pub(in crate::cli) no_report: bool,
    /// Print the scenario with its defaults filled in, the changes applied and its matrix, and run nothing
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    pub(in crate::cli) print_scenario: bool,
}

/// `merge`
#[derive(Debug, Args)]
pub(in crate::cli) struct MergeArgs {
    /// The shards' folders, in any order
    #[arg(value_name = "DIR", required = true)]
    pub(in crate::cli) folders: Vec<PathBuf>,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with = "json")]
    pub(in crate::cli) quiet: bool,
    /// The folder of the whole [default: `reports/NAME-sweep`]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
}
