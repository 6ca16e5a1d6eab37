//! Replies to SET, GET and WAIT, recognised where they lie: no value is built for them.

use crate::resp::parse_i64;

/// A reply that an operation can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// `+…`
    Simple,
    /// `$-1`, `_` or `*-1`
    Null,
    /// `$…`
    Text(&'a [u8]),
    /// `:…`
    Integer(i64),
    /// `-…`
    Error(&'a [u8]),
}

/// The bytes are no reply to any request of the workload; the connection can't be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The first reply in `data` and its length; `None`: it isn't whole yet.
pub(crate) fn first(data: &[u8]) -> Result<Option<(Answer<'_>, usize)>, Malformed> {
    if data.starts_with(b"+OK\r\n") {
        return Ok(Some((Answer::Simple, 5)));
    }
    let Some(&kind) = data.first() else { return Ok(None) };
    let Some(length) = data[1..].iter().position(|&byte| byte == b'\r') else { return Ok(None) };
    let (end, after) = (length + 1, length + 3);
    if data.len() < after {
        return Ok(None);
    }
    let line = &data[1..end];
    let answer = match kind {
        b'+' => Answer::Simple,
        b'-' => Answer::Error(line),
        b':' => Answer::Integer(parse_i64(line).ok_or(Malformed)?),
        b'_' => Answer::Null,
        b'$' | b'*' if line == b"-1" => Answer::Null,
        b'$' => {
            let len = parse_i64(line).and_then(|len| usize::try_from(len).ok()).ok_or(Malformed)?;
            let stop = after.checked_add(len).ok_or(Malformed)?;
            if data.len() < stop.saturating_add(2) {
                return Ok(None);
            }
            return Ok(Some((Answer::Text(&data[after..stop]), stop + 2)));
        }
        _ => return Err(Malformed),
    };
    Ok(Some((answer, after)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replies_are_told_apart() {
        for (bytes, expected) in [
            (&b"+OK\r\n"[..], Ok(Some((Answer::Simple, 5)))),
            (b"+QUEUED\r\n+", Ok(Some((Answer::Simple, 9)))),
            (b"$2\r\nab\r\n:1", Ok(Some((Answer::Text(b"ab"), 8)))),
            (b"$0\r\n\r\n", Ok(Some((Answer::Text(b""), 6)))),
            (b"$-1\r\n", Ok(Some((Answer::Null, 5)))),
            (b"_\r\n", Ok(Some((Answer::Null, 3)))),
            (b":12\r\n", Ok(Some((Answer::Integer(12), 5)))),
            (b"-ERR x\r\n", Ok(Some((Answer::Error(b"ERR x"), 8)))),
            (b"+OK\r", Ok(None)),
            (b"$2\r\nab\r", Ok(None)),
            (b"", Ok(None)),
            (b"$x\r\n", Err(Malformed)),
            (b"$-2\r\n", Err(Malformed)),
            (b"$9223372036854775807\r\n", Ok(None)),
            (b"*1\r\n:1\r\n", Err(Malformed)),
            (b"HTTP/1.1\r\n", Err(Malformed)),
        ] {
            assert_eq!(first(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        /// A prefix of a reply is never mistaken for something else, and garbage never panics.
        #[test]
        fn prefixes_wait(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[a-z]{0,20}") {
            let _ = first(&bytes);
            for whole in [format!("${}\r\n{text}\r\n", text.len()), format!("+{text}\r\n"), format!("-{text}\r\n")] {
                for cut in 0..whole.len() {
                    prop_assert_eq!(first(&whole.as_bytes()[..cut]), Ok(None));
                }
                prop_assert_eq!(first(whole.as_bytes()).map(|found| found.map(|(_, len)| len)), Ok(Some(whole.len())));
            }
        }
    }
}
