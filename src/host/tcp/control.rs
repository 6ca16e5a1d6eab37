//! Orders from the control socket, and what they are answered with.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::connections::Shared;
use super::places;
use crate::fault::Fault;
use crate::host::order::{Answer, FaultStatus, NodeStatus, Order, Status};
use crate::host::{Entry, Session};
use crate::id::NodeId;
use crate::scenario::Scenario;
use crate::trace::event::{ServerEvent, WorldEvent};
use crate::trace::{Event, Kind, text};
use crate::world::{Life, Presence, World};

/// So many of the latest events can be asked for.
const KEPT: usize = 10_000;
/// An order is no longer than this.
const ORDER_MAX: u64 = 1 << 20;

/// An order and whom to answer.
pub(super) struct Demand {
    order: Order,
    to: UnboundedSender<Answer>,
}

/// Takes orders for as long as the session lasts.
pub(super) async fn receive(socket: UnixListener, shared: Rc<Shared>) {
    while let Ok((stream, _)) = socket.accept().await {
        tokio::task::spawn_local(attend(stream, shared.clone()));
    }
}

/// One order and its answer.
async fn attend(stream: UnixStream, shared: Rc<Shared>) {
    use tokio::io::AsyncReadExt as _;
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let (to, mut answers): (_, UnboundedReceiver<Answer>) = unbounded_channel();
    if BufReader::new(read.take(ORDER_MAX)).read_line(&mut line).await.is_err() {
        return;
    }
    match serde_json::from_str(&line) {
        Ok(order) => {
            shared.demands.borrow_mut().push(Demand { order, to });
            shared.wake.notify_one();
        }
        Err(error) => drop(to.send(Answer::Refused(format!("not an order: {error}")))),
    }
    while let Some(answer) = answers.recv().await {
        let mut line = serde_json::to_string(&answer).expect("plain data is JSON");
        line.push('\n');
        if write.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What is known for answers.
pub(super) struct Desk {
    names: Vec<Arc<str>>,
    /// The latest events, as lines.
    kept: VecDeque<String>,
    followers: Vec<UnboundedSender<Answer>>,
    /// Each node's role as it last said.
    roles: Vec<String>,
    /// Commands whose replies are waited for.
    typed: Vec<(NodeId, String, UnboundedSender<Answer>)>,
    /// The last fault that began.
    began: Option<String>,
    /// Who asked for it.
    asked: Option<UnboundedSender<Answer>>,
    died: bool,
}

impl Desk {
    pub(super) fn new(scenario: &Scenario) -> Desk {
        Desk {
            names: scenario.nodes.iter().map(|node| node.name.clone()).collect(),
            kept: VecDeque::new(),
            followers: Vec::new(),
            roles: vec![String::new(); scenario.nodes.len()],
            typed: Vec::new(),
            began: None,
            asked: None,
            died: false,
        }
    }

    /// Whether a process has ended.
    pub(super) fn somebody_died(&self) -> bool {
        self.died
    }

    /// An event has happened.
    pub(super) fn see(&mut self, event: &Event) {
        #[allow(clippy::wildcard_enum_match_arm, reason = "the others say nothing about these")]
        match (&event.kind, event.node) {
            (Kind::Server(ServerEvent::Write { .. } | ServerEvent::Offset { .. }), _) => return,
            (Kind::Server(ServerEvent::BecameMaster { .. }), Some(node)) => self.roles[node.index()] = "master".into(),
            (Kind::Server(ServerEvent::BecameReplica { of }), Some(node)) => {
                self.roles[node.index()] = format!("replica of {of}");
            }
            (Kind::World(WorldEvent::Died { .. }), Some(node)) => {
                self.roles[node.index()].clear();
                self.died = true;
            }
            (Kind::World(WorldEvent::FaultBegan { fault, what, .. }), _) => {
                self.began = Some(format!("fault {fault}: {what}"));
            }
            (Kind::World(WorldEvent::ExecReply { command, reply }), Some(node)) => {
                let waits = self.typed.iter().position(|(at, typed, _)| *at == node && **typed == **command);
                if let Some(place) = waits {
                    let (_, _, to) = self.typed.swap_remove(place);
                    let _ = to.send(Answer::Said(reply.to_string()));
                    let _ = to.send(Answer::Done);
                }
            }
            _ => {}
        }
        let name = event.node.and_then(|node| self.names.get(node.index())).map_or("--", |name| name);
        let line = text::line(event, name);
        self.followers.retain(|follower| follower.send(Answer::Said(line.clone())).is_ok());
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }

    /// What an order puts into the world; [`Desk::answer`] follows once that has been done.
    pub(super) fn take(&mut self, demand: Demand, session: &Session, stop: &Cell<bool>) -> Vec<Entry> {
        let Demand { order, to } = demand;
        let world = session.world();
        let entries = match order {
            Order::Status => {
                // Whoever doesn't wait for an answer doesn't miss it; here as below.
                let _ = to.send(Answer::Status(self.status(world)));
                Ok(Vec::new())
            }
            Order::Events { follow } => {
                for line in &self.kept {
                    let _ = to.send(Answer::Said(line.clone()));
                }
                if follow {
                    self.followers.push(to);
                    return Vec::new();
                }
                Ok(Vec::new())
            }
            Order::Stop => {
                stop.set(true);
                Ok(Vec::new())
            }
            Order::Exec { node, words } => {
                let fields = format!("exec = {{ node = {}, command = {} }}", quoted(&node), list(&words));
                match fault(session, &fields) {
                    Ok(Fault::Exec { node, argv }) => {
                        self.typed.push((node, argv.join(" "), to));
                        return vec![Entry::Fault(fields)];
                    }
                    Ok(_) => unreachable!("the field says what it is"),
                    Err(why) => Err(why),
                }
            }
            Order::Fault { fields } => fault(session, &fields).map(|_| vec![Entry::Fault(fields)]),
            Order::Restart { nodes } => restart(session, &nodes),
            Order::Resume { nodes } => resume(world, &self.names, &nodes),
            Order::Heal { faults } => heal(world, &faults),
        };
        self.began = None;
        match entries {
            Ok(entries) => {
                self.asked = Some(to);
                entries
            }
            Err(why) => {
                let _ = to.send(Answer::Refused(why));
                Vec::new()
            }
        }
    }

    /// The order has been carried out.
    pub(super) fn answer(&mut self) {
        if let Some(to) = self.asked.take() {
            if let Some(began) = self.began.take() {
                let _ = to.send(Answer::Said(began));
            }
            let _ = to.send(Answer::Done);
        }
    }

    fn status(&self, world: &World) -> Status {
        let scenario = world.scenario();
        let node = |place: super::Place| {
            let spec = &scenario.nodes[place.node.index()];
            let state = match (world.presence(place.node), world.life(place.node)) {
                (Presence::Silent, _) => "no-power",
                (_, Life::Down) => "down",
                (_, Life::Up) => "up",
                (_, Life::Paused) => "paused",
            };
            NodeStatus {
                name: place.name,
                kind: if place.sentinel { "sentinel" } else { "server" }.to_owned(),
                machine: scenario.machines[spec.machine.index()].name.to_string(),
                addr: place.addr.to_string(),
                state: state.to_owned(),
                role: self.roles[place.node.index()].clone(),
            }
        };
        Status {
            scenario: scenario.name.to_string(),
            simulated_ms: world.now().ms(),
            events: world.events().0,
            connections: world.outside_connections(),
            nodes: places(scenario).into_iter().map(node).collect(),
            faults: world
                .faults_in_force()
                .map(|(number, _, what)| FaultStatus { number, what: what.to_string() })
                .collect(),
        }
    }
}

/// The fault that fields mean.
fn fault(session: &Session, fields: &str) -> Result<Fault, String> {
    if let Err(error) = format!("fault = {{ {fields} }}").parse::<toml::Table>() {
        return Err(format!("{fields} is not what a scenario file would have in a [[fault]]: {}", error.message()));
    }
    match session.header().fault(fields, 0) {
        Ok((fault, _)) => Ok(fault),
        Err(report) => Err(report.plain()),
    }
}

/// Kills what runs and starts it; the faults that had killed these nodes, and no others, are over by that.
fn restart(session: &Session, nodes: &[String]) -> Result<Vec<Entry>, String> {
    let fields = format!("restart = {}", list(nodes));
    let Fault::Restart { nodes } = fault(session, &fields)? else { unreachable!("the field says what it is") };
    let world = session.world();
    let over = |fault: &Fault| {
        #[allow(clippy::wildcard_enum_match_arm, reason = "all others kill nothing")]
        match fault {
            Fault::Crash { nodes: killed } | Fault::Shutdown { nodes: killed } => {
                killed.iter().all(|node| nodes.contains(node) || world.life(*node) != Life::Down)
            }
            Fault::PowerOff { machines } => {
                let on = |node: &NodeId| machines.contains(&world.scenario().nodes[node.index()].machine);
                nodes.iter().any(on)
            }
            _ => false,
        }
    };
    let healed = world.faults_in_force().filter(|(_, fault, _)| over(fault)).map(|(number, ..)| Entry::Heal(number));
    Ok(std::iter::once(Entry::Fault(fields)).chain(healed).collect())
}

/// Ends the pauses of these nodes.
fn resume(world: &World, names: &[Arc<str>], nodes: &[String]) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for name in nodes {
        let paused = |fault: &Fault| {
            let Fault::Pause { nodes } = fault else { return false };
            nodes.iter().any(|node| *names[node.index()] == **name)
        };
        let found: Vec<u16> =
            world.faults_in_force().filter(|(_, fault, _)| paused(fault)).map(|(number, ..)| number).collect();
        if found.is_empty() {
            return Err(format!("no fault has `{name}` paused"));
        }
        entries.extend(found.into_iter().map(Entry::Heal));
    }
    entries.dedup();
    Ok(entries)
}

/// Ends faults: these, or all.
fn heal(world: &World, faults: &[u16]) -> Result<Vec<Entry>, String> {
    let in_force: Vec<u16> = world.faults_in_force().map(|(number, ..)| number).collect();
    if let Some(unknown) = faults.iter().find(|number| !in_force.contains(number)) {
        let known: Vec<String> = in_force.iter().map(u16::to_string).collect();
        let known = if known.is_empty() { "none is".to_owned() } else { format!("these are: {}", known.join(", ")) };
        return Err(format!("no fault {unknown} is in force; {known}"));
    }
    let chosen = if faults.is_empty() { &in_force } else { faults };
    Ok(chosen.iter().copied().map(Entry::Heal).collect())
}

/// A text as TOML has it: JSON's escapes are among those that TOML knows.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}

fn list(words: &[String]) -> String {
    serde_json::to_string(words).expect("texts are JSON")
}
