//! E8: partial or full resynchronisation, and when.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use splitbrain::trace::event::{ServerEvent, SyncKind, WorldEvent};
use splitbrain::trace::{Event, Kind};

use super::{Recorded, recorded, simulate};

/// Seeds for each variant: outcomes are the same for all, times vary with the phase of crons.
const SEEDS: u64 = 100;

/// A variant: its key, its file, and the resynchronisations that (nearly) every run must grant after the first fault. Where the
/// recording counted at the master these equal its counters, which is checked; `promote` and `switch-back` changed
/// the master, so there they are the recorded logs' outcome.
const VARIANTS: &[(&str, &str, u64, u64)] = &[
    ("E8/cut-8k", "e8-cut-8k", 0, 1),
    ("E8/cut-60k", "e8-cut-60k", 1, 0),
    ("E8/killclient-8k", "e8-killclient-8k", 0, 1),
    ("E8/killclient-60k", "e8-killclient-60k", 0, 1),
    ("E8/silent-short-8k", "e8-silent-short-8k", 0, 0),
    ("E8/silent-short-60k", "e8-silent-short-60k", 0, 0),
    ("E8/silent-long-8k", "e8-silent-long-8k", 0, 1),
    ("E8/silent-long-60k", "e8-silent-long-60k", 1, 0),
    ("E8/sleep-short-8k", "e8-sleep-short-8k", 0, 0),
    ("E8/sleep-short-60k", "e8-sleep-short-60k", 0, 0),
    ("E8/sleep-long-8k", "e8-sleep-long-8k", 0, 1),
    ("E8/sleep-long-60k", "e8-sleep-long-60k", 0, 1),
    ("E8/full-diskless-yes-delay0", "e8-full-diskless-yes-delay0", 1, 0),
    ("E8/full-diskless-yes-delay5", "e8-full-diskless-yes-delay5", 1, 0),
    ("E8/full-diskless-no-delay0", "e8-full-diskless-no-delay0", 1, 0),
    ("E8/full-diskless-no-delay5", "e8-full-diskless-no-delay5", 1, 0),
    ("E8/restart-replica-kill", "e8-restart-replica-kill", 0, 1),
    ("E8/restart-replica-save", "e8-restart-replica-save", 0, 1),
    ("E8/restart-master", "e8-restart-master", 1, 0),
    ("E8/promote", "e8-promote", 0, 2),
    ("E8/switch-back", "e8-switch-back", 2, 0),
];

/// The silence ends after 3.3 s, TCP's retransmission timers reach it 3 to 6.2 s after the first lost segment, and
/// repl-timeout strikes after 6 to 7 s: which is first depends on when in the second the last ACK was sent. A replica that
/// wakes from a sleep reads what has arrived before its cron runs, unless the tick that it overslept was the one in ten
/// that looks at time-outs.
const VARYING: &[&str] = &["e8-silent-short-8k", "e8-silent-short-60k", "e8-sleep-long-8k", "e8-sleep-long-60k"];

/// What one run granted after its first fault, and when the last resynchronisation was complete (ms after the fault).
struct Outcome {
    full: u64,
    partial: u64,
    synced_at: Option<f64>,
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds in a test")]
fn outcome(events: &[Event]) -> Outcome {
    let mut zero = None;
    let mut outcome = Outcome { full: 0, partial: 0, synced_at: None };
    for event in events {
        match &event.kind {
            Kind::World(WorldEvent::FaultBegan { .. }) if zero.is_none() => zero = Some(event.at.0),
            Kind::Server(ServerEvent::SyncGranted { kind, .. }) if zero.is_some() => match kind {
                SyncKind::Full => outcome.full += 1,
                SyncKind::Partial => outcome.partial += 1,
            },
            Kind::Server(ServerEvent::Synced { .. }) => {
                if let Some(zero) = zero {
                    outcome.synced_at = Some((event.at.0 - zero) as f64 / 1e6);
                }
            }
            _ => {}
        }
    }
    outcome
}

/// The recorded time at which the replica was back, where the recording has one.
fn recorded_time(recorded: &Recorded) -> Option<f64> {
    recorded.outcomes.first()?.get("resynced_at")?.as_f64()
}

/// How far the recorded time may lie outside of the simulated ones: a single run, polled every 300 ms.
const SAMPLING_MS: f64 = 700.0;

#[test]
fn e8_partial_or_full() {
    let mut problems = String::new();
    for &(key, slug, full, partial) in VARIANTS {
        let recording = &recorded()[key];
        let counters = &recording.outcomes[0];
        if !matches!(slug, "e8-promote" | "e8-switch-back" | "e8-restart-master") {
            let counted = (counters["sync_full"].as_u64(), counters["sync_partial_ok"].as_u64());
            assert_eq!(counted, (Some(full), Some(partial)), "{key}: the table and the recording differ");
        }
        let mut times = Vec::new();
        let mut others: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        simulate(slug, SEEDS, |run| {
            let seen = outcome(&run.events);
            if (seen.full, seen.partial) == (full, partial) {
                times.extend(seen.synced_at);
            } else {
                *others.entry((seen.full, seen.partial)).or_default() += 1;
            }
        });
        let other: u64 = others.values().sum();
        let most = if VARYING.contains(&slug) { SEEDS / 2 } else { SEEDS / 50 };
        if other > most {
            writeln!(
                problems,
                "{key}: recorded {full} full and {partial} partial; {other} of {SEEDS} seeds: {others:?}"
            )
            .expect("string");
        }
        if let (Some(real), Some(low), Some(high)) =
            (recorded_time(recording), super::stats::quantile(&times, 0.0), super::stats::quantile(&times, 1.0))
            && !(low - SAMPLING_MS..=high + SAMPLING_MS).contains(&real)
        {
            writeln!(problems, "{key}: back after {real:.0} ms, simulated {low:.0}..{high:.0}").expect("string");
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}
