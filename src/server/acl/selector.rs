//! A set of permissions: commands, keys and channels (`aclSelector`).

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::server::commands::meta::access;
use crate::server::commands::{self, Command, flag, keyspecs};
use crate::server::glob;

/// Categories of commands, in the order of ACL CAT.
pub(crate) const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The bit of a category, whatever the name's case.
#[must_use]
pub(crate) fn category(name: &[u8]) -> Option<u32> {
    CATEGORIES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name)).map(|at| 1 << at)
}

/// Why a rule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleError {
    UnknownCommand,
    Syntax,
    AllKeysAlready,
    AllChannelsAlready,
    NoSuchPassword,
    BadHash,
    Duplicate,
    FirstArgOfSubcommand,
}

impl RuleError {
    /// In Redis's words (`ACLSetUserStringError`).
    #[must_use]
    pub(crate) fn text(self) -> &'static str {
        match self {
            RuleError::UnknownCommand => "Unknown command or category name in ACL",
            RuleError::Syntax => "Syntax error",
            RuleError::AllKeysAlready => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
                 effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::AllChannelsAlready => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
                 effect. Try 'resetchannels' to start with an empty list of channels"
            }
            RuleError::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            RuleError::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            RuleError::Duplicate => "Duplicate user found. A user can only be defined once in config files",
            RuleError::FirstArgOfSubcommand => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// Why a request is denied; for keys and channels, by which argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Denied {
    Command,
    Key(usize),
    Channel(usize),
}

const READ: u8 = 1;
const WRITE: u8 = 2;

/// A pattern of keys and what may be done to them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    may: u8,
    pattern: Bytes,
}

impl KeyPattern {
    fn describe(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(match self.may {
            READ => b"%R~",
            WRITE => b"%W~",
            _ => b"~",
        });
        text.extend_from_slice(&self.pattern);
    }
}

/// Bits for commands; the last stands for those that are yet to be known.
const BITS: usize = 512;

/// Commands, by [`Command::id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commands([u64; BITS / 64]);

impl Commands {
    const NONE: Commands = Commands([0; BITS / 64]);
    const ALL: Commands = Commands([u64::MAX; BITS / 64]);

    fn has(&self, id: usize) -> bool {
        self.0[id / 64] >> (id % 64) & 1 != 0
    }

    fn set(&mut self, id: usize, to: bool) {
        let bit = 1 << (id % 64);
        if to { self.0[id / 64] |= bit } else { self.0[id / 64] &= !bit }
    }

    /// A command with all of its subcommands.
    fn set_whole(&mut self, command: &Command, to: bool) {
        for one in std::iter::once(command).chain(&command.subs) {
            self.set(one.id, to);
        }
    }

    fn set_category(&mut self, category: u32, to: bool) {
        for command in commands::all() {
            if command.categories & category != 0 {
                self.set_whole(command, to);
            }
            for sub in command.subs.iter().filter(|sub| sub.categories & category != 0) {
                self.set(sub.id, to);
            }
        }
    }

    /// How many of a category's commands are in here, and how many aren't.
    fn count(&self, category: u32) -> (usize, usize) {
        let all = commands::all().iter().flat_map(|command| std::iter::once(command).chain(&command.subs));
        let own = all.filter(|command| command.categories & category != 0);
        own.fold((0, 0), |(on, off), command| if self.has(command.id) { (on + 1, off) } else { (on, off + 1) })
    }
}

/// Permissions that hold together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selector {
    all_keys: bool,
    pub(super) all_channels: bool,
    all_commands: bool,
    allowed: Commands,
    /// Commands that are allowed with these first arguments only.
    first_args: BTreeMap<usize, Vec<Bytes>>,
    patterns: Vec<KeyPattern>,
    pub(super) channels: Vec<Bytes>,
}

fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b' ' | b'\t'..=b'\r' | 0))
}

