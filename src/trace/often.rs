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

/// An event in the words that go into a digest, two at a time, without a loss. The number is not among them: events are
/// taken in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words([u64; 6]);

/// What the first word says besides, from its lowest bits on: the form of the kind (5 bits), how the cause reached the
/// node (3), and that node (17). The kind has the rest.
const VIA_AT: u32 = 5;
const NODE_AT: u32 = 8;
const KIND_AT: u32 = 25;
/// Stands for no node.
const NO_NODE: u64 = 1 << 16;

const INVOKE: u64 = 1;
const OK: u64 = 2;
const WRITE: u64 = 3;

const _: () = assert!(Via::World as usize == 5, "each way has its bits below");

/// What three bits say of how a cause reached a node.
const VIAS: [Via; 8] =
    [Via::Start, Via::Message, Via::Timer, Via::Completion, Via::Fault, Via::World, Via::World, Via::World];

impl About {
    /// The first of the words of an event with this form, of whose kind `what` is known.
    #[inline(always)]
    fn head(self, form: u64, what: u64) -> u64 {
        let node = self.node.map_or(NO_NODE, |node| u64::from(node.0));
        form | (self.via as u64) << VIA_AT | node << NODE_AT | what << KIND_AT
    }
}

impl Words {
    #[inline(always)]
    pub(super) fn feed(&self, digest: &mut Digest) {
        let [head, at, cause, op, third, fourth] = self.0;
        digest.pair(head, at);
        digest.pair(cause, op);
        digest.pair(third, fourth);
    }

    /// The event, as it is in the trace.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "each has as many bits as were put there")]
    fn event(&self, id: EventId) -> Event {
        let [head, at, cause, op, third, fourth] = self.0;
        let what = head >> KIND_AT;
        let kind = match head & ((1 << VIA_AT) - 1) {
            INVOKE => {
                let f = if what >> 32 & 1 == OpKind::Write as u64 { OpKind::Write } else { OpKind::Read };
                Kind::Client(ClientEvent::Invoke { op, f, key: what as u32, value: third, hash: fourth })
            }
            OK => {
                let value = (what & 1 != 0).then_some(third);
                let replicas = (what >> 17 & 1 != 0).then_some((what >> 1) as u16);
                Kind::Client(ClientEvent::Ok { op, value, server: Addr::from_word(fourth), replicas })
            }
            _ => Kind::Server(ServerEvent::Write { op, offset: third }),
        };
        let node = head >> NODE_AT & ((1 << (KIND_AT - NODE_AT)) - 1);
        let node = (node != NO_NODE).then_some(NodeId(node as u16));
        let via = VIAS[(head >> VIA_AT) as usize % VIAS.len()];
        Event { id, at: Instant(at), node, cause: EventId(cause), via, kind }
    }
}

impl Often {
    /// A kind in this form, if it has one: the way back from [`Words::event`].
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

    /// In as few words as it has.
    #[inline(always)]
    pub(super) fn words(self, about: About) -> Words {
        let (head, op, third, fourth) = match self {
            Often::Invoke { op, f, key, value, hash } => {
                (about.head(INVOKE, u64::from(key) | (f as u64) << 32), op, value, hash)
            }
            Often::Ok { op, value, server, replicas } => {
                let counted = replicas.map_or(0, |n| 1 << 16 | u64::from(n));
                let what = u64::from(value.is_some()) | counted << 1;
                (about.head(OK, what), op, value.unwrap_or_default(), server.word())
            }
            Often::Write { op, offset } => (about.head(WRITE, 0), op, offset, 0),
        };
        Words([head, about.at.0, about.cause.0, op, third, fourth])
    }
}

/// Adds an event of any kind to a digest.
pub(super) fn feed(event: &Event, digest: &mut Digest) {
    let Event { at, node, cause, via, .. } = *event;
    let about = About { at, node, cause, via };
    match Often::of(&event.kind) {
        Some(often) => often.words(about).feed(digest),
        None => {
            digest.pair(about.head(0, 0), at.0);
            digest.write_u64(cause.0);
            event.kind.hash(digest);
        }
    }
}

/// How many wait at most: as many as those who look at events let pile up (`run::limits`), and those of one more turn.
const ROOM: usize = 32;

/// Some of them in a row.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    events: Box<[Words; ROOM]>,
    len: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { events: Box::new([Words([0; 6]); ROOM]), len: 0 }
    }
}

impl Batch {
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds one. False if there is no room.
    #[inline(always)]
    pub(super) fn push(&mut self, words: Words) -> bool {
        let Some(place) = self.events.get_mut(self.len) else { return false };
        *place = words;
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
        self.events[..self.len].iter().zip(first..).map(|(words, id)| words.event(EventId(id)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Ip;

    fn anything() -> impl Strategy<Value = Often> {
        let f = prop_oneof![Just(OpKind::Read), Just(OpKind::Write)];
        let server = (any::<u32>(), any::<u16>()).prop_map(|(ip, port)| Addr::new(Ip(ip), port));
        prop_oneof![
            (any::<u64>(), f, any::<u32>(), any::<u64>(), any::<u64>())
                .prop_map(|(op, f, key, value, hash)| Often::Invoke { op, f, key, value, hash }),
            (any::<u64>(), any::<Option<u64>>(), server, any::<Option<u16>>())
                .prop_map(|(op, value, server, replicas)| Often::Ok { op, value, server, replicas }),
            (any::<u64>(), any::<u64>()).prop_map(|(op, offset)| Often::Write { op, offset }),
        ]
    }

    proptest! {
        /// Its words say all that there is to say of an event: they are what becomes an event later.
        #[test]
        fn words_lose_nothing(
            often in anything(),
            node in any::<Option<u16>>(),
            (at, cause) in any::<(u64, u64)>(),
            via in prop::sample::select(&VIAS[..6]),
        ) {
            let about = About { at: Instant(at), node: node.map(NodeId), cause: EventId(cause), via };
            let words = often.words(about);
            let event = words.event(EventId(7));
            let kept = (event.id, event.at, event.node, event.cause, event.via);
            prop_assert_eq!(kept, (EventId(7), about.at, about.node, about.cause, about.via));
            prop_assert_eq!(format!("{:?}", Often::of(&event.kind)), format!("{:?}", Some(often)));
            prop_assert_eq!(Often::of(&event.kind).expect("one of them").words(about), words);
        }
    }
}
