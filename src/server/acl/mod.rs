//! Access control: users, what they may do, and who a session is (`acl.c`).
//!
//! A session whose user may do everything isn't looked at here: [`Flags::LIMITED`] says which are.

mod file;
mod log;
mod selector;
mod user;

use std::collections::BTreeMap;

use bytes::Bytes;
pub(crate) use file::{ConfiguredUser, configured};
pub(crate) use log::Context;
pub(crate) use selector::{CATEGORIES, Denied, RuleError, Selector, category};
pub(crate) use user::{User, merged};

use super::commands::Command;
use super::config::Config;
use super::session::Flags;
use super::{Server, clients};
use crate::id::Fd;
use crate::node::Outbox;
use crate::resp::{Args, bytes_of};
use log::{Entry, Log, Reason};

/// Who a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserId(u32);

impl UserId {
    /// The user that everybody is at first.
    pub(crate) const DEFAULT: UserId = UserId(0);
    /// Nobody in particular, who may do everything: the link to our master.
    pub(crate) const SUPERUSER: UserId = UserId(u32::MAX);

    fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The name of the user that everybody is at first.
const DEFAULT: &[u8] = b"default";

/// All users, and what they were denied.
#[derive(Clone, Debug)]
pub(crate) struct Acl {
    /// By [`UserId`]; the place of a deleted user stays empty.
    users: Vec<Option<(Bytes, User)>>,
    names: BTreeMap<Bytes, UserId>,
    log: Log,
    /// Sessions must log in.
    auth_required: bool,
    /// What the file of users holds (`aclfile`), as far as it was there or has been written.
    file: Option<Bytes>,
}

impl Acl {
    /// The default user alone, with a password or without.
    #[must_use]
    pub(crate) fn new(requirepass: &str) -> Acl {
        let mut acl =
            Acl { users: Vec::new(), names: BTreeMap::new(), log: Log::default(), auth_required: false, file: None };
        let mut user = User::default_user();
        user.require(&bytes_of(requirepass));
        acl.put(DEFAULT, user);
        acl
    }

    fn put(&mut self, name: &[u8], user: User) {
        if let Some(&id) = self.names.get(name) {
            self.users[id.index()] = Some((Bytes::copy_from_slice(name), user));
        } else {
            let name = Bytes::copy_from_slice(name);
            let id = UserId(u32::try_from(self.users.len()).expect("fewer users than that"));
            self.users.push(Some((name.clone(), user)));
            self.names.insert(name, id);
        }
        let first = self.get(DEFAULT).map_or(User::new(true), Clone::clone);
        self.auth_required = !first.needs_no_password() || first.is_disabled();
    }

    /// The user of that name.
    #[must_use]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&User> {
        self.by_id(*self.names.get(name)?)
    }

    fn by_id(&self, id: UserId) -> Option<&User> {
        self.users.get(id.index())?.as_ref().map(|(_, user)| user)
    }

    /// A user's id.
    #[must_use]
    pub(crate) fn id(&self, name: &[u8]) -> Option<UserId> {
        self.names.get(name).copied()
    }

    /// A user's name; `None`: nobody in particular.
    #[must_use]
    pub(crate) fn name(&self, id: UserId) -> Option<&Bytes> {
        self.users.get(id.index())?.as_ref().map(|(name, _)| name)
    }

    /// Names in their order.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<Bytes> {
        self.names.keys().cloned().collect()
    }

    /// A user's name and rules as ACL LIST and files have them.
    #[must_use]
    pub(crate) fn line(&self, name: &[u8]) -> Vec<u8> {
        let rules = self.get(name).map(User::describe).unwrap_or_default();
        [b"user ", name, b" ", &rules].concat()
    }

    /// What was denied.
    #[must_use]
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// What was denied.
    pub(crate) fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    fn is_limited(&self, id: UserId) -> bool {
        self.by_id(id).is_some_and(|user| !user.is_unlimited())
    }
}

/// May a user execute this request (`ACLCheckAllUserCommandPerm`)? When not, the error is the one that comes last: a
/// command that nothing allows, or a key or channel that no selector does.
pub(crate) fn check(user: &User, command: &Command, args: &[&[u8]]) -> Result<(), Denied> {
    let mut keys = None;
    let mut worst = Denied::Command;
    for selector in user.selectors() {
        match selector.check(command, args, &mut keys) {
            Ok(()) => return Ok(()),
            Err(denied) => worst = worst.max(denied),
        }
    }
    Err(worst)
}

impl Server {
    /// True when a session that has not logged in must (`authRequired`).
    #[must_use]
    pub(crate) fn auth_required(&self) -> bool {
        self.acl.auth_required
    }

    /// The session is the default user, logged in if that one needs no password (`clientSetDefaultAuth`).
    pub(crate) fn set_default_auth(&mut self, fd: Fd) {
        let authenticated = !self.acl.auth_required;
        self.become_user(fd, UserId::DEFAULT, authenticated);
    }

