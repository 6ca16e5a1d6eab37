//! What Redis's own table says of every command of 7.0, whether or not it is here: `table.txt`, written by
//! `tests/golden/commands.py`.

use std::sync::LazyLock;

use super::flag;

/// What is done to a key, as bits in the order in which they are printed.
pub(crate) mod access {
    #![allow(missing_docs, reason = "Redis's own names, as COMMAND INFO prints them")]
    pub(crate) const RO: u16 = 1;
    pub(crate) const RW: u16 = 1 << 1;
    pub(crate) const OW: u16 = 1 << 2;
    pub(crate) const ACCESS: u16 = 1 << 4;
    pub(crate) const UPDATE: u16 = 1 << 5;
    pub(crate) const INSERT: u16 = 1 << 6;
    pub(crate) const DELETE: u16 = 1 << 7;
    pub(crate) const NOT_KEY: u16 = 1 << 8;
    pub(crate) const INCOMPLETE: u16 = 1 << 9;
    pub(crate) const VARIABLE_FLAGS: u16 = 1 << 10;
    /// Names of the bits.
    pub(crate) const NAMES: [&str; 11] =
        ["RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags"];
}

/// How the first of some keys is found (`begin_search`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At this argument.
    Index(i64),
    /// After this word, which is looked for from this argument on; negative: backwards, from the end.
    Keyword(&'static str, i64),
    /// Only the command knows.
    Unknown,
}

/// How the others are found (`find_keys`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Find {
    /// How far the last one is from the first (negative: from the end), the step, and which share of the rest are keys.
    Range(i64, i64, i64),
    /// Where their number stands, where the first one does, the step.
    Number(i64, i64, i64),
    /// Only the command knows.
    Unknown,
}

/// Where some of a command's keys stand, and what it does to them (`keySpec`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeySpec {
    /// What people should know; empty: nothing.
    pub notes: &'static str,
    /// [`access`] bits.
    pub access: u16,
    /// The first key.
    pub begin: Begin,
    /// The others.
    pub find: Find,
}

/// One command or subcommand.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// In lower case; a subcommand's is `container|name`.
    pub name: &'static str,
    /// Arguments, the name included; negative: at least that many.
    pub arity: i32,
    /// [`flag`] bits that COMMAND INFO prints.
    pub flags: u64,
    /// First key, last key, step.
    pub keys: (i32, i32, i32),
    /// ACL categories.
    pub categories: &'static str,
    /// Tips for clients.
    pub tips: Vec<&'static str>,
    /// Key specifications.
    pub specs: Vec<KeySpec>,
}

impl Meta {
    /// True when it has keys at all (`doesCommandHaveKeys`).
    #[must_use]
    pub(crate) fn has_keys(&self) -> bool {
        self.specs.iter().any(|spec| spec.access & access::NOT_KEY == 0)
    }
}

/// Names of the flags that COMMAND INFO prints.
pub(super) const FLAG_NAMES: &[(u64, &str)] = &[
    (flag::WRITE, "write"),
    (flag::READONLY, "readonly"),
    (flag::DENYOOM, "denyoom"),
    (flag::ADMIN, "admin"),
    (flag::PUBSUB, "pubsub"),
    (flag::NOSCRIPT, "noscript"),
    (flag::BLOCKING, "blocking"),
    (flag::LOADING, "loading"),
    (flag::STALE, "stale"),
    (flag::SKIP_MONITOR, "skip_monitor"),
    (flag::SKIP_SLOWLOG, "skip_slowlog"),
    (flag::ASKING, "asking"),
    (flag::FAST, "fast"),
    (flag::NO_AUTH, "no_auth"),
    (flag::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (flag::NO_ASYNC_LOADING, "no_async_loading"),
    (flag::NO_MULTI, "no_multi"),
    (flag::MOVABLE_KEYS, "movablekeys"),
    (flag::ALLOW_BUSY, "allow_busy"),
];

static ALL: LazyLock<Vec<Meta>> = LazyLock::new(|| include_str!("table.txt").lines().map(line).collect());

/// All of Redis's commands, in the order of names.
pub(crate) fn all() -> &'static [Meta] {
    &ALL
}

