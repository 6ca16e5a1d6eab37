//! Each checker with a legal history and the same history with one value changed, which must fail.

use std::sync::Arc;

use splitbrain::check::findings::DestroyedHow;
use splitbrain::check::{Checker, Findings, Judgement, Suite, Value, Values, Verdict, context::Context};
use splitbrain::fault::FaultKind;
use splitbrain::id::{Addr, EventId, HexId, Ip, MachineId, NodeId};
use splitbrain::time::{Instant, Span};
use splitbrain::trace::event::{
    ClientEvent, Detail, HistoryWhy, Instance, InstanceKind, LinkDownWhy, LinkState, NodeRole, OpKind, Refusal,
    RefusePsync, SentinelEvent, SentinelEventName as Name, ServerEvent, SyncKind, Unanswered, WorldEvent,
};
use splitbrain::trace::{Event, Kind, Via, json};

pub(crate) const R1: NodeId = NodeId(0);
pub(crate) const R2: NodeId = NodeId(1);
pub(crate) const R3: NodeId = NodeId(2);
pub(crate) const S1: NodeId = NodeId(3);
pub(crate) const S2: NodeId = NodeId(4);
pub(crate) const S3: NodeId = NodeId(5);
pub(crate) const W1: NodeId = NodeId(6);
pub(crate) const W2: NodeId = NodeId(7);
const NAMES: [&str; 8] = ["r1", "r2", "r3", "s1", "s2", "s3", "w-1", "w-2"];

/// A row of a history: milliseconds, who, what.
pub(crate) type Row = (u64, Option<NodeId>, Kind);

pub(crate) fn addr(node: NodeId) -> Addr {
    let host = u8::try_from(node.0 + 1).expect("few nodes");
    Addr::new(Ip::new(10, 0, 1, host), 6379)
}

pub(crate) fn id(byte: u8) -> HexId {
    HexId([byte; 20])
}

pub(crate) fn instance(kind: InstanceKind, node: NodeId) -> Option<Box<Instance>> {
    let name = if kind == InstanceKind::Master { "mymaster".to_owned() } else { addr(node).to_string() };
    Some(Box::new(Instance {
        kind,
        name: name.into(),
        addr: addr(node),
        master: "mymaster".into(),
        master_addr: addr(R1),
    }))
}

pub(crate) fn server(ms: u64, node: NodeId, said: ServerEvent) -> Row {
    (ms, Some(node), Kind::Server(said))
}

pub(crate) fn history(
    ms: u64,
    node: NodeId,
    replid: u8,
    offset: u64,
    parent: Option<(u8, u64)>,
    why: HistoryWhy,
) -> Row {
    let parent = parent.map(|(byte, at)| (id(byte), at));
    server(ms, node, ServerEvent::History { replid: id(replid), offset, parent, why, keys: 1 })
}

pub(crate) fn wrote(ms: u64, node: NodeId, value: u64, offset: u64) -> Row {
    server(ms, node, ServerEvent::Write { op: value, offset })
}

pub(crate) fn last(ms: u64, node: NodeId, master: bool, replid: u8, offset: u64, dataset: u64) -> Row {
    let (sync_full, sync_partial_ok, sync_partial_err) = (0, 0, 0);
    let said = ServerEvent::Final {
        master,
        link_up: !master,
        replid: id(replid),
        offset,
        keys: 1,
        dataset,
        sync_full,
        sync_partial_ok,
        sync_partial_err,
    };
    server(ms, node, said)
}

pub(crate) fn client(ms: u64, node: NodeId, said: ClientEvent) -> Row {
    (ms, Some(node), Kind::Client(said))
}

/// A write of a value (which is its hash as well) to key 7.
pub(crate) fn invoke(ms: u64, node: NodeId, op: u64, value: u64) -> Row {
    client(ms, node, ClientEvent::Invoke { op, f: OpKind::Write, key: 7, value, hash: value })
}

fn read(ms: u64, node: NodeId, op: u64) -> Row {
    client(ms, node, ClientEvent::Invoke { op, f: OpKind::Read, key: 7, value: 0, hash: 0 })
}

