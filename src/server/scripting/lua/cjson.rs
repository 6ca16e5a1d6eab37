//! `cjson`: JSON as lua-cjson 2.1 writes and reads it.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::{convert, errors, numbers};
use crate::server::scripting::JsonSettings;

/// Values on Lua's stack for each level of nesting end it at last.
const STACK: i32 = 2_660;

type Settings = Rc<Cell<JsonSettings>>;

/// The library. Its settings are shared with whoever keeps them between scripts.
pub(super) fn library(lua: &Lua, settings: &Settings) -> Result<Table> {
    let table = lua.create_table()?;
    let own = || Rc::clone(settings);
    let config = own();
    table.set("encode", lua.create_function(move |lua, args: MultiValue| encode(lua, config.get(), &args))?)?;
    let config = own();
    table.set("decode", lua.create_function(move |lua, args: MultiValue| decode(lua, config.get(), &args))?)?;
    let config = own();
    table.set("encode_sparse_array", lua.create_function(move |lua, args| sparse(lua, &config, &args))?)?;
    for (name, least, most, field) in INTEGERS {
        let config = own();
        let function = move |lua: &Lua, args: MultiValue| {
            too_many(lua, &args, 1, name)?;
            let mut now = config.get();
            integer(lua, &args, 1, name, (least, most), field(&mut now))?;
            config.set(now);
            Ok(*field(&mut now))
        };
        table.set(name, lua.create_function(function)?)?;
    }
    for (name, options, field) in CHOICES {
        let config = own();
        let function = move |lua: &Lua, args: MultiValue| {
            too_many(lua, &args, 1, name)?;
            let mut now = config.get();
            choose(lua, &args, name, options, field(&mut now))?;
            config.set(now);
            let chosen = *field(&mut now);
            match chosen {
                0 | 1 => Ok(Value::Boolean(chosen == 1)),
                _ => Ok(Value::String(lua.create_string(options[usize::from(chosen)])?)),
            }
        };
        table.set(name, lua.create_function(function)?)?;
    }
    table.set("new", lua.create_function(|lua, _: MultiValue| library(lua, &Settings::default()))?)?;
    table.set("null", Value::NULL)?;
    table.set("_NAME", "cjson")?;
    table.set("_VERSION", "2.1.0")?;
    Ok(table)
}

