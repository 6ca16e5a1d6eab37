//! Settings at run time: SENTINEL SET, SENTINEL CONFIG and SENTINEL DEBUG.

use std::sync::Arc;

use super::clients::Key;
use super::commands::lossy;
use super::config::yes_no;
use super::instances::Id;
use super::reply::{Fields, Reply};
use super::{Cx, Ms, Sentinel, Timing, glob};
use crate::resp::{Args, parse_i64};
use crate::trace::event::{Detail, SentinelEventName};

/// Why an option of SENTINEL SET is refused.
enum Refused {
    /// The value at this position is bad.
    Value(usize),
    /// There is no such option, or a value is missing.
    Unknown,
    /// Scripts may not be changed.
    Denied,
}

fn optional(text: &[u8]) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| lossy(text).into())
}

/// A field of [`Timing`].
type Field = fn(&mut Timing) -> &mut Ms;

/// SENTINEL DEBUG's parameters, in the order in which they are shown.
const PERIODS: &[(&str, Field)] = &[
    ("INFO-PERIOD", |t| &mut t.info_period),
    ("PING-PERIOD", |t| &mut t.ping_period),
    ("ASK-PERIOD", |t| &mut t.ask_period),
    ("PUBLISH-PERIOD", |t| &mut t.publish_period),
    ("DEFAULT-DOWN-AFTER", |t| &mut t.default_down_after),
    ("DEFAULT-FAILOVER-TIMEOUT", |t| &mut t.default_failover_timeout),
    ("TILT-TRIGGER", |t| &mut t.tilt_trigger),
    ("TILT-PERIOD", |t| &mut t.tilt_period),
    ("SLAVE-RECONF-TIMEOUT", |t| &mut t.slave_reconf_timeout),
    ("MIN-LINK-RECONNECT-PERIOD", |t| &mut t.min_link_reconnect_period),
    ("ELECTION-TIMEOUT", |t| &mut t.election_timeout),
    ("SCRIPT-MAX-RUNTIME", |t| &mut t.script_max_runtime),
    ("SCRIPT-RETRY-DELAY", |t| &mut t.script_retry_delay),
];

