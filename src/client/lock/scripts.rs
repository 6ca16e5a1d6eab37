//! The Lua scripts that lock clients call: ours, with the commands in the order in which the libraries have them; and how a
//! server comes to know them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::resp::Value;
use crate::time::{Instant, Span};

/// A script.
pub(super) struct Script {
    text: &'static str,
    sha: OnceLock<String>,
}

impl Script {
    const fn new(text: &'static str) -> Script {
        Script { text, sha: OnceLock::new() }
    }

    /// The SHA1 of its text, by which servers know it.
    fn sha(&self) -> &str {
        use sha1::Digest as _;
        let digits = |text: &str| sha1::Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        self.sha.get_or_init(|| digits(self.text))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// How a library calls scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Always by their text.
    Text,
    /// By their SHA1, and by their text where that isn't known.
    Known,
    /// By their SHA1; where that isn't known the script is loaded, and called by its SHA1 again.
    Loaded,
}

/// A call of a script.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) script: &'static Script,
    pub(super) way: Way,
    /// What follows the script: the number of keys, the keys, the arguments.
    pub(super) rest: Vec<Vec<u8>>,
}

/// How far a call has come at one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// EVALSHA.
    Sha,
    /// SCRIPT LOAD.
    Load,
    /// EVALSHA after that.
    Again,
    /// EVAL.
    Text,
}

/// A call at a server.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    call: Arc<Call>,
    stage: Stage,
    /// How long each answer may take.
    pub(super) patience: Span,
    /// Or until when there must be one, however many questions it takes.
    pub(super) until: Option<Instant>,
}

/// Whether a server doesn't know a script.
fn is_unknown(value: &Value) -> bool {
    value.error().is_some_and(|error| error.starts_with(b"NOSCRIPT"))
}

impl Sent {
    pub(super) fn new(call: Arc<Call>, patience: Span, until: Option<Instant>) -> Sent {
        let stage = if call.way == Way::Text { Stage::Text } else { Stage::Sha };
        Sent { call, stage, patience, until }
    }

    /// Whether the server is only told the script.
    pub(super) fn loads(&self) -> bool {
        self.stage == Stage::Load
    }

    /// What the library does next, if the answer to this isn't the script's.
    pub(super) fn after(&self, answer: &Value) -> Option<Sent> {
        let stage = match (self.stage, self.call.way) {
            (Stage::Sha, Way::Known) if is_unknown(answer) => Stage::Text,
            (Stage::Sha, Way::Loaded) if is_unknown(answer) => Stage::Load,
            (Stage::Load, _) if answer.error().is_none() => Stage::Again,
            (Stage::Sha | Stage::Load | Stage::Again | Stage::Text, _) => return None,
        };
        Some(Sent { stage, ..self.clone() })
    }

    /// The request.
    pub(super) fn words(&self) -> Vec<&[u8]> {
        let script = self.call.script;
        let head: [&[u8]; 2] = match self.stage {
            Stage::Sha | Stage::Again => [b"EVALSHA", script.sha().as_bytes()],
            Stage::Text => [b"EVAL", script.text.as_bytes()],
            Stage::Load => return vec![b"SCRIPT", b"LOAD", script.text.as_bytes()],
        };
        head.into_iter().chain(self.call.rest.iter().map(Vec::as_slice)).collect()
    }
}

/// Deletes the key if the token is its value.
pub(super) static RELEASE: Script =
    Script::new("if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0");

/// redsync's release: the same, and a key that is gone is told from somebody else's.
pub(super) static RELEASE_TELLING: Script = Script::new(
    "local has = redis.call('get', KEYS[1]) \
if has == ARGV[1] then return redis.call('del', KEYS[1]) end return has and 0 or -1",
);

/// Gives the key a new time to live if the token is its value.
pub(super) static EXTEND: Script = Script::new(
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0",
);

/// node-redlock: takes the key if there is none, not even an own one.
pub(super) static TAKE: Script = Script::new(
    "if redis.call('exists', KEYS[1]) == 1 then return 0 end \
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1",
);

/// node-redlock: sets the key again if the token is its value.
pub(super) static RETAKE: Script = Script::new(
    "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end \
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1",
);

/// Redisson: counts the holder up in the hash, or says how long the lock still lives. ARGV: lease, holder.
pub(super) static HASH_LOCK: Script = Script::new(
    "if redis.call('exists', KEYS[1]) == 0 or redis.call('hexists', KEYS[1], ARGV[2]) == 1 then \
redis.call('hincrby', KEYS[1], ARGV[2], 1) redis.call('pexpire', KEYS[1], ARGV[1]) return nil end \
return redis.call('pttl', KEYS[1])",
);

