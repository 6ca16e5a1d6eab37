//! The active expire cycle: keys that nobody reads are removed too (`expire.c`).
//!
//! The cycle samples as Redis's does. It is not run while nothing can be expired yet: it would change nothing.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Server, cost};
use crate::node::Outbox;
use crate::time::{Instant, NS_PER_MS, Span};

/// Keys sampled in a loop (`ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP`).
const KEYS_PER_LOOP: u64 = 20;
/// Duration of a fast cycle in microseconds (`ACTIVE_EXPIRE_CYCLE_FAST_DURATION`).
const FAST_DURATION_US: u64 = 1_000;
/// Share of the CPU for slow cycles, in percent (`ACTIVE_EXPIRE_CYCLE_SLOW_TIME_PERC`).
const SLOW_TIME_PERCENT: u64 = 25;
/// Percentage of stale keys that is acceptable (`ACTIVE_EXPIRE_CYCLE_ACCEPTABLE_STALE`).
const ACCEPTABLE_STALE: u64 = 10;
/// Databases visited in a cycle (`CRON_DBS_PER_CALL`).
const DBS_PER_CALL: usize = 16;

/// Ticks after which nothing is left of the estimate of stale keys.
const STALE_FORGOTTEN: u64 = 500;

/// What one cycle leaves for the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cycle {
    next_db: usize,
    /// The last cycle ran out of time.
    time_limit_exit: bool,
    last_fast: Option<Instant>,
    /// The tick of the last slow cycle.
    last_slow: u64,
    /// Running average of the share of sampled keys that were expired, in billionths.
    stale_ppb: u64,
    /// Keys of a writable replica that its own clients gave an expiry, with their databases: no master deletes them.
    own: BTreeSet<(Bytes, u32)>,
}

impl Cycle {
    /// A key of a writable replica gets an expiry (`rememberSlaveKeyWithExpire`).
    pub(crate) fn remember_own(&mut self, db: u32, key: Bytes) {
        if db < 64 {
            self.own.insert((key, db));
        }
    }

    /// All are gone.
    pub(crate) fn forget_own(&mut self) {
        self.own.clear();
    }

