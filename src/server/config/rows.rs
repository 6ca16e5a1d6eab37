//! Every directive of redis.conf 7.0, one row each: its values, its default, and what it sets here.

use super::{Config, special};

/// What a directive's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// `yes` or `no`.
    Bool,
    /// A number from..=to.
    Number(i64, u64, Unit),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words.
    Choices(&'static [&'static str]),
    /// Any text.
    Text,
    /// Its own syntax.
    Free,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Digits.
    Plain,
    /// Digits with `kb`, `mb` and so on.
    Memory,
    /// The same, or a percentage.
    MemoryOrPercent,
    /// Octal digits.
    Octal,
}

/// What a directive sets.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// A flag.
    Flag(fn(&Config) -> bool, fn(&mut Config, bool)),
    /// A number.
    Number(fn(&Config) -> u64, fn(&mut Config, u64)),
    /// A text.
    Text(fn(&Config) -> &str, fn(&mut Config, String)),
    /// Something with its own reading and printing.
    Special(fn(&Config) -> String, fn(&mut Config, &[&str]) -> Result<(), String>),
    /// Nothing that a simulated deployment could show.
    Harmless,
    /// Nothing, though a real server would behave differently: a value other than the default is warned of.
    Inert,
}

/// Can't be changed by CONFIG SET.
pub const IMMUTABLE: u8 = 1;
/// Not shown in logs.
pub const SENSITIVE: u8 = 2;
/// Not while loading.
pub const DENY_LOADING: u8 = 4;
/// Only when `enable-protected-configs` allows it.
pub const PROTECTED: u8 = 8;
/// Shown by CONFIG GET only when named exactly.
pub const HIDDEN: u8 = 16;
/// Takes several arguments.
pub const MULTI_ARG: u8 = 32;

/// One directive.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// An older name; empty: none.
    pub alias: &'static str,
    /// What it may be.
    pub domain: Domain,
    /// Its default as CONFIG GET prints it.
    pub default: &'static str,
    /// Bits above.
    pub flags: u8,
    /// What it sets.
    pub field: Field,
}

const fn row(
    name: &'static str,
    alias: &'static str,
    domain: Domain,
    default: &'static str,
    flags: u8,
    field: Field,
) -> Row {
    Row { name, alias, domain, default, flags, field }
}

macro_rules! flag {
    ($field:ident) => {
        Field::Flag(|config| config.$field, |config, value| config.$field = value)
    };
}

macro_rules! number {
    ($field:ident) => {
        Field::Number(|config| config.$field, |config, value| config.$field = value)
    };
}

macro_rules! text {
    ($field:ident) => {
        Field::Text(|config| &config.$field, |config, value| config.$field = value)
    };
}

/// The row of a directive by its name or its older one, whatever the case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        row.name.eq_ignore_ascii_case(name) || !row.alias.is_empty() && row.alias.eq_ignore_ascii_case(name)
    })
}

