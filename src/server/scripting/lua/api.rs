//! The `redis` table and what else scripts get from the server, but for what needs the server itself.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::{Registered, Shared, debug, errors, numbers};
use crate::server::scripting::{FLAGS, Rand48, hex, sha1};

/// Levels of `redis.log`.
const LEVELS: [(&str, i32); 4] = [("LOG_DEBUG", 0), ("LOG_VERBOSE", 1), ("LOG_NOTICE", 2), ("LOG_WARNING", 3)];
/// Targets of `redis.set_repl`.
const TARGETS: [(&str, i32); 5] =
    [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)];
/// `REDIS_VERSION_NUM`.
const VERSION: i32 = 0x0007_000f;

/// The functions that the sandbox is built from.
pub(super) fn native(lua: &Lua, shared: &Rc<Shared>) -> Result<Table> {
    let native = lua.create_table()?;
    native.set("redis", redis(lua, shared)?)?;
    native.set("library", library(lua, shared)?)?;
    native.set("caught", lua.create_function(errors::caught)?)?;
    let own = Rc::clone(shared);
    let handler = lua.create_function(move |lua, problem: Value| {
        let info = errors::handle(lua, problem)?;
        own.failure.replace(Some(info));
        Ok(())
    })?;
    native.set("handler", handler)?;
    native.set("refuse", lua.create_function(|_, ()| errors::text::<()>("Attempt to modify a readonly table"))?)?;
    let own = Rc::clone(shared);
    native.set("random", lua.create_function(move |lua, args: MultiValue| random(lua, &own, &args))?)?;
    let own = Rc::clone(shared);
    let seed = lua.create_function(move |lua, args: MultiValue| {
        if !own.running.get() {
            return errors::positioned(lua, "math.randomseed can only be called inside a script invocation");
        }
        let seed = numbers::int_argument(lua, &args, 1, "randomseed")?;
        own.random.set(Rand48::seeded(seed));
        Ok(())
    })?;
    native.set("randomseed", seed)?;
    Ok(native)
}

/// `math.random`.
fn random(lua: &Lua, shared: &Shared, args: &MultiValue) -> Result<f64> {
    if !shared.running.get() {
        return errors::positioned(lua, "math.random can only be called inside a script invocation");
    }
    let mut state = shared.random.get();
    let draw = state.fraction();
    shared.random.set(state);
    match args.len() {
        0 => Ok(draw),
        1 => {
            let upper = numbers::int_argument(lua, args, 1, "random")?;
            if upper < 1 {
                return errors::argument(lua, 1, "random", "interval is empty");
            }
            Ok((draw * f64::from(upper)).floor() + 1.0)
        }
        2 => {
            let lower = numbers::int_argument(lua, args, 1, "random")?;
            let upper = numbers::int_argument(lua, args, 2, "random")?;
            if lower > upper {
                return errors::argument(lua, 2, "random", "interval is empty");
            }
            let width = upper.wrapping_sub(lower).wrapping_add(1);
            Ok((draw * f64::from(width)).floor() + f64::from(lower))
        }
        _ => errors::positioned(lua, "wrong number of arguments"),
    }
}

fn constants(lua: &Lua, shared: &Rc<Shared>, table: &Table) -> Result<()> {
    for (name, value) in LEVELS {
        table.set(name, value)?;
    }
    let own = Rc::clone(shared);
    table.set("log", lua.create_function(move |_, args: MultiValue| log(&own, &args))?)?;
    table.set("REDIS_VERSION", "7.0.15")?;
    table.set("REDIS_VERSION_NUM", VERSION)
}