pub(crate) fn ok(ms: u64, node: NodeId, op: u64, value: Option<u64>, by: NodeId) -> Row {
    client(ms, node, ClientEvent::Ok { op, value, server: addr(by), replicas: None })
}

pub(crate) fn said(ms: u64, node: NodeId, name: Name, instance: Option<Box<Instance>>, detail: Detail) -> Row {
    (ms, Some(node), Kind::Sentinel(SentinelEvent::Said { name, instance, detail }))
}

pub(crate) fn world(ms: u64, node: Option<NodeId>, said: WorldEvent) -> Row {
    (ms, node, Kind::World(said))
}

fn died(ms: u64, node: NodeId) -> Row {
    world(ms, Some(node), WorldEvent::Died { how: "crash".into() })
}

fn fault(ms: u64, node: NodeId) -> Row {
    let what = format!("crash {}", NAMES[node.index()]).into();
    world(ms, None, WorldEvent::FaultBegan { fault: 0, kind: FaultKind::Crash, what, nodes: Arc::new([node]) })
}

/// The deployment, then the rows in order of time.
pub(crate) fn events(rows: &[Row]) -> Vec<Event> {
    let declared = NAMES.iter().enumerate().map(|(index, name)| {
        let node = NodeId(u16::try_from(index).expect("few nodes"));
        let role = match name.as_bytes()[0] {
            b'r' => NodeRole::Server,
            b's' => NodeRole::Sentinel,
            _ => NodeRole::Client,
        };
        let (name, machine_name) = ((*name).into(), (*name).into());
        let said = WorldEvent::Declared { name, role, addr: addr(node), machine: MachineId(node.0), machine_name };
        world(0, Some(node), said)
    });
    let started = (0..8).map(|node| world(0, Some(NodeId(node)), WorldEvent::Started { incarnation: 1 }));
    let ids = [S1, S2, S3].map(|node| {
        let id = id(u8::try_from(node.0).expect("few nodes"));
        (0, Some(node), Kind::Sentinel(SentinelEvent::Ready { id, epoch: 0 }))
    });
    let mut rows: Vec<Row> = declared.chain(started).chain(ids).chain(rows.iter().cloned()).collect();
    rows.sort_by_key(|(ms, _, _)| *ms);
    let number = |(index, (ms, node, kind)): (usize, Row)| Event {
        id: EventId(index as u64 + 1),
        at: Instant::ZERO + Span::from_ms(ms),
        node,
        cause: EventId::NONE,
        via: Via::World,
        kind,
    };
    rows.into_iter().enumerate().map(number).collect()
}

pub(crate) fn judge(rows: &[Row]) -> Judgement {
    let mut suite = Suite::new();
    for event in events(rows) {
        suite.see(&event);
    }
    suite.finish()
}

fn verdict<'a>(judgement: &'a Judgement, checker: &str) -> &'a Verdict {
    let found = judgement.verdicts.iter().find(|(name, _)| *name == checker);
    &found.expect("a checker of that name").1
}

#[track_caller]
fn passes(rows: &[Row], checker: &str) -> Judgement {
    let judgement = judge(rows);
    assert_eq!(verdict(&judgement, checker), &Verdict::Pass, "{checker}");
    judgement
}

#[track_caller]
fn fails(rows: &[Row], checker: &str, reason: &str) -> Judgement {
    let judgement = judge(rows);
    match verdict(&judgement, checker) {
        Verdict::Fail { why, witness } => {
            assert!(why.contains(reason), "{why}");
            assert!(!witness.is_empty(), "a failure shows the events");
        }
        other @ (Verdict::Pass | Verdict::Unknown { .. }) => panic!("{checker} should fail: {other:?}"),
    }
    judgement
}

