//! `splitbrain sweep`: many seeds on all cores, what they come to, and rows that can be gone on with and joined.

mod folder;
mod merge;
#[cfg(feature = "parquet")]
mod parquet;
mod progress;
pub(in crate::cli) mod shard;

pub(super) use merge::merge;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::args::SweepArgs;
use super::{Failure, Outcome, Status, load, quiet_panics, running, shell, terminal};
use crate::report::summary::Style;
use crate::report::sweep::plan::{FORMAT, Plan};
use crate::report::sweep::record::{fixed, missed};
use crate::report::sweep::{Axis, Collector, Record, Shard, Sweep, Variant, charts, json, text};
use crate::run::{Job, Row, batch};
use crate::scenario::Variants;
use crate::time::Span;
use crate::trace::{Fingerprint, digest::hash_bytes};
use folder::Folder;
use progress::Progress;

/// Written at the end, for pandas, polars and DuckDB.
#[cfg(feature = "parquet")]
const PARQUET: &str = "rows.parquet";

pub(super) fn sweep(args: &SweepArgs) -> Outcome {
    let variants = load::variants(&args.file, &args.set.set, args.quiet)?;
    if args.print_scenario {
        terminal::print(&variants.print())?;
        return Ok(Status::Held);
    }
    let plan = plan(args, &variants, shard(args)?);
    let scenarios: Vec<_> = variants.list.into_iter().map(|variant| Arc::new(variant.scenario)).collect();
    let mut collector = Collector::new(plan.clone()).map_err(Failure::Message)?;
    let place = (!args.no_report).then(|| folder_of(args, &plan));
    let (mut folder, before) = open(args, place.as_deref(), &plan, &mut collector)?;
    if before > 0 && !args.quiet {
        terminal::complain(&format!("{before} of {} runs are there already\n", plan.runs()));
    }
    let threads = threads(args);
    let mut progress = Progress::new(plan.runs(), before, args.quiet, args.progress);
    let began = now();
    running(Some(format!("{} in a sweep; the summary names the seed", args.file.display())));
    quiet_panics(true);
    let mut failure = None;
    let expect = collector.expectations().to_vec();
    let skip = usize::try_from(before).unwrap_or(usize::MAX);
    let mut jobs = plan.numbers().skip(skip).filter_map(|number| job(&plan, args, number));
    batch(&scenarios, &mut jobs, threads, &args.limits.limits(), &mut |row| {
        let record = record(row, &expect);
        progress.step(record.passed());
        collector.add(&record);
        match folder.as_mut().map_or(Ok(()), |folder| folder.add(&plan, &record)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    quiet_panics(false);
    running(None);
    progress.finish();
    if let Some(failure) = failure {
        return Err(failure);
    }
    let wall = Span::from_ns(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let sweep = collector.finish();
    if let (Some(folder), Some(place)) = (folder, &place) {
        write(folder, place, &sweep, &args.seeds)?;
    }
    let ending = Ending { json: args.json, quiet: args.quiet, wall, threads, resumed: before, place: place.as_deref() };
    say(&sweep, &ending)
}

#[allow(clippy::disallowed_methods, reason = "how long a sweep took is said beside its result, never part of it")]
fn now() -> Instant {
    Instant::now()
}

fn threads(args: &SweepArgs) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    args.threads.map_or_else(all, std::num::NonZeroUsize::get)
}

/// The part of the runs that this process makes.
fn shard(args: &SweepArgs) -> Result<Option<Shard>, Failure> {
    if args.shard.is_some() {
        return Ok(args.shard);
    }
    #[allow(clippy::disallowed_methods, reason = "which part to run; each run is the same whoever makes it")]
    let found = shard::detect(&|name| std::env::var(name).ok(), args.shards).map_err(Failure::Message)?;
    Ok(found.map(|found| {
        if !args.quiet {
            terminal::complain(&format!("shard {} (a {})\n", found.shard, found.from));
        }
        found.shard
    }))
}

/// What the sweep is about.
fn plan(args: &SweepArgs, variants: &Variants, shard: Option<Shard>) -> Plan {
    let name = variants.list[0].scenario.name.to_string();
    let version = env!("CARGO_PKG_VERSION");
    let seeds = args.seeds.to_string();
    let limits = format!("{:?}", args.limits.limits());
    let prints: Vec<String> = variants.list.iter().map(crate::scenario::Variant::print).collect();
    let mut parts: Vec<&[u8]> = vec![version.as_bytes(), seeds.as_bytes(), limits.as_bytes()];
    parts.extend(prints.iter().map(String::as_bytes));
    let list = variants.list.iter().map(|variant| {
        let mut words = vec!["splitbrain".to_owned(), "run".to_owned(), args.file.display().to_string()];
        let chosen = variants.axes.iter().zip(&variant.choice).map(|(axis, at)| axis.sets[*at].clone());
        let sets: Vec<String> = args.set.set.iter().cloned().chain(chosen).collect();
        words.extend(shell::sets(&sets));
        words.extend(args.limits.words());
        let expect = variant.scenario.expect.iter().map(|e| (e.key(), e.expected())).collect();
        Variant { choice: variant.choice.clone(), command: shell::line(&words), expect }
    });
    let axis = |axis: &crate::scenario::Axis| Axis { field: axis.field.clone(), values: axis.values.clone() };
    Plan {
        format: FORMAT,
        splitbrain: version.to_owned(),
        scenario: name,
        description: variants.list[0].scenario.description.to_string(),
        identity: Fingerprint(hash_bytes(&parts)).to_string(),
        seeds,
        seed_count: args.seeds.len(),
        axes: variants.axes.iter().map(axis).collect(),
        variants: list.collect(),
        shard,
    }
}

fn folder_of(args: &SweepArgs, plan: &Plan) -> PathBuf {
    args.out.clone().unwrap_or_else(|| {
        let whole = default_folder(&plan.scenario);
        plan.shard.map_or(whole.clone(), |shard| whole.join(format!("shard-{}-of-{}", shard.index + 1, shard.of)))
    })
}

/// Where a sweep's results go unless told otherwise.
fn default_folder(scenario: &str) -> PathBuf {
    Path::new("reports").join(format!("{scenario}-sweep"))
}

/// The folder for the rows, and how many are in it.
fn open(
    args: &SweepArgs,
    place: Option<&Path>,
    plan: &Plan,
    collector: &mut Collector,
) -> Result<(Option<Folder>, u64), Failure> {
    let Some(place) = place else { return Ok((None, 0)) };
    if args.resume {
        let (folder, before) = Folder::resume(place, plan, collector, &args.seeds)?;
        return Ok((Some(folder), before));
    }
    if !args.overwrite
        && let Some((done, of)) = folder::unfinished(place)?
    {
        return Err(Failure::Message(format!(
            "{} holds an unfinished sweep, {done} of {of} runs: --resume goes on with it, --overwrite begins again",
            place.display()
        )));
    }
    Ok((Some(Folder::begin(place, plan)?), 0))
}

fn job(plan: &Plan, args: &SweepArgs, number: u64) -> Option<Job> {
    let (variant, at) = plan.place(number);
    Some(Job { variant: u32::try_from(variant).ok()?, seed: args.seeds.nth(at)? })
}

/// A row as it is written down.
fn record(row: Row, expect: &[Vec<crate::check::Expectation>]) -> Record {
    let variant = row.variant as usize;
    let metrics: Vec<Option<i64>> = crate::check::METRICS
        .iter()
        .map(|metric| row.metrics.get(metric.name).and_then(|value| fixed(metric.unit, *value)))
        .collect();
    Record {
        variant,
        seed: row.seed,
        digest: row.digest,
        events: row.events,
        simulated_us: row.simulated.us(),
        failed: missed(&expect[variant], &metrics),
        verdict: row.verdict.word().to_owned(),
        signature: row.signature.to_string(),
        ended: row.ended.word().to_owned(),
        problem: (!row.ended.finished()).then(|| row.ended.to_string()),
        metrics,
    }
}

/// Everything but the rows.
fn write(folder: Folder, place: &Path, sweep: &Sweep, seeds: &crate::rng::Seeds) -> Result<(), Failure> {
    #[allow(unused_mut, reason = "depends on what was built in")]
    let mut rows = vec![folder::ROWS];
    #[cfg(feature = "parquet")]
    {
        parquet::write(place, &place.join(PARQUET), &sweep.plan, seeds)?;
        rows.push(PARQUET);
    }
    #[cfg(not(feature = "parquet"))]
    let _ = (place, seeds);
    folder.finish(&sweep.files(&rows))
}

/// How a sweep is talked about.
struct Ending<'a> {
    json: bool,
    quiet: bool,
    wall: Span,
    threads: usize,
    resumed: u64,
    place: Option<&'a Path>,
}

fn say(sweep: &Sweep, ending: &Ending<'_>) -> Outcome {
    let page = ending.place.map(|place| place.join("index.html").display().to_string());
    if ending.json {
        let mut object = json::object(sweep, &charts::all(sweep));
        if let Some(fields) = object.as_object_mut() {
            fields.insert("wall_ms".to_owned(), Span::from_us(ending.wall.us()).as_ms_f64().into());
            fields.insert("report".to_owned(), ending.place.map(|place| place.display().to_string()).into());
        }
        terminal::print(&format!("{object:#}\n"))?;
    } else {
        let reader = if ending.quiet { terminal::stderr() } else { terminal::stdout() };
        let style = Style { colour: reader.colour, width: reader.width, height: reader.height };
        let receipt = text::Receipt {
            wall: ending.wall,
            threads: ending.threads,
            resumed: ending.resumed,
            report: page.as_deref(),
        };
        if !ending.quiet {
            terminal::print(&text::summary(sweep, &style, &receipt))?;
        } else if sweep.failed() {
            terminal::complain(&text::problems(sweep, &style));
        }
    }
    let broken = sweep.parts.iter().any(|part| part.tally.cut_short.contains_key("broken"));
    Ok(match (broken, sweep.failed()) {
        (true, _) => Status::Bug,
        (false, true) => Status::Failed,
        (false, false) => Status::Held,
    })
}
