//! The log of our server is that of a real one which is told the same: alone, as a master, as a replica.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use splitbrain::resp::split_args;

use crate::conformance::mask;
use crate::real_master::{Host, Master};

/// Role, level and text of a line, with all numbers alike; `None` for the lines of a picture.
fn shown(line: &str) -> Option<String> {
    let mut words = line.splitn(7, ' ');
    let (pid, role) = words.next()?.split_once(':')?;
    pid.parse::<u32>().ok()?;
    let (level, text) = (words.nth(4)?, words.next()?);
    Some(format!("{role} {level} {}", mask(text).replace("#.#", "#")))
}

/// Lines of the append-only file's single steps, which ours leaves out.
const LEFT_OUT: &[&str] = &[
    "Creating AOF incr file",
    "Successfully renamed the temporary AOF",
    "Removing the history file",
    "Reading RDB base file on AOF loading",
    "RDB is base AOF",
    "DB loaded from base file",
    "DB loaded from incr file",
];

/// What follows once the server is ready, but for what children say and `LEFT_OUT`.
fn lines(text: &str) -> Vec<String> {
    let mut all: Vec<String> = text.lines().filter_map(shown).collect();
    all.retain(|line| !line.starts_with('C') && !LEFT_OUT.iter().any(|left_out| line.contains(left_out)));
    let ready = all.iter().position(|line| line.contains("Ready to accept connections"));
    all.into_iter().skip(ready.map_or(0, |at| at + 1)).collect()
}

fn start_real(options: &[&str]) -> Option<Master> {
    Master::start(&[options, &["--logfile", "log", "--repl-diskless-sync-delay", "0"]].concat())
}

fn log_of_real(real: &Master) -> Vec<String> {
    lines(&std::fs::read_to_string(real.folder.path().join("log")).expect("it has a log"))
}

fn start_ours(conf: &str, master: Option<u16>) -> Host {
    let mut host = Host::start_logged(&format!("repl-diskless-sync-delay 0\n{conf}"), master);
    host.run_ms(20);
    host
}

fn assert_same(what: &str, real: &[String], ours: &[String]) {
    let differs = real.iter().zip(ours).position(|(real, ours)| real != ours).unwrap_or(real.len().min(ours.len()));
    let rest = |lines: &[String]| lines[differs.saturating_sub(2).min(lines.len())..].join("\n  ");
    assert!(real == ours, "{what}: line {differs}\nreal\n  {}\nours\n  {}", rest(real), rest(ours));
}

#[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// What a server is told while it is alone. `!` sends raw bytes over a connection of their own (what must not be
/// interrupted goes in one piece), `.` waits for children.
const ALONE: &str = r##"
SET k v
DEBUG LOG hello
DEBUG RELOAD
DEBUG CHANGE-REPL-ID
CONFIG SET maxmemory 1
CONFIG SET maxmemory 0
SAVE
BGSAVE
.
CONFIG SET appendonly yes
.
BGREWRITEAOF
.
CONFIG SET appendonly no
!"REPLICAOF 127.0.0.1 1\r\nREPLICAOF 127.0.0.1 1\r\nREPLICAOF no one\r\nREPLICAOF NO ONE\r\n"
!"POST / HTTP/1.1\r\n\r\n"
!"Host: x\r\n"
EVAL "redis.log(redis.LOG_WARNING, 'from', 'a', 1, 'script') redis.log(redis.LOG_DEBUG, 'not this')" 0
EVAL "redis.log(redis.LOG_NOTICE, 'once') redis.log(redis.LOG_NOTICE)" 0
EVAL "return redis.pcall('NOSUCH')" 0
FUNCTION LOAD "#!lua name=l\nredis.register_function('f', function() redis.log(redis.LOG_NOTICE, 'called') end)"
FCALL f 0
CONFIG SET client-query-buffer-limit 1mb
ACL SETUSER u off
FAILOVER
CONFIG SET save "x"
SHUTDOWN ABORT
"##;

/// Tries again and again for half a minute: a machine may have much else to do.
#[allow(clippy::disallowed_methods, reason = "a real process runs in real time")]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "in vain: {what}");
    }
}

/// Tells both, and gives time to what goes on in the background.
fn tell(real: &mut Master, ours: &mut Host, script: &str) {
    for line in script.lines().filter(|line| !line.is_empty()) {
        if line == "." {
            wait_until("children are done", || {
                pause(20);
                ours.run_ms(20);
                let busy = ["rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled"];
                busy.iter().all(|field| real.info(field) == "0" && ours.info(field) == "0")
            });
        } else if let Some(raw) = line.strip_prefix('!') {
            let bytes = split_args(raw.as_bytes()).expect("quotes").concat();
            for port in [real.port, ours.server_port()] {
                let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
                socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
                socket.write_all(&bytes).expect("it reads");
                ours.run_ms(20);
                let _ = socket.read(&mut [0; 1024]);
            }
            ours.run_ms(20);
        } else {
            let words = split_args(line.as_bytes()).expect("quotes");
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let (theirs, answer) = (real.ask_parts(&words), ours.ask_parts(&words));
            assert_eq!(answer, theirs, "{line}");
        }
    }
}

