//! The flags of `new`.

use std::path::PathBuf;

use clap::Args;

/// `new`
#[derive(Debug, Args)]
pub(in crate::cli) struct NewArgs {
    /// Where to write it; without one it goes to stdout
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
}
