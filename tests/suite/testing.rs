//! `splitbrain test` from outside: what passes and fails, what is pinned and blessed, the files for other programs.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

const SMALL: &str = r#"# A client writes to a server.
description = "A client writes to a server."
seed = 5
duration = "2s"   # short
settle = "1s"

[network]
latency = "uniform(0.1ms, 3ms)"

[[redis]]
name = "r1"

[[client]]
name = "c"
via = "redis:r1"
workload = { kind = "kv", rate = "20/s", write-ratio = 1.0 }

[expect]
"writes.lost" = 0
"writes.latency-max.p50" = "<= 10ms"

[test]
seeds = "0..6"
"#;

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splitbrain"));
    command.current_dir(folder).stdin(Stdio::null()).env_remove("GITHUB_STEP_SUMMARY");
    command.arg("test").args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

/// A folder with a scenario that holds, one that doesn't, one that must not, and one that should not but does.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    let fails = SMALL.replace("\"writes.lost\" = 0", "\"writes.latency-max\" = \"<= 5.8ms\"");
    write("good/holds.toml", SMALL);
    write("good/negative/must-fail.toml", &fails);
    write("bad/fails.toml", &fails);
    write("bad/negative/holds.toml", SMALL);
    write("bad/deep/tail.toml", &SMALL.replace("<= 10ms", "<= 4ms"));
    folder
}

