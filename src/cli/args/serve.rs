//! The flags of `serve`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Args;

use super::SetArgs;
use crate::time::Span;

/// What `serve --help` says at its end.
const AFTER_SERVE: &str = "\
Servers have the ports from --base-port on, sentinels those after them. Time is real: the scenario's faults strike at their \
times, and others on demand (splitbrain ctl). Ctrl-C ends it with a summary and a report.

  splitbrain serve scenarios/sentinel/master-crash.toml
  splitbrain ctl crash r1";

/// `serve`
#[derive(Debug, Args)]
#[command(after_help = AFTER_SERVE)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(in crate::cli) struct ServeArgs {
    /// The scenario, in TOML or JSON; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// The seed, instead of the scenario's
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = super::seed)]
    pub(in crate::cli) seed: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) set: SetArgs,
    /// The address to listen on; any but 127.0.0.1 lets others in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(in crate::cli) bind: Ipv4Addr,
    /// The address that nodes announce, where it isn't the one they listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) announce: Option<Ipv4Addr>,
    /// The first server's port
    #[arg(long, value_name = "PORT", default_value_t = 7000, value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) base_port: u16,
    /// How fast simulated time passes
    #[arg(long, value_name = "FACTOR", default_value = "1.0", value_parser = speed)]
    pub(in crate::cli) speed: u64,
    /// Write down what comes from outside, for `splitbrain run --replay`
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) record: Option<PathBuf>,
    /// The control socket [default: `splitbrain-PORT.sock` in the folder for temporary files]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) socket: Option<PathBuf>,
    /// Take no orders
    #[arg(long, conflicts_with = "socket")]
    pub(in crate::cli) no_control: bool,
    /// Let the scenario's own clients run too; what it expects counts then
    #[arg(long)]
    pub(in crate::cli) with_clients: bool,
    /// End after so much real time, as in `30s`
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    pub(in crate::cli) stop_after: Option<Span>,
    /// Keep each node's files in DIR/NAME: what is there is read, what it writes stays
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) data: Option<PathBuf>,
    /// Write each server's log to DIR/NAME.log, as a redis-server would
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) logs: Option<PathBuf>,
    /// Have a real process stand for each that a server forks: whoever kills it kills that
    #[arg(long)]
    pub(in crate::cli) forks: bool,
    /// End once no process is left, with 0 if the last one ended with 0
    #[arg(long)]
    pub(in crate::cli) until_down: bool,
    /// Print one JSON object on a line once everything listens, and another one at the end
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print nothing but problems
    #[arg(long, short, conflicts_with = "json")]
    pub(in crate::cli) quiet: bool,
    /// The report's folder [default: `reports/NAME`]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Write no report
    #[arg(long, conflicts_with = "out")]
    pub(in crate::cli) no_report: bool,
}

/// A factor, in thousandths.
fn speed(text: &str) -> Result<u64, String> {
    let factor: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if !(0.001..=1_000.0).contains(&factor) {
        return Err("expected a factor from 0.001 to 1000".to_owned());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and a million")]
    let milli = (factor * 1_000.0).round() as u64;
    Ok(milli)
}
