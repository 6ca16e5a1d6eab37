//! From time and values to pixels, and where ticks stand. Times may leave out stretches in which nothing happened.

use crate::time::{Instant, NS_PER_MS, NS_PER_S};

/// A shown stretch of time and its place.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: Instant,
    to: Instant,
    left: f64,
    right: f64,
}

/// Pixels between two shown stretches of time.
const BREAK: f64 = 26.0;

/// The horizontal axis: one or several stretches of time, all at the same scale.
#[derive(Clone, Debug)]
pub(crate) struct TimeScale {
    pieces: Vec<Piece>,
}

/// A tick: where, and what it says.
pub(crate) type Tick = (f64, String);

impl TimeScale {
    /// Shows `windows`, in order and without overlaps, between two pixels.
    pub(crate) fn new(windows: &[(Instant, Instant)], left: f64, right: f64) -> TimeScale {
        let gaps = BREAK * (windows.len().saturating_sub(1)) as f64;
        let total: f64 = windows.iter().map(|(from, to)| seconds(*from, *to)).sum();
        let per_second = (right - left - gaps) / total.max(1e-9);
        let mut pieces = Vec::new();
        let mut x = left;
        for &(from, to) in windows {
            let end = x + seconds(from, to) * per_second;
            pieces.push(Piece { from, to, left: x, right: end });
            x = end + BREAK;
        }
        TimeScale { pieces }
    }

    /// Where a moment is, if it is shown.
    pub(crate) fn x(&self, at: Instant) -> Option<f64> {
        let piece = self.pieces.iter().find(|piece| piece.from <= at && at <= piece.to)?;
        Some(piece.x(at))
    }

    /// What is shown of the time between two moments, in pixels.
    pub(crate) fn clip(&self, from: Instant, to: Instant) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pieces.iter().filter_map(move |piece| {
            let (from, to) = (from.max(piece.from), to.min(piece.to));
            (from < to).then(|| (piece.x(from), piece.x(to)))
        })
    }

    /// The shown stretches, in pixels.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pieces.iter().map(|piece| (piece.left, piece.right))
    }

    /// Nanoseconds that a pixel stands for, at least 1.
    pub(crate) fn ns_per_pixel(&self) -> u64 {
        let (ns, pixels) = self.pieces.iter().fold((0u64, 0.0), |(ns, pixels), piece| {
            (ns + piece.to.since(piece.from).ns(), pixels + piece.right - piece.left)
        });
        (ns / u64::from(super::px(pixels).unsigned_abs().max(1))).max(1)
    }

    /// Ticks at round times, in seconds.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        let step = round_step(self.ns_per_pixel().saturating_mul(84));
        let mut ticks = Vec::new();
        for piece in &self.pieces {
            let mut at = piece.from.0.div_ceil(step) * step;
            while at <= piece.to.0 {
                ticks.push((piece.x(Instant(at)), seconds_text(at, step)));
                at += step;
            }
        }
        ticks
    }
}

impl Piece {
    fn x(&self, at: Instant) -> f64 {
        let all = seconds(self.from, self.to).max(1e-9);
        self.left + (self.right - self.left) * (seconds(self.from, at) / all)
    }
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.since(from).as_secs_f64()
}

/// The smallest round length of time that is at least `least` nanoseconds.
pub(crate) fn round_step(least: u64) -> u64 {
    const SECONDS: [u64; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400];
    let mut unit = 1_000;
    while unit < NS_PER_S {
        for n in [1, 2, 5] {
            if unit * n >= least {
                return unit * n;
            }
        }
        unit *= 10;
    }
    let seconds = SECONDS.into_iter().map(|s| s * NS_PER_S).find(|&step| step >= least);
    seconds.unwrap_or_else(|| least.div_ceil(86_400 * NS_PER_S) * 86_400 * NS_PER_S)
}

/// A time in seconds, with as many decimals as a step needs.
fn seconds_text(at: u64, step: u64) -> String {
    let mut decimals = 0;
    let mut unit = NS_PER_S;
    while !step.is_multiple_of(unit) && decimals < 6 {
        unit /= 10;
        decimals += 1;
    }
    if decimals == 0 {
        return format!("{}", at / NS_PER_S);
    }
    format!("{}.{:0decimals$}", at / NS_PER_S, at % NS_PER_S / unit)
}

/// A vertical axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueScale {
    low: f64,
    high: f64,
    log: bool,
    top: f64,
    bottom: f64,
}

/// What a vertical axis counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things, or things a second.
    Plain,
    /// Bytes.
    Bytes,
    /// Seconds, printed in the unit that suits.
    Seconds,
}

impl ValueScale {
    /// From zero up to a round number that is at least `high`.
    pub(crate) fn linear(high: f64, top: f64, bottom: f64) -> ValueScale {
        let high = high.max(1e-12);
        let step = decimal_step(high / 4.0);
        let high = libm::ceil(high / step - 1e-9) * step;
        ValueScale { low: 0.0, high, log: false, top, bottom }
    }

    /// Powers of ten around the two values; the lower one is not on the axis itself.
    pub(crate) fn log(low: f64, high: f64, top: f64, bottom: f64) -> ValueScale {
        let low = libm::floor(libm::log10(low.max(1e-9) * 0.9) + 1e-9);
        let high = libm::ceil(libm::log10(high.max(1e-9)) - 1e-9).max(low + 1.0);
        ValueScale { low, high, log: true, top, bottom }
    }