/// Times differ from run to run.
fn timeless(text: &str) -> String {
    let time =
        |word: &str| word.ends_with('s') && !word.contains(' ') && word.starts_with(|c: char| c.is_ascii_digit());
    let line = |line: &str| {
        let cut = line.rsplit_once(", ").filter(|(_, last)| time(last)).map(|(rest, _)| rest);
        let cut = cut.or_else(|| line.rsplit_once(" in ").filter(|(_, last)| time(last)).map(|(rest, _)| rest));
        cut.unwrap_or(line).to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn folders_are_tested() {
    let folder = folder();
    let good = run(folder.path(), &["good"]);
    assert_eq!(status(&good), 0, "{}", text(&good.stdout));
    insta::assert_snapshot!(timeless(&text(&good.stdout)), @r"
    ✔ good/holds.toml  seeds 0..6
    ✔ good/negative/must-fail.toml  seeds 0..6, fails, as it must

    2 scenarios, none failed; 12 runs
    ");
    let bad = run(folder.path(), &["bad", "--threads", "2"]);
    assert_eq!(status(&bad), 1);
    insta::assert_snapshot!("failures", timeless(&text(&bad.stdout)));
    let alone = run(folder.path(), &["bad", "-j1"]);
    assert_eq!(timeless(&text(&bad.stdout)), timeless(&text(&alone.stdout)), "any number of threads");
    let quiet = run(folder.path(), &["-q", "good", "bad"]);
    assert_eq!((status(&quiet), text(&quiet.stdout)), (1, String::new()));
    assert!(!text(&quiet.stderr).contains('✔'), "{}", text(&quiet.stderr));
    // The command that is named shows the failure.
    let shown = text(&bad.stdout);
    let command = shown.lines().find_map(|line| line.trim().strip_prefix("reproduce: splitbrain ")).expect("one");
    let mut again = Command::new(env!("CARGO_BIN_EXE_splitbrain"));
    let again = again.current_dir(folder.path()).args(command.split(' ')).arg("--no-report").output().expect("starts");
    assert_eq!(status(&again), 1);
}

#[test]
fn results_are_said_to_programs() {
    let folder = folder();
    std::fs::write(folder.path().join("bad/broken.toml"), "duration = 5\n").expect("written");
    let page = folder.path().join("page.md");
    let mut command = Command::new(env!("CARGO_BIN_EXE_splitbrain"));
    command.current_dir(folder.path()).env("GITHUB_STEP_SUMMARY", &page);
    let files = ["--junit", "out/junit.xml", "--markdown", "out/summary.md"];
    let output = command.args(["test", "good", "bad", "--json", "--github"]).args(files).output().expect("starts");
    assert_eq!(status(&output), 2, "a file that is no scenario is worse than a failure");
    let json: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["passed"], false);
    let counts = &json["counts"];
    assert_eq!(
        (counts["scenarios"].as_u64(), counts["failed"].as_u64(), counts["runs"].as_u64()),
        (Some(6), Some(4), Some(30))
    );
    let failing = json["scenarios"].as_array().expect("a list").iter().find(|one| one["file"] == "bad/fails.toml");
    let failing = failing.expect("it was run");
    assert_eq!(failing["result"], "failed");
    assert!(failing["failed_runs"].as_u64().expect("a number") > 0);
    assert!(
        failing["expectations"][0]["reproduce"]
            .as_str()
            .expect("a command")
            .starts_with("splitbrain run bad/fails.toml --seed ")
    );

    let annotations = text(&output.stderr);
    assert!(
        annotations
            .contains("::error file=bad/fails.toml,line=19,title=splitbrain::writes.latency-max <= 5.8ms: not with "),
        "{annotations}"
    );
    assert!(annotations.contains("::error file=bad/broken.toml,title=splitbrain::"), "{annotations}");
    assert_eq!(annotations.lines().count(), 4, "{annotations}");

    let markdown = std::fs::read_to_string(folder.path().join("out/summary.md")).expect("written");
    assert_eq!(markdown, std::fs::read_to_string(page).expect("appended"));
    assert!(markdown.starts_with("## ❌ splitbrain: 6 scenarios, 4 failed; 30 runs in "), "{markdown}");
    assert!(markdown.contains("| bad/fails.toml | 0..6 |"), "{markdown}");

    let junit = std::fs::read_to_string(folder.path().join("out/junit.xml")).expect("written");
    assert!(
        junit.contains("<testsuite name=\"bad/fails.toml\" tests=\"3\" skipped=\"0\" errors=\"0\" failures=\"1\""),
        "{junit}"
    );
    assert!(
        junit.contains("<testsuite name=\"bad/broken.toml\" tests=\"1\" skipped=\"0\" errors=\"1\" failures=\"0\""),
        "{junit}"
    );
    assert!(junit.contains("reproduce: splitbrain run bad/fails.toml --seed"), "{junit}");
}

/// A pin holds until the run changes; then the first event that differs is shown, and blessing pins anew without touching the rest of the file.
#[test]
fn pins_are_checked_explained_and_blessed() {
    let folder = folder();
    let path = folder.path().join("good/holds.toml");
    let file = "good/holds.toml";
    let blessed = run(folder.path(), &[file, "--bless"]);
    assert_eq!(status(&blessed), 0);
    assert!(text(&blessed.stdout).contains("digest of seed 5 pinned: "), "{}", text(&blessed.stdout));
    let pinned = std::fs::read_to_string(&path).expect("there");
    assert!(pinned.starts_with(SMALL), "{pinned}");
    assert_eq!(status(&run(folder.path(), &[file])), 0);
    assert_eq!(pinned, std::fs::read_to_string(&path).expect("there"));

    // One value less: the run differs from the first operation on, and so do some metrics.
    let changed = pinned.replace("rate = \"20/s\"", "rate = \"19/s\"");
    std::fs::write(&path, &changed).expect("written");
    let failed = run(folder.path(), &[file]);
    assert_eq!(status(&failed), 1);
    let said = text(&failed.stdout);
    assert!(said.contains("digest of seed 5: pinned "), "{said}");
    assert!(said.contains("the first event that differs is ") && !said.contains("is one of"), "{said}");
    assert!(said.contains("writes.acked: was ") && said.contains(", now "), "{said}");
    assert!(said.contains("if it is meant: splitbrain test good/holds.toml --bless"), "{said}");
    assert_eq!(status(&run(folder.path(), &[file, "--bless"])), 0);
    let again = std::fs::read_to_string(&path).expect("there");
    assert_ne!(again, changed);
    assert_eq!(again.len(), changed.len(), "only digits of the digest changed");
    assert_eq!(status(&run(folder.path(), &[file])), 0);

    // Without the file beside it the digest is still checked.
    std::fs::remove_file(path.with_extension("pins")).expect("it was there");
    assert_eq!(status(&run(folder.path(), &[file])), 0);
    std::fs::write(&path, again.replace("19/s", "18/s")).expect("written");
    let failed = run(folder.path(), &[file]);
    assert!(text(&failed.stdout).contains("nothing was kept to compare with"), "{}", text(&failed.stdout));
}

#[test]
fn what_passed_before_is_skipped() {
    let folder = folder();
    let args = ["good", "bad", "--changed-only=state/passed.json"];
    let first = run(folder.path(), &args);
    assert_eq!(status(&first), 1);
    let second = run(folder.path(), &args);
    assert_eq!(status(&second), 1, "what failed is run again");
    let said = text(&second.stdout);
    assert!(said.contains("– good/holds.toml  passed before"), "{said}");
    assert!(said.contains("5 scenarios, 3 failed, 2 skipped as before; 18 runs"), "{said}");
    // A comment changes nothing, a value does, another seed as well.
    let path = folder.path().join("good/holds.toml");
    std::fs::write(&path, format!("# More.\n{SMALL}")).expect("written");
    assert!(text(&run(folder.path(), &args).stdout).contains("– good/holds.toml"));
    std::fs::write(&path, SMALL.replace("20/s", "21/s")).expect("written");
    assert!(text(&run(folder.path(), &args).stdout).contains("✔ good/holds.toml"));
    let other = ["good", "--changed-only=state/passed.json", "--seeds", "3"];
    assert!(text(&run(folder.path(), &other).stdout).contains("✔ good/holds.toml"));
}

/// A livelock is a failure with a command, in a negative scenario too.
#[test]
fn limits_end_runs() {
    let folder = folder();
    let output = run(folder.path(), &["good/holds.toml", "--max-events", "50"]);
    assert_eq!(status(&output), 1);
    let said = text(&output.stdout);
    assert!(said.contains("stopped at the limit of 50 events"), "{said}");
    assert!(said.contains("reproduce: splitbrain run good/holds.toml --seed 0 --max-events 50"), "{said}");
    let path = folder.path().join("limited.toml");
    std::fs::write(&path, format!("{SMALL}max-events = 50\n")).expect("written");
    assert_eq!(text(&run(folder.path(), &["limited.toml"]).stdout).matches("limit of 50 events").count(), 6);
    std::fs::write(&path, format!("{SMALL}max-simulated = \"2s\"\n")).expect("written");
    let output = run(folder.path(), &["limited.toml"]);
    assert_eq!(status(&output), 2);
    assert!(text(&output.stdout).contains("every run takes 3s"), "{}", text(&output.stdout));
}
