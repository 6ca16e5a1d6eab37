//! SET and GET on numbered keys: which operations, and their bytes.

use bytes::{Bytes, BytesMut};

use super::keys::Keys;
use crate::client::config::{ClientConfig, WaitAfter, Workload};
use crate::node::Short;
use crate::resp::encode;
use crate::rng::{Ratio, Rng, Seed};
use crate::time::NS_PER_S;
use crate::trace::digest::{hash_operation, hash_pair};
use crate::trace::event::OpKind;
use crate::trace::history::{key_name, value_tag};

/// Bits of an operation's number that go into the values it writes; the client's own number stands above them.
const NUMBER_BITS: u32 = 40;
/// Bits that count operations within one life of the client; the incarnation stands above them.
const COUNT_BITS: u32 = 32;

/// One operation. Small: thousands may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    /// Its number, unique within the client over all its lives.
    pub(crate) number: u64,
    pub(crate) key: u32,
    /// How often it was retried.
    pub(crate) retries: u16,
    pub(crate) f: OpKind,
}

/// Makes the operations of one client.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Kv {
    next: u64,
    /// The client's number, shifted to where values have it.
    client: u64,
    encoder: Encoder,
    keys: Keys,
    write_ratio: Ratio,
    mix: Rng,
}

impl Kv {
    pub(crate) fn new(config: &ClientConfig, seed: Seed, name: &str, incarnation: u32) -> Kv {
        let load = &config.workload;
        assert!(config.number < 1 << (64 - NUMBER_BITS), "client numbers have 24 bits");
        let life = u64::from(incarnation.saturating_sub(1)) & ((1 << (NUMBER_BITS - COUNT_BITS)) - 1);
        Kv {
            keys: Keys::new(load.choice, load.keys, config.number, config.clients, seed.stream(name, "keys")),
            write_ratio: load.write_ratio,
            mix: seed.stream(name, "mix"),
            next: (life << COUNT_BITS) + 1,
            client: u64::from(config.number) << NUMBER_BITS,
            encoder: Encoder::new(load),
        }
    }

    /// The next operation.
    #[inline(always)]
    pub(crate) fn draw(&mut self) -> Op {
        let number = self.next;
        self.next += 1;
        // Pure workloads draw nothing.
        let write = self.write_ratio == Ratio::ONE || self.mix.chance(self.write_ratio);
        Op { number, key: self.keys.draw(), retries: 0, f: if write { OpKind::Write } else { OpKind::Read } }
    }

    /// Whether it makes nothing but writes, all of them as long.
    pub(crate) fn only_writes(&self) -> bool {
        self.write_ratio == Ratio::ONE
    }

    /// The number of the operation that was drawn last.
    pub(crate) fn newest(&self) -> u64 {
        self.next.wrapping_sub(1)
    }

    /// [`Kv::draw`] where it makes nothing but writes.
    #[inline(always)]
    pub(crate) fn draw_write(&mut self) -> Op {
        let number = self.next;
        self.next = number.wrapping_add(1);
        Op { number, key: self.keys.draw(), retries: 0, f: OpKind::Write }
    }

    /// What a write of this number writes.
    #[inline(always)]
    pub(crate) fn value(&self, op: Op) -> u64 {
        match op.f {
            OpKind::Write => self.client | op.number,
            OpKind::Read => 0,
        }
    }

    /// Writes the next operation of those who make nothing but writes into its template, if it is known already: a
    /// processor can't read at once in large pieces what it has just written in small ones. Nothing else changes.
    #[inline(always)]
    pub(crate) fn prepare_write(&mut self) {
        if let Some(key) = self.keys.drawn() {
            self.encoder.fill_set(key, self.client | self.next);
        }
    }

    /// Whether every request fits a [`Short`].
    #[inline]
    pub(crate) fn all_short(&self) -> bool {
        self.encoder.short
    }

    /// The operation's request.
    #[inline(always)]
    pub(crate) fn request(&mut self, op: Op) -> Request<'_> {
        match op.f {
            OpKind::Write => {
                self.encoder.fill_set(op.key, self.client | op.number);
                Request::Set(&self.encoder)
            }
            OpKind::Read => {
                self.encoder.fill_get(op.key);
                Request::Get(&self.encoder)
            }
        }
    }
}

/// A request that has just been written into its template.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request<'a> {
    Set(&'a Encoder),
    Get(&'a Encoder),
}

impl<'a> Request<'a> {
    /// What goes over the wire.
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Request::Set(encoder) => &encoder.set[Short::TEXT..][..encoder.set_len as usize],
            Request::Get(encoder) => &encoder.get.text[Short::TEXT..][..encoder.get.len],
        }
    }

    /// The same as a short message; how long it is.
    #[inline(always)]
    pub(crate) fn put_into(self, message: &mut Short) -> usize {
        let (padded, len) = match self {
            Request::Set(encoder) => (&encoder.set, encoder.set_len as usize),
            Request::Get(encoder) => (&encoder.get.text, encoder.get.len),
        };
        message.fill(padded.first_chunk().expect("templates are padded"));
        len
    }

    /// The hash of a write's arguments as the server computes it; 0 for a read.
    #[inline(always)]
    pub(crate) fn hash(self) -> u64 {
        match self {
            Request::Set(encoder) => encoder.hash_set(),
            Request::Get(_) => 0,
        }
    }
}

