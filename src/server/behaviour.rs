//! What a server does over time: timers, pauses, costs, back-pressure, shutting down.

use bytes::Bytes;

use super::rig::Rig;
use crate::node::{DiskOp, DiskRequest, Input, Node, Output, Signal};
use crate::time::{NS_PER_MS, Span};

const START: u64 = 1_795_000_000_000;

fn busy(rig: &mut Rig) -> Span {
    let total = rig.others.iter().map(|output| if let Output::Busy(span) = output { span.ns() } else { 0 }).sum();
    rig.others.clear();
    Span::from_ns(total)
}

#[test]
fn an_idle_master_sleeps() {
    let mut rig = Rig::with("", START, 1_000);
    assert_eq!(rig.ask("A", "SET a 1"), "+OK\r\n");
    rig.pass(200);
    assert_eq!(rig.server.wake_at(), None);
}

#[test]
fn keys_expire_though_nobody_reads_them() {
    let mut rig = Rig::new(START);
    for key in 0..500 {
        rig.ask("A", &format!("SET key:{key} v PX {}", 1_000 + key));
    }
    // In a busy time every tick looks for work; after it the server knows.
    rig.pass(200);
    let first = rig.server.wake_at().expect("the first key expires");
    assert!(first.0 >= rig.now.mono.0 + 400 * NS_PER_MS, "nothing is due before the first expiry");
    rig.pass(700);
    assert_eq!(rig.ask("A", "DBSIZE"), ":500\r\n");
    rig.take_stream();
    rig.pass(2_000);
    assert_eq!(rig.ask("A", "DBSIZE"), ":0\r\n");
    let stream = rig.take_stream();
    assert_eq!(stream.windows(3).filter(|w| w == b"DEL").count(), 500);
    assert!(!stream.windows(5).any(|w| w == b"MULTI"), "deletions of the cycle are no transaction");
    assert_eq!(rig.server.wake_at(), None);
}

#[test]
fn a_pipeline_behind_a_slow_command_sees_a_later_clock() {
    let mut rig = Rig::with("", START, 1_000);
    let fd = rig.fd("A");
    let text = b"*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$1\r\n1\r\n*1\r\n$4\r\nTIME\r\n";
    rig.turn(Input::Bytes { fd, data: Bytes::from_static(text) });
    assert!(busy(&mut rig) >= Span::from_secs(1));
    assert!(rig.take_reply("A").is_empty(), "the pipeline is answered as one");
    assert_eq!(rig.server.wake_at(), Some(rig.now.mono));
    rig.now.mono.0 += 1_000 * NS_PER_MS;
    rig.now.unix.0 += 1_000 * NS_PER_MS;
    rig.turn(Input::Wake);
    assert_eq!(rig.take_reply("A"), b"+OK\r\n");
    let seconds = (START / 1_000 + 1).to_string();
    assert!(String::from_utf8_lossy(&rig.take_reply("A")).contains(&seconds));
}

#[test]
fn who_waits_is_answered_at_the_first_tick_after_its_time() {
    let mut rig = Rig::with("", START, 0);
    assert_eq!(rig.ask("A", "BLPOP q 0.25"), "");
    assert_eq!(rig.ask("B", "BZPOPMIN z 0"), "");
    assert!(rig.ask("C", "INFO clients").contains("blocked_clients:2\r\n"));
    rig.pass(250);
    assert_eq!(rig.take_reply("A"), b"");
    rig.pass(110);
    assert_eq!(rig.take_reply("A"), b"*-1\r\n");
    assert_eq!(rig.ask("C", "ZADD z 1 a"), ":1\r\n");
    assert_eq!(rig.take_reply("B"), b"*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\n1\r\n");
    assert!(rig.ask("C", "INFO clients").contains("blocked_clients:0\r\n"));
    rig.pass(200);
    assert_eq!(rig.server.wake_at(), None, "nobody waits any more");
}

