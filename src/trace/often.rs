//! The events that every message makes: small plain values, hashed from what is known of them where they are made. They
//! take the form of all other events later, many at a time.

use std::hash::{Hash as _, Hasher as _};

use super::digest::Digest;
use super::event::{ClientEvent, Kind, OpKind, ServerEvent};
use super::{Event, Via};
use crate::id::{Addr, EventId, NodeId};
use crate::time::Instant;

/// What happens by the million.
#[derive(Clone, Copy, Debug)]
pub enum Often {
    /// [`ClientEvent::Invoke`]
    Invoke {
        /// The operation.
        op: u64,
        /// Read or write.
        f: OpKind,
        /// The key's number.
        key: u32,
        /// What is written.
        value: u64,
        /// What stands for the arguments.
        hash: u64,
    },
    /// [`ClientEvent::Ok`]
    Ok {
        /// The operation.
        op: u64,
        /// What was read.
        value: Option<u64>,
        /// Who answered.
        server: Addr,
        /// What WAIT counted.
        replicas: Option<u16>,
    },
    /// [`ServerEvent::Write`]
    Write {
        /// What stands for the arguments.
        op: u64,
        /// The replication offset after it.
        offset: u64,
    },
}

/// How an event came about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) at: Instant,
    pub(super) node: Option<NodeId>,
    pub(super) cause: EventId,
    pub(super) via: Via,
}

impl About {
    /// Adds it to a digest: 5 bits for the form of the kind, 3 of how the cause reached the node, 17 of that, then what
    /// the kind has to say; and the time. The cause comes with the next word.
    #[inline(always)]
    fn feed(self, form: u64, what: u64, digest: &mut Digest) {
        let node = self.node.map_or(1 << 16, |node| u64::from(node.0));
        digest.pair(form | u64::from(self.via as u8) << 5 | node << 8 | what << 25, self.at.0);
    }
}

impl Often {
    /// As it is in the trace.
    #[inline(always)]
    fn kind(self) -> Kind {
        match self {
            Often::Invoke { op, f, key, value, hash } => Kind::Client(ClientEvent::Invoke { op, f, key, value, hash }),
            Often::Ok { op, value, server, replicas } => Kind::Client(ClientEvent::Ok { op, value, server, replicas }),
            Often::Write { op, offset } => Kind::Server(ServerEvent::Write { op, offset }),
        }
    }

    /// The reverse.
    fn of(kind: &Kind) -> Option<Often> {
        if let Kind::Client(ClientEvent::Invoke { op, f, key, value, hash }) = *kind {
            Some(Often::Invoke { op, f, key, value, hash })
        } else if let Kind::Client(ClientEvent::Ok { op, value, server, replicas }) = *kind {
            Some(Often::Ok { op, value, server, replicas })
        } else if let Kind::Server(ServerEvent::Write { op, offset }) = *kind {
            Some(Often::Write { op, offset })
        } else {
            None
        }
    }

    /// Adds it to a digest, without a loss, in as few words as it has.
    #[inline(always)]
    pub(super) fn feed(self, about: About, digest: &mut Digest) {
        match self {
            Often::Invoke { op, f, key, value, hash } => {
                about.feed(1, u64::from(key) | u64::from(f as u8) << 32, digest);
                digest.pair(about.cause.0, op);
                digest.pair(value, hash);
            }
            Often::Ok { op, value, server, replicas } => {
                let counted = replicas.map_or(0, |n| 1 << 16 | u64::from(n));
                about.feed(2, u64::from(value.is_some()) | counted << 1, digest);
                digest.pair(about.cause.0, op);
                digest.pair(value.unwrap_or_default(), server.word());
            }
            Often::Write { op, offset } => {
                about.feed(3, 0, digest);
                digest.pair(about.cause.0, op);
                digest.pair(offset, 0);
            }
        }
    }
}

/// Adds an event of any kind to a digest. That is taken in order, so the number is in it without being hashed.
pub(super) fn feed(event: &Event, digest: &mut Digest) {
    let Event { at, node, cause, via, .. } = *event;
    let about = About { at, node, cause, via };
    match Often::of(&event.kind) {
        Some(often) => often.feed(about, digest),
        None => {
            about.feed(0, 0, digest);
            digest.write_u64(cause.0);
            event.kind.hash(digest);
        }
    }
}

/// How many wait at most: as many as those who look at events let pile up (`run::limits`), and those of one more turn.
const ROOM: usize = 32;

/// Some of them in a row, with the number of the last one. A value without a destructor is written where it will lie; one
/// that has one is copied twice.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    events: Box<[(About, Often); ROOM]>,
    len: usize,
}

impl Default for Batch {
    fn default() -> Self {
        let about = About { at: Instant::ZERO, node: None, cause: EventId::NONE, via: Via::World };
        Batch { events: Box::new([(about, Often::Write { op: 0, offset: 0 }); ROOM]), len: 0 }
    }
}

impl Batch {
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds one. False if there is no room.
    #[inline(always)]
    pub(super) fn push(&mut self, about: About, often: Often) -> bool {
        let Some(place) = self.events.get_mut(self.len) else { return false };
        *place = (about, often);
        self.len += 1;
        true
    }

    /// Puts all of them behind other events; `last` is the number of the last one.
    pub(super) fn move_to(&mut self, into: &mut Vec<Event>, last: EventId) {
        into.extend(self.events(last));
        self.len = 0;
    }

    /// Shows and forgets all of them.
    #[inline]
    pub(super) fn show(&mut self, last: EventId, mut see: impl FnMut(&Event)) {
        for event in self.events(last) {
            see(&event);
            // It owns nothing, which a destructor would have to find out.
            std::mem::forget(event);
        }
        self.len = 0;
    }

    #[inline]
    fn events(&self, last: EventId) -> impl Iterator<Item = Event> {
        let first = last.0 + 1 - self.len as u64;
        self.events[..self.len].iter().zip(first..).map(|(&(about, often), id)| {
            let About { at, node, cause, via } = about;
            Event { id: EventId(id), at, node, cause, via, kind: often.kind() }
        })
    }
}
