//! The `sentinel …` statements of a configuration file (`sentinelHandleConfiguration`).

use std::sync::Arc;

use super::{Config, MasterConf};
use crate::conf::{self, ConfError, Directive};
use crate::id::{HexId, Ip};

/// Statements that are applied before the masters exist (`preMonitorCfgName`).
const BEFORE_MONITOR: &[&str] = &[
    "announce-ip",
    "announce-port",
    "deny-scripts-reconfig",
    "sentinel-user",
    "sentinel-pass",
    "current-epoch",
    "myid",
    "resolve-hostnames",
    "announce-hostnames",
];

/// Every statement with the arguments it takes, for messages.
const USAGE: &[(&str, &str)] = &[
    ("monitor", "<name> <ip> <port> <quorum>"),
    ("down-after-milliseconds", "<name> <milliseconds>"),
    ("failover-timeout", "<name> <milliseconds>"),
    ("parallel-syncs", "<name> <number>"),
    ("notification-script", "<name> <path>"),
    ("client-reconfig-script", "<name> <path>"),
    ("auth-pass", "<name> <password>"),
    ("auth-user", "<name> <user>"),
    ("current-epoch", "<epoch>"),
    ("myid", "<40 hexadecimal digits>"),
    ("config-epoch", "<name> <epoch>"),
    ("leader-epoch", "<name> <epoch>"),
    ("known-replica", "<name> <ip> <port>"),
    ("known-slave", "<name> <ip> <port>"),
    ("known-sentinel", "<name> <ip> <port> <id>"),
    ("rename-command", "<name> <command> <new command>"),
    ("announce-ip", "<ip>"),
    ("announce-port", "<port>"),
    ("deny-scripts-reconfig", "yes|no"),
    ("sentinel-user", "<user>"),
    ("sentinel-pass", "<password>"),
    ("resolve-hostnames", "yes|no"),
    ("announce-hostnames", "yes|no"),
    ("master-reboot-down-after-period", "<name> <milliseconds>"),
];

/// Which of the three load queues a statement waits in; `None`: the bare word `sentinel`, which says nothing.
pub(super) fn queue_of(directive: &Directive) -> Option<usize> {
    let statement = String::from_utf8_lossy(directive.args.first()?).to_ascii_lowercase();
    Some(match statement.as_str() {
        "monitor" => 1,
        name if BEFORE_MONITOR.contains(&name) => 0,
        _ => 2,
    })
}

/// C's `atoi`: leading blanks, a sign, digits; what follows is ignored, nothing is 0.
pub(crate) fn atoi(text: &str) -> i32 {
    let text = text.trim_start();
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0i64, |n, digit| (n * 10 + i64::from(digit - b'0')).min(i64::from(u32::MAX)));
    let number = if negative { -magnitude } else { magnitude };
    i32::try_from(number).unwrap_or(if negative { i32::MIN } else { i32::MAX })
}

