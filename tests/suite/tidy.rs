//! The house's habits that a test can keep: sizes, arrows between rooms, banned names, first lines, documented folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// No file may be longer; the cure is a sub-struct with a room of its own.
const LINES_MAX: usize = 800;
/// No new function may be longer.
const FUNCTION_LINES_MAX: usize = 70;

/// Which rooms of the crate each room may use (besides itself and its own submodules).
const ARROWS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("rng", &["time"]),
    ("id", &["rng"]),
    ("fault", &["time", "rng", "id"]),
    ("resp", &["id"]),
    ("conf", &["resp"]),
    ("trace", &["time", "id", "fault"]),
    ("node", &["time", "rng", "id", "resp", "trace"]),
    ("server", &["node", "conf", "time", "rng", "id", "resp", "trace"]),
    ("sentinel", &["node", "conf", "time", "rng", "id", "resp", "trace"]),
    ("client", &["node", "conf", "time", "rng", "id", "resp", "trace"]),
    ("resource", &["node", "time", "rng", "id", "resp", "trace"]),
    ("stats", &[]),
    ("check", &["time", "id", "fault", "trace"]),
    (
        "scenario",
        &[
            "time",
            "rng",
            "id",
            "fault",
            "conf",
            "server::config",
            "sentinel::config",
            "client::config",
            "resource::config",
            "check",
            "trace::event::names",
        ],
    ),
    (
        "world/deploy",
        &[
            "scenario", "node", "trace", "fault", "time", "rng", "id", "resp", "server", "sentinel", "client",
            "resource",
        ],
    ),
    ("world", &["scenario", "node", "trace", "fault", "time", "rng", "id", "resp"]),
    ("report", &["check", "stats", "trace", "time", "id", "rng", "fault"]),
    ("host", &["world", "scenario", "run", "report", "trace", "fault", "time", "rng", "id", "node"]),
    ("run", &["scenario", "world", "check", "stats", "trace", "report", "conf", "fault", "time", "rng", "id", "node"]),
];

