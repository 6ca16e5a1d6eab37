//! Commands that a sentinel answers: the table, what is checked before a call, and SENTINEL itself
//! (`sentinelCommand`).

use super::clients::Key;
use super::digest::CRASH_AFTER_PROMOTION;
use super::failover::CRASH_AFTER_ELECTION;
use super::instances::{Flags, Id, Role};
use super::reply::{Fields, Reply};
use super::{Cx, Sentinel, glob};
use crate::id::HexId;
use crate::resp::{Args, parse_i64};
use crate::trace::event::{Detail, FailoverState, InstanceKind, SentinelEventName};

type Handler = fn(&mut Sentinel, &mut Cx<'_>, Key, &Args, &mut Reply);

/// A row of the command table.
pub(super) struct Spec {
    /// `command` or `command|subcommand`, as Redis calls it in messages.
    pub(super) name: &'static str,
    /// Exact number of arguments, or minus the least number.
    arity: i32,
    handler: Handler,
}

macro_rules! table {
    ($($name:literal $arity:literal $handler:path),+ $(,)?) => {
        /// Every command and subcommand.
        pub(super) const TABLE: &[Spec] = &[$(Spec { name: $name, arity: $arity, handler: $handler }),+];
    };
}

table! {
    "ping" -1 Sentinel::ping_command,
    "publish" 3 Sentinel::publish_command,
    "subscribe" -2 Sentinel::subscribe_command,
    "unsubscribe" -1 Sentinel::unsubscribe_command,
    "psubscribe" -2 Sentinel::psubscribe_command,
    "punsubscribe" -1 Sentinel::punsubscribe_command,
    "info" -1 Sentinel::info_command,
    "role" 1 Sentinel::role_command,
    "auth" -2 Sentinel::auth_command,
    "hello" -1 Sentinel::hello_command,
    "shutdown" -1 Sentinel::shutdown_command,
    "acl|whoami" 2 Sentinel::acl_whoami,
    "acl|users" 2 Sentinel::acl_users,
    "acl|list" 2 Sentinel::acl_list,
    "client|id" 2 Sentinel::client_id,
    "client|getname" 2 Sentinel::client_getname,
    "client|setname" 3 Sentinel::client_setname,
    "client|info" 2 Sentinel::client_info,
    "client|list" -2 Sentinel::client_list,
    "client|kill" -3 Sentinel::client_kill,
    "client|reply" 3 Sentinel::client_reply,
    "client|no-evict" 3 Sentinel::client_no_evict,
    "command|count" 2 Sentinel::command_count,
    "command|list" -2 Sentinel::command_list,
    "sentinel|ckquorum" 3 Sentinel::ckquorum,
    "sentinel|config" -3 Sentinel::config_command,
    "sentinel|debug" -2 Sentinel::debug_command,
    "sentinel|get-master-addr-by-name" 3 Sentinel::get_master_addr,
    "sentinel|failover" 3 Sentinel::failover_command,
    "sentinel|flushconfig" 2 Sentinel::flushconfig,
    "sentinel|help" 2 Sentinel::help,
    "sentinel|info-cache" -3 Sentinel::info_cache,
    "sentinel|is-master-down-by-addr" 6 Sentinel::is_master_down,
    "sentinel|master" 3 Sentinel::master_command,
    "sentinel|masters" 2 Sentinel::masters_command,
    "sentinel|monitor" 6 Sentinel::monitor_command,
    "sentinel|myid" 2 Sentinel::myid,
    "sentinel|pending-scripts" 2 Sentinel::pending_scripts,
    "sentinel|remove" 3 Sentinel::remove_command,
    "sentinel|replicas" 3 Sentinel::replicas_command,
    "sentinel|slaves" 3 Sentinel::replicas_command,
    "sentinel|reset" 3 Sentinel::reset_command,
    "sentinel|sentinels" 3 Sentinel::sentinels_command,
    "sentinel|set" -5 Sentinel::set_command,
    "sentinel|simulate-failure" -3 Sentinel::simulate_failure,
}

/// Containers and the least number of arguments that they take.
const CONTAINERS: &[(&str, i32)] = &[("acl", 2), ("client", 2), ("command", 1), ("sentinel", 2)];

/// What a subscriber of the old protocol may still send.
const WHILE_SUBSCRIBED: &[&str] = &["ping", "subscribe", "unsubscribe", "psubscribe", "punsubscribe"];

/// `value is not an integer or out of range`, as everywhere.
const NOT_INTEGER: &str = "value is not an integer or out of range";

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn shortened(bytes: &[u8], most: usize) -> String {
    lossy(&bytes[..bytes.len().min(most)])
}

/// Finds the row, or says as Redis does what is wrong with the request.
fn look_up(args: &Args) -> Result<&'static Spec, String> {
    let (word, count) = (args.get(0), i32::try_from(args.len()).unwrap_or(i32::MAX));
    let container = CONTAINERS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    let spec = match container {
        Some((name, least)) if count < *least || (args.len() == 1 && *name != "command") => {
            return Err(format!("wrong number of arguments for '{name}' command"));
        }
        Some((name, _)) if args.len() == 1 => {
            return Err(format!("{} without a subcommand is not modelled", name.to_ascii_uppercase()));
        }
        Some((name, _)) => {
            let wanted = args.get(1);
            let row = TABLE.iter().find(|spec| {
                spec.name.split_once('|').is_some_and(|(container, subcommand)| {
                    container == *name && wanted.eq_ignore_ascii_case(subcommand.as_bytes())
                })
            });
            row.ok_or_else(|| {
                let upper = name.to_ascii_uppercase();
                format!("unknown subcommand '{}'. Try {upper} HELP.", shortened(wanted, 128))
            })?
        }
        None => {
            TABLE.iter().find(|spec| word.eq_ignore_ascii_case(spec.name.as_bytes())).ok_or_else(|| unknown(args))?
        }
    };
    if (spec.arity > 0 && spec.arity != count) || count < -spec.arity {
        return Err(format!("wrong number of arguments for '{}' command", spec.name));
    }
    Ok(spec)
}

