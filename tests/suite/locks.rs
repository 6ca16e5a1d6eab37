//! Locks: each checker with a legal history and the same with one value changed; clients and servers on the wire.

use std::path::Path;
use std::sync::Arc;

use splitbrain::check::{Judgement, Value, Verdict};
use splitbrain::id::NodeId;
use splitbrain::rng::Seed;
use splitbrain::run;
use splitbrain::scenario::Scenario;
use splitbrain::time::{Instant, Span};
use splitbrain::trace::Kind;
use splitbrain::trace::event::{LockEvent, LockLoss, LockStep, WorldEvent};

use super::checkers::{R1, Row, W1, W2, addr, judge, world};
use super::scenario_files::load;

/// A client's event.
fn said(ms: u64, node: NodeId, event: LockEvent) -> Row {
    (ms, Some(node), Kind::Lock(event))
}

fn wanted(ms: u64, node: NodeId, round: u32) -> Row {
    let ttl = Some(Span::from_secs(10));
    said(ms, node, LockEvent::Wanted { lock: "l".into(), round, token: format!("t{}", node.0).into(), ttl })
}

fn fence(ms: u64, node: NodeId, round: u32) -> Row {
    said(ms, node, LockEvent::Asked { round, step: LockStep::Fence, to: addr(R1) })
}

fn acquired(ms: u64, node: NodeId, round: u32, valid: u64, fencing: Option<u64>) -> Row {
    let event = LockEvent::Acquired {
        lock: "l".into(),
        round,
        token: format!("t{}", node.0).into(),
        granted: 1,
        valid: Some(Span::from_ms(valid)),
        minds: false,
        fencing,
    };
    said(ms, node, event)
}

fn released(ms: u64, node: NodeId, round: u32) -> Row {
    said(ms, node, LockEvent::Released { round })
}

/// A write at the resource, which is played by r1.
fn wrote(ms: u64, client: &str, round: u32) -> Row {
    said(ms, R1, LockEvent::Written { lock: "l".into(), client: client.into(), round, fencing: None })
}

/// One client after the other, each with a write.
fn legal() -> Vec<Row> {
    vec![
        wanted(1_000, W1, 1),
        wanted(1_100, W2, 1),
        fence(1_200, W1, 1),
        acquired(1_300, W1, 1, 9_000, Some(33)),
        wrote(1_500, "w-1", 1),
        released(2_000, W1, 1),
        fence(2_050, W2, 1),
        acquired(2_100, W2, 1, 9_000, Some(34)),
        wrote(2_200, "w-2", 1),
        released(2_500, W2, 1),
        world(5_000, None, WorldEvent::SettleBegan),
    ]
}

fn verdict<'a>(judgement: &'a Judgement, name: &str) -> &'a Verdict {
    &judgement.verdicts.iter().find(|(checker, _)| *checker == name).expect("it is registered").1
}

fn fails(judgement: &Judgement) -> Vec<&'static str> {
    let locks = ["mutual-exclusion", "protected-writes", "fencing", "lock-progress"];
    let failed = judgement.verdicts.iter().filter(|(name, verdict)| verdict.severity() > 0 && locks.contains(name));
    failed.map(|(name, _)| *name).collect()
}

#[test]
fn a_legal_history_passes_and_is_counted() {
    let judgement = judge(&legal());
    assert_eq!(fails(&judgement), [""; 0], "{:?}", judgement.verdicts);
    for (metric, value) in [
        ("lock.acquired", Value::Count(2)),
        ("lock.given-up", Value::Count(0)),
        ("lock.success-rate", Value::Number(1.0)),
        ("lock.violations", Value::Count(0)),
        ("lock.violated", Value::Bool(false)),
        ("lock.violation-time", Value::Number(0.0)),
        ("lock.overstayed", Value::Count(0)),
        ("lock.wait-max", Value::Number(1_000.0)),
        ("lock.fairness", Value::Number(1.0)),
        ("lock.stuck-max", Value::Number(300.0)),
        ("lock.overtaken-max", Value::Count(1)),
        ("lock.writes", Value::Count(2)),
        ("lock.writes-stale", Value::Count(0)),
        ("lock.deadlock", Value::Bool(false)),
    ] {
        assert_eq!(judgement.metrics[metric], value, "{metric}");
    }
    assert_eq!(judge(&[]).metrics["lock.acquired"], Value::Absent, "nobody locks");
}

