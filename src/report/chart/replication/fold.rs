//! What the replication chart shows, gathered in one pass and thinned to what a pixel can show.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{Addr, HexId, NodeId};
use crate::report::stage::{Phases, Stage, Stretch};
use crate::time::{Instant, NS_PER_MS};
use crate::trace::event::{HistoryWhy, LinkState, NodeRole, RefusePsync, ServerEvent, SyncKind, WorldEvent};
use crate::trace::{Event, Kind};

/// Servers say their offset at most every 100 ms, when they next have something to do, which is within a second: a
/// replica that has been silent for longer than this has not moved.
const SILENCE: u64 = 1_150 * NS_PER_MS;

/// What a server was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A master.
    Master,
    /// A replica, and how its link was.
    Replica {
        /// Of whom.
        of: Option<Addr>,
        /// The link.
        link: LinkState,
    },
}

/// Offsets without a jump, in one role.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) master: bool,
    pub(crate) points: Vec<(Instant, u64)>,
}

/// The backlog at a moment: from `first` up to `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) at: Instant,
    pub(crate) first: u64,
    pub(crate) end: u64,
}

/// An offset that changed without passing what is between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump {
    pub(crate) at: Instant,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// A synchronisation that a replica finished.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sync {
    pub(crate) at: Instant,
    pub(crate) offset: u64,
    pub(crate) kind: SyncKind,
    pub(crate) refused: Option<RefusePsync>,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) id: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) backlog: Vec<Vec<Window>>,
    pub(crate) jumps: Vec<Jump>,
    pub(crate) syncs: Vec<Sync>,
    pub(crate) lag: Vec<Vec<(Instant, u64)>>,
    pub(crate) parts: Vec<Stretch<Part>>,
    phases: Phases<Part>,
    offset: u64,
    /// The history that its dataset belongs to.
    history: Option<HexId>,
    said: Instant,
    alive: bool,
    refused: Option<RefusePsync>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) servers: Vec<Server>,
    /// The greatest offset seen.
    pub(crate) highest: u64,
    /// The greatest lag seen.
    pub(crate) highest_lag: u64,
    index: BTreeMap<NodeId, usize>,
    at: BTreeMap<Addr, usize>,
    column: u64,
    step: u64,
}

impl Fold {
    /// Gathers; `step` is the time in nanoseconds that a pixel stands for.
    pub(crate) fn of(stage: &Stage, events: &[Event], step: u64) -> Fold {
        let servers: Vec<Server> =
            stage.of_role(NodeRole::Server).map(|actor| Server::new(actor.id, actor.name.clone())).collect();
        let index: BTreeMap<NodeId, usize> = servers.iter().enumerate().map(|(n, server)| (server.id, n)).collect();
        let at = stage.of_role(NodeRole::Server).enumerate().map(|(n, actor)| (actor.addr, n)).collect();
        let mut fold = Fold { servers, highest: 0, highest_lag: 0, index, at, column: 0, step };
        for event in events {
            fold.tick(event.at);
            let Some(&n) = event.node.and_then(|id| fold.index.get(&id)) else { continue };
            match &event.kind {
                Kind::Server(server) => fold.see(n, event.at, server),
                Kind::World(world) => fold.servers[n].see_world(event.at, world),
                Kind::Net(_) | Kind::Disk(_) | Kind::Sentinel(_) | Kind::Client(_) | Kind::Lock(_) => {}
            }
            if let Kind::Server(ServerEvent::SyncGranted { replica, refused, .. }) = &event.kind
                && let Some(&replica) = fold.at.get(replica)
            {
                fold.servers[replica].refused = *refused;
            }
        }
        for server in &mut fold.servers {
            if server.alive {
                let offset = server.offset;
                server.point(stage.end, offset, step);
                server.end_window(stage.end);
            }
            server.parts = std::mem::take(&mut server.phases).finish(stage.end);
        }
        fold
    }

    fn see(&mut self, n: usize, at: Instant, event: &ServerEvent) {
        let step = self.step;
        if let ServerEvent::Offset { .. } | ServerEvent::Synced { .. } = event {
            self.servers[n].see(at, event, step);
            self.lag(n, at);
        } else {
            self.servers[n].see(at, event, step);
        }
        self.highest = self.highest.max(self.servers[n].offset);
    }

    /// At each new pixel, replicas that have been silent for long are compared with their masters.
    fn tick(&mut self, at: Instant) {
        let column = at.0 / self.step;
        if column == self.column {
            return;
        }
        self.column = column;
        for n in 0..self.servers.len() {
            if at.since(self.servers[n].said).ns() > SILENCE {
                self.lag(n, at);
            }
        }
    }

    /// How far a live replica is behind a live master of the same history, which is what `replication.lag-max` counts.
    fn lag(&mut self, n: usize, at: Instant) {
        let step = self.step;
        let this = &self.servers[n];
        let leads = |other: &Server| other.alive && other.master() && other.history == this.history;
        let masters = self.servers.iter().filter(|other| leads(other));
        let Some(master) = masters.map(|master| master.offset).max().filter(|_| this.alive && !this.master()) else {
            return self.servers[n].end_lag();
        };
        let lag = master.saturating_sub(self.servers[n].offset);
        self.highest_lag = self.highest_lag.max(lag);
        let server = &mut self.servers[n];
        if server.lag.is_empty() {
            server.lag.push(Vec::new());
        }
        let line = server.lag.last_mut().expect("there is one now");
        // In one pixel the greatest lag and the last one are kept.
        let same = line.iter().rev().take(2).filter(|point| point.0.0 / step == at.0 / step).count();
        match line.last_mut() {
            Some(last) if same > 0 && (lag > last.1 || same > 1) => *last = (at, lag),
            Some(_) | None => line.push((at, lag)),
        }
    }
}

