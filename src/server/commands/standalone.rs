//! What a server that is no cluster node and has no users but the default one says about clusters and access control.

use super::flag::{ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NOSCRIPT, READONLY, STALE};
use super::{Spec, container, row};
use crate::server::call::Cx;

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