/// r1 takes two writes; r2 has the history up to `replicated` and is promoted there; r1 is resynchronised from it.
fn failover(replicated: u64) -> Vec<Row> {
    vec![
        history(1, R1, 0xa1, 0, None, HistoryWhy::Start),
        history(2, R2, 0xa1, 0, None, HistoryWhy::FullSync),
        invoke(100, W1, 1, 11),
        wrote(101, R1, 11, 100),
        ok(102, W1, 1, None, R1),
        invoke(200, W1, 2, 12),
        wrote(201, R1, 12, 200),
        ok(202, W1, 2, None, R1),
        invoke(300, W1, 3, 13),
        client(400, W1, ClientEvent::Unknown { op: 3, why: Unanswered::Timeout, server: addr(R1) }),
        history(500, R2, 0xb2, replicated, Some((0xa1, replicated)), HistoryWhy::Promotion),
        server(500, R2, ServerEvent::BecameMaster { offset: replicated }),
        history(900, R1, 0xb2, 300, None, HistoryWhy::FullSync),
        last(1_000, R1, false, 0xb2, 300, 5),
        last(1_000, R2, true, 0xb2, 300, 5),
    ]
}

#[test]
fn a_promotion_below_an_acknowledged_write_loses_it() {
    let legal = passes(&failover(200), "lost-writes");
    assert_eq!(legal.metrics["writes.lost"], Value::Count(0));
    let judgement = fails(&failover(199), "lost-writes", "1 of 2 acknowledged writes");
    assert_eq!(judgement.metrics["writes.lost"], Value::Count(1));
    assert_eq!(judgement.metrics["writes.lost-ratio"], Value::Number(0.5));
    let [group] = judgement.findings.lost.as_slice() else { panic!("one group: {:?}", judgement.findings.lost) };
    assert_eq!((group.server, group.count, group.offsets), (R1, 1, (200, 200)));
    assert_eq!((group.destroyed.how, group.destroyed.by), (DestroyedHow::FullSync, Some(R2)));
    assert_eq!(group.destroyed.at.map(|mark| mark.at), Some(Instant::ZERO + Span::from_ms(900)));
    let fork = group.fork.as_ref().expect("the promotion is known");
    assert_eq!((fork.node, fork.offset), (R2, 199));
    assert_eq!((group.writes[0].client, group.writes[0].op, group.writes[0].value), (W1, 2, 12));
}

#[test]
fn an_unknown_write_that_survives_is_recovered() {
    let mut rows = failover(250);
    assert_eq!(judge(&rows).metrics["writes.recovered"], Value::Count(0));
    rows.push(wrote(301, R1, 13, 250));
    assert_eq!(judge(&rows).metrics["writes.recovered"], Value::Count(1));
}

#[test]
fn a_master_that_dies_for_good_takes_its_unreplicated_writes_along() {
    let mut rows = failover(199);
    rows.retain(|(ms, node, _)| !(*node == Some(R1) && *ms >= 900));
    rows.push(died(450, R1));
    let judgement = fails(&rows, "lost-writes", "died for good");
    assert_eq!(judgement.findings.lost[0].destroyed.how, DestroyedHow::NeverBack);
}

/// A lone master that restarts: with its file (a new replid that continues the old one) or without.
fn restart(parent: Option<(u8, u64)>) -> Vec<Row> {
    vec![
        history(1, R1, 0xa1, 0, None, HistoryWhy::Start),
        invoke(100, W1, 1, 11),
        wrote(101, R1, 11, 100),
        ok(102, W1, 1, None, R1),
        died(200, R1),
        history(300, R1, 0xc3, 100, parent, if parent.is_some() { HistoryWhy::Rdb } else { HistoryWhy::Start }),
        last(1_000, R1, true, 0xc3, 100, 5),
    ]
}

#[test]
fn an_empty_restart_loses_everything() {
    passes(&restart(Some((0xa1, 100))), "lost-writes");
    for lossy in [Some((0xa1, 99)), None] {
        let judgement = fails(&restart(lossy), "lost-writes", "restarted without them");
        assert_eq!(judgement.findings.lost[0].destroyed.how, DestroyedHow::Restart);
    }
}

#[test]
fn a_renewed_replid_is_the_same_data() {
    let mut rows = restart(Some((0xa1, 100)));
    rows.retain(|(ms, _, _)| *ms < 200);
    rows.push(history(150, R1, 0xc3, 100, None, HistoryWhy::Renewed));
    rows.push(last(1_000, R1, true, 0xc3, 100, 5));
    passes(&rows, "lost-writes");
}

