//! The gallery of locks, `reports/locks/index.html`: every scenario of `scenarios/locks` with its chart and what came of it, drawn
//! anew and compared. `UPDATE=1` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use splitbrain::check::Value;
use splitbrain::report::html::escape;
use splitbrain::report::stage::Stage;
use splitbrain::report::{Run, chart};
use splitbrain::run;

use super::scenario_files::load;

/// The parts of the page: heading, what it is about, its scenarios.
const PARTS: [(&str, &str, &[&str]); 7] = [
    (
        "The pause",
        "Kleppmann's objection of 2016: a holder stops for longer than its lock lives, and goes on as if nothing had been. No clock is \
         wrong and no message lost. Looking at a clock helps against what comes before the looking; only a token on the write itself helps \
         against all of it.",
        &[
            "redlock-gc-pause",
            "redlock-gc-pause-fencing",
            "redlock-gc-pause-delayed-restart",
            "redlock-gc-pause-monotonic",
            "redlock-gc-pause-checked",
            "redlock-delayed-write",
            "redlock-delayed-write-fencing",
        ],
    ),
    (
        "A server's clock",
        "Redis expires keys by the wall clock. Where one of a majority is set forward, its vote can be had twice.",
        &[
            "redlock-clock-jump",
            "redlock-clock-jump-fencing",
            "redlock-clock-jump-delayed-restart",
            "redlock-clock-jump-monotonic",
        ],
    ),
    (
        "A client's clock",
        "Ruby and JavaScript measure the validity with the wall clock, Go with the monotonic one. Only the first can be set back.",
        &[
            "redlock-client-clock-wall",
            "redlock-client-clock-fencing",
            "redlock-client-clock-delayed-restart",
            "redlock-client-clock-monotonic",
        ],
    ),
    (
        "A server that forgets",
        "One server of a majority comes back without its data. The documentation's cure is to keep it away for longer than any lock \
         lives; fencing tokens from the same servers are forgotten with the lock.",
        &[
            "redlock-restart-empty",
            "redlock-restart-empty-fencing",
            "redlock-delayed-restart",
            "redlock-restart-empty-monotonic",
            "redlock-restart-everysec",
            "redlock-restart-always",
            "restart-fencing",
        ],
    ),
    (
        "Getting the lock",
        "Answers that take longer than the lock lives, clients that want it in the same instant, one that extends it for as long as it \
         can, a queue, and an undisturbed afternoon.",
        &[
            "redlock-slow-acquire",
            "node-redlock-slow-acquire",
            "redlock-vote-split",
            "redlock-vote-split-jitter",
            "redlock-extension",
            "redisson-fair",
            "redlock-quiet",
        ],
    ),
    (
        "One master and its replicas",
        "A lock at a master is as safe as the replication of the master: a failover loses it.",
        &["failover-lock", "failover-lock-wait", "client-cut-from-redis", "watchdog-starvation", "watchdog-immortal"],
    ),
    (
        "What not to do",
        "Locks without an end, locks that anybody deletes, and the same done right; then random faults at a lock that is fenced, and at \
         RedLock as it is meant to be.",
        &["unsafe-setnx-crash", "unsafe-del", "single-late-release", "chaos-fencing", "chaos-redlock"],
    ),
];

/// The sweeps whose charts the page shows: file, seeds, caption.
const SWEEPS: [(&str, &str, &str); 2] = [
    (
        "lock-pause-against-ttl",
        "0..200",
        "How often one pause makes a second holder, by its length and the lock's time to live: 200 runs for each cell.",
    ),
    (
        "lock-clock-drift",
        "0..25",
        "How often fast servers' clocks make a second holder of RedLock, by their drift (parts per million) and the allowance for it \
         (a share of the time to live): 25 runs for each cell.",
    ),
];

const STYLE: &str = "body{font:15px/1.5 'DejaVu Sans',sans-serif;max-width:1240px;margin:2em auto;padding:0 1em;color:#1a1a1a}\
h2{margin-top:2.5em;border-top:1px solid #d5d8dc;padding-top:1em}h3{margin:2em 0 .2em}svg{max-width:100%;height:auto}\
.facts{color:#5f6368;font-size:13px}nav ul{columns:3;font-size:13px;padding-left:1.2em}code{font-size:13px}";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// What came of a run, in words that the documentation's table uses too.
pub(crate) fn outcome(run: &Run) -> String {
    let count = |name: &str| if let Value::Count(n) = run.metrics[name] { n } else { 0 };
    let mut parts = vec![if count("lock.violations") > 0 { "two holders" } else { "one holder" }];
    if count("lock.acquired") == 0 {
        parts = vec!["no holder"];
    }
    if count("lock.writes-stale") > 0 {
        parts.push("stale writes");
    }
    if count("lock.writes-rejected") > 0 {
        parts.push("writes refused");
    }
    if count("lock.fencing-violations") > 0 {
        parts.push("tokens go back");
    }
    if run.metrics["lock.deadlock"] == Value::Bool(true) {
        parts.push("stuck");
    }
    parts.join(", ")
}

