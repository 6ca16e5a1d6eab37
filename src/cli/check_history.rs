//! `splitbrain check-history`: is a history from elsewhere linearizable?

use std::path::Path;

use serde_json::{Value, json};

use super::args::CheckHistoryArgs;
use super::{Failure, Outcome, Status, load, running, terminal};
use crate::check::histories::{self, BadLine, Format};
use crate::check::linearizable::{self, Answer, Effort, History, ModelName, Report};
use crate::check::metrics::thousands;
use crate::report::{chart, contradiction};

/// Files beyond this are refused: a history is held in memory.
const SIZE_MAX: u64 = 1 << 30;

pub(super) fn check_history(args: &CheckHistoryArgs) -> Outcome {
    let path = &*args.file;
    let text = load::text_of(path, "a history", SIZE_MAX)?;
    let format = match Format::ALL.into_iter().find(|format| format.name() == args.format) {
        Some(format) => format,
        None => Format::guess(&text).ok_or_else(|| {
            let known = Format::ALL.map(Format::name).join(", ");
            Failure::Message(format!("{}: this looks like no known format; --format is one of {known}", path.display()))
        })?,
    };
    let history = histories::read(&text, format).map_err(|bad| wrong(path, &bad))?;
    let model = ModelName::ALL.into_iter().find(|model| Some(model.name()) == args.model.as_deref());
    // Our lock clients release what is theirs.
    let own = |guess: ModelName| format == Format::SplitbrainJsonl && guess == ModelName::Mutex;
    let guess = || ModelName::guess(&history);
    let model = model.unwrap_or_else(|| if own(guess()) { ModelName::Lock } else { guess() });
    running(Some(format!("check-history {} --model {model} --format {format}", path.display())));
    let effort = Effort { budget: args.budget, explain: true };
    let report = linearizable::check(&history, model, effort).map_err(|misfit| {
        let help = format!("{} (checked as a {model}; --model chooses another)", misfit.message);
        wrong(path, &BadLine { line: misfit.line, message: help })
    })?;
    running(None);
    let object = object(args, format, model, &history, &report);
    if let Some(folder) = &args.out {
        write(folder, path, &object, &report)?;
    }
    if args.json {
        terminal::print(&format!("{object:#}\n"))?;
    } else if !args.quiet {
        terminal::print(&summary(args, format, model, &history, &report))?;
    }
    Ok(if report.answer == Answer::Linearizable { Status::Held } else { Status::Failed })
}

/// `file:line: what is wrong`.
fn wrong(path: &Path, bad: &BadLine) -> Failure {
    let line = if bad.line > 0 { format!(":{}", bad.line) } else { String::new() };
    Failure::Message(format!("{}{line}: {}", path.display(), bad.message))
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Linearizable => "linearizable",
        Answer::Illegal => "not linearizable",
        Answer::Unknown => "unknown",
    }
}

fn summary(args: &CheckHistoryArgs, format: Format, model: ModelName, history: &History, report: &Report) -> String {
    let plural =
        |count: usize, what: &str| format!("{} {what}{}", thousands(count as u64), if count == 1 { "" } else { "s" });
    let (operations, processes) = (history.entries.len(), history.processes());
    let mut lines = vec![format!("{}: {}", args.file.display(), word(report.answer))];
    lines.push(format!(
        "{} of {} on {}, as a {model}, from {format}",
        plural(operations, "operation"),
        plural(processes, "process").replace("processs", "processes"),
        plural(report.objects, "key"),
    ));
    if report.objects > 1 && report.illegal > 0 {
        lines.push(format!("{} without an order", plural(report.illegal, "key")));
    }
    if report.unknown > 0 {
        let keys = plural(report.unknown, "key");
        let visited = thousands(report.visited);
        lines.push(match report.answer {
            Answer::Unknown => format!("{keys} undecided after {visited} configurations (--budget allows more)"),
            Answer::Linearizable | Answer::Illegal => format!("{keys} undecided, which changes nothing"),
        });
    }
    if let Some(found) = &report.contradiction {
        lines.push(String::new());
        lines.extend(contradiction::lines(found));
    } else if report.answer == Answer::Illegal {
        lines.push("which part contradicts itself could not be found with reasonable effort".to_owned());
    }
    if let Some(folder) = &args.out {
        lines.push(String::new());
        lines.push(format!("report: {}", folder.display()));
    }
    lines.join("\n") + "\n"
}

fn object(args: &CheckHistoryArgs, format: Format, model: ModelName, history: &History, report: &Report) -> Value {
    json!({
        "file": args.file.display().to_string(),
        "format": format.name(),
        "model": model.name(),
        "verdict": word(report.answer),
        "operations": history.entries.len(),
        "processes": history.processes(),
        "keys": report.objects,
        "illegal": report.illegal,
        "unknown": report.unknown,
        "visited": report.visited,
        "contradiction": report.contradiction,
        "report": args.out.as_ref().map(|folder| folder.display().to_string()),
    })
}

fn write(folder: &Path, file: &Path, object: &Value, report: &Report) -> Result<(), Failure> {
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|error| Failure::Message(format!("can't write {}: {error}", path.display())))
    };
    put("summary.json", format!("{object:#}\n").as_bytes())?;
    if let Some(found) = &report.contradiction {
        let chart = chart::contradiction(&file.display().to_string(), found);
        put("linearizable.svg", chart.svg().as_bytes())?;
        put("linearizable.png", &chart.png())?;
    }
    Ok(())
}
