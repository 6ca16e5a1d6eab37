//! `splitbrain shrink`: the smallest scenario that still fails as the given one does.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value as Json, json};

use super::args::ShrinkArgs;
use super::{Failure, Outcome, Status, load, many, running, shell, terminal};
use crate::check::metrics::{self, thousands};
use crate::rng::Seed;
use crate::run::shrink::{self, Miss, Options, Shrunk, Tally, Unshrunk};
use crate::time::Span;

pub(super) fn shrink(args: &ShrinkArgs) -> Outcome {
    let mut sets = args.set.set.clone();
    sets.extend(args.seed.map(|seed| format!("seed={seed}")));
    let loaded = load::scenario(&args.file, &sets, args.quiet)?;
    let seed = loaded.scenario.seed;
    let known: Vec<String> = loaded.scenario.expect.iter().map(|expectation| expectation.key()).collect();
    if let Some(unknown) = args.keep.iter().find(|name| !known.contains(name)) {
        let names = known.join(", ");
        return Err(Failure::Message(format!("the scenario expects nothing of `{unknown}`; it expects {names}")));
    }
    let options = Options {
        seed,
        limits: args.limit.limits(),
        max_runs: args.max_runs,
        threads: many::threads(args.threads),
        only: args.keep.clone(),
        same_story: args.same_story,
        source: args.file.display().to_string(),
    };
    running(Some(format!("{} with seed {}", args.file.display(), seed.0)));
    #[allow(clippy::disallowed_methods, reason = "how long it took is said beside the result, never part of it")]
    let began = Instant::now();
    let mut progress = many::Progress::new(args.quiet);
    let shrunk = shrink::shrink(&loaded, &options, &mut |tally| progress.say(|| line(tally)));
    drop(progress);
    running(None);
    let wall = Span::from_ns(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    match shrunk {
        Ok(shrunk) => written(args, &shrunk, wall),
        Err(unshrunk) => refuse(args, seed, &unshrunk),
    }
}

/// How far it is.
fn line(tally: &Tally) -> String {
    format!("shrinking: {} runs, {} faults left", thousands(tally.runs), tally.faults)
}

fn refuse(args: &ShrinkArgs, seed: Seed, unshrunk: &Unshrunk) -> Outcome {
    match unshrunk {
        Unshrunk::Holds(_) => {
            let what = if args.keep.is_empty() {
                "all that it expects holds".to_owned()
            } else {
                format!("{} holds", args.keep.join(", "))
            };
            let message = format!(
                "{} doesn't fail with seed {}: {what}, so there is nothing to shrink; `splitbrain sweep` finds seeds that fail",
                args.file.display(),
                seed.0
            );
            Err(Failure::Message(message))
        }
        Unshrunk::NotReproduced(why) => {
            terminal::complain(&super::bug_report(why));
            Ok(Status::Bug)
        }
    }
}

/// Writes the file and says what is in it.
fn written(args: &ShrinkArgs, shrunk: &Shrunk, wall: Span) -> Outcome {
    let to_stdout = args.out.as_deref() == Some(Path::new("-"));
    let name = format!("seed-{}.toml", shrunk.original.seed.0);
    let default = || Path::new("reports").join(format!("{}-shrink", shrunk.original.scenario)).join(name);
    let path: PathBuf = args.out.clone().unwrap_or_else(default);
    if !to_stdout {
        write(&path, &shrunk.text)?;
    }
    if args.json {
        let file = (!to_stdout).then(|| path.display().to_string());
        terminal::print(&format!("{:#}\n", object(args, shrunk, wall, file)))?;
    } else if to_stdout {
        terminal::print(&shrunk.text)?;
    } else if !args.quiet {
        terminal::print(&summary(args, shrunk, wall, &path))?;
    }
    Ok(Status::Held)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Message(format!("can't write {}: {error}", path.display()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

/// The command that shows the failure.
fn command(path: &Path) -> String {
    shell::line(&["splitbrain".to_owned(), "run".to_owned(), path.display().to_string()])
}

fn summary(args: &ShrinkArgs, shrunk: &Shrunk, wall: Span, path: &Path) -> String {
    let mut out = format!("{}  seed {}\n", shrunk.original.scenario, shrunk.original.seed.0);
    out.push_str(&format!("fails:   {}\n", shrunk.before));
    if shrunk.before != shrunk.after {
        out.push_str(&format!("smaller: {}\n", shrunk.after));
    }
    out.push_str(&format!("left:    {}\n", shrunk.left()));
    out.push_str(&format!("took:    {}, in {}\n", shrunk.took(), metrics::span(wall)));
    if !shrunk.complete {
        out.push_str(&format!(
            "         the {} runs were used up: a smaller one may exist (--max-runs)\n",
            thousands(args.max_runs)
        ));
    }
    let body = shrunk.text.split_once("\n\n").map_or("", |(_, body)| body);
    out.push('\n');
    for line in body.lines() {
        out.push_str(if line.is_empty() { "" } else { "    " });
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(&format!("\nfile:      {}\nreproduce: {}\n", path.display(), command(path)));
    out
}

fn object(args: &ShrinkArgs, shrunk: &Shrunk, wall: Span, file: Option<String>) -> Json {
    let ms = |span: Span| Span::from_us(span.us()).as_ms_f64();
    let failure = |failure: &shrink::Failure| {
        let broken: Vec<Json> = failure
            .broken
            .iter()
            .map(|one| {
                let miss = match one.miss {
                    Miss::Absent => "absent",
                    Miss::Low => "low",
                    Miss::High => "high",
                };
                json!({ "metric": one.metric, "expected": one.expected, "actual": one.actual, "miss": miss })
            })
            .collect();
        json!({ "ended": failure.ended, "expectations": broken, "verdicts": failure.verdicts })
    };
    let size = |size: shrink::Size| {
        json!({
            "faults": size.faults, "servers": size.servers, "sentinels": size.sentinels, "clients": size.clients,
            "duration_ms": ms(size.duration),
        })
    };
    let tally = shrunk.tally;
    json!({
        "scenario": shrunk.original.scenario,
        "source": args.file.display().to_string(),
        "seed": shrunk.original.seed,
        "failure": failure(&shrunk.before),
        "shrunk_failure": failure(&shrunk.after),
        "digest": shrunk.original.digest,
        "shrunk_digest": shrunk.run.digest,
        "complete": shrunk.complete,
        "runs": tally.runs,
        "runs_from_snapshots": tally.from_snapshots,
        "simulated_ms": ms(tally.simulated),
        "saved_ms": ms(tally.saved),
        "wall_ms": ms(wall),
        "before": size(shrunk.sizes[0]),
        "after": size(shrunk.sizes[1]),
        "removed": shrunk.removed.iter().map(|one| json!({ "what": one.what, "which": one.which })).collect::<Vec<_>>(),
        "changed": shrunk.changed.iter().map(|one| json!({ "field": one.field, "from": one.from, "to": one.to })).collect::<Vec<_>>(),
        "text": shrunk.text,
        "file": file,
        "reproduce": file.as_ref().map(|file| command(Path::new(file))),
    })
}
