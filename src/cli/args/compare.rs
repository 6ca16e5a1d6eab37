//! The flags of `compare`.

use std::path::PathBuf;

use clap::Args;

use super::{LimitArgs, SetArgs};
use crate::rng::Seeds;

/// What `compare --help` says at its end.
const AFTER_COMPARE: &str = "\
Examples:
  splitbrain compare old.toml new.toml --seeds 0..500
  splitbrain compare my.toml --set-b network.latency=5ms
  splitbrain compare my.toml --set-a 'client.w.policy.timeout=1s' --set-b 'client.w.policy.timeout=5s'";

/// `compare`
#[derive(Debug, Args)]
#[command(after_help = AFTER_COMPARE)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(in crate::cli) struct CompareArgs {
    /// A scenario, in TOML or JSON
    #[arg(value_name = "A")]
    pub(in crate::cli) a: PathBuf,
    /// Another one [default: the same, changed by --set-a and --set-b]
    #[arg(value_name = "B", required_unless_present_any = ["set_a", "set_b"])]
    pub(in crate::cli) b: Option<PathBuf>,
    /// The seeds: `0..1000` (without 1000), `0..=999`, `7`, or several of these with commas
    #[arg(long, value_name = "SEEDS", default_value = "0..100")]
    pub(in crate::cli) seeds: Seeds,
    /// Change both
    #[command(flatten)]
    pub(in crate::cli) set: SetArgs,
    /// Change a field of A only
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(in crate::cli) set_a: Vec<String>,
    /// Change a field of B only
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(in crate::cli) set_b: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) limits: LimitArgs,
    /// How many threads [default: one for each core]
    #[arg(long, short = 'j', value_name = "N", value_parser = super::threads)]
    pub(in crate::cli) threads: Option<std::num::NonZeroUsize>,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with = "json")]
    pub(in crate::cli) quiet: bool,
    /// The report's folder [default: `reports/NAME-compare`, of A's name]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Write no report
    #[arg(long, conflicts_with = "out")]
    pub(in crate::cli) no_report: bool,
}
