//! Sweeps from outside: the same results for any number of threads and shards, after a kill, and in every format.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

/// Segments get lost, so that seeds differ.
const LOSSY: &str = r#"
description = "A client, a server, and a network that loses segments."
duration = "4s"
settle = "1s"
network = { latency = "1ms", loss = 0.004 }

[[redis]]
name = "r1"

[[client]]
name = "c"
via = "redis:r1"
workload = { kind = "kv", rate = "50/s", write-ratio = 0.5 }

[expect]
"writes.lost" = 0
"writes.latency-max" = "<= 10ms"
"writes.latency-max.p90" = "<= 1s"
"writes.latency-max.min" = "<= 3ms"
"writes.acked.mean" = "> 50"
"#;

fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splitbrain"));
    command.current_dir(folder).args(args).stdin(Stdio::null()).env_remove("NO_COLOR");
    for variable in [
        "CI_NODE_INDEX",
        "BUILDKITE_PARALLEL_JOB",
        "AWS_BATCH_JOB_ARRAY_INDEX",
        "SLURM_ARRAY_TASK_ID",
        "JOB_COMPLETION_INDEX",
    ] {
        command.env_remove(variable);
    }
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    program(folder, args).output().expect("the program starts")
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn folder_with(scenario: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("s.toml"), scenario).expect("written");
    folder
}

/// Every file of a results' folder; `sweep.json` too where it is about the same part.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a results' folder").map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    entries.filter(|path| path.is_file()).map(|path| (name(&path), std::fs::read(&path).expect("readable"))).collect()
}

fn same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in a {
        assert!(*bytes == b[name], "{what}: {name} differs");
    }
}

fn json(folder: &Path) -> Json {
    serde_json::from_slice(&std::fs::read(folder.join("summary.json")).expect("a summary")).expect("JSON")
}

#[test]
fn threads_and_shards_make_no_difference() {
    let folder = folder_with(LOSSY);
    let at = folder.path();
    let sweep = |out: &str, more: &[&str]| {
        let mut args = vec!["sweep", "s.toml", "--seeds", "5..28", "--quiet", "--out", out];
        args.extend(more);
        let output = run(at, &args);
        assert_eq!(status(&output), 1, "some runs lose a segment: {}", text(&output));
    };
    sweep("one", &["--threads", "1"]);
    let one = files(&at.join("one"));
    for file in ["index.html", "rows.jsonl", "summary.json", "sweep.json", "writes.latency-max-ecdf.png"] {
        assert!(one.get(file).is_some_and(|bytes| !bytes.is_empty()), "{file} of {:?}", one.keys());
    }
    for threads in ["2", "3"] {
        sweep(threads, &["--threads", threads]);
        same(&one, &files(&at.join(threads)), threads);
    }
    for shards in [2, 5] {
        let mut merge = vec!["merge".to_owned(), "--quiet".to_owned(), "--out".to_owned(), format!("whole-{shards}")];
        for shard in (1..=shards).rev() {
            let out = format!("part-{shard}-{shards}");
            let output = run(
                at,
                &["sweep", "s.toml", "--seeds", "5..28", "-q", "--shard", &format!("{shard}/{shards}"), "--out", &out],
            );
            assert!(status(&output) < 2, "{}", text(&output));
            merge.push(out);
        }
        let merge: Vec<&str> = merge.iter().map(String::as_str).collect();
        assert_eq!(status(&run(at, &merge)), 1);
        same(&one, &files(&at.join(format!("whole-{shards}"))), &format!("{shards} shards"));
    }
}

