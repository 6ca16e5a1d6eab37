//! Glob-style patterns of KEYS, SCAN, PSUBSCRIBE and CONFIG GET (`stringmatchlen`).

/// Deeper nesting of `*` than this never matches, so that hostile patterns stay cheap.
const DEPTH_MAX: u32 = 1_000;

/// True when the whole text matches the pattern.
#[must_use]
pub(super) fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let mut give_up = false;
    step(pattern, text, ignore_case, &mut give_up, 0)
}

fn step(mut pattern: &[u8], mut text: &[u8], fold: bool, give_up: &mut bool, depth: u32) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    let same = |a: u8, b: u8| if fold { a.eq_ignore_ascii_case(&b) } else { a == b };
    while !pattern.is_empty() && !text.is_empty() {
        match pattern[0] {
            b'*' => {
                while let [b'*', b'*', ..] = pattern {
                    pattern = &pattern[1..];
                }
                if pattern.len() == 1 {
                    return true;
                }
                while !text.is_empty() {
                    if step(&pattern[1..], text, fold, give_up, depth + 1) {
                        return true;
                    }
                    if *give_up {
                        return false;
                    }
                    text = &text[1..];
                }
                // Nothing that an outer star could swallow would help an inner one.
                *give_up = true;
                return false;
            }
            b'?' => text = &text[1..],
            b'[' => {
                let (found, last) = class(&pattern[1..], text[0], fold);
                if !found {
                    return false;
                }
                text = &text[1..];
                pattern = last;
                if pattern.is_empty() {
                    break;
                }
            }
            byte => {
                let byte = if byte == b'\\' && pattern.len() >= 2 {
                    pattern = &pattern[1..];
                    pattern[0]
                } else {
                    byte
                };
                if !same(byte, text[0]) {
                    return false;
                }
                text = &text[1..];
            }
        }
        pattern = &pattern[1..];
        if text.is_empty() {
            while let [b'*', ..] = pattern {
                pattern = &pattern[1..];
            }
            break;
        }
    }
    pattern.is_empty() && text.is_empty()
}

/// A character class after its `[`: whether the byte is in it, and the pattern from its `]` on (or its last byte).
fn class(mut pattern: &[u8], byte: u8, fold: bool) -> (bool, &[u8]) {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        pattern = &pattern[1..];
    }
    let mut found = false;
    let lower = |b: u8| if fold { b.to_ascii_lowercase() } else { b };
    loop {
        match pattern {
            [] => return (found != negated, pattern),
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                pattern = &pattern[1..];
            }
            [b']', ..] => return (found != negated, pattern),
            [from, b'-', to, ..] => {
                let (from, to) = (lower(*from).min(lower(*to)), lower(*from).max(lower(*to)));
                found |= (from..=to).contains(&lower(byte));
                pattern = &pattern[2..];
            }
            [one, ..] => found |= lower(*one) == lower(byte),
        }
        pattern = &pattern[1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", false),
            ("*", "abc", true),
            ("h?llo", "hello", true),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h*llo", "heeeello", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("[", "[", false),
            ("a[", "ab", false),
            ("abc*", "abc", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), false), expected, "{pattern} {text}");
        }
        assert!(matches(b"HEL*", b"hello", true));
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[a*?\\[\\]\\\\^-]{0,40}", text in "[a-c]{0,40}") {
            let _ = matches(pattern.as_bytes(), text.as_bytes(), true);
        }
    }
}
