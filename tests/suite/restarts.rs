//! DEBUG RESTART and DEBUG CRASH-AND-RECOVER: the process executes its own program anew.

use splitbrain::fault::{DiskEffect, Fault};
use splitbrain::id::{MachineId, NodeId};
use splitbrain::time::Span;

use crate::rig::Rig;

/// n1 with its replica n2.
fn deployment() -> Rig {
    let mut rig = Rig::new(2, "enable-debug-command = \"yes\"\nrepl-diskless-sync-delay = 0\nsave = \"3600 1\"");
    rig.run_ms(50);
    rig.wait_synced(&[2]);
    rig
}

/// Nobody is answered: the connection is gone.
fn ends(rig: &mut Rig, line: &str) {
    rig.send(1, 'a', format!("{line}\r\n").into());
    rig.run_ms(20);
    assert!(!rig.is_connected(1, 'a'), "{line} is not answered");
}

#[test]
fn restarting_keeps_data_and_settings() {
    let mut rig = deployment();
    rig.set(1, "k", "v");
    rig.text(1, "CONFIG SET maxmemory 123mb");
    let run_id = rig.text(1, "INFO server");
    ends(&mut rig, "DEBUG RESTART");
    assert_eq!(rig.text(1, "GET k"), "\"v\"");
    assert_eq!(rig.text(1, "CONFIG GET maxmemory"), "[\"maxmemory\", \"128974848\"]");
    assert_ne!(rig.text(1, "INFO server"), run_id);
    // Within a transaction, what came before it is saved, and what comes behind it isn't executed.
    rig.text(1, "MULTI");
    rig.text(1, "SET q 1");
    rig.text(1, "DEBUG RESTART 0");
    rig.text(1, "SET q 2");
    ends(&mut rig, "EXEC");
    assert_eq!(rig.text(1, "GET q"), "\"1\"");
    rig.run_ms(2_000);
    rig.wait_synced(&[2]);
    rig.same_values(1, 2, &["k"]);
    // As with a real server: it was saved, but the stream never had it, and the replica goes on with the stream.
    assert_eq!(rig.text(2, "GET q"), "(nil)");
}

#[test]
fn crashing_loses_what_is_not_in_the_files() {
    let mut rig = deployment();
    rig.set(1, "k", "v");
    rig.text(1, "SAVE");
    rig.set(1, "k", "lost");
    rig.text(1, "CONFIG SET maxmemory 123mb");
    ends(&mut rig, "DEBUG CRASH-AND-RECOVER 500");
    assert_eq!(rig.try_cmd(1, &["GET", "k"]), None, "it sleeps");
    rig.run_ms(500);
    assert_eq!(rig.text(1, "GET k"), "\"v\"");
    assert_eq!(rig.text(1, "CONFIG GET maxmemory"), "[\"maxmemory\", \"0\"]");
    rig.run_ms(2_000);
    rig.wait_synced(&[2]);
    rig.same_values(1, 2, &["k"]);
}

#[test]
fn what_is_killed_while_it_sleeps_does_not_return() {
    let mut rig = deployment();
    ends(&mut rig, "DEBUG RESTART 500");
    rig.fault(Fault::Crash { nodes: vec![NodeId(0)] }, None);
    rig.run_ms(1_000);
    assert_eq!(rig.try_cmd(1, &["PING"]), None);
    rig.fault(Fault::Restart { nodes: vec![NodeId(0)] }, None);
    rig.run_ms(50);
    assert_eq!(rig.text(1, "PING"), "PONG");
    ends(&mut rig, "DEBUG RESTART 500");
    rig.fault(Fault::Restart { nodes: vec![NodeId(0)] }, None);
    rig.run_ms(50);
    rig.set(1, "k", "v");
    rig.run_ms(1_000);
    assert_eq!(rig.text(1, "GET k"), "\"v\"", "started by another, it is not started again");
}

#[test]
fn it_goes_on_if_it_can_not_end_properly() {
    let mut rig = deployment();
    let failed = "(error) ERR failed to restart the server. Check server logs.";
    let not_a_number = "(error) ERR value is not an integer or out of range";
    assert_eq!(rig.text(1, "DEBUG RESTART x"), not_a_number);
    assert_eq!(rig.text(1, "DEBUG CRASH-AND-RECOVER 1x"), not_a_number);
    rig.set(1, "k", "v");
    let effect = DiskEffect { room: Some(0), ..DiskEffect::default() };
    rig.fault(Fault::Disk { machines: vec![MachineId(0)], effect }, Some(Span::from_secs(10)));
    rig.run_ms(10);
    assert_eq!(rig.text(1, "DEBUG RESTART"), failed);
    assert_eq!(rig.text(1, "GET k"), "\"v\"");
    rig.run_ms(10_000);
    ends(&mut rig, "DEBUG RESTART -5");
    assert_eq!(rig.text(1, "GET k"), "\"v\"");
}
