//! Linearizability: Porcupine's test data, and `check-history` as people call it.

use std::fs;
use std::path::{Path, PathBuf};

use splitbrain::check::histories::{Format, read};
use splitbrain::check::linearizable::{Answer, BUDGET, Effort, ModelName, check};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/porcupine")
}

/// Each file with what Porcupine says of it.
fn verdicts() -> Vec<(String, Answer)> {
    let text = fs::read_to_string(data().join("verdicts.txt")).expect("verdicts.txt");
    let row = |line: &str| {
        let (name, verdict) = line.split_once(' ').expect("a name and a verdict");
        (name.to_owned(), if verdict == "ok" { Answer::Linearizable } else { Answer::Illegal })
    };
    text.lines().map(row).collect()
}

#[test]
fn porcupines_verdicts_are_ours() {
    let verdicts = verdicts();
    let files = ["jepsen", "kv"].map(|folder| fs::read_dir(data().join(folder)).expect("data").count());
    assert_eq!(verdicts.len(), files[0] + files[1], "every file has a verdict");
    for (name, expected) in verdicts {
        let text = fs::read_to_string(data().join(&name)).expect("readable");
        let (format, model) = match name.starts_with("kv/") {
            true => (Format::PorcupineKv, ModelName::Kv),
            false => (Format::PorcupineEtcd, ModelName::Register),
        };
        assert!(text.is_empty() || Format::guess(&text) == Some(format), "{name}");
        let history = read(&text, format).expect("readable");
        let report = check(&history, model, Effort { budget: BUDGET, explain: true }).expect("fits");
        assert_eq!(report.answer, expected, "{name}");
        assert_eq!(report.contradiction.is_some(), expected == Answer::Illegal, "{name}: what is wrong is shown");
        let quick = check(&history, model, Effort { budget: BUDGET, explain: false }).expect("fits");
        assert_eq!(quick.answer, expected, "{name}, without explanation");
    }
}

fn splitbrain(args: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_splitbrain")).args(args).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it exits"), text(&output.stdout), text(&output.stderr))
}

fn file(name: &str) -> String {
    data().join(name).display().to_string()
}

#[test]
fn check_history_says_what_it_found() {
    let (code, out, _) = splitbrain(&["check-history", &file("kv/c10-ok.txt")]);
    assert_eq!(code, 0, "{out}");
    assert!(out.ends_with(
        "c10-ok.txt: linearizable\n337 operations of 10 processes on 10 keys, as a kv, from porcupine-kv\n"
    ));

    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out").display().to_string();
    let (code, text, _) = splitbrain(&["check-history", &file("jepsen/etcd_001.log"), "--out", &out]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("not linearizable") && text.contains("has no place"), "{text}");
    let (code, object, _) = splitbrain(&["check-history", &file("jepsen/etcd_001.log"), "--json", "--out", &out]);
    assert_eq!(code, 1);
    let object: serde_json::Value = serde_json::from_str(&object).expect("one object");
    assert_eq!((object["verdict"].as_str(), object["model"].as_str()), (Some("not linearizable"), Some("register")));
    let operations = object["contradiction"]["operations"].as_array().expect("the shortest part");
    assert_eq!(operations.iter().filter(|shown| shown["blocked"] == true).count(), 1);
    for name in ["linearizable.svg", "linearizable.png", "summary.json"] {
        assert!(fs::metadata(folder.path().join("out").join(name)).is_ok_and(|file| file.len() > 500), "{name}");
    }
}

#[test]
fn check_history_refuses_what_it_cannot_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("writable");
        path.display().to_string()
    };
    let bad = write("bad.edn", "{:type :invoke :f :read :process 0}\n{:type :invoke :f :read :process 0}\n");
    let odd = write("odd.edn", "{:type :invoke :f :fly :process 0}\n{:type :ok :f :fly :process 0}\n");
    let table = write("table.csv", "process,f\n1,read\n");
    for (args, message) in [
        (vec!["check-history", &bad], "bad.edn:2: process 0 is still busy with what it invoked in line 1"),
        (vec!["check-history", &odd], "odd.edn:1: \"fly\" is no operation of this model"),
        (vec!["check-history", &table], "--format is one of jepsen-edn, jepsen-json"),
        (vec!["check-history", "/no/such/file"], "can't read /no/such/file"),
        (vec!["check-history", &bad, "--model", "tree"], "possible values: register, counter"),
    ] {
        let (code, _, err) = splitbrain(&args);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(message), "{err}");
    }
}

/// A run's own history can be checked again from its file, with the same answer.
#[test]
fn our_own_histories_are_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/negative/expects-linearizable.toml");
    let out = folder.path().display().to_string();
    let (code, text, err) = splitbrain(&["run", &scenario.display().to_string(), "--out", &out]);
    assert_eq!(code, 1, "{text}{err}");
    assert!(folder.path().join("linearizable.svg").exists(), "the picture is part of the report");
    let history = folder.path().join("history.jsonl").display().to_string();
    let (code, text, err) = splitbrain(&["check-history", &history]);
    assert_eq!(code, 1, "{text}{err}");
    assert!(text.contains("as a register, from splitbrain-jsonl"), "{text}");
}
