//! Commands about the connection itself and about Pub/Sub, as a sentinel answers them.

use bytes::Bytes;

use super::clients::{Key, ReplyMode};
use super::commands::{TABLE, lossy};
use super::reply::Reply;
use super::{Cx, Sentinel};
use crate::resp::{Args, parse_i64};

const SYNTAX: &str = "syntax error";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.";

/// Which clients CLIENT KILL means.
#[derive(Default)]
struct Filter {
    id: Option<i64>,
    addr: Option<String>,
    local: Option<String>,
    pubsub: Option<bool>,
    nobody: bool,
    keep_me: bool,
}

impl Sentinel {
    pub(super) fn ping_command(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        if args.len() > 2 {
            return reply.error("wrong number of arguments for 'ping' command");
        }
        let client = &self.clients.table[key];
        let subscribed = !client.channels.is_empty() || !client.patterns.is_empty();
        if subscribed && !client.resp3 {
            reply.array(2);
            reply.bulk("pong");
            reply.bulk(if args.len() == 2 { args.get(1) } else { b"" });
        } else if args.len() == 2 {
            reply.bulk(args.get(1));
        } else {
            reply.simple("PONG");
        }
    }

    pub(super) fn subscribe_command(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        self.subscriptions(key, args, reply, "subscribe", false);
    }

    pub(super) fn psubscribe_command(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        self.subscriptions(key, args, reply, "psubscribe", true);
    }

    pub(super) fn unsubscribe_command(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        self.unsubscriptions(key, args, reply, "unsubscribe", false);
    }

    pub(super) fn punsubscribe_command(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        self.unsubscriptions(key, args, reply, "punsubscribe", true);
    }

    fn subscription_reply(&self, key: Key, reply: &mut Reply, word: &str, name: Option<&[u8]>) {
        let client = &self.clients.table[key];
        reply.push(3);
        reply.bulk(word);
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        let count = client.channels.len() + client.patterns.len();
        reply.integer(i64::try_from(count).expect("few subscriptions"));
    }

    fn subscriptions(&mut self, key: Key, args: &Args, reply: &mut Reply, word: &str, pattern: bool) {
        for index in 1..args.len() {
            // A copy: the request's memory is not to be kept alive by a subscription.
            let name = Bytes::copy_from_slice(args.get(index));
            self.clients.subscribe(key, name, pattern);
            self.subscription_reply(key, reply, word, Some(args.get(index)));
        }
    }

    fn unsubscriptions(&mut self, key: Key, args: &Args, reply: &mut Reply, word: &str, pattern: bool) {
        let client = &self.clients.table[key];
        let names: Vec<Bytes> = match (args.len(), pattern) {
            (1, true) => client.patterns.clone(),
            (1, false) => client.channels.clone(),
            _ => (1..args.len()).map(|index| args.bytes(index)).collect(),
        };
        if names.is_empty() {
            self.subscription_reply(key, reply, word, None);
        }
        for name in names {
            self.clients.unsubscribe(key, &name, pattern);
            self.subscription_reply(key, reply, word, Some(&name));
        }
    }

    /// Whether this is the default user with the right password.
    fn password_fits(&self, user: &[u8], password: &[u8]) -> bool {
        user == b"default" && self.config.requirepass.as_ref().is_none_or(|known| known.as_bytes() == password)
    }

    pub(super) fn auth_command(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        if args.len() > 3 {
            return reply.error(SYNTAX);
        }
        if args.len() == 2 && self.config.requirepass.is_none() {
            return reply.error(
                "AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
            );
        }
        let user: &[u8] = if args.len() == 3 { args.get(1) } else { b"default" };
        if !self.password_fits(user, args.get(args.len() - 1)) {
            return reply.error(WRONGPASS);
        }
        self.clients.table[key].authenticated = true;
        reply.ok();
    }

    pub(super) fn hello_command(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        let mut version = None;
        if args.len() > 1 {
            let Some(number) = parse_i64(args.get(1)) else {
                return reply.error("Protocol version is not an integer or out of range");
            };
            if !(2..=3).contains(&number) {
                return reply.error("-NOPROTO unsupported protocol version");
            }
            version = Some(number);
        }
        let (mut at, mut name) = (2, None);
        while at < args.len() {
            let (option, more) = (args.get(at), args.len() - at - 1);
            if option.eq_ignore_ascii_case(b"auth") && more >= 2 {
                if !self.password_fits(args.get(at + 1), args.get(at + 2)) {
                    return reply.error(WRONGPASS);
                }
                self.clients.table[key].authenticated = true;
                at += 3;
            } else if option.eq_ignore_ascii_case(b"setname") && more >= 1 {
                if !is_name(args.get(at + 1)) {
                    return reply.error(BAD_NAME);
                }
                name = Some(Bytes::copy_from_slice(args.get(at + 1)));
                at += 2;
            } else {
                return reply.error(&format!("Syntax error in HELLO option '{}'", lossy(option)));
            }
        }
        let client = &mut self.clients.table[key];
        if !client.authenticated {
            return reply.error(
                "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
            );
        }
        if let Some(name) = name {
            client.name = name;
        }
        if let Some(version) = version {
            client.resp3 = version == 3;
        }
        reply.resp3 = client.resp3;
        reply.map(6);
        reply.bulk("server");
        reply.bulk("redis");
        reply.bulk("version");
        reply.bulk("7.0.15");
        reply.bulk("proto");
        reply.integer(if client.resp3 { 3 } else { 2 });
        reply.bulk("id");
        reply.integer(i64::try_from(client.id).expect("few clients"));
        reply.bulk("mode");
        reply.bulk("sentinel");
        reply.bulk("modules");
        reply.array(0);
    }

