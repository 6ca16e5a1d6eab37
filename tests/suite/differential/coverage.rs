//! What the generators come to: every command that COMMAND DOCS and DEBUG HELP list, every option, and every two options
//! that can stand together are drawn, but for those that are named here with the reason.

use std::collections::{BTreeMap, BTreeSet};

use super::draw::Draw;
use super::grammar::{self, Arg, Grammar, reply};
use super::sessions::sessions;
use super::template::Word;
use super::{drawn, is_timeless};
use crate::targets::Ours;

/// Requests that are drawn of each description.
const DRAWN: u64 = 200_000;

/// A command or an option that isn't drawn, and why. The first words of what is missing.
const NOT_DRAWN: &[(&str, &str)] = &[
    ("debug assert", "ends the process"),
    ("debug oom", "ends the process"),
    ("debug panic", "ends the process"),
    ("debug segfault", "ends the process"),
    ("debug restart", "ends the process"),
    ("debug crash-and-recover", "ends the process"),
    ("debug leak", "leaks for as long as the process lives"),
    ("debug aof-flush-sleep", "takes real time"),
    ("debug sleep", "takes real time"),
    ("debug stringmatch-test", "takes real time"),
    ("script debug YES", "turns the connection over to a debugger"),
    ("script debug SYNC", "turns the connection over to a debugger"),
    ("monitor", "hears of the connection that says when all is done: scripts/monitor.txt"),
    ("pfselftest", "takes seconds"),
    ("psync", "is said by the reader of every session's stream: real_master.rs, real_replica.rs"),
    ("command docs (plain)", "a long reply: tables.rs"),
    ("failover (plain)", "hands the role over: real_master.rs"),
    ("shutdown (plain)", "ends the process"),
    ("xadd *", "has an id of real time: scripts/streams.txt"),
    ("sync", "makes a replica: scripts/replication.txt"),
];

/// What a description is to reach, by names such as `set`, `set NX`, `set NX + GET`, `lpop (plain)`.
#[derive(Default)]
struct Wanted {
    all: BTreeSet<String>,
    /// For each command: its options, those that can stand together, the least of words.
    commands: BTreeMap<String, Shape>,
}

#[derive(Default)]
struct Shape {
    tokens: BTreeSet<String>,
    pairs: BTreeSet<(String, String)>,
    least: usize,
    /// Something can be left out, or said more than once.
    grows: bool,
}

impl Shape {
    fn of(grammar: &Grammar) -> Shape {
        let mut shape = Shape { least: grammar.name.split(' ').count(), ..Shape::default() };
        shape.together(&grammar.args);
        shape.least += grammar.args.iter().map(least).sum::<usize>();
        shape.grows = grammar.args.iter().any(grows);
        for (one, other) in &shape.pairs {
            shape.tokens.extend([one.clone(), other.clone()]);
        }
        shape
    }

    /// The options within these arguments, which stand side by side.
    fn together(&mut self, args: &[Arg]) -> BTreeSet<String> {
        let mut before = BTreeSet::<String>::new();
        for arg in args {
            let mut own: BTreeSet<String> = arg.token.iter().map(|token| token.to_uppercase()).collect();
            if arg.kind == "oneof" {
                let each: Vec<_> = arg.args.iter().map(|one| self.together(std::slice::from_ref(one))).collect();
                for (at, one) in each.iter().enumerate().filter(|_| arg.multiple) {
                    each[at + 1..].iter().for_each(|other| self.pair(one, other));
                }
                self.pair(&own, &concat(&each));
                own.extend(concat(&each));
            } else {
                let inner = self.together(&arg.args);
                self.pair(&own, &inner);
                own.extend(inner);
            }
            self.tokens.extend(own.iter().cloned());
            self.pair(&before, &own);
            before.extend(own);
        }
        before
    }

    fn pair(&mut self, one: &BTreeSet<String>, other: &BTreeSet<String>) {
        for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (a, b))).filter(|(a, b)| a != b) {
            self.pairs.insert((a.min(b).clone(), a.max(b).clone()));
        }
    }
}

fn concat(sets: &[BTreeSet<String>]) -> BTreeSet<String> {
    sets.iter().flatten().cloned().collect()
}

