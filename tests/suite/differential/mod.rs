//! Random sequences of commands go to ours and to a real server, where one is installed: equal replies, equal datasets, equal
//! offsets of the replication stream.
//!
//! The commands and their options are those that the real server's own COMMAND DOCS lists, so that none is forgotten. The
//! sequences are the same in every run; `DIFFERENTIAL_SEED` draws others, `DIFFERENTIAL_CASES` says how many,
//! `DIFFERENTIAL_GROUPS=hash,list` of which groups.

mod coverage;
mod draw;
mod grammar;
mod sessions;
mod tables;
mod template;

use bytes::BytesMut;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use splitbrain::resp::{encode, quote};

use crate::targets::{Ours, Real, Target};
use draw::Draw;
use grammar::Grammar;

/// Groups whose commands work on data.
const GROUPS: &[&str] =
    &["string", "generic", "hash", "list", "set", "sorted-set", "stream", "bitmap", "hyperloglog", "geo", "scripting"];

/// Commands that are not drawn, and why. What `sessions.txt` has is drawn there.
const LEFT_OUT: &[(&str, &str)] = &[
    ("spop", "which members go is drawn at random: sessions.txt"),
    ("srandmember", "random: sessions.txt"),
    ("hrandfield", "random: sessions.txt"),
    ("zrandmember", "random: sessions.txt"),
    ("randomkey", "random"),
    ("migrate", "needs another server"),
    ("restore", "payloads are no random text: sessions.txt"),
    ("dump", "the order within a hash table is its own: sessions.txt"),
    ("wait", "waits in real time: sessions.txt"),
    ("object freq", "counts at random"),
    ("object idletime", "real time: sessions.txt"),
    ("script kill", "sessions.txt"),
    ("script debug", "turns the connection over to a debugger"),
    ("function kill", "sessions.txt"),
    ("function restore", "payloads are no random text: sessions.txt"),
    ("function dump", "libraries come in the order of a hash table: sessions.txt restores them"),
    ("function stats", "sessions.txt"),
    ("function load", "libraries are no random text: sessions.txt"),
    ("pfdebug", "an internal command: sessions.txt"),
    ("pfselftest", "an internal command: sessions.txt"),
    ("xinfo consumers", "idle times are real: sessions.txt"),
    ("xpending", "idle times are real: sessions.txt"),
    ("xautoclaim", "idle times are real: sessions.txt"),
];

/// Commands whose reply has the order of a hash table, or may have it.
const UNORDERED: &[&str] = &[
    "keys",
    "smembers",
    "sunion",
    "sinter",
    "sdiff",
    "hkeys",
    "hvals",
    "hgetall",
    "sort",
    "sort_ro",
    "eval",
    "eval_ro",
    "evalsha",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
    "function",
    "scan",
    "sscan",
    "hscan",
    "zscan",
];

/// Commands whose reply is a real time, or that count down to one: compared by their length and type.
const TIMED: &[&str] = &["ttl", "pttl", "expiretime", "pexpiretime"];

fn drawn(grammar: &Grammar) -> bool {
    let blocks = grammar.args.iter().any(|arg| arg.name == "timeout");
    let asked = std::env::var_os("DIFFERENTIAL_GROUPS").unwrap_or_default();
    let asked = asked.to_string_lossy();
    GROUPS.contains(&grammar.group.as_str())
        && (asked.is_empty() || asked.split(',').any(|group| group == grammar.group))
        && !blocks
        && !LEFT_OUT.iter().any(|(name, _)| *name == grammar.name)
        && !grammar.name.ends_with(" help")
}

/// The real time is nowhere in the words, and none of them waits.
fn is_timeless(words: &[String]) -> bool {
    let has = |word: &str| words.iter().any(|have| have.eq_ignore_ascii_case(word));
    let name = words[0].as_str();
    let auto_id = name == "XADD" && has("*");
    let idle = name == "XCLAIM" || name == "XREADGROUP" || has("FULL");
    // What a set without an order gives its first so many elements of.
    let partial = name == "SORT" && (has("LIMIT") || has("STORE") || has("BY"));
    !auto_id && !idle && !partial && !has("BLOCK")
}

/// A real server and ours, with a reader of the replication stream.
struct Pair {
    ours: Ours,
    real: Real,
}

