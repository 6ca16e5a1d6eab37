//! Disks that fail: what their nodes' operations come to.

use std::collections::BTreeMap;
use std::fmt;

use super::DiskOp;
use crate::id::NodeId;

/// Why an operation on a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskError {
    /// No room is left (`ENOSPC`).
    Full,
    /// The device fails (`EIO`).
    Failed,
}

impl fmt::Display for DiskError {
    /// As `strerror` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskError::Full => "No space left on device",
            DiskError::Failed => "Input/output error",
        })
    }
}

/// What is wrong with one disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// So many bytes fit; `None`: any.
    pub room: Option<u64>,
    /// Every operation fails.
    pub fails: bool,
}

impl Trouble {
    /// Whether it stands in an operation's way.
    ///
    /// # Errors
    /// Why it does.
    pub fn refuses(self, op: &DiskOp) -> Result<(), DiskError> {
        if self.fails {
            return Err(DiskError::Failed);
        }
        if self.room.is_some_and(|room| op.grows() > room) {
            return Err(DiskError::Full);
        }
        Ok(())
    }
}

/// What is wrong with the disks, by node. The world keeps it; nodes see it in what becomes of their operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles(BTreeMap<NodeId, Trouble>);

impl Troubles {
    /// Nothing is wrong with any disk.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with a node's disk.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Trouble {
        self.0.get(&node).copied().unwrap_or_default()
    }

    /// From now on this is wrong with it.
    pub fn set(&mut self, node: NodeId, trouble: Trouble) {
        if trouble == Trouble::default() {
            self.0.remove(&node);
        } else {
            self.0.insert(node, trouble);
        }
    }

    /// So many bytes are about to be written.
    pub(super) fn take_room(&mut self, node: NodeId, bytes: u64) {
        if let Some(room) = self.0.get_mut(&node).and_then(|trouble| trouble.room.as_mut()) {
            *room = room.saturating_sub(bytes);
        }
    }
}

impl DiskOp {
    /// Bytes that it asks the disk for.
    #[must_use]
    pub fn grows(&self) -> u64 {
        match self {
            DiskOp::Write { data, .. } | DiskOp::Append { data, .. } => data.len() as u64,
            DiskOp::Fsync { .. } | DiskOp::Rename { .. } | DiskOp::Remove { .. } | DiskOp::Truncate { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::node::Outbox;

    fn append(out: &mut Outbox, bytes: usize) -> Result<usize, DiskError> {
        out.disk_append("f".into(), Bytes::from(vec![0; bytes]))
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_then_nothing() {
        let mut out = Outbox::default();
        out.node = Some(NodeId(3));
        out.troubles.set(NodeId(3), Trouble { room: Some(10), fails: false });
        assert_eq!(append(&mut out, 4), Ok(4));
        assert_eq!(append(&mut out, 9), Ok(6));
        assert_eq!(append(&mut out, 1), Err(DiskError::Full));
        assert_eq!(out.disk_wait(DiskOp::Fsync { file: "f".into() }), Ok(()));
        assert_eq!(out.outputs.len(), 3);
        out.node = Some(NodeId(4));
        assert_eq!(append(&mut out, 9), Ok(9), "another node's disk");
    }

    #[test]
    fn a_broken_disk_does_nothing() {
        let mut out = Outbox::default();
        out.node = Some(NodeId(0));
        out.troubles.set(NodeId(0), Trouble { room: None, fails: true });
        assert_eq!(out.disk_wait(DiskOp::Fsync { file: "f".into() }), Err(DiskError::Failed));
        assert!(out.outputs.is_empty());
        out.troubles.set(NodeId(0), Trouble::default());
        assert!(out.troubles.is_empty());
    }
}