/// Redisson's watchdog. ARGV: lease, holder.
pub(super) static HASH_RENEW: Script = Script::new(
    "if redis.call('hexists', KEYS[1], ARGV[2]) == 0 then return 0 end \
redis.call('pexpire', KEYS[1], ARGV[1]) return 1",
);

/// Redisson: counts the holder down; at zero the lock goes and the channel is told. What came of it stays for a while, for the
/// case that the same request comes again. KEYS: lock, channel, latch. ARGV: lease, holder, the latch's life.
pub(super) static HASH_UNLOCK: Script = Script::new(
    "local told = redis.call('get', KEYS[3]) if told then return tonumber(told) end \
if redis.call('hexists', KEYS[1], ARGV[2]) == 0 then return nil end \
if redis.call('hincrby', KEYS[1], ARGV[2], -1) > 0 then redis.call('pexpire', KEYS[1], ARGV[1]) \
redis.call('set', KEYS[3], 0, 'px', ARGV[3]) return 0 end \
redis.call('del', KEYS[1]) redis.call('publish', KEYS[2], '0') redis.call('set', KEYS[3], 1, 'px', ARGV[3]) return 1",
);

/// Redisson's fair lock. KEYS: lock, queue, time-outs. ARGV: lease, holder, wait, now (the client's wall clock). Waiters whose
/// time is over leave the queue; the first takes a free lock; a waiter learns how long the lock still lives, a new one how long those
/// before it may take.
pub(super) static FAIR_LOCK: Script = Script::new(
    "local now, wait, me = tonumber(ARGV[4]), tonumber(ARGV[3]), ARGV[2] \
local first = redis.call('lindex', KEYS[2], 0) \
while first do local over = redis.call('zscore', KEYS[3], first) \
if not over or tonumber(over) > now then break end \
redis.call('zrem', KEYS[3], first) redis.call('lpop', KEYS[2]) first = redis.call('lindex', KEYS[2], 0) end \
if redis.call('exists', KEYS[1]) == 0 and (not first or first == me) then \
redis.call('lpop', KEYS[2]) redis.call('zrem', KEYS[3], me) \
for _, other in ipairs(redis.call('zrange', KEYS[3], 0, -1)) do redis.call('zincrby', KEYS[3], -wait, other) end \
redis.call('hset', KEYS[1], me, 1) redis.call('pexpire', KEYS[1], ARGV[1]) return nil end \
if redis.call('hexists', KEYS[1], me) == 1 then \
redis.call('hincrby', KEYS[1], me, 1) redis.call('pexpire', KEYS[1], ARGV[1]) return nil end \
if redis.call('zscore', KEYS[3], me) then return math.max(0, redis.call('pttl', KEYS[1])) end \
local last = redis.call('lindex', KEYS[2], -1) local theirs = last and last ~= me and redis.call('zscore', KEYS[3], last) local ttl \
if theirs then ttl = tonumber(theirs) - now else ttl = redis.call('pttl', KEYS[1]) end \
if redis.call('zadd', KEYS[3], ttl + wait + now, me) == 1 then redis.call('rpush', KEYS[2], me) end \
return ttl",
);

/// Its release: the same, and the next in the queue is told on a channel of its own. KEYS: lock, queue, time-outs, channel,
/// latch. ARGV: lease, holder, now, the latch's life.
pub(super) static FAIR_UNLOCK: Script = Script::new(
    "local told = redis.call('get', KEYS[5]) if told then return tonumber(told) end \
local now, me = tonumber(ARGV[3]), ARGV[2] \
local first = redis.call('lindex', KEYS[2], 0) \
while first do local over = redis.call('zscore', KEYS[3], first) \
if not over or tonumber(over) > now then break end \
redis.call('zrem', KEYS[3], first) redis.call('lpop', KEYS[2]) first = redis.call('lindex', KEYS[2], 0) end \
if redis.call('exists', KEYS[1]) == 0 then \
if first then redis.call('publish', KEYS[4] .. ':' .. first, '0') end redis.call('set', KEYS[5], 1, 'px', ARGV[4]) return 1 end \
if redis.call('hexists', KEYS[1], me) == 0 then return nil end \
if redis.call('hincrby', KEYS[1], me, -1) > 0 then redis.call('pexpire', KEYS[1], ARGV[1]) \
redis.call('set', KEYS[5], 0, 'px', ARGV[4]) return 0 end \
redis.call('del', KEYS[1]) redis.call('set', KEYS[5], 1, 'px', ARGV[4]) first = redis.call('lindex', KEYS[2], 0) \
if first then redis.call('publish', KEYS[4] .. ':' .. first, '0') end return 1",
);
