//! A dataset that has every type in every form goes from a real server to ours and back, by each kind of full synchronisation
//! and by each kind of file: the same values, forms, expiries, groups and libraries.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use splitbrain::id::NodeId;
use splitbrain::resp::{Value, quote};

use crate::real_master::{Host, Master};
use crate::rig::Rig;

/// Whoever is asked.
type Ask<'a> = &'a mut dyn FnMut(&[&[u8]]) -> Value;

/// An expiry that nobody lives to see.
const FAR: &str = "4102444800000";

/// All forms that OBJECT ENCODING knows in 7.0.
const FORMS: &[&str] = &["embstr", "hashtable", "int", "intset", "listpack", "quicklist", "raw", "skiplist", "stream"];

const LIBRARIES: [&str; 2] = [
    "#!lua name=one\nredis.register_function('f1', function(keys, args) return redis.call('SET', keys[1], args[1]) end)",
    "#!lua name=two\nredis.register_function{function_name='f2', callback=function() return 2 end, flags={'no-writes', \
     'allow-stale'}, description='says two'}",
];

/// Requests that make the dataset.
#[derive(Default)]
struct Making(Vec<Vec<Vec<u8>>>);

impl Making {
    fn words(&mut self, words: &[&[u8]]) {
        self.0.push(words.iter().map(|word| word.to_vec()).collect());
    }

