//! What README.md shows is what the program prints: each command in it that has an output is run and compared. `UPDATE=1`
//! writes what it prints now.

use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command of the file, and which of its lines are the output.
struct Example {
    command: String,
    output: Range<usize>,
}

/// The commands in blocks of `console`. The output follows in the block, or is the next block of `text`.
fn examples(lines: &[&str]) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut block: Option<&str> = None;
    for (number, line) in lines.iter().enumerate() {
        match (block, line.strip_prefix("```")) {
            (None, Some(language)) => {
                block = Some(language);
                if let ("text", Some(last)) = (language, found.last_mut())
                    && last.output.is_empty()
                {
                    last.output = number + 1..number + 1;
                }
            }
            (Some(_), Some(_)) => block = None,
            (Some("console"), None) if line.starts_with("$ ") => {
                found.push(Example { command: line[2..].to_owned(), output: number + 1..number + 1 });
            }
            (Some("console" | "text"), None) => {
                if let Some(last) = found.last_mut()
                    && !line.is_empty()
                {
                    last.output.end = number + 1;
                }
            }
            _ => {}
        }
    }
    found.retain(|example| !example.output.is_empty());
    found
}

/// The words of a command line, in which single quotes quote.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().expect("one at least").push(other),
        }
    }
    words
}

/// A line without the real time that something took.
fn timeless(line: &str) -> &str {
    let until = match line.split_whitespace().next() {
        Some("seed") => line.find(" simulated in "),
        Some("took:") => line.rfind(", in "),
        _ => None,
    };
    &line[..until.unwrap_or(line.len())]
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

/// What a command prints in a folder with the scenarios.
fn printed(command: &str) -> String {
    let words = words(command);
    let program: &[&str] = if words[0] == "cargo" { &["cargo", "run", "--release", "--"] } else { &["splitbrain"] };
    assert!(words.iter().zip(program).all(|(word, expected)| word == expected), "not a command of ours: {command}");
    let folder = tempfile::tempdir().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"), &folder.path().join("scenarios"));
    let done = Command::new(env!("CARGO_BIN_EXE_splitbrain"))
        .args(&words[program.len()..])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(matches!(done.status.code(), Some(0 | 1)), "{command}: {} {said}", done.status);
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn the_examples_of_the_readme_are_what_is_printed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).expect("a readme");
    let lines: Vec<&str> = text.lines().collect();
    let found = examples(&lines);
    assert!(found.len() >= 5, "examples with an output: {}", found.len());
    let mut renewed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut wrong = Vec::new();
    for example in found.iter().rev() {
        let printed = printed(&example.command);
        let shown = &lines[example.output.clone()];
        let mut now: Vec<&str> = printed.trim_end().lines().collect();
        if shown.last() == Some(&"…") {
            now.truncate(shown.len() - 1);
            now.push("…");
        }
        let differs = |(a, b): (&&str, &&str)| timeless(a) != timeless(b);
        if now.len() != shown.len() || now.iter().zip(shown).any(differs) {
            wrong.push(format!("$ {}\n{}", example.command, now.join("\n")));
            renewed.splice(example.output.clone(), now.iter().map(|line| (*line).to_owned()));
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, renewed.join("\n") + "\n").expect("written");
        return;
    }
    assert!(wrong.is_empty(), "README.md shows something else (UPDATE=1 writes this):\n\n{}", wrong.join("\n\n"));
}