    /// The session is this user from now on.
    pub(crate) fn become_user(&mut self, fd: Fd, user: UserId, authenticated: bool) {
        let limited = self.acl.is_limited(user);
        let session = self.sessions.at_mut(fd);
        (session.user, session.authenticated) = (user, authenticated);
        session.flags.clear(Flags::LIMITED);
        if limited {
            session.flags.set(Flags::LIMITED);
        }
    }

    /// Logs a session in; a failure is logged (`ACLAuthenticateUser`).
    pub(crate) fn authenticate(&mut self, fd: Fd, args: &Args, name: &[u8], password: &[u8]) -> bool {
        let known = self.acl.id(name).filter(|_| self.acl.get(name).is_some_and(|user| user.lets_in(password)));
        match known {
            Some(user) => self.become_user(fd, user, true),
            None => {
                let context = self.context(fd);
                self.log_denied(fd, args, Reason::Auth, context, Bytes::copy_from_slice(args.get(0)), Some(name));
            }
        }
        known.is_some()
    }

    fn context(&self, fd: Fd) -> Context {
        if self.sessions.at(fd).flags.has(Flags::MULTI) { Context::Multi } else { Context::TopLevel }
    }

    /// Why a session may not execute this request (`ACLCheckAllPerm`).
    #[must_use]
    pub(crate) fn may_not(&self, fd: Fd, command: &Command, words: &[&[u8]]) -> Option<Denied> {
        let session = self.sessions.at(fd);
        let user = self.acl.by_id(session.user).filter(|_| session.flags.has(Flags::LIMITED))?;
        check(user, command, words).err()
    }

    /// The same; a refusal is logged (`addACLLogEntry`).
    pub(crate) fn denied(&mut self, fd: Fd, command: &Command, args: &Args) -> Option<Denied> {
        if !self.sessions.at(fd).flags.has(Flags::LIMITED) {
            return None;
        }
        let words: smallvec::SmallVec<[&[u8]; 8]> = args.iter().collect();
        let denied = self.may_not(fd, command, &words)?;
        let context = self.context(fd);
        self.log_refusal(fd, (command, args), args, denied, context);
        Some(denied)
    }

    /// A request, of the session itself or of what it runs, was refused.
    pub(crate) fn log_refusal(
        &mut self,
        fd: Fd,
        (command, args): (&Command, &Args),
        running: &Args,
        denied: Denied,
        context: Context,
    ) {
        let (reason, object) = match denied {
            Denied::Command => (Reason::Command, Bytes::from_static(command.spec.name.as_bytes())),
            Denied::Key(at) => (Reason::Key, Bytes::copy_from_slice(args.get(at))),
            Denied::Channel(at) => (Reason::Channel, Bytes::copy_from_slice(args.get(at))),
        };
        self.log_denied(fd, running, reason, context, object, None);
    }

    /// A session's user may execute this request, and read every key (`ACLUserCheckCmdWithUnrestrictedKeyAccess`).
    #[must_use]
    pub(crate) fn may_read_all_keys(&self, fd: Fd, command: &Command, args: &[&[u8]]) -> bool {
        let session = self.sessions.at(fd);
        let Some(user) = self.acl.by_id(session.user).filter(|_| session.flags.has(Flags::LIMITED)) else {
            return true;
        };
        let mut keys = None;
        let fits = |own: &Selector| own.check(command, args, &mut keys).is_ok() && own.may_read_all_keys();
        user.selectors().iter().any(fits)
    }

    fn log_denied(
        &mut self,
        fd: Fd,
        args: &Args,
        reason: Reason,
        context: Context,
        object: Bytes,
        name: Option<&[u8]>,
    ) {
        let session = self.sessions.at(fd);
        let own = || self.acl.name(session.user).cloned().unwrap_or_default();
        let user = name.map_or_else(own, Bytes::copy_from_slice);
        let client = self.describe_client(session, Some(args));
        let entry = Entry { count: 1, reason, context, object, user, ms: self.now.unix.ms(), client };
        self.acl.log.add(entry, self.config.acllog_max_len);
    }

    /// ACL SETUSER: all rules hold, or none (`ACLStringSetUser`).
    pub(crate) fn set_user(&mut self, name: &[u8], rules: &[&[u8]], out: &mut Outbox) -> Result<(), Vec<u8>> {
        let rules = merged(rules)
            .map_err(|first| [b"Unmatched parenthesis in acl selector starting at '", &first[..], b"'."].concat())?;
        let all_channels = self.config.acl_pubsub_default;
        let old = self.acl.get(name).cloned();
        let mut new = old.clone().unwrap_or_else(|| User::new(all_channels));
        for rule in rules {
            new.apply(&rule, all_channels).map_err(|error| {
                [b"Error in ACL SETUSER modifier '", &rule[..], b"': ", error.text().as_bytes()].concat()
            })?;
        }
        if let Some(old) = old {
            self.close_listeners(name, &old, &new, out);
        }
        self.acl.put(name, new);
        self.users_changed();
        Ok(())
    }

