//! Applications: how they find their server, what they do, how patient they are.

use std::sync::Arc;

use super::super::NodeKind;
use super::super::field::At;
use super::super::raw::{Auth, Load, Names, Policy as RawPolicy, Workload as RawWorkload};
use super::Resolver;
use crate::client::config::{ClientConfig, KeyChoice, Pace, Policy, Via, WaitAfter, Workload};
use crate::id::Addr;
use crate::rng::Ratio;
use crate::time::Span;

/// The bytes at the start of a value that tell who wrote it.
const VALUE_SIZE_MIN: u64 = 20;

/// The most that a value may have: Redis's `proto-max-bulk-len`.
const VALUE_SIZE_MAX: u64 = 512 << 20;

/// The most that a key of a client may have.
const KEY_SIZE_MAX: u64 = 512;

impl Resolver<'_> {
    pub(super) fn client(&mut self, index: usize, entry: usize) -> Option<NodeKind> {
        let raw = self.file.client[entry].clone();
        let via = raw.via.as_ref().and_then(|via| self.via(via, raw.sentinels.as_ref()));
        let auth = raw.auth.as_ref().map(|auth| match auth {
            Auth::Password(password) => (None, Arc::from(password.as_str())),
            Auth::User(both) => {
                let text = |field: &Option<At<String>>| Arc::from(field.as_ref().map_or("", |text| text.as_str()));
                (Some(text(&both.user)), text(&both.password))
            }
        });
        let resp = raw.resp.as_ref().map_or(2, |resp| resp.value);
        if let Some(field) = &raw.resp
            && resp != 2
            && resp != 3
        {
            self.problems.error(field.place, format!("there is no RESP{resp}")).label("expected 2 or 3");
        }
        let policy = self.policy(raw.policy.as_ref()?);
        let workload = match raw.workload.as_ref()? {
            Load::Kv(load) => self.workload(load),
            Load::Lock(load) => return self.locker(&raw, load, via?, policy, auth),
        };
        let is_client = |draft: &super::Draft| matches!(draft.role, super::Role::Client(_));
        let first = self.drafts.iter().position(is_client)?;
        Some(NodeKind::Client(Box::new(ClientConfig {
            via: via?,
            workload: workload?,
            policy,
            auth,
            db: raw.db.as_ref().map_or(0, |db| db.value),
            resp: u8::try_from(resp).ok()?,
            number: u32::try_from(index - first).ok()?,
            clients: u32::try_from(self.drafts.iter().filter(|draft| is_client(draft)).count()).ok()?,
        })))
    }

    fn via(&mut self, via: &At<String>, sentinels: Option<&Names>) -> Option<Via> {
        const FORMS: &str = "write \"redis:r1\", \"servers:[r1, r2]\", \"sentinel:mymaster\" or \"replicas:mymaster\"";
        let Some((kind, rest)) = via.split_once(':') else {
            let message = match via.as_str() {
                "cluster" => "via \"cluster\" is not yet supported by this version: it has no cluster nodes".to_owned(),
                other => format!("\"{other}\" does not say how to find a server"),
            };
            self.problems.error(via.place, message).label("not understood").help(FORMS);
            return None;
        };
        let name = At { place: via.place, value: rest.trim().to_owned() };
        if let Some(names) = sentinels
            && !matches!(kind.trim(), "sentinel" | "replicas")
        {
            self.problems.error(names.origin.place, format!("`sentinels` has no effect with via \"{}\"", via.value));
        }
        match kind.trim() {
            "redis" => {
                self.directory.server(&name, self.problems).map(|node| Via::Direct(self.drafts[node.index()].addr))
            }
            "servers" => self.servers(via, &name.value).map(Via::Servers),
            "sentinel" => {
                let (master, sentinels) = self.sentinels_for(&name, sentinels)?;
                Some(Via::Sentinel { master, sentinels })
            }
            "replicas" => {
                let (master, sentinels) = self.sentinels_for(&name, sentinels)?;
                Some(Via::Replicas { master, sentinels })
            }
            other => {
                let near = crate::conf::nearest(other, ["redis", "servers", "sentinel", "replicas"]);
                let help = near.map_or(FORMS.to_owned(), |near| format!("did you mean \"{near}:{}\"?", name.value));
                self.problems
                    .error(via.place, format!("\"{other}:\" is no way to find a server"))
                    .label("unknown")
                    .help(help);
                None
            }
        }
    }

    fn servers(&mut self, via: &At<String>, list: &str) -> Option<Vec<Addr>> {
        let Some(inner) = list.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            self.problems.error(via.place, "a list of servers needs its brackets").help("write \"servers:[r1, r2]\"");
            return None;
        };
        let names: Vec<At<String>> =
            inner.split(',').map(|name| At { place: via.place, value: name.trim().to_owned() }).collect();
        let nodes: Vec<_> = names.iter().map(|name| self.directory.server(name, self.problems)).collect();
        nodes.into_iter().map(|node| node.map(|node| self.drafts[node.index()].addr)).collect()
    }

    fn workload(&mut self, raw: &RawWorkload) -> Option<Workload> {
        let pace = self.pace(raw);
        let choice = raw.key_choice.as_ref().and_then(|choice| match parse_choice(choice) {
            Ok(choice) => Some(choice),
            Err(message) => {
                self.problems
                    .error(choice.place, message)
                    .help("write \"uniform\", \"zipf(0.99)\", \"sequential\" or \"hot(0.1, 0.9)\"");
                None
            }
        });
        let key_size = self.key_size(raw)?;
        let value_size = raw.value_size.as_ref()?;
        if !(VALUE_SIZE_MIN..=VALUE_SIZE_MAX).contains(&value_size.0) {
            let message =
                format!("a value of {} bytes; it has at least {VALUE_SIZE_MIN} and at most 512mb", value_size.0);
            self.problems.error(value_size.place, message).help("its first 20 bytes tell the checkers who wrote it");
            return None;
        }
        for (field, name) in [(&raw.keys, "keys"), (&raw.pipeline, "pipeline")] {
            if let Some(field) = field
                && field.value == 0
            {
                self.problems.error(field.place, format!("`{name}` is at least 1"));
            }
        }
        if let Some(ttl) = &raw.ttl
            && ttl.0 < Span::from_ms(1)
        {
            self.problems
                .error(ttl.place, format!("a ttl of {} is shorter than Redis can count", ttl.0))
                .help("at least \"1ms\"");
        }
        Some(Workload {
            pace: pace?,
            keys: raw.keys.as_ref()?.value,
            key_size,
            choice: choice?,
            write_ratio: raw.write_ratio.as_ref().map_or(Ratio::ZERO, |share| share.ratio()),
            value_size: u32::try_from(value_size.0).ok()?,
            pipeline: raw.pipeline.as_ref()?.value,
            ttl: raw.ttl.as_ref().map(|ttl| ttl.0),
            wait: raw.wait.as_ref().and_then(|wait| {
                Some(WaitAfter { replicas: wait.replicas.as_ref()?.value, timeout: wait.timeout.as_ref()?.0 })
            }),
            start: raw.start.as_ref()?.0,
            stop: raw.stop.as_ref().map(|stop| stop.0),
        })
    }

    /// Bytes of a key: enough for every number, and what other clients have, so that they mean the same keys.
    fn key_size(&mut self, raw: &RawWorkload) -> Option<u32> {
        let (size, keys) = (raw.key_size.as_ref()?, raw.keys.as_ref()?.value);
        let least = 4 + u64::from(keys.saturating_sub(1).checked_ilog10().unwrap_or(0)) + 1;
        if !(least..=KEY_SIZE_MAX).contains(&size.0) {
            let message = format!("a key of {} bytes; with {keys} keys it has {least} to {KEY_SIZE_MAX}", size.0);
            self.problems.error(size.place, message).help("a key is \"key:\" and its number");
            return None;
        }
        let size_of_all = *self.key_size.get_or_insert(size.0);
        if size_of_all != size.0 {
            let message = format!("keys of {} bytes; other clients have keys of {size_of_all}", size.0);
            // What the file leaves out has no place of its own.
            let error = self.problems.error(raw.origin.place, message);
            error.help("`key-size` is the same for all clients: they share keys");
            return None;
        }
        u32::try_from(size.0).ok()
    }

    fn pace(&mut self, raw: &RawWorkload) -> Option<Pace> {
        match (&raw.rate, &raw.think) {
            (Some(rate), None) => {
                let poisson = raw.poisson.as_ref().is_some_and(|poisson| poisson.value);
                Some(Pace::Open { period: rate.period, poisson })
            }
            (None, Some(think)) => {
                if let Some(poisson) = &raw.poisson {
                    self.problems.error(poisson.place, "`poisson` belongs to an open loop (`rate`)");
                }
                Some(Pace::Closed { think: think.0 })
            }
            (None, None) if raw.origin.damaged => None,
            (None, None) => {
                self.problems
                    .error(raw.origin.place, "the workload has no pace")
                    .help("rate = \"50/s\" (open loop), or think = \"10ms\" (closed loop: after each reply)");
                None
            }
            (Some(rate), Some(think)) => {
                self.problems
                    .error(think.place, "`rate` and `think` exclude each other")
                    .label("closed loop")
                    .also(rate.place, "open loop");
                None
            }
        }
    }

    fn policy(&mut self, raw: &RawPolicy) -> Policy {
        let mut policy = Policy::default();
        fn set<T, U>(to: &mut U, from: &Option<At<T>>, value: impl Fn(&T) -> U) {
            if let Some(field) = from {
                *to = value(&field.value);
            }
        }
        set(&mut policy.connect_timeout, &raw.connect_timeout, |time| time.0);
        set(&mut policy.timeout, &raw.timeout, |time| time.0);
        set(&mut policy.sentinel_timeout, &raw.sentinel_timeout, |time| time.0);
        set(&mut policy.retry_delay, &raw.retry_delay, |time| time.0);
        set(&mut policy.retry_delay_max, &raw.retry_delay_max, |time| time.0);
        set(&mut policy.retry_jitter, &raw.retry_jitter, |share| share.ratio());
        set(&mut policy.retries, &raw.retries, |number| *number);
        set(&mut policy.retry_unknown, &raw.retry_unknown, |yes| *yes);
        set(&mut policy.check_role, &raw.check_role, |yes| *yes);
        set(&mut policy.listen, &raw.listen, |listen| *listen);
        set(&mut policy.sentinel_order, &raw.sentinel_order, |order| *order);
        set(&mut policy.reconnect_on_readonly, &raw.reconnect_on_readonly, |yes| *yes);
        set(&mut policy.queue, &raw.queue, |number| *number);
        set(&mut policy.queue_timeout, &raw.queue_timeout, |time| time.0);
        for (field, name) in [
            (&raw.connect_timeout, "connect-timeout"),
            (&raw.timeout, "timeout"),
            (&raw.sentinel_timeout, "sentinel-timeout"),
            (&raw.retry_delay, "retry-delay"),
        ] {
            if let Some(field) = field
                && field.0 == Span::ZERO
            {
                self.problems.error(field.place, format!("`{name}` can't be zero"));
            }
        }
        policy
    }
}

