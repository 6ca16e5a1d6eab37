//! The number that varies: how a person writes it, and integers to halve.

use crate::conf::parse_memory;
use crate::time::Span;

/// A range of a field's values. All of them are whole numbers of the smallest unit: nanoseconds, billionths, bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The field, as `--set` names it.
    pub field: String,
    /// The first value.
    pub low: i128,
    /// The last one.
    pub high: i128,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nanoseconds.
    Time,
    /// Whole numbers.
    Whole,
    /// Billionths.
    Decimal,
    /// Thousandths a second.
    Rate,
    /// Bytes.
    Size,
}

const BILLION: f64 = 1e9;

impl Axis {
    /// Reads `FIELD=A..B`.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(text: &str) -> Result<Axis, String> {
        let expected = || "write the field and two values, as in fault[0].at=9s..12s".to_owned();
        // Dots are in fields and in numbers too: the range's are the last two in a row.
        let (head, high) = text.rsplit_once("..").ok_or_else(expected)?;
        let (field, low) = head.rsplit_once('=').ok_or_else(expected)?;
        let (low, high) = (low.trim(), high.trim());
        if field.trim().is_empty() || low.is_empty() || high.is_empty() {
            return Err(expected());
        }
        let kinds = [Kind::Whole, Kind::Decimal, Kind::Time, Kind::Rate, Kind::Size];
        let both = |kind: &Kind| Some((*kind, kind.read(low)?, kind.read(high)?));
        let (kind, from, to) = kinds.iter().find_map(both).ok_or_else(|| {
            format!("\"{low}\" and \"{high}\" are not two numbers, times, rates (per second) or sizes")
        })?;
        if from >= to {
            return Err(format!("{low} is not smaller than {high}"));
        }
        Ok(Axis { field: field.trim().to_owned(), low: from, high: to, kind })
    }

    /// A value as the scenario has it.
    #[must_use]
    pub fn show(&self, value: i128) -> String {
        self.kind.show(value)
    }

    /// Reads a distance between two values.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<i128> {
        self.kind.read(text.trim()).filter(|&distance| distance > 0)
    }

    /// The range's width over so many, at least the smallest unit.
    #[must_use]
    pub fn part(&self, of: i128) -> i128 {
        ((self.high - self.low) / of).max(1)
    }

    /// `--set` for a value.
    #[must_use]
    pub fn set(&self, value: i128) -> String {
        format!("{}={}", self.field, self.show(value))
    }

    /// About `steps` + 1 values from one end to the other, as round as the tolerance allows.
    #[must_use]
    pub fn grid(&self, steps: u32, tolerance: i128) -> Vec<i128> {
        let width = self.high - self.low;
        let steps = i128::from(steps.max(1));
        let mut out = vec![self.low];
        for step in 1..steps {
            let value = round(self.low + width * step / steps, tolerance);
            if value > *out.last().expect("it has a first value") && value < self.high {
                out.push(value);
            }
        }
        out.push(self.high);
        out
    }

    /// A value between two, as round as the tolerance allows; `None` when they are near enough.
    #[must_use]
    pub fn between(&self, low: i128, high: i128, tolerance: i128) -> Option<i128> {
        if high - low <= tolerance {
            return None;
        }
        let middle = low + (high - low) / 2;
        [round(middle, tolerance), middle].into_iter().find(|&value| value > low && value < high)
    }
}

/// To a multiple of the largest power of ten within the tolerance.
fn round(value: i128, tolerance: i128) -> i128 {
    let unit = 10i128.pow(tolerance.max(1).ilog10());
    value.div_euclid(unit) * unit
}

impl Kind {
    #[allow(clippy::cast_possible_truncation, reason = "the range is checked first")]
    fn read(self, text: &str) -> Option<i128> {
        let scaled = |text: &str, by: f64| {
            let number: f64 = text.parse().ok()?;
            (number.is_finite() && number.abs() < 1e9).then(|| libm::round(number * by) as i128)
        };
        match self {
            Kind::Time => Span::parse(text).ok().map(|span| i128::from(span.ns())),
            Kind::Whole => text.parse().ok(),
            Kind::Decimal => match text.strip_suffix('%') {
                Some(percent) => scaled(percent.trim(), BILLION / 100.0),
                None => scaled(text, BILLION),
            },
            Kind::Rate => scaled(text.strip_suffix("/s")?.trim(), 1e3),
            Kind::Size => parse_memory(text).map(i128::from),
        }
    }

    fn show(self, value: i128) -> String {
        match self {
            Kind::Time => Span(u64::try_from(value).unwrap_or(0)).to_string(),
            Kind::Whole => value.to_string(),
            Kind::Decimal => decimal(value, 9),
            Kind::Rate => format!("{}/s", decimal(value, 3).trim_end_matches(".0")),
            Kind::Size => format!("{value}b"),
        }
    }
}

/// With a point before the last digits, and no more zeros than a number needs to stay a decimal one.
fn decimal(value: i128, digits: u32) -> String {
    let unit = 10i128.pow(digits);
    let sign = if value < 0 { "-" } else { "" };
    let (whole, rest) = (value.abs() / unit, value.abs() % unit);
    let width = digits as usize;
    let rest = format!("{rest:0width$}");
    let rest = rest.trim_end_matches('0');
    format!("{sign}{whole}.{}", if rest.is_empty() { "0" } else { rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_shown() {
        for (text, field, low, middle) in [
            ("fault[0].at=9s..12s", "fault[0].at", "9s", "10.5s"),
            ("network.loss=0.0..0.2", "network.loss", "0.0", "0.1"),
            ("network.loss=0%..20%", "network.loss", "0.0", "0.1"),
            (
                "sentinel[0].monitor[0].down-after-milliseconds=1000..10000",
                "sentinel[0].monitor[0].down-after-milliseconds",
                "1000",
                "5500",
            ),
            ("client.w.workload.rate=10/s..100/s", "client.w.workload.rate", "10/s", "55/s"),
            ("defaults.redis.repl-backlog-size=16kb..1mb", "defaults.redis.repl-backlog-size", "16384b", "532480b"),
        ] {
            let axis = Axis::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let middle_value = axis.between(axis.low, axis.high, 1).expect("wide enough");
            let shown = (axis.field.as_str(), axis.show(axis.low), axis.show(middle_value));
            assert_eq!(shown, (field, low.to_owned(), middle.to_owned()), "{text}");
        }
        for wrong in ["fault[0].at", "fault[0].at=9s", "=1..2", "a=2..1", "a=1s..2/s", "a=x..y", "a=..2"] {
            assert!(Axis::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn grids_are_round_and_end_where_the_range_does() {
        let axis = Axis::parse("fault[0].at=9s..12s").expect("valid");
        let shown = |values: Vec<i128>| values.iter().map(|&v| axis.show(v)).collect::<Vec<_>>().join(" ");
        assert_eq!(shown(axis.grid(4, axis.part(10_000))), "9s 9.75s 10.5s 11.25s 12s");
        assert_eq!(shown(axis.grid(7, axis.part(10))), "9s 9.4s 9.8s 10.2s 10.7s 11.1s 11.5s 12s");
        let few = Axis::parse("x=1..3").expect("valid");
        assert_eq!(few.grid(20, 1), [1, 2, 3]);
        assert_eq!(few.between(1, 2, 1), None);
    }
}