    pub(super) fn shutdown_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        for option in args.iter().skip(1) {
            match option.to_ascii_lowercase().as_slice() {
                b"save" | b"nosave" | b"now" | b"force" => {}
                b"abort" => return reply.error("No shutdown in progress."),
                _ => return reply.error(SYNTAX),
            }
        }
        cx.out.exit(0);
        self.dead = true;
    }

    pub(super) fn acl_whoami(&mut self, _cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        reply.bulk("default");
    }

    pub(super) fn acl_users(&mut self, _cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        reply.array(1);
        reply.bulk("default");
    }

    pub(super) fn acl_list(&mut self, _cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        if self.config.requirepass.is_some() {
            return reply.error("ACL LIST with a password is not modelled in a sentinel");
        }
        reply.array(1);
        reply.bulk("user default on nopass ~* &* +@all");
    }

    pub(super) fn command_count(&mut self, _cx: &mut Cx<'_>, _key: Key, _args: &Args, reply: &mut Reply) {
        // Containers count once: ten plain commands and ACL, CLIENT, COMMAND, SENTINEL.
        let plain = TABLE.iter().filter(|spec| !spec.name.contains('|')).count() + 4;
        reply.integer(i64::try_from(plain).expect("a short table"));
    }

    pub(super) fn command_list(&mut self, _cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        if args.len() == 5 && args.get(2).eq_ignore_ascii_case(b"filterby") {
            return reply.error("COMMAND LIST FILTERBY is not modelled in a sentinel");
        }
        if args.len() > 2 {
            return reply.error(SYNTAX);
        }
        let containers = ["acl", "client", "command", "sentinel"];
        reply.array(TABLE.len() + containers.len());
        for name in TABLE.iter().map(|spec| spec.name).chain(containers) {
            reply.bulk(name);
        }
    }

    pub(super) fn client_id(&mut self, _cx: &mut Cx<'_>, key: Key, _args: &Args, reply: &mut Reply) {
        reply.integer(i64::try_from(self.clients.table[key].id).expect("few clients"));
    }

    pub(super) fn client_getname(&mut self, _cx: &mut Cx<'_>, key: Key, _args: &Args, reply: &mut Reply) {
        let name = &self.clients.table[key].name;
        if name.is_empty() {
            reply.null();
        } else {
            reply.bulk(name);
        }
    }

    pub(super) fn client_setname(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        if !is_name(args.get(2)) {
            return reply.error(BAD_NAME);
        }
        self.clients.table[key].name = Bytes::copy_from_slice(args.get(2));
        reply.ok();
    }

    pub(super) fn client_info(&mut self, cx: &mut Cx<'_>, key: Key, _args: &Args, reply: &mut Reply) {
        let line = self.client_line(cx, key);
        reply.bulk(line);
    }

    pub(super) fn client_list(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let all = self.clients.in_order();
        let listed = match args.len() {
            2 => Ok(all),
            4 if args.get(2).eq_ignore_ascii_case(b"type") => self.of_type(all, args.get(3)),
            4.. if args.get(2).eq_ignore_ascii_case(b"id") => self.of_ids(&all, args),
            _ => Err(SYNTAX.to_owned()),
        };
        match listed {
            Ok(keys) => {
                let lines: Vec<String> = keys.iter().map(|&key| self.client_line(cx, key)).collect();
                reply.bulk(lines.concat());
            }
            Err(message) => reply.error(&message),
        }
    }

    /// Clients of a type; a sentinel has no masters and replicas among them.
    fn of_type(&self, mut keys: Vec<Key>, wanted: &[u8]) -> Result<Vec<Key>, String> {
        let subscribed = |key: &Key| {
            let client = &self.clients.table[*key];
            !client.channels.is_empty() || !client.patterns.is_empty()
        };
        match wanted.to_ascii_lowercase().as_slice() {
            b"normal" => keys.retain(|key| !subscribed(key)),
            b"pubsub" => keys.retain(subscribed),
            b"master" | b"slave" | b"replica" => keys.clear(),
            _ => return Err(format!("Unknown client type '{}'", lossy(wanted))),
        }
        Ok(keys)
    }

    /// The clients with these ids, in the order of the request.
    fn of_ids(&self, keys: &[Key], args: &Args) -> Result<Vec<Key>, String> {
        let mut found = Vec::new();
        for index in 3..args.len() {
            let Some(id) = parse_i64(args.get(index)) else {
                return Err("Invalid client ID".to_owned());
            };
            found.extend(keys.iter().filter(|&&key| i64::try_from(self.clients.table[key].id) == Ok(id)));
        }
        Ok(found)
    }

    /// One line of CLIENT LIST (`catClientInfoString`); what memory it takes is not modelled.
    fn client_line(&self, cx: &Cx<'_>, key: Key) -> String {
        let client = &self.clients.table[key];
        let flags = if client.channels.is_empty() && client.patterns.is_empty() { "N" } else { "P" };
        format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db=0 sub={} psub={} ssub=0 multi=-1 \
             qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=16384 rbp=16384 obl={} oll=0 omem=0 tot-mem=37658 \
             events=r cmd={} user=default redir=-1 resp={}\n",
            client.id,
            client.addr,
            client.local,
            client.fd.0,
            String::from_utf8_lossy(&client.name),
            (cx.ms - client.created) / 1000,
            (cx.ms - client.last_interaction) / 1000,
            client.channels.len(),
            client.patterns.len(),
            self.client_backlog(key),
            client.last_command,
            if client.resp3 { 3 } else { 2 },
        )
    }

    pub(super) fn client_kill(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        let old_style = args.len() == 3;
        let filter = if old_style {
            Filter { addr: Some(lossy(args.get(2))), ..Filter::default() }
        } else {
            match parse_filter(args) {
                Ok(filter) => filter,
                Err(message) => return reply.error(&message),
            }
        };
        let mut killed = 0;
        for other in self.clients.in_order() {
            let client = &self.clients.table[other];
            let subscribed = !client.channels.is_empty() || !client.patterns.is_empty();
            let hit = !filter.nobody
                && filter.id.is_none_or(|id| i64::try_from(client.id) == Ok(id))
                && filter.addr.as_ref().is_none_or(|addr| *addr == client.addr.to_string())
                && filter.local.as_ref().is_none_or(|addr| *addr == client.local.to_string())
                && filter.pubsub.is_none_or(|pubsub| pubsub == subscribed)
                && !(filter.keep_me && other == key);
            if hit {
                killed += 1;
                self.close_client(other);
            }
        }
        match (old_style, killed) {
            (true, 0) => reply.error("No such client"),
            (true, _) => reply.ok(),
            (false, killed) => reply.integer(killed),
        }
    }

    pub(super) fn client_reply(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        let client = &mut self.clients.table[key];
        match args.get(2).to_ascii_lowercase().as_slice() {
            b"on" => {
                client.mode = ReplyMode::On;
                reply.ok();
            }
            b"off" => client.mode = ReplyMode::Off,
            b"skip" if client.mode == ReplyMode::On => client.mode = ReplyMode::SkipNext,
            b"skip" => {}
            _ => reply.error(SYNTAX),
        }
    }

    pub(super) fn client_no_evict(&mut self, _cx: &mut Cx<'_>, key: Key, args: &Args, reply: &mut Reply) {
        let on = args.get(2).eq_ignore_ascii_case(b"on");
        if !on && !args.get(2).eq_ignore_ascii_case(b"off") {
            return reply.error(SYNTAX);
        }
        self.clients.table[key].no_evict = on;
        reply.ok();
    }
}

