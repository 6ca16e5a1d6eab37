//! Directives with a syntax of their own: how they are read and printed.

use super::{AppendFsync, BufferLimit, ClientsLimit, Config, DisklessLoad, Protected, SavePoint, ShutdownFlags};
use crate::server::eviction::Policy;
use crate::server::keyspace::double;
use crate::server::notify::Classes;

/// A size as `memtoull` reads it: no digits are zero, too many as much as fits.
pub(super) fn memory(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    if number.len() >= 128 {
        return None;
    }
    let number = if number.is_empty() { 0 } else { number.parse().unwrap_or(u64::MAX) };
    Some(number.wrapping_mul(scale))
}

/// A whole number as `strtoll` reads it: no digits are zero.
fn whole(text: &str) -> Option<i64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r']);
    if text.is_empty() { Some(0) } else { text.strip_prefix('+').unwrap_or(text).parse().ok() }
}

/// What CONFIG SET can't switch on: the reference is Debian's build, whose allocator can't defragment, and TLS has no
/// certificates.
pub(super) fn unavailable(name: &str, value: &str) -> Result<(), String> {
    let yes = value.eq_ignore_ascii_case("yes");
    match name {
        "activedefrag" if yes => Err("Active defragmentation cannot be enabled: it requires a Redis server compiled \
                                      with a modified Jemalloc like the one shipped by default with the Redis source \
                                      distribution"
            .to_owned()),
        "tls-replication" | "tls-cluster" if yes => {
            Err("Unable to update TLS configuration. Check server logs.".to_owned())
        }
        _ => Ok(()),
    }
}

pub(super) fn get_rdb_key_save_delay(config: &Config) -> String {
    config.rdb_key_save_delay.to_string()
}

pub(super) fn set_rdb_key_save_delay(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.rdb_key_save_delay = args.first().and_then(|text| whole(text)).unwrap_or_default();
    Ok(())
}

pub(super) fn get_key_load_delay(config: &Config) -> String {
    config.key_load_delay.to_string()
}

pub(super) fn set_key_load_delay(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.key_load_delay = args.first().and_then(|text| whole(text)).unwrap_or_default();
    Ok(())
}

pub(super) fn get_save(config: &Config) -> String {
    let points: Vec<String> = config.save.iter().map(|point| format!("{} {}", point.seconds, point.changes)).collect();
    points.join(" ")
}

pub(super) fn set_save(config: &mut Config, args: &[&str]) -> Result<(), String> {
    let mut fresh = Config { save: Vec::new(), ..Config::default() };
    add_save(&mut fresh, args)?;
    config.save = fresh.save;
    Ok(())
}

/// Adds save points; a single empty argument removes them all.
pub(super) fn add_save(config: &mut Config, args: &[&str]) -> Result<(), String> {
    let invalid = || "Invalid save parameters".to_owned();
    if matches!(args, [""]) {
        config.save.clear();
        return Ok(());
    }
    if !args.len().is_multiple_of(2) {
        return Err(invalid());
    }
    let mut points = Vec::new();
    for pair in args.chunks_exact(2) {
        let seconds = whole(pair[0]).filter(|&seconds| seconds >= 1).ok_or_else(invalid)?;
        let changes = whole(pair[1]).filter(|&changes| changes >= 0).ok_or_else(invalid)?;
        points.push(SavePoint { seconds: seconds.unsigned_abs(), changes: changes.unsigned_abs() });
    }
    config.save.extend(points);
    Ok(())
}

pub(super) fn get_client_output_buffer_limit(config: &Config) -> String {
    let limits = &config.client_output_buffer_limit;
    let classes = [("normal", limits.normal), ("slave", limits.replica), ("pubsub", limits.pubsub)];
    let texts = classes.map(|(name, limit)| format!("{name} {} {} {}", limit.hard, limit.soft, limit.soft_seconds));
    texts.join(" ")
}

pub(super) fn set_client_output_buffer_limit(config: &mut Config, args: &[&str]) -> Result<(), String> {
    // A single empty text is no argument at all.
    let args = if matches!(args, [""]) { &[] } else { args };
    if !args.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut limits = config.client_output_buffer_limit;
    for class in args.chunks_exact(4) {
        let slot = match class[0].to_ascii_lowercase().as_str() {
            "normal" => &mut limits.normal,
            "slave" | "replica" => &mut limits.replica,
            "pubsub" => &mut limits.pubsub,
            _ => return Err("Invalid client class specified in buffer limit configuration.".to_owned()),
        };
        let seconds = whole(class[3]).and_then(|seconds| u64::try_from(seconds).ok());
        let (Some(hard), Some(soft), Some(soft_seconds)) = (memory(class[1]), memory(class[2]), seconds) else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_owned());
        };
        *slot = BufferLimit { hard, soft, soft_seconds };
    }
    config.client_output_buffer_limit = limits;
    Ok(())
}