#[test]
fn many_lost_writes_are_kept_by_their_ends() {
    let mut rows = failover(50);
    for n in 0..100 {
        rows.push(invoke(210 + n, W2, n + 1, 1_000 + n));
        rows.push(wrote(210 + n, R1, 1_000 + n, 300 + n));
        rows.push(ok(210 + n, W2, n + 1, None, R1));
    }
    let judgement = judge(&rows);
    let group = &judgement.findings.lost[0];
    assert_eq!((group.count, group.writes.len()), (102, 40));
    assert_eq!((group.writes[0].value, group.writes[39].value), (11, 1_099));
}

#[test]
fn a_trace_that_stops_early_is_not_judged() {
    let mut rows = failover(200);
    rows.retain(|(ms, _, _)| *ms < 1_000);
    let judgement = judge(&rows);
    for checker in ["lost-writes", "convergence"] {
        assert!(matches!(verdict(&judgement, checker), Verdict::Unknown { .. }), "{checker}");
    }
    assert_eq!(judgement.metrics["writes.lost"], Value::Absent);
}

/// Two masters of one group: the second begins to execute writes at `second` ms, the first stops at 3 s.
fn two_masters(second: u64) -> Vec<Row> {
    let mut rows =
        vec![history(1, R1, 0xa1, 0, None, HistoryWhy::Start), history(2, R2, 0xa1, 0, None, HistoryWhy::FullSync)];
    rows.extend((0..=30).map(|n| wrote(n * 100, R1, n, n)));
    rows.extend((0..=20).map(|n| wrote(second + n * 100, R2, 100 + n, n)));
    rows
}

#[test]
fn writes_at_two_masters_at_once_are_a_split_brain() {
    let legal = passes(&two_masters(3_000), "split-brain");
    assert_eq!(legal.metrics["split-brain.duration"], Value::Number(0.0));
    let judgement = fails(&two_masters(2_500), "split-brain", "r1 and r2 both executed writes for 500ms");
    assert_eq!(judgement.metrics["split-brain.duration"], Value::Number(500.0));
    assert_eq!(judgement.metrics["split-brain.count"], Value::Count(1));
}

#[test]
fn masters_of_different_groups_or_paused_ones_are_not_split() {
    let mut apart = two_masters(2_500);
    apart[1] = history(2, R2, 0xee, 0, None, HistoryWhy::Start);
    passes(&apart, "split-brain");
    let mut paused = two_masters(1_050);
    paused.retain(|(ms, node, _)| *node != Some(R1) || *ms <= 1_000 || *ms >= 2_900);
    fails(&paused, "split-brain", "for 1.95s");
    paused.push(world(1_010, Some(R1), WorldEvent::Paused));
    fails(&paused, "split-brain", "for 100ms from 2.900s");
}

/// s1 stands for epoch 1 and is elected; s2 is elected in the epoch that it is given.
fn two_elections(second: u64) -> Vec<Row> {
    let master = || instance(InstanceKind::Master, R1);
    let mut rows = Vec::new();
    for (ms, node, epoch) in [(100, S1, 1), (200, S2, second)] {
        rows.push(said(ms, node, Name::NewEpoch, None, Detail::Epoch(epoch)));
        rows.push(said(ms + 1, node, Name::TryFailover, master(), Detail::None));
        let vote = Detail::Vote { leader: id(u8::try_from(node.0).expect("few nodes")), epoch };
        rows.push(said(ms + 2, node, Name::VoteForLeader, None, vote));
        rows.push(said(ms + 3, node, Name::ElectedLeader, master(), Detail::None));
    }
    rows
}

#[test]
fn two_leaders_of_one_epoch_are_a_failure() {
    let legal = passes(&two_elections(2), "one-leader");
    assert_eq!(legal.metrics["election.rounds"], Value::Count(2));
    assert_eq!(legal.metrics["election.leaders-per-epoch-max"], Value::Count(1));
    let judgement = fails(&two_elections(1), "one-leader", "s1 and s2 were elected for mymaster in epoch 1");
    assert_eq!(judgement.metrics["election.candidates-max"], Value::Count(2));
}

