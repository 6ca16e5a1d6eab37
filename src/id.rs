//! Small copyable identities: nodes, machines, connections, addresses, Redis's 40-digit ids, trace events.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A node of the world: an index into the scenario's node list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u16);

/// A machine of the world: an index into the scenario's machine list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(pub u16);

/// A connection as its own process names it: a file descriptor, the smallest that was free. Numbers are reused
/// after a close, as a kernel does; no input for the old connection arrives after that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fd(pub u32);

/// The number of a trace event, counted from 1. Zero stands for "no event".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub u64);

/// An IPv4 address and port of the simulated network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Addr {
    /// The four bytes, most significant first.
    pub ip: Ip,
    /// The TCP port.
    pub port: u16,
}

/// An IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ip(pub u32);

/// Twenty bytes that print as 40 hexadecimal digits: a run id, a replication id, a sentinel's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HexId(pub [u8; 20]);

impl NodeId {
    /// As an index into per-node tables.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl MachineId {
    /// As an index into per-machine tables.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Fd {
    /// As an index into a process's descriptor table.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl EventId {
    /// No event.
    pub const NONE: EventId = EventId(0);

    /// `None` for [`EventId::NONE`].
    #[must_use]
    pub fn some(self) -> Option<EventId> {
        (self != EventId::NONE).then_some(self)
    }
}

impl Ip {
    /// `127.0.0.1`, which reaches the own machine only.
    pub const LOOPBACK: Ip = Ip(0x7f00_0001);

    /// From the four numbers.
    #[must_use]
    pub const fn new(a: u8, b: u8, c: u8, d: u8) -> Ip {
        Ip(u32::from_be_bytes([a, b, c, d]))
    }

    /// Reads dotted-quad text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Ip> {
        text.parse::<std::net::Ipv4Addr>().ok().map(|ip| Ip(u32::from(ip)))
    }
}

/// As one word.
impl Hash for Addr {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.word());
    }
}

impl Addr {
    /// As one word.
    #[inline]
    #[must_use]
    pub fn word(self) -> u64 {
        u64::from(self.ip.0) << 16 | u64::from(self.port)
    }

    /// What [`Addr::word`] has made a word of.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "48 bits are in use: 32 and 16")]
    pub fn from_word(word: u64) -> Addr {
        Addr { ip: Ip((word >> 16) as u32), port: word as u16 }
    }

    /// From an address and a port.
    #[must_use]
    pub const fn new(ip: Ip, port: u16) -> Addr {
        Addr { ip, port }
    }

    /// Reads `a.b.c.d:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Addr> {
        let (ip, port) = text.rsplit_once(':')?;
        Some(Addr { ip: Ip::parse(ip)?, port: port.parse().ok()? })
    }
}

impl HexId {
    /// All zeroes: what Redis prints where there is no id (`master_replid2` of a fresh server).
    pub const ZERO: HexId = HexId([0; 20]);

    /// A random one, as `getRandomHexChars` makes it.
    pub fn random(rng: &mut crate::rng::Rng) -> HexId {
        let mut bytes = [0u8; 20];
        for chunk in bytes.chunks_mut(8) {
            let word = rng.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        HexId(bytes)
    }

    /// Reads exactly 40 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<HexId> {
        let mut bytes = [0u8; 20];
        if text.len() != 40 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        Some(HexId(bytes))
    }

    /// The 40 digits as ASCII.
    #[must_use]
    pub fn hex(&self) -> [u8; 40] {
        let mut out = [0u8; 40];
        for (pair, byte) in out.chunks_exact_mut(2).zip(self.0) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        out
    }
}

impl fmt::Display for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.hex()).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0.to_be_bytes();
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

impl fmt::Debug for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ip, self.port)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node#{}", self.0)
    }
}

impl fmt::Debug for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "machine#{}", self.0)
    }
}

impl fmt::Debug for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fd{}", self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Ids and addresses are text in JSON, so that a trace reads like Redis's own output.
macro_rules! text_serde {
    ($type:ty, $parse:expr, $what:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let parse: fn(&str) -> Option<$type> = $parse;
                parse(&text).ok_or_else(|| serde::de::Error::custom(concat!("expected ", $what)))
            }
        }
    };
}

text_serde!(HexId, |text| HexId::parse(text.as_bytes()), "40 hexadecimal digits");
text_serde!(Addr, Addr::parse, "an address such as 10.0.0.1:6379");
text_serde!(Ip, Ip::parse, "an IPv4 address");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_read_back() {
        let id = HexId::random(&mut crate::rng::Seed(7).stream("t", "id"));
        assert_eq!(HexId::parse(id.to_string().as_bytes()), Some(id));
        assert_eq!(HexId::parse(b"xyz"), None);
        let addr = Addr::new(Ip::new(10, 0, 1, 2), 6379);
        assert_eq!(addr.to_string(), "10.0.1.2:6379");
        assert_eq!(Addr::parse("10.0.1.2:6379"), Some(addr));
        assert_eq!(Addr::parse("10.0.1:6379"), None);
    }
}
