//! The flags of `validate`.

use std::path::PathBuf;

use clap::Args;

use super::SetArgs;

/// `validate`
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArgs {
    /// Scenarios, in TOML or JSON; a folder stands for all in it
    #[arg(value_name = "FILE", required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) set: SetArgs,
    /// Print one JSON array instead: for each file whether it is fine, and its problems
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with = "json")]
    pub(in crate::cli) quiet: bool,
}
