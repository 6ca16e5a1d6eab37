//! Directives of a process: defaults, then its configuration file, then its inline table; a later source replaces all of an
//! earlier one's directives of the same name. Each keeps its place, so that a complaint points at the key or the line.

use super::super::field::At;
use super::super::raw::{Directives, Loose, LooseItem};
use super::super::source::{Place, Problems};
use super::Resolver;
use crate::conf::{ConfError, ConfWarning, Directive, quote, split_args};

/// A directive and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) args: Vec<Vec<u8>>,
    pub(super) place: Place,
}

impl Placed {
    pub(super) fn new(name: &str, args: &[&str], place: Place) -> Placed {
        Placed { name: name.to_owned(), args: args.iter().map(|arg| arg.as_bytes().to_vec()).collect(), place }
    }

    /// The first argument as text.
    pub(super) fn first(&self) -> Option<&str> {
        self.args.first().and_then(|arg| std::str::from_utf8(arg).ok())
    }
}

/// `sentinel …` lines add to each other; every other directive of a later source replaces the earlier ones.
fn overlay(under: Vec<Placed>, over: Vec<Placed>) -> Vec<Placed> {
    let replaced = |placed: &Placed| placed.name != "sentinel" && over.iter().any(|other| other.name == placed.name);
    let mut all: Vec<Placed> = under.into_iter().filter(|placed| !replaced(placed)).collect();
    all.extend(over);
    all
}

impl Resolver<'_> {
    /// The directives of one process from its three sources.
    pub(super) fn directives(
        &mut self,
        defaults: Option<&Directives>,
        file: Option<&At<String>>,
        inline: Option<&Directives>,
    ) -> Vec<Placed> {
        let mut all = defaults.map_or(Vec::new(), |table| inline_directives(table, self.problems));
        if let Some(path) = file {
            let read = self.conf_file(path);
            all = overlay(all, read);
        }
        if let Some(table) = inline {
            let read = inline_directives(table, self.problems);
            all = overlay(all, read);
        }
        grouped(all)
    }

    fn conf_file(&mut self, path: &At<String>) -> Vec<Placed> {
        let mut all = Vec::new();
        self.read_conf(&path.value, path.place, &mut Vec::new(), &mut all);
        all
    }

    /// Reads a file and those that it includes, each where it is included (`loadServerConfig`). `within`: the files that
    /// are being read.
    fn read_conf(&mut self, name: &str, place: Place, within: &mut Vec<String>, all: &mut Vec<Placed>) {
        if within.iter().any(|other| other == name) {
            self.problems.error(place, format!("\"{name}\" includes itself"));
            return;
        }
        let bytes = match (self.read_file)(name) {
            Ok(bytes) => bytes,
            Err(message) => {
                self.problems.error(place, format!("can't read \"{name}\": {message}"));
                return;
            }
        };
        // Lines are split at newlines either way, so their numbers agree even where bytes aren't text.
        let shown = self.sources.get(Place::default()).map_or(name.to_owned(), |scenario| beside(&scenario.name, name));
        let source = self.sources.add(shown, &String::from_utf8_lossy(&bytes));
        let directives = match crate::conf::parse(&bytes) {
            Ok(directives) => directives,
            Err(error) => {
                let place = self.sources.line(source, error.line);
                let problem = self.problems.error(place, error.message);
                if let Some(help) = error.help {
                    problem.help(help);
                }
                return;
            }
        };
        within.push(name.to_owned());
        for Directive { name: directive, args, line } in directives {
            let place = self.sources.line(source, line);
            if directive == "include" && args.len() == 1 {
                let included = String::from_utf8_lossy(&args[0]).into_owned();
                if included.contains(['*', '?', '[']) {
                    self.problems
                        .error(place, "an `include` of a pattern can't be followed here")
                        .help("include each file by its name");
                } else {
                    self.read_conf(&beside(name, &included), place, within, all);
                }
            } else {
                all.push(Placed { name: directive, args, place });
            }
        }
        within.pop();
    }
}