#[test]
fn a_second_holder_is_found() {
    let mut rows = legal();
    rows[5] = released(2_150, W1, 1);
    let judgement = judge(&rows);
    assert_eq!(fails(&judgement), ["mutual-exclusion"]);
    assert_eq!(judgement.metrics["lock.violations"], Value::Count(1));
    assert_eq!(judgement.metrics["lock.violation-time"], Value::Number(50.0));
    let Verdict::Fail { why, witness } = verdict(&judgement, "mutual-exclusion") else { panic!("it fails") };
    assert!(why.contains("w-1 and w-2 both believed for 50ms from 2.100s"), "{why}");
    assert_eq!(witness.len(), 2);
}

/// Who looks at the clock first can do no harm while it is stopped; who doesn't still believes.
#[test]
fn a_stopped_client_believes_unless_it_minds() {
    for (mind, expected) in [(false, 1), (true, 0)] {
        let mut rows = legal();
        if let Kind::Lock(LockEvent::Acquired { minds, .. }) = &mut rows[3].2 {
            *minds = mind;
        }
        rows.insert(5, world(1_900, Some(W1), WorldEvent::Paused));
        rows.insert(9, world(2_400, Some(W1), WorldEvent::Resumed));
        rows[6] = said(2_400, W1, LockEvent::Lost { round: 1, why: LockLoss::Expired });
        rows.sort_by_key(|row| row.0);
        assert_eq!(judge(&rows).metrics["lock.violations"], Value::Count(expected), "minds: {mind}");
    }
}

/// What clients believe is a history of a lock, and is judged as one.
#[test]
fn beliefs_are_a_history() {
    let linear = |rows: &[Row]| judge(rows).metrics["linearizable"];
    assert_eq!(linear(&legal()), Value::Bool(true));
    assert_eq!(linear(&[]), Value::Absent);
    let mut rows = legal();
    rows[5] = released(2_150, W1, 1);
    let judgement = judge(&rows);
    assert_eq!(judgement.metrics["linearizable"], Value::Bool(false), "two at once");
    let Verdict::Fail { why, witness } = verdict(&judgement, "linearizable") else { panic!("it fails") };
    assert!(
        why.starts_with("what clients believed of l can't be explained by any order: \"acquire → token 34\" of w-2"),
        "{why}"
    );
    assert!(witness.len() >= 3, "{witness:?}");
    let found = judgement.findings.contradiction.expect("it is shown");
    assert!(found.least && found.operations.iter().filter(|shown| shown.counts).count() == 2, "{found:?}");
    let mut rows = legal();
    rows[7] = acquired(2_100, W2, 1, 9_000, Some(33));
    assert_eq!(linear(&rows), Value::Bool(false), "a token that does not grow");
    // Stopped from 1.9 s to 2.4 s: whoever looks at its clock then gave the lock back in its sleep.
    for (mind, lost, expected) in [(true, true, true), (false, true, false), (true, false, false)] {
        let mut rows = legal();
        if let Kind::Lock(LockEvent::Acquired { minds, .. }) = &mut rows[3].2 {
            *minds = mind;
        }
        rows[9] = released(2_300, W2, 1);
        rows[5] = world(1_900, Some(W1), WorldEvent::Paused);
        rows.push(world(2_400, Some(W1), WorldEvent::Resumed));
        rows.push(if lost {
            said(2_400, W1, LockEvent::Lost { round: 1, why: LockLoss::Expired })
        } else {
            released(2_600, W1, 1)
        });
        rows.sort_by_key(|row| row.0);
        let judgement = judge(&rows);
        assert_eq!(judgement.metrics["linearizable"], Value::Bool(expected), "minds {mind}, lost {lost}");
        let overlaps = u64::from(!mind);
        assert_eq!(judgement.metrics["lock.violations"], Value::Count(overlaps), "minds {mind}, lost {lost}");
    }
}

