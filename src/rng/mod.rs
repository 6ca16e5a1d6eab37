//! Seeds, named random streams, and distributions that give the same numbers on every platform.
//!
//! A stream belongs to a (seed, entity, purpose): a new consumer gets a stream of its own and shifts no other.
//! The generator is ChaCha8, pinned here; ranges and chances are our own integer arithmetic, so that an upgrade
//! of a crate can't change what an old seed means.

mod seeds;

pub use seeds::{Seeds, SeedsError};

use std::fmt;

use rand_chacha::ChaCha8Core;
use rand_core::SeedableRng;
use rand_core::block::Generator;
use serde::{Deserialize, Serialize};

use crate::time::{NS_PER_S, Span};

/// The seed of a run. Every random draw of a world descends from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

/// Words that the generator makes at a time.
const WORDS: usize = 64;

/// One named random stream. Cloning it clones its position.
#[derive(Clone)]
#[repr(C)]
pub struct Rng {
    /// The word to be drawn next; [`WORDS`]: none is left.
    at: usize,
    words: [u32; WORDS],
    /// How often `words` was filled.
    fills: u64,
    core: ChaCha8Core,
}

impl Seed {
    /// The stream of `purpose` for `entity`, for example `("s1", "election desync")`.
    #[must_use]
    pub fn stream(self, entity: &str, purpose: &str) -> Rng {
        let core = ChaCha8Core::from_seed(self.key(entity, purpose));
        Rng { core, at: WORDS, words: [0; WORDS], fills: 0 }
    }

    fn key(self, entity: &str, purpose: &str) -> [u8; 32] {
        let mut key = [0u8; 32];
        let mut state = mix(self.0 ^ 0x7370_6c69_7462_7261);
        for chunk in [entity.as_bytes(), &[0xff], purpose.as_bytes()] {
            for &byte in chunk {
                state = mix(state ^ u64::from(byte));
            }
            state = mix(state ^ 0x100 ^ (chunk.len() as u64) << 16);
        }
        for word in key.chunks_exact_mut(8) {
            state = mix(state);
            word.copy_from_slice(&state.to_le_bytes());
        }
        key
    }

    /// A seed for a part of the run that makes its own streams (a node, an incarnation).
    #[must_use]
    pub fn derive(self, entity: &str, incarnation: u64) -> Seed {
        let mut state = mix(self.0 ^ 0x6465_7269_7665_2121);
        for byte in entity.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Seed(mix(state ^ mix(incarnation)))
    }
}

/// SplitMix64's finaliser: a bijection of 64-bit words that spreads every bit.
fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What [`Rng::below`] makes of a word that was drawn.
#[inline(always)]
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the high half of a 128-bit product fits 64 bits")]
pub fn scaled(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

impl Rng {
    /// 64 uniform bits: two words of the generator, the lower first, as `rand_chacha` pairs them.
    #[inline(always)]
    pub fn next_u64(&mut self) -> u64 {
        match self.words.get(self.at..) {
            Some(&[low, high, ..]) => {
                self.at += 2;
                u64::from(high) << 32 | u64::from(low)
            }
            Some(_) | None => self.next_u64_anew(),
        }
    }

    #[cold]
    #[inline(never)]
    fn next_u64_anew(&mut self) -> u64 {
        let low = self.next_u32();
        u64::from(self.next_u32()) << 32 | u64::from(low)
    }

    /// 32 uniform bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.at == WORDS {
            self.fill();
        }
        let word = self.words[self.at];
        self.at += 1;
        word
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self) {
        self.core.generate(&mut self.words);
        (self.at, self.fills) = (0, self.fills + 1);
    }

    /// Uniform in `0..bound` by multiply-high (bias below 2⁻³² for bounds below 2³²); 0 when `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        scaled(self.next_u64(), bound)
    }

    /// Uniform in `low..=high`.
    ///
    /// # Panics
    /// When `low > high`.
    #[inline]
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "empty range {low}..={high}");
        match (high - low).checked_add(1) {
            Some(width) => low + self.below(width),
            None => self.next_u64(),
        }
    }

    /// True with the given probability.
    pub fn chance(&mut self, ratio: Ratio) -> bool {
        ratio.0 != 0 && (self.next_u64() >> 1) < ratio.0
    }

    /// A uniform float in (0, 1], exact on every platform (53 bits, one division by a power of two).
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 / 9_007_199_254_740_992.0
    }

    /// A standard normal draw (Box–Muller on libm, the same bits everywhere).
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Fills `out` with lower-case hexadecimal digits, as Redis's `getRandomHexChars`.
    pub fn fill_hex(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(16) {
            let mut word = self.next_u64();
            for digit in chunk {
                *digit = b"0123456789abcdef"[(word & 15) as usize];
                word >>= 4;
            }
        }
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rng(at word {})", self.fills * WORDS as u64 + self.at as u64 - WORDS as u64)
    }
}

