//! Counters that INFO shows.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::latency::histogram::{Histogram, Histograms};

/// Samples of the instantaneous metrics (`STATS_METRIC_SAMPLES`).
const SAMPLES: usize = 16;

/// An error's code is looked for in so many bytes (`afterErrorReply`).
const CODE_MAX: usize = 31;

/// Counters of one command (`INFO commandstats`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CommandStat {
    /// Executed.
    pub calls: u64,
    /// Nanoseconds spent.
    pub ns: u64,
    /// Refused before execution.
    pub rejected: u64,
    /// Executed with an error as the answer.
    pub failed: u64,
}

/// All counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    /// Per command, by [`super::commands::Command::id`].
    pub commands: Vec<CommandStat>,
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused by `maxclients`.
    pub rejected_connections: u64,
    /// Commands executed.
    pub num_commands: u64,
    /// Bytes read from clients.
    pub net_in: u64,
    /// Bytes sent to clients.
    pub net_out: u64,
    /// Bytes read from the master.
    pub net_repl_in: u64,
    /// Bytes sent to replicas.
    pub net_repl_out: u64,
    /// Full resynchronisations served.
    pub sync_full: u64,
    /// Partial resynchronisations served.
    pub sync_partial_ok: u64,
    /// Partial resynchronisations refused.
    pub sync_partial_err: u64,
    /// Keys removed because they expired.
    pub expired_keys: u64,
    /// Expiry cycles that ran out of time.
    pub expired_time_cap: u64,
    /// Estimated share of keys that are expired but not yet removed, in millionths.
    pub expired_stale_ppm: u64,
    /// Keys found by reads.
    pub hits: u64,
    /// Keys not found by reads.
    pub misses: u64,
    /// Errors answered.
    pub error_replies: u64,
    /// Errors answered, by their code (`INFO errorstats`).
    pub errors: BTreeMap<Box<str>, u64>,
    /// Forks.
    pub forks: u64,
    /// Duration of the newest fork in microseconds.
    pub last_fork_us: u64,
    /// Hundredths of gigabytes a second that it copied.
    pub fork_rate_hundredths: u64,
    /// How long commands took.
    pub histograms: Histograms,
    /// Clients dropped because their output buffer passed its limit.
    pub output_buffer_drops: u64,
    /// Reads and writes of sockets.
    pub reads: u64,
    /// Writes of sockets.
    pub writes: u64,
    /// Sessions that threads have read.
    pub io_reads: u64,
    /// Sessions that threads have written.
    pub io_writes: u64,
    /// Keys removed for want of memory.
    pub evicted_keys: u64,
    /// Sessions closed for want of memory.
    pub evicted_clients: u64,
    /// How often buffers of replies of closed sessions had shrunk and grown.
    pub reply_buffers: (u64, u64),
    /// Values freed in the background (`lazyfreed_objects`).
    pub lazily_freed: u64,
    /// Most memory that INFO has seen in use.
    pub peak_memory: u64,
    /// Unexpected errors answered to the master or a replica.
    pub unexpected_errors: u64,
    /// Commands per second of the last samples.
    pub ops: Instantaneous,
    /// Bytes in per second of the last samples.
    pub input: Instantaneous,
    /// Bytes out per second of the last samples.
    pub output: Instantaneous,
    /// Bytes of replication in per second of the last samples.
    pub repl_input: Instantaneous,
    /// Bytes of replication out per second of the last samples.
    pub repl_output: Instantaneous,
}

impl Stats {
    /// Counters for a table of that many commands.
    #[must_use]
    pub(crate) fn new(commands: usize) -> Stats {
        Stats { commands: vec![CommandStat::default(); commands], ..Stats::default() }
    }

    /// Counts an error by its code, the first word.
    pub(crate) fn count_error(&mut self, text: &str) {
        self.error_replies += 1;
        // What has no blank near its beginning has no code.
        let blank = text.bytes().take(CODE_MAX).position(|byte| byte == b' ');
        let code = blank.map_or("ERR", |at| &text[..at]);
        if let Some(count) = self.errors.get_mut(code) {
            *count += 1;
        } else {
            self.errors.insert(code.into(), 1);
        }
    }

    /// CONFIG RESETSTAT.
    pub(crate) fn reset(&mut self) {
        let mut histograms = std::mem::take(&mut self.histograms);
        histograms.reset();
        *self = Stats { histograms, ..Stats::new(self.commands.len()) };
    }

    /// How long a command's calls took; `None`: none were counted.
    #[must_use]
    pub(crate) fn latency_of(&self, command: usize) -> Option<Histogram> {
        self.histograms.of(command, self.commands[command].calls)
    }

    /// `latency-tracking` is switched.
    pub(crate) fn track_latency(&mut self, on: bool) {
        let calls = self.commands.iter().map(|stat| stat.calls).collect();
        self.histograms.switch(on, calls);
    }
}

/// A rate over the last 1.6 seconds (`trackInstantaneousMetric`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Instantaneous {
    samples: SmallVec<[u64; SAMPLES]>,
    next: usize,
    last: u64,
}

impl Instantaneous {
    /// Takes the samples of `ticks` periods of 100 ms; all of the growth fell into the first one.
    pub(crate) fn sample(&mut self, count: u64, ticks: u64) {
        if self.samples.is_empty() {
            self.samples.resize(SAMPLES, 0);
        }
        let mut grown = count.saturating_sub(self.last) * 10;
        self.last = count;
        for _ in 0..ticks.min(SAMPLES as u64 + 1) {
            self.samples[self.next] = grown;
            grown = 0;
            self.next = (self.next + 1) % SAMPLES;
        }
    }

    /// The mean of the samples, per second.
    #[must_use]
    pub(crate) fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }
}
