//! Replication between simulated servers: who gets what of the stream, after which kind of loss, byte for byte.

use splitbrain::fault::Fault;
use splitbrain::id::{MachineId, NodeId};
use splitbrain::rng::Seed;
use splitbrain::time::{Instant, Span};
use splitbrain::trace::event::{HistoryWhy, LinkState, RefusePsync, ServerEvent, SyncKind};

use crate::rig::Rig;

/// Machines of n*a* and n*b* can't reach each other.
fn cut(a: u16, b: u16) -> Fault {
    Fault::Partition { groups: vec![vec![MachineId(a - 1)], vec![MachineId(b - 1)]], flap: None }
}

const FAST: &str = "enable-debug-command = \"yes\"\nrepl-diskless-sync-delay = 0\nrepl-timeout = 6\nrepl-ping-replica-period = 1\nsave = \"\"";

#[test]
fn a_fresh_replica_gets_everything_and_then_the_stream() {
    for diskless in ["yes", "no"] {
        let mut rig = Rig::new(2, &format!("{FAST}\nrepl-diskless-sync = \"{diskless}\""));
        rig.set(1, "before", "1");
        rig.run_ms(50);
        rig.wait_synced(&[2]);
        rig.set(1, "after", "2");
        rig.run_ms(2_100);
        rig.same_values(1, 2, &["before", "after"]);
        assert_eq!(rig.offset(1), rig.offset(2), "{}", rig.log());
        assert_eq!(rig.syncs(2, Instant::ZERO), [SyncKind::Full]);
        assert_eq!(rig.text(2, "SET a b"), "(error) READONLY You can't write against a read only replica.");
        let granted = rig.said(1, Instant::ZERO).find(|event| matches!(event, ServerEvent::SyncGranted { .. }));
        assert!(
            matches!(granted, Some(ServerEvent::SyncGranted { refused: Some(RefusePsync::Fresh), .. })),
            "{granted:?}"
        );
    }
}

#[test]
fn the_diskless_delay_counts_whole_seconds_and_the_cron() {
    let mut rig = Rig::new(3, "repl-diskless-sync-delay = 5");
    rig.run_ms(4_900);
    assert!(!rig.is_synced(2));
    rig.run_ms(1_500);
    assert!(rig.is_synced(2) && rig.is_synced(3), "{}", rig.log());
    let began = rig.said(1, Instant::ZERO).filter(|event| matches!(event, ServerEvent::RdbBegan { .. })).count();
    assert_eq!(began, 1, "both replicas share one RDB");
}

#[test]
fn a_killed_connection_is_continued() {
    let mut rig = Rig::new(2, FAST);
    rig.wait_synced(&[2]);
    rig.set(1, "a", "1");
    rig.run_ms(1_200);
    let since = rig.world.now();
    assert_eq!(rig.text(1, "CLIENT KILL TYPE replica"), "(integer) 1");
    rig.set(1, "b", "2");
    rig.run_ms(100);
    rig.wait_synced(&[2]);
    assert_eq!(rig.syncs(2, since), [SyncKind::Partial], "{}", rig.log());
    rig.same_values(1, 2, &["a", "b"]);
}

#[test]
fn what_has_left_the_backlog_needs_a_full_resync() {
    for (bytes, kind) in [(8_000, SyncKind::Partial), (60_000, SyncKind::Full)] {
        let mut rig = Rig::new(2, &format!("{FAST}\nrepl-backlog-size = \"16kb\""));
        rig.wait_synced(&[2]);
        rig.write_bytes(1, 20_000);
        rig.run_ms(1_500);
        let since = rig.world.now();
        rig.fault(cut(1, 2), Some(Span::from_ms(10_300)));
        rig.run_ms(10);
        rig.write_bytes(1, bytes);
        rig.run_ms(13_000);
        rig.wait_synced(&[2]);
        assert_eq!(rig.syncs(2, since), [kind], "{bytes} bytes\n{}", rig.log());
        rig.run_ms(1_200);
        assert_eq!(rig.offset(1), rig.offset(2));
    }
}