/// C's `strtoull` for an unsigned decimal number.
pub(crate) fn strtoull(text: &[u8]) -> u64 {
    text.trim_ascii_start()
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

/// C's `yesnotoi`.
pub(crate) fn yes_no(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("yes") {
        Some(true)
    } else if text.eq_ignore_ascii_case("no") {
        Some(false)
    } else {
        None
    }
}

fn optional(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}

impl Config {
    /// Applies one statement.
    pub(super) fn statement(&mut self, directive: &Directive) -> Result<(), ConfError> {
        let fail = |message: &str, help: Option<String>| {
            let statement = directive.args.first().map(|arg| String::from_utf8_lossy(arg)).unwrap_or_default();
            Err(ConfError {
                line: directive.line,
                directive: format!("sentinel {statement}"),
                message: message.to_owned(),
                help,
            })
        };
        let words: Result<Vec<&str>, _> = directive.args.iter().map(|arg| std::str::from_utf8(arg)).collect();
        let Ok(words) = words else { return fail("invalid bytes", Some("use UTF-8 text".to_owned())) };
        let Some((&statement, args)) = words.split_first() else { return Ok(()) };
        let statement = statement.to_ascii_lowercase();
        match self.apply_statement(&statement, args) {
            Ok(()) => Ok(()),
            Err(message) if message == UNRECOGNIZED => fail(message, Some(hint(&statement))),
            Err(message) if message == NO_MASTER => {
                let near = args.first().and_then(|name| conf::nearest(name, self.masters.iter().map(|m| &*m.name)));
                fail(message, near.map(|near| format!("did you mean \"{near}\"?")))
            }
            Err(message) => fail(message, None),
        }
    }

    fn apply_statement(&mut self, statement: &str, args: &[&str]) -> Result<(), &'static str> {
        match (statement, args) {
            ("monitor", [name, host, port, quorum]) => self.monitor(name, host, port, quorum),
            ("current-epoch", [epoch]) => {
                self.current_epoch = self.current_epoch.max(strtoull(epoch.as_bytes()));
                Ok(())
            }
            ("myid", [id]) => {
                self.my_id = Some(HexId::parse(id.as_bytes()).ok_or("Malformed Sentinel id in myid option.")?);
                Ok(())
            }
            ("announce-ip", [ip]) => {
                self.announce_ip = optional(ip).or(self.announce_ip.take());
                Ok(())
            }
            ("announce-port", [port]) => {
                self.announce_port = u16::try_from(atoi(port)).map_err(|_| "Invalid port number.")?;
                Ok(())
            }
            ("deny-scripts-reconfig", [value]) => {
                self.deny_scripts_reconfig =
                    yes_no(value).ok_or("Please specify yes or no for the deny-scripts-reconfig options.")?;
                Ok(())
            }
            ("sentinel-user", [user]) => {
                self.sentinel_user = optional(user).or(self.sentinel_user.take());
                Ok(())
            }
            ("sentinel-pass", [password]) => {
                self.sentinel_pass = optional(password).or(self.sentinel_pass.take());
                Ok(())
            }
            ("resolve-hostnames", [value]) => {
                self.resolve_hostnames =
                    yes_no(value).ok_or("Please specify yes or no for the resolve-hostnames option.")?;
                Ok(())
            }
            ("announce-hostnames", [value]) => {
                self.announce_hostnames =
                    yes_no(value).ok_or("Please specify yes or no for the announce-hostnames option.")?;
                Ok(())
            }
            // The old form without an id is ignored.
            ("known-sentinel", [_, _, _]) => Ok(()),
            (_, [name, rest @ ..]) if !rest.is_empty() && !BEFORE_MONITOR.contains(&statement) => {
                self.of_master(statement, name, rest)
            }
            _ => Err(UNRECOGNIZED),
        }
    }

    fn monitor(&mut self, name: &str, host: &str, port: &str, quorum: &str) -> Result<(), &'static str> {
        let quorum = u32::try_from(atoi(quorum)).unwrap_or(0);
        if quorum == 0 {
            return Err("Quorum must be 1 or greater.");
        }
        let port = self.checked_address(host, port)?;
        if self.masters.iter().any(|master| &*master.name == name) {
            return Err("Duplicate master name.");
        }
        self.masters.push(MasterConf::new(name.into(), host.into(), port, quorum));
        Ok(())
    }

    /// What `createSentinelAddr` checks while a file is read: names that can't be resolved yet are kept.
    fn checked_address(&self, host: &str, port: &str) -> Result<u16, &'static str> {
        let port = u16::try_from(atoi(port)).map_err(|_| "Invalid port number.")?;
        if !self.resolve_hostnames && Ip::parse(host).is_none() {
            return Err("Can't resolve instance hostname.");
        }
        Ok(port)
    }

    fn of_master(&mut self, statement: &str, name: &str, args: &[&str]) -> Result<(), &'static str> {
        if !USAGE.iter().any(|(known, usage)| *known == statement && usage.split('<').count() == args.len() + 2) {
            return Err(UNRECOGNIZED);
        }
        let index = self.masters.iter().position(|master| &*master.name == name).ok_or(NO_MASTER)?;
        match (statement, args) {
            ("known-slave" | "known-replica", [host, port]) => {
                let port = self.checked_address(host, port)?;
                let replicas = &mut self.masters[index].replicas;
                if replicas.iter().any(|(h, p)| &**h == *host && *p == port) {
                    return Err("Duplicate hostname and port for replica.");
                }
                replicas.push(((*host).into(), port));
            }
            ("known-sentinel", [host, port, id]) => {
                let port = self.checked_address(host, port)?;
                let id = HexId::parse(id.as_bytes()).ok_or("Malformed Sentinel id in known-sentinel option.")?;
                let sentinels = &mut self.masters[index].sentinels;
                if sentinels.iter().any(|(_, _, known)| *known == id) {
                    return Err("Duplicate runid for sentinel.");
                }
                sentinels.push(((*host).into(), port, id));
            }
            (_, [from, to]) => self.masters[index].rename(from, to)?,
            (_, [value]) => {
                self.masters[index].setting(statement, value)?;
                self.current_epoch = self.current_epoch.max(self.masters[index].config_epoch);
            }
            _ => return Err(UNRECOGNIZED),
        }
        Ok(())
    }
}

impl MasterConf {
    fn rename(&mut self, from: &str, to: &str) -> Result<(), &'static str> {
        if self.renamed_commands.iter().any(|(known, _)| known.eq_ignore_ascii_case(from)) {
            return Err("Same command renamed multiple times with rename-command.");
        }
        self.renamed_commands.push((from.into(), to.into()));
        Ok(())
    }

    fn setting(&mut self, statement: &str, value: &str) -> Result<(), &'static str> {
        let positive = || match atoi(value) {
            n if n > 0 => Ok(i64::from(n)),
            _ => Err("negative or zero time parameter."),
        };
        match statement {
            "down-after-milliseconds" => self.down_after = positive()?,
            "failover-timeout" => self.failover_timeout = positive()?,
            "parallel-syncs" => self.parallel_syncs = atoi(value),
            "notification-script" => self.notification_script = Some(value.into()),
            "client-reconfig-script" => self.client_reconfig_script = Some(value.into()),
            "auth-pass" => self.auth_pass = Some(value.into()),
            "auth-user" => self.auth_user = Some(value.into()),
            "config-epoch" => self.config_epoch = strtoull(value.as_bytes()),
            "leader-epoch" => self.leader_epoch = strtoull(value.as_bytes()),
            "master-reboot-down-after-period" => match atoi(value) {
                n if n >= 0 => self.reboot_down_after = i64::from(n),
                _ => return Err("negative time parameter."),
            },
            _ => return Err(UNRECOGNIZED),
        }
        Ok(())
    }
}

const UNRECOGNIZED: &str = "Unrecognized sentinel configuration statement.";
const NO_MASTER: &str = "No such master with specified name.";

/// How the statement is written, or which one may have been meant.
fn hint(statement: &str) -> String {
    if let Some((name, usage)) = USAGE.iter().find(|(name, _)| *name == statement) {
        return format!("it is written \"sentinel {name} {usage}\"");
    }
    match conf::nearest(statement, USAGE.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean \"sentinel {near}\"?"),
        None => "see the statements that Redis's own sentinel.conf explains".to_owned(),
    }
}
