//! Scenario files as a whole: every file of the library loads, prints back to itself, and fits the JSON schema.

use std::path::{Path, PathBuf};

use splitbrain::scenario::{self, Input, Loaded};

/// Every scenario of the library, by its path.
pub(crate) fn library() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Loads a text; configuration files come from the folder of `path`.
pub(crate) fn load(path: &Path, text: &str, sets: &[String]) -> Result<Loaded, String> {
    let folder = path.parent().expect("a file has a folder").to_owned();
    let read_file = |name: &str| std::fs::read(folder.join(name)).map_err(|error| error.to_string());
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    scenario::load(Input { name: &name, text, sets, read_file: &read_file }).map_err(|report| report.render(100, false))
}

fn load_file(path: &Path) -> Loaded {
    let text = std::fs::read_to_string(path).expect("readable");
    load(path, &text, &[]).unwrap_or_else(|report| panic!("{}\n{report}", path.display()))
}

#[test]
fn the_library_loads_without_warnings_and_says_what_it_is_about() {
    let library = library();
    assert!(!library.is_empty());
    for path in library {
        let text = std::fs::read_to_string(&path).expect("readable");
        let loaded = load_file(&path);
        let name = path.display();
        assert!(text.starts_with("# "), "{name}: the first line says what it is about");
        assert!(!loaded.scenario.description.is_empty(), "{name}: no description");
        assert!(!loaded.scenario.expect.is_empty(), "{name}: expects nothing");
        assert_eq!(*loaded.scenario.name, *path.file_stem().expect("a stem").to_string_lossy(), "{name}: name");
        let report = loaded.report.render(100, false);
        let wanted = text.contains("# Warns: ");
        assert_eq!(!report.is_empty(), wanted, "{name}: warnings\n{report}");
    }
}

/// Files for sweeps: every variant loads.
#[test]
fn sweeps_load_in_all_variants() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sweeps");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        let read_file = |name: &str| std::fs::read(folder.join(name)).map_err(|error| error.to_string());
        let name = path.file_name().expect("a file has a name").to_string_lossy();
        let variants = scenario::load_variants(Input { name: &name, text: &text, sets: &[], read_file: &read_file });
        let variants = variants.unwrap_or_else(|report| panic!("{name}\n{}", report.render(100, false)));
        assert!(text.starts_with("# ") && variants.list.len() > 5, "{name}");
        count += 1;
    }
    assert!(count >= 2);
}

#[test]
fn what_is_printed_loads_to_the_same_scenario() {
    for path in library() {
        let loaded = load_file(&path);
        let printed = loaded.print();
        let again =
            load(&path, &printed, &[]).unwrap_or_else(|report| panic!("{}\n{printed}\n{report}", path.display()));
        assert_eq!(format!("{:#?}", loaded.scenario), format!("{:#?}", again.scenario), "{}", path.display());
        assert_eq!(printed, again.print(), "{}", path.display());
    }
}

/// Settings come from three places; the later one wins, and the printed scenario needs no other file.
#[test]
fn configuration_files_are_read_and_printed_inline() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf =
        "# redis.conf\nsave 900 1\nsave 300 10\nrepl-backlog-size 2mb\nrequirepass \"a b\"\nreplicaof 10.9.9.9 1\n";
    std::fs::write(folder.path().join("r.conf"), conf).expect("written");
    std::fs::write(folder.path().join("s.conf"), "sentinel monitor other 10.0.0.1 6379 1\n").expect("written");
    let text = "duration = '10s'\n\
        defaults.redis = { save = '60 1', repl-timeout = 7, repl-backlog-size = '4mb' }\n\
        [[redis]]\nname = 'r1'\n\
        [[redis]]\nname = 'r2'\nreplicaof = 'r1'\nconfig-file = 'r.conf'\nconfig = { repl-backlog-size = '8mb' }\n\
        [[sentinel]]\nname = 's1'\nconfig-file = 's.conf'\n\
        monitor = [{ name = 'mymaster', master = 'r1', quorum = 1 }]\n\
        [[client]]\nname = 'c'\nvia = 'sentinel:other'\nworkload = { kind = 'kv', rate = '1/s' }\n";
    let loaded = load(&folder.path().join("f.toml"), text, &[]).unwrap_or_else(|report| panic!("{report}"));
    let printed = loaded.print();
    for line in [
        "config = { repl-timeout = \"7\", save = [\"900 1\", \"300 10\"], requirepass = \"\\\"a b\\\"\", repl-backlog-size = \"8mb\" }",
        "config = { save = \"60 1\", repl-timeout = \"7\", repl-backlog-size = \"4mb\" }",
        "config = { sentinel = \"monitor other 10.0.0.1 6379 1\" }",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\nis not in\n{printed}");
    }
    assert!(!printed.contains("r.conf"), "{printed}");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let again = load(&elsewhere.path().join("f.toml"), &printed, &[]).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(format!("{:#?}", loaded.scenario), format!("{:#?}", again.scenario));
}

