//! Many runs on several threads: rows that are the same, and come in the same order, for any number of threads.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Ended, Limits, Signature, run_limited};
use crate::check::{METRICS, Value, Values, Verdict};
use crate::report::Run;
use crate::rng::Seed;
use crate::scenario::Scenario;
use crate::time::Span;
use crate::trace::Fingerprint;

/// One run to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job {
    /// Which of the scenarios.
    pub variant: u32,
    /// With which seed.
    pub seed: Seed,
}

/// What one run came to: everything that can be said of it in a line. Nothing in it depends on the machine it ran on.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which of the scenarios.
    pub variant: u32,
    /// With which seed.
    pub seed: Seed,
    /// The fingerprint of its trace.
    pub digest: Fingerprint,
    /// How many events.
    pub events: u64,
    /// Simulated time.
    pub simulated: Span,
    /// The metrics; all absent if it broke.
    pub metrics: Values,
    /// The places of the scenario's expectations that failed. Those with a statistic are about many runs: they are never here.
    pub failed: Vec<u16>,
    /// The worst of the checkers' verdicts.
    pub verdict: Verdict,
    /// Who gave it.
    pub checker: &'static str,
    /// The order of its key events.
    pub signature: Signature,
    /// How it ended.
    pub ended: Ended,
}

impl Row {
    /// Whether it came to its end and every expectation about single runs held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failed.is_empty() && self.ended.finished()
    }

    /// The row of a finished run.
    #[must_use]
    pub fn of(variant: u32, scenario: &Scenario, run: Run) -> Row {
        let signature = Signature::of(&run.findings);
        let (checker, verdict) = run.verdicts.into_iter().next().unwrap_or(("none", Verdict::Pass));
        Row {
            variant,
            seed: run.seed,
            digest: run.digest,
            events: run.events.0,
            simulated: run.simulated,
            failed: failed(scenario, &run.metrics),
            metrics: run.metrics,
            verdict,
            checker,
            signature,
            ended: run.ended,
        }
    }

    /// The row of a run in which splitbrain broke.
    fn broken(job: Job, scenario: &Scenario, panic: String) -> Row {
        let metrics: Values = METRICS.iter().map(|metric| (metric.name, Value::Absent)).collect();
        Row {
            variant: job.variant,
            seed: job.seed,
            digest: Fingerprint::default(),
            events: 0,
            simulated: Span::ZERO,
            failed: failed(scenario, &metrics),
            metrics,
            verdict: Verdict::Unknown { why: "splitbrain broke".to_owned() },
            checker: "none",
            signature: Signature::broken(),
            ended: Ended::Broken(panic),
        }
    }
}

/// The places of the expectations about single runs that the metrics don't meet.
#[must_use]
pub fn failed(scenario: &Scenario, metrics: &Values) -> Vec<u16> {
    let missed = scenario.expect.iter().enumerate().filter(|(_, expectation)| {
        let actual = metrics.get(&*expectation.metric).copied().unwrap_or(Value::Absent);
        expectation.statistic.is_none() && !expectation.holds(actual)
    });
    missed.map(|(index, _)| u16::try_from(index).unwrap_or(u16::MAX)).collect()
}

