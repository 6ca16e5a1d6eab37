//! How a server treats those who wait and those who follow: pauses on top of one another, replicas that wait for a child, that
//! say what no replica says, or that read too little.

use bytes::Bytes;

use super::rig::Rig;
use crate::node::{DiskOp, DiskRequest, Input, Node, Output};

const START: u64 = 1_795_000_000_000;
const FILES: &str = "repl-diskless-sync no\n";

/// Ends children and what they have the disk do.
fn finish_children(rig: &mut Rig) {
    loop {
        let outputs = std::mem::take(&mut rig.others);
        let mut ended = false;
        for output in outputs {
            if let Output::Job { job, .. } = output {
                rig.turn(Input::JobDone { job });
            } else if let Output::Disk(DiskRequest { done: Some(op), .. }) = output {
                rig.turn(Input::DiskDone { op, ok: true });
            } else {
                continue;
            }
            ended = true;
        }
        if !ended {
            return;
        }
    }
}

fn received(rig: &mut Rig, name: &str) -> String {
    let fd = rig.fds[name];
    String::from_utf8_lossy(&rig.received.entry(fd).or_default().split()).into_owned()
}

/// A replica that continues from where the stream is.
fn follow(rig: &mut Rig, name: &str) {
    if rig.server.repl.replicas.is_empty() {
        rig.ask("first", "PSYNC ? -1");
    }
    let (replid, next) = (rig.server.repl.replid, rig.server.repl.offset + 1);
    let answer = rig.ask(name, &format!("PSYNC {replid} {next}"));
    assert!(answer.starts_with("+CONTINUE"), "{answer}");
}

fn is_closed(rig: &Rig, name: &str) -> bool {
    rig.closed.contains(&rig.fds[name])
}

/// The log's lines from here on, without their beginnings.
fn log(rig: &mut Rig) -> Vec<String> {
    let lines = rig.out.log.replace(Vec::new()).unwrap_or_default();
    lines.into_iter().map(|(_, line)| line.splitn(7, ' ').last().expect("a text").to_owned()).collect()
}

#[test]
fn a_pause_of_all_commands_ends_above_one_of_writes() {
    let mut rig = Rig::with(FILES, START, 0);
    follow(&mut rig, "R");
    rig.ask("A", "SET k v");
    assert_eq!(rig.ask("A", "FAILOVER"), "+OK\r\n");
    assert_eq!(rig.ask("A", "CLIENT PAUSE 1000 ALL"), "+OK\r\n");
    assert_eq!(rig.ask("W", "SET k w"), "");
    assert_eq!(rig.ask("G", "GET k"), "");
    rig.pass(900);
    assert_eq!(rig.take_reply("G"), b"");
    rig.pass(300);
    assert_eq!(rig.take_reply("G"), b"$1\r\nv\r\n", "readers go");
    assert_eq!(rig.take_reply("W"), b"", "writers stay");
    assert_eq!(rig.ask("A", "FAILOVER ABORT"), "+OK\r\n");
    assert_eq!(rig.take_reply("W"), b"+OK\r\n");
}

#[test]
fn who_comes_after_a_pause_queues_behind_those_it_held() {
    let mut rig = Rig::with("", START, 0);
    rig.ask("A", "SET o 0");
    rig.ask("B", "PING");
    rig.pass(20);
    assert_eq!(rig.ask("C", "CLIENT PAUSE 330 WRITE"), "+OK\r\n");
    assert_eq!(rig.ask("A", "APPEND o A"), "");
    rig.pass(337);
    assert_eq!(rig.ask("B", "APPEND o B"), ":3\r\n");
    assert_eq!(rig.ask("C", "GET o"), "$3\r\n0AB\r\n");
    assert_eq!(rig.take_reply("A"), b":2\r\n");
    // Its last millisecond belongs to it.
    assert_eq!(rig.ask("C", "CLIENT PAUSE 100 WRITE"), "+OK\r\n");
    rig.pass(100);
    assert_eq!(rig.ask("A", "APPEND o A"), "");
    rig.pass(200);
    assert_eq!(rig.take_reply("A"), b":4\r\n");
}

