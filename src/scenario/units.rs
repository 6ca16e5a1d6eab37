//! The scalars of scenario files: times, rates, sizes, shares. Each is read from the text a person would write and written back.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::field::Scalar;
use super::tree::Data;
use crate::conf::parse_memory;
use crate::rng::{Dist, Ratio, parse_rate};
use crate::time::Span;

/// A length of time: `"1.5s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Span);

/// A step of a clock, either way: `"+1h"`, `"-250ms"`; in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(pub i64);

/// A length of time that may vary: `"uniform(0.2ms, 1ms)"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delay(pub Dist);

/// How often: `"50/s"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// As written.
    pub text: String,
    /// The mean time between two.
    pub period: Span,
}

/// A number of bytes: `"64b"`, `"1mb"`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Bytes a second: `"10mb/s"`, `"100mbit/s"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bandwidth {
    /// As written.
    pub text: String,
    /// In bytes.
    pub bytes_per_second: u64,
}

/// A share or probability between 0 and 1: `0.01`, `"1%"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl Share {
    /// As the integer ratio that the engine uses.
    #[must_use]
    pub fn ratio(self) -> Ratio {
        Ratio::from_f64(self.0).expect("a share was checked to lie between 0 and 1 when it was read")
    }
}

/// A factor with at most three decimals, in thousandths: `10`, `0.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(pub u32);

fn text_of(data: &Data) -> Result<&str, Option<String>> {
    if let Data::Text(text) = data { Ok(text) } else { Err(None) }
}

/// A number where a time with its unit was expected: the commonest slip.
fn time_of(data: &Data) -> Result<&str, Option<String>> {
    if let Data::Int(number) = data {
        return Err(Some(format!("a time needs a unit: \"{number}s\" or \"{number}ms\"")));
    }
    text_of(data)
}

impl Scalar for Time {
    const EXPECTED: &'static str = "a time such as \"500ms\"";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        Span::parse(time_of(data)?).map(Time).map_err(Some)
    }
    fn write(&self) -> Data {
        Data::Text(self.0.to_string())
    }
}

impl Scalar for Step {
    const EXPECTED: &'static str = "a step such as \"+1h\" or \"-250ms\"";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        let text = time_of(data)?.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let span = Span::parse(rest).map_err(Some)?;
        let ns = i64::try_from(span.ns()).map_err(|_| Some(format!("\"{text}\" is longer than 292 years")))?;
        Ok(Step(if negative { -ns } else { ns }))
    }
    fn write(&self) -> Data {
        let sign = if self.0 < 0 { "-" } else { "+" };
        Data::Text(format!("{sign}{}", Span(self.0.unsigned_abs())))
    }
}

impl Scalar for Delay {
    const EXPECTED: &'static str = "a time such as \"0.5ms\" or a distribution such as \"uniform(0.2ms, 1ms)\"";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        Dist::parse(time_of(data)?).map(Delay).map_err(Some)
    }
    fn write(&self) -> Data {
        Data::Text(self.0.to_string())
    }
}

impl Scalar for Rate {
    const EXPECTED: &'static str = "a rate such as \"50/s\"";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        if let Data::Int(number) = data {
            return Err(Some(format!("a rate needs a unit: \"{number}/s\"")));
        }
        let text = text_of(data)?;
        Ok(Rate { text: text.to_owned(), period: parse_rate(text).map_err(Some)? })
    }
    fn write(&self) -> Data {
        Data::Text(self.text.clone())
    }
}

impl Scalar for Size {
    const EXPECTED: &'static str = "a size such as \"64b\", \"16kb\" or \"1mb\"";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        match data {
            Data::Int(number) => {
                u64::try_from(*number).map(Size).map_err(|_| Some(format!("{number} is not a number of bytes")))
            }
            Data::Text(text) => parse_memory(text).map(Size).ok_or_else(|| {
                Some(format!("\"{text}\" is not a size; the units are b, k (1000), kb (1024), m, mb, g and gb"))
            }),
            Data::Null | Data::Bool(_) | Data::Float(_) | Data::List(_) | Data::Table(_) => Err(None),
        }
    }
    fn write(&self) -> Data {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")];
        let unit = UNITS.into_iter().find(|(scale, _)| self.0 > 0 && self.0.is_multiple_of(*scale));
        Data::Text(unit.map_or(format!("{}b", self.0), |(scale, name)| format!("{}{name}", self.0 / scale)))
    }
}

