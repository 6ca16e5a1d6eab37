//! Saving: the configuration file as state (`rewriteConfigSentinelOption`, `sentinelFlushConfig`).

use std::sync::Arc;

use bytes::Bytes;
use sha2::Digest as _;

use super::config::{DEFAULT_PARALLEL_SYNCS, Lines, Rewrite};
use super::instances::Id;
use super::reply::Reply;
use super::{Cx, Sentinel};
use crate::id::HexId;
use crate::node::DiskOp;
use crate::resp::{format_i64, quote};
use crate::trace::Kind;
use crate::trace::event::SentinelEvent;

/// The file in the working directory.
pub(super) const FILE: &str = "sentinel.conf";
/// What it is written to before it takes the place of the old one.
const TEMPORARY: &str = "sentinel.conf.tmp";

/// Statements of masters: old lines that no master claims any more are removed.
const OF_MASTERS: &[&str] = &[
    "sentinel monitor",
    "sentinel down-after-milliseconds",
    "sentinel failover-timeout",
    "sentinel parallel-syncs",
    "sentinel notification-script",
    "sentinel client-reconfig-script",
    "sentinel auth-pass",
    "sentinel auth-user",
    "sentinel config-epoch",
    "sentinel leader-epoch",
    "sentinel known-replica",
    "sentinel known-sentinel",
    "sentinel rename-command",
    "sentinel master-reboot-down-after-period",
];

/// Collects `sentinel <statement> …` lines.
struct Writer {
    rewrite: Rewrite,
    /// The line that is being written.
    line: String,
}

/// What stands in a line, behind a blank.
enum Word<'a> {
    Text(&'a str),
    Number(i64),
    Epoch(u64),
    Hex(HexId),
}

impl Writer {
    fn put(&mut self, option: &'static str, words: &[Word<'_>], force: bool) {
        self.line.clear();
        self.line.push_str(option);
        for word in words {
            self.line.push(' ');
            match word {
                Word::Text(text) => self.line.push_str(text),
                Word::Number(n) => self.line.push_str(ascii(format_i64(*n, &mut [0; 20]))),
                Word::Epoch(epoch) => match i64::try_from(*epoch) {
                    Ok(n) => self.line.push_str(ascii(format_i64(n, &mut [0; 20]))),
                    Err(_) => self.line.push_str(&epoch.to_string()),
                },
                Word::Hex(id) => self.line.push_str(ascii(&id.hex())),
            }
        }
        self.rewrite.line(option, &self.line, force);
    }

    fn maybe(&mut self, option: &'static str, value: Option<&str>) {
        match value {
            Some(value) => self.put(option, &[Word::Text(value)], true),
            None => self.rewrite.processed(option),
        }
    }
}

fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).expect("digits are ASCII")
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

