//! Replays what a real 7.0.15 server was asked and compares every reply and every byte of the stream.
//!
//! No step is left out but those that [`is_left_out`] names, with its reasons.

use serde::Deserialize;

use super::rig::{Rig, bytes_of};
use crate::time::{Instant, NS_PER_MS, Now, Unix};

#[derive(Deserialize)]
struct Session {
    #[serde(alias = "topic")]
    session: String,
    steps: Vec<Step>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Step {
    c: String,
    args: Option<Vec<String>>,
    reply: Option<String>,
    stream: Option<String>,
    recv: Option<String>,
    varies: Option<String>,
    sleep_ms: u64,
    /// It was sent without waiting for a reply.
    blocks: bool,
    ms_before: u64,
    ms_after: u64,
}

/// Commands that draw among a collection's elements, or evict any key: what they say is as long, whatever they drew.
fn is_random(step: &Step) -> bool {
    let words: Vec<&str> = step.args.iter().flatten().map(String::as_str).collect();
    matches!(words.as_slice(), ["SPOP" | "SRANDMEMBER", ..] | ["CONFIG", "SET", "maxmemory", _])
}

/// Commands that go through a hash table, whose order is its own: which keys they meet first, and remove if they are over.
fn is_unordered(step: &Step, got: &[u8], reply: &[u8]) -> bool {
    match step.args.as_ref().map_or("", |args| args[0].as_str()) {
        "SCAN" => sorted(got) == sorted(reply),
        "RANDOMKEY" => got.first() == reply.first(),
        _ => false,
    }
}

/// It may come across an expired key or not.
fn is_randomkey(step: &Step) -> bool {
    step.args.as_ref().is_some_and(|args| args[0] == "RANDOMKEY")
}

fn sorted(reply: &[u8]) -> Vec<u8> {
    let mut bytes = reply.to_vec();
    bytes.sort_unstable();
    bytes
}

fn show(bytes: &[u8]) -> String {
    crate::resp::quote(bytes)
}

fn replay(rig: &mut Rig, step: &Step) -> (Vec<u8>, Vec<u8>) {
    if let Some(args) = &step.args {
        rig.send(&step.c, args);
        let mut reply = rig.take_reply(&step.c);
        if reply.is_empty() && !step.blocks && step.reply.is_some() {
            // The recorder waited for its time to be over.
            rig.pass(200);
            reply = rig.take_reply(&step.c);
        }
        (reply, rig.take_stream())
    } else {
        (Vec::new(), rig.take_stream())
    }
}

#[test]
fn stream_is_byte_for_byte() {
    let text = include_str!("../../tests/golden/stream.json");
    let topics: Vec<Session> = serde_json::from_str(text).expect("a recording");
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for topic in topics {
        let mut rig = Rig::new(topic.steps[0].ms_before);
        rig.server.active_expire = false;
        for (number, step) in topic.steps.iter().enumerate() {
            let reply = bytes_of(step.reply.as_deref().unwrap_or_default());
            let stream = bytes_of(step.stream.as_deref().unwrap_or_default());
            // The server read its clock somewhere between the two; any millisecond that explains the bytes will do.
            let mut results = Vec::new();
            let fits = (step.ms_before..=step.ms_after.min(step.ms_before + 200)).find_map(|ms| {
                let mut fork = rig.clone();
                fork.now = Now { mono: Instant(rig.now.mono.0 + 1_000_000), unix: Unix(ms * NS_PER_MS) };
                let (got, fed) = replay(&mut fork, step);
                let same = (got == reply || step.varies.is_some()) && fed == stream
                    || is_random(step) && got.len() == reply.len() && fed.len() == stream.len()
                    || is_unordered(step, &got, &reply) && (sorted(&fed) == sorted(&stream) || is_randomkey(step));
                results.push((got, fed));
                same.then_some(fork)
            });
            compared += 1;
            match fits {
                // What it came across, and removed, is another key than there.
                Some(fork) if is_randomkey(step) && stream.is_empty() => rig.now = fork.now,
                Some(fork) => rig = fork,
                None => {
                    let (got, fed) = results.pop().expect("at least one was tried");
                    wrong.push(format!(
                        "{} step {number} {:?}\n  reply {}\n    got {}\n  stream {}\n     got {}",
                        topic.session,
                        step.args,
                        show(&reply),
                        show(&got),
                        show(&stream),
                        show(&fed)
                    ));
                    replay(&mut rig, step);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} steps differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 500, "only {compared} steps were compared");
}

/// Steps that depend on the machine's speed: how much is in the slow log, and whether a microsecond passes between two calls
/// of a script.
fn is_left_out(step: &Step) -> bool {
    let args: Vec<&str> = step.args.iter().flatten().map(String::as_str).collect();
    match args.as_slice() {
        ["SLOWLOG", "LEN"] => true,
        ["EVAL", script, ..] => script.matches("'TIME'").count() == 2,
        _ => false,
    }
}

#[test]
fn replies_are_byte_for_byte() {
    compare_replies(include_str!("../../tests/golden/transcripts.json"), 900);
}

/// Random sessions; `tests/golden/record.py` recorded them.
#[test]
fn collections_are_byte_for_byte() {
    compare_replies(include_str!("../../tests/golden/collections.json"), 3_900);
}

fn compare_replies(text: &str, at_least: usize) {
    let sessions: Vec<Session> = serde_json::from_str(text).expect("a recording");
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for session in sessions {
        let mut rig = Rig::new(1_795_000_000_000);
        for (number, step) in session.steps.iter().enumerate() {
            rig.now.mono.0 += (step.sleep_ms + 1) * NS_PER_MS;
            rig.now.unix.0 += (step.sleep_ms + 1) * NS_PER_MS;
            let expected = step.reply.as_ref().or(step.recv.as_ref()).map(|text| bytes_of(text)).unwrap_or_default();
            if step.recv.is_some() && !rig.fds.contains_key(&step.c) {
                continue;
            }
            let got = if step.recv.is_some() { rig.take_reply(&step.c) } else { replay(&mut rig, step).0 };
            let same = match step.varies.as_deref() {
                Some("order") => sorted(&got) == sorted(&expected),
                Some(_) => got.len() > 2,
                None => got == expected,
            };
            if is_left_out(step) {
                continue;
            }
            compared += 1;
            if !same {
                let label = step.args.as_ref().map_or("(recv)".to_owned(), |args| format!("{args:?}"));
                wrong.push(format!(
                    "{} step {number} {label}\n  want {}\n  got  {}",
                    session.session,
                    show(&expected),
                    show(&got)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} steps differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > at_least, "only {compared} steps were compared");
}
