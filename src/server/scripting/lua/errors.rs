//! What scripts throw and what is made of it: Redis's error tables, positions, the text of the reply.

use crate::resp::lossless;
use std::fmt;

use mlua::{Error, Lua, MultiValue, Result, Table, Value};

/// The name of our own chunk: its functions stand for functions in C.
pub(super) const OWN: &str = "=[redis]";

/// What a function in Rust throws. It travels as an error of mlua's and becomes, where it is caught, what a function
/// in C would have thrown.
#[derive(Clone, Debug)]
pub(super) enum Thrown {
    /// A text (`luaL_error`).
    Text(Vec<u8>),
    /// A table with an error (`luaPushError`), and whether it is counted already.
    Table(Vec<u8>, bool),
    /// The script is stopped: it goes on another time. Nothing catches this.
    Stop,
}

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Thrown::Text(text) | Thrown::Table(text, _) => f.write_str(&String::from_utf8_lossy(text)),
            Thrown::Stop => f.write_str("the script goes on another time"),
        }
    }
}

impl std::error::Error for Thrown {}

impl From<Thrown> for Error {
    fn from(thrown: Thrown) -> Error {
        Error::external(thrown)
    }
}

/// Throws a text without a position.
pub(super) fn text<T>(text: &str) -> Result<T> {
    Err(Thrown::Text(text.as_bytes().to_vec()).into())
}

/// Throws a text with the position of the caller (`luaL_error`).
pub(super) fn positioned<T>(lua: &Lua, text: &str) -> Result<T> {
    let mut whole = position(lua).into_bytes();
    whole.extend_from_slice(text.as_bytes());
    Err(Thrown::Text(whole).into())
}

/// Throws an error table (`luaPushError`, `luaError`).
pub(super) fn thrown_table<T>(text: &str) -> Result<T> {
    super::debug::note_error(text.as_bytes());
    Err(Thrown::Table(of_text(text.as_bytes()), false).into())
}

/// Throws what `luaL_argerror` does.
pub(super) fn argument<T>(lua: &Lua, number: usize, function: &str, problem: &str) -> Result<T> {
    let called = lua.inspect_stack(0, |debug| debug.names().name.map(|name| name.into_owned())).flatten();
    let name = called.unwrap_or_else(|| function.to_owned());
    positioned(lua, &format!("bad argument #{number} to '{name}' ({problem})"))
}

/// Throws what `luaL_typerror` does.
pub(super) fn expected<T>(lua: &Lua, args: &MultiValue, number: usize, function: &str, wanted: &str) -> Result<T> {
    let got = args.get(number - 1).map_or("no value", type_name);
    argument(lua, number, function, &format!("{wanted} expected, got {got}"))
}

/// Lua's name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        other => other.type_name(),
    }
}

/// Where the Lua code stands that called the running function (`luaL_where`).
fn position(lua: &Lua) -> String {
    let found = lua.inspect_stack(1, |debug| {
        let line = debug.current_line().filter(|&line| line > 0)?;
        Some(format!("{}:{line}: ", debug.source().short_src.unwrap_or_default()))
    });
    found.flatten().unwrap_or_default()
}

/// Up to the first NUL: what C takes for the text.
pub(super) fn until_nul(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).map_or(text, |end| &text[..end])
}

/// The text of an error table for a text without a code.
pub(super) fn of_text(text: &[u8]) -> Vec<u8> {
    if let Some(reply) = text.strip_prefix(b"-") {
        return of_reply(reply);
    }
    let mut whole = b"ERR ".to_vec();
    whole.extend_from_slice(trimmed(until_nul(text)));
    whole
}

/// The text of an error table for an error reply, without its dash: a text of one word has no code.
pub(super) fn of_reply(reply: &[u8]) -> Vec<u8> {
    let reply = until_nul(reply);
    let (code, message) = match memchr::memchr(b' ', reply) {
        Some(end) => (&reply[..end], &reply[end + 1..]),
        None => (&b"ERR"[..], reply),
    };
    let mut whole = code.to_vec();
    whole.push(b' ');
    whole.extend_from_slice(trimmed(message));
    whole
}

