//! The command table: rows, lookup, and what a row says. One file for each group of commands.

pub(super) mod replication;

mod acl;
pub(super) mod admin;
mod bitmaps;
pub(super) mod blocking_pops;
mod client;
mod command;
pub(crate) mod config;
pub(super) mod connection;
mod debug;
mod debug_memory;
mod dump;
pub(super) mod expiry;
pub(super) mod functions;
mod geo;
pub(super) mod hashes;
mod hyperloglog;
pub(super) mod keys;
pub(crate) mod keyspecs;
mod latency;
pub(super) mod lists;
mod lolwut;
mod memory;
pub(crate) mod meta;
mod migrate;
mod modules;
pub(super) mod pubsub;
pub(super) mod scripting;
pub(super) mod sets;
mod sort;
mod standalone;
mod stream_groups;
mod stream_info;
pub(super) mod stream_reads;
mod streams;
pub(super) mod strings;
pub(super) mod transactions;
mod zset_algebra;
mod zset_ranges;
mod zsets;

mod lcs;
mod random;
mod scans;
mod string_options;
mod tracking;

use std::fmt;
use std::sync::LazyLock;

use super::call::Cx;
use meta::Meta;

/// Bits of [`Spec::flags`], the numbers of Redis's `CMD_*`.
pub(super) mod flag {
    #![allow(missing_docs, reason = "Redis's own names, as COMMAND INFO prints them")]
    pub(crate) const WRITE: u64 = 1;
    pub(crate) const READONLY: u64 = 1 << 1;
    pub(crate) const DENYOOM: u64 = 1 << 2;
    pub(crate) const ADMIN: u64 = 1 << 4;
    pub(crate) const PUBSUB: u64 = 1 << 5;
    pub(crate) const NOSCRIPT: u64 = 1 << 6;
    pub(crate) const BLOCKING: u64 = 1 << 8;
    pub(crate) const LOADING: u64 = 1 << 9;
    pub(crate) const STALE: u64 = 1 << 10;
    pub(crate) const SKIP_MONITOR: u64 = 1 << 11;
    pub(crate) const SKIP_SLOWLOG: u64 = 1 << 12;
    pub(crate) const ASKING: u64 = 1 << 13;
    pub(crate) const FAST: u64 = 1 << 14;
    pub(crate) const NO_AUTH: u64 = 1 << 15;
    pub(crate) const MAY_REPLICATE: u64 = 1 << 16;
    pub(crate) const NO_MANDATORY_KEYS: u64 = 1 << 19;
    pub(crate) const PROTECTED: u64 = 1 << 20;
    pub(crate) const NO_ASYNC_LOADING: u64 = 1 << 23;
    pub(crate) const NO_MULTI: u64 = 1 << 24;
    pub(crate) const MOVABLE_KEYS: u64 = 1 << 25;
    pub(crate) const ALLOW_BUSY: u64 = 1 << 26;
    /// What it deletes is not a transaction (SCAN, RANDOMKEY). COMMAND hides it.
    pub(crate) const TOUCHES_ARBITRARY_KEYS: u64 = 1 << 28;
}

/// Executes a command that has passed the gate: arity and flags hold.
pub(super) type Handler = fn(&mut Cx<'_>);

/// One row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Spec {
    /// In lower case; a subcommand's is `container|name`.
    pub name: &'static str,
    /// Arguments, the name included; negative: at least that many.
    pub arity: i32,
    /// [`flag`] bits.
    pub flags: u64,
    /// First key, last key (negative: from the end), step; zeroes: no keys.
    pub keys: (i32, i32, i32),
    /// ACL categories as COMMAND INFO prints them.
    pub categories: &'static str,
    /// What executes it.
    pub handler: Handler,
    /// Subcommands, when it is a container.
    pub subs: &'static [Spec],
}

/// A row without subcommands.
#[must_use]
pub(super) const fn row(
    name: &'static str,
    arity: i32,
    flags: u64,
    keys: (i32, i32, i32),
    categories: &'static str,
    handler: Handler,
) -> Spec {
    Spec { name, arity, flags, keys, categories, handler, subs: &[] }
}

