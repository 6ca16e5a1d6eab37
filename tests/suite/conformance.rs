//! Scripts of requests whose replies were recorded from a real redis-server 7.0.15: ours must answer the same bytes.
//!
//! `tests/golden/scripts/*.txt`. A line `a> SET k v` sends a request over connection `a`, `a| "PING\r\n"` raw bytes; the lines
//! `a< "+OK\r\n"` below are what each connection then got, `a closed` that the server closed it. After `a~>` numbers
//! are compared only as numbers, after `a?>` nothing is compared. `sleep 100` waits that many milliseconds; `config name value` sets a directive at the start.
//! `UPDATE=1` records anew where redis-server 7.0.15 is installed.

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use splitbrain::resp::{encode, quote, split_args};

use crate::targets::{Ours, Real, Target};

/// What a script line asks for.
pub(crate) enum Step<'a> {
    Send {
        conn: &'a str,
        data: Vec<u8>,
        how: How,
    },
    Sleep(u64, How),
    /// A comment or a directive.
    Nothing,
}

/// How what a step brings is compared.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum How {
    Exactly,
    Masked,
    NotAtAll,
}

impl How {
    fn of(head: &str) -> How {
        match (head.contains('~'), head.contains('?')) {
            (true, _) => How::Masked,
            (_, true) => How::NotAtAll,
            (false, false) => How::Exactly,
        }
    }
}

/// A line that isn't a recorded reply.
pub(crate) fn parse(line: &str) -> Step<'_> {
    if let Some((head, ms)) = line.split_once(' ').filter(|(head, _)| head.starts_with("sleep")) {
        return Step::Sleep(ms.parse().expect("milliseconds"), How::of(head));
    }
    if line.starts_with('#') || line.starts_with("config ") || line.trim().is_empty() {
        return Step::Nothing;
    }
    let (conn, rest) = line.split_once(' ').unwrap_or_else(|| panic!("not a step: {line}"));
    let words = split_args(rest.as_bytes()).unwrap_or_else(|| panic!("quotes: {line}"));
    let data = if conn.ends_with('|') {
        words.concat()
    } else {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut data = BytesMut::new();
        encode::command(&mut data, &words);
        data.to_vec()
    };
    let name = conn.trim_end_matches(['>', '|', '~', '?']);
    Step::Send { conn: name, data, how: How::of(conn) }
}

/// Numbers are all alike, and so are ids of 40 digits.
pub(crate) fn mask(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let end = word.len()
            - word.chars().next_back().map_or(0, |c| if c.is_ascii_alphanumeric() { 0 } else { c.len_utf8() });
        let (text, rest) = word.split_at(end);
        if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            out.push('#');
        } else {
            for c in text.chars() {
                if !c.is_ascii_digit() {
                    out.push(c);
                } else if !out.ends_with('#') {
                    out.push('#');
                }
            }
        }
        out.push_str(rest);
    }
    out
}

pub(crate) fn is_reply(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(head, rest)| head.ends_with('<') || rest == "closed")
}

/// The script with the replies that this target gives.
fn play(script: &str, target: &mut dyn Target) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    for line in script.lines().filter(|line| !is_reply(line)) {
        lines.push((line.to_owned(), false));
        let (got, how) = match parse(line) {
            Step::Send { conn, data, how } => (target.exchange(conn, &data), how),
            Step::Sleep(ms, how) => (target.sleep(ms), how),
            Step::Nothing => continue,
        };
        let varies = how == How::Masked;
        for (name, (bytes, closed)) in got.into_iter().filter(|_| how != How::NotAtAll) {
            if !bytes.is_empty() {
                lines.push((format!("{name}< {}", quote(&bytes)), varies));
            }
            if closed {
                lines.push((format!("{name} closed"), false));
            }
        }
    }
    lines
}

pub(crate) fn directives(script: &str) -> Vec<(String, String)> {
    let words = script.lines().filter_map(|line| line.strip_prefix("config "));
    words.filter_map(|line| line.split_once(' ')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scripts");
    let folder = std::env::var_os("SCRIPTS").map_or(folder, PathBuf::from);
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "txt"));
    files.sort();
    files
}

/// Where two transcripts of the same script differ.
fn differences(wanted: &[&str], got: &[(String, bool)]) -> Vec<String> {
    let steps = |lines: &mut dyn Iterator<Item = (String, bool)>| {
        let mut steps: Vec<(String, Vec<String>)> = vec![(String::new(), Vec::new())];
        for (line, varies) in lines {
            if is_reply(&line) {
                let text = if varies { mask(&line) } else { line };
                steps.last_mut().expect("the first").1.push(text);
            } else {
                steps.push((line, Vec::new()));
            }
        }
        steps
    };
    let mut varies = false;
    let wanted = steps(&mut wanted.iter().map(|line| {
        if !is_reply(line) {
            varies = line.split(' ').next().is_some_and(|head| head.contains('~'));
        }
        ((*line).to_owned(), varies && !line.ends_with(" closed"))
    }));
    let got = steps(&mut got.iter().cloned());
    assert_eq!(wanted.len(), got.len(), "the same script");
    let mut wrong = Vec::new();
    for ((line, want), (_, got)) in wanted.iter().zip(&got).filter(|(want, got)| want.1 != got.1) {
        wrong.push(format!("{line}\n  want {}\n  got  {}", want.join("\n       "), got.join("\n       ")));
    }
    wrong
}

#[test]
fn scripts_are_answered_as_a_real_server_does() {
    let update = std::env::var_os("UPDATE").is_some();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for file in scripts() {
        let mut text = std::fs::read_to_string(&file).expect("a script");
        let config = directives(&text);
        if update && let Some(mut real) = Real::start(&config) {
            let lines = play(&text, &mut real);
            text = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
            std::fs::write(&file, &text).expect("the file can be written");
        }
        let got = play(&text, &mut Ours::start(&config));
        let lines: Vec<&str> = text.lines().collect();
        compared += lines.iter().filter(|line| is_reply(line)).count();
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        wrong.extend(differences(&lines, &got).into_iter().map(|text| format!("{name}: {text}")));
    }
    assert!(wrong.is_empty(), "{} of {compared} replies differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 0, "nothing was compared");
}