#[test]
fn beliefs_end_with_their_process() {
    let mut rows = legal();
    rows[5] = world(2_000, Some(W1), WorldEvent::Died { how: "crash".into() });
    assert_eq!(fails(&judge(&rows)), [""; 0]);
}

#[test]
fn a_stale_write_is_found_though_nobody_overlaps() {
    let mut rows = legal();
    rows[4] = wrote(2_300, "w-1", 1);
    rows.sort_by_key(|row| row.0);
    let judgement = judge(&rows);
    assert_eq!(fails(&judgement), ["protected-writes"]);
    assert_eq!(judgement.metrics["lock.writes-stale"], Value::Count(1));
    assert_eq!(judgement.findings.stale_writes[0].writer, W1);
}

#[test]
fn a_token_that_does_not_grow_is_found() {
    let mut rows = legal();
    rows[7] = acquired(2_100, W2, 1, 9_000, Some(33));
    assert_eq!(fails(&judge(&rows)), ["fencing"]);
    // A token that was asked for before the other was had may be any.
    rows[6] = fence(1_250, W2, 1);
    assert_eq!(fails(&judge(&rows)), [""; 0]);
}

#[test]
fn a_lock_kept_beyond_its_time_is_counted() {
    let mut rows = legal();
    rows[3] = acquired(1_300, W1, 1, 400, Some(33));
    let judgement = judge(&rows);
    assert_eq!(judgement.metrics["lock.overstayed"], Value::Count(1));
    assert_eq!(judgement.metrics["lock.overstay-max"], Value::Number(300.0));
}

#[test]
fn a_lock_that_nobody_has_and_nobody_gets_is_a_deadlock() {
    let rows = vec![
        wanted(1_000, W1, 1),
        wanted(1_100, W2, 1),
        world(1_200, Some(W1), WorldEvent::Died { how: "crash".into() }),
        world(22_000, None, WorldEvent::SettleBegan),
    ];
    let judgement = judge(&rows);
    assert_eq!(fails(&judgement), ["lock-progress"]);
    assert_eq!(judgement.metrics["lock.deadlock"], Value::Bool(true));
    assert_eq!(judgement.metrics["lock.stuck-max"], Value::Number(21_000.0));
    let mut shorter = rows;
    shorter[3] = world(20_000, None, WorldEvent::SettleBegan);
    assert_eq!(judge(&shorter).metrics["lock.deadlock"], Value::Bool(false), "twice the time to live may pass");
}

#[test]
fn whoever_is_passed_over_is_starved() {
    let mut rows = vec![wanted(1_000, W2, 1)];
    for round in 1..=10 {
        let ms = 1_000 + u64::from(round) * 100;
        rows.extend([wanted(ms, W1, round), acquired(ms + 10, W1, round, 9_000, None), released(ms + 90, W1, round)]);
    }
    rows.push(world(2_200, None, WorldEvent::SettleBegan));
    let judgement = judge(&rows);
    assert_eq!(fails(&judgement), ["lock-progress"]);
    assert_eq!(judgement.metrics["lock.starved"], Value::Count(1));
    assert_eq!(judgement.metrics["lock.fairness"], Value::Number(0.5));
    rows.truncate(28);
    rows.push(world(2_200, None, WorldEvent::SettleBegan));
    assert_eq!(fails(&judge(&rows)), [""; 0], "nine times is no starvation");
}

fn scenario(text: &str) -> Arc<Scenario> {
    Arc::new(load(Path::new("f.toml"), text, &[]).unwrap_or_else(|report| panic!("{report}")).scenario)
}

/// The steps of a client, a line each, without what differs from library to library.
fn steps(text: &str, client: &str) -> Vec<String> {
    let scenario = scenario(text);
    let node = scenario.node(client);
    let (_, events) = run::run_and_keep(&scenario, Seed(1));
    let of = events.iter().filter(|event| event.node == node);
    let lines = of.filter_map(|event| if let Kind::Lock(said) = &event.kind { Some(said.to_string()) } else { None });
    lines.map(|line| line.split(" token ").next().unwrap_or_default().to_owned()).collect()
}

