//! `maxmemory`: keys that go when memory runs short (`evict.c`).

use bytes::Bytes;

use super::notify::Classes;
use super::reply::encode_command;
use super::{Server, cost};
use crate::node::Outbox;
use crate::time::{Instant, NS_PER_MS, Now};

/// Candidates that are kept from one eviction to the next (`EVPOOL_SIZE`).
const POOL: usize = 16;

/// What an access counter starts with (`LFU_INIT_VAL`).
const LFU_INIT: u32 = 5;

/// Bits of the clock that entries remember (`LRU_BITS`).
const CLOCK_MAX: u32 = (1 << 24) - 1;

/// `maxmemory-policy`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing goes; what would need memory is refused.
    #[default]
    NoEviction,
    /// Keys, or only those that expire, by what is known of them.
    Evict {
        /// Which goes first.
        by: By,
        /// Only keys that expire.
        volatile: bool,
    },
}

/// What decides which key goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The one that was not used for longest.
    Lru,
    /// The one that is used least often.
    Lfu,
    /// Any.
    Random,
    /// The one that expires soonest.
    Ttl,
}

/// The words of the directive.
const WORDS: [(&str, Policy); 8] = [
    ("volatile-lru", Policy::Evict { by: By::Lru, volatile: true }),
    ("volatile-lfu", Policy::Evict { by: By::Lfu, volatile: true }),
    ("volatile-random", Policy::Evict { by: By::Random, volatile: true }),
    ("volatile-ttl", Policy::Evict { by: By::Ttl, volatile: true }),
    ("allkeys-lru", Policy::Evict { by: By::Lru, volatile: false }),
    ("allkeys-lfu", Policy::Evict { by: By::Lfu, volatile: false }),
    ("allkeys-random", Policy::Evict { by: By::Random, volatile: false }),
    ("noeviction", Policy::NoEviction),
];

impl Policy {
    /// The policy of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Policy> {
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, policy)| *policy)
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, policy)| *policy == self).map_or("noeviction", |(word, _)| word)
    }

    /// True when it matters when or how often an entry was used.
    #[must_use]
    pub fn remembers(self) -> bool {
        matches!(self, Policy::Evict { by: By::Lru | By::Lfu, .. })
    }

    /// True when entries count accesses in place of remembering the last one.
    #[inline]
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Policy::Evict { by: By::Lfu, .. })
    }
}

/// A key that may go.
#[derive(Clone, Debug)]
struct Candidate {
    /// How well it qualifies.
    idle: u64,
    db: u32,
    key: Bytes,
}

/// What evictions leave for the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Eviction {
    /// Ascending by how well they qualify.
    pool: Vec<Candidate>,
    next_db: usize,
    /// There is more to do than one go had time for.
    pub running: bool,
    /// The command that runs began without enough memory: what a script calls may not need more (`script_oom`).
    pub out_of_memory: bool,
    /// Since when more memory is used than allowed, as far as is known.
    exceeded_since: Option<Instant>,
    /// Nanoseconds in which more was used, before that.
    exceeded_ns: u64,
}

impl Eviction {
    /// Milliseconds in which more memory was used than allowed: in all, and since it last became so.
    #[must_use]
    pub(crate) fn exceeded_ms(&self, now: Instant) -> (u64, u64) {
        let current = self.exceeded_since.map_or(0, |since| now.since(since).ns());
        ((self.exceeded_ns + current) / 1_000_000, current / 1_000_000)
    }
}

/// What entries remember of their last access now: the clock's second, or under an LFU policy the minute and a counter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    seconds: u32,
    counts: bool,
}

impl Access {
    fn minutes(self) -> u32 {
        (self.seconds / 60) & 0xffff
    }

    fn with_frequency(self, counter: u32) -> u32 {
        self.minutes() << 8 | counter & 0xff
    }

    /// Of an entry that is made now.
    #[inline]
    fn fresh(self) -> u32 {
        if self.counts { self.with_frequency(LFU_INIT) } else { self.seconds & CLOCK_MAX }
    }

    /// Of an entry of which an idle time in seconds or a frequency was given (`objectSetLRUOrLFU`).
    #[must_use]
    pub(crate) fn given(self, idle: Option<u64>, frequency: Option<u8>) -> u32 {
        match (self.counts, frequency, idle) {
            (true, Some(frequency), _) => self.with_frequency(u32::from(frequency)),
            (false, _, Some(idle)) => {
                let clock = i64::from(self.seconds & CLOCK_MAX) - i64::try_from(idle).unwrap_or(i64::MAX);
                let clock = if clock < 0 { clock + i64::from(CLOCK_MAX) } else { clock };
                u32::try_from(clock).unwrap_or(0)
            }
            _ => self.fresh(),
        }
    }
}