fn unknown(args: &Args) -> String {
    let mut beginning = String::new();
    for arg in args.iter().skip(1) {
        if beginning.len() >= 128 {
            break;
        }
        beginning.push_str(&format!("'{}' ", shortened(arg, 128 - beginning.len())));
    }
    format!("unknown command '{}', with args beginning with: {beginning}", shortened(args.get(0), 128))
}

/// The state's name in replies (`sentinelFailoverStateStr`).
fn state_name(state: FailoverState) -> &'static str {
    match state {
        FailoverState::None => "none",
        FailoverState::WaitStart => "wait_start",
        FailoverState::SelectSlave => "select_slave",
        FailoverState::SendSlaveofNoone => "send_slaveof_noone",
        FailoverState::WaitPromotion => "wait_promotion",
        FailoverState::ReconfSlaves => "reconf_slaves",
        FailoverState::UpdateConfig => "update_config",
    }
}

impl Sentinel {
    /// Executes a request (`processCommand`).
    pub(super) fn command(&mut self, cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        let spec = match look_up(args) {
            Ok(spec) => spec,
            Err(message) => return reply.error(&message),
        };
        let client = &mut self.clients.table[key];
        if !client.authenticated && !matches!(spec.name, "auth" | "hello") {
            return reply.error("-NOAUTH Authentication required.");
        }
        let subscribed = !client.channels.is_empty() || !client.patterns.is_empty();
        if subscribed && !client.resp3 && !WHILE_SUBSCRIBED.contains(&spec.name) {
            return reply.error(&format!(
                "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                spec.name
            ));
        }
        client.last_command = spec.name;
        (spec.handler)(self, cx, key, args, reply);
    }

