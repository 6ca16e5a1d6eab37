//! The short way of the commonest requests: one whole SET or GET, of an ordinary session, at a server with which nothing
//! special is going on. It does what the long way through reader, gate and call would do, without looking for what
//! isn't there; tests compare the two. A SET with whose turn nothing else happens is done with its whole turn.
//!
//! Whoever gives servers something new to look at says so here: what keeps a command from simply being executed, in
//! [`Server::is_plain`]; what the end of a turn has to do, in [`Server::is_swift`].

use std::sync::LazyLock;

use bytes::Bytes;

use super::commands::{self, Command};
use super::keyspace::value::EMBSTR_MAX;
use super::keyspace::{Type, Value, hash_key};
use super::notify::Classes;
use super::session::Flags;
use super::{Server, cost, expire, replication};
use crate::id::Fd;
use crate::node::{Outbox, Short};
use crate::resp::{encode, short_request, short_set};
use crate::time::{Instant, NS_PER_MS, Now, Span};
use crate::trace::Often;
use crate::trace::digest::hash_pair;

/// What SET answers.
pub(super) const OK: &[u8] = b"+OK\r\n";
/// The same as a message.
pub(super) const OK_MESSAGE: Short = Short::constant(OK);

/// What writing it costs.
pub(super) const WRITE_OK: u64 = cost::WRITE + OK.len() as u64 / 16 * cost::COPY_16;

/// Longer requests take the long way.
const LONGEST: usize = 1_024;

pub(super) static SET: LazyLock<&'static Command> =
    LazyLock::new(|| commands::lookup(b"set").expect("SET is in the table"));
static GET: LazyLock<&'static Command> = LazyLock::new(|| commands::lookup(b"get").expect("GET is in the table"));

impl Server {
    /// Whether the short way can be taken until something else than it happens: it is for a master that no setting and
    /// no client keeps from simply executing commands.
    pub(crate) fn is_plain(&self) -> bool {
        let dearest = self.meter.scaled(cost::COMMAND + LONGEST as u64 / 16 * cost::COPY_16);
        let slow = u64::try_from(self.config.slowlog_log_slower_than).is_ok_and(|least| dearest.ns() / 1_000 >= least);
        let threshold = self.config.latency_monitor_threshold;
        let sampled = threshold > 0 && dearest.ns() / NS_PER_MS >= threshold;
        self.express
            && !slow
            && !sampled
            && self.repl.is_master()
            && !self.repl.failover_under_way()
            && self.repl.enough_good_replicas(&self.config)
            && !self.loading
            && !self.async_loading
            && self.monitors.is_empty()
            && self.watchers.is_empty()
            && self.tracking.is_idle()
            && self.config.maxmemory == 0
            && !self.config.maxmemory_policy.counts()
            && self.config.clients_limit() == 0
            && self.config.notify_keyspace_events == Classes::default()
            && self.blocking.is_empty()
            && self.pause.is_off()
            && !self.is_busy()
            && self.config.io_threads == 1
            && self.config.renamed.is_empty()
            && self.persistence.write_error(self).is_none()
            && dearest <= Span::from_ns(10 * NS_PER_MS)
    }

    /// Whether, besides, the end of a turn has nothing to do but to send replies.
    pub(crate) fn is_swift(&self) -> bool {
        self.plain
            && self.unblocked.is_empty()
            && self.pending_input.is_empty()
            && self.closing.is_empty()
            && self.sessions.pending_writes.is_empty()
            && self.expired_noted == 0
            && !self.eviction.running
            && !self.blocking.has_ready()
            && !self.shutdown.exited
            && !self.should_propagate()
            && self.exec.has_begun()
            && !self.persistence.is_loading()
            && expire::fast_cycle_is_off(self)
            && replication::is_at_rest(self)
    }

