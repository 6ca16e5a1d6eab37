//! A reply being written, in the client's protocol.

use bytes::BytesMut;

use crate::resp::encode;

/// Bytes of a reply and the protocol that they are in.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) buf: BytesMut,
    pub(super) resp3: bool,
}

impl Reply {
    pub(super) fn ok(&mut self) {
        self.buf.extend_from_slice(b"+OK\r\n");
    }

    pub(super) fn simple(&mut self, text: &str) {
        encode::simple(&mut self.buf, text.as_bytes());
    }

    /// An error; one that begins with a dash brings its own code (`addReplyErrorLength`).
    pub(super) fn error(&mut self, text: &str) {
        match text.strip_prefix('-') {
            Some(coded) => encode::error(&mut self.buf, coded),
            None => encode::error(&mut self.buf, &format!("ERR {text}")),
        }
    }

    pub(super) fn bulk(&mut self, text: impl AsRef<[u8]>) {
        encode::bulk(&mut self.buf, text.as_ref());
    }

    /// A number as a bulk string.
    pub(super) fn bulk_number(&mut self, number: impl ToString) {
        self.bulk(number.to_string());
    }

    pub(super) fn integer(&mut self, number: i64) {
        encode::integer(&mut self.buf, number);
    }

    pub(super) fn array(&mut self, len: usize) {
        encode::array_header(&mut self.buf, len);
    }

    /// A map's header, which is a flat array in RESP2.
    pub(super) fn map(&mut self, pairs: usize) {
        if self.resp3 {
            encode::header(&mut self.buf, b'%', pairs);
        } else {
            encode::array_header(&mut self.buf, pairs * 2);
        }
    }

    /// A push's header, which is an array in RESP2.
    pub(super) fn push(&mut self, len: usize) {
        encode::header(&mut self.buf, if self.resp3 { b'>' } else { b'*' }, len);
    }

    pub(super) fn null(&mut self) {
        self.buf.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    pub(super) fn null_array(&mut self) {
        self.buf.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// Lines of help (`addReplyHelp`).
    pub(super) fn help(&mut self, command: &str, lines: &[&str]) {
        self.array(lines.len() + 3);
        self.simple(&format!("{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
        for line in lines {
            self.simple(line);
        }
        self.simple("HELP");
        self.simple("    Prints this help.");
    }
}

/// The pairs of a map whose number is known only in the end (`addReplyDeferredLen`).
#[derive(Debug)]
pub(super) struct Fields {
    reply: Reply,
    pairs: usize,
}

impl Fields {
    pub(super) fn new(resp3: bool) -> Fields {
        Fields { reply: Reply { buf: BytesMut::new(), resp3 }, pairs: 0 }
    }

    pub(super) fn text(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.reply.bulk(name);
        self.reply.bulk(value);
        self.pairs += 1;
    }

    pub(super) fn number(&mut self, name: &str, value: impl ToString) {
        self.text(name, value.to_string());
    }

    /// Puts header and pairs into a reply.
    pub(super) fn finish(self, reply: &mut Reply) {
        reply.map(self.pairs);
        reply.buf.extend_from_slice(&self.reply.buf);
    }
}