/// What an entry that is made now remembers of its last access, under a policy that doesn't count accesses.
#[inline]
#[must_use]
pub(crate) fn uncounted(now: Now) -> u32 {
    let seconds = u32::try_from(now.unix.secs()).unwrap_or(u32::MAX);
    Access { seconds, counts: false }.fresh()
}

/// How an attempt to get below the limit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Below, or nothing may be done about it now.
    Fine,
    /// Still above; it goes on in the next turn.
    Running,
    /// Above, and there is nothing to evict.
    Failed,
}

/// Microseconds for one go (`evictionTimeLimitUs`).
fn time_limit_us(tenacity: u64) -> u64 {
    match tenacity {
        0..=10 => 50 * tenacity,
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "two minutes at most")]
        11..=99 => (500.0 * libm::pow(1.15, tenacity as f64 - 10.0)) as u64,
        _ => u64::MAX,
    }
}

impl Server {
    /// The clock and the policy as accesses are remembered by.
    #[must_use]
    pub(crate) fn access_now(&self) -> Access {
        Access { seconds: self.seconds(), counts: self.config.maxmemory_policy.counts() }
    }

    /// What an entry that is made now remembers of its last access.
    #[inline]
    #[must_use]
    pub(crate) fn access(&self) -> u32 {
        self.access_now().fresh()
    }

    /// What a snapshot says of an entry's last access: seconds since then, or how often it was used
    /// (`rdbSaveKeyValuePair`).
    #[must_use]
    pub(crate) fn remembered_access(&self, touched: u32) -> (Option<u64>, Option<u8>) {
        match self.config.maxmemory_policy {
            Policy::Evict { by: By::Lru, .. } => (Some(u64::from(self.idle_seconds(touched))), None),
            Policy::Evict { by: By::Lfu, .. } => (None, u8::try_from(self.frequency(touched)).ok()),
            Policy::Evict { by: By::Random | By::Ttl, .. } | Policy::NoEviction => (None, None),
        }
    }

    /// What an entry remembers that gets another value, or is made: counted accesses stay.
    #[inline]
    #[must_use]
    pub(crate) fn access_of(&self, db: u32, found: Option<u32>) -> u32 {
        match found {
            Some(at) if self.config.maxmemory_policy.counts() => self.keyspace.db(db).entry(at).touched,
            _ => self.access(),
        }
    }

    /// Seconds since an access (`estimateObjectIdleTime`).
    #[must_use]
    pub(crate) fn idle_seconds(&self, touched: u32) -> u32 {
        let (now, then) = (self.seconds() & CLOCK_MAX, touched & CLOCK_MAX);
        if now >= then { now - then } else { now + (CLOCK_MAX - then) }
    }

    /// The counter of accesses as it has decayed until now (`LFUDecrAndReturn`).
    #[must_use]
    pub(crate) fn frequency(&self, touched: u32) -> u32 {
        let (then, counter, now) = (touched >> 8 & 0xffff, touched & 0xff, self.access_now().minutes());
        let passed = if now >= then { now - then } else { 0xffff - then + now };
        let periods = u64::from(passed).checked_div(self.config.lfu_decay_time).unwrap_or(0);
        counter.saturating_sub(u32::try_from(periods).unwrap_or(u32::MAX))
    }

    /// An entry is used: remembers that (`LOOKUP_NOTOUCH` not given).
    #[inline]
    pub(crate) fn touch(&mut self, db: u32, at: u32) {
        let touched = if self.config.maxmemory_policy.counts() { self.counted(db, at) } else { self.access() };
        self.keyspace.db_mut(db).touch(at, touched);
    }

    /// One access more, which counts the less the more there were (`updateLFU`).
    fn counted(&mut self, db: u32, at: u32) -> u32 {
        let mut counter = self.frequency(self.keyspace.db(db).entry(at).touched);
        let above = u64::from(counter.saturating_sub(LFU_INIT));
        let chances = above.saturating_mul(self.config.lfu_log_factor).saturating_add(1);
        if counter < 255 && (chances == 1 || self.rng.below(chances) == 0) {
            counter += 1;
        }
        self.access_now().with_frequency(counter)
    }

    /// How far memory is above the limit, without the buffers of replicas (`getMaxmemoryState`).
    fn excess(&mut self) -> Option<u64> {
        let used = self.counted_used_memory().saturating_sub(self.uncounted_memory());
        used.checked_sub(self.config.maxmemory).filter(|&excess| excess > 0)
    }