impl Scalar for Bandwidth {
    const EXPECTED: &'static str = "a bandwidth such as \"10mb/s\" or \"100mbit/s\"";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        let text = text_of(data)?;
        let wrong =
            || Some(format!("\"{text}\" is not a bandwidth; write something such as \"10mb/s\" or \"100mbit/s\""));
        let amount = text.trim().strip_suffix("/s").ok_or_else(wrong)?.trim();
        let bytes = match amount.to_ascii_lowercase().strip_suffix("bit") {
            Some(bits) => {
                let digits = bits.find(|c: char| !c.is_ascii_digit()).unwrap_or(bits.len());
                let scale: u64 = match &bits[digits..] {
                    "" => 1,
                    "k" => 1_000,
                    "m" => 1_000_000,
                    "g" => 1_000_000_000,
                    _ => return Err(wrong()),
                };
                let number: u64 = bits[..digits].parse().map_err(|_| wrong())?;
                number.checked_mul(scale).ok_or_else(wrong)? / 8
            }
            None => parse_memory(amount).ok_or_else(wrong)?,
        };
        if bytes == 0 {
            return Err(Some(format!("\"{text}\" lets nothing pass; to cut a link write down = true")));
        }
        Ok(Bandwidth { text: text.to_owned(), bytes_per_second: bytes })
    }
    fn write(&self) -> Data {
        Data::Text(self.text.clone())
    }
}

impl Scalar for Share {
    const EXPECTED: &'static str = "a share between 0 and 1, such as 0.01 or \"1%\"";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        let share = match data {
            Data::Float(number) => *number,
            Data::Int(0) => 0.0,
            Data::Int(1) => 1.0,
            Data::Int(number) => return Err(Some(format!("{number} is not between 0 and 1"))),
            Data::Text(text) => {
                let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                number.ok_or_else(|| Some(format!("\"{text}\" is not a share")))? / 100.0
            }
            Data::Null | Data::Bool(_) | Data::List(_) | Data::Table(_) => return Err(None),
        };
        if (0.0..=1.0).contains(&share) {
            Ok(Share(share))
        } else {
            Err(Some(format!("{share} is not between 0 and 1")))
        }
    }
    fn write(&self) -> Data {
        Data::Float(self.0)
    }
}

impl Scalar for Factor {
    const EXPECTED: &'static str = "a factor such as 10 or 0.5";
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the range is checked before the conversion, and numbers outside of it are refused"
    )]
    fn read(data: &Data) -> Result<Self, Option<String>> {
        let number = match data {
            Data::Int(number) => *number as f64,
            Data::Float(number) => *number,
            Data::Null | Data::Bool(_) | Data::Text(_) | Data::List(_) | Data::Table(_) => return Err(None),
        };
        if !(0.0..=1e6).contains(&number) {
            return Err(Some(format!("{number} is not between 0 and 1000000")));
        }
        let milli = (number * 1000.0).round();
        if (milli / 1000.0 - number).abs() > 1e-9 {
            return Err(Some(format!("{number} has more than three decimals")));
        }
        Ok(Factor(milli as u32))
    }
    fn write(&self) -> Data {
        if self.0.is_multiple_of(1000) {
            Data::Int(i128::from(self.0 / 1000))
        } else {
            Data::Float(f64::from(self.0) / 1000.0)
        }
    }
}

impl Scalar for String {
    const EXPECTED: &'static str = "a text";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        text_of(data).map(str::to_owned)
    }
    fn write(&self) -> Data {
        Data::Text(self.clone())
    }
}

impl Scalar for bool {
    const EXPECTED: &'static str = "true or false";
    fn read(data: &Data) -> Result<Self, Option<String>> {
        if let Data::Bool(value) = data { Ok(*value) } else { Err(None) }
    }
    fn write(&self) -> Data {
        Data::Bool(*self)
    }
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl Scalar for $type {
            const EXPECTED: &'static str = "a whole number";
            fn read(data: &Data) -> Result<Self, Option<String>> {
                let Data::Int(number) = data else { return Err(None) };
                <$type>::try_from(*number)
                    .map_err(|_| Some(format!("{number} is not between {} and {}", <$type>::MIN, <$type>::MAX)))
            }
            fn write(&self) -> Data {
                Data::Int(i128::from(*self))
            }
        }
    )+};
}

