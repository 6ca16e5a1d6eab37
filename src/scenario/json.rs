//! A JSON reader that keeps the place of every value, which serde_json doesn't.

use super::source::{Place, Problems};
use super::tree::{Data, Key, Tree};

/// Lists and tables may nest this deep.
const DEPTH_MAX: usize = 64;

/// Reads one JSON text. `None` after a syntax error, which is reported with its place.
pub(super) fn parse(text: &str, source: usize, problems: &mut Problems) -> Option<Tree> {
    let mut reader = Reader { bytes: text.as_bytes(), text, at: 0, source };
    let outcome = reader.value(0).and_then(|tree| {
        reader.blanks();
        if reader.at < reader.bytes.len() { Err(reader.wrong("the end of the file")) } else { Ok(tree) }
    });
    match outcome {
        Ok(tree) => Some(tree),
        Err(wrong) => {
            problems.error(wrong.place, format!("not valid JSON: {}", wrong.message));
            None
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    source: usize,
}

struct Wrong {
    place: Place,
    message: String,
}

type Read<T> = Result<T, Wrong>;

impl Reader<'_> {
    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn place(&self, start: usize) -> Place {
        Place { source: self.source, start, end: self.at }
    }

    fn wrong(&self, expected: &str) -> Wrong {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = match rest.chars().next() {
            Some(c) => format!("`{}`", c.escape_debug()),
            None => "the end of the file".to_owned(),
        };
        let width = rest.chars().next().map_or(0, char::len_utf8);
        let place = Place { source: self.source, start: self.at, end: self.at + width };
        Wrong { place, message: format!("expected {expected}, found {found}") }
    }

    fn value(&mut self, depth: usize) -> Read<Tree> {
        self.blanks();
        let start = self.at;
        if depth > DEPTH_MAX {
            return Err(Wrong { place: self.place(start), message: format!("nested deeper than {DEPTH_MAX}") });
        }
        let data = match self.peek() {
            Some(b'{') => self.table(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Data::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Tree { place: self.place(start), data })
    }

    fn word(&mut self) -> Read<Data> {
        let rest = &self.bytes[self.at..];
        for (word, data) in [("true", Data::Bool(true)), ("false", Data::Bool(false)), ("null", Data::Null)] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(data);
            }
        }
        Err(self.wrong("a value"))
    }

    fn table(&mut self, depth: usize) -> Read<Data> {
        let mut entries: Vec<(Key, Tree)> = Vec::new();
        self.at += 1;
        self.blanks();
        if self.take(b'}') {
            return Ok(Data::Table(entries));
        }
        loop {
            self.blanks();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a field's name in double quotes"));
            }
            let key = Key { name: self.string()?, place: self.place(start) };
            if entries.iter().any(|(earlier, _)| earlier.name == key.name) {
                return Err(Wrong { place: key.place, message: format!("the field `{}` is there twice", key.name) });
            }
            self.blanks();
            if !self.take(b':') {
                return Err(self.wrong("`:`"));
            }
            let value = self.value(depth + 1)?;
            entries.push((key, value));
            self.blanks();
            if self.take(b'}') {
                return Ok(Data::Table(entries));
            }
            if !self.take(b',') {
                return Err(self.wrong("`,` or `}`"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Read<Data> {
        let mut items = Vec::new();
        self.at += 1;
        self.blanks();
        if self.take(b']') {
            return Ok(Data::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.take(b']') {
                return Ok(Data::List(items));
            }
            if !self.take(b',') {
                return Err(self.wrong("`,` or `]`"));
            }
        }
    }

    fn number(&mut self) -> Read<Data> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut whole = true;
        if self.take(b'.') {
            whole = false;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if !self.take(b'-') {
                self.take(b'+');
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        let number = if whole { text.parse().ok().map(Data::Int) } else { text.parse().ok().map(Data::Float) };
        number.ok_or_else(|| Wrong { place: self.place(start), message: format!("the number {text} is too large") })
    }

    fn digits(&mut self) -> Read<()> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.wrong("a digit"));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Read<String> {
        let mut out = String::new();
        self.at += 1;
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.wrong("the closing `\"`")),
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.wrong("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u")),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Read<char> {
        let high = self.four_digits()?;
        if let Some(c) = char::from_u32(high) {
            return Ok(c);
        }
        if self.peek() == Some(b'\\') && self.bytes.get(self.at + 1) == Some(&b'u') {
            self.at += 1;
            let low = self.four_digits()?;
            if (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(code).ok_or_else(|| self.wrong("a character"));
            }
        }
        Err(self.wrong("the second half of a surrogate pair"))
    }

    /// After the `u`.
    fn four_digits(&mut self) -> Read<u32> {
        let mut code = 0;
        self.at += 1;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.wrong("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Without places, as serde_json has it.
    fn plain(tree: &Tree) -> serde_json::Value {
        match &tree.data {
            Data::Null => serde_json::Value::Null,
            Data::Bool(value) => (*value).into(),
            Data::Int(number) => serde_json::Number::from_i128(*number).expect("generated in range").into(),
            Data::Float(number) => (*number).into(),
            Data::Text(text) => text.as_str().into(),
            Data::List(items) => items.iter().map(plain).collect(),
            Data::Table(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.name.clone(), plain(value)));
                serde_json::Value::Object(entries.collect())
            }
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            (-1e9..1e9f64).prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let mut problems = Problems::default();
            let tree = parse(&text.expect("plain values serialise"), 0, &mut problems).expect("valid JSON");
            prop_assert_eq!(plain(&tree), value);
        }

        #[test]
        fn accepts_only_what_serde_json_accepts(text in r#"[\[\]{}:,"\\u0-9a-f.eE+\- tn]{0,24}"#) {
            let mut problems = Problems::default();
            let ours = parse(&text, 0, &mut problems);
            prop_assert_eq!(ours.is_none(), problems.has_errors());
            if ours.is_some() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn places_are_byte_ranges() {
        let text = r#"{"a": ["é", 10]}"#;
        let tree = parse(text, 3, &mut Problems::default()).expect("valid");
        let Data::List(items) = &tree.get("a").expect("there").data else { panic!("a list") };
        assert_eq!(items[1].place, Place { source: 3, start: 13, end: 15 });
        assert_eq!(&text[13..15], "10");
    }
}
