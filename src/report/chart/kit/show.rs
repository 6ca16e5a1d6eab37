//! Samples of every chart of the kit: a few values, many, and none.

use super::*;
use crate::report::chart::Chart;
use crate::rng::Seed;

/// All of them, each under a name of its own.
pub(crate) fn samples() -> Vec<Chart> {
    [ecdfs(), histograms(), heat_maps(), lines()].into_iter().flatten().collect()
}

fn draws(seed: u64, n: usize, of: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut stream = Seed(seed).stream("sample", "chart");
    (0..n).map(|_| of(stream.unit())).collect()
}

fn skewed(seed: u64, n: usize, least: f64, scale: f64) -> Vec<f64> {
    draws(seed, n, |u| least - scale * libm::log(1.0 - u * 0.999))
}

fn sample(label: &str, values: Vec<f64>, absent: u64) -> Sample {
    Sample::of(label, values, absent)
}

fn limit(text: &str, at: f64) -> Limit {
    Limit { text: text.into(), at }
}

fn ecdf(name: &str, axis: &str, unit: Unit, samples: Vec<Sample>, limits: Vec<Limit>) -> Ecdf {
    Ecdf {
        name: format!("kit_ecdf_{name}"),
        title: format!("How is {axis} distributed?"),
        subtitle: "sample · seeds 0..1000".into(),
        axis: axis.into(),
        unit,
        samples,
        limits,
    }
}

fn ecdfs() -> Vec<Chart> {
    let time = |least, label: &str, seed| sample(label, skewed(seed, 1_000, least, 300.0), 0);
    let four = vec![
        time(5_600.0, "down-after 5s", 1),
        time(6_000.0, "down-after 5s, quorum 3", 2),
        time(5_900.0, "parallel-syncs 2 <&>", 3),
        sample("latency 5ms", skewed(4, 60, 6_400.0, 500.0), 4),
    ];
    let latency = |seed, scale: f64| skewed(seed, 400, 0.3, scale);
    let slow = draws(7, 400, |u| 0.4 * libm::pow(10.0, 4.2 * u * u));
    vec![
        ecdf("four", "failover.duration", Unit::Time, four, vec![limit("p99 <= 8s", 8_000.0)]).chart(),
        ecdf("one", "failover.duration", Unit::Time, vec![time(5_600.0, "", 1)], vec![limit("max <= 60s", 60_000.0)])
            .chart(),
        ecdf(
            "log",
            "writes.latency-p99",
            Unit::Time,
            vec![sample("A", latency(5, 2.0), 0), sample("B", slow, 12)],
            vec![limit("<= 1s", 1_000.0)],
        )
        .chart(),
        ecdf(
            "counts",
            "writes.lost",
            Unit::Count,
            vec![
                sample("A", draws(8, 500, |u| libm::floor(u * u * 12.0)), 0),
                sample("B", draws(9, 500, |u| libm::floor(u * 4.0)), 0),
            ],
            vec![limit("= 0", 0.0)],
        )
        .chart(),
        ecdf("none", "failover.duration", Unit::Time, vec![sample("A", vec![], 40)], vec![]).chart(),
        ecdf("single", "writes.lost-ratio", Unit::Ratio, vec![sample("A", vec![0.25], 0)], vec![]).chart(),
        ecdf("equal", "replication.lag-max", Unit::Bytes, vec![sample("A", vec![4_096.0; 200], 0)], vec![]).chart(),
        ecdf(
            "negative",
            "difference of failover.duration",
            Unit::Time,
            vec![sample("B - A", draws(3, 200, |u| (u - 0.6) * 900.0), 0)],
            vec![limit("no difference", 0.0)],
        )
        .chart(),
        grid(),
    ]
}

