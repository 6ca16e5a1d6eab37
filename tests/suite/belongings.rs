//! What served nodes have in the real world besides sockets: files, logs, child processes; and buffers that fill as there.

#![allow(clippy::disallowed_methods, reason = "served deployments live in real time")]

use std::path::Path;
use std::process::Command;

use splitbrain::host::{self, Entry, Header, Session};
use splitbrain::id::{Addr, Ip, NodeId};
use splitbrain::scenario::Layout;
use splitbrain::time::{Instant, Unix};
use splitbrain::trace::Event;
use splitbrain::world::Outside;

use crate::hosts::{Served, Sink, eventually};

const ONE: &str = r#"
name = "one"
description = "A server."
duration = "10s"
settle = "0s"
[[redis]]
name = "r1"
config = { save = "", enable-debug-command = "yes", aclfile = "users.acl", maxclients = 10 }
"#;

/// One server, without a host.
struct Bare {
    session: Session,
    sink: Sink,
    at: Instant,
}

impl Bare {
    fn new(header: impl FnOnce(Header) -> Header) -> Bare {
        let layout = Layout { ip: Ip::LOOPBACK, base_port: 7000, clients: false, process_id: Some(4_711) };
        let mut plain = Header::new(ONE.to_owned(), layout, Unix(1 << 60));
        plain.files.insert("users.acl".to_owned(), "user default on nopass ~* &* +@all\n".to_owned());
        let sink = Sink::default();
        let session = Session::new(header(plain), Some(Box::new(sink.clone()))).expect("valid");
        let mut bare = Bare { session, sink, at: Instant(1_000_000_000) };
        bare.pass();
        bare
    }

    fn pass(&mut self) {
        self.at = Instant(self.at.0 + 1_000_000_000);
        self.session.advance(self.at, &mut |_: &Event| {});
    }

    fn put(&mut self, entry: Entry) {
        self.session.put_in(vec![entry], &mut |_: &Event| {});
    }

    fn call(&mut self, id: u32) {
        self.put(Entry::Call(id, Addr::new(Ip::LOOPBACK, 7000), Addr::new(Ip::LOOPBACK, 50_000)));
    }

    /// What a request is answered with within a second.
    fn ask(&mut self, id: u32, request: &str) -> String {
        self.put(Entry::Bytes(id, format!("{request}\r\n").into_bytes().into()));
        self.pass();
        let (mut out, mut text) = (Vec::new(), String::new());
        self.session.take_out(&mut out);
        for outside in out {
            if let Outside::Bytes { id: of, data } = outside
                && of == id
            {
                text.push_str(&String::from_utf8_lossy(&data));
            }
        }
        text
    }

    /// Its record gives the same run.
    fn replay(self) {
        let see = &mut |_: &Event| {};
        let (run, broken) = self.session.finish(see);
        assert!(broken.is_none());
        let record = String::from_utf8(self.sink.0.lock().expect("no panic").clone()).expect("text");
        let (again, whole) = host::replay(record.lines().map(|line| Ok(line.to_owned())), see).expect("replays");
        assert!(whole);
        assert_eq!((run.digest, run.events), (again.digest, again.events));
    }
}

/// Real sockets are full when a party takes nothing: what it is told stays in the server's buffer, from the first byte.
#[test]
fn what_a_party_does_not_take_fills_the_servers_buffer() {
    let mut bare = Bare::new(|header| header);
    bare.call(1);
    bare.call(2);
    assert!(bare.ask(1, "SUBSCRIBE news").contains("news"));
    bare.put(Entry::Hold(1));
    let message = "x".repeat(1_000);
    for _ in 0..60 {
        assert_eq!(bare.ask(2, &format!("PUBLISH news {message}")), ":1\r\n");
    }
    let clients = bare.ask(2, "CLIENT LIST TYPE pubsub");
    let omem = clients.split(" omem=").nth(1).and_then(|rest| rest.split(' ').next()).expect("it is shown");
    assert!((40_000..80_000).contains(&omem.parse::<u64>().expect("a number")), "{clients}");
    bare.put(Entry::Release(1));
    assert_eq!(bare.ask(1, "PING").matches("news").count(), 60, "nothing was lost");
    assert!(bare.ask(2, "CLIENT LIST TYPE pubsub").contains(" omem=0 "));
    // And a limit drops it.
    assert_eq!(bare.ask(2, "CONFIG SET client-output-buffer-limit 'pubsub 30000 0 0'"), "+OK\r\n");
    bare.put(Entry::Hold(1));
    for _ in 0..60 {
        bare.ask(2, &format!("PUBLISH news {message}"));
    }
    assert_eq!(bare.ask(2, "PUBLISH news again"), ":0\r\n");
    bare.replay();
}

