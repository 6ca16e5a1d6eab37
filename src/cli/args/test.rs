//! The flags of `test`.

use std::path::PathBuf;

use clap::Args;

use super::{LimitArgs, SetArgs};
use crate::rng::Seeds;

/// `test`
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(in crate::cli) struct TestArgs {
    /// Scenarios, in TOML or JSON; a folder stands for all in it and its folders. In a folder called `negative` are those that must fail
    #[arg(value_name = "PATH", required = true)]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// The seeds, as in `0..100`, `1..=20` or `7`, instead of those of each scenario
    #[arg(long, value_name = "SEEDS")]
    pub(in crate::cli) seeds: Option<Seeds>,
    #[command(flatten)]
    pub(in crate::cli) set: SetArgs,
    #[command(flatten)]
    pub(in crate::cli) limits: LimitArgs,
    /// Pin the digests as they are now: in each scenario and in the .pins file beside it
    #[arg(long, conflicts_with_all = ["set", "changed_only"])]
    pub(in crate::cli) bless: bool,
    /// Skip what has passed before with the same splitbrain, scenario, seeds and limits; FILE remembers that
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = ".splitbrain-passed.json")]
    pub(in crate::cli) changed_only: Option<PathBuf>,
    /// So many runs at the same time [default: one for each core]
    #[arg(long, short = 'j', visible_alias = "jobs", value_name = "N", value_parser = super::threads)]
    pub(in crate::cli) threads: Option<std::num::NonZeroUsize>,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) junit: Option<PathBuf>,
    /// Write a summary in Markdown
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) markdown: Option<PathBuf>,
    /// Annotate files in a GitHub workflow, and add the Markdown summary to its page
    #[arg(long)]
    pub(in crate::cli) github: bool,
    /// Print one JSON object instead
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but what is wrong
    #[arg(long, short, conflicts_with = "json")]
    pub(in crate::cli) quiet: bool,
}
