//! Delta debugging: from a scenario that fails to the smallest one that fails in the same way.
//!
//! Everything that varies is made explicit first (drawn times become plain ones, in order), then parts are taken away and
//! numbers made small and round, as long as the same failure shows. Candidates are files: what comes out is printed, read
//! and run exactly as any other scenario.

mod bench;
mod failure;
mod nodes;
mod numbers;
mod story;
mod tree;

pub use failure::{Broken, Failure, Miss};
pub use story::{Changed, Removed};

use bench::{Bench, Case};

use crate::report::Run;
use crate::rng::{Dist, Seed};
use crate::run::{Limits, run_limited};
use crate::scenario::tree::{Data, Tree};
use crate::scenario::{Loaded, chaos, print, raw};
use crate::time::Span;

/// How to shrink.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed with which the scenario fails.
    pub seed: Seed,
    /// What each run may cost.
    pub limits: Limits,
    /// The most runs.
    pub max_runs: u64,
    /// How many at the same time.
    pub threads: usize,
    /// The expectations that must go on failing; none: all that fail.
    pub only: Vec<String>,
    /// Whether the key events must come in the same order too.
    pub same_story: bool,
    /// What the scenario is called in the file that comes out.
    pub source: String,
}

/// What it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs, whole or from a snapshot.
    pub runs: u64,
    /// Those of them that went on from a snapshot.
    pub from_snapshots: u64,
    /// Simulated time.
    pub simulated: Span,
    /// Simulated time that snapshots saved.
    pub saved: Span,
    /// Faults that are left.
    pub faults: usize,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The file.
    pub text: String,
    /// How the scenario failed, and how the smaller one does.
    pub before: Failure,
    /// The same with the values of the smaller one.
    pub after: Failure,
    /// The run of the original.
    pub original: Run,
    /// The run of the file.
    pub run: Run,
    /// What it took.
    pub tally: Tally,
    /// Whether runs were left when nothing smaller failed.
    pub complete: bool,
    /// How many faults, nodes and clients there were, and are.
    pub sizes: [Size; 2],
    /// What is no longer there.
    pub removed: Vec<Removed>,
    /// What has another value.
    pub changed: Vec<Changed>,
}

/// How large a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Entries of the timeline.
    pub faults: usize,
    /// Servers.
    pub servers: usize,
    /// Sentinels.
    pub sentinels: usize,
    /// Clients.
    pub clients: usize,
    /// How long it is watched.
    pub duration: Span,
}

/// Why nothing was shrunk.
#[derive(Clone, Debug)]
pub enum Unshrunk {
    /// The scenario doesn't fail with this seed (or not in what is to go on failing): its run.
    Holds(Box<Run>),
    /// The printed scenario doesn't fail as the original does: splitbrain's fault.
    NotReproduced(String),
}

/// Shrinks. `progress` hears of every run.
///
/// # Errors
/// Why there is nothing to shrink.
pub fn shrink(loaded: &Loaded, options: &Options, progress: &mut dyn FnMut(&Tally)) -> Result<Shrunk, Unshrunk> {
    let scenario = std::sync::Arc::new(loaded.scenario.clone());
    let original = run_limited(&scenario, options.seed, &options.limits, &mut |_| {});
    let Some(before) = Failure::of(&original, &options.only, options.same_story) else {
        return Err(Unshrunk::Holds(Box::new(original)));
    };
    let start = begin(loaded, options, &before).ok_or_else(|| {
        Unshrunk::NotReproduced("with its random times written down the scenario doesn't fail any more".to_owned())
    })?;
    let mut bench = Bench::new(before.clone(), start.clone(), options, progress);
    bench.tally = Tally { runs: 2, simulated: original.simulated + original.simulated, ..Tally::default() };
    let mut complete = false;
    while !bench.exhausted() {
        let (text, runs) = (print::text(&bench.current.tree, &|_| None), bench.tally.runs);
        round(&mut bench);
        if print::text(&bench.current.tree, &|_| None) == text {
            complete = !bench.exhausted() || bench.tally.runs == runs;
            break;
        }
    }
    let Bench { current, tally, .. } = bench;
    let tally = Tally { runs: tally.runs + 1, faults: current.scenario.faults.len(), ..tally };
    story::finish(loaded, options, (start, current), original, before, tally, complete)
}

/// The scenario with its times written down and its defaults left out, if it still fails.
fn begin(loaded: &Loaded, options: &Options, target: &Failure) -> Option<Case> {
    let mut tree = explicit(loaded, options.seed).tree();
    tree::number(&mut tree);
    let mut case = Case::load(tree)?;
    drop_defaults(&mut case);
    tree::number(&mut case.tree);
    let run = run_limited(&case.scenario, options.seed, &options.limits, &mut |_| {});
    case.digest = Some(run.digest);
    target.shown_by(&run).then_some(case)
}

