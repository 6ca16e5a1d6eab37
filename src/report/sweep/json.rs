//! A sweep as one JSON object: what `sweep --json` prints and `summary.json` holds. Times are milliseconds.

use serde_json::{Map, Value as Json, json};

use super::charts::Drawing;
use super::judge::{Figures, Judged};
use super::tally::{Group, Kind};
use super::{Part, Sweep};
use crate::check::{METRICS, Unit};
use crate::stats::CONFIDENCE;

/// So many groups of failed runs are listed.
const GROUPS_MAX: usize = 100;

/// The object.
#[must_use]
pub fn object(sweep: &Sweep, charts: &[Drawing]) -> Json {
    let plan = &sweep.plan;
    let passed = sweep.passed();
    let mut out = json!({
        "scenario": plan.scenario,
        "description": plan.description,
        "identity": plan.identity,
        "seeds": plan.seeds,
        "shard": plan.shard.map(|shard| shard.to_string()),
        "runs": passed.of,
        "passed": passed.hits,
        "failed": passed.of - passed.hits,
        "digest": sweep.digest,
        "confidence": CONFIDENCE,
        "held": !sweep.failed(),
    });
    let fields = out.as_object_mut().expect("an object was made");
    if let ([], [part]) = (&plan.axes[..], &sweep.parts[..]) {
        fields.extend(part_fields(sweep, 0, part));
    } else {
        fields.insert("axes".to_owned(), json!(plan.axes));
        let variant = |(at, part): (usize, &Part)| {
            let chosen = plan.axes.iter().zip(&plan.variants[at].choice);
            let set: Map<String, Json> =
                chosen.map(|(axis, choice)| (axis.field.clone(), axis.values[*choice].clone())).collect();
            let mut object = Map::from_iter([("set".to_owned(), Json::Object(set))]);
            object.insert("runs".to_owned(), json!(part.tally.passed.of));
            object.insert("passed".to_owned(), json!(part.tally.passed.hits));
            object.extend(part_fields(sweep, at, part));
            Json::Object(object)
        };
        fields.insert("variants".to_owned(), sweep.parts.iter().enumerate().map(variant).collect());
    }
    fields.insert("charts".to_owned(), charts.iter().map(Drawing::json).collect());
    out
}

fn part_fields(sweep: &Sweep, at: usize, part: &Part) -> Map<String, Json> {
    let tally = &part.tally;
    let share = tally.passed;
    let groups = tally.groups.sorted();
    let left_out: u64 = groups.iter().skip(GROUPS_MAX).map(|(_, group)| group.count).sum();
    let group = |(kind, group): &(&Kind, &Group)| group_object(sweep, at, kind, group);
    let metrics: Map<String, Json> = METRICS
        .iter()
        .zip(&part.figures)
        .map(|(metric, figures)| (metric.name.to_owned(), figures_object(metric.unit, figures)))
        .collect();
    let value = json!({
        "pass_rate": { "share": share.share(), "ci": share.interval() },
        "events": to_u64(tally.events),
        "simulated_ms": to_u64(tally.simulated_us / 1_000),
        "cut_short": tally.cut_short,
        "verdicts": tally.verdicts,
        "expectations": part.expect.iter().map(judged).collect::<Vec<_>>(),
        "groups": groups.iter().take(GROUPS_MAX).map(group).collect::<Vec<_>>(),
        "failed_otherwise": left_out + tally.groups.others,
        "metrics": metrics,
    });
    let Json::Object(fields) = value else { unreachable!("json! of braces is an object") };
    fields
}

fn to_u64(n: u128) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn figures_object(unit: Unit, figures: &Figures) -> Json {
    let mut object = json!({ "unit": match unit {
        Unit::Count => "count",
        Unit::Ratio => "ratio",
        Unit::Time => "ms",
        Unit::Bytes => "bytes",
        Unit::Bool => "bool",
    } });
    if let (Json::Object(out), Json::Object(fields)) = (&mut object, json!(figures)) {
        out.extend(fields);
    }
    object
}

fn judged(judged: &Judged) -> Json {
    let expectation = &judged.expectation;
    if expectation.statistic.is_some() {
        json!({
            "metric": expectation.key(),
            "expected": expectation.expected(),
            "actual": judged.actual,
            "ci": judged.interval,
            "absent": judged.absent,
            "passed": judged.passed,
        })
    } else {
        json!({
            "metric": expectation.key(),
            "expected": expectation.expected(),
            "held_in": judged.held.hits,
            "runs": judged.held.of,
            "ci": judged.held.interval(),
            "absent": judged.absent,
            "passed": judged.passed,
        })
    }
}

fn group_object(sweep: &Sweep, at: usize, kind: &Kind, group: &Group) -> Json {
    json!({
        "count": group.count,
        "failed": failures(sweep, at, kind),
        "ended": kind.ended,
        "problem": group.problem,
        "signature": kind.signature,
        "seeds": group.seeds,
        "reproduce": command(sweep, at, group),
    })
}

/// The expectations of a kind of failure, as texts.
#[must_use]
pub fn failures(sweep: &Sweep, at: usize, kind: &Kind) -> Vec<String> {
    let expect = &sweep.plan.variants[at].expect;
    let texts = kind.failed.iter().filter_map(|place| expect.get(usize::from(*place)));
    texts.map(|(key, text)| format!("{key} {text}")).collect()
}

/// The command that runs a group's representative.
#[must_use]
pub fn command(sweep: &Sweep, at: usize, group: &Group) -> String {
    let seed = group.seeds.first().map_or(0, |seed| seed.0);
    format!("{} --seed {seed}", sweep.plan.variants[at].command)
}
