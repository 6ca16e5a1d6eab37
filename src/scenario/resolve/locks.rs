//! Clients that lock, and the resources that locks protect.

use std::sync::Arc;

use super::super::NodeKind;
use super::super::field::At;
use super::super::raw::{Client, LockWorkload};
use super::super::units::{Delay, Factor, Time};
use super::Resolver;
use super::names::What;
use crate::client::config::lock::{Algorithm, LockConfig};
use crate::client::config::{Policy, Via, WaitAfter};
use crate::id::Addr;
use crate::resource::config::ResourceConfig;
use crate::time::Span;

/// Fills in what the library of a workload has as its defaults.
pub(super) fn fill(raw: &mut LockWorkload) {
    use super::defaults::default;
    let Some(algorithm) = raw.algorithm.as_ref().map(|algorithm| algorithm.value) else { return };
    let usual = algorithm.defaults();
    default(&mut raw.lock, "lock".to_owned());
    default(&mut raw.ttl, Time(usual.ttl));
    let ttl = raw.ttl.as_ref().map_or(usual.ttl, |ttl| ttl.0);
    let second = || Delay(crate::rng::Dist::Constant(Span::from_secs(1)));
    default(&mut raw.hold, second());
    default(&mut raw.think, second());
    default(&mut raw.writes, 1);
    default(&mut raw.tries, usual.tries.unwrap_or(0));
    default(&mut raw.retry_delay, Delay(usual.retry_delay));
    default(&mut raw.node_timeout, Time(usual.timeout.unwrap_or(Span(ttl.0 / 20))));
    default(&mut raw.drift_factor, Factor(usual.drift_milli));
    if usual.watchdog {
        default(&mut raw.extend, Time(Span(ttl.0 / 3)));
    }
    default(&mut raw.checks_validity, false);
    default(&mut raw.clock, usual.clock);
    default(&mut raw.fencing, false);
    default(&mut raw.depth, 1);
    default(&mut raw.start, Time(Span::ZERO));
    if let Some(wait) = &mut raw.wait {
        default(&mut wait.timeout, Time(Span::from_secs(1)));
    }
}

