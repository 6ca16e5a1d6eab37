//! `splitbrain run --replay`: what was served and recorded, without its outside.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::super::args::RunArgs;
use super::super::{Failure, Outcome, Status, load, running, terminal};
use super::{Printer, command, say, unwritable, write_report};
use crate::host::{self, Unreplayable};
use crate::report::{Run, summary};
use crate::time::Span;
use crate::trace::event::WorldEvent;
use crate::trace::{Event, Kind};

pub(super) fn replay(args: &RunArgs) -> Outcome {
    let path = args.replay.as_deref().expect("clap has made sure of a file or a record");
    running(Some(format!("the record {}", path.display())));
    let mut events: Vec<Event> = Vec::new();
    let mut printer = args.trace.then(Printer::nameless);
    #[allow(clippy::disallowed_methods, reason = "how long a run took is said beside its result, never part of it")]
    let began = Instant::now();
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let lines = BufReader::new(file).lines();
    let (mut run, whole) = host::replay(lines, &mut |event| {
        if let Some(printer) = &mut printer {
            if let (Some(node), Kind::World(WorldEvent::Declared { name, .. })) = (event.node, &event.kind) {
                printer.name(node, name.clone());
            }
            printer.see(event);
        }
        if !args.no_report {
            events.push(event.clone());
        }
    })
    .map_err(|why| unreplayable(path, &why))?;
    run.wall = Span::from_ns(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    running(None);
    if let Some(printer) = printer {
        printer.finish()?;
    }
    if !whole && !args.quiet {
        terminal::complain("note: the record has no end; the run ends with the last thing in it\n");
    }
    report(args, &run, &events)
}

fn report(args: &RunArgs, run: &Run, events: &[Event]) -> Outcome {
    let folder =
        (!args.no_report).then(|| args.out.clone().unwrap_or_else(|| Path::new("reports").join(&*run.scenario)));
    let command = command(args, run.seed);
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        write_report(&command, folder, run, events)?;
    }
    say((args.json, args.quiet), &command, run, folder.as_deref())?;
    Ok(if summary::failed(run) { Status::Failed } else { Status::Held })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Message(format!("can't read {}: {error}", path.display()))
}

fn unreplayable(path: &Path, why: &Unreplayable) -> Failure {
    match why {
        Unreplayable::Io(error) => unreadable(path, error),
        Unreplayable::Line(number, what) => Failure::Message(format!("{}, line {number}: {what}", path.display())),
        Unreplayable::Scenario(report) => {
            load::show(report);
            Failure::Said
        }
    }
}

impl Printer {
    /// One that learns the nodes' names as they are declared.
    fn nameless() -> Printer {
        Printer { names: Vec::new(), out: std::io::BufWriter::new(std::io::stdout()), broken: None }
    }

    fn name(&mut self, node: crate::id::NodeId, name: Arc<str>) {
        if self.names.len() <= node.index() {
            self.names.resize(node.index() + 1, "--".into());
        }
        self.names[node.index()] = name;
    }
}