/// Texts that may not stand in `src/`, and what to use instead. The third column lists rooms where they may.
const BANNED: &[(&str, &str, &[&str])] = &[
    ("std::net::Tcp", "sockets belong to the hosts", &["host"]),
    ("std::fs", "files belong to cli and the hosts", &["host", "cli", "scenario/load"]),
    ("std::time::", "time is a value (crate::time)", &["host", "cli", "run/clock"]),
    ("std::thread", "threads belong to the hosts and sweeps", &["host", "cli", "run/sweep"]),
    ("HashMap<", "use BTreeMap, IndexMap or FxHashMap", &["FxHashMap"]),
    ("println!", "results go through cli", &["cli"]),
    (".unwrap()", "use expect and state the invariant, or return an error", &[]),
    ("f64", "integers only here", &["*"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> =
            fs::read_dir(&folder).expect("folder exists").map(|e| e.expect("entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
                files.push((name, fs::read_to_string(&path).expect("readable")));
            }
        }
    }
    files.sort();
    files
}

/// The code of a file without its unit tests and comments.
fn product_code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    code.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

#[test]
fn files_begin_with_a_sentence_and_stay_short() {
    let mut problems = Vec::new();
    for (name, text) in rust_files("src").into_iter().chain(rust_files("tests/suite")) {
        if !text.starts_with("//! ") {
            problems.push(format!("{name}: first line must say what lives here (//! …)"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            problems.push(format!("{name}: {lines} lines, at most {LINES_MAX}: find the sub-struct"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Functions longer than the limit, by file: this list may only shrink. A configuration's defaults are one list of values.
const LONG_FUNCTIONS: &[(&str, usize)] = &[("src/server/config/mod.rs", 1)];

#[test]
fn functions_stay_short() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut names = Vec::new();
    for (file, text) in rust_files("src") {
        let mut start: Option<(usize, usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let code = line.trim_start();
            let is_fn = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn ", "pub const fn "]
                .iter()
                .any(|prefix| code.starts_with(prefix));
            if is_fn && !code.ends_with(';') && !code.ends_with('}') {
                start = Some((number, indent, code.to_owned()));
            } else if let Some((from, at, _)) = &start
                && code == "}"
                && indent == *at
            {
                let lines = number - from + 1;
                if lines > FUNCTION_LINES_MAX {
                    *found.entry(file.clone()).or_default() += 1;
                    names.push(format!("{file}:{} {lines} lines", from + 1));
                }
                start = None;
            }
        }
    }
    let allowed: BTreeMap<&str, usize> = LONG_FUNCTIONS.iter().copied().collect();
    let worse: Vec<String> = found
        .iter()
        .filter(|(file, count)| **count > allowed.get(file.as_str()).copied().unwrap_or(0))
        .map(|(file, count)| format!("{file}: {count} functions over {FUNCTION_LINES_MAX} lines"))
        .collect();
    assert!(worse.is_empty(), "\n{}\n\n{}", worse.join("\n"), names.join("\n"));
    let better: Vec<&str> = allowed
        .iter()
        .filter(|(file, count)| found.get(**file).copied().unwrap_or(0) < **count)
        .map(|(file, _)| *file)
        .collect();
    assert!(better.is_empty(), "shrink LONG_FUNCTIONS for {better:?}");
}

#[test]
fn rooms_use_only_what_they_may() {
    let mut problems = Vec::new();
    for (name, text) in rust_files("src") {
        let place = name.trim_start_matches("src/").trim_end_matches(".rs");
        let Some((room, allowed)) =
            ARROWS.iter().find(|(room, _)| place == *room || place.starts_with(&format!("{room}/")))
        else {
            continue;
        };
        let own = room.split('/').next().expect("split gives one");
        let code = product_code(&text);
        for used in crate_paths(&code).into_iter().flat_map(|path| spelled_out(path, &code)) {
            let ok = used.starts_with(own)
                || used.is_empty()
                || allowed.iter().any(|a| used == *a || used.starts_with(&format!("{a}::")));
            if !ok {
                problems.push(format!("{name}: uses crate::{used}, which {room} may not"));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// A whole module brought in by name stands for the paths that the code then takes through it.
fn spelled_out(path: String, code: &str) -> Vec<String> {
    if !matches!(path.as_str(), "server" | "sentinel" | "client") {
        return vec![path];
    }
    let through = format!("{path}::");
    let uses = code.match_indices(&through).filter(|(at, _)| !code[..*at].ends_with([':', '_'])).map(|(at, _)| {
        let rest = &code[at + through.len()..];
        let next: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        format!("{path}::{next}")
    });
    uses.collect()
}

/// Every path that follows `crate::` in the code, groups opened one level.
fn crate_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let end = group
                .char_indices()
                .find(|(_, c)| {
                    depth += i32::from(*c == '{') - i32::from(*c == '}');
                    depth == 0
                })
                .map_or(group.len(), |(at, _)| at);
            for item in group[..end].split(',') {
                paths.push(item.trim().chars().take_while(|c| is_path(*c)).collect());
            }
        } else {
            paths.push(rest.chars().take_while(|c| is_path(*c)).collect());
        }
    }
    paths
}

#[test]
fn banned_names_stay_out() {
    let mut problems = Vec::new();
    for (name, text) in rust_files("src") {
        let place = name.trim_start_matches("src/").to_owned();
        let code = product_code(&text);
        for (word, instead, rooms) in BANNED {
            let only_queue = *word == "f64";
            if only_queue && place != "world/queue.rs" {
                continue;
            }
            if rooms.iter().any(|room| place.starts_with(room)) {
                continue;
            }
            for (number, line) in code.lines().enumerate() {
                if line.contains(word) && !(*word == "HashMap<" && line.contains("FxHashMap")) {
                    problems.push(format!("{name}:{}: {word}: {instead}", number + 1));
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_folder_is_in_the_architecture() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    for entry in fs::read_dir(root().join("src")).expect("src") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let label = if path.is_dir() { format!("{name}/") } else { name };
        assert!(text.contains(&format!("`{label}`")), "docs/architecture.md has no `{label}`");
    }
}

fn scenario_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("scenarios")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("scenarios") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "toml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_scenario_says_what_it_is_about_and_expects_something() {
    for path in scenario_files() {
        let text = fs::read_to_string(&path).expect("readable");
        let name = Path::new(&path).strip_prefix(root()).expect("below the root").display().to_string();
        assert!(text.starts_with("# "), "{name}: the first line is a comment that says what it is about");
        assert!(text.contains("\ndescription = "), "{name}: no description");
        assert!(text.contains("\n[expect]"), "{name}: no [expect]");
    }
}
