//! CLIENT and its subcommands (`clientCommand`).

use super::flag::{ADMIN, LOADING, NOSCRIPT, STALE};
use super::{Spec, row, tracking};
use crate::id::Fd;
use crate::resp::{Args, bytes_of, lossless};
use crate::server::acl::UserId;
use crate::server::call::Cx;
use crate::server::pause::{Held, Purpose};
use crate::server::session::{Flags, Session};
use crate::server::{Server, cost, gate};

/// The rows of the subcommands.
#[rustfmt::skip]
pub(super) const CLIENT_SUBS: &[Spec] = &[
    row("client|caching", 3, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", tracking::caching),
    row("client|getname", 2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", getname),
    row("client|getredir", 2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", tracking::getredir),
    row("client|help", 2, LOADING | STALE, (0, 0, 0), "@slow @connection", help),
    row("client|id", 2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", id),
    row("client|info", 2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", info),
    row("client|kill", -3, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous @connection", kill),
    row("client|list", -2, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous @connection", list),
    row("client|no-evict", 3, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous @connection", no_evict),
    row("client|pause", -3, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous @connection", pause),
    row("client|reply", 3, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", reply),
    row("client|setname", 3, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", setname),
    row("client|tracking", -3, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", tracking::tracking),
    row("client|trackinginfo", 2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow @connection", tracking::tracking_info),
    row("client|unblock", -3, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous @connection", unblock),
    row("client|unpause", 2, ADMIN | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@admin @slow @dangerous @connection", unpause),
];

/// `CLIENT LIST TYPE`, `CLIENT KILL TYPE` (`getClientType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Normal,
    Replica,
    Pubsub,
    Master,
}

impl Type {
    fn parse(name: &[u8]) -> Option<Type> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(Type::Normal),
            b"slave" | b"replica" => Some(Type::Replica),
            b"pubsub" => Some(Type::Pubsub),
            b"master" => Some(Type::Master),
            _ => None,
        }
    }

    fn of(session: &Session) -> Type {
        let flags = session.flags;
        if flags.has(Flags::MASTER) {
            Type::Master
        } else if flags.has(Flags::REPLICA) && !flags.has(Flags::MONITOR) {
            Type::Replica
        } else if flags.has(Flags::PUBSUB) {
            Type::Pubsub
        } else {
            Type::Normal
        }
    }
}

impl Cx<'_> {
    /// Names the session by argument `i`; false when an error was answered.
    pub(super) fn set_name(&mut self, i: usize) -> bool {
        let args = self.args;
        let name = args.get(i);
        if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
            self.add_error("ERR Client names cannot contain spaces, newlines or special characters.");
            return false;
        }
        self.session_mut().name = (!name.is_empty()).then(|| bytes::Bytes::copy_from_slice(name));
        true
    }

    /// `ERR unknown subcommand or wrong number of arguments for '…'. Try … HELP.`
    pub(crate) fn add_subcommand_error(&mut self) {
        let sub = gate::clip(self.args.get(1));
        let container = lossless(self.args.get(0)).to_ascii_uppercase();
        self.add_error(&format!(
            "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {container} HELP."
        ));
    }

    /// Argument `i` as a client type; `None`: an error was answered.
    fn type_arg(&mut self, i: usize) -> Option<Type> {
        let found = Type::parse(self.args.get(i));
        if found.is_none() {
            let name = lossless(self.args.get(i));
            self.add_error(&format!("ERR Unknown client type '{name}'"));
        }
        found
    }

    /// The line of CLIENT LIST for a session.
    fn client_line(&self, session: &Session) -> String {
        let running = (session.fd == self.fd).then_some(self.args);
        self.s.describe_client(session, running) + "\n"
    }
}

impl Server {
    /// A session in a line (`catClientInfoString`); of the one whose request is being executed, with that.
    pub(crate) fn describe_client(&self, session: &Session, running: Option<&Args>) -> String {
        let flags = flag_letters(session);
        let count = |topic| session.subscriptions.as_ref().map_or(0, |own| own.of(topic).len());
        use crate::server::pubsub::Topic::{Channel, Pattern, Shard};
        let multi = if session.flags.has(Flags::MULTI) {
            i64::try_from(session.multi.as_ref().map_or(0, |multi| multi.queue.len())).unwrap_or(i64::MAX)
        } else {
            -1
        };
        let name = session.name.as_ref().map(|name| lossless(name)).unwrap_or_default();
        let now = self.now.unix.secs();
        let idle = now.saturating_sub(session.last_interaction.secs());
        let footprint = self.footprint(session, running);
        let (rbs, rbp, obl) = footprint.reply;
        let redirect = session.tracking.as_ref().map_or(-1, |mode| i64::try_from(mode.redirect).unwrap_or(i64::MAX));
        let user = self.acl.name(session.user).map_or("(superuser)".to_owned(), |name| lossless(name));
        format!(
            "id={} addr={} laddr={} fd={} name={name} age={} idle={} flags={flags} db={} sub={} psub={} ssub={} \
             multi={multi} qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={rbs} rbp={rbp} obl={obl} oll={} omem={} \
             tot-mem={} events=r cmd={} user={user} redir={redirect} resp={}",
            session.id,
            session.addr,
            session.laddr,
            session.fd.0,
            now.saturating_sub(session.created.secs()),
            idle,
            session.db,
            count(Channel),
            count(Pattern),
            count(Shard),
            footprint.query,
            footprint.query_free,
            footprint.args,
            footprint.queued,
            footprint.blocks,
            footprint.output,
            footprint.total,
            session.last_cmd.unwrap_or("NULL"),
            session.resp,
        )
    }
}

fn flag_letters(session: &Session) -> String {
    let has = |flag| session.flags.has(flag);
    let mode = session.tracking.as_ref();
    let letters = [
        (has(Flags::MONITOR), 'O'),
        (has(Flags::REPLICA) && !has(Flags::MONITOR), 'S'),
        (has(Flags::MASTER), 'M'),
        (has(Flags::PUBSUB), 'P'),
        (has(Flags::MULTI), 'x'),
        (has(Flags::BLOCKED), 'b'),
        (mode.is_some(), 't'),
        (mode.is_some_and(|mode| mode.broken), 'R'),
        (mode.is_some_and(|mode| mode.bcast), 'B'),
        (has(Flags::DIRTY_CAS), 'd'),
        (has(Flags::CLOSE_AFTER_REPLY), 'c'),
        (has(Flags::CLOSE_ASAP), 'A'),
        (has(Flags::NO_EVICT), 'e'),
    ];
    let text: String = letters.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect();
    if text.is_empty() { "N".to_owned() } else { text }
}

fn id(cx: &mut Cx<'_>) {
    let id = i64::try_from(cx.session().id).unwrap_or(i64::MAX);
    cx.add_integer(id);
}

fn info(cx: &mut Cx<'_>) {
    let line = cx.client_line(cx.session());
    cx.s.meter.add(cost::CLIENT);
    cx.add_verbatim(&bytes_of(&line), *b"txt");
}

fn list(cx: &mut Cx<'_>) {
    let args = cx.args;
    let mut text = String::new();
    if args.len() == 4 && cx.arg_is(2, "type") {
        let Some(wanted) = cx.type_arg(3) else { return };
        for session in cx.s.sessions.iter().filter(|session| Type::of(session) == wanted) {
            text.push_str(&cx.client_line(session));
        }
    } else if args.len() > 3 && cx.arg_is(2, "id") {
        for i in 3..args.len() {
            let Some(id) = cx.int_arg_or(i, "ERR Invalid client ID") else { return };
            let found = cx.s.sessions.iter().find(|session| i64::try_from(session.id) == Ok(id));
            text.push_str(&found.map(|session| cx.client_line(session)).unwrap_or_default());
        }
    } else if args.len() == 2 {
        for session in cx.s.sessions.iter() {
            text.push_str(&cx.client_line(session));
        }
    } else {
        return cx.add_syntax_error();
    }
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    cx.s.meter.add(lines as u64 * cost::CLIENT);
    cx.add_verbatim(&bytes_of(&text), *b"txt");
}

impl Cx<'_> {
    /// A session that doesn't want replies loses at once what it would lose when the command or the transaction ends: what
    /// follows it may hear.
    pub(crate) fn forget_unheard(&mut self) {
        let heard = self.s.exec.heard;
        let session = self.session_mut();
        if session.flags.has(Flags::REPLY_OFF.with(Flags::REPLY_SKIP)) {
            session.reply.truncate(heard);
        }
    }
}

fn reply(cx: &mut Cx<'_>) {
    if cx.arg_is(2, "on") {
        cx.forget_unheard();
        cx.session_mut().flags.clear(Flags::REPLY_OFF.with(Flags::REPLY_SKIP));
        cx.add_ok();
    } else if cx.arg_is(2, "off") {
        cx.forget_unheard();
        cx.s.exec.heard = cx.session().reply.len();
        cx.session_mut().flags.set(Flags::REPLY_OFF);
    } else if cx.arg_is(2, "skip") {
        if !cx.session().flags.has(Flags::REPLY_OFF) {
            cx.session_mut().flags.set(Flags::REPLY_SKIP_NEXT);
        }
    } else {
        cx.add_syntax_error();
    }
}

fn no_evict(cx: &mut Cx<'_>) {
    if cx.arg_is(2, "on") {
        cx.session_mut().flags.set(Flags::NO_EVICT);
    } else if cx.arg_is(2, "off") {
        cx.session_mut().flags.clear(Flags::NO_EVICT);
    } else {
        return cx.add_syntax_error();
    }
    cx.add_ok();
}

/// What CLIENT KILL looks for.
struct Victims<'a> {
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    kind: Option<Type>,
    id: Option<u64>,
    user: Option<UserId>,
    skip_me: bool,
}

impl Victims<'_> {
    fn include(&self, session: &Session, me: Fd) -> bool {
        self.addr.is_none_or(|addr| session.addr.to_string().as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| session.laddr.to_string().as_bytes() == laddr)
            && self.kind.is_none_or(|kind| Type::of(session) == kind)
            && self.id.is_none_or(|id| session.id == id)
            && self.user.is_none_or(|user| session.user == user)
            && !(self.skip_me && session.fd == me)
    }
}

fn kill(cx: &mut Cx<'_>) {
    let args = cx.args;
    let old_style = args.len() == 3;
    let victims = if old_style {
        Victims { addr: Some(args.get(2)), laddr: None, kind: None, id: None, user: None, skip_me: false }
    } else {
        let Some(victims) = kill_options(cx) else { return };
        victims
    };
    let me = cx.fd;
    let fds: Vec<Fd> =
        cx.s.sessions.iter().filter(|session| victims.include(session, me)).map(|session| session.fd).collect();
    let killed = fds.len();
    for fd in fds {
        if fd == me {
            cx.session_mut().flags.set(Flags::CLOSE_AFTER_COMMAND);
        } else {
            cx.s.close_session(fd, cx.out);
        }
    }
    match (old_style, killed) {
        (true, 0) => cx.add_error("ERR No such client"),
        (true, _) => cx.add_ok(),
        (false, _) => cx.add_count(killed),
    }
}

fn kill_options<'a>(cx: &mut Cx<'a>) -> Option<Victims<'a>> {
    let args = cx.args;
    let mut victims = Victims { addr: None, laddr: None, kind: None, id: None, user: None, skip_me: true };
    let mut i = 2;
    while i < args.len() {
        let word = if i + 1 < args.len() { args.get(i).to_ascii_lowercase() } else { Vec::new() };
        match word.as_slice() {
            b"id" => {
                let error = "ERR client-id should be greater than 0";
                let id = cx.int_arg_or(i + 1, error)?;
                victims.id = u64::try_from(id).ok().filter(|&id| id > 0);
                if victims.id.is_none() {
                    cx.add_error(error);
                    return None;
                }
            }
            b"type" => victims.kind = Some(cx.type_arg(i + 1)?),
            b"addr" => victims.addr = Some(args.get(i + 1)),
            b"laddr" => victims.laddr = Some(args.get(i + 1)),
            b"user" => {
                victims.user = cx.s.acl.id(args.get(i + 1));
                if victims.user.is_none() {
                    let name = lossless(args.get(i + 1));
                    cx.add_error(&format!("ERR No such user '{name}'"));
                    return None;
                }
            }
            b"skipme" if cx.arg_is(i + 1, "yes") => victims.skip_me = true,
            b"skipme" if cx.arg_is(i + 1, "no") => victims.skip_me = false,
            _ => {
                cx.add_syntax_error();
                return None;
            }
        }
        i += 2;
    }
    Some(victims)
}

fn unblock(cx: &mut Cx<'_>) {
    let args = cx.args;
    let mut error = false;
    if args.len() > 4 {
        return cx.add_subcommand_error();
    }
    if args.len() == 4 {
        if cx.arg_is(3, "error") {
            error = true;
        } else if !cx.arg_is(3, "timeout") {
            return cx.add_error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        }
    }
    let Some(id) = cx.int_arg(2) else { return };
    let found = cx.s.sessions.iter().find(|session| {
        i64::try_from(session.id) == Ok(id) && session.flags.has(Flags::BLOCKED) && !session.flags.has(Flags::POSTPONED)
    });
    let Some(fd) = found.map(|session| session.fd) else { return cx.add_integer(0) };
    let unblocked = cx.s.unblock_by_command(fd, error);
    cx.add_integer(i64::from(unblocked));
}

fn setname(cx: &mut Cx<'_>) {
    if cx.set_name(2) {
        cx.add_ok();
    }
}

fn getname(cx: &mut Cx<'_>) {
    match cx.session().name.clone() {
        Some(name) => cx.add_bulk(&name),
        None => cx.add_null(),
    }
}

fn unpause(cx: &mut Cx<'_>) {
    cx.s.unpause(Purpose::Command);
    cx.add_ok();
}

fn pause(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.len() > 4 {
        return cx.add_subcommand_error();
    }
    let mut held = Held::All;
    if args.len() == 4 {
        if cx.arg_is(3, "write") {
            held = Held::Writes;
        } else if !cx.arg_is(3, "all") {
            return cx.add_error("ERR CLIENT PAUSE mode must be WRITE or ALL");
        }
    }
    let Some(ms) = cx.int_arg_or(2, "ERR timeout is not an integer or out of range") else { return };
    let Ok(ms) = u64::try_from(ms) else { return cx.add_error("ERR timeout is negative") };
    let end_ms = cx.s.now.unix.ms().saturating_add(ms);
    cx.s.pause(Purpose::Command, held, end_ms);
    cx.add_ok();
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help("client", HELP);
}

const HELP: &[&str] = &[
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
];
