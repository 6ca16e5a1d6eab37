//! Garbage and damaged files: the readers of scenarios and configuration files may complain, never panic.

use std::path::Path;

use proptest::prelude::*;
use splitbrain::conf;
use splitbrain::{sentinel, server};

use super::scenario_files::{library, load};

/// Pieces that are likely to reach the corners of the readers.
const PIECES: &[&str] = &[
    "[[redis]]\n",
    "[[client]]\n",
    "[[fault]]\n",
    "[machines]\n",
    "[zones]\n",
    "name = \"r1\"\n",
    "names = [\"r1\", \"é\"]\n",
    "\"",
    "'",
    "=",
    "[",
    "]",
    "{",
    "}",
    ",",
    "#",
    "\n",
    "\\",
    "\0",
    "é",
    "-1",
    "0",
    "1e999",
    "nan",
    "99999999999999999999",
    "\"99999999999h\"",
    "\"uniform(0s, 584d)\"",
    "\"-0s\"",
    "true",
    "[[]]",
    "[\"\"]",
    "count = 4000000000\n",
    "for = \"0s\"\n",
    "replicaof = \"r1\"\n",
    "at = \"exponential(1s)\"\n",
    "config = { port = 0, save = \"\" }\n",
    "2020-01-01",
    "\"%\"",
    "\"100%\"",
    "link = { from = \"r1\", to = \"r1\", down = true }\n",
    "via = \"servers:[\"\n",
    "key-choice = \"hot(0, 2\"\n",
];

/// A valid file with a few stretches cut out, repeated, or replaced.
fn damaged() -> impl Strategy<Value = String> {
    let files: Vec<String> = library().iter().map(|path| std::fs::read_to_string(path).expect("readable")).collect();
    let damage = (any::<prop::sample::Index>(), 0usize..40, prop::option::of(prop::sample::select(PIECES)));
    (prop::sample::select(files), prop::collection::vec(damage, 1..6)).prop_map(|(mut text, damages)| {
        for (at, length, piece) in damages {
            let marks: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let from = at.index(marks.len());
            let to = (from + length).min(marks.len() - 1);
            text.replace_range(marks[from]..marks[to], piece.unwrap_or(""));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damaged_scenarios_are_refused_or_run(text in damaged(), json in any::<bool>()) {
        let name = if json { "f.json" } else { "f.toml" };
        let _ = load(Path::new(name), &text, &[]);
    }

    #[test]
    fn garbage_is_refused(text in any::<String>(), json in any::<bool>()) {
        let name = if json { "f.json" } else { "f.toml" };
        prop_assert!(load(Path::new(name), &text, &[]).is_err());
    }

    #[test]
    fn any_change_is_applied_or_refused(path in "[a-z\\[\\]0-9.\"=-]{0,20}", value in "\\PC{0,12}") {
        let text = "duration = '10s'\n[[redis]]\nname = 'r1'\n";
        let _ = load(Path::new("f.toml"), text, &[format!("{path}={value}")]);
        let _ = load(Path::new("f.toml"), text, &[format!("redis[0].{path}={value}")]);
    }

    #[test]
    fn configuration_files_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(directives) = conf::parse(&bytes) {
            let _ = server::config::Config::from_directives(&directives);
            let _ = sentinel::config::Config::from_directives(&directives);
        }
    }

    #[test]
    fn directives_with_any_arguments_are_refused_or_taken(
        name in prop::sample::select(&[
            "port", "save", "repl-backlog-size", "client-output-buffer-limit", "sentinel", "replicaof", "maxmemory", "bind",
            "min-replicas-to-write", "replica-announce-port", "requirepass", "rename-command", "hz", "appendonly", "dir",
        ][..]),
        words in prop::collection::vec(prop_oneof![
            "[ -~]{0,12}",
            prop::sample::select(&["monitor", "mymaster", "10.0.0.1", "6379", "2", "0", "-1", "yes", "1gb", "replica",
                "99999999999999999999", "down-after-milliseconds", "known-replica", "myid", "current-epoch", ""][..])
                .prop_map(str::to_owned),
        ], 0..7),
    ) {
        let args: Vec<Vec<u8>> = words.into_iter().map(String::into_bytes).collect();
        let directive = conf::Directive { name: name.to_owned(), args, line: 1 };
        let _ = server::config::Config::from_directives(std::slice::from_ref(&directive));
        let _ = sentinel::config::Config::from_directives(&[directive]);
    }
}
