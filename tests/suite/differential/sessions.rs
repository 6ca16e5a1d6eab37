//! Random sessions of several connections, whose requests `sessions.txt` describes: what waits for keys, what connections hear
//! of each other, users, libraries, payloads that one server made and the other takes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use splitbrain::resp::{ReplyReader, Value, encode, quote};

use super::draw::Draw;
use super::template::{Family, How, Sessions, Word};
use super::{Pair, runner, sorted, words};
use crate::conformance::mask;
use crate::targets::Target;

/// Names of numbers in XINFO that aren't times.
const EXACT: &[&str] = &[
    "length",
    "radix-tree-keys",
    "radix-tree-nodes",
    "entries-added",
    "entries-read",
    "lag",
    "pel-count",
    "pending",
    "consumers",
    "groups",
];
/// Commands whose integers are times if they follow a text.
const IDLE: &[&str] = &["XPENDING", "XINFO"];

/// A request as it went out.
struct Sent {
    conn: String,
    words: Vec<Vec<u8>>,
    how: How,
}

impl Sent {
    fn shown(&self) -> String {
        let words: Vec<String> = self
            .words
            .iter()
            .map(|word| {
                let plain = !word.is_empty() && word.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"');
                if plain { String::from_utf8_lossy(word).into_owned() } else { quote(word) }
            })
            .collect();
        format!("{}> {}", self.conn, words.join(" "))
    }
}

/// Integers that follow a text are alike if they are about so: idle times.
fn about_the_same(real: &[u8], ours: &[u8]) -> bool {
    let split =
        |bytes: &[u8]| -> Vec<String> { String::from_utf8_lossy(bytes).split("\r\n").map(str::to_owned).collect() };
    let (real, ours) = (split(real), split(ours));
    let number = |line: &str| line.strip_prefix(':').and_then(|rest| rest.parse::<i64>().ok());
    real.len() == ours.len()
        && real.iter().zip(&ours).enumerate().all(|(at, (real_line, our_line))| {
            let before = if at > 0 { real[at - 1].as_str() } else { ":" };
            let time = !before.starts_with([':', '*', '%']) && !EXACT.contains(&before);
            real_line == our_line
                || time && matches!((number(real_line), number(our_line)), (Some(a), Some(b)) if alike(a, b))
        })
}

/// Idle times that are about the same, or times of the clock: the simulated one shows another year.
fn alike(a: i64, b: i64) -> bool {
    const LATELY: i64 = 1_700_000_000_001;
    (a - b).abs() < 5_000 || a > LATELY && b > LATELY
}

fn same(how: How, real: &[u8], ours: &[u8]) -> bool {
    // The order of clients, and the head of a text that they are in, change with time.
    let masked = |bytes: &[u8]| {
        let text = mask(&String::from_utf8_lossy(bytes)).replace("#.#", "#").replace("txt:", "");
        sorted(text.as_bytes())
    };
    let head = |bytes: &[u8]| bytes.split(|&byte| byte == b'\r').next().map(<[u8]>::to_vec);
    real == ours
        || match how {
            How::Exactly => false,
            How::Sorted => sorted(real) == sorted(ours) || bag(real) == bag(ours),
            How::Masked => masked(real) == masked(ours),
            How::Head => head(real) == head(ours) || are_texts(real, ours),
            How::Kind => real.first() == ours.first(),
            How::Not => true,
        }
}

/// All words: the rules of a user are words of one line.
fn bag(bytes: &[u8]) -> Vec<&[u8]> {
    let mut words: Vec<&[u8]> = bytes.split(|byte| byte.is_ascii_whitespace()).collect();
    words.sort_unstable();
    words
}

/// Two bulks of different lengths are both one text.
fn are_texts(real: &[u8], ours: &[u8]) -> bool {
    real.first() == Some(&b'$') && ours.first() == Some(&b'$') && real.starts_with(b"$-1") == ours.starts_with(b"$-1")
}

/// One session.
struct Play<'a> {
    family: &'a Family,
    pair: Pair,
    said: Vec<String>,
    /// Connections that wait for their reply.
    waiting: BTreeSet<String>,
    /// How EXEC's reply can be compared, for connections in a transaction.
    multi: BTreeMap<String, How>,
    /// Connections that asked not to be answered, which are never waited for.
    muted: BTreeSet<String>,
    /// Whose payload is taken next.
    turn: bool,
}