fn grid() -> Chart {
    let panel = |n: u64| EcdfPanel {
        title: format!("fault → +sdown {n}"),
        unit: Unit::Time,
        samples: [
            sample("recorded", skewed(n, if n == 5 { 1 } else { 30 }, 1_000.0, 40.0), 0),
            sample("simulated", if n == 6 { vec![] } else { skewed(n + 50, 300, 1_000.0, 45.0) }, 0),
        ],
    };
    let row = |heading: &str, panels: Vec<EcdfPanel>| EcdfRow { heading: heading.into(), panels };
    let grid = EcdfGrid {
        name: "kit_ecdf_grid".into(),
        title: "Is the simulated distribution the recorded one?".into(),
        subtitle: "sample".into(),
        labels: ["recorded".into(), "simulated".into()],
        rows: vec![row("crash", (1..=5).map(panel).collect()), row("pause", vec![panel(6)]), row("none", vec![])],
    };
    grid.chart()
}

fn histogram(name: &str, axis: &str, unit: Unit, values: Vec<f64>, absent: u64, limits: Vec<Limit>) -> Chart {
    let chart = Histogram {
        name: format!("kit_histogram_{name}"),
        title: format!("How often is {axis} how large?"),
        subtitle: "sample · seeds 0..1000".into(),
        axis: axis.into(),
        unit,
        sample: sample("", values, absent),
        limits,
    };
    chart.chart()
}

fn histograms() -> Vec<Chart> {
    let large = skewed(1, 10_000, 5_600.0, 250.0);
    let counts = draws(2, 1_000, |u| libm::floor(u * u * u * 25.0));
    let many = draws(3, 1_000, |u| libm::floor(u * u * 4_000.0));
    let log = draws(4, 3_000, |u| 2e3 * libm::pow(10.0, 3.0 * u * u));
    vec![
        histogram("large", "failover.duration", Unit::Time, large, 17, vec![limit("p99 <= 8s", 8_000.0)]),
        histogram("small", "failover.duration", Unit::Time, skewed(5, 9, 5_600.0, 250.0), 1, vec![]),
        histogram("counts", "election.rounds", Unit::Count, counts, 0, vec![limit("<= 3", 3.0)]),
        histogram("many_counts", "writes.lost", Unit::Count, many, 0, vec![]),
        histogram("log", "replication.lag-max", Unit::Bytes, log, 0, vec![]),
        histogram("bool", "converged", Unit::Bool, draws(6, 200, |u| f64::from(u8::from(u < 0.97))), 0, vec![]),
        histogram("ratio", "writes.lost-ratio", Unit::Ratio, draws(7, 200, |u| u * 0.02), 0, vec![]),
        histogram("none", "failover.duration", Unit::Time, vec![], 1_000, vec![]),
        histogram("single", "failover.duration", Unit::Time, vec![6_123.456], 0, vec![]),
        histogram("zeros", "split-brain.duration", Unit::Time, vec![0.0; 500], 0, vec![]),
    ]
}

fn heat_map(
    name: &str,
    unit: Unit,
    rows: &[&str],
    columns: &[&str],
    of: impl Fn(usize, usize) -> Option<f64>,
) -> Chart {
    let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let cells = (0..rows.len())
        .map(|row| (0..columns.len()).map(|column| Cell { value: of(row, column), runs: 200 }).collect())
        .collect();
    let map = HeatMap {
        name: format!("kit_heatmap_{name}"),
        title: "How does it depend on latency and down-after-milliseconds?".into(),
        subtitle: "sample · seeds 0..200 each".into(),
        value: "failover.duration.mean".into(),
        unit,
        row_field: "network.latency".into(),
        rows: own(rows),
        column_field: "sentinel.down-after-milliseconds".into(),
        columns: own(columns),
        cells,
    };
    map.chart()
}