type Integer = (&'static str, i32, i32, fn(&mut JsonSettings) -> &mut i32);

const INTEGERS: [Integer; 3] = [
    ("encode_max_depth", 1, i32::MAX, |settings| &mut settings.encode_depth),
    ("decode_max_depth", 1, i32::MAX, |settings| &mut settings.decode_depth),
    ("encode_number_precision", 1, 14, |settings| &mut settings.precision),
];

type Choice = (&'static str, &'static [&'static str], fn(&mut JsonSettings) -> &mut u8);

const CHOICES: [Choice; 3] = [
    ("encode_keep_buffer", &["off", "on"], |settings| &mut settings.keep_buffer),
    ("encode_invalid_numbers", &["off", "on", "null"], |settings| &mut settings.encode_invalid),
    ("decode_invalid_numbers", &["off", "on"], |settings| &mut settings.decode_invalid),
];

fn too_many(lua: &Lua, args: &MultiValue, most: usize, name: &str) -> Result<()> {
    if args.len() > most {
        return errors::argument(lua, most + 1, name, "found too many arguments");
    }
    Ok(())
}

fn integer(
    lua: &Lua,
    args: &MultiValue,
    number: usize,
    name: &str,
    (least, most): (i32, i32),
    setting: &mut i32,
) -> Result<()> {
    if args.get(number - 1).is_some_and(|value| !value.is_nil()) {
        let value = numbers::int_argument(lua, args, number, name)?;
        if !(least..=most).contains(&value) {
            return errors::argument(lua, 1, name, &format!("expected integer between {least} and {most}"));
        }
        *setting = value;
    }
    Ok(())
}

fn choose(lua: &Lua, args: &MultiValue, name: &str, options: &[&str], setting: &mut u8) -> Result<()> {
    match args.front() {
        None | Some(Value::Nil) => {}
        Some(Value::Boolean(on)) => *setting = u8::from(*on),
        Some(_) => {
            let text = numbers::text_argument(lua, args, 1, name)?;
            let Some(at) = options.iter().position(|option| option.as_bytes() == text) else {
                let text = String::from_utf8_lossy(&text);
                return errors::argument(lua, 1, name, &format!("invalid option '{text}'"));
            };
            *setting = u8::try_from(at).expect("three options at most");
        }
    }
    Ok(())
}

fn sparse(lua: &Lua, settings: &Settings, args: &MultiValue) -> Result<(bool, i32, i32)> {
    const NAME: &str = "encode_sparse_array";
    too_many(lua, args, 3, NAME)?;
    let mut now = settings.get();
    choose(lua, args, NAME, &["off", "on"], &mut now.sparse_convert)?;
    settings.set(now);
    integer(lua, args, 2, NAME, (0, i32::MAX), &mut now.sparse_ratio)?;
    settings.set(now);
    integer(lua, args, 3, NAME, (0, i32::MAX), &mut now.sparse_safe)?;
    settings.set(now);
    Ok((now.sparse_convert == 1, now.sparse_ratio, now.sparse_safe))
}

fn encode(lua: &Lua, settings: JsonSettings, args: &MultiValue) -> Result<Value> {
    if args.len() != 1 {
        return errors::argument(lua, 1, "encode", "expected 1 argument");
    }
    let mut encoder = Encoder { lua, settings, out: Vec::new() };
    encoder.value(&args[0], 0)?;
    Ok(Value::String(lua.create_string(encoder.out)?))
}

struct Encoder<'a> {
    lua: &'a Lua,
    settings: JsonSettings,
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn refuse<T>(&self, value: &Value, reason: &str) -> Result<T> {
        errors::positioned(self.lua, &format!("Cannot serialise {}: {reason}", errors::type_name(value)))
    }

    fn value(&mut self, value: &Value, depth: i32) -> Result<()> {
        match value {
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Integer(_) | Value::Number(_) => return self.number(value),
            Value::Boolean(value) => self.out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(data) if data.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Table(table) => {
                let depth = depth + 1;
                if depth > self.settings.encode_depth || depth > STACK {
                    let text = format!("Cannot serialise, excessive nesting ({depth})");
                    return errors::positioned(self.lua, &text);
                }
                match self.length(table)? {
                    Some(length) if length > 0 => self.array(table, length, depth)?,
                    _ => self.object(table, depth)?,
                }
            }
            other => return self.refuse(other, "type not supported"),
        }
        Ok(())
    }

    /// How long the array is; `None`: it is no array.
    fn length(&self, table: &Table) -> Result<Option<i64>> {
        let (mut most, mut items) = (0i64, 0i64);
        for pair in table.pairs::<Value, Value>() {
            let (key, _) = pair?;
            let number = if key.is_string() { None } else { numbers::of(&key) };
            let Some(number) = number.filter(|number| number.floor() == *number && *number >= 1.0) else {
                return Ok(None);
            };
            most = most.max(convert::truncated(number));
            items += 1;
        }
        let (ratio, safe) = (i64::from(self.settings.sparse_ratio), i64::from(self.settings.sparse_safe));
        if ratio > 0 && most > items * ratio && most > safe {
            if self.settings.sparse_convert == 0 {
                return self.refuse(&Value::Table(table.clone()), "excessively sparse array");
            }
            return Ok(None);
        }
        Ok(Some(most))
    }

    fn array(&mut self, table: &Table, length: i64, depth: i32) -> Result<()> {
        self.out.push(b'[');
        for i in 1..=length {
            if i > 1 {
                self.out.push(b',');
            }
            let value: Value = table.raw_get(i)?;
            self.value(&value, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: i32) -> Result<()> {
        self.out.push(b'{');
        let mut first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !first {
                self.out.push(b',');
            }
            first = false;
            match &key {
                Value::String(text) => self.text(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.number(&key)?;
                    self.out.push(b'"');
                }
                other => return self.refuse(other, "table key must be a number or string"),
            }
            self.out.push(b':');
            self.value(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn number(&mut self, value: &Value) -> Result<()> {
        let number = numbers::of(value).unwrap_or_default();
        if !number.is_finite() {
            match self.settings.encode_invalid {
                0 => return self.refuse(value, "must not be NaN or Inf"),
                1 if number.is_nan() => self.out.extend_from_slice(b"nan"),
                1 => self.out.extend_from_slice(if number > 0.0 { b"inf" } else { b"-inf" }),
                _ => self.out.extend_from_slice(b"null"),
            }
            return Ok(());
        }
        let precision = usize::try_from(self.settings.precision).unwrap_or(14);
        self.out.extend_from_slice(numbers::general(number, precision).as_bytes());
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'/' => self.out.extend_from_slice(b"\\/"),
                8 => self.out.extend_from_slice(b"\\b"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                12 => self.out.extend_from_slice(b"\\f"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                0..32 | 127 => self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }
}

fn decode(lua: &Lua, settings: JsonSettings, args: &MultiValue) -> Result<Value> {
    if args.len() != 1 {
        return errors::argument(lua, 1, "decode", "expected 1 argument");
    }
    let text = numbers::text_argument(lua, args, 1, "decode")?;
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return errors::positioned(lua, "JSON parser does not support UTF-16 or UTF-32");
    }
    let mut decoder = Decoder { lua, settings, text: &text, at: 0, depth: 0 };
    let first = decoder.token();
    let value = decoder.value(first)?;
    let last = decoder.token();
    match last.what {
        What::End => Ok(value),
        _ => decoder.unexpected("the end", &last),
    }
}

#[derive(Clone, Debug)]
enum What {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            What::ObjectBegin => "T_OBJ_BEGIN",
            What::ObjectEnd => "T_OBJ_END",
            What::ArrayBegin => "T_ARR_BEGIN",
            What::ArrayEnd => "T_ARR_END",
            What::Text(_) => "T_STRING",
            What::Number(_) => "T_NUMBER",
            What::Boolean(_) => "T_BOOLEAN",
            What::Null => "T_NULL",
            What::Colon => "T_COLON",
            What::Comma => "T_COMMA",
            What::End => "T_END",
            What::Error(problem) => problem,
        }
    }
}

struct Token {
    what: What,
    at: usize,
}

struct Decoder<'a> {
    lua: &'a Lua,
    settings: JsonSettings,
    text: &'a [u8],
    at: usize,
    depth: i32,
}

impl Decoder<'_> {
    /// The byte so many further on; behind the end there is a NUL.
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn unexpected<T>(&self, expected: &str, found: &Token) -> Result<T> {
        let text = format!("Expected {expected} but found {} at character {}", found.what.name(), found.at + 1);
        errors::positioned(self.lua, &text)
    }

    fn token(&mut self) -> Token {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let single = match self.peek(0) {
            b'{' => Some(What::ObjectBegin),
            b'}' => Some(What::ObjectEnd),
            b'[' => Some(What::ArrayBegin),
            b']' => Some(What::ArrayEnd),
            b',' => Some(What::Comma),
            b':' => Some(What::Colon),
            _ => None,
        };
        if let Some(what) = single {
            self.at += 1;
            return Token { what, at };
        }
        let rest = &self.text[at.min(self.text.len())..];
        let lenient = self.settings.decode_invalid == 1;
        let what = match self.peek(0) {
            0 => What::End,
            b'"' => return self.string(at),
            b'-' | b'0'..=b'9' if !lenient && self.is_invalid_number() => What::Error("invalid number"),
            b'-' | b'0'..=b'9' => return self.number(at),
            _ if rest.starts_with(b"true") => self.word(4, What::Boolean(true)),
            _ if rest.starts_with(b"false") => self.word(5, What::Boolean(false)),
            _ if rest.starts_with(b"null") => self.word(4, What::Null),
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' if lenient && self.is_invalid_number() => {
                return self.number(at);
            }
            _ => What::Error("invalid token"),
        };
        Token { what, at }
    }

    fn word(&mut self, len: usize, what: What) -> What {
        self.at += len;
        what
    }

    /// A number that JSON doesn't know but C does.
    fn is_invalid_number(&self) -> bool {
        if self.peek(0) == b'+' {
            return true;
        }
        let skip = usize::from(self.peek(0) == b'-');
        let (first, second) = (self.peek(skip), self.peek(skip + 1));
        if first == b'0' {
            return second | 0x20 == b'x' || second.is_ascii_digit();
        }
        if first <= b'9' {
            return false;
        }
        let word = [first, second, self.peek(skip + 2)];
        word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
    }

    fn number(&mut self, at: usize) -> Token {
        let (value, len) = numbers::leading(&self.text[at..]);
        if len == 0 {
            return Token { what: What::Error("invalid number"), at };
        }
        self.at += len;
        Token { what: What::Number(value), at }
    }

    fn string(&mut self, at: usize) -> Token {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let byte = self.peek(0);
            match byte {
                b'"' => break,
                0 => return Token { what: What::Error("unexpected end of string"), at: self.at },
                b'\\' => {
                    let plain = match self.peek(1) {
                        byte @ (b'"' | b'\\' | b'/') => byte,
                        b'b' => 8,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 12,
                        b'r' => b'\r',
                        b'u' => {
                            if self.unicode(&mut out) {
                                continue;
                            }
                            return Token { what: What::Error("invalid unicode escape code"), at: self.at };
                        }
                        _ => return Token { what: What::Error("invalid escape code"), at: self.at },
                    };
                    out.push(plain);
                    self.at += 2;
                }
                _ => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Token { what: What::Text(out), at }
    }

    fn hex4(&self, from: usize) -> Option<u32> {
        (0..4).try_fold(0, |value, i| Some(value << 4 | char::from(self.peek(from + i)).to_digit(16)?))
    }

    fn unicode(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(mut code) = self.hex4(2) else { return false };
        let mut len = 6;
        if code & 0xF800 == 0xD800 {
            if code & 0x400 != 0 || self.peek(6) != b'\\' || self.peek(7) != b'u' {
                return false;
            }
            let Some(low) = self.hex4(8).filter(|low| low & 0xFC00 == 0xDC00) else { return false };
            code = ((code & 0x3FF) << 10 | low & 0x3FF) + 0x10000;
            len = 12;
        }
        let Some(letter) = char::from_u32(code) else { return false };
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += len;
        true
    }

    fn descend(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth <= self.settings.decode_depth && self.depth <= STACK {
            return Ok(());
        }
        let text = format!("Found too many nested data structures ({}) at character {}", self.depth, self.at);
        errors::positioned(self.lua, &text)
    }

    fn value(&mut self, token: Token) -> Result<Value> {
        Ok(match token.what {
            What::Text(text) => Value::String(self.lua.create_string(text)?),
            What::Number(number) => Value::Number(number),
            What::Boolean(value) => Value::Boolean(value),
            What::Null => Value::NULL,
            What::ObjectBegin => Value::Table(self.object()?),
            What::ArrayBegin => Value::Table(self.array()?),
            What::ObjectEnd | What::ArrayEnd | What::Colon | What::Comma | What::End | What::Error(_) => {
                return self.unexpected("value", &token);
            }
        })
    }

    fn object(&mut self) -> Result<Table> {
        self.descend()?;
        let table = self.lua.create_table()?;
        let mut token = self.token();
        if matches!(token.what, What::ObjectEnd) {
            self.depth -= 1;
            return Ok(table);
        }
        loop {
            let What::Text(key) = &token.what else { return self.unexpected("object key string", &token) };
            let key = self.lua.create_string(key)?;
            token = self.token();
            if !matches!(token.what, What::Colon) {
                return self.unexpected("colon", &token);
            }
            token = self.token();
            let value = self.value(token)?;
            table.raw_set(key, value)?;
            token = self.token();
            match token.what {
                What::ObjectEnd => break,
                What::Comma => token = self.token(),
                _ => return self.unexpected("comma or object end", &token),
            }
        }
        self.depth -= 1;
        Ok(table)
    }

    fn array(&mut self) -> Result<Table> {
        self.descend()?;
        let table = self.lua.create_table()?;
        let mut token = self.token();
        if matches!(token.what, What::ArrayEnd) {
            self.depth -= 1;
            return Ok(table);
        }
        for i in 1.. {
            let value = self.value(token)?;
            table.raw_set(i, value)?;
            token = self.token();
            match token.what {
                What::ArrayEnd => break,
                What::Comma => token = self.token(),
                _ => return self.unexpected("comma or array end", &token),
            }
        }
        self.depth -= 1;
        Ok(table)
    }
}
