//! The server's side: requests, multibulk or inline, read incrementally (`processMultibulkBuffer`, `processInlineBuffer`).

use std::fmt;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::{parse_i64, split_args};

/// Longest inline request and longest header line (`PROTO_INLINE_MAX_SIZE`).
const INLINE_MAX: usize = 64 * 1024;

/// What a request may look like; unauthenticated clients get less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `proto-max-bulk-len`, in bytes.
    pub bulk_len: i64,
    /// False before AUTH when a password is needed: at most 10 arguments of at most 16,384 bytes.
    pub authenticated: bool,
    /// A replica's link to its master: no limit on the length of a bulk.
    pub master: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bulk_len: 512 * 1024 * 1024, authenticated: true, master: false }
    }
}

/// The request breaks the protocol; Redis answers `-ERR Protocol error: …` and closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(pub String);

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol error: {}", self.0)
    }
}

/// One request: its arguments as slices of the bytes it arrived in.
#[derive(Clone, Debug, Default)]
pub struct Args {
    data: Bytes,
    ranges: SmallVec<[(u32, u32); 8]>,
    inline: bool,
}

impl Args {
    /// Builds a request from its arguments (encoded as multibulk).
    #[must_use]
    pub fn from_parts(parts: &[&[u8]]) -> Args {
        let mut data = BytesMut::new();
        let mut ranges = SmallVec::new();
        super::encode::array_header(&mut data, parts.len());
        for part in parts {
            super::encode::bulk(&mut data, part);
            let end = data.len() - 2;
            ranges.push((offset(end - part.len()), offset(end)));
        }
        Args { data: data.freeze(), ranges, inline: false }
    }

    /// How many arguments, the command's name included. Zero for an empty line.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// True for an empty line or `*0`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Argument `i` as a slice.
    ///
    /// # Panics
    /// When there are not that many: the command table's arity is checked first.
    #[must_use]
    pub fn get(&self, i: usize) -> &[u8] {
        let (from, to) = self.ranges[i];
        &self.data[from as usize..to as usize]
    }

    /// Argument `i` sharing the request's memory.
    ///
    /// # Panics
    /// When there are not that many.
    #[must_use]
    pub fn bytes(&self, i: usize) -> Bytes {
        let (from, to) = self.ranges[i];
        self.data.slice(from as usize..to as usize)
    }

    /// All arguments in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        self.ranges.iter().map(|&(from, to)| &self.data[from as usize..to as usize])
    }

    /// The request as it arrived, if it was multibulk: what can be fed to replicas unchanged. `None` for inline ones.
    #[must_use]
    pub fn raw(&self) -> Option<&Bytes> {
        (!self.inline).then_some(&self.data)
    }
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).expect("a request is shorter than 4 GiB: its bulks are limited")
}

/// A request that isn't complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// Arguments that are.
    pub args: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Bytes that the next argument is to have, with the line's end behind it; 0: not known yet.
    pub announced: usize,
    /// Bytes behind the complete arguments.
    pub rest: usize,
}

/// Reads requests out of a byte stream. What arrives whole is parsed where it lies; only an incomplete rest is copied.
#[derive(Clone, Debug, Default)]
pub struct CommandReader {
    /// The unread rest of the newest chunk, when nothing older is pending.
    chunk: Bytes,
    /// Pending bytes, when a request came in parts.
    pending: BytesMut,
    /// Where parsing stands within the pending request.
    at: usize,
    /// Arguments still to come; -1 before the header is known.
    missing: i64,
    /// Length of the argument being read; -1 before its header is known.
    bulk: i64,
    ranges: SmallVec<[(u32, u32); 8]>,
    started: bool,
    consumed: u64,
}

impl CommandReader {
    /// Adds bytes that arrived.
    pub fn feed(&mut self, data: Bytes) {
        if self.pending.is_empty() && self.chunk.is_empty() {
            self.chunk = data;
        } else {
            if !self.chunk.is_empty() {
                self.pending.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
            }
            self.pending.extend_from_slice(&data);
        }
    }