#[test]
fn two_votes_of_one_sentinel_in_one_epoch_are_a_failure() {
    let with = |leader: u8| {
        let mut rows = two_elections(2);
        for (ms, leader) in [(300, 3), (301, leader)] {
            rows.push(said(ms, S3, Name::VoteForLeader, None, Detail::Vote { leader: id(leader), epoch: 1 }));
        }
        rows
    };
    passes(&with(3), "one-leader");
    fails(&with(4), "one-leader", "s3 voted for two candidates in epoch 1");
}

pub(crate) fn belief(ms: u64, node: NodeId, of: NodeId) -> Row {
    let (master, addr) = ("mymaster".into(), addr(of));
    (ms, Some(node), Kind::Sentinel(SentinelEvent::Final { master, addr, config_epoch: 1, current_epoch: 1 }))
}

#[test]
fn a_deployment_that_disagrees_has_not_converged() {
    let mut legal = failover(200);
    legal.extend([S1, S2, S3].map(|node| belief(1_000, node, R2)));
    let judgement = passes(&legal, "convergence");
    assert_eq!(judgement.metrics["converged"], Value::Bool(true));
    assert_eq!(judgement.metrics["final.masters"], Value::Count(1));
    let replica = legal.iter().position(|row| *row == last(1_000, R1, false, 0xb2, 300, 5)).expect("r1 is there");
    let sentinel = legal.len() - 1;
    for (changed, row, reason) in [
        (replica, last(1_000, R1, false, 0xb2, 300, 6), "r1 (1 keys) holds another dataset than r2"),
        (replica, last(1_000, R1, true, 0xb2, 300, 5), "r1, r2 are both masters"),
        (replica, last(1_000, R1, false, 0xa1, 300, 5), "r1 is in another replication history than r2"),
        (replica + 1, last(1_000, R2, false, 0xb2, 300, 5), "none of r1, r2 is a master"),
        (sentinel, belief(1_000, S3, R1), "sentinels disagree about mymaster: s1 says r2, s2 says r2, s3 says r1"),
    ] {
        let mut rows = legal.clone();
        rows[changed] = row;
        let judgement = fails(&rows, "convergence", reason);
        assert_eq!(judgement.metrics["converged"], Value::Bool(false));
    }
}

/// A value is written and acknowledged at 101 ms, the next at 201 ms; a read begins at `begins` and returns the old one.
fn old_value(begins: u64) -> Vec<Row> {
    vec![
        history(1, R1, 0xa1, 0, None, HistoryWhy::Start),
        invoke(100, W1, 1, 11),
        ok(101, W1, 1, None, R1),
        invoke(200, W1, 2, 12),
        ok(220, W1, 2, None, R1),
        read(begins, W2, 1),
        ok(230, W2, 1, Some(11), R1),
    ]
}

#[test]
fn a_read_of_less_than_was_acknowledged_is_stale() {
    let legal = passes(&old_value(210), "stale-reads");
    assert_eq!(legal.metrics["reads.stale"], Value::Count(0));
    let judgement = fails(&old_value(225), "stale-reads", "w-2 got value 11 of key 7 from r1");
    assert_eq!(judgement.metrics["reads.stale"], Value::Count(1));
    assert_eq!(judgement.findings.stale[0].age, Span::from_ms(5));
    let mut missing = old_value(225);
    missing[6] = ok(230, W2, 1, None, R1);
    fails(&missing, "stale-reads", "w-2 got nothing");
    missing.push(server(240, R1, ServerEvent::Expired { keys: 1 }));
    passes(&missing, "stale-reads");
}