/// `WAIT numreplicas timeout`, encoded.
pub(crate) fn wait_request(wait: WaitAfter) -> Bytes {
    let mut out = BytesMut::new();
    let (replicas, timeout) = (wait.replicas.to_string(), wait.timeout.ms().to_string());
    encode::command(&mut out, &[b"WAIT", replicas.as_bytes(), timeout.as_bytes()]);
    out.freeze()
}

/// The two requests as templates, into which key and value are written in place. Before them stands their length, if it is
/// that of a [`Short`], and behind them are zeroes up to the size of one: they are copied without looking at their lengths.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Encoder {
    set: Vec<u8>,
    /// The value and the key that `set` holds now.
    value: u64,
    key: u32,
    set_len: u32,
    key_len: u32,
    set_key: u32,
    value_at: u32,
    value_len: u32,
    /// Every key's number has at most four digits.
    few_keys: bool,
    /// Both fit a [`Short`].
    short: bool,
    /// Where the arguments after the value stand in `set`: PX and its number, or nothing.
    rest: Option<Box<[(usize, usize); 2]>>,
    get: Box<Get>,
}

/// The template of a GET.
#[derive(Clone, Debug)]
struct Get {
    text: Vec<u8>,
    len: usize,
    /// Where the key stands.
    key: usize,
}

/// Digits of a value's number.
const TAG_DIGITS: usize = 20;
/// The digits at the end of a key that differ where there are few keys.
const FEW_DIGITS: usize = 4;

impl Encoder {
    fn new(load: &Workload) -> Encoder {
        let key = key_name(0, load.key_size);
        let mut value = value_tag(0).to_vec();
        let size = usize::try_from(load.value_size).expect("32 bits fit an address");
        value.resize(size.max(TAG_DIGITS), b'x');

        let expiry = load.ttl.map(|ttl| {
            let (option, number) =
                if ttl.ns().is_multiple_of(NS_PER_S) { ("EX", ttl.secs()) } else { ("PX", ttl.ms()) };
            (option, number.max(1).to_string())
        });
        let mut parts: Vec<&[u8]> = vec![b"SET", key.as_bytes(), &value];
        if let Some((option, number)) = &expiry {
            parts.extend([option.as_bytes(), number.as_bytes()]);
        }
        let mut set = BytesMut::new();
        let mut ends = Vec::new();
        encode::array_header(&mut set, parts.len());
        for part in &parts {
            encode::bulk(&mut set, part);
            let end = set.len() - 2;
            ends.push((Short::TEXT + end - part.len(), Short::TEXT + end));
        }
        let mut get = BytesMut::new();
        encode::command(&mut get, &[b"GET", key.as_bytes()]);
        let padded = |request: &[u8]| {
            let len = u8::try_from(request.len()).unwrap_or(u8::MAX);
            let mut request = [&[len; Short::TEXT], request].concat();
            request.resize(request.len().max(Short::SIZE), 0);
            request
        };
        let short = |length: usize| u32::try_from(length).expect("a request has less than 4 GB");
        Encoder {
            get: Box::new(Get { text: padded(&get), len: get.len(), key: Short::TEXT + get.len() - 2 - key.len() }),
            set_len: short(set.len()),
            key_len: short(key.len()),
            set_key: short(ends[1].0),
            value_at: short(ends[2].0),
            value_len: short(value.len()),
            rest: ends.get(3..5).and_then(|rest| rest.try_into().ok()).map(Box::new),
            short: set.len().max(get.len()) <= Short::MAX,
            set: padded(&set),
            value: 0,
            key: 0,
            few_keys: load.keys <= 10_000 && key.len() >= KEY_PREFIX + FEW_DIGITS,
        }
    }

    fn fill_get(&mut self, key: u32) {
        let text = &mut self.get.text[self.get.key..][..self.key_len as usize];
        if self.few_keys { few_digits(text, key) } else { key_digits(&mut text[KEY_PREFIX..], key) }
    }

    #[inline(always)]
    fn fill_set(&mut self, key: u32, value: u64) {
        if key != self.key {
            let text = &mut self.set[self.set_key as usize..][..self.key_len as usize];
            if self.few_keys {
                few_digits(text, key)
            } else {
                key_digits(&mut text[KEY_PREFIX..], key)
            }
            self.key = key;
        }
        let tag = &mut self.set[self.value_at as usize..][..TAG_DIGITS];
        // Values of one client count up, so the decimal text does too: most steps touch one digit.
        match value.checked_sub(self.value) {
            Some(0) => {}
            Some(1) => increment(tag),
            Some(step @ 2..=4) => (0..step).for_each(|_| increment(tag)),
            Some(_) | None => tag.copy_from_slice(&value_tag(value)),
        }
        self.value = value;
    }

