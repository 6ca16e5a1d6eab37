//! MEMORY and its subcommands (`object.c`).

use super::flag::{LOADING, READONLY, STALE};
use super::{Spec, container, row};
use crate::server::call::Cx;
use crate::server::keyspace::alloc;
use crate::server::memory::STARTUP;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    container(row("memory", -2, 0, (0, 0, 0), "@slow", super::no_handler), MEMORY_SUBS),
];

#[rustfmt::skip]
const MEMORY_SUBS: &[Spec] = &[
    row("memory|doctor", 2, 0, (0, 0, 0), "@slow", doctor),
    row("memory|help", 2, LOADING | STALE, (0, 0, 0), "@slow", help),
    row("memory|malloc-stats", 2, 0, (0, 0, 0), "@slow", malloc_stats),
    row("memory|purge", 2, 0, (0, 0, 0), "@slow", purge),
    row("memory|stats", 2, 0, (0, 0, 0), "@slow", stats),
    row("memory|usage", -3, READONLY, (2, 2, 1), "@read @slow", usage),
];

/// There are no dirty pages.
fn purge(cx: &mut Cx<'_>) {
    cx.add_ok();
}

fn usage(cx: &mut Cx<'_>) {
    let args = cx.args;
    let (mut samples, mut i) = (5, 3);
    while i < args.len() {
        if !cx.arg_is(i, "samples") || i + 1 == args.len() {
            return cx.add_syntax_error();
        }
        let Some(given) = cx.int_arg(i + 1) else { return };
        let Ok(given) = usize::try_from(given) else { return cx.add_syntax_error() };
        samples = if given == 0 { usize::MAX } else { given };
        i += 2;
    }
    // Expired keys that are still there count too.
    let Some(at) = cx.s.keyspace.db(cx.db()).find(args.get(2)) else { return cx.add_null() };
    let value = cx.entry(at).value.usage(samples);
    cx.add_count(value + alloc::string(args.get(2).len()) + alloc::ENTRY);
}