#[test]
fn a_replica_killed_and_restarted_continues_from_the_file_of_its_full_sync() {
    let mut rig = Rig::new(2, FAST);
    rig.set(1, "a", "1");
    rig.wait_synced(&[2]);
    rig.set(1, "b", "2");
    rig.run_ms(1_200);
    let since = rig.world.now();
    rig.fault(Fault::Crash { nodes: vec![NodeId(1)] }, None);
    rig.run_ms(10);
    rig.set(1, "c", "3");
    rig.fault(Fault::Restart { nodes: vec![NodeId(1)] }, None);
    rig.run_ms(500);
    rig.wait_synced(&[2]);
    assert_eq!(rig.syncs(2, since), [SyncKind::Partial], "{}", rig.log());
    rig.same_values(1, 2, &["a", "b", "c"]);
    let history = rig
        .said(2, since)
        .find_map(|event| if let ServerEvent::History { why, .. } = event { Some(*why) } else { None });
    assert_eq!(history, Some(HistoryWhy::Rdb));
}

#[test]
fn a_restarted_master_without_a_file_empties_its_replicas() {
    let mut rig = Rig::new(2, FAST);
    rig.set(1, "a", "1");
    rig.wait_synced(&[2]);
    let since = rig.world.now();
    rig.fault(Fault::Crash { nodes: vec![NodeId(0)] }, None);
    rig.run_ms(10);
    rig.fault(Fault::Restart { nodes: vec![NodeId(0)] }, None);
    rig.run_ms(1_500);
    rig.wait_synced(&[2]);
    assert_eq!(rig.syncs(2, since), [SyncKind::Full], "{}", rig.log());
    assert_eq!(rig.text(2, "DBSIZE"), "(integer) 0");
}

/// REPLICAOF NO ONE on a replica; the others continue with it through its second id, the old master too if it has
/// nothing that the new one lacks.
#[test]
fn after_a_promotion_the_others_continue_by_the_second_id() {
    for diverges in [false, true] {
        let mut rig = Rig::new(3, FAST);
        rig.set(1, "a", "1");
        rig.wait_synced(&[2, 3]);
        rig.run_ms(1_200);
        if diverges {
            rig.fault(cut(1, 2), Some(Span::from_ms(3_000)));
            rig.run_ms(1_100);
        }
        let since = rig.world.now();
        assert_eq!(rig.text(2, "REPLICAOF NO ONE"), "OK");
        if diverges {
            rig.set(1, "only-here", "x");
        }
        let addr = rig.addr(2);
        let follow = format!("REPLICAOF {} {}", addr.ip, addr.port);
        // Its own PINGs alone would make the old master diverge after a while.
        rig.run_ms(if diverges { 4_000 } else { 5 });
        assert_eq!(rig.text(3, &follow), "OK");
        assert_eq!(rig.text(1, &follow), "OK");
        rig.wait_synced(&[1, 3]);
        let kind = if diverges { SyncKind::Full } else { SyncKind::Partial };
        assert_eq!((rig.syncs(1, since), rig.syncs(3, since)), (vec![kind], vec![kind]), "{}", rig.log());
        rig.set(2, "b", "2");
        rig.run_ms(1_200);
        rig.same_values(2, 1, &["a", "b", "only-here"]);
        rig.same_values(2, 3, &["a", "b", "only-here"]);
        assert_eq!(rig.offset(1), rig.offset(2));
    }
}

#[test]
fn a_sub_replica_gets_the_same_stream_and_continues_when_the_middle_is_promoted() {
    let text = format!(
        "name = \"rig\"\nduration = \"1h\"\n[defaults.redis]\n{FAST}\n[[redis]]\nname = \"n1\"\n\
         [[redis]]\nname = \"n2\"\nreplicaof = \"n1\"\n[[redis]]\nname = \"n3\"\nreplicaof = \"n2\"\n"
    );
    let mut rig = Rig::from_text(&text);
    rig.wait_synced(&[2]);
    rig.run_ms(1_200);
    rig.wait_synced(&[3]);
    assert_eq!(rig.text(1, "MULTI"), "OK");
    assert_eq!(rig.text(1, "SET a 1"), "QUEUED");
    assert_eq!(rig.text(1, "SET b 2"), "QUEUED");
    rig.text(1, "EXEC");
    rig.run_ms(1_200);
    rig.same_values(1, 3, &["a", "b"]);
    assert_eq!((rig.offset(1), rig.offset(1)), (rig.offset(2), rig.offset(3)));
    let since = rig.world.now();
    rig.text(2, "REPLICAOF NO ONE");
    rig.run_ms(300);
    rig.wait_synced(&[3]);
    assert_eq!(rig.syncs(3, since), [SyncKind::Partial], "{}", rig.log());
}