/// A scenario's section: its description, its chart, its outcome.
fn section(name: &str) -> String {
    let path = root().join("scenarios/locks").join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path).expect("readable");
    let scenario = load(&path, &text, &[]).unwrap_or_else(|report| panic!("{report}")).scenario.into();
    let (run, events) = run::run_and_keep(&scenario, scenario.seed);
    let stage = Stage::of(&events);
    let charts = chart::all(&run, &stage, &events);
    let chart = charts.iter().find(|chart| chart.name == "locks").expect("somebody locks");
    let show = |name: &str, unit| run.metrics[name].show(unit);
    let mut out = format!("<section id=\"{name}\">\n<h3>{name}</h3>\n<p>{}</p>\n", escape(&run.description));
    out.push_str(&chart.inline_svg());
    let _ = writeln!(
        out,
        "<p class=\"facts\"><b>{}</b> · acquired {} · two holders for {} · stale writes {} · <code>splitbrain run \
         scenarios/locks/{name}.toml</code></p>\n</section>",
        outcome(&run),
        show("lock.acquired", splitbrain::check::Unit::Count),
        show("lock.violation-time", splitbrain::check::Unit::Time),
        show("lock.writes-stale", splitbrain::check::Unit::Count),
    );
    out
}

/// A chart that a sweep has left in the folder, without the font that the page has.
fn sweep(name: &str, seeds: &str, caption: &str) -> String {
    let svg = std::fs::read_to_string(root().join(format!("reports/locks/{name}.svg"))).expect("the sweep's chart");
    let (head, rest) = svg.split_once("<style>").expect("it brings its font");
    let (_, body) = rest.split_once("</style>\n").expect("the style ends");
    format!(
        "<section id=\"{name}\">\n<p>{caption}</p>\n{head}{body}<p class=\"facts\"><code>splitbrain sweep \
         docs/sweeps/{name}.toml --seeds {seeds}</code></p>\n</section>\n"
    )
}

fn page() -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<title>Locks on Redis, seen failing · splitbrain</title>\n");
    out.push_str(&chart::font_style());
    let _ = writeln!(out, "<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>Locks on Redis, seen failing</h1>");
    out.push_str(
        "<p>Each picture is one run: a lane for each client, for what the lock protects, and for each server. A bar is what a client \
         believes, or whose token a server holds until when by its own clock; diamonds are writes that the database took, crosses those \
         that it refused. The red bands are times with two holders.</p>\n<nav>\n<ul>\n",
    );
    for name in PARTS.iter().flat_map(|part| part.2) {
        let _ = writeln!(out, "<li><a href=\"#{name}\">{name}</a></li>");
    }
    out.push_str("<li><a href=\"#sweeps\">how likely</a></li>\n</ul>\n</nav>\n");
    for (title, about, names) in PARTS {
        let _ = writeln!(out, "<h2>{title}</h2>\n<p>{about}</p>");
        for name in names {
            out.push_str(&section(name));
        }
    }
    out.push_str("<h2 id=\"sweeps\">How likely</h2>\n");
    for (name, seeds, caption) in SWEEPS {
        out.push_str(&sweep(name, seeds, caption));
    }
    out.push_str(
        "<p class=\"facts\">Drawn by <code>UPDATE=1 cargo test --test suite gallery</code>.</p>\n</body>\n</html>\n",
    );
    out
}

#[test]
fn the_gallery_is_as_it_is_drawn() {
    let all: BTreeSet<&str> = PARTS.iter().flat_map(|part| part.2).copied().collect();
    let files = std::fs::read_dir(root().join("scenarios/locks")).expect("the folder is there");
    let stem = |path: PathBuf| path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    let files: BTreeSet<String> = files.map(|entry| stem(entry.expect("an entry").path())).collect();
    assert_eq!(all, files.iter().map(String::as_str).collect(), "every scenario has its place in the gallery");
    let (path, drawn) = (root().join("reports/locks/index.html"), page());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, drawn).expect("written");
        return;
    }
    let kept = std::fs::read_to_string(&path).expect("readable");
    let differs = kept.lines().zip(drawn.lines()).position(|(kept, drawn)| kept != drawn);
    assert!(
        kept == drawn,
        "reports/locks/index.html is not what is drawn now, from line {:?} on; UPDATE=1 draws it anew",
        differs.map(|line| line + 1)
    );
}

/// The table of the exchange between Kleppmann and antirez says what the scenarios come to, in every cell.
#[test]
fn the_exchange_comes_out_as_the_table_says() {
    let text = std::fs::read_to_string(root().join("docs/locks.md")).expect("the page is there");
    let rows = text.lines().filter(|line| line.contains("](../scenarios/locks/") && line.split('|').count() == 7);
    let cells = rows.flat_map(|row| row.split('|')).filter_map(|cell| cell.trim().strip_prefix('['));
    let mut count = 0;
    for cell in cells {
        let (said, rest) = cell.split_once("](../scenarios/locks/").expect("a link to a scenario");
        let name = rest.split(".toml").next().expect("its name");
        let path = root().join("scenarios/locks").join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let scenario = load(&path, &text, &[]).unwrap_or_else(|report| panic!("{report}")).scenario.into();
        assert_eq!(said, outcome(&run::run(&scenario, scenario.seed, &mut |_| {})), "{name}");
        count += 1;
    }
    assert_eq!(count, 16, "four faults, and four things to do about them");
}
