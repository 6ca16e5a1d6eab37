//! sentinel.conf: what its directives mean, and the settings that they fill in. Timing constants live in `timing`.

mod lines;
mod names;
mod statements;

use std::sync::Arc;

pub(crate) use lines::{Lines, Rewrite};
pub(crate) use statements::{atoi, strtoull, yes_no};

use crate::conf::{self, ConfError, ConfWarning, Directive};
use crate::id::HexId;

/// The port of `initSentinelConfig`.
pub const DEFAULT_PORT: u16 = 26_379;
/// `sentinel_default_down_after`, in milliseconds.
pub(crate) const DEFAULT_DOWN_AFTER: i64 = 30_000;
/// `sentinel_default_failover_timeout`, in milliseconds.
pub(crate) const DEFAULT_FAILOVER_TIMEOUT: i64 = 180_000;
/// `SENTINEL_DEFAULT_PARALLEL_SYNCS`.
pub(crate) const DEFAULT_PARALLEL_SYNCS: i32 = 1;

/// A sentinel's settings and the state that its configuration file keeps across restarts.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it listens.
    pub port: u16,
    /// `requirepass`: clients must authenticate, and other sentinels are authenticated to with it.
    pub requirepass: Option<Arc<str>>,
    /// `sentinel myid`; `None`: one is drawn at the first start and saved.
    pub my_id: Option<HexId>,
    /// `sentinel current-epoch`.
    pub current_epoch: u64,
    /// `sentinel announce-ip`: told to other sentinels instead of the own address.
    pub announce_ip: Option<Arc<str>>,
    /// `sentinel announce-port`; 0: the own port.
    pub announce_port: u16,
    /// `sentinel deny-scripts-reconfig`.
    pub deny_scripts_reconfig: bool,
    /// `sentinel sentinel-user`: the name used to authenticate to other sentinels.
    pub sentinel_user: Option<Arc<str>>,
    /// `sentinel sentinel-pass`: the password used to authenticate to other sentinels.
    pub sentinel_pass: Option<Arc<str>>,
    /// `sentinel resolve-hostnames`.
    pub resolve_hostnames: bool,
    /// `sentinel announce-hostnames`.
    pub announce_hostnames: bool,
    /// The monitored masters, in the order of their `sentinel monitor` lines.
    pub masters: Vec<MasterConf>,
    /// The file's lines, which a rewrite keeps where they are.
    pub(crate) lines: Lines,
}

/// One monitored master.
#[derive(Clone, Debug, PartialEq)]
pub struct MasterConf {
    /// Its name.
    pub name: Arc<str>,
    /// Its address or host name.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// How many sentinels must agree that it is down.
    pub quorum: u32,
    /// `down-after-milliseconds`.
    pub down_after: i64,
    /// `failover-timeout`, in milliseconds.
    pub failover_timeout: i64,
    /// `parallel-syncs`.
    pub parallel_syncs: i32,
    /// `notification-script`.
    pub notification_script: Option<Arc<str>>,
    /// `client-reconfig-script`.
    pub client_reconfig_script: Option<Arc<str>>,
    /// `auth-pass`.
    pub auth_pass: Option<Arc<str>>,
    /// `auth-user`.
    pub auth_user: Option<Arc<str>>,
    /// `rename-command`: from, to.
    pub renamed_commands: Vec<(Arc<str>, Arc<str>)>,
    /// `master-reboot-down-after-period`, in milliseconds; 0: a restart alone is no reason.
    pub reboot_down_after: i64,
    /// `config-epoch`.
    pub config_epoch: u64,
    /// `leader-epoch`: the epoch of this sentinel's last vote.
    pub leader_epoch: u64,
    /// `known-replica`: host and port.
    pub replicas: Vec<(Arc<str>, u16)>,
    /// `known-sentinel`: host, port and id.
    pub sentinels: Vec<(Arc<str>, u16, HexId)>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            port: DEFAULT_PORT,
            requirepass: None,
            my_id: None,
            current_epoch: 0,
            announce_ip: None,
            announce_port: 0,
            deny_scripts_reconfig: true,
            sentinel_user: None,
            sentinel_pass: None,
            resolve_hostnames: false,
            announce_hostnames: false,
            masters: Vec::new(),
            lines: Lines::default(),
        }
    }
}