#[test]
fn unavailable_windows_are_from_success_to_success() {
    let attempts = |gap: u64| {
        let mut rows = vec![invoke(0, W1, 1, 1), ok(1, W1, 1, None, R1)];
        for n in 0..5 {
            rows.push(invoke(500 + n, W2, n + 1, 10 + n));
            let why = Refusal::NotSent;
            rows.push(client(501 + n, W2, ClientEvent::Fail { op: n + 1, why, server: None }));
        }
        rows.push(invoke(500 + gap, W1, 2, 2));
        rows.push(ok(500 + gap, W1, 2, None, R1));
        rows
    };
    let short = judge(&attempts(99));
    assert_eq!(short.metrics["unavailable.longest"], Value::Number(0.0));
    let long = judge(&attempts(700));
    assert_eq!(long.metrics["unavailable.longest"], Value::Number(700.0));
    let [window] = long.findings.unavailable.as_slice() else { panic!("one window") };
    assert_eq!((&*window.population, window.failed, window.open), ("w", 5, false));
    assert_eq!(long.metrics["writes.failed-not-sent"], Value::Count(5));
    assert_eq!(judge(&[]).metrics["unavailable.longest"], Value::Absent);
}

/// The story of a crash at 1 s: down at 2 s, elected, r2 promoted, first write at 4 s.
fn crash() -> Vec<Row> {
    let master = || instance(InstanceKind::Master, R1);
    let switch = || Detail::Switch { master: "mymaster".into(), old: addr(R1), new: addr(R2) };
    vec![
        fault(1_000, R1),
        died(1_000, R1),
        said(1_900, S2, Name::SdownEnter, master(), Detail::None),
        said(1_950, S1, Name::SdownEnter, master(), Detail::None),
        said(2_000, S1, Name::OdownEnter, master(), Detail::Quorum { votes: 2, quorum: 2 }),
        said(2_000, S1, Name::NewEpoch, None, Detail::Epoch(1)),
        said(2_000, S1, Name::TryFailover, master(), Detail::None),
        said(2_100, S1, Name::ElectedLeader, master(), Detail::None),
        said(2_200, S1, Name::SelectedSlave, instance(InstanceKind::Slave, R2), Detail::None),
        server(2_300, R2, ServerEvent::BecameMaster { offset: 10 }),
        said(3_000, S1, Name::PromotedSlave, instance(InstanceKind::Slave, R2), Detail::None),
        said(3_100, S2, Name::SwitchMaster, None, switch()),
        server(3_200, R3, ServerEvent::BecameReplica { of: addr(R2) }),
        server(3_300, R3, ServerEvent::Synced { kind: SyncKind::Partial, offset: 10 }),
        said(3_500, S1, Name::FailoverEnd, master(), Detail::None),
        said(3_600, S1, Name::SwitchMaster, None, switch()),
        invoke(3_990, W1, 1, 11),
        ok(4_000, W1, 1, None, R2),
    ]
}

#[test]
fn a_failover_is_timed_from_its_fault() {
    let judgement = judge(&crash());
    let metrics = &judgement.metrics;
    for (name, ms) in [
        ("failover.sdown", 900.0),
        ("failover.detection", 1_000.0),
        ("failover.promotion", 1_300.0),
        ("failover.switch", 2_100.0),
        ("failover.switch-all", 2_600.0),
        ("failover.duration", 3_000.0),
        ("election.duration", 100.0),
    ] {
        assert_eq!(metrics[name], Value::Number(ms), "{name}");
    }
    assert_eq!((metrics["failover.count"], metrics["failover.attempts"]), (Value::Count(1), Value::Count(1)));
    let [failover] = judgement.findings.failovers.as_slice() else { panic!("one failover") };
    assert_eq!((failover.leader, failover.epoch, failover.new), (S1, 1, Some(addr(R2))));
    assert_eq!(failover.links_up.iter().map(|(node, _)| *node).collect::<Vec<_>>(), [R3]);
}

#[test]
fn a_failover_that_nobody_switches_for_does_not_count() {
    let mut rows = crash();
    rows.retain(|(ms, _, _)| *ms < 2_200);
    let master = instance(InstanceKind::Master, R1);
    rows.push(said(2_200, S1, Name::AbortNoGoodSlave, master, Detail::None));
    let metrics = judge(&rows).metrics;
    assert_eq!((metrics["failover.count"], metrics["failover.aborted"]), (Value::Count(0), Value::Count(1)));
    assert_eq!(metrics["failover.duration"], Value::Absent);
}

