//! redis.conf directives as rows, shared by the parser and CONFIG.

mod renamed;
mod rewrite;
mod rows;
mod special;

use std::collections::BTreeMap;

pub use rows::{
    DENY_LOADING, Domain, Field, HIDDEN, IMMUTABLE, MULTI_ARG, PROTECTED, ROWS, Row, SENSITIVE, Unit, find,
};

use super::acl::{self, ConfiguredUser};
use super::eviction::Policy;
use super::keyspace::list::Cut;
use crate::conf::{ConfError, ConfWarning, Directive, nearest};
use crate::resp::lossless;

/// `yes`, `no` or `local`: who may use DEBUG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Connections from the own machine.
    Local,
}

/// `repl-diskless-load`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisklessLoad {
    /// Through a file.
    Disabled,
    /// From the socket when the own dataset is empty.
    OnEmptyDb,
    /// From the socket, keeping the old dataset until it is loaded.
    Swapdb,
}

/// `appendfsync`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    /// In the background, once in each second.
    EverySec,
    /// Before anything is answered.
    Always,
    /// When the kernel likes.
    No,
}

/// `shutdown-on-sigterm`: words of SHUTDOWN that a signal implies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "four independent words")]
pub struct ShutdownFlags {
    /// Save even without save points.
    pub save: bool,
    /// Don't save even with save points.
    pub nosave: bool,
    /// Don't wait for replicas.
    pub now: bool,
    /// Leave though saving fails.
    pub force: bool,
}

/// A save point: after `seconds` when at least `changes` were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last save.
    pub seconds: u64,
    /// Changes since then.
    pub changes: u64,
}

/// Limits of one class of output buffers; 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferLimit {
    /// Bytes at which the client is dropped at once.
    pub hard: u64,
    /// Bytes above which it may not stay.
    pub soft: u64,
    /// For how many seconds.
    pub soft_seconds: u64,
}

/// `maxmemory-clients`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientsLimit {
    /// So many bytes; 0: no limit.
    Bytes(u64),
    /// So much of `maxmemory`, in percent.
    Percent(u64),
}

/// `client-output-buffer-limit` for its three classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferLimits {
    /// Ordinary clients.
    pub normal: BufferLimit,
    /// Replicas.
    pub replica: BufferLimit,
    /// Clients with subscriptions.
    pub pubsub: BufferLimit,
}

