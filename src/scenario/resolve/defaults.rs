//! What a file that doesn't say gets. All defaults of the format are here.

use super::super::TieBreak;
use super::super::chaos::{DiskTrouble, Shape, Trouble};
use super::super::field::{At, Origin};
use super::super::raw::chaos::{Chaos, Kinds, Weighted};
use super::super::raw::{File, Load, Loose, LooseItem, MachineDefaults, Policy, Workload};
use super::super::source::Place;
use super::super::units::{Bandwidth, Delay, Factor, Share, Size, Time};
use crate::client::config::Policy as ClientPolicy;
use crate::rng::Dist;
use crate::time::Span;

/// Fills `field` if the file left it out.
pub(super) fn default<T>(field: &mut Option<At<T>>, value: T) {
    if field.is_none() {
        *field = Some(At { place: Place::default(), value });
    }
}

/// Fills in every default that doesn't depend on other fields.
pub(super) fn fill(file: &mut File, stem: &str) {
    let here = file.origin.place;
    default(&mut file.name, stem.to_owned());
    default(&mut file.seed, 1);
    default(&mut file.settle, Time(Span::from_secs(30)));
    default(&mut file.tie_break, TieBreak::Sequence);
    default(&mut file.cpu_costs, Factor(1000));
    let network = file.network.get_or_insert_default();
    default(&mut network.latency, Delay(Dist::Constant(Span::from_us(500))));
    default(&mut network.loopback, Delay(Dist::Constant(Span::from_us(20))));
    default(&mut network.loss, Share(0.0));
    default(&mut network.send_buffer, Size(4 << 20));
    default(&mut network.receive_buffer, Size(6 << 20));
    let defaults = file.defaults.get_or_insert_default();
    machine(defaults.machine.get_or_insert_with(|| MachineDefaults {
        origin: Origin { place: here, damaged: false },
        ..MachineDefaults::default()
    }));
    for client in &mut file.client {
        default(&mut client.db, 0);
        default(&mut client.resp, 2);
        match &mut client.workload {
            Some(Load::Kv(raw)) => workload(raw),
            Some(Load::Lock(raw)) => super::locks::fill(raw),
            None => {}
        }
        policy(client.policy.get_or_insert_default());
    }
    for resource in &mut file.resource {
        default(&mut resource.checks_fencing, false);
        default(&mut resource.takes, Delay(Dist::Constant(Span::from_ms(1))));
    }
    if file.chaos.is_some() {
        liveness(file);
    }
    if let Some(raw) = &mut file.chaos {
        chaos(raw, file.duration.as_ref());
    }
}

/// The metric that says how long it took to converge.
pub(super) const RECOVERY: &str = "recovery.duration";

/// After chaos a deployment must converge: an expectation like any other, unless the file has one.
fn liveness(file: &mut File) {
    let within = file.chaos.as_mut().and_then(|chaos| chaos.converge_within.take());
    if within.is_none() && file.expect.0.iter().any(|(name, _)| name.value == RECOVERY) {
        return;
    }
    let Some(within) = within.or_else(|| file.settle.clone()) else { return };
    let item = At { place: within.place, value: LooseItem::Text(format!("<= {}", within.value.0)) };
    match file.expect.0.iter_mut().find(|(name, _)| name.value == RECOVERY) {
        Some((_, wanted)) => wanted.0.push(item),
        None => {
            let name = At { place: within.place, value: RECOVERY.to_owned() };
            file.expect.0.push((name, Loose(vec![item])));
        }
    }
}

