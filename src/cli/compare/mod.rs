//! `splitbrain compare`: two scenarios with the same seeds.

mod show;

use std::path::Path;
use std::sync::Arc;

use super::args::CompareArgs;
use super::{Failure, Outcome, Status, load, many, running, shell};
use crate::rng::Seed;
use crate::run::compare::{self, Compared, Pair};

/// Two scenarios and what came of them.
struct Done<'a> {
    args: &'a CompareArgs,
    pair: Pair,
    compared: Compared,
}

pub(super) fn compare(args: &CompareArgs) -> Outcome {
    let a = load::Source::read(&args.a)?.load(&sets(args, 0), args.quiet)?;
    let b = load::Source::read(args.b.as_ref().unwrap_or(&args.a))?.load(&sets(args, 1), args.quiet)?;
    let folder = many::folder(args.out.as_deref(), args.no_report, &a.scenario.name, "compare")?;
    let pair = Pair {
        scenarios: [Arc::new(a.scenario), Arc::new(b.scenario)],
        seeds: args.seeds.clone(),
        limits: args.limits.limits(),
        threads: many::threads(args.threads),
    };
    running(Some(format!("{} and {}", place(args, 0), place(args, 1))));
    let mut progress = many::Progress::new(args.quiet);
    let runs = pair.seeds.len().saturating_mul(2);
    let compared = compare::compare(&pair, &mut |pairs| progress.runs(pairs * 2, runs));
    drop(progress);
    running(None);
    let done = Done { args, pair, compared };
    if let Some(folder) = &folder {
        many::write(folder, &done.files())?;
    }
    done.say(folder.as_deref())?;
    Ok(Status::Held)
}

/// The changes to one side, those to both first.
fn sets(args: &CompareArgs, side: usize) -> Vec<String> {
    let own = if side == 0 { &args.set_a } else { &args.set_b };
    args.set.set.iter().chain(own).cloned().collect()
}

/// The file of one side, with its changes.
fn place(args: &CompareArgs, side: usize) -> String {
    let file = if side == 0 { &args.a } else { args.b.as_ref().unwrap_or(&args.a) };
    let mut words = vec![file.display().to_string()];
    words.extend(shell::sets(&sets(args, side)));
    shell::line(&words)
}

impl Done<'_> {
    /// The result on stdout.
    fn say(&self, folder: Option<&Path>) -> Result<(), Failure> {
        let (json, quiet) = (self.args.json, self.args.quiet);
        many::say((json, quiet), folder, |report| self.object(report), |page| self.text(page))
    }

    /// The command that makes one run of one side.
    fn command(&self, side: usize, seed: Seed) -> String {
        let mut words = vec!["--seed".to_owned(), seed.0.to_string()];
        words.extend(self.args.limits.words());
        format!("splitbrain run {} {}", place(self.args, side), shell::line(&words))
    }
}
