//! Disks that fail: what their nodes' operations come to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::DiskOp;
use crate::id::NodeId;

/// Why an operation on a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskError {
    /// No room is left (`ENOSPC`).
    Full,
    /// The device fails (`EIO`).
    Failed,
    /// There is a folder where the file would be (`EISDIR`).
    Folder,
}

impl fmt::Display for DiskError {
    /// As `strerror` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskError::Full => "No space left on device",
            DiskError::Failed => "Input/output error",
            DiskError::Folder => "Is a directory",
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
pub struct Troubles {
    disks: BTreeMap<NodeId, Trouble>,
    /// Folders that somebody has made, by the names that files would have.
    folders: BTreeSet<(NodeId, Arc<str>)>,
}

impl Troubles {
    /// Nothing is wrong with any disk.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.disks.is_empty() && self.folders.is_empty()
    }

    /// What is wrong with a node's disk.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Trouble {
        self.disks.get(&node).copied().unwrap_or_default()
    }

    /// Whether something stands in the way of a node's operation.
    ///
    /// # Errors
    /// What does.
    pub fn refuse(&self, node: NodeId, op: &DiskOp) -> Result<(), DiskError> {
        self.of(node).refuses(op)?;
        if op.target().is_some_and(|file| self.folders.contains(&(node, file.clone()))) {
            return Err(DiskError::Folder);
        }
        Ok(())
    }

    /// From now on this is wrong with it.
    pub fn set(&mut self, node: NodeId, trouble: Trouble) {
        if trouble == Trouble::default() {
            self.disks.remove(&node);
        } else {
            self.disks.insert(node, trouble);
        }
    }

    /// From now on there is a folder of this name in a node's, or there is none.
    pub fn set_folder(&mut self, node: NodeId, name: Arc<str>, there: bool) {
        if there {
            self.folders.insert((node, name));
        } else {
            self.folders.remove(&(node, name));
        }
    }

    /// So many bytes are about to be written.
    pub(super) fn take_room(&mut self, node: NodeId, bytes: u64) {
        if let Some(room) = self.disks.get_mut(&node).and_then(|trouble| trouble.room.as_mut()) {
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
            DiskOp::Create { .. }
            | DiskOp::Fsync { .. }
            | DiskOp::Rename { .. }
            | DiskOp::Remove { .. }
            | DiskOp::Truncate { .. } => 0,
        }
    }

    /// The file that it writes to, or makes.
    #[must_use]
    pub fn target(&self) -> Option<&Arc<str>> {
        match self {
            DiskOp::Write { file, .. }
            | DiskOp::Create { file }
            | DiskOp::Append { file, .. }
            | DiskOp::Truncate { file, .. } => Some(file),
            DiskOp::Rename { to, .. } => Some(to),
            DiskOp::Fsync { .. } | DiskOp::Remove { .. } => None,
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

    #[test]
    fn a_folder_takes_no_file_s_place() {
        let mut out = Outbox::default();
        out.node = Some(NodeId(1));
        out.troubles.set_folder(NodeId(1), "dump.rdb".into(), true);
        let save = |out: &mut Outbox| out.disk_replace(&"temp".into(), Bytes::new(), "dump.rdb".into());
        assert_eq!(save(&mut out), Err(DiskError::Folder));
        let Some(crate::node::Output::Disk(last)) = out.outputs.last() else { panic!("what there is, is removed") };
        assert!(matches!(&last.op, DiskOp::Remove { file } if &**file == "temp"));
        out.troubles.set_folder(NodeId(1), "dump.rdb".into(), false);
        assert_eq!(save(&mut out), Ok(()));
    }
}