    /// Bytes that are here and not yet part of a returned request.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.chunk.len() + self.pending.len()
    }

    /// What is known of a request that isn't complete.
    #[must_use]
    pub fn partial(&self) -> Partial {
        if !self.started {
            return Partial { rest: self.unread(), ..Partial::default() };
        }
        Partial {
            args: self.ranges.len(),
            bytes: self.ranges.iter().map(|(from, to)| (to - from) as usize).sum(),
            announced: usize::try_from(self.bulk).map_or(0, |bulk| bulk + 2),
            rest: self.unread().saturating_sub(self.at),
        }
    }

    /// Bytes of all requests returned so far: a replica's applied offset grows by this.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// A request of that length was read without this reader.
    #[inline]
    pub(crate) fn passed(&mut self, len: usize) {
        self.consumed = self.consumed.wrapping_add(len as u64);
    }

    /// Takes everything unread out (an RDB that follows a reply on the same connection, MONITOR's end).
    pub fn take_unread(&mut self) -> Bytes {
        self.at = 0;
        self.started = false;
        self.ranges.clear();
        if self.pending.is_empty() { std::mem::take(&mut self.chunk) } else { self.pending.split().freeze() }
    }

    /// Reads the next request into `args`. `false`: more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are not a request; the connection can't be used any more.
    pub fn read(&mut self, args: &mut Args, limits: Limits) -> Result<bool, ProtocolError> {
        let whole = self.pending.is_empty();
        if whole && self.chunk.is_empty() {
            return Ok(false);
        }
        if whole && let Some(end) = plain(&self.chunk, limits, &mut args.ranges) {
            args.data =
                if end == self.chunk.len() { std::mem::take(&mut self.chunk) } else { self.chunk.split_to(end) };
            args.inline = false;
            self.consumed += end as u64;
            return Ok(true);
        }
        let source = if whole { std::mem::take(&mut self.chunk) } else { Bytes::new() };
        let buffer: &[u8] = if whole { &source } else { &self.pending };
        let mut scan = Scan {
            buffer,
            at: self.at,
            missing: if self.started { self.missing } else { -1 },
            bulk: if self.started { self.bulk } else { -1 },
            ranges: std::mem::take(&mut self.ranges),
        };
        let first = buffer[0];
        let outcome = if first == b'*' { scan.multibulk(limits) } else { scan.inline() };
        let Scan { at, missing, bulk, ranges, .. } = scan;
        let done = match outcome {
            Ok(done) => done,
            Err(error) => {
                if whole {
                    self.chunk = source;
                }
                return Err(error);
            }
        };
        match done {
            Done::Incomplete => {
                (self.at, self.missing, self.bulk, self.ranges, self.started) = (at, missing, bulk, ranges, true);
                if whole {
                    // One growth for an argument of known length, instead of doubling up to it.
                    self.pending.reserve(at + usize::try_from(bulk.max(0)).unwrap_or(0) + 2);
                    self.pending.extend_from_slice(&source);
                }
                Ok(false)
            }
            Done::Multibulk | Done::Inline(_) => {
                (self.at, self.started) = (0, false);
                self.consumed += at as u64;
                let data = if whole {
                    let mut source = source;
                    let data = source.split_to(at);
                    self.chunk = source;
                    data
                } else {
                    self.pending.split_to(at).freeze()
                };
                if let Done::Inline(parts) = done {
                    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                    *args = Args { inline: true, ..Args::from_parts(&parts) };
                } else {
                    *args = Args { data, ranges, inline: false };
                }
                Ok(true)
            }
        }
    }
}

