//! MIGRATE between simulated servers: what moves, what is answered, and that everything waits meanwhile.

use splitbrain::fault::Fault;
use splitbrain::id::MachineId;
use splitbrain::time::Span;

use crate::rig::Rig;

/// n1 with its replica n2, and n3 on its own.
fn deployment() -> Rig {
    let mut text = "name = \"rig\"\nduration = \"1h\"\n[network]\nlatency = \"0.05ms\"\n".to_owned();
    for (name, more) in [("n1", ""), ("n2", "replicaof = \"n1\"\n"), ("n3", "")] {
        text.push_str(&format!("[[redis]]\nname = \"{name}\"\n{more}config = {{ save = \"\" }}\n"));
    }
    let mut rig = Rig::from_text(&text);
    rig.run_ms(50);
    rig.wait_synced(&[2]);
    rig
}

fn migrate(rig: &mut Rig, rest: &str) -> String {
    let to = rig.addr(3);
    let line = format!("MIGRATE {} {} {rest}", to.ip, to.port);
    let parts: Vec<&str> = line.split(' ').map(|word| if word == "\"\"" { "" } else { word }).collect();
    rig.try_cmd(1, &parts).map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

#[test]
fn keys_move() {
    let mut rig = deployment();
    for key in ["a", "b", "c", "d"] {
        rig.set(1, key, key);
    }
    rig.text(1, "RPUSH l 1 2 3");
    rig.text(1, "EXPIRE b 100");
    assert_eq!(migrate(&mut rig, "nosuch 0 1000"), "NOKEY");
    assert_eq!(migrate(&mut rig, "a 0 1000"), "OK");
    assert_eq!(migrate(&mut rig, "\"\" 0 1000 KEYS b l nosuch"), "OK");
    assert_eq!(migrate(&mut rig, "c 0 1000 COPY"), "OK");
    assert_eq!((rig.text(1, "DBSIZE"), rig.text(3, "DBSIZE")), ("(integer) 2".into(), "(integer) 4".into()));
    assert_eq!(rig.text(3, "LRANGE l 0 -1"), "[\"1\", \"2\", \"3\"]");
    assert_eq!(rig.text(3, "TTL b"), "(integer) 100");
    assert_eq!(
        migrate(&mut rig, "c 0 1000"),
        "(error) ERR Target instance replied with error: BUSYKEY Target key name already exists."
    );
    assert_eq!(migrate(&mut rig, "c 0 1000 REPLACE"), "OK");
    assert_eq!(
        migrate(&mut rig, "d 99 1000"),
        "(error) ERR Target instance replied with error: ERR DB index is out of range"
    );
    assert_eq!(migrate(&mut rig, "d 5 1000"), "OK");
    assert_eq!(rig.text(3, "INFO keyspace").matches("db5:keys=1").count(), 1);
    rig.run_ms(50);
    assert_eq!(rig.text(2, "DBSIZE"), "(integer) 0", "replicas delete what has moved");
    assert!(rig.text(1, "INFO stats").contains("migrate_cached_sockets:1"));
    rig.run_ms(12_500);
    assert!(rig.text(1, "INFO stats").contains("migrate_cached_sockets:0"));
}

#[test]
fn a_login_is_needed_or_not() {
    let mut rig = deployment();
    rig.set(1, "a", "1");
    rig.text(3, "ACL SETUSER mover on >pw ~a +select +restore");
    rig.text(3, "CONFIG SET requirepass secret");
    let refused = "(error) ERR Target instance replied with error: NOAUTH Authentication required.";
    assert_eq!(migrate(&mut rig, "a 0 1000"), refused);
    let refused = "(error) ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is \
                   disabled.";
    assert_eq!(migrate(&mut rig, "a 0 1000 AUTH wrong"), refused);
    assert_eq!(rig.text(1, "EXISTS a"), "(integer) 1");
    assert_eq!(migrate(&mut rig, "a 0 1000 AUTH2 mover pw"), "OK");
    assert_eq!(rig.text(1, "EXISTS a"), "(integer) 0");
}

#[test]
fn everything_waits_for_a_target_that_is_silent() {
    let mut rig = deployment();
    rig.set(1, "a", "1");
    assert_eq!(migrate(&mut rig, "a 0 1000 COPY"), "OK");
    rig.fault(
        Fault::Partition { groups: vec![vec![MachineId(0)], vec![MachineId(2)]], flap: None },
        Some(Span::from_secs(60)),
    );
    rig.run_ms(1);
    let began = rig.world.now();
    let to = rig.addr(3);
    rig.send(1, 'b', format!("MIGRATE {} {} a 0 500\r\n", to.ip, to.port).into());
    rig.run_ms(10);
    rig.send(1, 'c', "SET late 1\r\n".into());
    assert_eq!(rig.text(1, "GET a"), "\"1\"");
    let waited = rig.world.now().since(began);
    assert!(waited >= Span::from_ms(500) && waited < Span::from_ms(520), "{waited:?}");
    assert_eq!(rig.text(1, "GET late"), "\"1\"", "what came meanwhile was executed");
    assert_eq!(migrate(&mut rig, "a 0 100"), "(error) IOERR error or timeout connecting to the client");
    assert_eq!(rig.text(1, "EXISTS a"), "(integer) 1");
}

/// What n1 is asked for by one client, `HOST PORT` standing for n3.
fn ask(rig: &mut Rig, line: &[&str]) -> String {
    let to = rig.addr(3);
    let (host, port) = (to.ip.to_string(), to.port.to_string());
    let parts: Vec<&str> = line
        .iter()
        .flat_map(|word| word.split(if line.len() == 1 { ' ' } else { '\0' }))
        .map(|word| match word {
            "HOST" => host.as_str(),
            "PORT" => port.as_str(),
            other => other,
        })
        .collect();
    rig.try_cmd(1, &parts).map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

/// How many bytes of the replication stream these commands are.
fn bytes_of(commands: &[&str]) -> i64 {
    let word = |word: &str| 5 + word.len().to_string().len() + word.len();
    let command = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        3 + words.len().to_string().len() + words.iter().map(|text| word(text)).sum::<usize>()
    };
    i64::try_from(commands.iter().map(command).sum::<usize>()).expect("few")
}

/// Replies and stream are those of a real server.
#[test]
fn transactions_wait_for_it() {
    let mut rig = deployment();
    for key in ["a", "b", "c"] {
        rig.set(1, key, key);
    }
    ask(&mut rig, &["PING"]);
    let before = rig.offset(1);
    for line in
        ["MULTI", "SET x 1", "MIGRATE HOST PORT a 0 1000", "SET y 1", "EXISTS a", "MIGRATE HOST PORT nosuch 0 9"]
    {
        ask(&mut rig, &[line]);
    }
    assert_eq!(ask(&mut rig, &["EXEC"]), "[OK, OK, OK, (integer) 0, NOKEY]");
    assert_eq!(rig.offset(1) - before, bytes_of(&["MULTI", "SET x 1", "DEL a", "SET y 1", "EXEC"]));
    let before = rig.offset(1);
    for line in [
        "MULTI",
        "MIGRATE HOST PORT b 0 1000",
        "MIGRATE HOST PORT c 5 1000 COPY",
        "MIGRATE HOST PORT c 0 1000",
        "GET c",
    ] {
        ask(&mut rig, &[line]);
    }
    assert_eq!(ask(&mut rig, &["EXEC"]), "[OK, OK, OK, (nil)]");
    assert_eq!(rig.offset(1) - before, bytes_of(&["MULTI", "DEL b", "DEL c", "EXEC"]));
    rig.set(1, "a", "9");
    rig.text(1, "MULTI");
    for line in ["MIGRATE HOST PORT a 0 1000", "MIGRATE HOST 1 y 0 1000", "MIGRATE nosuch. 1 y 0 1000", "SET z 1"] {
        ask(&mut rig, &[line]);
    }
    assert_eq!(
        ask(&mut rig, &["EXEC"]),
        "[(error) ERR Target instance replied with error: BUSYKEY Target key name already exists., (error) IOERR error or \
         timeout writing to target instance, (error) IOERR error or timeout connecting to the client, OK]"
    );
    rig.run_ms(50);
    rig.same_values(1, 2, &["a", "b", "c", "x", "y", "z"]);
}

/// A script goes on behind its MIGRATE with what it knew before; what it has called is not called again.
#[test]
fn scripts_wait_for_it() {
    let mut rig = deployment();
    rig.set(1, "a", "1");
    let script = "redis.call('incr', 'n') local r = redis.pcall('migrate', ARGV[1], ARGV[2], KEYS[1], '0', '1000') \
                  return {r.ok or r.err, redis.call('incr', 'n'), redis.call('exists', KEYS[1])}";
    let before = rig.offset(1);
    assert_eq!(ask(&mut rig, &["EVAL", script, "1", "a", "HOST", "PORT"]), "[\"OK\", (integer) 2, (integer) 0]");
    assert_eq!(rig.offset(1) - before, bytes_of(&["MULTI", "incr n", "DEL a", "incr n", "EXEC"]));
    rig.set(1, "a", "2");
    let refused = "[\"ERR Target instance replied with error: BUSYKEY Target key name already exists.\", (integer) 4, \
                   (integer) 1]";
    assert_eq!(ask(&mut rig, &["EVAL", script, "1", "a", "HOST", "PORT"]), refused);
    let raised = "return redis.call('migrate', ARGV[1], ARGV[2], KEYS[1], '0', '1000')";
    let error = ask(&mut rig, &["EVAL", raised, "1", "a", "HOST", "PORT"]);
    assert!(error.ends_with(", on @user_script:1.") && error.contains("BUSYKEY"), "{error}");
    let library = "#!lua name=lib\nlocal n = 0\nredis.register_function('f', function(k, a) n = n + 1 \
                   local r = redis.call('migrate', a[1], a[2], k[1], '0', '1000', 'REPLACE') n = n + 10 return {r, n} end)";
    ask(&mut rig, &["FUNCTION", "LOAD", library]);
    assert_eq!(ask(&mut rig, &["FCALL", "f", "1", "a", "HOST", "PORT"]), "[OK, (integer) 11]");
    assert_eq!(ask(&mut rig, &["FCALL", "f", "1", "a", "HOST", "PORT"]), "[NOKEY, (integer) 22]");
    let before = rig.offset(1);
    rig.text(1, "MULTI");
    ask(&mut rig, &["SET a 3"]);
    ask(&mut rig, &["EVAL", script, "1", "a", "HOST", "PORT"]);
    ask(&mut rig, &["INCR n"]);
    assert_eq!(
        ask(&mut rig, &["EXEC"]),
        refused.replacen('[', "[OK, [", 1).replace("(integer) 4", "(integer) 6") + ", (integer) 7]"
    );
    assert_eq!(rig.offset(1) - before, bytes_of(&["MULTI", "SET a 3", "incr n", "incr n", "INCR n", "EXEC"]));
    rig.run_ms(50);
    rig.same_values(1, 2, &["a", "n"]);
}

/// Nobody gets in between, and a copy of the world that was made in the midst goes on the same way.
#[test]
fn everything_waits_in_the_midst_of_a_transaction() {
    let mut rig = deployment();
    rig.set(1, "a", "1");
    let to = rig.addr(3);
    let script = "redis.call('set', 'n', 1) redis.call('migrate', ARGV[1], ARGV[2], 'a', '0', '3000') return redis.call('incr', 'n')";
    let eval = format!("EVAL \"{script}\" 0 {} {}\r\n", to.ip, to.port);
    rig.fault(
        Fault::Partition { groups: vec![vec![MachineId(0)], vec![MachineId(2)]], flap: None },
        Some(Span::from_ms(600)),
    );
    rig.run_ms(1);
    rig.send(1, 'b', format!("MULTI\r\nSET x 1\r\n{eval}SET y 1\r\nEXEC\r\n").into());
    rig.run_ms(10);
    rig.send(1, 'c', "SET n 100\r\n".into());
    let mut other = rig.world.clone();
    let (from, mut events) = (rig.events.len(), Vec::new());
    rig.run_ms(2_000);
    other.advance(rig.world.now());
    other.drain(&mut events);
    assert_eq!(format!("{events:?}"), format!("{:?}", &rig.events[from..]));
    assert_eq!(rig.text(1, "GET n"), "\"100\"");
    assert_eq!(rig.text(1, "EXISTS x y"), "(integer) 2");
    assert_eq!(rig.text(3, "GET a"), "\"1\"", "after the cut, the connection was made");
}