    /// ACL DELUSER: its sessions are closed; false when there is no such user.
    pub(crate) fn delete_user(&mut self, me: Fd, name: &[u8]) -> bool {
        let Some(id) = self.acl.names.remove(name) else { return false };
        self.acl.users[id.index()] = None;
        self.close_sessions_of(me, id);
        true
    }

    /// `ACLFreeUserAndKillClients`
    fn close_sessions_of(&mut self, me: Fd, id: UserId) {
        let own: Vec<Fd> =
            self.sessions.iter().filter(|session| session.user == id).map(|session| session.fd).collect();
        for fd in own {
            self.become_user(fd, UserId::DEFAULT, false);
            if fd == me {
                self.sessions.at_mut(fd).flags.set(Flags::CLOSE_AFTER_COMMAND);
            } else {
                self.close_later(fd);
            }
        }
    }

    /// Listeners that lose a channel are closed (`ACLKillPubsubClientsIfNeeded`).
    fn close_listeners(&mut self, name: &[u8], old: &User, new: &User, out: &mut Outbox) {
        use super::pubsub::Topic;
        if new.selectors().iter().any(|selector| selector.all_channels) {
            return;
        }
        let channels: Vec<Bytes> = new.selectors().iter().flat_map(|selector| selector.channels.clone()).collect();
        let kept = |selector: &Selector| {
            !selector.all_channels && selector.channels.iter().all(|channel| channels.contains(channel))
        };
        if old.selectors().iter().all(kept) {
            return;
        }
        let Some(id) = self.acl.id(name) else { return };
        let loses = |session: &super::session::Session| {
            session.subscriptions.as_ref().is_some_and(|own| {
                [(Topic::Pattern, true), (Topic::Channel, false), (Topic::Shard, false)].into_iter().any(
                    |(topic, pattern)| {
                        own.of(topic).iter().any(|channel| !selector::may_listen(&channels, channel, pattern))
                    },
                )
            })
        };
        let listeners = self.sessions.iter().filter(|session| session.user == id && clients::is_listener(session));
        let fds: Vec<Fd> = listeners.filter(|session| loses(session)).map(|session| session.fd).collect();
        for fd in fds {
            self.close_session(fd, out);
        }
    }

    /// Users changed: who is looked at may have changed with them.
    fn users_changed(&mut self) {
        let all: Vec<(Fd, UserId, bool)> =
            self.sessions.iter().map(|session| (session.fd, session.user, session.authenticated)).collect();
        for (fd, user, authenticated) in all {
            self.become_user(fd, user, authenticated);
        }
        self.plain = false;
    }

    /// CONFIG SET requirepass.
    pub(crate) fn requirepass_changed(&mut self) {
        let mut user = self.acl.get(DEFAULT).cloned().expect("there is always a default user");
        user.require(&bytes_of(&self.config.requirepass));
        self.acl.put(DEFAULT, user);
        self.users_changed();
    }