/// A server's settings. Times are in the units of their directive, sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names of the directives")]
#[allow(clippy::struct_excessive_bools, reason = "the settings are what they are")]
pub struct Config {
    pub port: u64,
    pub databases: u64,
    pub hz: u64,
    pub timeout: u64,
    /// `io-threads`, the main one among them
    pub io_threads: u64,
    /// `io-threads-do-reads`
    pub io_threads_do_reads: bool,
    pub maxclients: u64,
    pub proto_max_bulk_len: u64,
    pub client_query_buffer_limit: u64,
    pub client_output_buffer_limit: BufferLimits,
    pub requirepass: String,
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: u64,
    /// After so many milliseconds of a script others are answered; 0: never.
    pub busy_reply_threshold: u64,
    pub enable_debug_command: Protected,
    pub enable_module_command: Protected,
    /// `latency-monitor-threshold`, in milliseconds; 0: nothing is sampled.
    pub latency_monitor_threshold: u64,
    pub latency_tracking: bool,
    pub latency_tracking_info_percentiles: Vec<f64>,
    pub active_expire_effort: u64,
    /// `stream-node-max-bytes`
    pub stream_node_max_bytes: u64,
    /// `stream-node-max-entries`
    pub stream_node_max_entries: u64,
    /// `list-max-listpack-size`
    pub list_max_listpack_size: i64,
    /// `list-compress-depth`
    pub list_compress_depth: u64,
    /// `hash-max-listpack-entries`
    pub hash_max_listpack_entries: u64,
    /// `hash-max-listpack-value`
    pub hash_max_listpack_value: u64,
    /// `set-max-intset-entries`
    pub set_max_intset_entries: u64,
    /// `zset-max-listpack-entries`
    pub zset_max_listpack_entries: u64,
    /// `zset-max-listpack-value`
    pub zset_max_listpack_value: u64,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_server_del: bool,
    pub lazyfree_lazy_user_del: bool,
    pub lazyfree_lazy_user_flush: bool,
    pub shutdown_timeout: u64,
    pub shutdown_on_sigint: ShutdownFlags,
    pub shutdown_on_sigterm: ShutdownFlags,
    pub save: Vec<SavePoint>,
    pub dbfilename: String,
    pub rdbcompression: bool,
    pub rdbchecksum: bool,
    pub rdb_del_sync_files: bool,
    pub stop_writes_on_bgsave_error: bool,
    pub appendonly: bool,
    pub appendfilename: String,
    pub appenddirname: String,
    pub appendfsync: AppendFsync,
    pub no_appendfsync_on_rewrite: bool,
    pub auto_aof_rewrite_percentage: u64,
    pub auto_aof_rewrite_min_size: u64,
    pub aof_load_truncated: bool,
    pub aof_use_rdb_preamble: bool,
    pub aof_timestamp_enabled: bool,
    pub aof_disable_auto_gc: bool,
    pub replica_ignore_disk_write_errors: bool,
    pub replicaof: Option<(String, u16)>,
    pub masteruser: String,
    pub masterauth: String,
    pub replica_announce_ip: String,
    pub replica_announce_port: u64,
    pub replica_announced: bool,
    pub replica_priority: u64,
    pub replica_read_only: bool,
    pub replica_serve_stale_data: bool,
    pub replica_lazy_flush: bool,
    pub repl_timeout: u64,
    pub repl_ping_replica_period: u64,
    pub repl_backlog_size: u64,
    pub repl_backlog_ttl: u64,
    pub repl_diskless_sync: bool,
    pub repl_diskless_sync_delay: u64,
    pub repl_diskless_sync_max_replicas: u64,
    pub repl_diskless_load: DisklessLoad,
    pub min_replicas_to_write: u64,
    pub min_replicas_max_lag: u64,
    pub hll_sparse_max_bytes: u64,
    pub maxmemory: u64,
    pub maxmemory_policy: Policy,
    pub maxmemory_samples: u64,
    pub maxmemory_eviction_tenacity: u64,
    /// Bytes, or a percentage of `maxmemory`.
    pub maxmemory_clients: ClientsLimit,
    pub replica_ignore_maxmemory: bool,
    pub lazyfree_lazy_eviction: bool,
    pub lfu_log_factor: u64,
    pub lfu_decay_time: u64,
    pub tracking_table_max_keys: u64,
    /// `acl-pubsub-default` is `allchannels`.
    pub acl_pubsub_default: bool,
    pub acllog_max_len: u64,
    pub aclfile: String,
    /// What the file of users holds at first.
    pub acl_text: Option<bytes::Bytes>,
    /// `user` directives.
    pub(crate) users: Vec<ConfiguredUser>,
    pub notify_keyspace_events: super::notify::Classes,
    /// Microseconds that saving sleeps for each key; a negative number: one in so many times.
    pub rdb_key_save_delay: i64,
    /// The same for loading.
    pub key_load_delay: i64,
    pub loading_process_events_interval_bytes: u64,
    /// `rename-command`
    pub(crate) renamed: renamed::Renamed,
    /// The number of the process, where it is a real one.
    pub process_id: Option<u32>,
    /// Directives without effect here that differ from their default, as text.
    other: BTreeMap<&'static str, String>,
}