fn request(words: &[String]) -> BytesMut {
    let mut data = BytesMut::new();
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    encode::command(&mut data, &words);
    data
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

impl Pair {
    fn start(more: &[(String, String)]) -> Option<Pair> {
        let config =
            [("repl-ping-replica-period", "3600"), ("repl-timeout", "7200"), ("repl-diskless-sync-delay", "0")];
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config: Vec<(String, String)> = config.chain(more.iter().cloned()).collect();
        Some(Pair { real: Real::start(&config)?, ours: Ours::start(&config) })
    }

    fn both(&mut self, conn: &str, words: &[String]) -> (Vec<u8>, Vec<u8>) {
        self.both_bytes(conn, &request(words))
    }

    fn both_bytes(&mut self, conn: &str, data: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let of = |target: &mut dyn Target| target.exchange(conn, data).remove(conn).unwrap_or_default().0;
        (of(&mut self.real), of(&mut self.ours))
    }

    /// Someone follows the stream, so that there is one.
    fn follow(&mut self) {
        self.both("replica", &words("REPLCONF capa eof capa psync2"));
        self.both("replica", &words("PSYNC ? -1"));
        for _ in 0..50 {
            self.real.sleep(20);
            self.ours.sleep(20);
            let (real, ours) = self.both("a", &words("INFO replication"));
            if [&real, &ours].iter().all(|info| !String::from_utf8_lossy(info).contains("state=wait_bgsave")) {
                return;
            }
        }
        panic!("the stream's reader was not served");
    }
}

fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}

fn same(words: &[String], real: &[u8], ours: &[u8], in_multi: bool) -> bool {
    let name = words[0].to_lowercase();
    if TIMED.contains(&name.as_str()) || in_multi && name == "exec" {
        return real.first() == ours.first();
    }
    // How far one step of a scan comes in a hash table depends on its seed.
    if name.ends_with("scan") && [real, ours].iter().any(|reply| !reply.starts_with(b"*2\r\n$1\r\n0\r\n")) {
        return real.first() == ours.first();
    }
    if name.ends_with("scan") && !words.iter().skip(1).take(2).any(|word| word == "0") {
        return true;
    }
    // A collection in a hash table has no order of its own.
    real == ours || UNORDERED.contains(&name.as_str()) && sorted(real) == sorted(ours)
}

fn compare(grammars: &[Grammar], seeds: &[u64]) -> Result<(), TestCaseError> {
    let mut pair = Pair::start(&[]).expect("it has been started before");
    pair.follow();
    let (mut in_multi, mut said) = (false, Vec::new());
    for &seed in seeds {
        let words = Draw::new(seed).command(grammars);
        if !is_timeless(&words) {
            continue;
        }
        let (real, ours) = pair.both("a", &words);
        said.push(words.join(" "));
        prop_assert!(
            same(&words, &real, &ours, in_multi),
            "after\n  {}\nreal {}\nours {}",
            said.join("\n  "),
            quote(&real),
            quote(&ours)
        );
        in_multi = match words[0].as_str() {
            "MULTI" => true,
            "EXEC" | "DISCARD" => false,
            _ => in_multi,
        };
    }
    if in_multi {
        pair.both("a", &words("DISCARD"));
    }
    let end = said.join("\n  ");
    for line in ["DEBUG DIGEST", "DBSIZE"] {
        let (real, ours) = pair.both("b", &words(line));
        prop_assert!(real == ours, "{line} after\n  {end}\nreal {}\nours {}", quote(&real), quote(&ours));
    }
    let (real, ours) = pair.both("b", &words("ROLE"));
    let offset = |reply: &[u8]| String::from_utf8_lossy(reply).lines().nth(3).map(str::to_owned);
    prop_assert!(
        offset(&real) == offset(&ours),
        "offsets after\n  {end}\nreal {}\nours {}",
        quote(&real),
        quote(&ours)
    );
    Ok(())
}

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

#[test]
fn random_commands_have_the_same_effects_on_a_real_server() {
    let Some(mut real) = Real::start(&[]) else {
        eprintln!("redis-server is not installed: nothing was compared");
        return;
    };
    let mut grammars = grammar::ask(&mut real);
    drop(real);
    for (name, _) in LEFT_OUT {
        assert!(grammars.iter().any(|grammar| grammar.name == *name), "no command is called {name}");
    }
    grammars.retain(drawn);
    assert!(!grammars.is_empty(), "no such group");
    let sequences = prop::collection::vec(any::<u64>(), 1..250);
    if let Err(error) = runner(24).run(&sequences, |seeds| compare(&grammars, &seeds)) {
        panic!("{error}");
    }
}

/// Draws so many cases, unless more are asked for.
fn runner(cases: u32) -> TestRunner {
    let seed = number("DIFFERENTIAL_SEED").unwrap_or(70_015).to_le_bytes();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed);
    let cases = number("DIFFERENTIAL_CASES").and_then(|n| u32::try_from(n).ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
