//! Who took part in a run, what was broken when, and how long it was: what every chart and page needs to name things.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fault::FaultKind;
use crate::id::{Addr, HexId, MachineId, NodeId};
use crate::time::Instant;
use crate::trace::event::{InstanceKind, NodeRole, SentinelEvent, WorldEvent};
use crate::trace::{Event, Kind};

/// A node as the trace declares it.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Its number.
    pub id: NodeId,
    /// The scenario's name for it.
    pub name: Arc<str>,
    /// What it is.
    pub role: NodeRole,
    /// Where it listens.
    pub addr: Addr,
    /// The machine it runs on.
    pub machine: MachineId,
    /// That machine's name.
    pub machine_name: Arc<str>,
}

/// A fault and how long it was in force.
#[derive(Clone, Debug)]
pub struct FaultBand {
    /// Its kind.
    pub kind: FaultKind,
    /// The fault as a sentence.
    pub what: Arc<str>,
    /// When it struck.
    pub from: Instant,
    /// When it was healed, or the end of the run.
    pub to: Instant,
    /// Whether it was over at the moment it struck: a command typed, a process restarted.
    pub instant: bool,
    /// Its number in the scenario.
    fault: u16,
    /// The processes that it ended, until all have been started again.
    down: Vec<NodeId>,
    open: bool,
}

/// What a process was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It ran.
    Up,
    /// It was stopped (SIGSTOP).
    Paused,
    /// There was no process.
    Down,
}

/// Something that lasted from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch<T> {
    /// Its beginning.
    pub from: Instant,
    /// Its end.
    pub to: Instant,
    /// What lasted.
    pub what: T,
}

/// States that follow one another: each begins where the one before it ends.
#[derive(Clone, Debug)]
pub struct Phases<T> {
    done: Vec<Stretch<T>>,
    current: Option<(Instant, T)>,
}

/// The cast and the setting.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Every node, in the scenario's order.
    pub actors: Vec<Actor>,
    /// Every fault, in order of time.
    pub faults: Vec<FaultBand>,
    /// When everything was healed and the settle period began.
    pub settle: Option<Instant>,
    /// The time of the last event.
    pub end: Instant,
    /// What each process was doing.
    pub lives: BTreeMap<NodeId, Vec<Stretch<Life>>>,
    by_addr: BTreeMap<Addr, usize>,
    sentinels: BTreeMap<HexId, NodeId>,
}

impl<T> Default for Phases<T> {
    fn default() -> Self {
        Phases { done: Vec::new(), current: None }
    }
}

impl<T: Copy + PartialEq> Phases<T> {
    /// From now on it is `what`; saying the same again changes nothing.
    pub fn begin(&mut self, at: Instant, what: T) {
        if self.current.is_some_and(|(_, before)| before == what) {
            return;
        }
        self.stop(at);
        self.current = Some((at, what));
    }

    /// From now on it is nothing.
    pub fn stop(&mut self, at: Instant) {
        if let Some((from, what)) = self.current.take()
            && from < at
        {
            self.done.push(Stretch { from, to: at, what });
        }
    }

    /// What it is now.
    #[must_use]
    pub fn now(&self) -> Option<T> {
        self.current.map(|(_, what)| what)
    }

    /// All of them, the last one up to `end`.
    #[must_use]
    pub fn finish(mut self, end: Instant) -> Vec<Stretch<T>> {
        self.stop(end);
        self.done
    }
}

impl Stage {
    /// Reads the cast from a trace.
    #[must_use]
    pub fn of(events: &[Event]) -> Stage {
        let mut stage = Stage {
            actors: Vec::new(),
            faults: Vec::new(),
            settle: None,
            end: events.last().map_or(Instant::ZERO, |event| event.at),
            lives: BTreeMap::new(),
            by_addr: BTreeMap::new(),
            sentinels: BTreeMap::new(),
        };
        let mut lives: BTreeMap<NodeId, Phases<Life>> = BTreeMap::new();
        for event in events {
            match &event.kind {
                Kind::World(world) => stage.see_world(event, world, &mut lives),
                Kind::Sentinel(said) => stage.see_sentinel(event, said),
                Kind::Net(_) | Kind::Disk(_) | Kind::Server(_) | Kind::Client(_) | Kind::Lock(_) => {}
            }
        }
        let end = stage.end;
        stage.lives = lives.into_iter().map(|(id, phases)| (id, phases.finish(end))).collect();
        for band in &mut stage.faults {
            if band.open {
                band.to = end;
            }
        }
        stage
    }

