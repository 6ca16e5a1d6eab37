//! `cmsgpack`: MessagePack as lua-cmsgpack 0.4.0 writes and reads it.

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::{convert, errors, numbers};

/// Tables nested deeper are packed as nil (`LUACMSGPACK_MAX_NESTING`).
const NESTING: u32 = 16;

/// The library.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    table.set("pack", lua.create_function(|lua, args: MultiValue| pack(lua, &args))?)?;
    table.set("unpack", lua.create_function(|lua, args: MultiValue| unpack(lua, &args, "unpack", 0, 0))?)?;
    let one = |lua: &Lua, args: MultiValue| {
        let offset = optional(lua, &args, 2, "unpack_one")?;
        unpack(lua, &args, "unpack_one", 1, offset)
    };
    table.set("unpack_one", lua.create_function(one)?)?;
    let limited = |lua: &Lua, args: MultiValue| {
        let limit = convert::truncated(numbers::argument(lua, &args, 2, "unpack_limit")?);
        let offset = optional(lua, &args, 3, "unpack_limit")?;
        unpack(lua, &args, "unpack_limit", limit, offset)
    };
    table.set("unpack_limit", lua.create_function(limited)?)?;
    table.set("_NAME", "cmsgpack")?;
    table.set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(table)
}

fn optional(lua: &Lua, args: &MultiValue, number: usize, name: &str) -> Result<i64> {
    match args.get(number - 1) {
        None | Some(Value::Nil) => Ok(0),
        Some(_) => Ok(convert::truncated(numbers::argument(lua, args, number, name)?)),
    }
}

fn pack(lua: &Lua, args: &MultiValue) -> Result<Value> {
    if args.is_empty() {
        return errors::argument(lua, 0, "pack", "MessagePack pack needs input.");
    }
    let mut out = Vec::new();
    for value in args {
        encode(&mut out, value, 0)?;
    }
    Ok(Value::String(lua.create_string(out)?))
}

