//! Each model with a legal history and the same history with one value changed; searches against one without ideas.

use std::sync::Arc;

use proptest::prelude::*;

use super::history::{Came, Datum, Entry, History, Place};
use super::model::{Look, Model, Numbered, Timed};
use super::models::{Counter, Kv, List, Lock, Mutex, Queue, Register, Set};
use super::schedule::{Interval, NEVER};
use super::search::{Found, search};
use super::{Answer, Effort, ModelName, Report, Shown, check};
use super::{explain, least, registers};
use crate::check::histories::{Format, read};

const EFFORT: Effort = Effort { budget: 1_000_000, explain: true };

/// A history as rows of `process f input output call-return`; a return of `_` is unknown, `x` a failure.
fn history(rows: &str) -> History {
    let reader = |text: &str| {
        let wrapped = format!("{{:type :invoke :f :f :process 0 :value [0 {text}]}}");
        let read = read(&wrapped, Format::JepsenEdn).expect("a value");
        read.entries[0].input.clone()
    };
    let entries = rows.lines().map(str::trim).filter(|row| !row.is_empty()).map(|row| {
        let mut words = row.split('|').map(str::trim);
        let mut next = || words.next().expect("five parts");
        let (process, f) = (next(), next());
        let (input, output) = (reader(next()), reader(next()));
        let (call, ret) = next().split_once('-').expect("an interval");
        let place = |text: &str| Place { order: text.parse().expect("a number"), at: None, line: 0 };
        let came = match ret {
            "_" => Came::Unknown,
            "x" => Came::Failed,
            _ => Came::Ok,
        };
        let ret = (came == Came::Ok).then(|| place(ret));
        Entry { process: process.into(), f: f.into(), key: None, input, output, came, call: place(call), ret }
    });
    History { entries: entries.collect() }
}

fn report(rows: &str, model: ModelName) -> Report {
    check(&history(rows), model, EFFORT).expect("the model has these operations")
}

fn holds_and_fails(model: ModelName, rows: &str, from: &str, to: &str) {
    let legal = report(rows, model);
    assert_eq!(legal.answer, Answer::Linearizable, "{model}\n{rows}");
    assert!(rows.contains(from), "{from} is there to be changed");
    let changed = rows.replacen(from, to, 1);
    let illegal = report(&changed, model);
    assert_eq!(illegal.answer, Answer::Illegal, "{model}\n{changed}");
    let contradiction = illegal.contradiction.expect("small ones are explained");
    assert!(contradiction.blocked().is_some(), "{contradiction:?}");
}

