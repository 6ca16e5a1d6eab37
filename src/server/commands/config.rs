//! CONFIG GET, SET, REWRITE, RESETSTAT.

use std::sync::Arc;

use super::flag::{ADMIN, LOADING, NOSCRIPT, STALE};
use super::{Spec, row};
use crate::node::DiskError;
use crate::resp::{bytes_of, lossless};
use crate::server::call::Cx;
use crate::server::config::{self, Config, DENY_LOADING, HIDDEN, IMMUTABLE, PROTECTED, ROWS, Row, SENSITIVE};
use crate::server::{glob, persistence, replication};
use crate::trace::Kind;
use crate::trace::event::ServerEvent;

/// The rows of the subcommands.
#[rustfmt::skip]
pub(super) const CONFIG_SUBS: &[Spec] = &[
    row("config|get", -3, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", get),
    row("config|help", 2, LOADING | STALE, (0, 0, 0), "@slow", help),
    row("config|resetstat", 2, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", resetstat),
    row("config|rewrite", 2, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", rewrite),
    row("config|set", -4, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous", set),
];

/// The file that CONFIG REWRITE writes and a start reads.
pub(crate) const CONFIG_FILE: &str = "redis.conf";

impl Cx<'_> {
    /// The settings with what runs now in place of what was configured.
    fn current_config(&self) -> Config {
        let mut current = Config::clone(&self.s.config);
        current.replicaof = replication::master_address(self.s);
        current
    }
}

fn get(cx: &mut Cx<'_>) {
    let args = cx.args;
    let mut matched: Vec<(String, &Row)> = Vec::new();
    for i in 2..args.len() {
        let name = String::from_utf8_lossy(args.get(i)).into_owned();
        let known = |matched: &[(String, &Row)], name: &str| matched.iter().any(|(other, _)| other == name);
        if !name.contains(['[', '*', '?']) {
            let lower = name.to_ascii_lowercase();
            if let Some(row) = config::find(&lower).filter(|_| !known(&matched, &lower)) {
                matched.push((lower, row));
            }
            continue;
        }
        for row in ROWS.iter().filter(|row| row.flags & HIDDEN == 0) {
            for known_name in [row.name, row.alias] {
                let fits = !known_name.is_empty() && glob::matches(name.as_bytes(), known_name.as_bytes(), true);
                if fits && !known(&matched, known_name) {
                    matched.push((known_name.to_owned(), row));
                }
            }
        }
    }
    let current = cx.current_config();
    cx.add_map(matched.len());
    for (name, row) in matched {
        cx.add_bulk(name.as_bytes());
        cx.add_bulk(&bytes_of(&current.get(row)));
    }
}

/// Why CONFIG SET refuses, in Redis's words; nothing was changed.
fn refusal(cx: &Cx<'_>) -> Option<String> {
    let args = cx.args;
    let mut seen: Vec<String> = Vec::new();
    let mut wrong = None;
    for i in (2..args.len()).step_by(2) {
        let name = String::from_utf8_lossy(args.get(i)).into_owned();
        let Some(row) = config::find(&name) else {
            let name = lossless(args.get(i));
            return Some(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"));
        };
        let failed = |why: &str| Some(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"));
        if row.flags & IMMUTABLE != 0 {
            wrong = failed("can't set immutable config");
        } else if row.flags & PROTECTED != 0 && !cx.protected_configs_allowed() {
            wrong = failed("can't set protected config");
        } else if cx.s.loading && row.flags & DENY_LOADING != 0 {
            wrong = Some("LOADING Redis is loading the dataset in memory".to_owned());
        } else if seen.contains(&name.to_ascii_lowercase()) {
            // An alias is another parameter.
            wrong = failed("duplicate parameter");
        }
        if wrong.is_some() {
            return wrong;
        }
        seen.push(name.to_ascii_lowercase());
    }
    None
}

impl Cx<'_> {
    /// `enable-protected-configs`
    fn protected_configs_allowed(&self) -> bool {
        match self.s.config.inert("enable-protected-configs", "no") {
            "yes" => true,
            "local" => self.s.is_local(self.fd),
            _ => false,
        }
    }
}

fn set(cx: &mut Cx<'_>) {
    let args = cx.args;
    if !args.len().is_multiple_of(2) {
        return cx.add_syntax_error();
    }
    for i in (2..args.len()).step_by(2) {
        let name = String::from_utf8_lossy(args.get(i));
        if config::find(&name).is_some_and(|row| row.flags & SENSITIVE != 0) {
            cx.redact(i + 1);
        }
    }
    if let Some(text) = refusal(cx) {
        return cx.add_error(&text);
    }
    let mut changed = Config::clone(&cx.s.config);
    let current_port = changed.port.to_string();
    let mut rows = Vec::new();
    for i in (2..args.len()).step_by(2) {
        let name = String::from_utf8_lossy(args.get(i));
        let value = lossless(args.get(i + 1));
        let row = config::find(&name).expect("checked before");
        let failed = |why: &str| {
            let name = name.to_ascii_lowercase();
            format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
        };
        if let Err(why) = changed.set(row, &value) {
            return cx.add_error(&failed(&why));
        }
        if row.name == "port" && value != current_port {
            return cx.add_error(&failed("Unable to listen on this port. Check server logs."));
        }
        rows.push(row);
    }
    changed.hz = changed.hz.clamp(1, 500);
    if rows.iter().any(|row| row.name == "repl-backlog-size") {
        changed.repl_backlog_size = changed.repl_backlog_size.max(replication::backlog::SIZE_MIN);
    }
    let old = std::mem::replace(&mut cx.s.config, Arc::new(changed));
    if rows.iter().any(|row| row.name == "requirepass") {
        cx.s.requirepass_changed();
    }
    let tracking = cx.s.config.latency_tracking;
    cx.s.stats.track_latency(tracking);
    for row in rows {
        let value = cx.s.config.get(row);
        if value != old.get(row) {
            cx.out.note(Kind::Server(ServerEvent::ConfigSet { name: row.name.into(), value: value.into() }));
            replication::config_changed(cx.s, row.name, cx.out);
            if let Err(why) = persistence::config_changed(cx.s, row.name, cx.out) {
                cx.s.config = old;
                let name = row.name;
                let text = format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}");
                return cx.add_error(&text);
            }
            cx.s.limits_changed |= row.name == "client-output-buffer-limit";
            if row.name == "maxmemory" {
                cx.s.limit_tables();
                warn_of_little_memory(cx);
                // At the end of the turn, as a timer of a real server does it.
                cx.s.eviction.running = cx.s.config.maxmemory > 0;
            }
        }
    }
    cx.add_ok();
}

/// `updateMaxmemory`
fn warn_of_little_memory(cx: &mut Cx<'_>) {
    let (most, used) = (cx.s.config.maxmemory, cx.s.used_memory());
    if most > 0 && most < used {
        cx.s.warn(cx.out, || {
            format!(
                "WARNING: the new maxmemory value set via CONFIG SET ({most}) is smaller than the current memory usage \
                 ({used}). This will result in key eviction and/or the inability to accept new write commands depending on \
                 the maxmemory-policy."
            )
        });
    }
}

fn rewrite(cx: &mut Cx<'_>) {
    write(cx, false);
}

/// `DEBUG CONFIG-REWRITE-FORCE-ALL`: directives that have their default too.
pub(super) fn rewrite_all(cx: &mut Cx<'_>) {
    write(cx, true);
}

fn write(cx: &mut Cx<'_>, all: bool) {
    match write_file(cx, all) {
        Ok(()) => {
            if !all {
                cx.s.warn(cx.out, || "CONFIG REWRITE executed with success.".to_owned());
            }
            cx.add_ok();
        }
        Err(error) => {
            if !all {
                cx.s.warn(cx.out, || format!("CONFIG REWRITE failed: {error}"));
            }
            cx.add_error(&format!("ERR Rewriting config file: {error}"));
        }
    }
}

/// The file is what the settings are now (`rewriteConfig`).
pub(super) fn write_file(cx: &mut Cx<'_>, all: bool) -> Result<(), DiskError> {
    let mut text = bytes_of(&cx.current_config().rewrite(all)).into_owned();
    if cx.s.config.aclfile.is_empty() {
        text.extend_from_slice(&cx.s.acl.lines());
    }
    cx.out.disk_replace(&"redis.conf-rewrite.tmp".into(), text.into(), CONFIG_FILE.into())
}

fn resetstat(cx: &mut Cx<'_>) {
    cx.s.stats.reset();
    persistence::reset_statistics(cx.s);
    cx.s.forget_buffer_changes();
    cx.add_ok();
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "config",
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    );
}