    fn see_world(&mut self, event: &Event, world: &WorldEvent, lives: &mut BTreeMap<NodeId, Phases<Life>>) {
        let mut life = |life| {
            if let Some(id) = event.node {
                lives.entry(id).or_default().begin(event.at, life);
            }
        };
        match world {
            WorldEvent::Declared { name, role, addr, machine, machine_name } => {
                let Some(id) = event.node else { return };
                self.by_addr.entry(*addr).or_insert(self.actors.len());
                let (name, machine_name) = (name.clone(), machine_name.clone());
                self.actors.push(Actor { id, name, role: *role, addr: *addr, machine: *machine, machine_name });
            }
            WorldEvent::Started { .. } => {
                life(Life::Up);
                self.close_restarted(event);
            }
            WorldEvent::Resumed => life(Life::Up),
            WorldEvent::Died { .. } => life(Life::Down),
            WorldEvent::Paused => life(Life::Paused),
            WorldEvent::FaultBegan { fault, kind, what, nodes } => {
                let kills = matches!(kind, FaultKind::Crash | FaultKind::Shutdown | FaultKind::PowerOff);
                let instant = matches!(kind, FaultKind::Exec | FaultKind::Restart);
                self.faults.push(FaultBand {
                    kind: *kind,
                    what: what.clone(),
                    from: event.at,
                    to: event.at,
                    instant,
                    fault: *fault,
                    down: if kills { nodes.to_vec() } else { Vec::new() },
                    open: !instant,
                });
            }
            WorldEvent::FaultEnded { fault } => {
                for band in self.faults.iter_mut().filter(|band| band.open && band.fault == *fault) {
                    (band.to, band.open) = (event.at, false);
                }
            }
            WorldEvent::SettleBegan => self.settle = Some(event.at),
            WorldEvent::ExecReply { .. } | WorldEvent::End => {}
        }
    }

    fn close_restarted(&mut self, event: &Event) {
        for band in self.faults.iter_mut().filter(|band| band.open && !band.down.is_empty()) {
            band.down.retain(|&id| Some(id) != event.node);
            if band.down.is_empty() {
                (band.to, band.open) = (event.at, false);
            }
        }
    }

    fn see_sentinel(&mut self, event: &Event, said: &SentinelEvent) {
        if let (SentinelEvent::Ready { id, .. }, Some(node)) = (said, event.node) {
            self.sentinels.insert(*id, node);
        } else if let SentinelEvent::Said { instance: Some(instance), .. } = said
            && instance.kind == InstanceKind::Sentinel
            && let Some(id) = HexId::parse(instance.name.as_bytes())
            && let Some(&index) = self.by_addr.get(&instance.addr)
        {
            self.sentinels.entry(id).or_insert(self.actors[index].id);
        }
    }

    /// The node of that number.
    #[must_use]
    pub fn actor(&self, id: NodeId) -> Option<&Actor> {
        self.actors.get(id.index()).filter(|actor| actor.id == id).or_else(|| self.actors.iter().find(|a| a.id == id))
    }

    /// The node's name, `--` for the world.
    #[must_use]
    pub fn name(&self, id: Option<NodeId>) -> &str {
        id.and_then(|id| self.actor(id)).map_or("--", |actor| &actor.name)
    }

    /// Who listens at an address.
    #[must_use]
    pub fn at(&self, addr: Addr) -> Option<&Actor> {
        self.by_addr.get(&addr).map(|&index| &self.actors[index])
    }

    /// The name of who listens at an address, or the address.
    #[must_use]
    pub fn name_at(&self, addr: Addr) -> String {
        self.at(addr).map_or_else(|| addr.to_string(), |actor| actor.name.to_string())
    }

    /// The sentinel that calls itself so.
    #[must_use]
    pub fn sentinel(&self, id: HexId) -> Option<&Actor> {
        self.sentinels.get(&id).and_then(|&node| self.actor(node))
    }

    /// The sentinel's name, or the first digits of its id.
    #[must_use]
    pub fn sentinel_name(&self, id: HexId) -> String {
        self.sentinel(id).map_or_else(|| format!("{id:.8}"), |actor| actor.name.to_string())
    }

    /// The nodes of one kind.
    pub fn of_role(&self, role: NodeRole) -> impl Iterator<Item = &Actor> {
        self.actors.iter().filter(move |actor| actor.role == role)
    }

    /// When the watched part of the run ended: the beginning of the settle period, or the last event.
    #[must_use]
    pub fn watched_until(&self) -> Instant {
        self.settle.unwrap_or(self.end)
    }
}

/// A node's name without the number that a `count` gave it: `writer-3` is one of the `writer`s.
#[must_use]
pub fn population(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, number))
            if !stem.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty() =>
        {
            stem
        }
        Some(_) | None => name,
    }
}