/// The table of scripts; `call` and `pcall` come with each run.
fn redis(lua: &Lua, shared: &Rc<Shared>) -> Result<Table> {
    let table = lua.create_table()?;
    constants(lua, shared, &table)?;
    for (name, value) in TARGETS {
        table.set(name, value)?;
    }
    table.set("sha1hex", lua.create_function(|lua, args: MultiValue| sha1hex(lua, &args))?)?;
    table.set("error_reply", lua.create_function(|lua, args: MultiValue| error_reply(lua, &args))?)?;
    table.set("status_reply", lua.create_function(|lua, args: MultiValue| status_reply(lua, &args))?)?;
    let own = Rc::clone(shared);
    table.set("setresp", lua.create_function(move |_, args: MultiValue| set_resp(&own, &args))?)?;
    let own = Rc::clone(shared);
    table.set("set_repl", lua.create_function(move |_, args: MultiValue| set_repl(&own, &args))?)?;
    table.set("breakpoint", lua.create_function(|_, _: MultiValue| Ok(debug::breakpoint()))?)?;
    table.set("debug", lua.create_function(|_, args: MultiValue| debug::debug(&args))?)?;
    table.set("replicate_commands", lua.create_function(|_, _: MultiValue| Ok(true))?)?;
    Ok(table)
}

/// The table of libraries while they are being loaded.
fn library(lua: &Lua, shared: &Rc<Shared>) -> Result<Table> {
    let table = lua.create_table()?;
    constants(lua, shared, &table)?;
    let own = Rc::clone(shared);
    table.set("register_function", lua.create_function(move |_, args: MultiValue| register(&own, &args))?)?;
    Ok(table)
}

fn log(shared: &Shared, args: &MultiValue) -> Result<()> {
    if args.len() < 2 {
        return errors::thrown_table("redis.log() requires two arguments or more.");
    }
    let Some(level) = args.front().and_then(numbers::of) else {
        return errors::thrown_table("First argument must be a number (log level).");
    };
    let Some(level) = u8::try_from(super::convert::truncated(level)).ok().filter(|level| *level <= 3) else {
        return errors::thrown_table("Invalid debug level.");
    };
    if let Some(said) = shared.said.borrow_mut().as_mut() {
        let texts: Vec<Vec<u8>> = args.iter().skip(1).filter_map(numbers::text_of).collect();
        said.push((level, texts.join(&b' ')));
    }
    Ok(())
}

fn sha1hex(lua: &Lua, args: &MultiValue) -> Result<Value> {
    if args.len() != 1 {
        return errors::thrown_table("wrong number of arguments");
    }
    let text = numbers::text_of(&args[0]).unwrap_or_default();
    Ok(Value::String(lua.create_string(hex(&sha1(&text)))?))
}

