//! `splitbrain test`: scenarios over their seeds against their expectations and pinned digests.

mod judge;
mod junit;
mod passed;
mod pins;

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::args::{LimitArgs, TestArgs};
use super::{Failure, Outcome, Status, load, running, shell, terminal, validate};
use crate::report::Ended;
use crate::report::exam::{Counts, Exam, Examined, Ran, github, json, markdown, text};
use crate::report::summary::Style;
use crate::rng::Seeds;
use crate::run::Limits;
use crate::run::batch::{Job, Row, batch};
use crate::scenario::{Loaded, Scenario};
use crate::time::Span;
use passed::Passed;

/// A scenario that is to be run.
struct Case {
    path: PathBuf,
    loaded: Loaded,
    scenario: Arc<Scenario>,
    seeds: Seeds,
    limits: LimitArgs,
    /// What makes its result the same as before.
    key: String,
}

impl Case {
    fn file(&self) -> String {
        self.path.display().to_string()
    }

    /// Its runs with their limits.
    fn limits(&self) -> Limits {
        self.limits.limits()
    }

    fn negative(&self) -> bool {
        is_negative(&self.path)
    }

    /// The command that repeats one run.
    fn command(&self, sets: &[String], seed: crate::rng::Seed) -> String {
        let mut words = vec!["splitbrain".to_owned(), "run".to_owned(), self.file()];
        words.extend(shell::sets(sets));
        words.extend(["--seed".to_owned(), seed.0.to_string()]);
        words.extend(self.limits.words());
        shell::line(&words)
    }
}

/// What lies in a folder of that name must fail.
fn is_negative(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "negative")
}

pub(super) fn test(args: &TestArgs) -> Outcome {
    let began = now();
    let mut passed = args.changed_only.as_deref().map(Passed::read).transpose()?;
    let mut report = Reporter::new(args);
    let mut pending: Vec<Case> = Vec::new();
    let mut exams = Vec::new();
    for path in validate::expand(&args.paths)? {
        match case(args, path)? {
            Ok(case) if passed.as_ref().is_some_and(|passed| passed.knows(&case.key)) => {
                run_all(args, &mut pending, passed.as_mut(), &mut report, &mut exams)?;
                report.say(&mut exams, Exam { file: case.file(), result: Examined::Skipped })?;
            }
            Ok(case) => pending.push(case),
            Err(invalid) => {
                run_all(args, &mut pending, passed.as_mut(), &mut report, &mut exams)?;
                report.say(&mut exams, invalid)?;
            }
        }
    }
    run_all(args, &mut pending, passed.as_mut(), &mut report, &mut exams)?;
    if let (Some(passed), Some(file)) = (passed, &args.changed_only) {
        passed.write(file)?;
    }
    let wall = Span::from_ns(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    report.end(&exams, wall)?;
    Ok(status(&exams))
}

#[allow(clippy::disallowed_methods, reason = "how long runs took is said beside their results, never part of them")]
fn now() -> Instant {
    Instant::now()
}

/// The worst that happened.
fn status(exams: &[Exam]) -> Status {
    let ran = |exam: &Exam| match &exam.result {
        Examined::Ran(ran) if ran.broke() => Status::Bug,
        Examined::Ran(ran) if !ran.passed() => Status::Failed,
        Examined::Invalid(_) => Status::Wrong,
        Examined::Ran(_) | Examined::Skipped => Status::Held,
    };
    exams.iter().map(ran).max_by_key(|status| *status as u8).unwrap_or(Status::Held)
}

/// Reads one file.
fn case(args: &TestArgs, path: PathBuf) -> Result<Result<Case, Exam>, Failure> {
    let loaded = match load::check(&path, &args.set.set)? {
        Ok(loaded) => {
            load::show(&loaded.report);
            loaded
        }
        Err(report) => {
            let problems = report.render(terminal::stdout().width, false);
            return Ok(Err(Exam { file: path.display().to_string(), result: Examined::Invalid(problems) }));
        }
    };
    let plan = &loaded.scenario.test;
    let seeds = args.seeds.clone().or_else(|| plan.seeds.clone());
    let seeds = seeds.unwrap_or_else(|| Seeds::single(loaded.scenario.seed));
    let limits = LimitArgs {
        max_events: args.limits.max_events.or(plan.max_events),
        max_simulated: args.limits.max_simulated.or(plan.max_simulated),
    };
    let key = if args.changed_only.is_some() {
        passed::key(&[&path.display().to_string(), &loaded.print(), &seeds.to_string(), &limits.words().join(" ")])?
    } else {
        String::new()
    };
    let scenario = Arc::new(loaded.scenario.clone());
    Ok(Ok(Case { path, loaded, scenario, seeds, limits, key }))
}

/// Runs what is pending, in order, those with the same limits together.
fn run_all(
    args: &TestArgs,
    pending: &mut Vec<Case>,
    mut passed: Option<&mut Passed>,
    report: &mut Reporter<'_>,
    exams: &mut Vec<Exam>,
) -> Result<(), Failure> {
    let cases = std::mem::take(pending);
    let mut rest = &cases[..];
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|case| case.limits() == first.limits()).count();
        let (group, later) = rest.split_at(same);
        rest = later;
        run_group(args, group, &mut |case, exam| {
            if exam.passed()
                && let Some(passed) = passed.as_deref_mut()
            {
                passed.add(&case.key);
            }
            report.say(exams, exam)
        })?;
    }
    Ok(())
}