#[test]
fn each_model_holds_and_fails() {
    let register = "a | write | 1 | nil | 1-4\n b | read | nil | nil | 2-3\n b | cas | [1 2] | true | 5-6\n a | cas | [1 3] | false | 7-8\n b | read | nil | 2 | 9-10";
    holds_and_fails(ModelName::Register, register, "[1 3] | false", "[1 3] | true");
    holds_and_fails(ModelName::Register, register, "2 | 9-10", "1 | 9-10");
    let plain = "a | write | 1 | nil | 1-4\n b | read | nil | 1 | 2-3\n c | write | 2 | nil | 5-_\n b | read | nil | 2 | 6-7\n a | read | nil | 2 | 8-9";
    holds_and_fails(ModelName::Register, plain, "2 | 8-9", "1 | 8-9");
    let counter = "a | add | 2 | nil | 1-4\n b | read | nil | 0 | 2-3\n b | incr | nil | 3 | 5-6\n a | dec | 1 | nil | 7-_\n b | read | nil | 2 | 8-9";
    holds_and_fails(ModelName::Counter, counter, "2 | 8-9", "1 | 8-9");
    let set = "a | add | 1 | nil | 1-4\n b | read | nil | #{} | 2-3\n b | add | 2 | nil | 5-_\n a | read | nil | #{1 2} | 6-7\n c | remove | 1 | nil | 8-9\n a | read | nil | [2] | 10-11";
    holds_and_fails(ModelName::Set, set, "[2] | 10-11", "[1] | 10-11");
    let list = "a | append | 1 | nil | 1-4\n b | append | 2 | nil | 2-5\n a | read | nil | [2 1] | 6-7\n b | append | 3 | nil | 8-_\n a | read | nil | [2 1] | 9-10";
    holds_and_fails(ModelName::List, list, "[2 1] | 9-10", "[1 2 3] | 9-10");
    let lock = "a | acquire | nil | 1 | 1-4\n a | release | nil | nil | 5-9\n b | acquire | nil | 2 | 6-10\n b | release | nil | nil | 11-_\n a | acquire | nil | 3 | 12-13";
    holds_and_fails(ModelName::Lock, lock, "3 | 12-13", "2 | 12-13");
    holds_and_fails(ModelName::Lock, lock, "a | release | nil | nil | 5-9", "c | release | nil | nil | 5-9");
    let mutex = "a | acquire | nil | nil | 1-4\n b | release | nil | nil | 5-9\n b | acquire | nil | nil | 6-10\n c | acquire | nil | nil | 7-x";
    holds_and_fails(ModelName::Mutex, mutex, "7-x", "7-8");
    let kv = "a | put | \"x\" | nil | 1-4\n b | append | \"y\" | nil | 2-5\n a | get | nil | \"xy\" | 6-7\n b | append | \"z\" | nil | 8-_\n a | get | nil | \"xyz\" | 9-10";
    holds_and_fails(ModelName::Kv, kv, "\"xyz\" | 9-10", "\"xz\" | 9-10");
    let queue = "a | enqueue | 1 | nil | 1-4\n b | enqueue | 2 | nil | 2-5\n a | dequeue | nil | 2 | 6-7\n b | dequeue | nil | 1 | 8-9\n a | dequeue | nil | nil | 10-11\n b | enqueue | 3 | nil | 12-13\n b | dequeue | nil | nil | 14-_\n b | dequeue | nil | nil | 15-16";
    holds_and_fails(ModelName::Queue, queue, "1 | 8-9", "2 | 8-9");
    holds_and_fails(ModelName::Queue, queue, "nil | nil | 10-11", "nil | 3 | 10-11");
}

#[test]
fn what_does_not_fit_the_model_is_said() {
    for (model, row, message) in [
        (ModelName::Register, "a | enqueue | 1 | nil | 1-2", "\"enqueue\" is no operation of this model"),
        (ModelName::Register, "a | cas | 1 | true | 1-2", "\"cas\" needs two values"),
        (ModelName::Counter, "a | add | \"x\" | nil | 1-2", "\"add\" needs a whole number, not \"x\""),
        (ModelName::Set, "a | read | nil | 3 | 1-2", "\"read\" needs a set or a list, not 3"),
    ] {
        let misfit = check(&history(row), model, EFFORT).expect_err(row);
        assert!(misfit.message.contains(message), "{}", misfit.message);
    }
}

#[test]
fn a_small_budget_leaves_it_open() {
    let adds: String = (0..30).map(|n| format!("p{n} | add | {} | nil | {}-{}\n", 1 << n, n + 1, 100 + n)).collect();
    let rows = adds + "q | read | nil | -1 | 300-301\n";
    let effort = Effort { budget: 1_000, explain: true };
    let report = check(&history(&rows), ModelName::Counter, effort).expect("a counter");
    assert_eq!((report.answer, report.visited), (Answer::Unknown, 1_000));
}

/// The part that contradicts itself is as small as it can be, and says where it begins.
#[test]
fn contradictions_are_small() {
    let mut rows = String::new();
    for n in 0..50 {
        rows += &format!(
            "a | write | {n} | nil | {}-{}\nb | read | nil | {n} | {}-{}\n",
            10 * n + 1,
            10 * n + 2,
            10 * n + 3,
            10 * n + 4
        );
    }
    rows += "c | read | nil | 17 | 1000-1001\nc | read | nil | 49 | 1002-1003\n";
    let contradiction = report(&rows, ModelName::Register).contradiction.expect("illegal");
    let texts: Vec<&str> = contradiction.operations.iter().map(|shown| &*shown.what).collect();
    assert!(contradiction.operations.len() <= 4 && texts.contains(&"read → 17"), "{contradiction:#?}");

    let mut rows = String::new();
    for n in 0..50 {
        rows += &format!("a | append | \"{n},\" | nil | {}-{}\n", 10 * n + 1, 10 * n + 2);
    }
    rows += "c | get | nil | \"0,\" | 1000-1001\n";
    let contradiction = report(&rows, ModelName::Kv).contradiction.expect("illegal");
    assert!(contradiction.operations.len() == 2 && contradiction.start.is_none(), "{contradiction:#?}");
    assert_eq!(contradiction.of, 51);

    let list = "a | append | 1 | nil | 1-2\na | append | 2 | nil | 3-4\nb | append | 3 | nil | 5-6\nb | read | nil | [1 3 2] | 7-8\nc | append | 4 | nil | 9-20\n";
    let contradiction = report(list, ModelName::List).contradiction.expect("illegal");
    let texts: Vec<&str> = contradiction.operations.iter().map(|shown| &*shown.what).collect();
    assert_eq!(texts, ["append 2", "append 3", "read → [3 2] and more"]);
    assert!(contradiction.thinned && contradiction.start.is_none());
}

