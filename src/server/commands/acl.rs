//! ACL: users and what they may do (`aclCommand`).

use bytes::Bytes;

use super::flag::{ADMIN, LOADING, NOSCRIPT, STALE};
use super::{Spec, container, row};
use crate::resp::{bytes_of, lossless};
use crate::server::acl::{CATEGORIES, Denied, Selector, User, category, check};
use crate::server::call::Cx;

/// The row of this group.
pub(crate) const SPECS: &[Spec] = &[container(row("acl", -2, 0, (0, 0, 0), "@slow", super::no_handler), SUBS)];

const RULES: u64 = ADMIN | NOSCRIPT | LOADING | STALE;

#[rustfmt::skip]
const SUBS: &[Spec] = &[
    row("acl|cat", -2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow", cat),
    row("acl|deluser", -3, RULES, (0, 0, 0), "@admin @slow @dangerous", deluser),
    row("acl|dryrun", -4, RULES, (0, 0, 0), "@admin @slow @dangerous", dryrun),
    row("acl|genpass", -2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow", genpass),
    row("acl|getuser", 3, RULES, (0, 0, 0), "@admin @slow @dangerous", getuser),
    row("acl|help", 2, LOADING | STALE, (0, 0, 0), "@slow", help),
    row("acl|list", 2, RULES, (0, 0, 0), "@admin @slow @dangerous", list),
    row("acl|load", 2, RULES, (0, 0, 0), "@admin @slow @dangerous", load),
    row("acl|log", -2, RULES, (0, 0, 0), "@admin @slow @dangerous", log),
    row("acl|save", 2, RULES, (0, 0, 0), "@admin @slow @dangerous", save),
    row("acl|setuser", -3, RULES, (0, 0, 0), "@admin @slow @dangerous", setuser),
    row("acl|users", 2, RULES, (0, 0, 0), "@admin @slow @dangerous", users),
    row("acl|whoami", 2, NOSCRIPT | LOADING | STALE, (0, 0, 0), "@slow", whoami),
];

/// The longest password that GENPASS makes, in bits.
const GENPASS_MAX: usize = 4_096;

fn text(bytes: &[u8]) -> String {
    lossless(bytes)
}

fn whoami(cx: &mut Cx<'_>) {
    match cx.s.acl.name(cx.session().user).cloned() {
        Some(name) => cx.add_bulk(&name),
        None => cx.add_null(),
    }
}

fn users(cx: &mut Cx<'_>) {
    let names = cx.s.acl.names();
    cx.add_array(names.len());
    for name in names {
        cx.add_bulk(&name);
    }
}

fn list(cx: &mut Cx<'_>) {
    let names = cx.s.acl.names();
    cx.add_array(names.len());
    for name in names {
        let line = cx.s.acl.line(&name);
        cx.add_bulk(&line);
    }
}

fn setuser(cx: &mut Cx<'_>) {
    let args = cx.args;
    for i in 2..args.len() {
        cx.redact(i);
    }
    let name = args.get(2);
    if name.iter().any(|byte| matches!(byte, b' ' | b'\t'..=b'\r' | 0)) {
        return cx.add_error("ERR Usernames can't contain spaces or null characters");
    }
    let rules: Vec<&[u8]> = args.iter().skip(3).collect();
    match cx.s.set_user(name, &rules, cx.out) {
        Ok(()) => cx.add_ok(),
        Err(why) => {
            // Line ends would end the reply.
            let why = text(&why).replace(['\r', '\n'], " ");
            cx.add_error(&format!("ERR {why}"));
        }
    }
}

fn deluser(cx: &mut Cx<'_>) {
    let args = cx.args;
    if args.iter().skip(2).any(|name| name == b"default") {
        return cx.add_error("ERR The 'default' user cannot be removed");
    }
    let me = cx.fd;
    let deleted = args.iter().skip(2).filter(|name| cx.s.delete_user(me, name)).count();
    cx.add_count(deleted);
}

fn getuser(cx: &mut Cx<'_>) {
    let Some(user): Option<User> = cx.s.acl.get(cx.args.get(2)).cloned() else { return cx.add_null() };
    cx.add_map(6);
    cx.add_bulk(b"flags");
    cx.add_set(user.flag_names().count());
    for name in user.flag_names() {
        cx.add_bulk(name.as_bytes());
    }
    cx.add_bulk(b"passwords");
    cx.add_array(user.passwords().len());
    for hash in user.passwords() {
        cx.add_bulk(hash.as_bytes());
    }
    let (root, others) = user.selectors().split_first().expect("a user has permissions outside of parentheses");
    add_selector(cx, root);
    cx.add_bulk(b"selectors");
    cx.add_array(others.len());
    for selector in others {
        cx.add_map(3);
        add_selector(cx, selector);
    }
}

/// `aclAddReplySelectorDescription`
fn add_selector(cx: &mut Cx<'_>, selector: &Selector) {
    for (field, value) in [
        ("commands", selector.describe_commands()),
        ("keys", selector.describe_keys()),
        ("channels", selector.describe_channels()),
    ] {
        cx.add_bulk(field.as_bytes());
        cx.add_bulk(&value);
    }
}

fn cat(cx: &mut Cx<'_>) {
    let args = cx.args;
    let mut names = CATEGORIES.to_vec();
    match args.len() {
        2 => {}
        3 => {
            let Some(bit) = category(args.get(2)) else {
                let name = text(&args.get(2)[..args.get(2).len().min(128)]);
                return cx.add_error(&format!("ERR Unknown category '{name}'"));
            };
            let all = super::all().iter().flat_map(|command| std::iter::once(command).chain(&command.subs));
            names = all.filter(|command| command.categories & bit != 0).map(|command| command.spec.name).collect();
        }
        _ => return cx.add_subcommand_error(),
    }
    cx.add_array(names.len());
    for name in names {
        cx.add_bulk(name.as_bytes());
    }
}

fn genpass(cx: &mut Cx<'_>) {
    if cx.args.len() > 3 {
        return cx.add_subcommand_error();
    }
    let mut bits = 256;
    if cx.args.len() == 3 {
        let Some(wanted) = cx.int_arg(2) else { return };
        let Some(wanted) = usize::try_from(wanted).ok().filter(|wanted| (1..=GENPASS_MAX).contains(wanted)) else {
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

/// LOAD and SAVE need a file of users.
fn has_file(cx: &mut Cx<'_>) -> bool {
    let has = !cx.s.config.aclfile.is_empty();
    if !has {
        cx.add_error(
            "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL \
             SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in \
             order to store users in the Redis configuration.",
        );
    }
    has
}

fn load(cx: &mut Cx<'_>) {
    if !has_file(cx) {
        return;
    }
    match cx.s.load_users(Some(cx.fd)) {
        Ok(()) => cx.add_ok(),
        Err(errors) => cx.add_error(&format!("ERR {errors}")),
    }
}

fn save(cx: &mut Cx<'_>) {
    if has_file(cx) {
        match cx.s.save_users(cx.out) {
            Ok(()) => cx.add_ok(),
            Err(_) => cx.add_error(
                "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
            ),
        }
    }
}

fn log(cx: &mut Cx<'_>) {
    let args = cx.args;
    let mut count = 10;
    match args.len() {
        2 => {}
        3 if cx.arg_is(2, "reset") => {
            cx.s.acl.log_mut().clear();
            return cx.add_ok();
        }
        3 => {
            let Some(wanted) = cx.int_arg(2) else { return };
            count = usize::try_from(wanted).unwrap_or(0);
        }
        _ => return cx.add_subcommand_error(),
    }
    let entries: Vec<_> = cx.s.acl.log().entries().iter().take(count).cloned().collect();
    let now = cx.s.now.unix.ms();
    cx.add_array(entries.len());
    for entry in entries {
        cx.add_map(7);
        cx.add_bulk(b"count");
        cx.add_integer(i64::try_from(entry.count).unwrap_or(i64::MAX));
        for (field, value) in [
            ("reason", Bytes::from_static(entry.reason.name().as_bytes())),
            ("context", Bytes::from_static(entry.context.name().as_bytes())),
            ("object", entry.object),
            ("username", entry.user),
        ] {
            cx.add_bulk(field.as_bytes());
            cx.add_bulk(&value);
        }
        cx.add_bulk(b"age-seconds");
        let ms = u32::try_from(now.saturating_sub(entry.ms)).unwrap_or(u32::MAX);
        cx.add_double(f64::from(ms) / 1_000.0);
        cx.add_bulk(b"client-info");
        cx.add_bulk(&bytes_of(&entry.client));
    }
}

fn dryrun(cx: &mut Cx<'_>) {
    let args = cx.args;
    let Some(user) = cx.s.acl.get(args.get(2)).cloned() else {
        return cx.add_error(&format!("ERR User '{}' not found", text(args.get(2))));
    };
    let request: Vec<&[u8]> = args.iter().skip(3).collect();
    let Some(command) = cx.s.config.renamed.lookup_request(&request) else {
        return cx.add_error(&format!("ERR Command '{}' not found", text(args.get(3))));
    };
    let name = command.spec.name;
    if !command.takes(request.len()) {
        return cx.add_error(&format!("ERR wrong number of arguments for '{name}' command"));
    }
    let (does, what, kind) = match check(&user, command, &request) {
        Ok(()) => return cx.add_ok(),
        Err(Denied::Command) => ("run", name.as_bytes(), "command"),
        Err(Denied::Key(at)) => ("access", request[at], "key"),
        Err(Denied::Channel(at)) => ("access", request[at], "channel"),
    };
    let why = [b"This user has no permissions to ", does.as_bytes(), b" the '", what, b"' ", kind.as_bytes()].concat();
    cx.add_bulk(&why);
}

fn help(cx: &mut Cx<'_>) {
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