/// What is known of the command of that name.
#[must_use]
pub(crate) fn of(name: &str) -> Option<&'static Meta> {
    ALL.binary_search_by(|other| other.name.cmp(name)).ok().map(|at| &ALL[at])
}

fn words(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(' ').filter(|word| !word.is_empty())
}

fn numbers<const N: usize>(text: &str, separator: char) -> [i64; N] {
    let mut parts = text.split(separator).map(|part| part.parse().expect("the table has numbers here"));
    std::array::from_fn(|_| parts.next().expect("the table has as many numbers as it should"))
}

fn line(text: &'static str) -> Meta {
    let mut fields = text.split('\t');
    let mut field = || fields.next().unwrap_or_default();
    let name = field();
    let arity = field().parse().expect("the second field of the table is a number");
    let flag = |word: &str| FLAG_NAMES.iter().find(|(_, other)| *other == word).map_or(0, |(bit, _)| *bit);
    let flags = words(field()).map(flag).sum();
    let [first, last, step] = numbers(field(), ' ').map(|n| i32::try_from(n).expect("a small number"));
    let (categories, tips) = (field(), words(field()).collect());
    Meta { name, arity, flags, keys: (first, last, step), categories, tips, specs: fields.map(key_spec).collect() }
}

fn key_spec(text: &'static str) -> KeySpec {
    let mut fields = text.splitn(4, '|');
    let mut field = || fields.next().unwrap_or_default();
    let access = words(field())
        .map(|word| 1 << access::NAMES.iter().position(|name| *name == word).expect("the table has known words"))
        .sum();
    let begin = field();
    let begin = match begin.split_at(1) {
        ("i", index) => Begin::Index(numbers::<1>(index, ',')[0]),
        ("k", rest) => {
            let (word, from) = rest.split_once(',').expect("a keyword has a place");
            Begin::Keyword(word, numbers::<1>(from, ',')[0])
        }
        _ => Begin::Unknown,
    };
    let find = field();
    let find = match find.split_at(1) {
        ("r", rest) => {
            let [last, step, limit] = numbers(rest, ',');
            Find::Range(last, step, limit)
        }
        ("n", rest) => {
            let [at, first, step] = numbers(rest, ',');
            Find::Number(at, first, step)
        }
        _ => Find::Unknown,
    };
    KeySpec { notes: field(), access, begin, find }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::commands::{self, Command};

    #[test]
    fn rows_are_in_order_and_all_are_commands() {
        assert!(all().is_sorted_by(|a, b| a.name < b.name));
        let sort = of("sort").expect("SORT is a command");
        assert_eq!(sort.specs.len(), 3);
        assert_eq!((sort.specs[1].begin, sort.specs[1].find), (Begin::Unknown, Find::Unknown));
        for meta in all() {
            assert!(commands::find(meta.name.as_bytes()).is_some(), "{}", meta.name);
        }
    }

    /// Arity, flags, keys and categories of what is modelled are those of a real server.
    #[test]
    fn rows_agree_with_the_real_table() {
        let printed = FLAG_NAMES.iter().map(|(bit, _)| bit).sum::<u64>();
        let mut wrong = Vec::new();
        for command in commands::all().iter().flat_map(|command| std::iter::once(command).chain(&command.subs)) {
            let Command { spec, .. } = command;
            let Some(meta) = of(spec.name) else {
                wrong.push(format!("{} isn't in the real table", spec.name));
                continue;
            };
            let mine = (spec.arity, spec.flags & printed, spec.keys, spec.categories);
            let real = (meta.arity, meta.flags, meta.keys, meta.categories);
            if mine != real {
                wrong.push(format!("{}: {mine:?}, not {real:?}", spec.name));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