/// The one argument of `error_reply` and `status_reply`.
fn one_text(args: &MultiValue) -> Option<Vec<u8>> {
    match args.front() {
        Some(Value::String(text)) if args.len() == 1 => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

fn error_reply(lua: &Lua, args: &MultiValue) -> Result<Table> {
    let Some(text) = one_text(args) else {
        debug::note_error(b"wrong number or type of arguments");
        return errors::table(lua, b"ERR wrong number or type of arguments", false);
    };
    let text = errors::until_nul(&text);
    let text = text.strip_prefix(b"-").unwrap_or(text);
    debug::note_error(&[b"-", text].concat());
    errors::table(lua, &errors::of_reply(text), false)
}

fn status_reply(lua: &Lua, args: &MultiValue) -> Result<Table> {
    let Some(text) = one_text(args) else {
        debug::note_error(b"wrong number or type of arguments");
        return errors::table(lua, b"ERR wrong number or type of arguments", false);
    };
    let table = lua.create_table()?;
    table.raw_set("ok", lua.create_string(text)?)?;
    Ok(table)
}

/// A C function's way to take an argument for an int: what is no number is zero.
fn lenient(value: &Value) -> i64 {
    numbers::of(value).map_or(0, super::convert::truncated)
}

fn set_resp(shared: &Shared, args: &MultiValue) -> Result<()> {
    if !shared.running.get() {
        return errors::thrown_table("redis.setresp can only be called inside a script invocation");
    }
    if args.len() != 1 {
        return errors::thrown_table("redis.setresp() requires one argument.");
    }
    match lenient(&args[0]) {
        2 => shared.resp.set(2),
        3 => shared.resp.set(3),
        _ => return errors::thrown_table("RESP version must be 2 or 3."),
    }
    Ok(())
}

fn set_repl(shared: &Shared, args: &MultiValue) -> Result<()> {
    if !shared.running.get() {
        return errors::thrown_table("redis.set_repl can only be called inside a script invocation");
    }
    if args.len() != 1 {
        return errors::thrown_table("redis.set_repl() requires two arguments.");
    }
    match u8::try_from(lenient(&args[0])) {
        Ok(targets @ 0..=3) => shared.targets.set(targets),
        _ => {
            return errors::thrown_table(
                "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
            );
        }
    }
    Ok(())
}

/// `redis.register_function`, with a table of named arguments or with a name and a function.
fn register(shared: &Shared, args: &MultiValue) -> Result<()> {
    if shared.loading.borrow().is_none() {
        return errors::thrown_table("redis.register_function can only be called on FUNCTION LOAD command");
    }
    let function = match args.len() {
        1 => named(&args[0]),
        2 => positional(&args[0], &args[1]),
        _ => Err("wrong number of arguments to redis.register_function".to_owned()),
    };
    let function = match function {
        Ok(function) => function,
        Err(problem) => return errors::thrown_table(&problem),
    };
    if !crate::server::scripting::is_name(&function.name) {
        return errors::thrown_table(
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
        );
    }
    let mut loading = shared.loading.borrow_mut();
    let functions = loading.get_or_insert_default();
    if functions.iter().any(|other| other.name == function.name) {
        return errors::thrown_table("Function already exists in the library");
    }
    functions.push(function);
    Ok(())
}

fn positional(name: &Value, callback: &Value) -> std::result::Result<Registered, String> {
    let Some(name) = numbers::text_of(name) else {
        return Err("first argument to redis.register_function must be a string".to_owned());
    };
    let Value::Function(callback) = callback else {
        return Err("second argument to redis.register_function must be a function".to_owned());
    };
    Ok(Registered { name, description: None, flags: 0, callback: callback.clone() })
}

fn named(table: &Value) -> std::result::Result<Registered, String> {
    let Value::Table(table) = table else {
        return Err("calling redis.register_function with a single argument is only applicable to Lua table \
                    (representing named arguments)."
            .to_owned());
    };
    let (mut name, mut description, mut callback, mut flags) = (None, None, None, 0);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        let Some(key) = numbers::text_of(&key) else {
            return Err("named argument key given to redis.register_function is not a string".to_owned());
        };
        let text = || numbers::text_of(&value);
        if key.eq_ignore_ascii_case(b"function_name") {
            let problem = "function_name argument given to redis.register_function must be a string";
            name = Some(text().ok_or(problem)?);
        } else if key.eq_ignore_ascii_case(b"description") {
            let problem = "description argument given to redis.register_function must be a string";
            description = Some(text().ok_or(problem)?);
        } else if key.eq_ignore_ascii_case(b"callback") {
            let Value::Function(function) = value else {
                return Err("callback argument given to redis.register_function must be a function".to_owned());
            };
            callback = Some(function);
        } else if key.eq_ignore_ascii_case(b"flags") {
            let Value::Table(list) = value else {
                return Err(
                    "flags argument to redis.register_function must be a table representing function flags".to_owned()
                );
            };
            flags = read_flags(&list)?;
        } else {
            return Err("unknown argument given to redis.register_function".to_owned());
        }
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    let callback = callback.ok_or("redis.register_function must get a callback argument")?;
    Ok(Registered { name, description, flags, callback })
}

fn read_flags(list: &Table) -> std::result::Result<u8, String> {
    let mut flags = 0;
    for i in 1.. {
        let value: Value = list.get(i).map_err(|error| error.to_string())?;
        if value.is_nil() {
            break;
        }
        let text = numbers::text_of(&value).ok_or("unknown flag given")?;
        let known = FLAGS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(&text));
        flags |= known.ok_or("unknown flag given")?.1;
    }
    Ok(flags)
}