impl Selector {
    /// Without permissions, but for all channels where `acl-pubsub-default` says so.
    #[must_use]
    pub(super) fn new(all_channels: bool) -> Selector {
        Selector {
            all_keys: false,
            all_channels,
            all_commands: false,
            allowed: Commands::NONE,
            first_args: BTreeMap::new(),
            patterns: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// Everything is allowed.
    #[must_use]
    pub(super) fn is_unlimited(&self) -> bool {
        self.all_keys && self.all_channels && self.all_commands
    }

    /// Applies a rule (`ACLSetSelector`).
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if is("allkeys") || is("~*") || is("resetkeys") {
            self.all_keys = !is("resetkeys");
            self.patterns.clear();
        } else if is("allchannels") || is("&*") || is("resetchannels") {
            self.all_channels = !is("resetchannels");
            self.channels.clear();
        } else if is("allcommands") || is("+@all") {
            (self.allowed, self.all_commands) = (Commands::ALL, true);
            self.first_args.clear();
        } else if is("nocommands") || is("-@all") {
            (self.allowed, self.all_commands) = (Commands::NONE, false);
            self.first_args.clear();
        } else {
            match rule {
                [b'~' | b'%', ..] => self.add_keys(rule)?,
                [b'&', pattern @ ..] => self.add_channels(pattern)?,
                [sign @ (b'+' | b'-'), b'@', name @ ..] => {
                    let category = category(name).ok_or(RuleError::UnknownCommand)?;
                    self.change_category(category, *sign == b'+');
                }
                [b'+', name @ ..] => self.allow(name)?,
                [b'-', name @ ..] => {
                    let command = commands::find(name).ok_or(RuleError::UnknownCommand)?;
                    self.change(command, false);
                }
                _ => return Err(RuleError::Syntax),
            }
        }
        Ok(())
    }

    fn add_keys(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AllKeysAlready);
        }
        let (mut may, mut pattern) = (READ | WRITE, &rule[1..]);
        if rule[0] == b'%' {
            may = 0;
            loop {
                let (&letter, rest) = pattern.split_first().unwrap_or((&0, &[]));
                let bit = match letter {
                    b'r' | b'R' => READ,
                    b'w' | b'W' => WRITE,
                    b'~' => {
                        pattern = rest;
                        break;
                    }
                    0 if pattern.is_empty() => break,
                    _ => return Err(RuleError::Syntax),
                };
                if may & bit != 0 {
                    return Err(RuleError::Syntax);
                }
                may |= bit;
                pattern = rest;
            }
        }
        if may == 0 || has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.patterns.iter_mut().find(|other| other.pattern == pattern) {
            Some(other) => other.may |= may,
            None => self.patterns.push(KeyPattern { may, pattern: Bytes::copy_from_slice(pattern) }),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::AllChannelsAlready);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if self.channels.iter().all(|other| other != pattern) {
            self.channels.push(Bytes::copy_from_slice(pattern));
        }
        Ok(())
    }

    /// `+command`, `+container|subcommand`, `+command|first-argument`.
    fn allow(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|&byte| byte == b'|') else {
            let command = commands::lookup(name).ok_or(RuleError::UnknownCommand)?;
            self.change(command, true);
            return Ok(());
        };
        let command = commands::find(&name[..bar]).ok_or(RuleError::UnknownCommand)?;
        if command.spec.name.contains('|') {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        let first = &name[bar + 1..];
        if first.is_empty() {
            return Err(RuleError::Syntax);
        }
        if command.subs.is_empty() {
            let known = self.first_args.entry(command.id).or_default();
            if known.iter().all(|other| !other.eq_ignore_ascii_case(first)) {
                known.push(Bytes::copy_from_slice(first));
            }
        } else {
            let sub = commands::lookup_sub(command, first).ok_or(RuleError::UnknownCommand)?;
            self.change(sub, true);
        }
        Ok(())
    }

    /// A command with its subcommands (`ACLChangeSelectorPerm`).
    fn change(&mut self, command: &Command, allow: bool) {
        self.allowed.set_whole(command, allow);
        self.all_commands &= allow;
        self.first_args.remove(&command.id);
    }

    fn change_category(&mut self, category: u32, allow: bool) {
        self.allowed.set_category(category, allow);
        let all = commands::all().iter().flat_map(|command| std::iter::once(command).chain(&command.subs));
        for command in all.filter(|command| command.categories & category != 0) {
            self.all_commands &= allow;
            self.first_args.remove(&command.id);
        }
    }

    /// May this request be executed (`ACLSelectorCheckCmd`)? Its keys are found when they are first needed.
    pub(super) fn check(
        &self,
        command: &Command,
        args: &[&[u8]],
        keys: &mut Option<keyspecs::Keys>,
    ) -> Result<(), Denied> {
        if !self.all_commands && !command.is(flag::NO_AUTH) && !self.allowed.has(command.id) {
            let given = args.get(if command.spec.name.contains('|') { 2 } else { 1 });
            let known = self.first_args.get(&command.id).map_or(&[][..], Vec::as_slice);
            if !given.is_some_and(|given| known.iter().any(|other| other.eq_ignore_ascii_case(given))) {
                return Err(Denied::Command);
            }
        }
        if !self.all_keys && command.meta.has_keys() {
            let keys = keys.get_or_insert_with(|| keyspecs::keys_of(command, args));
            for key in keys.iter().filter(|key| key.at < args.len()) {
                if !self.may_access(args[key.at], key.access) {
                    return Err(Denied::Key(key.at));
                }
            }
        }
        if !self.all_channels {
            for (at, pattern) in keyspecs::channels_of(command.spec.name, args.len()) {
                if !may_listen(&self.channels, args[at], pattern) {
                    return Err(Denied::Channel(at));
                }
            }
        }
        Ok(())
    }

    /// `ACLSelectorCheckKey`
    fn may_access(&self, key: &[u8], how: u16) -> bool {
        let read = if how & access::ACCESS != 0 { READ } else { 0 };
        let write = if how & (access::INSERT | access::DELETE | access::UPDATE) != 0 { WRITE } else { 0 };
        let fits = |own: &&KeyPattern| (read | write) & !own.may == 0;
        self.patterns.iter().filter(fits).any(|own| glob::matches(&own.pattern, key, false))
    }

    /// Every key may be read (`ACLSelectorHasUnrestrictedKeyAccess`).
    #[must_use]
    pub(super) fn may_read_all_keys(&self) -> bool {
        self.all_keys || self.patterns.iter().any(|own| own.may & READ != 0 && own.pattern == "*")
    }

    /// Key patterns, separated by blanks.
    #[must_use]
    pub(crate) fn describe_keys(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if self.all_keys {
            text.extend_from_slice(b"~*");
        }
        for (i, pattern) in self.patterns.iter().enumerate() {
            if i > 0 {
                text.push(b' ');
            }
            pattern.describe(&mut text);
        }
        text
    }

    /// Channel patterns, separated by blanks.
    #[must_use]
    pub(crate) fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        let patterns: Vec<Vec<u8>> = self.channels.iter().map(|pattern| [b"&", &pattern[..]].concat()).collect();
        patterns.join(&b' ')
    }

    /// The rules that make these permissions (`ACLDescribeSelector`).
    #[must_use]
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut text = self.describe_keys();
        if !text.is_empty() {
            text.push(b' ');
        }
        if !self.all_channels {
            text.extend_from_slice(b"resetchannels ");
        }
        let channels = self.describe_channels();
        if !channels.is_empty() {
            text.extend_from_slice(&channels);
            text.push(b' ');
        }
        text.extend_from_slice(&self.describe_commands());
        text
    }

    /// The rules for commands: categories that fit best first, then the single commands that are left
    /// (`ACLDescribeSelectorCommandRules`).
    #[must_use]
    pub(crate) fn describe_commands(&self) -> Vec<u8> {
        if self.allowed == Commands::ALL {
            // The usual one: nothing is left over, and no first argument adds anything.
            return b"+@all".to_vec();
        }
        let additive = !self.allowed.has(BITS - 1);
        let (start, mut shown) = if additive { ("-@all", Commands::NONE) } else { ("+@all", Commands::ALL) };
        let sign = if additive { '+' } else { '-' };
        let mut rules = vec![start.as_bytes().to_vec()];
        let mut rest = self.allowed;
        let mut applied = 0;
        loop {
            let mut best: Option<(usize, usize, usize)> = None;
            for (at, _) in CATEGORIES.iter().enumerate().filter(|(at, _)| applied >> at & 1 == 0) {
                let (on, off) = rest.count(1 << at);
                let (same, diff) = if additive { (on, off) } else { (off, on) };
                let better = best.is_none_or(|(_, least, most)| diff < least || diff == least && same > most);
                if same > diff && better {
                    best = Some((at, diff, same));
                }
            }
            let Some((at, _, _)) = best else { break };
            shown.set_category(1 << at, additive);
            rest.set_category(1 << at, !additive);
            rules.push(format!("{sign}@{}", CATEGORIES[at]).into_bytes());
            applied |= 1 << at;
        }
        for command in commands::all() {
            self.describe_one(command, &mut shown, &mut rules);
            for sub in &command.subs {
                self.describe_one(sub, &mut shown, &mut rules);
            }
        }
        rules.join(&b' ')
    }

    fn describe_one(&self, command: &Command, shown: &mut Commands, rules: &mut Vec<Vec<u8>>) {
        let (name, allowed) = (command.spec.name, self.allowed.has(command.id));
        if allowed != shown.has(command.id) {
            rules.push(format!("{}{name}", if allowed { '+' } else { '-' }).into_bytes());
            shown.set_whole(command, allowed);
        }
        for first in self.first_args.get(&command.id).into_iter().flatten().filter(|_| !allowed) {
            rules.push([b"+", name.as_bytes(), b"|", first].concat());
        }
    }
}

/// May someone with these channels publish or subscribe to this one? A pattern must be one of them literally
/// (`ACLCheckChannelAgainstList`).
#[must_use]
pub(super) fn may_listen(own: &[Bytes], channel: &[u8], is_pattern: bool) -> bool {
    own.iter().any(|other| if is_pattern { other == channel } else { glob::matches(other, channel, false) })
}
