//! DEBUG (`debug.c`): what Redis's own tests reach for.

use super::flag::{ADMIN, LOADING, NOSCRIPT, PROTECTED, STALE};
use super::{Spec, debug_memory, row};
use crate::server::call::Cx;
use crate::server::config::ClientsLimit;
use crate::server::footprint::Adapting;
use crate::server::keyspace::Value;
use crate::server::keyspace::list::LARGE;
use crate::server::persistence::{Reload, Unloaded};
use crate::server::reply::encode_command;
use crate::server::session::Flags;
use crate::server::{cost, digest, persistence, replication};
use crate::time::Span;

/// The row of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("debug", -2, ADMIN | NOSCRIPT | LOADING | STALE | PROTECTED, (0, 0, 0), "@admin @slow @dangerous", debug),
];

/// What the shell says of a process that a segmentation fault ends, and of one that aborts.
const SEGFAULT: u8 = 139;
const ABORT: u8 = 134;

fn debug(cx: &mut Cx<'_>) {
    let args = cx.args;
    match args.get(1).to_ascii_lowercase().as_slice() {
        b"help" if args.len() == 2 => cx.add_help("debug", HELP),
        b"sleep" if args.len() == 3 => {
            let ns = seconds_as_ns(args.get(2));
            cx.s.meter.add_exactly(ns);
            cx.s.exec.slept += ns;
            cx.add_ok();
        }
        b"set-disable-deny-scripts" if args.len() == 3 => {
            cx.s.scripting.denied_allowed = number(args.get(2)) != 0;
            cx.add_ok();
        }
        b"drop-cluster-packet-filter" if args.len() == 3 => {
            if cx.int_arg(2).is_some() {
                cx.add_ok();
            }
        }
        b"htstats" if args.len() == 3 => debug_memory::table(cx),
        b"htstats-key" if args.len() == 3 => debug_memory::table_of_key(cx),
        b"sdslen" if args.len() == 3 => debug_memory::strings(cx),
        b"mallctl" if args.len() >= 3 => debug_memory::allocator_number(cx),
        b"mallctl-str" if args.len() >= 3 => debug_memory::allocator_text(cx),
        b"replybuffer" if args.len() == 4 => debug_reply_buffer(cx),
        b"set-active-expire" if args.len() == 3 => {
            cx.s.active_expire = number(args.get(2)) != 0;
            cx.add_ok();
        }
        b"pause-cron" if args.len() == 3 => {
            cx.s.cron.paused = number(args.get(2)) != 0;
            cx.add_ok();
        }
        b"set-skip-checksum-validation" if args.len() == 3 => {
            cx.s.persistence.skip_checksum = number(args.get(2)) != 0;
            cx.add_ok();
        }
        b"aof-flush-sleep" if args.len() == 3 => debug_flush_sleep(cx),
        b"loadaof" => debug_loadaof(cx),
        b"object" if args.len() == 3 => debug_object(cx),
        b"listpack" if args.len() == 3 => debug_representation(cx, "listpack"),
        b"quicklist" if (3..=4).contains(&args.len()) => debug_representation(cx, "quicklist"),
        b"change-repl-id" if args.len() == 2 => {
            cx.s.warn(cx.out, || "Changing replication IDs after receiving DEBUG change-repl-id".to_owned());
            replication::change_replid(cx.s, cx.out);
            cx.add_ok();
        }
        b"digest" if args.len() == 2 => {
            let sum = digest::dataset(&cx.s.keyspace);
            cx.add_simple(digest::hex(&sum).as_bytes());
        }
        b"digest-value" if args.len() >= 2 => debug_digest_value(cx),
        b"populate" if (3..=5).contains(&args.len()) => debug_populate(cx),
        b"reload" => debug_reload(cx),
        b"replicate" if args.len() >= 3 => {
            let words: Vec<&[u8]> = args.iter().skip(2).collect();
            replication::feed_bare(cx.s, &encode_command(&words));
            cx.add_ok();
        }
        b"protocol" if args.len() == 3 => debug_protocol(cx),
        b"error" if args.len() == 3 => {
            // As it is: no error that is counted.
            let text: Vec<u8> =
                args.get(2).iter().map(|&byte| if b"\r\n".contains(&byte) { b' ' } else { byte }).collect();
            cx.reply().extend_from_slice(&[b"-", text.as_slice(), b"\r\n"].concat());
        }
        _ => debug_rarer(cx),
    }
}