/// The length of the multibulk request at the start of `data`, its arguments put into `ranges`, if it is as clients
/// write them: whole, well-formed, of modest size. `None` says nothing: whoever reads byte by byte will know.
fn plain(data: &[u8], limits: Limits, ranges: &mut SmallVec<[(u32, u32); 8]>) -> Option<usize> {
    ranges.clear();
    let (count, mut at) = plain_header(data, 0, b'*')?;
    if !limits.authenticated || limits.bulk_len < i64::from(PLAIN_MAX) {
        return None;
    }
    for _ in 0..count {
        let (len, from) = plain_header(data, at, b'$')?;
        let to = from + len as usize;
        at = to + 2;
        if data.len() < at {
            return None;
        }
        ranges.push((u32::try_from(from).ok()?, u32::try_from(to).ok()?));
    }
    Some(at)
}

/// The arguments of a request of one to three short ones, if that is exactly what `data` holds, written as clients
/// write it; and how many they are. `None` says nothing.
#[inline]
#[must_use]
pub fn short_request(data: &[u8]) -> Option<([&[u8]; 3], usize)> {
    let [b'*', count @ b'1'..=b'3', b'\r', _, ..] = data else { return None };
    let count = usize::from(count - b'0');
    let (mut args, mut at) = ([&data[..0]; 3], 4);
    for arg in args.iter_mut().take(count) {
        let (len, from) = match data.get(at..)? {
            [b'$', a @ b'0'..=b'9', b'\r', _, ..] => (usize::from(a - b'0'), at + 4),
            [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => {
                (usize::from(a - b'0') * 10 + usize::from(b - b'0'), at + 5)
            }
            [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', _, ..] => {
                (usize::from(a - b'0') * 100 + usize::from(b - b'0') * 10 + usize::from(c - b'0'), at + 6)
            }
            _ => return None,
        };
        *arg = data.get(from..from + len)?;
        at = from + len + 2;
    }
    (at == data.len()).then_some((args, count))
}

/// Where an argument stands in a short request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    at: u8,
    len: u8,
}

impl Part {
    /// The argument, in the request that it was found in.
    ///
    /// # Panics
    /// In another one, if that is too short.
    #[inline(always)]
    #[must_use]
    pub fn of(self, data: &[u8]) -> &[u8] {
        &data[usize::from(self.at)..][..usize::from(self.len)]
    }
}

/// Where key and value of a SET without options stand, if such a one is exactly what `data` holds, written as clients
/// write it and with lengths of one or two digits. `None` says nothing.
#[inline(always)]
#[must_use]
pub fn short_set(data: &[u8]) -> Option<[Part; 2]> {
    const HEADER: &[u8] = b"*3\r\n$3\r\nSET\r\n";
    data.strip_prefix(HEADER)?;
    let (key, at) = short_bulk(data, HEADER.len())?;
    let (value, at) = short_bulk(data, at)?;
    (at == data.len()).then_some([key, value])
}

/// An argument of less than 100 bytes whose header is there, and where the next one would begin.
#[inline(always)]
fn short_bulk(data: &[u8], header: usize) -> Option<(Part, usize)> {
    let (len, at) = match data.get(header..)? {
        [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => ((a - b'0') * 10 + (b - b'0'), header + 5),
        [b'$', a @ b'0'..=b'9', b'\r', _, ..] => (a - b'0', header + 4),
        _ => return None,
    };
    Some((Part { at: u8::try_from(at).ok()?, len }, at + usize::from(len) + 2))
}

/// Numbers below this are read by [`plain`].
const PLAIN_MAX: u32 = 1_000_000;

/// The number on the header line at `at`, without leading zeroes, and where the line after it begins.
#[inline]
fn plain_header(data: &[u8], at: usize, kind: u8) -> Option<(u32, usize)> {
    let [first, digit, rest @ ..] = data.get(at..)? else { return None };
    let mut number = u32::from(digit.wrapping_sub(b'0'));
    if *first != kind || number > 9 {
        return None;
    }
    for (i, &byte) in rest.iter().enumerate() {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return (byte == b'\r' && i + 1 < rest.len()).then_some((number, at + i + 4));
        }
        if number == 0 || number >= PLAIN_MAX / 10 {
            return None;
        }
        number = number * 10 + digit;
    }
    None
}

