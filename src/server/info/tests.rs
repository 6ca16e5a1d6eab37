//! INFO's text in some situations, byte for byte.

use crate::server::rig::Rig;

const START: u64 = 1_795_000_000_000;

/// What INFO answers, without the header and with its line ends made simple.
fn info(rig: &mut Rig, sections: &str) -> String {
    let reply = rig.ask("asks", format!("INFO {sections}").trim_end());
    let (header, text) = reply.split_once("\r\n").expect("a bulk string");
    assert_eq!(header, format!("${}", text.len() - 2));
    let text = text.replace("\r\n", "\n");
    assert!(!text.contains('\r'));
    text
}

/// Sends commands, each by the connection that it begins with.
fn all(rig: &mut Rig, commands: &[&str]) {
    for command in commands {
        let (name, words) = command.split_once(' ').expect("who, then what");
        rig.ask(name, words);
    }
}

#[test]
fn a_new_server() {
    let mut rig = Rig::with("", START, 1_000);
    insta::assert_snapshot!("new", info(&mut rig, ""));
    rig.pass(90_000_000);
    insta::assert_snapshot!("day_old", info(&mut rig, "everything"));
}

#[test]
fn a_used_server() {
    let conf = "maxmemory 100mb\nmaxmemory-policy allkeys-lru\nlatency-tracking-info-percentiles 50 99.9 100\n";
    let mut rig = Rig::with(conf, START, 1_000);
    let value = "v".repeat(30_000);
    all(
        &mut rig,
        &[
            "a SET k v EX 100",
            "a MSET x 1 y 2 z 3",
            &format!("a SET long {value}"),
            "a GET long",
            "a GET nothing",
            "a NOSUCH",
            "a LPUSH x y",
            "b SUBSCRIBE news",
            "c PSUBSCRIBE n*",
            "d SSUBSCRIBE shard",
            "e BLPOP q 0",
            "f BLPOP q 5",
            "g HELLO 3",
            "g CLIENT TRACKING ON",
            "g GET x",
            "h MULTI",
            "h SET a b",
            "i WATCH x",
            "j SELECT 3",
            "j SET in-three 1",
        ],
    );
    rig.pass(1_500);
    insta::assert_snapshot!("used", info(&mut rig, "all"));
    rig.pass(60_000);
    insta::assert_snapshot!("used_parts", info(&mut rig, "memory stats clients keyspace"));
}

#[test]
fn replication() {
    let mut rig = Rig::with("min-replicas-to-write 1\nreplica-priority 7\n", START, 1_000);
    all(
        &mut rig,
        &[
            "r REPLCONF listening-port 7001 ip-address replica.example",
            "r PSYNC ? -1",
            "s REPLCONF listening-port 7002",
        ],
    );
    insta::assert_snapshot!("first_replica", info(&mut rig, "replication"));
    all(&mut rig, &["s PSYNC ? -1", "a SET k v"]);
    rig.pass(7_000);
    insta::assert_snapshot!("replicas", info(&mut rig, "replication"));
    rig.ask("a", "REPLICAOF 127.0.0.1 7777");
    rig.pass(4_000);
    insta::assert_snapshot!("follows", info(&mut rig, "replication"));
    rig.ask("a", "REPLICAOF NO ONE");
    insta::assert_snapshot!("master_again", info(&mut rig, "replication"));
}

#[test]
fn children() {
    let mut rig = Rig::with("appendonly yes\n", START, 1_000);
    all(&mut rig, &["a SET k v", "a SET other v", "a BGSAVE"]);
    rig.pass(2_500);
    rig.ask("a", "INCR n");
    insta::assert_snapshot!("saving", info(&mut rig, "persistence"));
    let mut rig = Rig::with("appendonly yes\n", START, 1_000);
    all(&mut rig, &["a SET k v", "a BGREWRITEAOF"]);
    rig.pass(2_500);
    insta::assert_snapshot!("rewriting", info(&mut rig, "persistence"));
}
