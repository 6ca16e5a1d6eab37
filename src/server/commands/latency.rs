//! LATENCY: where the main thread lost time (`latencyCommand`).

use super::flag::{ADMIN, LOADING, NOSCRIPT, STALE};
use super::{Command, Spec, container, row};
use crate::resp::lossless;
use crate::server::call::Cx;
use crate::server::latency::{self, Sample};

/// The row of this group.
pub(crate) const SPECS: &[Spec] = &[container(row("latency", -2, 0, (0, 0, 0), "@slow", super::no_handler), SUBS)];

const FLAGS: u64 = ADMIN | NOSCRIPT | LOADING | STALE;

#[rustfmt::skip]
const SUBS: &[Spec] = &[
    row("latency|doctor", 2, FLAGS, (0, 0, 0), "@admin @slow @dangerous", doctor),
    row("latency|graph", 3, FLAGS, (0, 0, 0), "@admin @slow @dangerous", graph),
    row("latency|help", 2, LOADING | STALE, (0, 0, 0), "@slow", help),
    row("latency|histogram", -2, FLAGS, (0, 0, 0), "@admin @slow @dangerous", histogram),
    row("latency|history", 3, FLAGS, (0, 0, 0), "@admin @slow @dangerous", history),
    row("latency|latest", 2, FLAGS, (0, 0, 0), "@admin @slow @dangerous", latest),
    row("latency|reset", -2, FLAGS, (0, 0, 0), "@admin @slow @dangerous", reset),
];

fn add_number(cx: &mut Cx<'_>, number: u64) {
    cx.add_integer(i64::try_from(number).unwrap_or(i64::MAX));
}

fn history(cx: &mut Cx<'_>) {
    let found = cx.s.latency.of(cx.args.get(2));
    let samples: Vec<Sample> = found.map(|(_, series)| series.samples().collect()).unwrap_or_default();
    cx.add_array(samples.len());
    for sample in samples {
        cx.add_array(2);
        add_number(cx, sample.time);
        add_number(cx, sample.ms);
    }
}

fn latest(cx: &mut Cx<'_>) {
    let events = cx.s.latency.events().map(|(name, series)| (name, series.latest(), series.max));
    let events: Vec<(&str, Sample, u64)> = events.collect();
    cx.add_array(events.len());
    for (name, sample, max) in events {
        cx.add_array(4);
        cx.add_bulk(name.as_bytes());
        add_number(cx, sample.time);
        add_number(cx, sample.ms);
        add_number(cx, max);
    }
}

fn graph(cx: &mut Cx<'_>) {
    let now = cx.s.now.unix.secs();
    match cx.s.latency.of(cx.args.get(2)).map(|(event, series)| series.graph(event, now)) {
        Some(text) => cx.add_verbatim(text.as_bytes(), *b"txt"),
        None => {
            let event = lossless(cx.args.get(2));
            cx.add_error(&format!("ERR No samples available for event '{event}'"));
        }
    }
}

fn doctor(cx: &mut Cx<'_>) {
    let text = latency::report(cx.s);
    cx.add_verbatim(text.as_bytes(), *b"txt");
}

fn reset(cx: &mut Cx<'_>) {
    let args = cx.args;
    let count = match args.len() {
        2 => cx.s.latency.reset(None),
        _ => (2..args.len()).map(|i| cx.s.latency.reset(Some(args.get(i)))).sum(),
    };
    cx.add_count(count);
}

/// Cumulative distributions, of all commands or of those named with their subcommands.
fn histogram(cx: &mut Cx<'_>) {
    let args = cx.args;
    let chosen: Vec<&'static Command> = if args.len() == 2 {
        cx.s.config.renamed.commands().collect()
    } else {
        (2..args.len()).filter_map(|i| cx.s.config.renamed.find(args.get(i))).collect()
    };
    let whole = chosen.into_iter().flat_map(|command| std::iter::once(command).chain(&command.subs));
    let of = |command: &'static Command| Some((command.spec.name, cx.s.stats.latency_of(command.id)?));
    let found: Vec<_> = whole.filter_map(of).collect();
    cx.add_map(found.len());
    for (name, histogram) in found {
        cx.add_bulk(name.as_bytes());
        cx.add_map(2);
        cx.add_bulk(b"calls");
        add_number(cx, histogram.total);
        cx.add_bulk(b"histogram_usec");
        let rows = histogram.cumulative();
        cx.add_map(rows.len());
        for (us, count) in rows {
            add_number(cx, us);
            add_number(cx, count);
        }
    }
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "latency",
        &[
            "DOCTOR",
            "    Return a human readable latency analysis report.",
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
            "HISTOGRAM [COMMAND ...]",
            "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
            "    If no commands are specified then all histograms are replied.",
        ],
    );
}
