//! May this command run now? The checks of `processCommand`, in its order.

use super::Server;
use super::acl::Denied;
use super::commands::{self, Command, Treatment, flag};
use super::config::ClientsLimit;
use super::session::Flags;
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::{Args, lossless};

/// What the shell says of a process that has aborted.
const PANIC: u8 = 134;

/// What is to happen with a request.
enum Verdict {
    /// Refuse with this error.
    Refuse(&'static str),
    /// Refuse with an error made for the occasion.
    RefuseWith(String),
    /// Hold it back until CLIENT PAUSE ends.
    Postpone,
    /// Queue it for EXEC.
    Queue,
    /// Its client has been evicted.
    Gone,
    /// Run it.
    Run,
}

/// The log speaks of an attack once in so many seconds (`securityWarningCommand`).
const ATTACK_INTERVAL: u64 = 60;

impl Server {
    #[cold]
    fn warn_of_attack(&mut self, out: &mut Outbox) {
        let now = self.now.unix.secs();
        if now.abs_diff(self.warned_of_attack) > ATTACK_INTERVAL {
            self.warned_of_attack = now;
            self.warn(out, || {
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This \
                 is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance. \
                 Connection aborted."
                    .to_owned()
            });
        }
    }

    /// Takes one request of a session through the gate and executes, queues, postpones or refuses it.
    pub(crate) fn process_command(&mut self, fd: Fd, args: &Args, out: &mut Outbox) {
        let name = args.get(0);
        if name.eq_ignore_ascii_case(b"host:") || name.eq_ignore_ascii_case(b"post") {
            self.warn_of_attack(out);
            self.sessions.at_mut(fd).flags.set(Flags::CLOSE_ASAP);
            return self.close_later(fd);
        }
        let renamed = &self.config.renamed;
        let mut command = if renamed.is_empty() { commands::lookup(name) } else { renamed.lookup(name) };
        let container = command.filter(|command| !command.subs.is_empty());
        if let Some(container) = container
            && args.len() > 1
        {
            command = commands::lookup_sub(container, args.get(1));
        }
        let Some(command) = command else {
            self.sessions.at_mut(fd).last_cmd = None;
            let text = if container.is_some() { unknown_subcommand(args) } else { unknown_command(args) };
            return self.reject(fd, None, args, &text, out);
        };
        if !command.modelled {
            let text = format!("ERR '{}' is not modelled", command.spec.name.replace('|', " "));
            return self.reject(fd, None, args, &text, out);
        }
        self.sessions.at_mut(fd).last_cmd = Some(command.spec.name);
        match self.gate(fd, command, args, out) {
            Verdict::Run => {
                self.call(fd, command, args, out);
                let offset = self.repl.offset();
                if let Some(session) = self.sessions.get_mut(fd) {
                    session.woff = offset;
                }
                if self.blocking.has_ready() && !self.is_busy() {
                    self.serve_ready(out);
                }
            }
            Verdict::Queue => self.queue_command(fd, command, args),
            Verdict::Gone => {}
            Verdict::Postpone => {
                let session = self.sessions.at_mut(fd);
                session.flags.set(Flags::BLOCKED.with(Flags::POSTPONED));
                session.postponed = Some(Box::new(args.clone()));
                self.pause.postponed.push(fd);
            }
            Verdict::Refuse(text) => self.reject(fd, Some(command), args, text, out),
            Verdict::RefuseWith(text) => self.reject(fd, Some(command), args, &text, out),
        }
    }