    /// The hash of what `set` holds: its arguments without the command's name.
    #[inline(always)]
    fn hash_set(&self) -> u64 {
        let key = &self.set[self.set_key as usize..][..self.key_len as usize];
        let value = &self.set[self.value_at as usize..][..self.value_len as usize];
        match self.rest.as_deref() {
            Some([option, number]) => {
                hash_operation([key, value, &self.set[option.0..option.1], &self.set[number.0..number.1]])
            }
            None => hash_pair(key, value),
        }
    }
}

/// What a key begins with, before its number.
const KEY_PREFIX: usize = 4;

/// Two decimal digits for each number below 100.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0u8;
    while n < 100 {
        pairs[n as usize] = [b'0' + n / 10, b'0' + n % 10];
        n += 1;
    }
    pairs
};

/// Writes a number below 10,000 at the end of a key in which no other digits are ever but zeroes.
#[inline(always)]
fn few_digits(key_text: &mut [u8], key: u32) {
    let end = key_text.last_chunk_mut::<FEW_DIGITS>().expect("keys have that many digits");
    let (high, low) = (PAIRS[(key / 100) as usize], PAIRS[(key % 100) as usize]);
    *end = [high[0], high[1], low[0], low[1]];
}

/// Writes a key's number in decimal, right-aligned, in place of another one.
fn key_digits(out: &mut [u8], key: u32) {
    let mut rest = key;
    for digit in out.iter_mut().rev() {
        *digit = PAIRS[(rest % 10) as usize][1];
        rest /= 10;
    }
    assert!(rest == 0, "a key has room for its number");
}

/// Adds one to a decimal number.
#[inline(always)]
fn increment(digits: &mut [u8]) {
    match digits.last_mut() {
        Some(last) if *last != b'9' => *last += 1,
        _ => carry(digits),
    }
}

#[inline(never)]
fn carry(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit != b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::config::{KeyChoice, Pace};
    use crate::resp::{Args, CommandReader, Limits};
    use crate::time::Span;

    fn parse(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut reader, mut args) = (CommandReader::default(), Args::default());
        reader.feed(Bytes::copy_from_slice(bytes));
        assert_eq!(reader.read(&mut args, Limits::default()), Ok(true));
        assert_eq!(reader.unread(), 0);
        args.iter().map(<[u8]>::to_vec).collect()
    }

    /// Whatever was in the templates before, a request is what a plain encoder would write, and its hash what a
    /// server computes from the arguments.
    #[test]
    fn templates_equal_plain_encoding() {
        for (value_size, ttl, tail, keys, key_size) in [
            (32, None, &[][..], 1_000, 12),
            (32, None, &[][..], 10_000, 8),
            (20, Some(Span::from_ms(1_500)), &["PX", "1500"], 10_000, 16),
            (5, Some(Span::from_secs(9)), &["EX", "9"], u32::MAX, 16),
            (3_000, Some(Span::from_us(10)), &["PX", "1"], 10, 5),
        ] {
            let load = Workload {
                pace: Pace::Closed { think: Span::ZERO },
                keys,
                key_size,
                choice: KeyChoice::Uniform,
                write_ratio: Ratio::ONE,
                value_size,
                pipeline: 1,
                ttl,
                wait: None,
                start: Span::ZERO,
                stop: None,
            };
            let mut encoder = Encoder::new(&load);
            let values = [1u64, 2, 3, 9, 10, 99, 100, (1 << 40) | 999, (1 << 40) | 1000, 7, u64::MAX, 0, u64::MAX - 1];
            for (i, value) in values.into_iter().enumerate() {
                let key = [7, keys - 1, 0, 999 % keys][i % 4];
                encoder.fill_set(key, value);
                let mut text = value_tag(value).to_vec();
                text.resize((value_size as usize).max(20), b'x');
                let mut expected = vec![b"SET".to_vec(), key_name(key, key_size).into_bytes(), text];
                expected.extend(tail.iter().map(|part| part.as_bytes().to_vec()));
                let parsed = parse(Request::Set(&encoder).bytes());
                assert_eq!(parsed, expected);
                let parts: Vec<&[u8]> = parsed[1..].iter().map(Vec::as_slice).collect();
                assert_eq!(encoder.hash_set(), hash_operation(parts));

                encoder.fill_get(key);
                let get = [b"GET".to_vec(), key_name(key, key_size).into_bytes()];
                assert_eq!(parse(Request::Get(&encoder).bytes()), get);
            }
        }
    }

    #[test]
    fn wait_is_in_milliseconds() {
        let wait = wait_request(WaitAfter { replicas: 2, timeout: Span::from_secs(1) });
        assert_eq!(parse(&wait), [b"WAIT".to_vec(), b"2".to_vec(), b"1000".to_vec()]);
    }
}
