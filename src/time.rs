//! Time as plain integers: [`Instant`], [`Span`], [`Unix`] and the pair [`Now`] that every node is given.
//!
//! Nothing here reads a clock. std's `Instant` can't be made from a number, so it is not used.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// Nanoseconds in a millisecond, for the conversions below.
pub const NS_PER_MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

/// A point on a monotonic clock: nanoseconds since the world began (or, inside a node, since its machine's
/// monotonic clock read zero).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(pub u64);

/// A length of time in nanoseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

/// A wall-clock reading: nanoseconds since 1970-01-01 UTC, as the machine's (possibly wrong) clock says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unix(pub u64);

/// What a node knows of time. Redis reads both clocks: the monotonic one for its event loop's timers, the wall
/// clock for expiry and all of Sentinel's failure detection, so both are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// The machine's monotonic clock: drifts with the machine, never jumps.
    pub mono: Instant,
    /// The machine's wall clock: offset, drifting, and able to jump either way.
    pub unix: Unix,
}

impl Instant {
    /// The beginning of the world.
    pub const ZERO: Instant = Instant(0);
    /// Later than anything that happens.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// Time passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Whole milliseconds since zero.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.0 / NS_PER_MS
    }

    /// Seconds since zero, for charts and text only.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        Span(self.0).as_secs_f64()
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// The longest span there is.
    pub const MAX: Span = Span(u64::MAX);

    /// A span of whole nanoseconds.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Span {
        Span(ns)
    }

    /// A span of whole microseconds (saturating).
    #[must_use]
    pub const fn from_us(us: u64) -> Span {
        Span(us.saturating_mul(1_000))
    }

    /// A span of whole milliseconds (saturating).
    #[must_use]
    pub const fn from_ms(ms: u64) -> Span {
        Span(ms.saturating_mul(NS_PER_MS))
    }

    /// A span of whole seconds (saturating).
    #[must_use]
    pub const fn from_secs(s: u64) -> Span {
        Span(s.saturating_mul(NS_PER_S))
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// Whole microseconds, rounded down.
    #[must_use]
    pub const fn us(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0 / NS_PER_MS
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0 / NS_PER_S
    }

    /// Milliseconds with a fraction, for charts and text only.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "display only; no simulated decision uses it")]
    pub fn as_ms_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Seconds with a fraction, for charts and text only.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "display only; no simulated decision uses it")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `self * n`, saturating.
    #[must_use]
    pub const fn times(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }

    /// `self - other`, or zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }

    /// Reads `"250us"`, `"1.5s"`, `"2m"`, `"1h"`, `"3ms"`, `"10ns"`: a decimal number and a unit, exact to the nanosecond.
    ///
    /// # Errors
    /// A sentence that says what was expected, when the number, the unit or the size is wrong.
    pub fn parse(text: &str) -> Result<Span, String> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(format!("\"{text}\" is negative; a time such as \"500ms\" is expected"));
        }
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let scale = match unit.trim() {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => NS_PER_MS,
            "s" => NS_PER_S,
            "m" | "min" => 60 * NS_PER_S,
            "h" => 3_600 * NS_PER_S,
            "d" => 86_400 * NS_PER_S,
            "" => return Err(format!("\"{text}\" has no unit; write a time such as \"500ms\", \"1.5s\" or \"2m\"")),
            other => {
                return Err(format!("unknown unit \"{other}\" in \"{text}\"; expected ns, us, ms, s, m, h or d"));
            }
        };
        let digits: String = number.chars().filter(|c| *c != '_').collect();
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(format!("\"{text}\" is not a time; write something such as \"500ms\", \"1.5s\" or \"2m\""));
        }
        let too_long = || format!("\"{text}\" is longer than a simulation can be (584 years)");
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| too_long())? };
        let mut total = whole.checked_mul(scale).ok_or_else(too_long)?;
        let mut unit_part = scale;
        for digit in fraction.bytes() {
            unit_part /= 10;
            total = total.checked_add(u64::from(digit - b'0') * unit_part).ok_or_else(too_long)?;
        }
        Ok(Span(total))
    }
}

impl Unix {
    /// Whole milliseconds since 1970: Redis's `mstime()`.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0 / NS_PER_MS
    }

    /// Whole microseconds since 1970: Redis's `ustime()`.
    #[must_use]
    pub const fn us(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds since 1970: Redis's `server.unixtime`.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0 / NS_PER_S
    }
}

impl Add<Span> for Instant {
    type Output = Instant;
    fn add(self, span: Span) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Instant {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Instant {
    type Output = Instant;
    fn sub(self, span: Span) -> Instant {
        Instant(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        *self = *self + other;
    }
}

impl SubAssign for Span {
    fn sub_assign(&mut self, other: Span) {
        *self = self.saturating_sub(other);
    }
}

impl Add<Span> for Unix {
    type Output = Unix;
    fn add(self, span: Span) -> Unix {
        Unix(self.0.saturating_add(span.0))
    }
}

/// `1.5s`, `250us`, `60s`: the largest unit up to seconds that prints the value exactly; [`Span::parse`] reads it back.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0 => return f.write_str("0s"),
            n if n >= NS_PER_S => (NS_PER_S, "s"),
            n if n >= NS_PER_MS => (NS_PER_MS, "ms"),
            n if n >= 1_000 => (1_000, "us"),
            _ => (1, "ns"),
        };
        let (whole, rest) = (self.0 / unit, self.0 % unit);
        if rest == 0 {
            return write!(f, "{whole}{name}");
        }
        let width = unit.ilog10() as usize;
        let fraction = format!("{rest:0width$}");
        write!(f, "{whole}.{}{name}", fraction.trim_end_matches('0'))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Seconds with microseconds, as the trace prints it: `12.345678`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / NS_PER_S, self.0 % NS_PER_S / 1_000);
        f.pad(&text)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Unix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_parse_exactly_and_print_back() {
        for (text, ns) in [
            ("1.5s", 1_500_000_000),
            ("250us", 250_000),
            ("0.5ms", 500_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("0s", 0),
            ("1_000ms", 1_000_000_000),
            ("0.000000001s", 1),
        ] {
            let span = Span::parse(text).expect(text);
            assert_eq!(span.ns(), ns, "{text}");
            assert_eq!(Span::parse(&span.to_string()), Ok(span), "{span}");
        }
    }

    #[test]
    fn bad_spans_say_what_was_expected() {
        for text in ["5", "", "s", "1.2.3s", "5 parsecs", "-1s", "99999999999999h"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
