//! E8's sweeps of sizes: partial or full resynchronisation at each size, and the backlog's window to the byte.

use std::fmt::Write as _;

use serde::Deserialize;
use splitbrain::trace::event::{ServerEvent, SyncKind};
use splitbrain::trace::{Event, Kind};

use super::{root, simulate};

/// Nothing in these scenarios is random but run ids and what the clock says.
const SEEDS: u64 = 3;

/// The scenarios, in the order of the recorded sweeps.
const SLUGS: [&str; 3] = ["e8-sweep-small", "e8-sweep-large", "e8-sweep-default-backlog"];

/// A recorded step: `bytes` were written while the replica was away at `replica_offset`.
#[derive(Debug, Deserialize)]
struct Row {
    bytes: u64,
    replica_offset: u64,
    master_offset: u64,
    first_byte_offset: u64,
    histlen: u64,
    full: u32,
}

#[derive(Debug, Deserialize)]
struct Sweep {
    rows: Vec<Row>,
}

/// What the simulated master said at one step.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    full: bool,
    /// Where the replica continued; a full resynchronisation doesn't say.
    from: Option<u64>,
    master_offset: u64,
    first_byte_offset: u64,
    histlen: u64,
}

/// The steps of a run: each answer to PSYNC after the first one, with the next reading of offset and backlog.
fn steps(events: &[Event]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut window = (0, 0, 0);
    let mut granted = 0;
    // The last step's window is still to be read.
    let mut unread = false;
    let master = events.iter().find(|event| matches!(event.kind, Kind::Server(ServerEvent::SyncGranted { .. })));
    let master = master.and_then(|event| event.node);
    for event in events.iter().filter(|event| event.node == master) {
        let Kind::Server(event) = &event.kind else { continue };
        match event {
            ServerEvent::SyncGranted { kind, offset, bytes, .. } => {
                granted += 1;
                if granted > 1 {
                    let from = (*kind == SyncKind::Partial).then(|| offset - 1);
                    let master_offset = from.map_or(*offset, |from| from + bytes);
                    steps.push(Step { full: from.is_none(), from, master_offset, first_byte_offset: 0, histlen: 0 });
                    unread = true;
                }
            }
            ServerEvent::Offset { offset, backlog_first, backlog_len } if *backlog_first > 0 => {
                window = (*offset, *backlog_first, *backlog_len);
            }
            _ => {}
        }
        let (offset, first, len) = window;
        if let Some(step) = steps.last_mut().filter(|step| unread && offset >= step.master_offset) {
            // A PING may have followed before the reading.
            (step.first_byte_offset, step.histlen) = (first, len - (offset - step.master_offset));
            unread = false;
        }
    }
    steps
}

#[test]
fn e8_sweeps_to_the_byte() {
    let text = std::fs::read_to_string(root().join("tests/data/backlog_sweeps.json")).expect("the recorded sweeps");
    let sweeps: Vec<Sweep> = serde_json::from_str(&text).expect("the recorded sweeps");
    assert_eq!(sweeps.len(), SLUGS.len());
    let mut problems = String::new();
    for (sweep, slug) in sweeps.iter().zip(SLUGS) {
        simulate(slug, SEEDS, |run| {
            let steps = steps(&run.events);
            assert_eq!(steps.len(), sweep.rows.len(), "{slug} seed {}", run.seed);
            for (row, step) in sweep.rows.iter().zip(steps) {
                let recorded = Step {
                    full: row.full == 1,
                    from: (row.full == 0).then_some(row.replica_offset),
                    master_offset: row.master_offset,
                    first_byte_offset: row.first_byte_offset,
                    histlen: row.histlen,
                };
                if step != recorded {
                    writeln!(problems, "{slug} seed {} at {} bytes:\n  {recorded:?}\n  {step:?}", run.seed, row.bytes)
                        .expect("string");
                }
            }
        });
    }
    assert!(problems.is_empty(), "\n{problems}");
}