/// The order of steps is the library's, whatever the clock says.
#[test]
fn a_round_has_the_steps_of_its_library() {
    let one = "duration = '4s'\n[[redis]]\nname = 'r1'\n[[client]]\nname = 'c'\nvia = 'redis:r1'\n";
    let unsafe_setnx = format!(
        "{one}workload = {{ kind = 'lock', algorithm = 'unsafe-setnx', ttl = '5s', rounds = 1, hold = '1s' }}\n"
    );
    assert_eq!(
        steps(&unsafe_setnx, "c"),
        [
            "lock wanted lock round 1 for 5s",
            "lock asked acquire 10.0.0.1:6379 round 1",
            "lock answered acquire 10.0.0.1:6379 yes round 1",
            "lock asked expire 10.0.0.1:6379 round 1",
            "lock answered expire 10.0.0.1:6379 yes round 1",
            "lock acquired lock round 1",
            "lock released round 1",
            "lock asked release 10.0.0.1:6379 round 1",
            "lock answered release 10.0.0.1:6379 yes round 1",
        ]
    );
    // One after the other, and what is down is passed over in no time.
    let red = "duration = '4s'\n[[redis]]\nnames = ['r1', 'r2', 'r3']\n[[client]]\nname = 'c'\nvia = 'servers:[r1, r2, r3]'\n\
        workload = { kind = 'lock', algorithm = 'redlock', rounds = 1, start = '1s', hold = '1s' }\n[[fault]]\nat = '500ms'\ncrash = 'r2'\n";
    let seen = steps(red, "c");
    assert_eq!(
        seen[..8],
        [
            "lock wanted lock round 1 for 10s",
            "lock asked acquire 10.0.0.1:6379 round 1",
            "lock answered acquire 10.0.0.1:6379 yes round 1",
            "lock asked acquire 10.0.0.2:6379 round 1",
            "lock answered acquire 10.0.0.2:6379 unreachable round 1",
            "lock asked acquire 10.0.0.3:6379 round 1",
            "lock answered acquire 10.0.0.3:6379 yes round 1",
            "lock acquired lock round 1",
        ]
    );
    assert_eq!(seen.iter().filter(|line| line.contains("asked release")).count(), 3, "released at all");
}

/// What a client asks the first server and hears from it, a word each.
fn talk(text: &str) -> String {
    let about = steps(text, "c").into_iter().filter(|line| line.contains("10.0.0.1:6379"));
    let word = |line: String| {
        let words: Vec<&str> = line.split(' ').collect();
        words[if words[1] == "asked" { 2 } else { 4 }].to_owned()
    };
    about.map(word).collect::<Vec<_>>().join(" ")
}

/// Scripts are called by their SHA1, and what happens at a server that doesn't know one is the library's way.
#[test]
fn servers_learn_scripts_as_libraries_teach_them() {
    let one = |algorithm: &str, faults: &str| {
        format!(
            "duration = '9s'\n[[redis]]\nname = 'r1'\n[[client]]\nname = 'c'\nvia = 'redis:r1'\nworkload = {{ kind = 'lock', \
             rounds = 2, start = '1s', hold = '300ms', think = '1s', algorithm = '{algorithm}' }}\n{faults}"
        )
    };
    let three = |algorithm: &str| {
        let three = three_servers(&format!("hold = '300ms', think = '1s', algorithm = '{algorithm}'"), "");
        three.replace("rounds = 1", "rounds = 2")
    };
    let second = "acquire yes release yes";
    let taught = "release noscript load yes release yes";
    assert_eq!(talk(&one("single", "")), format!("acquire yes {taught} {second}"), "redis-py");
    assert_eq!(talk(&three("redlock")), format!("acquire yes release yes {second}"), "redlock-rb sends the text");
    assert_eq!(talk(&three("redsync")), format!("acquire yes release noscript release yes {second}"));
    let node = format!("acquire noscript acquire yes release noscript release yes {second}");
    assert_eq!(talk(&three("node-redlock")), node);
    for redisson in ["redisson", "redisson-fair"] {
        let first = format!("acquire noscript load yes acquire yes {taught}");
        assert_eq!(talk(&one(redisson, "")), format!("{first} {second}"), "{redisson}");
    }
    // A server that begins anew has forgotten them.
    let restart = "[[fault]]\nat = '1700ms'\ncrash = 'r1'\nrestart-after = '100ms'\n";
    let again = format!("acquire yes {taught}");
    assert_eq!(talk(&one("single", restart)), format!("{again} {again}"));
}

