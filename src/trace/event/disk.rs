//! What disks did that a person could ask about: losses and failures, not every write.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Events of a node's disk.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum DiskEvent {
    /// A power-off dropped what had been written but not synced.
    Lost {
        /// The file.
        file: Arc<str>,
        /// Bytes dropped.
        bytes: u64,
    },
    /// A byte of a file became another one.
    Corrupted {
        /// The file.
        file: Arc<str>,
        /// Which byte.
        at: u64,
    },
}

impl fmt::Display for DiskEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskEvent::Lost { file, bytes } => write!(f, "disk lost {bytes} bytes of {file}"),
            DiskEvent::Corrupted { file, at } => write!(f, "disk corrupted {file} at byte {at}"),
        }
    }
}
