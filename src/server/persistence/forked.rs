//! What a server learns of the child that it forked: how far it is, and how much memory has had to be copied because the
//! server changed it (`childinfo.c`).

use super::Server;
use super::child::child_kind;
use crate::time::{Instant, Span};

/// Bytes that a child has of its own, whatever the server does.
const OWN: u64 = 256 * 1024;

/// Bytes of a page.
const PAGE: u64 = 4_096;

/// A child looks at its clock after so many keys.
const KEYS_BETWEEN: u64 = 1_024;

/// What the server was when it forked, and how long the child has for the keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forked {
    at: Instant,
    dirty: u64,
    memory: u64,
    keys: u64,
    takes: Span,
}

/// What the newest reports of children said (`updateChildInfo`), in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Copied {
    /// Of the last snapshot (`rdb_last_cow_size`).
    pub rdb: u64,
    /// Of the last rewrite (`aof_last_cow_size`).
    pub aof: u64,
}

/// What INFO says while a child works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes copied, as the child last found.
    pub copied: u64,
    /// How long ago, in seconds.
    pub age: u64,
    /// Keys that it has written.
    pub keys: u64,
    /// Keys that it has to write.
    pub total: u64,
}

impl Forked {
    /// At this moment, by a child that needs so much time to write all keys.
    pub(super) fn now(s: &Server, takes: Span) -> Forked {
        let memory = super::snapshot::used_memory(s);
        Forked { at: s.now.mono, dirty: s.exec.dirty, memory, keys: s.keyspace.len() as u64, takes }
    }

    /// Bytes that were copied so far. Each change copies a page, unless one that has been copied is met: the likelier,
    /// the more there are.
    pub(super) fn copied(&self, dirty: u64) -> u64 {
        let pages = self.memory / PAGE + 1;
        let changes = dirty.saturating_sub(self.dirty);
        let met = (u128::from(pages) * u128::from(changes)).div_ceil(u128::from(pages + changes));
        OWN + u64::try_from(met).expect("at most all pages") * PAGE
    }

    /// A child reports at its first key and then each second, and the server reads what there is each second.
    fn progress(&self, now: Instant, dirty: u64) -> Progress {
        let total = self.keys;
        let Some(reported) = now.since(self.at).secs().checked_sub(1).filter(|_| total > 0) else {
            return Progress { total, ..Progress::default() };
        };
        let takes = self.takes.ns().max(1);
        let reported = Span::from_secs(reported).ns().min(takes);
        let written = u128::from(total) * u128::from(reported) / u128::from(takes);
        let written = u64::try_from(written).expect("at most all keys").min(total - 1);
        Progress {
            copied: self.copied(dirty),
            age: Span::from_ns(now.since(self.at).ns() - reported).secs(),
            keys: written / KEYS_BETWEEN * KEYS_BETWEEN + 1,
            total,
        }
    }
}

/// How far the child is that runs or has not been reaped; nothing, if there is none.
pub(super) fn progress(s: &Server) -> Progress {
    let child = s.persistence.child.as_ref();
    child.map_or(Progress::default(), |child| child.forked.progress(s.now.mono, s.exec.dirty))
}

/// A child has ended well: what it says at its end.
pub(super) fn note_copied(s: &mut Server, forked: Forked) {
    let copied = forked.copied(s.exec.dirty);
    match child_kind(s) {
        Some(kind) if !kind.makes_rdb() => s.persistence.copied.aof = copied,
        Some(_) => s.persistence.copied.rdb = copied,
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_grow_with_changes_and_end_at_the_whole() {
        let forked = Forked { at: Instant::ZERO, dirty: 10, memory: 80 * PAGE, keys: 5_000, takes: Span::from_secs(5) };
        assert_eq!(forked.copied(10), OWN);
        assert_eq!(forked.copied(11), OWN + PAGE);
        let sizes: Vec<u64> = [12, 20, 110, 100_000].iter().map(|&dirty| forked.copied(dirty)).collect();
        assert!(sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");
        assert!(sizes[3] <= OWN + 81 * PAGE);
    }

    #[test]
    fn a_child_reports_each_second() {
        let forked = Forked { at: Instant::ZERO, dirty: 0, memory: 1 << 20, keys: 5_000, takes: Span::from_secs(5) };
        let at = |ms: u64| forked.progress(Instant::ZERO + Span::from_ms(ms), 0);
        assert_eq!(at(999), Progress { total: 5_000, ..Progress::default() });
        assert_eq!(at(1_000), Progress { copied: OWN, age: 1, keys: 1, total: 5_000 });
        assert_eq!(at(2_999).keys, 1);
        assert_eq!(at(3_500).keys, 1_025);
        assert_eq!(at(6_500).keys, 4_097);
        assert_eq!(at(60_000).keys, 4_097, "it writes the last part until its end");
    }
}