/// `uniform`, `zipf(0.99)`, `sequential`, `hot(0.1, 0.9)`.
fn parse_choice(text: &str) -> Result<KeyChoice, String> {
    let text = text.trim();
    let (name, inner) = match text.split_once('(') {
        Some((name, rest)) => (
            name.trim(),
            Some(rest.strip_suffix(')').ok_or_else(|| format!("\"{text}\" lacks its closing parenthesis"))?),
        ),
        None => (text, None),
    };
    let numbers: Vec<&str> = inner.map_or(Vec::new(), |inner| inner.split(',').map(str::trim).collect());
    let number = |text: &str| text.parse::<f64>().map_err(|_| format!("\"{text}\" is not a number"));
    let share = |text: &str| Ratio::from_f64(number(text)?).ok_or_else(|| format!("{text} is not between 0 and 1"));
    match (name, numbers.as_slice()) {
        ("uniform", []) => Ok(KeyChoice::Uniform),
        ("sequential", []) => Ok(KeyChoice::Sequential),
        ("zipf", [exponent]) => match number(exponent)? {
            exponent if (0.01..=10.0).contains(&exponent) => Ok(KeyChoice::Zipf(exponent)),
            other => Err(format!("a zipf exponent lies between 0.01 and 10, {other} doesn't")),
        },
        ("hot", [keys, operations]) => {
            let (keys, operations) = (share(keys)?, share(operations)?);
            if keys.is_zero() { Err("no key is hot".to_owned()) } else { Ok(KeyChoice::Hot { keys, operations }) }
        }
        ("uniform" | "sequential", _) => Err(format!("\"{name}\" takes no values")),
        ("zipf", _) => Err("zipf takes one value, its exponent".to_owned()),
        ("hot", _) => Err("hot takes two values: the share of hot keys, the share of operations on them".to_owned()),
        (other, _) => Err(format!("\"{other}\" is not a way to choose keys")),
    }
}