#[test]
fn wait_counts_acknowledgements_and_times_out_at_a_tick() {
    let mut rig = Rig::new(2, FAST);
    rig.wait_synced(&[2]);
    rig.set(1, "a", "1");
    assert_eq!(rig.text(1, "WAIT 1 0"), "(integer) 1");
    rig.set(1, "b", "1");
    let before = rig.world.now();
    assert_eq!(rig.text(1, "WAIT 2 30"), "(integer) 1");
    let took = rig.world.now().since(before).ms();
    assert!((30..=132).contains(&took), "{took} ms");
    rig.fault(Fault::Pause { nodes: vec![NodeId(1)] }, None);
    rig.run_ms(10);
    rig.set(1, "c", "1");
    assert_eq!(rig.text(1, "WAIT 1 50"), "(integer) 0");
}

#[test]
fn min_replicas_refuse_writes_once_the_lag_is_too_long() {
    let mut rig = Rig::new(2, &format!("{FAST}\nmin-replicas-to-write = 1\nmin-replicas-max-lag = 2"));
    assert!(rig.text(1, "SET a 1").starts_with("(error) NOREPLICAS"));
    rig.wait_synced(&[2]);
    rig.run_ms(1_100);
    rig.set(1, "a", "1");
    rig.fault(Fault::Pause { nodes: vec![NodeId(1)] }, None);
    let began = rig.world.now();
    while !rig.text(1, "SET a 1").starts_with("(error) NOREPLICAS") {
        rig.run_ms(10);
        assert!(rig.world.now().since(began).ms() < 5_000);
    }
    let took = rig.world.now().since(began).ms();
    // Whole seconds since the last ACK, which came up to a second before the pause, looked at once a second.
    assert!((1_000..=4_100).contains(&took), "{took} ms");
}

#[test]
fn failover_hands_the_role_over_without_a_full_resync() {
    let mut rig = Rig::new(3, FAST);
    rig.set(1, "a", "1");
    rig.wait_synced(&[2, 3]);
    rig.run_ms(1_200);
    let since = rig.world.now();
    let addr = rig.addr(2);
    assert_eq!(rig.text(1, &format!("FAILOVER TO {} {} TIMEOUT 3000", addr.ip, addr.port)), "OK");
    rig.run_ms(2_500);
    rig.wait_synced(&[1]);
    assert_eq!(rig.syncs(1, since), [SyncKind::Partial], "{}", rig.log());
    rig.set(2, "b", "2");
    rig.run_ms(1_200);
    rig.same_values(2, 1, &["a", "b"]);
    assert_eq!(rig.text(1, "FAILOVER ABORT"), "(error) ERR No failover in progress.");
}

#[test]
fn a_replica_too_slow_for_its_output_buffer_is_dropped() {
    let config = format!("{FAST}\nrepl-backlog-size = \"16kb\"\nclient-output-buffer-limit = \"replica 100kb 0 0\"");
    let mut rig = Rig::new(2, &config);
    rig.wait_synced(&[2]);
    let since = rig.world.now();
    rig.fault(Fault::Pause { nodes: vec![NodeId(1)] }, None);
    rig.run_ms(10);
    let value = "v".repeat(100_000);
    for _ in 0..80 {
        rig.set(1, "big", &value);
    }
    let gone = rig.said(1, since).any(|event| event.to_string().contains("gone (output buffer limit)"));
    assert!(gone, "{}", rig.log());
}

#[test]
fn the_link_goes_through_its_states_in_order() {
    let mut rig = Rig::new(2, FAST);
    rig.wait_synced(&[2]);
    let states: Vec<LinkState> = rig
        .said(2, Instant::ZERO)
        .filter_map(|event| if let ServerEvent::Link { state, .. } = event { Some(*state) } else { None })
        .collect();
    assert_eq!(
        states,
        [LinkState::Connecting, LinkState::Handshake, LinkState::Transfer, LinkState::Connected],
        "{}",
        rig.log()
    );
}

