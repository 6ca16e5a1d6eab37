//! `splitbrain run`: one run, its summary, its report folder.

use super::args::RunArgs;
use super::{Failure, Outcome, Status, load, terminal};

pub(super) fn run(args: &RunArgs) -> Outcome {
    let mut sets = args.set.set.clone();
    sets.extend(args.seed.map(|seed| format!("seed={seed}")));
    let loaded = load::scenario(&args.file, &sets, args.quiet)?;
    if args.print_scenario {
        terminal::print(&loaded.print())?;
        return Ok(Status::Held);
    }
    Err(Failure::Message("this build has no engine".to_owned()))
}
