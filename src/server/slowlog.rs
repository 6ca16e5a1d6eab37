//! The log of slow commands (`slowlog.c`).

use std::collections::VecDeque;

use bytes::Bytes;

use super::Server;
use super::call::Cx;
use super::commands::{Spec, flag, row};
use super::session::Flags;
use crate::id::Fd;
use crate::resp::Args;

/// Arguments that an entry keeps (`SLOWLOG_ENTRY_MAX_ARGC`).
const ARGS_MAX: usize = 32;
/// Bytes of an argument that it keeps (`SLOWLOG_ENTRY_MAX_STRING`).
const TEXT_MAX: usize = 128;
/// What stands for a secret.
pub(crate) const REDACTED: &[u8] = b"(redacted)";

/// The rows of SLOWLOG's subcommands.
#[rustfmt::skip]
pub(crate) const SUBS: &[Spec] = &[
    row("slowlog|get", -2, flag::ADMIN | flag::LOADING | flag::STALE, (0, 0, 0), "@admin @slow @dangerous", get),
    row("slowlog|help", 2, flag::LOADING | flag::STALE, (0, 0, 0), "@slow", help),
    row("slowlog|len", 2, flag::ADMIN | flag::LOADING | flag::STALE, (0, 0, 0), "@admin @slow @dangerous", len),
    row("slowlog|reset", 2, flag::ADMIN | flag::LOADING | flag::STALE, (0, 0, 0), "@admin @slow @dangerous", reset),
];

/// One slow command.
#[derive(Clone, Debug)]
struct Entry {
    id: i64,
    /// When it ended, in seconds since 1970.
    time: u64,
    /// How long it took, in microseconds.
    us: u64,
    args: Vec<Bytes>,
    peer: String,
    name: Bytes,
}

/// The newest entries, the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slowlog {
    entries: VecDeque<Entry>,
    next: i64,
}

impl Server {
    /// Keeps a command that took `us` microseconds, if that is too long (`slowlogPushEntryIfNeeded`).
    pub(crate) fn log_if_slow(&mut self, fd: Fd, args: &Args, us: u64) {
        let (slower_than, max) = (self.config.slowlog_log_slower_than, self.config.slowlog_max_len);
        if max == 0 || u64::try_from(slower_than).map_or(true, |least| us < least) {
            return;
        }
        let Some(session) = self.sessions.get(fd).filter(|session| !session.flags.has(Flags::BLOCKED)) else { return };
        let entry = Entry {
            id: self.slowlog.next,
            time: self.now.unix.secs(),
            us,
            args: shortened(args, &self.exec.redacted),
            peer: if fd == super::scripting::SCRIPT { "?:0".to_owned() } else { session.addr.to_string() },
            name: session.name.clone().unwrap_or_default(),
        };
        self.slowlog.next += 1;
        self.slowlog.entries.push_front(entry);
        self.slowlog.entries.truncate(usize::try_from(max).unwrap_or(usize::MAX));
    }
}

/// Many arguments and long ones are cut, and say so.
fn shortened(args: &Args, redacted: &[usize]) -> Vec<Bytes> {
    let kept = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let mut texts: Vec<Bytes> = (0..kept)
        .map(|i| {
            let text = if redacted.contains(&i) { REDACTED } else { args.get(i) };
            if text.len() <= TEXT_MAX {
                return Bytes::copy_from_slice(text);
            }
            let more = format!("... ({} more bytes)", text.len() - TEXT_MAX);
            [&text[..TEXT_MAX], more.as_bytes()].concat().into()
        })
        .collect();
    if kept < args.len() {
        texts.push(format!("... ({} more arguments)", args.len() - kept).into());
    }
    texts
}

fn get(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.len() > 3 {
        return cx.add_subcommand_error();
    }
    let mut count = 10;
    if args.len() == 3 {
        let error = "ERR count should be greater than or equal to -1";
        let Some(wanted) = cx.int_arg_or(2, error) else { return };
        if wanted < -1 {
            return cx.add_error(error);
        }
        count = usize::try_from(wanted).unwrap_or(usize::MAX);
    }
    let entries: Vec<Entry> = cx.s.slowlog.entries.iter().take(count).cloned().collect();
    cx.add_array(entries.len());
    for entry in entries {
        cx.add_array(6);
        cx.add_integer(entry.id);
        cx.add_integer(i64::try_from(entry.time).unwrap_or(i64::MAX));
        cx.add_integer(i64::try_from(entry.us).unwrap_or(i64::MAX));
        cx.add_array(entry.args.len());
        for arg in &entry.args {
            cx.add_bulk(arg);
        }
        cx.add_bulk(entry.peer.as_bytes());
        cx.add_bulk(&entry.name);
    }
}

fn len(cx: &mut Cx<'_>) {
    let len = cx.s.slowlog.entries.len();
    cx.add_count(len);
}

fn reset(cx: &mut Cx<'_>) {
    cx.s.slowlog.entries.clear();
    cx.add_ok();
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "slowlog",
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_requests_are_cut() {
        let long = vec![b'x'; 130];
        let mut parts: Vec<&[u8]> = vec![b"MSET", b"secret", &long];
        parts.resize(40, b"a");
        let texts = shortened(&Args::from_parts(&parts), &[1]);
        assert_eq!(texts.len(), 32);
        assert_eq!(texts[1], REDACTED);
        assert!(texts[2].ends_with(b"xx... (2 more bytes)") && texts[2].len() == 128 + 18);
        assert_eq!(texts[31], &b"... (9 more arguments)"[..]);
    }
}
