//! The Lua scripts that lock clients send: ours, with the commands in the order in which the libraries have them.

/// Deletes the key if the token is its value.
pub(super) const RELEASE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

/// redsync's release: the same, and a key that is gone is told from somebody else's.
pub(super) const RELEASE_TELLING: &str = "local has = redis.call('get', KEYS[1]) \
if has == ARGV[1] then return redis.call('del', KEYS[1]) end return has and 0 or -1";

/// Gives the key a new time to live if the token is its value.
pub(super) const EXTEND: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0";

/// node-redlock: takes the key if there is none, not even an own one.
pub(super) const TAKE: &str = "if redis.call('exists', KEYS[1]) == 1 then return 0 end \
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";

/// node-redlock: sets the key again if the token is its value.
pub(super) const RETAKE: &str = "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end \
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";

/// Redisson: counts the holder up in the hash, or says how long the lock still lives. ARGV: lease, holder.
pub(super) const HASH_LOCK: &str = "if redis.call('exists', KEYS[1]) == 0 or redis.call('hexists', KEYS[1], ARGV[2]) == 1 then \
redis.call('hincrby', KEYS[1], ARGV[2], 1) redis.call('pexpire', KEYS[1], ARGV[1]) return nil end \
return redis.call('pttl', KEYS[1])";

/// Redisson's watchdog. ARGV: lease, holder.
pub(super) const HASH_RENEW: &str = "if redis.call('hexists', KEYS[1], ARGV[2]) == 0 then return 0 end \
redis.call('pexpire', KEYS[1], ARGV[1]) return 1";

/// Redisson: counts the holder down; at zero the lock goes and the channel is told. What came of it stays for a while, for the
/// case that the same request comes again. KEYS: lock, channel, latch. ARGV: lease, holder, the latch's life.
pub(super) const HASH_UNLOCK: &str = "local told = redis.call('get', KEYS[3]) if told then return tonumber(told) end \
if redis.call('hexists', KEYS[1], ARGV[2]) == 0 then return nil end \
if redis.call('hincrby', KEYS[1], ARGV[2], -1) > 0 then redis.call('pexpire', KEYS[1], ARGV[1]) \
redis.call('set', KEYS[3], 0, 'px', ARGV[3]) return 0 end \
redis.call('del', KEYS[1]) redis.call('publish', KEYS[2], '0') redis.call('set', KEYS[3], 1, 'px', ARGV[3]) return 1";

/// Redisson's fair lock. KEYS: lock, queue, time-outs. ARGV: lease, holder, wait, now (the client's wall clock). Waiters whose
/// time is over leave the queue; the first takes a free lock; a waiter learns how long the lock still lives, a new one how long those
/// before it may take.
pub(super) const FAIR_LOCK: &str = "local now, wait, me = tonumber(ARGV[4]), tonumber(ARGV[3]), ARGV[2] \
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
return ttl";

/// Its release: the same, and the next in the queue is told on a channel of its own. KEYS: lock, queue, time-outs, channel,
/// latch. ARGV: lease, holder, now, the latch's life.
pub(super) const FAIR_UNLOCK: &str = "local told = redis.call('get', KEYS[5]) if told then return tonumber(told) end \
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
if first then redis.call('publish', KEYS[4] .. ':' .. first, '0') end return 1";