/// Of a long history of a lock and of a counter only what contradicts itself is shown, and a little beside it.
#[test]
fn long_histories_have_short_explanations() {
    let mut rows = String::new();
    for n in 0..60 {
        let at = 10 * n;
        rows += &format!("p{} | acquire | nil | nil | {}-{}\n", n % 3, at + 1, at + 2);
        rows += &format!("p{} | release | nil | nil | {}-{}\n", n % 3, at + 3, at + 4);
    }
    rows += "p1 | acquire | nil | nil | 1000-1001\np2 | acquire | nil | nil | 1002-1003\np1 | release | nil | nil | 1004-1005\n";
    for model in [ModelName::Lock, ModelName::Mutex] {
        let found = report(&rows, model).contradiction.expect("illegal");
        let counted: Vec<&Shown> = found.operations.iter().filter(|shown| shown.counts).collect();
        assert!(found.least && counted.len() == 2 && counted[1].blocked, "{model}: {found:#?}");
        assert!(found.operations.len() <= 10 && found.of == 122, "{model}: {found:#?}");
    }
    let adds: String = (0..8).map(|n| format!("p | add | 1 | nil | {}-{}\n", 10 * n + 1, 10 * n + 2)).collect();
    let found = report(&(adds + "q | read | nil | 6 | 900-901\n"), ModelName::Counter).contradiction.expect("illegal");
    let counted = found.operations.iter().filter(|shown| shown.counts).count();
    assert_eq!((counted, found.least), (8, true), "seven of eight are more than six: {found:#?}");
}

/// Every order that respects the intervals, until one is legal.
fn brute<M: Model>(model: &M, state: &M::State, left: &[&Timed<M::Op>]) -> bool {
    if left.iter().all(|timed| !timed.returned()) {
        return true;
    }
    let first_return = left.iter().map(|timed| timed.interval.ret).min().expect("some are left");
    left.iter().enumerate().any(|(index, timed)| {
        timed.interval.call < first_return
            && model.step(state, &timed.op).is_some_and(|state| {
                let rest: Vec<&Timed<M::Op>> = left[..index].iter().chain(&left[index + 1..]).copied().collect();
                brute(model, &state, &rest)
            })
    })
}

/// The same where only some operations count: each of the others may happen while it is under way, or not at all.
fn brute_part<M: Model>(model: &M, state: &M::State, left: &[(&Timed<M::Op>, bool)]) -> bool {
    let Some(first) = left.iter().filter(|(_, counts)| *counts).map(|(timed, _)| timed.interval.ret).min() else {
        return true;
    };
    left.iter().enumerate().any(|(index, (timed, _))| {
        timed.interval.call < first
            && model.step(state, &timed.op).is_some_and(|state| {
                let later = |other: &&(&Timed<M::Op>, bool)| other.1 || other.0.interval.ret > timed.interval.call;
                let rest = left[..index].iter().chain(&left[index + 1..]).filter(later).copied();
                brute_part(model, &state, &rest.collect::<Vec<_>>())
            })
    })
}

/// How many operations contradict one another at least, by trying all choices.
fn fewest<M: Model>(model: &M, ops: &[Timed<M::Op>]) -> Option<u32> {
    let returned: Vec<usize> = (0..ops.len()).filter(|&index| ops[index].returned()).collect();
    let chosen = |choice: u32| -> Vec<(&Timed<M::Op>, bool)> {
        let counts = |index| returned.iter().position(|&other| other == index).is_some_and(|at| choice >> at & 1 == 1);
        ops.iter().enumerate().map(|(index, timed)| (timed, counts(index))).collect()
    };
    let choices = (0..1u32 << returned.len()).filter(|&choice| !brute_part(model, &model.start(), &chosen(choice)));
    choices.map(u32::count_ones).min()
}