fn encode(out: &mut Vec<u8>, value: &Value, level: u32) -> Result<()> {
    match value {
        Value::String(text) => encode_text(out, &text.as_bytes()),
        Value::Boolean(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Integer(_) | Value::Number(_) => encode_number(out, numbers::of(value).unwrap_or_default()),
        Value::Table(table) if level < NESTING => return encode_table(out, table, level),
        _ => out.push(0xc0),
    }
    Ok(())
}

/// A length with its prefix: one of these for up to eight, sixteen and thirty-two bits.
fn length(out: &mut Vec<u8>, len: usize, prefixes: (Option<u8>, u8, u8)) {
    let len = u32::try_from(len & 0xffff_ffff).expect("masked");
    match (u8::try_from(len), u16::try_from(len), prefixes) {
        (Ok(len), _, (Some(prefix), _, _)) => out.extend_from_slice(&[prefix, len]),
        (_, Ok(len), (_, prefix, _)) => {
            out.push(prefix);
            out.extend_from_slice(&len.to_be_bytes());
        }
        (_, _, (_, _, prefix)) => {
            out.push(prefix);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
}

fn encode_text(out: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(len) if len < 32 => out.push(0xa0 | len),
        _ => length(out, text.len(), (Some(0xd9), 0xda, 0xdb)),
    }
    out.extend_from_slice(text);
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "the round trips tell what fits")]
fn encode_number(out: &mut Vec<u8>, number: f64) {
    let whole = convert::truncated(number);
    if number.is_finite() && whole as f64 == number {
        return encode_integer(out, whole);
    }
    let short = number as f32;
    if f64::from(short) == number {
        out.push(0xca);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn encode_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    let (prefix, count) = match number {
        -32..=127 => return out.push(bytes[7]),
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -128..=-33 => (0xd0, 1),
        -32_768..=-129 => (0xd1, 2),
        -2_147_483_648..=-32_769 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(prefix);
    out.extend_from_slice(&bytes[8 - count..]);
}

fn encode_table(out: &mut Vec<u8>, table: &Table, level: u32) -> Result<()> {
    // A large table's pairs can't be held all at once: Lua keeps what is held on a stack, which has an end.
    let index = |key: &Value| match key {
        Value::Integer(number) if *number > 0 && i32::try_from(*number).is_ok() => Some(*number),
        _ => None,
    };
    let (mut count, mut most) = (0_usize, Some(0));
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        count += 1;
        most = most.and_then(|most| Some(index(&key)?.max(most)));
    }
    let is_array = most.is_some_and(|most| usize::try_from(most) == Ok(count));
    if is_array {
        match u8::try_from(count) {
            Ok(len) if len <= 15 => out.push(0x90 | len),
            _ => length(out, count, (None, 0xdc, 0xdd)),
        }
        for i in 1..=count {
            let value: Value = table.get(i)?;
            encode(out, &value, level + 1)?;
        }
        return Ok(());
    }
    match u8::try_from(count) {
        Ok(len) if len <= 15 => out.push(0x80 | len),
        _ => length(out, count, (None, 0xde, 0xdf)),
    }
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        encode(out, &key, level + 1)?;
        encode(out, &value, level + 1)?;
    }
    Ok(())
}

fn unpack(lua: &Lua, args: &MultiValue, name: &str, limit: i64, offset: i64) -> Result<MultiValue> {
    let data = numbers::text_argument(lua, args, 1, name)?;
    let all = limit == 0 && offset == 0;
    if offset < 0 || limit < 0 {
        let text = format!("Invalid request to unpack with offset of {offset} and limit of {}.", data.len());
        return errors::positioned(lua, &text);
    }
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    if from > data.len() {
        let text = format!("Start offset {offset} greater than input length {}.", data.len());
        return errors::positioned(lua, &text);
    }
    let limit = if all { i64::from(i32::MAX) } else { limit };
    let mut reader = Reader { lua, rest: &data[from..], depth: 0 };
    let mut results = Vec::new();
    while !reader.rest.is_empty() && i64::try_from(results.len()).is_ok_and(|count| count < limit) {
        // Lua's stack holds that many and no more (`LUAI_MAXCSTACK`).
        if results.len() >= 7_990 {
            return errors::positioned(
                lua,
                "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
            );
        }
        match reader.value() {
            Ok(value) => results.push(value),
            Err(Bad::End) => return errors::positioned(lua, "Missing bytes in input."),
            Err(Bad::Format) => return errors::positioned(lua, "Bad data format in input."),
            Err(Bad::Lua(error)) => return Err(error),
        }
    }
    if !all {
        let next =
            if reader.rest.is_empty() { -1 } else { i64::try_from(data.len() - reader.rest.len()).unwrap_or(-1) };
        results.insert(0, Value::Integer(next));
    }
    Ok(MultiValue::from_vec(results))
}

/// What is wrong with packed data.
enum Bad {
    End,
    Format,
    Lua(mlua::Error),
}

impl From<mlua::Error> for Bad {
    fn from(error: mlua::Error) -> Bad {
        Bad::Lua(error)
    }
}

struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
    depth: u32,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> std::result::Result<&'a [u8], Bad> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Bad::End)?;
        self.rest = rest;
        Ok(taken)
    }

    fn unsigned(&mut self, len: usize) -> std::result::Result<u64, Bad> {
        Ok(self.take(len)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    #[expect(clippy::cast_precision_loss, reason = "Lua has doubles only")]
    fn signed(&mut self, len: usize) -> std::result::Result<Value, Bad> {
        let shift = 64 - len * 8;
        let value = (self.unsigned(len)? << shift).cast_signed() >> shift;
        Ok(Value::Number(value as f64))
    }

    fn count(&mut self, len: usize) -> std::result::Result<usize, Bad> {
        Ok(usize::try_from(self.unsigned(len)?).unwrap_or(usize::MAX))
    }

    fn text(&mut self, len: usize) -> std::result::Result<Value, Bad> {
        let text = self.take(len)?;
        Ok(Value::String(self.lua.create_string(text)?))
    }

    #[expect(clippy::cast_precision_loss, reason = "Lua has doubles only")]
    fn value(&mut self) -> std::result::Result<Value, Bad> {
        let first = self.take(1)?[0];
        Ok(match first {
            0x00..=0x7f => Value::Number(f64::from(first)),
            0x80..=0x8f => self.map(usize::from(first & 0xf))?,
            0x90..=0x9f => self.array(usize::from(first & 0xf))?,
            0xa0..=0xbf => self.text(usize::from(first & 0x1f))?,
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Boolean(first == 0xc3),
            0xca => {
                let bytes = <[u8; 4]>::try_from(self.take(4)?).expect("four bytes");
                Value::Number(f64::from(f32::from_be_bytes(bytes)))
            }
            0xcb => {
                let bytes = <[u8; 8]>::try_from(self.take(8)?).expect("eight bytes");
                Value::Number(f64::from_be_bytes(bytes))
            }
            0xcc..=0xce => Value::Number(self.unsigned(1 << (first - 0xcc))? as f64),
            0xcf | 0xd3 => self.signed(8)?,
            0xd0..=0xd2 => self.signed(1 << (first - 0xd0))?,
            0xd9..=0xdb => {
                let len = self.count(1 << (first - 0xd9))?;
                self.text(len)?
            }
            0xdc | 0xdd => {
                let len = self.count(2 << (first - 0xdc))?;
                self.array(len)?
            }
            0xde | 0xdf => {
                let len = self.count(2 << (first - 0xde))?;
                self.map(len)?
            }
            0xe0..=0xff => Value::Number(f64::from(first.cast_signed())),
            0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => return Err(Bad::Format),
        })
    }

    /// A table within a table: Lua's stack ends at last.
    fn descend(&mut self) -> std::result::Result<(), Bad> {
        self.depth += 1;
        if self.depth <= 2_600 {
            return Ok(());
        }
        let text = "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)";
        errors::positioned(self.lua, text).map_err(Bad::Lua)
    }

    fn array(&mut self, len: usize) -> std::result::Result<Value, Bad> {
        self.descend()?;
        let table = self.lua.create_table()?;
        for i in 1..=len {
            let value = self.value()?;
            table.raw_set(i, value)?;
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize) -> std::result::Result<Value, Bad> {
        self.descend()?;
        let table = self.lua.create_table()?;
        for _ in 0..len {
            let (key, value) = (self.value()?, self.value()?);
            table.set(key, value)?;
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }
}
