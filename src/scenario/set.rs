//! `--set field=value`: changes to a file's tree before it is read as a scenario.

use super::source::{Place, Problems, Sources};
use super::tree::{Data, Format, Key, Tree};

/// One step into a tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A field, or the item of a list that has this name.
    Name(String),
    /// An item of a list by its number, from 0.
    Index(usize),
}

/// Applies one `path=value` to the tree.
///
/// A path is `network.latency`, `sentinel[0].monitor[0].quorum`, `client.writer.workload.rate` (an item of a list by its `name`),
/// `expect."failover.count"`. The value is read as TOML, and as plain text when it isn't TOML.
pub(super) fn apply(tree: &mut Tree, text: &str, sources: &mut Sources, problems: &mut Problems) {
    let source = sources.add("--set", text);
    let whole = Place { source, start: 0, end: text.len() };
    let Some((path, value, value_at)) = split(text) else {
        problems.error(whole, "not of the form field=value").help("for example --set network.latency=5ms");
        return;
    };
    let path_at = Place { source, start: 0, end: path.len() };
    let steps = match self::path(path) {
        Ok(steps) => steps,
        Err(message) => {
            problems.error(path_at, message).help("for example --set 'sentinel[0].monitor[0].quorum=3'");
            return;
        }
    };
    let value = parse_value(value, Place { source, start: value_at, end: text.len() });
    put_at(tree, &steps, path_at, value, problems);
}

/// Puts a value, which has a place of its own, at a path that stands at another. A path that can't be read is ignored: whoever
/// read it before has said so.
pub(super) fn put(tree: &mut Tree, path: &str, at: Place, value: Tree, problems: &mut Problems) {
    if let Ok(steps) = self::path(path) {
        put_at(tree, &steps, at, value, problems);
    }
}

fn put_at(tree: &mut Tree, steps: &[Step], at: Place, value: Tree, problems: &mut Problems) {
    if let Err(wrong) = descend(tree, steps, at, value) {
        let problem = problems.error(at, wrong.message).label("this path");
        if let Some(help) = wrong.help {
            problem.help(help);
        }
    }
}

/// The path that a change is about, if it has one.
pub(super) fn path_of(change: &str) -> Option<Vec<Step>> {
    path(split(change)?.0).ok()
}

/// Whether a text as the value of a change comes out as that text, without quotes.
pub(super) fn reads_back(text: &str) -> bool {
    parse_value(text, Place::default()).data == Data::Text(text.to_owned())
}

/// The path, the value, and where the value begins. The first `=` outside of quotes separates them.
fn split(text: &str) -> Option<(&str, &str, usize)> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '=' if !quoted => return Some((text[..at].trim_end(), &text[at + 1..], at + 1)),
            _ => {}
        }
    }
    None
}

