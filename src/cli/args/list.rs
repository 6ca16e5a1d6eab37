//! The flags of `metrics` and `completions`.

use clap::Args;

/// `metrics`
#[derive(Debug, Args)]
pub(in crate::cli) struct MetricsArgs {
    /// Print a JSON array instead
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// `completions`
#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(in crate::cli) shell: clap_complete::Shell,
}