    fn gate(&mut self, fd: Fd, command: &'static Command, args: &Args, out: &mut Outbox) -> Verdict {
        if !command.takes(args.len()) {
            return Verdict::RefuseWith(format!("ERR wrong number of arguments for '{}' command", command.spec.name));
        }
        if command.is(flag::PROTECTED) && !self.protected_allowed(fd, command) {
            let (name, setting) = protection(command);
            return Verdict::RefuseWith(format!(
                "ERR {name} command not allowed. If the {setting} option is set to \"local\", you can run it from a local \
                 connection, otherwise you need to set this option in the configuration file, and then restart the server."
            ));
        }
        let session = self.sessions.at(fd);
        let is_exec = command.is_exec();
        let queued = session.multi.as_ref().filter(|_| is_exec);
        let own = match command.treatment {
            Treatment::Script => self.flags_of_script(command, args),
            Treatment::Exec | Treatment::Immediate | Treatment::Ping | Treatment::Plain => command.spec.flags,
        };
        let flags = own | queued.map_or(0, |multi| multi.flags);
        let missing = !own | queued.map_or(0, |multi| multi.inv_flags);
        if !session.authenticated && command.spec.flags & flag::NO_AUTH == 0 && self.auth_required() {
            return Verdict::Refuse("NOAUTH Authentication required.");
        }
        let in_multi = session.flags.has(Flags::MULTI);
        if in_multi && command.is(flag::NO_MULTI) {
            return Verdict::Refuse("ERR Command not allowed inside a transaction");
        }
        if session.flags.has(Flags::LIMITED)
            && let Some(denied) = self.denied(fd, command, args)
        {
            return Verdict::RefuseWith(match denied {
                Denied::Command => {
                    format!("NOPERM this user has no permissions to run the '{}' command", command.spec.name)
                }
                Denied::Key(_) => {
                    "NOPERM this user has no permissions to access one of the keys used as arguments".to_owned()
                }
                Denied::Channel(_) => {
                    "NOPERM this user has no permissions to access one of the channels used as arguments".to_owned()
                }
            });
        }
        if self.is_evicted(fd, out) {
            return Verdict::Gone;
        }
        if self.config.maxmemory > 0 && !self.is_busy() && self.out_of_memory(fd, command, flags, out) {
            return Verdict::Refuse("OOM command not allowed when used memory > 'maxmemory'.");
        }
        if self.tracking.clients > 0 {
            self.limit_tracking();
        }
        let session = self.sessions.at(fd);
        if session.flags.has(Flags::MASTER) && flags & flag::WRITE != 0 && self.must_not_apply() {
            self.die("Replica was unable to write command to disk.", PANIC, out);
            return Verdict::Refuse("ERR Replica was unable to write command to disk.");
        }
        if let Some(refusal) = self.gate_state(session.flags, session.resp, command, flags, missing) {
            return refusal;
        }
        if session.flags.has(Flags::REPLICA) && flags & (flag::WRITE | flag::MAY_REPLICATE | flag::READONLY) != 0 {
            return Verdict::Refuse("ERR Replica can't interact with the keyspace");
        }
        if !session.flags.has(Flags::REPLICA) && self.pause.holds(flags & (flag::WRITE | flag::MAY_REPLICATE) != 0) {
            return Verdict::Postpone;
        }
        let immediate = is_exec || command.treatment == Treatment::Immediate;
        if in_multi && !immediate { Verdict::Queue } else { Verdict::Run }
    }

    /// A replica that can't write to its disk would rather end than go on (`replica-ignore-disk-write-errors`).
    fn must_not_apply(&self) -> bool {
        !self.config.replica_ignore_disk_write_errors && self.persistence.write_error(self).is_some()
    }

    /// Clients go before keys: evicts some if that is needed; true when this one was among them.
    fn is_evicted(&mut self, fd: Fd, out: &mut Outbox) -> bool {
        self.eviction.out_of_memory = false;
        if self.config.maxmemory_clients == ClientsLimit::Bytes(0) {
            return false;
        }
        self.evict_clients(out);
        self.sessions.get(fd).is_none()
    }

    /// Evicts if that is needed; true when it didn't help and the command would need more memory. What a transaction
    /// queues needs some, whatever it is.
    fn out_of_memory(&mut self, fd: Fd, command: &'static Command, flags: u64, out: &mut Outbox) -> bool {
        let failed = self.perform_evictions(out) == super::eviction::Outcome::Failed;
        self.eviction.out_of_memory = failed;
        self.send_pending_invalidations(fd);
        self.limit_tables();
        let leaves = matches!(command.spec.name, "exec" | "discard" | "quit" | "reset");
        let queued = self.sessions.at(fd).flags.has(Flags::MULTI) && !leaves;
        failed && (flags & flag::DENYOOM != 0 || queued)
    }