#[test]
fn a_client_that_left_is_not_served() {
    let mut rig = Rig::with("", START, 0);
    rig.ask("A", "BLPOP q 1");
    rig.ask("B", "BLPOP q 0");
    let fd = rig.fd("A");
    rig.turn(Input::Closed { fd, why: crate::node::CloseWhy::Eof });
    rig.ask("C", "RPUSH q x y");
    assert_eq!(rig.take_reply("B"), b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    assert_eq!(rig.ask("C", "LLEN q"), ":1\r\n");
}

#[test]
fn paused_writes_run_when_the_pause_ends() {
    let mut rig = Rig::with("", START, 0);
    assert_eq!(rig.ask("A", "CLIENT PAUSE 300 WRITE"), "+OK\r\n");
    assert_eq!(rig.ask("A", "SET a 1"), "");
    assert_eq!(rig.ask("B", "GET a"), "$-1\r\n");
    rig.pass(500);
    assert_eq!(rig.take_reply("A"), b"+OK\r\n");
    assert_eq!(rig.ask("B", "GET a"), "$1\r\n1\r\n");
}

#[test]
fn a_client_that_reads_slowly_gets_everything_in_order() {
    let mut rig = Rig::with("", START, 0);
    let value = "x".repeat(3_000_000);
    rig.ask("A", &format!("SET big {value}"));
    let fd = rig.fd("A");
    let get = Bytes::from_static(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n");
    rig.turn(Input::Bytes { fd, data: get.clone() });
    rig.turn(Input::Bytes { fd, data: get });
    let first = rig.take_reply("A").len();
    assert!(rig.others.contains(&Output::AwaitWritable { fd }));
    rig.turn(Input::Writable { fd, room: 5_000_000 });
    assert_eq!(rig.take_reply("A").len(), first);
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let mut rig = Rig::with("client-output-buffer-limit normal 6mb 1mb 2\n", START, 0);
    let value = "x".repeat(3_000_000);
    rig.ask("A", &format!("SET big {value}"));
    let fd = rig.fd("A");
    let get = Bytes::from_static(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n");
    rig.turn(Input::Bytes { fd, data: get.clone() });
    rig.turn(Input::Bytes { fd, data: get });
    rig.pass(1_900);
    assert!(!rig.closed.contains(&fd), "the soft limit takes its time");
    rig.pass(1_500);
    assert!(rig.closed.contains(&fd));
}

#[test]
fn idle_clients_are_closed_after_their_timeout() {
    let mut rig = Rig::with("timeout 5\n", START, 0);
    let fd = rig.fd("A");
    rig.pass(4_900);
    assert!(!rig.closed.contains(&fd));
    rig.pass(2_000);
    assert!(rig.closed.contains(&fd));
}

#[test]
fn an_answer_is_an_interaction() {
    let mut rig = Rig::with("timeout 2\n", START, 0);
    assert_eq!(rig.ask("A", "BLPOP q 0"), "");
    rig.pass(4_000);
    rig.ask("B", "RPUSH q x");
    assert_eq!(rig.take_reply("A"), b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    rig.pass(1_500);
    assert!(!rig.closed.contains(&rig.fds["A"]), "it has just been served");
    rig.pass(2_500);
    assert!(rig.closed.contains(&rig.fds["A"]));
}

#[test]
fn who_monitors_is_a_connected_client() {
    let mut rig = Rig::with("", START, 0);
    rig.ask("M", "MONITOR");
    assert!(rig.ask("A", "INFO clients").contains("connected_clients:2\r\n"));
}

#[test]
fn sigterm_is_obeyed_at_the_next_tick() {
    let mut rig = Rig::with("save 60 1\n", START, 0);
    rig.ask("A", "SET a 1");
    rig.turn(Input::Signal(Signal::Term));
    assert!(!rig.others.iter().any(|output| matches!(output, Output::Exit { .. })));
    rig.pass(200);
    let disk = rig.others.iter().position(|output| matches!(output, Output::Disk(_))).expect("the dataset is saved");
    let exit = rig.others.iter().position(|output| *output == Output::Exit { code: 0 }).expect("then it exits");
    assert!(disk < exit);
}

#[test]
fn rewritten_settings_survive_a_restart() {
    let mut rig = Rig::with("", START, 0);
    assert_eq!(rig.ask("A", "CONFIG SET repl-timeout 7"), "+OK\r\n");
    assert_eq!(rig.ask("A", "CONFIG REWRITE"), "+OK\r\n");
    let data = rig.others.iter().find_map(|output| {
        let Output::Disk(DiskRequest { op: DiskOp::Write { data, .. }, .. }) = output else { return None };
        Some(data.clone())
    });
    let mut again = Rig::with("", START, 0);
    let disk = [("redis.conf".into(), data.expect("a file is written"))].into();
    let mut fresh = super::Server::new(again.server.init.clone(), super::config::Config::default());
    fresh.start(again.now, &disk, &mut again.out);
    assert_eq!(fresh.config.repl_timeout, 7);
    assert!(fresh.config.save.is_empty());
}

#[test]
fn exec_fails_when_a_watched_key_changes() {
    let mut rig = Rig::with("", START, 0);
    rig.ask("A", "SET a 1");
    assert_eq!(rig.ask("A", "WATCH a"), "+OK\r\n");
    rig.ask("B", "SET a 2");
    rig.ask("A", "MULTI");
    assert_eq!(rig.ask("A", "SET a 3"), "+QUEUED\r\n");
    assert_eq!(rig.ask("A", "EXEC"), "*-1\r\n");
    assert_eq!(rig.ask("A", "GET a"), "$1\r\n2\r\n");
}

#[test]
fn monitor_sees_what_others_do() {
    let mut rig = Rig::with("", START, 0);
    assert_eq!(rig.ask("M", "MONITOR"), "+OK\r\n");
    rig.ask("A", "SET a 1");
    let line = String::from_utf8(rig.take_reply("M")).expect("text");
    assert!(line.starts_with("+1795000000.") && line.ends_with("\"SET\" \"a\" \"1\"\r\n"), "{line}");
}

#[test]
fn costs_follow_the_table_and_the_scale() {
    let mut costs = [1_000, 2_000, 0].map(|cpu| {
        let mut rig = Rig::with("", START, cpu);
        rig.fd("A");
        busy(&mut rig);
        rig.ask("A", "SET a 1");
        busy(&mut rig)
    });
    assert_eq!(costs[2], Span::ZERO);
    costs.sort_unstable();
    assert!(costs[1] > Span::from_us(3) && costs[2] == costs[1].times(2));
}

/// The output limit sees whole blocks, as the memory that replies take; and ends a reply that would never end.
#[test]
fn output_limits_count_blocks() {
    let mut rig = Rig::with("client-output-buffer-limit normal 100000 0 0\n", 1_795_000_000_000, 1_000);
    let member = "x".repeat(1_000);
    for n in 0..113 {
        rig.ask("a", &format!("RPUSH list {member}{n}"));
    }
    // Four blocks beyond the first 16 KB.
    assert!(rig.ask("d", "LRANGE list 0 94").len() > 95_000);
    // Five.
    assert_eq!(rig.ask("b", "LRANGE list 0 112"), "");
    assert!(rig.closed.contains(&rig.fds["b"]));
    rig.ask("a", "HSET hash field value");
    assert_eq!(rig.ask("c", "HRANDFIELD hash -999999999"), "");
    assert!(rig.closed.contains(&rig.fds["c"]));
    assert_eq!(rig.ask("a", "HRANDFIELD none -999999999"), "*0\r\n");
    assert_eq!(rig.server.stats.output_buffer_drops, 2);
    let mut rig = Rig::new(START);
    rig.ask("a", "HSET hash field value");
    assert_eq!(rig.ask("a", "HRANDFIELD hash -999999999"), "-ERR value is out of range\r\n");
}

/// Who draws members of a set whose table is on its way into another one moves it on, also while nobody changes the set.
#[test]
fn drawing_members_moves_a_table_on() {
    let mut rig = Rig::with("enable-debug-command yes\n", START, 0);
    for n in 0..17 {
        let members: Vec<String> = (0..1_000).map(|m| format!("m{n}:{m}")).collect();
        rig.ask("a", &format!("SADD set {}", members.join(" ")));
    }
    let moves = |rig: &mut Rig| rig.ask("a", "DEBUG HTSTATS-KEY set").contains("rehashing target");
    for ask in ["SRANDMEMBER set 100", "SRANDMEMBER set -100", "SRANDMEMBER set"] {
        let mut rig = rig.clone();
        assert!(moves(&mut rig));
        let digest = rig.ask("a", "DEBUG DIGEST");
        let asked = (1..2_000).find(|_| {
            rig.ask("a", ask);
            !moves(&mut rig)
        });
        assert!(asked.is_some_and(|asked| asked > 1), "{ask}");
        assert_eq!(rig.ask("a", "DEBUG DIGEST"), digest);
    }
}