/// A script that could not be loaded is loaded later: Redisson goes on where it was.
#[test]
fn redisson_loads_a_script_again() {
    let text = "duration = '30s'\n[[redis]]\nname = 'r1'\n[[client]]\nname = 'c'\nvia = 'redis:r1'\nworkload = { kind = 'lock', \
        rounds = 1, start = '1s', hold = '300ms', algorithm = 'redisson' }\n[[fault]]\nwhen = { event = 'lock-answered', node = 'c' }\n\
        for = '4s'\npartition = [['c'], ['r1']]\n";
    let seen = talk(text);
    assert!(seen.starts_with("acquire noscript load timeout load yes acquire yes"), "{seen}");
}

/// The trace says what a server holds for whom and when it lets go, by its own wall clock.
#[test]
fn servers_say_what_they_hold() {
    let text = "duration = '9s'\n[[redis]]\nname = 'r1'\n[[client]]\nname = 'c'\nvia = 'redis:r1'\n\
        workload = { kind = 'lock', algorithm = 'unsafe-del', ttl = '3s', hold = '8s', rounds = 1, start = '1s' }\n";
    let freed = |text: &str| {
        let (_, events) = run::run_and_keep(&scenario(text), Seed(1));
        let of = |name: &str| events.iter().find(|event| event.kind.name() == name).cloned();
        (of("key-held").expect("it is held"), of("key-freed").expect("it expires"))
    };
    let (held, gone) = freed(text);
    assert!(held.kind.to_string().ends_with("for 3s"), "{}", held.kind);
    let lived = gone.at.since(held.at).ms();
    assert!((2_990..=3_200).contains(&lived), "{lived}ms");
    let jump = format!("{text}[[fault]]\nat = '2s'\nclock = {{ machines = 'r1', jump = '+10s' }}\n");
    let (_, gone) = freed(&jump);
    assert!((2_000..=2_200).contains(&gone.at.ms()), "{}", gone.at.ms());
    assert!(gone.kind.to_string().ends_with("expired"));
}

/// The resource refuses what is older than what it has seen, also after it was killed.
#[test]
fn a_resource_remembers_tokens() {
    let text = "duration = '12s'\n[[redis]]\nname = 'r1'\n[[resource]]\nname = 'db'\nchecks-fencing = true\n\
        [[client]]\nname = 'c'\nvia = 'redis:r1'\nworkload = { kind = 'lock', algorithm = 'unsafe-del', fencing = true, resource = 'db', hold = '200ms', think = '300ms' }\n\
        [[fault]]\nat = '3s'\ncrash = 'db'\nrestart-after = '100ms'\n\
        [[fault]]\nat = '6s'\ncrash = 'r1'\nrestart-after = '100ms'\n";
    let (run, events) = run::run_and_keep(&scenario(text), Seed(1));
    let rejected: Vec<_> = events.iter().filter(|event| event.kind.name() == "resource-rejected").collect();
    assert!(rejected.len() >= 5, "the counter begins anew: {}", rejected.len());
    assert!(rejected.iter().all(|event| event.at.ms() > 6_000), "killing the resource makes it forget nothing");
    // The one that is equal is taken, and is a violation too.
    assert_eq!(run.metrics["lock.fencing-violations"], Value::Count(rejected.len() as u64 + 1));
}

