//! A user: passwords and selectors (`user`).

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::selector::{RuleError, Selector};
use crate::resp::split_args;

const ENABLED: u8 = 1;
const DISABLED: u8 = 1 << 1;
const NOPASS: u8 = 1 << 2;
const SKIP_SANITIZE: u8 = 1 << 3;
const SANITIZE: u8 = 1 << 4;

/// Names of the bits, in the order in which they are shown.
const FLAGS: [(u8, &str); 5] = [
    (ENABLED, "on"),
    (DISABLED, "off"),
    (NOPASS, "nopass"),
    (SKIP_SANITIZE, "skip-sanitize-payload"),
    (SANITIZE, "sanitize-payload"),
];

/// Who may log in, and may do what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User {
    flags: u8,
    /// SHA-256 of each, in hexadecimal digits.
    passwords: Vec<String>,
    /// The first is the one that rules outside of parentheses are about.
    selectors: Vec<Selector>,
}

/// The SHA-256 of a password in hexadecimal digits.
fn hashed(password: &[u8]) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checked_hash(hash: &[u8]) -> Result<String, RuleError> {
    let fits = hash.len() == 64 && hash.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits { Ok(String::from_utf8_lossy(hash).into_owned()) } else { Err(RuleError::BadHash) }
}

impl User {
    /// Disabled, without permissions.
    #[must_use]
    pub(crate) fn new(all_channels: bool) -> User {
        User { flags: DISABLED, passwords: Vec::new(), selectors: vec![Selector::new(all_channels)] }
    }

    /// The one that everybody is at first.
    #[must_use]
    pub(crate) fn default_user() -> User {
        let mut user = User::new(true);
        for rule in ["+@all", "~*", "&*", "on", "nopass"] {
            user.apply(rule.as_bytes(), true).expect("these rules are known");
        }
        user
    }

    /// Applies a rule (`ACLSetUser`); `all_channels`: what `acl-pubsub-default` gives new selectors.
    pub(crate) fn apply(&mut self, rule: &[u8], all_channels: bool) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            [] => {}
            _ if is("on") => self.flag(ENABLED, DISABLED),
            _ if is("off") => self.flag(DISABLED, ENABLED),
            _ if is("skip-sanitize-payload") => self.flag(SKIP_SANITIZE, SANITIZE),
            _ if is("sanitize-payload") => self.flag(SANITIZE, SKIP_SANITIZE),
            _ if is("nopass") => {
                self.flags |= NOPASS;
                self.passwords.clear();
            }
            _ if is("resetpass") => {
                self.flags &= !NOPASS;
                self.passwords.clear();
            }
            [sign @ (b'>' | b'#'), password @ ..] => {
                let hash = if *sign == b'>' { hashed(password) } else { checked_hash(password)? };
                if !self.passwords.contains(&hash) {
                    self.passwords.push(hash);
                }
                self.flags &= !NOPASS;
            }
            [sign @ (b'<' | b'!'), password @ ..] => {
                let hash = if *sign == b'<' { hashed(password) } else { checked_hash(password)? };
                let at = self.passwords.iter().position(|other| *other == hash).ok_or(RuleError::NoSuchPassword)?;
                self.passwords.remove(at);
            }
            [b'(', inner @ .., b')'] => {
                let mut selector = Selector::new(all_channels);
                for rule in split_args(inner).unwrap_or_default() {
                    selector.apply(&rule)?;
                }
                self.selectors.push(selector);
            }
            _ if is("clearselectors") => self.selectors.truncate(1),
            _ if is("reset") => {
                self.flags = DISABLED | SANITIZE;
                self.passwords.clear();
                self.selectors = vec![Selector::new(all_channels)];
            }
            _ => self.selectors[0].apply(rule)?,
        }
        Ok(())
    }

    fn flag(&mut self, set: u8, clear: u8) {
        self.flags = self.flags & !clear | set;
    }

    /// The password that `requirepass` sets; empty: none is needed (`ACLUpdateDefaultUserPassword`).
    pub(super) fn require(&mut self, password: &[u8]) {
        self.passwords.clear();
        if password.is_empty() {
            self.flags |= NOPASS;
        } else {
            self.flags &= !NOPASS;
            self.passwords.push(hashed(password));
        }
    }

    /// Any password will do.
    #[must_use]
    pub(crate) fn needs_no_password(&self) -> bool {
        self.flags & NOPASS != 0
    }

    /// Nobody may log in as this one.
    #[must_use]
    pub(crate) fn is_disabled(&self) -> bool {
        self.flags & DISABLED != 0
    }

    /// `ACLCheckUserCredentials`
    #[must_use]
    pub(super) fn lets_in(&self, password: &[u8]) -> bool {
        !self.is_disabled() && (self.needs_no_password() || self.passwords.contains(&hashed(password)))
    }

    /// Everything is allowed.
    #[must_use]
    pub(super) fn is_unlimited(&self) -> bool {
        self.selectors.iter().any(Selector::is_unlimited)
    }

    /// The permissions, the first of them those outside of parentheses.
    #[must_use]
    pub(crate) fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Names of what is set.
    pub(crate) fn flag_names(&self) -> impl Iterator<Item = &'static str> + Clone + '_ {
        FLAGS.iter().filter(|(bit, _)| self.flags & bit != 0).map(|(_, name)| *name)
    }

    /// Hashes of the passwords.
    #[must_use]
    pub(crate) fn passwords(&self) -> &[String] {
        &self.passwords
    }

    /// The rules that make this user (`ACLDescribeUser`).
    #[must_use]
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for name in self.flag_names() {
            text.extend_from_slice(name.as_bytes());
            text.push(b' ');
        }
        for hash in &self.passwords {
            text.extend_from_slice(format!("#{hash} ").as_bytes());
        }
        for (i, selector) in self.selectors.iter().enumerate() {
            let rules = selector.describe();
            text.extend_from_slice(&if i == 0 { rules } else { [b" (", &rules[..], b")"].concat() });
        }
        text
    }
}

/// Joins rules in parentheses that blanks have cut (`ACLMergeSelectorArguments`); the error is the first part of one that
/// has no end.
pub(crate) fn merged(rules: &[&[u8]]) -> Result<Vec<Bytes>, Bytes> {
    let mut whole = Vec::new();
    let mut open: Option<(Bytes, Vec<u8>)> = None;
    for &rule in rules {
        if rule.first() == Some(&b'(') && rule.last() != Some(&b')') {
            open = Some((Bytes::copy_from_slice(rule), rule.to_vec()));
        } else if let Some((_, text)) = &mut open {
            text.push(b' ');
            text.extend_from_slice(rule);
            if rule.last() == Some(&b')') {
                whole.extend(open.take().map(|(_, text)| Bytes::from(text)));
            }
        } else {
            whole.push(Bytes::copy_from_slice(rule));
        }
    }
    match open {
        Some((first, _)) => Err(first),
        None => Ok(whole),
    }
}