fn request(words: &[Vec<u8>]) -> BytesMut {
    let mut data = BytesMut::new();
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    encode::command(&mut data, &words);
    data
}

fn value(reply: &[u8]) -> Option<Value> {
    let mut reader = ReplyReader::default();
    reader.feed(Bytes::copy_from_slice(reply));
    reader.read().ok().flatten()
}

impl Play<'_> {
    fn fail(&self, what: &str, real: &[u8], ours: &[u8]) -> TestCaseError {
        let (said, real, ours) = (self.said.join("\n  "), quote(real), quote(ours));
        TestCaseError::fail(format!("[{}] {what} after\n  {said}\nreal {real}\nours {ours}", self.family.name))
    }

    /// What only the servers know.
    fn resolve(&mut self, word: Word) -> Vec<u8> {
        let asked = match word {
            Word::Text(text) => return text,
            Word::Dump(key) => vec![b"DUMP".to_vec(), key],
            Word::Functions => vec![b"FUNCTION".to_vec(), b"DUMP".to_vec()],
        };
        let (real, ours) = self.pair.both_bytes("end", &request(&asked));
        self.turn = !self.turn;
        let payload = value(if self.turn { &real } else { &ours });
        payload.as_ref().and_then(Value::text).unwrap_or(b"nothing").to_vec()
    }

    fn send(&mut self, sent: &Sent) -> Result<(), TestCaseError> {
        let name = String::from_utf8_lossy(&sent.words[0]).to_uppercase();
        // An id of real time; directives of the process's own.
        let is_own = ["XADD", "CONFIG"].contains(&name.as_str()) && sent.words.iter().any(|word| word == b"*");
        if self.waiting.contains(&sent.conn) || is_own {
            return Ok(());
        }
        let data = request(&sent.words);
        self.said.push(sent.shown());
        let mut real = self.pair.real.exchange(&sent.conn, &data);
        // While it loads a file, others are answered first: those who say when all is done, too.
        if name == "DEBUG" && !real.contains_key(&sent.conn) {
            real.extend(self.pair.real.sleep(1));
        }
        let ours = self.pair.ours.exchange(&sent.conn, &data);
        let how = match (name.as_str(), self.multi.get(&sent.conn)) {
            ("EXEC", Some(how)) => *how,
            _ => sent.how,
        };
        let conns: BTreeSet<&String> = real.keys().chain(ours.keys()).filter(|conn| *conn != "replica").collect();
        for &conn in &conns {
            let of = |got: &crate::targets::Got| got.get(conn).cloned().unwrap_or_default();
            let ((real, real_closed), (ours, our_closed)) = (of(&real), of(&ours));
            let times = IDLE.contains(&name.as_str()) && about_the_same(&real, &ours);
            if !(times || same(how, &real, &ours)) || real_closed != our_closed {
                return Err(self.fail(conn, &real, &ours));
            }
            self.waiting.remove(conn);
            if real_closed {
                self.multi.remove(conn);
            }
        }
        if name == "CLIENT" && sent.words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"REPLY")) {
            self.muted.insert(sent.conn.clone());
        }
        if !conns.contains(&sent.conn) && !self.muted.contains(&sent.conn) {
            self.waiting.insert(sent.conn.clone());
        }
        match name.as_str() {
            "MULTI" => {
                self.multi.entry(sent.conn.clone()).or_insert(How::Exactly);
            }
            "EXEC" | "DISCARD" | "RESET" => drop(self.multi.remove(&sent.conn)),
            _ if sent.how != How::Exactly || IDLE.contains(&name.as_str()) => {
                self.multi.entry(sent.conn.clone()).and_modify(|how| *how = How::Kind);
            }
            _ => {}
        }
        Ok(())
    }

    /// The same data in the same form, and the same stream of commands.
    fn end(&mut self) -> Result<(), TestCaseError> {
        for db in ["0", "1"] {
            self.ask(How::Exactly, &["SELECT", db])?;
            let keys = self.ask(How::Sorted, &["KEYS", "*"])?;
            let keys = value(&keys).expect("a list of keys");
            let mut keys: Vec<Vec<u8>> =
                keys.items().unwrap_or_default().iter().filter_map(Value::text).map(<[u8]>::to_vec).collect();
            keys.sort();
            for key in keys {
                let key = String::from_utf8_lossy(&key).into_owned();
                let encoding = self.ask(How::Exactly, &["OBJECT", "ENCODING", &key])?;
                let is = |name: &[u8]| encoding.windows(name.len()).any(|window| window == name);
                if is(b"stream") {
                    self.ask(How::Exactly, &["XINFO", "STREAM", &key, "FULL", "COUNT", "0"])?;
                }
                let timed = is(b"stream") && !self.ask(How::Exactly, &["XINFO", "GROUPS", &key])?.starts_with(b"*0");
                if !is(b"hashtable") && !timed {
                    self.ask(How::Exactly, &["DUMP", &key])?;
                }
            }
        }
        for line in ["DEBUG DIGEST", "DBSIZE"] {
            let line: Vec<&str> = line.split(' ').collect();
            self.ask(How::Exactly, &line)?;
        }
        let (real, ours) = self.pair.both("end", &words("ROLE"));
        let offset = |reply: &[u8]| String::from_utf8_lossy(reply).lines().nth(3).map(str::to_owned);
        if offset(&real) == offset(&ours) { Ok(()) } else { Err(self.fail("the offsets", &real, &ours)) }
    }

    fn ask(&mut self, how: How, words: &[&str]) -> Result<Vec<u8>, TestCaseError> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let (real, ours) = self.pair.both_bytes("end", &request(&words));
        let times = words[0] == b"XINFO" && about_the_same(&real, &ours);
        let sent = Sent { conn: "end".to_owned(), words, how };
        if times || same(how, &real, &ours) { Ok(real) } else { Err(self.fail(&sent.shown(), &real, &ours)) }
    }
}