/// The file with the faults that the seed draws, and with the times that all have in this run, sorted; faults that come after the end are left out.
fn explicit(loaded: &Loaded, seed: Seed) -> raw::File {
    let mut file = chaos::concrete(loaded, seed);
    file.test = None;
    let drawn = chaos::draw(&loaded.scenario, seed);
    let mut begins: Vec<Span> = Vec::new();
    // Faults that wait for an event, and those that follow them: they come when they come, and stand last.
    let last = loaded.scenario.duration.saturating_sub(Span::from_ns(1));
    let mut open: Vec<bool> = Vec::new();
    for (index, timed) in loaded.scenario.faults.iter().chain(&drawn).enumerate() {
        let times = timed.times(index, seed);
        let base = timed.after.map_or(Span::ZERO, |first| begins[usize::from(first)]);
        open.push(timed.when.is_some() || timed.after.is_some_and(|first| open[usize::from(first)]));
        let Some(raw) = file.fault.get_mut(index) else { continue };
        let set = |field: &mut Option<_>, span: Option<Span>| set_constant(field, span);
        if open[index] {
            begins.push(last);
            set(&mut raw.at, Some(times.at));
        } else {
            begins.push(base + times.at);
            (raw.after, raw.name) = (None, None);
            set(&mut raw.at, Some(base + times.at));
        }
        set(&mut raw.lasts, times.lasts);
        set(&mut raw.restart_after, times.restart_after);
    }
    let mut order: Vec<usize> = (0..file.fault.len()).collect();
    order.sort_by_key(|&index| begins[index]);
    order.retain(|&index| begins[index] < loaded.scenario.duration);
    file.fault = order.into_iter().map(|index| file.fault[index].clone()).collect();
    file
}

fn set_constant(field: &mut Option<raw::DelayAt>, span: Option<Span>) {
    if let (Some(field), Some(span)) = (field, span) {
        field.value.0 = Dist::Constant(span);
    }
}

/// Leaves out what changes nothing: a field whose absence means the same.
fn drop_defaults(case: &mut Case) {
    for wanted in droppable(&case.tree) {
        let smaller = tree::without(&case.tree, &[wanted]);
        if let Some(other) = Case::load(smaller)
            && other.effective.tree() == case.effective.tree()
        {
            *case = other;
        }
    }
}

/// One round of everything.
fn round(bench: &mut Bench<'_>) {
    bench.timeline(true);
    let faults: Vec<usize> = tree::items(&bench.current.tree, "fault").iter().map(tree::id).collect();
    ddmin(bench, faults, &|file, gone| tree::without(file, gone));
    bench.timeline(false);
    held_expectations(bench);
    // What is shorter is cheaper to try everything else on.
    bench.timeline(true);
    gaps(bench);
    bench.timeline(false);
    figures(bench, &|section| matches!(section, "duration" | "settle"));
    let clients = nodes::clients(&bench.current.tree);
    ddmin(bench, clients, &nodes::without);
    let processes = nodes::processes(&bench.current.tree);
    ddmin(bench, processes, &nodes::without);
    while !bench.exhausted() && bench.first(nodes::without_machines(&bench.current.tree)).is_some() {}
    bench.timeline(true);
    let targets = targets(&bench.current.tree);
    one_by_one(bench, targets);
    bench.timeline(false);
    let mut fields = droppable(&bench.current.tree);
    if bench.target.is_about_settling() {
        fields.retain(|&field| bench.current.tree.get("settle").is_none_or(|settle| tree::id(settle) != field));
    }
    one_by_one(bench, fields);
    figures(bench, &|_| true);
}

/// Takes away as many items as it can: large pieces first, the last ones of the file first.
fn ddmin<T: Clone + PartialEq>(bench: &mut Bench<'_>, mut items: Vec<T>, without: &dyn Fn(&Tree, &[T]) -> Tree) {
    let mut size = items.len();
    while size > 0 && !items.is_empty() && !bench.exhausted() {
        let pieces: Vec<Vec<T>> = items.rchunks(size).map(<[T]>::to_vec).collect();
        let files = pieces.iter().map(|piece| without(&bench.current.tree, piece)).collect();
        match bench.first(files) {
            Some(index) => {
                items.retain(|item| !pieces[index].contains(item));
                size = size.min(items.len());
            }
            None => size /= 2,
        }
    }
}

/// Tries to do without each of some values, once.
fn one_by_one(bench: &mut Bench<'_>, values: Vec<usize>) {
    let mut next = 0;
    while next < values.len() && !bench.exhausted() {
        // Values that went with another are skipped.
        if tree::find(&bench.current.tree, values[next]).is_none() {
            next += 1;
            continue;
        }
        let files = values[next..].iter().map(|&value| tree::without(&bench.current.tree, &[value])).collect();
        match bench.first(files) {
            Some(index) => next += index + 1,
            None => return,
        }
    }
}