/// All directives, in the order of Redis's own table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("rdbchecksum", "", Domain::Bool, "yes", IMMUTABLE, flag!(rdbchecksum)),
    row("daemonize", "", Domain::Bool, "no", IMMUTABLE, Field::Harmless),
    row("io-threads-do-reads", "", Domain::Bool, "no", IMMUTABLE, flag!(io_threads_do_reads)),
    row("always-show-logo", "", Domain::Bool, "no", IMMUTABLE, Field::Harmless),
    row("protected-mode", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("rdbcompression", "", Domain::Bool, "yes", 0, flag!(rdbcompression)),
    row("rdb-del-sync-files", "", Domain::Bool, "no", 0, flag!(rdb_del_sync_files)),
    row("activerehashing", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("stop-writes-on-bgsave-error", "", Domain::Bool, "yes", 0, flag!(stop_writes_on_bgsave_error)),
    row("set-proc-title", "", Domain::Bool, "yes", IMMUTABLE, Field::Harmless),
    row("dynamic-hz", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("lazyfree-lazy-eviction", "", Domain::Bool, "no", 0, flag!(lazyfree_lazy_eviction)),
    row("lazyfree-lazy-expire", "", Domain::Bool, "no", 0, flag!(lazyfree_lazy_expire)),
    row("lazyfree-lazy-server-del", "", Domain::Bool, "no", 0, flag!(lazyfree_lazy_server_del)),
    row("lazyfree-lazy-user-del", "", Domain::Bool, "no", 0, flag!(lazyfree_lazy_user_del)),
    row("lazyfree-lazy-user-flush", "", Domain::Bool, "no", 0, flag!(lazyfree_lazy_user_flush)),
    row("repl-disable-tcp-nodelay", "", Domain::Bool, "no", 0, Field::Inert),
    row("repl-diskless-sync", "", Domain::Bool, "yes", 0, flag!(repl_diskless_sync)),
    row("aof-rewrite-incremental-fsync", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("no-appendfsync-on-rewrite", "", Domain::Bool, "no", 0, flag!(no_appendfsync_on_rewrite)),
    row("cluster-require-full-coverage", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("rdb-save-incremental-fsync", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("aof-load-truncated", "", Domain::Bool, "yes", 0, flag!(aof_load_truncated)),
    row("aof-use-rdb-preamble", "", Domain::Bool, "yes", 0, flag!(aof_use_rdb_preamble)),
    row("aof-timestamp-enabled", "", Domain::Bool, "no", 0, flag!(aof_timestamp_enabled)),
    row("cluster-replica-no-failover", "cluster-slave-no-failover", Domain::Bool, "no", 0, Field::Harmless),
    row("replica-lazy-flush", "slave-lazy-flush", Domain::Bool, "no", 0, flag!(replica_lazy_flush)),
    row("replica-serve-stale-data", "slave-serve-stale-data", Domain::Bool, "yes", 0, flag!(replica_serve_stale_data)),
    row("replica-read-only", "slave-read-only", Domain::Bool, "yes", 0, flag!(replica_read_only)),
    row("replica-ignore-maxmemory", "slave-ignore-maxmemory", Domain::Bool, "yes", 0, flag!(replica_ignore_maxmemory)),
    row("jemalloc-bg-thread", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("activedefrag", "", Domain::Bool, "no", 0, Field::Inert),
    row("syslog-enabled", "", Domain::Bool, "no", IMMUTABLE, Field::Harmless),
    row("cluster-enabled", "", Domain::Bool, "no", IMMUTABLE, Field::Inert),
    row("appendonly", "", Domain::Bool, "no", DENY_LOADING, flag!(appendonly)),
    row("cluster-allow-reads-when-down", "", Domain::Bool, "no", 0, Field::Harmless),
    row("cluster-allow-pubsubshard-when-down", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("crash-log-enabled", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("crash-memcheck-enabled", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("use-exit-on-panic", "", Domain::Bool, "no", HIDDEN, Field::Harmless),
    row("disable-thp", "", Domain::Bool, "yes", IMMUTABLE, Field::Harmless),
    row("cluster-allow-replica-migration", "", Domain::Bool, "yes", 0, Field::Harmless),
    row("replica-announced", "", Domain::Bool, "yes", 0, flag!(replica_announced)),
    row("latency-tracking", "", Domain::Bool, "yes", 0, flag!(latency_tracking)),
    row("aof-disable-auto-gc", "", Domain::Bool, "no", 0, flag!(aof_disable_auto_gc)),
    row("replica-ignore-disk-write-errors", "", Domain::Bool, "no", 0, flag!(replica_ignore_disk_write_errors)),
    row("aclfile", "", Domain::Text, "", IMMUTABLE, text!(aclfile)),
    row("unixsocket", "", Domain::Text, "", IMMUTABLE, Field::Harmless),
    row("pidfile", "", Domain::Text, "", IMMUTABLE, Field::Harmless),
    row("replica-announce-ip", "slave-announce-ip", Domain::Text, "", 0, text!(replica_announce_ip)),
    row("masteruser", "", Domain::Text, "", SENSITIVE, text!(masteruser)),
    row("cluster-announce-ip", "", Domain::Text, "", 0, Field::Harmless),
    row("cluster-config-file", "", Domain::Text, "nodes.conf", IMMUTABLE, Field::Harmless),
    row("cluster-announce-hostname", "", Domain::Text, "", 0, Field::Harmless),
    row("syslog-ident", "", Domain::Text, "redis", IMMUTABLE, Field::Harmless),
    row("dbfilename", "", Domain::Text, "dump.rdb", PROTECTED, text!(dbfilename)),
    row("appendfilename", "", Domain::Text, "appendonly.aof", IMMUTABLE, text!(appendfilename)),
    row("appenddirname", "", Domain::Text, "appendonlydir", IMMUTABLE, text!(appenddirname)),
    row("server_cpulist", "", Domain::Text, "", IMMUTABLE, Field::Harmless),
    row("bio_cpulist", "", Domain::Text, "", IMMUTABLE, Field::Harmless),
    row("aof_rewrite_cpulist", "", Domain::Text, "", IMMUTABLE, Field::Harmless),
    row("bgsave_cpulist", "", Domain::Text, "", IMMUTABLE, Field::Harmless),
    row("ignore-warnings", "", Domain::Text, "", 0, Field::Harmless),
    row("proc-title-template", "", Domain::Text, "{title} {listen-addr} {server-mode}", 0, Field::Harmless),
    row("bind-source-addr", "", Domain::Text, "", 0, Field::Harmless),
    row("logfile", "", Domain::Text, "", IMMUTABLE, Field::Harmless),
    row("masterauth", "", Domain::Text, "", SENSITIVE, text!(masterauth)),
    row("requirepass", "", Domain::Text, "", SENSITIVE, text!(requirepass)),
    row("supervised", "", Domain::Choice(&["upstart", "systemd", "auto", "no"]), "no", IMMUTABLE, Field::Harmless),
    row("syslog-facility", "", Domain::Choice(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), "local0", IMMUTABLE, Field::Harmless),
    row("repl-diskless-load", "", Domain::Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled", DENY_LOADING, Field::Special(special::get_repl_diskless_load, special::set_repl_diskless_load)),
    row("loglevel", "", Domain::Choice(&["debug", "verbose", "notice", "warning"]), "notice", 0, Field::Harmless),
    row("maxmemory-policy", "", Domain::Choice(&["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"]), "noeviction", 0, Field::Special(special::get_maxmemory_policy, special::set_maxmemory_policy)),
    row("appendfsync", "", Domain::Choice(&["everysec", "always", "no"]), "everysec", 0, Field::Special(special::get_appendfsync, special::set_appendfsync)),
    row("oom-score-adj", "", Domain::Choice(&["no", "yes", "relative", "absolute"]), "no", 0, Field::Harmless),
    row("acl-pubsub-default", "", Domain::Choice(&["allchannels", "resetchannels"]), "resetchannels", 0, Field::Special(special::get_acl_pubsub_default, special::set_acl_pubsub_default)),
    row("sanitize-dump-payload", "", Domain::Choice(&["no", "yes", "clients"]), "no", 0, Field::Harmless),
    row("enable-protected-configs", "", Domain::Choice(&["no", "yes", "local"]), "no", IMMUTABLE, Field::Harmless),
    row("enable-debug-command", "", Domain::Choice(&["no", "yes", "local"]), "no", IMMUTABLE, Field::Special(special::get_enable_debug_command, special::set_enable_debug_command)),
    row("enable-module-command", "", Domain::Choice(&["no", "yes", "local"]), "no", IMMUTABLE, Field::Special(special::get_enable_module_command, special::set_enable_module_command)),
    row("cluster-preferred-endpoint-type", "", Domain::Choice(&["ip", "hostname", "unknown-endpoint"]), "ip", 0, Field::Harmless),
    row("propagation-error-behavior", "", Domain::Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore", 0, Field::Inert),
    row("shutdown-on-sigint", "", Domain::Choices(&["default", "save", "nosave", "now", "force"]), "default", MULTI_ARG, Field::Special(special::get_shutdown_on_sigint, special::set_shutdown_on_sigint)),
    row("shutdown-on-sigterm", "", Domain::Choices(&["default", "save", "nosave", "now", "force"]), "default", MULTI_ARG, Field::Special(special::get_shutdown_on_sigterm, special::set_shutdown_on_sigterm)),
    row("databases", "", Domain::Number(1, 2147483647, Unit::Plain), "16", IMMUTABLE, number!(databases)),
    row("port", "", Domain::Number(0, 65535, Unit::Plain), "6379", 0, number!(port)),
    row("io-threads", "", Domain::Number(1, 128, Unit::Plain), "1", IMMUTABLE, number!(io_threads)),
    row("auto-aof-rewrite-percentage", "", Domain::Number(0, 2147483647, Unit::Plain), "100", 0, number!(auto_aof_rewrite_percentage)),
    row("cluster-replica-validity-factor", "cluster-slave-validity-factor", Domain::Number(0, 2147483647, Unit::Plain), "10", 0, Field::Harmless),
    row("list-max-listpack-size", "list-max-ziplist-size", Domain::Number(-2147483648, 2147483647, Unit::Plain), "-2", 0, Field::Special(special::get_list_fill, special::set_list_fill)),
    row("tcp-keepalive", "", Domain::Number(0, 2147483647, Unit::Plain), "300", 0, Field::Harmless),
    row("cluster-migration-barrier", "", Domain::Number(0, 2147483647, Unit::Plain), "1", 0, Field::Harmless),
    row("active-defrag-cycle-min", "", Domain::Number(1, 99, Unit::Plain), "1", 0, Field::Inert),
    row("active-defrag-cycle-max", "", Domain::Number(1, 99, Unit::Plain), "25", 0, Field::Inert),
    row("active-defrag-threshold-lower", "", Domain::Number(0, 1000, Unit::Plain), "10", 0, Field::Inert),
    row("active-defrag-threshold-upper", "", Domain::Number(0, 1000, Unit::Plain), "100", 0, Field::Inert),
    row("lfu-log-factor", "", Domain::Number(0, 2147483647, Unit::Plain), "10", 0, number!(lfu_log_factor)),
    row("lfu-decay-time", "", Domain::Number(0, 2147483647, Unit::Plain), "1", 0, number!(lfu_decay_time)),
    row("replica-priority", "slave-priority", Domain::Number(0, 2147483647, Unit::Plain), "100", 0, number!(replica_priority)),
    row("repl-diskless-sync-delay", "", Domain::Number(0, 2147483647, Unit::Plain), "5", 0, number!(repl_diskless_sync_delay)),
    row("maxmemory-samples", "", Domain::Number(1, 2147483647, Unit::Plain), "5", 0, number!(maxmemory_samples)),
    row("maxmemory-eviction-tenacity", "", Domain::Number(0, 100, Unit::Plain), "10", 0, number!(maxmemory_eviction_tenacity)),
    row("timeout", "", Domain::Number(0, 2147483647, Unit::Plain), "0", 0, number!(timeout)),
    row("replica-announce-port", "slave-announce-port", Domain::Number(0, 65535, Unit::Plain), "0", 0, number!(replica_announce_port)),
    row("tcp-backlog", "", Domain::Number(0, 2147483647, Unit::Plain), "511", IMMUTABLE, Field::Harmless),
    row("cluster-port", "", Domain::Number(0, 65535, Unit::Plain), "0", IMMUTABLE, Field::Harmless),
    row("cluster-announce-bus-port", "", Domain::Number(0, 65535, Unit::Plain), "0", 0, Field::Harmless),
    row("cluster-announce-port", "", Domain::Number(0, 65535, Unit::Plain), "0", 0, Field::Harmless),
    row("cluster-announce-tls-port", "", Domain::Number(0, 65535, Unit::Plain), "0", 0, Field::Harmless),
    row("repl-timeout", "", Domain::Number(1, 2147483647, Unit::Plain), "60", 0, number!(repl_timeout)),
    row("repl-ping-replica-period", "repl-ping-slave-period", Domain::Number(1, 2147483647, Unit::Plain), "10", 0, number!(repl_ping_replica_period)),
    row("list-compress-depth", "", Domain::Number(0, 2147483647, Unit::Plain), "0", 0, number!(list_compress_depth)),
    row("rdb-key-save-delay", "", Domain::Number(-2147483648, 2147483647, Unit::Plain), "0", HIDDEN, Field::Special(special::get_rdb_key_save_delay, special::set_rdb_key_save_delay)),
    row("key-load-delay", "", Domain::Number(-2147483648, 2147483647, Unit::Plain), "0", HIDDEN, Field::Special(special::get_key_load_delay, special::set_key_load_delay)),
    row("active-expire-effort", "", Domain::Number(1, 10, Unit::Plain), "1", 0, number!(active_expire_effort)),
    row("hz", "", Domain::Number(0, 2147483647, Unit::Plain), "10", 0, number!(hz)),
    row("min-replicas-to-write", "min-slaves-to-write", Domain::Number(0, 2147483647, Unit::Plain), "0", 0, number!(min_replicas_to_write)),
    row("min-replicas-max-lag", "min-slaves-max-lag", Domain::Number(0, 2147483647, Unit::Plain), "10", 0, number!(min_replicas_max_lag)),
    row("watchdog-period", "", Domain::Number(0, 2147483647, Unit::Plain), "0", HIDDEN, Field::Harmless),
    row("shutdown-timeout", "", Domain::Number(0, 2147483647, Unit::Plain), "10", 0, number!(shutdown_timeout)),
    row("repl-diskless-sync-max-replicas", "", Domain::Number(0, 2147483647, Unit::Plain), "0", 0, number!(repl_diskless_sync_max_replicas)),
    row("maxclients", "", Domain::Number(1, 4294967295, Unit::Plain), "10000", 0, number!(maxclients)),
    row("unixsocketperm", "", Domain::Number(0, 511, Unit::Octal), "0", IMMUTABLE, Field::Harmless),
    row("socket-mark-id", "", Domain::Number(0, 4294967295, Unit::Plain), "0", IMMUTABLE, Field::Harmless),
    row("active-defrag-max-scan-fields", "", Domain::Number(1, 9223372036854775807, Unit::Plain), "1000", 0, Field::Inert),
    row("slowlog-max-len", "", Domain::Number(0, 9223372036854775807, Unit::Plain), "128", 0, number!(slowlog_max_len)),
    row("acllog-max-len", "", Domain::Number(0, 9223372036854775807, Unit::Plain), "128", 0, number!(acllog_max_len)),
    row("busy-reply-threshold", "lua-time-limit", Domain::Number(0, 9223372036854775807, Unit::Plain), "5000", 0, number!(busy_reply_threshold)),
    row("cluster-node-timeout", "", Domain::Number(0, 9223372036854775807, Unit::Plain), "15000", 0, Field::Harmless),
    row("slowlog-log-slower-than", "", Domain::Number(-1, 9223372036854775807, Unit::Plain), "10000", 0, Field::Special(special::get_slowlog_log_slower_than, special::set_slowlog_log_slower_than)),
    row("latency-monitor-threshold", "", Domain::Number(0, 9223372036854775807, Unit::Plain), "0", 0, number!(latency_monitor_threshold)),
    row("proto-max-bulk-len", "", Domain::Number(1048576, 9223372036854775807, Unit::Memory), "536870912", 0, number!(proto_max_bulk_len)),
    row("stream-node-max-entries", "", Domain::Number(0, 9223372036854775807, Unit::Plain), "100", 0, number!(stream_node_max_entries)),
    row("repl-backlog-size", "", Domain::Number(1, 9223372036854775807, Unit::Memory), "1048576", 0, number!(repl_backlog_size)),
    row("maxmemory", "", Domain::Number(0, 18446744073709551615, Unit::Memory), "0", 0, number!(maxmemory)),
    row("cluster-link-sendbuf-limit", "", Domain::Number(0, 18446744073709551615, Unit::Memory), "0", 0, Field::Harmless),
    row("hash-max-listpack-entries", "hash-max-ziplist-entries", Domain::Number(0, 9223372036854775807, Unit::Plain), "512", 0, number!(hash_max_listpack_entries)),
    row("set-max-intset-entries", "", Domain::Number(0, 9223372036854775807, Unit::Plain), "512", 0, number!(set_max_intset_entries)),
    row("zset-max-listpack-entries", "zset-max-ziplist-entries", Domain::Number(0, 9223372036854775807, Unit::Plain), "128", 0, number!(zset_max_listpack_entries)),
    row("active-defrag-ignore-bytes", "", Domain::Number(1, 9223372036854775807, Unit::Memory), "104857600", 0, Field::Inert),
    row("hash-max-listpack-value", "hash-max-ziplist-value", Domain::Number(0, 9223372036854775807, Unit::Memory), "64", 0, number!(hash_max_listpack_value)),
    row("stream-node-max-bytes", "", Domain::Number(0, 9223372036854775807, Unit::Memory), "4096", 0, number!(stream_node_max_bytes)),
    row("zset-max-listpack-value", "zset-max-ziplist-value", Domain::Number(0, 9223372036854775807, Unit::Memory), "64", 0, number!(zset_max_listpack_value)),
    row("hll-sparse-max-bytes", "", Domain::Number(0, 9223372036854775807, Unit::Memory), "3000", 0, number!(hll_sparse_max_bytes)),
    row("tracking-table-max-keys", "", Domain::Number(0, 9223372036854775807, Unit::Plain), "1000000", 0, number!(tracking_table_max_keys)),
    row("client-query-buffer-limit", "", Domain::Number(1048576, 9223372036854775807, Unit::Memory), "1073741824", 0, number!(client_query_buffer_limit)),
    row("maxmemory-clients", "", Domain::Number(-100, 9223372036854775807, Unit::MemoryOrPercent), "0", 0, Field::Special(special::get_maxmemory_clients, special::set_maxmemory_clients)),
    row("repl-backlog-ttl", "", Domain::Number(0, 9223372036854775807, Unit::Plain), "3600", 0, number!(repl_backlog_ttl)),
    row("auto-aof-rewrite-min-size", "", Domain::Number(0, 9223372036854775807, Unit::Memory), "67108864", 0, number!(auto_aof_rewrite_min_size)),
    row("loading-process-events-interval-bytes", "", Domain::Number(1024, 2147483647, Unit::Plain), "2097152", HIDDEN, number!(loading_process_events_interval_bytes)),
    row("tls-port", "", Domain::Number(0, 65535, Unit::Plain), "0", 0, Field::Inert),
    row("tls-session-cache-size", "", Domain::Number(0, 2147483647, Unit::Plain), "20480", 0, Field::Inert),
    row("tls-session-cache-timeout", "", Domain::Number(0, 2147483647, Unit::Plain), "300", 0, Field::Inert),
    row("tls-cluster", "", Domain::Bool, "no", 0, Field::Inert),
    row("tls-replication", "", Domain::Bool, "no", 0, Field::Inert),
    row("tls-auth-clients", "", Domain::Choice(&["no", "yes", "optional"]), "yes", 0, Field::Inert),
    row("tls-prefer-server-ciphers", "", Domain::Bool, "no", 0, Field::Inert),
    row("tls-session-caching", "", Domain::Bool, "yes", 0, Field::Inert),
    row("tls-cert-file", "", Domain::Text, "", 0, Field::Inert),
    row("tls-key-file", "", Domain::Text, "", 0, Field::Inert),
    row("tls-key-file-pass", "", Domain::Text, "", 0, Field::Inert),
    row("tls-client-cert-file", "", Domain::Text, "", 0, Field::Inert),
    row("tls-client-key-file", "", Domain::Text, "", 0, Field::Inert),
    row("tls-client-key-file-pass", "", Domain::Text, "", 0, Field::Inert),
    row("tls-dh-params-file", "", Domain::Text, "", 0, Field::Inert),
    row("tls-ca-cert-file", "", Domain::Text, "", 0, Field::Inert),
    row("tls-ca-cert-dir", "", Domain::Text, "", 0, Field::Inert),
    row("tls-protocols", "", Domain::Text, "", 0, Field::Inert),
    row("tls-ciphers", "", Domain::Text, "", 0, Field::Inert),
    row("tls-ciphersuites", "", Domain::Text, "", 0, Field::Inert),
    row("dir", "", Domain::Free, "/data", DENY_LOADING | PROTECTED, Field::Harmless),
    row("save", "", Domain::Free, "3600 1 300 100 60 10000", MULTI_ARG, Field::Special(special::get_save, special::set_save)),
    row("client-output-buffer-limit", "", Domain::Free, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", MULTI_ARG, Field::Special(special::get_client_output_buffer_limit, special::set_client_output_buffer_limit)),
    row("oom-score-adj-values", "", Domain::Free, "0 200 800", MULTI_ARG, Field::Harmless),
    row("notify-keyspace-events", "", Domain::Free, "", 0, Field::Special(special::get_notify_keyspace_events, special::set_notify_keyspace_events)),
    row("bind", "", Domain::Free, "* -::*", MULTI_ARG, Field::Harmless),
    row("replicaof", "slaveof", Domain::Free, "", IMMUTABLE | MULTI_ARG, Field::Special(special::get_replicaof, special::set_replicaof)),
    row("latency-tracking-info-percentiles", "", Domain::Free, "50 99 99.9", MULTI_ARG, Field::Special(special::get_percentiles, special::set_percentiles)),
];