const BAD_NAME: &str = "Client names cannot contain spaces, newlines or special characters.";

fn is_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

fn parse_filter(args: &Args) -> Result<Filter, String> {
    let mut filter = Filter { keep_me: true, ..Filter::default() };
    for at in (2..args.len()).step_by(2) {
        if at + 1 >= args.len() {
            return Err(SYNTAX.to_owned());
        }
        let value = args.get(at + 1);
        match args.get(at).to_ascii_lowercase().as_slice() {
            b"id" => match parse_i64(value) {
                Some(id) if id > 0 => filter.id = Some(id),
                Some(_) | None => return Err("client-id should be greater than 0".to_owned()),
            },
            b"addr" => filter.addr = Some(lossy(value)),
            b"laddr" => filter.local = Some(lossy(value)),
            b"user" if value == b"default" => {}
            b"user" => return Err(format!("No such user '{}'", lossy(value))),
            b"type" => match value.to_ascii_lowercase().as_slice() {
                b"normal" => filter.pubsub = Some(false),
                b"pubsub" => filter.pubsub = Some(true),
                b"master" | b"slave" | b"replica" => filter.nobody = true,
                _ => return Err(format!("Unknown client type '{}'", lossy(value))),
            },
            b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.keep_me = true,
            b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.keep_me = false,
            _ => return Err(SYNTAX.to_owned()),
        }
    }
    Ok(filter)
}
