//! Linearizability: Porcupine's test data, and `check-history` as people call it.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use splitbrain::check::histories::{Format, read};
use splitbrain::check::linearizable::{Answer, BUDGET, Effort, ModelName, check};
use splitbrain::report::{chart, contradiction};

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

/// What lock clients believed is a history too; two who hold a lock at once have no order.
#[test]
fn histories_of_locks_are_judged() {
    for (name, expected, says) in [
        ("redlock-quiet", 0, "as a lock, from splitbrain-jsonl"),
        ("unsafe-del", 1, "acquire"),
        ("failover-lock", 1, "acquire"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/locks/{name}.toml"));
        let out = folder.path().display().to_string();
        let (code, text, err) = splitbrain(&["run", &scenario.display().to_string(), "--out", &out]);
        assert_eq!(code, 0, "{text}{err}");
        let history = folder.path().join("history.jsonl").display().to_string();
        let (code, text, err) = splitbrain(&["check-history", &history]);
        assert_eq!(code, expected, "{name}: {text}{err}");
        assert!(text.contains(says), "{name}: {text}");
    }
}

const EDN: &str = "{:type :invoke, :f :add, :value 3, :process 0, :time 10, :index 0}
{:type :invoke, :f :acquire, :value nil, :process 2, :time 11, :index 1}
{:type :info, :f :start, :value \"cut\", :process :nemesis, :time 12}
{:type :ok, :f :add, :value 3, :process 0, :time 20, :index 2}
{:type :invoke, :f :read, :value nil, :process 1, :time 21}
{:type :ok, :f :acquire, :value 7, :process 2, :time 22}
{:type :ok, :f :read, :value [3 4], :process 1, :time 23}
{:type :invoke, :f :enqueue, :value #{1 2}, :process 3, :time 24}
{:type :fail, :f :enqueue, :value #{1 2}, :process 3, :time 25, :error [:full \"so\"]}
";

const JSON: &str = r#"[{"type":"invoke","f":"append","value":["a",1],"process":0},
{"type":"ok","f":"append","value":["a",1],"process":0},
{"type":"invoke","f":"read","value":["a",null],"process":1},
{"type":"invoke","f":"cas","value":["b",[1,2]],"process":2,"time":7},
{"type":"info","f":"cas","value":["b",[1,2]],"process":2,"time":9},
{"type":"ok","f":"read","value":["a",[1.5,"x"]],"process":1}]
"#;

/// What can happen to a file.
#[derive(Clone, Debug)]
enum Damage {
    /// A line is missing.
    Drop(usize),
    /// A line is there twice.
    Twice(usize),
    /// Two lines have changed places.
    Swap(usize, usize),
    /// Some of its characters are others.
    Patch(usize, usize, String),
    /// It ends early.
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let pieces =
        "(-?[0-9]{1,20}|nil|null|true|[ \\[\\](){}#:\",;\\\\a-z]{0,6}|:(invoke|ok|fail|info|read|cas|put|get)|\t|\n|é)";
    prop_oneof![
        any::<usize>().prop_map(Damage::Drop),
        any::<usize>().prop_map(Damage::Twice),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Damage::Swap(a, b)),
        (any::<usize>(), 0usize..12, pieces).prop_map(|(at, length, text)| Damage::Patch(at, length, text)),
        any::<usize>().prop_map(Damage::Cut),
    ]
}

fn apply(text: &str, damage: &Damage) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let count = lines.len().max(1);
    let boundary = |at: usize| (0..=at % (text.len() + 1)).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    match damage {
        _ if lines.is_empty() => return String::new(),
        Damage::Drop(at) => _ = lines.remove(at % count),
        Damage::Twice(at) => lines.insert(at % count, lines[at % count]),
        Damage::Swap(a, b) => lines.swap(a % count, b % count),
        Damage::Patch(at, length, new) => {
            let from = boundary(*at);
            let to = (from + length..=text.len()).find(|&to| text.is_char_boundary(to)).unwrap_or(text.len());
            return format!("{}{new}{}", &text[..from], &text[to..]);
        }
        Damage::Cut(at) => return text[..boundary(*at)].to_owned(),
    }
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A damaged file is read or refused with a line of its own, and whatever is read can be judged, explained and drawn.
    #[test]
    fn damaged_files_do_no_harm(
        which in 0usize..5,
        damages in prop::collection::vec(damage(), 1..6),
        format in prop::option::weighted(0.2, prop::sample::select(Format::ALL.to_vec())),
    ) {
        let kept = |name: &str| fs::read_to_string(data().join(name)).expect("readable");
        let whole = match which {
            0 => EDN.to_owned(),
            1 => JSON.to_owned(),
            2 => JSON.trim().trim_start_matches('[').trim_end_matches(']').replace("},\n", "}\n"),
            3 => kept("kv/c01-bad.txt"),
            _ => kept("jepsen/etcd_001.log").lines().take(60).map(|line| format!("{line}\n")).collect(),
        };
        let text = damages.iter().fold(whole, |text, damage| apply(&text, damage));
        let lines = u32::try_from(text.lines().count()).expect("short") + 1;
        let Some(format) = format.or_else(|| Format::guess(&text)) else { return Ok(()) };
        let history = match read(&text, format) {
            Ok(history) => history,
            Err(bad) => {
                prop_assert!(bad.line <= lines && !bad.message.is_empty(), "{bad:?}");
                return Ok(());
            }
        };
        for model in ModelName::ALL.into_iter().chain([ModelName::guess(&history)]) {
            match check(&history, model, Effort { budget: 500, explain: true }) {
                Ok(report) => {
                    prop_assert_eq!(report.illegal > 0, report.answer == Answer::Illegal);
                    if let Some(found) = &report.contradiction {
                        prop_assert!(contradiction::lines(found).len() > 3);
                        prop_assert!(chart::contradiction("", found).svg().contains("<svg"));
                    }
                }
                Err(misfit) => prop_assert!(misfit.line <= lines && !misfit.message.is_empty(), "{misfit:?}"),
            }
        }
    }
}