whole_numbers!(u64, u32, u16, i32);

/// JSON schemas of the types above.
macro_rules! schemas {
    ($($type:ty, $name:literal, $schema:tt;)+) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

schemas! {
    Time, "Time", {
        "description": "A length of time with its unit (ns, us, ms, s, m, h, d).",
        "type": "string", "examples": ["500ms", "1.5s", "2m"]
    };
    Step, "Step", {
        "description": "A step of a clock, either way.",
        "type": "string", "examples": ["+1h", "-250ms"]
    };
    Delay, "Delay", {
        "description": "A time, or a distribution of times: uniform(low, high), normal(mean, deviation), lognormal(median, sigma), exponential(mean).",
        "type": "string", "examples": ["0.5ms", "uniform(0.2ms, 1ms)", "lognormal(0.5ms, 0.4)"]
    };
    Rate, "Rate", {
        "description": "How often: a number per ms, s, m or h.",
        "type": "string", "examples": ["50/s", "10/ms"]
    };
    Size, "Size", {
        "description": "A number of bytes, or a text with Redis's units: b, k (1000), kb (1024), m, mb, g, gb.",
        "type": ["string", "integer"], "minimum": 0, "examples": ["64b", "1mb"]
    };
    Bandwidth, "Bandwidth", {
        "description": "Bytes a second with Redis's units of memory, or bits a second with bit, kbit, mbit, gbit.",
        "type": "string", "examples": ["10mb/s", "100mbit/s"]
    };
    Share, "Share", {
        "description": "A share or probability: a number between 0 and 1, or a percentage.",
        "type": ["number", "string"], "minimum": 0, "maximum": 1, "examples": [0.01, "1%"]
    };
    Factor, "Factor", {
        "description": "A factor with at most three decimals.",
        "type": "number", "minimum": 0, "maximum": 1_000_000, "examples": [10, 0.5]
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Data {
        Data::Text(text.to_owned())
    }

    #[test]
    fn scalars_read_and_write_back() {
        assert_eq!(Step::read(&text("-250ms")), Ok(Step(-250_000_000)));
        assert_eq!(Step(-250_000_000).write(), text("-250ms"));
        assert_eq!(Size::read(&text("16kb")), Ok(Size(16_384)));
        assert_eq!(Size(16_384).write(), text("16kb"));
        assert_eq!(Size(1_000).write(), text("1000b"));
        assert_eq!(Size(0).write(), text("0b"));
        assert_eq!(Share::read(&text("25%")), Ok(Share(0.25)));
        assert_eq!(Factor::read(&Data::Float(1.5)), Ok(Factor(1_500)));
        assert_eq!(Bandwidth::read(&text("100mbit/s")).map(|b| b.bytes_per_second), Ok(12_500_000));
        assert_eq!(Bandwidth::read(&text("10mb/s")).map(|b| b.bytes_per_second), Ok(10_485_760));
    }

    #[test]
    fn wrong_values_are_told_from_wrong_types() {
        assert!(matches!(Time::read(&Data::Int(5)), Err(Some(_))));
        assert_eq!(Time::read(&Data::Bool(true)), Err(None));
        assert!(matches!(Share::read(&Data::Float(f64::NAN)), Err(Some(_))));
        assert!(matches!(Share::read(&Data::Int(50)), Err(Some(_))));
        assert!(matches!(Factor::read(&Data::Float(-1.0)), Err(Some(_))));
        assert!(matches!(Factor::read(&Data::Float(0.00001)), Err(Some(_))));
        assert!(matches!(u16::read(&Data::Int(70_000)), Err(Some(_))));
        assert!(matches!(Bandwidth::read(&text("5")), Err(Some(_))));
        assert!(matches!(Bandwidth::read(&text("0b/s")), Err(Some(_))));
        assert!(matches!(Bandwidth::read(&text("99999999999gbit/s")), Err(Some(_))));
        assert!(matches!(Step::read(&text("9999999h")), Err(Some(_))));
    }
}
