//! Which arguments of a request are keys or channels (`getKeysFromCommandWithSpecs`, `getChannelsFromCommand`).

use smallvec::SmallVec;

use super::Command;
use super::meta::{Begin, Find, KeySpec, access};
use crate::resp::parse_i64;

/// A key among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRef {
    /// Its argument.
    pub at: usize,
    /// What is done to it, as [`access`] bits.
    pub access: u16,
}

/// Keys of one request.
pub(crate) type Keys = SmallVec<[KeyRef; 4]>;

/// The keys of a request, its name first among the arguments.
#[must_use]
pub(crate) fn keys_of(command: &Command, args: &[&[u8]]) -> Keys {
    let specs = &command.meta.specs;
    let varies = specs.iter().any(|spec| spec.access & access::VARIABLE_FLAGS != 0);
    if command.meta.has_keys()
        && !varies
        && let Some(keys) = by_specs(specs, args)
    {
        return keys;
    }
    by_command(command.spec.name, args)
}

/// The keys of a request that has been executed: those of some commands, which parse their own arguments, are other ones
/// where the arguments are wrong (`getKeysFromCommand`).
#[must_use]
pub(crate) fn keys_called(command: &Command, args: &[&[u8]]) -> Keys {
    let name = command.spec.name;
    let own = matches!(name, "sort_ro" | "xread" | "zunion" | "zinter" | "zdiff" | "zintercard" | "sintercard");
    if own { by_command(name, args) } else { keys_of(command, args) }
}

fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// The keys as the specifications have it; `None`: the arguments don't fit them (`getKeysUsingKeySpecs`).
fn by_specs(specs: &[KeySpec], args: &[&[u8]]) -> Option<Keys> {
    let len = i64::try_from(args.len()).unwrap_or(i64::MAX);
    let mut keys = Keys::new();
    for spec in specs.iter().filter(|spec| spec.access & access::NOT_KEY == 0) {
        let first = match spec.begin {
            Begin::Index(at) => at,
            Begin::Keyword(word, from) => match after_keyword(word, from, args) {
                Some(at) => at,
                None => continue,
            },
            Begin::Unknown => return None,
        };
        let (first, last, step) = match spec.find {
            Find::Range(last, step, _) if last >= 0 => (first, first + last, step),
            Find::Range(last, step, 0) => (first, len + last, step),
            Find::Range(last, step, limit) => (first, first + (len - first) / limit + last, step),
            Find::Number(at, from, step) => {
                let number = args.get(usize::try_from(first + at).ok()?)?;
                let count = parse_i64(number).filter(|&count| count >= 0)?;
                (first + from, (first + from).saturating_add(count - 1), step)
            }
            Find::Unknown => return None,
        };
        if last >= len || last < first || first >= len {
            return None;
        }
        let mut at = first;
        while at <= last {
            keys.push(KeyRef { at: usize::try_from(at).ok()?, access: spec.access });
            at += step;
        }
        if spec.access & access::INCOMPLETE != 0 {
            return None;
        }
    }
    Some(keys)
}

/// The argument after a word that is looked for forwards, or backwards from the end.
fn after_keyword(word: &str, from: i64, args: &[&[u8]]) -> Option<i64> {
    let len = i64::try_from(args.len()).unwrap_or(i64::MAX);
    let (mut at, end) = if from > 0 { (from, len - 1) } else { (len + from, 1) };
    let step = if at <= end { 1 } else { -1 };
    while at != end && at >= 1 && at < len {
        if is(args[usize::try_from(at).ok()?], word) {
            return Some(at + 1);
        }
        at += step;
    }
    None
}

/// The keys of commands that only they themselves can tell (`getkeys_proc`).
fn by_command(name: &str, args: &[&[u8]]) -> Keys {
    let one = |at, access| Keys::from_slice(&[KeyRef { at, access }]);
    match name {
        "set" => {
            let reads = args.iter().skip(3).any(|arg| is(arg, "get"));
            one(1, if reads { access::RW | access::ACCESS | access::UPDATE } else { access::OW | access::UPDATE })
        }
        "bitfield" => one(1, bitfield_access(args)),
        "sort_ro" => one(1, access::RO | access::ACCESS),
        "sort" => sort_keys(args),
        "migrate" => migrate_keys(args),
        "xread" | "xreadgroup" => stream_keys(args),
        "zunionstore" | "zinterstore" | "zdiffstore" => counted_keys(Some(1), 2, args),
        "eval" | "evalsha" | "eval_ro" | "evalsha_ro" | "fcall" | "fcall_ro" | "blmpop" | "bzmpop" => {
            counted_keys(None, 2, args)
        }
        "zunion" | "zinter" | "zdiff" | "zintercard" | "sintercard" | "lmpop" | "zmpop" => counted_keys(None, 1, args),
        _ => Keys::new(),
    }
}