/// Subcommands that do little, and those that end the process.
fn debug_rarer(cx: &mut Cx<'_>) {
    let args = cx.args;
    match args.get(1).to_ascii_lowercase().as_slice() {
        b"log" if args.len() == 3 => {
            let text = String::from_utf8_lossy(args.get(2)).into_owned();
            cx.s.warn(cx.out, || format!("DEBUG LOG: {text}"));
            cx.add_ok();
        }
        b"leak" if args.len() == 3 => cx.add_ok(),
        b"structsize" if args.len() == 2 => cx.add_bulk(STRUCT_SIZES),
        b"stringmatch-test" if args.len() == 2 => cx.add_simple(b"Apparently Redis did not crash: test passed"),
        b"quicklist-packed-threshold" if args.len() == 3 => debug_packed_threshold(cx),
        b"config-rewrite-force-all" if args.len() == 2 => super::config::rewrite_all(cx),
        b"clusterlink" if args.len() == 5 && cx.arg_is(2, "kill") => {
            cx.add_error("ERR Debug option only available for cluster mode enabled setup!");
        }
        b"client-eviction" if args.len() == 2 && is_unlimited(cx) => {
            cx.add_error("ERR maxmemory-clients is disabled.");
        }
        b"client-eviction" if args.len() == 2 => debug_memory::clients(cx),
        b"segfault" => {
            cx.s.die("DEBUG SEGFAULT", SEGFAULT, cx.out);
        }
        b"panic" | b"assert" | b"oom" => {
            let what = String::from_utf8_lossy(args.get(1)).to_ascii_uppercase();
            cx.s.die(&format!("DEBUG {what}"), ABORT, cx.out);
        }
        b"restart" => debug_restart(cx, true),
        b"crash-and-recover" => debug_restart(cx, false),
        _ => cx.add_subcommand_error(),
    }
}

const STRUCT_SIZES: &[u8] = b"bits:64 robj:16 dictentry:24 sdshdr5:1 sdshdr8:3 sdshdr16:5 sdshdr32:9 sdshdr64:17 ";

/// `DEBUG RESTART` and `DEBUG CRASH-AND-RECOVER` `[<milliseconds>]`: the process executes its program anew, with the settings
/// and the data that it has, or with those of its files.
fn debug_restart(cx: &mut Cx<'_>, gracefully: bool) {
    let delay = if cx.args.len() > 2 { cx.int_arg(2) } else { Some(0) };
    let Some(delay) = delay else { return };
    let after = Span::from_ms(u64::try_from(delay).unwrap_or(0));
    let rewritten = if gracefully { super::config::write_file(cx, false) } else { Ok(()) };
    let restarts = match rewritten {
        Ok(()) => cx.s.restart(gracefully, after, cx.out),
        Err(error) => {
            cx.s.warn(cx.out, || format!("Can't restart: configuration rewrite process failed: {error}"));
            false
        }
    };
    if !restarts {
        cx.add_error("ERR failed to restart the server. Check server logs.");
    }
}

/// No limit on what clients use (`maxmemory-clients`).
fn is_unlimited(cx: &Cx<'_>) -> bool {
    cx.s.config.maxmemory_clients == ClientsLimit::Bytes(0)
}

/// What `atoi` makes of a text.
fn number(text: &[u8]) -> i64 {
    crate::resp::parse_i64(text).unwrap_or(0)
}

/// LISTPACK and QUICKLIST: the structure goes to the process's output, which nobody reads.
fn debug_representation(cx: &mut Cx<'_>, encoding: &str) {
    let (db, args) = (cx.db(), cx.args);
    let Some(at) = cx.s.keyspace.db(db).find(args.get(2)) else { return cx.add_error("ERR no such key") };
    if cx.entry(at).value.encoding() != encoding {
        return cx.add_error(&format!("ERR Not a {encoding} encoded object."));
    }
    let name = if encoding == "listpack" { "Listpack" } else { "Quicklist" };
    cx.add_simple(format!("{name} structure printed on stdout").as_bytes());
}

/// How lists are cut into nodes doesn't show here; the value is checked.
fn debug_packed_threshold(cx: &mut Cx<'_>) {
    const MOST: u64 = (1 << 32) - (1 << 20);
    let text = String::from_utf8_lossy(cx.args.get(2)).into_owned();
    match crate::conf::parse_memory(&text).filter(|&size| size <= MOST) {
        Some(size) => {
            cx.s.large_element = if size == 0 { LARGE } else { usize::try_from(size).unwrap_or(usize::MAX) };
            cx.add_ok();
        }
        None => cx.add_error("ERR argument must be a memory value bigger than 1 and smaller than 4gb"),
    }
}

