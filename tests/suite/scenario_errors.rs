//! Every kind of mistake in a scenario file, and what is said about it.

use std::path::Path;

use super::scenario_files::load;

/// Each file of `tests/bad-scenarios` against the snapshot of its errors.
#[test]
fn mistakes_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-scenarios");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml" || extension == "json"));
    files.sort();
    assert!(files.len() >= 25, "only {} kinds of mistake", files.len());
    insta::with_settings!({ snapshot_path => "../bad-scenarios/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        for path in files {
            let text = std::fs::read_to_string(&path).expect("readable");
            let report = load(&path, &text, &[]).expect_err(&path.display().to_string());
            insta::assert_snapshot!(path.file_stem().expect("a stem").to_string_lossy().as_ref(), report);
        }
    });
}

/// Changes from the command line are shown as they were typed.
#[test]
fn mistakes_in_changes_are_explained() {
    let text = "duration = '10s'\n[[redis]]\nname = 'r1'\n[[redis]]\nnames = ['r2', 'r3']\nreplicaof = 'r1'\n";
    let sets = [
        "network.latncy=5ms",
        "redis.r3.start=1s",
        "redis[9].start=1s",
        "duration",
        "settle=9 lives",
        "network..loss=1",
    ];
    let report = load(Path::new("folder/file.toml"), text, &sets.map(str::to_owned)).expect_err("all are wrong");
    insta::with_settings!({ snapshot_path => "../bad-scenarios/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("set", report);
    });
}