#[test]
fn mistakes_in_lock_workloads_are_explained() {
    let base =
        "duration = '9s'\n[[redis]]\nnames = ['r1', 'r2', 'r3']\n[[resource]]\nname = 'db'\n[[client]]\nname = 'c'\n";
    for (client, message) in [
        ("via = 'redis:r1'\nworkload = { kind = 'lock' }", "lacks the field `algorithm`"),
        ("via = 'redis:r1'\nworkload = { kind = 'lock', algorithm = 'redlok' }", "did you mean \"redlock\"?"),
        ("via = 'servers:[r1, r2]'\nworkload = { kind = 'lock', algorithm = 'single' }", "locks at one server"),
        (
            "via = 'redis:r1'\nworkload = { kind = 'lock', algorithm = 'single', resource = 'dbx' }",
            "did you mean `db`?",
        ),
        (
            "via = 'redis:r1'\nworkload = { kind = 'lock', algorithm = 'single', depth = 2 }",
            "only Redisson's locks are reentrant",
        ),
        ("via = 'redis:r1'\nworkload = { kind = 'lock', algorithm = 'single', rate = '1/s' }", "unknown field `rate`"),
        ("via = 'redis:r1'\nworkload = { kind = 'lok', algorithm = 'single' }", "did you mean \"lock\"?"),
        (
            "via = 'redis:r1'\nworkload = { kind = 'lock', algorithm = 'unsafe-setnx', ttl = '10ms' }",
            "EXPIRE counts in seconds",
        ),
    ] {
        let report = load(Path::new("f.toml"), &format!("{base}{client}\n"), &[]).expect_err(client);
        assert!(report.contains(message), "{client}\n{report}");
    }
}

/// How many steps are of a kind.
fn count(steps: &[String], part: &str) -> usize {
    steps.iter().filter(|line| line.contains(part)).count()
}

fn three_servers(workload: &str, faults: &str) -> String {
    format!(
        "duration = '20s'\n[[redis]]\nnames = ['r1', 'r2', 'r3']\n[[client]]\nname = 'c'\nvia = 'servers:[r1, r2, r3]'\n\
         workload = {{ kind = 'lock', rounds = 1, start = '1s', {workload} }}\n{faults}"
    )
}

/// node-redlock gives back as often as it takes; what is over it does not extend.
#[test]
fn node_redlock_insists() {
    let late = three_servers("algorithm = 'node-redlock', ttl = '500ms', hold = '1s'", "");
    assert_eq!(
        count(&steps(&late, "c"), "asked release"),
        36,
        "nothing is there to be released: eleven tries at three, the first of which they know no script for"
    );
    let good = three_servers("algorithm = 'node-redlock', ttl = '5s', hold = '1s'", "");
    assert_eq!(count(&steps(&good, "c"), "asked release"), 6);
    let over = three_servers("algorithm = 'node-redlock', ttl = '500ms', hold = '2s', extend = '600ms'", "");
    let seen = steps(&over, "c");
    assert_eq!((count(&seen, "asked extend"), count(&seen, "lost round 1 its time is over")), (0, 1), "{seen:?}");
    // A majority is gone: eleven tries, then it says so.
    let gone = "[[fault]]\nat = '2s'\ncrash = ['r2', 'r3']\n";
    let gone = three_servers("algorithm = 'node-redlock', ttl = '8s', hold = '9s', extend = '2s'", gone);
    let seen = steps(&gone, "c");
    assert_eq!((count(&seen, "asked extend"), count(&seen, "lost round 1 not extended")), (34, 1), "{seen:?}");
}

/// redlock-rb sleeps after its last try too; redsync doesn't, and waits longer for what is not the locking itself.
#[test]
fn retries_end_as_in_their_libraries() {
    let down = "[[fault]]\nat = '500ms'\ncrash = ['r1', 'r2']\n";
    for (workload, tries, sleeps) in
        [("algorithm = 'redlock'", 3, true), ("algorithm = 'redsync', tries = 4", 4, false)]
    {
        let scenario = scenario(&three_servers(workload, down));
        let (_, events) = run::run_and_keep(&scenario, Seed(1));
        let of = |name: &str| -> Vec<Instant> {
            events.iter().filter(|event| event.kind.name() == name).map(|event| event.at).collect()
        };
        assert_eq!(of("lock-missed").len(), tries, "{workload}");
        let (last, end) = (*of("lock-answered").last().expect("asked"), of("lock-given-up")[0]);
        assert_eq!(end.since(last) > Span::ZERO, sleeps, "{workload}: {}", end.since(last));
    }
}