/// What a file includes stands where it is included, and what is wrong with it is said of its own line.
#[test]
fn configuration_files_include_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    std::fs::create_dir(folder.path().join("conf")).expect("made");
    file("conf/r.conf", "timeout 1\ninclude common.conf\nhz 20\n");
    file("conf/common.conf", "timeout 2\nhz 50\nrename-command CONFIG \"\"\n");
    let text = "duration = '10s'\n[[redis]]\nname = 'r1'\nconfig-file = 'conf/r.conf'\n";
    let of = |text: &str| load(&folder.path().join("f.toml"), text, &[]);
    let printed = of(text).unwrap_or_else(|report| panic!("{report}")).print();
    let line = "config = { timeout = [\"1\", \"2\"], hz = [\"50\", \"20\"], rename-command = \"CONFIG \\\"\\\"\" }";
    assert!(printed.lines().any(|printed| printed == line), "{line}\nis not in\n{printed}");
    for (common, expected) in [
        ("hz x\n", "common.conf"),
        ("include r.conf\n", "\"conf/r.conf\" includes itself"),
        ("include none.conf\n", "can't read \"conf/none.conf\""),
        ("include *.conf\n", "an `include` of a pattern can't be followed here"),
        ("rename-command NONE x\n", "No such command in rename-command"),
    ] {
        file("conf/common.conf", common);
        let report = of(text).err().unwrap_or_else(|| panic!("{common} is wrong")).to_string();
        assert!(report.contains(expected) && report.contains("common.conf"), "{common}{report}");
    }
}

/// Addresses are given out in the file's order, and nodes that share a machine get ports of their own.
#[test]
fn nodes_get_addresses() {
    let text = "duration = '10s'\n\
        [machines]\nm = { nodes = ['r2', 'r3', 's1', 's2'] }\nfar = { nodes = 'w', ip = '10.0.0.2' }\n\
        [[redis]]\nname = 'r1'\n[[redis]]\nnames = ['r2', 'r3', 'r4']\nreplicaof = 'r1'\n\
        [[sentinel]]\nnames = ['s1', 's2']\nmonitor = [{ name = 'mymaster', master = 'r1', quorum = 1 }]\n\
        [[client]]\nname = 'w'\ncount = 2\nvia = 'redis:r3'\nworkload = { kind = 'kv', rate = '1/s' }\n";
    let loaded = load(Path::new("f.toml"), text, &[]).unwrap_or_else(|report| panic!("{report}"));
    let nodes = loaded.scenario.nodes.iter().map(|node| format!("{} {}", node.name, node.addr)).collect::<Vec<_>>();
    assert_eq!(
        nodes,
        [
            "r1 10.0.0.3:6379",
            "r2 10.0.0.1:6379",
            "r3 10.0.0.1:6380",
            "r4 10.0.0.4:6379",
            "s1 10.0.0.1:26379",
            "s2 10.0.0.1:26380",
            "w-1 10.0.0.2:0",
            "w-2 10.0.0.2:0",
        ]
    );
}
