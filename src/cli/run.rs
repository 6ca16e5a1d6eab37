//! `splitbrain run`: one run, its summary, its report folder.

mod replay;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::args::RunArgs;
use super::{Failure, Outcome, Status, load, running, shell, terminal};
use crate::report::{self, Run, summary};
use crate::rng::Seed;
use crate::run::{Difference, Side, differ};
use crate::scenario::Scenario;
use crate::time::Span;
use crate::trace::{Event, text};

pub(super) fn run(args: &RunArgs) -> Outcome {
    let Some(file) = &args.file else { return replay::replay(args) };
    let mut sets = args.set.set.clone();
    sets.extend(args.seed.map(|seed| format!("seed={seed}")));
    let loaded = load::scenario(file, &sets, args.quiet)?;
    if args.print_scenario {
        terminal::print(&loaded.print())?;
        return Ok(Status::Held);
    }
    let scenario = Arc::new(loaded.scenario);
    running(Some(format!("{} with seed {}", file.display(), scenario.seed.0)));
    let status = if args.check_determinism { check_determinism(args, &scenario) } else { once(args, &scenario) };
    running(None);
    status
}

/// One run, as far as it is wanted: events are kept only when a report shows them.
fn once(args: &RunArgs, scenario: &Arc<Scenario>) -> Outcome {
    let folder =
        (!args.no_report).then(|| args.out.clone().unwrap_or_else(|| Path::new("reports").join(&*scenario.name)));
    if let Some(folder) = &folder {
        // Now rather than after the run, so that a path that can't be written to costs no time.
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    }
    let mut events: Vec<Event> = Vec::new();
    let mut printer = args.trace.then(|| Printer::new(scenario));
    #[allow(clippy::disallowed_methods, reason = "how long a run took is said beside its result, never part of it")]
    let began = Instant::now();
    let mut run = crate::run::run_limited(scenario, scenario.seed, &args.limits.limits(), &mut |event| {
        if let Some(printer) = &mut printer {
            printer.see(event);
        }
        if folder.is_some() {
            events.push(event.clone());
        }
    });
    run.wall = Span::from_ns(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    if let Some(printer) = printer {
        printer.finish()?;
    }
    if let Some(folder) = &folder {
        write_report(&command(args, run.seed), folder, &run, &events)?;
    }
    say((args.json, args.quiet), &command(args, run.seed), &run, folder.as_deref())?;
    Ok(if summary::failed(&run) { Status::Failed } else { Status::Held })
}

/// The report's folder, which is there already.
pub(super) fn write_report(command: &str, folder: &Path, run: &Run, events: &[Event]) -> Result<(), Failure> {
    let place = folder.display().to_string();
    let receipt = summary::Receipt { command: Some(command), report: Some(&place) };
    let mut last = folder.to_path_buf();
    report::write(run, events, &receipt, &mut |name| {
        last = folder.join(name);
        let file: Box<dyn std::io::Write> = Box::new(std::io::BufWriter::new(std::fs::File::create(&last)?));
        Ok(file)
    })
    .map_err(|error| unwritable(&last, &error))
}

pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Message(format!("can't write the report to {}: {error} (--no-report writes none)", path.display()))
}

/// The result on stdout.
pub(super) fn say((json, quiet): (bool, bool), command: &str, run: &Run, folder: Option<&Path>) -> Result<(), Failure> {
    let folder = folder.map(|folder| folder.display().to_string());
    if json {
        return terminal::print(&format!("{:#}\n", report::json::object(run, folder.as_deref())));
    }
    if quiet {
        if summary::failed(run) {
            terminal::complain(&failures(command, run));
        }
        return Ok(());
    }
    let terminal::Reader { colour, width, height } = terminal::stdout();
    let style = summary::Style { colour, width, height };
    let page = folder.map(|folder| Path::new(&folder).join("index.html").display().to_string());
    let receipt = summary::Receipt { command: Some(command), report: page.as_deref() };
    terminal::print(&summary::summary(run, &style, &receipt))
}

/// What a quiet run says when it failed.
fn failures(command: &str, run: &Run) -> String {
    let mut out = String::new();
    if !run.ended.finished() {
        out.push_str(&format!("{}: {}\n", run.scenario, run.ended));
    }
    for outcome in run.expectations.iter().filter(|outcome| !outcome.passed) {
        let unit = crate::check::metrics::find(&outcome.expectation.metric)
            .map_or(crate::check::Unit::Count, |metric| metric.unit);
        let (key, expected) = (outcome.expectation.key(), outcome.expectation.expected());
        out.push_str(&format!("{}: {key} is {}, expected {expected}\n", run.scenario, outcome.actual.show(unit)));
    }
    out.push_str(&format!("reproduce: {command}\n"));
    out
}