impl Config {
    /// The defaults of Redis 7.0 with `directives` applied as Sentinel does: global statements first, then `monitor`
    /// statements, then the rest (`loadSentinelConfigFromQueue`). `sentinel monitor …` is a directive named
    /// `sentinel` whose first argument is `monitor`.
    ///
    /// # Errors
    /// Every directive that is unknown or has a bad value, in Sentinel's own words.
    pub fn from_directives(directives: &[Directive]) -> Result<(Config, Vec<ConfWarning>), Vec<ConfError>> {
        let mut config = Config { lines: Lines::from_directives(directives), ..Config::default() };
        let warnings = config.apply(directives)?;
        Ok((config, warnings))
    }

    /// Reads a whole file, keeping its lines for the next rewrite.
    ///
    /// # Errors
    /// As [`Config::from_directives`], and a line with unbalanced quotes.
    pub fn from_text(text: &[u8]) -> Result<(Config, Vec<ConfWarning>), Vec<ConfError>> {
        let directives = conf::parse(text).map_err(|error| vec![error])?;
        let mut config = Config { lines: Lines::from_text(text), ..Config::default() };
        let warnings = config.apply(&directives)?;
        Ok((config, warnings))
    }

    fn apply(&mut self, directives: &[Directive]) -> Result<Vec<ConfWarning>, Vec<ConfError>> {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let mut queues: [Vec<&Directive>; 3] = Default::default();
        for directive in directives {
            if directive.name == "sentinel" {
                if let Some(queue) = statements::queue_of(directive) {
                    queues[queue].push(directive);
                }
            } else {
                match self.redis_directive(directive) {
                    Ok(None) => {}
                    Ok(Some(warning)) => warnings.push(warning),
                    Err(error) => errors.push(error),
                }
            }
        }
        for directive in queues.into_iter().flatten() {
            if let Err(error) = self.statement(directive) {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(warnings) } else { Err(errors) }
    }

    /// A directive of redis.conf in a sentinel's file: a few matter, the rest is accepted as Redis accepts it.
    fn redis_directive(&mut self, directive: &Directive) -> Result<Option<ConfWarning>, ConfError> {
        let error = |message: &str, help: Option<String>| ConfError {
            line: directive.line,
            directive: directive.name.clone(),
            message: message.to_owned(),
            help,
        };
        let name = directive.name.as_str();
        if name == "user" && !directive.args.is_empty() {
            // What a rewrite of a sentinel without a password leaves in the file says nothing new.
            let open = directive.args.first().is_some_and(|user| user == b"default")
                && directive.args.iter().any(|rule| rule == b"nopass");
            return Ok((!open).then(|| unmodelled(directive, "access control lists are not modelled in a sentinel")));
        }
        let Some(kind) = names::kind(name) else {
            let help = conf::nearest(name, names::all().chain(["sentinel"]))
                .map(|near| format!("did you mean \"{near}\"?"))
                .or_else(|| Some("Sentinel's own settings begin with the word \"sentinel\"".to_owned()));
            return Err(error("Bad directive or wrong number of arguments", help));
        };
        if kind != names::Kind::Many && directive.args.len() != 1 {
            return Err(error("wrong number of arguments", Some(format!("{name} takes one value"))));
        }
        let text = directive.args.first().map(|arg| String::from_utf8_lossy(arg).into_owned()).unwrap_or_default();
        match name {
            "port" => {
                self.port = text.parse().map_err(|_| {
                    error("argument must be between 0 and 65535 inclusive", Some("a TCP port".to_owned()))
                })?;
                Ok(None)
            }
            "requirepass" => {
                self.requirepass = (!text.is_empty()).then(|| text.into());
                Ok(None)
            }
            _ if kind == names::Kind::Quiet || name == "latency-tracking-info-percentiles" => Ok(None),
            _ => Ok(Some(unmodelled(directive, "has no effect on a simulated sentinel"))),
        }
    }
}

fn unmodelled(directive: &Directive, why: &str) -> ConfWarning {
    ConfWarning { line: directive.line, directive: directive.name.clone(), message: why.to_owned() }
}

impl MasterConf {
    pub(crate) fn new(name: Arc<str>, host: Arc<str>, port: u16, quorum: u32) -> MasterConf {
        MasterConf {
            name,
            host,
            port,
            quorum,
            down_after: DEFAULT_DOWN_AFTER,
            failover_timeout: DEFAULT_FAILOVER_TIMEOUT,
            parallel_syncs: DEFAULT_PARALLEL_SYNCS,
            notification_script: None,
            client_reconfig_script: None,
            auth_pass: None,
            auth_user: None,
            renamed_commands: Vec::new(),
            reboot_down_after: 0,
            config_epoch: 0,
            leader_epoch: 0,
            replicas: Vec::new(),
            sentinels: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
