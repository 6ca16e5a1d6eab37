//! What INFO says about persistence, and the log about files that are loaded.

use bytes::Bytes;

use super::{ChildKind, aof, child_kind, forked, rdb};
use crate::node::Outbox;
use crate::server::Server;
use crate::server::info::Text;

/// The log's lines on a file that is about to be loaded: what it says of itself (`rdbLoadRioWithLoadingCtx`).
pub(super) fn log_head(s: &Server, data: &Bytes, out: &mut Outbox) {
    if out.log.is_none() {
        return;
    }
    for (name, value) in rdb::about(data) {
        let number = || String::from_utf8_lossy(&value).parse::<u64>().unwrap_or(0);
        let line = match &name[..] {
            b"redis-ver" => format!("Loading RDB produced by version {}", String::from_utf8_lossy(&value)),
            b"ctime" => format!("RDB age {} seconds", s.now.unix.secs().saturating_sub(number())),
            b"used-mem" => {
                let hundredths = (u128::from(number()) * 100 + (1 << 19)) >> 20;
                format!("RDB memory usage when created {}.{:02} Mb", hundredths / 100, hundredths % 100)
            }
            b"aof-base" if number() != 0 => "RDB is base AOF".to_owned(),
            _ => continue,
        };
        s.notice(out, || line);
    }
}

/// The line on a file that has been loaded.
pub(crate) fn log_loaded(s: &Server, out: &mut Outbox) {
    let (keys, expired) = s.persistence.last_load;
    s.notice(out, || format!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}."));
}

/// The lines of INFO's persistence section after its header, each ended by CRLF.
pub(crate) fn info(s: &Server, t: &mut Text) {
    let p = &s.persistence;
    let now = s.now.unix.secs();
    let running = child_kind(s).is_some_and(ChildKind::makes_rdb);
    let current = p.child.as_ref().filter(|_| running).map(|child| now.saturating_sub(child.began));
    let (loaded, expired) = p.last_load;
    let child = forked::progress(s);
    t.flag("loading:", s.loading && !s.async_loading).flag("async_loading:", s.async_loading);
    t.field("current_cow_peak:", child.copied).field("current_cow_size:", child.copied);
    t.field("current_cow_size_age:", child.age);
    t.lit("current_fork_perc:").hundredths(child.keys * 10_000 / child.total.max(1)).end();
    t.field("current_save_keys_processed:", child.keys).field("current_save_keys_total:", child.total);
    t.field("rdb_changes_since_last_save:", s.exec.dirty);
    t.flag("rdb_bgsave_in_progress:", running);
    t.field("rdb_last_save_time:", p.last_save);
    t.word("rdb_last_bgsave_status:", if p.failed { "err" } else { "ok" });
    t.known("rdb_last_bgsave_time_sec:", p.last_took).known("rdb_current_bgsave_time_sec:", current);
    t.field("rdb_saves:", p.saves).field("rdb_last_cow_size:", p.copied.rdb);
    t.field("rdb_last_load_keys_expired:", expired).field("rdb_last_load_keys_loaded:", loaded);
    aof::info(s, t);
    if let Some(loading) = &p.loading {
        let elapsed = now.saturating_sub(loading.began);
        let done = loading.loaded_bytes();
        let eta = (elapsed * (loading.bytes - done)).checked_div(done).unwrap_or(1);
        t.field("loading_start_time:", loading.began).field("loading_total_bytes:", loading.bytes);
        t.field("loading_rdb_used_mem:0\r\nloading_loaded_bytes:", done);
        t.lit("loading_loaded_perc:").hundredths(done * 10_000 / loading.bytes.max(1)).end();
        t.field("loading_eta_seconds:", eta);
    }
}
