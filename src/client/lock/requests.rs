//! What each library asks a server for, and how it reads the answers.

use std::sync::Arc;

use super::Locker;
use super::scripts::{self, Call, Script, Way};
use crate::client::config::lock::{Algorithm, FAIR_WAIT};
use crate::resp::Value;
use crate::time::{NS_PER_MS, NS_PER_S, Now, Span};
use crate::trace::event::{LockAnswer, LockStep};

/// What a server is asked.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// A command.
    Words(Vec<Vec<u8>>),
    /// A script.
    Call(Arc<Call>),
}

fn bytes(parts: &[&str]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.as_bytes().to_vec()).collect()
}

fn words(parts: &[&str]) -> Request {
    Request::Words(bytes(parts))
}

/// How a library calls scripts.
fn way(algorithm: Algorithm) -> Way {
    match algorithm {
        Algorithm::Redlock => Way::Text,
        Algorithm::Redsync | Algorithm::NodeRedlock => Way::Known,
        // redis-py's registered scripts, and Redisson's script cache, which is on by default.
        Algorithm::Single
        | Algorithm::UnsafeSetnx
        | Algorithm::UnsafeDel
        | Algorithm::Redisson
        | Algorithm::RedissonFair => Way::Loaded,
    }
}

/// `ex 10` or `px 1500`, as go-redis chooses.
fn expiry(ttl: Span) -> (&'static str, String) {
    if ttl.ns().is_multiple_of(NS_PER_S) { ("ex", ttl.secs().to_string()) } else { ("px", ttl.ms().to_string()) }
}

impl Locker {
    fn call(&self, script: &'static Script, keys: &[&str], args: &[&str]) -> Request {
        let mut rest = bytes(&[&keys.len().to_string()]);
        rest.extend(bytes(keys));
        rest.extend(bytes(args));
        Request::Call(Arc::new(Call { script, way: way(self.config.algorithm), rest }))
    }

    /// The channel on which Redisson says that the lock is free.
    pub(super) fn channel(&self) -> String {
        let channel = format!("redisson_lock__channel:{{{}}}", self.config.lock);
        let fair = self.config.algorithm == Algorithm::RedissonFair;
        if fair { format!("{channel}:{}", self.token) } else { channel }
    }

    fn fair_keys(&self) -> (String, String) {
        let lock = &self.config.lock;
        (format!("redisson_lock_queue:{{{lock}}}"), format!("redisson_lock_timeout:{{{lock}}}"))
    }

    pub(super) fn request(&self, step: LockStep, now: Now) -> Request {
        let (lock, token, ttl) = (&*self.config.lock, &*self.token, self.config.ttl.ms().to_string());
        match step {
            LockStep::Acquire => self.acquire(now),
            LockStep::Expire => words(&["EXPIRE", lock, &self.config.ttl.secs().max(1).to_string()]),
            LockStep::Wait => {
                let wait = self.config.wait.expect("asked for only with a wait");
                words(&["WAIT", &wait.replicas.to_string(), &wait.timeout.ms().to_string()])
            }
            LockStep::Fence => words(&["INCR", &format!("{lock}:fencing")]),
            LockStep::Subscribe => words(&["SUBSCRIBE", &self.channel()]),
            LockStep::Load => unreachable!("a server is told a script only where the call of one failed"),
            LockStep::Extend => match self.config.algorithm {
                Algorithm::Single | Algorithm::Redlock | Algorithm::Redsync => {
                    self.call(&scripts::EXTEND, &[lock], &[token, &ttl])
                }
                Algorithm::NodeRedlock => self.call(&scripts::RETAKE, &[lock], &[token, &ttl]),
                Algorithm::UnsafeSetnx | Algorithm::UnsafeDel => words(&["PEXPIRE", lock, &ttl]),
                Algorithm::Redisson | Algorithm::RedissonFair => {
                    self.call(&scripts::HASH_RENEW, &[lock], &[&ttl, token])
                }
            },
            LockStep::Release => self.release(now),
        }
    }