#[test]
fn a_replica_that_waits_for_a_child_gets_its_own_when_that_ends() {
    for scheduled in [false, true] {
        let mut rig = Rig::with(FILES, START, 0);
        rig.ask("A", "SET a 1");
        rig.pass(250);
        if scheduled {
            assert_eq!(rig.ask("A", "BGREWRITEAOF"), "+Background append only file rewriting started\r\n");
            assert_eq!(rig.ask("A", "BGSAVE SCHEDULE"), "+Background saving scheduled\r\n");
        } else {
            assert_eq!(rig.ask("A", "BGSAVE"), "+Background saving started\r\n");
        }
        assert_eq!(rig.ask("R", "PSYNC ? -1"), "");
        finish_children(&mut rig);
        rig.others.clear();
        rig.pass(150);
        assert!(received(&mut rig, "R").starts_with("+FULLRESYNC "), "at the tick that sees the end");
        assert!(rig.ask("A", "INFO persistence").contains("rdb_saves:1\r\n") == scheduled);
        finish_children(&mut rig);
        rig.pass(150);
        assert!(received(&mut rig, "R").contains("REDIS0010"));
        finish_children(&mut rig);
        rig.pass(150);
        let saves = rig.ask("A", "INFO persistence");
        assert!(saves.contains("rdb_bgsave_in_progress:0\r\n") && saves.contains("rdb_saves:2\r\n"), "{saves}");
    }
}

#[test]
fn flushall_ends_a_synchronisation_through_sockets_too() {
    let mut rig = Rig::with("repl-diskless-sync-delay 0\n", START, 0);
    rig.ask("A", "SET a 1");
    rig.ask("R", "REPLCONF capa eof");
    assert!(rig.ask("R", "PSYNC ? -1").starts_with("+FULLRESYNC"));
    rig.ask("A", "FLUSHALL");
    assert!(rig.others.iter().any(|output| matches!(output, Output::KillJob { .. })));
    rig.pass(150);
    assert!(is_closed(&rig, "R"));
}

