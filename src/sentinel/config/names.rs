//! The directives of redis.conf that Redis 7.0 knows: a sentinel's file may hold any of them.

/// How a directive is treated in a sentinel's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value, no effect on behaviour that a simulation shows.
    Quiet,
    /// One value, accepted with a warning.
    One,
    /// Any number of values, accepted with a warning.
    Many,
}

/// One value each and without consequence: where files lie, what is logged, how the process is run.
const QUIET: &[&str] = &[
    "port",
    "requirepass",
    "protected-mode",
    "daemonize",
    "pidfile",
    "logfile",
    "loglevel",
    "dir",
    "supervised",
    "syslog-enabled",
    "syslog-ident",
    "syslog-facility",
    "always-show-logo",
    "set-proc-title",
    "proc-title-template",
    "crash-log-enabled",
    "crash-memcheck-enabled",
    "disable-thp",
    "tcp-backlog",
    "acllog-max-len",
    "hz",
    "dynamic-hz",
];

const MANY: &[&str] = &[
    "bind",
    "save",
    "client-output-buffer-limit",
    "oom-score-adj-values",
    "latency-tracking-info-percentiles",
    "replicaof",
    "slaveof",
    "loadmodule",
    "include",
    "rename-command",
    "shutdown-on-sigint",
    "shutdown-on-sigterm",
];

#[rustfmt::skip]
const ONE: &[&str] = &[
    "acl-pubsub-default", "aclfile", "active-defrag-cycle-max", "active-defrag-cycle-min",
    "active-defrag-ignore-bytes", "active-defrag-max-scan-fields", "active-defrag-threshold-lower",
    "active-defrag-threshold-upper", "active-expire-effort", "activedefrag", "activerehashing", "aof-disable-auto-gc",
    "aof-load-truncated", "aof-rewrite-incremental-fsync", "aof-timestamp-enabled", "aof-use-rdb-preamble",
    "aof_rewrite_cpulist", "appenddirname", "appendfilename", "appendfsync", "appendonly",
    "auto-aof-rewrite-min-size", "auto-aof-rewrite-percentage", "bgsave_cpulist", "bind-source-addr", "bio_cpulist",
    "busy-reply-threshold", "client-query-buffer-limit", "cluster-allow-pubsubshard-when-down",
    "cluster-allow-reads-when-down", "cluster-allow-replica-migration", "cluster-announce-bus-port",
    "cluster-announce-hostname", "cluster-announce-ip", "cluster-announce-port", "cluster-announce-tls-port",
    "cluster-config-file", "cluster-enabled", "cluster-link-sendbuf-limit", "cluster-migration-barrier",
    "cluster-node-timeout", "cluster-port", "cluster-preferred-endpoint-type", "cluster-replica-no-failover",
    "cluster-replica-validity-factor", "cluster-require-full-coverage", "cluster-slave-no-failover",
    "cluster-slave-validity-factor", "databases", "dbfilename", "enable-debug-command", "enable-module-command",
    "enable-protected-configs", "hash-max-listpack-entries", "hash-max-listpack-value", "hash-max-ziplist-entries",
    "hash-max-ziplist-value", "hll-sparse-max-bytes", "ignore-warnings", "io-threads", "io-threads-do-reads",
    "jemalloc-bg-thread", "latency-monitor-threshold", "latency-tracking", "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire", "lazyfree-lazy-server-del", "lazyfree-lazy-user-del", "lazyfree-lazy-user-flush",
    "lfu-decay-time", "lfu-log-factor", "list-compress-depth", "list-max-listpack-size", "list-max-ziplist-size",
    "lua-time-limit", "masterauth", "masteruser", "maxclients", "maxmemory", "maxmemory-clients",
    "maxmemory-eviction-tenacity", "maxmemory-policy", "maxmemory-samples", "min-replicas-max-lag",
    "min-replicas-to-write", "min-slaves-max-lag", "min-slaves-to-write", "no-appendfsync-on-rewrite",
    "notify-keyspace-events", "oom-score-adj", "propagation-error-behavior", "proto-max-bulk-len",
    "rdb-del-sync-files", "rdb-save-incremental-fsync", "rdbchecksum", "rdbcompression", "repl-backlog-size",
    "repl-backlog-ttl", "repl-disable-tcp-nodelay", "repl-diskless-load", "repl-diskless-sync",
    "repl-diskless-sync-delay", "repl-diskless-sync-max-replicas", "repl-ping-replica-period",
    "repl-ping-slave-period", "repl-timeout", "replica-announce-ip", "replica-announce-port", "replica-announced",
    "replica-ignore-disk-write-errors", "replica-ignore-maxmemory", "replica-lazy-flush", "replica-priority",
    "replica-read-only", "replica-serve-stale-data", "sanitize-dump-payload", "server_cpulist",
    "set-max-intset-entries", "shutdown-timeout", "slave-announce-ip", "slave-announce-port",
    "slave-ignore-maxmemory", "slave-lazy-flush", "slave-priority", "slave-read-only", "slave-serve-stale-data",
    "slowlog-log-slower-than", "slowlog-max-len", "socket-mark-id", "stop-writes-on-bgsave-error",
    "stream-node-max-bytes", "stream-node-max-entries", "tcp-keepalive", "timeout", "tls-auth-clients",
    "tls-ca-cert-dir", "tls-ca-cert-file", "tls-cert-file", "tls-ciphers", "tls-ciphersuites",
    "tls-client-cert-file", "tls-client-key-file", "tls-client-key-file-pass", "tls-cluster", "tls-dh-params-file",
    "tls-key-file", "tls-key-file-pass", "tls-port", "tls-prefer-server-ciphers", "tls-protocols", "tls-replication",
    "tls-session-cache-size", "tls-session-cache-timeout", "tls-session-caching", "tracking-table-max-keys",
    "unixsocket", "unixsocketperm", "zset-max-listpack-entries", "zset-max-listpack-value",
    "zset-max-ziplist-entries", "zset-max-ziplist-value",
];

/// How this directive is treated; `None`: Redis doesn't know it.
pub(super) fn kind(name: &str) -> Option<Kind> {
    [(QUIET, Kind::Quiet), (ONE, Kind::One), (MANY, Kind::Many)]
        .into_iter()
        .find_map(|(list, kind)| list.contains(&name).then_some(kind))
}

/// Every name.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    [QUIET, ONE, MANY].into_iter().flatten().copied()
}