impl Sentinel {
    /// Writes the configuration and waits until it is on disk: the new file, that it has the old one's name, and the
    /// file by that name once more (`rewriteConfigOverwriteFile`, then `sentinelFlushConfig`). When the disk fails, the
    /// sentinel goes on with what the disk doesn't know. False then.
    pub(super) fn flush_config(&mut self, cx: &mut Cx<'_>) -> bool {
        let old = std::mem::take(&mut self.config.lines);
        self.config.lines = self.rewritten(old);
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

    fn rewritten(&self, old: Lines) -> Lines {
        use Word::{Epoch, Hex, Text};
        let mut w = Writer { rewrite: Rewrite::of(old), line: String::with_capacity(128) };
        w.rewrite.default_line("protected-mode", || "protected-mode no".to_owned());
        let percentiles = "latency-tracking-info-percentiles";
        w.rewrite.default_line(percentiles, || format!("{percentiles} 50 99 99.9"));
        let config = &self.config;
        w.rewrite.default_line("user", || {
            let password = config.requirepass.as_ref().map_or("nopass".to_owned(), |password| {
                sha2::Sha256::digest(password.as_bytes())
                    .iter()
                    .fold("#".to_owned(), |text, byte| text + &format!("{byte:02x}"))
            });
            format!("user default on {password} ~* &* +@all")
        });
        let scripts = config.deny_scripts_reconfig;
        w.put("sentinel myid", &[Hex(self.my_id)], true);
        w.put("sentinel deny-scripts-reconfig", &[Text(yes_no(scripts))], !scripts);
        w.put("sentinel resolve-hostnames", &[Text(yes_no(config.resolve_hostnames))], config.resolve_hostnames);
        w.put("sentinel announce-hostnames", &[Text(yes_no(config.announce_hostnames))], config.announce_hostnames);
        for &master in &self.masters {
            self.rewrite_settings(&mut w, master);
            self.rewrite_known(&mut w, master);
        }
        w.put("sentinel current-epoch", &[Epoch(self.epoch)], true);
        w.maybe("sentinel announce-ip", config.announce_ip.as_ref().map(|ip| quote(ip.as_bytes())).as_deref());
        match config.announce_port {
            0 => w.maybe("sentinel announce-port", None),
            port => w.put("sentinel announce-port", &[Word::Number(i64::from(port))], true),
        }
        w.maybe("sentinel sentinel-user", config.sentinel_user.as_deref());
        w.maybe("sentinel sentinel-pass", config.sentinel_pass.as_deref());
        for statement in OF_MASTERS {
            w.rewrite.processed(statement);
        }
        w.rewrite.finish()
    }

    /// What was configured for a master.
    fn rewrite_settings(&self, w: &mut Writer, id: Id) {
        use Word::{Number, Text};
        let (master, group) = (self.at(id), self.group(id));
        let name = &*master.name;
        let addr = self.current_address(id);
        let (port, quorum) = (i64::from(addr.port), i64::from(group.quorum));
        let place = [Text(name), Text(self.announced(addr)), Number(port), Number(quorum)];
        w.put("sentinel monitor", &place, true);
        let mut number = |option: &'static str, value: i64, default: i64| {
            if value != default {
                w.put(option, &[Text(name), Number(value)], true);
            }
        };
        number("sentinel down-after-milliseconds", master.down_after, self.timing.default_down_after);
        number("sentinel failover-timeout", group.failover_timeout, self.timing.default_failover_timeout);
        number("sentinel parallel-syncs", group.parallel_syncs, i64::from(DEFAULT_PARALLEL_SYNCS));
        let mut text = |option: &'static str, value: &Option<Arc<str>>| {
            if let Some(value) = value {
                w.put(option, &[Text(name), Text(value)], true);
            }
        };
        text("sentinel notification-script", &group.notification_script);
        text("sentinel client-reconfig-script", &group.client_reconfig_script);
        text("sentinel auth-pass", &group.auth_pass);
        text("sentinel auth-user", &group.auth_user);
        let reboot = group.reboot_down_after;
        if reboot != 0 {
            w.put("sentinel master-reboot-down-after-period", &[Text(name), Number(reboot)], true);
        }
    }

    /// What was found out about a master.
    fn rewrite_known(&self, w: &mut Writer, id: Id) {
        use Word::{Epoch, Hex, Number, Text};
        let (master, group) = (self.at(id), self.group(id));
        let name = &*master.name;
        w.put("sentinel config-epoch", &[Text(name), Epoch(group.config_epoch)], true);
        w.put("sentinel leader-epoch", &[Text(name), Epoch(master.leader_epoch)], true);
        let current = self.current_address(id);
        for &slave in &group.slaves {
            // A promoted replica is written as the master already; in its place stands the old master.
            let addr = &self.at(slave).addr;
            let addr = if addr.same(current) { &master.addr } else { addr };
            let place = [Text(name), Text(self.announced(addr)), Number(i64::from(addr.port))];
            w.put("sentinel known-replica", &place, true);
        }
        for &sentinel in &group.sentinels {
            let sentinel = self.at(sentinel);
            let Some(run_id) = sentinel.run_id else { continue };
            let addr = &sentinel.addr;
            let place = [Text(name), Text(self.announced(addr)), Number(i64::from(addr.port)), Hex(run_id)];
            w.put("sentinel known-sentinel", &place, true);
        }
        for (from, to) in &group.renamed_commands {
            w.put("sentinel rename-command", &[Text(name), Text(from), Text(to)], true);
        }
    }
}