    /// The users of a configuration: the process starts (`ACLLoadUsersAtStartup`). The error is why it doesn't.
    pub(crate) fn start_acl(&mut self, file: Option<Bytes>) -> Result<(), String> {
        let config: &Config = &self.config;
        self.acl = Acl::new(&config.requirepass);
        if !config.aclfile.is_empty() && !config.users.is_empty() {
            return Err(
                "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is \
                        invalid. This setup is very likely to lead to configuration errors and security holes, please \
                        define either an ACL file or declare users directly in your redis.conf, but not both."
                    .to_owned(),
            );
        }
        for configured in &config.users {
            let mut user = User::new(config.acl_pubsub_default);
            if configured.name == DEFAULT {
                user = User::default_user();
                user.apply(b"reset", config.acl_pubsub_default).expect("a known rule");
            }
            for rule in &configured.rules {
                user.apply(rule, config.acl_pubsub_default).map_err(|error| {
                    let (rule, name) = (String::from_utf8_lossy(rule), String::from_utf8_lossy(&configured.name));
                    format!("Error loading ACL rule '{rule}' for the user named '{name}': {}", error.text())
                })?;
            }
            self.acl.put(&configured.name, user);
        }
        self.acl.file = file;
        if !self.config.aclfile.is_empty() {
            self.load_users(None)
                .map_err(|errors| format!("Aborting Redis startup because of ACL errors: {errors}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::node::{DiskOp, Output};
    use crate::server::config::Config;
    use crate::server::rig::Rig;

    const START: u64 = 1_795_000_000_000;

    fn config(text: &str) -> Result<Config, String> {
        let directives = crate::conf::parse(text.as_bytes()).expect("quotes are balanced");
        Config::from_directives(&directives).map(|(config, _)| config).map_err(|errors| errors[0].message.clone())
    }

    #[test]
    fn users_of_the_configuration() {
        let mut rig = Rig::with("user bob on >pw ~b* +@all (+get ~c)\nuser default on >secret ~* +@all\n", START, 0);
        assert_eq!(rig.ask("A", "PING"), "-NOAUTH Authentication required.\r\n");
        assert_eq!(rig.ask("A", "AUTH bob pw"), "+OK\r\n");
        assert_eq!(rig.ask("A", "SET b v"), "+OK\r\n");
        assert_eq!(rig.ask("A", "GET c"), "$-1\r\n");
        assert!(rig.ask("A", "SET c v").starts_with("-NOPERM"));
        for (text, message) in [
            ("user", "wrong number of arguments"),
            ("user a\nuser a", "Duplicate user found. A user can only be defined once in config files"),
            ("user a +nosuch", "Unknown command or category name in ACL"),
            ("user a (+get", "Unmatched parenthesis in selector definition."),
            ("user a nosuch", "Syntax error"),
        ] {
            assert_eq!(config(text).expect_err(text), message, "{text}");
        }
        let mut server = Rig::with("", START, 0).server;
        server.config = std::sync::Arc::new(config("user a\naclfile users").expect("each alone is right"));
        assert!(server.start_acl(None).expect_err("not both").starts_with("Configuring Redis with users"));
    }

    #[test]
    fn users_of_a_file() {
        let mut rig = Rig::with("", START, 0);
        rig.server.config = std::sync::Arc::new(config("aclfile users.acl").expect("valid"));
        let absent = rig.server.start_acl(None).expect_err("there is no file");
        assert!(absent.ends_with("opening file 'users.acl': No such file or directory"), "{absent}");
        let text = "\nuser default on nopass ~* &* +@all\n  user bob on >pw ~* +@all \r\n";
        rig.server.start_acl(Some(Bytes::from_static(text.as_bytes()))).expect("a right file");
        assert_eq!(rig.ask("A", "AUTH bob pw"), "+OK\r\n");
        assert_eq!(rig.ask("B", "ACL SETUSER carol on nopass +@all ~*"), "+OK\r\n");
        assert_eq!(rig.ask("C", "AUTH carol x"), "+OK\r\n");
        rig.others.clear();
        assert_eq!(rig.ask("B", "ACL SAVE"), "+OK\r\n");
        let wrote = rig.others.iter().filter(|output| {
            matches!(output, Output::Disk(request) if matches!(&request.op, DiskOp::Rename { to, .. } if &**to == "users.acl"))
        });
        assert_eq!(wrote.count(), 1);
        assert_eq!(rig.ask("B", "ACL SETUSER dave on"), "+OK\r\n");
        assert_eq!(rig.ask("B", "ACL LOAD"), "+OK\r\n");
        assert_eq!(rig.ask("B", "ACL USERS"), "*3\r\n$3\r\nbob\r\n$5\r\ncarol\r\n$7\r\ndefault\r\n");
        for name in ["A", "C"] {
            assert!(rig.closed.contains(&rig.fds[name]), "{name} is someone else now");
        }
        let wrong = "user a +nosuch\nbob\nuser a\nuser default on (+get\nuser z ~a ~* ~b &c";
        let errors = rig.server.start_acl(Some(Bytes::from_static(wrong.as_bytes()))).expect_err("a wrong file");
        assert_eq!(
            errors,
            "Aborting Redis startup because of ACL errors: users.acl:1: Error in applying operation '+nosuch': Unknown \
             command or category name in ACL. users.acl:2 should start with user keyword followed by the username. \
             WARNING: Duplicate user 'a' found on line 3. users.acl:4: Unmatched parenthesis in selector \
             definition.users.acl:5: Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does \
             not have any effect. Try 'resetkeys' to start with an empty list of patterns. WARNING: ACL errors detected, \
             no change to the previously active ACL rules was performed"
        );
    }

    /// A session whose user may do everything is one bit away from its command.
    #[test]
    fn only_limited_sessions_are_looked_at() {
        use crate::server::session::Flags;
        let mut rig = Rig::with("", START, 0);
        let limited = |rig: &mut Rig| {
            let fd = rig.fd("A");
            rig.server.sessions.at(fd).flags.has(Flags::LIMITED)
        };
        assert!(!limited(&mut rig));
        rig.ask("A", "ACL SETUSER default -debug");
        assert!(limited(&mut rig));
        rig.ask("A", "ACL SETUSER default +@all");
        assert!(!limited(&mut rig));
        rig.ask("A", "ACL SETUSER default (~a* +get)");
        assert!(!limited(&mut rig));
    }
}