    /// Tables may grow as far as memory allows it before the next request (`dictExpandAllowed`).
    pub(crate) fn limit_tables(&mut self) {
        let limit = self.config.maxmemory;
        let uncounted = self.uncounted_memory();
        let left = (limit > 0).then(|| (limit + uncounted).saturating_sub(self.counted_used_memory()));
        for db in self.keyspace.dbs.iter_mut().filter(|db| db.ceiling.is_some() || left.is_some() && !db.is_empty()) {
            db.ceiling = left.map(|left| db.memory() + left);
        }
    }

    /// Evicts until memory is below the limit, or until there is no time or nothing left (`performEvictions`).
    pub(crate) fn perform_evictions(&mut self, out: &mut Outbox) -> Outcome {
        let copies = !self.repl.is_master() && self.config.replica_ignore_maxmemory;
        if self.config.maxmemory == 0 || self.loading || copies || self.is_paused() {
            self.eviction.running = false;
            return Outcome::Fine;
        }
        let outcome = self.evict(out);
        self.eviction.running = outcome == Outcome::Running;
        let now = self.now.mono;
        if outcome == Outcome::Fine {
            if let Some(since) = self.eviction.exceeded_since.take() {
                self.eviction.exceeded_ns += now.since(since).ns();
            }
        } else {
            self.eviction.exceeded_since.get_or_insert(now);
        }
        outcome
    }

    fn evict(&mut self, out: &mut Outbox) -> Outcome {
        let Some(to_free) = self.excess() else { return Outcome::Fine };
        self.stats.peak_memory = self.stats.peak_memory.max(self.counted_used_memory());
        let Policy::Evict { by, volatile } = self.config.maxmemory_policy else { return Outcome::Failed };
        let limit = time_limit_us(self.config.maxmemory_eviction_tenacity);
        let began = self.meter.total();
        let (mut freed, mut keys) = (0, 0_u64);
        let mut outcome = Outcome::Fine;
        while freed < to_free {
            let chosen = match by {
                By::Random => self.random_victim(volatile),
                By::Lru | By::Lfu | By::Ttl => self.best_victim(by, volatile),
            };
            let Some((db, at)) = chosen else {
                outcome = Outcome::Failed;
                break;
            };
            freed += self.evict_key(db, at);
            keys += 1;
            if keys.is_multiple_of(16) && (self.meter.total() - began) / 1_000 > limit {
                outcome = Outcome::Running;
                break;
            }
        }
        self.latency_sample("eviction-cycle", (self.meter.total() - began) / NS_PER_MS);
        // Deletions are not a transaction.
        self.propagate_pending_bare(out);
        if keys > 0 {
            let keys = u32::try_from(keys).unwrap_or(u32::MAX);
            out.note(crate::trace::Kind::Server(crate::trace::event::ServerEvent::Evicted { keys }));
        }
        outcome
    }

    /// Removes a key; returns how many bytes that frees.
    fn evict_key(&mut self, db: u32, at: u32) -> u64 {
        let before = self.keyspace.db(db).memory();
        let entry = self.keyspace.db_mut(db).remove(at);
        let key = entry.key.as_slice();
        let began = self.meter.total();
        self.freed(&entry.value, self.config.lazyfree_lazy_eviction);
        self.latency_sample("eviction-del", (self.meter.total() - began) / NS_PER_MS);
        self.stats.evicted_keys += 1;
        self.value_gone(db, key, &entry.value);
        self.signal_modified_by(None, db, key);
        self.notify(Classes::EVICTED, "evicted", db, key);
        let verb: &[u8] = if self.config.lazyfree_lazy_eviction { b"UNLINK" } else { b"DEL" };
        if self.should_propagate() {
            self.propagate(db, encode_command(&[verb, key]));
        }
        before.saturating_sub(self.keyspace.db(db).memory())
    }

    /// Any key of the next database that has one.
    fn random_victim(&mut self, volatile: bool) -> Option<(u32, u32)> {
        let count = self.keyspace.dbs.len();
        for _ in 0..count {
            self.eviction.next_db = (self.eviction.next_db + 1) % count;
            let number = self.eviction.next_db;
            let db = &self.keyspace.dbs[number];
            let found = if volatile {
                db.expires().random(&mut self.rng).map(|at| db.expires().get(at).at)
            } else {
                db.keys().random(&mut self.rng)
            };
            if let Some(at) = found {
                self.meter.add(cost::ELEMENT);
                return Some((u32::try_from(number).expect("the number of databases is a setting"), at));
            }
        }
        None
    }