fn trimmed(text: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let from = text.iter().position(|byte| !is_end(byte)).unwrap_or(text.len());
    let to = text.iter().rposition(|byte| !is_end(byte)).map_or(from, |at| at + 1);
    &text[from..to]
}

/// An error table.
pub(super) fn table(lua: &Lua, text: &[u8], counted: bool) -> Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string(text)?)?;
    if counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(table)
}

/// A problem as who catches it sees it. A stop is thrown again.
pub(super) fn caught(lua: &Lua, problem: Value) -> Result<Value> {
    let Value::Error(error) = &problem else { return Ok(problem) };
    match error.downcast_ref::<Thrown>() {
        Some(Thrown::Text(text)) => Ok(Value::String(lua.create_string(text)?)),
        Some(Thrown::Table(text, counted)) => Ok(Value::Table(table(lua, text, *counted)?)),
        Some(Thrown::Stop) => Err(Thrown::Stop.into()),
        None => Ok(Value::String(lua.create_string(error.to_string())?)),
    }
}

/// What is known of an error (`luaExtractErrorInformation`).
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Info {
    /// Its text, code first.
    pub(in crate::server) text: String,
    /// Where it happened: chunk and line.
    pub(in crate::server) at: Option<(String, String)>,
    /// It is among the statistics already.
    pub(in crate::server) counted: bool,
}

impl Info {
    /// Takes a caught problem apart.
    pub(super) fn of(problem: &Value) -> Info {
        let mut info = Info::default();
        match problem {
            Value::Table(table) => {
                let field = |name: &str| table.get::<Value>(name).ok().and_then(|value| text_of(&value));
                info.text = field("err").unwrap_or_else(|| "(null)".to_owned());
                info.at = field("source").zip(field("line"));
                info.counted = matches!(table.get("ignore_error_stats_update"), Ok(Value::Boolean(true)));
            }
            other => info.text = format!("ERR {}", text_of(other).unwrap_or_default()),
        }
        info
    }
}

/// Strings and numbers as C sees them.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(lossless(until_nul(&text.as_bytes()))),
        Value::Integer(number) => Some(number.to_string()),
        Value::Number(number) => Some(super::numbers::general(*number, 14)),
        _ => None,
    }
}

/// Line ends at the end go, those within become blanks.
pub(super) fn one_line(text: &str) -> String {
    text.trim_matches(['\r', '\n']).replace(['\r', '\n'], " ")
}

/// What the handler of errors makes of a problem, while the stack still shows where it came from.
pub(super) fn handle(lua: &Lua, problem: Value) -> Result<Info> {
    let problem = caught(lua, problem)?;
    let at = blame(lua);
    if let Value::Table(table) = &problem {
        let mut info = Info::of(&problem);
        if at.is_some() {
            info.at = at;
        } else {
            info.at = info.at.take().filter(|_| table.contains_key("source").unwrap_or(false));
        }
        return Ok(info);
    }
    let shown = match &problem {
        Value::Nil => "nil".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::String(_) | Value::Integer(_) | Value::Number(_) => text_of(&problem).unwrap_or_default(),
        other => type_name(other).to_owned(),
    };
    Ok(Info { text: format!("ERR {shown}"), at, counted: false })
}

/// Who is to blame: the function that threw, or its caller if that one is in C. Functions of our own count as one in C.
fn blame(lua: &Lua) -> Option<(String, String)> {
    let frame = |level: usize| {
        lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.unwrap_or_default().into_owned();
            let line = debug.current_line().map_or("-1".to_owned(), |line| line.to_string());
            (name, line, source.what == "C")
        })
    };
    let is_own = |level: usize| frame(level).is_some_and(|(name, _, _)| name == OWN);
    let is_c = |level: usize| frame(level).is_some_and(|(_, _, is_c)| is_c);
    let mut level = 1;
    if is_c(level) && is_own(level + 1) {
        level += 1;
    }
    while is_own(level) && is_own(level + 1) {
        level += 1;
    }
    if is_c(level) || is_own(level) {
        level += 1;
    }
    frame(level).map(|(name, line, _)| (name, line))
}
