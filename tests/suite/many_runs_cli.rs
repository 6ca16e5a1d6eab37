//! `shrink`, `bisect` and `compare` from outside: exit statuses, files, JSON, messages.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

const SMALL: &str = r#"
description = "A pause that the sentinels notice."
seed = 5
duration = "20s"
settle = "5s"
[[redis]]
name = "r1"
[[redis]]
names = ["r2", "r3"]
replicaof = "r1"
[[sentinel]]
names = ["s1", "s2", "s3"]
start = "uniform(0s, 1s)"
monitor = [{ name = "mymaster", master = "r1", quorum = 2, down-after-milliseconds = 2000 }]
[[fault]]
at = "4s"
for = "1s"
pause = "r3"
[[fault]]
at = "6s"
for = "6s"
pause = "r1"
[expect]
"failover.count" = 0
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.toml"), SMALL).expect("written");
    folder
}

fn splitbrain(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splitbrain"));
    command.current_dir(folder).args(args).stdin(Stdio::null()).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn ended(output: &Output, status: i32) -> String {
    assert_eq!(output.status.code(), Some(status), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn json(output: &Output) -> Json {
    serde_json::from_str(&ended(output, 0)).expect("one JSON object")
}

#[test]
fn shrink_writes_a_scenario_that_fails_alike() {
    let folder = folder();
    let here = folder.path();
    let said = ended(&splitbrain(here, &["shrink", "small.toml"]), 0);
    for part in ["failover.count is 1, expected = 0", "1 of 2 faults", "reports/small-shrink/seed-5.toml"] {
        assert!(said.contains(part), "{part}\nis not in\n{said}");
    }
    let file = here.join("reports/small-shrink/seed-5.toml");
    assert!(std::fs::read_to_string(&file).expect("written").starts_with("# Shrunk by splitbrain from small.toml"));
    ended(&splitbrain(here, &["run", "--no-report", "reports/small-shrink/seed-5.toml"]), 1);
    ended(&splitbrain(here, &["validate", "reports/small-shrink/seed-5.toml"]), 0);

    let object = json(&splitbrain(here, &["shrink", "small.toml", "--json", "--out", "x.toml", "--max-runs", "30"]));
    assert!(object["runs"].as_u64().is_some_and(|runs| runs <= 31), "{object}");
    assert_eq!(object["file"], "x.toml");
    assert_eq!(object["text"], std::fs::read_to_string(here.join("x.toml")).expect("written"));
    let printed = ended(&splitbrain(here, &["shrink", "small.toml", "--out", "-"]), 0);
    assert_eq!(printed, std::fs::read_to_string(&file).expect("written"));
    assert_eq!(ended(&splitbrain(here, &["shrink", "small.toml", "--quiet"]), 0), "");
}

#[test]
fn what_makes_no_sense_ends_with_2() {
    let folder = folder();
    for (args, said) in [
        (&["shrink", "small.toml", "--set", "expect.failover.count=1"][..], "doesn't fail with seed 5"),
        (&["shrink", "small.toml", "--keep", "writes.lost"], "it expects failover.count"),
        (&["bisect", "small.toml"], "--vary"),
        (&["bisect", "small.toml", "--vary", "fault[1].for=9s..3s"], "not smaller"),
        (&["bisect", "small.toml", "--vary", "fault[7].for=3s..9s"], "no item [7]"),
        (&["bisect", "small.toml", "--vary", "fault[1].at=9s..90s"], "after the end of the run"),
        (
            &["bisect", "small.toml", "--vary", "fault[1].for=3s..9s", "--only", "converged"],
            "it expects failover.count",
        ),
        (&["bisect", "small.toml", "--vary", "fault[1].for=3s..9s", "--tolerance", "5"], "not a distance"),
        (&["compare", "small.toml"], "required"),
        (&["compare", "small.toml", "no-such.toml"], "can't read no-such.toml"),
        (&["compare", "small.toml", "--set-b", "x=1"], "unknown field"),
        (&["compare", "small.toml", "small.toml", "--seeds", "5..2"], "seeds"),
    ] {
        let output = splitbrain(folder.path(), args);
        assert_eq!(ended(&output, 2), "", "{args:?}");
        assert!(text(&output.stderr).contains(said), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn bisect_says_where_and_draws_it() {
    let folder = folder();
    let here = folder.path();
    let args = ["bisect", "small.toml", "--vary", "fault[1].for=500ms..5s", "--steps", "6", "--tolerance", "10ms"];
    let said = ended(&splitbrain(here, &args), 0);
    for part in
        ["It holds up to ", " and fails from ", "holds: splitbrain run small.toml --set 'fault[1].for=", "--seed 5"]
    {
        assert!(said.contains(part), "{part}\nis not in\n{said}");
    }
    let report = here.join("reports/small-bisect");
    for file in ["index.html", "bisect.json", "failures.svg", "failures.png", "failover.count.svg"] {
        assert!(report.join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
    let object = json(&splitbrain(here, &[&args[..], &["--json", "--no-report", "--seeds", "0..4"]].concat()));
    assert_eq!(object["seeds"], "0..4");
    let points = object["points"].as_array().expect("points");
    assert!(points.iter().all(|point| point["runs"] == 4 && point["high"].is_number()), "{object}");
    assert!(object["boundaries"][0]["estimate"].is_string(), "{object}");
    // The commands that it names show what it says.
    for line in said.lines().filter_map(|line| line.trim().split_once(": splitbrain ")) {
        let status = if line.0 == "fails" { 1 } else { 0 };
        let words: Vec<String> = line.1.split(' ').map(|word| word.replace('\'', "")).collect();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.push("--no-report");
        ended(&splitbrain(here, &words), status);
    }
}

#[test]
fn compare_names_what_differs() {
    let folder = folder();
    let here = folder.path();
    let args = ["compare", "small.toml", "--set-b", "fault[1].for=1s", "--seeds", "0..6"];
    let said = ended(&splitbrain(here, &args), 0);
    for part in [
        "A  small.toml\nB  small.toml --set 'fault[1].for=1s'",
        "6 pairs of runs",
        "fail with A only: seeds 0, 1, 2, 3, 4, 5",
        "splitbrain run small.toml --seed 0",
        "failover.count",
        "reports/small-compare/index.html",
    ] {
        assert!(said.contains(part), "{part}\nis not in\n{said}");
    }
    for file in ["index.html", "compare.json"] {
        assert!(here.join("reports/small-compare").join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
    let same =
        json(&splitbrain(here, &["compare", "small.toml", "small.toml", "--seeds", "0..3", "--json", "--no-report"]));
    assert_eq!((&same["pairs"], &same["identical"], &same["only_a_fails"]["count"]), (&3.into(), &3.into(), &0.into()));
    assert_eq!(same["metrics"]["failover.count"]["mean_difference"], 0.0);
    assert!(same["metrics"]["sdown.masters"]["a"]["ecdf"].is_array(), "{same}");
}