    /// The best candidate that still exists, after new ones were sampled.
    fn best_victim(&mut self, by: By, volatile: bool) -> Option<(u32, u32)> {
        loop {
            let mut any = false;
            for number in 0..self.keyspace.dbs.len() {
                any |= self.sample_candidates(number, by, volatile);
            }
            if !any {
                return None;
            }
            while let Some(best) = self.eviction.pool.pop() {
                let db = self.keyspace.db(best.db);
                let found = db.find(&best.key).filter(|&at| !volatile || db.expiry(at) >= 0);
                if let Some(at) = found {
                    return Some((best.db, at));
                }
            }
        }
    }

    /// Takes some keys of a database into the pool; false when it has none (`evictionPoolPopulate`).
    fn sample_candidates(&mut self, number: usize, by: By, volatile: bool) -> bool {
        let db = &self.keyspace.dbs[number];
        let count = usize::try_from(self.config.maxmemory_samples).unwrap_or(usize::MAX);
        let sampled: Vec<u32> = if volatile {
            db.expires().some(count, &mut self.rng).into_iter().map(|at| db.expires().get(at).at).collect()
        } else {
            db.keys().some(count, &mut self.rng)
        };
        let number = u32::try_from(number).expect("the number of databases is a setting");
        self.meter.add(sampled.len() as u64 * cost::ELEMENT);
        for at in &sampled {
            let entry = self.keyspace.db(number).entry(*at);
            let idle = match by {
                By::Lru => u64::from(self.idle_seconds(entry.touched)),
                By::Lfu => u64::from(255 - self.frequency(entry.touched)),
                By::Ttl => u64::MAX - self.keyspace.db(number).expiry(*at).cast_unsigned(),
                By::Random => 0,
            };
            let pool = &mut self.eviction.pool;
            let place = pool.partition_point(|candidate| candidate.idle < idle);
            let full = pool.len() == POOL;
            if full && place == 0 {
                continue;
            }
            let key = entry.key.to_bytes();
            if full {
                pool.remove(0);
            }
            pool.insert(place - usize::from(full), Candidate { idle, db: number, key });
        }
        !sampled.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Policy, time_limit_us};
    use crate::node::{Input, Node as _};

    #[test]
    fn words_are_read_and_printed() {
        for word in ["volatile-lru", "allkeys-lfu", "volatile-ttl", "allkeys-random", "noeviction"] {
            assert_eq!(Policy::parse(word).map(Policy::word), Some(word));
        }
        assert_eq!(Policy::parse("allkeys-ttl"), None);
    }

    /// Writes until twice the limit, reading one tenth of the keys all the time: how many of these and of the others are
    /// left, and how many went.
    fn fill(policy: &str) -> (usize, usize, u64) {
        // Without decay, counters say how often a key was used, and nothing else.
        let conf = format!("maxmemory 3mb\nmaxmemory-policy {policy}\nlfu-decay-time 0\n");
        let mut rig = crate::server::rig::Rig::with(&conf, 1_795_000_000_000, 1_000);
        let value = "v".repeat(900);
        for n in 0..4_000 {
            rig.pass(2_000);
            rig.ask("a", &format!("SET k{n} {value}"));
            let busy = n % 200 * 10;
            rig.ask("a", &format!("GET k{busy}"));
        }
        let limit = rig.server.config.maxmemory;
        assert!(rig.server.used_memory() < limit + 2_000, "{policy}: {} bytes", rig.server.used_memory());
        let db = rig.server.keyspace.db(0);
        let is_left = |n: usize| db.find(format!("k{n}").as_bytes()).is_some();
        let left = |busy: bool| (0..2_000).filter(|n| (n % 10 == 0) == busy && is_left(*n)).count();
        (left(true), left(false), rig.server.stats.evicted_keys)
    }

    #[test]
    fn what_is_used_stays() {
        for (policy, most) in [("allkeys-lru", 300), ("allkeys-lfu", 800)] {
            let (busy, idle, evicted) = fill(policy);
            assert!(evicted > 1_500, "{policy}: {evicted}");
            assert!(busy > 150 && idle < most, "{policy}: {busy} of 200, {idle} of 1,800");
        }
        let (busy, _, _) = fill("allkeys-random");
        assert!(busy < 150, "{busy} of 200");
    }

