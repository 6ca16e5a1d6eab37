//! Saving: the configuration file as state (`rewriteConfigSentinelOption`, `sentinelFlushConfig`).

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use sha2::Digest as _;

use super::config::{DEFAULT_PARALLEL_SYNCS, Lines, Rewrite};
use super::instances::Id;
use super::reply::Reply;
use super::{Cx, Sentinel};
use crate::node::DiskOp;
use crate::resp::quote;
use crate::trace::Kind;
use crate::trace::event::SentinelEvent;

/// The file in the working directory.
pub(super) const FILE: &str = "sentinel.conf";
/// What it is written to before it takes the place of the old one.
const TEMPORARY: &str = "sentinel.conf.tmp";

/// Statements of masters: old lines that no master claims any more are removed.
const OF_MASTERS: &[&str] = &[
    "monitor",
    "down-after-milliseconds",
    "failover-timeout",
    "parallel-syncs",
    "notification-script",
    "client-reconfig-script",
    "auth-pass",
    "auth-user",
    "config-epoch",
    "leader-epoch",
    "known-replica",
    "known-sentinel",
    "rename-command",
    "master-reboot-down-after-period",
];

/// Collects `sentinel <statement> …` lines.
struct Writer(Rewrite);

impl Writer {
    fn put(&mut self, statement: &str, value: &str, force: bool) {
        let option = format!("sentinel {statement}");
        let line = format!("{option} {value}");
        self.0.line(&option, line, force);
    }

    fn maybe(&mut self, statement: &str, value: Option<String>) {
        match value {
            Some(value) => self.put(statement, &value, true),
            None => self.0.processed(&format!("sentinel {statement}")),
        }
    }
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

impl Sentinel {
    /// Writes the configuration and waits until it is on disk: the new file, that it has the old one's name, and the
    /// file by that name once more (`rewriteConfigOverwriteFile`, then `sentinelFlushConfig`). When the disk fails, the
    /// sentinel goes on with what the disk doesn't know. False then.
    pub(super) fn flush_config(&mut self, cx: &mut Cx<'_>) -> bool {
        self.config.lines = self.rewritten();
        let data = Bytes::from(self.config.lines.text());
        let replaced = cx.out.disk_replace(&TEMPORARY.into(), data, FILE.into());
        let synced = replaced.and_then(|()| cx.out.disk_wait(DiskOp::Fsync { file: FILE.into() }));
        if let Err(error) = synced {
            let cause = cx.out.cause();
            cx.out.note(Kind::Sentinel(SentinelEvent::Unsaved { error: error.to_string().into() }));
            cx.out.because(cause);
        }
        synced.is_ok()
    }

    /// The same for a command that answers how it went (`sentinelFlushConfigAndReply`).
    pub(super) fn flush_config_and_reply(&mut self, cx: &mut Cx<'_>, reply: &mut Reply) {
        if self.flush_config(cx) {
            reply.ok();
        } else {
            reply.error("Failed to save config file. Check server logs.");
        }
    }

    fn rewritten(&self) -> Lines {
        let mut w = Writer(Rewrite::of(&self.config.lines));
        w.0.default_line("protected-mode", "protected-mode no");
        w.0.default_line("latency-tracking-info-percentiles", "latency-tracking-info-percentiles 50 99 99.9");
        let password = self.config.requirepass.as_ref().map_or("nopass".to_owned(), |password| {
            sha2::Sha256::digest(password.as_bytes())
                .iter()
                .fold("#".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        });
        w.0.default_line("user", &format!("user default on {password} ~* &* +@all"));
        let config = &self.config;
        w.put("myid", &self.my_id.to_string(), true);
        w.put("deny-scripts-reconfig", yes_no(config.deny_scripts_reconfig), !config.deny_scripts_reconfig);
        w.put("resolve-hostnames", yes_no(config.resolve_hostnames), config.resolve_hostnames);
        w.put("announce-hostnames", yes_no(config.announce_hostnames), config.announce_hostnames);
        for &master in &self.masters {
            self.rewrite_settings(&mut w, master);
            self.rewrite_known(&mut w, master);
        }
        w.put("current-epoch", &self.epoch.to_string(), true);
        w.maybe("announce-ip", config.announce_ip.as_ref().map(|ip| quote(ip.as_bytes())));
        let port = config.announce_port;
        w.maybe("announce-port", (port != 0).then(|| port.to_string()));
        w.maybe("sentinel-user", config.sentinel_user.as_ref().map(ToString::to_string));
        w.maybe("sentinel-pass", config.sentinel_pass.as_ref().map(ToString::to_string));
        for statement in OF_MASTERS {
            w.0.processed(&format!("sentinel {statement}"));
        }
        w.0.finish()
    }

    /// What was configured for a master.
    fn rewrite_settings(&self, w: &mut Writer, id: Id) {
        let (master, group) = (self.at(id), self.group(id));
        let name = &master.name;
        let addr = self.current_address(id);
        w.put("monitor", &format!("{name} {} {} {}", self.announced(addr), addr.port, group.quorum), true);
        let mut number = |statement: &str, value: i64, default: i64| {
            if value != default {
                w.put(statement, &format!("{name} {value}"), true);
            }
        };
        number("down-after-milliseconds", master.down_after, self.timing.default_down_after);
        number("failover-timeout", group.failover_timeout, self.timing.default_failover_timeout);
        number("parallel-syncs", group.parallel_syncs, i64::from(DEFAULT_PARALLEL_SYNCS));
        let mut text = |statement: &str, value: &Option<Arc<str>>| {
            if let Some(value) = value {
                w.put(statement, &format!("{name} {value}"), true);
            }
        };
        text("notification-script", &group.notification_script);
        text("client-reconfig-script", &group.client_reconfig_script);
        text("auth-pass", &group.auth_pass);
        text("auth-user", &group.auth_user);
        if group.reboot_down_after != 0 {
            w.put("master-reboot-down-after-period", &format!("{name} {}", group.reboot_down_after), true);
        }
    }

    /// What was found out about a master.
    fn rewrite_known(&self, w: &mut Writer, id: Id) {
        let (master, group) = (self.at(id), self.group(id));
        let name = &master.name;
        w.put("config-epoch", &format!("{name} {}", group.config_epoch), true);
        w.put("leader-epoch", &format!("{name} {}", master.leader_epoch), true);
        let current = self.current_address(id);
        for &slave in &group.slaves {
            // A promoted replica is written as the master already; in its place stands the old master.
            let addr = &self.at(slave).addr;
            let addr = if addr.same(current) { &master.addr } else { addr };
            w.put("known-replica", &format!("{name} {} {}", self.announced(addr), addr.port), true);
        }
        for &sentinel in &group.sentinels {
            let sentinel = self.at(sentinel);
            let Some(run_id) = sentinel.run_id else { continue };
            let mut value = String::new();
            write!(value, "{name} {} {} {run_id}", self.announced(&sentinel.addr), sentinel.addr.port)
                .expect("writing to a string can't fail");
            w.put("known-sentinel", &value, true);
        }
        for (from, to) in &group.renamed_commands {
            w.put("rename-command", &format!("{name} {from} {to}"), true);
        }
    }
}