    /// The whole turn of one SET, whatever came before it.
    pub(crate) fn swift_set(&mut self, now: Now, fd: Fd, data: &[u8], out: &mut Outbox) -> bool {
        if !self.swift || now.mono >= self.cron.next {
            return false;
        }
        let Some([key, text]) = short_set(data).map(|set| set.map(|part| part.of(data))) else { return false };
        // Whichever way it goes, it begins so.
        self.now = now;
        // The policy counts no accesses: it is an ordinary time.
        let access = super::eviction::uncounted(now);
        let Server { sessions, keyspace, meter, stats, exec, repl, .. } = self;
        let Some(session) = sessions.get_mut(fd) else { return false };
        if !session.takes_swiftly(OK) || text.len() > EMBSTR_MAX {
            return false;
        }
        let (hash, db) = (hash_key(key), keyspace.db_mut(session.db));
        if !db.set_text((hash, db.look_ahead(hash)), key, text, access) {
            return false;
        }
        let len = data.len() as u64;
        let copied = len / 16 * cost::COPY_16;
        let [read, executed, written] = meter.spend([cost::READ + copied, cost::COMMAND + copied, WRITE_OK]);
        let set: &Command = *SET;
        let stat = &mut stats.commands[set.id];
        // Counters of 64 bits never overflow.
        stat.calls = stat.calls.wrapping_add(1);
        stat.ns = stat.ns.wrapping_add(executed);
        if executed >= 1_000 {
            stats.histograms.add(set.id, executed);
        }
        stats.num_commands = stats.num_commands.wrapping_add(1);
        stats.net_in = stats.net_in.wrapping_add(len);
        stats.reads = stats.reads.wrapping_add(1);
        stats.net_out = stats.net_out.wrapping_add(OK.len() as u64);
        stats.writes = stats.writes.wrapping_add(1);
        exec.dirty = exec.dirty.wrapping_add(1);
        let offset = repl.offset();
        session.answer_swiftly(set.spec.name, now.unix, (data.len(), OK.len()), offset);
        out.note_often(Often::Write { op: hash_pair(key, text), offset });
        self.plan_cron();
        self.wake = self.cron.due();
        let quick = &mut out.quick;
        (quick.busy, quick.busy_after) = (Span::from_ns(read + executed), Span::from_ns(written));
        quick.fd = Some(fd);
        quick.message.copy_from(&OK_MESSAGE);
        quick.wake = self.wake.unwrap_or(Instant::NEVER);
        true
    }

    /// Executes what was read if it is a request for the short way. The reading itself is accounted for already.
    /// False if it is not; then nothing has happened.
    #[inline]
    pub(crate) fn take_short_way(&mut self, fd: Fd, data: &Bytes, out: &mut Outbox) -> bool {
        if data.len() > LONGEST || self.meter.turn() > super::clients::TURN_MAX_NS {
            return false;
        }
        let Some((args, count)) = short_request(data) else { return false };
        let Some(session) = self.sessions.get_mut(fd) else { return false };
        if !session.flags.is_ordinary() || !session.authenticated || session.reader.unread() != 0 {
            return false;
        }
        match (count, commands::lower3(args[0])) {
            (3, Some([b's', b'e', b't'])) => self.short_set(fd, data, args[1], args[2], out),
            (2, Some([b'g', b'e', b't'])) => self.short_get(fd, data, args[1]),
            _ => false,
        }
    }

    /// The place of a key that exists, if it has no expiry to be looked at; `Err`: it has.
    #[inline]
    fn short_find(&self, db: u32, key: &[u8]) -> Result<Option<u32>, ()> {
        let db = self.keyspace.db(db);
        match db.find(key) {
            Some(at) if db.entry(at).expires() => Err(()),
            found => Ok(found),
        }
    }

