//! What the chart of locks shows, out of the trace: a lane for each client, resource and server.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::locks::{Book, Want};
use crate::id::{Addr, NodeId};
use crate::report::stage::Stage;
use crate::time::Instant;
use crate::trace::event::{Freed, LockAnswer, LockEvent, LockStep, NodeRole};
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
    /// How it ended, if it did.
    pub(crate) freed: Option<Freed>,
    /// When its time to live began anew.
    pub(crate) extended: Vec<Instant>,
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
        };
        let mut tokens: BTreeMap<Arc<str>, NodeId> = BTreeMap::new();
        let mut open: BTreeMap<(NodeId, Arc<str>), usize> = BTreeMap::new();
        let mut flying: BTreeMap<(NodeId, Addr, LockStep), usize> = BTreeMap::new();
        for event in events.iter().filter(|event| event.at <= end) {
            fold.book.see(event);
            let Some(node) = event.node else { continue };
            if let Kind::Lock(said) = &event.kind {
                fold.lock(node, event.at, said, end, &mut tokens, &mut open, &mut flying);
            } else if event.kind.name() == "died" {
                // What a dead process held is gone; if it was on the disk, the next one says so.
                for kept in open.iter().filter(|((server, _), _)| *server == node).map(|(_, &index)| index) {
                    fold.kept[kept].to = event.at;
                }
                open.retain(|(server, _), _| *server != node);
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

    #[allow(clippy::too_many_arguments, reason = "what one pass over the trace keeps")]
    fn lock(
        &mut self,
        node: NodeId,
        at: Instant,
        said: &LockEvent,
        end: Instant,
        tokens: &mut BTreeMap<Arc<str>, NodeId>,
        open: &mut BTreeMap<(NodeId, Arc<str>), usize>,
        flying: &mut BTreeMap<(NodeId, Addr, LockStep), usize>,
    ) {
        if let LockEvent::Wanted { token, .. } = said {
            tokens.insert(Arc::clone(token), node);
        } else if let LockEvent::Asked { step, to, .. } = *said {
            flying.insert((node, to, step), self.asked.len());
            self.asked.push(Asked { client: node, to, step, at, answered: None });
        } else if let LockEvent::Answered { step, by, answer, .. } = *said {
            if let Some(index) = flying.remove(&(node, by, step)) {
                self.asked[index].answered = Some((at, answer));
            }
        } else if let LockEvent::KeyHeld { lock, token, .. } = said {
            let client = tokens.get(token).copied();
            let key = (node, Arc::clone(lock));
            if let Some(&index) = open.get(&key) {
                if self.kept[index].client == client {
                    self.kept[index].extended.push(at);
                    return;
                }
                (self.kept[index].to, self.kept[index].freed) = (at, Some(Freed::Deleted));
            }
            open.insert(key, self.kept.len());
            self.kept.push(Kept { server: node, client, from: at, to: end, freed: None, extended: Vec::new() });
        } else if let LockEvent::KeyFreed { lock, why } = said
            && let Some(index) = open.remove(&(node, Arc::clone(lock)))
        {
            (self.kept[index].to, self.kept[index].freed) = (at, Some(*why));
        }
    }

    /// When a client wanted the lock.
    pub(crate) fn wants(&self, client: NodeId) -> impl Iterator<Item = &Want> {
        self.book.wants.iter().filter(move |want| want.client == client)
    }
}