/// The search, the quick answer where there is one, and the whole check agree with the exhaustive one.
fn agree<M: Model>(mut model: M, name: ModelName, history: &History) -> Result<(), TestCaseError> {
    let mut ops = Vec::new();
    for (index, entry) in history.entries.iter().enumerate().filter(|(_, entry)| entry.came != Came::Failed) {
        if let Some(op) = model.parse(entry).expect("made for the model") {
            let interval = Interval { call: entry.call.order, ret: entry.ret.map_or(NEVER, |place| place.order) };
            ops.push(Timed { op, interval, entry: index });
        }
    }
    let expected = brute(&model, &model.start(), &ops.iter().collect::<Vec<_>>());
    let (mut machine, task) = Numbered::new(&model, model.start(), &ops, Look::Ahead);
    let found = search(&task, &mut machine, &mut 10_000_000);
    prop_assert_eq!(matches!(found, Some(Found::Legal(_))), expected, "search: {:?}", ops);
    if let Some(quick) = model.quick(&ops) {
        prop_assert_eq!(quick.is_ok(), expected, "quick: {:?}", ops);
        if let Err(suspects) = quick {
            let counts = |(index, timed)| (timed, suspects.contains(&index));
            let part: Vec<(&Timed<M::Op>, bool)> = ops.iter().enumerate().map(counts).collect();
            prop_assert!(!brute_part(&model, &model.start(), &part), "suspects: {:?}", part);
            prop_assert_eq!(Some(suspects.len()), fewest(&model, &ops).map(|few| few as usize), "quick: {:?}", ops);
        }
    }
    // Beginnings, whose last operations have no outcome yet, are what explanations are made of.
    for ret in ops.iter().map(|timed| timed.interval.ret).filter(|&ret| ret != NEVER) {
        let begun = explain::until::<M>(ops.clone(), ret);
        let legal = brute(&model, &model.start(), &begun.iter().collect::<Vec<_>>());
        for look in [Look::Ahead, Look::Blurred] {
            let (mut machine, task) = Numbered::new(&model, model.start(), &begun, look);
            let found = search(&task, &mut machine, &mut 10_000_000);
            prop_assert_eq!(matches!(found, Some(Found::Legal(_))), legal, "{:?}: {:?}", look, begun);
        }
    }
    if expected {
        model.study(&ops);
        for unit in model.units(&ops) {
            let (rest, _) = explain::leave_out(&mut model, &ops, std::slice::from_ref(&unit));
            let legal = brute(&model, &model.start(), &rest.iter().collect::<Vec<_>>());
            prop_assert!(legal, "{:?} can't be left out of {:?}", unit, ops);
        }
    }
    let report = check(history, name, EFFORT).expect("made for the model");
    prop_assert_eq!(report.answer == Answer::Linearizable, expected, "check: {:?}", ops);
    prop_assert_eq!(report.contradiction.is_some(), !expected);
    if let Some(found) = report.contradiction {
        let counted = found.operations.iter().filter(|shown| shown.counts).count();
        prop_assert!(found.least, "{:?}", found);
        prop_assert_eq!(Some(counted), fewest(&model, &ops).map(|few| few as usize), "{:?} of {:?}", found, ops);
        prop_assert!(found.blocked().is_some_and(|blocked| blocked.counts), "{:?}", found);
    }
    Ok(())
}

