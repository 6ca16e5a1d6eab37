//! What a person reads: the file with what became of the original, and why it is as it is.

use std::fmt::Write as _;

use super::bench::{self, Case};
use super::{Failure, Options, Shrunk, Size, Tally, Unshrunk, tree};
use crate::check::metrics::thousands;
use crate::report::Run;
use crate::run::run_limited;
use crate::scenario::tree::{Data, Tree};
use crate::scenario::{Loaded, NodeKind, Scenario, chaos, print};
use crate::time::Span;

/// Of what there is too much is not listed whole.
const LISTED: usize = 30;

/// Something that the original has and the smaller scenario does without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What it was: `fault`, `target` (of a fault that is left), `server`, `sentinel`, `client`, `setting`.
    pub what: &'static str,
    /// Which: a name, a field and its value, a fault in words.
    pub which: String,
}

/// A value that is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its field.
    pub field: String,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
}

/// Writes the file, reads it again and runs it.
pub(super) fn finish(
    loaded: &Loaded,
    options: &Options,
    (start, end): (Case, Case),
    original: Run,
    before: Failure,
    tally: Tally,
    complete: bool,
) -> Result<Shrunk, Unshrunk> {
    let removed = removed(&start.tree, &end.tree);
    let changed = changed(&start.tree, &end.tree);
    let faults = loaded.scenario.faults.len() + chaos::draw(&loaded.scenario, options.seed).len();
    let sizes = [Size { faults, ..size(&loaded.scenario) }, size(&end.scenario)];
    let mut body = end.tree.clone();
    single_names(&mut body);
    let body = print::text(&body, &|value| remark(&start.tree, value));
    let not = |why: &str| Unshrunk::NotReproduced(format!("the shrunk scenario {why}:\n{body}"));
    let again = bench::load(&body).ok_or_else(|| not("can't be read"))?;
    let run = run_limited(&std::sync::Arc::new(again.scenario), options.seed, &options.limits, &mut |_| {});
    if !before.shown_by(&run) || end.digest.is_some_and(|digest| digest != run.digest) {
        return Err(not("doesn't fail as it did"));
    }
    let after = before.as_in(&run);
    let mut shrunk =
        Shrunk { text: String::new(), before, after, original, run, tally, complete, sizes, removed, changed };
    shrunk.text = format!("{}\n{body}", header(&shrunk, options));
    Ok(shrunk)
}

/// What stands above the file.
fn header(shrunk: &Shrunk, options: &Options) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(if text.is_empty() { "#" } else { "# " });
        out.push_str(text);
        out.push('\n');
    };
    line(&format!("Shrunk by splitbrain from {} with seed {}.", options.source, options.seed.0));
    line(&format!("It fails as the original does: {}.", shrunk.after));
    if shrunk.before != shrunk.after {
        line(&format!("(In the original: {}.)", shrunk.before));
    }
    let [was, is] = shrunk.sizes;
    line(&format!("Left: {}.", left(was, is)));
    line(&format!("It took {}.", took(&shrunk.tally)));
    if !shrunk.complete {
        line("The runs were used up: a smaller one may exist.");
    }
    if !shrunk.removed.is_empty() {
        line("");
        line("Removed, for it fails without:");
        for removed in shrunk.removed.iter().take(LISTED) {
            line(&format!("  {} {}", removed.what, removed.which));
        }
        if let Some(more) = shrunk.removed.len().checked_sub(LISTED).filter(|&more| more > 0) {
            line(&format!("  and {more} more"));
        }
    }
    out
}

/// `1 of 11 faults, 2 of 3 servers, 12s of 60s`.
#[must_use]
pub(super) fn left(was: Size, is: Size) -> String {
    let count = |is: usize, was: usize, what: &str| match was {
        0 => None,
        1 => Some(format!("{is} of 1 {what}")),
        _ => Some(format!("{is} of {was} {what}s")),
    };
    let mut parts: Vec<String> = [
        count(is.faults, was.faults, "fault"),
        count(is.servers, was.servers, "server"),
        count(is.sentinels, was.sentinels, "sentinel"),
        count(is.clients, was.clients, "client"),
    ]
    .into_iter()
    .flatten()
    .collect();
    parts.push(format!("{} of {}", is.duration, was.duration));
    parts.join(", ")
}

/// `151 runs, 92 of them from snapshots; 1,204s simulated, 512s saved by snapshots`.
#[must_use]
pub(super) fn took(tally: &Tally) -> String {
    let seconds = |span: Span| thousands(span.ns() / 1_000_000_000);
    let Tally { runs, from_snapshots, simulated, saved, .. } = tally;
    let runs = thousands(*runs);
    if *from_snapshots == 0 {
        return format!("{runs} runs, {} s simulated", seconds(*simulated));
    }
    format!(
        "{runs} runs, {} of them from snapshots; {} s were simulated, snapshots saved {} s",
        thousands(*from_snapshots),
        seconds(*simulated),
        seconds(*saved)
    )
}

impl Shrunk {
    /// What is left, in words: `1 of 11 faults, 2 of 3 servers`.
    #[must_use]
    pub fn left(&self) -> String {
        left(self.sizes[0], self.sizes[1])
    }