impl Default for Config {
    /// The defaults of Redis 7.0.
    fn default() -> Self {
        Config {
            port: 6379,
            databases: 16,
            hz: 10,
            timeout: 0,
            io_threads: 1,
            io_threads_do_reads: false,
            maxclients: 10_000,
            proto_max_bulk_len: 512 << 20,
            client_query_buffer_limit: 1 << 30,
            client_output_buffer_limit: BufferLimits {
                normal: BufferLimit::default(),
                replica: BufferLimit { hard: 256 << 20, soft: 64 << 20, soft_seconds: 60 },
                pubsub: BufferLimit { hard: 32 << 20, soft: 8 << 20, soft_seconds: 60 },
            },
            requirepass: String::new(),
            slowlog_log_slower_than: 10_000,
            slowlog_max_len: 128,
            busy_reply_threshold: 5_000,
            enable_debug_command: Protected::No,
            enable_module_command: Protected::No,
            latency_monitor_threshold: 0,
            latency_tracking: true,
            latency_tracking_info_percentiles: vec![50.0, 99.0, 99.9],
            active_expire_effort: 1,
            stream_node_max_bytes: 4_096,
            stream_node_max_entries: 100,
            list_max_listpack_size: -2,
            list_compress_depth: 0,
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_server_del: false,
            lazyfree_lazy_user_del: false,
            lazyfree_lazy_user_flush: false,
            shutdown_timeout: 10,
            shutdown_on_sigint: ShutdownFlags::default(),
            shutdown_on_sigterm: ShutdownFlags::default(),
            save: [(3600, 1), (300, 100), (60, 10_000)]
                .map(|(seconds, changes)| SavePoint { seconds, changes })
                .to_vec(),
            dbfilename: "dump.rdb".to_owned(),
            rdbcompression: true,
            rdbchecksum: true,
            rdb_del_sync_files: false,
            stop_writes_on_bgsave_error: true,
            appendonly: false,
            appendfilename: "appendonly.aof".to_owned(),
            appenddirname: "appendonlydir".to_owned(),
            appendfsync: AppendFsync::EverySec,
            no_appendfsync_on_rewrite: false,
            auto_aof_rewrite_percentage: 100,
            auto_aof_rewrite_min_size: 64 << 20,
            aof_load_truncated: true,
            aof_use_rdb_preamble: true,
            aof_timestamp_enabled: false,
            aof_disable_auto_gc: false,
            replica_ignore_disk_write_errors: false,
            replicaof: None,
            masteruser: String::new(),
            masterauth: String::new(),
            replica_announce_ip: String::new(),
            replica_announce_port: 0,
            replica_announced: true,
            replica_priority: 100,
            replica_read_only: true,
            replica_serve_stale_data: true,
            replica_lazy_flush: false,
            repl_timeout: 60,
            repl_ping_replica_period: 10,
            repl_backlog_size: 1 << 20,
            repl_backlog_ttl: 3600,
            repl_diskless_sync: true,
            repl_diskless_sync_delay: 5,
            repl_diskless_sync_max_replicas: 0,
            repl_diskless_load: DisklessLoad::Disabled,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,
            hll_sparse_max_bytes: 3_000,
            maxmemory: 0,
            maxmemory_policy: Policy::NoEviction,
            maxmemory_samples: 5,
            maxmemory_eviction_tenacity: 10,
            maxmemory_clients: ClientsLimit::Bytes(0),
            replica_ignore_maxmemory: true,
            lazyfree_lazy_eviction: false,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            tracking_table_max_keys: 1_000_000,
            acl_pubsub_default: false,
            acllog_max_len: 128,
            aclfile: String::new(),
            acl_text: None,
            users: Vec::new(),
            notify_keyspace_events: super::notify::Classes::default(),
            rdb_key_save_delay: 0,
            key_load_delay: 0,
            loading_process_events_interval_bytes: 2 << 20,
            renamed: renamed::Renamed::default(),
            process_id: None,
            other: BTreeMap::new(),
        }
    }
}

/// Directives that are not rows and whose effect is left out.
const LEFT_OUT: &[(&str, &str)] = &[
    ("include", "a file is included by the file that `config-file` names, not from here"),
    ("loadmodule", "modules are not modelled"),
];

/// What would keep other machines from a real server, and doesn't here: files made for one machine have it.
fn unreachable(row: &Row, args: &[String]) -> Option<&'static str> {
    let loopback = |address: &String| {
        let address = address.trim_start_matches('-');
        address.starts_with("127.") || address == "::1" || address == "localhost"
    };
    let mut addresses = args.iter().flat_map(|arg| arg.split(' ')).map(str::to_owned);
    match row.name {
        "bind" if !args.is_empty() && addresses.all(|address| loopback(&address)) => {
            Some("other machines couldn't reach a real server that listens on loopback addresses only; here they can")
        }
        _ => None,
    }
}

