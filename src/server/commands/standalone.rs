//! What a server that is no cluster node and has no users but the default one says about clusters, access control and
//! its memory.

use super::flag::{ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NOSCRIPT, READONLY, STALE};
use super::{Spec, container, row};
use crate::server::call::Cx;
use crate::server::keyspace::Value;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("cluster", -2, 0, (0, 0, 0), "@slow", cluster),
    row("readonly", 1, LOADING | STALE | FAST, (0, 0, 0), "@fast @connection", no_cluster),
    row("readwrite", 1, LOADING | STALE | FAST, (0, 0, 0), "@fast @connection", no_cluster),
    row("asking", 1, FAST, (0, 0, 0), "@fast @connection", no_cluster),
    row("lolwut", -1, READONLY | FAST, (0, 0, 0), "@read @fast", lolwut),
    row("bgrewriteaof", 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING, (0, 0, 0), "@admin @slow @dangerous", not_modelled),
    container(row("acl", -2, 0, (0, 0, 0), "@slow", super::no_handler), ACL_SUBS),
    container(row("memory", -2, 0, (0, 0, 0), "@slow", super::no_handler), MEMORY_SUBS),
];

const ACL_ADMIN: u64 = ADMIN | NOSCRIPT | LOADING | STALE;

#[rustfmt::skip]
const ACL_SUBS: &[Spec] = &[
    row("acl|cat", -2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow", acl_cat),
    row("acl|deluser", -3, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", not_modelled),
    row("acl|dryrun", -4, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", not_modelled),
    row("acl|genpass", -2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow", acl_genpass),
    row("acl|getuser", 3, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", acl_getuser),
    row("acl|help", 2, LOADING | STALE, (0, 0, 0), "@slow", acl_help),
    row("acl|list", 2, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", acl_list),
    row("acl|load", 2, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", acl_file),
    row("acl|log", -2, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", not_modelled),
    row("acl|save", 2, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", acl_file),
    row("acl|setuser", -3, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", not_modelled),
    row("acl|users", 2, ACL_ADMIN, (0, 0, 0), "@admin @slow @dangerous", acl_users),
    row("acl|whoami", 2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow", acl_whoami),
];

#[rustfmt::skip]
const MEMORY_SUBS: &[Spec] = &[
    row("memory|doctor", 2, 0, (0, 0, 0), "@slow", not_modelled),
    row("memory|help", 2, LOADING | STALE, (0, 0, 0), "@slow", memory_help),
    row("memory|malloc-stats", 2, 0, (0, 0, 0), "@slow", not_modelled),
    row("memory|purge", 2, 0, (0, 0, 0), "@slow", memory_purge),
    row("memory|stats", 2, 0, (0, 0, 0), "@slow", not_modelled),
    row("memory|usage", -3, READONLY, (2, 2, 1), "@read @slow", memory_usage),
];

/// Subcommands that CLUSTER has, none of which means anything here.
const CLUSTER_SUBS: &[&str] = &[
    "addslots",
    "addslotsrange",
    "bumpepoch",
    "count-failure-reports",
    "countkeysinslot",
    "delslots",
    "delslotsrange",
    "failover",
    "flushslots",
    "forget",
    "getkeysinslot",
    "help",
    "info",
    "keyslot",
    "links",
    "meet",
    "myid",
    "nodes",
    "replicas",
    "replicate",
    "reset",
    "saveconfig",
    "set-config-epoch",
    "setslot",
    "shards",
    "slaves",
    "slots",
];

/// Categories of ACL CAT, in its order.
const CATEGORIES: &[&str] = &[
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

/// Part of Redis, but not of this server.
pub(super) fn not_modelled(cx: &mut Cx<'_>) {
    let name = cx.command.spec.name.replace('|', " ").to_ascii_uppercase();
    cx.add_error(&format!("ERR {name} is not modelled"));
}

fn cluster(cx: &mut Cx<'_>) {
    if CLUSTER_SUBS.iter().any(|known| cx.arg_is(1, known)) {
        return no_cluster(cx);
    }
    let sub = String::from_utf8_lossy(cx.args.get(1)).into_owned();
    cx.add_error(&format!("ERR unknown subcommand '{sub}'. Try CLUSTER HELP."));
}

fn no_cluster(cx: &mut Cx<'_>) {
    cx.add_error("ERR This instance has cluster support disabled");
}

fn lolwut(cx: &mut Cx<'_>) {
    cx.add_verbatim(b"Redis ver. 7.0.15\n", *b"txt");
}

fn acl_whoami(cx: &mut Cx<'_>) {
    cx.add_bulk(b"default");
}

fn acl_users(cx: &mut Cx<'_>) {
    cx.add_array(1);
    cx.add_bulk(b"default");
}

fn acl_list(cx: &mut Cx<'_>) {
    if cx.s.auth_required() {
        return cx.add_error("ERR ACL LIST is not modelled for a user with a password");
    }
    cx.add_array(1);
    cx.add_bulk(b"user default on nopass ~* &* +@all");
}

fn acl_getuser(cx: &mut Cx<'_>) {
    if cx.args.get(2) != b"default" {
        return cx.add_null();
    }
    if cx.s.auth_required() {
        return cx.add_error("ERR ACL GETUSER is not modelled for a user with a password");
    }
    cx.add_map(6);
    cx.add_bulk(b"flags");
    cx.add_set(2);
    cx.add_bulk(b"on");
    cx.add_bulk(b"nopass");
    cx.add_bulk(b"passwords");
    cx.add_array(0);
    for (field, value) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
        cx.add_bulk(field.as_bytes());
        cx.add_bulk(value.as_bytes());
    }
    cx.add_bulk(b"selectors");
    cx.add_array(0);
}

fn acl_cat(cx: &mut Cx<'_>) {
    let args = cx.args;
    let mut names = CATEGORIES.to_vec();
    match args.len() {
        2 => {}
        3 => {
            if !CATEGORIES.iter().any(|known| cx.arg_is(2, known)) {
                let name = String::from_utf8_lossy(args.get(2)).into_owned();
                return cx.add_error(&format!("ERR Unknown category '{name}'"));
            }
            let belongs = |spec: &Spec| {
                spec.categories.split(' ').any(|name| name.as_bytes()[1..].eq_ignore_ascii_case(args.get(2)))
            };
            let all = super::all().iter().flat_map(|command| std::iter::once(command).chain(&command.subs));
            names = all.filter(|command| belongs(&command.spec)).map(|command| command.spec.name).collect();
        }
        _ => return cx.add_subcommand_error(),
    }
    cx.add_array(names.len());
    for name in names {
        cx.add_bulk(name.as_bytes());
    }
}

fn acl_genpass(cx: &mut Cx<'_>) {
    if cx.args.len() > 3 {
        return cx.add_subcommand_error();
    }
    let mut bits = 256;
    if cx.args.len() == 3 {
        let Some(wanted) = cx.int_arg(2) else { return };
        let Some(wanted) = usize::try_from(wanted).ok().filter(|wanted| (1..=4_096).contains(wanted)) else {
            return cx.add_error(
                "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to \
                 4096",
            );
        };
        bits = wanted;
    }
    let digits: String = (0..bits.div_ceil(4)).map(|_| format!("{:x}", cx.s.rng.next_u64() % 16)).collect();
    cx.add_bulk(digits.as_bytes());
}

/// LOAD and SAVE: there is no file of users.
fn acl_file(cx: &mut Cx<'_>) {
    cx.add_error(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER \
         command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store \
         users in the Redis configuration.",
    );
}

fn memory_purge(cx: &mut Cx<'_>) {
    cx.add_ok();
}

/// What the allocator sets aside for so many bytes: the classes of jemalloc.
fn allocated(bytes: usize) -> usize {
    if bytes <= 8 {
        return 8;
    }
    if bytes <= 128 {
        return bytes.next_multiple_of(16);
    }
    // Four classes between one power of two and the next.
    bytes.next_multiple_of(bytes.next_power_of_two() / 8)
}

/// MEMORY USAGE (`objectComputeSize`): exact for what is stored here.
fn memory_usage(cx: &mut Cx<'_>) {
    const OBJECT: usize = 16;
    const DICT_ENTRY: usize = 24;
    let args = cx.args;
    let mut i = 3;
    while i < args.len() {
        if !cx.arg_is(i, "samples") || i + 1 == args.len() {
            return cx.add_syntax_error();
        }
        let Some(samples) = cx.int_arg(i + 1) else { return };
        if samples < 0 {
            return cx.add_syntax_error();
        }
        i += 2;
    }
    let Some(at) = cx.s.lookup(cx.db(), args.get(2), false) else { return cx.add_null() };
    let text = |len: usize| {
        len + if len < 1 << 8 {
            4
        } else if len < 1 << 16 {
            6
        } else {
            10
        }
    };
    let value = match &cx.entry(at).value {
        Value::Int(_) => OBJECT,
        Value::Str(value) if value.len() <= crate::server::keyspace::value::EMBSTR_MAX => {
            allocated(OBJECT + text(value.len()))
        }
        Value::Str(value) | Value::Raw(value) => OBJECT + allocated(text(value.len())),
        Value::List(_) | Value::Set(_) | Value::ZSet(_) | Value::Hash(_) => {
            return cx.add_error("ERR MEMORY USAGE is not modelled for values that aren't strings");
        }
    };
    let key = args.get(2).len();
    cx.add_count(value + allocated(if key < 32 { key + 2 } else { text(key) }) + DICT_ENTRY);
}

fn memory_help(cx: &mut Cx<'_>) {
    cx.add_help(
        "memory",
        &[
            "DOCTOR",
            "    Return memory problems reports.",
            "MALLOC-STATS",
            "    Return internal statistics report from the memory allocator.",
            "PURGE",
            "    Attempt to purge dirty pages for reclamation by the allocator.",
            "STATS",
            "    Return information about the memory usage of the server.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value. Nested values are",
            "    sampled up to <count> times (default: 5, 0 means sample all).",
        ],
    );
}

fn acl_help(cx: &mut Cx<'_>) {
    cx.add_help(
        "acl",
        &[
            "CAT [<category>]",
            "    List all commands that belong to <category>, or all command categories",
            "    when no category is specified.",
            "DELUSER <username> [<username> ...]",
            "    Delete a list of users.",
            "DRYRUN <username> <command> [<arg> ...]",
            "    Returns whether the user can execute the given command without executing the command.",
            "GETUSER <username>",
            "    Get the user's details.",
            "GENPASS [<bits>]",
            "    Generate a secure 256-bit user password. The optional `bits` argument can",
            "    be used to specify a different size.",
            "LIST",
            "    Show users details in config file format.",
            "LOAD",
            "    Reload users from the ACL file.",
            "LOG [<count> | RESET]",
            "    Show the ACL log entries.",
            "SAVE",
            "    Save the current config to the ACL file.",
            "SETUSER <username> <attribute> [<attribute> ...]",
            "    Create or modify a user with the specified attributes.",
            "USERS",
            "    List all the registered usernames.",
            "WHOAMI",
            "    Return the current connection username.",
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::allocated;

    #[test]
    fn classes_of_the_allocator() {
        for (bytes, class) in [(6, 8), (25, 32), (37, 48), (60, 64), (104, 112), (129, 160), (257, 320), (1_025, 1_280)]
        {
            assert_eq!(allocated(bytes), class, "{bytes}");
        }
    }
}
