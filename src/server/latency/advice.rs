//! LATENCY DOCTOR (`createLatencyReport`): what the samples are like, and what could be done, in Redis's words.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Series;
use crate::server::Server;

/// What can be advised, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Advice {
    BetterVm,
    EnableSlowlog,
    TuneSlowlog,
    InspectSlowlog,
    Scheduler,
    LocalDisk,
    Ssd,
    DataWriteback,
    DiskContention,
    NoAppendfsync,
    RelaxFsync,
    WriteLoad,
    Hz,
    LargeObjects,
    MassEviction,
}

use Advice::{
    BetterVm, DataWriteback, DiskContention, EnableSlowlog, Hz, InspectSlowlog, LargeObjects, LocalDisk, MassEviction,
    NoAppendfsync, RelaxFsync, Scheduler, Ssd, TuneSlowlog, WriteLoad,
};

impl Advice {
    /// What an event suggests.
    fn on(event: &str) -> &'static [Advice] {
        match event {
            "command" => &[InspectSlowlog, LargeObjects],
            "fast-command" => &[Scheduler],
            "aof-write-pending-fsync" => &[LocalDisk, DiskContention, Ssd, DataWriteback],
            "aof-write-active-child" => &[NoAppendfsync, DataWriteback, Ssd],
            "aof-write-alone" => &[LocalDisk, DataWriteback, Ssd],
            "aof-fsync-always" => &[RelaxFsync],
            "aof-fstat" | "rdb-unlink-temp-file" => &[DiskContention, LocalDisk],
            "aof-rewrite-diff-write" | "aof-rename" => &[WriteLoad, DataWriteback, Ssd, LocalDisk],
            "expire-cycle" => &[Hz, LargeObjects],
            "eviction-del" => &[LargeObjects],
            "eviction-cycle" => &[MassEviction],
            _ => &[],
        }
    }

    /// `{us}` stands for the threshold in microseconds.
    fn text(self) -> &'static str {
        match self {
            BetterVm => BETTER_VM,
            EnableSlowlog => ENABLE_SLOWLOG,
            TuneSlowlog => TUNE_SLOWLOG,
            InspectSlowlog => INSPECT_SLOWLOG,
            Scheduler => SCHEDULER,
            LocalDisk => LOCAL_DISK,
            Ssd => SSD,
            DataWriteback => DATA_WRITEBACK,
            DiskContention => DISK_CONTENTION,
            NoAppendfsync => NO_APPENDFSYNC,
            RelaxFsync => RELAX_FSYNC,
            WriteLoad => WRITE_LOAD,
            Hz => HZ,
            LargeObjects => LARGE_OBJECTS,
            MassEviction => MASS_EVICTION,
        }
    }
}

const BETTER_VM: &str = "- If you are using a virtual machine, consider upgrading it with a faster one using a hypervisior \
                 that provides less latency during fork() calls. Xen is known to have poor fork() performance. Even \
                 in the context of the same VM provider, certain kinds of instances can execute fork faster than \
                 others.\n";
const ENABLE_SLOWLOG: &str = "- There are latency issues with potentially slow commands you are using. Try to enable the Slow Log \
                 Redis feature using the command 'CONFIG SET slowlog-log-slower-than {us}'. If the Slow log is \
                 disabled Redis is not able to log slow commands execution for you.\n";
const TUNE_SLOWLOG: &str = "- Your current Slow Log configuration only logs events that are slower than your configured latency \
                 monitor threshold. Please use 'CONFIG SET slowlog-log-slower-than {us}'.\n";
const INSPECT_SLOWLOG: &str = "- Check your Slow Log to understand what are the commands you are running which are too slow to \
                 execute. Please check https://redis.io/commands/slowlog for more information.\n";
const SCHEDULER: &str = "- The system is slow to execute Redis code paths not containing system calls. This usually means the \
                 system does not provide Redis CPU time to run for long periods. You should try to:\n  1) Lower the \
                 system load.\n  2) Use a computer / VM just for Redis if you are running other software in the same \
                 system.\n  3) Check if you have a \"noisy neighbour\" problem.\n  4) Check with 'redis-cli \
                 --intrinsic-latency 100' what is the intrinsic latency in your system.\n  5) Check if the problem is \
                 allocator-related by recompiling Redis with MALLOC=libc, if you are using Jemalloc. However this may \
                 create fragmentation problems.\n";
const LOCAL_DISK: &str = "- It is strongly advised to use local disks for persistence, especially if you are using AOF. Remote \
                 disks provided by platform-as-a-service providers are known to be slow.\n";
const SSD: &str = "- SSD disks are able to reduce fsync latency, and total time needed for snapshotting and AOF log \
                 rewriting (resulting in smaller memory usage). With extremely high write load SSD disks can be a \
                 good option. However Redis should perform reasonably with high load using normal disks. Use this \
                 advice as a last resort.\n";
const DATA_WRITEBACK: &str = "- Mounting ext3/4 filesystems with data=writeback can provide a performance boost compared to \
                 data=ordered, however this mode of operation provides less guarantees, and sometimes it can happen \
                 that after a hard crash the AOF file will have a half-written command at the end and will require to \
                 be repaired before Redis restarts.\n";
const DISK_CONTENTION: &str = "- Try to lower the disk contention. This is often caused by other disk intensive processes running \
                 in the same computer (including other Redis instances).\n";
