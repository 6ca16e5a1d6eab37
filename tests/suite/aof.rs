//! The append-only file: what power cuts, kills and bad disks leave of it, and that a real redis-server and ours read and
//! write the same one.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use splitbrain::fault::{DiskEffect, Fault};
use splitbrain::id::{MachineId, NodeId};
use splitbrain::resp::{ReplyReader, Value, encode, split_args};
use splitbrain::time::{Instant, Span};
use splitbrain::trace::event::{DiskEvent, SentinelEvent, ServerEvent, WorldEvent};
use splitbrain::trace::{Event, Kind};

use crate::rig::Rig;

const AOF: &str = "save = \"\"\nappendonly = true\nenable-debug-command = \"yes\"\n";
const N1: NodeId = NodeId(0);
const DIR: &str = "appendonlydir/appendonly.aof";

fn rig(more: &str) -> Rig {
    let mut rig = Rig::new(1, &format!("{AOF}{more}"));
    rig.run_ms(100);
    rig
}

fn disk(effect: DiskEffect) -> Fault {
    Fault::Disk { machines: vec![MachineId(0)], effect }
}

fn full() -> DiskEffect {
    DiskEffect { room: Some(0), ..DiskEffect::default() }
}

impl Rig {
    fn file(&self, name: &str) -> String {
        let files = self.world.files(N1);
        let content = files.get(&*format!("{DIR}{name}")).unwrap_or_else(|| panic!("no {name} in {:?}", files.keys()));
        String::from_utf8_lossy(content).into_owned()
    }

    fn names(&self) -> Vec<String> {
        self.world.files(N1).keys().map(ToString::to_string).collect()
    }

    fn restart(&mut self) {
        self.fault(Fault::Restart { nodes: vec![N1] }, None);
        self.run_ms(200);
    }

    /// The power goes and comes back after a second.
    fn power_cut(&mut self) {
        self.fault(Fault::PowerOff { machines: vec![MachineId(0)] }, Some(Span::from_secs(1)));
        self.run_ms(1_500);
        // The connection from before is good for nothing.
        let _ = self.try_cmd(1, &["PING"]);
    }

    fn say(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        plain(&self.cmd(1, &words))
    }

