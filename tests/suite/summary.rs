//! The terminal summary and the JSON object of one invented run, as snapshots.

use std::sync::Arc;

use splitbrain::check::{Expectation, Given, Judgement, evaluate};
use splitbrain::fault::FaultKind;
use splitbrain::id::EventId;
use splitbrain::report::summary::{Receipt, Style, summary};
use splitbrain::report::{Ended, Run, json};
use splitbrain::rng::Seed;
use splitbrain::time::Span;
use splitbrain::trace::Fingerprint;
use splitbrain::trace::event::{
    ClientEvent, Detail, HistoryWhy, InstanceKind, Refusal, SentinelEventName as Name, ServerEvent, SyncKind,
    WorldEvent,
};

use crate::checkers::{
    R1, R2, R3, Row, S1, S2, S3, W1, W2, addr, belief, client, history, id, instance, invoke, judge, last, ok, said,
    server, world, wrote,
};

/// r1 and s1 are cut off at 10 s together with w-1, r2 takes over, the cut heals at 20 s, r1 is demoted at 30 s.
fn isolated_master() -> Vec<Row> {
    let mut rows = vec![
        history(1, R1, 0xa1, 0, None, HistoryWhy::Start),
        history(20, R2, 0xa1, 10, None, HistoryWhy::FullSync),
        history(21, R3, 0xa1, 10, None, HistoryWhy::FullSync),
        world(
            10_000,
            None,
            WorldEvent::FaultBegan {
                fault: 0,
                kind: FaultKind::Partition,
                what: "partition {r1 s1 w-1 | r2 r3 s2 s3 w-2}".into(),
                nodes: Arc::new([R1, R2, R3, S1, S2, S3, W1, W2]),
            },
        ),
        world(20_000, None, WorldEvent::FaultEnded { fault: 0 }),
        world(60_000, None, WorldEvent::SettleBegan),
    ];
    for (op, ms) in (1_u64..).zip((500..30_000).step_by(500)) {
        rows.push(invoke(ms, W1, op, op));
        rows.push(wrote(ms + 1, R1, op, op * 100));
        rows.push(ok(ms + 2, W1, op, None, R1));
        rows.push(invoke(ms, W2, op, 1_000 + op));
        if (10_000..12_500).contains(&ms) {
            let why = Refusal::NotSent;
            rows.push(client(ms + 400, W2, ClientEvent::Fail { op, why, server: None }));
        } else {
            let by = if ms < 10_000 { R1 } else { R2 };
            rows.push(wrote(ms + 1, by, 1_000 + op, op * 100 + 50));
            rows.push(ok(ms + 3, W2, op, None, by));
        }
    }
    rows.extend(election());
    rows.extend([S1, S2, S3].map(|node| belief(65_000, node, R2)));
    for node in [R1, R2, R3] {
        rows.push(last(65_000, node, node == R2, 0xb2, 9_000, 7));
    }
    rows
}

