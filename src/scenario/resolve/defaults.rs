//! What a file that doesn't say gets. All defaults of the format are here.

use super::super::TieBreak;
use super::super::field::{At, Origin};
use super::super::raw::{File, MachineDefaults, Policy, Workload};
use super::super::source::Place;
use super::super::units::{Delay, Factor, Share, Size, Time};
use crate::client::config::Policy as ClientPolicy;
use crate::rng::Dist;
use crate::time::Span;

/// Fills `field` if the file left it out.
fn default<T>(field: &mut Option<At<T>>, value: T) {
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
        if let Some(raw) = &mut client.workload {
            workload(raw);
        }
        policy(client.policy.get_or_insert_default());
    }
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