const NO_APPENDFSYNC: &str = "- Assuming from the point of view of data safety this is viable in your environment, you could try \
                 to enable the 'no-appendfsync-on-rewrite' option, so that fsync will not be performed while there is \
                 a child rewriting the AOF file or producing an RDB file (the moment where there is high disk \
                 contention).\n";
const RELAX_FSYNC: &str = "- Your fsync policy is set to 'always'. It is very hard to get good performances with such a setup, \
                 if possible try to relax the fsync policy to 'onesec'.\n";
const WRITE_LOAD: &str = "- Latency during the AOF atomic rename operation or when the final difference is flushed to the AOF \
                 file at the end of the rewrite, sometimes is caused by very high write load, causing the AOF buffer \
                 to get very large. If possible try to send less commands to accomplish the same work, or use Lua \
                 scripts to group multiple operations into a single EVALSHA call.\n";
const HZ: &str = "- In order to make the Redis keys expiring process more incremental, try to set the 'hz' \
                 configuration parameter to 100 using 'CONFIG SET hz 100'.\n";
const LARGE_OBJECTS: &str = "- Deleting, expiring or evicting (because of maxmemory policy) large objects is a blocking \
                 operation. If you have very large objects that are often deleted, expired, or evicted, try to \
                 fragment those objects into multiple smaller objects.\n";
const MASS_EVICTION: &str = "- Sudden changes to the 'maxmemory' setting via 'CONFIG SET', or allocation of large objects via \
                 sets or sorted sets intersections, STORE option of SORT, Redis Cluster large keys migrations \
                 (RESTORE command), may create sudden memory pressure forcing the server to block trying to evict \
                 keys. \n";

/// What one event's samples are like (`analyzeLatencyForEvent`).
fn analysis(series: &Series, now: u64) -> String {
    let count = series.samples().len() as u64;
    let mean = series.samples().map(|sample| sample.ms).sum::<u64>() / count;
    let deviation = series.samples().map(|sample| sample.ms.abs_diff(mean)).sum::<u64>() / count;
    let first = series.samples().map(|sample| sample.time).min().unwrap_or(now);
    let period = now.saturating_sub(first).max(1) * 100;
    // Hundredths, rounded to even where they lie between two, as printf does.
    let (mut hundredths, rest) = (period / count, period % count);
    hundredths += u64::from(rest * 2 > count || rest * 2 == count && hundredths % 2 == 1);
    format!(
        "{count} latency spikes (average {mean}ms, mean deviation {deviation}ms, period {}.{:02} sec). Worst all time \
         event {}ms.",
        hundredths / 100,
        hundredths % 100,
        series.max
    )
}

/// The whole report.
pub(crate) fn report(s: &Server) -> String {
    if s.latency.events().len() == 0 {
        return if s.config.latency_monitor_threshold == 0 { DISABLED.to_owned() } else { NOTHING.to_owned() };
    }
    let mut text = "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about it, do you Dave?\n\n".to_owned();
    let mut advice = BTreeSet::new();
    let threshold = s.config.latency_monitor_threshold;
    for (number, (event, series)) in s.latency.events().enumerate() {
        write!(text, "{}. {event}: {}", number + 1, analysis(series, s.now.unix.secs())).expect(WRITES);
        advice.extend(Advice::on(event));
        if event == "fork" {
            let rate = s.stats.fork_rate_hundredths;
            let quality = match rate {
                0..1_000 => "terrible",
                1_000..2_500 => "poor",
                2_500..10_000 => "good",
                _ => "excellent",
            };
            if rate < 2_500 {
                advice.insert(BetterVm);
            }
            write!(text, " Fork rate is {}.{:02} GB/sec ({quality}).", rate / 100, rate % 100).expect(WRITES);
        }
        if event == "command" {
            match u64::try_from(s.config.slowlog_log_slower_than) {
                Err(_) => {
                    advice.insert(EnableSlowlog);
                }
                Ok(slower_than) if slower_than / 1_000 > threshold => {
                    advice.insert(TuneSlowlog);
                }
                Ok(_) => {}
            }
        }
        text.push('\n');
    }
    if advice.is_empty() {
        text.push_str(NO_IDEA);
        return text;
    }
    text.push_str("\nI have a few advices for you:\n\n");
    let us = (threshold * 1_000).to_string();
    let fits = |advice: &Advice| match advice {
        Hz => s.config.hz < 100,
        RelaxFsync => s.config.inert("appendfsync", "everysec") == "always",
        BetterVm | EnableSlowlog | TuneSlowlog | InspectSlowlog | Scheduler | LocalDisk | Ssd | DataWriteback
        | DiskContention | NoAppendfsync | WriteLoad | LargeObjects | MassEviction => true,
    };
    for advice in advice.into_iter().filter(fits) {
        text.push_str(&advice.text().replace("{us}", &us));
    }
    text
}

const WRITES: &str = "writing to a string cannot fail";

const DISABLED: &str = "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use \
     \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we weren't in a \
     deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.\n";

const NOTHING: &str = "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the slightest \
     bit. I honestly think you ought to sit down calmly, take a stress pill, and think things over.\n";

const NO_IDEA: &str = "\nWhile there are latency events logged, I'm not able to suggest any easy fix. Please use the Redis \
     community to get some help, providing this report in your help request.\n";
