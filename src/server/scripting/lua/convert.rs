//! Replies as Lua values and Lua values as replies (`redisProtocolToLuaType`, `luaReplyToRedisReply`).

use bytes::BytesMut;
use mlua::{Lua, Result, Table, Value};

use super::errors;
use crate::resp::{encode, parse_i64};
use crate::server::keyspace::double;

/// How deep tables may be nested before Lua's stack is at its end (`LUAI_MAXCSTACK`, less what is always on it).
const DEPTH: usize = 7_996;

/// A reply that this server has written, as a Lua value.
pub(super) fn to_lua(lua: &Lua, reply: &[u8]) -> Result<Value> {
    let mut reader = Reader { lua, rest: reply };
    reader.value()
}

struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\r', self.rest).expect("replies are whole");
        let (line, rest) = self.rest.split_at(end);
        self.rest = &rest[2..];
        line
    }

    fn text(&mut self, len: i64) -> &'a [u8] {
        let (text, rest) = self.rest.split_at(usize::try_from(len).expect("a length of our own"));
        self.rest = &rest[2..];
        text
    }

    fn value(&mut self) -> Result<Value> {
        let line = self.line();
        let (kind, rest) = (line[0], &line[1..]);
        let number = || parse_i64(rest).expect("a number of our own");
        #[expect(clippy::cast_precision_loss, reason = "Lua has doubles only")]
        Ok(match kind {
            b':' => Value::Number(number() as f64),
            b'$' if number() < 0 => Value::Boolean(false),
            b'$' => {
                let text = self.text(number());
                Value::String(self.lua.create_string(text)?)
            }
            b'+' => Value::Table(self.field("ok", rest)?),
            b'-' => Value::Table(errors::table(self.lua, &errors::of_reply(rest), true)?),
            b'*' if number() < 0 => Value::Boolean(false),
            b'*' | b'>' => self.array(number())?,
            b'%' => self.map(number())?,
            b'~' => self.set(number())?,
            b'_' => Value::Nil,
            b'#' => Value::Boolean(rest == b"t"),
            b',' => {
                let table = self.lua.create_table()?;
                table.raw_set("double", double::strtod(rest).unwrap_or_default())?;
                Value::Table(table)
            }
            b'(' => Value::Table(self.field("big_number", rest)?),
            b'=' => {
                let text = self.text(number());
                let inner = self.lua.create_table()?;
                inner.raw_set("string", self.lua.create_string(&text[4..])?)?;
                inner.raw_set("format", self.lua.create_string(&text[..3])?)?;
                let table = self.lua.create_table()?;
                table.raw_set("verbatim_string", inner)?;
                Value::Table(table)
            }
            b'|' => {
                for _ in 0..number() * 2 {
                    self.value()?;
                }
                self.value()?
            }
            other => unreachable!("no reply begins with {other}"),
        })
    }

    fn field(&self, name: &str, text: &[u8]) -> Result<Table> {
        let table = self.lua.create_table()?;
        table.raw_set(name, self.lua.create_string(text)?)?;
        Ok(table)
    }

    fn array(&mut self, len: i64) -> Result<Value> {
        let table = self.lua.create_table()?;
        for i in 1..=len {
            let value = self.value()?;
            table.raw_set(i, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: i64) -> Result<Value> {
        let inner = self.lua.create_table()?;
        for _ in 0..len {
            let (key, value) = (self.value()?, self.value()?);
            inner.raw_set(key, value)?;
        }
        let table = self.lua.create_table()?;
        table.raw_set("map", inner)?;
        Ok(Value::Table(table))
    }

    fn set(&mut self, len: i64) -> Result<Value> {
        let inner = self.lua.create_table()?;
        for _ in 0..len {
            inner.raw_set(self.value()?, true)?;
        }
        let table = self.lua.create_table()?;
        table.raw_set("set", inner)?;
        Ok(Value::Table(table))
    }
}

/// What a script returned, as the reply to its caller.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    /// Where it goes.
    pub(super) out: &'a mut BytesMut,
    /// The protocol that the caller speaks.
    pub(super) client: u8,
    /// The one that the script has chosen.
    pub(super) script: u8,
    /// Errors among it that haven't been counted.
    pub(super) errors: Vec<String>,
}

