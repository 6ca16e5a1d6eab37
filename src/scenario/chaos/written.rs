//! Drawn faults written out: the file that needs no draw.

use super::draw;
use crate::fault::{Fault, LinkEffect, Timed};
use crate::id::{MachineId, NodeId};
use crate::rng::{Dist, Seed};
use crate::scenario::field::{At, Origin};
use crate::scenario::raw::{self, Names, Partition};
use crate::scenario::source::Place;
use crate::scenario::units::{Bandwidth, Delay, Factor, Share, Size, Step, Time};
use crate::scenario::{Loaded, Scenario};
use crate::time::Span;

/// The same file with `[chaos]` replaced by the faults that the seed draws, and with that seed: its run has the same
/// digest.
#[must_use]
pub fn concrete(loaded: &Loaded, seed: Seed) -> raw::File {
    let mut file = loaded.effective.clone();
    file.seed = Some(at(seed.0));
    if file.chaos.take().is_some() {
        let scenario = &loaded.scenario;
        file.fault.extend(draw(scenario, seed).iter().map(|timed| written(scenario, timed)));
    }
    file
}

fn at<T>(value: T) -> At<T> {
    At { place: Place::default(), value }
}

fn delay(dist: &Dist) -> Option<At<Delay>> {
    Some(at(Delay(*dist)))
}

fn time(span: Span) -> Option<At<Time>> {
    Some(at(Time(span)))
}

/// A fault as a file has it.
fn written(scenario: &Scenario, timed: &Timed) -> raw::Fault {
    let mut out = raw::Fault {
        at: delay(&timed.at),
        lasts: timed.lasts.as_ref().and_then(delay),
        restart_after: timed.restart_after.as_ref().and_then(delay),
        ..raw::Fault::default()
    };
    let nodes = |ids: &[NodeId]| Some(names(ids.iter().map(|id| &*scenario.nodes[id.index()].name)));
    let machine_names = |ids: &[MachineId]| names(ids.iter().map(|id| &*scenario.machines[id.index()].name));
    let machines = |ids: &[MachineId]| Some(machine_names(ids));
    match &timed.fault {
        Fault::Crash { nodes: ids } => out.crash = nodes(ids),
        Fault::Shutdown { nodes: ids } => out.shutdown = nodes(ids),
        Fault::Restart { nodes: ids } => out.restart = nodes(ids),
        Fault::Pause { nodes: ids } => out.pause = nodes(ids).map(raw::Paused::Names),
        Fault::PowerOff { machines: ids } => out.power_off = machines(ids),
        Fault::Partition { groups, flap } => {
            let groups = groups.iter().map(|group| machine_names(group)).collect();
            out.partition = Some(Partition::Groups(Place::default(), groups));
            out.flap = flap.and_then(time);
        }
        Fault::PartitionOneWay { from, to, flap } => {
            let (from, to) = (machines(from), machines(to));
            out.partition = Some(Partition::OneWay(raw::OneWay { origin: Origin::default(), from, to }));
            out.flap = flap.and_then(time);
        }
        Fault::Link { from, to, both, effect } => {
            out.link = Some(link(machine_names(from), machine_names(to), *both, effect));
        }
        Fault::Clock { machines: ids, jump_ns, drift_ppm } => {
            let jump = (*jump_ns != 0).then(|| at(Step(*jump_ns)));
            let drift = drift_ppm.map(at);
            out.clock = Some(raw::Clock { origin: Origin::default(), machines: machines(ids), jump, drift });
        }
        Fault::Cpu { nodes: ids, slow_down_milli } => {
            let slow_down = Some(at(Factor(*slow_down_milli)));
            out.cpu = Some(raw::Cpu { origin: Origin::default(), nodes: nodes(ids), slow_down });
        }
        Fault::Disk { machines: ids, effect } => {
            out.disk = Some(raw::Disk {
                origin: Origin::default(),
                machines: machines(ids),
                slow: effect.slow.as_ref().and_then(delay),
                full: None,
                room: effect.room.map(|room| at(Size(room))),
                fails: effect.fails.then(|| at(true)),
                loses_syncs: effect.loses_syncs.then(|| at(true)),
                corrupts: effect.corrupts.as_ref().map(|file| at(file.to_string())),
            });
        }
        Fault::Exec { .. } => unreachable!("commands aren't drawn"),
    }
    out
}

fn names<'a>(list: impl Iterator<Item = &'a str>) -> Names {
    Names { origin: Origin::default(), list: list.map(|name| at(name.to_owned())).collect() }
}

fn link(from: Names, to: Names, both: bool, effect: &LinkEffect) -> raw::Link {
    raw::Link {
        origin: Origin::default(),
        from: Some(from),
        to: Some(to),
        both: (!both).then(|| at(false)),
        latency: effect.latency.as_ref().and_then(delay),
        loss: effect.loss.map(|loss| at(Share(loss.as_f64()))),
        bandwidth: effect.bandwidth.map(|bytes| at(Bandwidth { text: format!("{bytes}b/s"), bytes_per_second: bytes })),
        down: effect.down.then(|| at(true)),
    }
}
