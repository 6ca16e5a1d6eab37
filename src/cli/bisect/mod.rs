//! `splitbrain bisect`: at which value of a number does the verdict change?

mod show;

use std::path::Path;
use std::sync::Arc;

use super::args::BisectArgs;
use super::{Failure, Outcome, Status, load, many, running, shell};
use crate::rng::{Seed, Seeds};
use crate::run::bisect::{self, Answer, Question};
use crate::scenario::Scenario;

/// A question, its answer, and what it was asked of.
struct Asked<'a> {
    args: &'a BisectArgs,
    scenario: &'a Scenario,
    question: Question,
    answer: Answer,
}

pub(super) fn bisect(args: &BisectArgs) -> Outcome {
    let source = load::Source::read(&args.file)?;
    let mut sets = args.set.set.clone();
    sets.extend(args.seed.map(|seed| format!("seed={seed}")));
    let scenario = source.load(&sets, args.quiet)?.scenario;
    let question = question(args, &scenario)?;
    let folder = many::folder(args.out.as_deref(), args.no_report, &scenario.name, "bisect")?;
    running(Some(format!("{} over {}", args.file.display(), args.vary.field)));
    let mut progress = many::Progress::new(args.quiet);
    let variant = |value| {
        let mut sets = sets.clone();
        sets.push(question.axis.set(value));
        source.load(&sets, true).map(|loaded| Arc::new(loaded.scenario))
    };
    let answer = bisect::bisect(&question, &variant, &mut |done, of| progress.runs(done, of))?;
    drop(progress);
    running(None);
    let asked = Asked { args, scenario: &scenario, question, answer };
    if let Some(folder) = &folder {
        many::write(folder, &asked.files())?;
    }
    asked.say(folder.as_deref())?;
    Ok(Status::Held)
}

fn question(args: &BisectArgs, scenario: &Scenario) -> Result<Question, Failure> {
    let known: Vec<String> = scenario.expect.iter().map(|expectation| expectation.key()).collect();
    if known.is_empty() {
        return Err(Failure::Message("the scenario expects nothing, so no verdict can change".to_owned()));
    }
    if let Some(unknown) = args.only.iter().find(|name| !known.contains(name)) {
        let names = known.join(", ");
        return Err(Failure::Message(format!("the scenario expects nothing of `{unknown}`; it expects {names}")));
    }
    let seeds = args.seeds.clone().unwrap_or_else(|| Seeds::single(scenario.seed));
    let tolerance = match &args.tolerance {
        None => args.vary.part(if seeds.len() > 1 { 200 } else { 10_000 }),
        Some(text) => args.vary.read(text).ok_or_else(|| {
            Failure::Message(format!("--tolerance \"{text}\" is not a distance between values of {}", args.vary.field))
        })?,
    };
    Ok(Question {
        axis: args.vary.clone(),
        seeds,
        steps: args.steps,
        tolerance,
        only: args.only.clone(),
        limits: args.limits.limits(),
        threads: many::threads(args.threads),
    })
}

impl Asked<'_> {
    /// The result on stdout.
    fn say(&self, folder: Option<&Path>) -> Result<(), Failure> {
        let (json, quiet) = (self.args.json, self.args.quiet);
        many::say((json, quiet), folder, |report| self.object(report), |page| self.text(page))
    }

    /// The command that makes one run at a value.
    fn command(&self, value: i128, seed: Seed) -> String {
        let mut words = vec!["splitbrain".to_owned(), "run".to_owned(), self.args.file.display().to_string()];
        words.extend(shell::sets(&self.args.set.set));
        words.extend(["--set".to_owned(), self.question.axis.set(value), "--seed".to_owned(), seed.0.to_string()]);
        words.extend(self.args.limits.words());
        shell::line(&words)
    }
}