/// A probability between 0 and 1, held as an integer so that comparing it never rounds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ratio(u64);

impl Ratio {
    /// Never.
    pub const ZERO: Ratio = Ratio(0);
    /// Always.
    pub const ONE: Ratio = Ratio(1 << 63);

    /// From a float in 0..=1; `None` outside of it.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "range is checked first")]
    pub fn from_f64(p: f64) -> Option<Ratio> {
        (0.0..=1.0).contains(&p).then_some(Ratio((p * 9_223_372_036_854_775_808.0) as u64))
    }

    /// As a float, for text.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "display only")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 9_223_372_036_854_775_808.0
    }

    /// True when it never happens.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

/// A distribution of a length of time, as scenario files write it:
/// `"0.5ms"`, `"uniform(0.2ms, 1ms)"`, `"normal(1ms, 0.2ms)"`, `"lognormal(0.5ms, 0.4)"`, `"exponential(2ms)"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dist {
    /// Always the same.
    Constant(Span),
    /// Evenly between the two, both included.
    Uniform(Span, Span),
    /// Mean and standard deviation; draws below zero are zero.
    Normal(Span, Span),
    /// Median, and the standard deviation of the logarithm.
    LogNormal(Span, f64),
    /// Mean.
    Exponential(Span),
}

impl Dist {
    /// One draw. A constant draws nothing from the stream.
    #[inline]
    pub fn draw(&self, rng: &mut Rng) -> Span {
        match *self {
            Dist::Constant(span) => span,
            Dist::Uniform(low, high) => Span(rng.range(low.0, high.0)),
            Dist::Normal(..) | Dist::LogNormal(..) | Dist::Exponential(_) => self.draw_curved(rng),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "float to int saturates, negatives become zero: both are meant"
    )]
    fn draw_curved(&self, rng: &mut Rng) -> Span {
        match *self {
            Dist::Constant(_) | Dist::Uniform(..) => unreachable!("these are straight"),
            Dist::Normal(mean, deviation) => Span((mean.0 as f64 + deviation.0 as f64 * rng.normal()) as u64),
            Dist::LogNormal(median, sigma) => Span((median.0 as f64 * libm::exp(sigma * rng.normal())) as u64),
            Dist::Exponential(mean) => Span((mean.0 as f64 * -libm::log(rng.unit())) as u64),
        }
    }

    /// The median, where a single figure is wanted (an initial round-trip estimate, a label).
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a positive float below 2^64"
    )]
    pub fn median(&self) -> Span {
        match *self {
            Dist::Constant(span) | Dist::Normal(span, _) | Dist::LogNormal(span, _) => span,
            Dist::Uniform(low, high) => Span(low.0 + (high.0 - low.0) / 2),
            Dist::Exponential(mean) => Span((mean.0 as f64 * std::f64::consts::LN_2) as u64),
        }
    }

    /// The least and the greatest value it can draw; the greatest of an unbounded one is [`Span::MAX`].
    #[must_use]
    pub fn bounds(&self) -> (Span, Span) {
        match *self {
            Dist::Constant(span) => (span, span),
            Dist::Uniform(low, high) => (low, high),
            Dist::Normal(..) | Dist::LogNormal(..) | Dist::Exponential(_) => (Span::ZERO, Span::MAX),
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// A sentence naming what was expected.
    pub fn parse(text: &str) -> Result<Dist, String> {
        let text = text.trim();
        let Some((name, rest)) = text.split_once('(') else {
            return Span::parse(text).map(Dist::Constant);
        };
        let inner = rest.strip_suffix(')').ok_or_else(|| format!("\"{text}\" lacks its closing parenthesis"))?;
        let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
        let two = |what: &str| format!("{name} takes {what}, as in \"{name}(0.5ms, 0.2ms)\"");
        match (name.trim(), parts.as_slice()) {
            ("uniform", [low, high]) => {
                let (low, high) = (Span::parse(low)?, Span::parse(high)?);
                if low > high {
                    return Err(format!("\"{text}\": the lower bound {low} is above the upper bound {high}"));
                }
                Ok(Dist::Uniform(low, high))
            }
            ("normal", [mean, deviation]) => Ok(Dist::Normal(Span::parse(mean)?, Span::parse(deviation)?)),
            ("lognormal", [median, sigma]) => match sigma.parse::<f64>() {
                Ok(sigma) if (0.0..=10.0).contains(&sigma) => Ok(Dist::LogNormal(Span::parse(median)?, sigma)),
                _ => Err(format!("\"{text}\": lognormal's second value is a number between 0 and 10, not \"{sigma}\"")),
            },
            ("exponential", [mean]) => Ok(Dist::Exponential(Span::parse(mean)?)),
            ("uniform" | "normal" | "lognormal", _) => Err(two("two values")),
            ("exponential", _) => Err("exponential takes one value, its mean, as in \"exponential(2ms)\"".to_owned()),
            (other, _) => Err(format!(
                "unknown distribution \"{other}\"; expected a time, uniform(low, high), normal(mean, deviation), lognormal(median, sigma) or exponential(mean)"
            )),
        }
    }
}

/// The text form that [`Dist::parse`] reads back.
impl fmt::Display for Dist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dist::Constant(span) => write!(f, "{span}"),
            Dist::Uniform(low, high) => write!(f, "uniform({low}, {high})"),
            Dist::Normal(mean, deviation) => write!(f, "normal({mean}, {deviation})"),
            Dist::LogNormal(median, sigma) => write!(f, "lognormal({median}, {sigma})"),
            Dist::Exponential(mean) => write!(f, "exponential({mean})"),
        }
    }
}

