//! Counts the messages of a run and the CPU time that they take, without the beginning, in which everything is set up,
//! and without the end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static DONE: AtomicU64 = AtomicU64::new(0);
static FIRST: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicU64 = AtomicU64::new(0);
/// Messages and time when the counting began and ended.
static BEGAN: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
static ENDED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// What a run of one engine yields.
pub struct Sample {
    pub messages: u64,
    pub cpu_ns: u64,
}

fn cpu_ns() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the structure it is given.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    let ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
    ns(usage.ru_utime) + ns(usage.ru_stime)
}

/// A run in which the first messages don't count, and so many after them do.
pub fn begin(first: u64, messages: u64) {
    DONE.store(0, Relaxed);
    FIRST.store(first, Relaxed);
    LAST.store(first + messages, Relaxed);
}

/// So many messages more have arrived.
pub fn count(messages: u64) {
    let before = DONE.load(Relaxed);
    let done = before + messages;
    DONE.store(done, Relaxed);
    let note = |what: &[AtomicU64; 2]| {
        what[0].store(done, Relaxed);
        what[1].store(cpu_ns(), Relaxed);
    };
    let passes = |mark: u64| before < mark && done >= mark;
    if passes(FIRST.load(Relaxed)) {
        note(&BEGAN);
    }
    if passes(LAST.load(Relaxed)) {
        note(&ENDED);
    }
}

/// Whether there were as many as wanted.
pub fn is_over() -> bool {
    DONE.load(Relaxed) >= LAST.load(Relaxed)
}

/// What has been counted.
pub fn end() -> Sample {
    assert!(is_over(), "a run makes as many messages as it was asked for");
    let between = |at: usize| ENDED[at].load(Relaxed) - BEGAN[at].load(Relaxed);
    Sample { messages: between(0), cpu_ns: between(1) }
}
