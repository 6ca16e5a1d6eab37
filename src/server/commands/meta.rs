//! What COMMAND says of commands beside their rows: tips for clients and where keys stand. And which commands of
//! Redis 7.0 aren't here.

/// Where some of a command's keys stand, and what it does to them (`keySpec`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// What people should know; empty: nothing.
    pub notes: &'static str,
    /// Flags, separated by blanks, as COMMAND INFO prints them.
    pub flags: &'static str,
    /// The first key's argument.
    pub first: i32,
    /// How far the last one is from it; negative: from the end.
    pub last: i32,
    /// From one to the next.
    pub step: i32,
}

const fn keys(notes: &'static str, flags: &'static str, first: i32, last: i32, step: i32) -> Keys {
    Keys { notes, flags, first, last, step }
}

type Meta = (&'static str, &'static [&'static str], &'static [Keys]);

/// Tips and keys by full name, in the order of names.
#[rustfmt::skip]
const META: &[Meta] = &[
    ("append", &[], &[keys("", "RW insert", 1, 0, 1)]),
    ("client|info", &["nondeterministic_output"], &[]),
    ("client|list", &["nondeterministic_output"], &[]),
    ("command", &["nondeterministic_output_order"], &[]),
    ("command|docs", &["nondeterministic_output_order"], &[]),
    ("command|info", &["nondeterministic_output_order"], &[]),
    ("command|list", &["nondeterministic_output_order"], &[]),
    ("config|set", &["request_policy:all_nodes", "response_policy:all_succeeded"], &[]),
    ("copy", &[], &[keys("", "RO access", 1, 0, 1), keys("", "OW update", 2, 0, 1)]),
    ("dbsize", &["request_policy:all_shards", "response_policy:agg_sum"], &[]),
    ("decr", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("decrby", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("del", &["request_policy:multi_shard", "response_policy:agg_sum"], &[keys("", "RM delete", 1, -1, 1)]),
    ("dump", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("exists", &["request_policy:multi_shard", "response_policy:agg_sum"], &[keys("", "RO", 1, -1, 1)]),
    ("expire", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("expireat", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("expiretime", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("flushall", &["request_policy:all_shards", "response_policy:all_succeeded"], &[]),
    ("flushdb", &["request_policy:all_shards", "response_policy:all_succeeded"], &[]),
    ("get", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("getdel", &[], &[keys("", "RW access delete", 1, 0, 1)]),
    ("getex", &[], &[keys("RW and UPDATE because it changes the TTL", "RW access update", 1, 0, 1)]),
    ("getrange", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("getset", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("hdel", &[], &[keys("", "RW delete", 1, 0, 1)]),
    ("hexists", &[], &[keys("", "RO", 1, 0, 1)]),
    ("hget", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("hgetall", &["nondeterministic_output_order"], &[keys("", "RO access", 1, 0, 1)]),
    ("hincrby", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("hincrbyfloat", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("hkeys", &["nondeterministic_output_order"], &[keys("", "RO access", 1, 0, 1)]),
    ("hlen", &[], &[keys("", "RO", 1, 0, 1)]),
    ("hmget", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("hmset", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("hrandfield", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("hscan", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("hset", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("hsetnx", &[], &[keys("", "RW insert", 1, 0, 1)]),
    ("hstrlen", &[], &[keys("", "RO", 1, 0, 1)]),
    ("hvals", &["nondeterministic_output_order"], &[keys("", "RO access", 1, 0, 1)]),
    ("incr", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("incrby", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("incrbyfloat", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("info", &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"], &[]),
    ("keys", &["request_policy:all_shards", "nondeterministic_output_order"], &[]),
    ("lastsave", &["nondeterministic_output"], &[]),
    ("latency|doctor", &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"], &[]),
    ("latency|graph", &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"], &[]),
    ("latency|histogram", &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"], &[]),
    ("latency|history", &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"], &[]),
    ("latency|latest", &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"], &[]),
    ("latency|reset", &["request_policy:all_nodes", "response_policy:all_succeeded"], &[]),
    ("lcs", &[], &[keys("", "RO access", 1, 1, 1)]),
    ("lindex", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("linsert", &[], &[keys("", "RW insert", 1, 0, 1)]),
    ("llen", &[], &[keys("", "RO", 1, 0, 1)]),
    ("lmove", &[], &[keys("", "RW access delete", 1, 0, 1), keys("", "RW insert", 2, 0, 1)]),
    ("lpop", &[], &[keys("", "RW access delete", 1, 0, 1)]),
    ("lpos", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("lpush", &[], &[keys("", "RW insert", 1, 0, 1)]),
    ("lpushx", &[], &[keys("", "RW insert", 1, 0, 1)]),
    ("lrange", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("lrem", &[], &[keys("", "RW delete", 1, 0, 1)]),
    ("lset", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("ltrim", &[], &[keys("", "RW delete", 1, 0, 1)]),
    ("memory|doctor", &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"], &[]),
    ("memory|malloc-stats", &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"], &[]),
    ("memory|purge", &["request_policy:all_shards", "response_policy:all_succeeded"], &[]),
    ("memory|stats", &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"], &[]),
    ("memory|usage", &[], &[keys("", "RO", 2, 0, 1)]),
    ("mget", &["request_policy:multi_shard"], &[keys("", "RO access", 1, -1, 1)]),
    ("move", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("mset", &["request_policy:multi_shard", "response_policy:all_succeeded"], &[keys("", "OW update", 1, -1, 2)]),
    ("msetnx", &["request_policy:multi_shard", "response_policy:agg_min"], &[keys("", "OW insert", 1, -1, 2)]),
    ("object|encoding", &["nondeterministic_output"], &[keys("", "RO", 2, 0, 1)]),
    ("object|freq", &["nondeterministic_output"], &[keys("", "RO", 2, 0, 1)]),
    ("object|idletime", &["nondeterministic_output"], &[keys("", "RO", 2, 0, 1)]),
    ("object|refcount", &["nondeterministic_output"], &[keys("", "RO", 2, 0, 1)]),
    ("persist", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("pexpire", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("pexpireat", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("pexpiretime", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("ping", &["request_policy:all_shards", "response_policy:all_succeeded"], &[]),
    ("psetex", &[], &[keys("", "OW update", 1, 0, 1)]),
    ("pttl", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("randomkey", &["request_policy:all_shards", "nondeterministic_output"], &[]),
    ("rename", &[], &[keys("", "RW access delete", 1, 0, 1), keys("", "OW update", 2, 0, 1)]),
    ("renamenx", &[], &[keys("", "RW access delete", 1, 0, 1), keys("", "OW insert", 2, 0, 1)]),
    ("restore", &[], &[keys("", "OW update", 1, 0, 1)]),
    ("rpop", &[], &[keys("", "RW access delete", 1, 0, 1)]),
    ("rpoplpush", &[], &[keys("", "RW access delete", 1, 0, 1), keys("", "RW insert", 2, 0, 1)]),
    ("rpush", &[], &[keys("", "RW insert", 1, 0, 1)]),
    ("rpushx", &[], &[keys("", "RW insert", 1, 0, 1)]),
    ("sadd", &[], &[keys("", "RW insert", 1, 0, 1)]),
    ("scan", &["nondeterministic_output", "request_policy:special"], &[]),
    ("scard", &[], &[keys("", "RO", 1, 0, 1)]),
    ("sdiff", &["nondeterministic_output_order"], &[keys("", "RO access", 1, -1, 1)]),
    ("sdiffstore", &[], &[keys("", "OW update", 1, 0, 1), keys("", "RO access", 2, -1, 1)]),
    ("set", &[], &[keys("RW and ACCESS due to the optional `GET` argument", "RW access update variable_flags", 1, 0, 1)]),
    ("setex", &[], &[keys("", "OW update", 1, 0, 1)]),
    ("setnx", &[], &[keys("", "OW insert", 1, 0, 1)]),
    ("setrange", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("sinter", &["nondeterministic_output_order"], &[keys("", "RO access", 1, -1, 1)]),
    ("sinterstore", &[], &[keys("", "RW update", 1, 0, 1), keys("", "RO access", 2, -1, 1)]),
    ("sismember", &[], &[keys("", "RO", 1, 0, 1)]),
    ("slowlog|get", &["request_policy:all_nodes", "nondeterministic_output"], &[]),
    ("slowlog|len", &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"], &[]),
    ("slowlog|reset", &["request_policy:all_nodes", "response_policy:all_succeeded"], &[]),
    ("smembers", &["nondeterministic_output_order"], &[keys("", "RO access", 1, 0, 1)]),
    ("smismember", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("smove", &[], &[keys("", "RW access delete", 1, 0, 1), keys("", "RW insert", 2, 0, 1)]),
    ("spop", &["nondeterministic_output"], &[keys("", "RW access delete", 1, 0, 1)]),
    ("spublish", &[], &[keys("", "not_key", 1, 0, 1)]),
    ("srandmember", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("srem", &[], &[keys("", "RW delete", 1, 0, 1)]),
    ("sscan", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("ssubscribe", &[], &[keys("", "not_key", 1, -1, 1)]),
    ("strlen", &[], &[keys("", "RO", 1, 0, 1)]),
    ("substr", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("sunion", &["nondeterministic_output_order"], &[keys("", "RO access", 1, -1, 1)]),
    ("sunionstore", &[], &[keys("", "OW update", 1, 0, 1), keys("", "RO access", 2, -1, 1)]),
    ("sunsubscribe", &[], &[keys("", "not_key", 1, -1, 1)]),
    ("time", &["nondeterministic_output"], &[]),
    ("touch", &["request_policy:multi_shard", "response_policy:agg_sum"], &[keys("", "RO", 1, -1, 1)]),
    ("ttl", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("type", &[], &[keys("", "RO", 1, 0, 1)]),
    ("unlink", &["request_policy:multi_shard", "response_policy:agg_sum"], &[keys("", "RM delete", 1, -1, 1)]),
    ("wait", &["request_policy:all_shards", "response_policy:agg_min"], &[]),
    ("watch", &[], &[keys("", "RO", 1, -1, 1)]),
    ("zadd", &[], &[keys("", "RW update", 1, 0, 1)]),
    ("zcard", &[], &[keys("", "RO", 1, 0, 1)]),
    ("zcount", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zincrby", &[], &[keys("", "RW access update", 1, 0, 1)]),
    ("zlexcount", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zmscore", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zpopmax", &[], &[keys("", "RW access delete", 1, 0, 1)]),
    ("zpopmin", &[], &[keys("", "RW access delete", 1, 0, 1)]),
    ("zrandmember", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("zrange", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zrangebylex", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zrangebyscore", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zrangestore", &[], &[keys("", "OW update", 1, 0, 1), keys("", "RO access", 2, 0, 1)]),
    ("zrank", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zrem", &[], &[keys("", "RW delete", 1, 0, 1)]),
    ("zremrangebylex", &[], &[keys("", "RW delete", 1, 0, 1)]),
    ("zremrangebyrank", &[], &[keys("", "RW delete", 1, 0, 1)]),
    ("zremrangebyscore", &[], &[keys("", "RW delete", 1, 0, 1)]),
    ("zrevrange", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zrevrangebylex", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zrevrangebyscore", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zrevrank", &[], &[keys("", "RO access", 1, 0, 1)]),
    ("zscan", &["nondeterministic_output"], &[keys("", "RO access", 1, 0, 1)]),
    ("zscore", &[], &[keys("", "RO access", 1, 0, 1)]),
];

/// Commands of 7.0 of families that are not modelled, in the order of names.
#[rustfmt::skip]
const ABSENT: &[&str] = &[
    "bitcount", "bitfield", "bitfield_ro", "bitop", "bitpos", "blmove", "blmpop", "blpop", "brpop", "brpoplpush",
    "bzmpop", "bzpopmax", "bzpopmin", "eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro", "function",
    "geoadd", "geodist", "geohash", "geopos", "georadius", "georadius_ro", "georadiusbymember",
    "georadiusbymember_ro", "geosearch", "geosearchstore", "getbit", "migrate", "module", "pfadd", "pfcount",
    "pfdebug", "pfmerge", "pfselftest", "restore-asking", "script", "setbit", "sort", "sort_ro", "xack", "xadd",
    "xautoclaim", "xclaim", "xdel", "xgroup", "xinfo", "xlen", "xpending", "xrange", "xread", "xreadgroup",
    "xrevrange", "xsetid", "xtrim",
];

/// A command's tips and keys.
pub(super) fn of(name: &str) -> (&'static [&'static str], &'static [Keys]) {
    META.binary_search_by(|(other, _, _)| other.cmp(&name)).map_or((&[], &[]), |at| (META[at].1, META[at].2))
}

/// True when a real server has a command of that name and this one doesn't.
pub(crate) fn is_absent(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    ABSENT.binary_search_by(|other| other.as_bytes().cmp(&name)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::commands;

    #[test]
    fn rows_are_in_order_and_known() {
        assert!(META.is_sorted_by(|a, b| a.0 < b.0));
        assert!(ABSENT.is_sorted_by(|a, b| a < b));
        for (name, _, _) in META {
            let found = match name.split_once('|') {
                Some((container, sub)) => commands::lookup(container.as_bytes())
                    .and_then(|container| commands::lookup_sub(container, sub.as_bytes())),
                None => commands::lookup(name.as_bytes()),
            };
            assert!(found.is_some(), "{name}");
        }
        assert!(ABSENT.iter().all(|name| commands::lookup(name.as_bytes()).is_none()));
        assert!(is_absent(b"BLPOP") && !is_absent(b"nosuch"));
    }
}
