//! EDN, the notation of Clojure's data: as much of it as histories use. Tags are read past, what they mark is kept.

use super::BadLine;
use crate::check::linearizable::Datum;

/// Collections within one another, at most.
const DEPTH: usize = 64;

/// Reads values one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a str,
    line: u32,
}

type Read<T> = Result<T, BadLine>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { rest: text, line: 1 }
    }

    /// The line that comes next.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    fn bad<T>(&self, message: impl Into<String>) -> Read<T> {
        Err(BadLine { line: self.line, message: message.into() })
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        self.line += u32::from(next == '\n');
        Some(next)
    }

    /// Reads past spaces, commas, comments and discarded values; whether anything is left.
    pub(super) fn more(&mut self, depth: usize) -> Read<bool> {
        loop {
            match self.peek() {
                None => return Ok(false),
                Some(next) if next.is_whitespace() || next == ',' => _ = self.take(),
                Some(';') => while self.take().is_some_and(|next| next != '\n') {},
                Some('#') if self.rest.starts_with("#_") => {
                    self.rest = &self.rest[2..];
                    self.value(depth + 1)?;
                }
                Some(_) => return Ok(true),
            }
        }
    }

    /// Whether a collection that isn't a map begins here; if so, it is entered.
    pub(super) fn enter(&mut self) -> Read<Option<char>> {
        self.more(0)?;
        Ok(match self.peek() {
            Some('[') => self.take().map(|_| ']'),
            Some('(') => self.take().map(|_| ')'),
            Some(_) | None => None,
        })
    }

    /// Whether a collection ends here; if so, it is left.
    pub(super) fn leave(&mut self, close: char) -> Read<bool> {
        if !self.more(0)? {
            return self.bad(format!("the text ends before the closing {close}"));
        }
        Ok(if self.peek() == Some(close) { self.take().is_some() } else { false })
    }

    /// The next value.
    pub(super) fn value(&mut self, depth: usize) -> Read<Datum> {
        if depth > DEPTH {
            return self.bad(format!("more than {DEPTH} collections within one another"));
        }
        if !self.more(depth)? {
            return self.bad("the text ends where a value is expected");
        }
        let Some(next) = self.peek() else { return self.bad("the text ends where a value is expected") };
        match next {
            '"' => self.text(),
            '[' => self.several(']', "a vector", depth).map(Datum::List),
            '(' => self.several(')', "a list", depth).map(Datum::List),
            '{' => self.map(depth),
            '#' => self.dispatch(depth),
            '\\' => {
                self.take();
                let word = self.word();
                Ok(Datum::Text(word.into()))
            }
            ']' | ')' | '}' => self.bad(format!("a {next} without its beginning")),
            _ => self.atom(),
        }
    }

    /// `#{…}`, `#tag value`.
    fn dispatch(&mut self, depth: usize) -> Read<Datum> {
        self.take();
        match self.peek() {
            Some('{') => self.several('}', "a set", depth).map(Datum::Set),
            Some(next) if next.is_alphabetic() => {
                self.word();
                self.value(depth + 1)
            }
            Some(_) | None => self.bad("a set or a tag is expected after #"),
        }
    }

    fn several(&mut self, close: char, what: &str, depth: usize) -> Read<Vec<Datum>> {
        let from = self.line;
        self.take();
        let mut items = Vec::new();
        loop {
            if !self.more(depth)? {
                return self.bad(format!("the text ends in the middle of {what} that began in line {from}"));
            }
            if self.peek() == Some(close) {
                self.take();
                return Ok(items);
            }
            items.push(self.value(depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Read<Datum> {
        let items = self.several('}', "a map", depth)?;
        if !items.len().is_multiple_of(2) {
            return self.bad("a map needs a value for each key");
        }
        let mut pairs = Vec::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key, value));
        }
        Ok(Datum::Map(pairs))
    }

    fn text(&mut self) -> Read<Datum> {
        self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                Some('"') => return Ok(Datum::Text(text.into())),
                Some('\\') => text.push(match self.take() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(other @ ('"' | '\\')) => other,
                    Some(other) => return self.bad(format!("\\{other} is no escape in a text")),
                    None => return self.bad("the text ends in the middle of a string"),
                }),
                Some(other) => text.push(other),
                None => return self.bad("the text ends in the middle of a string"),
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let ends =
            |next: char| next.is_whitespace() || matches!(next, ',' | '"' | '[' | ']' | '(' | ')' | '{' | '}' | ';');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn atom(&mut self) -> Read<Datum> {
        let word = self.word();
        if word.is_empty() {
            return self.bad(format!("{:?} is no beginning of a value", self.rest.chars().next()));
        }
        if let Some(keyword) = word.strip_prefix(':') {
            return Ok(Datum::Word(keyword.into()));
        }
        let digits = word.strip_suffix('N').unwrap_or(word);
        if let Ok(number) = digits.parse::<i64>() {
            return Ok(Datum::Int(number));
        }
        Ok(match word {
            "nil" => Datum::Nil,
            "true" => Datum::Bool(true),
            "false" => Datum::Bool(false),
            _ if word.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit()) => {
                Datum::Decimal(word.into())
            }
            _ => Datum::Word(word.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_they_are_written() {
        let shown = |text: &str| Reader::new(text).value(0).expect(text).to_string();
        for (text, expected) in [
            ("nil", "nil"),
            ("-12N", "-12"),
            ("1.5e3", "1.5e3"),
            (":a/b", "a/b"),
            ("\"a \\\"b\\n\"", "\"a \\\"b\\n\""),
            ("[1, #_ 2 (3 ; four\n)]", "[1 [3]]"),
            ("#{1 2}", "{1 2}"),
            ("#inst \"2026\"", "\"2026\""),
            ("#jepsen.history.Op{:a 1}", "{a 1}"),
            ("\\a", "\"a\""),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert!(Reader::new(&"[".repeat(100_000)).value(0).is_err(), "deep ones are refused, not followed");
    }
}