/// A file that another one names: relative to the folder of the other.
fn beside(other: &str, name: &str) -> String {
    match other.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    }
}

/// Brings directives of the same name together, in the order of their first: the order in which a file can print them back.
fn grouped(all: Vec<Placed>) -> Vec<Placed> {
    let mut names: Vec<String> = Vec::new();
    for placed in &all {
        if !names.contains(&placed.name) {
            names.push(placed.name.clone());
        }
    }
    let mut out = all;
    out.sort_by_key(|placed| names.iter().position(|name| *name == placed.name));
    out
}

/// `save = ["900 1", "300 10"]`: each item is the rest of one line.
fn inline_directives(table: &Directives, problems: &mut Problems) -> Vec<Placed> {
    let mut out = Vec::new();
    for (key, value) in &table.0 {
        for item in &value.0 {
            let text = match &item.value {
                LooseItem::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
                LooseItem::Int(number) => number.to_string(),
                LooseItem::Float(number) => number.to_string(),
                LooseItem::Text(text) => text.clone(),
            };
            let args = if text.trim().is_empty() { Some(vec![Vec::new()]) } else { split_args(text.as_bytes()) };
            match args {
                Some(args) => out.push(Placed { name: key.to_ascii_lowercase(), args, place: key.place }),
                None => {
                    problems
                        .error(item.place, format!("unbalanced quotes in the arguments of `{}`", key.value))
                        .help("the text is the rest of a redis.conf line: a quote inside of it must be closed");
                }
            }
        }
    }
    out
}

/// Directives as a table that [`inline_directives`] reads back.
pub(super) fn to_table(all: &[Placed]) -> Option<Directives> {
    let mut table = Directives::default();
    for placed in all {
        let args: Vec<String> = placed.args.iter().map(|arg| quoted(arg)).collect();
        let item = At { place: placed.place, value: LooseItem::Text(args.join(" ")) };
        match table.0.iter_mut().find(|(key, _)| key.value == placed.name) {
            Some((_, Loose(items))) => items.push(item),
            None => table.0.push((At { place: placed.place, value: placed.name.clone() }, Loose(vec![item]))),
        }
    }
    (!table.0.is_empty()).then_some(table)
}

/// An argument as `sdssplitargs` reads it back.
fn quoted(arg: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
    if !arg.is_empty() && arg.iter().all(plain) {
        return String::from_utf8_lossy(arg).into_owned();
    }
    quote(arg)
}

/// For a process's own parser: the number of a line is the number of the directive, from 1.
pub(super) fn numbered(all: &[Placed]) -> Vec<Directive> {
    let directive = |(index, placed): (usize, &Placed)| Directive {
        name: placed.name.clone(),
        args: placed.args.clone(),
        line: index + 1,
    };
    all.iter().enumerate().map(directive).collect()
}

/// Reports what a process's own parser found, at the places of the directives.
pub(super) fn report_errors(all: &[Placed], entry: Place, errors: Vec<ConfError>, problems: &mut Problems) {
    // Statements about a master that could not be declared fail too; that is no news.
    let undeclared = errors.iter().any(|error| error.directive == "sentinel monitor");
    for error in errors {
        if undeclared && error.message.starts_with("No such master") {
            continue;
        }
        let message = if error.directive.is_empty() {
            error.message
        } else {
            format!("`{}`: {}", error.directive, error.message)
        };
        let problem = problems.error(place_of(all, error.line, entry), message);
        if let Some(help) = error.help {
            problem.help(help);
        }
    }
}

/// The same for warnings.
pub(super) fn report_warnings(all: &[Placed], entry: Place, warnings: Vec<ConfWarning>, problems: &mut Problems) {
    for warning in warnings {
        problems.warning(place_of(all, warning.line, entry), warning.message);
    }
}

fn place_of(all: &[Placed], line: usize, entry: Place) -> Place {
    line.checked_sub(1).and_then(|index| all.get(index)).map_or(entry, |placed| placed.place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quoting_reads_back(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 1..5)) {
            let line = args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split_args(line.as_bytes()), Some(args));
        }
    }
}