impl Config {
    /// The defaults of Redis 7.0 with `directives` applied in order.
    ///
    /// # Errors
    /// Every directive that is unknown or has a bad value.
    pub fn from_directives(directives: &[Directive]) -> Result<(Config, Vec<ConfWarning>), Vec<ConfError>> {
        let mut config = Config::default();
        let (mut warnings, mut errors) = (Vec::new(), Vec::new());
        let mut saves_reset = false;
        for directive in directives {
            let Directive { name, args, line } = directive;
            let warn = |message: String| ConfWarning { line: *line, directive: name.clone(), message };
            let Some(row) = find(name) else {
                if name == "user" {
                    let args: Vec<bytes::Bytes> = args.iter().map(|arg| bytes::Bytes::copy_from_slice(arg)).collect();
                    match acl::configured(&args, &config.users, config.acl_pubsub_default) {
                        Ok(user) => config.users.push(user),
                        Err(message) => errors.push(ConfError {
                            line: *line,
                            directive: name.clone(),
                            message: message.to_owned(),
                            help: None,
                        }),
                    }
                } else if let ("rename-command", [from, to]) = (name.as_str(), args.as_slice()) {
                    if let Err(message) = config.renamed.rename(from, to) {
                        let help =
                            "each command can be renamed by the name that it has, to one that none has".to_owned();
                        let (line, directive) = (*line, name.clone());
                        errors.push(ConfError { line, directive, message: message.to_owned(), help: Some(help) });
                    }
                } else if let Some((_, why)) = LEFT_OUT.iter().find(|(known, _)| known == name) {
                    warnings.push(warn((*why).to_owned()));
                } else if !matches!(
                    name.as_str(),
                    "list-max-ziplist-entries" | "list-max-ziplist-value" | "lua-replicate-commands"
                ) {
                    errors.push(unknown(directive));
                }
                continue;
            };
            // Directives of a file add save points; the first one removes the defaults.
            if row.name == "save" && !saves_reset {
                saves_reset = true;
                config.save.clear();
            }
            let args: Vec<String> = args.iter().map(|arg| lossless(arg)).collect();
            if let Err(message) = config.apply_line(row, &args) {
                errors.push(ConfError { line: *line, directive: name.clone(), message, help: None });
            } else if matches!(row.field, Field::Inert) && config.get(row) != row.default {
                warnings.push(warn(format!("\"{} {}\" is accepted but not modelled", row.name, config.get(row))));
            } else if let Some(why) = unreachable(row, &args) {
                warnings.push(warn(why.to_owned()));
            }
        }
        config.hz = config.hz.clamp(1, 500);
        if errors.is_empty() { Ok((config, warnings)) } else { Err(errors) }
    }

    /// One line of a file. A single argument of a directive that takes several is split at blanks, as Redis does.
    fn apply_line(&mut self, row: &'static Row, args: &[String]) -> Result<(), String> {
        if row.flags & MULTI_ARG == 0 && args.len() != 1 {
            return Err("wrong number of arguments".to_owned());
        }
        let split: Vec<String>;
        let args = match args {
            [one] if row.flags & MULTI_ARG != 0 && !one.is_empty() => {
                let parts = crate::resp::split_args(one.as_bytes()).ok_or("Unbalanced quotes in configuration line")?;
                split = parts.iter().map(|part| lossless(part)).collect();
                &split
            }
            all => all,
        };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        if row.name == "save" {
            return special::add_save(self, &args);
        }
        self.set_args(row, &args)
    }

    /// Sets a directive from one text, as CONFIG SET does.
    ///
    /// # Errors
    /// What Redis says about a bad value.
    pub fn set(&mut self, row: &'static Row, value: &str) -> Result<(), String> {
        special::unavailable(row.name, value)?;
        if row.flags & MULTI_ARG == 0 {
            return self.set_args(row, &[value]);
        }
        self.set_args(row, &value.split(' ').collect::<Vec<_>>())
    }

    fn set_args(&mut self, row: &'static Row, args: &[&str]) -> Result<(), String> {
        let value = canonical(row.domain, args)?;
        match row.field {
            Field::Flag(_, set) => set(self, value == "yes"),
            Field::Number(_, set) => {
                set(self, value.parse().map_err(|_| "argument couldn't be parsed into an integer".to_owned())?);
            }
            Field::Text(_, set) => {
                special::check_file_name(row.name, &value)?;
                set(self, value);
            }
            Field::Special(_, set) => return set(self, args),
            Field::Harmless | Field::Inert => {
                let value = special::checked(row.name, value)?;
                if value == row.default {
                    self.other.remove(row.name);
                } else {
                    self.other.insert(row.name, value);
                }
            }
        }
        Ok(())
    }

