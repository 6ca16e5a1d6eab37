//! The client's side: replies of RESP2 and RESP3, read incrementally.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::{ProtocolError, parse_i64};

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+`
    Simple(Bytes),
    /// `-` or `!`: the whole message, its code first
    Error(Bytes),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Bytes),
    /// `_`, `$-1` or `*-1`
    Null,
    /// `*`
    Array(Vec<Value>),
    /// `%`: keys and values
    Map(Vec<(Value, Value)>),
    /// `~`
    Set(Vec<Value>),
    /// `>`
    Push(Vec<Value>),
    /// `|` with the value that it annotates
    Attribute(Vec<(Value, Value)>, Box<Value>),
    /// `,` as its text, so that nothing is lost
    Double(Bytes),
    /// `#`
    Boolean(bool),
    /// `(`
    BigNumber(Bytes),
    /// `=`: the three-letter format and the text
    Verbatim([u8; 3], Bytes),
}

impl Value {
    /// The text of a simple, bulk or verbatim string.
    #[must_use]
    #[allow(clippy::wildcard_enum_match_arm, reason = "all others have no text")]
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(text) | Value::Bulk(text) | Value::Verbatim(_, text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    #[must_use]
    #[allow(clippy::wildcard_enum_match_arm, reason = "all others have no elements")]
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => Some(items),
            _ => None,
        }
    }

    /// An integer, or text that is one.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        if let Value::Integer(n) = self { Some(*n) } else { self.text().and_then(parse_i64) }
    }

    /// The message of an error.
    #[must_use]
    pub fn error(&self) -> Option<&[u8]> {
        if let Value::Error(message) = self { Some(message) } else { None }
    }
}

/// As redis-cli prints it on one line, shortened nowhere: for traces and diagnostics.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[Value]| {
            f.write_str("[")?;
            for (i, item) in items.iter().enumerate() {
                write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
            }
            f.write_str("]")
        };
        match self {
            Value::Simple(text) | Value::Double(text) | Value::BigNumber(text) => {
                f.write_str(&String::from_utf8_lossy(text))
            }
            Value::Error(text) => write!(f, "(error) {}", String::from_utf8_lossy(text)),
            Value::Integer(n) => write!(f, "(integer) {n}"),
            Value::Bulk(text) | Value::Verbatim(_, text) => f.write_str(&super::quote(text)),
            Value::Null => f.write_str("(nil)"),
            Value::Boolean(b) => write!(f, "({b})"),
            Value::Array(items) | Value::Set(items) | Value::Push(items) => list(f, items),
            Value::Map(pairs) => {
                f.write_str("{")?;
                for (i, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
            Value::Attribute(_, value) => value.fmt(f),
        }
    }
}

/// Reads replies out of a byte stream. A reply that arrives whole is parsed where it lies.
#[derive(Clone, Debug, Default)]
pub struct ReplyReader {
    chunk: Bytes,
    pending: BytesMut,
    /// Fewer pending bytes than this can't be a whole reply: saves rescanning while a long one trickles in.
    need: usize,
}

/// How deep replies may nest; more is a broken peer.
const DEPTH_MAX: u32 = 32;

impl ReplyReader {
    /// Adds bytes that arrived.
    pub fn feed(&mut self, data: Bytes) {
        if self.pending.is_empty() && self.chunk.is_empty() {
            self.chunk = data;
        } else {
            if !self.chunk.is_empty() {
                self.pending.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
            }
            self.pending.extend_from_slice(&data);
        }
    }

    /// Bytes that are here and not yet part of a returned reply.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.chunk.len() + self.pending.len()
    }

    /// Takes everything unread out: what follows a reply and isn't RESP (an RDB, the replication stream).
    pub fn take_unread(&mut self) -> Bytes {
        self.need = 0;
        if self.pending.is_empty() { std::mem::take(&mut self.chunk) } else { self.pending.split().freeze() }
    }

    /// The next reply; `None`: more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are not a reply.
    pub fn read(&mut self) -> Result<Option<Value>, ProtocolError> {
        if !self.pending.is_empty() {
            if self.pending.len() < self.need {
                return Ok(None);
            }
            // The whole pending buffer is handed over as one shared piece, so that slices of it are free.
            self.chunk = self.pending.split().freeze();
        }
        if self.chunk.is_empty() {
            return Ok(None);
        }
        let mut scan = Scan { data: &self.chunk, at: 0, need: 0 };
        match scan.value(0)? {
            Some(value) => {
                let used = scan.at;
                self.need = 0;
                self.chunk.advance(used);
                Ok(Some(value))
            }
            None => {
                self.need = scan.need;
                self.pending.reserve(self.need.max(self.chunk.len()));
                self.pending.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
                Ok(None)
            }
        }
    }
}