/// Up to eight operations of three to five processes with intervals of all kinds.
fn histories(kinds: &'static [(&'static str, bool)], values: i64) -> impl Strategy<Value = History> {
    let op = (0..kinds.len(), 0..values, 0..values, 0u8..10, 1u64..6, 0u64..4);
    (prop::collection::vec(op, 1..9), 2usize..6).prop_map(move |(ops, processes)| {
        let mut free = vec![0u64; processes];
        let mut entries: Vec<(u64, Option<u64>, Entry)> = Vec::new();
        for (index, (kind, a, b, came, length, gap)) in ops.into_iter().enumerate() {
            let process = index % processes;
            let call = free[process] + gap;
            let ret = call + length;
            let (f, pair) = kinds[kind];
            let came = match came {
                0 | 1 => Came::Unknown,
                2 => Came::Failed,
                _ => Came::Ok,
            };
            free[process] = ret;
            let list = |n: i64| Datum::List((0..n).map(Datum::Int).collect());
            let input = if pair { Datum::List(vec![Datum::Int(a), Datum::Int(b)]) } else { Datum::Int(a) };
            let output = match (f, b) {
                ("cas", _) => Datum::Bool(b % 2 == 0),
                ("read-list", _) => list(b),
                ("get", _) => Datum::Text((0..b).map(|n| n.to_string()).collect::<String>().into()),
                ("read" | "dequeue", 0) => Datum::Nil,
                _ => Datum::Int(b),
            };
            let f = if f == "read-list" { "read" } else { f };
            let place = Place::default();
            let process: Arc<str> = format!("p{process}").into();
            let entry = Entry { process, f: f.into(), key: None, input, output, came, call: place, ret: None };
            entries.push((call, (came == Came::Ok).then_some(ret), entry));
        }
        number(entries)
    })
}

/// Gives every call and return a place of its own.
fn number(mut entries: Vec<(u64, Option<u64>, Entry)>) -> History {
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (index, (call, ret, _)) in entries.iter().enumerate() {
        moments.push((*call, false, index));
        moments.extend(ret.map(|ret| (ret, true, index)));
    }
    moments.sort_unstable();
    for (order, (_, returns, index)) in (1..).zip(moments) {
        let place = Place { order, at: None, line: 0 };
        let entry = &mut entries[index].2;
        if returns { entry.ret = Some(place) } else { entry.call = place }
    }
    History { entries: entries.into_iter().map(|(_, _, entry)| entry).collect() }
}