#[test]
fn lowered_output_limits_reach_those_who_are_over_them() {
    let mut rig = Rig::with(&format!("{FILES}repl-backlog-size 16kb\n"), START, 0);
    follow(&mut rig, "R");
    let value = "x".repeat(3_000_000);
    for _ in 0..4 {
        rig.ask("A", &format!("SET big {value}"));
    }
    let fd = rig.fd("B");
    let get = Bytes::from_static(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n");
    for _ in 0..4 {
        rig.turn(Input::Bytes { fd, data: get.clone() });
    }
    rig.pass(1_500);
    assert!(!is_closed(&rig, "B") && !is_closed(&rig, "R"));
    for (limits, gone) in [("normal 1mb 0 0", "B"), ("replica 1mb 0 0", "R")] {
        let args = ["CONFIG", "SET", "client-output-buffer-limit", limits].map(str::to_owned);
        rig.send("A", &args);
        assert_eq!(rig.take_reply("A"), b"+OK\r\n");
        assert!(!is_closed(&rig, gone), "a tick looks");
        rig.pass(200);
        assert!(is_closed(&rig, gone), "{limits}");
    }
    assert_eq!(rig.server.stats.output_buffer_drops, 3, "one replica never read anything");
}

#[test]
fn a_file_for_replicas_goes_when_nobody_needs_it() {
    for (conf, goes) in [("", true), ("appendonly yes\n", false), ("save 900 1\n", false)] {
        let conf = format!("{FILES}rdb-del-sync-files yes\nrepl-ping-replica-period 100\n{conf}");
        let mut rig = Rig::with(&conf, START, 0);
        finish_children(&mut rig);
        rig.ask("A", "SET a 1");
        assert!(rig.ask("R", "PSYNC ? -1").starts_with("+FULLRESYNC"));
        finish_children(&mut rig);
        rig.pass(150);
        assert!(received(&mut rig, "R").contains("REDIS0010"));
        rig.pass(1_500);
        let removes = |output: &Output| {
            let Output::Disk(DiskRequest { op: DiskOp::Remove { file }, .. }) = output else { return false };
            **file == *"dump.rdb"
        };
        assert_eq!(rig.others.iter().any(removes), goes, "{conf}");
        assert_eq!(rig.ask("A", "DEBUG RELOAD NOSAVE").starts_with('-'), goes);
    }
}

#[test]
fn a_replica_that_would_be_answered_is_closed() {
    let mut rig = Rig::with(FILES, START, 0);
    rig.out.log = Some(Vec::new());
    for (words, name) in [
        ("PING", "ping"),
        ("GET x", "get"),
        ("NOSUCH", "<unknown>"),
        ("CLIENT NOSUCH", "<unknown>"),
        ("REPLCONF listening-port 5", "replconf"),
        ("SUBSCRIBE c", "subscribe"),
        ("WAIT 0 0", "wait"),
        ("CONFIG SET maxmemory-samples 7", "config|set"),
    ] {
        follow(&mut rig, "R");
        received(&mut rig, "R");
        log(&mut rig);
        rig.ask("R", words);
        assert_eq!(received(&mut rig, "R"), "", "{words}");
        assert!(is_closed(&rig, "R"), "{words}");
        let start = format!("Replica generated a reply to command '{name}', disconnecting it: id=");
        let lines = log(&mut rig);
        assert!(lines.iter().any(|line| line.starts_with(&start)), "{lines:?}");
    }
    assert_eq!(rig.ask("A", "CONFIG GET maxmemory-samples"), "*2\r\n$17\r\nmaxmemory-samples\r\n$1\r\n7\r\n");
    follow(&mut rig, "R");
    for words in ["PSYNC ? -1", "SYNC", "REPLCONF ACK 0"] {
        assert_eq!(rig.ask("R", words), "");
        assert!(!is_closed(&rig, "R"), "{words} has no answer");
    }
    received(&mut rig, "R");
    let fd = rig.fd("R");
    rig.turn(Input::Bytes { fd, data: Bytes::from_static(b"*x\r\n") });
    assert_eq!(received(&mut rig, "R"), "");
    assert!(is_closed(&rig, "R"), "nor is a broken request answered");
    rig.ask("R", "HELLO 3");
    rig.ask("R", "SUBSCRIBE c");
    received(&mut rig, "R");
    follow(&mut rig, "R");
    assert_eq!(rig.ask("P", "PUBLISH c text"), ":1\r\n");
    assert_eq!(received(&mut rig, "R"), "");
    assert!(is_closed(&rig, "R"), "nor is it told what a channel says");
    assert_eq!(rig.ask("M", "MONITOR"), "+OK\r\n");
    assert_eq!(rig.ask("P", "PING"), "+PONG\r\n");
    assert!(!is_closed(&rig, "M"), "one who watches isn't a replica");
}

#[test]
fn waiters_of_one_sweep_are_told_what_the_first_was() {
    let mut rig = Rig::with(FILES, START, 0);
    follow(&mut rig, "R1");
    follow(&mut rig, "R2");
    let mut offsets = [0; 2];
    for (name, offset) in ["B", "A"].into_iter().zip(&mut offsets) {
        rig.ask(name, "SET a 1");
        *offset = rig.server.repl.offset;
        assert_eq!(rig.ask(name, "WAIT 1 20000"), "");
    }
    for (name, offset) in [("R1", offsets[1]), ("R2", offsets[0])] {
        let text = format!("REPLCONF ACK {offset}\r\n");
        let fd = rig.fd(name);
        rig.server.handle(rig.now, Input::Bytes { fd, data: text.into() }, &mut rig.out);
    }
    rig.turn(Input::LoopEnd);
    assert_eq!(rig.take_reply("A"), b":1\r\n");
    assert_eq!(rig.take_reply("B"), b":1\r\n", "two have it, nobody counts again");
    assert_eq!(rig.ask("B", "WAIT 1 20000"), ":2\r\n");
}

#[test]
fn the_log_tells_how_a_failover_went() {
    let mut rig = Rig::with(FILES, START, 0);
    follow(&mut rig, "R");
    rig.ask("A", "SET a 1");
    rig.out.log = Some(Vec::new());
    rig.ask("A", "FAILOVER");
    rig.ask("A", "FAILOVER ABORT");
    rig.ask("A", "FAILOVER TIMEOUT 200");
    rig.pass(400);
    assert_eq!(
        log(&mut rig),
        [
            "FAILOVER requested to any replica.",
            "FAILOVER to any replica aborted: Failover manually aborted",
            "FAILOVER requested to any replica.",
            "FAILOVER to any replica aborted: Replica never caught up before timeout",
        ]
    );
    let offset = rig.server.repl.offset;
    rig.ask("A", "FAILOVER");
    rig.ask("R", &format!("REPLCONF ACK {offset}"));
    rig.ask("A", "FAILOVER ABORT");
    let lines = log(&mut rig);
    assert_eq!(lines[1], "Failover target 127.0.0.1:0 is synced, failing over.");
    assert!(lines[2].starts_with("Before turning into a replica, using my own master parameters"));
    assert_eq!(lines[3], "Connecting to MASTER 127.0.0.1:0");
    let aborted = "FAILOVER to 127.0.0.1:0 aborted: Failover manually aborted";
    assert!(lines.iter().any(|line| line == aborted), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("MASTER MODE") || line.starts_with("REPLICAOF")), "{lines:?}");
}