fn play(family: &Family, seeds: &[u64]) -> Result<(), TestCaseError> {
    let mut pair = Pair::start(&family.config).expect("it has been started before");
    pair.follow();
    pair.both("end", &words("PING"));
    let (said, waiting, muted, multi) = (Vec::new(), BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let mut play = Play { family, pair, said, waiting, muted, multi, turn: false };
    let mut conns: Vec<char> = family.lines.iter().flat_map(|line| line.conns.clone()).collect();
    conns.sort_unstable();
    conns.dedup();
    for (at, conn) in conns.iter().enumerate() {
        let version = if seeds.first().unwrap_or(&0) >> at & 1 == 0 { "2" } else { "3" };
        let words = vec![b"HELLO".to_vec(), version.as_bytes().to_vec()];
        play.send(&Sent { conn: conn.to_string(), words, how: How::Kind })?;
    }
    for line in &family.first {
        let words = family.words(line, &mut Draw::new(0)).into_iter().map(|word| play.resolve(word)).collect();
        play.send(&Sent { conn: line.conns[0].to_string(), words, how: line.how })?;
    }
    for &seed in seeds {
        let (conn, how, words) = family.draw(&mut Draw::new(seed));
        let words = words.into_iter().map(|word| play.resolve(word)).collect();
        play.send(&Sent { conn, words, how })?;
    }
    play.end()
}

/// The requests of sessions.txt, by families.
pub(super) fn sessions() -> Sessions {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/differential/sessions.txt");
    Sessions::read(&std::fs::read_to_string(path).expect("the descriptions of sessions"))
}

#[test]
fn random_sessions_go_as_with_a_real_server() {
    if Pair::start(&[]).is_none() {
        eprintln!("redis-server is not installed: nothing was compared");
        return;
    }
    let asked = std::env::var_os("DIFFERENTIAL_GROUPS").unwrap_or_default();
    let asked = asked.to_string_lossy().into_owned();
    let mut problems = Vec::new();
    for family in &sessions().0 {
        if !asked.is_empty() && !asked.split(',').any(|name| name == family.name) {
            continue;
        }
        let sequences = prop::collection::vec(any::<u64>(), 1..150);
        if let Err(error) = runner(4).run(&sequences, |seeds| play(family, &seeds)) {
            problems.push(error.to_string());
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
