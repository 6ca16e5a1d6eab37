//! JSON: values as values of histories, and where in a file they are.

use serde_json::{Deserializer, Value};

use super::BadLine;
use crate::check::linearizable::Datum;

/// The values of an array, or values one after the other.
#[derive(Debug)]
pub(super) struct Items<'a> {
    rest: &'a str,
    line: u32,
    /// Whether it is an array.
    array: bool,
    first: bool,
}

impl<'a> Items<'a> {
    pub(super) fn new(text: &'a str) -> Items<'a> {
        let mut items = Items { rest: text, line: 1, array: false, first: true };
        items.skip();
        items.array = items.take('[');
        items
    }

    /// The next value and the line that it begins in.
    pub(super) fn item(&mut self) -> Result<Option<(u32, Value)>, BadLine> {
        self.skip();
        if self.array && self.take(']') {
            self.array = false;
            self.skip();
            return if self.rest.is_empty() { Ok(None) } else { self.bad("nothing may follow the array") };
        }
        if self.rest.is_empty() {
            return if self.array { self.bad("no JSON: the text ends in the middle of the array") } else { Ok(None) };
        }
        if self.array && !std::mem::take(&mut self.first) {
            if !self.take(',') {
                return self.bad("no JSON: a comma or ] is expected after an item of the array");
            }
            self.skip();
        }
        let line = self.line;
        let mut values = Deserializer::from_str(self.rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let used = values.byte_offset();
                self.advance(used);
                Ok(Some((line, value)))
            }
            Some(Err(error)) => {
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or(&text);
                let line = line + u32::try_from(error.line().saturating_sub(1)).unwrap_or(0);
                Err(BadLine { line, message: format!("no JSON: {what}, at column {}", error.column()) })
            }
            None => self.bad("no JSON: a value is expected"),
        }
    }

    fn bad<T>(&self, message: &str) -> Result<T, BadLine> {
        Err(BadLine { line: self.line, message: message.to_owned() })
    }

    fn advance(&mut self, bytes: usize) {
        let (used, rest) = self.rest.split_at(bytes);
        self.line += u32::try_from(used.bytes().filter(|&byte| byte == b'\n').count()).unwrap_or(0);
        self.rest = rest;
    }

    fn skip(&mut self) {
        let blank = self.rest.len() - self.rest.trim_start().len();
        self.advance(blank);
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.rest.starts_with(wanted);
        self.advance(if found { wanted.len_utf8() } else { 0 });
        found
    }
}

/// The same value.
pub(super) fn datum(value: &Value) -> Datum {
    match value {
        Value::Null => Datum::Nil,
        Value::Bool(truth) => Datum::Bool(*truth),
        Value::Number(number) => number.as_i64().map_or_else(|| Datum::Decimal(number.to_string().into()), Datum::Int),
        Value::String(text) => Datum::Text(text.as_str().into()),
        Value::Array(items) => Datum::List(items.iter().map(datum).collect()),
        Value::Object(fields) => {
            Datum::Map(fields.iter().map(|(name, value)| (Datum::Word(name.as_str().into()), datum(value))).collect())
        }
    }
}