/// Reads a path.
///
/// # Errors
/// What is wrong with it.
pub(super) fn path(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    loop {
        if let Some(after) = rest.strip_prefix('[') {
            let (number, after) = after.split_once(']').ok_or("a `[` without its `]`")?;
            steps.push(Step::Index(number.trim().parse().map_err(|_| format!("`{number}` is not an item's number"))?));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('"') {
            let (name, after) = after.split_once('"').ok_or("a quote that isn't closed")?;
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        } else {
            let end = rest.find(['.', '[', '"']).unwrap_or(rest.len());
            if end == 0 {
                return Err("a name is missing in the path".to_owned());
            }
            steps.push(Step::Name(rest[..end].trim().to_owned()));
            rest = &rest[end..];
        }
        match rest.chars().next() {
            None => break,
            Some('.') => rest = &rest[1..],
            Some('[') => {}
            Some(c) => return Err(format!("`{c}` is not expected there")),
        }
    }
    // Metric names have dots of their own.
    if steps.len() > 2 && steps[0] == Step::Name("expect".to_owned()) {
        let names = steps.drain(1..).filter_map(|step| match step {
            Step::Name(name) => Some(name),
            Step::Index(_) => None,
        });
        let joined = names.collect::<Vec<_>>().join(".");
        steps.push(Step::Name(joined));
    }
    Ok(steps)
}

/// TOML if it is TOML (`3`, `true`, `["r1"]`, `"x"`), else text (`5ms`). All of it stands at the place of the value.
fn parse_value(text: &str, place: Place) -> Tree {
    let mut ignored = Problems::default();
    let parsed = super::tree::parse(&format!("v={text}"), Format::Toml, place.source, &mut ignored);
    match parsed.and_then(|table| table.get("v").cloned()) {
        Some(mut value) if !ignored.has_errors() => {
            move_to(&mut value, place);
            value
        }
        _ => Tree { place, data: Data::Text(text.trim().to_owned()) },
    }
}

fn move_to(tree: &mut Tree, place: Place) {
    tree.place = place;
    match &mut tree.data {
        Data::List(items) => items.iter_mut().for_each(|item| move_to(item, place)),
        Data::Table(entries) => {
            for (key, value) in entries {
                key.place = place;
                move_to(value, place);
            }
        }
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {}
    }
}

struct Wrong {
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn new(message: String) -> Wrong {
        Wrong { message, help: None }
    }
}

fn descend(tree: &mut Tree, steps: &[Step], at: Place, value: Tree) -> Result<(), Wrong> {
    let Some((step, rest)) = steps.split_first() else {
        *tree = value;
        return Ok(());
    };
    if tree.data == Data::Null {
        tree.data = Data::Table(Vec::new());
    }
    match (step, &mut tree.data) {
        (Step::Name(name), Data::Table(entries)) => {
            let index = entries.iter().position(|(key, _)| key.name == *name).unwrap_or_else(|| {
                let empty = Tree { place: at, data: Data::Null };
                entries.push((Key { place: at, name: name.clone() }, empty));
                entries.len() - 1
            });
            descend(&mut entries[index].1, rest, at, value)
        }
        (Step::Index(index), Data::List(items)) => match items.len() {
            len if *index < len => descend(&mut items[*index], rest, at, value),
            len => Err(Wrong::new(format!("there is no item [{index}]: the list has {len}, counted from 0"))),
        },
        (Step::Name(name), Data::List(items)) => {
            let index = named(items, name)?;
            descend(&mut items[index], rest, at, value)
        }
        (Step::Index(index), _) => Err(Wrong::new(format!("[{index}] is used on something that isn't a list"))),
        (Step::Name(name), _) => Err(Wrong::new(format!("`{name}` is used on something that has no fields"))),
    }
}

/// The item whose `name` it is, or whose `names` are just that.
fn named(items: &[Tree], name: &str) -> Result<usize, Wrong> {
    let names = |item: &Tree| -> Vec<String> {
        let mut out = Vec::new();
        for field in ["name", "names"] {
            match item.get(field).map(|value| &value.data) {
                Some(Data::Text(text)) => out.push(text.clone()),
                Some(Data::List(items)) => out.extend(items.iter().filter_map(|item| match &item.data {
                    Data::Text(text) => Some(text.clone()),
                    Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::List(_) | Data::Table(_) => None,
                })),
                _ => {}
            }
        }
        out
    };
    let Some(index) = items.iter().position(|item| names(item).iter().any(|other| other == name)) else {
        let all: Vec<String> = items.iter().flat_map(names).collect();
        let help = match crate::conf::nearest(name, all.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if all.is_empty() => "none of its items has a name; write [0] for the first".to_owned(),
            None => format!("the names are {}", all.join(", ")),
        };
        return Err(Wrong { message: format!("no item of the list is called `{name}`"), help: Some(help) });
    };
    if names(&items[index]).len() > 1 {
        let message = format!("`{name}` shares its entry with {}", names(&items[index]).join(", "));
        return Err(Wrong { message, help: Some(format!("write [{index}] to change all of them")) });
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(toml: &str, change: &str) -> Result<Tree, String> {
        let mut problems = Problems::default();
        let mut sources = Sources::default();
        sources.add("test", toml);
        let mut tree = super::super::tree::parse(toml, Format::Toml, 0, &mut problems).expect("valid");
        apply(&mut tree, change, &mut sources, &mut problems);
        match problems.sorted().first() {
            Some(problem) => Err(format!("{}: {}", problem.message, problem.help.as_deref().unwrap_or_default())),
            None => Ok(tree),
        }
    }

    fn data<'a>(tree: &'a Tree, path: &[&str]) -> &'a Data {
        let mut here = tree;
        for step in path {
            here = if let Data::List(items) = &here.data {
                &items[step.parse::<usize>().expect("an index")]
            } else {
                here.get(step).expect("there")
            };
        }
        &here.data
    }

    #[test]
    fn paths_reach_fields_items_and_names() {
        let toml = "[[sentinel]]\nnames = ['s1', 's2']\nmonitor = [{ quorum = 2 }]\n[[client]]\nname = 'w'\n";
        let tree = set(toml, "sentinel[0].monitor[0].quorum=3").expect("applies");
        assert_eq!(data(&tree, &["sentinel", "0", "monitor", "0", "quorum"]), &Data::Int(3));
        let tree = set(toml, "client.w.workload.rate=100/s").expect("applies");
        assert_eq!(data(&tree, &["client", "0", "workload", "rate"]), &Data::Text("100/s".to_owned()));
        let tree = set("", "expect.failover.count=2").expect("applies");
        assert_eq!(data(&tree, &["expect", "failover.count"]), &Data::Int(2));
        let tree = set("", "expect.\"writes.lost\"=<= 5").expect("applies");
        assert_eq!(data(&tree, &["expect", "writes.lost"]), &Data::Text("<= 5".to_owned()));
        let tree = set("", "a=[1, 'x']").expect("applies");
        assert!(matches!(data(&tree, &["a"]), Data::List(items) if items.len() == 2));
        for wrong in [
            "a",
            "=5",
            "a..b=1",
            "a[=1",
            "a[x]=1",
            "client[7].x=1",
            "client.v.x=1",
            "sentinel.s1.x=1",
            "client[0].name.x=1",
        ] {
            assert!(set(toml, wrong).is_err(), "{wrong}");
        }
        let nameless = set("[[fault]]\nat = '1s'\n", "fault.0.at=2s").expect_err("no such name");
        assert!(nameless.ends_with("none of its items has a name; write [0] for the first"), "{nameless}");
    }
}