#[test]
fn two_replicas_share_a_save_to_disk_that_is_under_way() {
    let text = format!(
        "name = \"rig\"\nduration = \"1h\"\n[defaults.redis]\n{FAST}\nrepl-diskless-sync = \"no\"\n[[redis]]\nname = \"n1\"\n\
         [[redis]]\nnames = [\"n2\", \"n3\"]\n"
    );
    let mut rig = Rig::from_text(&text);
    rig.run_ms(10);
    for n in 0..2_000 {
        rig.set(1, &format!("key:{n}"), &"x".repeat(n % 97));
    }
    let addr = rig.addr(1);
    let follow = format!("REPLICAOF {} {}", addr.ip, addr.port);
    rig.text(2, &follow);
    rig.run(Span::from_us(1_500));
    rig.set(1, "between", "1");
    rig.text(3, &follow);
    rig.run_ms(1_500);
    rig.wait_synced(&[2, 3]);
    let began = rig.said(1, Instant::ZERO).filter(|event| matches!(event, ServerEvent::RdbBegan { .. })).count();
    assert_eq!(began, 1, "{}", rig.log());
    rig.same_values(1, 2, &["between", "key:77", "key:1999"]);
    rig.same_values(1, 3, &["between", "key:77", "key:1999"]);
    assert_eq!((rig.offset(1), rig.offset(1)), (rig.offset(2), rig.offset(3)));
}

#[test]
fn swapdb_serves_the_old_data_until_the_new_is_there() {
    let mut rig = Rig::new(2, &format!("{FAST}\nrepl-diskless-load = \"swapdb\"\nrepl-backlog-size = \"16kb\""));
    rig.set(1, "a", "old");
    rig.wait_synced(&[2]);
    rig.run_ms(1_200);
    rig.fault(cut(1, 2), Some(Span::from_ms(9_000)));
    rig.run_ms(10);
    rig.set(1, "a", "new");
    rig.write_bytes(1, 60_000);
    let since = rig.world.now();
    rig.run_ms(8_000);
    assert_eq!(rig.text(2, "GET a"), "\"old\"");
    rig.run_ms(6_000);
    rig.wait_synced(&[2]);
    assert_eq!(rig.syncs(2, since), [SyncKind::Full], "{}", rig.log());
    assert_eq!(rig.text(2, "GET a"), "\"new\"");
}

#[test]
fn a_large_file_is_loaded_while_clients_are_told_to_wait() {
    let mut rig = Rig::new(1, "save = \"\"\nrdbcompression = \"no\"");
    rig.run_ms(10);
    let value = "v".repeat(4_000);
    for n in 0..1_800 {
        rig.set(1, &format!("key:{n}"), &value);
    }
    assert_eq!(rig.text(1, "SAVE"), "OK");
    rig.fault(Fault::Crash { nodes: vec![NodeId(0)] }, None);
    rig.run_ms(1);
    rig.fault(Fault::Restart { nodes: vec![NodeId(0)] }, None);
    let mut answers = Vec::new();
    for _ in 0..100 {
        rig.run(Span::from_us(500));
        if let Some(answer) = rig.try_cmd(1, &["DBSIZE"]) {
            answers.push(answer.to_string());
        }
    }
    answers.dedup();
    assert_eq!(answers, ["(error) LOADING Redis is loading the dataset in memory", "(integer) 1800"], "{}", rig.log());
}

