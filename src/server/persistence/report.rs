//! What INFO says about persistence, and the log about files that are loaded.

use std::fmt::Write as _;

use bytes::Bytes;

use super::{ChildKind, aof, child_kind, forked, rdb};
use crate::node::Outbox;
use crate::server::Server;

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
pub(crate) fn info(s: &Server, text: &mut String) {
    write_info(s, text).expect("writing to a string succeeds");
}

fn write_info(s: &Server, text: &mut String) -> std::fmt::Result {
    let p = &s.persistence;
    let now = s.now.unix.secs();
    let running = child_kind(s).is_some_and(ChildKind::makes_rdb);
    let current = p
        .child
        .as_ref()
        .filter(|_| running)
        .map_or("-1".to_owned(), |child| now.saturating_sub(child.began).to_string());
    let last = p.last_took.map_or("-1".to_owned(), |seconds| seconds.to_string());
    let (loaded, expired) = p.last_load;
    let child = forked::progress(s);
    write!(text, "loading:{}\r\n", u8::from(s.loading && !s.async_loading))?;
    write!(text, "async_loading:{}\r\n", u8::from(s.async_loading))?;
    let share = child.keys * 10_000 / child.total.max(1);
    write!(text, "current_cow_peak:{0}\r\ncurrent_cow_size:{0}\r\n", child.copied)?;
    write!(text, "current_cow_size_age:{}\r\n", child.age)?;
    write!(text, "current_fork_perc:{}.{:02}\r\n", share / 100, share % 100)?;
    write!(text, "current_save_keys_processed:{}\r\ncurrent_save_keys_total:{}\r\n", child.keys, child.total)?;
    write!(text, "rdb_changes_since_last_save:{}\r\n", s.exec.dirty)?;
    write!(text, "rdb_bgsave_in_progress:{}\r\n", u8::from(running))?;
    write!(text, "rdb_last_save_time:{}\r\n", p.last_save)?;
    write!(text, "rdb_last_bgsave_status:{}\r\n", if p.failed { "err" } else { "ok" })?;
    write!(text, "rdb_last_bgsave_time_sec:{last}\r\nrdb_current_bgsave_time_sec:{current}\r\n")?;
    write!(text, "rdb_saves:{}\r\nrdb_last_cow_size:{}\r\n", p.saves, p.copied.rdb)?;
    write!(text, "rdb_last_load_keys_expired:{expired}\r\nrdb_last_load_keys_loaded:{loaded}\r\n")?;
    aof::info(s, text)?;
    if let Some(loading) = &p.loading {
        let elapsed = now.saturating_sub(loading.began);
        let done = loading.loaded_bytes();
        let share = done * 10_000 / loading.bytes.max(1);
        let eta = (elapsed * (loading.bytes - done)).checked_div(done).unwrap_or(1);
        write!(text, "loading_start_time:{}\r\nloading_total_bytes:{}\r\n", loading.began, loading.bytes)?;
        write!(text, "loading_rdb_used_mem:0\r\nloading_loaded_bytes:{done}\r\n")?;
        write!(text, "loading_loaded_perc:{}.{:02}\r\nloading_eta_seconds:{eta}\r\n", share / 100, share % 100)?;
    }
    Ok(())
}