    fn info(&mut self, field: &str) -> String {
        let text = self.say("INFO");
        let line = text
            .split("\\r\\n")
            .flat_map(|part| part.split("\r\n"))
            .find_map(|line| line.strip_prefix(field).and_then(|rest| rest.strip_prefix(':')).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {field} in {text}"))
    }

    fn server_events(&self) -> Vec<ServerEvent> {
        self.said(1, Instant::ZERO).cloned().collect()
    }

    fn died(&self) -> Option<String> {
        self.events.iter().rev().find_map(|event| {
            if let Kind::World(WorldEvent::Died { how }) = &event.kind { Some(how.to_string()) } else { None }
        })
    }

    fn fatal(&self) -> String {
        let fatal = self.server_events().into_iter().rev().find_map(|event| {
            if let ServerEvent::Fatal { message } = event { Some(message.to_string()) } else { None }
        });
        fatal.unwrap_or_else(|| panic!("nothing fatal\n{}", self.log()))
    }
}

/// A reply without what a terminal adds to it.
fn plain(value: &Value) -> String {
    if let Value::Simple(text) | Value::Error(text) | Value::Bulk(text) = value {
        return String::from_utf8_lossy(text).into_owned();
    }
    value.to_string().trim_start_matches("(integer) ").to_owned()
}

fn lost_bytes(events: &[Event]) -> u64 {
    let lost = |event: &Event| {
        if let Kind::Disk(DiskEvent::Lost { bytes, .. }) = &event.kind { *bytes } else { 0 }
    };
    events.iter().map(lost).sum()
}

#[test]
fn a_fresh_server_begins_one_and_a_kill_loses_nothing() {
    let mut rig = rig("");
    let manifest = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    assert_eq!(rig.file(".manifest"), manifest);
    assert!(rig.file(".1.base.rdb").starts_with("REDIS0010"));
    assert_eq!(rig.file(".1.incr.aof"), "");
    rig.set(1, "a", "1");
    rig.say("SELECT 3");
    rig.set(1, "b", "2");
    let expected = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n\
                    *2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n";
    assert_eq!(rig.file(".1.incr.aof"), expected);
    rig.restart();
    assert_eq!(rig.say("GET a"), "1");
    assert_eq!(rig.info("aof_current_size"), (expected.len() + 89).to_string());
    rig.say("SELECT 0");
    rig.set(1, "c", "3");
    assert!(rig.file(".1.incr.aof").ends_with("$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n3\r\n"));
}

#[test]
fn everysec_loses_the_last_second_and_always_nothing() {
    for (policy, may_lose) in [("everysec", true), ("always", false)] {
        let mut lost_ever = false;
        for seed in 0..6 {
            let mut rig = rig(&format!("appendfsync = \"{policy}\"\n"));
            rig.run_ms(2_000 + 170 * seed);
            for i in 0..300 {
                rig.set(1, &format!("k{i}"), "v");
                rig.run_ms(10);
            }
            rig.power_cut();
            let held: usize = (0..300).filter(|i| rig.say(&format!("EXISTS k{i}")) == "1").count();
            lost_ever |= held < 300;
            assert!(held >= 180, "{policy} keeps all but two seconds, not {held} of 300");
            assert!(held == 300 || may_lose, "{policy} keeps everything, not {held} of 300");
            // What was kept is a prefix: no hole.
            assert_eq!(rig.say("DBSIZE"), held.to_string());
            assert!(held == 0 || rig.say(&format!("EXISTS k{}", held - 1)) == "1");
        }
        assert_eq!(lost_ever, may_lose, "{policy}");
    }
}

#[test]
fn an_fsync_follows_though_no_more_is_written() {
    let mut rig = rig("");
    rig.run_ms(1_000);
    rig.set(1, "a", "1");
    rig.run_ms(2_100);
    rig.power_cut();
    assert_eq!(lost_bytes(&rig.events), 0);
    assert_eq!(rig.say("GET a"), "1");
}

#[test]
fn a_torn_end_is_cut_off_or_refused() {
    for allowed in [true, false] {
        let mut rig = rig(&format!("aof-load-truncated = {allowed}\n"));
        rig.set(1, "a", "1");
        rig.say("MULTI");
        rig.say("SET b 2");
        rig.say("SET c 3");
        rig.say("EXEC");
        let whole = rig.file(".1.incr.aof");
        let torn = &whole[..whole.len() - 9];
        rig.fault(Fault::Crash { nodes: vec![N1] }, None);
        rig.run_ms(10);
        rig.world.put_file(N1, &format!("{DIR}.1.incr.aof"), Bytes::copy_from_slice(torn.as_bytes()));
        rig.restart();
        if allowed {
            // Half a transaction is none.
            assert_eq!(rig.say("DBSIZE"), "1");
            assert_eq!(rig.file(".1.incr.aof"), whole[..whole.find("*1\r\n").expect("MULTI")]);
        } else {
            assert!(
                rig.fatal().starts_with("Unexpected end of file reading the append only file appendonly.aof.1.incr")
            );
            assert_eq!(rig.died().as_deref(), Some("exit 1"));
        }
    }
}

#[test]
fn what_is_no_append_only_file_ends_the_process() {
    for (name, content, message) in [
        (".1.incr.aof", "hello\r\n", "Bad file format reading the append only file appendonly.aof.1.incr.aof"),
        (".1.incr.aof", "*1\r\n$5\r\nHELLA\r\n", "Unknown command 'HELLA' reading the append only file"),
        (".1.base.rdb", "REDIS0010\u{7f}", "Unknown RDB encoding type"),
        (".manifest", "", "FATAL AOF MANIFEST FILE ERROR: Found an empty AOF manifest"),
        (".manifest", "file x seq 1 type i\n", "Unable to obtain the AOF file x length"),
    ] {
        let mut rig = rig("");
        rig.set(1, "a", "1");
        rig.world.put_file(N1, &format!("{DIR}{name}"), Bytes::copy_from_slice(content.as_bytes()));
        rig.restart();
        assert!(rig.fatal().contains(message), "{} against {message}", rig.fatal());
    }
}

#[test]
fn a_snapshot_is_not_looked_at_when_there_should_be_an_append_only_file() {
    let mut rig = Rig::new(1, "save = \"\"\n");
    rig.run_ms(100);
    rig.set(1, "a", "1");
    assert_eq!(rig.say("SAVE"), "OK");
    assert_eq!(rig.say("CONFIG SET appendonly yes"), "OK");
    assert_eq!(rig.say("CONFIG REWRITE"), "OK");
    // The first base isn't made yet.
    rig.restart();
    assert_eq!(rig.say("DBSIZE"), "0");
}

#[test]
fn an_old_single_file_becomes_the_base() {
    let mut rig = Rig::new(1, AOF);
    let old = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    rig.world.put_file(N1, "appendonly.aof", Bytes::from_static(old.as_bytes()));
    rig.run_ms(100);
    assert_eq!(rig.say("GET a"), "1");
    let manifest = "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    assert_eq!(rig.file(".manifest"), manifest);
    assert!(!rig.names().contains(&"appendonly.aof".to_owned()));
    assert_eq!(rig.say("BGREWRITEAOF"), "Background append only file rewriting started");
    rig.run_ms(500);
    assert_eq!(
        rig.file(".manifest"),
        manifest.replace("aof seq 1 type b", "aof.2.base.rdb seq 2 type b").replace('1', "2")
    );
}

#[test]
fn a_rewrite_while_writes_go_on_keeps_them_all() {
    for preamble in [true, false] {
        let mut rig = rig(&format!("aof-use-rdb-preamble = {preamble}\n"));
        for i in 0..50 {
            rig.set(1, &format!("k{i}"), "v");
        }
        assert_eq!(rig.say("BGREWRITEAOF"), "Background append only file rewriting started");
        let again = rig.say("BGREWRITEAOF");
        assert_eq!(again, "ERR Background append only file rewriting already in progress");
        assert!(rig.say("BGSAVE").starts_with("ERR Another child process is active (AOF?)"));
        assert_eq!(rig.say("BGSAVE SCHEDULE"), "Background saving scheduled");
        for i in 50..100 {
            rig.set(1, &format!("k{i}"), "v");
            rig.run_ms(1);
        }
        rig.run_ms(500);
        let kind = if preamble { "rdb" } else { "aof" };
        let manifest =
            format!("file appendonly.aof.2.base.{kind} seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n");
        assert_eq!(rig.file(".manifest"), manifest);
        assert_eq!(rig.names().iter().filter(|name| name.starts_with(DIR)).count(), 3);
        assert_eq!(rig.info("aof_rewrites"), "1");
        assert!(rig.names().contains(&"dump.rdb".to_owned()), "the scheduled save followed");
        rig.restart();
        assert_eq!(rig.say("DBSIZE"), "100");
    }
}

#[test]
fn a_kill_during_a_rewrite_loses_nothing() {
    for ms in [0, 1, 2, 3, 5, 8, 12] {
        let mut rig = rig("");
        for i in 0..200 {
            rig.set(1, &format!("k{i}"), "v");
        }
        rig.say("BGREWRITEAOF");
        rig.set(1, "last", "v");
        rig.run_ms(ms);
        rig.restart();
        assert_eq!(rig.say("DBSIZE"), "201", "killed after {ms} ms");
    }
}

#[test]
fn it_is_rewritten_when_it_has_grown() {
    let mut rig = rig("auto-aof-rewrite-min-size = \"4kb\"\n");
    for i in 0..200 {
        rig.set(1, &format!("k{}", i % 10), "vvvvvvvvvv");
    }
    rig.run_ms(1_000);
    assert_eq!(rig.info("aof_rewrites"), "1");
    let size: u64 = rig.info("aof_current_size").parse().expect("a number");
    assert!(size < 4_096, "{size}");
    assert_eq!(rig.info("aof_base_size"), size.to_string());
}

#[test]
fn it_can_be_switched_on_and_off() {
    let mut rig = Rig::new(1, "save = \"\"\n");
    rig.run_ms(100);
    rig.set(1, "a", "1");
    assert_eq!(rig.say("CONFIG SET appendonly yes"), "OK");
    rig.set(1, "b", "2");
    assert_eq!(rig.info("aof_enabled"), "1");
    rig.run_ms(500);
    rig.set(1, "c", "3");
    let manifest = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    assert_eq!(rig.file(".manifest"), manifest);
    let incr = rig.file(".1.incr.aof");
    assert!(incr.contains("$1\r\nb\r\n") && incr.contains("$1\r\nc\r\n") && !incr.contains("$1\r\na\r\n"));
    assert_eq!(rig.say("CONFIG SET appendonly no"), "OK");
    rig.set(1, "d", "4");
    assert_eq!(rig.file(".1.incr.aof"), incr);
    assert_eq!(rig.info("aof_enabled"), "0");
    rig.say("CONFIG SET appendonly yes");
    rig.run_ms(500);
    rig.say("CONFIG REWRITE");
    rig.restart();
    assert_eq!(rig.say("DBSIZE"), "4");
}

#[test]
fn a_full_disk_stops_writes_until_there_is_room() {
    let mut rig = rig("");
    rig.set(1, "a", "1");
    rig.fault(disk(full()), Some(Span::from_secs(5)));
    // What is being answered was not known to fail yet.
    rig.set(1, "b", "2");
    let error = "MISCONF Errors writing to the AOF file: No space left on device";
    assert_eq!(rig.say("SET c 3"), error);
    assert_eq!(rig.say("PING"), error);
    assert_eq!(rig.say("GET b"), "2");
    assert_eq!(rig.info("aof_last_write_status"), "err");
    assert!(rig.say("BGREWRITEAOF").starts_with("ERR Can't execute an AOF background rewriting."));
    rig.run_ms(6_500);
    rig.set(1, "c", "3");
    assert_eq!(rig.info("aof_last_write_status"), "ok");
    rig.restart();
    assert_eq!(rig.say("DBSIZE"), "3");
}

#[test]
fn a_part_that_fits_is_cut_off_again() {
    let mut rig = rig("");
    rig.set(1, "a", "1");
    let before = rig.file(".1.incr.aof");
    rig.fault(disk(DiskEffect { room: Some(10), ..DiskEffect::default() }), None);
    rig.set(1, "b", "2");
    assert_eq!(rig.file(".1.incr.aof"), before);
    assert!(rig.say("SET c 3").starts_with("MISCONF"));
}

#[test]
fn under_always_a_disk_that_fails_ends_the_server() {
    for (effect, message) in [
        (full(), "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."),
        (DiskEffect { fails: true, ..DiskEffect::default() }, "Can't recover from AOF write error"),
    ] {
        let mut rig = rig("appendfsync = \"always\"\n");
        rig.set(1, "a", "1");
        rig.fault(disk(effect), Some(Span::from_secs(1)));
        assert_eq!(rig.try_cmd(1, &["SET", "b", "2"]), None, "it is not answered");
        assert!(rig.fatal().starts_with(message));
        rig.run_ms(1_000);
        rig.restart();
        assert_eq!(rig.say("DBSIZE"), "1");
    }
}

#[test]
fn a_slow_disk_delays_writes_and_then_holds_up_everything() {
    let text = format!(
        "name = \"slow\"\nduration = \"1h\"\n[defaults.machine]\nfsync = \"5s\"\n[defaults.redis]\n{AOF}\
         latency-monitor-threshold = 100\n[[redis]]\nname = \"n1\"\n"
    );
    let mut rig = Rig::from_text(&text);
    rig.run_ms(30_000);
    rig.set(1, "a", "1");
    rig.run_ms(1_200);
    assert_eq!(rig.info("aof_pending_bio_fsync"), "1");
    rig.set(1, "b", "2");
    assert!(rig.info("aof_buffer_length") != "0", "writes wait in memory");
    rig.run_ms(2_500);
    assert_eq!(rig.try_cmd(1, &["PING"]), None, "after two seconds it writes all the same, and waits");
    rig.run_ms(5_000);
    assert_eq!(rig.info("aof_delayed_fsync"), "1");
    assert_eq!(rig.info("aof_buffer_length"), "0");
    let latest = rig.say("LATENCY LATEST");
    assert!(latest.contains("aof-write-pending-fsync") && latest.contains("aof-write\""), "{latest}");
}

#[test]
fn a_disk_that_loses_syncs_keeps_no_promise() {
    let mut lost = false;
    for _ in 0..4 {
        let mut rig = rig("appendfsync = \"always\"\n");
        rig.set(1, "a", "1");
        rig.fault(disk(DiskEffect { loses_syncs: true, ..DiskEffect::default() }), None);
        for i in 0..50 + rig.events.len() % 7 {
            rig.set(1, &format!("k{i}"), "v");
        }
        rig.power_cut();
        lost |= lost_bytes(&rig.events) > 0;
        assert_eq!(rig.say("GET a"), "1", "that was safe");
    }
    assert!(lost);
}

#[test]
fn snapshots_need_room_too() {
    let mut rig = Rig::new(1, "save = \"3600 1\"\n");
    rig.run_ms(100);
    rig.set(1, "a", "1");
    rig.fault(disk(full()), Some(Span::from_secs(5)));
    assert_eq!(rig.say("SAVE"), "ERR");
    assert_eq!(rig.say("BGSAVE"), "Background saving started");
    rig.run_ms(500);
    assert_eq!(rig.info("rdb_last_bgsave_status"), "err");
    assert!(rig.say("SET b 2").starts_with("MISCONF Redis is configured to save RDB snapshots"));
    assert!(rig.say("CONFIG REWRITE").ends_with("Rewriting config file: No space left on device"));
    rig.run_ms(5_000);
    assert_eq!(rig.say("SAVE"), "OK");
    rig.set(1, "b", "2");
}

#[test]
fn debug_loadaof_reads_what_was_written() {
    let mut rig = rig("");
    rig.set(1, "a", "1");
    rig.say("DEBUG SET-ACTIVE-EXPIRE 0");
    rig.say("PEXPIREAT a 99999999999999");
    let digest = rig.say("DEBUG DIGEST");
    // What goes by the file isn't in it.
    rig.say("DEBUG POPULATE 5");
    assert_eq!(rig.say("DEBUG LOADAOF"), "OK");
    assert_eq!(rig.say("DEBUG DIGEST"), digest);
    assert_eq!(rig.info("rdb_changes_since_last_save"), "0");
}

/// What a script in the file takes longer than it should, clients are told that the server loads; what stands behind it in
/// the file is done after it.
#[test]
fn others_are_answered_while_a_slow_script_is_loaded() {
    let mut rig = rig("busy-reply-threshold = 10\n");
    rig.set(1, "a", "1");
    rig.run_ms(1_500);
    let name = rig.names().into_iter().find(|name| name.ends_with(".incr.aof")).expect("there is one");
    let mut file = rig.world.files(N1)[&*name].to_vec();
    let script = "redis.call('set','x','1') local n = 0 for i = 1, 20000000 do n = n + 1 end redis.call('set','y',n)";
    for words in [&["EVAL", script, "0"][..], &["SET", "z", "after"], &["APPEND", "y", "!"]] {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut text = BytesMut::new();
        encode::command(&mut text, &words);
        file.extend_from_slice(&text);
    }
    rig.world.put_file(N1, &name, file.into());
    for restarts in [true, false] {
        if restarts {
            rig.fault(Fault::Crash { nodes: vec![N1] }, None);
            rig.fault(Fault::Restart { nodes: vec![N1] }, None);
            let _ = rig.try_cmd(1, &["PING"]);
        } else {
            rig.send(1, 'b', Bytes::from_static(b"DEBUG LOADAOF\r\n"));
            rig.run_ms(60);
        }
        let answer = plain(&rig.cmd(1, &["GET", "y"]));
        assert!(answer.starts_with("LOADING"), "{answer}");
        rig.run_ms(1_000);
        assert_eq!(rig.say("GET y"), "20000000!");
        assert_eq!(rig.info("loading"), "0");
        assert_eq!(rig.say("GET z"), "after");
    }
}

#[test]
fn a_replica_rewrites_after_a_full_synchronisation() {
    let mut rig = Rig::new(2, &format!("{AOF}repl-diskless-sync-delay = 0\n"));
    rig.run_ms(100);
    rig.set(1, "a", "1");
    rig.wait_synced(&[2]);
    rig.set(1, "b", "2");
    rig.run_ms(1_000);
    let files = rig.world.files(NodeId(1));
    let incr = String::from_utf8_lossy(&files["appendonlydir/appendonly.aof.2.incr.aof"]).into_owned();
    assert!(incr.contains("$1\r\nb\r\n"), "{incr}");
    rig.fault(Fault::Crash { nodes: vec![N1] }, None);
    rig.fault(Fault::Restart { nodes: vec![NodeId(1)] }, None);
    rig.run_ms(500);
    assert_eq!(plain(&rig.cmd(2, &["DBSIZE"])), "2");
}

#[test]
fn rewrites_that_fail_again_and_again_wait_longer_and_longer() {
    let increments = |rig: &Rig| rig.names().iter().filter(|name| name.ends_with(".incr.aof")).count();
    for waits in [false, true] {
        let mut rig = rig("auto-aof-rewrite-percentage = 0\nauto-aof-rewrite-min-size = \"1kb\"\n");
        for i in 0..100 {
            rig.set(1, &format!("k{i:02}"), "0123456789");
        }
        rig.fault(disk(DiskEffect { room: Some(1_000), ..DiskEffect::default() }), Some(Span::from_secs(50)));
        rig.say("CONFIG SET auto-aof-rewrite-percentage 100");
        rig.run_ms(20_000);
        assert_eq!(rig.info("aof_rewrites_consecutive_failures"), "3");
        assert_eq!(rig.info("aof_last_bgrewrite_status"), "err");
        assert_eq!(increments(&rig), 4);
        rig.set(1, "k99", "later");
        if waits {
            rig.run_ms(45_000);
            assert_eq!(rig.info("aof_rewrites_consecutive_failures"), "0", "after a minute, with room");
            assert_eq!(increments(&rig), 1);
        }
        rig.restart();
        assert_eq!(rig.say("DBSIZE"), "100", "all increments are read");
        assert_eq!(rig.say("GET k99"), "later");
    }
}

#[test]
fn a_replica_that_can_not_write_ends() {
    for ignores in [false, true] {
        let more = format!("{AOF}repl-diskless-sync-delay = 0\nreplica-ignore-disk-write-errors = {ignores}\n");
        let mut rig = Rig::new(2, &more);
        rig.run_ms(100);
        rig.wait_synced(&[2]);
        rig.run_ms(1_000);
        rig.fault(Fault::Disk { machines: vec![MachineId(1)], effect: full() }, None);
        for key in ["a", "b", "c"] {
            rig.set(1, key, "1");
            rig.run_ms(50);
        }
        let ended = rig.said(2, Instant::ZERO).any(|event| {
            matches!(event, ServerEvent::Fatal { message } if &**message == "Replica was unable to write command to disk.")
        });
        assert_eq!(ended, !ignores);
    }
}

#[test]
fn a_sentinel_goes_on_with_what_its_disk_does_not_know() {
    let text = "name = \"s\"\nduration = \"1h\"\n[[redis]]\nname = \"r1\"\n[[sentinel]]\nname = \"s1\"\n\
                monitor = [{ name = \"m\", master = \"r1\", quorum = 1 }]\n";
    let mut rig = Rig::from_text(text);
    rig.run_ms(1_000);
    rig.fault(Fault::Disk { machines: vec![MachineId(1)], effect: full() }, Some(Span::from_secs(1)));
    let told = rig.cmd(2, &["SENTINEL", "SET", "m", "quorum", "2"]);
    assert_eq!(plain(&told), "ERR Failed to save config file. Check server logs.");
    let is = |event: &Event| matches!(&event.kind, Kind::Sentinel(SentinelEvent::Unsaved { .. }));
    assert!(rig.events.iter().any(is));
    rig.run_ms(1_500);
    let told = rig.cmd(2, &["SENTINEL", "FLUSHCONFIG"]);
    assert_eq!(plain(&told), "OK");
}

#[test]
fn annotations_tell_the_time_and_are_passed_over() {
    let mut rig = rig("aof-timestamp-enabled = true\n");
    rig.set(1, "a", "1");
    rig.set(1, "b", "2");
    rig.run_ms(1_000);
    rig.set(1, "c", "3");
    let incr = rig.file(".1.incr.aof");
    assert_eq!(incr.matches("#TS:").count(), 2, "{incr}");
    assert!(incr.starts_with("#TS:1") && incr[..20].contains("\r\n*2\r\n"));
    rig.restart();
    assert_eq!(rig.say("DBSIZE"), "3");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the disk has made of the file, a server starts with a part of it or says why it doesn't.
    #[test]
    fn a_corrupt_file_is_loaded_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in 0usize..80,
        transaction: bool,
    ) {
        let mut text = BytesMut::new();
        for words in writes().take(60) {
            encode::command(&mut text, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        if transaction {
            encode::command(&mut text, &[b"MULTI"]);
            encode::command(&mut text, &[b"SET", b"x", b"y"]);
        }
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        text.truncate(text.len() - cut);
        let mut rig = Rig::new(1, AOF);
        rig.world.put_file(N1, &format!("{DIR}.manifest"), Bytes::from_static(b"file a seq 1 type i\n"));
        rig.world.put_file(N1, "appendonlydir/a", text.freeze());
        rig.run_ms(100);
        let events = rig.server_events();
        let loaded = events.iter().any(|event| matches!(event, ServerEvent::AofLoaded { .. }));
        let refused = events.iter().any(|event| matches!(event, ServerEvent::Fatal { .. }));
        prop_assert!(loaded != refused);
    }
}

/// Everything that writes, with times that are given.
const WRITES: &str = include_str!("../golden/aof-writes.txt");

/// A real server with an append-only file.
struct Real {
    process: Child,
    port: u16,
    reader: ReplyReader,
    socket: TcpStream,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Real {
    #[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
    fn start(folder: &Path, more: &[&str]) -> Option<Real> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "yes"]).args(more);
        command.args(["--enable-debug-command", "yes", "--dir"]).arg(folder).stdout(Stdio::null());
        let process = command.spawn().ok()?;
        for _ in 0..300 {
            if let Ok(socket) = TcpStream::connect(("127.0.0.1", port)) {
                socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
                return Some(Real { process, port, reader: ReplyReader::default(), socket });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not come up");
    }

    fn ask(&mut self, words: &[Vec<u8>]) -> Value {
        let mut request = BytesMut::new();
        encode::command(&mut request, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        self.socket.write_all(&request).expect("it listens");
        let mut buffer = vec![0; 1 << 16];
        loop {
            if let Some(value) = self.reader.read().expect("a reply") {
                return value;
            }
            let count = std::io::Read::read(&mut self.socket, &mut buffer).expect("an answer");
            assert!(count > 0, "port {} closed", self.port);
            self.reader.feed(Bytes::copy_from_slice(&buffer[..count]));
        }
    }

    fn text(&mut self, line: &str) -> String {
        plain(&self.ask(&split_args(line.as_bytes()).expect("quotes")))
    }
}

fn read_folder(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder.join("appendonlydir")).expect("the folder is there");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read(&path).expect("readable"))
    };
    entries.map(read).collect()
}