/// The fewest words that this argument can have.
fn least(arg: &Arg) -> usize {
    let token = usize::from(arg.token.is_some());
    match arg.kind.as_str() {
        _ if arg.optional => 0,
        "pure-token" => 1,
        "block" => token + arg.args.iter().map(least).sum::<usize>(),
        "oneof" => token + arg.args.iter().map(least).min().unwrap_or(0),
        _ => token + 1,
    }
}

fn grows(arg: &Arg) -> bool {
    arg.optional || arg.multiple || arg.args.iter().any(grows)
}

impl Wanted {
    fn ask(ours: &mut Ours) -> Wanted {
        let mut wanted = Wanted::default();
        for grammar in grammar::ask(ours) {
            let (name, shape) = (&grammar.name, Shape::of(&grammar));
            wanted.all.insert(name.clone());
            wanted.all.extend(shape.tokens.iter().map(|token| format!("{name} {token}")));
            wanted.all.extend(shape.pairs.iter().map(|(one, other)| format!("{name} {one} + {other}")));
            wanted.all.insert(format!("{name} (plain)"));
            wanted.all.extend(shape.grows.then(|| format!("{name} (longer)")));
            wanted.commands.insert(name.clone(), shape);
        }
        // What COMMAND DOCS doesn't say.
        let help = reply(ours, "DEBUG HELP");
        let lines = help.items().expect("lines").iter().skip(1).filter_map(|line| line.text());
        for line in lines.filter(|line| line.first().is_some_and(u8::is_ascii_uppercase)) {
            let word = String::from_utf8_lossy(line).split(' ').next().unwrap_or_default().to_lowercase();
            wanted.all.insert(format!("debug {word}"));
            wanted.commands.insert(format!("debug {word}"), Shape::default());
        }
        wanted
    }

    /// Takes off what this request has.
    fn meet(&mut self, words: &[String]) {
        let two = || words.get(1).map(|second| format!("{} {second}", words[0]).to_lowercase());
        let name = two().filter(|name| self.commands.contains_key(name)).unwrap_or_else(|| words[0].to_lowercase());
        let Some(shape) = self.commands.get(&name) else { return };
        let has: BTreeSet<String> = words[name.split(' ').count()..].iter().map(|word| word.to_uppercase()).collect();
        let mut met = vec![name.clone()];
        met.extend(shape.tokens.intersection(&has).map(|token| format!("{name} {token}")));
        let pairs = shape.pairs.iter().filter(|(one, other)| has.contains(one) && has.contains(other));
        met.extend(pairs.map(|(one, other)| format!("{name} {one} + {other}")));
        met.extend((words.len() == shape.least).then(|| format!("{name} (plain)")));
        met.extend((words.len() > shape.least).then(|| format!("{name} (longer)")));
        for name in met {
            self.all.remove(&name);
        }
    }
}

/// The name in the list for something that is missing.
fn excuse(missing: &str) -> Option<&'static str> {
    let fits = |name: &str| missing.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    NOT_DRAWN.iter().map(|(name, _)| *name).find(|name| fits(name))
}

#[test]
fn every_command_and_every_option_is_drawn() {
    let mut ours = Ours::start(&[]);
    let mut wanted = Wanted::ask(&mut ours);
    let mut grammars = grammar::ask(&mut ours);
    grammars.retain(drawn);
    for seed in 0..DRAWN {
        let words = Draw::new(seed).command(&grammars);
        if is_timeless(&words) {
            wanted.meet(&words);
        }
    }
    let families = sessions().0;
    for family in &families {
        for seed in 0..DRAWN / u64::try_from(families.len()).expect("a few") {
            let (_, _, words) = family.draw(&mut Draw::new(seed));
            let text = |word: Word| match word {
                Word::Text(text) => String::from_utf8_lossy(&text).into_owned(),
                Word::Dump(_) | Word::Functions => "payload".to_owned(),
            };
            wanted.meet(&words.into_iter().map(text).collect::<Vec<_>>());
        }
    }
    let missing: Vec<&String> = wanted.all.iter().filter(|name| excuse(name).is_none()).collect();
    assert!(missing.is_empty(), "{} never drawn:\n{missing:#?}", missing.len());
    for (name, why) in NOT_DRAWN {
        let used = wanted.all.iter().any(|missing| excuse(missing) == Some(name));
        assert!(used, "{name} is drawn after all ({why})");
    }
}