    #[inline]
    fn short_set(&mut self, fd: Fd, data: &Bytes, key: &[u8], text: &[u8], out: &mut Outbox) -> bool {
        let db = self.sessions.at(fd).db;
        let Ok(found) = self.short_find(db, key) else { return false };
        self.account(*SET, data.len());
        let value =
            if text.len() <= EMBSTR_MAX { Value::string_copy(text) } else { Value::string(data.slice_ref(text)) };
        let access = self.access();
        self.keyspace.db_mut(db).set_found(found, key, value, false, access);
        self.exec.dirty += 1;
        if self.should_propagate() {
            self.propagate_now(db, data);
            if self.persistence.wants_stream() {
                self.persistence.aof.note_write();
            }
        }
        out.note_often(Often::Write { op: hash_pair(key, text), offset: self.repl.offset() });
        let session = self.sessions.at_mut(fd);
        session.reply.constant(OK);
        self.answered(fd, *SET, data.len());
        true
    }

    fn short_get(&mut self, fd: Fd, data: &Bytes, key: &[u8]) -> bool {
        let db = self.sessions.at(fd).db;
        let Ok(found) = self.short_find(db, key) else { return false };
        if found.is_some_and(|at| self.keyspace.db(db).entry(at).value.kind() != Type::String) {
            return false;
        }
        self.account(*GET, data.len());
        let access = self.access();
        let session = self.sessions.at_mut(fd);
        if let Some(at) = found {
            self.stats.hits += 1;
            let db = self.keyspace.db_mut(db);
            db.touch(at, access);
            db.entry(at).value.with_text(|text| encode::bulk(session.reply.tail(), text));
            let waiting = session.reply.len() as u64;
            if waiting >= super::footprint::NOTED {
                self.note_reply(fd, waiting);
            }
        } else {
            self.stats.misses += 1;
            session.reply.constant(if session.resp > 2 { b"_\r\n" } else { b"$-1\r\n" });
        }
        self.answered(fd, *GET, data.len());
        true
    }

    /// What executing a command costs and counts.
    #[inline(always)]
    fn account(&mut self, command: &'static Command, len: usize) {
        let before = self.meter.turn();
        self.meter.add(cost::COMMAND + len as u64 / 16 * cost::COPY_16);
        let stat = &mut self.stats.commands[command.id];
        stat.calls += 1;
        let took = self.meter.turn() - before;
        stat.ns += took;
        if took >= 1_000 {
            self.stats.histograms.add(command.id, took);
        }
        self.stats.num_commands += 1;
        self.exec.begin();
    }