/// The writes of the file, each with the connection's database as SELECT sets it.
fn writes() -> impl Iterator<Item = Vec<Vec<u8>>> {
    let lines = WRITES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| split_args(line.as_bytes()).unwrap_or_else(|| panic!("quotes: {line}")))
}

fn ask_ours(rig: &mut Rig, words: &[Vec<u8>]) -> String {
    let words: Vec<String> = words.iter().map(|word| String::from_utf8(word.clone()).expect("text")).collect();
    rig.cmd(1, &words.iter().map(String::as_str).collect::<Vec<_>>()).to_string()
}

/// Ours and a real one are told the same: the same bytes are in both files, each loads the other's, and what each rewrites.
#[test]
#[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
fn a_real_server_writes_and_reads_the_same_file() {
    for preamble in ["yes", "no"] {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(mut real) = Real::start(folder.path(), &["--aof-use-rdb-preamble", preamble]) else {
            println!("skipped: no redis-server here");
            return;
        };
        let mut rig = rig(&format!("aof-use-rdb-preamble = \"{preamble}\"\n"));
        for words in writes() {
            let (theirs, ours) = (real.ask(&words).to_string(), ask_ours(&mut rig, &words));
            assert_eq!(ours, theirs, "{:?}", words.iter().map(|w| String::from_utf8_lossy(w)).collect::<Vec<_>>());
        }
        let theirs = read_folder(folder.path());
        let incr = String::from_utf8_lossy(&theirs["appendonly.aof.1.incr.aof"]).into_owned();
        assert_eq!(rig.file(".1.incr.aof"), incr);
        assert_eq!(rig.file(".manifest").into_bytes(), theirs["appendonly.aof.manifest"]);
        let digest = real.text("DEBUG DIGEST");
        assert_eq!(rig.say("DEBUG DIGEST"), digest);
        real.text("BGREWRITEAOF");
        rig.say("BGREWRITEAOF");
        rig.run_ms(1_000);
        for _ in 0..100 {
            if real.text("INFO persistence").contains("aof_rewrite_in_progress:0") {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        real.text("SET after rewrite");
        rig.say("SET after rewrite");
        let digest = real.text("DEBUG DIGEST");
        let theirs = read_folder(folder.path());
        assert_eq!(rig.file(".manifest").into_bytes(), theirs["appendonly.aof.manifest"]);
        drop(real);
        // Theirs in ours.
        let mut other = Rig::new(1, AOF);
        for (name, content) in &theirs {
            other.world.put_file(N1, &format!("appendonlydir/{name}"), content.clone().into());
        }
        other.run_ms(200);
        assert_eq!(other.say("DEBUG DIGEST"), digest);
        // Ours in theirs.
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("appendonlydir")).expect("a folder");
        for (name, content) in rig.world.files(N1) {
            std::fs::write(folder.path().join(&*name), content).expect("writable");
        }
        let mut real = Real::start(folder.path(), &[]).expect("it is installed");
        for _ in 0..100 {
            if real.text("PING") == "PONG" {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(real.text("DEBUG DIGEST"), digest);
    }
}