    fn acquire(&self, now: Now) -> Request {
        let (lock, token, ttl) = (&*self.config.lock, &*self.token, self.config.ttl.ms().to_string());
        match self.config.algorithm {
            Algorithm::Single | Algorithm::UnsafeDel => words(&["SET", lock, token, "PX", &ttl, "NX"]),
            Algorithm::UnsafeSetnx => words(&["SETNX", lock, token]),
            Algorithm::Redlock => words(&["set", lock, token, "nx", "px", &ttl]),
            Algorithm::Redsync => {
                let (unit, number) = expiry(self.config.ttl);
                words(&["set", lock, token, unit, &number, "nx"])
            }
            Algorithm::NodeRedlock => self.call(&scripts::TAKE, &[lock], &[token, &ttl]),
            Algorithm::Redisson => self.call(&scripts::HASH_LOCK, &[lock], &[&ttl, token]),
            Algorithm::RedissonFair => {
                let (queue, timeouts) = self.fair_keys();
                let (wait, at) = (FAIR_WAIT.ms().to_string(), (now.unix.0 / NS_PER_MS).to_string());
                self.call(&scripts::FAIR_LOCK, &[lock, &queue, &timeouts], &[&ttl, token, &wait, &at])
            }
        }
    }

    fn release(&self, now: Now) -> Request {
        let (lock, token, ttl) = (&*self.config.lock, &*self.token, self.config.ttl.ms().to_string());
        match self.config.algorithm {
            Algorithm::Single | Algorithm::Redlock | Algorithm::NodeRedlock => {
                self.call(&scripts::RELEASE, &[lock], &[token])
            }
            Algorithm::Redsync => self.call(&scripts::RELEASE_TELLING, &[lock], &[token]),
            Algorithm::UnsafeSetnx | Algorithm::UnsafeDel => words(&["DEL", lock]),
            Algorithm::Redisson => {
                let (latch, life) = (self.latch_key(), self.latch_life.ms().to_string());
                self.call(&scripts::HASH_UNLOCK, &[lock, &self.channel(), &latch], &[&ttl, token, &life])
            }
            Algorithm::RedissonFair => {
                let (queue, timeouts) = self.fair_keys();
                let channel = format!("redisson_lock__channel:{{{lock}}}");
                let at = (now.unix.0 / NS_PER_MS).to_string();
                let (latch, life) = (self.latch_key(), self.latch_life.ms().to_string());
                self.call(
                    &scripts::FAIR_UNLOCK,
                    &[lock, &queue, &timeouts, &channel, &latch],
                    &[&ttl, token, &at, &life],
                )
            }
        }
    }

    /// Where Redisson keeps the answer to one unlocking, should it have to ask again.
    pub(super) fn latch_key(&self) -> String {
        format!("redisson_unlock_latch:{{{}}}:{}", self.config.lock, self.latch)
    }

    /// What an answer means, and the number in it.
    pub(super) fn read(&self, step: LockStep, value: &Value) -> (LockAnswer, Option<i64>) {
        let number = value.integer();
        if value.error().is_some() {
            return (LockAnswer::Error, None);
        }
        let is = |yes: bool| if yes { LockAnswer::Yes } else { LockAnswer::No };
        let redisson = self.config.algorithm.is_redisson();
        let answer = match step {
            LockStep::Acquire if redisson => is(*value == Value::Null),
            LockStep::Acquire => is(number.map_or(*value != Value::Null, |n| n > 0)),
            LockStep::Release if redisson => is(*value != Value::Null),
            LockStep::Expire | LockStep::Extend | LockStep::Release => is(number.is_some_and(|n| n > 0)),
            LockStep::Wait => {
                let wanted = self.config.wait.map_or(0, |wait| i64::from(wait.replicas));
                is(number.is_some_and(|n| n >= wanted))
            }
            LockStep::Fence => is(number.is_some()),
            LockStep::Subscribe | LockStep::Load => LockAnswer::Yes,
        };
        (answer, number)
    }
}
