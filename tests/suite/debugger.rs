//! Sessions of the Lua debugger that were recorded from a real redis-server 7.0.15 (`tests/golden/ldb.py`): ours says the same
//! bytes. Addresses of functions are its own.

use std::path::Path;

use splitbrain::resp::quote;

use crate::conformance::{How, Step, directives, is_reply, parse};
use crate::targets::{Ours, Target as _};

/// Text without addresses and the numbers of clients.
fn masked(line: &str) -> String {
    let mut text = line.to_owned();
    for mark in ["@0x", "id\\r\\n:"] {
        let mut parts = text.split(mark);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out.push_str(mark);
            out.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
        }
        text = out;
    }
    text
}

/// What ours says to a script of steps.
fn play(script: &str) -> Vec<String> {
    let mut ours = Ours::start(&directives(script));
    let mut lines = Vec::new();
    for line in script.lines().filter(|line| !is_reply(line)) {
        lines.push(line.to_owned());
        let got = if let Some(conn) = line.strip_suffix('-').filter(|conn| !conn.contains(' ')) {
            ours.close(conn)
        } else {
            match parse(line) {
                Step::Send { conn, data, how: How::Exactly } => ours.exchange_alone(conn, &data),
                Step::Sleep(ms, _) => ours.sleep(ms),
                Step::Send { .. } | Step::Nothing => continue,
            }
        };
        for (name, (bytes, closed)) in got {
            if !bytes.is_empty() {
                lines.push(format!("{name}< {}", quote(&bytes)));
            }
            if closed {
                lines.push(format!("{name} closed"));
            }
        }
    }
    lines
}

#[test]
fn the_debugger_says_what_a_real_one_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ldb");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in files {
        let script = std::fs::read_to_string(&file).expect("a script");
        let wanted: Vec<&str> = script.lines().collect();
        let got = play(&script);
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        let steps = |lines: &mut dyn Iterator<Item = String>| {
            let mut steps: Vec<Vec<String>> = Vec::new();
            for line in lines {
                if !is_reply(&line) || steps.is_empty() {
                    steps.push(Vec::new());
                }
                steps.last_mut().expect("one was pushed").push(masked(&line));
            }
            steps
        };
        let wanted = steps(&mut wanted.iter().map(|line| (*line).to_owned()));
        let got = steps(&mut got.into_iter());
        assert_eq!(wanted.len(), got.len(), "{name}");
        compared += wanted.iter().filter(|step| step.len() > 1).count();
        for (want, got) in wanted.iter().zip(&got).filter(|(want, got)| want != got) {
            wrong.push(format!("{name}: {}\n  want {:?}\n  got  {:?}", want[0], &want[1..], &got[1..]));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} steps differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 250, "few steps were compared");
}