    #[test]
    fn the_largest_clients_go_unless_they_may_not() {
        let mut rig = crate::server::rig::Rig::with("maxmemory-clients 300000\n", 1_795_000_000_000, 1_000);
        rig.ask("kept", "CLIENT NO-EVICT ON");
        for name in ["b", "c", "d", "e", "f"] {
            assert_eq!(rig.ask(name, "PING"), "+PONG\r\n");
        }
        assert_eq!(rig.server.stats.evicted_clients, 0);
        // What a transaction queues makes the last one the largest.
        assert_eq!(rig.ask("f", "MULTI"), "+OK\r\n");
        let largest = rig.fds["f"];
        let goes_on = |rig: &mut crate::server::rig::Rig| {
            !rig.closed.contains(&largest) && rig.ask("f", "GET big") == "+QUEUED\r\n"
        };
        let queued = (0..2_000).take_while(|_| goes_on(&mut rig)).count();
        assert!((500..2_000).contains(&queued), "{queued}");
        assert_eq!(rig.server.stats.evicted_clients, 1);
        assert!(rig.closed.contains(&largest) && !rig.closed.contains(&rig.fds["kept"]));
        assert_eq!(rig.ask("b", "PING"), "+PONG\r\n");
    }

    #[test]
    fn clients_go_before_keys_and_those_over_their_own_limit_before_others() {
        let conf = "maxmemory 2500000\nmaxmemory-policy allkeys-random\nmaxmemory-clients 500000\n";
        let mut rig = crate::server::rig::Rig::with(conf, 1_795_000_000_000, 1_000);
        let value = "v".repeat(1_000);
        for n in 0..20 {
            rig.ask("a", &format!("SET k{n} {value}"));
        }
        // Requests that are far from complete, and one that is, all in one turn.
        let part = format!("*2\r\n$900000\r\n{}", "x".repeat(800_000));
        let fds = ["b", "c", "a"].map(|name| rig.fd(name));
        for (fd, data) in fds.into_iter().zip([part.clone(), part, "SET k v\r\n".to_owned()]) {
            let (now, input) = (rig.server.now, Input::Bytes { fd, data: data.into_bytes().into() });
            rig.server.handle(now, input, &mut rig.out);
        }
        rig.turn(Input::Wake);
        assert_eq!(rig.take_reply("a"), b"+OK\r\n");
        assert!(rig.server.stats.evicted_clients >= 2, "{}", rig.server.stats.evicted_clients);
        assert_eq!((rig.server.stats.evicted_keys, rig.server.keyspace.len()), (0, 21));
    }

    #[test]
    fn a_replica_keeps_what_its_master_has() {
        let conf = "maxmemory 1\nmaxmemory-policy allkeys-lru\nreplica-read-only no\n";
        let mut rig = crate::server::rig::Rig::with(conf, 1_795_000_000_000, 1_000);
        assert!(rig.ask("a", "SET k v").starts_with("-OOM"));
        rig.ask("a", "REPLICAOF 10.0.0.9 6379");
        assert_eq!(rig.ask("a", "SET k v"), "+OK\r\n");
        rig.ask("a", "CONFIG SET replica-ignore-maxmemory no");
        assert!(rig.ask("a", "SET k v").starts_with("-OOM"));
        assert_eq!(rig.ask("a", "EXISTS k"), ":0\r\n");
    }

    #[test]
    fn a_table_grows_only_within_the_limit() {
        for conf in ["", "maxmemory-policy allkeys-random\n"] {
            let mut rig = crate::server::rig::Rig::with(conf, 1_795_000_000_000, 1_000);
            // The next table has 8,192 buckets, which take 64 kB.
            rig.ask("a", "DEBUG POPULATE 4096 key 1");
            let limit = rig.server.used_memory() + 10_240;
            rig.ask("a", &format!("CONFIG SET maxmemory {limit}"));
            for n in 1..3 {
                assert_eq!(rig.ask("a", &format!("SET k{n} v")), "+OK\r\n", "{conf}");
            }
            assert_eq!((rig.server.keyspace.len(), rig.server.keyspace.db(0).keys().buckets()), (4_098, 4_096));
            // There is no need for it, as long as chains are short.
            rig.ask("a", "CONFIG SET maxmemory 0");
            rig.ask("a", "DEBUG POPULATE 8000 key 1");
            assert!(rig.server.keyspace.db(0).keys().buckets() >= 8_192);
        }
    }

    #[test]
    fn tenacity_is_time() {
        assert_eq!([0, 1, 10, 11, 100].map(time_limit_us), [0, 50, 500, 575, u64::MAX]);
    }
}
