//! The flags of `check-history`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::check::histories::Format;
use crate::check::linearizable::{BUDGET, ModelName};

/// `check-history`
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckHistoryArgs {
    /// A history: Jepsen's in EDN or JSON, a log of Porcupine's repository, or `history.jsonl` of a report; `-` reads stdin
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// What the operations are about [default: as their names suggest]
    #[arg(long, value_name = "MODEL", value_parser = PossibleValuesParser::new(ModelName::ALL.map(ModelName::name)))]
    pub(in crate::cli) model: Option<String>,
    /// How the file is written [default: as it looks]
    #[arg(long, value_name = "FORMAT", default_value = "auto", hide_default_value = true, value_parser = PossibleValuesParser::new(formats()))]
    pub(in crate::cli) format: String,
    /// Give up, with the answer unknown, after so many configurations
    #[arg(long, value_name = "N", default_value_t = BUDGET)]
    pub(in crate::cli) budget: u64,
    /// Where to write a picture and a summary
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with = "json")]
    pub(in crate::cli) quiet: bool,
}

fn formats() -> Vec<&'static str> {
    std::iter::once("auto").chain(Format::ALL.map(Format::name)).collect()
}
