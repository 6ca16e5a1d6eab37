//! Pub/sub: who listens to what (`pubsub.c`).

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::session::Flags;
use super::{Server, glob};
use crate::id::Fd;
use crate::resp::encode;

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// A channel by its name.
    Channel,
    /// All channels whose name matches.
    Pattern,
    /// A shard channel by its name.
    Shard,
}

/// What one session listens to, in the order it subscribed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriptions([Vec<Bytes>; 3]);

impl Subscriptions {
    /// Names of one kind.
    #[must_use]
    pub(crate) fn of(&self, topic: Topic) -> &[Bytes] {
        &self.0[topic as usize]
    }

    /// How many of channels and patterns, or of shard channels: what a confirmation counts.
    #[must_use]
    pub(crate) fn count(&self, topic: Topic) -> usize {
        match topic {
            Topic::Channel | Topic::Pattern => self.0[0].len() + self.0[1].len(),
            Topic::Shard => self.0[2].len(),
        }
    }

    /// True when nothing is left.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }
}

/// Listeners of all topics.
#[derive(Clone, Debug, Default)]
pub(crate) struct PubSub([BTreeMap<Bytes, Vec<Fd>>; 3]);

impl PubSub {
    /// Listeners by topic, in the order of names.
    #[must_use]
    pub(crate) fn topics(&self, topic: Topic) -> &BTreeMap<Bytes, Vec<Fd>> {
        &self.0[topic as usize]
    }
}

/// A message as a session gets it: `>` for those that speak RESP3.
fn message(parts: &[&[u8]], resp3: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(parts.iter().map(|part| part.len() + 16).sum::<usize>() + 16);
    encode::header(&mut out, if resp3 { b'>' } else { b'*' }, parts.len());
    for part in parts {
        encode::bulk(&mut out, part);
    }
    out.freeze()
}

impl Server {
    /// Subscribes a session; false when it was already.
    pub(crate) fn subscribe(&mut self, fd: Fd, topic: Topic, name: &Bytes) -> bool {
        let session = self.sessions.at_mut(fd);
        session.flags.set(Flags::PUBSUB);
        let own = &mut session.subscriptions.get_or_insert_default().0[topic as usize];
        if own.contains(name) {
            return false;
        }
        // A copy, so that the name doesn't keep the whole request alive.
        let name = Bytes::copy_from_slice(name);
        own.push(name.clone());
        self.pubsub.0[topic as usize].entry(name).or_default().push(fd);
        true
    }

    /// Ends a session's subscription; false when it had none.
    pub(crate) fn unsubscribe(&mut self, fd: Fd, topic: Topic, name: &[u8]) -> bool {
        let Some(own) = &mut self.sessions.at_mut(fd).subscriptions else { return false };
        let own = &mut own.0[topic as usize];
        let Some(at) = own.iter().position(|other| other == name) else { return false };
        own.remove(at);
        let topics = &mut self.pubsub.0[topic as usize];
        let listeners = topics.get_mut(name).expect("a subscription is known on both sides");
        listeners.retain(|&other| other != fd);
        if listeners.is_empty() {
            topics.remove(name);
        }
        true
    }

    /// Ends all subscriptions of a session without telling it.
    pub(crate) fn unsubscribe_all(&mut self, fd: Fd) {
        let Some(own) = &self.sessions.at(fd).subscriptions else { return };
        let own = own.clone();
        for topic in [Topic::Channel, Topic::Pattern, Topic::Shard] {
            for name in own.of(topic) {
                self.unsubscribe(fd, topic, name);
            }
        }
        let session = self.sessions.at_mut(fd);
        session.subscriptions = None;
        session.flags.clear(Flags::PUBSUB);
    }

    /// Sends a message to all who listen; returns how many (`pubsubPublishMessage`).
    pub(crate) fn publish(&mut self, channel: &[u8], text: &[u8], shard: bool) -> usize {
        let (topic, kind): (_, &[u8]) = if shard { (Topic::Shard, b"smessage") } else { (Topic::Channel, b"message") };
        let mut receivers = 0;
        let limit = self.config.client_output_buffer_limit.pubsub.hard;
        let mut over = Vec::new();
        if let Some(fds) = self.pubsub.0[topic as usize].get(channel) {
            receivers += deliver(&mut self.sessions, fds, &[kind, channel, text], limit, &mut over);
        }
        if !shard && !self.pubsub.0[Topic::Pattern as usize].is_empty() {
            for (pattern, fds) in &self.pubsub.0[Topic::Pattern as usize] {
                if glob::matches(pattern, channel, false) {
                    let parts: &[&[u8]] = &[b"pmessage", pattern, channel, text];
                    receivers += deliver(&mut self.sessions, fds, parts, limit, &mut over);
                }
            }
        }
        for fd in over {
            self.check_output_limit(fd);
        }
        self.meter.add(receivers as u64 * super::cost::ELEMENT);
        receivers
    }
}

/// Appends one message to the replies of sessions, encoded once for each protocol. Those that now have more than
/// `limit` bytes waiting are `over` it.
fn deliver(
    sessions: &mut super::session::Sessions,
    fds: &[Fd],
    parts: &[&[u8]],
    limit: u64,
    over: &mut Vec<Fd>,
) -> usize {
    let mut encoded: [Option<Bytes>; 2] = [None, None];
    for &fd in fds {
        let session = sessions.at_mut(fd);
        if session.flags.has(Flags::GOING) {
            continue;
        }
        let resp3 = session.resp > 2;
        let bytes = encoded[usize::from(resp3)].get_or_insert_with(|| message(parts, resp3));
        session.reply.tail().extend_from_slice(bytes);
        if limit > 0 && session.reply.len() as u64 > limit {
            over.push(fd);
        }
        sessions.want_write(fd);
    }
    fds.len()
}