fn election() -> Vec<Row> {
    let master = || instance(InstanceKind::Master, R1);
    let none = || Detail::None;
    let vote = || Detail::Vote { leader: id(4), epoch: 1 };
    let quorum = |votes| Detail::Quorum { votes, quorum: 2 };
    let switch = || Detail::Switch { master: "mymaster".into(), old: addr(R1), new: addr(R2) };
    let mut rows = vec![
        said(11_010, S2, Name::SdownEnter, master(), none()),
        said(11_070, S3, Name::SdownEnter, master(), none()),
        said(11_100, S2, Name::OdownEnter, master(), quorum(2)),
        said(11_100, S2, Name::NewEpoch, None, Detail::Epoch(1)),
        said(11_100, S2, Name::TryFailover, master(), none()),
        said(11_101, S2, Name::VoteForLeader, None, vote()),
        said(11_105, S3, Name::VoteForLeader, None, vote()),
        said(11_180, S2, Name::ElectedLeader, master(), none()),
        said(11_240, S2, Name::SelectedSlave, instance(InstanceKind::Slave, R2), none()),
        history(11_301, R2, 0xb2, 1_960, Some((0xa1, 1_960)), HistoryWhy::Promotion),
        server(11_301, R2, ServerEvent::BecameMaster { offset: 1_960 }),
        said(12_000, S2, Name::PromotedSlave, instance(InstanceKind::Slave, R2), none()),
        said(12_080, S3, Name::SwitchMaster, None, switch()),
        said(13_020, S2, Name::FailoverEnd, master(), none()),
        said(13_021, S2, Name::SwitchMaster, None, switch()),
        history(12_400, R3, 0xb2, 1_960, Some((0xa1, 1_960)), HistoryWhy::PartialSync),
        said(20_400, S1, Name::SwitchMaster, None, switch()),
        said(30_100, S3, Name::ConvertToSlave, instance(InstanceKind::Slave, R1), none()),
        server(30_101, R1, ServerEvent::BecameReplica { of: addr(R2) }),
        history(30_200, R1, 0xb2, 6_000, None, HistoryWhy::FullSync),
        server(30_200, R1, ServerEvent::Synced { kind: SyncKind::Full, offset: 6_000 }),
    ];
    for node in [R2, R3] {
        rows.push(said(11_200, S1, Name::SdownEnter, instance(InstanceKind::Slave, node), none()));
    }
    rows
}

fn run() -> Run {
    let Judgement { metrics, verdicts, findings } = judge(&isolated_master());
    let lines = [
        ("failover.count", Given::Integer(1)),
        ("failover.duration", Given::Text("<= 15s")),
        ("writes.lost", Given::Text("0")),
        ("converged", Given::Bool(true)),
    ];
    let expectations = lines.map(|(name, given)| Expectation::parse(name, given).expect(name));
    Run {
        scenario: "isolated-master".into(),
        description: "The master and one sentinel are cut off together with a client; the rest elect a new master."
            .into(),
        seed: Seed(42),
        digest: Fingerprint(0x0123_4567_89ab_cdef),
        events: EventId(12_345),
        ended: Ended::Finished,
        duration: Span::from_secs(60),
        simulated: Span::from_secs(65),
        wall: Span::from_ms(13),
        expectations: evaluate(&expectations, &metrics),
        metrics,
        verdicts,
        findings,
        key_size: 16,
    }
}

const RECEIPT: Receipt<'_> = Receipt {
    command: Some("splitbrain run scenarios/sentinel/isolated-master.toml --seed 42"),
    report: Some("reports/isolated-master"),
};

#[test]
fn a_summary_fits_the_screen_and_reads_well() {
    let text = summary(&run(), &Style::default(), &RECEIPT);
    assert!(text.lines().count() <= 40, "{} lines", text.lines().count());
    for line in text.lines().filter(|line| !line.starts_with("reproduce:")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_low_screen_keeps_what_matters_most() {
    let style = Style { height: 30, ..Style::default() };
    let text = summary(&run(), &style, &RECEIPT);
    assert!(text.contains("partition {r1 s1 w-1") && text.contains("+switch-master"), "{text}");
    assert!(text.contains("smaller things"), "{text}");
}

#[test]
fn colours_are_only_for_those_who_ask() {
    assert!(!summary(&run(), &Style::default(), &RECEIPT).contains('\x1b'));
    let painted = summary(&run(), &Style { colour: true, ..Style::default() }, &RECEIPT);
    let mut plain = String::new();
    let mut rest = painted.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain.push_str(before);
        rest = after.split_once('m').expect("a colour ends").1;
    }
    plain.push_str(rest);
    assert!(painted.contains('\x1b'));
    assert_eq!(plain, summary(&run(), &Style::default(), &RECEIPT));
}

#[test]
fn the_object_has_the_promised_fields() {
    let object = json::object(&run(), Some("reports/isolated-master"));
    let fields =
        ["scenario", "seed", "digest", "simulated_ms", "wall_ms", "events", "expectations", "metrics", "report"];
    for field in fields {
        assert!(object.get(field).is_some(), "{field}");
    }
    assert_eq!(json::object(&run(), None)["report"], serde_json::Value::Null);
    insta::assert_snapshot!(serde_json::to_string_pretty(&object).expect("plain data"));
}