#[test]
fn a_server_alone_logs_what_a_real_one_does() {
    let Some(mut real) = start_real(&[]) else {
        println!("skipped: no redis-server here");
        return;
    };
    let mut ours = start_ours("", None);
    tell(&mut real, &mut ours, ALONE);
    assert_same("alone", &log_of_real(&real), &lines(&ours.log()));
}

/// A master that isn't there: what the log says up to the refusal.
#[test]
fn a_refused_connection_is_logged_as_a_real_server_does() {
    let Some(mut real) = start_real(&[]) else {
        println!("skipped: no redis-server here");
        return;
    };
    let mut ours = start_ours("", None);
    tell(&mut real, &mut ours, "REPLICAOF 127.0.0.1 1\n");
    let refused = |line: &String| line.contains("Error condition on socket for SYNC: Connection refused");
    wait_until("both are refused", || {
        pause(20);
        ours.run_ms(20);
        log_of_real(&real).iter().any(refused) && lines(&ours.log()).iter().any(refused)
    });
    let first = |all: Vec<String>| all.iter().position(refused).map(|end| all[..=end].to_vec()).unwrap_or_default();
    assert_same("refused", &first(log_of_real(&real)), &first(lines(&ours.log())));
}

/// Waits until a replica, real or ours, has its master's data.
fn wait_for(mut up: impl FnMut() -> String) {
    wait_until("the replica's link is up", || up() == "up");
}

/// How often it says that it lost a replica.
fn lost(log: &[String]) -> usize {
    log.iter().filter(|line| line.contains("Connection with replica ") && line.ends_with("lost.")).count()
}

/// Kinds of synchronisation: what the master is told, and the replica.
const SYNCS: &[(&str, &str)] = &[
    ("repl-diskless-sync no", "repl-diskless-load disabled"),
    ("repl-diskless-sync yes", "repl-diskless-load disabled"),
    ("repl-diskless-sync yes", "repl-diskless-load swapdb"),
];

fn options(line: &str) -> Vec<String> {
    let (name, value) = line.split_once(' ').expect("a directive");
    vec![format!("--{name}"), value.to_owned()]
}

#[test]
fn masters_and_replicas_log_what_real_ones_do() {
    for (of_master, of_replica) in SYNCS {
        let (m, r) = (options(of_master), options(of_replica));
        let (m, r): (Vec<&str>, Vec<&str>) =
            (m.iter().map(String::as_str).collect(), r.iter().map(String::as_str).collect());
        let Some(mut master) = start_real(&m) else {
            println!("skipped: no redis-server here");
            return;
        };
        master.ask_parts(&[b"SET", b"k", b"v"]);
        let follow = |port: u16| [b"REPLICAOF".to_vec(), b"127.0.0.1".to_vec(), port.to_string().into_bytes()];
        // Real ones among themselves.
        let mut replica = start_real(&r).expect("it is installed");
        let words = follow(master.port);
        replica.ask_parts(&words.each_ref().map(Vec::as_slice));
        let link = "master_link_status";
        let real_link = |replica: &mut Master| {
            pause(20);
            replica.info(link)
        };
        wait_for(|| real_link(&mut replica));
        pause(1_200);
        replica.ask_parts(&[b"CLIENT", b"KILL", b"TYPE", b"master"]);
        wait_until("the master notices", || lost(&log_of_real(&master)) == 1);
        wait_for(|| real_link(&mut replica));
        replica.ask_parts(&[b"REPLICAOF", b"NO", b"ONE"]);
        wait_until("the master notices again", || lost(&log_of_real(&master)) == 2);
        let (real_master, real_replica) = (log_of_real(&master), log_of_real(&replica));
        // A replica of ours.
        let mut ours = start_ours(of_replica, None);
        let own_link = |ours: &mut Host| {
            ours.run_ms(10);
            ours.info(link)
        };
        ours.ask_parts(&words.each_ref().map(Vec::as_slice));
        wait_for(|| own_link(&mut ours));
        ours.run_ms(1_200);
        ours.ask_parts(&[b"CLIENT", b"KILL", b"TYPE", b"master"]);
        wait_for(|| own_link(&mut ours));
        ours.ask_parts(&[b"REPLICAOF", b"NO", b"ONE"]);
        ours.run_ms(20);
        assert_same(&format!("replica, {of_master}, {of_replica}"), &real_replica, &lines(&ours.log()));
        drop((master, replica));
        // A master of ours.
        let mut ours = start_ours(of_master, None);
        ours.ask_parts(&[b"SET", b"k", b"v"]);
        let mut replica = start_real(&r).expect("it is installed");
        let words = follow(ours.server_port());
        replica.ask_parts(&words.each_ref().map(Vec::as_slice));
        let far_link = |ours: &mut Host, replica: &mut Master| {
            ours.run_ms(20);
            replica.info(link)
        };
        wait_for(|| far_link(&mut ours, &mut replica));
        ours.run_ms(1_200);
        replica.ask_parts(&[b"CLIENT", b"KILL", b"TYPE", b"master"]);
        ours.run_ms(50);
        wait_for(|| far_link(&mut ours, &mut replica));
        replica.ask_parts(&[b"REPLICAOF", b"NO", b"ONE"]);
        wait_until("ours notices", || {
            ours.run_ms(20);
            lost(&lines(&ours.log())) == 2
        });
        assert_same(&format!("master, {of_master}, {of_replica}"), &real_master, &lines(&ours.log()));
    }
}
