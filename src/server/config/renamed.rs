//! `rename-command`: names that commands have on this server only. Who renames a command that goes into the stream or the
//! append-only file renames it there too, as in fact.

use crate::server::commands::{self, Command};

/// The table of commands as far as it isn't the usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renamed {
    /// Names in lower case, and whose they are now; `None`: nobody's.
    names: Vec<(Vec<u8>, Option<&'static str>)>,
    /// The directives, to be written again.
    lines: Vec<[Vec<u8>; 2]>,
}

impl Renamed {
    /// Whether every command has its own name.
    #[inline]
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// One directive.
    ///
    /// # Errors
    /// There is no such command, or there is one of the new name.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), &'static str> {
        let command = self.lookup(from).ok_or("No such command in rename-command")?;
        self.set(from, None);
        if !to.is_empty() {
            if self.lookup(to).is_some() {
                return Err("Target command name already exists");
            }
            self.set(to, Some(command.spec.name));
        }
        self.lines.push([from.to_vec(), to.to_vec()]);
        Ok(())
    }

    fn set(&mut self, name: &[u8], whose: Option<&'static str>) {
        let name = name.to_ascii_lowercase();
        self.names.retain(|(known, _)| *known != name);
        self.names.push((name, whose));
    }

    /// The command of that name (`lookupCommand` of one word).
    #[inline]
    #[must_use]
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<&'static Command> {
        match self.names.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            None => commands::lookup(name),
            Some((_, whose)) => commands::lookup(whose.as_ref()?.as_bytes()),
        }
    }

    /// The command that a request names, a container's subcommand if there is one (`lookupCommand`).
    #[must_use]
    pub(crate) fn lookup_request(&self, args: &[&[u8]]) -> Option<&'static Command> {
        let command = self.lookup(args.first()?)?;
        match args.get(1) {
            Some(sub) if !command.subs.is_empty() => commands::lookup_sub(command, sub),
            _ => Some(command),
        }
    }

    /// A command by its name, or `container|name`.
    #[must_use]
    pub(crate) fn find(&self, name: &[u8]) -> Option<&'static Command> {
        match name.iter().position(|&byte| byte == b'|') {
            Some(at) => commands::lookup_sub(self.lookup(&name[..at])?, &name[at + 1..]),
            None => self.lookup(name),
        }
    }

    /// The commands that can be called, by whatever name.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &'static Command> + '_ {
        let reachable = |command: &&Command| {
            let name = command.spec.name;
            self.names.iter().any(|(_, whose)| *whose == Some(name))
                || !self.names.iter().any(|(known, _)| known == name.as_bytes())
        };
        commands::all().iter().filter(reachable)
    }

    /// The directives, a line each.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().map(|names| {
            let [from, to] = names.each_ref().map(|name| crate::resp::quote(name));
            format!("rename-command {from} {to}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::rig::Rig;

    #[test]
    fn names_go_and_come() {
        let mut renamed = Renamed::default();
        assert_eq!(renamed.rename(b"CONFIG", b"secret"), Ok(()));
        assert_eq!(renamed.rename(b"config", b"x"), Err("No such command in rename-command"));
        assert_eq!(renamed.rename(b"GET", b"Set"), Err("Target command name already exists"));
        assert_eq!(renamed.rename(b"secret", b"hidden"), Ok(()));
        assert_eq!(renamed.rename(b"keys", b""), Ok(()));
        let name = |text: &[u8]| renamed.find(text).map(|command| command.spec.name);
        assert_eq!((name(b"config"), name(b"secret"), name(b"HIDDEN|get")), (None, None, Some("config|get")));
        assert_eq!(name(b"keys"), None);
        let left: Vec<&str> = renamed.commands().map(|command| command.spec.name).collect();
        assert!(left.contains(&"config") && !left.contains(&"keys") && left.contains(&"set"));
    }

    #[test]
    fn clients_and_the_stream_know_the_new_names_only() {
        let conf = "rename-command SET put\nrename-command KEYS \"\"\nrename-command config cfg\n";
        let mut rig = Rig::with(conf, 1_795_000_000_000, 0);
        rig.server.tap = Some(Vec::new());
        assert_eq!(rig.ask("a", "PUT k v"), "+OK\r\n");
        assert_eq!(rig.ask("a", "SET k v"), "-ERR unknown command 'SET', with args beginning with: 'k' 'v' \r\n");
        assert_eq!(rig.ask("a", "KEYS *"), "-ERR unknown command 'KEYS', with args beginning with: '*' \r\n");
        assert_eq!(rig.ask("a", "COMMAND COUNT"), ":239\r\n");
        let stream = rig.take_stream();
        assert!(String::from_utf8_lossy(&stream).contains("$3\r\nPUT\r\n"), "{stream:?}");
        assert_eq!(rig.ask("a", "CFG REWRITE"), "+OK\r\n");
    }
}
