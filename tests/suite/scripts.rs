//! Scripts and functions between servers: effects in the stream, libraries in snapshots, a replica with a busy script.

use crate::rig::Rig;

const FAST: &str = "enable-debug-command = \"yes\"\nrepl-diskless-sync-delay = 0\nrepl-timeout = 60\nsave = \"\"";

const LIBRARY: &str = "#!lua name=counters\n\
    redis.register_function('bump', function(keys) return redis.call('incr', keys[1]) end)\n\
    redis.register_function{function_name = 'look', flags = {'no-writes'}, callback = function(keys)\n\
        return redis.call('get', keys[1]) end}";

fn load(rig: &mut Rig, code: &str) {
    rig.cmd(1, &["FUNCTION", "LOAD", code]);
}

#[test]
fn libraries_and_effects_reach_replicas() {
    for diskless in ["yes", "no"] {
        let mut rig = Rig::new(2, &format!("{FAST}\nrepl-diskless-sync = \"{diskless}\""));
        load(&mut rig, LIBRARY);
        assert_eq!(rig.text(1, "FCALL bump 1 n"), "(integer) 1");
        rig.wait_synced(&[2]);
        assert_eq!(rig.text(2, "FCALL_RO look 1 n"), "\"1\"", "the snapshot had library and key");
        rig.text(1, "FCALL bump 1 n");
        rig.cmd(1, &["EVAL", "redis.call('set', KEYS[1], ARGV[1]) return redis.call('incr', 'n')", "1", "k", "v"]);
        load(
            &mut rig,
            "#!lua name=late\nredis.register_function{function_name = 'five', flags = {'no-writes'}, callback = function() return 5 end}",
        );
        rig.run_ms(1_200);
        assert_eq!(rig.text(2, "FCALL look 1 n"), "\"3\"");
        assert_eq!(rig.text(2, "GET k"), "\"v\"");
        assert_eq!(rig.text(2, "FCALL_RO five 0"), "(integer) 5");
        assert_eq!(rig.text(2, "FCALL bump 1 n"), "(error) READONLY You can't write against a read only replica.");
        assert_eq!(rig.offset(1), rig.offset(2), "{}", rig.log());
        rig.text(1, "FUNCTION DELETE late");
        rig.run_ms(1_200);
        assert_eq!(rig.text(2, "FCALL_RO five 0"), "(error) ERR Function not found");
    }
}

/// A replica whose script takes long lets the stream wait, and has it all afterwards.
#[test]
fn a_busy_replica_catches_up() {
    let mut rig = Rig::new(2, &format!("{FAST}\nbusy-reply-threshold = 100"));
    rig.wait_synced(&[2]);
    rig.set(1, "a", "1");
    rig.run_ms(1_200);
    rig.try_cmd_on(2, 'b', &["EVAL", "while true do end", "0"]);
    rig.set(1, "b", "2");
    rig.run_ms(2_000);
    let busy = "(error) BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
    assert_eq!(rig.text(2, "GET a"), busy);
    assert_eq!(rig.text(2, "SCRIPT KILL"), "OK");
    rig.run_ms(1_500);
    rig.same_values(1, 2, &["a", "b"]);
    assert_eq!(rig.offset(1), rig.offset(2), "{}", rig.log());
}
