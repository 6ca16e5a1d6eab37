//! `#!lua flags=no-writes`: what a script says of itself in its first line (`evalExtractShebangFlags`).

use super::flag;
use crate::resp::{lossless, split_args};

/// Flags by name.
pub(crate) const FLAGS: [(&str, u8); 5] = [
    ("no-writes", flag::NO_WRITES),
    ("allow-oom", flag::ALLOW_OOM),
    ("allow-stale", flag::ALLOW_STALE),
    ("no-cluster", flag::NO_CLUSTER),
    ("allow-cross-slot-keys", flag::ALLOW_CROSS_SLOT),
];

/// A text to be compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code<'a> {
    /// Without the shebang, but with the line end behind it: lines keep their numbers.
    pub text: &'a [u8],
    /// It may write to tables that stand for others, by a function in C.
    pub leaves_traces: bool,
}

impl<'a> Code<'a> {
    /// A script's or a library's text.
    #[must_use]
    pub(crate) fn new(body: &'a [u8]) -> Code<'a> {
        let text =
            if body.starts_with(b"#!") { memchr::memchr(b'\n', body).map_or(body, |end| &body[end..]) } else { body };
        let mentions = |word: &str| memchr::memmem::find(text, word.as_bytes()).is_some();
        Code { text, leaves_traces: mentions("table") || mentions("_G") }
    }
}

/// A script's flags; the error is its reply.
pub(super) fn eval_flags(body: &[u8]) -> Result<u8, String> {
    if !body.starts_with(b"#!") {
        return Ok(flag::COMPAT);
    }
    let end = memchr::memchr(b'\n', body).ok_or("ERR Invalid script shebang")?;
    let parts = split_args(&body[..end]).filter(|parts| !parts.is_empty());
    let parts = parts.ok_or("ERR Invalid engine in script shebang")?;
    if parts[0] != b"#!lua" {
        return Err(format!("ERR Unexpected engine in script shebang: {}", lossless(&parts[0])));
    }
    let mut flags = 0;
    for part in &parts[1..] {
        let Some(list) = part.strip_prefix(b"flags=") else {
            return Err(format!("ERR Unknown lua shebang option: {}", lossless(part)));
        };
        // An empty list has no flags; sdssplitlen finds none in it.
        for name in list.split(|&byte| byte == b',').filter(|_| !list.is_empty()) {
            let known = FLAGS.iter().find(|(known, _)| known.as_bytes() == name);
            flags |= known.ok_or_else(|| format!("ERR Unexpected flag in script shebang: {}", lossless(name)))?.1;
        }
    }
    Ok(flags)
}