impl Cx<'_> {
    /// A name and a number.
    fn add_figure(&mut self, name: &str, value: u64) {
        self.add_bulk(name.as_bytes());
        self.add_integer(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// A name and the quotient of two numbers.
    fn add_ratio(&mut self, name: &str, value: u64, by: u64) {
        self.add_bulk(name.as_bytes());
        #[allow(clippy::cast_possible_truncation, reason = "a real server has these in single precision")]
        let ratio = (value as f64 / by as f64) as f32;
        self.add_double(f64::from(ratio));
    }
}

fn stats(cx: &mut Cx<'_>) {
    let view = cx.s.memory_overview();
    cx.add_map(27 + view.dbs.len());
    cx.add_figure("peak.allocated", view.peak);
    cx.add_figure("total.allocated", view.used);
    cx.add_figure("startup.allocated", STARTUP);
    cx.add_figure("replication.backlog", view.backlog);
    cx.add_figure("clients.slaves", view.replicas);
    cx.add_figure("clients.normal", view.clients);
    cx.add_figure("cluster.links", 0);
    let waits = cx.s.persistence.aof.buffer_memory();
    cx.add_figure("aof.buffer", waits);
    cx.add_figure("lua.caches", 0);
    cx.add_figure("functions.caches", view.functions);
    for db in &view.dbs {
        cx.add_bulk(format!("db.{}", db.number).as_bytes());
        cx.add_map(3);
        cx.add_figure("overhead.hashtable.main", db.main);
        cx.add_figure("overhead.hashtable.expires", db.expires);
        cx.add_figure("overhead.hashtable.slot-to-keys", 0);
    }
    cx.add_figure("overhead.total", view.overhead);
    cx.add_figure("keys.count", view.keys);
    cx.add_figure("keys.bytes-per-key", view.net().checked_div(view.keys).unwrap_or(0));
    cx.add_figure("dataset.bytes", view.dataset);
    cx.add_ratio("dataset.percentage", view.dataset * 100, view.net());
    cx.add_ratio("peak.percentage", view.used * 100, view.peak);
    cx.add_figure("allocator.allocated", view.used);
    cx.add_figure("allocator.active", view.used);
    cx.add_figure("allocator.resident", view.resident);
    cx.add_ratio("allocator-fragmentation.ratio", 1, 1);
    cx.add_figure("allocator-fragmentation.bytes", 0);
    cx.add_ratio("allocator-rss.ratio", view.resident, view.used);
    cx.add_figure("allocator-rss.bytes", view.resident - view.used);
    cx.add_ratio("rss-overhead.ratio", 1, 1);
    cx.add_figure("rss-overhead.bytes", 0);
    cx.add_ratio("fragmentation", view.resident, view.used);
    cx.add_figure("fragmentation.bytes", view.resident - view.used);
}

/// What the allocator says of itself: the sums only, where a real one goes on for pages.
fn malloc_stats(cx: &mut Cx<'_>) {
    let view = cx.s.memory_overview();
    let text = format!(
        "___ Begin jemalloc statistics ___\nAllocated: {}, active: {}, metadata: 0, resident: {}, mapped: {}, \
         retained: 0\n--- End jemalloc statistics ---\n",
        view.used, view.used, view.resident, view.resident
    );
    cx.add_verbatim(text.as_bytes(), *b"txt");
}

const EMPTY: &str = "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in \
     these conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back \
     to our programming as soon as I finished rebooting.\n";

const HEALTHY: &str =
    "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n";

const BIG_PEAK: &str = " * Peak memory: In the past this instance used more than 150% the memory that is currently \
     using. The allocator is normally not able to release memory after a peak, so you can expect to see a big \
     fragmentation ratio, however this is actually harmless and is only due to the memory peak, and if the Redis instance \
     Resident Set Size (RSS) is currently bigger than expected, the memory will be used as soon as you fill the Redis \
     instance with more data. If the memory peak was only occasional and you want to try to reclaim memory, please try \
     the MEMORY PURGE command, otherwise the only other option is to shutdown and restart the instance.\n\n";

const BIG_CLIENTS: &str = " * Big client buffers: The clients output buffers in this instance are greater than 200K per \
     client (on average). This may result from different causes, like Pub/Sub clients subscribed to channels bot not \
     receiving data fast enough, so that data piles on the Redis instance output buffer, or clients sending commands with \
     large replies or very large sequences of commands in the same pipeline. Please use the CLIENT LIST command in order \
     to investigate the issue if it causes problems in your instance, or to understand better why certain clients are \
     using a big amount of memory.\n\n";

/// Fragmentation isn't modelled, so nothing of it is found.
fn doctor(cx: &mut Cx<'_>) {
    let view = cx.s.memory_overview();
    let text = if view.used < 5 << 20 {
        EMPTY.to_owned()
    } else {
        let clients = cx.s.sessions.len().max(1) as u64;
        let findings = [(view.peak * 2 > view.used * 3, BIG_PEAK), (view.clients / clients > 200 << 10, BIG_CLIENTS)];
        let found: String = findings.iter().filter(|(found, _)| *found).map(|(_, text)| *text).collect();
        if found.is_empty() {
            HEALTHY.to_owned()
        } else {
            format!(
                "Sam, I detected a few issues in this Redis instance memory implants:\n\n{found}I'm here to keep you \
                 safe, Sam. I want to help you.\n"
            )
        }
    };
    cx.add_verbatim(text.as_bytes(), *b"txt");
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "memory",
        &[
            "DOCTOR",
            "    Return memory problems reports.",
            "MALLOC-STATS",
            "    Return internal statistics report from the memory allocator.",
            "PURGE",
            "    Attempt to purge dirty pages for reclamation by the allocator.",
            "STATS",
            "    Return information about the memory usage of the server.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value. Nested values are",
            "    sampled up to <count> times (default: 5, 0 means sample all).",
        ],
    );
}
