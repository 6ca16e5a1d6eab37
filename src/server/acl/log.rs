//! The log of what was denied (ACL LOG).

use std::collections::VecDeque;

use bytes::Bytes;

/// Entries that are alike are one for so many milliseconds (`ACL_LOG_GROUPING_MAX_TIME_DELTA`).
const GROUPING_MS: u64 = 60_000;
/// So many of the newest are compared.
const COMPARED: usize = 10;

/// Why something was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Command,
    Key,
    Channel,
    Auth,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
            Reason::Auth => "auth",
        }
    }
}

/// Where it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    TopLevel,
    Multi,
    #[cfg_attr(not(feature = "lua"), allow(dead_code, reason = "only an interpreter uses it"))]
    Script,
}

impl Context {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Context::TopLevel => "toplevel",
            Context::Multi => "multi",
            Context::Script => "lua",
        }
    }
}

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// How often.
    pub count: u64,
    pub reason: Reason,
    pub context: Context,
    /// The command, key or channel.
    pub object: Bytes,
    pub user: Bytes,
    /// The last time, in milliseconds since 1970.
    pub ms: u64,
    /// The client that did it last.
    pub client: String,
}

/// Entries, the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(VecDeque<Entry>);

impl Log {
    /// Adds an entry, or counts one that is like it (`addACLLogEntry`).
    pub(super) fn add(&mut self, mut new: Entry, most: u64) {
        let alike = |old: &Entry| {
            (old.reason, old.context) == (new.reason, new.context)
                && old.ms.abs_diff(new.ms) <= GROUPING_MS
                && (&old.object, &old.user) == (&new.object, &new.user)
        };
        let known = self.0.iter().take(COMPARED).position(alike).and_then(|at| self.0.remove(at));
        if let Some(old) = known {
            new.count += old.count;
            self.0.push_front(new);
        } else {
            self.0.push_front(new);
            self.0.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The newest first.
    #[must_use]
    pub(crate) fn entries(&self) -> &VecDeque<Entry> {
        &self.0
    }
}
