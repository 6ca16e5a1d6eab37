//! The syntax that redis.conf and sentinel.conf share: lines, quoting, units. What directives mean lives with each process.

pub use crate::resp::{quote, split_args};

/// One line of a configuration file, or one directive from elsewhere (a scenario's inline table).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name, in lower case.
    pub name: String,
    /// Its arguments, unquoted.
    pub args: Vec<Vec<u8>>,
    /// The line it stands on, from 1; 0 when it isn't from a file.
    pub line: usize,
}

/// What is wrong with a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfError {
    /// The line, from 1; 0 when it isn't from a file.
    pub line: usize,
    /// The directive's name, or the start of the line if it has none.
    pub directive: String,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do about it, if that is known: the nearest name, a unit.
    pub help: Option<String>,
}

/// A directive that is accepted and has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfWarning {
    /// The line, from 1; 0 when it isn't from a file.
    pub line: usize,
    /// The directive's name.
    pub directive: String,
    /// What isn't modelled.
    pub message: String,
}

/// Splits a file into directives: comments and empty lines are skipped, quotes as Redis's `sdssplitargs`.
///
/// # Errors
/// The first line whose quotes are unbalanced.
pub fn parse(text: &[u8]) -> Result<Vec<Directive>, ConfError> {
    let mut directives = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() || trimmed[0] == b'#' {
            continue;
        }
        let mut parts = split_args(trimmed).ok_or_else(|| ConfError {
            line: index + 1,
            directive: String::from_utf8_lossy(&trimmed[..trimmed.len().min(40)]).into_owned(),
            message: "Unbalanced quotes in configuration line".to_owned(),
            help: Some("close the quote; after a closing quote a blank or the end of the line must follow".to_owned()),
        })?;
        if parts.is_empty() {
            continue;
        }
        let name = String::from_utf8_lossy(&parts.remove(0)).to_ascii_lowercase();
        directives.push(Directive { name, args: parts, line: index + 1 });
    }
    Ok(directives)
}

/// Bytes with Redis's units (`memtoull`): none or `b`, `k` 1000, `kb` 1024, `m`, `mb`, `g`, `gb`; case doesn't matter.
#[must_use]
pub fn parse_memory(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1_024,
        "m" => 1_000_000,
        "mb" => 1_024 * 1_024,
        "g" => 1_000_000_000,
        "gb" => 1_024 * 1_024 * 1_024,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// The nearest of `known` to a mistyped name, if one is near enough to suggest.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= 2.max(candidate.len() / 3))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_units_and_suggestions() {
        let parsed = parse(b"# c\n\n Save 900 1 \nrequirepass \"a b\"\n").expect("valid");
        assert_eq!(parsed[0].name, "save");
        assert_eq!(parsed[0].line, 3);
        assert_eq!(parsed[1].args, [b"a b".to_vec()]);
        assert!(parse(b"x \"y\n").is_err());
        assert_eq!(parse_memory("64mb"), Some(67_108_864));
        assert_eq!(parse_memory("1G"), Some(1_000_000_000));
        assert_eq!(parse_memory("-1"), None);
        assert_eq!(parse_memory("5x"), None);
        assert_eq!(nearest("apendonly", ["appendonly", "save"]), Some("appendonly"));
        assert_eq!(nearest("zzz", ["appendonly", "save"]), None);
    }
}
