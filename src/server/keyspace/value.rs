//! What a key holds. Strings for now; other types will be further variants.

use bytes::Bytes;

use super::text::Text;
use crate::resp::parse_i64;

/// Text of a string value: in place up to what Redis embeds.
pub type ValueText = Text<44>;

/// Longest string that is stored beside its header (`OBJ_ENCODING_EMBSTR_SIZE_LIMIT`).
pub const EMBSTR_MAX: usize = 44;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string that is a 64-bit integer.
    Int(i64),
    /// A string as SET makes it.
    Str(ValueText),
    /// A string that was changed in place: `raw` however short.
    Raw(ValueText),
}

impl Value {
    /// A string as SET stores it: an integer when it is one (`tryObjectEncoding`).
    #[must_use]
    pub fn string(text: Bytes) -> Value {
        if text.len() <= 20
            && let Some(n) = parse_i64(&text)
        {
            return Value::Int(n);
        }
        Value::Str(ValueText::share(text))
    }

    /// A string made of a copy.
    #[must_use]
    pub fn string_copy(text: &[u8]) -> Value {
        if text.len() <= 20
            && let Some(n) = parse_i64(text)
        {
            return Value::Int(n);
        }
        Value::Str(ValueText::copy(text))
    }

    /// The string as bytes.
    #[must_use]
    pub fn text(&self) -> Bytes {
        match self {
            Value::Int(n) => Bytes::from(n.to_string()),
            Value::Str(text) | Value::Raw(text) => text.to_bytes(),
        }
    }

    /// Calls `f` with the string's bytes, without an allocation.
    pub fn with_text<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Value::Int(n) => f(format_i64(*n, &mut [0; 20])),
            Value::Str(text) | Value::Raw(text) => f(text.as_slice()),
        }
    }

    /// Length of the string in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Value::Int(n) => format_i64(*n, &mut [0; 20]).len(),
            Value::Str(text) | Value::Raw(text) => text.len(),
        }
    }

    /// True for the empty string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As TYPE names it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => "string",
        }
    }

    /// As OBJECT ENCODING names it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::Int(_) => "int",
            Value::Str(text) if text.len() <= EMBSTR_MAX => "embstr",
            Value::Str(_) | Value::Raw(_) => "raw",
        }
    }

    /// Bytes it takes in memory, about as a real server's allocator counts them.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Value::Int(_) => 16,
            Value::Str(text) | Value::Raw(text) => (text.len() + 19).next_multiple_of(16),
        }
    }
}

/// Decimal digits of `n` in a buffer.
pub fn format_i64(n: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = buffer.len();
    let mut rest = n.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_encodings() {
        for (text, encoding) in [("12", "int"), ("-0", "embstr"), ("007", "embstr"), ("", "embstr")] {
            let value = Value::string_copy(text.as_bytes());
            assert_eq!((value.encoding(), &value.text()[..]), (encoding, text.as_bytes()));
        }
        assert_eq!(Value::string_copy(&[b'x'; 44]).encoding(), "embstr");
        assert_eq!(Value::string_copy(&[b'x'; 45]).encoding(), "raw");
        assert_eq!(Value::Int(i64::MIN).len(), 20);
    }
}