    /// The checks that depend on this server's role and state.
    fn gate_state(
        &self,
        session: Flags,
        resp: u8,
        command: &'static Command,
        flags: u64,
        missing: u64,
    ) -> Option<Verdict> {
        let obey = session.has(Flags::MASTER);
        let write = flags & flag::WRITE != 0;
        if !obey
            && (write || command.treatment == Treatment::Ping)
            && let Some(text) = self.persistence.write_error(self)
        {
            return Some(Verdict::RefuseWith(text.into_owned()));
        }
        if write && !self.repl.enough_good_replicas(&self.config) {
            return Some(Verdict::Refuse("NOREPLICAS Not enough good replicas to write."));
        }
        if write && !obey && self.config.replica_read_only && !self.repl.is_master() {
            return Some(Verdict::Refuse("READONLY You can't write against a read only replica."));
        }
        if session.has(Flags::PUBSUB) && resp == 2 && !allowed_while_subscribed(command.spec.name) {
            return Some(Verdict::RefuseWith(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                command.spec.name
            )));
        }
        if !self.config.replica_serve_stale_data && missing & flag::STALE != 0 && self.repl.stale() {
            return Some(Verdict::Refuse(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            ));
        }
        let refused =
            if self.async_loading { flags & flag::NO_ASYNC_LOADING != 0 } else { missing & flag::LOADING != 0 };
        if self.loading && refused {
            return Some(Verdict::Refuse("LOADING Redis is loading the dataset in memory"));
        }
        if let Some(text) = self.busy_error().filter(|_| !command.is(flag::ALLOW_BUSY)) {
            return Some(Verdict::Refuse(text));
        }
        None
    }

    fn queue_command(&mut self, fd: Fd, command: &'static Command, args: &Args) {
        let flags = match command.treatment {
            Treatment::Script => self.flags_of_script(command, args),
            Treatment::Exec | Treatment::Immediate | Treatment::Ping | Treatment::Plain => command.spec.flags,
        };
        let session = self.sessions.at_mut(fd);
        // A doomed transaction is not worth its memory.
        if !session.flags.has(Flags::DIRTY_CAS.with(Flags::DIRTY_EXEC)) {
            let multi = session.multi.get_or_insert_default();
            multi.flags |= flags;
            multi.inv_flags |= !flags;
            let bytes = args.iter().map(<[u8]>::len).sum::<usize>() as u64;
            multi.bytes += bytes + super::footprint::pointers(args.len());
            multi.queue.push((command, args.clone()));
        }
        session.reply.constant(b"+QUEUED\r\n");
    }

    fn protected_allowed(&self, fd: Fd, command: &Command) -> bool {
        let allowed = match protection(command).0 {
            "DEBUG" => self.config.enable_debug_command,
            _ => self.config.enable_module_command,
        };
        match allowed {
            super::config::Protected::Yes => true,
            super::config::Protected::No => false,
            super::config::Protected::Local => self.is_local(fd),
        }
    }

    /// The connection comes from the own machine.
    pub(crate) fn is_local(&self, fd: Fd) -> bool {
        let peer = self.sessions.at(fd).addr.ip;
        peer == crate::id::Ip::LOOPBACK || peer == self.init.addr.ip
    }
}

/// A protected command as its error names it, and what allows it.
fn protection(command: &Command) -> (&'static str, &'static str) {
    match command.spec.name {
        "debug" => ("DEBUG", "enable-debug-command"),
        _ => ("MODULE", "enable-module-command"),
    }
}

fn allowed_while_subscribed(name: &str) -> bool {
    matches!(
        name,
        "ping"
            | "subscribe"
            | "ssubscribe"
            | "unsubscribe"
            | "sunsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "quit"
            | "reset"
    )
}

/// The first 128 bytes up to a NUL, as `%.128s` prints them.
pub(crate) fn clip(text: &[u8]) -> String {
    let text = &text[..text.len().min(128)];
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    lossless(&text[..end])
}

fn unknown_subcommand(args: &Args) -> String {
    let name = lossless(args.get(0)).to_ascii_uppercase();
    format!("ERR unknown subcommand '{}'. Try {name} HELP.", clip(args.get(1)))
}

fn unknown_command(args: &Args) -> String {
    let (mut rest, mut len) = (String::new(), 0);
    for arg in args.iter().skip(1) {
        if len >= 128 {
            break;
        }
        let arg = &arg[..arg.len().min(128 - len)];
        let end = arg.iter().position(|&byte| byte == 0).unwrap_or(arg.len());
        rest.push_str(&format!("'{}' ", lossless(&arg[..end])));
        len += end + 3;
    }
    format!("ERR unknown command '{}', with args beginning with: {rest}", clip(args.get(0)))
}
