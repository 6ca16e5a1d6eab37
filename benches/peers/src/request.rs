//! The peers' side of the exchange: building a SET, and the lightest server that can answer it.

use std::fmt::Write as _;

use bytes::Bytes;
use rustc_hash::FxHashMap;

/// Keys a node.
pub const KEYS: u64 = 1_000;

/// A small generator (SplitMix64): the peers need no better one.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * u128::from(bound)) >> 64) as u64
    }
}

/// `SET key:00000123 00000000000000000007xxxxxxxxxxxx`.
pub struct Requests {
    text: String,
    dice: Dice,
    value: u64,
}

impl Requests {
    pub fn new(seed: u64) -> Requests {
        Requests { text: String::new(), dice: Dice(seed), value: 0 }
    }

    pub fn next(&mut self) -> &[u8] {
        let key = self.dice.below(KEYS);
        self.value += 1;
        self.text.clear();
        write!(self.text, "*3\r\n$3\r\nSET\r\n$12\r\nkey:{key:08}\r\n$32\r\n{:020}xxxxxxxxxxxx\r\n", self.value)
            .expect("a string takes everything");
        self.text.as_bytes()
    }
}

/// What a SET is answered with.
pub const OK: &[u8] = b"+OK\r\n";

/// A server that knows nothing but SET.
#[derive(Default)]
pub struct Store(FxHashMap<Vec<u8>, Bytes>);

impl Store {
    pub fn filled() -> Store {
        let mut store = Store::default();
        let mut requests = Requests::new(0);
        while store.0.len() < KEYS as usize {
            let request = requests.next().to_vec();
            store.execute(&request);
        }
        store
    }

    /// Executes one whole request; its reply, or nothing if it isn't one.
    pub fn execute(&mut self, request: &[u8]) -> Option<&'static [u8]> {
        let [name, key, value] = parts(request)?;
        if !name.eq_ignore_ascii_case(b"SET") {
            return None;
        }
        match self.0.get_mut(key) {
            Some(slot) => *slot = Bytes::copy_from_slice(value),
            None => {
                self.0.insert(key.to_vec(), Bytes::copy_from_slice(value));
            }
        }
        Some(OK)
    }
}

/// The words of a whole request; nothing if it isn't one of at most three.
pub fn parts(request: &[u8]) -> Option<[&[u8]; 3]> {
    let mut at = 0;
    let count = header(request, b'*', &mut at)?;
    let mut parts: [&[u8]; 3] = [&[]; 3];
    for part in parts.iter_mut().take(count) {
        let len = header(request, b'$', &mut at)?;
        *part = request.get(at..at + len)?;
        at += len + 2;
    }
    Some(parts)
}

fn header(data: &[u8], kind: u8, at: &mut usize) -> Option<usize> {
    if *data.get(*at)? != kind {
        return None;
    }
    let mut number = 0;
    let mut index = *at + 1;
    loop {
        match *data.get(index)? {
            b'\r' => {
                *at = index + 2;
                return Some(number);
            }
            digit @ b'0'..=b'9' => number = number * 10 + usize::from(digit - b'0'),
            _ => return None,
        }
        index += 1;
    }
}
