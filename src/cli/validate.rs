//! `splitbrain validate`: are these files scenarios?

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::ValidateArgs;
use super::{Failure, Outcome, Status, load, terminal};
use crate::scenario::{NodeKind, Scenario};

pub(super) fn validate(args: &ValidateArgs) -> Outcome {
    let mut status = Status::Held;
    let mut list = Vec::new();
    for path in expand(&args.files)? {
        let outcome = load::Source::read(&path)?.check_variants(&args.set.set);
        let (good, report) = match &outcome {
            Ok(variants) => (Some(variants), &variants.report),
            Err(report) => (None, &**report),
        };
        if good.is_none() {
            status = Status::Wrong;
        }
        if args.json {
            list.push(json!({ "file": path.display().to_string(), "ok": good.is_some(), "problems": report.json() }));
            continue;
        }
        load::show(report);
        if let Some(variants) = good
            && !args.quiet
        {
            let count = match variants.list.len() {
                1 => String::new(),
                count => format!(", in {count} variants"),
            };
            let inventory = inventory(&variants.list[0].scenario);
            terminal::print(&format!("{}: ok, {inventory}{count}\n", path.display()))?;
        }
    }
    if args.json {
        terminal::print(&format!("{:#}\n", serde_json::Value::from(list)))?;
    }
    Ok(status)
}

/// Folders become the scenarios in them.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut out = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = out.len();
            collect(path, &mut out)?;
            if out.len() == before {
                return Err(Failure::Message(format!("no .toml or .json files in {}", path.display())));
            }
        } else {
            out.push(path.clone());
        }
    }
    Ok(out)
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::Message(format!("can't read {}: {error}", folder.display()));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "toml" || extension == "json") {
            out.push(path);
        }
    }
    Ok(())
}

/// `3 servers, 3 sentinels, 5 clients, 1 fault in 60s`
fn inventory(scenario: &Scenario) -> String {
    let (mut servers, mut sentinels, mut clients, mut resources) = (0, 0, 0, 0);
    for node in &scenario.nodes {
        match node.kind {
            NodeKind::Server(_) => servers += 1,
            NodeKind::Sentinel(_) => sentinels += 1,
            NodeKind::Client(_) | NodeKind::Locker(_) => clients += 1,
            NodeKind::Resource(_) => resources += 1,
        }
    }
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}, {}, {}, {}{} in {}",
        plural(servers, "server"),
        plural(sentinels, "sentinel"),
        plural(clients, "client"),
        if resources > 0 { format!("{}, ", plural(resources, "resource")) } else { String::new() },
        plural(scenario.faults.len(), "fault"),
        scenario.duration
    )
}
