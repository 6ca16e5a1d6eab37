//! What the chart of locks shows, out of the trace: a lane for each client, resource and server.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::locks::{Book, Want};
use crate::id::{Addr, EventId, NodeId};
use crate::report::stage::Stage;
use crate::time::{Instant, Span};
use crate::trace::event::{Freed, LockAnswer, LockEvent, LockLoss, LockStep, NodeRole};
use crate::trace::{Event, Kind};

/// A request of a client and what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) client: NodeId,
    pub(crate) to: Addr,
    pub(crate) step: LockStep,
    pub(crate) at: Instant,
    pub(crate) answered: Option<(Instant, LockAnswer)>,
}

/// A time in which a server's key held somebody's token.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) server: NodeId,
    pub(crate) client: Option<NodeId>,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) gone: Gone,
    /// When its time to live began anew.
    pub(crate) extended: Vec<Instant>,
    /// Until when it was to be kept, by the server's clock as it went then; `None`: for ever.
    pub(crate) until: Option<Instant>,
}

/// How a server came to hold a token no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It still does.
    No,
    /// Its time was over.
    Expired,
    /// It was deleted, or another one put in its place.
    Deleted,
    /// The process ended.
    Died,
}

/// A write on its way to the resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) client: NodeId,
    pub(crate) resource: NodeId,
    pub(crate) at: Instant,
    pub(crate) arrived: Instant,
}

/// Everything about locks, for drawing.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) book: Book,
    /// Who locks, in the scenario's order.
    pub(crate) clients: Vec<NodeId>,
    pub(crate) servers: Vec<NodeId>,
    pub(crate) resources: Vec<NodeId>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) kept: Vec<Kept>,
    pub(crate) sent: Vec<Sent>,
    /// When clients learnt that they had lost the lock, and how.
    pub(crate) lost: Vec<(NodeId, Instant, LockLoss)>,
}

/// What is under way while the trace is read.
#[derive(Debug, Default)]
struct Open {
    tokens: BTreeMap<Arc<str>, NodeId>,
    kept: BTreeMap<(NodeId, Arc<str>), usize>,
    flying: BTreeMap<(NodeId, Addr, LockStep), usize>,
    writes: BTreeMap<EventId, (NodeId, Instant)>,
}

/// A server sees an expired key when it next looks: so much later its clock can't have been what kept it.
const LOOKS: Span = Span::from_ms(250);

impl Kept {
    /// Whether it is gone before its time, and nobody deleted it.
    pub(crate) fn broken(&self) -> bool {
        let early = self.until.is_some_and(|until| until > self.to + LOOKS);
        early && matches!(self.gone, Gone::Expired | Gone::Died)
    }

    /// The server holds the token no more.
    fn end(&mut self, at: Instant, gone: Gone) {
        let over = self.until.filter(|&until| until <= at && at.since(until) <= LOOKS);
        (self.to, self.gone) = match over {
            Some(until) if gone != Gone::Died => (until.max(self.from), Gone::Expired),
            Some(_) | None => (at, gone),
        };
    }
}

impl Fold {
    pub(crate) fn of(stage: &Stage, events: &[Event], end: Instant) -> Fold {
        let mut fold = Fold {
            book: Book::default(),
            clients: Vec::new(),
            servers: Vec::new(),
            resources: stage.of_role(NodeRole::Resource).map(|actor| actor.id).collect(),
            asked: Vec::new(),
            kept: Vec::new(),
            sent: Vec::new(),
            lost: Vec::new(),
        };
        let mut open = Open::default();
        for event in events.iter().filter(|event| event.at <= end) {
            fold.book.see(event);
            let Some(node) = event.node else { continue };
            if let Kind::Lock(said) = &event.kind {
                fold.client(node, event, said, &mut open);
                fold.server(node, event, said, end, &mut open);
            } else if event.kind.name() == "died" {
                // What a dead process held is gone; if it was on the disk, the next one says so.
                for kept in open.kept.iter().filter(|((server, _), _)| *server == node).map(|(_, &index)| index) {
                    fold.kept[kept].end(event.at, Gone::Died);
                }
                open.kept.retain(|(server, _), _| *server != node);
            }
        }
        fold.clients =
            stage.actors.iter().map(|actor| actor.id).filter(|id| fold.wants(*id).next().is_some()).collect();
        let asked = |id: NodeId| {
            let addr = stage.actor(id).map(|actor| actor.addr);
            fold.asked.iter().any(|asked| Some(asked.to) == addr) || fold.kept.iter().any(|kept| kept.server == id)
        };
        let servers = stage.of_role(NodeRole::Server).map(|actor| actor.id);
        fold.servers = servers.filter(|&id| asked(id)).collect();
        fold
    }

    /// What a client says of itself.
    fn client(&mut self, node: NodeId, event: &Event, said: &LockEvent, open: &mut Open) {
        if let LockEvent::Wanted { token, .. } = said {
            open.tokens.insert(Arc::clone(token), node);
        } else if let LockEvent::Asked { step, to, .. } = *said {
            open.flying.insert((node, to, step), self.asked.len());
            self.asked.push(Asked { client: node, to, step, at: event.at, answered: None });
        } else if let LockEvent::Answered { step, by, answer, .. } = *said {
            if let Some(index) = open.flying.remove(&(node, by, step)) {
                self.asked[index].answered = Some((event.at, answer));
            }
        } else if let LockEvent::Lost { why, .. } = *said {
            self.lost.push((node, event.at, why));
        } else if let LockEvent::ResourceAsked { .. } = said {
            open.writes.insert(event.id, (node, event.at));
        }
    }

    /// What servers hold, and what reaches the resource.
    fn server(&mut self, node: NodeId, event: &Event, said: &LockEvent, end: Instant, open: &mut Open) {
        let at = event.at;
        if let LockEvent::KeyHeld { lock, token, left } = said {
            let client = open.tokens.get(token).copied();
            let until = left.map(|left| at + left);
            let key = (node, Arc::clone(lock));
            if let Some(&index) = open.kept.get(&key) {
                if self.kept[index].client == client {
                    self.kept[index].extended.push(at);
                    self.kept[index].until = until;
                    return;
                }
                self.kept[index].end(at, Gone::Deleted);
            }
            open.kept.insert(key, self.kept.len());
            let kept = Kept { server: node, client, from: at, to: end, gone: Gone::No, extended: Vec::new(), until };
            self.kept.push(kept);
        } else if let LockEvent::KeyFreed { lock, why } = said {
            if let Some(index) = open.kept.remove(&(node, Arc::clone(lock))) {
                let gone = if *why == Freed::Expired { Gone::Expired } else { Gone::Deleted };
                self.kept[index].end(at, gone);
            }
        } else if let LockEvent::Written { .. } | LockEvent::Rejected { .. } = said
            && let Some(&(client, sent)) = open.writes.get(&event.cause)
        {
            self.sent.push(Sent { client, resource: node, at: sent, arrived: at });
        }
    }

    /// When a client wanted the lock.
    pub(crate) fn wants(&self, client: NodeId) -> impl Iterator<Item = &Want> {
        self.book.wants.iter().filter(move |want| want.client == client)
    }
}
