//! Replies as the debugger shows them (`ldbRedisProtocolToHuman`).

use crate::resp::{parse_i64, quote};

/// A reply of either protocol as people read it.
#[must_use]
pub(crate) fn reply(reply: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    show(reply, &mut shown);
    shown
}

/// Shows the first reply; what is left is returned.
fn show<'a>(reply: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some(end) = memchr::memchr(b'\r', reply) else { return &[] };
    let Some((kind, head)) = reply[..end].split_first() else { return &[] };
    let rest = reply.get(end + 2..).unwrap_or_default();
    match kind {
        b':' => out.extend_from_slice(head),
        b'$' => match usize::try_from(parse_i64(head).unwrap_or(-1)) {
            Ok(len) if len + 2 <= rest.len() => {
                out.extend_from_slice(quote(&rest[..len]).as_bytes());
                return &rest[len + 2..];
            }
            _ => out.extend_from_slice(b"NULL"),
        },
        b'+' | b'-' => out.extend_from_slice(quote(&reply[..end]).as_bytes()),
        b'*' if head == b"-1" => out.extend_from_slice(b"NULL"),
        b'*' => return many(head, rest, ("[", "]"), 1, out),
        b'~' => return many(head, rest, ("~(", ")"), 1, out),
        b'%' => return many(head, rest, ("{", "}"), 2, out),
        b'_' => out.extend_from_slice(b"(null)"),
        b'#' => out.extend_from_slice(if head == b"t" { b"#true" } else { b"#false" }),
        b',' => {
            out.extend_from_slice(b"(double) ");
            out.extend_from_slice(head);
        }
        _ => return reply,
    }
    rest
}

fn many<'a>(count: &[u8], mut rest: &'a [u8], (open, close): (&str, &str), each: usize, out: &mut Vec<u8>) -> &'a [u8] {
    let count = parse_i64(count).unwrap_or(0);
    out.extend_from_slice(open.as_bytes());
    for at in 0..count {
        if at > 0 {
            out.push(b',');
        }
        rest = show(rest, out);
        if each == 2 {
            out.extend_from_slice(b" => ");
            rest = show(rest, out);
        }
    }
    out.extend_from_slice(close.as_bytes());
    rest
}

#[cfg(test)]
mod tests {
    #[test]
    fn replies_of_both_protocols_are_shown() {
        for (reply, shown) in [
            ("+OK\r\n", "\"+OK\""),
            ("-ERR x\r\n", "\"-ERR x\""),
            (":-7\r\n", "-7"),
            ("$-1\r\n", "NULL"),
            ("*-1\r\n", "NULL"),
            ("$4\r\na\r\nb\r\n", "\"a\\r\\nb\""),
            ("*3\r\n:1\r\n*0\r\n$1\r\nx\r\n", "[1,[],\"x\"]"),
            ("~2\r\n:1\r\n:2\r\n", "~(1,2)"),
            ("%2\r\n+a\r\n:1\r\n+b\r\n_\r\n", "{\"+a\" => 1,\"+b\" => (null)}"),
            ("#t\r\n", "#true"),
            ("#f\r\n", "#false"),
            (",1.5\r\n", "(double) 1.5"),
        ] {
            assert_eq!(String::from_utf8_lossy(&super::reply(reply.as_bytes())), shown);
        }
    }
}