/// Directives without effect here are refused where a real server refuses them, and print as it prints them.
pub(super) fn checked(name: &str, value: String) -> Result<String, String> {
    match name {
        "oom-score-adj-values" => {
            let words: Vec<&str> = value.split(' ').collect();
            if words.len() != 3 {
                return Err("wrong number of arguments".to_owned());
            }
            let fits = |word: &&str| whole(word).is_some_and(|n| (-2_000..=2_000).contains(&n));
            if !words.iter().all(fits) {
                return Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_owned());
            }
            Ok(value)
        }
        "cluster-announce-hostname" if value.len() >= 256 => {
            Err("Hostnames must be less than 256 characters".to_owned())
        }
        "cluster-announce-hostname" => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            if value.bytes().all(allowed) {
                Ok(value)
            } else {
                Err("Hostnames may only contain alphanumeric characters, hyphens or dots".to_owned())
            }
        }
        "proc-title-template" if !is_title(&value) => {
            Err("template format is invalid or contains unknown variables".to_owned())
        }
        _ => Ok(value),
    }
}

/// A template of a process's title: known variables in braces, and something left (`validateProcTitleTemplate`).
fn is_title(template: &str) -> bool {
    const KNOWN: &[&str] = &["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];
    // These print something, whatever the server is.
    const PRINTED: &[&str] = &["listen-addr", "port", "tls-port", "config-file"];
    let (mut rest, mut printed) = (template, false);
    while let Some(at) = rest.find('{') {
        printed |= !rest[..at].trim_matches(' ').is_empty();
        rest = &rest[at + 1..];
        if let Some(brace) = rest.strip_prefix('{') {
            (rest, printed) = (brace, true);
            continue;
        }
        let Some((name, behind)) = rest.split_once('}') else { return false };
        if !KNOWN.contains(&name) {
            return false;
        }
        printed |= PRINTED.contains(&name);
        rest = behind;
    }
    printed || !rest.trim_matches(' ').is_empty()
}

pub(super) fn get_notify_keyspace_events(config: &Config) -> String {
    config.notify_keyspace_events.print()
}

pub(super) fn set_notify_keyspace_events(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.notify_keyspace_events = Classes::parse(&args.join(" "))?;
    Ok(())
}

pub(super) fn get_list_fill(config: &Config) -> String {
    config.list_max_listpack_size.to_string()
}

pub(super) fn set_list_fill(config: &mut Config, args: &[&str]) -> Result<(), String> {
    let invalid = "argument couldn't be parsed into an integer";
    config.list_max_listpack_size = args[0].parse().map_err(|_| invalid)?;
    Ok(())
}

pub(super) fn get_maxmemory_policy(config: &Config) -> String {
    config.maxmemory_policy.word().to_owned()
}

pub(super) fn set_maxmemory_policy(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.maxmemory_policy = Policy::parse(args[0]).ok_or("argument must be a policy")?;
    Ok(())
}

pub(super) fn get_maxmemory_clients(config: &Config) -> String {
    match config.maxmemory_clients {
        ClientsLimit::Bytes(bytes) => bytes.to_string(),
        ClientsLimit::Percent(0) => "0".to_owned(),
        ClientsLimit::Percent(percent) => format!("{percent}%"),
    }
}

pub(super) fn set_maxmemory_clients(config: &mut Config, args: &[&str]) -> Result<(), String> {
    let invalid = "argument must be a memory or percent value";
    config.maxmemory_clients = match args[0].strip_suffix('%') {
        Some(percent) => ClientsLimit::Percent(percent.parse().map_err(|_| invalid)?),
        None => match memory(args[0]).ok_or(invalid)? {
            bytes if bytes > i64::MAX.unsigned_abs() => ClientsLimit::Percent(bytes.cast_signed().unsigned_abs()),
            bytes => ClientsLimit::Bytes(bytes),
        },
    };
    Ok(())
}

/// Names of files stand for files of the working directory.
pub(super) fn check_file_name(name: &str, value: &str) -> Result<(), String> {
    let (may_be_empty, what) = match name {
        "dbfilename" => (true, "filename"),
        "appendfilename" => (false, "filename"),
        "appenddirname" => (false, "dirname"),
        _ => return Ok(()),
    };
    if value.is_empty() && !may_be_empty {
        return Err(format!("{name} can't be empty"));
    }
    if value.contains(['/', '\\']) {
        return Err(format!("{name} can't be a path, just a {what}"));
    }
    Ok(())
}

pub(super) fn get_appendfsync(config: &Config) -> String {
    match config.appendfsync {
        AppendFsync::EverySec => "everysec",
        AppendFsync::Always => "always",
        AppendFsync::No => "no",
    }
    .to_owned()
}

pub(super) fn set_appendfsync(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.appendfsync = match args[0].to_ascii_lowercase().as_str() {
        "always" => AppendFsync::Always,
        "no" => AppendFsync::No,
        _ => AppendFsync::EverySec,
    };
    Ok(())
}

pub(super) fn get_replicaof(config: &Config) -> String {
    config.replicaof.as_ref().map_or_else(String::new, |(host, port)| format!("{host} {port}"))
}

pub(super) fn set_replicaof(config: &mut Config, args: &[&str]) -> Result<(), String> {
    let [host, port] = args else { return Err("wrong number of arguments".to_owned()) };
    config.replicaof = if host.eq_ignore_ascii_case("no") && port.eq_ignore_ascii_case("one") {
        None
    } else {
        let port = port.parse().map_err(|_| "Invalid master port".to_owned())?;
        Some(((*host).to_owned(), port))
    };
    Ok(())
}

pub(super) fn get_repl_diskless_load(config: &Config) -> String {
    match config.repl_diskless_load {
        DisklessLoad::Disabled => "disabled",
        DisklessLoad::OnEmptyDb => "on-empty-db",
        DisklessLoad::Swapdb => "swapdb",
    }
    .to_owned()
}

pub(super) fn set_repl_diskless_load(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.repl_diskless_load = match args[0].to_ascii_lowercase().as_str() {
        "on-empty-db" => DisklessLoad::OnEmptyDb,
        "swapdb" => DisklessLoad::Swapdb,
        _ => DisklessLoad::Disabled,
    };
    Ok(())
}

fn protected_word(allowed: Protected) -> String {
    match allowed {
        Protected::No => "no",
        Protected::Yes => "yes",
        Protected::Local => "local",
    }
    .to_owned()
}

fn protected(word: &str) -> Protected {
    match word.to_ascii_lowercase().as_str() {
        "yes" => Protected::Yes,
        "local" => Protected::Local,
        _ => Protected::No,
    }
}

pub(super) fn get_enable_debug_command(config: &Config) -> String {
    protected_word(config.enable_debug_command)
}

pub(super) fn set_enable_debug_command(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.enable_debug_command = protected(args[0]);
    Ok(())
}

pub(super) fn get_enable_module_command(config: &Config) -> String {
    protected_word(config.enable_module_command)
}

pub(super) fn set_enable_module_command(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.enable_module_command = protected(args[0]);
    Ok(())
}

/// A number as `printf("%.17g")` without the digits that don't matter.
fn percentile(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn get_percentiles(config: &Config) -> String {
    let texts: Vec<String> = config.latency_tracking_info_percentiles.iter().map(|value| percentile(*value)).collect();
    texts.join(" ")
}

pub(super) fn set_percentiles(config: &mut Config, args: &[&str]) -> Result<(), String> {
    let mut percentiles = Vec::new();
    let none = matches!(args, [""]);
    for word in args.iter().filter(|_| !none) {
        let Some(value) = double::parse(word.as_bytes()) else {
            return Err("Invalid latency-tracking-info-percentiles parameters".to_owned());
        };
        if !(0.0..=100.0).contains(&value) {
            return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".to_owned());
        }
        percentiles.push(value);
    }
    config.latency_tracking_info_percentiles = percentiles;
    Ok(())
}

fn words(flags: ShutdownFlags) -> String {
    let words = [(flags.save, "save"), (flags.nosave, "nosave"), (flags.now, "now"), (flags.force, "force")];
    let set: Vec<&str> = words.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
    if set.is_empty() { "default".to_owned() } else { set.join(" ") }
}

fn flags(args: &[&str]) -> Result<ShutdownFlags, String> {
    let has = |word: &str| args.iter().any(|arg| arg.eq_ignore_ascii_case(word));
    let flags = ShutdownFlags { save: has("save"), nosave: has("nosave"), now: has("now"), force: has("force") };
    if flags.save && flags.nosave {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".to_owned());
    }
    Ok(flags)
}

pub(super) fn get_shutdown_on_sigint(config: &Config) -> String {
    words(config.shutdown_on_sigint)
}

pub(super) fn set_shutdown_on_sigint(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.shutdown_on_sigint = flags(args)?;
    Ok(())
}

pub(super) fn get_shutdown_on_sigterm(config: &Config) -> String {
    words(config.shutdown_on_sigterm)
}

pub(super) fn set_shutdown_on_sigterm(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.shutdown_on_sigterm = flags(args)?;
    Ok(())
}

pub(super) fn get_slowlog_log_slower_than(config: &Config) -> String {
    config.slowlog_log_slower_than.to_string()
}

pub(super) fn set_slowlog_log_slower_than(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.slowlog_log_slower_than =
        args[0].parse().map_err(|_| "argument couldn't be parsed into an integer".to_owned())?;
    Ok(())
}

pub(super) fn get_acl_pubsub_default(config: &Config) -> String {
    if config.acl_pubsub_default { "allchannels" } else { "resetchannels" }.to_owned()
}

pub(super) fn set_acl_pubsub_default(config: &mut Config, args: &[&str]) -> Result<(), String> {
    config.acl_pubsub_default = args[0].eq_ignore_ascii_case("allchannels");
    Ok(())
}