enum Done {
    Incomplete,
    Multibulk,
    Inline(Vec<Vec<u8>>),
}

struct Scan<'a> {
    buffer: &'a [u8],
    at: usize,
    missing: i64,
    bulk: i64,
    ranges: SmallVec<[(u32, u32); 8]>,
}

impl Scan<'_> {
    /// The number on the header line at `at` (after its type byte), or `None` if the line isn't complete.
    fn header(&mut self, too_big: &str, invalid: &str, range: (i64, i64)) -> Result<Option<i64>, ProtocolError> {
        let rest = &self.buffer[self.at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\r') else {
            return if rest.len() > INLINE_MAX { Err(ProtocolError(too_big.to_owned())) } else { Ok(None) };
        };
        // The line feed is skipped unread, as Redis does; it must have arrived.
        if end + 1 >= rest.len() {
            return Ok(None);
        }
        let number = parse_i64(&rest[1..end])
            .filter(|n| (range.0..=range.1).contains(n))
            .ok_or_else(|| ProtocolError(invalid.to_owned()))?;
        self.at += end + 2;
        Ok(Some(number))
    }

    fn multibulk(&mut self, limits: Limits) -> Result<Done, ProtocolError> {
        if self.missing < 0 {
            let most = i64::from(i32::MAX);
            let Some(count) =
                self.header("too big mbulk count string", "invalid multibulk length", (i64::MIN, most))?
            else {
                return Ok(Done::Incomplete);
            };
            if count > 10 && !limits.authenticated {
                return Err(ProtocolError("unauthenticated multibulk length".to_owned()));
            }
            self.missing = count.max(0);
        }
        while self.missing > 0 {
            if self.bulk < 0 {
                match self.buffer.get(self.at) {
                    None => return Ok(Done::Incomplete),
                    Some(b'$') => {}
                    Some(&other) => {
                        // Redis needs the whole line before it looks at the type.
                        if !self.buffer[self.at..].contains(&b'\r') {
                            if self.buffer.len() - self.at > INLINE_MAX {
                                return Err(ProtocolError("too big bulk count string".to_owned()));
                            }
                            return Ok(Done::Incomplete);
                        }
                        return Err(ProtocolError(format!("expected '$', got '{}'", char::from(other))));
                    }
                }
                let most = if limits.master { i64::MAX } else { limits.bulk_len };
                let Some(length) = self.header("too big bulk count string", "invalid bulk length", (0, most))? else {
                    return Ok(Done::Incomplete);
                };
                if length > 16_384 && !limits.authenticated {
                    return Err(ProtocolError("unauthenticated bulk length".to_owned()));
                }
                self.bulk = length;
            }
            let length = usize::try_from(self.bulk).map_err(|_| ProtocolError("invalid bulk length".to_owned()))?;
            let end = self.at.saturating_add(length);
            if self.buffer.len() < end.saturating_add(2) {
                return Ok(Done::Incomplete);
            }
            let (Ok(from), Ok(to)) = (u32::try_from(self.at), u32::try_from(end)) else {
                return Err(ProtocolError("invalid bulk length".to_owned()));
            };
            self.ranges.push((from, to));
            self.at = end + 2;
            self.bulk = -1;
            self.missing -= 1;
        }
        Ok(Done::Multibulk)
    }

    fn inline(&mut self) -> Result<Done, ProtocolError> {
        let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') else {
            if self.buffer.len() > INLINE_MAX {
                return Err(ProtocolError("too big inline request".to_owned()));
            }
            return Ok(Done::Incomplete);
        };
        let line = self.buffer[..end].strip_suffix(b"\r").unwrap_or(&self.buffer[..end]);
        let parts = split_args(line).ok_or_else(|| ProtocolError("unbalanced quotes in request".to_owned()))?;
        self.at = end + 1;
        Ok(Done::Inline(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(chunks: &[&[u8]]) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
        let (mut reader, mut args, mut all) = (CommandReader::default(), Args::default(), Vec::new());
        for chunk in chunks {
            reader.feed(Bytes::copy_from_slice(chunk));
            while reader.read(&mut args, Limits::default())? {
                all.push(args.iter().map(<[u8]>::to_vec).collect());
            }
        }
        Ok(all)
    }

    #[test]
    fn reads_both_kinds() {
        let all = read_all(&[b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING \"a b\"\r\n\r\n*0\r\n"]).expect("valid");
        assert_eq!(
            all,
            [vec![b"GET".to_vec(), b"a".to_vec()], vec![b"PING".to_vec(), b"a b".to_vec()], vec![], vec![]]
        );
    }

    #[test]
    fn errors_have_redis_words() {
        for (text, message) in [
            (&b"*abc\r\n"[..], "invalid multibulk length"),
            (b"*1\r\n+OK\r\n", "expected '$', got '+'"),
            (b"*1\r\n$-5\r\n", "invalid bulk length"),
            (b"GET \"a\r\n", "unbalanced quotes in request"),
        ] {
            assert_eq!(read_all(&[text]), Err(ProtocolError(message.to_owned())));
        }
    }

    /// The quick reader and the careful one agree on everything that the quick one takes, and it takes the usual.
    #[test]
    fn plain_requests_are_read_alike() {
        let read = |text: &[u8], limits| {
            let mut ranges = SmallVec::new();
            let mut scan = Scan { buffer: text, at: 0, missing: -1, bulk: -1, ranges: SmallVec::new() };
            let quick = plain(text, limits, &mut ranges);
            let careful = matches!(scan.multibulk(limits), Ok(Done::Multibulk));
            if let Some(end) = quick {
                assert!(careful && end == scan.at && ranges == scan.ranges, "{}", String::from_utf8_lossy(text));
            }
            if let Some((args, count)) = short_request(text) {
                let found: Vec<&[u8]> = scan.ranges.iter().map(|&(a, b)| &text[a as usize..b as usize]).collect();
                assert!(careful && scan.at == text.len() && args[..count] == found[..]);
            }
            (quick.is_some(), careful)
        };
        let plain = Limits::default();
        for (text, expected) in [
            (&b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$11\r\nhello world\r\n"[..], (true, true)),
            (b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI", (true, true)),
            (b"*1\r\n$0\r\n\r\n", (true, true)),
            (b"*0\r\n", (true, true)),
            (b"*01\r\n$1\r\na\r\n", (false, false)),
            (b"*1\r\n$01\r\na\r\n", (false, false)),
            (b"*-1\r\n", (false, true)),
            (b"*1\r\n$-1\r\n", (false, false)),
            (b"*\r\n", (false, false)),
            (b"*1\r", (false, false)),
            (b"*1\r\n$4\r\nPING\r", (false, false)),
            (b"*1\r\n$9999999999\r\n", (false, false)),
        ] {
            assert_eq!(read(text, plain), expected, "{}", String::from_utf8_lossy(text));
        }
        let stranger = Limits { authenticated: false, ..plain };
        assert_eq!(read(b"*1\r\n$4\r\nPING\r\n", stranger), (false, true));
    }

    proptest! {
        /// However the bytes are cut, the requests are the same.
        #[test]
        fn cuts_do_not_matter(
            commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5), 1..6),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let mut bytes = BytesMut::new();
            for command in &commands {
                let parts: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
                super::super::encode::command(&mut bytes, &parts);
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).filter(|c| !c.is_empty()).collect();
            prop_assert_eq!(read_all(&chunks), Ok(commands));
        }

        /// Arbitrary bytes never panic.
        #[test]
        fn garbage_is_an_error_at_worst(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_all(&[&bytes]);
        }
    }
}
