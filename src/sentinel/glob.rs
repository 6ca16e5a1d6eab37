//! Glob patterns as Redis matches them (`stringmatchlen`).

/// Whether `text` matches `pattern`; `fold`: whatever the case of letters.
pub(super) fn matches(pattern: &[u8], text: &[u8], fold: bool) -> bool {
    let same = |a: u8, b: u8| if fold { a.eq_ignore_ascii_case(&b) } else { a == b };
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| matches(rest, &text[skip..], fold)),
        (_, []) | ([], _) => false,
        ([b'?', rest @ ..], [_, tail @ ..]) => matches(rest, tail, fold),
        ([b'[', rest @ ..], [byte, tail @ ..]) => {
            let (hit, rest) = class(rest, *byte, fold);
            hit && matches(rest, tail, fold)
        }
        ([b'\\', literal, rest @ ..], [byte, tail @ ..]) => same(*literal, *byte) && matches(rest, tail, fold),
        ([literal, rest @ ..], [byte, tail @ ..]) => same(*literal, *byte) && matches(rest, tail, fold),
    }
}

/// A class after its bracket: whether the byte is in it, and the pattern after it.
fn class(mut rest: &[u8], byte: u8, fold: bool) -> (bool, &[u8]) {
    let lower = |byte: u8| if fold { byte.to_ascii_lowercase() } else { byte };
    let byte = lower(byte);
    let negated = rest.first() == Some(&b'^');
    if negated {
        rest = &rest[1..];
    }
    let mut hit = false;
    loop {
        match rest {
            [] => return (hit != negated, rest),
            [b']', tail @ ..] => return (hit != negated, tail),
            [b'\\', literal, tail @ ..] => {
                hit |= *literal == byte;
                rest = tail;
            }
            [low, b'-', high, tail @ ..] => {
                let (low, high) = (lower(*low.min(high)), lower(*low.max(high)));
                hit |= (low..=high).contains(&byte);
                rest = tail;
            }
            [literal, tail @ ..] => {
                hit |= lower(*literal) == byte;
                rest = tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("my*", "mymaster", true),
            ("*master", "mymaster", true),
            ("m?master", "mymaster", true),
            ("[km]y*", "mymaster", true),
            ("[^m]y*", "mymaster", false),
            ("[a-n]y*", "mymaster", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("+*", "+sdown", true),
            ("+*", "-sdown", false),
            ("", "a", false),
            ("a", "", false),
            ("MY*", "mymaster", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), false), expected, "{pattern} {text}");
        }
        assert!(matches(b"ANNOUNCE-*", b"announce-ip", true));
    }
}
