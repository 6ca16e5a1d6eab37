//! The manifest of a multi-part append-only file: which files it consists of (`aofLoadManifestFromFile`,
//! `getAofManifestAsString`).

use std::fmt::Write as _;

use crate::resp::{quote, split_args};

/// The longest line that is read.
const LINE_MAX: usize = 1024;

/// A file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its name in the folder.
    pub(super) name: String,
    /// Its number.
    pub(super) seq: i64,
}

/// All files, and the highest numbers given so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The dataset as of the last rewrite.
    pub(super) base: Option<Part>,
    /// What was written since, the oldest first.
    pub(super) incr: Vec<Part>,
    /// What a rewrite has made useless and is yet to be removed.
    pub(super) history: Vec<Part>,
    base_seq: i64,
    incr_seq: i64,
    /// It differs from what is on the disk.
    pub(super) dirty: bool,
}

impl Manifest {
    /// Neither a base nor anything else.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.base.is_none() && self.incr.is_empty()
    }

    /// The text of the file.
    #[must_use]
    pub(super) fn print(&self) -> String {
        let mut text = String::new();
        let base = self.base.iter().map(|part| (part, 'b'));
        let history = self.history.iter().map(|part| (part, 'h'));
        for (part, kind) in base.chain(history).chain(self.incr.iter().map(|part| (part, 'i'))) {
            let plain = !part.name.is_empty() && part.name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
            let name = if plain { part.name.clone() } else { quote(part.name.as_bytes()) };
            writeln!(text, "file {name} seq {} type {kind}", part.seq).expect("writing to a string succeeds");
        }
        text
    }

    /// Reads the file.
    ///
    /// # Errors
    /// In the words that a real server logs, with the line.
    pub(super) fn parse(text: &[u8]) -> Result<Manifest, String> {
        let mut manifest = Manifest::default();
        let mut rest = text;
        let mut number = 0;
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1).min(LINE_MAX);
            let (line, after) = rest.split_at(end);
            rest = after;
            number += 1;
            if line[0] != b'#' {
                manifest.line(line).map_err(|problem| format!("{problem} (line {number})"))?;
            }
        }
        if number == 0 { Err("Found an empty AOF manifest".to_owned()) } else { Ok(manifest) }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        const INVALID: &str = "Invalid AOF manifest file format";
        if !line.ends_with(b"\n") {
            return Err("The AOF manifest file contains too long line");
        }
        let words = split_args(line.trim_ascii()).filter(|words| words.len() >= 6 && words.len().is_multiple_of(2));
        let words = words.ok_or(INVALID)?;
        let (mut name, mut seq, mut kind) = (None, 0, 0);
        for pair in words.chunks_exact(2) {
            let value = &pair[1];
            if pair[0].eq_ignore_ascii_case(b"file") {
                if value.contains(&b'/') || value.contains(&b'\\') {
                    return Err("File can't be a path, just a filename");
                }
                name = Some(String::from_utf8_lossy(value).into_owned());
            } else if pair[0].eq_ignore_ascii_case(b"seq") {
                seq = integer(value);
            } else if pair[0].eq_ignore_ascii_case(b"type") {
                kind = value.first().copied().unwrap_or(0);
            }
        }
        let part = Part { name: name.ok_or(INVALID)?, seq };
        match kind {
            _ if seq == 0 => return Err(INVALID),
            0 => return Err(INVALID),
            b'b' if self.base.is_some() => return Err("Found duplicate base file information"),
            b'b' => {
                self.base_seq = seq;
                self.base = Some(part);
            }
            b'h' => self.history.push(part),
            b'i' if self.incr.iter().any(|other| other.seq >= seq) || seq < 0 => {
                return Err("Found a non-monotonic sequence number");
            }
            b'i' => {
                self.incr_seq = seq;
                self.incr.push(part);
            }
            _ => return Err("Unknown AOF file type"),
        }
        Ok(())
    }

    /// A new base: the one so far is history. Its name (`getNewBaseFileNameAndMarkPreAsHistory`).
    pub(super) fn new_base(&mut self, file: &str, as_rdb: bool) -> String {
        if let Some(old) = self.base.take() {
            self.history.insert(0, old);
        }
        self.base_seq += 1;
        let name = format!("{file}.{}.base.{}", self.base_seq, if as_rdb { "rdb" } else { "aof" });
        self.base = Some(Part { name: name.clone(), seq: self.base_seq });
        self.dirty = true;
        name
    }

    /// The next file to append to (`getNewIncrAofName`).
    pub(super) fn new_incr(&mut self, file: &str) -> String {
        self.incr_seq += 1;
        let name = format!("{file}.{}.incr.aof", self.incr_seq);
        self.incr.push(Part { name: name.clone(), seq: self.incr_seq });
        self.dirty = true;
        name
    }

    /// The number that the next file to append to gets.
    #[must_use]
    pub(super) fn next_incr_seq(&self) -> i64 {
        self.incr_seq + 1
    }

    /// An old single file is the base from now on (`aofUpgradePrepare`).
    pub(super) fn adopt(&mut self, file: &str) {
        self.base = Some(Part { name: file.to_owned(), seq: 1 });
        self.base_seq = 1;
        self.dirty = true;
    }

    /// A base holds everything up to the files that are written now: those before are history
    /// (`markRewrittenIncrAofAsHistory`).
    pub(super) fn retire(&mut self, keep_last: bool) {
        if self.incr.is_empty() {
            return;
        }
        let kept = self.incr.split_off(self.incr.len() - usize::from(keep_last));
        for old in std::mem::replace(&mut self.incr, kept).into_iter().rev() {
            self.history.insert(0, old);
        }
        self.dirty = true;
    }
}

