//! How much memory the server uses, and for what (`getMemoryOverheadData`): an estimate of what a real one's allocator
//! would have given out.

use super::clients::is_replica;
use super::session::Session;
use super::{Server, replication};

/// Memory of an empty server, as a real one reports it.
pub(crate) const STARTUP: u64 = 876_232;
/// The library of functions, empty.
const FUNCTIONS: u64 = 200;
/// What a process has resident beside that.
const RESIDENT: u64 = 6_000_000;

/// What the tables of one database take beside the data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DbOverhead {
    /// Its number.
    pub number: usize,
    /// The table of keys.
    pub main: u64,
    /// The table of those that expire.
    pub expires: u64,
}

/// Where memory goes.
#[derive(Clone, Debug)]
pub(crate) struct Overview {
    /// In use.
    pub used: u64,
    /// Most that was seen in use.
    pub peak: u64,
    /// Pages that the process has.
    pub resident: u64,
    /// The replication backlog.
    pub backlog: u64,
    /// What replicas hold on to beyond it.
    pub replicas: u64,
    /// Connections, but for those of replicas.
    pub clients: u64,
    /// The library of functions.
    pub functions: u64,
    /// Databases that have keys.
    pub dbs: Vec<DbOverhead>,
    /// Keys in all.
    pub keys: u64,
    /// All that isn't data.
    pub overhead: u64,
    /// The data.
    pub dataset: u64,
}

/// What the sessions come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Bytes of all.
    pub all: u64,
    /// Bytes of those that aren't replicas.
    pub clients: u64,
    /// How often their buffers of replies shrank and grew.
    pub shrunk: u64,
    pub grown: u64,
}

impl Overview {
    /// What is in use beyond an empty server.
    #[must_use]
    pub(crate) fn net(&self) -> u64 {
        self.used.saturating_sub(STARTUP).max(1)
    }
}

impl Server {
    /// What a session takes.
    #[must_use]
    pub(crate) fn session_memory(&self, session: &Session) -> u64 {
        let footprint = self.footprint(session, None);
        // The replication buffer is nobody's own.
        footprint.total - if is_replica(session) { footprint.output } else { 0 }
    }

    /// What all sessions come to: none is looked at twice for one answer.
    #[must_use]
    pub(crate) fn session_sums(&self) -> Sums {
        let mut sums = Sums::default();
        let period = self.client_period();
        for session in self.sessions.iter() {
            let buffers = self.buffers_by(session, period);
            let footprint = self.footprint_with(session, None, buffers);
            let (shrunk, grown) = buffers.changed();
            (sums.shrunk, sums.grown) = (sums.shrunk + shrunk, sums.grown + grown);
            if is_replica(session) {
                sums.all += footprint.total - footprint.output;
            } else {
                sums.all += footprint.total;
                sums.clients += footprint.total;
            }
        }
        sums
    }

    fn memory_of_data(&self) -> u64 {
        let waits = replication::backlog_memory(self) + self.persistence.aof.buffer_memory();
        STARTUP + FUNCTIONS + waits + self.keyspace.memory()
    }

    /// Bytes in use (`zmalloc_used_memory`).
    #[must_use]
    pub(crate) fn used_memory(&self) -> u64 {
        self.used_with(&self.session_sums())
    }

    /// The same by one who knows what the sessions take.
    #[must_use]
    pub(crate) fn used_with(&self, sums: &Sums) -> u64 {
        self.memory_of_data() + sums.all
    }

    /// The same without a look at each session, by one who asks with every request.
    pub(crate) fn counted_used_memory(&mut self) -> u64 {
        self.memory_of_data() + self.counted_memory()
    }

    /// What evictions must not count: what replicas have yet to be sent, beyond the backlog, and what is on its way to the
    /// append-only file (`freeMemoryGetNotCountedMemory`).
    #[must_use]
    pub(crate) fn uncounted_memory(&self) -> u64 {
        replication::uncounted_memory(self) + self.persistence.aof.buffer_memory()
    }

    /// Where memory goes.
    #[must_use]
    pub(crate) fn memory_overview(&self) -> Overview {
        self.overview_with(&self.session_sums())
    }

    /// The same by one who knows what the sessions take.
    #[must_use]
    pub(crate) fn overview_with(&self, sums: &Sums) -> Overview {
        let (used, clients) = (self.used_with(sums), sums.clients);
        let (backlog, replicas) = replication::buffer_memory(self);
        let mut dbs = Vec::new();
        let mut overhead = STARTUP + FUNCTIONS + backlog + replicas + clients;
        overhead += self.persistence.aof.buffer_memory();
        for (number, db) in self.keyspace.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            let main = (db.len() * (24 + 16) + db.keys().buckets() * 8) as u64;
            let expires = (db.expires_len() * 24 + db.expires().buckets() * 8) as u64;
            overhead += main + expires;
            dbs.push(DbOverhead { number, main, expires });
        }
        Overview {
            used,
            peak: used.max(self.stats.peak_memory),
            resident: used + RESIDENT,
            backlog,
            replicas,
            clients,
            functions: FUNCTIONS,
            dbs,
            keys: self.keyspace.len() as u64,
            overhead,
            dataset: used.saturating_sub(overhead),
        }
    }
}
