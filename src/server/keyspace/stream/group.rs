//! Groups of consumers: what was given to whom and not acknowledged yet.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;

use bytes::Bytes;

use super::Id;
use crate::server::keyspace::radix;
use crate::trace::Digest;

/// How many entries a group was given isn't known (`SCG_INVALID_ENTRIES_READ`).
pub const UNKNOWN_READ: i64 = -1;

/// An entry that was given to a consumer and isn't acknowledged (`streamNACK`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When, in milliseconds since 1970.
    pub time: i64,
    /// How often.
    pub count: u64,
    /// To whom.
    pub consumer: Bytes,
}

/// A consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumer {
    /// When it was last heard of, in milliseconds since 1970.
    pub seen: i64,
    /// What it has to acknowledge.
    pub pending: BTreeSet<Id>,
}

/// A group of consumers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The last entry that was given to it.
    pub last_id: Id,
    /// How many entries it was given; [`UNKNOWN_READ`]: nobody knows.
    pub entries_read: i64,
    /// What its consumers have to acknowledge.
    pub pending: BTreeMap<Id, Pending>,
    /// By name.
    pub consumers: BTreeMap<Bytes, Consumer>,
}

impl Group {
    /// A group that begins behind an entry.
    #[must_use]
    pub fn new(last_id: Id, entries_read: i64) -> Group {
        Group { last_id, entries_read, ..Group::default() }
    }

    /// The consumer was heard of now; true when it is new.
    pub fn see(&mut self, consumer: &[u8], now: i64) -> bool {
        if let Some(known) = self.consumers.get_mut(consumer) {
            known.seen = now;
            return false;
        }
        self.consumers.insert(Bytes::copy_from_slice(consumer), Consumer { seen: now, pending: BTreeSet::new() });
        true
    }

    /// A known consumer has this to acknowledge, whoever had it before.
    pub fn assign(&mut self, id: Id, consumer: &[u8], time: i64, count: u64) {
        let (name, _) = self.consumers.get_key_value(consumer).expect("the consumer was seen");
        let name = name.clone();
        if let Some(before) = self.pending.get(&id)
            && before.consumer != name
            && let Some(owner) = self.consumers.get_mut(&before.consumer)
        {
            owner.pending.remove(&id);
        }
        self.consumers.get_mut(&name).expect("the consumer was seen").pending.insert(id);
        self.pending.insert(id, Pending { time, count, consumer: name });
    }

    /// Nobody has to acknowledge this any more; false when nobody had.
    pub fn forget(&mut self, id: Id) -> bool {
        let Some(before) = self.pending.remove(&id) else { return false };
        if let Some(owner) = self.consumers.get_mut(&before.consumer) {
            owner.pending.remove(&id);
        }
        true
    }

    /// Removes a consumer and what it has to acknowledge; returns how many that were (`streamDelConsumer`).
    pub fn remove(&mut self, consumer: &[u8]) -> Option<usize> {
        let removed = self.consumers.remove(consumer)?;
        for id in &removed.pending {
            self.pending.remove(id);
        }
        Some(removed.pending.len())
    }

    /// Bytes it takes in memory, about.
    pub(super) fn memory(&self) -> usize {
        64 + self.pending.len() * 80 + self.consumers.len() * 120
    }

    /// Bytes as MEMORY USAGE counts them.
    pub(super) fn usage(&self) -> usize {
        const GROUP: usize = 40;
        const NACK: usize = 24;
        const CONSUMER: usize = 24;
        let tree = |ids: Vec<[u8; 16]>| tree_memory(ids.len(), radix::nodes(&ids));
        let own = tree(self.pending.keys().map(|id| id.to_bytes()).collect()) + NACK * self.pending.len();
        let consumers = self.consumers.iter().map(|(name, consumer)| {
            CONSUMER + name.len() + tree(consumer.pending.iter().map(|id| id.to_bytes()).collect())
        });
        GROUP + own + consumers.sum::<usize>()
    }

    pub(super) fn feed(&self, digest: &mut Digest) {
        digest.write_u64(self.last_id.ms);
        digest.write_u64(self.last_id.seq);
        for (id, pending) in &self.pending {
            digest.write_u64(id.ms);
            digest.write_u64(id.seq);
            digest.write_usize(pending.consumer.len());
            digest.write(&pending.consumer);
        }
    }
}

/// Bytes of a radix tree with so many keys and nodes, as Redis estimates them (`streamRadixTreeMemoryUsage`).
pub(super) fn tree_memory(keys: usize, nodes: u64) -> usize {
    const NODE: usize = 4;
    const OVERHEAD: usize = 8 * 30;
    keys * 16 + usize::try_from(nodes).expect("nodes are in memory") * (NODE + OVERHEAD)
}