/// `DEBUG RELOAD`: the dataset is written and read back.
fn debug_reload(cx: &mut Cx<'_>) {
    let known = ["merge", "noflush", "nosave"];
    if (2..cx.args.len()).any(|i| !known.iter().any(|word| cx.arg_is(i, word))) {
        return cx.add_error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    }
    let has = |cx: &Cx<'_>, word: &str| (2..cx.args.len()).any(|i| cx.arg_is(i, word));
    let how = Reload { merge: has(cx, "merge"), flush: !has(cx, "noflush"), save: !has(cx, "nosave") };
    match persistence::reload(cx.s, how, cx.out) {
        Ok(()) => {
            cx.s.warn(cx.out, || "DB reloaded by DEBUG RELOAD".to_owned());
            cx.add_ok();
        }
        Err(Unloaded::Unsaved) => cx.add_error("ERR"),
        Err(Unloaded::Broken) => cx.add_error("ERR Error trying to load the RDB dump"),
        Err(Unloaded::Duplicate) => {
            cx.s.die("Duplicated key found in RDB file", ABORT, cx.out);
        }
    }
}

/// `DEBUG REPLYBUFFER`: how buffers of replies adapt.
fn debug_reply_buffer(cx: &mut Cx<'_>) {
    let mut how = cx.s.adapting;
    if cx.arg_is(2, "resizing") {
        how.on = number(cx.args.get(3)) != 0;
    } else if !cx.arg_is(2, "peak-reset-time") {
        return cx.add_subcommand_error();
    } else if cx.arg_is(3, "never") {
        how.forgets = None;
    } else if cx.arg_is(3, "reset") {
        how.forgets = Adapting::default().forgets;
    } else {
        let Some(ms) = cx.int_arg(3) else { return };
        how.forgets = u64::try_from(ms).ok();
    }
    cx.s.adapt(how);
    cx.add_ok();
}

/// `DEBUG AOF-FLUSH-SLEEP <microsec>`: so long before each write to the append-only file.
fn debug_flush_sleep(cx: &mut Cx<'_>) {
    cx.s.persistence.aof.flush_sleep = u64::try_from(number(cx.args.get(2))).unwrap_or(0);
    cx.add_ok();
}

/// `DEBUG LOADAOF`: the dataset is what the append-only file says, as of now.
fn debug_loadaof(cx: &mut Cx<'_>) {
    if cx.s.exec.is_nested() {
        return cx.add_error("ERR DEBUG LOADAOF within a transaction is not modelled");
    }
    let fd = cx.fd;
    cx.session_mut().flags.set(Flags::BLOCKED);
    persistence::load_aof_again(cx.s, fd, cx.out);
}

#[allow(clippy::approx_constant, reason = "it is this number that is shown")]
const DOUBLE: f64 = 3.141;

/// `DEBUG PROTOCOL <type>`: a reply of each type.
fn debug_protocol(cx: &mut Cx<'_>) {
    let resp3 = cx.session().resp > 2;
    match cx.args.get(2).to_ascii_lowercase().as_slice() {
        b"string" => cx.add_bulk(b"Hello World"),
        b"integer" => cx.add_integer(12_345),
        b"double" => cx.add_double(DOUBLE),
        b"bignum" if resp3 => cx.reply().extend_from_slice(b"(1234567999999999999999999999999999999\r\n"),
        b"bignum" => cx.add_bulk(b"1234567999999999999999999999999999999"),
        b"null" => cx.add_null(),
        b"array" | b"set" => {
            if cx.arg_is(2, "set") {
                cx.add_set(3)
            } else {
                cx.add_array(3)
            }
            (0..3).for_each(|n| cx.add_integer(n));
        }
        b"map" => {
            cx.add_map(3);
            for n in 0..3 {
                cx.add_integer(n);
                add_bool(cx, n == 1);
            }
        }
        b"attrib" => {
            if resp3 {
                cx.reply().extend_from_slice(b"|1\r\n");
                cx.add_bulk(b"key-popularity");
                cx.add_array(2);
                cx.add_bulk(b"key:123");
                cx.add_integer(90);
            }
            cx.add_bulk(b"Some real reply following the attribute");
        }
        b"push" if !resp3 => cx.add_error("ERR RESP2 is not supported by this command"),
        b"push" => {
            cx.add_push(2);
            cx.add_bulk(b"server-cpu-usage");
            cx.add_integer(42);
            cx.add_bulk(b"Some real reply following the push reply");
        }
        b"true" => add_bool(cx, true),
        b"false" => add_bool(cx, false),
        b"verbatim" => cx.add_verbatim(b"This is a verbatim\nstring", *b"txt"),
        _ => cx.add_error(
            "ERR Wrong protocol type name. Please use one of the following: \
             string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
        ),
    }
}

