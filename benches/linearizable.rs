//! The linearizability checker on Porcupine's test data, reading the files excluded, each answer compared with
//! Porcupine's. `benches/porcupine/compare.sh` runs Porcupine on the same files in the same run: for it,
//! `--every-file FOLDER` prints a line for each file, with the CPU time of a check, the mean of as many as fill `WHILE`.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and the environment, and says what it measured"
)]

use std::hint::black_box;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use criterion::Criterion;
use splitbrain::check::histories::{Format, read};
use splitbrain::check::linearizable::{Answer, BUDGET, Effort, History, ModelName, check};

/// A file.
struct Case {
    name: String,
    model: ModelName,
    history: History,
}

impl Case {
    fn new(folder: &Path, name: &str) -> Case {
        let text = std::fs::read_to_string(folder.join(name)).expect("the file is there");
        let (format, model) = if name.starts_with("kv/") {
            (Format::PorcupineKv, ModelName::Kv)
        } else {
            (Format::PorcupineEtcd, ModelName::Register)
        };
        Case { name: name.to_owned(), model, history: read(&text, format).expect("readable") }
    }

    fn answer(&self) -> Answer {
        let effort = Effort { budget: BUDGET, explain: false };
        check(black_box(&self.history), self.model, effort).expect("the model fits").answer
    }
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Linearizable => "ok",
        Answer::Illegal => "bad",
        Answer::Unknown => "unknown",
    }
}

/// The CPU time of this thread, where the system tells, or else the time that has passed.
fn cpu() -> Duration {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    ns.map_or_else(|| BEGIN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

fn every_file(folder: &Path) {
    let length = std::env::var("WHILE").ok().and_then(|text| text.strip_suffix("ms")?.parse().ok()).unwrap_or(20);
    let mut names: Vec<String> = ["jepsen", "kv"]
        .iter()
        .flat_map(|part| {
            let files = std::fs::read_dir(folder.join(part)).expect("Porcupine's test data").flatten();
            files.map(move |file| format!("{part}/{}", file.file_name().to_string_lossy()))
        })
        .collect();
    names.sort();
    for name in names {
        let case = Case::new(folder, &name);
        let verdict = word(case.answer());
        let mut count: u64 = 1;
        let took = loop {
            let begin = cpu();
            (0..count).for_each(|_| _ = case.answer());
            let took = cpu() - begin;
            if took >= Duration::from_millis(length) {
                break took;
            }
            count *= 2;
        };
        println!("FILE {name} {verdict} {}", took.as_nanos() / u128::from(count));
    }
}

fn measure(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/porcupine");
    let verdicts = std::fs::read_to_string(folder.join("verdicts.txt")).expect("the data is in the repository");
    let cases: Vec<(Case, &str)> = verdicts
        .lines()
        .map(|line| {
            let (name, verdict) = line.split_once(' ').expect("a name and a verdict");
            (Case::new(&folder, name), verdict)
        })
        .collect();
    let run = |(case, verdict): &(Case, &str)| assert_eq!(word(case.answer()), *verdict, "{}", case.name);
    let (kv, etcd): (Vec<_>, Vec<_>) = cases.iter().partition(|(case, _)| case.name.starts_with("kv/"));
    let mut group = criterion.benchmark_group("linearizable");
    for case in kv {
        group.bench_function(&case.0.name, |bencher| bencher.iter(|| run(case)));
    }
    group.bench_function("jepsen, all logs", |bencher| bencher.iter(|| etcd.iter().for_each(|case| run(case))));
    group.finish();
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--every-file") {
        every_file(Path::new(args.get(at + 1).expect("--every-file FOLDER")));
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion);
    criterion.final_summary();
}