impl Resolver<'_> {
    pub(super) fn locker(
        &mut self,
        raw: &Client,
        load: &LockWorkload,
        via: Via,
        policy: Policy,
        auth: Option<(Option<Arc<str>>, Arc<str>)>,
    ) -> Option<NodeKind> {
        let algorithm = load.algorithm.as_ref()?.value;
        self.check_lock(load, algorithm, &via, raw.via.as_ref()?);
        if raw.db.as_ref().is_some_and(|db| db.value != 0) || raw.resp.as_ref().is_some_and(|resp| resp.value != 2) {
            self.problems.error(raw.origin.place, "a client that locks speaks RESP2 in database 0");
        }
        let resource = match &load.resource {
            Some(name) => Some(self.resource_of(name)?),
            None => None,
        };
        let flag = |field: &Option<At<bool>>| field.as_ref().is_some_and(|field| field.value);
        let tries = load.tries.as_ref()?.value;
        Some(NodeKind::Locker(Box::new(LockConfig {
            algorithm,
            via,
            lock: load.lock.as_ref()?.value.as_str().into(),
            ttl: load.ttl.as_ref()?.0,
            hold: load.hold.as_ref()?.0,
            think: load.think.as_ref()?.0,
            writes: load.writes.as_ref()?.value,
            resource,
            rounds: load.rounds.as_ref().map(|rounds| rounds.value),
            start: load.start.as_ref()?.0,
            stop: load.stop.as_ref().map(|stop| stop.0),
            tries: (tries > 0).then_some(tries),
            retry_delay: load.retry_delay.as_ref()?.0,
            patience: load.patience.as_ref().map(|patience| patience.0),
            timeout: load.node_timeout.as_ref()?.0,
            drift_milli: load.drift_factor.as_ref()?.0,
            extend: load.extend.as_ref().map(|extend| extend.0),
            minds: flag(&load.checks_validity),
            clock: load.clock.as_ref()?.value,
            fencing: flag(&load.fencing),
            depth: load.depth.as_ref()?.value,
            wait: load.wait.as_ref().and_then(|wait| {
                Some(WaitAfter { replicas: wait.replicas.as_ref()?.value, timeout: wait.timeout.as_ref()?.0 })
            }),
            auth,
            policy,
        })))
    }

    /// What an algorithm can't do.
    fn check_lock(&mut self, load: &LockWorkload, algorithm: Algorithm, via: &Via, via_at: &At<String>) {
        if cfg!(not(feature = "lua"))
            && algorithm.has_scripts()
            && let Some(named) = &load.algorithm
        {
            self.problems
                .error(
                    named.place,
                    "this algorithm releases its lock by a script, and this program was built without Lua",
                )
                .help("build splitbrain with its feature `lua`, which is one of the default features");
        }
        if matches!(via, Via::Servers(_)) && !algorithm.many() {
            self.problems
                .error(via_at.place, "this algorithm locks at one server")
                .help("\"redis:r1\" or \"sentinel:mymaster\"; redlock, redsync and node-redlock take \"servers:[r1, r2, r3]\"");
        }
        if algorithm.many() && !matches!(via, Via::Servers(_) | Via::Direct(_)) {
            self.problems
                .error(via_at.place, "this algorithm locks at several independent servers")
                .help("\"servers:[r1, r2, r3, r4, r5]\"");
        }
        if matches!(via, Via::Replicas { .. }) {
            self.problems
                .error(via_at.place, "a replica takes no locks")
                .help("\"sentinel:mymaster\" finds the master");
        }
        if let Some(wait) = &load.wait
            && algorithm.many()
        {
            self.problems.error(wait.origin.place, "`wait` is for locks at a master with replicas");
        }
        if let Some(depth) = load.depth.as_ref().filter(|depth| depth.value != 1)
            && !algorithm.is_redisson()
        {
            self.problems.error(depth.place, "only Redisson's locks are reentrant").label("expected 1");
        } else if let Some(depth) = load.depth.as_ref().filter(|depth| depth.value == 0) {
            self.problems.error(depth.place, "a lock is taken at least once");
        }
        for (field, name) in [(&load.ttl, "ttl"), (&load.extend, "extend"), (&load.node_timeout, "node-timeout")] {
            if let Some(field) = field.as_ref().filter(|field| field.0 < Span::from_ms(1)) {
                self.problems.error(field.place, format!("`{name}` is at least 1ms"));
            }
        }
        if let Some(ttl) = load.ttl.as_ref().filter(|ttl| ttl.0 < Span::from_secs(1))
            && algorithm == Algorithm::UnsafeSetnx
        {
            self.problems.error(ttl.place, "EXPIRE counts in seconds").help("at least \"1s\"");
        }
    }

    /// Where the resource of that name listens.
    fn resource_of(&mut self, name: &At<String>) -> Option<Addr> {
        let known = self.directory.names_of(What::Resource);
        match self.directory.get(&name.value) {
            Some(entry) if entry.what == What::Resource => {
                entry.nodes.first().map(|node| self.drafts[node.index()].addr)
            }
            Some(_) | None => {
                self.problems
                    .error(name.place, format!("no resource is called `{}`", name.value))
                    .label("unknown resource")
                    .suggest(name, "resources", known.iter().map(String::as_str));
                None
            }
        }
    }

    pub(super) fn resource(&mut self, entry: usize) -> Option<NodeKind> {
        let raw = &self.file.resource[entry];
        Some(NodeKind::Resource(ResourceConfig {
            checks_fencing: raw.checks_fencing.as_ref().is_some_and(|checks| checks.value),
            takes: raw.takes.as_ref()?.0,
        }))
    }

    /// The keys of all locks, each once.
    pub(super) fn locks(&self) -> Vec<Arc<str>> {
        let mut out: Vec<Arc<str>> = Vec::new();
        for load in self.file.client.iter().filter_map(|client| client.workload.as_ref()) {
            if let super::super::raw::Load::Lock(load) = load
                && let Some(lock) = &load.lock
                && !out.iter().any(|known| **known == *lock.value)
            {
                out.push(lock.value.as_str().into());
            }
        }
        out
    }
}
