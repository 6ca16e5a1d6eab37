//! The flags of `shrink`.

use std::path::PathBuf;

use clap::Args;

use super::{LimitArgs, SetArgs};

/// `shrink`
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(in crate::cli) struct ShrinkArgs {
    /// A scenario that fails, in TOML or JSON; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// The seed with which it fails [default: the scenario's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = super::seed)]
    pub(in crate::cli) seed: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) set: SetArgs,
    /// An expectation that must go on failing, by its metric; several times for several [default: all that fail]
    #[arg(long = "keep", value_name = "METRIC")]
    pub(in crate::cli) keep: Vec<String>,
    /// Keep the order of the key events too: who was found down, elected, promoted, what was lost how
    #[arg(long)]
    pub(in crate::cli) same_story: bool,
    /// Where to write the smaller scenario; `-` is stdout [default: `reports/NAME-shrink/seed-N.toml`]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Stop after so many runs, with the smallest scenario found so far
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(in crate::cli) max_runs: u64,
    /// How many threads [default: one for each core]; the result is the same
    #[arg(long, short = 'j', value_name = "N", value_parser = super::threads)]
    pub(in crate::cli) threads: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    pub(in crate::cli) limit: LimitArgs,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with = "json")]
    pub(in crate::cli) quiet: bool,
}