/// Redisson sends again what could not be sent, and nothing that may have been executed.
#[test]
fn redisson_resends_with_care() {
    let one = |faults: &str| {
        format!(
            "duration = '60s'\n[[redis]]\nname = 'r1'\n[[client]]\nname = 'c'\nvia = 'redis:r1'\nworkload = {{ kind = 'lock', \
             algorithm = 'redisson', rounds = 1, start = '1s', hold = '25s' }}\n{faults}"
        )
    };
    let seen = steps(&one("[[fault]]\nat = '500ms'\ncrash = 'r1'\n"), "c");
    assert_eq!((count(&seen, "asked acquire"), count(&seen, "given up")), (5, 1), "{seen:?}");
    let slow = one("[[fault]]\nat = '500ms'\nlink = { from = 'r1', to = 'c', both = false, latency = '5s' }\n");
    let seen = steps(&slow, "c");
    assert_eq!((count(&seen, "asked acquire"), count(&seen, "given up")), (1, 1), "{seen:?}");
    // A renewal is repeated: at 11 s and four times more, until the cut is over.
    let cut = one("[[fault]]\nat = '5s'\nfor = '12s'\npartition = [['c'], ['r1']]\n");
    let seen = steps(&cut, "c");
    assert!(count(&seen, "answered extend 10.0.0.1:6379 timeout") >= 2, "{seen:?}");
    assert!(count(&seen, "lock extended") >= 1, "{seen:?}");
}

/// A file of the library with some fields changed.
fn library(path: &str, sets: &[&str]) -> Arc<Scenario> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(path);
    let text = std::fs::read_to_string(&path).expect("readable");
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    Arc::new(load(&path, &text, &sets).unwrap_or_else(|report| panic!("{report}")).scenario)
}

fn seeds_with(scenario: &Arc<Scenario>, seeds: std::ops::Range<u64>, metric: &str, value: Value) -> usize {
    seeds.filter(|&seed| run::run(scenario, Seed(seed), &mut |_| {}).metrics[metric] == value).count()
}

/// Without faults RedLock never has two holders. docs/locks.md has the sweep over ten thousand seeds; this is a piece of it.
#[test]
fn undisturbed_redlock_has_one_holder() {
    let short = ["duration=1500ms", "settle=1ms", "client[0].count=4", "client[0].workload.hold=uniform(10ms, 200ms)"];
    let scenario = library("locks/redlock-quiet.toml", &short);
    for seed in 0..300 {
        let run = run::run(&scenario, Seed(seed), &mut |_| {});
        assert_eq!(run.metrics["lock.violations"], Value::Count(0), "seed {seed}");
        assert_eq!(run.metrics["lock.writes-stale"], Value::Count(0), "seed {seed}");
        assert!(matches!(run.metrics["lock.acquired"], Value::Count(3..)), "seed {seed}");
    }
}

/// The first seed whose run has that value.
fn first_with(scenario: &Arc<Scenario>, metric: &str, value: Value) -> Option<u64> {
    (0..20).find(|&seed| run::run(scenario, Seed(seed), &mut |_| {}).metrics[metric] == value)
}

/// Chaos finds what is wrong with the unsafe locks, and nothing with the safe one in their place. docs/locks.md says how many seeds that takes.
#[test]
fn chaos_tells_unsafe_locks_from_safe_ones() {
    for (file, metric, takes, cure) in [
        ("chaos-unsafe-del", "lock.violated", 1, "client[0].workload.algorithm=single"),
        ("chaos-unsafe-setnx", "lock.deadlock", 3, "client[0].workload.algorithm=single"),
        ("chaos-lock-everysec", "lock.violated", 2, "defaults.redis.appendfsync=always"),
        ("chaos-lock-lying-disk", "lock.violated", 1, "chaos.kinds.disk.weight=0"),
    ] {
        let file = format!("negative/{file}.toml");
        let found = first_with(&library(&file, &[]), metric, Value::Bool(true)).map(|seed| seed + 1);
        assert_eq!(found, Some(takes), "{file}: so many seeds");
        let safe = library(&file, &[cure]);
        assert_eq!(seeds_with(&safe, 0..6, metric, Value::Bool(true)), 0, "{file}: the safe lock is no better");
    }
}
