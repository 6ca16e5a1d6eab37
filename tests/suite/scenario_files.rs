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