/// Whatever happened before, servers that can all reach each other and follow one master end with its data.
#[test]
fn any_history_converges() {
    for seed in 0..30 {
        let mut rng = Seed(seed).stream("test", "history");
        let diskless = if rng.below(2) == 0 { "yes" } else { "no" };
        let load = ["disabled", "on-empty-db", "swapdb"][usize::try_from(rng.below(3)).unwrap()];
        let mut rig = Rig::new(
            4,
            &format!(
                "{FAST}\nrepl-diskless-sync = \"{diskless}\"\nrepl-diskless-load = \"{load}\"\nrepl-backlog-size = \"16kb\""
            ),
        );
        for step in 0..40 {
            let n = 1 + usize::try_from(rng.below(4)).unwrap();
            let node = vec![NodeId(u16::try_from(n - 1).unwrap())];
            let other = 1 + usize::try_from(rng.below(4)).unwrap();
            match rng.below(12) {
                0 => rig.fault(Fault::Crash { nodes: node }, None),
                1 => rig.fault(Fault::Restart { nodes: node }, None),
                2 => {
                    let lasts = Span::from_ms(rng.range(10, 9_000));
                    rig.fault(Fault::Pause { nodes: node }, Some(lasts));
                }
                3 if other != n => {
                    let lasts = Span::from_ms(rng.range(10, 12_000));
                    rig.fault(cut(u16::try_from(n).unwrap(), u16::try_from(other).unwrap()), Some(lasts));
                }
                4 => drop(rig.try_cmd(n, &["REPLICAOF", "NO", "ONE"])),
                5 if other != n => {
                    let addr = rig.addr(other);
                    drop(rig.try_cmd(n, &["REPLICAOF", &addr.ip.to_string(), &addr.port.to_string()]));
                }
                6 => drop(rig.try_cmd(n, &["CLIENT", "KILL", "TYPE", "replica"])),
                7 => drop(rig.try_cmd(n, &["CLIENT", "KILL", "TYPE", "master"])),
                8 => drop(rig.try_cmd(n, &["FAILOVER", "TIMEOUT", "1500"])),
                9 => drop(rig.try_cmd(n, &["SET", &format!("big{step}"), &"y".repeat(30_000)])),
                _ => {
                    for i in 0..rng.below(200) {
                        drop(rig.try_cmd(n, &["SET", &format!("k{i}"), &format!("{seed} {step} {n}")]));
                    }
                }
            }
            rig.run_ms(rng.range(1, 900));
        }
        rig.run_ms(14_000);
        for n in 1..=4 {
            rig.fault(Fault::Restart { nodes: vec![NodeId(n - 1)] }, None);
        }
        rig.run_ms(100);
        rig.text(1, "FAILOVER ABORT");
        rig.text(1, "REPLICAOF NO ONE");
        let addr = rig.addr(1);
        for n in 2..=4 {
            rig.text(n, "FAILOVER ABORT");
            rig.text(n, &format!("REPLICAOF {} {}", addr.ip, addr.port));
        }
        rig.run_ms(3_000);
        rig.wait_synced(&[2, 3, 4]);
        rig.set(1, "last", "1");
        rig.run_ms(2_000);
        let digest = rig.text(1, "DEBUG DIGEST");
        assert_eq!(digest.len(), 40, "{digest}");
        for n in 2..=4 {
            assert_eq!(rig.offset(1), rig.offset(n), "seed {seed} n{n}\n{}", rig.log());
            assert_eq!(rig.text(n, "DEBUG DIGEST"), digest, "seed {seed} n{n}\n{}", rig.log());
        }
    }
}

#[test]
fn a_replica_that_holds_back_a_command_cannot_continue() {
    let mut rig = Rig::new(2, FAST);
    rig.wait_synced(&[2]);
    rig.set(1, "a", "1");
    rig.run_ms(1_200);
    let since = rig.world.now();
    assert_eq!(rig.text(2, "CLIENT PAUSE 3000 WRITE"), "OK");
    rig.set(1, "a", "2");
    rig.run_ms(300);
    assert_eq!(rig.text(1, "CLIENT KILL TYPE replica"), "(integer) 1");
    rig.run_ms(2_500);
    rig.wait_synced(&[2]);
    assert_eq!(rig.syncs(2, since), [SyncKind::Full], "{}", rig.log());
    rig.run_ms(2_000);
    rig.same_values(1, 2, &["a"]);
}

#[test]
fn a_replica_without_persistence_keeps_no_file_of_its_master() {
    for (more, kept) in [("", false), ("\nappendonly = \"yes\"", false), ("\nrdb-del-sync-files = \"no\"", true)] {
        let all = format!("{FAST}\nrepl-diskless-sync = \"no\"");
        let more = if kept { more.to_owned() } else { format!("\nrdb-del-sync-files = \"yes\"{more}") };
        let mut rig = Rig::new(2, &format!("{all}{more}"));
        rig.run_ms(100);
        rig.wait_synced(&[2]);
        rig.run_ms(100);
        let loaded = rig.text(2, "DEBUG RELOAD NOSAVE");
        assert_eq!(loaded == "OK", kept, "{loaded} {more}");
    }
}
