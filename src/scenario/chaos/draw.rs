//! From a plan and a seed to faults with constant times, in the order in which they strike.

use super::{DiskTrouble, How, Kind, Plan, Shape, Target, Trouble};
use crate::fault::{DiskEffect, Fault, FaultKind, LinkEffect, Timed};
use crate::id::{MachineId, NodeId};
use crate::rng::{Dist, Ratio, Rng, Seed};
use crate::scenario::Scenario;
use crate::time::{NS_PER_MS, Span};

/// No seed draws more; a plan whose rate and window come near it is refused.
const FAULTS_MAX: usize = 20_000;

/// Times are whole milliseconds: a person reads them.
const GRAIN: Span = Span::from_ms(1);

/// The faults that a seed draws, with constant times; none without a plan. They come after the timeline's.
#[must_use]
pub fn draw(scenario: &Scenario, seed: Seed) -> Vec<Timed> {
    let Some(plan) = &scenario.chaos else { return Vec::new() };
    let mut hand = Hand { scenario, plan, seed, hit: Vec::new(), stopped: Vec::new() };
    let kinds = hand.kinds_of_the_seed();
    let strikes = hand.strikes();
    strikes.into_iter().zip(0_u32..).filter_map(|(at, number)| hand.fault(&kinds, at, number)).collect()
}

/// What has been dealt so far.
struct Hand<'a> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    seed: Seed,
    /// Machines that are hit, and until when.
    hit: Vec<(MachineId, Span)>,
    /// Processes that don't run, and until when.
    stopped: Vec<(NodeId, Span)>,
}

/// The name of a kind in streams; it must not change.
fn stream_name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Crash => "crash",
        FaultKind::Shutdown => "shutdown",
        FaultKind::PowerOff => "power-off",
        FaultKind::Restart => "restart",
        FaultKind::Pause => "pause",
        FaultKind::Partition => "partition",
        FaultKind::Link => "link",
        FaultKind::Clock => "clock",
        FaultKind::Cpu => "cpu",
        FaultKind::Disk => "disk",
        FaultKind::Exec => "exec",
    }
}

fn rounded(span: Span) -> Span {
    Span(span.0 / NS_PER_MS * NS_PER_MS)
}

/// A draw that is at least one grain.
fn some_time(dist: &Dist, rng: &mut Rng) -> Span {
    rounded(dist.draw(rng)).max(GRAIN)
}

impl<'a> Hand<'a> {
    fn stream(&self, entity: &str, purpose: &str) -> Rng {
        self.seed.stream(entity, purpose)
    }

    /// The one with the smallest draw of its own.
    fn best<T>(&self, entity: &str, items: impl Iterator<Item = (T, String)>) -> Option<T> {
        items.min_by_key(|(_, purpose)| self.stream(entity, purpose).next_u64()).map(|(item, _)| item)
    }