    /// Where a value is; values beyond an end are at that end.
    pub(crate) fn y(&self, value: f64) -> f64 {
        let value = if self.log { libm::log10(value.max(1e-12)) } else { value };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.bottom - (self.bottom - self.top) * share
    }

    /// Ticks at round values.
    pub(crate) fn ticks(&self, unit: Unit) -> Vec<Tick> {
        let mut ticks = Vec::new();
        if self.log {
            let mut power = self.low;
            while power <= self.high + 1e-9 {
                let value = libm::pow(10.0, power);
                ticks.push((self.y(value), text(value, unit)));
                power += 1.0;
            }
            return ticks;
        }
        let room = ((self.bottom - self.top) / 34.0).max(2.0);
        let step = decimal_step(self.high / room);
        let mut n = 0.0;
        while n * step <= self.high * (1.0 + 1e-9) {
            ticks.push((self.y(n * step), text(n * step, unit)));
            n += 1.0;
        }
        ticks
    }

    /// Pale lines between the powers of ten; none on a linear axis.
    pub(crate) fn minor(&self) -> Vec<f64> {
        let mut lines = Vec::new();
        let mut power = self.low;
        while self.log && power < self.high - 1e-9 {
            lines.extend([2.0, 5.0].map(|n| self.y(n * libm::pow(10.0, power))));
            power += 1.0;
        }
        lines
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `least`.
pub(crate) fn decimal_step(least: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(least)));
    for n in [1.0, 2.0, 5.0] {
        if n * power >= least * (1.0 - 1e-9) {
            return n * power;
        }
    }
    10.0 * power
}

/// A value as people read it: `250`, `1.5k`, `20 kB`, `3 ms`.
pub(crate) fn text(value: f64, unit: Unit) -> String {
    let (scale, suffix) = match unit {
        Unit::Seconds => match value {
            v if v <= 0.0 => return "0".into(),
            v if v < 0.999e-3 => (1e-6, " µs"),
            v if v < 0.999 => (1e-3, " ms"),
            _ => (1.0, " s"),
        },
        Unit::Plain | Unit::Bytes => match value {
            v if v >= 1e9 => (1e9, if unit == Unit::Bytes { " GB" } else { "G" }),
            v if v >= 1e6 => (1e6, if unit == Unit::Bytes { " MB" } else { "M" }),
            v if v >= 1e3 => (1e3, if unit == Unit::Bytes { " kB" } else { "k" }),
            0.0 => return "0".into(),
            _ => (1.0, if unit == Unit::Bytes { " B" } else { "" }),
        },
    };
    let shown = value / scale;
    let decimals = if shown >= 99.95 {
        0
    } else if shown >= 9.995 {
        1
    } else {
        2
    };
    let digits = format!("{shown:.decimals$}");
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{digits}{suffix}")
}

/// A length of time as people read it: `1.52 s`, `340 ms`.
pub(crate) fn span_text(from: Instant, to: Instant) -> String {
    let ns = to.since(from).ns();
    if ns == 0 {
        return "0 s".into();
    }
    if ns >= 10 * NS_PER_S {
        return text(libm::round(seconds(from, to) * 10.0) / 10.0, Unit::Seconds);
    }
    if ns < NS_PER_MS {
        text(seconds(from, to), Unit::Seconds)
    } else {
        text(libm::round(seconds(from, to) * 1e3) / 1e3, Unit::Seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printed_shortly() {
        for (value, unit, expected) in [
            (0.0, Unit::Bytes, "0"),
            (250.0, Unit::Plain, "250"),
            (1_500.0, Unit::Plain, "1.5k"),
            (20_000.0, Unit::Bytes, "20 kB"),
            (1_048_576.0, Unit::Bytes, "1.05 MB"),
            (0.0001, Unit::Seconds, "100 µs"),
            (0.0025, Unit::Seconds, "2.5 ms"),
            (1.0, Unit::Seconds, "1 s"),
        ] {
            assert_eq!(text(value, unit), expected);
        }
    }

    #[test]
    fn steps_are_round_and_large_enough() {
        for (least, step) in [(1, 1_000), (3_000_000, 5_000_000), (NS_PER_S, NS_PER_S), (11 * NS_PER_S, 15 * NS_PER_S)]
        {
            assert_eq!(round_step(least), step);
        }
        assert_eq!(seconds_text(1_250_000_000, 50_000_000), "1.25");
        assert_eq!(seconds_text(30 * NS_PER_S, 10 * NS_PER_S), "30");
    }

    #[test]
    fn a_broken_axis_keeps_one_scale() {
        let at = |s: u64| Instant(s * NS_PER_S);
        let scale = TimeScale::new(&[(at(0), at(10)), (at(50), at(60))], 0.0, 1_026.0);
        assert_eq!((scale.x(at(5)), scale.x(at(30))), (Some(250.0), None));
        assert_eq!(scale.x(at(50)), Some(526.0));
        assert_eq!(scale.clip(at(8), at(55)).count(), 2);
    }

    #[test]
    fn linear_axes_start_at_zero_and_end_round() {
        let scale = ValueScale::linear(930.0, 0.0, 100.0);
        assert_eq!((scale.y(0.0), scale.y(1_000.0)), (100.0, 0.0));
        let labels: Vec<String> = scale.ticks(Unit::Plain).into_iter().map(|tick| tick.1).collect();
        assert_eq!(labels, ["0", "500", "1k"]);
        let log = ValueScale::log(0.0004, 1.2, 0.0, 100.0);
        let labels: Vec<String> = log.ticks(Unit::Seconds).into_iter().map(|tick| tick.1).collect();
        assert_eq!(labels, ["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
    }
}