/// Makes every write of a history write something else, and every read read what the process wishes.
fn unique(mut history: History) -> History {
    for (index, entry) in (1..).zip(&mut history.entries) {
        if &*entry.f == "write" {
            entry.input = Datum::Int(index);
        }
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn registers_agree(history in histories(&[("read", false), ("write", false), ("cas", true)], 3)) {
        agree(Register::default(), ModelName::Register, &history)?;
    }

    #[test]
    fn plain_registers_agree(history in histories(&[("read", false), ("write", false)], 8)) {
        agree(Register::default(), ModelName::Register, &unique(history))?;
    }

    #[test]
    fn counters_agree(history in histories(&[("read", false), ("add", false), ("incr", false), ("dec", false)], 3)) {
        let history = numbers(history);
        agree(Counter, ModelName::Counter, &history)?;
    }

    #[test]
    fn sets_agree(history in histories(&[("read-list", false), ("add", false), ("add", false)], 3)) {
        agree(Set::default(), ModelName::Set, &history)?;
    }

    #[test]
    fn sets_with_removal_agree(history in histories(&[("read-list", false), ("add", false), ("remove", false)], 3)) {
        agree(Set::default(), ModelName::Set, &history)?;
    }

    #[test]
    fn lists_agree(history in histories(&[("read-list", false), ("append", false), ("append", false)], 4)) {
        agree(List::default(), ModelName::List, &history)?;
    }

    #[test]
    fn locks_agree(history in histories(&[("acquire", false), ("release", false)], 9)) {
        agree(Lock::default(), ModelName::Lock, &history)?;
        agree(Mutex, ModelName::Mutex, &history)?;
    }

    #[test]
    fn texts_agree(history in histories(&[("get", false), ("append", false), ("append", false)], 4)) {
        agree(Kv::default(), ModelName::Kv, &history)?;
    }

    #[test]
    fn texts_with_puts_agree(history in histories(&[("get", false), ("append", false), ("put", false)], 3)) {
        agree(Kv::default(), ModelName::Kv, &history)?;
    }

    #[test]
    fn queues_agree(history in histories(&[("enqueue", false), ("dequeue", false)], 3)) {
        agree(Queue::default(), ModelName::Queue, &history)?;
    }

    /// Where zones decide, they decide as the search does, in histories too long for brute force.
    #[test]
    fn zones_agree_with_the_search(steps in prop::collection::vec((0usize..6, any::<bool>(), 0u8..12), 1..120)) {
        let accesses = simulate(&steps);
        let quick = registers::judge(&accesses).expect("every value is written once");
        let mut model = Register::default();
        let ops: Vec<_> = accesses.iter().enumerate().map(|(entry, access)| {
            let value = access.value.map_or(Datum::Nil, |value| Datum::Int(i64::try_from(value).expect("small")));
            let value = model.names.number(&value);
            let op = if access.write { super::models::register::Op::Write(value) } else { super::models::register::Op::Read(value) };
            Timed { op, interval: access.interval, entry }
        }).collect();
        let (mut machine, task) = Numbered::new(&model, model.start(), &ops, Look::Ahead);
        let found = search(&task, &mut machine, &mut 5_000_000);
        if let Some(found) = found {
            prop_assert_eq!(matches!(found, Found::Legal(_)), quick.is_ok());
        }
        if let (Err(suspects), Some(least)) = (quick, least::find(&model, &ops, 1_000_000)) {
            prop_assert!(!least.proven || least.counted.len() == suspects.len(), "{:?} or {:?}", suspects, least);
        }
    }
}

/// A queue that six clients share, some of them slow: an order is found without trying many.
#[test]
fn long_queues_are_judged() {
    let (mut queue, mut open, mut entries) = (std::collections::VecDeque::new(), [None; 6], Vec::new());
    let mut random = 1u64;
    for order in 1..3_000u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let client = (random >> 33) as usize % 6;
        let place = Place { order, at: None, line: 0 };
        let Some(index) = open[client].take() else {
            let (f, came) = (if random >> 62 < 2 { "enqueue" } else { "dequeue" }, Came::Unknown);
            let (input, output) = (Datum::Int(order.cast_signed()), Datum::Nil);
            let process = client.to_string().into();
            open[client] = Some(entries.len());
            entries.push(Entry { process, f: f.into(), key: None, input, output, came, call: place, ret: None });
            continue;
        };
        let entry: &mut Entry = &mut entries[index];
        if &*entry.f == "enqueue" {
            queue.push_back(entry.input.clone());
        } else {
            entry.output = queue.pop_front().unwrap_or(Datum::Nil);
        }
        (entry.came, entry.ret) = (Came::Ok, Some(place));
    }
    entries.retain(|entry| entry.came == Came::Ok);
    let mut history = History { entries };
    let effort = Effort { budget: 20_000, explain: true };
    assert_eq!(check(&history, ModelName::Queue, effort).expect("a queue").answer, Answer::Linearizable);
    let taken = |entry: &Entry| &*entry.f == "dequeue" && entry.output != Datum::Nil;
    let out: Vec<usize> = (0..history.entries.len()).filter(|&index| taken(&history.entries[index])).collect();
    let (early, late) = (out[out.len() / 3], out[out.len() / 2]);
    let swapped = history.entries[early].output.clone();
    history.entries[early].output = std::mem::replace(&mut history.entries[late].output, swapped);
    let report = check(&history, ModelName::Queue, effort).expect("a queue");
    assert_eq!(report.answer, Answer::Illegal);
    let contradiction = report.contradiction.expect("illegal");
    assert!(contradiction.operations.len() <= 6, "{contradiction:#?}");
}

/// Counters read numbers.
fn numbers(mut history: History) -> History {
    for entry in &mut history.entries {
        if entry.output == Datum::Nil {
            entry.output = Datum::Int(0);
        }
    }
    history
}

/// A register served by steps of six clients: begin something, or finish it; a read may answer with an older value.
fn simulate(steps: &[(usize, bool, u8)]) -> Vec<registers::Access> {
    let (mut accesses, mut open) = (Vec::new(), [None; 6]);
    let (mut written, mut place) = (vec![None], 0u64);
    for &(client, write, mood) in steps {
        place += 1;
        match open[client].take() {
            Some(index) => {
                let access: &mut registers::Access = &mut accesses[index];
                if !access.write {
                    let back = if mood == 0 { 2 } else { 1 };
                    access.value = written[written.len().saturating_sub(back)];
                } else if mood < 10 {
                    written.push(access.value);
                }
                access.interval.ret = place;
            }
            None => {
                open[client] = Some(accesses.len());
                let interval = Interval { call: place, ret: NEVER };
                accesses.push(registers::Access { value: write.then_some(place), write, interval });
            }
        }
    }
    let unread: Vec<usize> = open.into_iter().flatten().filter(|&index| !accesses[index].write).collect();
    accesses.iter().enumerate().filter(|(index, _)| !unread.contains(index)).map(|(_, access)| *access).collect()
}