/// The command that repeats the run.
fn command(args: &RunArgs, seed: Seed) -> String {
    let mut words = vec!["splitbrain".to_owned(), "run".to_owned()];
    if let Some(record) = &args.replay {
        words.extend(["--replay".to_owned(), record.display().to_string()]);
        return shell::line(&words);
    }
    words.extend(args.file.iter().map(|file| file.display().to_string()));
    words.extend(shell::sets(&args.set.set));
    words.extend(["--seed".to_owned(), seed.0.to_string()]);
    words.extend(args.limits.words());
    shell::line(&words)
}

/// Two runs of one seed, event by event.
fn check_determinism(args: &RunArgs, scenario: &Arc<Scenario>) -> Outcome {
    match differ(scenario, scenario.seed) {
        Ok(digest) => {
            if args.json {
                let object =
                    json!({ "scenario": scenario.name, "seed": scenario.seed, "digest": digest, "repeated": true });
                terminal::print(&format!("{object:#}\n"))?;
            } else if !args.quiet {
                let seed = scenario.seed.0;
                terminal::print(&format!("{}: seed {seed} gives {digest} twice, event by event\n", scenario.name))?;
            }
            Ok(Status::Held)
        }
        Err(difference) => {
            terminal::complain(&parted(scenario, &difference));
            if args.json {
                let first = difference.at;
                let object =
                    json!({ "scenario": scenario.name, "seed": scenario.seed, "repeated": false, "first": first });
                terminal::print(&format!("{object:#}\n"))?;
            }
            Ok(Status::Bug)
        }
    }
}

/// Where two runs part, in words.
fn parted(scenario: &Scenario, difference: &Difference) -> String {
    let line = |event: &Event| text::line(event, node_name(scenario, event));
    let side = |side: &Side| match side {
        Side::Event(event) => line(event),
        Side::Ended => "(the trace ends)".to_owned(),
    };
    let before = difference.before.as_ref().map_or("(nothing)".to_owned(), line);
    format!(
        "splitbrain is broken: two runs of {} with seed {} part at event {}\n  both:   {before}\n  first:  {}\n  second: {}\n\
         This is a bug in splitbrain, not in the scenario. Please report it, with the text above and the scenario file.\n",
        scenario.name,
        scenario.seed.0,
        difference.at.0,
        side(&difference.first),
        side(&difference.second),
    )
}

fn node_name<'a>(scenario: &'a Scenario, event: &Event) -> &'a str {
    event.node.and_then(|node| scenario.nodes.get(node.index())).map_or("--", |node| &node.name)
}

/// `--trace`: events as they happen. The first failure to write is kept, and nothing is written after it.
struct Printer {
    names: Vec<Arc<str>>,
    out: std::io::BufWriter<std::io::Stdout>,
    broken: Option<std::io::Error>,
}

impl Printer {
    fn new(scenario: &Scenario) -> Printer {
        let names = scenario.nodes.iter().map(|node| node.name.clone()).collect();
        Printer { names, out: std::io::BufWriter::new(std::io::stdout()), broken: None }
    }

    fn see(&mut self, event: &Event) {
        if self.broken.is_none() {
            let name = event.node.and_then(|node| self.names.get(node.index())).map_or("--", |name| name);
            self.broken = writeln!(self.out, "{}", text::line(event, name)).err();
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        let broken = self.broken.take().or_else(|| self.out.flush().err());
        broken.map_or(Ok(()), |error| terminal::written(Err(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that doesn't repeat shows both events, and what came before.
    #[test]
    fn a_run_that_does_not_repeat_is_shown() {
        use crate::id::EventId;
        use crate::time::Instant;
        use crate::trace::event::WorldEvent;
        use crate::trace::{Kind, Via};

        let text = "duration = '1s'\n[[redis]]\nname = 'r1'\n";
        let read_file = |_: &str| Err(String::new());
        let input = crate::scenario::Input { name: "two.toml", text, sets: &[], read_file: &read_file };
        let scenario = crate::scenario::load(input).expect("valid").scenario;
        let event = |id| {
            let kind = Kind::World(WorldEvent::End);
            Event { id: EventId(id), at: Instant(id), node: None, cause: EventId::NONE, via: Via::World, kind }
        };
        let (before, first) = (Some(event(1)), Side::Event(Box::new(event(2))));
        let text = parted(&scenario, &Difference { at: EventId(2), before, first, second: Side::Ended });
        assert!(text.contains("two runs of two with seed 1 part at event 2"), "{text}");
        assert!(text.contains("second: (the trace ends)"), "{text}");
    }
}
