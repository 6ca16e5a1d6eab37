//! Answering a command: RESP2 or RESP3, whichever the session speaks (`addReply*`).

use bytes::{Bytes, BytesMut};

use super::call::Cx;
use super::keyspace::double;
use super::session::{Flags, Session};
use crate::resp::{encode, parse_i64};

impl Cx<'_> {
    /// The calling session.
    pub(crate) fn session(&self) -> &Session {
        self.s.sessions.at(self.fd)
    }

    /// The calling session.
    pub(crate) fn session_mut(&mut self) -> &mut Session {
        self.s.sessions.at_mut(self.fd)
    }

    /// The reply buffer.
    pub(crate) fn reply(&mut self) -> &mut BytesMut {
        self.session_mut().reply.tail()
    }

    fn resp3(&self) -> bool {
        self.session().resp > 2
    }

    /// A whole constant reply.
    pub(crate) fn add_constant(&mut self, text: &'static [u8]) {
        self.session_mut().reply.constant(text);
    }

    /// `+OK`
    pub(crate) fn add_ok(&mut self) {
        self.add_constant(b"+OK\r\n");
    }

    /// `+<text>`
    pub(crate) fn add_simple(&mut self, text: &[u8]) {
        encode::simple(self.reply(), text);
    }

    /// An error; its code comes first in the text.
    pub(crate) fn add_error(&mut self, text: &str) {
        self.s.exec.failed = true;
        self.s.stats.count_error(text);
        if self.session().flags.has(Flags::MASTER.with(Flags::REPLICA)) {
            self.note_unexpected_error(text);
        }
        encode::error(self.reply(), text);
    }

    /// A master or a replica is told of an error: it is rare, and may hint at data that differ (`afterErrorReply`).
    #[cold]
    fn note_unexpected_error(&mut self, text: &str) {
        self.s.stats.unexpected_errors += 1;
        let (from, to) =
            if self.session().flags.has(Flags::MASTER) { ("replica", "master") } else { ("master", "replica") };
        let name = self.command.spec.name;
        self.s.warn(self.out, || {
            format!(
                "== CRITICAL == This {from} is sending an error to its {to}: '-{text}' after processing the command \
                 '{name}'"
            )
        });
    }

    /// `ERR syntax error`
    pub(crate) fn add_syntax_error(&mut self) {
        self.add_error("ERR syntax error");
    }

    /// `ERR wrong number of arguments for '…' command`
    pub(crate) fn add_error_arity(&mut self) {
        self.add_error(&format!("ERR wrong number of arguments for '{}' command", self.command.spec.name));
    }

    /// An integer.
    pub(crate) fn add_integer(&mut self, n: i64) {
        match n {
            0 => self.add_constant(b":0\r\n"),
            1 => self.add_constant(b":1\r\n"),
            _ => encode::integer(self.reply(), n),
        }
    }

    /// A count as an integer.
    pub(crate) fn add_count(&mut self, n: usize) {
        self.add_integer(i64::try_from(n).expect("counts fit 63 bits"));
    }

    /// A double: a bulk string in RESP2 (`addReplyDouble`).
    pub(crate) fn add_double(&mut self, value: f64) {
        let text = double::print(value);
        if self.resp3() {
            let reply = self.reply();
            reply.extend_from_slice(b",");
            reply.extend_from_slice(text.as_bytes());
            reply.extend_from_slice(b"\r\n");
        } else {
            self.add_bulk(text.as_bytes());
        }
    }

    /// A bulk string.
    pub(crate) fn add_bulk(&mut self, text: &[u8]) {
        encode::bulk(self.reply(), text);
    }

    /// Argument `i` as a bulk string.
    pub(crate) fn add_bulk_arg(&mut self, i: usize) {
        let args = self.args;
        self.add_bulk(args.get(i));
    }

    /// The absent value: `$-1`, or `_`.
    pub(crate) fn add_null(&mut self) {
        self.add_constant(if self.resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The absent array: `*-1`, or `_`.
    pub(crate) fn add_null_array(&mut self) {
        self.add_constant(if self.resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// Header of an array.
    pub(crate) fn add_array(&mut self, n: usize) {
        encode::array_header(self.reply(), n);
    }

    /// Header of a map of `n` pairs; a flat array in RESP2.
    pub(crate) fn add_map(&mut self, n: usize) {
        if self.resp3() {
            encode::header(self.reply(), b'%', n);
        } else {
            self.add_array(n * 2);
        }
    }

    /// Header of a set; an array in RESP2.
    pub(crate) fn add_set(&mut self, n: usize) {
        let kind = if self.resp3() { b'~' } else { b'*' };
        encode::header(self.reply(), kind, n);
    }

    /// Header of a push; an array in RESP2.
    pub(crate) fn add_push(&mut self, n: usize) {
        let kind = if self.resp3() { b'>' } else { b'*' };
        encode::header(self.reply(), kind, n);
    }

    /// Text for people (`addReplyVerbatim`); a bulk string in RESP2.
    pub(crate) fn add_verbatim(&mut self, text: &[u8], format: [u8; 3]) {
        if self.resp3() {
            let reply = self.reply();
            encode::header(reply, b'=', text.len() + 4);
            reply.extend_from_slice(&format);
            reply.extend_from_slice(b":");
            reply.extend_from_slice(text);
            reply.extend_from_slice(b"\r\n");
        } else {
            self.add_bulk(text);
        }
    }

    /// A HELP reply: the head line, the lines, HELP itself (`addReplyHelp`).
    pub(crate) fn add_help(&mut self, container: &str, lines: &[&str]) {
        self.add_array(lines.len() + 3);
        let head =
            format!("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container.to_ascii_uppercase());
        for line in std::iter::once(head.as_str()).chain(lines.iter().copied()).chain(["HELP", "    Prints this help."])
        {
            self.add_simple(line.as_bytes());
        }
    }

    /// Argument `i` as an integer, or `ERR value is not an integer or out of range`.
    pub(crate) fn int_arg(&mut self, i: usize) -> Option<i64> {
        self.int_arg_or(i, "ERR value is not an integer or out of range")
    }

    /// Argument `i` as an integer, or the error given.
    pub(crate) fn int_arg_or(&mut self, i: usize, error: &str) -> Option<i64> {
        let number = parse_i64(self.args.get(i));
        if number.is_none() {
            self.add_error(error);
        }
        number
    }

    /// Argument `i` as an integer of a range; outside of it the error given, or one that names the range
    /// (`getRangeLongFromObjectOrReply`).
    pub(crate) fn ranged_arg(&mut self, i: usize, low: i64, high: i64, error: Option<&str>) -> Option<i64> {
        let number = self.int_arg_or(i, error.unwrap_or("ERR value is not an integer or out of range"))?;
        if (low..=high).contains(&number) {
            return Some(number);
        }
        match error {
            Some(error) => self.add_error(error),
            None => self.add_error(&format!("ERR value is out of range, value must between {low} and {high}")),
        }
        None
    }

    /// Argument `i` as an integer that isn't negative (`getPositiveLongFromObjectOrReply`).
    pub(crate) fn positive_arg(&mut self, i: usize) -> Option<i64> {
        self.ranged_arg(i, 0, i64::MAX, Some("ERR value is out of range, must be positive"))
    }

    /// Argument `i` as a number that fits an `int` (`getIntFromObjectOrReply`), or the error given in place of both.
    pub(crate) fn small_int_arg(&mut self, i: usize, error: Option<&str>) -> Option<i64> {
        let number = match error {
            Some(error) => self.int_arg_or(i, error)?,
            None => self.int_arg(i)?,
        };
        if i32::try_from(number).is_err() {
            self.add_error(error.unwrap_or("ERR value is out of range, value must between -2147483648 and 2147483647"));
            return None;
        }
        Some(number)
    }

    /// True when argument `i` is this word, whatever its case.
    #[must_use]
    pub(crate) fn arg_is(&self, i: usize, word: &str) -> bool {
        self.args.get(i).eq_ignore_ascii_case(word.as_bytes())
    }
}

/// A request encoded as an array of bulk strings: what replicas and the append-only file get.
#[must_use]
pub(super) fn encode_command(parts: &[&[u8]]) -> Bytes {
    let mut out = BytesMut::with_capacity(16 + parts.iter().map(|part| part.len() + 16).sum::<usize>());
    encode::command(&mut out, parts);
    out.freeze()
}
