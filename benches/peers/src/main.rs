//! The exchange on four engines in one process: splitbrain, madsim (TCP), turmoil (UDP and TCP); and on a plain event loop,
//! which shows what the machine can do.
//!
//! N nodes, half of them clients, half servers; each client asks its own server: SET, wait for the reply, again. The
//! request is the same to the byte everywhere (a 12-byte key of 1,000, a 32-byte value), is parsed and answered in
//! RESP, and takes between 0.5 and 1 ms each way. splitbrain runs its own client, world and redis-server (trace,
//! digest, TCP model, expiry cron and all); the peers run the lightest handler that does the job: a parser and a map.
//!
//! Rounds of the engines are interleaved; what counts is CPU time (madsim replaces the clock). One thread each. Every key
//! exists before anything is counted, but for one in a thousand of ours, and every connection.
//!
//!     cd benches/peers && cargo run --release [-- rounds]

#![allow(clippy::print_stdout, reason = "its output is the table")]

#[path = "../../deploy/mod.rs"]
mod deploy;
mod madsim_tcp;
mod ours;
mod plain;
mod request;
mod tally;
mod turmoil_net;

use std::time::Duration;

use tally::Sample;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One-way latency.
const LATENCY: std::ops::Range<Duration> = Duration::from_micros(500)..Duration::from_micros(1_000);

/// An engine: runs at least this many messages among this many nodes.
type Engine = (&'static str, fn(nodes: usize, messages: u64), u64, u64);

/// The last columns: messages of each client that don't count, and messages a round, so that each takes a fraction of a
/// second. The peers' servers have their keys from the start; ours get them from the clients, most of them twice.
const ENGINES: [Engine; 6] = [
    ("splitbrain", ours::run, 14_000, 400_000),
    ("a plain event loop", plain::run, 20, 1_000_000),
    ("madsim TCP", madsim_tcp::run, 20, 100_000),
    ("turmoil UDP", turmoil_net::udp, 20, 40_000),
    ("turmoil UDP, 16 in flight", turmoil_net::udp_16, 40, 100_000),
    ("turmoil TCP", turmoil_net::tcp, 20, 40_000),
];

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(7);
    for nodes in [8, 100] {
        let mut samples: Vec<Vec<Sample>> = ENGINES.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for ((_, run, first, messages), samples) in ENGINES.iter().zip(&mut samples) {
                let first = first * nodes as u64 / 2;
                tally::begin(first, *messages);
                run(nodes, first + messages);
                samples.push(tally::end());
            }
        }
        println!("{nodes} nodes, {rounds} interleaved rounds, messages a CPU second");
        println!("{:<26} {:>12} {:>12} {:>12} {:>10} {:>8}", "engine", "median", "best", "worst", "ns each", "ratio");
        let mut ours = None;
        for ((name, ..), samples) in ENGINES.iter().zip(samples) {
            let mut rates: Vec<f64> = samples.iter().map(|s| s.messages as f64 * 1e9 / s.cpu_ns as f64).collect();
            rates.sort_by(f64::total_cmp);
            let median = rates[rates.len() / 2];
            let ratio = *ours.get_or_insert(median) / median;
            let (worst, best) = (rates[0], rates[rates.len() - 1]);
            println!("{name:<26} {median:>12.0} {best:>12.0} {worst:>12.0} {:>10.1} {ratio:>7.1}x", 1e9 / median);
        }
        println!();
    }
}
