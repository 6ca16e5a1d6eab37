//! An axis of values, level or upright, linear or logarithmic, and how values in a unit are printed.

use super::Unit;
use crate::check::metrics::thousands;
use crate::report::chart::axis::{Tick, decimal_step};

/// Values and their place between two pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    unit: Unit,
    /// The ends, as powers of ten on a logarithmic axis.
    from: f64,
    to: f64,
    step: f64,
    pub(crate) log: bool,
    start: f64,
    end: f64,
}

/// A range this many times wider than its lower end is shown logarithmically.
const DECADES: f64 = 100.0;

impl Scale {
    /// Over all values between two, with round ends; `spacing` is how many pixels a tick needs. From zero unless that
    /// would squeeze the values into a corner.
    pub(crate) fn linear(low: f64, high: f64, unit: Unit, (start, end): (f64, f64), spacing: f64) -> Scale {
        let (mut low, mut high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if unit == Unit::Bool {
            return Scale { unit, from: -0.25, to: 1.25, step: 1.0, log: false, start, end };
        }
        if low >= 0.0 && low <= 0.4 * high {
            low = 0.0;
        }
        if high - low <= (high.abs() * 1e-9).max(1e-9) {
            let pad =
                if unit == Unit::Count { 2.0 } else { (high.abs() * 0.05).max(if high == 0.0 { 1.0 } else { 0.0 }) };
            (low, high) = (if low >= 0.0 { (low - pad).max(0.0) } else { low - pad }, high + pad);
        }
        let room = ((end - start).abs() / spacing).max(2.0);
        let mut step = decimal_step((high - low) / room);
        if unit == Unit::Count {
            step = step.max(1.0);
        }
        let from = libm::floor(low / step + 1e-9) * step;
        let to = libm::ceil(high / step - 1e-9) * step;
        Scale { unit, from, to, step, log: false, start, end }
    }

    /// The same, with logarithmic spacing when all values are positive and span more than two decades.
    pub(crate) fn fitting(low: f64, high: f64, unit: Unit, ends: (f64, f64), spacing: f64) -> Scale {
        if !spans_decades(low, high, unit) {
            return Scale::linear(low, high, unit, ends, spacing);
        }
        let from = libm::floor(libm::log10(low) * 4.0 + 1e-9) / 4.0;
        let to = libm::ceil(libm::log10(high) * 4.0 - 1e-9) / 4.0;
        Scale { unit, from, to, step: 1.0, log: true, start: ends.0, end: ends.1 }
    }

    /// Exactly between two values, which are shown at the ends; for an axis of what was varied.
    pub(crate) fn tight(low: f64, high: f64, unit: Unit, log: bool, (start, end): (f64, f64)) -> Scale {
        let power = |value: f64| if log { libm::log10(value) } else { value };
        let (mut from, mut to) = (power(low), power(high));
        if to - from <= (to.abs() * 1e-12).max(1e-12) {
            let pad = if from == 0.0 { 1.0 } else { from.abs() * 0.1 };
            (from, to) = (from - pad, to + pad);
        }
        let mut step = decimal_step((to - from) / ((end - start).abs() / 90.0).max(2.0));
        if unit == Unit::Bool || (unit == Unit::Count && to - from > 2.0) {
            step = step.max(1.0);
        }
        Scale { unit, from, to, step, log, start, end }
    }

    /// From 0 to 1.
    pub(crate) fn share(ends: (f64, f64)) -> Scale {
        Scale { unit: Unit::Ratio, from: 0.0, to: 1.0, step: 0.25, log: false, start: ends.0, end: ends.1 }
    }

    /// Where a value is; values beyond an end are at that end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let place = if self.log { libm::log10(value.max(1e-300)) } else { value };
        let share = ((place - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start + (self.end - self.start) * share
    }

    /// Whether a value is between the ends.
    pub(crate) fn shows(&self, value: f64) -> bool {
        let place = if self.log { libm::log10(value.max(1e-300)) } else { value };
        (self.from - 1e-9..=self.to + 1e-9).contains(&place)
    }

    /// Ticks at round values.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        if self.log {
            return self.powers(if self.to - self.from > 3.5 { &[1.0] } else { &[1.0, 2.0, 5.0] });
        }
        if self.unit == Unit::Bool {
            return [(0.0, "false"), (1.0, "true")].map(|(n, text)| (self.at(n), text.to_owned())).to_vec();
        }
        let largest = self.from.abs().max(self.to.abs());
        let mut ticks = Vec::new();
        let first = libm::ceil(self.from / self.step - 1e-6) * self.step;
        let mut n = 0.0;
        while first + n * self.step <= self.to + self.step * 1e-6 {
            let value = first + n * self.step;
            ticks.push((self.at(value), on_axis(value, largest, self.step, self.unit)));
            n += 1.0;
        }
        ticks
    }