    /// The master that the third word names, or an error in the reply.
    pub(super) fn named_master(&self, args: &Args, reply: &mut Reply) -> Option<Id> {
        let found = self.master_by_name(args.get(2));
        if found.is_none() {
            reply.error("No such master with that name");
        }
        found
    }

    /// The HELLO messages of other sentinels come by PUBLISH, and nothing else does (`sentinelPublishCommand`).
    fn publish_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        if args.get(1) != super::link::HELLO_CHANNEL {
            return reply.error("Only HELLO messages are accepted by Sentinel instances.");
        }
        self.process_hello(cx, args.get(2));
        reply.integer(1);
    }

    fn role_command(&mut self, _cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        reply.array(2);
        reply.bulk("sentinel");
        reply.array(self.masters.len());
        for &master in &self.masters {
            reply.bulk(self.at(master).name.as_bytes());
        }
    }

    fn masters_command(&mut self, cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        let masters = self.masters.clone();
        self.instance_list(cx, &masters, reply);
    }

    fn master_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        if let Some(master) = self.named_master(args, reply) {
            self.describe(cx, master, reply);
        }
    }

    fn replicas_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        if let Some(master) = self.named_master(args, reply) {
            let slaves = self.group(master).slaves.iter().copied().filter(|&id| self.at(id).replica.announced);
            let slaves: Vec<Id> = slaves.collect();
            self.instance_list(cx, &slaves, reply);
        }
    }

    fn sentinels_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        if let Some(master) = self.named_master(args, reply) {
            let sentinels = self.group(master).sentinels.clone();
            self.instance_list(cx, &sentinels, reply);
        }
    }

    fn instance_list(&self, cx: &Cx<'_>, ids: &[Id], reply: &mut Reply) {
        reply.array(ids.len());
        for &id in ids {
            self.describe(cx, id, reply);
        }
    }

    fn myid(&mut self, _cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        reply.bulk(self.my_id.hex());
    }

    /// Another sentinel asks for this one's opinion, and perhaps for its vote.
    fn is_master_down(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let (Some(port), Some(epoch)) = (parse_i64(args.get(3)), parse_i64(args.get(4))) else {
            return reply.error(NOT_INTEGER);
        };
        let master = self.master_by_addr(&lossy(args.get(2)), port);
        let down = self.tilt.is_none() && master.is_some_and(|master| self.at(master).flags.any(Flags::S_DOWN));
        let mut vote = (None, 0);
        if let Some(master) = master
            && let Some(candidate) = HexId::parse(args.get(5))
        {
            // A negative epoch is a huge one to the real sentinel; nobody sends it.
            let epoch = u64::try_from(epoch).unwrap_or(0);
            vote = self.vote_for_peer(cx, master, epoch, candidate);
        }
        reply.array(3);
        reply.integer(i64::from(down));
        match vote.0 {
            Some(leader) => reply.bulk(leader.hex()),
            None => reply.bulk("*"),
        }
        reply.integer(i64::try_from(vote.1).unwrap_or(i64::MAX));
    }

    fn reset_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let mut reset = 0;
        for master in self.masters.clone() {
            if glob::matches(args.get(2), self.at(master).name.as_bytes(), false) {
                self.reset_master(cx, master, false, true);
                reset += 1;
            }
        }
        reply.integer(reset);
    }

    fn get_master_addr(&mut self, _cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let Some(master) = self.master_by_name(args.get(2)) else { return reply.null_array() };
        let addr = self.current_address(master);
        reply.array(2);
        reply.bulk(self.announced(addr).as_bytes());
        reply.bulk_number(addr.port);
    }

    /// A failover that nobody else needs to agree to.
    fn failover_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let Some(master) = self.named_master(args, reply) else { return };
        if self.at(master).flags.any(Flags::FAILOVER) {
            return reply.error("-INPROG Failover already in progress");
        }
        if self.select_slave(cx.ms, master).is_none() {
            return reply.error("-NOGOODSLAVE No suitable replica to promote");
        }
        self.start_failover(cx, master);
        self.at_mut(master).flags.set(Flags::FORCE);
        reply.ok();
    }

    fn pending_scripts(&mut self, cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        reply.array(self.scripts.queue.len());
        for job in &self.scripts.queue {
            let running = job.pid != 0;
            reply.map(5);
            reply.bulk("argv");
            reply.array(job.argv.len());
            for arg in &job.argv {
                reply.bulk(arg.as_bytes());
            }
            reply.bulk("flags");
            reply.bulk(if running { "running" } else { "scheduled" });
            reply.bulk("pid");
            reply.bulk_number(job.pid);
            reply.bulk(if running { "run-time" } else { "run-delay" });
            reply.bulk_number(if running { cx.ms - job.start_time } else { 0 });
            reply.bulk("retry-num");
            reply.bulk_number(job.retry_num);
        }
    }

    fn monitor_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let Some(quorum) = parse_i64(args.get(5)) else { return reply.error("Invalid quorum") };
        let Some(port) = parse_i64(args.get(4)) else { return reply.error("Invalid port") };
        let Ok(quorum) = u32::try_from(quorum.clamp(0, i64::from(u32::MAX))) else { return };
        if quorum == 0 {
            return reply.error("Quorum must be 1 or greater.");
        }
        let (name, host) = (lossy(args.get(2)), lossy(args.get(3)));
        if self.resolve(&host).is_none() {
            return reply.error("Invalid IP address or hostname specified");
        }
        match self.create(cx.ms, InstanceKind::Master, &name, (&host, port), None) {
            Err(error) => reply.error(error.of_master()),
            Ok(master) => {
                self.group_mut(master).quorum = quorum;
                self.flush_config_and_reply(cx, reply);
                let detail = Detail::Text(format!("quorum {quorum}").into());
                self.warn(cx, SentinelEventName::Monitor, master, detail);
            }
        }
    }

    fn flushconfig(&mut self, cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        self.flush_config_and_reply(cx, reply);
    }

    fn remove_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let Some(master) = self.named_master(args, reply) else { return };
        self.warn(cx, SentinelEventName::MonitorRemoved, master, Detail::None);
        self.masters.retain(|&other| other != master);
        self.release(cx, master);
        self.flush_config_and_reply(cx, reply);
    }

    fn ckquorum(&mut self, _cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let Some(master) = self.named_master(args, reply) else { return };
        let group = self.group(master);
        let up = |&&id: &&Id| !self.at(id).flags.any(Flags::S_DOWN | Flags::O_DOWN);
        let usable = 1 + group.sentinels.iter().filter(up).count();
        let voters = group.sentinels.len() + 1;
        let quorum = usable >= usize::try_from(group.quorum).unwrap_or(usize::MAX);
        let majority = usable > voters / 2;
        let no_quorum = "Not enough available Sentinels to reach the specified quorum for this master";
        let no_majority = "Not enough available Sentinels to reach the majority and authorize a failover";
        match (quorum, majority) {
            (true, true) => {
                reply
                    .simple(&format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached"));
            }
            (false, true) => reply.error(&format!("-NOQUORUM {usable} usable Sentinels. {no_quorum}")),
            (true, false) => reply.error(&format!("-NOQUORUM {usable} usable Sentinels. {no_majority}")),
            (false, false) => {
                reply.error(&format!("-NOQUORUM {usable} usable Sentinels. {no_quorum}. {no_majority}"));
            }
        }
    }

    /// The INFO output last received from masters and their replicas.
    fn info_cache(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let mut masters: Vec<Id> = Vec::new();
        for master in args.iter().skip(2).filter_map(|name| self.master_by_name(name)) {
            if !masters.contains(&master) {
                masters.push(master);
            }
        }
        reply.array(masters.len() * 2);
        for master in masters {
            let refreshed = self.at(master).info_refresh != 0;
            reply.bulk(self.at(master).name.as_bytes());
            let group = self.group(master);
            reply.array(group.slaves.len() + 1);
            for &id in std::iter::once(&master).chain(&group.slaves) {
                let instance = self.at(id);
                reply.array(2);
                reply.integer(if refreshed { cx.ms - instance.info_refresh } else { 0 });
                if instance.info_refresh == 0 {
                    reply.null();
                } else {
                    reply.bulk(&instance.info);
                }
            }
        }
    }

    fn simulate_failure(&mut self, _cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        self.simulated_failures = 0;
        for arg in args.iter().skip(2) {
            if arg.eq_ignore_ascii_case(b"crash-after-election") {
                self.simulated_failures |= CRASH_AFTER_ELECTION;
            } else if arg.eq_ignore_ascii_case(b"crash-after-promotion") {
                self.simulated_failures |= CRASH_AFTER_PROMOTION;
            } else if arg.eq_ignore_ascii_case(b"help") {
                reply.array(2);
                reply.bulk("crash-after-election");
                reply.bulk("crash-after-promotion");
                return;
            } else {
                return reply.error("Unknown failure simulation specified");
            }
        }
        reply.ok();
    }

    /// An instance as a map (`addReplySentinelRedisInstance`).
    fn describe(&self, cx: &Cx<'_>, id: Id, reply: &mut Reply) {
        let (now, instance, link) = (cx.ms, self.at(id), self.link_of(id));
        let mut fields = Fields::new(reply.resp3);
        fields.text("name", instance.name.as_bytes());
        fields.text("ip", self.announced(&instance.addr).as_bytes());
        fields.number("port", instance.addr.port);
        fields.text("runid", instance.run_id.map(|id| id.to_string()).unwrap_or_default());
        fields.text("flags", self.flag_names(id));
        fields.number("link-pending-commands", link.pending_commands);
        fields.number("link-refcount", link.refcount);
        if let Some(group) = &instance.group
            && instance.flags.any(Flags::FAILOVER)
        {
            fields.text("failover-state", state_name(group.failover_state));
        }
        let since_ping = if link.act_ping_time == 0 { 0 } else { now - link.act_ping_time };
        fields.number("last-ping-sent", since_ping);
        fields.number("last-ok-ping-reply", now - link.last_avail_time);
        fields.number("last-ping-reply", now - link.last_pong_time);
        if instance.flags.any(Flags::S_DOWN) {
            fields.number("s-down-time", now - instance.s_down_since);
        }
        if instance.flags.any(Flags::O_DOWN) {
            fields.number("o-down-time", now - instance.o_down_since);
        }
        fields.number("down-after-milliseconds", instance.down_after);
        if !instance.is_sentinel() {
            fields.number("info-refresh", if instance.info_refresh == 0 { 0 } else { now - instance.info_refresh });
            fields.text("role-reported", if instance.role_reported == Role::Master { "master" } else { "slave" });
            fields.number("role-reported-time", now - instance.role_reported_time);
        }
        match instance.kind {
            InstanceKind::Master => self.describe_master(id, &mut fields),
            InstanceKind::Slave => self.describe_slave(id, &mut fields),
            InstanceKind::Sentinel => {
                fields.number("last-hello-message", now - instance.last_hello_time);
                fields.text("voted-leader", instance.leader.map_or_else(|| "?".to_owned(), |id| id.to_string()));
                fields.number("voted-leader-epoch", instance.leader_epoch);
            }
        }
        fields.finish(reply);
    }

    fn flag_names(&self, id: Id) -> String {
        let (instance, flags) = (self.at(id), self.at(id).flags);
        let named = [
            (flags.any(Flags::S_DOWN), "s_down"),
            (flags.any(Flags::O_DOWN), "o_down"),
            (instance.is_master(), "master"),
            (instance.is_slave(), "slave"),
            (instance.is_sentinel(), "sentinel"),
            (self.link_of(id).disconnected, "disconnected"),
            (flags.any(Flags::MASTER_DOWN), "master_down"),
            (flags.any(Flags::FAILOVER), "failover_in_progress"),
            (flags.any(Flags::PROMOTED), "promoted"),
            (flags.any(Flags::RECONF_SENT), "reconf_sent"),
            (flags.any(Flags::RECONF_INPROG), "reconf_inprog"),
            (flags.any(Flags::RECONF_DONE), "reconf_done"),
            (flags.any(Flags::FORCE), "force_failover"),
            (flags.any(Flags::SCRIPT_KILL), "script_kill_sent"),
        ];
        let set: Vec<&str> = named.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
        set.join(",")
    }

    fn describe_master(&self, id: Id, fields: &mut Fields) {
        let group = self.group(id);
        fields.number("config-epoch", group.config_epoch);
        fields.number("num-slaves", group.slaves.len());
        fields.number("num-other-sentinels", group.sentinels.len());
        fields.number("quorum", group.quorum);
        fields.number("failover-timeout", group.failover_timeout);
        fields.number("parallel-syncs", group.parallel_syncs);
        if let Some(script) = &group.notification_script {
            fields.text("notification-script", script.as_bytes());
        }
        if let Some(script) = &group.client_reconfig_script {
            fields.text("client-reconfig-script", script.as_bytes());
        }
    }

    fn describe_slave(&self, id: Id, fields: &mut Fields) {
        let replica = &self.at(id).replica;
        fields.number("master-link-down-time", replica.master_link_down_time);
        fields.text("master-link-status", if replica.master_link_up { "ok" } else { "err" });
        fields.text("master-host", replica.master_host.as_deref().unwrap_or("?"));
        fields.number("master-port", replica.master_port);
        fields.number("slave-priority", replica.priority);
        fields.number("slave-repl-offset", replica.repl_offset);
        fields.number("replica-announced", u8::from(replica.announced));
    }

    fn help(&mut self, _cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        reply.help("SENTINEL", HELP);
    }
}