impl Writer<'_> {
    /// Writes a value and everything in it.
    pub(super) fn write(&mut self, value: Value) -> Result<()> {
        let mut waiting = vec![(value, 0)];
        while let Some((value, depth)) = waiting.pop() {
            if depth > DEPTH {
                self.error("ERR reached lua stack limit".to_owned(), true);
                continue;
            }
            match value {
                Value::String(text) => encode::bulk(self.out, &text.as_bytes()),
                Value::Boolean(value) if self.script == 2 && value => encode::integer(self.out, 1),
                Value::Boolean(_) if self.script == 2 => self.null(),
                Value::Boolean(value) if self.client == 2 => encode::integer(self.out, i64::from(value)),
                Value::Boolean(value) => self.out.extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" }),
                Value::Integer(number) => encode::integer(self.out, number),
                Value::Number(number) => encode::integer(self.out, truncated(number)),
                Value::Table(table) => self.table(&table, depth, &mut waiting)?,
                Value::Nil
                | Value::LightUserData(_)
                | Value::Function(_)
                | Value::Thread(_)
                | Value::UserData(_)
                | Value::Error(_)
                | Value::Other(_) => self.null(),
            }
        }
        Ok(())
    }

    fn null(&mut self) {
        self.out.extend_from_slice(if self.client == 2 { b"$-1\r\n" } else { b"_\r\n" });
    }

    fn error(&mut self, text: String, count: bool) {
        let text = errors::one_line(&text);
        encode::error(self.out, &text);
        if count {
            self.errors.push(text);
        }
    }

    fn table(&mut self, table: &Table, depth: usize, waiting: &mut Vec<(Value, usize)>) -> Result<()> {
        if let Value::String(_) = table.raw_get("err")? {
            let info = errors::Info::of(&Value::Table(table.clone()));
            self.error(info.text, !info.counted);
            return Ok(());
        }
        if let Value::String(text) = table.raw_get("ok")? {
            let text: Vec<u8> = errors::until_nul(&text.as_bytes()).to_vec();
            encode::simple(self.out, &blank_line_ends(&text));
            return Ok(());
        }
        match table.raw_get("double")? {
            Value::Number(number) => return self.double(number),
            #[expect(clippy::cast_precision_loss, reason = "it was a double")]
            Value::Integer(number) => return self.double(number as f64),
            _ => {}
        }
        if let Value::String(text) = table.raw_get("big_number")? {
            let text = blank_line_ends(&text.as_bytes());
            if self.client == 2 {
                encode::bulk(self.out, &text);
            } else {
                self.out.extend_from_slice(b"(");
                self.out.extend_from_slice(&text);
                self.out.extend_from_slice(b"\r\n");
            }
            return Ok(());
        }
        if let Value::Table(inner) = table.raw_get("verbatim_string")?
            && let Value::String(format) = inner.raw_get("format")?
            && let Value::String(text) = inner.raw_get("string")?
        {
            self.verbatim(&format.as_bytes(), &text.as_bytes());
            return Ok(());
        }
        if let Value::Table(inner) = table.raw_get("map")? {
            let pairs: Vec<(Value, Value)> = inner.pairs().collect::<Result<_>>()?;
            let (kind, count) = if self.client == 2 { (b'*', pairs.len() * 2) } else { (b'%', pairs.len()) };
            encode::header(self.out, kind, count);
            waiting.extend(pairs.into_iter().rev().flat_map(|(key, value)| [(value, depth + 4), (key, depth + 4)]));
            return Ok(());
        }
        if let Value::Table(inner) = table.raw_get("set")? {
            let members: Vec<Value> =
                inner.pairs().map(|pair| pair.map(|(key, _): (Value, Value)| key)).collect::<Result<_>>()?;
            encode::header(self.out, if self.client == 2 { b'*' } else { b'~' }, members.len());
            waiting.extend(members.into_iter().rev().map(|member| (member, depth + 3)));
            return Ok(());
        }
        self.array(table, depth, waiting)
    }

    fn array(&mut self, table: &Table, depth: usize, waiting: &mut Vec<(Value, usize)>) -> Result<()> {
        let from = waiting.len();
        for i in 1_i64.. {
            let value: Value = table.raw_get(i)?;
            if value.is_nil() {
                break;
            }
            waiting.push((value, depth + 1));
        }
        encode::array_header(self.out, waiting.len() - from);
        waiting[from..].reverse();
        Ok(())
    }

    fn double(&mut self, number: f64) -> Result<()> {
        let text = double::print(number);
        if self.client == 2 {
            encode::bulk(self.out, text.as_bytes());
        } else {
            self.out.extend_from_slice(b",");
            self.out.extend_from_slice(text.as_bytes());
            self.out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// The format has three characters, be it shorter or longer.
    fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        if self.client == 2 {
            return encode::bulk(self.out, text);
        }
        encode::header(self.out, b'=', text.len() + 4);
        let format: Vec<u8> = format.iter().copied().chain(std::iter::repeat(b' ')).take(3).collect();
        self.out.extend_from_slice(&format);
        self.out.extend_from_slice(b":");
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// As C casts a double on the usual machines: what doesn't fit is the least integer.
#[expect(clippy::cast_possible_truncation, reason = "that is the point")]
pub(super) fn truncated(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) { number as i64 } else { i64::MIN }
}

fn blank_line_ends(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect()
}