#[allow(clippy::cast_precision_loss, reason = "made-up numbers")]
fn heat_maps() -> Vec<Chart> {
    let latencies = ["0.5ms", "5ms", "50ms", "200ms"];
    let after = ["500", "1000", "2000", "5000", "30000"];
    let time = |row: usize, column: usize| Some(700.0 * libm::pow(2.2, column as f64) + 90.0 * (row * row) as f64);
    let wide: Vec<String> = (0..30).map(|n| format!("{} of 30", n + 1)).collect();
    let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
    let names = ["uniform(0.2ms, 1ms)", "normal(1ms, 0.2ms) and a half", "lognormal(0.5ms, 0.4)"];
    vec![
        heat_map("times", Unit::Time, &latencies, &after, time),
        heat_map("ratio", Unit::Ratio, &names, &after, |row, column| {
            (row + column != 3).then(|| (row + column) as f64 / 12.0)
        }),
        heat_map("wide", Unit::Count, &wide[..20], &wide, |row, column| Some((row * column * 37) as f64)),
        heat_map("log", Unit::Count, &latencies, &after, |row, column| Some(libm::pow(4.0, (row + column) as f64))),
        heat_map("one", Unit::Count, &["1"], &["a"], |_, _| Some(3.0)),
        heat_map("none", Unit::Count, &["1", "2"], &["a", "b"], |_, _| None),
        heat_map("empty", Unit::Count, &[], &[], |_, _| None),
    ]
}

fn point(x: &str, value: f64, half: f64, runs: u64) -> LinePoint {
    LinePoint { x: x.into(), value: Some(value), low: Some(value - half), high: Some(value + half), runs }
}

fn chart_of(name: &str, field: &str, value: &str, unit: Unit, lines: Vec<Line>, boundary: Option<Boundary>) -> Chart {
    let chart = Lines {
        name: format!("kit_lines_{name}"),
        title: format!("How does {value} depend on {field}?"),
        subtitle: "sample · seeds 0..200 each".into(),
        field: field.into(),
        value: value.into(),
        unit,
        interval: "95% confidence interval".into(),
        lines,
        boundary,
    };
    chart.chart()
}

fn lines() -> Vec<Chart> {
    let after = ["500", "1000", "2000", "5000", "30000"];
    let against = |label: &str, scale: f64| Line {
        label: label.into(),
        points: after
            .iter()
            .map(|x| {
                let number: f64 = x.parse().expect("a number");
                point(x, number + 600.0 * scale, 120.0 * scale, 200)
            })
            .collect(),
    };
    let hits = [0, 0, 1, 2, 6, 11, 18, 24, 30, 30, 30];
    let bisect = hits
        .iter()
        .enumerate()
        .map(|(n, &hits)| LinePoint::from(&Rate { x: format!("{}ms", 9_900 + 20 * n), hits, runs: 30 }));
    let boundary = Boundary { from: "9980ms".into(), to: "10s".into(), text: "fails from 10s on".into() };
    let named = |label: &str, shift: f64| Line {
        label: label.into(),
        points: ["always", "everysec", "no"].iter().map(|x| point(x, 12.0 + shift, 2.0, 50)).collect(),
    };
    let none = Line { label: String::new(), points: vec![LinePoint { x: "1s".into(), ..LinePoint::default() }] };
    let mut holes = against("", 1.0);
    holes.points[2] = LinePoint { x: "2000".into(), ..LinePoint::default() };
    let alone = Line { label: String::new(), points: vec![point("5s", 6_000.0, 0.0, 1)] };
    vec![
        chart_of(
            "settings",
            "down-after-milliseconds",
            "failover.duration.mean",
            Unit::Time,
            vec![against("latency 0.5ms", 1.0), against("latency 50ms", 3.0), against("latency 500ms", 9.0)],
            None,
        ),
        chart_of(
            "bisect",
            "fault[0].at",
            "share of runs that fail",
            Unit::Ratio,
            vec![Line { label: String::new(), points: bisect.collect() }],
            Some(boundary),
        ),
        chart_of("names", "appendfsync", "writes.lost.mean", Unit::Count, vec![named("A", 0.0), named("B", 1.5)], None),
        chart_of("none", "network.latency", "failover.duration.mean", Unit::Time, vec![none], None),
        chart_of("holes", "down-after-milliseconds", "failover.duration.mean", Unit::Time, vec![holes], None),
        chart_of("single", "down-after-milliseconds", "failover.duration.p99", Unit::Time, vec![alone], None),
        chart_of("empty", "network.latency", "failover.duration.mean", Unit::Time, vec![], None),
    ]
}