/// `#t` and `#f`, or one and zero (`addReplyBool`).
fn add_bool(cx: &mut Cx<'_>, value: bool) {
    match (cx.session().resp > 2, value) {
        (true, true) => cx.add_constant(b"#t\r\n"),
        (true, false) => cx.add_constant(b"#f\r\n"),
        (false, value) => cx.add_integer(i64::from(value)),
    }
}

fn debug_digest_value(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    cx.add_array(args.len() - 2);
    for i in 2..args.len() {
        let mut sum = digest::Sum::default();
        if let Some(at) = cx.s.keyspace.db(db).find(args.get(i)) {
            digest::value(&mut sum, cx.entry(at));
        }
        cx.add_simple(digest::hex(&sum).as_bytes());
    }
}

/// `DEBUG POPULATE` makes its keys in a buffer of 128 bytes.
const MOST_OF_A_KEY: usize = 127;

/// `DEBUG POPULATE <count> [<prefix>] [<size>]`: keys that are not there yet.
fn debug_populate(cx: &mut Cx<'_>) {
    use crate::server::keyspace::Name;
    let (db, access, args) = (cx.db(), cx.s.access(), cx.args);
    let mut numbers = [0, 0];
    for (number, i) in numbers.iter_mut().zip([2, 4]).filter(|(_, i)| *i < args.len()) {
        let Some(value) = cx.positive_arg(i) else { return };
        *number = usize::try_from(value).unwrap_or(usize::MAX);
    }
    let [count, size] = numbers;
    // A text of C.
    let prefix = if args.len() > 3 { args.get(3) } else { b"key" };
    let prefix = prefix.split(|&byte| byte == 0).next().unwrap_or_default();
    for n in 0..count {
        let mut key = [prefix, format!(":{n}").as_bytes()].concat();
        key.truncate(MOST_OF_A_KEY);
        if cx.s.keyspace.db(db).find(&key).is_some() {
            continue;
        }
        let mut value = format!("value:{n}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        cx.s.keyspace.db_mut(db).add(Name::copy(&key), Value::string(value.into()), access);
        cx.s.signal_modified(db, &key);
    }
    cx.s.meter.add(count as u64 * cost::LOAD_KEY);
    cx.add_ok();
}

fn debug_object(cx: &mut Cx<'_>) {
    let (db, args) = (cx.db(), cx.args);
    let Some(at) = cx.s.keyspace.db(db).find(args.get(2)) else { return cx.add_error("ERR no such key") };
    let entry = cx.entry(at);
    let idle = cx.s.idle_seconds(entry.touched);
    let list = if let Value::List(list) = &entry.value {
        format!(
            " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{}",
            list.nodes(),
            list.len() as f64 / list.nodes() as f64,
            list.cut().fill,
            u8::from(list.cut().depth > 0),
            list.bytes(),
        )
    } else {
        String::new()
    };
    let text = format!(
        "Value at:0x7f0000000000 refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{idle}{list}",
        entry.value.encoding(),
        persistence::serialized_len(cx.s, &entry.value),
        entry.touched & 0x00ff_ffff,
    );
    cx.add_simple(text.as_bytes());
}

/// Decimal seconds in nanoseconds; what isn't a number is zero, as `strtod` has it.
fn seconds_as_ns(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text);
    crate::time::Span::parse(&format!("{text}s")).map_or(0, crate::time::Span::ns)
}