/// A link that isn't up is down, whatever is being tried.
fn shown(link: LinkState) -> LinkState {
    match link {
        LinkState::None | LinkState::Connect | LinkState::Connecting => LinkState::Connect,
        LinkState::Handshake | LinkState::Transfer | LinkState::Connected => link,
    }
}

impl Server {
    fn new(id: NodeId, name: Arc<str>) -> Server {
        Server {
            id,
            name,
            pieces: Vec::new(),
            backlog: Vec::new(),
            jumps: Vec::new(),
            syncs: Vec::new(),
            lag: Vec::new(),
            parts: Vec::new(),
            phases: Phases::default(),
            offset: 0,
            history: None,
            said: Instant::ZERO,
            alive: false,
            refused: None,
        }
    }

    /// The last known offset at a moment.
    pub(crate) fn offset_at(&self, at: Instant) -> Option<u64> {
        let points = self.pieces.iter().flat_map(|piece| &piece.points);
        points.take_while(|point| point.0 <= at).last().map(|point| point.1)
    }

    fn master(&self) -> bool {
        self.phases.now() == Some(Part::Master)
    }

    fn end_lag(&mut self) {
        if self.lag.last().is_some_and(|line| !line.is_empty()) {
            self.lag.push(Vec::new());
        }
    }

    fn see_world(&mut self, at: Instant, event: &WorldEvent) {
        if let WorldEvent::Started { .. } = event {
            self.alive = true;
        } else if let WorldEvent::Died { .. } = event {
            let offset = self.offset;
            self.point(at, offset, 1);
            self.alive = false;
            self.phases.stop(at);
            self.history = None;
            self.end_lag();
            self.end_window(at);
            self.cut();
        }
    }

    fn see(&mut self, at: Instant, event: &ServerEvent, step: u64) {
        self.alive = true;
        if let ServerEvent::Offset { offset, backlog_first, backlog_len } = event {
            self.said = at;
            self.point(at, *offset, step);
            if *backlog_len > 0 && self.master() {
                let window = Window { at, first: *backlog_first, end: backlog_first + backlog_len };
                self.window(window, step);
            }
        } else if let ServerEvent::Write { offset, .. } = event {
            self.point(at, *offset, step);
        } else if let ServerEvent::History { replid, offset, why, .. } = event {
            self.history = Some(*replid);
            self.begin_history(at, *offset, *why, step);
        } else if let ServerEvent::BecameMaster { offset } = event {
            self.phases.begin(at, Part::Master);
            self.end_lag();
            self.change_role(at, true, step);
            self.point(at, *offset, step);
        } else if let ServerEvent::BecameReplica { of } = event {
            self.phases.begin(at, Part::Replica { of: Some(*of), link: LinkState::Connect });
            self.change_role(at, false, step);
            self.end_window(at);
        } else if let ServerEvent::Link { state, .. } = event {
            if let Some(Part::Replica { of, .. }) = self.phases.now() {
                self.phases.begin(at, Part::Replica { of, link: shown(*state) });
            }
        } else if let ServerEvent::Synced { kind, offset } = event {
            self.said = at;
            let refused = self.refused.take().filter(|_| *kind == SyncKind::Full);
            self.syncs.push(Sync { at, offset: *offset, kind: *kind, refused });
            self.point(at, *offset, step);
        }
    }

    fn begin_history(&mut self, at: Instant, offset: u64, why: HistoryWhy, step: u64) {
        match why {
            HistoryWhy::Promotion | HistoryWhy::PartialSync | HistoryWhy::Renewed => {}
            HistoryWhy::Start | HistoryWhy::Rdb | HistoryWhy::Aof | HistoryWhy::FullSync => {
                let from = self.offset;
                if !self.pieces.is_empty() && from != offset {
                    self.point(at, from, 1);
                    self.jumps.push(Jump { at, from, to: offset });
                }
                self.end_window(at);
                self.cut();
                self.offset = offset;
            }
        }
        self.point(at, offset, step);
    }

    /// The backlog stays as it is up to now, and is not told of from now on.
    fn end_window(&mut self, at: Instant) {
        if let Some(band) = self.backlog.last_mut()
            && let Some(last) = band.last().copied()
        {
            band.push(Window { at, ..last });
            self.backlog.push(Vec::new());
        }
    }

    /// What follows is not connected to what was.
    fn cut(&mut self) {
        let master = self.master();
        self.pieces.push(Piece { master, points: Vec::new() });
    }

    fn change_role(&mut self, at: Instant, master: bool, step: u64) {
        let offset = self.offset;
        let known = self.pieces.last().is_some_and(|piece| !piece.points.is_empty());
        if known {
            self.point(at, offset, step);
        }
        self.pieces.push(Piece { master, points: Vec::new() });
        if known {
            self.point(at, offset, step);
        }
    }

    fn point(&mut self, at: Instant, offset: u64, step: u64) {
        if self.pieces.is_empty() {
            self.cut();
        }
        self.offset = offset;
        let points = &mut self.pieces.last_mut().expect("there is one now").points;
        let full = points.len() > 1 && points.last().is_some_and(|last| last.0.0 / step == at.0 / step);
        if full && let Some(last) = points.last_mut() {
            *last = (at, offset);
        } else {
            points.push((at, offset));
        }
    }

    fn window(&mut self, window: Window, step: u64) {
        if self.backlog.is_empty() {
            self.backlog.push(Vec::new());
        }
        let band = self.backlog.last_mut().expect("there is one now");
        match band.last_mut() {
            Some(last) if last.at.0 / step == window.at.0 / step => *last = window,
            Some(_) | None => band.push(window),
        }
    }
}