/// The period of a rate such as `"50/s"`: nanoseconds between two of them.
///
/// # Errors
/// A sentence naming what was expected.
pub fn parse_rate(text: &str) -> Result<Span, String> {
    let expected = || format!("\"{text}\" is not a rate; write something such as \"50/s\", \"10/ms\" or \"30/m\"");
    let (number, unit) = text.trim().split_once('/').ok_or_else(expected)?;
    let number: f64 = number.trim().parse().map_err(|_| expected())?;
    let unit = match unit.trim() {
        "ms" => NS_PER_S / 1_000,
        "s" => NS_PER_S,
        "m" | "min" => 60 * NS_PER_S,
        "h" => 3_600 * NS_PER_S,
        _ => return Err(expected()),
    };
    #[allow(clippy::cast_precision_loss, reason = "an hour in nanoseconds is far below 2^53")]
    let period = unit as f64 / number;
    if !(number > 0.0 && (1.0..1e18).contains(&period)) {
        return Err(format!("\"{text}\" is out of range: a rate lies between one in a century and 10^9/s"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(Span(period as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_independent_and_pinned() {
        let seed = Seed(42);
        assert_eq!(seed.stream("s1", "hz").next_u64(), seed.stream("s1", "hz").next_u64());
        assert_ne!(seed.stream("s1", "hz").next_u64(), seed.stream("s1", "desync").next_u64());
        assert_ne!(seed.stream("s1", "hz").next_u64(), seed.stream("s2", "hz").next_u64());
        // Pinned: an upgrade that changes these numbers changes what every published seed means.
        assert_eq!(seed.stream("pin", "pin").next_u64(), PIN);
    }

    const PIN: u64 = 9_170_881_519_708_856_029;

    /// Whole and half draws come as from `rand_chacha`'s own generator, also where a block ends.
    #[test]
    fn draws_are_those_of_the_crate() {
        use rand_core::Rng as _;
        let mut ours = Seed(7).stream("a", "b");
        let mut theirs = rand_chacha::ChaCha8Rng::from_seed(Seed(7).key("a", "b"));
        for round in 0..1_000u32 {
            if round % 7 == 3 {
                assert_eq!(ours.next_u32(), theirs.next_u32());
            } else {
                assert_eq!(ours.next_u64(), theirs.next_u64());
            }
            assert_eq!(format!("{ours:?}"), format!("Rng(at word {})", theirs.get_word_pos()));
        }
    }

    #[test]
    fn distributions_print_back() {
        for text in ["0.5ms", "uniform(200us, 1ms)", "normal(1ms, 200us)", "lognormal(500us, 0.4)", "exponential(2ms)"]
        {
            let dist = Dist::parse(text).expect(text);
            assert_eq!(Dist::parse(&dist.to_string()), Ok(dist));
            let mut rng = Seed(1).stream("d", text);
            let mean = (0..2000).map(|_| dist.draw(&mut rng).0).sum::<u64>() / 2000;
            assert!((200_000..2_400_000).contains(&mean), "{text}: mean {mean} ns");
        }
        for text in ["uniform(2ms, 1ms)", "normal(1ms)", "zipf(1ms)", "uniform(1ms, 2ms", "5"] {
            assert!(Dist::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_periods() {
        assert_eq!(parse_rate("50/s"), Ok(Span::from_ms(20)));
        assert_eq!(parse_rate("10/ms"), Ok(Span::from_us(100)));
        assert!(parse_rate("0/s").is_err());
        assert!(parse_rate("fast").is_err());
    }
}
