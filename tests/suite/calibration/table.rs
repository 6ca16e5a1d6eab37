//! `docs/calibration.md`: recorded beside simulated, as a table and as overlaid distributions.

use std::fmt::Write as _;
use std::fs;

use splitbrain::report::chart::kit::{EcdfGrid, EcdfPanel, EcdfRow, Sample, Unit};

use super::{EXPERIMENTS, Experiment, SEEDS, pool, recorded, root, stats};

/// The rows that people ask about; the test compares all intervals.
const ROWS: &[(&str, &str)] = &[
    ("fault_to_sdown_each", "fault → +sdown"),
    ("fault_to_odown_first", "fault → first +odown"),
    ("fault_to_elected", "fault → elected"),
    ("elected_to_selected", "elected → selected"),
    ("fault_to_promoted", "fault → promoted"),
    ("fault_to_switch_master_observers_each", "fault → switch at observers"),
    ("fault_to_switch_master_leader", "fault → switch at leader"),
    ("return_to_convert_to_slave", "return → +convert-to-slave"),
    ("demoted_to_link_up", "demoted → link up"),
];

fn cell(values: &[f64]) -> String {
    match (stats::median(values), stats::quantile(values, 0.0), stats::quantile(values, 1.0)) {
        (Some(median), Some(low), Some(high)) => format!("{median:.0} ({low:.0}–{high:.0})"),
        _ => "–".to_owned(),
    }
}

fn render() -> String {
    let mut out = String::from(
        "# Calibration\n\nThe same experiments on real redis-server and redis-sentinel 7.0.15 processes and in splitbrain. \
         Milliseconds: median (least–greatest). ",
    );
    writeln!(
        out,
        "Simulated over {SEEDS} seeds each. This page is written and checked by `tests/suite/calibration/`; \
         the experiments are `scenarios/calibration/*.toml`.\n"
    )
    .expect("string");
    for (index, experiment) in EXPERIMENTS.iter().enumerate() {
        let group = group(experiment);
        if index == 0 || self::group(&EXPERIMENTS[index - 1]) != group {
            writeln!(out, "![{}]({})\n", title(group), file(group)).expect("string");
        }
        let real = &recorded()[experiment.key];
        let ours = pool(experiment);
        writeln!(
            out,
            "## {} · [`{}`](../scenarios/calibration/{}.toml)\n",
            experiment.key, experiment.slug, experiment.slug
        )
        .expect("string");
        writeln!(out, "{} Recorded {} times.\n", real.what, real.runs).expect("string");
        out.push_str("| interval | recorded | simulated |\n| --- | --- | --- |\n");
        for (name, label) in ROWS {
            let Some(values) = real.intervals_ms.get(*name).filter(|values| !values.is_empty()) else { continue };
            let simulated = ours.intervals.get(name).map_or(String::from("–"), |values| cell(values));
            writeln!(out, "| {label} | {} | {simulated} |", cell(values)).expect("string");
        }
        let list = |map: &std::collections::BTreeMap<String, usize>| {
            let words: Vec<String> = map.iter().map(|(k, n)| format!("{k} ×{n}")).collect();
            if words.is_empty() { "none".to_owned() } else { words.join(", ") }
        };
        writeln!(out, "| promoted | {} | {} |", list(&real.promoted), list(&ours.promoted)).expect("string");
        writeln!(out, "| aborts | {} | {} |", list(&real.aborts), list(&ours.aborts)).expect("string");
        let lost = |values: Option<&serde_json::Value>| -> Vec<f64> {
            let values = values.and_then(|w| w.pointer("/lost/values")).and_then(serde_json::Value::as_array);
            values.map(|v| v.iter().filter_map(serde_json::Value::as_f64).collect()).unwrap_or_default()
        };
        let recorded_lost = lost(real.writes.as_ref());
        if !recorded_lost.is_empty() {
            writeln!(out, "| acknowledged writes lost | {} | {} |", cell(&recorded_lost), cell(&ours.lost))
                .expect("string");
        }
        out.push('\n');
    }
    out
}

/// The experiments of one kind share a chart: `E1`.
fn group(experiment: &Experiment) -> &'static str {
    experiment.key.split('/').next().expect("split gives one")
}

fn title(group: &str) -> String {
    format!("{group}: do real processes and the simulator take equally long?")
}

fn file(group: &str) -> String {
    format!("calibration/{}.svg", group.to_lowercase())
}

/// The overlaid distributions of one group: a row for each experiment, a panel for each interval.
fn overlay(group: &str) -> EcdfGrid {
    let row = |experiment: &Experiment| {
        let (real, ours) = (&recorded()[experiment.key], pool(experiment));
        let panel = |(name, label): &(&str, &str)| {
            let values = real.intervals_ms.get(*name).filter(|values| !values.is_empty())?;
            let simulated = ours.intervals.get(name).cloned().unwrap_or_default();
            Some(EcdfPanel {
                title: (*label).to_owned(),
                unit: Unit::Time,
                samples: [Sample::of("recorded", values.iter().copied(), 0), Sample::of("simulated", simulated, 0)],
            })
        };
        let times = if real.runs == 1 { "once".to_owned() } else { format!("{} times", real.runs) };
        EcdfRow {
            heading: format!("{}: recorded {times}, simulated {SEEDS} times", experiment.key),
            panels: ROWS.iter().filter_map(panel).collect(),
        }
    };
    EcdfGrid {
        name: group.to_lowercase(),
        title: title(group),
        subtitle: "the share of values up to each; n counts values: one for each sentinel or one for each run"
            .to_owned(),
        labels: ["recorded".into(), "simulated".into()],
        rows: EXPERIMENTS.iter().filter(|experiment| self::group(experiment) == group).map(row).collect(),
    }
}

/// The page and its charts: paths below `docs/` and contents.
fn files() -> Vec<(String, String)> {
    let mut files = vec![("calibration.md".to_owned(), render())];
    let mut groups: Vec<&str> = EXPERIMENTS.iter().map(group).collect();
    groups.dedup();
    files.extend(groups.into_iter().map(|group| (file(group), overlay(group).chart().svg())));
    files
}

#[test]
fn the_calibration_page_is_current() {
    let mut stale = Vec::new();
    for (name, fresh) in files() {
        let path = root().join("docs").join(&name);
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().expect("it is below docs")).expect("docs can be written");
            fs::write(&path, &fresh).expect("docs can be written");
        }
        if fs::read_to_string(&path).unwrap_or_default() != fresh {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "not what the simulator says now, UPDATE=1 rewrites them: {stale:?}");
}
