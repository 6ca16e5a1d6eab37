//! Subscriptions to `+switch-master` at sentinels.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::config::Policy;
use super::policy;
use super::sentinel::address;
use crate::id::{Addr, Fd};
use crate::node::Outbox;
use crate::resp::{ReplyReader, Value, encode};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// A client's subscriptions, one for each sentinel that it listens to.
#[derive(Clone, Debug)]
pub(crate) struct Listeners {
    master: String,
    all: Vec<Listener>,
    rng: Rng,
}

#[derive(Clone, Debug)]
struct Listener {
    sentinel: Addr,
    stage: Stage,
    reader: ReplyReader,
    failures: u32,
}

/// How far a subscription has come. A subscribed connection is given up only when it ends: silence is its usual state.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Waiting { until: Instant },
    Connecting { fd: Fd, deadline: Instant },
    Subscribed { fd: Fd },
}

/// A `+switch-master` message about the client's own master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    /// The sentinel that said so.
    pub(crate) by: Addr,
    /// The new master.
    pub(crate) master: Addr,
}

impl Listeners {
    pub(crate) fn new(master: &str, rng: Rng) -> Listeners {
        Listeners { master: master.to_owned(), all: Vec::new(), rng }
    }

    /// Listens to exactly these sentinels from now on.
    pub(crate) fn listen_to(&mut self, sentinels: &[Addr], now: Now, policy: &Policy, out: &mut Outbox) {
        self.all.retain(|listener| {
            let stays = sentinels.contains(&listener.sentinel);
            if let (false, Some(fd)) = (stays, listener.fd()) {
                out.close(fd);
            }
            stays
        });
        for &sentinel in sentinels {
            if self.all.iter().all(|listener| listener.sentinel != sentinel) {
                let stage = connect(sentinel, now, policy, out);
                self.all.push(Listener { sentinel, stage, reader: ReplyReader::default(), failures: 0 });
            }
        }
    }

    /// When the next attempt or the next time-out is due.
    pub(crate) fn wake_at(&self) -> Instant {
        let due = |listener: &Listener| match listener.stage {
            Stage::Waiting { until } => until,
            Stage::Connecting { deadline, .. } => deadline,
            Stage::Subscribed { .. } => Instant::NEVER,
        };
        self.all.iter().map(due).min().unwrap_or(Instant::NEVER)
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Now, policy: &Policy, out: &mut Outbox) {
        for listener in &mut self.all {
            match listener.stage {
                Stage::Waiting { until } if until <= now.mono => {
                    listener.stage = connect(listener.sentinel, now, policy, out);
                }
                Stage::Connecting { fd, deadline } if deadline <= now.mono => {
                    out.close(fd);
                    listener.wait(now, policy, &mut self.rng);
                }
                Stage::Waiting { .. } | Stage::Connecting { .. } | Stage::Subscribed { .. } => {}
            }
        }
    }

    /// Whether an input on this descriptor is for a subscription.
    pub(crate) fn owns(&self, fd: Fd) -> bool {
        self.all.iter().any(|listener| listener.fd() == Some(fd))
    }

    fn index(&self, fd: Fd) -> usize {
        self.all.iter().position(|listener| listener.fd() == Some(fd)).expect("the input is for a subscription")
    }

    /// The connection is up: subscribes.
    pub(crate) fn on_connected(&mut self, fd: Fd, out: &mut Outbox) {
        let index = self.index(fd);
        self.all[index].stage = Stage::Subscribed { fd };
        let mut request = BytesMut::new();
        encode::command(&mut request, &[b"SUBSCRIBE", CHANNEL]);
        out.send(fd, request.freeze());
    }

    /// The connection was refused or ended; it is closed already.
    pub(crate) fn on_gone(&mut self, fd: Fd, now: Now, policy: &Policy) {
        let index = self.index(fd);
        self.all[index].wait(now, policy, &mut self.rng);
    }

    /// Bytes of a subscription: what the messages among them say about the master.
    pub(crate) fn on_bytes(
        &mut self,
        fd: Fd,
        data: Bytes,
        now: Now,
        policy: &Policy,
        out: &mut Outbox,
    ) -> SmallVec<[Switch; 1]> {
        let index = self.index(fd);
        let listener = &mut self.all[index];
        let mut switches = SmallVec::new();
        listener.reader.feed(data);
        loop {
            match listener.reader.read() {
                Ok(Some(value)) if value.error().is_none() => {
                    listener.failures = 0;
                    if let Some(master) = switched(&value, &self.master) {
                        switches.push(Switch { by: listener.sentinel, master });
                    }
                }
                Ok(None) => return switches,
                Ok(Some(_)) | Err(_) => {
                    out.close(fd);
                    listener.wait(now, policy, &mut self.rng);
                    return switches;
                }
            }
        }
    }
}

const CHANNEL: &[u8] = b"+switch-master";

impl Listener {
    fn fd(&self) -> Option<Fd> {
        match self.stage {
            Stage::Waiting { .. } => None,
            Stage::Connecting { fd, .. } | Stage::Subscribed { fd } => Some(fd),
        }
    }

    fn wait(&mut self, now: Now, policy: &Policy, rng: &mut Rng) {
        self.stage = Stage::Waiting { until: now.mono + policy::delay(policy, self.failures, rng) };
        self.reader = ReplyReader::default();
        self.failures += 1;
    }
}

fn connect(sentinel: Addr, now: Now, policy: &Policy, out: &mut Outbox) -> Stage {
    Stage::Connecting { fd: out.connect(sentinel), deadline: now.mono + policy.sentinel_timeout }
}

/// The new address in `message +switch-master "<name> <old ip> <old port> <new ip> <new port>"`.
fn switched(value: &Value, master: &str) -> Option<Addr> {
    let [kind, channel, payload] = value.items()? else { return None };
    if kind.text()? != b"message" || channel.text()? != CHANNEL {
        return None;
    }
    let words: SmallVec<[&[u8]; 5]> = payload.text()?.split(|&byte| byte == b' ').collect();
    let [name, _, _, ip, port] = words.as_slice() else { return None };
    (*name == master.as_bytes()).then(|| address(ip, port))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_about_the_own_master_count() {
        let message = |kind: &str, channel: &str, payload: &str| {
            let parts = [kind, channel, payload].map(|part| Value::Bulk(Bytes::copy_from_slice(part.as_bytes())));
            Value::Array(parts.to_vec())
        };
        let payload = "mymaster 10.0.0.1 6379 10.0.0.2 6380";
        let seen = |value: &Value| switched(value, "mymaster");
        assert_eq!(seen(&message("message", "+switch-master", payload)), Addr::parse("10.0.0.2:6380"));
        assert_eq!(seen(&message("message", "+sdown", payload)), None);
        assert_eq!(seen(&message("subscribe", "+switch-master", payload)), None);
        assert_eq!(seen(&message("message", "+switch-master", "other 10.0.0.1 1 10.0.0.2 2")), None);
        assert_eq!(seen(&message("message", "+switch-master", "mymaster 10.0.0.1 1 x 2")), None);
        assert_eq!(seen(&Value::Null), None);
    }
}
