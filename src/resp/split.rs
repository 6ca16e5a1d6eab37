//! Quoting as Redis does it on inline requests, in redis.conf and in redis-cli (`sdssplitargs`, `sdscatrepr`).

/// Splits a line into arguments: blanks separate, `"…"` takes C escapes and `\xHH`, `'…'` takes `\'` only.
/// `None` when quotes are unbalanced or not followed by a blank.
#[must_use]
pub fn split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    let mut rest = line;
    loop {
        while let [first, tail @ ..] = rest {
            if !is_space(*first) {
                break;
            }
            rest = tail;
        }
        if rest.is_empty() || rest[0] == 0 {
            return Some(parts);
        }
        let (part, tail) = one(rest)?;
        parts.push(part);
        rest = tail;
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// One argument and what follows it.
fn one(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut part = Vec::new();
    loop {
        match rest {
            [] => return Some((part, rest)),
            [b'"', tail @ ..] => rest = double_quoted(tail, &mut part)?,
            [b'\'', tail @ ..] => rest = single_quoted(tail, &mut part)?,
            [byte, tail @ ..] if is_space(*byte) || *byte == 0 => return Some((part, tail)),
            [byte, tail @ ..] => {
                part.push(*byte);
                rest = tail;
                continue;
            }
        }
        // A closing quote ends the argument: a blank or the end must follow.
        return match rest {
            [] => Some((part, rest)),
            [byte, tail @ ..] if is_space(*byte) => Some((part, tail)),
            [..] => None,
        };
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], part: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\\', b'x', a, b, tail @ ..] if hex(*a).is_some() && hex(*b).is_some() => {
                part.push(hex(*a)? * 16 + hex(*b)?);
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                part.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [b'"', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                part.push(*byte);
                rest = tail;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], part: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\\', b'\'', tail @ ..] => {
                part.push(b'\'');
                rest = tail;
            }
            [b'\'', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                part.push(*byte);
                rest = tail;
            }
        }
    }
}

/// A string in double quotes with C escapes, as Redis prints one (`sdscatrepr`); [`split_args`] reads it back.
#[must_use]
pub fn quote(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            0x20..=0x7e => out.push(char::from(byte)),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoting_rules() {
        let split = |text: &str| split_args(text.as_bytes()).map(|parts| parts.concat());
        assert_eq!(split_args(b" a  b\t"), Some(vec![b"a".to_vec(), b"b".to_vec()]));
        assert_eq!(split(r#""a\x41\n""#), Some(b"aA\n".to_vec()));
        assert_eq!(split(r"'it\'s \n'"), Some(b"it's \\n".to_vec()));
        assert_eq!(split(r#""a"b"#), None);
        assert_eq!(split("'a"), None);
        assert_eq!(split_args(b"\"\""), Some(vec![vec![]]));
    }

    proptest! {
        #[test]
        fn quoted_text_reads_back(text in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(split_args(quote(&text).as_bytes()), Some(vec![text]));
        }
    }
}