/// SENTINEL HELP.
const HELP: &[&str] = &[
    "CKQUORUM <master-name>",
    "    Check if the current Sentinel configuration is able to reach the quorum",
    "    needed to failover a master and the majority needed to authorize the",
    "    failover.",
    "CONFIG SET <param> <value>",
    "    Set a global Sentinel configuration parameter.",
    "CONFIG GET <param>",
    "    Get global Sentinel configuration parameter.",
    "DEBUG [<param> <value> ...]",
    "    Show a list of configurable time parameters and their values (milliseconds).",
    "    Or update current configurable parameters values (one or more).",
    "GET-MASTER-ADDR-BY-NAME <master-name>",
    "    Return the ip and port number of the master with that name.",
    "FAILOVER <master-name>",
    "    Manually failover a master node without asking for agreement from other",
    "    Sentinels",
    "FLUSHCONFIG",
    "    Force Sentinel to rewrite its configuration on disk, including the current",
    "    Sentinel state.",
    "INFO-CACHE <master-name>",
    "    Return last cached INFO output from masters and all its replicas.",
    "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
    "    Check if the master specified by ip:port is down from current Sentinel's",
    "    point of view.",
    "MASTER <master-name>",
    "    Show the state and info of the specified master.",
    "MASTERS",
    "    Show a list of monitored masters and their state.",
    "MONITOR <name> <ip> <port> <quorum>",
    "    Start monitoring a new master with the specified name, ip, port and quorum.",
    "MYID",
    "    Return the ID of the Sentinel instance.",
    "PENDING-SCRIPTS",
    "    Get pending scripts information.",
    "REMOVE <master-name>",
    "    Remove master from Sentinel's monitor list.",
    "REPLICAS <master-name>",
    "    Show a list of replicas for this master and their state.",
    "RESET <pattern>",
    "    Reset masters for specific master name matching this pattern.",
    "SENTINELS <master-name>",
    "    Show a list of Sentinel instances for this master and their state.",
    "SET <master-name> <option> <value> [<option> <value> ...]",
    "    Set configuration parameters for certain masters.",
    "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
    "    Simulate a Sentinel crash.",
];