fn run_group(
    args: &TestArgs,
    cases: &[Case],
    done: &mut dyn FnMut(&Case, Exam) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let variants: Vec<Arc<Scenario>> = cases.iter().map(|case| case.scenario.clone()).collect();
    let numbered = || (0_u32..).zip(cases);
    let mut jobs = numbered().flat_map(|(variant, case)| case.seeds.iter().map(move |seed| Job { variant, seed }));
    let threads = super::many::threads(args.threads);
    let limits = cases.first().map_or(Limits::NONE, Case::limits);
    let mut rows: Vec<Row> = Vec::new();
    let mut outcome = Ok(());
    running(Some("the scenarios of a test".to_owned()));
    batch(&variants, &mut jobs, threads, &limits, &mut |row| {
        let case = &cases[row.variant as usize];
        rows.push(row);
        if (rows.len() as u64) < case.seeds.len() {
            return ControlFlow::Continue(());
        }
        let rows = std::mem::take(&mut rows);
        outcome = finished(args, case, &rows).and_then(|exam| done(case, exam));
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    running(None);
    outcome
}

/// All runs of a scenario are there.
fn finished(args: &TestArgs, case: &Case, rows: &[Row]) -> Result<Exam, Failure> {
    let mut ran = judge::judge(args, case, rows);
    ran.pins = pins::check(args, case, rows)?;
    Ok(Exam { file: case.file(), result: Examined::Ran(Box::new(ran)) })
}

/// Says what was found, as it is found and at the end.
struct Reporter<'a> {
    args: &'a TestArgs,
    style: Style,
}

impl<'a> Reporter<'a> {
    fn new(args: &'a TestArgs) -> Reporter<'a> {
        let terminal::Reader { colour, width, height } = terminal::stdout();
        Reporter { args, style: Style { colour, width, height } }
    }

    fn say(&mut self, exams: &mut Vec<Exam>, exam: Exam) -> Result<(), Failure> {
        if !self.args.json {
            if self.args.quiet && !exam.passed() {
                terminal::complain(&text::lines(&exam, self.style));
            } else if !self.args.quiet {
                terminal::print(&text::lines(&exam, self.style))?;
            }
        }
        exams.push(exam);
        Ok(())
    }

    fn end(&self, exams: &[Exam], wall: Span) -> Result<(), Failure> {
        let args = self.args;
        if args.json {
            terminal::print(&format!("{:#}\n", json::object(exams, wall)))?;
        } else if !args.quiet {
            terminal::print(&format!("\n{} in {}\n", Counts::of(exams), crate::check::metrics::span(wall)))?;
        }
        if let Some(file) = &args.junit {
            let document = junit::document(exams, wall).map_err(Failure::Message)?;
            write(file, &document)?;
        }
        if let Some(file) = &args.markdown {
            write(file, &markdown::page(exams, wall))?;
        }
        if args.github {
            let annotations = github::annotations(exams);
            if args.json {
                terminal::complain(&annotations);
            } else {
                terminal::print(&annotations)?;
            }
            step_summary(&markdown::page(exams, wall))?;
        }
        Ok(())
    }
}

/// Adds to the page of the workflow's run, where there is one.
#[allow(clippy::disallowed_methods, reason = "where a summary goes depends on it, never a run")]
fn step_summary(page: &str) -> Result<(), Failure> {
    let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else { return Ok(()) };
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(&file);
    let written = opened.and_then(|mut file| file.write_all(page.as_bytes()));
    written.map_err(|error| unwritable(&file, &error))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(path, &error))?;
    }
    std::fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Message(format!("can't write {}: {error}", path.display()))
}

/// Whether a run of a row was given up or broke.
fn unfinished(row: &Row) -> bool {
    row.ended != Ended::Finished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_is_a_folder() {
        assert!(is_negative(Path::new("scenarios/negative/a.toml")));
        assert!(!is_negative(Path::new("scenarios/negative.toml")));
    }
}
