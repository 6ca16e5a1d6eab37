//! The options of SET and GETEX (`parseExtendedStringArgumentsOrReply`).

use crate::server::call::Cx;

/// In what an expiry is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "the options are independent words")]
pub(super) struct Options {
    pub(super) nx: bool,
    pub(super) xx: bool,
    pub(super) get: bool,
    pub(super) keep_ttl: bool,
    pub(super) persist: bool,
    /// The argument with the time, its unit, and whether it counts from now.
    pub(super) expire: Option<(usize, Unit, bool)>,
}

/// Reads the options of SET, or of GETEX. `None`: an error was answered.
pub(super) fn parse(cx: &mut Cx<'_>, is_set: bool) -> Option<Options> {
    let mut options = Options::default();
    let mut kind = "";
    let mut i = if is_set { 3 } else { 2 };
    while i < cx.args.len() {
        let word = cx.args.get(i).to_ascii_lowercase();
        let more = i + 1 < cx.args.len();
        let free = !options.keep_ttl && !options.persist;
        match word.as_slice() {
            b"nx" if is_set && !options.xx => options.nx = true,
            b"xx" if is_set && !options.nx => options.xx = true,
            b"get" if is_set => options.get = true,
            b"keepttl" if is_set && options.expire.is_none() && !options.persist => options.keep_ttl = true,
            b"persist" if !is_set && options.expire.is_none() && !options.keep_ttl => options.persist = true,
            b"ex" | b"px" | b"exat" | b"pxat" if more && free => {
                let (name, unit, relative) = match word.as_slice() {
                    b"ex" => ("ex", Unit::Seconds, true),
                    b"px" => ("px", Unit::Milliseconds, true),
                    b"exat" => ("exat", Unit::Seconds, false),
                    _ => ("pxat", Unit::Milliseconds, false),
                };
                // The same option twice is accepted, the last one counts; two different ones are not.
                if !kind.is_empty() && kind != name {
                    cx.add_syntax_error();
                    return None;
                }
                kind = name;
                options.expire = Some((i + 1, unit, relative));
                i += 1;
            }
            _ => {
                cx.add_syntax_error();
                return None;
            }
        }
        i += 1;
    }
    Some(options)
}

/// The expiry as an absolute time in milliseconds. `None`: an error was answered (`getExpireMillisecondsOrReply`).
pub(super) fn expire_ms(cx: &mut Cx<'_>, options: &Options) -> Option<i64> {
    let (arg, unit, relative) = options.expire?;
    let value = cx.int_arg(arg)?;
    let now = if relative { cx.s.ms() } else { 0 };
    let scale = if unit == Unit::Seconds { 1_000 } else { 1 };
    let when = (value > 0).then(|| value.checked_mul(scale)).flatten().and_then(|ms| ms.checked_add(now));
    if when.is_none() {
        cx.add_error_expire_time();
    }
    when
}

impl Cx<'_> {
    /// `ERR invalid expire time in '…' command`
    pub(super) fn add_error_expire_time(&mut self) {
        self.add_error(&format!("ERR invalid expire time in '{}' command", self.command.spec.name));
    }
}