    /// Which kinds this seed uses: with swarm each has an even chance, but there is always one.
    fn kinds_of_the_seed(&self) -> Vec<&'a Kind> {
        let plan = self.plan;
        let all = || plan.kinds.iter().filter(|kind| kind.weight_milli > 0);
        if !plan.swarm {
            return all().collect();
        }
        let draw = |kind: &Kind| self.stream("chaos", &format!("swarm {}", stream_name(kind.kind))).next_u64();
        let on: Vec<&'a Kind> = all().filter(|kind| draw(kind) >> 63 == 0).collect();
        if on.is_empty() { all().min_by_key(|kind| draw(kind)).into_iter().collect() } else { on }
    }

    /// When faults strike.
    fn strikes(&self) -> Vec<Span> {
        let mut rng = self.stream("chaos", "strikes");
        let between = Dist::Exponential(self.plan.period);
        let (mut at, mut out) = (self.plan.from, Vec::new());
        loop {
            at += between.draw(&mut rng);
            if at >= self.plan.to || out.len() == FAULTS_MAX {
                return out;
            }
            out.push(rounded(at).max(self.plan.from));
        }
    }

    /// The fault that strikes, if anything may still be hit.
    fn fault(&mut self, kinds: &[&Kind], at: Span, number: u32) -> Option<Timed> {
        self.hit.retain(|(_, until)| *until > at);
        self.stopped.retain(|(_, until)| *until > at);
        let entity = format!("chaos {number}");
        let kind = self.kind(kinds, &entity)?;
        let lasts = some_time(&kind.lasts, &mut self.stream(&entity, "for"));
        let until = rounded((at + lasts).min(self.plan.to));
        let lasts = Span(until.0.saturating_sub(at.0));
        if lasts < GRAIN {
            return None;
        }
        let fault = self.aimed(kind, &entity, until)?;
        let killing = matches!(fault, Fault::Crash { .. } | Fault::Shutdown { .. } | Fault::PowerOff { .. });
        let lasting = !killing && !matches!(fault, Fault::Restart { .. });
        let text = fault.describe(&|node| self.scenario.nodes[node.index()].name.to_string(), &|machine| {
            self.scenario.machines[machine.index()].name.to_string()
        });
        Some(Timed {
            at: Dist::Constant(at),
            lasts: lasting.then_some(Dist::Constant(lasts)),
            restart_after: killing.then_some(Dist::Constant(lasts)),
            after: None,
            when: None,
            fault,
            text: text.into(),
        })
    }

    /// The kind: each waits for an exponential time with its weight as the rate, and the first one it is.
    fn kind<'k>(&self, kinds: &[&'k Kind], entity: &str) -> Option<&'k Kind> {
        let wait = |kind: &Kind| {
            let unit = self.stream(entity, &format!("kind {}", stream_name(kind.kind))).unit();
            -libm::log(unit) / f64::from(kind.weight_milli)
        };
        kinds.iter().copied().min_by(|a, b| wait(a).total_cmp(&wait(b)))
    }

    fn aimed(&mut self, kind: &Kind, entity: &str, until: Span) -> Option<Fault> {
        let mut draws = self.stream(entity, stream_name(kind.kind));
        let fault = match (kind.kind, &kind.how) {
            (FaultKind::Crash, _) => Fault::Crash { nodes: vec![self.process(kind, entity, until, true)?] },
            (FaultKind::Shutdown, _) => Fault::Shutdown { nodes: vec![self.process(kind, entity, until, true)?] },
            (FaultKind::Restart, _) => Fault::Restart { nodes: vec![self.process(kind, entity, Span::ZERO, false)?] },
            (FaultKind::Pause, _) => Fault::Pause { nodes: vec![self.process(kind, entity, until, true)?] },
            (FaultKind::PowerOff, _) => {
                let machine = self.machine(kind, entity, until)?;
                let on = kind.targets.iter().filter(|target| target.machine == machine);
                self.stopped.extend(on.map(|target| (target.node, until)));
                Fault::PowerOff { machines: vec![machine] }
            }
            (_, How::Partition { shapes, flapping, flap }) => {
                let flap = draws.chance(*flapping).then(|| some_time(flap, &mut draws));
                let shape = shapes[index(&mut draws, shapes.len())];
                self.partition(kind, shape, flap, entity, until)?
            }
            (_, How::Link { .. }) => self.link(kind, &mut draws, entity, until)?,
            (_, How::Clock { jump, drift_ppm }) => {
                let (jump_ns, drift_ppm) = clock(*jump, *drift_ppm, &mut draws);
                Fault::Clock { machines: vec![self.machine(kind, entity, until)?], jump_ns, drift_ppm }
            }
            (_, How::Cpu { slow_down_milli }) => {
                let tenths = draws.range(15, u64::from(*slow_down_milli / 100).max(15));
                let slow_down_milli = u32::try_from(tenths * 100).expect("no more than it was at most");
                Fault::Cpu { nodes: vec![self.process(kind, entity, until, false)?], slow_down_milli }
            }
            (_, How::Disk { troubles, slow, file }) => {
                let trouble = troubles[index(&mut self.stream(entity, "disk trouble"), troubles.len())];
                let machines = vec![self.machine(kind, entity, until)?];
                let mut effect = DiskEffect::default();
                match trouble {
                    DiskTrouble::Slow => effect.slow = Some(Dist::Constant(some_time(slow, &mut draws))),
                    DiskTrouble::Full => effect.room = Some(0),
                    DiskTrouble::Fails => effect.fails = true,
                    DiskTrouble::LosesSyncs => effect.loses_syncs = true,
                    DiskTrouble::Corrupts => effect.corrupts = Some(file.clone()),
                }
                Fault::Disk { machines, effect }
            }
            (_, How::Plain) => unreachable!("every other kind has its own draws"),
        };
        Some(fault)
    }

    /// Whether one more machine may be hit, or this one is already.
    fn may_hit(&self, machine: MachineId) -> bool {
        let mut others: Vec<MachineId> = self.hit.iter().map(|(machine, _)| *machine).collect();
        others.sort_unstable();
        others.dedup();
        others.contains(&machine) || others.len() < self.plan.at_most
    }

    /// A process that runs.
    fn process(&mut self, kind: &Kind, entity: &str, until: Span, stops: bool) -> Option<NodeId> {
        let fine = |target: &&Target| {
            self.may_hit(target.machine) && !self.stopped.iter().any(|(node, _)| *node == target.node)
        };
        let name = |target: &Target| format!("target {}", self.scenario.nodes[target.node.index()].name);
        let targets = kind.targets.iter().filter(fine).map(|target| (*target, name(target)));
        let target = self.best(entity, targets)?;
        self.hit.push((target.machine, until));
        if stops {
            self.stopped.push((target.node, until));
        }
        Some(target.node)
    }

    /// A machine.
    fn machine(&mut self, kind: &Kind, entity: &str, until: Span) -> Option<MachineId> {
        let machine = *self.machines(kind, entity).first()?;
        self.hit.push((machine, until));
        Some(machine)
    }

    /// The machines that may be hit, the best first.
    fn machines(&self, kind: &Kind, entity: &str) -> Vec<MachineId> {
        let mut all: Vec<MachineId> = kind.targets.iter().map(|target| target.machine).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|machine| self.may_hit(*machine));
        all.sort_by_key(|machine| self.stream(entity, &format!("target {}", self.name(*machine))).next_u64());
        all
    }

    fn name(&self, machine: MachineId) -> &str {
        &self.scenario.machines[machine.index()].name
    }

    fn all_machines(&self) -> impl Iterator<Item = MachineId> + use<> {
        let count = u16::try_from(self.scenario.machines.len()).expect("machines have 16-bit numbers");
        (0..count).map(MachineId)
    }

    fn partition(&mut self, kind: &Kind, shape: Shape, flap: Option<Span>, entity: &str, until: Span) -> Option<Fault> {
        let mut draws = self.stream(entity, "shape");
        let cut_off = match shape {
            Shape::Isolate | Shape::OneWay => vec![self.machine(kind, entity, until)?],
            Shape::Halves => {
                let candidates = self.machines(kind, entity);
                let most = (candidates.len() / 2).clamp(1, self.plan.at_most);
                let wanted = draws.range(1, most as u64);
                let mut side = Vec::new();
                for machine in candidates {
                    if (side.len() as u64) < wanted && self.may_hit(machine) {
                        side.push(machine);
                        self.hit.push((machine, until));
                    }
                }
                let bystander = |machine: &MachineId| !kind.targets.iter().any(|target| target.machine == *machine);
                let falls = |machine: &MachineId| {
                    self.stream(entity, &format!("side {}", self.name(*machine))).next_u64() >> 63 == 0
                };
                side.extend(self.all_machines().filter(|machine| bystander(machine) && falls(machine)));
                side
            }
        };
        let rest: Vec<MachineId> = self.all_machines().filter(|machine| !cut_off.contains(machine)).collect();
        if rest.is_empty() || cut_off.is_empty() {
            return None;
        }
        Some(match shape {
            Shape::Isolate | Shape::Halves => Fault::Partition { groups: vec![cut_off, rest], flap },
            Shape::OneWay if draws.below(2) == 0 => Fault::PartitionOneWay { from: cut_off, to: rest, flap },
            Shape::OneWay => Fault::PartitionOneWay { from: rest, to: cut_off, flap },
        })
    }

    fn link(&mut self, kind: &Kind, draws: &mut Rng, entity: &str, until: Span) -> Option<Fault> {
        let How::Link { troubles, latency, loss_milli, bandwidth } = &kind.how else { unreachable!("links have this") };
        let trouble = troubles[index(draws, troubles.len())];
        let (to_all, both) = (draws.below(2) == 0, draws.below(4) > 0);
        let mut effect = LinkEffect::default();
        match trouble {
            Trouble::Latency => effect.latency = Some(Dist::Constant(some_time(latency, draws))),
            Trouble::Loss => {
                let milli = u32::try_from(draws.range(1, u64::from(*loss_milli).max(1))).expect("at most 1,000");
                effect.loss = Ratio::from_f64(f64::from(milli) / 1000.0);
            }
            Trouble::Bandwidth => effect.bandwidth = Some(*bandwidth),
            Trouble::Down => effect.down = true,
        }
        let machine = self.machine(kind, entity, until)?;
        let others: Vec<MachineId> = self.all_machines().filter(|other| *other != machine).collect();
        let to = if to_all {
            others
        } else {
            let named = others.into_iter().map(|other| (other, format!("peer {}", self.name(other))));
            self.best(entity, named).into_iter().collect()
        };
        (!to.is_empty()).then_some(Fault::Link { from: vec![machine], to, both, effect })
    }
}

fn index(draws: &mut Rng, len: usize) -> usize {
    usize::try_from(draws.below(len as u64)).expect("below a length")
}

/// A jump or a drift.
fn clock(jump: Dist, drift_ppm: u32, draws: &mut Rng) -> (i64, Option<i32>) {
    let drifts = draws.below(2) == 0;
    let negative = draws.below(2) == 0;
    let step = i64::try_from(rounded(jump.draw(draws)).0).unwrap_or(i64::MAX);
    let ppm = i32::try_from(draws.range(1, u64::from(drift_ppm).max(1))).unwrap_or(i32::MAX);
    if drift_ppm > 0 && (drifts || step == 0) {
        (0, Some(if negative { -ppm } else { ppm }))
    } else {
        let step = step.max(i64::try_from(GRAIN.0).expect("a millisecond"));
        (if negative { -step } else { step }, None)
    }
}