/// What `atoll` makes of a text.
fn integer(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let number = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number = number.fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_makes_history() {
        let mut manifest = Manifest::default();
        manifest.new_base("a.aof", true);
        manifest.new_incr("a.aof");
        manifest.new_incr("a.aof");
        manifest.new_incr("a.aof");
        manifest.new_base("a.aof", false);
        manifest.retire(true);
        let text = "file a.aof.2.base.aof seq 2 type b\nfile a.aof.1.incr.aof seq 1 type h\n\
                    file a.aof.2.incr.aof seq 2 type h\nfile a.aof.1.base.rdb seq 1 type h\n\
                    file a.aof.3.incr.aof seq 3 type i\n";
        assert_eq!(manifest.print(), text);
        let read = Manifest::parse(text.as_bytes()).expect("own text");
        assert_eq!(read, Manifest { dirty: false, ..manifest });
    }

    #[test]
    fn what_is_wrong_is_said_as_a_real_server_does() {
        for (text, problem) in [
            ("", "Found an empty AOF manifest"),
            ("\n", "Invalid AOF manifest file format (line 1)"),
            ("file x seq 1 type i", "The AOF manifest file contains too long line (line 1)"),
            ("file x seq 1\n", "Invalid AOF manifest file format (line 1)"),
            ("# a\nfile a/b seq 1 type i\n", "File can't be a path, just a filename (line 2)"),
            ("file x seq 0 type i\n", "Invalid AOF manifest file format (line 1)"),
            ("file x seq 1 type x\n", "Unknown AOF file type (line 1)"),
            ("file x seq 1 type b\nfile y seq 2 type b\n", "Found duplicate base file information (line 2)"),
            ("file x seq 2 type i\nfile y seq 2 type i\n", "Found a non-monotonic sequence number (line 2)"),
        ] {
            assert_eq!(Manifest::parse(text.as_bytes()), Err(problem.to_owned()), "{text:?}");
        }
        let odd = Manifest::parse(b"type i SEQ 7 file \"a b\" future 1\n").expect("more fields may come");
        assert_eq!(odd.print(), "file \"a b\" seq 7 type i\n");
    }
}