/// Makes one run; a panic in it becomes a row.
#[must_use]
pub fn one(variants: &[Arc<Scenario>], job: Job, limits: &Limits) -> Row {
    let scenario = &variants[job.variant as usize];
    let run = catch_unwind(AssertUnwindSafe(|| run_limited(scenario, job.seed, limits, &mut |_| {})));
    match run {
        Ok(run) => Row::of(job.variant, scenario, run),
        Err(panic) => Row::broken(job, scenario, panic_text(&*panic)),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

/// Makes the runs on so many threads. `sink` gets the rows on the caller's thread, in the order of the jobs, as they
/// become ready; when it breaks, no further run begins. Few rows exist at a time, however many jobs there are.
///
/// Without the `sweep` feature everything happens on the caller's thread.
///
/// # Panics
/// When a job names a variant that isn't there.
pub fn batch(
    variants: &[Arc<Scenario>],
    jobs: &mut dyn Iterator<Item = Job>,
    threads: usize,
    limits: &Limits,
    sink: &mut dyn FnMut(Row) -> ControlFlow<()>,
) {
    #[cfg(feature = "sweep")]
    if threads > 1 {
        return parallel::batch(variants, jobs, threads, limits, sink);
    }
    let _ = threads;
    for job in jobs {
        if sink(one(variants, job, limits)).is_break() {
            return;
        }
    }
}

#[cfg(feature = "sweep")]
mod parallel {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::{Arc, ControlFlow, Job, Limits, Row, Scenario, one};

    /// So many runs a thread are under way or waiting for an earlier one to end: one that takes long doesn't hold up the others soon.
    const AHEAD: usize = 16;

    pub(super) fn batch(
        variants: &[Arc<Scenario>],
        jobs: &mut dyn Iterator<Item = Job>,
        threads: usize,
        limits: &Limits,
        sink: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let Ok(pool) = pool else {
            // A system that grants no threads still has this one.
            return super::batch(variants, jobs, 1, limits, sink);
        };
        let stopped = AtomicBool::new(false);
        let (send, receive) = mpsc::channel::<(u64, Option<Row>)>();
        pool.in_place_scope_fifo(|scope| {
            let mut window = Window::default();
            let mut more = true;
            loop {
                while more && window.len() < threads * AHEAD {
                    let Some(job) = jobs.next() else {
                        more = false;
                        break;
                    };
                    let (number, send, stopped) = (window.open(), send.clone(), &stopped);
                    scope.spawn_fifo(move |_| {
                        let row = (!stopped.load(Ordering::Relaxed)).then(|| one(variants, job, limits));
                        // The receiver is gone only when the caller has stopped.
                        let _ = send.send((number, row));
                    });
                }
                if window.len() == 0 {
                    return;
                }
                let (number, row) = receive.recv().expect("a sender is held here");
                window.fill(number, row);
                while let Some(row) = window.next() {
                    if sink(row).is_break() {
                        stopped.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            }
        });
    }

    /// Rows that wait for earlier ones.
    #[derive(Default)]
    struct Window {
        first: u64,
        rows: VecDeque<Option<Row>>,
    }

    impl Window {
        fn len(&self) -> usize {
            self.rows.len()
        }

        /// A place for the next job's row.
        fn open(&mut self) -> u64 {
            self.rows.push_back(None);
            self.first + self.rows.len() as u64 - 1
        }

        fn fill(&mut self, number: u64, row: Option<Row>) {
            let place = usize::try_from(number - self.first).expect("within the window");
            self.rows[place] = row;
        }

        /// The earliest row, if it has come.
        fn next(&mut self) -> Option<Row> {
            self.rows.front().is_some_and(Option::is_some).then(|| {
                self.first += 1;
                self.rows.pop_front().flatten().expect("just looked")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seeds;

    fn scenario() -> Arc<Scenario> {
        let text = "duration = '4s'\nsettle = '1s'\nnetwork.loss = 0.004\n[[redis]]\nname = 'r1'\n[[client]]\nname = 'w'\nvia = 'redis:r1'\n\
            workload = { kind = 'kv', rate = '50/s' }\n[expect]\n'writes.latency-max' = '<= 10ms'\n'writes.acked.min' = '> 1000000'\n";
        let read_file = |_: &str| Err(String::new());
        let input = crate::scenario::Input { name: "one.toml", text, sets: &[], read_file: &read_file };
        Arc::new(crate::scenario::load(input).expect("valid").scenario)
    }

    fn rows(threads: usize, stop_after: usize) -> Vec<Row> {
        let variants = [scenario()];
        let seeds = Seeds::parse("3..40").expect("valid");
        let mut jobs = seeds.iter().map(|seed| Job { variant: 0, seed });
        let mut out = Vec::new();
        batch(&variants, &mut jobs, threads, &Limits::NONE, &mut |row| {
            out.push(row);
            if out.len() == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        out
    }

    #[test]
    fn rows_are_the_same_for_any_number_of_threads() {
        let alone = rows(1, usize::MAX);
        assert_eq!(alone.iter().map(|row| row.seed.0).collect::<Vec<_>>(), (3..40).collect::<Vec<_>>());
        assert!(
            alone.iter().any(Row::passed) && alone.iter().any(|row| row.failed == [0]),
            "some lose a segment, some don't"
        );
        for threads in [2, 3, 7] {
            assert_eq!(rows(threads, usize::MAX), alone, "{threads} threads");
            assert_eq!(rows(threads, 5), alone[..5]);
        }
    }

    #[test]
    fn a_limit_ends_a_run_as_failed() {
        let limits = Limits { events: Some(20), simulated: None };
        let row = one(&[scenario()], Job { variant: 0, seed: Seed(1) }, &limits);
        assert!(!row.passed() && !row.ended.finished(), "{row:?}");
    }
}
