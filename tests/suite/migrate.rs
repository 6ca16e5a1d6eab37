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