#[test]
fn the_log_tells_why_a_replica_gets_everything() {
    let mut rig = Rig::with(&format!("{FILES}repl-backlog-ttl 2\n"), START, 0);
    rig.out.log = Some(Vec::new());
    let own = rig.server.repl.replid;
    let none = "0".repeat(40);
    rig.ask("R", &format!("PSYNC {none}x 7"));
    let lines = log(&mut rig);
    assert_eq!(lines[0], "Replica 127.0.0.1:<unknown-replica-port> asks for synchronization");
    let mismatch = format!(
        "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{none}x', my replication IDs are \
         '{own}' and '{none}')"
    );
    assert_eq!(lines[1], mismatch);
    assert_eq!(rig.ask("Q", "PSYNC x y"), "-ERR value is not an integer or out of range\r\n");
    let wrong = "Replica 127.0.0.1:<unknown-replica-port> asks for synchronization but with a wrong offset";
    assert_eq!(log(&mut rig).last().map(String::as_str), Some(wrong));
    rig.ask("Q", "REPLCONF listening-port 5");
    let own = rig.server.repl.replid;
    rig.ask("Q", &format!("PSYNC {own} 1000"));
    let lines = log(&mut rig);
    assert_eq!(
        lines[1..3],
        [
            "Unable to partial resync with replica 127.0.0.1:5 for lack of backlog (Replica request was: 1000).",
            "Warning: replica 127.0.0.1:5 tried to PSYNC with an offset that is greater than the master replication offset.",
        ]
    );
    for name in ["R", "Q"] {
        let fd = rig.fds[name];
        rig.turn(Input::Closed { fd, why: crate::node::CloseWhy::Eof });
    }
    rig.pass(5_000);
    let lines = log(&mut rig);
    let freed = "Replication backlog freed after 2 seconds without connected replicas.";
    assert!(lines.iter().any(|line| line == freed), "{lines:?}");
}

/// While a child saves, its file is there under another name; a child that is killed leaves none.
#[test]
fn a_child_fills_a_file_of_its_own() {
    let mut rig = Rig::with("save \"\"", START, 0);
    let touched = |rig: &mut Rig| -> Vec<String> {
        let outputs = std::mem::take(&mut rig.others);
        let name = |output: Output| {
            let Output::Disk(DiskRequest { op, .. }) = output else { return None };
            if let DiskOp::Create { file } = &op {
                Some(format!("+{file}"))
            } else if let DiskOp::Remove { file } = &op {
                Some(format!("-{file}"))
            } else {
                None
            }
        };
        outputs.into_iter().filter_map(name).collect()
    };
    rig.ask("A", "SET a 1");
    rig.others.clear();
    rig.ask("A", "BGSAVE");
    let begun = touched(&mut rig);
    assert!(begun.len() == 1 && begun[0].starts_with("+temp-") && begun[0].ends_with(".rdb"), "{begun:?}");
    rig.ask("A", "FLUSHALL");
    assert_eq!(touched(&mut rig), [begun[0].replace('+', "-")]);
    // It is gone once a tick has noticed.
    rig.pass(150);
    assert_eq!(rig.ask("A", "SAVE"), "+OK\r\n");
    let own = touched(&mut rig);
    assert!(own.len() == 1 && own[0].starts_with("+temp-") && own != begun, "{own:?}");
}

/// A table of remembered keys that has become too large is cut by a tick, though nobody asks for anything.
#[test]
fn ticks_cut_the_table_of_remembered_keys() {
    let mut rig = Rig::with("", START, 0);
    rig.ask("A", "MSET k 1 l 2");
    rig.ask("B", "HELLO 3");
    rig.ask("B", "CLIENT TRACKING ON");
    rig.ask("B", "MGET k l");
    assert_eq!(rig.ask("A", "CONFIG SET tracking-table-max-keys 1"), "+OK\r\n");
    assert_eq!(received(&mut rig, "B"), "");
    rig.pass(1_000);
    assert_eq!(received(&mut rig, "B").matches("invalidate").count(), 1);
}