struct Scan<'a> {
    data: &'a Bytes,
    at: usize,
    need: usize,
}

impl Scan<'_> {
    fn line(&mut self) -> Option<Bytes> {
        let rest = &self.data[self.at..];
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            self.need = self.data.len() + 1;
            return None;
        };
        let line = self.data.slice(self.at..self.at + end);
        self.at += end + 2;
        Some(line)
    }

    fn sized(&mut self, len: usize) -> Option<Bytes> {
        let end = self.at.saturating_add(len);
        if self.data.len() < end.saturating_add(2) {
            self.need = end.saturating_add(2);
            return None;
        }
        let text = self.data.slice(self.at..end);
        self.at = end + 2;
        Some(text)
    }

    fn value(&mut self, depth: u32) -> Result<Option<Value>, ProtocolError> {
        if depth > DEPTH_MAX {
            return Err(ProtocolError("reply nested too deeply".to_owned()));
        }
        let Some(line) = self.line() else { return Ok(None) };
        let Some(&kind) = line.first() else { return Err(ProtocolError("empty reply line".to_owned())) };
        let text = line.slice(1..);
        let bad = || ProtocolError(format!("bad reply line {}", super::quote(&line)));
        Ok(Some(match kind {
            b'+' => Value::Simple(text),
            b'-' => Value::Error(text),
            b':' => Value::Integer(parse_i64(&text).ok_or_else(bad)?),
            b'_' => Value::Null,
            b'#' => Value::Boolean(text.as_ref() == b"t"),
            b',' => Value::Double(text),
            b'(' => Value::BigNumber(text),
            b'$' | b'!' | b'=' | b'*' | b'~' | b'>' | b'%' | b'|' => {
                let count = parse_i64(&text).ok_or_else(bad)?;
                if count == -1 && matches!(kind, b'$' | b'*') {
                    return Ok(Some(Value::Null));
                }
                let count = usize::try_from(count).map_err(|_| bad())?;
                return self.sized_value(kind, count, depth, &bad);
            }
            _ => return Err(bad()),
        }))
    }

    fn sized_value(
        &mut self,
        kind: u8,
        count: usize,
        depth: u32,
        bad: &dyn Fn() -> ProtocolError,
    ) -> Result<Option<Value>, ProtocolError> {
        if matches!(kind, b'$' | b'!' | b'=') {
            let Some(text) = self.sized(count) else { return Ok(None) };
            return Ok(Some(match kind {
                b'$' => Value::Bulk(text),
                b'!' => Value::Error(text),
                _ => {
                    let format = text.get(..3).and_then(|f| f.try_into().ok()).ok_or_else(bad)?;
                    Value::Verbatim(format, text.slice(text.len().min(4)..))
                }
            }));
        }
        let elements = if matches!(kind, b'%' | b'|') { count.saturating_mul(2) } else { count };
        // A lying header must not allocate: capacity is bounded by the bytes that are here.
        let mut items = Vec::with_capacity(elements.min(self.data.len() - self.at));
        for _ in 0..elements {
            let Some(item) = self.value(depth + 1)? else { return Ok(None) };
            items.push(item);
        }
        let pairs = |items: Vec<Value>| {
            let mut items = items.into_iter();
            let mut pairs = Vec::with_capacity(count);
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            pairs
        };
        Ok(Some(match kind {
            b'*' => Value::Array(items),
            b'~' => Value::Set(items),
            b'>' => Value::Push(items),
            b'%' => Value::Map(pairs(items)),
            _ => {
                let Some(value) = self.value(depth + 1)? else { return Ok(None) };
                Value::Attribute(pairs(items), Box::new(value))
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_type() {
        let mut reader = ReplyReader::default();
        reader.feed(Bytes::from_static(
            b"+OK\r\n-ERR no\r\n:5\r\n$2\r\nab\r\n$-1\r\n*2\r\n:1\r\n*0\r\n%1\r\n+a\r\n#t\r\n=7\r\ntxt:abc\r\n,1.5\r\n_\r\n",
        ));
        let mut all = Vec::new();
        while let Some(value) = reader.read().expect("valid") {
            all.push(value.to_string());
        }
        assert_eq!(
            all,
            [
                "OK",
                "(error) ERR no",
                "(integer) 5",
                "\"ab\"",
                "(nil)",
                "[(integer) 1, []]",
                "{a: (true)}",
                "\"abc\"",
                "1.5",
                "(nil)"
            ]
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let mut reader = ReplyReader::default();
            let cut = cut.min(bytes.len());
            for part in [&bytes[..cut], &bytes[cut..]] {
                reader.feed(Bytes::copy_from_slice(part));
                while let Ok(Some(_)) = reader.read() {}
            }
        }
    }
}