    /// What it took, in words.
    #[must_use]
    pub fn took(&self) -> String {
        took(&self.tally)
    }
}

fn size(scenario: &Scenario) -> Size {
    let count = |wanted: fn(&NodeKind) -> bool| scenario.nodes.iter().filter(|node| wanted(&node.kind)).count();
    Size {
        faults: scenario.faults.len(),
        servers: count(|kind| matches!(kind, NodeKind::Server(_))),
        sentinels: count(|kind| matches!(kind, NodeKind::Sentinel(_))),
        clients: count(|kind| matches!(kind, NodeKind::Client(_) | NodeKind::Locker(_))),
        duration: scenario.duration,
    }
}

/// The uppermost values of the start that the end lacks.
fn removed(start: &Tree, end: &Tree) -> Vec<Removed> {
    let mut out = Vec::new();
    let mut owner = String::new();
    tree::walk(start, &mut |path, value| {
        if let ([_], Data::Table(_)) = (path, &value.data) {
            owner = tree::names(value).join(" ");
        }
        if tree::find(end, tree::id(value)).is_some() {
            return true;
        }
        match path {
            ["fault"] => out.push(Removed { what: "fault", which: fault(value) }),
            ["fault", key, ..] if matches!(value.data, Data::Text(_)) && !matches!(*key, "restart-after" | "flap") => {
                out.push(Removed { what: "target", which: format!("{} ({key})", shown(value)) });
            }
            ["fault", key, ..] => out.push(Removed { what: "setting", which: setting(&["fault", key], "", value) }),
            ["redis"] | ["sentinel"] | ["client"] => {
                out.extend(tree::names(value).into_iter().map(|name| named(path[0], name)));
            }
            ["redis" | "sentinel" | "client", "name" | "names"] => {
                out.extend(tree::texts(value).into_iter().map(|name| named(path[0], name)));
            }
            _ => out.push(Removed { what: "setting", which: setting(path, &owner, value) }),
        }
        false
    });
    out
}

fn named(section: &str, name: &str) -> Removed {
    let what = match section {
        "redis" => "server",
        "sentinel" => "sentinel",
        _ => "client",
    };
    Removed { what, which: name.to_owned() }
}

/// `at 12s: pause s1 for 3s`.
fn fault(value: &Tree) -> String {
    let Data::Table(fields) = &value.data else { return String::new() };
    let mut out = tree::text(value, "at").map_or(String::new(), |at| format!("at {at}:"));
    for (key, value) in fields.iter().filter(|(key, _)| !matches!(key.name.as_str(), "at" | "for" | "restart-after")) {
        write!(out, " {} {}", key.name, shown(value)).expect("writing to a string cannot fail");
    }
    for key in ["for", "restart-after"] {
        if let Some(text) = tree::text(value, key) {
            write!(out, " {key} {text}").expect("writing to a string cannot fail");
        }
    }
    out.trim_start().to_owned()
}

fn setting(path: &[&str], owner: &str, value: &Tree) -> String {
    let owner = if owner.is_empty() { String::new() } else { format!(" of {owner}") };
    format!("{}{owner} = {}", path.join("."), shown(value))
}

/// A value as a person says it: a name without quotes.
fn shown(value: &Tree) -> String {
    if let Data::Text(text) = &value.data {
        return text.clone();
    }
    let mut out = String::new();
    print::inline(&mut out, &value.data);
    out
}

/// The values of the end that the start has otherwise.
fn changed(start: &Tree, end: &Tree) -> Vec<Changed> {
    let mut out = Vec::new();
    tree::walk(end, &mut |path, value| {
        if let Some(before) = tree::find(start, tree::id(value))
            && is_plain(value)
            && before.data != value.data
        {
            out.push(Changed { field: path.join("."), from: shown(before), to: shown(value) });
        }
        true
    });
    out
}

fn is_plain(value: &Tree) -> bool {
    !matches!(value.data, Data::List(_) | Data::Table(_))
}

/// What is said beside a line whose values have changed.
fn remark(start: &Tree, value: &Tree) -> Option<String> {
    let mut parts = Vec::new();
    tree::walk(value, &mut |path, inner| {
        if let Some(before) = tree::find(start, tree::id(inner))
            && is_plain(inner)
            && before.data != inner.data
        {
            let name = path.last().map_or(String::new(), |name| format!("{name} "));
            parts.push(format!("{name}was {}", shown(before)));
        }
        true
    });
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `names = "s1"` is written `name = "s1"`.
fn single_names(file: &mut Tree) {
    let Data::Table(sections) = &mut file.data else { return };
    for (_, section) in sections {
        let Data::List(items) = &mut section.data else { continue };
        for item in items {
            let Data::Table(fields) = &mut item.data else { continue };
            for (key, value) in fields {
                if key.name == "names" && tree::texts(value).len() == 1 {
                    key.name = "name".to_owned();
                    value.data = Data::Text(tree::texts(value)[0].to_owned());
                }
            }
        }
    }
}