/// Files that others put onto a disk are what the server reads next, and the record has them.
#[test]
fn files_from_outside_are_read() {
    let mut bare = Bare::new(|header| {
        let files = [("appendonlydir/none".to_owned(), bytes::Bytes::from_static(b"\xff"))];
        header.with_disk("r1", &files.into_iter().collect())
    });
    bare.session.follow_files();
    bare.call(1);
    assert_eq!(bare.ask(1, "SET key value"), "+OK\r\n");
    assert_eq!(bare.ask(1, "SAVE"), "+OK\r\n");
    let dump = bare.session.world().files(NodeId(0))["dump.rdb"].clone();
    let changes = bare.session.file_changes(NodeId(0));
    assert!(changes.iter().any(|op| format!("{op:?}").contains("dump.rdb")), "{changes:?}");
    assert_eq!(bare.ask(1, "FLUSHALL"), "+OK\r\n");
    assert_eq!(bare.ask(1, "SAVE"), "+OK\r\n");
    bare.put(Entry::Put(NodeId(0), "dump.rdb".to_owned(), dump));
    assert_eq!(bare.ask(1, "DEBUG RELOAD NOSAVE"), "+OK\r\n");
    assert_eq!(bare.ask(1, "GET key"), "$5\r\nvalue\r\n");
    let users = "user default on nopass ~* &* +@all\nuser alice on >secret ~* +get\n";
    bare.put(Entry::Put(NodeId(0), "users.acl".to_owned(), users.into()));
    assert_eq!(bare.ask(1, "ACL LOAD"), "+OK\r\n");
    assert!(bare.ask(1, "ACL USERS").contains("alice"));
    bare.put(Entry::Remove(NodeId(0), "users.acl".to_owned()));
    assert!(bare.ask(1, "ACL LOAD").contains("No such file or directory"));
    bare.replay();
}

/// A child that somebody kills is a save that failed.
#[test]
fn a_child_can_be_killed() {
    let mut bare = Bare::new(|header| header);
    bare.call(1);
    assert_eq!(bare.ask(1, "CONFIG SET rdb-key-save-delay 100000000"), "+OK\r\n");
    assert_eq!(bare.ask(1, "SET key value"), "+OK\r\n");
    assert!(!bare.session.world().has_child(NodeId(0)));
    assert_eq!(bare.ask(1, "BGSAVE"), "+Background saving started\r\n");
    assert!(bare.session.world().has_child(NodeId(0)));
    assert!(bare.ask(1, "INFO persistence").contains("rdb_bgsave_in_progress:1"));
    bare.put(Entry::KillChild(NodeId(0)));
    bare.pass();
    assert!(!bare.session.world().has_child(NodeId(0)));
    let info = bare.ask(1, "INFO persistence");
    assert!(info.contains("rdb_bgsave_in_progress:0") && info.contains("rdb_last_bgsave_status:err"), "{info}");
    assert_eq!(bare.ask(1, "CONFIG SET rdb-key-save-delay -10"), "+OK\r\n");
    assert_eq!(bare.ask(1, "BGSAVE"), "+Background saving started\r\n");
    bare.pass();
    assert!(bare.ask(1, "INFO persistence").contains("rdb_last_bgsave_status:ok"));
    bare.replay();
}

fn serve_in(folder: &Path) -> Served {
    let flags = ["data", "logs"].map(|name| folder.join(name).display().to_string());
    std::fs::create_dir_all(&flags[1]).expect("a folder");
    let scenario = ONE.replace(", aclfile = \"users.acl\"", "").replace("save = \"\"", "save = \"900 1\"");
    Served::new(&scenario, &["--data", &flags[0], "--logs", &flags[1], "--until-down", "--forks"])
}

/// What a served server has on its disk is there the next time, as is its log; and it ends when its processes do.
#[test]
fn data_outlasts_a_deployment() {
    let place = tempfile::tempdir().expect("a folder");
    let served = serve_in(place.path());
    let mut client = served.connect(0);
    assert_eq!(client.ask("SET key value"), "+OK");
    assert_eq!(client.ask("CONFIG SET rdb-key-save-delay 100000000"), "+OK");
    assert_eq!(client.ask("BGSAVE"), "+Background saving started");
    let parent = served.process().to_string();
    let children = || {
        let output = Command::new("pgrep").args(["-P", &parent]).output().expect("pgrep");
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("a process stands for the child", || children().len() == 1);
    assert!(Command::new("kill").args(["-9", &children()[0]]).status().expect("kill").success());
    let log = || std::fs::read_to_string(place.path().join("logs/r1.log")).unwrap_or_default();
    eventually("it is gone", || log().contains("# Background saving terminated by signal 9"));
    assert_eq!(client.ask("CONFIG SET rdb-key-save-delay 0"), "+OK");
    // SIGTERM is the server's too: it saves.
    assert!(Command::new("kill").args(["-TERM", &parent]).status().expect("kill").success());
    served.ended();
    assert!(place.path().join("data/r1/dump.rdb").is_file());
    for line in ["Received SIGTERM scheduling shutdown...", "DB saved on disk", "ready to exit, bye bye..."] {
        assert!(log().contains(line), "{line}: {}", log());
    }
    let served = serve_in(place.path());
    let mut client = served.connect(0);
    assert_eq!(client.ask("GET key"), "value");
    assert_eq!(log().matches(" * Ready to accept connections").count(), 2);
    client.send("SHUTDOWN NOSAVE");
    let (run, _) = served.ended();
    assert_eq!(run["scenario"], "one");
}
