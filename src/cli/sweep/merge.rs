//! `splitbrain merge`: the shards of a sweep become exactly the sweep that one process would have made.

use std::path::{Path, PathBuf};

use super::super::args::MergeArgs;
use super::super::{Failure, Outcome};
use super::folder::{self, Folder, Rows};
use super::{Ending, default_folder, say, write};
use crate::report::sweep::plan::Plan;
use crate::report::sweep::{Collector, Shard};
use crate::rng::Seeds;
use crate::time::Span;

/// One shard.
struct Part {
    path: PathBuf,
    plan: Plan,
    shard: Shard,
}

pub(in crate::cli) fn merge(args: &MergeArgs) -> Outcome {
    let mut parts = args.folders.iter().map(|path| part(path)).collect::<Result<Vec<_>, _>>()?;
    parts.sort_by_key(|part| part.shard);
    check(&parts).map_err(Failure::Message)?;
    let mut plan = parts[0].plan.clone();
    plan.shard = None;
    let seeds = Seeds::parse(&plan.seeds).map_err(|error| Failure::Message(error.to_string()))?;
    let place = args.out.clone().unwrap_or_else(|| default_folder(&plan.scenario));
    if parts.iter().any(|part| same(&part.path, &place)) {
        let message = format!("{} is one of the shards: give another --out", place.display());
        return Err(Failure::Message(message));
    }
    let mut collector = Collector::new(plan.clone()).map_err(Failure::Message)?;
    let expect = collector.expectations().to_vec();
    let open = |part: &Part| Rows::open(&part.path, &part.plan, &seeds);
    let mut rows = parts.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    // All shards are known to be whole before anything is replaced.
    for part in &parts {
        complete(part, &seeds, &expect)?;
    }
    let mut folder = Folder::begin(&place, &plan)?;
    for number in plan.numbers() {
        let at = usize::try_from(number % rows.len() as u64).expect("fewer than there are");
        let from = &mut rows[at];
        let record = from.next(&expect)?.ok_or_else(|| lacking(&parts[at], from.count))?;
        collector.add(&record);
        folder.add_line(from.line())?;
    }
    let sweep = collector.finish();
    write(folder, &place, &sweep, &seeds)?;
    let (json, quiet) = (args.json, args.quiet);
    say(&sweep, &Ending { json, quiet, wall: Span::ZERO, threads: 0, resumed: 0, place: Some(&place) })
}

fn part(path: &Path) -> Result<Part, Failure> {
    let plan =
        folder::read_plan(path)?.ok_or_else(|| Failure::Message(format!("{} holds no sweep", path.display())))?;
    let shard = plan.shard.unwrap_or(Shard { index: 0, of: 1 });
    Ok(Part { path: path.to_owned(), plan, shard })
}

/// Whether both paths are the same folder.
fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// Every shard of one sweep, each once.
fn check(parts: &[Part]) -> Result<(), String> {
    let first = &parts[0];
    for part in parts {
        let (a, b) = (&first.plan, &part.plan);
        let what = if a.scenario != b.scenario {
            format!("{} and {}", a.scenario, b.scenario)
        } else if a.seeds != b.seeds {
            format!("seeds {} and {}", a.seeds, b.seeds)
        } else if a.identity != b.identity || a.splitbrain != b.splitbrain {
            "different versions of the scenario, of its settings, or of splitbrain".to_owned()
        } else if first.shard.of != part.shard.of {
            format!("one of {} shards and one of {}", first.shard.of, part.shard.of)
        } else {
            continue;
        };
        return Err(format!("{} and {} are not of one sweep: {what}", first.path.display(), part.path.display()));
    }
    for pair in parts.windows(2) {
        if pair[0].shard == pair[1].shard {
            let (a, b) = (pair[0].path.display(), pair[1].path.display());
            return Err(format!("{a} and {b} are both shard {}", pair[0].shard));
        }
    }
    let missing = (0..first.shard.of).filter(|index| !parts.iter().any(|part| part.shard.index == *index));
    let missing: Vec<String> = missing.take(20).map(|index| Shard { index, of: first.shard.of }.to_string()).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("shards are missing: {}", missing.join(", "))) }
}

fn complete(part: &Part, seeds: &Seeds, expect: &[Vec<crate::check::Expectation>]) -> Result<(), Failure> {
    let mut rows = Rows::open(&part.path, &part.plan, seeds)?;
    while rows.next(expect)?.is_some() {}
    if rows.count == part.plan.runs() { Ok(()) } else { Err(lacking(part, rows.count)) }
}

fn lacking(part: &Part, count: u64) -> Failure {
    let (path, all) = (part.path.display(), part.plan.runs());
    Failure::Message(format!(
        "{path} is unfinished, {count} of {all} runs: `splitbrain sweep` with --resume finishes it"
    ))
}