/// A row with subcommands.
#[must_use]
pub(super) const fn container(row: Spec, subs: &'static [Spec]) -> Spec {
    Spec { subs, ..row }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Commands that the gate treats in a way of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// EXEC: judged by what it has queued, never propagated itself.
    Exec,
    /// Never queued: MULTI, DISCARD, WATCH, QUIT, RESET.
    Immediate,
    /// PING: refused when the disk fails.
    Ping,
    /// EVAL, FCALL: judged by what the script says of itself.
    Script,
    /// Everything else.
    Plain,
}

impl Treatment {
    fn of(name: &str) -> Treatment {
        match name {
            "exec" => Treatment::Exec,
            "multi" | "discard" | "watch" | "quit" | "reset" => Treatment::Immediate,
            "ping" => Treatment::Ping,
            "eval" | "eval_ro" | "evalsha" | "evalsha_ro" | "fcall" | "fcall_ro" => Treatment::Script,
            _ => Treatment::Plain,
        }
    }
}

/// A row with its number.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// The row.
    pub spec: Spec,
    /// Index into the per-command statistics, and into what users may do.
    pub id: usize,
    /// How the gate treats it.
    pub(crate) treatment: Treatment,
    /// ACL categories, as bits in the order of ACL CAT.
    pub(crate) categories: u32,
    /// What Redis's table says of it besides.
    pub(crate) meta: &'static Meta,
    /// False for a command of Redis that nothing executes here.
    pub(crate) modelled: bool,
    /// Its subcommands.
    pub subs: Vec<Command>,
}

impl Command {
    /// True when a request of that many words, the name included, has the right number of them.
    #[must_use]
    pub(crate) fn takes(&self, words: usize) -> bool {
        let (arity, len) = (self.spec.arity, i32::try_from(words).unwrap_or(i32::MAX));
        if arity > 0 { arity == len } else { len >= -arity }
    }

    /// True when the row has any of these flags.
    #[must_use]
    pub(crate) fn is(&self, flags: u64) -> bool {
        self.spec.flags & flags != 0
    }
}

const GROUPS: &[&[Spec]] = &[
    connection::SPECS,
    strings::SPECS,
    bitmaps::SPECS,
    hyperloglog::SPECS,
    hashes::SPECS,
    lists::SPECS,
    sets::SPECS,
    zsets::SPECS,
    zset_ranges::SPECS,
    zset_algebra::SPECS,
    geo::SPECS,
    sort::SPECS,
    blocking_pops::SPECS,
    streams::SPECS,
    stream_reads::SPECS,
    stream_groups::SPECS,
    stream_info::SPECS,
    keys::SPECS,
    dump::SPECS,
    expiry::SPECS,
    transactions::SPECS,
    pubsub::SPECS,
    acl::SPECS,
    admin::SPECS,
    debug::SPECS,
    latency::SPECS,
    lolwut::SPECS,
    migrate::SPECS,
    modules::SPECS,
    replication::SPECS,
    scripting::SPECS,
    functions::SPECS,
    standalone::SPECS,
    memory::SPECS,
];

/// The table: open addressing over the lower-cased name.
#[derive(Debug)]
struct Table {
    commands: Vec<Command>,
    slots: Vec<u16>,
    count: usize,
}