fn chaos(raw: &mut Chaos, duration: Option<&At<Time>>) {
    default(&mut raw.from, Time(Span::ZERO));
    if raw.to.is_none() {
        raw.to = duration.cloned();
    }
    default(&mut raw.lasts, Delay(Dist::Uniform(Span::from_secs(1), Span::from_secs(10))));
    default(&mut raw.swarm, true);
    let kinds = raw.kinds.get_or_insert_default();
    if kinds.none_named() {
        *kinds = Kinds {
            origin: kinds.origin,
            crash: Some(Weighted::default()),
            shutdown: Some(Weighted::default()),
            power_off: Some(Weighted::default()),
            restart: Some(Weighted::default()),
            pause: Some(Weighted::default()),
            partition: Some(Weighted::default()),
            link: Some(Weighted::default()),
            clock: Some(Weighted::default()),
            cpu: Some(Weighted::default()),
            disk: Some(Weighted::default()),
        };
    }
    weights(kinds);
    let uniform = |low: u64, high: u64| Delay(Dist::Uniform(Span::from_ms(low), Span::from_ms(high)));
    if let Some(Weighted(cut)) = &mut kinds.partition {
        all(&mut cut.shapes, &[Shape::Isolate, Shape::Halves, Shape::OneWay]);
        default(&mut cut.flapping, Share(0.2));
        default(&mut cut.flap, uniform(200, 3_000));
    }
    if let Some(Weighted(path)) = &mut kinds.link {
        all(&mut path.troubles, &[Trouble::Latency, Trouble::Loss, Trouble::Bandwidth, Trouble::Down]);
        default(&mut path.latency, uniform(10, 500));
        default(&mut path.loss, Share(0.3));
        default(&mut path.bandwidth, Bandwidth { text: "64kb/s".to_owned(), bytes_per_second: 64 << 10 });
    }
    if let Some(Weighted(clock)) = &mut kinds.clock {
        default(&mut clock.jump, uniform(100, 10_000));
        default(&mut clock.drift, 500);
    }
    if let Some(Weighted(cpu)) = &mut kinds.cpu {
        default(&mut cpu.slow_down, Factor(100_000));
    }
    if let Some(Weighted(disk)) = &mut kinds.disk {
        all(&mut disk.troubles, &[DiskTrouble::Slow]);
        default(&mut disk.slow, uniform(10, 1_000));
        default(&mut disk.file, "dump.rdb".to_owned());
    }
}

/// Without a choice all of them are meant.
fn all<T: Copy>(field: &mut Vec<At<T>>, values: &[T]) {
    if field.is_empty() {
        field.extend(values.iter().map(|&value| At { place: Place::default(), value }));
    }
}

fn weights(kinds: &mut Kinds) {
    macro_rules! each {
        ($($kind:ident),+) => {
            $(if let Some(Weighted(kind)) = &mut kinds.$kind {
                default(&mut kind.weight, Factor(1_000));
            })+
        };
    }
    each!(crash, shutdown, power_off, restart, pause, partition, link, clock, cpu, disk);
}

fn machine(raw: &mut MachineDefaults) {
    default(&mut raw.fsync, Delay(Dist::LogNormal(Span::from_us(1_500), 0.4)));
    default(&mut raw.clock_drift, 0);
    default(&mut raw.slow_down, Factor(1000));
}

fn workload(raw: &mut Workload) {
    if raw.rate.is_some() {
        default(&mut raw.poisson, false);
    }
    default(&mut raw.keys, 1000);
    default(&mut raw.key_size, Size(16));
    default(&mut raw.key_choice, "uniform".to_owned());
    default(&mut raw.write_ratio, Share(0.5));
    default(&mut raw.value_size, Size(64));
    default(&mut raw.pipeline, 1);
    default(&mut raw.start, Time(Span::ZERO));
    if let Some(wait) = &mut raw.wait {
        default(&mut wait.timeout, Time(Span::from_secs(1)));
    }
}

fn policy(raw: &mut Policy) {
    let usual = ClientPolicy::default();
    default(&mut raw.connect_timeout, Time(usual.connect_timeout));
    default(&mut raw.timeout, Time(usual.timeout));
    default(&mut raw.sentinel_timeout, Time(usual.sentinel_timeout));
    default(&mut raw.retry_delay, Time(usual.retry_delay));
    default(&mut raw.retry_delay_max, Time(usual.retry_delay_max));
    default(&mut raw.retry_jitter, Share(usual.retry_jitter.as_f64()));
    default(&mut raw.retries, usual.retries);
    default(&mut raw.retry_unknown, usual.retry_unknown);
    default(&mut raw.check_role, usual.check_role);
    default(&mut raw.listen, usual.listen);
    default(&mut raw.sentinel_order, usual.sentinel_order);
    default(&mut raw.reconnect_on_readonly, usual.reconnect_on_readonly);
    default(&mut raw.queue, usual.queue);
    default(&mut raw.queue_timeout, Time(usual.queue_timeout));
}
