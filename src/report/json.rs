//! A run as one JSON object: what `run --json` prints and `summary.json` holds. Times are milliseconds.

use serde_json::{Map, Value as Json, json};

use super::Run;
use super::summary::lost;
use crate::check::findings::{Failover, LostGroup, Mark};
use crate::check::recovery::LIVENESS;
use crate::check::{Findings, Verdict};
use crate::time::{Instant, Span};

/// Groups of lost writes name at most this many writes each.
const WRITES_MAX: usize = 10;

/// The object; `report` is the folder's path if one was written.
#[must_use]
pub fn object(run: &Run, report: Option<&str>) -> Json {
    let expectations: Vec<Json> = run
        .expectations
        .iter()
        .map(|outcome| {
            json!({
                "metric": outcome.expectation.key(),
                "expected": outcome.expectation.expected(),
                "actual": outcome.actual,
                "passed": outcome.passed,
            })
        })
        .collect();
    let findings = &run.findings;
    json!({
        "scenario": run.scenario,
        "description": run.description,
        "seed": run.seed,
        "digest": run.digest,
        "duration_ms": span(run.duration),
        "simulated_ms": span(run.simulated),
        "wall_ms": span(run.wall),
        "events": run.events,
        "ended": run.ended.word(),
        "liveness": run.verdicts.iter().find(|(name, _)| *name == LIVENESS).map(|(_, verdict)| verdict.word()),
        "expectations": expectations,
        "metrics": run.metrics.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Map<_, _>>(),
        "verdicts": run.verdicts.iter().map(|(checker, answer)| verdict(checker, answer)).collect::<Vec<_>>(),
        "failovers": findings.failovers.iter().map(|one| failover(findings, one)).collect::<Vec<_>>(),
        "lost": findings.lost.iter().map(|group| lost_group(run, group)).collect::<Vec<_>>(),
        "split_brain": findings.splits.iter().map(|window| json!({
            "from_ms": at(window.from.at),
            "to_ms": at(window.to.at),
            "nodes": window.nodes.iter().map(|&node| findings.name(Some(node))).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "lock_violations": findings.lock_overlaps.iter().map(|overlap| json!({
            "lock": overlap.lock,
            "holders": overlap.holders.map(|node| findings.name(Some(node))),
            "from_ms": at(overlap.from.at),
            "to_ms": at(overlap.to.at),
        })).collect::<Vec<_>>(),
        "stale_writes": findings.stale_writes.iter().map(|write| json!({
            "lock": write.lock,
            "writer": findings.name(Some(write.writer)),
            "after": findings.name(Some(write.after)),
            "at_ms": at(write.at.at),
        })).collect::<Vec<_>>(),
        "token_breaks": findings.token_breaks.iter().map(|one| json!({
            "lock": one.lock,
            "holders": one.holders.map(|node| findings.name(Some(node))),
            "tokens": one.tokens,
            "at_ms": at(one.at.at),
        })).collect::<Vec<_>>(),
        "unavailable": findings.unavailable.iter().map(|window| json!({
            "clients": window.population,
            "operation": if window.writes { "write" } else { "read" },
            "from_ms": at(window.from),
            "to_ms": at(window.to),
            "failed": window.failed,
            "open": window.open,
        })).collect::<Vec<_>>(),
        "report": report,
    })
}

fn verdict(checker: &str, verdict: &Verdict) -> Json {
    let word = verdict.word();
    match verdict {
        Verdict::Pass => json!({ "checker": checker, "verdict": word }),
        Verdict::Unknown { why } => json!({ "checker": checker, "verdict": word, "why": why }),
        Verdict::Fail { why, witness } => {
            json!({ "checker": checker, "verdict": word, "why": why, "witness": witness })
        }
    }
}

fn failover(findings: &Findings, failover: &Failover) -> Json {
    let name = |node| findings.name(Some(node));
    let marks = |marks: &[(crate::id::NodeId, Mark)]| {
        marks.iter().map(|(node, mark)| (name(*node).to_owned(), at(mark.at))).collect::<Map<_, _>>()
    };
    json!({
        "master": failover.master,
        "epoch": failover.epoch,
        "leader": name(failover.leader),
        "old": findings.name_at(failover.old),
        "new": failover.new.map(|new| findings.name_at(new)),
        "fault": failover.fault,
        "complete": failover.complete(),
        "aborted": failover.aborted.map(|(why, _)| why.as_str()),
        "at_ms": {
            "fault": mark(failover.fault_at),
            "sdown": mark(failover.sdown),
            "odown": mark(failover.odown),
            "first_tried": at(failover.first_tried.at),
            "tried": at(failover.tried.at),
            "elected": mark(failover.elected),
            "selected": mark(failover.selected),
            "promoted": mark(failover.promoted),
            "promotion_seen": mark(failover.promotion_seen),
            "first_write": mark(failover.first_write),
            "ended": mark(failover.ended),
            "aborted": mark(failover.aborted.map(|(_, mark)| mark)),
            "converted": mark(failover.converted),
            "switches": marks(&failover.switches),
            "links_up": marks(&failover.links_up),
        },
    })
}

fn lost_group(run: &Run, group: &LostGroup) -> Json {
    let findings = &run.findings;
    let writes: Vec<Json> = group
        .writes
        .iter()
        .take(WRITES_MAX)
        .map(|write| {
            json!({
                "client": findings.name(Some(write.client)),
                "op": write.op,
                "key": crate::trace::history::key_name(write.key, run.key_size),
                "value": write.value,
                "offset": write.offset,
                "acked_ms": at(write.acked),
                "event": write.event,
            })
        })
        .collect();
    json!({
        "count": group.count,
        "acknowledged_by": findings.name(Some(group.server)),
        "replid": group.replid.to_string(),
        "offsets": [group.offsets.0, group.offsets.1],
        "acked_ms": [at(group.acked.0), at(group.acked.1)],
        "destroyed": {
            "how": group.destroyed.how,
            "at_ms": mark(group.destroyed.at),
            "died_ms": mark(group.destroyed.died),
            "event": group.destroyed.at.map(|mark| mark.event),
            "by": group.destroyed.by.map(|node| findings.name(Some(node))),
        },
        "why": lost::sentence(findings, group),
        "writes": writes,
    })
}

fn span(span: Span) -> Json {
    json!(Span::from_us(span.us()).as_ms_f64())
}

fn at(at: Instant) -> Json {
    span(at.since(Instant::ZERO))
}

fn mark(mark: Option<Mark>) -> Json {
    mark.map_or(Json::Null, |mark| at(mark.at))
}
