//! The Lua scripts that lock clients send: ours, with the commands in the order in which the libraries have them.

/// Deletes the key if the token is its value.
pub(super) const RELEASE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

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

/// Redisson: counts the holder down; at zero the lock goes and the channel is told. KEYS: lock, channel. ARGV: lease, holder.
pub(super) const HASH_UNLOCK: &str = "if redis.call('hexists', KEYS[1], ARGV[2]) == 0 then return nil end \
if redis.call('hincrby', KEYS[1], ARGV[2], -1) > 0 then redis.call('pexpire', KEYS[1], ARGV[1]) return 0 end \
redis.call('del', KEYS[1]) redis.call('publish', KEYS[2], '0') return 1";

/// Redisson's fair lock. KEYS: lock, queue, time-outs. ARGV: lease, holder, wait, now (the client's wall clock). Waiters whose
/// time is over leave the queue; the first takes a free lock; the others learn how long those before them may take.
pub(super) const FAIR_LOCK: &str = "local now, wait, me = tonumber(ARGV[4]), tonumber(ARGV[3]), ARGV[2] \
local first = redis.call('lindex', KEYS[2], 0) \
while first and tonumber(redis.call('zscore', KEYS[3], first)) <= now do \
redis.call('zrem', KEYS[3], first) redis.call('lpop', KEYS[2]) first = redis.call('lindex', KEYS[2], 0) end \
if redis.call('exists', KEYS[1]) == 0 and (not first or first == me) then \
redis.call('lpop', KEYS[2]) redis.call('zrem', KEYS[3], me) \
for _, other in ipairs(redis.call('zrange', KEYS[3], 0, -1)) do redis.call('zincrby', KEYS[3], -wait, other) end \
redis.call('hset', KEYS[1], me, 1) redis.call('pexpire', KEYS[1], ARGV[1]) return nil end \
if redis.call('hexists', KEYS[1], me) == 1 then \
redis.call('hincrby', KEYS[1], me, 1) redis.call('pexpire', KEYS[1], ARGV[1]) return nil end \
local mine = redis.call('zscore', KEYS[3], me) \
if mine then return tonumber(mine) - wait - now end \
local last = redis.call('lindex', KEYS[2], -1) local ttl \
if last and last ~= me then ttl = tonumber(redis.call('zscore', KEYS[3], last)) - now \
else ttl = redis.call('pttl', KEYS[1]) end \
if redis.call('zadd', KEYS[3], ttl + wait + now, me) == 1 then redis.call('rpush', KEYS[2], me) end \
return ttl";

/// Its release: the same, and the next in the queue is told on a channel of its own. KEYS: lock, queue, time-outs, channel.
/// ARGV: lease, holder, now.
pub(super) const FAIR_UNLOCK: &str = "local now, me = tonumber(ARGV[3]), ARGV[2] \
local first = redis.call('lindex', KEYS[2], 0) \
while first and tonumber(redis.call('zscore', KEYS[3], first)) <= now do \
redis.call('zrem', KEYS[3], first) redis.call('lpop', KEYS[2]) first = redis.call('lindex', KEYS[2], 0) end \
if redis.call('exists', KEYS[1]) == 0 then \
if first then redis.call('publish', KEYS[4] .. ':' .. first, '0') end return 1 end \
if redis.call('hexists', KEYS[1], me) == 0 then return nil end \
if redis.call('hincrby', KEYS[1], me, -1) > 0 then redis.call('pexpire', KEYS[1], ARGV[1]) return 0 end \
redis.call('del', KEYS[1]) first = redis.call('lindex', KEYS[2], 0) \
if first then redis.call('publish', KEYS[4] .. ':' .. first, '0') end return 1";

/// It leaves the queue when it gives up. KEYS: queue, time-outs. ARGV: holder, wait.
pub(super) const FAIR_LEAVE: &str = "local queue = redis.call('lrange', KEYS[1], 0, -1) local behind = false \
for _, other in ipairs(queue) do \
if behind then redis.call('zincrby', KEYS[2], -tonumber(ARGV[2]), other) end \
if other == ARGV[1] then behind = true end end \
redis.call('zrem', KEYS[2], ARGV[1]) redis.call('lrem', KEYS[1], 0, ARGV[1]) return 1";