fn bitfield_access(args: &[&[u8]]) -> u16 {
    let mut i = 2;
    while i < args.len() {
        let rest = args.len() - i - 1;
        if is(args[i], "get") && rest >= 2 {
            i += 2;
        } else if is(args[i], "overflow") && rest >= 1 {
            i += 1;
        } else {
            return access::RW | access::ACCESS | access::UPDATE;
        }
        i += 1;
    }
    access::RO | access::ACCESS
}

/// The key, and the one after the last STORE.
fn sort_keys(args: &[&[u8]]) -> Keys {
    let mut keys = Keys::from_slice(&[KeyRef { at: 1, access: access::RO | access::ACCESS }]);
    let mut i = 2;
    while i < args.len() {
        if is(args[i], "limit") {
            i += 2;
        } else if is(args[i], "get") || is(args[i], "by") {
            i += 1;
        } else if is(args[i], "store") && i + 1 < args.len() {
            keys.truncate(1);
            keys.push(KeyRef { at: i + 1, access: access::OW | access::UPDATE });
        }
        i += 1;
    }
    keys
}

fn migrate_keys(args: &[&[u8]]) -> Keys {
    let mut range = 3..4;
    let mut i = 6;
    while i < args.len() {
        if is(args[i], "keys") {
            range = if args[3].is_empty() { i + 1..args.len() } else { 0..0 };
            break;
        }
        i += 1 + if is(args[i], "auth") { 1 } else { 2 * usize::from(is(args[i], "auth2")) };
    }
    range.map(|at| KeyRef { at, access: access::RW | access::ACCESS | access::DELETE }).collect()
}

/// Half of what follows STREAMS.
fn stream_keys(args: &[&[u8]]) -> Keys {
    let mut i = 1;
    while i < args.len() {
        if is(args[i], "streams") {
            let count = args.len() - i - 1;
            let count = if count.is_multiple_of(2) { count / 2 } else { 0 };
            return (i + 1..=i + count).map(|at| KeyRef { at, access: 0 }).collect();
        }
        i += match args[i].to_ascii_lowercase().as_slice() {
            b"block" | b"count" => 2,
            b"group" => 3,
            b"noack" => 1,
            _ => return Keys::new(),
        };
    }
    Keys::new()
}

/// The keys of commands that say how many follow, and the one that they write (`genericGetKeys`).
fn counted_keys(target: Option<usize>, number: usize, args: &[&[u8]]) -> Keys {
    let text = args.get(number).copied().unwrap_or_default();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let count = std::str::from_utf8(&text[..digits]).ok().and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    if count < 1 || count > args.len().saturating_sub(number + 1) {
        return Keys::new();
    }
    let keys = number + 1..=number + count;
    keys.chain(target).map(|at| KeyRef { at, access: 0 }).collect()
}

/// A channel among the arguments, and whether it is a pattern.
pub(crate) type ChannelRef = (usize, bool);

/// The channels that a request publishes to or subscribes to.
#[must_use]
pub(crate) fn channels_of(name: &str, len: usize) -> SmallVec<[ChannelRef; 2]> {
    match name {
        "subscribe" | "ssubscribe" => (1..len).map(|at| (at, false)).collect(),
        "psubscribe" => (1..len).map(|at| (at, true)).collect(),
        "publish" | "spublish" => (1..len.min(2)).map(|at| (at, false)).collect(),
        _ => SmallVec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::commands;

    fn found(request: &str) -> Vec<usize> {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let command = commands::lookup(args[0]).expect("a command");
        let command =
            if command.subs.is_empty() { command } else { commands::lookup_sub(command, args[1]).expect("one") };
        keys_of(command, &args).iter().map(|key| key.at).collect()
    }

    #[test]
    fn keys_are_found() {
        for (request, keys) in [
            ("MSET a 1 b 2", vec![1, 3]),
            ("GET a", vec![1]),
            ("XREAD COUNT 1 STREAMS a b 0 0", vec![4, 5]),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", vec![1, 3, 4]),
            ("EVAL x 0 a b", vec![]),
            ("EVAL x 2 a b", vec![3, 4]),
            ("EVAL x 3 a b", vec![]),
            ("SORT a BY w STORE b STORE c", vec![1, 7]),
            ("MIGRATE h 1 k 0 1", vec![3]),
            ("MEMORY USAGE k", vec![2]),
            ("BITOP AND d a b", vec![2, 3, 4]),
            ("GEORADIUS k 1 2 3 m STORE d", vec![1, 7]),
            ("PING", vec![]),
        ] {
            assert_eq!(found(request), keys, "{request}");
        }
    }
}