    #[inline(always)]
    fn answered(&mut self, fd: Fd, command: &'static Command, len: usize) {
        let offset = self.repl.offset();
        let session = self.sessions.at_mut(fd);
        session.last_cmd = Some(command.spec.name);
        session.woff = offset;
        session.reader.passed(len);
        if !session.flags.has(Flags::PENDING_WRITE) {
            session.flags.set(Flags::PENDING_WRITE);
            self.sessions.pending_writes.push(fd);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::node::{Input, Node as _, Preview};
    use crate::server::rig::Rig;
    use crate::trace::Event;

    /// What sessions say: mostly what takes the short way, and everything that keeps from it.
    const WORDS: &[&str] = &[
        "SET a 1",
        "SET b some-text",
        "SET a 22222222222222222222223",
        "set a 22222222222222222222222",
        "SeT a vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
        "GET a",
        "get b",
        "GET absent",
        "SET a",
        "GET a b",
        "SET a 1 EX 100",
        "PEXPIRE a 50",
        "DEL a",
        "APPEND a x",
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH a",
        "UNWATCH",
        "MONITOR",
        "SUBSCRIBE ch",
        "UNSUBSCRIBE ch",
        "CLIENT REPLY OFF",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY ON",
        "CLIENT LIST",
        "CLIENT PAUSE 100 WRITE",
        "CLIENT UNPAUSE",
        "CONFIG SET requirepass secret",
        "CONFIG SET requirepass \"\"",
        "AUTH secret",
        "CONFIG SET min-replicas-to-write 1",
        "CONFIG SET min-replicas-to-write 0",
        "REPLICAOF 127.0.0.9 7000",
        "REPLICAOF NO ONE",
        "SELECT 1",
        "SELECT 0",
        "HELLO 3",
        "INFO stats",
        "INFO commandstats",
        "INFO replication",
        "OBJECT ENCODING a",
        "DEBUG SLEEP 0.01",
        "WAIT 0 10",
        "PSYNC ? -1",
        "QUIT",
        "FLUSHALL",
        "LPUSH a 1",
        "ACL SETUSER default -get",
        "ACL SETUSER default resetkeys ~a",
        "ACL SETUSER default +@all ~*",
        "ACL SETUSER bob on nopass ~b +@all",
        "AUTH bob x",
        "ACL DELUSER bob",
        "RANDOMKEY",
        "SCAN 0 COUNT 3",
        "SET c some-text-that-is-longer-than-20",
        "SET d some-text-that-is-longer-than-20",
        "SET e some-text-that-is-longer-than-20",
        "SET f some-text-that-is-longer-than-20",
        "SET g 5",
        "SET h 5",
        "SET i 5",
    ];
    /// Where those begin with which a table grows.
    const MANY: usize = WORDS.len() - 9;

    #[derive(Clone, Debug)]
    enum Step {
        Say(u8, Vec<usize>, Option<usize>),
        Pass(u64),
    }

    fn request(word: usize) -> Vec<u8> {
        request_of(&WORDS[word].split(' ').map(|part| part.trim_matches('"')).collect::<Vec<&str>>())
    }

    fn request_of(parts: &[&str]) -> Vec<u8> {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let mut data = bytes::BytesMut::new();
        crate::resp::encode::command(&mut data, &parts);
        data.to_vec()
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Way {
        Long,
        Short,
        /// Whole turns where they can be had.
        Swift,
        /// The same with requests that were seen before their time.
        Foreseen,
    }

    /// A turn for these bytes; true if it went by in one.
    fn turn(rig: &mut Rig, swift: bool, fd: Fd, data: &[u8], preview: Option<Preview>) -> bool {
        if swift && rig.server.quick_turn(rig.now, fd, data, preview.as_ref(), &mut rig.out) {
            let quick = rig.out.quick.clone();
            assert_eq!(quick.wake, rig.server.wake_at().unwrap_or(Instant::NEVER));
            rig.out.busy(quick.busy);
            rig.out.send(quick.fd.expect("an answer"), quick.message.to_bytes());
            rig.out.busy(quick.busy_after);
            rig.collect();
            return true;
        }
        rig.turn(Input::Bytes { fd, data: Bytes::copy_from_slice(data) });
        false
    }

    /// Everything that can be seen of a server that goes through these steps.
    fn watch(way: Way, conf: &str, steps: &[Step]) -> (Rig, Vec<Event>) {
        let mut rig = Rig::with(conf, 1_700_000_000_000, 1_000);
        rig.server.express = way != Way::Long;
        rig.server.plain &= rig.server.express;
        rig.server.swift &= rig.server.plain;
        for step in steps {
            match step {
                Step::Pass(ms) => rig.pass(*ms),
                Step::Say(who, words, cut) => {
                    let all: Vec<u8> = words.iter().flat_map(|&word| request(word)).collect();
                    let cut = cut.map_or(all.len(), |cut| cut % all.len()).max(1);
                    let parts = [&all[..cut], &all[cut..]];
                    // The second one is seen before the first one has its turn.
                    let foreseen = (way == Way::Foreseen).then(|| parts.map(|part| rig.server.look_ahead(part)));
                    for (part, preview) in parts.into_iter().zip(foreseen.unwrap_or_default()) {
                        let fd = rig.fd(&format!("c{who}"));
                        if !part.is_empty() {
                            turn(&mut rig, matches!(way, Way::Swift | Way::Foreseen), fd, part, preview);
                        }
                    }
                }
            }
        }
        rig.server.end_streak();
        let events = std::mem::take(rig.out.tracer.pending());
        (rig, events)
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let usual = prop::collection::vec(0usize..8, 1..3).prop_map(|words| (words, None));
        let many = prop::collection::vec(MANY..WORDS.len(), 1..3).prop_map(|words| {
            let first = request(words[0]).len();
            (words, Some(first))
        });
        let any = (prop::collection::vec(0usize..WORDS.len(), 1..3), prop::option::weighted(0.2, any::<usize>()));
        let say = (0u8..3, prop_oneof![3 => usual, 2 => many, 2 => any]);
        let say = say.prop_map(|(who, (words, cut))| Step::Say(who, words, cut));
        let pass = prop_oneof![0u64..3, 50u64..1_200].prop_map(Step::Pass);
        prop::collection::vec(prop_oneof![5 => say, 1 => pass], 1..60)
    }

    proptest! {
        /// With and without the short way a server sends, notes, costs and counts the same.
        #[test]
        fn the_short_way_is_the_long_way(steps in steps(), logs in prop::bool::weighted(0.3)) {
            let conf = if logs { "appendonly yes\n" } else { "" };
            let (long, expected) = watch(Way::Long, conf, &steps);
            for way in [Way::Short, Way::Swift, Way::Foreseen] {
                let (short, seen) = watch(way, conf, &steps);
                prop_assert_eq!(&seen, &expected);
                prop_assert_eq!(&short.received, &long.received);
                prop_assert_eq!(&short.closed, &long.closed);
                prop_assert_eq!(&short.others, &long.others);
                prop_assert_eq!(short.server.keyspace.digest(), long.server.keyspace.digest());
                let state = |rig: &Rig| {
                    let s = &rig.server;
                    let ticks = (s.cron.next, s.cron.loops, s.cron.due(), s.wake_at());
                    let memory = s.keyspace.memory();
                    format!("{:?} {:?} {:?} {:?} {ticks:?} {memory}", s.stats, s.sessions, s.exec, s.meter)
                };
                prop_assert_eq!(state(&short), state(&long));
            }
        }
    }

    #[test]
    fn the_usual_takes_the_short_way() {
        let usual = [Step::Say(0, vec![0], None), Step::Say(0, vec![5], None), Step::Say(0, vec![7], None)];
        assert!(watch(Way::Short, "", &usual).0.server.plain);
        assert!(!watch(Way::Short, "", &[Step::Say(0, vec![19], None)]).0.server.plain, "MONITOR is no ordinary time");
    }

    /// What was seen of a request holds for it, whatever happened to its key in between.
    #[test]
    fn a_set_that_was_foreseen_finds_its_key() {
        let mut rig = Rig::with("", 1_700_000_000_000, 1_000);
        let fd = rig.fd("a");
        let set = |key: u32| request_of(&["SET", &format!("key:{key}"), "some-text-that-is-longer-than-20"]);
        for key in 0..40 {
            turn(&mut rig, true, fd, &set(key % 30), None);
            rig.pass(1);
        }
        let seen: Vec<Option<Preview>> = (0..90).map(|key| rig.server.look_ahead(&set(key))).collect();
        assert!(seen.iter().all(Option::is_some), "there is a streak");
        rig.ask("b", "DEL key:3 key:4 key:5 key:29");
        for key in [28, 27, 60, 28] {
            turn(&mut rig, true, fd, &set(key), None);
            rig.pass(1);
        }
        for key in (0..90).chain(0..90) {
            assert!(turn(&mut rig, true, fd, &set(key), seen[key as usize]), "{key} takes the short way");
        }
        rig.server.end_streak();
        assert_eq!(rig.ask("b", "DBSIZE"), ":90\r\n");
    }

    #[test]
    fn a_set_takes_a_whole_turn() {
        let mut rig = Rig::with("", 1_700_000_000_000, 1_000);
        let fd = rig.fd("a");
        assert!(turn(&mut rig, true, fd, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n", None));
        assert!(!turn(&mut rig, true, fd, b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", None), "only SET does");
        assert!(turn(&mut rig, true, fd, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n", None), "after it, too");
    }
}