    /// How many names of keys there are (`slave_expires_tracked_keys`).
    #[must_use]
    pub(crate) fn own(&self) -> u64 {
        let mut names: Vec<&Bytes> = self.own.iter().map(|(key, _)| key).collect();
        names.dedup();
        names.len() as u64
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Slow,
    Fast,
}

/// How many keys were looked at and how many of them expired.
#[derive(Default)]
struct Tally {
    sampled: u64,
    expired: u64,
}

/// The slow cycle of a tick.
pub(crate) fn slow_cycle(s: &mut Server, out: &mut Outbox) {
    if s.active_expire && s.repl.is_master() {
        // Ticks that were not simulated would have sampled nothing stale.
        let skipped = s.cron.loops.saturating_sub(s.expire_cycle.last_slow + 1);
        for _ in 0..skipped.min(STALE_FORGOTTEN) {
            s.expire_cycle.stale_ppb = s.expire_cycle.stale_ppb / 20 * 19;
        }
        s.expire_cycle.last_slow = s.cron.loops;
        cycle(s, Kind::Slow, out);
    } else if s.active_expire && !s.expire_cycle.own.is_empty() {
        expire_own(s, out);
    }
}

/// A replica's own keys whose time is over go; those that have no expiry any more are forgotten (`expireSlaveKeys`, which meets
/// them in a random order, some at a time).
fn expire_own(s: &mut Server, out: &mut Outbox) {
    let now = s.ms();
    for (key, db) in s.expire_cycle.own.clone() {
        let Some(at) = s.keyspace.db(db).find(&key).filter(|&at| s.keyspace.db(db).expiry(at) >= 0) else {
            s.expire_cycle.own.remove(&(key, db));
            continue;
        };
        if s.keyspace.db(db).expiry(at) < now {
            s.delete_expired(db, at);
            s.expire_cycle.own.remove(&(key, db));
        }
    }
    s.propagate_pending_bare(out);
}

/// When the first of them is over.
fn own_need(s: &Server) -> Option<Instant> {
    let expiry = |(key, db): &(Bytes, u32)| {
        let db = s.keyspace.db(*db);
        db.find(key).map_or(0, |at| db.expiry(at).max(0))
    };
    let earliest = s.expire_cycle.own.iter().map(expiry).min()?;
    let left = u64::try_from(earliest.saturating_sub(s.ms())).unwrap_or(0);
    Some(s.now.mono + Span::from_ms(left.saturating_add(1)))
}

/// Whether there is no fast cycle, however often a turn ends, until the next slow one.
pub(crate) fn fast_cycle_is_off(s: &Server) -> bool {
    s.expire_cycle.stale_ppb == 0 && !s.expire_cycle.time_limit_exit || !s.active_expire || !s.repl.is_master()
}

/// The fast cycle at the end of a turn.
pub(crate) fn fast_cycle(s: &mut Server, out: &mut Outbox) {
    if fast_cycle_is_off(s) {
        return;
    }
    let effort = s.config.active_expire_effort - 1;
    if !s.expire_cycle.time_limit_exit && s.expire_cycle.stale_ppb / 10_000_000 < ACCEPTABLE_STALE - effort {
        return;
    }
    let duration = Span::from_us(FAST_DURATION_US + FAST_DURATION_US / 4 * effort);
    if s.expire_cycle.last_fast.is_some_and(|last| s.now.mono < last + duration.times(2)) {
        return;
    }
    s.expire_cycle.last_fast = Some(s.now.mono);
    cycle(s, Kind::Fast, out);
}

/// When the slow cycle has work: once the first key can have expired.
pub(crate) fn slow_need(s: &Server) -> Option<Instant> {
    if !s.active_expire {
        return None;
    }
    if !s.repl.is_master() {
        return own_need(s);
    }
    if s.expire_cycle.time_limit_exit {
        return Some(s.now.mono);
    }
    let earliest = s.keyspace.earliest();
    if earliest == i64::MAX {
        return None;
    }
    let left = u64::try_from(earliest.saturating_sub(s.ms())).unwrap_or(0);
    Some(s.now.mono + Span::from_ms(left.saturating_add(1)))
}

fn cycle(s: &mut Server, kind: Kind, out: &mut Outbox) {
    if s.is_paused() {
        return;
    }
    let effort = s.config.active_expire_effort - 1;
    let keys_per_loop = KEYS_PER_LOOP + KEYS_PER_LOOP / 4 * effort;
    let acceptable = ACCEPTABLE_STALE - effort;
    let limit_us = match kind {
        Kind::Slow => (SLOW_TIME_PERCENT + 2 * effort) * 1_000_000 / s.config.hz.max(1) / 100,
        Kind::Fast => FAST_DURATION_US + FAST_DURATION_US / 4 * effort,
    };
    let count = s.keyspace.dbs.len();
    let dbs = if s.expire_cycle.time_limit_exit { count } else { DBS_PER_CALL.min(count) };
    s.expire_cycle.time_limit_exit = false;
    let began = s.meter.total();
    let (mut total, mut iterations) = (Tally::default(), 0u32);
    for _ in 0..dbs {
        let db = s.expire_cycle.next_db % count;
        s.expire_cycle.next_db = (db + 1) % count;
        loop {
            iterations += 1;
            let Some(tally) = sample(s, db, keys_per_loop) else { break };
            total.sampled += tally.sampled;
            total.expired += tally.expired;
            if iterations.is_multiple_of(16) && (s.meter.total() - began) / 1_000 > limit_us {
                s.expire_cycle.time_limit_exit = true;
                s.stats.expired_time_cap += 1;
                break;
            }
            if tally.sampled > 0 && tally.expired * 100 / tally.sampled <= acceptable {
                break;
            }
        }
        if s.expire_cycle.time_limit_exit {
            break;
        }
    }
    s.latency_sample("expire-cycle", (s.meter.total() - began) / NS_PER_MS);
    // Deletions of the cycle are not a transaction.
    s.propagate_pending_bare(out);
    let share = (total.expired * 1_000_000_000).checked_div(total.sampled).unwrap_or(0);
    s.expire_cycle.stale_ppb = share / 20 + s.expire_cycle.stale_ppb / 20 * 19;
    s.stats.expired_stale_ppm = s.expire_cycle.stale_ppb / 1_000;
}

/// Samples keys of one database that have an expiry and removes those whose time is over. `None`: nothing to sample.
fn sample(s: &mut Server, number: usize, keys_per_loop: u64) -> Option<Tally> {
    let db = &mut s.keyspace.dbs[number];
    let len = db.expires_len() as u64;
    if len == 0 {
        db.avg_ttl = 0;
        db.earliest = i64::MAX;
        return None;
    }
    let buckets = db.expires().buckets() as u64;
    if buckets > 4 && len * 100 / buckets < 1 {
        return None;
    }
    let wanted = len.min(keys_per_loop);
    let (mut tally, mut checked, mut ttl_sum, mut ttl_samples) = (Tally::default(), 0, 0i64, 0i64);
    let now = s.ms();
    let number = u32::try_from(number).expect("the number of databases is a setting");
    let mut met: Vec<u32> = Vec::new();
    while tally.sampled < wanted && checked < wanted * 20 {
        let db = s.keyspace.db_mut(number);
        checked += db.expires().bucket_at(db.expires_cursor, |key| met.push(key.at));
        db.expires_cursor = db.expires_cursor.wrapping_add(1);
        for at in met.drain(..) {
            let left = s.keyspace.db(number).expiry(at) - now;
            tally.sampled += 1;
            s.meter.add(cost::ELEMENT);
            if left < 0 {
                s.delete_expired(number, at);
                tally.expired += 1;
            } else if left > 0 {
                ttl_sum = ttl_sum.saturating_add(left);
                ttl_samples += 1;
            }
        }
    }
    let db = s.keyspace.db_mut(number);
    if let Some(average) = ttl_sum.checked_div(ttl_samples) {
        if db.avg_ttl == 0 {
            db.avg_ttl = average;
        }
        db.avg_ttl = db.avg_ttl / 50 * 49 + average / 50;
    }
    // A sample that met every key knows when the next one expires; else the bound moves only when a whole look at
    // the index is cheap beside what was sampled.
    if tally.expired == 0 || db.expires_len() as u64 <= keys_per_loop {
        db.renew_earliest();
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use crate::server::keyspace::{Db, Name, Value};

    #[test]
    fn the_bound_follows_the_keys() {
        let mut db = Db::new();
        for (key, when) in [("a", 500), ("b", 300), ("c", 900)] {
            let at = db.add(Name::copy(key.as_bytes()), Value::Int(0), 0);
            db.set_expire(at, when);
        }
        assert_eq!(db.earliest, 300);
        let at = db.find(b"b").expect("added");
        db.remove(at);
        db.renew_earliest();
        assert_eq!(db.earliest, 500);
    }
}