    fn line(&mut self, line: &str) {
        self.words(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    }

    /// A command with many words, in parts that a server takes.
    fn many(&mut self, head: &str, items: impl Iterator<Item = Vec<Vec<u8>>>) {
        let items: Vec<Vec<Vec<u8>>> = items.collect();
        for part in items.chunks(500) {
            let mut words: Vec<Vec<u8>> = head.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            words.extend(part.iter().flatten().cloned());
            self.0.push(words);
        }
    }
}

/// Bytes that can't be packed.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// Integers and texts at the limits of how a list pack writes them.
fn elements() -> Vec<Vec<u8>> {
    let numbers =
        [0, 1, 127, 128, -1, 4_095, -4_096, 32_767, -32_768, 8_388_607, -8_388_608, 2_147_483_647, i64::MIN, i64::MAX];
    let numbers = numbers.iter().map(|number| number.to_string().into_bytes());
    let texts = ["", "a", "01", "-0", "1.5", " 1", "9223372036854775808"].iter().map(|text| text.as_bytes().to_vec());
    numbers.chain(texts).chain([vec![0, 255, b'\r', b'\n'], vec![b'x'; 63], vec![b'y'; 64]]).collect()
}

fn strings(to: &mut Making) {
    for (n, value) in elements().iter().enumerate() {
        to.words(&[b"SET", format!("string:{n}").as_bytes(), value]);
    }
    to.words(&[b"SET", b"string:44", &[b'e'; 44]]);
    to.words(&[b"SET", b"string:45", &[b'r'; 45]]);
    to.words(&[b"SET", b"string:packed", "abc".repeat(7_000).as_bytes()]);
    to.words(&[b"SET", b"string:noise", &noise(20_000, 1)]);
    to.words(&[b"SET", &[0, 255, 13, 10], b"a key of bytes"]);
    to.words(&[b"SET", &noise(20_000, 2), b"a long key"]);
    to.words(&[b"SET", b"", b"no key"]);
    to.line("APPEND string:1 1");
    to.line("SETRANGE string:hole 5 x");
    to.line("SETBIT string:bits 1000 1");
    to.line("PFADD hll:sparse a b c");
    to.many("PFADD hll:dense", (0..4_000).map(|n: u32| vec![format!("m{n}").into_bytes()]));
    to.line("GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
    to.line(&format!("SET string:expires v PXAT {FAR}"));
}

fn collections(to: &mut Making) {
    let pairs = || elements().into_iter().enumerate().map(|(n, value)| vec![value, n.to_string().into_bytes()]);
    let one = |value: Vec<u8>| vec![value];
    to.many("HSET hash:packed", pairs());
    to.many("HSET hash:long", [vec![b"f".to_vec(), vec![b'v'; 65]], vec![vec![b'f'; 65], b"v".to_vec()]].into_iter());
    to.many("HSET hash:many", (0..700).map(|n: u32| vec![format!("f{n}").into_bytes(), n.to_string().into_bytes()]));
    to.many("RPUSH list:packed", elements().into_iter().map(one));
    to.many("RPUSH list:nodes", (0..6_000).map(|n: u32| vec![format!("element {n}").into_bytes()]));
    to.many("LPUSH list:left", (0..3_000).map(|n: u32| vec![format!("element {n}").into_bytes()]));
    to.many("RPUSH list:large", (0..5).map(|n| vec![noise(9_000, n)]));
    to.many("RPUSH list:plain", (0..4).map(|n: u32| vec![format!("{n}").repeat(3_000).into_bytes()]));
    to.line("LSET list:plain 2 small");
    to.line("LINSERT list:nodes BEFORE element between");
    to.line("SADD set:16 1 2 -3 32767");
    to.line("SADD set:32 1 2 70000 -2147483648");
    to.line("SADD set:64 1 2 9223372036854775807 -9223372036854775808");
    to.many("SADD set:ints", (0..600).map(|n: u32| vec![(n * 3).to_string().into_bytes()]));
    to.many("SADD set:mixed", elements().into_iter().map(one));
    to.many("SADD set:many", (0..900).map(|n: u32| vec![format!("m{n}").into_bytes()]));
    to.line("ZADD zset:packed -inf a -1.5 b -0 c 0.1 d 1 e 3 f 1e300 g inf h 9007199254740993 i 4.9e-324 j");
    to.many("ZADD zset:elements", elements().into_iter().map(|value| vec![b"1".to_vec(), value]));
    to.many("ZADD zset:long", [vec![b"2.5".to_vec(), vec![b'm'; 65]], vec![b"1".to_vec(), b"m".to_vec()]].into_iter());
    let scored = |n: u32| vec![(f64::from(n) / 7.0).to_string().into_bytes(), format!("m{n}").into_bytes()];
    to.many("ZADD zset:many", (0..700).map(scored));
    for key in ["hash:packed", "hash:many", "list:nodes", "set:16", "set:many", "zset:packed", "zset:many"] {
        to.line(&format!("COPY {key} {key}:expires"));
        to.line(&format!("PEXPIREAT {key}:expires {FAR}"));
    }
}

fn streams(to: &mut Making) {
    to.line("XGROUP CREATE stream:empty g $ MKSTREAM");
    for n in 1..=350 {
        to.line(&format!("XADD stream:nodes {n}-{} same {n} fields value", n % 3));
    }
    to.line("XADD stream:mixed 1-1 a 1");
    to.line("XADD stream:mixed 1-2 b 1 c 2");
    to.line("XADD stream:mixed 5-0 a 2");
    to.line("XADD stream:mixed 18446744073709551615-1 a 3");
    to.line("XDEL stream:mixed 1-2");
    to.line("XDEL stream:nodes 3-0 4-1 200-2");
    to.line("XTRIM stream:nodes MINID 20");
    for group in ["g 0", "late $", "ahead 300-0", "counted 100-1 ENTRIESREAD 77"] {
        to.line(&format!("XGROUP CREATE stream:nodes {group}"));
    }
    to.line("XREADGROUP GROUP g alice COUNT 20 STREAMS stream:nodes >");
    to.line("XREADGROUP GROUP g bob COUNT 5 STREAMS stream:nodes >");
    to.line("XREADGROUP GROUP g carol COUNT 5 NOACK STREAMS stream:nodes >");
    to.line("XGROUP CREATECONSUMER stream:nodes g nobody");
    to.line("XCLAIM stream:nodes g bob 0 21-0 22-1 TIME 1700000000000 RETRYCOUNT 9");
    to.line("XACK stream:nodes g 23-2 40-1");
    to.line("XDEL stream:nodes 24-0");
    to.line("XADD stream:gone 1-1 a 1");
    to.line("XGROUP CREATE stream:gone g 0");
    to.line("XREADGROUP GROUP g c STREAMS stream:gone >");
    to.line("XDEL stream:gone 1-1");
    to.line("XSETID stream:gone 9-9 ENTRIESADDED 12 MAXDELETEDID 8-8");
    to.line(&format!("PEXPIREAT stream:gone {FAR}"));
}

/// Every type in every form, in several databases, with libraries.
fn make(ask: Ask<'_>) {
    let mut to = Making::default();
    strings(&mut to);
    collections(&mut to);
    streams(&mut to);
    to.line("SELECT 3");
    collections(&mut to);
    to.line("SET three 3");
    to.line("SELECT 15");
    to.line(&format!("SET last {FAR} PXAT {FAR}"));
    to.line("SELECT 0");
    for code in LIBRARIES {
        to.words(&[b"FUNCTION", b"LOAD", code.as_bytes()]);
    }
    for words in to.0 {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = ask(&words);
        let start = &words[..words.len().min(3)];
        assert!(!matches!(reply, Value::Error(_)), "{reply} to {start:?}");
    }
}

/// Replies by what was asked.
type Census = BTreeMap<String, String>;

/// Everything that can be seen of a dataset but for the order of hash tables.
fn census(ask: Ask<'_>) -> Census {
    let (mut all, mut forms) = (Census::new(), BTreeSet::new());
    for db in 0..16 {
        let number = db.to_string();
        ask(&[b"SELECT", number.as_bytes()]);
        let keys = ask(&[b"KEYS", b"*"]);
        for key in keys.items().unwrap_or_else(|| panic!("{keys}")) {
            let key = key.text().expect("a key").to_vec();
            let shown = format!("{db} {}", quote(&key[..key.len().min(40)]));
            let mut note = |words: &[&[u8]]| {
                let reply = ask(words).to_string();
                all.insert(format!("{shown} {}", String::from_utf8_lossy(words[0])), reply.clone());
                reply
            };
            note(&[b"DEBUG", b"DIGEST-VALUE", &key]);
            note(&[b"PEXPIRETIME", &key]);
            let kind = note(&[b"TYPE", &key]);
            if kind.contains("stream") {
                let info = ask(&[b"XINFO", b"STREAM", &key, b"FULL", b"COUNT", b"0"]).to_string();
                all.insert(format!("{shown} XINFO"), info);
            }
            let form = ask(&[b"OBJECT", b"ENCODING", &key]).to_string().trim_matches('"').to_owned();
            // What has been changed in place is raw until it is loaded.
            let mut is_short = || ask(&[b"STRLEN", &key]).integer().is_some_and(|len| len <= 44);
            if !(kind.contains("string") && is_short()) {
                all.insert(format!("{shown} form"), form.clone());
            }
            forms.insert(form);
        }
    }
    ask(&[b"SELECT", b"0"]);
    all.insert("digest".to_owned(), ask(&[b"DEBUG", b"DIGEST"]).to_string());
    let libraries = ask(&[b"FUNCTION", b"LIST", b"WITHCODE"]);
    let mut libraries: Vec<String> = libraries.items().expect("a list").iter().map(Value::to_string).collect();
    libraries.sort();
    all.insert("libraries".to_owned(), libraries.join(" "));
    assert_eq!(forms.iter().map(String::as_str).collect::<Vec<_>>(), FORMS, "some form is missing");
    all
}

/// Consumers that commands of a file have made were seen when it was loaded, and nothing was delivered later than that.
fn without_late_times(mut census: Census) -> Census {
    const LATELY: i64 = 1_760_000_000_000;
    let late = |word: &str| word.trim_end_matches([',', ']']).parse::<i64>().is_ok_and(|time| time > LATELY);
    for (_, text) in census.iter_mut().filter(|(name, _)| name.ends_with("XINFO")) {
        *text = text.split(' ').map(|word| if late(word) { "lately" } else { word }).collect::<Vec<_>>().join(" ");
    }
    census
}

/// What is to be seen of a dataset once it has been read from the file.
fn loaded_census(lines: &str, ask: Ask<'_>) -> Census {
    if lines.contains("appendonly") {
        ask(&[b"DEBUG", b"LOADAOF"]);
        return without_late_times(census(ask));
    }
    census(ask)
}

fn assert_same(what: &str, theirs: &Census, ours: &Census) {
    for (name, reply) in theirs {
        let other = ours.get(name).map_or("nothing", String::as_str);
        let at = reply.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count().saturating_sub(100);
        let shown = |text: &str| String::from_utf8_lossy(text.as_bytes().get(at..).unwrap_or_default()).into_owned();
        assert!(reply == other, "{what}, {name}: {:.400}\nbut {:.400}", shown(reply), shown(other));
    }
    assert_eq!(theirs.len(), ours.len(), "{what}: there is more");
}

/// What a real server is told before it is filled: some elements of lists get nodes of their own.
fn make_real(real: &mut Master) {
    real.ask_parts(&[b"DEBUG", b"QUICKLIST-PACKED-THRESHOLD", b"1000b"]);
    make(&mut |words| real.ask_parts(words));
}

/// Kinds of full synchronisation: what the master is told, and the replica.
const SYNCS: &[(&str, &str)] = &[
    ("repl-diskless-sync yes", "repl-diskless-load disabled"),
    ("repl-diskless-sync yes", "repl-diskless-load swapdb"),
    ("repl-diskless-sync yes", "repl-diskless-load on-empty-db"),
    ("repl-diskless-sync no", "repl-diskless-load disabled"),
    ("repl-diskless-sync no", "repl-diskless-load swapdb"),
    ("repl-diskless-sync no\nrdbcompression no", "repl-diskless-load on-empty-db"),
    ("repl-diskless-sync yes\nrdbcompression no\nlist-compress-depth 1\nlist-max-listpack-size 5", "rdbchecksum no"),
];

/// Directives as words of a command line.
fn options(lines: &str) -> Vec<String> {
    let words = lines.lines().flat_map(|line| line.split(' ').enumerate());
    words.map(|(at, word)| if at == 0 { format!("--{word}") } else { word.to_owned() }).collect()
}

fn start_real(lines: &str) -> Option<Master> {
    let options = options(&format!("repl-diskless-sync-delay 0\n{lines}"));
    Master::start(&options.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_replica_of_a_real_master_gets_every_form() {
    for (theirs, ours) in SYNCS {
        let Some(mut master) = start_real(theirs) else {
            println!("skipped: no redis-server here");
            return;
        };
        make_real(&mut master);
        let mut host = Host::start(ours, Some(master.port));
        host.settle(&mut master);
        let wanted = census(&mut |words| master.ask_parts(words));
        assert_same(ours, &wanted, &census(&mut |words| host.ask_parts(words)));
        assert_eq!(master.info("sync_full"), "1");
    }
}

#[test]
fn a_real_replica_gets_every_form() {
    for (ours, theirs) in SYNCS {
        let mut host = Host::start(&format!("repl-diskless-sync-delay 0\n{ours}"), None);
        make(&mut |words| host.ask_parts(words));
        let Some(mut replica) = start_real(&format!("{theirs}\nreplicaof 127.0.0.1 {}", host.server_port())) else {
            println!("skipped: no redis-server here");
            return;
        };
        for _ in 0..500 {
            host.run_ms(20);
            if replica.info("master_link_status") == "up"
                && replica.info("slave_repl_offset") == host.info("master_repl_offset")
            {
                break;
            }
        }
        let wanted = census(&mut |words| host.ask_parts(words));
        assert_same(theirs, &wanted, &census(&mut |words| replica.ask_parts(words)));
        assert_eq!(host.info("sync_full"), "1");
    }
}

/// Kinds of files: directives of both, and how the file is made.
const FILES: &[(&str, &str)] = &[
    ("rdbcompression yes", "SAVE"),
    ("rdbcompression no", "SAVE"),
    ("rdbchecksum no", "BGSAVE"),
    ("appendonly yes\naof-use-rdb-preamble yes", "BGREWRITEAOF"),
    ("appendonly yes\naof-use-rdb-preamble no", "BGREWRITEAOF"),
    ("appendonly yes\nappendfsync no", "PING"),
];

fn rig(lines: &str) -> Rig {
    let lines = lines.lines().filter_map(|line| line.split_once(' '));
    let lines: String = lines.map(|(name, value)| format!("{name} = \"{value}\"\n")).collect();
    Rig::new(1, &format!("save = \"\"\nenable-debug-command = \"yes\"\n{lines}"))
}

fn ask_rig<'a>(rig: &'a mut Rig) -> impl FnMut(&[&[u8]]) -> Value + 'a {
    |words| rig.try_words_on(1, 'a', words).expect("an answer")
}

fn is_idle(info: &str) -> bool {
    ["rdb_bgsave_in_progress:0", "aof_rewrite_in_progress:0", "\\nloading:0"].iter().all(|field| info.contains(field))
}

#[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
fn wait_for(real: &mut Master) {
    for _ in 0..500 {
        if is_idle(&real.ask_parts(&[b"INFO", b"persistence"]).to_string()) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("it is never done");
}

#[test]
fn files_of_a_real_server_have_every_form_for_ours() {
    for (lines, how) in FILES {
        let Some(mut real) = start_real(lines) else {
            println!("skipped: no redis-server here");
            return;
        };
        make_real(&mut real);
        real.ask_parts(&[how.as_bytes()]);
        wait_for(&mut real);
        let wanted = loaded_census(lines, &mut |words| real.ask_parts(words));
        let mut rig = rig(lines);
        for folder in ["", "appendonlydir/"] {
            let Ok(entries) = std::fs::read_dir(real.folder.path().join(folder)) else { continue };
            for path in entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()) {
                let name = format!("{folder}{}", path.file_name().expect("a name").to_string_lossy());
                rig.world.put_file(NodeId(0), &name, Bytes::from(std::fs::read(&path).expect("readable")));
            }
        }
        rig.run_ms(1_000);
        assert_same(&format!("{lines} {how}"), &wanted, &loaded_census(lines, &mut ask_rig(&mut rig)));
    }
}

#[test]
fn our_files_have_every_form_for_a_real_server() {
    for (lines, how) in FILES {
        let mut rig = rig(lines);
        rig.run_ms(100);
        make(&mut ask_rig(&mut rig));
        ask_rig(&mut rig)(&[how.as_bytes()]);
        rig.run_ms(5_000);
        let wanted = loaded_census(lines, &mut ask_rig(&mut rig));
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("appendonlydir")).expect("a folder");
        for (name, content) in rig.world.files(NodeId(0)) {
            std::fs::write(folder.path().join(&*name), content).expect("writable");
        }
        let options = options(lines);
        let Some(mut real) = Master::start_in(folder, &options.iter().map(String::as_str).collect::<Vec<_>>()) else {
            println!("skipped: no redis-server here");
            return;
        };
        wait_for(&mut real);
        assert_same(&format!("{lines} {how}"), &wanted, &loaded_census(lines, &mut |words| real.ask_parts(words)));
    }
}
