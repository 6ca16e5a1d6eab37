//! The command line from outside: exit statuses, what goes where, files that are and aren't written.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splitbrain"));
    command.env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn in_folder(folder: &Path, args: &[&str]) -> Output {
    program().current_dir(folder).args(args).output().expect("the program starts")
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// A small scenario: one server, one client.
const SMALL: &str = r#"
description = "A client writes to a server."
seed = 5
duration = "2s"
settle = "1s"

[[redis]]
name = "r1"

[[client]]
name = "c"
via = "redis:r1"
workload = { kind = "kv", rate = "20/s", write-ratio = 1.0 }

[expect]
"writes.lost" = 0
"#;

fn folder_with_small() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.toml"), SMALL).expect("written");
    folder
}

fn library_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/sentinel/master-crash.toml")
}

#[test]
fn a_run_that_holds_ends_with_0_and_leaves_a_report() {
    let folder = folder_with_small();
    let output = in_folder(folder.path(), &["run", "small.toml"]);
    assert_eq!(status(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("seed 5"), "{}", stdout(&output));
    assert_eq!(stderr(&output), "");
    let report = folder.path().join("reports/small");
    for file in ["summary.json", "trace.jsonl", "history.jsonl", "index.html"] {
        assert!(report.join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
}

#[test]
fn a_failed_expectation_ends_with_1_and_says_how_to_repeat_it() {
    let folder = folder_with_small();
    let args = ["run", "small.toml", "--no-report", "--set", "expect.writes.lost=>= 1", "--seed", "9"];
    let output = in_folder(folder.path(), &args);
    assert_eq!(status(&output), 1);
    let repeat = "splitbrain run small.toml --set 'expect.writes.lost=>= 1' --seed 9";
    let plain = stdout(&output).replace("\n  ", " ");
    assert!(plain.contains(repeat), "{plain}");
    assert!(!folder.path().join("reports").exists());

    let quiet = in_folder(folder.path(), &[&args[..], &["--quiet"]].concat());
    assert_eq!((status(&quiet), stdout(&quiet).as_str()), (1, ""));
    assert!(stderr(&quiet).contains("writes.lost is 0, expected >= 1"), "{}", stderr(&quiet));
    assert!(stderr(&quiet).contains(repeat), "{}", stderr(&quiet));
}

#[test]
fn a_wrong_scenario_or_argument_ends_with_2() {
    let folder = folder_with_small();
    for args in [
        &["run", "no-such.toml"][..],
        &["run", "."],
        &["run", "small.toml", "--set", "duration=0s"],
        &["run", "small.toml", "--set", "duration"],
        &["run", "small.toml", "--no-report", "--out", "x"],
        &["run", "small.toml", "--json", "--quiet"],
        &["run", "small.toml", "--out", "small.toml/x"],
        &["run"],
        &["run", "small.toml", "--seed", "many"],
        &["validate"],
        &["validate", "no-such.toml"],
        &["new", "small.toml"],
        &["frobnicate"],
        &[],
    ] {
        let output = in_folder(folder.path(), args);
        assert_eq!(status(&output), 2, "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{args:?}");
        assert!(!stderr(&output).is_empty(), "{args:?}");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("small.toml")).expect("still there"), SMALL);
}

#[test]
fn a_report_that_can_not_be_written_costs_no_run() {
    let folder = folder_with_small();
    let output = in_folder(folder.path(), &["run", "small.toml", "--trace", "--out", "small.toml/x"]);
    assert_eq!((status(&output), stdout(&output).as_str()), (2, ""), "nothing ran");
    assert!(stderr(&output).contains("small.toml/x"), "{}", stderr(&output));
}

#[test]
fn unknown_commands_are_told_which_exist() {
    let output = in_folder(Path::new("."), &["frobnicate"]);
    assert_eq!(status(&output), 2);
    let text = stderr(&output);
    assert!(
        text.contains("the commands are run, ") && text.contains("validate, schema, metrics, new, completions"),
        "{text}"
    );
    let text = stderr(&in_folder(Path::new("."), &["shrinck"]));
    assert!(text.contains("'shrink'"), "{text}");
}

#[test]
fn json_is_one_object_that_repeats_but_for_the_clock() {
    let folder = folder_with_small();
    let run = |args: &[&str]| -> Json {
        let output = in_folder(folder.path(), args);
        assert_eq!(status(&output), 0, "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).expect("one JSON object")
    };
    let first = run(&["run", "small.toml", "--json"]);
    let again = run(&["run", "small.toml", "--json", "--no-report"]);
    for field in
        ["scenario", "seed", "digest", "simulated_ms", "wall_ms", "events", "expectations", "metrics", "report"]
    {
        assert!(first.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(first["digest"], again["digest"]);
    assert_eq!(first["metrics"], again["metrics"]);
    assert_eq!(first["report"], "reports/small");
    assert_eq!(again["report"], Json::Null);
    assert_eq!(first["expectations"][0]["passed"], true);
    let other = run(&["run", "small.toml", "--json", "--no-report", "--seed", "6"]);
    assert_ne!(first["digest"], other["digest"]);
}

#[test]
fn determinism_is_checked_in_one_command() {
    let folder = folder_with_small();
    let output = in_folder(folder.path(), &["run", "small.toml", "--check-determinism"]);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let digest = in_folder(folder.path(), &["run", "small.toml", "--json", "--no-report"]);
    let digest: Json = serde_json::from_str(&stdout(&digest)).expect("JSON");
    assert!(stdout(&output).contains(digest["digest"].as_str().expect("text")), "{}", stdout(&output));
    let quiet = in_folder(folder.path(), &["run", "small.toml", "--check-determinism", "--quiet"]);
    assert_eq!((status(&quiet), stdout(&quiet).as_str(), stderr(&quiet).as_str()), (0, "", ""));
}

#[test]
fn a_trace_is_a_line_for_each_event() {
    let folder = folder_with_small();
    let output = in_folder(folder.path(), &["run", "small.toml", "--no-report", "--trace"]);
    let json = in_folder(folder.path(), &["run", "small.toml", "--no-report", "--json"]);
    let json: Json = serde_json::from_str(&stdout(&json)).expect("JSON");
    let is_event = |line: &&str| line.get(..12).is_some_and(|time| time.trim().parse::<f64>().is_ok());
    let lines = stdout(&output).lines().filter(is_event).count();
    let events = json["events"].as_u64().expect("a number");
    assert!(u64::try_from(lines).expect("fits") >= events, "{lines} lines for {events} events");
}

#[test]
fn the_printed_scenario_is_the_one_that_runs() {
    let folder = folder_with_small();
    let changes = ["--set", "client.c.workload.rate=40/s", "--set", "network.latency=uniform(1ms, 2ms)", "--seed", "8"];
    let print = [&["run", "small.toml", "--print-scenario"][..], &changes].concat();
    let printed = in_folder(folder.path(), &print);
    assert_eq!(status(&printed), 0);
    std::fs::write(folder.path().join("printed.toml"), stdout(&printed)).expect("written");
    let direct = in_folder(folder.path(), &[&["run", "small.toml", "--json", "--no-report"][..], &changes].concat());
    let again = in_folder(folder.path(), &["run", "printed.toml", "--json", "--no-report"]);
    let digest = |output: &Output| serde_json::from_str::<Json>(&stdout(output)).expect("JSON")["digest"].clone();
    assert_eq!(digest(&direct), digest(&again));
}

#[test]
fn stdin_is_a_scenario_too() {
    let mut child = program()
        .args(["run", "-", "--no-report", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("piped").write_all(SMALL.as_bytes()).expect("read");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(status(&output), 0);
    let object: Json = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(object["scenario"], "stdin");
}

#[test]
fn validate_answers_for_each_file() {
    let folder = folder_with_small();
    std::fs::write(folder.path().join("bad.toml"), SMALL.replace("rate =", "rat =")).expect("written");
    std::fs::write(folder.path().join("warns.toml"), SMALL.to_owned() + "[[sentinel]]\nname = \"s1\"\n")
        .expect("written");
    let output = in_folder(folder.path(), &["validate", "small.toml", "bad.toml", "warns.toml"]);
    assert_eq!(status(&output), 2);
    assert_eq!(
        stdout(&output),
        "small.toml: ok, 1 server, 0 sentinels, 1 client, 0 faults in 2s\n\
         warns.toml: ok, 1 server, 1 sentinel, 1 client, 0 faults in 2s\n"
    );
    assert!(stderr(&output).contains("did you mean `rate`?"), "{}", stderr(&output));
    assert!(stderr(&output).contains("this sentinel watches nothing"), "{}", stderr(&output));

    let json = in_folder(folder.path(), &["validate", "--json", "."]);
    assert_eq!((status(&json), stderr(&json).as_str()), (2, ""));
    let list: Json = serde_json::from_str(&stdout(&json)).expect("JSON");
    let ok: Vec<_> = list.as_array().expect("a list").iter().map(|file| file["ok"].as_bool()).collect();
    assert_eq!(ok, [Some(false), Some(true), Some(true)], "{list:#}");
    let problem = &list[0]["problems"][0];
    assert_eq!((&problem["severity"], &problem["line"], &problem["column"]), (&"error".into(), &13.into(), &27.into()));
    let fine = in_folder(folder.path(), &["validate", "--quiet", "small.toml"]);
    assert_eq!((status(&fine), stdout(&fine).as_str()), (0, ""));
}

#[test]
fn what_is_known_can_be_listed() {
    let schema = in_folder(Path::new("."), &["schema"]);
    let schema: Json = serde_json::from_str(&stdout(&schema)).expect("JSON");
    assert_eq!(schema["title"], "splitbrain scenario");

    let metrics = splitbrain::check::METRICS;
    let json = in_folder(Path::new("."), &["metrics", "--json"]);
    let json: Json = serde_json::from_str(&stdout(&json)).expect("JSON");
    let names: Vec<_> = json.as_array().expect("a list").iter().map(|row| row["name"].as_str()).collect();
    assert_eq!(names, metrics.iter().map(|metric| Some(metric.name)).collect::<Vec<_>>());
    let text = stdout(&in_folder(Path::new("."), &["metrics"]));
    for metric in metrics {
        assert!(text.lines().any(|line| line.split_whitespace().next() == Some(metric.name)), "{}", metric.name);
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = in_folder(Path::new("."), &["completions", shell]);
        assert_eq!(status(&output), 0, "{shell}");
        assert!(stdout(&output).contains("print-scenario"), "{shell}");
    }
}

#[test]
fn a_new_scenario_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = in_folder(folder.path(), &["new", "mine.toml"]);
    assert_eq!((status(&output), stdout(&output).as_str()), (0, ""), "{}", stderr(&output));
    let valid = in_folder(folder.path(), &["validate", "mine.toml"]);
    assert_eq!((status(&valid), stderr(&valid).as_str()), (0, ""));
    let written = std::fs::read_to_string(folder.path().join("mine.toml")).expect("written");
    let printed = in_folder(folder.path(), &["new"]);
    assert_eq!((status(&printed), stdout(&printed)), (0, written.clone()));
    // What it offers to try is right as well.
    let uncommented: String =
        written.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).fold(String::new(), |text, line| {
            if line.starts_with("Other faults")
                || line.contains("`")
                || line.starts_with("The same file")
                || line.starts_with("Every node")
            {
                text
            } else {
                text + line.trim_start_matches('#') + "\n"
            }
        });
    std::fs::write(folder.path().join("all.toml"), uncommented.replace("A scenario:", "#")).expect("written");
    let all = in_folder(folder.path(), &["validate", "--quiet", "all.toml"]);
    assert_eq!(status(&all), 0, "{}", stderr(&all));
}

/// `splitbrain … | head -1`: the reader goes away, and that is no error.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in [&["metrics"][..], &["schema"], &["completions", "bash"], &["run", "LIBRARY", "--trace", "--no-report"]]
    {
        let library = library_file();
        let args: Vec<_> =
            args.iter().map(|arg| if *arg == "LIBRARY" { library.as_os_str() } else { arg.as_ref() }).collect();
        let mut child = program().args(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("ends");
        assert_eq!((status(&output), stderr(&output).as_str()), (0, ""), "{args:?}");
    }
}

/// A pipe is no terminal: neither stream has colours.
#[test]
fn there_are_no_colours_in_a_pipe() {
    let folder = folder_with_small();
    for args in [
        &["run", "small.toml", "--no-report"][..],
        &["run", "small.toml", "--set", "durration=1s"],
        &["--help"],
        &["x"],
    ] {
        let output = in_folder(folder.path(), args);
        assert!(!stdout(&output).contains('\u{1b}'), "{args:?}");
        assert!(!stderr(&output).contains('\u{1b}'), "{args:?}");
    }
}

#[test]
fn help_is_a_result() {
    for args in [&["--help"][..], &["run", "--help"], &["--version"], &["validate", "-h"]] {
        let output = in_folder(Path::new("."), args);
        assert_eq!((status(&output), stderr(&output).as_str()), (0, ""), "{args:?}");
        assert!(!stdout(&output).is_empty(), "{args:?}");
    }
}