#[test]
fn what_happens_while_settling_is_not_measured() {
    let mut rows = crash();
    rows.push(world(3_050, None, WorldEvent::SettleBegan));
    assert_eq!(judge(&rows).metrics["failover.count"], Value::Count(0));
}

#[test]
fn replication_is_counted() {
    let grant = |ms, kind, refused| {
        server(ms, R1, ServerEvent::SyncGranted { replica: addr(R2), kind, refused, offset: 0, bytes: 0 })
    };
    let offset =
        |ms, node, offset| server(ms, node, ServerEvent::Offset { offset, backlog_first: 1, backlog_len: offset });
    let metrics = judge(&[
        history(1, R1, 0xa1, 0, None, HistoryWhy::Start),
        server(1, R1, ServerEvent::BecameMaster { offset: 0 }),
        grant(2, SyncKind::Full, Some(RefusePsync::Fresh)),
        history(3, R2, 0xa1, 0, None, HistoryWhy::FullSync),
        offset(100, R1, 1_000),
        offset(101, R2, 990),
        offset(200, R1, 3_000),
        offset(400, R1, 5_000),
        fault(500, R1),
        server(600, R1, ServerEvent::ReplicaGone { replica: addr(R2), why: LinkDownWhy::OutputBuffer }),
        server(601, R2, ServerEvent::Link { state: LinkState::Connect, why: Some(LinkDownWhy::Lost) }),
        server(602, R2, ServerEvent::Link { state: LinkState::Connect, why: Some(LinkDownWhy::Reconfigured) }),
        grant(700, SyncKind::Full, Some(RefusePsync::BacklogTooShort)),
        grant(800, SyncKind::Partial, None),
    ])
    .metrics;
    for (name, count) in [
        ("replication.full-syncs", 2),
        ("replication.full-syncs-after-fault", 1),
        ("replication.partial-syncs", 1),
        ("replication.partial-refused", 1),
        ("replication.output-buffer-drops", 1),
        ("replication.link-downs", 1),
        ("replication.lag-max", 4_010),
    ] {
        assert_eq!(metrics[name], Value::Count(count), "{name}");
    }
}

#[derive(Clone)]
struct Bomb {
    at_end: bool,
}

impl Checker for Bomb {
    fn box_clone(&self) -> Box<dyn Checker> {
        Box::new(self.clone())
    }
    fn name(&self) -> &'static str {
        "bomb"
    }
    fn see(&mut self, _event: &Event, _context: &Context) {
        assert!(self.at_end, "no more events, please");
    }
    fn finish(&mut self, _context: &Context, _metrics: &mut Values, _findings: &mut Findings) -> Verdict {
        panic!("no more runs, please");
    }
}

#[test]
fn a_checker_that_panics_is_unknown_and_harms_no_other() {
    for (at_end, text) in [(false, "no more events, please"), (true, "no more runs, please")] {
        let mut checkers = splitbrain::check::all();
        checkers.insert(0, Box::new(Bomb { at_end }));
        let mut suite = Suite::with(checkers);
        events(&failover(199)).iter().for_each(|event| suite.see(event));
        let judgement = suite.finish();
        assert_eq!(judgement.verdicts[0].0, "lost-writes", "the worst comes first");
        let Verdict::Unknown { why } = verdict(&judgement, "bomb") else { panic!("unknown") };
        assert!(why.contains(text), "{why}");
    }
}

#[test]
fn every_metric_has_a_value_and_a_trace_file_judges_alike() {
    let events = events(&failover(199));
    let mut lines = Vec::new();
    for event in &events {
        json::write_event(&mut lines, event).expect("memory takes all");
    }
    let again = json::read_trace(lines.as_slice()).expect("our own lines");
    assert_eq!(again, events);
    let mut suite = Suite::new();
    again.iter().for_each(|event| suite.see(event));
    let judgement = suite.finish();
    assert_eq!(judgement, judge(&failover(199)));
    assert_eq!(judgement.metrics.len(), splitbrain::check::METRICS.len());
}