#[allow(clippy::disallowed_methods, reason = "waits for another process")]
fn wait_for(done: &mut dyn FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(120), "rows come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A real process is killed; what it had written is kept, the rest is made, nothing twice.
#[test]
fn a_killed_sweep_goes_on() {
    let folder = folder_with(&LOSSY.replace("4s", "20s"));
    let at = folder.path();
    let args = ["sweep", "s.toml", "--seeds", "0..400", "-q", "--threads", "2", "--resume", "--out", "killed"];
    let mut child = program(at, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let rows = at.join("killed/rows.jsonl");
    wait_for(&mut || {
        assert!(child.try_wait().expect("a child").is_none(), "the sweep ended before it could be killed");
        std::fs::metadata(&rows).map_or(0, |file| file.len()) >= 20_000
    });
    child.kill().expect("it can be killed");
    child.wait().expect("a child");
    let before = std::fs::read(&rows).expect("rows");
    let kept = before.iter().filter(|&&byte| byte == b'\n').count();
    assert!(kept > 0 && kept < 400, "{kept} rows at the kill");

    // Without --resume nothing is overwritten by accident.
    let refused = run(at, &["sweep", "s.toml", "--seeds", "0..400", "--out", "killed"]);
    assert!(status(&refused) == 2 && text(&refused).contains("--resume goes on with it"), "{}", text(&refused));
    for (args, message) in [
        (["--seeds", "0..401", "--set", "settle=1s"], "other seeds"),
        (["--seeds", "0..400", "--set", "network.loss=0.005"], "another version of this scenario"),
    ] {
        let mut all = vec!["sweep", "s.toml", "--resume", "--out", "killed"];
        all.extend(args);
        let refused = run(at, &all);
        assert!(status(&refused) == 2 && text(&refused).contains(message), "{}", text(&refused));
    }

    // A line that was torn as the machine went down.
    let mut torn = before.clone();
    torn.extend_from_slice(b"{\"seed\":399,\"dig");
    std::fs::write(&rows, &torn).expect("written");
    let output = run(at, &["sweep", "s.toml", "--seeds", "0..400", "--threads", "2", "--resume", "--out", "killed"]);
    assert!(status(&output) < 2, "{}", text(&output));
    assert!(text(&output).contains(&format!("{kept} of 400 runs are there already")), "{}", text(&output));
    let after = std::fs::read(&rows).expect("rows");
    let whole = before.len() - before.iter().rev().take_while(|&&byte| byte != b'\n').count();
    assert!(after.starts_with(&before[..whole]), "what was there is kept");

    let output = run(at, &["sweep", "s.toml", "--seeds", "0..400", "-q", "--out", "straight"]);
    assert!(status(&output) < 2, "{}", text(&output));
    same(&files(&at.join("straight")), &files(&at.join("killed")), "resumed");
    // Once more there is nothing to do.
    let again = run(at, &["sweep", "s.toml", "--seeds", "0..400", "--resume", "--out", "killed"]);
    assert!(text(&again).contains("400 of 400 runs are there already"), "{}", text(&again));
    same(&files(&at.join("straight")), &files(&at.join("killed")), "resumed twice");
}

#[test]
fn what_does_not_fit_is_not_merged() {
    let folder = folder_with(LOSSY);
    let at = folder.path();
    for (out, more) in [
        ("a", &["--shard", "1/3"][..]),
        ("b", &["--shard", "2/3"]),
        ("b2", &["--shard", "2/3"]),
        ("c", &["--shard", "3/3"]),
        ("other", &["--shard", "3/3", "--set", "settle=2s"]),
        ("four", &["--shard", "3/4"]),
    ] {
        let mut args = vec!["sweep", "s.toml", "--seeds", "0..9", "-q", "--out", out];
        args.extend(more);
        assert!(status(&run(at, &args)) < 2);
    }
    std::fs::create_dir(at.join("empty")).expect("a folder");
    let rows = std::fs::read_to_string(at.join("c/rows.jsonl")).expect("rows");
    let lines: Vec<&str> = rows.lines().collect();
    for (folders, message) in [
        (&["a", "b"][..], "shards are missing: 3/3"),
        (&["a", "b", "b2", "c"], "b and b2 are both shard 2/3"),
        (&["a", "b", "other"], "not of one sweep: different versions of the scenario"),
        (&["a", "four"], "one of 3 shards and one of 4"),
        (&["a", "empty"], "holds no sweep"),
    ] {
        let mut args = vec!["merge"];
        args.extend(folders);
        let output = run(at, &args);
        assert!(status(&output) == 2 && text(&output).contains(message), "{folders:?}: {}", text(&output));
    }
    for (damage, message) in [
        (format!("{}\n", lines[..2].join("\n")), "c is unfinished, 2 of 3 runs"),
        (format!("{}\n{}\n", lines[0], lines[2]), "line 2 has seed 8 where seed 5 is due"),
        (format!("{}\n{{}}\n", lines[0]), "line 2 is not a row of this sweep"),
        (format!("{rows}{}\n", lines[0]), "has seed 2 where the end is due"),
    ] {
        std::fs::write(at.join("c/rows.jsonl"), damage).expect("written");
        let output = run(at, &["merge", "a", "b", "c", "--out", "whole"]);
        assert!(status(&output) == 2 && text(&output).contains(message), "{message}: {}", text(&output));
        assert!(!at.join("whole").exists(), "nothing is written before all is known to fit");
    }
}

#[test]
fn expectations_on_distributions_are_judged() {
    let folder = folder_with(LOSSY);
    let at = folder.path();
    let output = run(at, &["sweep", "s.toml", "--seeds", "0..30", "--json", "--out", "r"]);
    assert_eq!(status(&output), 1, "{}", text(&output));
    let printed: Json = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let summary = json(&at.join("r"));
    assert_eq!(printed["expectations"], summary["expectations"]);
    let of = |metric: &str, expected: &str| {
        let list = summary["expectations"].as_array().expect("a list");
        let found = list.iter().find(|one| one["metric"] == metric && one["expected"] == expected);
        found.unwrap_or_else(|| panic!("{metric} in {list:?}")).clone()
    };
    assert_eq!(of("writes.lost", "= 0")["passed"], true);
    let single = of("writes.latency-max", "<= 10ms");
    let failed = summary["failed"].as_u64().expect("a number");
    assert!(failed > 0 && failed < 30, "{summary}");
    assert_eq!((&single["passed"], single["held_in"].as_u64()), (&Json::Bool(false), Some(30 - failed)));
    let p90 = of("writes.latency-max.p90", "<= 1s");
    assert_eq!((&p90["passed"], &p90["actual"]), (&Json::Bool(true), &summary["metrics"]["writes.latency-max"]["p90"]));
    assert_eq!(of("writes.latency-max.min", "<= 3ms")["passed"], true);
    // One on a distribution fails a sweep though every run passes.
    let sets = ["--set", "expect={ \"writes.latency-max.mean\" = \"<= 1ms\" }"];
    let output = run(at, &["sweep", "s.toml", "--seeds", "0..30", "--no-report", sets[0], sets[1]]);
    assert_eq!(status(&output), 1, "{}", text(&output));
    assert!(text(&output).contains("all 30 runs passed") && text(&output).contains("✘"), "{}", text(&output));
    // Each failing group names a seed that fails.
    let group = &summary["groups"][0];
    let command = group["reproduce"].as_str().expect("a command").strip_prefix("splitbrain ").expect("ours");
    let words: Vec<&str> = command.split(' ').chain(["--no-report"]).collect();
    assert_eq!(status(&run(at, &words)), 1, "{command}");
}

#[test]
fn rows_are_the_same_in_both_formats() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    let folder =
        folder_with(&format!("{LOSSY}\n[matrix]\n'network.latency' = ['1ms', '3ms']\n'client[0].count' = [1, 2]\n"));
    let at = folder.path();
    let output = run(at, &["sweep", "s.toml", "--seeds", "0..6", "-q", "--out", "r"]);
    assert!(status(&output) < 2, "{}", text(&output));
    let lines = std::fs::read_to_string(at.join("r/rows.jsonl")).expect("rows");
    let lines: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 24);
    let file = std::fs::File::open(at.join("r/rows.parquet")).expect("a Parquet file");
    let reader = SerializedFileReader::new(file).expect("readable");
    let rows: Vec<Json> =
        reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row").to_json_value()).collect();
    assert_eq!(rows.len(), lines.len());
    for (row, line) in rows.iter().zip(&lines) {
        for (name, value) in line.as_object().expect("an object") {
            let read = &row[name];
            match (value.as_f64(), read.as_f64()) {
                (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{name}: {a} {b}"),
                _ => assert_eq!(read, value, "{name}"),
            }
        }
    }
    assert_eq!((&lines[23]["network.latency"], &lines[23]["client[0].count"]), (&"3ms".into(), &2.into()));
}

#[test]
fn a_matrix_is_swept_and_a_run_needs_one_of_it() {
    let scenario = format!("{LOSSY}\n[matrix]\n'network.loss' = [0, 0.01]\nnetwork.latency = ['1ms', '9ms']\n");
    let folder = folder_with(&scenario);
    let at = folder.path();
    let output = run(at, &["sweep", "s.toml", "--seeds", "0..10", "--out", "r"]);
    assert_eq!(status(&output), 1, "{}", text(&output));
    assert!(text(&output).contains("4 variants × 10 seeds"), "{}", text(&output));
    let summary = json(&at.join("r"));
    let variants = summary["variants"].as_array().expect("variants");
    assert_eq!(variants.len(), 4);
    assert_eq!(variants[2]["set"], serde_json::json!({ "network.loss": 0.01, "network.latency": "1ms" }));
    assert_eq!(variants[0]["passed"], 10, "nothing is lost without loss");
    assert!(
        at.join("r/writes.latency-max.svg").exists() && at.join("r/failing.png").exists(),
        "{:?}",
        files(&at.join("r")).keys()
    );
    // The numbers of the heat map are those of the variants.
    let charts = summary["charts"].as_array().expect("charts");
    let map = charts.iter().find(|chart| chart["chart"] == "failing").expect("a heat map");
    let failing = map["shows"]["cells"][1][0]["value"].as_f64().expect("a share");
    let passing = variants[2]["pass_rate"]["share"].as_f64().expect("a share");
    assert!((failing + passing - 1.0).abs() < 1e-9, "{failing} {passing}");

    let refused = run(at, &["run", "s.toml"]);
    assert!(status(&refused) == 2 && text(&refused).contains("in 4 variants"), "{}", text(&refused));
    let picked =
        run(at, &["run", "s.toml", "--no-report", "-q", "--set", "network.loss=0", "--set", "network.latency=1ms"]);
    assert_eq!(status(&picked), 0, "{}", text(&picked));
    let valid = run(at, &["validate", "s.toml"]);
    assert!(text(&valid).contains("in 4 variants"), "{}", text(&valid));
    std::fs::write(at.join("s.toml"), scenario.replace("'9ms'", "'soon'")).expect("written");
    let wrong = run(at, &["validate", "s.toml"]);
    assert!(status(&wrong) == 2 && text(&wrong).contains("network.latency=soon"), "{}", text(&wrong));
}

#[test]
fn the_environment_chooses_a_shard() {
    let folder = folder_with(LOSSY);
    let at = folder.path();
    let mut command = program(at, &["sweep", "s.toml", "--seeds", "0..10", "--shards", "4"]);
    let output = command.env("JOB_COMPLETION_INDEX", "2").output().expect("it starts");
    assert!(text(&output).contains("shard 3/4 (a Kubernetes indexed job)"), "{}", text(&output));
    let rows = std::fs::read_to_string(at.join("reports/s-sweep/shard-3-of-4/rows.jsonl")).expect("rows");
    let seeds: Vec<u64> = rows
        .lines()
        .map(|row| serde_json::from_str::<Json>(row).expect("JSON")["seed"].as_u64().expect("a seed"))
        .collect();
    assert_eq!(seeds, [2, 6]);
    let mut command = program(at, &["sweep", "s.toml", "--seeds", "0..10"]);
    let output = command.env("JOB_COMPLETION_INDEX", "2").output().expect("it starts");
    assert!(status(&output) == 2 && text(&output).contains("--shards N"), "{}", text(&output));
}

#[test]
fn the_summary_fits_a_screen() {
    let folder = folder_with(LOSSY);
    let output = run(folder.path(), &["sweep", "s.toml", "--seeds", "0..40", "--threads", "2"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let summary = String::from_utf8(output.stdout).expect("text");
    assert!(summary.lines().count() <= 45, "{summary}");
    insta::with_settings!({ filters => vec![(r"in [^ ]+ on 2 threads \([0-9,]+\s+runs/s\)", "in [time] on 2 threads ([rate] runs/s)")] }, {
        insta::assert_snapshot!(summary);
    });
}