    /// Nanoseconds that a save of so many keys sleeps.
    #[must_use]
    pub fn save_delay(&self, keys: usize) -> u64 {
        delay(self.rdb_key_save_delay, keys as u64)
    }

    /// Nanoseconds that loading so many keys sleeps.
    #[must_use]
    pub fn load_delay(&self, keys: u64) -> u64 {
        delay(self.key_load_delay, keys)
    }

    /// Bytes that all sessions together may take; 0: any (`getClientEvictionLimit`).
    #[must_use]
    pub fn clients_limit(&self) -> u64 {
        match self.maxmemory_clients {
            ClientsLimit::Bytes(bytes) => bytes.max(if bytes == 0 { 0 } else { 128 << 10 }),
            ClientsLimit::Percent(percent) => {
                let limit = u128::from(self.maxmemory) * u128::from(percent) / 100;
                u64::try_from(limit).unwrap_or(u64::MAX).max(if limit == 0 { 0 } else { 128 << 10 })
            }
        }
    }

    /// How a list that is made now is cut into nodes.
    #[must_use]
    pub fn list_cut(&self) -> Cut {
        Cut::of(self.list_max_listpack_size, self.list_compress_depth)
    }

    /// The text of a directive without effect here; `default` where it was not set.
    #[must_use]
    pub fn inert<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.other.get(name).map_or(default, String::as_str)
    }

    /// A directive's value as CONFIG GET prints it.
    #[must_use]
    pub fn get(&self, row: &Row) -> String {
        match row.field {
            Field::Flag(get, _) => if get(self) { "yes" } else { "no" }.to_owned(),
            Field::Number(get, _) => get(self).to_string(),
            Field::Text(get, _) => get(self).to_owned(),
            Field::Special(get, _) => get(self),
            Field::Harmless | Field::Inert => {
                self.other.get(row.name).map_or_else(|| row.default.to_owned(), String::clone)
            }
        }
    }
}

/// A sleep of so many microseconds for each key; of one microsecond, one in so many times, if it is negative (`debugDelay`).
fn delay(micros: i64, keys: u64) -> u64 {
    let ns = keys.saturating_mul(1_000);
    if micros < 0 { ns / micros.unsigned_abs() } else { ns.saturating_mul(micros.unsigned_abs()) }
}

fn unknown(directive: &Directive) -> ConfError {
    let names = ROWS.iter().flat_map(|row| [row.name, row.alias]).filter(|name| !name.is_empty());
    ConfError {
        line: directive.line,
        directive: directive.name.clone(),
        message: "Bad directive or wrong number of arguments".to_owned(),
        help: nearest(&directive.name, names).map(|name| format!("did you mean \"{name}\"?")),
    }
}

/// The value as CONFIG GET would print it, if it is one of the domain's.
fn canonical(domain: Domain, args: &[&str]) -> Result<String, String> {
    let value = args.first().copied().unwrap_or_default();
    match domain {
        Domain::Bool => match value.to_ascii_lowercase().as_str() {
            yes_no @ ("yes" | "no") => Ok(yes_no.to_owned()),
            _ => Err("argument must be 'yes' or 'no'".to_owned()),
        },
        Domain::Number(min, max, unit) => number(value, min, max, unit),
        Domain::Choice(words) | Domain::Choices(words) => {
            let found: Option<Vec<&str>> =
                args.iter().map(|arg| words.iter().copied().find(|word| word.eq_ignore_ascii_case(arg))).collect();
            match found {
                Some(found) if !found.is_empty() => Ok(found.join(" ")),
                _ => Err(format!("argument(s) must be one of the following: {}", words.join(", "))),
            }
        }
        Domain::Text => Ok(value.to_owned()),
        Domain::Free => Ok(args.join(" ")),
    }
}

const PERCENT_MAX: &str = "percentage argument must be less or equal to 100";

