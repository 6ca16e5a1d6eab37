//! Snapshots: when to save, what to load at the start. The contract with the rest of the server:
//!
//! - [`load`] is called once by `start`, before the server listens; it fills `s.keyspace` and, when the file carries a
//!   replication id and offset, `s.repl`.
//! - [`cron`] is called at a tick of serverCron that [`cron_need`] asked for (ticks come every 100 ms; the server rounds up).
//! - [`job_done`] and [`disk_done`] get every `JobDone` and `DiskDone` of the process: numbers are given out here.
//! - `s.exec.dirty` counts changes; a finished save subtracts what it covered.
//! - [`save`], [`bgsave`] serve SAVE, BGSAVE and SHUTDOWN.

pub mod lzf;
pub mod rdb;

use super::Server;
use crate::node::{DiskImage, Outbox};
use crate::time::Instant;

/// State of snapshots and the append-only file.
#[derive(Clone, Debug, Default)]
pub struct Persistence {}

impl Persistence {
    /// True when propagated commands go to an append-only file too.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        false
    }

    /// Why writes are refused for the sake of the disk (`writeCommandsDeniedByDiskError`): the error, code first.
    #[must_use]
    pub fn write_error(&self, _s: &Server) -> Option<&'static str> {
        None
    }

    /// `rdb_last_save_time` in seconds since 1970.
    #[must_use]
    pub fn last_save(&self) -> u64 {
        0
    }
}

/// Loads what the disk holds.
pub(crate) fn load(_s: &mut Server, _disk: &DiskImage, _out: &mut Outbox) {}

/// Feeds a propagated command to the append-only file.
pub(crate) fn feed(_s: &mut Server, _db: u32, _bytes: &[u8]) {}

/// SAVE in the foreground. `Err` has the error to answer, code first.
pub(crate) fn save(_s: &mut Server, _out: &mut Outbox) -> Result<(), &'static str> {
    Ok(())
}

/// Kills a background save, for a shutdown.
pub(crate) fn kill_child(_s: &mut Server, _out: &mut Outbox) {}

/// BGSAVE. `Err` has the error to answer, code first.
pub(crate) fn bgsave(_s: &mut Server, _schedule: bool, _out: &mut Outbox) -> Result<&'static str, &'static str> {
    Ok("Background saving started")
}

/// FLUSHALL was executed: a running save is pointless, and with save points an empty file is written (`flushAllDataAndResetRDB`).
pub(crate) fn after_flushall(_s: &mut Server, _out: &mut Outbox) {}

/// The work of a tick: save points, the end of children.
pub(crate) fn cron(_s: &mut Server, _out: &mut Outbox) {}

/// When [`cron`] has work next, as far as is known now.
pub(crate) fn cron_need(_s: &Server) -> Option<Instant> {
    None
}

/// A background job ended.
pub(crate) fn job_done(_s: &mut Server, _job: u64, _out: &mut Outbox) {}

/// A disk operation ended.
pub(crate) fn disk_done(_s: &mut Server, _op: u64, _ok: bool, _out: &mut Outbox) {}

/// The lines of INFO's persistence section after its header, each ended by CRLF.
pub(crate) fn info(_s: &Server, _text: &mut String) {}

/// A setting of persistence was changed by CONFIG SET.
pub(crate) fn config_changed(_s: &mut Server, _name: &str, _out: &mut Outbox) {}
