//! Keyspace notifications: what happens to keys is published to whoever subscribed (`notify.c`).
//!
//! A handler that changes a key calls [`Cx::notify`] where Redis calls `notifyKeyspaceEvent`: with the class and the name of
//! the event, beside the signal that the key changed, before or after the reply as Redis has it (a client that listens to
//! its own changes sees the order). A key that a collection's last element leaves with is deleted by
//! [`Cx::removed_elements`], which publishes both events. Keys that are new go through [`Cx::add_key`], [`Cx::set_key`] or
//! [`Server::key_added`].

use super::Server;
use super::call::Cx;

/// Classes of events, the bits of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u16);

impl Classes {
    /// `K`: published by the key's name.
    pub const KEYSPACE: Classes = Classes(1);
    /// `E`: published by the event's name.
    pub const KEYEVENT: Classes = Classes(1 << 1);
    /// `g`
    pub const GENERIC: Classes = Classes(1 << 2);
    /// `$`
    pub const STRING: Classes = Classes(1 << 3);
    /// `l`
    pub const LIST: Classes = Classes(1 << 4);
    /// `s`
    pub const SET: Classes = Classes(1 << 5);
    /// `h`
    pub const HASH: Classes = Classes(1 << 6);
    /// `z`
    pub const ZSET: Classes = Classes(1 << 7);
    /// `x`
    pub const EXPIRED: Classes = Classes(1 << 8);
    /// `e`
    pub const EVICTED: Classes = Classes(1 << 9);
    /// `t`
    pub const STREAM: Classes = Classes(1 << 10);
    /// `m`: a key was looked for that isn't there. Not among `A`.
    pub const KEY_MISS: Classes = Classes(1 << 11);
    /// `d`: of modules.
    pub const MODULE: Classes = Classes(1 << 13);
    /// `n`: a key is new. Not among `A`.
    pub const NEW: Classes = Classes(1 << 14);

    /// Each class with its letter, in the order in which they are printed.
    const LETTERS: [(char, Classes); 14] = [
        ('g', Classes::GENERIC),
        ('$', Classes::STRING),
        ('l', Classes::LIST),
        ('s', Classes::SET),
        ('h', Classes::HASH),
        ('z', Classes::ZSET),
        ('x', Classes::EXPIRED),
        ('e', Classes::EVICTED),
        ('t', Classes::STREAM),
        ('d', Classes::MODULE),
        ('n', Classes::NEW),
        ('K', Classes::KEYSPACE),
        ('E', Classes::KEYEVENT),
        ('m', Classes::KEY_MISS),
    ];

    /// How many of the letters `A` stands for.
    const IN_ALL: usize = 10;

    /// True when the two have a class in common.
    #[must_use]
    pub const fn has(self, other: Classes) -> bool {
        self.0 & other.0 != 0
    }

    /// Reads the letters of the directive (`keyspaceEventsStringToFlags`).
    ///
    /// # Errors
    /// What Redis says of a letter that is none of them.
    pub fn parse(text: &str) -> Result<Classes, String> {
        let mut classes = 0;
        for letter in text.chars() {
            if letter == 'A' {
                Self::LETTERS[..Self::IN_ALL].iter().for_each(|(_, class)| classes |= class.0);
            } else if let Some((_, class)) = Self::LETTERS.iter().find(|(known, _)| *known == letter) {
                classes |= class.0;
            } else {
                return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned());
            }
        }
        Ok(Classes(classes))
    }

    /// The letters as CONFIG GET prints them (`keyspaceEventsFlagsToString`): beside `A` there is no `n`.
    #[must_use]
    pub fn print(self) -> String {
        let all = Self::LETTERS[..Self::IN_ALL].iter().all(|(_, class)| self.has(*class));
        let shown = Self::LETTERS.iter().skip(if all { Self::IN_ALL + 1 } else { 0 });
        let letters = shown.filter(|(_, class)| self.has(*class)).map(|(letter, _)| *letter);
        all.then_some('A').into_iter().chain(letters).collect()
    }
}

impl Server {
    /// Something happened to a key: tells those who listen for it (`notifyKeyspaceEvent`).
    #[inline]
    pub(crate) fn notify(&mut self, class: Classes, event: &str, db: u32, key: &[u8]) {
        if self.config.notify_keyspace_events.has(class) {
            self.publish_event(event, db, key);
        }
    }

    fn publish_event(&mut self, event: &str, db: u32, key: &[u8]) {
        let classes = self.config.notify_keyspace_events;
        if classes.has(Classes::KEYSPACE) {
            let mut channel = format!("__keyspace@{db}__:").into_bytes();
            channel.extend_from_slice(key);
            self.publish(&channel, event.as_bytes(), false);
        }
        if classes.has(Classes::KEYEVENT) {
            let channel = format!("__keyevent@{db}__:{event}");
            self.publish(channel.as_bytes(), key, false);
        }
    }

    /// A key was added that was not there: what belongs to that beside the data (`dbAdd`).
    #[inline]
    pub(crate) fn key_added(&mut self, db: u32, key: &[u8]) {
        if !self.blocking.is_empty() {
            self.signal_added(db, key);
        }
        self.notify(Classes::NEW, "new", db, key);
    }
}

impl Cx<'_> {
    /// Something happened to the key at argument `i` in the session's database.
    #[inline]
    pub(crate) fn notify(&mut self, class: Classes, event: &str, i: usize) {
        let (db, args) = (self.db(), self.args);
        self.s.notify(class, event, db, args.get(i));
    }

    /// Deletes the key at argument `i`, signals and publishes it; false when it isn't there.
    pub(crate) fn delete_and_notify(&mut self, i: usize) -> bool {
        let deleted = self.delete(i);
        if deleted {
            self.notify(Classes::GENERIC, "del", i);
        }
        deleted
    }
}

#[cfg(test)]
mod tests {
    use super::Classes;

    #[test]
    fn letters_are_read_and_printed() {
        for (given, printed) in
            [("", ""), ("KEA", "AKE"), ("g$lshzxetd", "A"), ("An", "A"), ("nKx", "xnK"), ("mE$", "$Em"), ("KK", "K")]
        {
            assert_eq!(Classes::parse(given).expect("letters").print(), printed, "{given}");
        }
        assert!(Classes::parse("Kq").is_err());
    }
}