const SLOTS: usize = 1024;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut id = 0;
    let mut number = |spec: Spec, modelled: bool| {
        id += 1;
        let meta = meta::of(spec.name).unwrap_or(&UNKNOWN);
        let own = |name: &str| super::acl::category(name.trim_start_matches('@').as_bytes()).unwrap_or(0);
        let categories = spec.categories.split(' ').map(own).sum();
        Command { spec, id: id - 1, treatment: Treatment::of(spec.name), categories, meta, modelled, subs: Vec::new() }
    };
    let mut commands = Vec::new();
    for &spec in GROUPS.iter().copied().flatten() {
        let mut command = number(spec, true);
        command.subs = spec.subs.iter().map(|&sub| number(sub, true)).collect();
        let absent = meta::all().iter().filter(|meta| meta.name.split_once('|').is_some_and(|(of, _)| of == spec.name));
        for meta in absent.filter(|meta| spec.subs.iter().all(|sub| sub.name != meta.name)) {
            // A container that executes something itself does so for its subcommands.
            let own = !std::ptr::fn_addr_eq(spec.handler, no_handler as Handler);
            let handler = if own { spec.handler } else { standalone::not_modelled };
            command.subs.push(number(unlisted(meta, handler), own));
        }
        command.subs.sort_by_key(|sub| sub.spec.name);
        commands.push(command);
    }
    for meta in meta::all().iter().filter(|meta| !meta.name.contains('|')) {
        if commands.iter().all(|command| command.spec.name != meta.name) {
            let mut command = number(unlisted(meta, standalone::not_modelled), false);
            let subs = meta::all().iter().filter(|sub| sub.name.split_once('|').is_some_and(|(of, _)| of == meta.name));
            command.subs = subs.map(|sub| number(unlisted(sub, standalone::not_modelled), false)).collect();
            commands.push(command);
        }
    }
    commands.sort_by_key(|command| command.spec.name);
    let mut slots = vec![u16::MAX; SLOTS];
    for (index, command) in commands.iter().enumerate() {
        let mut at = slot_of(command.spec.name.as_bytes());
        while slots[at] != u16::MAX {
            at = (at + 1) % SLOTS;
        }
        slots[at] = u16::try_from(index).expect("fewer than 65,535 commands");
    }
    let count = id;
    Table { commands, slots, count }
});

/// What is known of a row that Redis doesn't have; a test says that there is none.
static UNKNOWN: Meta =
    Meta { name: "", arity: 0, flags: 0, keys: (0, 0, 0), categories: "", tips: Vec::new(), specs: Vec::new() };

/// The row of a command that no group has.
fn unlisted(meta: &'static Meta, handler: Handler) -> Spec {
    let &Meta { name, arity, flags, keys, categories, .. } = meta;
    Spec { name, arity, flags, keys, categories, handler, subs: &[] }
}

/// Where a name belongs in the table, whatever its case: made of its length and its first eight bytes.
fn slot_of(name: &[u8]) -> usize {
    let mut word = name.len() as u64;
    for &byte in &name[..name.len().min(8)] {
        word = word << 7 ^ u64::from(byte | 0x20);
    }
    usize::try_from(word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54).expect("ten bits")
}

/// How many commands and subcommands there are: the size of per-command statistics.
#[must_use]
pub(super) fn count() -> usize {
    TABLE.count
}

/// All commands, in the order of the table.
#[must_use]
pub(super) fn all() -> &'static [Command] {
    &TABLE.commands
}

/// The command of that name, whatever its case; a container for its subcommands too.
#[must_use]
pub(super) fn lookup(name: &[u8]) -> Option<&'static Command> {
    let table: &'static Table = &TABLE;
    let mut at = slot_of(name);
    loop {
        let index = usize::from(table.slots[at]);
        let command = table.commands.get(index)?;
        if command.spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        at = (at + 1) % SLOTS;
    }
}

/// A name of three letters in lower case. Only a letter's bytes become that letter.
#[inline]
#[must_use]
pub(super) fn lower3(name: &[u8]) -> Option<[u8; 3]> {
    <[u8; 3]>::try_from(name).ok().map(|name| name.map(|byte| byte | 0x20))
}

/// The subcommand of that name.
#[must_use]
pub(super) fn lookup_sub(container: &'static Command, name: &[u8]) -> Option<&'static Command> {
    container
        .subs
        .iter()
        .find(|sub| sub.spec.name.split_once('|').is_some_and(|(_, own)| own.as_bytes().eq_ignore_ascii_case(name)))
}

/// A command by its name, or `container|name`.
#[must_use]
pub(super) fn find(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|&byte| byte == b'|') {
        Some(at) => lookup_sub(lookup(&name[..at])?, &name[at + 1..]),
        None => lookup(name),
    }
}

/// Containers have no handler of their own: a missing subcommand is refused before.
pub(crate) fn no_handler(_: &mut Cx<'_>) {}

impl Command {
    /// True for EXEC, which is never propagated itself.
    #[must_use]
    pub(crate) fn is_exec(&self) -> bool {
        self.treatment == Treatment::Exec
    }
}

/// Some command, where one is needed that was not found.
#[must_use]
pub(crate) fn any() -> &'static Command {
    &TABLE.commands[0]
}
