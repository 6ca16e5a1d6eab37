//! What a sentinel answers, against what a real one answered.

use bytes::Bytes;
use splitbrain::conf;
use splitbrain::node::Input;
use splitbrain::resp::{Value, encode};
use splitbrain::sentinel::config::Config;

use super::bare::Bare;

const CONF: &str = "port 26379\nsentinel myid bc33c9fa32e4256914b1ce1f4ed17a286fcd0e84\n\
                    sentinel monitor mymaster 127.0.0.1 27890 2\n\
                    sentinel known-replica mymaster 127.0.0.1 27892\n\
                    sentinel known-sentinel mymaster 127.0.0.1 27893 83eb925401116064972bf6604beb5c5b24644f83\n";

#[test]
fn replies_are_those_of_a_real_sentinel() {
    let mut bare = Bare::new(CONF);
    for (request, reply) in [
        ("PING", "PONG"),
        ("PING hello", "\"hello\""),
        ("PING a b", "(error) ERR wrong number of arguments for 'ping' command"),
        ("GET x", "(error) ERR unknown command 'GET', with args beginning with: 'x' "),
        ("QUIT", "(error) ERR unknown command 'QUIT', with args beginning with: "),
        ("MULTI", "(error) ERR unknown command 'MULTI', with args beginning with: "),
        ("RESET", "(error) ERR unknown command 'RESET', with args beginning with: "),
        ("CONFIG GET port", "(error) ERR unknown command 'CONFIG', with args beginning with: 'GET' 'port' "),
        ("SENTINEL", "(error) ERR wrong number of arguments for 'sentinel' command"),
        ("SENTINEL foo", "(error) ERR unknown subcommand 'foo'. Try SENTINEL HELP."),
        ("CLIENT foo", "(error) ERR unknown subcommand 'foo'. Try CLIENT HELP."),
        ("ACL foo", "(error) ERR unknown subcommand 'foo'. Try ACL HELP."),
        ("ACL WHOAMI", "\"default\""),
        ("ROLE", "[\"sentinel\", [\"mymaster\"]]"),
        ("COMMAND COUNT", "(integer) 15"),
        ("SENTINEL MYID", "\"bc33c9fa32e4256914b1ce1f4ed17a286fcd0e84\""),
        ("SENTINEL MASTERS x", "(error) ERR wrong number of arguments for 'sentinel|masters' command"),
        ("SENTINEL GET-MASTER-ADDR-BY-NAME nope", "(nil)"),
        ("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", "[\"127.0.0.1\", \"27890\"]"),
        ("SENTINEL MASTER nope", "(error) ERR No such master with that name"),
        ("SENTINEL FAILOVER mymaster", "(error) NOGOODSLAVE No suitable replica to promote"),
        ("SENTINEL SET mymaster foo 1", "(error) ERR Unknown option or number of arguments for SENTINEL SET 'foo'"),
        ("SENTINEL SET mymaster quorum 0", "(error) ERR Invalid argument '0' for SENTINEL SET 'quorum'"),
        (
            "SENTINEL SET mymaster down-after-milliseconds",
            "(error) ERR wrong number of arguments for 'sentinel|set' command",
        ),
        ("SENTINEL IS-MASTER-DOWN-BY-ADDR 1 2 x y", "(error) ERR value is not an integer or out of range"),
        ("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 27890 0 *", "[(integer) 0, \"*\", (integer) 0]"),
        ("SENTINEL MONITOR a b c d", "(error) ERR Invalid quorum"),
        ("SENTINEL MONITOR a b c 1", "(error) ERR Invalid port"),
        ("SENTINEL MONITOR a b 1 1", "(error) ERR Invalid IP address or hostname specified"),
        ("SENTINEL MONITOR mymaster 127.0.0.1 1 1", "(error) ERR Duplicate master name."),
        ("SENTINEL MONITOR a 127.0.0.1 1 0", "(error) ERR Quorum must be 1 or greater."),
        ("SENTINEL SIMULATE-FAILURE help", "[\"crash-after-election\", \"crash-after-promotion\"]"),
        ("SENTINEL SIMULATE-FAILURE x", "(error) ERR Unknown failure simulation specified"),
        ("SENTINEL PENDING-SCRIPTS", "[]"),
        ("SENTINEL RESET nope", "(integer) 0"),
        ("SENTINEL CKQUORUM mymaster", "OK 2 usable Sentinels. Quorum and failover authorization can be reached"),
        ("PUBLISH foo bar", "(error) ERR Only HELLO messages are accepted by Sentinel instances."),
        ("PUBLISH __sentinel__:hello bar", "(integer) 1"),
        ("SENTINEL CONFIG", "(error) ERR wrong number of arguments for 'sentinel|config' command"),
        (
            "SENTINEL CONFIG foo bar",
            "(error) ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.",
        ),
        (
            "SENTINEL CONFIG SET announce-port 99999",
            "(error) ERR Invalid value '99999' to SENTINEL CONFIG SET 'announce-port'",
        ),
        ("SENTINEL CONFIG SET nope 1", "(error) ERR Invalid argument 'nope' to SENTINEL CONFIG SET"),
        (
            "SENTINEL CONFIG GET announce-*",
            "[\"announce-hostnames\", \"no\", \"announce-ip\", \"\", \"announce-port\", \"0\"]",
        ),
        ("SENTINEL DEBUG foo 1", "(error) ERR Unknown option or number of arguments for SENTINEL DEBUG 'foo'"),
        ("SENTINEL DEBUG info-period 0", "(error) ERR Invalid argument '0' for SENTINEL DEBUG 'info-period'"),
        ("SENTINEL INFO-CACHE nope", "[]"),
        ("CLIENT GETNAME", "(nil)"),
        ("CLIENT SETNAME a", "OK"),
        ("CLIENT GETNAME", "\"a\""),
        ("CLIENT KILL 1.2.3.4:5", "(error) ERR No such client"),
        ("CLIENT NO-EVICT on", "OK"),
        ("SHUTDOWN foo", "(error) ERR syntax error"),
        ("AUTH", "(error) ERR wrong number of arguments for 'auth' command"),
        (
            "AUTH a",
            "(error) ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ),
        ("HELLO 4", "(error) NOPROTO unsupported protocol version"),
        ("SUBSCRIBE", "(error) ERR wrong number of arguments for 'subscribe' command"),
        ("INFO nosuch", "\"\""),
    ] {
        assert_eq!(bare.text(request), reply, "{request}");
    }
}

/// Names and order of the fields, as a real sentinel lists them.
#[test]
fn instances_are_described_with_all_fields() {
    let mut bare = Bare::new(CONF);
    let names = |value: &Value| -> Vec<String> {
        let items = value.items().expect("a flat map");
        items
            .iter()
            .step_by(2)
            .map(|name| String::from_utf8_lossy(name.text().unwrap_or_default()).into_owned())
            .collect()
    };
    let common = [
        "name",
        "ip",
        "port",
        "runid",
        "flags",
        "link-pending-commands",
        "link-refcount",
        "last-ping-sent",
        "last-ok-ping-reply",
        "last-ping-reply",
        "down-after-milliseconds",
    ];
    for (request, special) in [
        (
            "SENTINEL MASTERS",
            &[
                "info-refresh",
                "role-reported",
                "role-reported-time",
                "config-epoch",
                "num-slaves",
                "num-other-sentinels",
                "quorum",
                "failover-timeout",
                "parallel-syncs",
            ][..],
        ),
        (
            "SENTINEL REPLICAS mymaster",
            &[
                "info-refresh",
                "role-reported",
                "role-reported-time",
                "master-link-down-time",
                "master-link-status",
                "master-host",
                "master-port",
                "slave-priority",
                "slave-repl-offset",
                "replica-announced",
            ],
        ),
        ("SENTINEL SENTINELS mymaster", &["last-hello-message", "voted-leader", "voted-leader-epoch"]),
    ] {
        let reply = bare.ask(request);
        let instance = &reply.items().expect("a list")[0];
        assert_eq!(names(instance), [&common[..], special].concat(), "{request}");
    }
    let master = bare.ask("SENTINEL MASTER mymaster");
    assert_eq!(names(&master).len(), 20);
    let text = bare.text("SENTINEL MASTER mymaster");
    assert!(text.contains("\"flags\", \"master,disconnected\""), "{text}");
}

#[test]
fn resp3_has_maps_and_pushes() {
    let mut bare = Bare::new(CONF);
    let fd = bare.client;
    let hello = String::from_utf8(bare.raw(fd, "HELLO 3 SETNAME me")).expect("text");
    assert!(hello.starts_with("%6\r\n$6\r\nserver\r\n"), "{hello}");
    assert!(hello.contains("$4\r\nmode\r\n$8\r\nsentinel\r\n") && !hello.contains("role"), "{hello}");
    assert_eq!(bare.raw(fd, "SENTINEL GET-MASTER-ADDR-BY-NAME nope"), b"_\r\n");
    assert!(bare.raw(fd, "SENTINEL MASTER mymaster").starts_with(b"%20\r\n"));
    assert!(bare.raw(fd, "PSUBSCRIBE +*").starts_with(b">3\r\n"));
    let other = bare.open();
    bare.raw(other, "SENTINEL SET mymaster quorum 1");
    // The other connection's request had this one told.
    let told = String::from_utf8(bare.raw(fd, "PING")).expect("text");
    assert!(told.ends_with("+PONG\r\n"), "{told}");
}

#[test]
fn events_are_published_to_channels_and_patterns() {
    let mut bare = Bare::new(CONF);
    let (listener, operator) = (bare.client, bare.open());
    bare.raw(listener, "SUBSCRIBE +set");
    bare.raw(listener, "PSUBSCRIBE +s* -*");
    let denied = String::from_utf8(bare.raw(listener, "SENTINEL MASTERS")).expect("text");
    assert!(denied.starts_with("-ERR Can't execute 'sentinel|masters': only (P|S)SUBSCRIBE"), "{denied}");
    assert_eq!(bare.raw(listener, "PING"), b"*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    let words = ["SENTINEL", "SET", "mymaster", "auth-pass", "secret"];
    let mut request = bytes::BytesMut::new();
    encode::command(&mut request, &words.map(str::as_bytes));
    bare.give(Input::Bytes { fd: operator, data: request.freeze() });
    let told = String::from_utf8(bare.sent(listener)).expect("text");
    let payload = "master mymaster 127.0.0.1 27890 auth-pass ******";
    let message = format!("*3\r\n$7\r\nmessage\r\n$4\r\n+set\r\n${}\r\n{payload}\r\n", payload.len());
    let pmessage = format!("*4\r\n$8\r\npmessage\r\n$3\r\n+s*\r\n$4\r\n+set\r\n${}\r\n{payload}\r\n", payload.len());
    assert_eq!(told, message + &pmessage);
}

#[test]
fn passwords_guard_everything_but_auth() {
    let mut bare = Bare::new(&format!("requirepass sesame\n{CONF}"));
    for (request, reply) in [
        ("PING", "(error) NOAUTH Authentication required."),
        ("AUTH wrong", "(error) WRONGPASS invalid username-password pair or user is disabled."),
        ("AUTH nobody sesame", "(error) WRONGPASS invalid username-password pair or user is disabled."),
        ("AUTH sesame", "OK"),
        ("PING", "PONG"),
    ] {
        assert_eq!(bare.text(request), reply, "{request}");
    }
}

/// A vote is on disk before the reply that gives it, and is not given twice in an epoch.
#[test]
fn votes_are_saved_and_given_once() {
    let mut bare = Bare::new(CONF);
    let (one, two) = ("83eb925401116064972bf6604beb5c5b24644f83", "344753c54f6c1ea1e2f33e0282aed7f866a71ceb");
    let ask = |epoch: u64, who: &str| format!("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 27890 {epoch} {who}");
    for (epoch, who, leader, voted) in
        [(1, one, one, 1), (1, two, one, 1), (3, two, two, 3), (2, one, two, 3), (3, one, two, 3), (4, one, one, 4)]
    {
        let reply = bare.text(&ask(epoch, who));
        assert_eq!(reply, format!("[(integer) 0, \"{leader}\", (integer) {voted}]"), "{epoch} {who}");
        let file = String::from_utf8(bare.files["sentinel.conf"].to_vec()).expect("text");
        assert!(file.contains(&format!("sentinel leader-epoch mymaster {voted}\n")), "{file}");
        assert!(file.contains(&format!("sentinel current-epoch {voted}\n")), "{file}");
    }
}

/// What a real sentinel made of such a file at its start, but for the lines of its process.
#[test]
fn the_rewritten_file_is_that_of_a_real_sentinel() {
    let mut bare = Bare::new(
        "port 26379\nsentinel monitor mymaster 127.0.0.1 27890 2\n\
         sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 10000\n\
         dir /tmp\nsentinel parallel-syncs mymaster 1\n",
    );
    assert_eq!(bare.text("SENTINEL FLUSHCONFIG"), "OK");
    let id = bare.text("SENTINEL MYID");
    let id = id.trim_matches('"');
    let expected = format!(
        "port 26379\nsentinel monitor mymaster 127.0.0.1 27890 2\nsentinel down-after-milliseconds mymaster 1000\n\
         sentinel failover-timeout mymaster 10000\ndir /tmp\n\n# Generated by CONFIG REWRITE\nprotected-mode no\n\
         latency-tracking-info-percentiles 50 99 99.9\nuser default on nopass ~* &* +@all\nsentinel myid {id}\n\
         sentinel config-epoch mymaster 0\nsentinel leader-epoch mymaster 0\nsentinel current-epoch 0\n"
    );
    let file = String::from_utf8(bare.files["sentinel.conf"].to_vec()).expect("text");
    assert_eq!(file.trim_end(), expected.trim_end());
}

/// Reading a rewritten file gives the same settings, and writing them again the same file.
#[test]
fn files_read_back_as_they_were_written() {
    let text = format!(
        "{CONF}sentinel config-epoch mymaster 7\nsentinel auth-pass mymaster secret\nsentinel auth-user mymaster me\n\
         sentinel notification-script mymaster /bin/notify\nsentinel client-reconfig-script mymaster /bin/reconf\n\
         sentinel rename-command mymaster CONFIG guess\nsentinel announce-ip 10.1.1.1\nsentinel announce-port 7777\n\
         sentinel sentinel-user me\nsentinel sentinel-pass word\nsentinel deny-scripts-reconfig no\n\
         sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\nsentinel parallel-syncs mymaster 3\n\
         sentinel master-reboot-down-after-period mymaster 500\nsentinel monitor other 127.0.0.1 3 1\n"
    );
    let mut first = Bare::new(&text);
    assert_eq!(first.text("SENTINEL FLUSHCONFIG"), "OK");
    let written = first.files["sentinel.conf"].clone();
    let (mut read, warnings) = Config::from_text(&written).expect("valid");
    assert_eq!(warnings, []);
    // Which master is written first depends on the process's hash seed.
    read.masters.sort_by(|a, b| a.name.cmp(&b.name));
    let (original, _) = Config::from_directives(&conf::parse(text.as_bytes()).expect("valid")).expect("valid");
    assert_eq!((&read.masters, read.my_id, read.current_epoch), (&original.masters, original.my_id, 7));
    assert_eq!(
        (read.announce_ip, read.announce_port, read.sentinel_user, read.sentinel_pass),
        (original.announce_ip, original.announce_port, original.sentinel_user, original.sentinel_pass)
    );
    let mut again = Bare::new(std::str::from_utf8(&written).expect("text"));
    assert_eq!(again.text("SENTINEL FLUSHCONFIG"), "OK");
    let lines = |bytes: &Bytes| -> Vec<String> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(lines(&again.files["sentinel.conf"]), lines(&written));
}

#[test]
fn host_names_are_resolved_when_allowed() {
    let text = "sentinel resolve-hostnames yes\nsentinel monitor mymaster db1 6379 2\n";
    let mut bare = Bare::new(text);
    let ask = "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster";
    assert_eq!(bare.text(ask), "[\"10.0.0.7\", \"6379\"]");
    assert_eq!(bare.text("SENTINEL CONFIG SET announce-hostnames yes"), "OK");
    assert_eq!(bare.text(ask), "[\"db1\", \"6379\"]");
    assert_eq!(bare.text("SENTINEL MONITOR other nowhere 1 1"), "(error) ERR Invalid IP address or hostname specified");
    assert_eq!(bare.text("SENTINEL MONITOR other db1 1 1"), "OK");
    assert_eq!(bare.text("SENTINEL MASTERS").matches("\"db1\"").count(), 2);
    let file = String::from_utf8(bare.files["sentinel.conf"].to_vec()).expect("text");
    assert!(file.contains("sentinel monitor other db1 1 1\n"), "{file}");
}