const HELP: &[&str] = &[
    "AOF-FLUSH-SLEEP <microsec>",
    "    Server will sleep before flushing the AOF, this is used for testing.",
    "ASSERT",
    "    Crash by assertion failed.",
    "CHANGE-REPL-ID",
    "    Change the replication IDs of the instance.",
    "    Dangerous: should be used only for testing the replication subsystem.",
    "CONFIG-REWRITE-FORCE-ALL",
    "    Like CONFIG REWRITE but writes all configuration options, including",
    "    keywords not listed in original configuration file or default values.",
    "CRASH-AND-RECOVER [<milliseconds>]",
    "    Hard crash and restart after a <milliseconds> delay (default 0).",
    "DIGEST",
    "    Output a hex signature representing the current DB content.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Output a hex signature of the values of all the specified keys.",
    "ERROR <string>",
    "    Return a Redis protocol error with <string> as message. Useful for clients",
    "    unit tests to simulate Redis errors.",
    "LEAK <string>",
    "    Create a memory leak of the input string.",
    "LOG <message>",
    "    Write <message> to the server log.",
    "HTSTATS <dbid>",
    "    Return hash table statistics of the specified Redis database.",
    "HTSTATS-KEY <key>",
    "    Like HTSTATS but for the hash table stored at <key>'s value.",
    "LOADAOF",
    "    Flush the AOF buffers on disk and reload the AOF in memory.",
    "REPLICATE <string>",
    "    Replicates the provided string to replicas, allowing data divergence.",
    "MALLCTL <key> [<val>]",
    "    Get or set a malloc tuning integer.",
    "MALLCTL-STR <key> [<val>]",
    "    Get or set a malloc tuning string.",
    "OBJECT <key>",
    "    Show low level info about `key` and associated value.",
    "DROP-CLUSTER-PACKET-FILTER <packet-type>",
    "    Drop all packets that match the filtered type. Set to -1 allow all packets.",
    "OOM",
    "    Crash the server simulating an out-of-memory error.",
    "PANIC",
    "    Crash the server simulating a panic.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create <count> string keys named key:<num>. If <prefix> is specified then",
    "    it is used instead of the 'key' prefix. These are not propagated to",
    "    replicas. Cluster slots are not respected so keys not belonging to the",
    "    current node can be created in cluster mode.",
    "PROTOCOL <type>",
    "    Reply with a test value of the specified type. <type> can be: string,",
    "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
    "    true, false.",
    "RELOAD [option ...]",
    "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
    "    * MERGE: conflicting keys will be loaded from RDB.",
    "    * NOFLUSH: the existing database will not be removed before load, but",
    "      conflicting keys will generate an exception and kill the server.",
    "    * NOSAVE: the database will be loaded from an existing RDB file.",
    "    Examples:",
    "    * DEBUG RELOAD: verify that the server is able to persist, flush and reload",
    "      the database.",
    "    * DEBUG RELOAD NOSAVE: replace the current database with the contents of an",
    "      existing RDB file.",
    "    * DEBUG RELOAD NOSAVE NOFLUSH MERGE: add the contents of an existing RDB",
    "      file to the database.",
    "RESTART [<milliseconds>]",
    "    Graceful restart: save config, db, restart after a <milliseconds> delay (default 0).",
    "SDSLEN <key>",
    "    Show low level SDS string info representing `key` and value.",
    "SEGFAULT",
    "    Crash the server with sigsegv.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Setting it to 0 disables expiring keys in background when they are not",
    "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
    "    default.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Sets the threshold for elements to be inserted as plain vs packed nodes",
    "    Default value is 1GB, allows values up to 4GB. Setting to 0 restores to default.",
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    "    Enables or disables checksum checks for RDB files and RESTORE's payload.",
    "SLEEP <seconds>",
    "    Stop the server for <seconds>. Decimals allowed.",
    "STRINGMATCH-TEST",
    "    Run a fuzz tester against the stringmatchlen() function.",
    "STRUCTSIZE",
    "    Return the size of different Redis core C structures.",
    "LISTPACK <key>",
    "    Show low level info about the listpack encoding of <key>.",
    "QUICKLIST <key> [<0|1>]",
    "    Show low level info about the quicklist encoding of <key>.",
    "    The optional argument (0 by default) sets the level of detail",
    "CLIENT-EVICTION",
    "    Show low level client eviction pools info (maxmemory-clients).",
    "PAUSE-CRON <0|1>",
    "    Stop periodic cron job processing.",
    "REPLYBUFFER PEAK-RESET-TIME <NEVER||RESET|time>",
    "    Sets the time (in milliseconds) to wait between client reply buffer peak resets.",
    "    In case NEVER is provided the last observed peak will never be reset",
    "    In case RESET is provided the peak reset time will be restored to the default value",
    "REPLYBUFFER RESIZING <0|1>",
    "    Enable or disable the reply buffer resize cron job",
    "CLUSTERLINK KILL <to|from|all> <node-id>",
    "    Kills the link based on the direction to/from (both) with the provided node.",
];
