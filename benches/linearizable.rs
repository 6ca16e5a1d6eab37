//! The linearizability checker on Porcupine's test data, reading the files excluded, each answer compared with
//! Porcupine's. `benches/porcupine.sh` runs Porcupine's own benchmarks beside it.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use splitbrain::check::histories::{Format, read};
use splitbrain::check::linearizable::{Answer, BUDGET, Effort, History, ModelName, check};

struct Case {
    name: String,
    model: ModelName,
    history: History,
    answer: Answer,
}

impl Case {
    fn run(&self) {
        let effort = Effort { budget: BUDGET, explain: false };
        let report = check(black_box(&self.history), self.model, effort).expect("the model fits");
        assert_eq!(report.answer, self.answer, "{}", self.name);
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/porcupine");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the data is in the repository");
    let case = |line: &str| {
        let (name, verdict) = line.split_once(' ').expect("a name and a verdict");
        let (format, model) = if name.starts_with("kv/") {
            (Format::PorcupineKv, ModelName::Kv)
        } else {
            (Format::PorcupineEtcd, ModelName::Register)
        };
        let history = read(&text(name), format).expect("readable");
        let answer = if verdict == "ok" { Answer::Linearizable } else { Answer::Illegal };
        Case { name: name.to_owned(), model, history, answer }
    };
    text("verdicts.txt").lines().map(case).collect()
}

fn porcupine(criterion: &mut Criterion) {
    let cases = cases();
    let (kv, etcd): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.name.starts_with("kv/"));
    let mut group = criterion.benchmark_group("linearizable");
    for case in kv {
        group.bench_function(&case.name, |bencher| bencher.iter(|| case.run()));
    }
    group.bench_function("jepsen, all logs", |bencher| bencher.iter(|| etcd.iter().for_each(|case| case.run())));
    for name in ["002", "007", "040", "057", "062", "075", "099"] {
        let case = etcd.iter().find(|case| case.name.ends_with(&format!("{name}.log"))).expect("a log of that number");
        group.bench_function(&case.name, |bencher| bencher.iter(|| case.run()));
    }
    group.finish();
}

criterion_group!(benches, porcupine);
criterion_main!(benches);