impl Sentinel {
    /// SENTINEL SET (`sentinelSetCommand`): options take effect one by one, up to the first bad one.
    pub(super) fn set_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let Some(master) = self.named_master(args, reply) else { return };
        let (mut at, mut changed) = (3, false);
        while at < args.len() {
            let option = lossy(args.get(at));
            let values = match self.set_option(cx, master, &option.to_ascii_lowercase(), args, at) {
                Ok(values) => values,
                Err(refused) => {
                    match refused {
                        Refused::Value(index) => reply.error(&format!(
                            "Invalid argument '{}' for SENTINEL SET '{option}'",
                            lossy(args.get(index))
                        )),
                        Refused::Unknown => {
                            reply.error(&format!("Unknown option or number of arguments for SENTINEL SET '{option}'"))
                        }
                        Refused::Denied => reply.error(
                            "Reconfiguration of scripts path is denied for security reasons. Check the \
                             deny-scripts-reconfig configuration directive in your Sentinel configuration",
                        ),
                    }
                    if changed {
                        self.flush_config(cx);
                    }
                    return;
                }
            };
            changed = true;
            let mut text = option.clone();
            for index in 1..=values {
                text.push(' ');
                let secret = option.eq_ignore_ascii_case("auth-pass");
                text.push_str(&if secret { "******".to_owned() } else { lossy(args.get(at + index)) });
            }
            self.warn(cx, SentinelEventName::Set, master, Detail::Text(text.into()));
            at += values + 1;
        }
        self.all_stale = true;
        self.forget_hellos();
        if changed {
            self.flush_config_and_reply(cx, reply);
        }
    }

    /// Sets one option and returns how many values it took.
    fn set_option(
        &mut self,
        cx: &mut Cx<'_>,
        master: Id,
        option: &str,
        args: &Args,
        at: usize,
    ) -> Result<usize, Refused> {
        let more = args.len() - at - 1;
        if more == 0 || (option == "rename-command" && more < 2) {
            return Err(Refused::Unknown);
        }
        let value = args.get(at + 1);
        let at_least = |low: i64| parse_i64(value).filter(|&number| number >= low).ok_or(Refused::Value(at + 1));
        match option {
            "down-after-milliseconds" => {
                self.at_mut(master).down_after = at_least(1)?;
                self.propagate_down_after(master);
            }
            "failover-timeout" => self.group_mut(master).failover_timeout = at_least(1)?,
            "parallel-syncs" => self.group_mut(master).parallel_syncs = at_least(1)?,
            "quorum" => {
                // A `long long` is put into an `unsigned int`, whatever is left of it.
                let low = at_least(1)? & i64::from(u32::MAX);
                self.group_mut(master).quorum = u32::try_from(low).expect("32 bits");
            }
            "master-reboot-down-after-period" => self.group_mut(master).reboot_down_after = at_least(0)?,
            "notification-script" | "client-reconfig-script" => {
                if self.config.deny_scripts_reconfig {
                    return Err(Refused::Denied);
                }
                let group = self.group_mut(master);
                if option == "notification-script" {
                    group.notification_script = optional(value);
                } else {
                    group.client_reconfig_script = optional(value);
                }
            }
            "auth-pass" => {
                self.group_mut(master).auth_pass = optional(value);
                self.drop_master_connections(cx, master);
            }
            "auth-user" => {
                self.group_mut(master).auth_user = optional(value);
                self.drop_master_connections(cx, master);
            }
            "rename-command" => {
                let new = args.get(at + 2);
                if value.is_empty() || new.is_empty() {
                    return Err(Refused::Value(if new.is_empty() { at + 2 } else { at + 1 }));
                }
                let (old, new) = (lossy(value), lossy(new));
                let renamed = &mut self.group_mut(master).renamed_commands;
                renamed.retain(|(known, _)| !known.eq_ignore_ascii_case(&old));
                if !old.eq_ignore_ascii_case(&new) {
                    renamed.push((old.into(), new.into()));
                }
                return Ok(2);
            }
            _ => return Err(Refused::Unknown),
        }
        Ok(1)
    }

    /// SENTINEL CONFIG GET and SET.
    pub(super) fn config_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let word = args.get(2);
        if word.eq_ignore_ascii_case(b"set") && args.len() == 5 {
            self.config_set(cx, args, reply);
        } else if word.eq_ignore_ascii_case(b"get") && args.len() == 4 {
            self.config_get(args.get(3), reply);
        } else {
            reply.error("Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.");
        }
    }

    fn config_set(&mut self, cx: &mut Cx<'_>, args: &Args, reply: &mut Reply) {
        let (option, value) = (lossy(args.get(3)), args.get(4));
        let bad = || format!("Invalid value '{}' to SENTINEL CONFIG SET '{option}'", lossy(value));
        let mut reconnect = false;
        match option.to_ascii_lowercase().as_str() {
            name @ ("resolve-hostnames" | "announce-hostnames") => {
                let Some(on) = yes_no(&lossy(value)) else { return reply.error(&bad()) };
                if name == "resolve-hostnames" {
                    self.config.resolve_hostnames = on;
                } else {
                    self.config.announce_hostnames = on;
                }
            }
            "announce-ip" => self.config.announce_ip = Some(lossy(value).into()),
            "announce-port" => {
                let Some(port) = parse_i64(value).and_then(|port| u16::try_from(port).ok()) else {
                    return reply.error(&bad());
                };
                self.config.announce_port = port;
            }
            "sentinel-user" => {
                self.config.sentinel_user = optional(value);
                reconnect = true;
            }
            "sentinel-pass" => {
                self.config.sentinel_pass = optional(value);
                reconnect = true;
            }
            _ => return reply.error(&format!("Invalid argument '{option}' to SENTINEL CONFIG SET")),
        }
        self.forget_hellos();
        self.flush_config_and_reply(cx, reply);
        if reconnect {
            self.drop_sentinel_connections(cx);
        }
    }

    fn config_get(&self, pattern: &[u8], reply: &mut Reply) {
        let config = &self.config;
        let yes_no = |on: bool| if on { "yes" } else { "no" }.to_owned();
        let text = |value: &Option<Arc<str>>| value.as_deref().unwrap_or_default().to_owned();
        let all = [
            ("resolve-hostnames", yes_no(config.resolve_hostnames)),
            ("announce-hostnames", yes_no(config.announce_hostnames)),
            ("announce-ip", text(&config.announce_ip)),
            ("announce-port", config.announce_port.to_string()),
            ("sentinel-user", text(&config.sentinel_user)),
            ("sentinel-pass", text(&config.sentinel_pass)),
        ];
        let mut fields = Fields::new(reply.resp3);
        for (name, value) in all {
            if glob::matches(pattern, name.as_bytes(), true) {
                fields.text(name, value);
            }
        }
        fields.finish(reply);
    }

    /// SENTINEL DEBUG: shows the periods, or changes some.
    pub(super) fn debug_command(&mut self, _cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        if args.len() == 2 {
            let mut fields = Fields::new(reply.resp3);
            for (name, field) in PERIODS {
                fields.number(name, *field(&mut self.timing));
            }
            return fields.finish(reply);
        }
        self.all_stale = true;
        let mut at = 2;
        while at < args.len() {
            let option = args.get(at);
            let known = PERIODS.iter().find(|(name, _)| option.eq_ignore_ascii_case(name.as_bytes()));
            let Some((_, field)) = known.filter(|_| at + 1 < args.len()) else {
                return reply
                    .error(&format!("Unknown option or number of arguments for SENTINEL DEBUG '{}'", lossy(option)));
            };
            match parse_i64(args.get(at + 1)) {
                Some(number) if number > 0 => *field(&mut self.timing) = number,
                Some(_) | None => {
                    return reply.error(&format!(
                        "Invalid argument '{}' for SENTINEL DEBUG '{}'",
                        lossy(args.get(at + 1)),
                        lossy(option)
                    ));
                }
            }
            at += 2;
        }
        reply.ok();
    }
}