    /// Places of pale lines between the ticks of a logarithmic axis.
    pub(crate) fn minor(&self) -> Vec<f64> {
        if !self.log {
            return Vec::new();
        }
        self.powers(&[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).into_iter().map(|tick| tick.0).collect()
    }

    fn powers(&self, factors: &[f64]) -> Vec<Tick> {
        let mut ticks = Vec::new();
        let mut power = libm::floor(self.from);
        while power <= self.to + 1e-9 {
            for factor in factors {
                let value = factor * libm::pow(10.0, power);
                if self.shows(value) {
                    ticks.push((self.at(value), show(value, self.unit)));
                }
            }
            power += 1.0;
        }
        ticks
    }
}

/// Whether values from `low` to `high` are better shown by their order of magnitude.
pub(crate) fn spans_decades(low: f64, high: f64, unit: Unit) -> bool {
    let scalable = match unit {
        Unit::Time | Unit::Bytes | Unit::Count => true,
        Unit::Ratio | Unit::Bool => false,
    };
    scalable && low > 0.0 && high > low * DECADES
}

/// The factor and name of the unit in which values up to `largest` are printed.
fn suffix(largest: f64, unit: Unit) -> (f64, &'static str) {
    match unit {
        Unit::Time => match largest {
            0.0 => (1e-3, " s"),
            v if v < 0.9995 => (1e3, " µs"),
            v if v < 999.5 => (1.0, " ms"),
            _ => (1e-3, " s"),
        },
        Unit::Bytes => match largest {
            v if v >= 999.5e6 => (1e-9, " GB"),
            v if v >= 999.5e3 => (1e-6, " MB"),
            v if v >= 999.5 => (1e-3, " kB"),
            _ => (1.0, " B"),
        },
        Unit::Ratio => (100.0, "%"),
        Unit::Count | Unit::Bool => (1.0, ""),
    }
}

/// A tick's text: with as many decimals as the step needs, in the unit that suits the axis' largest value.
fn on_axis(value: f64, largest: f64, step: f64, unit: Unit) -> String {
    let (factor, suffix) = suffix(largest, unit);
    if value.abs() < step * 1e-6 {
        return format!("0{suffix}");
    }
    let mut decimals = 0;
    let mut fine = step * factor;
    while decimals < 6 && (fine - libm::round(fine)).abs() > 1e-6 * fine.max(1e-3) {
        fine *= 10.0;
        decimals += 1;
    }
    format!("{}{suffix}", grouped(value * factor, decimals))
}

/// A value to about four digits: `6.024 s`, `812 ms`, `1,049`, `48.2%`, `20 kB`, `true`.
pub(crate) fn show(value: f64, unit: Unit) -> String {
    if unit == Unit::Bool && (value == 0.0 || value == 1.0) {
        return (value == 1.0).to_string();
    }
    let (factor, suffix) = suffix(value.abs(), if unit == Unit::Bool { Unit::Ratio } else { unit });
    let scaled = value * factor;
    let decimals = match (unit, scaled.abs()) {
        (_, v) if v >= 999.5 => 0,
        (Unit::Ratio | Unit::Bool, v) if v >= 9.95 => 1,
        (Unit::Time, v) if v >= 99.95 => 1,
        (Unit::Time, v) if v >= 9.995 => 2,
        (Unit::Time, _) => 3,
        (_, v) if v >= 99.95 => 1,
        (_, v) if v >= 0.0995 || v == 0.0 => 2,
        (_, v) if v >= 0.000_995 => 4,
        (_, _) => 6,
    };
    let text = grouped(scaled, decimals);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}{suffix}", if text == "-0" { "0" } else { text })
}

/// A number with separators between thousands.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let whole = whole.parse::<u64>().map_or_else(|_| whole.to_owned(), thousands);
    format!("{}{whole}{rest}", if value < 0.0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printed_to_what_matters() {
        for (value, unit, text) in [
            (6_024.3, Unit::Time, "6.024 s"),
            (12_345.6, Unit::Time, "12.35 s"),
            (0.0, Unit::Time, "0 s"),
            (0.42, Unit::Time, "420 µs"),
            (-812.0, Unit::Time, "-812 ms"),
            (1_049.0, Unit::Count, "1,049"),
            (3.5, Unit::Count, "3.5"),
            (0.482, Unit::Ratio, "48.2%"),
            (0.0004, Unit::Ratio, "0.04%"),
            (1.0, Unit::Bool, "true"),
            (0.98, Unit::Bool, "98%"),
            (20_000.0, Unit::Bytes, "20 kB"),
        ] {
            assert_eq!(show(value, unit), text);
        }
    }

    #[test]
    fn ticks_tell_their_neighbours_apart() {
        for (low, high, unit, expected) in [
            (6_010.0, 6_190.0, Unit::Time, vec!["6.00 s", "6.05 s", "6.10 s", "6.15 s", "6.20 s"]),
            (0.0, 3.0, Unit::Count, vec!["0", "1", "2", "3"]),
            (5.0, 5.0, Unit::Count, vec!["3", "4", "5", "6", "7"]),
            (0.0, 0.0, Unit::Ratio, vec!["0%", "50%", "100%"]),
            (1.0, 5_000.0, Unit::Time, vec!["1 ms", "10 ms", "100 ms", "1 s"]),
        ] {
            let scale = Scale::fitting(low, high, unit, (0.0, 400.0), 100.0);
            let texts: Vec<String> = scale.ticks().into_iter().map(|tick| tick.1).collect();
            assert_eq!(texts, expected, "{low}..{high}");
            assert!(scale.shows(low) && scale.shows(high));
        }
    }
}
