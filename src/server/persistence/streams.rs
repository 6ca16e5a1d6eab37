//! Streams inside RDB files: their nodes as they are, then their counters, then the groups (`rdbSaveObject`,
//! `rdbLoadObject`).

use std::collections::BTreeSet;

use bytes::{Buf as _, BufMut as _};

use super::rdb::{RdbError, RdbValue, Reader, Writer};
use crate::server::keyspace::stream::{Group, Id, Node, Pending, Stream, UNKNOWN_READ};

fn corrupt(what: &str) -> RdbError {
    RdbError::Corrupt(what.to_owned())
}

impl Writer {
    fn id(&mut self, id: Id) {
        self.length(id.ms);
        self.length(id.seq);
    }

    /// A stream without its type.
    pub(super) fn stream(&mut self, stream: &Stream) {
        self.length(stream.nodes().len() as u64);
        for (base, node) in stream.nodes() {
            self.string(&base.to_bytes());
            self.string(&node.packed());
        }
        self.length(stream.length);
        for id in [stream.last_id, stream.first_id, stream.max_deleted] {
            self.id(id);
        }
        self.length(stream.entries_added);
        self.length(stream.groups.len() as u64);
        for (name, group) in &stream.groups {
            self.string(name);
            self.id(group.last_id);
            self.length(group.entries_read.cast_unsigned());
            self.length(group.pending.len() as u64);
            for (id, pending) in &group.pending {
                self.out.put_slice(&id.to_bytes());
                self.out.put_i64_le(pending.time);
                self.length(pending.count);
            }
            self.length(group.consumers.len() as u64);
            for (name, consumer) in &group.consumers {
                self.string(name);
                self.out.put_i64_le(consumer.seen);
                self.length(consumer.pending.len() as u64);
                consumer.pending.iter().for_each(|id| self.out.put_slice(&id.to_bytes()));
            }
        }
    }
}

impl Reader<'_> {
    fn id(&mut self) -> Result<Id, RdbError> {
        Ok(Id { ms: self.length()?, seq: self.length()? })
    }

    fn raw_id(&mut self) -> Result<Id, RdbError> {
        Ok(Id::from_bytes(self.array()?))
    }

    /// A stream; `second`: in the form of Redis 7.0, which says more of it.
    pub(super) fn stream(&mut self, second: bool) -> Result<RdbValue, RdbError> {
        let mut stream = Stream::default();
        for _ in 0..self.length()? {
            let key = self.string()?;
            if key.len() != 16 {
                return Err(corrupt("Stream node key entry is not the size of a stream ID"));
            }
            let base = Id { ms: (&key[..8]).get_u64(), seq: (&key[8..]).get_u64() };
            let node = Node::from_packed(base, &self.string()?)
                .ok_or_else(|| corrupt("Stream listpack integrity check failed."))?;
            if !stream.load_node(base, node) {
                return Err(corrupt("Listpack re-added with existing key"));
            }
        }
        stream.length = self.length()?;
        stream.last_id = self.id()?;
        if second {
            stream.first_id = self.id()?;
            stream.max_deleted = self.id()?;
            stream.entries_added = self.length()?;
        } else {
            stream.entries_added = stream.length;
            stream.first_id = stream.edge(false).unwrap_or(Id::MAX);
        }
        if stream.length != stream.stored() {
            return Err(corrupt("Stream length inconsistent with rax entries"));
        }
        for _ in 0..self.length()? {
            let name = self.string()?;
            let last_id = self.id()?;
            let read = if second {
                self.length()?.cast_signed()
            } else {
                stream.added_up_to(last_id).map_or(UNKNOWN_READ, u64::cast_signed)
            };
            let group = self.group(Group::new(last_id, read))?;
            if stream.groups.insert(name.clone(), group).is_some() {
                let name = String::from_utf8_lossy(&name).into_owned();
                return Err(corrupt(&format!("Duplicated consumer group name {name}")));
            }
        }
        Ok(RdbValue::Stream(Box::new(stream)))
    }

    /// What a group's consumers have to acknowledge: first everything, then what is whose.
    fn group(&mut self, mut group: Group) -> Result<Group, RdbError> {
        for _ in 0..self.length()? {
            let id = self.raw_id()?;
            let (time, count) = (i64::from_le_bytes(self.array()?), self.length()?);
            let pending = Pending { time, count, consumer: bytes::Bytes::new() };
            if group.pending.insert(id, pending).is_some() {
                return Err(corrupt("Duplicated global PEL entry loading stream consumer group"));
            }
        }
        let mut owned = BTreeSet::new();
        for _ in 0..self.length()? {
            let name = self.string()?;
            let seen = i64::from_le_bytes(self.array()?);
            if !group.see(&name, seen) {
                return Err(corrupt("Duplicate stream consumer detected."));
            }
            for _ in 0..self.length()? {
                let id = self.raw_id()?;
                let pending = group.pending.get(&id).cloned();
                let pending = pending.ok_or_else(|| corrupt("Consumer entry not found in group global PEL"))?;
                if !owned.insert(id) {
                    return Err(corrupt("Duplicated consumer PEL entry loading a stream consumer group"));
                }
                group.assign(id, &name, pending.time, pending.count);
            }
        }
        if owned.len() != group.pending.len() {
            return Err(corrupt("Stream CG PEL entry without consumer"));
        }
        Ok(group)
    }
}