/// Expectations that aren't part of the failure say nothing.
fn held_expectations(bench: &mut Bench<'_>) {
    let Some(Tree { data: Data::Table(fields), .. }) = bench.current.tree.get("expect") else { return };
    let theirs = |name: &str| bench.target.broken.iter().any(|broken| broken.metric == name);
    let gone: Vec<usize> =
        fields.iter().filter(|(key, _)| !theirs(&key.name)).map(|(_, value)| tree::id(value)).collect();
    if !gone.is_empty() {
        let file = tree::without(&bench.current.tree, &gone);
        bench.first(vec![file]);
    }
}

/// Fields that a smaller scenario may do without, what contains others first.
fn droppable(file: &Tree) -> Vec<usize> {
    let keep = [
        "name",
        "names",
        "description",
        "seed",
        "duration",
        "replicaof",
        "for",
        "at",
        "monitor",
        "workload",
        "via",
        "kind",
    ];
    let mut out = Vec::new();
    tree::walk(file, &mut |path, value| match path {
        [] => true,
        ["redis" | "sentinel" | "client" | "fault"] => true,
        ["expect", ..] => false,
        [.., key] if keep.contains(key) => matches!(*key, "workload" | "monitor"),
        [..] => {
            if !out.contains(&tree::id(value)) {
                out.push(tree::id(value));
            }
            matches!(value.data, Data::Table(_) | Data::List(_))
        }
    });
    out
}

/// The names that faults strike, of those that strike several.
fn targets(file: &Tree) -> Vec<usize> {
    let mut out = Vec::new();
    for fault in tree::items(file, "fault") {
        tree::walk(fault, &mut |_, value| {
            if let Data::List(items) = &value.data {
                out.extend(items.iter().filter(|item| matches!(item.data, Data::Text(_))).map(tree::id));
            }
            true
        });
    }
    out
}

/// Lets less time pass before each fault: it, what comes later and the end move forward together.
fn gaps(bench: &mut Bench<'_>) {
    let mut index = 0;
    while index < bench.current.scenario.faults.len() && !bench.exhausted() {
        let at = |index: usize| match bench.current.scenario.faults.get(index).map(|fault| &fault.at) {
            Some(Dist::Constant(at)) => *at,
            _ => Span::ZERO,
        };
        let before = index.checked_sub(1).map_or(Span::ZERO, at);
        let gap = at(index).saturating_sub(before);
        // Nobody is ready at the very beginning; later a tenth of a second is short enough.
        let least = if index == 0 { Span::from_secs(1) } else { Span::from_ms(100) };
        let files = numbers::smaller(gap, least)
            .into_iter()
            .map(|less| moved(&bench.current.tree, index, gap.saturating_sub(less)));
        if bench.first(files.collect()).is_none() {
            index += 1;
        }
    }
}

/// The file with everything from a fault on that much earlier.
fn moved(file: &Tree, from: usize, by: Span) -> Tree {
    let mut out = file.clone();
    let earlier = |value: &mut Tree| {
        if let Data::Text(text) = &value.data
            && let Ok(span) = Span::parse(text)
        {
            value.data = Data::Text(span.saturating_sub(by).to_string());
        }
    };
    if let Some(Tree { data: Data::List(faults), .. }) = tree::field_mut(&mut out, "fault") {
        faults.iter_mut().skip(from).filter_map(|fault| tree::field_mut(fault, "at")).for_each(earlier);
    }
    if let Some(duration) = tree::field_mut(&mut out, "duration") {
        earlier(duration);
    }
    out
}

/// Makes the numbers of some sections small and round.
fn figures(bench: &mut Bench<'_>, which: &dyn Fn(&str) -> bool) {
    let settling = bench.target.is_about_settling();
    let mut all: Vec<(usize, String, String)> = Vec::new();
    tree::walk(&bench.current.tree, &mut |path, value| {
        if let [section, ..] = path
            && which(section)
            && !(*section == "settle" && settling)
        {
            let key = path.last().expect("a path with a first name has a last");
            all.push((tree::id(value), (*section).to_owned(), (*key).to_owned()));
        }
        true
    });
    for (value, section, key) in all {
        bench.timeline(section == "fault" || section == "duration" || section == "settle");
        while let Some(found) = tree::find(&bench.current.tree, value) {
            let tries = numbers::candidates(&section, &key, &found.data);
            let files = tries.into_iter().map(|data| tree::with(&bench.current.tree, value, data)).collect();
            if bench.first(files).is_none() {
                break;
            }
        }
    }
    bench.timeline(false);
}