fn number(value: &str, min: i64, max: u64, unit: Unit) -> Result<String, String> {
    let outside = || {
        if unit == Unit::Octal {
            format!("argument must be between {min:o} and {max:o} inclusive")
        } else {
            format!("argument must be between {min} and {max} inclusive")
        }
    };
    if unit == Unit::MemoryOrPercent
        && let Some(percent) = value.strip_suffix('%')
    {
        return match percent.parse::<u64>() {
            Ok(n) if n <= 100 => Ok(value.to_owned()),
            Ok(_) => Err(PERCENT_MAX.to_owned()),
            Err(_) => Err("argument must be a memory or percent value".to_owned()),
        };
    }
    match unit {
        Unit::Memory | Unit::MemoryOrPercent => {
            let what = if unit == Unit::Memory { "a memory" } else { "a memory or percent" };
            let bytes = special::memory(value).ok_or_else(|| format!("argument must be {what} value"))?;
            if unit == Unit::MemoryOrPercent && bytes > i64::MAX.unsigned_abs() {
                // Negative numbers stand for percentages.
                return if bytes.cast_signed() >= min { Ok(bytes.to_string()) } else { Err(PERCENT_MAX.to_owned()) };
            }
            let enough = u64::try_from(min).map_or(true, |min| bytes >= min);
            if enough && bytes <= max { Ok(bytes.to_string()) } else { Err(outside()) }
        }
        Unit::Octal => {
            let bits = u64::from_str_radix(value, 8).map_err(|_| "argument couldn't be parsed as an octal number")?;
            if bits <= max { Ok(format!("{bits:o}")) } else { Err(outside()) }
        }
        Unit::Plain => {
            let n = crate::resp::parse_i64(value.as_bytes()).ok_or("argument couldn't be parsed into an integer")?;
            let fits = u64::try_from(n).map_or(true, |n| n <= max);
            if n >= min && fits { Ok(n.to_string()) } else { Err(outside()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<(Config, Vec<ConfWarning>), Vec<ConfError>> {
        Config::from_directives(&crate::conf::parse(text.as_bytes()).expect("quotes are balanced"))
    }

    #[test]
    fn defaults_print_as_the_rows_say() {
        let config = Config::default();
        for row in ROWS {
            assert_eq!(config.get(row), row.default, "{}", row.name);
        }
    }

    #[test]
    fn every_row_takes_its_own_default() {
        let mut config = Config::default();
        // An empty `replicaof` is no directive.
        for row in ROWS.iter().filter(|row| row.name != "replicaof") {
            config.set(row, row.default).unwrap_or_else(|error| panic!("{} {:?}: {error}", row.name, row.default));
        }
        assert_eq!(config, Config::default());
    }

    #[test]
    fn units_aliases_and_several_arguments() {
        let text = "repl-backlog-size 2mb\nslave-priority 7\nsave 10 1\nsave 20 2\nreplicaof 10.0.0.1 6380\n\
                    client-output-buffer-limit replica 1mb 64k 5\nshutdown-on-sigterm nosave now\n";
        let (config, warnings) = config(text).expect("valid");
        assert!(warnings.is_empty());
        assert_eq!(config.repl_backlog_size, 2 << 20);
        assert_eq!(config.replica_priority, 7);
        assert_eq!(config.save.len(), 2);
        assert_eq!(config.replicaof, Some(("10.0.0.1".to_owned(), 6380)));
        assert_eq!(config.client_output_buffer_limit.replica.soft, 64_000);
        assert!(config.shutdown_on_sigterm.nosave && config.shutdown_on_sigterm.now);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message, help) in [
            (
                "repl-backlog-sise 1mb",
                "Bad directive or wrong number of arguments",
                Some("did you mean \"repl-backlog-size\"?"),
            ),
            ("repl-backlog-size 1 parsec", "wrong number of arguments", None),
            ("repl-backlog-size 1parsec", "argument must be a memory value", None),
            ("replica-read-only maybe", "argument must be 'yes' or 'no'", None),
            ("repl-timeout 0", "argument must be between 1 and 2147483647 inclusive", None),
            ("save 0 1", "Invalid save parameters", None),
            ("replicaof a", "wrong number of arguments", None),
            (
                "repl-diskless-load never",
                "argument(s) must be one of the following: disabled, on-empty-db, swapdb",
                None,
            ),
        ] {
            let errors = config(text).expect_err(text);
            assert_eq!((errors[0].message.as_str(), errors[0].help.as_deref()), (message, help), "{text}");
        }
    }

    #[test]
    fn what_is_not_modelled_warns() {
        let text = "tls-port 7000\nmaxmemory 1gb\nmaxclients 5\nloglevel debug\nactivedefrag no\n";
        let (_, warnings) = config(text).expect("valid");
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].directive, "tls-port");
    }
}
