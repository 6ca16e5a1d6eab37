//! Users in files: `user` directives of redis.conf, and the file of users that `aclfile` names.

use std::fmt::Write as _;

use bytes::Bytes;

use super::{Acl, DEFAULT, RuleError, User, merged};
use crate::id::Fd;
use crate::node::{DiskError, DiskOp, Outbox};
use crate::server::Server;

/// A `user` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfiguredUser {
    /// The user's name.
    pub name: Bytes,
    /// Its rules.
    pub rules: Vec<Bytes>,
}

/// A `user` directive's arguments, checked as far as that goes before all is read (`ACLAppendUserForLoading`).
pub(crate) fn configured(
    args: &[Bytes],
    known: &[ConfiguredUser],
    all_channels: bool,
) -> Result<ConfiguredUser, &'static str> {
    let Some((name, rules)) = args.split_first() else { return Err("wrong number of arguments") };
    if known.iter().any(|other| other.name == name) {
        return Err(RuleError::Duplicate.text());
    }
    if has_spaces(name) {
        return Err("Spaces not allowed in ACL usernames");
    }
    let rules: Vec<&[u8]> = rules.iter().map(|rule| &rule[..]).collect();
    let rules = merged(&rules).map_err(|_| "Unmatched parenthesis in selector definition.")?;
    let mut user = User::new(all_channels);
    for rule in &rules {
        user.apply(rule, all_channels).map_err(RuleError::text)?;
    }
    Ok(ConfiguredUser { name: name.clone(), rules })
}

/// Blanks and zero bytes are no part of a name.
pub(crate) fn has_spaces(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b' ' | b'\t'..=b'\r' | 0))
}

impl Server {
    /// Takes the users of the file in place of those that are known; the sessions of those are closed, unless it is the
    /// start (`ACLLoadFromFile`). The error is everything that is wrong with the file; then nothing has changed.
    pub(crate) fn load_users(&mut self, caller: Option<Fd>) -> Result<(), String> {
        let file = self.config.aclfile.clone();
        let Some(text) = self.acl.file.clone() else {
            return Err(format!("Error loading ACLs, opening file '{file}': No such file or directory"));
        };
        let mut loaded: Vec<(Bytes, User)> = Vec::new();
        let mut errors = String::new();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let place = format!("{file}:{}", index + 1);
            load_line(line.trim_ascii(), &place, self.config.acl_pubsub_default, &mut loaded, &mut errors);
        }
        if !errors.is_empty() {
            errors.push_str("WARNING: ACL errors detected, no change to the previously active ACL rules was performed");
            return Err(errors);
        }
        let ids: Vec<_> = self.acl.names.iter().filter(|(name, _)| *name != DEFAULT).map(|(_, &id)| id).collect();
        let first = loaded.iter().find(|(name, _)| *name == DEFAULT).map(|(_, user)| user.clone());
        self.acl.names.retain(|name, _| name == DEFAULT);
        for id in &ids {
            self.acl.users[id.index()] = None;
        }
        self.acl.put(DEFAULT, first.unwrap_or_else(User::default_user));
        for (name, user) in loaded {
            self.acl.put(&name, user);
        }
        if let Some(me) = caller {
            for id in ids {
                self.close_sessions_of(me, id);
            }
            self.users_changed();
        }
        Ok(())
    }

    /// Writes the users down (`ACLSaveToFile`).
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn save_users(&mut self, out: &mut Outbox) -> Result<(), DiskError> {
        let text: Bytes = self.acl.lines().into();
        let temporary: std::sync::Arc<str> = format!("{}.tmp", self.config.aclfile).into();
        out.disk_wait(DiskOp::Write { file: temporary.clone(), data: text.clone() })?;
        out.disk_wait(DiskOp::Rename { from: temporary, to: self.config.aclfile.as_str().into() })?;
        self.acl.file = Some(text);
        Ok(())
    }
}

impl Acl {
    /// What the file of users holds now.
    pub(crate) fn file_changed(&mut self, text: Option<Bytes>) {
        self.file = text;
    }

    /// All users as files have them, a line for each.
    #[must_use]
    pub(crate) fn lines(&self) -> Vec<u8> {
        self.names.keys().flat_map(|name| [self.line(name), b"\n".to_vec()].concat()).collect()
    }
}

/// One line of the file of users.
fn load_line(line: &[u8], place: &str, all_channels: bool, loaded: &mut Vec<(Bytes, User)>, errors: &mut String) {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    if line.is_empty() {
        return;
    }
    let mut complain = |text: std::fmt::Arguments<'_>| {
        errors.write_fmt(text).expect("writing to a string cannot fail");
    };
    let ([b"user", name, rules @ ..], true) = (words.as_slice(), words.len() > 1) else {
        return complain(format_args!("{place} should start with user keyword followed by the username. "));
    };
    let shown = String::from_utf8_lossy(name).into_owned();
    if has_spaces(name) {
        return complain(format_args!("'{place}: username '{shown}' contains invalid characters. "));
    }
    if loaded.iter().any(|(other, _)| other == name) {
        let number = place.rsplit(':').next().unwrap_or_default();
        return complain(format_args!("WARNING: Duplicate user '{shown}' found on line {number}. "));
    }
    let Ok(rules) = merged(rules) else {
        return complain(format_args!("{place}: Unmatched parenthesis in selector definition."));
    };
    let mut user = User::new(all_channels);
    let mut first = true;
    for rule in rules {
        let rule = rule.trim_ascii();
        match user.apply(rule, all_channels) {
            Ok(()) => {}
            Err(error @ RuleError::UnknownCommand) => {
                let rule = String::from_utf8_lossy(rule);
                complain(format_args!("{place}: Error in applying operation '{rule}': {}. ", error.text()));
            }
            Err(error) if first => {
                first = false;
                complain(format_args!("{place}: {}. ", error.text()));
            }
            Err(_) => {}
        }
    }
    loaded.push((Bytes::copy_from_slice(name), user));
}
