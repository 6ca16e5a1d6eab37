//! The flags of `bisect`.

use std::path::PathBuf;

use clap::Args;

use super::{LimitArgs, SetArgs};
use crate::rng::Seeds;
use crate::run::bisect::Axis;

/// What `bisect --help` says at its end.
const AFTER_BISECT: &str = "\
With one seed the verdict changes at certain values, and each change that the grid shows is halved down to the tolerance. With \
many seeds it is a share of failures, and the boundary is where that passes one half.

  splitbrain bisect my.toml --vary 'fault[0].at=9s..12s'
  splitbrain bisect my.toml --vary 'sentinel[0].monitor[0].down-after-milliseconds=1000..10000' --seeds 0..100";

/// `bisect`
#[derive(Debug, Args)]
#[command(after_help = AFTER_BISECT)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(in crate::cli) struct BisectArgs {
    /// The scenario, in TOML or JSON; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// The number that varies: a field as `--set` names it, and the ends of its range
    #[arg(long, value_name = "FIELD=A..B", value_parser = Axis::parse)]
    pub(in crate::cli) vary: Axis,
    /// One seed [default: the scenario's]
    #[arg(long, value_name = "N", conflicts_with = "seeds", allow_negative_numbers = true, value_parser = super::seed)]
    pub(in crate::cli) seed: Option<u64>,
    /// Many seeds: `0..100` (without 100), `0..=99`, or several of these with commas
    #[arg(long, value_name = "SEEDS")]
    pub(in crate::cli) seeds: Option<Seeds>,
    #[command(flatten)]
    pub(in crate::cli) set: SetArgs,
    /// The expectation that counts, by its metric; several times for several [default: all]
    #[arg(long = "only", value_name = "METRIC")]
    pub(in crate::cli) only: Vec<String>,
    /// How many stretches the range is divided into before boundaries are looked for
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(in crate::cli) steps: u32,
    /// How near to each boundary to go [default: a 10,000th of the range; with many seeds a 200th]
    #[arg(long, value_name = "DISTANCE")]
    pub(in crate::cli) tolerance: Option<String>,
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
    /// The report's folder [default: `reports/NAME-bisect`]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Write no report
    #[arg(long, conflicts_with = "out")]
    pub(in crate::cli) no_report: bool,
}
